"""What rests at the venue while apex changes it, looked at every two milliseconds: never too little, never too much."""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from apex_cli.core.adapters.system_clock import SystemClock
from apex_cli.gateway.control import BooksView
from apex_cli.gateway.policy import Policy
from kit.gateway import GatewayThread

EVERY_S = 0.002
OPEN = datetime(2026, 3, 2, 15, 0, tzinfo=UTC)
"""A Monday, 10:00 in New York."""

CONFIG = """\
execution: {{simulation_mode: false, auto_execute: true}}
risk: {{capital: 20000, max_position_pct: 0.5, min_reward_risk: 0}}
day_trades: {{regime: "off"}}
broker: {{ib: {{library: {library}, ib_port: {port}, quiet_hours: [], settle_s: 0.2}}}}
management:
  strategies:
    even: {{breakeven_at_r: 1}}
    trend: {{trailing: {{activate_at_r: 1, distance_r: 1}}}}
"""
REFUSED = {"times": 0, "code": 10326, "text": "OCA group revision is not allowed"}
STOPS = frozenset({"STP", "STP LMT", "TRAIL"})
Apex = Callable[..., Any]


class Sample(NamedTuple):
    """One look at the books."""

    held: Decimal
    covered: Decimal
    """What stops of different groups sell together."""

    exits: Decimal
    """What everything that reduces the position could fill, groups counted once."""


def sample(books: BooksView) -> Sample:
    """Return what is held of AAPL, and what rests for it."""
    position = books.positions.get("AAPL", Decimal(0))
    side = "SELL" if position > 0 else "BUY"
    covered: dict[str, Decimal] = defaultdict(Decimal)
    exits: dict[str, Decimal] = defaultdict(Decimal)
    for row in books.open_orders():
        if row.terms.action != side or row.terms.order_ref.endswith("-E"):
            continue
        group = row.terms.oca_group or row.terms.order_ref
        exits[group] = max(exits[group], row.remaining)
        if row.terms.order_type in STOPS:
            covered[group] = max(covered[group], row.remaining)
    return Sample(abs(position), sum(covered.values(), Decimal(0)), sum(exits.values(), Decimal(0)))


@contextmanager
def looked_at(gateway: GatewayThread) -> Iterator[list[Sample]]:
    """Collect what is different from one look to the next, from a thread of its own."""
    seen: list[Sample] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            found = sample(gateway.books())
            if not seen or seen[-1] != found:
                seen.append(found)
            time.sleep(EVERY_S)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


