from __future__ import annotations

from apex_cli.presenters.messages.message import MOST_CHARACTERS, MOST_PAGES, telegram_html, telegram_pages


def test_a_long_answer_comes_in_pages_that_lose_nothing() -> None:
    lines = [f"line {number} <b>" for number in range(400)]
    pages = telegram_pages("All", lines)
    assert 1 < len(pages) <= MOST_PAGES
    assert all(len(page) <= MOST_CHARACTERS for page in pages)
    assert "\n".join(pages).count("&lt;b&gt;") == 400
    assert "more lines" not in pages[-1]


def test_an_answer_without_end_says_how_much_is_missing() -> None:
    pages = telegram_pages("All", [f"{number:>90}" for number in range(1000)])
    assert len(pages) == MOST_PAGES
    shown = sum(page.count("\n") + 1 for page in pages) - 2  # without title and count
    assert pages[-1].endswith(f"… {1000 - shown} more lines")


def test_a_message_counts_the_lines_that_find_no_room() -> None:
    html = telegram_html("Many", [f"{number:>90}" for number in range(100)])
    assert len(html) <= MOST_CHARACTERS
    assert html.splitlines()[-1] == f"… {100 - (len(html.splitlines()) - 2)} more"


def test_a_line_that_is_cut_ends_with_no_half_of_an_escape() -> None:
    for blanks in range(5):
        (_, page) = telegram_pages("All", [" " * blanks + "&" * MOST_CHARACTERS])
        assert page.lstrip().replace("&amp;", "") == ""
