"""Signals that were not taken: what is followed, and what it comes to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from apex_cli.core.decision.plan import decide
from apex_cli.core.decision.record import record_decision, signal_row
from apex_cli.core.learning.followed import LONGEST, Course, end_all, endings, result_of
from apex_cli.core.learning.learners import Learners
from apex_cli.core.model.decision import DecisionKind
from apex_cli.core.model.instrument import Instrument, MarketType
from apex_cli.core.model.learning import LearningLimits, LearningMode
from apex_cli.core.model.lesson import EntryConditions, Followed
from apex_cli.core.model.limits import CommissionPlan
from apex_cli.core.model.market import Bar
from apex_cli.core.model.money import Price
from apex_cli.core.model.records import SignalOutcome
from apex_cli.core.model.side import OrderSide
from apex_cli.core.reconciliation.rebuild import SilentState, rebuild
from apex_cli.core.state.tables import State
from kit import START, MemoryStore

D = Decimal
DAY = timedelta(days=1)


def followed(side: OrderSide = OrderSide.BUY, targets: tuple[str, ...] = ("54",), stop: str = "48") -> Followed:
    return Followed(
        signal_id="s",
        instrument=Instrument(symbol="F"),
        side=side,
        strategy="breakout",
        entry_price=Price(D(50)),
        stop_loss=Price(D(stop)),
        target_prices=tuple(Price(D(each)) for each in targets),
        since=START,
        until=START + LONGEST,
        cost_r=D("0.1"),
        conditions=EntryConditions(score=D("0.4")),
    )


def bars(*rows: str, first: datetime = START) -> list[Bar]:
    """Return daily bars from rows of open, high, low, close."""
    made = []
    for number, row in enumerate(rows):
        opening, high, low, close = (Price(D(each)) for each in row.split())
        start = first + DAY * number
        end = start + DAY
        made.append(Bar(symbol="F", start=start, end=end, open=opening, high=high, low=low, close=close, volume=D(1)))
    return made


class Prices:
    def __init__(self, rows: Sequence[Bar]) -> None:
        self._rows = rows

    def symbols(self) -> Sequence[str]:
        return ("F", "AAPL")

    def bars(self, symbol: str, *, after: datetime | None = None, until: datetime | None = None) -> Sequence[Bar]:
        del symbol
        return [bar for bar in self._rows if (after is None or bar.end > after) and (until is None or bar.end <= until)]


def r_of(row: Followed, found: list[Bar], now: datetime) -> Decimal | None:
    result = result_of(row, found, now)
    return None if result is None else result.r


class TestResult:
    @pytest.mark.parametrize(
        ("rows", "r"),
        [
            (["50 51 49 50", "50 55 50 54"], "1.9"),
            (["50 51 49 50", "50 51 47 48"], "-1.1"),
            (["50 55 47 54"], "-1.1"),
            (["50 51 49 50", "46 47 45 46"], "-2.1"),
            (["50 51 49 50", "56 57 55 56"], "2.9"),
            (["51 52 50 51", "51 54 51 54"], "1.4"),
            (["50 51 49 50"], None),
            (["47 55 46 54"], None),
            (["55 56 54 55"], None),
            ([], None),
        ],
        ids=[
            "target",
            "stop",
            "stop first",
            "gap to stop",
            "gap to target",
            "worse entry",
            "open",
            "past",
            "late",
            "-",
        ],
    )
    def test_stop_and_target(self, rows: list[str], r: str | None) -> None:
        found = r_of(followed(), bars(*rows), START + DAY * 5)
        assert found == (None if r is None else D(r))

    def test_a_short_is_the_mirror(self) -> None:
        short = followed(OrderSide.SELL, ("46",), "52")
        assert r_of(short, bars("50 51 49 50", "50 50 45 46"), START + DAY * 5) == D("1.9")
        assert r_of(short, bars("50 53 49 50"), START + DAY * 5) == D("-1.1")

    def test_every_target_takes_its_part(self) -> None:
        two = followed(targets=("56", "54"))
        assert r_of(two, bars("50 55 49 54", "54 54 47 48"), START + DAY * 5) == D("0.4")
        assert r_of(two, bars("50 57 49 56"), START + DAY * 5) == D("2.4")

    def test_in_the_end_the_last_close_counts(self) -> None:
        rows = bars(*["50 51 49 51"] * 30)
        assert r_of(followed(), rows, START + LONGEST - DAY) is None
        assert r_of(followed(), rows, START + LONGEST) == D("0.4")
        assert r_of(followed(targets=()), rows, START + LONGEST) == D("0.4")

    def test_it_ends_with_the_bar_that_ended_it(self) -> None:
        found = result_of(followed(), bars("50 51 49 50", "50 55 50 54", "50 51 49 50"), START + DAY * 9)
        assert found is not None
        assert found.at == START + DAY * 2

    def test_a_split_says_nothing(self) -> None:
        assert r_of(followed(), bars("50 51 49 50", "12.5 13 12 12.5"), START + LONGEST) is None
        assert r_of(followed(), bars("200 201 199 200"), START + LONGEST) is None

    def test_a_bar_that_runs_when_the_signal_comes_says_nothing(self) -> None:
        running = bars("50 60 40 50", first=START - timedelta(hours=1))
        assert r_of(followed(), running, START + DAY) is None

    @given(
        rows=st.lists(
            st.tuples(st.integers(40, 60), st.integers(0, 5), st.integers(0, 5), st.integers(0, 10)), max_size=40
        )
    )
    def test_no_path_of_prices_breaks_it(self, rows: list[tuple[int, int, int, int]]) -> None:
        made = [
            f"{low + min(up, 3)} {low + up + down} {low} {low + min(extra, up + down)}" for low, up, down, extra in rows
        ]
        found = r_of(followed(targets=("53", "55")), bars(*made), START + LONGEST)
        assert found is None or D(-6) < found < D(8)


class TestWhatIsFollowed:
    def decided(
        self, build: Any, *, learning: LearningLimits | None = None, auto: bool = True, **changes: Any
    ) -> State:
        state, opportunity = State(), build.opportunity(**changes)
        limits = replace(
            build.limits(auto=auto, max_positions=1),
            learning=learning or LearningLimits(),
            commission=CommissionPlan.IB_FIXED,
        )
        snapshot = build.snapshot(exposures=(build.exposure("KO"),) if auto else ())
        decision = decide(opportunity, snapshot, limits)
        record_decision(state, opportunity, snapshot, limits, decision)
        return state

    def test_what_only_lacked_room_is(self, build: Any) -> None:
        (row,) = self.decided(build).followed.values()
        assert (row.signal_id, row.strategy, row.since, row.entry_price) == ("sig-1", "breakout", build.now, D(50))
        assert row.cost_r > 0

    def test_what_waits_for_an_answer_is(self, build: Any) -> None:
        assert len(self.decided(build, auto=False).followed) == 1

    def test_what_is_wrong_itself_is_not(self, build: Any) -> None:
        assert not self.decided(build, targets=("51",)).followed
        assert not self.decided(build, market=MarketType.OPTIONS).followed

    @pytest.mark.parametrize("learning", [LearningLimits(follow=False), LearningLimits(mode=LearningMode.OFF)])
    def test_nothing_is_where_nobody_wants_it(self, build: Any, learning: LearningLimits) -> None:
        assert not self.decided(build, learning=learning).followed

    def test_one_of_a_strategy_in_a_security_at_a_time(self, build: Any) -> None:
        state = self.decided(build)
        other = build.opportunity(signal_id="sig-2")
        limits = build.limits(auto=True, max_positions=1)
        snapshot = build.snapshot(exposures=(build.exposure("KO"),))
        record_decision(state, other, snapshot, limits, decide(other, snapshot, limits))
        assert [row.signal_id for row in state.followed.values()] == ["sig-1"]

    @pytest.mark.parametrize(
        ("outcome", "lessons", "left"),
        [
            (SignalOutcome.REFUSED, 1, 0),
            (SignalOutcome.EXPIRED, 1, 0),
            (SignalOutcome.QUEUED, 0, 1),
            (SignalOutcome.EXECUTED, 0, 0),
        ],
    )
    def test_it_ends_with_what_became_of_the_signal(
        self, build: Any, outcome: SignalOutcome, lessons: int, left: int
    ) -> None:
        state = self.decided(build)
        state.signals["sig-1"] = signal_row(build.opportunity().signal, outcome, build.now)
        now = build.now + DAY
        end_all(state, endings(state, Prices(bars("50 55 49 54", first=build.now)), now), now)
        assert (len(state.lessons), len(state.followed)) == (lessons, left)

    def test_an_end_that_was_not_committed_is_found_again(self, build: Any) -> None:
        state = self.decided(build)
        courses: dict[str, Course] = {}
        state.signals["sig-1"] = signal_row(build.opportunity().signal, SignalOutcome.REFUSED, build.now)
        prices = Prices(bars("50 55 49 54", "40 41 39 40", first=build.now))
        first = endings(state, prices, build.now + DAY, courses)
        assert first[0].lesson is not None
        for days in (1, 2):
            assert endings(state, prices, build.now + DAY * days, courses) == first

    def test_what_no_price_ever_says_is_dropped(self, build: Any) -> None:
        state = self.decided(build)
        now = build.now + LONGEST
        end_all(state, endings(state, Prices([]), now), now)
        assert (len(state.lessons), len(state.followed)) == (0, 0)

    def test_the_journal_gives_it_again(self, build: Any) -> None:
        store = MemoryStore()
        opportunity, limits = build.opportunity(), build.limits(auto=True, max_positions=1)
        snapshot = build.snapshot(exposures=(build.exposure("KO"),))
        decision = decide(opportunity, snapshot, limits)
        assert decision.kind is DecisionKind.REFUSE
        with store.transaction() as tx:
            record_decision(tx, opportunity, snapshot, limits, decision)
        assert rebuilt(store).followed == store.view().followed
        learners = Learners(bars=Prices(bars("50 55 49 54", first=build.now)))
        learners.prepare(store.view(), build.now + DAY)
        with store.transaction() as tx:
            learners.check(tx, build.now + DAY)
        (lesson,) = store.view().lessons.values()
        assert (lesson.is_followed, lesson.r, lesson.seq) == (True, D("2"), store.view().last_seq)
        assert not store.view().followed
        assert rebuilt(store).lessons == store.view().lessons


def rebuilt(store: MemoryStore) -> State:
    state = SilentState()
    rebuild(state, store.events)
    return state
