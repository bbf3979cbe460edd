"""The gateway's durable file: after a kill and a restart it continues with the same orders and positions."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import msgspec

from apex_cli.core.adapters.atomic_file import ensure_private_dir, read_bytes, write_atomically
from apex_cli.core.errors import StateError
from apex_cli.core.model.base import Value
from apex_cli.core.model.limits import CommissionPlan
from apex_cli.core.venue.book import VenueBook
from apex_cli.core.venue.costs import CostModel
from apex_cli.core.venue.engine import MatchingEngine
from apex_cli.gateway.contracts import Listing
from apex_cli.gateway.desk import Desk
from apex_cli.gateway.policy import Policy
from apex_cli.gateway.quotes import Quoted
from apex_cli.gateway.rows import ExecutionRow, OrderRow, PositionRow

VERSION = 1

_encode = msgspec.json.Encoder(order="deterministic").encode


class GatewayBook(Value, frozen=True, kw_only=True):
    """Everything the gateway keeps; orders that were never transmitted are not among it, as with TWS."""

    version: int
    venue: VenueBook
    is_margin: bool
    plan: CommissionPlan
    listings: tuple[Listing, ...] = ()
    orders: tuple[OrderRow, ...] = ()
    executions: tuple[ExecutionRow, ...] = ()
    positions: dict[str, PositionRow] = {}
    quotes: dict[str, Quoted] = {}
    last_perm_id: int
    played_until: datetime | None = None
    """End of the last bar that was played."""


def book_of(desk: Desk, quotes: dict[str, Quoted], played_until: datetime | None) -> GatewayBook:
    """Return everything there is to keep."""
    return GatewayBook(
        version=VERSION,
        venue=desk.engine.dump(),
        is_margin=desk.holdings.is_margin,
        plan=desk.costs.plan,
        listings=tuple(desk.listings.all()),
        orders=tuple(desk.orders.values()),
        executions=tuple(desk.holdings.executions),
        positions=desk.holdings.positions,
        quotes=quotes,
        last_perm_id=desk.last_perm_id,
        played_until=played_until,
    )


def desk_of(book: GatewayBook, policy: Policy) -> Desk:
    """Return a desk that continues from *book*."""
    engine = MatchingEngine.restored(book.venue, costs=CostModel(plan=book.plan))
    desk = Desk(cash=engine.ledger.total_cash, policy=policy, is_margin=book.is_margin, plan=book.plan, engine=engine)
    for listing in book.listings:
        desk.listings.restore(listing)
    desk.restore(book.orders, book.last_perm_id)
    desk.holdings.executions.extend(book.executions)
    desk.holdings.positions.update(book.positions)
    return desk


class Books:
    """Keeps the newest book: in memory, or in a file too."""

    def __init__(self, path: Path | None = None) -> None:
        """Use *path*; None keeps nothing beyond this process."""
        self.path = path
        self._data: bytes | None = None

    def read(self) -> GatewayBook | None:
        """Return the kept book; None before the first.

        Raises:
            StateError: the file is damaged or of another version.
        """
        data = self._data if self.path is None else read_bytes(self.path)
        if data is None:
            return None
        try:
            book = msgspec.json.decode(data, type=GatewayBook)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise StateError(
                "gateway_book_damaged",
                f"{self.path}: damaged: {error}",
                hint="move the file away to start with a new account",
                details={"path": str(self.path)},
            ) from error
        if book.version != VERSION:
            raise StateError(
                "gateway_book_version",
                f"{self.path}: version {book.version}, this apex knows {VERSION}",
                hint="move the file away to start with a new account",
                details={"path": str(self.path)},
            )
        return book

    def write(self, desk: Desk, quotes: dict[str, Quoted], played_until: datetime | None = None) -> None:
        """Keep everything; with a file, it is on disk when this returns.

        Raises:
            StateError: it could not be written.
        """
        data = _encode(book_of(desk, quotes, played_until))
        if self.path is None:
            self._data = data
            return
        ensure_private_dir(self.path.parent)
        write_atomically(self.path, data)
