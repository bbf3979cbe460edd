"""Bars read with numpy are those of the general reader; what is not plain is left to it."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from apex_cli.core.adapters.files.prices import bar_columns, csv_bars, plain_bars
from apex_cli.core.adapters.files.prices.bar_series import make_series
from apex_cli.core.adapters.files.prices.csv_bars import CsvBars
from apex_cli.core.adapters.files.prices.price_files import read_prices
from apex_cli.core.analysis.quality import look_at
from apex_cli.core.market.calendar import is_session, session_bounds
from apex_cli.core.text.text_table import FileHints

pytest.importorskip("numpy")
from apex_cli.core.adapters.files.prices.bar_columns import BarColumns, moments_of
from apex_cli.core.adapters.files.prices.plain_bars import read_columns

NEW_YORK = ZoneInfo("America/New_York")
HOUR_S = 3600
COUNT = 3000
FORMS: dict[str, Callable[[datetime], str]] = {
    "minutes": lambda at: f"{at.astimezone(NEW_YORK):%Y-%m-%d %H:%M}",
    "seconds": lambda at: f"{at.astimezone(NEW_YORK):%Y-%m-%dT%H:%M:%S}",
    "zulu": lambda at: f"{at:%Y-%m-%dT%H:%M:%SZ}",
    "offset": lambda at: at.astimezone(NEW_YORK).isoformat(sep=" "),
    "epoch": lambda at: f"{at.timestamp():.0f}",
    "milliseconds": lambda at: f"{at.timestamp() * 1000:.0f}",
}


def file_of(form: str, seed: int, *, newest_first: bool = False, line_end: str = "\n", delimiter: str = ",") -> bytes:
    """Return bars around the change to summer time, with prices of many lengths."""
    dice = random.Random(seed)
    places = dice.choice((0, 2, 4, 6))
    rows = []
    at = datetime(2026, 3, 6, 14, 30, tzinfo=UTC)
    for _ in range(COUNT):
        at += timedelta(minutes=1 if dice.random() < 0.95 else dice.randrange(1, 600))
        low = Decimal(dice.randrange(1, 10 ** dice.randrange(1, 8))).scaleb(-places)
        high = low + Decimal(dice.randrange(500)).scaleb(-places)
        volume = dice.choice((str(dice.randrange(10**9)), "0", "12.5", "123456789012"))
        rows.append(delimiter.join((FORMS[form](at), f"{low}", f"{high}", f"{low}", f"{high}", volume)))
    if newest_first:
        rows.reverse()
    return (
        line_end.join((delimiter.join(("Date", "Open", "High", "Low", "Close", "Volume")), *rows)) + line_end
    ).encode()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("seed", range(4))
def test_both_readers_give_the_same_bars(form: str, seed: int) -> None:
    content = file_of(
        form, seed, newest_first=seed == 1, line_end="\r\n" if seed == 2 else "\n", delimiter=";" if seed == 3 else ","
    )
    table = read_prices(content, "ABC.csv")
    right = make_series(table, table.rows[""], "ABC", "ABC.csv")
    series = read_columns(BytesIO(content), "ABC", FileHints())
    assert series is not None
    assert list(series.bars) == list(right.bars)
    assert [str(bar.close) for bar in series.bars] == [str(bar.close) for bar in right.bars]
    assert list(series.ends) == list(right.ends)
    assert [len(series.problems), *series.notes] == [len(right.problems), *right.notes]


def test_both_readers_end_the_last_bar_of_a_day_at_the_close() -> None:
    sessions = [bounds for day in range(365) if (bounds := session_bounds(date(2024, 1, 1) + timedelta(days=day)))]
    starts = [
        opens + timedelta(hours=hour)
        for opens, closes in sessions
        for hour in range((closes - opens).seconds // HOUR_S + 1)
    ]
    rows = [f"{FORMS['offset'](at)},1,1,1,1,1" for at in starts]
    content = "\n".join(("Date,Open,High,Low,Close,Volume", *rows, "")).encode()
    series, table = read_columns(BytesIO(content), "ABC", FileHints()), read_prices(content, "ABC.csv")
    assert series is not None
    assert list(series.bars) == list(make_series(table, table.rows[""], "ABC", "ABC.csv").bars)
    assert [end for end in series.ends if end.minute == 0] == [closes for _, closes in sessions]


@pytest.mark.parametrize("form", ["seconds", "minutes", "offset", "epoch"])
def test_a_file_read_in_many_parts_is_the_same(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    content = file_of(form, 2, line_end="\r\n")
    whole = read_columns(BytesIO(content), "ABC", FileHints())
    monkeypatch.setattr(plain_bars, "CHUNK", 777)
    parts = read_columns(BytesIO(content.removesuffix(b"\r\n")), "ABC", FileHints())
    assert whole is not None
    assert parts is not None
    assert list(parts.bars) == list(whole.bars)


@pytest.mark.parametrize("first", ["26", "26.5", "26.55", "0.5", "126.", "12345678", "1.234567"])
def test_numbers_of_different_places_are_those_that_stand_there(first: str) -> None:
    numbers = (first, "26", "26.5", "26.55", "7", "0.125", "126.", "9999.999", "12345678", "1.234567", "100.0")
    rows = [
        f"2026-07-13 {9 + at // 60:02}:{at % 60:02}:00,1,99999999,0.1,{numbers[at % len(numbers)]},5.5"
        for at in range(220)
    ]
    content = "\n".join(("Date,Open,High,Low,Close,Volume", *rows, "")).encode()
    series = read_columns(BytesIO(content), "ABC", FileHints())
    table = read_prices(content, "ABC.csv")
    assert series is not None
    assert [str(bar.close) for bar in series.bars] == [str(row.close) for row in table.rows[""]]


@pytest.mark.parametrize("clock", ["24:00:00", "09:60:00", "09:30:60", "09.30:00", "0930:000", "/9:30:00", "09:3 :00"])
def test_a_time_of_day_that_is_none_is_left_to_the_general_reader(clock: str) -> None:
    rows = [f"2026-07-13 09:{minute // 60:02}:{minute % 60:02},1,1,1,1,1" for minute in range(200)]
    content = "\n".join(("Date,Open,High,Low,Close,Volume", *rows, ""))
    assert read_columns(BytesIO(content.encode()), "ABC", FileHints()) is not None
    wrong = content.replace("09:01:40", clock)
    assert read_columns(BytesIO(wrong.encode()), "ABC", FileHints()) is None


@pytest.mark.parametrize("kept", [bar_columns.KEPT_BLOCKS, 2])
def test_parts_of_the_columns_are_those_of_a_tuple(kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bar_columns, "KEPT_BLOCKS", kept)
    content = file_of("epoch", 7)
    series, table = read_columns(BytesIO(content), "ABC", FileHints()), read_prices(content, "ABC.csv")
    assert series is not None
    bars, right = series.bars, tuple(make_series(table, table.rows[""], "ABC", "ABC.csv").bars)
    assert isinstance(bars, BarColumns)
    edges = (slice(31, 33), slice(32, 64), slice(0, 0), slice(32, 32), slice(2999, 3000), slice(3000, None))
    for part in (slice(10, 20), slice(-5, None), slice(None, None, 700), slice(20, 10), slice(2000, 9999), *edges):
        assert tuple(bars[part]) == right[part]
        assert [*reversed(bars[part])] == [*reversed(right[part])]
    assert (bars[0], bars[-1], bars[1024], len(bars)) == (right[0], right[-1], right[1024], len(right))
    assert tuple(bars) == right
    for outside in (len(right), -len(right) - 1):
        with pytest.raises(IndexError):
            bars[outside]
    with pytest.raises(IndexError):
        bars[10:20][10]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"\n1772807", b"\nx772807"),
        (b",12.5\n", b",1,5\n"),
        (b",12.5\n", b",-5\n"),
        (b",12.5\n", b",\n"),
        (b",12.5\n", b',"12"\n'),
        (b",12.5\n", b",1.2.5\n"),
        (b",12.5\n", b",1e5\n"),
        (b",12.5\n", b",12.\xc5\n"),
        (b",12.5\n", b",1 .5\n"),
        (b"Close,Volume", b"Price,Volume,Symbol"),
        (b"Date,", b"Date;"),
    ],
)
def test_what_is_not_plain_is_left_to_the_general_reader(old: bytes, new: bytes) -> None:
    content = file_of("epoch", 5)
    assert read_columns(BytesIO(content), "ABC", FileHints()) is not None
    assert old in content
    assert read_columns(BytesIO(content.replace(old, new, 1)), "ABC", FileHints()) is None


def test_rows_out_of_order_and_prices_of_zero_are_left_to_the_general_reader() -> None:
    head, first, second, *rest = file_of("seconds", 3).decode().splitlines()
    twice = "\n".join((head, first, first, second, *rest)).encode()
    turned = "\n".join((head, second, first, *rest)).encode()
    zero = "\n".join((head, *(",".join((first.split(",")[0], "0", "1", "0", "1", "5")), second), *rest)).encode()
    assert [read_columns(BytesIO(each), "ABC", FileHints()) for each in (twice, turned, zero)] == [None, None, None]


def test_a_large_file_is_read_as_columns_and_gives_the_prices_of_any_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = file_of("seconds", 11)
    (tmp_path / "ABC.csv").write_bytes(content)
    small = CsvBars(tmp_path)
    right = small.bars("ABC")
    monkeypatch.setattr(csv_bars, "LEAST_BYTES", 1)
    large = CsvBars(tmp_path)
    assert isinstance(large.bars("ABC"), BarColumns)
    middle = right[1500].end
    assert tuple(large.bars("ABC", after=right[1400].end, until=middle)) == tuple(right[1401:1501])
    assert large.problems("ABC") == small.problems("ABC")
    assert large.taken_as("ABC") == small.taken_as("ABC")


def daily_file(*, newest_first: bool = False) -> list[str]:
    """Return the lines of 300 sessions, the last half day of a year among them."""
    days = [day for count in range(440) if is_session(day := date(2019, 1, 2) + timedelta(days=count))]
    rows = [f"{day},{100 + at % 7}.50,{110 + at % 5}.25,{95 - at % 3}.00,{101 + at % 4}.75,{at * 1000}"
            for at, day in enumerate(days)]  # fmt: skip
    return ["Date,Open,High,Low,Close,Volume", *(reversed(rows) if newest_first else rows)]


@pytest.mark.parametrize("newest_first", [False, True])
def test_both_readers_give_dates_the_same_sessions(newest_first: bool) -> None:
    content = "\n".join(daily_file(newest_first=newest_first)).encode()
    table = read_prices(content, "ABC.csv")
    right = make_series(table, table.rows[""], "ABC", "ABC.csv")
    series = read_columns(BytesIO(content), "ABC", FileHints())
    assert series is not None
    assert list(map(repr, series.bars)) == list(map(repr, right.bars))
    assert list(series.ends) == list(right.ends)
    assert (series.problems, series.notes) == (right.problems, right.notes)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("2019-03-05", "2019-03-02"),  # a Saturday
        ("2019-03-05", "2019-02-30"),
        ("2019-03-05", "2019-13-05"),
        ("2019-03-05", "2019-03-04"),  # twice
        ("2019-03-05", "2019/03/05"),
        ("2019-03-05", "2019-01-21"),  # a holiday, and out of order
        ("2019-01-02", "1890-01-02"),
    ],
)
def test_dates_without_a_sure_session_are_left_to_the_general_reader(old: str, new: str) -> None:
    content = "\n".join(daily_file()).replace(old, new, 1).encode()
    assert read_columns(BytesIO(content), "ABC", FileHints()) is None


def test_weekly_rows_and_pairs_are_left_to_the_general_reader() -> None:
    head, *rows = daily_file()
    weekly = "\n".join((head, *rows[::5])).encode()
    assert read_columns(BytesIO(weekly), "ABC", FileHints()) is None
    assert read_columns(BytesIO("\n".join((head, *rows)).encode()), "BTC-USD", FileHints()) is None


@pytest.mark.parametrize(
    ("row", "change", "code"),
    [
        (40, {3: "109.00"}, "inconsistent"),
        (40, {5: "0"}, "zero_volume"),
        (40, {1: "55.00", 3: "50.00"}, "jump"),
        (40, {1: "155.00", 2: "160.00"}, "jump"),
        (40, {}, ""),
    ],
)
def test_columns_look_odd_where_their_bars_do(row: int, change: dict[int, str], code: str) -> None:
    lines = daily_file()
    lines[1] = lines[1].rpartition(",")[0] + ",500"
    cells = lines[row].split(",")
    lines[row] = ",".join(change.get(at, cell) for at, cell in enumerate(cells))
    series = read_columns(BytesIO("\n".join(lines).encode()), "ABC", FileHints())
    assert series is not None
    found = look_at(series.bars)
    assert found == look_at(tuple(series.bars))
    assert [issue.code for issue in found] == ([code] if code else [])


def test_the_moments_of_columns_and_of_plain_ends_are_merged() -> None:
    series = read_columns(BytesIO("\n".join(daily_file()).encode()), "ABC", FileHints())
    assert series is not None
    other = (series.ends[3], series.ends[4] + timedelta(minutes=1))
    found = moments_of([series.ends[:5], series.ends[2:4], other])
    assert found == [*series.ends[:5], other[1]]
    assert moments_of([other, other]) == list(other)
    assert moments_of([]) == []


def test_very_many_moments_are_the_same_and_made_when_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    series = read_columns(BytesIO("\n".join(daily_file()).encode()), "ABC", FileHints())
    assert series is not None
    few = moments_of([series.ends, series.ends[2:4]])
    monkeypatch.setattr(bar_columns, "MOST_MOMENTS", 3)
    many = moments_of([series.ends, series.ends[2:4]])
    assert not isinstance(many, list)
    assert list(many) == few == [many[at] for at in range(len(many))]
    assert many[-1] == few[-1]
    assert list(many[2:5]) == few[2:5]


def test_the_newest_bar_is_the_last_of_those_that_ended(tmp_path: Path) -> None:
    (tmp_path / "ABC.csv").write_bytes(file_of("minutes", 3))
    bars = CsvBars(tmp_path)
    every = bars.bars("ABC")
    for number in (0, 1, 31, 32, 2500, len(every) - 1):
        end = every[number].end
        for at in (end - timedelta(seconds=1), end, end + timedelta(seconds=1)):
            known = bars.bars("ABC", until=at)
            assert bars.newest("ABC", at) == (known[-1] if known else None)
    assert bars.newest("NONE", every[-1].end) is None


def test_what_is_asked_again_is_found_again(tmp_path: Path) -> None:
    for name, form in (("ABC", "minutes"), ("ABD", "seconds"), ("XYZ", "zulu")):
        content = file_of(form, 3 if name != "XYZ" else 5)
        (tmp_path / f"{name}.csv").write_bytes(content * (1 + plain_bars.LEAST_BYTES // len(content)))
    bars = CsvBars(tmp_path)
    right = {name: [bar.end for bar in bars.bars(name)] for name in ("ABC", "ABD", "XYZ")}
    assert right["ABC"] == right["ABD"] != right["XYZ"]
    dice = random.Random(1)
    ends = sorted({*right["ABC"], *right["XYZ"]})
    for _ in range(300):
        after, until = (dice.choice(ends[:9]) + timedelta(seconds=dice.choice((-1, 0, 1))) for _ in range(2))
        name = dice.choice(("ABC", "ABD", "XYZ"))
        found = [bar.end for bar in bars.bars(name, after=after, until=until)]
        assert found == [end for end in right[name] if after < end <= until]
