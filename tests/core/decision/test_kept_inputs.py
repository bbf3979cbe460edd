"""Inputs kept by reference: shorter, and the same decision again."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from apex_cli.core.decision.kept_inputs import by_reference, whole_record
from apex_cli.core.model.decision import Exposure, Snapshot
from apex_cli.core.model.limits import Limits
from apex_cli.core.model.money import Quantity, Usd
from apex_cli.core.model.side import PositionSide
from apex_cli.core.state.events.event import read_event
from apex_cli.core.state.events.signal_events import Decided, DecisionRecord
from kit.decisions import decide_again
from kit.rig import Rig, auto, make_signal

MANY = 90


def exposure(number: int, quantity: int = 1) -> Exposure:
    return Exposure(
        key=f"S{number}",
        side=PositionSide.LONG,
        notional=Usd(Decimal(quantity * 50)),
        risk=Usd(Decimal(quantity)),
        quantity=Quantity(Decimal(quantity)),
    )


def many_positions() -> Limits:
    limits = auto()
    return replace(
        limits, risk=replace(limits.risk, max_positions=10_000, max_open_risk_pct=Decimal(1), max_orders_per_day=10_000)
    )


@pytest.fixture(scope="module")
def records() -> list[tuple[int, DecisionRecord]]:
    """Numbers and records of so many decisions, each of which opened a position."""
    rig = Rig(limits=many_positions(), cash=Decimal(100_000_000))
    for number in range(MANY):
        rig.feed(make_signal(f"A{number:03d}", now=rig.clock.now(), signal_id=f"s{number}"))
    events = [read_event(row) for row in rig.events("decided")]
    return [(event.seq, event.data) for event in events if isinstance(event, Decided)]


def test_the_lists_are_left_out_and_every_decision_is_made_again(records: list[tuple[int, DecisionRecord]]) -> None:
    assert len(records) == MANY
    by_number = dict(records)
    kept = [record for _, record in records if record.kept is not None]
    assert len(kept) > MANY / 2
    for _, record in records:
        whole = whole_record(record, by_number[record.kept.base] if record.kept else None)
        assert decide_again(whole) == record.decision
        if record is records[-1][1]:
            assert len(whole.snapshot.exposures) == MANY - 1


def test_the_journal_grows_with_the_decisions_and_not_with_their_square(
    records: list[tuple[int, DecisionRecord]],
) -> None:
    by_number = dict(records)
    whole = [whole_record(r, by_number[r.kept.base] if r.kept else None) for _, r in records]
    assert sum(len(lists_of(record)) for _, record in records) < sum(len(lists_of(record)) for record in whole) / 2


def lists_of(record: DecisionRecord) -> bytes:
    return msgspec.json.encode((record.snapshot.exposures, record.snapshot.day_trades.opened_today, record.kept))


def test_a_record_with_inputs_elsewhere_is_not_decided_on(records: list[tuple[int, DecisionRecord]]) -> None:
    record = next(record for _, record in records if record.kept is not None)
    with pytest.raises(ValueError, match="stand in another one"):
        decide_again(record)
    with pytest.raises(ValueError, match="does not hold them"):
        whole_record(record, None)
    with pytest.raises(ValueError, match="does not hold them"):
        whole_record(record, record)
    with pytest.raises(ValueError, match="do not follow"):
        whole_record(record, records[0][1])


lists = st.lists(st.builds(exposure, st.integers(0, 40), st.integers(1, 3)), max_size=60).map(tuple)
opened = st.lists(st.integers(0, 30).map(lambda number: f"S{number}"), max_size=20).map(tuple)


@given(old=lists, new=lists, opened_before=opened, opened_now=opened)
def test_whatever_changed_comes_back_as_it_was(
    records: list[tuple[int, DecisionRecord]],
    old: tuple[Exposure, ...],
    new: tuple[Exposure, ...],
    opened_before: tuple[str, ...],
    opened_now: tuple[str, ...],
) -> None:
    start = records[0][1]

    def seen(exposures: tuple[Exposure, ...], today: tuple[str, ...]) -> Snapshot:
        day_trades = replace(start.snapshot.day_trades, opened_today=today)
        return replace(start.snapshot, exposures=exposures, day_trades=day_trades)

    base = replace(start, snapshot=seen(old, opened_before))
    record = replace(start, snapshot=seen(new, opened_now))
    left_out = by_reference(record, (7, base.snapshot))
    written = msgspec.json.decode(msgspec.json.encode(left_out), type=DecisionRecord)
    assert whole_record(written, base) == record


def test_a_transaction_that_failed_is_referred_to_by_nobody() -> None:
    rig = Rig(limits=many_positions(), cash=Decimal(100_000_000))
    rig.feed(make_signal(now=rig.clock.now()))
    assert rig.state.last_inputs is not None
    with pytest.raises(RuntimeError, match="lost"), rig.store.transaction():
        raise RuntimeError("lost")
    assert rig.state.last_inputs is None
