"""Settings, state, journal, clock and the executor's lock; light enough for every command."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from apex_cli.core.errors import ConfigError, InputError, StateError
from apex_cli.core.model.reason import Reason
from apex_cli.settings.load import LIVE_VARIABLE, load_settings, places_looked

if TYPE_CHECKING:
    from apex_cli.core.adapters.state.journal import Journal
    from apex_cli.core.adapters.state.restoration import Replay
    from apex_cli.core.adapters.state.store import TinyDbStore
    from apex_cli.core.adapters.system_clock import SystemClock
    from apex_cli.core.model.account import AccountBadge
    from apex_cli.core.state.tables import State
    from apex_cli.core.text.text_table import FileHints
    from apex_cli.presenters.screen.output import Output
    from apex_cli.settings.input_files import ExecutionFileSettings, PriceSettings
    from apex_cli.settings.sections import Settings


def read_settings(config: Path | None, overrides: Mapping[str, str] | None = None, *, profile: str = "") -> Settings:
    """Return the settings of this process; *overrides* count like further environment variables.

    Raises:
        ConfigError: the file or a variable is wrong.
    """
    settings = load_settings(config, environ={**os.environ, **(overrides or {})}, cwd=Path.cwd(), profile=profile)
    return allow_live(settings, os.environ.get(LIVE_VARIABLE) == "1")


STATE_DIR_VARIABLE = "APEX_STATE__DIR"


def require_account(out: Output, settings: Settings) -> None:
    """Let *out* show which account a command reads or changes, and see to it that there is one.

    Without a configuration no new account is begun: a command that was started in a wrong folder would trade from an
    empty state. A state that is there already is used, with a warning.

    Raises:
        ConfigError: there is no configuration.
    """
    from apex_cli.core.model.account import AccountKind

    out.badge = badge_of(settings)
    if out.badge.kind is not AccountKind.SIMULATED:
        out.name_badge = lambda: badge_in(settings, open_store(settings).view())
    out.detail(f"Configuration: {settings.source or 'none, the defaults hold'}. State: {settings.state.dir}.")
    if settings.source is None and STATE_DIR_VARIABLE not in os.environ:
        _require_state(out, settings)


def _require_state(out: Output, settings: Settings) -> None:
    folder = settings.state.dir
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        message = f"No configuration found: the defaults hold for {settings.state.dir}. {looked_at()}"
        out.warn(Reason(code="config_not_found", message=message))
        return
    raise ConfigError(
        "config_not_found",
        f"No configuration found, and no state in {settings.state.dir}. {looked_at()}",
        hint="Name one with --config FILE, go to its folder, or begin a new account with: apex init",
    )


def looked_at() -> str:
    """Return where this process looked for a configuration, as a sentence."""
    return f"Looked at {', '.join(places_looked(os.environ, Path.cwd()))}."


def badge_of(settings: Settings) -> AccountBadge:
    """Return which account *settings* name."""
    from apex_cli.core.model.account import AccountBadge, AccountKind
    from apex_cli.settings.brokers import AccountMode, BrokerName

    if settings.broker_name is BrokerName.SIMULATED:
        return AccountBadge(kind=AccountKind.SIMULATED)
    section = settings.broker.section
    kind = AccountKind.LIVE if section.mode is AccountMode.LIVE else AccountKind.PAPER
    return AccountBadge(kind=kind, name=section.account or "")


def file_hints(section: PriceSettings | ExecutionFileSettings, name: str) -> FileHints:
    """Return what the section *name* of the configuration says about the files of its kind."""
    import msgspec

    from apex_cli.core.text.text_table import FileHints

    columns = {ours: theirs for ours, theirs in msgspec.structs.asdict(section.columns).items() if theirs}
    return FileHints(
        section=name,
        columns=columns,
        zone=section.zone or "",
        dates=section.dates or "",
        decimal=section.decimal or "",
    )


def badge_in(settings: Settings, state: State) -> AccountBadge:
    """Return which account it is, by the name that the broker gave it where *settings* give none."""
    return badge_of(settings).named_by(state.account.account if state.account else None)


def allow_live(settings: Settings, is_allowed: bool) -> Settings:  # noqa: FBT001 - one yes or no
    """Return *settings* with the word that this command may send orders to a live account, if it was given."""
    return settings.replace(live=True) if is_allowed else settings


def open_store(settings: Settings) -> TinyDbStore:
    """Return the store; of the state only the time of its last change is read."""
    from apex_cli.core.adapters.state.store import TinyDbStore

    return TinyDbStore(
        settings.state.dir,
        clock=make_system_clock(settings),
        lock_timeout_s=settings.state.lock_timeout_s,
        backups=settings.state.backups,
        on_notice=warn,
    )


def make_replay() -> Replay:
    """Return how a restored state is brought up to the present."""
    from apex_cli.core.adapters.state.restoration import Replay
    from apex_cli.core.reconciliation.rebuild import SilentState, rebuild

    return Replay(SilentState, rebuild)


def make_system_clock(settings: Settings) -> SystemClock:
    """Return the machine's clock, never behind the latest time that the state has seen; say so when it would be."""
    from apex_cli.core.adapters.state.file_format import last_saved_at
    from apex_cli.core.adapters.system_clock import MOST_BEHIND, SystemClock

    clock = SystemClock(floor=last_saved_at(settings.state.dir / "state.json"))
    if clock.behind() > MOST_BEHIND and clock.floor not in _noted_floors:
        _noted_floors.add(clock.floor)
        warn(
            f"Warning: this machine's clock says {clock.wall():%Y-%m-%d %H:%M} UTC, but the state has seen "
            f"{clock.floor:%Y-%m-%d %H:%M}. Until then time stands still here. Set the clock right; if it is right now "
            "and was wrong before: apex state reset-clock"
        )
    return clock


