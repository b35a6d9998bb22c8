"""Functions that sort, search, count, stack and invert, of maps whose channels are last in Flax."""

import pytest
import torch
from torch import nn

from jax_tconv.interop import TranslationError

from .check import check
from .test_indexing import Indexed, maps


def judge(function, *others, also=True, **options):
    other = [(maps(2, 4, 6, 5), *others)] if also else []
    return check(Indexed(function), maps(4, 4, 4, 4), *others, also=other, **options)


def test_sorting():
    judge(
        lambda y: (
            y.sort(1),
            torch.sort(y, dim=2, descending=True).values,
            y.argsort(1),
            torch.argsort(y, -1, descending=True),
            y.argsort(),
            torch.msort(y),
            y.topk(2, dim=1),
            torch.topk(y, 3, dim=2, largest=False),
            y.topk(2).values,
            y.amax((2, 3)).topk(2)[1],
        )
    )


def test_ranks():
    judge(
        lambda y: (
            y.median(1),
            torch.median(y, dim=-1, keepdim=True).values,
            y[:, :, :3].median(2)[0],
            y.median(),
            y.kthvalue(2, dim=1),
            y.kthvalue(y.shape[0]).values if y.shape[0] == 4 else y.kthvalue(2).values,
            y.quantile(0.25),
            torch.quantile(y, 0.3, dim=1),
            y.quantile(torch.tensor([0.1, 0.9]), dim=1, keepdim=True),
            torch.quantile(y, 0.5, dim=2, interpolation="lower"),
        ),
        also=False,
    )


def test_running():
    judge(
        lambda y: (
            y.cummax(1).values,
            torch.cummin(y, dim=-1)[0],
            y.logcumsumexp(1),
            y.diff(dim=1),
            torch.diff(y, n=2),
            y.diff(dim=2, prepend=y[:, :, :1], append=y[:, :, :2]),
            y.cumprod(2),
        )
    )
    with pytest.raises(TranslationError, match="running extrema"):
        judge(lambda y: y.cummax(1))


def test_searching():
    edges = torch.tensor([-0.5, 0.0, 0.5])
    judge(
        lambda y: (
            torch.bucketize(y, edges),
            torch.bucketize(y, edges, right=True),
            torch.searchsorted(edges, y),
            torch.searchsorted(edges, y, side="right"),
            torch.isin(y.sign(), torch.tensor([1.0, 0.0])),
            torch.isin(y.sign(), 1.0, invert=True),
        )
    )


def test_counting():
    judge(
        lambda y: (
            (y > 0).count_nonzero(),
            torch.count_nonzero(y > 0, dim=1),
            torch.var_mean(y, 1),
            torch.std_mean(y, dim=(2, 3), keepdim=True),
            torch.var_mean(y, dim=1, unbiased=False),
            torch.var_mean(y, correction=0, dim=(0, 1)),
            torch.std_mean(y),
            torch.aminmax(y),
            y.aminmax(dim=1, keepdim=True),
            y.log().nansum(1),
            torch.nanmean(y.log(), dim=(2, 3)),
        ),
        relative=3e-5,
    )


def test_each_element():
    judge(
        lambda y: (
            y.log().nan_to_num(),
            (1 / (y * 0)).nan_to_num(1.0, posinf=2.0, neginf=3.0),
            y.frac(),
            torch.round(y, decimals=1),
            y.round(),
            y.sigmoid().logit(),
            torch.logit(y, eps=0.1),
            torch.isclose(y, y + 1e-9),
            torch.isclose(y, y[:, :1], rtol=0.5, atol=0.1),
            torch.addcdiv(y, y, y.abs() + 1, value=0.5),
            torch.copysign(y, -y),
            torch.heaviside(y, torch.tensor(0.5)),
            torch.sinc(y),
            torch.deg2rad(y),
            y.signbit(),
            torch.arctan2(y, y + 1),
            torch.special.expit(y),
            torch.special.logit(y.sigmoid()),
            (y * 4).int() << 1,
            torch.digamma(y.abs() + 1),
            y[0, 0].clone().fill_diagonal_(7.0),
        ),
        relative=3e-5,
    )


def test_putting_together():
    def function(y, v):
        rows = list(y.unbind(3))
        return (
            torch.hstack([y, y * 2]),
            torch.vstack((y, y)),
            torch.dstack([y, y]),
            torch.column_stack([y, y]),
            torch.hstack([v[0], v[1]]),
            torch.vstack([v[0], v[1]]),
            torch.dstack([v, v]),
            torch.column_stack([v[0], v]),
            torch.block_diag(v, v[:2], v[0]),
            torch.broadcast_tensors(y, v, v[:1, :1]),
            torch.broadcast_tensors(v[:, None], v[None]),
            torch.atleast_2d(v[0]),
            torch.atleast_3d(y),
            v.ravel(),
            y.ravel(),
            y.flipud(),
            torch.fliplr(y),
            reversed(y),
            nn.utils.rnn.pad_sequence([v, v[:2], v[:3]]),
            nn.utils.rnn.pad_sequence([v[:1], v], batch_first=True, padding_value=2.0),
            torch.stack(rows, 1),
        )

    judge(function, maps(4, 4), also=False)


def test_matrices():
    def function(y, v):
        square = y @ y.transpose(2, 3) + 3 * torch.eye(4)
        return (
            torch.linalg.inv(square),
            square.transpose(2, 3).inverse(),
            torch.det(square),
            torch.linalg.slogdet(square),
            torch.linalg.cholesky(square),
            torch.linalg.solve(square, y),
            torch.linalg.matrix_power(v, 3),
            torch.linalg.matrix_exp(y * 0.1),
        )

    judge(function, maps(4, 4), relative=1e-4, also=False)
