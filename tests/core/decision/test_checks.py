from __future__ import annotations

import inspect
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from apex_cli.core.decision import (
    agent_checks,
    book_checks,
    exposure_checks,
    market_checks,
    protection_checks,
    signal_checks,
)
from apex_cli.core.decision.checks import AGENT_CHECKS, PRE_TRADE_CHECKS
from apex_cli.core.decision.plan import decide, explain_checks
from apex_cli.core.decision.protection_checks import PROTECTION_CHECKS
from apex_cli.core.learning.followed import SIGNAL_CHECKS
from apex_cli.core.model.decision import DayTradeStatus, Regime, TradingMode
from apex_cli.core.model.execution_limits import ExecutionLimits
from apex_cli.core.model.instrument import MarketType, OptionRight
from apex_cli.core.model.limits import Limits
from apex_cli.core.model.management import ManagementLimits, ManagementPlan
from apex_cli.core.model.market import MarketStatus
from apex_cli.core.model.money import Usd
from apex_cli.core.model.order import EntryOrder
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.reconciliation import BreakCode, Lock
from apex_cli.core.model.risk_limits import CapitalBase, OnObstacle, RiskLimits
from apex_cli.core.model.signal import SignalType
from apex_cli.core.model.spelling import Hints, canonical
from apex_cli.presenters.messages.notices import ACCOUNT_CHECKS

D = Decimal
CODES = [
    "trading_state",
    "instrument_blocked",
    "reconciled",
    "contract",
    "signal_levels",
    "signal_expired",
    "size",
    "reward_risk_min",
    "confidence_min",
    "duplicate_symbol",
    "max_positions",
    "daily_loss",
    "drawdown",
    "open_risk",
    "orders_per_day",
    "max_notional",
    "symbol_allowed",
    "shorting_allowed",
    "borrowable",
    "not_halted",
    "market_hours",
    "flat_at_close",
    "price_collar",
    "buying_power",
    "day_trades",
]
ASKED = (*AGENT_CHECKS, *PRE_TRADE_CHECKS, *PROTECTION_CHECKS)
MODULES = (agent_checks, book_checks, exposure_checks, market_checks, protection_checks, signal_checks)


NEITHER = {
    "agent_proposals",
    "agent_risk",
    "agent_waiting",
    "beta_exposure",
    "blackout",
    "cooldown",
    "correlated_risk",
    "flat_at_close",
    "kelly",
    "loss_streak",
    "low_expectancy",
    "max_notional",
    "net_expectancy",
    "net_reward_risk",
    "reconciled",
    "sector_positions",
    "sector_risk",
    "stop_guard",
    "strategy_positions",
    "strategy_risk",
    "volatility",
}
"""Checks that refuse a signal neither for what it is alone, nor for what concerns the next one, too."""


def only(failures: dict[str, Reason], code: str) -> Reason:
    assert list(failures) == [code]
    reason = failures[code]
    assert reason.limit
    assert reason.value

    assert reason.message.endswith(".")
    return reason


def test_every_check_is_asked() -> None:
    written = {
        function
        for module in MODULES
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and not name.startswith("_")
        if list(function.__annotations__) == ["ctx", "return"]
        and function.__annotations__["return"].startswith("Check")
    }
    assert written == set(ASKED)


def test_every_check_is_known_to_concern_the_signal_or_the_account_or_neither() -> None:
    codes = [check.__name__ for check in ASKED]
    assert sorted(codes) == sorted([*SIGNAL_CHECKS, *ACCOUNT_CHECKS, *NEITHER])


def test_every_check_reports_in_order_under_its_own_name(build: Any) -> None:
    checks = decide(build.opportunity(), build.snapshot(), Limits()).checks
    assert [check.code for check in checks] == CODES == [check.__name__ for check in PRE_TRADE_CHECKS]
    assert all(check.passed and not check.message for check in checks)


