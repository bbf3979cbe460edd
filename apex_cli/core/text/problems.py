"""What is wrong with a text, in words: where it stands, what was found, what is allowed, what was probably meant."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from decimal import Decimal
from typing import Any, TypeVar

from apex_cli.core.errors import InputError

MAX_PROBLEMS = 100
"""Problems of one file that are kept; the others are counted."""

MOST_REPORTED = 5
SHOWN = 40
"""Characters of a found value that a message repeats."""

T = TypeVar("T")


def shown(value: object, most: int = SHOWN) -> str:
    """Return *value* as it may stand in a message: short, printable, and what holds others by its kind only.

    >>> shown("buy"), shown({"a": 1}), shown([1, 2]), shown(None), shown(True), shown(7)
    ("'buy'", 'a mapping', 'a list', 'nothing', 'true', '7')
    """
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple | set):
        return "a list"
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    if isinstance(value, int | Decimal):
        return _cut(f"{Decimal(value)}", most)
    return repr(_cut(str(value), most))


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[:most] + "..."


def key_name(key: object, most: int = SHOWN) -> str:
    """Return a key as it may stand in a message."""
    return _cut(key, most) if isinstance(key, str) and key.isprintable() else shown(key, most)


def suggest(name: object, words: Collection[str], *, cutoff: float = 0.7) -> str | None:
    """Return the one of *words* that *name* may be a slip of; a low *cutoff* finds words that are less like it."""
    from difflib import get_close_matches

    if not isinstance(name, str):
        return None
    folded = {word.lower(): word for word in words}
    found = get_close_matches(name[:100].lower(), folded, n=1, cutoff=cutoff)
    return folded[found[0]] if found else None


class Refused(Exception):  # noqa: N818 - a verdict on a value, caught by the reader
    """A value cannot be used."""

    def __init__(self, allowed: str, problem: str = "", *, why: str = "", at: str = "", part: object = None) -> None:
        """Say what is wrong with a value.

        Args:
            allowed: what is allowed.
            problem: what is wrong, in words; empty: the value that was found says it.
            why: what is wrong with the value that was found, where that needs words.
            at: where in the value the *part* stands that cannot be used, such as ``[2]`` or ``.dte``.
            part: that part; None: the whole value.
        """
        super().__init__(problem or why or allowed)
        self.allowed = allowed
        self.problem = problem
        self.why = why
        self.at = at
        self.part = part

    def sentence(self, value: object, most: int = SHOWN) -> str:
        """Return the refusal of *value* in words, with *most* characters of it."""
        if self.problem:
            return self.problem
        why = f": {self.why}; allowed: " if self.why else ", allowed: "
        return f"found {shown(value, most)}{why}{self.allowed}"

    def error(self, where: str, value: object) -> InputError:
        """Return the refusal of *value*, which stands at *where*, as the error of a file."""
        return invalid(f"{where}{self.at}", self.problem or f"found {shown(value)}", self.allowed)


def invalid(where: str, problem: str, allowed: str = "") -> InputError:
    """Return the one error for a file that cannot be used: where it is, what is wrong, what is allowed."""
    hint = f"Allowed: {allowed}." if allowed else "Correct the file and run it again."
    return InputError("input_invalid", f"{where}: {problem}.", hint=hint, details={"where": where})


def read_at(where: str, parse: Callable[[Any], T], value: object) -> T:
    """Return what *parse* makes of *value*, which stands at *where*.

    Raises:
        InputError: it refuses it.
    """
    try:
        return parse(value)
    except Refused as refused:
        raise refused.error(where, value) from None


def unusable(name: str, what: str, hint: str = "", *, code: str = "file_unreadable") -> InputError:
    """Return the error for a file that is no table at all."""
    return InputError(code, f"{name} {what}.", hint=hint or f"Correct {name}.", details={"file": name})


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

    def read(self, parse: Callable[[Any], T], value: object, where: str) -> T | None:
        """Return what *parse* makes of *value*; note its refusal, and return None."""
        return self.tried(lambda: read_at(where, parse, value))

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
        reported = "; ".join(self.found[:MOST_REPORTED])
        if self.count == 1:
            return reported
        more = f"; and {self.count - MOST_REPORTED} more" if self.count > MOST_REPORTED else ""
        return f"{self.count} problems: {reported}{more}"

    def stop(self, code: str, *, hint: str, details: Mapping[str, Any] | None = None) -> None:
        """Raise all problems as one error, if there are any.

        Raises:
            InputError: there is at least one.
        """
        if self.count:
            facts = {**(details or {}), "problems": list(self.found), "problem_count": self.count}
            raise InputError(code, f"{self.summary()}.", hint=hint, details=facts)
