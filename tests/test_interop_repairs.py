"""What an error says to type: each is typed, in Python and on the command line, and then everything loads."""

import ast
import re
import shlex
import sys

import numpy as np
import pytest
from flax import linen as nn
from flax import nnx

from jax_tconv import interop
from jax_tconv.cli import main
from jax_tconv.cli.spelling import as_options

RNGS = nnx.Rngs(0)


class Net(nnx.Module):
    def __init__(self, rngs=RNGS):
        self.encoder = nnx.Sequential(nnx.Linear(3, 4, rngs=rngs), nnx.relu, nnx.Linear(4, 3, rngs=rngs))
        self.body = nnx.Sequential(
            nnx.Conv(3, 4, (3, 3), rngs=rngs),
            nnx.BatchNorm(4, rngs=rngs),
            nnx.relu,
            nnx.Conv(4, 5, (3, 3), rngs=rngs),
            nnx.Sequential(nnx.Conv(5, 6, (3, 3), rngs=rngs), nnx.Conv(6, 6, (3, 3), rngs=rngs)),
            nnx.BatchNorm(6, rngs=rngs),
        )
        self.up1 = nnx.Linear(4, 4, rngs=rngs)
        self.up2 = nnx.Linear(4, 4, rngs=rngs)
        self.out_conv = nnx.Conv(6, 1, (1, 1), rngs=rngs)


def distinct(net):
    """The net's tensors, every value another one, so that a wrong pairing shows."""
    start, result = 0.0, {}
    for name, tensor in interop.state_dict(net).items():
        values = np.arange(start, start + tensor.size).reshape(tensor.shape)
        result[name], start = values.astype(tensor.dtype), start + tensor.size
    return result


TENSORS = distinct(Net())


def renamed(*rules):
    result = {}
    for name, tensor in TENSORS.items():
        for old, new in rules:
            name = re.sub(old, new, name)
        result[name] = tensor
    return result


def shifted(name, after, by):
    """A rule that moves the numbers of `name` that are larger than `after`."""
    return rf"(?<=^{name}\.)\d+", lambda found: str(int(found[0]) + by * (int(found[0]) > after))


SHIFTED = "index shifted by one after 3 in 'body'"
CLOSE = "'outc.' is close to the model's 'out_conv.'"
CASES = {
    "close": ([("^out_conv", "outc")], CLOSE, {"outc.": "out_conv."}),
    "two": ([("^up", "upsample")], "'upsample1.' is close to the model's 'up1.' and 1 more", None),
    "inside": ([(r"^encoder\.2", "encoder.last")], "", None),
    "deep": ([(r"^body\.4", "body.4_block")], "'body.4_block.' is close to the model's 'body.4.'", None),
    "part": ([("^encoder", "g.encoder")], "some names begin with 'g.', which the model's do not", {"g.": ""}),
    "prefix": ([("^", "model.g.")], "its names begin with 'model.g.', which the model's do not", {"model.g.": ""}),
    "wrapped": ([("^out_conv", "outc"), ("^", "module.")], CLOSE, {"outc.": "out_conv."}),
    "shift": ([shifted("body", 3, 1)], SHIFTED, {"body.5.": "body.4.", "body.6.": "body.5."}),
    "shift by two": (
        [shifted("body", 0, 2)],
        "index shifted by 2 after 0 in 'body'",
        {f"body.{n + 2}.": f"body.{n}." for n in (1, 3, 4, 5)},
    ),
    "several shifts": (
        [shifted("body", 3, 1), shifted("body", 5, 1)],
        "its indices are 0, 1, 3, 5, 7 where the model's are 0, 1, 3, 4, 5 in 'body'",
        {"body.5.": "body.4.", "body.7.": "body.5."},
    ),
    "both": (
        [shifted("body", 3, 1), ("^out_conv", "outc")],
        f"{SHIFTED}, and {CLOSE}",
        {"body.5.": "body.4.", "body.6.": "body.5.", "outc.": "out_conv."},
    ),
    "order": (
        [(r"\.(weight|bias|running_mean|running_var|num_batches_tracked)$", r"+\1"), (r"[.]", "_"), (r"\+", ".x.y.")],
        "its names are not the model's, but types, shapes and order fit",
        "order",
    ),
}
CASES["order"][0][2] = (r"\+", ".")
CASES["order"][0].insert(0, (r"^", "stage-"))


