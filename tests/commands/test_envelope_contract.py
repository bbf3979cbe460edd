"""The JSON that scripts rely on: the envelope and the names and types of ``data``, frozen."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from types import NoneType
from typing import Any

import msgspec
import pytest
from typer.main import get_command

from apex_cli.cli import make_app
from apex_cli.commands import COMMANDS
from apex_cli.presenters.contract import DATA, envelope_schema, envelope_type, event_schema, event_type

ENVELOPE = {
    "v": int,
    "command": str,
    "status": str,
    "exit_code": int,
    "data": dict,
    "errors": [{"code": str, "message": str, "hint": str, "details": dict}],
    "warnings": [{"code": str, "message": str, "hint": str, "details": dict}],
}

DECIMAL, TIME = "a decimal as a string", "a time with its offset"
MAYBE_DECIMAL = (DECIMAL, NoneType)

REASON = {"code": str, "limit": (str, NoneType), "value": (str, NoneType), "message": str}

SIZE = {
    "symbol": str,
    "side": str,
    "quantity": int,
    "quantity_by_risk": int,
    "quantity_by_capital": int,
    "binding": str,
    "notional": DECIMAL,
    "risk_amount": DECIMAL,
    "risk_per_unit": DECIMAL,
    "reward_risk": MAYBE_DECIMAL,
    "rate": type(None),
    "warnings": [str],
}

RUN = {
    "signals": [
        {
            "signal_id": str,
            "symbol": str,
            "outcome": str,
            "reasons": [REASON],
            "warnings": [REASON],
            "approval_id": (str, NoneType),
            "orders": [str],
            "score": MAYBE_DECIMAL,
            "quantity": (int, NoneType),
            "where": str,
        }
    ],
    "summary": {
        "outcomes": dict.fromkeys(("executed", "queued", "refused", "invalid", "expired", "duplicate"), int),
        "fills": int,
        "round_trips": int,
        "realized_pnl": DECIMAL,
        "positions": int,
        "approvals_pending": int,
        "unknown_orders": int,
        "equity": DECIMAL,
        "cash": DECIMAL,
        "trading_state": str,
        "session_date": str,
        "now": TIME,
        "cycles": int,
        "dry_run": bool,
    },
}

LOOK = {
    "kind": str,
    "price": MAYBE_DECIMAL,
    "quantity": (int, NoneType),
    "binding": (str, NoneType),
    "notional": MAYBE_DECIMAL,
    "risk_amount": MAYBE_DECIMAL,
    "reward_risk": MAYBE_DECIMAL,
    "reasons": [REASON],
    "warnings": [REASON],
}

APPROVALS = {
    "approvals": [
        {
            "approval_id": str,
            "version": int,
            "signal_id": str,
            "symbol": str,
            "side": str,
            "quantity": int,
            "status": str,
            "reason": str,
            "created_at": TIME,
            "expires_at": TIME,
            "score": DECIMAL,
            "agent": (str, NoneType),
            "agent_reason": (str, NoneType),
            "was": LOOK,
            "now": LOOK,
        }
    ]
}

POSITIONS = {
    "positions": [
        {
            "symbol": str,
            "side": str,
            "quantity": int,
            "entry_price": DECIMAL,
            "current_price": DECIMAL,
            "priced_at": TIME,
            "pnl": DECIMAL,
            "pnl_pct": DECIMAL,
            "r_multiple": MAYBE_DECIMAL,
            "stop_price": MAYBE_DECIMAL,
            "target_prices": [DECIMAL],
            "protected_quantity": int,
            "protected_overnight": bool,
            "notional": DECIMAL,
            "called": str,
            "currency": str,
            "quote_pnl": type(None),
            "rate": type(None),
            "entry_time": TIME,
            "signal_id": str,
            "managed": [str],
            "trail_amount": MAYBE_DECIMAL,
            "held_until": (TIME, NoneType),
            "flat_at": (TIME, NoneType),
            "days_left": (int, NoneType),
            "expires_at": (TIME, NoneType),
            "theoretical": bool,
        }
    ],
    "totals": {"positions": int, "notional": DECIMAL, "pnl": DECIMAL, "unprotected": int},
}

CLOSED = {
    "closed": [
        {
            "symbol": str,
            "quantity": int,
            "remaining": int,
            "exit_price": MAYBE_DECIMAL,
            "pnl": MAYBE_DECIMAL,
            "pnl_pct": MAYBE_DECIMAL,
            "status": str,
            "client_order_id": str,
            "theoretical": bool,
        }
    ]
}

RECONCILED = {
    "checked_at": TIME,
    "complete": bool,
    "breaks": [
        {
            "code": str,
            "symbol": str,
            "subject": str,
            "ours": str,
            "broker": str,
            "message": str,
            "correction": {"kind": str, "message": str, "automatic": bool},
            "status": str,
        }
    ],
    "locks": [{"symbol": str, "codes": [str], "ours": str, "broker": str, "message": str, "since": TIME}],
    "ignored": [{"symbol": str, "quantity": int, "since": TIME}],
}

ORDERS = {
    "orders": [
        {
            "client_order_id": str,
            "bracket_id": str,
            "symbol": str,
            "role": str,
            "side": str,
            "order_type": str,
            "quantity": int,
            "filled_quantity": int,
            "average_price": MAYBE_DECIMAL,
            "limit_price": MAYBE_DECIMAL,
            "stop_price": MAYBE_DECIMAL,
            "time_in_force": str,
            "oca_group": (str, NoneType),
            "parent_id": (str, NoneType),
            "status": str,
            "reason": str,
            "broker_order_id": (str, NoneType),
            "created_at": TIME,
            "updated_at": TIME,
        }
    ]
}

HISTORY = {
    "round_trips": [
        {
            "round_trip_id": str,
            "signal_id": str,
            "strategy": str,
            "symbol": str,
            "side": str,
            "quantity": int,
            "entry_price": DECIMAL,
            "exit_price": DECIMAL,
            "entry_time": TIME,
            "exit_time": TIME,
            "pnl": DECIMAL,
            "pnl_pct": DECIMAL,
            "commission": DECIMAL,
            "net_pnl": DECIMAL,
            "r_multiple": MAYBE_DECIMAL,
            "currency": str,
            "quote_pnl": type(None),
            "rate": type(None),
            "theoretical": bool,
            "exit_reason": str,
        }
    ],
    "statistics": {
        "round_trips": int,
        "wins": int,
        "losses": int,
        "breakeven": int,
        "win_rate": MAYBE_DECIMAL,
        "net_wins": int,
        "net_losses": int,
        "net_breakeven": int,
        "net_win_rate": MAYBE_DECIMAL,
        "pnl": DECIMAL,
        "commission": DECIMAL,
        "net_pnl": DECIMAL,
        "profit_factor": MAYBE_DECIMAL,
        "expectancy_r": MAYBE_DECIMAL,
    },
}

EXPLAIN = {
    "stories": [
        {
            "signal_id": str,
            "decisions": [dict],
            "ended": [dict],
            "approvals": [{"approval_id": str, "status": str, "reason": str}],
            "orders": ORDERS["orders"],
            "fills": [dict],
            "round_trips": HISTORY["round_trips"],
            "events": [{"seq": int, "at": TIME, "kind": str, "data": dict}],
        }
    ]
}


class AtLeast(dict[str, Any]):
    """Names that must be there; more may be."""


DAY_TRADES = AtLeast(
    {
        "regimes": [str],
        "regime_source": str,
        "session_date": str,
        "window": [str],
        "day_trades_by_session": dict,
        "window_count": int,
        "remaining": (int, NoneType),
        "forecast": [int],
        "broker_remaining": (int, NoneType),
        "mismatch": bool,
        "order": (dict, NoneType),
        "intraday": dict,
        "partial": bool,
    }
)

TRADING_STATE = {"state": str, "was": str, "reason": str, "changed_at": TIME}

FINDINGS = [{"code": str, "level": str, "message": str, "hint": str}]


def assert_shape(value: Any, shape: Any, at: str = "data") -> None:
    """Compare names and types; a list's every element has the shape of the one in the list."""
    if isinstance(shape, dict):
        assert isinstance(value, dict), at
        assert set(shape) <= set(value), at
        assert isinstance(shape, AtLeast) or list(value) == list(shape), at
        for name, inner in shape.items():
            assert_shape(value[name], inner, f"{at}.{name}")
    elif isinstance(shape, list):
        assert isinstance(value, list), at
        for number, element in enumerate(value):
            assert_shape(element, shape[0], f"{at}[{number}]")
    elif isinstance(shape, tuple):
        assert any(is_one(value, kind) for kind in shape), f"{at}: {value!r}"
    else:
        assert is_one(value, shape), f"{at}: {value!r}"


