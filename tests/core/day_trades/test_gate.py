from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apex_cli.core.day_trades.count import DayTradeCount, day_trade_status
from apex_cli.core.day_trades.gate import (
    GateDecision,
    GateOrder,
    GateVerdict,
    Ground,
    entry_effect,
    judge_order,
    split_order,
)
from apex_cli.core.model.account import AccountFacts, AccountType, MarginPreview
from apex_cli.core.model.decision import DayTradeStatus, Regime
from apex_cli.core.model.execution import SecType
from apex_cli.core.model.limits import DayTradeLimits, DayTradeRegime
from apex_cli.core.model.money import Usd
from apex_cli.core.model.side import OrderSide

D = Decimal
MONDAY = date(2026, 11, 30)
ROOMY = MarginPreview(
    equity_with_loan_after=Usd(D(10_000)), maint_margin_after=Usd(D(500)), init_margin_after=Usd(D(1000))
)
CLASSIC = {"is_simulated": True, "equity_now": Usd(D(10_000))}
MARGIN = {
    "account_type": AccountType.MARGIN,
    "equity_now": Usd(D(10_000)),
    "equity_with_loan": Usd(D(10_000)),
    "maint_margin_req": Usd(D(0)),
    "net_cash": Usd(D(10_000)),
}


def judge(
    order: str,
    *,
    used: int = 0,
    held: int = 0,
    opened: tuple[str, ...] = (),
    reported: dict[str, Any] | None = None,
    preview: MarginPreview | None = None,
    regime: DayTradeRegime = DayTradeRegime.AUTO,
    price: str | None = "50",
    sec_type: SecType = SecType.STK,
    partial: bool = False,
    settle: date | None = None,
    stock_value: Usd | None = None,
) -> GateVerdict:
    """Judge ``SELL 100 AAPL`` on a Monday with *used* day trades."""
    side, quantity, security = order.split()
    facts = AccountFacts(**(CLASSIC if reported is None else reported))
    status = day_trade_status(
        DayTradeCount(by_session={"2026-11-30": used} if used else {}),
        session=MONDAY,
        facts=facts,
        limits=DayTradeLimits(regime=regime),
        opened_today=opened,
        is_partial=partial,
    )
    return judge_order(
        GateOrder(
            security=security,
            sec_type=sec_type,
            side=OrderSide(side),
            quantity=D(quantity),
            price=None if price is None else D(price),
            multiplier=D(100) if sec_type is SecType.OPT else D(1),
        ),
        Ground(
            status=status,
            facts=facts,
            held=D(held),
            preview=preview,
            proceeds_settle_on=settle,
            stock_value=stock_value,
        ),
    )


def codes(verdict: GateVerdict) -> tuple[GateDecision, list[str]]:
    return verdict.decision, [reason.code for reason in verdict.reasons]


