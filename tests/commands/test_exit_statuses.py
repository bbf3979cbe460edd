"""Each documented exit status, reached by the situation it is for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from apex_cli.core.adapters.process_locks import ExecutorLock
from apex_cli.core.adapters.simulated.simulated_broker import SimulatedBroker
from apex_cli.core.adapters.system_clock import SystemClock
from apex_cli.core.errors import BrokerError, StateError

SIGNAL = (
    '{"symbol": "IBM", "signal_type": "BUY", "entry_price": 96.79, "stop_loss": 95, "target_price": 101,'
    ' "confidence": 0.9, "timestamp": "2004-02-26T15:30:00-05:00"}'
)


class TestDone:
    @pytest.mark.usefixtures("here")
    def test_0_a_size_without_any_file(self, apex_json: Callable[..., Any]) -> None:
        answer = apex_json("size", "--entry", "50", "--stop", "48")
        assert answer.status == 0
        assert answer.envelope["status"] == "ok"

    @pytest.mark.usefixtures("traded")
    def test_0_a_run_whose_signals_were_all_seen(self, apex_json: Callable[..., Any]) -> None:
        answer = apex_json("run", "--once")
        assert answer.status == 0
        assert answer.data["summary"]["outcomes"]["duplicate"] == 6


class TestUsage:
    @pytest.mark.usefixtures("demo")
    def test_2_a_run_without_one_usable_signal(self, apex_json: Callable[..., Any]) -> None:
        answer = apex_json("run", "--once", "--signals", "-", stdin=b'{"symbol": "A"}')
        assert answer.status == 2
        assert answer.envelope["status"] == "error"
        assert answer.error["code"] == "no_usable_signal"
        assert answer.error["message"].startswith("No usable signal. -: signal_type: it is missing")


class TestConfiguration:
    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("risk:\n  capitl: 5\n", ["risk.capitl", "did you mean risk.capital?"]),
            ("risk: [1\n", ["not valid YAML", "line 2"]),
            ("risk:\n  capital: .nan\n", ["risk.capital", "NaN"]),
            ("risk:\n  capital: -5\n", ["risk.capital", "-5"]),
            ("execution:\n  auto_execute: maybe\n", ["execution.auto_execute", "'maybe'", "true or false"]),
        ],
    )
    def test_3_a_wrong_file(
        self, here: Path, apex_json: Callable[..., Any], apex: Callable[..., Any], text: str, words: list[str]
    ) -> None:
        (here / "config.yaml").write_text(text)
        answer = apex_json("size", "--entry", "50", "--stop", "48")
        assert answer.status == 3
        assert answer.data == {}
        said = apex("size", "--entry", "50", "--stop", "48")
        assert said.out == ""
        for word in (*words, "config.yaml"):
            assert word in answer.error["message"]
            assert word in said.err

    def test_3_an_environment_variable_that_is_wrong(
        self, apex_json: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("APEX_RISK__CAPITAL", "much")
        answer = apex_json("size", "--entry", "50", "--stop", "48")
        assert answer.status == 3
        assert "$APEX_RISK__CAPITAL" in answer.error["message"]

    def test_3_a_folder_in_place_of_the_file(self, here: Path, apex_json: Callable[..., Any]) -> None:
        assert apex_json("positions", "-c", str(here)).status == 3


class TestRefused:
    @pytest.mark.usefixtures("here")
    def test_4_a_stop_at_the_entry(self, apex_json: Callable[..., Any]) -> None:
        answer = apex_json("size", "--entry", "50", "--stop", "50")
        assert answer.status == 4
        assert answer.envelope["status"] == "refused"

    @pytest.mark.usefixtures("traded")
    def test_4_an_approval_that_does_not_stand_any_more(self, apex_json: Callable[..., Any]) -> None:
        apex_json("halt", "--reason", "news")
        answer = apex_json("approve", "--all", "--yes")
        assert answer.status == 4
        assert answer.error["code"] == "trading_state"
        assert "news" in answer.error["message"]
        assert answer.error["details"]["is_void"] is False

    @pytest.mark.usefixtures("traded")
    def test_0_a_close_while_trading_is_halted(self, apex_json: Callable[..., Any]) -> None:
        apex_json("halt")
        assert apex_json("close", "MSFT", "--yes").status == 0


class TestUnavailable:
    @pytest.mark.parametrize("line", [("run", "--once"), ("pdt-status",), ("doctor",)])
    def test_5_nothing_listens_where_the_broker_should_be(
        self, here: Path, apex_json: Callable[..., Any], line: tuple[str, ...]
    ) -> None:
        (here / "config.yaml").write_text("execution: {simulation_mode: false}\nbroker: {ib: {ib_port: 1}}\n")
        answer = apex_json(*line)
        assert answer.status == 5
        assert any("Nothing listens on 127.0.0.1:1." in error["message"] for error in answer.envelope["errors"])

    @pytest.mark.usefixtures("demo")
    def test_5_a_broker_that_is_not_there(self, apex_json: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
        async def away(_: SimulatedBroker) -> None:
            raise BrokerError("broker_away", "Nobody listens.", hint="Start it.")

        monkeypatch.setattr(SimulatedBroker, "connect", away)
        answer = apex_json("run", "--once")
        assert answer.status == 5
        assert answer.envelope["status"] == "unavailable"


class TestUnknown:
    @pytest.fixture
    def full_disk(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
        """Let no simulated book be written, until the returned function is called."""

        def no_space(path: Path, *_: bytes) -> None:
            raise StateError("state_io_error", f"{path}: No space left on device", hint="check the disk")

        with monkeypatch.context() as patch:
            patch.setattr("apex_cli.core.adapters.simulated.book_file.write_atomically", no_space)
            yield patch.undo

    @pytest.mark.usefixtures("demo")
    def test_6_orders_that_left_and_were_not_confirmed(
        self, apex_json: Callable[..., Any], full_disk: Callable[[], None]
    ) -> None:
        answer = apex_json("run", "--once")
        assert answer.status == 6
        assert answer.envelope["status"] == "unknown"
        assert answer.error["code"] == "order_unknown"
        assert answer.data["summary"]["unknown_orders"] == 6
        assert answer.data["summary"]["positions"] == 0
        assert {order["status"] for order in apex_json("orders").data["orders"]} == {"UNKNOWN"}
        full_disk()
        again = apex_json("run", "--once")
        assert again.status == 0
        assert again.data["summary"]["unknown_orders"] == 0
        lost = [order for order in answer.data["signals"] if order["outcome"] == "unknown"]
        fate = {order["client_order_id"]: order["status"] for order in apex_json("orders", "--all").data["orders"]}
        assert {fate[name] for row in lost for name in row["orders"]} == {"NEVER_SENT"}
        assert [row["quantity"] for row in apex_json("positions").data["positions"]] == [6, 5]
        assert again.data["summary"]["equity"] == "2998.00"

    @pytest.mark.usefixtures("traded")
    def test_6_a_close_whose_exits_were_not_confirmed(
        self, apex_json: Callable[..., Any], full_disk: Callable[[], None], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real_sleep = asyncio.sleep
        monkeypatch.setattr(asyncio, "sleep", lambda _: real_sleep(0))
        answer = apex_json("close", "MSFT", "--yes")
        assert answer.status == 6
        assert answer.envelope["status"] == "unknown"
        assert [p["symbol"] for p in apex_json("positions").data["positions"]] == ["AAPL", "MSFT"]
        full_disk()
        assert apex_json("run", "--once").status == 0
        assert apex_json("positions").data["totals"]["unprotected"] == 0
        assert apex_json("close", "MSFT", "--yes").status == 0
        assert [o["symbol"] for o in apex_json("orders").data["orders"]] == ["AAPL", "AAPL"]


class TestBusy:
    @pytest.mark.parametrize(
        "line",
        [
            ("run", "--once"),
            ("close", "AAPL", "--yes", "--wait", "0"),
            ("approve", "--all", "--yes", "--wait", "0"),
            ("approve", "--all", "--reject", "--wait", "0"),
        ],
    )
    def test_7_somebody_else_holds_the_executor(
        self, traded: Path, apex_json: Callable[..., Any], line: tuple[str, ...]
    ) -> None:
        with ExecutorLock(traded / "state"):
            answer = apex_json(*line)
        assert answer.status == 7
        assert answer.envelope["status"] == "busy"
        assert "pid" in answer.error["message"]
        assert apex_json(*line).status == 0

    @pytest.mark.parametrize("line", [("close", "AAPL", "--yes"), ("approve", "--all", "--yes")])
    def test_7_the_holder_does_not_take_the_work_and_nothing_is_left_of_it(
        self, traded: Path, apex_json: Callable[..., Any], line: tuple[str, ...]
    ) -> None:
        with ExecutorLock(traded / "state"):
            assert apex_json(*line, "--wait", "0.2").status == 7
        before = apex_json("positions").data
        assert [row["quantity"] for row in before["positions"]] == [6, 5]
        assert apex_json("run", "--once").status == 0
        assert apex_json("positions").data == before

    @pytest.mark.parametrize("line", [("positions",), ("orders",), ("approve",), ("history",), ("run", "--dry-run")])
    def test_looking_is_never_busy(self, traded: Path, apex_json: Callable[..., Any], line: tuple[str, ...]) -> None:
        with ExecutorLock(traded / "state"):
            assert apex_json(*line).status == 0


class TestNothingDone:
    @pytest.mark.parametrize(
        ("line", "code"),
        [
            (("run", "--once"), "nothing_to_do"),
            (("approve",), "nothing_pending"),
            (("approve", "--all", "--yes"), "nothing_pending"),
            (("close", "--all", "--yes"), "no_position"),
            (("close", "AAPL", "--yes"), "no_position"),
            (("state", "backup"), "nothing_to_back_up"),
        ],
    )
    @pytest.mark.usefixtures("here")
    @pytest.mark.usefixtures("configured")
    def test_8_nothing_is_there(self, apex_json: Callable[..., Any], line: tuple[str, ...], code: str) -> None:
        answer = apex_json(*line)
        assert answer.status == 8
        assert answer.envelope["status"] == "nothing_done"
        assert answer.error["code"] == code

    @pytest.mark.usefixtures("demo")
    def test_8_the_window_is_over(self, apex_json: Callable[..., Any]) -> None:
        answer = apex_json("run", "--until", "09:45")
        assert answer.status == 8
        assert answer.error["code"] == "outside_window"

    def test_8_a_close_when_the_market_is_closed(
        self, traded: Path, apex_json: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        text = (traded / "config.yaml").read_text().replace("clock: bars", "clock: system")
        (traded / "weekend.yaml").write_text(text)
        monkeypatch.setattr(SystemClock, "now", lambda _: datetime(2004, 2, 28, 15, tzinfo=UTC))
        answer = apex_json("close", "MSFT", "--yes", "-c", "weekend.yaml")
        assert answer.status == 8
        assert answer.error["code"] == "market_closed"
        assert "2004-03-01 14:30 UTC" in answer.error["message"]
        assert apex_json("positions").data["totals"]["unprotected"] == 0


class TestDamaged:
    @pytest.mark.parametrize(
        "line",
        [
            ("run", "--once"),
            ("run", "--dry-run"),
            ("positions",),
            ("orders",),
            ("approve",),
            ("close", "AAPL", "--yes"),
            ("pdt-status",),
            ("halt",),
            ("state", "check"),
            ("doctor",),
        ],
    )
    def test_9_a_spoiled_state_file_stops_everything_and_names_the_repair(
        self, traded: Path, apex_json: Callable[..., Any], line: tuple[str, ...]
    ) -> None:
        file = traded / "state" / "state.json"
        spoiled = file.read_bytes()[:-100]
        file.write_bytes(spoiled)
        answer = apex_json(*line)
        assert answer.status == 9
        assert answer.envelope["status"] == "damaged"
        assert "state.json" in answer.envelope["errors"][0]["message"]
        assert file.read_bytes() == spoiled

    def test_9_a_missing_file_beside_a_journal(self, traded: Path, apex_json: Callable[..., Any]) -> None:
        (traded / "state" / "state.json").unlink()
        assert apex_json("positions").status == 9

    def test_a_restored_backup_trades_again(self, traded: Path, apex_json: Callable[..., Any]) -> None:
        assert apex_json("state", "backup").status == 0
        (traded / "state" / "state.json").write_bytes(b"\0" * 100)
        assert apex_json("run", "--once").status == 9
        restored = apex_json("state", "restore", "--yes")
        assert restored.status == 0
        assert Path(restored.data["set_aside"]).read_bytes() == b"\0" * 100
        assert apex_json("run", "--once").status == 0
        assert len(apex_json("positions").data["positions"]) == 2

    def test_9_a_state_folder_that_is_a_file(self, here: Path, apex_json: Callable[..., Any]) -> None:
        (here / "state").write_text("in the way")
        for line in [("run", "--once"), ("positions",), ("halt",), ("state", "check"), ("doctor",), ("history",)]:
            answer = apex_json(*line)
            assert answer.status == 9, line
            assert str(here / "state") in answer.envelope["errors"][0]["message"]


def test_statuses_of_several_closes_are_reported_together(traded: Path, apex_json: Callable[..., Any]) -> None:
    assert traded.exists()
    answer = apex_json("close", "AAPL", "MSFT", "--yes")
    assert answer.status == 0
    assert [row["symbol"] for row in answer.data["closed"]] == ["AAPL", "MSFT"]
