"""Checks plain values against ``Settings``: every problem is found, named and explained at once."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, Union, get_args, get_origin

import msgspec

from apex_cli.core.errors import ConfigError
from apex_cli.settings.conflicts import conflicts
from apex_cli.settings.hints import closest, key_name, shown, suggestion
from apex_cli.settings.sections import OVERRIDE_PREFIX, Settings

MILLION = Decimal(1_000_000)
MAX_PROBLEMS = 100
"""Problems told at once; the search stops there."""


@dataclass(frozen=True, slots=True)
class Range:
    """The numbers a key takes: [low, high], or (low, high] when *above*."""

    low: Decimal
    high: Decimal
    above: bool = False

    def __contains__(self, number: Decimal) -> bool:
        """Tell whether *number* is allowed; NaN and infinities never are."""
        if not number.is_finite():
            return False
        return (number > self.low if self.above else number >= self.low) and number <= self.high

    def __str__(self) -> str:
        """Say it in words."""
        return f"{'above' if self.above else 'from'} {self.low:f} {'up to' if self.above else 'to'} {self.high:f}"


def _range(low: int, high: int | Decimal) -> Range:
    return Range(Decimal(low), Decimal(high))


FRACTION = Range(Decimal(0), Decimal(1), above=True)
MONEY = Range(Decimal(0), MILLION * MILLION, above=True)
MINUTES = _range(1, 525_600)
IN_R = Range(Decimal(0), Decimal(100), above=True)
RANGES: dict[str, Range] = {
    "execution.auto_min_score": _range(0, 1),
    "risk.capital": MONEY,
    "risk.max_risk_pct": FRACTION,
    "risk.max_position_pct": FRACTION,
    "risk.max_positions": _range(1, 10_000),
    "risk.min_quantity": _range(0, MILLION),
    "risk.min_reward_risk": _range(0, 1000),
    "risk.min_confidence": _range(0, 1),
    "risk.max_daily_loss_pct": FRACTION,
    "risk.max_drawdown_pct": FRACTION,
    "risk.max_open_risk_pct": FRACTION,
    "risk.max_orders_per_day": _range(1, 100_000),
    "risk.max_notional": MONEY,
    "risk.max_price_deviation_pct": FRACTION,
    "approval.expiry_minutes": MINUTES,
    "approval.max_price_drift_pct": FRACTION,
    "day_trades.limit": _range(0, 1000),
    "day_trades.window_sessions": _range(1, 100),
    "day_trades.equity_threshold": _range(0, MILLION * MILLION),
    "protection.stop_attempts": _range(1, 100),
    "protection.retry_pause_s": _range(0, 86_400),
    "reconcile.interval_minutes": MINUTES,
    "execution.reprice.after_s": _range(1, 86_400),
    "execution.reprice.step_pct": FRACTION,
    "execution.reprice.max_times": _range(1, 100),
    "execution.reprice.max_pct": FRACTION,
    "management.trailing.activate_at_r": IN_R,
    "management.trailing.distance_r": IN_R,
    "management.trailing.distance_pct": FRACTION,
    "management.breakeven_at_r": IN_R,
    "management.breakeven_offset_r": _range(0, 100),
    "management.breakeven_after_target": _range(1, 100),
    "management.scale_out.targets_r": IN_R,
    "management.scale_out.fractions": FRACTION,
    "management.max_holding.sessions": _range(1, 1000),
    "management.max_holding.minutes": MINUTES,
    "management.flat_at_close": _range(1, 300),
    "signals.max_age_minutes": MINUTES,
    "prices.max_age_minutes": MINUTES,
    "simulation.slippage_pct": _range(0, 1),
    "simulation.max_participation": FRACTION,
    "simulation.buying_power_multiple": _range(1, 100),
    "pipeline.history_bars": _range(200, 100_000),
    "pipeline.max_bar_age_days": _range(0, 36_500),
    "pipeline.cache_minutes": MINUTES,
    "technical.min_composite": _range(0, 1),
    "technical.min_trend": _range(0, 1),
    "predictor.min_probability": _range(0, 1),
    "predictor.max_age_days": _range(1, 3650),
    "predictor.min_accuracy": _range(0, 1),
    "predictor.accuracy_window": _range(10, 10_000),
    "predictor.min_samples": _range(200, 1_000_000),
    "predictor.embargo_bars": _range(1, 1000),
    "predictor.trees": _range(10, 10_000),
    "predictor.keep_versions": _range(2, 1000),
    "scanners.stop_atr": Range(Decimal(0), Decimal(100), above=True),
    "scanners.target_atr": Range(Decimal(0), Decimal(1000), above=True),
    "scanners.mean_reversion.interval_minutes": MINUTES,
    "scanners.mean_reversion.rsi_below": _range(1, 50),
    "scanners.volume_reversal.interval_minutes": MINUTES,
    "scanners.volume_reversal.volume_multiple": _range(0, 1000),
    "scanners.momentum_breakout.interval_minutes": MINUTES,
    "scanners.momentum_breakout.volume_multiple": _range(0, 1000),
    "scanners.momentum_breakout.lookback_bars": _range(2, 250),
    "scanners.trend_following.interval_minutes": MINUTES,
    "scanners.trend_following.min_adx": _range(0, 100),
    "bus.capacity": _range(1, 1_000_000),
    "learning.check_interval_s": _range(1, 86_400),
    "state.backups": _range(0, 1000),
    "state.lock_timeout_s": _range(1, 3600),
    "notify.deliver_s": _range(0, 60),
    "notify.telegram.poll_s": _range(1, 50),
    "broker.ib.ib_port": _range(1, 65_535),
    "broker.ib.ib_client_id": _range(1, 2**31 - 1),
    "broker.ib.read_only_offset": _range(1, 1_000_000),
    "broker.ib.connect_timeout_s": _range(1, 300),
    "broker.ib.request_timeout_s": _range(1, 300),
    "broker.ib.ack_timeout_s": _range(1, 300),
    "broker.ib.heartbeat_s": _range(1, 3600),
    "broker.ib.reconnect_max_s": _range(1, 3600),
    "broker.ib.quote_timeout_s": _range(1, 60),
}
"""What each number may be. Every number of the schema stands here."""


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One wrong key or value."""

    origin: str
    """The file or the variable it stands in."""

    key: str
    """Key path, such as ``risk.max_risk_pct``."""

    message: str
    value: str | None = None
    """What was found, as text."""

    allowed: str | None = None

    @property
    def sentence(self) -> str:
        """The whole of it."""
        return f"{self.origin}: {self.key}: {self.message}"


