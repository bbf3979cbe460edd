from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

REPLAY = {
    "breakeven", "net_wins", "net_losses", "net_breakeven", "net_win_rate",
    "round_trips", "wins", "losses", "win_rate", "pnl", "commission", "net_pnl", "profit_factor", "expectancy_r",
    "from", "to", "symbols", "bars", "steps", "seed", "fill", "signals", "outcomes", "refusals", "expired_entries",
    "dividends", "net_expectancy_r",
    "net_expectancy_r_90", "sharpe", "ratios", "max_drawdown", "max_drawdown_from", "max_drawdown_to", "exposure",
    "start_equity", "end_equity", "day_trades", "open_positions", "adaptations", "alarms", "problems",
    "trades", "equity",
}  # fmt: skip


def test_a_replay_reads_the_configured_bars_and_touches_no_state(demo: Path, apex: Any) -> None:
    answer = apex("replay")
    assert answer.status == 0
    for words in ("Win rate", "After costs", "Sharpe", "Max drawdown", "Exposure", "Day trades", "Equity", "Drawdown"):
        assert words in answer.out
    assert "▇" in answer.out
    assert not (demo / "state").exists()


def test_its_json_has_stable_names_and_decimals_as_text(demo: Path, apex_json: Any) -> None:
    data = apex_json("replay", "--bars", str(demo / "bars"), "--from", "2003-10-01", "--to", "2004-03-31").data
    assert set(data) == REPLAY
    assert data["symbols"] == ["AAPL", "IBM", "MSFT"]
    assert data["from"].startswith("2003-10-01T")
    assert data["to"].startswith("2004-03-31T")
    assert isinstance(data["net_pnl"], str)
    assert isinstance(data["max_drawdown"], str)
    assert data["round_trips"] == len(data["trades"])
    assert data["steps"] == len(data["equity"])
    assert sum(data["outcomes"].values()) == data["signals"]


def test_signals_of_a_file_are_replayed_by_their_time(demo: Path, apex_json: Any) -> None:
    data = apex_json("replay", "--signals", str(demo / "signals.json"), "--to", "2004-03-12").data
    won = {trade["signal_id"]: trade["exit_reason"] for trade in data["trades"]}
    # The sixth is of the day before: too late for a first run on the 26th, in time for a replay.
    assert won == {"demo-1-aapl-long": "target", "demo-2-msft-buy": "stop", "demo-6-ibm-late": "stop"}
    assert data["outcomes"] == {
        "received": 0, "executed": 3, "queued": 0, "refused": 3, "expired": 0, "duplicate": 0, "invalid": 0,
        "unknown": 0,
    }  # fmt: skip
    assert data["refusals"]["reward_risk_min"] == 2


def test_a_page_is_written_where_asked(demo: Path, apex: Any) -> None:
    answer = apex("replay", "--html", "replay.html")
    assert "Written: replay.html" in answer.err
    assert "</html>" in (demo / "replay.html").read_text()


def test_what_the_first_session_loses_is_part_of_the_result(here: Path, apex_json: Any) -> None:
    (here / "bars").mkdir()
    closes = [100, 100, 100, 99, 97, 97, 97]
    rows = [
        f"2026-03-02 {9 + (30 + 5 * n) // 60:02}:{(30 + 5 * n) % 60:02},{c},{c},{c},{c}" for n, c in enumerate(closes)
    ]
    (here / "bars" / "NVDA.csv").write_text("\n".join(["Date,Open,High,Low,Close", *rows]))
    signal = {
        "symbol": "NVDA",
        "signal_type": "BUY",
        "entry_price": 100,
        "stop_loss": 98,
        "target_price": 106,
        "confidence": 0.9,
        "timestamp": "2026-03-02T09:34:00-05:00",
        "expires_at": "2026-03-02T15:00:00-05:00",
    }
    (here / "s.json").write_text(json.dumps([signal]))
    (here / "config.yaml").write_text("risk: {capital: 30000}\n")
    data = apex_json("replay", "--bars", "bars", "--signals", "s.json").data
    assert data["round_trips"] == 1
    assert Decimal(data["start_equity"]) == 30_000
    assert Decimal(data["end_equity"]) == 30_000 + Decimal(data["net_pnl"]) < 30_000


def test_a_sweep_is_a_table_of_every_combination(demo: Path, apex: Any, apex_json: Any) -> None:
    (demo / "grid.yaml").write_text("risk.max_positions: [1, 10]\nlearning.mode: [adapt, off]\n")
    out = apex("replay", "--sweep", "grid.yaml", "--jobs", "1").out
    assert len([line for line in out.splitlines() if " R " in line]) >= 4
    rows = apex_json("replay", "--sweep", "grid.yaml", "--jobs", "1").data["replays"]
    assert [row["settings"] for row in rows] == [
        {"risk.max_positions": number, "learning.mode": mode} for number in ("1", "10") for mode in ("adapt", "off")
    ]
    assert rows[0]["exposure"] < rows[2]["exposure"]


