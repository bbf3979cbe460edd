"""What is ranked, learned and kept is the same, whether one process does it all or another one takes over its state."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from random import Random

import msgspec
from msgspec.structs import replace

from apex_cli.core.learning.learners import Learners
from apex_cli.core.market.calendar import next_session, session_bounds, session_date
from apex_cli.core.model.instrument import Instrument
from apex_cli.core.model.lesson import Lesson
from apex_cli.core.model.money import Price
from apex_cli.core.model.risk_limits import RiskLimits
from apex_cli.core.model.side import PositionSide
from apex_cli.core.model.signal import Opportunity, Signal, SignalType
from apex_cli.core.positions.lessons import entry_conditions
from apex_cli.core.positions.retention import prune
from apex_cli.core.signals.ranker import OpportunityRanker
from apex_cli.core.state.tables import State
from kit import START, MemoryStore

D = Decimal
SESSIONS, SIGNALS = 140, 5
CHANCES = {"breakout": 0.55, "pullback": 0.25}


class Clock:
    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at


class Process:
    """What one process knows besides the state that it took over."""

    def __init__(self, clock: Clock, state: State) -> None:
        self.store = MemoryStore(state)
        self.ranker = OpportunityRanker(RiskLimits(max_positions=10), clock=clock, store=self.store)
        self.learners = Learners()

    def end_session(self, lessons: list[Lesson], now: datetime) -> None:
        with self.store.transaction() as tx:
            for lesson in lessons:
                tx.lessons[lesson.round_trip_id] = lesson
            prune(tx, session_date(now))
        self.learners.prepare(self.store.view(), now)
        with self.store.transaction() as tx:
            tx.counters = replace(tx.counters, last_learning_check=now)
            self.learners.check(tx, now)


def read_again(state: State) -> State:
    """Return *state* as another process reads it from the file."""
    found = State()
    for target, source in zip(found.tables(), state.tables(), strict=True):
        rows = {key: msgspec.json.encode(row) for key, row in source.items()}
        target.load({key: msgspec.json.decode(row, type=source.row_type) for key, row in rows.items()})
    found.last_seq = state.last_seq
    return found


def signal_of(dice: Random, name: str, at: datetime) -> Signal:
    return Signal(
        signal_id=name,
        instrument=Instrument(symbol=f"S{dice.randrange(9)}"),
        signal_type=SignalType.BUY,
        entry_price=Price(D(50)),
        stop_loss=Price(D(48)),
        target_prices=(Price(D(50) + 2 * D(dice.randrange(10, 50)) / 10),),
        confidence=D(dice.randrange(100)) / 100,
        strategy=dice.choice(list(CHANCES)),
        created_at=at,
        expires_at=at + timedelta(hours=1),
        metadata={"avg_dollar_volume": dice.randrange(10**6, 10**8), "technical_trend": dice.randrange(9) / 9},
    )


def lesson_of(dice: Random, ranked: Opportunity, number: int, at: datetime, *, is_followed: bool) -> Lesson:
    won = dice.random() < CHANCES[ranked.signal.strategy]
    return Lesson(
        round_trip_id=ranked.signal.signal_id,
        seq=number,
        strategy=ranked.signal.strategy,
        side=PositionSide.LONG,
        closed_at=at,
        r=D("1.5") if won else D(-1),
        conditions=entry_conditions(ranked),
        is_followed=is_followed,
    )


def months_of_trading(chance_of_restart: float) -> tuple[list[Opportunity], State]:
    """Return every signal as it was ranked, and the state at the end."""
    dice, restarts = Random(5), Random(6)
    clock, session, number = Clock(START), START.date(), 0
    process, found = Process(clock, State()), []
    for day in range(SESSIONS):
        bounds = session_bounds(session)
        assert bounds is not None
        lessons = []
        for place in range(SIGNALS):
            if restarts.random() < chance_of_restart:
                process = Process(clock, read_again(process.store.view()))
            clock.at = bounds[0] + timedelta(minutes=70 * place)
            found.append(process.ranker.rank(signal_of(dice, f"{day}-{place}", clock.at), ()))
            number += 1
            lessons.append(lesson_of(dice, found[-1], number, bounds[1], is_followed=place > 0))
        if restarts.random() < chance_of_restart:
            process = Process(clock, read_again(process.store.view()))
        clock.at = bounds[1]
        process.end_session(lessons, clock.at)
        session = next_session(session)
    return found, process.store.view()


def test_another_process_goes_on_with_the_state_as_the_same_one_does() -> None:
    ranked, state = months_of_trading(0)
    again, taken_over = months_of_trading(0.2)
    assert again == ranked
    for one, two in zip(state.tables(), taken_over.tables(), strict=True):
        assert msgspec.json.encode(dict(one)) == msgspec.json.encode(dict(two)), one.name
    assert state.learning.newest > 20
    assert len(state.lessons) == 180
    assert any(factor.name == "strategy" and factor.value != 1 for each in ranked for factor in each.factors)
