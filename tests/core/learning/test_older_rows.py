"""Rows that an earlier version wrote are read, and learned from."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from apex_cli.core.learning.experience import plain_score
from apex_cli.core.learning.learners import Learners, weights_in_force
from apex_cli.core.model.instrument import MarketType
from apex_cli.core.model.learning import LearningState, WeightsVersion
from apex_cli.core.model.lesson import Lesson
from apex_cli.core.model.signal import Opportunity
from apex_cli.core.state.events.learning_events import LearningChange
from kit import START, MemoryStore

LESSON = """{"round_trip_id":"t%d","seq":%d,"strategy":"breakout","side":"long","closed_at":"2026-03-01T15:00:00Z",
"r":"%s","conditions":{"score":"0.41","weights_version":1,"parts":{"reward_risk":"0.4","confidence":"0.7",
"timing":"1.0","liquidity":"0.5","diversification":"1"},"market_view":1}}"""
VERSION = """{"version":1,"made_at":"2026-02-01T15:00:00Z","weights":{"parts":{"reward_risk":"0.2900","confidence":
"0.2600","timing":"0.2000","liquidity":"0.1500","diversification":"0.1000"},"markets":{"crypto":"0.85","options":"0.80",
"equity":"0.7350","forex":"0.60"}},"cause":"parts","why":"20 trades, 20 of them new: winners stood out."}"""
STANDS = '{"version":1,"newest":1,"parts_seq":0,"market_seq":{"equity":0}}'


def test_lessons_and_versions_of_before_are_learned_from() -> None:
    store = MemoryStore()
    lessons = [msgspec.json.decode(LESSON % (n, n, "2" if n % 5 < 3 else "-1"), type=Lesson) for n in range(1, 41)]
    with store.transaction() as tx:
        for lesson in lessons:
            tx.lessons[lesson.round_trip_id] = lesson
        tx.weights["1"] = msgspec.json.decode(VERSION, type=WeightsVersion)
        tx.learning = msgspec.json.decode(STANDS, type=LearningState)
        Learners().check(tx, START)
    assert plain_score(lessons[0].conditions) == Decimal("0.41")
    weights = weights_in_force(store.view())
    assert weights.values["equity/breakout"].trades == 40
    assert weights.markets[MarketType.EQUITY] >= Decimal("0.7350"), "it goes on from the version in force"


def test_events_and_opportunities_of_before_are_read() -> None:
    change = msgspec.json.decode(f'{{"version":{VERSION},"learning":{STANDS}}}', type=LearningChange)
    assert change.version is not None
    assert change.version.weights.values == {}
    signal = (
        '{"signal_id":"s","instrument":{"symbol":"F"},"signal_type":"BUY","entry_price":"10","stop_loss":"9",'
        '"created_at":"2026-03-02T15:00:00Z","expires_at":"2026-03-02T16:00:00Z"}'
    )
    found = msgspec.json.decode(f'{{"signal":{signal},"opportunity_score":"0.4"}}', type=Opportunity)
    assert found.expected is None
    assert found.rank == (Decimal("0.4"), Decimal("0.4"))
