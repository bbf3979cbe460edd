"""Frames, fields and arithmetic without sockets: laws, and what must be refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from apex_cli.core.model.instrument import make_instrument
from apex_cli.core.model.money import ZERO
from apex_cli.gateway.accounts import balance_of, take_execution
from apex_cli.gateway.contracts import Contract, Listings
from apex_cli.gateway.faults import Action, Fault, Faults
from apex_cli.gateway.framing import GREETING, MAX_FRAME, ProtocolError, Reader, Splitter, frame, text_of
from apex_cli.gateway.market_data import parse_bar_size, parse_duration
from apex_cli.gateway.messages import read_wire_time
from apex_cli.gateway.policy import Policy
from apex_cli.gateway.rows import ExecutionRow, PositionRow
from apex_cli.gateway.serve import answer_line, require_loopback
from apex_cli.gateway.terms import read_placement

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)


@settings(deadline=None)
@given(st.lists(st.lists(texts, min_size=1), max_size=5), st.integers(1, 7))
def test_messages_survive_any_cutting_of_the_stream(messages: list[list[str]], step: int) -> None:
    stream = b"".join(frame(message) for message in messages)
    splitter, found = Splitter(), []
    for start in range(0, len(stream), step):
        splitter.feed(stream[start : start + step])
        found += list(splitter.messages())
    assert found == messages


@settings(deadline=None)
@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**9), max_value=10**9))
def test_a_number_is_read_as_it_was_written(number: Decimal) -> None:
    assert Reader([text_of(number)]).decimal() == number


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1", b"API\0\0\0\0\x04v1.x", b"API\0\0\0\0\x02ab", b"API\0\0\0\0\x03v\xc2\xb2"]
)
def test_a_stranger_is_turned_away(data: bytes) -> None:
    splitter = Splitter()
    splitter.feed(data)
    with pytest.raises(ProtocolError):
        splitter.greeting()


def test_half_a_greeting_waits_for_the_rest() -> None:
    splitter = Splitter()
    splitter.feed(GREETING[:2])
    assert splitter.greeting() is None
    splitter.feed(GREETING[2:] + b"\0\0\0\x09v157")
    assert splitter.greeting() is None
    splitter.feed(b"..176")
    versions = splitter.greeting()
    assert versions is not None
    assert versions.highest == 176


def test_a_frame_without_end_is_refused() -> None:
    splitter = Splitter()
    splitter.feed((MAX_FRAME + 1).to_bytes(4, "big"))
    with pytest.raises(ProtocolError):
        list(splitter.messages())


@pytest.mark.parametrize("fields", [["x"], ["7", "1", "AAPL", "BAG"], ["7"]])
def test_an_order_that_cannot_be_read_is_refused(fields: list[str]) -> None:
    with pytest.raises(ProtocolError):
        read_placement(Reader(fields + [""] * (12 if len(fields) > 2 else 0)))


@pytest.mark.parametrize("text", ["", "2147483647", "1.7976931348623157E308", "Infinity"])
def test_an_unset_number_is_none(text: str) -> None:
    assert Reader([text]).decimal() is None


def execution(side: str, shares: int, price: str, fee: str = "1") -> ExecutionRow:
    return ExecutionRow(
        exec_id="a.01",
        perm_id=1,
        client_id=7,
        order_id=1,
        contract=Contract(),
        key="AAPL",
        side=side,
        shares=Decimal(shares),
        price=Decimal(price),
        cumulative=ZERO,
        average_price=ZERO,
        order_ref="",
        commission=Decimal(fee),
        at=NOW,
    )


FLAT = PositionRow(contract=Contract(), instrument=make_instrument("AAPL"), quantity=ZERO, average_cost=ZERO)
trades = st.lists(
    st.tuples(st.sampled_from(["BOT", "SLD"]), st.integers(1, 50), st.integers(1, 100)), min_size=1, max_size=12
)


@settings(deadline=None)
@given(trades)
def test_profit_of_closed_and_open_parts_is_the_cash_that_came_and_what_is_held(
    rows: list[tuple[str, int, int]],
) -> None:
    held: PositionRow | None = None
    cash = ZERO
    for side, shares, price in rows:
        done = execution(side, shares, str(price))
        held, _ = take_execution(held, done, FLAT, with_commission=True)
        cash += (done.shares * done.price) * (-1 if side == "BOT" else 1) - done.commission
    assert held is not None
    last = Decimal(rows[-1][2])
    value = held.quantity * last
    unrealized = value - held.quantity * held.average_cost
    assert abs(cash + value - (held.realized + unrealized)) < Decimal("1e-15")


def test_a_margin_account_has_twice_its_equity_to_spend() -> None:
    balance = balance_of(cash=Decimal(1000), positions=(), prices={}, unsettled=ZERO, is_margin=True, policy=Policy())
    assert balance.buying_power == 2000
    cash = balance_of(cash=Decimal(1000), positions=(), prices={}, unsettled=ZERO, is_margin=False, policy=Policy())
    assert cash.buying_power == 1000


def test_faults_strike_who_and_when_they_are_meant_for() -> None:
    faults = Faults()
    faults.add(Fault(action=Action.SWALLOW, message="placeOrder", client_id=7, order_ref="S1", after=1, times=2))
    struck = [
        faults.strike(name, client, ref) is not None
        for name, client, ref in [
            ("PLACE_ORDER", 7, "x-S1"),
            ("placeOrder", 8, "x-S1"),
            ("placeOrder", 7, "x-E"),
            ("placeOrder", 7, "y-S1"),
            ("placeOrder", 7, "y-S1"),
            ("placeOrder", 7, "y-S1"),
        ]
    ]
    assert struck == [False, False, False, True, True, False]


def test_questions_about_history_are_read() -> None:
    assert parse_duration("2 W") == timedelta(weeks=2)
    for text in ("two weeks", "\u00b2 W", f"{'9' * 20} D", "-1 D", ""):
        assert parse_duration(text) is None
    assert parse_bar_size("5 mins") == timedelta(minutes=5)
    assert parse_bar_size("1 fortnight") is None
    assert read_wire_time("20260302-21:00:00") == datetime(2026, 3, 2, 21, tzinfo=UTC)
    assert read_wire_time("20260302 16:00:00") == datetime(2026, 3, 2, 21, tzinfo=UTC)
    assert read_wire_time("20260302 16:00:00 America/Chicago") == datetime(2026, 3, 2, 22, tzinfo=UTC)
    assert read_wire_time("20260302 16:00:00 Etc/GMT+5") == datetime(2026, 3, 2, 21, tzinfo=UTC)
    assert read_wire_time("20260702 16:00:00 EST5EDT") == datetime(2026, 7, 2, 20, tzinfo=UTC)
    for text in ("", "yesterday", "20260302", "20260302 25:00:00", "20260230 16:00:00", "20260302 16:00:00 Moon/Base"):
        assert read_wire_time(text) is None


def test_every_price_band_has_its_step() -> None:
    listing = Listings(["AAPL"]).find(Contract(symbol="AAPL", sec_type="STK"))
    assert listing is not None
    assert [listing.is_on_tick(Decimal(text)) for text in ("0.1234", "0.12345", "10.01", "10.001")] == [
        True,
        False,
        True,
        False,
    ]


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.4", "example.com", "::"])  # noqa: S104 - these are refused
def test_only_this_machine_may_connect(host: str) -> None:
    from apex_cli.core.errors import InputError

    with pytest.raises(InputError):
        require_loopback(host)
    require_loopback("127.0.0.1")
    require_loopback("localhost")


@pytest.mark.parametrize(
    "line",
    [
        b"junk",
        b"{}",
        b'{"do": "fill", "order_ref": "x", "quantity": "1"}',
        b'{"do": "price", "symbol": "AAPL", "price": "NaN"}',
        b'{"do": "price", "symbol": "AAPL", "price": "0"}',
        b'{"do": "price", "symbol": "AAPL", "price": "-1"}',
        b'{"do": "price", "symbol": "AAPL", "price": "1", "size": "-1"}',
        b'{"do": "cash", "amount": "NaN"}',
        b'{"do": "cash", "amount": "Infinity"}',
        b'{"do": "split", "symbol": "AAPL", "ratio": "0"}',
        b'{"do": "by_hand", "symbol": "AAPL", "action": "BUY", "quantity": "-5"}',
        b'{"do": "policy", "changes": ' + b'{"a": ' * 5000 + b"1" + b"}" * 5001,
    ],
)
def test_a_command_that_makes_no_sense_is_answered_with_why(line: bytes) -> None:
    from apex_cli.gateway.books import Books
    from apex_cli.gateway.desk import Desk
    from apex_cli.gateway.serve import Gateway

    gateway = Gateway(Desk(cash=Decimal(1)), account="DU1", now=lambda: NOW, books=Books())
    assert answer_line(gateway, b'{"do": "price", "symbol": "AAPL", "price": "190"}').ok
    answer = answer_line(gateway, line)
    assert not answer.ok
    assert answer.error
