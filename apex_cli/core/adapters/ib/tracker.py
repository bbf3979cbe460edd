"""Order states derived from IB callbacks. An order becomes final only when executions or completed orders confirm it.

A word that sounds like an end (Cancelled, Inactive, an error that carries the order's id) only raises a doubt. A doubt
is settled by executions that fill the whole order, or by a fresh list of all open orders: who is on it works, who is
not has ended, and how it ended is in the broker's last status, its list of completed orders, or the error.
Of what filled, the larger of status and executions holds; no end is reported before every execution of it is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime

from msgspec.structs import replace

from apex_cli.core.adapters.ib.callbacks import (
    CommissionWord,
    CompletedOrder,
    Executed,
    OpenOrder,
    StatusWord,
    Trouble,
    Word,
)
from apex_cli.core.adapters.ib.known_order import Known
from apex_cli.core.adapters.ib.refusals import Meaning, is_pattern_day_trade, meaning_of
from apex_cli.core.adapters.ib.security_register import SecurityRegister
from apex_cli.core.model.broker_events import BrokerEvent, OrderUpdate
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.money import ZERO, Quantity
from apex_cli.core.model.order import HELD, Order, OrderStatus

NOT_SEEN = frozenset({"", "PendingSubmit", "ApiPending"})
"""Statuses that do not prove that the broker has the order."""

SOUNDS_ENDED = frozenset({"Filled", "Cancelled", "ApiCancelled", "Inactive"})


LOCATE = "locate"
"""Why the broker holds a sale of shares that it has not borrowed yet."""

OWN_PREFIX = "apex-"
"""How the ``orderRef`` of every apex begins."""


def looks_like_ours(ref: str) -> bool:
    """Return whether some apex gave an order this name."""
    return ref.startswith(OWN_PREFIX)


def no_name(number: str) -> str:
    """Return no name for any number of the broker."""
    del number
    return ""


class Tracker:
    """Turns words into broker events, each reported once."""

    def __init__(
        self,
        now: Callable[[], datetime],
        is_ours: Callable[[str], bool] | None = None,
        register: SecurityRegister | None = None,
        name_of: Callable[[str], str] = no_name,
    ) -> None:
        """Know nothing yet.

        Args:
            now: dates what the broker does not date.
            is_ours: says by its name whether an order is one of this apex. The account may be shared with another
                one, or an earlier state may be gone: their orders look like ours, and their fills are not ours.
            register: says which security of ours a contract of the broker is.
            name_of: returns our name of an order by the broker's number, empty where our books do not know it.
        """
        self._name_of = name_of
        self.register = register or SecurityRegister()
        self._now = now
        self.is_ours = is_ours or looks_like_ours
        self.client_id = -1
        """Whose order ids errors carry: those of this connection."""

        self.account = ""
        """Executions and orders of other accounts are not ours; empty takes all."""

        self.orders: dict[str, Known] = {}
        self.fills: dict[str, Fill] = {}
        """Executions of our orders by key."""

        self.foreign_fills: dict[str, Fill] = {}
        self.doubts: set[str] = set()
        self.pdt_rejected = False
        self._by_perm: dict[int, Known] = {}
        self._by_id: dict[tuple[int, int], Known] = {}
        self._commissions: dict[str, CommissionWord] = {}
        self._statuses: dict[int, StatusWord] = {}
        self._events: list[BrokerEvent] = []

    # what we do

    def sent(self, order: Order, *, client_id: int, order_id: int) -> Known:
        """Note that *order* leaves now."""
        known = Known(ref=order.client_order_id, client_id=client_id, order_id=order_id, order=order)
        self.orders[known.ref] = known
        self._by_id[client_id, order_id] = known
        return known

    def drain(self) -> Sequence[BrokerEvent]:
        """Return what is new since the last call."""
        events, self._events = self._events, []
        return events

    def has_news_of(self, refs: Collection[str]) -> bool:
        """Return whether something has filled of *refs* that was not drained yet, or may have: a status names more."""
        if any(isinstance(event, Fill) and event.client_order_id in refs for event in self._events):
            return True
        known = (self.orders.get(ref) for ref in refs)
        return any(each.filled > each.accounted for each in known if each is not None)

    def report_again(self, ref: str, reason: str = "") -> None:
        """Report the state of *ref* once more."""
        known = self.orders[ref]
        known.reason = reason or known.reason
        if known.reported is not None:
            self._report(known, known.reported[0], is_again=True)

    def refuse(self, orders: Iterable[Order], reason: str) -> None:
        """Report that *orders* were rejected here; they never left."""
        for order in orders:
            self._events.append(
                OrderUpdate(
                    client_order_id=order.client_order_id, status=OrderStatus.REJECTED, at=self._now(), reason=reason
                )
            )

    def updates(self) -> tuple[OrderUpdate, ...]:
        """Return the state of each order that the broker has reported and that is not in doubt."""
        return tuple(
            self._update(known, known.reported[0])
            for known in self.orders.values()
            if known.reported is not None and known.ref not in self.doubts
        )

    def bound_exits(self) -> tuple[Known, ...]:
        """Return the exits of this client that still name an entry that has ended, where several groups of them do."""
        groups: dict[int, set[str]] = {}
        bound = [known for known in self.orders.values() if self._is_bound(known)]
        for known in bound:
            if known.terms is not None:
                groups.setdefault(known.terms.parent_id, set()).add(known.terms.oca_group)
        return tuple(known for known in bound if known.terms is not None and len(groups[known.terms.parent_id]) > 1)

    def _is_bound(self, known: Known) -> bool:
        terms = known.terms
        if terms is None or not terms.parent_id or not known.is_open or known.is_set_free:
            return False
        parent = self._by_id.get((self.client_id, terms.parent_id))
        return known.client_id == self.client_id and (parent is None or not parent.is_open)

    # what we hear

    def hear(self, word: Word) -> None:
        """Take in one word."""
        word = self._named(word)
        match word:
            case OpenOrder():
                self._hear_open(word)
            case StatusWord():
                self._hear_status(word)
            case Executed():
                self._hear_execution(word)
            case CommissionWord():
                self._hear_commission(word)
            case Trouble():
                self._hear_trouble(word)
            case CompletedOrder():
                self._hear_completed(word)

    def _named(self, word: Word) -> Word:
        """Return *word* about the security and the order of ours that it means."""
        match word:
            case OpenOrder():
                return self.named(word)
            case CompletedOrder():
                return replace(word, ref=self._ref(word.ref, word.perm_id))
            case Executed(fill=fill):
                name = self._ref(fill.client_order_id, word.perm_id)
                ours = self.register.ours(fill.instrument)
                return replace(word, fill=replace(fill, instrument=ours, client_order_id=name))
            case _:
                return word

    def named(self, word: OpenOrder) -> OpenOrder:
        """Return an open order with our names of its security and of itself."""
        ours = self.register.ours(word.instrument)
        return replace(word, instrument=ours, ref=self._ref(word.ref, word.perm_id))

    def name_foreign_fills(self) -> None:
        """Name the securities of executions of other hands as they are called since more is known of them."""
        for key, fill in self.foreign_fills.items():
            self.foreign_fills[key] = replace(fill, instrument=self.register.renamed(fill.instrument))

    def _ref(self, ref: str, perm_id: int) -> str:
        """Return *ref*, or for an order that came without one the name that goes with its permanent number."""
        if ref or not perm_id:
            return ref
        known = self._by_perm.get(perm_id)
        return known.ref if known is not None else self._name_of(str(perm_id))

    def _hear_open(self, word: OpenOrder) -> None:
        if not self.is_ours(word.ref) or self._is_of_another(word.account):
            return
        known = self._find(word.perm_id, word.client_id, word.order_id, word.ref)
        if known is None:
            known = self.orders[word.ref] = Known(ref=word.ref)
        known.client_id, known.order_id = word.client_id, word.order_id
        self._by_id[word.client_id, word.order_id] = known
        self._learn_perm(known, word.perm_id)
        if not known.is_open:
            return
        known.terms = word
        known.was_seen = known.was_seen or word.perm_id > 0
        if word.status in SOUNDS_ENDED:
            known.status = word.status
            self._doubt(known)
        elif known.was_seen and known.ref not in self.doubts:
            known.status = word.status or known.status
            self._report(known, OrderStatus.WORKING)

    def _hear_status(self, word: StatusWord) -> None:
        known = self._find(word.perm_id, word.client_id, word.order_id, "")
        if known is None:
            if word.perm_id:
                self._statuses[word.perm_id] = word
            return
        self._learn_perm(known, word.perm_id)
        known.filled = max(known.filled, word.filled)
        if not known.is_open:
            return
        known.status = word.status
        if word.status not in NOT_SEEN:
            known.was_seen = True
        is_other = word.why_held != known.why_held
        if is_other:
            known.why_held = word.why_held
            known.reason = _held(word.why_held)
        if word.status in SOUNDS_ENDED:
            self._doubt(known)
            self._end_when_filled(known)
        elif known.was_seen and known.ref not in self.doubts:
            self._report(known, OrderStatus.WORKING, is_again=is_other)

    def _hear_execution(self, word: Executed) -> None:
        if self._is_of_another(word.account):
            return
        fill = word.fill
        fill = self._charged(fill)
        if not self.is_ours(fill.client_order_id):
            _keep_newest(self.foreign_fills, replace(fill, client_order_id=""))
            return
        known = self._find(word.perm_id, -1, 0, fill.client_order_id)
        if known is None:
            known = self.orders[fill.client_order_id] = Known(ref=fill.client_order_id)
        self._learn_perm(known, word.perm_id)
        known.was_seen = True
        if known.order is not None:
            named = known.order.instrument
            fill = replace(fill, instrument=replace(named, con_id=named.con_id or fill.instrument.con_id))
        earlier = self.fills.get(fill.key)
        if not _keep_newest(self.fills, fill):
            return
        known.fills[fill.key] = fill
        if earlier is not None:
            most = earlier.quantity + known.taken_back.get(fill.key, ZERO)
            known.taken_back[fill.key] = max(most - fill.quantity, ZERO)
        self._events.append(fill)
        self._end_when_filled(known)

    def _charged(self, fill: Fill) -> Fill:
        """Return *fill* with its commission as far as that was reported."""
        word = self._commissions.get(fill.exec_id)
        if word is None or word.commission is None:
            return fill
        return replace(fill, commission=word.commission, commission_currency=word.currency)

    def _hear_commission(self, word: CommissionWord) -> None:
        """Report the fill again with what it cost; one that is not reported yet is changed in place."""
        if word.commission is None:
            return
        self._commissions[word.exec_id] = word
        for fills in (self.fills, self.foreign_fills):
            key = word.exec_id.rpartition(".")[0] or word.exec_id
            fill = fills.get(key)
            if fill is None or fill.exec_id != word.exec_id or fill.commission == word.commission:
                continue
            fresh = fills[key] = self._charged(fill)
            if fills is self.fills:
                self.orders[fresh.client_order_id].fills[key] = fresh
                self._tell_fill(fill, fresh)

    def _tell_fill(self, old: Fill, fresh: Fill) -> None:
        for number, event in enumerate(self._events):
            if event is old:
                self._events[number] = fresh
                return
        self._events.append(fresh)

    def _hear_trouble(self, word: Trouble) -> None:
        known = self._by_id.get((self.client_id, word.about))
        is_rejection = meaning_of(word.code, word.text) is Meaning.REFUSED
        if is_rejection and is_pattern_day_trade(word.text):
            self.pdt_rejected = True
        if known is None or not known.is_open:
            return
        meaning = meaning_of(word.code, word.text)
        if not known.was_never_released and (meaning is not Meaning.CANCELLED or not known.reason):
            known.reason = f"{word.text} (IB {word.code})"
        if meaning is Meaning.READ_ONLY and not known.was_seen:  # an API that takes no orders may list none either
            self._end(known, OrderStatus.REJECTED)
        elif meaning is not Meaning.INFO:
            known.code = word.code
            known.is_change_refused = known.was_seen and meaning is not Meaning.CANCELLED
            self._doubt(known)

    def _hear_completed(self, word: CompletedOrder) -> None:
        if not self.is_ours(word.ref) or self._is_of_another(word.account):
            return
        known = self._find(word.perm_id, -1, 0, word.ref)
        if known is None:
            known = self.orders[word.ref] = Known(ref=word.ref)
        self._learn_perm(known, word.perm_id)
        known.was_seen = True
        known.filled = max(known.filled, word.filled)
        if known.is_open:
            known.status = word.status if word.status in SOUNDS_ENDED else "Cancelled"
            known.reason = known.reason or word.why
            self._doubt(known)
            self._end_when_filled(known)

    # the end of a doubt

    def confirm(self, live: Iterable[OpenOrder]) -> None:
        """Settle doubts by *live*, a fresh and complete list of open orders.

        An order that is not on it has ended. One that was cut short by an execution we have not heard of stays in
        doubt until that is reported.
        """
        on_the_list = {word.ref for word in live if word.status not in SOUNDS_ENDED}
        for ref in list(self.doubts):
            known = self.orders[ref]
            if ref in on_the_list:
                self.doubts.discard(ref)
                self._report(known, OrderStatus.WORKING, is_again=True)
                known.is_change_refused = False
            elif known.accounted >= known.filled and known.status != "Filled":
                self._end(known, self._how_it_ended(known))

    def doubt_all_open(self) -> None:
        """Doubt everything that works: after a lost link anything may have happened to it.

        Of what was on its way when the link was lost, nothing is concluded from silence.
        """
        for known in self.orders.values():
            if known.is_open and known.was_seen:
                self._doubt(known)

    def revenants(self, live: Iterable[OpenOrder]) -> tuple[Known, ...]:
        """Return orders of this connection that have ended for us and still lie inactive at the broker.

        An inactive order can come to life again: it is cancelled.
        """
        known = (self.orders.get(word.ref) for word in live if word.status == "Inactive")
        return tuple(each for each in known if each and not each.is_open and each.client_id == self.client_id)

    @staticmethod
    def _how_it_ended(known: Known) -> OrderStatus:
        if known.was_never_released and not known.executed:
            return OrderStatus.REJECTED
        if known.executed or known.was_asked_to_cancel:
            return OrderStatus.CANCELLED
        if known.status == "Inactive" or not known.was_seen:
            return OrderStatus.REJECTED
        is_refused = known.code and meaning_of(known.code, known.reason) is Meaning.REFUSED
        return OrderStatus.REJECTED if is_refused else OrderStatus.CANCELLED

    def _end_when_filled(self, known: Known) -> None:
        """Executions prove the end of an order: all of its quantity, or all that a status of Filled names."""
        total = known.quantity
        is_whole = total is not None and known.executed >= total
        is_told = known.status == "Filled" and ZERO < known.filled <= known.accounted
        if known.is_open and (is_whole or is_told):
            self._end(known, OrderStatus.FILLED)

    def _end(self, known: Known, status: OrderStatus) -> None:
        known.ended = status
        self.doubts.discard(known.ref)
        self._report(known, status)

    def _doubt(self, known: Known) -> None:
        self.doubts.add(known.ref)

    def _report(self, known: Known, status: OrderStatus, *, is_again: bool = False) -> None:
        terms = known.terms
        reported = (status, known.quantity, terms.stop_price if terms else None, terms.limit_price if terms else None)
        if reported == known.reported and not is_again:
            return
        known.reported = reported
        self._events.append(self._update(known, status))

    def _update(self, known: Known, status: OrderStatus) -> OrderUpdate:
        """Return the broker's word; of a filled order what it executed is its size, whatever was asked for last."""
        quantity = known.terms.quantity if known.terms and known.is_open else None
        if status is OrderStatus.FILLED and known.executed:
            quantity = Quantity(known.executed)
        return OrderUpdate(
            client_order_id=known.ref,
            status=status,
            broker_order_id=str(known.perm_id) if known.perm_id else None,
            quantity=quantity,
            limit_price=known.terms.limit_price if known.terms else None,
            stop_price=known.terms.stop_price if known.terms else None,
            at=self._now(),
            reason=known.reason,
            is_change_refused=known.is_change_refused and status is OrderStatus.WORKING,
            is_pdt_refusal=status is OrderStatus.REJECTED and is_pattern_day_trade(known.reason),
        )

    # identities

    def _is_of_another(self, account: str) -> bool:
        return bool(self.account and account) and account != self.account

    def _find(self, perm_id: int, client_id: int, order_id: int, ref: str) -> Known | None:
        """Return the order by the broker's number, by our name, or by client and order id.

        Order ids are issued again after a restart of the gateway: they count only where nothing contradicts them.
        """
        if perm_id and perm_id in self._by_perm:
            return self._by_perm[perm_id]
        if ref:
            return self.orders.get(ref)
        known = self._by_id.get((client_id, order_id))
        return known if known is not None and known.perm_id in {0, perm_id} else None

    def _learn_perm(self, known: Known, perm_id: int) -> None:
        """Take the broker's number of an order; an early status that carried only the number counts now."""
        if not perm_id or known.perm_id == perm_id:
            return
        known.perm_id = known.perm_id or perm_id
        self._by_perm[perm_id] = known
        early = self._statuses.pop(perm_id, None)
        if early is not None:
            known.filled = max(known.filled, early.filled)


def _held(why: str) -> str:
    """Return what the broker waits for with an order that it holds; empty when it holds it no more."""
    if not why:
        return ""
    return f"{HELD}{why}" + (", until the broker has shares to borrow" if why == LOCATE else "")


def _keep_newest(fills: dict[str, Fill], fill: Fill) -> bool:
    """Keep *fill* unless it, or a later correction of it, is kept already; True when it was news.

    A commission that comes later is put on the fill that is kept.
    """
    known = fills.get(fill.key)
    if known is not None and known.revision >= fill.revision:
        return False
    fills[fill.key] = fill
    return True
