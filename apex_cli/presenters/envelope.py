"""The one JSON envelope: of commands with ``--json``, and of answers over HTTP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from apex_cli.core.errors import ApexError, ExitStatus
from apex_cli.presenters.screen.formats import exact

ENVELOPE_VERSION = 1
"""Of the JSON: another one would break scripts."""

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells have it: 128 + SIGINT."""

STATUS_WORDS: dict[int, str] = {
    ExitStatus.OK: "ok",
    ExitStatus.INTERNAL: "error",
    ExitStatus.USAGE: "error",
    ExitStatus.CONFIG: "error",
    ExitStatus.REFUSED: "refused",
    ExitStatus.UNAVAILABLE: "unavailable",
    ExitStatus.UNKNOWN_OUTCOME: "unknown",
    ExitStatus.BUSY: "busy",
    ExitStatus.NOTHING_DONE: "nothing_done",
    ExitStatus.STATE_DAMAGED: "damaged",
    INTERRUPTED: "interrupted",
}


def envelope_text(
    command: str,
    data: Mapping[str, Any],
    *,
    status: int,
    errors: Sequence[Mapping[str, Any]] = (),
    warnings: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Return the envelope as one line of JSON."""
    import json

    envelope = {
        "v": ENVELOPE_VERSION,
        "command": command,
        "status": STATUS_WORDS[status],
        "exit_code": int(status),
        "data": data,
        "errors": errors,
        "warnings": warnings,
    }
    return json.dumps(envelope, ensure_ascii=False, default=plain_value, allow_nan=False)


def error_entry(error: ApexError) -> dict[str, Any]:
    """Return *error* as the envelope lists it."""
    return {"code": error.code, "message": error.message, "hint": error.hint, "details": error.details}


def plain_value(value: object) -> object:
    """Return a value that JSON does not know as one that it does."""
    if isinstance(value, Decimal):
        return exact(value)
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(type(value).__name__)
