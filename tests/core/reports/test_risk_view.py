from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

from msgspec.structs import replace

from apex_cli.core.decision.inputs import exposures_of
from apex_cli.core.execution.upkeep import keep_account
from apex_cli.core.model.decision import DayTradeStatus, Regime
from apex_cli.core.model.instrument import Instrument
from apex_cli.core.model.limits import Limits
from apex_cli.core.model.money import Usd
from apex_cli.core.model.order import EntryOrder, OrderRole
from apex_cli.core.model.protections import (
    BetaLimits,
    CorrelationLimits,
    Protections,
    SectorLimits,
    StrategyBudget,
    StrategyBudgets,
)
from apex_cli.core.reports.limit_use import LimitUse, Unit
from apex_cli.core.reports.risk_view import Known, Past, RiskView, make_risk_view
from apex_cli.core.reports.stress import DayReturn
from apex_cli.core.state.tables import State
from kit import START
from kit.rig import ROOMY, Prices, Rig, auto, make_signal

D = Decimal


def two_positions(limits: Limits | None = None) -> Rig:
    """Hold 15 AAPL from 50 with a stop at 48, and 10 XOM short from 50 with one at 53; AAPL is at 52 now."""
    prices = Prices()
    rig = Rig(limits=limits, prices=prices, cash=Usd(D(10_000)))
    now = rig.clock.now()
    rig.feed(make_signal("AAPL", now=now, strategy="trend", signal_id="one"))
    rig.feed(make_signal("XOM", now=now, side="SHORT", stop="53", targets=("43",), strategy="fade", signal_id="two"))
    prices.set("AAPL", "52", rig.clock.advance(minutes=1))
    rig.price("52")
    rig.cycle()
    keep_account(rig.store, rig.run(rig.broker.account()), rig.clock.now())
    return rig


def view(rig: Rig, **more: object) -> RiskView:
    return make_risk_view(rig.state, rig.limits, rig.clock.now(), **more)  # type: ignore[arg-type]


def by_code(found: RiskView) -> dict[str, LimitUse]:
    return {use.code: use for use in found.limits}


def test_each_position_has_its_risk_from_the_entry_and_what_its_stop_brings_from_here() -> None:
    found = view(two_positions())
    assert [(r.symbol, r.side, r.quantity, r.notional, r.risk, r.at_stop, r.strategy) for r in found.rows] == [
        ("AAPL", "long", 15, 780, 30, -60, "trend"),  # 15 * (50 - 48); from 52 it is 15 * 4
        ("XOM", "short", 10, 500, 30, -30, "fade"),
    ]
    assert (found.risk, found.notional, found.at_stops, found.one_r) == (60, 1280, 90, 30)
    assert (found.equity, found.priced_at) == (10_030, START)


def test_risk_is_summed_by_symbol_strategy_and_sector() -> None:
    known = Known(sector_of=lambda instrument: {"AAPL": "technology"}.get(instrument.key, ""))
    found = view(two_positions(), known=known)
    assert [(g.name, g.count, g.risk, g.notional, g.share) for g in found.by_strategy] == [
        ("fade", 1, 30, 500, D("0.5")),
        ("trend", 1, 30, 780, D("0.5")),
    ]
    assert [(g.name, g.risk) for g in found.by_sector] == [("", 30), ("technology", 30)]
    assert [g.name for g in found.by_symbol] == ["AAPL", "XOM"]


def test_open_risk_is_the_number_of_the_check_before_a_trade() -> None:
    rig = two_positions()
    assert by_code(view(rig))["open_risk"].found == sum(exposure.risk for exposure in exposures_of(rig.state))


