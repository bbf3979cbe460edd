"""A listener against those who mean harm: every attempt is answered or cut off, and nothing is told or kept."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from apex_cli.listen import http_server as server
from apex_cli.listen import request_guard
from apex_cli.listen.http_server import make_server
from kit.attacks import ATTACKS, Attack, request, tried
from kit.listener import ALERT, SECRET, Listener, error_of, free_port


class Served:
    """A listener behind a real socket, in a thread of this process."""

    def __init__(self, listener: Listener, *, proxies: tuple[str, ...] = ()) -> None:
        self.listener = listener
        self.port = free_port()
        app = listener.restarted(self.port)
        self.server = make_server(app, host="127.0.0.1", port=self.port, proxies=proxies)
        self.thread = threading.Thread(target=lambda: asyncio.run(self.server.serve()), daemon=True)
        self.thread.start()
        while not self.server.started:
            self.thread.join(0.01)

    def end(self) -> None:
        self.server.should_exit = True
        self.thread.join(10)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server, "HEAD_WITHIN_S", 0.3)
        patch.setattr(request_guard, "BODY_WITHIN_S", 0.3)
        made = Served(Listener(tmp_path_factory.mktemp("attacked")))
        yield made
        made.end()


@pytest.mark.parametrize("attack", [each for each in ATTACKS if each.pieces == 1], ids=lambda each: each.name)
def test_every_attempt_is_answered_or_cut_off(served: Served, attack: Attack) -> None:
    status, answer, took = tried(served.port, attack)
    assert status in attack.wanted, answer
    assert took < 8
    assert not answer or json.loads(answer.partition(b"\r\n\r\n")[2])["v"] == 1
    assert SECRET.encode() not in answer
    assert b"Traceback" not in answer
    assert str(served.listener.folder).encode() not in answer
    said = "".join(served.listener.said)
    assert SECRET not in said
    assert "\x1b" not in said
    assert "Set-Cookie" not in said


def test_after_all_of_them_it_still_takes_an_alert_and_kept_no_other(served: Served) -> None:
    kept = {row.signal.strategy for row in served.listener.kept() if row.signal}
    assert kept <= {"", "[red]<script>alert(1)</script>"}
    body = json.dumps({**ALERT, "alert_id": "after"}).encode()
    good = Attack("good", request(body=body), frozenset({200}))
    assert tried(served.port, good)[0] == 200
    assert "after" in {row.signal.signal_id for row in served.listener.kept() if row.signal}


def named(name: str) -> Attack:
    return next(each for each in ATTACKS if each.name == name)


def test_a_hundred_connections_that_say_nothing_keep_nobody_out(served: Served) -> None:
    import socket

    idle = [socket.create_connection(("127.0.0.1", served.port)) for _ in range(100)]
    try:
        assert tried(served.port, named("markup"))[0] == 200
        for each in idle:
            each.settimeout(3)
            assert each.recv(100) == b""
    finally:
        for each in idle:
            each.close()


def test_silent_connections_make_room_for_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.setattr(server, "MOST_CONNECTIONS", 20)
    made = Served(Listener(tmp_path))
    idle = [socket.create_connection(("127.0.0.1", made.port)) for _ in range(60)]
    try:
        for _ in range(3):
            status, _, took = tried(made.port, named("markup"))
            assert (status, took < server.HEAD_WITHIN_S) == (200, True)
    finally:
        for each in idle:
            each.close()
        made.end()


def test_a_second_request_on_a_connection_is_judged_like_the_first(served: Served) -> None:
    import socket

    first, second = (
        named(name).sent.replace(b"%d", b"%d" % served.port) for name in ("duplicate keys", "wrong secret")
    )
    with socket.create_connection(("127.0.0.1", served.port), timeout=5) as pipe:
        pipe.sendall(first + second)
        answer = b""
        while part := pipe.recv(65536):
            answer += part
    statuses = [line[9:12] for line in answer.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]
    assert statuses[0] == b"422"
    assert statuses[1:] in ([b"401"], [])


@pytest.mark.parametrize(("path", "token"), [("/status", "reader-0123456789"), ("/metrics", "reader-0123456789")])
def test_a_token_opens_its_own_door_and_no_other(listener: Listener, path: str, token: str) -> None:
    right = {"Authorization": f"Bearer {token}"}
    assert listener.ask("GET", path, headers=right).status_code == 200
    for wrong in ({}, {"Authorization": f"Bearer {SECRET}"}, {"Authorization": f"Bearer {token}x"}):
        answer = listener.ask("GET", path, headers=wrong)
        assert (answer.status_code, error_of(answer)["code"]) == (401, "unauthorized")
    assert listener.ask("POST", "/signals/token", json=ALERT, headers=right).status_code == 401
    assert (
        listener.ask("POST", "/approvals/x", json={"choice": "approve", "version": 1}, headers=right).status_code == 401
    )


@pytest.mark.parametrize(
    ("forwarded", "status"),
    [
        ("203.0.113.7", 200),
        ("198.51.100.1", 401),
        ("203.0.113.7, 198.51.100.1", 401),
        ("198.51.100.1, 203.0.113.7", 200),
    ],
)
def test_a_proxy_that_is_believed_says_who_sends_and_the_sender_cannot(
    make_listener_in: Callable[..., Listener], forwarded: str, status: int
) -> None:
    listener = make_listener_in("listen: {proxies: [127.0.0.1], sources: {token: {addresses: [203.0.113.7]}}}")
    made = Served(listener, proxies=listener.settings.listen.proxies)
    headers = (f"Authorization: Bearer {SECRET}", f"X-Forwarded-For: {forwarded}")
    sent = request(body=json.dumps(ALERT).encode(), headers=headers)
    try:
        assert tried(made.port, Attack("forwarded", sent, frozenset({status})))[0] == status
    finally:
        made.end()


def test_a_proxy_that_is_not_believed_says_nothing_of_addresses(
    make_listener_in: Callable[..., Listener], tmp_path: Path
) -> None:
    listener = make_listener_in("listen: {sources: {token: {addresses: [203.0.113.7]}}}")
    assert listener.post(ALERT, headers={"X-Forwarded-For": "203.0.113.7"}).status_code == 401
    assert tmp_path.exists()