def is_one(value: Any, kind: Any) -> bool:
    if kind == DECIMAL:
        digits = value.removeprefix("-").replace(".", "", 1) if isinstance(value, str) else ""
        return digits.isascii() and digits.isdigit()
    if kind == TIME:
        return isinstance(value, str) and datetime.fromisoformat(value).utcoffset() is not None
    return type(value) is kind


STATUS = {
    "mode": str,
    "account": str,
    "now": TIME,
    "trading_state": str,
    "reason": str,
    "running": str,
    "equity": MAYBE_DECIMAL,
    "equity_at": (TIME, NoneType),
    "day_pnl": MAYBE_DECIMAL,
    "positions": int,
    "pnl": DECIMAL,
    "unprotected": int,
    "approvals_pending": int,
    "unknown_orders": int,
    "day_trades_remaining": (int, NoneType),
    "alarms": [{"at": TIME, "message": str}],
    "drift": NoneType,
    "learning_suspended_at": NoneType,
    "market_open": bool,
    "next_session": (TIME, NoneType),
    "next": str,
    "next_why": str,
}

SIZE_LINE = ("size", "nvda", "--entry", "50", "--stop", "48")

HEARTBEAT = {
    "last_run_at": (TIME, NoneType),
    "age_s": (int, NoneType),
    "max_age_s": int,
    "overdue": bool,
    "told": bool,
}

