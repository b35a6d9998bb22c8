"""The forms of torch's tensors on their way through a Sequential: they say which of torch's axes holds the channels."""

import dataclasses
from collections.abc import Set

# In LAST, every axis is where Flax has it; of MAPS, Flax has the channels last.
VECTOR, MAPS, LAST = "(N, C)", {1: "(N, C, L)", 2: "(N, C, H, W)", 3: "(N, C, D, H, W)"}, "(N, ..., C)"
ANY = frozenset({VECTOR, *MAPS.values(), LAST})
FEATURES_LAST = frozenset({VECTOR, LAST})
CHANNELS_FIRST = ANY - {LAST}


@dataclasses.dataclass
class Site:
    """Where in a model a module stands: the forms that its input can have in torch."""

    forms: Set[str] = ANY

    def take(self, forms: Set[str]) -> None:
        """Narrows the forms to these; ValueError if the input has none of them."""
        if not self.forms & forms:
            raise ValueError(
                f"its input here is {self} in PyTorch, and it works along the same axis in Flax only where that is "
                f"{either(forms)}; write this part in Flax"
            )
        self.forms = self.forms & forms

    def has_channels_moved(self) -> bool:
        """Whether Flax has the channels elsewhere; if nothing decides it, the input is maps, as `from_torch` says."""
        if self.forms <= FEATURES_LAST:
            return False
        self.forms = self.forms & set(MAPS.values())
        return True

    def __str__(self) -> str:
        return either(self.forms)


def either(forms: Set[str]) -> str:
    """The forms in words."""
    return " or ".join(form for form in (VECTOR, *MAPS.values(), LAST) if form in forms)
