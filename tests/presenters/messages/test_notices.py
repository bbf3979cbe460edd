from __future__ import annotations

import ast
import inspect
from decimal import Decimal
from operator import attrgetter
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apex_cli.core.model.account import CashFlow
from apex_cli.core.model.decision import DayTradeStatus, Regime, TradingMode
from apex_cli.core.model.learning import LearningState, Weights
from apex_cli.core.model.money import Usd
from apex_cli.core.model.notice import EventSettings, News, Notice, NoticeKind
from apex_cli.core.model.order import EntryOrder
from apex_cli.core.model.reconciliation import Break, BreakCode, Correction, CorrectionKind
from apex_cli.core.model.records import OutboxRow, TradingState
from apex_cli.core.state.events.account_events import CashMoved
from apex_cli.core.state.events.base_event import kind_of
from apex_cli.core.state.events.book_events import BreakFound
from apex_cli.core.state.events.event import EVENT_TYPES
from apex_cli.core.state.events.learning_events import LearningChange, WeightsAdapted
from apex_cli.presenters.messages import notices
from apex_cli.presenters.messages.message import MOST_CHARACTERS, one_line, plain_text, telegram_html, telegram_notice
from apex_cli.presenters.messages.notices import notice_of, profit_emoji
from kit import START, a_row
from kit.rig import Rig, auto, make_signal, manual

ENTRY_FIELDS = {
    "symbol",
    "side",
    "quantity",
    "entry_price",
    "stop_loss",
    "target_price",
    "risk_reward",
    "strategy",
}
EXIT_FIELDS = {"symbol", "side", "quantity", "entry_price", "exit_price", "pnl", "pnl_pct", "reason", "emoji"}


def reported(rig: Rig) -> list[Notice]:
    """Return what people are reported everything that happened."""
    return [notice for event in rig.store.events if (notice := notice_of(event)) is not None]


def event(kind: str, data: Any, subject: str = "") -> OutboxRow:
    return OutboxRow(seq=7, at=START, kind=kind, subject=subject, data=msgspec.Raw(msgspec.json.encode(data)))


def test_an_entry_and_its_exit_are_reported_with_their_numbers() -> None:
    rig = Rig(limits=auto())
    rig.feed(make_signal(now=rig.clock.now()))
    (entry,) = reported(rig)
    assert (entry.kind, entry.priority) == (NoticeKind.ENTRY, 1)
    assert set(entry.payload) >= ENTRY_FIELDS
    assert entry.title.startswith("🟢 AAPL long ")
    assert "Value 750.00 USD · loss at stop 30.00" in entry.lines
    rig.clock.advance(minutes=5)
    rig.price("60")
    rig.cycle()
    exit_ = next(notice for notice in reported(rig) if notice.kind is NoticeKind.EXIT)
    assert exit_.priority == 1
    assert set(exit_.payload) >= EXIT_FIELDS
    assert (exit_.payload["emoji"], exit_.payload["reason"]) == ("💰", "target")


@pytest.mark.parametrize(
    ("remaining", "title"),
    [(2, "2 of 3 day trades are left"), (1, "1 of 3 day trades is left"), (0, "No day trade is left")],
)
def test_the_day_trades_that_are_left_are_counted(remaining: int, title: str) -> None:
    status = DayTradeStatus(regime=Regime.CLASSIC, used=3 - remaining, remaining=remaining, limit=3)
    warning = notice_of(event("day_trade_warning", status))
    assert warning is not None
    assert warning.title == f"⚠️ {title}"


def test_a_loss_has_another_sign() -> None:
    assert [profit_emoji(Decimal(pnl)) for pnl in ("0.01", "0", "-1")] == ["💰", "📉", "📉"]


