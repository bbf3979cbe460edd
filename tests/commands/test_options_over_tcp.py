"""Options at the paper venue over TCP, from the signal to the end of the contract; nothing is mocked but the time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from apex_cli.core.adapters.system_clock import SystemClock
from apex_cli.core.market.calendar import NEW_YORK, session_bounds
from apex_cli.gateway.policy import Policy
from kit.gateway import GatewayThread

D = Decimal
CONFIG = """\
execution: {{simulation_mode: false, auto_execute: true}}
risk: {{capital: 20000, max_position_pct: 0.5, max_risk_pct: 0.1, min_reward_risk: 0.1, enforce_market_hours: false}}
day_trades: {{regime: "off"}}
prices: {{max_age_minutes: 100000}}
management: {management}
broker: {{ib: {{library: {library}, ib_port: {port}, quiet_hours: [], ack_timeout_s: 3}}}}
"""
Apex = Callable[..., Any]
TODAY = datetime.now(NEW_YORK).date()  # noqa: TID251 - client libraries stamp quotes with the machine's clock


def a_week() -> date:
    """Return a Monday after today whose week, and the Monday after it, have no holiday."""
    monday = TODAY + timedelta(days=7 - TODAY.weekday())
    while not all(session_bounds(monday + timedelta(days=day)) for day in (0, 1, 2, 3, 4, 7)):
        monday += timedelta(days=7)
    return monday


MONDAY = a_week()
LATER = {"Mon": 0, "Wed": 2, "Thu": 3, "Fri": 4, "next": 7}
DAYS = {name: MONDAY + timedelta(days=days) for name, days in LATER.items()}
FRIDAY = DAYS["Fri"].isoformat()
CALL, PUT = f"AAPL@options {FRIDAY} C200", f"AAPL@options {FRIDAY} P200"


class Time:
    """The time of a test, New York: ``Mon 10:00``."""

    def __init__(self) -> None:
        self.set("Mon 10:00")

    def set(self, text: str) -> None:
        name, _, clock = text.partition(" ")
        self.now = datetime.fromisoformat(f"{DAYS[name]}T{clock}").replace(tzinfo=NEW_YORK)


class House(NamedTuple):
    """What every test works with."""

    folder: Path
    apex: Apex
    time: Time
    gateway: GatewayThread
    library: str

    def configure(self, management: str = "{}") -> None:
        """Write the configuration that names the paper venue."""
        text = CONFIG.format(library=self.library, port=self.gateway.port, management=management)
        (self.folder / "config.yaml").write_text(text)

    def buy(self, kind: str, *, strike: int = 200, entry: float = 2.5, **more: Any) -> int:
        """Execute a signal for contracts and return how many were bought or sold."""
        row = {
            "signal_id": f"{kind}-{strike}", "symbol": "AAPL", "signal_type": kind, "expiry": FRIDAY,
            "strike": strike, "right": kind.partition("_")[2][0], "entry_price": entry, "stop_loss": 0.5,
            "target_price": 60, "confidence": 0.9, "timestamp": self.time.now.isoformat(), **more,
        }  # fmt: skip
        (self.folder / "s.json").write_text(json.dumps([row]))
        (found,) = self.apex("run", "--once", "--signals", "s.json").data["signals"]
        assert found["outcome"] == "executed", found["reasons"]
        quantity: int = found["quantity"]
        return quantity

    def to_monday(self, close: str) -> None:
        """Let AAPL close at *close* on Friday, and Monday come."""
        self.time.set("Fri 15:59")
        self.gateway.set_price("AAPL", close)
        self.time.set("next 11:00")

    def rows(self, *words: str, of: str) -> Any:
        """Return the rows that a command gives."""
        return self.apex(*words).data[of]


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    made = Time()
    monkeypatch.setattr(SystemClock.__init__, "__defaults__", (lambda: made.now,))
    return made


@pytest.fixture
def gateway(time: Time) -> Iterator[GatewayThread]:
    policy = Policy(volatility=D("0.3"))
    made = GatewayThread(prices={"AAPL": "200"}, now=lambda: time.now, policy=policy)
    made.start()
    yield made
    made.close()


@pytest.fixture(params=["ib_insync", "ib_async"])
def house(here: Path, apex_json: Apex, time: Time, gateway: GatewayThread, request: pytest.FixtureRequest) -> House:
    """Stand in a folder whose configuration names the paper venue."""
    made = House(here, apex_json, time, gateway, request.param)
    made.configure()
    return made


@pytest.mark.parametrize(
    ("kind", "close", "value", "shares"),
    [
        ("LONG_CALL", "206", 6, 100),
        ("LONG_CALL", "199", 0, 0),
        ("LONG_PUT", "193.5", 6.5, -100),
        ("LONG_PUT", "201", 0, 0),
    ],
)
def test_from_the_signal_to_the_expiry(house: House, kind: str, close: str, value: float, shares: int) -> None:
    key = CALL if kind == "LONG_CALL" else PUT
    house.gateway.set_price(key, "2.5")
    quantity = house.buy(kind)
    assert house.gateway.books().positions == {key: quantity}
    assert [row["days_left"] for row in house.rows("positions", of="positions")] == [4]
    house.to_monday(close)
    breaks = house.rows("reconcile", "--repair", of="breaks")
    assert {row["code"] for row in breaks if row["status"] == "open"} <= {"stop_missing"}
    (trip,) = house.rows("history", of="round_trips")
    how = "exercised" if value else "expired"
    assert (float(trip["exit_price"]), trip["exit_reason"], trip["exit_time"][:10]) == (value, how, FRIDAY)
    assert float(trip["pnl"]) == pytest.approx((value - 2.5) * 100 * quantity)
    assert house.rows("orders", of="orders") == []
    left = [(row["symbol"], D(row["entry_price"])) for row in house.rows("positions", of="positions")]
    assert left == ([("AAPL", D(close))] if shares else [])
    assert house.gateway.books().positions == ({"AAPL": D(shares * quantity)} if shares else {})
    assert sum(house.rows("pdt-status", of="day_trades_by_session").values()) == 0


def test_a_stop_follows_the_theoretical_price(house: House) -> None:
    quantity = house.buy("LONG_CALL", entry=2.64, stop_loss=1)
    house.gateway.set_price("AAPL", "190")
    house.apex("run", "--once")
    (trip,) = house.rows("history", of="round_trips")
    assert (trip["exit_reason"], trip["quantity"]) == ("stop", quantity)
    assert house.gateway.books().positions == {}


def test_it_is_closed_before_expiry_by_rule(house: House) -> None:
    house.configure("{options: {exit_before_expiry: 1d}}")
    house.gateway.set_price(CALL, "2.5")
    quantity = house.buy("LONG_CALL")
    house.time.set("Wed 15:00")
    house.apex("run", "--once")
    assert house.gateway.books().positions == {CALL: quantity}
    house.time.set("Thu 09:31")
    house.gateway.set_price(CALL, "3")
    house.apex("run", "--once")
    (trip,) = house.rows("history", of="round_trips")
    assert (trip["exit_reason"], float(trip["pnl"])) == ("before_expiry", pytest.approx(0.5 * 100 * quantity))
    assert house.gateway.books().positions == {}


def test_an_early_assignment_is_recognised(house: House) -> None:
    house.gateway.set_price(PUT, "2.5")
    quantity = house.buy("SHORT_PUT", stop_loss=6, target_price=0.5)
    house.gateway.set_price("AAPL", "195")
    house.gateway.exercise(PUT)
    house.apex("reconcile", "--repair")
    (trip,) = house.rows("history", of="round_trips")
    assert (trip["exit_reason"], float(trip["exit_price"])) == ("assigned", 5)
    assert float(trip["pnl"]) == pytest.approx(-2.5 * 100 * quantity)
    (left,) = house.rows("positions", of="positions")
    assert (left["symbol"], left["quantity"], D(left["entry_price"])) == ("AAPL", 100 * quantity, 195)


def test_delivered_shares_are_alarmed_with_the_command_that_gives_them_a_stop(house: House) -> None:
    house.gateway.set_price(CALL, "2.5")
    quantity = house.buy("LONG_CALL")
    house.to_monday("206")
    ran = house.apex("run", "--once")
    (alarm,) = [each for each in ran.envelope["warnings"] if each["code"] == "unprotected"]
    assert f"AAPL: {100 * quantity} of {100 * quantity} are held without a working stop" in alarm["message"]
    assert "apex reconcile --adopt 'AAPL' --stop PRICE" in alarm["message"]
    house.apex("reconcile", "--adopt", "AAPL", "--stop", "190")
    (held,) = house.rows("positions", of="positions")
    assert (held["protected_quantity"], D(held["stop_price"])) == (100 * quantity, 190)


@pytest.mark.parametrize(("kind", "close", "stop"), [("LONG_CALL", "206", "195.70"), ("LONG_PUT", "190", "199.50")])
def test_delivered_shares_get_their_stop_at_once_where_that_is_wanted(
    house: House, kind: str, close: str, stop: str
) -> None:
    house.configure("{options: {delivered_stop_pct: 0.05}}")
    house.gateway.set_price(CALL if kind == "LONG_CALL" else PUT, "2.5")
    quantity = house.buy(kind)
    house.to_monday(close)
    ran = house.apex("run", "--once")
    assert "unprotected" not in {each["code"] for each in ran.envelope["warnings"]}
    (held,) = house.rows("positions", of="positions")
    assert (held["symbol"], held["protected_quantity"]) == ("AAPL", 100 * quantity)
    assert D(held["stop_price"]) == D(stop)
    (order,) = house.gateway.books().open_orders()
    assert (order.terms.order_type, order.terms.tif, order.remaining) == ("STP", "GTC", 100 * quantity)


@pytest.mark.parametrize("lists", [True, False])
def test_what_the_broker_lists_of_it_is_no_trade(house: House, lists: bool) -> None:
    house.gateway.set_policy(lists_settlements=lists)
    house.gateway.set_price(CALL, "2.5")
    house.buy("LONG_CALL")
    house.to_monday("206")
    codes = [row["code"] for row in house.rows("reconcile", "--repair", of="breaks")]
    assert codes.count("contract_ended") == 2
    assert "foreign_fill" not in codes
    assert {row["code"] for row in house.rows("reconcile", of="breaks")} == {"stop_missing"}


def test_a_contract_sold_by_hand_is_no_expiry(house: House) -> None:
    house.gateway.set_price(CALL, "2.5")
    quantity = house.buy("LONG_CALL")
    house.gateway.set_price(CALL, "3.2")
    house.gateway.trade_by_hand(CALL, "SELL", quantity)
    house.to_monday("199")
    codes = {row["code"] for row in house.rows("reconcile", "--repair", of="breaks")}
    assert "position_missing" in codes
    assert "contract_ended" not in codes


def test_a_contract_is_chosen_by_rule_from_the_chain_of_the_broker(house: House) -> None:
    house.configure("{}\nsignals: {option: {dte: 3-5}}")
    row = {
        "signal_id": "r", "symbol": "AAPL", "signal_type": "LONG_CALL", "entry_price": 200, "stop_loss": 197,
        "target_price": 212, "confidence": 0.9, "timestamp": house.time.now.isoformat(),
    }  # fmt: skip
    (house.folder / "s.json").write_text(json.dumps([row]))
    (found,) = house.rows("run", "--once", "--signals", "s.json", of="signals")
    assert found["outcome"] == "executed", found["reasons"]
    assert set(house.gateway.books().positions) == {CALL}
    (held,) = house.rows("positions", of="positions")
    # Half of 3.00 below and of 12.00 above its price, which the venue quotes a tick around.
    assert D(held["stop_price"]) == pytest.approx(D(held["entry_price"]) - D("1.5"), abs=D("0.03"))
    assert D(held["target_prices"][0]) == pytest.approx(D(held["entry_price"]) + 6, abs=D("0.03"))


def test_without_volatility_and_bars_the_venue_has_no_price_of_a_contract(house: House) -> None:
    house.gateway.set_policy(volatility=None)
    row = {
        "signal_id": "r", "symbol": CALL, "signal_type": "LONG_CALL", "entry_price": 2.5, "stop_loss": 1,
        "target_price": 9, "confidence": 0.9, "timestamp": house.time.now.isoformat(),
    }  # fmt: skip
    (house.folder / "s.json").write_text(json.dumps([row]))
    (found,) = house.rows("run", "--once", "--signals", "s.json", of="signals")
    assert [reason["code"] for reason in found["reasons"]] == ["price_collar"]
    assert "no current price" in found["reasons"][0]["message"]
