"""Messages from the venue to a client, field by field, for server version 176.

Field order as read by the BSD-licensed clients ib_insync 0.9.86 and ib_async 2.1.0 (``decoder.py``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from enum import IntEnum
from zoneinfo import ZoneInfo

from apex_cli.core.market.calendar import NEW_YORK
from apex_cli.core.model.market import Bar
from apex_cli.core.model.money import ZERO
from apex_cli.core.model.option_rule import OptionChain
from apex_cli.core.model.order import OrderType
from apex_cli.core.text.cells import read_zone
from apex_cli.gateway.accounts import AccountValue
from apex_cli.gateway.contracts import MARKET_RULES, Listing, contract_fields
from apex_cli.gateway.framing import UNSET_DOUBLE, UNSET_INTEGER, Field
from apex_cli.gateway.rows import ExecutionRow, Margins, OrderRow, PositionRow

VERSION = 1
NO_PRICE = Decimal("0.0")
EXCHANGES = "SMART,NASDAQ,NYSE,ARCA"
COIN_TYPES = "LMT,MKT"
"""What Interactive Brokers lists for coins."""

ORDER_TYPES = ",".join(sorted({kind.row.wire.word.replace(" ", "") for kind in OrderType}))
_WIRE_TIME = re.compile(r"(\d{8})(-| +)(\d{1,2}:\d{1,2}:\d{1,2})(?: +(\S+))?", re.ASCII)
INVALID = "Error validating request.-'bX' : cause - "
NO_DEFINITION = "No security definition has been found for the request"


class Message(IntEnum):
    """Message ids, server to client."""

    TICK_PRICE = 1
    TICK_SIZE = 2
    TICK_GENERIC = 45
    ORDER_STATUS = 3
    ERROR = 4
    OPEN_ORDER = 5
    ACCOUNT_VALUE = 6
    PORTFOLIO_VALUE = 7
    ACCOUNT_TIME = 8
    NEXT_VALID_ID = 9
    CONTRACT_DETAILS = 10
    EXEC_DETAILS = 11
    MANAGED_ACCOUNTS = 15
    HISTORICAL_DATA = 17
    CURRENT_TIME = 49
    CONTRACT_DETAILS_END = 52
    OPEN_ORDER_END = 53
    ACCOUNT_DOWNLOAD_END = 54
    EXEC_DETAILS_END = 55
    TICK_SNAPSHOT_END = 57
    MARKET_DATA_TYPE = 58
    COMMISSION_REPORT = 59
    POSITION = 61
    POSITION_END = 62
    ACCOUNT_SUMMARY = 63
    ACCOUNT_SUMMARY_END = 64
    ACCOUNT_UPDATE_MULTI = 73
    ACCOUNT_UPDATE_MULTI_END = 74
    OPTION_PARAMETERS = 75
    OPTION_PARAMETERS_END = 76
    MARKET_RULE = 93
    COMPLETED_ORDER = 101
    COMPLETED_ORDERS_END = 102


Fields = list[Field]

NO_RANGES: Fields = [*[UNSET_DOUBLE] * 5, UNSET_INTEGER]
"""startingPrice .. displaySize."""

NO_VOLATILITY: Fields = [UNSET_DOUBLE, "0", "", UNSET_DOUBLE, "0", "0"]
"""volatility .. referencePriceType: no volatility order, no delta-neutral one."""

NO_OFFSETS: Fields = [UNSET_INTEGER, UNSET_INTEGER, UNSET_DOUBLE, UNSET_DOUBLE, UNSET_DOUBLE]
"""minTradeQty .. midOffsetAtHalf."""


def error(request_id: int, code: int, text: str) -> Fields:
    """Return an error; *request_id* -1 speaks of the system."""
    return [Message.ERROR, 2, request_id, code, text, ""]


def order_status(row: OrderRow, parent_order_id: int) -> Fields:
    """Return the state of one order."""
    return [
        Message.ORDER_STATUS,
        row.order_id,
        row.status,
        row.filled,
        row.remaining if row.is_open or row.filled else ZERO,
        _short(row.average_price),
        row.perm_id,
        parent_order_id,
        row.last_price,
        row.client_id,
        row.why_held,
        NO_PRICE,
    ]


def refused_status(order_id: int, client_id: int, status: str, perm_id: int) -> Fields:
    """Return the state of a placement that was refused: nothing is known of it but its numbers."""
    return [Message.ORDER_STATUS, order_id, status, ZERO, ZERO, ZERO, perm_id, 0, ZERO, client_id, "", NO_PRICE]


def open_order(row: OrderRow, parent_order_id: int, account: str, margins: Margins | None = None) -> Fields:
    """Return the terms of one order, with *margins* as the answer to a what-if."""
    terms = row.terms
    return [
        Message.OPEN_ORDER,
        row.order_id,
        *contract_fields(row.contract),
        *_terms(row, account),
        row.client_id,
        row.perm_id,
        terms.outside_rth,
        terms.hidden,
        NO_PRICE,
        terms.good_after_time,
        "",
        *_advisor(row),
        0,
        *NO_RANGES,
        *("0", "0", terms.all_or_none, UNSET_INTEGER, terms.oca_type or 3, "0", "0", UNSET_DOUBLE),
        parent_order_id,
        terms.trigger_method,
        *NO_VOLATILITY,
        *_trail(row),
        *(UNSET_DOUBLE, UNSET_INTEGER, "", "0", "0", "0"),
        *(UNSET_INTEGER, UNSET_INTEGER, UNSET_DOUBLE, ""),
        *("0", "", "IB", "0", "0", *_algo(row), "0"),
        terms.what_if,
        "PreSubmitted" if terms.what_if else row.status,
        *_margins(margins),
        *("0", "0", "0"),
        *("None", UNSET_DOUBLE, _price(terms.trail_stop_price), *[UNSET_DOUBLE] * 4, "0"),
        *("", "", "", UNSET_DOUBLE, "0", "0", "0", "0"),
        *(UNSET_INTEGER, UNSET_INTEGER, "0", *NO_OFFSETS),
    ]


def completed_order(row: OrderRow, account: str, parent_perm_id: int, zone: str, *, tells_total: bool) -> Fields:
    """Return an order that is over; the wire has no order id here, and perhaps no total."""
    terms = row.terms
    total = terms.quantity if tells_total else ZERO
    done = wire_time(row.done_at or row.placed_at, zone)
    return [
        Message.COMPLETED_ORDER,
        *contract_fields(row.contract),
        *_terms(row, account, total),
        row.perm_id,
        terms.outside_rth,
        terms.hidden,
        NO_PRICE,
        terms.good_after_time,
        *_advisor(row),
        *NO_RANGES,
        *("0", terms.all_or_none, UNSET_INTEGER, terms.oca_type or 3),
        terms.trigger_method,
        *NO_VOLATILITY,
        *_trail(row),
        *("", "0", "0", "0"),
        *(UNSET_INTEGER, UNSET_INTEGER, UNSET_DOUBLE, ""),
        *("", "IB", "0", "0", *_algo(row), "0"),
        row.status,
        *("0", "0", "0"),
        _price(terms.trail_stop_price),
        *(UNSET_DOUBLE, UNSET_DOUBLE, "0", "0", ""),
        row.filled,
        *(UNSET_INTEGER, "0", "", "0", "0"),
        parent_perm_id or "9223372036854775807",
        done,
        f"{row.status} Size: {row.filled}" if row.filled else row.reason or row.status,
        *NO_OFFSETS,
    ]


def _terms(row: OrderRow, account: str, total: Decimal | None = None) -> Fields:
    """Return action .. orderRef."""
    terms = row.terms
    return [
        terms.action,
        terms.quantity if total is None else total,
        terms.order_type,
        terms.limit_price or NO_PRICE,
        terms.aux_price or NO_PRICE,
        terms.tif or "DAY",
        terms.oca_group,
        terms.account or account,
        terms.open_close,
        "0",
        terms.order_ref,
    ]


def _advisor(row: OrderRow) -> Fields:
    """Return faGroup .. exemptCode."""
    return ["", "", "", "", "", row.terms.good_till_date, "", UNSET_DOUBLE, "", "0", "", "-1"]


def _trail(row: OrderRow) -> Fields:
    return [_price(row.terms.trail_stop_price), _price(row.terms.trailing_percent)]


def _algo(row: OrderRow) -> Fields:
    """Return algoStrategy and, where there is one, its parameters."""
    terms = row.terms
    return [terms.algo, len(terms.algo_params) // 2, *terms.algo_params] if terms.algo else [""]


def _margins(margins: Margins | None) -> Fields:
    """Return initMarginBefore .. warningText."""
    if margins is None:
        return [*[UNSET_DOUBLE] * 9, UNSET_DOUBLE, UNSET_DOUBLE, UNSET_DOUBLE, "", ""]
    rows = (
        (margins.initial_before, margins.initial_after),
        (margins.maintenance_before, margins.maintenance_after),
        (margins.equity_before, margins.equity_after),
    )
    before = [_short(before) for before, _ in rows]
    change = [_short(after - before) for before, after in rows]
    after = [_short(after) for _, after in rows]
    return [*before, *change, *after, _short(margins.commission), UNSET_DOUBLE, UNSET_DOUBLE, margins.currency, ""]


def _price(value: Decimal | None) -> Field:
    return UNSET_DOUBLE if value is None else value


def _short(value: Decimal) -> Decimal:
    return round(value, 8)


def exec_details(execution: ExecutionRow, request_id: int, account: str, zone: str) -> Fields:
    """Return one execution; *request_id* is -1 for a live one."""
    return [
        Message.EXEC_DETAILS,
        request_id,
        execution.order_id,
        *contract_fields(execution.contract),
        execution.exec_id,
        wire_time(execution.at, zone),
        account,
        execution.contract.primary_exchange or execution.contract.exchange,
        execution.side,
        execution.shares,
        execution.price,
        execution.perm_id,
        execution.client_id,
        0,
        execution.cumulative,
        _short(execution.average_price),
        execution.order_ref,
        "",
        "",
        "",
        2,
    ]


def commission_report(execution: ExecutionRow, pending: str = "") -> Fields:
    """Return the commission of one execution, or what stands for one that is *pending*."""
    realized: Field = UNSET_DOUBLE if execution.realized is None else _short(execution.realized)
    commission: Field = pending or execution.commission
    return [
        Message.COMMISSION_REPORT,
        VERSION,
        execution.exec_id,
        commission,
        execution.commission_currency,
        realized,
        UNSET_DOUBLE,
        "",
    ]


def wire_time(at: datetime, zone: str) -> str:
    """Return *at* as ``YYYYMMDD HH:MM:SS Zone``, or in the UTC form without a name.

    >>> wire_time(datetime(2026, 3, 2, 15, 0, tzinfo=UTC), "US/Eastern")
    '20260302 10:00:00 US/Eastern'
    """
    if not zone:
        return f"{at.astimezone(UTC):%Y%m%d-%H:%M:%S}"
    name, _, written = zone.partition("=")
    return f"{at.astimezone(ZoneInfo(name)):%Y%m%d %H:%M:%S} {written or name}"


def read_wire_time(text: str) -> datetime | None:
    """Return the moment that a client writes: UTC with a dash, else in the zone behind it, New York's without one.

    >>> [read_wire_time(text).isoformat() for text in ("20260302-21:00:00", "20260302 16:00:00 US/Eastern")]
    ['2026-03-02T21:00:00+00:00', '2026-03-02T21:00:00+00:00']
    >>> read_wire_time("tomorrow") is None
    True
    """
    found = _WIRE_TIME.fullmatch(text)
    if found is None:
        return None
    day, mark, clock, name = found.groups()
    zone = read_zone(name) if name else UTC if mark == "-" else NEW_YORK
    try:
        at = datetime.strptime(f"{day} {clock}", "%Y%m%d %H:%M:%S")  # noqa: DTZ007 - its zone follows
        return None if zone is None else at.replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def position(row: PositionRow, account: str) -> Fields:
    """Return one position."""
    return [Message.POSITION, 3, account, *contract_fields(row.contract), row.quantity, _short(row.average_cost)]


def portfolio_value(row: PositionRow, account: str, price: Decimal, value: Decimal, unrealized: Decimal) -> Fields:
    """Return one position with its value."""
    return [
        Message.PORTFOLIO_VALUE,
        8,
        *contract_fields(row.contract, with_exchange=False, with_primary=True),
        row.quantity,
        price,
        _short(value),
        _short(row.average_cost),
        _short(unrealized),
        _short(row.realized),
        account,
    ]


def account_value(row: AccountValue, account: str) -> Fields:
    """Return one row of account updates."""
    return [Message.ACCOUNT_VALUE, 2, row.tag, row.value, row.currency, account]


def account_update_multi(row: AccountValue, request_id: int, account: str) -> Fields:
    """Return one row of account updates by request."""
    return [Message.ACCOUNT_UPDATE_MULTI, VERSION, request_id, account, "", row.tag, row.value, row.currency]


def account_summary(row: AccountValue, request_id: int, account: str) -> Fields:
    """Return one row of the account summary."""
    return [Message.ACCOUNT_SUMMARY, VERSION, request_id, account, row.tag, row.value, row.currency]


def contract_details(
    request_id: int, listing: Listing, exchange: str, hours: tuple[str, str], *, order_types: str
) -> Fields:
    """Return what there is to know of one security; *hours* are all and the liquid trading hours."""
    contract = listing.contract
    exchanges = EXCHANGES if contract.sec_type == "STK" else contract.exchange
    rules = ",".join([str(listing.rule)] * len(exchanges.split(",")))
    return [
        Message.CONTRACT_DETAILS,
        request_id,
        contract.symbol,
        contract.sec_type,
        contract.last_trade_date,
        contract.strike or NO_PRICE,
        contract.right,
        exchange or contract.exchange,
        contract.currency,
        contract.local_symbol,
        contract.trading_class,
        contract.trading_class,
        contract.con_id,
        listing.min_tick,
        contract.multiplier,
        order_types,
        exchanges,
        1,
        0,
        listing.long_name,
        contract.primary_exchange,
        contract.last_trade_date[:6],
        *("", "", ""),
        "US/Eastern",
        *hours,
        *("", "0", "0"),
        *("1", "", "", rules, "", "COMMON" if contract.sec_type == "STK" else ""),
        listing.instrument.quantity_step,
        listing.instrument.quantity_step,
        Decimal(100),
    ]


def option_parameters(request_id: int, listing: Listing, chain: OptionChain) -> Fields:
    """Return the options that are listed on *listing*."""
    return [
        Message.OPTION_PARAMETERS,
        request_id,
        "SMART",
        listing.contract.con_id,
        listing.contract.symbol,
        chain.multiplier,
        len(chain.expiries),
        *(day.replace("-", "") for day in chain.expiries),
        len(chain.strikes),
        *chain.strikes,
    ]


def market_rule(rule: int) -> Fields:
    """Return the price steps of a rule."""
    bands = MARKET_RULES[rule]
    return [Message.MARKET_RULE, rule, len(bands), *(number for band in bands for number in band)]


def historical_data(request_id: int, bars: Sequence[Bar], *, is_daily: bool, zone: str) -> Fields:
    """Return bars; daily ones carry a date, the others a time."""
    fields: Fields = [Message.HISTORICAL_DATA, request_id]
    times = [_bar_time(bar, is_daily=is_daily, zone=zone) for bar in bars]
    fields += [times[0], times[-1]] if times else ["", ""]
    fields.append(len(bars))
    for time, bar in zip(times, bars, strict=True):
        average = _short((bar.high + bar.low + bar.close) / 3)
        fields += [time, bar.open, bar.high, bar.low, bar.close, bar.volume, average, 1]
    return fields


def _bar_time(bar: Bar, *, is_daily: bool, zone: str) -> str:
    if is_daily:
        return f"{bar.start.astimezone(ZoneInfo(zone.partition('=')[0] or 'UTC')):%Y%m%d}"
    return wire_time(bar.start, zone or "UTC")


def tick_price(request_id: int, tick_type: int, price: Decimal, size: Decimal) -> Fields:
    """Return a price with its size."""
    return [Message.TICK_PRICE, 6, request_id, tick_type, price, size, 0]


def tick_generic(request_id: int, tick_type: int, value: Decimal) -> Fields:
    """Return a value that is neither a price nor a size."""
    return [Message.TICK_GENERIC, 6, request_id, tick_type, value]


def tick_size(request_id: int, tick_type: int, size: Decimal) -> Fields:
    """Return a size alone."""
    return [Message.TICK_SIZE, 6, request_id, tick_type, size]


def ends(message: Message, *fields: Field, version: int | None = VERSION) -> Fields:
    """Return an end-of-list message."""
    return [message, *([] if version is None else [version]), *fields]


def accounts(names: Iterable[str]) -> Fields:
    """Return the accounts of the login."""
    return [Message.MANAGED_ACCOUNTS, VERSION, ",".join(names)]
