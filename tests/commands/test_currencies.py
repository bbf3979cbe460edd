"""Money of several currencies: sizes, profits and R by hand, in simulation and at the paper venue over TCP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from apex_cli.core.adapters.system_clock import SystemClock
from apex_cli.gateway.policy import Policy
from kit.gateway import GatewayThread

DAYS = ("2026-11-16", "2026-11-17", "2026-11-18", "2026-11-19")
SENT = "2026-11-17T15:00:00-05:00"
BUDGET = Fraction(1000)  # 1 % of a capital of 100,000


MAGNIFIER = 17
"""Number of the field of ``contractDetails``, server version 176."""


class Example(NamedTuple):
    """A trade and what it comes to, worked out with exact fractions and none of apex's own formulas."""

    signal: dict[str, Any]
    bars: dict[str, tuple[str, ...]]
    """Closes by file, one a day; what is bought moves on the third day."""

    quantity: int
    pnl: Fraction
    risk: Fraction


YEN = Example(
    {"symbol": "USD.JPY", "market_type": "forex", "entry_price": 150, "stop_loss": 147, "target_price": 156},
    {"USD.JPY": ("150", "150", "156", "156")},
    # One unit loses 3 yen at the stop, and a yen is 1/147 USD there: 1000 / (3 / 147) = 49,000.
    quantity=49_000,
    pnl=Fraction(49_000 * 6, 156),
    risk=Fraction(49_000 * 3, 147),
)
CROSS = Example(
    {"symbol": "EUR/GBP", "entry_price": 0.85, "stop_loss": 0.84, "target_price": 0.88},
    {"EUR.GBP": ("0.85", "0.85", "0.84", "0.84"), "GBP.USD": ("1.25", "1.20", "1.30", "1.30")},
    # A pound is 1.25 USD by the last evening when it is decided, and 1.20 when the stop is met: 1000 / (0.01 * 1.25).
    quantity=80_000,
    pnl=-80_000 * Fraction(1, 100) * Fraction(12, 10),
    risk=80_000 * Fraction(1, 100) * Fraction(125, 100),
)
COINS = Example(
    {"symbol": "ETH-BTC", "market_type": "crypto", "entry_price": 0.05, "stop_loss": 0.045, "target_price": 0.065},
    {"ETH-BTC": ("0.05", "0.05", "0.065", "0.065"), "BTC-USD": ("40000", "40000", "42000", "42000")},
    # 1000 / (0.005 * 40,000) = 5.
    quantity=5,
    pnl=5 * Fraction(15, 1000) * 40_000,
    risk=5 * Fraction(5, 1000) * 40_000,
)
STOCK = Example(
    {"symbol": "SAP", "currency": "EUR", "entry_price": 100, "stop_loss": 96, "target_price": 112},
    {"SAP@EUR": ("100", "100", "112", "112"), "EUR.USD": ("1.05", "1.10", "1.20", "1.20")},
    # 1000 / (4 * 1.05) = 238.10.
    quantity=238,
    pnl=238 * Fraction(12) * Fraction(11, 10),
    risk=238 * Fraction(4) * Fraction(105, 100),
)
EXAMPLES = {"USD.JPY": YEN, "EUR.GBP": CROSS, "ETH-BTC": COINS, "SAP@EUR": STOCK}


def cents(value: Fraction | Decimal | str) -> Decimal:
    number = Decimal(value.numerator) / value.denominator if isinstance(value, Fraction) else Decimal(value)
    return number.quantize(Decimal("0.01"))


def write_market(folder: Path, *examples: Example, more: str = "") -> None:
    """Write a configuration, the bars of *examples* and their signals."""
    (folder / "bars").mkdir(exist_ok=True)
    for example in examples:
        for name, closes in example.bars.items():
            rows = [f"{day},{close},{close},{close},{close},100000" for day, close in zip(DAYS, closes, strict=True)]
            (folder / "bars" / f"{name}.csv").write_text("\n".join(["date,open,high,low,close,volume", *rows]) + "\n")
    (folder / "config.yaml").write_text(
        "execution: {auto_execute: true}\n"
        "risk: {capital: 100000, max_position_pct: 1, max_risk_pct: 0.01}\n"
        "prices: {bars_dir: bars}\n"
        f"simulation: {{clock: bars, start: {DAYS[1]}, commission: none, buying_power_multiple: 5}}\n" + more
    )
    signals = [
        {
            "signal_type": "BUY",
            "confidence": 0.8,
            "timestamp": SENT,
            "signal_id": f"s-{number}",
            **EXAMPLES[name].signal,
        }
        for number, name in enumerate(EXAMPLES)
        if EXAMPLES[name] in examples
    ]
    (folder / "s.json").write_text(json.dumps(signals))


