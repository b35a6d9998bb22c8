"""match="order": pairing by type, shape and order where no name matches, and an error where that is not certain."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

import jax_tconv.nnx
from jax_tconv import interop

torch = pytest.importorskip("torch")
RNGS = nnx.Rngs(0)


def checkpoint(*layers):
    """The tensors of torch layers under names that no model has."""
    tensors = {}
    for n, layer in enumerate(layers):
        for name, value in layer.state_dict().items():
            tensors[f"stage_{n}.op.{name}"] = torch.rand_like(value) if value.is_floating_point() else value
    return tensors


class Net(nnx.Module):
    # Defined in another order than the alphabet's.
    def __init__(self):
        self.z_in = nnx.Conv(3, 8, (3, 3), rngs=RNGS)
        self.norm = nnx.BatchNorm(8, rngs=RNGS)
        self.mid = nnx.Conv(8, 8, (3, 3), rngs=RNGS)
        self.also = nnx.Conv(8, 8, (3, 3), rngs=RNGS)
        self.attention = nnx.MultiHeadAttention(2, 8, rngs=RNGS)
        self.up = jax_tconv.nnx.ConvTranspose(8, 4, (4, 4), 2, rngs=RNGS)


LAYERS = (
    torch.nn.Conv2d(3, 8, 3),
    torch.nn.BatchNorm2d(8),
    torch.nn.Conv2d(8, 8, 3),
    torch.nn.Conv2d(8, 8, 3),
    torch.nn.MultiheadAttention(8, 2),
    torch.nn.ConvTranspose2d(8, 4, 4),
)


def test_nnx_in_order_of_definition():
    torch.manual_seed(0)
    tensors, net = checkpoint(*LAYERS), Net()
    report = interop.load_state_dict(net, tensors, match="order")
    pairs = {row.source[0]: row.name for row in report.with_status("loaded")}
    assert pairs["stage_2.op.weight"] == "mid.weight"
    assert pairs["stage_4.op.in_proj_weight"] == "attention.in_proj_weight"
    assert "stage_3.op.weight" in report.table(all=True, width=1000)
    exported = interop.state_dict(net)
    assert [v.tobytes() for v in exported.values()] == [v.numpy().tobytes() for v in tensors.values()]


def test_linen_in_order_of_calls():
    class Net(nn.Module):
        @nn.compact
        def __call__(self, x):
            x = nn.BatchNorm(use_running_average=True)(nn.Conv(4, (3, 3))(x))
            return nn.Conv(4, (3, 3), name="a_last")(nn.Conv(4, (3, 3), name="second")(x))

    torch.manual_seed(0)
    tensors = checkpoint(
        torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Conv2d(4, 4, 3), torch.nn.Conv2d(4, 4, 3)
    )
    variables, _ = interop.linen_variables(Net(), tensors, jnp.ones((1, 8, 8, 3)), match="order")
    wanted = tensors["stage_3.op.bias"].numpy()
    np.testing.assert_array_equal(variables["params"]["a_last"]["bias"], wanted)


def test_names_that_match_come_first():
    torch.manual_seed(0)
    tensors = checkpoint(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3))
    net = nnx.Sequential(nnx.Linear(3, 3, rngs=RNGS), nnx.Linear(3, 3, rngs=RNGS))
    interop.load_state_dict(net, tensors, match="order", rename={"stage_1.op": "0"})
    np.testing.assert_array_equal(net.layers[0].bias[...], tensors["stage_1.op.bias"])
    np.testing.assert_array_equal(net.layers[1].bias[...], tensors["stage_0.op.bias"])


def test_another_order_is_fine_where_each_shape_is_there_once():
    torch.manual_seed(0)
    tensors = checkpoint(torch.nn.Linear(4, 5), torch.nn.Linear(3, 4))
    net = nnx.Sequential(nnx.Linear(3, 4, rngs=RNGS), nnx.Linear(4, 5, rngs=RNGS))
    interop.load_state_dict(net, tensors, match="order")
    np.testing.assert_array_equal(net.layers[0].bias[...], tensors["stage_1.op.bias"])


def refused(net, tensors, words):
    before = interop.state_dict(net)
    for strict in (True, False):
        with pytest.raises(interop.StateDictError, match=words):
            interop.load_state_dict(net, tensors, match="order", strict=strict)
    for name, value in interop.state_dict(net).items():
        np.testing.assert_array_equal(value, before[name])


def test_another_order_with_two_alike_is_ambiguous():
    net = nnx.Sequential(nnx.Linear(3, 4, rngs=RNGS), nnx.Linear(4, 4, rngs=RNGS), nnx.Linear(4, 4, rngs=RNGS))
    tensors = checkpoint(torch.nn.Linear(4, 4), torch.nn.Linear(3, 4), torch.nn.Linear(4, 4))
    refused(net, tensors, r"(?s)stage_0.op.weight: could fill '1' or '2': say which with rename.*stage_2.op.weight")


def test_a_square_convolution_and_a_transposed_one_are_ambiguous():
    net = nnx.Sequential(nnx.Conv(4, 4, (4, 4), rngs=RNGS), jax_tconv.nnx.ConvTranspose(4, 4, (4, 4), rngs=RNGS))
    tensors = checkpoint(torch.nn.ConvTranspose2d(4, 4, 4), torch.nn.Conv2d(4, 4, 4))
    refused(net, tensors, r"stage_0.op.weight: could fill '0' or '1', which read it differently: say which with rename")
    interop.load_state_dict(net, tensors, match="order", rename={"stage_0.op": "1"})
    wanted = tensors["stage_1.op.weight"].permute(2, 3, 1, 0)
    np.testing.assert_array_equal(net.layers[0].kernel[...], wanted)


@pytest.mark.parametrize("rebuild", [nnx.clone, lambda net: nnx.merge(*nnx.split(net))])
def test_a_model_whose_order_is_lost(rebuild):
    class TwoAlike(nnx.Module):
        def __init__(self):
            self.z_first = nnx.Linear(3, 3, rngs=RNGS)
            self.a_second = nnx.Linear(3, 3, rngs=RNGS)

    torch.manual_seed(0)
    tensors = checkpoint(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3))
    net = TwoAlike()
    refused(rebuild(net), tensors, "could fill 'a_second' or 'z_first' .*eval_shape.*has lost its order")
    interop.load_state_dict(net, tensors, match="order")
    np.testing.assert_array_equal(net.z_first.bias[...], tensors["stage_0.op.bias"])
    # Lists keep their order, and what has a shape of its own needs none.
    net = rebuild(nnx.Sequential(nnx.Linear(3, 3, rngs=RNGS), nnx.Linear(3, 3, rngs=RNGS)))
    interop.load_state_dict(net, tensors, match="order")
    np.testing.assert_array_equal(net.layers[1].bias[...], tensors["stage_1.op.bias"])


def test_long_lists_are_in_order():
    torch.manual_seed(0)
    tensors = checkpoint(*(torch.nn.Linear(3, 3) for _ in range(12)))
    net = nnx.Sequential(*(nnx.Linear(3, 3, rngs=RNGS) for _ in range(12)))
    for model in (net, nnx.clone(net)):
        interop.load_state_dict(model, tensors, match="order")
        for n, layer in enumerate(model.layers):
            np.testing.assert_array_equal(layer.bias[...], tensors[f"stage_{n}.op.bias"])


def test_one_layer_too_many():
    net = nnx.Sequential(nnx.Linear(3, 3, rngs=RNGS))
    refused(net, checkpoint(torch.nn.Linear(3, 3), torch.nn.Linear(3, 3)), "could fill '0': say which with rename")
    with pytest.raises(interop.StateDictError, match=r"(?s)missing.*0.weight.*unexpected.*stage_0.op.weight"):
        interop.load_state_dict(net, checkpoint(torch.nn.Linear(5, 5)), match="order")


def test_another_match():
    with pytest.raises(ValueError, match='match must be "name" or "order", got \'shape\''):
        interop.load_state_dict(Net(), {}, match="shape")