@pytest.mark.parametrize("signal_type", [SignalType.BUY, SignalType.SHORT])
def test_describing_fills_limit_and_value_of_every_check_that_passes(build: Any, signal_type: SignalType) -> None:
    stop, target = ("48", "54") if signal_type is SignalType.BUY else ("52", "46")
    opportunity = build.opportunity(signal_type=signal_type, stop=stop, targets=(target,))
    described = explain_checks(opportunity, build.snapshot(), Limits(), entry_price=opportunity.signal.entry_price)
    assert [check.code for check in described] == CODES
    assert all(check.passed and check.limit and check.value and not check.message for check in described)


def test_all_failures_show_at_once(build: Any) -> None:
    snapshot = build.snapshot(trading_mode=TradingMode.HALTED, quote=None, entries_today=50)
    assert list(build.failures(build.opportunity(confidence=None), snapshot, Limits())) == [
        "trading_state",
        "confidence_min",
        "orders_per_day",
        "price_collar",
    ]


@pytest.mark.parametrize("mode", [TradingMode.REDUCING, TradingMode.HALTED])
def test_nothing_is_opened_unless_trading_is_active(build: Any, mode: TradingMode) -> None:
    snapshot = build.snapshot(trading_mode=mode, trading_mode_reason="news")
    reason = only(build.failures(build.opportunity(), snapshot, Limits()), "trading_state")
    assert reason.message == f"Trading is {mode.value}: news. Nothing is opened until it is resumed."
    assert (reason.limit, reason.value) == ("ACTIVE", mode.value)


def test_an_instrument_with_something_unknown_is_blocked(build: Any) -> None:
    snapshot = build.snapshot(blocked_instruments=("AAPL",))
    only(build.failures(build.opportunity(), snapshot, Limits()), "instrument_blocked")


@pytest.mark.parametrize("key", ["AAPL", "*"])
def test_nothing_is_opened_where_our_books_and_the_brokers_differ(build: Any, key: str) -> None:
    lock = Lock(
        key=key,
        codes=(BreakCode.POSITION_DIFFERS,),
        ours="10",
        theirs="15",
        message="AAPL: 10 are held here, and 15 at the broker.",
        since=datetime(2026, 11, 24, tzinfo=UTC),
    )
    reason = only(build.failures(build.opportunity(), build.snapshot(locks=(lock,)), Limits()), "reconciled")
    assert (reason.limit, reason.value) == ("15 at the broker", "10 here (position_differs)")
    elsewhere = build.snapshot(locks=(replace(lock, key="MSFT"),))
    assert "reconciled" not in build.failures(build.opportunity(), elsewhere, Limits())


@pytest.mark.parametrize(
    ("signal_type", "entry", "stop", "targets"),
    [
        (SignalType.BUY, "50", "52", ("54",)),
        (SignalType.BUY, "50", "48", ("54", "49")),
        (SignalType.BUY, "50.004", "50.001", ("54",)),
        (SignalType.SELL, "50", "48", ("46",)),
        (SignalType.SELL, "50", "52", ("54",)),
        (SignalType.SELL, "0.05", "0.06", ("0.00004",)),
        (SignalType.BUY, "50", "-1", ("54",)),
        (SignalType.BUY, "50", "50", ("54",)),
    ],
)
def test_levels_must_lie_in_the_order_of_their_side(
    build: Any, signal_type: SignalType, entry: str, stop: str, targets: tuple[str, ...]
) -> None:
    opportunity = build.opportunity(signal_type=signal_type, entry=entry, stop=stop, targets=targets)
    failures = build.failures(opportunity, build.snapshot(), build.limits(min_reward_risk=D(0)))
    assert failures["signal_levels"].value
    assert entry in failures["signal_levels"].message


def test_rounding_takes_no_quarter_of_the_risk(build: Any) -> None:
    narrow = build.opportunity(entry="50.009", stop="49.991", targets=("54",))
    assert "0.75 of the risk" in str(build.failures(narrow, build.snapshot(), Limits())["signal_levels"].limit)
    wide = build.opportunity(entry="50.009", stop="49.91", targets=("54",))
    assert "signal_levels" not in build.failures(wide, build.snapshot(), Limits())


