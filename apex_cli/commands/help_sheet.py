"""The help sheet of a command: what it is for, its arguments, its options, those of every command, an example."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from apex_cli.presenters.screen.blocks import Block, Cell, Fields, Line, Tone

SHARED = {"config", "profile", "as_json", "quiet", "verbose", "help", "version"}
"""Parameters that say the same on every sheet: they stand below a command's own."""

LONGEST_CHOICE = 18
"""Letters of the words to choose from, above which they stand in the text and not in the name."""

MOST_ALIGNED = 20
"""Letters of a name, above which it does not decide where the texts of other sections begin."""


def draw_help(command: Any, context: Any, groups: Mapping[str, Mapping[str, str]] | None = None) -> None:  # noqa: ANN401 - Typer's own types are private
    """Print the help sheet of *command*; *groups* of names and sentences stand for the commands of a group."""
    from apex_cli.presenters.screen.terminal import draw

    draw(sheet(command, context, groups))


def sheet(command: Any, context: Any, groups: Mapping[str, Mapping[str, str]] | None) -> Iterator[Block]:  # noqa: ANN401 - Typer's own types are private
    """Yield the blocks of a help sheet."""
    first, *more = _paragraphs(command.help or "")
    yield Line(text=first)
    pieces = " ".join(command.collect_usage_pieces(context)).replace("{", "").replace("}", "")
    yield from _apart(f"Usage: {context.command_path} {pieces}", Tone.BOLD)
    for paragraph in more:
        yield from _apart(paragraph)
    parameters = [each for each in command.get_params(context) if not getattr(each, "hidden", False)]
    options = [each for each in parameters if each.param_type_name == "option"]
    sections = {
        "Arguments": [_argument(each, context) for each in parameters if each not in options],
        "Options": [_option(each, context) for each in options if each.name not in SHARED],
        **({title: [*names.items()] for title, names in (groups or {"Commands": _commands(command, context)}).items()}),
        "Common options": [_option(each, context) for each in options if each.name in SHARED],
    }
    yield Line(text="")
    names = [len(name) for rows in sections.values() for name, _ in rows]
    width = max((each for each in names if each <= MOST_ALIGNED), default=0)
    for title, rows in sections.items():
        if rows:
            cells = tuple((f"  {name:<{width}}", Cell(" ".join(text.split()))) for name, text in rows)
            yield Fields(title=title, rows=cells, tone=Tone.BOLD)
    for paragraph in _paragraphs(command.epilog or ""):
        yield from _apart(paragraph)


def _apart(text: str, tone: Tone = Tone.PLAIN) -> Iterator[Line]:
    yield Line(text="")
    yield Line(text=text, tone=tone)


def _paragraphs(text: str) -> list[str]:
    return [" ".join(paragraph.split()) for paragraph in inspect.cleandoc(text).split("\n\n")] if text else []


def _commands(group: Any, context: Any) -> dict[str, str]:  # noqa: ANN401 - Typer's own types are private
    named = {name: group.get_command(context, name) for name in getattr(group, "commands", ())}
    return {name: _paragraphs(command.help)[0] for name, command in named.items()}


def _argument(argument: Any, context: Any) -> tuple[str, str]:  # noqa: ANN401 - Typer's own types are private
    name, text = argument.get_help_record(context)
    return name.replace("[", "").replace("]", ""), text


def _option(option: Any, context: Any) -> tuple[str, str]:  # noqa: ANN401 - Typer's own types are private
    names, text = option.get_help_record(context)
    choices = "" if option.is_flag else option.make_metavar(context)
    if "|" in choices:
        words = choices.strip("<>[]")
        short = words if len(words) <= LONGEST_CHOICE else option.name.rpartition("_")[2].upper()
        names = names.replace(choices, short)
        text = text if short == words else f"{text} One of {words.replace('|', ', ')}."
    return (names if not names.startswith("--") else f"    {names}"), text
