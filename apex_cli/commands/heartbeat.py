"""``apex heartbeat``: a second cron job that reports when the runs of the first one stop."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

import typer

from apex_cli.app.resources import badge_of, machine_time, open_store
from apex_cli.commands.options import Call, command
from apex_cli.core.errors import ApexError, ExitStatus
from apex_cli.core.model.reason import Reason
from apex_cli.presenters.screen.blocks import Cell, Fields, Tone
from apex_cli.presenters.screen.formats import moment
from apex_cli.presenters.screen.output import Output
from apex_cli.settings.sections import Settings

_AGE = re.compile(r"(\d{1,6})(m|h|d)")
DEFAULT_AGE = timedelta(hours=26)
"""A day, and two hours for a late start."""

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}


def parse_age(text: str | timedelta) -> timedelta:
    """Return the age that *text* such as ``26h`` means.

    Raises:
        typer.BadParameter: it means none.
    """
    if isinstance(text, timedelta):  # the default
        return text
    found = _AGE.fullmatch(text.strip().lower())
    age = timedelta(**{_UNITS[found[2]]: int(found[1])}) if found else timedelta()
    if not age:
        raise typer.BadParameter(f"{text!r} is no age; write 90m, 26h or 3d.")
    return age


@command("heartbeat", "--max-age 26h")
def heartbeat(
    call: Call,
    max_age: Annotated[
        timedelta,
        typer.Option(
            "--max-age",
            parser=parse_age,
            metavar="AGE",
            help="Oldest good last run: 90m, 26h, 3d. Default: 26h.",
            show_default=False,
        ),
    ] = DEFAULT_AGE,
) -> None:
    """End with status 5 and notify when the last successful run is too old: for a second cron line."""
    out, settings = call.out, call.settings
    from apex_cli.notify import posting

    try:
        with posting(out, settings):
            _look(out, settings, max_age)
    except ApexError as error:
        _tell_directly(out, settings, error)
        raise


def _look(out: Output, settings: Settings, max_age: timedelta) -> None:
    from apex_cli.core.coordinator.silence import report_overdue, silence

    store = open_store(settings)
    now = store.clock.now()
    counters = store.view().counters
    age = silence(counters, now)
    is_overdue = age is None or age > max_age
    message = _sentence(age, max_age)
    is_new = report_overdue(store, message, now) if is_overdue else False
    data = {
        "last_run_at": counters.last_run_at,
        "age_s": None if age is None else int(age.total_seconds()),
        "max_age_s": int(max_age.total_seconds()),
        "overdue": is_overdue,
        "told": is_new,
    }
    rows = (
        ("Last good run", Cell(moment(counters.last_run_at))),
        ("Verdict", Cell(message, Tone.BAD if is_overdue else Tone.GOOD)),
    )
    status = ExitStatus.UNAVAILABLE if is_overdue else ExitStatus.OK
    reasons = [Reason(code="run_overdue", message=message)] if is_overdue else []
    out.result(data, (Fields(rows=rows),), status=status, reasons=reasons)


def _sentence(age: timedelta | None, max_age: timedelta) -> str:
    if age is None:
        return "No run ever succeeded here."
    verdict = "too long" if age > max_age else "fine"
    return f"The last good run was {_words(age)} ago; up to {_words(max_age)} is allowed: {verdict}."


def _words(age: timedelta) -> str:
    hours, minutes = divmod(int(age.total_seconds()) // 60, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min"


def _tell_directly(out: Output, settings: Settings, error: ApexError) -> None:
    """Report a state that cannot even be read: there is no journal to go by, so this may be reported more than once."""
    from apex_cli.notify import is_wanted

    if not is_wanted(settings):
        return
    from apex_cli.notify.direct import send_to_all
    from apex_cli.presenters.messages.notices import trouble_notice

    notice = trouble_notice(f"{error.message} {error.hint}".strip(), machine_time(), badge_of(settings))
    for name, failure in send_to_all(settings, notice, say=out.note).items():
        if failure:
            out.note(f"{name}: {failure}")