def test_an_entry_in_two_parts_is_reported_with_its_first_and_with_its_last() -> None:
    rig = Rig(limits=auto(entry_order=EntryOrder.LIMIT))
    rig.price("51")
    rig.feed(make_signal(now=rig.clock.now()))
    for size in ("3", "5", "300"):
        rig.price("50", size=size)
        rig.cycle()
    first, last = [notice.title for notice in reported(rig) if notice.kind is NoticeKind.ENTRY]
    assert first.endswith(", more may follow")
    assert " 3 of 15 at 50" in first
    assert " of " not in last


def test_a_first_target_is_reported_as_a_part() -> None:
    rig = Rig(limits=auto())
    rig.feed(make_signal(now=rig.clock.now(), targets=("54", "58")))
    rig.clock.advance(minutes=5)
    rig.price("55")
    rig.cycle()
    (part,) = [notice for notice in reported(rig) if notice.kind is NoticeKind.EXIT]
    assert "held on" in part.title
    assert part.payload["reason"] == "target"
    assert Decimal(str(part.payload["remaining"])) > 0


def test_a_question_names_its_approval_and_an_expiry_its_end() -> None:
    rig = Rig(limits=manual())
    rig.feed(make_signal(now=rig.clock.now(), minutes=600))
    (question,) = reported(rig)
    (approval,) = rig.desk.pending()
    assert question.is_question
    assert (question.approval_id, question.approval_version) == (approval.approval_id, 1)
    rig.clock.advance(minutes=31)
    rig.cycle()
    end = reported(rig)[-1]
    assert (end.kind, end.is_question) == (NoticeKind.APPROVAL, False)
    assert "expired" in end.title


def test_day_trades_that_run_out_are_reported_once_a_session() -> None:
    rig = Rig(limits=auto())
    for number in range(3):
        rig.feed(make_signal(now=rig.clock.now(), signal_id=f"s{number}"))
        rig.clock.advance(minutes=5)
        rig.price("60")
        rig.cycle()
        rig.price("50")
        rig.cycle()
    warnings = [notice for notice in reported(rig) if notice.kind is NoticeKind.DAY_TRADES]
    assert [notice.payload["remaining"] for notice in warnings] == [1, 0]
    rig.cycle()
    assert len([notice for notice in reported(rig) if notice.kind is NoticeKind.DAY_TRADES]) == 2


def test_the_day_is_summed_up_once_after_the_close() -> None:
    rig = Rig(limits=auto())
    rig.feed(make_signal(now=rig.clock.now()))
    rig.clock.advance(minutes=60 * 6)
    rig.cycle()
    rig.cycle()
    (summary,) = [notice for notice in reported(rig) if notice.kind is NoticeKind.SUMMARY]
    assert summary.payload["entries"] == 1
    assert summary.payload["open_positions"] == 1
    assert summary.priority == 3


def test_a_day_without_trades_and_positions_has_no_sum() -> None:
    rig = Rig()
    rig.cycle()
    rig.clock.advance(minutes=60 * 6)
    rig.cycle()
    assert [notice.kind for notice in reported(rig)] == []


def test_a_refusal_is_news_when_it_speaks_of_the_account() -> None:
    rig = Rig(limits=auto())
    with rig.store.transaction() as tx:
        tx.trading = TradingState(mode=TradingMode.HALTED, reason="news")
    rig.feed(make_signal(now=rig.clock.now()))
    assert [notice.kind for notice in reported(rig)] == [NoticeKind.REFUSAL]
    other = Rig(limits=auto())
    other.feed(make_signal(now=other.clock.now(), targets=("50.5",)))
    assert reported(other) == []


