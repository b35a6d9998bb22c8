"""`jax-tconv explain`: its counts by brute force, its sizes by hand, and what it prints and draws."""

import itertools
import json
import sys

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from jax_tconv import select_method
from jax_tconv._call.call import OPS
from jax_tconv._call.geometry import window
from jax_tconv.cli import axes, figure, overlap, terminal
from jax_tconv.cli.axes import FORMULA
from jax_tconv.cli.explain import explain
from tests import reference
from tests.cases import CASES

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(explain)


def run(arguments, *more):
    return CliRunner().invoke(app, [*arguments.split(), *map(str, more)])


def explained(arguments, *more):
    result = run(arguments, *more, "--json")
    assert result.exit_code == 0, result.exception
    return json.loads(result.stdout)


def one_axis(n, k, s=1, d=1, p=0, op=0):
    geometry = window((k,), stride=s, dilation=d, padding=p, output_padding=op).geometry((n,))
    return geometry.axes[0]


# The counts.


def landing(n_outputs, n, k, s, d, p):
    """Which tap joins input i to output o, -1 for none: every pair of input and tap tried, one by one."""
    grid = np.full((n, n_outputs), -1)
    for i, t in itertools.product(range(n), range(k)):
        o = i * s + t * d - p
        if 0 <= o < n_outputs:
            assert grid[i, o] == -1
            grid[i, o] = t
    return grid


def pattern_by_hand(k, s, d, p):
    # The middle of an image long enough.
    n = 20 + 2 * k * d
    counts = (landing(n * s, n, k, s, d, p) >= 0).sum(0)
    start = n // 2 * s
    return counts[start : start + s].tolist()


def even_by_hand(k, s, d):
    return len(set(pattern_by_hand(k, s, d, 0))) == 1


PARAMETERS = [
    (k, s, d, *np.random.default_rng(100 * k + 10 * s + d).integers((0, 0, 1), (3, max(s, d), 10)).tolist())
    for k, s, d in itertools.product((1, 2, 3, 5), (1, 2, 3, 4), (1, 2, 3))
]


@pytest.mark.parametrize("stride", [1, 2, 3, 4])
def test_counts_by_brute_force(stride):
    tried = 0
    for k, s, d, p, op, n in PARAMETERS:
        size = (n - 1) * s + d * (k - 1) - 2 * p + op + 1
        if s != stride or size < 1:
            continue
        tried += 1
        what = (k, s, d, p, op, n)
        axis = one_axis(n, k, s, d, p, op)
        found = overlap.overlap(axis)
        grid = landing(size, n, k, s, d, p)
        assert list(found.counts) == (grid >= 0).sum(0).tolist(), what
        assert list(found.pattern) == pattern_by_hand(k, s, d, p), what
        assert found.even == even_by_hand(k, s, d), what
        evens = [size for size in range(1, 2 * k + 2 * s) if even_by_hand(size, s, d)]
        nearest = {max((e for e in evens if e <= k), default=None), min((e for e in evens if e >= k), default=None)}
        assert set(found.even_kernels) == nearest - {None}, what
        # Of the inputs, only those that come too late for these outputs may be left out.
        window_size = min(size, 5)
        drawn = overlap.taps(axis, window_size)
        assert (drawn == grid[: len(drawn), :window_size]).all(), what
        assert (grid[len(drawn) :, :window_size] == -1).all(), what
    assert tried >= 10


def test_counts_multiply_over_the_axes():
    document = explained("--size 5,6,4 --kernel 3,4,2 --stride 2,3,1 --padding 1,0,1 --dilation 1,2,1")
    by_axis = {number: one["overlap"]["counts"] for one in document["axes"] for number in one["axes"]}
    arguments = {"stride": (2, 3, 1), "padding": ((1, 1), (0, 0), (1, 1)), "dilation": (1, 2, 1)}
    wanted = reference.conv_transpose(
        np.ones((1, 5, 6, 4, 1)), np.ones((3, 4, 2, 1, 1)), **arguments, output_padding=(0, 0, 0), groups=1
    )[0, ..., 0]
    assert document["output_size"] == list(wanted.shape)
    assert (np.einsum("a,b,c->abc", by_axis[0], by_axis[1], by_axis[2]) == wanted).all()


