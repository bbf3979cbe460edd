"""Keys that are right alone and wrong together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import time
from decimal import Decimal
from typing import NamedTuple

from apex_cli.core.model.limits import RepriceLimits
from apex_cli.core.model.management import ManagementPlan, ScaleOut, TrailingStop
from apex_cli.settings.hints import shown
from apex_cli.settings.sections import NotifySettings, Settings


class Conflict(NamedTuple):
    """One key that does not go with the others."""

    key: str
    message: str
    value: str | None
    allowed: str | None


def conflicts(settings: Settings) -> Iterator[Conflict]:
    """Find every contradiction."""
    if settings.simulation.clock == "bars" and settings.prices.bars_dir is None:
        yield Conflict(
            "simulation.clock",
            "a bars clock needs prices.bars_dir, a folder with one SYMBOL.csv per symbol.",
            "bars",
            "system, or bars together with prices.bars_dir",
        )
    yield from _in_reprice(settings.execution.reprice)
    yield from _in_plan(settings.management, "management")
    for name, plan in settings.management.strategies.items():
        yield from _in_plan(plan, f"management.strategies.{name}")
    yield from _in_quiet_hours(settings.notify)
    if settings.broker.ib.quiet_hours != Settings().broker.ib.quiet_hours:
        yield from _in_windows(settings.broker.ib.quiet_hours)


def _in_windows(windows: Sequence[str]) -> Iterator[Conflict]:
    from apex_cli.core.adapters.ib.quiet_hours import parse_quiet_hours  # noqa: PLC0415 - start-up is a feature

    for text in windows:
        try:
            parse_quiet_hours(text)
        except ValueError as error:
            yield Conflict("broker.ib.quiet_hours", f"found {text!r}: {error}.", text, None)


def _in_quiet_hours(notify: NotifySettings) -> Iterator[Conflict]:
    allowed = 'a time of day in quotes, such as "22:00"'
    for name, found in {"quiet_from": notify.quiet_from, "quiet_until": notify.quiet_until}.items():
        if found is not None and not _is_time_of_day(found):
            yield Conflict(f"notify.{name}", f"found {shown(found)}, allowed: {allowed}.", found, allowed)
    if (notify.quiet_from is None) != (notify.quiet_until is None):
        yield Conflict("notify.quiet_from", "quiet hours need both quiet_from and quiet_until.", None, None)
    if (notify.quiet_from or notify.time_zone != NotifySettings().time_zone) and not _is_zone(notify.time_zone):
        message = f"{shown(notify.time_zone)} is no time zone, such as Europe/Zurich."
        yield Conflict("notify.time_zone", message, notify.time_zone, None)


def _is_time_of_day(text: str) -> bool:
    try:
        time.fromisoformat(text)
    except ValueError:
        return False
    return len(text) == len("22:00")


def _is_zone(name: str) -> bool:
    from zoneinfo import ZoneInfo  # noqa: PLC0415 - start-up is a feature

    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return False
    return True


def _in_reprice(reprice: RepriceLimits) -> Iterator[Conflict]:
    if reprice.step_pct > reprice.max_pct:
        yield Conflict(
            "execution.reprice.step_pct",
            f"one step of {reprice.step_pct} is more than execution.reprice.max_pct, {reprice.max_pct}, allows in all.",
            str(reprice.step_pct),
            f"at most {reprice.max_pct}",
        )


def _in_plan(plan: ManagementPlan, path: str) -> Iterator[Conflict]:
    yield from _in_trailing(plan.trailing, f"{path}.trailing")
    yield from _in_scale_out(plan.scale_out, f"{path}.scale_out")
    reached, offset = plan.breakeven_at_r, plan.breakeven_offset_r
    if reached is not None and offset >= reached:
        yield Conflict(
            f"{path}.breakeven_offset_r",
            f"a stop {offset} R beyond the entry cannot be placed at a profit of {reached} R.",
            str(offset),
            f"below breakeven_at_r, {reached}",
        )


def _in_trailing(trailing: TrailingStop, path: str) -> Iterator[Conflict]:
    distances = [value for value in (trailing.distance_r, trailing.distance_pct) if value is not None]
    if trailing.activate_at_r is not None and len(distances) != 1:
        yield Conflict(
            f"{path}.distance_r",
            f"a trailing stop needs one distance, found {len(distances)}: set distance_r or distance_pct.",
            str(len(distances)),
            "distance_r or distance_pct",
        )
    elif trailing.activate_at_r is None and distances:
        yield Conflict(
            f"{path}.activate_at_r",
            "a distance alone starts nothing: set the profit in R from which the stop follows the price.",
            "nothing",
            "a number of R",
        )


def _in_scale_out(scale_out: ScaleOut, path: str) -> Iterator[Conflict]:
    targets, fractions = scale_out.targets_r, scale_out.fractions
    if list(targets) != sorted(set(targets)):
        yield Conflict(f"{path}.targets_r", "targets must rise, nearest first.", _listed(targets), "rising numbers")
    if fractions and len(fractions) != len(targets):
        yield Conflict(
            f"{path}.fractions",
            f"{len(fractions)} fractions for {len(targets)} targets: give one each, or none for even parts.",
            _listed(fractions),
            f"{len(targets)} fractions",
        )
    if sum(fractions) > 1:
        total = sum(fractions, Decimal(0))
        yield Conflict(
            f"{path}.fractions", f"they add up to {total}, more than all of it.", _listed(fractions), "at most 1"
        )


def _listed(values: tuple[Decimal, ...]) -> str:
    return f"[{', '.join(map(str, values))}]"