@pytest.mark.parametrize("name", EXAMPLES)
def test_size_profit_and_r_are_those_worked_out_by_hand(here: Path, apex_json: Callable[..., Any], name: str) -> None:
    example = EXAMPLES[name]
    write_market(here, example)
    (signal,) = apex_json("run", "--once", "--signals", "s.json").data["signals"]
    assert (signal["outcome"], signal["quantity"]) == ("executed", example.quantity)
    equity = apex_json("run", "--once", "--bars-until", DAYS[3]).data["summary"]["equity"]
    (trip,) = apex_json("history").data["round_trips"]
    assert cents(trip["pnl"]) == cents(example.pnl)
    assert Decimal(trip["r_multiple"]).quantize(Decimal("0.0001")) == Decimal(
        str(round(float(example.pnl / example.risk), 4))
    ).quantize(Decimal("0.0001"))
    gain = Decimal(str(trip["quote_pnl"]))
    assert trip["currency"] == name.replace("@", "-").replace(".", "-").split("-")[1]
    # The account is worth the gain at the rates of the evening: it is kept in the other currency.
    rate = {
        "USD.JPY": 1 / Fraction(156),
        "EUR.GBP": Fraction(13, 10),
        "ETH-BTC": Fraction(42_000),
        "SAP@EUR": Fraction(12, 10),
    }[name]
    assert cents(equity) == cents(100_000 + Fraction(gain) * rate)


def test_a_rate_of_the_configuration_holds_where_there_are_no_bars_of_the_pair(
    here: Path, apex_json: Callable[..., Any], apex: Callable[..., Any]
) -> None:
    alone = STOCK._replace(bars={"SAP@EUR": STOCK.bars["SAP@EUR"]})
    write_market(here, alone, more="currency: {rates: {eur: 1.25}}\n")
    (here / "s.json").write_text(
        json.dumps([{"signal_type": "BUY", "confidence": 0.8, "timestamp": SENT, **STOCK.signal}])
    )
    (signal,) = apex_json("run", "--once", "--signals", "s.json").data["signals"]
    assert signal["quantity"] == 200  # 1000 / (4 * 1.25)
    (held,) = apex_json("positions").data["positions"]
    assert (cents(held["notional"]), held["currency"]) == (25_000, "EUR")
    assert held["rate"] == {
        "value": "1.25",
        "currency": "EUR",
        "base": "USD",
        "source": "configuration",
        "at": held["rate"]["at"],
    }
    assert "+0.00 EUR at 1 EUR = 1.25 USD" in apex("positions").out


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        ("", "no_rate", "there is no rate of EUR. Give it in the configuration as currency.rates: {EUR: ...}"),
        ("currency: {rates: {EUR: 1.1}, rates_as_of: 2026-11-01}\n", "rate_too_old", "older than 96 hours"),
    ],
)
def test_without_a_rate_that_holds_nothing_is_bought(
    here: Path, apex_json: Callable[..., Any], more: str, code: str, words: str
) -> None:
    write_market(here, STOCK._replace(bars={"SAP@EUR": STOCK.bars["SAP@EUR"]}), more=more)
    (here / "s.json").write_text(
        json.dumps([{"signal_type": "BUY", "confidence": 0.8, "timestamp": SENT, **STOCK.signal}])
    )
    (signal,) = apex_json("run", "--once", "--signals", "s.json").data["signals"]
    (reason,) = signal["reasons"]
    assert (signal["outcome"], reason["code"]) == ("refused", code)
    assert words in reason["message"]


def test_an_account_in_yen_counts_dollars_by_its_pair(here: Path, apex_json: Callable[..., Any]) -> None:
    (here / "config.yaml").write_text(
        "risk: {capital: 3000000, max_position_pct: 1, max_risk_pct: 0.01}\ncurrency: {base: JPY, rates: {USD: 150}}\n"
    )
    yen = apex_json("size", "USDJPY", "--entry", "150", "--stop", "149").data
    assert (yen["quantity"], cents(yen["risk_amount"]), yen["rate"]) == (20_000, 20_000, None)  # bound by the capital
    stock = apex_json("size", "AAPL", "--entry", "200", "--stop", "196").data
    assert (stock["quantity"], cents(stock["risk_amount"]), cents(stock["notional"])) == (50, 30_000, 1_500_000)
    euro = apex_json("size", "EUR.USD", "--entry", "1.10", "--stop", "1.09").data
    assert (euro["quantity"], cents(euro["risk_amount"])) == (
        18_000,
        27_000,
    )  # 3,000,000 / (1.10 * 150), in lots of 1,000


