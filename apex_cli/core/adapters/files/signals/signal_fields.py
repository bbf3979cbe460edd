"""The fields of a signal row: one strict parser each, from JSON, YAML or CSV values to ours."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from apex_cli.core.model.currency import HUNDREDTHS
from apex_cli.core.model.instrument import MarketType, OptionRight
from apex_cli.core.model.money import Price
from apex_cli.core.model.option_rule import OptionRule, read_days
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.signal import SignalType
from apex_cli.core.model.spelling import in_capitals
from apex_cli.core.text.cells import exact
from apex_cli.core.text.problems import Refused, key_name, shown, suggest

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

_SYMBOL = r"[.$A-Z0-9](?:[A-Z0-9 ./:'@$(),=_-]{0,46}[A-Z0-9)])?"
_EXCHANGE = r"[A-Z0-9._ ]{1,20}"
_CLASS = r"[A-Z0-9 .]{1,12}"
_CURRENCY = r"[A-Z]{3}"
_SIGNAL_ID = r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}"
_INT64 = 2**63
_RIGHTS = {"C": OptionRight.CALL, "CALL": OptionRight.CALL, "P": OptionRight.PUT, "PUT": OptionRight.PUT}
_PRICE_ALLOWED = "a number above 0 and up to 1000000000"
_TIME_ALLOWED = "a time such as 2026-03-02T15:30:00-05:00"
_SYMBOL_ALLOWED = "a ticker, pair or option contract of 48 characters at most (in quotes if it looks like a number)"
_LABEL_ALLOWED = f"printable text of up to {MAX_TEXT} characters"
_FACTS_ALLOWED = f"up to {MAX_METADATA_KEYS} names with a text, a number, true, false or null"
_RULE_ALLOWED = "days to expiry, and perhaps a delta, such as {dte: 30-45, delta: 0.40}"


def refusal(field: str, message: str, *, value: object = None, allowed: str | None) -> Reason:
    """Return why a signal cannot be used: what is wrong with *field*, what was found and what is allowed."""
    found = None if value is None else shown(value)
    return Reason(code=SIGNAL_INVALID, message=f"{field}: {message}", limit=allowed, value=found)


def read_field(name: str, value: object, into: dict[str, Any], reasons: list[Reason], *, key: str = "") -> None:
    """Put the value of the field *name* into a mapping, or why it cannot be used into *reasons*.

    *key* is where the value stands, for the refusal; empty: under its name.
    """
    try:
        into[name] = PARSERS[name][0](value)
    except Refused as refused:
        where = f"{key or name}{refused.at}"
        found = value if refused.part is None else refused.part
        reasons.append(refusal(where, refused.sentence(value), value=found, allowed=refused.allowed))


def unknown_field(name: object, value: object) -> Reason:
    """Return the refusal of a field that no signal has, with the name that was probably meant."""
    guess = suggest(name, FIELDS)
    hint = f"did you mean {guess}?" if guess else "put extra facts into metadata"
    return refusal(shown(name), f"no such field; {hint}", value=value, allowed=", ".join(FIELDS))


def _text(value: object, allowed: str) -> str:
    if not isinstance(value, str):
        raise Refused(allowed)
    return value.strip()


def _symbol(value: object) -> str:
    text = _text(value, _SYMBOL_ALLOWED)
    symbol = in_capitals(text) if text.isascii() else ""
    if not re.fullmatch(_SYMBOL, symbol, re.ASCII):
        raise Refused(_SYMBOL_ALLOWED)
    return symbol


def _word(words: Mapping[str, Any]) -> Callable[[Any], Any]:
    """Return a parser for one of *words*, in capitals or not."""
    allowed = ", ".join(words)
    folded = {word.upper(): meaning for word, meaning in words.items()}

    def parse(value: object) -> Any:  # noqa: ANN401 - one parser per field, one type each
        text = _text(value, allowed)
        found = folded.get(text.upper()) if text.isascii() else None
        if found is None:
            guess = suggest(text, words, cutoff=0.6)
            meant = f" (did you mean {guess}?)" if guess else ""
            raise Refused(allowed, f"found {shown(text)}{meant}, allowed: {allowed}")
        return found

    return parse


def _decimal(value: object, allowed: str) -> Decimal:
    """Return the number exactly as it was written."""
    is_number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    is_sane = not isinstance(value, int) or abs(value) < _INT64
    text = str(value) if is_number and is_sane else value if isinstance(value, str) else ""
    number = exact(text.strip()) if len(text.strip()) <= MAX_NUMBER_TEXT else None
    if number is None:
        raise Refused(allowed)
    return number


def _price(value: object) -> Price:
    number = _decimal(value, _PRICE_ALLOWED)
    if not MIN_PRICE <= number <= MAX_PRICE:
        raise Refused(_PRICE_ALLOWED)
    return Price(number)


def _prices(value: object) -> tuple[Price, ...]:
    """Return the prices of a list, of one number, or of text with ``;``, ``|`` or spaces between them."""
    if isinstance(value, str):
        value = re.split(r"[;|\s]+", value.strip()) if len(value) <= MAX_TEXT * 5 else [value]
    items = list(value) if isinstance(value, list | tuple) else [value]
    if not 1 <= len(items) <= MAX_TARGETS:
        allowed = f"1 to {MAX_TARGETS} prices"
        raise Refused(allowed, f"found {len(items)}, allowed: {allowed}")
    return tuple(_part(f"[{number}]", _price, item) for number, item in enumerate(items))


def _part(at: str, parse: Callable[[Any], Any], value: object) -> Any:  # noqa: ANN401 - as the parser returns
    """Return what *parse* makes of a part of a field; a refusal says which part."""
    try:
        return parse(value)
    except Refused as refused:
        raise Refused(refused.allowed, refused.sentence(value), at=at, part=value) from None


def _confidence(value: object) -> Decimal:
    allowed = "a number from 0 to 1"
    number = _decimal(value, allowed)
    if not 0 <= number <= 1:
        raise Refused(allowed)
    return number


def _label(value: object) -> str:
    text = _text(value, _LABEL_ALLOWED)
    if len(text) > MAX_TEXT or not text.isprintable():
        raise Refused(_LABEL_ALLOWED)
    return text


def _signal_id(value: object) -> str:
    allowed = "up to 64 letters, digits and . _ : -"
    is_number = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _INT64
    text = _text(str(value) if is_number else value, allowed)
    if not re.fullmatch(_SIGNAL_ID, text, re.ASCII):
        raise Refused(allowed)
    return text


def _moment(value: object) -> datetime:
    """Return an aware UTC time; one without an offset is refused, for nobody knows which it is."""
    found = value if isinstance(value, datetime) else _iso(_text(value, _TIME_ALLOWED))
    if found.tzinfo is None:
        raise Refused(
            _TIME_ALLOWED,
            f"found {shown(value)} without an offset from UTC: write {found.isoformat()}Z if it is UTC, "
            f"or {found.isoformat()}-05:00 with your own offset; or set signals.zone",
        )
    try:
        return found.astimezone(UTC)
    except (OverflowError, ValueError):
        raise Refused(_TIME_ALLOWED, f"found {shown(value)}, out of range") from None


def _iso(text: str) -> datetime:
    if (day := _day(text[:20])) is not None:
        found = f"found the bare date {day}: add a time and an offset, such as {day}T15:30:00-05:00"
        raise Refused(_TIME_ALLOWED, found)
    try:
        return datetime.fromisoformat(text if len(text) <= MAX_NUMBER_TEXT else "")
    except ValueError:
        raise Refused(_TIME_ALLOWED) from None


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _expiry(value: object) -> str:
    allowed = "a date as YYYY-MM-DD"
    is_number = isinstance(value, int) and not isinstance(value, bool)
    day = value if isinstance(value, date) else _day(_text(str(value) if is_number else value, allowed))
    if day is None:
        raise Refused(allowed)
    return day.isoformat()


def _code(pattern: str, allowed: str) -> Callable[[Any], str]:
    """Return a parser for a short code in capitals."""

    def parse(value: object) -> str:
        text = _text(value, allowed).upper()
        if not re.fullmatch(pattern, text, re.ASCII):
            raise Refused(allowed)
        return text

    return parse


def _currency(value: object) -> str:
    """Return a currency; ``GBp`` is pence, which differs from pounds by its small letter alone, as Yahoo writes it."""
    known = HUNDREDTHS.get(value.strip()) if isinstance(value, str) else None
    return known or _code(_CURRENCY, "a currency such as USD")(value)


def _con_id(value: object) -> int:
    allowed = "Interactive Brokers' number of the contract, a whole number above 0"
    number = _decimal(value, allowed)
    if number != number.to_integral_value() or not 0 < number < _INT64:
        raise Refused(allowed)
    return int(number)


def _metadata(value: object) -> dict[str, str | int | float | bool | None]:
    """Return flat facts; in a CSV cell they stand as a JSON object."""
    facts = _mapping(value, _FACTS_ALLOWED)
    if len(facts) > MAX_METADATA_KEYS:
        raise Refused(_FACTS_ALLOWED)
    return {_label(key): _part(f".{key_name(key)}", _fact, item) for key, item in facts.items()}


def _option_rule(value: object) -> OptionRule:
    """Return the rule that chooses a contract; in a CSV cell it stands as a JSON object."""
    rule = _mapping(value, _RULE_ALLOWED)
    if not set(rule) <= {"dte", "delta"}:
        raise Refused(_RULE_ALLOWED)
    days = _part(".dte", _days, rule.get("dte", OptionRule().dte))
    return OptionRule(dte=days, delta=None if rule.get("delta") is None else _part(".delta", _delta, rule["delta"]))


def _days(value: object) -> str:
    try:
        read_days(days := str(value).strip())
    except ValueError:
        raise Refused(_RULE_ALLOWED) from None
    return days


def _delta(value: object) -> Decimal:
    delta = _decimal(value, _RULE_ALLOWED)
    if not 0 < delta < 1:
        raise Refused("above 0, below 1")
    return delta


def _mapping(value: object, allowed: str) -> Mapping[Any, object]:
    """Return a mapping, or the one that a JSON object in a cell stands for."""
    from apex_cli.core.text.json_text import parse_json

    if isinstance(value, str) and len(value) <= MAX_METADATA_TEXT * MAX_METADATA_KEYS:
        try:
            value = parse_json(value, dict)
        except ValueError:
            raise Refused(allowed) from None
    if not isinstance(value, Mapping):
        raise Refused(allowed)
    return value


def _fact(value: object) -> str | int | float | bool | None:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str) and len(value) <= MAX_METADATA_TEXT and _is_clean(value):
        return value
    if isinstance(value, int) and -_INT64 <= value < _INT64:
        return value
    is_number = value.is_finite() if isinstance(value, Decimal) else isinstance(value, float)
    if isinstance(value, Decimal | float) and is_number and math.isfinite(number := float(value)):
        return number
    raise Refused(_FACTS_ALLOWED)


def _is_clean(text: str) -> bool:
    """Return whether *text* is free of control characters (line breaks and tabs aside) and half surrogates."""
    return text.translate({9: None, 10: None, 13: None}).isprintable()


PARSERS: dict[str, tuple[Callable[[Any], Any], bool]] = {
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
    "currency": (_currency, False),
    "exchange": (_code(_EXCHANGE, "an exchange such as SMART or IBIS"), False),
    "primary_exchange": (_code(_EXCHANGE, "an exchange such as NYSE or IBIS"), False),
    "con_id": (_con_id, False),
    "metadata": (_metadata, False),
    "option": (_option_rule, False),
}
"""Field -> its parser and whether every row needs it."""
