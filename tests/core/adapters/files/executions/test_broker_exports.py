"""Trade lists in the layouts of brokers: rows made by hand, columns and words as the brokers write them.

Each list is counted by hand: executions, what is left out, and the times of day in New York.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from apex_cli.core.adapters.files.executions.execution_files import read_executions
from apex_cli.core.day_trades.imports import Report
from apex_cli.core.errors import InputError
from apex_cli.core.model.execution import SecType
from apex_cli.core.model.side import OrderSide
from apex_cli.core.text.text_table import FileHints

SAMPLES = Path(__file__).parent / "samples"
NEW_YORK = ZoneInfo("America/New_York")
BUY, SELL = OrderSide.BUY, OrderSide.SELL


def read(text: str, name: str = "trades.csv", hints: FileHints | None = None, account: str = "") -> Report:
    return read_executions(text.encode(), name, hints, account)


def sample(name: str) -> str:
    return (SAMPLES / name).read_text(encoding="utf-8")


def reported(report: Report) -> list[tuple[str, str, OrderSide, Decimal]]:
    """Return time of day, security, side and quantity of each execution, oldest first."""
    rows = sorted(report.executions, key=lambda row: row.filled_at)
    return [(f"{row.filled_at.astimezone(NEW_YORK):%m-%d %H:%M}", row.security, row.side, row.quantity) for row in rows]


class TestInteractiveBrokers:
    @pytest.mark.parametrize("level", ["Order", "Trade"])
    def test_an_activity_statement_has_three_trades_and_an_expiry(self, level: str) -> None:
        report = read(sample("ib_activity_statement.csv").replace("Data,Order", f"Data,{level}"))
        assert reported(report) == [
            ("03-12 09:31", "SPY@options 2026-04-17 C600", BUY, 2),
            ("03-13 10:46", "AMC", BUY, 1050),
            ("03-13 11:55", "AMC", SELL, 1050),
        ]
        assert (report.since, report.until, report.dropped) == (date(2026, 3, 1), date(2026, 3, 13), 1)
        assert report.source == "IB activity statement"

    def test_orders_and_their_executions_are_counted_once(self) -> None:
        orders = sample("ib_activity_statement.csv")
        extra = 'Trades,Data,Trade,Stocks,USD,AMC,"2026-03-13, 10:46:38","1,050",39.83,,,,,,,O\n'
        assert len(read(orders.replace("Trades,SubTotal", extra + "Trades,SubTotal", 1)).executions) == 1

    def test_a_transaction_history_has_dates_alone_and_is_counted_for_the_worse(self) -> None:
        report = read(sample("ib_transaction_history.csv"))
        assert reported(report) == [("03-13 09:30", "AMC", BUY, 50), ("03-13 09:30", "AMC", SELL, 50)]
        assert report.dropped == 1
        assert "dates without times" in report.warnings[0]

    def test_a_log_of_the_workstation_and_fills_of_ib_insync(self) -> None:
        log, fills = sample("tws_log.csv"), sample("ib_insync_fills.csv")
        right = [("03-13 10:31", "AAPL", BUY, 100), ("03-13 11:31", "AAPL", SELL, 100)]
        assert reported(read(log)) == reported(read(fills)) == right
        assert {row.exec_id for row in read(fills).executions} == {"0002.01", "0003.01"}


class TestThinkorswim:
    def test_the_trade_history_counts_and_legs_of_a_spread_share_its_time(self) -> None:
        report = read(sample("thinkorswim.csv"))
        assert reported(report) == [
            ("03-26 10:00", "SPY@options 2026-04-17 C600", BUY, 2),
            ("03-26 10:00", "SPY@options 2026-04-17 C610", SELL, 2),
            ("03-26 11:44", "NAVN", BUY, 75),
            ("03-26 12:39", "NAVN", SELL, 75),
        ]
        assert all(row.held_before is None for row in report.executions)


LISTS = {
    "webull.csv": (
        [
            ("03-13 09:31", "AMC", BUY, 100),
            ("03-13 10:00", "AMC", SELL, 100),
        ],
        1,
    ),
    "webull_options.csv": (
        [
            ("03-13 09:31", "SPY@options 2026-04-17 C600", BUY, 1),
        ],
        0,
    ),
    "tastytrade.csv": (
        [
            ("03-13 10:00", "SPY@options 2026-04-17 C600", BUY, 1),
            ("03-13 14:30", "SPY@options 2026-04-17 C600", SELL, 1),
        ],
        2,
    ),
    "schwab.csv": (
        [
            ("03-12 09:30", "SPY@options 2026-04-17 C600", BUY, 1),
            ("03-13 09:30", "AMC", BUY, 1050),
            ("03-13 09:30", "AMC", SELL, 1050),
        ],
        1,
    ),
    "fidelity.csv": (
        [
            ("03-12 09:30", "SPY@options 2026-04-17 C600", BUY, 1),
            ("03-13 09:30", "AMC", BUY, 100),
            ("03-13 09:30", "AMC", SELL, 100),
        ],
        1,
    ),
    "robinhood.csv": (
        [
            ("03-13 09:30", "AMC", BUY, 100),
            ("03-13 09:30", "AMC", SELL, 100),
            ("03-13 09:30", "SPY@options 2026-04-17 C600", BUY, 1),
        ],
        2,
    ),
    "tradestation.csv": (
        [
            ("03-13 09:31", "AMC", BUY, 100),
            ("03-13 10:00", "AMC", SELL, 100),
        ],
        1,
    ),
    "blotter.csv": (
        [
            ("03-13 09:31", "AMC", BUY, 100),
            ("03-13 10:00", "AMC", SELL, 100),
            ("03-13 11:00", "IBM", SELL, 10),
            ("03-13 11:30", "IBM", BUY, 10),
        ],
        0,
    ),
    "alpaca.json": (
        [
            ("03-13 10:00", "AAPL", BUY, 10),
            ("03-13 11:00", "AAPL", SELL, 10),
        ],
        1,
    ),
    "tradestation.json": (
        [
            ("03-13 09:31", "AMC", BUY, 100),
            ("03-13 10:00", "AMC", SELL, 100),
        ],
        1,
    ),
}
"""File -> its trades, and how many rows are left out."""


@pytest.mark.parametrize("broker", LISTS)
def test_lists_of_brokers_are_counted_as_by_hand(broker: str) -> None:
    right, dropped = LISTS[broker]
    report = read(sample(broker), broker)
    assert sorted(reported(report)) == sorted(right)
    assert report.dropped == dropped


def test_dates_alone_are_put_in_the_order_that_makes_the_most_day_trades() -> None:
    rows = "".join(
        f'"03/13/2026","{side}","AMC","","{quantity}","$5","","$1"\n'
        for side, quantity in (("Sell", 1), ("Sell", 2), ("Buy", 3), ("Buy", 4))
    )
    report = read(f'"Date","Action","Symbol","Description","Quantity","Price","Fees & Comm","Amount"\n{rows}')
    ordered = sorted(report.executions, key=lambda row: row.filled_at)
    assert [(row.side, row.quantity) for row in ordered] == [(BUY, 3), (SELL, 1), (BUY, 4), (SELL, 2)]
    assert "may be too high" in report.warnings[0]


class TestRefusals:
    OWN = "Time,Symbol,Side,Quantity,Account\n"

    def test_a_time_without_a_zone_in_an_unknown_list_names_the_setting(self) -> None:
        text = self.OWN + "2026-03-13 10:00:00,AMC,BUY,1,\n"
        with pytest.raises(InputError, match="has no offset from UTC"):
            read(text)
        hints = FileHints(section="executions", zone="America/New_York")
        assert reported(read(text, hints=hints)) == [("03-13 10:00", "AMC", BUY, 1)]

    def test_several_accounts_are_refused_or_chosen(self) -> None:
        text = self.OWN + "2026-03-13T10:00:00Z,AMC,BUY,1,U1234567\n2026-03-13T10:01:00Z,AMC,BUY,2,U7654321\n"
        with pytest.raises(InputError, match="holds 2 accounts"):
            read(text)
        assert [row.quantity for row in read(text, account="U7654321").executions] == [2]
        with pytest.raises(InputError, match="holds no account"):
            read(text, account="U9")

    def test_nothing_countable_says_what_is_there_instead(self) -> None:
        text = (
            '"Date","Action","Symbol","Description","Quantity","Price","Fees & Comm","Amount"\n'
            '"03/12/2026","Cash Dividend","KO","","","","","$12.00"\n'
            '"03/12/2026","Cash Dividend","T","","","","","$1.00"\n'
        )
        with pytest.raises(InputError, match="no trade that counts: 2 cash dividend") as caught:
            read(text)
        assert caught.value.code == "no_executions"

    def test_a_strike_that_no_option_has_is_refused(self) -> None:
        text = sample("thinkorswim.csv").replace(",600,CALL", f",6{'0' * 40},CALL")
        with pytest.raises(InputError, match="are no expiry and strike"):
            read(text)

    def test_all_bad_rows_are_reported_at_once(self) -> None:
        with pytest.raises(InputError, match="3 problems") as caught:
            read(self.OWN + "soon,AMC,BUY,1,\n2026-03-13T10:00:00Z,AMC,HOLD,1,\n2026-03-13T10:00:00Z,AMC,BUY,many,\n")
        assert caught.value.details["problem_count"] == 3

    def test_a_date_with_two_readings_names_the_setting(self) -> None:
        with pytest.raises(InputError, match="with the month first") as caught:
            read(self.OWN + "11/12/2026 10:00:00 EST,AMC,BUY,1,\n")
        assert "executions.dates" in caught.value.hint

    def test_columns_can_be_named_by_the_configuration(self) -> None:
        hints = FileHints(section="executions", columns={"time": "When", "quantity": "Menge"})
        report = read("When,Symbol,Side,Menge\n2026-03-13T10:00:00-04:00,AMC,BUY,1\n", hints=hints)
        assert reported(report) == [("03-13 10:00", "AMC", BUY, 1)]


class TestFlex:
    def test_the_column_of_quantities_may_be_named_for_the_side_too(self) -> None:
        hints = FileHints(section="executions", columns={"side": "Quantity", "symbol": "ISIN"}, zone="Europe/Amsterdam")
        text = "Date,Time,ISIN,Quantity\n13-03-2026,16:30,US00165C1045,-10\n13-03-2026,15:45,US00165C1045,10\n"
        assert reported(read(text, hints=hints)) == [
            ("03-13 10:45", "US00165C1045", BUY, 10),
            ("03-13 11:30", "US00165C1045", SELL, 10),
        ]

    def test_a_failed_request_is_reported_as_what_it_is(self) -> None:
        text = (
            "<FlexStatementResponse timestamp='x'><Status>Fail</Status><ErrorCode>1012</ErrorCode>"
            "<ErrorMessage>Token has expired.</ErrorMessage></FlexStatementResponse>"
        )
        with pytest.raises(InputError, match=r"answer of the Flex web service, error 1012: Token has expired"):
            read(text, "x.xml")

    def test_rows_with_section_codes_are_read(self) -> None:
        text = (
            '"BOF","U1234567","q","1","20260713","20260717","20260717;194114","2.0"\n"BOA","U1234567"\n'
            '"BOS","TRNT","Trades; trade date basis"\n'
            '"HEADER","TRNT","ClientAccountID","AssetClass","Symbol","DateTime","Buy/Sell","Quantity","IBExecID","TransactionType"\n'
            '"DATA","TRNT","U1234567","STK","ABC","20260716;103000","BUY","100","01.01","ExchTrade"\n'
            '"EOS","TRNT","1"\n"BOS","CRTT","Cash"\n"HEADER","CRTT","ClientAccountID","StartingCash"\n"DATA","CRTT","U1234567","5"\n'
            '"EOS","CRTT","1"\n"EOA","U1234567"\n"EOF","U1234567"\n'
        )
        report = read(text)
        assert reported(report) == [("07-16 10:30", "ABC", BUY, 100)]
        assert (report.since, report.until) == (date(2026, 7, 13), date(2026, 7, 17))

    def test_options_in_csv_are_the_same_series_as_in_xml(self) -> None:
        text = (
            '"ClientAccountID","AssetClass","Symbol","UnderlyingSymbol","Strike","Expiry","Put/Call","DateTime","Buy/Sell","Quantity","IBExecID"\n'
            '"U1","OPT","SPY   260417C00600000","SPY","600","20260417","C","20260716;103000","BUY","1","01.01"\n'
        )
        (row,) = read(text).executions
        assert (row.security, row.sec_type) == ("SPY@options 2026-04-17 C600", SecType.OPT)
