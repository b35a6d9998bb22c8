"""`jax-tconv bench`: who takes part, what is checked, and what is said of those who are missing or wrong."""

import json
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from jax_tconv._methods import METHODS
from jax_tconv.benchmarks import contest, load, peers
from jax_tconv.benchmarks.peers import ours
from jax_tconv.cli.bench import bench

app = typer.Typer(pretty_exceptions_enable=False)
app.command()(bench)
SMALL = "--size 4,3 --kernel 3,2 --stride 2 --padding 1 --output-padding 1 --channels-in 3 --channels-out 2"


@pytest.fixture(autouse=True)
def short(monkeypatch):
    monkeypatch.setattr(contest, "QUICK", contest.Settings(rounds=1, seconds=0.0))
    monkeypatch.setattr(load, "LOOK_SECONDS", 0.0)
    monkeypatch.setenv("COLUMNS", "80")


def run(arguments):
    return CliRunner().invoke(app, [*arguments.split(), "--quick"])


def results(arguments):
    result = run(f"{arguments} --json")
    assert result.exit_code == 0, result.exception
    return json.loads(result.stdout)


def uninstall(monkeypatch, library, peer):
    """Makes the library's import fail, also where its contestant was imported before."""
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.delitem(sys.modules, f"jax_tconv.benchmarks.peers.{peer}", raising=False)
    monkeypatch.delattr(peers, peer, raising=False)


def check(result):
    """What holds of all results on a small layer: who runs here is timed, with the right values, the fastest first."""
    entries = [entry for entry in result["contestants"] if entry["name"] != "jax_tconv fused"]
    assert {entry["status"] for entry in entries} == {"timed"}
    assert result["judge"] == "torch"
    medians = [entry["timing"]["median"] for entry in entries]
    assert medians == sorted(medians)
    assert [entry["times_fastest"] for entry in entries] == [median / medians[0] for median in medians]
    # Some ten roundings of float32.
    assert max(error for entry in entries for error in entry["errors"]) < 1e-6


def test_every_method_and_every_peer():
    pytest.importorskip("torch")
    pytest.importorskip("equinox")
    document = results(f"{SMALL} --mode forward")
    assert document["layer"]["output"] == [8, 5]
    assert document["machine"]["versions"]["jax"]
    (result,) = document["results"]
    check(result)
    libraries = {"torch NCHW", "torch NHWC", "flax", "flax-transposed", "equinox", "lax"}
    names = {entry["name"] for entry in result["contestants"]}
    assert names == libraries | {"jax_tconv"} | {f"jax_tconv {method}" for method in METHODS}
    (tpu,) = (entry for entry in result["contestants"] if entry["name"] == "jax_tconv fused")
    assert (tpu["status"], tpu["reason"]) == (
        "not applicable",
        'method="fused" cannot compute forward on cpu: it is made for tpu; method=None has no such limit',
    )
    assert result["chosen"].keys() == {"forward"}


def test_both_modes():
    pytest.importorskip("torch")
    forward, training = results(f"{SMALL} --methods None --peers torch,lax")["results"]
    assert (forward["mode"], training["mode"]) == ("forward", "training")
    assert training["chosen"].keys() == {"forward", "input_gradient", "kernel_gradient"}
    for result, arrays in ((forward, 1), (training, 3)):
        check(result)
        assert {len(entry["errors"]) for entry in result["contestants"]} == {arrays}


def test_the_table():
    pytest.importorskip("torch")
    result = run(f"{SMALL} --batch 2 --methods None,taps --peers torch,flax --mode forward")
    assert result.exit_code == 0, result.exception
    lines = [line.strip() for line in result.stdout.split("\n")]
    assert lines[0].startswith("3 to 2 channels, input 4,3, kernel 3,2, stride 2,2, padding 1,1")
    assert "The output" in lines
    assert "The output and both gradients" not in lines
    heading = next(number for number, line in enumerate(lines) if line.startswith("contestant"))
    assert lines[heading].split()[:4] == ["contestant", "ms", "min", "spread"]
    rows = [line for line in lines[heading:] if "e-" in line or "0e+00" in line]
    assert len(rows) == 5
    for name in ("jax_tconv  ", "jax_tconv taps  ", "torch NCHW  ", "torch NHWC  ", "flax  "):
        assert sum(row.startswith(name) for row in rows) == 1, name
    assert "  1.00  " in rows[0]
    assert max(map(len, lines)) <= 80


