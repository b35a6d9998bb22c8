"""What `from_torch` refuses: where it is, what was given, why, and what would do."""

from collections import OrderedDict

import pytest
from flax import nnx

from jax_tconv.interop import from_torch

torch = pytest.importorskip("torch")
prune = pytest.importorskip("torch.nn.utils.prune")
tnn = torch.nn


class OwnForward(tnn.Conv2d):
    def forward(self, x):
        return super().forward(x) * 2


def hooked(pre=False):
    layer = tnn.Linear(3, 3)
    layer.register_forward_pre_hook(lambda *args: None) if pre else layer.register_forward_hook(lambda *args: None)
    return layer


def patched():
    layer = tnn.Linear(3, 3)
    layer.forward = lambda x: x
    return layer


def parametrized(layer, *names):
    for name in names:
        getattr(torch.nn.utils.parametrizations, name)(layer)
    return layer


REFUSALS = [
    (
        lambda: tnn.Conv2d(3, 3, 3, padding=2, padding_mode="circular"),
        r"padding_mode='circular' .*CircularPad2d before",
    ),
    (
        lambda: tnn.Conv1d(3, 3, 3, padding=2, padding_mode="reflect"),
        r"padding_mode='reflect' .*ReflectionPad1d before",
    ),
    (lambda: tnn.Conv3d(3, 3, 3, padding=1, padding_mode="replicate"), r"'replicate' .*ReplicationPad3d before"),
    (lambda: tnn.BatchNorm2d(3, momentum=None), "momentum=None: .*set it to a number"),
    (lambda: tnn.BatchNorm2d(3, track_running_stats=False), "track_running_stats=False: .*set it to True"),
    (
        lambda: tnn.InstanceNorm2d(3, track_running_stats=True),
        r"track_running_stats=True in training: .*module.eval\(\).* or set it to False",
    ),
    (lambda: tnn.RMSNorm((4, 3)), r"normalized_shape=\(4, 3\): .*one axis"),
    (lambda: tnn.RMSNorm(3, elementwise_affine=False), "eps=None without a weight: .*set it to a number"),
    (lambda: tnn.Embedding(5, 3, max_norm=1.0), r"max_norm=1.0: .*set it to None"),
    (lambda: tnn.Embedding(5, 3, scale_grad_by_freq=True), "scale_grad_by_freq=True: .*set it to False"),
    (lambda: tnn.Softmax(), "dim=None is not the channels"),
    (lambda: tnn.Softmax(dim=-1), r"dim=-1 is not the channels of an input \(N, C, L\) or .*; set it to"),
    (lambda: tnn.ZeroPad2d((1, -1, 0, 0)), r"padding=\(1, -1, 0, 0\): a negative one crops"),
    (lambda: tnn.Flatten(2), "start_dim=2, end_dim=-1: only Flatten"),
    (lambda: tnn.Unflatten(2, (3, 4)), r"dim=2, unflattened_size=\(3, 4\): it has a twin where"),
    (lambda: tnn.Unflatten(1, (3,)), r"dim=1, unflattened_size=\(3,\): it has a twin where"),
    (lambda: tnn.Linear(3, 3).double(), "weights are float64, .*jax_enable_x64.*module.float()"),
    (lambda: tnn.MaxPool2d(2), r"MaxPool2d\): no twin of it is known; .*Sequential, Linear, .*Conv\*d, .*ReLU"),
    (lambda: tnn.ModuleList([tnn.Linear(3, 3)]), r"ModuleList\): no twin of it is known"),
    (lambda: tnn.RNN(3, 3), r"RNN\): no twin of it is known"),
    (lambda: tnn.LazyLinear(3), "lazy and has no weights yet; call it once"),
    (lambda: OwnForward(3, 3, 3), r"OwnForward\): it has a forward of its own, not torch.nn.Conv2d's"),
    (patched, r"Linear\): it has a forward of its own, not torch.nn.Linear's"),
    (hooked, "it has a forward hook, hooked.*; remove it"),
    (lambda: hooked(pre=True), "it has a forward hook, hooked.*; remove it"),
    (
        lambda: prune.random_unstructured(tnn.Linear(3, 3), "weight", 0.5),
        "hook, RandomUnstructured.*prune",
    ),
    (
        lambda: parametrized(tnn.Linear(3, 3), "orthogonal"),
        "its weight has the parametrization _Orthogonal.*makes it plain",
    ),
    (lambda: parametrized(tnn.Linear(3, 3), "weight_norm", "spectral_norm"), "_WeightNorm, _SpectralNorm"),
]
ALONE_ONLY = [
    (lambda: tnn.LSTM(3, 3, proj_size=2), "proj_size=2: Flax's LSTM does not project .*set it to 0"),
    (lambda: tnn.MultiheadAttention(4, 2), "batch_first=False: .*set it to True"),
    (lambda: tnn.MultiheadAttention(4, 2, batch_first=True, add_bias_kv=True), "add_bias_kv or add_zero_attn"),
    (lambda: tnn.MultiheadAttention(4, 2, batch_first=True, add_zero_attn=True), "add_bias_kv or add_zero_attn"),
    (lambda: tnn.MultiheadAttention(4, 2, batch_first=True, kdim=3), "kdim=3, vdim=4: in Flax they are one"),
]