def test_each_limit_says_what_is_left() -> None:
    risk = replace(
        ROOMY, max_open_risk_pct=D("0.05"), max_position_pct=D("0.25"), max_positions=3, max_notional=Usd(D(900))
    )
    rig = two_positions(auto(risk))
    counted = DayTradeStatus(regime=Regime.CLASSIC, used=1, remaining=2, limit=3)
    uses = by_code(view(rig, day_trades=counted))
    shown = {code: (use.subject, use.limit, use.found, use.left) for code, use in uses.items()}
    assert shown == {
        "open_risk": ("", 150, 60, 90),
        "risk_of_one": ("AAPL", 30, 30, 0),
        "value_of_one": ("AAPL", 750, 780, -30),
        "daily_loss": ("", 1000, 0, 1000),
        "drawdown": ("", D("2507.50"), 0, D("2507.50")),  # a quarter of the highest, 10,030
        "max_positions": ("", 3, 2, 1),
        "orders_per_day": ("", 50, 2, 48),
        "max_notional": ("AAPL", 900, 780, 120),
        "day_trades": ("", 3, 1, 2),
    }
    assert uses["value_of_one"].fraction == D("1.04")
    assert {code for code, use in uses.items() if use.unit is Unit.COUNT} == {
        "max_positions",
        "orders_per_day",
        "day_trades",
    }


def test_losses_are_measured_as_the_checks_measure_them() -> None:
    rig = two_positions()
    lost = replace(rig.state.account.account, equity=Usd(D(9_000)))
    keep_account(rig.store, lost, rig.clock.now())
    uses = by_code(view(rig))
    assert (uses["daily_loss"].found, uses["daily_loss"].left) == (1000, 0)
    assert (uses["drawdown"].found, uses["drawdown"].limit) == (1030, D("2507.50"))


def test_without_history_the_gaps_are_known_and_the_rest_is_said_to_be_missing() -> None:
    found = view(two_positions())
    assert [(gap.gap, gap.loss, gap.stops_passed) for gap in found.gaps] == [
        (D("0.05"), 64, 0),  # AAPL would be at 49.40, its stop at 48
        (D("0.10"), 128, 2),
        (D("0.20"), 256, 2),
    ]
    assert (found.worst_day, found.correlations) == (None, ())
    assert [(left.symbol, left.sums) for left in found.left_out] == [
        ("AAPL", ("worst_day", "correlation")),
        ("XOM", ("worst_day", "correlation")),
    ]
    assert found.left_out[0].why == "no price history is configured"


def test_history_gives_the_worst_day_and_who_has_too_little_of_it() -> None:
    day = START.date() - timedelta(days=3)

    def past_of(instrument: Instrument) -> Past:
        return Past(returns=(DayReturn(day=day, change=D("-0.10")),) if instrument.key == "AAPL" else ())

    found = view(two_positions(), past_of=past_of)
    assert found.worst_day is not None
    assert (found.worst_day.day, found.worst_day.pnl, found.worst_day.missing) == (day, -78, ("XOM",))
    assert [(left.symbol, left.sums) for left in found.left_out] == [
        ("AAPL", ("correlation",)),
        ("XOM", ("worst_day", "correlation")),
    ]
    assert found.left_out[0].why == "its history has 1 sessions of the last year, fewer than 20"


def test_what_has_no_stop_is_at_risk_in_full_and_says_so() -> None:
    rig = two_positions()
    with rig.store.transaction() as tx:
        for name in [record.order.client_order_id for record in tx.orders.of("AAPL")]:
            del tx.orders[name]
    row = view(rig).rows[0]
    assert (row.risk, row.at_stop, row.stop_price) == (750, None, None)
    assert row.remarks[0] == "15 of 15 have no stop: their whole value is at risk"


def test_without_a_rate_a_row_says_so_and_no_sum_counts_it() -> None:
    rig = two_positions()
    with rig.store.transaction() as tx:
        record = tx.positions["XOM"]
        foreign = replace(record.position.instrument, currency="EUR")
        del tx.positions["XOM"]
        tx.positions[foreign.key] = replace(record, position=replace(record.position, instrument=foreign))
    found = view(rig)
    row = next(row for row in found.rows if row.symbol.startswith("XOM"))
    assert (row.notional, row.risk, row.remarks) == (None, None, ("no rate of EUR is known",))
    assert (found.risk, found.notional, found.gaps[1].loss) == (30, 780, 78)
    assert found.left_out[-1].sums == ("risk", "gaps", "worst_day", "correlation")
    assert found.left_out[-1].why == "no rate of EUR is known"


