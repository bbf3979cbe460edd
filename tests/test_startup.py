"""What a command imports is what its start costs: heavy modules stay out of commands that need them not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from datetime import date
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest

from apex_cli.core.adapters.files.prices.plain_bars import LEAST_BYTES
from apex_cli.core.market.calendar import SATURDAY
from apex_cli.core.text.yaml_text import _PATTERNS

NEVER = {
    "apprise",
    "httpx",
    "ib_async",
    "ib_insync",
    "mcp",
    "multiprocessing",
    "numpy",
    "pandas",
    "pydantic",
    "pytest",
    "requests",
    "sklearn",
    "skops",
    "starlette",
    "talib",
    "telegram",
    "textual",
    "unittest",
    "uvicorn",
}
DRAWING, LOOP = {"rich"}, {"asyncio", "ssl"}
STATE, CONFIG, WRITING, JSON = {"tinydb"}, {"yaml"}, {"filelock"}, {"json"}
WATCHED = NEVER | DRAWING | LOOP | STATE | CONFIG | WRITING | JSON | {"platformdirs"}

SIZE = "size --entry 50 --stop 48"

WITH_CONFIG = {
    SIZE: CONFIG,
    f"{SIZE} --json": CONFIG | JSON,
    "positions": CONFIG | STATE | JSON,
    "positions --json": CONFIG | STATE | JSON,
    "risk": CONFIG | STATE | JSON,
    "orders": CONFIG | STATE | JSON,
    "orders --json": CONFIG | STATE | JSON,
    "history": CONFIG,
    "history --json": CONFIG | JSON,
    "report": CONFIG,
    "report --json": CONFIG | JSON,
    "dashboard": CONFIG,
    "explain demo-1-aapl-long": CONFIG,
    "explain demo-1-aapl-long --json": CONFIG | JSON,
    "status": CONFIG | STATE | JSON,
    "explain": CONFIG,
    "learn status": CONFIG | STATE | JSON,
    "learn freeze": CONFIG | STATE | JSON | WRITING,
    "drift": CONFIG | LOOP | JSON | STATE,
    "replay --to 2003-04-30": CONFIG | LOOP | JSON,
    "halt": CONFIG | STATE | JSON | WRITING,
    "reduce --json": CONFIG | STATE | JSON | WRITING,
    "resume": CONFIG | STATE | JSON | WRITING,
    "state check": CONFIG | STATE | JSON,
    "state export": CONFIG | STATE | JSON,
    "close TSLA --yes": CONFIG | STATE | JSON | LOOP,
    "close AAPL --yes": CONFIG | STATE | JSON | LOOP | WRITING,
    "reconcile": CONFIG | STATE | JSON | LOOP | WRITING,
    "approve": CONFIG | STATE | JSON | LOOP,
    "approve --all --yes": CONFIG | STATE | JSON | LOOP | WRITING,
    "pdt-status": CONFIG | STATE | JSON | LOOP,
    "run --dry-run": CONFIG | STATE | JSON | LOOP,
    "run --once": CONFIG | STATE | JSON | LOOP | WRITING,
    "model status": CONFIG | STATE | JSON | LOOP,
    "heartbeat": CONFIG | STATE | JSON | WRITING,
    "notify test": CONFIG,
    "telegram": CONFIG,
    "events": CONFIG,
    "events --json --after 0": CONFIG | JSON,
    "doctor": CONFIG | STATE | JSON | LOOP | WRITING,
}
"""Which of the watched modules a command may import in the demo; every other one is a failure."""

WITHOUT_CONFIG = {
    "--version": set(),
    "version": set(),
    "help": set(),
    "bogus": set(),
    SIZE: set(),
    f"{SIZE} --json": JSON,
    "size --bogus": set(),
    "run --bogus": set(),
    "close --bogus": set(),
    "approve --bogus": set(),
    "history --bogus": set(),
    "init fresh": set(),
    "new strategy mine": set(),
    "init fresh --demo --json": JSON,
    "history": set(),
    "gateway --host 0.0.0.0": LOOP,
}
"""The same in an empty folder."""

SCRIPT = """
import contextlib, io, os, sys
before = set(sys.modules)
import typer, msgspec
from re import _compiler
compiled, compile = [], _compiler.compile
_compiler.compile = lambda pattern, *flags: compiled.append(ascii(pattern)) or compile(pattern, *flags)
import apex_cli
apex_cli.is_program = True
from apex_cli.cli import run
said, warned = io.StringIO(), io.StringIO()
with contextlib.redirect_stdout(said), contextlib.redirect_stderr(warned):
    status = run(sys.argv[1:])
if status == 1:
    sys.exit(said.getvalue() + warned.getvalue())
