"""Tensors that a network makes, their dtypes, what drops in training, and Fourier transforms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch
from flax import nnx
from torch import nn
from torch.nn import functional as F

from .check import arguments, check, compare, loaded, translated

RANDOM = torch.Generator().manual_seed(0)


def numbers(*sizes):
    return torch.randn(*sizes, generator=RANDOM)


class Function(nn.Module):
    """A network that is one function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def judge(function, x=None, **options):
    return check(Function(function), numbers(4, 4, 4, 4) if x is None else x, **options)


def test_filled():
    source = judge(
        lambda x: (
            x + torch.zeros(4, 4) + torch.ones((4,)) + torch.ones(1, 4, dtype=torch.float32, device=x.device),
            torch.zeros(x.shape),
            torch.ones(x.shape[0], x.shape[2], 2),
            torch.full((2, 3), 7),
            torch.full((2,), 0.5),
            torch.full(size=(2,), fill_value=True),
            torch.full((2,), -1, dtype=torch.float32),
            torch.zeros(3, dtype=torch.long),
            torch.ones(2, 2, dtype=torch.bool),
            torch.empty(2, 3).fill_(4.0),
            torch.empty(x.shape[1:]).zero_(),
            torch.full((x.shape[0],), x.shape[1], dtype=torch.int64),
        ),
        also=[(numbers(2, 4, 4, 4),)],
    )
    assert "jnp.zeros((4, 4))" in source
    assert "jnp.zeros((3,), dtype=int)" in source
    assert "jnp.ones((2, 2), dtype=bool)" in source


def test_filled_like_another():
    judge(
        lambda x: (
            x.new_zeros(2, 3),
            x.new_ones((2, 3), dtype=torch.int64),
            x.new_full((2,), 3),
            x.new_full((x.shape[2],), -torch.inf),
            x.new_empty((2, 2)).fill_(1),
            x.new_tensor([1, 2, 3]),
            x.long().new_zeros(x.shape[:2]),
            torch.zeros_like(x),
            torch.ones_like(x, dtype=torch.bool),
            torch.full_like(x, 0.5),
            torch.full_like(x[:, 0], fill_value=2, dtype=torch.int64),
            torch.empty_like(x).copy_(x),
        ),
        also=[(numbers(2, 4, 5, 6),)],
    )