def test_a_break_and_new_weights_are_reported_with_their_plain_fields() -> None:
    found = Break(
        code=BreakCode.ORDER_GONE,
        key="AAPL",
        subject="AAPL",
        ours="3",
        theirs="5",
        message="AAPL: 3 here, 5 there.",
        correction=Correction(kind=CorrectionKind.NONE, message="Look."),
    )
    told_of_break = notice_of(a_row(BreakFound(seq=7, at=START, subject="AAPL", data=found)))
    assert told_of_break is not None
    assert (told_of_break.title, told_of_break.priority) == ("🧮 Books differ: AAPL", 1)
    assert told_of_break.lines[0] == "AAPL: 3 here, 5 there."
    assert "correction" not in str(told_of_break.lines)
    change = LearningChange(message="Timing counts more.", before=Weights(), learning=LearningState())
    told_of_weights = notice_of(a_row(WeightsAdapted(seq=8, at=START, subject="learning", data=change)))
    assert told_of_weights is not None
    assert (told_of_weights.title, told_of_weights.priority) == ("🎛️ Weights adapted: learning", 3)
    assert told_of_weights.lines == ("Timing counts more.",)


def test_what_counts_as_news_is_reported_and_nothing_else_is() -> None:
    for event_type in EVENT_TYPES.values():
        notice = notice_of(event(kind_of(event_type), ["of another version"], "AAPL"))
        assert (notice is not None) == (event_type.news is not None), event_type
        if notice is not None:
            assert event_type.news is not None
            assert (notice.kind, notice.priority) == (event_type.news.kind, event_type.news.priority)
            assert "cannot be read" in notice.lines[0]


def test_every_event_that_has_words_is_news() -> None:
    tree = ast.parse(inspect.getsource(notices))
    (words,) = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "_words_of")
    own = [case for case in ast.walk(words) if isinstance(case, ast.match_case) and "_plain(" not in ast.unparse(case)]
    cases = [node.cls for case in own for node in ast.walk(case) if isinstance(node, ast.MatchClass)]
    named = {ast.unparse(case) for case in cases if isinstance(case, ast.Attribute)}
    assert "order_events.EntryFilled" in named
    assert [name for name in sorted(named) if attrgetter(name)(notices).news is None] == []


def test_an_event_without_words_of_its_own_is_reported_with_its_plain_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    flow = CashFlow(amount=Usd(Decimal(5)), equity_before=Usd(Decimal(100)), equity_after=Usd(Decimal(105)))
    row = a_row(CashMoved(seq=9, at=START, subject="cash", data=flow))
    assert notice_of(row) is None
    monkeypatch.setattr(CashMoved, "news", News(kind=NoticeKind.SUMMARY))
    notice = notice_of(row)
    assert notice is not None
    assert (notice.kind, notice.priority, notice.title) == (NoticeKind.SUMMARY, 2, "🔔 cash moved: cash")
    assert "amount: 5" in notice.lines


def test_an_event_that_nobody_knows_is_no_news() -> None:
    assert notice_of(event("phase_of_the_moon", {"full": True})) is None


@given(
    st.sampled_from(sorted(EVENT_TYPES)),
    st.recursive(st.none() | st.text(max_size=9), lambda x: st.lists(x, max_size=3)),
)
def test_a_payload_that_is_not_what_it_was_is_reported_all_the_same(kind: str, data: Any) -> None:
    notice = notice_of(event(kind, data, "AAPL"))
    assert notice is None or (notice.event_id == 7 and notice.title)


@given(st.text(max_size=6000), st.lists(st.text(max_size=3000), max_size=8))
def test_whatever_the_words_are_the_html_is_sound_and_short_enough(title: str, lines: list[str]) -> None:
    html = telegram_html(title, lines)
    assert len(html) <= MOST_CHARACTERS
    assert html.count("<b>") == html.count("</b>") <= 1
    assert html.replace("<b>", "").replace("</b>", "").count("<") == 0


def test_a_message_carries_its_number_and_says_when_it_is_a_repetition() -> None:
    notice = Notice(event_id=42, kind=NoticeKind.ALARM, priority=1, at=START, title="T", lines=("L",))
    assert plain_text(notice) == "T\nL\n#42"
    assert "#42 sent again" in one_line(notice, is_repeat=True)
    assert telegram_notice(notice) == "<b>T</b>\nL\n<i>#42</i>"


def test_each_kind_of_notice_has_its_switch() -> None:
    assert {kind.value for kind in NoticeKind} == set(EventSettings.__struct_fields__)
