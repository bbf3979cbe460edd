"""Requests that mean harm, byte for byte, and what a sound server answers.

``python tests/kit/attacks.py PORT`` tries all of them.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from typing import NamedTuple

SECRET = "0123456789abcdef" * 2
ALERT = {"ticker": "AAPL", "action": "buy", "price": 190.5, "stop": 186, "tp": 205, "confidence": 0.9}
HEAD_PATIENCE_S, BODY_PATIENCE_S = 10.0, 10.0
CLOSED = 0
"""Stands for a connection that the server ends without an answer."""


class Attack(NamedTuple):
    """One attempt."""

    name: str
    sent: bytes
    wanted: frozenset[int]
    """Statuses that are sound."""

    is_slow: bool = False
    """True: it waits for the patience of the server."""

    pieces: int = 1
    """How many times ``sent`` is sent."""


def request(
    path: str = "/signals/token",
    body: bytes = b"",
    *,
    method: str = "POST",
    host: str = "127.0.0.1:%d",
    headers: tuple[str, ...] = (f"Authorization: Bearer {SECRET}",),
    length: str | None = "",
) -> bytes:
    """Return a request as bytes; ``%d`` in it stands for the port."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *headers]
    if length is not None:
        lines.append(f"Content-Length: {length or len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


GOOD = json.dumps({**ALERT, "alert_id": "attack"}).encode()
CHUNKED = (f"Authorization: Bearer {SECRET}", "Transfer-Encoding: chunked")


def _one(name: str, sent: bytes, *wanted: int, is_slow: bool = False, pieces: int = 1) -> Attack:
    return Attack(name, sent, frozenset(wanted), is_slow, pieces)


ATTACKS = (
    _one("no secret", request(body=GOOD, headers=()), 401),
    _one("wrong secret", request(body=GOOD, headers=("Authorization: Bearer 0123456789",)), 401),
    _one("secret in the wrong place", request(f"/signals/token/{SECRET}", GOOD, headers=()), 401),
    _one("unknown source", request("/signals/nobody", GOOD), 401),
    _one("secret with signs that are no text", request(body=GOOD, headers=("Authorization: Bearer \xff\xfe",)), 401),
    _one("read side without its token", request("/status", method="GET", length=None), 401, 404),
    _one("acting with a sender's secret", request("/approvals/x", b"{}"), 401, 404),
    _one("other host, as in DNS rebinding", request(body=GOOD, host="evil.example"), 421),
    _one("no host", b"POST /signals/token HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 400, 421),
    _one("two hosts", request(body=GOOD, headers=("Host: evil.example", f"Authorization: Bearer {SECRET}")), 400, 421),
    _one("from a foreign page", request(body=GOOD, headers=("Origin: https://evil.example",)), 403),
    _one("from a sandboxed page", request(body=GOOD, headers=("Origin: null",)), 403),
    _one("framed twice, CL and TE", request(body=b"0\r\n\r\nGET /x", headers=CHUNKED), 400),
    _one("two lengths", request(body=GOOD, headers=("Content-Length: 1", f"Authorization: Bearer {SECRET}")), 400),
    _one("negative length", request(body=GOOD, length="-1"), 400),
    _one("length in words", request(body=GOOD, length="ten"), 400),
    _one("blank before the colon", request(body=GOOD, headers=("Content-Length : 3",)), 400),
    _one("folded header", request(body=GOOD, headers=("X: a\r\n b", f"Authorization: Bearer {SECRET}")), 200, 400),
    _one("coding that is not chunked", request(headers=("Transfer-Encoding: gzip, chunked",), length=None), 400, 501),
    _one("hidden coding", request(headers=("Transfer-Encoding: xchunked",), length=None), 400, 501),
    _one("chunk that is no number", request(body=b"zz\r\n", headers=CHUNKED, length=None), 400),
    _one("chunk of endless size", request(body=b"f" * 40 + b"\r\n", headers=CHUNKED, length=None), 400, 413),
    _one(
        "chunks above the size",
        request(headers=CHUNKED, length=None) + b"ffff\r\n" + b"a" * 65535 + b"\r\n" + b"1\r\na\r\n" * 2,
        413,
    ),
    _one("announced above the size", request(length="99999999"), 413),
    _one("announced beyond all numbers", request(length="9" * 4000), 400, 413),
    _one("body above the size", request(body=b" " * 70_000), 413),
    _one("no body at all", request(length=None), 400),
    _one("get", request(method="GET", length=None), 405),
    _one("delete", request(method="DELETE", length=None), 405),
    _one("trace", request(method="TRACE", length=None), 405),
    _one("connect", request("evil.example:443", method="CONNECT", length=None), 400, 404, 405),
    _one("options of all", request("*", method="OPTIONS", length=None), 400, 404, 405),
    _one("made-up method", request(method="BUY", body=GOOD), 405),
    _one("method that is none", b"\x00\x01 / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\n\r\n", 400),
    _one("path upward", request("/signals/../../etc/passwd", GOOD), 404),
    _one("path upward, hidden", request("/signals/%%2e%%2e%%2f%%2e%%2e%%2fetc%%2fpasswd", GOOD), 401, 404),
    _one("path with a NUL", request("/signals/token%%00", GOOD), 401, 404),
    _one("path with a line break", request("/signals/a%%0d%%0aSet-Cookie:x", GOOD), 401, 404),
    _one("path without end", request("/signals/" + "a" * 60_000, GOOD), 400, 414, CLOSED),
    _one("whole address in the line", request("http://evil.example/signals/token", GOOD), 404),
    _one("header without end", request(headers=(f"X: {'a' * 60_000}",)), 400, 431, CLOSED),
    _one("headers in a flood", request(headers=tuple(f"X{number}: a" for number in range(3000))), 400, 431, CLOSED),
    _one(
        "upgrade to a socket",
        request("/", method="GET", headers=("Connection: Upgrade", "Upgrade: websocket"), length=None),
        404,
    ),
    _one("HTTP/0.9", b"GET /status\r\n\r\n", 400),
    _one("HTTP/2 in the clear", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, 404, 405, 421),
    _one("no HTTP at all", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, CLOSED, is_slow=True),
    _one("deep JSON", request(body=b"[" * 60_000), 400),
    _one("deep objects", request(body=b'{"a":' * 10_000), 400),
    _one("NaN", request(body=b'{"ticker": "AAPL", "action": "buy", "price": NaN, "stop": 5}'), 422),
    _one("duplicate keys", request(body=b'{"ticker": "AAPL", "ticker": "MSFT"}'), 422),
    _one(
        "digits without end",
        request(body=b'{"ticker": "AAPL", "action": "buy", "price": 1' + b"0" * 50_000 + b"}"),
        422,
    ),
    _one("packed body", request(body=b"\x1f\x8b\x08\x00" + b"\0" * 50), 400),
    _one("XML with entities", request(body=b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>'), 400),
    _one("YAML with a tag", request(body=b"!!python/object/apply:os.system ['id']"), 400),
    _one("markup", request(body=json.dumps({**ALERT, "strategy": "[red]<script>alert(1)</script>"}).encode()), 200),
    _one("control signs", request(body=json.dumps({**ALERT, "strategy": "\x1b[2J\x07"}).encode()), 422),
    _one("half of UTF-8", request(body=b'{"ticker": "\xc3'), 400),
    _one(
        "half a pair of UTF-16",
        request(
            body=b'{"ticker": "AAPL", "action": "buy", "price": 5, "stop": 4, "confidence": 1, "strategy": "\\ud800"}'
        ),
        200,
        422,
    ),
    _one("head that never ends", b"POST /signals/token HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nX: ", CLOSED, is_slow=True),
    _one("nothing at all", b"", CLOSED, is_slow=True),
    _one("head a byte at a time", b"x", 400, CLOSED, is_slow=True, pieces=200),
    _one("body that never comes", request(length="100"), 408, is_slow=True),
    _one("chunk that never comes", request(headers=CHUNKED, length=None) + b"5\r\nab", 408, is_slow=True),
    _one("chunks without end", request(headers=CHUNKED, length=None) + b"1\r\n \r\n" * 3, 408, 413, is_slow=True),
)


def tried(port: int, attack: Attack) -> tuple[int, bytes, float]:
    """Try one; return the status, the whole answer, and how long it took.

    Raises:
        TimeoutError: the server neither answers nor ends.
    """
    since = time.monotonic()
    with socket.create_connection(("127.0.0.1", port), timeout=HEAD_PATIENCE_S + BODY_PATIENCE_S + 5) as pipe:
        text = attack.sent.replace(b"%d", str(port).encode()).replace(b"%%", b"%")
        answer = b""
        try:
            for number in range(attack.pieces):
                pipe.sendall(text)
                if number:
                    time.sleep(0.1)
            if attack.wanted != {CLOSED} and not attack.is_slow:
                answer = _read(pipe)
            else:
                while part := pipe.recv(65536):
                    answer += part
        except ConnectionError:
            pass
        status = int(answer[9:12]) if answer.startswith(b"HTTP/1.") else CLOSED
        return status, answer, time.monotonic() - since


def _read(pipe: socket.socket) -> bytes:
    """Return one answer; the connection may live on."""
    answer = b""
    while part := pipe.recv(65536):
        answer += part
        head, end, body = answer.partition(b"\r\n\r\n")
        lengths = [
            line.partition(b":")[2] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
        ]
        if end and lengths and len(body) >= int(lengths[0]):
            break
    return answer


if __name__ == "__main__":
    failed = 0
    for each in ATTACKS:
        found, said, took = tried(int(sys.argv[1]), each)
        is_sound = found in each.wanted
        failed += not is_sound
        print(f"{'ok ' if is_sound else 'BAD'} {each.name:38} {found or 'closed'} {took:5.1f} s")
    print(f"{failed} unsound")
