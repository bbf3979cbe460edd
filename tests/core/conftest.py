from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from apex_cli.core.decision.plan import decide
from apex_cli.core.model.account import AccountSnapshot
from apex_cli.core.model.decision import DayTradeStatus, Exposure, Regime, Snapshot, TradingMode
from apex_cli.core.model.execution_limits import ExecutionLimits
from apex_cli.core.model.instrument import MarketType, make_instrument
from apex_cli.core.model.limits import Limits
from apex_cli.core.model.market import MarketStatus, Quote
from apex_cli.core.model.money import Price, Usd
from apex_cli.core.model.risk_limits import RiskLimits
from apex_cli.core.model.side import PositionSide
from apex_cli.core.model.signal import Opportunity, Signal, SignalType

NOW = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)


def price(text: str | int | Decimal) -> Price:
    return Price(Decimal(text))


class Build:
    """A long AAPL opportunity that passes every check, and its variations."""

    now = NOW

    def opportunity(
        self,
        *,
        entry: str = "50",
        stop: str = "48",
        targets: tuple[str, ...] = ("54",),
        signal_type: SignalType = SignalType.BUY,
        market: MarketType = MarketType.EQUITY,
        score: str = "0.8",
        **changes: Any,
    ) -> Opportunity:
        signal = Signal(
            signal_id="sig-1",
            instrument=make_instrument("AAPL", market),
            signal_type=signal_type,
            entry_price=price(entry),
            stop_loss=price(stop),
            target_prices=tuple(price(target) for target in targets),
            confidence=Decimal("0.7"),
            strategy="breakout",
            created_at=NOW - timedelta(minutes=1),
            expires_at=NOW + timedelta(minutes=30),
        )
        return Opportunity(signal=replace(signal, **changes), opportunity_score=Decimal(score))

    def snapshot(self, *, quote: str | None = "50", equity: str = "3000", **changes: Any) -> Snapshot:
        snapshot = Snapshot(
            taken_at=NOW,
            trading_mode=TradingMode.ACTIVE,
            account=AccountSnapshot(
                equity=Usd(Decimal(equity)), cash=Usd(Decimal(3000)), buying_power=Usd(Decimal(3000)), taken_at=NOW
            ),
            session_start_equity=Usd(Decimal(3000)),
            peak_equity=Usd(Decimal(3000)),
            quote=None if quote is None else Quote(price=price(quote), at=NOW, source="last"),
            market=MarketStatus(is_open=True, session_date="2026-11-24"),
            day_trades=DayTradeStatus(regime=Regime.CLASSIC, used=0, remaining=3, limit=3),
        )
        return replace(snapshot, **changes)

    def limits(self, *, auto: bool = False, auto_min_score: str = "0", **risk: Any) -> Limits:
        return Limits(
            execution=ExecutionLimits(auto_execute=auto, auto_min_score=Decimal(auto_min_score)),
            risk=RiskLimits(**risk),
        )

    def exposure(self, key: str, risk: str = "10") -> Exposure:
        return Exposure(key=key, side=PositionSide.LONG, notional=Usd(Decimal(100)), risk=Usd(Decimal(risk)))

    def failures(self, opportunity: Opportunity, snapshot: Snapshot, limits: Limits) -> dict[str, Any]:
        """Return the refusing reasons by code."""
        return {reason.code: reason for reason in decide(opportunity, snapshot, limits).reasons}


@pytest.fixture
def build() -> Build:
    return Build()
