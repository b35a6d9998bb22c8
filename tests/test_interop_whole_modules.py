"""Whole pickled modules: their tensors, by the names and in the order of torch's own state_dict; nothing is run."""

import collections
import sys
import warnings

import pytest

from jax_tconv import interop
from jax_tconv.interop import CheckpointError
from tests import limits, pickling
from tests.pickling import call, dictionary, items, name, refusal, string

write = pickling.write  # the fixture


def modules():
    """torch modules, by what is particular about them."""
    torch = pytest.importorskip("torch")
    tnn = torch.nn
    conv = tnn.Conv2d(2, 2, 3)
    plain = tnn.Sequential(
        tnn.Conv2d(3, 4, 3), tnn.BatchNorm2d(4), tnn.ReLU(), tnn.ConvTranspose2d(4, 2, 2, bias=False)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # the old ones are deprecated
        normed = tnn.Sequential(
            tnn.utils.weight_norm(tnn.Conv1d(3, 4, 3)), tnn.utils.spectral_norm(tnn.Linear(4, 4)), tnn.PReLU(4)
        )
    parametrized = tnn.utils.parametrizations.weight_norm(tnn.Conv1d(3, 4, 3))
    with pytest.raises(
        RuntimeError, match="Serialization of parametrized modules is only supported through state_dict"
    ):
        parametrized.__getstate__()
    parametrized._load_state_dict_pre_hooks.clear()
    parametrized.__class__ = tnn.Conv1d  # which pickles, with the same parts
    tied = tnn.ModuleDict({"a": tnn.Linear(3, 3), "b": tnn.Linear(3, 3)})
    tied["b"].weight = tied["a"].weight
    half = tnn.Sequential(tnn.Linear(4, 4).half(), tnn.Embedding(5, 3).bfloat16(), tnn.BatchNorm1d(3, affine=False))
    named = tnn.Sequential(collections.OrderedDict(up=plain, none=None, lists=tnn.ModuleList([conv, tnn.Identity()])))
    parameters = tnn.ParameterDict({"x": tnn.Parameter(torch.randn(2)), "y": tnn.ParameterList([torch.randn(3)])})
    return {
        "plain": plain,
        "a norm": normed,
        "a parametrization": tnn.Sequential(parametrized),
        "a shared module": tnn.Sequential(conv, tnn.ReLU(), conv, tnn.Sequential(conv)),
        "a shared parameter": tied,
        "recurrent": tnn.LSTM(3, 4, num_layers=2, bidirectional=True),
        "attention": tnn.TransformerEncoderLayer(8, 2, 16),
        "half precisions": half,
        "names": named,
        "parameters": parameters,
        "nothing": tnn.Sequential(tnn.ReLU()),
        "wrapped": tnn.DataParallel(plain),
        "of the user's": net(),
    }


class Other:
    """An object whose attributes look like a module's, in part."""

    def __init__(self):
        self._modules = {"a": 1}


def net():
    """A module of the user's, with buffers that are saved and that are not, None, and attributes of every kind."""
    torch = pytest.importorskip("torch")
    cls = type("Net", (torch.nn.Module,), {"__module__": __name__})
    globals()["Net"] = cls  # where pickle looks for it
    net = cls()
    net.register_buffer("window", torch.hann_window(4))
    net.register_buffer("cache", torch.zeros(3), persistent=False)
    net.register_buffer("unset", None)
    net.register_parameter("bias", None)
    net.scale = torch.nn.Parameter(torch.randn(3))
    net.blocks = torch.nn.ModuleList([torch.nn.Linear(2, 2) for _ in range(11)])
    net.plain, net.kinds, net.other = torch.ones(2), {"a", "b"}, Other()
    net.activation, net.dtype, net.sizes = torch.nn.functional.relu, torch.float32, torch.Size([1, 2])
    return net


@pytest.mark.filterwarnings("ignore:Couldn.t retrieve source code")
@pytest.mark.parametrize("zipped", [True, False])
def test_tensors_are_those_of_the_state_dict(tmp_path, zipped):
    torch = pytest.importorskip("torch")
    for case, module in modules().items():
        wanted = module.state_dict()
        torch.save(module, tmp_path / "x.pt", _use_new_zipfile_serialization=zipped)
        torch.save({"ema": [module], "epoch": 3, "args": Other()}, tmp_path / "y.pt")
        for read in (interop.read(tmp_path / "x.pt"), interop.read(tmp_path / "y.pt", entry="ema.0") if wanted else {}):
            assert list(read) == list(wanted), case
            for key, tensor in interop.to_torch(read).items():
                assert tensor.dtype == wanted[key].dtype
                assert torch.equal(tensor, wanted[key]), (case, key)
        module.load_state_dict(interop.to_torch(read))


def test_they_fill_a_flax_model(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"model": torch.nn.Linear(2, 3), "optimizer": {"lr": 0.1}}, tmp_path / "x.pt")
    from flax import nnx

    layer = nnx.Linear(2, 3, rngs=nnx.Rngs(0))
    assert interop.load_state_dict(layer, interop.read(tmp_path / "x.pt", entry="model")).ok


