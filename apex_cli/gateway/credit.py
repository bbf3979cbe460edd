"""What the account can pay: refusals of new orders, and the margins of a what-if."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from apex_cli.core.model.money import ZERO
from apex_cli.core.venue.costs import CostModel
from apex_cli.gateway.accounts import ONE, margins_of
from apex_cli.gateway.contracts import Listing
from apex_cli.gateway.holdings import Holdings
from apex_cli.gateway.rows import Margins, OrderRow


def gross_change(held: Decimal, signed: Decimal) -> Decimal:
    """Return by how much a trade changes the size of a position, in units.

    >>> gross_change(Decimal(10), Decimal(-4)), gross_change(Decimal(0), Decimal(-4))
    (Decimal('-4'), Decimal('4'))
    """
    return abs(held + signed) - abs(held)


def refusal_of(row: OrderRow, listing: Listing, holdings: Holdings, at: datetime) -> str:
    """Return why the account may not take *row*; empty when it may. Exits and children always may."""
    policy = holdings.policy
    signed = _signed(row)
    held = holdings.held(row.key)
    if row.parent_perm_id:
        return ""
    if not holdings.is_margin and policy.refuses_cash_short and signed < 0 and held + signed < 0:
        return "The contract is not available for short sale."
    change = gross_change(held, signed)
    price = _price(row, listing, holdings)
    if not policy.enforces_margin or change <= 0 or price is None:
        return ""
    balance = holdings.balance(at)
    needed = change * price * listing.instrument.multiplier * (policy.margin_rate if holdings.is_margin else ONE)
    if needed <= balance.available:
        return ""
    return (
        "We are unable to accept your order. Your Available Funds are in sufficient to cover it: "
        f"needed {needed:.2f} USD, available {balance.available:.2f} USD."
    )


def preview(row: OrderRow, listing: Listing, holdings: Holdings, costs: CostModel, at: datetime) -> Margins:
    """Return the account before and after *row* was filled as a whole."""
    price = _price(row, listing, holdings) or ZERO
    instrument = listing.instrument
    quantity = row.terms.quantity
    commission = costs.commission(instrument, quantity, quantity * price * instrument.multiplier)
    change = gross_change(holdings.held(row.key), _signed(row)) * price * instrument.multiplier
    return margins_of(holdings.balance(at), change, commission)


def _signed(row: OrderRow) -> Decimal:
    return row.terms.quantity if row.terms.action == "BUY" else -row.terms.quantity


def _price(row: OrderRow, listing: Listing, holdings: Holdings) -> Decimal | None:
    terms = row.terms
    return terms.limit_price or terms.aux_price or holdings.last_price(listing.instrument)
