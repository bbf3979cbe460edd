"""The ``Broker`` port over Interactive Brokers: what is asked here is answered by a connection that is kept alive."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext, suppress
from datetime import datetime
from decimal import Decimal

from msgspec.structs import replace

from apex_cli.core.adapters.ib.account_values import AccountValues, account_snapshot
from apex_cli.core.adapters.ib.guards import masked
from apex_cli.core.adapters.ib.link import NO_ANSWER, REFUSED, Link
from apex_cli.core.adapters.ib.numbers import to_decimal
from apex_cli.core.adapters.ib.order_terms import order_fields, problem_with, protocol_order
from apex_cli.core.adapters.ib.refusals import Meaning, meaning_of
from apex_cli.core.adapters.ib.sender import Sender
from apex_cli.core.adapters.ib.tracker import Tracker
from apex_cli.core.errors import BrokerError, SecurityError
from apex_cli.core.model.account import AccountSnapshot, MarginPreview
from apex_cli.core.model.broker_events import BrokerEvent, BrokerSnapshot
from apex_cli.core.model.currency import Rate, own_rate
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.instrument import Instrument
from apex_cli.core.model.money import Price, Usd
from apex_cli.core.model.option_rule import OptionChain
from apex_cli.core.model.order import Order

PREVIEW_ATTEMPTS = 3


class IbBroker(Sender):
    """Orders, fills and account of one Interactive Brokers account."""

    def drain(self) -> Sequence[BrokerEvent]:
        """Return what happened since the last call, without waiting."""
        if self._link is not None:
            self.take_in(self._link)
        events = self.tracker.drain()
        return [self._rated(event) if isinstance(event, Fill) else event for event in events]

    def exchange_rates(self) -> dict[str, Decimal]:
        """Return what one unit of each currency is worth in that of the configuration, as the broker reports now."""
        return self._account_values().rates() if self.is_connected else {}

    def _rated(self, fill: Fill) -> Fill:
        """Return *fill* with what its price and its commission are worth, as far as the broker reports that."""
        base, currency = self.config.currency, fill.instrument.currency
        charged_in = "" if fill.commission_currency == base else fill.commission_currency
        if currency == base and not charged_in:
            return fill if fill.commission_currency == charged_in else replace(fill, commission_currency="")
        rates, now = self.exchange_rates(), self.clock.now()
        rate = own_rate(fill.instrument, base, fill.price, now)
        if rate is None and currency != base and currency in rates:
            rate = Rate(currency=currency, base=base, value=rates[currency], source="broker", at=now)
        return replace(fill, rate=rate, commission_currency=charged_in, commission_rate=rates.get(charged_in))

    # sending

    @property
    def most_together(self) -> int:
        """Return 1: what is asked leaves at once, and an answer may take a while."""
        return 1

    def grouped(self) -> AbstractContextManager[None]:
        """Do nothing: the broker keeps its own books."""
        return nullcontext()

    # asking

    async def identify(self, instrument: Instrument) -> Instrument:
        """Return *instrument* as the broker lists it: with its number, its class and its price steps."""
        async with self._of_one_security():
            return await self.catalog.identify(instrument)

    @asynccontextmanager
    async def _of_one_security(self) -> AsyncIterator[None]:
        """Let a question that the broker answers with an error, or not while it answers to the time, stop no other."""
        try:
            yield
        except BrokerError as error:
            if error.code == NO_ANSWER:
                await self.server_time()
            elif error.code != REFUSED:
                raise
            message = f"{error.message} Nothing was sent."
            raise SecurityError(error.code, message, hint=error.hint, details=error.details) from error

    async def account(self) -> AccountSnapshot:
        """Return what the account is worth, as the broker keeps reporting."""
        found = account_snapshot(
            self._account_values(),
            self.clock.now(),
            account_type=self.config.account_type,
            pdt_rejected=self.tracker.pdt_rejected,
        )
        return replace(found, name=masked(self.link.account))

    async def snapshot(self) -> BrokerSnapshot:
        """Return orders, fills and positions as the broker reports them now."""
        link = self.link
        found = await self.survey()
        await self.free_exits()
        tracker = self.tracker
        missing = (*found.missing(), *_unsure(link, tracker))
        return BrokerSnapshot(
            is_complete=found.is_complete and not missing,
            missing=missing,
            account_id=link.account,
            orders=tracker.updates(),
            fills=tuple(map(self._rated, tracker.fills.values())),
            positions={holding.instrument.key: holding.quantity for holding in found.holdings},
            holdings=found.holdings,
            working=found.working(None if self.read_only else link.client_id, tracker),
            foreign_fills=tuple(tracker.foreign_fills.values()),
        )

    async def chain(self, underlying: Instrument, price: Price) -> OptionChain:
        """Return the options on *underlying* that the broker lists for its own routing; *price* plays no part."""
        del price
        async with self._of_one_security():
            return await self.catalog.chain(underlying)

    async def preview(self, order: Order) -> MarginPreview | None:
        """Return the margin after *order*; None when the broker gives no number.

        A question, not an order: it is asked on read-only connections, too. The first answer may be empty: then it is
        asked again. Links between orders play no part in it.

        Raises:
            BrokerError: there is no connection, or the security is unknown.
        """
        if problem_with(order):
            return None
        await self.catalog.contract(order.instrument)
        for _ in range(PREVIEW_ATTEMPTS):
            with suppress(BrokerError):
                state = await self._what_if(order, "a margin preview")
                preview = _preview_of(state, self._account_values().own_rate())
                if preview is not None:
                    return preview
        return None

    async def refusal_of(self, order: Order) -> str:
        """Return why the broker would refuse *order* now, in its own words; empty where it would take it.

        A what-if, without links to other orders. No answer is no refusal.
        """
        if problem := problem_with(order):
            return f"{problem}."
        try:
            await self._what_if(order, "whether it would take the order")
        except BrokerError as error:
            code = error.details.get("ib_code")
            text = str(error.details.get("ib_text", ""))
            is_refused = isinstance(code, int) and meaning_of(code, text) is Meaning.REFUSED
            return f"{text} (IB {code})" if is_refused else ""
        return ""

    async def _what_if(self, order: Order, what: str) -> object:
        """Return what the broker answers to *order* as a question, without its links to other orders."""
        link = self.link
        fitted = await self.fitted(order)
        contract = await self.catalog.contract(order.instrument)
        fields = order_fields(replace(fitted, oca_group=None), order_id=0, account=link.account)
        return await link.ask(
            what,
            lambda: link.ib.whatIfOrderAsync(contract, protocol_order(link.library, fields)),
            timeout_s=self.config.quote_timeout_s,
        )

    def _account_values(self) -> AccountValues:
        link = self.link
        return AccountValues(link.ib.accountValues(link.account), link.account, self.config.currency)

    async def server_time(self) -> datetime:
        """Return the time by the broker's clock.

        Raises:
            BrokerError: it does not answer.
        """
        return await self.link.server_time()


def _unsure(link: Link, tracker: Tracker) -> Iterator[str]:
    """Yield what no answer can prove now."""
    if link.has_lost_broker:
        yield "the line from TWS to Interactive Brokers"
    elif link.must_renew:
        yield "what happened while the line to Interactive Brokers was lost"
    yield from (f"what became of {name}" for name in sorted(tracker.doubts))


def _preview_of(state: object, own_rate: Decimal) -> MarginPreview | None:
    """Return the numbers of an answer to what-if by *own_rate*; None when all of them are unset."""

    def usd(name: str) -> Usd | None:
        amount = to_decimal(getattr(state, name, None))
        return None if amount is None else Usd(amount / own_rate)

    preview = MarginPreview(
        equity_with_loan_after=usd("equityWithLoanAfter"),
        maint_margin_after=usd("maintMarginAfter"),
        init_margin_after=usd("initMarginAfter"),
    )
    return None if preview == MarginPreview() else preview
