"""Judges the lists, prints what became of each network, and writes docs/translated.md.

`python -m tests.translated [--held-out] [--only WORDS]`: the networks that whoever writes the translation may look at;
all of them; or the one of this name, or else those with these words in their names, in which case nothing is written to
docs/. Each leaves its source under build/translated/.
"""

import argparse
import signal
import sys
import warnings
from importlib.metadata import packages_distributions, version
from pathlib import Path

import torch

from tests.translated import monai, monai_held_out, other_fields, other_fields_held_out, training, twins
from tests.translated.judge import AIM, LIMIT, Result, judge
from tests.translated.network import Network
from tests.translated.text import table

DOCS = Path(__file__).parents[2] / "docs" / "translated.md"
# How many of the networks of both lists together are to be right.
LISTS = {
    "MONAI": (monai.NETWORKS, monai_held_out.NETWORKS, 35),
    "Packages of other fields": (other_fields.NETWORKS, other_fields_held_out.NETWORKS, 15),
}
TIME_LIMIT = 600  # seconds for one network, so that no loop without an end keeps the others from being judged
WITHOUT_TORCH = ("UNet, 3-d", "DiNTS, 3-d", "ESRGAN")
TEXT = f"""# Networks of packages, translated

What `make test-networks` found: the networks of [tests/translated](../tests/translated), chosen before anything had
been translated, with random values in every tensor. `interop.translate` wrote each as Flax source, which ran in a
module of its own where torch cannot be imported, and was filled by `interop.load_state_dict` with no other argument.

The differences are the largest of any output, as a part of torch's largest, and may be {LIMIT:.0e} at most (the aim was
{AIM:.0e}): of the example that it was translated with, by itself and under `nnx.jit`, and of another batch and other
spatial sizes, where torch takes them. "Verified" is how many layers `interop.verify` compared, all of them equal.
"Classes" counts torch's, without those of `torch.nn`, and the source's. The time is that of `interop.from_torch` and
`interop.verify`.
"""
HEADINGS = (
    "network",
    "parameters",
    "parts",
    "classes",
    "lines",
    "example",
    "nnx.jit",
    "other batch",
    "other size",
    "verified",
    "seconds",
)


class OutOfTime(BaseException):
    """No Exception, which the steps of the judge would note and go on from."""


def package_of(module_name: str) -> str:
    """The package that a class comes from, and its version."""
    top = module_name.partition(".")[0]
    distribution = packages_distributions()[top][0]
    return f"{distribution} {version(distribution)}"


def row(result: Result) -> tuple[str, ...]:
    """One network's cells."""
    cells = [f"{result.network.name} ({result.package})", f"{result.parameters:,}", str(result.modules)]
    if result.refusal:
        return (*cells, "refused", *[""] * (len(HEADINGS) - 4))
    runs = [shown(result, name) for name in ("example", "jit", "batch", "size")]
    verified = f"{result.layers} layers" if result.verified else "no"
    classes = f"{result.torch_classes}, {result.flax_classes}"
    return (*cells, classes, str(result.lines), *runs, verified, f"{result.seconds:.0f}")


def shown(result: Result, name: str) -> str:
    """The difference of one run."""
    if name in result.differences:
        return f"{result.differences[name]:.1e}"
    return "" if name == "size" and result.network.other is None else "failed"


def report(result: Result) -> str:
    """All that was found, for whoever looks for the cause."""
    words = {"REFUSED": [result.refusal] if result.refusal else [], "FAILED": result.failures, "note": result.warnings}
    lines = [f"  {kind}: {line}" for kind, found in words.items() for line in found]
    return "\n".join([" | ".join(row(result)), *lines])


def judge_all(networks: tuple[Network, ...], only: str) -> list[Result]:
    """In their order, each printed as soon as it is known."""
    exact = [network for network in networks if network.name == only]
    results = []
    for network in exact or networks:
        if only.lower() in network.name.lower():
            result = judge_in_time(network, package_of(type(network.make()).__module__))
            print(report(result), flush=True)
            results.append(result)
    return results


def judge_in_time(network: Network, package: str) -> Result:
    """What became of one, or that it took too long."""

    def stop(*_: object) -> None:
        raise OutOfTime

    signal.signal(signal.SIGALRM, stop)
    signal.alarm(TIME_LIMIT)
    try:
        return judge(network, package, network.name in WITHOUT_TORCH)
    except OutOfTime:
        return Result(network, package, failures=[f"not done after {TIME_LIMIT} seconds"])
    finally:
        signal.alarm(0)


def section(title: str, results: list[Result]) -> str:
    """A list's part of the page."""
    right = sum(result.ok for result in results)
    refused = [result for result in results if result.refusal]
    wrong = [result for result in results if result.failures]
    counts = f"{right} of {len(results)} are right in every way; {len(refused)} are refused, {len(wrong)} fail."
    parts = [
        f"## {title}\n\n{counts}",
        table(HEADINGS, [row(result) for result in results]),
    ]
    for result in refused:
        parts.append(f"{result.network.name} is refused:\n\n```text\n{result.refusal}\n```")
    for result in wrong:
        parts.append(f"{result.network.name} fails:\n\n" + "\n".join(f"- {line}" for line in result.failures))
    return "\n\n".join(parts)


def main() -> None:
    """Exits with 1 where a network is wrong, or too few are right."""
    parser = argparse.ArgumentParser(prog="python -m tests.translated")
    parser.add_argument("--held-out", action="store_true", help="the networks that were kept back, too")
    parser.add_argument("--only", default="", metavar="WORDS", help="only networks with these words in their names")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # of the packages, about torch
    torch.set_num_threads(2)
    parts, failed = [TEXT.strip()], False
    for title, (opened, held_out, wanted) in LISTS.items():
        results = judge_all(opened + (held_out if options.held_out else ()), options.only)
        failed |= any(result.failures for result in results)
        failed |= options.held_out and not options.only and sum(result.ok for result in results) < wanted
        parts.append(section(title, results))
    if not options.only:
        for other in (twins, training):
            words, right = other.report()
            print(words)
            parts.append(words)
            failed |= not right
        DOCS.write_text("\n\n".join(parts) + "\n")
    sys.exit(failed)


if __name__ == "__main__":
    main()
