"""Checks plain values against ``Settings``: every problem is found, named and explained at once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from apex_cli.core.errors import ConfigError
from apex_cli.core.text.fields import BAD, Field, Problem, Reader, fields_of, is_section, meant
from apex_cli.core.text.problems import shown, suggest
from apex_cli.settings.conflicts import conflicts
from apex_cli.settings.sections import OVERRIDE_PREFIX, SECTIONS, Settings, StateSettings, section_type


class Sections(Mapping[str, Field]):
    """What each section takes; its module is loaded when it is asked for."""

    def __contains__(self, name: object) -> bool:
        """Return whether there is a section of that name."""
        return name in SECTIONS

    def __getitem__(self, name: str) -> Field:
        """Return what a section takes."""
        return Field(section_type(name), None, is_optional=False)

    def __iter__(self) -> Iterator[str]:
        """Yield the names in the order of the reference file."""
        return iter(SECTIONS)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(SECTIONS)


TOP = Sections()


def leaves() -> dict[str, Field]:
    """Return key path -> what it takes, for every key that has a value."""
    return {path: field for path, field in fields().items() if field.kind is not dict}


@cache
def fields() -> dict[str, Field]:
    """Return what ``leaves`` returns, and the keys whose value maps names of the user's own, such as currencies."""
    return dict(_fields(TOP, ""))