@pytest.mark.parametrize("kind", ["LONG_CALL", "LONG_PUT", "SHORT_CALL", "SHORT_PUT"])
@pytest.mark.parametrize("symbol", ["AAPL", "BTC-USD", "EUR.USD"])
def test_a_word_for_options_trades_nothing_else(build: Any, kind: str, symbol: str) -> None:
    opportunity = build.opportunity(signal_type=SignalType(kind))
    opportunity = replace(opportunity, signal=replace(opportunity.signal, instrument=canonical(symbol)))
    reason = build.failures(opportunity, build.snapshot(), Limits())["contract"]
    assert f"{kind} names an option" in reason.message


@pytest.mark.parametrize(
    ("kind", "text", "word"),
    [
        ("LONG_PUT", "AAPL 2028-12-15 200 C", "contradicts LONG_PUT"),
        ("SHORT_CALL", "AAPL 2028-12-15 200 P", "contradicts SHORT_CALL"),
        ("BUY", "AAPL 2020-01-17 200 C", "has expired on 2020-01-17"),
        ("LONG_CALL", "AAPL 2020-01-17 200 C", "has expired on 2020-01-17"),
    ],
)
def test_a_contract_lives_and_has_the_right_that_the_type_names(build: Any, kind: str, text: str, word: str) -> None:
    opportunity = build.opportunity(signal_type=SignalType(kind))
    opportunity = replace(opportunity, signal=replace(opportunity.signal, instrument=canonical(text)))
    assert word in build.failures(opportunity, build.snapshot(), Limits())["contract"].message


def test_an_option_without_a_contract_is_rehearsed_in_simulation_alone(build: Any) -> None:
    bare = canonical("AAPL", Hints(market_type=MarketType.OPTIONS, right=OptionRight.CALL))
    opportunity = build.opportunity(signal_type=SignalType.LONG_CALL)
    opportunity = replace(opportunity, signal=replace(opportunity.signal, instrument=bare))
    real = build.snapshot()
    simulated = replace(real, account=replace(real.account, is_simulated=True))
    assert "contract" not in build.failures(opportunity, simulated, Limits())
    assert "expiry, strike and right" in build.failures(opportunity, real, Limits())["contract"].message


def test_close_levels_pass_where_the_ticks_keep_them_apart(build: Any) -> None:
    opportunity = build.opportunity(entry="50.01", stop="50.00", targets=("50.05",))
    assert "signal_levels" not in build.failures(opportunity, build.snapshot(), Limits())


def test_an_expired_signal_is_refused_from_that_moment_on(build: Any) -> None:
    reason = only(build.failures(build.opportunity(expires_at=build.now), build.snapshot(), Limits()), "signal_expired")
    assert reason.limit == reason.value == "2026-11-24T15:00:00+00:00"


def test_a_signal_from_the_future_is_refused(build: Any) -> None:
    lead = timedelta(minutes=5)
    assert not build.failures(build.opportunity(created_at=build.now + lead), build.snapshot(), Limits()).get("size")
    late = build.opportunity(created_at=build.now + lead + timedelta(seconds=1))
    assert "Compare the clocks" in only(build.failures(late, build.snapshot(), Limits()), "signal_expired").message


def test_the_sizing_speaks_with_its_own_code(build: Any) -> None:
    decision = decide(
        build.opportunity(entry="700", stop="690", targets=("740",)),
        build.snapshot(quote="700"),
        build.limits(enforce_caps=True),
    )
    (reason,) = decision.reasons
    assert (reason.code, decision.sized) == ("size_below_minimum", None)
    (check,) = [check for check in decision.checks if not check.passed]
    assert (check.code, check.limit, check.value) == ("size", "1 share", "0 shares")


def test_reward_to_risk_must_reach_its_minimum(build: Any) -> None:
    low = build.opportunity(targets=("52.80",))
    reason = only(build.failures(low, build.snapshot(), Limits()), "reward_risk_min")
    assert reason.message == "Reward:risk 1.40 is below the minimum of 2.00."
    assert (reason.limit, reason.value) == ("at least 2.00", "1.40")
    none = only(build.failures(build.opportunity(targets=()), build.snapshot(), Limits()), "reward_risk_min")
    assert none.value == "none"


