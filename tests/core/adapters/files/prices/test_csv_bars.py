from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apex_cli.core.adapters.files.prices.csv_bars import CsvBars
from apex_cli.core.errors import ExitStatus, InputError
from apex_cli.core.model.instrument import MarketType, make_instrument

NEW_YORK = ZoneInfo("America/New_York")
HEADER = "Date,Open,High,Low,Close,Volume\n"
AAPL = make_instrument("AAPL")


def ny(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).astimezone(UTC)


def bars_of(tmp_path: Path, text: str, name: str = "AAPL.csv") -> CsvBars:
    (tmp_path / name).write_text(text)
    return CsvBars(tmp_path)


def daily(*days: str) -> str:
    return HEADER + "".join(f"{day},10,20,9,{11 + number},100\n" for number, day in enumerate(days))


class TestDaily:
    def test_a_bar_is_its_session_with_summer_time_and_half_days(self, tmp_path: Path) -> None:
        source = bars_of(tmp_path, daily("2024-03-08", "2024-03-11", "2024-11-29"))
        spans = [(bar.start, bar.end) for bar in source.bars("AAPL")]
        assert spans == [
            (ny("2024-03-08T09:30"), ny("2024-03-08T16:00")),
            (ny("2024-03-11T09:30"), ny("2024-03-11T16:00")),
            (ny("2024-11-29T09:30"), ny("2024-11-29T13:00")),
        ]
        assert spans[0][1] == datetime(2024, 3, 8, 21, tzinfo=UTC)
        assert spans[1][1] == datetime(2024, 3, 11, 20, tzinfo=UTC)

    def test_values_are_exact_and_columns_go_by_name(self, tmp_path: Path) -> None:
        text = "\ufeffvolume,CLOSE,Adj Close,low,High,open,date\n5,10.30,1,10.1,10.50,10.2,2024-03-08\n"
        (bar,) = bars_of(tmp_path, text).bars("aapl")
        assert [str(value) for value in (bar.open, bar.high, bar.low, bar.close, bar.volume)] == [
            "10.2",
            "10.50",
            "10.1",
            "10.30",
            "5",
        ]
        assert bar.symbol == "AAPL"

    def test_a_close_is_known_from_one_second_before_the_bar_ends_and_not_earlier(self, tmp_path: Path) -> None:
        source = bars_of(tmp_path, daily("2024-03-07", "2024-03-08"))
        second = timedelta(seconds=1)
        end = ny("2024-03-08T16:00")
        before = source.latest(AAPL, end - 2 * second)
        at = source.latest(AAPL, end - second)
        after = source.latest(AAPL, end + timedelta(days=9))
        assert before is not None
        assert at is not None
        assert after is not None
        assert (before.price, before.at) == (11, ny("2024-03-07T16:00"))
        assert (at.price, at.at) == (12, end - second)
        assert (after.price, after.at, after.source) == (12, end, "bars")
        assert source.latest(AAPL, ny("2024-03-07T15:00")) is None

    def test_bars_are_asked_for_by_their_end(self, tmp_path: Path) -> None:
        source = bars_of(tmp_path, daily("2024-03-06", "2024-03-07", "2024-03-08"))
        first, second, third = (ny(f"2024-03-0{day}T16:00") for day in (6, 7, 8))
        assert [bar.end for bar in source.bars("AAPL", after=first, until=second)] == [second]
        assert [bar.end for bar in source.bars("AAPL", after=second)] == [third]
        assert [bar.end for bar in source.bars("AAPL", until=second - timedelta(seconds=1))] == [first]
        assert source.bars("MSFT") == ()
        assert source.latest(make_instrument("MSFT"), third) is None

    def test_an_option_has_no_price_in_the_file_of_its_underlying(self, tmp_path: Path) -> None:
        source = bars_of(tmp_path, daily("2024-03-08"))
        assert source.latest(make_instrument("AAPL", MarketType.OPTIONS), ny("2024-03-09T16:00")) is None

    def test_days_without_a_session_are_left_out_and_reported(self, tmp_path: Path) -> None:
        source = bars_of(tmp_path, daily("1824-12-31", "2024-03-28", "2024-03-29"))
        assert [bar.end for bar in source.bars("AAPL")] == [ny("2024-03-28T16:00")]
        left_out = [problem for problem in source.problems("AAPL") if "left out" in problem]
        assert left_out[0] == "AAPL.csv: line 2 is left out: 1824-12-31 lies outside the years 1900 to 2199"
        assert "line 4 is left out: NYSE was closed on 2024-03-29" in left_out[1]

    def test_days_before_the_calendar_are_sessions_by_the_rule_of_holidays(self, tmp_path: Path) -> None:
        source = bars_of(tmp_path, daily("1988-01-18", "1988-02-15", "1999-12-31", "2030-01-02", "2030-07-04"))
        assert [f"{bar.start:%Y-%m-%d}" for bar in source.bars("AAPL")] == ["1988-01-18", "1999-12-31", "2030-01-02"]
        left_out = [problem for problem in source.problems("AAPL") if "left out" in problem]
        assert [problem.partition(": NYSE was ")[2] for problem in left_out] == [
            "closed on 1988-02-15 by the rule of its holidays",
            "closed on 2030-07-04 by the rule of its holidays",
        ]

    @pytest.mark.parametrize(
        ("name", "days"),
        [("BTC-USD.csv", ["2024-03-08"]), ("COIN.csv", [f"2024-03-{day:02}" for day in range(8, 18)])],
    )
    def test_pairs_and_files_with_weekends_have_utc_days(self, tmp_path: Path, name: str, days: list[str]) -> None:
        bar = bars_of(tmp_path, daily(*days), name).bars(name[:-4])[0]
        assert (bar.start, bar.end) == (datetime(2024, 3, 8, tzinfo=UTC), datetime(2024, 3, 9, tzinfo=UTC))


