from __future__ import annotations

import pytest
from rich.console import Console

from apex_cli.presenters.screen.blocks import Line, Plot
from apex_cli.presenters.screen.plain import render
from apex_cli.presenters.screen.terminal import draw

PLOT = Plot(lines=lambda width: [Line(text="x" * width), Line(text="y")])


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_drawing_is_as_wide_as_its_room(width: int) -> None:
    console = Console(width=width, force_terminal=False)
    with console.capture() as drawn:
        draw([PLOT], console)
    assert drawn.get() == f"{'x' * width}\ny\n"


def test_a_pipe_gets_eighty_columns() -> None:
    assert render([PLOT]) == f"{'x' * 80}\ny"
