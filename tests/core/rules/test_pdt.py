from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apex_cli.core.model.account import AccountSnapshot
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.instrument import Instrument, MarketType, make_instrument
from apex_cli.core.model.limits import DayTradeLimits, DayTradeRegime
from apex_cli.core.model.money import Price, Quantity, Usd
from apex_cli.core.model.order import OrderSide
from apex_cli.core.model.outcome import DayTradeStatus
from apex_cli.core.rules.calendar import NEW_YORK
from apex_cli.core.rules.pdt import (
    DayTradeCount,
    count_day_trades,
    day_trade_status,
    gate_equity,
    start_positions,
    would_be_day_trade,
)

D = Decimal
AAPL = make_instrument("AAPL")
TUESDAY = "2026-11-24T10:00"


def new_york(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).astimezone(UTC)


def fills(
    sequence: str, *, at: str = TUESDAY, instrument: Instrument = AAPL, tied: bool = False, prefix: str = ""
) -> list[Fill]:
    """Return executions of ``B250 S100``, a minute apart unless tied."""
    return [
        Fill(
            exec_id=f"{prefix}{instrument.key}{at}{number:02}.01",
            instrument=instrument,
            side=OrderSide.BUY if word[0] == "B" else OrderSide.SELL,
            quantity=Quantity(D(word[1:])),
            price=Price(D(10)),
            filled_at=new_york(at) + timedelta(minutes=0 if tied else number),
        )
        for number, word in enumerate(sequence.split())
    ]


def count(rows: list[Fill], held: int = 0) -> int:
    return sum(count_day_trades(rows, {"AAPL": D(held)}).by_session.values())


@pytest.mark.parametrize(
    ("example", "sequence", "day_trades"),
    [
        ("A", "B250 B250 S500", 1),
        ("B", "B100 S100 B100 S100", 2),
        ("C", "B500 S100 S100 S300", 1),
        ("D", "B250 B300 B100 S150 S175", 1),
        ("E", "B199 B142 S1 B45 S100 S200", 2),
    ],
)
def test_finras_examples_are_counted_by_changes_of_direction(example: str, sequence: str, day_trades: int) -> None:
    assert count(fills(sequence)) == day_trades, example


def test_finras_example_f_counts_each_security() -> None:
    abc, xyz = make_instrument("ABC"), make_instrument("XYZ")
    got = count_day_trades(fills("B200 S100", instrument=abc) + fills("B100 S100", instrument=xyz), {})
    assert got.by_session == {"2026-11-24": 2}
    assert got.by_instrument == {"ABC": {"2026-11-24": 1}, "XYZ": {"2026-11-24": 1}}


@pytest.mark.parametrize(
    ("held", "sequence", "day_trades"),
    [
        (300, "S300 B200", 0),
        (300, "B20 S20", 1),
        (300, "B20 S320", 1),
        (0, "B60 S90 B30", 2),
        (-80, "B80 S80", 0),
        (0, "B10 B10 B10 B10 B10 B10 S5 S5 S5 S5 S5 S5 S5 S5 S20", 1),
        (100, "S40 S60", 0),
        (-50, "S10 B10", 1),
    ],
)
def test_what_was_held_overnight_decides(held: int, sequence: str, day_trades: int) -> None:
    assert count(fills(sequence), held) == day_trades


def test_two_series_of_options_do_not_pair() -> None:
    def series(strike: int) -> Instrument:
        return make_instrument("AAPL", MarketType.OPTIONS, expiry="2026-12-18", strike=Price(D(strike)))

    assert not count_day_trades(
        fills("B5", instrument=series(150)) + fills("S5", instrument=series(160)), {}
    ).by_session
    assert count_day_trades(fills("B5 S5", instrument=series(150)), {}).by_session == {"2026-11-24": 1}


@pytest.mark.parametrize("market", [MarketType.CRYPTO, MarketType.FOREX])
def test_coins_and_currencies_do_not_count(market: MarketType) -> None:
    rows = fills("B1000 S1000", instrument=make_instrument("X", market))
    assert count_day_trades(rows, {}) == DayTradeCount()
    assert not would_be_day_trade(rows, {}, key="X@crypto", side=OrderSide.SELL, session=date(2026, 11, 24))


