"""A real browser, driven over its own debugging port: for tests by hand and for those that find one."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp
import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


def find_browser() -> str | None:
    """Return the path of a browser of the Chromium family, None when there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """A headless browser in a folder of its own."""

    def __init__(self, path: str, *, size: str = "1700,1000") -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="apex-browser-", ignore_cleanup_errors=True)
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]
        options.append("--remote-debugging-port=0")
        self._process = subprocess.Popen(
            [path, *options, f"--window-size={size}", f"--user-data-dir={self._folder.name}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()

    async def port(self) -> int:
        """Return the debugging port, once it is open."""
        reported = Path(self._folder.name) / "DevToolsActivePort"
        deadline = time.monotonic() + 60
        while not (reported.exists() and reported.read_text().count("\n")):
            assert self._process.poll() is None, "the browser ended"
            assert time.monotonic() < deadline, "the browser did not open its port"
            await asyncio.sleep(0.1)
        return int(reported.read_text().split("\n")[0])

    @asynccontextmanager
    async def page(self, url: str) -> AsyncIterator[Page]:
        """Open *url* in a page of its own."""
        port = await self.port()
        async with aiohttp.ClientSession() as session:
            async with session.put(f"http://127.0.0.1:{port}/json/new?about:blank") as answer:
                target = await answer.json()
            async with session.ws_connect(target["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                page = Page(socket)
                for domain in ("Page", "Runtime", "Log", "Network"):
                    await page.call(f"{domain}.enable")
                await page.call("Page.navigate", url=url)
                yield page


class Page:
    """One page: what it received over its sockets, what it complained of, keys and pictures."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._number = 0
        self.received = ""
        """Text of every frame that came over the page's WebSockets."""
        self.complaints: list[str] = []

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Do one thing and return what came of it."""
        self._number += 1
        number = self._number
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            message = await self._next(60)
            if message.get("id") == number:
                assert "error" not in message, message["error"]
                result: dict[str, Any] = message["result"]
                return result

    async def _next(self, timeout_s: float) -> dict[str, Any]:
        message: dict[str, Any] = json.loads((await self._socket.receive(timeout=timeout_s)).data)
        method, parameters = message.get("method"), message.get("params", {})
        if method == "Network.webSocketFrameReceived":
            frame = parameters["response"]
            data = frame["payloadData"]
            text = data if frame["opcode"] == 1 else base64.b64decode(data).decode("utf-8", "replace")
            self.received += text
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(parameters["exceptionDetails"])[:500])
        elif method == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            self.complaints.append(f"{parameters['entry']['text']} {parameters['entry'].get('url', '')}")
        return message

    async def wait_for(self, text: str, timeout_s: float = 60) -> float:
        """Wait until *text* came over a WebSocket, and return how long that took in seconds."""
        began = time.monotonic()
        while text not in self.received:
            left = began + timeout_s - time.monotonic()
            try:
                await self._next(max(left, 0.01))
            except TimeoutError:
                pytest.fail(f"{text!r} did not come; the end of what came: {self.received[-2000:]!r}")
        return time.monotonic() - began

    async def key(self, key: str) -> None:
        """Press a key; a letter is typed."""
        named = {"Enter": ("Enter", 13, "\r"), "Escape": ("Escape", 27, "")}
        code, number, text = named.get(key, (f"Key{key.upper()}", ord(key.upper()[0]), key))
        for kind in ("keyDown", "keyUp"):
            typed = {"text": text} if text and kind == "keyDown" else {}
            await self.call(
                "Input.dispatchKeyEvent", type=kind, key=key, code=code, windowsVirtualKeyCode=number, **typed
            )

    async def click(self, x: int, y: int) -> None:
        """Click: a page that was never touched has no keyboard."""
        await self.call("Page.bringToFront")
        for kind in ("mousePressed", "mouseReleased"):
            await self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    async def picture(self, path: Path) -> None:
        """Take a picture of the page."""
        shot = await self.call("Page.captureScreenshot", format="png")
        await asyncio.to_thread(path.write_bytes, base64.b64decode(shot["data"]))

    async def evaluate(self, expression: str) -> Any:
        """Return the value of a JavaScript expression."""
        return (await self.call("Runtime.evaluate", expression=expression, returnByValue=True))["result"].get("value")

    async def be_a_phone(self) -> None:
        """Have the size and the name of a phone from the next page on."""
        name = (
            "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Mobile Safari/537.36"
        )
        await self.call("Emulation.setUserAgentOverride", userAgent=name)
        await self.call("Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=1, mobile=True)

    async def text(self) -> str:
        """Return what a reader sees."""
        return str(await self.evaluate("document.body.innerText"))

    async def press(self, words: str, expected: str) -> str:
        """Click the link or button that says *words*, and return what is seen once *expected* is."""
        find = f"[...document.querySelectorAll('a,button')].find(e => e.textContent.trim() === {json.dumps(words)})"
        where = "(e => {e.scrollIntoView({block: 'center'}); const r = e.getBoundingClientRect();"
        x, y = await self.evaluate(f"{where} return [r.x + r.width / 2, r.y + r.height / 2]}})({find})")
        await self.click(int(x), int(y))
        return await self.until_seen(expected)

    async def until_seen(self, expected: str) -> str:
        """Return what a reader sees, once *expected* is part of it."""
        for _ in range(200):
            text = await self.text()
            if expected in text:
                return text
            await asyncio.sleep(0.1)
        raise AssertionError(f"{expected!r} is not seen: {text}")
