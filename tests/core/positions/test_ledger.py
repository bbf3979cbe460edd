from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from apex_cli.core.model.currency import Rate
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.instrument import Instrument, MarketType, make_instrument
from apex_cli.core.model.money import Price, Quantity, Usd
from apex_cli.core.model.order import OrderRole
from apex_cli.core.model.position import Position, RoundTrip, profit, profit_pct
from apex_cli.core.model.records import BracketRecord
from apex_cli.core.model.side import OrderSide, PositionSide
from apex_cli.core.positions.ledger import apply_fill, fold, in_order

D = Decimal
T0 = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
AAPL = make_instrument("AAPL")


def fill(  # noqa: PLR0917 - a row of a table of fills
    side: str,
    quantity: str | int,
    price: str | int,
    exec_id: str = "1.01",
    minute: int = 0,
    commission: str = "0",
    role: OrderRole | None = None,
    bracket_id: str = "",
    instrument: Instrument = AAPL,
) -> Fill:
    return Fill(
        exec_id=exec_id,
        bracket_id=bracket_id,
        role=role,
        instrument=instrument,
        side=OrderSide.BUY if side == "B" else OrderSide.SELL,
        quantity=Quantity(D(quantity)),
        price=Price(D(price)),
        commission=Usd(D(commission)),
        filled_at=T0 + timedelta(minutes=minute),
    )


def closed(*fills: Fill) -> RoundTrip:
    folded = fold(None, fills)
    assert folded.position is None
    (round_trip,) = folded.round_trips
    return round_trip


def held(*fills: Fill) -> Position:
    position = fold(None, fills).position
    assert position is not None
    return position


def test_an_opening_fill_makes_a_position() -> None:
    position = held(fill("B", 3, 50, "a.01", commission="0.35", role=OrderRole.ENTRY, bracket_id="X"))
    assert (position.side, position.quantity, position.entry_price) == (PositionSide.LONG, D(3), D(50))
    assert (position.bracket_id, position.first_fill_key, position.commission) == ("X", "a", D("0.35"))


def test_adding_averages_the_cost() -> None:
    position = held(fill("B", 3, 50, "a"), fill("B", 1, 54, "b", 1))
    assert (position.quantity, position.entry_price, position.opened_value) == (D(4), D(51), D(204))


def test_reducing_realises_and_keeps_the_average_cost() -> None:
    position = held(fill("B", 4, 50, "a"), fill("S", 1, 53, "b", 1))
    assert (position.quantity, position.entry_price, position.realized_pnl) == (D(3), D(50), D(3))
    assert (position.closed_quantity, position.closed_value) == (D(1), D(53))


def test_adding_after_reducing_averages_over_what_is_held() -> None:
    position = held(fill("B", 4, 50, "a"), fill("S", 2, 60, "b", 1), fill("B", 2, 60, "c", 2))
    assert (position.quantity, position.entry_price) == (D(4), D(55))
    trip = closed(fill("B", 4, 50, "a"), fill("S", 2, 60, "b", 1), fill("B", 2, 60, "c", 2), fill("S", 4, 55, "d", 3))
    assert (trip.pnl, trip.quantity) == (D(20), D(6))


def test_a_long_round_trip_earns_when_the_price_rises() -> None:
    trip = closed(
        fill("B", 3, 50, "0001.01", commission="0.35"), fill("S", 3, 52, "0002.01", 5, "0.35", OrderRole.TARGET)
    )
    assert (trip.round_trip_id, trip.side, trip.quantity) == ("0001", PositionSide.LONG, D(3))
    assert (trip.entry_price, trip.exit_price, trip.pnl, trip.pnl_pct) == (D(50), D(52), D(6), D(4))
    assert (trip.commission, trip.net_pnl) == (D("0.70"), D("5.30"))
    assert (trip.entry_time, trip.exit_time) == (T0, T0 + timedelta(minutes=5))


def test_a_short_round_trip_earns_when_the_price_falls() -> None:
    trip = closed(fill("S", 2, 50, "a"), fill("B", 2, 48, "b", 1))
    assert (trip.side, trip.pnl, trip.pnl_pct) == (PositionSide.SHORT, D(4), D(4))


def test_an_option_counts_its_multiplier() -> None:
    option = make_instrument("AAPL", MarketType.OPTIONS)
    trip = closed(fill("B", 1, "1.20", "a", instrument=option), fill("S", 1, "1.50", "b", 1, instrument=option))
    assert (trip.pnl, trip.pnl_pct) == (D("30.00"), D(25))


@pytest.mark.parametrize(
    ("role", "reason"),
    [
        (OrderRole.STOP, "stop"),
        (OrderRole.TARGET, "target"),
        (OrderRole.CLOSE, "manual"),
        (OrderRole.ENTRY, "outside"),
        (None, "outside"),
    ],
)
def test_the_closing_order_gives_the_exit_reason(role: OrderRole | None, reason: str) -> None:
    assert closed(fill("B", 1, 50, "a"), fill("S", 1, 51, "b", 1, role=role)).exit_reason == reason


