"""Which contract a rule chooses, worked out by hand, and why none fits."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from msgspec.structs import replace

from apex_cli.core.decision.option_choice import Candidate, Terms, candidates, terms_of, with_contract
from apex_cli.core.model.instrument import MarketType, OptionRight, make_instrument
from apex_cli.core.model.money import Price
from apex_cli.core.model.option_rule import OptionChain, OptionRule, read_days
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.signal import Signal, SignalType
from kit.rig import make_signal

D = Decimal
NOW = datetime(2026, 11, 2, 10, tzinfo=ZoneInfo("America/New_York"))
CHAIN = OptionChain(
    underlying=make_instrument("AAPL"),
    expiries=("2026-10-30", "2026-11-06", "2026-11-20", "2026-12-04", "2026-12-11", "2026-12-18"),
    strikes=tuple(Price(D(strike)) for strike in (90, 95, 100, 105, 110)),
)


def terms(dte: str = "30-45", delta: str | None = None, right: str = "C", **more: Any) -> Terms:
    rule = OptionRule(dte=dte, delta=None if delta is None else D(delta))
    given: dict[str, Any] = {"price": Price(D(101)), "volatility": 0.3, **more}
    return Terms(rule=rule, right=OptionRight(right), now=NOW, **given)


def first(found: tuple[Candidate, ...] | Reason) -> str:
    assert not isinstance(found, Reason), found
    return found[0].instrument.key


def why(found: tuple[Candidate, ...] | Reason) -> str:
    assert isinstance(found, Reason)
    return found.message


def test_the_expiry_nearest_to_the_middle_of_the_days_comes_first() -> None:
    """32, 39 and 46 days are there: 39 is nearest to 37.5. 18 and 32 are as far from 25: the nearer one counts."""
    assert first(candidates(CHAIN, terms())) == "AAPL@options 2026-12-11 C100"
    assert first(candidates(CHAIN, terms("18-32"))) == "AAPL@options 2026-11-20 C100"
    assert first(candidates(CHAIN, terms("4"))) == "AAPL@options 2026-11-06 C100"


@pytest.mark.parametrize(
    ("right", "delta", "strike"), [("C", None, "100"), ("P", None, "100"), ("C", "0.4", "105"), ("P", "0.25", "95")]
)
def test_the_strike_is_that_of_the_delta_or_nearest_to_the_price(right: str, delta: str | None, strike: str) -> None:
    assert first(candidates(CHAIN, terms(delta=delta, right=right))) == f"AAPL@options 2026-12-11 {right}{strike}"


def test_the_nearest_strike_needs_no_volatility() -> None:
    assert first(candidates(CHAIN, terms(volatility=None))).endswith("C100")


def test_of_two_strikes_as_near_the_lower_one_is_chosen() -> None:
    assert first(candidates(CHAIN, terms(price=Price(D("102.5"))))).endswith("C100")


def test_the_same_questions_have_the_same_answer_and_the_class_of_the_chain() -> None:
    other = replace(CHAIN, trading_class="AAPLW", multiplier=D(10))
    assert candidates(other, terms(delta="0.4")) == candidates(other, terms(delta="0.4"))
    assert first(candidates(other, terms())) == "AAPL@options 2026-12-11 C100 (AAPLW) x10"


def test_why_nothing_fits_is_said() -> None:
    assert "listed: 2026-12-18 (46 days), 2026-12-11 (39 days)" in why(candidates(CHAIN, terms("60-90")))
    assert "listed: none" in why(candidates(replace(CHAIN, expiries=("2026-10-30",)), terms()))
    assert "needs a volatility" in why(candidates(CHAIN, terms(delta="0.4", volatility=None)))
    far = replace(CHAIN, strikes=(Price(D(200)),))
    assert "no strike has a delta within 0.10 of 0.4; the nearest: 0" in why(candidates(far, terms(delta="0.4")))
    assert "no strike is listed" in why(candidates(replace(CHAIN, strikes=()), terms()))


def signal(kind: SignalType, entry: str, stop: str, *targets: str) -> Signal:
    made = make_signal(now=NOW, entry=entry, stop=stop, targets=targets, side=kind)
    free = make_instrument("AAPL", MarketType.OPTIONS)
    return replace(made, instrument=free, option=OptionRule())


def levels(priced: Signal | Reason) -> tuple[Decimal, Decimal, tuple[Decimal, ...]]:
    assert isinstance(priced, Signal), priced
    return priced.entry_price, priced.stop_loss, priced.target_prices


@pytest.mark.parametrize(
    ("kind", "entry", "stop", "target", "wanted"),
    [
        (SignalType.LONG_CALL, "100", "98", "106", ("5", "4.2", "7.4")),
        (SignalType.LONG_PUT, "100", "102", "94", ("5", "4.2", "7.4")),
        (SignalType.SHORT_CALL, "100", "102", "94", ("5", "5.8", "2.6")),
        (SignalType.SHORT_PUT, "100", "98", "106", ("5", "5.8", "2.6")),
    ],
)
def test_levels_follow_by_the_delta(kind: SignalType, entry: str, stop: str, target: str, wanted: Any) -> None:
    made = signal(kind, entry, stop, target)
    chosen = Candidate(
        instrument=make_instrument("AAPL", MarketType.OPTIONS), delta=D("-0.4" if "PUT" in kind else "0.4")
    )
    found_terms = terms_of(made, price=Price(D(101)), now=NOW, volatility=0.3)
    priced = with_contract(made, chosen, Price(D(5)), found_terms)
    assert levels(priced) == (D(wanted[0]), D(wanted[1]), (D(wanted[2]),))
    assert isinstance(priced, Signal)
    assert priced.metadata["option_rule"] == "30-45 days, nearest strike"


def test_without_a_delta_half_is_taken_and_a_target_below_nothing_is_left_out() -> None:
    made = signal(SignalType.SHORT_CALL, "100", "102", "80")
    chosen = Candidate(instrument=make_instrument("AAPL", MarketType.OPTIONS), delta=None)
    priced = with_contract(made, chosen, Price(D(5)), terms(right="C"))
    assert levels(priced) == (5, 6, ())
    assert isinstance(priced, Signal)
    assert priced.metadata["option_delta"] == "0.5 taken"


def test_levels_that_do_not_fit_are_refused() -> None:
    chosen = Candidate(instrument=make_instrument("AAPL", MarketType.OPTIONS), delta=D("0.4"))
    for made in (signal(SignalType.LONG_CALL, "100", "102", "106"), signal(SignalType.LONG_CALL, "100", "98", "94")):
        found = with_contract(made, chosen, Price(D(5)), terms())
        assert isinstance(found, Reason)
        assert "do not fit LONG_CALL" in found.message
    found = with_contract(signal(SignalType.LONG_CALL, "100", "80", "140"), chosen, Price(D(5)), terms())
    assert isinstance(found, Reason)
    assert "is more than its price of 5" in found.message


def test_days_are_one_number_or_two() -> None:
    assert (read_days("30"), read_days("30 - 45")) == ((30, 30), (30, 45))
    for text in ("", "45-30", "soon", "-3"):
        with pytest.raises(ValueError):  # noqa: PT011 - its text is what was given
            read_days(text)
