"""Gathers the inputs of a decision; run, approve, close and dry run all take their snapshot from here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from msgspec.structs import replace

from apex_cli.core.day_trades.margin_watch import with_standing
from apex_cli.core.decision.inputs import ExposureBook, agent_standing, take_snapshot
from apex_cli.core.decision.rates import Rates
from apex_cli.core.errors import BrokerError, SecurityError
from apex_cli.core.market.calendar import market_status
from apex_cli.core.market.expiry import has_expired
from apex_cli.core.model.account import AccountSnapshot
from apex_cli.core.model.currency import Rate
from apex_cli.core.model.decision import NO_INPUTS, DayTradeStatus, Exposure, Snapshot
from apex_cli.core.model.instrument import Instrument, MarketType, underlying_of
from apex_cli.core.model.limits import Limits
from apex_cli.core.model.market import MarketStatus, Quote
from apex_cli.core.model.money import ZERO, Price, Quantity, Usd
from apex_cli.core.model.protections import NO_PROTECTIONS
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.side import OrderSide
from apex_cli.core.model.signal import Opportunity, Signal, word_problem
from apex_cli.core.ports import Broker, Clock, PriceSource, RateSource
from apex_cli.core.state.tables import State

if TYPE_CHECKING:
    from apex_cli.core.decision.option_choice import Candidate
    from apex_cli.core.decision.protection_inputs import ProtectionReader, ProtectionSources

DayTradeRule = Callable[[State, AccountSnapshot, datetime], DayTradeStatus]


BORROW_LOOKS, BORROW_POLL_S = 25, 0.02
"""How often, and in what steps, a quote is looked at for what can be borrowed before a sale opens something."""


VolatilityOf = Callable[[Instrument, datetime], float | None]
"""Returns the volatility a year of an underlying; None where it is not known."""

MOST_TRIED = 5
"""Contracts that a broker is asked for before none of them counts as listed."""


def unknown_volatility(underlying: Instrument, at: datetime) -> float | None:
    """Return None: nothing says how much it moves."""
    del underlying, at
    return None


def _unfit(message: str) -> SecurityError:
    return SecurityError("no_option_fits", message, hint="Name the contract, or another rule.")


def _reader(limits: Limits, sources: ProtectionSources | None) -> ProtectionReader:
    from apex_cli.core.decision.protection_inputs import NO_SOURCES, ProtectionReader

    return ProtectionReader(limits.protections, sources or NO_SOURCES)


class Gatherer:
    """Asks clock, broker and prices once each, and puts the answers into a snapshot."""

    def __init__(
        self,
        *,
        broker: Broker,
        clock: Clock,
        prices: PriceSource | None,
        limits: Limits,
        day_trades: DayTradeRule,
        rates: RateSource | None = None,
        max_price_age: timedelta | None = None,
        follows_bars: bool = False,
        volatility: VolatilityOf = unknown_volatility,
        protections: ProtectionSources | None = None,
    ) -> None:
        """Keep the ports. Without *prices* a simulated account trades at the signal's own price.

        Without *rates* those of the configuration and of pairs with a price hold.

        *volatility* says what a choice of options reckons with.

        *protections* says where section ``protections`` looks.

        With *follows_bars* the time is that of bars: there was a session wherever there is a bar.
        """
        self._volatility = volatility
        self._broker = broker
        self._clock = clock
        self._limits = limits
        self._prices = prices
        self.rates = rates or Rates(limits.currency, prices=prices)
        self._day_trades = day_trades
        self._max_price_age = max_price_age
        self._follows_bars = follows_bars
        self.exposures = ExposureBook()
        self._status: tuple[tuple[MarketType, datetime], MarketStatus] | None = None
        self._protections = None if limits.protections is NO_PROTECTIONS else _reader(limits, protections)

    async def snapshot(
        self,
        state: State,
        opportunity: Opportunity,
        *,
        planned: Iterable[Exposure] = (),
        pledged: Decimal = ZERO,
        quantity: Quantity | None = None,
    ) -> Snapshot:
        """Return the snapshot for a decision on *opportunity* now; a live broker is asked what its entry would do.

        Args:
            state: the latest committed one.
            opportunity: what is decided on.
            planned: what a dry run would have opened already.
            pledged: value of entries that are written down and not sent yet: less buying power is left.
            quantity: a person's own size.

        Raises:
            SecurityError: the broker cannot trade that security; others are not affected.
            BrokerError: the account could not be read.
        """
        instrument, signal_price = opportunity.signal.instrument, opportunity.signal.entry_price
        await self.refresh_quotes((instrument,))
        now = self._clock.now()
        account = with_standing(await self._broker.account(), state, now)
        if pledged:
            account = replace(account, buying_power=Usd(max(ZERO, account.buying_power - pledged)))
        if not account.is_simulated and opportunity.signal.side is OrderSide.SELL:
            await self._await_borrow(instrument)
        quote = self.quote(instrument, now)
        is_option = instrument.market_type is MarketType.OPTIONS  # bars are those of its underlying
        if quote is None and account.is_simulated and (self._prices is None or is_option):
            quote = Quote(price=signal_price, at=now, source="signal")
        exposures = (*self.exposures(state), *planned)
        protections = NO_INPUTS
        if self._protections is not None:
            protections, exposures = self._protections(state, opportunity.signal, exposures, account, now)
        snapshot = take_snapshot(
            state,
            now=now,
            account=account,
            quote=quote,
            market=self._market(instrument.market_type, now),
            day_trades=self._day_trades(state, account, now),
            exposures=exposures,
            rate=await self.rate(instrument, quote.price if quote else signal_price),
            agent=agent_standing(state, opportunity.signal, now),
            protections=protections,
        )
        if account.is_simulated:
            return snapshot
        from apex_cli.core.decision.plan import probe_entry

        probe = probe_entry(opportunity, snapshot, self._limits, quantity)
        return snapshot if probe is None else replace(snapshot, margin_preview=await self._broker.preview(probe))

    async def _await_borrow(self, instrument: Instrument) -> None:
        """Wait shortly for what the broker can borrow of a stock: it is reported a moment after the first price."""
        if instrument.market_type is not MarketType.EQUITY:
            return
        for _ in range(BORROW_LOOKS):
            quote = self.quote(instrument, self._clock.now())
            if quote is None or quote.shortable is not None:
                return
            await asyncio.sleep(BORROW_POLL_S)

    async def rate(self, instrument: Instrument, price: Price) -> Rate | None:
        """Return what the prices of *instrument* are in, in account currency; None where it is that, or unknown."""
        if instrument.currency == self.rates.base or price <= ZERO:
            return None
        await self.rates.refresh((instrument,))
        return self.rates.rate(instrument, price, self._clock.now())

    async def identify(self, signal: Signal, now: datetime) -> Signal:
        """Return *signal* about the security as the broker lists it; what the checks refuse anyway is not asked about.

        Raises:
            SecurityError: the broker cannot trade that security; others are not affected.
            BrokerError: the broker cannot be asked.
        """
        if signal.option is not None and signal.instrument.expiry is None:
            signal = await self._with_contract(signal)
        instrument = signal.instrument
        if word_problem(signal.signal_type, instrument) or has_expired(instrument, now):
            return signal
        listed = await self._broker.identify(instrument)
        return signal if listed is instrument else replace(signal, instrument=listed)

    async def _with_contract(self, signal: Signal) -> Signal:
        """Return *signal* about the contract that its rule chooses from the broker's chain.

        Raises:
            SecurityError: nothing fits; the message says why.
            BrokerError: the broker cannot be asked.
        """
        from apex_cli.core.decision.option_choice import candidates, terms_of, with_contract
        from apex_cli.core.market.option_value import theoretical_price

        underlying = await self._broker.identify(underlying_of(signal.instrument))
        price = await self.price_of(underlying)
        if price is None:
            raise _unfit(f"{underlying.key} has no current price: an option on it cannot be chosen.")
        now = self._clock.now()
        terms = terms_of(signal, price=price, now=now, volatility=self._volatility(underlying, now))
        found = candidates(await self._broker.chain(underlying, price), terms)
        if isinstance(found, Reason):
            raise _unfit(found.message)
        chosen = await self._listed(found[:MOST_TRIED])
        premium = await self.price_of(chosen.instrument)
        if premium is None and terms.volatility is not None:
            premium = theoretical_price(chosen.instrument, price, now, volatility=terms.volatility)
        if premium is None:
            raise _unfit(f"{chosen.instrument.key} has no current price.")
        priced = with_contract(signal, chosen, premium, terms)
        if isinstance(priced, Reason):
            raise _unfit(priced.message)
        return priced

    async def _listed(self, found: Sequence[Candidate]) -> Candidate:
        """Return the first of *found* that the broker lists: not every strike is there for every expiry."""
        for each in found[:-1]:
            try:
                return replace(each, instrument=await self._broker.identify(each.instrument))
            except SecurityError:
                continue
        return replace(found[-1], instrument=await self._broker.identify(found[-1].instrument))

    async def account(self) -> AccountSnapshot:
        """Return what the account is worth now.

        Raises:
            BrokerError: not every value could be read.
        """
        return await self._broker.account()

    def day_trades(self, state: State, account: AccountSnapshot, now: datetime) -> DayTradeStatus:
        """Return the day trades used and left."""
        return self._day_trades(state, account, now)

    async def closing_warnings(self, state: State, keys: Sequence[str]) -> Mapping[str, tuple[Reason, ...]]:
        """Return, by key, what the day-trading rules warn of when the positions *keys* are closed now, in that order.

        Nothing when that is not known: a close is never held up by it.
        """
        from apex_cli.core.day_trades.counter import warnings_by_key

        now = self._clock.now()
        try:
            account = with_standing(await self._broker.account(), state, now)
            return warnings_by_key(state, keys, self._day_trades(state, account, now), account)
        except BrokerError:
            return {}

    async def refresh_quotes(self, instruments: Iterable[Instrument]) -> None:
        """Have fresh prices ready, where the source must be asked for them."""
        if self._prices is not None:
            await self._prices.refresh(instruments)

    async def refresh_all(self, state: State) -> None:
        """Have fresh prices ready of what is held, and of resting entries that follow the price."""
        held = [row.position.instrument for row in state.positions.values()]
        await self.refresh_quotes(held + [row.opportunity.signal.instrument for row in state.resting.values()])
        await self.rates.refresh(instrument for instrument in held if instrument.currency != self.rates.base)

    def quote(self, instrument: Instrument, now: datetime) -> Quote | None:
        """Return the latest price, None when there is none or it is too old."""
        quote = self._prices.latest(instrument, now) if self._prices else None
        if quote is None or (self._max_price_age is not None and now - quote.at > self._max_price_age):
            return None
        return quote

    async def price_of(self, instrument: Instrument) -> Price | None:
        """Return the latest price after asking for it; None when there is none."""
        quote = (await self.quotes_of((instrument,))).get(instrument.key)
        return quote.price if quote else None

    async def quotes_of(self, instruments: Iterable[Instrument]) -> dict[str, Quote]:
        """Return the latest quotes after asking for them, by security; what has none is left out."""
        instruments = tuple(instruments)
        await self.refresh_quotes(instruments)
        now = self._clock.now()
        found = {instrument.key: self.quote(instrument, now) for instrument in instruments}
        return {key: quote for key, quote in found.items() if quote is not None}

    def _market(self, market_type: MarketType, now: datetime) -> MarketStatus:
        """Return whether a market trades; worked out once for all that is asked of it at one moment."""
        if self._status is None or self._status[0] != (market_type, now):
            market = market_status(market_type, now)
            if self._follows_bars and not market.is_certain:
                market = replace(market, is_certain=True)
            self._status = ((market_type, now), market)
        return self._status[1]