def stand_still(monkeypatch, **fields):
    """Has every look at the machine give this."""
    found = load.Load(**{"cores": 2, "others": 0.0, "stolen": 0.0, "average": 0.1} | fields)
    monkeypatch.setattr(load, "before", lambda: found)
    monkeypatch.setattr(load, "since", lambda start: found)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, None),
        ({"others": 0.62}, "other processes took 62% of its 2 cores."),
        ({"stolen": 0.2}, "other processes took 0% of its 2 cores, and its host 20%."),
        ({"others": None, "stolen": None, "average": 1.8}, None),
        ({"others": None, "stolen": None, "average": 4.0}, "its load average is 4.0 on 2 cores, this run included."),
    ],
)
def test_a_busy_machine_is_named(monkeypatch, fields, words):
    stand_still(monkeypatch, **fields)
    small = "--size 4 --kernel 2 --methods taps --peers lax --mode forward"
    shown = " ".join(run(small).stdout.split())
    assert ("This machine was busy" in shown) == (words is not None)
    if words:
        assert f"before the run: {words} during the run: {words} The times are too long" in shown
    found = results(small)["load"]
    assert found["before"] == found["during"] == found["before"] | fields | {"busy": words is not None}


STAT = """cpu  100 0 100 1000 0 0 0 0 0 0
cpu0 {} 0 50 500 9 0 0 {} 7 0
cpu1 10 0 10 500 9 0 0 0 0 0
cpu77 {} 0 0 0 0 0 0 0 0 0
intr 5
"""


def test_the_load_by_hand(monkeypatch, tmp_path):
    monkeypatch.setattr(load, "STAT", tmp_path / "stat")
    monkeypatch.setattr(load, "cores", lambda: frozenset({0, 1}))
    monkeypatch.setattr(load.os, "sysconf", lambda name: 100)
    times = iter([0.0, 10.0])
    monkeypatch.setattr(load.time, "monotonic", lambda: next(times))
    own = iter([1.0, 5.0])
    monkeypatch.setattr(load.os, "times", lambda: load.os.times_result((next(own), 0.0, 0.0, 0.0, 0.0)))
    load.STAT.write_text(STAT.format(0, 0, 0))
    start = load.usage()
    # In 10 seconds of two cores: 11 busy, of which 4 our own, 1 stolen, and any number on a core that is not ours.
    load.STAT.write_text(STAT.format(1100, 100, 99999))
    found = load.since(start)
    assert (found.others, found.stolen, found.busy) == ((11 - 4) / 20, 1 / 20, True)


@pytest.mark.parametrize("text", [None, "", "cpu0 a b c d e f g h", STAT.format(0, 0, 0)])
def test_a_machine_that_does_not_say(monkeypatch, tmp_path, text):
    monkeypatch.setattr(load, "STAT", tmp_path / "stat")
    if text is not None:
        load.STAT.write_text(text)
    start = load.usage()
    # The last file stands still, while this works.
    end = load.time.process_time() + 0.3
    while load.time.process_time() < end:
        pass
    assert load.since(start).others is None


@pytest.mark.skipif(not load.STAT.exists(), reason="only Linux has /proc/stat")
def test_another_process_is_seen():
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as other:
        start = load.usage()
        load.time.sleep(1)
        found = load.since(start)
        other.kill()
    if found.others is not None:
        assert found.others * found.cores > 0.2


def test_input_is_pytorchs_whole_shape():
    small = "--kernel 2 --methods taps --peers lax --mode forward"
    layer = results(f"--input 2,6,4,3 --groups 2 --channels-out 4 {small}")["layer"]
    assert (layer["batch"], layer["c_in"], layer["input"]) == (2, 6, [4, 3])


def test_the_shortest_call_is_there():
    document = results("--size 4 --kernel 2 --methods taps,vjp --peers lax --mode forward")
    for entry in document["results"][0]["contestants"]:
        assert 0 < entry["timing"]["minimum"] <= entry["timing"]["median"]


def test_a_published_layer():
    document = results("--layer hifigan_up4 --methods taps --peers lax --mode forward")
    assert document["layer"]["source"].startswith("jik876/hifi-gan")
    assert document["layer"]["output"] == [32768]
    (result,) = document["results"]
    assert {entry["name"] for entry in result["contestants"]} == {"jax_tconv taps", "lax"}


