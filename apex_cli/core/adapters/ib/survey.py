"""Asks the broker for everything it knows: orders of all clients, ended ones, executions, positions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from msgspec.structs import replace

from apex_cli.core.adapters.ib.callbacks import OpenOrder, StatusWord, Word
from apex_cli.core.adapters.ib.ib_config import IbConfig
from apex_cli.core.adapters.ib.link import Link, read_only_api
from apex_cli.core.adapters.ib.numbers import to_decimal, to_price
from apex_cli.core.adapters.ib.securities import SMART, instrument_of, parts_of_unit
from apex_cli.core.adapters.ib.security_register import SecurityRegister
from apex_cli.core.adapters.ib.shapes import IbPosition
from apex_cli.core.adapters.ib.tracker import SOUNDS_ENDED, Tracker, looks_like_ours
from apex_cli.core.errors import BrokerError
from apex_cli.core.model.broker_events import BrokerOrder, Holding
from apex_cli.core.model.currency import MINOR_UNITS
from apex_cli.core.model.instrument import Instrument, MarketType
from apex_cli.core.model.money import ZERO, Quantity

POLL_S = 0.01
NO_SUCH_SECURITY = 200
"""Number of the broker's error where no stock has a number, as that of a future."""

MINOR_OF = {whole: minor for minor, (whole, _) in MINOR_UNITS.items()}


@dataclass(slots=True)
class Survey:
    """What one round of questions gave."""

    account: str
    live: tuple[OpenOrder, ...] = ()
    """Open orders of every client, each as last reported."""

    filled: dict[int, Quantity] = field(default_factory=dict)
    """What has filled of them, by the broker's number."""

    holdings: tuple[Holding, ...] = ()
    unanswered: tuple[str, ...] = ()
    unknown_zone: str = ""
    """A name of a time zone that could not be read: messages with it are lost."""

    is_partial: bool = False
    """True: only what was in doubt was asked for."""

    @property
    def is_complete(self) -> bool:
        """True when every part was asked and answered."""
        return not self.unanswered and not self.is_partial

    def missing(self) -> tuple[str, ...]:
        """Return what was asked for and not answered, with why where that is known."""
        why = (
            f", whose times are in the zone {self.unknown_zone!r}, which is not known here" if self.unknown_zone else ""
        )
        return tuple(f"{name}{why}" if name == EXECUTIONS else name for name in self.unanswered)

    @property
    def is_conclusive(self) -> bool:
        """True when absence from the open orders proves an end: nothing of what says how it ended is missing."""
        return not {OPEN, COMPLETED, EXECUTIONS, OWN_EXECUTIONS} & set(self.unanswered)

    def require_complete(self, config: IbConfig) -> None:
        """Refuse to continue from a part.

        Raises:
            BrokerError: something was not answered.
        """
        if self.unanswered and self.unknown_zone:
            raise BrokerError(
                "ib_time_zone",
                f"{config.place} writes times in the zone {self.unknown_zone!r}, which is not known here: "
                f"{' and '.join(self.unanswered)} cannot be read, so nothing is sent.",
                hint="Set 'Send instrument-specific attributes in' to UTC in its API settings.",
            )
        if self.unanswered:
            raise BrokerError(
                "ib_incomplete",
                f"{config.place} did not report {' and '.join(self.unanswered)}: what it knows of us stays unknown, so "
                "nothing is sent.",
                hint="Try again; if it stays so, restart TWS or IB Gateway. If executions never end: set 'Send "
                "instrument-specific attributes in' to UTC in its API settings.",
            )

    def working(self, client_id: int | None, tracker: Tracker) -> tuple[BrokerOrder, ...]:
        """Return every order that may still fill; *client_id* may cancel its own ones."""
        ended = {ref for ref, known in tracker.orders.items() if not known.is_open}
        return tuple(
            BrokerOrder(
                client_order_id=word.ref if looks_like_ours(word.ref) else "",
                broker_order_id=str(word.perm_id),
                placed_by=f"client {word.client_id}" if word.order_id > 0 else "TWS",
                instrument=word.instrument,
                side=word.side,
                order_type=word.order_type,
                quantity=word.quantity,
                filled_quantity=self.filled.get(word.perm_id, Quantity(ZERO)),
                limit_price=word.limit_price,
                stop_price=word.stop_price,
                oca_group=word.oca_group,
                is_ours_to_cancel=client_id is not None and word.client_id == client_id and word.order_id > 0,
            )
            for word in self.live
            if word.status not in SOUNDS_ENDED and word.ref not in ended and word.account in {"", self.account}
        )


OPEN, COMPLETED, EXECUTIONS, POSITIONS = "open orders", "completed orders", "executions", "positions"
OWN_EXECUTIONS = "executions of our own client id"


