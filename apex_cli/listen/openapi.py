"""The OpenAPI document, made from the types that answers are checked against."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from apex_cli import __version__
from apex_cli.listen.request_guard import LONGEST_KEY
from apex_cli.presenters.contract import envelope_schema
from apex_cli.settings.webhooks import ListenSourceSettings, SourceAuth

Sources = Mapping[str, ListenSourceSettings]

ALERT = {
    "oneOf": [
        {"$ref": "#/components/schemas/Alert"},
        {"type": "array", "items": {"$ref": "#/components/schemas/Alert"}},
    ]
}
EXAMPLE = {"ticker": "AAPL", "action": "buy", "price": 190.5, "stop": 186, "tp": 205, "confidence": 0.7}
ALERT_SCHEMA = {
    "type": "object",
    "description": "An alert, in the words of apex, TradingView or TradersPost; see apex help signals.",
    "additionalProperties": True,
    "example": EXAMPLE,
}
REASONS = {
    "400": "it is no JSON, or not framed as HTTP",
    "401": "no secret, or not the right one",
    "403": "a known sender may not do this",
    "404": "there is nothing there",
    "408": "the body came too slowly",
    "409": "refused by a rule, or answered before",
    "413": "the body is too large",
    "421": "the server is not reached by that name",
    "422": "it is JSON, and no usable signal",
    "429": "too many requests",
    "503": "nothing was kept; try again later",
}
LOOK_ERRORS = ("401", "404", "421", "429", "503")
SIGNAL_ERRORS = ("400", "401", "403", "408", "413", "421", "422", "429", "503")
QUANTITY = r"^(?=.*[1-9])[0-9]{1,12}(\.[0-9]{1,8})?$"
ANSWER = {
    "type": "object",
    "additionalProperties": False,
    "required": ["choice", "version"],
    "properties": {
        "choice": {"enum": ["approve", "reject"]},
        "version": {"type": "integer", "minimum": 1, "description": "Of the approval that was looked at."},
        "quantity": {"type": "string", "pattern": QUANTITY, "description": "Another size."},
        "reason": {"type": "string", "maxLength": 500},
    },
}


def openapi(looks: Mapping[str, str], sources: Sources, *, can_act: bool) -> dict[str, Any]:
    """Return the document; *looks* are the commands whose JSON is answered, by path."""
    parts: dict[str, Any] = {"Alert": ALERT_SCHEMA}
    parts["Error"] = _component("error", parts)
    paths: dict[str, Any] = {path: {"get": _look(path, command, parts)} for path, command in looks.items()}
    paths["/metrics"] = {"get": _page("Metrics for Prometheus.", "text/plain")}
    paths["/openapi.json"] = {"get": _page("This document.", "application/json")}
    by_path = [name for name, source in sources.items() if source.auth is SourceAuth.PATH]
    if others := [name for name in sources if name not in by_path]:
        paths["/signals/{source}"] = {"post": _take(parts, others, has_secret=False)}
    if by_path:
        paths["/signals/{source}/{secret}"] = {"post": _take(parts, by_path, has_secret=True)}
    if can_act:
        paths["/approvals/{id}"] = {"post": _answer(parts)}
    return {
        "openapi": "3.1.0",
        "info": {"title": "apex listen", "version": __version__},
        "paths": paths,
        "components": {
            "schemas": parts,
            "securitySchemes": {
                "reader": {"type": "http", "scheme": "bearer", "description": "APEX_LISTEN_READ_TOKEN"},
                "operator": {"type": "http", "scheme": "bearer", "description": "APEX_LISTEN_CONTROL_TOKEN"},
                "sender": {"type": "http", "scheme": "bearer", "description": "APEX_LISTEN_SECRET_NAME"},
            },
        },
    }


def _component(command: str, parts: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of an envelope, its parts put into *parts* under names of its own."""
    schema = envelope_schema(command)
    prefix = "".join(word.title() for word in command.replace("-", " ").split())
    text = schema.pop("$defs")
    root = schema["$ref"].rpartition("/")[2]
    found = _renamed(text, prefix)
    parts.update({f"{prefix}{name}": part for name, part in found.items() if name != root})
    envelope: dict[str, Any] = found[root]
    return envelope


def _renamed(value: Any, prefix: str) -> Any:  # noqa: ANN401 - any part of a schema
    if isinstance(value, list):
        return [_renamed(each, prefix) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        name: f"#/components/schemas/{prefix}{each.rpartition('/')[2]}" if name == "$ref" else _renamed(each, prefix)
        for name, each in value.items()
    }


def _errors(codes: tuple[str, ...]) -> dict[str, Any]:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {code: {"description": REASONS[code], "content": content} for code in codes}


def _envelope(command: str, parts: dict[str, Any]) -> dict[str, Any]:
    name = "".join(word.title() for word in command.split()) + "Answer"
    parts[name] = _component(command, parts)
    return {
        "description": f"As apex {command} --json.",
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}},
    }


def _look(path: str, command: str, parts: dict[str, Any]) -> dict[str, Any]:
    return {
        "summary": f"What apex {command} --json prints." if not command.startswith("listen") else "Health.",
        "operationId": path.strip("/"),
        "security": [{"reader": []}],
        "responses": {"200": _envelope(command, parts), **_errors(LOOK_ERRORS)},
    }


def _page(summary: str, media: str) -> dict[str, Any]:
    content = {media: {"schema": {"type": "string" if media.startswith("text") else "object"}}}
    return {
        "summary": summary,
        "security": [{"reader": []}],
        "responses": {"200": {"description": summary, "content": content}, **_errors(LOOK_ERRORS)},
    }


def _take(parts: dict[str, Any], sources: Sequence[str], *, has_secret: bool) -> dict[str, Any]:
    """Return the address that *sources* send to; those of one path prove themselves in the same place."""
    source = {"name": "source", "in": "path", "required": True, "schema": {"enum": list(sources)}}
    secret = {"name": "secret", "in": "path", "required": True, "schema": {"type": "string", "minLength": 16}}
    key = {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "maxLength": LONGEST_KEY}}
    headers = ("webhook-id", "webhook-timestamp", "webhook-signature")
    return {
        "summary": "Take signals in; answered when they are safely kept.",
        "operationId": "send_with_secret" if has_secret else "send",
        "security": [{}] if has_secret else [{"sender": []}, {}],
        "parameters": [
            source,
            *([secret] if has_secret else []),
            key,
            *({"name": name, "in": "header", "schema": {"type": "string"}} for name in headers),
        ],
        "requestBody": {"required": True, "content": {"application/json": {"schema": ALERT}}},
        "responses": {"200": _envelope("listen signals", parts), **_errors(SIGNAL_ERRORS)},
    }


def _answer(parts: dict[str, Any]) -> dict[str, Any]:
    return {
        "summary": "Approve or reject; price, size and every check are looked at again first.",
        "operationId": "answer",
        "security": [{"operator": []}],
        "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
        "requestBody": {"required": True, "content": {"application/json": {"schema": ANSWER}}},
        "responses": {
            "200": _envelope("approve", parts),
            **_errors(("400", "401", "404", "408", "409", "413", "421", "422", "429", "503")),
        },
    }
