"""Price files with the oddities that downloads really have; each was counted by hand.

Other languages, running days, indexes and notes around the table, weekly and monthly bars, times of other zones.
"""

# ruff: noqa: E501 - rows stand as vendors write them

from __future__ import annotations

import io
import json
import zipfile
from datetime import date
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import pytest

from apex_cli.core.adapters.files.prices import csv_bars
from apex_cli.core.adapters.files.prices.csv_bars import CsvBars
from apex_cli.core.adapters.files.prices.price_files import read_prices
from apex_cli.core.errors import InputError

NEW_YORK = ZoneInfo("America/New_York")
THREE_DAYS = (
    "AAPL 07-06 09:30 390m 100.1 102.25 99.5 101 12345",
    "AAPL 07-07 09:30 390m 101 103 100.75 102.5 23456",
    "AAPL 07-08 09:30 390m 102.5 104.125 101 103.25 1234567",
)
"""Monday to Wednesday, each with its session."""


class Case(NamedTuple):
    """A file, and what is right."""

    name: str
    text: str | bytes
    right: int | tuple[str, ...] | str
    """How many bars, or which ones; what a refusal says."""


CASES = {
    "yahoo crlf bom": Case(
        "AAPL.csv",
        "\ufeffDate,Open,High,Low,Close,Adj Close,Volume\r\n2026-07-06,100.1,102.25,99.5,101,101,12345\r\n2026-07-07,101,103,100.75,102.5,102.5,23456\r\n2026-07-08,102.5,104.125,101,103.25,103.25,1234567\r\n",
        THREE_DAYS,
    ),
    "yahoo quoted": Case(
        "AAPL.csv",
        """\
"Date","Open","High","Low","Close","Adj Close","Volume"
"2026-07-06","100.1","102.25","99.5","101","101","12345"
"2026-07-07","101","103","100.75","102.5","102.5","23456"
"2026-07-08","102.5","104.125","101","103.25","103.25","1234567"
""",
        THREE_DAYS,
    ),
    "yahoo running day": Case(
        "AAPL.csv",
        """\
Date,Open,High,Low,Close,Adj Close,Volume
2026-07-06 00:00:00-04:00,100.1,102.25,99.5,101,101,12345
2026-07-07 00:00:00-04:00,101,103,100.75,102.5,102.5,23456
2026-07-08 00:00:00-04:00,102.5,104.125,101,103.25,103.25,1234567
2026-07-09 11:21:05-04:00,1,2,1,2,2,5
""",
        THREE_DAYS,
    ),
    "yf multi tickers stack": Case(
        "prices.csv",
        """\
Date,Ticker,Adj Close,Close,High,Low,Open,Volume
2026-07-06,AAPL,101,101,102.25,99.5,100.1,12345
2026-07-07,AAPL,102.5,102.5,103,100.75,101,23456
2026-07-08,AAPL,103.25,103.25,104.125,101,102.5,1234567
2026-07-06,MSFT,101,101,102.25,99.5,100.1,12345
2026-07-07,MSFT,102.5,102.5,103,100.75,101,23456
2026-07-08,MSFT,103.25,103.25,104.125,101,102.5,1234567
""",
        6,
    ),
    "yf three rows intraday": Case(
        "AAPL.csv",
        """\
Price,Adj Close,Close,High,Low,Open,Volume
Ticker,AAPL,AAPL,AAPL,AAPL,AAPL,AAPL
Datetime,,,,,,
2026-07-06 13:30:00+00:00,1,1.5,2,1,1,5
2026-07-06 13:35:00+00:00,1,1.5,2,1,1,5
2026-07-06 13:40:00+00:00,1,1.5,2,1,1,5
""",
        (
            "AAPL 07-06 09:30 5m 1 2 1 1.5 5",
            "AAPL 07-06 09:35 5m 1 2 1 1.5 5",
            "AAPL 07-06 09:40 5m 1 2 1 1.5 5",
        ),
    ),
    "stooq bulk 5min warsaw": Case(
        "aapl.us.txt",
        """\
<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>
AAPL.US,5,20260706,153000,1,2,1,1.5,5,0
AAPL.US,5,20260706,153500,1,2,1,1.5,5,0
AAPL.US,5,20260706,154000,1,2,1,1.5,5,0
""",
        (
            "AAPL 07-06 09:30 5m 1 2 1 1.5 5",
            "AAPL 07-06 09:35 5m 1 2 1 1.5 5",
            "AAPL 07-06 09:40 5m 1 2 1 1.5 5",
        ),
    ),
    "stooq no data": Case(
        "aapl_us_d.csv",
        """\
No data
""",
        "has no column",
    ),
    "stooq limit": Case(
        "aapl_us_d.csv",
        """\
Exceeded the daily hits limit
""",
        "has no column",
    ),
    "stooq polish": Case(
        "aapl_us_d.csv",
        """\
Data,Otwarcie,Najwyzszy,Najnizszy,Zamkniecie,Wolumen
2026-07-06,100.1,102.25,99.5,101,12345
2026-07-07,101,103,100.75,102.5,23456
2026-07-08,102.5,104.125,101,103.25,1234567
""",
        THREE_DAYS,
    ),
    "investing es": Case(
        "AAPL.csv",
        """\
"Fecha","Último","Apertura","Máximo","Mínimo","Vol.","% var."
"06.07.2026","101","100,1","102,25","99,5","12345","0,5%"
"07.07.2026","102,5","101","103","100,75","23456","0,5%"
"08.07.2026","103,25","102,5","104,125","101","1234567","0,5%"
""",
        THREE_DAYS,
    ),
    "investing fr": Case(
        "AAPL.csv",
        """\
"Date","Dernier","Ouv."," Plus Haut","Plus Bas","Vol.","Variation %"
"06/07/2026","101","100,1","102,25","99,5","12345","0,5%"
"07/07/2026","102,5","101","103","100,75","23456","0,5%"
"08/07/2026","103,25","102,5","104,125","101","1234567","0,5%"
""",
        THREE_DAYS,
    ),
    "investing it": Case(
        "AAPL.csv",
        """\
"Data","Ultimo","Apertura","Massimo","Minimo","Vol.","Var. %"
"06.07.2026","101","100,1","102,25","99,5","12345","0,5%"
"07.07.2026","102,5","101","103","100,75","23456","0,5%"
"08.07.2026","103,25","102,5","104,125","101","1234567","0,5%"
""",
        THREE_DAYS,
    ),
    "investing pt": Case(
        "AAPL.csv",
        """\
"Data","Último","Abertura","Máxima","Mínima","Vol.","Var%"
"06.07.2026","101","100,1","102,25","99,5","12345","0,5%"
"07.07.2026","102,5","101","103","100,75","23456","0,5%"
"08.07.2026","103,25","102,5","104,125","101","1234567","0,5%"
""",
        THREE_DAYS,
    ),
    "investing vol dash": Case(
        "AAPL.csv",
        """\
"Date","Price","Open","High","Low","Vol.","Change %"
"07/08/2026","103.25","102.50","104.125","101.00","-","0.73%"
"07/07/2026","1,102.50","1,101.00","1,103.00","1,100.75","1.23M","1.49%"
""",
        "08 July 2026 with the month first",
    ),
    "nasdaq NA": Case(
        "AAPL.csv",
        """\
Date,Close/Last,Volume,Open,High,Low
07/07/2026,$102.50,"23,456",$101.00,$103.00,$100.75
07/06/2026,$101.00,N/A,$100.10,$102.25,$99.50
""",
        2,
    ),
    "alpha intraday json": Case(
        "x.json",
        """\
{"Meta Data":{"1. Information":"Intraday (5min)","2. Symbol":"AAPL","3. Last Refreshed":"2026-07-06 09:40:00","4. Interval":"5min","5. Output Size":"Compact","6. Time Zone":"US/Eastern"},"Time Series (5min)":{"2026-07-06 09:40:00":{"1. open":"1","2. high":"2","3. low":"1","4. close":"1.5","5. volume":"5"},"2026-07-06 09:35:00":{"1. open":"1","2. high":"2","3. low":"1","4. close":"1.5","5. volume":"5"},"2026-07-06 09:30:00":{"1. open":"1","2. high":"2","3. low":"1","4. close":"1.5","5. volume":"5"}}}""",
        3,
    ),
    "alpha adjusted csv": Case(
        "daily_adjusted_AAPL.csv",
        """\
timestamp,open,high,low,close,adjusted_close,volume,dividend_amount,split_coefficient
2026-07-06,100.1,102.25,99.5,101,1,12345,0.0000,1.0
2026-07-07,101,103,100.75,102.5,1,23456,0.0000,1.0
2026-07-08,102.5,104.125,101,103.25,1,1234567,0.0000,1.0
""",
        THREE_DAYS,
    ),
    "alpha weekly": Case(
        "weekly_AAPL.csv",
        """\
timestamp,open,high,low,close,volume
2026-06-05,1,2,1,1.5,5
2026-06-12,1,2,1,1.5,5
2026-06-19,1,2,1,1.5,5
2026-06-26,1,2,1,1.5,5
2026-07-03,1,2,1,1.5,5
2026-07-10,1,2,1,1.5,5
""",
        "weekly bars",
    ),
    "alpha monthly": Case(
        "monthly_AAPL.csv",
        """\
timestamp,open,high,low,close,volume
2026-01-30,1,2,1,1.5,5
2026-02-27,1,2,1,1.5,5
2026-03-31,1,2,1,1.5,5
2026-04-30,1,2,1,1.5,5
2026-05-29,1,2,1,1.5,5
2026-06-30,1,2,1,1.5,5
""",
        "monthly bars",
    ),
    "weekly yahoo": Case(
        "AAPL.csv",
        """\
Date,Open,High,Low,Close,Adj Close,Volume
2026-06-01,1,2,1,1.5,1.5,5
2026-06-08,1,2,1,1.5,1.5,5
2026-06-15,1,2,1,1.5,1.5,5
2026-06-22,1,2,1,1.5,1.5,5
2026-06-29,1,2,1,1.5,1.5,5
2026-07-06,1,2,1,1.5,1.5,5
2026-07-10,1,2,1,1.5,1.5,5
""",
        "weekly bars",
    ),
    "quarterly": Case(
        "AAPL.csv",
        """\
Date,Open,High,Low,Close,Volume
2025-03-31,1,2,1,1.5,5
2025-06-30,1,2,1,1.5,5
2025-09-30,1,2,1,1.5,5
2025-12-31,1,2,1,1.5,5
2026-03-31,1,2,1,1.5,5
2026-06-30,1,2,1,1.5,5
""",
        "monthly bars",
    ),
    "yearly": Case(
        "AAPL.csv",
        """\
Date,Open,High,Low,Close,Volume
2018-12-31,1,2,1,1.5,5
2019-12-31,1,2,1,1.5,5
2020-12-31,1,2,1,1.5,5
2021-12-31,1,2,1,1.5,5
2022-12-31,1,2,1,1.5,5
2023-12-31,1,2,1,1.5,5
2024-12-31,1,2,1,1.5,5
2025-12-31,1,2,1,1.5,5
""",
        "monthly bars",
    ),
    "tiingo json": Case(
        "AAPL.json",
        """\
[{"date":"2026-07-06T00:00:00.000Z","close":101,"high":102.25,"low":99.5,"open":100.1,"volume":12345,"adjClose":1,"divCash":0.0},{"date":"2026-07-07T00:00:00.000Z","close":102.5,"high":103,"low":100.75,"open":101,"volume":23456,"adjClose":1,"divCash":0.0},{"date":"2026-07-08T00:00:00.000Z","close":103.25,"high":104.125,"low":101,"open":102.5,"volume":1234567,"adjClose":1,"divCash":0.0}]""",
        THREE_DAYS,
    ),
    "tiingo error": Case(
        "AAPL.csv",
        """\
Error: Ticker AAPLX not found
""",
        "has no column",
    ),
    "tiingo iex intraday": Case(
        "AAPL.csv",
        """\
date,close,high,low,open
2026-07-06T13:30:00.000Z,1.5,2,1,1
2026-07-06T13:35:00.000Z,1.5,2,1,1
2026-07-06T13:40:00.000Z,1.5,2,1,1
""",
        3,
    ),
    "alpaca single json": Case(
        "x.json",
        """\
{"bars":[{"c":101,"h":102.25,"l":99.5,"n":1,"o":100.1,"t":"2026-07-06T04:00:00Z","v":12345,"vw":100},{"c":102.5,"h":103,"l":100.75,"n":1,"o":101,"t":"2026-07-07T04:00:00Z","v":23456,"vw":1}],"next_page_token":null,"symbol":"AAPL"}""",
        (
            "AAPL 07-06 09:30 390m 100.1 102.25 99.5 101 12345",
            "AAPL 07-07 09:30 390m 101 103 100.75 102.5 23456",
        ),
    ),
    "alpaca crypto slash": Case(
        "x.csv",
        """\
symbol,timestamp,open,high,low,close,volume,trade_count,vwap
BTC/USD,2026-07-04 05:00:00+00:00,1,2,1,1.5,5,9,1
BTC/USD,2026-07-05 05:00:00+00:00,1,2,1,1.5,5,9,1
BTC/USD,2026-07-06 05:00:00+00:00,1,2,1,1.5,5,9,1
""",
        3,
    ),
    "polygon crypto json": Case(
        "x.json",
        """\
{"ticker":"X:BTCUSD","queryCount":2,"resultsCount":2,"adjusted":true,"results":[{"v":5,"vw":1,"o":1,"c":1.5,"h":2,"l":1,"t":1783123200000,"n":3},{"v":5,"vw":1,"o":1,"c":1.5,"h":2,"l":1,"t":1783209600000,"n":3}],"status":"OK"}""",
        2,
    ),
    "tradingview iso daily": Case(
        "NASDAQ_AAPL, 1D_3f2a1.csv",
        """\
time,open,high,low,close,Volume
2026-07-06,100.1,102.25,99.5,101,12345
2026-07-07,101,103,100.75,102.5,23456
2026-07-08,102.5,104.125,101,103.25,1234567
""",
        THREE_DAYS,
    ),
    "tradingview epoch 5min w indicators": Case(
        "BATS_AAPL, 5.csv",
        """\
time,open,high,low,close,Plot,Plot,Shapes,Volume
1783344600,1,2,1,1.5,NaN,NaN,,5
1783344900,1,2,1,1.5,NaN,NaN,,5
1783345200,1,2,1,1.5,NaN,NaN,,5
""",
        3,
    ),
    "tradingview weekly": Case(
        "NASDAQ_AAPL, 1W.csv",
        """\
time,open,high,low,close,Volume
1780320600,1,2,1,1.5,5
1780925400,1,2,1,1.5,5
1781530200,1,2,1,1.5,5
1782135000,1,2,1,1.5,5
1782739800,1,2,1,1.5,5
1783344600,1,2,1,1.5,5
""",
        "weekly bars",
    ),
    "mt5 m5 stock": Case(
        "AAPL.US_M5_202607060930_202607061000.csv",
        "<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>\n2026.07.06\t16:30:00\t1\t2\t1\t1.5\t9\t5\t2\n2026.07.06\t16:35:00\t1\t2\t1\t1.5\t9\t5\t2\n2026.07.06\t16:40:00\t1\t2\t1\t1.5\t9\t5\t2\n",
        "the broker's server",
    ),
    "mt4 eurusd m1": Case(
        "EURUSD1.csv",
        """\
2026.07.06,09:30,1.10,1.11,1.09,1.105,9
2026.07.06,09:31,1.10,1.11,1.09,1.105,9
2026.07.06,09:32,1.10,1.11,1.09,1.105,9
""",
        "the broker's server",
    ),
    "mt5 utf16": Case(
        "AAPL_Daily.csv",
        "<DATE>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>\r\n2026.07.06\t100.1\t102.25\t99.5\t101\t1\t12345\t2\n2026.07.07\t101\t103\t100.75\t102.5\t1\t23456\t2\n2026.07.08\t102.5\t104.125\t101\t103.25\t1\t1234567\t2\n".encode(
            "utf-16"
        ),
        THREE_DAYS,
    ),
    "binance us": Case(
        "BTCUSDT-1h-2026-07.csv",
        """\
1783123200000000,1.0,2.0,0.9,1.5,5.5,1783126799999999,1,2,3,4,0
1783126800000000,1.0,2.0,0.9,1.5,5.5,1783130399999999,1,2,3,4,0
1783130400000000,1.0,2.0,0.9,1.5,5.5,1783133999999999,1,2,3,4,0
1783134000000000,1.0,2.0,0.9,1.5,5.5,1783137599999999,1,2,3,4,0
""",
        (
            "BTC-USDT 07-03 20:00 60m 1.0 2.0 0.9 1.5 5.5",
            "BTC-USDT 07-03 21:00 60m 1.0 2.0 0.9 1.5 5.5",
            "BTC-USDT 07-03 22:00 60m 1.0 2.0 0.9 1.5 5.5",
            "BTC-USDT 07-03 23:00 60m 1.0 2.0 0.9 1.5 5.5",
        ),
    ),
    "binance header": Case(
        "ETHUSDT-5m-2026-07-04.csv",
        """\
open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore
1783123200000,1.0,2.0,0.9,1.5,5.5,1783123499999,1,2,3,4,0
1783123500000,1.0,2.0,0.9,1.5,5.5,1783123799999,1,2,3,4,0
1783123800000,1.0,2.0,0.9,1.5,5.5,1783124099999,1,2,3,4,0
1783124100000,1.0,2.0,0.9,1.5,5.5,1783124399999,1,2,3,4,0
""",
        4,
    ),
    "binance api json": Case(
        "BTCUSDT.json",
        """\
[[1783123200000,"1.0","2.0","0.9","1.5","5.5",1783123499999,"1",2,"3","4","0"],[1783123500000,"1.0","2.0","0.9","1.5","5.5",1783123799999,"1",2,"3","4","0"],[1783123800000,"1.0","2.0","0.9","1.5","5.5",1783124099999,"1",2,"3","4","0"],[1783124100000,"1.0","2.0","0.9","1.5","5.5",1783124399999,"1",2,"3","4","0"]]""",
        4,
    ),
    "cdd old hourly 12h": Case(
        "Coinbase_BTCUSD_1h.csv",
        """\
https://www.CryptoDataDownload.com
Date,Symbol,Open,High,Low,Close,Volume BTC,Volume USD
2020-07-05 02-AM,BTCUSD,1,2,1,1.5,5,9
2020-07-05 01-AM,BTCUSD,1,2,1,1.5,5,9
2020-07-05 12-AM,BTCUSD,1,2,1,1.5,5,9
""",
        (
            "BTC-USD 07-04 20:00 60m 1 2 1 1.5 5",
            "BTC-USD 07-04 21:00 60m 1 2 1 1.5 5",
            "BTC-USD 07-04 22:00 60m 1 2 1 1.5 5",
        ),
    ),
    "cdd hourly no unix": Case(
        "Bitstamp_BTCUSD_1h.csv",
        """\
https://www.CryptoDataDownload.com
date,symbol,open,high,low,close,Volume BTC,Volume USD
2020-07-05 02:00:00,BTC/USD,1,2,1,1.5,5,9
2020-07-05 01:00:00,BTC/USD,1,2,1,1.5,5,9
2020-07-05 00:00:00,BTC/USD,1,2,1,1.5,5,9
""",
        (
            "BTC-USD 07-04 20:00 60m 1 2 1 1.5 5",
            "BTC-USD 07-04 21:00 60m 1 2 1 1.5 5",
            "BTC-USD 07-04 22:00 60m 1 2 1 1.5 5",
        ),
    ),
    "coin naive hourly": Case(
        "BTCUSDT.csv",
        """\
timestamp,open,high,low,close,volume
2026-07-05 00:00:00,1,2,1,1.5,5
2026-07-05 01:00:00,1,2,1,1.5,5
2026-07-05 02:00:00,1,2,1,1.5,5
""",
        (
            "BTC-USDT 07-04 20:00 60m 1 2 1 1.5 5",
            "BTC-USDT 07-04 21:00 60m 1 2 1 1.5 5",
            "BTC-USDT 07-04 22:00 60m 1 2 1 1.5 5",
        ),
    ),
    "barchart symbol col": Case(
        "watch.csv",
        """\
Symbol,Time,Open,High,Low,Last,Change,%Chg,Volume
AAPL,07/06/2026,100.1,102.25,99.5,101,1,1%,12345
AAPL,07/07/2026,101,103,100.75,102.5,1,1%,23456
AAPL,07/08/2026,102.5,104.125,101,103.25,1,1%,1234567
"Downloaded from Barchart.com as of 07-09-2026 04:12pm CDT"
""",
        THREE_DAYS,
    ),
    "util.df intraday": Case(
        "AAPL.csv",
        """\
,date,open,high,low,close,volume,average,barCount
0,2026-07-06 09:30:00-04:00,1,2,1,1.5,5.0,1.2,3
1,2026-07-06 09:35:00-04:00,1,2,1,1.5,5.0,1.2,3
2,2026-07-06 09:40:00-04:00,1,2,1,1.5,5.0,1.2,3
""",
        3,
    ),
    "util.df utc": Case(
        "AAPL.csv",
        """\
date,open,high,low,close,volume,average,barCount
2026-07-06 13:30:00+00:00,1,2,1,1.5,-1,-1,-1
2026-07-06 13:35:00+00:00,1,2,1,1.5,-1,-1,-1
2026-07-06 13:40:00+00:00,1,2,1,1.5,-1,-1,-1
""",
        3,
    ),
    "dup header mid": Case(
        "AAPL.csv",
        """\
Date,Open,High,Low,Close,Volume
2026-07-06,100.1,102.25,99.5,101,12345
Date,Open,High,Low,Close,Volume
2026-07-07,101,103,100.75,102.5,23456
2026-07-08,102.5,104.125,101,103.25,1234567
""",
        THREE_DAYS,
    ),
    "excel semicolon de": Case(
        "AAPL.csv",
        "sep=;\r\nDatum;Eröffnung;Hoch;Tief;Schluss;Volumen\r\n06.07.2026;100,1;102,25;99,5;101;12345\r\n07.07.2026;101;103;100,75;102,5;23456\r\n08.07.2026;102,5;104,125;101;103,25;1234567\r\n".encode(
            "cp1252"
        ),
        THREE_DAYS,
    ),
    "dates utc midnight tz shift": Case(
        "AAPL.csv",
        """\
Date,Open,High,Low,Close,Volume
2026-07-06T04:00:00Z,100.1,102.25,99.5,101,12345
2026-07-07T04:00:00Z,101,103,100.75,102.5,23456
2026-07-08T04:00:00Z,102.5,104.125,101,103.25,1234567
""",
        THREE_DAYS,
    ),
    "negative price": Case(
        "CL.csv",
        """\
Date,Open,High,Low,Close,Volume
2020-04-20,17,17,-40,-37,5
2020-04-21,-14,13,-16,10,5
""",
        "column low holds",
    ),
    "us/eu ambiguous": Case(
        "AAPL.csv",
        """\
Date,Open,High,Low,Close,Volume
07/08/2026,1,2,1,1.5,5
""",
        "with the day first",
    ),
    "ambig 1.234": Case(
        "AAPL.csv",
        """\
Date;Open;High;Low;Close
2026-07-06;1.234;1.300;1.200;1.250
""",
        "is 1234 or 1.234",
    ),
    "session saturday": Case(
        "AAPL.csv",
        """\
Date,Open,High,Low,Close,Volume
2026-07-06,100.1,102.25,99.5,101,12345
2026-07-07,101,103,100.75,102.5,23456
2026-07-08,102.5,104.125,101,103.25,1234567
2026-07-11,1,2,1,2,5
""",
        THREE_DAYS,
    ),
    "kraken ohlcvt": Case(
        "XBTUSD_60.csv",
        """\
1783123200,1.0,2.0,0.9,1.5,5.5,12
1783126800,1.0,2.0,0.9,1.5,5.5,12
1783130400,1.0,2.0,0.9,1.5,5.5,12
1783134000,1.0,2.0,0.9,1.5,5.5,12
""",
        4,
    ),
    "kibot 1min adj": Case(
        "AAPL.txt",
        """\
07/06/2026,09:30,1,2,1,1.5,5
07/06/2026,09:31,1,2,1,1.5,5
07/06/2026,09:32,1,2,1,1.5,5
""",
        3,
    ),
    "simfin": Case(
        "us-shareprices-daily.csv",
        """\
Ticker;SimFinId;Date;Open;High;Low;Close;Adj. Close;Volume;Dividend;Shares Outstanding
AAPL;111;2026-07-06;100.1;102.25;99.5;101;1;12345;;15
AAPL;111;2026-07-07;101;103;100.75;102.5;1;23456;;15
AAPL;111;2026-07-08;102.5;104.125;101;103.25;1;1234567;;15
""",
        THREE_DAYS,
    ),
    "eodhd": Case(
        "AAPL.US.csv",
        """\
Date,Open,High,Low,Close,Adjusted_close,Volume
2026-07-06,100.1,102.25,99.5,101,1,12345
2026-07-07,101,103,100.75,102.5,1,23456
2026-07-08,102.5,104.125,101,103.25,1,1234567
""",
        THREE_DAYS,
    ),
    "quandl wiki": Case(
        "AAPL.csv",
        """\
ticker,date,open,high,low,close,volume,ex-dividend,split_ratio,adj_open,adj_high,adj_low,adj_close,adj_volume
AAPL,2026-07-06,100.1,102.25,99.5,101,12345,0,1,1,1,1,1,1
AAPL,2026-07-07,101,103,100.75,102.5,23456,0,1,1,1,1,1,1
AAPL,2026-07-08,102.5,104.125,101,103.25,1234567,0,1,1,1,1,1,1
""",
        THREE_DAYS,
    ),
    "dates as the numbers of a spreadsheet": Case(
        "AAPL.csv",
        """\
Date,Open,High,Low,Close,Volume
46209,100.1,102.25,99.5,101,12345
46210,101,103,100.75,102.5,23456
46211,102.5,104.125,101,103.25,1234567
""",
        THREE_DAYS,
    ),
    "times as the numbers of a spreadsheet": Case(
        "AAPL.csv",
        """\
Date,Open,High,Low,Close,Volume
46209.39583333334,1,2,1,1.5,5
46209.399305555555,1,2,1,1.5,5
46209.40277777778,1,2,1,1.5,5
""",
        (
            "AAPL 07-06 09:30 5m 1 2 1 1.5 5",
            "AAPL 07-06 09:35 5m 1 2 1 1.5 5",
            "AAPL 07-06 09:40 5m 1 2 1 1.5 5",
        ),
    ),
    "a time of day without a date is no number of a date": Case(
        "AAPL.csv", "Time,Open,High,Low,Close\n40000,1,2,1,1.5\n40100,1,2,1,1.5\n", "column time holds '40000'"
    ),
    "whole prices beside thousands of shares": Case(
        "AAPL.csv",
        'Date,Open,High,Low,Close,Volume\n2026-07-06,100,102,99,101,"12,345"\n2026-07-07,101,103,100,102,"1,234"\n',
        ("AAPL 07-06 09:30 390m 100 102 99 101 12345", "AAPL 07-07 09:30 390m 101 103 100 102 1234"),
    ),
    "whole prices beside coins with a comma": Case(
        "BTC-USD.csv", 'Date,Open,High,Low,Close,Volume\n2026-07-06,100,102,99,101,"12,345"\n', "12345 or 12.345"
    ),
    "pandas, frames put together by symbol": Case(
        "prices.csv",
        """\
,Date,Open,High,Low,Close,Volume
AAPL,2026-07-06,100.1,102.25,99.5,101,12345
AAPL,2026-07-07,101,103,100.75,102.5,23456
MSFT,2026-07-06,100.1,102.25,99.5,101,12345
""",
        (*THREE_DAYS[:2], THREE_DAYS[0].replace("AAPL", "MSFT")),
    ),
    "pandas, an index of two without names": Case(
        "prices.csv",
        ",,Open,High,Low,Close\nBRK-B,2026-07-06,1,2,1,1.5\nBRK-B,2026-07-07,1,2,1,1.5\n",
        ("BRK.B 07-06 09:30 390m 1 2 1 1.5 0", "BRK.B 07-07 09:30 390m 1 2 1 1.5 0"),
    ),
    "pandas, to_json by column": Case(
        "AAPL.json",
        json.dumps(
            {
                name: {"1783296000000": value, "1783382400000": value}
                for name, value in (("Open", 1), ("High", 2), ("Low", 1), ("Close", 1.5))
            }
        ),
        ("AAPL 07-06 09:30 390m 1 2 1 1.5 0", "AAPL 07-07 09:30 390m 1 2 1 1.5 0"),
    ),
    "pandas, to_json with lists": Case(
        "AAPL.json",
        json.dumps(
            {
                "columns": ["Open", "High", "Low", "Close"],
                "index": ["2026-07-06", "2026-07-07"],
                "data": [[1, 2, 1, 1.5], [1, 2, 1, 1.5]],
            }
        ),
        ("AAPL 07-06 09:30 390m 1 2 1 1.5 0", "AAPL 07-07 09:30 390m 1 2 1 1.5 0"),
    ),
    "yfinance, with the rows below the first one taken out": Case(
        "AAPL.csv", "Price,Close,High,Low,Open,Volume\n2026-07-06,101,102.25,99.5,100.1,12345\n", THREE_DAYS[:1]
    ),
    "yahoo, copied with its explanations": Case(
        "AAPL.csv",
        "Date\tOpen\tHigh\tLow\tClose Close price adjusted for splits.\tAdj Close Adjusted close price adjusted for"
        ' splits and dividend and/or capital gain distributions.\tVolume\n"Jul 6, 2026"\t100.1\t102.25\t99.5\t101\t1\t'
        '"12,345"\n',
        THREE_DAYS[:1],
    ),
    "kraken, its answer": Case(
        "BTCUSD.json",
        json.dumps(
            {
                "error": [],
                "result": {
                    "XXBTZUSD": [
                        [1783296000, "100.1", "102.2", "99.5", "101.0", "100.7", "12.5", 9],
                        [1783296060, "100.1", "102.2", "99.5", "101.0", "0.0", "0.0", 0],
                    ],
                    "last": 1783296060,
                },
            }
        ),
        ("BTC-USD 07-05 20:00 1m 100.1 102.2 99.5 101.0 12.5", "BTC-USD 07-05 20:01 1m 100.1 102.2 99.5 101.0 0.0"),
    ),
    "yfinance, with names made flat": Case(
        "AAPL.csv",
        "Date,\"('Close', 'AAPL')\",\"('High', 'AAPL')\",\"('Low', 'AAPL')\",\"('Open', 'AAPL')\",\"('Volume', 'AAPL')\"\n"
        "2026-07-06,101,102.25,99.5,100.1,12345\n",
        THREE_DAYS[:1],
    ),
    "yfinance, with names put together, of two symbols": Case(
        "prices.csv",
        "Date,Adj Close_AAPL,Adj Close_BRK-B,Close_AAPL,Close_BRK-B,High_AAPL,High_BRK-B,Low_AAPL,Low_BRK-B,Open_AAPL,Open_BRK-B,"
        "Volume_AAPL,Volume_BRK-B\n2026-07-06,50,5,101,1.5,102.25,2,99.5,1,100.1,1,12345,5\n",
        (THREE_DAYS[0], "BRK.B 07-06 09:30 390m 1 2 1 1.5 5"),
    ),
    "quantmod": Case(
        "AAPL.csv",
        '"","AAPL.Open","AAPL.High","AAPL.Low","AAPL.Close","AAPL.Volume","AAPL.Adjusted"\n"2026-07-06",100.1,102.25,99.5,101,12345,50\n',
        THREE_DAYS[:1],
    ),
    "a file called after one of its two symbols": Case(
        "MSFT.csv",
        "Date,AAPL.Open,AAPL.High,AAPL.Low,AAPL.Close,MSFT.Open,MSFT.High,MSFT.Low,MSFT.Close\n2026-07-06,1,2,1,1.5,3,4,3,3.5\n",
        ("AAPL 07-06 09:30 390m 1 2 1 1.5 0", "MSFT 07-06 09:30 390m 3 4 3 3.5 0"),
    ),
    "bloomberg": Case(
        "AAPL.csv",
        "Date,PX_OPEN,PX_HIGH,PX_LOW,PX_LAST,PX_VOLUME\n2026-07-06,100.1,102.25,99.5,101,12345\n",
        THREE_DAYS[:1],
    ),
    "yfinance, with its index reset": Case(
        "AAPL.csv",
        "Price,Date,Close,High,Low,Open,Volume\nTicker,,AAPL,AAPL,AAPL,AAPL,AAPL\n0,2026-07-06,101,102.25,99.5,100.1,12345\n",
        THREE_DAYS[:1],
    ),
    "robinhood, whose time has a name of its own": Case(
        "x.csv",
        "begins_at,open_price,close_price,high_price,low_price,volume,session,interpolated,symbol\n"
        "2026-07-06T00:00:00Z,100.1,101,102.25,99.5,12345,reg,False,AAPL\n",
        THREE_DAYS[:1],
    ),
    "two columns of dates without a known name": Case(
        "AAPL.csv", "asof,settled,open,high,low,close\n2026-07-06,2026-07-07,1,2,1,1.5\n", "has no column Date"
    ),
    "futu, whose names of companies are no symbols": Case(
        "prices.csv",
        "code,name,time_key,open,close,high,low,volume\nUS.AAPL,Apple,2026-07-06 00:00:00,100.1,101,102.25,99.5,12345\n"
        "US.MSFT,Microsoft,2026-07-06 00:00:00,1,1.5,2,1,5\n",
        (THREE_DAYS[0], "MSFT 07-06 09:30 390m 1 2 1 1.5 5"),
    ),
    "iex, whose time of day stands under minute": Case(
        "AAPL.csv",
        "date,minute,label,high,low,open,close,volume\n2026-07-06,09:30,09:30 AM,2,1,1,1.5,5\n2026-07-06,09:31,09:31 AM,2,1,1,1.5,5\n",
        ("AAPL 07-06 09:30 1m 1 2 1 1.5 5", "AAPL 07-06 09:31 1m 1 2 1 1.5 5"),
    ),
    "a date with its day first beside a time of day": Case(
        "AAPL.csv",
        "Datum;Zeit;Eröffnung;Hoch;Tief;Schluss;Volumen\n13.07.2026;09:30;1,1;2,2;1,0;1,5;5\n13.07.2026;09:35;1,1;2,2;1,0;1,5;5\n",
        ("AAPL 07-13 09:30 5m 1.1 2.2 1.0 1.5 5", "AAPL 07-13 09:35 5m 1.1 2.2 1.0 1.5 5"),
    ),
    "a time of day before its date": Case(
        "AAPL.csv",
        "Time,Date,Open,High,Low,Close,Volume\n0930,2026-07-13,1,2,1,1.5,5\n0935,2026-07-13,1,2,1,1.5,5\n",
        ("AAPL 07-13 09:30 5m 1 2 1 1.5 5", "AAPL 07-13 09:35 5m 1 2 1 1.5 5"),
    ),
    "a column of hours": Case(
        "AAPL.csv",
        "Date,Hour,Open,High,Low,Close\n2026-07-13,10,1,2,1,1.5\n2026-07-13,11,1,2,1,1.5\n2026-07-13,12,1,2,1,1.5\n",
        (
            "AAPL 07-13 10:00 60m 1 2 1 1.5 0",
            "AAPL 07-13 11:00 60m 1 2 1 1.5 0",
            "AAPL 07-13 12:00 60m 1 2 1 1.5 0",
        ),
    ),
    "remarks above rows without names": Case(
        "AAPL.txt",
        "# adjusted\n# source: X\n07/06/2026,09:30,1,2,1,1.5,5\n07/06/2026,09:31,1,2,1,1.5,5\n",
        ("AAPL 07-06 09:30 1m 1 2 1 1.5 5", "AAPL 07-06 09:31 1m 1 2 1 1.5 5"),
    ),
    "several symbols under a name that is not known": Case(
        "ALL.csv",
        "permno,date,open,high,low,close\n"
        + "".join(
            f"{who},2026-07-{day:02},{price},9,1,5\n" for who, price in ((1001, 3), (1002, 4)) for day in (6, 7, 8)
        ),
        "lines 2 and 5 are both of 2026-07-06 with different prices, and so are 3 pairs of rows",
    ),
    "one day that was corrected": Case(
        "AAPL.csv",
        "Date,Open,High,Low,Close\n2026-07-06,1,2,1,1.4\n2026-07-06,1,2,1,1.5\n2026-07-07,1,2,1,1.5\n",
        ("AAPL 07-06 09:30 390m 1 2 1 1.5 0", "AAPL 07-07 09:30 390m 1 2 1 1.5 0"),
    ),
    "lean, daily prices of a stock": Case(
        "aapl.csv",
        "20260706 00:00,1001000,1022500,995000,1010000,12345\n20260707 00:00,1010000,1030000,1007500,1025000,23456\n",
        THREE_DAYS[:2],
    ),
    "as lean, daily prices in yen are no ten-thousandths": Case(
        "7203.T.csv",
        "20260706 00:00,25000,25100,24900,25050,12\n",
        ("7203@JPY 07-06 09:30 390m 25000 25100 24900 25050 12",),
    ),
    "lean, daily prices of a coin are no ten-thousandths": Case(
        "btcusd.csv", "20260706 00:00,6845,6900,6800,6850,12\n", ("BTC-USD 07-05 20:00 1440m 6845 6900 6800 6850 12",)
    ),
    "coinbase, low and high first": Case(
        "BTC-USD.json",
        "[[1783296060,100,105,101,104,5.5],[1783296000,100,105,101,104,5.5]]",
        ("BTC-USD 07-05 20:00 1m 101 105 100 104 5.5", "BTC-USD 07-05 20:01 1m 101 105 100 104 5.5"),
    ),
    "bitfinex, close second": Case(
        "BTC-USD.json",
        "[[1783296060000,101,104,105,100,5.5],[1783296000000,101,104,105,100,5.5]]",
        ("BTC-USD 07-05 20:00 1m 101 105 100 104 5.5", "BTC-USD 07-05 20:01 1m 101 105 100 104 5.5"),
    ),
    "pandas, to_json by index": Case(
        "AAPL.json", '{"1783296000000":{"Open":1,"High":2,"Low":1,"Close":1.5}}', ("AAPL 07-06 09:30 390m 1 2 1 1.5 0",)
    ),
    "pandas, to_json as a table with its schema": Case(
        "AAPL.json",
        '{"schema":{"fields":[{"name":"Date","type":"datetime"},{"name":"Open","type":"number"}],"pandas_version":"1.4.0"},'
        '"data":[{"Date":"2026-07-06T00:00:00.000","Open":1,"High":2,"Low":1,"Close":1.5}]}',
        ("AAPL 07-06 09:30 390m 1 2 1 1.5 0",),
    ),
    "nasdaq data link, a table": Case(
        "x.json",
        json.dumps(
            {
                "datatable": {
                    "data": [["AAPL", "2026-07-06", 1, 2, 1, 1.5]],
                    "columns": [
                        {"name": name, "type": "x"} for name in ("ticker", "date", "open", "high", "low", "close")
                    ],
                },
                "meta": {"next_cursor_id": None},
            }
        ),
        ("AAPL 07-06 09:30 390m 1 2 1 1.5 0",),
    ),
    "oanda, whose prices stand one level below": Case(
        "EURUSD.json",
        '{"instrument":"EUR_USD","granularity":"H1","candles":[{"complete":true,"volume":5,'
        '"time":"2026-07-06T00:00:00.000000000Z","mid":{"o":"1.1","h":"1.2","l":"1.0","c":"1.15"}},{"complete":true,"volume":6,'
        '"time":"2026-07-06T01:00:00.000000000Z","mid":{"o":"1.1","h":"1.2","l":"1.0","c":"1.15"}}]}',
        ("EUR.USD 07-05 20:00 60m 1.1 1.2 1.0 1.15 5", "EUR.USD 07-05 21:00 60m 1.1 1.2 1.0 1.15 6"),
    ),
    "ninjatrader, called after its last prices": Case(
        "AAPL.Last.txt", "20260706;100.1;102.25;99.5;101;12345\n20260707;101;103;100.75;102.5;23456\n", THREE_DAYS[:2]
    ),
    "wsj": Case(
        "AAPL.csv",
        """\
Date, Open, High, Low, Close, Volume
07/14/26, 102.5, 104.125, 101, 103.25, 1234567
07/13/26, 101, 103, 100.75, 102.5, 23456
""",
        2,
    ),
    "fidelity hist footer": Case(
        "AAPL.csv",
        """\
Date,Open,High,Low,Close,Volume
2026-07-06,100.1,102.25,99.5,101,12345
2026-07-07,101,103,100.75,102.5,23456
2026-07-08,102.5,104.125,101,103.25,1234567

The data is provided for information only.
Source: somewhere, as of today
""",
        THREE_DAYS,
    ),
    "date utc z column": Case(
        "AAPL.csv",
        """\
Date (UTC),Open,High,Low,Close,Volume
2026-07-06 13:30,1,2,1,1.5,5
2026-07-06 13:35,1,2,1,1.5,5
2026-07-06 13:40,1,2,1,1.5,5
""",
        (
            "AAPL 07-06 09:30 5m 1 2 1 1.5 5",
            "AAPL 07-06 09:35 5m 1 2 1 1.5 5",
            "AAPL 07-06 09:40 5m 1 2 1 1.5 5",
        ),
    ),
    "gmt time dukascopy": Case(
        "EURUSD_Candlestick_1_Hour_BID_01.07.2026-04.07.2026.csv",
        """\
Gmt time,Open,High,Low,Close,Volume
06.07.2026 00:00:00.000,1.1,1.2,1.0,1.15,5
06.07.2026 01:00:00.000,1.1,1.2,1.0,1.15,5
06.07.2026 02:00:00.000,1.1,1.2,1.0,1.15,5
""",
        3,
    ),
}


