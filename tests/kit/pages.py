"""Pages of documentation as a reader follows them: each command is typed, and what it prints is compared.

A ``console`` block is followed: a line ``$ COMMAND``, then what it prints at a terminal of 80 columns; ``...`` stands
for anything. Lines of other blocks that begin with ``apex`` are only checked: the command and its options exist.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

from apex_cli.cli import make_app, run
from apex_cli.commands import GROUPS
from apex_cli.settings.reference import render_keys_page

WIDTH = "80"
ANY_TIME = {"APEX_BROKER__IB__QUIET_HOURS": "[]"}
"""What is done at the paper account works at night, too, when the real one restarts."""

GATEWAY_PORT = "4002"
"""On pages; a free port takes its place."""

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)
SHELL_SIGNS = re.compile(r"[|<>&$*;`]")
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


EMPTY_FOLDER = "<!-- starts in an empty folder -->"
"""On a page that does not start in the demo."""


class Block(NamedTuple):
    """A block of code on a page."""

    kind: str
    text: str
    line: int


class Step(NamedTuple):
    """One command of a console block, and what the page says that it prints."""

    typed: str
    """As it stands on the page."""

    command: str
    expected: str
    line: int


def blocks(text: str) -> Iterator[Block]:
    """Yield the blocks of a page."""
    for found in BLOCK.finditer(text):
        yield Block(found[1], found[2], text.count("\n", 0, found.start()) + 1)


def steps(text: str) -> Iterator[Step]:
    """Yield the commands of the console blocks of a page."""
    for block in blocks(text):
        if block.kind == "console":
            for typed in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
                lines = typed.splitlines()
                more = list(itertools.takewhile(lambda line: line.startswith("> "), lines[1:]))
                command = "\n".join([lines[0], *(line.removeprefix("> ") for line in more)]).replace("\\\n", "")
                expected = "\n".join(lines[1 + len(more) :])
                yield Step("\n".join([f"$ {lines[0]}", *more]), command, expected, block.line)


def files_of(text: str) -> dict[str, str]:
    """Return the modules of Python on a page, by the name in their first line."""
    found = ((re.match(r"# (\w+\.py)\n", block.text), block) for block in blocks(text) if block.kind == "python")
    return {named[1]: block.text for named, block in found if named}


def lines_of_apex(text: str) -> Iterator[str]:
    """Yield every command line of apex in the blocks that nobody follows, and in the text itself."""
    for block in blocks(text):
        if block.kind not in {"console", "text", "json", "yaml", "python"}:
            for line in block.text.splitlines():
                yield from re.findall(r"(?:^|[\s/(=&|])(apex(?: [^#|&;)]*)?)", line.partition("  #")[0])
    prose = BLOCK.sub("", text)
    yield from (found for found in re.findall(r"`(apex [^`]+)`", prose) if "…" not in found)


class Shell:
    """A terminal in a folder: what is typed runs in this process where it is plain apex, else in a shell."""

    def __init__(self, folder: Path, environ: dict[str, str]) -> None:
        """Stand in *folder*."""
        self.folder = folder
        self.environ = {**environ, "COLUMNS": WIDTH, "LINES": "24", "NO_COLOR": "1"}
        self._port = str(_free_port())
        self._served: list[subprocess.Popen[str]] = []

    def close(self) -> None:
        """End what runs in the background."""
        for process in self._served:
            process.kill()
            with process:
                pass

    def type(self, command: str) -> str:
        """Return what *command* prints, without colours."""
        command = command.replace(GATEWAY_PORT, self._port)
        printed = self._serve(command.removesuffix(" &")) if command.endswith(" &") else self._answer(command)
        return printed.replace(self._port, GATEWAY_PORT)

    def _serve(self, command: str) -> str:
        """Start a gateway and return its first lines."""
        process = subprocess.Popen(
            [sys.executable, "-m", "apex_cli", *shlex.split(command)[1:], "--port", self._port],
            cwd=self.folder,
            env={**self.environ, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._served.append(process)
        assert process.stdout is not None
        return "".join(process.stdout.readline() for _ in range(2))

    def _answer(self, command: str) -> str:
        first, bar, rest = command.partition(" | ")
        if command.startswith("cd "):
            self.folder /= command.removeprefix("cd ")
            return ""
        if not first.startswith("apex") or SHELL_SIGNS.search(_unquoted(first)):
            return self._in_a_shell(command, "")
        printed = self._apex(shlex.split(first)[1:], is_terminal=not bar)
        return self._in_a_shell(rest, printed) if bar else printed

    def _apex(self, arguments: list[str], *, is_terminal: bool) -> str:
        said = io.StringIO()
        talk = said if is_terminal else io.StringIO()  # only results go through a pipe
        screen = _Screen(said, is_terminal=is_terminal)
        silent = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
        with (
            contextlib.chdir(self.folder),
            patch.dict(os.environ, {**self.environ, **(ANY_TIME if "--profile" in arguments else {})}, clear=True),
            patch.object(sys, "stdin", silent),
            contextlib.redirect_stdout(screen),
            contextlib.redirect_stderr(_Screen(talk, is_terminal=False)),
        ):
            run(arguments)
        return ESCAPES.sub("", said.getvalue())

    def _in_a_shell(self, command: str, given: str) -> str:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.environ,
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.stdout


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class _Screen(io.TextIOBase):
    """Writes into what both streams share."""

    encoding = "utf-8"

    def __init__(self, said: io.StringIO, *, is_terminal: bool) -> None:
        self._said = said
        self._is_terminal = is_terminal

    def write(self, text: str) -> int:
        return self._said.write(text)

    def isatty(self) -> bool:
        return self._is_terminal


def shell_for(text: str, template: Path, folder: Path, environ: dict[str, str]) -> Shell:
    """Return the shell that a page is followed in: in a copy of the demo, or beside it."""
    shutil.copytree(template, folder / "demo")
    for name, content in files_of(text).items():
        (folder / "demo" / name).write_text(content, encoding="utf-8")
    return Shell(folder if EMPTY_FOLDER in text else folder / "demo", environ)


def clean_environment(home: Path) -> dict[str, str]:
    """Return an environment without settings of this machine, in which ``apex`` is the one under test."""
    binaries = home / "bin"
    binaries.mkdir(parents=True)
    program = binaries / "apex"
    # A page is tried at any time of day, also while the broker restarts.
    any_hour = "case $1 in run|approve|close) export APEX_BROKER__IB__QUIET_HOURS='[]';; esac"
    run = f'exec {shlex.quote(sys.executable)} -m apex_cli "$@"'
    program.write_text(f"#!/bin/sh\n{any_hour}\n{run}\n", encoding="utf-8")
    program.chmod(0o755)
    python = binaries / "python"
    python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    path = f"{binaries}{os.pathsep}{os.environ['PATH']}"
    return {"PATH": path, "HOME": str(home), "XDG_CONFIG_HOME": str(home), "TERM": "xterm", "PYTHONUTF8": "1"}


def played_demo(folder: Path, environ: dict[str, str]) -> Path:
    """Make the demo after its first run in *folder*, and return its path."""
    shell = Shell(folder, environ)
    shell.type("apex init demo --demo")
    shell.type("cd demo")
    shell.type("apex run --once")
    return folder / "demo"


def _unquoted(command: str) -> str:
    return re.sub(r"'[^']*'|\"[^\"]*\"", "", command)


def agrees(expected: str, printed: str) -> bool:
    """Return whether *printed* is what a page says; ``...`` stands for anything."""
    pattern = ".*".join(map(re.escape, _plain(expected).split("...")))
    return re.fullmatch(pattern, _plain(printed), flags=re.DOTALL) is not None


def _plain(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())


def problem_of(line: str) -> str:
    """Return what is wrong with a command line of apex: an unknown command or option; empty when nothing is."""
    words = _words(line)
    command, context = _root()
    while words and not words[0].startswith("-") and hasattr(command, "get_command"):
        name = words.pop(0)
        if name.isupper() or name in {"COMMAND", "TOPIC"}:
            return ""
        found = command.get_command(context, name)
        if found is None:
            return f"{line}: no command {name}"
        command = found
    known = {option for one in command.params for option in (*one.opts, *one.secondary_opts)} | {"--help", "-h"}
    known |= {"--install-completion", "--show-completion", "--version"}
    unknown = [word for word in words if re.match(r"--?[a-z]", word) and word.partition("=")[0] not in known]
    return f"{line}: no option {', '.join(unknown)}" if unknown else ""


def _words(line: str) -> list[str]:
    """Return the words of a line, without the marks of what may be left out."""
    plain = line.replace("[", " ").replace("]", " ")
    try:
        return shlex.split(plain, comments=True)[1:]
    except ValueError:
        return plain.split()[1:]


def _root() -> tuple[Any, Any]:
    from typer.main import get_command

    group = get_command(make_app(with_completion=False))
    return group, group.make_context("apex", [], resilient_parsing=True)


CHANGING = (
    r"01[0-9A-HJKMNP-TV-Z]{24}",  # ids
    r"/[^ ]*(?=/(?:demo|trading)\b)",  # the folder of the test
    r"20(?:0[5-9]|[1-9]\d)-\d\d-\d\d \d\d:\d\d(?: (?:UTC|ET))?",  # times that are not the demo's
    r"20(?:0[5-9]|[1-9]\d)-\d\d-\d\dT[\d:.]+(?:\+00:00|Z)",
    r"\d\d:\d\d:\d\d ET",
    r'(?<="age_s": )\d+',
    r"\d+ min ago",
)
"""What is another one each time a page is followed."""

OF_THE_HOUR = r"[█░]{5} \d\.\d\d"
"""What else is another one where the time is not the demo's: a score depends on the part of the session."""


