"""Start-up of ``apex size`` beside ``python -c "import typer"``, as paired ratios.

Run by hand with the interpreter of an environment that apex is installed in, not in editable mode
(which adds an import hook of its own): ``python tests/bench/bench_startup.py [PAIRS]``.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

WORDS = ("size", "--entry", "50", "--stop", "48")
APEX = (sys.executable, "-c", "from apex_cli.cli import main; main()", *WORDS)
TYPER = (sys.executable, "-c", "import typer")


def seconds(command: Sequence[str]) -> float:
    """Return how long *command* takes as a process of its own."""
    begin = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    return time.perf_counter() - begin


def main() -> None:
    """Print the median ratio over pairs, plain and with --json."""
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 21
    for name, command in (("plain", APEX), ("--json", (*APEX, "--json"))):
        seconds(command), seconds(TYPER)
        ratios = sorted(seconds(command) / seconds(TYPER) for _ in range(pairs))
        print(f"{name:7} {statistics.median(ratios):.2f} times import typer ({ratios[0]:.2f} to {ratios[-1]:.2f})")


if __name__ == "__main__":
    main()
