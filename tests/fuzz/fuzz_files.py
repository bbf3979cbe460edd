"""Mutated files of every kind, read in this process: a right reading or one clear refusal, nothing else.

Run by hand: ``python tests/fuzz/fuzz_files.py --count 200000 --seed 1``. A reading that raises anything but
``InputError``, lasts over two seconds, or takes more than ten times the file (beyond what any reading takes) is a
failure; the bytes that did it are kept in ``fuzz-failures``.
"""

from __future__ import annotations

import argparse
import gzip
import importlib.util
import io
import json
import random
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from apex_cli.core.adapters.files.executions.execution_files import read_executions
from apex_cli.core.adapters.files.executions.situation import read_situation
from apex_cli.core.adapters.files.prices.bar_series import make_series
from apex_cli.core.adapters.files.prices.plain_bars import read_columns
from apex_cli.core.adapters.files.prices.price_files import has_symbols, read_prices
from apex_cli.core.adapters.files.signals.signal_reader import read_signals
from apex_cli.core.errors import InputError
from apex_cli.core.text.text_table import FileHints

TESTS = Path(__file__).parents[1] / "core" / "adapters" / "files"
NOW = datetime(2026, 7, 17, 20, tzinfo=UTC)
MOST_SECONDS = 2.0
MOST_TIMES = 10
FREE_BYTES = 8_000_000
"""What any reading may take: a decoder's buffers, a workbook's parts."""

MOST_WORDS = 3000
"""Characters of a refusal."""

MEASURED = 50
"""Every so many files the memory is measured, which is slow."""

OTHER_KIND = 0.2
"""Part of the files that are given to any of the readers."""

SITUATION = {
    "account": {"type": "margin", "equity_now": "24000", "frozen_until": "2026-11-24"},
    "executions": [{"time": "2026-11-24T10:30:00-05:00", "symbol": "ABC", "side": "BUY", "quantity": 5}],
    "order": {"side": "SELL", "symbol": "ABC", "quantity": 5, "price": "10.5"},
    "start_positions": {"XYZ": -3},
}

TOKENS = (
    b",", b";", b"\t", b'"', b"'", b"\n", b"\r\n", b"\0", b"\xff", b"\xef\xbb\xbf", b"-", b"+", b".", b"1e99", b"1E-99",
    b"nan", b"inf", b"null", b"99999999999999999999999999", b"0", b"-1", b"(1)", b"12:60", b"25:00", b"2026-02-30",
    b"9999-12-31", b"0001-01-01", b"11/12/2026", b"1,234", b"%", b"$", b"=", b"@", b"{", b"}", b"[", b"]", b"<", b">",
    b"<!DOCTYPE x>", b"&amp;", b":", b"\xe2\x80\x8b", b"\xc2\xa0", b"\xe9", b"true", b"Date", b"Open", b"Close",
    b"Symbol",
    b"Trades,Header,", b"Trades,Data,", b"BOF", b"EOF", b"sep=;\n", b"\x1f\x8b", b"PK\x03\x04", b"ET", b"EST", b"Z",
)  # fmt: skip


def seeds() -> Iterator[tuple[str, bytes]]:
    """Yield sound files of every kind, each with the kind."""
    for path in sorted((TESTS / "executions" / "samples").iterdir()):
        yield "executions", path.read_bytes()
    for case in loaded("test_trade_lists").CASES.values():
        yield "executions", case.text.encode()
    flex = loaded("test_executions").TestFlex()
    yield "executions", flex.flex(flex.trade(), flex.trade(ibExecID="2"))
    yield "executions", flex.flex(flex.trade(levelOfDetail="ORDER"))
    yield from (("prices", data) for data in prices())
    yield from (("bars as columns", data) for data in prices() if data.count(b"\n") > 2)
    yield from (("signals", data) for data in signals())
    yield "situations", json.dumps(SITUATION).encode()


def prices() -> Iterator[bytes]:
    """Yield price files in the layouts of vendors."""
    layouts = loaded("test_price_layouts")
    for _, text in layouts.DAILY.values():
        yield text.encode()
    for case in loaded("test_price_files").CASES.values():
        yield case.text if isinstance(case.text, bytes) else case.text.encode()
    for _, header, row, form in layouts.INTRADAY.values():
        times = (datetime(2026, 7, 13, 13, minute).strftime(form) for minute in (30, 35, 40))  # noqa: DTZ001 - as written
        yield (header + "".join(row.format(t=each) for each in times)).encode()
    yield gzip.compress(layouts.DAILY["yahoo"][1].encode())
    yield layouts.DAILY["yahoo"][1].encode("utf-16")
    yield from workbook(["Date", "Open", "High", "Low", "Close"], [NOW.replace(tzinfo=None), 1.5, 2, 1, 2])


