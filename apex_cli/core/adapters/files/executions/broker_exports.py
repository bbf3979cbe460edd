"""Trade lists of brokers to executions: activity statements, order histories, account histories, logs.

Which broker it is shows in the names of the columns. Rows that are no trades are left out and counted by reason. Where
a list has dates and no times, the trades of one security on one day are put in the order that makes the most day trades
of them, with a warning. Times without a zone are New York's in the lists of brokers that are known for it; in others
the setting ``executions.zone`` has to say.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import date, time, tzinfo
from decimal import Decimal
from itertools import zip_longest

from apex_cli.core.adapters.files.executions import broker_words as words
from apex_cli.core.adapters.files.executions import execution_fields as fields
from apex_cli.core.adapters.files.executions.trade_order import (
    Draft,
    content_id,
    least_starts,
    moments_of_fills,
    without_cancelled,
)
from apex_cli.core.day_trades.imports import Report, with_start
from apex_cli.core.errors import InputError
from apex_cli.core.market.calendar import NEW_YORK
from apex_cli.core.model.execution import Execution, SecType
from apex_cli.core.model.money import Quantity
from apex_cli.core.model.side import OrderSide
from apex_cli.core.text.cells import (
    Decimals,
    When,
    find_decimals,
    find_order,
    is_nothing,
    number,
    read_clock,
    read_when,
    read_zone,
    tidy,
)
from apex_cli.core.text.problems import SHOWN, Problems, invalid, read_at, shown
from apex_cli.core.text.text_table import (
    FileHints,
    Row,
    Table,
    ambiguous_date,
    ambiguous_number,
    match_columns,
    plain_name,
    zone_of_names,
)

_BUY, _SELL = re.compile(rf"(?:{words.BUYS})\b"), re.compile(rf"(?:{words.SELLS})\b")


def read_broker_table(
    table: Table, name: str, hints: FileHints, *, broker: words.Broker | None = None, account: str = ""
) -> Report:
    """Return what a list of trades reports; whose list it is show its columns where *broker* does not say it.

    Raises:
        InputError: rows cannot be used, something has two readings, there are several accounts, or nothing counts.
    """
    return _Reader(table, name, hints, broker or words.broker_of(table.names) or words.UNKNOWN).read(account)


class _Reader:
    """Reads the rows of one list and collects what is wrong with them."""

    def __init__(self, table: Table, name: str, hints: FileHints, broker: words.Broker) -> None:
        self.table = table
        self.name = name
        self.hints = hints
        self.broker = broker
        self.columns = match_columns(table.names, words.KNOWN, hints)
        if broker.fills_follow:
            self.table = table._replace(rows=list(self._whole_fills()))
        self._choose_side()
        self.is_signed = self._is_signed()
        self.problems = Problems()
        self.skipped: Counter[str] = Counter()
        self.cancels: list[Draft] = []
        self.unknown: dict[str, int] = {}
        """Actions with a quantity and a price that are neither purchases nor sales -> the first line with one."""

        self._spread: When | None = None
        self._refuse_header()
        self.clock = self._clock_column()
        self.decimals = self._decimals()
        self.order = self._order()
        self.is_dated = self._is_dated()
        self.zone = self._zone()

    def _whole_fills(self) -> Iterator[Row]:
        """Yield the rows, each further fill with what the order above it says."""
        order: list[str] = []
        for row in self.table.rows:
            if self._cell(row, "symbol") or not self._cell(row, "quantity"):
                order = row.cells
                yield row
            else:
                yield Row(row.line, [own or above for own, above in zip_longest(row.cells, order, fillvalue="")])

    def _choose_side(self) -> None:
        """Take the column that holds purchases and sales where several have a name for it, such as an order's type."""
        if "side" in self.hints.columns:
            return
        places = [self.table.keys.index(spelling) for spelling in words.KNOWN["side"] if spelling in self.table.keys]
        best = max(places, key=self._says_sides, default=None)
        if best is not None and self._says_sides(best)[0]:
            self.columns["side"] = best
            return
        if self.broker.is_signed:
            self.columns.pop("side", None)
        elif any(map(words.TRADED.match, self._texts("description"))):
            self.columns["side"] = self.columns["description"]

    def _says_sides(self, at: int) -> tuple[int, bool]:
        """Return how many sides a column says, and whether in other words than those of the position that it is of."""
        cells = {tidy(row.cells[at]) for row in self.table.rows if at < len(row.cells)}
        said = {cell: side for cell in cells if (side := self._side_word(cell)) is not None}
        return len(set(said.values())), any(plain_name(cell) not in {"long", "short"} for cell in said)

    def _is_signed(self) -> bool:
        """Return True where the sign of the quantity alone tells a sale, as the broker or the setting has it."""
        if "side" not in self.columns:
            return self.broker.is_signed
        return self.columns["side"] == self.columns.get("quantity")

    def _zone(self) -> tzinfo | None:
        """Return the zone of times that name none: the setting's, that of a column's name, or the broker's."""
        if self.hints.zone:
            return read_zone(self.hints.zone)
        places = (self.columns["time"], self.clock)
        named = zone_of_names(self.table.names[at] for at in places if at is not None)
        return named or (NEW_YORK if self.broker.is_us else None)

    def _refuse_header(self) -> None:
        """Refuse a list without the columns that every trade needs, or with one of them twice."""
        least = [field for field in words.LEAST if field != "side" or not self.is_signed]
        if missing := [field for field in least if field not in self.columns]:
            found = ", ".join(shown(cell) for cell in self.table.names[:12])
            raise invalid(
                f"{self.name}:1",
                f"missing column {', '.join(missing)}; found {found}",
                f"{', '.join(words.LEAST)}, or name the columns in executions.columns",
            )
        keys = [plain_name(cell) for cell in self.table.names]
        for field in least:
            key = keys[self.columns[field]]
            if keys.count(key) > 1 and field not in self.hints.columns:
                raise invalid(
                    f"{self.name}:1", f"column {self.table.names[self.columns[field]].strip()} is given twice"
                )

    def _clock_column(self) -> int | None:
        """Return the column of the time of day where the date stands apart from it."""
        at, clock = self.columns["time"], self.columns.get("clock")
        texts = [row.cells for row in self.table.rows[:20] if len(row.cells) > at and row.cells[at].strip()]
        if not texts:
            return None
        first = texts[0]
        when = read_when(first[at], "mdy") or read_when(first[at], "dmy")
        if when is not None:
            is_apart = clock is not None and clock != at and when.clock is None and len(first) > clock
            return clock if clock is not None and is_apart and read_clock(first[clock]) else None
        if read_clock(texts[0][at]) is None:
            return None
        days = match_columns(self.table.names, {"day": ("date", "tradedate", "td", "day")}, FileHints())
        if "day" not in days:
            return None
        self.columns["time"], found = days["day"], at
        return found

    def _texts(self, field: str) -> Iterator[str]:
        at = self.columns.get(field)
        return (row.cells[at] for row in self.table.rows if at is not None and at < len(row.cells))

    def _decimals(self) -> Decimals:
        texts = [text for field in ("quantity", "price") for text in self._texts(field)]
        found = find_decimals(texts, set_to=self.hints.decimal, comma_is_likely=self.table.delimiter == ";")
        if found.unclear and self.broker.is_us:
            return Decimals(".")
        if found.unclear:
            raise ambiguous_number(self.name, found.unclear, self.hints)
        return found

    def _order(self) -> str:
        found = find_order(self._texts("time"), set_to=self.hints.dates, likely="mdy" if self.broker.is_mdy else "")
        if found.unclear:
            raise ambiguous_date(self.name, found.unclear, self.hints)
        return found.order

    def read(self, account: str) -> Report:
        """Return all trades, or raise all problems."""
        drafts: list[Draft] = []
        for row in self.table.rows:
            try:
                draft = self._draft(row)
            except InputError as error:
                self.problems.take(error)
                continue
            if draft is not None:
                drafts.append(draft)
        drafts = self._each_once(drafts)
        read, drafts = len(drafts), without_cancelled(drafts, self.cancels)
        self.skipped.update({"cancelled trades": read - len(drafts)} if len(drafts) < read else {})
        self.problems.stop(
            "input_invalid", hint="Correct the rows, or export the list again.", details={"where": self.name}
        )
        chosen = fields.one_account({draft.account for draft in drafts}, self.name, account)
        drafts = [draft for draft in drafts if draft.account in {"", chosen} or not chosen]
        if not drafts:
            raise fields.nothing_countable(self.name, dict(self.skipped))
        dated = [draft for draft in drafts if draft.when.clock is None]
        executions = self._executions(drafts)
        inexact = (
            f"{self.name} has dates without times: trades of one security on one day are counted as if each sale "
            "had followed a purchase, so the count may be too high."
        )
        others = tuple(
            f"{self.name}:{line}: rows with the action {shown(action)} are left out: it is no purchase and no sale."
            for action, line in self.unknown.items()
        )
        since = min((draft.when.day for draft in dated), default=None)
        return Report(
            executions=executions,
            since=since,
            dropped=sum(self.skipped.values()),
            warnings=(*((inexact,) if dated else ()), *others),
            source=self.broker.name,
        )

    def _each_once(self, drafts: list[Draft]) -> list[Draft]:
        """Return the trades without rows that are there twice, where an id of the execution shows it."""
        at = self.columns.get("exec_id")
        if at is None or plain_name(self.table.names[at]) not in words.UNIQUE_IDS:
            return drafts
        once = {draft._replace(line=0) if draft.exec_id else draft: draft for draft in reversed(drafts)}
        if twice := len(drafts) - len(once):
            self.skipped["rows that are there twice"] += twice
        return sorted(once.values())

    # ---- one row ----

    def _cell(self, row: Row, field: str) -> str:
        at = self.columns.get(field)
        return tidy(row.cells[at]) if at is not None and at < len(row.cells) else ""

    def _draft(self, row: Row) -> Draft | None:
        where = f"{self.name}:{row.line}"
        if self._is_remark(row):
            return None
        if len(row.cells) > len(self.table.names) and any(map(str.strip, row.cells[len(self.table.names) :])):
            raise invalid(where, f"{len(row.cells)} cells under {len(self.table.names)} columns")
        if reason := self._why_not(row):
            self.skipped[reason] += 1
            if (side := self._cancelled_side(row, where)) is not None:
                self.cancels.append(self._made(row, where, side))
            return None
        return self._made(row, where)

    def _made(self, row: Row, where: str, cancelled: OrderSide | None = None) -> Draft:
        found = fields.collected(
            where,
            side=lambda: cancelled or self._side(row, where),
            security=lambda: self._security(row, where),
            quantity=lambda: self._quantity(row, where),
            when=lambda: self._when(row, where),
        )
        kind, security = found["security"]
        side, quantity = found["side"], read_at(f"{where}.quantity", fields.signed, found["quantity"])
        effect = f"{self._cell(row, 'side')} | {self._cell(row, 'effect')}"
        parts = [part.strip() for part in re.split(r"[|;,]", effect)]
        if quantity < 0 and side is OrderSide.BUY and not self.is_signed:
            raise invalid(f"{where}.quantity", f"found {quantity} beside a purchase", "a number above 0")
        return Draft(
            line=row.line,
            when=found["when"],
            kind=kind,
            security=security,
            side=side,
            quantity=abs(quantity),
            exec_id=self._cell(row, "exec_id"),
            order_id=self._cell(row, "order_id"),
            con_id=fields.con_id(self._cell(row, "con_id")),
            account=self._cell(row, "account"),
            is_closing=any(words.CLOSES.search(part) for part in parts),
            is_opening=any(words.OPENS.search(part) for part in parts),
        )

    def _is_remark(self, row: Row) -> bool:
        """Return True for a line that is no row of the list: words below it, or a total."""
        filled = [cell for cell in row.cells if cell.strip()]
        first = tidy(filled[0]).lower() if filled else ""
        is_total = re.match(r"(?:sub)?total|transactions total", first) is not None
        is_words = len(filled) <= 2 and len(self.table.names) > 3 and not self._cell(row, "quantity")  # noqa: PLR2004
        return is_total or is_words or [*map(str.strip, row.cells)] == [*map(str.strip, self.table.names)]

    def _why_not(self, row: Row) -> str:
        """Return why a row is no trade in a word or two; empty when it is one."""
        kind, action = self._cell(row, "kind"), self._cell(row, "side")
        if reason := self._not_filled(row) or self._not_counted(row):
            return reason
        if plain_name(kind) in words.NO_TRADE_KINDS or self._is_no_trade(row, action, kind):
            return _short_reason(action or kind)
        is_whole = self._cell(row, "symbol") and self._has_quantity(row)
        if not self.is_signed and self._side_word(action) is None and not is_whole:
            return _short_reason(action or kind)
        if not self.broker.is_us or self.is_signed or self._side_word(action) is not None:
            return ""
        if number(self._cell(row, "quantity"), self.decimals.sign) and number(self._cell(row, "price"), "."):
            self.unknown.setdefault(_short_reason(action), row.line)
        return _short_reason(action or kind)

    def _has_quantity(self, row: Row) -> bool:
        """Return True where something was bought or sold: money that is moved has no quantity, or one of 0."""
        text = words.UNITS.sub("", self._cell(row, "quantity"))
        return not is_nothing(text) and number(text, self.decimals.sign) != 0

    def _not_counted(self, row: Row) -> str:
        """Return why a row of this kind does not count, as its codes and its kind of security say."""
        kind = plain_name(self._cell(row, "sec_type"))
        if self._codes(row) & words.NO_TRADE_CODES:
            return "expiries, assignments and cancels"
        if kind in words.UNCOUNTED_KINDS:
            return "funds and contracts for difference"
        if kind in words.COMBINATIONS or (self.broker.legs_follow and not self._cell(row, "symbol")):
            return "combinations, whose legs count"
        return ""

    def _not_filled(self, row: Row) -> str:
        """Return what became of an order that was not filled; empty where a part of it was, or nothing is said."""
        status, quantity = self._cell(row, "status"), self._cell(row, "quantity")
        if not status:
            return ""
        if plain_name(self.table.names[self.columns["quantity"]]) in words.FILLED:
            return "" if number(quantity, self.decimals.sign) else _short_reason(status)
        if not words.FILLED_WORDS.search(status) and words.NOT_FILLED.search(status):
            return _short_reason(status)
        return "not filled" if is_nothing(quantity) else ""

    def _codes(self, row: Row) -> set[str]:
        return {note.strip() for note in self._cell(row, "effect").split(";")}

    def _is_no_trade(self, row: Row, action: str, kind: str) -> bool:
        """Return True when shares moved without a trade: by an option, a reinvestment, a split and the like."""
        trade, no_trade = self.broker.trade, self.broker.no_trade
        if trade is not None and no_trade is not None and (found := trade.match(action)):
            return no_trade.match(action, found.end()) is not None
        if no_trade is not None and trade is None and no_trade.search(self._cell(row, "description")):
            return True
        if self.columns.get("side") == self.columns.get("description") and words.TRADED.match(action):
            return False
        if plain_name(self._cell(row, "category")) in words.NO_TRADE_CATEGORIES:
            return True
        return words.NO_TRADE.search(f"{action} {kind}") is not None

    def _cancelled_side(self, row: Row, where: str) -> OrderSide | None:
        """Return the side of the trade that a row takes back; None when it takes none back."""
        if self.is_signed and words.CANCELLED_CODE in self._codes(row):
            return OrderSide.BUY if self._quantity(row, where) < 0 else OrderSide.SELL
        action = self._cell(row, "side")
        if not words.CANCEL.search(action):
            return None
        return next((side for word in action.split() if (side := self._side_word(word)) is not None), None)

    def _side_word(self, action: str) -> OrderSide | None:
        action = re.sub(r"^\w{2,}\.(?=\w+$)", "", action)  # OrderSide.BUY, as Python writes it
        action = words.ORDER_TYPES.sub("", action)
        bare = words.SPACE.sub("", action.lower())
        first = words.SPACE.split(action.lower())[0] if action else ""
        for pattern, side in ((_BUY, OrderSide.BUY), (_SELL, OrderSide.SELL)):
            if pattern.fullmatch(bare) or pattern.fullmatch(first):
                return side
        if bare.startswith("youbought"):
            return OrderSide.BUY
        return OrderSide.SELL if bare.startswith("yousold") else None

    def _side(self, row: Row, where: str) -> OrderSide:
        action = self._cell(row, "side")
        side = self._side_word(action)
        if side is not None:
            return side
        if self.is_signed:
            return OrderSide.SELL if self._quantity(row, where) < 0 else OrderSide.BUY
        return read_at(f"{where}.side", fields.side, action)

    def _quantity(self, row: Row, where: str) -> Decimal:
        text = self._cell(row, "quantity")
        value = number(words.UNITS.sub("", text), self.decimals.sign)
        if value is None:
            raise invalid(f"{where}.quantity", f"{shown(text)} is no number" if text else "is missing", "a number")
        return value

    def _when(self, row: Row, where: str) -> When:
        text = self._cell(row, "time")
        if not text and self._spread is not None:
            return self._spread
        when = read_when(re.split(r" as of ", text, flags=re.IGNORECASE)[-1], self.order)
        if when is None:
            raise invalid(
                f"{where}.time",
                f"{shown(text)} is no time" if text else "is missing",
                fields.TIME_ALLOWED,
            )
        if self.clock is not None and (
            clock := read_clock(row.cells[self.clock] if self.clock < len(row.cells) else "")
        ):
            when = When(when.day, clock[0], clock[1] or when.zone)
        if self.is_dated and (day := _midnight_of(when)):
            when = When(day)
        if when.clock is not None and when.zone is None and self.zone is None:
            raise invalid(
                f"{where}.time",
                f"{shown(text)} has no offset from UTC",
                f"{fields.TIME_ALLOWED}, or set executions.zone",
            )
        self._spread = when
        return when

    def _is_dated(self) -> bool:
        """Return True when every time is midnight, of its own zone or of New York: the list has dates alone."""
        whens = (read_when(text, self.order) for text in self._texts("time"))
        return all(when is None or _midnight_of(when) for when in whens)

    def _security(self, row: Row, where: str) -> tuple[SecType, str]:
        """Return the kind and the identity of the security of a row."""
        text = self._cell(row, "symbol").lstrip("-.")
        if self.broker.has_thousandths:
            text = re.sub(r"(?<=\d{6}[CP])\d{3,7}$", lambda found: found[0].zfill(8), text)
        kind_text = plain_name(self._cell(row, "sec_type"))
        right = self._cell(row, "right")
        if not right and kind_text in {"call", "put"}:
            right = kind_text
        if not self._cell(row, "sec_type") and plain_name(self._cell(row, "kind")) in {"call", "put"}:
            right = self._cell(row, "kind")
        kind = words.KINDS.get(kind_text)
        if option := self._option_of(row, text, right, where):
            return (kind if kind in {SecType.FOP, SecType.WAR} else SecType.OPT), option.key
        if kind is None and kind_text and self.broker.names_kinds:
            kind = read_at(f"{where}.sec_type", fields.sec_type, self._cell(row, "sec_type"))
        name = read_at(f"{where}.symbol", fields.symbol, text)
        if words.SENTENCE.fullmatch(name):
            raise invalid(
                f"{where}.symbol", f"{shown(text)} is no single security", "the symbol of each leg, in its row"
            )
        if kind is None:
            kind = SecType.FUT if self._cell(row, "symbol").startswith("/") else SecType.STK
        return kind, fields.security_key(name, kind, fields.currency(self._cell(row, "currency")))

    def _option_of(self, row: Row, text: str, right: str, where: str) -> fields.Option | None:
        """Return the option of a row, from its symbol, its columns or its description."""
        if option := fields.read_option(text) or fields.read_option(self._cell(row, "description")):
            return option
        strike, expiry = self._cell(row, "strike"), self._cell(row, "expiry")
        if not (right and not is_nothing(strike) and not is_nothing(expiry)) or right[:1].upper() not in {"C", "P"}:
            return None
        day = re.sub(r"\([^)]*\)|\[[^\]]*\]", "", expiry)  # 27 MAR 26 (Weeklys) [AM]
        when, price = read_when(day, self.order or "mdy"), number(strike, self.decimals.sign)
        if when is None or price is None or not 0 < price < fields.MAX_QUANTITY:
            raise invalid(f"{where}.expiry", f"{shown(expiry)} and {shown(strike)} are no expiry and strike")
        root = read_at(f"{where}.symbol", fields.symbol, text.split(maxsplit=1)[0] if text else "")
        key = fields.option_key(root, when.day.isoformat(), right[0].upper(), price)
        return fields.Option(root, when.day, right[0].upper(), price, key)

    # ---- all rows ----

    def _executions(self, drafts: Sequence[Draft]) -> tuple[Execution, ...]:
        moments = moments_of_fills(drafts, self.zone)
        seen: Counter[str] = Counter()
        made: list[Execution] = []
        closing: dict[str, bool] = {}
        for draft, at in zip(drafts, moments, strict=True):
            filled_at = read_at(f"{self.name}:{draft.line}.time", fields.as_utc, at)
            exec_id = draft.exec_id or content_id(draft, filled_at, seen)
            if exec_id in closing:
                exec_id = content_id(draft, filled_at, seen)
            closing[exec_id] = draft.is_closing and not draft.is_opening
            made.append(
                Execution(
                    exec_id=exec_id,
                    security=draft.security,
                    sec_type=draft.kind,
                    side=draft.side,
                    quantity=Quantity(draft.quantity),
                    filled_at=filled_at,
                    order_id=draft.order_id,
                    con_id=draft.con_id,
                )
            )
        return with_start(made, least_starts(made, closing))


def _midnight_of(when: When) -> date | None:
    """Return the day that begins at a moment, by its own clock or by New York's; None where none does."""
    if when.clock == time():
        return when.day
    if when.clock is None or when.zone is None:
        return None
    at = when.naive.replace(tzinfo=when.zone).astimezone(NEW_YORK)
    return at.date() if at.time() == time() else None


def _short_reason(action: str) -> str:
    text = " ".join(action.lower().split())[:SHOWN]
    return text or "rows without an action"
