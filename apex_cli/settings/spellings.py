"""Texts of the configuration that are checked when it is read."""

from __future__ import annotations

from typing import Annotated

from apex_cli.core.model.base import Spelling


def _time_of_day(text: str) -> str:
    from datetime import time  # noqa: PLC0415 - start-up is a feature

    time.fromisoformat(text)
    if len(text) != len("22:00"):
        raise ValueError
    return text


def _zone(text: str) -> str:
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - start-up is a feature

    try:
        ZoneInfo(text)
    except (KeyError, OSError):
        raise ValueError from None
    return text


def _window(text: str) -> str:
    from apex_cli.core.market.quiet_hours import parse_quiet_hours  # noqa: PLC0415 - start-up is a feature

    parse_quiet_hours(text)
    return text


def _column(text: str) -> str:
    return text.strip()


def _dates(text: str) -> str:
    if text.lower() in {"mdy", "dmy"}:
        return text.lower()
    if not all(mark in text for mark in ("%d", "%Y")) and "%" not in text.replace("%%", ""):
        raise ValueError
    return text


def _decimal(text: str) -> str:
    if text not in {".", ","}:
        raise ValueError
    return text


Column = Annotated[str, Spelling(_column, "the name of a column, or its number in quotes", is_free=True)]
DateForm = Annotated[str, Spelling(_dates, "mdy, dmy, or a form such as %d.%m.%Y %H:%M", is_free=True)]
DecimalSign = Annotated[str, Spelling(_decimal, '"." or ","')]
TimeOfDay = Annotated[str, Spelling(_time_of_day, 'a time of day in quotes, such as "22:00"')]
Zone = Annotated[str, Spelling(_zone, "a time zone such as Europe/Zurich")]
Window = Annotated[str, Spelling(_window, "23:45-00:45@America/New_York, or @local for the zone of this computer")]
