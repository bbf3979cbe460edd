"""Takes over, or leaves alone, what the broker holds beyond our books: a person said which.

What is taken over becomes an execution of its own in our books, for the quantity that differs: nothing was traded, so
no day trade is counted, and from then on the position is ours, with a stop.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from msgspec.structs import replace

from apex_cli.core.decision.sizing import IN_DOLLARS, no_rate
from apex_cli.core.errors import ApexError, InputError, NothingToDo, RefusedError
from apex_cli.core.model.currency import MINOR_UNITS, CurrencyLimits, Rate
from apex_cli.core.model.fill import ADOPTED, Fill
from apex_cli.core.model.instrument import Instrument
from apex_cli.core.model.money import ZERO, Price, Quantity
from apex_cli.core.model.order import OrderRole, OrderStatus
from apex_cli.core.model.position import Position, signed
from apex_cli.core.model.reconciliation import Break, BreakStatus, Ignored, Reconciliation, SplitTaken
from apex_cli.core.model.records import BracketRecord, PositionRecord
from apex_cli.core.model.request import ReconcileRequest
from apex_cli.core.model.side import OrderSide
from apex_cli.core.model.spelling import names_key, of_key, same_security
from apex_cli.core.ports import Clock, Ids, PriceOf, RateOf, StateStore
from apex_cli.core.positions.adopted_plans import give_plan, name_fraction, plan_of_holding
from apex_cli.core.positions.booking import book_fill, put_order
from apex_cli.core.positions.protection import is_unsure, orders_of
from apex_cli.core.positions.splits import apply_split, cash_for_fraction, exits_of_plan
from apex_cli.core.reconciliation.breaks import POSITION_CODES
from apex_cli.core.reconciliation.reconciler import Reconciler
from apex_cli.core.state.events.book_events import PositionAdopted, PositionIgnored, PositionSplit
from apex_cli.core.state.tables import State


async def no_rate_known(instrument: Instrument, price: Price) -> None:
    """Return None: nothing but the account's own currency has a rate."""
    del instrument, price


