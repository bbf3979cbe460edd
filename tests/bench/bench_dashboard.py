"""What the dashboard costs while nothing happens, and how soon it shows a change.

Run by hand in a folder with a configuration: ``python tests/bench/bench_dashboard.py [SECONDS]``. A ``run`` that loops
may go on beside it. Halts and resumes trading in that folder to see how long it takes to be shown.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import statistics
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
ROUNDS = 5


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def read_for(master: int, seconds: float, until: str = "") -> float | None:
    """Read the terminal; return after how long *until* was on it, None when it was not."""
    began, came = time.monotonic(), ""
    while (gone := time.monotonic() - began) < seconds:
        if select.select([master], [], [], min(0.05, seconds - gone))[0]:
            came = (came + os.read(master, 1 << 16).decode("utf-8", "replace"))[-200_000:]
            if until and until in ESCAPES.sub("", came):
                return time.monotonic() - began
    return None


def apex(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "apex_cli", *arguments], stdout=subprocess.DEVNULL)


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 30.0
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 60, 200, 0, 0))
    command = [sys.executable, "-m", "apex_cli", "dashboard"]
    process = subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, env={**os.environ, "TERM": "xterm-256color"}
    )
    try:
        started = read_for(master, 60, "5 Curves")
        read_for(master, 3)
        before = cpu_seconds(process.pid)
        read_for(master, seconds)
        share = (cpu_seconds(process.pid) - before) / seconds
        delays = []
        for round_ in range(ROUNDS):
            halt = apex("halt", "--reason", f"round{round_}", "--quiet")
            halt.wait()
            delays.append(read_for(master, 10, f"round{round_}"))
            apex("resume", "--quiet").wait()
            read_for(master, 1.5)
    finally:
        process.kill()
        process.wait()
    reported = [delay for delay in delays if delay is not None]
    print(f"on the screen after {started:.1f} s" if started else "it did not start")
    print(f"idle: {share:.1%} of one core over {seconds:g} s")
    print(
        f"a change is shown after {statistics.median(reported):.2f} s, at most {max(reported):.2f} s "
        f"({len(reported)} of {ROUNDS})"
    )


if __name__ == "__main__":
    main()
