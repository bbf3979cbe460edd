"""Alerts and tables of signals as people really have them: the signal that is meant, or why there is none."""

# ruff: noqa: E501 - rows stand as they are sent

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import PurePath
from typing import Any, NamedTuple

import pytest

from apex_cli.core.adapters.files.signals.signal_reader import FORMATS, read_signals

NOW = datetime(2026, 3, 2, 20, tzinfo=UTC)


class Case(NamedTuple):
    """A file, and what is right."""

    content: Any
    right: tuple[str, ...] | str
    """Security, type, entry, stop and targets of each signal; what the refusal of the only row says."""

    name: str = "in.json"


def calls(expiries: list[str], right: list[str] | str) -> Case:
    """Return rows that buy a call of each expiry, as a list of JSON, and the days that are meant or what the refusal says."""
    terms = {"symbol": "SPY", "strike": 600, "right": "C", "side": "buy", "price": 2, "sl": 1}
    rows = [{**terms, "expiry": expiry} for expiry in expiries]
    return Case(rows, right if isinstance(right, str) else tuple(f"SPY@options {day} C600 BUY 2 1 " for day in right))


CASES = {
    "tv text placeholders left": Case(
        {"ticker": "{{ticker}}", "action": "{{strategy.order.action}}", "price": "{{close}}", "sl": "1"}, "symbol"
    ),
    "tv plain text": Case("BUY MSFT @ 26.50 SL 25.85 TP 28.75", "", "in.txt"),
    "tv exchange prefix dotted": Case(
        {"ticker": "NYSE:BRK.B", "action": "buy", "price": 26.5, "sl": 25.85, "tp": 28.75},
        ("BRK.B BUY 26.5 25.85 28.75",),
    ),
    "tv crypto": Case(
        {"ticker": "BINANCE:BTCUSDT", "action": "buy", "price": 60000, "sl": 59000},
        ("BTC-USDT@crypto BUY 60000 59000 ",),
    ),
    "tv crypto perp": Case(
        {"ticker": "BYBIT:BTCUSDT.P", "action": "buy", "price": 60000, "sl": 59000}, "perpetual contract"
    ),
    "tv futures": Case({"ticker": "CME_MINI:ES1!", "action": "buy", "price": 5000, "sl": 4990}, ""),
    "tv forex": Case(
        {"ticker": "FX:EURUSD", "action": "sell", "price": "1.10", "sl": "1.11", "tp": "1.08"},
        ("EUR.USD@forex SELL 1.10 1.11 1.08",),
    ),
    "tv numbers as strings with comma": Case(
        {"ticker": "MSFT", "action": "buy", "price": "26,50", "sl": "25,85", "tp": "28,75"},
        ("MSFT BUY 26.50 25.85 28.75",),
    ),
    "tv order_comment exit": Case(
        {"ticker": "MSFT", "action": "sell", "price": 26.5, "sl": 27, "market_position": "flat"}, "opens a position"
    ),
    "tv prev position reverse": Case(
        {
            "ticker": "MSFT",
            "action": "buy",
            "price": 26.5,
            "sl": 25.85,
            "tp": 28.75,
            "market_position": "long",
            "prev_market_position": "short",
        },
        ("MSFT BUY 26.5 25.85 28.75",),
    ),
    "traderspost trailing": Case(
        {"ticker": "MSFT", "action": "buy", "price": 26.5, "stopLoss": {"type": "trailing_stop", "trailPercent": 2}},
        "stop_loss: found",
    ),
    "traderspost stop limit": Case(
        {
            "ticker": "MSFT",
            "action": "buy",
            "signalPrice": 26.5,
            "stopLoss": {"type": "stop_limit", "stopPrice": 25.85, "limitPrice": 25.8},
            "takeProfit": {"limitPrice": 28.75},
        },
        ("MSFT BUY 26.5 25.85 28.75",),
    ),
    "traderspost limitPrice first": Case(
        {
            "ticker": "MSFT",
            "action": "buy",
            "signalPrice": 26.5,
            "stopLoss": {"limitPrice": 25.8, "stopPrice": 25.85},
            "takeProfit": {"limitPrice": 28.75},
        },
        ("MSFT BUY 26.5 25.85 28.75",),
    ),
    "traderspost percent strings": Case(
        {
            "ticker": "MSFT",
            "action": "buy",
            "price": 100,
            "takeProfit": {"percent": "10%"},
            "stopLoss": {"percent": "5%"},
        },
        ("MSFT BUY 100 95 110",),
    ),
    "traderspost cancel": Case({"ticker": "MSFT", "action": "cancel"}, "opens a position"),
    "traderspost exit": Case({"ticker": "MSFT", "action": "exit", "price": 26}, "opens a position"),
    "traderspost bearish buy? sentiment": Case(
        {"ticker": "MSFT", "action": "buy", "price": 26.5, "sentiment": "bearish", "stopLoss": {"stopPrice": 25.85}},
        "sentiment: found 'bearish' beside 'buy'",
    ),
    "traderspost sell bullish": Case(
        {"ticker": "MSFT", "action": "sell", "price": 26.5, "sentiment": "bullish", "stopLoss": {"stopPrice": 27}},
        "sentiment: found 'bullish' beside 'sell'",
    ),
    "traderspost option": Case(
        {
            "ticker": "MSFT",
            "action": "buy",
            "price": 2.5,
            "optionType": "call",
            "strikePrice": 30,
            "expiration": "2026-04-17",
            "stopLoss": {"stopPrice": 1.5},
        },
        ("MSFT@options 2026-04-17 C30 BUY 2.5 1.5 ",),
    ),
    "traderspost expiration text": Case(
        {
            "ticker": "MSFT",
            "action": "buy",
            "price": 2.5,
            "optionType": "call",
            "intrinsicValue": "itm",
            "expiration": "+7 days",
            "strikesAway": 2,
            "stopLoss": {"stopPrice": 1.5},
        },
        "expiry",
    ),
    "traderspost nested extras": Case(
        {
            "ticker": "MSFT",
            "action": "buy",
            "price": 26.5,
            "takeProfit": {"limitPrice": 28.75},
            "stopLoss": {"stopPrice": 25.85},
            "extras": {"a": 1},
            "time": "2026-03-02T19:30:00Z",
            "interval": "5",
        },
        ("MSFT BUY 26.5 25.85 28.75",),
    ),
    "zero stop": Case({"ticker": "MSFT", "action": "buy", "price": 26.5, "sl": 0}, "stop_loss"),
    "stop in percent text": Case(
        {"ticker": "MSFT", "action": "buy", "price": 100, "sl": "5%", "tp": "10%"}, ("MSFT BUY 100 95 110",)
    ),
    "negative stop distance": Case({"ticker": "MSFT", "action": "buy", "price": 100, "sl": -5}, "stop_loss"),
    "camel long entry": Case(
        {"symbol": "MSFT", "signalType": "LONG", "entryPrice": 26.5, "stopLoss": 25.85, "targetPrices": [28.75, 30]},
        ("MSFT LONG 26.5 25.85 28.75,30",),
    ),
    "side words": Case(
        [
            {"symbol": "MSFT", "side": "BTO", "entry": 26.5, "stop": 25.85, "target": 28.75},
            {"symbol": "MSFT", "side": "Buy to Open", "entry": 26.5, "stop": 25.85, "target": 28.75},
            {"symbol": "MSFT", "side": "Long", "entry": 26.5, "stop": 25.85, "target": 28.75},
            {"symbol": "MSFT", "side": "L", "entry": 26.5, "stop": 25.85, "target": 28.75},
            {"symbol": "MSFT", "side": "B", "entry": 26.5, "stop": 25.85, "target": 28.75},
            {"symbol": "MSFT", "side": "bullish", "entry": 26.5, "stop": 25.85, "target": 28.75},
            {"symbol": "MSFT", "side": "enter_long", "entry": 26.5, "stop": 25.85, "target": 28.75},
            {"symbol": "MSFT", "side": "entry long", "entry": 26.5, "stop": 25.85, "target": 28.75},
            {"symbol": "MSFT", "side": "Long Entry", "entry": 26.5, "stop": 25.85, "target": 28.75},
            {"symbol": "MSFT", "side": "buy_long", "entry": 26.5, "stop": 25.85, "target": 28.75},
            {"symbol": "MSFT", "side": "go long", "entry": 26.5, "stop": 25.85, "target": 28.75},
        ],
        (
            *("MSFT BUY 26.5 25.85 28.75",) * 2,
            "MSFT LONG 26.5 25.85 28.75",
            *("MSFT BUY 26.5 25.85 28.75",) * 8,
        ),
    ),
    "csv semicolon comma": Case(
        "Symbol;Side;Entry;Stop;Target;Qty\r\nMSFT;Buy;26,50;25,85;28,75;100\r\n",
        ("MSFT BUY 26.50 25.85 28.75",),
        "s.csv",
    ),
    "csv tab": Case(
        "Symbol\tSide\tEntry\tStop\tTarget\nMSFT\tBuy\t26.50\t25.85\t28.75\n", ("MSFT BUY 26.50 25.85 28.75",), "s.csv"
    ),
    "csv bom title": Case(
        '\ufeffWatchlist March\n\nTicker,Action,Entry Price,Stop Loss,Take Profit\nMSFT,BUY,"$26.50","$25.85","$28.75"\n,,,,\nNotes: be careful\n',
        ("MSFT BUY 26.50 25.85 28.75",),
        "s.csv",
    ),
    "csv utf16": Case(
        "Symbol\tSide\tEntry\tStop\tTarget\r\nMSFT\tBuy\t26.50\t25.85\t28.75\r\n".encode("utf-16"),
        ("MSFT BUY 26.50 25.85 28.75",),
        "s.csv",
    ),
    "csv targets in one cell": Case(
        'Symbol,Side,Entry,Stop,Targets\nMSFT,Buy,26.5,25.85,"28.75, 30"\n', ("MSFT BUY 26.5 25.85 28.75,30",), "s.csv"
    ),
    "csv slash targets": Case(
        "Symbol,Side,Entry,Stop,Targets\nMSFT,Buy,26.5,25.85,28.75/30\n", ("MSFT BUY 26.5 25.85 28.75,30",), "s.csv"
    ),
    "csv entry range": Case("Symbol,Side,Entry,Stop,Target\nMSFT,Buy,26.4-26.6,25.85,28.75\n", "entry_price", "s.csv"),
    "csv date us": Case(
        "Date,Symbol,Side,Entry,Stop\n03/02/2026 14:30,MSFT,Buy,26.5,25.85\n", "with the day first", "s.csv"
    ),
    "csv date am pm et": Case(
        "Time,Symbol,Side,Entry,Stop\n3/13/2026 2:30 PM ET,MSFT,Buy,26.5,25.85\n", ("MSFT BUY 26.5 25.85 ",), "s.csv"
    ),
    "csv date only": Case("Date,Symbol,Side,Entry,Stop\n2026-03-02,MSFT,Buy,26.5,25.85\n", "bare date", "s.csv"),
    "csv thousand ambiguous": Case(
        'Symbol,Side,Entry,Stop\nBRK.A,Buy,"600,000","590,000"\n', "600000 or 600.000", "s.csv"
    ),
    "csv thousand clear": Case(
        'Symbol,Side,Entry,Stop\nBRK.A,Buy,"600,000.50","590,000.00"\n', ("BRK.A BUY 600000.50 590000.00 ",), "s.csv"
    ),
    "csv dup header": Case(
        "Symbol,Side,Entry,Stop\nMSFT,Buy,26.5,25.85\nSymbol,Side,Entry,Stop\nAAPL,Buy,26.5,25.85\n",
        (
            "MSFT BUY 26.5 25.85 ",
            "AAPL BUY 26.5 25.85 ",
        ),
        "s.csv",
    ),
    "csv of pandas, with its row numbers": Case(
        ",symbol,signal_type,entry_price,stop_loss,target_price\n0,MSFT,BUY,26.5,25.85,28.75\n",
        ("MSFT BUY 26.5 25.85 28.75",),
        "s.csv",
    ),
    "csv of pandas, with times as its index": Case(
        ",symbol,signal_type,entry_price,stop_loss\n2026-03-02 14:30:00-05:00,MSFT,BUY,26.5,25.85\n",
        ("MSFT BUY 26.5 25.85 ",),
        "s.csv",
    ),
    "csv of pandas, with times without a zone as its index": Case(
        ",symbol,signal_type,entry_price,stop_loss\n2026-03-02 14:30:00,MSFT,BUY,26.5,25.85\n", "timestamp", "s.csv"
    ),
    "csv with lines as old Macs end them": Case(
        "Symbol,Side,Entry,Stop\rMSFT,Buy,26.5,25.85\rIBM,Buy,26.5,25.85\r",
        ("MSFT BUY 26.5 25.85 ", "IBM BUY 26.5 25.85 "),
        "s.csv",
    ),
    "csv with texts that a spreadsheet must not change": Case(
        'Symbol,Side,Entry,Stop\n="MSFT",Buy,26.5,25.85\n', ("MSFT BUY 26.5 25.85 ",), "s.csv"
    ),
    "csv with two kinds of decimals, each row clear by itself": Case(
        "Symbol;Side;Entry;Stop\nMSFT;Buy;26,50;25,85\nIBM;Buy;26.50;25.85\nF;Buy;1.234;1.2\n",
        ("MSFT BUY 26.50 25.85 ", "IBM BUY 26.50 25.85 ", "F BUY 1.234 1.2 "),
        "s.csv",
    ),
    "csv with two orders of dates decides none that is unclear": Case(
        "Time,Symbol,Side,Entry,Stop\n3/4/2026 2:30 PM ET,F,Buy,26.5,25.85\n3/13/2026 2:30 PM ET,F,Buy,26.5,x\n"
        "13/3/2026 2:30 PM ET,F,Buy,26.5,x\n",
        "04 March 2026 with the month first",
        "s.csv",
    ),
    "an expiry of two readings, none on a Friday alone": Case(
        {"symbol": "SPY", "expiry": "10/12/2026", "strike": 600, "right": "call", "side": "buy", "price": 2, "sl": 1},
        "12 October 2026 with the month first, 10 December 2026 with the day first",
    ),
    "an expiry with the day first, on a Friday": calls(["07/08/2026"], ["2026-08-07"]),
    "an expiry with the month first, on a Friday": calls(["08/07/2026"], ["2026-08-07"]),
    "an expiry of two readings, one at a weekend": calls(["12/9/2026"], ["2026-12-09"]),
    "an expiry of two readings, one in the past": calls(["1/4/2026"], ["2026-04-01"]),
    "an expiry of two readings, both weekdays, one of them past": calls(["01/06/2026"], ["2026-06-01"]),
    "an expiry of two readings, beside one with the month first": calls(
        ["10/12/2026", "12/18/2026", "9/11/2026"], ["2026-10-12", "2026-12-18", "2026-09-11"]
    ),
    "an expiry of two readings, beside one with the day first": calls(
        ["10/12/2026", "18/12/2026", "07/08/2026"], ["2026-12-10", "2026-12-18", "2026-08-07"]
    ),
    "an expiry of two readings, beside one that a weekend decides": calls(
        ["10/12/2026", "12/9/2026"], ["2026-10-12", "2026-12-09"]
    ),
    "an expiry with dots has its day first": calls(["10.12.2026"], ["2026-12-10"]),
    "expiries in two orders decide nothing for the others": calls(
        ["12/18/2026", "17/04/2026", "10/12/2026"], ["2026-12-18", "2026-04-17"]
    ),
    "expiries of two readings, each a Friday in another order": calls(["10/7/2026", "7/10/2026"], "10 July 2026"),
    "an expiry beside a time of its own order": Case(
        "Time,Symbol,Side,Entry,Stop,Expiry,Strike,Right\n2/28/2026 2:30 PM ET,SPY,Buy,2,1,10/12/2026,600,C\n",
        ("SPY@options 2026-10-12 C600 BUY 2 1 ",),
        "s.csv",
    ),
    "csv with an expiry of two readings beside one of one": Case(
        "Symbol,Side,Entry,Stop,Expiry,Strike,Right\nSPY,Buy,2,1,10/12/2026,600,C\nSPY,Buy,2,1,12/18/2026,600,C\n",
        ("SPY@options 2026-10-12 C600 BUY 2 1 ", "SPY@options 2026-12-18 C600 BUY 2 1 "),
        "s.csv",
    ),
    "csv with an expiry of two readings": Case(
        "Symbol,Side,Entry,Stop,Expiry,Strike,Right\nSPY,Buy,2,1,10/12/2026,600,C\n", "12 October 2026", "s.csv"
    ),
    "pence, which a small letter tells from pounds": Case(
        {"symbol": "VOD", "currency": "GBp", "side": "buy", "price": 75, "sl": 70}, ("VOD@GBX BUY 75 70 ",)
    ),
    "csv with columns that say which security is meant": Case(
        "Symbol,Currency,Con ID,Primary Exchange,Side,Entry,Stop\nVOD.L,GBp,,,Buy,75,70\nSAP,EUR,7,IBIS,Buy,100,95\n",
        ("VOD@GBX BUY 75 70 ", "SAP@EUR BUY 100 95 "),
        "s.csv",
    ),
    "csv with a remark of several lines": Case(
        'Symbol,Side,Entry,Stop,Note\r\nMSFT,Buy,26.5,25.85,"one\r\n\r\n""two"", three"\r\nIBM,Buy,26.5,25.85,x\r\n',
        ("MSFT BUY 26.5 25.85 ", "IBM BUY 26.5 25.85 "),
        "s.csv",
    ),
    "csv with a quote that never ends": Case(
        'Symbol,Side,Entry,Stop,Note\nMSFT,Buy,26.5,25.85,"one\nIBM,Buy,26.5,25.85,x\nF,Buy,26.5,25.85,x\n',
        ("IBM BUY 26.5 25.85 ", "F BUY 26.5 25.85 "),
        "s.csv",
    ),
    "csv percent in the names": Case(
        "Symbol,Side,Entry,Stop Loss (%),Target %\nMSFT,Sell,100,5,10%\n", ("MSFT SELL 100 105 90",), "s.csv"
    ),
    "csv percent in the names of several targets": Case(
        "Symbol,Side,Entry,Stop,TP1 (%),TP2 (%)\nMSFT,Buy,100,97,5,10%\n", ("MSFT BUY 100 97 105,110",), "s.csv"
    ),
    "targets in percent": Case(
        {"symbol": "MSFT", "side": "buy", "price": 100, "sl": 97, "targets": ["5%", {"percent": 10}]},
        ("MSFT BUY 100 97 105,110",),
    ),
    "an entry in percent is none": Case(
        "Symbol,Side,Entry (%),Stop\nMSFT,Buy,1,97\n", "missing column entry_price", "s.csv"
    ),
    "csv percent beside a price": Case(
        "Symbol,Side,Entry,Stop %,Stop,Target\nMSFT,Buy,100,5,97,110\n", ("MSFT BUY 100 97 110",), "s.csv"
    ),
    "percent with a comma": Case(
        {"symbol": "MSFT", "side": "buy", "price": 100, "sl": "2,5 %", "tp": "10 %"}, ("MSFT BUY 100 97.5 110",)
    ),
    "percent with two readings": Case({"symbol": "MSFT", "side": "buy", "price": 100, "sl": "2.5,5%"}, "stop_loss"),
    "tv underscore in the prefix": Case(
        {"ticker": "FX_IDC:USDJPY", "action": "buy", "price": 150, "sl": 149}, ("USD.JPY@forex BUY 150 149 ",)
    ),
    "oanda pair and a cashtag": Case(
        [
            {"ticker": "EUR_USD", "action": "buy", "price": 1.1, "sl": 1.09},
            {"ticker": "$MSFT", "action": "buy", "price": 26.5, "sl": 25.85},
        ],
        ("EUR.USD@forex BUY 1.1 1.09 ", "MSFT BUY 26.5 25.85 "),
    ),
    "an option without its year is no share": Case(
        {"symbol": "AAPL 200C 12/18", "side": "buy", "price": 5, "sl": 4}, "200C1218 is no share class"
    ),
    "csv no stop": Case("Symbol,Side,Entry\nMSFT,Buy,26.5\n", "missing column stop_loss", "s.csv"),
    "csv market_type": Case(
        "Symbol,Side,Entry,Stop,Asset Class\nMSFT,Buy,26.5,25.85,Stock\n", ("MSFT BUY 26.5 25.85 ",), "s.csv"
    ),
    "csv confidence": Case("Symbol,Side,Entry,Stop,Confidence\nMSFT,Buy,26.5,25.85,85\n", "confidence", "s.csv"),
    "json in data": Case(
        {"data": [{"symbol": "MSFT", "side": "buy", "entry": 26.5, "stop": 25.85, "target": 28.75}]},
        ("MSFT BUY 26.5 25.85 28.75",),
    ),
    "json in data object": Case(
        {"data": {"symbol": "MSFT", "side": "buy", "entry": 26.5, "stop": 25.85, "target": 28.75}},
        ("MSFT BUY 26.5 25.85 28.75",),
    ),
    "json orders": Case(
        {"orders": [{"symbol": "MSFT", "side": "buy", "entry": 26.5, "stop": 25.85, "target": 28.75}]},
        ("MSFT BUY 26.5 25.85 28.75",),
    ),
    "json message string": Case(
        {"message": '{"symbol":"MSFT","side":"buy","entry":26.5,"stop":25.85,"target":28.75}'},
        ("MSFT BUY 26.5 25.85 28.75",),
    ),
    "json lines crlf": Case(
        '{"symbol":"MSFT","side":"buy","entry":26.5,"stop":25.85,"target":28.75}\r\n{"symbol":"AAPL","side":"sell","entry":26.5,"stop":27,"target":24}\r\n',
        (
            "MSFT BUY 26.5 25.85 28.75",
            "AAPL SELL 26.5 27 24",
        ),
        "s.jsonl",
    ),
    "json typo": Case({"symbol": "MSFT", "side": "buy", "entry": 26.5, "stop_los": 25.85}, "did you mean stop_loss"),
    "json null target": Case(
        {"symbol": "MSFT", "side": "buy", "entry": 26.5, "stop": 25.85, "target": None}, ("MSFT BUY 26.5 25.85 ",)
    ),
    "json NaN target": Case(
        {"symbol": "MSFT", "side": "buy", "entry": 26.5, "stop": 25.85, "target": float("nan")},
        ("MSFT BUY 26.5 25.85 ",),
    ),
    "json string NaN tp": Case(
        {"ticker": "MSFT", "action": "buy", "price": "26.5", "sl": "25.85", "tp": "NaN"}, ("MSFT BUY 26.5 25.85 ",)
    ),
    "empty tp": Case(
        {"ticker": "MSFT", "action": "buy", "price": "26.5", "sl": "25.85", "tp": ""}, ("MSFT BUY 26.5 25.85 ",)
    ),
    "epoch s ms": Case(
        [
            {"symbol": "MSFT", "side": "buy", "entry": 26.5, "stop": 25.85, "time": 1772479800},
            {"symbol": "MSFT", "side": "buy", "entry": 26.5, "stop": 25.85, "time": "1772479800000"},
        ],
        (
            "MSFT BUY 26.5 25.85 ",
            "MSFT BUY 26.5 25.85 ",
        ),
    ),
    "yaml nested": Case(
        "signals:\n  - ticker: MSFT\n    action: buy\n    price: 26.5\n    stopLoss: {stopPrice: 25.85}\n    takeProfit: {limitPrice: 28.75}\n",
        ("MSFT BUY 26.5 25.85 28.75",),
        "s.yaml",
    ),
    "both entry and limit": Case(
        {"symbol": "MSFT", "side": "buy", "price": 26.6, "limitPrice": 26.5, "stop": 25.85, "target": 28.75},
        ("MSFT BUY 26.6 25.85 28.75",),
    ),
    "stop above for buy": Case({"symbol": "MSFT", "side": "buy", "entry": 26.5, "stop": 27}, ("MSFT BUY 26.5 27 ",)),
    "capital.com epic": Case(
        {"epic": "MSFT", "direction": "BUY", "level": 26.5, "stopLevel": 25.85, "profitLevel": 28.75},
        "symbol: it is missing",
    ),
    "3commas": Case(
        {"message_type": "bot", "bot_id": 1, "email_token": "x", "delay_seconds": 0, "pair": "USDT_BTC"}, "is missing"
    ),
    "alertatron": Case(
        {"symbol": "MSFT", "side": "buy", "qty": "1%", "price": 26.5, "stop": 25.85, "target": 28.75},
        ("MSFT BUY 26.5 25.85 28.75",),
    ),
    "pineconnector": Case("123,buy,EURUSD,sl=1.05,tp=1.2", "", "s.txt"),
    "tv strategy full": Case(
        {
            "strategy": {"name": "x", "settings": {"a": 1}},
            "position": {"qty": 1},
            "order": {"action": "buy", "contracts": 1, "price": 26.5, "id": "L", "comment": "c"},
            "market": {"position": "long"},
            "ticker": "MSFT",
            "exchange": "NASDAQ",
            "stop_loss": 25.85,
            "take_profit": 28.75,
        },
        ("MSFT BUY 26.5 25.85 28.75",),
    ),
}