class Adoption:
    """Compares with the broker as a person asks: to look, to repair, to take over or to leave alone."""

    def __init__(
        self,
        *,
        reconciler: Reconciler,
        store: StateStore,
        clock: Clock,
        ids: Ids,
        price_of: PriceOf,
        rate_of: RateOf = no_rate_known,
        currency: CurrencyLimits = IN_DOLLARS,
        stop_limit_pct: Decimal | None = None,
    ) -> None:
        """Keep the parts; *stop_limit_pct* says how far the limit of a stop lies beyond its trigger, if it has one."""
        self._stop_limit_pct = stop_limit_pct
        self._reconciler = reconciler
        self._store = store
        self._clock = clock
        self._ids = ids
        self._price_of = price_of
        self._rate_of = rate_of
        self._currency = currency

    async def reconcile(self, request: ReconcileRequest) -> Reconciliation:
        """Compare, and do what *request* asks for; return how things stand afterwards.

        Raises:
            NothingToDo: nothing of the symbol differs.
            InputError: a stop or a price is missing, or a stop lies on the wrong side.
            BrokerError: the broker cannot be asked.
        """
        if not (request.adopt or request.ignore or request.split):
            return await self._reconciler.reconcile(repair=request.repair)
        found = await self._reconciler.reconcile(repair=True)
        if not found.is_complete:
            raise NothingToDo(
                "answer_incomplete", "The broker's answer is incomplete; nothing was taken over.", hint="Try again."
            )
        if request.ignore:
            self._ignore(_position_break(found, request.ignore, self._store.view()))
        elif request.split:
            await self._split(_position_break(found, request.split, self._store.view()))
        else:
            await self._adopt(found, request)
        return await self._reconciler.reconcile(repair=True)

    async def _split(self, each: Break) -> None:
        """Bring our books to what they are after a split, and put its exits at the levels of after it."""
        parts, at_broker = each.correction.split, each.at_broker
        row: PositionRecord | None = self._store.view().positions.get(each.key)
        if parts is None or at_broker is None or row is None:
            raise InputError(
                "no_split",
                f"{each.key}: {each.theirs} at the broker and {each.ours} here do not look like a split.",
                hint=f"Take over what differs: --adopt {each.key!r} --stop PRICE.",
            )
        await self._reconciler.withdraw(each.key)
        now = self._clock.now()
        price = await self._price_of(row.position.instrument) or parts.price(row.current_price)
        with self._store.transaction() as tx:
            tx.emit(PositionSplit(at=now, subject=each.key, data=SplitTaken(key=each.key, parts=parts)))
            apply_split(tx, each.key, parts)
            fraction = cash_for_fraction(tx.positions[each.key].position, at_broker, price, now)
            if fraction is not None:
                book_fill(tx, fraction, now)
        state = self._store.view()
        held = state.positions.get(each.key)
        plan: BracketRecord | None = state.brackets.get(held.position.bracket_id) if held is not None else None
        if held is not None and plan is not None:
            for exits in exits_of_plan(held.position, plan, orders_of(state, each.key)):
                await self._reconciler.place(exits, plan.signal_id)

    def _ignore(self, each: Break) -> None:
        """Remember that what the broker holds beyond our books is not ours."""
        now = self._clock.now()
        row = Ignored(key=each.key, quantity=_difference(each), since=now)
        with self._store.transaction() as tx:
            tx.ignored[each.key] = row
            tx.emit(PositionIgnored(at=now, subject=each.key, data=row))

    async def _adopt(self, found: Reconciliation, request: ReconcileRequest) -> None:
        """Let our books hold what the broker holds, or give a plan to a position of ours that has none."""
        own = _without_plan(self._store.view(), request.adopt)
        if own is not None and request.stop_price is not None and not _differs(found, own.instrument.key):
            market = await self._price_of(own.instrument) or own.entry_price
            _require_side(own.instrument, request.stop_price, market, signed(own))
            self._plan(own, request.stop_price, await self._rate(own.instrument, own.entry_price))
            return
        each = _position_break(found, request.adopt, self._store.view())
        row: PositionRecord | None = self._store.view().positions.get(each.key)
        instrument = row.position.instrument if row is not None else each.instrument
        if instrument is None:
            raise ApexError("instrument_unknown", f"{each.key}: the broker does not report what it is.")
        difference, held = _difference(each), signed(row.position if row else None)
        price = request.price or each.price
        if price is None:
            raise InputError(
                "price_needed",
                f"{each.key}: the broker does not report at what price {abs(difference)} were traded.",
                hint="Give it: --price 51.20",
            )
        rate, stop = await self._rate(instrument, price), None
        if held * (held + difference) <= ZERO and held + difference:
            stop = _stop_for(instrument, request, await self._price_of(instrument) or price, difference)
        self._take_over(instrument, difference, price, stop, rate)

    async def _rate(self, instrument: Instrument, price: Price) -> Rate | None:
        """Return what the prices of *instrument* are in; None where that is the account's currency."""
        rate = await self._rate_of(instrument, price)
        missing = no_rate(instrument, rate, self._currency, self._clock.now())
        if missing is not None:
            raise RefusedError(missing.code, missing.message, hint=f"Leave it alone with --ignore {instrument.key!r}.")
        return rate

    def _take_over(
        self, instrument: Instrument, difference: Decimal, price: Price, stop: Price | None, rate: Rate | None
    ) -> None:
        """Book *difference* as one execution; with *stop*, under a plan of its own."""
        now = self._clock.now()
        side = OrderSide.BUY if difference > ZERO else OrderSide.SELL
        quantity = Quantity(abs(difference))
        name = self._ids.new()
        plan = None
        if stop is not None:
            plan = plan_of_holding(name, instrument, side, quantity, price=price, stop=stop, rate=rate, now=now)
            plan = replace(plan, stop_limit_pct=self._stop_limit_pct)
        fill = Fill(
            exec_id=f"{ADOPTED}{name}",
            bracket_id=name if plan else "",
            role=OrderRole.ENTRY if plan else None,
            instrument=instrument,
            side=side,
            quantity=quantity,
            price=price,
            rate=rate,
            filled_at=now,
        )
        with self._store.transaction() as tx:
            if plan is not None:
                tx.brackets[name] = plan
                tx.emit(PositionAdopted(at=now, subject=instrument.key, data=plan))
                name_fraction(tx, instrument, plan.quantity, now)
            _settle_unsure(tx, instrument.key, now)
            tx.ignored.pop(instrument.key, None)
            book_fill(tx, fill, now)

    def _plan(self, position: Position, stop: Price, rate: Rate | None) -> None:
        """Give a position without a plan one."""
        name, now = self._ids.new(), self._clock.now()
        give_plan(self._store, position, name, now, stop=stop, rate=rate, stop_limit_pct=self._stop_limit_pct)


