"""The current risk as one value: by position and group, in total, under stress, and beside every limit.

Made of the committed state, the limits and the price history that is at hand; whoever looks needs no broker. Losses
and risks are positive amounts in account currency. What is not known is left out of sums, and named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from msgspec.structs import replace

from apex_cli.core.decision.inputs import exposures_of
from apex_cli.core.model.base import Value
from apex_cli.core.model.currency import worth
from apex_cli.core.model.decision import DayTradeStatus, Exposure
from apex_cli.core.model.instrument import Instrument
from apex_cli.core.model.limits import Limits
from apex_cli.core.model.money import ZERO, Price, Quantity, Usd
from apex_cli.core.model.order import OrderRole
from apex_cli.core.model.position import profit
from apex_cli.core.model.records import PositionRecord
from apex_cli.core.model.side import PositionSide
from apex_cli.core.model.wording import percent, plain
from apex_cli.core.positions.position_views import position_handles
from apex_cli.core.positions.protection import protection_of
from apex_cli.core.reports.handles import order_handles
from apex_cli.core.reports.limit_use import Correlate, LimitUse, limit_uses
from apex_cli.core.reports.stress import (
    GAPS,
    LEAST_DAYS,
    Correlation,
    DayCost,
    DayReturn,
    GapCost,
    Held,
    correlations,
    gap_cost,
    worst_day,
)
from apex_cli.core.state.tables import State


class Past(Value, frozen=True, kw_only=True):
    """What price history says of one position."""

    returns: tuple[DayReturn, ...] = ()
    underlying: Price | None = None
    volatility: float | None = None
    interest: float = 0.0
    trouble: str = ""
    """Why there is no history; empty where there is some."""


PastOf = Callable[[Instrument], Past]
"""Returns what price history says of a security."""


class RiskRow(Value, frozen=True, kw_only=True):
    """One position, or one entry that may still fill."""

    symbol: str
    side: PositionSide
    quantity: Quantity
    is_entry: bool = False
    """True for a working entry: nothing is held of it yet."""

    handle: str = ""
    """Its short name: ``p1`` of a position, ``o7`` of the order that may still fill."""

    strategy: str = ""
    sector: str = ""
    """Empty where none is known."""

    notional: Usd | None
    """Value now, in account currency; None without a rate."""

    risk: Usd | None
    """Loss from the entry price if its stop is hit; what no stop covers counts in full; None without a rate."""

    stop_price: Price | None = None
    at_stop: Usd | None = None
    """What it brings from the latest price if every unit leaves at the stop; None without a stop, or a rate."""

    days: int = 0
    """Sessions of the last year that its history has a change of."""

    remarks: tuple[str, ...] = ()
    """What is not known of it, a sentence each."""


class GroupRisk(Value, frozen=True, kw_only=True):
    """Everything of one symbol, strategy or sector."""

    name: str
    """Empty where none is known."""

    count: int
    notional: Usd
    risk: Usd
    share: Decimal | None
    """Part of all open risk; None where there is none."""


class LeftOut(Value, frozen=True, kw_only=True):
    """A position that a sum does not count, and why."""

    symbol: str
    sums: tuple[str, ...]
    """``risk``, ``gaps``, ``worst_day``, ``correlation``."""

    why: str


class RiskView(Value, frozen=True, kw_only=True):
    """Everything at risk at one moment."""

    at: datetime
    priced_at: datetime | None
    """Time of the oldest of the latest prices; None where nothing is held."""

    equity: Usd | None
    """None before the first run."""

    one_r: Usd
    """What one trade may lose: capital * max_risk_pct."""

    risk: Usd
    notional: Usd
    rows: tuple[RiskRow, ...]
    """Positions, then working entries, each by symbol."""

    by_symbol: tuple[GroupRisk, ...]
    by_strategy: tuple[GroupRisk, ...]
    by_sector: tuple[GroupRisk, ...]
    """The largest risk first."""

    correlations: tuple[Correlation, ...]
    worst_day: DayCost | None
    gaps: tuple[GapCost, ...]
    at_stops: Usd
    """Loss from the latest prices if every stop is filled at its price, >= 0."""

    limits: tuple[LimitUse, ...]
    left_out: tuple[LeftOut, ...]
    remarks: tuple[str, ...] = ()
    """What else is not known, a sentence each."""


class Known(NamedTuple):
    """What files and price histories say of securities."""

    sector_of: Callable[[Instrument], str] = lambda _instrument: ""
    """Returns its sector, of an option that of its underlying; empty where none is known."""

    beta_of: Callable[[Instrument], Decimal | None] = lambda _instrument: None
    """Returns its beta where that is limited."""

    correlate: Correlate = lambda _one, _other: None
    troubles: tuple[str, ...] = ()
    """What could not be read, a sentence each."""


NOTHING_KNOWN = Known()

MOST_CHANGE = Decimal("0.4")
"""Part of the price by which a session's change is taken for a split that the bars do not know."""


