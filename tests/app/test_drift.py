"""Live trading beside a replay of the same days: what was planted in a history is found, exactly that."""

from __future__ import annotations

import csv
import json
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from msgspec.structs import replace

from apex_cli.app.drift_check import DriftOptions, find_drift, keep_note, last_note
from apex_cli.app.replayer import Replay, ReplayOptions
from apex_cli.core.adapters import event_loop
from apex_cli.core.adapters.state.journal import Journal
from apex_cli.core.errors import InputError, NothingToDo
from apex_cli.core.market.calendar import next_session
from apex_cli.core.model.money import ceil_to_step
from apex_cli.core.model.risk_limits import CapitalBase
from apex_cli.core.reports.drift_report import Drift
from apex_cli.settings.brokers import CommissionModel
from apex_cli.settings.sections import Settings
from kit import START, a_row

D = Decimal
FIRST = date(2026, 1, 5)
SESSIONS, SIGNALS = 60, 20
SLIPPAGE = D("0.002")
NONE = D(0)
DROPPED = ("s03", "s08", "s15")


class Planted(NamedTuple):
    """A folder with bars, every signal, and the journal of a trader who missed three and paid slippage."""

    settings: Settings
    bars: Path
    signals: Path
    events: list[Any]
    """Of the replay that made the history."""

    def drift(self, *, named: bool = True, **options: Any) -> Drift:
        given = {"bars_dir": self.bars, "signals": (self.signals,) if named else (), **options}
        return find_drift(self.settings, DriftOptions(**given))


def wave(number: int) -> Decimal:
    """Return a close that rises and falls by 8 in 16 sessions."""
    place = number % 16
    return D(100) + (place if place <= 8 else 16 - place)


def write_bars(folder: Path, symbols: list[str]) -> list[date]:
    folder.mkdir()
    days = [FIRST]
    while len(days) < SESSIONS:
        days.append(next_session(days[-1]))
    for shift, symbol in enumerate(symbols):
        with (folder / f"{symbol}.csv").open("w", newline="") as stream:
            out = csv.writer(stream)
            out.writerow(["Date", "Open", "High", "Low", "Close", "Volume"])
            for number, day in enumerate(days):
                before, close = wave(number - 1 + 3 * shift), wave(number + 3 * shift)
                low, high = min(before, close) - D("0.5"), max(before, close) + D("0.5")
                out.writerow([day, before, high, low, close, 1_000_000])
    return days


def write_signals(path: Path, symbols: list[str], days: list[date]) -> list[dict[str, Any]]:
    rows = []
    for number in range(SIGNALS):
        place = 2 * number + 3
        shift = number % len(symbols)
        entry = wave(place + 3 * shift)
        rows.append(
            {
                "signal_id": f"s{number:02}",
                "symbol": symbols[shift],
                "signal_type": "BUY",
                "entry_price": float(entry),
                "stop_loss": float(entry - 2),
                "target_price": float(entry + 5),
                "confidence": 0.8,
                "strategy": "wave",
                "timestamp": f"{days[place]}T15:30:00-05:00",
            }
        )
    path.write_text(json.dumps(rows))
    return rows


def make_settings(folder: Path, slippage: Decimal = NONE) -> Settings:
    plain = Settings()
    simulation = replace(plain.simulation, commission=CommissionModel.NONE, slippage_pct=slippage)
    risk = replace(plain.risk, capital=D(100_000), max_position_pct=D("0.05"), min_reward_risk=D(1))
    return plain.replace(simulation=simulation, risk=risk, state=replace(plain.state, dir=folder / "state"))


def keep_journal(folder: Path, events: list[Any]) -> None:
    journal = Journal(folder / "state" / "journal")
    journal.append(a_row(replace(event, seq=number)) for number, event in enumerate(events, 1))


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Planted:
    folder = tmp_path_factory.mktemp("planted")
    symbols = ["AAA", "BBB", "CCC", "DDD"]
    days = write_bars(folder / "bars", symbols)
    rows = write_signals(folder / "all.json", symbols, days)
    (folder / "seen.json").write_text(json.dumps([row for row in rows if row["signal_id"] not in DROPPED]))
    events: list[Any] = []
    lived = ReplayOptions(bars_dir=folder / "bars", signals=(folder / "seen.json",))
    event_loop.run(Replay(make_settings(folder, SLIPPAGE), lived, on_event=events.append).run())
    keep_journal(folder, events)
    return Planted(make_settings(folder), folder / "bars", folder / "all.json", events)


def test_exactly_the_dropped_signals_are_missed_and_nothing_else(planted: Planted) -> None:
    found = planted.drift()
    assert [each.signal_id for each in found.missed] == list(DROPPED)
    assert {each.code for each in found.missed} == {"not_received"}
    assert (found.extra, found.exits) == ((), ())
    assert found.model.trades - found.live.trades == len(DROPPED)
    assert found.live.trades == found.matched >= 10


def test_exactly_the_slippage_is_found_in_each_fill(planted: Planted) -> None:
    found = planted.drift()
    assert {fill.role for fill in found.fills} == {"entry", "stop", "target"}
    for fill in found.fills:
        price = fill.model_price
        paid = D(0) if fill.role == "target" else abs(fill.live_price - price)
        # 0.2 % of the price, to the cent against us; a target is a limit and has none
        expected = D(0) if fill.role == "target" else ceil_to_step(price * SLIPPAGE, D("0.01"))
        assert paid == expected
        assert fill.total == fill.execution == paid * fill.quantity
        assert (fill.delay, fill.spread) == (0, None)
    sums = {costs.role: costs for costs in found.costs}
    for role, costs in sums.items():
        assert costs.total == sum(fill.total for fill in found.fills if fill.role == role)
    assert sums["target"].total == 0
    assert D("0.2") <= sums["entry"].mean_pct < D("0.21")


