from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from apex_cli.core.adapters.files.prices.csv_bars import CsvBars
from apex_cli.core.adapters.files.signals.signal_sources import FileSource
from apex_cli.core.errors import InputError
from apex_cli.core.market.calendar import session_bounds
from apex_cli.core.model.decision import Exposure
from apex_cli.core.model.market import Bar
from apex_cli.core.model.money import Usd
from apex_cli.core.model.position import reward_risk
from apex_cli.core.model.side import OrderSide, PositionSide
from apex_cli.core.model.signal import Signal
from apex_cli.core.signals.ranker import OpportunityRanker
from apex_cli.demo import SYMBOLS, write_config, write_demo
from apex_cli.settings.brokers import SimulationClock
from apex_cli.settings.load import load_settings
from apex_cli.settings.reference import render_reference_config
from apex_cli.settings.sections import Settings
from kit import FixedClock, MemoryStore

START = date(2004, 2, 26)


class Demo:
    def __init__(self, folder: Path) -> None:
        self.files = write_demo(folder)
        self.settings = load_settings(folder / "config.yaml", environ={}, cwd=folder)
        assert self.settings.prices.bars_dir
        self.bars = CsvBars(self.settings.prices.bars_dir)
        bounds = session_bounds(START)
        assert bounds
        self.now = bounds[1] - timedelta(seconds=1)
        (batch,) = FileSource(self.settings.signals.files).poll(self.now)
        assert batch.rejected == ()
        self.signals = {signal.signal_id.split("-")[1]: signal for signal in batch.signals}

    def fate(self, signal: Signal) -> tuple[str, int]:
        """Return which exit is touched first and after how many sessions; a stop comes before a target."""
        (target,) = signal.target_prices
        for number, bar in enumerate(self.bars.bars(signal.symbol, after=self.now + timedelta(seconds=1)), 1):
            if touched(bar, signal.stop_loss):
                return "stop", number
            if touched(bar, target):
                return "target", number
        return "open", 0


def touched(bar: Bar, price: Decimal) -> bool:
    return bar.low <= price <= bar.high


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    return Demo(tmp_path_factory.mktemp("demo"))


def ratio(signal: Signal) -> Decimal:
    found = reward_risk(signal.entry_price, signal.stop_loss, signal.target_prices)
    assert found is not None
    return found


def score(demo: Demo, key: str, positions: int = 0) -> Decimal:
    """Return the score at the moment of the first run, with *positions* on the signal's side."""
    held = Exposure(key="KO", side=PositionSide.LONG, notional=Usd(Decimal(100)), risk=Usd(Decimal(1)))
    ranker = OpportunityRanker(demo.settings.risk, clock=FixedClock(demo.now), store=MemoryStore(), bars=demo.bars)
    return ranker.rank(demo.signals[key], [held] * positions).opportunity_score


class TestConfiguration:
    def test_it_loads_and_differs_from_the_defaults_only_where_it_says(self, demo: Demo) -> None:
        assert demo.settings.simulation.clock is SimulationClock.BARS
        assert demo.settings.simulation.start == START
        assert demo.settings.execution.auto_execute
        assert demo.settings.execution.simulation_mode
        assert demo.settings.limits.risk == Settings().risk
        assert demo.settings.execution.auto_min_score == Decimal("0.5")


class TestBars:
    def test_300_sessions_of_each_stock_have_nothing_odd(self, demo: Demo) -> None:
        assert demo.bars.symbols() == SYMBOLS
        for symbol in SYMBOLS:
            assert demo.bars.problems(symbol) == ()
            assert len(demo.bars.bars(symbol)) == 300

    def test_all_stocks_have_the_same_sessions(self, demo: Demo) -> None:
        assert len({tuple(bar.start for bar in demo.bars.bars(symbol)) for symbol in SYMBOLS}) == 1

    def test_their_origin_goes_with_them(self, demo: Demo) -> None:
        (origin,) = (path for path in demo.files if path.name == "ORIGIN.md")
        assert "public domain" in origin.read_text()


class TestSignals:
    def test_they_are_made_half_an_hour_before_the_close_at_the_price_of_the_day(self, demo: Demo) -> None:
        for name, signal in demo.signals.items():
            quote = demo.bars.latest(signal.instrument, demo.now)
            assert quote is not None
            assert quote.price == signal.entry_price, name
            if signal.signal_id != "demo-6-ibm-late":
                assert signal.created_at == datetime(2004, 2, 26, 20, 30, tzinfo=UTC)
                assert signal.expires_at == signal.created_at + timedelta(days=1)

    def test_two_clearly_score_enough_to_be_executed_at_once(self, demo: Demo) -> None:
        for key in ("1", "2"):
            assert score(demo, key, 1) > demo.settings.execution.auto_min_score
            assert demo.signals[key].entry_price < 150

    def test_the_short_one_passes_every_limit_and_scores_too_little(self, demo: Demo) -> None:
        signal = demo.signals["3"]
        assert signal.side is OrderSide.SELL
        assert ratio(signal) >= demo.settings.risk.min_reward_risk
        assert (signal.confidence or 0) >= demo.settings.risk.min_confidence
        assert score(demo, "3") < demo.settings.execution.auto_min_score

    def test_three_are_turned_down_for_three_reasons(self, demo: Demo) -> None:
        assert ratio(demo.signals["4"]) < demo.settings.risk.min_reward_risk
        assert demo.signals["5"].stop_loss > demo.signals["5"].entry_price
        assert demo.signals["6"].expires_at < demo.now

    def test_playing_on_one_reaches_its_target_and_one_its_stop(self, demo: Demo) -> None:
        assert demo.fate(demo.signals["1"]) == ("target", 6)
        assert demo.fate(demo.signals["2"]) == ("stop", 7)
        assert demo.fate(demo.signals["3"]) == ("target", 10)


class TestWriting:
    def test_nothing_is_ever_overwritten_and_nothing_is_written_beside_it(self, tmp_path: Path) -> None:
        (tmp_path / "signals.json").write_text("mine")
        with pytest.raises(InputError, match=r"signals\.json exists"):
            write_demo(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["signals.json"]
        assert (tmp_path / "signals.json").read_text() == "mine"

    def test_a_first_configuration_is_the_reference_and_holds_the_defaults(self, tmp_path: Path) -> None:
        path = write_config(tmp_path / "new" / "folder")
        assert path.read_text() == render_reference_config()
        settings = load_settings(path, environ={}, cwd=tmp_path)
        assert settings.replace(source=None, state=Settings().state) == Settings()
        with pytest.raises(InputError, match=r"config\.yaml exists"):
            write_config(path.parent)

    def test_a_folder_that_cannot_be_made_is_an_input_error(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(InputError, match="cannot be written"):
            write_config(tmp_path / "file" / "folder")
