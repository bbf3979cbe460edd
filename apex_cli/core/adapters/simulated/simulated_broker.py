"""The simulated broker: the ``Broker`` port over the matching engine, with books of its own.

It behaves as a separate party: what it accepted is on disk before a call returns, and after a restart it reports
fills and order states of the last sessions again, whether or not they were heard before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from heapq import merge
from itertools import groupby
from operator import attrgetter
from pathlib import Path

from apex_cli.core.adapters.simulated.bar_clock import BarClock
from apex_cli.core.adapters.simulated.book_file import VERSION, BookFile, SimulatedBook, stale_book
from apex_cli.core.errors import InputError, OutcomeUnknownError, StateError
from apex_cli.core.market.calendar import LAST_SECOND, NEW_YORK, auctions_in, session_bounds
from apex_cli.core.market.expiry import has_expired, intrinsic_value, is_settled_at_opening, settled_at
from apex_cli.core.market.option_grid import grid_of
from apex_cli.core.market.option_value import THEORETICAL
from apex_cli.core.model.account import AccountSnapshot, MarginPreview
from apex_cli.core.model.broker_events import BrokerEvent, BrokerSnapshot, OrderUpdate
from apex_cli.core.model.corporate_action import CorporateAction
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.instrument import HOME_CURRENCY, Instrument, MarketType, underlying_of
from apex_cli.core.model.market import Bar
from apex_cli.core.model.money import CENT, ONE, ZERO, Price, Usd
from apex_cli.core.model.option_rule import OptionChain
from apex_cli.core.model.order import MEANWHILE, Exchange, Order, OrderRole, OrderStatus, Phase
from apex_cli.core.model.wording import money
from apex_cli.core.ports import BarSource, Clock, PriceSource, RateSource
from apex_cli.core.venue.catch_up import Marks, marks_of_book
from apex_cli.core.venue.costs import CostModel
from apex_cli.core.venue.engine import BarStep, MatchingEngine

KEPT_SESSIONS = 5
SESSION = timedelta(hours=7)
"""From an opening until after the close."""

ACCOUNT_ID = "SIMULATED"
"""Distinguishes a state made with this broker from one of a real account."""

START_CASH = Usd(Decimal(3000))
END = attrgetter("end")
PLAY_ORDER = attrgetter("end", "start", "symbol")
"""Order in which bars are played; those with one end are one step."""

BY_SESSION = frozenset({MarketType.EQUITY, MarketType.OPTIONS})


def new_york_date(at: datetime) -> str:
    """Return the New York calendar date of *at*, YYYY-MM-DD."""
    return at.astimezone(NEW_YORK).date().isoformat()


def no_auction(phase: Phase, after: datetime) -> None:
    """Return None: a market without auctions."""
    del phase, after


OptionBar = Callable[[Instrument, Bar], Bar | None]
"""Returns the bar of an option while its underlying had one; None where it has bars of its own, or no price."""


class SimulatedBroker:
    """A broker inside the process: nothing leaves the machine.

    What changes its books raises ``OutcomeUnknownError`` when it was done, but could not be written.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        prices: PriceSource | None = None,
        bars: BarSource | None = None,
        option_bar: OptionBar | None = None,
        path: Path | None = None,
        read_only: bool = False,
        cash: Usd = START_CASH,
        costs: CostModel | None = None,
        max_participation: Decimal | None = None,
        buying_power_multiple: Decimal = ONE,
        session_of: Callable[[datetime], str] = new_york_date,
        next_auction: Callable[[Phase, datetime], datetime | None] = no_auction,
        fills_at_next_open: bool = False,
        outside_rth: bool = True,
        rates: RateSource | None = None,
        dividends: Sequence[CorporateAction] = (),
    ) -> None:
        """Open the books.

        Args:
            clock: The time of orders. A ``BarClock`` is moved along with the bars.
            prices: Latest prices; without any, ``set_price`` or an order's reference price is taken.
            bars: What ``steps`` plays.
            option_bar: Prices options that have no bars by those of their underlying; None prices none.
            path: File of the books; None keeps them in memory only.
            read_only: Read the file and never write it: for looking, and for dry runs.
            cash: Account value of a new account, USD.
            costs: Commissions and slippage; none by default.
            max_participation: Part of a bar's volume that one order may fill; None for all of it.
            buying_power_multiple: 1 for a cash account, 2 for a margin account overnight.
            session_of: Session date of a time, YYYY-MM-DD; DAY orders end with it.
            next_auction: When the next opening or closing after a time is; None where there is none.
            fills_at_next_open: What is sent between two bars meets the next bar, not the close that is known
                already. Orders that close a position by the clock still meet the last price.
            outside_rth: False: bars outside NYSE's regular hours fill no orders in stocks and options.
            dividends: Oldest first; paid on what is held when the first session without one begins.
            rates: What other currencies are worth; without any, only what is priced in the account's is traded.

        Raises:
            StateError: the file is damaged or of another version.
        """
        self._clock = clock
        self._prices = prices
        self._rates = rates
        self._currencies: set[str] = set()
        """What the account owns, owes or trades in, besides its own currency."""

        self._bars = bars
        self._newest = _newest_of(bars)
        self._option_bar = option_bar
        self._buying_power_multiple = buying_power_multiple
        self._session_of = session_of
        self._next_auction = next_auction
        self._fills_at_next_open = fills_at_next_open
        self._outside_rth = outside_rth
        self._dividends = dividends
        self.dividends_paid = Usd(ZERO)
        """Received, less what was owed on short positions."""

        self._by_session: set[str] = set()
        """Keys of instruments that trade in NYSE's sessions."""

        self._options: dict[str, dict[str, Instrument]] = {}
        """Contracts by the symbol of their underlying's bars."""

        self._file = BookFile(path, read_only=read_only)
        self._events: list[BrokerEvent] = []
        self._unsaved: list[BrokerEvent] = []
        """What happened but is not in the books yet: reported only once it is."""

        self._is_grouped = False
        self._keys: dict[str, tuple[str, ...]] = {}
        self._rolled_at: datetime | None = None
        """The last moment at which sessions and orders that ended were looked for."""

        self._account: tuple[tuple[Usd, Usd], AccountSnapshot] | None = None
        """What was answered last, and the worth that it was made from."""

        self._followed: tuple[int, frozenset[str]] = (-1, frozenset())
        """Names of the bars that are followed, and after how many changes of the venue."""

        book = self._file.read()
        self._marks = Marks() if book is None else marks_of_book(book.venue)
        if book is None:
            base = HOME_CURRENCY if rates is None else rates.base
            self._open_new(MatchingEngine(cash=cash, costs=costs, max_participation=max_participation, base=base))
        else:
            engine = MatchingEngine.restored(book.venue, costs=costs, max_participation=max_participation)
            self._open_kept(book, engine)

    def _open_new(self, engine: MatchingEngine) -> None:
        self._engine, self._ledger = engine, engine.ledger
        now = self._clock.now()
        self._as_of = self._clock.as_of if isinstance(self._clock, BarClock) else now
        self._sessions = [(self._session_of(now), now)]
        self._prior_close_equity: Usd | None = None

    def _open_kept(self, book: SimulatedBook, engine: MatchingEngine) -> None:
        """Go on where *book* ends, and queue what it remembers for delivery."""
        self._engine, self._ledger = engine, engine.ledger
        self._as_of = book.as_of
        self._sessions = list(zip(book.sessions, book.session_starts, strict=True))
        self._prior_close_equity = book.prior_close_equity
        if isinstance(self._clock, BarClock):
            self._clock.advance(book.as_of)
        states = sorted(engine.orders(), key=lambda update: update.at)
        self._events.extend(self._ledger.fills)
        self._events.extend(states)
        for instrument in engine.instruments():
            self._follow(instrument)
        self._currencies.update(self._ledger.balances.keys() - {self._ledger.base})

    def require(self, known: Marks) -> None:
        """Refuse to continue with books that are older than what they reported to the state.

        Raises:
            StateError: *known* holds a number that the books did not give out yet.
        """
        if self._file.path is not None and self._marks.is_behind(known):
            raise stale_book(self._file.path, self._marks, known)

    # ------------------------------------------------------------------- port

    @property
    def connections(self) -> int:
        """Return 1: a broker inside the process is never out of reach."""
        return 1

    @property
    def most_together(self) -> int:
        """Return 100 where books are written, once for all of them; in memory nothing is saved by waiting."""
        return 100 if self._file.is_written else 1

    @contextmanager
    def grouped(self) -> Iterator[None]:
        """Write the books once for all that is asked inside; nothing of it is reported before."""
        self._is_grouped = True
        try:
            yield
        finally:
            self._is_grouped = False
        if self._unsaved:
            self._keep(())

    async def connect(self) -> None:
        """Make ready: a session that ended since the books were closed expires its DAY orders."""
        self._roll(self._clock.now())

    async def close(self) -> None:
        """Let go; everything is in the books already, so a reader never writes them."""

    async def submit(self, orders: Sequence[Order]) -> None:
        """Take one transmission; it is in the books when this returns."""
        now = self._prepare(*(order.instrument for order in orders))
        for order in orders:
            if order.reference_price is not None and not self.has_price(order.instrument):
                self._events.extend(self._engine.on_price(order.instrument.key, order.reference_price, now))
        self._unsaved.extend(self._engine.submit(orders, now, meets_last=self._meets_last(orders)))
        self._hold_auctions(now)
        self._keep(())

    async def exchange(self, exchange: Exchange) -> None:
        """Cancel, change and submit; it is in the books when this returns."""
        now = self._prepare(*(order.instrument for order in exchange.orders))
        touched = {*exchange.cancel, *exchange.beside, *(order.client_order_id for order in exchange.change)}
        news = (event for event in (*self._events, *self._unsaved) if isinstance(event, Fill))
        if any(fill.client_order_id in touched for fill in news):
            why = f"Not sent: {MEANWHILE}."
            self._keep(
                OrderUpdate(client_order_id=order.client_order_id, status=OrderStatus.REJECTED, at=now, reason=why)
                for order in exchange.orders
            )
            return
        for name in exchange.cancel:
            self._unsaved.extend(self._engine.cancel(name, now))
        for order in exchange.change:
            self._unsaved.extend(self._engine.modify(order, now, meets_last=self._meets_last([order])))
        await self.submit(exchange.orders)

    async def require_ready(self, client_order_ids: Iterable[str] = ()) -> None:
        """Return: this venue always takes orders."""

    async def cancel(self, client_order_id: str) -> None:
        """Cancel; the answer is an event."""
        now = self._prepare()
        self._keep(self._engine.cancel(client_order_id, now))

    async def modify(self, order: Order) -> None:
        """Change quantity or prices; the answer is an event."""
        now = self._prepare(order.instrument)
        self._keep(self._engine.modify(order, now, meets_last=self._meets_last([order])))

    def drain(self) -> Sequence[BrokerEvent]:
        """Return what happened since the last call; the first one after opening kept books repeats what they hold."""
        events, self._events = self._events, []
        return events

    async def account(self) -> AccountSnapshot:
        """Return what the account is worth at the last prices.

        buying power = equity * buying_power_multiple - gross value of the positions, at least 0.
        """
        now = self._clock.now()
        self._roll(now)
        self._take_rates(now)
        worth, known = self._ledger.worth(), self._account
        if known is None or known[0] is not worth or known[1].taken_at != now:
            equity, gross_value = worth
            buying_power = equity * self._buying_power_multiple - gross_value
            account = AccountSnapshot(
                equity=equity,
                cash=self._ledger.total_cash,
                buying_power=Usd(max(buying_power, ZERO)),
                taken_at=now,
                prior_close_equity=self._prior_close_equity,
                is_simulated=True,
            )
            known = self._account = worth, account
        return known[1]

    async def snapshot(self) -> BrokerSnapshot:
        """Return orders and fills of the last sessions, and every position; nothing while the books are behind.

        What is not in the books may be gone with this process, so it is not reported.
        """
        if self._unsaved:
            try:
                self._save()
            except StateError:
                return BrokerSnapshot(is_complete=False)
        engine = self._engine
        return BrokerSnapshot(
            is_complete=True,
            account_id=ACCOUNT_ID,
            orders=tuple(engine.orders()),
            fills=tuple(self._ledger.fills),
            positions=dict(self._ledger.positions),
            holdings=tuple(self._ledger.holdings()),
            working=tuple(engine.working()),
        )

    async def identify(self, instrument: Instrument) -> Instrument:
        """Return *instrument*: this venue trades every security that it has a price of."""
        return instrument

    async def chain(self, underlying: Instrument, price: Price) -> OptionChain:
        """Return a grid of expiries and strikes around *price*: what is really listed is not known here."""
        return grid_of(underlying, price, self._clock.now().astimezone(NEW_YORK).date())

    async def preview(self, order: Order) -> MarginPreview | None:
        """Return None: this account has no margin requirements of its own."""
        del order
        return None

    async def refusal_of(self, order: Order) -> str:
        """Return nothing: this venue refuses no order that is well made."""
        del order
        return ""

    def move_cash(self, amount: Usd) -> None:
        """Pay *amount* in, or out when it is negative; it is in the books when this returns.

        Raises:
            InputError: more would be taken out than there is cash.
            OutcomeUnknownError: the books could not be written.
        """
        if self._ledger.total_cash + amount < ZERO:
            raise InputError(
                "not_enough_cash",
                f"{money(-amount)} cannot be taken out: there is {money(self._ledger.total_cash)} in cash.",
                hint="Close something first, or take out less.",
            )
        self._ledger.move_cash(amount)
        self._keep(())

    # ----------------------------------------------------------------- prices

    @property
    def as_of(self) -> datetime:
        """End of the last played bar."""
        return self._as_of

    def has_price(self, instrument: Instrument) -> bool:
        """Return whether a market order in *instrument* would fill at once."""
        return self._ledger.last_price(instrument.key) is not None

    def set_price(self, instrument: Instrument, price: Price, at: datetime) -> None:
        """Report the price of *instrument*: resting orders meet it."""
        events = self._engine.on_price(instrument.key, price, at)
        if events:
            self._keep(events)

    def _prepare(self, *instruments: Instrument) -> datetime:
        """Return the time after ending a session that is over and looking at newer prices of *instruments*."""
        now = self._clock.now()
        self._roll(now)
        for instrument in {instrument.key: instrument for instrument in instruments}.values():
            self._follow(instrument)
            if self._prices is not None:
                self._look(self._prices, instrument, now)
        self._take_rates(now)
        return now

    def _take_rates(self, now: datetime) -> None:
        """Count other currencies by what they are worth at *now*."""
        if self._rates is None:
            return
        for currency in self._currencies:
            rate = self._rates.of(currency, now)
            if rate is not None:
                self._ledger.set_rate(currency, rate.value, rate)

    def _meets_last(self, orders: Sequence[Order]) -> bool:
        """Return False where the last close is history for *orders*, or no market was open at it."""
        if not isinstance(self._clock, BarClock):
            return True
        if self._fills_at_next_open and any(order.role is not OrderRole.CLOSE for order in orders):
            return False
        last = self._as_of - LAST_SECOND
        return all(self._is_open(order.instrument.key, last, self._as_of) for order in orders)

    def _is_open(self, key: str, start: datetime, end: datetime) -> bool:
        """Return whether orders in *key* work in some part of start..end."""
        if self._outside_rth or key not in self._by_session:
            return True
        bounds = session_bounds(_day_of(start))
        return bounds is not None and start < bounds[1] and end > bounds[0]

    def _follow(self, instrument: Instrument) -> None:
        """Let bars of the symbol price *instrument*, be it a coin or a currency pair; an option needs its own."""
        symbol, key = instrument.bars_name, instrument.key
        if self._rates is not None and instrument.currency != self._rates.base:
            self._currencies.add(instrument.currency)
        if instrument.market_type in BY_SESSION:
            self._by_session.add(key)
        if instrument.expiry is not None:
            self._options.setdefault(underlying_of(instrument).bars_name, {})[key] = instrument
        keys = self._keys.setdefault(symbol, (symbol,))
        if instrument.market_type is MarketType.OPTIONS or key in keys:
            return
        self._keys[symbol] = (*keys, key)
        known = self._ledger.last_price(symbol)
        if known is not None and self._ledger.last_price(key) is None:
            self._unsaved.extend(self._engine.on_price(key, *known))

    def _look(self, prices: PriceSource, instrument: Instrument, now: datetime) -> None:
        quote = prices.latest(instrument, now)
        known = self._ledger.last_price(instrument.key)
        if quote is not None and (known is None or quote.at > known[1]):
            self._ledger.mark_theoretical(instrument.key, is_theoretical=quote.source == THEORETICAL)
            self._unsaved.extend(self._engine.on_price(instrument.key, quote.price, quote.at))
            bars = self._bars.bars(instrument.bars_name, until=now + LAST_SECOND)[-1:] if self._bars is not None else ()
            for bar in bars if instrument.market_type is not MarketType.OPTIONS else ():
                self._ledger.see(instrument.key, bar.close, quote.at, bar.volume)

    # ------------------------------------------------------------------- bars

    def steps(self, until: datetime) -> Iterator[datetime]:
        """Play bars that end after ``as_of`` and not after *until*, and yield each end.

        All bars with one end are one step, after which events can be drained and orders sent. Sessions that
        end in between expire their DAY orders. The books are kept after every step with events, and at the end;
        who stops early hears nothing of books that cannot be written.

        Raises:
            StateError: the books could not be written; what happened is reported after the next write that works.
        """
        if self._bars is None:
            return
        start = self._as_of
        feeds = [self._bars.bars(symbol, after=start, until=until) for symbol in self._bars.symbols()]
        try:
            for end, bars in groupby(merge(*feeds, key=PLAY_ORDER), key=END):
                self._play(end, bars)
                yield end
        except GeneratorExit:
            with suppress(StateError):  # nobody listens any more: bars that are not in the books are played again
                self._save()
            raise
        if self._as_of > start:
            self._save()

    def step(self, end: datetime) -> None:
        """Play the bars that end at *end* of what is held or has orders, as ``steps`` does for every bar.

        Other prices are looked up when an order comes: who steps leaves out no end of a bar of ``followed``.

        Raises:
            StateError: the books could not be written.
        """
        last = [self._newest(name, end) for name in self.followed]
        self._play(end, sorted([bar for bar in last if bar is not None and bar.end == end], key=PLAY_ORDER))

    @property
    def followed(self) -> frozenset[str]:
        """Names of the bars that price what is held and what has orders."""
        changes = self._engine.changes
        if self._followed[0] != changes:
            self._followed = changes, frozenset([instrument.bars_name for instrument in self._engine.active()])
        return self._followed[1]

    @property
    def follows_others(self) -> bool:
        """True while something is held or has orders that other bars price as well: an option, or other money."""
        base = HOME_CURRENCY if self._rates is None else self._rates.base
        active = self._engine.active()
        return any(each.market_type is MarketType.OPTIONS or each.currency != base for each in active)

    def play(self, until: datetime) -> int:
        """Play everything up to *until* and return the number of steps."""
        return sum(1 for _ in self.steps(until))

    def _play(self, end: datetime, bars: Iterable[Bar]) -> None:
        """Play the bars of one step."""
        engine = self._engine
        is_new_session = self._roll(end - LAST_SECOND, closed_at=self._as_of)
        has_waiting = engine.has_waiting
        steps = []
        for bar in bars:
            for key in self._keys.get(bar.symbol) or (bar.symbol,):
                if self._outside_rth or self._is_open(key, bar.start, bar.end):
                    steps.append(BarStep(key, bar, auctions_in(bar.start, bar.end) if has_waiting else ()))
                else:
                    self._ledger.see(key, bar.close, bar.end, bar.volume)
            if self._options:
                steps.extend(self._option_steps(bar))
        self._unsaved.extend(engine.on_bars(steps))
        self._as_of = end
        if engine.has_deadlines:
            self._settle_expired(end)
        if isinstance(self._clock, BarClock):
            self._clock.advance(end)
        if self._currencies:
            self._take_rates(end)
        if is_new_session or self._unsaved:
            self._save()

    def _option_steps(self, bar: Bar) -> Iterator[BarStep]:
        """Yield what a bar of an underlying means for the contracts on it that have no bars of their own."""
        options = self._options.get(bar.symbol)
        if not options or self._option_bar is None:
            return
        for key, instrument in list(options.items()):
            if has_expired(instrument, bar.start):
                del options[key]
            elif self._is_open(key, bar.start, bar.end) and (made := self._option_bar(instrument, bar)) is not None:
                self._ledger.mark_theoretical(key, is_theoretical=True)
                yield BarStep(key, made)

    # ------------------------------------------------------------------ books

    def _roll(self, now: datetime, closed_at: datetime | None = None) -> bool:
        """End the running session when *now* belongs to a later one, and forget what is too old."""
        engine = self._engine
        ended_at = closed_at or now
        if engine.has_deadlines:
            self._unsaved.extend(engine.expire(ended_at))
            if engine.has_waiting:
                self._hold_auctions(ended_at)
            self._settle_expired(now)
        if self._unsaved and closed_at is None and not self._is_grouped:
            with suppress(StateError):  # reported once it is in the books
                self._save()
        if now == self._rolled_at:
            return False
        self._rolled_at, session = now, self._session_of(now)
        if session <= self._sessions[-1][0]:
            return False
        self._prior_close_equity = self._ledger.equity
        self._pay_dividends(self._sessions[-1][0], session)
        sent_before = ended_at - LAST_SECOND if self._fills_at_next_open else None
        # Opening the books again would find the same.
        self._events.extend(engine.end_session(ended_at, sent_before=sent_before))
        self._sessions = [*self._sessions, (session, ended_at)][-KEPT_SESSIONS:]
        engine.forget(self._sessions[0][1])
        return True

    def _pay_dividends(self, before: str, session: str) -> None:
        """Pay the dividends of the sessions after *before*, up to *session*, on what is held when they begin."""
        due = [each for each in self._dividends if before < each.ex_date.isoformat() <= session]
        held = self._ledger.positions if due else {}
        for each in due:
            amount = Usd((held.get(each.symbol, ZERO) * each.value).quantize(CENT))
            if amount:
                self._ledger.move_cash(amount)
                self.dividends_paid = Usd(self.dividends_paid + amount)

    def _settle_expired(self, now: datetime) -> None:
        """Turn contracts whose end has come into cash, at the intrinsic value that their underlying gives them.

        No shares change hands: a contract in the money is worth what its exercise and the sale of the shares would
        bring. Where the underlying has no price the contract is worth its own last price.
        """
        for instrument in self._engine.expiring():
            at = settled_at(instrument)
            if at is None or at > now or not has_expired(instrument, now):
                continue
            value = self._value_at_expiry(instrument, at)
            if value is not None:
                self._unsaved.extend(self._engine.settle(instrument.key, value, at))

    def _value_at_expiry(self, instrument: Instrument, at: datetime) -> Price | None:
        """Return the intrinsic value of a contract that is settled *at*; None while nothing has a price."""
        underlying = underlying_of(instrument)
        known = self._ledger.last_price(underlying.key)
        price = None if known is None or known[1] > at else known[0]
        if self._bars is not None and is_settled_at_opening(instrument):
            session = self._bars.bars(underlying.bars_name, after=at, until=at + SESSION)
            price = session[0].open if session else price
        elif self._prices is not None and (quote := self._prices.latest(underlying, at)) is not None:
            price = quote.price
        if price is not None:
            return intrinsic_value(instrument, price)
        own = self._ledger.last_price(instrument.key)
        return own[0] if own is not None else None

    def _hold_auctions(self, now: datetime) -> None:
        """Hold the auctions that are over and that no bar, which is still to be played, brings."""
        for order in self._engine.waiting():
            at = self._next_auction(order.order_type.row.phase, order.updated_at)
            if at is None or at > now or self._is_to_be_played(order.instrument.symbol, at):
                continue
            quote = self._prices.latest(order.instrument, at + LAST_SECOND) if self._prices is not None else None
            prices = {} if quote is None else {order.instrument.key: quote.price}
            self._unsaved.extend(self._engine.auction(order.order_type.row.phase, at, prices))

    def _is_to_be_played(self, symbol: str, until: datetime) -> bool:
        return self._bars is not None and bool(self._bars.bars(symbol, after=self._as_of, until=until + LAST_SECOND))

    def _keep(self, events: Iterable[BrokerEvent]) -> None:
        """Put *events* into the books, then queue them."""
        self._unsaved.extend(events)
        if self._is_grouped:
            return
        try:
            self._save()
        except StateError as error:
            raise OutcomeUnknownError(
                "simulated_broker_unsaved",
                f"the simulated broker took the request but could not write its books: {error.message}",
                hint=error.hint,
                details=error.details,
            ) from error

    def _save(self) -> None:
        """Write the books; what is in them may be reported."""
        if self._file.path is not None:
            self._file.write(self._book())
        self._events.extend(self._unsaved)
        self._unsaved.clear()

    def _book(self) -> SimulatedBook:
        return SimulatedBook(
            version=VERSION,
            venue=self._engine.dump(),
            as_of=self._as_of,
            sessions=tuple(session for session, _ in self._sessions),
            session_starts=tuple(start for _, start in self._sessions),
            prior_close_equity=self._prior_close_equity,
        )


@lru_cache(maxsize=64)
def _day_of(start: datetime) -> date:
    """Return the date in New York; bars of many symbols begin together."""
    return start.astimezone(NEW_YORK).date()


def _newest_of(source: BarSource | None) -> Callable[[str, datetime], Bar | None]:
    """Return what finds the last bar of a symbol that ended by a time; a source that finds it alone does so."""
    find: Callable[[str, datetime], Bar | None] | None = getattr(source, "newest", None)
    if find is not None:
        return find
    return lambda symbol, until: next(iter(source.bars(symbol, until=until)[-1:]), None) if source else None