def test_a_minimum_of_zero_switches_reward_and_confidence_off(build: Any) -> None:
    limits = build.limits(min_reward_risk=D(0), min_confidence=D(0))
    assert "approval_required" in build.failures(
        build.opportunity(targets=(), confidence=None), build.snapshot(), limits
    )


def test_confidence_must_be_reported_and_reach_its_minimum(build: Any) -> None:
    low = only(build.failures(build.opportunity(confidence=D("0.6")), build.snapshot(), Limits()), "confidence_min")
    assert low.message == "Confidence 0.60 is below the minimum of 0.65."
    missing = only(build.failures(build.opportunity(confidence=None), build.snapshot(), Limits()), "confidence_min")
    assert missing.message == "Confidence is missing: give the signal one, or set risk.min_confidence to 0."


def test_a_second_exposure_in_the_same_security_is_refused(build: Any) -> None:
    snapshot = build.snapshot(exposures=(build.exposure("MSFT"), build.exposure("AAPL")))
    only(build.failures(build.opportunity(), snapshot, Limits()), "duplicate_symbol")


def test_positions_are_counted_per_security(build: Any) -> None:
    two = (build.exposure("MSFT"), build.exposure("MSFT"), build.exposure("NVDA"))
    limits = build.limits(max_positions=3)
    assert "max_positions" not in build.failures(build.opportunity(), build.snapshot(exposures=two), limits)
    three = (*two, build.exposure("TSLA"))
    reason = only(build.failures(build.opportunity(), build.snapshot(exposures=three), limits), "max_positions")
    assert (reason.limit, reason.value) == ("at most 3 positions", "3 positions")


@pytest.mark.parametrize(("equity", "fails"), [("2700.01", False), ("2700", True), ("2500", True)])
def test_a_daily_loss_at_the_limit_stops_opening(build: Any, equity: str, *, fails: bool) -> None:
    failures = build.failures(build.opportunity(), build.snapshot(equity=equity), Limits())
    assert ("daily_loss" in failures) is fails
    if equity == "2700":
        message = (
            "The account lost 10 % (300.00 USD) since the session began; the limit is 10 %. "
            "If money was taken out, apex state reset-peak measures from now on."
        )
        assert only(failures, "daily_loss").message == message


def test_a_drawdown_at_the_limit_stops_opening(build: Any) -> None:
    reason = only(build.failures(build.opportunity(), build.snapshot(peak_equity=Usd(D(4000))), Limits()), "drawdown")
    assert (reason.limit, reason.value) == ("below 25 %", "25 % (1,000.00 USD)")


@pytest.mark.parametrize(("field", "code"), [("session_start_equity", "daily_loss"), ("peak_equity", "drawdown")])
def test_an_unknown_opening_value_stops_opening(build: Any, field: str, code: str) -> None:
    snapshot = build.snapshot(**{field: Usd(D(0))})
    assert only(build.failures(build.opportunity(), snapshot, Limits()), code).value == "unknown"


@pytest.mark.parametrize(("risk", "fails"), [("294", False), ("294.01", True)])
def test_open_risk_counts_this_trade_too(build: Any, risk: str, *, fails: bool) -> None:
    snapshot = build.snapshot(exposures=(build.exposure("MSFT", risk),))
    failures = build.failures(build.opportunity(), snapshot, Limits())
    assert ("open_risk" in failures) is fails
    if fails:
        assert only(failures, "open_risk").value == "300.01 USD"


def test_entries_of_the_session_are_limited(build: Any) -> None:
    reason = only(build.failures(build.opportunity(), build.snapshot(entries_today=50), Limits()), "orders_per_day")
    assert (reason.limit, reason.value) == ("at most 50 entries a session", "50 entries")


def test_the_value_of_an_order_is_limited(build: Any) -> None:
    limits = build.limits(max_notional=Usd(D("149.99")))
    reason = only(build.failures(build.opportunity(), build.snapshot(), limits), "max_notional")
    assert reason.value == "150.00 USD"
    exact = build.limits(max_notional=Usd(D(150)))
    described = explain_checks(build.opportunity(), build.snapshot(), exact)
    assert [c.limit for c in described if c.code == "max_notional"] == ["at most 150.00 USD"]


