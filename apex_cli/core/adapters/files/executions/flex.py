"""The trades of an Interactive Brokers Flex report, in XML or CSV, by one set of rules.

Executions count; where a report has none, its orders do, with a warning. Lots and summaries repeat executions and are
left out. An expiry, an assignment, an exercise and a cancelled trade are no trades. In XML a document type is refused
before anything in it is read, so no entity is ever expanded. Times of a Flex report are New York's wall time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import NamedTuple
from xml.etree import ElementTree as ET

from msgspec.structs import replace

from apex_cli.core.adapters.files.executions import execution_fields as fields
from apex_cli.core.adapters.files.executions.broker_words import CANCELLED_CODE, NO_TRADE_CODES
from apex_cli.core.adapters.files.executions.trade_order import least_starts
from apex_cli.core.day_trades.imports import Report, with_start
from apex_cli.core.errors import InputError
from apex_cli.core.model.execution import Execution, SecType
from apex_cli.core.model.money import Quantity
from apex_cli.core.text.cells import find_order, two_readings
from apex_cli.core.text.problems import Problems, invalid, read_at, shown
from apex_cli.core.text.text_table import FileHints, Row, plain_name

ROOT = "FlexQueryResponse"
ANSWER = "FlexStatementResponse"
EXECUTION_LEVELS = frozenset({"", "EXECUTION"})
ORDER = "ORDER"
LEVELS = {"Order": ORDER, "Lot": "CLOSED_LOT", "SymbolSummary": "SYMBOL_SUMMARY", "AssetSummary": "ASSET_SUMMARY"}
"""Elements beside the trades -> their level of detail. A report of these alone shows that there were trades."""

TRADE_ELEMENTS = frozenset({"Trade", "TradeConfirm", *LEVELS})
NO_TRADES = frozenset({"BookTrade", "TradeCancel", "FracShare", "FracShareCancel"})
"""Expiry, exercise and assignment move positions without a trade, and so do the parts of shares that a split leaves; a
cancelled trade never was."""

OTHER_CATEGORIES = {"IOPT": SecType.WAR, "FSFOP": SecType.FOP, "FSOPT": SecType.OPT}
UNCOUNTED_CATEGORIES = frozenset({"FUND", "CFD", "CMDTY"})
"""Kinds of Interactive Brokers that are no securities to be day-traded: dropped, and reported as such."""

COLUMNS = {
    name.lower(): name
    for name in (
        "accountId", "assetCategory", "symbol", "underlyingSymbol", "tradeID", "strike", "expiry", "dateTime",
        "putCall", "tradeDate", "tradeTime", "transactionType", "quantity", "openCloseIndicator", "notes", "code",
        "origTradeID",
        "buySell", "conid", "currency", "ibOrderID", "orderID", "transactionID", "ibExecID", "execID", "levelOfDetail",
    )
} | {
    "clientaccountid": "accountId", "assetclass": "assetCategory", "notescodes": "notes", "codes": "code",
    "ibexecutionid": "ibExecID", "executionid": "execID", "ordertime": "", "origtransactionid": "",
}  # fmt: skip
"""``plain_name`` of a column in CSV -> the attribute in XML; empty: left alone."""

OWN_NAMES = frozenset({"assetCategory", "levelOfDetail", "accountId", "ibExecID", "transactionType"})
"""Columns by which a Flex report differs from the list of another broker with columns of the same names."""

OTHER_SECTIONS = frozenset({"totalcommission", "brokerexecutioncharge", "brokerclearingcharge", "deliveredreceived"})
"""Columns of sections that repeat trades, or list shares that moved: unbundled commissions, and trade transfers.
Source: UnbundledCommissionDetail and TradeTransfer, https://github.com/csingley/ibflex, ibflex/Types.py."""

HOW_TO_SET_DATES = (
    "In the configuration of the Flex query set the date format to yyyyMMdd, or set executions.dates to mdy or dmy"
)


class FlexRows(NamedTuple):
    """The trade rows of a report, and what stands around them."""

    rows: Sequence[tuple[str, Mapping[str, str]]]
    """Where each one stands, and its attributes."""

    periods: Sequence[tuple[str, str]] = ()
    stamps: Sequence[str] = ()
    """Other dates in the same form, such as that of the report."""

    accounts: frozenset[str] = frozenset()


