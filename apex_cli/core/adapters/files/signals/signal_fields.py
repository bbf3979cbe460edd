"""The fields of a signal row: one strict parser each, from JSON, YAML or CSV values to ours."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from apex_cli.core.model.instrument import MarketType, OptionRight
from apex_cli.core.model.money import Price
from apex_cli.core.model.option_rule import OptionRule, read_days
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.signal import SignalType

SIGNAL_INVALID = "signal_invalid"
FIELDS = (
    "symbol",
    "signal_type",
    "entry_price",
    "stop_loss",
    "target_price",
    "target_prices",
    "market_type",
    "confidence",
    "strategy",
    "source",
    "timestamp",
    "expires_at",
    "signal_id",
    "metadata",
    "option",
    "expiry",
    "strike",
    "right",
    "multiplier",
    "trading_class",
    "currency",
    "exchange",
    "primary_exchange",
    "con_id",
)
IDENTITY_FIELDS = FIELDS[FIELDS.index("expiry") :]
"""Fields that say which security is meant; they count in ``metadata``, too."""

MAX_TARGETS = 10
MAX_TEXT = 200
"""Longest strategy or source, in characters."""

MAX_METADATA_KEYS = 50
MAX_METADATA_TEXT = 1000
MAX_PRICE = Decimal(1_000_000_000)
MIN_PRICE = Decimal("1e-9")
MAX_NUMBER_TEXT = 40
"""Longest number or time, in characters."""

SHOWN = 40

_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,2})?", re.ASCII)
_SYMBOL = r"[.A-Z0-9](?:[A-Z0-9 ./:'@$(),=-]{0,46}[A-Z0-9)])?"
_EXCHANGE = r"[A-Z0-9._ ]{1,20}"
_CLASS = r"[A-Z0-9 .]{1,12}"
_CURRENCY = r"[A-Z]{3}"
_SIGNAL_ID = r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}"
_INT64 = 2**63
_RIGHTS = {"C": OptionRight.CALL, "CALL": OptionRight.CALL, "P": OptionRight.PUT, "PUT": OptionRight.PUT}
_PRICE_ALLOWED = "a number above 0 and up to 1000000000"
_TIME_ALLOWED = "a time such as 2026-03-02T15:30:00-05:00"
_SYMBOL_ALLOWED = "a ticker, pair or option contract of 48 characters at most (in quotes if it looks like a number)"


class BadField(Exception):  # noqa: N818 - a verdict on a field, caught in one place
    """A field cannot be used."""

    def __init__(self, field: str, message: str, *, value: object = None, allowed: str | None) -> None:
        """Say what is wrong with *field*, what was found and what is allowed."""
        super().__init__(message)
        self.reason = Reason(
            code=SIGNAL_INVALID,
            message=f"{field}: {message}",
            limit=allowed,
            value=None if value is None else shown(value),
        )


def shown(value: object) -> str:
    """Return *value* as it may stand in a message: short, printable, containers by their kind only."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple | set):
        return f"a list of {len(value)}"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return repr(value if len(value) <= SHOWN else value[:SHOWN] + "...")
    text = f"{Decimal(value)}" if isinstance(value, int) else ascii(str(value))[1:-1]
    return text if len(text) <= SHOWN else text[:SHOWN] + "..."


def refuse_unknown(name: str, value: object) -> None:
    """Refuse a field that no signal has, with the name that was probably meant.

    Raises:
        BadField: always.
    """
    from difflib import get_close_matches

    guess = get_close_matches(name[:100].lower(), FIELDS, n=1, cutoff=0.7) if isinstance(name, str) else []
    hint = f"did you mean {guess[0]}?" if guess else "put extra facts into metadata"
    raise BadField(shown(name), f"no such field; {hint}", value=value, allowed=", ".join(FIELDS))


def _text(name: str, value: object, allowed: str) -> str:
    if not isinstance(value, str):
        raise BadField(name, f"found {shown(value)}, allowed: {allowed}", value=value, allowed=allowed)
    return value.strip()


def _symbol(name: str, value: object) -> str:
    text = _text(name, value, _SYMBOL_ALLOWED)
    symbol = text.upper() if text.isascii() else ""
    if not re.fullmatch(_SYMBOL, symbol, re.ASCII):
        raise BadField(name, f"found {shown(text)}, allowed: {_SYMBOL_ALLOWED}", value=text, allowed=_SYMBOL_ALLOWED)
    return symbol


def _word(words: Mapping[str, Any]) -> Callable[[str, Any], Any]:
    """Return a parser for one of *words*, in capitals or not."""
    allowed = ", ".join(words)

    def parse(name: str, value: object) -> Any:  # noqa: ANN401 - one parser per field, one type each
        text = _text(name, value, allowed)
        folded = text.upper() if text.isascii() else text
        if folded in words or folded.lower() in words:
            return words.get(folded) or words[folded.lower()]
        raise BadField(
            name, f"found {shown(text)}{_guess(text, words)}, allowed: {allowed}", value=text, allowed=allowed
        )

    return parse