_noted_floors: set[datetime] = set()


def decision_time(settings: Settings, state: State, wall: datetime) -> datetime:
    """Return the time that decisions are made by: *wall*, or in a simulated market that of its latest bar."""
    from apex_cli.settings.brokers import SimulationClock

    if settings.simulation.clock is SimulationClock.SYSTEM or state.account is None:
        return wall
    return state.account.account.taken_at


def machine_time() -> datetime:
    """Return what the machine's clock says, whatever the state has seen: for talk about a state that is damaged."""
    from apex_cli.core.adapters.system_clock import SystemClock

    return SystemClock().now()


def warn(text: str) -> None:
    """Say something that no option silences, on standard error."""
    import sys

    from apex_cli.presenters.screen.output import write_line

    write_line(sys.stderr, text)


def new_id() -> str:
    """Return a new sortable id."""
    from apex_cli.core.adapters.system_clock import UlidIds

    return UlidIds().new()


def open_journal(settings: Settings) -> Journal:
    """Return the journal, for reading."""
    from apex_cli.core.adapters.state.journal import Journal

    return Journal(settings.state.dir / "journal")


def alarms_since(settings: Settings, state: State, seq: int) -> tuple[tuple[int, Reason], ...]:
    """Return what a person must know of the events after *seq*, with their numbers, also of other processes."""
    from apex_cli.core.state.events.base_event import kind_of
    from apex_cli.core.state.events.event import read_event
    from apex_cli.core.state.events.operation_events import AlarmRaised

    if state.last_seq == seq:
        return ()
    rows = open_journal(settings).events(kind=kind_of(AlarmRaised))
    events = [read_event(row) for row in rows if row.seq > seq]
    alarms = [(event.seq, event.data) for event in events if isinstance(event, AlarmRaised)]
    return tuple((number, Reason(code=alarm.code, message=alarm.message)) for number, alarm in alarms)


@contextmanager
def executor_lock(settings: Settings, wait_s: float = 0) -> Iterator[None]:
    """Hold the executor: one process at a time talks to the broker.

    Raises:
        BusyError: another process holds it.
    """
    from apex_cli.core.adapters.process_locks import ExecutorLock

    lock = ExecutorLock(settings.state.dir)
    lock.acquire(wait_s)
    try:
        yield
    finally:
        lock.release()


def executor_holder(settings: Settings) -> str:
    """Return who holds the executor now, empty when nobody does."""
    from apex_cli.core.adapters.process_locks import ExecutorLock

    lock = ExecutorLock(settings.state.dir)
    return lock.holder() or "another process" if lock.is_held_elsewhere() else ""


def write_page(path: Path, content: str | bytes, *, form: str = "") -> Path:
    """Replace *path*, mode 0600, in one step; an earlier file is only lost to a whole new one.

    With *form*, the suffix of such files, a file of another suffix must begin as *content* does to be replaced.

    Raises:
        InputError: it cannot be written there, or something else stands there: a link, a device, another kind of file.
    """
    from apex_cli.core.adapters.atomic_file import not_a_file, write_atomically

    data = content.encode() if isinstance(content, str) else content
    with suppress(OSError):
        mode = path.lstat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise InputError("page_not_written", f"{not_a_file(path, mode).message}.", hint="Name a new file.")
        if form and path.suffix.lower() != f".{form}" and (found := _beginning(path)) and not data.startswith(found):
            message = f"{path} holds something else and is not replaced by {form}."
            raise InputError("page_not_written", message, hint=f"Name a new file, or one that ends in .{form}.")
    try:
        write_atomically(path, data)
    except StateError as error:
        cause = error.__cause__
        why = ((cause.strerror if isinstance(cause, OSError) else None) or str(cause)).lower()
        raise InputError(
            "page_not_written", f"{path} cannot be written: {why}.", hint="Name a file in a folder of yours."
        ) from None
    return path


def _beginning(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(4)
