from __future__ import annotations

import doctest
from datetime import timedelta
from decimal import Decimal

import pytest
from msgspec.structs import replace

from apex_cli.core.model.account import AccountBadge, AccountKind
from apex_cli.core.model.decision import DayTradeStatus, Regime
from apex_cli.core.model.health import DriftNote
from apex_cli.core.model.limits import Limits
from apex_cli.core.model.money import Usd
from apex_cli.core.positions.performance import r_distribution
from apex_cli.core.reports.activity import Activity, ActivityKind
from apex_cli.core.reports.board import Gauge, make_board, make_day
from apex_cli.core.state.tables import State
from apex_cli.presenters.approvals import countdown
from apex_cli.presenters.day import (
    alarm_cells,
    brief_lines,
    gauge_cell,
    head_cells,
    heat_rows,
    is_shown,
    left_cell,
    status_line,
)
from apex_cli.presenters.pages.charts import bar_chart, line_chart
from apex_cli.presenters.screen import plots
from apex_cli.presenters.screen.blocks import Tone
from apex_cli.presenters.screen.formats import short_time
from apex_cli.presenters.screen.plots import histogram_of, sparkline
from kit import START
from kit.rig import Rig, make_signal

D = Decimal


@pytest.mark.parametrize(
    ("used", "limit", "words", "tone"),
    [
        ("0", "300", "0 % of 300.00", Tone.PLAIN),
        ("239", "300", "80 % of", Tone.PLAIN),
        ("240", "300", "80 % near of", Tone.WARN),
        ("300", "300", "100 % OVER of", Tone.BAD),
        ("900", "300", "300 % OVER of", Tone.BAD),
        ("1", "0", "the limit is 0: OVER", Tone.BAD),
    ],
)
def test_a_gauge_says_in_words_what_its_colour_says(used: str, limit: str, words: str, tone: Tone) -> None:
    cell = gauge_cell(Gauge(used=Usd(D(used)), limit=Usd(D(limit))))
    assert words in cell.text
    assert cell.tone is tone


@pytest.mark.parametrize(
    ("seconds", "text"), [(1799, "29:59"), (120, "2:00"), (119, "! 1:59"), (0.4, "! 0:00"), (-5, "! 0:00")]
)
def test_a_countdown_is_marked_when_little_is_left(seconds: float, text: str) -> None:
    assert countdown(START + timedelta(seconds=seconds), START).text == text


def status(**changes: object) -> DayTradeStatus:
    return replace(DayTradeStatus(regime=Regime.CLASSIC, used=1, remaining=2, limit=3), **changes)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({}, "2 of 3 left"),
        ({"remaining": 0}, "0 of 3 left"),
        ({"remaining": -1}, "unlimited"),
        ({"remaining": None}, "not counted"),
        ({"is_regime_known": False}, "rule unknown: nothing is opened"),
    ],
)
def test_day_trades_left_are_reported_in_words(changes: dict[str, object], text: str) -> None:
    assert left_cell(status(**changes)).text == text


SIM = AccountBadge(kind=AccountKind.SIMULATED)


def test_the_status_line_says_what_it_knows() -> None:
    assert status_line(make_day(State(), START), SIM) == (
        "SIM · 10:00:00 ET · ACTIVE · 0 open +0.00 USD · 0 to approve · 0 entries today"
    )
    rig = Rig()
    rig.feed(make_signal(now=rig.clock.now()))
    assert "equity 3,000.00 (day +0.00)" in status_line(make_day(rig.state, START), SIM)


def test_a_fresh_screen_says_what_to_do() -> None:
    board = make_board(State(), Limits(), START, None)
    text = " ".join(cell.text for line in (*brief_lines(board), head_cells(board, SIM, "")) for cell in line)
    assert "start apex run" in text
    assert "no run" in text
    assert alarm_cells(board, ()) == ()


def test_one_alarm_is_reported_as_one() -> None:
    board = make_board(State(), Limits(), START, None)
    line = Activity(seq=1, at=START, kind=ActivityKind.ALARM, symbol="", verdict="x", text="No stop.")
    (cell,) = alarm_cells(board, (line,))
    assert cell.text == "! alarm 10:00:00 ET: No stop."