def _guess(text: str, words: Mapping[str, Any]) -> str:
    from difflib import get_close_matches

    spelled = {word.upper(): word for word in words}
    close = get_close_matches(text[:100].upper(), spelled, n=1)
    return f" (did you mean {spelled[close[0]]}?)" if close else ""


def _decimal(name: str, value: object, allowed: str) -> Decimal:
    """Return the number exactly as it was written."""
    if isinstance(value, float):
        value = repr(value)
    text = str(value).strip() if isinstance(value, str | Decimal) else ""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _INT64:
        text = str(value)
    if len(text) > MAX_NUMBER_TEXT or not _NUMBER.fullmatch(text):
        raise BadField(name, f"found {shown(value)}, allowed: {allowed}", value=value, allowed=allowed)
    return Decimal(text)


def _price(name: str, value: object) -> Price:
    number = _decimal(name, value, _PRICE_ALLOWED)
    if not MIN_PRICE <= number <= MAX_PRICE:
        raise BadField(name, f"found {shown(value)}, allowed: {_PRICE_ALLOWED}", value=value, allowed=_PRICE_ALLOWED)
    return Price(number)


def _prices(name: str, value: object) -> tuple[Price, ...]:
    """Return the prices of a list, of one number, or of text with ``;``, ``|`` or spaces between them."""
    if isinstance(value, str):
        value = re.split(r"[;|\s]+", value.strip()) if len(value) <= MAX_TEXT * 5 else [value]
    items = list(value) if isinstance(value, list | tuple) else [value]
    allowed = f"1 to {MAX_TARGETS} prices"
    if not 1 <= len(items) <= MAX_TARGETS:
        raise BadField(name, f"found {len(items)}, allowed: {allowed}", value=len(items), allowed=allowed)
    return tuple(_price(f"{name}[{number}]", item) for number, item in enumerate(items))


def _confidence(name: str, value: object) -> Decimal:
    allowed = "a number from 0 to 1"
    number = _decimal(name, value, allowed)
    if not 0 <= number <= 1:
        raise BadField(name, f"found {shown(value)}, allowed: {allowed}", value=value, allowed=allowed)
    return number


def _label(name: str, value: object) -> str:
    allowed = f"printable text of up to {MAX_TEXT} characters"
    text = _text(name, value, allowed)
    if len(text) > MAX_TEXT or not text.isprintable():
        raise BadField(name, f"found {shown(text)}, allowed: {allowed}", value=text, allowed=allowed)
    return text


def _signal_id(name: str, value: object) -> str:
    allowed = "up to 64 letters, digits and . _ : -"
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _INT64 else value
    text = _text(name, text, allowed)
    if not re.fullmatch(_SIGNAL_ID, text, re.ASCII):
        raise BadField(name, f"found {shown(text)}, allowed: {allowed}", value=text, allowed=allowed)
    return text


def _moment(name: str, value: object) -> datetime:
    """Return an aware UTC time; one without an offset is refused, for nobody knows which it is."""
    found = value if isinstance(value, datetime) else _iso(name, _text(name, value, _TIME_ALLOWED))
    if found.tzinfo is None:
        raise BadField(
            name,
            f"found {shown(str(value))} without an offset from UTC: write {found.isoformat()}Z if it is UTC, "
            f"or {found.isoformat()}-05:00 with your own offset; or set signals.zone",
            value=str(value),
            allowed=_TIME_ALLOWED,
        )
    try:
        return found.astimezone(UTC)
    except (OverflowError, ValueError):
        raise BadField(name, f"found {shown(str(value))}, out of range", value=value, allowed=_TIME_ALLOWED) from None


def _iso(name: str, text: str) -> datetime:
    try:
        day = date.fromisoformat(text[:20])
    except ValueError:
        pass
    else:
        raise BadField(
            name,
            f"found the bare date {day}: add a time and an offset, such as {day}T15:30:00-05:00",
            value=text,
            allowed=_TIME_ALLOWED,
        )
    try:
        return datetime.fromisoformat(text if len(text) <= MAX_NUMBER_TEXT else "")
    except ValueError:
        raise BadField(
            name, f"found {shown(text)}, allowed: {_TIME_ALLOWED}", value=text, allowed=_TIME_ALLOWED
        ) from None


def _expiry(name: str, value: object) -> str:
    allowed = "a date as YYYY-MM-DD"
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    text = value.isoformat() if isinstance(value, date) else _text(name, value, allowed)
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise BadField(name, f"found {shown(text)}, allowed: {allowed}", value=text, allowed=allowed) from None


