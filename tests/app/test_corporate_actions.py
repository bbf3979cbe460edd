"""Splits and dividends from a file: what they do to prices, to cash and to nothing else."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from msgspec.structs import replace

from apex_cli.app.replayer import ReplayOptions, replay
from apex_cli.app.report_pages import replay_page
from apex_cli.core.adapters.files.prices.corporate_actions import read_actions
from apex_cli.core.adapters.files.prices.csv_bars import CsvBars
from apex_cli.core.errors import InputError
from apex_cli.core.model.corporate_action import ActionKind, CorporateAction, dividends_of
from apex_cli.core.model.order import EntryOrder
from apex_cli.settings.brokers import CommissionModel
from apex_cli.settings.sections import Settings

D = Decimal
FREE = Settings().replace(simulation=replace(Settings().simulation, commission=CommissionModel.NONE))
DAYS = ("2004-03-01", "2004-03-02", "2004-03-03", "2004-03-04", "2004-03-05")
SIGNAL = "signal_id,symbol,signal_type,entry_price,stop_loss,target_price,confidence,timestamp\n"


def write(folder: Path, closes: str, actions: str, signal: str = "") -> ReplayOptions:
    """Write bars that do not move within a day, a file of actions, and a signal of the first day."""
    (folder / "bars").mkdir()
    rows = [f"{day},{price},{price},{price},{price},1000000" for day, price in zip(DAYS, closes.split(), strict=True)]
    (folder / "bars" / "AAA.csv").write_text("\n".join(("Date,Open,High,Low,Close,Volume", *rows)))
    (folder / "actions.csv").write_text("symbol,date,kind,value\n" + actions)
    (folder / "signals.csv").write_text(f"{SIGNAL}s1,AAA,{signal},0.8,2004-03-01T15:00:00-05:00\n")
    return ReplayOptions(bars_dir=folder / "bars", signals=(folder / "signals.csv",), actions=folder / "actions.csv")


LONG, SHORT = "BUY,50,40,80", "SHORT,50,60,20"


@pytest.mark.parametrize(
    ("signal", "day", "paid"),
    [
        (LONG, "2004-03-02", "0"),  # bought at that open: too late
        (LONG, "2004-03-03", "1.50"),
        (SHORT, "2004-03-03", "-1.50"),
        (LONG, "2004-03-08", "0"),  # after the last bar
    ],
)
def test_who_held_before_the_day_gets_the_dividend_and_who_is_short_owes_it(
    tmp_path: Path, signal: str, day: str, paid: str
) -> None:
    report = replay(FREE, write(tmp_path, "50 50 50 50 50", f"AAA,{day},dividend,0.50\n", signal))
    assert [held.quantity for held in report.open_positions] == [3 if signal == LONG else -3]
    assert (report.dividends, report.end_equity) == (D(paid), 3000 + D(paid))
    assert report.open_positions[0].pnl == 0


def test_a_split_is_no_fall(tmp_path: Path) -> None:
    options = write(tmp_path, "100 100 50 50 50", "AAA,2004-03-03,split,2:1\n", LONG)
    report = replay(FREE, options)
    assert [(held.quantity, held.entry_price, held.pnl) for held in report.open_positions] == [(3, 50, 0)]
    assert not any("split" in problem for problem in report.problems)


def test_a_page_draws_a_trade_on_the_bars_that_it_was_replayed_on(tmp_path: Path) -> None:
    options = write(tmp_path, "100 100 45 55 80", "AAA,2004-03-03,split,2:1\n", LONG)
    page = replay_page(replay(FREE, options), FREE, options, None)
    assert "On the way -0.50 R to +3.00 R." in page


@pytest.mark.parametrize(
    ("closes", "signal", "ratio"),
    [
        ("100 100 50 51 50", "BUY,100,80,160", "2 for 1"),
        ("100 100 10.2 10 10", "BUY,100,80,160", "10 for 1"),
        ("100 100 66 66 67", "BUY,100,80,160", "3 for 2"),
        ("5 5 101 100 100", "SHORT,5,6,2", "1 for 20"),
    ],
)
def test_a_split_that_no_file_names_is_named_and_not_traded_through(
    tmp_path: Path, closes: str, signal: str, ratio: str
) -> None:
    options = replace(write(tmp_path, closes, "", signal), actions=None)
    other = (f"{day},10,10,10,10,1000000" for day in DAYS)
    (options.bars_dir / "BBB.csv").write_text("\n".join(("Date,Open,High,Low,Close,Volume", *other)))
    late = "s2,AAA,BUY,50,40,80,0.8,2004-03-04T15:00:00-05:00\ns3,BBB,BUY,10,8,16,0.8,2004-03-04T15:00:00-05:00\n"
    with options.signals[0].open("a") as file:
        file.write(late)
    report = replay(FREE, options)
    (trade,) = report.trades
    first = D(closes.split(maxsplit=1)[0])
    assert (trade.entry_price, trade.exit_price, trade.exit_reason) == (first, first, "unknown_split")
    assert (trade.pnl, report.end_equity, [held.symbol for held in report.open_positions]) == (0, 3000, ["BBB"])
    assert trade.exit_time.date() == date(2004, 3, 3)
    assert report.refusals == {"unknown_split": 1}
    assert any(f"it looks like a split, {ratio}, that no file" in problem for problem in report.problems)
    named = tmp_path / "named.csv"
    parts = ratio.replace(" for ", ":")
    named.write_text(f"symbol,date,kind,value\nAAA,2004-03-03,split,{parts}\n")
    traded = replay(FREE, replace(options, actions=named))
    assert not any(each.exit_reason == "unknown_split" for each in traded.trades)
    assert "unknown_split" not in traded.refusals


def test_an_entry_that_rests_ends_with_the_split(tmp_path: Path) -> None:
    settings = FREE.replace(execution=replace(FREE.execution, entry_order=EntryOrder.LIMIT))
    options = replace(write(tmp_path, "100 100 50 51 50", "", "BUY,90,80,160"), actions=None)
    text = options.signals[0].read_text().replace("2004-03-01T15", "2004-03-02T15")
    options.signals[0].write_text(text)
    report = replay(settings, options)
    assert (report.trades, report.open_positions, report.end_equity) == ((), (), 3000)


def test_prices_before_a_split_are_divided_and_volumes_multiplied(tmp_path: Path) -> None:
    options = write(
        tmp_path, "90 90 30 60 60", "AAA,2004-03-03,split,3\nAAA,2004-03-04,SPLIT,1/2\nBBB,2004-03-04,split,9\n"
    )
    assert options.actions is not None
    bars = CsvBars(options.bars_dir, actions=read_actions(options.actions))
    assert [str(bar.close) for bar in bars.bars("AAA")] == ["60.00", "60.00", "60.00", "60", "60"]
    assert [bar.volume for bar in bars.bars("AAA")] == [D(1500000), D(1500000), D(500000), D(1000000), D(1000000)]
    assert "splits taken out" in bars.taken_as("AAA")


def test_a_dividend_before_a_split_is_paid_on_more_shares() -> None:
    paid = CorporateAction(symbol="A", ex_date=date(2004, 3, 1), kind=ActionKind.DIVIDEND, value=D("1.00"))
    split = CorporateAction(symbol="A", ex_date=date(2004, 3, 3), kind=ActionKind.SPLIT, value=D(4))
    later = replace(paid, ex_date=date(2004, 3, 4))
    assert [each.value for each in dividends_of((later, split, paid))] == [D("0.25"), D(1)]


@pytest.mark.parametrize(
    ("rows", "reported"),
    [
        ("AAA,03/01/2004,split,2\n", r"actions\.csv:2: column date holds '03/01/2004'"),
        (
            "AAA,2004-03-01,merger,2\n,2004-03-01,split,2\n",
            r"2 problems: .*:2: column kind.*:3: column symbol is empty",
        ),
        ("AAA,2004-03-01,split,two\n", "column value holds 'two'"),
        ("AAA,2004-03-01,split,0\n", "column value holds '0'"),
        ("AAA,2004-03-01,split,1:0\n", "column value holds '1:0'"),
        ("AAA,2004-03-01,dividend,nan\n", "column value holds 'nan'"),
    ],
)
def test_what_cannot_be_read_is_named_line_by_line(tmp_path: Path, rows: str, reported: str) -> None:
    path = tmp_path / "actions.csv"
    path.write_text("Symbol, Date ,KIND,value\n" + rows)
    with pytest.raises(InputError, match=reported):
        read_actions(path)


def test_a_file_without_its_columns_or_without_itself_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "actions.csv"
    path.write_text("symbol,date\nAAA,2004-03-01\n")
    with pytest.raises(InputError, match="lacks the columns kind, value"):
        read_actions(path)
    with pytest.raises(InputError, match="No such file"):
        read_actions(tmp_path / "none.csv")
