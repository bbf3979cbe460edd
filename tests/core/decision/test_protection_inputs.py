from __future__ import annotations

import dataclasses
from datetime import date, datetime, timedelta
from decimal import Decimal

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from apex_cli.core.analysis.frame import Frame
from apex_cli.core.decision.inputs import session_counters
from apex_cli.core.decision.protection_inputs import (
    NO_SOURCES,
    ProtectionReader,
    ProtectionSources,
    loss_marks,
    sector_in,
)
from apex_cli.core.errors import InputError
from apex_cli.core.market.calendar import (
    is_session,
    next_month_opening,
    next_session,
    next_week_opening,
    session_date,
    session_start,
    week_of,
)
from apex_cli.core.model.account import AccountSnapshot, CashFlow
from apex_cli.core.model.decision import NO_INPUTS, Exposure, ProtectionInputs
from apex_cli.core.model.instrument import MarketType, OptionRight, make_instrument
from apex_cli.core.model.market import Bar
from apex_cli.core.model.money import Usd
from apex_cli.core.model.protections import NO_PROTECTIONS, BetaLimits, CorrelationLimits, Protections, SectorLimits
from apex_cli.core.model.records import Counters
from apex_cli.core.model.side import PositionSide
from apex_cli.core.positions.cash_flows import with_flow, with_marks
from apex_cli.core.state.tables import State
from kit.bars import ListBars, bars_of, wander
from kit.rig import make_signal

D = Decimal
FIRST = date(2026, 11, 16)
NOW = session_start(FIRST) + timedelta(hours=18)


def account(equity: str, at: datetime) -> AccountSnapshot:
    return AccountSnapshot(equity=Usd(D(equity)), cash=Usd(D(equity)), buying_power=Usd(D(equity)), taken_at=at)


@given(st.lists(st.integers(80, 120), min_size=1, max_size=40))
def test_week_and_month_are_measured_from_the_first_session_of_theirs(values: list[int]) -> None:
    counters, day = Counters(), FIRST
    opened: dict[object, int] = {}
    for value in values:
        opened.setdefault(week_of(day), value)
        opened.setdefault((day.year, day.month), value)
        counters = session_counters(counters, account(str(value), session_start(day)), day)
        assert counters.week_start_equity == opened[week_of(day)]
        assert counters.month_start_equity == opened[day.year, day.month]
        day = next_session(day)


@given(st.integers(-900, 5000), st.integers(1, 30))
def test_what_is_paid_in_or_out_is_never_a_gain_or_a_loss_of_the_week(amount: int, lost: int) -> None:
    start = Usd(D(100_000))
    counters = session_counters(Counters(), account("100000", session_start(FIRST)), FIRST)
    before = start * (100 - lost) / 100
    flow = CashFlow(amount=Usd(D(amount)), equity_before=Usd(before), equity_after=Usd(before + D(amount)))
    after = with_flow(counters, flow)
    for mark in (after.week_start_equity, after.month_start_equity):
        assert abs((mark - flow.equity_after) / mark - D(lost) / 100) < D("0.0001")


def test_marks_that_a_person_resets_are_those_of_week_and_month_too() -> None:
    counters = session_counters(Counters(), account("100000", session_start(FIRST)), FIRST)
    after = with_marks(counters, Usd(D(70_000)))
    assert (after.week_start_equity, after.month_start_equity) == (70_000, 70_000)
    assert with_marks(Counters(), Usd(D(1))).week_start_equity == 0


def test_a_state_from_before_counts_from_the_running_session() -> None:
    state, now = State(), session_start(FIRST) + timedelta(hours=18)
    state.counters = Counters(session_date=FIRST.isoformat(), session_start_equity=Usd(D(3000)))
    week, month = loss_marks(state, account("2900", now), now)
    assert week == month
    assert week is not None
    assert (week.since, week.equity) == ("2026-11-16", 3000)
    assert loss_marks(State(), account("0", now), now) == (None, None)


def gathered(
    protections: Protections, *exposures: Exposure, sources: ProtectionSources = NO_SOURCES, now: datetime = NOW
) -> tuple[ProtectionInputs, tuple[Exposure, ...]]:
    signal = make_signal("AAPL", now=now)
    return ProtectionReader(protections, sources)(State(), signal, exposures, account("3000", now), now)


def held(key: str, side: PositionSide = PositionSide.LONG, risk: str = "10") -> Exposure:
    return Exposure(key=key, side=side, notional=Usd(D(100)), risk=Usd(D(risk)))


def test_only_what_is_configured_is_gathered() -> None:
    inputs, exposures = gathered(NO_PROTECTIONS, held("MSFT"))
    assert inputs is NO_INPUTS
    assert exposures == (held("MSFT"),)
    inputs, _ = gathered(Protections(max_weekly_loss_pct=D("0.05")))
    assert inputs.week is not None
    assert inputs.month is None


