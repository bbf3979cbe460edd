"""Gathers what the view of risk needs: the state, and the configured price history."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from msgspec.structs import replace

from apex_cli.app.market_parts import open_bars
from apex_cli.app.resources import decision_time, open_store
from apex_cli.core.decision.protection_inputs import NO_SOURCES, Histories, sector_in
from apex_cli.core.errors import ApexError, InputError
from apex_cli.core.market.calendar import LAST_SECOND
from apex_cli.core.market.option_value import volatility_of_bars
from apex_cli.core.model.instrument import MarketType, make_instrument, underlying_of
from apex_cli.core.model.spelling import of_key
from apex_cli.core.reports.risk_view import Known, Past, RiskView, make_risk_view
from apex_cli.core.reports.stress import A_YEAR, MOST_DAYS_APART, day_returns
from apex_cli.settings.sections import Settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from decimal import Decimal

    from apex_cli.core.model.decision import DayTradeStatus
    from apex_cli.core.model.instrument import Instrument
    from apex_cli.core.model.market import Bar
    from apex_cli.core.ports import BarSource
    from apex_cli.core.state.tables import State


class AskedBars:
    """Daily bars that the broker was asked for, or why it gave none."""

    def __init__(self, known: Mapping[str, Sequence[Bar] | ApexError]) -> None:
        """Keep what came, by the names of histories."""
        self._known = known

    def symbols(self) -> Sequence[str]:
        """Return what was asked for."""
        return sorted(self._known)

    def bars(self, symbol: str, *, after: datetime | None = None, until: datetime | None = None) -> Sequence[Bar]:
        """Return bars with ``after < bar.end <= until``, oldest first.

        Raises:
            BrokerError: the broker gave none.
        """
        found = self._known.get(symbol, ())
        if isinstance(found, ApexError):
            raise found
        return [b for b in found if (after is None or b.end > after) and (until is None or b.end <= until)]


class History:
    """Price history as far as it is at hand: what cannot be read is a reason, and stops nobody."""

    def __init__(self, settings: Settings, now: datetime, bars: BarSource | None = None) -> None:
        """Look which history there is; *now* is the last moment that is known. *bars* take the place of files."""
        self._options = settings.prices.options
        self._now = now
        self._bars: BarSource | None = bars
        self._trouble = "no price history: set prices.bars_dir, or apex risk --ask"
        try:
            self._bars = bars or open_bars(settings)
        except ApexError as error:
            self._trouble = error.message

    def past_of(self, instrument: Instrument) -> Past:
        """Return the daily changes of what *instrument* follows, and what its model needs where it is an option."""
        if self._bars is None:
            return Past(trouble=self._trouble)
        try:
            return self._read(self._bars, instrument)
        except ApexError as error:
            return Past(trouble=error.message)

    def _read(self, bars: BarSource, instrument: Instrument) -> Past:
        is_option = instrument.market_type is MarketType.OPTIONS
        follows = followed(instrument)
        first = self._now - A_YEAR - timedelta(days=MOST_DAYS_APART + 1)
        known = bars.bars(follows.bars_name, after=first, until=self._now + LAST_SECOND)
        trouble = "" if known else f"there is no price history of {follows.bars_name} in the last year"
        found = Past(returns=day_returns(known, until=self._now), trouble=trouble)
        if not is_option or not known:
            return found
        fixed = self._options.volatility
        return replace(
            found,
            underlying=known[-1].close,
            volatility=volatility_of_bars(known, self._options.history_days) if fixed is None else float(fixed),
            interest=float(self._options.rate),
        )


def followed(instrument: Instrument) -> Instrument:
    """Return what the price of *instrument* follows: of an option its underlying."""
    return underlying_of(instrument) if instrument.market_type is MarketType.OPTIONS else instrument


def look_at_risk(settings: Settings, *, asks: bool = False) -> RiskView:
    """Return what is at risk now; nothing is written, and only with *asks* the broker is asked for daily bars.

    Raises:
        StateError: the state cannot be read or trusted.
        BrokerError: the broker that is to be asked cannot be reached.
        InputError: it has no bars.
    """
    store = open_store(settings)
    state = store.view()
    now = decision_time(settings, state, store.clock.now())
    return risk_of(settings, state, now, ask_for_bars(settings, state) if asks else None)


def ask_for_bars(settings: Settings, state: State) -> AskedBars:
    """Return a year of daily bars of what is held, as the broker has them; one that has none stops no other.

    Raises:
        BrokerError: it cannot be reached.
        InputError: it has no bars at all.
    """
    from apex_cli.app.compose import looking, make_parts
    from apex_cli.app.marketplace import broker_row
    from apex_cli.core.adapters import event_loop

    wanted = {each.bars_name: each for row in state.positions.values() for each in (followed(row.position.instrument),)}
    beta = settings.protections.limits.beta
    if beta.max_exposure is not None:
        wanted.setdefault(beta.benchmark, make_instrument(beta.benchmark))
    parts = make_parts(settings, read_only=True)
    ask = broker_row(settings).load().make_history(settings, parts.broker)
    if ask is None:
        raise InputError("no_bars", "This broker has no bars of its own.", hint="Set prices.bars_dir.")
    days = A_YEAR.days

    async def asked() -> dict[str, Sequence[Bar] | ApexError]:
        found: dict[str, Sequence[Bar] | ApexError] = {}
        async with looking(parts):
            for name, instrument in wanted.items():
                try:
                    found[name] = await ask(instrument, days)
                except ApexError as error:
                    found[name] = error
        return found

    return AskedBars(event_loop.run(asked()))


def risk_of(settings: Settings, state: State, now: datetime, bars: BarSource | None = None) -> RiskView:
    """Return what is at risk in *state* at *now*; *bars* take the place of files."""
    return make_risk_view(
        state,
        settings.limits,
        now,
        past_of=History(settings, now, bars).past_of,
        known=_known(settings, now, bars),
        day_trades=_day_trades(settings, state, now),
    )


def _known(settings: Settings, now: datetime, bars: BarSource | None) -> Known:
    """Return what the file of sectors and price histories say, as the protections read them."""
    from apex_cli.app.protection_sources import make_protection_sources, sector_file

    protections, troubles = settings.protections.limits, []
    sectors: Mapping[str, str] = {}
    if settings.protections.sectors.file is not None:
        try:
            sectors = sector_file(settings)()
        except ApexError as error:
            troubles.append(error.message)
    histories = Histories((make_protection_sources(settings, bars) or NO_SOURCES).bars)
    histories.begin(now + LAST_SECOND)
    beta, likeness = protections.beta, protections.correlation

    def beta_of(instrument: Instrument) -> Decimal | None:
        from apex_cli.core.analysis.correlation import beta_of_closes

        market = histories.closes(of_key(beta.benchmark), beta.bars)
        return beta_of_closes(histories.closes(instrument, beta.bars), market)

    def correlate(one: str, other: str) -> Decimal | None:
        from apex_cli.core.analysis.correlation import correlation_of_closes

        ours, theirs = (histories.closes(of_key(key), likeness.bars) for key in (one, other))
        return correlation_of_closes(ours, theirs)

    return Known(
        sector_of=lambda instrument: sector_in(sectors, instrument),
        beta_of=beta_of if beta.max_exposure is not None else _no_beta,
        correlate=correlate,
        troubles=tuple(troubles),
    )


def _no_beta(instrument: Instrument) -> None:
    del instrument


def _day_trades(settings: Settings, state: State, now: datetime) -> DayTradeStatus | None:
    from apex_cli.core.day_trades.counter import DayTradeCounter

    if state.account is None:
        return None
    return DayTradeCounter(settings.day_trades)(state, state.account.account, now)
