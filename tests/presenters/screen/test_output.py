"""The one door to standard output and standard error."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from decimal import Decimal

import pytest
import typer

from apex_cli.core.errors import (
    ApexError,
    BrokerError,
    BusyError,
    ConfigError,
    ExitStatus,
    InputError,
    NothingToDo,
    OutcomeUnknownError,
    RefusedError,
    StateError,
)
from apex_cli.core.model.reason import Reason
from apex_cli.presenters.envelope import STATUS_WORDS
from apex_cli.presenters.screen.blocks import Line
from apex_cli.presenters.screen.output import Output, take_any_sign, write_line, write_sentence


class Latin(io.TextIOWrapper):
    """A stream that knows few letters."""

    def __init__(self) -> None:
        self.bytes = io.BytesIO()
        super().__init__(self.bytes, encoding="ascii")


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals")
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Error: No configuration found in /a/folder.", "Error: No configuration\r\nfound in /a/folder.\r\n"),
        (
            "Error: /a/long/folder/without-a-blank.yaml is bad.",
            "Error:\r\n/a/long/folder/without-a-blank.yaml\r\nis bad.\r\n",
        ),
        ("  -> Try it with: apex init --demo demo", "  -> Try it with: apex init --demo demo\r\n"),
        ("Error: short.", "Error: short.\r\n"),
    ],
)
def test_a_sentence_is_broken_between_words_at_a_terminal_and_a_command_never(
    monkeypatch: pytest.MonkeyPatch, text: str, shown: str
) -> None:
    import pty
    import termios

    monkeypatch.setenv("TERM", "xterm")
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 24))
    with os.fdopen(theirs, "w") as stream:
        write_sentence(stream, text)
        assert os.read(ours, 1000).decode() == shown
    os.close(ours)


def test_a_sentence_in_a_file_is_one_line() -> None:
    stream = io.StringIO()
    write_sentence(stream, "Error: " + "word " * 100)
    assert stream.getvalue().count("\n") == 1


def test_every_status_has_its_own_word_in_the_envelope() -> None:
    assert set(ExitStatus) < set(STATUS_WORDS)
    assert STATUS_WORDS[ExitStatus.OK] == "ok"
    assert STATUS_WORDS[ExitStatus.REFUSED] == "refused"


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (ApexError, 1),
        (InputError, 2),
        (ConfigError, 3),
        (RefusedError, 4),
        (BrokerError, 5),
        (OutcomeUnknownError, 6),
        (BusyError, 7),
        (NothingToDo, 8),
        (StateError, 9),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_an_error_inside_becomes_a_message_and_its_status(
    capsys: pytest.CaptureFixture[str], kind: type[ApexError], status: int, as_json: bool
) -> None:
    with pytest.raises(typer.Exit) as ended, Output("size", as_json=as_json):
        raise kind("a_code", "What went wrong.", hint="What to do.", details={"line": 3})
    assert ended.value.exit_code == status
    out, err = capsys.readouterr()
    if as_json:
        (error,) = json.loads(out)["errors"]
        assert error == {"code": "a_code", "message": "What went wrong.", "hint": "What to do.", "details": {"line": 3}}
        assert err == ""
    else:
        assert out == ""
        label = "Nothing done" if kind is NothingToDo else "Error"
        assert err == f"{label}: What went wrong.\n  -> What to do.\n"


def test_a_result_with_a_status_ends_with_it(capsys: pytest.CaptureFixture[str]) -> None:
    reason = Reason(code="too_much", message="Too much.", limit="1", value="2")
    with pytest.raises(typer.Exit) as ended, Output("size", as_json=True) as out:
        out.result({"a": 1}, status=ExitStatus.REFUSED, reasons=(reason,))
    assert ended.value.exit_code == 4
    envelope = json.loads(capsys.readouterr().out)
    assert envelope["data"] == {"a": 1}
    assert envelope["errors"][0]["details"] == {"limit": "1", "value": "2"}


def test_numbers_and_times_are_written_for_scripts(capsys: pytest.CaptureFixture[str]) -> None:
    with Output("size", as_json=True) as out:
        out.result({"money": Decimal("1E+3"), "small": Decimal("1E-8"), "at": datetime(2026, 1, 2, 3, 4, tzinfo=UTC)})
    data = json.loads(capsys.readouterr().out)["data"]
    assert data == {"money": "1000.00", "small": "0.00000001", "at": "2026-01-02T03:04:00+00:00"}


def test_what_json_cannot_say_is_an_internal_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended, Output("size", as_json=True) as out:
        out.result({"ratio": float("nan")})
    assert ended.value.exit_code == 1
    assert json.loads(capsys.readouterr().out)["errors"][0]["code"] == "internal_error"


def test_warnings_are_said_at_once_or_kept_for_the_envelope(capsys: pytest.CaptureFixture[str]) -> None:
    warning = Reason(code="cap", message="Above the cap.")
    with Output("size") as out:
        out.warn(warning)
        out.result({}, (Line(text="done"),))
    assert capsys.readouterr() == ("done\n", "Warning: Above the cap.\n")
    with Output("size", as_json=True) as out:
        out.warn(warning)
        out.result({})
    said = capsys.readouterr()
    assert json.loads(said.out)["warnings"][0]["code"] == "cap"
    assert said.err == ""


def test_quiet_and_verbose(capsys: pytest.CaptureFixture[str]) -> None:
    for quiet, verbose, said in [(False, False, "note\n"), (True, False, ""), (False, True, "note\ndetail\n")]:
        with Output("size", quiet=quiet, verbose=verbose) as out:
            out.note("note")
            out.detail("detail")
        assert capsys.readouterr().err == said


def test_a_terminal_with_few_letters_gets_question_marks() -> None:
    stream = Latin()
    write_line(stream, "P&L 5 ● ✓")
    assert stream.bytes.getvalue() == b"P&L 5 ? ?\n"


def test_a_stream_that_was_never_there_is_no_error() -> None:
    write_line(None, "nobody hears it")


def test_standard_input_that_was_never_there_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert Output("close").can_prompt is False


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(errno.EMFILE, "Too many open files"), "too_many_open_files"),
        (OSError(errno.ENFILE, "Too many open files in system"), "too_many_open_files"),
        (MemoryError(), "out_of_memory"),
        (OverflowError("timestamp too large to convert to C _PyTime_t"), "clock_unusable"),
    ],
)
def test_a_machine_that_gives_no_more_is_one_sentence(
    error: Exception, code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as caught, Output("run", as_json=True, quiet=False, verbose=False):
        raise error
    assert caught.value.exit_code == 9
    assert json.loads(capsys.readouterr().out)["errors"][0]["code"] == code


HUNGRY = """
import resource, sys
from apex_cli.presenters.screen.output import Output
resource.setrlimit(resource.RLIMIT_AS, (300 << 20,) * 2)

