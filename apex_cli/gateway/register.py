"""The register of orders: by permId and by the client's own id, and those that are not transmitted yet."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from apex_cli.gateway.rows import OrderRow
from apex_cli.gateway.terms import Placement

FIRST_PERM_ID = 1_000_000_000


class Register:
    """The orders of all clients."""

    def __init__(self) -> None:
        """Start without orders."""
        self.orders: dict[int, OrderRow] = {}
        """By permId, in order of transmission."""

        self.last_perm_id = FIRST_PERM_ID
        self._by_client: dict[tuple[int, int], int] = {}
        """permId by client id and order id; the newest when an id came twice."""

        self.held: dict[tuple[int, int], Placement] = {}
        """Placed but not transmitted: known to nobody but this process."""

        self.highest: dict[int, int] = {}
        """Highest order id each client used."""

    def restore(self, rows: Iterable[OrderRow], last_perm_id: int) -> None:
        """Take over the orders of an earlier run; what was never transmitted is gone, its ids too."""
        self.last_perm_id = last_perm_id
        for row in rows:
            self.put(row)
            self.highest[row.client_id] = max(row.order_id, self.highest.get(row.client_id, 0))

    def put(self, row: OrderRow) -> OrderRow:
        """Take in *row*, or put it in the place of its former version."""
        self.orders[row.perm_id] = row
        if row.order_id:
            self._by_client[row.client_id, row.order_id] = row.perm_id
        return row

    # -------------------------------------------------------------------- ids

    def next_order_id(self, client_id: int) -> int:
        """Return the smallest order id that *client_id* may use."""
        return max(self.highest.get(client_id, 0), 0) + 1

    def set_next_order_id(self, client_id: int, order_id: int) -> None:
        """Hand out ids of *client_id* from *order_id*, as a gateway does that lost its memory."""
        self.highest[client_id] = order_id - 1

    def row_of(self, client_id: int, order_id: int) -> OrderRow | None:
        """Return the order that *client_id* calls *order_id*."""
        perm_id = self._by_client.get((client_id, order_id))
        return None if perm_id is None else self.orders[perm_id]

    def open_rows(self) -> list[OrderRow]:
        """Return every order that may still fill, in order of transmission."""
        return [row for row in self.orders.values() if row.is_open]

    def bind(self, client_id: int) -> list[OrderRow]:
        """Give the open orders made by hand a negative id of *client_id*, and return them."""
        unbound = [row for row in self.open_rows() if row.is_manual and not row.order_id]
        lowest = min((row.order_id for row in self.orders.values()), default=0)
        first = min(lowest, 0) - 1
        return [
            self.put(replace(row, order_id=first - number, client_id=client_id)) for number, row in enumerate(unbound)
        ]

    def is_parent(self, client_id: int, order_id: int) -> bool:
        """Return whether children may name this order as their parent."""
        row = self.row_of(client_id, order_id)
        return (client_id, order_id) in self.held or (row is not None and row.is_open)

    def legs(self, row: OrderRow) -> list[OrderRow]:
        """Return the other open orders of its OCA group: those of the same name, else its siblings."""
        group = _group(row)
        if not any(group):
            return []
        return [other for other in self.open_rows() if other.perm_id != row.perm_id and _group(other) == group]


def _group(row: OrderRow) -> tuple[str, int]:
    return (row.terms.oca_group, 0 if row.terms.oca_group else row.parent_perm_id)
