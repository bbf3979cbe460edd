"""Reconciliation: our books against the broker's, as breaks with what corrects each.

A pure function over both. Orders are matched by client order id, then by the broker's number; fills by execution id;
positions by contract. Only a complete answer proves that something is not there: from an incomplete one only what it
positively reports is taken over, and nothing is cancelled, trimmed or closed. What apex did not open is never touched.

Each step sees the books as they stand after the corrections of the steps before it, so corrections do not contradict
each other: fills, then orders, then orders that should not be there, then positions, then exits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from msgspec.structs import replace

from apex_cli.core.day_trades.flow import COUNTED_TYPES
from apex_cli.core.model.broker_events import OTHER_ACCOUNT, RIGHT_ACCOUNT, BrokerSnapshot
from apex_cli.core.model.execution import SEC_TYPE_OF_MARKET
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.money import ZERO, Price, Quantity
from apex_cli.core.model.reconciliation import (
    EVERYTHING,
    Break,
    BreakCode,
    Correction,
    CorrectionKind,
    Lock,
)
from apex_cli.core.positions.protection import backed
from apex_cli.core.reconciliation.order_breaks import Ledgers, compare_orders, fill_words, missed_fills, with_fills
from apex_cli.core.reconciliation.orphans import orphans
from apex_cli.core.reconciliation.position_breaks import (
    compare_exits,
    compare_positions,
    with_missed_fills,
)
from apex_cli.core.reconciliation.settlements import ended_contracts, without_settled
from apex_cli.core.state.tables import State, is_ours

NO_PRICES: Mapping[str, Price] = {}
MARK_LENGTH = 4
"""Hexadecimal digits: enough to distinguish a person's accounts, far too few to find an account by."""

POSITION_CODES = frozenset({BreakCode.POSITION_DIFFERS, BreakCode.POSITION_MISSING, BreakCode.POSITION_NOT_OURS})


def find_breaks(
    state: State,
    reported: BrokerSnapshot,
    now: datetime,
    *,
    oldest: datetime,
    underlyings: Mapping[str, Price] = NO_PRICES,
) -> tuple[Break, ...]:
    """Return every difference between *state* and *reported*, with its correction.

    Executions before *oldest* are too old to be counted. *underlyings* are the prices of what options that ended are
    about, by key, as far as they are known. The state is not changed.
    """
    last = state.reconciliation
    if last is not None and not is_own_account(state, reported.account_id):
        return (_other_account(last.account_mark, account_mark(reported.account_id)),)
    reported = replace(reported, foreign_fills=foreign_of(state, reported))
    ledgers = Ledgers(state, reported)
    fills = missed_fills(state, reported)
    records = with_fills(state, fills)
    held = with_missed_fills(state, _fills_of(fills))
    if reported.is_complete:
        settled = ended_contracts(held, reported, underlyings, now)
        held = with_missed_fills(state, _fills_of((*fills, *settled)))
        booked = [*_fills_of(settled), *(fill for fill in state.fills.values() if fill.settlement is not None)]
        reported = replace(reported, foreign_fills=without_settled(reported.foreign_fills, booked))
        fills += settled
    order_breaks = compare_orders(records, reported, ledgers, now)
    sure = held
    if reported.is_complete:
        sure = {key: part for key, each in held.items() if (part := backed(each, reported.positions.get(key, ZERO)))}
    order_breaks += orphans(records, sure, reported, ledgers, now)
    outside = foreign_fills(state, reported, oldest)
    if not reported.is_complete:
        return (*fills, *order_breaks, *outside, _incomplete(reported.missing))
    positions = compare_positions(held, reported, state.ignored, state.brackets)
    return (*fills, *order_breaks, *positions, *compare_exits(held, records, reported), *outside)


def _fills_of(breaks: Iterable[Break]) -> list[Fill]:
    return [each.correction.fill for each in breaks if each.correction.fill is not None]


def account_mark(account_id: str) -> str:
    """Return a mark that distinguishes accounts without revealing them; empty for none."""
    if not account_id:
        return ""
    from hashlib import sha256

    return sha256(account_id.encode()).hexdigest()[:MARK_LENGTH]