def test_the_lists_of_symbols_ignore_case_and_deny_wins(build: Any) -> None:
    def failures(**risk: Any) -> Any:
        return build.failures(build.opportunity(), build.snapshot(), build.limits(**risk))

    assert "symbol_allowed" not in failures(allow_symbols=("aapl",), deny_symbols=("MSFT",))
    assert only(failures(allow_symbols=("MSFT",)), "symbol_allowed").limit == "in risk.allow_symbols"
    denied = only(failures(allow_symbols=("AAPL",), deny_symbols=("aapl",)), "symbol_allowed")
    assert denied.message == "AAPL is in risk.deny_symbols."


@pytest.mark.parametrize("held", ["VOD@GBP", "VOD@GBX"])
def test_a_name_in_pounds_or_pence_is_listed_in_both(build: Any, held: str) -> None:
    opportunity = build.opportunity()
    opportunity = replace(opportunity, signal=replace(opportunity.signal, instrument=canonical(held)))

    def is_allowed(**risk: Any) -> bool:
        return "symbol_allowed" not in build.failures(opportunity, build.snapshot(), build.limits(**risk))

    assert is_allowed(allow_symbols=("VOD.L",))
    assert not is_allowed(deny_symbols=("VOD.L",))
    assert all(not is_allowed(deny_symbols=(name,)) for name in ("VOD LN", "VOD@GBP", "VOD@GBX", "VOD"))
    assert is_allowed(deny_symbols=("VOD.AS",))


def test_a_sale_opens_only_where_shorting_is_allowed(build: Any) -> None:
    short = build.opportunity(signal_type=SignalType.SELL, stop="52", targets=("46",))
    assert "shorting_allowed" not in build.failures(short, build.snapshot(), Limits())
    only(build.failures(short, build.snapshot(), build.limits(allow_short=False)), "shorting_allowed")


def at_the_broker(build: Any, **standing: Any) -> Any:
    snapshot = build.snapshot()
    return replace(snapshot, quote=replace(snapshot.quote, **standing))


@pytest.mark.parametrize(("missing", "codes"), [(None, []), (0, []), (1, ["borrowable"])])
def test_a_sale_opens_only_what_can_be_borrowed(build: Any, missing: int | None, codes: list[str]) -> None:
    short = build.opportunity(signal_type=SignalType.SELL, stop="52", targets=("46",))
    sized = decide(short, build.snapshot(), Limits()).sized
    assert sized is not None
    snapshot = at_the_broker(build, shortable=None if missing is None else sized.quantity - missing)
    assert list(build.failures(short, snapshot, build.limits(auto=True))) == codes
    assert not build.failures(build.opportunity(), snapshot, build.limits(auto=True))
    lenient = decide(short, snapshot, build.limits(on_no_borrow=OnObstacle.WARN))
    assert "borrowable" not in {reason.code for reason in lenient.reasons}
    assert [warning.code for warning in lenient.warnings if warning.code == "borrowable"] == codes


@pytest.mark.parametrize(("is_halted", "codes"), [(None, []), (False, []), (True, ["not_halted"])])
def test_nothing_is_entered_whose_trading_is_halted(build: Any, is_halted: bool | None, codes: list[str]) -> None:
    snapshot = at_the_broker(build, is_halted=is_halted)
    assert list(build.failures(build.opportunity(), snapshot, build.limits(auto=True))) == codes
    lenient = decide(build.opportunity(), snapshot, build.limits(on_halt=OnObstacle.WARN))
    assert "not_halted" not in {reason.code for reason in lenient.reasons}
    assert [warning.code for warning in lenient.warnings if warning.code == "not_halted"] == codes


