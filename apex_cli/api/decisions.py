"""``decide``: what apex would do with a signal."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from msgspec.structs import replace

from apex_cli.api.apex import Apex
from apex_cli.api.settings import SettingsLike, settings_of
from apex_cli.core.model.records import SignalReport
from apex_cli.core.signals.strategy import Signal


def decide(signal: Signal, settings: SettingsLike = None) -> SignalReport:
    """Return what would become of *signal* now: executed, queued or refused, with every reason; nothing is done.

    Args:
        signal: as a strategy makes it.
        settings: the path of a configuration: its account as it is now, as ``Apex.decide``. Otherwise (a mapping, or
            None for the defaults) a simulated account that holds nothing yet.

    Raises:
        InputError: it is no signal; the message names the field.
        ConfigError: the settings are wrong.
        BrokerError: the broker of the account cannot be reached.
    """
    if isinstance(settings, Path | str):
        return Apex(settings).decide(signal)
    chosen = settings_of(settings)
    with TemporaryDirectory(prefix="apex-decide-") as place:
        execution = replace(chosen.execution, simulation_mode=True)
        state = replace(chosen.state, dir=Path(place, "state"))
        return Apex(chosen.replace(execution=execution, state=state)).decide(signal)
