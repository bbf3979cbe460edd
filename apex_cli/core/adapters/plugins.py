"""Parts that the configuration names: entry points of installed packages, or ``module:Class``."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from apex_cli.core.errors import ConfigError

GROUPS = {"stages": "apex_cli.stages", "scanners": "apex_cli.scanners", "bars": "apex_cli.bars"}
"""Entry point group by what it offers."""


def load_class(name: str, kind: str, *, key: str, built_in: tuple[str, ...] = (), base: Path | None = None) -> Any:  # noqa: ANN401 - anybody's class
    """Return the class that *name* means: an entry point of the group of *kind*, or ``module:Class``.

    With *base*, the folder of the configuration file, modules beside it are found, too.

    Raises:
        ConfigError: there is none of that name, or importing it failed.
    """
    if ":" not in name:
        found = list(entry_points(group=GROUPS[kind], name=name))
        if not found:
            known = [*built_in, *sorted(point.name for point in entry_points(group=GROUPS[kind]))]
            raise ConfigError(
                "config_invalid",
                f"{key}: there is no {name!r} among the {kind}.",
                hint=f"Write one of: {', '.join(known)}; or module:Class.",
            )
        name = found[0].value
    module, _, attribute = name.partition(":")
    if base is not None and str(base) not in sys.path:
        sys.path.append(str(base))
    try:
        return getattr(import_module(module), attribute)
    except Exception as error:
        raise ConfigError(
            "config_invalid",
            f"{key}: {name} cannot be loaded: {type(error).__name__}: {error}.",
            hint="Write module:Class as Python imports it; a module beside the configuration file is found.",
        ) from error
