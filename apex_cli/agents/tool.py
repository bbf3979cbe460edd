"""A tool that an agent may call: its name, its arguments, and the function behind it."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from typing import Any, NamedTuple

import msgspec

from apex_cli.core.errors import InputError
from apex_cli.core.model.agent import AgentAct, Proposal
from apex_cli.presenters.contract import envelope_schema
from apex_cli.presenters.screen.captured import Captured
from apex_cli.settings.sections import Settings


class Arguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a tool is given; each field's text is its documentation."""


class Asked(NamedTuple):
    """One call of a tool."""

    out: Captured
    """Where the result goes."""

    settings: Settings
    mark: Proposal
    """Name of the agent, as the session knows it."""

    arguments: Any
    """An ``Arguments`` of the tool's own."""

    gone: Event
    """Set when nobody waits for the answer any more: what only looks may end then."""


class Tool(NamedTuple):
    """What an agent may ask for."""

    name: str
    title: str
    description: str
    arguments: type[Arguments]
    command: str
    """The command whose ``--json`` it answers with."""

    run: Callable[[Asked], None]
    act: AgentAct | None = None
    """What the agent must be allowed for it; None: any agent may."""

    is_read: bool = True
    is_destructive: bool = False
    is_repeatable: bool = True
    """True: the same call again changes nothing more."""

    about: Callable[[Any], str] = lambda _: ""
    """Says what a call is about, for the journal."""

    def input_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of its arguments."""
        schema: dict[str, Any] = _with_decimals(_inlined(msgspec.json.schema(self.arguments)), ["number", "string"])
        return schema

    def output_schema(self) -> dict[str, Any]:
        """Return the JSON Schema of its answer: the envelope of its command."""
        schema = envelope_schema(self.command)
        schema.pop("$schema")
        found: dict[str, Any] = _with_decimals(_inlined(schema), "string")
        return found

    def read(self, given: object) -> Any:  # noqa: ANN401 - an ``Arguments`` of its own
        """Return *given* as its arguments.

        Raises:
            InputError: something is missing, unknown, or of another kind.
        """
        try:
            return msgspec.convert(given or {}, self.arguments, strict=False)
        except msgspec.ValidationError as error:
            raise InputError(
                "arguments_invalid", f"{self.name}: {error}.", hint="The tool's input schema says what it takes."
            ) from None


def _with_decimals(schema: Any, kinds: Any) -> Any:  # noqa: ANN401 - any part of a schema
    """Return *schema* with decimals as values of *kinds*: their format is no word of JSON Schema, and clients warn."""
    if isinstance(schema, list):
        return [_with_decimals(part, kinds) for part in schema]
    if not isinstance(schema, dict):
        return schema
    if schema.get("format") == "decimal":
        return {name: value for name, value in schema.items() if name != "format"} | {"type": kinds}
    return {name: _with_decimals(part, kinds) for name, part in schema.items()}


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """Return *schema* with the object itself at its root, as the protocol wants it."""
    name = schema.pop("$ref").rpartition("/")[2]
    parts = schema.pop("$defs")
    return {**schema, **parts.pop(name), **({"$defs": parts} if parts else {})}
