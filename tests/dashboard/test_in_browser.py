"""The served dashboard in a real browser: a position that another process opens, an approval by key, a foreign page."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from real_browser import Browser, find_browser

from apex_cli.dashboard.web_server import cookie_of

BROWSER = find_browser()
pytestmark = [
    pytest.mark.skipif(BROWSER is None, reason="no browser of the Chromium family is installed"),
    pytest.mark.skipif("BROWSER_TESTS" not in os.environ, reason="half a minute; set BROWSER_TESTS=1"),
]

SIGNAL = {
    "symbol": "KO",
    "signal_type": "BUY",
    "entry_price": 50,
    "stop_loss": 48,
    "target_price": 56,
    "confidence": 0.99,
    "signal_id": "from-another-process",
    "timestamp": "2004-02-26T15:50:00-05:00",
    "expires_at": "2004-03-01T15:50:00-05:00",
}


def apex(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "apex_cli", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    folder = tmp_path / "demo"
    assert apex(tmp_path, "init", str(folder), "--demo").returncode == 0
    (folder / "bars" / "KO.csv").write_text("Date,Open,High,Low,Close\n2004-02-26,50,50,50,50\n")
    assert apex(folder, "run", "--once").returncode == 0
    return folder


@pytest.fixture
def served(demo: Path) -> Iterator[str]:
    """Serve the demo with control, and return the address with its token."""
    process = subprocess.Popen(
        [sys.executable, "-m", "apex_cli", "dashboard", "--serve", "--control", "--port", str(free_port())],
        cwd=demo,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": ""},
    )
    assert process.stderr is not None
    found = re.search(r"http://\S+", process.stderr.readline())
    assert found is not None
    yield found.group()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)


async def _is_up(url: str) -> None:
    for _ in range(300):
        try:
            async with aiohttp.ClientSession() as session, session.get(url, allow_redirects=False):
                return
        except aiohttp.ClientConnectionError:
            await asyncio.sleep(0.1)
    raise AssertionError("it is not served")


def test_another_process_opens_a_position_and_a_key_approves(demo: Path, served: str, tmp_path: Path) -> None:
    async def story() -> tuple[float, float]:
        await _is_up(served)
        assert BROWSER is not None
        with Browser(BROWSER) as browser:
            async with browser.page(served) as page:
                await page.wait_for("2 Approvals 1")
                await page.wait_for("AAPL")
                page.received = ""
                (demo / "more.json").write_text(json.dumps([SIGNAL]))
                ran = await asyncio.to_thread(apex, demo, "run", "--once", "--auto", "--signals", "more.json", "--json")
                assert json.loads(ran.stdout)["data"]["signals"][0]["outcome"] == "executed", ran.stdout
                until_shown = await page.wait_for("1 Positions 3")
                await page.picture(tmp_path / "opened.png")
                await page.click(700, 10)
                page.received = ""
                await page.key("a")
                await page.wait_for("limited by")
                await page.picture(tmp_path / "asked.png")
                page.received = ""
                await page.key("Enter")
                until_done = await page.wait_for("1 Positions 4")
                await page.picture(tmp_path / "done.png")
                for key, expected in (
                    ("1", ""),
                    ("Enter", "Each asks first"),
                    ("h", "Close half of AAPL?"),
                    ("Enter", "reduced"),
                ):
                    page.received = ""
                    await page.key(key)
                    await page.wait_for(expected)
                await page.picture(tmp_path / "reduced.png")
                assert page.complaints == []
                return until_shown, until_done

    print("shown, approved after", asyncio.run(story()), "s;", tmp_path)
    (story_of_ibm,) = json.loads(apex(demo, "explain", "demo-3-ibm-short", "--json").stdout)["data"]["stories"]
    assert story_of_ibm["approvals"][-1]["status"] == "executed"


def test_a_phone_approves_closes_half_and_halts_by_touch_and_key(demo: Path, served: str, tmp_path: Path) -> None:
    async def story() -> None:
        await _is_up(served)
        assert BROWSER is not None
        with Browser(BROWSER, size="390,844") as browser:
            async with browser.page("about:blank") as page:
                await page.be_a_phone()
                await page.call("Page.navigate", url=served)
                await page.until_seen("Waits for an answer: 1")
                assert await page.evaluate("document.documentElement.scrollWidth") == 390
                await page.picture(tmp_path / "phone.png")
                await page.press("Approve", "Value")
                await page.press("Approve", "executed")
                await page.press("Back", "Held: 3")
                await page.press("Half", "Close half of AAPL?")
                await page.press("Close half", "AAPL reduced")
                await page.press("Back", "Held: 3")
                await page.press("Halt", "Set HALTED")
                await page.evaluate("document.querySelector('button').focus()")
                await page.key("Enter")
                await page.until_seen("Trading is HALTED, was ACTIVE.")
                assert page.complaints == []

    asyncio.run(story())
    positions = json.loads(apex(demo, "positions", "--json").stdout)["data"]["positions"]
    assert {row["symbol"]: row["quantity"] for row in positions} == {"AAPL": 3, "IBM": 1, "MSFT": 5}


def test_no_page_but_its_own_and_nobody_without_the_token_gets_in(served: str) -> None:
    async def story() -> list[int]:
        await _is_up(served)
        plain, _, token = served.partition("?token=")
        found = []
        cookie = "=".join(cookie_of(plain.rstrip("/"), token))
        tries = (
            {},
            {"Host": "evil.example"},
            {"Cookie": cookie, "Origin": "http://evil.example"},
            {"Cookie": cookie},
        )
        async with aiohttp.ClientSession() as session:
            for headers in tries:
                async with session.get(plain, headers=headers) as answer:
                    found.append(answer.status)
            for headers in tries:
                try:
                    async with session.ws_connect(f"{plain}ws", headers=headers):
                        found.append(101)
                except aiohttp.WSServerHandshakeError as error:
                    found.append(error.status)
        return found

    assert asyncio.run(story()) == [403, 403, 403, 200, 403, 403, 403, 403]


def test_the_report_renders_in_light_and_dark_and_prints(demo: Path, tmp_path: Path) -> None:
    assert apex(demo, "run", "--once", "--bars-until", "2004-03-12").returncode == 0
    assert apex(demo, "report", "--html", "report.html").returncode == 0

    async def story() -> list[Any]:
        assert BROWSER is not None
        found = []
        with Browser(BROWSER, size="1000,1800") as browser:
            async with browser.page((demo / "report.html").as_uri()) as page:
                for scheme in ("light", "dark"):
                    features = [{"name": "prefers-color-scheme", "value": scheme}]
                    await page.call("Emulation.setEmulatedMedia", features=features)
                    found.append(await page.evaluate("getComputedStyle(document.body).backgroundColor"))
                    await page.picture(tmp_path / f"{scheme}.png")
                found.append(await page.evaluate("document.querySelectorAll('svg').length"))
                found.append(await page.evaluate("document.documentElement.scrollWidth <= innerWidth"))
                assert len((await page.call("Page.printToPDF"))["data"]) > 10_000
                assert page.complaints == []
        return found

    assert asyncio.run(story()) == ["rgb(255, 255, 255)", "rgb(20, 23, 26)", 7, True]