async def survey(link: Link, tracker: Tracker, *, is_partial: bool) -> Survey:
    """Ask for everything at once; with *is_partial* for open orders, and for ended ones where a doubt needs them.

    Executions are asked for twice: without a client id, which is documented to mean all clients but is reported to
    mean client 0 alone, and with the id that sends our orders. Each execution counts once, by its own id.
    """
    ib = link.ib
    own = link.library.ExecutionFilter(clientId=link.config.client_id)
    with link.tap.recording() as heard:
        requests: dict[str, Callable[[], Awaitable[Any]]] = {OPEN: ib.reqAllOpenOrdersAsync}
        rest: dict[str, Callable[[], Awaitable[Any]]] = {
            COMPLETED: lambda: ib.reqCompletedOrdersAsync(False),  # noqa: FBT003 - the library's own name is apiOnly
            EXECUTIONS: ib.reqExecutionsAsync,
            OWN_EXECUTIONS: lambda: ib.reqExecutionsAsync(own),
        }
        if not is_partial:
            requests |= rest | {POSITIONS: ib.reqPositionsAsync}
        answers = await _ask_all(link, requests)
        if is_partial and _needs_more(heard, tracker):
            answers |= await _ask_all(link, rest)
        live = _last_words(heard)
    if link.times.unknown:  # a message that cannot be read is lost without a word
        answers[EXECUTIONS] = None
    held = answers.get(POSITIONS) or ()
    if any(each.account == link.account and to_decimal(each.position) is None for each in held):
        answers[POSITIONS] = None  # a quantity that is no number is not "nothing is held"
    holdings = [instrument_of(each.contract) for each in held if each.account == link.account]
    traded = [fill.instrument for fill in tracker.foreign_fills.values()]
    await _learn_units(link, tracker.register, [*holdings, *traded, *(word.instrument for word in live.values())])
    tracker.name_foreign_fills()
    return Survey(
        account=link.account,
        live=tuple(map(tracker.named, live.values())),
        filled=_filled(heard),
        holdings=holdings_of(held, link.account, tracker.register),
        unanswered=tuple(name for name, answer in answers.items() if answer is None),
        is_partial=is_partial,
        unknown_zone=link.times.unknown,
    )


async def _learn_units(link: Link, register: SecurityRegister, listed: Iterable[Instrument]) -> None:
    """Ask of stocks that may be quoted in hundredths of their currency whether they are; once for each."""
    for each in listed:
        minor = MINOR_OF.get(each.currency)
        is_stock = each.market_type is MarketType.EQUITY and each.con_id
        if minor is None or not is_stock or register.is_bound_to_unit(each.con_id):
            continue
        wanted = link.library.Contract(conId=each.con_id, secType="STK", exchange=SMART)
        try:
            found = await link.ask(f"the unit of {each.key}", partial(link.ib.reqContractDetailsAsync, wanted))
        except BrokerError as error:
            if error.details.get("ib_code") == NO_SUCH_SECURITY:
                register.bind_to_unit(each)
            continue
        quoted = replace(each, currency=minor)
        is_minor = bool(found) and found[0].priceMagnifier == parts_of_unit(quoted)
        register.bind_to_unit(quoted if is_minor else each)


def _needs_more(heard: Iterable[Word], tracker: Tracker) -> bool:
    """Return whether a doubtful order is gone from the open ones without a clear end."""
    live = {word.ref for word in heard if isinstance(word, OpenOrder)}
    gone = [tracker.orders[ref] for ref in tracker.doubts if ref not in live]
    return any(known.filled > known.accounted or known.status not in {"Cancelled", "ApiCancelled"} for known in gone)


async def _ask_all(link: Link, requests: dict[str, Callable[[], Awaitable[Any]]]) -> dict[str, Any]:
    """Make all requests at once; what is not answered is None."""
    tasks = {name: asyncio.ensure_future(_ask_one(link, name, request)) for name, request in requests.items()}
    await asyncio.wait(tasks.values())
    return {name: task.result() for name, task in tasks.items()}


async def _ask_one(link: Link, name: str, request: Callable[[], Awaitable[Any]]) -> Any:  # noqa: ANN401 - many kinds
    """Return the answer, None when there is none; a read-only API never answers about orders."""
    work = asyncio.ensure_future(link.ask(name, request))
    while not work.done():
        await asyncio.wait({work}, timeout=POLL_S if link.is_read_only_api else 1)
        if link.is_read_only_api and name in {OPEN, COMPLETED} and not work.done():
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            if not link.read_only:
                raise read_only_api(link.config)
            return None
    if work.exception() is not None:
        return None
    return work.result()


def _last_words(heard: Iterable[Word]) -> dict[int, OpenOrder]:
    """Return each open order as last reported, with its last status."""
    live: dict[int, OpenOrder] = {}
    for word in heard:
        if isinstance(word, OpenOrder):
            live[word.perm_id or -word.order_id] = word
        elif isinstance(word, StatusWord) and word.perm_id in live:
            live[word.perm_id] = replace(live[word.perm_id], status=word.status)
    return live


def _filled(heard: Iterable[Word]) -> dict[int, Quantity]:
    return {word.perm_id: word.filled for word in heard if isinstance(word, StatusWord)}


def holdings_of(positions: Iterable[IbPosition], account: str, register: SecurityRegister) -> tuple[Holding, ...]:
    """Return what *account* holds."""
    held = []
    for position in positions:
        quantity = to_decimal(position.position)
        if position.account == account and quantity:
            instrument = register.ours(instrument_of(position.contract))
            average = to_decimal(position.avgCost)
            price = None if average is None else to_price(average * parts_of_unit(instrument) / instrument.multiplier)
            held.append(Holding(instrument=instrument, quantity=Quantity(quantity), average_price=price))
    return tuple(held)