def walk(symbol: str, seed: int, *, like: Frame | None = None, factor: float = 1.0, noise: float = 0.0) -> list[Bar]:
    """Return daily bars; with *like* their returns are *factor* times those, and some noise."""
    frame = wander(seed, 100)
    if like is not None:
        returns = np.diff(like.close) / like.close[:-1] * factor
        returns += np.random.default_rng(seed).normal(0, noise, len(returns)) if noise else 0
        close = 100 * np.concatenate([[1.0], np.cumprod(1 + returns)])
        frame = dataclasses.replace(frame, close=close, open=close, high=close, low=close)
    return bars_of(frame, symbol, date(2026, 6, 15))


MARKET = wander(1, 100)
BARS = ListBars(
    {
        "SPY": walk("SPY", 1, like=MARKET),
        "AAPL": walk("AAPL", 2, like=MARKET, factor=1.5),
        "MSFT": walk("MSFT", 3, like=MARKET, factor=0.5, noise=0.002),
        "GLD": walk("GLD", 4),
        "NEW": walk("NEW", 5)[-10:],
    }
)
WITH_BARS = ProtectionSources(bars=lambda: BARS)
AFTER_BARS = BARS.by_symbol["SPY"][-1].end + timedelta(hours=1)


def test_what_moves_together_is_found_on_both_sides() -> None:
    limits = Protections(correlation=CorrelationLimits(max_open_risk_pct=D("0.1")))
    short = held("MSFT", PositionSide.SHORT)
    for exposure, is_alike in ((held("MSFT"), True), (short, False), (held("GLD"), False)):
        inputs, _ = gathered(limits, exposure, sources=WITH_BARS, now=AFTER_BARS)
        assert (len(inputs.alike), inputs.unlike_unknown) == (is_alike, ())
    (found,) = gathered(limits, held("MSFT"), sources=WITH_BARS, now=AFTER_BARS)[0].alike
    assert (found.key, found.correlation > D("0.9")) == ("MSFT", True)


def test_what_has_no_bars_or_too_few_is_unknown_and_what_risks_nothing_is_not_looked_at() -> None:
    limits = Protections(correlation=CorrelationLimits(max_open_risk_pct=D("0.1")))
    for sources in (NO_SOURCES, WITH_BARS):
        inputs, _ = gathered(limits, held("NEW"), held("GLD", risk="0"), sources=sources, now=AFTER_BARS)
        assert inputs.unlike_unknown == ("NEW",)
    assert "prices.bars_dir" in gathered(limits, held("NEW"))[0].trouble


def test_betas_are_those_of_the_returns() -> None:
    limits = Protections(beta=BetaLimits(max_exposure=D(1), bars=60))
    inputs, exposures = gathered(limits, held("MSFT"), held("NEW"), sources=WITH_BARS, now=AFTER_BARS)
    assert inputs.beta is not None
    assert abs(inputs.beta - D("1.5")) < D("0.02")
    msft, new = exposures
    assert msft.beta is not None
    assert abs(msft.beta - D("0.5")) < D("0.1")
    assert new.beta is None


def test_an_unreadable_price_history_is_a_reason() -> None:
    def broken() -> ListBars:
        raise InputError("bars_unreadable", "AAPL.csv cannot be read.")

    limits = Protections(beta=BetaLimits(max_exposure=D(1)))
    inputs, _ = gathered(limits, sources=ProtectionSources(bars=broken), now=AFTER_BARS)
    assert (inputs.beta, inputs.trouble) == (None, "AAPL.csv cannot be read.")


def test_sectors_are_named_of_each_and_of_an_option_by_its_underlying() -> None:
    limits = Protections(sectors=SectorLimits(max_positions=2))
    sources = ProtectionSources(sectors=lambda: {"AAPL": "tech", "XOM": "energy"})
    inputs, exposures = gathered(limits, held("XOM"), held("MSFT"), sources=sources)
    assert (inputs.sector, [each.sector for each in exposures]) == ("tech", ["energy", ""])
    option = make_instrument("AAPL", MarketType.OPTIONS, expiry="2026-12-18", strike=D(50), right=OptionRight.CALL)
    assert sector_in({"AAPL": "tech"}, option) == "tech"


def test_a_file_of_sectors_that_cannot_be_used_is_a_reason() -> None:
    def broken() -> dict[str, str]:
        raise InputError("sectors_unreadable", "sectors.csv cannot be read.")

    inputs, _ = gathered(Protections(sectors=SectorLimits(max_positions=2)), sources=ProtectionSources(sectors=broken))
    assert (inputs.sector, inputs.sector_trouble) == ("", "sectors.csv cannot be read.")


@given(st.integers(0, 900).map(lambda days: date(2025, 1, 1) + timedelta(days=days)))
def test_the_next_week_and_month_open_with_their_first_session(day: date) -> None:
    for opening, key in (
        (next_week_opening(day), week_of),
        (next_month_opening(day), lambda each: (each.year, each.month)),
    ):
        found = session_date(opening)
        assert is_session(found)
        assert key(found) > key(day)
        between = [day + timedelta(days=passed) for passed in range(1, (found - day).days)]
        assert not any(is_session(each) and key(each) != key(day) for each in between)