def eat():
    eaten = []
    while True:
        try:
            eaten.append(bytearray(1 << 20))
        except MemoryError:
            eaten.append(bytearray(1 << 30) if len(eaten) < 2 else [bytes(64) for _ in range(1 << 24)])

with Output("run", as_json=True, quiet=False, verbose=False):
    eat()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not hold a process to its address space")
def test_memory_that_is_used_up_leaves_enough_to_say_so() -> None:
    ran = subprocess.run([sys.executable, "-c", HUNGRY], capture_output=True, text=True, check=False)
    assert json.loads(ran.stdout)["errors"][0]["code"] == "out_of_memory"


@pytest.mark.parametrize(
    ("encoding", "written"),
    [
        ("ascii", b"###.. * + x - | 1.5 > ? ~"),
        ("cp1252", b"###.. * + x - | 1.5 > ? \x85"),
        ("utf-8", "███░░ ● ✓ ✗ ─ │ 1.5 → 東 …".encode()),
    ],
)
def test_a_sign_that_the_encoding_lacks_is_written_as_a_plain_one(encoding: str, written: bytes) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, errors="strict")
    take_any_sign(stream, None)
    stream.write("███░░ ● ✓ ✗ ─ │ 1.5 → 東 …")
    stream.flush()
    assert raw.getvalue() == written
