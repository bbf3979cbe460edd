"""Takes in the signals of a request: read, checked against their source, saved, recognised when repeated."""

from __future__ import annotations

import asyncio
import io
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from typing import NamedTuple

from msgspec.structs import replace

from apex_cli.core.adapters.files.signals.alerts import SignalForm
from apex_cli.core.adapters.files.signals.signal_reader import read_signals
from apex_cli.core.adapters.state.intake_files import Taken
from apex_cli.core.errors import StateError
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.records import RejectedRow
from apex_cli.core.model.signal import Signal
from apex_cli.core.model.spelling import same_security
from apex_cli.core.ports import SignalBatch
from apex_cli.listen.group_commit import GroupCommit
from apex_cli.listen.http_refusals import RequestRefused, not_allowed, wrong_input
from apex_cli.listen.request_rates import Bucket
from apex_cli.settings.webhooks import ListenSourceSettings

MOST_KNOWN = 200_000
"""Ids of signals that are remembered; older ones are known to the run alone."""

LONG = 20_000
"""Bytes that take longer to read than others should wait."""

RECORDS_PER_MINUTE = 10
"""Refused rows of a source that the journal hears of; the log and the metrics have all of them."""

ACCEPTED, DUPLICATE = "accepted", "duplicate"


class Answered(NamedTuple):
    """What became of one signal of a request."""

    signal: Signal
    status: str
    where: str


class Outcome(NamedTuple):
    """What became of a request."""

    answered: tuple[Answered, ...]
    refused: tuple[RejectedRow, ...]


class SignalDesk:
    """Takes signals in; belongs to one event loop."""

    def __init__(
        self,
        *,
        commit: GroupCommit,
        form: SignalForm,
        max_age: timedelta,
        now: Callable[[], datetime],
    ) -> None:
        """Keep the parts; *now* is aware UTC."""
        self._commit = commit
        self._form = form
        self._max_age = max_age
        self._now = now
        self._known: OrderedDict[str, asyncio.Future[None] | None] = OrderedDict()
        """Id of a signal -> what is set as soon as it is safely kept; None afterwards."""

        self._records: dict[str, Bucket] = {}
        self._reader = ThreadPoolExecutor(max_workers=1, thread_name_prefix="alerts")

    def warm_up(self) -> None:
        """Import and prepare what the first alert would wait for."""
        self._read(BODY_HINT.encode(), "listen", "")

    def remember(self, signal_id: str) -> None:
        """Know a signal that was kept before this process began."""
        self._note(signal_id, None)

    async def take(self, body: bytes, name: str, source: ListenSourceSettings, key: str = "") -> Outcome:
        """Return once everything good in *body*, JSON of an alert or several, is safely kept.

        Signals without an id of their own are named by *key*, with which the sender names this request.

        Raises:
            RequestRefused: nothing in it is a signal that the source may send.
            StateError: it could not be kept.
        """
        where = f"listen:{name}"
        problem = _not_json(body)
        batch = await self._read_beside(body if problem is None else b"", where, f"{name} {key}" if key else "")
        good: list[tuple[Signal, str]] = []
        refused = [*batch.rejected, *([] if problem is None else [RejectedRow(where=where, reason=problem)])]
        for read, where in zip(batch.signals, batch.where, strict=True):
            signal = _of_source(read, name, source)
            reason = _forbids(signal, source)
            if reason is None:
                good.append((signal, where))
            else:
                refused.append(RejectedRow(where=where, symbol=signal.symbol, reason=reason))
        await self._record(name, refused)
        if not good:
            raise _nothing_usable(refused)
        statuses = await self._keep(good)
        answered = [Answered(signal, status, where) for (signal, where), status in zip(good, statuses, strict=True)]
        return Outcome(tuple(answered), tuple(refused))

    async def _record(self, name: str, refused: Sequence[RejectedRow]) -> None:
        """Let the run write down what a known sender sent in place of signals, as it does with files; not too often."""
        bucket = self._records.setdefault(name, Bucket(RECORDS_PER_MINUTE))
        rows = [Taken(where=row.where, rejected=row) for row in refused if not bucket.take(time.monotonic())]
        if rows and self._commit.has_room:
            with suppress(StateError):  # the sender is answered that it was refused, which is all that matters to it
                await asyncio.shield(self._commit.keep(rows))

    async def _read_beside(self, body: bytes, where: str, key: str) -> SignalBatch:
        """Read here what is read at once, and beside the loop what is long, or needs bars for its stops."""
        if self._form.default_stop is None and len(body) < LONG:
            return self._read(body, where, key)
        return await asyncio.get_running_loop().run_in_executor(self._reader, self._read, body, where, key)

    def close(self) -> None:
        """End the thread that reads."""
        self._reader.shutdown()

    def _read(self, body: bytes, where: str, key: str) -> SignalBatch:
        form = self._form._replace(key=key)
        now = self._now()
        return read_signals(io.BytesIO(body), where, now=now, max_age=self._max_age, kind="json", form=form)

    async def _keep(self, signals: Sequence[tuple[Signal, str]]) -> list[str]:
        """Keep what is new, wait for what another request is keeping just now, and say which is which."""
        new: dict[str, Taken] = {}
        statuses: list[str] = []
        others: list[asyncio.Future[None]] = []
        for signal, place in signals:
            known = self._known.get(signal.signal_id, signal.signal_id in new)
            if known is False:
                new[signal.signal_id] = Taken(where=place, signal=signal)
            elif isinstance(known, asyncio.Future):
                others.append(known)
            statuses.append(ACCEPTED if known is False else DUPLICATE)
        if new:
            await self._keep_new(new)
        for other in others:
            await asyncio.shield(other)
        return statuses

    async def _keep_new(self, new: dict[str, Taken]) -> None:
        done = self._commit.keep(list(new.values()))
        done.add_done_callback(lambda done: self._kept(new, done))
        for signal_id in new:
            self._note(signal_id, done)
        await asyncio.shield(done)

    def _kept(self, new: dict[str, Taken], done: asyncio.Future[None]) -> None:
        is_lost = done.cancelled() or done.exception() is not None
        for signal_id in new:
            if is_lost:
                self._known.pop(signal_id, None)
            elif signal_id in self._known:
                self._known[signal_id] = None

    def _note(self, signal_id: str, done: asyncio.Future[None] | None) -> None:
        self._known[signal_id] = done
        while len(self._known) > MOST_KNOWN:
            self._known.popitem(last=False)