def test_an_evening_purchase_sold_next_morning_is_no_day_trade() -> None:
    assert count(fills("B10", at="2026-11-24T19:40") + fills("S10", at="2026-11-25T09:31")) == 0


def test_from_eight_in_the_evening_it_is_the_next_session() -> None:
    rows = fills("B10", at="2026-11-23T21:10") + fills("S10", at="2026-11-24T12:00")
    assert count_day_trades(rows, {}).by_session == {"2026-11-24": 1}


def account(equity: int = 10_000, prior: int | None = None, told: int | None = None) -> AccountSnapshot:
    return AccountSnapshot(
        equity=Usd(D(equity)),
        cash=Usd(D(equity)),
        buying_power=Usd(D(equity)),
        taken_at=new_york(TUESDAY),
        prior_close_equity=None if prior is None else Usd(D(prior)),
        broker_day_trades_remaining=told,
    )


def status(
    who: AccountSnapshot, by_session: dict[str, int] | None = None, regime: DayTradeRegime = DayTradeRegime.AUTO
) -> DayTradeStatus:
    counted = DayTradeCount(by_session=by_session or {})
    return day_trade_status(counted, session=date(2026, 11, 30), account=who, limits=DayTradeLimits(regime=regime))


def test_the_window_is_five_sessions_and_skips_thanksgiving() -> None:
    got = status(account(), {"2026-11-20": 1, "2026-11-24": 2})
    assert got.window == ("2026-11-23", "2026-11-24", "2026-11-25", "2026-11-27", "2026-11-30")
    assert (got.regime, got.used, got.remaining, got.limit) == ("classic", 2, 1, 3)
    assert got.by_session == {d: 2 if d == "2026-11-24" else 0 for d in got.window}
    assert got.why == "2 of 3 day trades are used."


def test_more_than_the_limit_leaves_none_not_less() -> None:
    assert status(account(), {"2026-11-24": 5}).remaining == 0


@pytest.mark.parametrize(
    ("equity", "prior", "remaining"),
    [(25_000, None, -1), (24_999, None, 3), (26_000, 24_999, 3), (24_999, 26_000, 3), (25_000, 25_000, -1)],
)
def test_the_lesser_of_prior_close_and_now_reaches_the_threshold(
    equity: int, prior: int | None, remaining: int
) -> None:
    assert status(account(equity, prior)).remaining == remaining
    assert gate_equity(account(equity, prior)) == min(equity, prior or equity)


def test_the_brokers_number_counts_where_it_is_told() -> None:
    got = status(account(told=1), {"2026-11-24": 0})
    assert got.remaining == 1
    assert got.why == "0 of 3 day trades are used. The broker says 1 remain: its number counts."
    assert status(account(told=3)).why == "0 of 3 day trades are used."
    assert status(account(told=0), regime=DayTradeRegime.INTRADAY_MARGIN).remaining == 0


def test_a_broker_that_does_not_count_a_small_account_means_intraday_margin() -> None:
    got = status(account(told=-1), {"2026-11-24": 5})
    assert (got.regime, got.used, got.remaining) == ("intraday_margin", 5, None)
    assert status(account(30_000, told=-1)).remaining == -1


def test_a_configured_regime_is_kept() -> None:
    assert status(account(), {"2026-11-24": 3}, DayTradeRegime.OFF).remaining is None
    assert status(account(told=0), regime=DayTradeRegime.OFF).regime == "off"
    assert status(account(), regime=DayTradeRegime.INTRADAY_MARGIN).remaining is None
    assert status(account(told=-1), {"2026-11-24": 3}, DayTradeRegime.CLASSIC).remaining == 0


@pytest.mark.parametrize(("sequence", "most"), [("S10 B10", 1), ("B10 S20 B10", 2), ("B1 S1 B1 S1 B1 S1", 3)])
def test_executions_of_one_moment_take_the_higher_count_and_say_so(sequence: str, most: int) -> None:
    rows = fills(sequence, tied=True)
    got = count_day_trades(rows, {"AAPL": D(5)})
    assert got.by_session == {"2026-11-24": most}
    assert count_day_trades(list(reversed(rows)), {"AAPL": D(5)}) == got