def signals() -> Iterator[bytes]:
    """Yield alerts and tables of signals."""
    for row in loaded("test_alerts").ALERTS.values():
        yield json.dumps(row).encode()
        yield (json.dumps(row) + "\n").encode() * 2
    yield b"Symbol;Side;Entry;Stop;Target;Confidence\nMSFT;Buy;26,50;25,85;28,75;85%\n"
    yield b"signals:\n- {symbol: MSFT, signal_type: BUY, entry_price: 26.5, stop_loss: 25.85}\n"
    yield from workbook(["Symbol", "Side", "Entry", "Stop"], ["MSFT", "Buy", 26.5, 25.85])


def workbook(*rows: list[object]) -> Iterator[bytes]:
    """Yield a workbook with *rows*, where the library for it is installed."""
    try:
        import openpyxl
    except ImportError:
        return
    book = openpyxl.Workbook()
    for cells in rows:
        book.active.append(cells)
    target = io.BytesIO()
    book.save(target)
    yield target.getvalue()


def loaded(name: str) -> object:
    """Return a test module of the readers, for its samples."""
    (path,) = TESTS.glob(f"*/{name}.py")
    found = importlib.util.spec_from_file_location(name, path)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def mutated(dice: random.Random, pool: list[tuple[str, bytes]]) -> tuple[str, bytes]:
    """Return a kind, and a file of it that somebody, or something, has spoilt in one to six ways."""
    kind, sound = dice.choice(pool)
    data = bytearray(sound)
    for _ in range(dice.choice((1, 1, 2, 3, 6))):
        at = dice.randrange(len(data) + 1)
        span = dice.choice((1, 1, 2, 5, 20, 100))
        match dice.randrange(9):
            case 0 if data:
                data[at % len(data)] = dice.randrange(256)
            case 1:
                data[at:at] = dice.choice(TOKENS)
            case 2:
                del data[at : at + span]
            case 3:
                data[at:at] = data[at : at + span] * dice.choice((1, 2, 20))
            case 4:
                data[at : at + span] = dice.choice(TOKENS)
            case 5:
                lines = bytes(data).split(b"\n")
                dice.shuffle(lines)
                data = bytearray(b"\n".join(lines))
            case 6:
                _, other = dice.choice(pool)
                data = data[:at] + other[dice.randrange(len(other) + 1) :]
            case 7:
                data = data[:at]
            case _:
                data = bytearray(bytes(data).replace(dice.choice(TOKENS[:4]), dice.choice(TOKENS[:4])))
    return kind, bytes(data)


def read_as_prices(data: bytes) -> None:
    has_symbols(data, "x.csv")
    table = read_prices(data, "x.csv")
    for rows in list(table.rows.values())[:3]:
        make_series(table, rows, "ABC", "x.csv")


def read_as_executions(data: bytes) -> None:
    read_executions(data, "x.csv")


def read_as_situation(data: bytes) -> None:
    read_situation(data, "x.json")


def read_as_columns(data: bytes) -> None:
    head, _, rows = data.partition(b"\n")
    read_columns(io.BytesIO(head + b"\n" + rows * 30), "ABC", FileHints())


def read_as_signals(data: bytes) -> None:
    read_signals(io.BytesIO(data), "x", now=NOW, max_age=timedelta(days=1))


READERS: dict[str, Callable[[bytes], None]] = {
    "prices": read_as_prices,
    "executions": read_as_executions,
    "signals": read_as_signals,
    "situations": read_as_situation,
    "bars as columns": read_as_columns,
}


def judged(name: str, data: bytes, *, measures: bool) -> str:
    """Return ``read`` or ``refused``; anything else is a failure in words."""
    began = time.perf_counter()
    if measures:
        tracemalloc.start()
    try:
        READERS[name](data)
        outcome = "read"
    except InputError as error:
        outcome = (
            "refused" if error.message and len(error.message) < 3000 else "a refusal without words, or far too many"
        )
    except BaseException as error:  # noqa: BLE001 - that is what is looked for
        outcome = f"{type(error).__name__}: {error}"[:200]
    peak = 0
    if measures:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    if (spent := time.perf_counter() - began) > MOST_SECONDS * (5 if measures else 1):
        return f"{spent:.1f} s"
    return f"{peak} bytes for {len(data)}" if peak > FREE_BYTES + MOST_TIMES * len(data) else outcome


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=10_000)
    options.add_argument("--seed", type=int, default=1)
    chosen = options.parse_args()
    dice, pool, counts, kinds = random.Random(chosen.seed), list(seeds()), Counter[str](), Counter[str]()
    for number in range(chosen.count):
        name, data = mutated(dice, pool)
        if dice.random() < OTHER_KIND:
            name = dice.choice(tuple(READERS))
        outcome = judged(name, data, measures=number % MEASURED == 0)
        if outcome not in {"read", "refused"}:
            kinds[outcome[:80]] += 1
            place = Path("fuzz-failures")
            place.mkdir(exist_ok=True)
            if kinds[outcome[:80]] <= 3:
                (place / f"{name}-{chosen.seed}-{number}").write_bytes(data)
                print(f"{name} {number}: {outcome}", flush=True)
        counts[f"{name} {outcome if outcome in {'read', 'refused'} else 'FAILED'}"] += 1
    print(dict(sorted(counts.items())))
    return 1 if kinds else 0


if __name__ == "__main__":
    sys.exit(main())
