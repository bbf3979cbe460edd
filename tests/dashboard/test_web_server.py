"""The served dashboard against visitors that mean harm: what they may see, send and leave behind."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import pytest

pytest.importorskip("textual_serve")

from apex_cli.dashboard.web_server import HEIGHT, MOST_VISITORS, WIDTH, cookie_of

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks at processes by /proc")


class Served(NamedTuple):
    """A running server."""

    process: subprocess.Popen[str]
    url: str
    token: str

    @property
    def headers(self) -> dict[str, str]:
        name, value = cookie_of(self.url, self.token)
        return {"Cookie": f"{name}={value}", "Origin": self.url} if self.token else {"Origin": self.url}

    def errors(self) -> str:
        self.process.terminate()
        return self.process.communicate(timeout=20)[1]


def children(pid: int) -> list[int]:
    return [int(text) for text in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def memory_mb(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) // 1024 if found else 0


def gone_within(pids: list[int], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while any(is_alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(is_alive(pid) for pid in pids)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served") / "demo"
    subprocess.run([sys.executable, "-m", "apex_cli", "init", str(folder), "--demo", "-q"], check=True)
    subprocess.run([sys.executable, "-m", "apex_cli", "run", "--once", "-q"], cwd=folder, check=True)
    return folder


def serve(folder: Path, *arguments: str, **variables: str) -> Served:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "apex_cli", "dashboard", "--serve", "--port", str(port), *arguments],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **variables},
    )
    assert process.stderr is not None
    said = process.stderr.readline()
    token = re.search(r"token=([\w-]+)", said)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            time.sleep(0.05)
    return Served(process, f"http://127.0.0.1:{port}", token[1] if token else "")


@pytest.fixture
def served(demo: Path) -> Iterator[Served]:
    found = serve(demo)
    yield found
    if found.process.poll() is None:
        found.process.kill()
    found.process.communicate()


def visits(work: Any) -> Any:
    async def run() -> Any:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
            return await work(session)

    return asyncio.run(asyncio.wait_for(run(), 60))


async def screen(socket_: Any, least: int = 1500) -> int:
    """Return the bytes that came until the screen was drawn."""
    came = 0
    while came < least:
        came += len((await socket_.receive(timeout=20)).data)
    return came


ODD = [
    "hello",
    "[]",
    "null",
    '{"a": 1}',
    '["stdin", 5]',
    '["stdin"]',
    '["resize", {"width": "x", "height": null}]',
    '["resize", {"width": 1e300, "height": -5}]',
    '["resize", 7]',
    '["ping", {"a": [1]}]',
    '["unknown", {}]',
    "[" * 20_000,
    '["ping", ' + '{"a":' * 5_000 + "1" + "}" * 5_000 + "]",
    '["stdin", "\\ud800"]',
]


def test_what_a_visitor_sends_is_bounded_and_its_process_ends_with_it(served: Served) -> None:
    async def work(session: aiohttp.ClientSession) -> list[int]:
        async with session.ws_connect(f"{served.url}/ws?width=99999999&height=-1", headers=served.headers) as visit:
            await screen(visit)
            (pid,) = children(served.process.pid)
            for _ in range(5):
                await visit.send_str('["resize",{"width":1000000,"height":1000000}]')
            for text in ODD:
                await visit.send_str(text)
            await visit.send_bytes(b"\x00" * 1000)
            await visit.send_str('["ping", 7]')
            while '["pong", 7]' not in str((await visit.receive(timeout=20)).data):
                assert memory_mb(pid) < 200
            assert memory_mb(pid) < 200
            return [pid]

    left = visits(work)
    assert gone_within(left, 5)
    assert "Traceback" not in served.errors()


def test_a_message_beyond_the_bound_ends_the_visit_and_nothing_else(served: Served) -> None:
    async def work(session: aiohttp.ClientSession) -> None:
        async with session.ws_connect(f"{served.url}/ws", headers=served.headers) as visit:
            await screen(visit)
            await visit.send_str('["stdin", "' + "a" * 1_000_000 + '"]')
            while not visit.closed:
                await visit.receive(timeout=20)
        async with session.get(served.url) as page:
            assert page.status == 200

    visits(work)
    assert gone_within(children(served.process.pid), 5)
    assert "Traceback" not in served.errors()


NO_HTTP = {
    "two hosts": b"GET / HTTP/1.1\r\nHost: {host}\r\nHost: evil.example\r\n\r\n",
    "a long line": b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: {host}\r\n\r\n",
    "many headers": b"GET / HTTP/1.1\r\n" + b"X: 1\r\n" * 5_000 + b"\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: {host}\r\n"
    b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "control bytes": b"GET /\x00\x1b[31m HTTP/1.1\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 200,
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "another host": b"GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
    "a path upwards": b"GET /static/..%2f..%2fetc/passwd HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n",
}


def test_what_is_no_sound_request_is_refused_and_is_no_line_of_the_log(served: Served) -> None:
    host = served.url.removeprefix("http://")
    for name, message in NO_HTTP.items():
        with socket.create_connection(("127.0.0.1", int(host.rpartition(":")[2])), 5) as connection:
            connection.sendall(message.replace(b"{host}", host.encode()))
            answer = connection.recv(4096)
        assert re.match(rb"HTTP/1\.[01] (400|403|404) ", answer), (name, answer)
    assert served.errors() == ""


def test_visitors_end_with_a_server_that_is_killed(served: Served) -> None:
    async def work(session: aiohttp.ClientSession) -> list[int]:
        places = [await session.ws_connect(f"{served.url}/ws", headers=served.headers) for _ in range(2)]
        for visit in places:
            await screen(visit)
        found = children(served.process.pid)
        served.process.send_signal(signal.SIGKILL)
        return found

    left = visits(work)
    assert len(left) == 2
    assert gone_within(left, 5)


def test_visitors_are_counted_and_those_that_leave_early_leave_nothing(served: Served) -> None:
    for _ in range(4):
        with socket.create_connection(("127.0.0.1", int(served.url.rpartition(":")[2]))) as early:
            lines = [
                "GET /ws HTTP/1.1",
                f"Host: {served.url.removeprefix('http://')}",
                f"Origin: {served.url}",
                "Connection: Upgrade",
                "Upgrade: websocket",
                "Sec-WebSocket-Version: 13",
                "Sec-WebSocket-Key: MDAwMDAwMDAwMDAwMDAwMA==",
            ]
            early.sendall("\r\n".join([*lines, "", ""]).encode())

    async def work(session: aiohttp.ClientSession) -> None:
        for _ in range(3):
            hasty = await session.ws_connect(f"{served.url}/ws", headers=served.headers)
            await hasty.close()
        await asyncio.sleep(3)
        places = [await session.ws_connect(f"{served.url}/ws", headers=served.headers) for _ in range(MOST_VISITORS)]
        with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
            await session.ws_connect(f"{served.url}/ws", headers=served.headers)
        assert caught.value.status == 503
        for visit in places:
            await visit.close()

    visits(work)
    deadline = time.monotonic() + 20
    while children(served.process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert children(served.process.pid) == []
    assert "Traceback" not in served.errors()


@pytest.mark.parametrize("arguments", [(), ("--control",)])
def test_a_token_is_asked_for_and_its_cookie_is_good_at_this_address_alone(
    demo: Path, arguments: tuple[str, ...]
) -> None:
    served = serve(demo, *arguments, APEX_DASHBOARD__TOKEN_FOR_READING="true")
    name, value = cookie_of(served.url, served.token)

    async def work(session: aiohttp.ClientSession) -> None:
        async def status(headers: dict[str, Any], path: str = "/") -> int:
            async with session.get(served.url + path, headers=headers, allow_redirects=False) as answer:
                return answer.status

        async with session.get(f"{served.url}/?token={served.token}", allow_redirects=False) as welcome:
            cookie = welcome.cookies[name]
            assert (welcome.status, welcome.headers["Location"], cookie.value, cookie["path"]) == (303, "/", value, "/")
            assert cookie["httponly"]
            assert cookie["samesite"] == "Strict"
        other = cookie_of(served.url[:-1], served.token)[1]
        assert served.token not in value
        assert await status({"Cookie": f"{name}={value}"}) == 200
        for wrong in (other, served.token, "", value[:-1], "\udcff\udcfe", "é"):
            assert await status({"Cookie": f"{name}={wrong}"}) == 403
        assert await status({"Cookie": f"apex_token={value}"}) == 403
        assert await status({}, "/static/js/textual.js") == 403
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(f"{served.url}/ws", headers={"Origin": served.url})

    try:
        visits(work)
    finally:
        errors = served.errors()
    assert served.token
    assert "Traceback" not in errors


@pytest.mark.parametrize(("size", "given"), [(-5, 20), (0, 20), (80, 80), (10**9, 400)])
def test_a_screen_has_a_least_and_a_largest_size(size: int, given: int) -> None:
    assert WIDTH(size) == given
    assert HEIGHT(size) <= 150
