"""The JSON of set-up and care, as types; ``contract`` puts them to their commands."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, TypedDict

Scalar = str | int | bool | list[Any] | dict[str, Any] | None
"""A value of the configuration; decimals as text."""


class Files(TypedDict):
    """``apex init`` and ``apex new strategy``."""

    files: list[str]
    next: str


class Lock(TypedDict):
    """What nothing is opened in after closed trades."""

    lock_id: str
    rule: str
    scope: Literal["symbol", "strategy", "account"]
    subject: str
    since: datetime
    until: datetime
    status: Literal["holds", "over", "lifted"]
    trades: list[str]
    limit: str
    value: str
    lifted_at: datetime | None
    lifted_by: str
    lifted_why: str


class NearLock(TypedDict):
    """How near the closed trades of one subject are to a lock."""

    subject: str
    rule: str
    scope: Literal["symbol", "strategy", "account"]
    found: Decimal
    most: Decimal
    value: str
    limit: str


class Locks(TypedDict):
    """``apex locks``: those that hold, with ``--all`` those that are over, too; and those that were lifted now."""

    locks: list[Lock]
    lifted: list[Lock]
    near: list[NearLock]
    """What counts towards a lock that is configured."""

    differing: list[str]
    """Securities in which our books and the broker's differ, or *: apex reconcile."""


class Version(TypedDict):
    """``apex version``."""

    version: str
    python: str
    system: str


class ConfigShow(TypedDict):
    """``apex config show``: each key with its value."""

    file: str | None
    profile: str
    values: dict[str, Scalar]


class ConfigGet(TypedDict):
    """``apex config get``."""

    key: str
    value: Scalar
    default: Scalar
    origin: str


class ConfigChange(TypedDict):
    """``apex config set`` and ``unset``."""

    file: str
    key: str
    was: Scalar
    now: Scalar


class ConfigPath(TypedDict):
    """``apex config path``."""

    file: str | None
    looked: list[str]


class ConfigFile(TypedDict):
    """``apex config validate`` and ``edit``."""

    file: str | None


class Rows(TypedDict):
    """``apex state query``."""

    table: str
    count: int
    rows: list[dict[str, Any]]


class Backup(TypedDict):
    """``apex state backup``."""

    generation: int
    path: str


class Restored(TypedDict):
    """``apex state restore``."""

    from_generation: int | None
    generation: int
    last_seq: int
    set_aside: str | None
    replayed: int
    missing: list[list[int]]
    repaired: list[str]
    notes: list[str]


class Migrated(TypedDict):
    """``apex state migrate``."""

    from_version: int
    to_version: int
    copy: str | None


class ClockReset(TypedDict):
    """``apex state reset-clock``."""

    was: datetime
    now: datetime


class PeakReset(TypedDict):
    """``apex state reset-peak``."""

    was: Decimal
    now: Decimal
    reason: str


class Exported(TypedDict):
    """``apex state export``."""

    path: str
    bytes: int


class Tried(TypedDict):
    """What a test message came to."""

    channel: str
    ok: bool
    error: str


class NotifyTest(TypedDict):
    """``apex notify test``."""

    channels: list[Tried]


class Help(TypedDict, total=False):
    """``apex help``: the topics with their titles, or one page."""

    topics: list[str]
    titles: dict[str, str]
    topic: str
    text: str


class Schemas(TypedDict, total=False):
    """``apex schema`` without a command; with one, the schema itself."""

    commands: list[str]


class Ended(TypedDict, total=False):
    """``apex telegram``, ``mcp`` and ``dashboard``."""

    ended: bool


class Cash(TypedDict):
    """``apex cash``."""

    amount: Decimal
    equity_before: Decimal
    equity: Decimal
    cash: Decimal
    reason: str


class Imported(TypedDict):
    """``apex import-fills``."""

    added: int
    known: int
    too_old: int
    not_counted: int
    covered_since: str | None
    partial: bool


class Gateway(TypedDict):
    """``apex gateway``, in one line as soon as it listens."""

    host: str
    port: int
    account: str
    symbols: list[str]
    server_version: int
