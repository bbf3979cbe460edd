from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from apex_cli.core.adapters.files.prices.bar_columns import array_of, columns_from
from apex_cli.core.analysis.correlation import Moves, closes_of, correlation_of_closes
from apex_cli.core.decision.record import signal_row
from apex_cli.core.learning.patterns import Edge
from apex_cli.core.model.decision import Exposure
from apex_cli.core.model.instrument import MarketType
from apex_cli.core.model.learning import (
    DEFAULT_WEIGHTS,
    Estimate,
    LearningMode,
    LearningState,
    StrategyValue,
    Weights,
    WeightsVersion,
)
from apex_cli.core.model.lesson import Lesson
from apex_cli.core.model.market import Bar
from apex_cli.core.model.money import Price, Usd
from apex_cli.core.model.records import SignalOutcome
from apex_cli.core.model.risk_limits import RiskLimits
from apex_cli.core.model.side import PositionSide
from apex_cli.core.model.signal import Opportunity, Signal, SignalType, market_view
from apex_cli.core.positions.lessons import entry_conditions
from apex_cli.core.signals.ranker import NO_BARS, OpportunityRanker, RankingContext, score
from apex_cli.core.signals.score_parts import (
    DayPart,
    confidence_part,
    day_part,
    diversification_part,
    liquidity_part,
    reward_risk_part,
    timing_part,
)
from kit import START, FixedClock, MemoryStore
from kit.rig import make_signal

D = Decimal


def signal(**changes: Any) -> Signal:
    return make_signal(now=START, **changes)


def held(key: str = "KO", side: PositionSide = PositionSide.LONG) -> Exposure:
    return Exposure(key=key, side=side, notional=Usd(D(100)), risk=Usd(D(1)))


class TestParts:
    @pytest.mark.parametrize(
        ("target", "value"),
        [("52", "0.2"), ("54", "0.4"), ("56", "0.6"), ("60", "1"), ("90", "1"), ("50.5", "0.05"), ("49", "0")],
    )
    def test_reward_risk_is_linear_from_one_to_five(self, target: str, value: str) -> None:
        assert reward_risk_part(signal(targets=(target,))).value == D(value)

    def test_without_a_target_it_is_nothing_and_says_so(self) -> None:
        value, note = reward_risk_part(signal(targets=()))
        assert value == 0
        assert "without a target" in note

    def test_confidence_is_shared_out_among_what_is_there(self) -> None:
        all_three = {"technical_composite": 0.9, "predictor_direction": 1, "predictor_probability": 0.6}
        assert confidence_part(signal(confidence="0.8", metadata=all_three)) == (D("0.7650"), "")
        without = confidence_part(signal(confidence="0.8", metadata={"technical_composite": 0.9}))
        assert without.value == ((D("0.3") * D("0.8") + D("0.35") * D("0.9")) / D("0.65")).quantize(D("0.0001"))
        assert without.note == "confidence without predictor: the others count for it"
        alone = confidence_part(signal(confidence="0.8"))
        assert (alone.value, alone.note) == (
            D("0.8"),
            "confidence without technical and predictor: the others count for it",
        )

    def test_a_prediction_against_the_signal_counts_against_it(self) -> None:
        reported = {"predictor_direction": -1, "predictor_probability": 0.9}
        assert confidence_part(replace(signal(metadata=reported), confidence=None)).value == D("0.1")

    def test_with_no_confidence_at_all_it_is_nothing(self) -> None:
        assert confidence_part(replace(signal(), confidence=None)) == (0, "no confidence is given: 0")

    @pytest.mark.parametrize(
        ("kind", "direction"),
        [("BUY", 1), ("LONG_CALL", 1), ("LONG_PUT", -1), ("SHORT", -1), ("SHORT_CALL", -1), ("SHORT_PUT", 1)],
    )
    def test_a_put_bets_on_falling_prices(self, kind: str, direction: int) -> None:
        assert market_view(signal(side=SignalType(kind))) == direction

    @pytest.mark.parametrize(
        ("at", "part"),
        [
            ("14:29", DayPart.OUTSIDE),
            ("14:30", DayPart.OPENING),
            ("15:00", DayPart.MORNING),
            ("16:30", DayPart.MIDDAY),
            ("19:00", DayPart.AFTERNOON),
            ("20:30", DayPart.CLOSING),
            ("21:00", DayPart.OUTSIDE),
        ],
    )
    def test_a_session_has_its_parts(self, at: str, part: DayPart) -> None:
        hour, minute = map(int, at.split(":"))
        assert day_part(datetime(2026, 3, 2, hour, minute, tzinfo=UTC)) is part

    def test_a_weekend_is_outside(self) -> None:
        assert day_part(datetime(2026, 3, 7, 15, tzinfo=UTC)) is DayPart.OUTSIDE

    def test_breakouts_like_mornings_and_reversals_midday(self) -> None:
        morning, midday = START, START + timedelta(hours=2)
        assert timing_part(signal(), morning).value == 1
        assert timing_part(signal(strategy="mean_reversion"), midday).value == D("0.9")
        assert timing_part(signal(strategy="earnings"), midday).value == D("0.7")

    @pytest.mark.parametrize(
        ("market", "hour", "value"),
        [("crypto", 3, "0.7"), ("forex", 13, "1"), ("forex", 8, "0.8"), ("forex", 2, "0.5")],
    )
    def test_markets_around_the_clock_have_their_own_hours(self, market: str, hour: int, value: str) -> None:
        at = datetime(2026, 3, 3, hour, tzinfo=UTC)
        assert timing_part(signal(symbol="X", market=MarketType(market)), at).value == D(value)

    @pytest.mark.parametrize(("dollars", "value"), [(1e6, "0.2"), (1e7, "0.6"), (1e8, "1"), (1e9, "1"), (1, "0")])
    def test_liquidity_is_logarithmic(self, dollars: float, value: str) -> None:
        assert liquidity_part(signal(metadata={"avg_dollar_volume": dollars}), None).value == D(value)

    def test_liquidity_falls_back_and_says_so(self) -> None:
        assert liquidity_part(signal(), D(10_000_000)) == (D("0.6"), "")
        assert liquidity_part(signal(metadata={"volume_ratio": 1.5}), None).value == D("0.75")
        assert liquidity_part(signal(), None) == (D("0.5"), "liquidity unknown: 0.5")
        assert liquidity_part(signal(metadata={"avg_dollar_volume": -1}), None).value == 0

    def test_diversification_falls_with_every_slot(self) -> None:
        assert [diversification_part(n, 4).value for n in (0, 1, 4, 9)] == [1, D("0.75"), 0, 0]


