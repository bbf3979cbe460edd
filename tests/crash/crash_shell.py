"""Starts one command line as a process, forked from this warm one or from nothing, and waits for its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import NamedTuple

import child
from child import Plan

HANG_S = 60.0


class Ran(NamedTuple):
    """What one process came to."""

    status: int | None
    """None: it was killed."""

    out: str
    err: str
    label: str
    """The point it was killed at, or the number of passages."""

    seconds: float


class Shell:
    """Starts processes in a world: forked from this warm one, or from nothing."""

    def __init__(self, folder: Path, name: str = "one") -> None:
        """Type in *folder*; shells that work at the same time have different names."""
        self.folder = folder
        self.log = folder / f"{name}.log"
        self.out = folder / f"{name}.out"
        self.err = folder / f"{name}.err"

    def type(self, arguments: list[str], plan: Plan, *, kill_after: float | None = None, cold: bool = False) -> Ran:
        """Run one command line to its end, whatever end that is."""
        started = time.monotonic()
        pid = self.start(arguments, plan, cold=cold)
        return self.wait(pid, started, kill_after)

    def start(self, arguments: list[str], plan: Plan, *, cold: bool = False) -> int:
        """Start one command line and return its process id."""
        self.log.unlink(missing_ok=True)
        for path in (self.out, self.err):
            path.write_bytes(b"")
        return self._spawn(arguments, plan) if cold else self._fork(arguments, plan)

    def wait(self, pid: int, started: float, kill_after: float | None = None) -> Ran:
        """Wait for the end of a process, or bring it about after *kill_after* seconds since *started*."""
        code, is_hung = _wait(pid, started, kill_after)
        seconds = time.monotonic() - started
        label = self.log.read_text().strip() if self.log.exists() else ""
        killed = os.WIFSIGNALED(code)
        if killed and not label:
            label = "any moment"
        status = None if killed else os.WEXITSTATUS(code)
        reported = self.err.read_text(errors="replace") + ("\nHANGS: killed after a minute" if is_hung else "")
        return Ran(status, self.out.read_text(errors="replace"), reported, label, seconds)

    def _fork(self, arguments: list[str], plan: Plan) -> int:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        pid = os.fork()
        if pid:
            return pid
        status = 99
        try:
            os.chdir(self.folder)
            streams = ((0, Path(os.devnull), os.O_RDONLY), (1, self.out, WRITING), (2, self.err, WRITING))
            for descriptor, path, flags in streams:
                os.dup2(os.open(path, flags, 0o600), descriptor)
            status = child.main(arguments, plan, self.log)
        except BaseException:  # noqa: BLE001 - the child's last door
            traceback.print_exc()
        finally:
            os._exit(status)

    def _spawn(self, arguments: list[str], plan: Plan) -> int:
        environment = {**os.environ, "CRASH_AT": str(plan), "CRASH_LOG": str(self.log)}
        with self.out.open("w") as stdout, self.err.open("w") as stderr:
            process = subprocess.Popen(
                [sys.executable, child.__file__, *arguments],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
            )
        process.returncode = 0  # waited for below, by its id
        return process.pid


WRITING = os.O_WRONLY | os.O_CREAT | os.O_TRUNC


def _wait(pid: int, started: float, kill_after: float | None) -> tuple[int, bool]:
    """Wait for the process, killing it after *kill_after* seconds; return whether it hung."""
    deadline = started + (HANG_S if kill_after is None else kill_after)
    while True:
        found, code = os.waitpid(pid, os.WNOHANG)
        if found:
            return code, False
        if time.monotonic() >= deadline:
            os.kill(pid, signal.SIGKILL)
            return os.waitpid(pid, 0)[1], kill_after is None
        time.sleep(0.001)


def prepare() -> None:
    """Forget settings of this machine, and import whatever a command may: a forked child starts at once."""
    for name in [name for name in os.environ if name.startswith("APEX_")]:
        del os.environ[name]
    os.environ.update(HOME="/nonexistent", XDG_CONFIG_HOME="/nonexistent", COLUMNS="200", PYTHONUTF8="1")
    _warm_up()


def _warm_up() -> None:
    import pkgutil
    from importlib import import_module

    import apex_cli

    for module in pkgutil.walk_packages(apex_cli.__path__, "apex_cli."):
        if not module.name.endswith(("__main__", ".dashboard")) and "testing" not in module.name:
            try:
                import_module(module.name)
            except ImportError:
                continue
    for name in ("filelock", "asyncio", "tinydb", "yaml", "holidays"):
        try:
            import_module(name)
        except ImportError:
            continue
