from __future__ import annotations

from decimal import Decimal

import pytest

from apex_cli.core.model.instrument import MarketType
from apex_cli.core.model.wording import (
    account_currency,
    amounts_in,
    beside,
    decimals,
    money,
    percent,
    percent_beside,
    plain,
    shared_start,
    show_amounts_in,
    units,
    visible,
)

D = Decimal


@pytest.mark.parametrize(
    ("value", "text"), [("1E+3", "1000"), ("0.0100", "0.01"), ("100", "100"), ("-2.50", "-2.5"), ("1E-5", "0.00001")]
)
def test_plain_numbers_have_no_exponent_and_no_trailing_zeros(value: str, text: str) -> None:
    assert plain(D(value)) == text


def test_decimals_are_at_least_two_and_at_most_four() -> None:
    assert [decimals(D(v)) for v in ("2", "1.4", "1.23456")] == ["2.00", "1.40", "1.2346"]
    assert decimals(D(10), least=0) == "10"


@pytest.mark.parametrize(
    ("value", "limit", "text"),
    [
        ("2.0415", "2", "2.04"),
        ("1.996", "2", "1.996"),
        ("1.99996", "2", "1.99996"),
        ("2", "2", "2.00"),
        ("-3.75", "2", "-3.75"),
        ("0.000001", "0", "0.000001"),
    ],
)
def test_a_number_beside_its_limit_shows_on_which_side_it_lies(value: str, limit: str, text: str) -> None:
    assert beside(D(value), D(limit)) == text


def test_a_part_beside_its_limit_has_two_decimals_of_a_percent_where_they_are_enough() -> None:
    most = D("0.03")
    shown = [percent_beside(D(part), most) for part in ("0.03", "0.0300004", "0.000667")]
    assert shown == ["3 %", "3.00004 %", "0.07 %"]
    assert percent_beside(D(1) / 3, most) == "33.33 %"


def test_amounts_carry_their_unit() -> None:
    assert money(D("1500")) == "1,500.00 USD"
    assert percent(D("0.025")) == "2.5 %"
    assert units(D(1), MarketType.OPTIONS) == "1 contract"
    assert units(D("0.25"), MarketType.CRYPTO) == "0.25 units"


@pytest.mark.parametrize(
    ("names", "letters"), [((), 0), (("AB",), 2), (("01M8HT", "01M8KZ"), 4), (("A", "B"), 0), (("AB", "ABC"), 2)]
)
def test_what_names_begin_with_in_common(names: tuple[str, ...], letters: int) -> None:
    assert shared_start(names) == letters


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("AAPL é 日本", "AAPL é 日本"),
        ("\x1b[31mred", "\\u001b[31mred"),
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("\u202eSELL\u200b", "\\u202eSELL\\u200b"),
        ("\U000e0001", "\\udb40\\udc01"),
    ],
)
def test_signs_that_are_not_seen_become_escapes(text: str, seen: str) -> None:
    assert visible(text) == seen
    assert visible("a\nb", keep="\n") == "a\nb"


@pytest.mark.parametrize(
    ("names", "count"), [((), 0), (("01M8",), 4), (("01M8HT", "01M8KZ"), 4), (("AB", "ABC"), 2), (("A", "B"), 0)]
)
def test_how_many_letters_names_share_at_their_start(names: tuple[str, ...], count: int) -> None:
    assert shared_start(names) == count


@pytest.mark.parametrize(
    ("text", "keep", "shown"),
    [
        ("Grüße, 日本", "", "Grüße, 日本"),
        ("a\x1b[31mb", "", "a\\u001b[31mb"),
        ("a\nb\r\tc", "", "a\\nb\\r\\tc"),
        ("a\nb\x07", "\n", "a\nb\\u0007"),
        ("\u202eSELL\u200b", "", "\\u202eSELL\\u200b"),
        ("\U000e0041", "", "\\udb40\\udc41"),
        ("\ufffe", "", "\\ufffe"),
    ],
)
def test_signs_that_nobody_sees_are_escaped(text: str, keep: str, shown: str) -> None:
    assert visible(text, keep) == shown


def test_amounts_name_the_currency_of_the_account() -> None:
    with amounts_in("EUR"):
        assert money(Decimal(5)) == "5.00 EUR"
        show_amounts_in("JPY")
        assert (money(Decimal(5)), account_currency()) == ("5.00 JPY", "JPY")
    assert money(Decimal(5)) == "5.00 USD"
