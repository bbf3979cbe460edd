"""Files of executions and situations: what is read, and what is refused by the name of its field."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apex_cli.core.adapters.files.executions.execution_fields import security_key
from apex_cli.core.adapters.files.executions.execution_files import read_bytes, read_executions
from apex_cli.core.adapters.files.executions.situation import read_situation
from apex_cli.core.day_trades.imports import Report
from apex_cli.core.errors import InputError
from apex_cli.core.model.account import AccountType
from apex_cli.core.model.execution import SecType
from apex_cli.core.model.instrument import MarketType, OptionRight, make_instrument
from apex_cli.core.model.limits import DayTradeRegime
from apex_cli.core.model.money import Price
from apex_cli.core.model.side import OrderSide

D = Decimal
ROW = {
    "time": "2026-11-24T10:30:00-05:00",
    "symbol": "xyz",
    "sec_type": "STK",
    "side": "BUY",
    "quantity": 100,
    "exec_id": "0001.01",
}


def read(document: Any, name: str = "fills.json") -> Report:
    content = document if isinstance(document, bytes) else json.dumps(document).encode()
    return read_executions(content, name)


def refused(document: Any, name: str = "fills.json") -> str:
    with pytest.raises(InputError) as caught:
        read(document, name)
    assert caught.value.code == "input_invalid"
    return caught.value.message


class TestRows:
    def test_a_row_is_read(self) -> None:
        (row,) = read([ROW]).executions
        assert (row.security, row.sec_type, row.side, row.quantity) == ("XYZ", SecType.STK, OrderSide.BUY, 100)
        assert row.filled_at == datetime(2026, 11, 24, 15, 30, tzinfo=UTC)
        assert (row.exec_id, row.order_id) == ("0001.01", "")

    def test_a_mapping_may_report_what_was_held_before(self) -> None:
        got = read({"executions": [ROW, {**ROW, "exec_id": "2"}], "start_positions": {"XYZ": -30, "IBM": 5}})
        assert [row.held_before for row in got.executions] == [-30, None]

    @pytest.mark.parametrize("nothing", [{"executions": []}, {"executions": None}, b"", b"time,symbol,side,quantity\n"])
    def test_a_file_with_nothing_to_count_is_an_error_that_says_so(self, nothing: object) -> None:
        with pytest.raises(InputError, match="holds no trade that counts: no rows") as caught:
            read(nothing, "fills.csv" if isinstance(nothing, bytes) else "fills.json")
        assert caught.value.code == "no_executions"

    @pytest.mark.parametrize(
        ("field", "value", "words"),
        [
            ("time", "2026-11-24T10:30:00", "has no offset from UTC"),
            ("time", "yesterday", "is no time"),
            ("time", 5, "found 5"),
            ("time", None, "is missing"),
            ("time", "2199-01-03T10:00:00-05:00", "2199-01-03T10:00:00-05:00 is outside the years 1901 to 2198"),
            ("time", "9999-12-31T23:00:00-05:00", "is outside the years 1901 to 2198"),
            ("time", "1900-12-31T10:00:00-05:00", "is outside the years 1901 to 2198"),
            ("time", "0001-01-01T00:00:00+23:59", "is outside the years 1901 to 2198"),
            ("sec_type", "CFD", "unknown security type 'CFD'"),
            ("sec_type", 7, "unknown security type 7"),
            ("quantity", 0, "found '0'"),
            ("quantity", "0.0", "found '0.0'"),
            ("quantity", -5, "found '-5'"),
            ("quantity", True, "found true"),
            ("quantity", "NaN", "is no usable number"),
            ("quantity", "1e400", "is no usable number"),
            ("quantity", "many", "is no number"),
            ("side", "LONG", "found 'LONG'"),
            ("side", 1, "found 1"),
            ("symbol", "", "is missing"),
            ("symbol", 12, "found 12"),
            ("symbol", "X" * 41, "found"),
            ("colour", "red", "unknown field"),
        ],
    )
    def test_wrong_values_are_refused_with_row_and_field(self, field: str, value: Any, words: str) -> None:
        message = refused([ROW, {**ROW, field: value}])
        assert message.startswith(f"fills.json: executions[1].{field}: ")
        assert words in message

    def test_what_is_no_list_of_mappings_is_refused(self) -> None:
        assert "executions[0]: found 5" in refused([5])
        assert "holds no list" in refused({"executions": "all"})
        assert "start_positions: found 'flat'" in refused({"executions": [], "start_positions": "flat"})
        assert "start_positions.XYZ: found true" in refused({"executions": [], "start_positions": {"XYZ": True}})
        assert "is not valid JSON" in refused(b"[{]")
        assert "'side' is given twice" in refused(b'[{"side": 1, "side": 2}]')
        assert "is not valid YAML" in refused(b"a: [", "fills.yaml")
        assert "is not valid JSON" in refused(b"[" * 100_000)

    def test_bytes_that_are_no_text_are_refused(self) -> None:
        assert "is not UTF-8 at byte" in refused(b"\xef\xbb\xbf[\xff]")
        assert "holds the control character 0 in line 1" in refused(b"[\0]")

    def test_yaml_is_read_too_even_where_it_looks_like_json(self) -> None:
        text = b"executions:\n- {time: '2026-11-24T10:30:00-05:00', symbol: ON, side: sell, quantity: 1.5}\n"
        (row,) = read(text, "fills.yaml").executions
        assert (row.security, row.side, row.quantity) == ("ON", OrderSide.SELL, D("1.5"))
        assert read(b"[ {time: '2026-11-24T10:30:00-05:00', symbol: A, side: BUY, quantity: 1} ]", "f.yml").executions

    def test_rows_without_an_id_get_the_same_one_at_every_reading(self) -> None:
        bare = {name: value for name, value in ROW.items() if name != "exec_id"}
        first = [row.exec_id for row in read([bare, bare, {**bare, "quantity": 7}]).executions]
        assert len(set(first)) == 3
        assert [row.exec_id for row in read([bare, bare, {**bare, "quantity": 7.0}]).executions] == first

    def test_times_of_any_offset_are_the_same_moment(self) -> None:
        other = {**ROW, "time": "2026-11-24T16:30:00+01:00"}
        assert read([other]).executions == read([ROW]).executions


class TestCsv:
    HEADER = b"time,symbol,sec_type,side,quantity,exec_id\n"

    def test_our_own_columns(self) -> None:
        rows = b'2026-11-24T10:30:00-05:00, xyz ,,BOT,"1,000.0",7\n\n2026-11-24T10:31:00-05:00,xyz,OPT,SLD,1,8\n'
        got = read(b"\xef\xbb\xbf" + self.HEADER + rows, "fills.csv").executions
        assert [(row.security, row.side, row.quantity, row.exec_id) for row in got] == [
            ("XYZ", OrderSide.BUY, 1000, "7"),
            ("XYZ@options", OrderSide.SELL, 1, "8"),
        ]

    def test_a_flex_report_as_csv(self) -> None:
        text = (
            b'"ClientAccountID","AssetClass","Symbol","DateTime","Buy/Sell","Quantity","IBExecID","IBOrderID","Notes"\n'
            b'"U1","STK","XYZ","20261124;103000","SELL","-100","0001.01","77","P"\n'
        )
        (row,) = read(text, "fills.csv").executions
        assert (row.side, row.quantity, row.order_id) == (OrderSide.SELL, 100, "77")
        assert row.filled_at == datetime(2026, 11, 24, 15, 30, tzinfo=UTC)

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            (b"time,symbol,side\n", "fills.csv:1: missing column quantity"),
            (b"time,symbol,side,quantity,side\n", "fills.csv:1: column side is given twice"),
            (HEADER + b"2026-11-24T10:30:00-05:00,X,STK,BUY,0,1\n", "fills.csv:2.quantity: found '0'"),
            (HEADER + b"2026-11-24T10:30:00,X,STK,BUY,1,1\n", "fills.csv:2.time: '2026-11-24T10:30:00' has no offset"),
            (HEADER + b"1,2,3,4,5,6,7\n", "fills.csv:2: 7 cells under 6 columns"),
        ],
    )
    def test_wrong_rows_are_refused_with_line_and_field(self, text: bytes, words: str) -> None:
        assert words in refused(text, "fills.csv")

    def test_a_quote_that_never_ends_does_not_swallow_the_rows_below(self) -> None:
        with pytest.raises(InputError, match="is no row of a table: unexpected end of data"):
            read(self.HEADER + b'"1\n', "fills.csv")

    def test_columns_of_others_are_left_alone(self) -> None:
        text = b"time,symbol,side,quantity,colour\n2026-11-24T10:30:00-05:00,X,BUY,1,red\n"
        assert len(read(text, "fills.csv").executions) == 1


class TestFlex:
    TRADE = (
        '<Trade accountId="U1" assetCategory="STK" symbol="XYZ" dateTime="20261124;103000" buySell="SELL" '
        'quantity="-70" ibExecID="0000e0d5.1.01.01" ibOrderID="9" openCloseIndicator="C" levelOfDetail="EXECUTION" '
        'transactionType="ExchTrade" notes="P" {more}/>'
    )

    def flex(self, *trades: str, statement: str = 'accountId="U1" fromDate="20261116" toDate="20261125"') -> bytes:
        inner = "".join(trades)
        return (
            f'<?xml version="1.0"?><FlexQueryResponse queryName="q" type="AF"><FlexStatements count="1">'
            f"<FlexStatement {statement}><Trades>{inner}</Trades></FlexStatement></FlexStatements></FlexQueryResponse>"
        ).encode()

    def trade(self, more: str = "", **changes: str) -> str:
        text = self.TRADE.format(more=more)
        for name, value in changes.items():
            old = text.split(f' {name}="')[1].split('"')[0]
            text = text.replace(f' {name}="{old}"', f' {name}="{value}"')
        return text

    def test_an_execution_with_what_must_have_been_held_before(self) -> None:
        got = read(self.flex(self.trade()), "trades.xml")
        (row,) = got.executions
        assert (row.security, row.side, row.quantity, row.held_before) == ("XYZ", OrderSide.SELL, 70, 70)
        assert (row.exec_id, row.order_id) == ("0000e0d5.1.01.01", "9")
        assert row.filled_at == datetime(2026, 11, 24, 15, 30, tzinfo=UTC)
        assert (got.since, got.until) == (date(2026, 11, 16), date(2026, 11, 25))

    @pytest.mark.parametrize(
        "time", ["2026-11-24;10:30:00", "20261124 103000", "2026-11-24, 10:30:00", "20261124;103000 EST"]
    )
    def test_times_are_new_york_in_every_spelling(self, time: str) -> None:
        (row,) = read(self.flex(self.trade(dateTime=time)), "t").executions
        assert row.filled_at == datetime(2026, 11, 24, 15, 30, tzinfo=UTC)

    @pytest.mark.parametrize("day", ["20261124", "2026-11-24", "11/24/2026", "11/24/26", "24/11/2026", "24-NOV-26"])
    @pytest.mark.parametrize("clock", ["103000", "10:30:00", "10:30", "103000 EST"])
    def test_date_and_time_may_stand_together(self, day: str, clock: str) -> None:
        (row,) = read(self.flex(self.trade(dateTime=f"{day}{clock}")), "t").executions
        assert row.filled_at == datetime(2026, 11, 24, 15, 30, tzinfo=UTC)

    def test_a_date_that_stands_together_with_its_time_is_not_guessed(self) -> None:
        trade = self.trade(dateTime="07/08/2026103000")
        with pytest.raises(InputError, match="07 August 2026 with the day first"):
            read(self.flex(trade, statement='accountId="U1"'), "t")
        expiry = self.trade('expiry="08/21/2026"', dateTime="07/08/2026103000")
        (row,) = read(self.flex(expiry, statement='accountId="U1"'), "t").executions
        assert row.filled_at.date() == date(2026, 7, 8)

    @pytest.mark.parametrize("element", ["Lot", "SymbolSummary", "AssetSummary"])
    def test_a_report_without_executions_and_orders_is_no_day_without_trades(self, element: str) -> None:
        lot = self.trade().replace("<Trade ", f"<{element} ")
        with pytest.raises(InputError, match="holds no trade that counts: 1 lots, summaries or orders"):
            read(self.flex(lot), "t")

    def test_date_and_time_may_stand_apart(self) -> None:
        trade = self.trade('tradeDate="20261124" tradeTime="103000"', dateTime="")
        assert read(self.flex(trade), "t").executions[0].filled_at.hour == 15

    def test_an_option_is_named_by_its_series(self) -> None:
        more = 'underlyingSymbol="XYZ" expiry="20261218" putCall="C" strike="150.00"'
        trade = self.trade(more, assetCategory="OPT", symbol="XYZ   261218C00150000")
        (row,) = read(self.flex(trade), "t").executions
        series = make_instrument(
            "XYZ", MarketType.OPTIONS, expiry="2026-12-18", right=OptionRight.CALL, strike=Price(D(150))
        )
        assert row.security == series.key
        bare = self.trade(assetCategory="OPT", symbol="XYZ   261218C00150000")
        assert read(self.flex(bare), "t").executions[0].security == series.key

    def test_other_rows_are_no_executions(self) -> None:
        order = self.trade(levelOfDetail="ORDER")
        expiry = self.trade(transactionType="BookTrade", ibExecID="")
        fund = self.trade(assetCategory="FUND")
        got = read(self.flex(order, expiry, fund, "<Lot/>", self.trade()), "t")
        assert (len(got.executions), got.dropped) == (1, 2)

    def test_a_cancelled_trade_never_was(self) -> None:
        cancel = self.trade(transactionType="TradeCancel", buySell="SELL (Ca.)")
        noted = self.trade(notes="Ca;P", ibExecID="other.01")
        other = self.trade(ibExecID="0000e0d5.2.01.01", symbol="ABC")
        got = read(self.flex(self.trade(), cancel, noted, other), "t")
        assert ([row.security for row in got.executions], got.dropped) == (["ABC"], 3)
        with pytest.raises(InputError, match="holds no trade that counts: 3 no trades"):
            read(self.flex(self.trade(), cancel, noted), "t")

    @pytest.mark.parametrize(
        ("category", "kind"), [("IOPT", SecType.WAR), ("FSFOP", SecType.FOP), ("BAG", SecType.BAG)]
    )
    def test_the_brokers_other_kinds(self, category: str, kind: SecType) -> None:
        assert read(self.flex(self.trade(assetCategory=category)), "t").executions[0].sec_type is kind

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"assetCategory": "MOON"}, "Trade[0].assetCategory: unknown security type 'MOON'"),
            ({"quantity": "0"}, "Trade[0].quantity: found '0'"),
            ({"dateTime": "today"}, "Trade[0].dateTime: 'today' is no time"),
            ({"dateTime": "20261324;103000"}, "Trade[0].dateTime: '20261324;103000' is no time"),
            (
                {"dateTime": "22280103;103000"},
                "Trade[0].dateTime: 2228-01-03T10:30:00-05:00 is outside the years",
            ),
            ({"dateTime": ""}, "Trade[0].dateTime: is missing"),
            ({"ibExecID": ""}, "Trade[0].ibExecID: is missing"),
            ({"buySell": "HOLD"}, "Trade[0].buySell: found 'HOLD'"),
            ({"symbol": ""}, "Trade[0].symbol: is missing"),
        ],
    )
    def test_wrong_attributes_are_refused_by_name(self, changes: dict[str, str], words: str) -> None:
        assert words in refused(self.flex(self.trade(**changes)), "t")

    def test_what_is_no_flex_report_is_refused(self) -> None:
        assert "<html> is no Flex report" in refused(b"<html></html>", "t")
        assert "is not valid XML" in refused(b"<FlexQueryResponse>", "t")
        assert "is no date" in refused(self.flex(statement='fromDate="soon"'), "t")
        two = b"<FlexQueryResponse><FlexStatement accountId='1'/><FlexStatement accountId='2'/></FlexQueryResponse>"
        assert "holds 2 accounts" in refused(two, "t")

    def test_entities_are_refused_before_anything_is_expanded(self) -> None:
        bomb = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
        text = f'<!DOCTYPE x [<!ENTITY e0 "boom">{bomb}]><FlexQueryResponse a="&e11;"/>'
        assert "document type" in refused(text.encode(), "t")
        outside = b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><FlexQueryResponse/>'
        assert "document type" in refused(outside, "t")


class TestSituation:
    def situation(self, document: Any, name: str = "s.json") -> Any:
        content = document if isinstance(document, bytes) else json.dumps(document).encode()
        return read_situation(content, name)

    def refused(self, document: Any) -> str:
        with pytest.raises(InputError) as caught:
            self.situation(document)
        return caught.value.message

    def test_everything_may_be_left_out(self) -> None:
        for nothing in (b"{}", b"", b"account:\n"):
            got = self.situation(nothing)
            assert (got.executions, got.order, got.as_of, got.regime, got.preview) == ((), None, None, None, None)
            assert got.facts.account_type is None

    def test_everything_may_be_reported(self) -> None:
        got = self.situation(
            {
                "account": {
                    "type": "cash",
                    "regime": "classic",
                    "equity_prev_close": 10_000.5,
                    "equity_now": "9000",
                    "net_deposits_since_close": -5,
                    "flagged_pdt": True,
                    "broker_day_trades_remaining": -1,
                    "broker_summary_complete": False,
                    "net_liquidation": 1,
                    "equity_with_loan": 2,
                    "maint_margin_req": 3,
                    "settled_cash": 4,
                    "net_cash": -5,
                    "working_open_orders_maint": 6,
                    "frozen_until": "2026-12-24",
                },
                "start_positions": {"xyz": -3},
                "executions": [ROW],
                "as_of": "2026-11-24T15:00:00-05:00",
                "order": {"side": "SELL", "symbol": "ABC C", "sec_type": "OPT", "quantity": 2, "price": 1.5},
                "what_if": {"equity_with_loan_after": 1, "maint_margin_after": 1.7976931348623157e308},
            }
        )
        facts = got.facts
        assert (facts.account_type, got.regime, facts.flagged_pdt) == (AccountType.CASH, DayTradeRegime.CLASSIC, True)
        assert (facts.equity_prev_close, facts.equity_now, facts.net_deposits_since_close) == (D("10000.5"), 9000, -5)
        assert (facts.broker_day_trades_remaining, facts.broker_summary_complete) == (-1, False)
        assert (facts.net_liquidation, facts.equity_with_loan, facts.maint_margin_req) == (1, 2, 3)
        assert (facts.settled_cash, facts.net_cash, facts.working_open_orders_maint) == (4, -5, 6)
        assert facts.frozen_until == date(2026, 12, 24)
        assert got.start == {"XYZ": -3}
        assert (got.order.security, got.order.multiplier, got.order.price) == ("ABC C@options", 100, D("1.5"))
        assert got.preview.maint_margin_after > D("1e300")

    def test_a_start_position_means_the_kind_that_is_traded(self) -> None:
        warrant = {**ROW, "sec_type": "WAR"}
        assert self.situation({"start_positions": {"XYZ": 3}, "executions": [warrant]}).start == {"XYZ@war": 3}
        both = {"start_positions": {"XYZ": 3}, "executions": [warrant, {**ROW, "exec_id": "2"}]}
        assert self.situation(both).start == {"XYZ": 3}
        order = {"side": "SELL", "symbol": "XYZ 261218C00150000", "sec_type": "OPT", "quantity": 1}
        keyed = self.situation({"start_positions": {"XYZ@options 2026-12-18 C150": 3}, "order": order})
        assert keyed.start == {keyed.order.security: 3}

    @pytest.mark.parametrize(
        ("document", "words"),
        [
            ({"acount": {}}, "`acount`"),
            ({"account": {"colour": 1}}, "s.json: account: "),
            ({"account": {"type": "margn"}}, "s.json: account.type: "),
            ({"account": {"regime": "off"}}, "s.json: account.regime: 'off' evaluates nothing"),
            ({"account": {"equity_now": "lots"}}, "account.equity_now"),
            ({"account": {"equity_now": "NaN"}}, "account.equity_now: 'NaN' is no usable number"),
            ({"account": {"broker_day_trades_remaining": -2}}, "s.json: account.broker_day_trades_remaining: "),
            ({"account": {"broker_day_trades_remaining": 1.5}}, "s.json: account.broker_day_trades_remaining: "),
            ({"account": {"frozen_until": "soon"}}, "s.json: account.frozen_until: "),
            ({"as_of": "2026-11-24T10:00:00"}, "as_of: '2026-11-24T10:00:00' has no offset"),
            ({"as_of": "2208-02-01T10:00:00Z"}, "as_of: 2208-02-01T10:00:00+00:00 is outside the years 1901 to 2198"),
            ({"executions": {}}, "s.json: executions: "),
            ({"executions": [{**ROW, "quantity": 0}]}, "executions[0].quantity: found '0'"),
            ({"executions": [{**ROW, "sec_type": "XXX"}]}, "executions[0].sec_type: unknown security type 'XXX'"),
            ({"start_positions": {"XYZ": "few"}}, "start_positions.XYZ: 'few' is no number"),
            ({"order": {"side": "BUY", "symbol": "X"}}, "order.quantity: is missing"),
            ({"order": {"side": "BUY", "symbol": "X", "quantity": 0}}, "order.quantity: found '0'"),
            ({"order": {"side": "BUY", "symbol": "X", "quantity": 1, "price": 0}}, "order.price: found '0'"),
            ({"order": {"side": "UP", "symbol": "X", "quantity": 1}}, "order.side: found 'UP'"),
            ({"order": {"side": "BUY", "symbol": "X", "quantity": 1, "sec_type": "?"}}, "order.sec_type: unknown"),
            ({"what_if": {"init_margin_after": "inf"}}, "what_if.init_margin_after: Infinity is no usable number"),
            ([], "s.json: expected named fields, got a list"),
        ],
    )
    def test_wrong_values_are_refused_with_their_field(self, document: Any, words: str) -> None:
        assert words in self.refused(document)

    def test_all_that_is_wrong_is_named_at_once_with_the_count(self) -> None:
        document = {
            "acount": 1,
            "account": {"type": "gold", "equity_now": "lots", "colour": 3},
            "executions": [{"time": "x", "symbol": "", "side": "UP", "quantity": 0}, 5],
            "order": {"side": "UP", "quantity": -1},
            "what_if": {"init_margin_after": "inf"},
            "start_positions": {"A": "few", "B": "some"},
            "as_of": "never",
        }
        with pytest.raises(InputError, match="16 problems: ") as caught:
            read_situation(json.dumps(document).encode(), "s.json")
        found = caught.value.details["problems"]
        assert [problem.partition(": ")[2].partition(":")[0] for problem in found] == [
            "object contains unknown field `acount`, allowed", "account.type", "account.equity_now", "account",
            "what_if.init_margin_after", "executions[0].symbol", "executions[0].time", "executions[0].quantity",
            "executions[0].side", "executions[1]", "order.symbol", "order.side", "order.quantity",
            "start_positions.A", "start_positions.B", "as_of",
        ]  # fmt: skip
        assert caught.value.details["problem_count"] == len(found)

    def test_a_row_of_a_report_names_all_of_its_fields(self) -> None:
        row = "<Trade quantity='x' buySell='UP' dateTime='soon' />"
        text = f"<FlexQueryResponse><Trades>{row}</Trades></FlexQueryResponse>"
        with pytest.raises(InputError, match="6 problems: ") as caught:
            read_executions(text.encode(), "f.xml")
        assert {problem.rpartition(".")[2].partition(":")[0] for problem in caught.value.details["problems"]} >= {
            "quantity", "buySell", "dateTime", "symbol", "assetCategory", "ibExecID",
        }  # fmt: skip


@pytest.mark.parametrize(
    ("symbol", "kind", "key"),
    [
        ("AAPL", SecType.STK, "AAPL"),
        ("AAPL 261218P00152500", SecType.OPT, "AAPL@options 2026-12-18 P152.5"),
        ("AAPL C", SecType.OPT, "AAPL C@options"),
        ("EUR.USD", SecType.CASH, "EUR.USD@forex"),
        ("BTC", SecType.CRYPTO, "BTC-USD@crypto"),
        ("AAPL", SecType.WAR, "AAPL@war"),
    ],
)
def test_each_kind_of_security_is_its_own(symbol: str, kind: SecType, key: str) -> None:
    assert security_key(symbol, kind) == key


def test_a_file_that_cannot_be_read_or_is_too_large_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_bytes(tmp_path / "missing.json")
    huge = tmp_path / "huge.csv"
    with huge.open("wb") as file:
        file.truncate(50_000_001)
    with pytest.raises(InputError, match="larger than 50 MB") as refused:
        read_bytes(huge)
    assert refused.value.hint == "Allowed: a report of fewer days."


def test_standard_input_that_is_closed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(InputError, match=r"^-: cannot be read: standard input is closed"):
        read_bytes(Path("-"))


@given(st.binary(max_size=200), st.sampled_from(["a.json", "a.yaml", "a.csv", "a.xml", "a"]))
def test_any_bytes_are_read_or_refused(content: bytes, name: str) -> None:
    for reading in (read_executions, read_situation):
        with suppress(InputError):
            reading(content, name)  # type: ignore[operator]


NESTED: Any = []
for _ in range(50):
    NESTED = [NESTED]


@pytest.mark.parametrize("value", [[], {}, [1], {"a": 1}, NESTED], ids=["list", "object", "one", "pair", "nested"])
@pytest.mark.parametrize("field", [*ROW, "price", "order_id"])
def test_a_list_or_an_object_where_a_value_belongs_names_row_and_field(field: str, value: Any) -> None:
    with pytest.raises(InputError) as caught:
        read([ROW, {**ROW, "exec_id": "0001.02", field: value}])
    assert f"executions[1].{field}" in caught.value.message


@pytest.mark.parametrize(
    "text", ["1: 2", "null: 3", "account: {1: 2}", "- {1: 2, legs: [{2: 3}]}", "executions: [{7: 8}]"]
)
def test_names_that_are_no_text_are_refused(text: str) -> None:
    for reading in (read_executions, read_situation):
        with pytest.raises(InputError):
            reading(text.encode(), "a.yaml")


@pytest.mark.parametrize("field", ["account.type", "account.regime", "account.equity_now", "order.symbol", "as_of"])
def test_half_a_surrogate_pair_in_a_situation_is_refused_with_its_field(field: str) -> None:
    section, _, name = field.partition(".")
    document = {section: {name: "\ud800"} if name else "\ud800"}
    with pytest.raises(InputError, match=field.replace(".", r"\.")) as caught:
        read_situation(json.dumps(document).encode(), "s.json")
    assert r"'\ud800'" in caught.value.message


def test_a_number_that_means_two_things_is_refused_and_thousands_are_read() -> None:
    with pytest.raises(InputError, match=r"quantity: '1\.234,5' is no number"):
        read([{**ROW, "quantity": "1.234,5"}])
    assert read([{**ROW, "quantity": "1,234"}]).executions[0].quantity == 1234


@pytest.mark.parametrize("value", [True, 1.5])
def test_an_identity_is_text_or_a_whole_number(value: Any) -> None:
    with pytest.raises(InputError, match="exec_id"):
        read([{**ROW, "exec_id": value}])
    assert read([{**ROW, "exec_id": 17, "order_id": 4}]).executions[0].exec_id == "17"


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_a_document_nested_without_end_is_an_input_error(opening: str) -> None:
    with pytest.raises(InputError, match="not valid JSON"):
        read(f'[{{"time": {opening * 100_000}}}]'.encode())
    with pytest.raises(InputError, match="not valid JSON"):
        read_situation(f'{{"as_of": {opening * 100_000}}}'.encode(), "s.json")


def test_currency_and_the_broker_s_number_say_which_security_it_is() -> None:
    trade = {"time": "2026-11-24T10:00:00-05:00", "symbol": "SAP", "side": "BUY", "quantity": 5, "exec_id": "1"}
    (euro,) = read([{**trade, "currency": "EUR", "con_id": 14204}]).executions
    assert (euro.security, euro.con_id) == ("SAP@EUR", 14204)
    (dollar,) = read([{**trade, "currency": "USD", "con_id": "none"}]).executions
    assert (dollar.security, dollar.con_id) == ("SAP", 0)
    flex = (
        "<FlexQueryResponse><FlexStatements><FlexStatement accountId='U1'><Trades>"
        "<Trade accountId='U1' assetCategory='STK' symbol='SAP' conid='14204' currency='EUR' buySell='BUY' "
        "quantity='5' ibExecID='1' dateTime='20261124;100000' levelOfDetail='EXECUTION'/>"
        "</Trades></FlexStatement></FlexStatements></FlexQueryResponse>"
    )
    (row,) = read_executions(flex.encode(), "f.xml").executions
    assert (row.security, row.con_id) == ("SAP@EUR", 14204)
    listed = (
        "Date/Time,Symbol,Action,Quantity,Price,Currency,Conid\n2026-11-24T10:00:00-05:00,SAP,BUY,5,100,EUR,14204\n"
    )
    (exported,) = read_executions(listed.encode(), "trades.csv").executions
    assert (exported.security, exported.con_id) == ("SAP@EUR", 14204)
