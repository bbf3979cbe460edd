"""A made-up history of any length: closed trades with their plans, the account's curve, and bars around them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from apex_cli.core.market.calendar import LAST_SECOND, next_session, session_bounds
from apex_cli.core.model.instrument import make_instrument
from apex_cli.core.model.market import Bar
from apex_cli.core.model.money import Price, Quantity, Usd
from apex_cli.core.model.position import RoundTrip, profit, profit_pct
from apex_cli.core.model.records import BracketRecord
from apex_cli.core.model.side import OrderSide, PositionSide
from apex_cli.core.model.signal import Opportunity, ScoreComponent
from apex_cli.core.reports.plans import StopPlace, TradePlan
from apex_cli.core.reports.trade_report import SessionValue
from kit.rig import make_signal

CENT = Decimal("0.01")
START = Usd(Decimal(30_000))


class DailyBars:
    """A ``BarSource`` of daily bars that wander from 100 on, one symbol after the other."""

    def __init__(self, symbols: Sequence[str], sessions: int, seed: int = 3) -> None:
        dice = random.Random(seed)
        self._bars = {symbol: tuple(_wander(symbol, sessions, dice)) for symbol in symbols}

    def symbols(self) -> Sequence[str]:
        return tuple(self._bars)

    def bars(self, symbol: str, *, after: datetime | None = None, until: datetime | None = None) -> Sequence[Bar]:
        known = self._bars.get(symbol, ())
        return [b for b in known if (after is None or b.end > after) and (until is None or b.end <= until)]


def _wander(symbol: str, sessions: int, dice: random.Random) -> list[Bar]:
    day, close, found = date(2015, 1, 2), 100.0, []
    for _ in range(sessions):
        bounds = session_bounds(day)
        assert bounds is not None
        opening, close = close, close * (1 + dice.gauss(0.0004, 0.015))
        reach = [max(opening, close) * 1.004, min(opening, close) * 0.996]
        high, low, first, last = (Price(Decimal(f"{value:.2f}")) for value in (*reach, opening, close))
        found.append(Bar(symbol=symbol, start=bounds[0], end=bounds[1], open=first, high=high, low=low, close=last))
        day = next_session(day)
    return found


class History(NamedTuple):
    """What a page is made of."""

    trips: tuple[RoundTrip, ...]
    plans: dict[str, TradePlan]
    curve: tuple[SessionValue, ...]
    bars: DailyBars


def make_history(trades: int, *, sessions: int = 500, seed: int = 5) -> History:
    """Return *trades* trades in ten symbols over *sessions* sessions."""
    dice = random.Random(seed)
    bars = DailyBars([f"SYM{number}" for number in range(10)], sessions)
    made = sorted(
        (_trade(number, bars, sessions, dice) for number in range(trades)), key=lambda pair: pair[0].exit_time
    )
    trips = tuple(trip for trip, _ in made)
    return History(trips, {plan.bracket.bracket_id: plan for _, plan in made}, _curve(trips, bars), bars)


def _trade(number: int, bars: DailyBars, sessions: int, dice: random.Random) -> tuple[RoundTrip, TradePlan]:
    symbol = f"SYM{number % 10}"
    every = bars.bars(symbol)
    first = dice.randrange(20, sessions - 30)
    entered, left = every[first], every[first + dice.randrange(1, 20)]
    side = PositionSide.LONG if dice.random() < 0.7 else PositionSide.SHORT
    instrument, quantity = make_instrument(symbol), Quantity(Decimal(10))
    stop = Price((entered.open * (1 - side.sign * Decimal("0.04"))).quantize(CENT))
    target = Price((entered.open * (1 + side.sign * Decimal("0.08"))).quantize(CENT))
    signal = make_signal(symbol, now=entered.start, signal_id=f"made-{number}")
    bracket = BracketRecord(
        bracket_id=f"{number:026d}",
        signal_id=signal.signal_id,
        strategy=("breakout", "fade", "pullback")[number % 3],
        instrument=instrument,
        side=OrderSide.BUY if side is PositionSide.LONG else OrderSide.SELL,
        quantity=quantity,
        entry_price=entered.open,
        stop_price=stop,
        target_prices=(target,),
        risk_per_unit=Usd(abs(entered.open - stop)),
        reward_risk=Decimal(2),
        created_at=entered.start,
    )
    parts = (ScoreComponent(name="technical", weight=Decimal("0.5"), value=Decimal("0.8")),)
    opportunity = Opportunity(signal=signal, opportunity_score=Decimal("0.61"), breakdown=parts)
    middle = entered.start + (left.end - entered.start) / 2
    stops = (StopPlace(at=middle, price=entered.open),) if number % 4 == 0 else ()
    trip = RoundTrip(
        round_trip_id=f"{number}",
        bracket_id=bracket.bracket_id,
        signal_id=signal.signal_id,
        strategy=bracket.strategy,
        instrument=instrument,
        side=side,
        quantity=quantity,
        entry_price=entered.open,
        exit_price=left.close,
        entry_time=entered.start,
        exit_time=left.end - LAST_SECOND,
        pnl=profit(side, entered.open, left.close, quantity, Decimal(1)),
        pnl_pct=profit_pct(side, entered.open, left.close),
        commission=Usd(Decimal(2)),
        initial_risk=Usd(abs(entered.open - stop) * quantity),
        exit_reason=("stop", "target", "manual")[number % 3],
    )
    return trip, TradePlan(bracket=bracket, opportunity=opportunity, stops=stops)


def _curve(trips: Sequence[RoundTrip], bars: DailyBars) -> tuple[SessionValue, ...]:
    points, equity, number = [], START, 0
    for bar in bars.bars("SYM0"):
        while number < len(trips) and trips[number].exit_time <= bar.end:
            equity, number = Usd(equity + trips[number].net_pnl), number + 1
        points.append(SessionValue(day=(bar.end - timedelta(hours=5)).date(), equity=equity))
    return tuple(points)
