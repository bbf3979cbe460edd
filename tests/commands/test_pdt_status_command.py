"""``apex pdt-status`` and ``apex import-fills``: the page, the JSON contract, files in, errors by field."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

NAMES = [
    "regimes",
    "regime_source",
    "session_date",
    "window",
    "day_trades_by_session",
    "window_count",
    "alternative_counts",
    "uncertain",
    "remaining",
    "forecast",
    "broker_forecast",
    "broker_remaining",
    "mismatch",
    "order",
    "intraday",
    "partial",
    "regime_at",
    "mismatch_reason",
    "opened_today",
    "leaves_window",
    "spreads",
    "deficits",
]


def execution(word: str, at: str, exec_id: str, symbol: str = "XYZ") -> dict[str, Any]:
    return {
        "time": f"{at}-05:00",
        "symbol": symbol,
        "side": "BUY" if word[0] == "B" else "SELL",
        "quantity": int(word[1:]),
        "exec_id": exec_id,
    }


SITUATION: dict[str, Any] = {
    "account": {
        "type": "margin",
        "equity_prev_close": 10_000,
        "equity_now": 10_000,
        "net_cash": 10_000,
        "equity_with_loan": 10_000,
        "maint_margin_req": 0,
        "broker_day_trades_remaining": 0,
    },
    "as_of": "2026-11-30T10:00:00-05:00",
    "start_positions": {"ABC": 70},
    "executions": [
        execution("B1", "2026-11-20T10:00:00", "1"),
        execution("S1", "2026-11-20T10:01:00", "2"),
        execution("B1", "2026-11-24T10:00:00", "3"),
        execution("S1", "2026-11-24T10:01:00", "4"),
        execution("B5", "2026-11-24T10:02:00", "5", "IBM"),
        execution("S5", "2026-11-24T10:03:00", "6", "IBM"),
    ],
    "order": {"side": "SELL", "symbol": "ABC", "quantity": 100, "price": 50},
    "what_if": {"equity_with_loan_after": 10_000, "maint_margin_after": 450, "init_margin_after": 750},
}


@pytest.fixture
def situation(here: Path) -> Callable[..., Path]:
    def write(**changes: Any) -> Path:
        path = here / "situation.json"
        path.write_text(json.dumps({**SITUATION, **changes}))
        return path

    return write


class TestFrom:
    def test_the_json_has_exactly_these_names(
        self, apex_json: Callable[..., Any], situation: Callable[..., Path]
    ) -> None:
        data = apex_json("pdt-status", "--from", str(situation())).data
        assert list(data) == NAMES
        assert list(data["order"])[:2] == ["decision", "reasons"]
        assert all(list(reason) == ["code", "message"] for reason in data["order"]["reasons"])
        assert list(data["intraday"]) == ["level_before", "level_after", "reducing", "deficit", "de_minimis"]

    def test_a_situation_is_worked_out_to_the_end(
        self, apex_json: Callable[..., Any], situation: Callable[..., Path]
    ) -> None:
        data = apex_json("pdt-status", "--from", str(situation())).data
        assert data["regimes"] == ["classic", "intraday_margin"]
        assert data["window"] == ["2026-11-23", "2026-11-24", "2026-11-25", "2026-11-27", "2026-11-30"]
        assert data["day_trades_by_session"] == dict(zip(data["window"], [0, 2, 0, 0, 0], strict=True))
        assert (data["window_count"], data["remaining"], data["broker_remaining"]) == (2, 0, 0)
        assert (data["mismatch"], data["forecast"]) == (True, [0, 0, 2, 2, 2])
        assert data["leaves_window"] == {"2026-11-24": "2026-12-02"}
        order = data["order"]
        assert order["decision"] == "block"
        assert [reason["code"] for reason in order["reasons"]] == ["no_day_trade_left", "closing_only"]
        assert (order["closing_quantity"], order["opening_quantity"], order["offer_quantity"]) == (70, 30, 70)
        assert data["intraday"] == {
            "level_before": "10000.00",
            "level_after": "9550.00",
            "reducing": True,
            "deficit": "0.00",
            "de_minimis": False,
        }

    def test_the_page_reports_it_to_people(self, apex: Callable[..., Any], situation: Callable[..., Path]) -> None:
        out = apex("pdt-status", "--from", str(situation())).out
        for words in (
            "pattern day trader (classic) + intraday margin",
            "0 of 3: nothing may be opened",
            "0 remaining; our count says 1",
            "2026-11-24  ●●",
            "Fri, half day",
            "on 2026-12-02",
            "T+2      2026-12-02          2",
            "Order: block",
            "SELL 70 is allowed",
        ):
            assert words in out

    def test_nothing_is_read_from_or_written_to_the_state(
        self, apex_json: Callable[..., Any], situation: Callable[..., Path], here: Path
    ) -> None:
        (here / "state").mkdir()
        (here / "state" / "state.json").write_text("damaged")
        path = situation()
        before = sorted(here.rglob("*"))
        assert apex_json("pdt-status", "--from", str(path)).status == 0
        assert apex_json("pdt-status", "--executions", str(path)).status == 0
        assert sorted(here.rglob("*")) == before

    def test_an_empty_file_is_an_unknown_account_that_may_not_open(
        self, apex: Callable[..., Any], apex_json: Callable[..., Any], here: Path
    ) -> None:
        (here / "s.yaml").write_text("order: {side: BUY, symbol: X, quantity: 1}\nas_of: 2026-11-24T10:00:00-05:00\n")
        data = apex_json("pdt-status", "--from", "s.yaml").data
        assert data["regimes"] == ["unknown"]
        assert data["order"]["decision"] == "block"
        assert "rule unknown: nothing is opened" in apex("pdt-status", "--from", "s.yaml").out

    def test_as_of_comes_from_the_option_first_and_later_executions_are_left_out(
        self, apex_json: Callable[..., Any], situation: Callable[..., Path]
    ) -> None:
        answer = apex_json("pdt-status", "--from", str(situation()), "--as-of", "2026-11-24T10:00:30-05:00")
        assert answer.data["window_count"] == 1
        assert [warning["code"] for warning in answer.envelope["warnings"]] == ["later_executions"]

    def test_without_a_time_it_is_now_or_the_newest_execution(
        self, apex_json: Callable[..., Any], situation: Callable[..., Path]
    ) -> None:
        late = [execution("B1", "2027-11-24T10:00:00", "1"), execution("S1", "2027-11-24T10:01:00", "2")]
        data = apex_json("pdt-status", "--from", str(situation(as_of=None, executions=late, order=None))).data
        assert (data["session_date"], data["window_count"], data["order"]) == ("2027-11-24", 1, None)

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"as_of": "2026-11-30T10:00:00"}, "as_of"),
            ({"as_of": "2228-11-30T10:00:00Z"}, "as_of"),
            ({"executions": [execution("B0", "2026-11-24T10:00:00", "1")]}, "executions[0].quantity"),
            ({"order": {**SITUATION["order"], "sec_type": "CFD"}}, "order.sec_type"),
            ({"account": {"type": "margin", "leverage": 4}}, "account"),
        ],
    )
    def test_wrong_input_is_refused_with_the_fields_name(
        self, apex_json: Callable[..., Any], situation: Callable[..., Path], changes: dict[str, Any], field: str
    ) -> None:
        answer = apex_json("pdt-status", "--from", str(situation(**changes)))
        assert (answer.status, answer.error["code"]) == (2, "input_invalid")
        assert f"situation.json: {field}:" in answer.error["message"]

    def test_past_the_calendar_it_is_evaluated_by_rule_with_a_warning(
        self, apex_json: Callable[..., Any], situation: Callable[..., Path]
    ) -> None:
        answer = apex_json("pdt-status", "--from", str(situation(as_of="2028-11-30T10:00:00-05:00", executions=[])))
        assert (answer.status, answer.data["session_date"]) == (0, "2028-11-30")
        (warning,) = [each for each in answer.envelope["warnings"] if each["code"] == "calendar_uncertain"]
        assert "outside the NYSE calendar, which covers 2000-01-01 to 2027-12-31" in warning["message"]

    @pytest.mark.usefixtures("configured")
    def test_a_naive_as_of_is_refused(self, apex_json: Callable[..., Any]) -> None:
        answer = apex_json("pdt-status", "--as-of", "2026-11-24T10:00:00")
        assert (answer.status, answer.error["message"][:7]) == (2, "--as-of")

    def test_a_missing_file_is_usage(self, apex_json: Callable[..., Any]) -> None:
        assert apex_json("pdt-status", "--from", "missing.json").status == 2


class TestExecutions:
    def test_a_list_is_counted_for_the_configured_account(
        self, apex_json: Callable[..., Any], situation: Callable[..., Path]
    ) -> None:
        at = ("--as-of", "2026-11-30T10:00:00-05:00")
        data = apex_json("pdt-status", "--executions", str(situation()), *at).data
        assert (data["regimes"], data["window_count"], data["remaining"]) == (["classic"], 2, 1)
        assert data["partial"] is False
        newer = situation(executions=SITUATION["executions"][2:])
        assert apex_json("pdt-status", "--executions", str(newer), *at).data["partial"] is True

    def test_they_take_the_place_of_a_situations_own(
        self, apex_json: Callable[..., Any], situation: Callable[..., Path], here: Path
    ) -> None:
        (here / "one.csv").write_text("time,symbol,side,quantity\n2026-11-30T09:45:00-05:00,XYZ,BUY,1\n")
        data = apex_json("pdt-status", "--from", str(situation()), "--executions", "one.csv").data
        assert (data["window_count"], data["partial"]) == (0, True)

    def test_a_file_with_nothing_to_count_is_no_count_of_zero(self, apex_json: Callable[..., Any], here: Path) -> None:
        (here / "none.csv").write_text("time,symbol,side,quantity\n")
        found = apex_json("pdt-status", "--executions", "none.csv")
        assert (found.status, found.error["code"]) == (2, "no_executions")

    def test_dates_without_times_are_counted_for_the_worse_and_said_so(
        self, apex_json: Callable[..., Any], here: Path
    ) -> None:
        (here / "schwab.csv").write_text(
            '"Date","Action","Symbol","Description","Quantity","Price","Fees & Comm","Amount"\n'
            '"03/13/2026","Sell","AMC","","100","$5.30","","$530"\n"03/13/2026","Buy","AMC","","100","$5","","-$500"\n'
        )
        at = "2026-03-13T18:00:00-04:00"
        found = apex_json("pdt-status", "--executions", "schwab.csv", "--as-of", at)
        assert found.data["window_count"] == 1
        assert found.envelope["warnings"][0]["code"] == "executions_inexact"

    def test_one_of_several_accounts_is_chosen(self, apex_json: Callable[..., Any], here: Path) -> None:
        rows = "".join(
            f"2026-03-13T1{hour}:00:00-04:00,AMC,{side},1,{account}\n"
            for account in ("U1234567", "U7654321")
            for hour, side in enumerate(("BUY", "SELL"))
        )
        (here / "two.csv").write_text("time,symbol,side,quantity,account\n" + rows)
        at = ("--as-of", "2026-03-13T18:00:00-04:00")
        assert apex_json("pdt-status", "--executions", "two.csv", *at).status == 2
        found = apex_json("pdt-status", "--executions", "two.csv", "--account", "U1234567", *at)
        assert found.data["window_count"] == 1


FLEX = """<FlexQueryResponse><FlexStatements>
<FlexStatement accountId="U1" fromDate="20040220" toDate="20040226"><Trades>
<Trade assetCategory="STK" symbol="XYZ" dateTime="20040225;100000" buySell="BUY" quantity="5" ibExecID="a.01"/>
<Trade assetCategory="STK" symbol="XYZ" dateTime="20040225;110000" buySell="SELL" quantity="-5" ibExecID="b.01"/>
<Trade assetCategory="FUT" symbol="ES" dateTime="20040225;110000" buySell="SELL" quantity="-1" ibExecID="c.01"/>
</Trades></FlexStatement></FlexStatements></FlexQueryResponse>"""


THREE_DAY_TRADES = "time,symbol,side,quantity\n" + "".join(
    f"2004-02-26T09:3{number}:{second}-05:00,S{number},{side},1\n"
    for number in range(3)
    for second, side in (("10", "BUY"), ("20", "SELL"))
)


@pytest.mark.usefixtures("traded")
class TestImport:
    def test_a_report_is_fetched_from_the_web_service(
        self, apex_json: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        started = (
            b"<FlexStatementResponse><Status>Success</Status><ReferenceCode>7</ReferenceCode></FlexStatementResponse>"
        )
        answers = {"SendRequest": started, "GetStatement": FLEX.encode()}

        class Service(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(answers[urlsplit(self.path).path.rpartition("/")[2]])

            def log_message(self, *_: object) -> None:
                pass

        assert apex_json("import-fills", "--flex-query", "42").error["code"] == "flex_token_missing"
        monkeypatch.setenv("APEX_FLEX_TOKEN", "123456789")
        with HTTPServer(("127.0.0.1", 0), Service) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.01,))
            thread.start()
            monkeypatch.setenv("APEX_EXECUTIONS__FLEX_URL", f"http://127.0.0.1:{server.server_port}")
            got = apex_json("import-fills", "--flex-query", "42")
            server.shutdown()
            thread.join()
        assert (got.status, got.data["added"]) == (0, 2)

    def test_a_report_completes_the_count_and_moves_nothing(self, apex_json: Callable[..., Any]) -> None:
        Path("trades.xml").write_text(FLEX)
        held = apex_json("positions").data
        assert apex_json("pdt-status").data["partial"] is True
        got = apex_json("import-fills", "trades.xml").data
        assert got == {
            "added": 2,
            "known": 0,
            "too_old": 0,
            "not_counted": 1,
            "covered_since": "2004-02-20",
            "partial": False,
        }
        data = apex_json("pdt-status").data
        assert (data["window_count"], data["remaining"], data["partial"]) == (1, 2, False)
        assert data["day_trades_by_session"]["2004-02-25"] == 1
        assert apex_json("positions").data == held

    def test_twice_is_as_good_as_once(self, apex_json: Callable[..., Any]) -> None:
        Path("trades.xml").write_text(FLEX)
        apex_json("import-fills", "trades.xml")
        again = apex_json("import-fills", "trades.xml")
        assert (again.status, again.data["added"], again.data["known"]) == (0, 0, 2)
        assert apex_json("pdt-status").data["window_count"] == 1

    def test_a_bad_row_leaves_everything_as_it_was(self, apex_json: Callable[..., Any]) -> None:
        Path("trades.xml").write_text(FLEX.replace('quantity="-5"', 'quantity="0"'))
        answer = apex_json("import-fills", "trades.xml")
        assert (answer.status, answer.error["code"]) == (2, "input_invalid")
        assert "Trade[1].quantity" in answer.error["message"]
        assert apex_json("pdt-status").data["window_count"] == 0

    def test_people_see_what_came_of_it(self, apex: Callable[..., Any]) -> None:
        Path("trades.xml").write_text(FLEX)
        out = apex("import-fills", "trades.xml").out
        assert "Added          2" in out
        assert "Covered since  2004-02-20" in out

    def test_the_fourth_day_trade_by_a_close_is_warned_of_and_done(self, apex_json: Callable[..., Any]) -> None:
        rows = "time,symbol,side,quantity\n"
        for number in range(3):
            rows += (
                f"2004-02-26T09:3{number}:00-05:00,S{number},BUY,1\n2004-02-26T09:4{number}:00-05:00,S{number},SELL,1\n"
            )
        Path("fills.csv").write_text(rows)
        apex_json("import-fills", "fills.csv")
        answer = apex_json("close", "MSFT", "--yes")
        assert answer.status == 0
        assert [warning["code"] for warning in answer.envelope["warnings"]] == ["fourth_day_trade"]
        assert answer.data["closed"][0]["status"] == "closed"
        assert apex_json("pdt-status").data["window_count"] == 4

    def test_at_none_left_an_approval_reports_so_and_stays(self, apex_json: Callable[..., Any]) -> None:
        rows = "time,symbol,side,quantity\n"
        for number in range(3):
            rows += (
                f"2004-02-26T09:3{number}:00-05:00,S{number},BUY,1\n2004-02-26T09:4{number}:00-05:00,S{number},SELL,1\n"
            )
        Path("fills.csv").write_text(rows)
        apex_json("import-fills", "fills.csv")
        (waiting,) = apex_json("approve").data["approvals"]
        assert "day_trades" in [reason["code"] for reason in waiting["now"]["reasons"]]
        assert apex_json("approve", waiting["approval_id"], "--yes").status == 4