def test_a_closed_market_says_why_and_until_when(build: Any) -> None:
    market = MarketStatus(is_open=False, session_date="2026-11-27", opens_at=build.now, why="Thanksgiving")
    reason = only(build.failures(build.opportunity(), build.snapshot(market=market), Limits()), "market_hours")
    assert reason.message == "The market is closed (Thanksgiving); it opens at 2026-11-24 10:00 ET."
    assert (reason.limit, reason.value) == ("open", "closed (Thanksgiving)")
    ignored = build.limits(enforce_market_hours=False)
    assert "market_hours" not in build.failures(build.opportunity(), build.snapshot(market=market), ignored)
    silent = build.snapshot(market=MarketStatus(is_open=False, session_date="2026-11-27"))
    assert build.failures(build.opportunity(), silent, Limits())["market_hours"].message == "The market is closed."


def test_a_session_that_the_calendar_does_not_know_takes_no_entry_at_any_hour(build: Any) -> None:
    market = MarketStatus(is_open=True, session_date="2028-01-03", is_certain=False)
    for limits in (Limits(), build.limits(enforce_market_hours=False)):
        failures = build.failures(build.opportunity(), build.snapshot(market=market), limits)
        reason = only(failures, "market_hours")
        assert (reason.limit, reason.value) == ("a session from 2000-01-01 to 2027-12-31", "2028-01-03")
        assert reason.message.startswith("Session 2028-01-03 lies outside the NYSE calendar")


OPENS, CLOSES = datetime(2026, 11, 25, 14, 30, tzinfo=UTC), datetime(2026, 11, 24, 21, 0, tzinfo=UTC)


def entering(way: EntryOrder, **risk: Any) -> Limits:
    return Limits(execution=ExecutionLimits(entry_order=way), risk=RiskLimits(**risk))


@pytest.mark.parametrize(
    ("way", "is_open", "now", "message"),
    [
        (EntryOrder.MARKET_ON_CLOSE, True, CLOSES - timedelta(minutes=11), ""),
        (
            EntryOrder.LIMIT_ON_CLOSE,
            True,
            CLOSES - timedelta(minutes=10),
            "It is 15:50 in New York; limit_on_close orders must be there before 15:50.",
        ),
        (
            EntryOrder.MARKET_ON_CLOSE,
            False,
            OPENS - timedelta(hours=1),
            "The market is closed; market_on_close orders are taken while it is open.",
        ),
        (EntryOrder.LIMIT_ON_OPEN, False, OPENS - timedelta(minutes=3), ""),
        (
            EntryOrder.MARKET_ON_OPEN,
            False,
            OPENS - timedelta(minutes=1),
            "It is 09:29 in New York; market_on_open orders must be there before 09:28.",
        ),
        (
            EntryOrder.MARKET_ON_OPEN,
            True,
            CLOSES - timedelta(hours=3),
            "The market is open; market_on_open orders are taken while it is closed, for the next opening.",
        ),
    ],
)
def test_an_order_of_an_auction_is_taken_until_shortly_before_it(
    build: Any, way: EntryOrder, is_open: bool, now: datetime, message: str
) -> None:
    market = MarketStatus(
        is_open=is_open,
        session_date="2026-11-24",
        opens_at=None if is_open else OPENS,
        closes_at=CLOSES if is_open else None,
    )
    opportunity = build.opportunity(expires_at=OPENS + timedelta(hours=1))
    snapshot = build.snapshot(market=market, taken_at=now)
    found = build.failures(opportunity, snapshot, entering(way)).get("market_hours")
    assert (found.message if found else "") == message
    simulated = replace(snapshot, account=replace(snapshot.account, is_simulated=True))
    assert "market_hours" not in build.failures(opportunity, simulated, entering(way))


def test_a_coin_has_no_auction(build: Any) -> None:
    limits = entering(EntryOrder.MARKET_ON_CLOSE, enforce_market_hours=False)
    found = build.failures(build.opportunity(market=MarketType.CRYPTO), build.snapshot(), limits)["market_hours"]
    assert found.message == "AAPL-USD@crypto has no closing, so that it cannot be entered with market_on_close."