os.write(1, "\\n".join(sorted(set(sys.modules) - before)).encode() + b"\\0" + "\\0".join(compiled).encode())
"""


def imported_by(line: str, folder: Path, home: Path) -> set[str]:
    """Return the top-level modules that a process imports to run *line*."""
    modules, _ = loaded_by(line, folder, home)
    return {name.partition(".")[0] for name in modules}


def loaded_by(line: str, folder: Path, home: Path) -> tuple[set[str], list[str]]:
    """Return the modules that a process imports to run *line*, and the patterns that it compiles."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *line.split()],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(home), "XDG_CONFIG_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    names, *patterns = done.stdout.split("\0")
    modules = set(names.split("\n"))
    assert "typer" in modules, "the list is not what it should be"
    return modules, list(filter(None, patterns))


def test_a_client_library_brings_no_numpy_until_something_uses_it() -> None:
    code = """
import sys
import apex_cli
apex_cli.is_program = True
from apex_cli.core.adapters.ib.library import load_library
load_library("ib_insync")
assert "numpy" not in sys.modules
from eventkit import Event
prices, means = Event(), []
prices.array(3).mean().connect(means.append)
prices.emit(1)
prices.emit(4)
import numpy
assert means == [1, 2.5] and numpy.linalg.norm([3, 4]) == 5
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["ib_insync", "ib_async"])
def test_a_client_library_reads_account_statements_once_something_asks_for_that(name: str) -> None:
    if find_spec(name) is None:  # to import it takes an event loop, which other tests may have closed here
        pytest.skip(f"{name} is not installed")
    code = f"""
import sys
import apex_cli
apex_cli.is_program = True
from apex_cli.core.adapters.ib.library import load_library
library = load_library("{name}")
assert sys.modules.keys().isdisjoint(["http.client", "xml.etree.ElementTree", "{name}.flexreport"])
assert not hasattr(library, "FlexStatement") and load_library("{name}") is library
from {name} import FlexError, FlexReport
import {name}.flexreport as real
assert (FlexReport, library.FlexError) == (real.FlexReport, real.FlexError) and issubclass(FlexError, Exception)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


def test_in_a_program_of_others_a_client_library_has_numpy_itself() -> None:
    code = """
from apex_cli.core.adapters.ib.library import load_library
load_library("ib_insync")
import sys, eventkit.ops.array, numpy
assert eventkit.ops.array.np is numpy and "ib_insync.flexreport" in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the demo after its first run; the lines that change it do so in the order of the table."""
    folder = tmp_path_factory.mktemp("startup") / "demo"
    for line in (f"init {folder} --demo", f"run --once --config {folder}/config.yaml"):
        imported_by(line, folder.parent, folder.parent)
    assert (folder / "state" / "state.json").exists()
    return folder


@pytest.mark.parametrize(("line", "allowed"), WITH_CONFIG.items(), ids=list(WITH_CONFIG))
def test_a_command_imports_no_more_than_it_needs(demo: Path, line: str, allowed: set[str]) -> None:
    assert imported_by(line, demo, demo.parent) & WATCHED <= allowed


@pytest.mark.parametrize(("line", "allowed"), WITHOUT_CONFIG.items(), ids=list(WITHOUT_CONFIG))
def test_without_a_configuration_there_is_even_less(tmp_path: Path, line: str, allowed: set[str]) -> None:
    assert imported_by(line, tmp_path, tmp_path) & (WATCHED - {"platformdirs"}) <= allowed


def test_help_imports_no_event_loop_and_no_store(tmp_path: Path) -> None:
    assert imported_by("--help", tmp_path, tmp_path) & WATCHED <= DRAWING


SETTINGS = "apex_cli.settings."
READING = {f"{SETTINGS}{name}" for name in ("sections", "load", "doubts")}
CHECKING = {f"{SETTINGS}{name}" for name in ("validation", "conflicts")}
LIBRARIES = {"annotated_doc", "apex_cli", "msgspec", "shellingham", "typer", "typing_extensions"}
"""What is not Python's own."""


@pytest.mark.parametrize("line", [SIZE, f"{SIZE} --json"])
class TestSize:
    def test_it_loads_no_section_that_it_does_not_read(self, tmp_path: Path, line: str) -> None:
        modules, _ = loaded_by(line, tmp_path, tmp_path)
        assert {name for name in modules if name.startswith(SETTINGS)} == READING
        assert modules.isdisjoint(f"apex_cli.core.model.{name}" for name in ("decision", "limits", "order", "spelling"))

    def test_a_file_adds_the_sections_that_it_names(self, tmp_path: Path, line: str) -> None:
        (tmp_path / "config.yaml").write_text("risk: {capital: 5000}\nlisten: {max_waiting: 100}\n")
        modules, _ = loaded_by(line, tmp_path, tmp_path)
        assert {name for name in modules if name.startswith(SETTINGS)} == READING | CHECKING | {f"{SETTINGS}webhooks"}

    def test_it_loads_no_other_library(self, tmp_path: Path, line: str) -> None:
        assert imported_by(line, tmp_path, tmp_path) - sys.stdlib_module_names <= LIBRARIES


def test_a_size_compiles_no_pattern(tmp_path: Path) -> None:
    _, patterns = loaded_by(SIZE, tmp_path, tmp_path)
    assert patterns == []


