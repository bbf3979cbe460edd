"""Parts that the configuration names: entry points of installed packages, or ``module:Class``.

A module beside the configuration file is found, too. Code is run as this user, so it must be this user's or root's, and
nobody else may be able to write it; nothing is loaded from the folder that apex happens to be started in.
"""

from __future__ import annotations

import os
import stat
import sys
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from apex_cli.core.errors import ConfigError

GROUPS = {
    "stages": "apex_cli.stages",
    "scanners": "apex_cli.scanners",
    "strategies": "apex_cli.strategies",
    "bars": "apex_cli.bars",
}
"""Entry point group by what it offers."""


def load_class(name: str, kind: str, *, key: str, built_in: tuple[str, ...] = (), base: Path | None) -> Any:  # noqa: ANN401 - anybody's class
    """Return the class that *name* means: an entry point of the group of *kind*, or ``module:Class``.

    With *base*, the folder of the configuration file, modules beside it are found, too.

    Raises:
        ConfigError: there is none of that name, or importing it failed.
    """
    if ":" not in name:
        found = list(entry_points(group=GROUPS[kind], name=name))
        if not found:
            form = "module:function" if kind == "strategies" else "module:Class"
            known = [*built_in, *sorted(point.name for point in entry_points(group=GROUPS[kind])), form]
            raise ConfigError(
                "config_invalid",
                f"{key}: there is no {name!r} among the {kind}.",
                hint=f"Write {' or '.join(known)}.",
            )
        name = found[0].value
    module, _, attribute = name.partition(":")
    _make_path_safe(base)
    _require_trust(module, key, base)
    try:
        return getattr(import_module(module), attribute)
    except ConfigError:
        raise
    except (Exception, SystemExit) as error:
        raise ConfigError(
            "config_invalid",
            f"{key}: {name} cannot be loaded: {type(error).__name__}: {error}.",
            hint="Write module:Class as Python imports it; a module beside the configuration file is found.",
        ) from error


def _make_path_safe(base: Path | None) -> None:
    """Let modules come from installed packages and from *base*, but not from whatever folder apex was started in."""
    sys.path[:] = [entry for entry in sys.path if Path(entry).is_absolute() and not _is_started_in(entry)]
    if base is not None and str(base) not in sys.path:
        sys.path.append(str(base))


def _is_started_in(entry: str) -> bool:
    """Return whether an entry of the path is the current folder, which ``python -m`` puts first."""
    is_first = bool(sys.path) and sys.path[0] == entry
    return is_first and Path(sys.argv[0]).name == "__main__.py" and not sys.flags.safe_path and entry == os.getcwd()  # noqa: PTH109 - compared as text


def _require_trust(module: str, key: str, base: Path | None) -> None:
    """Refuse a module that somebody else than this user or root could have written."""
    top = module.partition(".")[0]
    spec = None if top in sys.modules else PathFinder.find_spec(top)
    found = (*(spec.submodule_search_locations or ()), spec.origin or "") if spec else ()
    places = [path for path in map(Path, found) if path.is_absolute()]
    inside = [path for place in places if place.is_dir() for path in place.rglob("*.py")]
    around = [base] if base is not None and any(base in place.parents for place in places) else []
    for path in (*around, *places, *inside):
        problem = _untrusted(path)
        if problem:
            raise ConfigError(
                "plugin_not_trusted",
                f"{key}: {module} is not loaded: {path} {problem}.",
                hint=f"If it is yours: chown it to you, and chmod go-w {path}",
                details={"path": str(path)},
            )


def _untrusted(path: Path) -> str:
    """Return why what stands in *path* may be somebody else's, empty when it is not."""
    if not hasattr(os, "geteuid"):
        return ""
    found = path.stat()
    if found.st_uid not in {os.geteuid(), 0}:
        return f"belongs to another user (uid {found.st_uid})"
    if found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX:
        return f"may be written by everybody (mode {stat.S_IMODE(found.st_mode):04o})"
    if found.st_mode & stat.S_IWGRP and not _is_group_of_one(found.st_gid):
        return f"may be written by its group (mode {stat.S_IMODE(found.st_mode):04o})"
    return ""


def _is_group_of_one(number: int) -> bool:
    """Return whether a group is this user's own, as many systems make one for each user."""
    import grp
    import pwd

    try:
        group, user = grp.getgrgid(number), pwd.getpwuid(os.geteuid())
    except KeyError:
        return False
    return number == user.pw_gid and set(group.gr_mem) <= {user.pw_name}
