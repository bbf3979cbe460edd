"""Intraday margin deficits over the sessions: what is kept of them, when they are met, and when a freeze may follow.

FINRA Rule 4210(a)(18), (19) and (d)(2), in force since 2026-06-04; Interactive Brokers' practice of four occasions.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal

from msgspec.structs import replace

from apex_cli.core.day_trades.margin import (
    PRACTICE_DAYS,
    PRACTICE_OCCASIONS,
    Deadlines,
    deadlines,
    frozen_until,
    is_de_minimis,
)
from apex_cli.core.model.account import AccountFacts
from apex_cli.core.model.base import Value
from apex_cli.core.model.money import ZERO, Usd
from apex_cli.core.model.records import DeficitRecord

KEPT_DAYS = PRACTICE_DAYS + 35
"""Longer than any deficit counts: twelve months for a practice, and the days until it lapses."""


class Standing(Value, frozen=True, kw_only=True):
    """Sum of the deficits of the last twelve months."""

    outstanding: tuple[DeficitRecord, ...] = ()
    """Not met and not lapsed, oldest first."""

    unmet: int = 0
    """Occasions in twelve months that were not met by the 5th trading day, small ones apart."""

    frozen_until: date | None = None
    """Last day of the freeze that a practice of not paying may bring; None without a practice."""


def note_level(
    known: DeficitRecord | None, session: date, level: Decimal, equity: Decimal | None
) -> DeficitRecord | None:
    """Return the session's deficit after an opening fill left the margin *level*; None where the level is not negative.

    amount = |the lowest level after a fill that opened|: the worst point of the day counts, not its close. A deficit
    that was met and grows again is unmet again. *level* is equity with loan value - maintenance margin after the fill,
    USD; *equity* is for the de minimis test.

    Source:
        FINRA Rule 4210(a)(18) and (19).
    """
    if level >= ZERO or (known is not None and -level <= known.amount):
        return known
    amount = Usd(-level)
    return DeficitRecord(session_date=session.isoformat(), amount=amount, is_de_minimis=is_de_minimis(amount, equity))


def meet(record: DeficitRecord, level: Decimal, session: date) -> DeficitRecord:
    """Return *record* as met on *session* when the margin *level* is no longer negative.

    The level was ``-amount`` at its worst: from zero on it has risen by the whole deficit, by deposits or otherwise.

    Source:
        FINRA Rule 4210(d)(2).
    """
    if record.met_on or level < ZERO:
        return record
    return replace(record, met_on=session.isoformat())


def deadlines_of(record: DeficitRecord) -> Deadlines:
    """Return the 3rd, 5th and 15th trading day after the deficit."""
    return deadlines(date.fromisoformat(record.session_date))


def is_outstanding(record: DeficitRecord, today: date) -> bool:
    """Return whether the deficit is neither met nor lapsed."""
    return not record.met_on and today <= deadlines_of(record).lapses


def was_missed(record: DeficitRecord, today: date) -> bool:
    """Return whether the 5th trading day went by without the deficit being met."""
    due = deadlines_of(record).before_freeze
    return today > due and (not record.met_on or date.fromisoformat(record.met_on) > due)


def standing(records: Iterable[DeficitRecord], today: date) -> Standing:
    """Return what the kept deficits mean on *today*.

    The freeze is of the newest missed deficit, and only for a practice: four missed ones within twelve months.
    """
    rows = sorted(records, key=lambda row: row.session_date)
    counted = [date.fromisoformat(row.session_date) for row in rows if was_missed(row, today) and not row.is_de_minimis]
    recent = [session for session in counted if session > today - timedelta(days=PRACTICE_DAYS)]
    until = frozen_until(recent[-1]) if len(recent) >= PRACTICE_OCCASIONS else None
    return Standing(
        outstanding=tuple(row for row in rows if is_outstanding(row, today)),
        unmet=len(recent),
        frozen_until=until if until is not None and today <= until else None,
    )


def with_freeze(facts: AccountFacts, found: Standing) -> AccountFacts:
    """Return *facts* with the later of the broker's freeze and the one that our own books expect."""
    reported = [day for day in (facts.frozen_until, found.frozen_until) if day is not None]
    return replace(facts, frozen_until=max(reported)) if reported else facts


def is_forgotten(record: DeficitRecord, today: date) -> bool:
    """Return whether the deficit can mean nothing any more."""
    return date.fromisoformat(record.session_date) < today - timedelta(days=KEPT_DAYS)
