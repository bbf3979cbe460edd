"""``apex config``: what is configured, and changes to it that keep the file's comments."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from apex_cli.app.resources import write_page
from apex_cli.commands.options import Call, command, flag
from apex_cli.core.errors import ConfigError, InputError, NothingToDo
from apex_cli.core.text.fields import Problem, Reader
from apex_cli.core.text.problems import suggest
from apex_cli.presenters.screen.blocks import Cell, Fields, Line
from apex_cli.settings.load import find_config, parse_config, places_looked, read_config, read_overrides
from apex_cli.settings.sections import OVERRIDE_PREFIX, Settings

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Show, change and check the configuration.")


def _complete_key(incomplete: str) -> list[str]:
    from apex_cli.settings.validation import fields

    return [path for path in fields() if path.startswith(incomplete)]


KeyArgument = Annotated[str, typer.Argument(metavar="KEY", help="Such as risk.capital.", autocompletion=_complete_key)]


@command("config show", "--changed", app=app)
def show(
    call: Call,
    changed: Annotated[bool, flag("Only what differs from the defaults.", "--changed")] = False,
) -> None:
    """Show what is configured: the file, the profile and the variables together."""
    settings = call.settings
    values = {path: _plain(path, _value(settings, path)) for path in _keys()}
    defaults = {path: _plain(path, _value(_defaults(settings), path)) for path in values}
    chosen = {path: value for path, value in values.items() if not changed or value != defaults[path]}
    lines = tuple(Line(text=line, is_whole=True) for line in _as_yaml(chosen))
    source = str(settings.source) if settings.source else None
    data = {"file": source, "profile": settings.profile, "values": chosen}
    call.out.detail(f"file: {source or 'none, the defaults hold'}")
    call.out.result(data, lines or (Line(text="Nothing differs from the defaults."),))


@command("config get", "risk.capital", app=app)
def get(call: Call, key: KeyArgument) -> None:
    """Show the value of one key, and where it comes from."""
    path, settings = _known(key), call.settings
    value, default = (_plain(path, _value(one, path)) for one in (settings, _defaults(settings)))
    data = {"key": path, "value": value, "default": default, "origin": _origin(settings, path)}
    call.out.detail(f"from {data['origin']}")
    call.out.result(data, (Line(text=_scalar(value), is_whole=True),))


@command("config set", "risk.capital 5000", app=app)
def set_(
    call: Call,
    key: KeyArgument,
    value: Annotated[str, typer.Argument(metavar="VALUE", help="As in the file: 0.01, true, [AAPL, MSFT].")],
) -> None:
    """Put one value into the file; its comments and its order stay."""
    from apex_cli.core.text.yaml_text import YamlProblem, parse_yaml
    from apex_cli.settings.edit import with_value
    from apex_cli.settings.validation import fields

    path, file = _known(key), _file(call)
    problems: list[Problem] = []
    try:
        plain = parse_yaml(value)
    except YamlProblem as problem:
        raise InputError("usage", f"{value!r} is no value: {problem}.", hint="Write it as in the file.") from None
    Reader(origin=str(file), problems=problems).value(fields()[path], plain, path)
    if problems:
        raise ConfigError("config_invalid", problems[0].sentence, hint="Nothing was changed.")
    before = _plain(path, _value(call.settings, path))
    _change(call, file, path, before, with_value(file.read_text(encoding="utf-8-sig"), path, value))


@command("config unset", "risk.capital", app=app)
def unset(call: Call, key: KeyArgument) -> None:
    """Take one key out of the file, so that its default holds."""
    from apex_cli.settings.edit import without_value

    path, file = _known(key), _file(call)
    before = _plain(path, _value(call.settings, path))
    text = without_value(file.read_text(encoding="utf-8-sig"), path)
    if text is None:
        raise NothingToDo("not_set", f"{file} does not set {path}.", hint="apex config get shows where it comes from.")
    _change(call, file, path, before, text)


def _change(call: Call, file: Path, path: str, before: object, text: str) -> None:
    """Put *text* into *file*, and show what that made of the value at *path*."""
    _replace(call, file, text)
    now = _plain(path, _value(_read(call), path))
    data = {"file": str(file), "key": path, "was": before, "now": now}
    rows = (("Key", path), ("Was", _scalar(before)), ("Is", _scalar(now)))
    call.out.result(data, (Fields(rows=tuple((label, Cell(text)) for label, text in rows)),))


@command("config path", app=app)
def path(call: Call) -> None:
    """Show which file is read, and where it was looked for."""
    found = find_config(call.config, environ=os.environ, cwd=Path.cwd())
    looked = places_looked(os.environ, Path.cwd())
    if found is None:
        call.out.note(f"No configuration: {', '.join(looked)}.")
    data = {"file": str(found) if found else None, "looked": list(looked)}
    call.out.result(data, (Line(text=str(found) if found else "none, the defaults hold", is_whole=True),))


@command("config edit", app=app)
def edit(call: Call) -> None:
    """Open the file in your editor ($VISUAL, $EDITOR), then check it."""
    import shlex
    import subprocess

    file = _file(call)
    if not call.out.can_prompt:
        raise InputError("edit_needs_terminal", "An editor needs a terminal.", hint="apex config set KEY VALUE")
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or ("notepad" if os.name == "nt" else "vi")
    try:
        command = [*shlex.split(editor), str(file)]
        status = subprocess.run(command, check=False).returncode  # noqa: S603 - the user's own editor
    except (OSError, ValueError) as error:
        raise InputError("editor_failed", f"{editor} cannot be started: {error}.", hint="Set $EDITOR.") from None
    if status:
        raise InputError("editor_failed", f"{editor} ended with status {status}.", hint="Look at the file again.")
    _read(call)
    call.out.result({"file": str(file)}, (Line(text=f"{file} is valid."),))


@command("config validate", "--config new.yaml", app=app)
def validate(call: Call) -> None:
    """Check the file, its profiles and the variables, and name every problem."""
    from apex_cli.settings.doubts import doubts

    try:
        settings = call.settings
    except ConfigError as error:
        for problem in error.details.get("problems", ()):
            sys.stderr.write(f"{problem['key']}: {problem['message']}\n")
        raise
    call.out.warn(*doubts(settings))
    source = str(settings.source) if settings.source else None
    call.out.result({"file": source}, (Line(text=f"{source or 'The defaults'}: valid.", is_whole=True),))


def _keys() -> tuple[str, ...]:
    from apex_cli.settings.validation import fields

    return tuple(fields())


MOST_INNER = 5
"""Keys of a section that are named when the section was."""


def _known(key: str) -> str:
    """Return *key* if there is such a one."""
    from apex_cli.settings.validation import fields

    if key in fields():
        return key
    inner = [path for path in fields() if path.startswith(f"{key}.")]
    if inner:
        shown = ", ".join(inner[:MOST_INNER]) + (", ..." if len(inner) > MOST_INNER else "")
        raise InputError("no_such_key", f"{key} is a section, not a key.", hint=f"Name one of its keys: {shown}")
    last = {path.rpartition(".")[2]: path for path in fields()}
    guess = last.get(key) or suggest(key, tuple(fields())) or last.get(suggest(key, tuple(last)) or "")
    hint = f"Did you mean {guess}?" if guess else "apex config show lists every key."
    raise InputError("no_such_key", f"There is no key {key}.", hint=hint)


def _file(call: Call) -> Path:
    """Return the file that is read."""
    found = find_config(call.config, environ=os.environ, cwd=Path.cwd())
    if found is None:
        looked = ", ".join(places_looked(os.environ, Path.cwd()))
        raise ConfigError(
            "config_not_found", f"There is no configuration to change. Looked at {looked}.", hint="Write one: apex init"
        )
    return found


def _read(call: Call) -> Settings:
    """Return the settings as the file has them now."""
    return call.settings_with({})


def _replace(call: Call, file: Path, text: str) -> None:
    """Put *text* into *file* if it is a configuration; the file keeps its rights, and the place a link points to."""
    from apex_cli.settings.validation import build_settings

    build_settings(parse_config(text, file), overrides={}, source=file, base=file.parent, profile=call.settings.profile)
    real = file.resolve()
    mode = real.stat().st_mode
    write_page(real, text)
    real.chmod(mode & 0o7777)


def _defaults(settings: Settings) -> Settings:
    """Return the defaults where *settings* has its paths."""
    from msgspec.structs import replace

    plain = Settings()
    base = settings.source.parent if settings.source else Path.cwd()
    return plain.replace(state=replace(plain.state, dir=base / plain.state.dir))


def _value(settings: Settings, path: str) -> Any:  # noqa: ANN401 - a value of any key
    found: Any = settings
    for name in path.split("."):
        found = getattr(found, name)
    return found


def _plain(path: str, value: Any) -> Any:  # noqa: ANN401 - a value of any key
    """Return *value* as JSON has it: numbers as text, so that they stay exact."""
    if value is not None and path.startswith("broker.") and path.endswith(".account"):
        return f"***{str(value)[-2:]}"
    if isinstance(value, tuple):
        return [_plain(path, item) for item in value]
    if isinstance(value, dict):
        return {str(name): _plain(path, item) for name, item in value.items()}
    if hasattr(value, "__struct_fields__"):
        standard = type(value)()
        changed = {name: getattr(value, name) for name in value.__struct_fields__}
        return {name: _plain(path, item) for name, item in changed.items() if item != getattr(standard, name)}
    return value if value is None or isinstance(value, bool | int) else str(value)


def _scalar(value: Any) -> str:  # noqa: ANN401 - a value of any key
    if isinstance(value, list):
        return f"[{', '.join(map(_scalar, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{name}: {_scalar(item)}' for name, item in value.items())}}}"
    words = {None: "null", True: "true", False: "false"}
    return words[value] if value is None or isinstance(value, bool) else str(value)


def _as_yaml(values: dict[str, Any]) -> Iterator[str]:
    """Yield *values* as the lines of a file: each section once, its keys below it."""
    above: list[str] = []
    for path, value in values.items():
        *sections, key = path.split(".")
        for depth, section in enumerate(sections):
            if sections[: depth + 1] != above[: depth + 1]:
                yield f"{'  ' * depth}{section}:"
        above = sections
        yield f"{'  ' * len(sections)}{key}: {_scalar(value)}"


def _origin(settings: Settings, path: str) -> str:
    """Return where the value of *path* comes from."""
    from apex_cli.settings.validation import variable_name

    variable = variable_name(path)
    if variable in read_overrides({name: os.environ[name] for name in os.environ if name.startswith(OVERRIDE_PREFIX)}):
        return f"${variable}"
    inner: Any = read_config(settings.source) if settings.source else {}
    for name in path.split("."):
        inner = inner.get(name) if isinstance(inner, dict) else None
    if inner is not None:
        return str(settings.source)
    return f"profile {settings.profile}" if settings.profile else "default"