class TestIntraday:
    def test_naive_times_are_new_york_and_the_shortest_step_is_the_length(self, tmp_path: Path) -> None:
        text = (
            "Datetime,Open,High,Low,Close\n"
            "2024-03-08 15:50,10,11,9,10\n"
            "2024-03-08 15:55,10,11,9,11\n"
            "2024-03-11T09:30:00,10,11,9,12\n"
        )
        bars = bars_of(tmp_path, text).bars("AAPL")
        assert [bar.start for bar in bars] == [
            ny("2024-03-08T15:50"),
            ny("2024-03-08T15:55"),
            ny("2024-03-11T09:30"),
        ]
        assert {bar.end - bar.start for bar in bars} == {timedelta(minutes=5)}
        assert bars[0].volume == 0

    def test_times_with_an_offset_are_taken_as_they_are(self, tmp_path: Path) -> None:
        text = "Timestamp,Open,High,Low,Close\n2024-03-08T20:50:00Z,10,11,9,10\n2024-03-08T16:00:00-05:00,10,11,9,10\n"
        bars = bars_of(tmp_path, text).bars("AAPL")
        assert [bar.end - bars[0].start for bar in bars] == [timedelta(minutes=10), timedelta(minutes=20)]

    @pytest.mark.parametrize("hours", [1, 2, 4])
    def test_the_last_bar_of_a_day_ends_at_the_close(self, tmp_path: Path, hours: int) -> None:
        """NYSE closes at 16:00, and at 13:00 on half days (nyse.com/markets/hours-calendars)."""
        starts = [
            ny(f"2024-11-{day}T09:30") + timedelta(hours=hour)
            for day, open_hours in ((27, 6.5), (29, 3.5), (26, 6.5))
            for hour in range(0, 24, hours)
            if hour < open_hours
        ]
        rows = "".join(f"{at.isoformat()},10,11,9,10\n" for at in sorted(starts))
        bars = bars_of(tmp_path, "Datetime,Open,High,Low,Close\n" + rows).bars("AAPL")
        lasts = [bar.end for bar in bars if bar.end - bar.start != timedelta(hours=hours)]
        assert lasts == [ny("2024-11-26T16:00"), ny("2024-11-27T16:00"), ny("2024-11-29T13:00")]

    @pytest.mark.parametrize("symbol", ["AAPL", "EURUSD"])
    def test_a_bar_after_which_trading_goes_on_has_the_length_of_all(self, tmp_path: Path, symbol: str) -> None:
        day = ny("2024-03-07T13:30") if symbol == "AAPL" else ny("2024-03-07T13:00")
        rows = "".join(f"{(day + timedelta(hours=4 * bar)).isoformat()},10,11,9,10\n" for bar in (0, 1, 6))
        name = f"{symbol}.csv"
        first, *_, last = bars_of(tmp_path, "Datetime,Open,High,Low,Close\n" + rows, name).bars(symbol)
        assert first.end - first.start == timedelta(hours=4)
        assert last.end == (ny("2024-03-08T16:00") if symbol == "AAPL" else ny("2024-03-08T17:00"))

    def test_dates_and_times_in_one_file_are_refused(self, tmp_path: Path) -> None:
        source = bars_of(tmp_path, HEADER + "2024-03-08,1,1,1,1,1\n2024-03-08T10:00,1,1,1,1,1\n")
        with pytest.raises(InputError, match=r"AAPL\.csv:3: column time"):
            source.bars("AAPL")


