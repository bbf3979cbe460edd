from __future__ import annotations

import random
import sys
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from apex_cli.core.day_trades.count import (
    DayTradeCount,
    RunningCount,
    count_day_trades,
    day_trade_status,
    forecast,
    leaves_window_on,
    start_positions,
)
from apex_cli.core.day_trades.flow import DayTradeFlow, least_start, opening_transactions
from apex_cli.core.market.calendar import NEW_YORK, next_session
from apex_cli.core.model.account import AccountFacts
from apex_cli.core.model.decision import DayTradeStatus
from apex_cli.core.model.execution import Execution, SecType
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.instrument import Instrument, MarketType, make_instrument
from apex_cli.core.model.limits import DayTradeLimits, DayTradeRegime
from apex_cli.core.model.money import Price, Quantity, Usd
from apex_cli.core.model.side import OrderSide

D = Decimal
AAPL = make_instrument("AAPL")
TUESDAY = "2026-11-24T10:00"


def would_be_day_trade(
    fills: Iterable[Any], start_positions: dict[str, Decimal], *, key: str, side: OrderSide, session: date
) -> bool:
    """Return whether the next execution on *side* would close what was opened in *session*."""
    running = RunningCount(fills, start_positions)
    return running.held(key) * side.sign < 0 and key in running.opened_in(session)


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


def account(equity: int | None = 10_000, prior: int | None = None, **reported: Any) -> AccountFacts:
    return AccountFacts(
        equity_now=None if equity is None else Usd(D(equity)),
        equity_prev_close=None if prior is None else Usd(D(prior)),
        **{"is_simulated": True, **reported},
    )


def status(
    who: AccountFacts,
    by_session: dict[str, int] | None = None,
    regime: DayTradeRegime = DayTradeRegime.AUTO,
    session: date = date(2026, 11, 30),
    **more: Any,
) -> DayTradeStatus:
    counted = DayTradeCount(by_session=by_session or {})
    return day_trade_status(counted, session=session, facts=who, limits=DayTradeLimits(regime=regime), **more)


def test_the_window_is_five_sessions_and_skips_thanksgiving() -> None:
    got = status(account(), {"2026-11-20": 1, "2026-11-24": 2})
    assert got.window == ("2026-11-23", "2026-11-24", "2026-11-25", "2026-11-27", "2026-11-30")
    assert (got.regimes, got.used, got.remaining, got.limit) == (("classic",), 2, 1, 3)
    assert got.by_session == {d: 2 if d == "2026-11-24" else 0 for d in got.window}
    assert got.why == "2 of 3 day trades are used."


def test_more_than_the_limit_leaves_none_not_less() -> None:
    assert status(account(), {"2026-11-24": 5}).remaining == 0


@pytest.mark.parametrize(
    ("equity", "prior", "deposits", "remaining"),
    [
        (25_000, None, 0, -1),
        (24_999, None, 0, 3),
        (26_000, 24_999, 0, 3),
        (24_999, 26_000, 0, 3),
        (25_000, 25_000, 0, -1),
        (26_000, 24_999, 1, -1),
        (26_000, 26_000, -1_001, 3),
        (None, 25_000, 0, -1),
        (None, None, 0, 3),
    ],
)
def test_the_lesser_of_adjusted_prior_close_and_now_reaches_the_threshold(
    equity: int | None, prior: int | None, deposits: int, remaining: int
) -> None:
    who = account(equity, prior, net_deposits_since_close=Usd(D(deposits)))
    assert status(who).remaining == remaining


def test_a_flagged_account_below_the_threshold_only_closes_whatever_the_window_says() -> None:
    got = status(account(flagged_pdt=True))
    assert (got.remaining, forecast(got)) == (0, (0, 0, 0, 0, 0))
    assert got.why == "The account is marked as a pattern day trader's and has less than 25,000.00 USD."
    assert status(account(25_000, flagged_pdt=True)).remaining == -1


