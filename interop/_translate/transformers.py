"""torch's own transformers, so that a trace sees their steps, and their masks as they were given."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import torch
from torch.nn.modules import transformer


@contextlib.contextmanager
def step_by_step(
    is_followed: Callable[[], bool],
    is_known: Callable[[Any], bool],
    unseen: Callable[[], contextlib.AbstractContextManager[None]],
) -> Iterator[None]:
    """Transformers compute step by step for a while, rather than with one function that does it all.

    Where a trace follows them, masks of bools stay what they are, which torch makes numbers to add; and a mask is found
    to be causal, which the trace does not see, only if its values are known to be the same for all inputs.
    """
    canonical, detect = torch.nn.functional._canonical_mask, transformer._detect_is_causal_mask

    def canonical_mask(mask: Any, *args: Any, **kwargs: Any) -> Any:
        return mask if is_followed() else canonical(mask, *args, **kwargs)

    def detect_is_causal_mask(mask: Any, is_causal: bool | None = None, size: Any = None) -> bool:
        if is_followed() and (is_causal is not None or mask is None or not is_known(mask)):
            return is_causal is True
        with unseen():
            return detect(mask, is_causal, size)

    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with (
            mock.patch.object(torch.nn.functional, "_canonical_mask", canonical_mask),
            mock.patch.object(transformer, "_detect_is_causal_mask", detect_is_causal_mask),
        ):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)
