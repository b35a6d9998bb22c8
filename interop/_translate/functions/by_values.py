"""Functions whose results have shapes that depend on values, and others that have no translation for a known reason."""

from collections.abc import Callable
from typing import Any

from ..emitting import Emitter, Out, Untranslatable, written
from ..graph import leaves
from ..orders import plain
from .indices import known_values


def _refused(reason: str, advice: str) -> Callable[..., Any]:
    """Refused, but where the result is the same for all inputs: then it is written as it is."""

    def handle(e: Emitter, *args: Any, **kwargs: Any) -> Any:
        results = [leaf for _, leaf in leaves(e.node.result)]  # type: ignore[union-attr]
        known = [known_values(one) for one in results]
        if any(one is None for one in known):
            raise Untranslatable(reason, advice)
        made = [Out(written(one), plain(one.ndim)) for one in known]
        return made[0] if len(made) == 1 and not isinstance(e.node.result, tuple | list) else tuple(made)  # type: ignore[union-attr]

    return handle


_BY_VALUES = _refused("the shape of what it gives depends on values", "use a mask with torch.where, or a fixed number")
_QUANTIZED = _refused("it is quantized", "translate the network in float32, before it is quantized")

FUNCTIONS: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(
        ("nonzero", "argwhere", "masked_select", "unique", "unique_consecutive", "bincount", "histc", "nms"), _BY_VALUES
    ),
    **dict.fromkeys(
        (
            "quantize_per_tensor", "quantize_per_channel", "quantize_per_tensor_dynamic", "dequantize", "int_repr",
            "fake_quantize_per_tensor_affine", "fake_quantize_per_channel_affine",
        ),
        _QUANTIZED,
    ),
}  # fmt: skip
