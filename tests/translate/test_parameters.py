"""Weights of layers and of modules that another module reads by itself."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from jax_tconv.interop._translate.translation import TranslationError, translate

from .check import check


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


class Language(nn.Module):
    """Embeddings that are the weights of the output too."""

    def __init__(self):
        super().__init__()
        self.embedding, self.position = nn.Embedding(5, 4), nn.Embedding(3, 4)
        self.bias = nn.Parameter(random(5))

    def forward(self, tokens):
        x = self.embedding(tokens) + self.position.weight
        x = x + F.embedding(tokens, self.embedding.weight)
        return (
            F.linear(x, self.embedding.weight),
            F.linear(x, self.embedding.weight, self.bias),
            x @ self.embedding.weight.T,
        )


def test_embeddings_that_are_the_weights_of_the_output_too():
    source = check(Language(), torch.tensor([[0, 4, 1], [2, 2, 3]]), also=[(torch.tensor([[1, 0, 3]]),)])
    assert "self.embedding.attend(x)" in source
    assert "self.embedding.attend(x) + self.bias[...]" in source
    assert "x @ self.embedding.embedding[...].T" in source


class Scaled(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale, self.shift = nn.Parameter(random(4, 1)), nn.Parameter(random(4))

    def forward(self, x):
        return x * self.scale


class Reader(nn.Module):
    """A module that reads the weights of what is in it."""

    def __init__(self):
        super().__init__()
        self.conv, self.up = nn.Conv2d(4, 4, 3, padding=1, groups=2), nn.ConvTranspose2d(4, 2, (3, 2))
        self.blocks = nn.ModuleList([nn.Sequential(nn.Linear(4, 4), nn.LayerNorm(4)), nn.Linear(4, 4, bias=False)])
        self.norm, self.own = nn.BatchNorm2d(4), Scaled()

    def forward(self, x):
        y = self.conv(x)
        weights = self.conv.weight * 2
        twice = F.conv2d(x, weights, self.conv.bias, padding=1, groups=2)
        up = F.conv_transpose2d(y, self.up.weight, self.up.bias)
        rows = y.flatten(2).transpose(1, 2)
        rows = self.blocks[0](rows) + F.linear(rows, self.blocks[1].weight, self.blocks[0][0].bias)
        rows = rows + self.blocks[0][1].weight + self.own.shift + self.own.scale.squeeze(1)
        normed = self.norm(y) - self.norm.running_mean[:, None, None]
        return (
            twice, up, self.up(y), self.own(y.flatten(2)), rows, normed, (self.conv.weight**2).sum((1, 2, 3)),
            self.blocks[0][0].weight @ self.blocks[1].weight,
            y * self.own.shift.view(1, -1, 1, 1) + self.norm.bias.unsqueeze(-1)[..., None],
            self.own.shift[None, :, None, None] - y.transpose(2, 3),
        )  # fmt: skip


def test_weights_of_layers_are_read_where_flax_has_them():
    source = check(Reader(), random(4, 4, 3, 3), also=[(random(2, 4, 3, 4),)])
    assert "functional.conv(x, weights, self.conv.bias[...], padding=1, groups=2)" in source
    assert "self.blocks[1].kernel[...]" in source
    assert "self.norm(y) - self.norm.mean[...]\n" in source
    assert "y * self.own.shift[...] + self.norm.bias[...]" in source


def test_a_layer_that_is_the_whole_network_reads_its_own():
    source = check(nn.Linear(4, 3), random(2, 4))
    assert "@ self.weight[...].T + self.bias[...]" in source


class Listed(nn.Module):
    def __init__(self):
        super().__init__()
        self.parts = nn.ParameterList([random(4)])

    def forward(self, x):
        return x + self.parts[0]


class Packed(nn.Module):
    def __init__(self):
        super().__init__()
        self.attn, self.lstm = nn.MultiheadAttention(4, 2, batch_first=True), nn.LSTM(4, 4)

    def forward(self, x):
        return self.attn(x, x, x)[0] @ self.attn.out_proj.weight, F.linear(x, self.lstm.weight_hh_l0)


def test_weights_that_flax_has_otherwise_are_refused():
    with pytest.raises(TranslationError) as refused:
        translate(Packed(), random(2, 3, 4))
    assert "the out_proj.weight of a MultiheadAttention" in str(refused.value)
    assert "the weight_hh_l0 of a LSTM" in str(refused.value)
    with pytest.raises(TranslationError, match="a parameter in a ParameterList"):
        translate(Listed(), random(2, 3, 4))
