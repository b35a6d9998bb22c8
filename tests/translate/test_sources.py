"""What the source looks like: classes, their arguments, loops, names, lists; and that it is a file by itself."""

import ast
import subprocess
import sys

import pytest
import torch
from flax import nnx

from jax_tconv import interop
from tests.networks.cyclegan import CYCLEGAN
from tests.networks.dcgan import DCGAN
from tests.networks.decoder import DECODER, DECODER_OLD
from tests.networks.unet import UNET
from tests.networks.unet3d import UNET3D
from tests.networks.vocoder import VOCODER, VOCODER_OLD
from tests.translate.check import check

tnn = torch.nn


@pytest.mark.parametrize(
    "network", [CYCLEGAN, DCGAN, DECODER, DECODER_OLD, UNET, UNET3D, VOCODER, VOCODER_OLD], ids=lambda one: one.name
)
def test_networks(network):
    source = check(network.trained(), network.inputs())
    classes = {node.name for node in ast.parse(source).body if isinstance(node, ast.ClassDef)}
    theirs = {type(part).__name__ for part in network.make_torch().modules()}
    # One class for each of torch's own, and none else but for what is built in two ways there.
    more = {"SingleConv1", "TorchEncoder2"} if network is UNET3D else set()
    assert classes - more == {name for name in theirs if name.startswith("Torch")}


class Block(tnn.Module):
    def __init__(self, channels, width, slope):
        super().__init__()
        self.widen = tnn.Conv2d(channels, width, 3, padding=1)
        self.narrow = tnn.Conv2d(width, channels, 1)
        self.slope = slope

    def forward(self, x):
        return x + self.narrow(tnn.functional.leaky_relu(self.widen(x), self.slope))


class Blocks(tnn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = tnn.ModuleList([Block(3, 4, 0.1) for _ in range(4)])
        self.wide = Block(3, 8, 0.3)

    def forward(self, x):
        for block in self.blocks:
            x = block(x)
        return self.wide(x)


def test_equal_blocks_are_one_class_in_a_loop():
    source = check(Blocks(), torch.randn(2, 3, 5, 4))
    assert "class Block(nnx.Module):" in source
    assert "def __init__(self, out_features: int, slope: float, *, rngs: nnx.Rngs) -> None:" in source
    assert "self.blocks = nnx.List([Block(4, 0.1, rngs=rngs) for _ in range(4)])" in source
    assert "        for block in self.blocks:\n            x = block(x)\n        return self.wide(x)\n" in source


class Shared(tnn.Module):
    def __init__(self):
        super().__init__()
        self.first = tnn.Conv2d(3, 3, 1)
        self.inner = tnn.Module()
        self.inner.again = self.first
        self.second = Block(3, 4, 0.1)
        self.second.narrow = tnn.Conv2d(4, 3, 1)

    def forward(self, x):
        return self.second(self.inner.again(self.first(x)))


def test_one_module_at_two_places_is_one():
    network = Shared()
    model = interop.from_torch(network, torch.randn(2, 3, 4, 5))
    assert model.inner.again is model.first
    assert nnx.state(model, nnx.Param).keys() == {"first", "second"} or "inner" not in nnx.state(model, nnx.Param)


class Sizes(tnn.Module):
    def __init__(self):
        super().__init__()
        self.conv = tnn.Conv2d(3, 6, 3, stride=2)

    def forward(self, x):
        y = self.conv(x)
        b, c, h, w = y.shape
        groups = y.view(b, 2, c // 2, h * w).mean(2)
        return groups.reshape(b, 2, h, w), x[:, :, : h // 2]


def test_other_batches_and_images_fit():
    check(Sizes(), torch.randn(2, 3, 9, 7), also=[(torch.randn(3, 3, 8, 12),)])


def test_the_source_is_a_file_by_itself(tmp_path):
    network = UNET.trained()
    path = tmp_path / "unet_flax.py"
    path.write_text(interop.translate(network, UNET.inputs()))
    code = (
        "import sys; sys.modules['torch'] = None; from flax import nnx; import jax.numpy as jnp, unet_flax; "
        "model = unet_flax.TorchUNet(rngs=nnx.Rngs(0)); model.eval(); "
        "print(nnx.eval_shape(lambda: model(jnp.ones((2, 16, 12, 3)))).shape)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("(2, 16, 12, 2)\n", "")


def test_it_trains():
    network = UNET.trained()
    model = interop.from_torch(network, UNET.inputs(), rngs=nnx.Rngs(0))
    x = UNET.inputs().movedim(1, -1).numpy()
    model.train()
    before = model.inc.double_conv.layers[1].mean[...]
    gradients = nnx.grad(lambda model: (model(x) ** 2).mean())(model)
    assert all(abs(leaf).max() > 0 for leaf in nnx.to_pure_dict(gradients)["outc"]["conv"].values())
    assert abs(model.inc.double_conv.layers[1].mean[...] - before).max() > 0


def test_bad_input():
    with pytest.raises(TypeError, match="module must be a torch.nn.Module, got int"):
        interop.translate(3, torch.ones(1))
    with pytest.raises(TypeError, match="inputs must be what the torch module is called with; got none"):
        interop.translate(tnn.ReLU())
    with pytest.raises(ValueError, match="the PyTorch model raised RuntimeError"):
        interop.translate(tnn.Linear(3, 4), torch.ones(2, 5))


def test_a_network_without_parameters():
    x = torch.randn(2, 3, 4, 6)

    class Half(tnn.Module):
        def forward(self, x):
            return tnn.functional.avg_pool2d(x, 2) * 0.5

    model = interop.from_torch(Half(), x)
    wanted = Half()(x).movedim(1, -1).numpy()
    assert abs(model(x.movedim(1, -1).numpy()) - wanted).max() < 1e-6
