from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from apex_cli.core.decision.book_checks import beta_of_book
from apex_cli.core.model.decision import Exposure, Likeness, ProtectionInputs
from apex_cli.core.model.execution_limits import ExecutionLimits
from apex_cli.core.model.limits import Limits
from apex_cli.core.model.money import Usd
from apex_cli.core.model.protections import BetaLimits, CorrelationLimits, Protections, SectorLimits
from apex_cli.core.model.risk_limits import RiskLimits
from apex_cli.core.model.side import PositionSide
from apex_cli.core.model.signal import SignalType

D = Decimal


def limits_of(**sections: Any) -> Limits:
    return Limits(
        execution=ExecutionLimits(auto_execute=True),
        risk=RiskLimits(max_open_risk_pct=D(1)),
        protections=Protections(**sections),
    )


def exposure(key: str, *, risk: str = "10", notional: str = "100", **changes: Any) -> Exposure:
    values: dict[str, Any] = {"side": PositionSide.LONG, "notional": Usd(D(notional)), "risk": Usd(D(risk))}
    return Exposure(key=key, **{**values, **changes})


def failed(build: Any, limits: Limits, inputs: ProtectionInputs, *exposures: Exposure, **signal: Any) -> dict[str, Any]:
    found: dict[str, Any] = build.failures(
        build.opportunity(**signal), build.snapshot(protections=inputs, exposures=exposures), limits
    )
    return found


TECH = ProtectionInputs(sector="tech")


def test_a_sector_has_a_cap_on_open_risk(build: Any) -> None:
    # 6 of this trade and 20 of the sector are 26 of 3,000: 0.8667 %.
    book = (exposure("MSFT", risk="20", sector="tech"), exposure("XOM", risk="500", sector="energy"))
    for part, is_refused in (("0.0086", True), ("0.0087", False)):
        limits = limits_of(sectors=SectorLimits(max_open_risk_pct=D(part)))
        found = failed(build, limits, TECH, *book)
        assert list(found) == (["sector_risk"] if is_refused else [])
        if is_refused:
            assert found["sector_risk"].value == "26.00 USD"
            assert "sector tech" in found["sector_risk"].message


def test_a_sector_has_a_cap_on_positions(build: Any) -> None:
    book = (exposure("MSFT", sector="tech"), exposure("IBM", sector="tech"), exposure("XOM", sector="energy"))
    for most, is_refused in ((2, True), (3, False)):
        limits = limits_of(sectors=SectorLimits(max_positions=most))
        assert list(failed(build, limits, TECH, *book)) == (["sector_positions"] if is_refused else [])


@pytest.mark.parametrize("name", ["max_open_risk_pct", "max_positions"])
def test_a_sector_that_is_not_known_refuses(build: Any, name: str) -> None:
    limits = limits_of(sectors=SectorLimits(**{name: D(1) if name == "max_open_risk_pct" else 1}))
    for inputs, book, words in (
        (ProtectionInputs(), (), "AAPL"),
        (TECH, (exposure("MSFT"),), "MSFT"),
        (ProtectionInputs(sector_trouble="sectors.csv cannot be read."), (), "sectors.csv cannot be read."),
    ):
        (reason,) = failed(build, limits, inputs, *book).values()
        assert words in reason.message


def test_what_moves_together_has_a_cap_on_open_risk(build: Any) -> None:
    book = (exposure("MSFT", risk="20"), exposure("XOM", risk="500"))
    inputs = ProtectionInputs(alike=(Likeness(key="MSFT", correlation=D("0.83")),))
    for part, is_refused in (("0.0086", True), ("0.0087", False)):
        limits = limits_of(correlation=CorrelationLimits(max_open_risk_pct=D(part)))
        found = failed(build, limits, inputs, *book)
        assert list(found) == (["correlated_risk"] if is_refused else [])
        if is_refused:
            assert "MSFT (0.83)" in found["correlated_risk"].message


def test_a_correlation_that_is_not_known_refuses(build: Any) -> None:
    limits = limits_of(correlation=CorrelationLimits(max_open_risk_pct=D(1)))
    inputs = ProtectionInputs(unlike_unknown=("MSFT",), trouble="There is no price history: set prices.bars_dir.")
    (reason,) = failed(build, limits, inputs, exposure("MSFT")).values()
    assert reason.code == "correlated_risk"
    assert "prices.bars_dir" in reason.message


def test_beta_bounds_the_whole_book(build: Any) -> None:
    # 1,000 * 1.2 and 150 * 2 of this trade are 1,500 of 3,000: 0.5.
    book = (exposure("MSFT", notional="1000", beta=D("1.2")),)
    inputs = ProtectionInputs(beta=D(2))
    for most, is_refused in (("0.49", True), ("0.5", False)):
        limits = limits_of(beta=BetaLimits(max_exposure=D(most)))
        assert list(failed(build, limits, inputs, *book)) == (["beta_exposure"] if is_refused else [])


def test_a_trade_against_the_book_is_let_in_though_it_stays_above_the_limit(build: Any) -> None:
    book = (exposure("MSFT", notional="3000", beta=D(1)),)
    limits = limits_of(beta=BetaLimits(max_exposure=D("0.5")))
    short = {"signal_type": SignalType.SHORT, "stop": "52", "targets": ("46",)}
    assert failed(build, limits, ProtectionInputs(beta=D(2)), *book, **short) == {}
    assert list(failed(build, limits, ProtectionInputs(beta=D(2)), *book)) == ["beta_exposure"]
    negative = ProtectionInputs(beta=D(-1))
    assert failed(build, limits, negative, *book) == {}
    assert list(failed(build, limits, negative, *book, **short)) == ["beta_exposure"]


def test_a_beta_that_is_not_known_refuses(build: Any) -> None:
    limits = limits_of(beta=BetaLimits(max_exposure=D(5)))
    for inputs, book, name in (
        (ProtectionInputs(), (), "AAPL"),
        (ProtectionInputs(beta=D(1)), (exposure("MSFT"),), "MSFT"),
    ):
        (reason,) = failed(build, limits, inputs, *book).values()
        assert name in reason.message
        assert "too few bars" in reason.message


exposures = st.lists(
    st.builds(
        lambda key, notional, beta, side: exposure(key, notional=str(notional), beta=D(beta) / 10, side=side),
        st.sampled_from("ABCD"),
        st.integers(0, 1000),
        st.integers(-20, 30),
        st.sampled_from(PositionSide),
    ),
    max_size=6,
)


@given(exposures)
def test_the_book_turned_around_has_the_opposite_beta(book: list[Exposure]) -> None:
    turned = [replace(each, side=PositionSide.SHORT if each.side.sign > 0 else PositionSide.LONG) for each in book]
    assert beta_of_book(turned) == -beta_of_book(book)
    assert beta_of_book([*book, *turned]) == 0