def test_a_strategy_names_its_own_way_to_enter(build: Any) -> None:
    limits = Limits(management=ManagementLimits(strategies={"breakout": ManagementPlan(entry_order=EntryOrder.LIMIT)}))
    assert limits.entry_order("breakout") is EntryOrder.LIMIT
    assert limits.entry_order("other") is EntryOrder.MARKET
    paid = decide(build.opportunity(), build.snapshot(quote="50.50"), limits).entry_price
    assert paid == D(50)
    assert decide(build.opportunity(strategy="other"), build.snapshot(quote="50.50"), limits).entry_price == D("50.50")


@pytest.mark.parametrize(("quote", "fails"), [("51.54", False), ("51.55", True), ("48.54", True), ("0", True)])
def test_the_entry_must_lie_close_to_the_latest_price(build: Any, quote: str, *, fails: bool) -> None:
    failures = build.failures(build.opportunity(), build.snapshot(quote=quote), Limits())
    assert ("price_collar" in failures) is fails


def test_opening_needs_a_price(build: Any) -> None:
    reason = only(build.failures(build.opportunity(), build.snapshot(quote=None), Limits()), "price_collar")
    assert reason.message == "There is no current price for AAPL: opening needs one."


def test_buying_power_must_cover_the_order(build: Any) -> None:
    snapshot = build.snapshot()
    poor = replace(snapshot, account=replace(snapshot.account, buying_power=Usd(D(149))))
    reason = only(build.failures(build.opportunity(), poor, Limits()), "buying_power")
    assert (reason.limit, reason.value) == ("at most 149.00 USD", "150.00 USD")


@pytest.mark.parametrize(
    ("remaining", "market", "fails"),
    [
        (0, MarketType.EQUITY, True),
        (1, MarketType.EQUITY, False),
        (-1, MarketType.EQUITY, False),
        (None, MarketType.EQUITY, False),
        (0, MarketType.FOREX, False),
    ],
)
def test_no_day_trade_left_stops_opening_where_they_count(
    build: Any, remaining: int | None, market: MarketType, *, fails: bool
) -> None:
    status = DayTradeStatus(
        regime=Regime.CLASSIC, used=3, remaining=remaining, limit=3, why="3 of 3 day trades are used."
    )
    failures = build.failures(build.opportunity(market=market), build.snapshot(day_trades=status), Limits())
    assert ("day_trades" in failures) is fails
    if fails:
        assert only(failures, "day_trades").message == "No day trade is left: 3 of 3 day trades are used."
        bare = build.snapshot(day_trades=replace(status, why=""))
        assert build.failures(build.opportunity(), bare, Limits())["day_trades"].message == "No day trade is left."


@pytest.mark.parametrize(
    ("base", "equity", "capital"),
    [
        (CapitalBase.FIXED, "2000", "3000"),
        (CapitalBase.EQUITY, "2000", "2000"),
        (CapitalBase.EQUITY, "9000", "9000"),
        (CapitalBase.LOWER_OF_BOTH, "2000", "2000"),
        (CapitalBase.LOWER_OF_BOTH, "9000", "3000"),
        (CapitalBase.EQUITY, "-5", "0"),
    ],
)
def test_sizing_counts_with_the_configured_base(build: Any, base: CapitalBase, equity: str, capital: str) -> None:
    limits = build.limits(capital_base=base, max_daily_loss_pct=D(1), max_drawdown_pct=D(1))
    assert limits.risk.for_equity(Usd(D(equity))).capital == D(capital)
    if D(equity) > 0:
        decision = decide(build.opportunity(), build.snapshot(equity=equity), limits)
        assert decision.sized is not None
        assert decision.sized.quantity_by_risk == D(capital) * D("0.01") // 2
        (check,) = [one for one in decision.checks if one.code == "open_risk"]
        assert check.passed


def test_no_check_is_written_and_forgotten() -> None:
    modules = (exposure_checks, market_checks, signal_checks)
    written = {
        check
        for module in modules
        for name, check in vars(module).items()
        if callable(check)
        and not name.startswith("_")
        and getattr(check, "__module__", "") == module.__name__
        and getattr(check, "__annotations__", {}) == {"ctx": "CheckContext", "return": "Check"}
    }
    assert len(written) > 20
    assert written == set(PRE_TRADE_CHECKS)
