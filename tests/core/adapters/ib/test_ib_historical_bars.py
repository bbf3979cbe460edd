"""Historical bars over TCP: asked for once, of whole sessions only, and never too often."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from apex_cli.core.adapters.ib import historical_bars as history
from apex_cli.core.adapters.ib.historical_bars import IbHistory
from apex_cli.core.errors import BrokerError
from apex_cli.core.model.instrument import make_instrument
from apex_cli.core.model.market import Bar
from apex_cli.core.model.money import Price
from kit import FixedClock
from kit.gateway import GatewayThread
from kit.ib import AAPL, Session

FRIDAY_CLOSE = datetime(2026, 2, 27, 21, 0, tzinfo=UTC)


def bar(end: datetime, close: str) -> Bar:
    price = Price(Decimal(close))
    start = end - timedelta(hours=6, minutes=30)
    return Bar(symbol="AAPL", start=start, end=end, open=price, high=price, low=price, close=price)


BARS = (bar(FRIDAY_CLOSE - timedelta(days=1), "99"), bar(FRIDAY_CLOSE, "100.5"))


@pytest.fixture
def gateway(open_gateway: Callable[..., GatewayThread]) -> GatewayThread:
    return open_gateway(bars={"AAPL": BARS})


def test_bars_of_past_sessions_come_back_as_they_are(session: Session) -> None:
    got = session.run(IbHistory(session.broker).daily_bars(AAPL))
    assert [(b.start, b.end, b.close) for b in got] == [(b.start, b.end, b.close) for b in BARS]


def test_a_session_that_runs_has_no_bar_yet(session: Session, clock: FixedClock) -> None:
    clock.set(FRIDAY_CLOSE - timedelta(hours=1))
    got = session.run(IbHistory(session.broker).daily_bars(AAPL))
    assert [b.close for b in got] == [99]


def test_the_same_series_is_asked_for_once(session: Session, gateway: GatewayThread) -> None:
    past = IbHistory(session.broker)
    first = session.run(past.daily_bars(AAPL))
    gateway.fault("swallow", "reqHistoricalData", times=0)
    assert session.run(past.daily_bars(AAPL)) is first


def test_a_pacing_violation_is_waited_out_once(session: Session, gateway: GatewayThread) -> None:
    text = "Historical Market Data Service error message:Historical data request pacing violation"
    gateway.fault("reject", "reqHistoricalData", code=162, text=text)
    past = IbHistory(session.broker, back_off_s=0)
    assert len(session.run(past.daily_bars(AAPL))) == len(BARS)
    gateway.fault("reject", "reqHistoricalData", times=2, code=162, text=text)
    with pytest.raises(BrokerError, match="pacing"):
        session.run(past.daily_bars(AAPL, days=10))


def test_no_answer_is_an_error_and_no_empty_history(gateway: GatewayThread, connect: Callable[..., Session]) -> None:
    session = connect(gateway.port, request_timeout_s=0.3)
    gateway.fault("swallow", "reqHistoricalData")
    with pytest.raises(BrokerError, match="did not answer"):
        session.run(IbHistory(session.broker).daily_bars(AAPL))


def test_no_more_is_asked_in_a_window_than_the_broker_takes(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "MOST_REQUESTS", 2)
    past = IbHistory(session.broker, window_s=0.2)
    for days in range(1, 6):
        session.run(past.daily_bars(AAPL, days=days))
        assert len(past._asked) <= 2


def test_an_unknown_security_has_no_history(session: Session) -> None:
    with pytest.raises(BrokerError, match="knows no NOPE"):
        session.run(IbHistory(session.broker).daily_bars(make_instrument("NOPE")))
