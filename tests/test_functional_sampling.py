"""`jax_tconv.functional`'s grid_sample, affine_grid, unfold, fold, stft and istft against torch."""

import numpy as np
import pytest

from jax_tconv import functional as F

torch = pytest.importorskip("torch")

from tests.functional import agree  # noqa: E402

TF = torch.nn.functional
RNG = np.random.default_rng(0)

# Spatial size, mode, padding mode, align_corners.
SAMPLED = [
    ((4, 5), "bilinear", "zeros", False),
    ((4, 5), "bilinear", "border", True),
    ((4, 5), "bilinear", "reflection", True),
    ((4, 1), "bilinear", "reflection", True),
    ((4, 5), "nearest", "zeros", True),
    ((4, 5), "bicubic", "zeros", False),
    ((4, 5), "bicubic", "reflection", False),
    ((3, 4, 2), "bilinear", "border", False),
    ((3, 4, 2), "nearest", "reflection", False),
]


@pytest.mark.parametrize("case", SAMPLED, ids=str)
@pytest.mark.usefixtures("float64")
def test_grid_sample(case):
    """In places up to far outside the image; and, but for reflection, on its corners and halfway between pixels."""
    size, mode, padding_mode, align_corners = case
    n = len(size)
    grid = RNG.uniform(-1.6, 1.6, (2, *(3, 5, 2)[:n], n))
    grid[0, 0, 0] = 3.7
    if padding_mode != "reflection" and mode != "nearest":
        grid[0, 0, 1], grid[1, 0, 0] = -1, 1
    agree(
        lambda x, g: F.grid_sample(x, g, mode, padding_mode, align_corners),
        lambda x, g: TF.grid_sample(x, g, mode, padding_mode, align_corners),
        [RNG.normal(size=(2, *size, 3)), grid],
        [n, None],
    )


@pytest.mark.parametrize("case", [((3, 4), False), ((1, 5), True), ((2, 3, 1), False), ((2, 3, 4), True)], ids=str)
@pytest.mark.usefixtures("float64")
@pytest.mark.filterwarnings("ignore:Since version 1.3.0, affine_grid")
def test_affine_grid(case):
    size, align_corners = case
    n = len(size)
    agree(
        lambda theta: F.affine_grid(theta, size, align_corners),
        lambda theta: TF.affine_grid(theta, (2, 1, *size), align_corners),
        [RNG.normal(size=(2, n, n + 1))],
        None,
    )


# Image size, kernel_size, dilation, padding, stride.
FOLDED = [((5, 6), (3, 2), (1, 2), (1, 0), 2), ((2, 3), (4, 3), 1, (2, 1), (1, 3))]


@pytest.mark.parametrize("case", FOLDED, ids=str)
@pytest.mark.usefixtures("float64")
def test_unfold_and_fold(case):
    size, *arguments = case
    x = RNG.normal(size=(2, *size, 3))
    agree(lambda x: F.unfold(x, *arguments), lambda x: TF.unfold(x, *arguments), [x], 2, 1)
    columns = RNG.normal(size=F.unfold(x, *arguments).shape)
    agree(lambda x: F.fold(x, size, *arguments), lambda x: TF.fold(x, size, *arguments), [columns], 1, 2)


SPECTRA = [
    {"n_fft": 8},
    {"n_fft": 9, "hop_length": 3, "win_length": 6, "normalized": True, "pad_mode": "constant"},
    {"n_fft": 6, "hop_length": 2, "center": False, "onesided": False},
]


@pytest.mark.parametrize("kwargs", SPECTRA, ids=str)
@pytest.mark.usefixtures("float64")
@pytest.mark.filterwarnings("ignore:The length of signal is shorter than the length parameter")
def test_stft_and_istft(kwargs):
    x = RNG.normal(size=(2, 24))
    window = RNG.uniform(0.5, 1, kwargs.get("win_length", kwargs["n_fft"]))
    tensor = torch.from_numpy(window)
    real = lambda stft: lambda *arrays: abs(stft(*arrays)) ** 2
    agree(
        real(lambda x, w: F.stft(x, window=w, **kwargs)),
        real(lambda x, w: torch.stft(x, window=w, return_complex=True, **kwargs)),
        [x, window],
        None,
    )
    spectra = torch.stft(torch.from_numpy(x), window=tensor, return_complex=True, **kwargs)
    back = {name: value for name, value in kwargs.items() if name != "pad_mode"}
    # One length within, one beyond what the frames give, and theirs.
    back["length"] = {8: 30, 9: 19, 6: None}[kwargs["n_fft"]]
    agree(
        lambda re, im: F.istft(re + 1j * im, window=window, **back),
        lambda re, im: torch.istft(torch.complex(re, im), window=tensor, **back),
        [spectra.real.numpy(), spectra.imag.numpy()],
        None,
    )