class TestClassic:
    def test_a_first_entry_is_allowed_and_reported_what_it_means(self) -> None:
        got = judge("BUY 10 AAPL", used=2)
        assert codes(got) == (GateDecision.ALLOW, ["forecast"])
        assert got.notes[0].message == "If its stop is hit today this is day trade 3 of 3."

    @pytest.mark.parametrize("order", ["BUY 10 AAPL", "SELL 10 AAPL"])
    def test_at_none_left_every_opening_is_refused(self, order: str) -> None:
        got = judge(order, used=3)
        assert codes(got) == (GateDecision.BLOCK, ["no_day_trade_left"])
        assert got.blocks[0].message == "No day trade is left: 3 of 3 day trades are used."

    def test_at_none_left_adding_and_writing_calls_are_openings_too(self) -> None:
        assert judge("BUY 10 AAPL", used=3, held=70).decision is GateDecision.BLOCK
        call = judge("SELL 1 AAPL@options", used=3, sec_type=SecType.OPT)
        assert call.decision is GateDecision.BLOCK

    def test_closing_what_was_held_overnight_is_free(self) -> None:
        got = judge("SELL 70 AAPL", used=3, held=70)
        assert (codes(got), got.closing, got.opening) == ((GateDecision.ALLOW, []), 70, 0)

    def test_an_order_through_zero_at_none_left_is_offered_its_closing_part(self) -> None:
        got = judge("SELL 100 AAPL", used=3, held=70)
        assert codes(got) == (GateDecision.BLOCK, ["no_day_trade_left", "closing_only"])
        assert (got.closing, got.opening, got.offer) == (70, 30, 70)
        assert got.blocks[1].message == (
            "SELL 70 is allowed: that closes what is held. The other 30 would open a short position."
        )
        cover = judge("BUY 100 AAPL", used=3, held=-70)
        assert "would open a long position" in cover.blocks[1].message

    def test_an_order_through_zero_with_day_trades_left_passes(self) -> None:
        got = judge("SELL 100 AAPL", used=1, held=70)
        assert (got.decision, got.offer) == (GateDecision.ALLOW, 0)

    def test_the_closing_part_may_take_the_last_day_trade_from_the_opening_part(self) -> None:
        got = judge("SELL 100 AAPL", used=2, held=70, opened=("AAPL",))
        assert codes(got) == (GateDecision.BLOCK, ["no_day_trade_left", "closing_only", "day_trade"])
        assert "closing what is held uses the last one" in got.blocks[0].message

    def test_closing_what_was_opened_today_reports_its_number(self) -> None:
        got = judge("SELL 70 AAPL", used=1, held=70, opened=("AAPL",))
        assert codes(got) == (GateDecision.ALLOW, ["day_trade"])
        assert got.notes[0].message == "Closing AAPL today is day trade 2 of 3."

    def test_the_fourth_day_trade_is_allowed_and_loudly_warned_of(self) -> None:
        got = judge("SELL 70 AAPL", used=3, held=70, opened=("AAPL",))
        assert codes(got) == (GateDecision.WARN, ["fourth_day_trade"])
        assert "is day trade 4, and 3 are allowed" in got.warnings[0].message
        more = judge("SELL 70 AAPL", used=5, held=70, opened=("AAPL",))
        assert more.warnings[0].value == "day trade 6"
        reported = judge(
            "SELL 7 AAPL", held=7, opened=("AAPL",), reported={**CLASSIC, "broker_day_trades_remaining": 0}
        )
        assert reported.warnings[0].value == "day trade 4"

    def test_more_positions_opened_today_than_day_trades_left_are_warned_of(self) -> None:
        got = judge("BUY 10 AAPL", used=2, opened=("MSFT",))
        assert codes(got) == (GateDecision.WARN, ["opened_today", "forecast"])
        assert got.warnings[0].message == (
            "2 positions opened today with this one: only 1 of these may be closed today."
        )
        assert judge("BUY 10 MSFT", used=2, held=5, opened=("MSFT",)).decision is GateDecision.ALLOW
        assert judge("BUY 10 AAPL", used=0, opened=("A", "B", "C")).decision is GateDecision.WARN
        assert judge("BUY 10 AAPL", used=0, opened=("A", "B")).decision is GateDecision.ALLOW

    def test_a_large_account_is_not_limited(self) -> None:
        rich = {**CLASSIC, "equity_now": Usd(D(25_000))}
        assert codes(judge("BUY 10 AAPL", used=9, reported=rich)) == (GateDecision.ALLOW, [])
        closing = judge("SELL 10 AAPL", used=9, held=10, opened=("AAPL",), reported=rich)
        assert codes(closing) == (GateDecision.ALLOW, [])

    def test_a_flagged_account_only_closes(self) -> None:
        flagged = {**CLASSIC, "flagged_pdt": True}
        assert judge("BUY 10 AAPL", reported=flagged).decision is GateDecision.BLOCK
        assert judge("SELL 10 AAPL", held=10, reported=flagged).decision is GateDecision.ALLOW

    @pytest.mark.parametrize("sec_type", [SecType.FUT, SecType.FOP, SecType.CASH, SecType.CRYPTO, SecType.BAG])
    def test_what_is_no_security_is_not_judged(self, sec_type: SecType) -> None:
        assert codes(judge("BUY 10 X", used=3, sec_type=sec_type)) == (GateDecision.ALLOW, [])

    def test_a_partial_history_without_the_brokers_number_is_warned_of(self) -> None:
        live = {"equity_now": Usd(D(9000))}
        got = judge("BUY 10 AAPL", reported=live, regime=DayTradeRegime.CLASSIC, partial=True)
        assert codes(got) == (GateDecision.WARN, ["history_partial", "forecast"])
        assert judge("BUY 10 AAPL", partial=True).decision is GateDecision.ALLOW

    def test_without_a_sentence_why_the_refusal_stands_alone(self) -> None:
        status = DayTradeStatus(regime=Regime.CLASSIC, used=3, remaining=0, limit=3, session_date="2026-11-30")
        order = GateOrder(security="AAPL", side=OrderSide.BUY, quantity=D(1))
        got = judge_order(order, Ground(status=status, facts=AccountFacts()))
        assert got.blocks[0].message == "No day trade is left."