def test_going_through_zero_closes_one_holding_and_opens_the_next() -> None:
    folded = fold(None, [fill("B", 3, 50, "a"), fill("S", 5, 52, "b", 1, "1.00", OrderRole.STOP, "X")])
    (trip,) = folded.round_trips
    position = folded.position
    assert position is not None
    assert (trip.pnl, trip.commission, trip.quantity) == (D(6), D("0.6"), D(3))
    assert (position.side, position.quantity, position.commission) == (PositionSide.SHORT, D(2), D("0.4"))
    assert (position.entry_price, position.first_fill_key, position.bracket_id) == (D(52), "b", "")


def test_a_plan_gives_origin_and_initial_risk() -> None:
    plan = BracketRecord(
        bracket_id="X",
        signal_id="sig",
        strategy="breakout",
        instrument=AAPL,
        side=OrderSide.BUY,
        quantity=Quantity(D(3)),
        entry_price=Price(D(50)),
        stop_price=Price(D(48)),
        risk_per_unit=Usd(D(2)),
        created_at=T0,
    )
    fills = [fill("B", 3, 50, "a", role=OrderRole.ENTRY, bracket_id="X"), fill("S", 3, 54, "b", 1)]
    (trip,) = fold(None, fills, {"X": plan}).round_trips
    assert (trip.signal_id, trip.strategy, trip.initial_risk, trip.r_multiple) == ("sig", "breakout", D(6), D(2))
    (unplanned,) = fold(None, fills).round_trips
    assert (unplanned.signal_id, unplanned.initial_risk, unplanned.r_multiple) == ("", None, None)


def test_the_highest_correction_counts() -> None:
    fills = [fill("B", 3, 50, "0a.b1.02"), fill("B", 2, 50, "0a.b1.01"), fill("B", 2, 50, "0a.b1.01")]
    assert held(*fills).quantity == 3
    assert held(*reversed(fills)).quantity == 3


def test_a_redelivery_that_knows_its_commission_replaces_one_that_does_not() -> None:
    fills = [fill("B", 3, 50, "a.01"), fill("B", 3, 50, "a.01", commission="0.35")]
    assert held(*fills).commission == D("0.35")
    assert held(*reversed(fills)).commission == D("0.35")


def test_executions_of_one_moment_go_by_their_key() -> None:
    assert [f.exec_id for f in in_order([fill("S", 1, 1, "b"), fill("B", 1, 1, "a")])] == ["a", "b"]


def test_an_execution_that_is_taken_back_was_never_there() -> None:
    bought, taken_back = fill("B", 200, 100), fill("B", 0, 100, exec_id="1.02")
    assert fold(None, [bought, taken_back]) == fold(None, [])
    assert fold(None, [bought, fill("B", 50, 90, exec_id="2.01", minute=1), taken_back]).position == held(
        fill("B", 50, 90, exec_id="2.01", minute=1)
    )


def test_a_fill_of_another_instrument_is_refused() -> None:
    with pytest.raises(ValueError, match="fill b is of MSFT, the position of AAPL"):
        fold(None, [fill("B", 1, 50, "a"), fill("B", 1, 50, "b", 1, instrument=make_instrument("MSFT"))])


def test_a_finer_tick_does_not_make_another_instrument() -> None:
    finer = replace(AAPL, tick_size=D("0.0001"))
    assert held(fill("B", 1, 50, "a"), fill("B", 1, 50, "b", 1, instrument=finer)).quantity == 2


rows = st.lists(
    st.tuples(st.sampled_from("BS"), st.integers(1, 9), st.integers(100, 999), st.integers(0, 20), st.integers(0, 99)),
    min_size=1,
    max_size=14,
)


def made(table: list[tuple[str, int, int, int, int]]) -> list[Fill]:
    return [
        fill(side, quantity, str(D(cents) / 100), f"{number:03}.01", minute, str(D(fee) / 100))
        for number, (side, quantity, cents, minute, fee) in enumerate(table)
    ]


@given(rows, st.randoms(use_true_random=False))
def test_order_and_repetition_of_delivery_do_not_matter(
    table: list[tuple[str, int, int, int, int]], shuffler: random.Random
) -> None:
    fills = made(table)
    again = [*fills, *shuffler.choices(fills, k=len(fills)), *(replace(f, exec_id=f.key + ".00") for f in fills)]
    shuffler.shuffle(again)
    assert fold(None, again) == fold(None, fills)


