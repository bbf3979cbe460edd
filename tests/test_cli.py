"""The front door: help, examples, completion, the version."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.main import get_command

from apex_cli import __version__
from apex_cli.cli import COMMANDS, DOCS, GROUPS, PAGES, make_app, run
from apex_cli.core.errors import EXIT_STATUS_MEANINGS, ExitStatus

SUBCOMMANDED = ("config", "learn", "model", "new", "notify", "state")
"""Commands that are families of commands."""


def found(line: tuple[str, ...]) -> Any:
    """Return the command object behind *line*."""
    command: Any = get_command(make_app(with_completion=False))
    for name in line:
        command = command.get_command(typer.Context(command), name)
    return command


LINES = [
    *((name,) for name in COMMANDS if name not in SUBCOMMANDED),
    *((group, name) for group in SUBCOMMANDED for name in found((group,)).list_commands(None)),
]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str, str]]:
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERMINAL_WIDTH", "120")

    def typed(*arguments: str) -> tuple[int, str, str]:
        status = run(arguments)
        return status, *capsys.readouterr()

    return typed


@pytest.fixture
def process(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    def started(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "apex_cli", *arguments],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), **variables},
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            check=False,
            timeout=60,
        )

    return started


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (("cash",), "Error: Missing argument 'DIRECTION'. Choose from: in, out\n"),
        (("move-stop", "AAPL", "[a]"), "Error: Invalid value for 'PRICE': '[a]' is not a positive number"),
    ],
)
def test_what_is_wrong_with_a_line_is_one_sentence(said: Callable[..., Any], line: tuple[str, ...], words: str) -> None:
    status, out, err = said(*line)
    assert (status, out) == (2, "")
    assert err.startswith(words)


class TestHelp:
    def test_the_front_page_lists_every_command_and_every_exit_status(self, said: Callable[..., Any]) -> None:
        status, out, err = said("--help")
        assert (status, err) == (0, "")
        words = " ".join(out.split())
        for name in COMMANDS:
            assert f" {name} " in words
        for number, meaning in EXIT_STATUS_MEANINGS.items():
            assert f"{int(number)} {meaning}" in words
        assert set(EXIT_STATUS_MEANINGS) == set(ExitStatus)

    @pytest.mark.parametrize("line", LINES, ids=" ".join)
    def test_every_command_explains_itself_and_every_option(self, line: tuple[str, ...]) -> None:
        command = found(line)
        assert command.help
        assert command.help[0].isupper()
        undocumented = [p.name for p in command.params if p.name != "market_type" and not getattr(p, "help", "")]
        assert undocumented == []

    @pytest.mark.parametrize("line", LINES, ids=" ".join)
    def test_every_command_ends_with_an_example_that_parses(self, line: tuple[str, ...]) -> None:
        example, *more = found(line).epilog.split("\n\n")
        assert more in ([], [f"More: apex help {PAGES.get(line[0], line[0])}"])
        assert example.startswith("Example: apex ")
        words = shlex.split(example.removeprefix("Example: apex ").split("&&")[0].split(">")[0])
        assert tuple(words[: len(line)]) == line
        command = found(line)
        command.make_context(" ".join(line), words[len(line) :])

    @pytest.mark.parametrize("line", LINES, ids=" ".join)
    def test_every_command_takes_the_common_options(self, line: tuple[str, ...]) -> None:
        options = {option for parameter in found(line).params for option in parameter.opts}
        without_config = {("init",), ("gateway",), ("help",), ("schema",), ("version",)}
        common = {"--json", "--quiet", "-q", "--verbose", "-v"} | (
            set() if line in without_config else {"--config", "-c"}
        )
        assert common <= options

    @pytest.mark.parametrize("flag", ["-h", "--help"])
    def test_help_has_a_short_flag(self, said: Callable[..., Any], flag: str) -> None:
        status, out, _ = said("size", flag)
        assert status == 0
        assert "Example: apex size NVDA" in out

    def test_nothing_typed_shows_the_front_page(self, said: Callable[..., Any]) -> None:
        status, out, _ = said()
        assert status == 0
        assert "apex COMMAND --help" in out

    def test_help_in_a_pipe_has_no_escape_codes(self, process: Callable[..., Any]) -> None:
        done = process("--help")
        assert done.returncode == 0
        assert "\x1b" not in done.stdout


class TestMistakes:
    @pytest.mark.parametrize(
        ("line", "words"),
        [
            (("bogus",), "bogus"),
            (("size", "--entri", "5"), "--entry"),
            (("size", "--entry"), "--entry"),
            (("cash", "in", "-5"), "No negative number is taken here: -5"),
            (("history", "--since", "2026-13-01"), "'2026-13-01' is no date, such as 2026-11-24."),
            (("replay", "--from", "0001-01-01"), "0001-01-01 lies outside the years 1900 to 2199."),
            (("drift", "--to", "9999-12-31"), "9999-12-31 lies outside the years 1900 to 2199."),
            (("size", "a", "b", "--entry", "50", "--stop", "48"), "b"),
            (("state", "chek"), "chek"),
            (("--bogus",), "--bogus"),
            (("halt", "extra"), "extra"),
        ],
    )
    def test_each_is_one_sentence_and_the_way_to_help(
        self, said: Callable[..., Any], line: tuple[str, ...], words: str
    ) -> None:
        status, out, err = said(*line)
        assert status == 2
        assert out == ""
        first, second = err.splitlines()
        assert first.startswith("Error: ")
        assert words in first
        assert second.startswith("  -> See: apex")
        assert second.endswith(" --help")


class TestVersion:
    def test_it_is_printed_alone(self, said: Callable[..., Any]) -> None:
        assert said("--version") == (0, f"apex {__version__}\n", "")

    def test_the_module_is_the_program(self, process: Callable[..., Any]) -> None:
        done = process("--version")
        assert (done.returncode, done.stdout, done.stderr) == (0, f"apex {__version__}\n", "")


class TestCompletion:
    @pytest.mark.parametrize(
        ("typed", "place", "offered"),
        [
            ("apex si", "1", {"size"}),
            ("apex po", "1", {"positions"}),
            ("apex state rest", "2", {"restore"}),
            ("apex size --ent", "2", {"--entry"}),
            ("apex config get risk.max_risk_pct_", "3", {"risk.max_risk_pct_ceiling"}),
            ("apex run --on", "2", {"--once"}),
            ("apex size --market-type cry", "3", {"crypto"}),
        ],
    )
    def test_bash_offers_what_fits(
        self, process: Callable[..., Any], typed: str, place: str, offered: set[str]
    ) -> None:
        done = process(_APEX_COMPLETE="complete_bash", COMP_WORDS=typed, COMP_CWORD=place)
        assert done.returncode == 0
        assert set(done.stdout.split()) == offered

    def test_fish_shows_what_each_command_is_for(self, process: Callable[..., Any]) -> None:
        asked = {"_TYPER_COMPLETE_ARGS": "apex po", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
        done = process(_APEX_COMPLETE="complete_fish", **asked)
        assert done.stdout.split("\t") == ["positions", "What is held: P&L, R, stops, protection overnight.\n"]

    @pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
    def test_the_script_for_each_shell_is_there(self, process: Callable[..., Any], shell: str) -> None:
        done = process(_APEX_COMPLETE=f"source_{shell}")
        assert done.returncode == 0
        assert "_APEX_COMPLETE" in done.stdout


def test_no_help_page_shows_marks_of_the_source(said: Callable[..., tuple[int, str, str]]) -> None:
    for line in LINES:
        _, page, _ = said(*line, "--help")
        assert "``" not in page, line
        assert "range>" not in page, line


def test_a_number_that_is_refused_is_explained_in_words(said: Callable[..., tuple[int, str, str]]) -> None:
    for value in ("0", "x", "1.5"):
        status, _, problem = said("run", "--max-cycles", value)
        assert status == ExitStatus.USAGE
        assert f"'{value}' is not a whole number from 1 on." in problem
    _, _, problem = said("gateway", "--port", "70000")
    assert "'70000' is not a whole number from 0 to 65535." in problem


@pytest.mark.skipif(os.name == "nt", reason="there is no shell with pipes")
@pytest.mark.parametrize("line", ["--help", "run --help", "state --help"])
def test_a_reader_that_stops_early_is_no_error(tmp_path: Path, line: str) -> None:
    shell = f"{shlex.quote(sys.executable)} -m apex_cli {line} | head -1 >&2; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", shell], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252"])
def test_no_encoding_of_the_terminal_makes_it_fail(
    process: Callable[..., subprocess.CompletedProcess[str]], encoding: str
) -> None:
    process("init", "demo", "--demo")
    for line in ("--help", "run --once --config demo/config.yaml", "positions --config demo/config.yaml"):
        done = process(*line.split(), PYTHONIOENCODING=f"{encoding}:strict")
        assert done.returncode == 0, done.stderr


@pytest.mark.skipif(os.name == "nt", reason="there is no pseudo terminal")
@pytest.mark.parametrize("line", ["positions", "doctor", "config show", "report"])
def test_a_terminal_without_utf_8_is_drawn_on_all_the_same(
    process: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path, line: str
) -> None:
    import pty
    import threading

    process("init", "demo", "--demo")
    process("run", "--once", "--config", "demo/config.yaml")
    reader, terminal = pty.openpty()
    drain = threading.Thread(target=_drained, args=(reader,), daemon=True)
    drain.start()
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TERM": "xterm", "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [sys.executable, "-m", "apex_cli", *line.split(), "--config", "demo/config.yaml"],
        cwd=tmp_path,
        env=environ,
        stdout=terminal,
        stderr=subprocess.PIPE,
        check=False,
        timeout=60,
    )
    os.close(terminal)
    assert done.returncode == 0, done.stderr


def _drained(descriptor: int) -> None:
    """Read what the terminal shows, so that nobody waits for room on it."""
    with suppress(OSError):
        while os.read(descriptor, 65_536):
            pass


@pytest.mark.parametrize(
    "module", ["apex_cli.cli", "typer", "apex_cli.presenters.screen.output", "apex_cli.commands.positions"]
)
def test_ctrl_c_while_it_is_imported_ends_in_a_sentence(tmp_path: Path, module: str) -> None:
    program = (
        "import sys\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, path, target=None):\n"
        f"        if name == {module!r}:\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        "from apex_cli.__main__ import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, "positions"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr.strip()) == (130, "", "Interrupted.")


def test_what_is_registered_for_the_end_of_the_process_still_runs(tmp_path: Path) -> None:
    program = (
        "import atexit, sys\n"
        "from apex_cli.__main__ import main\n"
        "atexit.register(print, 'at the end', file=sys.stderr)\n"
        "sys.argv = ['apex', '--version']\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"apex {__version__}\n", "at the end\n")


@pytest.mark.parametrize("name", COMMANDS)
def test_no_help_page_names_a_type_or_shows_marks(name: str) -> None:
    group = get_command(make_app(with_completion=False))
    command = group.get_command(None, name)  # type: ignore[arg-type]
    for one in (command, *getattr(command, "commands", {}).values()):
        text = " ".join([one.help or "", *(getattr(option, "help", "") or "" for option in one.params)])
        assert "``" not in text
        assert ":class:" not in text
        assert [
            option.opts for option in one.params if option.param_type_name == "option" and _is_nameless(option)
        ] == []


def _is_nameless(option: Any) -> bool:
    is_option = option.param_type_name == "option"
    return is_option and option.metavar is None and not option.is_flag and not hasattr(option.type, "choices")


@pytest.mark.parametrize("line", LINES, ids=" ".join)
def test_no_help_page_shows_the_name_of_a_python_type(
    said: Callable[..., tuple[int, str, str]], line: tuple[str, ...]
) -> None:
    _, page, _ = said(*line, "--help")
    kinds = {parameter.type.name for parameter in found(line).params}
    assert not [kind for kind in kinds if f"<{kind}" in page]
    arguments = [p for p in found(line).params if p.param_type_name == "argument"]
    assert all(argument.metavar.strip("[].").isupper() for argument in arguments)


def test_each_command_has_one_line_on_the_front_page(said: Callable[..., tuple[int, str, str]]) -> None:
    _, page, _ = said("--help")
    for name, about in (each for group in GROUPS.values() for each in group.items()):
        (line,) = [each for each in page.splitlines() if each.startswith(f"  {name} ")]
        assert line.split(maxsplit=1) == [name, about]


def test_what_every_command_takes_stands_below_its_own_options(said: Callable[..., tuple[int, str, str]]) -> None:
    _, page, _ = said("close", "--help")
    own, _, common = page.partition("\nCommon options")
    assert "\n  -y, --yes " in own
    assert "\n      --fraction FRACTION  Part to close; 0.5 is half." in own
    assert "\n  -c, --config FILE " in common
    assert "Usage: apex close [OPTIONS] [SYMBOLS...]" in own


def test_every_page_that_help_names_is_there() -> None:
    assert set(PAGES) <= set(COMMANDS)
    assert all((DOCS / f"{page}.md").exists() for page in PAGES.values())


def test_many_words_to_choose_from_stand_in_the_text(said: Callable[..., tuple[int, str, str]]) -> None:
    _, page, _ = said("size", "--help")
    assert "--side buy|sell " in page
    assert "--market-type TYPE " in page
    assert "One of equity, options, crypto, forex." in " ".join(page.split())
