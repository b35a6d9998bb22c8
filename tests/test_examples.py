"""The demo's first half as a test: the committed checkpoint, layer by layer, at the limits that the demo holds.

And the two examples with several devices.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("matplotlib")
pytest.importorskip("rich")

ROOT = Path(__file__).parents[1]


def test_dcgan_matches_torch(tmp_path):
    from rich.console import Console

    from examples.dcgan import demo

    demo.run(Console(), tmp_path)
    assert (tmp_path / "dcgan.png").stat().st_size > 10_000
    assert demo.CHECKPOINT.stat().st_size < 2_000_000


def test_a_wrong_weight_fails_the_demo(tmp_path, monkeypatch):
    from rich.console import Console

    from examples.common import DemoError
    from examples.dcgan import demo

    read = demo.interop.read
    monkeypatch.setattr(demo.interop, "read", lambda path: {n: v * 1.001 for n, v in read(path).items()})
    with pytest.raises(DemoError, match="differs too much from PyTorch: project"):
        demo.run(Console(), tmp_path)


def test_the_demo_without_a_network_succeeds_with_its_first_half(tmp_path):
    code = (
        "import sys; from examples.deepcr import demo, fetch\n"
        "def unreachable(): raise fetch.FetchError('no network')\n"
        "demo.fetch = unreachable\n"
        "from examples.demo import main; sys.argv = ['demo', '--output', sys.argv[1]]; sys.exit(main())"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert "Skipped, because deepCR could not be fetched: no network" in result.stdout


def test_a_wrong_checkpoint_of_deepcr_fails_the_demo(monkeypatch):
    from rich.console import Console

    from examples.common import DemoError
    from examples.deepcr import demo
    from examples.deepcr.star_field import star_field

    try:
        folder = demo.fetch()
    except demo.FetchError as error:
        pytest.skip(f"deepCR could not be fetched: {error}")
    name = "mask/ACS-WFC-F606W-2-4"  # the smallest
    monkeypatch.setattr(demo, "CHECKPOINTS", {name: demo.CHECKPOINTS[name]})
    console = Console(record=True)
    demo._convert_all(console, folder, *star_field(size=32))
    assert "All 1 checkpoints" in console.export_text()
    read = demo.interop.read
    monkeypatch.setattr(demo.interop, "read", lambda path: {n: v * 1.01 for n, v in read(path).items()})
    with pytest.raises(DemoError, match=f"differ too much from PyTorch: {name}"):
        demo._convert_all(console, folder, *star_field(size=32))


def test_two_processes_may_fetch_deepcr_at_once(tmp_path, monkeypatch):
    import hashlib
    import tarfile

    from examples.deepcr import fetch

    def download(work, timeout):
        source = work / "source"
        source.mkdir()
        archive = work / "archive.tar.gz"
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(source, fetch.FOLDER_NAME)
        monkeypatch.setattr(fetch, "SHA256", hashlib.sha256(archive.read_bytes()).hexdigest())
        (tmp_path / fetch.FOLDER_NAME).mkdir()
        (tmp_path / fetch.FOLDER_NAME / "from the other process").touch()
        return archive

    monkeypatch.setattr(fetch, "_download", download)
    assert (fetch.fetch(tmp_path) / "from the other process").exists()


def test_data_parallel_training_learns_and_sends_one_sum(capsys):
    from examples import data_parallel

    losses = data_parallel.main()
    assert losses[-1] < 0.7 * losses[0]
    sent = [line for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    assert [line.split()[0] for line in sent] == ["all-reduce"]


def test_a_volume_sharded_by_rows_in_a_process_that_has_asked_for_no_devices():
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    command = [sys.executable, "-m", "examples.sharded_volume"]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "result: (1, 128, 64, 64, 4), on each device (1, 16, 64, 64, 4)" in result.stdout
    sent = {line.split()[0] for line in result.stdout.splitlines() if line.startswith("  ")}
    assert sent == {"collective-permute", "all-reduce"}
    # Products of float32 summed in another order.
    assert float(result.stdout.split()[-5]) < 1e-6


def test_examples_say_what_they_lack(monkeypatch):
    import jax

    from examples import devices

    monkeypatch.setattr(jax, "devices", lambda platform: ["one"])
    with pytest.raises(RuntimeError, match="takes 8 CPU devices, and JAX has started with 1; set XLA_FLAGS="):
        devices.mesh("data")
