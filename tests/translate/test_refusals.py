"""What cannot be translated is refused, all of it, with the place, the line, the reason and what would do."""

import collections
import dataclasses
import subprocess
import sys

import jax.numpy as jnp
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from jax_tconv import interop
from jax_tconv.interop import TranslationError

from .check import check, executed, translated

HERE = "test_refusals.py"
LARGE = torch.linspace(0, 1, 1000) ** 2
SMALL = torch.tensor([1.0, 2.0, 4.0, 8.0])


class Part(nn.Module):
    """A part that does something after a convolution."""

    def __init__(self, function):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.function = function

    def forward(self, x):
        return self.function(self.conv(x))


class Whole(nn.Module):
    """A network with a part in it, and something before and after."""

    def __init__(self, part):
        super().__init__()
        self.before = nn.Conv2d(3, 3, 1)
        self.part = part
        self.after = nn.Conv2d(3, 3, 1)

    def forward(self, x):
        x = self.before(x)
        return self.after(x), self.part(x)


def image():
    return torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0))


def refused(module, *inputs, **options):
    """What is said of a module that cannot be translated, which stays as it was."""
    modes = [part.training for part in module.modules()]
    before = {word: tensor.clone() for word, tensor in module.state_dict().items()} if _plain(module) else {}
    with pytest.raises(TranslationError) as raised:
        interop.translate(module, *(inputs or (image(),)), **options)
    assert [part.training for part in module.modules()] == modes
    for word, tensor in before.items():
        torch.testing.assert_close(module.state_dict()[word], tensor, rtol=0, atol=0)
    assert str(raised.value).count("\n") == len(raised.value.refusals)
    return raised.value.refusals


def _plain(module):
    return not any(torch.nn.parameter.is_lazy(tensor) for tensor in (*module.parameters(), *module.buffers()))


def judge(function, *words):
    """Has a function refused, once, within a network: the place and the line are named, and these words said."""
    (refusal,) = refused(Whole(Part(function)))
    line = function.__code__.co_firstlineno
    assert refusal.startswith("part (")
    number = int(refusal.split(f"{HERE}:")[1].split(")")[0])
    assert line <= number <= max(n for *_, n in function.__code__.co_lines() if n)
    for word in words:
        assert word in refusal
    assert "; " in refusal, "it says what would do"
    partly(Whole(Part(function)))


