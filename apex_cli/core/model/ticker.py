"""A ticker as a key of the configuration takes it."""

from __future__ import annotations

from typing import Annotated

from apex_cli.core.model.base import Spelling


def _ticker(text: str) -> str:
    from apex_cli.core.model.spelling import as_ticker  # noqa: PLC0415 - start-up is a feature

    return as_ticker(text)


Ticker = Annotated[
    str,
    Spelling(_ticker, "a ticker; put one that looks like a number or a truth value in quotes", is_free=True),
]
"""A ticker, kept in its canonical spelling."""