def is_own_account(state: State, account_id: str) -> bool:
    """Return whether *state* was made with this account, or with none so far."""
    last, mark = state.reconciliation, account_mark(account_id)
    return not mark or last is None or last.account_mark in {"", mark}


def _other_account(ours: str, theirs: str) -> Break:
    return Break(
        code=BreakCode.ACCOUNT_DIFFERS,
        key=EVERYTHING,
        subject=EVERYTHING,
        ours=f"account mark {ours}",
        theirs=f"account mark {theirs}",
        message=f"{OTHER_ACCOUNT} Nothing else is compared.",
        correction=Correction(kind=CorrectionKind.NONE, message=RIGHT_ACCOUNT),
    )


def _incomplete(missing: Sequence[str]) -> Break:
    what = f" ({'; '.join(missing)})" if missing else ""
    return Break(
        code=BreakCode.ANSWER_INCOMPLETE,
        key=EVERYTHING,
        subject=EVERYTHING,
        ours="",
        theirs="a part of the answer",
        message=f"The broker's answer is incomplete{what}: what is missing proves nothing.",
        correction=Correction(kind=CorrectionKind.NONE, message="Ask again; apex does so by itself."),
    )


def foreign_fills(state: State, reported: BrokerSnapshot, oldest: datetime) -> tuple[Break, ...]:
    """Return a break for each execution of the account that apex did not ask for and has not counted yet."""
    found = []
    for fill in reported.foreign_fills:
        known = state.history_fills.get(fill.key)
        is_counted = SEC_TYPE_OF_MARKET[fill.instrument.market_type] in COUNTED_TYPES
        if is_counted and fill.filled_at >= oldest and (known is None or known.revision < fill.revision):
            found.append(_foreign_fill(fill))
    return tuple(found)


def foreign_of(state: State, reported: BrokerSnapshot) -> tuple[Fill, ...]:
    """Return the executions in *reported* that are not of our orders."""
    nobodys = (fill for fill in reported.fills if not is_ours(state, fill))
    found = {fill.key: fill for fill in (*nobodys, *reported.foreign_fills) if fill.key not in state.fills}
    return tuple(found.values())


def _foreign_fill(fill: Fill) -> Break:
    key = fill.instrument.key
    theirs = fill_words(fill)
    return Break(
        code=BreakCode.FOREIGN_FILL,
        key=key,
        subject=fill.exec_id,
        ours="not counted",
        theirs=theirs,
        message=f"{key}: a trade made outside apex: {theirs}.",
        correction=Correction(
            kind=CorrectionKind.RECORD_FILL, message="Count it for the day-trading rules.", fill=fill
        ),
        instrument=fill.instrument,
    )


def locks_for(breaks: Iterable[Break], before: Iterable[Lock], now: datetime, *, is_complete: bool) -> dict[str, Lock]:
    """Return the securities in which nothing is opened, by key.

    One lock a security, for all its breaks. An incomplete answer proves no mismatch to be over: what was locked
    *before* stays locked.
    """
    known = {lock.key: lock for lock in before}
    by_key: dict[str, list[Break]] = {}
    for each in breaks:
        if each.is_locking:
            by_key.setdefault(each.key, []).append(each)
    fresh = {key: _lock(key, rows, known.get(key), now) for key, rows in by_key.items()}
    return fresh if is_complete else fresh | known


def _lock(key: str, breaks: list[Break], known: Lock | None, now: datetime) -> Lock:
    first = next((each for each in breaks if each.code in POSITION_CODES), breaks[0])
    is_known = first.held is not None and first.at_broker is not None
    return Lock(
        key=key,
        codes=tuple(dict.fromkeys(each.code for each in breaks)),
        ours=first.ours,
        theirs=first.theirs,
        message=first.message,
        since=known.since if known else now,
        split=first.correction.split,
        difference=Quantity((first.at_broker or ZERO) - (first.held or ZERO)) if is_known else None,
    )
