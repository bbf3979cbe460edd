"""Options at the venue: what they are worth while their underlyings move, and how they end."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from apex_cli.core.market.expiry import has_expired, intrinsic_value, is_cash_settled, settled_at
from apex_cli.core.market.option_value import theoretical_bar, theoretical_price
from apex_cli.core.model.fill import Settlement
from apex_cli.core.model.instrument import Instrument, OptionRight, underlying_of
from apex_cli.core.model.market import Bar
from apex_cli.core.model.money import ZERO, Price
from apex_cli.gateway.desk import Desk
from apex_cli.gateway.rows import Report


def option_price(desk: Desk, instrument: Instrument, now: datetime, volatility: float | None) -> Price | None:
    """Return what an option is worth by the model; None without volatility or price, and once it has expired."""
    last = desk.engine.ledger.last_price(underlying_of(instrument).key)
    if last is None or volatility is None or not instrument.strike or has_expired(instrument, now):
        return None
    return theoretical_price(instrument, last[0], now, volatility=volatility)


def option_bars(instrument: Instrument, bars: Iterable[Bar], volatility: float) -> tuple[Bar, ...]:
    """Return what *bars* of an underlying mean for an option on it, until it expires."""
    return tuple(
        theoretical_bar(instrument, bar, volatility=volatility)
        for bar in bars
        if not has_expired(instrument, bar.start)
    )


def end_contracts(desk: Desk, now: datetime) -> list[Report] | None:
    """End every contract whose time is over, at the last price of its underlying; None when there is none."""
    reports: list[Report] | None = None
    for instrument in desk.engine.expiring():
        at = settled_at(instrument)
        last = desk.engine.ledger.last_price(underlying_of(instrument).key)
        if at is not None and last is not None and has_expired(instrument, now):
            reports = [*(reports or ()), *end_contract(desk, instrument, last[0], at)]
    return reports


def end_contract(desk: Desk, instrument: Instrument, underlying: Price, at: datetime) -> list[Report]:
    """End one contract: cash where it pays cash or the policy says so, else the shares that its exercise delivers."""
    value = intrinsic_value(instrument, underlying)
    pays_cash = is_cash_settled(instrument) or not desk.policy.delivers_shares
    held = desk.holdings.held(instrument.key)
    shares = held * instrument.multiplier * (1 if instrument.right is OptionRight.CALL else -1)
    events = list(desk.engine.settle(instrument.key, value, at, pays=pays_cash))
    if value > ZERO and shares and not pays_cash:
        how = Settlement.EXERCISED if held > ZERO else Settlement.ASSIGNED
        listing = desk.listings.add(instrument.symbol)
        events += desk.engine.deliver(listing.instrument, shares, Price(instrument.strike or ZERO), how, at)
    return desk.take(events, at)


def exercise(desk: Desk, instrument: Instrument, at: datetime) -> list[Report]:
    """Exercise a contract before its time, as its holder may, wherever its underlying stands."""
    strike = instrument.strike or ZERO
    last = desk.engine.ledger.last_price(underlying_of(instrument).key)
    price = last[0] if last is not None else Price(strike)
    if not intrinsic_value(instrument, price):
        price = Price(strike + 1 if instrument.right is OptionRight.CALL else strike - 1)
    return end_contract(desk, instrument, price, at)