def test_the_border_is_what_differs_from_the_pattern():
    axis = one_axis(6, 4, 2)
    found = overlap.overlap(axis)
    assert found.counts == (1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1)
    assert (found.pattern, found.border) == ((2, 2), (2, 2))
    # Kernel 3: only every other row lies in the border's reach.
    found = overlap.overlap(one_axis(4, 3, 2))
    assert found.counts == (1, 1, 2, 1, 2, 1, 2, 1, 1)
    assert (found.pattern, found.border) == ((2, 1), (1, 1))
    # Too small to have a middle.
    found = overlap.overlap(one_axis(1, 4, 2))
    assert found.counts == (1, 1, 1, 1)
    assert (found.pattern, found.border) == ((2, 2), (2, 2))


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ({"k": 4, "s": 2, "p": 1}, "every output row gets 2 input rows (kernel 4 is a multiple of stride 2)."),
        ({"k": 3}, "every output row gets 3 input rows (stride 1)."),
        ({"k": 2, "s": 2}, "every output row gets 1 input row (kernel 2 is a multiple of stride 2)."),
        ({"k": 3, "s": 2, "p": 1}, "get 1, 2 input rows in turn, a checkerboard."),
        ({"k": 9, "s": 4}, "Kernel 9 is not a multiple of stride 4; 8 or 12 would be even."),
        ({"k": 2, "s": 3}, "get 1, 1, 0 input rows in turn, a checkerboard with holes."),
        ({"k": 2, "s": 3}, "Kernel 2 is not a multiple of stride 3; 3 would be even."),
        ({"k": 4, "s": 2, "d": 2}, "share the factor 2, so only one output row in 2 gets anything"),
    ],
)
def test_verdicts(numbers, words):
    assert words in overlap.overlap(one_axis(8, **numbers)).verdict


def test_counts_as_data():
    (one,) = explained("--size 3 --kernel 4 --stride 2 --padding 1")["axes"]
    assert one["overlap"] == one["overlap"] | {
        "counts": [1, 2, 2, 2, 2, 1],
        "pattern": [2, 2],
        "even": True,
        "even_kernels": [4],
        "border": [1, 1],
    }
    assert one["taps"] == [
        [1, 2, 3, None, None, None],
        [None, 0, 1, 2, 3, None],
        [None, None, None, 0, 1, 2],
    ]


# The sizes.


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_terms_add_up(case):
    names = ("stride", "padding", "output_padding", "dilation")
    geometry = window(case.kernel, **{name: case.arguments[name] for name in names}).geometry(case.size)
    for number, axis in enumerate(geometry.axes):
        terms = axes.terms(axis, geometry.padding_high[number])
        assert sum(term.value for term in terms) == axis.output_size
        # The numbers in words are those of the values.
        assert [eval(term.numbers) for term in terms] == [term.value for term in terms]
    named = " + ".join(term.name for term in terms).replace("+ -", "-")
    assert f"out = {named}" == FORMULA


@pytest.mark.parametrize(
    ("arguments", "size", "values"),
    [
        # DCGAN, CycleGAN, FSRCNN, and GTCRN's dilated layer.
        ("--size 32 --kernel 4 --stride 2 --padding 1", [64, 64], [62, -2, 3, 0, 1]),
        ("--size 64 --kernel 3 --stride 2 --padding 1 --output-padding 1", [128, 128], [126, -2, 2, 1, 1]),
        ("--size 64 --kernel 3 --stride 2 --padding 1 --output-size 128", [128, 128], [126, -2, 2, 1, 1]),
        ("--size 22050 --kernel 8 --stride 4 --dims 1", [88204], [88196, 0, 7, 0, 1]),
        ("--size 260,33 --kernel 3 --padding 10,1 --dilation 5,1", [250, 33], [259, -20, 10, 0, 1]),
    ],
)
def test_sizes_by_hand(arguments, size, values):
    document = explained(arguments)
    assert document["output_size"] == size
    assert [term["value"] for term in document["axes"][0]["terms"]] == values
    shown = run(arguments).stdout
    for value in (*values, size[0]):
        assert f" {value} " in shown or f" {value}\n" in shown