def test_a_replay_counts_as_a_run_does(here: Path, apex_json: Callable[..., Any]) -> None:
    write_market(here, CROSS, STOCK, more="replay: {fill: close}\n")
    trips = apex_json("replay", "--bars", "bars", "--signals", "s.json").data["trades"]
    pnl = {trip["symbol"]: cents(trip["pnl"]) for trip in trips}
    assert pnl == {"EUR.GBP@forex": cents(CROSS.pnl), "SAP@EUR": cents(STOCK.pnl)}


def test_commissions_and_the_journal_are_in_the_account_s_currency(here: Path, apex_json: Callable[..., Any]) -> None:
    write_market(here, STOCK)
    config = (here / "config.yaml").read_text().replace("commission: none", "commission: ib_fixed")
    (here / "config.yaml").write_text(config)
    apex_json("run", "--once", "--signals", "s.json")
    apex_json("run", "--once", "--bars-until", DAYS[3])
    (trip,) = apex_json("history").data["round_trips"]
    # Half a euro cent a share each way, 1.19 EUR at 1.05 and at 1.10.
    assert cents(trip["commission"]) == cents(238 * Fraction(5, 1000) * (Fraction(105, 100) + Fraction(110, 100)))
    lines = [line for path in (here / "state/journal").iterdir() for line in path.read_text().splitlines()]
    events = [json.loads(line) for line in lines]
    (decided,) = [event["data"] for event in events if event["kind"] == "decided"]
    rate = {"currency": "EUR", "value": "1.05", "source": "EUR.USD bars", "at": "2026-11-16T23:59:59Z"}
    assert decided["snapshot"]["rate"] == {**rate, "at": decided["snapshot"]["rate"]["at"]}
    assert [event["data"]["rate"]["value"] for event in events if event["kind"] == "fill"] == ["1.05", "1.10"]


@pytest.fixture
def gateway() -> Iterator[GatewayThread]:
    prices = {
        "USD.JPY": "150",
        "EUR.GBP": "0.85",
        "GBP.USD": "1.25",
        "ETH-BTC": "0.05",
        "BTC-USD": "40000",
        "SAP": "50",
        "SAP@EUR": "100",
        "EUR.USD": "1.05",
    }
    made = GatewayThread(prices=prices, cash="1000000")
    made.start()
    yield made
    made.close()


@pytest.fixture(params=["ib_insync", "ib_async"])
def house(here: Path, gateway: GatewayThread, request: pytest.FixtureRequest) -> Path:
    """Stand in a folder whose configuration names the paper venue; the market is always open."""
    (here / "config.yaml").write_text(
        "execution: {simulation_mode: false, auto_execute: true}\n"
        "risk: {capital: 100000, max_position_pct: 1, max_risk_pct: 0.01, enforce_market_hours: false}\n"
        f"broker: {{ib: {{library: {request.param}, ib_port: {gateway.port}, quiet_hours: []}}}}\n"
    )
    return here


WIRE = {
    # As by hand above; the stop or target is met at a rate that moved since.
    "USD.JPY": (YEN.signal, {"USD.JPY": "156"}, 49_000, Fraction(49_000 * 6, 156), Fraction(1000)),
    "EUR.GBP": (
        CROSS.signal,
        {"GBP.USD": "1.20", "EUR.GBP": "0.84"},
        80_000,
        -80_000 * Fraction(1, 100) * Fraction(12, 10),
        Fraction(1000),
    ),
    "SAP@EUR": (
        STOCK.signal,
        {"EUR.USD": "1.10", "SAP@EUR": "112"},
        238,
        238 * 12 * Fraction(11, 10),
        238 * 4 * Fraction(105, 100),
    ),
}