CONTEXT = RankingContext(now=START, max_positions=10)


class TestScore:
    def test_it_is_the_sum_of_the_parts_times_the_factors(self) -> None:
        found = score(signal(metadata={"avg_dollar_volume": 1e8}), CONTEXT)
        base = D("0.3") * D("0.4") + D("0.25") * D("0.7") + D("0.2") * 1 + D("0.15") * 1 + D("0.1") * 1
        assert found.opportunity_score == (base * D("0.70")).quantize(D("0.0001")) == found.plain_score
        assert [factor.name for factor in found.factors] == ["market"]

    def test_confirmation_raises_it(self) -> None:
        reported = {"technical_composite": 0.71, "predictor_direction": 1, "predictor_probability": 0.61}
        assert factors(score(signal(metadata=reported), CONTEXT)) == {
            "market": D("0.70"),
            "technical": D("1.10"),
            "predictor": D("1.08"),
        }

    @pytest.mark.parametrize(
        "reported",
        [
            {"technical_composite": 0.7, "predictor_direction": 1, "predictor_probability": 0.6},
            {"predictor_direction": -1, "predictor_probability": 0.9},
        ],
    )
    def test_at_the_threshold_or_against_it_does_not(self, reported: dict[str, Any]) -> None:
        assert factors(score(signal(metadata=reported), CONTEXT)) == {"market": D("0.70")}

    def test_waiting_costs_up_to_a_quarter(self) -> None:
        late = replace(CONTEXT, now=START + timedelta(minutes=30))
        assert factors(score(signal(minutes=60), late))["waiting"] == D("0.8750")
        assert factors(score(signal(minutes=60), replace(CONTEXT, now=START + timedelta(days=9))))["waiting"] == D(
            "0.75"
        )

    def test_it_never_exceeds_one(self) -> None:
        weights = Weights(markets={**DEFAULT_WEIGHTS.markets, MarketType.EQUITY: D("1.30")})
        reported = {
            "technical_composite": 1,
            "predictor_direction": 1,
            "predictor_probability": 1,
            "avg_dollar_volume": 1e9,
        }
        edge = Edge(D("1.25"), D(1), "")
        best = signal(targets=("60",), confidence="1", metadata=reported)
        assert score(best, replace(CONTEXT, weights=weights), edge).opportunity_score == 1

    def test_what_was_learned_changes_the_score_and_not_the_plain_one(self) -> None:
        weights = Weights(markets={**DEFAULT_WEIGHTS.markets, MarketType.EQUITY: D("0.9")})
        plain = score(signal(), CONTEXT)
        learned = score(signal(), replace(CONTEXT, weights=weights, weights_version=3), Edge(D("1.1"), D("0.4"), "w"))
        assert learned.plain_score == plain.plain_score
        assert learned.opportunity_score > plain.opportunity_score == learned.cautious_score
        assert (learned.weights_version, factors(learned)["strategy"]) == (3, D("1.1"))

    @given(
        confidence=st.decimals(0, 1, places=2),
        target=st.decimals(51, 90, places=2),
        minutes=st.integers(0, 600),
        same=st.integers(0, 20),
        metadata=st.dictionaries(
            st.sampled_from(
                [
                    "technical_composite",
                    "predictor_direction",
                    "predictor_probability",
                    "avg_dollar_volume",
                    "volume_ratio",
                ]
            ),
            st.one_of(st.none(), st.floats(allow_nan=True), st.integers(-(10**12), 10**12), st.text(max_size=3)),
        ),
    )
    def test_it_is_between_nothing_and_one_and_always_the_same(
        self, confidence: Decimal, target: Decimal, minutes: int, same: int, metadata: Any
    ) -> None:
        asked = signal(confidence=str(confidence), targets=(str(target),), metadata=metadata)
        context = replace(CONTEXT, now=START + timedelta(minutes=minutes), same_side=same)
        found = score(asked, context)
        assert 0 <= found.opportunity_score <= 1
        assert found == score(asked, context)


