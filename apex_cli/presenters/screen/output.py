"""Everything that apex prints goes through here to standard output and standard error.

A command opens an ``Output``, does its work inside, and gives its result once. Results go to
standard output, talk to standard error. With ``--json`` the result is one envelope. An error
inside becomes a message (or the envelope) and the documented exit status.
"""

from __future__ import annotations

import errno
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

import typer

from apex_cli.core.errors import ApexError, ExitStatus, InputError, NothingToDo, StateError
from apex_cli.core.model.wording import visible
from apex_cli.presenters.envelope import ENVELOPE_VERSION, INTERRUPTED, envelope_text, error_entry, plain_value
from apex_cli.presenters.screen.blocks import Block, Line

if TYPE_CHECKING:
    from rich.console import Console

    from apex_cli.core.model.account import AccountBadge
    from apex_cli.core.model.reason import Reason


class Output:
    """Where one command's words go."""

    def __init__(self, command: str, *, as_json: bool = False, quiet: bool = False, verbose: bool = False) -> None:
        """Decide once how to speak; nothing is printed yet."""
        self.command = command
        self.as_json = as_json
        self.quiet = quiet
        self.verbose = verbose
        self.badge: AccountBadge | None = None
        """Which account the result is about; drawn above it."""

        self.name_badge: Callable[[], AccountBadge] | None = None
        """Returns the badge with the account's name, where only the state knows it."""
        self._warnings: list[Reason] = []

    @property
    def warnings(self) -> tuple[Reason, ...]:
        """What was warned of so far."""
        return tuple(self._warnings)

    @property
    def is_drawn(self) -> bool:
        """True when results are drawn with Rich: a capable terminal, and no JSON asked for."""
        return not self.as_json and is_terminal(sys.stdout)

    @property
    def can_prompt(self) -> bool:
        """True when a person can be asked."""
        return not self.as_json and sys.stdin is not None and sys.stdin.isatty() and is_terminal(sys.stdout)

    def __enter__(self) -> Self:
        """Start."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Turn an error into a message and an exit status."""
        if error is None or isinstance(error, typer.Exit | SystemExit | typer.TyperException | typer.Abort):
            return
        if isinstance(error, BrokenPipeError):
            point_nowhere(sys.stdout)
            raise typer.Exit(ExitStatus.OK)
        if isinstance(error, KeyboardInterrupt):
            self.interrupted()
            raise typer.Exit(INTERRUPTED)
        found = error if isinstance(error, ApexError) else out_of_means(error)
        if found is not None:
            self.fail(found)
            raise typer.Exit(found.status)
        if isinstance(error, Exception) and not os.environ.get("APEX_DEBUG"):
            self.fail(internal_error(error))
            raise typer.Exit(ExitStatus.INTERNAL)

    def confirm(self, question: str, *, default: bool = False) -> bool:
        """Ask for a yes or a no on standard error until there is one; Enter is *default*."""
        answers = {"y": True, "yes": True, "n": False, "no": False, "": default}
        while True:
            shown = f"{question} [{'Y/n' if default else 'y/N'}]"
            text: str = typer.prompt(shown, default="", show_default=False, err=True)
            answer = answers.get(text.strip().lower())
            if answer is not None:
                return answer
            write_line(sys.stderr, f"  {text!r} is neither y nor n.")

    def require_yes(self, question: str, needed: str, otherwise: str, *, hint: str = "") -> None:
        """Ask *question*, and go on only with a yes.

        Raises:
            InputError: nobody can be asked: *needed*, and a script has to say ``--yes``.
            NothingToDo: the answer is no: *otherwise*, with *hint*.
        """
        if not self.can_prompt:
            raise InputError("confirmation_needed", needed, hint="Add --yes.")
        if not self.confirm(question):
            raise NothingToDo("not_confirmed", otherwise, hint=hint)

    def note(self, text: str) -> None:
        """Say something on the way; silent with ``--quiet``."""
        if not self.quiet:
            write_sentence(sys.stderr, text)

    def detail(self, text: str) -> None:
        """Say something only with ``--verbose``."""
        if self.verbose:
            write_line(sys.stderr, text)

    def warn(self, *warnings: Reason) -> None:
        """Keep *warnings* for the envelope, or say them at once."""
        self._warnings.extend(warnings)
        if not self.as_json:
            for warning in warnings:
                write_sentence(sys.stderr, f"Warning: {warning.message}")

    def keep(self, *warnings: Reason) -> None:
        """Keep *warnings* that were said already for the envelope."""
        self._warnings.extend(warnings)

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """Turn a spinner while the block runs, at a terminal."""
        if self.quiet or self.as_json or not is_terminal(sys.stderr):
            yield
            return
        from rich.console import Console
        from rich.text import Text

        with Console(stderr=True).status(Text(visible(text)), spinner="dots"):
            yield

    @contextmanager
    def progress(self, text: str) -> Iterator[Callable[[int, int], None] | None]:
        """Show a bar while the block runs, at a terminal; lend what moves it: done, and of how many."""
        if self.quiet or self.as_json or not is_terminal(sys.stderr):
            yield None
            return
        from rich.console import Console
        from rich.markup import escape
        from rich.progress import Progress

        with Progress(console=Console(stderr=True), transient=True) as shown:
            task = shown.add_task(escape(visible(text)), total=None)
            yield lambda done, total: shown.update(task, completed=done, total=total)

    def result(
        self,
        data: Mapping[str, Any],
        blocks: Sequence[Block] = (),
        *,
        status: ExitStatus = ExitStatus.OK,
        reasons: Sequence[Reason] = (),
        compact: bool = False,
    ) -> None:
        """Give the result, then end with *status* when it is not 0.

        *reasons* say why the status is not 0; in the envelope they are its errors. A *compact* envelope is one
        line, for those who read on while the command runs.
        """
        if self.as_json:
            errors = [reason_error(r) for r in reasons]
            write_line(sys.stdout, self._envelope(data, status, errors, indent=None if compact else 2))
        else:
            self._show(blocks)
            for reason in reasons:
                write_sentence(sys.stderr, reason.message)
        if status is not ExitStatus.OK:
            raise typer.Exit(status)

    def event(self, name: str, at: datetime | None, data: Mapping[str, Any]) -> None:
        """Give one event as a line of JSON, for those who read on while the command runs."""
        import json

        event = {"v": ENVELOPE_VERSION, "event": name, "at": at, "data": data}
        text = json.dumps(event, ensure_ascii=False, default=plain_value, allow_nan=False)
        write_line(sys.stdout, without_secrets(text) if name == "alarm" else text)

    def stream(self, line: str) -> None:
        """Give one line of a result that has no end yet.

        Raises:
            BrokenPipeError: nobody reads any more; the command ends well by it.
        """
        if sys.stdout is not None:
            _write(sys.stdout, visible(line) + "\n")

    def page(self, name: str, text: str) -> None:
        """Give a page of documentation in Markdown."""
        if self.is_drawn:
            from rich.console import Console
            from rich.markdown import Markdown
            from rich.theme import Theme

            console = Console(theme=Theme({"markdown.code": "bold cyan", "markdown.code_block": "cyan"}))
            drawn_page = Markdown(_typed_links(text), code_theme="ansi_light", hyperlinks=False)
            with console.capture() as drawn:
                console.print(drawn_page)
            is_long = drawn.get().count("\n") >= console.height and self.can_prompt
            with paged(console) if is_long else nullcontext():
                console.print(drawn_page)
        else:
            lines = tuple(Line(text=line) for line in text.splitlines() if not line.startswith("<!--"))
            self.result({"topic": name, "text": text}, lines)

    def interrupted(self) -> None:
        """Say that Ctrl-C ended it."""
        if self.as_json:
            entry = {"code": "interrupted", "message": "Interrupted.", "hint": "", "details": {}}
            write_line(sys.stdout, self._envelope({}, INTERRUPTED, [entry]))
        else:
            self.note("Interrupted.")

    def fail(self, error: ApexError) -> None:
        """Say what went wrong and what to do, without secrets and account ids."""
        if self.as_json and error.code != OUTPUT_FAILED:
            write_line(sys.stdout, without_secrets(self._envelope({}, error.status, [error_entry(error)])))
            return
        label = "Nothing done" if error.status is ExitStatus.NOTHING_DONE else "Error"
        begins = error.message.startswith("Nothing ")
        write_sentence(sys.stderr, error.message if begins else f"{label}: {error.message}")
        if error.hint:
            write_line(sys.stderr, f"{HINT}{error.hint}")

    def _show(self, blocks: Sequence[Block]) -> None:
        if not blocks:
            return
        if self.is_drawn:
            from apex_cli.presenters.screen.terminal import draw

            draw(blocks, badge=self.named_badge())
        else:
            from apex_cli.presenters.screen.plain import render

            # What is copied, such as YAML, is for programs: it has no badge.
            is_document = all(isinstance(block, Line) and block.is_whole for block in blocks)
            write_line(sys.stdout, render(blocks, badge=None if is_document else self.named_badge()))

    def named_badge(self) -> AccountBadge | None:
        """Return which account it is, with its name as soon as that is known."""
        if self.badge is None or self.badge.name or self.name_badge is None:
            return self.badge
        with suppress(ApexError):  # a state that cannot be read is no reason to keep a result back
            return self.name_badge()
        return self.badge

    def _envelope(
        self, data: Mapping[str, Any], status: int, errors: list[dict[str, Any]], *, indent: int | None = 2
    ) -> str:
        warnings = [reason_error(w) for w in self._warnings]
        text = envelope_text(self.command, data, status=status, errors=errors, warnings=warnings)
        return text if indent is None else _indented(text, indent)