def test_axes_that_are_alike_are_told_once():
    document = explained("--size 8,9,8 --kernel 4 --stride 2")
    assert [one["axes"] for one in document["axes"]] == [[0, 2], [1]]
    shown = run("--size 8,9,8 --kernel 4 --stride 2").stdout
    assert "Output size on axes 0, 2: 18" in shown
    assert "Output size on axis 1: 20" in shown


# The methods.


@pytest.mark.parametrize("platform", ["cpu", "cuda", "tpu"])
def test_methods(platform):
    # On a CPU a group's channels out decide: 256 of them would make the output with im2col.
    arguments = "--size 16 --kernel 4 --stride 2 --padding 1 --channels-in 32 --channels-out 256 --groups 4 --batch 2"
    document = explained(arguments, "--platform", platform)
    shown = " ".join(run(arguments, "--platform", platform).stdout.split())
    for op in OPS:
        wanted = select_method((2, 16, 16, 32), (4, 4, 32, 64), stride=2, padding=1, groups=4, op=op, platform=platform)
        found = document["methods"][op]
        assert (found["method"], found["reason"]) == (wanted.method, wanted.reason)
        assert found["by_group"] == wanted.by_group == (platform == "cpu")
        assert " ".join(str(wanted).removeprefix(op).split()) in shown
    assert f"Methods on {platform}, 32 to 256 channels" in shown
    if platform == "cpu":
        assert document["methods"]["forward"]["method"] == "subpixel"


# The drawings.


def test_the_wiring_by_hand():
    axis = one_axis(3, 3, 2, p=1, op=1)
    assert terminal.wiring(axis, overlap.overlap(axis), 80).split("\n") == [
        "output   0 1 2 3 4 5",
        "input 0  1 2",
        "input 1    0 1 2",
        "input 2        0 1 2",
        "inputs   1 2 1 2 1 1",
        "         ▄ █ ▄ █ ▄ ▄",
    ]


def test_the_shades_by_hand():
    even = overlap.overlap(one_axis(3, 4, 2, p=1))
    uneven = overlap.overlap(one_axis(3, 3, 2, p=1))
    assert (even.counts, uneven.counts) == ((1, 2, 2, 2, 2, 1), (1, 2, 1, 2, 1))
    assert terminal.shading(even, uneven, 80).split("\n") == [
        "output rows 0 to 5, columns 0 to 4:",
        "░░▓▓░░▓▓░░",
        "▓▓██▓▓██▓▓",
        "▓▓██▓▓██▓▓",
        "▓▓██▓▓██▓▓",
        "▓▓██▓▓██▓▓",
        "░░▓▓░░▓▓░░",
        "input pixels: ░░ 1, ▓▓ 2, ██ 4",
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        "--size 1 --kernel 1",
        "--size 2 --kernel 1 --stride 3 --padding 1",
        "--size 1000,7 --kernel 17,120 --stride 2,1 --dilation 3,1",
        "--size 22050 --kernel 16 --stride 8 --padding 4 --dims 1",
        "--size 9 --kernel 5 --padding 20,2,2 --stride 6",
        "--size 12 --kernel 3 --stride 1 --dilation 30",
    ],
)
def test_what_is_printed_fits_the_terminal(arguments, tmp_path, monkeypatch):
    for width in (60, 80, 120, 200):
        monkeypatch.setenv("COLUMNS", str(width))
        result = run(arguments)
        assert result.exit_code == 0, result.exception
        assert max(map(len, result.stdout.split("\n"))) <= width
        assert len(result.stdout.split("\n")) < 180
        assert FORMULA in " ".join(result.stdout.split())
    pytest.importorskip("matplotlib")
    # Warnings are errors here: nothing collapses or falls outside of the picture.
    assert run(arguments, "--draw", tmp_path / "layer.png").exit_code == 0


