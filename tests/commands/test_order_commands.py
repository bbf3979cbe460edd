"""``apex move-stop`` and ``apex cancel``: the dashboard's acts, typed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

LATER = {
    "symbol": "IBM",
    "signal_type": "BUY",
    "entry_price": "94.00",
    "stop_loss": "91.00",
    "target_price": "104.00",
    "confidence": 0.9,
    "signal_id": "ibm-below",
    "timestamp": "2004-02-26T20:30:00Z",
    "expires_at": "2004-03-10T20:00:00Z",
}


def stop_of(apex_json: Callable[..., Any], symbol: str) -> str:
    rows = apex_json("orders", "--symbol", symbol).data["orders"]
    (stop,) = [row["stop_price"] for row in rows if row["role"] == "STOP"]
    return str(stop)


@pytest.mark.usefixtures("traded")
class TestMoveStop:
    def test_each_place_of_its_stops_is_named_once(self, apex_json: Callable[..., Any]) -> None:
        apex_json("close", "AAPL", "--fraction", "0.5", "--limit", "30", "--yes")
        refused = apex_json("move-stop", "AAPL", "20", "--yes")
        assert refused.error["message"] == "AAPL: a stop at 20 risks more than the one at 22.30."

    def test_it_goes_nearer_and_farther_only_where_that_is_meant(self, apex_json: Callable[..., Any]) -> None:
        moved = apex_json("move-stop", "AAPL", "22.60", "--yes").data
        assert moved == {"symbol": "AAPL", "from_price": "22.30", "to_price": "22.60", "quantity": 6}
        refused = apex_json("move-stop", "aapl", "22.00", "--yes")
        assert (refused.status, refused.error["code"]) == (4, "stop_widens")
        assert "--wider" in refused.error["hint"]
        assert stop_of(apex_json, "AAPL") == "22.60"
        assert apex_json("move-stop", "AAPL", "22.00", "--wider", "--yes").data["to_price"] == "22.00"
        assert stop_of(apex_json, "AAPL") == "22.00"

    @pytest.mark.parametrize(
        ("line", "status", "code"),
        [
            (("AAPL",), 2, "stop_where"),
            (("AAPL", "22.60", "--break-even", "--yes"), 2, "stop_where"),
            (("AAPL", "22.60"), 2, "confirmation_needed"),
            (("1", "22.60", "--yes"), 2, "number_needs_a_look"),
            (("TSLA", "22.60", "--yes"), 8, "no_position"),
            (("AAPL", "22.30", "--yes"), 8, "stop_there"),
            (("AAPL", "--break-even", "--yes"), 4, "stop_passed"),  # the price is at the entry
        ],
    )
    def test_what_cannot_be_meant_moves_nothing(
        self, apex_json: Callable[..., Any], line: tuple[str, ...], status: int, code: str
    ) -> None:
        answer = apex_json("move-stop", *line)
        assert (answer.status, answer.error["code"]) == (status, code)
        assert stop_of(apex_json, "AAPL") == "22.30"


class TestCancel:
    @pytest.fixture
    def entry(self, traded: Path, apex_json: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> str:
        """Return the id of an entry that rests below the price."""
        monkeypatch.setenv("APEX_EXECUTION__ENTRY_ORDER", "limit")
        monkeypatch.setenv("APEX_EXECUTION__AUTO_MIN_SCORE", "0")
        monkeypatch.setenv("APEX_RISK__MAX_PRICE_DEVIATION_PCT", "0.2")
        (traded / "later.json").write_text(json.dumps([LATER]))
        apex_json("run", "--once", "-s", "later.json")
        (row,) = apex_json("orders", "--symbol", "IBM").data["orders"][:1]
        assert (row["role"], row["status"]) == ("ENTRY", "WORKING")
        return str(row["client_order_id"])

    @pytest.mark.parametrize("name", ["IBM", "ibm", "o7"])
    def test_an_entry_goes_and_exits_stay(self, apex_json: Callable[..., Any], entry: str, name: str) -> None:
        (done,) = apex_json("cancel", name, "--yes").data["cancelled"]
        assert done == {"symbol": "IBM", "client_order_ids": [entry]}
        assert apex_json("orders", "--symbol", "IBM").data["orders"] == []
        assert apex_json("cancel", name, "--yes").error["code"] == "no_entry"
        assert stop_of(apex_json, "AAPL") == "22.30"

    def test_protection_is_never_cancelled_and_a_script_says_yes(
        self, apex_json: Callable[..., Any], entry: str
    ) -> None:
        assert entry
        assert apex_json("cancel", "IBM").error["code"] == "confirmation_needed"
        assert apex_json("cancel", "o2", "--yes").error["code"] == "not_an_entry"
        assert apex_json("cancel", "MSFT", "--yes").error["code"] == "no_entry"
        assert len(apex_json("orders").data["orders"]) >= 5
