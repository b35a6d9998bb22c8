"""Random numbers: what drops in training only, and what draws in evaluation too, which has no translation."""

from collections.abc import Callable
from typing import Any

from flax import nnx

from ..._from_torch.made import RNGS, Make
from ..calls import RANDOM
from ..code import call
from ..emitting import Emitter, Out, Untranslatable
from ..graph import Value
from ..orders import channels_last

_ADVICE = "draw the numbers outside, and give them to it as an argument"


def _dropout(spatial: int | None, alpha: bool = False) -> Callable[..., Any]:
    """A function that drops numbers, or whole maps with that many spatial axes: a layer, as it must know its mode."""

    def handle(e: Emitter, x: Value, p: float = 0.5, training: bool = not alpha, inplace: bool = False) -> Out:
        if training and p:
            raise Untranslatable("it drops in evaluation too", "give dropout training=self.training")
        if not p:
            return Out(e.array(x), e.order(x))
        axes: dict[str, Any] = {}
        order = e.order(x)
        if spatial != 0:
            if x.ndim == (spatial or 0) + 1:
                raise Untranslatable("dropout of maps without a batch", "add an axis for the batch before it")
            order = channels_last(x.ndim)
            axes = {"broadcast_dims": tuple(range(1, x.ndim - 1))}
        if alpha:
            e.comment("PyTorch's alpha dropout also keeps mean and variance in training")
        return Out(call(e.extra("dropout", Make(nnx.Dropout, (p,), {**axes, "rngs": RNGS})), e.array(x, order)), order)

    return handle


def _drawn(e: Emitter, *args: Any, **kwargs: Any) -> Out:
    raise Untranslatable("it draws random numbers in evaluation", _ADVICE)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{word.removesuffix("_"): _drawn for word in RANDOM},
    "dropout": _dropout(0),
    "dropout1d": _dropout(1),
    "dropout2d": _dropout(2),
    "dropout3d": _dropout(3),
    "alpha_dropout": _dropout(0, alpha=True),
    "feature_alpha_dropout": _dropout(None, alpha=True),
}
