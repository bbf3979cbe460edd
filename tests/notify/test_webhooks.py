"""Notices to programs: signed, in order, tried until they arrive, and given up only where the receiver says so."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from apex_cli.core.adapters.notifiers.webhook_notifier import WebhookNotifier
from apex_cli.core.errors import ConfigError
from apex_cli.core.model.notice import Notice, NoticeKind
from apex_cli.core.ports import DeliveryError
from kit import FixedClock

SECRET = "0123456789abcdef" * 2
NOW = datetime(2026, 11, 24, 15, tzinfo=UTC)
NOTICE = Notice(event_id=7, kind=NoticeKind.EXIT, priority=1, at=NOW, subject="AAPL", title="Closed DU1234567")


class Got(NamedTuple):
    path: str
    headers: dict[str, str]
    body: bytes


class Receiver:
    """A program that is posted to; it answers what the test wants, in turn."""

    def __init__(self) -> None:
        self.got: list[Got] = []
        self.answers: list[tuple[int, dict[str, str]]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.got.append(Got(self.path, {name.lower(): text for name, text in self.headers.items()}, body))
                status, headers = receiver.answers.pop(0) if receiver.answers else (204, {})
                self.send_response(status)
                for name, text in headers.items():
                    self.send_header(name, text)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/hook/abcdefgh"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.server.shutdown()
    made.server.server_close()


def send(url: str, notice: Notice = NOTICE, secrets: tuple[str, ...] = (SECRET,)) -> None:
    asyncio.run(WebhookNotifier(url, secrets, FixedClock(NOW), sender="/state").notify(notice))


def refusal(url: str) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        send(url)
    return caught.value


def test_a_notice_is_json_with_the_signature_of_the_specification(receiver: Receiver) -> None:
    other = "whsec_" + base64.b64encode(b"another secret of ours").decode()
    send(receiver.url, secrets=(SECRET, other))
    (got,) = receiver.got
    content = b".".join((got.headers["webhook-id"].encode(), got.headers["webhook-timestamp"].encode(), got.body))
    wanted = [
        "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
        for key in (SECRET.encode(), b"another secret of ours")
    ]
    assert got.headers["webhook-signature"].split() == wanted
    assert got.headers["webhook-timestamp"] == str(int(NOW.timestamp()))
    message = json.loads(got.body)
    assert (message["type"], message["timestamp"]) == ("apex.exit", "2026-11-24T15:00:00Z")
    assert message["data"]["event_id"] == 7
    assert message["data"]["title"] == "Closed DU*****67"


def test_every_attempt_has_the_same_id_and_other_accounts_have_others(receiver: Receiver) -> None:
    send(receiver.url)
    send(receiver.url)
    asyncio.run(WebhookNotifier(receiver.url, (SECRET,), FixedClock(NOW), sender="/other").notify(NOTICE))
    first, again, other = (got.headers["webhook-id"] for got in receiver.got)
    assert first == again != other


@pytest.mark.parametrize(
    ("status", "headers", "is_final", "is_unsure", "after"),
    [
        (500, {}, False, True, None),
        (503, {"Retry-After": "7"}, False, True, 7),
        (429, {"Retry-After": "30"}, False, False, 30),
        (404, {}, False, False, None),
        (410, {}, True, False, None),
        (422, {}, True, False, None),
        (302, {"Location": "http://127.0.0.1:1/"}, True, False, None),
    ],
)
def test_what_the_receiver_answers_decides_whether_it_is_tried_again(
    receiver: Receiver, status: int, headers: dict[str, str], *, is_final: bool, is_unsure: bool, after: float | None
) -> None:
    receiver.answers.append((status, headers))
    error = refusal(receiver.url)
    assert (error.is_final, error.is_unsure, error.retry_after_s) == (is_final, is_unsure, after)
    assert "abcdefgh" not in str(error)
    assert len(receiver.got) == 1


def test_a_receiver_that_is_not_there_is_tried_again(receiver: Receiver) -> None:
    receiver.server.server_close()
    receiver.server.shutdown()
    error = refusal("http://127.0.0.1:9/hook")
    assert not error.is_final


@pytest.mark.parametrize(
    "url",
    ["http://example.com/x", "ftp://127.0.0.1/x", "file:///etc/passwd", "https://:80", "nonsense", "http://8.8.8.8/",
     "https://a:99999/", "https://a\nb/"],
)  # fmt: skip
def test_an_address_that_is_not_safe_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        WebhookNotifier(url, (SECRET,), FixedClock(NOW), sender="")
    assert caught.value.code == "webhook_url_invalid"
    assert url not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(
    "url", ["https://example.com/x", "http://localhost:1/", "http://[::1]:8/", "http://10.0.0.7/a"]
)
def test_an_address_with_tls_or_in_the_own_network_is_fine(url: str) -> None:
    assert WebhookNotifier(url, (SECRET,), FixedClock(NOW), sender="") is not None


def test_what_a_run_causes_arrives_once_in_order_also_after_a_failure(
    folder: Path, receiver: Receiver, apex: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = folder / "config.yaml"
    text = config.read_text().partition("notify:")[0]
    config.write_text(f"{text}notify: {{webhook: {{enabled: true}}, deliver_s: 10}}\n")
    monkeypatch.setenv("APEX_WEBHOOK_URLS", receiver.url)
    monkeypatch.setenv("APEX_WEBHOOK_SECRET", SECRET)
    receiver.answers = [(200, {}), (500, {})]
    status, _, err = apex("run", "--once", "--quiet")
    assert status == 0, err
    apex("halt", "--reason", "enough")
    bodies = [json.loads(got.body)["data"] for got in receiver.got]
    numbers = [body["event_id"] for body in bodies]
    assert numbers == sorted(numbers)
    assert {body["kind"] for body in bodies} > {"entry", "trading_state"}
    repeated = [body["event_id"] for body in bodies if body["is_repeat"]]
    assert len(repeated) == 1
    assert len(set(numbers)) == len(numbers) - 1
    assert SECRET not in err
    assert receiver.url not in err