def bars_of(source: CsvBars) -> tuple[str, ...]:
    """Return symbol, begin in New York, minutes, prices and volume of each bar."""
    return tuple(
        f"{symbol} {bar.start.astimezone(NEW_YORK):%m-%d %H:%M} {(bar.end - bar.start).total_seconds() / 60:.0f}m "
        f"{bar.open} {bar.high} {bar.low} {bar.close} {bar.volume}"
        for symbol in source.symbols()
        for bar in source.bars(symbol)
    )


@pytest.mark.parametrize("name", CASES)
def test_a_file_is_read_as_by_hand(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    path = tmp_path / case.name
    path.write_bytes(case.text if isinstance(case.text, bytes) else case.text.encode())
    if isinstance(case.right, str):
        with pytest.raises(InputError, match=case.right):
            bars_of(CsvBars(tmp_path))
        return
    found = bars_of(CsvBars(tmp_path))
    assert (len(found) if isinstance(case.right, int) else found) == case.right


def sessions(begin_hour: int, begin_minute: int, days: int = 3, count: int = 78) -> str:
    """Return five-minute bars of whole sessions that begin at one wall time."""
    minutes = [begin_hour * 60 + begin_minute + 5 * number for number in range(count)]
    rows = (
        f"2026-07-{day:02} {at // 60:02}:{at % 60:02}:00,10,11,9,10,5\n" for day in range(6, 6 + days) for at in minutes
    )
    return "Date,Open,High,Low,Close,Volume\n" + "".join(rows)


@pytest.mark.parametrize(("hour", "minute", "end"), [(8, 30, "15:00"), (13, 30, "20:00"), (16, 30, "23:00")])
def test_a_session_of_another_zone_is_not_taken_for_new_yorks(tmp_path: Path, hour: int, minute: int, end: str) -> None:
    (tmp_path / "AAPL.csv").write_text(sessions(hour, minute))
    with pytest.raises(InputError, match=f"run from {hour:02}:{minute} to {end}") as caught:
        CsvBars(tmp_path).bars("AAPL")
    assert "prices.zone" in caught.value.hint


@pytest.mark.parametrize("count", [192, 90, 42])
def test_other_hours_than_a_session_prove_no_zone(tmp_path: Path, count: int) -> None:
    (tmp_path / "AAPL.csv").write_text(sessions(4, 0, count=count))
    assert len(CsvBars(tmp_path).bars("AAPL")) == 3 * count


def test_a_large_file_of_another_zone_is_refused_like_a_small_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "AAPL.csv").write_text(sessions(8, 30, days=20) + "\n" * 10)
    with pytest.raises(InputError, match="run from 08:30 to 15:00") as small:
        CsvBars(tmp_path).bars("AAPL")
    monkeypatch.setattr(csv_bars, "LEAST_BYTES", 1)
    with pytest.raises(InputError, match="run from 08:30 to 15:00") as large:
        CsvBars(tmp_path).bars("AAPL")
    assert (large.value.code, large.value.hint) == (small.value.code, small.value.hint)


