from __future__ import annotations

import json
import os
import struct
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def ended(demo: Path, apex: Callable[..., Any]) -> Path:
    """Stand in the demo after both trades have ended."""
    assert apex("run", "--once", "--quiet").status == 0
    assert apex("run", "--once", "--bars-until", "2004-03-12", "--quiet").status == 0
    return demo


@pytest.mark.usefixtures("demo")
def test_a_strategy_has_the_name_that_its_signals_gave_it(apex: Callable[..., Any]) -> None:
    apex("run", "--once", "--quiet")
    apex("approve", "--all", "--yes", "--quiet")
    apex("run", "--once", "--bars-until", "2004-03-12", "--quiet")
    assert "mean_reversion" in apex("report").out


@pytest.mark.usefixtures("ended")
def test_the_report_reports_what_the_trades_came_to(apex: Callable[..., Any], apex_json: Callable[..., Any]) -> None:
    data = apex_json("report").data
    assert data["statistics"]["round_trips"] == 2
    assert data["statistics"]["net_pnl"] == "8.11"
    assert [row["strategy"] for row in data["by_strategy"]] == ["breakout", "pullback"]
    assert [row["exit_reason"] for row in data["by_exit_reason"]] == ["target", "stop"]
    assert data["drawdown"]["amount"] == "5.25"
    assert data["sharpe"] is None
    assert {row["code"] for row in data["refusals"]} >= {"duplicate_symbol", "signal_expired"}
    assert data["slippage"]["orders"] == 4
    assert data["commission"] == "4.00"
    shown = apex("report").out
    for text in ("Win rate", "By strategy", "By exit", "Not traded, by reason", "Slippage", "+3.0 R"):
        assert text in shown
    assert apex_json("history").data["statistics"]["pnl"] == data["statistics"]["pnl"]


@pytest.mark.usefixtures("ended")
def test_only_the_named_sessions_count(apex_json: Callable[..., Any]) -> None:
    data = apex_json("report", "--from", "2004-03-06", "--to", "2004-03-31").data
    assert (data["from"], data["to"], data["statistics"]["round_trips"]) == ("2004-03-06", "2004-03-31", 1)
    assert apex_json("report", "--to", "2004-03-01").data["statistics"]["round_trips"] == 0


