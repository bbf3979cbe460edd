"""A gateway as a process: starts, serves until it is stopped, and takes commands of a test where that is allowed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from ipaddress import ip_address
from pathlib import Path

import msgspec

from apex_cli.core.adapters import event_loop
from apex_cli.core.adapters.files.prices.csv_bars import CsvBars
from apex_cli.core.adapters.system_clock import SystemClock
from apex_cli.core.errors import BrokerError, InputError
from apex_cli.core.model.base import Value
from apex_cli.core.model.instrument import HOME_CURRENCY
from apex_cli.core.model.limits import CommissionPlan
from apex_cli.core.model.market import Bar
from apex_cli.gateway import control
from apex_cli.gateway.books import Books, desk_of
from apex_cli.gateway.desk import Desk
from apex_cli.gateway.hub import Hub
from apex_cli.gateway.policy import Policy
from apex_cli.gateway.requests import request_of
from apex_cli.gateway.session import SERVER_VERSION, Session
from apex_cli.gateway.tape import Tape

SYMBOLS = ("AAPL", "AMD", "AMZN", "F", "GOOGL", "IBM", "INTC", "META", "MSFT", "NVDA", "QQQ", "SPY", "TSLA")
"""What is listed without bars; a symbol with bars, or with a price by command, is listed too."""

LOOPBACK = "127.0.0.1"
PORT_HINT = "choose another --port, or 0 for any free one"


class Gateway(Hub):
    """Accepts clients and gives each a session."""

    _server: asyncio.Server | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen, and return the port.

        Raises:
            OSError: the port is taken.
        """
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Session(self, request_of), host, port, reuse_address=True)
        self.commit()
        found: int = self._server.sockets[0].getsockname()[1]
        return found

    async def stop(self) -> None:
        """Close every connection and stop listening."""
        if self._server is not None:
            self._server.close()
            self.cut_all()
            await self._server.wait_closed()
            await asyncio.sleep(0)  # transports close one turn later
            self._server = None


class ServeOptions(Value, frozen=True, kw_only=True):
    """What ``apex gateway`` was asked for."""

    host: str
    port: int
    """0 takes any free one."""

    account: str
    cash: Decimal
    is_margin: bool
    bars: Path | None = None
    pace_s: float = 0.0
    """Wall seconds a bar; 0 lets the market stand at the last close."""

    state: Path | None = None
    takes_commands: bool = False
    """Read commands as lines of JSON from standard input; its end ends the gateway."""

    policy: Policy = Policy()
    base: str = HOME_CURRENCY
    """Currency of a new account."""

    rates: dict[str, Decimal] = {}
    """Units of it for one of each other currency, until a pair has another price."""


class Started(Value, frozen=True, kw_only=True):
    """Where a gateway listens."""

    host: str
    port: int
    account: str
    server_version: int
    symbols: tuple[str, ...]


def serve(options: ServeOptions, *, started: Callable[[Started], None], log: Callable[[str], None]) -> None:
    """Serve until SIGINT, SIGTERM or, with commands, the end of standard input.

    Raises:
        InputError: the host is no loopback address, or the bars cannot be read.
        BrokerError: the port is taken.
        StateError: the books are damaged or cannot be written.
    """
    require_loopback(options.host)
    event_loop.run(_serve(options, started, log))


def require_loopback(host: str) -> None:
    """Refuse a host that others can reach: there is no password on this port.

    Raises:
        InputError: it is not a loopback address.
    """
    is_loopback = host == "localhost"
    with suppress(ValueError):
        is_loopback = is_loopback or ip_address(host).is_loopback
    if not is_loopback:
        raise InputError(
            "gateway_host",
            f"--host {host} is not a loopback address.",
            hint="Use 127.0.0.1: the gateway has no password, so nobody else may reach it.",
            details={"host": host},
        )


