"""Histories in several files of one symbol are one; what contradicts is named or refused."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from apex_cli.core.adapters.files.prices import csv_bars
from apex_cli.core.adapters.files.prices.bar_parts import is_part_of_one
from apex_cli.core.adapters.files.prices.csv_bars import CsvBars
from apex_cli.core.errors import InputError

HEAD = "Date,Open,High,Low,Close,Volume\n"


def daily(first: str, days: int, *, close: str = "10") -> list[str]:
    """Return a row for each weekday of some days."""
    begin = date.fromisoformat(first)
    every = (begin + timedelta(days=number) for number in range(days))
    return [f"{day},10,11,9,{close},5" for day in every if day.weekday() < 5]


def write(folder: Path, **files: list[str]) -> CsvBars:
    for name, rows in files.items():
        (folder / f"{name}.csv").write_text(HEAD + "\n".join(rows) + "\n")
    return CsvBars(folder)


def minutes(day: str, count: int = 400, *, begin: int = 0) -> list[str]:
    return [f"{day} {at // 60:02}:{at % 60:02}:00,10,11,9,10,5" for at in range(begin, begin + count)]


def test_years_of_one_symbol_are_one_history(tmp_path: Path) -> None:
    source = write(
        tmp_path, AAPL_2024=daily("2024-12-02", 20), AAPL_2025=daily("2025-01-02", 9), MSFT=daily("2025-01-02", 5)
    )
    assert source.symbols() == ("AAPL", "MSFT")
    bars = source.bars("AAPL")
    assert [bar.start.date().isoformat() for bar in (bars[0], bars[-1])] == ["2024-12-02", "2025-01-10"]
    assert len(bars) == 15 + 6  # 9 January 2025 was a day of mourning
    assert "joined from 2 files" in source.taken_as("AAPL")


def test_months_of_klines_are_one_history_whether_large_or_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = 1783123200000
    for month, begin in (("2026-07", 0), ("2026-08", 300)):
        rows = (
            f"{first + 60_000 * at},1,2,1,1.5,5.5,{first + 60_000 * at + 59_999},1,2,3,4,0"
            for at in range(begin, begin + 300)
        )
        (tmp_path / f"BTCUSDT-1m-{month}.csv").write_text(
            "open_time,open,high,low,close,volume,a,b,c,d,e,f\n" + "\n".join(rows) + "\n"
        )
    small = CsvBars(tmp_path)
    assert small.symbols() == ("BTC-USDT",)
    monkeypatch.setattr(csv_bars, "LEAST_BYTES", 1)
    large = CsvBars(tmp_path)
    assert list(large.bars("BTCUSDT")) == list(small.bars("BTCUSDT"))
    assert len(large.bars("BTCUSDT")) == 600
    assert large.bars("BTCUSDT", after=small.bars("BTCUSDT")[298].end)[0] == small.bars("BTCUSDT")[299]


def test_bars_that_are_in_two_files_count_once(tmp_path: Path) -> None:
    source = write(tmp_path, AAPL_2024=daily("2024-12-02", 33), AAPL_2025=daily("2024-12-30", 9))
    assert [bar.start.date().isoformat() for bar in source.bars("AAPL")][20:23] == [
        "2024-12-31",
        "2025-01-02",
        "2025-01-03",
    ]
    assert len(source.bars("AAPL")) == 21 + 4
    assert not [text for text in source.repairs("AAPL") if "differ" in text]


def test_days_that_one_of_two_files_lacks_are_filled_from_the_other(tmp_path: Path) -> None:
    whole = daily("2025-02-03", 19)
    source = write(tmp_path, AAPL_2024=[*whole[:3], *whole[4:8]], AAPL_2025=[*whole[2:6], *whole[7:]])
    assert len(source.bars("AAPL")) == len(whole) - 1  # Washington's Birthday


def test_the_last_day_of_an_earlier_file_may_have_been_cut_short(tmp_path: Path) -> None:
    source = write(
        tmp_path,
        AAPL_2024=[*daily("2025-02-03", 3), *daily("2025-02-06", 1, close="9.5")],
        AAPL_2025=daily("2025-02-06", 5),
    )
    assert source.bars("AAPL")[3].close == Decimal(10)
    assert "AAPL_2024.csv and AAPL_2025.csv differ at 2025-02-06" in source.repairs("AAPL")[0]


def test_prices_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    source = write(tmp_path, AAPL_2024=daily("2025-02-03", 5, close="9.5"), AAPL_2025=daily("2025-02-04", 5))
    with pytest.raises(InputError, match=r"4 bars in common, and 4 of them differ, first at 2025-02-04"):
        source.bars("AAPL")


def test_bars_of_different_lengths_are_refused(tmp_path: Path) -> None:
    source = write(tmp_path, AAPL_2024=daily("2024-12-02", 20), AAPL_2025=minutes("2025-01-03"))
    with pytest.raises(InputError, match=r"different lengths: AAPL_2024\.csv: daily sessions; AAPL_2025\.csv: 1-min"):
        source.bars("AAPL")


def test_several_symbols_a_day_are_joined_by_their_names(tmp_path: Path) -> None:
    for day in ("2026-07-06", "2026-07-07"):
        rows = (f"{symbol},5,10,10,11,9,{day}" for symbol in ("AAPL", "MSFT"))
        (tmp_path / f"{day}.csv").write_text("ticker,volume,open,close,high,low,date\n" + "\n".join(rows) + "\n")
    source = CsvBars(tmp_path)
    assert [len(source.bars(symbol)) for symbol in source.symbols()] == [2, 2]


@pytest.mark.parametrize(
    ("names", "is_one"),
    [
        (["AAPL_2020.csv", "AAPL_2021.csv"], True),
        (["AAPL-2024-01.csv", "AAPL-2024-02.csv"], True),
        (["AAPL_20240101_20240131.csv", "AAPL_20240201_20240229.csv"], True),
        (["BTCUSDT-1m-2024-01-01.csv", "BTCUSDT-1m-2024-01-02.csv.gz"], True),
        (["AAPL_part1.csv", "AAPL_part2.csv"], True),
        (["AAPL.US_M5_202401020000_202401312300.csv", "AAPL.US_M5_202402010000_202402292300.csv"], True),
        (["AAPL.csv", "aapl.csv"], False),
        (["AAPL.csv", "AAPL_2024.csv"], False),
        (["AAPL_1d_2024.csv", "AAPL_5m_2024.csv"], False),
        (["BATS_AAPL, 5.csv", "BATS_AAPL, 15.csv"], False),
    ],
)
def test_names_that_differ_in_dates_alone_are_parts_of_one(names: list[str], is_one: bool) -> None:
    assert is_part_of_one(names) is is_one