NOTIFY_CHANNEL = {
    "channel": str,
    "delivered": int,
    "failures": int,
    "given_up": int,
    "attempts": int,
    "behind": int,
    "held": int,
    "last_success_at": (TIME, NoneType),
    "last_error": str,
    "last_error_at": (TIME, NoneType),
    "next_try_at": (TIME, NoneType),
}

GROUP = {"name": str, "count": int, "notional": DECIMAL, "risk": DECIMAL, "share": MAYBE_DECIMAL}
COST = {"symbol": str, "pnl": DECIMAL, "basis": str}

RISK = {
    "at": TIME,
    "priced_at": TIME,
    "equity": DECIMAL,
    "one_r": DECIMAL,
    "risk": DECIMAL,
    "notional": DECIMAL,
    "at_stops": DECIMAL,
    "positions": [
        {
            "symbol": str,
            "side": str,
            "quantity": int,
            "working_entry": bool,
            "notional": DECIMAL,
            "risk": DECIMAL,
            "stop_price": DECIMAL,
            "at_stop": DECIMAL,
            "strategy": str,
            "sector": str,
            "history_days": int,
            "remarks": [str],
        }
    ],
    "by_symbol": [GROUP],
    "by_strategy": [GROUP],
    "by_sector": [GROUP],
    "correlations": [{"first": str, "second": str, "correlation": DECIMAL, "days": int, "adds": bool}],
    "worst_day": {"date": str, "sessions": int, "pnl": DECIMAL, "costs": [COST], "without": [str]},
    "gaps": [{"gap": DECIMAL, "loss": DECIMAL, "of_equity": DECIMAL, "stops_passed": int, "costs": [COST]}],
    "limits": [
        {
            "code": str,
            "subject": str,
            "unit": str,
            "found": DECIMAL,
            "limit": DECIMAL,
            "left": DECIMAL,
            "used": DECIMAL,
        }
    ],
    "remarks": [str],
    "left_out": [{"symbol": str, "sums": [str], "why": str}],
}