@pytest.mark.parametrize(("make", "message"), REFUSALS + ALONE_ONLY)
def test_refusals(make, message):
    with pytest.raises(ValueError, match=rf"(?s)as it is \(1\):\n  the module itself \(.*{message}"):
        from_torch(make())


@pytest.mark.parametrize(("make", "message"), REFUSALS)
def test_refusals_name_the_place(make, message):
    module = tnn.Sequential(tnn.ReLU(), tnn.Sequential(OrderedDict(inner=make())))
    with pytest.raises(ValueError, match=rf'(?s)as it is \(1\):\n  module "1.inner" \(.*{message}'):
        from_torch(module)


FIRST_AND_LAST = [
    (tnn.Conv2d(3, 4, 3), tnn.Linear(4, 4), r"input here is \(N, C, H, W\) in PyTorch, .*\(N, C\) or \(N, ..., C\)"),
    (tnn.InstanceNorm1d(4), tnn.LayerNorm(4), r"input here is \(N, C, L\) in PyTorch, .*\(N, C\) or \(N, ..., C\)"),
    (tnn.Embedding(4, 4), tnn.Conv1d(4, 4, 1), r"input here is \(N, C\) or \(N, ..., C\) in PyTorch, .*\(N, C, L\)"),
    (tnn.Conv1d(4, 4, 1), tnn.BatchNorm2d(4), r"input here is \(N, C, L\) in PyTorch, .*\(N, C, H, W\)"),
    (tnn.Conv1d(4, 4, 1), tnn.Softmax(2), r"dim=2 is not the channels of an input \(N, C, L\)"),
    (tnn.Conv1d(4, 4, 1), tnn.Softmax(-1), r"dim=-1 is not the channels of an input \(N, C, L\)"),
    (tnn.LayerNorm((4, 4)), tnn.PReLU(4), r"input here is \(N, ..., C\) in PyTorch, .*\(N, C\) or \(N, C, L\)"),
    (tnn.Conv1d(4, 4, 1), tnn.LayerNorm((4, 4, 4)), r"input here is \(N, C, L\) in PyTorch, .*\(N, ..., C\)"),
    (tnn.Conv1d(4, 4, 1), tnn.RMSNorm(4), r"input here is \(N, C, L\) in PyTorch, .*\(N, C\) or \(N, ..., C\)"),
    (tnn.Conv2d(4, 4, 1), tnn.BatchNorm1d(4), r"input here is \(N, C, H, W\) in PyTorch, .*\(N, C\) or \(N, C, L\)"),
    # Of vectors it would be true, but a sequence of them has its second axis elsewhere.
    (tnn.Softmax(1), tnn.Linear(4, 4), r"input here is \(N, C, L\) or .* in PyTorch, .*\(N, C\) or \(N, ..., C\)"),
]


@pytest.mark.parametrize(("first", "second", "message"), FIRST_AND_LAST)
def test_layers_whose_axes_do_not_meet(first, second, message):
    """In PyTorch, a Linear after a convolution works along the width; in Flax it would work along the channels."""
    module = tnn.Sequential(first, tnn.ReLU(), tnn.Sequential(second))
    with pytest.raises(ValueError, match=rf'module "2.0" .*{message}'):
        from_torch(module)


def test_cells_and_attention_have_no_place_in_a_sequential():
    for module in (
        tnn.LSTMCell(3, 3),
        tnn.GRUCell(3, 3),
        tnn.GRU(3, 3),
        tnn.MultiheadAttention(4, 2, batch_first=True),
    ):
        with pytest.raises(ValueError, match=rf'module "0" \({type(module).__name__}\): it does not take one tensor'):
            from_torch(tnn.Sequential(module))


def test_every_fault_in_one_error():
    tied = tnn.Linear(3, 3)
    tied.weight = (first := tnn.Linear(3, 3)).weight
    # Nothing is known of what the pooling gives: the last layer has no fault.
    module = tnn.Sequential(tnn.RMSNorm((2, 2)), tnn.Sequential(first, tied, tnn.MaxPool1d(2)), tnn.Conv1d(3, 3, 1))
    with pytest.raises(ValueError, match=r"as it is \(3\)") as caught:
        from_torch(module)
    for words in ('module "0" (RMSNorm)', 'module "1.2" (MaxPool1d)', "1.0.weight and 1.1.weight are one parameter"):
        assert words in str(caught.value)


def test_a_hook_on_a_sequential():
    module = tnn.Sequential(tnn.ReLU(), tnn.Sequential(tnn.ReLU()))
    module[1].register_forward_hook(lambda *args: None)
    with pytest.raises(ValueError, match=r'module "1" \(Sequential\): it has a forward hook'):
        from_torch(module)


def test_what_is_no_torch_module():
    for value in (nnx.relu, {}, tnn.ReLU):
        with pytest.raises(TypeError, match=f"module must be a torch.nn.Module, got {type(value).__name__}"):
            from_torch(value)