@pytest.mark.parametrize("name", WIRE)
def test_size_profit_and_r_are_the_same_over_the_wire(
    house: Path, apex_json: Callable[..., Any], gateway: GatewayThread, name: str
) -> None:
    signal, moves, quantity, pnl, risk = WIRE[name]
    at = datetime.now(UTC).isoformat()  # noqa: TID251 - these processes live by the machine's clock
    rows = [{"signal_type": "BUY", "confidence": 0.8, "timestamp": at, "signal_id": "one", **signal}]
    (house / "s.json").write_text(json.dumps(rows))
    (entered,) = apex_json("run", "--once", "--signals", "s.json").data["signals"]
    assert (entered["outcome"], entered["quantity"]) == ("executed", quantity), entered["reasons"]
    for symbol, price in moves.items():
        gateway.set_price(symbol, price)
    ended = apex_json("run", "--once")
    assert ended.status == 0
    (trip,) = apex_json("history").data["round_trips"]
    assert cents(trip["pnl"]) == cents(pnl)
    assert round(float(trip["r_multiple"]), 4) == round(float(pnl / risk), 4)
    assert gateway.books().positions == {}
    gained = Decimal(ended.data["summary"]["equity"]) - 1_000_000
    rate = {"USD.JPY": 1 / Fraction(156), "EUR.GBP": Fraction(12, 10), "SAP@EUR": Fraction(11, 10)}[name]
    costs = Fraction(trip["commission"])
    assert abs(Fraction(gained) - (Fraction(trip["quote_pnl"]) * rate - costs)) < Fraction(1, 10)


def test_a_commission_in_euros_adds_up_in_dollars(
    house: Path, apex_json: Callable[..., Any], gateway: GatewayThread
) -> None:
    at = datetime.now(UTC).isoformat()  # noqa: TID251 - these processes live by the machine's clock
    row = {"signal_type": "BUY", "confidence": 0.8, "timestamp": at, "signal_id": "one", **STOCK.signal}
    (house / "s.json").write_text(json.dumps([row]))
    apex_json("run", "--once", "--signals", "s.json")
    gateway.set_price("EUR.USD", "1.10")
    gateway.set_price("SAP@EUR", "112")
    apex_json("run", "--once")
    (trip,) = apex_json("history").data["round_trips"]
    # Half a euro cent a share, 1.19 EUR each way.
    assert cents(trip["commission"]) == cents(238 * Fraction(5, 1000) * (Fraction(105, 100) + Fraction(110, 100)))


def test_two_securities_of_one_ticker_are_bought_protected_and_closed_apart(
    house: Path, apex_json: Callable[..., Any], gateway: GatewayThread
) -> None:
    at = datetime.now(UTC).isoformat()  # noqa: TID251 - these processes live by the machine's clock
    common = {"signal_type": "BUY", "confidence": 0.8, "timestamp": at, "symbol": "SAP"}
    rows = [
        {**common, "signal_id": "usd", "entry_price": 50, "stop_loss": 48, "target_price": 56},
        {**common, "signal_id": "eur", **STOCK.signal},
    ]
    (house / "s.json").write_text(json.dumps(rows))
    run = apex_json("run", "--once", "--signals", "s.json")
    assert {row["signal_id"]: row["outcome"] for row in run.data["signals"]} == {"usd": "executed", "eur": "executed"}
    held = {row["symbol"]: row for row in apex_json("positions").data["positions"]}
    assert {
        name: (row["quantity"], cents(row["stop_price"]), row["protected_overnight"]) for name, row in held.items()
    } == {
        "SAP": (500, 48, True),
        "SAP@EUR": (238, 96, True),
    }
    assert gateway.books().positions == {"SAP": 500, "SAP@EUR": 238}
    closed = apex_json("close", "SAP@EUR", "--yes")
    assert [(row["symbol"], row["status"]) for row in closed.data["closed"]] == [("SAP@EUR", "closed")]
    assert gateway.books().positions == {"SAP": 500}
    (left,) = apex_json("positions").data["positions"]
    assert (left["symbol"], left["protected_quantity"]) == ("SAP", 500)
    gateway.set_price("SAP", "48")
    assert apex_json("run", "--once").status == 0
    assert gateway.books().positions == {}
    assert apex_json("reconcile").data["breaks"] == []


