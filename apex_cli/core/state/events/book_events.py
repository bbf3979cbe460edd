"""Our books beside those of the broker, and executions that are imported."""

from __future__ import annotations

from typing import TypeAlias

from apex_cli.core.model.base import Value
from apex_cli.core.model.execution import Execution
from apex_cli.core.model.notice import News, NoticeKind
from apex_cli.core.model.reconciliation import Break, Ignored, Reconciliation, SplitTaken
from apex_cli.core.model.records import BracketRecord
from apex_cli.core.state.events.base_event import BaseEvent, Remark


class BreakFound(Remark, frozen=True, kw_only=True, tag="reconciliation_break"):
    """Our books and the broker's differ."""

    news = News(kind=NoticeKind.RECONCILIATION, priority=1, emoji="🧮", words="Books differ")
    data: Break


class BooksEvent(BaseEvent, frozen=True, kw_only=True):
    """Our books were compared with the broker's, or follow them without a trade of ours."""


class Reconciled(BooksEvent, frozen=True, kw_only=True, tag="reconciled"):
    """The books were compared."""

    data: Reconciliation


class PositionIgnored(BooksEvent, frozen=True, kw_only=True, tag="position_ignored"):
    """A person said that a holding at the broker is not ours."""

    data: Ignored


class PositionSplit(BooksEvent, frozen=True, kw_only=True, tag="position_split"):
    """A split of what is held was taken over: quantities, prices and levels are those of after it."""

    data: SplitTaken


class PositionAdopted(BooksEvent, frozen=True, kw_only=True, tag="position_adopted"):
    """A holding at the broker was taken over with a plan."""

    data: BracketRecord


class Imported(Value, frozen=True, kw_only=True):
    """What an import of executions changed."""

    added: int
    known: int
    """Executions that were there already, as own fills or from an earlier import."""

    too_old: int
    not_counted: int
    """Of markets that do not count: futures, currencies, coins; and rows that are no trades."""

    covered_since: str
    """Session date from which on all trades are known; empty when nothing is."""


class ImportedHistory(Value, frozen=True, kw_only=True):
    """What an import brought: enough to bring it again."""

    rows: tuple[Execution, ...]
    """As they stand in the state now."""

    imported: Imported


class HistoryImported(BooksEvent, frozen=True, kw_only=True, tag="history_imported"):
    """Executions of the whole account were imported."""

    data: ImportedHistory


Event: TypeAlias = BreakFound | Reconciled | PositionIgnored | PositionAdopted | PositionSplit | HistoryImported
"""Any event of this module."""
