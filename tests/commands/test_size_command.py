"""``apex size``: how many units, without broker, network or any file."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.usefixtures("here")


def test_the_documented_example(apex_json: Callable[..., Any]) -> None:
    data = apex_json("size", "--entry", "50", "--stop", "48").data
    assert (data["quantity"], data["quantity_by_risk"], data["quantity_by_capital"]) == (3, 15, 3)
    assert (data["binding"], data["side"], data["notional"], data["risk_amount"]) == (
        "capital",
        "BUY",
        "150.00",
        "6.00",
    )


def test_nothing_is_written(here: Path, apex_json: Callable[..., Any]) -> None:
    apex_json("size", "NVDA", "--entry", "50", "--stop", "48")
    assert list(here.iterdir()) == []


def test_people_see_what_limits_it_and_how_much_is_used(apex: Callable[..., Any]) -> None:
    out = apex("size", "nvda", "--entry", "50", "--stop", "48", "--target", "56").out
    for words in ("BUY 3 NVDA", "the capital cap", "150.00 of 150.00 USD", "6.00 of 30.00 USD", "Reward:risk  "):
        assert words in out


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--entry", "48", "--stop", "50"), {"side": "SELL", "quantity": 3}),
        (("--entry", "50", "--stop", "48", "--side", "BUY"), {"side": "BUY"}),
        (("--entry", "50", "--stop", "48", "--capital", "30000"), {"quantity": 30}),
        (("--entry", "50", "--stop", "48", "--max-position-pct", "1"), {"quantity": 15, "binding": "risk"}),
        (("--entry", "50", "--stop", "48", "--risk-pct", "0.001"), {"quantity": 1, "binding": "risk"}),
        (("--entry", "50", "--stop", "48", "--target", "54"), {"reward_risk": "2.00"}),
        (("--entry", "10.3", "--stop", "10.2", "--max-position-pct", "1", "--risk-pct", "0.05"), {"quantity": 291}),
        (("--entry", "700", "--stop", "690"), {"quantity": 1, "binding": "minimum"}),
    ],
)
def test_options(apex_json: Callable[..., Any], options: tuple[str, ...], expected: dict[str, object]) -> None:
    data = apex_json("size", *options).data
    assert {name: data[name] for name in expected} == expected


def test_a_risk_that_looks_like_a_percentage_is_refused_or_asked_about_as_in_the_configuration(
    apex_json: Callable[..., Any],
) -> None:
    line = ("size", "--entry", "50", "--stop", "48", "--risk-pct")
    refused = apex_json(*line, "1")
    assert refused.status == 2
    assert "If 1 % is meant, write 0.01" in refused.envelope["errors"][0]["message"]
    (asked,) = apex_json(*line, "0.5").envelope["warnings"]
    assert asked["message"].startswith("--risk-pct is 0.5: 50 % of capital may be lost at each stop.")
    assert apex_json(*line, "0.02").envelope["warnings"] == []


def test_a_broken_cap_is_a_warning_with_its_numbers_or_a_refusal(here: Path, apex_json: Callable[..., Any]) -> None:
    line = ("size", "--entry", "700", "--stop", "690")
    warned = apex_json(*line)
    assert warned.status == 0
    (warning,) = warned.envelope["warnings"]
    assert "700.00 USD" in warning["message"]
    assert "150.00 USD" in warning["message"]
    assert warned.data["warnings"] == [warning["message"]]
    (here / "config.yaml").write_text("risk:\n  enforce_caps: true\n")
    refused = apex_json(*line)
    assert refused.status == 4
    assert "700.00 USD" in refused.error["message"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--side", "sell"), "must lie above the entry"),
        (("--target", "49"), "must lie above the entry"),
        (("--side", "sell", "--target", "52"), "must lie"),
        (("AAPL 200117C00100000",), "has expired on 2020-01-17"),
    ],
)
def test_what_nobody_can_trade_is_refused(apex: Callable[..., Any], options: tuple[str, ...], words: str) -> None:
    answer = apex("size", "--entry", "50", "--stop", "48", *options)
    assert answer.status == 4
    assert words in answer.err


@pytest.mark.parametrize(
    "number", ["nan", "inf", "-5", "0", "abc", "", "1e400", "1e-400", "1e999999999", "9" * 400, "5,0"]
)
@pytest.mark.parametrize("option", ["--entry", "--stop", "--target", "--capital", "--risk-pct", "--max-position-pct"])
def test_what_is_no_number_is_usage_and_names_the_option(
    apex_json: Callable[..., Any], option: str, number: str
) -> None:
    answer = apex_json("size", "--entry", "50", "--stop", "48", option, number)
    assert answer.status == 2
    assert f"'{option}'" in answer.error["message"]
    assert len(answer.error["message"]) < 500


@pytest.mark.parametrize(
    ("option", "number", "words"),
    [
        ("--entry", "1,5", "'1,5' is not a positive number, such as 48.50. Decimals stand behind a point"),
        ("--risk-pct", "abc", "'abc' is not a positive number, such as 0.5."),
        ("--capital", "5.000", "'5.000' may mean 5.00 or 5000: write one of them."),
    ],
)
def test_what_is_no_number_is_said_with_one_that_would_do(
    apex_json: Callable[..., Any], option: str, number: str, words: str
) -> None:
    answer = apex_json("size", "--entry", "50", "--stop", "48", option, number)
    assert answer.status == 2
    assert words in answer.error["message"]


@pytest.mark.parametrize("percent", ["5", "5%", "2,5 %"])
@pytest.mark.parametrize("option", ["--risk-pct", "--max-position-pct"])
def test_one_percent_is_a_hundredth(apex_json: Callable[..., Any], option: str, percent: str) -> None:
    answer = apex_json("size", "--entry", "50", "--stop", "48", option, percent)
    assert answer.status == 2
    assert "1 % is 0.01" in answer.error["message"]


@pytest.mark.parametrize("entry", ["1e-12", "0.0001", "1e12", "123456789.123456789"])
@pytest.mark.parametrize("stop", ["2e-12", "0.00011", "999999999999"])
@pytest.mark.parametrize("market", ["equity", "options", "crypto", "forex"])
def test_far_apart_levels_still_give_an_answer(
    apex_json: Callable[..., Any], entry: str, stop: str, market: str
) -> None:
    answer = apex_json("size", "--entry", entry, "--stop", stop, "--market-type", market, "--capital", "1e12")
    assert answer.status in {0, 4}
    if answer.status == 0:
        assert Decimal(answer.data["notional"]) > 0


def test_a_sister_option_is_suggested(apex_json: Callable[..., Any]) -> None:
    assert "--entry" in apex_json("size", "--entri", "50", "--stop", "48").error["message"]


def test_a_word_that_is_not_utf8_is_usage(apex_json: Callable[..., Any]) -> None:
    answer = apex_json("size", "\udcff", "--entry", "50", "--stop", "48")
    assert answer.status == 2
    assert answer.error["code"] == "not_utf8"
