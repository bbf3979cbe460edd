"""The broker's numbered messages, and what each of them says of an order: apex's own table.

The libraries mark an order cancelled on almost any number that carries its id, also where it lives on. A number alone
never ends an order here: it says what to believe once a fresh list of open orders shows that the order is gone.

Source:
    Interactive Brokers, TWS API, "Error codes" and "Message codes".
"""

from __future__ import annotations

from enum import StrEnum


class Meaning(StrEnum):
    """What a message says."""

    INFO = "info"
    """The order lives, or no order is meant."""

    CANCELLED = "cancelled"
    """The rest of the order is cancelled."""

    REFUSED = "refused"
    """A new order does not exist; a refused change leaves the order as it was."""

    DOUBT = "doubt"
    """Only a fresh look reports."""

    READ_ONLY = "read_only"
    """The API takes no orders at all."""

    LINK_LOST = "link_lost"
    """TWS has lost the broker; the socket to TWS stays up."""

    LINK_BACK_EMPTY = "link_back_empty"
    """The link is back, subscriptions are gone."""

    LINK_BACK = "link_back"
    """The link is back."""

    CLIENT_ID_TAKEN = "client_id_taken"


_MEANINGS: dict[int, Meaning] = {
    1100: Meaning.LINK_LOST,
    1101: Meaning.LINK_BACK_EMPTY,
    1102: Meaning.LINK_BACK,
    2110: Meaning.LINK_LOST,
    326: Meaning.CLIENT_ID_TAKEN,
    202: Meaning.CANCELLED,
    **dict.fromkeys((399, 404, 10349, 165, 492, 10167), Meaning.INFO),
    **dict.fromkeys(
        (103, 104, 105, 107, 109, 110, 111, 113, 114, 115, 116, 117, 118, 119, 120, 121, 122, 133, 134, 140, 141, 142),
        Meaning.REFUSED,
    ),
    **dict.fromkeys(
        (144, 145, 146, 147, 148, 151, 152, 163, 200, 201, 203, 321, 325, 328, 329, 336, 355, 356, 357, 358, 382, 383),
        Meaning.REFUSED,
    ),
    **dict.fromkeys((387, 388, 389, 390, 391, 392, 395, 396, 401, 403, 411, 413, 416, 422, 434, 435), Meaning.REFUSED),
    **dict.fromkeys((436, 437, 438, 439, 440, 441, 451, 460, 461, 10243, 10318, 10326), Meaning.REFUSED),
    **dict.fromkeys((135, 136, 161, 10147, 10148), Meaning.DOUBT),
}

_FARMS_AND_WARNINGS = range(2100, 2200)
_QUOTES = frozenset({162, 354, 366, 420, 10089, 10090, 10091, 10168, 10186, 10197})


def meaning_of(code: int, text: str) -> Meaning:
    """Return what message *code* with *text* says.

    >>> meaning_of(10349, "Order TIF was set to DAY based on order preset.")
    <Meaning.INFO: 'info'>
    """
    if code == 321 and "read-only" in text.lower():  # noqa: PLR2004 - the number of a failed validation
        return Meaning.READ_ONLY
    if code in _MEANINGS:
        return _MEANINGS[code]
    return Meaning.INFO if code in _FARMS_AND_WARNINGS or code in _QUOTES else Meaning.DOUBT


PATTERN_DAY_TRADE = "pattern day trade"


def is_pattern_day_trade(reason: str) -> bool:
    """Return whether *reason*, why an order was refused, calls it a potential pattern day trade.

    >>> is_pattern_day_trade("Order rejected - reason: Potential Pattern Day Trade (IB 201)")
    True
    """
    return PATTERN_DAY_TRADE in reason.lower()
