"""What is wrong with a file: all of it at once, each with its place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from apex_cli.core.errors import InputError

MAX_PROBLEMS = 100
"""Problems of one file that are kept; the others are counted."""

TOLD_PROBLEMS = 5
SHOWN = 40
T = TypeVar("T")


class Problems:
    """Everything that is wrong with one file; kept up to a bound and counted beyond it."""

    __slots__ = ("count", "first", "found")

    def __init__(self) -> None:
        """Begin without a problem."""
        self.count = 0
        self.found: list[str] = []
        self.first: InputError | None = None

    def __bool__(self) -> bool:
        """Return True when there is a problem."""
        return self.count > 0

    def add(self, where: str, message: str) -> None:
        """Note one problem."""
        self.count += 1
        if len(self.found) < MAX_PROBLEMS:
            self.found.append(f"{where}: {message}" if where else message)

    def tried(self, read: Callable[[], T]) -> T | None:
        """Return what *read* returns; note what it raises, and return None."""
        try:
            return read()
        except InputError as error:
            self.take(error)
            return None

    def take(self, error: InputError) -> None:
        """Note a refusal, which may itself name several problems."""
        self.first = self.first or error
        several = error.details.get("problems")
        if not isinstance(several, list):
            allowed = error.hint.removesuffix(".").partition("Allowed: ")[2] if error.hint else ""
            self.add("", error.message.removesuffix(".") + (f", allowed: {allowed}" if allowed else ""))
            return
        self.found.extend(several[: MAX_PROBLEMS - len(self.found)])
        self.count += int(error.details.get("problem_count", len(several)))

    def stop_or_first(self, where: str) -> None:
        """Raise the one refusal as it is, or all of them as one.

        Raises:
            InputError: there is at least one.
        """
        if self.count == 1 and self.first is not None:
            raise self.first
        self.stop("input_invalid", hint="Correct the file and run it again.", details={"where": where})

    def summary(self) -> str:
        """Return all problems in one sentence, the first few in full."""
        reported = "; ".join(self.found[:TOLD_PROBLEMS])
        if self.count == 1:
            return reported
        more = f"; and {self.count - TOLD_PROBLEMS} more" if self.count > TOLD_PROBLEMS else ""
        return f"{self.count} problems: {reported}{more}"

    def stop(self, code: str, *, hint: str, details: Mapping[str, Any] | None = None) -> None:
        """Raise all problems as one error, if there are any.

        Raises:
            InputError: there is at least one.
        """
        if self.count:
            facts = {**(details or {}), "problems": list(self.found), "problem_count": self.count}
            raise InputError(code, f"{self.summary()}.", hint=hint, details=facts)


def shown(value: object) -> str:
    """Return *value* short and printable."""
    text = value if isinstance(value, str) else str(value)
    return repr(text if len(text) <= SHOWN else text[:SHOWN] + "...")


def unusable(name: str, what: str, hint: str = "", *, code: str = "file_unreadable") -> InputError:
    """Return the error for a file that is no table at all."""
    return InputError(code, f"{name} {what}.", hint=hint or f"Correct {name}.", details={"file": name})
