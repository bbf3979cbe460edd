from __future__ import annotations

from datetime import date
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import pytest

from apex_cli.core.model.base import Fraction, Minutes, Range, Spelling, Value
from apex_cli.core.model.money import Usd
from apex_cli.core.model.ticker import Ticker
from apex_cli.core.text.fields import BAD, Problem, Reader, fields_of
from apex_cli.core.text.problems import shown, suggest


def _even(text: str) -> str:
    if len(text) % 2:
        raise ValueError(f"it has {len(text)} letters")
    return text


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Inner(Value, frozen=True, kw_only=True):
    part: Fraction = Decimal(1)


class Row(Value, frozen=True, kw_only=True):
    price: Annotated[Usd, Range(0, 1000, above=True)] | None = None
    wait: Minutes = 1
    names: tuple[Ticker, ...] = ()
    parts: tuple[Fraction, ...] = ()
    colour: Colour = Colour.RED
    day: date | None = None
    place: Path | None = None
    is_on: bool = False
    word: Annotated[str, Spelling(_even, "an even number of letters")] = ""
    inner: Inner = Inner()
    others: dict[str, Inner] = {}


def read(document: object) -> tuple[dict[str, object], dict[str, Problem]]:
    reader = Reader(origin="rows.yaml", base=Path("/base"))
    values = reader.section(fields_of(Row), document, "")
    return values, {problem.key: problem for problem in reader.problems}


def test_every_kind_of_field_is_read() -> None:
    document = {
        "price": Decimal("10.50"),
        "wait": 5,
        "names": ["aapl", "BRK.B"],
        "parts": [Decimal("0.5"), 1],
        "colour": "Blue",
        "day": "2026-11-24",
        "place": "a/b",
        "is_on": True,
        "word": "even",
        "inner": {"part": Decimal("0.1")},
        "others": {"x": {"part": Decimal("0.2")}, "y": None},
    }
    values, problems = read(document)
    assert not problems
    assert values == {
        **document,
        "names": ("AAPL", "BRK.B"),
        "parts": (Decimal("0.5"), Decimal(1)),
        "colour": Colour.BLUE,
        "day": date(2026, 11, 24),
        "place": Path("/base/a/b"),
        "others": {"x": {"part": Decimal("0.2")}, "y": {}},
    }


@pytest.mark.parametrize(
    ("document", "key", "message"),
    [
        ({"price": 0}, "price", "found 0, allowed: a number above 0 up to 1000."),
        ({"price": True}, "price", "found true, allowed: a number above 0 up to 1000."),
        ({"price": Decimal("NaN")}, "price", "found NaN, allowed: a number above 0 up to 1000."),
        ({"wait": Decimal("1.5")}, "wait", "found 1.5, allowed: a whole number from 1 to 525600."),
        ({"wait": None}, "wait", "found nothing, allowed: a whole number from 1 to 525600."),
        ({"names": "AAPL"}, "names", "found 'AAPL', allowed: a list, such as [A, B]."),
        ({"names": ["A", 700]}, "names[1]", "found 700, allowed: a ticker; put one that looks like a number"),
        ({"parts": [Decimal("0.5"), 2]}, "parts[1]", "found 2, allowed: a number above 0 up to 1; 2 % is 0.02."),
        ({"parts": ["2%"]}, "parts[0]", "found '2%', allowed: a number above 0 up to 1; 2 % is 0.02."),
        ({"parts": ["2,5 %"]}, "parts[0]", "found '2,5 %', allowed: a number above 0 up to 1; 2,5 % is 0.025."),
        ({"parts": ["0,02"]}, "parts[0]", "found '0,02', allowed: a number above 0 up to 1."),
        ({"parts": ["150%"]}, "parts[0]", "found '150%', allowed: a number above 0 up to 1."),
        ({"colour": "rad"}, "colour", "found 'rad', allowed: red or blue."),
        ({"day": "24.11.2026"}, "day", "found '24.11.2026', allowed: a date as YYYY-MM-DD."),
        ({"place": " "}, "place", "found ' ', allowed: a path."),
        ({"is_on": "yes"}, "is_on", "found 'yes', allowed: true or false."),
        ({"word": "odd"}, "word", "found 'odd': it has 3 letters; allowed: an even number of letters."),
        ({"inner": 3}, "inner", "a section takes keys below it, not a value."),
        ({"inner": {"prat": 1}}, "inner.prat", "no such key; did you mean inner.part?"),
        ({"others": {"x": {"part": 0}}}, "others.x.part", "found 0, allowed: a number above 0 up to 1."),
        ({"others": {7: {}}}, "others.7", "a name is text; put one that looks like a number in quotes."),
        ({"zzz": 1}, "zzz", "no such key; known here: colour, day"),
        ([1], "", "a section takes keys below it, not a value."),
    ],
)
def test_a_problem_says_where_what_was_found_and_what_is_allowed(document: object, key: str, message: str) -> None:
    _, problems = read(document)
    assert list(problems) == [key]
    assert problems[key].message.startswith(message)
    assert problems[key].sentence == f"rows.yaml: {key}: {problems[key].message}"


def test_every_problem_is_reported_and_the_good_values_stay() -> None:
    values, problems = read({"price": -1, "wait": 5, "colour": 3, "bogus": 1})
    assert set(problems) == {"price", "colour", "bogus"}
    assert values == {"wait": 5}


def test_one_value_is_read_without_a_section() -> None:
    reader = Reader(origin="$VARIABLE")
    assert reader.value(fields_of(Row)["wait"], 7, "wait") == 7
    assert reader.value(fields_of(Row)["wait"], "7", "wait") is BAD
    assert [problem.value for problem in reader.problems] == ["'7'"]


def test_what_an_error_repeats_is_short() -> None:
    assert shown("x" * 100) == repr("x" * 40 + "...")
    assert shown("x" * 100, 5) == "'xxxxx...'"
    assert shown(10**70) == "1" + "0" * 39 + "..."
    assert [shown(one) for one in ({}, [], None, False)] == ["a mapping", "a list", "nothing", "false"]


def test_a_slip_is_recognised_in_any_case_and_nothing_else_is() -> None:
    words = ["symbol", "entryPrice", "stop_loss"]
    assert suggest("symbl", words) == "symbol"
    assert suggest("ENTRY_PRICE", words) == "entryPrice"
    assert suggest("colour", words) is None
    assert suggest(7, words) is None
