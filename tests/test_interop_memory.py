"""A gigabyte of checkpoint takes no memory to read, and to convert no more than the result."""

import json
import os
import subprocess
import sys

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="measures memory as Linux tells it"),
]

LAYERS, WIDTH = 64, 2048  # of 16 MiB each
SIZE = LAYERS * WIDTH * WIDTH * 4

CHILD = """
import json, sys, threading, time
import jax, numpy as np
from flax import nnx
from jax_tconv import interop

def anonymous():
    return int(open("/proc/self/status").read().split("RssAnon:")[1].split()[0]) * 1024

class Peak:
    def __enter__(self):
        self.start, self.peak, self.on = anonymous(), 0, True
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def watch(self):
        while self.on:
            self.peak = max(self.peak, anonymous() - self.start)
            time.sleep(0.002)

    def __exit__(self, *_):
        self.on = False
        self.thread.join()

path, layers, width, kind = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
jax.jit(lambda x: x + 1)(1.0)
if kind == "nnx":
    model = nnx.Sequential(*[nnx.Linear(width, width, use_bias=False, rngs=nnx.Rngs(0)) for _ in range(layers)])
with Peak() as peak:
    tensors = interop.read(path)
    read = anonymous() - peak.start
    if kind == "nnx":
        interop.load_state_dict(model, tensors)
        converted = [model.layers[n].kernel[...] for n in range(layers)]
    else:
        converted = [np.asarray(tensors.pop(f"{n}.weight").T, order="C") for n in range(layers)]
del tensors
for n in range(layers):
    assert converted[n].shape == (width, width)
    assert converted[n][3, 2] == np.float32(2 * width + 3 + n), n
print(json.dumps({"read": read, "peak": peak.peak, "kept": anonymous() - peak.start}))
"""


@pytest.fixture(scope="module", params=["safetensors", "zip", "legacy", "shards"])
def checkpoint(request, tmp_path_factory):
    """Layers whose every value says where it is, in float32 exactly."""
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file

    folder = tmp_path_factory.mktemp(request.param)
    whole = torch.arange(WIDTH * WIDTH, dtype=torch.float32).reshape(WIDTH, WIDTH)
    tensors = {f"{n}.weight": whole + n for n in range(LAYERS)}
    if request.param == "safetensors":
        save_file(tensors, folder / "model")
    elif request.param == "shards":
        files = {name: f"{n % 4}.safetensors" for n, name in enumerate(tensors)}
        for file in set(files.values()):
            save_file({name: tensors[name] for name in tensors if files[name] == file}, folder / file)
        (folder / "model").write_text(json.dumps({"weight_map": files}))
    else:
        torch.save(tensors, folder / "model", _use_new_zipfile_serialization=request.param == "zip")
    yield request.param, folder / "model"
    for path in folder.iterdir():
        path.unlink()


@pytest.mark.parametrize("kind", ["arrays", "nnx"])
def test_anonymous_memory(checkpoint, kind):
    form, path = checkpoint
    command = [sys.executable, "-c", CHILD, str(path), str(LAYERS), str(WIDTH), kind]
    # So that what is freed is given back to the system at once, and what is measured is what is in use.
    environment = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536"}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    measured = json.loads(run.stdout)
    print(form, kind, {name: round(value / SIZE, 3) for name, value in measured.items()})
    if kind == "arrays":  # beside a model, the memory that made it is given back meanwhile
        assert measured["read"] < (1.1 if form == "legacy" else 0.01) * SIZE
    assert measured["peak"] < (2.3 if form == "legacy" else 1.3) * SIZE
