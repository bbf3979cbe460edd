"""A gateway for tests: in a background thread, on a free port, driven by the test.

>>> with running_gateway(prices={"AAPL": "190.00"}) as gateway:
...     gateway.set_price("AAPL", "190.50")
...     gateway.books().positions
{}
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from apex_cli.core.adapters.system_clock import SystemClock
from apex_cli.core.model.limits import CommissionPlan
from apex_cli.core.model.market import Bar
from apex_cli.gateway import control
from apex_cli.gateway.books import Books, desk_of
from apex_cli.gateway.control import BooksView, Command
from apex_cli.gateway.desk import Desk
from apex_cli.gateway.faults import Action, Fault
from apex_cli.gateway.hub import BarsOf
from apex_cli.gateway.policy import Policy
from apex_cli.gateway.serve import LOOPBACK, Answer, Gateway

PAPER_ACCOUNT = "DU1234567"
GENEROUS = 30.0
"""Seconds that anything may take on a busy machine."""

Number = Decimal | str | int
T = TypeVar("T")


class Driver:
    """What a test does to a gateway, wherever that runs."""

    port: int

    def do(self, command: Command) -> BooksView | None:
        """Execute *command* on the gateway and wait until it is done."""
        raise NotImplementedError

    def set_price(
        self,
        symbol: str,
        price: Number,
        *,
        size: Number | None = None,
        bid: Number | None = None,
        ask: Number | None = None,
    ) -> None:
        """Move the market; orders meet it, at most *size* shares in all fill."""
        self.do(
            control.SetPrice(
                symbol=symbol, price=Decimal(price), size=_number(size), bid=_number(bid), ask=_number(ask)
            )
        )

    def fill(self, order_ref: str, quantity: Number, price: Number | None = None) -> None:
        """Fill part of the order whose orderRef ends with *order_ref*, wherever the market is."""
        self.do(control.FillOrder(order_ref=order_ref, quantity=Decimal(quantity), price=_number(price)))

    def fault(self, action: Action | str, message: str, **how: Any) -> None:
        """Let a fault wait for a message: ``fault("swallow", "placeOrder")``; see ``Fault`` for *how*."""
        self.do(control.AddFault(fault=Fault(action=Action(action), message=message, **how)))

    def clear_faults(self) -> None:
        """Drop every fault that still waits."""
        self.do(control.ClearFaults())

    def late_fill(self, order_ref: str, quantity: Number) -> None:
        """Let an order fill *quantity* after its next cancel was reported."""
        self.do(control.FillAfterCancel(order_ref=order_ref, quantity=Decimal(quantity)))

    def system(self, code: int, text: str = "") -> None:
        """Send a system message to every client: 1100, 1101, 1102, ..."""
        self.do(control.TellSystem(code=code, text=text))

    def error(self, order_ref: str, code: int, text: str = "") -> None:
        """Send an error about an order to its client; the order stays as it is."""
        self.do(control.TellError(order_ref=order_ref, code=code, text=text))

    def cut(self, client_id: int | None = None) -> None:
        """Cut the socket of one client, or of all."""
        self.do(control.Cut(client_id=client_id))

    def trade_by_hand(
        self,
        symbol: str,
        action: str,
        quantity: Number,
        *,
        order_type: str = "MKT",
        limit_price: Number | None = None,
        aux_price: Number | None = None,
    ) -> None:
        """Enter an order in TWS: it belongs to no API client."""
        self.do(
            control.TradeByHand(
                symbol=symbol,
                action=action,
                quantity=Decimal(quantity),
                order_type=order_type,
                limit_price=_number(limit_price),
                aux_price=_number(aux_price),
            )
        )

    def move_cash(self, amount: Number) -> None:
        """Pay money in, or take it out where it is negative."""
        self.do(control.MoveCash(amount=Decimal(amount)))

    def split(self, symbol: str, ratio: Number) -> None:
        """Split a security over night: *ratio* new units for each old one."""
        self.do(control.Split(symbol=symbol, ratio=Decimal(ratio)))

    def rename(self, symbol: str, to: str) -> None:
        """Give a security another ticker over night."""
        self.do(control.Rename(symbol=symbol, to=to))

    def exercise(self, symbol: str) -> None:
        """Exercise an option that is held before its time, or assign one that was sold."""
        self.do(control.Exercise(symbol=symbol))

    def set_standing(self, symbol: str, *, is_halted: bool = False, shortable: Number | None = None) -> None:
        """Report a stock as halted or trading, and how many of it can be borrowed."""
        self.do(control.SetStanding(symbol=symbol, is_halted=is_halted, shortable=_number(shortable)))

    def hold(self, order_ref: str, why: str = "locate") -> None:
        """Report an order as held."""
        self.do(control.HoldOrder(order_ref=order_ref, why=why))

    def cancel_by_hand(self, order_ref: str = "", perm_id: int = 0) -> None:
        """Cancel any order in TWS."""
        self.do(control.CancelByHand(order_ref=order_ref, perm_id=perm_id))

    def correct(self, exec_id: str, price: Number, shares: Number | None = None) -> None:
        """Send a correction of an execution; of no *shares* it takes it back."""
        self.do(
            control.Correct(exec_id=exec_id, price=Decimal(price), shares=None if shares is None else Decimal(shares))
        )

    def repeat(self, exec_id: str) -> None:
        """Send an execution and its commission once more."""
        self.do(control.Repeat(exec_id=exec_id))

    def set_next_id(self, client_id: int, order_id: int) -> None:
        """Hand out order ids of a client from here on."""
        self.do(control.SetNextId(client_id=client_id, order_id=order_id))

    def set_policy(self, **changes: Any) -> None:
        """Change switches of the policy."""
        self.do(control.SetPolicy(changes=changes))

    def end_session(self) -> None:
        """Expire every DAY order."""
        self.do(control.EndSession())

    def books(self) -> BooksView:
        """Return what the gateway knows: orders, executions, positions, cash."""
        view = self.do(control.ShowBooks())
        if view is None:
            raise RuntimeError("the gateway did not show its books")
        return view


def _number(value: Number | None) -> Decimal | None:
    return None if value is None else Decimal(value)


class GatewayThread(Driver):
    """A gateway on an event loop of its own, in a thread of this process."""

    def __init__(
        self,
        *,
        account: str = PAPER_ACCOUNT,
        cash: Number = "100000",
        is_margin: bool = True,
        plan: CommissionPlan = CommissionPlan.IB_FIXED,
        base: str = "USD",
        prices: Mapping[str, Number] | None = None,
        policy: Policy | None = None,
        state: Path | None = None,
        bars: Mapping[str, tuple[Bar, ...]] | None = None,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        """Prepare; ``start`` opens the port."""
        self.port = 0
        self.lines: list[str] = []
        """What the gateway would say on stderr."""

        self._account = account
        self._policy = policy or Policy()
        self._new_desk: Callable[[], Desk] = lambda: Desk(
            cash=Decimal(cash), policy=self._policy, is_margin=is_margin, plan=plan, base=base, symbols=prices or ()
        )
        self._prices = dict(prices or {})
        self._books = Books(state)
        self._bars_of: BarsOf = lambda symbol, _: (bars or {}).get(symbol, ())
        self._now = now or SystemClock().now
        self._gateway: Gateway | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="gateway", daemon=True)
        self._thread.start()

    # ------------------------------------------------------------------- life

    def start(self) -> None:
        """Listen, with the books that were kept; on the same port as before, if there was one."""
        book = self._books.read()
        desk = self._new_desk() if book is None else desk_of(book, self._policy)
        self._gateway = Gateway(
            desk,
            account=self._account,
            now=self._now,
            books=self._books,
            bars_of=self._bars_of,
            log=self.lines.append,
        )
        if book is not None:
            self._gateway.quotes.update(book.quotes)
        self.port = self._await(self._gateway.start(LOOPBACK, self.port))
        if book is None:
            for symbol, price in self._prices.items():
                self.set_price(symbol, price)

    def kill(self) -> None:
        """Go away as a killed process does: sockets are cut, only the books stay."""
        if self._gateway is not None:
            self._policy = self._gateway.desk.policy
            self._await(self._gateway.stop())
            self._gateway = None

    def restart(self) -> None:
        """Kill and start again on the same port: orders that were not transmitted are forgotten, ids may go back."""
        self.kill()
        self.start()

    def close(self) -> None:
        """End the thread."""
        self.kill()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(GENEROUS)
        self._loop.close()

    # ---------------------------------------------------------------- commands

    def do(self, command: Command) -> BooksView | None:
        """Execute *command* on the gateway's loop."""
        gateway = self._gateway
        if gateway is None:
            raise RuntimeError("the gateway is not running")

        async def done() -> BooksView | None:
            return command.act(gateway)

        return self._await(done())

    def _await(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(GENEROUS)


@contextmanager
def running_gateway(**how: Any) -> Iterator[GatewayThread]:
    """Lend a running gateway; see ``GatewayThread`` for *how*."""
    gateway = GatewayThread(**how)
    try:
        gateway.start()
        yield gateway
    finally:
        gateway.close()


class GatewayProcess(Driver):
    """A gateway as a process of its own, that can be killed for real; commands go through its standard input."""

    def __init__(
        self,
        *,
        state: Path,
        account: str = PAPER_ACCOUNT,
        cash: Number = "100000",
        port: int = 0,
        server: Sequence[str] = (),
    ) -> None:
        """Prepare; ``start`` runs it. The books are in *state*.

        *server* is the command line of another TWS-compatible server: it takes ``--port``, prints
        ``{"data": {"port": 4002}}``, and answers the commands of ``gateway/control.py`` that it knows.
        """
        self.port = port
        self._line = list(server) or [
            *(sys.executable, "-m", "apex_cli", "gateway", "--control", "--json", "--quiet"),
            *("--state", str(state), "--account", account, "--cash", str(cash)),
        ]
        self._process: subprocess.Popen[bytes] | None = None
        self._policy: dict[str, Any] = {}

    def start(self) -> None:
        """Run it, on the same port and with the same policy as before, and wait until it listens."""
        line = [*self._line, "--port", str(self.port)]
        self._process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.port = msgspec.json.decode(self._read())["data"]["port"]
        if self._policy:
            self.set_policy(**self._policy)

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        self._end(lambda process: process.kill())

    def stop(self) -> None:
        """End it with SIGTERM, cleanly."""
        self._end(lambda process: process.terminate())

    def restart(self) -> None:
        """Kill and start again on the same port."""
        self.kill()
        self.start()

    def do(self, command: Command) -> BooksView | None:
        """Send *command* and wait for its answer."""
        process = self._running()
        if process.stdin is None:
            raise RuntimeError("the gateway takes no commands")
        process.stdin.write(msgspec.json.encode(command) + b"\n")
        process.stdin.flush()
        answer = msgspec.json.decode(self._read(), type=Answer)
        if not answer.ok:
            raise ValueError(answer.error)
        if isinstance(command, control.SetPolicy):
            self._policy |= command.changes
        return answer.books

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("the gateway is not running")
        return self._process

    def _read(self) -> bytes:
        stream = self._running().stdout
        line = stream.readline() if stream is not None else b""
        if not line:
            raise RuntimeError("the gateway ended")
        return line

    def _end(self, how: Callable[[subprocess.Popen[bytes]], None]) -> None:
        process, self._process = self._process, None
        if process is not None:
            with process:
                how(process)


@contextmanager
def gateway_process(**how: Any) -> Iterator[GatewayProcess]:
    """Lend a running gateway process; see ``GatewayProcess`` for *how*."""
    gateway = GatewayProcess(**how)
    try:
        gateway.start()
        yield gateway
    finally:
        gateway.kill()
