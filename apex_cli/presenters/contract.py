"""The JSON that scripts rely on, as types: what ``apex schema`` prints, and what every output is checked against.

Names may be added; none is renamed, taken away or given another type without a new ``v`` in the envelope. Amounts,
prices and ratios are decimals as text, quantities numbers, times ISO 8601 with offset. Percentages are in per cent
(``pnl_pct``), rates and fractions in 0..1.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal, NotRequired, TypedDict

from apex_cli.presenters import contract_care as care
from apex_cli.presenters import contract_http
from apex_cli.presenters import contract_research as research
from apex_cli.presenters import contract_risk as risk


class Note(TypedDict):
    """An error or a warning."""

    code: str
    message: str
    hint: str
    details: dict[str, Any]


class Reason(TypedDict):
    """Why something was refused, with its numbers."""

    code: str
    limit: str | None
    value: str | None
    message: str
    lifts_at: NotRequired[datetime]
    """Only where time alone ends it."""


class Rate(TypedDict):
    """What one unit of another currency is worth in that of the account."""

    value: Decimal
    currency: str
    base: str
    source: str
    at: datetime | None


class Size(TypedDict):
    """``apex size``."""

    symbol: str
    side: str
    quantity: float
    quantity_by_risk: float
    quantity_by_capital: float
    binding: str
    notional: Decimal
    risk_amount: Decimal
    risk_per_unit: Decimal
    reward_risk: Decimal | None
    net_reward_risk: NotRequired[Decimal]
    """Only where protections.costs is set."""

    rate: Rate | None
    warnings: list[str]


class Signal(TypedDict):
    """What became of one signal."""

    signal_id: str
    symbol: str
    outcome: Literal["received", "executed", "queued", "refused", "invalid", "expired", "duplicate", "unknown"]
    reasons: list[Reason]
    warnings: list[Reason]
    approval_id: str | None
    orders: list[str]
    score: Decimal | None
    quantity: float | None
    where: str


class RunSummary(TypedDict):
    """The sums of a run."""

    outcomes: dict[str, int]
    fills: int
    round_trips: int
    realized_pnl: Decimal
    positions: int
    approvals_pending: int
    unknown_orders: int
    equity: Decimal
    cash: Decimal
    trading_state: str
    session_date: str
    now: datetime
    cycles: int
    dry_run: bool


class Run(TypedDict):
    """``apex run``."""

    signals: list[Signal]
    summary: RunSummary


class Look(TypedDict, total=False):
    """An approval as it was, or as it is now; empty when it was not looked at again."""

    kind: str
    price: Decimal | None
    quantity: float | None
    binding: str | None
    notional: Decimal | None
    risk_amount: Decimal | None
    reward_risk: Decimal | None
    reasons: list[Reason]
    warnings: list[Reason]


class Approval(TypedDict):
    """One approval."""

    approval_id: str
    version: int
    signal_id: str
    symbol: str
    side: str
    quantity: float | None
    status: str
    reason: str
    created_at: datetime
    expires_at: datetime
    score: Decimal
    agent: str | None
    agent_reason: str | None
    was: Look
    now: Look


class Approvals(TypedDict):
    """``apex approve``."""

    approvals: list[Approval]


class Position(TypedDict):
    """One open position."""

    symbol: str
    side: str
    quantity: float
    entry_price: Decimal
    current_price: Decimal
    priced_at: datetime
    pnl: Decimal
    pnl_pct: Decimal
    r_multiple: Decimal | None
    stop_price: Decimal | None
    target_prices: list[Decimal]
    protected_quantity: float
    protected_overnight: bool
    notional: Decimal
    called: str
    currency: str
    quote_pnl: Decimal | None
    rate: Rate | None
    entry_time: datetime
    signal_id: str
    managed: list[str]
    trail_amount: Decimal | None
    held_until: datetime | None
    flat_at: datetime | None
    days_left: int | None
    expires_at: datetime | None
    theoretical: bool


class Totals(TypedDict):
    """All open positions together."""

    positions: int
    notional: Decimal
    pnl: Decimal
    unprotected: int


class Positions(TypedDict):
    """``apex positions``."""

    positions: list[Position]
    totals: Totals


class Close(TypedDict):
    """What a close came to."""

    symbol: str
    quantity: float
    remaining: float
    exit_price: Decimal | None
    pnl: Decimal | None
    pnl_pct: Decimal | None
    status: str
    client_order_id: str
    theoretical: bool


class Closed(TypedDict):
    """``apex close``."""

    closed: list[Close]


class MovedStop(TypedDict):
    """``apex move-stop``: where the stops of a position stand, and how many units they protect."""

    symbol: str
    from_price: Decimal
    to_price: Decimal
    quantity: float


class CancelledEntries(TypedDict):
    """The entries in a security that fill no more."""

    symbol: str
    client_order_ids: list[str]


class Cancelled(TypedDict):
    """``apex cancel``."""

    cancelled: list[CancelledEntries]


class Order(TypedDict):
    """One order."""

    client_order_id: str
    bracket_id: str
    symbol: str
    role: str
    side: str
    order_type: str
    quantity: float
    filled_quantity: float
    average_price: Decimal | None
    limit_price: Decimal | None
    stop_price: Decimal | None
    time_in_force: str
    oca_group: str | None
    parent_id: str | None
    status: str
    reason: str
    broker_order_id: str | None
    created_at: datetime
    updated_at: datetime


class Orders(TypedDict):
    """``apex orders``."""

    orders: list[Order]


class RoundTrip(TypedDict):
    """One closed trade."""

    round_trip_id: str
    signal_id: str
    strategy: str
    symbol: str
    side: str
    quantity: float
    entry_price: Decimal
    exit_price: Decimal
    entry_time: datetime
    exit_time: datetime
    pnl: Decimal
    pnl_pct: Decimal
    commission: Decimal
    net_pnl: Decimal
    r_multiple: Decimal | None
    currency: str
    quote_pnl: Decimal | None
    rate: Rate | None
    theoretical: bool
    exit_reason: str


class History(TypedDict):
    """``apex history``."""

    round_trips: list[RoundTrip]
    statistics: research.Statistics


class Story(TypedDict):
    """Everything about one signal."""

    signal_id: str
    decisions: list[dict[str, Any]]
    ended: list[dict[str, Any]]
    approvals: list[dict[str, Any]]
    orders: list[Order]
    fills: list[dict[str, Any]]
    round_trips: list[RoundTrip]
    events: list[dict[str, Any]]


class RecentSignal(TypedDict):
    """The last word on one recent signal."""

    signal_id: str
    symbol: str
    verdict: str
    at: datetime
    text: str


class Explain(TypedDict, total=False):
    """``apex explain``: stories of what is named, or the recent signals."""

    stories: list[Story]
    signals: list[RecentSignal]


class Correction(TypedDict):
    """What would set a difference right."""

    kind: str
    message: str
    automatic: bool


class Break(TypedDict):
    """One difference between apex and the broker."""

    code: str
    symbol: str
    subject: str
    ours: str
    broker: str
    message: str
    correction: Correction
    status: str


class Lock(TypedDict):
    """A security that nothing is opened in."""

    symbol: str
    codes: list[str]
    ours: str
    broker: str
    message: str
    since: datetime


class Ignored(TypedDict):
    """A holding that is left alone."""

    symbol: str
    quantity: float
    since: datetime


class Reconcile(TypedDict):
    """``apex reconcile``."""

    checked_at: datetime
    complete: bool
    breaks: list[Break]
    locks: list[Lock]
    ignored: list[Ignored]


class Alarm(TypedDict):
    """Something that was to be looked at."""

    at: datetime
    message: str


class Status(TypedDict):
    """``apex status``."""

    mode: Literal["SIM", "PAPER", "LIVE"]
    account: str
    now: datetime
    trading_state: str
    reason: str
    running: str
    equity: Decimal | None
    equity_at: datetime | None
    day_pnl: Decimal | None
    positions: int
    pnl: Decimal
    unprotected: int
    approvals_pending: int
    unknown_orders: int
    day_trades_remaining: int | None
    alarms: list[Alarm]
    locked: NotRequired[list[str]]
    """Only where closed trades lock something: securities, strategies, or * for all; see apex locks."""

    drift: research.DriftNote | None
    learning_suspended_at: datetime | None
    market_open: bool
    next_session: datetime | None
    next: str
    next_why: str


class TradingState(TypedDict):
    """``apex halt``, ``reduce`` and ``resume``."""

    state: str
    was: str
    reason: str
    changed_at: datetime


class Finding(TypedDict):
    """One thing that was looked at."""

    code: str
    level: str
    message: str
    hint: str


class Findings(TypedDict):
    """``apex doctor`` and ``apex state check``."""

    findings: list[Finding]


class DayTrades(TypedDict):
    """``apex pdt-status``; -1 day trades are unlimited, null is not applicable."""

    regimes: list[str]
    regime_source: str
    session_date: str
    window: list[str]
    day_trades_by_session: dict[str, int]
    window_count: int
    alternative_counts: dict[str, int]
    uncertain: bool
    remaining: int | None
    forecast: list[int | None]
    broker_forecast: list[int | None]
    broker_remaining: int | None
    mismatch: bool
    order: risk.OrderVerdict | None
    intraday: risk.IntradayMargin
    partial: bool
    regime_at: datetime
    mismatch_reason: str
    opened_today: list[str]
    leaves_window: dict[str, str | None]
    spreads: list[risk.SpreadDayTrades]
    deficits: risk.Deficits


class Heartbeat(TypedDict):
    """``apex heartbeat``."""

    last_run_at: datetime | None
    age_s: int | None
    max_age_s: int
    overdue: bool
    told: bool


class Channel(TypedDict):
    """How one channel of notifications stands."""

    channel: str
    delivered: int
    failures: int
    given_up: int
    attempts: int
    behind: int
    held: int
    last_success_at: datetime | None
    last_error: str
    last_error_at: datetime | None
    next_try_at: datetime | None


class Channels(TypedDict):
    """``apex notify status``."""

    channels: list[Channel]


class FillEvent(TypedDict):
    """An execution that was booked."""

    exec_id: str
    client_order_id: str
    symbol: str
    role: str | None
    side: str
    quantity: float
    price: Decimal
    commission: Decimal


class AlarmEvent(TypedDict):
    """Something that must be looked at."""

    code: str
    symbol: str
    message: str


DATA: Mapping[str, Any] = {
    "status": Status,
    "run": Run,
    "approve": Approvals,
    "positions": Positions,
    "risk": risk.Risk,
    "close": Closed,
    "move-stop": MovedStop,
    "cancel": Cancelled,
    "orders": Orders,
    "history": History,
    "explain": Explain,
    "size": Size,
    "pdt-status": DayTrades,
    "reconcile": Reconcile,
    "locks": care.Locks,
    "halt": TradingState,
    "reduce": TradingState,
    "resume": TradingState,
    "doctor": Findings,
    "state check": Findings,
    "heartbeat": Heartbeat,
    "notify status": Channels,
    "cash": care.Cash,
    "import-fills": care.Imported,
    "report": research.Report,
    "replay": research.Replay,
    "new strategy": care.Files,
    "drift": research.Drift,
    "learn status": research.LearnStatus,
    "learn backtest": research.LearnBacktest,
    "learn history": research.LearnHistory,
    "learn diff": research.LearnDiff,
    "learn rollback": research.LearnVersion,
    "learn freeze": research.Frozen,
    "learn unfreeze": research.Frozen,
    "model status": research.ModelStatus,
    "model train": research.TrainedModel,
    "model rollback": research.TrainedModel,
    "files": research.FileLook,
    "export": research.Export,
    "init": care.Files,
    "config show": care.ConfigShow,
    "config get": care.ConfigGet,
    "config set": care.ConfigChange,
    "config unset": care.ConfigChange,
    "config path": care.ConfigPath,
    "config edit": care.ConfigFile,
    "config validate": care.ConfigFile,
    "state query": care.Rows,
    "state backup": care.Backup,
    "state restore": care.Restored,
    "state migrate": care.Migrated,
    "state reset-clock": care.ClockReset,
    "state reset-peak": care.PeakReset,
    "state export": care.Exported,
    "notify test": care.NotifyTest,
    "help": care.Help,
    "version": care.Version,
    "schema": care.Schemas,
    "gateway": care.Gateway,
    "listen": care.Ended,
    "events": contract_http.Events,
    "mcp": care.Ended,
    "telegram": care.Ended,
    "dashboard": care.Ended,
}
"""The type of ``data`` by command, when it ends well."""

TOOL_DATA: Mapping[str, Any] = {"propose": Signal}
"""The type of ``data`` of what only agents ask for, by tool."""

HTTP_DATA = contract_http.HTTP_DATA

EVENTS = "run event"
"""Names the schema of the lines that a looping run prints."""


def envelope_type(command: str) -> Any:  # noqa: ANN401 - a type that is made here
    """Return the type of the envelope that *command* prints when it ends well."""
    data = DATA.get(command) or HTTP_DATA.get(command) or TOOL_DATA.get(command, dict[str, Any])
    fields = {
        "v": Literal[1],
        "command": str,
        "status": str,
        "exit_code": int,
        "data": data,
        "errors": list[Note],
        "warnings": list[Note],
    }
    return TypedDict("Envelope", fields)  # type: ignore[operator]  # its fields are known only here


def envelope_schema(command: str) -> dict[str, Any]:
    """Return the JSON Schema of the envelope that *command* prints; with an error its ``data`` is empty."""
    import msgspec

    schema = msgspec.json.schema(envelope_type(command))
    properties = schema["$defs"]["Envelope"]["properties"]
    properties["data"] = {"anyOf": [properties["data"], {"type": "object", "maxProperties": 0}]}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"apex {command} --json",
        **schema,
        "$defs": _without_marks(schema["$defs"]),
    }


def _without_marks(types: dict[str, Any]) -> dict[str, Any]:
    """Return *types* with descriptions for readers of the schema: marks of the source are left out."""
    described = {name: one for name, one in types.items() if "description" in one}
    return types | {
        name: one | {"description": one["description"].replace("``", "")} for name, one in described.items()
    }


EVENT_DATA: Mapping[str, Any] = {"signal": Signal, "fill": FillEvent, "round_trip": RoundTrip, "alarm": AlarmEvent}
"""The type of ``data`` by event; the envelope is the last line."""


def event_type(kind: str) -> Any:  # noqa: ANN401 - a type that is made here
    """Return the type of a line that a looping run prints for an event of this kind."""
    fields = {"v": Literal[1], "event": Literal[kind], "at": datetime | None, "data": EVENT_DATA[kind]}
    return TypedDict(f"{kind.title().replace('_', '')}Line", fields)  # type: ignore[operator]  # known only here


def event_schema() -> dict[str, Any]:
    """Return the JSON Schema of one line of a looping run; what is in ``data`` depends on ``event``."""
    import msgspec

    template = "#/$defs/{name}"
    lines, parts = msgspec.json.schema_components(map(event_type, EVENT_DATA), ref_template=template)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "apex run --json, a line of a loop",
        "anyOf": list(lines),
        "$defs": _without_marks(parts),
    }
