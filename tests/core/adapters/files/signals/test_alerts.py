"""Alerts and spreadsheets in the words of others: the same signal as in ours, or a reason that names what is wrong."""

from __future__ import annotations

import gzip
import io
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from apex_cli.core.adapters.files.signals.alerts import SignalForm
from apex_cli.core.adapters.files.signals.signal_reader import read_signals
from apex_cli.core.model.side import OrderSide
from apex_cli.core.model.signal import Signal
from apex_cli.core.ports import SignalBatch

NOW = datetime(2026, 3, 2, 20, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def read(content: object, name: str = "in.json", form: SignalForm | None = None) -> SignalBatch:
    data = (
        content
        if isinstance(content, bytes)
        else (content if isinstance(content, str) else json.dumps(content)).encode()
    )
    kind = "csv" if name.endswith(".csv") else None
    return read_signals(io.BytesIO(data), name, now=NOW, max_age=DAY, kind=kind, form=form or SignalForm())


def one(content: object, name: str = "in.json", form: SignalForm | None = None) -> Signal:
    batch = read(content, name, form)
    assert batch.rejected == ()
    (signal,) = batch.signals
    return signal


def why(content: object, name: str = "in.json", form: SignalForm | None = None) -> str:
    batch = read(content, name, form)
    assert batch.signals == ()
    return " ".join(row.reason.message for row in batch.rejected)


def levels(signal: Signal) -> tuple[str, OrderSide, Decimal, Decimal, tuple[Decimal, ...]]:
    return signal.symbol, signal.side, signal.entry_price, signal.stop_loss, signal.target_prices


RIGHT = ("MSFT", OrderSide.BUY, Decimal("26.5"), Decimal("25.85"), (Decimal("28.75"),))

ALERTS: dict[str, dict[str, Any]] = {
    "ours": {"symbol": "MSFT", "signal_type": "BUY", "entry_price": 26.5, "stop_loss": 25.85, "target_price": 28.75},
    "tradingview": {
        "ticker": "NASDAQ:MSFT", "action": "buy", "price": "26.50", "sl": "25.85", "tp": "28.75", "interval": "60",
        "time": "2026-03-02T19:30:00Z", "volume": 123, "passphrase": "hush",
    },
    "traderspost": {
        "ticker": "MSFT", "action": "buy", "signalPrice": 26.5, "quantity": 1, "sentiment": "bullish",
        "takeProfit": {"limitPrice": 28.75}, "stopLoss": {"type": "stop", "stopPrice": 25.85},
    },
    "traderspost, an amount": {
        "ticker": "MSFT", "action": "buy", "price": 26.5, "takeProfit": {"amount": 2.25}, "stopLoss": {"amount": 0.65},
    },
    "camel case": {"symbol": "MSFT", "signalType": "LONG", "entryPrice": 26.5, "stopLoss": 25.85, "targetPrice": 28.75},
    "capitals": {"SYMBOL": "MSFT", "SIDE": "Buy", "ENTRY": 26.5, "STOP": 25.85, "TARGET": 28.75},
    "words with blanks": {
        "Ticker": "MSFT", "Direction": "Long", "Entry Price": "$26.50", "Stop Loss": "$25.85", "Take Profit": "$28.75",
    },
    "tradingview, a strategy": {
        "passphrase": "hush", "exchange": "NASDAQ", "ticker": "MSFT", "stopLoss": 25.85, "takeProfit": [28.75],
        "bar": {"time": "2026-03-02T19:30:00Z", "open": 26, "high": 27, "low": 26, "close": 26.4, "volume": 3},
        "strategy": {"order_action": "buy", "order_price": 26.5, "order_id": "L", "market_position": "long"},
    },
    "wrapped": {
        "alert": {"ticker": "MSFT", "action": "buy", "price": 26.5, "sl": 25.85, "targets": [{"price": 28.75}]},
    },
    # https://docs.alpaca.markets/docs/orders-at-alpaca, bracket orders
    "alpaca, a bracket": {
        "symbol": "MSFT", "qty": "10", "side": "buy", "type": "limit", "limit_price": "26.5", "order_class": "bracket",
        "take_profit": {"limit_price": "28.75"}, "stop_loss": {"stop_price": "25.85", "limit_price": "25.80"},
    },
    # https://www.tradingview.com/support/solutions/43000531021, the placeholders' own names
    "tradingview, placeholders as names": {
        "ticker": "MSFT", "strategy.order.action": "buy", "strategy.order.price": 26.5, "strategy.position_size": 3,
        "strategy.market_position": "long", "stop_loss": 25.85, "take_profit": 28.75,
    },
    "tradestation": {
        "Symbol": "MSFT", "OrderType": "Limit", "LimitPrice": "26.5", "TradeAction": "BUY", "StopPrice": "25.85",
        "t1": "28.75",
    },
    "wrapped twice": {
        "status": "ok",
        "data": {"signals": [{"ticker": "MSFT", "action": "buy", "price": 26.5, "sl": 25.85, "tp": 28.75}]},
    },
    "bot's id": {"bot_id": 1, "pair": "MSFT", "action": "enter_long", "price": 26.5, "stop_loss": 25.85, "tp": 28.75},
    "epoch": {"symbol": "MSFT", "side": "buy", "entry": 26.5, "stop": 25.85, "target": 28.75, "time": 1772479800000},
}  # fmt: skip


@pytest.mark.parametrize("words", ALERTS)
def test_alerts_in_other_words_are_the_same_signal(words: str) -> None:
    assert levels(one(ALERTS[words])) == RIGHT


@pytest.mark.parametrize("wrap", [lambda row: [row], lambda row: {"signals": [row]}, lambda row: {"alerts": [row]}])
def test_one_alert_and_a_list_of_them_are_read_alike(wrap: Any) -> None:
    assert levels(one(wrap(ALERTS["capitals"]))) == RIGHT


def test_a_percentage_lies_on_the_side_of_the_trade() -> None:
    short = {
        "ticker": "MSFT",
        "action": "sell",
        "price": 100,
        "takeProfit": {"percent": 10},
        "stopLoss": {"percent": 5},
    }
    assert levels(one(short))[2:] == (100, 105, (90,))


@pytest.mark.parametrize("word", ["pct", "_pct", "Percent", "_percentage", " %"])
def test_a_name_that_says_percent_holds_a_percentage(word: str) -> None:
    row = {"ticker": "MSFT", "action": "buy", "price": 100, f"stop_loss{word}": 2, f"take_profit{word}": "4"}
    assert levels(one(row))[2:] == (100, 98, (104,))
    table = f"Symbol,Side,Entry,Stop{word},Target{word}\nMSFT,Buy,100,2%,4\n"
    assert levels(one(table, "in.csv"))[2:] == (100, 98, (104,))


def test_a_part_of_one_is_no_percentage() -> None:
    assert "stop_loss: found 0.02" in why({"ticker": "MSFT", "action": "buy", "price": 100, "stop_loss_pct": 0.02})


def test_several_targets_are_one_list() -> None:
    signal = one({"symbol": "X", "side": "buy", "entry": 10, "stop": 9, "tp1": 11, "tp2": 12, "tp3": 13})
    assert signal.target_prices == (11, 12, 13)


def test_one_number_of_a_row_decides_what_another_means() -> None:
    row = {"ticker": "X", "side": "buy", "entry": "$1,180.50", "stop": "1,175.00", "target": "1,190"}
    assert levels(one(row))[2:] == (Decimal("1180.5"), 1175, (1190,))
    assert "found '1,190'" in why({**row, "entry": 1180, "stop": 1175})


@pytest.mark.parametrize(
    "table",
    [
        "Date,Time,Symbol,Side,Entry,Stop,Target\n2026-03-02,14:30 ET,MSFT,Buy,26.5,25.85,28.75\n",
        "Time,Date,Symbol,Position,Entry,Stop,Target\n2:30 PM ET,2026-03-02,MSFT,Long,26.5,25.85,28.75\n",
        "Date,Time,Symbol,Type,Entry,Stop,Target\n13/03/2026,14:30 ET,MSFT,Long,26.5,25.85,28.75\n",
    ],
)
def test_a_date_beside_a_time_of_day_is_one_time(table: str) -> None:
    signal = one(table, "in.csv")
    assert levels(signal) == RIGHT
    assert f"{signal.created_at:%H:%M}" == ("19:30" if signal.created_at.day == 2 else "18:30")
    assert not set(signal.metadata) & {"Date", "also_timestamp"}


@pytest.mark.parametrize("name", ["Signal Date", "alert_date", "created", "sentAt", "triggered_at", "ts"])
def test_the_age_of_a_signal_is_known_by_its_time_whatever_that_is_called(name: str) -> None:
    row = {"ticker": "MSFT", "action": "buy", "price": 26.5, "sl": 25.85, name: "2026-03-02T19:30:00Z"}
    assert f"{one(row).created_at:%H:%M}" == "19:30"


def test_facts_are_kept_and_secrets_are_not() -> None:
    facts = one(ALERTS["tradingview"]).metadata
    assert (facts["interval"], facts["volume"]) == ("60", 123)
    assert "hush" not in str(facts)
    assert "hush" not in str(one({**ALERTS["tradingview"], "email_token": "hush", "bot_secret": "hush"}).metadata)


@pytest.mark.parametrize(
    "changes", [{"action": "exit"}, {"action": "sell", "sentiment": "flat"}, {"market_position": "flat"}]
)
def test_an_alert_that_leaves_a_position_opens_none(changes: dict[str, str]) -> None:
    assert "use apex close to leave one" in why({**ALERTS["traderspost"], **changes})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"side": "long", "action": "exit"}, "action: found 'exit' beside 'long'"),
        ({"side": "long", "action": "sell"}, "action: found 'sell' beside 'long'"),
        ({"side": "short", "action": "buy"}, "action: found 'buy' beside 'short'"),
        ({"side": "buy", "strategy": {"order_action": "sell"}}, "orderaction: found 'sell' beside 'buy'"),
        ({"side": "long", "type": "exit"}, "type: found 'exit' beside 'long'"),
        ({"side": "buy", "strategy.order.side": "sell"}, "strategyorderside: found 'sell' beside 'buy'"),
        ({"strategy.order.side": "sell", "side": "buy"}, "strategyorderside: found 'sell' beside 'buy'"),
    ],
)
def test_a_second_word_that_leaves_the_position_opens_none(changes: dict[str, Any], words: str) -> None:
    row = {"ticker": "MSFT", "price": 26.5, "sl": 25.85, "tp": 28.75, **changes}
    assert words in why(row)
    assert "use apex close to leave one" in why(row)


