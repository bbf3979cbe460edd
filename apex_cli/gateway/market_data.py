"""Quotes and historical bars that clients ask for, and how they are answered."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from apex_cli.core.model.market import Bar
from apex_cli.gateway import messages
from apex_cli.gateway.contracts import read_contract
from apex_cli.gateway.framing import Reader
from apex_cli.gateway.messages import INVALID, NO_DEFINITION, Message, ends
from apex_cli.gateway.quotes import DataType, TickRequest, data_type_for, tick_messages
from apex_cli.gateway.session import Session

UNITS = {
    "S": timedelta(seconds=1),
    "D": timedelta(days=1),
    "W": timedelta(weeks=1),
    "M": timedelta(days=31),
    "Y": timedelta(days=366),
}
SIZES = {
    "sec": timedelta(seconds=1),
    "min": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
}
LONGEST = timedelta(days=36_600)
BORROW = "236"
"""Generic tick that asks what can be borrowed."""

SHORTEST_DAY = timedelta(hours=3)
"""A bar of at least this span is a daily one: half sessions have 3.5 hours."""


def parse_duration(text: str) -> timedelta | None:
    """Return the span of ``5 D``, ``1 W``, ``2 M``, ``1 Y``, ``3600 S``; None for anything else.

    >>> parse_duration("5 D")
    datetime.timedelta(days=5)
    """
    return _times(text, UNITS)


def parse_bar_size(text: str) -> timedelta | None:
    """Return the length of ``1 day``, ``5 mins``, ``1 hour``; None for anything else."""
    return _times(text.removesuffix("s"), SIZES)


def _times(text: str, units: Mapping[str, timedelta]) -> timedelta | None:
    """Return a number of units as a span; None for no such number, one of over a century, or another unit."""
    count, _, unit = text.partition(" ")
    if unit not in units or not count.isdecimal() or not count.isascii():
        return None
    return int(count) * units[unit] if int(count) <= LONGEST / units[unit] else None


def is_daily(bar: Bar) -> bool:
    """Return whether *bar* is a daily one."""
    return bar.end - bar.start >= SHORTEST_DAY


def select(bars: Sequence[Bar], *, end: datetime, span: timedelta, size: timedelta) -> list[Bar]:
    """Return the bars of length *size* in the *span* before *end*: whole days count as sessions."""
    wants_daily = size >= UNITS["D"]
    fitting = [
        bar for bar in bars if bar.end <= end and (is_daily(bar) if wants_daily else bar.end - bar.start == size)
    ]
    if wants_daily and span < UNITS["W"]:
        return fitting[-span.days :] if span.days else []
    return [bar for bar in fitting if bar.end > end - span]


def set_market_data_type(session: Session, fields: Reader) -> None:
    """Remember whether delayed quotes will do."""
    session.market_data_type = fields.integer()


def market_data(session: Session, number: int, fields: Reader) -> None:
    """Start quotes, or one snapshot of them."""
    contract = read_contract(fields)
    if fields.flag():
        fields.skip(3)
    wanted = fields.text()
    is_snapshot = fields.flag()
    policy = session.gateway.desk.policy
    listing = session.gateway.desk.listings.find(contract)
    if listing is None:
        session.send(messages.error(number, 200, NO_DEFINITION))
        return
    data_type = data_type_for(session.market_data_type, policy)
    if data_type is None:
        text = "Requested market data is not subscribed. Delayed market data is available."
        session.send(messages.error(number, 354, text))
        return
    if data_type is DataType.DELAYED:
        text = "Requested market data is not subscribed. Displaying delayed market data."
        session.send(messages.error(number, 10167, text))
    session.send([Message.MARKET_DATA_TYPE, 1, number, data_type])
    session.gateway.price_option(listing)
    key = listing.instrument.key
    request = TickRequest(
        request_id=number,
        key=key,
        data_type=data_type,
        is_snapshot=is_snapshot,
        wants_borrow=BORROW in wanted.split(","),
    )
    session.ticks[number] = request
    quoted = session.gateway.quotes.get(key)
    if quoted is not None:
        for tick in tick_messages(request, quoted):
            session.send(tick)
    session.send_standing(request)
    if is_snapshot:
        _end_snapshot_after(session, number, policy.snapshot_seconds)


def _end_snapshot_after(session: Session, number: int, seconds: float) -> None:
    def end() -> None:
        if session.ticks.pop(number, None) is not None:
            session.send(ends(Message.TICK_SNAPSHOT_END, number))

    if seconds:
        asyncio.get_running_loop().call_later(seconds, end)
    else:
        end()


def cancel_market_data(session: Session, number: int, _: Reader) -> None:
    """End quotes."""
    session.ticks.pop(number, None)


def historical_data(session: Session, number: int, fields: Reader) -> None:
    """Answer with bars; a question without an end means up to the newest bar there is."""
    contract = read_contract(fields)
    fields.skip(1)
    end_text, size_text, span_text = fields.text(), fields.text(), fields.text()
    gateway = session.gateway
    listing = gateway.desk.listings.find(contract)
    known = gateway.history(listing) if listing else ()
    newest = known[-1].end if known else gateway.now()
    end = messages.read_wire_time(end_text) if end_text else newest
    size, span = parse_bar_size(size_text), parse_duration(span_text)
    if listing is None:
        session.send(messages.error(number, 200, NO_DEFINITION))
        return
    if end is None or size is None or span is None:
        session.send(messages.error(number, 321, f"{INVALID}Invalid date, bar size or duration"))
        return
    bars = select(known, end=end, span=span, size=size)
    if not bars:
        text = "Historical Market Data Service error message:HMDS query returned no data"
        session.send(messages.error(number, 162, text))
        return
    zone = gateway.desk.policy.time_zone
    session.send(messages.historical_data(number, bars, is_daily=is_daily(bars[0]), zone=zone))