def test_the_brokers_number_counts_where_it_is_reported() -> None:
    got = status(account(broker_day_trades_remaining=1), {"2026-11-24": 0})
    assert (got.remaining, got.local_remaining, got.broker_remaining) == (1, 3, 1)
    assert got.why.startswith("0 of 3 day trades are used. The broker says 1 remain: its number counts. Perhaps trades")
    same = status(account(broker_day_trades_remaining=3))
    assert (same.mismatch, same.why) == ("", "0 of 3 day trades are used.")
    partial = status(account(broker_day_trades_remaining=1), is_partial=True)
    assert "the stored history is partial" in partial.mismatch
    reported = account(broker_day_trades_remaining=0)
    assert status(reported, regime=DayTradeRegime.INTRADAY_MARGIN).remaining == 0


def test_minus_one_from_a_small_account_means_intraday_margin_alone() -> None:
    got = status(account(broker_day_trades_remaining=-1, is_simulated=False), {"2026-11-24": 5})
    assert (got.regimes, got.used, got.remaining) == (("intraday_margin",), 5, None)
    assert forecast(got) == (None,) * 5
    rich = status(account(30_000, broker_day_trades_remaining=-1, is_simulated=False))
    assert (rich.regimes, rich.remaining, rich.is_regime_known) == (("unknown",), -1, True)


def test_a_configured_regime_is_kept() -> None:
    assert status(account(), {"2026-11-24": 3}, DayTradeRegime.OFF).remaining is None
    assert status(account(broker_day_trades_remaining=0), regime=DayTradeRegime.OFF).regime == "off"
    assert status(account(), regime=DayTradeRegime.INTRADAY_MARGIN).remaining is None
    kept = status(account(broker_day_trades_remaining=-1), {"2026-11-24": 3}, DayTradeRegime.CLASSIC)
    assert (kept.remaining, kept.mismatch) == (0, "The broker says that day trades are not limited.")
    assert status(account(30_000, broker_day_trades_remaining=-1), regime=DayTradeRegime.CLASSIC).mismatch == ""
    rich = account(30_000, broker_day_trades_remaining=-1, is_simulated=False)
    assert status(rich).remaining == -1
    capped = account(30_000, 20_000, broker_day_trades_remaining=-1, is_simulated=False)
    assert status(capped, {"2026-11-24": 3}).remaining == -1


def test_the_forecast_lets_day_trades_leave_the_window() -> None:
    got = status(account(), {"2026-11-23": 1, "2026-11-25": 1, "2026-11-27": 1})
    assert got.remaining == 0
    assert forecast(got) == (0, 1, 1, 2, 3)
    assert leaves_window_on(date(2026, 11, 23), DayTradeLimits()) == date(2026, 12, 1)


def test_the_forecast_keeps_what_only_the_broker_counts() -> None:
    assert forecast(status(account(broker_day_trades_remaining=1), {"2026-11-23": 1})) == (1, 2, 2, 2, 2)
    assert forecast(status(account(broker_day_trades_remaining=3), {"2026-11-23": 1})) == (3, 3, 3, 3, 3)
    assert forecast(status(account(30_000))) == (-1,) * 5


def test_past_the_calendar_the_forecast_goes_on_by_rule() -> None:
    got = status(account(), {"2027-12-30": 1}, session=date(2027, 12, 30))
    assert forecast(got) == (2, 2, 2, 2, 2)
    assert leaves_window_on(date(2027, 12, 30), DayTradeLimits()) == date(2028, 1, 6)
    one = day_trade_status(
        DayTradeCount(), session=date(2026, 11, 30), facts=account(), limits=DayTradeLimits(window_sessions=1)
    )
    assert forecast(one) == (3,) * 5


@pytest.mark.parametrize(
    ("sequence", "day_trades"),
    [
        ("B250 B250 S500", 2),
        ("B100 S100 B100 S100", 2),
        ("B500 S100 S100 S300", 1),
        ("B250 B300 B100 S150 S175", 3),
        ("B199 B142 S1 B45 S100 S200", 3),
        ("B60 S90 B30", 2),
        ("B5 B5", 0),
    ],
)
def test_the_other_method_counts_the_openings_that_were_liquidated(sequence: str, day_trades: int) -> None:
    assert sum(opening_transactions(fills(sequence), {}).values()) == day_trades


