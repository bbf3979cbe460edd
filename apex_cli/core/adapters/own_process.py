"""Child processes of apex: how they start, and what ends one with its parent or at its memory limit."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

_PR_SET_PDEATHSIG = 1
_LOOK_S = 1.0


def own_program() -> list[str]:
    """Return the command that starts apex again, in a process that runs no code of the current folder."""
    return [sys.executable, "-P", "-m", "apex_cli"]


def end_with_parent(parent: int) -> None:
    """Let this process be killed when process *parent*, which started it, ends in whatever way."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        _end_without(parent)
    else:  # pragma: no cover - another system
        threading.Thread(target=_watch, args=(parent,), daemon=True).start()


def _watch(parent: int) -> None:  # pragma: no cover - another system
    while True:
        _end_without(parent)
        time.sleep(_LOOK_S)


def _end_without(parent: int) -> None:
    if os.getppid() != parent:
        os._exit(0)


def bound_memory(most: int) -> None:
    """Let this process hold no more than *most* bytes of data of its own, where the system can bound that."""
    if sys.platform != "win32":
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))