def packed(**files: str) -> bytes:
    """Return a zip archive."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(f"{name}.csv", text)
    return target.getvalue()


def klines(first: int, count: int) -> str:
    begin = 1783123200000
    return "".join(
        f"{begin + 60_000 * at},1.0,2.0,0.9,1.5,5.5,{begin + 60_000 * at + 59_999},1,2,3,4,0\n"
        for at in range(first, first + count)
    )


def test_archives_of_one_file_are_read_and_others_are_named(tmp_path: Path) -> None:
    (tmp_path / "BTCUSDT-1m-2026-07.zip").write_bytes(packed(a=klines(0, 4)))
    (tmp_path / "BTCUSDT-1m-2026-08.zip").write_bytes(packed(a=klines(4, 3)))
    (tmp_path / "AAPL.csv.zip").write_bytes(packed(a="Date,Open,High,Low,Close\n2026-07-06,1,2,1,1.5\n"))
    (tmp_path / "two.zip").write_bytes(packed(a="1", b="2"))
    (tmp_path / "MSFT.xls").write_bytes(b"\xd0\xcf\x11\xe0")
    source = CsvBars(tmp_path)
    assert [(symbol, len(source.bars(symbol))) for symbol in source.symbols()] == [("AAPL", 1), ("BTC-USDT", 7)]
    assert [text.partition(" is not used")[0] for text in source.unmatched()] == ["MSFT.xls", "two.zip"]


def test_an_archive_that_becomes_far_too_large_is_refused() -> None:
    with pytest.raises(InputError, match="becomes far too large"):
        read_prices(packed(a="1,2\n" * 5_000_000), "a.zip")


@pytest.mark.parametrize("day", ["2026-07-06 00:00:00", "2026-07-06T00:00:00", "7/6/2026 12:00:00 AM", "2026-07-06"])
def test_a_date_with_a_midnight_beside_a_time_of_day_is_a_date(tmp_path: Path, day: str) -> None:
    rows = "".join(f"{day},09:{minute}:00,1,2,1,1.5,5\n" for minute in (30, 35, 40))
    (tmp_path / "AAPL.csv").write_text(f"Date,Time,Open,High,Low,Close,Volume\n{rows}")
    assert [bar[:19] for bar in bars_of(CsvBars(tmp_path))] == [f"AAPL 07-06 09:{minute} 5m" for minute in (30, 35, 40)]


@pytest.mark.parametrize(
    ("stamp", "first", "right"),
    [
        ("%Y-%m-%d 20:00:00", 6, 6),  # a close in UTC, without its zone
        ("%Y-%m-%dT21:00:00+00:00", 6, 6),  # the same in summer, an hour late
        ("%Y-%m-%d 18:00:00-04:00", 5, 6),  # the evening before, from Sunday on
        ("%Y-%m-%dT22:00:00Z", 5, 6),
    ],
)
def test_daily_stamps_of_the_evening_are_ends_or_begins_as_the_weekdays_show(
    tmp_path: Path, stamp: str, first: int, right: int
) -> None:
    rows = (f"{date(2026, 7, first + day):{stamp}},1,2,1,1.5,5" for day in range(5))
    (tmp_path / "AAPL.csv").write_text("Date,Open,High,Low,Close,Volume\n" + "\n".join(rows) + "\n")
    days = [bar.start.astimezone(NEW_YORK).day for bar in CsvBars(tmp_path).bars("AAPL")]
    assert days == [right + day for day in range(5)]