@pytest.mark.parametrize(
    "changes",
    [
        {"market_position_size": "0"},
        {"strategy": {"position_size": 0}},
        {"reduceOnly": True},
        {"positionEffect": "CLOSING"},
        {"intent": "exit"},
        {"order_id": "Close entry(s) order Long"},
        {"comment": "Exit Long"},
    ],
)
def test_an_order_that_only_reduces_opens_none_even_where_a_rule_makes_stops(changes: dict[str, Any]) -> None:
    form = SignalForm(default_stop=lambda *_: (Decimal(30), "a rule"))
    assert "use apex close to leave one" in why(
        {"ticker": "MSFT", "action": "sell", "price": 26.5, **changes}, form=form
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"market_position_size": "5"},
        {"reduceOnly": "false"},
        {"comment": "close above the average"},
        {"order_id": "Long"},
        {"positionEffect": "OPENING"},
    ],
)
def test_an_order_that_opens_may_say_so(changes: dict[str, Any]) -> None:
    assert levels(one({"ticker": "MSFT", "action": "buy", "price": 26.5, "sl": 25.85, "tp": 28.75, **changes})) == RIGHT


@pytest.mark.parametrize("changes", [{"side": "long", "action": "buy"}, {"side": "buy", "type": "market"}])
def test_a_second_word_that_agrees_changes_nothing(changes: dict[str, str]) -> None:
    assert levels(one({"ticker": "MSFT", "price": 26.5, "sl": 25.85, "tp": 28.75, **changes})) == RIGHT