def test_the_other_method_takes_the_fills_of_one_order_for_one_opening() -> None:
    rows = [replace(row, client_order_id="one") if row.side is OrderSide.BUY else row for row in fills("B5 B5 S10")]
    assert opening_transactions(rows, {}) == {"2026-11-24": 1}
    reported = [
        Execution(
            exec_id=row.exec_id,
            security="AAPL",
            side=row.side,
            quantity=row.quantity,
            filled_at=row.filled_at,
            order_id=row.client_order_id,
        )
        for row in rows
    ]
    assert opening_transactions(reported, {}) == {"2026-11-24": 1}
    assert opening_transactions(fills("S100 B20"), {"AAPL": D(100)}) == {}


@pytest.mark.parametrize(
    ("sec_type", "counts"),
    [(kind, kind in {"STK", "OPT", "WAR", "BOND", "BILL", "SSF"}) for kind in SecType],
)
def test_only_securities_count(sec_type: SecType, *, counts: bool) -> None:
    rows = [
        Execution(
            exec_id=row.exec_id,
            security="X",
            sec_type=sec_type,
            side=row.side,
            quantity=row.quantity,
            filled_at=row.filled_at,
        )
        for row in fills("B5 S5")
    ]
    assert bool(count_day_trades(rows, {}).by_session) is counts


@pytest.mark.parametrize(
    ("marks", "start"),
    [
        ("S70c", 70),
        ("S50c S50c", 100),
        ("B60 S60c", 0),
        ("B60 S90c", 30),
        ("B80c S80", -80),
        ("S70", 0),
        ("", 0),
    ],
)
def test_marks_of_closing_trades_report_what_was_held_before(marks: str, start: int) -> None:
    changes = [(D(word.rstrip("c")[1:]) * (1 if word[0] == "B" else -1), word.endswith("c")) for word in marks.split()]
    assert least_start(changes) == start


def test_more_tied_executions_than_can_be_permuted_still_take_the_most_changes_of_direction() -> None:
    rows = fills("B1 B1 B1 S1 S1 S1", tied=True)
    got = count_day_trades(rows, {"AAPL": D(5)})
    assert (got.by_session, got.uncertain_sessions) == ({"2026-11-24": 3}, ("2026-11-24",))


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
    shown = day_trade_status(got, session=date(2026, 11, 24), facts=account(), limits=limits)
    assert shown.uncertain
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


@given(words, st.integers(-5, 5), st.data())
def test_splitting_an_execution_changes_no_count(sequence: list[str], held: int, data: st.DataObject) -> None:
    rows = fills(" ".join(sequence))
    parts: list[Fill] = []
    for row in rows:
        whole = int(row.quantity)
        cut = data.draw(st.integers(0, whole - 1))
        parts += [
            replace(row, exec_id=f"{row.key}-{part}.01", quantity=Quantity(D(part_of_it)))
            for part, part_of_it in enumerate((cut, whole - cut))
            if part_of_it
        ]
    assert count_day_trades(parts, {"AAPL": D(held)}) == count_day_trades(rows, {"AAPL": D(held)})


@given(words, st.integers(-5, 5), st.integers(1, 20))
def test_a_session_without_executions_adds_nothing(sequence: list[str], held: int, sessions: int) -> None:
    counted = count_day_trades(fills(" ".join(sequence)), {"AAPL": D(held)})
    session = date(2026, 11, 24)
    for _ in range(sessions):
        later = next_session(session)
        before, after = (
            day_trade_status(counted, session=day, facts=account(), limits=DayTradeLimits()) for day in (session, later)
        )
        assert after.used <= before.used
        session = later
    assert sum(counted.by_session.values()) >= after.used


