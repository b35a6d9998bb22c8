"""Converts every network, prints what became of it, and writes the table of docs/networks.md."""

import sys
from importlib.metadata import version
from pathlib import Path

from tests.published.attention_unet import ATTENTION_UNET
from tests.published.basic_unet import BASIC_UNET
from tests.published.network import LIMIT, Published, Result, check
from tests.published.unet import UNET
from tests.published.vnet import VNET

NETWORKS = (UNET, BASIC_UNET, ATTENTION_UNET, VNET)
DOCS = Path(__file__).parents[2] / "docs" / "networks.md"
TEXT = f"""# Published networks, there and back

What `make test-networks` found: networks of MONAI with transposed layers, with random values in every tensor, converted
to twins that are written by hand ([tests/published](../tests/published)). The difference is the largest of any output,
as a part of MONAI's largest, and may be {LIMIT:.0e} at most. "Verified" is `interop.verify` at that tolerance, and how
many layers it compared. "Exact back" is whether `state_dict` gave every tensor back bit for bit, and with `like=` in
its order too.

"""
HEADINGS = (
    "network",
    "version",
    "twin",
    "input",
    "parameters",
    "tensors",
    "largest relative difference",
    "verified",
    "exact back",
)


def row(result: Result) -> tuple[str, ...]:
    """One network's cells."""
    network, found = result.network, result.verification
    return (
        network.name,
        f"MONAI {version('monai')}",
        kind(network),
        " x ".join(map(str, network.input_shape)),
        f"{result.parameters:,}",
        str(result.tensors),
        f"{result.difference:.1e}",
        f"yes, {sum(layer.counts for layer in found.layers)} layers" if found.ok else "no",
        "yes" if result.bit_exact else "no",
    )


def kind(network: Published) -> str:
    """Which Flax the twin is written in."""
    return "nnx" if network.make_nnx is not None else "linen"


def main() -> None:
    """Exits with 1 where a network is not converted; the table is written in any case."""
    results = [check(network) for network in NETWORKS]
    lines = ["| " + " | ".join(cells) + " |" for cells in (HEADINGS, ["---"] * len(HEADINGS), *map(row, results))]
    DOCS.write_text(TEXT + "\n".join(lines) + "\n")
    print("\n".join(lines))
    for result in results:
        if not result.verification.ok:
            print(f"{result.network.name}: {result.verification.verdict}")
    sys.exit(not all(result.ok for result in results))


if __name__ == "__main__":
    main()