def _indented(text: str, indent: int) -> str:
    """Return JSON with a line for each value, as the standard library writes it, which takes ten times as long.

    >>> print(_indented('{"a": [1, {}], "b": []}', 2))
    {
      "a": [
        1,
        {}
      ],
      "b": []
    }
    """
    from msgspec.json import format as formatted

    try:
        return formatted(text, indent=indent)
    except UnicodeEncodeError:  # half a sign, as a name of a file may hold
        import json

        return json.dumps(json.loads(text), indent=indent, ensure_ascii=False)


def _typed_links(text: str) -> str:
    """Return a page with its links to other pages as what is typed to read them.

    >>> _typed_links("See [names](handles.md#orders) and [keys](keys.md).")
    'See names (`apex help handles`) and `apex help keys`.'
    """

    def typed(found: re.Match[str]) -> str:
        words, topic = found[1], found[2]
        return f"`apex help {topic}`" if words.removeprefix("apex ") == topic else f"{words} (`apex help {topic}`)"

    return re.sub(r"\[([^\]]+)\]\((?:[\w./]*/)?([\w-]+)\.md(?:#[\w-]*)?\)", typed, text)


OUTPUT_FAILED = "output_failed"


@contextmanager
def paged(console: Console) -> Iterator[None]:
    """Show what is printed in the block page by page, with its colours."""
    os.environ.setdefault("LESS", "-FRX")
    with console.pager(styles=not console.no_color):
        yield