def test_an_uncertain_count_is_marked() -> None:
    got = count_day_trades(fills("S10 B10", tied=True), {"AAPL": D(100)})
    assert (got.by_session, got.uncertain_sessions) == ({"2026-11-24": 1}, ("2026-11-24",))
    limits = DayTradeLimits()
    shown = day_trade_status(got, session=date(2026, 11, 24), account=account(), limits=limits)
    assert "the higher count was taken" in shown.why
    certain = count_day_trades(fills("B10 B5", tied=True) + fills("S10 S5", at="2026-11-24T11:00", tied=True), {})
    assert (certain.by_session, certain.uncertain_sessions) == ({"2026-11-24": 1}, ())


def test_a_doubt_that_a_later_trade_removes_is_no_doubt() -> None:
    rows = fills("S10 B10", tied=True) + fills("S50", at="2026-11-24T11:00")
    got = count_day_trades(rows, {"AAPL": D(100)})
    assert (got.by_session, got.uncertain_sessions) == ({"2026-11-24": 1}, ())


def test_what_was_held_before_is_what_is_held_now_less_the_fills() -> None:
    assert start_positions(fills("B20 S320"), {"AAPL": D(0), "MSFT": D(7)}) == {"AAPL": D(300), "MSFT": D(7)}
    assert start_positions(fills("B20"), {}) == {"AAPL": D(-20)}


@pytest.mark.parametrize(
    ("held", "sequence", "side", "session", "expected"),
    [
        (0, "B10", OrderSide.SELL, date(2026, 11, 24), True),
        (0, "B10", OrderSide.BUY, date(2026, 11, 24), False),
        (0, "B10", OrderSide.SELL, date(2026, 11, 25), False),
        (10, "", OrderSide.SELL, date(2026, 11, 24), False),
        (10, "B1", OrderSide.SELL, date(2026, 11, 24), True),
        (10, "B1 S1", OrderSide.SELL, date(2026, 11, 24), False),
        (0, "S10", OrderSide.BUY, date(2026, 11, 24), True),
        (0, "", OrderSide.BUY, date(2026, 11, 24), False),
    ],
)
def test_closing_what_was_opened_today_would_be_a_day_trade(
    held: int, sequence: str, side: OrderSide, session: date, *, expected: bool
) -> None:
    rows = fills(sequence)
    assert would_be_day_trade(rows, {"AAPL": D(held)}, key="AAPL", side=side, session=session) is expected


words = st.lists(
    st.tuples(st.sampled_from("BS"), st.integers(1, 5)).map(lambda row: f"{row[0]}{row[1]}"), min_size=1, max_size=10
)


@given(words, st.integers(-5, 5), st.randoms(use_true_random=False))
def test_order_and_repetition_of_delivery_do_not_matter(
    sequence: list[str], held: int, shuffler: random.Random
) -> None:
    rows = fills(" ".join(sequence))
    again = rows + shuffler.choices(rows, k=3)
    shuffler.shuffle(again)
    assert count_day_trades(again, {"AAPL": D(held)}) == count_day_trades(rows, {"AAPL": D(held)})


@given(words, st.integers(-5, 5))
def test_one_more_trade_counts_as_foretold(sequence: list[str], held: int) -> None:
    rows, start = fills(" ".join(sequence)), {"AAPL": D(held)}
    for side in OrderSide:
        foretold = would_be_day_trade(rows, start, key="AAPL", side=side, session=date(2026, 11, 24))
        one_more = rows + fills(f"{side.value[0]}1", at="2026-11-24T15:00")
        assert count(one_more, held) - count(rows, held) == foretold


@given(words)
def test_a_purchase_and_its_sale_in_parts_are_one_day_trade(sequence: list[str]) -> None:
    parts = [word[1:] for word in sequence]
    rows = fills(" ".join(f"B{part}" for part in parts) + " " + " ".join(f"S{part}" for part in parts))
    assert count(rows) == 1
