"""How tensors are matched with arrays: the arguments of `load_state_dict` and `linen_variables` for that, checked."""

import dataclasses
from typing import Literal

from .naming import Rename, check_rename

Match = Literal["name", "order"]


@dataclasses.dataclass(frozen=True)
class Options:
    """The arguments of these names; an unusable one raises TypeError or ValueError."""

    rename: Rename
    match: Match
    downcast: bool

    def __post_init__(self) -> None:
        check_rename(self.rename)
        if self.match not in ("name", "order"):
            raise ValueError(f'match must be "name" or "order", got {self.match!r}')