def factors(found: Opportunity) -> dict[str, Decimal]:
    return {factor.name: factor.value for factor in found.factors}


class Tape:
    """Closes as bars of days."""

    def __init__(self, **closes: list[int]) -> None:
        self._closes = closes

    def symbols(self) -> Sequence[str]:
        return tuple(self._closes)

    def bars(self, symbol: str, *, after: datetime | None = None, until: datetime | None = None) -> Sequence[Bar]:
        closes = self._closes.get(symbol, [])
        ends = [START - timedelta(days=len(closes) - number) for number in range(len(closes))]
        found = [a_bar(symbol, end, close) for end, close in zip(ends, closes, strict=True)]
        return [b for b in found if (after is None or b.end > after) and (until is None or b.end <= until)]


def a_bar(symbol: str, end: datetime, close: Decimal | int) -> Bar:
    price = Price(D(close))
    return Bar(
        symbol=symbol,
        start=end - timedelta(hours=6),
        end=end,
        open=price,
        high=price,
        low=price,
        close=price,
        volume=D(1000),
    )


ZIGZAG = [100 + (n % 3) * 5 + (n % 7) for n in range(80)]
MIRROR = [300 - value for value in ZIGZAG]


class TestRanker:
    def ranker(self, store: MemoryStore | None = None, **parts: Any) -> OpportunityRanker:
        return OpportunityRanker(RiskLimits(), clock=FixedClock(), store=store or MemoryStore(), **parts)

    def test_without_bars_the_same_symbol_is_the_only_correlation(self) -> None:
        found = self.ranker().rank(signal(), [held("AAPL@options 2026-12-18 C150")])
        assert factors(found)["correlation"] == D("0.85")
        assert NO_BARS in found.notes
        assert "correlation" not in factors(self.ranker().rank(signal(), [held()]))
        assert NO_BARS not in self.ranker().rank(signal(), []).notes

    def test_what_moves_like_a_holding_scores_less(self) -> None:
        ranker = self.ranker(bars=Tape(AAPL=ZIGZAG, KO=ZIGZAG, PEP=MIRROR))
        assert factors(ranker.rank(signal(), [held("KO")]))["correlation"] == D("0.7000")
        assert "correlation" not in factors(ranker.rank(signal(), [held("PEP")]))
        assert "correlation" not in factors(ranker.rank(signal(), [held("KO", PositionSide.SHORT)]))
        assert factors(ranker.rank(signal(), [held("PEP", PositionSide.SHORT)]))["correlation"] < D("0.72")
        assert NO_BARS in ranker.rank(signal(), [held("XXX")]).notes

    def test_too_few_or_flat_bars_report_no_correlation(self) -> None:
        few = [a_bar("A", START + timedelta(days=n), 100 + n) for n in range(20)]
        flat = [a_bar("A", START + timedelta(days=n), 100) for n in range(30)]
        for closes in map(closes_of, (few, flat)):
            assert correlation_of_closes(closes, closes) is None

    @given(
        closes=st.lists(st.lists(st.floats(0, 1000), min_size=0, max_size=61), min_size=2, max_size=2),
        gap=st.sampled_from([0, 0, 1]),
        cents=st.sampled_from(["1", "0.01", "0.000001"]),
    )
    def test_moves_that_are_kept_correlate_as_the_bars_do(
        self, closes: list[list[float]], gap: int, cents: str
    ) -> None:
        step = D(cents)
        rows = [
            [
                a_bar("A", START + timedelta(days=first + n), (D(close) + 1).quantize(step))
                for n, close in enumerate(row)
            ]
            for first, row in zip((0, gap), closes, strict=True)
        ]
        for bars in (rows, [columns_from(array, "A")[0] for row in rows if (array := array_of(row)) is not None]):
            kept = [Moves(each) for each in bars]
            for one, two in product(kept, repeat=2):
                expected = correlation_of_closes(closes_of(one.bars), closes_of(two.bars))
                assert repr(one.correlation(two)) == repr(expected)

    def test_a_correlation_at_a_border_of_rounding_is_that_of_exact_sums(self) -> None:
        """Where float sums cannot say on which side of nothing it lies, exact ones give the sign of the zero."""
        moves = [[("1.1", "0.9")[n % 2] for n in range(40)], [("1.1", "0.9")[n // 2 % 2] for n in range(40)]]
        rows = [[a_bar("A", START, 100)], [a_bar("A", START, 100)]]
        for row, factors_ in zip(rows, moves, strict=True):
            for n, factor in enumerate(factors_, 1):
                close = (row[-1].close * D(factor)).quantize(D("0.000000000001"))
                row.append(a_bar("A", START + timedelta(days=n), close))
        kept = [Moves(columns_from(array, "A")[0]) for row in rows if (array := array_of(row)) is not None]
        exact = correlation_of_closes(*map(closes_of, rows))
        assert exact == 0
        assert repr(kept[0].correlation(kept[1])) == repr(exact)

    def test_dollar_volume_comes_from_the_bars(self) -> None:
        found = self.ranker(bars=Tape(AAPL=ZIGZAG)).rank(signal(), [])
        assert "liquidity unknown: 0.5" not in found.notes

    @pytest.mark.parametrize(
        ("strategy", "days", "factor"),
        [
            ("insider_buying", 7, "1.15"),
            ("insider_buying", 8, None),
            ("options_flow", 3, "1.12"),
            ("options_flow", 4, None),
        ],
    )
    def test_insiders_and_options_confirm_for_days(self, strategy: str, days: int, factor: str | None) -> None:
        store = MemoryStore()
        with store.transaction() as tx:
            earlier = signal(strategy=strategy, signal_id="before")
            tx.signals["before"] = signal_row(earlier, SignalOutcome.REFUSED, START - timedelta(days=days))
        found = factors(self.ranker(store).rank(signal(), []))
        assert set(found.values()) - {D("0.70")} == ({D(factor)} if factor else set())

    def test_the_other_side_another_symbol_and_itself_do_not_confirm(self) -> None:
        ranker = self.ranker()
        ranker.rank(signal(strategy="insider", signal_id="i1"), [])
        assert factors(ranker.rank(signal(), [])) == {"market": D("0.70"), "insider": D("1.15")}
        assert "insider" not in factors(ranker.rank(signal(symbol="MSFT"), []))
        assert "insider" not in factors(ranker.rank(signal(side=SignalType.SELL, stop="52", targets=("46",)), []))
        assert "insider" not in factors(ranker.rank(signal(strategy="insider", signal_id="i2"), []))

    def taught(self) -> MemoryStore:
        store = MemoryStore()
        conditions = entry_conditions(self.ranker().rank(signal(), []))
        with store.transaction() as tx:
            for number in range(60):
                tx.lessons[f"t{number}"] = Lesson(
                    round_trip_id=f"t{number}",
                    seq=number + 1,
                    strategy="breakout",
                    side=PositionSide.LONG,
                    closed_at=START - timedelta(days=number % 30),
                    r=D(1),
                    conditions=conditions,
                )
            weights = Weights(markets={**DEFAULT_WEIGHTS.markets, MarketType.EQUITY: D("0.77")})
            tx.weights["5"] = WeightsVersion(version=5, made_at=START, weights=weights, cause="markets", why="")
            tx.learning = LearningState(version=5, newest=5)
        return store

    def test_similar_trades_and_the_weights_in_force_count(self) -> None:
        found = self.ranker(self.taught()).rank(signal(), [])
        assert factors(found)["market"] == D("0.77")
        assert factors(found)["strategy"] > 1
        assert found.weights_version == 5
        assert [f.why for f in found.factors if f.name == "strategy"] == [
            "40 similar trades of breakout: 40 won, +1.00 R on average"
        ]

    def test_switched_off_nothing_learned_counts(self) -> None:
        found = self.ranker(self.taught(), mode=LearningMode.OFF).rank(signal(), [])
        assert found == self.ranker().rank(signal(), [])

    def test_reporting_only_no_pattern_counts(self) -> None:
        assert "strategy" not in factors(self.ranker(self.taught(), mode=LearningMode.REPORT).rank(signal(), []))

    def test_frozen_newer_trades_do_not_count(self) -> None:
        store = self.taught()
        with store.transaction() as tx:
            tx.learning = replace(tx.learning, frozen_at=START, frozen_seq=4)
        assert "strategy" not in factors(self.ranker(store).rank(signal(), []))


class TestExpectation:
    """The score becomes R that results can be held against."""

    VALUES: ClassVar = {
        "equity/": StrategyValue(mean=D("0.02"), sd=D("0.10")),
        "equity/breakout": StrategyValue(mean=D("0.10"), sd=D("0.08"), loses=D("0.11"), trades=40, followed=60),
    }

    def context(self, **changes: Any) -> RankingContext:
        effects = {"timing": Estimate(mean=D("0.2"), sd=D("0.1"))}
        weights = replace(
            DEFAULT_WEIGHTS,
            values=self.VALUES,
            effects=effects,
            centers={"score": D("0.40"), "timing": D("0.80")},
            estimated_at=START,
        )
        return replace(CONTEXT, weights=weights, weights_version=3, **changes)

    def test_nothing_learned_is_nothing_expected(self) -> None:
        found = score(signal(), CONTEXT)
        assert found.expected is None
        assert found.rank == (found.opportunity_score, found.opportunity_score)

    def test_it_is_the_value_of_the_strategy_and_what_the_signal_has_beyond_the_average(self) -> None:
        found = score(signal(), self.context())
        assert found.expected is not None
        assert found.plain_score is not None
        wanted = D("0.10") + D("0.35") * (found.plain_score - D("0.40")) + D("0.2") * (D(1) - D("0.80"))
        assert found.expected.mean == wanted
        assert found.expected.low < found.expected.mean < found.expected.high
        assert (found.expected.trades, found.expected.followed, found.expected.loses) == (40, 60, D("0.11"))
        assert found.expected.next_look == START + timedelta(days=30)
        assert found.rank[0] == wanted

    def test_a_strategy_that_is_not_known_counts_as_its_market(self) -> None:
        known, new = (score(signal(strategy=name), self.context()).expected for name in ("breakout", "breakout2"))
        assert known is not None
        assert new is not None
        assert known.mean - new.mean == D("0.08")
        assert (new.trades, new.loses) == (0, None)

    def test_where_learning_only_reports_the_score_orders(self) -> None:
        found = score(signal(), self.context(orders=False))
        assert found.expected is not None
        assert found.rank == (found.opportunity_score, found.opportunity_score)

    @given(one=st.decimals(51, 90, places=2), two=st.decimals(51, 90, places=2))
    def test_with_no_effects_the_order_within_a_strategy_is_that_of_the_default(
        self, one: Decimal, two: Decimal
    ) -> None:
        plain = replace(self.context(), weights=replace(DEFAULT_WEIGHTS, values=self.VALUES, estimated_at=START))
        first, second = (score(signal(targets=(str(target),)), plain) for target in (one, two))
        assert (first.rank > second.rank) is (first.plain_score > second.plain_score)  # type: ignore[operator]

    def test_since_it_made_results_worse_the_defaults_score(self) -> None:
        store = MemoryStore()
        with store.transaction() as tx:
            weights = self.context().weights
            changed = replace(weights, markets={**DEFAULT_WEIGHTS.markets, MarketType.EQUITY: D("0.77")})
            tx.weights["1"] = WeightsVersion(version=1, made_at=START, weights=changed, cause="values", why="")
            tx.learning = LearningState(version=1, newest=1, suspended_at=START)
        ranker = OpportunityRanker(RiskLimits(max_positions=10), clock=FixedClock(), store=store)
        found = ranker.rank(signal(), [])
        assert found.opportunity_score == found.plain_score
        assert found.expected is not None
        assert not found.expected.orders