def _position_break(found: Reconciliation, symbol: str, state: State) -> Break:
    """Return the difference that *symbol* names, by key or, when that is clear, by symbol alone.

    Raises:
        NothingToDo: nothing of that name differs.
        InputError: it names several, or what differs or is held has another currency.
    """
    rows = [row for row in found.breaks if row.code in POSITION_CODES and row.status is not BreakStatus.REPAIRED]
    named = [
        r for r in rows if r.key.upper() == symbol.upper() or (r.instrument and same_security(symbol, r.instrument))
    ]
    exact = [row for row in named if names_key(symbol, row.key)]
    if len(exact or named) == 1:
        return (exact or named)[0]
    names = ", ".join(repr(row.key) for row in named or rows) or "nothing"
    asked = of_key(symbol)
    for other in (of_key(key) for key in (*(row.key for row in rows), *state.positions) if not named):
        if other.symbol == asked.symbol and other.currency != asked.currency:
            raise InputError(
                "other_currency",
                f"{symbol} is quoted in {asked.currency}, and what is held is {other.key}. Nothing was changed.",
                hint=f"Name {other.key!r}, with its prices in {other.currency}.",
            )
    if not named:
        raise NothingToDo("no_difference", f"The broker holds of {symbol} what apex holds.", hint=f"Differs: {names}.")
    raise InputError("ambiguous_symbol", f"{symbol} could be {names}.", hint="Name one of them.")


def _difference(each: Break) -> Decimal:
    return (each.at_broker or ZERO) - (each.held or ZERO)


def _differs(found: Reconciliation, key: str) -> bool:
    return any(row.key == key and row.code in POSITION_CODES for row in found.open_breaks)


def _without_plan(state: State, symbol: str) -> Position | None:
    """Return the position of ours that *symbol* names if there is no plan to take its stop from."""
    for row in state.positions.values():
        if same_security(symbol, row.position.instrument) and row.position.bracket_id not in state.brackets:
            position: Position = row.position
            return position
    return None


def _stop_for(instrument: Instrument, request: ReconcileRequest, market: Price, difference: Decimal) -> Price | None:
    """Return the stop of what is taken over; None when the person wants none."""
    if request.stop_price is None:
        if request.without_stop:
            return None
        raise InputError(
            "stop_needed",
            f"{instrument.key}: what is taken over needs a stop.",
            hint="Give it: --stop 48.00, or --no-stop to be alarmed instead.",
        )
    _require_side(instrument, request.stop_price, market, difference)
    return request.stop_price


def _require_side(instrument: Instrument, stop: Price, market: Price, quantity: Decimal) -> None:
    """Refuse a stop that would fire at once, and one in pounds where prices are in pence."""
    key, unit = instrument.key, instrument.currency
    whole, parts = MINOR_UNITS.get(unit, (unit, Decimal(1)))
    if parts > 1 and market / stop > parts / 2:
        raise InputError(
            "other_currency",
            f"{key}: a stop at {stop} {unit} is far below the price, {market} {unit}. Nothing was changed.",
            hint=f"Its prices are in {unit}: {stop} {whole} are {stop * parts:f}.",
        )
    if (market - stop) * quantity <= ZERO:
        raise InputError(
            "stop_on_wrong_side",
            f"{key}: a stop at {stop} does not protect a position of {quantity} at a price of {market}.",
            hint="A long position has its stop below the price, a short one above it.",
        )


def _settle_unsure(tx: State, key: str, now: datetime) -> None:
    """Mark orders with unreported fills as settled; the adopted holding already includes their quantity."""
    for record in [r for r in orders_of(tx, key) if r.status is OrderStatus.FILLED and is_unsure(r)]:
        quantity = record.filled_quantity or record.order.quantity
        ended = OrderStatus.FILLED if record.filled_quantity else OrderStatus.CANCELLED
        order = replace(record.order, quantity=Quantity(quantity))
        put_order(tx, replace(record, order=order, status=ended, reason="its fills were never reported"), now)
