"""The outcome of each signal, read from the events of a journal or of a replay, so that both can be compared."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from apex_cli.core.market.calendar import session_date
from apex_cli.core.model.base import Value
from apex_cli.core.model.currency import Rate, worth
from apex_cli.core.model.decision import DecisionKind
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.limits import Limits
from apex_cli.core.model.money import ZERO, Price, Quantity, Usd
from apex_cli.core.model.order import OrderRecord, OrderRole
from apex_cli.core.model.position import RoundTrip
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.records import BracketRecord
from apex_cli.core.model.signal import Signal
from apex_cli.core.state.events import (
    account_events,
    approval_events,
    base_event,
    order_events,
    position_events,
    signal_events,
)

LOG_KINDS = base_event.kinds_of(
    approval_events.ApprovalExpired,
    approval_events.ApprovalFailed,
    approval_events.ApprovalRejected,
    approval_events.ApprovalSuperseded,
    signal_events.Decided,
    order_events.FillBooked,
    order_events.IntentWritten,
    order_events.OrderUpdated,
    position_events.RoundTripClosed,
    position_events.RoundTripVoided,
    account_events.SessionStarted,
    signal_events.SignalEnded,
    signal_events.SignalInvalid,
    signal_events.SignalRefused,
)
"""Kinds of events that the log is made of."""


ENTRY_WORKING = "entry_working"
"""Code of the reason of an entry that is still waiting to fill where the log ends."""


class Entry(Value, frozen=True, kw_only=True):
    """A signal that was traded: its entry, and how it ended."""

    signal: Signal
    bracket: BracketRecord
    entered_at: datetime
    """Its first fill, aware UTC."""

    quantity: Quantity
    """Everything that filled."""

    price: Price
    """Mean of what filled."""

    expected: Price | None
    """Latest price when it was decided."""

    half_spread: Decimal | None
    """Half of ask - bid when it was decided, where both were known."""

    rate: Rate | None = None
    """What its prices are in, in account currency; None where it is that."""

    trip: RoundTrip | None = None
    """None while it is open."""

    @property
    def key(self) -> str:
        """The security."""
        return self.bracket.instrument.key

    @property
    def session(self) -> str:
        """Session of the first fill, YYYY-MM-DD."""
        return session_date(self.entered_at).isoformat()

    def money(self, amount: Decimal) -> Usd:
        """Return an *amount* a unit, in the currency of its prices, for all that filled, in account currency."""
        return worth(self.rate, amount * self.quantity * self.bracket.instrument.multiplier, self.price)


class _Entering:
    """An entry while its events are heard."""

    def __init__(self, bracket: BracketRecord, expected: Price | None) -> None:
        self.bracket = bracket
        self.expected = expected
        self.orders: dict[str, OrderRecord] = {}
        self.first_fill: datetime | None = None
        self.rate: Rate | None = bracket.rate
        self.is_working = True


class TradeLog:
    """Hears events, and knows what became of each signal."""

    def __init__(self) -> None:
        """Start with nothing heard."""
        self.signals: dict[str, Signal] = {}
        """Every signal that came to a decision or ended before one, as it was when it was first heard of."""

        self.limits: list[tuple[datetime, Limits]] = []
        """The limits that decisions were made with, each time they had changed."""

        self.equity: dict[str, Usd] = {}
        """What the account was worth when a session began, by its date."""

        self.first: datetime | None = None
        self.last: datetime | None = None
        self._ended: dict[str, Reason] = {}
        self._spreads: dict[str, Decimal | None] = {}
        self._entering: dict[str, _Entering] = {}
        self._trips: dict[str, RoundTrip] = {}

    def hear(self, event: base_event.BaseEvent) -> None:
        """Take one event; those that say nothing of a signal's fate are passed over."""
        self.first = self.first or event.at
        self.last = event.at
        match event:
            case signal_events.Decided(data=record):
                self._decided(record)
                if not self.limits or self.limits[-1][1] != record.limits:
                    self.limits.append((event.at, record.limits))
            case order_events.IntentWritten(data=intent) if intent.bracket is not None:
                entries = [order for order in intent.orders if order.role is OrderRole.ENTRY]
                expected = entries[0].reference_price if entries else None
                self._entering.setdefault(intent.bracket.bracket_id, _Entering(intent.bracket, expected))
            case order_events.OrderUpdated(data=order) if order.order.role is OrderRole.ENTRY:
                self._updated(order)
            case order_events.FillBooked(data=fill) if fill.role is OrderRole.ENTRY:
                self._filled(fill)
            case position_events.RoundTripClosed(data=trip):
                self._trips[trip.round_trip_id] = trip
            case position_events.RoundTripVoided(data=trip):
                self._trips.pop(trip.round_trip_id, None)
            case account_events.SessionStarted(data=counters):
                self.equity[counters.session_date] = counters.session_start_equity
            case _:
                self._end(event)

    def _decided(self, record: signal_events.DecisionRecord) -> None:
        signal, decision, quote = record.opportunity.signal, record.decision, record.snapshot.quote
        self.signals.setdefault(signal.signal_id, signal)
        if decision.kind is DecisionKind.REFUSE and decision.reasons:
            self._ended[signal.signal_id] = decision.reasons[0]
        known = quote is not None and quote.bid is not None and quote.ask is not None
        self._spreads[signal.signal_id] = (quote.ask - quote.bid) / 2 if known else None  # type: ignore[operator,union-attr]

    def _updated(self, order: OrderRecord) -> None:
        if entering := self._entering.get(order.order.bracket_id):
            entering.is_working = order.is_open
            if order.filled_quantity:
                entering.orders[order.order.client_order_id] = order

    def _filled(self, fill: Fill) -> None:
        entering = self._entering.get(fill.bracket_id)
        if entering is not None:
            first = entering.first_fill
            entering.first_fill = fill.filled_at if first is None else min(first, fill.filled_at)
            entering.rate = fill.rate or entering.rate

    def _end(self, event: base_event.BaseEvent) -> None:
        """Keep why a signal was not traded."""
        match event:
            case signal_events.SignalEnded(data=end):
                self.signals.setdefault(end.signal.signal_id, end.signal)
                if end.reasons:
                    self._ended.setdefault(end.signal.signal_id, end.reasons[0])
            case signal_events.SignalInvalid(data=row):
                self._ended.setdefault(row.signal_id or row.where, row.reason)
            case (
                approval_events.ApprovalRejected()
                | approval_events.ApprovalExpired()
                | approval_events.ApprovalSuperseded()
                | approval_events.ApprovalFailed()
            ):
                approval = event.data
                code = f"approval_{approval.status.lower()}"
                self._ended[event.subject] = Reason(code=code, message=approval.reason or code.replace("_", " "))
            case signal_events.SignalRefused():
                self._ended[event.subject] = Reason(code="rejected", message="The broker rejected its entries.")
            case _:
                pass

    def reason(self, signal_id: str) -> Reason | None:
        """Return why a signal was not traded; None where nothing is known of it."""
        if signal_id in self._ended:
            return self._ended[signal_id]
        sent = [each for each in self._entering.values() if each.bracket.signal_id == signal_id]
        if any(each.is_working for each in sent):
            return Reason(code=ENTRY_WORKING, message="Its entry was sent, and was still waiting to fill at the end.")
        if sent:
            return Reason(code="not_filled", message="Its entry was sent, and did not fill.")
        if signal_id in self.signals:
            return Reason(code="not_answered", message="It waits for an answer.")
        return None

    def entries(self) -> tuple[Entry, ...]:
        """Return every signal that was traded, by the time of its first fill."""
        trips = {trip.bracket_id: trip for trip in self._trips.values()}
        found = (self._entry(each, trips.get(name)) for name, each in self._entering.items())
        known = [entry for entry in found if entry is not None]
        return tuple(sorted(known, key=lambda entry: (entry.entered_at, entry.signal.signal_id)))

    def _entry(self, entering: _Entering, trip: RoundTrip | None) -> Entry | None:
        filled = [order for order in entering.orders.values() if order.average_price is not None]
        quantity = sum((order.filled_quantity for order in filled), ZERO)
        signal = self.signals.get(entering.bracket.signal_id)
        if not quantity or signal is None or entering.first_fill is None:
            return None
        value = sum((order.filled_quantity * (order.average_price or ZERO) for order in filled), ZERO)
        return Entry(
            signal=signal,
            bracket=entering.bracket,
            entered_at=entering.first_fill,
            quantity=Quantity(quantity),
            price=Price(value / quantity),
            expected=entering.expected,
            half_spread=self._spreads.get(signal.signal_id),
            rate=entering.rate,
            trip=trip,
        )
