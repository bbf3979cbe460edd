from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apex_cli.core.model.account import AccountSnapshot
from apex_cli.core.model.decision import Check, Decision, DecisionKind, TradingMode
from apex_cli.core.model.execution import Execution, SecType
from apex_cli.core.model.fill import Fill
from apex_cli.core.model.instrument import MarketType, OptionRight, make_instrument
from apex_cli.core.model.learning import AuditSums, Experience, LearningState, Weights, WeightsVersion
from apex_cli.core.model.lesson import EntryConditions, Followed, Lesson
from apex_cli.core.model.money import Price, Quantity, Usd
from apex_cli.core.model.order import Order, OrderRecord, OrderRole, OrderStatus, OrderType, TimeInForce
from apex_cli.core.model.position import Position, RoundTrip
from apex_cli.core.model.protections import LockRule, LockScope, TradeLock
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.reconciliation import (
    Break,
    BreakCode,
    Correction,
    CorrectionKind,
    Ignored,
    Lock,
    Reconciliation,
)
from apex_cli.core.model.records import (
    AccountRecord,
    ApprovalRecord,
    ApprovalStatus,
    BracketRecord,
    Counters,
    DeficitRecord,
    EquityPoint,
    OutboxRow,
    PositionRecord,
    RejectedFile,
    RestingEntry,
    SignalOutcome,
    SignalRecord,
    TradingState,
)
from apex_cli.core.model.request import Closed, CloseRequest, Failure, RequestRecord, RequestStatus, WorkDone
from apex_cli.core.model.side import OrderSide, PositionSide
from apex_cli.core.model.signal import Opportunity, ScoreComponent, Signal, SignalType
from apex_cli.core.model.trade_size import Binding, Sized
from apex_cli.core.state import tables
from apex_cli.core.state.tables import AgedTable, State, Table, TableReader
from kit import START, an_event

OPTION = make_instrument(
    "AAPL", MarketType.OPTIONS, expiry="2026-12-18", strike=Price(Decimal(150)), right=OptionRight.CALL
)
LATER = START + timedelta(microseconds=1)


def price(text: str) -> Price:
    return Price(Decimal(text))


def quantity(text: str) -> Quantity:
    return Quantity(Decimal(text))


def usd(text: str) -> Usd:
    return Usd(Decimal(text))


