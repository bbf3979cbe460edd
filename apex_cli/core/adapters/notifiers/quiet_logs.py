"""Keeps what libraries log away from terminals, and secrets away from what they log."""

from __future__ import annotations

import logging
import os
from typing import Any

from apex_cli.core.redaction import redact

LIBRARIES = ("httpx", "httpcore", "telegram", "apprise", "requests", "urllib3")


class RedactedRecord(logging.LogRecord):
    """A record that knows no secrets: whoever formats it, and wherever it goes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - the library's signature
        """Take the secrets out of the finished sentence."""
        super().__init__(*args, **kwargs)
        text = super().getMessage()
        clean = redact(text, os.environ)
        if clean != text:
            self.msg, self.args = clean, ()


def quiet_logs() -> None:
    """Let the libraries of the channels log nothing below a warning, nothing to a terminal, and no secret anywhere."""
    if logging.getLogRecordFactory() is not RedactedRecord:
        logging.setLogRecordFactory(RedactedRecord)
    for name in LIBRARIES:
        logger = logging.getLogger(name)
        logger.setLevel(logging.WARNING)
        if not any(isinstance(handler, logging.NullHandler) for handler in logger.handlers):
            logger.addHandler(logging.NullHandler())
