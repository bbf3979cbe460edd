"""How the channels stand: for ``notify status`` and ``doctor``, without the network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from apex_cli.core.adapters.state.journal_cursor import JournalPlaces
from apex_cli.core.errors import ApexError
from apex_cli.core.model.delivery import Delivery
from apex_cli.core.model.health import Finding, Level
from apex_cli.notify.channels import Channel
from apex_cli.notify.post import Postman
from apex_cli.presenters.blocks import Block, Cell, Grid, Tone
from apex_cli.presenters.formats import DASH, moment
from apex_cli.settings.sections import Settings

FAILING = 3
"""Failed attempts in a row from which on a channel counts as down."""


class Standing(NamedTuple):
    """One channel."""

    name: str
    delivery: Delivery
    behind: int
    """Events of the journal that it has not looked at."""

    is_new: bool


def standings(settings: Settings) -> tuple[tuple[Standing, ...], Sequence[ApexError]]:
    """Return how every channel stands, and what is wrong with the setup."""
    postman = Postman(settings, listens=False, say=lambda _: None)
    problems = postman.make()
    newest = JournalPlaces(settings.state.dir / "journal").end().seq
    return tuple(_standing(channel, newest) for channel in postman.channels), problems


def _standing(channel: Channel, newest: int) -> Standing:
    is_new = not channel.ledger.exists()
    delivery = channel.ledger.load()
    return Standing(channel.name, delivery, 0 if is_new else max(0, newest - delivery.place.seq), is_new)


def standing_data(standing: Standing) -> dict[str, Any]:
    """Return one channel for scripts."""
    delivery = standing.delivery
    return {
        "channel": standing.name,
        "delivered": delivery.delivered,
        "failures": delivery.failures,
        "given_up": delivery.given_up,
        "attempts": delivery.attempts,
        "behind": standing.behind,
        "held": len(delivery.held),
        "last_success_at": delivery.last_success_at,
        "last_error": delivery.last_error,
        "last_error_at": delivery.last_error_at,
        "next_try_at": delivery.next_try_at,
    }


def standings_grid(found: Sequence[Standing]) -> tuple[Block, ...]:
    """Return the channels as a table."""
    rows = tuple(
        (
            Cell(each.name, Tone.BOLD),
            Cell(_word(each), Tone.BAD if each.delivery.attempts else Tone.GOOD),
            Cell(str(each.delivery.delivered)),
            Cell(str(each.delivery.failures)),
            Cell(str(each.behind)),
            Cell(str(len(each.delivery.held))),
            Cell(moment(each.delivery.last_success_at)),
            Cell(each.delivery.last_error or DASH),
        )
        for each in found
    )
    columns = ("Channel", "State", ">Sent", ">Failed", ">Behind", ">Held", "Last sent", "Last error")
    return (Grid(columns=columns, rows=rows, empty="No channel is set up; see notify in config.example.yaml."),)


def _word(standing: Standing) -> str:
    if standing.is_new:
        return "new"
    return f"failing x{standing.delivery.attempts}" if standing.delivery.attempts else "fine"


def findings(settings: Settings) -> Iterator[Finding]:
    """Yield what ``doctor`` should say of the channels."""
    found, problems = standings(settings)
    for problem in problems:
        yield Finding(code="notify", level=Level.WARNING, message=problem.message, hint=problem.hint)
    for each in found:
        delivery = each.delivery
        counts = f"{each.name}: {delivery.delivered} sent, {delivery.failures} attempts failed"
        if delivery.given_up:
            counts += f", {delivery.given_up} given up"
        if delivery.attempts >= FAILING or (delivery.attempts and each.behind):
            message = f"{counts}, the last {delivery.attempts} in a row: {delivery.last_error}"
            yield Finding(code="notify", level=Level.WARNING, message=message, hint="apex notify test")
        else:
            yield Finding(code="notify", level=Level.OK, message=f"{counts}, {_last(delivery.last_success_at)}")


def _last(at: datetime | None) -> str:
    return f"last {moment(at)}" if at else "nothing yet"