class TestUnknown:
    def test_an_opening_is_refused_and_a_closing_allowed(self) -> None:
        got = judge("BUY 10 AAPL", reported={"account_type": AccountType.MARGIN})
        assert codes(got) == (GateDecision.BLOCK, ["regime_unknown", "forecast"])
        assert judge("SELL 10 AAPL", held=10, reported={}).decision is GateDecision.ALLOW

    def test_a_large_account_of_which_nothing_can_be_reported_passes_both_rules(self) -> None:
        rich = {"equity_now": Usd(D(30_000)), "broker_day_trades_remaining": -1}
        assert codes(judge("BUY 10 AAPL", used=9, reported=rich)) == (GateDecision.ALLOW, [])
        short = MarginPreview(equity_with_loan_after=Usd(D(100)), maint_margin_after=Usd(D(200)))
        assert judge("BUY 10 AAPL", reported=rich, preview=short).decision is GateDecision.BLOCK


class TestIntradayMargin:
    def margin(self, order: str, **more: Any) -> GateVerdict:
        reported = {**MARGIN, **more.pop("reported", {})}
        return judge(order, reported=reported, regime=DayTradeRegime.INTRADAY_MARGIN, **more)

    def test_with_room_enough_it_is_allowed(self) -> None:
        got = self.margin("BUY 10 AAPL", preview=ROOMY, used=9)
        assert codes(got) == (GateDecision.ALLOW, [])
        assert (got.level.before, got.level.after) == (10_000, 9500)

    def test_without_a_preview_the_opening_is_refused_and_estimated(self) -> None:
        got = self.margin("BUY 10 AAPL")
        assert codes(got) == (GateDecision.BLOCK, ["no_margin_preview"])
        assert got.level.after == 9875
        unset = MarginPreview(equity_with_loan_after=Usd(D("1.797e308")), maint_margin_after=Usd(D(0)))
        assert codes(self.margin("BUY 10 AAPL", preview=unset))[1] == ["no_margin_preview"]
        assert self.margin("SELL 10 AAPL", held=10).decision is GateDecision.ALLOW

    def test_without_a_preview_a_deficit_by_the_rates_is_reported_as_well(self) -> None:
        got = self.margin("BUY 1000 AAPL")
        assert codes(got)[1] == ["no_margin_preview", "intraday_deficit"]

    def test_a_simulated_account_is_judged_by_the_rules_own_rates(self) -> None:
        simulated = {"reported": {"is_simulated": True}}
        assert self.margin("BUY 10 AAPL", **simulated).decision is GateDecision.ALLOW
        got = self.margin("BUY 1000 AAPL", **simulated)
        assert codes(got)[1] == ["intraday_deficit"]
        unrated = self.margin("SELL 1 AAPL@options", sec_type=SecType.OPT, **simulated)
        assert codes(unrated)[1] == ["no_margin_preview"]

    def test_a_deficit_is_refused_with_amount_and_deadlines(self) -> None:
        reported = {"equity_now": Usd(D(8000)), "equity_with_loan": Usd(D(8000))}
        after = MarginPreview(equity_with_loan_after=Usd(D(8000)), maint_margin_after=Usd(D(8250)))
        got = self.margin("BUY 330 AAPL", reported=reported, preview=after, price="100")
        assert codes(got) == (GateDecision.BLOCK, ["intraday_deficit"])
        assert got.blocks[0].message == (
            "The intraday margin level falls to -250.00 USD: a deficit of 250.00 USD, to be met by 2026-12-03, "
            "a freeze from 2026-12-07, lapsing on 2026-12-21; de minimis, yet a deficit."
        )

    def test_below_zero_a_sale_passes_and_one_more_share_does_not(self) -> None:
        fallen = {"equity_with_loan": Usd(D(4400)), "maint_margin_req": Usd(D(5000))}
        assert self.margin("SELL 50 AAPL", held=100, reported=fallen).decision is GateDecision.ALLOW
        after = MarginPreview(equity_with_loan_after=Usd(D(4400)), maint_margin_after=Usd(D(5025)))
        got = self.margin("BUY 1 AAPL", held=100, reported=fallen, preview=after)
        assert codes(got) == (GateDecision.BLOCK, ["intraday_deficit"])
        assert "deficit of 625.00 USD, to be" in got.blocks[0].message
        assert "de minimis" not in got.blocks[0].message

    def test_a_level_below_the_cushion_is_warned_of(self) -> None:
        near = MarginPreview(equity_with_loan_after=Usd(D(10_000)), maint_margin_after=Usd(D(9901)))
        assert codes(self.margin("BUY 10 AAPL", preview=near)) == (GateDecision.WARN, ["margin_cushion"])
        just = MarginPreview(equity_with_loan_after=Usd(D(10_000)), maint_margin_after=Usd(D(9900)))
        assert self.margin("BUY 10 AAPL", preview=just).decision is GateDecision.ALLOW

    def test_an_initial_margin_beyond_the_equity_is_refused(self) -> None:
        reported = MarginPreview(
            equity_with_loan_after=Usd(D(10_000)), maint_margin_after=Usd(D(5000)), init_margin_after=Usd(D(10_001))
        )
        assert codes(self.margin("BUY 10 AAPL", preview=reported)) == (GateDecision.BLOCK, ["initial_margin"])

    def test_a_look_ahead_below_zero_is_warned_of(self) -> None:
        reported = {"look_ahead_excess_liquidity": Usd(D(-1))}
        assert codes(self.margin("BUY 10 AAPL", preview=ROOMY, reported=reported)) == (
            GateDecision.WARN,
            ["look_ahead"],
        )

    def test_stocks_that_need_more_than_the_account_overnight_are_warned_of(self) -> None:
        held = {"preview": ROOMY, "stock_value": Usd(D(19_500))}
        assert self.margin("BUY 10 AAPL", **held).decision is GateDecision.ALLOW
        got = self.margin("BUY 11 AAPL", **held)
        assert codes(got) == (GateDecision.WARN, ["overnight_reg_t"])
        assert "need 10,025.00 USD, half of their value: the account has 10,000.00 USD" in got.warnings[0].message

    def test_below_2_000_nothing_is_borrowed(self) -> None:
        small = {"equity_now": Usd(D(1999)), "net_cash": Usd(D(500))}
        assert self.margin("BUY 10 AAPL", preview=ROOMY, reported=small).decision is GateDecision.ALLOW
        for order in ("BUY 11 AAPL", "SELL 1 AAPL"):
            got = self.margin(order, preview=ROOMY, reported=small)
            assert codes(got) == (GateDecision.BLOCK, ["below_minimum_equity"])
        unknown = self.margin("SELL 1 AAPL", preview=ROOMY, reported={"equity_now": None})
        assert "is not known" in unknown.blocks[0].message

    def test_a_freeze_stops_new_debits_and_shorts(self) -> None:
        frozen = {"frozen_until": MONDAY}
        paid = self.margin("BUY 10 AAPL", preview=ROOMY, reported=frozen)
        assert codes(paid) == (GateDecision.WARN, ["account_frozen"])
        for order in ("BUY 201 AAPL", "SELL 1 AAPL"):
            assert codes(self.margin(order, preview=ROOMY, reported=frozen)) == (GateDecision.BLOCK, ["account_frozen"])
        assert self.margin("SELL 1 AAPL", held=1, reported=frozen).decision is GateDecision.ALLOW
        assert self.margin("BUY 1 AAPL", price=None, preview=ROOMY, reported=frozen).decision is GateDecision.BLOCK

    def test_both_rules_hold_where_the_broker_counts(self) -> None:
        reported = {**MARGIN, "broker_day_trades_remaining": 0}
        got = judge("BUY 10 AAPL", reported=reported)
        assert codes(got)[1] == ["no_day_trade_left", "no_margin_preview"]
        one = judge("BUY 10 AAPL", reported={**MARGIN, "broker_day_trades_remaining": 1}, preview=ROOMY)
        assert codes(one) == (GateDecision.ALLOW, ["forecast"])

    def test_switched_off_nothing_is_judged(self) -> None:
        got = judge("BUY 1000 AAPL", reported=MARGIN, regime=DayTradeRegime.OFF, used=9)
        assert codes(got) == (GateDecision.ALLOW, [])

    def test_portfolio_margin_is_neither_counted_nor_held_to_the_level(self) -> None:
        reported = {"account_type": AccountType.PORTFOLIO, "equity_now": Usd(D(200_000))}
        assert codes(judge("BUY 10 AAPL", reported=reported, used=9)) == (GateDecision.ALLOW, [])


