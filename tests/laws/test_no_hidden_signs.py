"""No text of others reaches a terminal, a page or a message with signs that are not seen: a law over every way out."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Callable
from unicodedata import category

import pytest
import typer
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console

from apex_cli.core.errors import InputError
from apex_cli.core.model.notice import Notice, NoticeKind
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.wording import visible
from apex_cli.presenters.messages.message import one_line, plain_text, telegram_html, telegram_notice
from apex_cli.presenters.pages import page
from apex_cli.presenters.pages.charts import html_text
from apex_cli.presenters.screen import plain
from apex_cli.presenters.screen.blocks import Block, Cell, Fields, Grid, Line, heads
from apex_cli.presenters.screen.output import Output
from apex_cli.presenters.screen.terminal import draw, panel
from kit import START

EVIL = "\x1b[31mE\x1b]0;pwn\x07\u202eR \x9b2J\u200b\ufeff\u2066\x7f\ud800\U000e0041\u2028\ufffe"
HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
OWN_COLOURS = re.compile(r"\x1b\[[0-9;]*m")

texts = st.text(st.one_of(st.sampled_from(EVIL), st.characters()), max_size=40)


def hidden(text: str, allowed: str = "\n\t") -> set[str]:
    """Return what of *text* acts without being seen."""
    return {f"U+{ord(letter):04X}" for letter in text if letter not in allowed and category(letter) in HIDDEN}


def blocks(text: str) -> tuple[Block, ...]:
    return (
        Line(text=text),
        Fields(title=text, rows=((text, Cell(text)),)),
        Grid(title=text, columns=heads("A", "B~"), rows=((Cell(text), Cell(text)),)),
        Grid(columns=heads("A"), rows=(), empty=text),
    )


def drawn(text: str) -> str:
    console = Console(file=io.StringIO(), force_terminal=True, width=60, highlight=False, color_system="truecolor")
    draw(blocks(text), console)
    console.print(panel(text, blocks(text), subtitle=text, width=60))
    assert isinstance(console.file, io.StringIO)
    return OWN_COLOURS.sub("", console.file.getvalue())


def notice(text: str) -> Notice:
    return Notice(event_id=1, kind=NoticeKind.ALARM, priority=1, at=START, title=text, lines=(text, text))


WAYS: dict[str, Callable[[str], str]] = {
    "plain": lambda text: plain.render(blocks(text)),
    "terminal": drawn,
    "html": html_text,
    "page": lambda text: "".join(map(page.block_html, blocks(text))),
    "telegram": lambda text: telegram_html(text, (text,), (text,)),
    "telegram notice": lambda text: telegram_notice(notice(text)),
    "message": lambda text: plain_text(notice(text)),
    "one line": lambda text: one_line(notice(text)),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=list(WAYS))
@given(text=texts)
@example(text=EVIL)
def test_no_way_out_lets_a_hidden_sign_through(way: Callable[[str], str], text: str) -> None:
    assert not hidden(way(text))


@given(text=texts, as_json=st.booleans())
@example(text=EVIL, as_json=True)
@example(text=EVIL, as_json=False)
def test_results_talk_and_errors_are_free_of_them(text: str, as_json: bool) -> None:
    streams = io.StringIO(), io.StringIO()
    old = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = streams
    try:
        with pytest.raises(typer.Exit), Output("size", as_json=as_json, verbose=True) as out:  # noqa: PT012 - a command
            out.note(text)
            out.detail(text)
            out.warn(Reason(code="x", message=text))
            out.result({"text": text, f"key {text}": [text]}, blocks(text))
            raise InputError("x", text, hint=text, details={"found": text})
    finally:
        sys.stdout, sys.stderr = old
    said, talked = (stream.getvalue() for stream in streams)
    assert not hidden(said)
    assert not hidden(talked)


@given(text=texts)
@example(text=EVIL)
def test_a_program_reads_the_text_as_it_was(text: str) -> None:
    written = visible(json.dumps({"text": text}, ensure_ascii=False, indent=2), keep="\n")
    assert not hidden(written)
    assert json.loads(written) == {"text": text}


@given(text=texts)
def test_what_is_visible_stays_as_it_is(text: str) -> None:
    shown = visible(text)
    assert visible(shown) == shown
    if not hidden(text, allowed=""):
        assert shown == text or "\ufffe" in text or any(ord(letter) & 0xFFFE == 0xFFFE for letter in text)


def test_one_cell_is_one_line() -> None:
    assert plain.render((Fields(rows=(("Reason", Cell("a\nError: b\r\tc")),)),)) == "Reason  a\\nError: b\\r\\tc"
