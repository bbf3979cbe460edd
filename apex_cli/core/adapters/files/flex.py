"""The "Trades" section of an Interactive Brokers Flex report: executions from XML, read as a stream of elements.

A document type is refused before anything in it is read, so no entity is ever expanded. Times of a Flex report are
New York's wall time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from xml.etree import ElementTree as ET

from apex_cli.core.adapters.files import execution_fields as fields
from apex_cli.core.adapters.files.execution_fields import invalid
from apex_cli.core.day_trades.flow import least_start
from apex_cli.core.day_trades.imports import Report
from apex_cli.core.errors import InputError
from apex_cli.core.model.execution import Execution, SecType
from apex_cli.core.model.money import Quantity

ROOT = "FlexQueryResponse"
TRADE_ELEMENTS = frozenset({"Trade", "TradeConfirm"})
EXECUTION_LEVELS = frozenset({"", "EXECUTION"})
NO_TRADES = frozenset({"BookTrade", "TradeCancel"})
"""Expiry, exercise and assignment move positions without a trade; a cancelled trade never was."""

CANCELLED_NOTE = "Ca"
OTHER_CATEGORIES = {"IOPT": SecType.WAR, "FSFOP": SecType.FOP, "FSOPT": SecType.OPT}
UNCOUNTED_CATEGORIES = frozenset({"FUND", "CFD", "CMDTY"})
"""Kinds of Interactive Brokers that are no securities to be day-traded: dropped, and told as such."""


class _Trades:
    """A parser's target that keeps trade elements and nothing else."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.roots: list[str] = []
        self.rows: list[dict[str, str]] = []
        self.periods: list[tuple[str, str]] = []
        self.accounts: set[str] = set()

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:  # noqa: ARG002 - the parser's protocol
        raise invalid(self.name, "holds a document type, which a Flex report never does", "a Flex report in XML")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if not self.roots:
            self.roots.append(tag)
        if tag == "FlexStatement":
            self.accounts.add(attributes.get("accountId", ""))
            self.periods.append((attributes.get("fromDate", ""), attributes.get("toDate", "")))
        elif tag in TRADE_ELEMENTS:
            self.rows.append(dict(attributes))

    def end(self, tag: str) -> None:
        pass

    def data(self, text: str) -> None:
        pass

    def close(self) -> None:
        pass


def read_flex(text: str, name: str) -> Report:
    """Return the executions of a Flex report.

    Raises:
        InputError: it is no XML, no Flex report, or a row is wrong; the message names trade and attribute.
    """
    target = _Trades(name)
    parser = ET.XMLParser(target=target)  # noqa: S314 - its target refuses document types
    try:
        parser.feed(text)
        parser.close()
    except InputError:
        raise
    except ET.ParseError as error:
        raise invalid(name, f"is not valid XML: {error}", "a Flex report in XML") from None
    if target.roots[:1] != [ROOT]:
        raise invalid(name, f"<{target.roots[0]}> is no Flex report", f"a document <{ROOT}>")
    if len(target.accounts) > 1:
        raise invalid(name, f"holds {len(target.accounts)} accounts", "a report of one account")
    return _report(target)


def _report(target: _Trades) -> Report:
    executions: list[Execution] = []
    closing: dict[str, bool] = {}
    cancelled: set[str] = set()
    dropped = 0
    for number, row in enumerate(target.rows):
        if row.get("levelOfDetail", "") not in EXECUTION_LEVELS:
            continue
        at = f"{target.name}: Trade[{number}]"
        if _is_cancel(row):
            cancelled.add(_identity(row, at))
        execution = None if _is_no_trade(row) else _execution(row, at)
        if execution is None:
            dropped += 1
            continue
        executions.append(execution)
        closing[execution.exec_id] = row.get("openCloseIndicator", "") == "C"
    kept = [row for row in executions if row.exec_id not in cancelled]
    since, until = _period(target)
    from apex_cli.core.adapters.files.executions import with_start

    return Report(
        executions=with_start(kept, _starts(kept, closing)),
        since=since,
        until=until,
        dropped=dropped + len(executions) - len(kept),
    )