class _Trades:
    """A parser's target that keeps trade elements and nothing else."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.root = ""
        self.rows: list[tuple[str, dict[str, str]]] = []
        self.periods: list[tuple[str, str]] = []
        self.stamps: list[str] = []
        self.accounts: set[str] = set()
        self.answer: dict[str, str] = {}
        self._tag = ""

    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:  # noqa: ARG002 - the parser's protocol
        raise invalid(self.name, "holds a document type, which a Flex report never does", "a Flex report in XML")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self.root = self.root or tag
        self._tag = tag
        if tag == "FlexStatement":
            self.accounts.add(attributes.get("accountId", ""))
            self.periods.append((attributes.get("fromDate", ""), attributes.get("toDate", "")))
            self.stamps.append(attributes.get("whenGenerated", ""))
        elif tag in TRADE_ELEMENTS:
            level = {"levelOfDetail": LEVELS[tag]} if tag in LEVELS else {}
            self.rows.append((f"{self.name}: Trade[{len(self.rows)}]", attributes | level))

    def end(self, tag: str) -> None:  # noqa: ARG002 - the parser's protocol
        self._tag = ""

    def data(self, text: str) -> None:
        if self.root == ANSWER and self._tag:
            self.answer[self._tag] = self.answer.get(self._tag, "") + text[:500]

    def close(self) -> None:
        pass


def read_xml(text: str, name: str) -> FlexRows:
    """Return the trade rows of a Flex report in XML.

    Raises:
        InputError: it is no XML, no Flex report, or the answer of a request that failed.
    """
    target = _Trades(name)
    parser = ET.XMLParser(target=target)  # noqa: S314 - its target refuses document types
    try:
        parser.feed(text)
        parser.close()
    except InputError:
        raise
    except (ET.ParseError, ValueError) as error:
        raise invalid(name, f"is not valid XML: {error}", "a Flex report in XML") from None
    if target.root == ANSWER:
        raise _answered(name, target.answer)
    if target.root != ROOT:
        raise invalid(name, f"<{target.root}> is no Flex report", f"a document <{ROOT}>")
    accounts = {row.get("accountId") or "" for _, row in target.rows} - {""} or target.accounts
    return FlexRows(target.rows, target.periods, target.stamps, frozenset(accounts))


def _answered(name: str, answer: Mapping[str, str]) -> InputError:
    """Return what the web service said instead of a report."""
    code, message = answer.get("ErrorCode", "").strip(), answer.get("ErrorMessage", "").strip()
    said = f"error {code}: {message}" if code else answer.get("Status", "").strip() or "nothing"
    return invalid(name, f"is no report but an answer of the Flex web service, {said}", "the report itself; ask again")


def find_section(rows: Iterable[Row], name: str) -> FlexRows | None:
    """Return the trade rows of a Flex report in CSV, None when it is none.

    A report may begin with records BOF, BOA and BOS, hold several sections, and put HEADER or DATA before its rows.
    """
    found: list[tuple[str, Mapping[str, str]]] = []
    periods: list[tuple[str, str]] = []
    stamps: list[str] = []
    header: list[str] = []
    is_flex = False
    for line, cells in rows:
        match cells[0].strip():
            case "BOF":
                periods.append((cells[4], cells[5]) if len(cells) > 5 else ("", ""))  # noqa: PLR2004 - from and to
                stamps += cells[6:7]
                continue
            case "BOA" | "BOS" | "EOS" | "EOA" | "EOF":
                continue
            case "HEADER" | "DATA":
                cells = cells[2:]  # noqa: PLW2901 - two cells that name the section
        names = [COLUMNS.get(plain_name(cell), "") for cell in cells]
        if _is_header(names):
            is_trades = {"quantity", "symbol", "buySell"} <= set(names) and not OWN_NAMES.isdisjoint(names)
            is_trades = is_trades and OTHER_SECTIONS.isdisjoint(map(plain_name, cells))
            header = names if is_trades else [""] * len(names)
            is_flex = is_flex or any(header)
        elif any(header):
            pairs = zip(header, (cell.strip() for cell in cells), strict=False)
            found.append((f"{name}:{line}", {key: cell for key, cell in pairs if key}))
        elif not header and len(cells) > 1:
            return None
    if not is_flex:
        return None
    accounts = frozenset(row["accountId"] for _, row in found if row.get("accountId"))
    return FlexRows(found, periods, stamps, accounts)


def _is_header(names: Sequence[str]) -> bool:
    """Return True for a row that names columns of a Flex report."""
    least = 3
    return len({name for name in names if name}) >= least or names[:1] == ["accountId"]


def flex_report(found: FlexRows, name: str, hints: FileHints, account: str) -> Report:
    """Return what the trade rows of a report report.

    Raises:
        InputError: a row is wrong, dates have two readings, there are several accounts, or nothing counts.
    """
    chosen = fields.one_account(found.accounts, name, account)
    rows = [(at, row) for at, row in found.rows if not chosen or row.get("accountId", chosen) == chosen]
    order = _order_of_dates(found, name, hints)
    executions = [(at, row) for at, row in rows if row.get("levelOfDetail", "").upper() in EXECUTION_LEVELS]
    orders = [(at, row) for at, row in rows if row.get("levelOfDetail", "").upper() == ORDER]
    warnings: tuple[str, ...] = ()
    if not executions and orders:
        executions = orders
        reported = f"{name} holds orders and no executions: each order counts as one"
        warnings = (f"{reported}. Tick Executions in the Flex query for an exact count.",)
    report = _report(executions, name, order, hints)
    since, until = _period(found, name, order)
    left_out = len(rows) - len(executions)
    if not report.executions and not (not rows and since):
        raise fields.nothing_countable(name, {"lots, summaries or orders": left_out, "no trades": report.dropped})
    return replace(report, since=since, until=until, warnings=warnings)


def _report(rows: Sequence[tuple[str, Mapping[str, str]]], name: str, order: str, hints: FileHints) -> Report:
    problems = Problems()
    executions: list[tuple[Execution, Mapping[str, str]]] = []
    cancels: list[Mapping[str, str]] = []
    dropped = 0
    for at, row in rows:
        if _is_cancel(row):
            cancels.append(row)
        if _is_no_trade(row):
            dropped += 1
            continue
        try:
            executions.append((_execution(row, at, order, hints), row))
        except InputError as error:
            problems.take(error)
    problems.stop("input_invalid", hint="Correct the report, or make it again.", details={"where": name})
    kept = _without_cancelled(executions, cancels)
    closing = {execution.exec_id: _is_closing(row) for execution, row in kept}
    trades = [execution for execution, _ in kept]
    return Report(
        executions=with_start(trades, least_starts(trades, closing)),
        dropped=dropped + len(executions) - len(kept),
        source="Interactive Brokers Flex report",
    )


def _without_cancelled(
    executions: Sequence[tuple[Execution, Mapping[str, str]]], cancels: Sequence[Mapping[str, str]]
) -> list[tuple[Execution, Mapping[str, str]]]:
    """Return the trades that were not cancelled: each cancel takes one, and never one that was booked after it."""
    kept = list(executions)
    for cancel in cancels:
        hit = [pair for pair in kept if _is_of(cancel, pair[1])]
        before = [pair for pair in hit if _serial(pair[1]) <= _serial(cancel)] or hit
        if before:
            kept.remove(min(before, key=lambda pair: _serial(pair[1])))
    return kept


def _is_of(cancel: Mapping[str, str], row: Mapping[str, str]) -> bool:
    """Return True when *cancel* names *row*, or is its mirror image where it names none."""
    if origin := cancel.get("origTradeID"):
        return row.get("tradeID") == origin
    for name in ("ibExecID", "execID", "tradeID"):
        if cancel.get(name):
            return row.get(name) == cancel[name]
    same = all(cancel.get(name) == row.get(name) for name in ("symbol", "dateTime", "tradeDate"))
    return same and cancel.get("quantity", "").lstrip("-") == row.get("quantity", "").lstrip("-")


def _serial(row: Mapping[str, str]) -> int:
    text = row.get("transactionID", "")
    return int(text) if text.isascii() and text.isdecimal() else 0


def _notes(row: Mapping[str, str], *more: str) -> set[str]:
    words = ";".join(row.get(name, "") for name in ("notes", "code", *more))
    return {note.strip() for note in words.replace(",", ";").split(";")}


def _is_closing(row: Mapping[str, str]) -> bool:
    notes = _notes(row, "openCloseIndicator")
    return "C" in notes and "O" not in notes


def _is_cancel(row: Mapping[str, str]) -> bool:
    is_marked = row.get("transactionType") == "TradeCancel" or "(Ca" in row.get("buySell", "")
    return is_marked or CANCELLED_CODE in _notes(row, "openCloseIndicator")


def _is_no_trade(row: Mapping[str, str]) -> bool:
    is_booked = row.get("transactionType", "") in NO_TRADES or bool(_notes(row) & NO_TRADE_CODES)
    return is_booked or _is_cancel(row) or row.get("assetCategory", "").upper() in UNCOUNTED_CATEGORIES


def _identity(row: Mapping[str, str], at: str) -> str:
    found = row.get("ibExecID") or row.get("execID") or row.get("transactionID") or row.get("tradeID") or ""
    if found:
        return found
    order = row.get("ibOrderID") or row.get("orderID")
    if order and row.get("levelOfDetail", "").upper() == ORDER:
        return f"order-{order}"
    raise invalid(f"{at}.ibExecID", "is missing", "a report with the field IB Execution ID")


def _execution(row: Mapping[str, str], at: str, order: str, hints: FileHints) -> Execution:
    found = fields.collected(
        at,
        sec_type=lambda: _kind(row, at),
        exec_id=lambda: _identity(row, at),
        security=lambda: _security(row, _known_kind(row) or SecType.STK, at, order),
        side=lambda: read_at(f"{at}.buySell", fields.side, _required(row, "buySell", at)),
        quantity=lambda: read_at(f"{at}.quantity", fields.signed, _required(row, "quantity", at)),
        filled_at=lambda: read_at(
            f"{at}.dateTime", lambda text: fields.flex_moment(text, order, hints.zone), _moment(row, at)
        ),
    )
    quantity = Quantity(abs(found.pop("quantity")))
    order_id = row.get("ibOrderID") or row.get("orderID") or ""
    return Execution(quantity=quantity, order_id=order_id, con_id=fields.con_id(row.get("conid")), **found)


def _kind(row: Mapping[str, str], at: str) -> SecType:
    return _known_kind(row) or read_at(f"{at}.assetCategory", fields.sec_type, _required(row, "assetCategory", at))


def _known_kind(row: Mapping[str, str]) -> SecType | None:
    category = row.get("assetCategory", "").strip().upper()
    return OTHER_CATEGORIES.get(category) or (SecType(category) if category in set(SecType) else None)


def _required(row: Mapping[str, str], name: str, at: str) -> str:
    if not row.get(name):
        raise invalid(f"{at}.{name}", "is missing", "a report with this field")
    return row[name]


def _moment(row: Mapping[str, str], at: str) -> str:
    """Return when it was executed: one attribute, or a date and a time."""
    if not row.get("dateTime") and row.get("tradeDate") and row.get("tradeTime"):
        return f"{row['tradeDate']};{row['tradeTime']}"
    return _required(row, "dateTime", at)


def _security(row: Mapping[str, str], kind: SecType, at: str, order: str) -> str:
    name = read_at(f"{at}.symbol", fields.symbol, _required(row, "symbol", at))
    expiry = read_at(f"{at}.expiry", lambda text: fields.flex_date(text, order), row.get("expiry", ""))
    right, strike = row.get("putCall", ""), row.get("strike", "")
    if kind is not SecType.OPT or expiry is None or right not in {"C", "P"} or not strike:
        return fields.security_key(name, kind, fields.currency(row.get("currency")))
    root = row.get("underlyingSymbol") or name.split()[0]
    underlying = read_at(f"{at}.underlyingSymbol", fields.symbol, root)
    price = read_at(f"{at}.strike", fields.positive, strike)
    return fields.option_key(underlying, expiry.isoformat(), right, price)


def _order_of_dates(found: FlexRows, name: str, hints: FileHints) -> str:
    """Return what dates such as 07/08/2026 mean in the report."""
    texts = [text for pair in found.periods for text in pair] + list(found.stamps)
    texts += [row.get(key, "") for _, row in found.rows for key in ("dateTime", "tradeDate", "expiry")]
    order = find_order(map(fields.apart, texts), set_to=hints.dates)
    if order.unclear or order.mixed:
        what = order.unclear or order.mixed
        readings = two_readings(what.split(";")[0]) if order.unclear else "in another order than other dates"
        raise InputError(
            "file_ambiguous",
            f"{name}: the date {shown(what)} is {readings}, and nothing in the report decides.",
            hint=f"{HOW_TO_SET_DATES}.",
            details={"file": name, "value": what, "setting": "executions.dates"},
        )
    return order.order


def _period(found: FlexRows, name: str, order: str) -> tuple[date | None, date | None]:
    """Return the days from the first statement's beginning to the last one's end."""

    def day(field: str, text: str) -> date | None:
        return read_at(f"{name}: {field}", lambda each: fields.flex_date(each, order), text)

    starts = [day("fromDate", start) for start, _ in found.periods]
    ends = [day("toDate", end) for _, end in found.periods]
    since = min((day for day in starts if day), default=None)
    return since, max((day for day in ends if day), default=None)
