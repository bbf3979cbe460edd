"""From the state, the account and a price to the snapshot that a decision reads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import NamedTuple

from msgspec.structs import replace

from apex_cli.core.market.calendar import session_date, week_of
from apex_cli.core.model.account import AccountSnapshot
from apex_cli.core.model.agent import AgentStanding
from apex_cli.core.model.currency import Rate, worth
from apex_cli.core.model.decision import DayTradeStatus, Decision, Exposure, ProtectionInputs, Snapshot
from apex_cli.core.model.instrument import OptionRight
from apex_cli.core.model.market import MarketStatus, Quote
from apex_cli.core.model.money import ONE, ZERO, Usd
from apex_cli.core.model.order import OrderRecord, OrderRole, OrderStatus
from apex_cli.core.model.position import profit
from apex_cli.core.model.records import ApprovalStatus, BracketRecord, Counters, PositionRecord
from apex_cli.core.model.signal import Signal
from apex_cli.core.model.trade_size import Sized
from apex_cli.core.positions.protection import protection_of
from apex_cli.core.positions.trade_locks import locks_in_force
from apex_cli.core.state.tables import State


def take_snapshot(
    state: State,
    *,
    now: datetime,
    account: AccountSnapshot,
    quote: Quote | None,
    market: MarketStatus,
    day_trades: DayTradeStatus,
    exposures: Iterable[Exposure],
    rate: Rate | None,
    agent: AgentStanding | None,
    protections: ProtectionInputs,
) -> Snapshot:
    """Return everything a decision looks at; *exposures* are those of *state*, and what a dry run would have opened.

    *rate* is that of the currency which the opportunity's instrument is priced in, *agent* what the agent has used
    that proposed it, and *protections* what section ``protections`` reads.

    Counters of an earlier session say nothing of this one: they count as if it had been started now.
    """
    counters = session_counters(state.counters, account, session_date(now))
    trading = state.trading
    return Snapshot(
        taken_at=now,
        trading_mode=trading.mode,
        trading_mode_reason=trading.reason,
        account=account,
        session_start_equity=counters.session_start_equity or account.equity,
        peak_equity=counters.raised(account.equity).peak_equity,
        exposures=tuple(exposures),
        entries_today=counters.entries_today,
        quote=quote,
        market=market,
        day_trades=day_trades,
        blocked_instruments=blocked_instruments(state),
        locks=tuple(state.locks.values()),
        trade_locks=locks_in_force(state, now),
        rate=rate,
        agent=agent,
        protections=protections,
    )


def agent_standing(state: State, signal: Signal, now: datetime) -> AgentStanding | None:
    """Return what the agent that proposed *signal* has used of its budget, *signal* left out; None without an agent."""
    if signal.proposal is None:
        return None
    agent, own, session = signal.proposal.agent, signal.signal_id, session_date(now)
    rows = [row for row in state.signals.values() if row.agent == agent and row.signal_id != own]
    waiting = [
        approval.decision.sized
        for approval in state.approvals.values()
        if approval.status is ApprovalStatus.PENDING
        and now < approval.expires_at
        and (other := approval.opportunity.signal).proposal is not None
        and other.proposal.agent == agent
        and other.signal_id != own
    ]
    return AgentStanding(
        proposals=sum(1 for row in rows if session_date(row.seen_at) == session),
        waiting=len(waiting),
        risk=Usd(agent_risk(state, agent) + sum((sized.risk_amount for sized in waiting if sized is not None), ZERO)),
    )


def agent_risk(state: State, agent: str) -> Decimal:
    """Return the loss, in account currency, if every stop is hit of positions and working entries of an agent."""
    brackets = {key: bracket for key, bracket in state.brackets.items() if bracket.agent == agent}
    if not brackets:
        return ZERO
    held = {key for key, row in state.positions.items() if row.position.bracket_id in brackets}
    positions = [each for each in exposures_of(state) if not each.is_working_entry and each.key in held]
    entries = [
        _working(record, brackets[record.order.bracket_id])
        for record in state.orders.open()
        if record.order.role is OrderRole.ENTRY and record.order.bracket_id in brackets
    ]
    return sum((each.risk for each in (*positions, *entries)), ZERO)


def session_counters(counters: Counters, account: AccountSnapshot, session: date) -> Counters:
    """Return *counters* as they are in *session*: fresh ones when they are of another.

    The day's opening equity is the broker's prior close where it reports one.
    """
    if counters.session_date == session.isoformat():
        return counters
    equity = account.prior_close_equity or account.equity
    return replace(
        _periods(counters.raised(equity), equity, session),
        session_date=session.isoformat(),
        session_start_equity=equity,
        session_scaled=Usd(ZERO),
        entries_today=0,
        fills_since=counters.fills_since or session.isoformat(),
    )


def _periods(counters: Counters, equity: Usd, session: date) -> Counters:
    """Return *counters* with the opening values of week and month as they are in *session*, which begins."""
    today = session.isoformat()
    if not counters.week_since or week_of(date.fromisoformat(counters.week_since)) != week_of(session):
        counters = replace(counters, week_since=today, week_start_equity=equity)
    if counters.month_since[:7] != today[:7]:
        counters = replace(counters, month_since=today, month_start_equity=equity)
    return counters


def blocked_instruments(state: State) -> tuple[str, ...]:
    """Return the keys of instruments with an order of unknown outcome."""
    keys = {r.order.instrument.key for r in state.orders.open() if r.status is OrderStatus.UNKNOWN}
    return tuple(sorted(keys))


class _Held(NamedTuple):
    """The exposure of a position, and what it was made from."""

    exposure: Exposure
    row: PositionRecord
    orders: list[OrderRecord]
    plan: BracketRecord | None


class ExposureBook:
    """What is exposed, worked out again only of what changed since the last look."""

    __slots__ = ("_made", "_prices", "_seen", "_working")

    def __init__(self) -> None:
        """Start without a look."""
        self._seen: tuple[object, int, tuple[int, ...]] | None = None
        self._prices = 0
        self._made: dict[str, _Held] = {}
        self._working: list[Exposure] = []

    def __call__(self, state: State) -> tuple[Exposure, ...]:
        """Return what ``exposures_of`` returns."""
        orders, positions = state.orders, state.positions
        fresh = orders.additions - (self._seen[1] if self._seen else 0)
        kept = (orders.rewrites, len(orders) - orders.additions, positions.additions, len(positions))
        if self._seen is None or self._seen[0] is not orders or self._seen[2] != kept:
            by_key, entries = _open_orders(state)
            self._made = {key: self._make(row, by_key.get(key, []), state) for key, row in positions.items()}
            self._working = [_working(record, state.brackets.get(record.order.bracket_id)) for record in entries]
        else:
            if self._prices != positions.rewrites:
                self._made = {
                    key: self._make(row, self._orders_of(key, state), state) for key, row in positions.items()
                }
            if fresh:
                self._add(state, orders.newest(fresh))
        self._seen, self._prices = (orders, orders.additions, kept), positions.rewrites
        return (*[made.exposure for made in self._made.values()], *self._working)

    def _orders_of(self, key: str, state: State) -> list[OrderRecord]:
        """Return the open orders of *key*, which have not changed since the last look."""
        known = self._made.get(key)
        return [each for each in state.orders.of(key) if each.is_open] if known is None else known.orders

    def _make(self, row: PositionRecord, orders: list[OrderRecord], state: State) -> _Held:
        """Return the exposure of *row*: with another price alone it is worth something else, and risks the same."""
        known = self._made.get(row.position.instrument.key)
        plan = state.brackets.get(row.position.bracket_id)
        is_same = (
            known is not None
            and known.row.position is row.position
            and known.row.rate is row.rate
            and known.plan is plan
            and known.orders == orders
        )
        if known is None or not is_same:
            return _Held(_held(row, orders, state.brackets), row, orders, plan)
        if known.row is row:
            return known
        return _Held(replace(known.exposure, notional=_notional(row)), row, orders, plan)

    def _add(self, state: State, records: Iterable[OrderRecord]) -> None:
        for record in records:
            key = record.order.instrument.key
            if key in self._made:
                open_orders = [r for r in state.orders.of(key) if r.is_open]
                self._made[key] = self._make(state.positions[key], open_orders, state)
            if record.is_open and record.order.role is OrderRole.ENTRY:
                self._working.append(_working(record, state.brackets.get(record.order.bracket_id)))


def exposures_of(state: State) -> tuple[Exposure, ...]:
    """Return open positions and entries that may still fill, with their loss at the stop."""
    by_key, entries = _open_orders(state)
    held = [_held(row, by_key.get(key, []), state.brackets) for key, row in state.positions.items()]
    working = [_working(record, state.brackets.get(record.order.bracket_id)) for record in entries]
    return (*held, *working)


def _open_orders(state: State) -> tuple[dict[str, list[OrderRecord]], list[OrderRecord]]:
    """Return the orders that may still fill by security, and the entries among them."""
    by_key: defaultdict[str, list[OrderRecord]] = defaultdict(list)
    entries: list[OrderRecord] = []
    for record in state.orders.open():
        by_key[record.order.instrument.key].append(record)
        if record.order.role is OrderRole.ENTRY:
            entries.append(record)
    return by_key, entries


def planned_exposure(decision: Decision, sized: Sized, strategy: str) -> Exposure:
    """Return what *decision* on a signal of *strategy* would open."""
    return Exposure(
        key=decision.instrument.key,
        side=decision.side.opens,
        notional=sized.notional,
        risk=sized.risk_amount,
        is_working_entry=True,
        is_put=decision.instrument.right is OptionRight.PUT,
        strategy=strategy,
    )


def _held(row: PositionRecord, orders: list[OrderRecord], brackets: Mapping[str, BracketRecord]) -> Exposure:
    position = row.position
    plan = brackets.get(position.bracket_id)
    return Exposure(
        key=position.instrument.key,
        side=position.side,
        notional=_notional(row),
        risk=_open_risk(row, orders),
        quantity=position.quantity,
        opened_on=session_date(position.entry_time).isoformat(),
        is_put=position.instrument.right is OptionRight.PUT,
        strategy=plan.strategy if plan is not None else "",
    )


def _notional(row: PositionRecord) -> Usd:
    position = row.position
    return row.worth(position.quantity * row.current_price * position.instrument.multiplier)


def _open_risk(row: PositionRecord, orders: list[OrderRecord]) -> Usd:
    """Loss from the entry price if every stop is hit; what no stop covers counts in full."""
    position = row.position
    protection = protection_of(position, orders)
    per_unit: Decimal = ZERO
    if protection.stop_price is not None:
        per_unit = max(ZERO, -profit(position.side, position.entry_price, protection.stop_price, ONE, ONE))
    uncovered = position.quantity - protection.quantity
    risk = protection.quantity * per_unit + uncovered * position.entry_price
    return row.worth(risk * position.instrument.multiplier)


def _working(record: OrderRecord, bracket: BracketRecord | None) -> Exposure:
    order = record.order
    price = bracket.entry_price if bracket else order.limit_price or order.stop_price or Decimal(0)
    rate = bracket.rate if bracket else None
    notional = worth(rate, record.open_quantity * price * order.instrument.multiplier, price)
    risk = record.open_quantity * bracket.risk_per_unit if bracket else notional
    return Exposure(
        key=order.instrument.key,
        side=order.side.opens,
        notional=notional,
        risk=Usd(risk),
        is_working_entry=True,
        is_put=order.instrument.right is OptionRight.PUT,
        strategy=bracket.strategy if bracket is not None else "",
    )
