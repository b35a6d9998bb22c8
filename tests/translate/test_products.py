"""Products: the values are torch's, whichever way the operands are turned, also where sizes coincide."""

import itertools

import torch
from torch.nn import functional as F

from .check import check


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed + sum(shape)))


class Matrices(torch.nn.Module):
    """Every product of matrices that are turned or not."""

    def forward(self, a, b, c):
        ways = [lambda m: m, lambda m: m.transpose(-2, -1)]
        pairs = [(a, b), (a, c), (c, b), (c, c)]
        return tuple(one(x) @ two(y) for one, two in itertools.product(ways, ways) for x, y in pairs)


def test_matrices_that_are_turned_or_not():
    source = check(Matrices(), random(2, 2, 3, 3), random(2, 2, 3, 3, seed=1), random(3, 3))
    for product in ("a @ b", "a.mT @ b", "a @ b.mT", "b @ a", "a @ c.T", "c.T @ b"):
        assert f" = {product}\n" in source
    square = random(3, 3, 3)
    check(Matrices(), square, square + 1, random(3, 3), also=[(random(5, 3, 3), random(5, 3, 3), square[0])])


class Heads(torch.nn.Module):
    """Heads after the length, as a reshape leaves them, with one another and with what has them before."""

    def forward(self, x, square, matrix):
        n, length, width = x.shape
        q = x.reshape(n, length, 2, width // 2).transpose(1, 2)
        k = (x * 2).reshape(n, length, 2, width // 2).permute(0, 2, 3, 1)
        scores = q @ k
        mixed = (scores.softmax(-1) @ q).transpose(1, 2).reshape(n, length, width)
        return (
            scores,
            mixed,
            square @ q,
            q.transpose(2, 3) @ square,
            q @ matrix,
            matrix @ k,
            k @ q,
            k @ k.transpose(2, 3),
        )


def test_heads_between_the_axes_of_matrices():
    source = check(
        Heads(),
        *(random(2, 2, 4), random(2, 2, 2, 2), random(2, 2)),
        also=[(random(4, 2, 4), random(4, 2, 2, 2), random(2, 2))],
    )
    assert 'jnp.einsum("bnhd,bmhd->bhnm", q, k)' in source
    assert 'jnp.einsum("bhnm,bmhd->bnhd", ' in source
    check(
        Heads(),
        random(1, 3, 4),
        random(1, 2, 3, 3),
        random(2, 2),
        also=[(random(2, 3, 4), random(2, 2, 3, 3), random(2, 2))],
    )


class Vectors(torch.nn.Module):
    def forward(self, matrices, matrix, vector):
        turned = matrices.transpose(-2, -1)
        maps = matrices.permute(2, 0, 1)
        return (
            matrices @ vector, vector @ matrices, turned @ vector, vector @ turned, maps @ vector, vector @ maps,
            matrix.mv(vector), matrix.t() @ vector, vector @ matrix, vector @ matrix.T, vector.dot(vector),
            torch.outer(vector, vector), torch.vdot(vector, vector), torch.inner(matrices, matrix),
            torch.linalg.vecdot(turned, turned, dim=1), torch.inner(vector, vector), torch.kron(matrix, matrix + 1),
            torch.linalg.multi_dot([matrix, matrix.t(), vector]),
        )  # fmt: skip


def test_vectors():
    check(Vectors(), random(3, 3, 3), random(3, 3), random(3))


class Sums(torch.nn.Module):
    def forward(self, a, b, base):
        turned = a.transpose(1, 2)
        row = base.select(1, 0).select(0, 0)
        return (
            torch.bmm(input=a, mat2=b), torch.baddbmm(base, batch2=b, batch1=a),
            torch.baddbmm(base, a, b, beta=0, alpha=0.5),
            base.baddbmm(turned, b.mT, beta=2), torch.addbmm(base.select(0, 0), a, b),
            a.select(0, 1).mm(b.select(0, 0)), torch.addmm(row, a.select(0, 0), b.select(0, 0), alpha=a.shape[0]),
            row.addmv(a.select(0, 1), row), torch.addr(base.select(0, 0), row, row, beta=0.5),
        )  # fmt: skip


def test_products_that_are_added():
    check(Sums(), *(random(2, 2, 2, seed=n) for n in range(3)), also=[[random(4, 2, 2, seed=n) for n in range(3)]])


class Equations(torch.nn.Module):
    """torch's equations with the axes where torch has them, where a convolution has them, and between."""

    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(2, 2, 1)
        self.mixing = torch.nn.Parameter(random(2, 3))

    def forward(self, x, y):
        maps = self.conv(x)
        n, c, h, w = maps.shape
        rows = maps.flatten(2)
        heads = rows.view(n, c, h, w).transpose(1, 2)
        return (
            torch.einsum("bchw,cd->bdhw", maps, self.mixing),
            torch.einsum("bchw, bcuv -> bhwuv", maps, maps),
            torch.einsum("b c n, b c m -> b n m", rows, rows),
            torch.einsum("bnm,bcm->bcn", y, rows),
            torch.einsum("bchw,bchw->b", maps, maps * 2),
            torch.einsum("bchw->bcwh", maps),
            torch.einsum("...i,...i", maps, heads),
            torch.einsum("...ij,jk", maps, self.mixing),
            torch.einsum("b...,b...->b...", rows, rows),
            torch.einsum("bii->bi", y),
            torch.einsum("bhid,bhjd->bhij", heads, heads),
            torch.einsum("ca,Bb", self.mixing.T, self.mixing),
            torch.einsum(rows, [0, 1, 2], y, [0, 2, 3], [0, 3, 1]),
            torch.einsum("i,j", [self.mixing.select(0, 0), self.mixing.select(1, 1)]),
            torch.tensordot(maps, self.mixing, dims=([1], [0])),
            torch.tensordot(y, rows, dims=([1, 0], [2, 0])),
            torch.tensordot(heads, heads.permute(2, 3, 0, 1), dims=2),
            torch.tensordot(rows, rows, dims=([0, 2], [0, 2])),
        )


def test_equations():
    source = check(Equations(), random(2, 2, 2, 2), random(2, 4, 4), also=[(random(3, 2, 2, 2), random(3, 4, 4))])
    assert 'jnp.einsum("bhwc,cd->bhwd", maps, self.mixing[...])' in source
    assert 'jnp.einsum("bnc,bmc->bnm", rows, rows)' in source
    assert 'jnp.einsum("bnm,bmc->bnc", y, rows)' in source


class Own(torch.nn.Module):
    """Layers as functions of parameters of one's own."""

    def __init__(self):
        super().__init__()
        self.weight, self.bias = torch.nn.Parameter(random(4, 4)), torch.nn.Parameter(random(4))
        self.table = torch.nn.Parameter(random(5, 4))
        self.kernel, self.wide = torch.nn.Parameter(random(4, 2, 3, 3)), torch.nn.Parameter(random(4, 2, 3, 2))
        self.line = torch.nn.Parameter(random(2, 4, 3))
        self.pair = torch.nn.Parameter(random(3, 4, 4))

    def forward(self, x, indices):
        maps = x.transpose(1, 3)
        return (
            F.linear(input=x, weight=self.weight), F.linear(x, self.weight, self.bias),
            F.linear(maps, self.weight, self.bias),
            F.linear(x, self.bias), F.embedding(indices, self.table),
            F.bilinear(x, x * 2, self.pair, self.bias.narrow(0, 0, 3)),
            F.conv2d(x, self.kernel, self.bias, padding=1, groups=2),
            F.conv2d(x, self.kernel, stride=(2, 1), groups=2), F.conv2d(x, self.kernel, None, 1, "same", (1, 2), 2),
            F.conv1d(x.select(2, 0), self.line), F.conv_transpose2d(x, self.wide, self.bias, 2, (1, 0), (1, 0), 2),
            F.conv_transpose2d(x.select(0, 0), self.wide, stride=[2, 2], groups=2),
            F.conv1d(x.select(3, 1).select(0, 0), self.line, padding=1),
        )  # fmt: skip


def test_layers_with_parameters_of_ones_own():
    indices = torch.tensor([[0, 4], [3, 3]])
    source = check(Own(), random(2, 4, 4, 4), indices, also=[(random(3, 4, 4, 4), indices)])
    assert "x @ self.weight[...].T + self.bias[...]" in source
    assert "self.table[...][indices]" in source


class Norms(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.nn.Conv2d(4, 4, 1)
        self.weight, self.bias = torch.nn.Parameter(random(4)), torch.nn.Parameter(random(4))
        self.whole = torch.nn.Parameter(random(4, 3, 3))
        self.register_buffer("mean", random(4))
        self.register_buffer("var", random(4).abs())

    def forward(self, x):
        y = self.conv(x)
        last = y.permute(0, 2, 3, 1)
        rows = y.flatten(2).transpose(1, 2)
        return (
            F.layer_norm(last, (4,), self.weight, self.bias, 1e-6), F.layer_norm(y, (4, 3, 3), self.whole),
            F.layer_norm(y, y.shape[2:]), F.layer_norm(rows, [4], self.weight),
            F.layer_norm(y.transpose(1, 2), (4, 3), self.whole.select(1, 0)),
            F.group_norm(y, 2, self.weight, self.bias), F.instance_norm(y, weight=self.weight, bias=self.bias),
            F.batch_norm(y, self.mean, self.var, self.weight, self.bias, eps=1e-3),
            F.batch_norm(y, self.mean, self.var), F.batch_norm(y, None, None, training=True),
            F.rms_norm(last, (4,), self.weight), F.rms_norm(y, (4, 3, 3), self.whole, 1e-3), F.rms_norm(rows, (4,)),
            F.normalize(y), F.normalize(last, dim=-1), F.normalize(rows, p=1, dim=1), F.normalize(y, dim=0, eps=0.1),
            F.cosine_similarity(y, y * 2 + 1), F.cosine_similarity(rows, rows.narrow(0, 0, 1), dim=-1),
            F.cosine_similarity(y, last.permute(0, 3, 1, 2), dim=3), F.pairwise_distance(rows, rows * 2, p=3.0),
        )  # fmt: skip


def test_norms_with_parameters_of_ones_own():
    source = check(Norms(), random(4, 4, 3, 3), also=[(random(1, 4, 3, 3),)])
    assert "functional.normalize(y)" in source
