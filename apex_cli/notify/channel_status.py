"""The status of the channels, for ``notify status`` and ``doctor``, without the network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from apex_cli.core.adapters.state.journal_cursor import JournalPlaces
from apex_cli.core.errors import ApexError
from apex_cli.core.model.delivery import Delivery
from apex_cli.core.model.health import Finding, Level
from apex_cli.notify.channels import Channel
from apex_cli.notify.post import Postman
from apex_cli.presenters.screen.blocks import SECOND, THIRD, Cell, Tone
from apex_cli.presenters.screen.columns import Column, Table, bold, or_dash
from apex_cli.presenters.screen.formats import moment
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


def _word(standing: Standing) -> str:
    if standing.is_new:
        return "new"
    return f"failing x{standing.delivery.attempts}" if standing.delivery.attempts else "fine"


CHANNELS = Table[Standing](
    Column("channel", "Channel", lambda s: s.name, shown=bold),
    Column("", "State", _word, cell=lambda s: Cell(_word(s), Tone.BAD if s.delivery.attempts else Tone.GOOD)),
    Column("delivered", "Sent", lambda s: s.delivery.delivered, is_right=True),
    Column("failures", "Failed", lambda s: s.delivery.failures, is_right=True),
    Column("given_up", value=lambda s: s.delivery.given_up),
    Column("attempts", value=lambda s: s.delivery.attempts),
    Column("behind", "Behind", rank=SECOND, is_right=True),
    Column("held", "Held", lambda s: len(s.delivery.held), rank=THIRD, is_right=True),
    Column("last_success_at", "Last sent", lambda s: s.delivery.last_success_at, shown=moment, rank=SECOND),
    Column("last_error", "Last error", lambda s: s.delivery.last_error, shown=or_dash, wraps=True),
    Column("last_error_at", value=lambda s: s.delivery.last_error_at),
    Column("next_try_at", value=lambda s: s.delivery.next_try_at),
    empty="No channel is set up: apex help notifications",
)


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
