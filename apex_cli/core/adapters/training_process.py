"""Training in a process of its own: the trading loop waits for nothing."""

from __future__ import annotations

import subprocess
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from apex_cli.core.adapters.own_process import own_program
from apex_cli.core.errors import ExitStatus

FINE = frozenset({ExitStatus.OK, ExitStatus.NOTHING_DONE, ExitStatus.BUSY})
"""Trained, not due any more, or somebody else does it."""


class TrainingProcess:
    """Runs ``apex model train --if-due`` and remembers how it ended."""

    def __init__(self, config: Path | None, profile: str) -> None:
        """Train by the configuration file *config*, in *profile*."""
        self._config = config
        self._profile = profile
        self._process: subprocess.Popen[bytes] | None = None
        self._said: IO[bytes] | None = None

    def start(self) -> None:
        """Start it, without waiting."""
        config = ["--config", str(self._config)] if self._config is not None else []
        config += ["--profile", self._profile] if self._profile else []
        self._said = TemporaryFile()  # noqa: SIM115 - closed when the process is over
        self._process = subprocess.Popen(  # noqa: S603 - this program itself
            [*own_program(), "model", "train", "--if-due", "--quiet", *config],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._said,
        )

    def outcome(self) -> str | None:
        """Return None while it runs, an empty text when it went well, else its error."""
        if self._process is None:
            return ""
        status = self._process.poll()
        if status is None or self._said is None:
            return None
        self._said.seek(0)
        lines = self._said.read().decode("utf-8", "replace").splitlines()
        self._said.close()
        self._process = self._said = None
        return "" if status in FINE else next((line for line in lines if line.startswith("Error")), f"status {status}")
