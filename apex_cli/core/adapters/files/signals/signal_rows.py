"""One row of a signal file to a ``Signal``, or to the reason why it cannot be one.

Only the form is judged here: a stop on the wrong side is well-formed, and the decision refuses it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from apex_cli.core.adapters.files.signals.alerts import DEFAULT_FORM, SignalForm, read_alert
from apex_cli.core.adapters.files.signals.signal_fields import (
    IDENTITY_FIELDS,
    PARSERS,
    SIGNAL_INVALID,
    read_field,
    refusal,
    unknown_field,
)
from apex_cli.core.model.instrument import MarketType, OptionRight
from apex_cli.core.model.option_rule import OptionRule
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.records import RejectedRow
from apex_cli.core.model.signal import OPTION_RIGHTS, Signal, word_problem
from apex_cli.core.model.spelling import FOREIGN_EXCHANGES, Hints, SpellingError, canonical, named
from apex_cli.core.text.problems import shown

MAX_REASONS = 5
"""Problems of one row that its reason reports; the others are counted."""


def parse_row(
    row: Mapping[str, object], *, now: datetime, where: str, max_age: timedelta, form: SignalForm = DEFAULT_FORM
) -> Signal | RejectedRow:
    """Return the signal that *row* describes, or why it describes none. Raises nothing.

    Empty text and None stand for a missing field. Without ``timestamp`` the signal was made *now*;
    without ``expires_at`` it expires *max_age* later; without ``signal_id`` it gets ``content_id(...)``, or one made
    from the key of its delivery.

    Args:
        row: Field name -> value as JSON, YAML or CSV gave it; fractions as Decimal or text.
        now: Time of reading, aware UTC.
        where: File and line, for the reader of the reason.
        max_age: How long a signal without ``expires_at`` is good for.
        form: How the configuration wants signals to be read.
    """
    alert = read_alert(row, now, form)
    reader = _RowReader(
        alert.fields, form.option, named=content_id({"key": form.key, "row": where}) if form.key else ""
    )
    reader.reasons.extend(alert.reasons)
    signal = reader.read(now.astimezone(UTC), max_age)
    if signal is not None:
        return signal
    return RejectedRow(
        where=where,
        symbol=reader.found.get("symbol") or "",
        signal_id=reader.found.get("signal_id") or "",
        reason=_joined(reader.reasons),
    )


def rejected(where: str, message: str, *, limit: str | None = None, value: object = None) -> RejectedRow:
    """Return the refusal of something that is not even a row."""
    found = None if value is None else shown(value)
    return RejectedRow(where=where, reason=Reason(code=SIGNAL_INVALID, message=message, limit=limit, value=found))


def content_id(fields: Mapping[str, object]) -> str:
    """Return the first 26 hexadecimal digits of the SHA-256 of *fields*: same content, same id.

    Where it came from does not count, nor how a number is written: 50, 50.0 and "50.00" are one price.
    """
    lines = [f"{name}={_canonical(value)}" for name, value in sorted(fields.items()) if name != "source"]
    return hashlib.sha256("\n".join(lines).encode("utf-8", "backslashreplace")).hexdigest()[:26]


def _joined(reasons: Sequence[Reason]) -> Reason:
    """Make one reason of all: limit and value are those of the first."""
    reported = "; ".join(reason.message for reason in reasons[:MAX_REASONS])
    more = len(reasons) - MAX_REASONS
    first = reasons[0]
    message = f"{reported}; and {more} more" if more > 0 else reported
    return Reason(code=SIGNAL_INVALID, message=message, limit=first.limit, value=first.value)


def _canonical(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{value.normalize():f}"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        return ",".join(_canonical(item) for item in value)
    if isinstance(value, Mapping):
        return repr(sorted((str(name), repr(item)) for name, item in value.items()))
    return str(value)


class _RowReader:
    """Reads the fields of one row and collects what is wrong with them."""

    __slots__ = ("fields", "found", "named", "reasons", "rule")

    def __init__(self, fields: Mapping[str, object], rule: OptionRule | None, *, named: str) -> None:
        self.rule = rule
        self.named = named
        self.fields = fields
        self.found: dict[str, Any] = {}
        self.reasons: list[Reason] = []

    def read(self, now: datetime, max_age: timedelta) -> Signal | None:
        """Return the signal, or None with ``reasons``."""
        strange = [name for name in self.fields if name not in PARSERS]
        self.reasons += [unknown_field(name, self.fields[name]) for name in strange[:MAX_REASONS]]
        reported = {reason.message.partition(":")[0] for reason in self.reasons}
        for name, (_, required) in PARSERS.items():
            if name in self.fields:
                read_field(name, self.fields[name], self.found, self.reasons)
            elif required and name not in reported:
                self.reasons.append(refusal(name, "it is missing", allowed="every signal has one"))
        if not self.reasons:
            self._relations()
        return None if self.reasons else self._signal(now, max_age)

    def _relations(self) -> None:
        """Check what two fields say together."""
        found = self.found
        if "target_price" in found and "target_prices" in found:
            self._refuse("target_price", "it is given together with target_prices", "one of the two")
        if "timestamp" in found and "expires_at" in found and found["expires_at"] <= found["timestamp"]:
            self._refuse("expires_at", "it is not after timestamp", "a later time")
        self._identify()

    def _identify(self) -> None:
        """Find out which security is meant, and whether the signal's type fits it."""
        found, kind = self.found, self.found["signal_type"]
        named = self._named()
        if self.reasons:
            return
        if self._refuse_terms(found.get("market_type", MarketType.OPTIONS)):
            return
        right = OPTION_RIGHTS.get(kind)
        if self._is_by_rule(named):
            found["market_type"] = MarketType.OPTIONS
        try:
            instrument = canonical(found["symbol"], _hints(found, named, right))
        except SpellingError as error:
            where = error.field if error.field in self.fields else "symbol"
            is_contradiction = right is not None and error.field == "right"
            self._refuse(where, f"{error}: it contradicts {kind}" if is_contradiction else str(error), "one security")
            return
        if self._refuse_terms(instrument.market_type):
            return
        if problem := word_problem(kind, instrument):
            self._refuse("signal_type", problem, "market_type: options with expiry, strike and right")
        found["instrument"] = instrument

    def _is_by_rule(self, named: Mapping[str, Any]) -> bool:
        """Return whether a rule chooses the contract; keep the rule of the configuration where the row has none."""
        found = self.found
        names_contract = bool({"expiry", "strike", "con_id"} & set(named)) or _names_option(found["symbol"])
        if "option" in found and (names_contract or found["signal_type"] not in OPTION_RIGHTS):
            allowed = "a word such as LONG_CALL without expiry and strike"
            self._refuse("option", "a rule chooses a contract, and none is to be chosen here", allowed)
            return False
        is_free = found.get("market_type", MarketType.OPTIONS) is MarketType.OPTIONS and not names_contract
        if "option" not in found and self.rule is not None and found["signal_type"] in OPTION_RIGHTS and is_free:
            found["option"] = self.rule
        return "option" in found

    def _refuse_terms(self, market: MarketType) -> bool:
        """Refuse the terms of an option beside anything else; True when there were some."""
        terms = [name for name in ("expiry", "strike", "right") if name in self.found]
        if market is MarketType.OPTIONS or not terms:
            return False
        for name in terms:
            self._refuse(name, "only an option has one", "market_type: options")
        return True

    def _named(self) -> dict[str, Any]:
        """Return the fields that say which security is meant; what a row does not say itself its metadata may."""
        found = self.found
        named = {name: found[name] for name in IDENTITY_FIELDS if name in found}
        for name in IDENTITY_FIELDS:
            value = found.get("metadata", {}).get(name)
            if value in (None, "") or not self._counts(name):
                continue
            reported: dict[str, Any] = {}
            read_field(name, value, reported, self.reasons, key=f"metadata.{name}")
            if reported and named.setdefault(name, reported[name]) != reported[name]:
                self._refuse(name, f"metadata says {shown(value)}", "the same in both places")
        return named

    def _counts(self, name: str) -> bool:
        """Return whether a fact of the metadata is about this security: an option's terms are only an option's."""
        if name not in {"expiry", "strike", "right", "multiplier", "trading_class"}:
            return True
        is_option_word = self.found["signal_type"] in OPTION_RIGHTS
        return self.found.get("market_type", MarketType.OPTIONS if is_option_word else None) is MarketType.OPTIONS

    def _refuse(self, name: str, message: str, allowed: str) -> None:
        self.reasons.append(refusal(name, message, value=self.fields[name], allowed=allowed))

    def _signal(self, now: datetime, max_age: timedelta) -> Signal:
        found = self.found
        entry = found["entry_price"]
        targets = (found["target_price"],) if "target_price" in found else found.get("target_prices", ())
        created_at = found.get("timestamp", now)
        content = {name: value for name, value in found.items() if name != "instrument"}
        return Signal(
            signal_id=found.get("signal_id") or self.named or content_id(content),
            instrument=found["instrument"],
            signal_type=found["signal_type"],
            entry_price=entry,
            stop_loss=found["stop_loss"],
            target_prices=tuple(sorted(targets, key=lambda target: abs(target - entry))),
            confidence=found.get("confidence"),
            strategy=found.get("strategy", ""),
            source=found.get("source", ""),
            created_at=created_at,
            expires_at=found.get("expires_at") or _later(created_at, max_age),
            metadata=found.get("metadata", {}),
            option=found.get("option"),
        )


def _names_option(symbol: str) -> bool:
    found = named(symbol)
    return found is not None and found.market_type is MarketType.OPTIONS


def _hints(found: Mapping[str, Any], named: Mapping[str, Any], right: OptionRight | None) -> Hints:
    """Return what the fields of a row say of the security beside its symbol; *right* is what the signal's type says."""
    market = found.get("market_type")
    strike = named.get("strike")
    is_option = market is MarketType.OPTIONS or (market is None and "strike" in named)
    exchange = named.get("primary_exchange") or named.get("exchange", "")
    if "primary_exchange" not in named and exchange not in FOREIGN_EXCHANGES:
        exchange = ""
    return Hints(
        market_type=market,
        currency=named.get("currency", ""),
        exchange=exchange,
        expiry=named.get("expiry"),
        strike=strike,
        right=named.get("right") or (right if is_option else None),
        trading_class=named.get("trading_class", ""),
        multiplier=named.get("multiplier"),
        con_id=named.get("con_id", 0),
    )


def _later(moment: datetime, span: timedelta) -> datetime:
    """Return *moment* + *span*, at the end of the calendar its last moment."""
    try:
        return moment + span
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC)