def test_a_configuration_compiles_the_patterns_of_its_loader_alone(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("risk: {capital: 5000}\n")
    _, patterns = loaded_by(SIZE, tmp_path, tmp_path)
    assert len(patterns) == len(_PATTERNS) + 1, patterns


CORE, FILES = "apex_cli.core.", "apex_cli.core.adapters.files"
BROKER = (
    "apex_cli.app.compose",
    f"{CORE}adapters.simulated",
    f"{CORE}venue",
    f"{CORE}coordinator.coordinator",
    f"{CORE}signals",
)
"""What a command that acts puts together, and what is below it."""

IDLE = (
    *(f"{CORE}decision.{name}" for name in ("plan", "checks", "kept_inputs", "option_choice", "protection_inputs")),
    *(f"{CORE}execution.{name}" for name in ("closer", "answers")),
    *(f"{CORE}signals.{name}" for name in ("ranker", "guarded", "plugin_limits")),
    *(f"{CORE}management.{name}" for name in ("manager", "repricer", "time_exits", "stop_mover", "delivered")),
    *(f"{CORE}positions.{name}" for name in ("lessons", "performance", "position_views")),
    f"{CORE}coordinator.service",
    f"{CORE}learning.learners",
    f"{CORE}reconciliation.adoption",
    f"{CORE}reports",
    "apex_cli.presenters.day",
)
"""What a run imports with the first signal, request, position or closed trade."""

PYTHONS = {"csv", "ctypes", "dataclasses", "email", "fractions", "json", "random", "resource", "statistics", "ulid"}
"""Modules of Python that take a while, and a package that imports some of them."""

QUIET = "execution: {simulation_mode: true}\nrisk: {enforce_market_hours: false}\n"


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a simulated account in which nothing has happened since its first run."""
    folder = tmp_path_factory.mktemp("quiet")
    (folder / "config.yaml").write_text(QUIET)
    loaded_by("run --once", folder, folder)
    return folder


@cache
def loaded_anyway() -> frozenset[str]:
    """Return the modules that Typer and msgspec load by themselves; which of Python's own depends on its version."""
    code = "import sys, typer, msgspec; print(*sys.modules)"
    return frozenset(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )


def below(modules: set[str], names: Iterable[str]) -> set[str]:
    """Return those of *modules* that we load, and that are one of *names*, or lie in one."""
    ours = modules - loaded_anyway()
    return {module for module in ours for name in names if module == name or module.startswith(f"{name}.")}


class TestNothingToDo:
    def test_a_run_loads_what_acts_with_the_first_thing_to_act_on(self, quiet: Path) -> None:
        modules, _ = loaded_by("run --once", quiet, quiet)
        assert not below(modules, (*IDLE, FILES, *PYTHONS))

    @pytest.mark.parametrize("line", ["positions", "approve", "close TSLA --yes"])
    def test_who_looks_or_finds_nothing_puts_no_broker_together(self, quiet: Path, line: str) -> None:
        modules, _ = loaded_by(line, quiet, quiet)
        assert not below(modules, (*BROKER, FILES, *PYTHONS))

    def test_the_status_is_made_without_a_broker(self, quiet: Path) -> None:
        modules, _ = loaded_by("status", quiet, quiet)
        assert not below(modules, (*BROKER, FILES, *PYTHONS))


def test_a_replay_of_many_bars_loads_no_masked_arrays_of_numpy(tmp_path: Path) -> None:
    (tmp_path / "bars").mkdir()
    times = [
        f"2026-03-{day:02} {hour:02}:{minute:02}" for day in range(2, 28) for hour in (10, 11) for minute in range(60)
    ]
    rows = [
        f"{at}:00,100.25,100.5000,100.0000,100.375000,1000000.00"
        for at in times
        if date.fromisoformat(at[:10]).weekday() < SATURDAY
    ]
    for name in ("AAA", "BBB"):
        (tmp_path / "bars" / f"{name}.csv").write_text("\n".join(("Date,Open,High,Low,Close,Volume", *rows, "")))
    assert sum(path.stat().st_size for path in (tmp_path / "bars").iterdir()) > LEAST_BYTES
    modules, _ = loaded_by("replay --bars bars --rule breakout", tmp_path, tmp_path)
    assert "numpy" in modules
    assert "numpy.ma" not in modules


def test_a_signal_is_read_and_executed_without_other_formats(quiet: Path) -> None:
    (quiet / "signals.json").write_text(
        '[{"signal_id": "s1", "symbol": "AAA", "signal_type": "LONG", "entry_price": 50, "stop_loss": 48,'
        ' "target_price": 56, "confidence": 0.9}]'
    )
    modules, _ = loaded_by("run --once --auto --signals signals.json", quiet, quiet)
    assert f"{CORE}decision.plan" in modules
    unread = (f"{FILES}.prices", f"{FILES}.executions", f"{CORE}signals.plugin_limits", f"{CORE}decision.option_choice")
    assert not below(modules, (*unread, *(PYTHONS - {"json"})))
