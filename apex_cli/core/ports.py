"""The ports: protocols of everything outside that the core needs.

``Broker`` and ``Notifier`` are async, on one event loop, without threads. ``StateStore``,
``Clock`` and the sources are sync. Adapters keep these promises; ``tests/contracts`` checks them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

from apex_cli.core.model.account import AccountSnapshot, MarginPreview
from apex_cli.core.model.base import Value
from apex_cli.core.model.broker_events import BrokerEvent, BrokerSnapshot
from apex_cli.core.model.currency import Rate
from apex_cli.core.model.decision import Exposure
from apex_cli.core.model.instrument import Instrument
from apex_cli.core.model.market import Bar, Quote
from apex_cli.core.model.money import Price
from apex_cli.core.model.notice import Notice
from apex_cli.core.model.option_rule import OptionChain
from apex_cli.core.model.order import Exchange, Order
from apex_cli.core.model.prediction import ModelInfo, ModelOutcome, Pointer, Prediction
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.records import OutboxRow, RejectedRow, SignalReport
from apex_cli.core.model.signal import Opportunity, Signal
from apex_cli.core.state.tables import State


class Clock(Protocol):
    """What time it is for decisions."""

    def now(self) -> datetime:
        """Return the time, aware UTC."""


class Ids(Protocol):
    """Where new identities come from."""

    def new(self) -> str:
        """Return a sortable 26-character id that was never returned before."""


class StateStore(Protocol):
    """The one state file: many readers, one writer at a time."""

    def view(self) -> State:
        """Return the latest committed state, for reading only, until the next transaction.

        Raises:
            StateError: the file is damaged, missing beside a journal, or of a newer version.
        """

    def transaction(self) -> AbstractContextManager[State]:
        """Lock, reload if another process committed, lend the state, commit once at the end.

        Nothing is kept when the block raises. Never held across network or a prompt.

        Raises:
            StateError: the state cannot be read or written; nothing changed.
            BusyError: the lock was not free in time.
        """

    def grouped(self) -> AbstractContextManager[None]:
        """Make the transactions inside durable together at the end; when the block raises, none of them happened.

        For a block that waits for nobody: the lock is held until its end. Nothing may leave for the broker inside.

        Raises:
            StateError: they could not be written; none of them happened.
        """


class JournalReader(Protocol):
    """Everything that ever happened, streamed."""

    def events(
        self, kind: str | None = None, subject: str | None = None, since: datetime | None = None
    ) -> Iterator[OutboxRow]:
        """Yield events in the order of their sequence numbers, without loading them all."""


class Broker(Protocol):
    """Where orders go. Events come in order of happening; a fill may come twice, never less than once."""

    @property
    def connections(self) -> int:
        """How often a connection was made: when it rises, what was known may be out of date."""

    @property
    def most_together(self) -> int:
        """How many requests may be written down before the first of them leaves: 1 where each is on its own way."""

    def grouped(self) -> AbstractContextManager[None]:
        """Let a broker that writes books of its own write them once for all that is asked inside.

        Raises:
            OutcomeUnknownError: at its end, when the books could not be written.
        """

    async def connect(self) -> None:
        """Make ready.

        Raises:
            BrokerError: it cannot be reached or is not the right account.
        """

    async def close(self) -> None:
        """Let go of every resource; safe to call twice."""

    async def submit(self, orders: Sequence[Order]) -> None:
        """Send *orders* as one transmission: an entry with its exits, or a single order.

        Returns when the broker has them; their fate comes as events. Sending the same
        client order id twice is refused by the broker, not executed twice.

        Raises:
            BrokerError: surely nothing was sent.
            OutcomeUnknownError: perhaps something was.
        """

    async def exchange(self, exchange: Exchange) -> None:
        """Send orders in one piece with cancels and changes; what becomes of each comes as events.

        Nothing leaves, and the orders are reported as rejected, where one of the working orders has filled more than
        was drained, or those that the orders are to rest beside are in no common OCA group.

        Raises:
            BrokerError: surely nothing was sent.
            OutcomeUnknownError: perhaps something was.
        """

    async def cancel(self, client_order_id: str) -> None:
        """Ask for a cancel; the answer comes as an event, or a fill does."""

    async def require_ready(self, client_order_ids: Iterable[str] = ()) -> None:
        """Make sure that orders can be sent now, and that *client_order_ids* can be changed by this connection.

        Asked before protection is taken away for something else that must follow.

        Raises:
            BrokerError: nothing can be sent now, or one of them cannot be changed from here.
        """

    async def modify(self, order: Order) -> None:
        """Ask for new quantity or prices of a working order, known by its client order id."""

    def drain(self) -> Sequence[BrokerEvent]:
        """Return what happened since the last call, without waiting."""

    async def account(self) -> AccountSnapshot:
        """Return what the account is worth.

        Raises:
            BrokerError: not every value could be read; a part is never passed off as the whole.
        """

    async def snapshot(self) -> BrokerSnapshot:
        """Return orders, fills and positions as the broker has them.

        Raises:
            BrokerError: it cannot be asked.
        """

    async def identify(self, instrument: Instrument) -> Instrument:
        """Return *instrument* as the broker lists it, which is what orders in it name from now on.

        Raises:
            SecurityError: the broker knows none, or several, of that name.
            BrokerError: it cannot be asked.
        """

    async def chain(self, underlying: Instrument, price: Price) -> OptionChain:
        """Return the options that are listed on *underlying*, which stands at *price*.

        Raises:
            SecurityError: the broker knows no such underlying, or lists no options on it.
            BrokerError: it cannot be asked.
        """

    async def preview(self, order: Order) -> MarginPreview | None:
        """Return what the account's margin would be if *order* were filled; None when the broker cannot say."""

    async def refusal_of(self, order: Order) -> str:
        """Return why the broker would refuse *order* now; empty where it would take it, or does not say."""