def test_json_stands_alone_on_a_terminal(monkeypatch):
    # Makes rich take the output for a terminal.
    monkeypatch.setenv("FORCE_COLOR", "1")
    result = run("--size 4 --kernel 2 --methods taps --peers lax --mode forward --json")
    assert json.loads(result.stdout)["results"]
    assert "time" in result.stderr


def test_one_number_is_for_two_axes():
    document = results("--size 4 --kernel 2 --methods taps --peers lax --mode forward")
    assert (document["layer"]["input"], document["layer"]["kernel"]) == ([4, 4], [2, 2])


def test_what_has_no_form_of_a_layer_is_left_out():
    shown = run("--size 5 --dims 1 --kernel 2 --groups 2 --methods taps --peers flax --mode forward").stdout
    assert "flax left out: flax's ConvTranspose has no groups\n" in shown


def test_libraries_that_are_missing_are_left_out(monkeypatch):
    uninstall(monkeypatch, "torch", "pytorch")
    uninstall(monkeypatch, "equinox", "equinox_nn")
    result = run(f"{SMALL} --methods None")
    assert result.exit_code == 0, result.exception
    for line in (
        "torch left out: not installed; pip install torch\n",
        "equinox left out: not installed; pip install equinox\n",
        "PyTorch would be the better judge: pip install torch\n",
    ):
        assert result.stdout.count(line) == 1
    assert "from the values of jax.lax" in result.stdout
    assert {result["judge"] for result in results(f"{SMALL} --methods None")["results"]} == {"jax.lax"}


@pytest.mark.parametrize("judge", ["torch", "jax.lax"])
def test_wrong_values_are_not_timed_and_end_in_an_error(judge, monkeypatch):
    if judge == "torch":
        pytest.importorskip("torch")
    else:
        uninstall(monkeypatch, "torch", "pytorch")
    right = ours.conv_transpose
    monkeypatch.setattr(ours, "conv_transpose", lambda *a, method, **k: right(*a, **k) * (1.001 if method else 1))
    result = run(f"{SMALL} --methods None,taps --peers flax --mode forward --json")
    reason = f"the output differs from {judge}'s by 1.0e-03 of its largest value"
    entries = {entry["name"]: entry for entry in json.loads(result.stdout)["results"][0]["contestants"]}
    assert entries["jax_tconv taps"]["status"] == "wrong"
    assert entries["jax_tconv taps"]["reason"].startswith(reason)
    assert entries["jax_tconv taps"]["timing"] is None
    assert entries["jax_tconv"]["status"] == entries["flax"]["status"] == "timed"
    assert isinstance(result.exception, ValueError)
    assert str(result.exception).startswith(
        f"a fault of jax_tconv's, please report it: jax_tconv taps (forward): {reason}"
    )
    shown = run(f"{SMALL} --methods None,taps --peers flax --mode forward").stdout
    assert " ".join(shown.split()).count(f"jax_tconv taps wrong: {reason}") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "give a layer: --input or --size, --kernel, and what else it has; or --layer with a name"),
        ("--size 4", "give a layer"),
        ("--size 4 --kernel 3 --padding SAME", "--padding must be ints, as in PyTorch, which judges here; got SAME"),
        ("--layer sam_up9", "unknown --layer 'sam_up9'; known: dcgan_g1, "),
        ("--layer sam_up2 --stride 3", "leave out the options that describe one"),
        ("--layer sam_up2 --batch 1", "leave out the options that describe one"),
        ("--size 4,4,4,4 --kernel 3", "at most 3 spatial axes, got 4"),
        ("--size 4 --kernel 3 --padding 9", "the output would be empty, of size (-12, -12)"),
        ("--size 4 --kernel 3 --groups 3", "--groups must divide the 64 channels of the input, got 3"),
        ("--size 4 --kernel 3 --methods fft", "unknown method 'fft'; known: None, lhs_dilation"),
        ("--size 4 --kernel 3 --peers keras", "unknown peer 'keras'; known: torch, flax"),
        ("--size 4 --kernel 3 --mode backward", "unknown mode 'backward'; known: forward, training, both"),
    ],
)
def test_errors(arguments, message):
    result = run(arguments)
    assert isinstance(result.exception, ValueError)
    assert message in str(result.exception)
    assert "\n" not in str(result.exception)
    assert result.stdout == ""
