"""The order desk without a wire: policies that nobody can prove from outside, one by one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from apex_cli.core.model.money import ZERO
from apex_cli.gateway.books import Books, desk_of
from apex_cli.gateway.contracts import Contract, trading_hours
from apex_cli.gateway.desk import Desk
from apex_cli.gateway.messages import open_order
from apex_cli.gateway.policy import Children, OcaPartial, Policy
from apex_cli.gateway.rows import ErrorReport, ExecutionReport, OrderRow, PreviewReport, Report
from apex_cli.gateway.terms import Placement, Terms

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
STOCK = Contract(symbol="AAPL", sec_type="STK", exchange="SMART", currency="USD")
ME = 7


def open_desk(policy: Policy | None = None, *, cash: int = 100_000, is_margin: bool = True) -> Desk:
    desk = Desk(cash=Decimal(cash), symbols=["AAPL"], policy=policy, is_margin=is_margin)
    price(desk, "50.00")
    return desk


def price(desk: Desk, at: str, size: int | None = None) -> list[Report]:
    return desk.set_price(desk.listings.add("AAPL"), Decimal(at), NOW, size=None if size is None else Decimal(size))


def place(desk: Desk, order_id: int, kind: str, action: str, quantity: int, **terms: Any) -> list[Report]:
    prices = {name: Decimal(str(value)) if "price" in name else value for name, value in terms.items()}
    made = Terms(action=action, quantity=Decimal(quantity), order_type=kind, **{"tif": "GTC", **prices})
    return desk.place(ME, Placement(order_id=order_id, contract=STOCK, terms=made), NOW)


def bracket(desk: Desk, quantity: int = 90) -> None:
    place(desk, 1, "LMT", "BUY", quantity, limit_price=49, transmit=False)
    place(desk, 2, "LMT", "SELL", quantity, limit_price=55, parent_id=1, transmit=False)
    place(desk, 3, "STP", "SELL", quantity, aux_price=47, parent_id=1)


def row(desk: Desk, order_id: int) -> OrderRow:
    found = desk.row_of(ME, order_id)
    assert found is not None
    return found


def states(desk: Desk) -> list[tuple[str, int, int]]:
    return [(row.status, int(row.terms.quantity), int(row.filled)) for row in desk.orders.values()]


def codes(reports: list[Report]) -> list[int]:
    return [item.code for item in reports if isinstance(item, ErrorReport)]


def test_children_work_from_the_first_share_on() -> None:
    desk = open_desk()
    bracket(desk)
    price(desk, "49.00", 30)
    assert states(desk) == [("Submitted", 90, 30), ("Submitted", 90, 0), ("PreSubmitted", 90, 0)]
    price(desk, "46.00", 0)
    desk.fill(row(desk, 3).perm_id, Decimal(90), None, NOW)
    assert row(desk, 3).filled == 30


def test_children_may_wait_for_the_last_share() -> None:
    desk = open_desk(Policy(children=Children.AT_FULL_FILL))
    bracket(desk)
    price(desk, "49.00", 30)
    assert states(desk) == [("Submitted", 90, 30), ("PreSubmitted", 90, 0), ("PreSubmitted", 90, 0)]
    price(desk, "46.50", 0)
    assert row(desk, 3).filled == 0
    price(desk, "49.00", 60)
    assert states(desk) == [("Filled", 90, 90), ("Submitted", 90, 0), ("PreSubmitted", 90, 0)]
    price(desk, "55.00")
    assert [state for state, *_ in states(desk)] == ["Filled", "Filled", "Cancelled"]


@pytest.mark.parametrize("children", list(Children))
@pytest.mark.parametrize("takes", [False, True])
def test_cancelling_the_rest_of_a_parent_leaves_or_takes_its_children(children: Children, takes: bool) -> None:
    desk = open_desk(Policy(children=children, cancelled_parent_takes_children=takes))
    bracket(desk)
    price(desk, "49.00", 30)
    desk.cancel(ME, 1, NOW)
    exits = [("Cancelled", 0), ("Cancelled", 0)] if takes else [("Submitted", 30), ("PreSubmitted", 30)]
    assert [(state, quantity * (state != "Cancelled")) for state, quantity, _ in states(desk)[1:]] == exits
    assert states(desk)[0] == ("Cancelled", 90, 30)


@pytest.mark.parametrize("children", list(Children))
def test_an_unfilled_parent_takes_its_children_with_it(children: Children) -> None:
    desk = open_desk(Policy(children=children))
    bracket(desk)
    assert sorted(codes(desk.cancel(ME, 1, NOW))) == [202, 202, 202]
    assert {state for state, *_ in states(desk)} == {"Cancelled"}


@pytest.mark.parametrize(
    ("policy", "oca_type", "stop"),
    [
        (OcaPartial.REDUCE, 1, ("PreSubmitted", 60)),
        (OcaPartial.BY_TYPE, 2, ("PreSubmitted", 60)),
        (OcaPartial.BY_TYPE, 1, ("Cancelled", 60)),
        (OcaPartial.CANCEL, 2, ("Cancelled", 60)),
    ],
)
def test_a_partial_fill_reduces_or_cancels_the_other_leg(
    policy: OcaPartial, oca_type: int, stop: tuple[str, int]
) -> None:
    desk = open_desk(Policy(oca_partial=policy))
    place(desk, 1, "MKT", "BUY", 90)
    place(desk, 2, "LMT", "SELL", 90, limit_price=55, oca_group="pair", oca_type=oca_type)
    place(desk, 3, "STP", "SELL", 90, aux_price=47, oca_group="pair", oca_type=oca_type)
    price(desk, "55.00", 30)
    assert states(desk)[2][:2] == stop


def test_an_order_is_known_by_rising_ids_only() -> None:
    desk = open_desk()
    place(desk, 5, "LMT", "BUY", 1, limit_price=40)
    assert codes(place(desk, 4, "LMT", "BUY", 1, limit_price=40)) == [103]
    assert desk.next_order_id(ME) == 6
    relaxed = open_desk(Policy(demands_rising_ids=False))
    place(relaxed, 5, "LMT", "BUY", 1, limit_price=40)
    assert codes(place(relaxed, 4, "LMT", "BUY", 1, limit_price=40)) == []


def test_a_filled_order_cannot_be_changed_nor_a_cancelled_one() -> None:
    desk = open_desk()
    place(desk, 1, "MKT", "BUY", 1)
    assert codes(place(desk, 1, "MKT", "BUY", 2)) == [104]
    place(desk, 2, "LMT", "BUY", 1, limit_price=40)
    assert codes(place(desk, 2, "STP", "BUY", 1, aux_price=60)) == [105]
    desk.cancel(ME, 2, NOW)
    assert codes(place(desk, 2, "LMT", "BUY", 1, limit_price=41)) == [103]
    assert codes(desk.cancel(ME, 2, NOW)) == [10148]
    assert codes(desk.cancel(ME, 99, NOW)) == [10147]


def test_a_cash_account_sells_no_more_than_it_holds_nor_buys_on_credit() -> None:
    desk = open_desk(cash=1000, is_margin=False)
    assert codes(place(desk, 1, "LMT", "SELL", 1, limit_price=60)) == [201]
    assert codes(place(desk, 2, "LMT", "BUY", 21, limit_price=50)) == [201]
    assert codes(place(desk, 3, "LMT", "BUY", 19, limit_price=50)) == []
    assert codes(place(desk, 4, "LMT", "SELL", 19, limit_price=60)) == []


def test_a_rejected_order_ends_as_the_policy_says() -> None:
    for status, expected in (("Inactive", "Inactive"), ("Cancelled", "Cancelled"), ("", "Inactive")):
        desk = open_desk(Policy(rejects_as=status), cash=10)
        place(desk, 1, "LMT", "BUY", 100, limit_price=50)
        assert row(desk, 1).status == expected


def test_day_orders_end_with_their_session() -> None:
    desk = open_desk()
    place(desk, 1, "LMT", "BUY", 1, limit_price=40, tif="DAY")
    place(desk, 2, "LMT", "BUY", 1, limit_price=40)
    desk.end_session(NOW)
    assert [state for state, *_ in states(desk)] == ["Cancelled", "Submitted"]


def test_the_auctions_are_held_with_the_session() -> None:
    desk = open_desk()
    place(desk, 1, "MOC", "BUY", 1)
    place(desk, 2, "MKT", "BUY", 1, tif="OPG")
    place(desk, 3, "LOC", "BUY", 1, limit_price=40)
    assert [state for state, *_ in states(desk)] == ["PreSubmitted"] * 3
    desk.end_session(NOW)
    assert [state for state, *_ in states(desk)] == ["Filled", "PreSubmitted", "Cancelled"]
    desk.open_session(NOW)
    assert [state for state, *_ in states(desk)] == ["Filled", "Filled", "Cancelled"]


def test_an_order_good_till_a_time_needs_one_and_ends_then() -> None:
    desk = open_desk()
    place(desk, 1, "LMT", "BUY", 1, limit_price=40, tif="GTD", good_till_date="soon")
    assert desk.orders == {}
    end = NOW + timedelta(hours=1)
    place(desk, 2, "LMT", "BUY", 1, limit_price=40, tif="GTD", good_till_date=f"{end:%Y%m%d-%H:%M:%S}")
    local = f"{end.astimezone(ZoneInfo('America/New_York')):%Y%m%d %H:%M:%S} US/Eastern"
    place(desk, 3, "LMT", "BUY", 1, limit_price=40, tif="GTD", good_till_date=local)
    assert [state for state, *_ in states(desk)] == ["Submitted", "Submitted"]
    desk.set_price(desk.listings.add("AAPL"), Decimal(50), end)
    assert [state for state, *_ in states(desk)] == ["Cancelled", "Cancelled"]


def test_a_late_fill_comes_after_the_cancel_was_reported() -> None:
    desk = open_desk()
    place(desk, 1, "LMT", "BUY", 10, limit_price=49, order_ref="late")
    desk.late_fills["late"] = Decimal(4)
    reports = desk.cancel(ME, 1, NOW)
    execution = next(n for n, item in enumerate(reports) if isinstance(item, ExecutionReport))
    statuses = [item.row.status for item in reports[:execution] if not isinstance(item, ErrorReport | ExecutionReport)]  # type: ignore[union-attr]
    assert statuses == ["Cancelled"]
    assert (row(desk, 1).status, row(desk, 1).filled) == ("Cancelled", 4)


def test_the_books_bring_everything_back() -> None:
    desk = open_desk(Policy(children=Children.AT_FULL_FILL))
    bracket(desk)
    price(desk, "49.00", 30)
    books = Books()
    books.write(desk, {})
    kept = books.read()
    assert kept is not None
    again = desk_of(kept, desk.policy)
    assert states(again) == states(desk)
    assert again.holdings.executions == desk.holdings.executions
    for one in (desk, again):
        price(one, "49.00")
        price(one, "47.00")
    assert states(again) == states(desk) == [("Filled", 90, 90), ("Cancelled", 90, 0), ("Filled", 90, 90)]
    assert again.engine.ledger.total_cash == desk.engine.ledger.total_cash
    assert again.holdings.held("AAPL") == ZERO


def test_an_oca_group_is_known_by_its_name_to_children_and_others() -> None:
    desk = open_desk()
    place(desk, 1, "MKT", "BUY", 10, transmit=False)
    place(desk, 2, "LMT", "SELL", 10, limit_price=55, parent_id=1, oca_group="pair")
    place(desk, 3, "STP", "SELL", 10, aux_price=47, oca_group="pair")
    price(desk, "55.00")
    assert [state for state, *_ in states(desk)] == ["Filled", "Filled", "Cancelled"]
    assert codes(place(desk, 4, "STP", "SELL", 10, aux_price=47, oca_group="pair")) == [201]


def test_the_hours_of_a_stock_end_earlier_on_a_half_day() -> None:
    every, liquid = trading_hours(datetime(2026, 11, 26, 15, tzinfo=UTC))
    assert every.split(";")[:3] == ["20261126:CLOSED", "20261127:0400-20261127:1700", "20261128:CLOSED"]
    assert liquid.split(";")[1] == "20261127:0930-20261127:1300"
    assert "20261130:0400-20261130:2000" in every


def test_a_preview_names_the_currency_of_the_account() -> None:
    desk = Desk(cash=Decimal(100_000), symbols=["AAPL"], base="EUR", rates={"USD": Decimal("0.9")})
    price(desk, "50.00")
    (report,) = place(desk, 1, "LMT", "BUY", 100, limit_price=50, what_if=True)
    assert isinstance(report, PreviewReport)
    assert report.margins.currency == "EUR"
    assert "EUR" in open_order(report.row, 0, "DU1", report.margins)


def test_what_an_option_brought_today_is_not_settled_with_its_multiplier() -> None:
    desk = open_desk(is_margin=False)
    option = desk.listings.add("AAPL  260320C00050000")
    desk.set_price(option, Decimal("2.50"), NOW)
    for number, action in enumerate(("BUY", "SELL"), start=1):
        made = Terms(action=action, quantity=Decimal(1), order_type="MKT", tif="DAY")
        desk.place(ME, Placement(order_id=number, contract=option.contract, terms=made), NOW)
        desk.set_price(option, Decimal("2.50"), NOW)
    assert desk.holdings.balance(NOW).unsettled == 250
