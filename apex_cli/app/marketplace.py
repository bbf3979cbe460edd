"""The brokers apex can trade at: a table with one row each."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from apex_cli.app.market_parts import Books, Market, Marketplace
from apex_cli.app.resources import badge_of
from apex_cli.core.errors import RefusedError
from apex_cli.core.model.account import AccountKind
from apex_cli.settings.brokers import BrokerName
from apex_cli.settings.sections import Settings


def _simulated() -> Marketplace:
    from apex_cli.app import simulated_market

    return simulated_market


def _ib() -> Marketplace:
    from apex_cli.app import ib_market

    return ib_market


class BrokerRow(NamedTuple):
    """One broker."""

    title: str
    section: str
    """Where its settings stand."""

    load: Callable[[], Marketplace]
    """Imports its module, which costs time, and returns it."""

    unreachable: frozenset[str]
    """Codes of errors that mean that it is not there, whatever the configuration says."""


BROKERS: dict[BrokerName, BrokerRow] = {
    BrokerName.SIMULATED: BrokerRow("simulated", "simulation", _simulated, frozenset()),
    BrokerName.IB: BrokerRow(
        "Interactive Brokers",
        "broker.ib",
        _ib,
        frozenset(
            {"ib_port_closed", "ib_mute", "ib_unreachable", "ib_client_id_taken", "ib_incomplete", "ib_not_connected"}
        ),
    ),
}


def broker_row(settings: Settings) -> BrokerRow:
    """Return the row of the broker that *settings* choose."""
    return BROKERS[settings.broker_name]


def require_live_word(settings: Settings) -> None:
    """Refuse to connect for orders to a live account unless the person said so for this command.

    Raises:
        RefusedError: ``--live`` is missing.
    """
    if _lacks_live_word(settings):
        mode = f"{broker_row(settings).section}.mode"
        raise RefusedError(
            "live_not_allowed",
            f"{mode} is live, and this command did not say so: nothing was connected or sent.",
            hint=f"Add --live, or set APEX_LIVE=1. For paper trading set {mode}: paper.",
        )


def _lacks_live_word(settings: Settings) -> bool:
    return badge_of(settings).kind is AccountKind.LIVE and not settings.live


def make_market(settings: Settings, *, read_only: bool, books: Books) -> Market:
    """Return the market of the broker that *settings* choose; it can only be read where ``--live`` is missing."""
    read_only = read_only or _lacks_live_word(settings)
    return broker_row(settings).load().make_market(settings, read_only=read_only, books=books)
