"""Switches for behaviour of Interactive Brokers that is not known for sure, or differs between accounts."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from apex_cli.core.model.base import Value


class Children(StrEnum):
    """When the children of a parent start to work."""

    AT_FIRST_FILL = "at_first_fill"
    """With the first share of the parent, for what it has filled."""

    AT_FULL_FILL = "at_full_fill"
    """Only when the parent is complete."""


class OcaPartial(StrEnum):
    """What a partial fill does to the other orders of its OCA group, whatever its type."""

    BY_TYPE = "by_type"
    """Type 1 cancels the others, types 2 and 3 reduce them."""

    REDUCE = "reduce"
    CANCEL = "cancel"


class CompletedShape(StrEnum):
    """Which field of a completed order holds its size."""

    FILLED_ONLY = "filled_only"
    """``totalQuantity`` 0 and ``filledQuantity`` set, as seen in public reports."""

    BOTH = "both"


class Policy(Value, frozen=True, kw_only=True):
    """How the venue behaves where its model is not documented."""

    children: Children = Children.AT_FIRST_FILL
    oca_partial: OcaPartial = OcaPartial.REDUCE
    cancelled_parent_takes_children: bool = False
    """Cancelling the rest of a partly filled parent cancels its children too."""

    siblings_are_one_group: bool = False
    """True: a fill of one child reduces all that name the same parent, whatever OCA group each names."""

    executions_of_zero_is_all: bool = True
    """A filter with client id 0 means every client; else only client 0."""

    completed_shape: CompletedShape = CompletedShape.FILLED_ONLY
    rejects_as: str = "Inactive"
    """Last status of a rejected order: ``Inactive`` or ``Cancelled``; empty sends none."""

    tells_of_held_cancels: bool = True
    """Cancelling an order that was never transmitted is reported; False is silent about it, as TWS can be."""

    demands_rising_ids: bool = True
    """A new order id must exceed every id the client used before (103)."""

    modify_child_needs_parent: bool = True
    """Changing a child that names a parent which is final gives 135."""

    enforces_margin: bool = True
    """Orders the account cannot pay are rejected (201)."""

    cost_includes_commission: bool = True
    """Average cost of a position includes commissions, as for stocks."""

    warns_of_preset_tif: bool = True
    """An order without time in force goes live as DAY, with 10349 on its id."""

    refuses_cash_short: bool = True
    """A cash account cannot sell more than it holds (201)."""

    day_trades_remaining: str | None = "3"
    """As shown in account values; None leaves the tags out, ``-1`` is unlimited."""

    missing_tags: tuple[str, ...] = ()
    """Account tags that are never sent."""

    has_live_data: bool = True
    """Live quotes are subscribed; else 10167 and delayed ones, or an error without delayed ones asked for."""

    snapshot_seconds: float = 0.0
    """How long a market data snapshot stays open; TWS takes 11 s. 0 ends it with the last tick."""

    time_zone: str = "US/Eastern"
    """Zone name behind execution times; empty sends UTC in the form without a name. ``Asia/Tokyo=JST`` writes another
    name than the zone's own, as TWS does on Windows and in other languages."""

    status_before_execution: bool = False
    """True: the order status precedes the execution it belongs to."""

    first_commission: str = ""
    """What the live commission report of an execution says; empty sends the figure at once. Real reports of ``-1`` and
    of the largest double mean that it is not worked out yet; who asks for executions later gets the figure."""

    master_client_id: int | None = None
    """Client that sees the orders of all others live."""

    read_only: bool = False
    """The "Read-Only API" setting: orders are refused with 321."""

    coins_rest: bool = True
    """Orders in coins rest as others do, for rehearsal; False: as at Interactive Brokers, no stops, and market orders
    that name an amount of cash and end at once."""

    volatility: Decimal | None = None
    """Volatility a year by which options without a price of their own are priced; None: that of their underlying's
    bars, and without bars such an option has no price."""

    delivers_shares: bool = True
    """An option in the money delivers shares at its strike; False: it pays cash, as one on an index does."""

    lists_settlements: bool = False
    """Executions name the end of an option, at a price of 0, and what it delivered, at the strike."""

    margin_rate: Decimal = Decimal("0.5")
    """Initial margin of a margin account, part of the position's value (Regulation T)."""

    maintenance_rate: Decimal = Decimal("0.25")
    """Maintenance margin, part of the position's value."""
