"""Price files in the layouts of vendors: rows made by hand, columns and spellings as the vendors write them."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from apex_cli.core.adapters.files.prices.csv_bars import CsvBars, symbol_in_name
from apex_cli.core.errors import InputError
from apex_cli.core.text.text_table import FileHints

NEW_YORK = ZoneInfo("America/New_York")
ROWS = (
    ("2026-07-06", "100.1", "102.25", "99.5", "101", "12345"),
    ("2026-07-07", "101", "103", "100.75", "102.5", "23456"),
    ("2026-07-08", "102.5", "104.125", "101", "103.25", "1234567"),
)
"""Monday to Wednesday."""

EPOCH = [int(datetime(2026, 7, day, tzinfo=NEW_YORK).timestamp()) for day in (6, 7, 8)]


def rows_as(form: str, days: str = "%Y-%m-%d") -> str:
    made = []
    for day, opening, high, low, close, volume in ROWS:
        words = date.fromisoformat(day).strftime(days)
        made.append(form.format(d=words, o=opening, h=high, l=low, c=close, v=volume, g=f"{int(volume):,}"))
    return "\n".join(made) + "\n"


DAILY = {
    "yahoo": ("AAPL.csv", "Date,Open,High,Low,Close,Adj Close,Volume\n" + rows_as("{d},{o},{h},{l},{c},{c},{v}")),
    "yahoo, copied from the page": (
        "AAPL.csv",
        (
            "Date,Open,High,Low,Close*,Adj Close**,Volume\n"
            '"Jul 8, 2026",102.5,104.125,101,103.25,103.25,"1,234,567"\n"Jul 7, 2026",0.24 Dividend,,,,,\n'
            '"Jul 7, 2026",101,103,100.75,102.5,102.5,"23,456"\n"Jul 6, 2026",100.1,102.25,99.5,101,101,"12,345"\n'
        ),
    ),
    "google sheets": (
        "AAPL.csv",
        "Date,Open,High,Low,Close,Volume\n" + rows_as("{d} 16:00:00,{o},{h},{l},{c},{v}", "%m/%d/%Y"),
    ),
    "investing.com, in German": (
        "AAPL.csv",
        '"Datum";"Zuletzt";"Eröffn.";"Hoch";"Tief";"Vol.";"+/- %"\n'
        + rows_as('"{d}";"{c}";"{o}";"{h}";"{l}";"{v}";"0,5%"', "%d.%m.%Y")
        .replace(".", ",")
        .replace(",07,2026", ".07.2026"),
    ),
    "yahoo with a null row": (
        "AAPL.csv",
        "Date,Open,High,Low,Close,Adj Close,Volume\n2026-07-02,null,null,null,null,null,null\n"
        + rows_as("{d},{o},{h},{l},{c},{c},{v}"),
    ),
    "yfinance, stamps with an offset": (
        "AAPL.csv",
        "Date,Open,High,Low,Close,Volume,Dividends,Stock Splits\n"
        + rows_as("{d} 00:00:00-04:00,{o},{h},{l},{c},{v},0.0,0.0"),
    ),
    "yfinance, stamps without an offset": (
        "AAPL.csv",
        "Date,Open,High,Low,Close,Volume\n" + rows_as("{d} 00:00:00,{o},{h},{l},{c},{v}"),
    ),
    "yfinance, three header rows": (
        "AAPL.csv",
        "Price,Close,High,Low,Open,Volume\nTicker,AAPL,AAPL,AAPL,AAPL,AAPL\nDate,,,,,\n"
        + rows_as("{d},{c},{h},{l},{o},{v}"),
    ),
    "yfinance, grouped by ticker": (
        "prices.csv",
        "Ticker,AAPL,AAPL,AAPL,AAPL,AAPL,AAPL\nPrice,Open,High,Low,Close,Adj Close,Volume\nDate,,,,,,\n"
        + rows_as("{d},{o},{h},{l},{c},1,{v}"),
    ),
    "yfinance, older multi-index": (
        "prices.csv",
        ",Adj Close,Close,High,Low,Open,Volume\n,AAPL,AAPL,AAPL,AAPL,AAPL,AAPL\nDate,,,,,,\n"
        + rows_as("{d},1,{c},{h},{l},{o},{v}"),
    ),
    "pandas without an index name": ("AAPL.csv", ",Open,High,Low,Close,Volume\n" + rows_as("{d},{o},{h},{l},{c},{v}")),
    "pandas with a numbered index": (
        "AAPL.csv",
        ",date,open,high,low,close,volume\n" + rows_as("7,{d},{o},{h},{l},{c},{v}"),
    ),
    "stooq, web": ("aapl_us_d.csv", "Date,Open,High,Low,Close,Volume\n" + rows_as("{d},{o},{h},{l},{c},{v}")),
    "stooq, bulk": (
        "aapl.us.txt",
        "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>\n"
        + rows_as("AAPL.US,D,{d},000000,{o},{h},{l},{c},{v},0", "%Y%m%d"),
    ),
    "nasdaq.com": (
        "AAPL.csv",
        "Date,Close/Last,Volume,Open,High,Low\n"
        + "\n".join(reversed(rows_as("{d},${c},{v},${o},${h},${l}", "%m/%d/%Y").splitlines())),
    ),
    "investing.com": (
        "AAPL Historical Data.csv",
        (
            '\ufeff"Date","Price","Open","High","Low","Vol.","Change %"\n'
            '"07/08/2026","103.25","102.50","104.125","101.00","1234.567K","0.73%"\n'
            '"07/07/2026","102.50","101.00","103.00","100.75","23.456K","1.49%"\n'
            '"07/06/2026","101.00","100.10","102.25","99.50","12.345K","-0.10%"\n'
        ),
    ),
    "investing.com, months in words": (
        "AAPL.csv",
        '"Date","Price","Open","High","Low","Vol.","Change %"\n'
        + rows_as('"{d}","{c}","{o}","{h}","{l}","{g}","0.5%"', "%b %d, %Y"),
    ),
    "alpha vantage": (
        "daily_AAPL.csv",
        "timestamp,open,high,low,close,volume\n" + "\n".join(reversed(rows_as("{d},{o},{h},{l},{c},{v}").splitlines())),
    ),
    "tiingo": (
        "AAPL.csv",
        "date,close,high,low,open,volume,adjClose,adjHigh,adjLow,adjOpen,adjVolume,divCash,splitFactor\n"
        + rows_as("{d},{c},{h},{l},{o},{v},1,2,1,1,1,0.0,1.0"),
    ),
    "tiingo, stamps in UTC": (
        "AAPL.csv",
        "date,close,high,low,open,volume\n" + rows_as("{d}T00:00:00.000Z,{c},{h},{l},{o},{v}"),
    ),
    "alpaca": (
        "bars.csv",
        "symbol,timestamp,open,high,low,close,volume,trade_count,vwap\n"
        + rows_as("AAPL,{d} 04:00:00+00:00,{o},{h},{l},{c},{v},9,100.5"),
    ),
    "polygon": (
        "AAPL.csv",
        "v,vw,o,c,h,l,t,n\n"
        + "".join(
            f"{v},100,{o},{c},{h},{low},{at}000,5\n" for (_, o, h, low, c, v), at in zip(ROWS, EPOCH, strict=True)
        ),
    ),
    "polygon, flat file": (
        "2026.csv",
        "ticker,volume,open,close,high,low,window_start,transactions\n"
        + "".join(
            f"AAPL,{v},{o},{c},{h},{low},{at}000000000,5\n"
            for (_, o, h, low, c, v), at in zip(ROWS, EPOCH, strict=True)
        ),
    ),
    "tradingview": (
        "NASDAQ_AAPL, 1D.csv",
        "time,open,high,low,close,Volume,Volume MA\n"
        + "".join(
            f"{at + 34200},{o},{h},{low},{c},{v},NaN\n" for (_, o, h, low, c, v), at in zip(ROWS, EPOCH, strict=True)
        ),
    ),
    "metatrader": (
        "AAPL.US_Daily_202607060000_202607080000.csv",
        "<DATE>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>\n"
        + rows_as("{d}\t{o}\t{h}\t{l}\t{c}\t1\t{v}\t2", "%Y.%m.%d"),
    ),
    "metatrader without a header": (
        "AAPL1440.csv",
        rows_as("{d},00:00,{o},{h},{l},{c},{v}", "%Y.%m.%d"),
    ),
    "barchart": (
        "aapl_daily_historical-data-07-09-2026.csv",
        "Time,Open,High,Low,Latest,Change,%Change,Volume\n"
        + rows_as("{d},{o},{h},{l},{c},1.5,+1.2%,{v}", "%m/%d/%Y")
        + '"Downloaded from Barchart.com as of 07-09-2026 04:12pm CDT"\n',
    ),
    "ib_insync util.df": (
        "AAPL.csv",
        ",date,open,high,low,close,volume,average,barCount\n" + rows_as("0,{d},{o},{h},{l},{c},{v}.0,100.7,77"),
    ),
    "semicolons and decimal commas": (
        "AAPL.csv",
        "Datum;Erster;Hoch;Tief;Schlusskurs;Stuecke\n"
        + rows_as("{d};{o};{h};{l};{c};{v}", "%d.%m.%Y").replace(".", ",").replace(",07,2026", ".07.2026"),
    ),
    "dates as numbers": (
        "AAPL.csv",
        "Date,Open,High,Low,Close,Volume\n" + rows_as("{d},{o},{h},{l},{c},{v}", "%Y%m%d"),
    ),
    "dates as 6-Jul-26": (
        "AAPL.csv",
        "Date,Open,High,Low,Close,Volume\n" + rows_as("{d},{o},{h},{l},{c},{v}", "%d-%b-%y"),
    ),
    "alpha vantage, JSON": (
        "aapl.json",
        json.dumps(
            {
                "Meta Data": {"1. Information": "Daily Prices", "2. Symbol": "AAPL"},
                "Time Series (Daily)": {
                    day: {"1. open": o, "2. high": h, "3. low": low, "4. close": c, "5. volume": v}
                    for day, o, h, low, c, v in reversed(ROWS)
                },
            }
        ),
    ),
    "alpaca, JSON": (
        "bars.json",
        json.dumps(
            {
                "bars": {
                    "AAPL": [
                        {
                            "t": f"{day}T04:00:00Z",
                            "o": float(o),
                            "h": float(h),
                            "l": float(low),
                            "c": float(c),
                            "v": int(v),
                        }
                        for day, o, h, low, c, v in ROWS
                    ]
                }
            }
        ),
    ),
    "polygon, JSON": (
        "x.json",
        json.dumps(
            {
                "ticker": "AAPL",
                "results": [
                    {"t": at * 1000, "o": float(o), "h": float(h), "l": float(low), "c": float(c), "v": int(v)}
                    for (_, o, h, low, c, v), at in zip(ROWS, EPOCH, strict=True)
                ],
            }
        ),
    ),
    "yahoo chart, JSON": (
        "x.json",
        json.dumps(
            {
                "chart": {
                    "result": [
                        {
                            "meta": {"symbol": "AAPL"},
                            "timestamp": [at + 34200 for at in EPOCH],
                            "indicators": {
                                "quote": [
                                    {
                                        "open": [float(row[1]) for row in ROWS],
                                        "high": [float(row[2]) for row in ROWS],
                                        "low": [float(row[3]) for row in ROWS],
                                        "close": [float(row[4]) for row in ROWS],
                                        "volume": [int(row[5]) for row in ROWS],
                                    }
                                ]
                            },
                        }
                    ]
                }
            }
        ),
    ),
}


def source_of(tmp_path: Path, name: str, text: str, hints: FileHints | None = None) -> CsvBars:
    (tmp_path / name).write_text(text, encoding="utf-8")
    return CsvBars(tmp_path, hints)


@pytest.mark.parametrize("layout", DAILY)
def test_daily_files_of_vendors_are_the_same_sessions(tmp_path: Path, layout: str) -> None:
    source = source_of(tmp_path, *DAILY[layout])
    assert source.symbols() == ("AAPL",)
    bars = source.bars("AAPL")
    found = [
        (bar.start.astimezone(NEW_YORK).date().isoformat(), bar.open, bar.high, bar.low, bar.close, bar.volume)
        for bar in bars
    ]
    assert found == [(day, *map(Decimal, prices)) for day, *prices in ROWS]
    assert all(bar.end - bar.start == timedelta(hours=6, minutes=30) for bar in bars)
    assert source.unmatched() == ()


def new_york(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=NEW_YORK).astimezone(UTC)


INTRADAY = {
    "two columns": ("ABC.csv", "Date,Time,Open,High,Low,Close,Volume\n", "{t},10,11,9,10,5\n", "%m/%d/%Y,%H:%M"),
    "kibot": ("ABC.txt", "", "{t},10,11,9,10,5\n", "%m/%d/%Y,%H:%M"),
    "firstrate": ("ABC_1min.txt", "", "{t},10,11,9,10,5\n", "%Y-%m-%d %H:%M:%S"),
    "ib_insync": ("ABC.csv", ",date,open,high,low,close\n", "0,{t}-04:00,10,11,9,10\n", "%Y-%m-%d %H:%M:%S"),
    "ib": ("ABC.csv", "date,open,high,low,close\n", "{t} US/Eastern,10,11,9,10\n", "%Y%m%d %H:%M:%S"),
    "tradingview": ("BATS_ABC, 5.csv", "time,open,high,low,close\n", "{t}-04:00,10,11,9,10\n", "%Y-%m-%dT%H:%M:%S"),
    "am and pm": ("ABC.csv", "Date,Open,High,Low,Close\n", "{t},10,11,9,10\n", "%m/%d/%Y %I:%M:%S %p"),
    "histdata": ("DAT_ASCII_ABC_M1_2026.csv", "", "{t};10;11;9;10;0\n", "%Y%m%d %H%M%S"),
}


@pytest.mark.parametrize("layout", INTRADAY)
def test_intraday_files_of_vendors_have_the_same_bars(tmp_path: Path, layout: str) -> None:
    name, header, row, form = INTRADAY[layout]
    starts = [datetime(2026, 7, 13, 13, minute) for minute in (30, 35, 40)]  # noqa: DTZ001 - as vendors write it
    source = source_of(tmp_path, name, header + "".join(row.format(t=start.strftime(form)) for start in starts))
    assert source.symbols() == ("ABC",)
    assert [bar.start for bar in source.bars("ABC")] == [start.replace(tzinfo=NEW_YORK) for start in starts]
    assert {bar.end - bar.start for bar in source.bars("ABC")} == {timedelta(minutes=5)}


def test_coins_have_days_of_utc_whether_from_binance_or_cryptodatadownload(tmp_path: Path) -> None:
    noon = 1783209600
    klines = "".join(
        f"{(noon + day * 86400) * 1000},100.1,102,99,101.00000001,5.5,{(noon + day * 86400 + 86399) * 1000},1,2,3,4,0\n"
        for day in range(4)
    )
    (tmp_path / "BTCUSDT-1d-2026-07.csv").write_text(klines)
    (tmp_path / "Binance_ETHUSDT_d.csv").write_text(
        "https://www.CryptoDataDownload.com\nUnix,Date,Symbol,Open,High,Low,Close,Volume ETH,Volume USDT,tradecount\n"
        + "".join(
            f"{(noon + day * 86400) * 1000},2026-07-{5 + day:02} 00:00:00,ETHUSDT,1,2,0.5,1.5,7.25,99,3\n"
            for day in range(3, -1, -1)
        )
    )
    source = CsvBars(tmp_path)
    assert source.symbols() == ("BTC-USDT", "ETH-USDT")
    for symbol, volume in (("BTCUSDT", "5.5"), ("ETHUSDT", "7.25")):
        bars = source.bars(symbol)
        assert [bar.start for bar in bars] == [datetime(2026, 7, day, tzinfo=UTC) for day in (5, 6, 7, 8)]
        assert {(bar.end - bar.start, bar.volume) for bar in bars} == {(timedelta(days=1), Decimal(volume))}


def test_several_symbols_in_one_file_are_each_their_own(tmp_path: Path) -> None:
    source = source_of(
        tmp_path,
        "all_stocks_5yr.csv",
        "date,open,high,low,close,volume,Name\n2026-07-06,1,2,1,2,5,AAPL\n2026-07-06,3,4,3,4,6,BRK.B\n2026-07-07,2,3,2,3,7,AAPL\n",
    )
    assert source.symbols() == ("AAPL", "BRK.B")
    assert [bar.close for bar in source.bars("AAPL")] == [2, 3]
    assert [bar.volume for bar in source.bars("BRK.B")] == [6]


def test_two_symbols_side_by_side_are_each_their_own(tmp_path: Path) -> None:
    text = (
        "Price,Close,Close,High,High,Low,Low,Open,Open\nTicker,AAPL,MSFT,AAPL,MSFT,AAPL,MSFT,AAPL,MSFT\n"
        "Date,,,,,,,,\n2026-07-06,2,20,3,30,1,10,2,20\n2026-07-07,2,,3,,1,,2,\n"
    )
    source = source_of(tmp_path, "download.csv", text)
    assert source.symbols() == ("AAPL", "MSFT")
    assert [bar.close for bar in source.bars("AAPL")] == [2, 2]
    assert [bar.close for bar in source.bars("MSFT")] == [20]


def test_compressed_and_wide_encoded_files_are_read(tmp_path: Path) -> None:
    text = DAILY["yahoo"][1]
    (tmp_path / "IBM.csv.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "MSFT.csv").write_bytes(text.encode("utf-16"))
    (tmp_path / "AAPL.csv").write_bytes(text.replace(",", ";").encode("cp1252"))
    source = CsvBars(tmp_path)
    assert source.symbols() == ("AAPL", "IBM", "MSFT")
    assert {len(source.bars(symbol)) for symbol in source.symbols()} == {3}
    assert "read as UTF-16" in source.taken_as("MSFT")


def test_a_workbook_and_a_parquet_file_are_read(tmp_path: Path) -> None:
    openpyxl, pyarrow = pytest.importorskip("openpyxl"), pytest.importorskip("pyarrow")
    book = openpyxl.Workbook()
    book.active.append(["Date", "Open", "High", "Low", "Close", "Volume"])
    for day, *prices in ROWS:
        book.active.append([datetime.fromisoformat(day), *map(float, prices)])
    book.save(tmp_path / "AAPL.xlsx")
    from pyarrow import parquet

    names = ["Open", "High", "Low", "Close", "Volume"]
    columns = {name: [float(row[at]) for row in ROWS] for at, name in enumerate(names, start=1)}
    days = pyarrow.array([date.fromisoformat(row[0]) for row in ROWS])
    parquet.write_table(pyarrow.table({"Date": days, **columns}), tmp_path / "MSFT.parquet")
    source = CsvBars(tmp_path)
    assert [bar.close for bar in source.bars("AAPL")] == [101, Decimal("102.5"), Decimal("103.25")]
    assert [bar.close for bar in source.bars("MSFT")] == [101, Decimal("102.5"), Decimal("103.25")]


class TestTheLastRow:
    HEAD = "Datetime,Open,High,Low,Close,Volume\n"

    def test_off_the_grid_it_does_not_change_the_length_of_the_others(self, tmp_path: Path) -> None:
        rows = [f"2026-07-13 09:{minute}:00-04:00,1,2,1,2,5\n" for minute in (30, 35, 40)]
        source = source_of(tmp_path, "ABC.csv", self.HEAD + "".join(rows) + "2026-07-13 09:43:17-04:00,1,2,1,2,0\n")
        assert [bar.end - bar.start for bar in source.bars("ABC")] == [timedelta(minutes=5)] * 3
        assert "line 5 is left out" in source.repairs("ABC")[0]

    @pytest.mark.parametrize(("stamp", "bars"), [("2026-07-08 13:45:12", 2), ("2026-07-08 16:00:02", 3)])
    def test_of_a_daily_file_counts_when_its_session_was_over(self, tmp_path: Path, stamp: str, bars: int) -> None:
        rows = "2026-07-06 00:00:00-04:00,1,2,1,2,5\n2026-07-07 00:00:00-04:00,1,2,1,2,5\n"
        source = source_of(tmp_path, "ABC.csv", f"{self.HEAD}{rows}{stamp}-04:00,1,2,1,2,5\n")
        assert len(source.bars("ABC")) == bars
        assert any("was not over" in problem for problem in source.repairs("ABC")) is (bars == 2)

    def test_a_rare_minute_without_trades_does_not_stretch_the_bars(self, tmp_path: Path) -> None:
        rows = "".join(f"2026-07-13 10:{minute:02}:00,1,2,1,2,5\n" for minute in (0, 2, 4, 5, 8, 9))
        assert {bar.end - bar.start for bar in source_of(tmp_path, "ABC.csv", self.HEAD + rows).bars("ABC")} == {
            timedelta(minutes=1)
        }


class TestRefused:
    @pytest.mark.parametrize(("step", "word"), [(7, "weekly"), (31, "monthly")])
    def test_bars_longer_than_a_day_would_look_ahead(self, tmp_path: Path, step: int, word: str) -> None:
        days = [date(2026, 1, 5) + timedelta(days=step * number) for number in range(4)]
        text = "Date,Open,High,Low,Close\n" + "".join(f"{day},1,2,1,2\n" for day in days)
        with pytest.raises(InputError, match=f"holds {word} bars") as caught:
            source_of(tmp_path, "ABC.csv", text).bars("ABC")
        assert caught.value.code == "bars_too_long"

    def test_a_date_with_two_readings_names_both_and_the_setting(self, tmp_path: Path) -> None:
        text = "Date,Open,High,Low,Close\n11/12/2026,1,2,1,2\n"
        with pytest.raises(InputError, match="12 November 2026 with the month first, 11 December 2026") as caught:
            source_of(tmp_path, "ABC.csv", text).bars("ABC")
        assert "prices.dates" in caught.value.hint
        (bar,) = source_of(tmp_path, "ABC.csv", text, FileHints(dates="dmy")).bars("ABC")
        assert bar.start.date() == date(2026, 12, 11)

    def test_the_order_of_dates_is_proved_by_another_row_or_by_weekends(self, tmp_path: Path) -> None:
        head = "Date,Open,High,Low,Close\n"
        source = source_of(tmp_path, "ABC.csv", head + "11/12/2026,1,2,1,2\n14/12/2026,1,2,1,2\n")
        assert source.bars("ABC")[0].start.date() == date(2026, 12, 11)
        source = source_of(tmp_path, "XYZ.csv", head + "07/06/2026,1,2,1,2\n07/07/2026,1,2,1,2\n")
        assert source.bars("XYZ")[0].start.date() == date(2026, 7, 6)

    def test_a_number_with_two_readings_names_both_and_the_setting(self, tmp_path: Path) -> None:
        text = 'Date,Open,High,Low,Close\n2026-07-06,"1,234","1,300","1,200","1,250"\n'
        with pytest.raises(InputError, match=r"'1,234' is 1234 or 1\.234") as caught:
            source_of(tmp_path, "ABC.csv", text).bars("ABC")
        assert "prices.decimal" in caught.value.hint
        (bar,) = source_of(tmp_path, "ABC.csv", text, FileHints(decimal=".")).bars("ABC")
        assert bar.open == 1234

    def test_all_bad_cells_are_reported_at_once_with_their_count(self, tmp_path: Path) -> None:
        rows = "".join(f"2026-07-{day:02},1,2,{'x' if day < 8 else 1},2\n" for day in (1, 2, 6, 7, 8))
        with pytest.raises(InputError, match="4 problems") as caught:
            source_of(tmp_path, "ABC.csv", "Date,Open,High,Low,Close\n" + rows).bars("ABC")
        assert caught.value.details["problem_count"] == 4
        assert len(caught.value.details["problems"]) == 4


def test_columns_can_be_named_by_the_configuration(tmp_path: Path) -> None:
    hints = FileHints(columns={"time": "When", "open": "A", "high": "B", "low": "C", "close": "D"}, zone="UTC")
    source = source_of(tmp_path, "ABC.csv", "When,A,B,C,D\n2026-07-13 13:30,1,2,1,2\n2026-07-13 13:31,1,2,1,2\n", hints)
    assert [bar.start for bar in source.bars("ABC")] == [new_york("2026-07-13T09:30"), new_york("2026-07-13T09:31")]


def test_a_file_of_no_symbol_is_named_and_not_forgotten(tmp_path: Path) -> None:
    (tmp_path / "HistoricalData_1783900000000.csv").write_text(DAILY["nasdaq.com"][1])
    source = source_of(tmp_path, *DAILY["yahoo"])
    assert source.symbols() == ("AAPL",)
    assert "HistoricalData_1783900000000.csv is not used" in source.unmatched()[0]


@pytest.mark.parametrize(
    ("name", "symbol"),
    [
        ("AAPL", "AAPL"),
        ("brk-b", "BRK-B"),
        ("^GSPC", "^GSPC"),
        ("aapl_us_d", "AAPL"),
        ("aapl.us", "AAPL"),
        ("AAPL (1)", "AAPL"),
        ("AAPL_1min", "AAPL"),
        ("AAPL_full_1hour_adjsplitdiv", "AAPL"),
        ("intraday_5min_IBM", "IBM"),
        ("BINANCE_BTCUSDT, 60", "BTCUSDT"),
        ("ETHUSDT-1m-2024-01", "ETHUSDT"),
        ("EURUSD_M5_202401020000_202402020000", "EURUSD"),
        ("Tesla Stock Price History", "TESLA"),
        ("HistoricalData_1699999999999", ""),
        ("my_own_file", ""),
        ("D", "D"),
        ("AAPL-daily", "AAPL"),
        ("brk.b-history", "BRK.B"),
        ("BRK_B", "BRK.B"),
        ("AAPL_D", "AAPL"),
        ("US.AAPL", "AAPL"),
        ("STOCK_US_XNAS_AAPL", "AAPL"),
        ("table_aapl", "AAPL"),
        ("AAPL Historische Daten", "AAPL"),
        ("AAPL Dati Storici (1)", "AAPL"),
        ("ETH-USD", "ETH-USD"),
    ],
)
def test_a_symbol_is_found_in_the_name_of_a_file(name: str, symbol: str) -> None:
    assert symbol_in_name(name) == symbol
