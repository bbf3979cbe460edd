"""Captures the result of a command instead of printing it, for a program in the same process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import typer

from apex_cli.core.errors import ApexError, ExitStatus
from apex_cli.core.model.reason import Reason
from apex_cli.presenters.envelope import error_entry
from apex_cli.presenters.screen.blocks import Block
from apex_cli.presenters.screen.output import Output, reason_error, without_secrets


class Captured(Output):
    """Keeps the envelope that ``--json`` would print, without secrets and account ids; nothing is written."""

    def __init__(self, command: str) -> None:
        """Start without a result."""
        super().__init__(command, as_json=True, quiet=True)
        self.text = ""
        """The envelope as JSON in one line; empty before there is a result."""

    @property
    def envelope(self) -> dict[str, Any]:
        """The envelope as plain values."""
        import json

        found: dict[str, Any] = json.loads(self.text)
        return found

    def result(
        self,
        data: Mapping[str, Any],
        blocks: Sequence[Block] = (),
        *,
        status: ExitStatus = ExitStatus.OK,
        reasons: Sequence[Reason] = (),
        compact: bool = False,
    ) -> None:
        """Keep the result, then end with *status* when it is not 0."""
        del blocks, compact
        self._keep(data, status, [reason_error(reason) for reason in reasons])
        if status is not ExitStatus.OK:
            raise typer.Exit(status)

    def fail(self, error: ApexError) -> None:
        """Keep what went wrong and what to do."""
        self._keep({}, error.status, [error_entry(error)])

    def detail(self, text: str) -> None:
        """Say nothing."""

    def _keep(self, data: Mapping[str, Any], status: int, errors: list[dict[str, Any]]) -> None:
        self.text = without_secrets(self._envelope(data, status, errors, indent=None))
