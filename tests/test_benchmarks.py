"""The benchmark measures what it says: its layers, its contestants' values, its clockwork and its sums."""

import dataclasses
import json
import sys

import numpy as np
import pytest

from jax_tconv import output_shape
from jax_tconv.benchmarks import layers, timing
from jax_tconv.benchmarks.layers import BadInput, Layer

TINY = [
    {"name": "2d", "in": 3, "out": 2, "kernel": [3, 2], "stride": 2, "padding": 1, "output_padding": 1}
    | {"input": [4, 3]},
    {"name": "grouped", "in": 4, "out": 6, "kernel": [3, 3], "dilation": [2, 1], "groups": 2, "batch": 2}
    | {"input": [5, 4]},
    {"name": "1d", "in": 2, "out": 3, "kernel": 4, "stride": 2, "padding": 1, "input": 5, "batch": 3},
    {"name": "3d", "in": 2, "out": 2, "kernel": 2, "stride": 2, "input": [2, 3, 2]},
]
TICK = 2.0**-10


def tiny(name="2d") -> Layer:
    return next(layers.parse(entry, "here") for entry in TINY if entry["name"] == name)


@pytest.mark.parametrize("layer", layers.load(), ids=lambda layer: layer.name)
def test_the_listed_layers(layer):
    arguments = {name: value for name, value in layer.arguments.items() if name != "groups"}
    assert layer.output == output_shape(layer.input, layer.kernel, **arguments)
    assert layer.source


def test_sizes_by_hand():
    by_name = {layer.name: layer for layer in layers.load()}
    assert len(by_name) == 21
    assert by_name["dcgan_g1"].output == (4, 4)
    assert by_name["fcn8s_final"].output == (568, 568)
    assert by_name["gtcrn_tdil"].output == (250, 33)
    assert by_name["demucs_last"].output == (88204,)
    assert by_name["psmnet_conv6"].output == (24, 32, 64)


def test_arithmetic_by_hand():
    # Nothing overlaps and nothing is cut off: 3 rows, 2 taps, 5 x 7 channels, 2 operations.
    layer = layers.parse({"name": "a", "in": 5, "out": 7, "kernel": [2], "stride": 2, "input": [3]}, "here")
    assert layer.flops("forward") == 3 * 2 * 5 * 7 * 2
    assert layer.flops("training") == 3 * layer.flops("forward")
    assert layer.traffic("forward") == 4 * (3 * 5 + 2 * 5 * 7 + 6 * 7)
    # Rows 0 to 4 of the full output, of which 1 to 3 stay: one of three taps of either input row is cut off.
    layer = layers.parse(
        {"name": "b", "in": 4, "out": 6, "kernel": [3], "stride": 2, "padding": 1, "input": [2]}, "here"
    )
    assert layer.flops("forward") == 4 * 4 * 6 * 2
    assert dataclasses.replace(layer, groups=2, batch=3).flops("forward") == 3 * 4 * 4 * 3 * 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kernel": [3]}, "kernel must be an int or a list of 2"),
        ({"in": "three"}, "c_in must be an int"),
        ({"groups": 2}, "2 groups do not divide"),
        ({"output_padding": 2}, "output_padding must be less"),
        ({"padding": 9}, "use less padding"),
        ({"stride": 0}, "stride must be 2 ints of at least 1"),
        ({"colour": 1}, "unknown fields: colour"),
    ],
)
def test_bad_layers(change, message, tmp_path):
    file = tmp_path / "layers.json"
    file.write_text(json.dumps([TINY[0] | change]))
    with pytest.raises(BadInput, match=message):
        layers.load(file)


def test_bad_files(tmp_path):
    file = tmp_path / "layers.json"
    for text, message in (
        ("{", "cannot read"),
        ("{}", "must hold a list"),
        (json.dumps([TINY[0]] * 2), "two layers called '2d'"),
        (json.dumps([{"name": "a", "in": 1, "out": 1, "input": [1]}]), "lacks 'kernel_size'"),
    ):
        file.write_text(text)
        with pytest.raises(BadInput, match=message):
            layers.load(file)
    with pytest.raises(BadInput, match="cannot read"):
        layers.load(tmp_path / "none.json")


