"""The tracker, word by word: what ends an order, what only raises a doubt, and that the order of words is no matter."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from apex_cli.core.adapters.ib.callbacks import (
    CommissionWord,
    CompletedOrder,
    Executed,
    OpenOrder,
    StatusWord,
    Trouble,
    Word,
)
from apex_cli.core.adapters.ib.tracker import Tracker
from apex_cli.core.model.broker_events import BrokerEvent
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.money import Price, Quantity, Usd
from apex_cli.core.model.order import OrderStatus, OrderType
from apex_cli.core.model.side import OrderSide
from kit.ib import AAPL, fills, order, states

NOW = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
W, F, C, R = OrderStatus.WORKING, OrderStatus.FILLED, OrderStatus.CANCELLED, OrderStatus.REJECTED


def tracker() -> Tracker:
    made = Tracker(lambda: NOW)
    made.client_id = 1
    return made


def sent() -> Tracker:
    made = tracker()
    made.sent(order("E", "BUY", "LIMIT", limit_price="100"), client_id=1, order_id=5)
    return made


def opened(
    status: str = "Submitted", *, ref: str = "apex-b1-E", perm_id: int = 900, stop: str | None = None
) -> OpenOrder:
    return OpenOrder(
        order_id=5,
        client_id=1,
        perm_id=perm_id,
        ref=ref,
        account="DU1",
        instrument=AAPL,
        side=OrderSide.BUY,
        order_type=OrderType.LIMIT,
        quantity=Quantity(Decimal(10)),
        stop_price=Price(Decimal(stop)) if stop else None,
        status=status,
    )


def status(word: str, filled: int = 0, *, perm_id: int = 900) -> StatusWord:
    return StatusWord(order_id=5, client_id=1, perm_id=perm_id, status=word, filled=Quantity(Decimal(filled)))


def executed(
    number: int, quantity: int, *, correction: int = 1, ref: str = "apex-b1-E", account: str = "DU1"
) -> Executed:
    fill = Fill(
        exec_id=f"0001.{number}.01.{correction:02}",
        client_order_id=ref,
        instrument=AAPL,
        side=OrderSide.BUY,
        quantity=Quantity(Decimal(quantity)),
        price=Price(Decimal(100)),
        filled_at=NOW + timedelta(seconds=number),
    )
    return Executed(fill=fill, perm_id=900 if ref else 901, account=account)


def hear(made: Tracker, *words: Word) -> list[BrokerEvent]:
    for word in words:
        made.hear(word)
    return list(made.drain())


def test_sending_proves_nothing() -> None:
    assert hear(sent(), status("PendingSubmit", perm_id=0)) == []


def test_the_brokers_number_is_the_acknowledgement() -> None:
    assert states(hear(sent(), opened("PreSubmitted"))) == {"E": W}


@pytest.mark.parametrize("word", ["Cancelled", "ApiCancelled", "Inactive"])
def test_a_word_that_sounds_like_an_end_only_raises_a_doubt(word: str) -> None:
    made = sent()
    assert states(hear(made, opened(), status(word))) == {"E": W}
    assert made.doubts == {"apex-b1-E"}


def test_a_doubt_ends_when_the_order_is_not_on_the_list() -> None:
    made = sent()
    hear(made, opened(), status("Cancelled"))
    made.confirm([])
    assert states(made.drain()) == {"E": C}


def test_a_doubt_is_no_end_when_the_order_is_on_the_list() -> None:
    made = sent()
    hear(made, opened(), Trouble(about=5, code=201, text="Order rejected - reason: modify refused"))
    made.confirm([opened()])
    assert states(made.drain()) == {"E": W}
    assert made.doubts == set()


def test_an_end_waits_for_the_executions_that_its_status_names() -> None:
    made = sent()
    hear(made, opened(), status("Cancelled", 4))
    made.confirm([])
    assert list(made.drain()) == []
    hear(made, executed(1, 4))
    made.confirm([])
    assert states(made.drain()) == {"E": C}


def test_a_filled_status_waits_for_its_execution() -> None:
    made = sent()
    assert states(hear(made, opened(), status("Filled", 10))) == {"E": W}
    made.confirm([])
    assert list(made.drain()) == []
    assert [type(e).__name__ for e in hear(made, executed(1, 10))] == ["Fill", "OrderUpdate"]


def test_a_correction_does_not_add_up() -> None:
    made = sent()
    hear(made, opened(), executed(1, 4), executed(1, 4, correction=2))
    assert made.orders["apex-b1-E"].executed == 4
    assert hear(made, executed(1, 4)) == [], "an older word on the same execution"


def test_what_was_taken_back_does_not_end_an_order_that_still_works() -> None:
    made = sent()
    hear(made, opened(), executed(1, 6), executed(1, 0, correction=2), status("Submitted", 4), executed(2, 4))
    assert (made.orders["apex-b1-E"].is_open, made.orders["apex-b1-E"].executed) == (True, 4)


def test_a_correction_to_more_shares_ends_the_order_that_it_fills() -> None:
    made = sent()
    hear(made, opened(), executed(1, 6), status("Filled", 10))
    assert states(hear(made, executed(1, 10, correction=2))) == {"E": OrderStatus.FILLED}


def test_a_commission_before_the_fill_was_reported_goes_with_it() -> None:
    words = [opened(), executed(1, 10), CommissionWord(exec_id="0001.1.01.01", commission=Usd(Decimal("0.35")))]
    (fill,) = [event for event in hear(sent(), *words) if isinstance(event, Fill)]
    assert fill.commission == Decimal("0.35")


def test_a_commission_after_it_is_reported_with_the_fill_once_more() -> None:
    made = sent()
    hear(made, opened(), executed(1, 10))
    (fill,) = hear(made, CommissionWord(exec_id="0001.1.01.01", commission=Usd(Decimal("0.35"))))
    assert isinstance(fill, Fill)
    assert fill.commission == Decimal("0.35")


def test_executions_of_others_are_kept_apart() -> None:
    made = sent()
    assert hear(made, executed(1, 3, ref=""), opened(ref="someone-else", perm_id=77)) == []
    made.account = "DU1"
    assert hear(made, executed(3, 3, account="DU2")) == []
    assert len(made.foreign_fills) == 1


def test_a_new_order_that_was_refused_is_rejected() -> None:
    made = sent()
    hear(made, Trouble(about=5, code=110, text="The price does not conform"))
    made.confirm([])
    (update,) = made.drain()
    assert states([update]) == {"E": R}


def test_a_new_order_that_an_api_for_looking_refused_is_rejected_without_asking_it_for_its_orders() -> None:
    made = sent()
    text = "Error validating request: The API interface is in Read-Only mode."
    assert states(hear(made, Trouble(about=5, code=321, text=text))) == {"E": R}
    assert not made.doubts


def test_of_what_was_on_its_way_nothing_is_concluded_from_silence() -> None:
    made = sent()
    made.doubt_all_open()
    made.confirm([])
    assert list(made.drain()) == []


def test_an_order_id_that_was_issued_again_is_not_taken_for_the_old_order() -> None:
    made = sent()
    hear(made, opened())
    assert hear(made, status("Cancelled", perm_id=1234)) == []
    assert made.doubts == set()


def test_a_status_before_anything_else_is_remembered_by_the_brokers_number() -> None:
    made = tracker()
    hear(made, status("Filled", 10))
    hear(made, executed(1, 4))
    assert made.orders["apex-b1-E"].filled == 10


def test_a_completed_order_reports_how_it_ended() -> None:
    made = tracker()
    word = CompletedOrder(
        perm_id=900, ref="apex-b1-E", account="DU1", status="Cancelled", filled=Quantity(Decimal(4)), why="by trader"
    )
    hear(made, word)
    made.confirm([])
    assert list(made.drain()) == [], "four of it were executed, and nobody reported that yet"
    hear(made, executed(1, 4))
    made.confirm([])
    assert states(made.drain()) == {"E": C}


def test_what_has_ended_does_not_come_to_life() -> None:
    made = sent()
    hear(made, opened(), executed(1, 10))
    assert hear(made, opened(), status("Submitted", 4), status("Cancelled", 10)) == []


def test_a_moved_stop_is_reported() -> None:
    made = sent()
    hear(made, opened(stop="98"))
    (update,) = hear(made, opened(stop="99"))
    assert update.stop_price == 99  # type: ignore[union-attr]
    assert hear(made, opened(stop="99")) == []


LIFE: tuple[Word, ...] = (
    opened("PreSubmitted"),
    opened(),
    status("Submitted", 3),
    executed(1, 3),
    executed(2, 3),
    executed(2, 3, correction=2),
    status("Submitted", 6),
    executed(3, 4),
    status("Filled", 10),
    *(CommissionWord(exec_id=f"0001.{n}.01.01", commission=Usd(Decimal(1))) for n in (1, 3)),
    CommissionWord(exec_id="0001.2.01.02", commission=Usd(Decimal(1))),
)


@given(words=st.permutations(LIFE), again=st.lists(st.sampled_from(LIFE), max_size=6))
def test_words_in_any_order_and_any_number_of_times_come_to_the_same(words: Iterable[Word], again: list[Word]) -> None:
    made = sent()
    events = hear(made, *words, *again)
    known = made.orders["apex-b1-E"]
    newest = {e.key: e for e in events if isinstance(e, Fill)}
    assert (known.ended, known.executed) == (F, 10)
    assert sum(fill.quantity for fill in newest.values()) == 10
    assert {(fill.exec_id, fill.commission) for fill in newest.values()} == {
        ("0001.1.01.01", 1),
        ("0001.2.01.02", 1),
        ("0001.3.01.01", 1),
    }
    assert states(events)["E"] is F
    assert fills(events)
    assert made.doubts == set()


def test_a_filled_order_is_as_large_as_what_it_executed() -> None:
    made = sent()
    events = hear(made, opened(), executed(1, 7), status("Filled", 7))
    (reported,) = [event for event in events if not isinstance(event, Fill) and event.status is F]
    assert reported.quantity == 7


def test_an_order_that_comes_without_its_reference_is_known_by_its_permanent_number() -> None:
    """A change by hand in TWS may drop it: the number is that of an earlier word, or of the books."""
    early = sent()
    early.hear(opened())
    early.drain()
    early.hear(replace(executed(1, 10, ref=""), perm_id=900))
    assert fills(early.drain()) == [("E", 10, 100)]
    late = Tracker(lambda: NOW, name_of={"900": "apex-b1-E"}.__getitem__)
    late.client_id = 1
    late.hear(opened(ref=""))
    late.hear(CompletedOrder(perm_id=900, ref="", account="DU1", status="Cancelled", filled=Quantity(Decimal(0))))
    assert "E" in states(late.drain())
    assert not tracker().orders


def test_an_order_of_another_hand_has_no_name() -> None:
    made = tracker()
    made.hear(opened(ref=""))
    assert made.orders == {}
