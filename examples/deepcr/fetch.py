"""Fetches deepCR's source package with pip, and takes the PyTorch networks out of it.

The package is the work of its authors (BSD-3-Clause); it stays in a cache folder that git ignores.
"""

import hashlib
import importlib
import subprocess
import sys
import tarfile
import tempfile
import types
from pathlib import Path

from torch import nn

REQUIREMENT = "deepcr==0.3.1"
FOLDER_NAME = "deepCR-0.3.1"
SHA256 = "ae38876514e8a44e5e96ee7edf6609a4baf25bc5c442363628b162d46f982e94"
CACHE = Path(__file__).with_name(".cache")


class FetchError(Exception):
    """deepCR's source package could not be fetched, or is not the one that this demo knows."""


def fetch(cache: Path = CACHE, timeout: float = 120) -> Path:
    """The unpacked source package; downloads it on the first call and raises FetchError if that fails."""
    folder = cache / FOLDER_NAME
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    (cache / ".gitignore").write_text("*\n")  # git and linters then pass over other people's code
    with tempfile.TemporaryDirectory(dir=cache) as work:
        archive = _download(Path(work), timeout)
        if hashlib.sha256(archive.read_bytes()).hexdigest() != SHA256:
            raise FetchError(f"{archive.name} is not the file that this demo was written for (its SHA-256 differs)")
        try:
            with tarfile.open(archive) as tar:
                tar.extractall(work, filter="data")
            # Moved as the last step, so that an interrupted run leaves no half-filled folder behind.
            (Path(work) / FOLDER_NAME).rename(folder)
        except (OSError, tarfile.TarError) as error:
            if folder.is_dir():  # another process was faster
                return folder
            raise FetchError(f"could not unpack {archive.name}: {error}") from error
    return folder


def _download(folder: Path, timeout: float) -> Path:
    # Only deepCR itself must come as source; what pip needs to read its metadata may come as wheels.
    options = ["--quiet", "--no-deps", "--no-binary", "deepcr", "--retries", "2", "--dest", str(folder)]
    command = [sys.executable, "-m", "pip", "download", *options, REQUIREMENT]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)
    except subprocess.TimeoutExpired as error:
        raise FetchError(f"pip did not download {REQUIREMENT} within {timeout:g} seconds") from error
    except OSError as error:
        raise FetchError(f"pip could not be started: {error}") from error
    archives = list(folder.glob("*.tar.gz"))
    if result.returncode or len(archives) != 1:
        errors = [line.removeprefix("ERROR: ") for line in result.stderr.splitlines() if line.startswith("ERROR: ")]
        reason = errors[-1] if errors else f"it ended with status {result.returncode}"
        raise FetchError(f"pip could not download {REQUIREMENT}: {reason}")
    return archives[0]


def network_class(folder: Path, name: str) -> type[nn.Module]:
    """deepCR's PyTorch class of that name, such as `UNet2SigmoidBatchNorm`, imported from the unpacked package."""
    # An empty stand-in for the package lets its modules import each other without running deepCR/__init__.py, which
    # needs packages that this network does not. Afterwards sys.modules is as before; sys.path never changes.
    stand_in = types.ModuleType("deepCR")
    stand_in.__path__ = [str(folder / "deepCR")]
    before = _take_deepcr_modules()
    sys.modules["deepCR"] = stand_in
    try:
        module = importlib.import_module("deepCR.unet_batchnorm" if name.endswith("BatchNorm") else "deepCR.unet")
        return getattr(module, name)
    finally:
        _take_deepcr_modules()
        sys.modules.update(before)


def _take_deepcr_modules() -> dict[str, types.ModuleType]:
    names = [name for name in sys.modules if name.partition(".")[0] == "deepCR"]
    return {name: sys.modules.pop(name) for name in names}