class Clock:
    """Time that passes only when a function is called."""

    def __init__(self):
        self.now = 0.0
        self.called = []

    def function(self, name, *ticks):
        """Takes so many ticks at each call, the last number for ever."""
        left = list(ticks)

        def call():
            self.called.append(name)
            self.now += TICK * (left.pop(0) if len(left) > 1 else left[0])

        return call

    def time(self, functions, rounds, seconds=0.0, **settings):
        return timing.interleave(functions, rounds, seconds, clock=lambda: self.now, **settings)


def test_rounds_visit_everyone_in_turn():
    clock = Clock()
    found = clock.time({name: clock.function(name, 1) for name in "abc"}, rounds=4)
    # A visit is one call that is not timed and three that are.
    assert "".join(clock.called[::4]) == "abc" + "bca" + "cab" + "abc"
    assert clock.called == [name for name in clock.called[::4] for _ in range(4)]
    assert found["a"] == timing.Timing(TICK, TICK, TICK, rounds=4, calls=12, minimum=TICK)


def test_a_round_counts_as_its_median_and_its_first_call_not_at_all():
    clock = Clock()
    found = clock.time(
        {"a": clock.function("a", 99, 1, 1, 50, 99, 2, 2, 50, 99, 9, 3, 3, 99, 4, 4, 4, 99, 5)}, rounds=5
    )
    assert found["a"] == timing.Timing(3 * TICK, 2 * TICK, 4 * TICK, rounds=5, calls=15, minimum=TICK)
    assert found["a"].spread == 2 / 3


def test_calls_fill_the_time_given():
    clock = Clock()
    found = clock.time({"a": clock.function("a", 1), "b": clock.function("b", 8)}, rounds=2, seconds=40 * TICK)
    assert (found["a"].calls, found["b"].calls) == (40, 6)


def test_slow_functions_are_called_less():
    clock = Clock()
    functions = {
        "fast": clock.function("fast", 1),
        "slow": clock.function("slow", 30),
        "long": clock.function("l", 600),
    }
    found = clock.time(functions, rounds=5)
    assert {name: (t.rounds, t.calls) for name, t in found.items()} == {"fast": (5, 15), "slow": (2, 6), "long": (2, 2)}
    assert clock.time(functions, rounds=5, slow_factor=1e9)["long"].calls == 5


def test_very_long_calls_are_all_timed():
    clock = Clock()
    ticks = 6 / TICK
    found = clock.time({"fast": clock.function("fast", 1), "long": clock.function("long", ticks)}, rounds=5)
    assert found["long"] == timing.Timing(6.0, 6.0, 6.0, rounds=2, calls=2, minimum=6.0)
    assert clock.called.count("long") == 2


# What follows runs the contestants.


@pytest.fixture
def libraries():
    for name in ("torch", "equinox", "typer", "rich", "matplotlib"):
        pytest.importorskip(name)


def contest(layer, mode, entrants):
    from jax_tconv.benchmarks.contest import Settings, hold

    return hold(layer, mode, entrants, Settings(rounds=1, seconds=0.0))


@pytest.mark.usefixtures("libraries")
@pytest.mark.parametrize("mode", ["forward", "training"])
@pytest.mark.parametrize("name", [entry["name"] for entry in TINY])
def test_every_contestant_has_torchs_values(name, mode):
    from jax_tconv.benchmarks import peers
    from jax_tconv.benchmarks.peers import ours

    result = contest(tiny(name), mode, ours.contestants(["None", "taps"]) + peers.find(list(peers.FILES)))
    status = {outcome.name: outcome.status for outcome in result.outcomes}
    refused = {"flax", "flax-transposed"} if name == "grouped" else {"torch NHWC"} if name == "1d" else set()
    assert {who for who, what in status.items() if what == "not applicable"} == refused
    assert {what for who, what in status.items() if who not in refused} == {"timed"}, result.outcomes
    assert list(status)[:4] == ["ours", "ours taps", "torch NCHW", "torch NHWC"]
    assert {"flax", "flax-transposed", "equinox", "lax"} == set(list(status)[4:])
    assert list(result.chosen) == (
        ["forward"] if mode == "forward" else ["forward", "input_gradient", "kernel_gradient"]
    )
    ours_outcome = result.best("ours")
    assert ours_outcome.name == "ours"
    assert ours_outcome.compile_seconds > 0
    assert ours_outcome.temporary_bytes >= 0


def _flip_kernel(arrays):
    return arrays._replace(kernel=np.flip(arrays.kernel, 0).copy())


