"""Which installed packages a package needs, with its extras and all that they need in turn."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def reached(name: str, extras: Iterable[str] = ()) -> dict[str, Distribution]:
    """Return each installed package that *name* with *extras* needs, itself included, by canonical name."""
    found: dict[str, Distribution] = {}
    done: set[tuple[str, frozenset[str]]] = set()
    waiting = [(canonicalize_name(name), frozenset(extras))]
    while waiting:
        key, wanted = waiting.pop()
        if (key, wanted) in done:
            continue
        done.add((key, wanted))
        try:
            found[key] = distribution(key)
        except PackageNotFoundError:  # an extra that is not installed here
            continue
        waiting += [(canonicalize_name(need.name), frozenset(need.extras)) for need in _needs(found[key], wanted)]
    return found


def _needs(package: Distribution, extras: frozenset[str]) -> list[Requirement]:
    """Return what *package* needs on this system with *extras*."""
    needs = [Requirement(text) for text in package.requires or []]
    return [
        need
        for need in needs
        if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in ("", *extras))
    ]