REASON = Reason(code="score", message="Score 0.4 is below 0.5.", limit="0.5", value="0.4")
POSITION = Position(
    instrument=OPTION,
    side=PositionSide.SHORT,
    quantity=quantity("3"),
    entry_price=price("0.1"),
    entry_time=START,
    bracket_id="b",
    opened_quantity=quantity("5"),
    opened_value=Decimal("0.50"),
    closed_quantity=quantity("2"),
    closed_value=Decimal("0.2"),
    realized_pnl=usd("-1.005"),
    commission=usd("1E-7"),
)
SIGNAL = Signal(
    signal_id="s",
    instrument=OPTION,
    signal_type=SignalType.LONG_CALL,
    entry_price=price("1.10"),
    stop_loss=price("0.90"),
    target_prices=(price("1.5"), price("2")),
    confidence=Decimal("0.70"),
    created_at=START,
    expires_at=LATER,
    metadata={"why": 'a "quoted"\nname é', "rsi": 31.5, "bars": 7, "is_new": True, "none": None},
)
ORDER = Order(
    client_order_id="apex-b-S1",
    bracket_id="b",
    role=OrderRole.STOP,
    tranche=2,
    instrument=OPTION,
    side=OrderSide.SELL,
    order_type=OrderType.STOP_LIMIT,
    quantity=quantity("2"),
    limit_price=price("0.85"),
    stop_price=price("0.90"),
    time_in_force=TimeInForce.GTC,
    oca_group="b-1",
    parent_id="apex-b-E",
)
DECISION = Decision(
    kind=DecisionKind.QUEUE,
    signal_id="s",
    instrument=OPTION,
    side=OrderSide.BUY,
    sized=Sized(
        quantity=quantity("1"),
        quantity_by_risk=quantity("1"),
        quantity_by_capital=quantity("0"),
        binding=Binding.MINIMUM,
        notional=usd("110"),
        risk_amount=usd("20"),
        risk_per_unit=usd("20"),
        warnings=(REASON,),
    ),
    entry_price=price("1.10"),
    reward_risk=Decimal("3.25"),
    checks=(Check(code="score", passed=False, limit="0.5", value="0.4", message="Low."),),
    reasons=(REASON,),
)
LOCK = Lock(
    key="AAPL",
    codes=(BreakCode.POSITION_DIFFERS, BreakCode.STOP_MISSING),
    ours="3",
    theirs="-2",
    message="Differs.",
    since=START,
    difference=quantity("-5"),
)
IGNORED = Ignored(key="AAPL", quantity=quantity("-5"), since=START)
ROWS: dict[str, Any] = {
    "signals": SignalRecord(
        signal_id="s", symbol="AAPL", outcome=SignalOutcome.QUEUED, seen_at=START, expires_at=LATER, approval_id="a"
    ),
    "approvals": ApprovalRecord(
        approval_id="a",
        opportunity=Opportunity(
            signal=SIGNAL,
            opportunity_score=Decimal("0.4"),
            breakdown=(ScoreComponent(name="confidence", weight=Decimal("0.5"), value=Decimal("0.8")),),
        ),
        decision=DECISION,
        quoted_price=price("1.11"),
        status=ApprovalStatus.SUPERSEDED,
        version=3,
        created_at=START,
        expires_at=LATER,
        quantity=quantity("2"),
    ),
    "brackets": BracketRecord(
        bracket_id="b",
        signal_id="s",
        instrument=OPTION,
        side=OrderSide.BUY,
        quantity=quantity("2"),
        entry_price=price("1.10"),
        stop_price=price("0.90"),
        target_prices=(price("1.5"),),
        risk_per_unit=usd("20"),
        created_at=START,
    ),
    "orders": OrderRecord(
        order=ORDER,
        status=OrderStatus.UNKNOWN,
        filled_quantity=quantity("1"),
        average_price=price("1.105"),
        created_at=START,
        updated_at=LATER,
    ),
    "positions": PositionRecord(
        position=POSITION,
        carried=POSITION,
        current_price=price("0.12"),
        priced_at=LATER,
    ),
    "fills": Fill(
        exec_id="00.1.02",
        client_order_id="apex-b-E",
        role=OrderRole.ENTRY,
        instrument=OPTION,
        side=OrderSide.BUY,
        quantity=quantity("0.0001"),
        price=price("64123.45"),
        commission=usd("0.35"),
        filled_at=LATER,
    ),
    "round_trips": RoundTrip(
        round_trip_id="r",
        instrument=OPTION,
        side=PositionSide.LONG,
        quantity=quantity("2"),
        entry_price=price("1.1"),
        exit_price=price("1.5"),
        entry_time=START,
        exit_time=LATER,
        pnl=usd("80.00"),
        pnl_pct=Decimal("36.36"),
        commission=usd("2.6"),
        initial_risk=usd("40"),
        exit_reason="target",
    ),
    "lessons": Lesson(
        round_trip_id="r",
        seq=7,
        strategy="breakout",
        market_type=MarketType.CRYPTO,
        side=PositionSide.SHORT,
        closed_at=LATER,
        r=Decimal("-1.0400"),
        conditions=EntryConditions(
            score=Decimal("0.4"), parts={"timing": Decimal("0.6")}, predictor_probability=Decimal("0.7")
        ),
    ),
    "weights": WeightsVersion(
        version=2,
        made_at=LATER,
        weights=Weights(markets={MarketType.FOREX: Decimal("0.63")}),
        cause="markets",
        why="forex 0.60 -> 0.63.",
    ),
    "followed": Followed(
        signal_id="s1",
        instrument=make_instrument("AAPL"),
        side=OrderSide.SELL,
        strategy="breakout",
        entry_price=price("150.10"),
        stop_loss=price("151"),
        target_prices=(price("140.5"),),
        since=START,
        until=LATER,
        cost_r=Decimal("0.0133"),
        conditions=EntryConditions(score=Decimal("0.4"), expected_r=Decimal("0.1")),
    ),
    "audits": AuditSums(count=3, x=Decimal("0.1"), y=Decimal("-1.5"), xx=Decimal("0.02"), xy=Decimal("0.01")),
    "experience": Experience(
        trades=3,
        newest=7,
        weight=Decimal("1.2000000000"),
        x=(Decimal("0.5"), Decimal("0.1")),
        xx=((Decimal(1), Decimal(2)), (Decimal(2), Decimal(3))),
    ),
    "learning": LearningState(version=2, newest=3, market_seq={MarketType.FOREX: 7}, frozen_at=LATER, frozen_seq=9),
    "history_fills": Execution(
        exec_id="0001.02",
        security=OPTION.key,
        sec_type=SecType.OPT,
        side=OrderSide.SELL,
        quantity=quantity("2"),
        filled_at=LATER,
    ),
    "rejected_files": RejectedFile(file_version="1f-2-3/a.csv", recorded_at=START),
    "requests": RequestRecord(
        request_id="q",
        work=CloseRequest(symbol="AAPL", fraction=Decimal("0.5"), limit_price=price("151.10")),
        asked_by="apex close (process 7)",
        created_at=START,
        valid_until=LATER,
        status=RequestStatus.DONE,
        taken_by="process 8",
        done=WorkDone(
            results=(Closed(symbol="AAPL", status="reduced", quantity=quantity("3"), pnl=usd("-1.50")),),
            failures=(Failure(status=4, code="halted", message="No.", details={"a": [1, "2"]}),),
        ),
        finished_at=LATER,
    ),
    "resting": RestingEntry(
        bracket_id="b",
        opportunity=Opportunity(signal=SIGNAL, opportunity_score=Decimal("0.4")),
        entries=("apex-b-E2",),
        first_price=price("150.10"),
        price=price("150.25"),
        since=START,
        times=1,
        next_price=price("150.40"),
    ),
    "deficits": DeficitRecord(
        session_date="2026-03-02", amount=usd("500.25"), is_de_minimis=False, met_on="2026-03-03"
    ),
    "outbox": OutboxRow(seq=9, at=LATER, kind="fill", subject="AAPL", data=msgspec.Raw(b'{"a":[1,"2"]}')),
    "locks": LOCK,
    "trade_locks": TradeLock(
        lock_id="0a1b2c3d4e",
        rule=LockRule.COOLDOWN,
        scope=LockScope.SYMBOL,
        subject="AAPL",
        since=START,
        until=LATER,
        trades=("t1", "t2"),
        limit="no stop within 2 sessions",
        value="a stop at -1.00 R",
        lifted_at=LATER,
        lifted_by="terminal",
        lifted_why="a bad print",
    ),
    "ignored": IGNORED,
    "reconciliation": Reconciliation(
        at=LATER,
        is_complete=True,
        account_mark="a1b2",
        breaks=(
            Break(
                code=BreakCode.POSITION_DIFFERS,
                key="AAPL",
                subject="AAPL",
                ours="3",
                theirs="-2",
                message="Differs.",
                correction=Correction(kind=CorrectionKind.ASK, message="Decide."),
                instrument=OPTION,
                held=quantity("3"),
                at_broker=quantity("-2"),
                price=price("1.1"),
            ),
        ),
        locks=(LOCK,),
        ignored=(IGNORED,),
    ),
    "counters": Counters(session_date="2026-03-02", session_start_equity=usd("3000.10"), entries_today=4),
    "account": AccountRecord(
        account=AccountSnapshot(equity=usd("3000"), cash=usd("2900"), buying_power=usd("100"), taken_at=START),
        session_date="2026-03-02",
        curve=(EquityPoint(at=START, equity=usd("3000")),),
    ),
    "trading": TradingState(mode=TradingMode.HALTED, reason="news", changed_at=START),
}