READING = [
    (SIZE_LINE, SIZE),
    (("positions",), POSITIONS),
    (("risk",), RISK),
    (("orders",), ORDERS),
    (("orders", "--all"), ORDERS),
    (("approve",), APPROVALS),
    (("history",), HISTORY),
    (("explain", "demo-1-aapl-long"), EXPLAIN),
    (("explain", "demo-3-ibm-short"), EXPLAIN),
    (("explain",), {"signals": [{"signal_id": str, "symbol": str, "verdict": str, "at": TIME, "text": str}]}),
    (("status",), STATUS),
    (("pdt-status",), DAY_TRADES),
    (("run", "--once"), RUN),
    (("run", "--once", "--dry-run"), RUN),
    (("reconcile",), RECONCILED),
    (("reconcile", "--repair"), RECONCILED),
    (("halt", "--reason", "news"), TRADING_STATE),
    (("reduce",), TRADING_STATE),
    (("resume",), TRADING_STATE),
    (("close", "MSFT", "--yes"), CLOSED),
    (("close", "--all", "--fraction", "0.5", "--yes"), CLOSED),
    (("approve", "--all", "--yes"), APPROVALS),
    (("doctor",), {"findings": FINDINGS}),
    (("state", "backup"), {"generation": int, "path": str}),
    (("state", "export", "copy.json"), {"path": str, "bytes": int}),
    (("heartbeat",), HEARTBEAT),
    (("notify", "status"), {"channels": [NOTIFY_CHANNEL]}),
    (("init", "new"), {"files": [str], "next": str}),
    (("new", "strategy", "my_own"), {"files": [str], "next": str}),
]


def line_name(value: object) -> str | None:
    return " ".join(value) if isinstance(value, tuple) else None


@pytest.mark.parametrize(("line", "shape"), READING, ids=line_name)
@pytest.mark.usefixtures("traded")
def test_data_keeps_its_names_and_types(apex_json: Callable[..., Any], line: tuple[str, ...], shape: Any) -> None:
    answer = apex_json(*line)
    assert_shape(answer.envelope, ENVELOPE, "envelope")
    assert answer.envelope["status"] == "ok"
    assert answer.status == 0
    assert answer.envelope["errors"] == []
    command = " ".join(line[:2]) if line[0] in {"new", "notify", "state"} else line[0]
    assert answer.envelope["command"] == command
    assert_shape(answer.data, shape)
    kept = msgspec.convert(answer.envelope, envelope_type(command))  # what the schema does not name is left out
    assert sorted(set(paths(answer.envelope)) - set(paths(kept))) == []


def paths(value: object, place: str = "") -> Iterator[str]:
    """Yield where each key of *value* stands."""
    if isinstance(value, list | tuple):
        for each in value:
            yield from paths(each, f"{place}[]")
    elif isinstance(value, dict):
        for key, each in value.items():
            yield f"{place}.{key}"
            yield from paths(each, f"{place}.{key}")


def test_notify_reports_each_channel(traded: Path, apex_json: Callable[..., Any]) -> None:
    with (traded / "config.yaml").open("a") as config:
        config.write("\nnotify: {log_file: reported.jsonl}\n")
    for line, shape in (("test", {"channel": str, "ok": bool, "error": str}), ("status", NOTIFY_CHANNEL)):
        data = apex_json("notify", line).data
        assert len(data["channels"]) == 1
        assert_shape(data, {"channels": [shape]})


@pytest.mark.usefixtures("traded")
def test_state_check_names_the_path_of_each_finding(apex_json: Callable[..., Any]) -> None:
    shape = {"findings": [{"code": str, "level": str, "message": str, "path": str, "hint": str}]}
    assert_shape(apex_json("state", "check").data, shape)


