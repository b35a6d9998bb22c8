"""The demo's first half as a test: the committed checkpoint, layer by layer, at the limits that the demo holds."""

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