def _spoil_cotangent(arrays):
    return arrays._replace(g=arrays.g * np.float32(1.001))


def _nan(arrays):
    return arrays._replace(x=arrays.x * np.float32(np.nan))


@pytest.mark.usefixtures("libraries")
@pytest.mark.parametrize(
    ("spoil", "mode", "what"),
    [
        (_flip_kernel, "forward", "output"),
        (_flip_kernel, "training", "output"),
        (_spoil_cotangent, "training", "input gradient"),
        (_nan, "forward", "output"),
    ],
)
def test_wrong_values_are_not_timed(spoil, mode, what):
    from jax_tconv.benchmarks.peers import pytorch
    from jax_tconv.benchmarks.peers.contestant import Contestant

    (honest, _) = pytorch.contestants()
    cheat = Contestant("cheat", "jax", lambda layer, mode, arrays: honest.prepare(layer, mode, spoil(arrays)))
    outcome = {o.name: o for o in contest(tiny(), mode, [honest, cheat]).outcomes}["cheat"]
    assert outcome.status == "wrong"
    assert outcome.reason.startswith(f"the {what} differs from torch's by")
    assert outcome.timing is None


@pytest.mark.usefixtures("libraries")
def test_a_contestant_that_breaks_stops_nobody():
    from jax_tconv.benchmarks.peers import ours
    from jax_tconv.benchmarks.peers.contestant import Contestant

    broken = Contestant("broken", "jax", lambda *_: 1 / 0)
    result = contest(tiny(), "forward", [broken, *ours.contestants(["None"])])
    assert [(o.status, o.reason) for o in result.outcomes] == [
        ("failed", "ZeroDivisionError: division by zero"),
        ("timed", ""),
    ]


@pytest.mark.usefixtures("libraries")
def test_a_missing_library_is_a_reason(monkeypatch):
    from jax_tconv.benchmarks import peers

    uninstall(monkeypatch, "equinox", "equinox_nn")
    (outcome,) = contest(tiny(), "forward", peers.find(["equinox"])).outcomes
    assert outcome.status == "not applicable"
    assert outcome.reason == "not installed; pip install equinox"


def uninstall(monkeypatch, library, peer):
    """Makes the library's import fail, also where its contestant was imported before."""
    from jax_tconv.benchmarks import peers

    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules, f"jax_tconv.benchmarks.peers.{peer}", raising=False)
    monkeypatch.delattr(peers, peer, raising=False)


@pytest.mark.usefixtures("libraries")
@pytest.mark.parametrize("mode", ["forward", "training"])
@pytest.mark.parametrize("name", [entry["name"] for entry in TINY])
def test_the_judge_without_torch_agrees_with_torch(name, mode, monkeypatch):
    from jax_tconv.benchmarks import check, judge
    from jax_tconv.benchmarks.peers import pytorch

    layer = tiny(name)
    arrays = layer.draw()
    # Before torch is hidden, since it imports parts of itself only when they are needed.
    wanted = pytorch.reference(layer, mode, arrays)
    uninstall(monkeypatch, "torch", "pytorch")
    who, values = judge.reference_values(layer, mode, arrays)
    assert who == "jax.lax"
    errors = check.errors(values, wanted)
    assert len(errors) == (1 if mode == "forward" else 3)
    # Some ten roundings of float32, each of 2**-24 of the value.
    assert max(errors) < 1e-6


@pytest.mark.usefixtures("libraries")
def test_without_torch_the_rest_is_timed(monkeypatch):
    from jax_tconv.benchmarks import contest as contests
    from jax_tconv.benchmarks import machine, peers
    from jax_tconv.benchmarks.peers import ours

    uninstall(monkeypatch, "torch", "pytorch")
    machine.set_precision(tf32=False)
    assert machine.look()["torch_device"] == "nothing: not installed"
    right = ours.conv_transpose
    monkeypatch.setattr(ours, "conv_transpose", lambda *a, method, **k: right(*a, **k) * (1.001 if method else 1))
    entrants = ours.contestants(["None", "taps"]) + peers.find(["torch", "flax"])
    result = contests.hold(tiny(), "forward", entrants, contests.Settings(rounds=1, seconds=0.0))
    assert result.judge == "jax.lax"
    assert {o.name: o.status for o in result.outcomes} == {
        "ours": "timed",
        "ours taps": "wrong",
        "torch": "not applicable",
        "flax": "timed",
    }
    assert "the output differs from jax.lax's by 1.0e-03" in result.outcomes[1].reason