def test_a_working_entry_counts_in_risk_and_limits_and_not_in_gaps() -> None:
    prices = Prices()
    rig = Rig(limits=auto(entry_order=EntryOrder.LIMIT), prices=prices)
    prices.set("AAPL", "51", rig.clock.now())
    rig.price("51")
    rig.feed(make_signal("AAPL", now=rig.clock.now()))
    found = view(rig)
    assert [(row.symbol, row.is_entry, row.quantity, row.risk) for row in found.rows] == [("AAPL", True, 15, 30)]
    assert (found.risk, found.gaps, found.left_out, found.priced_at) == (30, (), (), None)
    assert by_code(found)["max_positions"].found == 1


def test_a_fresh_state_claims_nothing() -> None:
    found = make_risk_view(State(), Limits(), START)
    assert (found.rows, found.equity, found.risk, found.worst_day, found.gaps) == ((), None, 0, None, ())
    uses = by_code(found)
    assert (uses["daily_loss"].found, uses["daily_loss"].left, uses["daily_loss"].fraction) == (None, None, None)
    assert (uses["open_risk"].left, uses["max_positions"].left) == (300, 10)


def test_limits_of_protections_are_counted_as_their_checks_count_them() -> None:
    protections = Protections(
        max_weekly_loss_pct=D("0.05"),
        budget=StrategyBudgets(max_open_risk_pct=D("0.02"), strategies={"fade": StrategyBudget(max_positions=2)}),
        sectors=SectorLimits(max_open_risk_pct=D("0.03"), max_positions=3),
        correlation=CorrelationLimits(max_open_risk_pct=D("0.02")),
        beta=BetaLimits(max_exposure=D("0.5")),
    )
    rig = two_positions()
    rig.limits = replace(rig.limits, protections=protections)
    known = Known(
        sector_of=lambda instrument: {"AAPL": "technology", "XOM": "energy"}[instrument.key],
        beta_of=lambda instrument: {"AAPL": D("1.2"), "XOM": D("0.5")}[instrument.key],
        correlate=lambda _one, _other: D("-0.8"),  # AAPL is held long and XOM short: together
    )
    uses = [(use.code, use.subject, use.limit, use.found) for use in view(rig, known=known).limits]
    own = [use for use in uses if use[0] not in {"open_risk", "risk_of_one", "value_of_one", "daily_loss", "drawdown"}]
    assert own[2:] == [
        ("weekly_loss", "", 500, 0),
        ("strategy_positions", "fade", 2, 1),
        ("strategy_risk", "trend", 60, 30),
        ("sector_risk", "energy", 90, 30),
        ("sector_positions", "energy", 3, 1),
        ("sector_risk", "technology", 90, 30),
        ("sector_positions", "technology", 3, 1),
        ("correlated_risk", "XOM", 60, 60),
        ("beta_exposure", "SPY", 1500, D("686")),  # 780 * 1.2 - 500 * 0.5
    ]


def test_a_limit_whose_histories_are_missing_is_not_known() -> None:
    rig = two_positions()
    protections = Protections(
        correlation=CorrelationLimits(max_open_risk_pct=D("0.02")), beta=BetaLimits(max_exposure=D("0.5"))
    )
    rig.limits = replace(rig.limits, protections=protections)
    uses = by_code(view(rig))
    assert (uses["correlated_risk"].found, uses["beta_exposure"].found) == (None, None)


def test_a_change_like_that_of_a_split_is_named() -> None:
    day = START.date() - timedelta(days=3)
    found = view(two_positions(), past_of=lambda _: Past(returns=(DayReturn(day=day, change=D("-0.5")),)))
    assert found.remarks[0].startswith(f"The history of AAPL changes by -50 % on {day}: if that was a split")


def test_two_entries_in_one_security_have_their_own_sizes() -> None:
    prices = Prices()
    rig = Rig(limits=auto(entry_order=EntryOrder.LIMIT), prices=prices)
    prices.set("AAPL", "51", rig.clock.now())
    rig.price("51")
    rig.feed(make_signal("AAPL", now=rig.clock.now(), targets=("54", "56")))
    with rig.store.transaction() as tx:
        (name,) = [r.order.client_order_id for r in tx.orders.open() if r.order.role is OrderRole.ENTRY]
        record = tx.orders[name]
        second = replace(record.order, client_order_id="apex-00000000000000000000000009-E", quantity=D(4))
        tx.orders[second.client_order_id] = replace(record, order=second)
    assert sorted(row.quantity for row in view(rig).rows) == [4, 15]
