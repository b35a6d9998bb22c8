"""Values of maps at places between pixels, and what else of `torch.nn.functional` this library has as a function."""

from collections.abc import Callable
from typing import Any

from ..code import call, subscript
from ..emitting import Emitter, Out, Untranslatable
from ..graph import Value
from ..orders import channels_last, plain


def _unlike(given: dict[str, Any], usual: dict[str, Any]) -> dict[str, Any]:
    """The arguments that are not what they are where they are left out."""
    return {word: value for word, value in given.items() if value != usual[word]}


def _grid_sample(
    e: Emitter,
    x: Value,
    grid: Value,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Out:
    order = channels_last(x.ndim)
    given = {"mode": mode, "padding_mode": padding_mode, "align_corners": bool(align_corners)}
    more = _unlike(given, {"mode": "bilinear", "padding_mode": "zeros", "align_corners": False})
    return Out(call("functional.grid_sample", e.array(x, order), e.array(grid, plain(grid.ndim)), **more), order)


def _affine_grid(e: Emitter, theta: Value, size: Any, align_corners: bool | None = None) -> Out:
    more = {"align_corners": True} if align_corners else {}
    sizes = e.number(tuple(size)[2:])
    found = call("functional.affine_grid", e.array(theta, plain(3)), sizes, **more)
    return Out(found, plain(len(size)))


def _local_response_norm(
    e: Emitter, x: Value, size: int, alpha: float = 0.0001, beta: float = 0.75, k: float = 1.0
) -> Out:
    order = channels_last(x.ndim)
    more = _unlike({"alpha": alpha, "beta": beta, "k": k}, {"alpha": 0.0001, "beta": 0.75, "k": 1.0})
    return Out(call("functional.local_response_norm", e.array(x, order), size, **more), order)


def _lp_pool(spatial: int) -> Callable[..., Any]:
    def handle(
        e: Emitter, x: Value, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False
    ) -> Out:
        if x.ndim != spatial + 2:
            raise Untranslatable("lp_pool of maps without a batch", "add an axis for the batch before it")
        order = channels_last(x.ndim)
        more = {} if stride is None else {"stride": stride}
        more |= {"ceil_mode": True} if ceil_mode else {}
        return Out(call("functional.lp_pool", e.array(x, order), norm_type, kernel_size, **more), order)

    return handle


def _rrelu(
    e: Emitter, x: Value, lower: float = 1.0 / 8, upper: float = 1.0 / 3, training: bool = False, inplace: bool = False
) -> Out:
    if training:
        raise Untranslatable("it draws slopes in evaluation too", "give rrelu training=self.training")
    e.comment("PyTorch draws the slopes at random in training")
    more = _unlike({"lower": lower, "upper": upper}, {"lower": 1.0 / 8, "upper": 1.0 / 3})
    return Out(call("functional.rrelu", e.array(x), **more), e.order(x))


def _embedding_bag(
    e: Emitter,
    x: Value,
    weight: Value,
    offsets: Value | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Value | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Out:
    if offsets is not None or max_norm is not None or per_sample_weights is not None or padding_idx is not None:
        raise Untranslatable("embedding_bag with offsets, weights, a padding_idx or a max_norm", "use an Embedding")
    vectors = subscript(e.array(weight, plain(2)), e.array(x, plain(2)))
    return Out(call(f"jnp.{mode}", vectors, axis=1), plain(2))


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "grid_sample": _grid_sample,
    "affine_grid": _affine_grid,
    "local_response_norm": _local_response_norm,
    **{f"lp_pool{n}d": _lp_pool(n) for n in (1, 2, 3)},
    "rrelu": _rrelu,
    "embedding_bag": _embedding_bag,
}
