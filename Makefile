# make demo and make test need nothing but a Python 3.11 or newer; the first call makes .venv, later ones reuse it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: demo test test-slow bench lint clean help

help:
	@echo "make demo   convert and run two PyTorch checkpoints in Flax"
	@echo "make test   run the tests"
	@echo "make test-slow  a gigabyte through every kind of file, 10,000 mutated files, every mesh (a quarter of an hour)"
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