def test_a_holding_in_euros_is_taken_over_by_its_rate(
    house: Path, apex_json: Callable[..., Any], gateway: GatewayThread
) -> None:
    assert house.is_dir()
    gateway.trade_by_hand("SAP@EUR", "BUY", 10)
    apex_json("reconcile")
    adopted = apex_json("reconcile", "--adopt", "SAP@EUR", "--stop", "96")
    assert adopted.status == 0, adopted.envelope
    (held,) = apex_json("positions").data["positions"]
    assert (held["symbol"], cents(held["stop_price"]), held["protected_quantity"]) == ("SAP@EUR", 96, 10)
    assert cents(held["notional"]) == cents(10 * 100 * Fraction(105, 100))
    gateway.set_price("EUR.USD", "1.10")
    gateway.set_price("SAP@EUR", "104")
    (closed,) = apex_json("close", "SAP@EUR", "--yes").data["closed"]
    bought_at = Fraction(str(held["entry_price"]))  # commissions are in the broker's mean price
    assert cents(closed["pnl"]) == cents(10 * (104 - bought_at) * Fraction(110, 100))
    assert gateway.books().positions == {}


@pytest.mark.parametrize("library", ["ib_insync"])
def test_an_account_counted_in_euros(
    here: Path, apex_json: Callable[..., Any], gateway: GatewayThread, library: str
) -> None:
    (here / "config.yaml").write_text(
        "execution: {simulation_mode: false, auto_execute: true}\n"
        "risk: {capital: 100000, max_position_pct: 1, max_risk_pct: 0.01, enforce_market_hours: false}\n"
        "currency: {base: EUR}\n"
        f"broker: {{ib: {{library: {library}, ib_port: {gateway.port}, quiet_hours: []}}}}\n"
    )
    at = datetime.now(UTC).isoformat()  # noqa: TID251 - these processes live by the machine's clock
    common = {"signal_type": "BUY", "confidence": 0.8, "timestamp": at}
    gateway.set_price("EUR.USD", "1.10")
    rows = [
        {**common, "signal_id": "eur", **STOCK.signal},
        {**common, "signal_id": "usd", "symbol": "SAP", "entry_price": 50, "stop_loss": 48, "target_price": 56},
    ]
    (here / "s.json").write_text(json.dumps(rows))
    run = apex_json("run", "--once", "--signals", "s.json")
    quantities = {row["signal_id"]: row["quantity"] for row in run.data["signals"]}
    # 1000 / 4 EUR; 1000 / (2 USD / 1.10).
    assert quantities == {"eur": 250, "usd": 550}, run.data
    worth = (1_000_000 - Fraction("2.75")) / Fraction("1.10") - Fraction("1.25")
    assert abs(Fraction(run.data["summary"]["equity"]) - worth) < Fraction(1, 10)


def test_without_a_rate_of_the_account_the_price_of_the_pair_is_asked_for(
    here: Path, apex_json: Callable[..., Any]
) -> None:
    made = GatewayThread(
        prices={"SAP@EUR": "100", "EUR.USD": "1.05"}, cash="1000000", policy=Policy(missing_tags=("ExchangeRate",))
    )
    made.start()
    (here / "config.yaml").write_text(
        "execution: {simulation_mode: false, auto_execute: true}\n"
        "risk: {capital: 100000, max_position_pct: 1, max_risk_pct: 0.01, enforce_market_hours: false}\n"
        f"broker: {{ib: {{ib_port: {made.port}, quiet_hours: []}}}}\n"
    )
    at = datetime.now(UTC).isoformat()  # noqa: TID251 - these processes live by the machine's clock
    row = {"signal_type": "BUY", "confidence": 0.8, "timestamp": at, "signal_id": "one", **STOCK.signal}
    (here / "s.json").write_text(json.dumps([row]))
    (entered,) = apex_json("run", "--once", "--signals", "s.json").data["signals"]
    assert (entered["outcome"], entered["quantity"]) == ("executed", 238), entered["reasons"]
    (held,) = apex_json("positions").data["positions"]
    assert (held["rate"]["value"], held["rate"]["source"].split()[0]) == ("1.05", "EUR.USD")
    made.set_price("EUR.USD", "1.10")
    made.set_price("SAP@EUR", "112")
    assert apex_json("run", "--once").status == 0
    (trip,) = apex_json("history").data["round_trips"]
    assert trip["rate"]["source"].startswith("EUR.USD")
    made.close()


