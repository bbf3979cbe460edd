"""Where our books and the broker's differ: breaks, what corrects them, and what stays locked meanwhile."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from apex_cli.core.model.base import Value
from apex_cli.core.model.broker_events import BrokerOrder, OrderUpdate
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.instrument import Instrument
from apex_cli.core.model.money import Price, Quantity
from apex_cli.core.model.order import OrderRecord

EVERYTHING = "*"
"""Key of what concerns the whole account: a lock on it locks every security."""


class BreakCode(StrEnum):
    """Kinds of differences, as scripts know them."""

    ACCOUNT_DIFFERS = "account_differs"
    """The broker's account is not the one this state was made with: nothing else is compared."""

    ANSWER_INCOMPLETE = "answer_incomplete"
    """The broker's answer is incomplete: absence proves nothing."""

    MISSED_FILL = "missed_fill"
    ORDER_STATE = "order_state_differs"
    ORDER_TERMS = "order_terms_differ"
    ORDER_GONE = "order_unknown_to_broker"
    ORPHAN_ORDER = "orphan_order"
    """It works at the broker under an id of ours, and our books do not know it, or take it for finished."""

    SURPLUS_ORDER = "surplus_order"
    """Several orders work at the broker under one id of ours."""

    POSITION_DIFFERS = "position_differs"
    POSITION_MISSING = "position_missing"
    """We hold it, the broker does not."""

    POSITION_NOT_OURS = "position_not_ours"
    """The broker holds it, we do not."""

    CONTRACT_ENDED = "contract_ended"
    """An option expired, was exercised or was assigned; or what it delivered."""

    STOP_MISSING = "stop_missing"
    EXITS_EXCEED = "exits_exceed_position"
    FOREIGN_FILL = "foreign_fill"
    """A trade that apex did not ask for."""


class CorrectionKind(StrEnum):
    """What is proposed; all but ``ask`` and ``none`` are done by ``--repair``."""

    ADOPT_FILL = "adopt_fill"
    ADOPT_STATE = "adopt_state"
    ADOPT_TERMS = "adopt_terms"
    ADOPT_ORDER = "adopt_order"
    SETTLE = "settle"
    """Book how an option ended, and what it delivered."""

    RECORD_FILL = "record_fill"
    """Count a trade made outside apex; positions stay as they are."""

    RESOLVE = "resolve"
    """Give an order of ours that the broker does not have its end."""

    CANCEL = "cancel"
    BACKFILL_STOP = "backfill_stop"
    TRIM_EXITS = "trim_exits"
    ASK = "ask"
    """Only a person can decide: ``--adopt`` or ``--ignore``."""

    NONE = "none"
    """Nothing that apex may do; look at the broker."""


REMOVING = frozenset({CorrectionKind.RESOLVE, CorrectionKind.CANCEL, CorrectionKind.TRIM_EXITS})
"""What ends or shrinks something: proposed by a complete answer only."""

AUTOMATIC = frozenset(CorrectionKind) - {CorrectionKind.ASK, CorrectionKind.NONE}


class Correction(Value, frozen=True, kw_only=True):
    """What would end a break."""

    kind: CorrectionKind
    message: str
    """A sentence for people."""

    client_order_id: str = ""
    fill: Fill | None = None
    update: OrderUpdate | None = None
    record: OrderRecord | None = None
    """The order as it should stand in our books."""

    order: BrokerOrder | None = None
    split: SplitParts | None = None
    """What a position looks split by."""


class SplitParts(Value, frozen=True, kw_only=True):
    """A split: *new* units for *old* ones, 10 for 1, or 1 for 20."""

    new: int
    old: int

    def quantity(self, units: Decimal) -> Quantity:
        """Return what *units* of before are now: units * new / old."""
        return Quantity(units * self.new / self.old)

    def price(self, price: Decimal) -> Price:
        """Return what *price* of before is now: price * old / new."""
        return Price(price * self.old / self.new)

    def __str__(self) -> str:
        """Return it in words."""
        return f"{self.new} for {self.old}"


class SplitTaken(Value, frozen=True, kw_only=True):
    """A split that was taken over."""

    key: str
    parts: SplitParts


class BreakStatus(StrEnum):
    """What became of a break."""

    OPEN = "open"
    REPAIRED = "repaired"
    IGNORED = "ignored"
    """A person said that it is not ours."""


class Break(Value, frozen=True, kw_only=True):
    """One difference."""

    code: BreakCode
    key: str
    """``Instrument.key``; ``*`` for the account."""

    subject: str
    """Client order id, execution id or key: with *code* it names the difference."""

    ours: str
    """What we have, in words."""

    theirs: str
    """What the broker has, in words."""

    message: str
    correction: Correction
    instrument: Instrument | None = None
    held: Quantity | None = None
    """Signed quantity by our books, fills that are to be adopted included; of positions only."""

    at_broker: Quantity | None = None
    """Signed quantity by the broker's books; of positions only."""

    price: Price | None = None
    """Price at which the difference was traded, as far as the broker reports it."""

    status: BreakStatus = BreakStatus.OPEN

    @property
    def identity(self) -> tuple[str, str, str]:
        """Identity of a difference over several answers."""
        return (self.code, self.subject, self.theirs)

    @property
    def is_locking(self) -> bool:
        """True when nothing may be opened in the security while it lasts."""
        return self.status is BreakStatus.OPEN and self.code not in {BreakCode.FOREIGN_FILL, BreakCode.CONTRACT_ENDED}


class Lock(Value, frozen=True, kw_only=True):
    """A security in which nothing is opened: our books and the broker's differ."""

    key: str
    """``Instrument.key``, or ``*`` for all."""

    codes: tuple[BreakCode, ...]
    ours: str
    theirs: str
    message: str
    since: datetime
    split: SplitParts | None = None
    """What the position looks split by: no exit is placed at prices of before."""

    difference: Quantity | None = None
    """What the broker holds beyond our books, signed, where positions differ: exits never rest for what it lacks."""


class Ignored(Value, frozen=True, kw_only=True):
    """A holding that a person said is not ours."""

    key: str
    quantity: Decimal
    """Signed, beyond what is ours; another quantity is another difference."""

    since: datetime


class Reconciliation(Value, frozen=True, kw_only=True):
    """What the last comparison found."""

    at: datetime
    is_complete: bool
    is_final: bool = True
    """False: what was found before it was corrected; a process that died there raised no alarm."""

    account_mark: str = ""
    """Tells accounts apart without reporting them; empty before the first one."""

    breaks: tuple[Break, ...] = ()
    """As they stand after what could be repaired was."""

    locks: tuple[Lock, ...] = ()
    ignored: tuple[Ignored, ...] = ()

    @property
    def open_breaks(self) -> tuple[Break, ...]:
        """What is still to be done, by apex or by a person."""
        return tuple(each for each in self.breaks if each.status is BreakStatus.OPEN)
