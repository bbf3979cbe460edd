"""The words of alerts and spreadsheets, to the fields of a signal.

Alerts of TradingView, TradersPost and their kin, exports in camelCase or capitals, and columns such as ``Entry``,
``Stop`` and ``Target`` say what a signal needs, in other words. Here they are put into ours; judging them is left to
``signal_rows``. A quantity is left aside: apex sizes by itself. Secrets of a webhook are dropped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

from apex_cli.core.adapters.files.signals.signal_fields import FIELDS, refusal
from apex_cli.core.market.calendar import FRIDAY, SATURDAY
from apex_cli.core.model.option_rule import OptionRule
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.side import OrderSide
from apex_cli.core.model.vendor_marks import PREFIXES, TSE, UNTRADED
from apex_cli.core.text.cells import (
    decimal_proof,
    find_decimals,
    find_order,
    fraction,
    is_nothing,
    number,
    order_proof,
    read_clock,
    read_when,
    read_zone,
    two_readings,
)
from apex_cli.core.text.problems import shown
from apex_cli.core.text.text_table import plain_name

CONFIDENCE = ("confidence", "conf", "probability", "winprobability", "conviction")
PERCENT = ("%", "pct", "percent", "percentage")
"""How the name of a column ends that holds percentages."""

KNOWN: Mapping[str, tuple[str, ...]] = {
    "symbol": ("symbol", "ticker", "instrument", "pair", "security", "stock", "asset"),
    "signal_type": (
        "signaltype", "signal", "side", "action", "direction", "orderaction", "buysell", "orderside", "position",
        "tradeaction", "tradetype", "type",
    ),
    "entry_price": (
        "entryprice", "entry", "price", "signalprice", "limitprice", "entrylimit", "buyprice", "limit",
        "orderprice", "close",
    ),
    "stop_loss": (
        "stoploss", "stop", "sl", "stopprice", "slprice", "stoplossprice", "initialstop", "protectivestop", "stoplevel",
        *(f"{word}{unit}" for unit in PERCENT for word in ("stoploss", "stop", "sl")),
    ),
    "target_price": (
        "targetprice", "target", "takeprofit", "tp", "tpprice", "takeprofitprice", "profittarget", "pricetarget", "tp1",
        "t1", "target1", "takeprofit1",
        *(f"{word}{unit}" for unit in PERCENT for word in (
            "targetprice", "target", "takeprofit", "tp", "profittarget", "tp1", "target1", "takeprofit1",
        )),
    ),
    "target_prices": ("targetprices", "targets", "takeprofits", "tps"),
    "confidence": (
        *CONFIDENCE,
        *(f"{word}{between}{unit}" for word in CONFIDENCE for between in ("", "in") for unit in PERCENT),
        *(f"%{word}" for word in CONFIDENCE),
    ),
    "strategy": ("strategy", "strategyname", "strategyid", "system", "setup"),
    "source": ("source", "sender", "provider"),
    "timestamp": ("timestamp", "time", "datetime", "date", "createdat", "signaltime", "timenow", "alerttime",
        "signaldate", "alertdate", "created", "sentat", "triggeredat", "firedat", "ts",
    ),
    "expires_at": ("expiresat", "expires", "validuntil", "goodtill", "goodtilldate"),
    "signal_id": ("signalid", "alertid", "id", "uuid", "uid"),
    "market_type": ("markettype", "assetclass", "assettype", "instrumenttype", "securitytype"),
    "expiry": ("expiry", "expiration", "expirationdate", "exp"),
    "strike": ("strike", "strikeprice"),
    "right": ("right", "optiontype", "callput", "putcall"),
    "multiplier": ("multiplier",),
    "trading_class": ("tradingclass",),
    "currency": ("currency", "ccy"),
    "primary_exchange": ("primaryexchange",),
    "con_id": ("conid",),
    "metadata": ("metadata", "meta"),
}  # fmt: skip
"""Our field -> ``plain_name`` of its spellings, the likeliest first."""

BY_SPELLING = {spelling: ours for ours, spellings in KNOWN.items() for spelling in spellings}
EXACT = frozenset(FIELDS)
MORE_TARGETS = tuple(
    f"{word}{count}{unit}"
    for count in range(2, 6)
    for word in ("tp", "t", "target", "takeprofit")
    for unit in ("", *PERCENT)
)
ASIDE = frozenset({
    "quantity", "qty", "lots", "shares", "contracts", "size", "positionsize", "amount", "quantitytype", "sentiment",
    "ordertype", "type", "marketposition", "position", "marketpositionsize", "prevmarketposition", "comment", "orderid",
    "prevmarketpositionsize", "strategyordercomment", "interval", "timeframe", "exchange", "volume",
    "open", "high", "low",
})  # fmt: skip
"""Names that alerts carry beside a signal: kept as facts, without a word."""

CONTAINERS = frozenset({"strategy", "order", "alert", "signal", "payload", "bar", "data", "trade"})
"""Names under which alerts keep parts of themselves together."""

LEVEL_PRICES = ("stopprice", "limitprice", "price", "value", "level")
SECRETS = frozenset({"secret", "passphrase", "password", "token", "key", "apikey", "auth", "webhooksecret", "pin"})
"""Names, or ends of names, that a webhook proves itself by: never kept."""

_BUYS = frozenset({
    "buy", "long", "enterlong", "entrylong", "longentry", "buytoopen", "buylong", "bullish", "b", "l", "bto",
    "openlong", "golong",
})  # fmt: skip
_SELLS = frozenset({
    "sell", "short", "entershort", "entryshort", "shortentry", "sellshort", "selltoopen", "bearish", "s", "ss", "sto",
    "openshort", "goshort",
})  # fmt: skip
_EXITS = frozenset({
    "exit", "close", "flat", "flatten", "cancel", "exitlong", "exitshort", "closelong", "closeshort", "selltoclose",
    "buytoclose", "buytocover", "cover", "btc", "stc", "btcov", "reverse", "add", "none", "hold", "neutral",
})  # fmt: skip
_LEAVES = _EXITS - {"none", "neutral", "hold", "add", "reverse", "cancel"}
"""Words that leave a position whichever column of a side they stand in."""

_NOTHING_LEFT = frozenset({"positionsize", "marketpositionsize"})
_REDUCES = frozenset({"reduceonly", "closeonly", "closeposition"})
_EFFECTS = frozenset({"positioneffect", "effect", "openclose", "intent"})
_REMARKS = frozenset({"comment", "orderid", "ordercomment", "alertmessage", "strategyordercomment", "strategyorderid"})
_LEAVING_REMARK = r"\s*(?:exit\b|flatten\b|close (?:entry|entries|position|long|short|all)\b)"
"""What other fields say of an order that leaves a position: none is left, it only reduces, or a remark says so.

