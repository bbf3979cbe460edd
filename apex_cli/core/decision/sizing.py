"""Position sizing: a risk budget and a capital cap give a quantity."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from msgspec.structs import replace

from apex_cli.core.decision.size_multipliers import product_of
from apex_cli.core.model.currency import MINOR_UNITS, CurrencyLimits, Rate, worth, worth_of_units
from apex_cli.core.model.instrument import Instrument, MarketType
from apex_cli.core.model.money import ZERO, Price, Quantity, Usd, ceil_to_step, floor_to_step
from apex_cli.core.model.position import risk_per_unit
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.risk_limits import RiskLimits
from apex_cli.core.model.trade_size import Binding, Multiplier, Sized
from apex_cli.core.model.wording import money, percent, plain, units

WHOLE_UNIT_MARKETS = frozenset({MarketType.EQUITY, MarketType.OPTIONS})
"""Markets where ``risk.min_quantity`` counts; elsewhere the step itself is the smallest quantity."""


IN_DOLLARS = CurrencyLimits()


def size_position(
    *,
    instrument: Instrument,
    entry: Price,
    stop: Price,
    risk: RiskLimits,
    rate: Rate | None = None,
    currency: CurrencyLimits = IN_DOLLARS,
    multipliers: Sequence[Multiplier] = (),
) -> Sized | Reason:
    """Return the quantity whose loss at *stop* and whose value both fit the caps.

    by_risk = floor_to_step(capital * max_risk_pct / (|entry - stop| * multiplier * rate))
    by_capital = floor_to_step(capital * max_position_pct / (entry * multiplier * rate))
    quantity = floor_to_step(min(by_risk, by_capital) * multipliers), raised to the smallest quantity where it is less.

    A pair whose price is itself the rate, as USD.JPY in dollars, loses at the stop by the rate that holds there.

    Args:
        instrument: gives step and multiplier.
        entry: price per unit, on either side of *stop*.
        stop: price per unit.
        risk: capital in account currency, the caps as fractions of it.
        rate: what the prices are in, in account currency; None where it is that.
        currency: what the account is kept in.
        multipliers: what makes it smaller than the caps do, each below 1.

    Returns:
        ``Sized``, with a warning (``cap_risk_exceeded``, ``cap_capital_exceeded``, ``multiplier_exceeded``) for each
        bound that the smallest quantity breaks; or a ``Reason``: ``no_rate``, ``price_not_positive``,
        ``stop_equals_entry``, and with ``enforce_caps`` ``size_below_minimum``.

    Source:
        Fixed-fraction risk sizing.
    """
    invalid = no_rate(instrument, rate, currency) or _invalid_prices(entry, stop)
    if invalid:
        return invalid
    by_risk, by_capital = _quantities_by_caps(instrument, entry, stop, risk, rate)
    by_caps = min(by_risk, by_capital)
    allowed = by_caps
    binding = Binding.CAPITAL if by_capital <= by_risk else Binding.RISK
    if multipliers:
        allowed = Quantity(floor_to_step(by_caps * product_of(multipliers), instrument.quantity_step))
        binding = min(multipliers, key=lambda each: each.value).name if allowed < by_caps else binding
    smallest = smallest_quantity(instrument, risk)
    if allowed < smallest:
        sized = _sized(instrument, entry, stop, smallest, by_risk, by_capital, Binding.MINIMUM, risk, rate)
        sized = _multiplied(instrument, sized, multipliers, allowed) if smallest <= by_caps else sized
        return _below_minimum(instrument, allowed, sized) if risk.enforce_caps else sized
    sized = _sized(instrument, entry, stop, allowed, by_risk, by_capital, binding, risk, rate)
    return replace(sized, multipliers=tuple(multipliers)) if multipliers else sized


def _multiplied(instrument: Instrument, sized: Sized, multipliers: Sequence[Multiplier], allowed: Quantity) -> Sized:
    """Return the smallest quantity, which the caps allow and *multipliers* do not, with a warning."""
    what, least = units(allowed, instrument.market_type), units(sized.quantity, instrument.market_type)
    why = "; ".join(each.why for each in multipliers)
    warning = Reason(
        code="multiplier_exceeded",
        message=f"The smallest quantity, {least}, is above what is left of the caps, {what} ({why}).",
        limit=what,
        value=least,
    )
    return replace(sized, multipliers=tuple(multipliers), warnings=(*sized.warnings, warning))


def size_as_given(
    *,
    instrument: Instrument,
    entry: Price,
    stop: Price,
    risk: RiskLimits,
    quantity: Quantity,
    rate: Rate | None = None,
    currency: CurrencyLimits = IN_DOLLARS,
) -> Sized | Reason:
    """Return a person's *quantity* with its value and its loss at *stop*.

    Args:
        instrument: gives step and multiplier.
        entry: price per unit.
        stop: price per unit.
        risk: the caps the quantity is held against.
        quantity: what the person asked for.
        rate: what the prices are in, in account currency; None where it is that.
        currency: what the account is kept in.

    Returns:
        ``Sized``, with a warning for each cap it breaks; or a ``Reason``: ``quantity_not_positive``,
        ``quantity_off_step``, with ``enforce_caps`` the first broken cap, or what ``size_position`` says
        of the prices.
    """
    invalid = (
        no_rate(instrument, rate, currency) or _invalid_prices(entry, stop) or _invalid_quantity(instrument, quantity)
    )
    if invalid:
        return invalid
    by_risk, by_capital = _quantities_by_caps(instrument, entry, stop, risk, rate)
    binding = Binding.CAPITAL if by_capital <= by_risk else Binding.RISK
    sized = _sized(instrument, entry, stop, quantity, by_risk, by_capital, binding, risk, rate)
    return sized.warnings[0] if sized.warnings and risk.enforce_caps else sized


def lowered(
    sized: Sized, part: Decimal, *, instrument: Instrument, entry: Price, stop: Price, risk: RiskLimits
) -> Sized:
    """Return *sized* with *part* of its quantity, rounded down, and never less than the smallest quantity.

    Args:
        sized: what the caps allow.
        part: 0..1 of the quantity.
        instrument: gives step and multiplier.
        entry: price per unit.
        stop: price per unit.
        risk: the caps it was sized by.
    """
    step = instrument.quantity_step
    quantity = Quantity(max(floor_to_step(sized.quantity * part, step), smallest_quantity(instrument, risk)))
    if quantity >= sized.quantity:
        return sized
    by_risk, by_capital = sized.quantity_by_risk, sized.quantity_by_capital
    smaller = _sized(instrument, entry, stop, quantity, by_risk, by_capital, Binding.LEARNING, risk, sized.rate)
    return replace(smaller, multipliers=sized.multipliers) if sized.multipliers else smaller


def no_rate(
    instrument: Instrument, rate: Rate | None, currency: CurrencyLimits, at: datetime | None = None
) -> Reason | None:
    """Return why *instrument* cannot be sized in account currency; None where that can be done.

    One yen is not one dollar: without a rate nothing is sized, risked or booked.

    Args:
        instrument: what is to be sized.
        rate: the newest rate of the currency of its prices; not looked at where that is the account's.
        currency: what the account is kept in, and how old a rate may be.
        at: when the rate must hold; None where its age does not matter.
    """
    name, base = instrument.currency, currency.base
    if name == base:
        return None
    if rate is None:
        whole = MINOR_UNITS.get(name, (name,))[0]
        return Reason(
            code="no_rate",
            message=f"{instrument.key} is priced in {name} and the account is kept in {base}: there is no rate of "
            f"{whole}. Give it in the configuration as currency.rates: {{{whole}: ...}}, or bars of {whole}.{base}.",
            limit=f"a rate of {whole} in {base}",
            value=name,
        )
    if at is None or rate.at is None or not is_too_old(rate, currency, at):
        return None
    return Reason(
        code="rate_too_old",
        message=f"{instrument.key} is priced in {name}, and the newest rate of {name} in {base}, {plain(rate.value)} "
        f"({rate.source}), is of {rate.at.isoformat()}: older than {currency.max_age_hours} hours.",
        limit=f"at most {currency.max_age_hours} hours old",
        value=rate.at.isoformat(),
    )


def is_too_old(rate: Rate, currency: CurrencyLimits, at: datetime) -> bool:
    """Return whether *rate* is older than the configuration allows."""
    return rate.at is not None and at - rate.at > timedelta(hours=currency.max_age_hours)


def smallest_quantity(instrument: Instrument, risk: RiskLimits) -> Quantity:
    """Return the smallest quantity worth an order: the step, or ``min_quantity`` in whole-unit markets."""
    step = instrument.quantity_step
    if instrument.market_type not in WHOLE_UNIT_MARKETS or risk.min_quantity <= step:
        return Quantity(step)
    return Quantity(ceil_to_step(risk.min_quantity, step))


def _quantities_by_caps(
    instrument: Instrument, entry: Price, stop: Price, risk: RiskLimits, rate: Rate | None
) -> tuple[Quantity, Quantity]:
    step = instrument.quantity_step
    lot_value = instrument.multiplier * step
    by_risk = worth_of_units(rate, risk.capital * risk.max_risk_pct, abs(entry - stop) * lot_value, stop) * step
    by_capital = worth_of_units(rate, risk.capital * risk.max_position_pct, entry * lot_value, entry) * step
    return Quantity(by_risk), Quantity(by_capital)


def _sized(  # noqa: PLR0917 - private, called twice
    instrument: Instrument,
    entry: Price,
    stop: Price,
    quantity: Quantity,
    by_risk: Quantity,
    by_capital: Quantity,
    binding: Binding,
    risk: RiskLimits,
    rate: Rate | None,
) -> Sized:
    unit_risk = worth(rate, risk_per_unit(entry, stop, instrument.multiplier), stop)
    risk_amount = worth(rate, quantity * risk_per_unit(entry, stop, instrument.multiplier), stop)
    notional = worth(rate, quantity * entry * instrument.multiplier, entry)
    is_within = quantity <= by_risk and quantity <= by_capital
    return Sized(
        quantity=quantity,
        quantity_by_risk=by_risk,
        quantity_by_capital=by_capital,
        binding=binding,
        notional=notional,
        risk_amount=risk_amount,
        risk_per_unit=unit_risk,
        rate=rate,
        warnings=() if is_within else _broken_caps(instrument, quantity, notional, risk_amount, risk),
    )


def _broken_caps(
    instrument: Instrument, quantity: Quantity, notional: Usd, risk_amount: Usd, risk: RiskLimits
) -> tuple[Reason, ...]:
    what = units(quantity, instrument.market_type)
    caps = (
        ("cap_risk_exceeded", f"The loss at the stop of {what}", risk_amount, risk.max_risk_pct),
        ("cap_capital_exceeded", f"The value of {what}", notional, risk.max_position_pct),
    )
    return tuple(
        Reason(
            code=code,
            message=f"{subject}, {money(value)}, is above the cap of {money(risk.capital * fraction)} "
            f"({percent(fraction)} of {money(risk.capital)}).",
            limit=money(risk.capital * fraction),
            value=money(value),
        )
        for code, subject, value, fraction in caps
        if value > risk.capital * fraction
    )


def _below_minimum(instrument: Instrument, allowed: Quantity, sized: Sized) -> Reason:
    broken = " ".join(warning.message for warning in sized.warnings)
    smallest = units(sized.quantity, instrument.market_type)
    return Reason(
        code="size_below_minimum",
        message=f"The caps allow {units(allowed, instrument.market_type)}, less than the smallest quantity. {broken}",
        limit=smallest,
        value=units(allowed, instrument.market_type),
    )


def _invalid_prices(entry: Price, stop: Price) -> Reason | None:
    if entry <= ZERO or stop <= ZERO:
        lowest = min(entry, stop)
        return Reason(
            code="price_not_positive",
            message=f"Entry {plain(entry)} and stop {plain(stop)} must both be above 0.",
            limit="above 0",
            value=plain(lowest),
        )
    if entry == stop:
        return Reason(
            code="stop_equals_entry",
            message=f"The stop equals the entry at {plain(entry)}: there is no risk to size by.",
            limit=f"not {plain(entry)}",
            value=plain(stop),
        )
    return None


def _invalid_quantity(instrument: Instrument, quantity: Decimal) -> Reason | None:
    step = instrument.quantity_step
    if quantity <= ZERO:
        return Reason(
            code="quantity_not_positive",
            message=f"A quantity of {plain(quantity)} cannot be traded: it must be above 0.",
            limit="above 0",
            value=plain(quantity),
        )
    if quantity % step:
        return Reason(
            code="quantity_off_step",
            message=f"A quantity of {plain(quantity)} is not a multiple of {plain(step)}.",
            limit=f"multiple of {plain(step)}",
            value=plain(quantity),
        )
    return None