def _code(pattern: str, allowed: str) -> Callable[[str, Any], str]:
    """Return a parser for a short code in capitals."""

    def parse(name: str, value: object) -> str:
        text = _text(name, value, allowed).upper()
        if not re.fullmatch(pattern, text, re.ASCII):
            raise BadField(name, f"found {shown(text)}, allowed: {allowed}", value=text, allowed=allowed)
        return text

    return parse


def _con_id(name: str, value: object) -> int:
    allowed = "Interactive Brokers' number of the contract, a whole number above 0"
    number = _decimal(name, value, allowed)
    if number != number.to_integral_value() or not 0 < number < _INT64:
        raise BadField(name, f"found {shown(value)}, allowed: {allowed}", value=value, allowed=allowed)
    return int(number)


def _metadata(name: str, value: object) -> dict[str, str | int | float | bool | None]:
    """Return flat facts; in a CSV cell they stand as a JSON object."""
    allowed = f"up to {MAX_METADATA_KEYS} names with a text, a number, true, false or null"
    if isinstance(value, str):
        value = _json_cell(value)
    if not isinstance(value, Mapping) or len(value) > MAX_METADATA_KEYS:
        raise BadField(name, f"found {shown(value)}, allowed: {allowed}", value=value, allowed=allowed)
    return {_label(name, key): _fact(f"{name}.{shown(key)[1:-1]}", item, allowed) for key, item in value.items()}


def _option_rule(name: str, value: object) -> OptionRule:
    """Return the rule that chooses a contract; in a CSV cell it stands as a JSON object."""
    allowed = "days to expiry, and perhaps a delta, such as {dte: 30-45, delta: 0.40}"
    if isinstance(value, str):
        value = _json_cell(value)
    if not isinstance(value, Mapping) or not set(value) <= {"dte", "delta"}:
        raise BadField(name, f"found {shown(value)}, allowed: {allowed}", value=value, allowed=allowed)
    try:
        days = str(value.get("dte", OptionRule().dte)).strip()
        read_days(days)
    except ValueError:
        raise BadField(f"{name}.dte", f"found {shown(value['dte'])}, allowed: {allowed}", allowed=allowed) from None
    delta = None if value.get("delta") is None else _decimal(f"{name}.delta", value["delta"], allowed)
    if delta is not None and not 0 < delta < 1:
        raise BadField(f"{name}.delta", f"found {shown(value['delta'])}, allowed: above 0, below 1", allowed=allowed)
    return OptionRule(dte=days, delta=delta)


def _json_cell(text: str) -> object:
    import json

    try:
        return json.loads(text) if len(text) <= MAX_METADATA_TEXT * MAX_METADATA_KEYS else text
    except (ValueError, RecursionError, MemoryError):
        return text


def _fact(name: str, value: object, allowed: str) -> str | int | float | bool | None:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str) and len(value) <= MAX_METADATA_TEXT and _is_clean(value):
        return value
    if isinstance(value, int) and -_INT64 <= value < _INT64:
        return value
    is_number = value.is_finite() if isinstance(value, Decimal) else isinstance(value, float)
    if isinstance(value, Decimal | float) and is_number and math.isfinite(number := float(value)):
        return number
    raise BadField(name, f"found {shown(value)}, allowed: {allowed}", value=value, allowed=allowed)


def _is_clean(text: str) -> bool:
    """Return whether *text* is free of control characters (line breaks and tabs aside) and half surrogates."""
    return text.translate({9: None, 10: None, 13: None}).isprintable()


PARSERS: dict[str, tuple[Callable[[str, Any], Any], bool]] = {
    "symbol": (_symbol, True),
    "signal_id": (_signal_id, False),
    "signal_type": (_word({kind.value: kind for kind in SignalType}), True),
    "entry_price": (_price, True),
    "stop_loss": (_price, True),
    "target_price": (_price, False),
    "target_prices": (_prices, False),
    "market_type": (_word({kind.value: kind for kind in MarketType}), False),
    "confidence": (_confidence, False),
    "strategy": (_label, False),
    "source": (_label, False),
    "timestamp": (_moment, False),
    "expires_at": (_moment, False),
    "expiry": (_expiry, False),
    "strike": (_price, False),
    "right": (_word(_RIGHTS), False),
    "multiplier": (_price, False),
    "trading_class": (_code(_CLASS, "the class of an option, such as SPXW"), False),
    "currency": (_code(_CURRENCY, "a currency such as USD"), False),
    "exchange": (_code(_EXCHANGE, "an exchange such as SMART or IBIS"), False),
    "primary_exchange": (_code(_EXCHANGE, "an exchange such as NYSE or IBIS"), False),
    "con_id": (_con_id, False),
    "metadata": (_metadata, False),
    "option": (_option_rule, False),
}
"""Field -> its parser and whether every row needs it."""
