from __future__ import annotations

from decimal import Decimal

import pytest

from apex_cli.core.text.json_text import parse_json


def test_numbers_are_exact_and_what_is_no_sane_number_stays_text() -> None:
    huge = "1e99999999999999999999"
    found = parse_json(f"[0.10, 7, NaN, -Infinity, {'9' * 500}, {huge}]")
    assert found == [Decimal("0.10"), 7, "NaN", "-Infinity", "9" * 500, huge]
    assert str(found).startswith("[Decimal('0.10'), ")


def test_a_name_that_comes_twice_is_refused_unless_the_reader_takes_it() -> None:
    with pytest.raises(ValueError, match="'a' is given twice"):
        parse_json('{"b": {"a": 1, "a": 2}}')
    assert parse_json('{"a": 1, "a": 2}', dict) == {"a": 2}


@pytest.mark.parametrize("text", ["", "{", "[1,]", "[" * 100_000])
def test_anything_else_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_json(text)