def test_the_table_of_a_run_names_two_securities_of_one_ticker_apart(here: Path, apex: Callable[..., Any]) -> None:
    (here / "config.yaml").write_text("risk: {enforce_market_hours: false}\ncurrency: {rates: {EUR: 1.1}}\n")
    now = SystemClock().now()
    times = {"created_at": now.isoformat(), "expires_at": (now + timedelta(hours=1)).isoformat()}
    plan = {
        "signal_type": "LONG",
        "entry_price": 50,
        "stop_loss": 48,
        "target_prices": [56],
        "confidence": 0.8,
        **times,
    }
    signals = [{"signal_id": symbol, "symbol": symbol, **plan} for symbol in ("SAP", "SAP.DE")]
    (here / "s.json").write_text(json.dumps(signals))
    shown = apex("run", "--once", "--dry-run", "--signals", "s.json").out
    assert [line.split()[0] for line in shown.splitlines() if line.startswith("SAP")] == ["SAP", "SAP@EUR"]


IN_EUROS: dict[str, tuple[dict[str, Any], dict[str, str], int, Fraction, Fraction]] = {
    # An account in euros risks 1000 EUR; size, profit and risk by hand.
    # 1000 / 4 = 250.
    "SAP@EUR": (STOCK.signal, {"SAP@EUR": "112"}, 250, Fraction(250 * 12), Fraction(1000)),
    # A dollar is 0.80 EUR when it is decided, and 1/1.28 at the end: 1000 / (2 * 0.80) = 625.
    "SAP": (
        {"symbol": "SAP", "entry_price": 50, "stop_loss": 48, "target_price": 56},
        {"EUR.USD": "1.28", "SAP": "56"},
        625,
        625 * 6 / Fraction(128, 100),
        Fraction(1000),
    ),
    # A yen is 0.80/150 EUR, and 0.80/156 at the end: 1000 / (3 * 0.80 / 150) = 62,500, in thousands.
    "USD.JPY": (
        YEN.signal,
        {"USD.JPY": "156"},
        62_000,
        62_000 * 6 * Fraction(80, 100) / 156,
        62_000 * 3 * Fraction(80, 100) / 150,
    ),
    # A pound is 1/0.84 EUR at the stop: 1000 / (0.01 / 0.84) = 84,000.
    "EUR.GBP": (CROSS.signal, {"EUR.GBP": "0.84"}, 84_000, Fraction(-1000), Fraction(1000)),
}


@pytest.mark.parametrize("library", ["ib_insync", "ib_async"])
@pytest.mark.parametrize("name", IN_EUROS)
def test_an_account_in_euros_is_the_same_over_the_wire(
    here: Path, apex_json: Callable[..., Any], library: str, name: str
) -> None:
    signal, moves, quantity, pnl, risk = IN_EUROS[name]
    prices = {"EUR.USD": "1.25", "USD.JPY": "150", "EUR.GBP": "0.85", "SAP": "50", "SAP@EUR": "100"}
    venue = GatewayThread(prices=prices, cash="1000000", base="EUR")
    venue.start()
    (here / "config.yaml").write_text(
        "execution: {simulation_mode: false, auto_execute: true}\n"
        "risk: {capital: 100000, max_position_pct: 1, max_risk_pct: 0.01, enforce_market_hours: false}\n"
        "currency: {base: EUR}\n"
        f"broker: {{ib: {{library: {library}, ib_port: {venue.port}, quiet_hours: []}}}}\n"
    )
    at = datetime.now(UTC).isoformat()  # noqa: TID251 - these processes live by the machine's clock
    rows = [{"signal_type": "BUY", "confidence": 0.8, "timestamp": at, "signal_id": "one", **signal}]
    (here / "s.json").write_text(json.dumps(rows))
    try:
        (entered,) = apex_json("run", "--once", "--signals", "s.json").data["signals"]
        assert (entered["outcome"], entered["quantity"]) == ("executed", quantity), entered["reasons"]
        for symbol, price in moves.items():
            venue.set_price(symbol, price)
        ended = apex_json("run", "--once")
        (trip,) = apex_json("history").data["round_trips"]
        assert cents(trip["pnl"]) == cents(pnl)
        assert float(trip["r_multiple"]) == pytest.approx(float(pnl / risk), abs=0.0001)
        assert venue.books().positions == {}
        gained = Fraction(ended.data["summary"]["equity"]) - 1_000_000
        assert abs(gained - (pnl - Fraction(trip["commission"]))) < 1, "what was paid in dollars is worth less by now"
    finally:
        venue.close()


