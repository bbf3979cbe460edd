"""The terms of an order as clients send them: the fields of ``placeOrder`` that this venue observes."""

from __future__ import annotations

from decimal import Decimal

from apex_cli.core.model.base import Value
from apex_cli.core.model.money import ZERO
from apex_cli.gateway.contracts import Contract, read_contract
from apex_cli.gateway.framing import ProtocolError, Reader

DELTA_NEUTRAL_FIELDS = 8
SCALE_FIELDS = 7


class Terms(Value, frozen=True, kw_only=True):
    """What a client wants of an order; the many fields a stock order leaves alone are not kept."""

    action: str
    """``BUY`` or ``SELL``."""

    quantity: Decimal
    order_type: str
    """A word of the table of order types; others are refused."""

    limit_price: Decimal | None = None
    aux_price: Decimal | None = None
    """Trigger of a stop, distance of a trail."""

    tif: str = ""
    oca_group: str = ""
    account: str = ""
    open_close: str = ""
    order_ref: str = ""
    transmit: bool = True
    parent_id: int = 0
    """The client's own id of the parent; 0 without."""

    display_size: int = 0
    trigger_method: int = 0
    outside_rth: bool = False
    hidden: bool = False
    good_after_time: str = ""
    good_till_date: str = ""
    oca_type: int = 0
    all_or_none: bool = False
    trail_stop_price: Decimal | None = None
    """First trigger of a trail."""

    trailing_percent: Decimal | None = None
    """Distance of a trail in percent: 2 is 2 %."""

    algo: str = ""
    """``algoStrategy``, such as Adaptive."""

    algo_params: tuple[str, ...] = ()
    """Its parameters, names and values in turn."""

    what_if: bool = False


class Placement(Value, frozen=True, kw_only=True):
    """One ``placeOrder``."""

    order_id: int
    contract: Contract
    terms: Terms


def read_placement(fields: Reader) -> Placement:
    """Read ``placeOrder`` after its message id, at server version 176.

    Raises:
        ProtocolError: it is too short, or of a kind that this venue cannot read (combinations).
    """
    order_id = fields.integer()
    contract = read_contract(fields)
    if contract.sec_type == "BAG":
        raise ProtocolError("combination orders are not traded here")
    fields.skip(2)
    head = _read_head(fields)
    fields.skip(8)
    oca_type = fields.integer()
    fields.skip(2)
    all_or_none = fields.flag()
    fields.skip(14)
    if fields.text():
        fields.skip(DELTA_NEUTRAL_FIELDS)
    fields.skip(3)
    trail_stop_price, trailing_percent = fields.decimal(), fields.decimal()
    _skip_scale(fields)
    if fields.text():
        fields.skip(1)
    fields.skip(4)
    if fields.flag():
        fields.skip(3)
    algo = fields.text()
    algo_params = tuple([fields.text() for _ in range(2 * fields.integer())]) if algo else ()
    fields.skip(1)
    return Placement(
        order_id=order_id,
        contract=contract,
        terms=Terms(
            **head,  # type: ignore[arg-type]
            oca_type=oca_type,
            all_or_none=all_or_none,
            trail_stop_price=trail_stop_price,
            trailing_percent=trailing_percent,
            algo=algo,
            algo_params=algo_params,
            what_if=fields.flag(),
        ),
    )


def _read_head(fields: Reader) -> dict[str, object]:
    """Read from action to goodTillDate."""
    found: dict[str, object] = {
        "action": fields.text(),
        "quantity": fields.decimal() or ZERO,
        "order_type": fields.text(),
        "limit_price": fields.decimal(),
        "aux_price": fields.decimal(),
        "tif": fields.text(),
        "oca_group": fields.text(),
        "account": fields.text(),
        "open_close": fields.text(),
    }
    fields.skip(1)
    found["order_ref"] = fields.text()
    found["transmit"] = fields.flag()
    found["parent_id"] = fields.integer()
    fields.skip(2)
    found["display_size"] = fields.integer()
    found["trigger_method"] = fields.integer()
    found["outside_rth"] = fields.flag()
    found["hidden"] = fields.flag()
    fields.skip(2)
    found["good_after_time"] = fields.text()
    found["good_till_date"] = fields.text()
    return found


def _skip_scale(fields: Reader) -> None:
    fields.skip(2)
    increment = fields.decimal()
    if increment is not None and increment > 0:
        fields.skip(SCALE_FIELDS)
    fields.skip(3)
