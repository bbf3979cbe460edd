from __future__ import annotations

import base64
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kit.telegram import CHAT, TOKEN, UNAUTHORIZED, BotApi


def setup(folder: Path, text: str) -> None:
    with (folder / "config.yaml").open("a") as config:
        config.write(f"\nnotify: {{{text}}}\n")


def test_without_a_channel_there_is_nothing_to_test(demo: Path, apex_json: Callable[..., Any]) -> None:
    assert demo.is_dir()
    assert apex_json("notify", "test").status == 8
    assert apex_json("notify", "status").data == {"channels": []}


def test_console_and_log_need_nothing(demo: Path, apex: Callable[..., Any], apex_json: Callable[..., Any]) -> None:
    setup(demo, "console: true, log_file: logs.jsonl")
    answer = apex("notify", "test")
    assert (answer.status, "apex can reach you" in answer.err) == (0, True)
    assert (demo / "logs.jsonl").stat().st_mode & 0o777 == 0o600
    said = apex("run", "--once").err
    assert "🟢 AAPL long 6 at 23.04 | Stop 22.30" in said
    rows = apex_json("notify", "status").data["channels"]
    assert [(row["channel"], row["delivered"], row["behind"]) for row in rows] == [("console", 3, 0), ("log", 3, 0)]


def test_one_channel_can_be_tested_alone(demo: Path, apex_json: Callable[..., Any]) -> None:
    setup(demo, "console: true, log_file: logs.jsonl")
    answer = apex_json("notify", "test", "--channel", "log")
    assert answer.data == {"channels": [{"channel": "log", "ok": True, "error": ""}]}
    assert apex_json("notify", "test", "--channel", "fax").status == 2


def test_a_channel_that_is_set_up_badly_never_keeps_a_trade_from_being_done(
    demo: Path, apex_json: Callable[..., Any]
) -> None:
    setup(demo, "telegram: {enabled: true}, log_file: logs.jsonl")
    answer = apex_json("run", "--once")
    assert answer.status == 0
    assert any("APEX_TELEGRAM_TOKEN" in warning["message"] for warning in answer.envelope["warnings"])
    assert (demo / "logs.jsonl").read_text().count("\n") == 3
    tested = apex_json("notify", "test")
    assert tested.status == 5
    assert {row["channel"]: row["ok"] for row in tested.data["channels"]} == {"log": True, "telegram_incomplete": False}
    findings = apex_json("doctor").data["findings"]
    assert any(f["code"] == "notify" and f["level"] == "warning" for f in findings)
    assert apex_json("telegram").status == 3


def test_a_secrets_file_that_others_may_read_is_not_used(demo: Path, apex_json: Callable[..., Any]) -> None:
    (demo / "secrets").write_text(f"APEX_TELEGRAM_TOKEN={TOKEN}\n")
    (demo / "secrets").chmod(0o644)
    setup(demo, "telegram: {enabled: true}, secrets_file: secrets")
    answer = apex_json("telegram")
    assert answer.status == 3
    assert answer.error["code"] == "secrets_exposed"
    assert "chmod 600" in answer.error["hint"]


def test_telegram_that_is_off_says_how_to_turn_it_on(demo: Path, apex_json: Callable[..., Any]) -> None:
    assert demo.is_dir()
    assert apex_json("telegram").error["code"] == "telegram_off"


@pytest.mark.parametrize("module", ["telegram", "apprise"])
def test_a_missing_extra_is_one_sentence_with_the_command(
    demo: Path, apex_json: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, module: str
) -> None:
    import importlib.util
    import sys

    monkeypatch.setenv("APEX_TELEGRAM_TOKEN", TOKEN)
    monkeypatch.setenv("APEX_TELEGRAM_CHAT_ID", str(CHAT))
    monkeypatch.setenv("APEX_NOTIFY_URLS", "json://127.0.0.1:9/")
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == module else real(name, *a))
    monkeypatch.setitem(sys.modules, module, None)
    setup(demo, f"{module}: {{enabled: true}}")
    answer = apex_json("notify", "test")
    (row,) = answer.data["channels"]
    assert 'is not installed. pip install "' in row["error"]
    assert apex_json("run", "--once").status == 0


def test_a_wrong_token_is_reported_without_it(
    demo: Path, apex_json: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with BotApi() as api:
        monkeypatch.setenv("APEX_TELEGRAM_TOKEN", TOKEN)
        monkeypatch.setenv("APEX_TELEGRAM_CHAT_ID", str(CHAT))
        setup(demo, f'telegram: {{enabled: true, api: "{api.url}"}}')
        assert apex_json("notify", "test").status == 0
        assert "apex can reach you" in api.texts()[0]
        api.faults["getMe"].append(UNAUTHORIZED)
        answer = apex_json("notify", "test")
    assert answer.status == 5
    assert "does not know the token" in answer.error["message"]


@contextmanager
def web_hook() -> Iterator[tuple[str, list[dict[str, Any]], list[int]]]:
    """A server that takes what apprise's JSON service sends, or answers with the next status."""
    heard: list[dict[str, Any]] = []
    statuses: list[int] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = statuses.pop(0) if statuses else 200
            if status == 200:
                heard.append(json.loads(body))
            self.send_response(status)
            self.end_headers()

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"json://127.0.0.1:{server.server_address[1]}/hook", heard, statuses
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.mark.filterwarnings("ignore:.imghdr. is deprecated:DeprecationWarning")
def test_apprise_gets_what_its_filter_lets_through_and_again_after_a_failure(
    demo: Path, apex_json: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with web_hook() as (url, heard, statuses):
        monkeypatch.setenv("APEX_NOTIFY_URLS", url)
        setup(demo, "apprise: {enabled: true, only: [opportunity]}, deliver_s: 30")
        statuses.append(500)
        assert apex_json("run", "--once").status == 0
        (message,) = heard
        (row,) = apex_json("notify", "status").data["channels"]
    assert message["title"] == "SIM · ❓ SELL 1 IBM?"
    (chart,) = message["attachments"]
    assert base64.b64decode(chart["base64"]).startswith(b"\x89PNG")
    assert "sent again" in message["message"]
    assert (row["delivered"], row["failures"]) == (1, 1)
    assert row["channel"].startswith("json-")


@pytest.mark.filterwarnings("ignore:.imghdr. is deprecated:DeprecationWarning")
def test_a_url_that_apprise_does_not_know_is_reported_without_it(
    demo: Path, apex_json: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("APEX_NOTIFY_URLS", "carrierpigeon://my-secret-loft-0123")
    setup(demo, "apprise: {enabled: true}")
    answer = apex_json("notify", "test")
    assert "carrierpigeon" in answer.error["message"]
    assert "loft" not in json.dumps(answer.envelope)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('quiet_from: "25:00", quiet_until: "07:00"', "a time of day"),
        ('quiet_from: "22:00"', "both"),
        ('quiet_from: "22:00", quiet_until: "07:00", time_zone: Mars/Olympus', "such as Europe/Zurich"),
        ("events: {entry: loud}", "on or silent or off"),
        ("telegram: {only: [gossip]}", "entry or exit"),
    ],
)
def test_a_wrong_setting_is_reported(demo: Path, apex_json: Callable[..., Any], text: str, problem: str) -> None:
    setup(demo, text)
    answer = apex_json("notify", "status")
    assert answer.status == 3
    assert problem in answer.error["message"]
