"""Patches, spectra, sampling between pixels, and other functions that this library has as torch has them."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from .check import check
from .test_indexing import Indexed, maps


def test_patches_there_and_back():
    def function(y):
        columns = F.unfold(y, 3, padding=1)
        return columns, F.fold(columns * 2, y.shape[2:], 3, padding=1), F.fold(columns[:, :, :4], (4, 4), 3)

    source = check(Indexed(function), maps(4, 4, 4, 4))
    assert "functional.unfold(y, 3, padding=1)" in source
    assert "moveaxis" not in source
    both = lambda y: F.fold(F.unfold(y, (2, 3), dilation=(2, 1), stride=2), (8, 7), (2, 3), (2, 1), stride=2)
    check(Indexed(both), maps(2, 4, 8, 7))


class Spectral(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("window", torch.hann_window(16))

    def forward(self, x):
        spectrum = torch.stft(x, 16, 4, window=self.window, return_complex=True, normalized=True)
        masked = spectrum * torch.sigmoid(spectrum.abs())
        back = torch.istft(masked, 16, 4, window=self.window, normalized=True, length=x.shape[-1])
        return back, spectrum.abs().transpose(1, 2), x.stft(8, return_complex=True, center=False).angle().cos()


@pytest.mark.filterwarnings("ignore:A window was not provided")
def test_spectra():
    source = check(Spectral(), maps(2, 64), also=[(maps(3, 80),)], relative=1e-4)
    assert "functional.stft(x, 16, hop_length=4, window=self.window[...], normalized=True)" in source

    def both(x):
        window = torch.hann_window(12)
        full = torch.stft(x, 16, 4, 12, window, onesided=False, pad_mode="constant", return_complex=True)
        return torch.view_as_real(full), torch.istft(full, 16, 4, 12, window, onesided=False)

    check(Function(both), maps(64), relative=1e-4)


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


@pytest.mark.parametrize("align_corners", [False, True])
def test_sampling(align_corners):
    def function(y):
        theta = y.mean((2, 3))[:, :3].reshape(-1, 1, 3).expand(-1, 2, 3) + torch.eye(2, 3)
        grid = F.affine_grid(theta, y.shape, align_corners=align_corners)
        other = F.affine_grid(theta, [y.shape[0], 4, 3, 5], align_corners)
        kwargs = {"align_corners": align_corners}
        return (
            grid,
            F.grid_sample(y, grid, **kwargs),
            F.grid_sample(y, other, mode="nearest", padding_mode="border", **kwargs),
            F.grid_sample(y, other, "bicubic", "reflection", align_corners),
        )

    source = check(Indexed(function), maps(4, 4, 4, 4), also=[(maps(2, 4, 5, 6),)], relative=1e-4)
    assert "moveaxis" not in source


def test_others():
    class Bags(nn.Module):
        def __init__(self):
            super().__init__()
            self.bags = nn.ModuleList(nn.EmbeddingBag(5, 4, mode=mode) for mode in ("mean", "sum", "max"))

        def forward(self, x):
            return [bag(x) for bag in self.bags]

    check(Bags(), torch.tensor([[0, 4, 2], [1, 1, 3]]))

    def function(y):
        return (
            F.local_response_norm(y, 3),
            F.local_response_norm(y, 2, alpha=0.5, k=2.0),
            F.lp_pool2d(y.abs(), 2, 2),
            F.lp_pool2d(y.abs(), 3, (2, 1), stride=1, ceil_mode=True),
            F.rrelu(y),
        )

    source = check(Indexed(function), maps(4, 4, 4, 4), also=[(maps(2, 4, 6, 5),)])
    assert "# PyTorch draws the slopes at random in training" in source