def arguments(text):
    """The arguments that a message says to pass."""
    found = re.findall(r"""\b(rename|match|flatten|entry)=(\{[^{}]*\}|"[^"]*"|'[^']*')""", text)
    return {name: ast.literal_eval(value) for name, value in found}


@pytest.mark.parametrize("case", CASES)
def test_what_is_said_loads(case):
    rules, reason, wanted = CASES[case]
    state_dict = renamed(*rules)
    net = Net()
    with pytest.raises(interop.StateDictError) as caught:
        interop.load_state_dict(net, state_dict)
    advice = caught.value.report.advice
    if not reason:
        assert not advice
        return
    assert advice.startswith(f"{reason}: ")
    assert str(caught.value).splitlines()[1] == advice
    typed = arguments(advice)
    if wanted:
        assert typed == ({"match": "order"} if wanted == "order" else {"rename": wanted})
    interop.load_state_dict(net, state_dict, **typed)
    for name, tensor in interop.state_dict(net).items():
        if not name.endswith("num_batches_tracked"):
            np.testing.assert_array_equal(tensor, TENSORS[name])


@pytest.mark.parametrize("case", [case for case in CASES if CASES[case][1]])
def test_the_same_on_the_command_line(case, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "repairs_nets.py").write_text("from tests.test_interop_repairs import Net\n")
    pytest.importorskip("torch")
    interop.write("net.pt", renamed(*CASES[case][0]))  # in their order, which .safetensors does not keep

    def run(*more):
        common = ["jax-tconv", "convert", "net.pt", "out.safetensors", "--model", "repairs_nets:Net"]
        monkeypatch.setattr(sys, "argv", [*common, *more])
        with pytest.raises(SystemExit) as end:
            main.main()
        return end.value.code or 0, capsys.readouterr()

    code, printed = run()
    assert code == 1
    assert "rename=" not in printed.err
    assert "match=" not in printed.err
    line = printed.err.splitlines()[1]
    typed = shlex.split(re.search(r"--(rename|match).*(?= (repairs|pairs))", line)[0])
    code, printed = run(*typed)
    assert (code, printed.err) == (0, "")
    written = interop.read("out.safetensors")
    np.testing.assert_array_equal(written["out_conv.bias"], TENSORS["out_conv.bias"])
    np.testing.assert_array_equal(written["body.layers.5.mean"], TENSORS["body.5.running_mean"])


def advice(state_dict, **given):
    return interop.load_state_dict(Net(), state_dict, dry_run=True, **given).advice


def test_what_was_given_stays():
    state_dict = renamed(("^trunk", "body"), ("^out_conv", "outc")) | {"extra": np.ones(1)}
    words = advice(state_dict, rename={"extra": None})
    assert arguments(words) == {"rename": {"extra": None, "outc.": "out_conv."}}
    assert as_options(words).endswith(": --drop extra --rename outc.=out_conv. repairs that")
    assert advice(state_dict, rename=lambda name: name) == ""
    assert advice(state_dict, rename={re.compile("^extra"): None}) == ""


