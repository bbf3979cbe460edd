"""Bars kept as they were read: the same bars again, and never those of files that changed."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import date, timedelta
from pathlib import Path

import pytest

pytest.importorskip("numpy")
from apex_cli.core.adapters.files.prices import csv_bars
from apex_cli.core.adapters.files.prices.bar_columns import BarColumns
from apex_cli.core.adapters.files.prices.bar_store import FOLDER
from apex_cli.core.adapters.files.prices.csv_bars import CsvBars
from apex_cli.core.market.calendar import is_session
from apex_cli.core.text.text_table import FileHints

PLAIN = "{day},{at}.50,{high}.75,{low}.0,{at}.25,{volume}"
FOREIGN = '"{day:%d.%m.%Y}";"{at},50";"{high},75";"{low},0";"{at},25";"{volume}"'
WEEKEND = "2019-03-02,101.50,110.75,90.0,101.25,5000"


def write(path: Path, form: str = PLAIN, *more: str, count: int = 200) -> None:
    days = [day for number in range(400) if is_session(day := date(2019, 1, 2) + timedelta(days=number))][:count]
    rows = [
        form.format(day=day, at=100 + at % 7, high=110 + at % 5, low=90 - at % 3, volume=1000 + at)
        for at, day in enumerate(days)
    ]
    delimiter = ";" if form == FOREIGN else ","
    head = delimiter.join(("Date", "Open", "High", "Low", "Close", "Volume"))
    path.write_text("\n".join((head, *rows, *more)))


def seen(bars: CsvBars, symbol: str) -> tuple[list[str], Sequence[object], Sequence[str], str]:
    """Return everything that is said of a symbol."""
    every = bars.bars(symbol)
    return [repr(bar) for bar in every], [bar.end for bar in every], bars.problems(symbol), bars.taken_as(symbol)


@pytest.fixture(autouse=True)
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_bars, "LEAST_BYTES", 1)


@pytest.mark.parametrize(("form", "more"), [(PLAIN, ()), (FOREIGN, ()), (PLAIN, (WEEKEND,))])
def test_what_was_kept_is_what_was_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str, more: tuple[str, ...]
) -> None:
    write(tmp_path / "AAA.csv", form, *more)
    right = seen(CsvBars(tmp_path), "AAA")
    assert not (tmp_path / FOLDER).exists()
    assert seen(CsvBars(tmp_path, keeps=True), "AAA") == right
    monkeypatch.setattr(CsvBars, "_read", None)  # nothing is read any more
    again = CsvBars(tmp_path, keeps=True)
    assert seen(again, "AAA") == right
    assert isinstance(again.bars("AAA"), BarColumns)
    assert again.symbols() == ("AAA",)


def touch(path: Path) -> None:
    os.utime(path, ns=(1, 1))


def more_rows(path: Path) -> None:
    write(path, count=201)


def spoil(path: Path) -> None:
    (path.parent / FOLDER / "AAA.npy").write_bytes(b"\x93NUMPY cut o")


def exchange(path: Path) -> None:
    import numpy as np

    np.save(path.parent / FOLDER / "AAA.npy", np.zeros((3, 4)))


def lose(path: Path) -> None:
    (path.parent / FOLDER / "AAA.json").write_text("{")


@pytest.mark.parametrize("change", [touch, more_rows, spoil, exchange, lose])
def test_what_changed_or_was_damaged_is_read_again(tmp_path: Path, change: Callable[[Path], None]) -> None:
    path = tmp_path / "AAA.csv"
    write(path)
    CsvBars(tmp_path, keeps=True).bars("AAA")
    change(path)
    right = seen(CsvBars(tmp_path), "AAA")
    assert seen(CsvBars(tmp_path, keeps=True), "AAA") == right
    assert seen(CsvBars(tmp_path, keeps=True), "AAA") == right


def test_other_hints_read_again(tmp_path: Path) -> None:
    write(tmp_path / "AAA.csv", FOREIGN)
    CsvBars(tmp_path, keeps=True).bars("AAA")
    hints = FileHints(dates="dmy")
    assert seen(CsvBars(tmp_path, hints, keeps=True), "AAA") == seen(CsvBars(tmp_path, hints), "AAA")


def test_where_nothing_can_be_written_nothing_is_kept(tmp_path: Path) -> None:
    write(tmp_path / "AAA.csv")
    (tmp_path / FOLDER).write_text("in the way")
    assert seen(CsvBars(tmp_path, keeps=True), "AAA") == seen(CsvBars(tmp_path), "AAA")
