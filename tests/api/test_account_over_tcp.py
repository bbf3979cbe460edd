"""A program at a paper account: the library of Interactive Brokers over TCP, also in the threads of an event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from apex_cli import api
from kit.gateway import GatewayThread

CONFIG = """
execution: {{simulation_mode: false, auto_execute: true}}
risk: {{capital: 20000, max_position_pct: 0.5, enforce_market_hours: false}}
day_trades: {{regime: "off"}}
broker: {{ib: {{ib_port: {port}, quiet_hours: [], ack_timeout_s: 3}}}}
"""


@pytest.fixture
def gateway() -> Iterator[GatewayThread]:
    made = GatewayThread(prices={"AAPL": "100", "IBM": "50"})
    made.start()
    yield made
    made.close()


@pytest.fixture
def config(tmp_path: Path, gateway: GatewayThread) -> Path:
    file = tmp_path / "config.yaml"
    file.write_text(CONFIG.format(port=gateway.port))
    return file


def buy(symbol: str, price: int) -> api.Signal:
    levels = {"entry_price": price, "stop_loss": price * 0.98, "target_prices": (price * 1.06,)}
    return api.Signal(symbol=symbol, confidence=0.9, strategy="hand", **levels)


def test_a_program_trades_at_the_broker_and_what_it_holds_is_protected(config: Path, gateway: GatewayThread) -> None:
    apex = api.Apex(config)
    assert apex.account().name == "PAPER DU…67"
    assert apex.submit(buy("AAPL", 100)).outcome == "executed"
    assert gateway.books().positions == {"AAPL": 100}
    assert {(o.symbol, o.role.value, o.quantity) for o in apex.orders()} == {
        ("AAPL", "STOP", 100),
        ("AAPL", "TARGET", 100),
    }
    assert apex.close("AAPL", fraction=0.5).status == "reduced"
    assert gateway.books().positions == {"AAPL": 50}


def test_the_library_works_in_the_threads_of_a_running_event_loop(config: Path, gateway: GatewayThread) -> None:
    async def main() -> None:
        apex = api.AsyncApex(config)
        reports = await asyncio.gather(apex.submit(buy("AAPL", 100)), apex.submit(buy("IBM", 50)))
        assert [report.outcome.value for report in reports] == ["executed", "executed"]
        assert api.Apex(config).close("IBM").status == "closed", "the account without a loop works inside one, too"
        assert {closed.symbol for closed in await apex.close_all()} == {"AAPL"}

    asyncio.run(main())
    assert gateway.books().positions == {}


def test_a_broker_that_is_not_there_is_an_error_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG.format(port=1))
    apex = api.Apex(tmp_path / "config.yaml", changes={"broker.ib.connect_timeout_s": 1})
    for act in (apex.account, lambda: apex.decide(buy("AAPL", 100)), lambda: apex.submit(buy("AAPL", 100))):
        with pytest.raises(api.BrokerError) as gone:
            act()
        assert gone.value.status is api.ExitStatus.UNAVAILABLE
    assert "AAPL" not in {event.subject for event in apex.events(0, follow=False)}
