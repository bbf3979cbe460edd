"""Start-up of commands beside ``python -c "import typer"``, as paired ratios.

Run by hand with the interpreter of an environment that apex is installed in, not in editable mode
(which adds an import hook of its own): ``python tests/bench/bench_startup.py [PAIRS] [OTHER_PYTHON]``.
OTHER_PYTHON is the interpreter of an environment with another version of apex; it is measured, too.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

SIZE = ("size", "--entry", "50", "--stop", "48")
NOTHING_DONE = 8
"""Exit status of a command that finds nothing to do: that is an answer, too."""


class Case(NamedTuple):
    """One command line in the demo or in an empty folder."""

    words: tuple[str, ...]
    in_demo: bool
    typed: str = ""
    """What a shell asks the completion of, instead of a run."""

    @property
    def name(self) -> str:
        """What is measured, in words."""
        what = f"completion of {self.typed!r}" if self.typed else " ".join(self.words)
        return f"{what} {'with' if self.in_demo else 'without'} a configuration"

    @property
    def variables(self) -> dict[str, str]:
        """The environment of its process."""
        if not self.typed:
            return {}
        return {
            "_APEX_COMPLETE": "complete_bash",
            "COMP_WORDS": self.typed,
            "COMP_CWORD": str(len(self.typed.split(" ")) - 1),
        }


CASES = (
    Case(SIZE, in_demo=False),
    Case((*SIZE, "--json"), in_demo=False),
    Case(SIZE, in_demo=True),
    Case((*SIZE, "--json"), in_demo=True),
    Case(("positions",), in_demo=True),
    Case(("approve",), in_demo=True),
    Case(("close", "TSLA", "--yes"), in_demo=True),
    Case(("run", "--once"), in_demo=True),
    Case((), in_demo=True, typed="apex si"),
    Case((), in_demo=True, typed="apex size --e"),
    Case((), in_demo=True, typed="apex close A"),
)


class Spent(NamedTuple):
    """What one process took."""

    wall_s: float
    processor_s: float


def spent(command: Sequence[str], folder: Path, variables: Mapping[str, str]) -> Spent:
    """Return what *command* takes as a process of its own."""
    before, begin = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = {**os.environ, **variables}
    done = subprocess.run(
        command, check=False, capture_output=True, stdin=subprocess.DEVNULL, cwd=folder, env=environment
    )
    if done.returncode not in {0, NOTHING_DONE}:
        raise SystemExit(f"{' '.join(command)}: exit status {done.returncode}")
    wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Spent(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def apex(python: str, words: Sequence[str]) -> tuple[str, ...]:
    """Return the command line that runs apex with *python*, as the installed script does: not from this folder."""
    return (python, "-P", "-c", "from apex_cli.__main__ import main; main()", *words)


def measure(python: str, case: Case, folder: Path, pairs: int) -> str:
    """Return the medians of the pairs: wall and processor time over those of ``import typer``."""
    typer = (python, "-c", "import typer")
    spent(apex(python, case.words), folder, case.variables), spent(typer, folder, {})
    rows = [(spent(apex(python, case.words), folder, case.variables), spent(typer, folder, {})) for _ in range(pairs)]
    walls = sorted(ours.wall_s / theirs.wall_s for ours, theirs in rows)
    processors = [ours.processor_s / theirs.processor_s for ours, theirs in rows]
    longest = statistics.median(ours.wall_s for ours, _ in rows)
    return (
        f"{statistics.median(walls):.2f} times import typer ({walls[0]:.2f} to {walls[-1]:.2f}), "
        f"processor {statistics.median(processors):.2f} times, {longest * 1000:.0f} ms"
    )


def main() -> None:
    """Print a line for each case and interpreter."""
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 21
    with tempfile.TemporaryDirectory() as place:
        empty = Path(place, "empty")
        empty.mkdir()
        for number, python in enumerate((sys.executable, *sys.argv[2:])):
            demo = Path(place, f"demo-{number}")  # of its own: an older version does not know newer keys
            for words in (("init", str(demo), "--demo"), ("run", "--once", "--config", f"{demo}/config.yaml")):
                subprocess.run(apex(python, words), check=False, capture_output=True)
            for case in CASES:
                print(f"{python}: {case.name}: {measure(python, case, demo if case.in_demo else empty, pairs)}")


if __name__ == "__main__":
    main()
