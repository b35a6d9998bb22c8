"""Indices, writes to what they select, and elements by indices, of tensors whose channels are last in Flax."""

import pytest
import torch
from torch import nn

from .check import check

# Batch, channels, rows and columns are equally many, so that axes that change places change no shape.
SAME = torch.Generator().manual_seed(0)


def maps(*sizes):
    return torch.randn(*sizes, generator=SAME)


class Indexed(nn.Module):
    """A map whose channels are last in Flax, and a function of it."""

    def __init__(self, function, channels=4):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.function = function

    def forward(self, x, v=None, w=None):
        return self.function(*[self.conv(x), v, w][: self.function.__code__.co_argcount])


def judge(function, *others, channels=4, more=True):
    """Judges a function of a map of four of everything, and of one of other sizes and another batch."""
    also = [(maps(2, channels, 6, 5), *others)] if more and not others else []
    return check(Indexed(function, channels), maps(4, channels, 4, 4), *others, also=also)


def test_numbers_and_slices():
    source = judge(
        lambda y: (y[0], y[:, 1], y[:, :, -1], y[..., 2], y[1, 2], y[:, 0, 0], y[:, 0, :, 1], y[0, ..., 1], y[0][1][2])
    )
    assert "y[..., 1]" in source
    assert "y[:, -1]" in source
    judge(lambda y: (y[1:3], y[:, 1:3], y[:, ::2], y[:, :, 1:-1, :-1], y[..., ::2], y[:, :2, 1::2, 0], y[-1:], y[:]))
    judge(lambda y: (y[:, :, y.shape[2] // 2 :], y[:, : y.size(1) - 1], y[..., -y.shape[3] + 1], y[:, 0 : y.shape[1]]))


def test_new_axes():
    source = judge(
        lambda y: (y[None], y[:, None], y[:, :, None], y[..., None], y[0, None], y[:, 0, None], y[:, None, :, None])
    )
    assert "y[:, None]" in source
    judge(lambda y: (y[:, None, 0], y[..., None, 1], y[None, :, 1, None], y[:, :, None, 0], y[0, :, None, 1:, None, 2]))


def test_vectors_become_maps_with_the_channels_last():
    source = judge(
        lambda y, v: (y * v[:, :, None, None], y + v[..., None, None], v[:, :, None] + v[:, None]), maps(4, 4)
    )
    assert "v[:, None, None] * y" in source or "y * v[:, None, None]" in source
    assert "moveaxis" not in source


@pytest.mark.parametrize("batch", [4, 2])
def test_tensors_of_indices(batch):
    i, j = torch.tensor([1, 0, 3]), torch.tensor([[0, 2, 1], [1, 1, 3]])

    def function(y, i, j):
        first = (y[i % 2], y[:, i], y[:, :, i], y[..., i], y[:, j], y[..., j], y[j % 2, 1:3], y[None, :, i])
        several = (y[:, i, j], y[:, :, i, j], y[i % 2, :, j], y[:, i, :, j], y[i % 2, j, i], y[i % 2, i, i, i])
        mixed = (
            y[0, :, i],
            y[0, :, :, j],
            y[:, i, 0],
            y[:, 0, :, i],
            y[i % 2, 1, j],
            y[:, i, None, j],
            y[:, i, 1:3, j],
        )
        return first, several, mixed

    check(Indexed(function), maps(batch, 4, 4, 4), i, j)
    check(Indexed(function), maps(batch, 4, 5, 6), i, j)


def test_numbers_beside_tensors_are_taken_first():
    # numpy would put the new axis first in all of these; torch only where a slice is between two tensors.
    judge(lambda y, i: (y[0, :, i], y[0, :, :, i], y[0, i], y[i, 0], y[:, 1, :, i], y[i, :, 2]), torch.tensor([2, 1]))


def test_lists_and_fixed_masks():
    source = judge(
        lambda y: (
            y[[0, 1]],
            y[:, [3, 0]],
            y[:, [[0], [1]]],
            y[:, torch.tensor([2, 0])],
            y[:, [True, False, True, True]],
            y[:, torch.tensor([True, False, False, True])],
            y[:, torch.arange(4) % 2 == 0],
            y[:, range(2)],
            y[[0, 1], [1, 2]],
        )
    )
    assert "y[..., jnp.array([3, 0])]" in source
    with pytest.raises(ValueError, match="selects depends on its values"):
        judge(lambda y: y[:, torch.arange(y.shape[1]) > 1])


def test_a_number_that_is_a_tensor():
    judge(lambda y, n: (y[n], y[:, n], y[:, :, n, n], y[n, :, [0, 1]], y[:, n + 1]), torch.tensor(1))


def test_order_that_is_not_plain():
    judge(lambda y: (y.permute(2, 0, 3, 1)[1], y.transpose(1, 3)[:, 2], y.permute(3, 1, 0, 2)[:, :, 1, None]))
    judge(lambda y, i: (y.transpose(0, 2)[i], y.permute(3, 2, 1, 0)[:, i, i]), torch.tensor([0, 2, 1]))
    judge(lambda y, i: y.permute(2, 1, 0, 3)[:, i.T], torch.tensor([[0, 2, 1], [1, 1, 3]]))


def test_selection_by_functions():
    judge(
        lambda y, i: (
            y.index_select(1, i),
            torch.index_select(y, -1, i),
            y.select(1, 2),
            y.narrow(1, 1, 2),
            y.narrow(2, 0, y.shape[2] - 1),
            torch.take(y, i),
            y.take(i[None] * 3),
            y.flip(1),
            y.flip(0, 2),
            y.unfold(2, 2, 1),
            y.unfold(1, 3, 2),
            y[0].unfold(0, 2, 2),
        ),
        torch.tensor([1, 0, 3]),
    )


def test_several_at_once():
    judge(lambda y: [a * 2 for a in y], more=False)
    judge(lambda y: [*y.unbind(1), y.unbind(-1)[0]], more=False)
    judge(lambda y: [*y.unbind(1), *y.split([1, 3], 1)])

    def unpacked(y):
        a, b, c, d = y
        return a + d, torch.stack([*reversed([b, c])])

    judge(unpacked, more=False)


# Writes


def test_writes():
    def function(y, v):
        y[:, 0] = 0.5
        y[0] = y[1]
        y[:, :, 1] = v[:, :, None]
        y[..., 2] = v.reshape(4, 4, 1)
        y[:, 1:3, 0] = v[:, :2, None]
        y[2, 3] = v
        y[-1, ..., -1] = v
        y[:, 3] = v[None]
        return y

    source = judge(function, maps(4, 4))
    assert "y = y.at[..., 0].set(0.5)" in source


def test_writes_by_indices():
    def function(y, i, v):
        y[:, i] = 1.0
        y[i, :, 0] = v[:3, :, None]
        y[:, i, 1] = v[:, :3, None]
        y[0, :, i] = v[:, :3, None]
        y[i, 1, i] = v[:3]
        y[i, :, i] = v[:3, None]
        y[:, [0, 2]] = y[:, [2, 0]]
        y[:, torch.tensor([True, False, False, True])] = 2
        return y

    judge(function, torch.tensor([1, 0, 3]), maps(4, 4))


def test_writes_by_masks_that_depend_on_values():
    def function(y, token):
        mask = y[:, 0] > 0
        y[y < -0.5] = -0.5
        y[y > 1] = y.amax()
        z = y.permute(0, 2, 3, 1).clone()
        z[mask] = token
        z[..., z[0, 0, 0] > 0] = 0
        z[:, z[0, :, 0, 0] > 0] = token
        y[:, y[0, :, 0, 0] > 0] = 3
        return y, z, y.masked_fill(y > 0, 1), torch.where(y > 0, y, 0)

    source = judge(function, maps(4))
    assert "jnp.where" in source
    assert ".at[" not in source


def test_writes_everywhere():
    def function(y, v):
        a, b, c = torch.zeros_like(y), torch.zeros_like(y), torch.zeros_like(y)
        a[:] = y
        b[...] = 3
        c[:] = v
        d = torch.empty_like(y)
        d[:, :] = v[0, 0]
        return a, b, c, d

    judge(function, maps(4, 4))


def test_writes_of_other_kinds_of_numbers():
    def function(y):
        n = torch.zeros(4, dtype=torch.int64)
        n[1:] = (y[1:, 0, 0, 0] * 10).long()
        n[0] = 7
        m = torch.zeros(y.shape, dtype=torch.bool)
        m[:, 1] = y[:, 0] > 0
        m[0, 0] = True
        half = torch.zeros(4, dtype=torch.float16)
        half[:] = y[:, 0, 0, 0]
        return n, m, half.float()

    check(Indexed(function), maps(4, 4, 4, 4), relative=1e-3)


def test_writes_into_views_are_written_back():
    def function(y):
        y[:, 0] += 1
        y[:, 1:3] *= 2
        y[:, :, ::2].mul_(3).add_(1)
        y[0].clamp_(0, 1)
        first, second = y.chunk(2, dim=1)
        second.sigmoid_()
        first = first + 1
        row = y[:, :, 0]
        row[..., 1] = 5
        y.view(y.shape[0], -1)[:, 3] = 7
        y.transpose(1, 2)[0] = 4
        y.permute(3, 0, 1, 2)[1].neg_()
        y.unbind(0)[1].fill_(6)
        y.select(1, 1).zero_()
        y.narrow(2, 1, 2).relu_()
        y.unsqueeze(1)[:, :, 2].exp_()
        return y, first

    source = judge(function, more=False)
    assert source.count(".at[..., 0]") == 1


def test_functions_that_write_by_indices():
    i = torch.tensor([1, 0, 3])

    def function(y, i, v):
        return (
            y.index_add(1, i, y[:, :3]),
            y.index_fill(2, i, 0.5),
            y.index_copy(-1, i, y[..., :3]),
            y.index_put((i, i), v[:3, :, None].expand(3, 4, 4)),
            y.index_put((i, torch.zeros_like(i)), v[:3, :, None].expand(3, 4, 4), accumulate=True),
            torch.select_scatter(y, v[:, :, None].expand(4, 4, 4), 1, 2),
            torch.slice_scatter(y, y[:, :2] * 2, 1, 1, 3),
            torch.masked_scatter(y, y > 0, y * 2 + 1),
            v.masked_scatter(v[0] > 0, y),
        )

    judge(function, i, maps(4, 4))


def test_gather_and_scatter():
    i = torch.randint(4, (4, 3, 4, 2), generator=SAME)

    def function(y, i, v):
        n = v.sort(1).indices
        return (
            y.gather(1, i),
            y.gather(2, i[:2]),
            torch.gather(y, -1, i[:, :1]),
            torch.take_along_dim(y, i[:, :1, :1, :1], 1),
            torch.take_along_dim(v, n, dim=1),
            torch.take_along_dim(v, n),
            v.scatter(1, n, v),
            v.scatter(0, n[:, :2], v),
            y.scatter(1, i[:, :1], 2.0),
            y.scatter_add(1, i, y),
            y.scatter_add(0, i % 2, y * 2),
            v.scatter_reduce(1, n % 2, v, "amax"),
            v.scatter_reduce(1, n % 2, v, reduce="prod"),
            v[0].scatter_add(0, n[0] % 2, v[1]),
            torch.zeros_like(v).scatter_(1, n[:, :1], 1.0),
        )

    judge(function, i, maps(4, 4))


def test_triangles_and_diagonals():
    def function(y, v):
        return (
            torch.tril(v),
            v.T.triu(1),
            v.T.tril(-1),
            y.tril(1),
            torch.triu(y.transpose(2, 3), diagonal=-1),
            y.transpose(1, 3).tril(),
            y.diagonal(),
            y.diagonal(1, 1, 2),
            torch.diagonal(y, dim1=-1, dim2=-2, offset=-1),
            torch.diag(v),
            v.T.diag(1),
            torch.diag(v[0]),
            torch.diag(v[0], -1),
            torch.diag_embed(v),
            torch.trace(v),
            torch.rot90(y, 1, (2, 3)),
            y.rot90(3, (1, 2)),
        )

    judge(function, maps(4, 4))


def test_patches():
    check(
        Indexed(
            lambda y: (nn.functional.unfold(y, 3, padding=1), nn.functional.unfold(y, (2, 3), dilation=2, stride=2))
        ),
        maps(4, 4, 6, 6),
        also=[(maps(2, 4, 7, 8),)],
    )
