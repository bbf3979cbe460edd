"""Finds and reads the configuration: the file, then ``APEX_<SECTION>__<KEY>`` variables; errors are ConfigErrors."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from apex_cli.core.errors import ConfigError
from apex_cli.settings.sections import OVERRIDE_PREFIX, Settings, StateSettings

CONFIG_VARIABLE = "APEX_CONFIG"
PROFILE_VARIABLE = "APEX_PROFILE"
LIVE_VARIABLE = "APEX_LIVE"
FILE_NAME = "config.yaml"
MAX_BYTES = 1_000_000
"""Largest configuration file."""


def load_settings(path: Path | None, *, environ: Mapping[str, str], cwd: Path, profile: str = "") -> Settings:
    """Return the settings of the first file found, then of the variables in *environ*.

    Looked for in this order: *path*, ``$APEX_CONFIG``, ``config.yaml`` in *cwd*, ``config.yaml`` in
    the user's configuration folder. The last two may be missing. Paths in the result are absolute:
    relative ones count from the file's folder, without a file from *cwd*. *profile*, else ``$APEX_PROFILE``, changes
    what its name says: sim, paper, live, or one that the file describes under ``profiles``.

    Raises:
        ConfigError: a named file is missing, the file cannot be read, or a key or value is wrong;
            ``details["problems"]`` lists every problem.
    """
    source = find_config(path, environ=environ, cwd=cwd)
    names = [name for name in environ if name.startswith(OVERRIDE_PREFIX)]
    profile = profile or environ.get(PROFILE_VARIABLE, "")
    if source is None and not profile and not any("_" in name.removeprefix(OVERRIDE_PREFIX) for name in names):
        return Settings(state=StateSettings(dir=cwd / StateSettings().dir))
    from apex_cli.settings.validation import build_settings  # noqa: PLC0415 - start-up is a feature

    document = read_config(source) if source is not None else {}
    overrides = read_overrides({name: environ[name] for name in names})
    base = source.parent if source is not None else cwd
    return build_settings(document, overrides=overrides, variables=names, source=source, base=base, profile=profile)


def places_looked(environ: Mapping[str, str], cwd: Path) -> tuple[str, ...]:
    """Return where a configuration is looked for, in order, when no path is given."""
    import typer  # noqa: PLC0415 - the only part of the settings that knows a shell

    named = environ.get(CONFIG_VARIABLE) or "not set"
    user = Path(typer.get_app_dir("apex", roaming=False)) / FILE_NAME
    return (f"${CONFIG_VARIABLE} ({named})", str(cwd / FILE_NAME), str(user))


def find_config(path: Path | None, *, environ: Mapping[str, str], cwd: Path) -> Path | None:
    """Return the absolute path of the configuration file, or None when there is none.

    Raises:
        ConfigError: the file named by *path* or ``$APEX_CONFIG`` does not exist; the one in *cwd* is another user's.
    """
    if path is not None:
        return _named(cwd / path.expanduser(), "--config")
    if named := environ.get(CONFIG_VARIABLE):
        return _named(cwd / Path(named).expanduser(), f"${CONFIG_VARIABLE}")
    local = cwd / FILE_NAME
    if os.path.lexists(local):
        _require_own(local)
        return local
    import typer  # noqa: PLC0415 - the only part of the settings that knows a shell

    user = Path(typer.get_app_dir("apex", roaming=False)) / FILE_NAME
    return user if os.path.lexists(user) else None


def _require_own(local: Path) -> None:
    """Refuse a file that somebody else may have left where apex is started."""
    owner = local.lstat().st_uid
    if hasattr(os, "geteuid") and owner not in {os.geteuid(), 0}:
        raise ConfigError(
            "config_not_yours",
            f"{local} belongs to another user (uid {owner}), so it is not used without being asked for.",
            hint=f"If you trust it: --config {local}",
            details={"file": str(local)},
        )


def _named(path: Path, by: str) -> Path:
    """Return *path*, which the user asked for, if it exists."""
    if os.path.lexists(path):
        return path
    raise ConfigError(
        "config_missing",
        f"{by} names {path}, which does not exist.",
        hint="Write one with apex init, or correct the path.",
        details={"file": str(path)},
    )


def read_config(path: Path) -> dict[object, object]:
    """Return the mapping in the YAML file at *path*; an empty file is an empty mapping."""
    return parse_config(_decode(_read_bytes(path), path), path)


def parse_config(text: str, path: Path) -> dict[object, object]:
    """Return the mapping in *text*, which stands in *path* or is about to."""
    from apex_cli.core.text.yaml_text import YamlProblem, parse_yaml  # noqa: PLC0415 - start-up is a feature

    try:
        document = parse_yaml(text)
    except YamlProblem as problem:
        raise _error(path, f"is not valid YAML: {problem}.", line=problem.line, column=problem.column) from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise _error(path, "must hold sections such as `risk:` at its top level, not a list or a single value.")
    return document


def _read_bytes(path: Path) -> bytes:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise _error(path, "is not a file.")
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise _error(path, f"cannot be read: {error.strerror}.") from None
    if len(content) > MAX_BYTES:
        raise _error(path, "is larger than 1 MB.")
    return content


def _decode(content: bytes, path: Path) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _error(path, f"is not UTF-8: line {line}, byte {error.start}. Save it as UTF-8.", line=line) from None


def _error(path: Path, what: str, **facts: object) -> ConfigError:
    details = {"file": str(path), **{name: fact for name, fact in facts.items() if fact is not None}}
    return ConfigError("config_unreadable", f"{path} {what}", hint=f"Correct {path}.", details=details)


def read_overrides(environ: Mapping[str, str]) -> dict[str, object]:
    """Return the value of each variable that overrides a key, by variable name.

    A variable without ``__`` is none, such as ``APEX_CONFIG``. The text is a YAML value: ``0.01``,
    ``true``, ``[AAPL, MSFT]``.
    """
    from apex_cli.core.text.yaml_text import YamlProblem, parse_yaml  # noqa: PLC0415 - start-up is a feature

    overrides: dict[str, object] = {}
    for name in sorted(environ):
        if "__" not in name:
            continue
        try:
            overrides[name] = parse_yaml(environ[name])
        except YamlProblem as problem:
            raise ConfigError(
                "config_invalid",
                f"${name} is not a valid value: {problem}.",
                hint=f"Correct or unset {name}.",
                details={"variable": name},
            ) from None
    return overrides