def test_a_sweep_walks_forward_keeps_an_end_and_writes_a_table(demo: Path, apex: Any, apex_json: Any) -> None:
    (demo / "grid.yaml").write_text("risk.max_position_pct: [0.05, 0.10]\nrisk.max_positions: [1, 5]\n")
    sweep = ("replay", "--sweep", "grid.yaml", "--jobs", "1")
    found = apex_json(*sweep, "--hold-out", "2m", "--csv", "rows.csv").data
    assert set(found) == {"replays", "luck", "held_out", "csv"}
    assert found["luck"]["trials"] == 4
    lines = (demo / "rows.csv").read_text().splitlines()
    assert lines[0].startswith("risk.max_position_pct,risk.max_positions,trades,")
    assert len(lines) == 5
    walked = apex_json(*sweep, "--walk-forward", "6m/2m", "--hold-out", "2m").data
    assert walked["windows"][-1]["to"] < walked["held_out"]["from"] == "2004-07-08"
    assert set(walked["windows"][0]["settings"]) == {"risk.max_position_pct", "risk.max_positions"}
    out = apex(*sweep, "--hold-out", "2m").out
    assert "Net R by max_position_pct (down) and max_positions (across)" in out
    assert "The best setting cannot be distinguished from luck" in out
    assert "Held out" in out
    assert "judged on the time after it" in apex(*sweep, "--walk-forward", "6m/2m").out
    assert not (demo / "grid.yaml.rows").exists()


def test_a_sweep_that_was_interrupted_goes_on(demo: Path, apex: Any) -> None:
    (demo / "grid.yaml").write_text("risk.max_position_pct: [0.05]\n")
    sweep = ("replay", "--sweep", "grid.yaml", "--jobs", "1")
    assert apex(*sweep, "--csv", "none/rows.csv").status == 2
    assert (demo / "grid.yaml.rows").exists()
    assert "1 of 1 replays are in grid.yaml.rows from before" in apex(*sweep).err
    assert not (demo / "grid.yaml.rows").exists()


@pytest.mark.parametrize(
    ("line", "status", "code"),
    [
        (("--bars", "nowhere"), 2, "bars_unreadable"),
        (("--from", "2040-01-01"), 2, "no_bars"),
        (("--signals", "none.json"), 2, "signals_unreadable"),
        (("--rule", "magic"), 2, "unknown_rule"),
        (("--html", "no/such/folder.html"), 2, "page_not_written"),
        (("--sweep", "none.yaml"), 2, "grid_invalid"),
        (("--sweep", "g.yaml", "--html", "x.html"), 2, "usage"),
        (("--sweep", "g.yaml", "--walk-forward", "3y"), 2, "usage"),
        (("--hold-out", "1y"), 2, "usage"),
        (("--actions", "none.csv"), 2, "actions_unreadable"),
        (("--sweep", "g.yaml"), 3, "config_invalid"),
    ],
)
def test_what_is_wrong_is_one_clear_error(
    demo: Path, apex_json: Any, line: tuple[str, ...], status: int, code: str
) -> None:
    (demo / "g.yaml").write_text("risk.capitol: [1]\n")
    answer = apex_json("replay", *line)
    assert (answer.status, answer.error["code"]) == (status, code)


def test_without_any_bars_it_says_what_to_name(here: Path, apex_json: Any) -> None:
    answer = apex_json("replay")
    assert (answer.status, answer.error["code"]) == (3, "bars_missing")
    assert here.is_dir()


def test_a_pipe_gets_no_progress_bar(demo: Path, start: Any) -> None:
    process = start("replay", "--json", cwd=demo)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    assert json.loads(out)["command"] == "replay"


@pytest.mark.parametrize(
    ("option", "kind"),
    [
        *(
            (option, kind)
            for option in ("--bars", "--actions", "--signals", "--sweep")
            for kind in ("folder", "circle")
        ),
        ("--actions", "endless"),
        ("--sweep", "endless"),
    ],
)
def test_a_name_of_something_else_than_a_file_is_one_clear_error(
    demo: Path, apex_json: Any, option: str, kind: str
) -> None:
    odd = demo / "odd"
    if kind == "folder":
        odd.mkdir()
    else:
        odd.symlink_to("/dev/zero" if kind == "endless" else odd)
    answer = apex_json("replay", option, "odd", *(() if option == "--bars" else ("--bars", "bars")))
    assert answer.status == 2
    assert "odd" in answer.error["message"]


def test_a_price_file_that_cannot_be_read_is_named(demo: Path, apex_json: Any) -> None:
    (demo / "bars" / "AAPL.csv").unlink()
    (demo / "bars" / "AAPL.csv").symlink_to("AAPL.csv")
    data = apex_json("replay", "--rule", "breakout").data
    assert data["symbols"] == ["IBM", "MSFT"]
    assert "AAPL.csv is not used: it is no file that can be read" in data["problems"]
