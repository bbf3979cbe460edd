"""Conflicts between keys that are each valid alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from apex_cli.core.model.currency import CURRENCIES, MINOR_UNITS
from apex_cli.core.model.wording import percent, plain

if TYPE_CHECKING:
    from apex_cli.core.model.management import ManagementPlan, ScaleOut, TrailingStop
    from apex_cli.core.model.risk_limits import RiskLimits
    from apex_cli.settings.sections import Settings


class Conflict(NamedTuple):
    """One key that does not go with the others."""

    key: str
    message: str
    value: str | None
    allowed: str | None


def conflicts(settings: Settings) -> Iterator[Conflict]:
    """Find every contradiction; the defaults hold none."""
    for section, check in CHECKS.items():
        if settings.may_differ(section):
            yield from check(settings)


def _in_simulation(settings: Settings) -> Iterator[Conflict]:
    if settings.simulation.clock == "bars" and settings.prices.bars_dir is None:
        yield Conflict(
            "simulation.clock",
            "a bars clock needs prices.bars_dir, a folder with one SYMBOL.csv per symbol.",
            "bars",
            "system, or bars together with prices.bars_dir",
        )


def _in_signals(settings: Settings) -> Iterator[Conflict]:
    default_stop = settings.signals.default_stop
    if default_stop.atr is not None and default_stop.pct is not None:
        yield Conflict(
            "signals.default_stop", "it has both atr and pct; a stop is made by one rule.", None, "atr or pct"
        )


def _in_management(settings: Settings) -> Iterator[Conflict]:
    yield from _in_plan(settings.management, "management")
    for name, plan in settings.management.strategies.items():
        yield from _in_plan(plan, f"management.strategies.{name}")


def _in_notify(settings: Settings) -> Iterator[Conflict]:
    if (settings.notify.quiet_from is None) != (settings.notify.quiet_until is None):
        yield Conflict("notify.quiet_from", "quiet hours need both quiet_from and quiet_until.", None, None)


def _in_agents(settings: Settings) -> Iterator[Conflict]:
    from apex_cli.core.model.agent import NAME_RULE, agent_name  # noqa: PLC0415 - start-up is a feature

    for name in settings.agents.names:
        try:
            agent_name(name)
        except ValueError:
            yield Conflict("agents.names", f"{name[:40]!r} is no name of an agent.", name[:40], NAME_RULE)


def _in_currency(settings: Settings) -> Iterator[Conflict]:
    from apex_cli.core.model.spelling import COINS  # noqa: PLC0415 - start-up is a feature

    currency = settings.currency
    for name in currency.rates:
        code = name.upper()
        if code in MINOR_UNITS:
            whole, parts = MINOR_UNITS[code]
            what = f"{name} is 1/{parts} of {whole}, whose rate is asked for."
            yield Conflict(f"currency.rates.{name}", what, name, f"{whole}")
        elif code not in CURRENCIES | COINS or code == currency.base:
            what = "the account's own" if code == currency.base else "no currency or coin that is known here"
            yield Conflict(f"currency.rates.{name}", f"{name} is {what}.", name, "another currency, such as EUR")


def _in_protections(settings: Settings) -> Iterator[Conflict]:
    protections = settings.protections
    if protections.sectors.is_on and protections.sectors.file is None:
        yield Conflict(
            "protections.sectors.file", "limits of sectors need a file with the sector of each symbol.", None, "a file"
        )


def _in_risk(settings: Settings) -> Iterator[Conflict]:
    yield from conflicts_of_risk(settings.risk)


def conflicts_of_risk(risk: RiskLimits) -> Iterator[Conflict]:
    """Find a risk of one trade above its ceiling."""
    if risk.max_risk_pct > risk.max_risk_pct_ceiling:
        found, ceiling = plain(risk.max_risk_pct), plain(risk.max_risk_pct_ceiling)
        yield Conflict(
            "risk.max_risk_pct",
            f"found {found}, which is {percent(risk.max_risk_pct)} of capital at each stop, allowed: up to {ceiling}. "
            f"If {found} % is meant, write {plain(risk.max_risk_pct / 100)}; else raise risk.max_risk_pct_ceiling.",
            found,
            f"up to {ceiling}",
        )


def _in_reprice(settings: Settings) -> Iterator[Conflict]:
    reprice = settings.execution.reprice
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


CHECKS: dict[str, Callable[[Settings], Iterator[Conflict]]] = {
    "simulation": _in_simulation,
    "signals": _in_signals,
    "currency": _in_currency,
    "risk": _in_risk,
    "execution": _in_reprice,
    "protections": _in_protections,
    "management": _in_management,
    "agents": _in_agents,
    "notify": _in_notify,
}
"""What may be wrong in a section, beside what others say."""
