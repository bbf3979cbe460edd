"""The order desk: orders that clients place, change and cancel, worked by the matching engine, reported as IB does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

import msgspec

from apex_cli.core.market.calendar import auctions_in
from apex_cli.core.model.broker_events import BrokerEvent, OrderUpdate
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.instrument import HOME_CURRENCY, PAIR_MARKS, Instrument, MarketType
from apex_cli.core.model.limits import CommissionPlan
from apex_cli.core.model.market import Bar
from apex_cli.core.model.money import Price, Quantity, Usd
from apex_cli.core.model.order import OrderStatus, Phase
from apex_cli.core.venue.costs import CostModel
from apex_cli.core.venue.engine import MatchingEngine
from apex_cli.gateway.accounts import Holdings, preview, refusal_of
from apex_cli.gateway.contracts import Contract, Listing, Listings
from apex_cli.gateway.messages import INVALID, NO_DEFINITION
from apex_cli.gateway.policy import Children, OcaPartial, Policy
from apex_cli.gateway.register import Register
from apex_cli.gateway.rows import (
    CANCELLED,
    FILLED,
    INACTIVE,
    PRE_SUBMITTED,
    SUBMITTED,
    CommissionReport,
    ErrorReport,
    ExecutionReport,
    OrderReport,
    OrderRow,
    PreviewReport,
    Report,
    StatusReport,
)
from apex_cli.gateway.terms import Placement, Terms
from apex_cli.gateway.translation import (
    change_problem,
    changed_terms,
    coin_problem,
    terms_problem,
    to_order,
    wire_status,
)

CANCELS_OTHERS = 1
"""OCA type: a fill cancels the others."""

replace = msgspec.structs.replace


class Desk(Register):
    """Orders of all clients. Every method returns the reports to send, in order; time comes with each call."""

    def __init__(
        self,
        *,
        cash: Decimal,
        symbols: Iterable[str] = (),
        policy: Policy | None = None,
        is_margin: bool = True,
        plan: CommissionPlan = CommissionPlan.IB_FIXED,
        base: str = HOME_CURRENCY,
        rates: Mapping[str, Decimal] | None = None,
        engine: MatchingEngine | None = None,
    ) -> None:
        """Open an account with *cash* in the currency *base*, flat; or continue with an *engine* that was restored.

        *rates* say what one unit of each other currency is worth in it, until a pair has another price.
        """
        super().__init__()
        self.policy = policy or Policy()
        self.costs = CostModel(plan=plan)
        self.engine = engine or MatchingEngine(cash=Usd(cash), costs=self.costs, base=base)
        for currency, rate in (rates or {}).items():
            self.engine.ledger.set_rate(currency, rate)
        self.listings = Listings(symbols)
        self.holdings = Holdings(self.engine, self.policy, is_margin=is_margin)
        self.late_fills: dict[str, Decimal] = {}
        """Quantity that fills after the cancel is reported, by orderRef: an injected fault."""

    def place(self, client_id: int, placement: Placement, at: datetime) -> list[Report]:
        """Take one ``placeOrder``: a new order, a change of one, or a what-if."""
        order_id, terms = placement.order_id, placement.terms
        listing = self.listings.find(placement.contract)
        known = self.row_of(client_id, order_id)
        if terms.what_if:
            known = None
        problem = self._intake_problem(client_id, placement, listing, known)
        if problem is not None or listing is None:
            code, text = problem or (200, NO_DEFINITION)
            return [ErrorReport(client_id=client_id, order_id=order_id, code=code, text=text)]
        if terms.what_if:
            row = self._row(client_id, placement, listing, at, perm_id=0)
            return [PreviewReport(row=row, margins=preview(row, listing, self.holdings, self.costs, at))]
        if known is not None:
            return self._change(known, terms, listing, at)
        self.held[client_id, order_id] = placement
        return self._transmit(client_id, placement, at) if terms.transmit else []

    def _intake_problem(
        self, client_id: int, placement: Placement, listing: Listing | None, known: OrderRow | None
    ) -> tuple[int, str] | None:
        """Return why a placement is not taken; None when it is, its id then counts as used."""
        order_id, terms = placement.order_id, placement.terms
        if self.policy.read_only:
            return 321, f"{INVALID}The API interface is currently in Read-Only mode."
        if listing is None:
            return 200, NO_DEFINITION
        is_new = known is None and (client_id, order_id) not in self.held and not terms.what_if
        if is_new:
            if self.policy.demands_rising_ids and order_id < self.next_order_id(client_id):
                return 103, "Duplicate order id"
            self.highest[client_id] = max(order_id, self.highest.get(client_id, 0))
        is_coin = listing.instrument.market_type is MarketType.CRYPTO
        problem = coin_problem(terms) if is_coin and not self.policy.coins_rest else None
        problem = problem or terms_problem(terms, listing)
        if problem is None and terms.parent_id and known is None and not self.is_parent(client_id, terms.parent_id):
            return 135, f"Can't find order with id ={terms.parent_id}"
        return problem

    def _transmit(self, client_id: int, last: Placement, at: datetime) -> list[Report]:
        """Release *last*, and with a child its parent and the siblings that wait."""
        parent_id = last.terms.parent_id
        batch = [
            held
            for (owner, order_id), held in self.held.items()
            if owner == client_id and (held is last or (parent_id and parent_id in {order_id, held.terms.parent_id}))
        ]
        rows = []
        for held in batch:
            del self.held[client_id, held.order_id]
            listing = self.listings.find(held.contract)
            if listing is not None:
                self.last_perm_id += 1
                rows.append(self.put(self._row(client_id, held, listing, at, perm_id=self.last_perm_id)))
        return self._submit(rows, at)

    def _row(
        self,
        client_id: int,
        placement: Placement,
        listing: Listing,
        at: datetime,
        *,
        perm_id: int,
        by_hand: bool = False,
    ) -> OrderRow:
        terms = placement.terms
        parent = self.row_of(client_id, terms.parent_id) if terms.parent_id else None
        exchange = placement.contract.exchange or listing.contract.exchange
        return OrderRow(
            perm_id=perm_id,
            client_id=client_id,
            order_id=placement.order_id,
            contract=replace(listing.contract, exchange=exchange),
            key=listing.instrument.key,
            terms=terms,
            status=PRE_SUBMITTED if parent else SUBMITTED,
            is_manual=by_hand,
            parent_perm_id=parent.perm_id if parent else 0,
            placed_at=at,
        )

    def place_by_hand(self, contract: Contract, terms: Terms, at: datetime) -> list[Report]:
        """Take an order that a person typed into TWS: it belongs to no API client.

        Raises:
            KeyError: the venue does not list *contract*.
        """
        listing = self.listings.find(contract)
        if listing is None:
            raise KeyError(contract.symbol)
        self.last_perm_id += 1
        placement = Placement(order_id=0, contract=contract, terms=terms)
        row = self.put(self._row(0, placement, listing, at, perm_id=self.last_perm_id, by_hand=True))
        return self._submit([row], at)

    def _submit(self, rows: Sequence[OrderRow], at: datetime) -> list[Report]:
        """Hand one transmission to the engine, unless the account cannot pay it."""
        refusal = next(
            filter(None, (refusal_of(row, self.listings.of_key(row.key), self.holdings, at) for row in rows)), ""
        )
        if refusal:
            return [report for row in rows for report in self._rejected(row, refusal, at)]
        held_back = [row for row in rows if row.parent_perm_id and self._holds_back(row)]
        orders = [to_order(row, self.listings.of_key(row.key)) for row in rows if row not in held_back]
        reports: list[Report] = [OrderReport(row=row) for row in held_back]
        reports += self._reports_of(self.engine.submit(orders, at), at)
        if self.policy.warns_of_preset_tif:
            reports += [
                _error(row, 10349, "Order TIF was set to DAY based on order preset.")
                for row in rows
                if not row.terms.tif and not row.is_manual
            ]
        return reports

    def _rejected(self, row: OrderRow, reason: str, at: datetime) -> list[Report]:
        status = self.policy.rejects_as or INACTIVE
        row = self.put(replace(row, status=status, reason=reason, done_at=at))
        reports: list[Report] = [_error(row, 201, f"Order rejected - reason:{reason}")]
        if self.policy.rejects_as:
            reports.append(OrderReport(row=row))
        return reports

    def refuse(self, client_id: int, order_id: int, code: int, text: str, at: datetime) -> list[Report]:
        """Refuse a working order after its acknowledgement: it ends inactive."""
        row = self.row_of(client_id, order_id)
        if row is None or not row.is_open:
            return []
        if self.engine.order(row.name) is not None:
            self.engine.cancel(row.name, at)
        row = self.put(replace(row, status=INACTIVE, reason=text, done_at=at))
        return [_error(row, code, text), StatusReport(row=row), *self._consequences(row, at)]

    def _change(self, row: OrderRow, terms: Terms, listing: Listing, at: datetime) -> list[Report]:
        """Give a working order the quantity, prices and time in force of *terms*."""
        names_final_parent = bool(terms.parent_id) and not self._parent_is_open(row)
        problem = change_problem(row, terms, listing.instrument.key)
        if problem is None and names_final_parent and self.policy.modify_child_needs_parent:
            problem = 135, f"Can't find order with id ={terms.parent_id}"
        if problem is not None:
            return [_error(row, *problem)]
        changed = replace(row, terms=changed_terms(row.terms, terms))
        if self.engine.order(row.name) is None:
            return [OrderReport(row=self.put(changed))]
        events = self.engine.modify(to_order(changed, listing), at)
        first = events[0] if events else None
        if isinstance(first, OrderUpdate) and first.reason.startswith("change refused"):
            return [_error(row, 201, f"Order rejected - reason:{first.reason}")]
        self.put(changed)
        return self._reports_of(events, at)

    def _parent_is_open(self, row: OrderRow) -> bool:
        parent = self.orders.get(row.parent_perm_id)
        return parent is not None and parent.is_open

    def cancel(self, client_id: int, order_id: int, at: datetime) -> list[Report]:
        """Take one ``cancelOrder``: a client reaches only its own ids."""
        if (client_id, order_id) in self.held:
            return self._drop_held(client_id, order_id, at)
        row = self.row_of(client_id, order_id)
        text = f"OrderId {order_id} that needs to be cancelled"
        if row is None:
            found = (10147, f"{text} is not found.")
        elif not row.is_open:
            found = (10148, f"{text} cannot be cancelled, state: {row.status}.")
        else:
            return self.cancel_row(row, at)
        return [ErrorReport(client_id=client_id, order_id=order_id, code=found[0], text=found[1])]

    def _drop_held(self, client_id: int, order_id: int, at: datetime) -> list[Report]:
        """Forget an order that was never transmitted, and its children."""
        names = [
            name
            for name, held in self.held.items()
            if name[0] == client_id and order_id in {name[1], held.terms.parent_id}
        ]
        reports: list[Report] = []
        for name in names:
            held = self.held.pop(name)
            listing = self.listings.find(held.contract)
            if listing is not None and self.policy.tells_of_held_cancels:
                row = replace(self._row(client_id, held, listing, at, perm_id=0), status=CANCELLED)
                reports += [_error(row, 202, "Order Canceled - reason:"), StatusReport(row=row)]
        return reports

    def cancel_row(self, row: OrderRow, at: datetime) -> list[Report]:
        """Cancel one open order, whoever owns it."""
        if self.engine.order(row.name) is None:
            return self._ended(row, CANCELLED, "cancelled on request", at)
        late = self.late_fills.pop(row.terms.order_ref, None)
        if late is None:
            return self._reports_of(self.engine.cancel(row.name, at), at)
        reports: list[Report] = [StatusReport(row=replace(row, status=CANCELLED))]
        reports += self.fill(row.perm_id, late, None, at)
        return [*reports, *self._reports_of(self.engine.cancel(row.name, at), at)]

    def split(self, key: str, ratio: Decimal, at: datetime) -> list[Report]:
        """Split the security *key*: *ratio* new units for each old one; its orders end."""
        self.holdings.split(key, ratio)
        return self._reports_of(self.engine.split(key, ratio, at), at)

    def rename(self, listing: Listing, symbol: str) -> None:
        """Call the security of *listing* by another ticker in everything that is reported from now on."""
        contract = self.listings.rename(listing, symbol).contract
        for name, row in list(self.orders.items()):
            if row.contract.con_id == contract.con_id:
                self.orders[name] = replace(row, contract=replace(contract, exchange=row.contract.exchange))
        self.holdings.rename(contract)

    def cancel_all(self, at: datetime) -> list[Report]:
        """Cancel every open order, whoever placed it."""
        reports: list[Report] = []
        for row in self.open_rows():
            if self.orders[row.perm_id].is_open:
                reports += self.cancel_row(self.orders[row.perm_id], at)
        return reports

    def set_price(self, listing: Listing, price: Decimal, at: datetime, *, size: Decimal | None = None) -> list[Report]:
        """Meet one price; at most *size* units fill."""
        self._take_rate(listing.instrument, price)
        return self._reports_of(self.engine.on_price(listing.instrument.key, Price(price), at, size=size), at)

    def play_bar(self, listing: Listing, bar: Bar, at: datetime) -> list[Report]:
        """Meet one bar, everything at *at*."""
        self._take_rate(listing.instrument, bar.close)
        auctions = auctions_in(bar.start, bar.end)
        return self._reports_of(self.engine.on_bar(listing.instrument.key, bar, at, auctions=auctions), at)

    def _take_rate(self, instrument: Instrument, price: Decimal) -> None:
        """Count a currency of a pair by its price: the other one is the account's, or dollars with a rate."""
        mark = PAIR_MARKS.get(instrument.market_type)
        if mark is None:
            return
        base, (first, _, quote) = self.engine.ledger.base, instrument.symbol.partition(mark)
        if quote == base:
            self.engine.ledger.set_rate(first, price)
        elif first == base:
            self.engine.ledger.set_rate(quote, 1 / price)
        elif quote == HOME_CURRENCY and quote in self.engine.ledger.rates:
            self.engine.ledger.set_rate(first, price * self.engine.ledger.rates[quote])
        elif first == HOME_CURRENCY and first in self.engine.ledger.rates:
            self.engine.ledger.set_rate(quote, self.engine.ledger.rates[first] / price)

    def fill(self, perm_id: int, quantity: Decimal, price: Decimal | None, at: datetime) -> list[Report]:
        """Fill part of one order, by default at its own price or the last one, wherever the market is."""
        row = self.orders[perm_id]
        terms = row.terms
        last = self.holdings.last_price(self.listings.of_key(row.key).instrument)
        at_price = price or terms.limit_price or terms.aux_price or last
        if at_price is None:
            return []
        return self._reports_of(self.engine.execute(row.name, Price(at_price), Quantity(quantity), at), at)

    def end_session(self, at: datetime) -> list[Report]:
        """Hold the closing auction at the last prices, then expire every DAY order."""
        reports = self._reports_of(self.engine.auction(Phase.CLOSING, at), at)
        return reports + self._reports_of(self.engine.end_session(at), at)

    def open_session(self, at: datetime) -> list[Report]:
        """Hold the opening auction at the last prices."""
        return self._reports_of(self.engine.auction(Phase.OPENING, at), at)

    def take(self, events: Sequence[BrokerEvent], at: datetime) -> list[Report]:
        """Book what happened without an order, and return the reports about the orders that it ended."""
        for event in events:
            if isinstance(event, Fill) and event.settlement is not None:
                self.holdings.settle(event, self.listings.of_key(event.instrument.key).contract)
        rest = [event for event in events if not (isinstance(event, Fill) and event.settlement is not None)]
        return self._reports_of(rest, at)

    def _reports_of(self, events: Sequence[BrokerEvent], at: datetime) -> list[Report]:
        """Book what the engine says, and return it in the wire's words, with what follows from it."""
        reports: list[Report] = []
        touched: dict[int, None] = {}
        for event in events:
            touched[int(event.client_order_id)] = None
            reports += self._filled(event) if isinstance(event, Fill) else self._updated(event, at)
        for perm_id in touched:
            reports += self._consequences(self.orders[perm_id], at)
        if self.policy.siblings_are_one_group:
            for fill in (event for event in events if isinstance(event, Fill)):
                reports += self._reduced_siblings(self.orders[int(fill.client_order_id)], fill.quantity, at)
        return reports

    def _reduced_siblings(self, row: OrderRow, quantity: Decimal, at: datetime) -> list[Report]:
        """Reduce what names the same parent as *row* does and is in another OCA group."""
        family = row.client_id, row.terms.parent_id
        reports: list[Report] = []
        for other in self.open_rows() if row.terms.parent_id else ():
            if (other.client_id, other.terms.parent_id) != family or other.terms.oca_group == row.terms.oca_group:
                continue
            left = replace(other.terms, quantity=other.terms.quantity - quantity)
            if left.quantity <= other.filled:
                reports += self.cancel_row(other, at)
            else:
                reports += self._change(other, replace(left, parent_id=0), self.listings.of_key(other.key), at)
        return reports

    def _filled(self, fill: Fill) -> list[Report]:
        row = self.orders[int(fill.client_order_id)]
        row = self.put(
            replace(
                row,
                filled=row.filled + fill.quantity,
                value=row.value + fill.quantity * fill.price,
                last_price=fill.price,
                status=SUBMITTED if row.is_open else row.status,
            )
        )
        execution = self.holdings.take(fill, row)
        reports: list[Report] = [ExecutionReport(execution=execution)]
        if row.remaining:
            reports.insert(0 if self.policy.status_before_execution else 1, StatusReport(row=row))
        return [*reports, CommissionReport(execution=execution)]

    def _updated(self, update: OrderUpdate, at: datetime) -> list[Report]:
        row = self.orders[int(update.client_order_id)]
        order = self.engine.order(update.client_order_id)
        if order is None:
            return []
        if update.status is OrderStatus.REJECTED:
            return self._rejected(row, update.reason.partition(": ")[2] or update.reason, at)
        terms = row.terms
        if update.quantity is not None:
            terms = replace(terms, quantity=update.quantity)
        if order.order.order_type.row.trails and update.stop_price is not None:
            terms = replace(terms, trail_stop_price=update.stop_price)
        row = replace(row, terms=terms)
        if update.status is not OrderStatus.WORKING:
            status = wire_status(replace(order, status=update.status))
            return self._ended(row, status, update.reason, at)
        is_over = order.status is not OrderStatus.WORKING
        status = wire_status(
            replace(order, status=OrderStatus.WORKING, kind=order.order.order_type if is_over else order.kind)
        )
        return [OrderReport(row=self.put(replace(row, status=status)))]

    def _ended(self, row: OrderRow, status: str, reason: str, at: datetime) -> list[Report]:
        row = self.put(replace(row, status=status, reason=reason, done_at=at))
        reports: list[Report] = [OrderReport(row=row)]
        if status == CANCELLED and not row.is_manual:
            reports.append(
                _error(
                    row, 202, "Order Canceled - reason:" if "request" in reason else f"Order Canceled - reason:{reason}"
                )
            )
        return reports

    def _consequences(self, row: OrderRow, at: datetime) -> list[Report]:
        """Return what happens to the relatives of an order that changed."""
        reports: list[Report] = []
        if row.filled and row.remaining and row.is_open and self._cancels_others(row):
            for leg in self.legs(row):
                reports += self.cancel_row(self.orders[leg.perm_id], at)
        children = [child for child in self.open_rows() if child.parent_perm_id == row.perm_id]
        if not row.is_open:
            reports += self._orphaned(row, children, at)
        for child in children:
            reports += self._woken(self.orders[child.perm_id])
        return reports

    def _woken(self, child: OrderRow) -> list[Report]:
        """Report a child that works since its parent has filled."""
        order = self.engine.order(child.name)
        if order is None or not child.is_open:
            return []
        status = wire_status(order)
        return [] if status == child.status else [OrderReport(row=self.put(replace(child, status=status)))]

    def _orphaned(self, parent: OrderRow, children: Sequence[OrderRow], at: datetime) -> list[Report]:
        """Return what a final parent does to its children: end them, or let those start that were held back."""
        reports: list[Report] = []
        takes_them = parent.status != FILLED and self.policy.cancelled_parent_takes_children
        for child in children:
            if self.engine.order(child.name) is not None:
                reports += self.cancel_row(child, at) if takes_them else []
            elif takes_them or not parent.filled:
                reports += self._ended(child, CANCELLED, "parent cancelled", at)
            else:
                terms = replace(child.terms, quantity=min(child.terms.quantity, parent.filled))
                row = self.put(replace(child, terms=terms))
                reports += self._reports_of(
                    self.engine.submit([to_order(row, self.listings.of_key(row.key), is_freed=True)], at), at
                )
        return reports

    def _holds_back(self, child: OrderRow) -> bool:
        parent = self.orders[child.parent_perm_id]
        return self.policy.children is Children.AT_FULL_FILL and parent.is_open

    def _cancels_others(self, row: OrderRow) -> bool:
        if self.policy.oca_partial is OcaPartial.BY_TYPE:
            return row.terms.oca_type == CANCELS_OTHERS and bool(row.terms.oca_group)
        return self.policy.oca_partial is OcaPartial.CANCEL


def _error(row: OrderRow, code: int, text: str) -> ErrorReport:
    return ErrorReport(client_id=row.client_id, order_id=row.order_id, code=code, text=text)