@cache
def schema(section: type[msgspec.Struct] = Settings) -> dict[str, Any]:
    """Return key -> type of a section; the type of a nested section is its Struct."""
    types_ = {field.name: field.type for field in msgspec.structs.fields(section)}
    if section is Settings:
        types_.pop("source")
        types_.pop("live")
    return types_


@cache
def leaves() -> dict[str, Any]:
    """Return key path -> type of every key that takes a value."""
    return dict(_leaves(Settings, ""))


def _leaves(section: type[msgspec.Struct], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, kind in schema(section).items():
        if _is_section(kind):
            yield from _leaves(kind, f"{prefix}{name}.")
        elif entry_type(kind) is None:
            yield f"{prefix}{name}", kind


def build_settings(
    document: Mapping[object, object],
    *,
    overrides: Mapping[str, object],
    variables: Sequence[str] = (),
    source: Path | None,
    base: Path,
) -> Settings:
    """Return the settings that *document* and then *overrides* (by variable name) describe.

    *variables* are the names of all ``APEX_`` variables, looked through for near misses.

    Raises:
        ConfigError: one or more keys or values are wrong; all of them are in ``details["problems"]``.
    """
    problems: list[Problem] = []
    file_values = _Reader(origin=str(source or "defaults"), base=base, problems=problems)
    values = file_values.section(Settings, document, "")
    keys = {_variable(path): path for path in leaves()}
    for name, value in overrides.items():
        _override(values, name, value, keys, _Reader(origin=f"${name}", base=base, problems=problems))
    problems += [
        Problem(origin=f"${name}", key=keys[fixed], message=f"it sets nothing; write {fixed}.")
        for name in variables
        if (fixed := _near_miss(name, keys))
    ]
    if not problems:
        settings: Settings = _make(Settings, values, base, source)
        problems += [Problem(origin=str(source or "settings"), **c._asdict()) for c in conflicts(settings)]
    if problems:
        raise _error(problems, source)
    return settings


def _variable(path: str) -> str:
    return OVERRIDE_PREFIX + path.upper().replace(".", "__")


def _near_miss(name: str, keys: Mapping[str, str]) -> str | None:
    """Return the variable that was meant when *name* has one underscore between section and key."""
    return next((right for right in keys if right != name and right.replace("__", "_") == name), None)


def _override(values: dict[str, Any], name: str, value: object, keys: Mapping[str, str], reader: _Reader) -> None:
    """Put one variable's value into the nested *values*."""
    path = keys.get(name)
    if path is None:
        guess = closest(name, list(keys))
        reader.problem(name, f"no key goes by this name{f'; did you mean {guess}?' if guess else '.'}")
        return
    found = reader.value(leaves()[path], value, path)
    *sections, key = path.split(".")
    for section in sections:
        values = values.setdefault(section, {})
    if found is not _BAD:
        values[key] = found


def _make(section: type[msgspec.Struct], values: Mapping[str, Any], base: Path, source: Path | None) -> Any:
    """Build the Struct, defaults where nothing was given; the state folder's default counts from *base* too."""
    given: dict[str, Any] = {}
    for name, kind in schema(section).items():
        own = values.get(name, {})
        if _is_section(kind):
            given[name] = _make(kind, own, base, source)
        elif (entry := entry_type(kind)) is not None:
            given[name] = {key: _make(entry, _merged(values, own[key]), base, source) for key in own}
        elif name in values:
            given[name] = values[name]
    made = section(**given)
    if not isinstance(made, Settings):
        return made
    state = msgspec.structs.replace(made.state, dir=base / made.state.dir)
    return msgspec.structs.replace(made, state=state, source=source)


def _merged(common: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return *common* with what *own* says in its place, section by section."""
    merged = dict(common)
    for name, value in own.items():
        is_section = isinstance(value, Mapping) and isinstance(merged.get(name), Mapping)
        merged[name] = _merged(merged[name], value) if is_section else value
    return merged


def _error(problems: list[Problem], source: Path | None) -> ConfigError:
    more = f" ({len(problems) - 1} more)" if len(problems) > 1 else ""
    return ConfigError(
        "config_invalid",
        problems[0].sentence + more,
        hint="Correct it; `apex init` writes a file with every key and its default.",
        details={
            "file": str(source) if source else None,
            "problems": [msgspec.to_builtins(problem) for problem in problems],
        },
    )


_BAD = object()
"""Stands for a value that was refused."""


class _Reader:
    """Reads the values of one origin and notes what is wrong with them."""

    __slots__ = ("base", "origin", "problems")

    def __init__(self, *, origin: str, base: Path, problems: list[Problem]) -> None:
        self.origin = origin
        self.base = base
        self.problems = problems

    def problem(self, key: str, message: str, value: object = _BAD, allowed: str | None = None) -> object:
        if len(self.problems) < MAX_PROBLEMS:
            found = None if value is _BAD else shown(value)
            self.problems.append(Problem(origin=self.origin, key=key, message=message, value=found, allowed=allowed))
        return _BAD

    def section(
        self, section: type[msgspec.Struct], document: object, path: str, rule: str | None = None
    ) -> dict[str, Any]:
        """Return the good values of a mapping; ``risk:`` with nothing under it is an empty section.

        Its ranges stand under *rule*, the same as *path* but for an entry under a name of its own.
        """
        rule = path if rule is None else rule
        values: dict[str, Any] = {}
        known = schema(section)
        for key, value in self._pairs(document, path):
            kind = known.get(key) if isinstance(key, str) else None
            if kind is None:
                self.problem(f"{path}{key_name(key)}", f"no such key; {suggestion(key, path, known, leaves())}")
            elif _is_section(kind):
                values[key] = self.section(kind, value, f"{path}{key}.", f"{rule}{key}.")
            elif (entry := entry_type(kind)) is not None:
                values[key] = self._entries(entry, value, f"{path}{key}.", rule)
            elif (found := self.value(kind, value, f"{path}{key}", f"{rule}{key}")) is not _BAD:
                values[key] = found
        return values

    def _pairs(self, document: object, path: str) -> Iterator[tuple[Any, object]]:
        """Yield keys and values while there are few problems; what is no mapping is one."""
        if document is None:
            return
        if not isinstance(document, Mapping):
            self.problem(path.rstrip("."), "a section takes keys below it, not a value.", document, "keys and values")
            return
        for key, value in document.items():
            if len(self.problems) >= MAX_PROBLEMS:
                return
            yield key, value

    def _entries(self, entry: type[msgspec.Struct], document: object, path: str, rule: str) -> dict[str, Any]:
        """Return sections under names of the user's own; their keys take what the section around them takes."""
        values: dict[str, Any] = {}
        for name, value in self._pairs(document, path):
            if isinstance(name, str) and name.strip() and name.isprintable():
                values[name] = self.section(entry, value, f"{path}{name}.", rule)
            else:
                self.problem(f"{path}{key_name(name)}", "a name is text; put one that looks like a number in quotes.")
        return values

    def value(self, kind: Any, value: object, path: str, rule: str = "") -> object:
        """Return *value* as *kind*, or ``_BAD`` after noting the problem; *rule* names its range, *path* by default."""
        rule = rule or path
        kinds = get_args(kind) if get_origin(kind) in {Union, types.UnionType} else (kind,)
        if value is None and types.NoneType in kinds:
            return None
        kind = _plain_type(next(one for one in kinds if one is not types.NoneType))
        if get_origin(kind) is tuple:
            return self._items(_plain_type(get_args(kind)[0]), value, path, rule)
        convert = next(convert for known, convert in _CONVERTERS.items() if issubclass(kind, known))
        found, allowed = convert(kind, value, rule)
        if found is _BAD:
            return self.problem(path, f"found {shown(value)}, allowed: {allowed}.", value, allowed)
        return self.base / found if isinstance(found, Path) else found

    def _items(self, kind: Any, value: object, path: str, rule: str) -> object:
        if not isinstance(value, list):
            return self.problem(path, f"found {shown(value)}, allowed: a list, such as [A, B].", value, "a list")
        items = [self.value(kind, item, f"{path}[{number}]", rule) for number, item in enumerate(value)]
        return _BAD if _BAD in items else tuple(items)


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def entry_type(kind: Any) -> type[msgspec.Struct] | None:
    """Return the section that stands under each name of a mapping such as ``dict[str, Plan]``; None for other kinds."""
    if get_origin(kind) is not dict:
        return None
    entry: type[msgspec.Struct] = get_args(kind)[1]
    return entry


def _plain_type(kind: Any) -> Any:
    """Return what a NewType such as ``Usd`` is made of."""
    return getattr(kind, "__supertype__", kind)


def _number(value: object, path: str, *, whole: bool) -> tuple[Any, str]:
    allowed = f"{'a whole number' if whole else 'a number'} {RANGES[path]}"
    is_number = isinstance(value, int | Decimal) and not isinstance(value, bool)
    if not is_number or (whole and not isinstance(value, int)):
        return _BAD, allowed
    number = Decimal(str(value)) if not isinstance(value, int) else Decimal(value)
    if number not in RANGES[path]:
        return _BAD, allowed
    return int(number) if whole else number, allowed


def _convert_bool(_: Any, value: object, __: str) -> tuple[Any, str]:
    return (value if isinstance(value, bool) else _BAD), "true or false"


def _convert_enum(kind: type[StrEnum], value: object, _: str) -> tuple[Any, str]:
    words = {str(word): word for word in kind}
    found = words.get(value.lower(), _BAD) if isinstance(value, str) else _BAD
    return found, " or ".join(words)


def _convert_path(_: Any, value: object, __: str) -> tuple[Any, str]:
    good = isinstance(value, str) and value.strip() and value.isprintable()
    return (Path(str(value)).expanduser() if good else _BAD), "a path"


def _convert_date(_: Any, value: object, __: str) -> tuple[Any, str]:
    allowed = "a date as YYYY-MM-DD"
    try:
        return (date.fromisoformat(value) if isinstance(value, str) else _BAD), allowed
    except ValueError:
        return _BAD, allowed


def _convert_text(_: Any, value: object, path: str) -> tuple[Any, str]:
    """Take a host name or a ticker; tickers are stored in capitals."""
    is_symbol = "symbols" in path or "watch_list" in path
    good = isinstance(value, str) and value.isascii() and value.isprintable() and " " not in value and value
    allowed = "a ticker; put one that looks like a number or a truth value in quotes" if is_symbol else "a name"
    return ((str(value).upper() if is_symbol else value) if good else _BAD), allowed


_CONVERTERS: dict[type, Callable[[Any, object, str], tuple[Any, str]]] = {
    bool: _convert_bool,
    StrEnum: _convert_enum,
    int: lambda _, value, path: _number(value, path, whole=True),
    Decimal: lambda _, value, path: _number(value, path, whole=False),
    Path: _convert_path,
    date: _convert_date,
    str: _convert_text,
}
"""In the order they are tried: a bool is an int, a StrEnum is a str."""