async def _serve(options: ServeOptions, started: Callable[[Started], None], log: Callable[[str], None]) -> None:
    gateway, bars = open_gateway(options, log)
    try:
        port = await gateway.start(options.host, options.port)
    except OSError as error:
        raise BrokerError(
            "gateway_port",
            f"port {options.port} on {options.host} cannot be opened: {error.strerror}.",
            hint=PORT_HINT,
            details={"host": options.host, "port": options.port},
        ) from error
    stop = asyncio.Event()
    _stop_on_signals(stop)
    tasks = []
    if bars is not None:
        tape = Tape(gateway, bars)
        if options.pace_s:
            tasks.append(asyncio.create_task(tape.play(options.pace_s)))
        else:
            tape.show_last()
    symbols = tuple(gateway.desk.listings.symbols())
    started(
        Started(host=options.host, port=port, account=options.account, server_version=SERVER_VERSION, symbols=symbols)
    )
    if options.takes_commands:
        tasks.append(asyncio.create_task(_take_commands(gateway, stop)))
    for task in tasks:
        task.add_done_callback(lambda done: stop.set() if not done.cancelled() and done.exception() else None)
    await stop.wait()
    log("stopping")
    for task in tasks:
        task.cancel()
    await gateway.stop()
    for outcome in await asyncio.gather(*tasks, return_exceptions=True):
        if isinstance(outcome, Exception):
            raise outcome


def open_gateway(options: ServeOptions, log: Callable[[str], None]) -> tuple[Gateway, CsvBars | None]:
    """Return a gateway with the books that were kept, or new ones, and the bars it plays.

    Raises:
        StateError: the books are damaged.
        InputError: the bars cannot be read.
    """
    books = Books(options.state)
    book = books.read()
    bars = CsvBars(options.bars) if options.bars is not None else None
    symbols = (*SYMBOLS, *(bars.symbols() if bars else ()))
    if book is None:
        desk = Desk(
            cash=options.cash,
            symbols=symbols,
            policy=options.policy,
            is_margin=options.is_margin,
            plan=CommissionPlan.IB_FIXED,
            base=options.base,
            rates=options.rates,
        )
    else:
        desk = desk_of(book, options.policy)
        for symbol in symbols:
            desk.listings.add(symbol)
    gateway = Gateway(
        desk,
        account=options.account,
        now=SystemClock().now,
        books=books,
        bars_of=_history(bars, options),
        log=log,
    )
    if book is not None:
        gateway.quotes.update(book.quotes)
        gateway.played_until = book.played_until
    return gateway, bars


def _history(bars: CsvBars | None, options: ServeOptions) -> Callable[[str, datetime | None], tuple[Bar, ...]]:
    """Return where history comes from: bars that are played are history only up to where the tape is."""

    def bars_of(symbol: str, played_until: datetime | None) -> tuple[Bar, ...]:
        if bars is None:
            return ()
        return tuple(bars.bars(symbol, until=played_until if options.pace_s else None))

    return bars_of


def _stop_on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        try:
            loop.add_signal_handler(number, stop.set)
        except NotImplementedError:  # Windows: the handler runs between two events
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))


class Answer(Value, frozen=True, kw_only=True):
    """What became of one command."""

    ok: bool
    error: str = ""
    books: control.BooksView | None = None


async def _take_commands(gateway: Gateway, stop: asyncio.Event) -> None:
    """Execute each line of standard input and answer it with a line."""
    lines: asyncio.Queue[bytes] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def put(line: bytes) -> None:
        loop.call_soon_threadsafe(lines.put_nowait, line)

    threading.Thread(target=_read_lines, args=(sys.stdin.fileno(), put), daemon=True).start()
    while line := await lines.get():
        if line.strip():
            sys.stdout.buffer.write(msgspec.json.encode(answer_line(gateway, line)) + b"\n")
            sys.stdout.buffer.flush()
    stop.set()


def _read_lines(descriptor: int, put: Callable[[bytes], object]) -> None:
    """Pass each line on, and an empty one at the end.

    It reads the descriptor itself: a thread that waits inside ``sys.stdin`` would keep the process from ending.
    """
    rest = b""
    with suppress(RuntimeError):  # the loop has ended
        while chunk := os.read(descriptor, 1 << 16):
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                put(line + b"\n")
        if rest:
            put(rest)
        put(b"")


def answer_line(gateway: Gateway, line: bytes) -> Answer:
    """Execute one command and return its outcome as a line of JSON."""
    try:
        return Answer(ok=True, books=control.decode(line).act(gateway))
    except (ArithmeticError, KeyError, RecursionError, ValueError) as error:  # msgspec's errors are ValueErrors
        return Answer(ok=False, error=f"{type(error).__name__}: {error}")