def test_an_output_without_contributions_is_no_disagreement():
    from jax_tconv.benchmarks import check

    zeros, ones = np.zeros((2, 1)), np.ones((2, 1))
    assert check.errors((zeros,), (zeros,)) == (0.0,)
    assert check.errors((ones,), (zeros,)) == (1.0,)


@pytest.mark.usefixtures("libraries")
def test_sums_by_hand():
    from jax_tconv.benchmarks.machine import Machine
    from jax_tconv.benchmarks.results import Outcome, Result, summarise

    def result(name, **seconds):
        families = {"ours": "ours", "first": "torch", "last": "torch", "flax": "jax"}
        outcomes = [
            Outcome(who, families[who], "timed", timing=timing.Timing(value, value, value, 1, 1, value))
            for who, value in seconds.items()
        ]
        return Result(dataclasses.replace(tiny(), name=name), "forward", {"forward": "taps"}, tuple(outcomes))

    flops = tiny().flops("forward")
    here = Machine({}, "", "", 2, 2, "cpu", "", "", dot_rate=flops / 2.0, copy_rate=1e30)
    results = [
        result("a", ours=4.0, first=2.0, last=1.0, flax=2.0),
        result("b", ours=8.0, first=9.0, last=32.0, flax=7.9),
    ]
    results += [result("c", ours=1.0)]
    assert [r.ratio("torch") for r in results] == [4.0, 8 / 9, None]
    summary = summarise(results, here)
    assert summary.geomean == pytest.approx((4 * 8 / 9) ** 0.5)
    assert summary.worst == ("a", 4.0)
    # 8.0 to 7.9 is within the tolerance.
    assert summary.behind_jax_peers == {"a": 2.0}
    # The product takes two seconds at the measured rate.
    assert summary.compute_bound_shares == {"a": 0.5, "b": 0.25, "c": 2.0}
    assert summarise(results, dataclasses.replace(here, copy_rate=1.0)).compute_bound_shares == {}


@pytest.mark.usefixtures("libraries")
def test_scaling_enlarges_one_axis_at_a_time():
    from jax_tconv.benchmarks import scaling
    from jax_tconv.benchmarks.peers import ours

    layer = tiny("grouped")
    changes = {}
    for name, (size, enlarge) in scaling.axes(layer).items():
        larger = enlarge(4)
        assert larger.flops("forward") >= 4 * layer.flops("forward"), (name, size)
        changes[name] = {f.name for f in dataclasses.fields(layer) if getattr(larger, f.name) != getattr(layer, f.name)}
    assert changes == {
        "batch": {"batch"},
        "rows of axis 0": {"input"},
        "rows of axis 1": {"input"},
        "channels in": {"c_in"},
        "channels out": {"c_out"},
        "groups": {"groups", "c_in", "c_out"},
    }
    growths = list(scaling.measure(tiny("1d"), "training", *ours.contestants(["None"]), 1, 1, 0.0))
    assert [(g.axis, g.sizes) for g in growths] == [
        ("batch", (3, 6)),
        ("rows of axis 0", (5, 10)),
        ("channels in", (2, 4)),
        ("channels out", (3, 6)),
    ]
    # The arrays read and written, and what the program needs besides.
    assert growths[0].bytes[0] >= tiny("1d").traffic("training")


@pytest.mark.usefixtures("libraries")
def test_growth_beyond_proportion_is_flagged():
    from jax_tconv.benchmarks.scaling import Growth

    def flags(seconds, sizes):
        return Growth("k", "forward", "batch", (1, 2, 4, 8), seconds, sizes).flags

    assert flags((1.0, 2.2, 4.4, 9.9), (10, 20, 40, 80)) == []
    assert flags((1.0, 2.0, 4.0, 12.0), (10, 20, 40, 160)) == ["time 1.50", "memory 2.00"]
    assert flags((1.0, 9.0, 9.0, 9.0), None) == []