@pytest.mark.parametrize(("suffix", "magic"), [("png", b"\x89PNG"), ("svg", b"<?xml"), ("PDF", b"%PDF")])
def test_drawing_to_a_file(suffix, magic, tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / f"layer.{suffix}"
    result = run("--size 8 --kernel 3 --stride 2", "--draw", path, "--json")
    assert path.read_bytes().startswith(magic)
    assert json.loads(result.stdout)["output_size"] == [17, 17]


def test_the_figure_shows_the_counts():
    pytest.importorskip("matplotlib")
    geometry = window((3, 4), stride=2, padding=(1, 0)).geometry((5, 6))
    whole = figure.figure(found := axes.explain_axes(geometry), axes.last_two(found))
    wiring, bars, _, _, pixels = whole.axes[:5]
    rows, columns = (one.overlap.counts for one in found)
    assert [patch.get_height() for patch in bars.patches] == list(rows)
    assert (pixels.images[0].get_array() == np.outer(rows, columns)).all()
    # A line for each tap that lands: 5 inputs, 3 taps, of which 2 are cut off.
    assert len([line for line in wiring.lines if len(line.get_xdata()) == 2 and line.get_linestyle() == "-"]) == 13


def test_without_matplotlib(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = run("--size 8 --kernel 3", "--draw", tmp_path / "layer.png")
    assert isinstance(result.exception, ImportError)
    assert "pip install matplotlib" in str(result.exception)
    assert not list(tmp_path.iterdir())


def test_what_is_cropped_is_said(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    shown = run("--size 64,5 --kernel 4 --stride 2").stdout
    assert "Shown are the first 16 of 130 output rows.\n" in shown
    assert "output rows 0 to 11, columns 0 to 11, of 130 x 12:\n" in shown
    shown = run("--size 3,5 --kernel 4 --stride 2").stdout
    assert "Shown are the first" not in shown
    assert "output rows 0 to 7, columns 0 to 11:\n" in shown
    pytest.importorskip("matplotlib")
    for size, cropped in ((64, True), (3, False)):
        geometry = window((4, 4), stride=2).geometry((size, size))
        whole = figure.figure(found := axes.explain_axes(geometry), axes.last_two(found))
        titles = [panel.get_title() for panel in whole.axes]
        assert any("the first 16 of 130 output rows" in title for title in titles) == cropped
        assert any("a part of 130 x 130" in title for title in titles) == cropped


@pytest.mark.parametrize("name", ["SAME", "VALID"])
@pytest.mark.parametrize(("k", "s", "d"), [(3, 2, 1), (4, 2, 1), (2, 5, 1), (3, 2, 3), (3, 1, 1)])
def test_named_paddings(name, k, s, d):
    document = explained(f"--input 2,6,9,9 --kernel {k} --stride {s} --dilation {d} --padding {name.lower()}")
    # Keras's definitions.
    size = 9 * s + (max(d * (k - 1) + 1 - s, 0) if name == "VALID" else 0)
    assert document["output_size"] == [size, size]
    assert document["layer"]["padding"] == name
    (one,) = document["axes"]
    assert sum(term["value"] for term in one["terms"]) == size == len(one["overlap"]["counts"])
    assert [eval(term["numbers"]) for term in one["terms"]] == [term["value"] for term in one["terms"]]
    named = " + ".join(term["name"] for term in one["terms"]).replace("+ -", "-")
    assert document["formula"] == f"out = {named}"


def test_input_is_pytorchs_whole_shape():
    layer = explained("--input 2,6,8,9 --kernel 4 --groups 2")["layer"]
    assert (layer["batch"], layer["channels_in"], layer["size"], layer["kernel"]) == (2, 6, [8, 9], [4, 4])
    layer = explained("--input 2,6,8 --kernel 4 --batch 2 --channels-in 6 --dims 1")["layer"]
    assert (layer["batch"], layer["channels_in"], layer["size"], layer["kernel"]) == (2, 6, [8], [4])
    layer = explained("--size 8 --kernel 4")["layer"]
    assert (layer["batch"], layer["channels_in"], layer["size"]) == (1, 64, [8, 8])


def test_a_drawing_replaces_another_only_by_force(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    path = tmp_path / "layer.png"
    path.write_text("mine")
    result = run("--size 8 --kernel 4 --draw", path)
    assert str(result.exception) == f"--draw must not exist yet, but {path} does; --force replaces it"
    assert result.stdout == ""
    assert path.read_text() == "mine"
    with monkeypatch.context() as patch:
        patch.setattr(figure, "figure", lambda *a: 1 / 0)
        assert isinstance(run("--size 8 --kernel 4 --force --draw", path).exception, ZeroDivisionError)
    assert path.read_text() == "mine"
    assert run("--size 8 --kernel 4 --force --draw", path).exit_code == 0
    assert path.read_bytes().startswith(b"\x89PNG")
    assert list(tmp_path.iterdir()) == [path]


# What can be wrong.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--size 8 --kernel x", "--kernel must be an int, or one int per axis as in 4,4; got 'x'"),
        ("--size 8,8,8 --kernel 4,4", "--kernel must be an int or 3 ints, one per spatial axis; got 4,4"),
        ("--size 8,8 --kernel 4 --dims 3", "--size must be an int or 3 ints"),
        ("--size 8 --kernel 4 --padding -1", "--padding must be at least 0, got -1"),
        ("--size 8 --kernel 4 --padding 9", "the output would be empty, of size (-7, -7)"),
        ("--size 8 --kernel 4 --output-padding 1", "output_padding must be less than max(stride, dilation) = 1"),
        ("--size 8 --kernel 4 --stride 2 --output-size 20", "reachable, axis by axis: 18 to 19, 18 to 19"),
        ("--size 8 --kernel 4 --channels-out 6 --groups 4", "--groups must divide the 6 channels of the output, got 4"),
        ("--size 8 --kernel 4 --channels-in 6 --groups 4", "--groups must divide the 6 channels of the input, got 4"),
        (
            "--input 1,4,8,8 --kernel 3,3,3",
            "--kernel must be an int or 2 ints, one per spatial axis; got 3,3,3",
        ),
        ("--input 1,4,8 --kernel 3,3", "--kernel must be an int for the one spatial axis; got 3,3"),
        ("--input 1,4,8,8 --kernel 3 --channels-in 3", "--channels-in 3 contradicts --input 1,4,8,8, which makes it 4"),
        ("--input 1,4,8,8 --kernel 3 --batch 2", "--batch 2 contradicts --input 1,4,8,8, which makes it 1"),
        ("--input 1,4,8,8 --kernel 3 --dims 3", "--dims 3 contradicts --input 1,4,8,8, which makes it 2"),
        ("--input 1,6,8,8 --kernel 3 --groups 4", "--groups must divide the 6 channels of the input, got 4"),
        ("--input 32 --kernel 3", "such as 1,64,32,32; got 32; spatial sizes alone are --size 32"),
        ("--input 1,0,8,8 --kernel 3", "--input must be positive, got 1,0,8,8"),
        ("--size 0 --kernel 3", "--size must be positive, got 0"),
        ("--size 8 --kernel 3,0", "--kernel must be positive, got 3,0"),
        ("--size 8 --kernel 3 --input 1,2,8,8", "give the input only once: its whole shape in PyTorch, as in --input"),
        ("--kernel 3", "give the input too: its whole shape in PyTorch, as in --input 1,64,32,32, or its spatial"),
        (
            "--size 8 --kernel 3 --stride 2 --padding same --output-padding 1",
            'output_padding must be 0 with padding="SAME"',
        ),
        ("--size 8 --kernel 3 --padding SAMEY", "int per axis as in 4,4, SAME or VALID; got SAMEY"),
        ("--size 8 --kernel 4 --batch 0", "--batch must be at least 1, got 0"),
        ("--size 8 --kernel 4 --platform abacus", "platform must be one of 'cpu', 'cuda', 'rocm', 'tpu'"),
        ("--size 8 --kernel 4 --draw layer.gif", "--draw must name a file that ends in .png, .svg, .pdf"),
    ],
)
def test_errors(arguments, message):
    result = run(arguments)
    assert isinstance(result.exception, ValueError)
    assert message in str(result.exception)
    assert "\n" not in str(result.exception)
