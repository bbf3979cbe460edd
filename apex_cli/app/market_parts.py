"""What every market of a command has: a broker, prices, a clock, and files of bars where they are configured."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, NamedTuple, Protocol

from apex_cli.app.resources import file_hints
from apex_cli.core.errors import ConfigError
from apex_cli.core.model.limits import Patience
from apex_cli.settings.sections import Settings

if TYPE_CHECKING:
    from apex_cli.core.adapters.files.prices.csv_bars import CsvBars
    from apex_cli.core.adapters.simulated.simulated_broker import SimulatedBroker
    from apex_cli.core.model.health import Finding
    from apex_cli.core.model.instrument import Instrument
    from apex_cli.core.model.market import Bar
    from apex_cli.core.model.reason import Reason
    from apex_cli.core.ports import Broker, Clock, PriceSource, RateSource
    from apex_cli.core.signals.prefetch import Prefetch


class Market(NamedTuple):
    """Where orders go, where prices come from, and what time it is there."""

    broker: Broker
    prices: PriceSource | None
    clock: Clock
    max_price_age: timedelta | None
    simulated: SimulatedBroker | None = None
    bars: CsvBars | None = None
    patience: Patience = Patience()
    rates: RateSource | None = None
    """What other currencies are worth; None: as the configuration and *prices* say."""


def _is_ours(name: str) -> bool:
    del name
    return True


def _no_name(number: str) -> str:
    del number
    return ""


def _any_account(account: str) -> bool:
    del account
    return True


class Books(NamedTuple):
    """What a broker may ask our books."""

    is_ours: Callable[[str], bool] = _is_ours
    """Says by its client order id whether an order is in the state."""

    securities: Callable[[], Iterable[Instrument]] = tuple
    """Returns the securities that the state knows."""

    held: Callable[[], Iterable[Instrument]] = tuple
    """Returns those of them that are held or on order."""

    name_of: Callable[[str], str] = _no_name
    """Returns the client order id of an open order by the broker's number; empty where none has it."""

    is_own_account: Callable[[str], bool] = _any_account
    """Says whether the state was made with an account, or with none so far."""


AskBars = Callable[["Instrument", int], Awaitable[Sequence["Bar"]]]
"""Asks for the daily bars of a security over so many calendar days, oldest first; BrokerError where there are none."""


class Marketplace(Protocol):
    """What a broker's own module offers to put it into apex."""

    def make_market(self, settings: Settings, *, read_only: bool, books: Books) -> Market:
        """Return the broker with its prices and clock.

        At a real account there may be orders of others, even of another apex, and tickers may have other names since:
        *books* says which orders and securities are ours.
        """

    def findings(self, settings: Settings) -> Iterable[Finding]:
        """Look whether the broker can be reached and has prices, for ``apex doctor``."""

    def make_history(self, settings: Settings, broker: Broker) -> AskBars | None:
        """Return what asks *broker*, connected, for daily bars; None where it has none."""

    def make_prefetch(
        self,
        settings: Settings,
        broker: Broker,
        clock: Clock,
        notice: Callable[[Reason, str], None],
        *,
        waits: bool,
    ) -> Prefetch | None:
        """Return what asks the broker for daily bars of the watch list; None where the broker has none."""


def open_bars(settings: Settings) -> CsvBars | None:
    """Return the bars, None when none are configured; in simulation they end before a split that nobody names.

    Raises:
        ConfigError: ``prices.bars_dir`` is no folder.
    """
    if settings.prices.bars_dir is None:
        return None
    if not settings.prices.bars_dir.is_dir():
        raise ConfigError(
            "config_invalid",
            f"prices.bars_dir names {settings.prices.bars_dir}, which is no folder.",
            hint="Correct it, or leave it out: then simulated orders fill at the signal's price.",
        )
    from apex_cli.core.adapters.files.prices.csv_bars import CsvBars

    hints = file_hints(settings.prices, "prices")
    return CsvBars(settings.prices.bars_dir, hints, ends_at_splits=settings.execution.simulation_mode)
