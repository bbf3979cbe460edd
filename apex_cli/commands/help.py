"""``apex help``: commands and topics, in the terminal."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Annotated, Any

import typer

from apex_cli.commands import COMMANDS, GROUPS
from apex_cli.commands.options import Call, command
from apex_cli.core.errors import InputError
from apex_cli.presenters.screen.blocks import Cell, Fields, Line, Tone


def topics() -> list[str]:
    """Return the names of the pages that come with apex."""
    return sorted(page.name.removesuffix(".md") for page in _pages().iterdir() if page.name.endswith(".md"))


def _pages() -> Traversable:
    return files("apex_cli").joinpath("docs")


def _text(topic: str) -> str:
    return _pages().joinpath(f"{topic}.md").read_text(encoding="utf-8")


def _title(topic: str) -> str:
    return _text(topic).partition("\n")[0].removeprefix("# ")


def complete_topic(incomplete: str) -> list[str]:
    """Return the topics that begin with *incomplete*."""
    return [name for name in topics() if name.startswith(incomplete)]


@command("help", "handles", config=False)
def show_help(
    call: Call,
    context: typer.Context,
    topic: Annotated[str | None, typer.Argument(help="A topic, or a command.", autocompletion=complete_topic)] = None,
) -> None:
    """Show the commands and topics, or a page of one of them."""
    if topic is None:
        from apex_cli.presenters.status import groups_blocks

        listed = groups_blocks([(title, list(names)) for title, names in GROUPS.items()])
        titles = {name: _title(name) for name in topics()}
        pages = Fields(rows=tuple((name, Cell(title)) for name, title in titles.items()))
        begin = Line(text="Begin with: apex help my-signals", tone=Tone.DIM)
        call.out.result({"topics": list(titles), "titles": titles}, (*listed, pages, begin))
    elif topic in topics():
        options = f"\n`apex {topic} --help` shows its options.\n" if topic in COMMANDS else ""
        call.out.page(topic, _text(topic) + options)
    elif topic in COMMANDS:
        group: Any = context.find_root().command
        command = group.get_command(context, topic)
        with command.make_context(topic, [], parent=context.find_root(), resilient_parsing=True) as inner:
            if text := command.get_help(inner):  # with Rich it is printed already
                typer.echo(text)
    else:
        from apex_cli.core.text.problems import suggest

        guess = suggest(topic, (*topics(), *COMMANDS))
        hint = f"Did you mean {guess}?" if guess else "apex help lists all topics."
        raise InputError("topic_unknown", f"There is no topic {topic!r}.", hint=hint)