def _no_past(instrument: Instrument) -> Past:
    del instrument
    return Past(trouble="no price history is configured")


def make_risk_view(
    state: State,
    limits: Limits,
    now: datetime,
    *,
    past_of: PastOf = _no_past,
    known: Known = NOTHING_KNOWN,
    day_trades: DayTradeStatus | None = None,
) -> RiskView:
    """Return what is at risk at *now*.

    *past_of* returns the price history of what is held; *known* is what files and price histories say of securities.
    *day_trades* is the count for an order sent now, None when it is not known.
    """
    account = state.account.account if state.account else None
    risk_limits = limits.risk if account is None else limits.risk.for_equity(account.equity)
    stakes = _stakes(state, known)
    looked = [_look(state, stake, limits.currency.base, past_of) for stake in stakes]
    rows = tuple(each.row for each in looked)
    book = tuple(each.held for each in looked if each.held is not None)
    worst, gaps = worst_day(book, now), tuple(gap_cost(book, gap, now) for gap in GAPS) if book else ()
    return RiskView(
        at=now,
        priced_at=min((row.priced_at for row in state.positions.values()), default=None),
        equity=account.equity if account else None,
        one_r=Usd(risk_limits.capital * risk_limits.max_risk_pct),
        risk=_sum(row.risk for row in rows),
        notional=_sum(row.notional for row in rows),
        rows=rows,
        by_symbol=_groups(rows, lambda row: row.symbol.partition("@options")[0]),
        by_strategy=_groups(rows, lambda row: row.strategy),
        by_sector=_groups(rows, lambda row: row.sector),
        correlations=correlations(book),
        worst_day=worst,
        gaps=gaps,
        at_stops=Usd(max(-_sum(row.at_stop for row in rows), ZERO)),
        limits=limit_uses(
            state,
            replace(limits, risk=risk_limits),
            [stake.exposure for stake in stakes],
            now,
            day_trades=day_trades,
            correlate=known.correlate,
        ),
        left_out=_left_out(looked, worst, gaps),
        remarks=(*known.troubles, *_odd(book)),
    )


class _Looked(NamedTuple):
    """A row, the position behind it as moves meet it, and why moves cannot be worked out."""

    row: RiskRow
    held: Held | None = None
    trouble: str = ""


class _Stake(NamedTuple):
    """A position or working entry, and how much of what it is."""

    exposure: Exposure
    instrument: Instrument
    quantity: Quantity
    handle: str


def _stakes(state: State, known: Known) -> list[_Stake]:
    """Return positions, then working entries, each by symbol, with what is known of their securities."""
    entries = [record for record in state.orders.open() if record.order.role is OrderRole.ENTRY]
    numbers, orders = position_handles(state.positions), order_handles(state)
    whats = (
        *((row.position.instrument, row.position.quantity, numbers[key]) for key, row in state.positions.items()),
        *((e.order.instrument, Quantity(e.open_quantity), orders[e.order.client_order_id]) for e in entries),
    )
    stakes = (
        _Stake(replace(exposure, sector=known.sector_of(what[0]), beta=known.beta_of(what[0])), *what)
        for exposure, what in zip(exposures_of(state), whats, strict=True)
    )
    return sorted(stakes, key=lambda stake: (stake.exposure.is_working_entry, stake.exposure.key))