def refreshed(text: str, shell: Shell) -> str:
    """Return a page with what its commands print now; what still agrees stays as it is."""
    changing = "|".join((*CHANGING, OF_THE_HOUR) if EMPTY_FOLDER in text else CHANGING)
    return BLOCK.sub(
        lambda found: _refreshed_block(found, shell, changing) if found[1] == "console" else found[0], text
    )


def _refreshed_block(found: re.Match[str], shell: Shell, changing: str) -> str:
    lines: list[str] = []
    for step in steps(found[0]):
        printed = shell.type(step.command)
        shown = step.expected if agrees(step.expected, printed) else re.sub(changing, "...", printed)
        lines += [*step.typed.splitlines(), *filter(None, [_plain(shown)])]
    return "\n".join(["```console", *lines, "```"])


COMMANDS_HEAD = """\
# All commands with their options

`apex COMMAND --help` shows the same for one command. Every command also takes `--json`, `--quiet`, `--verbose` and
`--help`; those that read the configuration take `--config` and `--profile`.
"""
SHARED = {"--json", "--quiet", "--verbose", "--help", "--config", "--profile"}


def render_commands_page() -> str:
    """Return the page of every command with its options, by what it is for."""
    group, context = _root()
    parts = [COMMANDS_HEAD]
    for title, names in GROUPS.items():
        parts.append(f"## {title}\n")
        parts += ["".join(_command_text(f"apex {name}", group.get_command(context, name))) for name in names]
    return "\n".join(parts)


