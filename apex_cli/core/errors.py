"""The errors of apex, grouped by what the operator does next.

::

    ApexError                     exit status
    ├── ConfigError               3   fix the configuration
    ├── InputError                2   fix what was typed or fed in
    ├── RefusedError              4   a rule said no
    ├── BrokerError               5   broker or network unavailable: try again
    │   └── SecurityError         4   the broker cannot trade this one security: name it otherwise
    ├── OutcomeUnknownError       6   look now: sent, but not known what became of it
    ├── BusyError                 7   another process holds the executor: wait
    ├── NothingToDo               8   nothing was done, on purpose
    └── StateError                9   repair the state first
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, ClassVar

EXHAUSTING = (RecursionError, MemoryError)
"""What reading a file may raise that is nested without end, or larger than the memory."""


class ExitStatus(IntEnum):
    """Exit statuses that scripts rely on."""

    OK = 0
    INTERNAL = 1
    USAGE = 2
    CONFIG = 3
    REFUSED = 4
    UNAVAILABLE = 5
    UNKNOWN_OUTCOME = 6
    BUSY = 7
    NOTHING_DONE = 8
    STATE_DAMAGED = 9


EXIT_STATUS_MEANINGS = {
    ExitStatus.OK: "done",
    ExitStatus.INTERNAL: "internal error",
    ExitStatus.USAGE: "usage: fix the command or its input",
    ExitStatus.CONFIG: "configuration invalid",
    ExitStatus.REFUSED: "refused by a rule",
    ExitStatus.UNAVAILABLE: "broker or network unavailable",
    ExitStatus.UNKNOWN_OUTCOME: "outcome unknown or partial: look now",
    ExitStatus.BUSY: "busy: another process holds the executor",
    ExitStatus.NOTHING_DONE: "nothing done, on purpose",
    ExitStatus.STATE_DAMAGED: "state damaged: repair first",
}


class ApexError(Exception):
    """Something the operator can act on: what failed, where, the value found, what to do."""

    status: ClassVar[ExitStatus] = ExitStatus.INTERNAL

    def __init__(self, code: str, message: str, *, hint: str = "", details: dict[str, Any] | None = None) -> None:
        """Keep a stable *code*, one plain sentence, the next step, and facts for scripts."""
        super().__init__(message)
        self.code = code
        self.message = message
        self.hint = hint
        self.details = details or {}

    def __reduce__(self) -> tuple[Any, ...]:
        """Let an error travel between processes with everything it reports."""
        return _remade, (type(self), self.code, self.message, self.hint, self.details)


def _remade(kind: type[ApexError], code: str, message: str, hint: str, details: dict[str, Any]) -> ApexError:
    return kind(code, message, hint=hint, details=details)


class ConfigError(ApexError):
    """The configuration is missing, unreadable or wrong."""

    status = ExitStatus.CONFIG


class InputError(ApexError):
    """An argument or an input file is wrong."""

    status = ExitStatus.USAGE


class RefusedError(ApexError):
    """A rule said no."""

    status = ExitStatus.REFUSED


class BrokerError(ApexError):
    """The broker or the network is not there."""

    status = ExitStatus.UNAVAILABLE


class SecurityError(BrokerError):
    """The broker knows no such security, or several, or the name is incomplete; nothing else is affected."""

    status = ExitStatus.REFUSED


class OutcomeUnknownError(ApexError):
    """Something was sent and nobody knows yet what became of it."""

    status = ExitStatus.UNKNOWN_OUTCOME


class BusyError(ApexError):
    """Another process holds the executor or the state for too long."""

    status = ExitStatus.BUSY


STATE_BUSY = "state_busy"
"""Code of the error that the state could not be locked in time, which may come before or after something was sent."""


class NothingToDo(ApexError):  # noqa: N818 - not an error: a reason to stop quietly
    """Nothing was done, on purpose."""

    status = ExitStatus.NOTHING_DONE


class StateError(ApexError):
    """The state is damaged, missing or of a newer version."""

    status = ExitStatus.STATE_DAMAGED


DISTRIBUTION = "apex-trade"
"""What pip calls apex; the name apex-cli on PyPI belongs to another project."""


def install_command(extra: str) -> str:
    """Return what installs *extra*: from the checkout that apex was installed from, else by name."""
    from contextlib import suppress  # noqa: PLC0415 - only an error needs it
    from importlib.metadata import PackageNotFoundError, distribution  # noqa: PLC0415 - only an error needs it
    from json import loads  # noqa: PLC0415 - only an error needs it
    from urllib.parse import unquote, urlsplit  # noqa: PLC0415 - only an error needs it

    place = DISTRIBUTION
    with suppress(PackageNotFoundError, ValueError, KeyError, TypeError):
        origin = urlsplit(loads(distribution(DISTRIBUTION).read_text("direct_url.json") or "{}")["url"])
        if origin.scheme == "file" and not origin.path.endswith((".whl", ".gz")):
            place = unquote(origin.path)
    return f'pip install "{place}[{extra}]"'


def missing_extra(extra: str, message: str) -> ConfigError:
    """Return the error of what needs *extra*, with the command that installs it."""
    return ConfigError("extra_missing", message, hint=install_command(extra))


def require_extra(extra: str, *modules: str, who: str) -> None:
    """Refuse what *who* names before any long work, where the modules of *extra* are not installed.

    Raises:
        ConfigError: one of *modules* is missing.
    """
    from importlib.util import find_spec  # noqa: PLC0415 - few commands need it

    if any(find_spec(name) is None for name in modules):
        raise missing_extra(extra, f"{who} needs the extra {extra!r}, which is not installed.")
