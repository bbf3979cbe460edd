"""A demo folder with a bot in it, and the Bot API that the bot talks to."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from apex_cli.app.resources import read_settings
from apex_cli.cli import run
from apex_cli.notify.telegram_notifier import TelegramNotifier
from apex_cli.settings.sections import Settings
from kit.telegram import ANNA, BEN, CHAT, TOKEN, BotApi

SECRETS = {
    "APEX_TELEGRAM_TOKEN": TOKEN,
    "APEX_TELEGRAM_CHAT_ID": str(CHAT),
    "APEX_TELEGRAM_USER_IDS": f"{ANNA}=anna,{BEN}=ben",
}


@pytest.fixture
def api() -> Iterator[BotApi]:
    """Return a Bot API that listens."""
    with BotApi() as server:
        yield server


@pytest.fixture(scope="session")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo with signals that are all queued for approval, before its first run; to be copied."""
    folder = tmp_path_factory.mktemp("notify") / "demo"
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("APEX_")]:
            patch.delenv(name)
        assert run(["init", str(folder), "--demo", "--json", "--quiet"]) == 0
    return folder


@pytest.fixture
def folder(demo_folder: Path, tmp_path: Path, api: BotApi, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a demo of one's own whose notices go to the Bot API; nothing was run yet."""
    for name in [name for name in os.environ if name.startswith("APEX_")]:
        monkeypatch.delenv(name)
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(TelegramNotifier, "min_interval_s", 0.0)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user"))
    here = tmp_path / "demo"
    shutil.copytree(demo_folder, here)
    with (here / "config.yaml").open("a") as config:
        config.write(f'\nnotify:\n  deliver_s: 60\n  telegram: {{enabled: true, api: "{api.url}", poll_s: 2}}\n')
    monkeypatch.chdir(here)
    return here


@pytest.fixture
def settings(folder: Path) -> Settings:
    """Return the settings of the folder."""
    return read_settings(folder / "config.yaml")


@pytest.fixture
def apex(folder: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Type a command line in the folder, in this process; return status, output and talk."""
    assert folder.is_dir()

    def typed(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        status = run(arguments)
        said = capsys.readouterr()
        return status, said.out, said.err

    return typed


@pytest.fixture
def allow(folder: Path) -> Callable[[int], None]:
    """Let commands stay no longer than so many seconds to deliver."""
    config = folder / "config.yaml"

    def write(seconds: int) -> None:
        config.write_text(re.sub(r"deliver_s: \d+", f"deliver_s: {seconds}", config.read_text()))

    return write
