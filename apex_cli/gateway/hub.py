"""Shared by all clients: the order desk, its quotes, and the subscriptions to both."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from apex_cli.core.market.option_value import volatility_of_bars
from apex_cli.core.model.instrument import Instrument, underlying_of
from apex_cli.core.model.market import Bar
from apex_cli.gateway import messages
from apex_cli.gateway.accounts import AccountValue, account_values
from apex_cli.gateway.books import Books
from apex_cli.gateway.contracts import Listing
from apex_cli.gateway.desk import Desk
from apex_cli.gateway.faults import Faults
from apex_cli.gateway.messages import Fields
from apex_cli.gateway.option_desk import end_contracts, option_bars, option_price
from apex_cli.gateway.quotes import Quoted, Standing
from apex_cli.gateway.rows import ErrorReport, ExecutionReport, OrderRow, Report

NO_ID = -1

BarsOf = Callable[[str, datetime | None], Sequence[Bar]]
"""History of a symbol, up to a time if there is one."""


class Client(Protocol):
    """A started session, as far as the hub speaks to it."""

    client_id: int

    def cut(self) -> None:
        """Cut the connection at once."""

    def send(self, fields: Fields) -> None:
        """Send one message."""

    def report(self, report: Report) -> None:
        """Send one report of the desk."""

    def refresh_account(self) -> None:
        """Send subscribers the account values that a fill changed."""

    def tick(self, key: str) -> None:
        """Send the market of one security to the requests that want it."""


class Hub:
    """Serves clients on top of a desk; everything happens on one event loop."""

    def __init__(
        self,
        desk: Desk,
        *,
        account: str,
        now: Callable[[], datetime],
        books: Books,
        bars_of: BarsOf | None = None,
        log: Callable[[str], None] | None = None,
    ) -> None:
        """Serve *desk*.

        Args:
            desk: Orders and account, restored or new.
            account: Account id that clients see; paper accounts start with ``DU``.
            now: The time, aware UTC.
            books: Where every change is written before it is reported.
            bars_of: History of a symbol; None without.
            log: Receives one readable line for each connection and order.
        """
        self.desk = desk
        self.account = account
        self.now = now
        self.faults = Faults()
        self.log = log or (lambda _: None)
        self.bars_of = bars_of or (lambda *_: ())
        self.sessions: dict[int, Client] = {}
        """Started clients by client id."""

        self.quotes: dict[str, Quoted] = {}
        """By instrument key."""

        self.own_prices: set[str] = set()
        """Keys of options whose price was set: no model moves it."""
        self.standings: dict[str, Standing] = {}
        """Halts and what can be borrowed, by instrument key."""

        self.played_until: datetime | None = None
        """End of the last bar that was played."""

        self._connected: set[Client] = set()
        self._books = books

    # ---------------------------------------------------------------- clients

    def cut_all(self) -> None:
        """Cut every connection."""
        for session in list(self._connected):
            session.cut()

    def enter(self, session: Client) -> None:
        """Remember a connection."""
        self._connected.add(session)

    def leave(self, session: Client) -> None:
        """Forget a connection."""
        self._connected.discard(session)
        if self.sessions.get(session.client_id) is session:
            del self.sessions[session.client_id]
            self.log(f"client {session.client_id} disconnected")

    # -------------------------------------------------------------- reporting

    def report(self, reports: Iterable[Report]) -> None:
        """Write what happened to the books, then send it to every client that may receive it."""
        reports = list(reports)
        if not reports:
            return
        self.commit()
        has_traded = False
        for item in reports:
            has_traded = has_traded or isinstance(item, ExecutionReport)
            for session in list(self.sessions.values()):
                if self._may_hear(session, item):
                    session.report(item)
        if has_traded:
            for session in list(self.sessions.values()):
                session.refresh_account()

    def _may_hear(self, session: Client, item: Report) -> bool:
        if isinstance(item, ErrorReport):
            return session.client_id == item.client_id
        about = item.execution if hasattr(item, "execution") else item.row
        row = about if isinstance(about, OrderRow) else self.desk.orders[about.perm_id]
        if session.client_id == self.desk.policy.master_client_id:
            return True
        return session.client_id == row.client_id and (not row.is_manual or session.client_id == 0)

    def refuse(self, client_id: int, order_id: int, code: int, text: str) -> None:
        """Refuse an order that was taken and acknowledged before, as the broker's own checks may do."""
        self.report(self.desk.refuse(client_id, order_id, code, text, self.now()))

    def broadcast(self, code: int, text: str) -> None:
        """Send a system message to every client."""
        for session in list(self.sessions.values()):
            session.send(messages.error(NO_ID, code, text))

    def commit(self) -> None:
        """Write everything to the books."""
        self._books.write(self.desk, self.quotes, self.played_until)

    # ----------------------------------------------------------------- market

    def set_price(
        self,
        listing: Listing,
        price: Decimal,
        *,
        bid: Decimal | None = None,
        ask: Decimal | None = None,
        size: Decimal | None = None,
    ) -> None:
        """Move the market of one security: quotes go out first, then what fills."""
        self.quote(listing, price, bid=bid, ask=ask)
        self.report(self.desk.set_price(listing, price, self.now(), size=size))
        self._price_options(listing)

    def quote(
        self, listing: Listing, price: Decimal, *, bid: Decimal | None = None, ask: Decimal | None = None
    ) -> None:
        """Send the market of one security, without matching orders."""
        key, tick = listing.instrument.key, listing.instrument.tick_at(price)
        before = self.quotes.get(key)
        close = before.close if before else price
        self.quotes[key] = Quoted(bid=bid or max(price - tick, tick), ask=ask or price + tick, last=price, close=close)
        for session in list(self.sessions.values()):
            session.tick(key)

    def set_standing(self, listing: Listing, standing: Standing) -> None:
        """Halt a security or let it trade, and say what can be borrowed of it."""
        key = listing.instrument.key
        self.standings[key] = standing
        for session in list(self.sessions.values()):
            session.tick(key)

    def play_bar(self, listing: Listing, bar: Bar) -> None:
        """Meet one bar, and quote its close."""
        if listing.instrument.expiry is not None:
            self.own_prices.add(listing.instrument.key)
        self.quote(listing, bar.close)
        self.report(self.desk.play_bar(listing, bar, self.now()))
        self._price_options(listing)

    def _price_options(self, underlying: Listing) -> None:
        """Move the market of every option on *underlying* that was asked for."""
        key = underlying.instrument.key
        for listing in self.desk.listings.all():
            if listing.instrument.expiry is not None and underlying_of(listing.instrument).key == key:
                self.price_option(listing)

    def price_option(self, listing: Listing) -> None:
        """Quote an option by the model, and let its orders meet that price; one whose price was set keeps it."""
        key = listing.instrument.key
        if listing.instrument.expiry is None or key in self.own_prices:
            return
        volatility = self._volatility(listing.instrument)
        price, known = option_price(self.desk, listing.instrument, self.now(), volatility), self.quotes.get(key)
        if price is not None and (known is None or known.last != price):
            self.quote(listing, price)
            self.report(self.desk.set_price(listing, price, self.now()))

    def history(self, listing: Listing) -> Sequence[Bar]:
        """Return the bars of one security up to where they are played; those of an option by the model."""
        instrument = listing.instrument
        bars = self.bars_of(instrument.symbol, self.played_until)
        if instrument.expiry is None:
            return bars
        volatility = self._volatility(instrument)
        return option_bars(instrument, bars, volatility) if volatility is not None else ()

    def _volatility(self, instrument: Instrument) -> float | None:
        """Return the volatility that is set, else that of the bars of the underlying."""
        if self.desk.policy.volatility is not None:
            return float(self.desk.policy.volatility)
        return volatility_of_bars(self.bars_of(instrument.symbol, self.played_until))

    def settle_expired(self) -> None:
        """End the contracts whose time is over; clients see it in positions and account, as at the broker."""
        self.settle(end_contracts(self.desk, self.now()))

    def settle(self, reports: Iterable[Report] | None) -> None:
        """Report what the end of contracts brought; None for no end."""
        if reports is None:
            return
        self.commit()
        self.report(reports)
        for session in list(self.sessions.values()):
            session.refresh_account()

    # ---------------------------------------------------------------- account

    def account_values(self) -> list[AccountValue]:
        """Return every account value that clients see."""
        holdings = self.desk.holdings
        base = self.desk.engine.ledger.base
        return account_values(holdings.balance(self.now()), self.desk.policy, holdings.cash_values(), base)