@pytest.fixture(params=[False, True], ids=["groups apart", "siblings are one group"])
def gateway(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[GatewayThread]:
    for name in ("now", "wall"):
        monkeypatch.setattr(SystemClock, name, lambda _: OPEN)
    policy = Policy(siblings_are_one_group=request.param)
    made = GatewayThread(prices={"AAPL": "100"}, now=lambda: OPEN, policy=policy)
    made.start()
    yield made
    made.close()


@pytest.fixture(params=["ib_insync", "ib_async"])
def enter(here: Path, gateway: GatewayThread, apex_json: Apex, request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Open 100 AAPL."""

    def entered(strategy: str = "plain", side: str = "BUY", targets: tuple[int, ...] = (120,)) -> Any:
        text = CONFIG.format(library=request.param, port=gateway.port)
        (here / "config.yaml").write_text(text)
        row = {
            "signal_id": "one",
            "symbol": "AAPL",
            "signal_type": side,
            "entry_price": 100,
            "stop_loss": 98 if side == "BUY" else 102,
            "confidence": 0.9,
            "strategy": strategy,
            "timestamp": OPEN.isoformat(),
            "expires_at": (OPEN + timedelta(hours=8)).isoformat(),
        }
        if targets:
            row["target_prices"] = targets
        (here / "s.json").write_text(json.dumps([row]))
        return apex_json("run", "--once", "--signals", "s.json")

    return entered


def never_too_little_nor_too_much(seen: list[Sample]) -> None:
    """Require at each look that stops covered all that was held, and that no more rested than was held."""
    assert len(seen) > 1, "something changed"
    assert all(each.covered >= each.held >= each.exits for each in seen), seen


def test_an_entry_with_three_targets_is_covered_from_its_first_share(
    gateway: GatewayThread, enter: Callable[..., Any]
) -> None:
    with looked_at(gateway) as seen:
        assert enter(targets=(104, 108, 112)).status == 0
    assert seen[-1] == (100, 100, 100)
    assert all(each.covered >= each.held for each in seen), seen
    with looked_at(gateway) as seen:
        for price in ("104", "108"):
            gateway.set_price("AAPL", price)
            time.sleep(10 * EVERY_S)
    never_too_little_nor_too_much(seen)
    assert seen[-1] == (33, 33, 33)


@pytest.mark.parametrize("is_refused", [False, True], ids=["changed", "replaced"])
@pytest.mark.parametrize(("strategy", "stop"), [("even", {"S1"}), ("trend", {"S2"})])
@pytest.mark.parametrize(("side", "price"), [("BUY", "102.5"), ("SHORT", "97.5")])
def test_a_stop_that_is_moved_or_swapped_leaves_no_moment_without(
    gateway: GatewayThread,
    enter: Callable[..., Any],
    apex_json: Apex,
    strategy: str,
    *,
    stop: set[str],
    side: str,
    price: str,
    is_refused: bool,
) -> None:
    enter(strategy, side, (120,) if side == "BUY" else (80,))
    if is_refused:
        gateway.fault("reject", "modifyOrder", **REFUSED)
    with looked_at(gateway) as seen:
        gateway.set_price("AAPL", price)
        apex_json("run", "--once")
    assert all(each.covered >= each.held >= each.exits for each in seen), seen
    left = {row.terms.order_ref.rpartition("-")[2] for row in gateway.books().open_orders()}
    assert {name for name in left if name[0] == "S"} == ({"S2"} if is_refused else stop)


@pytest.mark.parametrize("is_refused", [False, True], ids=["changed", "replaced"])
@pytest.mark.parametrize(("side", "targets"), [("BUY", ()), ("SHORT", (80,)), ("BUY", (110, 120))])
def test_a_part_that_is_closed_leaves_no_moment_without_cover(
    gateway: GatewayThread,
    enter: Callable[..., Any],
    apex_json: Apex,
    side: str,
    *,
    is_refused: bool,
    targets: tuple[int, ...],
) -> None:
    enter("plain", side, targets)
    if is_refused:
        gateway.fault("reject", "modifyOrder", **REFUSED)
    with looked_at(gateway) as seen:
        assert apex_json("close", "AAPL", "--quantity", "40", "--yes").status == 0
    never_too_little_nor_too_much(seen)
    assert seen[-1] == (60, 60, 60)


@pytest.mark.parametrize(
    ("side", "targets", "joins"),
    [("BUY", (), True), ("BUY", (), False), ("SHORT", (80,), True), ("BUY", (120,), False), ("BUY", (110, 120), True)],
)
def test_a_whole_close_leaves_no_moment_without_cover(
    gateway: GatewayThread,
    enter: Callable[..., Any],
    apex_json: Apex,
    side: str,
    *,
    joins: bool,
    targets: tuple[int, ...],
) -> None:
    enter("plain", side, targets)
    if not joins:
        gateway.fault("reject", "placeOrder", order_ref="-C1", **REFUSED)
    with looked_at(gateway) as seen:
        assert apex_json("close", "AAPL", "--yes").status == 0
    never_too_little_nor_too_much(seen)
    assert seen[-1] == (0, 0, 0)


def test_a_limit_that_rests_leaves_no_moment_without_cover(
    gateway: GatewayThread, enter: Callable[..., Any], apex_json: Apex
) -> None:
    enter(targets=(110, 120))
    for more in (("--quantity", "40"), (), ("--fraction", "0.5")):
        with looked_at(gateway) as seen:
            assert apex_json("close", "AAPL", "--limit", "105", "--yes", *more).status == 0
        assert all(each == (100, 100, 100) for each in seen), seen
    with looked_at(gateway) as seen:
        gateway.set_price("AAPL", "105")
        apex_json("run", "--once")
    never_too_little_nor_too_much(seen)