def _is_cancel(row: Mapping[str, str]) -> bool:
    notes = row.get("notes", "").replace(",", ";").split(";")
    return row.get("transactionType") == "TradeCancel" or CANCELLED_NOTE in (note.strip() for note in notes)


def _is_no_trade(row: Mapping[str, str]) -> bool:
    category = row.get("assetCategory", "").upper()
    return row.get("transactionType", "") in NO_TRADES or _is_cancel(row) or category in UNCOUNTED_CATEGORIES


def _identity(row: Mapping[str, str], at: str) -> str:
    found = row.get("ibExecID") or row.get("execID") or row.get("transactionID") or row.get("tradeID") or ""
    if not found:
        raise invalid(f"{at}.ibExecID", "is missing", "a report with the field IB Execution ID")
    return found


def _execution(row: Mapping[str, str], at: str) -> Execution:
    category = _required(row, "assetCategory", at)
    kind = OTHER_CATEGORIES.get(category.upper()) or fields.sec_type(category, f"{at}.assetCategory")
    quantity = fields.number(_required(row, "quantity", at), f"{at}.quantity", allow_negative=True)
    return Execution(
        exec_id=_identity(row, at),
        security=_security(row, kind, at),
        sec_type=kind,
        side=fields.side(_required(row, "buySell", at), f"{at}.buySell"),
        quantity=Quantity(abs(quantity)),
        filled_at=fields.flex_moment(_moment(row, at), f"{at}.dateTime"),
        order_id=row.get("ibOrderID") or row.get("orderID") or "",
    )


def _required(row: Mapping[str, str], name: str, at: str) -> str:
    if not row.get(name):
        raise invalid(f"{at}.{name}", "is missing", "a report with this field")
    return row[name]


def _moment(row: Mapping[str, str], at: str) -> str:
    """Return when it was executed: one attribute, or a date and a time."""
    if not row.get("dateTime") and row.get("tradeDate") and row.get("tradeTime"):
        return f"{row['tradeDate']};{row['tradeTime']}"
    return _required(row, "dateTime", at)


def _security(row: Mapping[str, str], kind: SecType, at: str) -> str:
    name = fields.symbol(_required(row, "symbol", at), f"{at}.symbol")
    expiry = fields.flex_date(row.get("expiry", ""), f"{at}.expiry")
    right, strike = row.get("putCall", ""), row.get("strike", "")
    if kind is not SecType.OPT or expiry is None or right not in {"C", "P"} or not strike:
        return fields.security_key(name, kind)
    underlying = fields.symbol(row.get("underlyingSymbol") or name.split()[0], f"{at}.underlyingSymbol")
    return fields.option_key(underlying, expiry.isoformat(), right, fields.number(strike, f"{at}.strike"))


def _starts(executions: Iterable[Execution], closing: Mapping[str, bool]) -> dict[str, Decimal]:
    """Return what must have been held before, where the broker marked a trade as closing something older."""
    changes: dict[str, list[tuple[Decimal, bool]]] = {}
    for row in sorted(executions, key=lambda row: (row.filled_at, row.key)):
        change = row.quantity * row.side.sign
        changes.setdefault(row.security, []).append((change, closing[row.exec_id]))
    return {security: start for security, rows in changes.items() if (start := least_start(rows))}


def _period(target: _Trades) -> tuple[date | None, date | None]:
    """Return the days from the first statement's beginning to the last one's end."""
    starts = [fields.flex_date(start, f"{target.name}: fromDate") for start, _ in target.periods]
    ends = [fields.flex_date(end, f"{target.name}: toDate") for _, end in target.periods]
    since = min((day for day in starts if day), default=None)
    return since, max((day for day in ends if day), default=None)