Source: {{strategy.market_position_size}} and the others, https://www.tradingview.com/support/solutions/43000531021;
``strategy.close`` of Pine calls its orders "Close entry(s) order" and "Close position order".
"""

_WAITS = frozenset({"stop", "stoplimit", "stopmarket", "stp", "stplmt"})
"""Types of orders whose own stop price is what the entry waits for, and no stop loss.

Source: ``orderType`` and ``stopPrice``, https://docs.traderspost.io, Webhooks.
"""

_MARKETS = {
    "stock": "equity", "stocks": "equity", "equities": "equity", "us_equity": "equity", "etf": "equity",
    "option": "options", "fx": "forex", "cryptocurrency": "crypto", "coin": "crypto",
}  # fmt: skip
_SIDES = frozenset(KNOWN["signal_type"])
_AFTER = ("sentiment", "marketposition", "position")
"""Names under which alerts say which position is left after the order."""

_OPPOSITE = {OrderSide.BUY: {"bearish", "short"}, OrderSide.SELL: {"bullish", "long"}}
_PERPETUAL = r"[A-Z0-9]{2,12}(?:USDT?|USDC|BUSD)\.P"
_PERCENT = r"[+-]?[0-9]{1,3}(?:[.,][0-9]+)? ?%"
_LIST = r"\s*[;|/]\s*|,\s+|\s+(?=[$\d])"
_EXCHANGE = r"[A-Z]{2,12}(?:_[A-Z]+)?:(?=[A-Z0-9])"
_PERCENT_FIELDS = ("stop_loss", "target_price", "confidence")
_PRICES = ("entry_price", "stop_loss", "target_price", "strike")
LEAST_PERCENT = Decimal("0.1")
"""Nearest stop or target in percent: 0.02 may mean 2 %, and a stop that near would make a position of any size."""

MOST_FACTS = 50
MOST_SLIP = 2
"""Letters in which a name may differ from ours and still be a slip."""

SHORT = 5
"""Letters of a name in which a single one may differ: ``bot_id`` is no slip of ``con_id``."""


class SignalForm(NamedTuple):
    """How the configuration wants signals to be read."""

    strict: str = "typos"
    """``on`` refuses every unknown name, ``typos`` those near a known one, ``off`` none."""

    zone: str = ""
    """Time zone of times that name none; empty: such times are refused."""

    dates: str = ""
    """What 07/08/2026 means: mdy, dmy, or a form."""

    decimal: str = ""
    """Decimal sign; empty: found out."""

    expiries: str = ""
    """What 07/08/2026 means as an expiry, as the others of the file say; ``?`` where they leave it open."""

    has_percentages: bool = False
    """True where a confidence above 1 says that all that stand below such a name are percentages."""

    columns: Mapping[str, str] = {}
    """Our field -> its name in the file."""

    default_stop: Callable[[str, OrderSide, Decimal, datetime], tuple[Decimal, str] | None] | None = None
    """Returns a stop for a signal without one, and the rule in words; None where it cannot."""

    option: OptionRule | None = None
    """How to choose the contract of an option that names none; None: it is refused."""

    warn: Callable[[str], None] | None = None
    """Hears of names that were not known."""

    key: str = ""
    """What the sender calls this delivery: rows without an id get theirs from it, not from their content."""


DEFAULT_FORM = SignalForm()


class Alert(NamedTuple):
    """One row in our words."""

    fields: dict[str, object]
    reasons: list[Reason]
    """Why it is no signal, as far as the words go."""


def read_alert(row: Mapping[str, object], now: datetime, form: SignalForm) -> Alert:
    """Return *row* in our words."""
    return _Translator(form).read(row, now)


def _is_percent(plain: str) -> bool:
    """Return whether a column of that name holds percentages."""
    return plain.endswith(PERCENT) or plain.startswith("%")


def is_known(name: str) -> bool:
    """Return True for the name of a column that a signal may have."""
    return plain_name(name) in BY_SPELLING


def learned(form: SignalForm, rows: Iterable[Mapping[str, object]], now: datetime) -> SignalForm:
    """Return *form* with what the rows of one file say of each other: the order of expiries, and percentages."""
    mapped = {theirs.strip(): ours for ours, theirs in form.columns.items()}
    expiries: list[str] = []
    has_times = has_percentages = False
    for row in rows:
        for name, value in _flat(row).items():
            plain = plain_name(str(name))
            ours = mapped.get(str(name).strip()) or BY_SPELLING.get(plain, "")
            has_times = has_times or ours == "timestamp"
            if ours == "expiry" and isinstance(value, str):
                expiries.append(value)
            elif ours == "confidence" and _is_percent(plain):
                found = number(str(value), form.decimal or ".")
                has_percentages = has_percentages or (found is not None and found > 1)
    order = expiry_order(expiries, since=None if has_times else now.date()) if expiries else ""
    return form._replace(expiries=order, has_percentages=has_percentages)


def expiry_order(texts: Sequence[str], *, since: date | None = None) -> str:
    """Return the order of month and day in expiries, ``?`` where both remain, an empty text where they differ.

    What proves it: a day above 12 in one of them; that no option expires at a weekend, or before *since*; dots, which
    stand behind days; and last that all of them are Fridays in one order alone.

    >>> [expiry_order([text]) for text in ("12/18/2026", "12/9/2026", "07/08/2026", "10/12/2026")]
    ['mdy', 'mdy', 'dmy', '?']
    """
    proofs = {proof for text in texts if (proof := order_proof(text))}
    if "?" not in proofs or len(proofs) > 1:
        proved = proofs - {"?"}
        return "" if len(proved) > 1 else next(iter(proved), "mdy")
    unclear = [text for text in texts if order_proof(text) == "?"]
    days = {
        order: [when.day for text in unclear if (when := read_when(text, order)) is not None]
        for order in ("mdy", "dmy")
    }
    possible = [
        order
        for order, each in days.items()
        if all(day.weekday() < SATURDAY and (since is None or day >= since) for day in each)
    ]
    likely = find_order(unclear, set_to="").order
    likeliest = [likely] if likely else [each for each in possible if all(d.weekday() == FRIDAY for d in days[each])]
    fitting = possible if len(possible) == 1 else [each for each in likeliest if each in possible]
    return fitting[0] if len(fitting) == 1 else "?"


class _Translator:
    """Puts one row into our words and collects what cannot be put."""

    def __init__(self, form: SignalForm) -> None:
        self.form = form
        self.fields: dict[str, object] = {}
        self.facts: dict[str, object] = {}
        self.reasons: list[Reason] = []
        self.waits = False

    def read(self, row: Mapping[str, object], now: datetime) -> Alert:
        mapped = {theirs.strip(): ours for ours, theirs in self.form.columns.items()}
        ranks: dict[str, int] = {}
        row = _flat(row)
        self.waits = any(
            plain_name(str(name)) in {"ordertype", "type"} and plain_name(str(value)) in _WAITS
            for name, value in row.items()
        )
        self._find_decimals(row)
        for name, value in row.items():
            if value is None or value == "" or self._is_no_price(name, value):
                continue
            self._place(name, value, mapped, ranks)
        self._join_clock()
        self._more_targets()
        self._levels()
        for name, value in list(self.fields.items()):
            self._spell(name, value, now)
        self._refuse_exits(row)
        self._stop_by_rule(now)
        self._keep_facts()
        return Alert(self.fields, self.reasons)

    def _is_no_price(self, name: object, value: object) -> bool:
        """Return True for a target that a chart had no value for: it writes NaN."""
        is_word = isinstance(name, str) and isinstance(value, str)
        return is_word and BY_SPELLING.get(plain_name(str(name))) == "target_price" and is_nothing(str(value))

    def _find_decimals(self, row: Mapping[str, object]) -> None:
        """Let one number of the row decide what ``1,190`` means in another one."""
        if self.form.decimal:
            return
        known = {spelling for ours in (*_PRICES, "target_prices") for spelling in KNOWN[ours]}
        texts = [value for name, value in row.items() if isinstance(value, str) and plain_name(str(name)) in known]
        found = find_decimals(texts)
        if not found.unclear and not found.mixed and any(decimal_proof(text) == found.sign for text in texts):
            self.form = self.form._replace(decimal=found.sign)

    # ---- names ----

    def _place(self, name: object, value: object, mapped: Mapping[str, str], ranks: dict[str, int]) -> None:
        """Put one value under our name; the likelier spelling wins, and the other one becomes a fact."""
        if not isinstance(name, str):
            self.fields[name] = value  # type: ignore[index]  # refused by its name later
            return
        plain = plain_name(name)
        if name in EXACT:
            ours, rank = name, -1
        elif name.strip() in mapped:
            ours, rank = mapped[name.strip()], -2
        else:
            ours = BY_SPELLING.get(plain, "") if not (self.waits and plain == "stopprice") else ""
            rank = KNOWN[ours].index(plain) if ours else 0
        if ours in _PERCENT_FIELDS and _is_percent(plain):
            value = {"percent": value}
        if not ours:
            self._unknown(name, plain, value)
        elif ours not in ranks or rank < ranks[ours]:
            if ours in ranks:
                self.facts[f"also_{ours}"] = self.fields[ours]
            self.fields[ours], ranks[ours] = value, rank
        else:
            self.facts[name.strip()] = value

    def _unknown(self, name: str, plain: str, value: object) -> None:
        """Drop a secret, keep a fact, or refuse a name that is no name of ours, as the configuration says."""
        if plain in SECRETS or plain.endswith(("secret", "passphrase", "password", "token", "apikey")):
            return
        if plain in MORE_TARGETS or plain in ASIDE or plain in BY_SPELLING:
            self.facts[plain] = value
            return
        guess = _slip(plain)
        if self.form.strict == "on" or (guess and self.form.strict != "off"):
            hint = f"did you mean {guess}?" if guess else "put extra facts into metadata, or set signals.strict"
            bad = refusal(shown(name), f"no such field; {hint}", value=value, allowed=", ".join(FIELDS))
            self.reasons.append(bad)
            return
        self.facts[name.strip()[:60]] = value
        if self.form.warn is not None:
            self.form.warn(f"{shown(name)} is no field of a signal and was put into its metadata.")

    def _keep_facts(self) -> None:
        """Put facts into the metadata, as far as they are plain."""
        given = self.fields.get("metadata")
        if not self.facts or not (given is None or isinstance(given, Mapping)):
            return
        plain = {name: value for name, value in self.facts.items() if isinstance(value, str | int | Decimal | bool)}
        room = MOST_FACTS - len(given or {})
        kept = dict(list(plain.items())[: max(room, 0)])
        if kept:
            self.fields["metadata"] = {**kept, **(given or {})}

    # ---- values ----

    def _join_clock(self) -> None:
        """Put a time of day and the date beside it together."""
        clock = self.fields.get("timestamp")
        name = next((name for name in self.facts if plain_name(name) in {"alsotimestamp", "date", "day"}), "")
        day = self.facts.get(name)
        if isinstance(clock, str) and isinstance(day, str) and read_clock(clock) is not None:
            self.fields["timestamp"] = f"{day} {clock}"
            del self.facts[name]

    def _more_targets(self) -> None:
        """Make one list of ``tp1``, ``tp2`` and their kin, and of targets with a price each."""
        if isinstance(self.fields.get("target_price"), list) and "target_prices" not in self.fields:
            self.fields["target_prices"] = self.fields.pop("target_price")
        listed = self.fields.get("target_prices")
        if isinstance(listed, list):
            self.fields["target_prices"] = [_level_price(item) for item in listed]
        more = [
            {"percent": value} if plain.endswith(PERCENT) else value
            for plain in MORE_TARGETS
            if (value := self.facts.pop(plain, None)) is not None
        ]
        if more and "target_prices" not in self.fields:
            first = self.fields.pop("target_price", None)
            self.fields["target_prices"] = [self._price(value) for value in (first, *more) if value is not None]

    def _levels(self) -> None:
        """Take the price out of ``stopLoss: {stopPrice: ...}``, or work it out of a percentage or a distance."""
        for name, sign in (("stop_loss", -1), ("target_price", 1), ("target_prices", 1)):
            given = self.fields.get(name)
            levels = given if isinstance(given, list) else [given]
            found = [self._level(level, sign) for level in levels]
            unread = next((level for level, price in zip(levels, found, strict=True) if price is None), None)
            if unread is not None:
                parts = unread if isinstance(unread, Mapping) else {"percent": unread}
                kinds = ", ".join(map(shown, parts.values() if set(parts) == {"percent"} else parts))
                allowed = "a price, or percent or amount away from the entry"
                self.reasons.append(refusal(name, f"found {kinds}", value=parts, allowed=allowed))
                del self.fields[name]
            elif given is not None:
                self.fields[name] = found if isinstance(given, list) else found[0]

    def _level(self, level: object, sign: int) -> object:
        """Return the price that *level* is or means, None where it means none; what is no level stays as it is."""
        if isinstance(level, str) and re.fullmatch(_PERCENT, level.strip()):
            level = {"percent": level}
        found = _level_price(level)
        if not isinstance(found, Mapping):
            return found
        return self._distant({plain_name(str(key)): value for key, value in found.items()}, sign)

    def _distant(self, parts: Mapping[str, object], sign: int) -> Decimal | None:
        """Return the price that lies a percentage or an amount from the entry, on the side of a loss or of a gain."""
        entry, side = self._number("entry_price"), self._side()
        if entry is None or side is None or str(parts.get("type", "")).lower().startswith("trail"):
            return None
        for name, unit in (
            ("percent", entry / 100),
            ("percentage", entry / 100),
            ("amount", Decimal(1)),
            ("offset", Decimal(1)),
        ):
            text = str(parts.get(name, "")).rstrip("% ")
            value = number(text, self.form.decimal or decimal_proof(text).strip("?") or ".")
            if value is not None and name.startswith("percent") and abs(value) < LEAST_PERCENT:
                return None  # a part of one is no percentage
            if value is not None:
                return entry + sign * side.sign * abs(value) * unit
        return None

    def _number(self, name: str) -> Decimal | None:
        value = self.fields.get(name)
        if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
            return None
        return number(str(value), self.form.decimal or ".")

    def _side(self) -> OrderSide | None:
        word = plain_name(str(self.fields.get("signal_type", "")))
        if word in _BUYS or word.startswith("long"):
            return OrderSide.BUY
        return OrderSide.SELL if word in _SELLS or word.startswith("short") else None

    def _spell(self, name: str, value: object, now: datetime) -> None:
        """Spell one value as our readers take it."""
        if name == "target_prices" and isinstance(value, str):
            value = re.split(_LIST, value.strip())
        if name in _PRICES or name == "target_prices":
            self.fields[name] = [self._price(item) for item in value] if isinstance(value, list) else self._price(value)
        elif name == "confidence":
            self._confidence(value)
        elif name == "signal_type" and isinstance(value, str):
            self.fields[name] = _action(value)
        elif name == "symbol" and isinstance(value, str):
            bare = re.sub(_EXCHANGE, "", value.strip(), count=1, flags=re.IGNORECASE)
            is_known = value.strip().partition(":")[0].upper() in {*PREFIXES, *UNTRADED, TSE}
            self.fields[name] = value.strip() if is_known else bare
            if re.fullmatch(_PERPETUAL, bare, re.IGNORECASE):
                message = f"{shown(bare)} is a perpetual contract, and no coin"
                self.reasons.append(refusal(name, message, value=value, allowed="the pair itself"))
        elif name == "market_type" and isinstance(value, str):
            self.fields[name] = _MARKETS.get(value.strip().lower(), value)
        elif (
            name in {"timestamp", "expires_at"}
            and isinstance(value, str | int | Decimal)
            and not isinstance(value, bool)
        ):
            self._time(name, value)
        elif name == "expiry" and isinstance(value, str):
            self._expiry(value, now)

    def _confidence(self, value: object) -> None:
        """Spell a confidence as a part of one: ``85%`` and 85 below a name such as ``Confidence (%)`` are 0.85.

        Below such a name 0.85 is 0.85, too: that is how a spreadsheet keeps what it shows as 85 %.
        """
        is_percent = isinstance(value, Mapping) and set(value) == {"percent"}
        text = str(value["percent"]) if isinstance(value, Mapping) and is_percent else value
        found = fraction(text, self.form.decimal or ".") if isinstance(text, str) else None
        if found is None or not is_percent or str(text).rstrip().endswith("%"):
            self.fields["confidence"] = text if found is None else str(found)
        elif found == 1 and not self.form.has_percentages:
            message = f"found {shown(text)} below a name of percentages, which is 1 % or 100 %"
            self.reasons.append(refusal("confidence", message, value=text, allowed="1% or 100%"))
            del self.fields["confidence"]
        else:
            self.fields["confidence"] = str(found / 100 if found > 1 or self.form.has_percentages else found)

    def _expiry(self, value: str, now: datetime) -> None:
        """Spell the day of an expiry whose month and day are told apart."""
        order = self.form.dates or self.form.expiries
        if not order or (order == "?" and order_proof(value) != "?"):
            order = expiry_order([value], since=self._since(now))
        if order == "?":
            allowed = "a date as YYYY-MM-DD, or signals.dates: mdy or dmy"
            message = f"found {shown(value)}, which is {two_readings(value)}"
            self.reasons.append(refusal("expiry", message, value=value, allowed=allowed))
            del self.fields["expiry"]
        elif when := read_when(value, order):
            self.fields["expiry"] = when.day.isoformat()

    def _since(self, now: datetime) -> date:
        """Return the day from which the contract of a signal can expire."""
        text = str(self.fields.get("timestamp", ""))
        when = read_when(text, self.form.dates) if self.form.dates or order_proof(text) != "?" else None
        made_on = now.date() if when is None else min(when.day, now.date())
        return made_on - timedelta(days=1)

    def _price(self, value: object) -> object:
        """Return a price without its currency sign and thousands; what is no number stays as it is."""
        if not isinstance(value, str) or re.search(r"[;|]|\d\s+\d", value):
            return value
        found = number(value, self.form.decimal or ".")
        if found is None or (not self.form.decimal and "," in value and decimal_proof(value) == "?"):
            return value
        return str(found)

    def _time(self, name: str, value: str | int | Decimal) -> None:
        """Give a time its zone and one spelling; one with two readings is refused with both."""
        text = str(value)
        when = read_when(text, self.form.dates or "mdy")
        if when is None or when.clock is None:
            return
        if not self.form.dates and order_proof(text) == "?":
            allowed = "a time such as 2026-03-02T15:30:00-05:00, or signals.dates: mdy or dmy"
            message = f"found {shown(text)}, which is {two_readings(text)}"
            self.reasons.append(refusal(name, message, value=text, allowed=allowed))
            del self.fields[name]
            return
        zone = when.zone or (read_zone(self.form.zone) if self.form.zone else None)
        moment = when.naive.replace(tzinfo=zone)
        self.fields[name] = moment.isoformat()

    def _refuse_exits(self, row: Mapping[str, object]) -> None:
        """Refuse alerts that mean to leave a position, or a part of it: signals only open one."""
        word = plain_name(str(self.fields.get("signal_type", "")))
        after = {plain_name(str(key)): value for key, value in row.items()}
        left = {key: str(after.get(key, "")).strip().lower() for key in _AFTER}
        side = self._side()
        said = {
            plain_name(str(key)): plain_name(value)
            for key, value in row.items()
            if isinstance(value, str) and plain_name(str(_without_container(key))) in _SIDES
        }
        opposite = _SELLS if word in _BUYS else _BUYS if word in _SELLS else frozenset()
        flat = next((key for key, value in left.items() if value == "flat"), "")
        other = next((key for key, value in left.items() if side is not None and value in _OPPOSITE[side]), "")
        leaving = next((key for key, value in said.items() if value in _LEAVES), "") if word not in _EXITS else ""
        against = next((key for key, value in said.items() if value in opposite), "")
        told = next((key for key, value in after.items() if _is_told_to_leave(key, value)), "")
        name = flat or other or leaving or against or ("" if word in _EXITS else told) or "signal_type"
        if word not in _EXITS and name == "signal_type":
            return
        self.fields.pop("signal_type", None) if name == "signal_type" else None
        found = after.get(name, word)
        what = f"found {shown(found)}" + (f" beside {shown(word)}" if name not in {flat, "signal_type"} else "")
        message = f"{what}: a signal opens a position; use apex close to leave one"
        self.reasons.append(refusal(name, message, value=found, allowed="buy, long, sell or short"))

    def _stop_by_rule(self, now: datetime) -> None:
        """Give a signal without stop the one that the configuration's rule makes."""
        if "stop_loss" in self.fields or self.form.default_stop is None:
            return
        entry, side, symbol = self._number("entry_price"), self._side(), self.fields.get("symbol")
        if entry is None or side is None or not isinstance(symbol, str):
            return
        made = self.form.default_stop(symbol.strip().upper(), side, entry, now)
        if made is not None:
            self.fields["stop_loss"] = str(made[0])
            self.facts["default_stop"] = made[1]