def _fields(keys: Mapping[str, Field], prefix: str) -> Iterator[tuple[str, Field]]:
    for name, field in keys.items():
        if is_section(field.kind):
            yield from _fields(fields_of(field.kind), f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", field


PROFILES = "profiles"
"""Key of the file under which each profile stands with the sections that it changes."""


def build_settings(
    document: Mapping[object, object],
    *,
    overrides: Mapping[str, object],
    variables: Sequence[str] = (),
    source: Path | None,
    base: Path,
    profile: str = "",
) -> Settings:
    """Return the settings that *document*, then *profile*, then *overrides* (by variable name) describe.

    *variables* are the names of all ``APEX_`` variables, looked through for near misses.

    Raises:
        ConfigError: one or more keys or values are wrong; all of them are in ``details["problems"]``.
    """
    problems: list[Problem] = []
    reader = Reader(origin=str(source or "defaults"), base=base, problems=problems, unknown=_home)
    values = reader.section(TOP, {key: value for key, value in document.items() if key != PROFILES}, "")
    profiles = reader.entries(Field(Settings, None, is_optional=False), document.get(PROFILES), f"{PROFILES}.", TOP)
    if profile:
        values = _in_profile(profile, values, profiles, reader)
    names = _paths([*overrides, *variables])
    for name, value in overrides.items():
        _override(values, name, value, names, Reader(origin=f"${name}", base=base, problems=problems))
    problems += [
        Problem(origin=f"${name}", key=names[fixed], message=f"it sets nothing; write {fixed}.")
        for name in variables
        if (fixed := _near_miss(name, names))
    ]
    if not problems:
        settings = _settings(values, base, source).replace(profile=profile)
        problems += [Problem(origin=str(source or "settings"), **c._asdict()) for c in conflicts(settings)]
    if problems:
        raise _error(problems, source)
    return settings


def _in_profile(
    profile: str, values: dict[str, Any], profiles: Mapping[str, dict[str, Any]], reader: Reader
) -> dict[str, Any]:
    """Return *values* with what the profile changes: what its name means, then what the file says of it.

    Each profile has its own state, and paper and live their own client ids.
    """
    if profile not in BUILT_IN and profile not in profiles:
        known = ", ".join(sorted({*BUILT_IN, *profiles}))
        reader.problem(PROFILES, f"no profile goes by the name {shown(profile)}; known here: {known}.")
        return values
    state = Path(values.get("state", {}).get("dir", StateSettings().dir))
    merged = _merged(values, {"state": {"dir": state.with_name(f"{state.name}-{profile}")}})
    own = profiles.get(profile, {})
    return _merged(_merged(merged, BUILT_IN[profile](values) if profile in BUILT_IN else {}), own)


def _sim(_: Mapping[str, Any]) -> dict[str, Any]:
    return {"execution": {"simulation_mode": True}}


def _at_broker(mode: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the changes to every broker's section: a variable may still choose which broker it is."""
    from apex_cli.settings.brokers import AccountMode, AccountSection, BrokerSettings  # noqa: PLC0415 - start-up

    given = values.get("broker", {})
    kinds = {name: field.kind for name, field in fields_of(BrokerSettings).items()}
    changed = {
        name: kind.in_mode(AccountMode(mode), given.get(name, {}))
        for name, kind in kinds.items()
        if issubclass(kind, AccountSection)
    }
    return {"execution": {"simulation_mode": False}, "broker": changed}


BUILT_IN: dict[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "sim": _sim,
    "paper": partial(_at_broker, "paper"),
    "live": partial(_at_broker, "live"),
}
"""What the profiles that every configuration has change."""


def variable_name(path: str) -> str:
    """Return the environment variable that overrides the key at *path*.

    >>> variable_name("broker.ib.ib_port")
    'APEX_BROKER__IB__IB_PORT'
    """
    return OVERRIDE_PREFIX + path.upper().replace(".", "__")


def _paths(variables: Collection[str]) -> dict[str, str]:
    """Return key path by variable, of the sections that one of *variables* begins with."""
    begun = [name for name in TOP if any(each.startswith(f"{variable_name(name)}_") for each in variables)]
    return {variable_name(path): path for path, _ in _fields({name: TOP[name] for name in begun}, "")}


def _near_miss(name: str, names: Mapping[str, str]) -> str | None:
    """Return the variable that was meant when *name* has one underscore between section and key."""
    return next((right for right in names if right != name and right.replace("__", "_") == name), None)


def _home(key: object, path: str, known: Collection[str]) -> str:
    """Return the section that *key* belongs to, else what was meant, here or in another section."""
    name = key.lower() if isinstance(key, str) else ""
    if not path and name in leaves():
        *sections, last = name.split(".")
        nested = "".join(f"{section}: {{" for section in sections) + f"{last}: ..." + "}" * len(sections)
        return f"keys nest, each below its section; write {nested}"
    homes = [leaf for leaf in leaves() if leaf.rpartition(".")[2] == name]
    if homes:
        return f"write it as {' or '.join(homes)}."
    anywhere = {leaf.rpartition(".")[2]: leaf for leaf in leaves()}
    if suggest(key, known) is None and (far := suggest(key, anywhere)):
        return f"did you mean {anywhere[far]}?"
    return meant(key, path, known)


def _override(values: dict[str, Any], name: str, value: object, names: Mapping[str, str], reader: Reader) -> None:
    """Put one variable's value into the nested *values*."""
    path = names.get(name)
    if path is None and (entry := _entry_of(name)) is not None:
        _override_entry(values, *entry, value, reader)
        return
    if path is None:
        guess = suggest(name, [variable_name(each) for each in leaves()])
        reader.problem(name, f"no key goes by this name{f'; did you mean {guess}?' if guess else '.'}")
        return
    found = reader.value(fields()[path], value, path)
    *sections, key = path.split(".")
    for section in sections:
        values = values.setdefault(section, {})
    if found is not BAD:
        values[key] = found


def _entry_of(name: str) -> tuple[str, str] | None:
    """Return the key whose map of numbers a variable names an entry of, and that entry in small letters; else None."""
    for path, field in fields().items():
        prefix = f"{variable_name(path)}__"
        is_map = field.kind is dict and field.item is not None and not is_section(field.item.kind)
        if is_map and name.startswith(prefix) and len(name) > len(prefix):
            return path, name.removeprefix(prefix).lower()
    return None


def _override_entry(values: dict[str, Any], path: str, entry: str, value: object, reader: Reader) -> None:
    """Put one entry of a map into the nested *values*; where it has that name in other letters, those stay."""
    *sections, key = path.split(".")
    for section in sections:
        values = values.setdefault(section, {})
    known = {**values.get(key, {})}
    item = fields()[path].item
    name = next((each for each in known if each.lower() == entry), entry)
    if item is not None and (found := reader.value(item, value, f"{path}.{name}")) is not BAD:
        known[name] = found
    values[key] = known


def _settings(values: Mapping[str, Any], base: Path, source: Path | None) -> Settings:
    """Return the settings, defaults where nothing was given; the state folder's default counts from *base*, too."""
    made = Settings(**{name: _made(section_type(name), given) for name, given in values.items()}, source=source)
    return made.replace(state=replace(made.state, dir=base / made.state.dir))


def _made(section: type[msgspec.Struct], values: Mapping[str, Any]) -> Any:
    """Return one section; entries under names of the user's own take what the section around them says."""
    given = dict(values)
    known = fields_of(section)
    for name, own in values.items():
        if name not in known:  # of the section around it
            del given[name]
        elif is_section(kind := known[name].kind):
            given[name] = _made(kind, own)
        elif kind is dict and (item := known[name].item) is not None and is_section(item.kind):
            given[name] = {key: _made(item.kind, _merged(values, own[key])) for key in own}
    return section(**given)


def _merged(common: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return *common* with what *own* says in its place, section by section."""
    merged = dict(common)
    for name, value in own.items():
        is_both = isinstance(value, Mapping) and isinstance(merged.get(name), Mapping)
        merged[name] = _merged(merged[name], value) if is_both else value
    return merged


def _error(problems: list[Problem], source: Path | None) -> ConfigError:
    more = f" ({len(problems) - 1} more)" if len(problems) > 1 else ""
    return ConfigError(
        "config_invalid",
        problems[0].sentence + more,
        hint="Correct it; apex help keys lists every key with its default.",
        details={
            "file": str(source) if source else None,
            "problems": [msgspec.to_builtins(problem) for problem in problems],
        },
    )