def partly(module, *inputs):
    """The part that can be translated: it passes ruff, can be made, and says what is missing where it is called."""
    source, _ = translated(module, *(inputs or (image(),)), partial=True)
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--line-length", "120", "--select", "E,F,W,I", "-"]
    done = subprocess.run(command, input=source, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stdout
    assert "# TODO" in source
    assert "NotImplementedError" in source
    executed(source)
    return source


# Values


def test_branches_on_values():
    def branch(y):
        return y + 1 if y.mean() > 0 else y - 1

    def loop(y):
        while (y**2).sum() > 1:
            y = y / 2
        return y

    judge(branch, "a branch depends on the values")
    judge(lambda y: y if (y > 0).any() else -y, "a branch depends on the values")
    judge(lambda y: y * 2 if torch.equal(y, y) else y, "a branch depends on the values")
    judge(lambda y: y * 2 if 0.5 in y else y, "a branch depends on the values")
    (first, *_) = refused(Whole(Part(loop)))
    assert "a branch depends on the values" in first


def test_values_as_numbers():
    judge(lambda y: y * y.mean().item(), "used as a Python number")
    judge(lambda y: y * float(y.mean()), "used as a Python number")
    judge(lambda y: y[: int(y.argmax()) + 1], "used as a Python number")
    judge(lambda y: y * torch.tensor(y.amax((0, 1)).tolist()), "used as Python numbers")
    judge(lambda y: torch.from_numpy(y.numpy() * 2), "leave torch")
    judge(lambda y: y * torch.as_tensor(np.asarray(y).max()), "leave torch")


def test_branches_on_shapes_and_fixed_tensors_are_followed():
    def forward(y):
        if y.shape[2] > 3 and torch.arange(3).sum() == 3 and len(y) and y.dim() == 4:
            return y[:, :2] * torch.arange(4).max().item()
        return y

    check(Part(forward), image())


def test_shapes_that_depend_on_values():
    for function in (
        lambda y: y + y.nonzero().sum(),
        lambda y: torch.nonzero(y > 0),
        lambda y: y.unique(),
        lambda y: torch.masked_select(y, y > 0),
        lambda y: torch.bincount((y > 0).flatten().long()),
    ):
        judge(function, "the shape of what it gives depends on values")
    judge(lambda y: y[y > 0], "what a mask selects depends on its values", "torch.where")
    judge(lambda y: torch.where(y > 0), "depends on values")
    judge(lambda y: F.one_hot((y > 0).long()), "classes")


def test_writes_by_values_of_unknown_number():
    def forward(y):
        y[y > 0] = torch.arange((y > 0).sum().item()).float()
        return y

    assert len(refused(Whole(Part(forward)))) == 2


# Memory


def test_writes_into_what_is_used_otherwise():
    def view(y):
        first = y[:, 0]
        y.add_(1)
        return y + first[:, None]

    def detached(y):
        copy = y.detach()
        y.mul_(2)
        return y + copy

    def strange(y):
        y.expand(2, 2, 3, 4, 4)[0].add_(1)
        return y * 2

    judge(view, "used after a write into another that shares its memory")
    judge(detached, "used after a write into another that shares its memory")
    judge(strange, "used after a write into another that shares its memory")
    judge(lambda y: torch.as_strided(y, (2, 2), (1, 2)), "memory")


def test_a_part_that_writes_into_its_argument():
    class Caller(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)
            self.part = Writer()

        def forward(self, x):
            y = self.conv(x)
            return self.part(y) + y

    class Writer(nn.Module):
        def forward(self, y):
            return y.mul_(2).abs()

    (refusal,) = refused(Caller())
    assert refusal.startswith("the module itself (test_refusals.py:")
    assert "shares its memory" in refusal


def test_parts_that_do_not_overlap_are_no_matter():
    def forward(y):
        first, rest = y.split([1, 2], 1)
        first.mul_(2)
        rest = rest * 3
        a, b = y[0], y[1]
        a += 1
        return torch.cat([first, rest], 1), b

    with pytest.raises(TranslationError, match="shares its memory"):
        check(Part(forward), image())  # `first` overlaps `a`

    def apart(y):
        first, rest = y.split([1, 2], 1)
        first.mul_(2)
        return torch.cat([first, rest], 1), y

    check(Part(apart), image())


def test_writes_into_what_lasts():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("count", torch.zeros(1))
            self.register_buffer("queue", torch.zeros(2, 3))
            self.weight = nn.Parameter(torch.ones(3))

        def forward(self, x):
            self.count += 1
            self.queue[0] = x.mean((0, 2, 3))
            self.weight.clamp_(0, 1)
            return x * self.count

    found = refused(Whole(Counting()))
    assert [words.split(": ")[1].split(";")[0] for words in found] == [
        "it writes into part.count",
        "it writes into part.queue",
        "it writes into part.weight",
    ]
    partly(Whole(Counting()))


def test_what_is_kept_from_one_call_to_the_next():
    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.hidden = torch.zeros(2, 3, 4, 4)
            self.register_buffer("mean", torch.zeros(3))

        def forward(self, x):
            self.hidden = self.hidden * 0.5 + x
            self.mean = x.mean((0, 2, 3))
            return self.hidden

    network = Recurrent()
    found = refused(Whole(network))
    assert "it keeps hidden from one call to the next" in found[0]
    assert "it keeps mean from one call to the next" in found[1]
    assert float(network.hidden.sum()) == 0
    assert "hidden" in vars(network)
    assert float(network.mean.sum()) == 0


def test_a_cache_is_made_again_and_again():
    class Cached(nn.Module):
        def __init__(self):
            super().__init__()
            self.positions = None

        def forward(self, x):
            if self.positions is None or len(self.positions) != x.shape[-1]:
                self.positions = torch.arange(x.shape[-1]) / x.shape[-1]
            return x + self.positions

    network = Cached()
    check(network, image(), also=[(torch.ones(3, 3, 4, 6),)])
    translated(network, image())
    assert network.positions is not None


# Calls


class Straight(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.round()

    @staticmethod
    def backward(ctx, gradient):
        return gradient


def doubled(x):
    return x * 2 + 1


def test_functions_that_are_not_seen():
    judge(lambda y: Straight.apply(y), "Straight, an autograd function of its own", "jax.custom_vjp")
    judge(lambda y: y * torch.FloatTensor([1.0, 2.0, 3.0, 4.0]), "made where PyTorch does not show it")


def test_scripted_functions_are_followed():
    with pytest.warns(DeprecationWarning, match="deprecated"):
        scripted = torch.jit.script(doubled)
    assert "y * 2 + 1" in check(Part(lambda y: scripted(y)), image())


@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_functions_that_are_not_known():
    judge(lambda y: torch.linalg.pinv(y), "no translation of torch's pinv is known", "write that part in Flax")
    judge(lambda y: torch.add(y, 1, out=torch.empty_like(y)), "is there already")
    judge(lambda y: torch.quantize_per_tensor(y, 0.1, 0, torch.quint8).dequantize(), "quantized")


def test_random_numbers_in_evaluation():
    for function in (
        lambda y: y + torch.randn_like(y),
        lambda y: y * torch.rand(3, 1, 1),
        lambda y: y + torch.empty(4).normal_(),
        lambda y: torch.bernoulli(y.sigmoid()),
        lambda y: F.gumbel_softmax(y, dim=1),
        lambda y: y[torch.randperm(2)],
    ):
        judge(function, "it draws random numbers in evaluation", "as an argument")
    judge(lambda y: F.dropout(y, 0.5), "drops in evaluation", "training=self.training")
    judge(lambda y: y if torch.rand(1) < 0.5 else -y, "a branch depends")


def test_constants_from_outside():
    judge(lambda y: y.flatten()[:5] * LARGE[:5], "1,000 values", "register it as a buffer")
    source = check(Part(lambda y: y * SMALL), image())
    assert "jnp.array([1.0, 2.0, 4.0, 8.0])" in source


def test_modules_that_are_not_its_own():
    stray = nn.Conv2d(3, 3, 1)
    judge(lambda y: stray(y), "a Conv2d that is not one of its modules", "ModuleList")
    check(Part(lambda y: nn.MaxPool2d(2)(nn.ReLU()(y))), image())


def test_tensors_of_other_modules():
    class Sharing(nn.Module):
        def __init__(self, other):
            super().__init__()
            self.others = [other]

        def forward(self, x):
            return x * self.others[0].weight.mean()

    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)
            self.part = Sharing(self.conv)
            self.keep = Keeper()

        def forward(self, x):
            return self.keep(self.conv(x)) + self.part(x)

    class Keeper(nn.Module):
        def forward(self, x):
            return Inner(x)()

    class Inner:
        def __init__(self, x):
            self.x = x

        def __call__(self):
            return self.x + 1

    (refusal,) = refused(Both())
    assert refusal.startswith("part (")
    assert "it uses conv.weight, a parameter of a module that is not in it" in refusal


def test_a_tensor_that_a_part_was_not_called_with():
    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.part = Peeking()

        def forward(self, x):
            y = x * 2
            self.part.seen = [y]
            return self.part(x)

    class Peeking(nn.Module):
        def forward(self, x):
            return x + self.seen[0]

    (refusal,) = refused(Outer())
    assert "it uses a tensor that it was not called with; give it the tensor as an argument" in refusal


def test_different_things_in_different_calls():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.part = Optional()

        def forward(self, x):
            y = self.part(x, scale=None)
            return self.part(y, y.mean((2, 3), keepdim=True)) + self.part(y, mode="sum")

    class Optional(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(3, 3, 1)

        def forward(self, x, scale=None, mode="mean"):
            x = self.conv(x)
            return x.sum() if mode == "sum" else x if scale is None else x * scale

    found = refused(Twice())
    assert found[0].startswith("part: it does different things in different calls; use a module of its own for each")


# Results


def test_results_in_which_tensors_are_hidden():
    class Output:
        def __init__(self, x):
            self.x = x

    class Giving(nn.Module):
        def __init__(self, kind):
            super().__init__()
            self.kind = kind

        def forward(self, x):
            return self.kind(x)

    (refusal,) = refused(Giving(Output))
    assert (
        "it gives Output, a thing in which tensors cannot be found; give tuples, lists, dicts or dataclasses" in refusal
    )
    (refusal,) = refused(Giving(lambda x: (one for one in [x])))
    assert "generator" in refusal
    (refusal,) = refused(Giving(lambda x: {x}))
    assert "set" in refusal
    partly(Giving(Output))


@dataclasses.dataclass
class Fields:
    map: torch.Tensor
    mean: torch.Tensor | None = None
    size: int = 0


class Named(collections.OrderedDict):
    """As the outputs of transformers are."""

    def __getattr__(self, name):
        return self[name]


def test_results_with_fields():
    class Inner(nn.Module):
        def __init__(self, kind):
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 3)
            self.kind = kind

        def forward(self, x):
            y = self.conv(x)
            return self.kind(map=y, mean=y.mean((2, 3)), size=y.shape[2])

    class Outer(nn.Module):
        def __init__(self, kind):
            super().__init__()
            self.inner = Inner(kind)

        def forward(self, x):
            found = self.inner(x)
            return found.map.reshape(-1, 4 * found.size**2) + found.mean.sum(), found

    for kind in (Fields, Named):
        network = Outer(kind)
        source = check(network, image(), also=[(torch.ones(1, 3, 6, 6),)])
        assert '["size"] ** 2' in source


def test_arguments_with_fields():
    class Inner(nn.Module):
        def forward(self, given):
            return given.map * given.size + given.mean

    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = Inner()

        def forward(self, x):
            return self.inner(Fields(x, x.mean(), x.shape[2])) + self.inner(Fields(x, x.sum(), size=x.shape[2]))

    check(Outer(), image(), also=[(torch.ones(1, 3, 6, 6),)])
    source, _ = translated(Inner(), Fields(image(), torch.ones(()), 3))
    assert 'given["map"]' in source


# Modules that are refused as they are


def test_hooks():
    network = Whole(nn.ReLU())
    network.after.register_forward_hook(lambda module, args, result: result * 2)
    network.before.register_forward_pre_hook(lambda module, args: None)
    found = refused(network)
    assert found[0].startswith("before: it has a forward hook")
    assert found[1].startswith("after: it has a forward hook")
    assert all("; remove it" in words for words in found)


def test_hooks_of_modules_that_are_looked_into_are_followed():
    network = Whole(Part(torch.relu))
    network.part.register_forward_hook(lambda module, args, result: result * 2)
    network.part.register_forward_pre_hook(lambda module, args: (args[0] + 1,))
    check(network, image())


def test_hooks_that_fold_are_none():
    network = Whole(nn.Conv2d(3, 3, 1))
    with pytest.warns(FutureWarning):
        nn.utils.weight_norm(network.part)
    interop.translate(network.eval(), image())


def test_parameters_that_several_modules_share():
    network = Whole(nn.Conv2d(3, 3, 1))
    network.after.weight = network.before.weight
    (refusal,) = refused(network)
    assert "before.weight and after.weight are one parameter, and would be several; give each module its own" in refusal


def test_modules_without_weights_or_code():
    (refusal,) = refused(Whole(nn.LazyConv2d(3, 1)))
    assert refusal == "part: it is a lazy LazyConv2d and has no weights yet; call the network once"
    with pytest.warns(DeprecationWarning, match="deprecated"):
        traced = torch.jit.trace(nn.Conv2d(3, 3, 1), image())
    (refusal,) = refused(Whole(traced))
    assert refusal.startswith("part: it is compiled by TorchScript")


def test_layers_that_flax_has_otherwise():
    class Unused(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm2d(3, track_running_stats=False)

        def forward(self, x):
            return x * 2

    for part in (
        nn.BatchNorm2d(3, track_running_stats=False),
        Unused(),
        nn.Sequential(*Unused().children(), nn.ReLU()),
    ):
        (refusal,) = refused(Whole(part))
        assert "track_running_stats=False: Flax's BatchNorm always keeps running statistics" in refusal
        assert "set it to True" in refusal
        source, _ = translated(Whole(part), image(), partial=True)
        executed(source)
        assert "self.after" in source


def test_parametrizations_that_do_not_fold():
    network = Whole(nn.utils.parametrizations.orthogonal(nn.Conv2d(3, 3, 1)))
    (refusal,) = refused(network)
    assert refusal.startswith("part: its weight has the parametrization _Orthogonal, and only")
    assert refusal.endswith("remove_parametrizations makes it plain")


class Frozen(dict):
    """As the configurations of diffusers are."""

    def update(self, *args, **kwargs):
        raise TypeError("it is frozen")


def test_attributes_that_cannot_be_set_again():
    network = Whole(Part(torch.relu))
    network.config, network.table = Frozen(width=3), {"width": 3}
    before = network.config, network.table
    translated(network, image())
    assert (network.config, network.table) == ({"width": 3}, {"width": 3})
    assert network.config is before[0]
    assert network.table is before[1]


# Everything at once, and nothing half


def test_all_of_it_is_one_list():
    class Many(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = Part(lambda y: y + torch.randn_like(y))
            self.second = Whole(Part(lambda y: y if y.sum() > 0 else -y))
            self.third = Part(lambda y: torch.linalg.pinv(y))
            self.fine = Part(lambda y: y.relu())

        def forward(self, x):
            x = self.fine(self.first(x))
            return self.third(sum(self.second(x))).nonzero()

    found = refused(Many())
    assert [words.split(" ")[0] for words in found] == ["first", "second.part", "third", "the"]
    source = partly(Many())
    assert source.count("# TODO") == 4
    assert source.count("missing(") == 4  # one of which is the function
    assert "nnx.relu" in source


def test_what_is_missing_is_raised_where_it_belongs():
    network = Whole(Part(lambda y: torch.linalg.pinv(y)))
    source = partly(network)
    cls = executed(source)
    from flax import nnx

    model = cls(rngs=nnx.Rngs(0))
    with pytest.raises(NotImplementedError, match="no translation of torch's pinv is known"):
        model(jnp.ones((1, 4, 4, 3)))
    interop.load_state_dict(model, network.state_dict())


# Inputs


def test_inputs_that_do_not_fit():
    network = Whole(Part(torch.relu))
    with pytest.raises(ValueError, match=r"the PyTorch model raised RuntimeError in 'before' \(Conv2d\): .*channels"):
        interop.translate(network, torch.ones(1, 4, 4, 4))
    with pytest.raises(ValueError, match="the PyTorch model raised TypeError: too many positional arguments"):
        interop.translate(network, image(), image())
    assert network.training


def test_arguments_of_other_kinds():
    class Options(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = Inner()

        def forward(self, x, mode, scale=None, flag=False, sizes=(2, 2), dtype=torch.float32):
            y = self.inner(x, mode, flag=flag, scale=scale)
            return F.interpolate(y, size=sizes, mode=mode).to(dtype)

    class Inner(nn.Module):
        def forward(self, x, mode, *, scale=None, flag=True):
            assert mode == "nearest"
            return x * 2 if flag else x if scale is None else x * scale

    check(Options(), image(), "nearest")
    check(Options(), image(), "nearest", 0.5)
    check(Options(), image(), "nearest", None, True, (3, 5), torch.int32)


def test_a_module_in_training_is_translated_in_evaluation():
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm2d(3)
            self.drop = nn.Dropout(0.5)

        def forward(self, x):
            x = self.drop(self.norm(x))
            return (x, x.mean()) if self.training else x

    network = Both()
    network.norm.eval()
    before = network.norm.running_mean.clone()
    source, _ = translated(network, image())
    assert network.training
    assert not network.norm.training
    assert network.drop.training
    torch.testing.assert_close(network.norm.running_mean, before)
    assert "self.drop(self.norm(x))" in source
