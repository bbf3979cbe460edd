"""``apex reconcile`` as typed, beside a broker whose books another hand has changed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from apex_cli.core.adapters.simulated.simulated_broker import SimulatedBroker
from apex_cli.core.model.instrument import make_instrument
from apex_cli.core.model.money import Price, Quantity
from apex_cli.core.model.order import Order, OrderRole, OrderType, TimeInForce
from apex_cli.core.model.side import OrderSide
from kit import FixedClock

CHILD = Path(__file__).parents[1] / "crash" / "child.py"
LOST = "00000000000000000000000009"
ORPHAN = f"apex-{LOST}-T1"


class Hand:
    """A second broker object over the same books."""

    def __init__(self, folder: Path) -> None:
        path = folder / "state" / "simulated_broker.json"
        clock = FixedClock()
        broker = SimulatedBroker(clock=clock, path=path)
        clock.set(broker.as_of)
        self.broker = SimulatedBroker(clock=clock, path=path)

    def exits(self, symbol: str, leg: str) -> str:
        """Return the id of a working exit."""
        orders = self.broker._engine.working()
        (name,) = [
            o.client_order_id
            for o in orders
            if o.instrument.symbol == symbol and o.client_order_id.rpartition("-")[2] == leg
        ]
        return name

    def cancel(self, symbol: str, leg: str) -> None:
        asyncio.run(self.broker.cancel(self.exits(symbol, leg)))

    def trade(self, symbol: str, side: OrderSide, quantity: int, name: str = "TWS-1", **terms: Any) -> None:
        instrument = make_instrument(symbol)
        if not self.broker.has_price(instrument):
            self.broker.set_price(instrument, Price(Decimal(20)), self.broker.as_of - timedelta(minutes=1))
        order = Order(
            client_order_id=name,
            bracket_id=LOST,
            role=OrderRole.TARGET,
            instrument=instrument,
            side=side,
            order_type=OrderType.LIMIT if terms else OrderType.MARKET,
            quantity=Quantity(Decimal(quantity)),
            time_in_force=TimeInForce.GTC,
            **terms,
        )
        asyncio.run(self.broker.submit([order]))


def codes(envelope: dict[str, Any]) -> list[tuple[str, str]]:
    return [(each["code"], each["status"]) for each in envelope["data"]["breaks"]]


def test_equal_books_end_with_0(traded: Path, apex: Callable[..., Any]) -> None:
    assert traded.exists()
    done = apex("reconcile")
    assert (done.status, done.err) == (0, "")
    assert "Nothing differs" in done.out


def test_what_differs_is_shown_and_repaired(traded: Path, apex_json: Callable[..., Any]) -> None:
    Hand(traded).cancel("AAPL", "S1")
    shown = apex_json("reconcile")
    assert shown.status == 6
    assert codes(shown.envelope) == [("stop_missing", "open")]
    assert {lock["symbol"] for lock in shown.data["locks"]} == {"AAPL"}
    assert shown.error["code"] == "stop_missing"
    repaired = apex_json("reconcile", "--repair")
    assert repaired.status == 0
    assert codes(repaired.envelope) == [("stop_missing", "repaired")]
    assert repaired.data["locks"] == []
    assert all(row["protected_overnight"] for row in apex_json("positions").data["positions"])
    assert apex_json("reconcile").data["breaks"] == []


def test_a_start_repairs_by_itself_before_it_decides(traded: Path, apex_json: Callable[..., Any]) -> None:
    Hand(traded).cancel("AAPL", "S1")
    assert apex_json("run", "--once").status in {0, 8}
    assert all(row["protected_overnight"] for row in apex_json("positions").data["positions"])
    assert apex_json("reconcile").status == 0


def test_a_trade_by_hand_is_adopted_with_a_stop(traded: Path, apex_json: Callable[..., Any]) -> None:
    Hand(traded).trade("TSLA", OrderSide.BUY, 7)
    asked = apex_json("reconcile", "--adopt", "TSLA")
    assert (asked.status, asked.error["code"]) == (2, "stop_needed")
    done = apex_json("reconcile", "--adopt", "TSLA", "--stop", "18")
    assert done.status == 0
    (row,) = [row for row in apex_json("positions").data["positions"] if row["symbol"] == "TSLA"]
    assert (row["quantity"], row["stop_price"], row["protected_overnight"]) == (7, "18.00", True)
    assert apex_json("close", "TSLA", "--yes").status == 0
    assert apex_json("reconcile").status == 0


def test_a_trade_by_hand_is_ignored_until_it_changes(traded: Path, apex_json: Callable[..., Any]) -> None:
    Hand(traded).trade("TSLA", OrderSide.BUY, 7)
    ignored = apex_json("reconcile", "--ignore", "tsla")
    assert ignored.status == 0
    assert ("position_not_ours", "ignored") in codes(ignored.envelope)
    assert ignored.data["ignored"][0]["quantity"] == 7
    Hand(traded).trade("TSLA", OrderSide.BUY, 1, "TWS-2")
    assert apex_json("reconcile").status == 6


def test_a_position_sold_by_hand_is_reported_and_not_sold_again(traded: Path, apex: Callable[..., Any]) -> None:
    Hand(traded).trade("AAPL", OrderSide.SELL, 6)
    shown = apex("reconcile", "--repair")
    assert shown.status == 6
    assert "Locked for openings: AAPL." in shown.out
    close = apex("close", "AAPL", "--yes")
    assert (close.status, "only 0 at the broker" in close.err) == (4, True)
    assert apex("reconcile", "--adopt", "AAPL").status == 0
    assert "outside" in apex("history").out


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--adopt", "A", "--ignore", "B"), "adopt_or_ignore"),
        (("--stop", "3"), "adopt_what"),
        (("--adopt", "A", "--stop", "3", "--no-stop"), "stop_or_none"),
    ],
)
def test_options_that_do_not_go_together(
    traded: Path, apex_json: Callable[..., Any], words: tuple[str, ...], code: str
) -> None:
    assert traded.exists()
    answer = apex_json("reconcile", *words)
    assert (answer.status, answer.error["code"]) == (2, code)


def test_a_symbol_that_does_not_differ_is_nothing_to_do(traded: Path, apex_json: Callable[..., Any]) -> None:
    assert traded.exists()
    assert apex_json("reconcile", "--ignore", "AAPL").status == 8


# ------------------------------------------------------------------ processes


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills as POSIX has them")
def test_killed_between_detection_and_repair_the_next_one_goes_on(
    traded: Path, apex_json: Callable[..., Any], clean_environment: dict[str, str]
) -> None:
    Hand(traded).trade("AAPL", OrderSide.SELL, 4, ORPHAN, limit_price=Price(Decimal(90)))
    for fault in ("kill:before-cancel:1", "kill:after-cancel:1"):
        killed = subprocess.run(
            [sys.executable, str(CHILD), "reconcile", "--repair", "--json"],
            env={**clean_environment, "CRASH_AT": fault},
            cwd=traded,
            capture_output=True,
            check=False,
        )
        assert killed.returncode == -signal.SIGKILL
        apex_json("state", "export", "copy.json")
        assert '"AAPL"' in json.dumps(json.loads(Path("copy.json").read_text())["locks"])
        Path("copy.json").unlink()
    done = apex_json("reconcile", "--repair")
    assert done.status == 0
    assert apex_json("reconcile").data == {**done.data, "breaks": [], "checked_at": done.data["checked_at"]}
    assert not [o for o in Hand(traded).broker._engine.working() if o.client_order_id == ORPHAN]
    events = (
        (traded / "state" / "journal").read_text()
        if False
        else "".join(path.read_text() for path in sorted((traded / "state" / "journal").glob("*.jsonl")))
    )
    assert events.count('"kind":"reconciliation_break"') == 1, "found once, whoever died"


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_comparison_is_handed_over_and_finished_when_the_holder_dies(traded: Path, start: Callable[..., Any]) -> None:
    holder = start("run", "--bars-until", "2004-02-26")
    while "held by" not in start("doctor", "--json").communicate(timeout=60)[0]:
        assert holder.poll() is None
    handed = start("reconcile", "--repair", "--json", "--wait", "60")
    out, err = handed.communicate(timeout=60)
    assert handed.returncode == 0, err
    assert "handed over" in err
    assert json.loads(out)["data"]["complete"] is True
    holder.send_signal(signal.SIGSTOP)
    asker = start("reconcile", "--repair", "--json", "--wait", "60")
    assert "handed over" in asker.stderr.readline()
    Hand(traded).cancel("MSFT", "S1")
    holder.kill()
    out, err = asker.communicate(timeout=60)
    assert asker.returncode == 0, err
    assert all(each["status"] == "repaired" for each in json.loads(out)["data"]["breaks"])
    positions = json.loads(start("positions", "--json").communicate(timeout=60)[0])["data"]["positions"]
    assert all(row["protected_overnight"] for row in positions)


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("words", [(), ("--quiet",)])
def test_an_alarm_is_reported_while_the_loop_runs(
    traded: Path, start: Callable[..., Any], words: tuple[str, ...]
) -> None:
    Hand(traded).trade("TSLA", OrderSide.BUY, 7)
    loop = start("run", "--bars-until", "2004-02-26", *words)
    line = next(line for line in loop.stderr if line.startswith("Alarm:"))
    assert "TSLA: 0 are held here, and 7 at the broker." in line
    assert loop.poll() is None, "it still runs"
    loop.send_signal(signal.SIGINT)
    _, err = loop.communicate(timeout=60)
    assert "0 are held here" not in err, "it is reported once"


def test_with_json_an_alarm_is_reported_at_once_and_in_the_envelope(traded: Path, start: Callable[..., Any]) -> None:
    Hand(traded).trade("TSLA", OrderSide.BUY, 7)
    out, err = start("run", "--max-cycles", "1", "--json").communicate(timeout=60)
    assert err.count("Alarm: TSLA: 0 are held here") == 1
    envelope = json.loads(out)
    assert [warning["code"] for warning in envelope["warnings"]] == ["position_not_ours"]
