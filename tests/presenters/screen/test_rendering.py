"""Blocks as plain text and drawn by Rich: the same words either way."""

from __future__ import annotations

import doctest
import io
import subprocess
import sys
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from apex_cli.presenters.screen import blocks, fit, formats
from apex_cli.presenters.screen.blocks import Block, Cell, Fields, Grid, Line, Tone, heads
from apex_cli.presenters.screen.plain import render
from apex_cli.presenters.screen.terminal import draw

GRID = Grid(
    columns=heads("Symbol", ">Qty", "Why~"),
    rows=(
        (Cell("NVDA", Tone.BOLD), Cell("3"), Cell("[red]not markup[/red]", Tone.GOOD)),
        (Cell("BRK B"), Cell("1,000"), Cell("")),
    ),
)
FIELDS = Fields(title="Size", rows=(("Order", Cell("BUY 3 NVDA", Tone.BAD)), ("Loss at stop", Cell("6.00"))))
LINE = Line(text="2 open [bold]", tone=Tone.WARN)


def drawn(*shown: Block, colour: bool) -> str:
    stream = io.StringIO()
    draw(shown, Console(file=stream, width=100, force_terminal=colour, color_system="standard" if colour else None))
    return stream.getvalue()


@pytest.mark.parametrize("module", [blocks, fit, formats], ids=lambda module: module.__name__)
def test_the_examples_in_the_docstrings_hold(module: object) -> None:
    found = doctest.testmod(module)  # type: ignore[arg-type]
    assert found.attempted > 0
    assert found.failed == 0


@given(st.decimals(), st.sampled_from([".2f", ",.2f", "+.2f", "+,.2f", "+.1f", ",.6f"]))
def test_a_rounded_number_is_what_python_makes_of_it_without_a_negative_zero(value: Decimal, form: str) -> None:
    sign, rest = form[: form[0] == "+"], form[form[0] == "+" :]
    assert formats.rounded(value, form) == format(value, f"{sign}z{rest}")


def test_numbers_are_drawn_without_the_decimals_that_are_written_in_python() -> None:
    program = (
        "import sys; from decimal import Decimal as D; from apex_cli.presenters.screen import formats as f\n"
        "for each in (f.exact, f.units, f.money, f.signed, f.price, f.percent, f.share, f.ratio, f.r_multiple): "
        "each(D('-0.001')), each(D('1234.5'))\n"
        "print('_pydecimal' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_plain_text_is_aligned_and_has_no_trailing_blanks() -> None:
    assert render((GRID, FIELDS, LINE)).splitlines() == [
        "Symbol    Qty  Why",
        "NVDA        3  [red]not markup[/red]",
        "BRK B   1,000",
        "",
        "Size",
        "Order         BUY 3 NVDA",
        "Loss at stop  6.00",
        "2 open [bold]",
    ]


def test_a_value_beside_a_name_keeps_its_own_look() -> None:
    names = Fields(rows=(("Order", Cell("BUY")), ("Loss", Cell("6.00", Tone.BAD))), tone=Tone.BOLD)
    assert drawn(names, colour=True).splitlines() == [
        "\x1b[1mOrder\x1b[0m  BUY",
        "\x1b[1mLoss\x1b[0m   \x1b[1;31m6.00\x1b[0m",
    ]


def test_an_empty_table_says_so_in_words() -> None:
    empty = Grid(columns=heads("Symbol"), rows=(), empty="No open positions.")
    assert render((empty,)) == "No open positions."
    assert drawn(empty, colour=False).strip() == "No open positions."


def test_the_drawing_has_the_same_words_and_takes_no_markup_from_data() -> None:
    words = set(render((GRID, FIELDS, LINE)).split())
    for colour in (False, True):
        text = drawn(GRID, FIELDS, LINE, colour=colour)
        assert all(word in text for word in words)
    assert "\x1b" not in drawn(GRID, FIELDS, LINE, colour=False)
    assert "\x1b[" in drawn(GRID, FIELDS, LINE, colour=True)


def test_colour_is_never_the_only_sign() -> None:
    gains = [formats.gain(formats.Decimal(text)) for text in ("5", "-5", "0")]
    assert [cell.text for cell in gains] == ["+5.00", "-5.00", "+0.00"]
    assert [cell.tone for cell in gains] == [Tone.GOOD, Tone.BAD, Tone.PLAIN]