def test_every_table_has_an_example_row_below() -> None:
    assert {table.name: table.row_type for table in State().tables()} == {n: type(row) for n, row in ROWS.items()}


@pytest.mark.parametrize("name", list(ROWS))
def test_a_row_comes_back_as_it_was_stored(name: str) -> None:
    row = ROWS[name]
    again = msgspec.json.decode(msgspec.json.encode(row), type=type(row))
    assert again == row
    assert msgspec.json.encode(again) == msgspec.json.encode(row)


@given(
    value=st.decimals(allow_nan=False, allow_infinity=False, places=8, min_value=-(10**12), max_value=10**12),
    at=st.datetimes(timezones=st.just(UTC)),
)
def test_any_decimal_and_any_utc_time_come_back_exactly(value: Decimal, at: datetime) -> None:
    fill = msgspec.structs.replace(ROWS["fills"], price=value, filled_at=at)
    again = msgspec.json.decode(msgspec.json.encode(fill), type=Fill)
    assert again == fill
    assert str(again.price) == str(value)


def counters(entries: int) -> Counters:
    return Counters(entries_today=entries)


STEPS = st.lists(st.tuples(st.sampled_from("abc"), st.one_of(st.none(), st.integers(1, 5))), max_size=12)


@given(before=STEPS, after=STEPS)
def test_rolling_back_undoes_everything_since_it_was_settled(
    before: list[tuple[str, int | None]], after: list[tuple[str, int | None]]
) -> None:
    table = Table("counters", Counters)
    for steps in (before, after):
        table.settle()
        settled = dict(table)
        for key, entries in steps:
            if entries is None:
                table.pop(key, None)
            else:
                table[key] = counters(entries)
        assert table.committed() == settled
    table.rollback()
    assert dict(table) == settled
    assert not table.changed