def test_what_state_dict_would_not_have_as_a_plain_tensor(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save(torch.nn.LazyLinear(3), tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match=r"asks for .*UninitializedParameter, but nothing except tensors"):
        interop.read(tmp_path / "x.pt")


# Files that mean harm


def module(parameters=b"}", modules=b"}", passing=b"N", kind="trap_module.Trap"):
    """A pickled module of a class that must not be imported."""
    parts = {"_parameters": parameters, "_buffers": b"}", "_modules": modules, "_non_persistent_buffers_set": passing}
    return name(kind) + b")\x81" + dictionary(parts) + b"b"


def test_nothing_is_imported_or_called(write, tmp_path, monkeypatch):
    (tmp_path / "trap_module.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    tensors = dictionary({"a": write.tensor(), "b": b"N"})
    passing = call("builtins.set", b"](" + string("a") + b"e")  # buffers, not parameters, are left out
    path = write(module(tensors, dictionary({"inner": module(tensors, passing=passing)})))
    assert list(interop.read(path)) == ["a", "inner.a"]
    # Attributes beside the tensors are not run either.
    attack = call("builtins.exec", string("raise SystemExit"))
    assert list(interop.read(write(module(tensors) + dictionary({"x": attack}) + b"0"))) == ["a"]
    assert "asks for builtins.exec" in refusal(write(module(dictionary({"a": write.tensor(), "b": attack}))))
    assert "trap_module" not in sys.modules


def test_structures_that_no_module_has(write):
    tensors = dictionary({"a": write.tensor()})
    for wrong, message in {
        module(tensors, dictionary({"x": tensors})): "x in it stands for a module, but is none",
        module(b"}" + b"K\x01" + write.tensor() + b"s"): "a part whose name is not a string",
        module(tensors, kind="a.B").replace(b"_buffers", b"_bufferx"): "asks for a.B, but nothing except tensors",
        name("a.B") + b")\x81" + items(b"N", tensors) + b"b": "asks for a.B, but nothing except tensors",
    }.items():
        assert message in refusal(write(wrong, **({} if b"FloatStorage" in wrong else {"storages": {}})))


def within_itself():
    """A module whose own `_modules` holds it."""
    parts = b"}(" + string("_parameters") + b"}" + string("_buffers") + b"}" + string("_modules")
    return name("a.B") + b")\x81q\x01" + parts + b"}" + string("x") + b"h\x01s" + b"ub"


def tower(height):
    """A module that holds a module twice that holds a module twice."""
    value = module()
    for _ in range(height):
        value += b"q\x010" + module(modules=dictionary({"a": b"h\x01", "b": b"h\x01"}))
    return value


@pytest.mark.skipif(sys.platform != "linux", reason="limits a process's memory as Linux does")
def test_bombs(tmp_path):
    many = b"](" + b"h\x01" * 900 + b"e"
    nested = name("a.B") + b")\x81" + b"}(" + string("_parameters") + b"}" + string("_buffers") + b"}"
    nested = (nested + string("_modules") + b"}" + string("m")) * 5_000 + b"N" + b"sub" * 5_000
    names = dictionary({"x" * 10_000 + str(n): b"N" for n in range(2)})
    long_names = module(names) + b"q\x010" + module(modules=dictionary({f"y{n}": b"h\x01" for n in range(5_000)}))
    passing = module(passing=b"](" + b"N" * 10**5 + b"e") + b"q\x010"
    bombs = {
        "within itself": within_itself(),
        "a tower": tower(30),
        "a tower of few": tower(10) + b"q\x010" + many,
        "nested": nested,
        "long names": long_names,
        "names that pass": passing + module(modules=dictionary({f"y{n}": b"h\x01" for n in range(5_000)})),
    }
    paths = []
    for case, value in bombs.items():
        for write in (pickling.write_zip, pickling.write_legacy):
            paths.append(tmp_path / f"{case} {write.__name__}.pt")
            write(paths[-1], value, storages={})
    for path, outcome in zip(paths, limits.outcomes(paths), strict=True):
        assert isinstance(outcome, str), path
        assert "MemoryError" not in outcome, outcome
        assert "is not read: " in outcome, (path, outcome)
        assert len(outcome) < 1000, path
