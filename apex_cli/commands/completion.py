"""What a shell may complete: held symbols, waiting approvals, recent signals, strategies.

A shell asks at every key, so this reads as little as possible, and whatever is wrong completes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from apex_cli.core.state.tables import State

Completion = Callable[[Any, str], list[tuple[str, str]]]


def _state(context: Any) -> State:  # noqa: ANN401 - Typer's own type is private
    from apex_cli.app.resources import open_store, read_settings

    config, profile = context.params.get("config"), context.params.get("profile")
    return open_store(read_settings(Path(config) if config else None, profile=profile or "")).view()


def _completing(names: Callable[[State], Iterator[tuple[str, str]]]) -> Completion:
    """Return what Typer calls: those of *names* that begin with what is typed."""

    def completed(ctx: Any, incomplete: str) -> list[tuple[str, str]]:  # noqa: ANN401 - Typer's own type is private
        try:
            found = list(names(_state(ctx)))
        except Exception:  # noqa: BLE001 - completion stays silent about errors
            return []
        return [(name, about) for name, about in found if name.upper().startswith(incomplete.upper())]

    return completed


def _held(state: State) -> Iterator[tuple[str, str]]:
    for key, row in state.positions.items():
        yield key, f"{row.position.side} {row.position.quantity.normalize():f}"


def _entries(state: State) -> Iterator[tuple[str, str]]:
    for record in state.orders.open():
        if record.order.role == "ENTRY":
            yield record.order.instrument.key, f"{record.order.side} {record.open_quantity.normalize():f}"


def _pending(state: State) -> Iterator[tuple[str, str]]:
    for approval in state.approvals.values():
        if approval.status == "pending":
            signal = approval.opportunity.signal
            yield signal.instrument.key, f"{signal.side}, {approval.approval_id}"


def _recent(state: State) -> Iterator[tuple[str, str]]:
    for record in reversed(list(state.signals.values())):
        yield record.signal_id, record.outcome


def _strategies(state: State) -> Iterator[tuple[str, str]]:
    names = {trip.strategy for trip in state.round_trips.values()}
    names |= {bracket.strategy for bracket in state.brackets.values()}
    for name in sorted(names - {""}):
        yield name, ""


held_names = _completing(_held)
entry_names = _completing(_entries)
pending_names = _completing(_pending)
recent_names = _completing(_recent)
strategy_names = _completing(_strategies)
