"""Options that ended at the broker: every way it can show, and what is no end."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from apex_cli.core.model.broker_events import BrokerSnapshot
from apex_cli.core.model.fill import Fill, Settlement
from apex_cli.core.model.instrument import Instrument
from apex_cli.core.model.money import Price, Quantity
from apex_cli.core.model.position import Position
from apex_cli.core.model.side import OrderSide, PositionSide
from apex_cli.core.model.spelling import canonical
from apex_cli.core.reconciliation.settlements import ended_contracts, without_settled

D = Decimal
NEW_YORK = ZoneInfo("America/New_York")
FRIDAY = datetime(2026, 12, 18, 16, tzinfo=NEW_YORK)
MONDAY = datetime(2026, 12, 21, 10, tzinfo=NEW_YORK)
TUESDAY_BEFORE = datetime(2026, 12, 15, 10, tzinfo=NEW_YORK)


def option(text: str) -> Instrument:
    """Return ``C200`` of AAPL, expiring on Friday, or another contract in full."""
    return canonical(f"AAPL 2026-12-18 {text[1:]} {text[0]}" if " " not in text else text)


def holding(**contracts: int) -> dict[str, Position]:
    return {key: held(option(name), quantity) for name, quantity in contracts.items() for key in [option(name).key]}


def held(instrument: Instrument, quantity: int) -> Position:
    size = Quantity(D(abs(quantity)))
    return Position(
        instrument=instrument,
        side=PositionSide.LONG if quantity > 0 else PositionSide.SHORT,
        quantity=size,
        entry_price=Price(D(3)),
        entry_time=TUESDAY_BEFORE,
        bracket_id="b",
        opened_quantity=size,
        opened_value=3 * size,
    )


def ended(
    ours: dict[str, Position], price: str | None = "206", *, now: datetime = MONDAY, **told: Any
) -> list[tuple[str, str, str, str]]:
    """Return security, side and quantity, price and word of each execution that is booked."""
    fills = told.pop("fills", ())
    positions = {name.replace("_", " "): Quantity(D(quantity)) for name, quantity in told.items()}
    reported = BrokerSnapshot(is_complete=True, positions=positions, foreign_fills=tuple(fills))
    prices = {} if price is None else {"AAPL": Price(D(price)), "SPX": Price(D(price))}
    found = ended_contracts(ours, reported, prices, now)
    booked = [each.correction.fill for each in found]
    assert all(fill is not None and fill.bracket_id == "b" for fill in booked)
    assert len({fill.exec_id for fill in booked if fill}) == len(booked)
    assert not any(each.is_locking for each in found)
    return [
        (fill.instrument.key, f"{fill.side} {fill.quantity}", f"{fill.price:f}", str(fill.settlement))
        for fill in booked
        if fill is not None
    ]


CALL, PUT = option("C200").key, option("P200").key


def test_one_out_of_the_money_has_expired() -> None:
    assert ended(holding(C200=2), "199") == [(CALL, "SELL 2", "0", "expired")]
    assert ended(holding(P200=-1), "206") == [(PUT, "BUY 1", "0", "expired")]


@pytest.mark.parametrize(
    ("name", "quantity", "price", "option_leg", "shares", "how"),
    [
        ("C200", 2, "206", ("SELL 2", "6"), ("BUY 200", "206"), "exercised"),
        ("P200", 1, "193.5", ("SELL 1", "6.5"), ("SELL 100", "193.5"), "exercised"),
        ("C200", -1, "206", ("BUY 1", "6"), ("SELL 100", "206"), "assigned"),
        ("P200", -3, "190", ("BUY 3", "10"), ("BUY 300", "190"), "assigned"),
    ],
)
def test_one_in_the_money_delivers_its_shares(  # noqa: PLR0917 - a row of the table
    name: str, quantity: int, price: str, option_leg: tuple[str, str], shares: tuple[str, str], how: str
) -> None:
    side, size = shares[0].split()
    moved = int(size) if side == "BUY" else -int(size)
    assert ended(holding(**{name: quantity}), price, AAPL=moved) == [
        (option(name).key, *option_leg, how),
        ("AAPL", *shares, how),
    ]


def test_without_a_price_both_legs_cost_the_strike_all_the_same() -> None:
    assert ended(holding(C200=1), None, AAPL=100) == [
        (CALL, "SELL 1", "0", "exercised"),
        ("AAPL", "BUY 100", "200", "exercised"),
    ]
    assert ended(holding(C200=1), None) == [(CALL, "SELL 1", "0", "expired")]


def test_shares_that_were_held_before_are_not_taken_for_delivered_ones() -> None:
    ours = {**holding(C200=1), "AAPL": held(canonical("AAPL"), 50)}
    assert ended(ours, "206", AAPL=150)[1] == ("AAPL", "BUY 100", "206", "exercised")
    assert ended(ours, "199", AAPL=50) == [(CALL, "SELL 1", "0", "expired")]


def test_a_price_of_after_the_close_decides_nothing() -> None:
    """On Monday it stands at 206, on Friday it closed below 200: no shares came."""
    assert ended(holding(C200=1), "206") == [(CALL, "SELL 1", "0", "expired")]
    assert ended(holding(C200=1), "199", AAPL=100)[1] == ("AAPL", "BUY 100", "200", "exercised")


def test_the_legs_of_a_spread_end_together() -> None:
    spread = holding(C200=1, C205=-1)
    both = ["exercised", "exercised", "assigned", "assigned"]
    one = ["exercised", "exercised", "expired"]
    assert [row[3] for row in ended(spread, "210")] == both
    assert [row[3] for row in ended(spread, "203", AAPL=100)] == one
    assert [row[3] for row in ended(spread, None, AAPL=100)] == one


def test_an_early_assignment_shows_by_its_shares_alone() -> None:
    rows = ended(holding(P200=-1), "195", now=TUESDAY_BEFORE, AAPL=100)
    assert rows == [(PUT, "BUY 1", "5", "assigned"), ("AAPL", "BUY 100", "195", "assigned")]
    assert ended(holding(P200=-2), "195", now=TUESDAY_BEFORE, AAPL=100, **{PUT.replace(" ", "_"): -1}) == rows


def test_what_vanishes_before_its_time_without_shares_is_left_to_a_person() -> None:
    assert ended(holding(C200=1), "199", now=TUESDAY_BEFORE) == []
    assert ended(holding(C200=1), "199", AAPL=30) == []


def test_what_is_still_held_or_grew_has_not_ended() -> None:
    name = CALL.replace(" ", "_")
    assert ended(holding(C200=2), "206", **{name: 2}) == []
    assert ended(holding(C200=2), "206", **{name: 3}) == []
    assert ended(holding(C200=2), "206", **{name: -1}) == []


def test_a_sale_outside_apex_is_no_expiry() -> None:
    sale = Fill(
        exec_id="x.1",
        instrument=option("C200"),
        side=OrderSide.SELL,
        quantity=Quantity(D(2)),
        price=Price(D("3.2")),
        filled_at=FRIDAY,
    )
    assert ended(holding(C200=2), "199", fills=[sale]) == []
    assert ended(holding(C200=2), "199", fills=[replace(sale, price=Price(D(0)))]) == [(CALL, "SELL 2", "0", "expired")]


def test_stocks_and_adjusted_contracts_have_no_such_end() -> None:
    adjusted = replace(option("C200"), trading_class="AAPL1")
    assert ended({"AAPL": held(canonical("AAPL"), 50), adjusted.key: held(adjusted, 1)}) == []


def test_an_option_on_an_index_pays_cash() -> None:
    index = canonical("SPX 2026-12-11 6000 P")
    ours = {index.key: held(index, 1)}
    assert ended(ours, "5950") == [(index.key, "SELL 1", "50", "exercised")]
    assert ended(ours, "6050") == [(index.key, "SELL 1", "0", "expired")]
    assert ended(ours, None) == []


def test_executions_that_say_it_again_are_no_trades() -> None:
    def fill(text: str, side: OrderSide, quantity: int, price: str, how: Settlement | None = None) -> Fill:
        return Fill(
            exec_id=f"{text}{price}{how}.1",
            instrument=option(text) if text != "AAPL" else canonical("AAPL"),
            side=side,
            quantity=Quantity(D(quantity)),
            price=Price(D(price)),
            filled_at=FRIDAY,
            settlement=how,
        )

    booked = [
        fill("C200", OrderSide.SELL, 1, "6", Settlement.EXERCISED),
        fill("AAPL", OrderSide.BUY, 100, "206", Settlement.EXERCISED),
    ]
    again = [fill("C200", OrderSide.SELL, 1, "0"), fill("AAPL", OrderSide.BUY, 100, "200")]
    trades = [
        fill("C200", OrderSide.SELL, 1, "3"),
        fill("AAPL", OrderSide.BUY, 100, "207"),
        fill("AAPL", OrderSide.SELL, 100, "200"),
    ]
    assert without_settled([*again, *trades], booked) == tuple(trades)