class Page(HTMLParser):
    """Keeps tags, and what they would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.fetched: list[str] = []
        self.ids: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.ids |= {value or "" for name, value in attrs if name == "id"}
        self.fetched += [value or "" for name, value in attrs if name in {"src", "href"}]


@pytest.mark.usefixtures("ended")
def test_the_page_stands_alone(apex_json: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    assert apex_json("report", "--html", str(path)).data["html"] == str(path)
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    assert "script" not in page.tags
    assert page.tags.count("svg") == 7  # two curves, R, worst and best on the way, and each of the two trades
    assert page.fetched == ["data:,", "#t1", "#t2"]
    assert page.ids >= {"t1", "t2", "trades", "months"}
    assert "prefers-color-scheme: dark" in path.read_text(encoding="utf-8")
    assert [found.name for found in tmp_path.iterdir() if found.suffix != ""] == ["report.html"]


@pytest.mark.usefixtures("ended")
@pytest.mark.parametrize("command", ["report", "replay"])
def test_the_picture_is_a_whole_png(apex_json: Callable[..., Any], tmp_path: Path, command: str) -> None:
    path = tmp_path / "picture.png"
    assert apex_json(command, "--png", str(path)).data["png"] == str(path)
    picture = path.read_bytes()
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    assert picture[-8:-4] == b"IEND"
    width, height = struct.unpack(">II", picture[16:24])
    assert width == 2100
    assert height > 1000
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.usefixtures("ended")
def test_without_its_extra_there_is_no_picture(
    apex_json: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    answer = apex_json("report", "--png", str(tmp_path / "picture.png"))
    assert (answer.status, answer.error["code"]) == (3, "extra_missing")
    assert "png" in answer.error["hint"]
    assert not (tmp_path / "picture.png").exists()


@pytest.mark.usefixtures("ended")
def test_words_of_a_signal_are_text_on_the_page(apex: Callable[..., Any], ended: Path) -> None:
    signal = {
        "symbol": "<b>X",
        "signal_type": "BUY",
        "entry_price": 5,
        "stop_loss": 4,
        "target_price": 9,
        "strategy": "<script>alert(1)</script>",
    }
    (ended / "bad.json").write_text(json.dumps([signal]), encoding="utf-8")
    apex("run", "--once", "--signals", "bad.json")
    assert apex("report", "--html", "r.html").status == 0
    assert "<script" not in (ended / "r.html").read_text(encoding="utf-8")


def test_wrong_words_are_reported(apex_json: Callable[..., Any], traded: Path) -> None:
    swapped = apex_json("report", "--from", "2026-02-01", "--to", "2026-01-01")
    assert (swapped.status, swapped.error["code"]) == (2, "span_invalid")
    assert traded.is_dir()
    for line in (("report", "--html", "no/such/folder/r.html"), ("export", "trades", "--out", "no/such/folder/t.csv")):
        nowhere = apex_json(*line)
        assert (nowhere.status, nowhere.error["code"]) == (2, "page_not_written")


@pytest.mark.parametrize("line", [("report", "--html"), ("report", "--png"), ("export", "trades", "--out")])
def test_only_a_file_of_its_kind_is_replaced(
    apex_json: Callable[..., Any], traded: Path, line: tuple[str, ...]
) -> None:
    config = (traded / "config.yaml").read_bytes()
    (traded / "link").symlink_to("nowhere")
    os.mkfifo(traded / "pipe")
    for name in ("config.yaml", "link", "pipe"):
        refused = apex_json(*line, name)
        assert (refused.status, refused.error["code"]) == (2, "page_not_written")
        assert name in refused.error["message"]
    assert (traded / "config.yaml").read_bytes() == config
    assert (traded / "link").is_symlink()
    assert (traded / "pipe").is_fifo()
    for _ in range(2):
        assert apex_json(*line, "own").status == 0


@pytest.mark.usefixtures("configured")
def test_nothing_traded_is_said(apex: Callable[..., Any], here: Path) -> None:
    assert here.is_dir()
    answer = apex("report")
    assert answer.status == 0
    assert "No closed trades" in answer.out


@pytest.mark.usefixtures("ended")
def test_a_voided_trade_is_not_counted(apex_json: Callable[..., Any], ended: Path) -> None:
    (path,) = [p for p in (ended / "state" / "journal").iterdir() if b"round_trip_closed" in p.read_bytes()]
    lines = path.read_bytes().splitlines(keepends=True)
    closed = next(line for line in lines if b'"kind":"round_trip_closed"' in line)
    seq = json.loads(lines[-1])["seq"]
    voided = json.loads(closed) | {"seq": seq + 1, "kind": "round_trip_voided"}
    path.write_bytes(b"".join(lines) + json.dumps(voided, separators=(",", ":")).encode() + b"\n")
    assert apex_json("report").data["statistics"]["round_trips"] == 1


@pytest.mark.usefixtures("ended")
def test_each_trade_of_the_page_says_what_was_planned(apex: Callable[..., Any], ended: Path) -> None:
    assert apex("report", "--html", "r.html").status == 0
    page = (ended / "r.html").read_text(encoding="utf-8")
    assert "breakout: score 0.56, confidence" in page
    assert "Its plan is not known" not in page
    assert "Dashed" not in page  # three symbols, and none of them is the market
    assert apex("report", "--html", "r.html", "--benchmark", "ibm").status == 0
    assert "Dashed: the same money in IBM" in (ended / "r.html").read_text(encoding="utf-8")


@pytest.mark.usefixtures("ended")
def test_a_benchmark_without_bars_is_reported(apex_json: Callable[..., Any]) -> None:
    answer = apex_json("report", "--html", "r.html", "--benchmark", "QQQ")
    assert (answer.status, answer.error["code"]) == (2, "benchmark_unknown")
    assert "AAPL, IBM, MSFT" in answer.error["hint"]


@pytest.mark.usefixtures("ended")
def test_without_bars_the_page_still_lists_every_trade(apex: Callable[..., Any], ended: Path) -> None:
    (ended / "bars").rename(ended / "elsewhere")
    assert apex("report", "--html", "r.html").status == 0
    page = (ended / "r.html").read_text(encoding="utf-8")
    assert page.count("<article") == 2
    assert "No bars of the time" in page
