"""What the programs that the rules choose must keep to, given what every method of its own would take (`best.json`)."""

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.accelerators.table import Result, line, mean

BEST = Path(__file__).with_name("best.json")
COMPILE_SECONDS = 10
# The chosen programs against the best of each layer, as a geometric mean, and each against a dilated convolution.
OVER_BEST, OVER_LHS_DILATION = 1.08, 1.1
# Bytes held beside operands and result, in results, where the best method holds none.
TEMPORARIES = 2

Key = tuple[str, str, str, str]


def key(result: Result) -> Key:
    """What an entry of `best.json` is found by, once its chip is known."""
    return result["dtype"], str(result["batch"]), result["op"], result["layer"]


def best_of(results: Sequence[Result]) -> dict[str, Any]:
    """For each chip and program: the fastest method, its microseconds and megabytes held, and a dilated convolution's.

    Programs that take too long to compile do not count.
    """
    found: dict[str, Any] = defaultdict(dict)
    for result in results:
        if "error" in result:
            continue
        entry = found[result["chip"]].setdefault(" | ".join(key(result)), {})
        microseconds = round(result["seconds"] * 1e6, 2)
        if result["method"] == "lhs_dilation":
            entry["lhs_dilation"] = microseconds
        quick = result["compile_seconds"] <= COMPILE_SECONDS
        if quick and microseconds < entry.get("best", float("inf")):
            entry |= {"method": result["method"], "best": microseconds, "held": result["temporary_bytes"] / 2**20}
    return found


def write(best: dict[str, Any]) -> None:
    """Writes `best.json`, a line for each program."""
    chips = (
        f"{json.dumps(chip)}: {{\n"
        + ",\n".join(f"{json.dumps(program)}: {json.dumps(entry)}" for program, entry in sorted(programs.items()))
        + "\n}"
        for chip, programs in sorted(best.items())
    )
    BEST.write_text("{\n" + ",\n".join(chips) + "\n}\n")


def broken(results: Sequence[Result]) -> list[str]:
    """Every bar that the results do not keep to, in words."""
    known = json.loads(BEST.read_text()) if BEST.exists() else {}
    found, ratios = [], defaultdict(list)
    for result in results:
        if "error" in result:
            found.append(line(result))
            continue
        if result["compile_seconds"] > COMPILE_SECONDS:
            found.append(f"{line(result)}: the compiler takes more than {COMPILE_SECONDS} s")
        entry = known.get(result["chip"], {}).get(" | ".join(key(result)), {})
        microseconds = result["seconds"] * 1e6
        if microseconds > OVER_LHS_DILATION * entry.get("lhs_dilation", float("inf")):
            found.append(f"{line(result)}: as a dilated convolution {entry['lhs_dilation']} us")
        if "best" not in entry:
            continue
        ratios[result["chip"], result["dtype"], result["batch"], result["op"]].append(microseconds / entry["best"])
        if not entry["held"] and result["temporary_bytes"] > TEMPORARIES * result["output_bytes"]:
            found.append(f"{line(result)}: {entry['method']} holds nothing beside operands and result")
    for (chip, dtype, batch, op), over in ratios.items():
        if mean(over) > OVER_BEST:
            found.append(f"{chip} {dtype} {op} at batch {batch}: {mean(over):.3f} times the best method of each layer")
    return found