def test_the_difference_of_the_results_is_that_of_the_slippage(planted: Planted) -> None:
    found = planted.drift()
    assert found.difference_r is not None
    assert found.difference_r < 0
    assert found.difference_interval is not None
    assert found.difference_interval.high < 0
    assert len(found.parted) == 2
    assert found.parted[0].startswith(f"3 of {found.model.trades} trades of the replay were not made")
    assert "worse than in the replay" in found.parted[1]


def test_the_first_difference_is_the_first_fill_beyond_what_is_tolerated(planted: Planted) -> None:
    first = planted.drift().first_divergence
    assert first is not None
    assert (first.session, first.what) == (found_first(planted), "AAA entry filled 0.20 % worse than in the replay")
    tolerant = planted.drift(tolerance=D("0.01")).first_divergence
    assert tolerant is not None
    missed = planted.drift().missed[0]
    assert (tolerant.session, tolerant.what) == (missed.session, f"{missed.symbol} was not traded (not_received)")


def found_first(planted: Planted) -> str:
    return min(fill.session for fill in planted.drift().fills)


def test_with_the_signals_of_the_journal_nothing_is_missed_and_that_is_said(planted: Planted) -> None:
    found = planted.drift(named=False)
    assert (found.missed, found.extra) == ((), ())
    assert found.matched == found.live.trades == found.model.trades
    assert found.caveats[0].endswith("Name all there were with --signals.")


def test_the_same_settings_and_signals_agree_in_everything(planted: Planted, tmp_path: Path) -> None:
    keep_journal(tmp_path, planted.events)
    found = find_drift(make_settings(tmp_path, SLIPPAGE), DriftOptions(bars_dir=planted.bars))
    assert (found.missed, found.extra, found.exits, found.parted, found.first_divergence) == ((), (), (), (), None)
    assert {fill.total for fill in found.fills} == {0}
    assert not any("other limits" in caveat for caveat in found.caveats)
    assert (found.difference_r, found.live.expectancy_r) == (0, found.model.expectancy_r)


def test_sessions_outside_the_period_do_not_count(planted: Planted) -> None:
    whole = planted.drift()
    middle = date.fromisoformat(whole.missed[1].session)
    found = planted.drift(first=middle)
    assert [each.signal_id for each in found.missed] == list(DROPPED[1:])
    assert found.first == middle
    assert (found.extra, found.exits) == ((), ())  # what was held on that day is in the replay, too
    assert all(fill.session >= middle.isoformat() for fill in found.fills)


def test_sizes_that_follow_the_equity_begin_with_that_of_the_account(planted: Planted) -> None:
    risk = replace(planted.settings.risk, capital=D(50), enforce_caps=True)
    options = DriftOptions(bars_dir=planted.bars)
    assert find_drift(planted.settings.replace(risk=risk), options).model.trades == 0
    follows = planted.settings.replace(risk=replace(risk, capital_base=CapitalBase.EQUITY))
    found = find_drift(follows, options)
    assert found.model.trades == found.live.trades


def test_other_limits_than_those_of_the_journal_are_said(planted: Planted) -> None:
    risk = replace(planted.settings.risk, max_positions=2)
    found = find_drift(
        planted.settings.replace(risk=risk), DriftOptions(bars_dir=planted.bars, signals=(planted.signals,))
    )
    assert any("other limits than those of now" in caveat for caveat in found.caveats)


def test_a_folder_of_signals_counts_as_all_of_its_files(planted: Planted, tmp_path: Path) -> None:
    rows = json.loads(planted.signals.read_text())
    for number, part in enumerate((rows[::2], rows[1::2])):
        (tmp_path / f"{number}.json").write_text(json.dumps(part))
    (tmp_path / ".hidden").write_text("?")
    found = find_drift(planted.settings, DriftOptions(bars_dir=planted.bars, signals=(tmp_path,)))
    assert [each.signal_id for each in found.missed] == list(DROPPED)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no files"):
        find_drift(planted.settings, DriftOptions(bars_dir=planted.bars, signals=(tmp_path / "empty",)))


def test_a_period_that_is_none_or_without_trades_is_said(planted: Planted) -> None:
    with pytest.raises(InputError, match="no session from 2026-03-02 to 2026-02-02"):
        planted.drift(first=date(2026, 3, 2), last=date(2026, 2, 2))
    with pytest.raises(InputError, match="no session from 2030-01-02") as late:
        planted.drift(first=date(2030, 1, 2))
    assert "The journal goes from 2026-01-" in late.value.hint
    with pytest.raises(NothingToDo, match="made a trade from 2026-01-05 to 2026-01-06"):
        planted.drift(first=FIRST, last=date(2026, 1, 6))


def test_an_empty_journal_has_nothing_to_compare(planted: Planted, tmp_path: Path) -> None:
    with pytest.raises(NothingToDo, match="knows no signal"):
        find_drift(make_settings(tmp_path), DriftOptions(bars_dir=planted.bars))


def test_the_last_result_is_kept_and_a_spoiled_file_is_none(planted: Planted) -> None:
    assert last_note(planted.settings) is None
    found = planted.drift()
    keep_note(planted.settings, found, START)
    note = last_note(planted.settings)
    assert note is not None
    assert (note.since, note.parted) == (found_first(planted), found.parted)
    path = planted.settings.state.dir / "drift.json"
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text("{")
    assert last_note(planted.settings) is None
    path.unlink()
