"""Tables for other programs, made of a journal."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from msgspec.structs import replace

from apex_cli.app.exports import ExportKind, export_table
from apex_cli.core.adapters.state.journal import Journal
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.instrument import make_instrument
from apex_cli.core.model.money import Price, Quantity, Usd
from apex_cli.core.model.reconciliation import SplitParts, SplitTaken
from apex_cli.core.model.side import OrderSide
from apex_cli.core.state.events.book_events import PositionSplit
from apex_cli.core.state.events.order_events import FillBooked
from apex_cli.core.state.tables import State
from apex_cli.settings.sections import Settings
from kit import START


def a_fill(day: int, side: OrderSide, quantity: int, price: int) -> Fill:
    return Fill(
        exec_id=f"{day}",
        instrument=make_instrument("AAPL"),
        side=side,
        quantity=Quantity(Decimal(quantity)),
        price=Price(Decimal(price)),
        commission=Usd(Decimal(1)),
        filled_at=START + timedelta(days=day),
    )


def test_what_was_bought_before_a_split_is_one_lot_with_what_was_sold_after_it(tmp_path: Path) -> None:
    state = State()
    bought, sold = a_fill(0, OrderSide.BUY, 10, 100), a_fill(2, OrderSide.SELL, 20, 55)
    state.emit(FillBooked(at=bought.filled_at, subject="AAPL", data=bought))
    split = SplitTaken(key="AAPL", parts=SplitParts(new=2, old=1))
    state.emit(PositionSplit(at=START + timedelta(days=1), subject="AAPL", data=split))
    state.emit(FillBooked(at=sold.filled_at, subject="AAPL", data=sold))
    Journal(tmp_path / "journal").append(list(state.outbox.values()))
    settings = Settings().replace(state=replace(Settings().state, dir=tmp_path))
    lots = export_table(settings, ExportKind.LOTS)
    facts = [dict(zip(lots.names, row, strict=True)) for row in lots.rows]
    assert [(lot["quantity"], lot["cost"], lot["proceeds"], lot["gain"]) for lot in facts] == [(20, 1001, 1099, 98)]
    fills = export_table(settings, ExportKind.FILLS)
    assert [row[fills.names.index("quantity")] for row in fills.rows] == [10, 20]