def test_what_an_entry_waits_for_is_no_stop_loss() -> None:
    row = {"ticker": "MSFT", "action": "buy", "orderType": "stop_limit", "stopPrice": 26.3, "limitPrice": 26.5}
    assert "stop_loss: it is missing" in why(row)
    signal = one({**row, "stopLoss": {"stopPrice": 25.85}, "takeProfit": {"limitPrice": 28.75}})
    assert (levels(signal), signal.metadata["stopprice"]) == (RIGHT, 26.3)


def test_a_missing_stop_is_named() -> None:
    assert "stop_loss: it is missing" in why({"ticker": "MSFT", "action": "buy", "price": "26.50"})
    assert "stop_loss: found 'type', 'trailpercent'" in why(
        {**ALERTS["traderspost"], "stopLoss": {"type": "trailing", "trailpercent": 5}}
    )


class TestUnknownNames:
    ROW = ALERTS["ours"]

    def test_a_slip_of_a_known_name_is_refused_with_the_name_to_write(self) -> None:
        assert "did you mean target_price?" in why({**self.ROW, "target_prise": 3})
        assert "did you mean signal_type?" in why({**self.ROW, "signl_type": "BUY"})

    def test_others_become_facts_with_a_warning(self) -> None:
        said: list[str] = []
        signal = one({**self.ROW, "weather": "fine"}, form=SignalForm(warn=said.append))
        assert signal.metadata == {"weather": "fine"}
        assert said == ["'weather' is no field of a signal and was put into its metadata."]

    def test_strict_on_refuses_all_and_off_none(self) -> None:
        assert "'weather': no such field" in why({**self.ROW, "weather": "fine"}, form=SignalForm(strict="on"))
        assert one({**self.ROW, "target_prise": 3}, form=SignalForm(strict="off")).metadata == {"target_prise": 3}