def _command_text(path: str, command: Any) -> Iterator[str]:
    """Yield what a command is for, its arguments and its own options; then its subcommands."""
    arguments = " ".join(_argument(one) for one in command.params if one.param_type_name == "argument")
    title = f"### `{path} {arguments}`".rstrip("` ") + "`"
    yield f"{title}\n\n{(command.help or '').strip()}\n"
    options = [one for one in command.params if one.param_type_name == "option" and SHARED.isdisjoint(one.opts)]
    if options:
        yield "\n| option | |\n|---|---|\n"
        yield from (_option_row(one) for one in options)
    if hasattr(command, "list_commands"):
        for name in command.list_commands(None):
            yield "\n"
            yield from _command_text(f"{path} {name}", command.get_command(None, name))


def _argument(argument: Any) -> str:
    name = argument.metavar or argument.human_readable_name.upper()
    return name if argument.required or name.startswith("[") else f"[{name}]"


def _option_row(option: Any) -> str:
    takes = "" if option.is_flag else f" {option.metavar or option.type.name.upper()}"
    shown = option.default not in {None, ""} and option.show_default and not option.is_flag
    default = f" Default: {option.default}." if shown and not callable(option.default) else ""
    text = f"{option.help or ''}{default}".replace("|", "\\|")
    names = [max(option.opts, key=len), *option.secondary_opts]
    shown_names = ", ".join(f"`{name}{takes}`" for name in names).replace("|", "\\|")
    return f"| {shown_names} | {text} |\n"


GENERATED: Mapping[str, Callable[[], str]] = {"commands.md": render_commands_page, "keys.md": render_keys_page}
"""Pages that are made from the program, by name."""
