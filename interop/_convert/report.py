"""What became of every tensor and every array: the table that a conversion returns, or raises."""

import dataclasses
from collections import Counter
from typing import Any

from .._tables import several, text_table
from .._text import printable

Shape = tuple[int, ...]

# What can be wrong, and how to say it, in the order of the messages.
FAULTS = {
    "unsupported": "layers whose type has no rule",
    "misshapen": "tensors of the wrong shape",
    "ambiguous": "ambiguous tensors",
    "inexpressible": "tensors that Flax has no place for",
    "downcast": "tensors whose dtype the model's cannot hold (downcast=True rounds them)",
    "missing": "missing from the state dict",
    "unexpected": "unexpected in the state dict",
}
# With `strict=False` these are left out; the others would make wrong numbers.
TOLERATED = ("unsupported", "misshapen", "missing", "unexpected")


@dataclasses.dataclass(frozen=True)
class Row:
    """One tensor and the array it fills, or why it fills none.

    Attributes:
      status: "loaded"; "shared", for the same values under another name; "dropped", if Flax has no use for it or
        `rename` gives None; or a fault: "unsupported", "misshapen", "ambiguous", "inexpressible", "downcast",
        "missing", "unexpected".
      name: the torch name of the tensor in the model's terms, after renaming.
      source: its names in the checkpoint, several if it was folded or summed; empty if it is missing.
      target: the Flax array's path; None if there is none.
      source_shape, target_shape, source_dtype, target_dtype: None where there is no tensor or no array.
      needed_shape: the shape that the tensor must have to fill the array.
      transform: how the tensor becomes the array, with layouts in einops notation.
      exact: whether exporting gives back the tensor bit for bit under its own name; a folded or summed one comes back
        in plain form.
      note: the reason, or what to do.

    Example:
      >>> import numpy as np
      >>> from flax import nnx
      >>> from jax_tconv import interop
      >>> layer = nnx.Linear(2, 3, use_bias=False, rngs=nnx.Rngs(0))
      >>> (row,) = interop.load_state_dict(layer, {"weight": np.ones((3, 2), "float32")}).rows
      >>> row.status, row.name, row.target, row.transform
      ('loaded', 'weight', 'kernel', 'o i -> i o')
    """

    status: str
    name: str
    source: tuple[str, ...] = ()
    target: str | None = None
    source_shape: Shape | None = None
    target_shape: Shape | None = None
    source_dtype: str | None = None
    target_dtype: str | None = None
    needed_shape: Shape | None = None
    transform: str = ""
    exact: bool = True
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Report:
    """What became of every tensor of a state dict and every array of a model.

    `print` it: what is loaded is summed up, what is wrong is listed. `table(all=True)` has every tensor.

    Attributes:
      rows: one for each tensor and the array that it fills, in the model's order, then what is left over.
      advice: the arguments that repair what is wrong, and why, if that is certain.

    Example:
      >>> import numpy as np
      >>> from flax import nnx
      >>> from jax_tconv import interop
      >>> layer = nnx.Linear(2, 3, rngs=nnx.Rngs(0))
      >>> report = interop.load_state_dict(layer, {"weight": np.ones((3, 2), "float32")}, strict=False)
      >>> report
      Report(loaded=1, missing=1)
      >>> report.ok, report.missing_keys
      (False, ['bias'])
      >>> print(report)
      1 tensor loaded
      missing from the state dict (1):
        bias
      report.table(all=True) shows every tensor
    """

    rows: tuple[Row, ...]
    advice: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not any(row.status in FAULTS for row in self.rows)

    @property
    def missing_keys(self) -> list[str]:
        """Names that the model needs and the state dict lacks, as torch's `load_state_dict` returns them."""
        return self._names("missing")

    @property
    def unexpected_keys(self) -> list[str]:
        """Names that the state dict has and the model does not, after renaming."""
        return self._names("unexpected")

    def with_status(self, status: str) -> list[Row]:
        """The rows of one status, such as "misshapen"."""
        return [row for row in self.rows if row.status == status]

    def as_dicts(self) -> list[dict[str, Any]]:
        """The rows as plain dicts, for JSON or a data frame."""
        return [dataclasses.asdict(row) for row in self.rows]

    def faults(self) -> str:
        """Everything that is wrong, one paragraph per kind; empty if nothing is."""
        lines = [printable(self.advice)] if self.advice else []
        for status, words in FAULTS.items():
            items = list(dict.fromkeys(_fault(row) for row in self.with_status(status)))
            if items:
                lines += [f"{words} ({len(items)}):", *(f"  {item}" for item in items)]
        return "\n".join(lines)

    def _names(self, status: str) -> list[str]:
        return list(dict.fromkeys(row.name for row in self.with_status(status)))

    def __repr__(self) -> str:
        counts = Counter(row.status for row in self.rows)
        return f"Report({', '.join(f'{status}={n}' for status, n in counts.items())})"

    def table(self, *, all: bool = False, width: int | None = None) -> str:
        """The report as text: what is loaded, summed up, and everything that is wrong.

        Args:
          all: whether to begin with a table that has a row for each tensor and the array it fills.
          width: the table's columns at most, where longer names are broken into lines. None means the terminal's; where
            there is none, as in a pipe, what COLUMNS says in the environment, or 80.
        """
        headings = ("", ("tensor", "shape", "dtype"), ("Flax array", "shape", "dtype"), "how")
        parts = [text_table(headings, map(_cells, self.rows), width)] if all and self.rows else []
        return "\n".join(part for part in (*parts, self._summary(), self.faults()) if part)

    def _summary(self) -> str:
        """What is in order, in a line for each status and reason."""
        loaded = self.with_status("loaded")
        lines = [f"{several(len({name for row in loaded for name in row.source}), 'tensor')} loaded"]
        if changed := sum(not row.exact for row in loaded):
            lines.append(f"{several(changed, 'array')} not bit for bit as in the checkpoint: folded, summed, or cast")
        rest: dict[tuple[str, str], list[Row]] = {}
        for row in self.rows:
            if row.status in ("shared", "dropped"):
                rest.setdefault((row.status, row.note if row.status == "dropped" else ""), []).append(row)
        for (status, note), rows in rest.items():
            words = f" ({printable(note)})" if note else ""
            lines += [f"{several(len(rows), 'tensor')} {status}{words}:", f"  {printable(rows[0].name)}"]
            lines += [f"  and {len(rows) - 1} more"] if len(rows) > 1 else []
        return "\n".join(lines)

    def __str__(self) -> str:
        return f"{self.table()}\nreport.table(all=True) shows every tensor"


class StateDictError(ValueError):
    """A state dict that does not fit the model: the message lists all faults, and `report` has every tensor."""

    def __init__(self, report: Report, consequence: str):
        super().__init__(f"the state dict does not fit the model ({consequence})\n{report.faults()}")
        self.report = report


def _cells(row: Row) -> list[str]:
    """One row of the table."""
    name = " + ".join(row.source) or row.name
    how = "; ".join(words for words in (row.transform, row.note) if words)
    source, target = (row.source_shape, row.source_dtype), (row.target, row.target_shape, row.target_dtype)
    return [row.status, name, *("" if cell is None else str(cell) for cell in (*source, *target)), how]


def _fault(row: Row) -> str:
    """What is wrong with one row, in one line."""
    words = row.name or row.target or "the model itself"
    if row.status == "misshapen":
        words += f" {row.source_shape}, where the model needs {row.needed_shape}"
    if row.status == "downcast":
        words += f" {row.source_dtype}, where the model has {row.target_dtype}"
    if row.source and row.source != (row.name,):
        words += f" (from {' + '.join(row.source)})"
    return printable(f"{words}: {row.note}" if row.note else words)