def test_what_changed_names_the_old_rows() -> None:
    table = Table("counters", Counters, {"a": counters(1), "b": counters(2)})
    table["a"] = counters(3)
    table["a"] = counters(4)
    table["c"] = counters(5)
    del table["b"]
    assert table.changed == {"a": counters(1), "b": counters(2), "c": None}


def test_deleting_a_row_that_is_not_there_is_a_key_error_and_no_change() -> None:
    table = Table("counters", Counters)
    with pytest.raises(KeyError):
        del table["a"]
    assert not table.changed


def test_events_are_numbered_and_carry_their_payload() -> None:
    state = State()
    assert [state.emit(an_event("AAPL", message="1.10")), state.emit(an_event())] == [1, 2]
    first, second = state.outbox.values()
    assert bytes(first.data) == b'{"code":"counted","message":"1.10"}'
    assert (second.seq, second.kind, second.subject) == (2, "alarm", "")
    assert any(table.changed for table in state.tables())


def test_a_committed_copy_shows_no_open_change_and_shares_no_table() -> None:
    state = State()
    state.counters = counters(1)
    state.settle()
    state.counters = counters(2)
    state.fills["a"] = ROWS["fills"]
    copy = state.committed()
    assert copy.counters.entries_today == 1
    assert not copy.fills
    copy.trading = ROWS["trading"]
    assert state.trading.mode is TradingMode.ACTIVE
    state.rollback()
    assert state.counters.entries_today == 1


AT = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)


def an_order(name: str, symbol: str, status: OrderStatus) -> OrderRecord:
    order = Order(
        client_order_id=name,
        bracket_id="b1",
        role=OrderRole.ENTRY,
        instrument=make_instrument(symbol),
        side=OrderSide.BUY,
        order_type=OrderType.MARKET,
        quantity=Quantity(Decimal(1)),
    )
    return OrderRecord(order=order, status=status, created_at=AT, updated_at=AT)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(("put", "put", "put", "drop", "undo", "settle", "load")),
        st.sampled_from("abcd"),
        st.sampled_from(("AAPL", "MSFT", "TSLA")),
        st.sampled_from((OrderStatus.WORKING, OrderStatus.FILLED)),
    ),
    max_size=30,
)


