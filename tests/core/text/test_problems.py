"""The words of problems: one refusal, worded as each kind of reader words it."""

from __future__ import annotations

import pytest

from apex_cli.core.errors import InputError
from apex_cli.core.text.problems import Problems, Refused, key_name, read_at


def whole(value: object) -> int:
    if not isinstance(value, int):
        raise Refused("a whole number")
    return value


def test_a_refusal_says_what_was_found_and_what_is_allowed() -> None:
    assert Refused("a whole number").sentence("x") == "found 'x', allowed: a whole number"
    assert Refused("a zone", why="no such zone").sentence("x") == "found 'x': no such zone; allowed: a zone"
    assert Refused("a time", "'x' is no time").sentence("x") == "'x' is no time"


def test_a_refusal_of_a_value_in_a_file_names_its_place() -> None:
    assert read_at("f.csv:3.size", whole, 5) == 5
    with pytest.raises(InputError, match=r"^f\.csv:3\.size: found 'x'\.$") as caught:
        read_at("f.csv:3.size", whole, "x")
    assert caught.value.hint == "Allowed: a whole number."


def test_problems_are_collected_and_named_at_once() -> None:
    problems = Problems()
    assert [problems.read(whole, value, f"f:{at}") for at, value in enumerate((1, "x", None, 2))] == [1, None, None, 2]
    with pytest.raises(InputError, match="2 problems: f:1: found 'x', allowed: a whole number; f:2: found nothing"):
        problems.stop_or_first("f")


def test_keys_are_repeated_short_and_printable() -> None:
    assert [key_name(key) for key in ("size", 5, None, "a\nb", "x" * 50)] == [
        "size", "5", "nothing", r"'a\nb'", "x" * 40 + "...",
    ]  # fmt: skip