def is_terminal(stream: TextIO | None) -> bool:
    """Return whether *stream* is a terminal that can draw."""
    return stream is not None and stream.isatty() and os.environ.get("TERM") != "dumb"


HINT = "  -> "
"""What a line with the next step begins with."""


def write_sentence(stream: TextIO | None, text: str) -> None:
    """Write *text* as ``write_line`` does, broken between words where a terminal would break it inside of one.

    Hints are not broken: they hold commands, which are copied as a whole.
    """
    try:
        width = os.get_terminal_size(stream.fileno()).columns if stream is not None and is_terminal(stream) else 0
    except (OSError, ValueError):  # no terminal of this system
        width = 0
    if width and len(text) > width and not text.startswith(HINT):
        from textwrap import wrap

        lines = (wrap(line, width, break_long_words=False, break_on_hyphens=False) for line in text.split("\n"))
        text = "\n".join("\n".join(line) for line in lines)
    write_line(stream, text)


def write_line(stream: TextIO | None, text: str) -> None:
    """Write *text* and a line end, hidden signs as escapes.

    A reader that went away is no error, nor is a stream closed from the start.

    Raises:
        ApexError: standard output takes no more.
    """
    if stream is None:
        return
    if stream is sys.stderr:
        text = without_secrets(text)
    try:
        _write(stream, visible(text, keep="\n\t") + "\n")
    except BrokenPipeError:
        point_nowhere(stream)
    except OSError as error:
        point_nowhere(stream)
        if stream is sys.stdout:
            raise ApexError(
                OUTPUT_FAILED,
                f"The result cannot be written: {error.strerror}.",
                hint="What was done stays done: look at apex orders and apex positions.",
            ) from error


