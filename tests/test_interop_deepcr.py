"""All ten checkpoints that deepCR ships, whole and layer by layer, against deepCR's own PyTorch code."""

import numpy as np
import pytest
from flax import nnx

from jax_tconv import interop

torch = pytest.importorskip("torch")

from examples.deepcr import linen_model  # noqa: E402
from examples.deepcr.checkpoints import CHECKPOINTS  # noqa: E402
from examples.deepcr.fetch import FetchError, fetch  # noqa: E402
from examples.deepcr.star_field import star_field  # noqa: E402

LIMIT = 1e-5  # of the largest value; ten times what rounding makes of these layers

every_checkpoint = pytest.mark.parametrize("checkpoint", CHECKPOINTS.values(), ids=CHECKPOINTS)
kinds = pytest.mark.parametrize("kind", ["nnx", "linen"])


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """torch's threads cost more than they save on networks as small as these: here a factor of ten."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder():
    try:
        return fetch()
    except FetchError as error:
        pytest.skip(f"deepCR could not be fetched: {error}")


def convert(checkpoint, folder, kind):
    """The twin with the checkpoint's tensors, read from its file: an nnx module, or a bound linen module."""
    tensors = interop.read(checkpoint.path(folder))
    if kind == "nnx":
        model = nnx.eval_shape(checkpoint.flax_network)  # initial values would take longer than all the rest
        interop.load_state_dict(model, tensors)
        return model
    module = linen_model.UNet(checkpoint.hidden, checkpoint.levels, checkpoint.batch_norm, checkpoint.sigmoid)
    return module.bind(interop.linen_variables(module, tensors, flax_inputs(checkpoint))[0])


def inputs(checkpoint):
    return torch.from_numpy(checkpoint.input(*star_field(size=32, stars=5, rays=3)))


def flax_inputs(checkpoint):
    return inputs(checkpoint).movedim(1, -1).numpy()


def run(network, checkpoint):
    with torch.inference_mode():
        return network(inputs(checkpoint))


def allowed_error(network, checkpoint):
    """LIMIT of the largest value of the last convolution, which a sigmoid flattens to a quarter at least."""
    given = []
    hook = network.outc.register_forward_hook(lambda module, args, output: given.append(float(output.abs().max())))
    run(network, checkpoint)
    hook.remove()
    return LIMIT * given[0] / (4 if checkpoint.sigmoid else 1)


def test_none_is_left_out(folder):
    models = folder / "learned_models"
    assert {path.relative_to(models).with_suffix("").as_posix() for path in models.rglob("*.pth")} == set(CHECKPOINTS)
    assert len(CHECKPOINTS) == 10


@every_checkpoint
@kinds
def test_outputs_and_layers(checkpoint, kind, folder):
    network = checkpoint.torch_network(folder)
    model = convert(checkpoint, folder, kind)
    wanted = run(network, checkpoint).movedim(1, -1).numpy()
    ours = model(flax_inputs(checkpoint))
    np.testing.assert_allclose(ours, wanted, rtol=0, atol=allowed_error(network, checkpoint))
    verification = interop.verify(network, model, inputs(checkpoint))
    assert verification.ok, str(verification)
    assert max(layer.relative for layer in verification.layers) <= LIMIT, str(verification)
    layers = torch.nn.Conv2d | torch.nn.ConvTranspose2d | torch.nn.BatchNorm2d
    wanted = {name for name, module in network.named_modules() if isinstance(module, layers)}
    assert wanted <= {layer.name for layer in verification.layers}


@every_checkpoint
@kinds
def test_back_into_torch(checkpoint, kind, folder):
    network = checkpoint.torch_network(folder)
    counts = {int(value) for name, value in network.state_dict().items() if name.endswith("num_batches_tracked")}
    options = {"num_batches_tracked": max(counts, default=0)}
    model = convert(checkpoint, folder, kind)
    if kind == "nnx":
        tensors = interop.state_dict(model, **options)
    else:
        module, variables = model.unbind()
        tensors = interop.linen_state_dict(module, variables, flax_inputs(checkpoint), **options)
    before = run(network, checkpoint)
    if checkpoint.batch_norm:
        for name, tensor in network.state_dict().items():
            assert tensors[name].dtype == tensor.numpy().dtype, name
            assert tensors[name].tobytes() == tensor.numpy().tobytes(), name
    else:
        for module in network.modules():
            if hasattr(module, "weight_g"):
                torch.nn.utils.remove_weight_norm(module)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(torch.nan)
    network.load_state_dict(interop.to_torch(tensors), strict=True)
    after = run(network, checkpoint)
    if checkpoint.batch_norm:
        assert torch.equal(after, before)
    else:
        # Folded once here and at every call in torch, which rounds otherwise.
        torch.testing.assert_close(after, before, rtol=0, atol=allowed_error(network, checkpoint))