def command(monkeypatch, *arguments):
    """Runs the command line and returns its exit code, or the message in its place."""
    from jax_tconv.benchmarks import __main__, machine

    monkeypatch.setattr(machine, "PRODUCTS", ((8, 8, 8),))
    monkeypatch.setattr(sys, "argv", ["benchmarks", *map(str, arguments)])
    try:
        return __main__.main()
    except SystemExit as end:
        return end.code


@pytest.mark.usefixtures("libraries")
def test_the_command_writes_what_it_measured(tmp_path, monkeypatch, capsys):
    file = tmp_path / "layers.json"
    file.write_text(json.dumps({"layers": TINY}))
    out = tmp_path / "new" / "out"
    arguments = ["run", "--layers", file, "--only", "1d", "--quick", "--methods", "None,taps", "--out", out]
    assert command(monkeypatch, *arguments) == 0
    document = json.loads((out / "benchmark.json").read_text())
    assert {"python", "jax", "jaxlib", "flax", "equinox", "torch"} <= document["machine"]["versions"].keys()
    assert document["machine"]["dot_rate"] > 0
    assert [(r["layer"]["name"], r["mode"]) for r in document["results"]] == [("1d", "forward"), ("1d", "training")]
    for result in document["results"]:
        entrants = result["contestants"]
        assert entrants.keys() == {"ours", "ours taps", "torch NCHW", "torch NHWC", "flax", "equinox", "lax"}
        assert entrants["torch NHWC"]["status"] == "not applicable"
        median = entrants["ours"]["timing"]["median"]
        assert result["ratio_to_torch"] == pytest.approx(median / entrants["torch NCHW"]["timing"]["median"])
        assert document["summary"][result["mode"]]["geomean"] == pytest.approx(result["ratio_to_torch"])
        assert entrants["ours"]["compile_seconds"] > 0
        assert entrants["ours"]["temporary_bytes"] >= 0
        assert len(entrants["ours"]["errors"]) == (1 if result["mode"] == "forward" else 3)
    assert (out / "benchmark.png").read_bytes()[1:4] == b"PNG"
    printed = capsys.readouterr().out
    for part in ("geometric mean", "worst", "temp MB", "compile s", "ours taps", "subpixel"):
        assert part in printed


@pytest.mark.usefixtures("libraries")
def test_scaling_command(tmp_path, monkeypatch, capsys):
    from jax_tconv.benchmarks import scaling

    monkeypatch.setattr(scaling, "KINDS", [tiny("1d"), tiny("2d")])
    arguments = ["--only", "1d", "--modes", "forward", "--doublings", 1, "--rounds", 1, "--out", tmp_path]
    assert command(monkeypatch, "scaling", *arguments) == 0
    growths = json.loads((tmp_path / "scaling.json").read_text())["growths"]
    assert [growth["axis"] for growth in growths] == ["batch", "rows of axis 0", "channels in", "channels out"]
    assert "growth at each doubling" in capsys.readouterr().out


@pytest.mark.usefixtures("libraries")
def test_our_wrong_values_fail_the_run(tmp_path, monkeypatch):
    from jax_tconv.benchmarks.peers import ours

    right = ours.conv_transpose
    monkeypatch.setattr(ours, "conv_transpose", lambda *a, **k: right(*a, **k) * 1.001)
    file = tmp_path / "layers.json"
    file.write_text(json.dumps(TINY[:1]))
    arguments = ["--layers", file, "--modes", "forward", "--peers", "torch", "--quick", "--out", tmp_path]
    message = command(monkeypatch, "run", *arguments)
    assert message.startswith("FAILED: ours on 2d (forward): the output differs from torch's by 1.0e-03")
    assert "\n" not in message


@pytest.mark.usefixtures("libraries")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--only", "sam_up2,sam_up9"], "unknown layer 'sam_up9'; known: dcgan_g1, "),
        (["run", "--peers", "keras"], "unknown peer 'keras'; known: torch, flax"),
        (["run", "--methods", "fft"], "unknown method 'fft'; known: None, lhs_dilation"),
        (["run", "--modes", "backward"], "unknown mode 'backward'; known: forward, training"),
        (["run", "--layers", "nowhere.json"], "cannot read layers from nowhere.json"),
        (["scaling", "--only", "k5"], "unknown kind 'k5'; known: k4 s2, "),
    ],
)
def test_bad_arguments_are_one_line(arguments, message, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert command(monkeypatch, *arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {message}")
    assert error.count("\n") == 1
    assert not list(tmp_path.iterdir())