class PriceSource(Protocol):
    """Latest prices."""

    async def refresh(self, instruments: Iterable[Instrument]) -> None:
        """Have a fresh price of each ready, where asking takes time; the time that takes is bounded."""

    def latest(self, instrument: Instrument, at: datetime) -> Quote | None:
        """Return the newest price known at *at*, or None; never a price of the future."""


class RateSource(Protocol):
    """What other currencies are worth in the account's."""

    @property
    def base(self) -> str:
        """Currency of the account."""

    async def refresh(self, instruments: Iterable[Instrument]) -> None:
        """Have fresh rates ready of what *instruments* are priced in; the time that takes is bounded."""

    def rate(self, instrument: Instrument, price: Decimal, at: datetime) -> Rate | None:
        """Return the newest rate of the currency that *instrument* is priced in, when it stands at *price*.

        None where that is the account's currency, or no rate is known at *at*; never a rate of the future.
        """

    def of(self, currency: str, at: datetime) -> Rate | None:
        """Return the newest rate of *currency* known at *at*, None where there is none."""


PriceOf = Callable[[Instrument], Awaitable[Price | None]]
"""Asks for the latest price; None where there is none."""


RateOf = Callable[[Instrument, Price], Awaitable[Rate | None]]
"""Asks for what an instrument at a price is priced in, in account currency; None where it is that, or not known."""


class Chore(Protocol):
    """What the loop looks after once a cycle, and after every step of simulated time."""

    async def tend(self, now: datetime) -> bool:
        """Do what is due; True when something changed.

        Raises:
            BrokerError: the broker cannot be reached; the next cycle tries again.
            StateError: an intent could not be written; nothing was sent.
        """


class BarSource(Protocol):
    """History and, in simulation, the market itself."""

    def symbols(self) -> Sequence[str]:
        """Return the symbols there are bars for."""

    def bars(self, symbol: str, *, after: datetime | None = None, until: datetime | None = None) -> Sequence[Bar]:
        """Return bars with ``after < bar.end <= until``, oldest first."""