@pytest.fixture
def client_values() -> Callable[..., dict[tuple[str, str], str]]:
    """Return what a bare client hears of the account of a new paper venue."""

    async def ask(port: int) -> dict[tuple[str, str], str]:
        from ib_async import IB

        client = IB()
        await client.connectAsync("127.0.0.1", port, clientId=5, timeout=30)
        found = {(row.tag, row.currency): row.value for row in client.accountValues()}
        client.disconnect()
        await asyncio.sleep(0.05)  # its transport closes in the loop
        return found

    def heard(**how: Any) -> dict[tuple[str, str], str]:
        venue = GatewayThread(**how)
        venue.start()
        try:
            return asyncio.run(ask(venue.port))
        finally:
            venue.close()

    return heard


def test_the_paper_venue_reports_its_rates(client_values: Callable[..., dict[tuple[str, str], str]]) -> None:
    found = client_values(base="EUR", prices={"EUR.USD": "1.25", "USD.JPY": "150"})
    assert found["NetLiquidation", "EUR"] == "100000.00"
    assert found["Currency", ""] == "EUR"
    rates = {currency: Decimal(text) for (tag, currency), text in found.items() if tag == "ExchangeRate"}
    assert rates == {"EUR": 1, "USD": Decimal("0.8"), "JPY": pytest.approx(Decimal("0.8") / 150)}


@pytest.fixture
def london(house: Path, gateway: GatewayThread) -> GatewayThread:
    """The venue with VOD, quoted in pence and standing at 110."""
    assert house.is_dir()
    gateway.fault("spoil", "contractDetails", times=0, field=MAGNIFIER, text="100")
    gateway.set_price("GBP.USD", "1.25")
    gateway.set_price("VOD@GBP", "110")
    return gateway


def test_a_holding_in_pence_is_taken_over_by_its_own_name_and_in_pence(
    apex_json: Callable[..., Any], london: GatewayThread
) -> None:
    london.trade_by_hand("VOD@GBP", "BUY", 10)
    for name in ("VOD@GBP", "VOD@USD"):
        refused = apex_json("reconcile", "--adopt", name, "--stop", "1.05")
        assert (refused.status, refused.error["code"]) == (2, "other_currency")
        assert "'VOD@GBX'" in refused.error["hint"]
    in_pounds = apex_json("reconcile", "--adopt", "VOD", "--stop", "1.05")
    assert (in_pounds.status, in_pounds.error["code"]) == (2, "other_currency")
    assert "1.05 GBP are 105.00" in in_pounds.error["hint"]
    assert london.books().open_orders() == []
    assert apex_json("reconcile", "--adopt", "VOD.L", "--stop", "105").status == 0
    (held,) = apex_json("positions").data["positions"]
    assert (held["symbol"], cents(held["stop_price"]), held["protected_quantity"]) == ("VOD@GBX", 105, 10)
    for name in ("VOD@GBP", "VOD@USD"):
        assert apex_json("close", name, "--yes").status == 8
        assert apex_json("reconcile", "--adopt", name, "--stop", "1.05").status == 2
    assert apex_json("close", "VOD.L", "--yes").status == 0
    assert london.books().positions == {}


def test_trades_in_pounds_of_older_books_bar_no_signal_in_pence(
    house: Path, apex_json: Callable[..., Any], london: GatewayThread
) -> None:
    config = (house / "config.yaml").read_text()
    (house / "config.yaml").write_text(config.replace("capital: 100000", "capital: 5000"))
    at = datetime.now(UTC).isoformat()  # noqa: TID251 - these processes live by the machine's clock
    row = {"signal_type": "BUY", "confidence": 0.8, "timestamp": at, "symbol": "VOD", "target_price": 125}
    row |= {"entry_price": 110, "stop_loss": 105}
    (house / "old.json").write_text(json.dumps([{**row, "signal_id": "old", "currency": "GBP"}]))
    (house / "new.json").write_text(json.dumps([{**row, "signal_id": "new", "currency": "GBX"}]))
    london.clear_faults()
    apex_json("run", "--once", "--signals", "old.json")
    assert apex_json("close", "VOD@GBP", "--yes").status == 0
    london.fault("spoil", "contractDetails", times=0, field=MAGNIFIER, text="100")
    (taken,) = apex_json("run", "--once", "--signals", "new.json").data["signals"]
    assert taken["outcome"] == "executed", taken["reasons"]
    (held,) = apex_json("positions").data["positions"]
    assert held["symbol"] == "VOD@GBX"
    assert apex_json("reconcile").data["breaks"] == []
