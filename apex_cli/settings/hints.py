"""What an error about the configuration says: the value found, the key that was meant."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from decimal import Decimal

SHOWN = 60
"""Characters of a found value that an error repeats."""


def shown(value: object) -> str:
    """Return *value* as it may stand in an error: short, and containers by their kind only."""
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if value is None or isinstance(value, bool):
        return {None: "nothing", True: "true", False: "false"}[value]
    if isinstance(value, int | Decimal):
        return _cut(f"{Decimal(value)!s}")
    return repr(_cut(str(value)))


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else text[:SHOWN] + "..."


def key_name(key: object) -> str:
    """Return a key as it may stand in an error."""
    return _cut(key) if isinstance(key, str) and key.isprintable() else shown(key)


def suggestion(key: object, path: str, known: Collection[str], leaves: Collection[str]) -> str:
    """Say where the key belongs, what was meant, or what there is.

    Args:
        key: what was found.
        path: the section it stands in, with a dot at its end.
        known: keys of that section.
        leaves: key paths of everything that takes a value.
    """
    name = str(key).lower() if isinstance(key, str) else ""
    homes = [leaf for leaf in leaves if leaf.rpartition(".")[2] == name]
    if homes:
        return f"write it as {' or '.join(homes)}."
    guess = closest(name, list(known))
    if guess:
        return f"did you mean {path}{guess}?"
    anywhere = {leaf.rpartition(".")[2]: leaf for leaf in leaves}
    if far := closest(name, list(anywhere)):
        return f"did you mean {anywhere[far]}?"
    return f"known here: {', '.join(sorted(known))}."


def closest(name: str, words: list[str]) -> str | None:
    """Return the word that *name* may be a slip of."""
    from difflib import get_close_matches  # noqa: PLC0415 - start-up is a feature

    found = get_close_matches(name[:100], words, n=1, cutoff=0.7)
    return found[0] if found else None
