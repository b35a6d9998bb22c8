"""Opens hostile files, and prints what each took, the worst last: `python -m tests.hostile [--held-out] [WORD...]`.

With words, only the files with one of them in their names. Exits with 1 if any is not as it should be.
"""

import sys
import tempfile
from pathlib import Path

from tests.hostile.corpus import FILES, HELD_OUT
from tests.hostile.judging import judge
from tests.hostile.sandbox import Sandbox


def main(arguments):
    files = HELD_OUT if "--held-out" in arguments else FILES
    words = [argument for argument in arguments if argument != "--held-out"]
    verdicts = []
    with Sandbox() as box:
        for name, make in files.items():
            if words and not any(word in name for word in words):
                continue
            with tempfile.TemporaryDirectory() as folder:
                verdicts.append(judge(name, make(Path(folder)), box))
            print(verdicts[-1], flush=True)
    print(f"\n{len(verdicts)} files. The slowest, and those that take most memory beyond 1.3 times their tensors:")
    for verdict in sorted(verdicts, key=lambda verdict: -verdict.seconds)[:8]:
        print(f"  {verdict.seconds:.2f} s  {verdict.name}")
    for verdict in sorted(verdicts, key=lambda verdict: -verdict.beyond)[:8]:
        print(f"  {verdict.beyond / 1e6:.0f} MB  {verdict.name}")
    bad = [f"{verdict.name}: {problem}" for verdict in verdicts for problem in verdict.problems + verdict.late]
    print(f"\n{len(bad)} problems", *bad, sep="\n  ")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
