"""The configuration of a program: a file as for the commands, or keys and values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from apex_cli.settings.sections import OVERRIDE_PREFIX, Settings

__all__ = ["Settings", "SettingsLike", "load_settings", "settings_of"]

SettingsLike: TypeAlias = Settings | Mapping[str, Any] | Path | str | None
"""Settings; a mapping of sections and keys as in the file; the path of a file; None for the defaults alone."""


def load_settings(
    config: Path | str | None = None, changes: Mapping[str, Any] | None = None, *, profile: str = ""
) -> Settings:
    """Return the settings that a command would have here.

    Args:
        config: the file; None: looked for as the commands do (``$APEX_CONFIG``, ``./config.yaml``, the user's folder).
        changes: values by key path, such as ``{"risk.capital": 5000}``; they count after file and environment.
        profile: ``sim``, ``paper``, ``live``, or one of the configuration's profiles.

    Raises:
        ConfigError: the file or a value is wrong; ``details["problems"]`` lists every problem.
    """
    from apex_cli.app.resources import read_settings

    texts = {OVERRIDE_PREFIX + key.upper().replace(".", "__"): _text(value) for key, value in (changes or {}).items()}
    return read_settings(Path(config) if config is not None else None, texts, profile=profile)


def settings_of(given: SettingsLike) -> Settings:
    """Return the settings that *given* stands for; neither file nor environment is read unless a path is given.

    Raises:
        ConfigError: the file or a value is wrong.
    """
    if isinstance(given, Settings):
        return given
    if given is None:
        return Settings()
    if isinstance(given, Mapping):
        from apex_cli.settings.validation import build_settings

        return build_settings(_nested(given), overrides={}, source=None, base=Path.cwd())
    return load_settings(given)


def _nested(given: Mapping[str, Any]) -> dict[object, object]:
    """Return *given* in sections, where a key is a path such as ``risk.capital``."""
    nested: dict[object, Any] = {}
    for path, value in given.items():
        *sections, key = path.split(".")
        place = nested
        for section in sections:
            place = place.setdefault(section, {})
        known = place.get(key)
        place[key] = {**known, **_nested(value)} if isinstance(known, dict) else _plain(value)
    return nested


def _plain(value: object) -> object:
    return _nested(value) if isinstance(value, Mapping) else value


def _text(value: object) -> str:
    """Return *value* as the text of a variable: JSON, which is YAML."""
    return value if isinstance(value, str) else json.dumps(value, default=str)
