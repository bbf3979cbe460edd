"""Classes and functions of the user's own: loaded by name, with limits of time and memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from apex_cli.core.errors import ApexError, ConfigError
from apex_cli.settings.sections import Settings

if TYPE_CHECKING:
    from apex_cli.core.signals.plugin_limits import Limits

PartT = TypeVar("PartT")


def load_part(
    settings: Settings,
    name: str,
    kind: str,
    *,
    key: str,
    make: Callable[[Any], PartT],
    built_in: tuple[str, ...] = (),
) -> PartT:
    """Return what *make* makes of the class or function that *name* means, within the limits of a step.

    Raises:
        ConfigError: there is none of that name, it may not be loaded, or it failed or did not end.
    """
    from apex_cli.core.adapters.plugins import load_class
    from apex_cli.core.signals.plugin_limits import LeftOutError, described

    base = settings.source.parent if settings.source is not None else None
    try:
        return step_limits(settings).call(lambda: make(load_class(name, kind, key=key, built_in=built_in, base=base)))
    except ConfigError:
        raise
    except Exception as error:
        is_ours = isinstance(error, LeftOutError | ApexError)
        what = str(error).rstrip(".") if is_ours else described(error)
        raise ConfigError(
            "config_invalid", f"{key}: {name} cannot be made: {what}.", hint=f"Correct it, or take it out of {key}."
        ) from error


def step_limits(settings: Settings) -> Limits:
    """Return how long one call of a step or scanner may take, and how much memory it may add."""
    from apex_cli.core.signals.plugin_limits import Limits

    return Limits(settings.pipeline.time_limit_s, settings.pipeline.memory_limit_mb)