PERCENT_NAMES = (
    "Confidence (%)",
    "Confidence %",
    "Probability (%)",
    "Conf_pct",
    "confidence_percent",
    "Conviction [%]",
)


@pytest.mark.parametrize("name", PERCENT_NAMES)
@pytest.mark.parametrize(
    ("cells", "right"),
    [
        (["80%"], ["0.8"]),
        (["80"], ["0.8"]),
        (["0.8"], ["0.8"]),
        (["62.5", "0.5%", "5"], ["0.625", "0.005", "0.05"]),
        (["0.8", "0", "0.05"], ["0.8", "0", "0.05"]),
        (["80", "1", "0.8"], ["0.8", "0.01", "0.008"]),
        (["1"], "1 % or 100 %"),
        (["0.8", "1"], "1 % or 100 %"),
        (["180"], "0 to 1"),
        (["high"], "0 to 1"),
    ],
)
def test_a_confidence_below_a_name_of_percentages_is_a_part_of_one(
    name: str, cells: list[str], right: list[str] | str
) -> None:
    plain = [{"symbol": "MSFT", "side": "buy", "entry": 26.5, "stop": 25.85, name: cell} for cell in cells]
    numbers = [{**row, name: float(row[name])} if row[name] not in {"high", "80%", "0.5%"} else row for row in plain]
    table = f"Symbol,Side,Entry,Stop,{name}\n" + "".join(f"MSFT,Buy,26.5,25.85,{cell}\n" for cell in cells)
    for content, file in ((table, "s.csv"), (json.dumps(plain), "in.json"), (json.dumps(numbers), "in.json")):
        stream = io.BytesIO(content.encode())
        batch = read_signals(stream, file, now=NOW, max_age=timedelta(days=1), kind=FORMATS.get(PurePath(file).suffix))
        if isinstance(right, str):
            assert any(right in row.reason.message for row in batch.rejected), content
        else:
            assert [signal.confidence for signal in batch.signals] == [Decimal(part) for part in right], content


@pytest.mark.parametrize("name", CASES)
def test_a_file_of_signals_is_read_as_by_hand(name: str) -> None:
    content, right, file = CASES[name]
    if not isinstance(content, bytes):
        content = (content if isinstance(content, str) else json.dumps(content)).encode()
    kind = FORMATS.get(PurePath(file).suffix)
    batch = read_signals(io.BytesIO(content), file, now=NOW, max_age=timedelta(days=1), kind=kind)
    if isinstance(right, str):
        assert batch.signals == ()
        assert right in batch.rejected[0].reason.message
        return
    assert right == tuple(
        f"{signal.instrument.key} {signal.signal_type.value} {signal.entry_price:f} {signal.stop_loss:f} "
        + ",".join(f"{price:f}" for price in signal.target_prices)
        for signal in batch.signals
    )
