# make demo and make test need nothing but a Python 3.11 or newer; the first call makes .venv, later ones reuse it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

# Compilers of the versions that the tables of tests/accelerators were made with.
ACCELERATORS := build/accelerators
JAX := 'jax==0.10.2' 'flax==0.12.8'

# MONAI and packages of other fields, beside what .venv has: their own requirements would bring another torch.
NETWORKS := build/networks

.PHONY: demo test test-slow test-accelerators test-networks bench lint clean help

help:
	@echo "make demo   convert and run two PyTorch checkpoints in Flax"
	@echo "make test   run the tests"
	@echo "make test-slow  a gigabyte through every kind of file, 10,000 mutated files, every mesh (a quarter of an hour)"
	@echo "make test-accelerators  compile every layer for GPUs and TPUs that are not there (about an hour)"
	@echo "make test-networks  networks of MONAI there and back, into docs/networks.md; faults that verify must name (a few minutes)"
	@echo "make bench  time the op next to PyTorch and its peers in JAX (about a quarter of an hour)"
	@echo "make lint   ruff and the type checker"
	@echo "make clean  remove what these made"

# Editable, so that interop/ is found as jax_tconv.interop also when Python runs from this folder.
$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[test,examples,bench,lint]'
	@touch $@

demo: $(STAMP)
	$(BIN)/python -m examples.demo

test: $(STAMP)
	$(BIN)/python -m pytest -n auto

test-slow: $(STAMP)
	$(BIN)/python -m pytest -m slow

$(ACCELERATORS)/.installed:
	$(PYTHON) -m venv $(ACCELERATORS)/gpu
	$(ACCELERATORS)/gpu/bin/python -m pip install --quiet $(JAX)
	$(ACCELERATORS)/gpu/bin/python -m pip install --quiet --no-deps jax-cuda12-plugin==0.10.2 jax-cuda12-pjrt==0.10.2
	$(PYTHON) -m venv $(ACCELERATORS)/tpu
	$(ACCELERATORS)/tpu/bin/python -m pip install --quiet $(JAX) 'libtpu==0.0.42.*'
	@touch $@

# Prints every failure of each before it fails.
test-accelerators: $(STAMP) $(ACCELERATORS)/.installed
	failed=0; \
	$(ACCELERATORS)/gpu/bin/python -m tests.accelerators.gpu_checks || failed=1; \
	$(ACCELERATORS)/gpu/bin/python -m tests.accelerators.meshes cuda || failed=1; \
	$(ACCELERATORS)/tpu/bin/python -m tests.accelerators.meshes tpu || failed=1; \
	$(BIN)/python -m tests.accelerators check || failed=1; \
	exit $$failed

$(NETWORKS)/.installed: $(STAMP) tests/translated/requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-compile --upgrade --target $(NETWORKS) 'monai==1.6.1' \
		-r tests/translated/requirements.txt
	@touch $@

# Writes the tables, and fails, with what verify said, where a network is not converted or its translation is not right.
test-networks: $(NETWORKS)/.installed
	PYTHONPATH=$(NETWORKS) $(BIN)/python -m tests.published
	PYTHONPATH=$(NETWORKS) $(BIN)/python -m tests.translated
	$(BIN)/python -m pytest -m slow tests/planted

bench: $(STAMP)
	$(BIN)/python -m jax_tconv.benchmarks run

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	rm -rf build/typed && mkdir -p build/typed/jax_tconv
	ln -s $(CURDIR)/jax_tconv/* $(CURDIR)/interop build/typed/jax_tconv
	cd build/typed && $(CURDIR)/$(BIN)/mypy --config-file $(CURDIR)/pyproject.toml

clean:
	rm -rf $(VENV) demo_output bench_output examples/deepcr/.cache build *.egg-info