@pytest.mark.usefixtures("traded")
def test_state_restore_reports_both_generations(apex_json: Callable[..., Any]) -> None:
    assert apex_json("state", "backup").status == 0
    shape = {
        "from_generation": int,
        "generation": int,
        "last_seq": int,
        "set_aside": (str, NoneType),
        "replayed": int,
        "missing": [[int]],
        "repaired": [str],
        "notes": [str],
    }
    assert_shape(apex_json("state", "restore", "--yes").data, shape)


@pytest.mark.usefixtures("traded")
def test_a_played_history_has_round_trips_of_the_same_shape(apex_json: Callable[..., Any]) -> None:
    played = apex_json("run", "--once", "--bars-until", "2004-03-12")
    assert_shape(played.data, RUN)
    assert played.data["summary"]["round_trips"] == 2
    reported = apex_json("history").data
    assert_shape(reported, HISTORY)
    assert {trip["exit_reason"] for trip in reported["round_trips"]} == {"stop", "target"}
    assert_shape(apex_json("explain", "AAPL").data, EXPLAIN)


WRONG = [
    (("bogus",), "bogus", 2, "usage"),
    (("size", "--bogus"), "size", 2, "usage"),
    (("size",), "size", 2, "usage"),
    (("size", "--entry", "abc", "--stop", "1"), "size", 2, "usage"),
    (("size", "--entry", "50", "--stop", "48", "-c", "missing.yaml"), "size", 3, "config_missing"),
    (("size", "--entry", "50", "--stop", "50"), "size", 4, "stop_equals_entry"),
    (("explain", "nobody"), "explain", 2, "unknown_id"),
    (("state",), "state", 2, "usage"),
    (("state", "bogus"), "state", 2, "usage"),
    (("state", "check", "--bogus"), "state check", 2, "usage"),
    (("state", "export"), "state export", 2, "export_needs_file"),
    (("run", "--signals", "missing.json", "--once"), "run", 2, "signals_unreadable"),
    (("run", "--until", "25:99"), "run", 2, "until_invalid"),
    (("close",), "close", 2, "close_what"),
    (("close", "AAPL"), "close", 2, "confirmation_needed"),
    (("close", "TSLA", "--yes"), "close", 8, "no_position"),
    (("approve", "NOBODY", "--yes"), "approve", 2, "approval_unknown"),
    (("init", "."), "init", 2, "file_exists"),
    (("positions", "--watch"), "positions", 2, "watch_needs_terminal"),
    ((), "apex", 2, "usage"),
]


@pytest.mark.parametrize(("line", "command", "status", "code"), WRONG)
@pytest.mark.usefixtures("traded")
def test_every_kind_of_error_is_one_envelope_and_silence_on_stderr(
    apex_json: Callable[..., Any], line: tuple[str, ...], command: str, status: int, code: str
) -> None:
    answer = apex_json(*line)
    assert_shape(answer.envelope, ENVELOPE, "envelope")
    assert answer.envelope["command"] == command
    assert answer.status == status
    assert answer.error["code"] == code
    assert answer.error["message"]
    assert answer.err == ""


