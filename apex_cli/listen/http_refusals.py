"""Refusals of requests: an HTTP status, and the error of the envelope."""

from __future__ import annotations

from collections.abc import Mapping

from apex_cli.core.errors import ApexError, ExitStatus, InputError, RefusedError
from apex_cli.presenters.envelope import envelope_text, error_entry
from apex_cli.presenters.screen.output import without_secrets

COMMAND = "listen"
UNKNOWN_SENDER = "unauthorized"
HTTP_STATUS = {
    ExitStatus.OK: 200,
    ExitStatus.USAGE: 400,
    ExitStatus.CONFIG: 500,
    ExitStatus.REFUSED: 409,
    ExitStatus.UNAVAILABLE: 503,
    ExitStatus.UNKNOWN_OUTCOME: 500,
    ExitStatus.BUSY: 503,
    ExitStatus.NOTHING_DONE: 409,
    ExitStatus.STATE_DAMAGED: 503,
}
"""Status of HTTP by exit status; anything else is 500."""


class RequestRefused(Exception):  # noqa: N818 - a verdict on a request, answered by the server
    """A request that is answered with an error."""

    def __init__(self, http: int, error: ApexError, *, why: str = "", headers: Mapping[str, str] | None = None) -> None:
        """Keep the status and the error that the sender sees.

        *why* is for the log alone: what the sender need not know.
        """
        super().__init__(error.message)
        self.http = http
        self.error = error
        self.why = why or error.message
        self.headers = dict(headers or {})


def wrong_input(http: int, code: str, message: str, *, hint: str = "", why: str = "") -> RequestRefused:
    """Return the refusal of a request that the sender can correct."""
    return RequestRefused(http, InputError(code, message, hint=hint), why=why)


def unauthorized(why: str) -> RequestRefused:
    """Return the one answer to everybody who is not known, whatever is wrong: it gives away nothing."""
    error = RefusedError(UNKNOWN_SENDER, "This needs a secret that was not given, or is not right.")
    return RequestRefused(401, error, why=why, headers={"WWW-Authenticate": "Bearer"})


def not_allowed(code: str, message: str) -> RequestRefused:
    """Return the refusal of a known sender that may not do this."""
    return RequestRefused(403, RefusedError(code, message))


def refusal_text(refused: RequestRefused) -> bytes:
    """Return the envelope of a request that is not served: an error, and nothing of what we know."""
    errors = [error_entry(refused.error)]
    return without_secrets(envelope_text(COMMAND, {}, status=refused.error.status, errors=errors)).encode()
