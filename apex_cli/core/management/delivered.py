"""A stop for shares that an option delivered: nobody planned one."""

from __future__ import annotations

from decimal import Decimal

from apex_cli.core.errors import NothingToDo
from apex_cli.core.model.fill import Fill, Settlement
from apex_cli.core.model.management import ManagementLimits
from apex_cli.core.model.money import Price
from apex_cli.core.model.position import Position
from apex_cli.core.model.records import BracketRecord
from apex_cli.core.ports import Clock, Ids, PriceOf, RateOf, StateStore
from apex_cli.core.positions.adopted_plans import give_plan
from apex_cli.core.state.tables import State

DELIVERIES = frozenset({Settlement.EXERCISED, Settlement.ASSIGNED})


class DeliveredShares:
    """Gives what an option delivered a plan with a stop, where ``management.options.delivered_stop_pct`` says so."""

    def __init__(
        self,
        *,
        store: StateStore,
        clock: Clock,
        ids: Ids,
        management: ManagementLimits,
        price_of: PriceOf,
        rate_of: RateOf,
        base: str,
        stop_limit_pct: Decimal | None,
    ) -> None:
        """Keep the parts; *base* is the account's currency."""
        self._store = store
        self._clock = clock
        self._ids = ids
        self._management = management
        self._price_of = price_of
        self._rate_of = rate_of
        self._base = base
        self._stop_limit_pct = stop_limit_pct

    async def plan(self, position: Position) -> bool:
        """Give *position*, which has no plan, one; False where it was not delivered, or none is wanted or known."""
        state = self._store.view()
        part = self._wanted(state, position)
        if part is None:
            return False
        instrument = position.instrument
        price = await self._price_of(instrument) or position.entry_price
        rate = await self._rate_of(instrument, price)
        if rate is None and instrument.currency != self._base:
            return False
        stop = Price(price * (1 - part * position.side.sign))
        try:
            give_plan(
                self._store,
                position,
                self._ids.new(),
                self._clock.now(),
                stop=stop,
                rate=rate,
                stop_limit_pct=self._stop_limit_pct,
            )
        except NothingToDo:
            return False
        return True

    def _wanted(self, state: State, position: Position) -> Decimal | None:
        """Return how far from the price the stop is to stand; None for no stop."""
        first: Fill | None = state.fills.get(position.first_fill_key)
        if first is None or first.settlement not in DELIVERIES:
            return None
        bracket: BracketRecord | None = state.brackets.get(first.bracket_id)
        return self._management.plan_for(bracket.strategy if bracket else "").options.delivered_stop_pct
