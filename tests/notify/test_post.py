from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apex_cli.app.resources import read_settings
from apex_cli.core.adapters.notifiers.delivery_file import DeliveryFile
from apex_cli.notify.channels import notify_folder
from apex_cli.notify.post import Postman
from apex_cli.settings.sections import Settings
from kit.telegram import SERVER_ERROR, BotApi


def numbers(path: Path) -> list[int]:
    return [json.loads(line)["event_id"] for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def logged(folder: Path) -> Path:
    """Let the same notices go to a file, too."""
    with (folder / "config.yaml").open("a") as config:
        config.write("  log_file: reported.jsonl\n")
    return folder / "reported.jsonl"


def test_a_dead_channel_holds_up_neither_the_run_nor_the_other_channels(
    api: BotApi, logged: Path, apex: Callable[..., Any], allow: Callable[[int], None]
) -> None:
    allow(3)
    api.faults["sendMessage"].extend([SERVER_ERROR] * 50)
    status, _, said = apex("run", "--once")
    assert status == 0
    assert "wait for the next command" in said
    assert apex("heartbeat", "--quiet")[0] == 0
    assert len(numbers(logged)) == 3
    settings = read_settings(None)
    standing = DeliveryFile(notify_folder(settings), "telegram").load()
    assert standing.attempts >= 1
    assert standing.last_error.startswith("Telegram cannot be reached")
    finding = next(f for f in json.loads(apex("doctor", "--json")[1])["data"]["findings"] if "telegram" in f["message"])
    assert finding["level"] == "warning"


def test_a_server_that_never_answers_costs_no_more_than_the_time_allowed(
    api: BotApi, logged: Path, apex: Callable[..., Any], allow: Callable[[int], None]
) -> None:
    allow(1)
    assert logged.parent.is_dir()
    release = threading.Event()
    api.on_call = lambda method, _: None if method != "sendMessage" else bool(release.wait(60)) or None
    status, _, said = apex("run", "--once")
    standing = DeliveryFile(notify_folder(read_settings(None)), "telegram").load()
    release.set()
    assert status == 0
    assert "wait for the next command" in said
    assert (standing.delivered, standing.sending != 0 or standing.attempts > 0) == (0, True)


def test_two_processes_that_deliver_at_once_report_everything_once(
    api: BotApi, logged: Path, apex: Callable[..., Any]
) -> None:
    assert api.url
    assert apex("run", "--once", "--quiet")[0] == 0
    posts = [Postman(read_settings(None), listens=False, say=lambda _: None) for _ in range(3)]
    for post in posts:
        post.prepare()
        post.start()
    for number in range(5):
        assert apex("halt", "--reason", f"r{number}", "--quiet")[0] == 0
    for post in posts:
        post.finish(20)
    reported = numbers(logged)
    assert reported == sorted(set(reported))
    assert len(reported) == 8
    assert sum("Trading is HALTED" in text for text in api.texts()) == 5


def test_a_second_listener_of_the_same_state_waits_for_the_first(api: BotApi, settings: Settings) -> None:
    said: list[str] = []
    heard = threading.Event()

    def note(text: str) -> None:
        said.append(text)
        heard.set()

    posts = [Postman(settings, listens=True, say=note) for _ in range(2)]
    for post in posts:
        post.prepare()
    posts[0].start()
    api.wait_for(lambda: api.made("getUpdates") or api.made("setMyCommands"))
    posts[1].start()
    assert heard.wait(30)
    posts[0].finish(5)
    posts[1].finish(5)
    assert said == ["Another apex process hears the phone; this one takes over when that ends."]


def test_a_new_channel_is_not_reported_what_happened_before_it(
    api: BotApi, folder: Path, apex: Callable[..., Any]
) -> None:
    config = folder / "config.yaml"
    text = config.read_text()
    config.write_text(text.replace("enabled: true", "enabled: false"))
    assert apex("run", "--once", "--quiet")[0] == 0
    config.write_text(text)
    assert apex("halt", "--quiet")[0] == 0
    (only,) = api.texts()
    assert "HALTED" in only


def test_a_channel_whose_place_cannot_be_read_is_not_the_end_of_the_others(
    logged: Path, apex: Callable[..., Any], allow: Callable[[int], None]
) -> None:
    allow(3)
    (notify_folder(read_settings(None)) / "telegram.json").mkdir(parents=True)
    status, _, said = apex("run", "--once")
    assert status == 0
    assert "Notifications by telegram ended" in said
    assert len(numbers(logged)) == 3
