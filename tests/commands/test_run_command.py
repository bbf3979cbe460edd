"""``apex run``: signals of every kind in, one outcome for each out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from apex_cli.core.adapters.state.store import TinyDbStore
from apex_cli.core.adapters.system_clock import SystemClock
from apex_cli.core.model.order import OrderStatus

GOOD = {
    "symbol": "IBM",
    "signal_type": "BUY",
    "entry_price": 96.79,
    "stop_loss": 95,
    "target_price": 101,
    "confidence": 0.9,
    "timestamp": "2004-02-26T15:30:00-05:00",
}


def one_line(**changes: object) -> bytes:
    return json.dumps(GOOD | changes).encode() + b"\n"


def fingerprint(folder: Path) -> dict[str, tuple[str, int]]:
    """Return content and time of change of everything below *folder*."""
    return {
        str(path.relative_to(folder)): (
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
            path.stat().st_mtime_ns,
        )
        for path in (folder, *folder.rglob("*"))
    }


def outcomes(answer: Any) -> dict[str, str]:
    return {row["signal_id"]: row["outcome"] for row in answer.data["signals"]}


@pytest.mark.usefixtures("demo")
def test_the_demo_executes_two_asks_once_and_turns_three_down(apex_json: Callable[..., Any]) -> None:
    answer = apex_json("run", "--once")
    assert outcomes(answer) == {
        "demo-1-aapl-long": "executed",
        "demo-2-msft-buy": "executed",
        "demo-3-ibm-short": "queued",
        "demo-4-aapl-chase": "refused",
        "demo-5-msft-wrong-stop": "refused",
        "demo-6-ibm-late": "expired",
    }
    rows = {row["signal_id"]: row for row in answer.data["signals"]}
    assert len(rows["demo-1-aapl-long"]["orders"]) == 3
    assert rows["demo-3-ibm-short"]["approval_id"]
    assert {r["code"] for r in rows["demo-4-aapl-chase"]["reasons"]} == {"reward_risk_min", "duplicate_symbol"}
    assert answer.data["summary"]["fills"] == 2


@pytest.mark.usefixtures("demo")
@pytest.mark.parametrize(
    ("variable", "stop"), [("APEX_SIGNALS__DEFAULT_STOP__PCT", "25.44"), ("APEX_SIGNALS__DEFAULT_STOP__ATR", "25.37")]
)
def test_an_alert_without_a_stop_gets_one_by_rule_where_one_is_set(
    apex_json: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, variable: str, stop: str
) -> None:
    alert = {"ticker": "MSFT", "action": "buy", "price": "26.50", "takeProfit": 32, "confidence": "90%", "mood": 1}
    Path("alert.json").write_text(json.dumps(alert))
    refused = apex_json("run", "--once", "--dry-run", "--signals", "alert.json")
    assert (refused.status, "stop_loss: it is missing" in refused.error["message"]) == (2, True)
    monkeypatch.setenv(variable, "0.04" if variable.endswith("PCT") else "3")
    monkeypatch.setenv("APEX_EXECUTION__AUTO_MIN_SCORE", "0")
    answer = apex_json("run", "--once", "--signals", "alert.json")
    assert [warning["code"] for warning in answer.envelope["warnings"]] == ["signal_field"]
    (position,) = apex_json("positions").data["positions"]
    assert position["stop_price"] == stop


@pytest.mark.usefixtures("demo")
def test_a_signal_fed_twice_is_executed_once(apex_json: Callable[..., Any]) -> None:
    first = apex_json("run", "--once", "--signals", "-", stdin=one_line() + one_line())
    assert [row["outcome"] for row in first.data["signals"]] == ["duplicate", "executed"]
    second = apex_json("run", "--once", "--signals", "-", stdin=one_line())
    assert [row["outcome"] for row in second.data["signals"]] == ["duplicate"]
    (position,) = apex_json("positions").data["positions"]
    assert position["quantity"] == 1


@pytest.mark.usefixtures("demo")
def test_manual_asks_for_everything_and_auto_for_nothing_good(apex_json: Callable[..., Any]) -> None:
    manual = apex_json("run", "--once", "--manual")
    assert manual.data["summary"]["outcomes"]["executed"] == 0
    assert manual.data["summary"]["outcomes"]["queued"] == 3
    assert manual.data["summary"]["approvals_pending"] == 3


class TestDryRun:
    def test_it_decides_and_changes_nothing_at_all(self, traded: Path, apex_json: Callable[..., Any]) -> None:
        before = fingerprint(traded)
        answer = apex_json("run", "--dry-run", "--signals", "-", stdin=one_line())
        assert [row["outcome"] for row in answer.data["signals"]] == ["executed"]
        assert answer.data["summary"]["dry_run"] is True
        assert fingerprint(traded) == before

    def test_it_creates_nothing_where_nothing_is(self, demo: Path, apex_json: Callable[..., Any]) -> None:
        before = fingerprint(demo)
        answer = apex_json("run", "--dry-run")
        assert answer.data["summary"]["outcomes"]["executed"] == 2
        assert answer.data["summary"]["positions"] == 0
        assert not (demo / "state").exists()
        assert fingerprint(demo) == before

    def test_it_leaves_the_inbox_alone(self, demo: Path, apex_json: Callable[..., Any]) -> None:
        inbox = use_inbox(demo)
        (inbox / "good.jsonl").write_bytes(one_line())
        before = fingerprint(demo)
        assert apex_json("run", "--dry-run").data["summary"]["outcomes"]["executed"] == 1
        assert fingerprint(demo) == before

    @pytest.mark.usefixtures("demo")
    def test_each_decision_sees_those_before_it(self, apex_json: Callable[..., Any]) -> None:
        real = outcomes(apex_json("run", "--dry-run"))
        assert outcomes(apex_json("run", "--once")) == real


def use_inbox(folder: Path) -> Path:
    config = folder / "config.yaml"
    config.write_text(config.read_text().replace("  files: [signals.json]\n", "  inbox: inbox\n"))
    inbox = folder / "inbox"
    inbox.mkdir()
    return inbox


class TestInbox:
    def test_files_move_to_where_they_belong_with_the_reasons(self, demo: Path, apex_json: Callable[..., Any]) -> None:
        inbox = use_inbox(demo)
        (inbox / "good.jsonl").write_bytes(one_line())
        (inbox / "mixed.jsonl").write_bytes(
            one_line(symbol="MSFT", entry_price=26.5, stop_loss=25.85, target_price=29) + b"{}\n"
        )
        (inbox / "bad.csv").write_text("symbol,price\nA,1\n")
        answer = apex_json("run", "--once")
        assert answer.status == 0
        assert answer.data["summary"]["outcomes"]["executed"] == 2
        assert [path.name for path in inbox.iterdir() if path.is_file()] == []
        processed = {path.name.rpartition(".")[0] or path.name for path in (inbox / "processed").iterdir()}
        assert any("good" in name for name in processed)
        assert any("mixed" in name for name in processed)
        rejected = sorted((inbox / "rejected").iterdir())
        reason = json.loads(next(path for path in rejected if path.name.endswith(".reason.json")).read_text())
        assert "missing column" in json.dumps(reason)
        assert apex_json("run", "--once").status == 8

    def test_the_same_file_again_is_a_duplicate(self, demo: Path, apex_json: Callable[..., Any]) -> None:
        inbox = use_inbox(demo)
        for outcome in ("executed", "duplicate"):
            (inbox / "again.jsonl").write_bytes(one_line())
            assert [row["outcome"] for row in apex_json("run", "--once").data["signals"]] == [outcome]
        assert [path.name for path in inbox.iterdir() if path.is_file()] == []

    def test_a_missing_inbox_is_reported(self, demo: Path, apex_json: Callable[..., Any]) -> None:
        use_inbox(demo).rmdir()
        doctor = apex_json("doctor")
        assert any(f["level"] == "warning" and "inbox" in f["message"] for f in doctor.data["findings"])


ROWS = [
    (one_line(entry_price="NaN"), "entry_price", "'NaN'"),
    (one_line(entry_price=-3), "entry_price", "-3"),
    (one_line(stop_loss=0), "stop_loss", "0"),
    (one_line(signal_type="BYU"), "signal_type", "did you mean BUY?"),
    (one_line(stop_los=94), "stop_los", "did you mean stop_loss?"),
    (one_line(confidence=7), "confidence", "0 to 1"),
    (one_line(timestamp="yesterday"), "timestamp", "'yesterday'"),
    (one_line(market_type="futures"), "market_type", "'futures'"),
    (one_line().replace(b"96.79", b"1e400"), "entry_price", "1E+400"),
    (one_line(symbol=""), "symbol", ""),
    (one_line(symbol="A\x1b[31mB"), "symbol", ""),
    (one_line(strategy="\x1b]0;owned\x07"), "strategy", ""),
    (b"[]\n", "", ""),
    (b"null\n", "", ""),
    (b'"x"\n', "", ""),
    (b"{\n", "", ""),
]


@pytest.mark.usefixtures("demo")
def test_people_see_how_to_answer_what_waits(apex: Callable[..., Any]) -> None:
    assert "apex approve" not in apex("run", "--once", "--dry-run").out
    assert "Queued: answer with apex approve." in apex("run", "--once").out
    assert "apex approve" not in apex("run", "--once").out


@pytest.mark.usefixtures("demo")
def test_people_see_the_place_of_a_bad_row(apex: Callable[..., Any]) -> None:
    Path("rows.jsonl").write_bytes(one_line() + one_line(symbol="") + one_line(stop_loss="low"))
    shown = apex("run", "--once", "--signals", "rows.jsonl").out
    assert "rows.jsonl:2: symbol: " in shown
    assert "rows.jsonl:3: stop_loss: found 'low'" in shown


@pytest.mark.parametrize(("row", "field", "words"), ROWS)
@pytest.mark.usefixtures("demo")
def test_a_bad_row_is_reported_by_its_field_and_the_good_one_goes_on(
    apex_json: Callable[..., Any], row: bytes, field: str, words: str
) -> None:
    Path("rows.jsonl").write_bytes(row + one_line())
    rows = apex_json("run", "--once", "--signals", "rows.jsonl").data["signals"]
    assert [found["outcome"] for found in rows] == ["invalid", "executed"]
    (reason,) = rows[0]["reasons"]
    assert rows[0]["where"] == "rows.jsonl:1"
    assert field in reason["message"]
    assert words in reason["message"]
    assert "\x1b" not in reason["message"]


@pytest.mark.parametrize("name", ["rows.csv", "rows.yaml", "rows.json", "rows.jsonl"])
@pytest.mark.usefixtures("demo")
def test_every_format_is_read(apex_json: Callable[..., Any], name: str) -> None:
    text = {
        "rows.csv": f"{','.join(GOOD)}\n{','.join(map(str, GOOD.values()))}\n",
        "rows.yaml": f"- {json.dumps(GOOD)}\n",
        "rows.json": json.dumps([GOOD]),
        "rows.jsonl": json.dumps(GOOD),
    }[name]
    Path(name).write_text(text)
    answer = apex_json("run", "--once", "--signals", name)
    assert [row["outcome"] for row in answer.data["signals"]] == ["executed"]


FILES = [
    (b"", "empty"),
    (b"{", "not valid JSON"),
    (b"\xff\xfe{\x00}", "UTF-16"),
    (b'{"symbol": "\xe9"}', "UTF-8"),
    (b"[" * 100_000, "nested too deeply"),
    (b'{"symbol": "' + b"A" * 20_000_000 + b'"}', "longer than"),
]


@pytest.mark.parametrize(("content", "words"), FILES, ids=[words for _, words in FILES])
@pytest.mark.usefixtures("demo")
def test_a_file_that_is_none_ends_in_one_clear_sentence(apex: Callable[..., Any], content: bytes, words: str) -> None:
    Path("bad.json").write_bytes(content)
    answer = apex("run", "--once", "--signals", "bad.json")
    assert answer.status == 2
    assert answer.err.startswith("No usable signal. bad.json")
    assert words in answer.err
    assert len(answer.out) + len(answer.err) < 2000
    assert "Traceback" not in answer.err


@pytest.mark.parametrize(("name", "words"), [("missing.json", "No such file"), ("bars", "Is a directory")])
@pytest.mark.usefixtures("demo")
def test_a_file_that_cannot_be_read_is_an_error(apex: Callable[..., Any], name: str, words: str) -> None:
    answer = apex("run", "--once", "--signals", name)
    assert answer.status == 2
    assert answer.out == ""
    assert words in answer.err


@pytest.mark.usefixtures("demo")
def test_wrong_yaml_is_reported_by_line(apex: Callable[..., Any]) -> None:
    Path("bad.yaml").write_text("signals:\n - {a: : b}\n")
    answer = apex("run", "--once", "--signals", "bad.yaml")
    assert answer.status == 2
    assert "line 2" in answer.err


@pytest.mark.usefixtures("demo")
def test_more_signals_than_the_bus_holds_are_dropped_with_a_record(apex_json: Callable[..., Any]) -> None:
    Path("config.yaml").write_text(Path("config.yaml").read_text() + "bus:\n  capacity: 5\n")
    lines = b"".join(
        one_line(symbol=f"S{number}", entry_price=23, stop_loss=22, target_price=26) for number in range(8)
    )
    rows = apex_json("run", "--once", "--signals", "-", stdin=lines).data["signals"]
    assert len(rows) == 8
    dropped = [row for row in rows if row["reasons"] and row["reasons"][0]["code"] == "bus_overflow"]
    assert len(dropped) == 3
    assert {row["outcome"] for row in dropped} == {"refused"}


async def at_once(waiting: Any, *_: object, **__: object) -> None:
    """Stand in for a wait of a second, which nobody misses."""
    waiting.close()
    raise TimeoutError


class TestTime:
    @pytest.mark.usefixtures("traded")
    @pytest.mark.parametrize("text", ["25:99", "", "noon", "16:05:30+02:00", "T16", "24:00"])
    def test_until_takes_a_time_of_day_only(self, apex: Callable[..., Any], text: str) -> None:
        answer = apex("run", "--until", text)
        assert answer.status == 2
        assert "--until" in answer.err
        assert "16:05" in answer.err

    @pytest.mark.usefixtures("traded")
    @pytest.mark.parametrize(
        ("day", "words"),
        [
            ("2004-03-13", "no NYSE trading day"),
            ("2204-03-15", "lies outside the years 1900 to 2199"),
            ("1899-01-04", "lies outside the years 1900 to 2199"),
            ("2004-13-45", "is no date"),
        ],
    )
    def test_bars_until_takes_a_trading_day(self, apex: Callable[..., Any], day: str, words: str) -> None:
        answer = apex("run", "--once", "--bars-until", day)
        assert answer.status == 2
        assert words in " ".join(answer.err.split())

    @pytest.mark.usefixtures("here")
    @pytest.mark.usefixtures("configured")
    def test_bars_until_needs_a_clock_that_follows_the_bars(self, apex_json: Callable[..., Any]) -> None:
        answer = apex_json("run", "--once", "--bars-until", "2004-03-12")
        assert answer.status == 2
        assert answer.error["code"] == "bars_until_needs_bars_clock"

    @pytest.mark.usefixtures("traded")
    def test_playing_bars_ends_the_positions_at_target_and_stop(self, apex: Callable[..., Any]) -> None:
        answer = apex("run", "--once", "--bars-until", "2004-03-12")
        assert answer.status == 0
        assert "AAPL closed by target: +15.36 USD" in answer.err
        assert "MSFT closed by stop" in answer.err
        assert "2 round trips closed" in answer.out

    @pytest.mark.usefixtures("demo")
    @pytest.mark.parametrize("line", [("--bars-until", "2004-03-12", "--once"), ("--max-cycles", "1"), ("--once",)])
    def test_signals_are_decided_before_the_market_moves_on(
        self, apex_json: Callable[..., Any], line: tuple[str, ...]
    ) -> None:
        assert apex_json("run", *line).data["summary"]["outcomes"]["executed"] == 2

    @pytest.mark.usefixtures("demo")
    def test_each_cycle_of_a_loop_plays_one_trading_day(
        self, apex_json: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("asyncio.wait_for", at_once)
        summary = apex_json("run", "--max-cycles", "4").data["summary"]
        assert (summary["session_date"], summary["cycles"]) == ("2004-03-03", 4)

    @pytest.mark.usefixtures("traded")
    def test_a_day_already_played_plays_nothing(self, apex_json: Callable[..., Any]) -> None:
        assert apex_json("run", "--once", "--bars-until", "2004-03-12").data["summary"]["fills"] > 0
        again = apex_json("run", "--once", "--bars-until", "2004-03-01")
        assert again.data["summary"]["fills"] == 0
        assert again.data["summary"]["session_date"] == "2004-03-12"

    @pytest.mark.usefixtures("here")
    @pytest.mark.parametrize("text", ["nan", "-1", "inf", "soon", "1e300"])
    def test_a_wait_is_a_number_of_seconds(self, apex: Callable[..., Any], text: str) -> None:
        for line in (("run", "--once"), ("close", "--all", "--yes"), ("approve", "--all", "--yes")):
            answer = apex(*line, "--wait", text)
            assert answer.status == 2
            assert "--wait" in answer.err

    @pytest.mark.usefixtures("here")
    @pytest.mark.parametrize("text", ["0", "-1", "two", "1.5"])
    def test_cycles_are_counted_from_one(self, apex: Callable[..., Any], text: str) -> None:
        assert apex("run", "--max-cycles", text).status == 2


@pytest.mark.usefixtures("demo")
def test_a_bars_clock_without_bars_is_a_wrong_configuration(apex_json: Callable[..., Any]) -> None:
    text = Path("config.yaml").read_text().replace("bars_dir: bars", "bars_dir: null")
    Path("config.yaml").write_text(text)
    answer = apex_json("run", "--once")
    assert answer.status == 3
    assert "prices.bars_dir" in answer.error["message"]


@pytest.mark.usefixtures("demo")
def test_bars_that_are_not_there_are_a_wrong_configuration(apex_json: Callable[..., Any]) -> None:
    text = Path("config.yaml").read_text().replace("bars_dir: bars", "bars_dir: nowhere")
    Path("config.yaml").write_text(text)
    answer = apex_json("run", "--once")
    assert answer.status == 3
    assert "nowhere" in answer.error["message"]


def test_an_alarm_is_reported_where_people_look(demo: Path, apex_json: Callable[..., Any]) -> None:
    """The stop of MSFT vanishes at the broker and in the state: the next run puts it back, and says so."""
    assert apex_json("run", "--once").status == 0
    store = TinyDbStore(demo / "state", clock=SystemClock())
    with store.transaction() as tx:
        stop = next(r for r in tx.orders.values() if r.order.instrument.key == "MSFT" and r.order.role == "STOP")
        tx.orders[stop.order.client_order_id] = replace(stop, status=OrderStatus.EXPIRED)
    reported = apex_json("run", "--once")
    assert [w["code"] for w in reported.envelope["warnings"] if "MSFT" in w["message"]]


@pytest.mark.usefixtures("demo")
def test_verbose_reports_every_step_and_changes_no_result(apex: Callable[..., Any]) -> None:
    reported = apex("run", "--once", "--verbose")
    steps = [line.partition("ET  ")[2] for line in reported.err.splitlines()]
    assert "decision execute BUY 6 AAPL" in steps
    assert any(step.startswith("order apex-") and step.endswith("-S1 working 0/6") for step in steps)
    assert "intent" not in reported.out


@pytest.mark.usefixtures("demo")
def test_two_modes_at_once_are_an_error(apex_json: Callable[..., Any]) -> None:
    answer = apex_json("run", "--once", "--auto", "--manual")
    assert (answer.status, answer.error["message"]) == (2, "--auto and --manual exclude each other.")


@pytest.mark.usefixtures("demo")
def test_verbose_says_what_each_price_file_was_taken_for(apex: Callable[..., Any]) -> None:
    assert "MSFT.csv: daily sessions" in apex("run", "--once", "--dry-run", "--verbose").err
    assert "MSFT.csv" not in apex("run", "--once", "--dry-run").err