def test_nothing_is_said_where_it_is_not_certain():
    # A name that is like no other, a file of two models, one layer of two that could be meant, other shapes.
    assert advice(renamed(("^out_conv", "zz"))) == ""
    assert advice({f"{name}.{key}": value for name in ("g", "d") for key, value in TENSORS.items()}) == ""
    two = {name.replace("out_conv", "outc"): value for name, value in TENSORS.items() if "out_conv" in name}
    assert advice(renamed(("^out_conv", "outk")) | two) == ""
    assert advice({name: value for name, value in TENSORS.items() if "up1" not in name}) == ""
    assert advice(renamed(("^up1", "up3"), ("^up2", "up4"))) == ""
    grown = {name: value for name, value in renamed(("^out_conv", "outc")).items() if name != "outc.bias"}
    assert advice(grown | {"outc.bias": np.ones(2, "f4")}) == ""
    # An average of weights is not a layer that is missing.
    without = {name: value for name, value in TENSORS.items() if "up1" not in name}
    average = {name.replace("up", "up_ema_"): value for name, value in TENSORS.items() if name.startswith("up")}
    assert advice(without | average) == ""


def test_one_model_of_several_in_a_file():
    other = {f"d.{name}": np.ones((2, 2)) for name in ("a", "b")}
    words = advice({f"g.{name}": value for name, value in TENSORS.items()} | other)
    assert words == "some names begin with 'g.', which the model's do not: rename={'g.': ''} repairs that"
    words = advice({name.removeprefix("encoder."): value for name, value in TENSORS.items() if "encoder" in name})
    assert words == ""


def test_a_model_within_another():
    class Outer(nnx.Module):
        def __init__(self):
            self.net = Net()

    report = interop.load_state_dict(Outer(), TENSORS, dry_run=True)
    assert report.advice == (
        "the model's names begin with 'net.', which these do not: rename={'': 'net.'} repairs that"
    )
    assert interop.load_state_dict(Outer(), TENSORS, **arguments(report.advice)).ok


def test_linen_names_and_says_that_nothing_is_made():
    import jax.numpy as jnp

    class Linen(nn.Module):
        def setup(self):
            self.body = [nn.Dense(3), nn.Dense(4)]
            self.out_conv = nn.Dense(5)

        def __call__(self, x):
            for layer in self.body:
                x = layer(x)
            return self.out_conv(x)

    x = jnp.ones((1, 2))
    variables = Linen().init(__import__("jax").random.key(0), x)
    tensors = interop.linen_state_dict(Linen(), variables, x)
    tensors = {name.replace("body.1", "body.2").replace("out_conv", "outc"): value for name, value in tensors.items()}
    with pytest.raises(interop.StateDictError) as caught:
        interop.linen_variables(Linen(), tensors, x)
    lines = str(caught.value).splitlines()
    assert lines[0] == "the state dict does not fit the model (no variables are made)"
    assert lines[1].startswith("index shifted by one after 0 in 'body', and 'outc.' is close to the model's 'out_conv")
    loaded, _ = interop.linen_variables(Linen(), tensors, x, **arguments(lines[1]))
    np.testing.assert_array_equal(loaded["params"]["out_conv"]["kernel"], variables["params"]["out_conv"]["kernel"])


def test_a_wrong_flatten_shape():
    net = nnx.Sequential(nnx.Linear(2048, 2, rngs=RNGS))
    with pytest.raises(
        interop.StateDictError, match=r"0: Linear: 8 \* 8 \* 128 is not 2048: flatten must give as many"
    ):
        interop.load_state_dict(net, interop.state_dict(net), flatten={"0": (8, 8, 128)})


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("take rename={'a.': 'b.', 'c': None}, or", "take --rename a.=b. --drop c, or"),
        ('x: match="order" pairs', "x: --match order pairs"),
        ("with entry='state_dict' or entry='a b'", "with --entry state_dict or --entry 'a b'"),
        ("(downcast=True rounds them)", "(--downcast rounds them)"),
        ("flatten={'head': (8, 8, 128)}", "--flatten head=8,8,128"),
        ("layouts={'const': '1 c h -> 1 h c'}", "--layout 'const=1 c h -> 1 h c'"),
        ("nothing to do with rename", "nothing to do with rename"),
        ("rename={broken}", "rename={broken}"),
    ],
)
def test_arguments_as_options(text, wanted):
    assert as_options(text) == wanted