def _look(state: State, stake: _Stake, base: str, past_of: PastOf) -> _Looked:
    exposure, instrument, quantity, handle = stake
    row = RiskRow(
        symbol=exposure.key,
        side=exposure.side,
        quantity=quantity,
        is_entry=exposure.is_working_entry,
        handle=handle,
        strategy=exposure.strategy,
        sector=exposure.sector,
        notional=exposure.notional,
        risk=exposure.risk,
    )
    if exposure.is_working_entry:
        return _Looked(row)
    record = state.positions[exposure.key]
    if record.rate is None and instrument.currency != base:
        why = f"no rate of {instrument.currency} is known"
        return _Looked(replace(row, notional=None, risk=None, remarks=(why,)), None, why)
    return _look_at_position(state, record, row, past_of(instrument))


def _look_at_position(state: State, record: PositionRecord, row: RiskRow, past: Past) -> _Looked:
    position = record.position
    protection = protection_of(position, state.orders.of(row.symbol))
    stop = protection.stop_price
    held = Held(
        key=row.symbol,
        instrument=position.instrument,
        side=position.side,
        quantity=position.quantity,
        price=record.current_price,
        rate=record.rate,
        stop_price=stop,
        underlying=past.underlying,
        volatility=past.volatility,
        interest=past.interest,
        returns=past.returns,
    )
    bare = position.quantity - protection.quantity
    remarks = (
        *((f"{plain(bare)} of {plain(position.quantity)} have no stop: their whole value is at risk",) if bare else ()),
        *((past.trouble,) if past.trouble else ()),
    )
    return _Looked(
        replace(
            row,
            stop_price=stop,
            at_stop=None if stop is None else _at(held, stop, protection.quantity),
            days=len(past.returns),
            remarks=remarks,
        ),
        held,
        past.trouble,
    )


def _at(held: Held, price: Price, quantity: Quantity) -> Usd:
    gain = profit(held.side, held.price, price, quantity, held.instrument.multiplier)
    return worth(held.rate, gain, price)


def _odd(book: Sequence[Held]) -> Iterable[str]:
    """Yield which histories have a change that no usual session brings."""
    for held in book:
        odd = max(held.returns, key=lambda each: abs(each.change), default=None)
        if odd is not None and abs(odd.change) >= MOST_CHANGE:
            yield (
                f"The history of {held.key} changes by {percent(odd.change)} on {odd.day}: if that was a split, its "
                "older prices must be divided by it"
            )


def _groups(rows: Iterable[RiskRow], name_of: Callable[[RiskRow], str]) -> tuple[GroupRisk, ...]:
    members: dict[str, list[RiskRow]] = {}
    for row in rows:
        members.setdefault(name_of(row), []).append(row)
    sums = {name: _sum(row.risk for row in group) for name, group in members.items()}
    total = sum(sums.values(), ZERO)
    found = (
        GroupRisk(
            name=name,
            count=len(group),
            notional=_sum(row.notional for row in group),
            risk=sums[name],
            share=sums[name] / total if total else None,
        )
        for name, group in members.items()
    )
    return tuple(sorted(found, key=lambda group: (-group.risk, group.name)))


def _sum(amounts: Iterable[Decimal | None]) -> Usd:
    return Usd(sum((amount for amount in amounts if amount is not None), ZERO))


def _left_out(looked: Sequence[_Looked], worst: DayCost | None, gaps: Sequence[GapCost]) -> tuple[LeftOut, ...]:
    """Return which positions a sum does not count."""
    in_gaps = {cost.key for gap in gaps for cost in gap.costs}
    in_worst = {cost.key for cost in worst.costs} if worst is not None else set()
    return tuple(
        left
        for each in looked
        if not each.row.is_entry
        and (left := _left_out_of(each, is_in_gaps=each.row.symbol in in_gaps, worst=worst, counted=in_worst))
    )


def _left_out_of(each: _Looked, *, is_in_gaps: bool, worst: DayCost | None, counted: set[str]) -> LeftOut | None:
    row = each.row
    sums = (
        *(("risk",) if row.risk is None else ()),
        *(() if is_in_gaps else ("gaps",)),
        *(() if row.symbol in counted else ("worst_day",)),
        *(() if row.days >= LEAST_DAYS else ("correlation",)),
    )
    if not sums:
        return None
    why = each.trouble or "its underlying has no price or no volatility"
    if not each.trouble and row.days < LEAST_DAYS:
        why = f"its history has {row.days} sessions of the last year, fewer than {LEAST_DAYS}"
    elif not each.trouble and is_in_gaps and worst is not None:
        why = f"it has no change on {worst.day}"
    return LeftOut(symbol=row.symbol, sums=sums, why=why)
