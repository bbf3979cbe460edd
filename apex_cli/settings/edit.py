"""Changes one key of a configuration's text, and keeps its comments, its order and its spelling."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING, Any

from apex_cli.core.errors import ConfigError

if TYPE_CHECKING:
    from ruamel.yaml import YAML


def with_value(text: str, path: str, value: str) -> str:
    r"""Return *text* with *value*, a YAML value, at the key *path*; missing sections are added at the end.

    >>> with_value("risk:  # mine\n  capital: 3000  # all of it\n", "risk.capital", "5000")
    'risk:  # mine\n  capital: 5000  # all of it\n'

    Raises:
        ConfigError: something on the way to the key is no section.
    """
    yaml = _yaml()
    document = yaml.load(text)
    document = _new_map(yaml) if document is None else document
    *sections, key = path.split(".")
    inner: Any = document
    for number, section in enumerate(sections):
        if inner.get(section) is None:
            inner[section] = _new_map(yaml)
        inner = inner[section]
        _require_section(inner, ".".join(sections[: number + 1]))
    last = next(reversed(inner), None)
    is_new = key not in inner
    inner[key] = yaml.load(value)
    if is_new and last is not None and not _is_block(inner[key]):
        _let_follow(inner, last, key)
    return _dumped(yaml, document)


def _is_block(value: Any) -> bool:
    return hasattr(value, "fa") and not value.fa.flow_style()


def _let_follow(inner: Any, last: Any, key: str) -> None:
    """Put what stands below the key *last*, empty lines and comments on what comes next, below the new *key*."""
    home, at = inner, last
    while _is_block(home[at]) and home[at]:
        home = home[at]
        at = len(home) - 1 if isinstance(home, list) else next(reversed(home))
    found = home.ca.items.get(at)
    place = 0 if isinstance(home, list) else 2
    if not found or found[place] is None or "\n" not in found[place].value:
        return
    token = found[place]
    own, _, below = token.value.partition("\n")
    if below:
        inner.ca.items[key] = [None, None, type(token)(f"\n{below}", token.start_mark, None), None]
        token.value = f"{own}\n"


def without_value(text: str, path: str) -> str | None:
    """Return *text* without the key *path*, so that its default holds; None when it is not there."""
    yaml = _yaml()
    document = yaml.load(text)
    *sections, key = path.split(".")
    way: list[Any] = [document]
    for section in sections:
        way.append(way[-1].get(section) if hasattr(way[-1], "get") else None)
    if not hasattr(way[-1], "get") or key not in way[-1]:
        return None
    names = [*sections, key]
    while len(names) > 1 and len(way[-1]) == 1:  # a section goes with its last key
        names.pop()
        way.pop()
    home, at = way[-1], names[-1]
    rest = None if home.fa.flow_style() else _without_lines(text, *home.lc.key(at))
    del home[at]
    return rest if rest is not None and _says(rest, document) else _dumped(yaml, document)


def _says(text: str, document: object) -> bool:
    """Return whether *text* is read as *document*."""
    from ruamel.yaml.error import YAMLError  # noqa: PLC0415 - start-up is a feature

    try:
        return (_yaml().load(text) or {}) == document
    except YAMLError:  # a value goes on left of its key
        return False


def _without_lines(text: str, first: int, column: int) -> str:
    """Return *text* without the key at line *first* and *column*; what stands between it and the next one stays."""
    lines = text.splitlines(keepends=True)
    last = first
    for number, line in enumerate(lines[first + 1 :], start=first + 1):
        content = line.strip()
        if not content or content.startswith("#"):
            continue
        indent = len(line) - len(line.lstrip())
        if indent < column or (indent == column and not content.startswith("-")):
            break
        last = number
    return "".join(lines[:first] + lines[last + 1 :])


def _yaml() -> YAML:
    from ruamel.yaml import YAML  # noqa: PLC0415 - start-up is a feature

    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    return yaml


def _new_map(yaml: YAML) -> Any:
    return yaml.map()


def _require_section(inner: object, path: str) -> None:
    if not hasattr(inner, "get"):
        raise ConfigError(
            "config_invalid",
            f"{path} is a value in this file, not a section.",
            hint="Correct it with apex config edit.",
        )


def _dumped(yaml: YAML, document: Any) -> str:
    stream = StringIO()
    yaml.dump(document, stream)
    text = stream.getvalue()
    return "" if text == "{}\n" else text