class TestCash:
    def cash(self, order: str, settled: int = 1000, net: int = 2000, **more: Any) -> GateVerdict:
        reported = {
            "account_type": AccountType.CASH,
            "settled_cash": Usd(D(settled)),
            "net_cash": Usd(D(net)),
            **more.pop("reported", {}),
        }
        return judge(order, reported=reported, **more)

    def test_settled_cash_pays_however_many_day_trades_there_were(self) -> None:
        got = self.cash("BUY 20 AAPL", used=9)
        assert codes(got) == (GateDecision.ALLOW, [])
        assert got.level.before is None

    def test_unsettled_cash_is_warned_of_and_none_refused(self) -> None:
        assert codes(self.cash("BUY 21 AAPL")) == (GateDecision.WARN, ["unsettled_funds"])
        assert codes(self.cash("BUY 41 AAPL")) == (GateDecision.BLOCK, ["free_riding"])
        assert codes(self.cash("BUY 1 AAPL", price=None)) == (GateDecision.BLOCK, ["settled_cash_unknown"])

    def test_a_frozen_account_spends_settled_cash_only(self) -> None:
        frozen = {"frozen_until": MONDAY}
        assert self.cash("BUY 21 AAPL", reported=frozen).decision is GateDecision.BLOCK
        assert self.cash("BUY 20 AAPL", reported=frozen).decision is GateDecision.ALLOW

    def test_shorts_are_refused_and_options_need_cover(self) -> None:
        assert codes(self.cash("SELL 1 AAPL")) == (GateDecision.BLOCK, ["no_short_in_cash_account"])
        written = self.cash("SELL 1 AAPL@options", sec_type=SecType.OPT)
        assert codes(written) == (GateDecision.WARN, ["needs_cover"])
        flip = self.cash("SELL 10 AAPL", held=7)
        assert (codes(flip)[1], flip.offer) == (["no_short_in_cash_account", "closing_only"], 7)

    def test_selling_too_early_is_warned_of_and_never_refused(self) -> None:
        got = self.cash("SELL 7 AAPL", held=7, settle=date(2026, 12, 1), net=-10)
        assert codes(got) == (GateDecision.WARN, ["good_faith", "free_riding"])
        assert self.cash("SELL 7 AAPL", held=7).decision is GateDecision.ALLOW
        assert self.cash("BUY 7 AAPL", held=-7, net=-10).decision is GateDecision.ALLOW


