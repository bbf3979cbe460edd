"""The quantity of a trade from entry, stop and the configured limits, without broker or network."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from apex_cli.core.decision.sizing import no_rate, size_position
from apex_cli.core.errors import InputError
from apex_cli.core.model.base import Value
from apex_cli.core.model.currency import Rate
from apex_cli.core.model.instrument import Instrument, MarketType, make_instrument
from apex_cli.core.model.money import ZERO, Price, Usd
from apex_cli.core.model.position import reward_risk
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.side import OrderSide
from apex_cli.core.model.trade_size import Sized

if TYPE_CHECKING:
    from apex_cli.core.decision.trade_costs import NetRatio
    from apex_cli.core.model.risk_limits import RiskLimits
    from apex_cli.settings.sections import Settings


class SizeTerms(Value, frozen=True, kw_only=True):
    """What is sized."""

    entry: Decimal
    stop: Decimal
    targets: Sequence[Decimal] = ()
    symbol: str = ""
    side: OrderSide | None = None
    """None: as the stop says."""

    market_type: MarketType | None = None
    """None: as the symbol says, else equity."""

    capital: Decimal | None = None
    risk_pct: Decimal | None = None
    max_position_pct: Decimal | None = None
    """Instead of what the configuration says: 0.01 is 1 %."""


class SizeAnswer(Value, frozen=True):
    """The size, or why there is none, and what it was worked out with."""

    answer: Sized | Reason
    symbol: str
    side: OrderSide
    levels: tuple[Price, Price, tuple[Price, ...]]
    risk: RiskLimits
    net: NetRatio | None = None
    """Reward over risk after costs; None unless protections.costs is set and there is a target."""

    @property
    def ratio(self) -> Decimal | None:
        """Reward over risk."""
        return reward_risk(*self.levels)


def size_of(settings: Settings, terms: SizeTerms) -> SizeAnswer:
    """Return how many units of it keep the loss at the stop within the risk budget.

    Raises:
        InputError: the symbol names no security, or the risk is above ``risk.max_risk_pct_ceiling``.
    """
    risk = _overridden(settings.risk, terms)
    instrument = _named(terms.symbol, terms.market_type, settings.currency.base)
    levels = (Price(terms.entry), Price(terms.stop), tuple(map(Price, terms.targets)))
    side = terms.side or (OrderSide.BUY if terms.stop < terms.entry else OrderSide.SELL)
    rate, missing = None, None
    if instrument.currency != settings.currency.base:
        rate, missing = rate_now(settings, instrument, levels[0])
    answer = (
        level_problem(side, *levels)
        or _expired(settings, instrument)
        or missing
        or size_position(
            instrument=instrument, entry=levels[0], stop=levels[1], risk=risk, rate=rate, currency=settings.currency
        )
    )
    net = _after_costs(settings, instrument, answer, levels) if isinstance(answer, Sized) else None
    return SizeAnswer(answer, instrument.key if terms.symbol else "", side, levels, risk, net)


def _after_costs(
    settings: Settings, instrument: Instrument, sized: Sized, levels: tuple[Price, Price, tuple[Price, ...]]
) -> NetRatio | None:
    """Return reward over risk after costs where the configuration asks for it."""
    gross = reward_risk(*levels)
    if gross is None or not sized.risk_amount or not settings.protections.costs.is_on:
        return None
    from apex_cli.core.decision.trade_costs import NetRatio, half_spread, net_reward_risk, trade_costs

    limits, asked = settings.limits, settings.protections.costs
    costs = trade_costs(
        instrument,
        sized,
        entry=levels[0],
        stop=levels[1],
        targets=levels[2],
        fractions=(),
        plan=limits.commission,
        half=half_spread(None, levels[0], asked.spread_pct) or ZERO,
        is_market_entry=not limits.entry_order("").has_limit,
    )
    return NetRatio(
        value=net_reward_risk(gross, sized.risk_amount, costs),
        costs=costs,
        least=asked.min_net_reward_risk,
        has_spread=asked.spread_pct is not None,
    )


def rate_now(settings: Settings, instrument: Instrument, price: Price) -> tuple[Rate | None, Reason | None]:
    """Return what *instrument* is priced in by the configuration and the bars, and why that is not known."""
    from apex_cli.app.market_parts import open_bars
    from apex_cli.app.resources import make_system_clock
    from apex_cli.core.decision.rates import Rates

    now = make_system_clock(settings).now()
    rate = Rates(settings.currency, prices=open_bars(settings)).rate(instrument, price, now)
    return rate, no_rate(instrument, rate, settings.currency, now)


def _expired(settings: Settings, instrument: Instrument) -> Reason | None:
    """Return that the option *instrument* has expired; None where time follows the bars, which are not read here."""
    if instrument.expiry is None:
        return None
    from apex_cli.app.resources import make_system_clock
    from apex_cli.core.market.expiry import has_expired
    from apex_cli.settings.brokers import SimulationClock

    if settings.simulation.clock is SimulationClock.BARS or not has_expired(
        instrument, make_system_clock(settings).now()
    ):
        return None
    message = f"{instrument.key} has expired on {instrument.expiry}."
    return Reason(code="contract", message=message, limit="a security that has not expired", value=instrument.key)


def level_problem(side: OrderSide, entry: Price, stop: Price, targets: tuple[Price, ...]) -> Reason | None:
    """Return why *stop* or a target lies on the wrong side of *entry*, or None."""
    word = "below" if side is OrderSide.BUY else "above"
    if (stop - entry) * side.sign > 0:
        message = f"The stop {stop} must lie {word} the entry {entry} for a {side} order."
        return Reason(code="signal_levels", message=message, limit=f"{word} {entry}", value=f"{stop}")
    other = "above" if side is OrderSide.BUY else "below"
    for target in targets:
        if (target - entry) * side.sign <= 0:
            message = f"The target {target} must lie {other} the entry {entry} for a {side} order."
            return Reason(code="signal_levels", message=message, limit=f"{other} {entry}", value=f"{target}")
    return None


def _named(symbol: str, market_type: MarketType | None, base: str) -> Instrument:
    """Return the security that is sized."""
    if not symbol:
        return replace(make_instrument("?", market_type or MarketType.EQUITY), currency=base)
    from apex_cli.core.model.spelling import Hints, SpellingError, canonical

    try:
        return canonical(symbol, Hints(market_type=market_type))
    except SpellingError as error:
        raise InputError(
            "symbol_invalid", f"{error}.", hint=f"Correct {error.field}.", details={"symbol": symbol}
        ) from None


def _overridden(risk: RiskLimits, terms: SizeTerms) -> RiskLimits:
    changes: dict[str, Any] = {}
    if terms.capital is not None:
        changes["capital"] = Usd(terms.capital)
    if terms.risk_pct is not None:
        changes["max_risk_pct"] = terms.risk_pct
    if terms.max_position_pct is not None:
        changes["max_position_pct"] = terms.max_position_pct
    changed = replace(risk, **changes) if changes else risk
    if terms.risk_pct is not None:
        from apex_cli.settings.conflicts import conflicts_of_risk

        for conflict in conflicts_of_risk(changed):
            raise InputError("usage", f"risk_pct: {conflict.message}", hint="Correct risk_pct.")
    return changed
