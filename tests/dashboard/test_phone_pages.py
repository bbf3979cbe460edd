"""The pages for a phone: what they show, what they do, and who may ask for it."""

from __future__ import annotations

import asyncio
import html
import re
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
import pytest

pytest.importorskip("textual_serve")

from aiohttp import web
from busy_day import RigFeed, RigOperator, busy_rig

from apex_cli.dashboard.phone_pages import PhonePages
from apex_cli.dashboard.web_server import cookie_of, guard
from kit.rig import Rig

SECRET = "a-token-of-this-test"  # noqa: S105 - of a server that lives as long as the test
Talk = Callable[["Phone"], Awaitable[None]]


class Phone:
    """A browser that knows the token."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self.url = url
        name, value = cookie_of(url, SECRET)
        self.cookie = {"Cookie": f"{name}={value}"}

    async def get(self, path: str, **headers: str) -> tuple[int, str]:
        async with self._session.get(f"{self.url}/{path}", headers=self.cookie | headers) as answer:
            return answer.status, await answer.text()

    async def post(self, form: dict[str, str], **headers: str) -> tuple[int, str]:
        origin = {"Origin": self.url} | headers
        async with self._session.post(f"{self.url}/phone/do", data=form, headers=self.cookie | origin) as answer:
            return answer.status, await answer.text()

    async def ask(self, words: str) -> str:
        """Follow the link with *words* and return the nonce of the question."""
        _, page = await self.get("phone")
        links = {html.unescape(each) for each in re.findall(r'href="(phone/ask\?[^"]+)"', page)}
        (link,) = (link for link in links if words in link)
        status, question = await self.get(link)
        assert status == 200
        found = re.search(r'name="nonce" value="([^"]+)"', question)
        assert found is not None, question
        return found[1]


def talk(rig: Rig, story: Talk, *, can_act: bool = True) -> None:
    """Serve the pages of *rig* behind the guard, and play *story*."""

    async def played() -> None:
        app = web.Application()
        PhonePages(lambda: (RigFeed(rig), RigOperator(rig)), can_act=can_act).add_to(app)
        runner = web.AppRunner(app)
        port = _free_port()
        url = f"http://127.0.0.1:{port}"
        app.middlewares.append(guard(url, SECRET))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        try:
            async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
                await story(Phone(session, url))
        finally:
            await runner.cleanup()

    asyncio.run(played())


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def rig() -> Rig:
    return busy_rig()


def quantity(rig: Rig, symbol: str) -> Any:
    row = rig.state.positions.get(symbol)
    return row.position.quantity if row is not None else 0


def test_it_shows_what_is_held_and_what_waits_without_a_script(rig: Rig) -> None:
    async def story(phone: Phone) -> None:
        status, page = await phone.get("phone")
        assert status == 200
        assert all(f"<h3>{symbol}</h3>" in page for symbol in rig.state.positions)
        assert "Waits for an answer: 5" in page
        assert "1 position not fully protected" in page
        assert "<script" not in page
        assert 'name="viewport"' in page

    talk(rig, story)


def test_what_is_at_risk_has_a_page_of_its_own_also_for_who_may_only_read(rig: Rig) -> None:
    async def story(phone: Phone) -> None:
        _, first = await phone.get("phone")
        assert 'href="phone/risk"' in first
        status, page = await phone.get("phone/risk")
        assert status == 200
        assert "A gap of 10 % against all" in page
        assert "Open risk" in page
        assert "Not counted in worst day" in page
        assert "<script" not in page

    talk(rig, story, can_act=False)


def test_half_is_closed_once_after_asking(rig: Rig) -> None:
    before = quantity(rig, "AMD")

    async def story(phone: Phone) -> None:
        nonce = await phone.ask("act=half&symbol=AMD")
        assert quantity(rig, "AMD") == before
        status, said = await phone.post({"nonce": nonce})
        assert (status, "AMD reduced" in said) == (200, True)
        left = quantity(rig, "AMD")
        assert 0 < left < before
        _, said = await phone.post({"nonce": nonce})
        assert "answered already" in said
        assert quantity(rig, "AMD") == left
        _, said = await phone.post({"nonce": await phone.ask("act=close&symbol=AMD")})
        assert "AMD closed" in said

    talk(rig, story)


def test_approvals_are_answered_and_trading_is_halted(rig: Rig) -> None:
    async def story(phone: Phone) -> None:
        names = {a.opportunity.signal.symbol: a.approval_id for a in rig.desk.pending()}
        _, said = await phone.post({"nonce": await phone.ask(f"act=approve&approval={names['BAC']}"), "typed": "7"})
        assert "executed" in said
        assert quantity(rig, "BAC") == 7
        _, said = await phone.post({"nonce": await phone.ask(f"act=reject&approval={names['CAT']}"), "typed": "<b>no"})
        assert "rejected" in said
        assert "<b>no" not in said
        _, said = await phone.post({"nonce": await phone.ask("mode=HALTED"), "typed": "news"})
        assert "HALTED" in said
        assert (rig.state.trading.mode, rig.state.trading.reason) == ("HALTED", "news")
        _, said = await phone.get("phone/ask?act=approve&approval=nobody")
        assert "nobody" in said

    talk(rig, story)


def test_nothing_is_done_for_another_page_or_without_the_token(rig: Rig) -> None:
    async def story(phone: Phone) -> None:
        nonce = await phone.ask("mode=HALTED")
        for headers in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {"Cookie": "x=y"}):
            status, _ = await phone.post({"nonce": nonce}, **headers)
            assert status == 403
        async with (
            aiohttp.ClientSession() as stranger,
            stranger.post(f"{phone.url}/phone/do", data={"nonce": nonce}, headers=phone.cookie) as answer,
        ):
            assert answer.status == 403  # no origin at all
        status, _ = await phone.get("phone", Host="evil.example")
        assert status == 403
        for form in ({}, {"nonce": ""}, {"nonce": "x" * 500}):
            _, said = await phone.post(form)
            assert "Nothing was changed" in said
        assert rig.state.trading.mode == "ACTIVE"

    talk(rig, story)


def test_a_server_that_only_shows_offers_nothing_and_does_nothing(rig: Rig) -> None:
    async def story(phone: Phone) -> None:
        _, page = await phone.get("phone")
        assert "phone/ask" not in page
        assert (await phone.get("phone/ask?act=mode&mode=HALTED"))[0] == 403
        assert (await phone.post({"nonce": "1"}))[0] == 403
        assert rig.state.trading.mode == "ACTIVE"

    talk(rig, story, can_act=False)