class SignalBatch(Value, frozen=True, kw_only=True):
    """What one read of a source gave."""

    name: str
    """File name, ``-`` for standard input, or the scanner's name."""

    signals: tuple[Signal, ...] = ()
    where: tuple[str, ...] = ()
    """Origin of each signal, ``file:line``, in the same order."""

    rejected: tuple[RejectedRow, ...] = ()
    token: str = ""
    """Given back to ``settle``."""

    file_version: str = ""
    """Names the file as it stood when it was read: every process that reads it unchanged gives the same.

    Empty where nothing can be read again after a crash: a stream, a scanner.
    """


class SignalSource(Protocol):
    """Where signals come from."""

    def poll(self, now: datetime) -> Iterable[SignalBatch]:
        """Yield what is new. The same batch may come again until it is settled."""

    def settle(self, batch: SignalBatch, reports: Sequence[SignalReport]) -> None:
        """Mark *batch* as done: its outcomes are safely in the state."""


class SignalStage(Protocol):
    """A step between signal and ranking: technical analysis, prediction."""

    name: str

    async def process(self, signal: Signal) -> Signal | Reason:
        """Return the signal, perhaps with more in its metadata, or why it goes no further."""


class Ranker(Protocol):
    """Scores signals so that the best one goes first."""

    def rank(self, signal: Signal, exposures: Sequence[Exposure]) -> Opportunity:
        """Return *signal* with a score in 0..1 and its breakdown."""


class ModelStore(Protocol):
    """Versions of the predictor's models, the one in use, and the predictions that wait for their bars."""

    def versions(self) -> Sequence[ModelInfo]:
        """Return what is known of every stored model, oldest first."""

    def pointer(self) -> Pointer | None:
        """Return which version is in use, None when there is none."""

    def point_to(self, pointer: Pointer) -> None:
        """Use another version from now on."""

    def save(self, models: dict[str, Any], info: ModelInfo, *, keep: int) -> ModelInfo:
        """Store *models* as the next version, use it, drop all but *keep* versions; return it as stored."""

    def load(self, version: int, features: Sequence[str]) -> dict[str, Any]:
        """Return the models of *version*, fitted on *features*.

        Raises:
            ApexError: they cannot be used; the message says why.
        """

    def predictions(self) -> Sequence[Prediction]:
        """Return the stored predictions, oldest first."""

    def keep_predictions(self, predictions: Sequence[Prediction]) -> None:
        """Store *predictions* instead of those before."""

    def outcomes(self) -> Sequence[ModelOutcome]:
        """Return what trades on predictions brought, oldest first."""

    def keep_outcomes(self, outcomes: Sequence[ModelOutcome]) -> None:
        """Store *outcomes* instead of those before."""


class LearningHook(Protocol):
    """What learns from closed trades; looked at no more than every five minutes."""

    def prepare(self, state: State, now: datetime) -> None:
        """Gather what the next ``check`` needs from outside the state, before its transaction."""

    def check(self, state: State, now: datetime) -> None:
        """Adapt if there is reason to, inside the caller's transaction."""


class DeliveryError(Exception):
    """A notice could not be delivered.

    Attributes:
        reason: one sentence without secrets.
        is_unsure: it may have arrived all the same.
        is_final: this notice will never be taken, and the next one may be.
        retry_after_s: how long the other side wants to be left alone; None when it did not say.
    """

    def __init__(
        self, reason: str, *, is_unsure: bool = False, is_final: bool = False, retry_after_s: float | None = None
    ) -> None:
        """Keep why and what to do."""
        super().__init__(reason)
        self.reason = reason
        self.is_unsure = is_unsure
        self.is_final = is_final
        self.retry_after_s = retry_after_s


class Notifier(Protocol):
    """One way to a person. Fed with committed events only, one at a time, in their order."""

    min_interval_s: float
    """Shortest time between two notices."""

    async def notify(self, notice: Notice, *, is_silent: bool = False, is_repeat: bool = False) -> None:
        """Deliver *notice* and return when the other side has it.

        Args:
            notice: what to report.
            is_silent: without a sound, where that can be had.
            is_repeat: it was sent before and may have arrived; the message says so.

        Raises:
            DeliveryError: it did not arrive, or nobody knows.
        """

    async def close(self) -> None:
        """Let go of every resource; safe to call twice."""
