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

from apex_cli.core.adapters.files.bar_series import make_series
from apex_cli.core.adapters.files.executions import read_executions
from apex_cli.core.adapters.files.price_files import has_symbols, read_prices
from apex_cli.core.adapters.files.signal_reader import read_signals
from apex_cli.core.errors import InputError

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

TOKENS = (
    b",", b";", b"\t", b'"', b"'", b"\n", b"\r\n", b"\0", b"\xff", b"\xef\xbb\xbf", b"-", b"+", b".", b"1e99", b"1E-99",
    b"nan", b"inf", b"null", b"99999999999999999999999999", b"0", b"-1", b"(1)", b"12:60", b"25:00", b"2026-02-30",
    b"9999-12-31", b"0001-01-01", b"11/12/2026", b"1,234", b"%", b"$", b"=", b"@", b"{", b"}", b"[", b"]", b"<", b">",
    b"<!DOCTYPE x>", b"&amp;", b":", b"\xe2\x80\x8b", b"\xc2\xa0", b"\xe9", b"true", b"Date", b"Open", b"Close",
    b"Symbol",
    b"Trades,Header,", b"Trades,Data,", b"BOF", b"EOF", b"sep=;\n", b"\x1f\x8b", b"PK\x03\x04", b"ET", b"EST", b"Z",
)  # fmt: skip


def seeds() -> Iterator[bytes]:
    """Yield sound files of every kind."""
    for path in sorted((TESTS / "samples").iterdir()):
        yield path.read_bytes()
    layouts = loaded("test_price_layouts")
    for _, text in layouts.DAILY.values():
        yield text.encode()
    for _, header, row, form in layouts.INTRADAY.values():
        times = (datetime(2026, 7, 13, 13, minute).strftime(form) for minute in (30, 35, 40))  # noqa: DTZ001 - as written
        yield (header + "".join(row.format(t=each) for each in times)).encode()
    for row in loaded("test_alerts").ALERTS.values():
        yield json.dumps(row).encode()
        yield (json.dumps(row) + "\n").encode() * 2
    yield b"Symbol;Side;Entry;Stop;Target;Confidence\nMSFT;Buy;26,50;25,85;28,75;85%\n"
    yield b"signals:\n- {symbol: MSFT, signal_type: BUY, entry_price: 26.5, stop_loss: 25.85}\n"
    flex = loaded("test_executions").TestFlex()
    yield flex.flex(flex.trade(), flex.trade(ibExecID="2"))
    yield flex.flex(flex.trade(levelOfDetail="ORDER"))
    yield gzip.compress(layouts.DAILY["yahoo"][1].encode())
    yield layouts.DAILY["yahoo"][1].encode("utf-16")
    try:
        import openpyxl
    except ImportError:
        return
    book = openpyxl.Workbook()
    for cells in (["Date", "Open", "High", "Low", "Close"], [NOW.replace(tzinfo=None), 1.5, 2, 1, 2]):
        book.active.append(cells)
    target = io.BytesIO()
    book.save(target)
    yield target.getvalue()


def loaded(name: str) -> object:
    """Return a test module of the readers, for its samples."""
    found = importlib.util.spec_from_file_location(name, TESTS / f"{name}.py")
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    found.loader.exec_module(module)
    return module


def mutated(dice: random.Random, pool: list[bytes]) -> bytes:
    """Return a file that somebody, or something, has spoilt in one to six ways."""
    data = bytearray(dice.choice(pool))
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
                other = dice.choice(pool)
                data = data[:at] + other[dice.randrange(len(other) + 1) :]
            case 7:
                data = data[:at]
            case _:
                data = bytearray(bytes(data).replace(dice.choice(TOKENS[:4]), dice.choice(TOKENS[:4])))
    return bytes(data)


def read_as_prices(data: bytes) -> None:
    has_symbols(data, "x.csv")
    table = read_prices(data, "x.csv")
    for rows in list(table.rows.values())[:3]:
        make_series(table, rows, "ABC", "x.csv")


def read_as_executions(data: bytes) -> None:
    read_executions(data, "x.csv")


def read_as_signals(data: bytes) -> None:
    read_signals(io.BytesIO(data), "x", now=NOW, max_age=timedelta(days=1))


READERS: dict[str, Callable[[bytes], None]] = {
    "prices": read_as_prices,
    "executions": read_as_executions,
    "signals": read_as_signals,
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
        data = mutated(dice, pool)
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
