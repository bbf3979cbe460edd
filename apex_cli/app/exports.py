"""Tables for other programs: closed trades, fills, orders, equity and tax lots, each with documented columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple

from apex_cli.app.resources import open_journal
from apex_cli.core.model.base import Value
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.order import OrderRecord
from apex_cli.core.model.position import RoundTrip
from apex_cli.core.positions.splits import split_fill
from apex_cli.core.positions.tax_lots import TaxLot, tax_lots
from apex_cli.core.reports.trade_report import SessionValue
from apex_cli.core.state.events.base_event import kind_of
from apex_cli.core.state.events.book_events import PositionSplit
from apex_cli.core.state.events.event import read_event
from apex_cli.core.state.events.order_events import FillBooked, FillCorrected, IntentWritten, OrderUpdated
from apex_cli.settings.sections import Settings

Datum = str | int | bool | Decimal | date | datetime | None


class ExportKind(StrEnum):
    """What can be exported."""

    TRADES = "trades"
    FILLS = "fills"
    ORDERS = "orders"
    EQUITY = "equity"
    LOTS = "lots"


class Column(NamedTuple):
    """One column of an export: its name, what it holds, and where it comes from."""

    name: str
    about: str
    value: Callable[[Any], Datum]


class ExportTable(Value, frozen=True, kw_only=True):
    """Rows under named columns."""

    names: tuple[str, ...]
    rows: tuple[tuple[Datum, ...], ...]


def _columns(*rows: tuple[str, str, Callable[[Any], Datum]]) -> tuple[Column, ...]:
    return tuple(Column(*row) for row in rows)


TRADES: tuple[Column, ...] = _columns(
    ("round_trip_id", "identity of the round trip", lambda trip: trip.round_trip_id),
    ("security", "identity of the security", lambda trip: trip.instrument.key),
    ("side", "long or short", lambda trip: trip.side.value),
    ("quantity", "units", lambda trip: trip.quantity),
    ("entry_time", "UTC", lambda trip: trip.entry_time),
    ("exit_time", "UTC", lambda trip: trip.exit_time),
    ("entry_price", "average price of the entry", lambda trip: trip.entry_price),
    ("exit_price", "average price of the exit", lambda trip: trip.exit_price),
    ("pnl", "gross, before commissions, in account currency", lambda trip: trip.pnl),
    ("commission", "of entry and exit", lambda trip: trip.commission),
    ("net_pnl", "pnl less commission", lambda trip: trip.net_pnl),
    ("r_multiple", "pnl over the first risk; empty where that is not known", lambda trip: trip.r_multiple),
    ("currency", "of the prices", lambda trip: trip.instrument.currency),
    ("quote_pnl", "pnl in the currency of the prices; empty where that is the account's", lambda trip: trip.quote_pnl),
    ("exit_reason", "what ended it", lambda trip: trip.exit_reason),
    ("strategy", "of the signal", lambda trip: trip.strategy),
    ("signal_id", "of the signal", lambda trip: trip.signal_id),
    ("theoretical", "true where a model made a price of it", lambda trip: trip.is_theoretical),
)
FILLS = _columns(
    ("exec_id", "the broker's id of the execution", lambda fill: fill.exec_id),
    ("filled_at", "UTC", lambda fill: fill.filled_at),
    ("security", "identity of the security", lambda fill: fill.instrument.key),
    ("side", "BUY or SELL", lambda fill: fill.side.value),
    ("quantity", "units", lambda fill: fill.quantity),
    ("price", "of one unit", lambda fill: fill.price),
    ("currency", "of the price", lambda fill: fill.instrument.currency),
    (
        "rate",
        "account currency for one unit of it; empty where it is the same",
        lambda fill: fill.rate and fill.rate.value,
    ),
    ("commission", "in account currency", lambda fill: fill.cost),
    (
        "role",
        "entry, stop, target, close; empty for a trade made outside apex",
        lambda fill: fill.role and fill.role.value,
    ),
    ("client_order_id", "order it belongs to", lambda fill: fill.client_order_id),
    ("adopted", "true for a holding taken over from the broker: nothing was traded", lambda fill: fill.is_adopted),
    ("theoretical", "true where a model made its price", lambda fill: fill.is_theoretical),
)
ORDERS = _columns(
    ("client_order_id", "our id of the order", lambda row: row.order.client_order_id),
    ("broker_order_id", "the broker's id", lambda row: row.broker_order_id),
    ("security", "identity of the security", lambda row: row.order.instrument.key),
    ("role", "entry, stop, target or close", lambda row: row.order.role.value),
    ("side", "BUY or SELL", lambda row: row.order.side.value),
    ("order_type", "such as LIMIT or STOP", lambda row: row.order.order_type.value),
    ("quantity", "units ordered", lambda row: row.order.quantity),
    ("limit_price", "worst price", lambda row: row.order.limit_price),
    ("stop_price", "trigger", lambda row: row.order.stop_price),
    ("time_in_force", "DAY, GTC and so on", lambda row: row.order.time_in_force.value),
    ("status", "where it ended, or stands", lambda row: row.status.value),
    ("filled_quantity", "units filled", lambda row: row.filled_quantity),
    ("average_price", "of what was filled", lambda row: row.average_price),
    ("reason", "why it was rejected or cancelled", lambda row: row.reason),
)
EQUITY = _columns(
    ("day", "session", lambda point: point.day),
    ("equity", "worth of the account at its end, without later deposits", lambda point: point.equity),
)
LOTS = _columns(
    ("security", "identity of the security", lambda lot: lot.security),
    ("side", "BUY: held long; SELL: sold short", lambda lot: lot.side.value),
    ("quantity", "units", lambda lot: lot.quantity),
    ("opened_at", "UTC", lambda lot: lot.opened_at),
    ("closed_at", "UTC", lambda lot: lot.closed_at),
    ("cost", "paid, commissions included", lambda lot: lot.cost),
    ("proceeds", "received, commissions deducted", lambda lot: lot.proceeds),
    ("gain", "proceeds less cost", lambda lot: lot.gain),
    ("term", "short or long: held for more than a year", lambda lot: "long" if lot.is_long_term else "short"),
    ("wash_sale_hint", "a loss with another purchase within 30 days: a hint, no advice", lambda lot: lot.is_wash_hint),
)
COLUMNS: Mapping[ExportKind, tuple[Column, ...]] = {
    ExportKind.TRADES: TRADES,
    ExportKind.FILLS: FILLS,
    ExportKind.ORDERS: ORDERS,
    ExportKind.EQUITY: EQUITY,
    ExportKind.LOTS: LOTS,
}


def export_table(
    settings: Settings, kind: ExportKind, *, trips: Iterable[RoundTrip] = (), curve: Sequence[SessionValue] = ()
) -> ExportTable:
    """Return the rows of *kind*: *trips* and *curve* are given, the others are read from the journal."""
    rows: Iterable[RoundTrip | Fill | OrderRecord | SessionValue | TaxLot]
    match kind:
        case ExportKind.TRADES:
            rows = trips
        case ExportKind.EQUITY:
            rows = curve
        case ExportKind.FILLS:
            rows = _fills(settings)
        case ExportKind.LOTS:
            rows = tax_lots(_fills(settings, in_units_of_today=True))
        case ExportKind.ORDERS:
            rows = _orders(settings)
    columns = COLUMNS[kind]
    return ExportTable(
        names=tuple(column.name for column in columns),
        rows=tuple(tuple(column.value(row) for column in columns) for row in rows),
    )


def _fills(settings: Settings, *, in_units_of_today: bool = False) -> list[Fill]:
    """Return every fill as it was last booked, oldest first; *in_units_of_today* with the splits that came after it."""
    found: dict[str, Fill] = {}
    for row in open_journal(settings).scan((kind_of(FillBooked), kind_of(FillCorrected), kind_of(PositionSplit))):
        match read_event(row):
            case FillBooked(data=fill) | FillCorrected(data=fill):
                found[fill.key] = fill
            case PositionSplit(data=split) if in_units_of_today:
                held = [fill for fill in found.values() if fill.instrument.key == split.key]
                found |= {fill.key: split_fill(fill, split.parts) for fill in held}
            case _:
                pass
    return sorted(found.values(), key=lambda fill: (fill.filled_at, fill.key))


def _orders(settings: Settings) -> list[OrderRecord]:
    """Return every order as it stood last, in the order they were made."""
    found: dict[str, OrderRecord] = {}
    for row in open_journal(settings).scan((kind_of(IntentWritten), kind_of(OrderUpdated))):
        event = read_event(row)
        if isinstance(event, IntentWritten):
            for order in event.data.orders:
                found.setdefault(
                    order.client_order_id, OrderRecord(order=order, created_at=event.at, updated_at=event.at)
                )
        elif isinstance(event, OrderUpdated):
            found[event.data.order.client_order_id] = event.data
    return list(found.values())
