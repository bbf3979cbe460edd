"""From bytes and environment variables to the plain values that ``settings.schema`` checks."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from pathlib import Path

from apex_cli.core.adapters.files.yaml_text import YamlProblem, parse_yaml
from apex_cli.core.errors import ConfigError

MAX_BYTES = 1_000_000
"""Largest configuration file."""


def read_config(path: Path) -> dict[object, object]:
    """Return the mapping in the YAML file at *path*; an empty file is an empty mapping.

    Raises:
        ConfigError: it cannot be read, is no UTF-8, no YAML, or no mapping.
    """
    text = _decode(_read_bytes(path), path)
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

    Raises:
        ConfigError: the text of one is no YAML value.
    """
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