@given(STEPS)
def test_the_orders_of_a_security_and_those_that_work_are_what_a_look_at_all_of_them_finds(steps: Any) -> None:
    table = State().orders
    for action, name, symbol, status in steps:
        match action:
            case "put":
                table[name] = an_order(name, symbol, status)
            case "drop":
                table.pop(name, None)
            case "undo":
                table.rollback()
            case "settle":
                table.settle()
            case _:
                table.load(dict(table.items()))
        for security in ("AAPL", "MSFT", "TSLA", "NONE"):
            rows = [row for row in table.values() if row.order.instrument.key == security]
            assert list(table.of(security)) == rows
        assert {row.order.client_order_id for row in table.open()} == {k for k, row in table.items() if row.is_open}


def test_a_state_knows_the_tables_that_changed_since_it_was_settled() -> None:
    state = State()
    assert not state.touched()
    state.counters = Counters(entries_today=1)
    state.counters = Counters(entries_today=2)
    state.audits["2026-01-05"] = AuditSums(count=1)
    assert [table.name for table in state.touched()] == ["counters", "audits"]
    state.settle()
    assert not state.touched()
    del state.audits["2026-01-05"]
    assert [table.name for table in state.touched()] == ["audits"]
    state.rollback()
    assert not state.touched()
    assert dict(state.audits) == {"2026-01-05": AuditSums(count=1)}


AGED_STEPS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from("abcde"), st.one_of(st.none(), st.integers(1, 4))),
        st.sampled_from(["settle", "rollback", "load", "look"]),
    ),
    max_size=30,
)


def take(table: Table[Counters], step: Any) -> None:
    """Change *table* as *step* says."""
    match step:
        case "settle":
            table.settle()
        case "rollback":
            table.rollback()
        case "load":
            table.load({"a": counters(2), "f": counters(9)})
        case (key, None):
            table.pop(key, None)
        case (key, entries):
            table[key] = counters(entries)


@given(steps=AGED_STEPS)
def test_rows_stay_in_the_order_of_their_age_and_are_counted_by_kind(steps: Any) -> None:
    table = AgedTable("counters", Counters, lambda row: row.entries_today, lambda row: row.entries_today % 2)
    for step in (*steps, "look"):
        if step != "look":
            take(table, step)
            continue
        in_order = [row for _, _, row in sorted((row.entries_today, key, row) for key, row in table.items())]
        assert list(table.oldest_first()) == in_order
        assert table.older_than(3) == [row for row in in_order if row.entries_today < 3]
        kinds = [row.entries_today % 2 for row in table.values()]
        assert [table.counts[kind] for kind in (0, 1)] == [kinds.count(0), kinds.count(1)]


@given(steps=AGED_STEPS, most=st.integers(1, 40))
def test_a_reader_hears_of_every_row_that_came_went_or_changed(steps: Any, most: int) -> None:
    """Whatever is undone or loaded between two looks, and however few changes a table remembers."""
    table, reader, known = Table("counters", Counters), TableReader[Counters](), {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tables, "MOST_CHANGES", most)
        for step in (*steps, "look"):
            if step != "look":
                take(table, step)
                continue
            for key, old, new in reader.changes(table):
                assert known.pop(key, None) is old
                assert old is not new
                if new is not None:
                    known[key] = new
            assert known == dict(table)
            assert not reader.changes(table)


def test_a_reader_reads_another_table_as_a_whole() -> None:
    reader: TableReader[Counters] = TableReader()
    row = counters(1)
    assert reader.changes(Table("counters", Counters, {"a": row})) == [("a", None, row)]
    assert reader.changes(Table("counters", Counters, {"b": row})) == [("a", row, None), ("b", None, row)]


def test_a_mark_differs_whenever_a_row_came_went_or_changed() -> None:
    table: Table[AuditSums] = Table("audits", AuditSums)
    marks = [table.mark]
    for change in (
        lambda: table.__setitem__("a", AuditSums(count=1)),
        lambda: table.__setitem__("a", AuditSums(count=2)),
        lambda: table.__setitem__("b", AuditSums(count=1)),
        lambda: table.__delitem__("a"),
        table.rollback,
        lambda: table.load({}),
    ):
        change()
        marks.append(table.mark)
    assert len(set(marks)) == len(marks)