@given(st.sampled_from(["BUY", "SELL"]), st.integers(1, 100), st.integers(-100, 100))
def test_an_order_is_split_without_a_rest(side: str, quantity: int, held: int) -> None:
    order = GateOrder(security="AAPL", side=OrderSide(side), quantity=D(quantity))
    closing, opening = split_order(order, D(held))
    assert closing + opening == quantity
    assert 0 <= closing <= abs(held)
    assert not closing or held * order.side.sign < 0


@given(
    used=st.integers(0, 6),
    opened=st.booleans(),
    reported=st.sampled_from(
        [
            CLASSIC,
            MARGIN,
            {},
            {"account_type": AccountType.CASH},
            {**MARGIN, "broker_day_trades_remaining": 0, "flagged_pdt": True, "frozen_until": MONDAY},
            {**MARGIN, "maint_margin_req": Usd(D(99_999))},
        ]
    ),
    regime=st.sampled_from(DayTradeRegime),
    quantity=st.integers(1, 70),
    sign=st.sampled_from([1, -1]),
)
def test_closing_is_never_refused(
    *, used: int, opened: bool, reported: dict[str, Any], regime: DayTradeRegime, quantity: int, sign: int
) -> None:
    order = f"{'SELL' if sign > 0 else 'BUY'} {quantity} AAPL"
    got = judge(order, used=used, held=70 * sign, opened=("AAPL",) if opened else (), reported=reported, regime=regime)
    assert got.decision is not GateDecision.BLOCK


@pytest.mark.parametrize(
    ("remaining", "opened", "words"),
    [
        (None, (), "not counted here"),
        (-1, (), "not limited"),
        (0, (), "none left: 3 of 3 used, openings are refused"),
        (2, (), "closed today it is day trade 2 of 3"),
        (1, ("MSFT",), "closed today it is day trade 3 of 3; 2 opened today, only 1 may be closed"),
        (1, ("AAPL",), "closed today it is day trade 3 of 3"),
    ],
)
def test_an_entrys_effect_in_a_few_words(remaining: int | None, opened: tuple[str, ...], words: str) -> None:
    status = DayTradeStatus(
        regime=Regime.CLASSIC, used=3 - max(0, remaining or 0), remaining=remaining, limit=3, opened_today=opened
    )
    assert entry_effect(status, "AAPL") == words