def _not_json(body: bytes) -> Reason | None:
    """Return why *body* is not even looked into: it begins like a table, a packed file, or nothing at all."""
    start = body.removeprefix(b"\xef\xbb\xbf").lstrip()[:1]
    if start in {b"{", b"["}:
        return None
    found = "begins like something else" if start else "is empty"
    return Reason(code=NOT_JSON, message=f"the body {found}; send an alert as a JSON object, or several in a list")


NOT_JSON = "not_json"
BODY_HINT = '{"ticker": "AAPL", "action": "buy", "price": 190.5, "stop": 186, "confidence": 0.7}'


def _of_source(signal: Signal, name: str, source: ListenSourceSettings) -> Signal:
    """Return *signal* with its source, and with the strategy that the source stands for where it names none."""
    strategy = signal.strategy or (source.strategies[0] if len(source.strategies) == 1 else "")
    return replace(signal, source=name, strategy=strategy)


STRATEGY_FORBIDDEN, SYMBOL_FORBIDDEN = "strategy_not_allowed", "symbol_not_allowed"


def _forbids(signal: Signal, source: ListenSourceSettings) -> Reason | None:
    """Return what *source* may not do of it; None when it may send it."""
    if source.strategies and signal.strategy not in source.strategies:
        found = f"of strategy {signal.strategy!r}" if signal.strategy else "without a strategy"
        return Reason(code=STRATEGY_FORBIDDEN, message=f"this source may not send signals {found}")
    if source.symbols and not any(same_security(symbol, signal.instrument) for symbol in source.symbols):
        return Reason(code=SYMBOL_FORBIDDEN, message=f"this source may not send signals about {signal.instrument.key}")
    return None


def _nothing_usable(refused: Sequence[RejectedRow]) -> RequestRefused:
    """Return the answer to a request without a signal that can be taken."""
    if not refused:
        return wrong_input(422, "no_signal", "There is no signal in it.", hint=BODY_HINT)
    reason = refused[0].reason
    message = f"No usable signal: {reason.message}."
    if reason.code in {STRATEGY_FORBIDDEN, SYMBOL_FORBIDDEN}:
        return not_allowed(reason.code, message)
    starts = ("not valid JSON", "not UTF-8", "byte ")
    is_no_json = reason.code == NOT_JSON or reason.message.startswith(starts)
    hint = BODY_HINT if reason.code == NOT_JSON else ""
    return wrong_input(400 if is_no_json else 422, NOT_JSON if is_no_json else reason.code, message, hint=hint)
