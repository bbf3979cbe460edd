"""A shell in a box: every test types commands in its own folder, with its own home and no variables of ours."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from apex_cli.cli import run
from apex_cli.presenters.contract import DATA, envelope_type


class Typed(NamedTuple):
    """What one command line came to."""

    status: int
    out: str
    err: str

    @property
    def envelope(self) -> dict[str, Any]:
        """The one JSON document on standard output, or the last line of a run that looped."""
        *events, last = self.out.splitlines() if self.out.startswith('{"v": 1, "event"') else [self.out]
        assert all("event" in json.loads(line) for line in events)
        document: dict[str, Any] = json.loads(last)
        return document

    @property
    def events(self) -> list[dict[str, Any]]:
        """The lines of a looping run."""
        lines = [line for line in self.out.splitlines() if line.startswith('{"v": 1, "event"')]
        return [json.loads(line) for line in lines]

    @property
    def data(self) -> dict[str, Any]:
        data: dict[str, Any] = self.envelope["data"]
        return data

    @property
    def error(self) -> dict[str, Any]:
        (error,) = self.envelope["errors"]
        found: dict[str, Any] = error
        return found


@pytest.fixture(scope="session")
def clean_environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Return an environment without settings of the machine that the tests run on."""
    home = str(tmp_path_factory.mktemp("home"))
    kept = {name: value for name, value in os.environ.items() if not name.startswith("APEX_")}
    for name in ("NO_COLOR", "FORCE_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "TTY_COMPATIBLE", "PYTHONWARNINGS"):
        kept.pop(name, None)
    return {**kept, "HOME": home, "XDG_CONFIG_HOME": home, "TERM": "xterm", "COLUMNS": "200", "PYTHONUTF8": "1"}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clean_environment: dict[str, str]) -> Path:
    """Stand in an empty folder."""
    for name in set(os.environ) - set(clean_environment):
        monkeypatch.delenv(name)
    for name in ("HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, clean_environment[name])
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def configured(here: Path) -> Path:
    """Stand in a folder with a configuration that says nothing."""
    (here / "config.yaml").write_text("")
    return here


@pytest.fixture
def apex(here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Typed]:
    """Type a command line in this process."""
    assert here.is_dir()

    def typed(*arguments: str, stdin: bytes = b"") -> Typed:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
        capsys.readouterr()
        status = run(arguments)
        return Typed(status, *capsys.readouterr())

    return typed


@pytest.fixture
def apex_json(apex: Callable[..., Typed]) -> Callable[..., Typed]:
    """Type a command line with ``--json``; what comes must be one document that agrees with status and schema."""

    def typed(*arguments: str, stdin: bytes = b"") -> Typed:
        answer = apex(*arguments, "--json", stdin=stdin)
        assert answer.envelope["exit_code"] == answer.status
        if answer.envelope["command"] in DATA and answer.status == 0:
            msgspec.convert(answer.envelope, envelope_type(answer.envelope["command"]))
        return answer

    return typed


@pytest.fixture(scope="session")
def traded_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo after its first run, to be copied, never changed."""
    folder = tmp_path_factory.mktemp("template") / "demo"
    config = str(folder / "config.yaml")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("APEX_")]:
            patch.delenv(name)
        assert run(["init", str(folder), "--demo", "--json"]) == 0
        assert run(["run", "--once", "--json", "--quiet", "--config", config]) == 0
    return folder


@pytest.fixture
def demo(here: Path, traded_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a fresh demo, nothing run yet."""
    folder = here / "demo"
    shutil.copytree(traded_folder, folder, ignore=shutil.ignore_patterns("state"))
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def traded(here: Path, traded_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in the demo after its first run: AAPL and MSFT are held, IBM waits for an answer."""
    folder = here / "traded"
    shutil.copytree(traded_folder, folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def start(clean_environment: dict[str, str]) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start apex as a process of its own; what still runs at the end is killed."""
    running: list[subprocess.Popen[str]] = []

    def started(*arguments: str, env: dict[str, str] | None = None, **how: Any) -> subprocess.Popen[str]:
        piped = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(
            [sys.executable, "-m", "apex_cli", *arguments],
            env={**clean_environment, **(env or {})},
            text=True,
            encoding="utf-8",
            **{**piped, **how},
        )
        running.append(process)
        return process

    yield started
    for process in running:
        process.kill()
        with process:
            pass