@given(rows, st.integers(0, 14))
def test_one_by_one_gives_what_folding_gives_wherever_it_is_cut(
    table: list[tuple[str, int, int, int, int]], cut: int
) -> None:
    fills = in_order(made(table))
    position: Position | None = None
    trips: list[RoundTrip] = []
    for each in fills:
        position, ended = apply_fill(position, each)
        trips += ended
    whole = fold(None, fills)
    assert (position, tuple(trips)) == (whole.position, whole.round_trips)
    first = fold(None, fills[:cut])
    second = fold(first.position, fills[cut:])
    assert (second.position, first.round_trips + second.round_trips) == (whole.position, whole.round_trips)


@given(rows)
def test_quantity_cash_and_commission_are_conserved(table: list[tuple[str, int, int, int, int]]) -> None:
    fills = made(table)
    folded = fold(None, fills)
    net = sum((f.quantity * f.side.sign for f in fills), D(0))
    cash = sum((-f.quantity * f.side.sign * f.price for f in fills), D(0))
    position = folded.position
    value = position.quantity * position.side.sign * position.entry_price if position else D(0)
    assert (position.quantity * position.side.sign if position else 0) == net
    earned = sum((t.pnl for t in folded.round_trips), position.realized_pnl if position else D(0))
    assert abs(cash + value - earned) < D("1e-18")
    paid = sum((t.commission for t in folded.round_trips), position.commission if position else D(0))
    assert abs(paid - sum((f.commission for f in fills), D(0))) < D("1e-18")


@given(rows)
def test_a_round_trips_result_is_the_profit_over_its_mean_prices(table: list[tuple[str, int, int, int, int]]) -> None:
    for trip in fold(None, made(table)).round_trips:
        over_means = profit(trip.side, trip.entry_price, trip.exit_price, trip.quantity, D(1))
        assert abs(trip.pnl - over_means) < D("1e-18")
        assert abs(trip.pnl_pct - profit_pct(trip.side, trip.entry_price, trip.exit_price)) < D("1e-18")


class TestOtherCurrencies:
    """A EUR stock in a USD account: each part earns by the rate at which it was closed."""

    SAP = replace(AAPL, symbol="SAP", currency="EUR")

    def rated(self, side: str, quantity: int, price: int, number: int, rate: str, **more: str) -> Fill:
        made = fill(side, quantity, price, exec_id=f"{number}.01", minute=number, instrument=self.SAP)
        return replace(
            made,
            rate=Rate(currency="EUR", value=D(rate), source="broker"),
            commission=Usd(D(more.get("commission", "0"))),
            commission_currency=more.get("charged_in", ""),
            commission_rate=D(more["charged_rate"]) if "charged_rate" in more else None,
        )

    def test_two_closings_at_two_rates(self) -> None:
        trip = closed(
            self.rated("B", 10, 100, 1, "1.10"), self.rated("S", 4, 110, 2, "1.20"), self.rated("S", 6, 90, 3, "1.00")
        )
        # 4 * 10 EUR * 1.20 - 6 * 10 EUR * 1.00
        assert (trip.pnl, trip.quote_pnl) == (D(-12), D(-20))
        assert trip.rate is not None
        assert trip.rate.value == D("1.00")

    def test_more_bought_after_a_part_was_sold(self) -> None:
        trip = closed(
            self.rated("B", 10, 100, 1, "1.10"),
            self.rated("S", 5, 110, 2, "1.20"),
            self.rated("B", 5, 120, 3, "1.15"),
            self.rated("S", 10, 130, 4, "1.30"),
        )
        # 5 * 10 EUR * 1.20 + (5 * 30 + 5 * 10) EUR * 1.30
        assert (trip.pnl, trip.quote_pnl) == (D(320), D(250))

    def test_through_zero(self) -> None:
        folded = fold(None, [self.rated("B", 10, 100, 1, "1.10"), self.rated("S", 15, 110, 2, "1.20")])
        (trip,) = folded.round_trips
        assert (trip.pnl, folded.position.quantity if folded.position else None) == (D(120), 5)

    def test_commissions_of_two_currencies_add_up_in_the_account_s(self) -> None:
        trip = closed(
            self.rated("B", 10, 100, 1, "1.10", commission="2", charged_in="EUR", charged_rate="1.10"),
            self.rated("S", 10, 110, 2, "1.20", commission="3"),
        )
        assert (trip.commission, trip.net_pnl) == (D("5.20"), D("114.80"))

    def test_a_pair_that_is_its_own_rate_earns_by_the_price_of_its_exit(self) -> None:
        pair = make_instrument("USD.JPY", MarketType.FOREX)
        yen = Rate(currency="JPY", value=D(1) / 150, source="USD.JPY itself", is_own=True)
        trip = closed(
            replace(fill("B", 1000, 150, exec_id="1.01", minute=1, instrument=pair), rate=yen),
            replace(fill("S", 1000, 153, exec_id="2.01", minute=2, instrument=pair), rate=yen.at_price(D(153))),
        )
        assert round(trip.pnl, 2) == D("19.61")