def without_secrets(text: str) -> str:
    """Return *text* with secrets and account ids masked. Applied to standard error and errors, not to results."""
    from apex_cli.core.redaction import redact

    return redact(text, os.environ)


def _write(stream: TextIO, text: str) -> None:
    try:
        stream.write(text)
    except UnicodeEncodeError:
        encoding = stream.encoding or "ascii"
        stream.write(text.encode(encoding, "replace").decode(encoding))
    stream.flush()


PLAIN_SIGNS = dict(zip("╭╮╰╯━·…–─│┃█▇▆▅▄▃▂▁░●✓✗⚠→↩×▶∞½≤≥", "++++-.~--||########.*+x!><x>~~<>", strict=True))
"""What stands for a sign that an encoding does not have; as wide as the sign, so that columns stay in line."""


def take_any_sign(*streams: TextIO | None) -> None:
    """Let *streams* write signs that their encoding does not have as plain ones, where they would fail."""
    import codecs

    def plain(error: UnicodeError) -> tuple[str, int]:
        if not isinstance(error, UnicodeEncodeError):
            raise error
        return "".join(PLAIN_SIGNS.get(sign, "?") for sign in error.object[error.start : error.end]), error.end

    for stream in streams:
        encoding = getattr(stream, "encoding", None) or "ascii"
        if stream is not None and hasattr(stream, "reconfigure") and not encoding.lower().startswith("utf"):
            codecs.register_error("plain-signs", plain)
            stream.reconfigure(errors="plain-signs")


def point_nowhere(stream: TextIO | None) -> None:
    """Point *stream* nowhere, so that the interpreter's last flush cannot fail."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # type: ignore[union-attr]


_RESERVE = [bytes(4 << 20)]
"""Memory that is asked for and not touched (a bytearray would be), so it costs nothing until it is given back."""


def out_of_means(error: BaseException) -> StateError | None:
    """Return what to say when the machine gives no more files or memory, or no time; None for any other error."""
    if isinstance(error, OverflowError) and "_PyTime_t" in str(error):
        return StateError(
            "clock_unusable",
            "This machine's clock is beyond the year 2262, where Python cannot tell the time.",
            hint="Set the clock right, then try again.",
        )
    if isinstance(error, OSError) and error.errno in {errno.EMFILE, errno.ENFILE}:
        return StateError(
            "too_many_open_files", "Too many files are open.", hint="Raise the limit (ulimit -n 1024), then try again."
        )
    if isinstance(error, MemoryError):
        _let_go(error)
        return StateError(
            "out_of_memory",
            "apex needs more memory than it may have.",
            hint="Give it more, or feed it smaller files; what was done stays done: look at apex orders.",
        )
    return None


def _let_go(error: BaseException) -> None:
    """Free the reserve, and what the functions that failed hold: else there may be no memory left to say so."""
    _RESERVE.clear()
    passed: BaseException | None = error
    while passed is not None:
        trace = passed.__traceback__
        while trace is not None:
            with suppress(RuntimeError):  # one that runs still needs what it holds
                trace.tb_frame.clear()
            trace = trace.tb_next
        passed = passed.__context__


def internal_error(error: Exception) -> ApexError:
    """Return what we report an error nobody planned."""
    return ApexError(
        "internal_error",
        f"Something went wrong inside apex: {type(error).__name__}: {error}",
        hint="Set APEX_DEBUG=1 and run again to see where; please report it.",
    )


def reason_error(reason: Reason) -> dict[str, Any]:
    """Return *reason* as an error or a warning of the envelope."""
    details: dict[str, Any] = {"limit": reason.limit, "value": reason.value}
    if reason.lifts_at is not None:
        details["lifts_at"] = reason.lifts_at
    return {"code": reason.code, "message": without_secrets(reason.message), "hint": "", "details": details}
