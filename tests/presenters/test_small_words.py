"""Numbers and times in the words of screens and messages: signs, nouns, days."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from apex_cli.core.model.account import AccountSnapshot
from apex_cli.core.model.money import Price, Usd
from apex_cli.core.model.records import OutboxRow
from apex_cli.core.model.wording import counted, decimals, money
from apex_cli.core.positions.announcements import summarise_day
from apex_cli.core.reports.board import make_day
from apex_cli.core.state.tables import State
from apex_cli.presenters.management_lines import management_line
from apex_cli.presenters.messages.phone import orders_pages, status_html, summary_html
from apex_cli.presenters.screen.formats import day_text, price
from kit import START

JOURNAL = Path(__file__).parents[1] / "core" / "state" / "journal_lines.jsonl"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("0.0000012345", "0.0000012345"),
        ("0.000045678912", "0.0000456789"),
        ("0.5", "0.50"),
        ("1.123456789", "1.123457"),
        ("27000", "27,000.00"),
        ("0", "0.00"),
    ],
)
def test_a_price_keeps_six_digits_however_small_it_is(value: str, shown: str) -> None:
    assert price(Price(Decimal(value))) == shown


def test_what_rounds_to_nothing_has_no_sign() -> None:
    assert (decimals(Decimal("-0.00001")), money(Decimal("-0.00001"))) == ("0.00", "0.00 USD")
    account = AccountSnapshot(
        equity=Usd(Decimal(3000)), cash=Usd(Decimal(3000)), buying_power=Usd(Decimal(3000)), taken_at=START
    )
    summary = replace(summarise_day(State(), account, "2026-11-24"), net_pnl=Usd(Decimal("-0.001")))
    assert "2026-11-24: +0.00 closed, +0.00 open" in summary_html(summary)


def test_one_thing_is_not_counted_as_several() -> None:
    assert [counted(count, "entry") for count in (0, 1, 2)] == ["0 entries", "1 entry", "2 entries"]
    day = replace(make_day(State(), START), unknown_orders=1, entries_today=1)
    assert "! 1 order of unknown outcome" in status_html(day)
    assert "1 entry today" in status_html(day)
    assert orders_pages(()) == ("<b>0 working orders</b>\nNone.",)


def test_a_day_is_that_of_new_york() -> None:
    assert day_text(datetime.fromisoformat("2026-03-03T00:59:59+00:00")) == "2026-03-02"


def test_an_entry_that_sells_has_filled_and_bought_nothing() -> None:
    (row,) = (row for row in _rows() if row.kind == "repriced")
    data = msgspec.json.decode(row.data) | {"filled": "3", "quantity": "1E+1", "from_price": "50", "to_price": "50.5"}
    line = management_line(replace(row, data=msgspec.Raw(msgspec.json.encode(data))))
    assert line is not None
    assert line.endswith("entry for 10 moved from 50.00 to 50.50, 3 had filled already")


def _rows() -> list[OutboxRow]:
    return [msgspec.json.decode(line, type=OutboxRow) for line in JOURNAL.read_bytes().splitlines()]
