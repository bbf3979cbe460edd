"""No token, no chat, no account: not in a log, the journal, an error, a place or anything that is printed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apex_cli.core.adapters.notifiers.apprise_notifier import channel_name
from apex_cli.core.redaction import redact
from kit.telegram import BEN, CHAT, TOKEN, UNAUTHORIZED, BotApi

URL = "json://user:Sw0rdfishSw0rdfish@127.0.0.1:9/path-of-mine-0123"
SECRETS = (TOKEN, TOKEN.partition(":")[2], str(CHAT), str(BEN), URL, "Sw0rdfishSw0rdfish", "U1234567")


def leaks(text: str) -> list[str]:
    return [secret for secret in SECRETS if secret in text]


@pytest.mark.filterwarnings("ignore:.imghdr. is deprecated:DeprecationWarning")
def test_nothing_that_is_written_or_said_holds_a_secret(
    api: BotApi,
    folder: Path,
    apex: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    *,
    caplog: pytest.LogCaptureFixture,
    allow: Callable[[int], None],
) -> None:
    allow(3)
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("APEX_NOTIFY_URLS", URL)
    with (folder / "config.yaml").open("a") as config:
        config.write("  log_file: reported.jsonl\n  console: true\n  apprise: {enabled: true}\n")
    said: list[str] = []
    said += apex("run", "--once", "--manual")[1:]
    said += apex("halt", "--reason", f"account U1234567, bot {TOKEN}")[1:]
    api.faults["sendMessage"].append(UNAUTHORIZED)
    for line in ("notify test --json", "notify status", "doctor", "heartbeat"):
        said += apex(*line.split())[1:]
    monkeypatch.setenv("APEX_TELEGRAM_TOKEN", f"x{TOKEN}")
    said += apex("notify", "test")[1:]
    monkeypatch.setenv("APEX_TELEGRAM_TOKEN", "987654321:AAAnotherTokenThatNobodyKnows-0123456789")
    said += apex("notify", "test")[1:]
    shown = [text for text in said if "U1234567" not in text]  # what is typed is shown to who typed it
    assert not leaks("\n".join(shown))
    assert "AnotherToken" not in "\n".join(said)
    assert not leaks(caplog.text)
    files = [path for path in (folder / "state").rglob("*") if path.is_file() and path.stem != "state"]
    assert any(path.suffix == ".jsonl" for path in files), said
    for path in (*files, folder / "reported.jsonl"):
        assert not leaks(path.read_text(errors="replace")), path
    assert not leaks("\n".join(text for text in api.texts() if "HALTED" not in text))


def test_a_channel_is_named_by_its_service_only() -> None:
    assert channel_name(URL).startswith("json-")
    assert not leaks(channel_name(URL))


def test_secrets_of_a_file_are_taken_out_of_what_is_written(tmp_path: Path) -> None:
    from apex_cli.core.adapters.notifiers.secrets import read_secrets

    path = tmp_path / "secrets"
    path.write_text("APEX_NOTIFY_URLS=ntfy://a-topic-nobody-guesses-77\n")
    path.chmod(0o600)
    read_secrets(path, {})
    assert "guesses" not in redact("sent to ntfy://a-topic-nobody-guesses-77", {})