def test_zeros_of_a_map_have_its_order():
    class Padded(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(4, 4, 3)

        def forward(self, x):
            y = self.conv(x)
            zeros = torch.zeros(y.shape[0], 2, y.shape[2], y.shape[3])
            noise = torch.zeros((y.shape[0], 1, *y.shape[2:]))
            return torch.cat([y, zeros], 1) + noise

    source = check(Padded(), numbers(2, 4, 4, 6), also=[(numbers(3, 4, 7, 5),)])
    assert "moveaxis" not in source


def test_in_a_row():
    source = judge(
        lambda x: (
            torch.arange(4) + x,
            torch.arange(1, x.shape[2]),
            torch.arange(0, 10, 3),
            torch.arange(5, -5, -2),
            torch.arange(start=1, end=4),
            torch.arange(0, end=x.shape[3], step=2),
            torch.arange(end=3),
            torch.arange(x.shape[2], dtype=torch.float32) / x.shape[2],
            torch.arange(0.0, 1.0, 0.25),
            torch.arange(0, 1, 0.3),
            torch.arange(3.5),
            torch.linspace(-1, 1, x.shape[3]),
            torch.linspace(start=0, end=1, steps=5),
            torch.logspace(0, 2, 5),
            torch.logspace(0, 2, steps=3, base=2),
            torch.eye(3),
            torch.eye(x.shape[2], 2),
            torch.eye(3, dtype=torch.bool),
        ),
        also=[(numbers(2, 4, 5, 4),)],
    )
    assert "jnp.arange(4)" in source
    assert "dtype=float" in source


def test_from_numbers():
    scale = torch.tensor([0.5, 1.0, 2.0, 4.0])
    table = torch.arange(8)

    def function(x):
        n = x.shape[-1]
        return (
            x * torch.tensor([1.0, 2.0, 3.0, 4.0]),
            x * torch.tensor(2.0) + torch.tensor(3),
            torch.tensor([[1, 2], [3, 4]]),
            torch.tensor([True, False]),
            torch.tensor([1, 2], dtype=torch.float32),
            torch.tensor([n, n // 2, 1]),
            torch.tensor(n * 0.5) * x,
            torch.as_tensor([1.5, 2.5]),
            torch.as_tensor(np.array([1, 2, 3])),
            torch.from_numpy(np.array([[0.25, 0.5]], np.float32)) + x[0, 0, :1, :2],
            torch.scalar_tensor(4.0),
            torch.as_tensor(x),
            torch.tensor([float("inf"), -float("inf"), float("nan")]),
            x * scale,
            table[2:] * 2,
            torch.tensor([]),
        )

    source = judge(function, also=[(numbers(2, 4, 4, 4),)])
    assert "jnp.arange(8)" in source
    assert "jnp.array([0.5, 1.0, 2.0, 4.0])" in source


def test_grids():
    def function(x):
        rows, columns = torch.meshgrid(torch.arange(x.shape[2]), torch.arange(x.shape[3]), indexing="ij")
        across, down = torch.meshgrid([torch.linspace(0, 1, 3), torch.arange(4.0)], indexing="xy")
        (alone,) = torch.meshgrid(torch.arange(3), indexing="ij")
        pairs = torch.cartesian_prod(torch.arange(2), torch.arange(3))
        return (
            rows * x,
            columns,
            across,
            down,
            alone,
            pairs,
            torch.cartesian_prod(torch.arange(2)),
            torch.tril_indices(3, 3),
            torch.triu_indices(3, 4, offset=1),
            torch.tril_indices(x.shape[2], x.shape[2], -1),
        )

    judge(function, also=[(numbers(2, 4, 5, 6),)])


def test_one_hot():
    class Classes(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(4, 4, 1)

        def forward(self, x):
            y = self.conv(x)
            best = y.argmax(1)
            one_hot = F.one_hot(best, 4)
            return one_hot, one_hot.permute(0, 3, 1, 2).float() * y, F.one_hot(best, num_classes=y.shape[1]).float()

    source = check(Classes(), numbers(4, 4, 4, 4), also=[(numbers(2, 4, 5, 6),)])
    assert "moveaxis" not in source


@pytest.mark.parametrize("name", ["hann_window", "hamming_window", "blackman_window", "bartlett_window"])
def test_windows(name):
    window = getattr(torch, name)
    judge(lambda x: (window(8), window(7, periodic=False), window(5, False), window(1), window(x.shape[0] * 2)))
    judge(
        lambda x: (torch.kaiser_window(8), torch.kaiser_window(6, False, 8.0), torch.kaiser_window(5, True, beta=3.0))
    )


# Dtypes


def test_changes_of_dtype():
    def function(x):
        mask = x > 0
        n = (x * 10).long()
        return (
            mask.float() * x,
            mask.to(x.dtype),
            mask.int(),
            mask.sum(),
            mask.sum(1),
            mask.float().mean((2, 3)),
            n.to(torch.float32),
            n.type(torch.FloatTensor),
            n.type_as(x),
            n.bool(),
            n.to("cpu", torch.float32),
            x.to(dtype=torch.int32),
            x.to(mask),
            n // 3,
            n / 4,
            n % 7,
            -n,
            n.abs() ** 2,
            ~mask,
            mask & (x < 1) | ~(x > -1),
            mask == (x > 0.5),
            n == 3,
            n.clamp(min=0).cumsum(-1),
            mask.cumsum(2),
            (n > 2).any(1),
            mask.all((2, 3)),
            n * 0.5,
            1 - n,
            2.0 / (n.abs() + 1),
            n.float().double().float(),
        )

    source = judge(function)
    assert ".astype(int)" in source
    assert ".astype(bool)" in source
    assert "int64" not in source


def test_the_least_number_as_a_mask():
    def function(x):
        least = torch.finfo(x.dtype).min
        causal = torch.ones(x.shape[-1], x.shape[-1], dtype=torch.bool).tril()
        y = x.masked_fill(~causal, least).softmax(-1)
        z = x + (1.0 - causal.to(x.dtype)) * torch.finfo(x.dtype).min
        w = torch.where(causal, x, torch.tensor(float("-inf"))).softmax(-1)
        return y, z.softmax(-1), w, x / (x.abs().amax() + torch.finfo(x.dtype).eps)

    source = judge(function, also=[(numbers(2, 3, 5, 5),)])
    assert "jnp.finfo(jnp.float32).min" in source
    assert "jnp.finfo(jnp.float32).eps" in source
    assert "e+38" not in source


@pytest.mark.usefixtures("float64")
def test_float64():
    def function(x):
        steps = torch.arange(x.shape[-1], dtype=x.dtype)
        return x * torch.zeros(4, dtype=torch.float64), x / (1 + steps), steps.to(torch.int64), x.double() + torch.pi

    network = Function(function).double()
    x = numbers(2, 4, 4, 4).double()
    source, record = translated(network, x)
    compare(loaded(source, network)(*arguments(record, [x])), network(x), record.root.body.orders, 1e-14)
    assert "float32" not in source


# Dropout


class Dropping(nn.Module):
    def __init__(self, p=0.5):
        super().__init__()
        self.conv = nn.Conv2d(3, 16, 3)
        self.p = p

    def forward(self, x):
        x = F.dropout2d(self.conv(x), self.p, self.training)
        x = F.dropout(x, p=self.p, training=self.training)
        return F.dropout(x.mean((2, 3)), self.p, training=self.training) + x.sum()


def test_dropout_as_a_function_is_a_layer():
    network = Dropping()
    source = check(network, numbers(2, 3, 6, 6))
    assert source.count("nnx.Dropout(") == 2
    assert "self.dropout(" in source
    model = loaded(source, network)
    x = jnp.asarray(numbers(2, 6, 6, 3).numpy())
    before = model(x)
    np.testing.assert_array_equal(before, model(x))
    model.train()
    assert not np.array_equal(model(x), before)
    assert not np.array_equal(model(x), model(x))


def test_dropped_maps_are_dropped_whole():
    class Maps(nn.Module):
        def forward(self, x):
            return F.dropout2d(x, 0.5, self.training)

    network = Maps()
    model = loaded(check(network, torch.ones(2, 8, 4, 4)), network)
    model.train()
    dropped = np.asarray(model(jnp.ones((2, 4, 4, 8))))
    assert {0.0, 2.0} == set(np.unique(dropped))
    assert (dropped == dropped[:, :1, :1]).all()


def test_dropout_beside_attributes_of_that_name():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.dropout = nn.Linear(4, 4)
            self.blocks = nn.ModuleList(Dropping(p) for p in (0.1, 0.2))

        def forward(self, x):
            y = self.blocks[0](x) + self.blocks[1](x)
            return F.dropout(self.dropout(y[:, :4]), 0.3, self.training)

    source = check(Named(), numbers(2, 3, 6, 6))
    assert "self.dropout2 = nnx.Dropout(0.3" in source
    assert source.count("class ") == 2


def test_alpha_dropout():
    class Selu(nn.Module):
        def __init__(self):
            super().__init__()
            self.items = nn.Sequential(nn.Conv2d(3, 4, 3), nn.SELU(), nn.AlphaDropout(0.2), nn.FeatureAlphaDropout(0.3))

        def forward(self, x):
            return F.alpha_dropout(self.items(x), 0.2, self.training)

    source = check(Selu(), numbers(2, 3, 6, 6))
    assert "self.dropout = nnx.Dropout(0.2, rngs=rngs)" in source
    assert "self.dropout2 = nnx.Dropout(0.3, broadcast_dims=(1, 2), rngs=rngs)" in source
    assert "# PyTorch's alpha dropout also keeps mean and variance in training" in source


def test_without_dropping_there_is_no_layer():
    assert "Dropout" not in check(Dropping(0.0), numbers(2, 3, 6, 6))
    sequential = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.0), nn.AlphaDropout(0.0), nn.ReLU())
    assert "Dropout" not in check(sequential, numbers(2, 4))


def test_dropout_under_jit_and_grad():
    network = Dropping()
    source, record = translated(network, numbers(2, 3, 6, 6))
    model = loaded(source, network)
    (x,) = arguments(record, [numbers(2, 3, 6, 6)])
    model.train()
    value, gradient = nnx.jit(nnx.value_and_grad(lambda model, x: jnp.sum(model(x))))(model, x)
    assert np.isfinite(value)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


# Fourier transforms


def test_fourier_transforms():
    class Spectral(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(4, 4, 1)

        def forward(self, x):
            y = self.conv(x)
            spectrum = torch.fft.rfft2(y, norm="ortho")
            pairs = torch.view_as_real(spectrum)
            filtered = spectrum * torch.view_as_complex(pairs * 0.5)
            return (
                torch.fft.irfft2(filtered, s=y.shape[-2:], norm="ortho"),
                pairs,
                torch.fft.fft(y, dim=1),
                torch.fft.ifft(torch.fft.fft(y, n=6), norm="forward").real,
                torch.fft.rfft(y, dim=2).abs(),
                torch.fft.irfft(torch.fft.rfft(y), n=y.shape[-1]),
                torch.fft.fftn(y, dim=(1, 2)).imag,
                torch.fft.rfftn(y, dim=(2, 3)).angle().cos(),
                torch.fft.ifftn(torch.fft.fftn(y)).real,
                torch.fft.fftshift(torch.fft.fft2(y), dim=(-2, -1)),
                torch.fft.ifftshift(y, dim=1),
                torch.fft.fftshift(y),
                torch.fft.fftfreq(5),
                torch.fft.rfftfreq(6, d=0.5),
                torch.complex(y, y * 2),
                torch.polar(y.abs(), y),
                torch.complex(y, y[:, :1]).conj(),
            )

    source = check(Spectral(), numbers(4, 4, 4, 4), also=[(numbers(2, 4, 6, 4),)], relative=3e-5)
    assert 'jnp.fft.rfft2(y, axes=(1, 2), norm="ortho")' in source