class TestRepairs:
    def test_unsorted_and_double_rows_are_repaired_and_reported(self, tmp_path: Path) -> None:
        source = bars_of(tmp_path, daily("2024-03-08", "2024-03-06", "2024-03-08", "2024-03-07"))
        assert [bar.close for bar in source.bars("AAPL")] == [12, 14, 13]
        assert list(source.problems("AAPL")) == [
            "AAPL.csv: line 3 is older than the one before: rows were sorted",
            "AAPL.csv: lines 2 and 4 are both of 2024-03-08: the later one counts",
        ]

    def test_gaps_jumps_and_odd_closes_are_reported(self, tmp_path: Path) -> None:
        rows = "2024-03-01,10,12,9,11,1\n2024-03-20,5,6,4,5,1\n2024-03-21,5,6,4,7,1\n"
        reported = " ".join(bars_of(tmp_path, HEADER + rows).problems("AAPL"))
        assert "sessions without a bar: 12 (2024-03-04, " in reported
        assert "opens that look like a split: 1 (2024-03-20 11 -> 5)" in reported
        assert "open or close outside low and high: 1 (2024-03-21)" in reported

    def test_a_clean_file_has_no_problems(self, tmp_path: Path) -> None:
        assert bars_of(tmp_path, daily("2024-03-07", "2024-03-08")).problems("AAPL") == ()


class TestUnusable:
    @pytest.mark.parametrize(
        ("row", "column"),
        [
            ("2024-03-08,0,12,9,11,1", "open"),
            ("2024-03-08,10,12,9,-1,1", "close"),
            ("2024-03-08,10,NaN,9,11,1", "high"),
            ("2024-03-08,10,12,inf,11,1", "low"),
            ("2024-03-08,10,8,9,11,1", "high"),
            ("2024-03-08,10,12,9,,1", "close"),
            ("2024-03-08,10,12", "low"),
            ("2024-03-08,10,12,9,11,many", "volume"),
            ("2024-03-08,10,12,9,11,-1", "volume"),
            ("8th of March,10,12,9,11,1", "time"),
            (",10,12,9,11,1", "time"),
        ],
    )
    def test_a_row_that_cannot_be_used_names_file_line_and_column(self, tmp_path: Path, row: str, column: str) -> None:
        source = bars_of(tmp_path, f"{HEADER}2024-03-07,10,12,9,11,1\n\n{row}\n")
        with pytest.raises(InputError, match=rf"AAPL\.csv:4: column {column} ") as caught:
            source.bars("AAPL")
        assert caught.value.status is ExitStatus.USAGE

    @pytest.mark.parametrize(
        ("content", "what"),
        [
            (b"", "has no column Date, Open, High, Low, Close"),
            (b"Date,Open,High,Low\n", "has no column Close"),
            (b"Date,Open,High,Low,Close\n2024-03-08,1,1,1,\x00\n", "holds the control character 0 in line 2"),
            (b"\xef\xbb\xbfDate,Open,High,Low,Close\n2024-03-08,1,1,1,\xff\n", "is not UTF-8 at byte"),
        ],
    )
    def test_a_file_that_cannot_be_used_is_explained(self, tmp_path: Path, content: bytes, what: str) -> None:
        (tmp_path / "AAPL.csv").write_bytes(content)
        with pytest.raises(InputError, match=what):
            CsvBars(tmp_path).latest(AAPL, ny("2024-03-08T16:00"))

    def test_a_header_alone_is_no_bars(self, tmp_path: Path) -> None:
        assert bars_of(tmp_path, HEADER).bars("AAPL") == ()

    def test_a_missing_folder_and_two_files_of_one_symbol_are_errors(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="cannot be read"):
            CsvBars(tmp_path / "gone")
        (tmp_path / "A-B.csv").write_text(HEADER)
        (tmp_path / "a-b.CSV").write_text(HEADER)
        if len(list(tmp_path.iterdir())) > 1:
            with pytest.raises(InputError, match=r"are both bars of A\.B"):
                CsvBars(tmp_path)


