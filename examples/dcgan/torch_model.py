"""A small DCGAN for 32x32 grey-scale pictures, in PyTorch.

The layers are named attributes rather than items of a `Sequential`, so the checkpoint's names say what they are.
"""

import torch
from torch import nn

LATENT_SIZE = 64


class Generator(nn.Module):
    """Turns latents (N, 64, 1, 1) into pictures (N, 1, 32, 32) in [-1, 1]; every layer is a transposed convolution."""

    def __init__(self, latent_size: int = LATENT_SIZE, width: int = 32) -> None:
        super().__init__()
        # BatchNorm subtracts the mean, so a bias in front of it would do nothing; only the last layer has one.
        self.project = nn.ConvTranspose2d(latent_size, 4 * width, 4, bias=False)
        self.norm1 = nn.BatchNorm2d(4 * width)
        self.up2 = nn.ConvTranspose2d(4 * width, 2 * width, 4, stride=2, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(2 * width)
        self.up3 = nn.ConvTranspose2d(2 * width, width, 4, stride=2, padding=1, bias=False)
        self.norm3 = nn.BatchNorm2d(width)
        self.up4 = nn.ConvTranspose2d(width, 1, 4, stride=2, padding=1)

    def forward(self, latent: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm1(self.project(latent)))
        x = torch.relu(self.norm2(self.up2(x)))
        x = torch.relu(self.norm3(self.up3(x)))
        return torch.tanh(self.up4(x))


class Discriminator(nn.Module):
    """Scores pictures (N, 1, 32, 32): one logit each, high for real ones. Only training needs it."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.down1 = nn.Conv2d(1, width, 4, stride=2, padding=1)
        self.down2 = nn.Conv2d(width, 2 * width, 4, stride=2, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(2 * width)
        self.down3 = nn.Conv2d(2 * width, 4 * width, 4, stride=2, padding=1, bias=False)
        self.norm3 = nn.BatchNorm2d(4 * width)
        self.score = nn.Conv2d(4 * width, 1, 4)

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        x = nn.functional.leaky_relu(self.down1(pictures), 0.2)
        x = nn.functional.leaky_relu(self.norm2(self.down2(x)), 0.2)
        x = nn.functional.leaky_relu(self.norm3(self.down3(x)), 0.2)
        return self.score(x).flatten()