class TestTimes:
    ROW = ALERTS["ours"]

    def test_one_without_a_zone_is_refused_or_has_the_zone_of_the_configuration(self) -> None:
        row = {**self.ROW, "time": "3/2/2026 2:30 PM"}
        assert "offset" in why({**self.ROW, "time": "2026-03-02 14:30"})
        assert "02 March 2026 with the month first" in why(row, form=SignalForm(zone="America/New_York"))
        for zone in ("America/New_York", "EST5EDT"):
            form = SignalForm(zone=zone, dates="mdy")
            assert one(row, form=form).created_at == datetime(2026, 3, 2, 19, 30, tzinfo=UTC)

    def test_a_weekday_before_a_date_leaves_it_two_readings(self) -> None:
        row = {**self.ROW, "time": "Mon 3/2/2026 2:30 PM"}
        assert "03 February 2026 with the day first" in why(row, form=SignalForm(zone="America/New_York"))


class TestTables:
    def test_semicolons_decimal_commas_and_percent(self) -> None:
        text = "Symbol;Side;Entry;Stop;Target;Confidence\nMSFT;Buy;26,50;25,85;28,75;85%\n"
        signal = one(text, "in.csv")
        assert (levels(signal), signal.confidence) == (RIGHT, Decimal("0.85"))

    def test_tabs_lines_above_and_empty_columns(self) -> None:
        text = "My signals\n\nTicker\tAction\tQty\tEntry\tStop\tTarget\t\nMSFT\tBOT\t5\t26.5\t25.85\t28.75\t\n\t\t\t\n"
        assert why(text, "in.csv").startswith("signal_type: found 'BOT'")
        assert levels(one(text.replace("BOT", "Buy"), "in.csv")) == RIGHT

    def test_a_number_with_two_readings_names_the_setting(self) -> None:
        text = "Symbol;Side;Entry;Stop\nX;Buy;1,500;1,250\n"
        assert "'1,500' is 1500 or 1.500" in why(text, "in.csv")
        assert "signals.decimal" in why(text, "in.csv")
        assert one(text, "in.csv", SignalForm(decimal=",")).entry_price == Decimal("1.5")

    def test_a_column_given_twice_stays_an_error(self) -> None:
        assert "column 'Stop Loss' is given twice" in why(
            "Symbol,Side,Entry,Stop Loss,stop_loss\nX,Buy,1,1,1\n", "in.csv"
        )

    def test_compressed_text_of_windows_and_a_workbook(self) -> None:
        text = "Symbol,Side,Entry,Stop,Target,Note\nMSFT,Buy,26.5,25.85,28.75,Münze\n"
        assert levels(one(gzip.compress(text.encode()), "in.csv")) == RIGHT
        assert one(text.encode("cp1252"), "in.csv").metadata == {"Note": "Münze"}
        openpyxl = pytest.importorskip("openpyxl")
        book = openpyxl.Workbook()
        for row in (["Symbol", "Side", "Entry", "Stop", "Target"], ["MSFT", "Buy", 26.5, 25.85, 28.75]):
            book.active.append(row)
        target = io.BytesIO()
        book.save(target)
        assert levels(one(target.getvalue(), "in.xlsx")) == RIGHT

    def test_a_workbook_means_what_it_shows(self) -> None:
        book = pytest.importorskip("openpyxl").Workbook()
        sheet = book.active
        sheet.append(["Symbol", "Side", "Entry", "Stop", "Target", "Confidence"])
        sheet.append(["MSFT", "Buy", 26 * 1.02, 0.05, 26.52 * 1.1, 0.85])
        for cell, form in zip(sheet[2][3:], ("0.0%", "$0.00", "0%"), strict=True):
            cell.number_format = form
        target = io.BytesIO()
        book.save(target)
        signal = one(target.getvalue(), "in.xlsx")
        assert levels(signal)[2:] == (Decimal("26.52"), Decimal("25.194"), (Decimal("29.172"),))
        assert signal.confidence == Decimal("0.85")

    def test_columns_can_be_named_by_the_configuration(self) -> None:
        form = SignalForm(columns={"entry_price": "Einstieg", "stop_loss": "Notausgang"})
        assert one("Symbol,Side,Einstieg,Notausgang\nX,Buy,10,9\n", "in.csv", form).stop_loss == 9


def test_a_stop_by_rule_is_made_where_there_is_none_and_noted() -> None:
    def rule(symbol: str, side: OrderSide, entry: Decimal, now: datetime) -> tuple[Decimal, str] | None:
        assert (symbol, now) == ("MSFT", NOW)
        return entry - side.sign * 2, "2 below"

    form = SignalForm(default_stop=rule)
    signal = one({"ticker": "MSFT", "action": "buy", "price": "26.50"}, form=form)
    assert (signal.stop_loss, signal.metadata["default_stop"]) == (Decimal("24.5"), "2 below")
    assert one(ALERTS["ours"], form=form).stop_loss == Decimal("25.85")
    assert one("symbol,side,entry\nMSFT,buy,10\n", "in.csv", form).stop_loss == 8
