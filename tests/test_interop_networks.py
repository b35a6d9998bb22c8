"""Networks of the kinds that are published, whole: torch to Flax and back, with torch as the judge of both ways."""

import jax
import numpy as np
import pytest
from flax import nnx

from jax_tconv import interop

torch = pytest.importorskip("torch")

from tests.networks import NETWORKS  # noqa: E402  (needs torch)

LIMIT = 1e-5  # of the largest value; what float32 makes of these depths is ten times smaller
PARAMETRIZED = [network for network in NETWORKS if network.plain is not None]

networks = pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.name)
parametrized = pytest.mark.parametrize("network", PARAMETRIZED, ids=lambda network: network.name)
kinds = pytest.mark.parametrize("kind", ["nnx", "linen"])


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """torch's threads cost more than they save on networks as small as these: here a factor of ten."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def convert(network, kind, state_dict, **options):
    """The Flax network with these tensors, to be called: an nnx module, or a linen module bound to its variables."""
    options = {"flatten": network.flatten} | options
    if kind == "nnx":
        with jax.default_prng_impl("unsafe_rbg"):  # compiles initial values, which are not kept, in a fifth of the time
            model = network.make_nnx()
        interop.load_state_dict(model, state_dict, **options)
        model.eval()
        return model
    module = network.make_linen()
    return module.bind(interop.linen_variables(module, state_dict, flax_inputs(network), **options)[0])


def exported(network, model):
    """Its tensors, as torch's `load_state_dict` takes them."""
    if isinstance(model, nnx.Module):
        return interop.to_torch(interop.state_dict(model, flatten=network.flatten))
    module, variables = model.unbind()
    return interop.to_torch(interop.linen_state_dict(module, variables, flax_inputs(network), flatten=network.flatten))


def flax_inputs(network):
    return network.inputs().movedim(1, -1).numpy()


def run(torch_network, inputs):
    with torch.inference_mode():
        return torch_network(inputs)


def assert_same_tensors(ours, theirs):
    """The same names in the same order, dtypes, shapes and bytes."""
    assert list(ours) == list(theirs)
    for name, tensor in theirs.items():
        assert ours[name].dtype == tensor.dtype, name
        assert ours[name].shape == tensor.shape, name
        assert ours[name].numpy().tobytes() == tensor.numpy().tobytes(), name


@networks
@kinds
def test_outputs_and_layers(network, kind):
    torch_network = network.trained()
    model = convert(network, kind, torch_network.state_dict())
    wanted = run(torch_network, network.inputs())
    wanted = (wanted if wanted.ndim == 2 else wanted.movedim(1, -1)).numpy()
    np.testing.assert_allclose(model(flax_inputs(network)), wanted, rtol=0, atol=LIMIT * abs(wanted).max())
    verification = interop.verify(torch_network, model, network.inputs(), tolerance=LIMIT)
    assert verification.ok, str(verification)
    assert set(layer_names(network)) <= {layer.name for layer in verification.layers}


@networks
@kinds
def test_back_into_torch(network, kind):
    torch_network = network.unparametrized()
    tensors = exported(network, convert(network, kind, torch_network.state_dict()))
    assert_same_tensors(tensors, torch_network.state_dict())
    back = network.fresh()
    back.load_state_dict(tensors, strict=True)
    assert torch.equal(run(back, network.inputs()), run(torch_network, network.inputs()))


@parametrized
@kinds
def test_parametrizations_come_back_as_torch_removes_them(network, kind):
    torch_network, plain = network.trained(), network.unparametrized()
    tensors = exported(network, convert(network, kind, torch_network.state_dict()))
    wanted = plain.state_dict()
    assert list(tensors) == list(wanted)
    folded = wanted.keys() - torch_network.state_dict().keys()
    assert folded
    for name in wanted.keys() - folded:
        assert torch.equal(tensors[name], wanted[name]), name
    for name in folded:
        # Ours is rounded once, torch's norm is a sum in float32: 1 part in 10 million or two.
        torch.testing.assert_close(tensors[name], wanted[name], rtol=1e-6, atol=0)
    network.fresh().load_state_dict(tensors, strict=True)


@networks
@kinds
def test_by_order(network, kind):
    tensors = network.trained().state_dict()
    checkpoint = nameless(network, tensors)
    if network.pairs_by_order:
        by_name = exported(network, convert(network, kind, tensors))
        assert_same_tensors(exported(network, convert(network, kind, checkpoint, match="order")), by_name)
    else:
        with pytest.raises(interop.StateDictError, match=r"q\d+.weight: could fill .*, which read it differently"):
            convert(network, kind, checkpoint, match="order")


def layer_names(network):
    """Torch's names of the layers that hold tensors."""
    return list(dict.fromkeys(name.rpartition(".")[0] for name in network.fresh().state_dict()))


def nameless(network, state_dict):
    """The same tensors with a number in place of each layer's name."""
    numbers = {layer: f"q{n}" for n, layer in enumerate(layer_names(network))}
    new = {}
    for name, tensor in state_dict.items():
        layer = next(layer for layer in numbers if name.startswith(layer + "."))
        new[name.replace(layer, numbers[layer], 1)] = tensor
    return new
