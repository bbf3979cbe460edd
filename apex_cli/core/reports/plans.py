"""Plans of trades and the reasons for them, read from events one by one."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from apex_cli.core.model.base import Value
from apex_cli.core.model.decision import DecisionKind
from apex_cli.core.model.money import Price
from apex_cli.core.model.records import BracketRecord
from apex_cli.core.model.signal import Opportunity
from apex_cli.core.state.events.base_event import BaseEvent, kinds_of
from apex_cli.core.state.events.book_events import PositionAdopted
from apex_cli.core.state.events.management_events import StopMoved, TrailStarted
from apex_cli.core.state.events.order_events import IntentWritten
from apex_cli.core.state.events.signal_events import Decided

PLAN_KINDS = kinds_of(Decided, IntentWritten, PositionAdopted, StopMoved, TrailStarted)
"""Kinds of events that plans are made of."""


class StopPlace(Value, frozen=True, kw_only=True):
    """Where a stop stood from a moment on."""

    at: datetime
    price: Price


class TradePlan(Value, frozen=True, kw_only=True):
    """One entry as it was planned, and the way of its stop."""

    bracket: BracketRecord
    opportunity: Opportunity | None = None
    """The signal with its score; None for a position that was taken over."""

    stops: tuple[StopPlace, ...] = ()
    """Where the stop was moved to, oldest first."""


class PlanBook:
    """Hears events, and keeps the plan of every entry."""

    def __init__(self) -> None:
        """Start with none."""
        self.plans: dict[str, TradePlan] = {}
        """By bracket id."""
        self._opportunities: dict[str, Opportunity] = {}

    def hear(self, event: BaseEvent) -> None:
        """Take one event; those that say nothing about a plan are passed over."""
        match event:
            case Decided(data=record) if record.decision.kind is not DecisionKind.REFUSE:
                self._opportunities[record.decision.signal_id] = record.opportunity
            case IntentWritten(data=intent) if intent.bracket is not None:
                self._planned(intent.bracket)
            case PositionAdopted(data=bracket):
                self._planned(bracket)
            case StopMoved(data=move):
                self._stop(move.client_order_id, StopPlace(at=event.at, price=move.to_price))
            case TrailStarted(data=trail):
                self._stop(trail.replaces, StopPlace(at=event.at, price=trail.stop_price))
            case _:
                pass

    def _planned(self, bracket: BracketRecord) -> None:
        """Keep the first plan of an entry: later ones follow the price."""
        if bracket.bracket_id not in self.plans:
            opportunity = self._opportunities.pop(bracket.signal_id, None)
            self.plans[bracket.bracket_id] = TradePlan(bracket=bracket, opportunity=opportunity)

    def _stop(self, client_order_id: str, place: StopPlace) -> None:
        plan = next((plan for name in client_order_id.split("-") if (plan := self.plans.get(name))), None)
        if plan is not None:
            self.plans[plan.bracket.bracket_id] = replace(plan, stops=(*plan.stops, place))