def test_an_old_account_is_reported_when_nobody_keeps_it_up_to_date() -> None:
    rig = Rig()
    rig.cycle()
    board = make_board(rig.state, rig.limits, START + timedelta(minutes=6), None)
    (cell,) = alarm_cells(board, ())
    assert cell.text == "! no run is going: prices and equity are those of 2026-03-02 10:00 ET"
    assert alarm_cells(board, (), "apex run (pid 1)") == ()


def test_the_log_is_filtered_by_every_word_and_by_kind() -> None:
    line = Activity(seq=1, at=START, kind=ActivityKind.FILL, symbol="AAPL", verdict="entry", text="BUY 3 at 50")
    assert is_shown(line, None, "")
    assert is_shown(line, ActivityKind.FILL, "aapl buy")
    assert not is_shown(line, None, "aapl sell")
    assert not is_shown(line, ActivityKind.ALARM, "")


def test_examples_in_docstrings_hold() -> None:
    assert doctest.testmod(plots).failed == 0
    assert sparkline([]) == ""
    assert sparkline([5.0, 5.0]) == "▁▁"
    assert len(sparkline(list(range(1000)))) == 60


def test_charts_are_sound_svg_whatever_they_show() -> None:
    import html.parser

    def assert_sound(chart: str) -> None:
        opened: list[str] = []
        parser = html.parser.HTMLParser()
        parser.handle_starttag = lambda tag, _: opened.append(tag)  # type: ignore[method-assign]
        parser.handle_startendtag = lambda *_: None  # type: ignore[method-assign]
        parser.handle_endtag = opened.remove  # type: ignore[method-assign]
        parser.feed(chart)
        assert opened == []
        assert "<b>" not in chart

    labels = [str(n) for n in range(2000)]
    for values in ([1.0], [1.0, 1.0], [-5.0, 3.0, 1e6], [float(n % 7) for n in range(2000)]):
        chart = line_chart(values, labels, "a <b> & c")
        assert_sound(chart)
        assert chart.count(",") < 2000
    found = histogram_of(r_distribution([D(1), D("1.2"), D(-9)]))
    assert_sound(bar_chart(found.counts, found.labels, "R"))
    assert "Nothing to draw" in line_chart([], [], "x")
    assert "Nothing to draw" in bar_chart([0, 0], ["a", "b"], "x")


@pytest.mark.parametrize(
    ("hours_before", "text"), [(0, "10:00:00"), (9, "01:00:00"), (11, "03-01 23:00"), (24 * 40, "01-21 10:00")]
)
def test_a_line_of_another_day_reports_its_date(hours_before: int, text: str) -> None:
    assert short_time(START - timedelta(hours=hours_before), START) == text


def test_open_risk_by_strategy_is_named_and_what_has_no_room_is_counted() -> None:
    rig = Rig(cash=D(30_000))
    for number in range(8):
        signal = make_signal(f"SYM{number}", now=rig.clock.now(), strategy=f"rule {number}", signal_id=f"heat-{number}")
        rig.feed(signal)
    rows = heat_rows(make_board(rig.state, rig.limits, rig.clock.now(), None))
    assert [name for name, _ in rows] == ["Open risk", *(f"rule {number}" for number in range(6)), "more"]
    assert rows[-1][1][0].text == "2"
    assert heat_rows(make_board(State(), Limits(), START, None)) == ()


def test_a_drift_from_the_replay_is_an_alarm_until_a_comparison_says_otherwise() -> None:
    note = DriftNote(at=START, first=START.date(), last=START.date(), since="2026-02-10", parted=("3 of 20 differ.",))
    (cell,) = alarm_cells(make_board(State(), Limits(), START, None, drift=note), ())
    assert cell.text == "! live trading and the replay part since 2026-02-10: 3 of 20 differ. Look: apex drift"
    assert cell.tone is Tone.WARN
    assert alarm_cells(make_board(State(), Limits(), START, None, drift=replace(note, parted=())), ()) == ()