def test_symbols_are_the_file_names_in_capitals(tmp_path: Path) -> None:
    for name in ("msft.csv", "BTC-USD.csv", "EUR.USD.csv", ".x.csv"):
        (tmp_path / name).write_text(HEADER)
    (tmp_path / "notes.txt").write_text("Sell everything, buy it again later.")
    assert CsvBars(tmp_path).symbols() == ("BTC-USD", "EUR.USD", "MSFT")


def test_a_bad_file_harms_no_other_symbol(tmp_path: Path) -> None:
    (tmp_path / "BAD.csv").write_text("x")
    source = bars_of(tmp_path, daily("2024-03-08"))
    assert len(source.bars("AAPL")) == 1


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> CsvBars:
    folder = tmp_path_factory.mktemp("bars")
    return bars_of(folder, daily("2024-03-04", "2024-03-05", "2024-03-06", "2024-03-07", "2024-03-08"))


@given(seconds=st.integers(min_value=0, max_value=6 * 86_400))
def test_a_price_of_the_future_is_never_reported(week: CsvBars, seconds: int) -> None:
    at = ny("2024-03-04T00:00") + timedelta(seconds=seconds)
    quote = week.latest(AAPL, at)
    known = [bar for bar in week.bars("AAPL") if bar.end <= at + timedelta(seconds=1)]
    assert (quote.price if quote else None) == (known[-1].close if known else None)
    assert quote is None or quote.at <= at
    assert list(week.bars("AAPL", until=at)) + list(week.bars("AAPL", after=at)) == list(week.bars("AAPL"))
    assert quote is None or isinstance(quote.price, Decimal)


DAYS = "Date,Open,High,Low,Close,Volume\n{0}-03-03,20,21,19,20,1000\n{0}-03-04,20,21,19,20.5,1000\n"


@pytest.mark.parametrize(
    ("year", "count", "words"),
    [
        (1880, 0, "outside the years"),
        (1998, 2, "1998-03-03 to 1998-03-04 lie outside the calendar of"),
        (2060, 2, "2060-03-03 to 2060-03-04 lie outside the calendar of"),
        (2250, 0, "outside the years"),
    ],
)
def test_days_outside_the_calendar_are_named_first(tmp_path: Path, year: int, count: int, words: str) -> None:
    (tmp_path / "ZZZ.csv").write_text(DAYS.format(year))
    bars = CsvBars(tmp_path)
    assert len(bars.bars("ZZZ")) == count
    assert words in bars.repairs("ZZZ")[0]
    assert bars.repairs("ZZZ")[0].startswith("ZZZ.csv: ")
    assert len(bars.outside()) == (count > 0)
    assert words in bars.why_none()


def test_days_inside_the_calendar_and_of_coins_are_not_named(tmp_path: Path) -> None:
    (tmp_path / "ZZZ.csv").write_text(DAYS.format(2005))
    (tmp_path / "BTC-USD.csv").write_text(DAYS.format(2060))
    bars = CsvBars(tmp_path)
    assert all(len(bars.bars(symbol)) == 2 for symbol in bars.symbols())
    assert bars.outside() == ()