@pytest.mark.usefixtures("here")
def test_an_error_nobody_planned_is_an_envelope_with_status_1(
    apex_json: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(**_: object) -> None:
        raise ZeroDivisionError("the moon")

    monkeypatch.setattr("apex_cli.app.position_size.size_position", broken)
    answer = apex_json(*SIZE_LINE)
    assert answer.status == 1
    assert answer.error["code"] == "internal_error"
    assert "ZeroDivisionError: the moon" in answer.error["message"]
    assert "APEX_DEBUG" in answer.error["hint"]


@pytest.mark.usefixtures("here")
def test_an_error_before_the_command_starts_is_an_envelope_too(
    apex_json: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("apex_cli.cli").cli.COMMANDS, "size", "no_such_module")
    answer = apex_json(*SIZE_LINE)
    assert answer.status == 1
    assert answer.error["code"] == "internal_error"


@pytest.mark.usefixtures("here")
def test_the_trace_of_an_internal_error_is_there_for_who_asks(
    apex: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(**_: object) -> None:
        raise ZeroDivisionError("the moon")

    monkeypatch.setattr("apex_cli.app.position_size.size_position", broken)
    monkeypatch.setenv("APEX_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        apex(*SIZE_LINE)


@pytest.mark.usefixtures("here")
def test_ctrl_c_is_an_envelope_with_status_130(
    apex: Callable[..., Any], apex_json: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(**_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("apex_cli.app.position_size.size_position", interrupted)
    answer = apex_json(*SIZE_LINE)
    assert answer.status == 130
    assert answer.envelope["status"] == "interrupted"
    assert apex(*SIZE_LINE) == (130, "", "Interrupted.\n")


class TestStreams:
    @pytest.mark.usefixtures("demo")
    def test_results_go_to_stdout_and_talk_to_stderr(self, apex: Callable[..., Any]) -> None:
        answer = apex("run", "--once")
        assert answer.out.splitlines()[0] == "SIM"
        assert answer.out.splitlines()[1].split()[:3] == ["#", "Symbol", "Outcome"]
        assert answer.out.rstrip().endswith("equity 2,998.00 USD")
        assert answer.err.splitlines() == [
            "2004-02-26 15:59 ET  AAPL entry: BUY 6 at 23.04, commission 1.00",
            "2004-02-26 15:59 ET  MSFT entry: BUY 5 at 26.50, commission 1.00",
        ]

    @pytest.mark.usefixtures("demo")
    def test_json_leaves_the_talk_on_stderr(self, apex: Callable[..., Any]) -> None:
        answer = apex("run", "--once", "--json")
        assert json.loads(answer.out)["status"] == "ok"
        assert "AAPL entry" in answer.err

    @pytest.mark.usefixtures("demo")
    def test_quiet_gives_the_result_and_nothing_else(self, apex: Callable[..., Any]) -> None:
        answer = apex("run", "--once", "--quiet")
        assert answer.status == 0
        assert "2 executed" in answer.out
        assert answer.err == ""

    @pytest.mark.usefixtures("here")
    def test_quiet_still_says_warnings_and_errors(self, apex: Callable[..., Any]) -> None:
        breach = apex("size", "--entry", "700", "--stop", "600", "--quiet")
        assert breach.status == 0
        assert breach.err.startswith("Warning: ")
        assert "--bogus" in apex("size", "--quiet", "--bogus").err

    @pytest.mark.usefixtures("here")
    @pytest.mark.usefixtures("configured")
    def test_an_error_says_what_and_what_to_do_on_stderr_only(self, apex: Callable[..., Any]) -> None:
        answer = apex("explain", "nobody")
        assert answer.out == ""
        assert answer.err == (
            "Error: The journal knows nothing of 'nobody'.\n"
            "  -> apex explain lists recent signals; the # of apex orders and apex history works, too.\n"
        )

    @pytest.mark.usefixtures("traded")
    @pytest.mark.parametrize("variables", [{}, {"NO_COLOR": "1"}, {"FORCE_COLOR": "1"}, {"TERM": "dumb"}])
    def test_a_pipe_gets_no_escape_codes(
        self, apex: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
    ) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        lines = [SIZE_LINE, ("positions",), ("orders",), ("approve",), ("explain", "AAPL"), ("doctor",), ("history",)]
        for line in lines:
            answer = apex(*line)
            assert answer.out
            assert "\x1b" not in answer.out + answer.err


@pytest.mark.usefixtures("traded")
def test_nothing_is_asked_when_stdin_is_no_terminal(apex: Callable[..., Any]) -> None:
    close = apex("close", "AAPL", stdin=b"y\n")
    assert close.status == 2
    assert "--yes" in close.err
    listing = apex("approve", stdin=b"a\n")
    assert listing.status == 0
    assert "pending" in listing.out
    restore = apex("state", "restore", stdin=b"y\n")
    assert restore.status == 2
    assert "--yes" in restore.err


@pytest.mark.usefixtures("traded")
def test_decimals_are_strings_without_exponents_and_quantities_numbers(apex: Callable[..., Any]) -> None:
    text = apex("size", "--entry", "0.00000012", "--stop", "0.00000010", "--market-type", "crypto", "--json").out
    data = json.loads(text)["data"]
    assert data["risk_per_unit"] == "0.00000002"
    assert isinstance(data["quantity"], int | float)
    assert "E" not in data["notional"]


class TestEvents:
    def test_a_loop_prints_each_event_as_a_line_and_the_envelope_last(
        self, demo: Path, start: Callable[..., subprocess.Popen[str]]
    ) -> None:
        assert demo.is_dir()
        loop = start("run", "--json")
        assert loop.stdout is not None
        events: list[dict[str, Any]] = []
        while sum(event["event"] == "round_trip" for event in events) < 2:
            events.append(json.loads(loop.stdout.readline()))
        loop.send_signal(signal.SIGINT)
        out, _ = loop.communicate(timeout=60)
        *rest, envelope = map(json.loads, out.splitlines())
        events += rest
        kinds = [event["event"] for event in events]
        assert kinds.count("signal") == len(envelope["data"]["signals"]) == 6
        assert kinds.count("fill") == envelope["data"]["summary"]["fills"] >= 4
        for event in events:
            msgspec.convert(event, event_type(event["event"]))
        assert events[0]["v"] == 1

    @pytest.mark.usefixtures("traded")
    @pytest.mark.parametrize("words", [("--once", "--bars-until", "2004-03-12"), ("--max-cycles", "2")])
    def test_a_run_that_ends_by_itself_prints_one_document(
        self, apex: Callable[..., Any], words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("asyncio.wait_for", at_once)
        assert json.loads(apex("run", *words, "--json").out)["command"] == "run"

    @pytest.mark.usefixtures("here")
    def test_a_line_has_a_schema(self, apex: Callable[..., Any]) -> None:
        assert json.loads(apex("schema", "run", "event").out) == event_schema()


async def at_once(waited: Any, *_: Any) -> None:
    """Wait for nothing."""
    waited.close()
    raise TimeoutError


def all_commands() -> Iterator[str]:
    """Yield every command that does something, as it is typed."""
    group = get_command(make_app(with_completion=False))
    for name in COMMANDS:
        command = group.get_command(None, name)
        inner = command.list_commands(None) if hasattr(command, "list_commands") else ()
        yield from (f"{name} {each}" for each in inner) if inner else (name,)


class TestSchema:
    @pytest.mark.parametrize("command", DATA)
    @pytest.mark.usefixtures("here")
    def test_each_command_has_a_schema_of_its_envelope(self, apex: Callable[..., Any], command: str) -> None:
        schema = json.loads(apex("schema", *command.split()).out)
        assert schema == envelope_schema(command)
        assert set(schema["$defs"]["Envelope"]["required"]) == set(ENVELOPE)

    @pytest.mark.usefixtures("here")
    def test_what_has_none_is_refused_with_those_that_have(self, apex_json: Callable[..., Any]) -> None:
        answer = apex_json("schema", "nobody")
        assert (answer.status, answer.error["code"]) == (2, "schema_unknown")
        assert answer.error["hint"] == "apex schema lists them all."
        assert apex_json("schema", "position").error["hint"] == "Did you mean positions?"
        assert apex_json("schema").data["commands"] == [*DATA, "run event"]

    def test_every_command_has_one(self) -> None:
        assert set(all_commands()) == set(DATA)

    @pytest.mark.usefixtures("traded")
    def test_an_output_that_breaks_the_contract_is_noticed(self, apex_json: Callable[..., Any]) -> None:
        envelope = apex_json("positions").envelope
        envelope["data"]["positions"][0]["pnl"] = "a lot"
        with pytest.raises(msgspec.ValidationError, match=r"data.positions\[0\].pnl"):
            msgspec.convert(envelope, envelope_type("positions"))
