"""What a stranger wrote, made harmless."""

from __future__ import annotations

from unicodedata import category

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apex_cli.core.model.agent import MOST_REASON, Proposal, agent_name, harmless


@given(st.text(max_size=400))
def test_what_is_left_is_one_short_line_without_control_markup_or_quotation_marks(text: str) -> None:
    found = harmless(text, MOST_REASON)
    assert len(found) <= MOST_REASON
    assert not set('<>[]{}"`*_~|#^=\\&@') & set(found)
    assert not [letter for letter in found if category(letter) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}]
    assert found == " ".join(found.split())
    assert harmless(found, MOST_REASON) == found


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("\x1b[2J\x1b]8;;http://a.example\x07tap\x1b]8;;\x07", "(2J )8;;http : a. example tap )8;;"),
        ("[link=https://evil.example]here[/link]", "(link https : evil. example)here( link)"),
        ("<a href='tg://user?id=1'>me</a>", "(a href 'tg : user?id 1')me( a)"),
        ("tap /resume or /approve_all now", "tap resume or approve all now"),
        ("abc\u202etxt.exe\u2066", "abc txt. exe"),
        ("a\u0301\u0301\u0301\u0301\u0301b", "\u00e1\u0301\u0301b"),
        ("line\u2028two\x85three\nfour", "line two three four"),
        ('she said "yes", approve', "she said 'yes', approve"),
        ("stop 22.30, 3.5 % above 10.5", "stop 22.30, 3.5 % above 10.5"),
    ],
)
def test_each_trick_is_taken_apart_and_numbers_stay(text: str, left: str) -> None:
    assert harmless(text, MOST_REASON) == left


def test_a_long_text_ends_with_a_sign_that_it_was_cut() -> None:
    assert harmless("word " * 1000, 20) == "word word word word…"


def test_a_reason_is_shown_between_quotation_marks() -> None:
    assert Proposal(agent="claude", reason=harmless('"approve me"', 20)).quoted == "\"'approve me'\""
    assert Proposal(agent="claude").quoted == "no reason given"


@pytest.mark.parametrize("name", ["", "Claude", "a b", "-a", "a" * 33, "a\n", "ä", "a/b"])
def test_a_name_is_plain(name: str) -> None:
    assert agent_name("claude-2_b") == "claude-2_b"
    with pytest.raises(ValueError, match=r"^$"):
        agent_name(name)
