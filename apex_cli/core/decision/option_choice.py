"""Which contract a signal means that names an option by rule, and the levels of that contract.

The signal's levels are those of the underlying. Expiries in the wanted days come first, the nearest to their middle
before others; then strikes, by their delta, or by how near they are to the price. The contract's stop and targets lie
as far from its price as those of the underlying from its entry, times the delta: a first-order estimate, which holds
for small moves. The same chain, price and volatility always give the same contract.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal

from msgspec.structs import replace

from apex_cli.core.market.expiry import days_left
from apex_cli.core.market.option_value import delta as delta_of
from apex_cli.core.model.base import Value
from apex_cli.core.model.instrument import Instrument, MarketType, OptionRight, make_instrument
from apex_cli.core.model.money import ZERO, Price
from apex_cli.core.model.option_rule import OptionChain, OptionRule
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.signal import OPTION_RIGHTS, Signal, market_view
from apex_cli.core.model.wording import plain

FARTHEST = Decimal("0.10")
"""How far the delta of a contract may be from the one that is wanted."""

AT_THE_MONEY = Decimal("0.5")
"""Delta that a contract is taken to have whose volatility is not known: that of a strike at the price."""


class Terms(Value, frozen=True, kw_only=True):
    """What the choice reads beside the chain."""

    rule: OptionRule
    right: OptionRight
    price: Price
    """Of the underlying."""

    now: datetime
    volatility: float | None
    """A year; None where it is not known: then there is no delta."""


class Candidate(Value, frozen=True, kw_only=True):
    """A contract that fits, and its delta."""

    instrument: Instrument
    delta: Decimal | None


def terms_of(signal: Signal, *, price: Price, now: datetime, volatility: float | None) -> Terms:
    """Return what the choice for *signal* reads."""
    right = signal.instrument.right or OPTION_RIGHTS[signal.signal_type]
    rule = signal.option or OptionRule()
    return Terms(rule=rule, right=right, price=price, now=now, volatility=volatility)


def candidates(chain: OptionChain, terms: Terms) -> tuple[Candidate, ...] | Reason:
    """Return the contracts of *chain* that fit, the best first; else why none does."""
    least, most = terms.rule.days
    dated = [(day, left) for day in chain.expiries if (left := _days_to(chain, day, terms)) is not None]
    fitting = [(day, left) for day, left in dated if least <= left <= most]
    if not fitting:
        near = ", ".join(f"{day} ({left} days)" for day, left in _nearest(dated, (least + most) / 2)) or "none"
        return _refused(chain, terms, f"no contract expires in {terms.rule.dte} days; listed: {near}", near)
    if terms.rule.delta is not None and terms.volatility is None:
        why = "a delta needs a volatility, and there is none: set prices.options.volatility, or leave delta out"
        return _refused(chain, terms, why, "no volatility")
    fitting.sort(key=lambda row: (abs(2 * row[1] - least - most), row[1]))
    found = tuple(each for day, _ in fitting for each in _strikes(chain, day, terms))
    close = tuple(each for each in found if _is_close(each, terms.rule))
    if close:
        return close
    seen = ", ".join(plain(abs(each.delta or ZERO)) for each in found[:3]) or "none"
    why = f"no strike has a delta within {FARTHEST} of {terms.rule.delta}; the nearest: {seen}"
    return _refused(chain, terms, why if found else "no strike is listed", seen)


def _is_close(each: Candidate, rule: OptionRule) -> bool:
    return rule.delta is None or abs(abs(each.delta or ZERO) - rule.delta) <= FARTHEST


def _days_to(chain: OptionChain, day: str, terms: Terms) -> int | None:
    left = days_left(_contract(chain, day, terms.price, terms.right), terms.now)
    return left if left is not None and left >= 0 else None


def _nearest(dated: list[tuple[str, int]], middle: float) -> list[tuple[str, int]]:
    return sorted(dated, key=lambda row: abs(row[1] - middle))[:3]


def _strikes(chain: OptionChain, day: str, terms: Terms) -> Iterator[Candidate]:
    """Yield the contracts of one expiry, the best strike first; of equals the lower one."""
    found = []
    for strike in chain.strikes:
        instrument = _contract(chain, day, strike, terms.right)
        found.append(Candidate(instrument=instrument, delta=_delta(instrument, terms)))
    wanted = terms.rule.delta

    def distance(each: Candidate) -> tuple[Decimal, Decimal, Decimal]:
        strike = each.instrument.strike or ZERO
        off = abs(strike - terms.price)
        return (off if wanted is None else abs(abs(each.delta or ZERO) - wanted), off, strike)

    yield from sorted(found, key=distance)


def _delta(instrument: Instrument, terms: Terms) -> Decimal | None:
    if terms.volatility is None:
        return None
    return delta_of(instrument, terms.price, terms.now, volatility=terms.volatility)


def _contract(chain: OptionChain, day: str, strike: Price, right: OptionRight) -> Instrument:
    made = make_instrument(chain.underlying.symbol, MarketType.OPTIONS, expiry=day, strike=strike, right=right)
    return replace(
        made, currency=chain.underlying.currency, trading_class=chain.trading_class, multiplier=chain.multiplier
    )


def _refused(chain: OptionChain, terms: Terms, why: str, value: str) -> Reason:
    message = f"{chain.underlying.key}: no option fits {terms.rule}: {why}."
    return Reason(code="no_option_fits", message=message, limit=str(terms.rule), value=value)


def with_contract(signal: Signal, chosen: Candidate, premium: Price, terms: Terms) -> Signal | Reason:
    """Return *signal* about *chosen*, with the levels of the contract; else why they cannot be.

    stop = premium -/+ |delta| * |entry - stop of the underlying|, targets alike on the other side.

    Args:
        signal: with levels of the underlying.
        chosen: the contract.
        premium: its price.
        terms: what it was chosen by.
    """
    weight, sign = abs(chosen.delta or AT_THE_MONEY), signal.side.sign
    entry, view = signal.entry_price, market_view(signal)
    if (entry - signal.stop_loss) * view <= ZERO or any((each - entry) * view <= ZERO for each in signal.target_prices):
        message = (
            f"{signal.symbol}: an option by rule takes the levels of its underlying, and those do not fit "
            f"{signal.signal_type}: entry {plain(entry)}, stop {plain(signal.stop_loss)}."
        )
        return Reason(code="option_levels", message=message, value=plain(signal.stop_loss))
    stop = premium - sign * weight * abs(entry - signal.stop_loss)
    if stop <= ZERO:
        message = (
            f"{chosen.instrument.key}: the way to the stop, {plain(abs(entry - signal.stop_loss))} of the underlying "
            f"times a delta of {plain(weight)}, is more than its price of {plain(premium)}."
        )
        return Reason(code="option_levels", message=message, limit=plain(premium), value=plain(stop))
    targets = (premium + sign * weight * abs(each - entry) for each in signal.target_prices)
    chosen_by = {
        "option_rule": str(terms.rule),
        "option_delta": plain(chosen.delta) if chosen.delta is not None else f"{AT_THE_MONEY} taken",
        "option_days": days_left(chosen.instrument, terms.now),
        "underlying_price": plain(terms.price),
        "underlying_entry": plain(entry),
        "underlying_stop": plain(signal.stop_loss),
    }
    return replace(
        signal,
        instrument=chosen.instrument,
        entry_price=premium,
        stop_loss=Price(stop),
        target_prices=tuple(Price(each) for each in targets if each > ZERO),
        metadata={**signal.metadata, **chosen_by},
    )