def _level_price(level: object) -> object:
    """Return the price in ``{stopPrice: 25.85}``; what holds none stays as it is."""
    if not isinstance(level, Mapping):
        return level
    parts = {plain_name(str(key)): value for key, value in level.items()}
    return next((parts[key] for key in LEVEL_PRICES if parts.get(key)), level)


def _flat(row: Mapping[str, object]) -> dict[str, object]:
    """Return a row with what stands in ``strategy``, ``order``, ``alert`` and their kin on its own level."""
    flat: dict[str, object] = {}
    for given, value in row.items():
        name = _without_container(given)
        name = given if name in row or name in flat else name
        if isinstance(value, Mapping) and plain_name(str(name)) in CONTAINERS:
            for inner, item in _flat(value).items():
                flat.setdefault(inner, item)
        else:
            flat[name] = value
    return flat


def _is_told_to_leave(name: str, value: object) -> bool:
    """Return True where a field beside the side says that the order leaves a position."""
    text = str(value).strip().lower()
    if name in _NOTHING_LEFT:
        return number(text) == 0
    if name in _REDUCES:
        return text in {"true", "1", "yes"}
    if name in _EFFECTS:
        return plain_name(text) in {"close", "closing", "toclose", "exit"}
    return name in _REMARKS and re.match(_LEAVING_REMARK, text) is not None