@given(st.integers(1, 500), st.data())
def test_an_overnight_position_sold_first_is_never_a_day_trade(held: int, data: st.DataObject) -> None:
    parts = data.draw(st.lists(st.integers(1, 50), min_size=1, max_size=8))
    sold = [part for number, part in enumerate(parts) if sum(parts[: number + 1]) <= held]
    rows = fills(" ".join(f"S{part}" for part in sold))
    assert count(rows, held) == 0
    assert not would_be_day_trade(
        rows, {"AAPL": D(held + 1)}, key="AAPL", side=OrderSide.SELL, session=date(2026, 11, 24)
    )
    again = rows + fills("B7", at="2026-11-24T15:30")
    assert count(again, held) == 0


def test_the_work_for_a_year_of_two_hundred_executions_a_day_grows_with_their_number_alone() -> None:
    def calls(days: int) -> float:
        rows: list[Fill] = []
        session = date(2025, 1, 2)
        for _ in range(days):
            for number in range(10):
                security = make_instrument(f"S{number}")
                rows += fills(" ".join(["B5 S3 B4 S6"] * 5), at=f"{session}T10:00", instrument=security)
            session = next_session(session)
        made = 0

        def count_call(_frame: object, event: str, _argument: object) -> None:
            nonlocal made
            made += event == "call"

        sys.setprofile(count_call)
        try:
            found = count_day_trades(rows, {})
        finally:
            sys.setprofile(None)
        assert sum(found.by_session.values()) == 100 * days
        return made / len(rows)

    few, many = calls(5), calls(40)
    assert many < 1.1 * few
    assert many < 25


@given(sequence=words, held=st.integers(-5, 5), tied=st.booleans())
def test_a_count_that_goes_on_is_the_count_of_all(sequence: list[str], held: int, *, tied: bool) -> None:
    rows, start = fills(" ".join(sequence), tied=tied), {"AAPL": D(held)}
    running = RunningCount(rows[:1], start)
    assert all(running.add(row) for row in rows[1:])
    assert running.count() == count_day_trades(rows, start)
    assert running.held("AAPL") == held + sum(row.quantity * row.side.sign for row in rows)


def test_a_count_goes_on_only_forward() -> None:
    running = RunningCount(fills("S5", at="2026-11-24T11:00"), {"MSFT": D(3)})
    assert not running.add(fills("B5")[0])
    assert running.add(fills("S5", instrument=make_instrument("MSFT"))[0])
    assert running.add(fills("B5", instrument=make_instrument("BTC-USD", MarketType.CRYPTO))[0])
    assert (running.held("MSFT"), running.held("IBM")) == (-2, 0)
    assert running.opened_in(date(2026, 11, 24)) == ("AAPL", "MSFT")
    assert running.opened_in(date(2026, 11, 25)) == ()
    coins = fills("B5", instrument=make_instrument("BTC-USD", MarketType.CRYPTO))
    assert start_positions(coins, {"AAPL": D(1)}) == {"AAPL": D(1)}


def test_no_executions_are_no_news() -> None:
    flow = DayTradeFlow(D(7))
    flow.run(())
    assert (flow.held, flow.counts, flow.is_opened_in(date(2026, 11, 24))) == (7, {}, False)


def test_executions_that_the_venue_numbered_have_an_order_within_one_moment() -> None:
    rows = fills("B10 S4 S6", tied=True, prefix="SIM")
    got = count_day_trades(rows, {})
    assert (got.by_session, got.uncertain_sessions) == ({"2026-11-24": 1}, ())
    running = RunningCount(rows[:1], {})
    assert all(map(running.add, rows[1:]))
    assert running.count() == got
    assert count_day_trades(fills("B10 S4 S6", tied=True), {}).by_session == {"2026-11-24": 2}


def test_forgotten_sessions_are_not_counted_and_what_is_held_stays_known() -> None:
    monday, tuesday = fills("B10 S4", at="2026-11-23T10:00"), fills("S6 B5", at="2026-11-24T10:00")
    running = RunningCount((*monday, *tuesday), {})
    running.forget("2026-11-24")
    assert running.count().by_session == {}
    assert running.held("AAPL") == 5
    again = RunningCount((*monday, *tuesday), {})
    again.forget("2026-11-23")
    assert again.count().by_session == {"2026-11-23": 1}