def _without_container(name: str) -> str:
    """Return ``action`` for ``strategy.order.action``, as placeholders of TradingView are called; others stay."""
    while isinstance(name, str) and "." in name and plain_name(name.partition(".")[0]) in CONTAINERS:
        name = name.partition(".")[2]
    return name


def _action(text: str) -> str:
    """Return the type of signal that an action means; what is none of them stays as it is."""
    word = plain_name(text)
    if word in _BUYS and word != "long":
        return "BUY"
    if word in _SELLS and word != "short":
        return "SELL"
    return text


def _slip(plain: str) -> str:
    """Return our name of the field that *plain* is a slip of; empty when it is none."""
    names = {field.replace("_", ""): field for field in FIELDS}
    for name, field in names.items():
        most = MOST_SLIP if len(plain) > SHORT else 1
        if abs(len(name) - len(plain)) <= most and len(plain) > 3 and _distance(name, plain) <= most:  # noqa: PLR2004
            return field
    return ""


def _distance(one: str, other: str) -> int:
    """Return how many letters must be put in, left out or changed to make *other* of *one*."""
    row = list(range(len(other) + 1))
    for at, letter in enumerate(one, start=1):
        above, row[0] = row[0], at
        for place, theirs in enumerate(other, start=1):
            above, row[place] = row[place], min(row[place] + 1, row[place - 1] + 1, above + (letter != theirs))
    return row[-1]


def header_score(cells: Sequence[str]) -> int:
    """Return how many columns of a signal a row names."""
    return len(
        {BY_SPELLING[plain] for cell in cells if (plain := plain_name(cell)) in BY_SPELLING and not is_nothing(cell)}
    )
