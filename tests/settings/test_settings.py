from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as limited
from hypothesis import strategies as st

from apex_cli.core.errors import ConfigError, ExitStatus
from apex_cli.core.model.base import Range
from apex_cli.core.text.fields import Field, fields_of, is_section
from apex_cli.settings.brokers import CommissionModel, IbLibrary, SimulationClock
from apex_cli.settings.doubts import doubts
from apex_cli.settings.load import MAX_BYTES, load_settings
from apex_cli.settings.reference import field_docstrings, render_reference_config
from apex_cli.settings.sections import Settings
from apex_cli.settings.validation import BUILT_IN, TOP, build_settings, fields, leaves, variable_name

EXAMPLE = Path(__file__).parents[2] / "config.example.yaml"


@pytest.fixture(autouse=True)
def _no_user_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "user"))


def load(tmp_path: Path, text: str | bytes, **environ: str) -> Settings:
    path = tmp_path / "config.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load_settings(path, environ=environ, cwd=tmp_path)


def problems(tmp_path: Path, text: str, **environ: str) -> dict[str, dict[str, str]]:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, text, **environ)
    assert caught.value.status is ExitStatus.CONFIG
    found = caught.value.details["problems"]
    assert caught.value.message.startswith(f"{found[0]['origin']}: {found[0]['key']}: ")
    return {problem["key"]: problem for problem in found}


def sections(keys: Mapping[str, Field] = TOP) -> Iterator[type[msgspec.Struct]]:
    for field in keys.values():
        if is_section(field.kind):
            yield field.kind
            yield from sections(fields_of(field.kind))


class TestFinding:
    def test_without_any_file_the_defaults_hold_and_the_state_lies_in_the_working_folder(self, tmp_path: Path) -> None:
        settings = load_settings(None, environ={}, cwd=tmp_path)
        assert settings == Settings().replace(state=msgspec.structs.replace(Settings().state, dir=tmp_path / "state"))
        assert settings.source is None

    def test_the_named_file_wins_over_the_variable_the_working_folder_and_the_user_folder(self, tmp_path: Path) -> None:
        places = {"named.yaml": 1, "variable.yaml": 2, "config.yaml": 3, "user/apex/config.yaml": 4}
        for name, capital in places.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(f"risk: {{capital: {capital}}}")
        environ = {"APEX_CONFIG": "variable.yaml"}
        found = []
        for path, variables in ((Path("named.yaml"), environ), (None, environ), (None, {}), (None, {})):
            found.append(load_settings(path, environ=variables, cwd=tmp_path).risk.capital)
            if not variables:
                (tmp_path / "config.yaml").unlink(missing_ok=True)
        assert found == [1, 2, 3, 4]

    @pytest.mark.parametrize(("path", "environ"), [(Path("no.yaml"), {}), (None, {"APEX_CONFIG": "no.yaml"})])
    def test_a_named_file_that_is_missing_is_an_error(
        self, tmp_path: Path, path: Path | None, environ: dict[str, str]
    ) -> None:
        with pytest.raises(ConfigError, match=r"no\.yaml, which does not exist") as caught:
            load_settings(path, environ=environ, cwd=tmp_path)
        assert caught.value.code == "config_missing"

    def test_paths_count_from_the_folder_of_the_file(self, tmp_path: Path) -> None:
        (tmp_path / "etc").mkdir()
        (tmp_path / "etc" / "a.yaml").write_text(
            "signals: {inbox: in, files: [a.json, /abs/b.json]}\nprices: {bars_dir: ./bars}"
        )
        settings = load_settings(Path("etc/a.yaml"), environ={}, cwd=tmp_path)
        base = tmp_path / "etc"
        assert settings.source == base / "a.yaml"
        assert settings.state.dir == base / "state"
        assert settings.signals.inbox == base / "in"
        assert settings.signals.files == (base / "a.json", Path("/abs/b.json"))
        assert settings.prices.bars_dir == base / "bars"


class TestValues:
    def test_numbers_are_exactly_what_is_written(self, tmp_path: Path) -> None:
        settings = load(tmp_path, "risk: {max_risk_pct: 0.01, max_position_pct: 1e-1, capital: 3000.10}")
        assert str(settings.risk.max_risk_pct) == "0.01"
        assert settings.risk.max_position_pct == Decimal("0.1")
        assert str(settings.risk.capital) == "3000.10"

    def test_every_kind_of_value_is_read(self, tmp_path: Path) -> None:
        settings = load(
            tmp_path,
            "simulation: {clock: bars, start: 2004-02-26, commission: none, max_participation: 0.1}\n"
            "prices: {bars_dir: b, max_age_minutes: 5}\n"
            "risk: {allow_symbols: [aapl, ON, BRK.B], max_notional: null, enforce_caps: true}\n"
            "broker: {ib: {library: ib_async, ib_host: tws.local, ib_port: 4002}}\n"
            "bus:\n",
        )
        assert settings.simulation.clock is SimulationClock.BARS
        assert settings.simulation.start == date(2004, 2, 26)
        assert settings.simulation.commission is CommissionModel.NONE
        assert settings.simulation.max_participation == Decimal("0.1")
        assert settings.risk.allow_symbols == ("AAPL", "ON", "BRK.B")
        assert settings.risk.enforce_caps
        assert settings.broker.ib.library is IbLibrary.IB_ASYNC
        assert settings.broker.ib.ib_host == "tws.local"
        assert settings.limits.risk is settings.risk
        assert settings.bus.capacity == 1000

    @pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "{}"])
    def test_an_empty_file_means_the_defaults(self, tmp_path: Path, text: str) -> None:
        assert load(tmp_path, text).limits == Settings().limits

    @pytest.mark.parametrize(
        ("text", "key", "value"),
        [
            ("risk: {max_risk_pct: 2}", "risk.max_risk_pct", "2"),
            ("risk: {max_risk_pct: 0}", "risk.max_risk_pct", "0"),
            ("risk: {max_risk_pct: .nan}", "risk.max_risk_pct", "NaN"),
            ("risk: {capital: .inf}", "risk.capital", "Infinity"),
            ("risk: {capital: -1}", "risk.capital", "-1"),
            ("risk: {capital: true}", "risk.capital", "true"),
            ("risk: {capital: '3000'}", "risk.capital", "'3000'"),
            ("risk: {capital: 5.000}", "risk.capital", "5.000"),
            ("currency: {rates: {GBX: 0.0125}}", "currency.rates.GBX", "GBX"),
            ("risk: {max_notional: 25.000}", "risk.max_notional", "25.000"),
            ("risk: {capital: }", "risk.capital", "nothing"),
            ("risk: {min_confidence: 1.1}", "risk.min_confidence", "1.1"),
            ("risk: {max_positions: 2.5}", "risk.max_positions", "2.5"),
            ("risk: {max_positions: false}", "risk.max_positions", "false"),
            ("risk: {allow_symbols: AAPL}", "risk.allow_symbols", "'AAPL'"),
            ("risk: {deny_symbols: [AAPL, 700]}", "risk.deny_symbols[1]", "700"),
            ("execution: {auto_execute: yes}", "execution.auto_execute", "'yes'"),
            ("execution: {entry_order: stop}", "execution.entry_order", "'stop'"),
            ("broker: {ib: {ib_port: 65536}}", "broker.ib.ib_port", "65536"),
            ("broker: {ib: {ib_port: 0}}", "broker.ib.ib_port", "0"),
            ("broker: {ib: [1]}", "broker.ib", "a list"),
            ("simulation: {start: 2004-02-30}", "simulation.start", "'2004-02-30'"),
            ("simulation: {clock: bars}", "simulation.clock", "bars"),
            ("signals: {inbox: 5}", "signals.inbox", "5"),
            ("state: {dir: ''}", "state.dir", "''"),
            ("state: nowhere", "state", "'nowhere'"),
        ],
    )
    def test_a_wrong_value_is_named_with_what_was_found_and_what_is_allowed(
        self, tmp_path: Path, text: str, key: str, value: str
    ) -> None:
        found = problems(tmp_path, text)
        assert list(found) == [key]
        assert found[key]["value"] == value
        assert found[key]["allowed"]

    def test_all_problems_come_in_one_error(self, tmp_path: Path) -> None:
        found = problems(
            tmp_path, "risk: {capital: 0, max_risk_pct: 5}\nbus: {capacity: x}\n", APEX_STATE__BACKUPS="-1"
        )
        assert set(found) == {"risk.capital", "risk.max_risk_pct", "bus.capacity", "state.backups"}
        assert found["state.backups"]["origin"] == "$APEX_STATE__BACKUPS"


class TestUnknownKeys:
    @pytest.mark.parametrize(
        ("text", "hint"),
        [
            ("capital: 5000", "write it as risk.capital"),
            ("simulation_mode: true", "write it as execution.simulation_mode"),
            ("ib_port: 7496", "write it as broker.ib.ib_port"),
            ("execution: {max_positions: 3}", "write it as risk.max_positions"),
            ("risk: {max_postions: 3}", "did you mean risk.max_positions?"),
            ("signal: {}", "did you mean signals?"),
            ("captal: 1", "did you mean risk.capital?"),
            ("source: x", "no such key"),
            ("zzzz: 1", "known here: agents, approval"),
            ("1: 1", "no such key"),
            ("<<: {risk: {}}", "no such key"),
        ],
    )
    def test_the_error_says_what_was_meant(self, tmp_path: Path, text: str, hint: str) -> None:
        (problem,) = problems(tmp_path, text).values()
        assert hint in problem["message"]

    def test_the_search_stops_after_a_hundred_problems(self, tmp_path: Path) -> None:
        assert len(problems(tmp_path, "".join(f"key{number}: 1\n" for number in range(20_000)))) == 100


class TestFiles:
    @pytest.mark.parametrize(
        ("content", "what"),
        [
            (b"risk: {capital: 1}\nrisk: {}\n", r"line 2, column 1: key 'risk' is given twice"),
            (b"risk:\n  capital: 1\n  capital: 2\n", r"line 3, column 3: key 'capital' is given twice"),
            (b"risk: [\n", r"not valid YAML: line 2"),
            (b"a: &a [x]\nb: [*a, *a]\n", r"aliases"),
            (b"a: !!python/object/apply:os.system [ls]\n", r"tag .* is not supported"),
            (b"- 1\n", r"sections such as"),
            (b"3\n", r"sections such as"),
            (b"risk:\n  capital: \xff\n", r"not UTF-8: line 2, byte 17"),
            (b"#" * (MAX_BYTES + 1), r"larger than 1 MB"),
            (b"[" * 5000, r"nested more than 50 levels deep"),
            (b"a: \x00", r"not valid YAML"),
        ],
    )
    def test_a_file_that_cannot_be_used_is_explained(self, tmp_path: Path, content: bytes, what: str) -> None:
        with pytest.raises(ConfigError, match=what) as caught:
            load(tmp_path, content)
        assert caught.value.details["file"] == str(tmp_path / "config.yaml")

    def test_a_folder_is_no_configuration(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match="is not a file"):
            load_settings(tmp_path, environ={}, cwd=tmp_path)

    def test_a_broken_link_is_an_error_not_the_defaults(self, tmp_path: Path) -> None:
        (tmp_path / "config.yaml").symlink_to("gone.yaml")
        with pytest.raises(ConfigError, match="cannot be read"):
            load_settings(None, environ={}, cwd=tmp_path)

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
    def test_an_unreadable_file_is_an_error(self, tmp_path: Path) -> None:
        (tmp_path / "config.yaml").write_text("")
        (tmp_path / "config.yaml").chmod(0)
        with pytest.raises(ConfigError, match="cannot be read"):
            load_settings(None, environ={}, cwd=tmp_path)

    def test_a_byte_order_mark_does_not_matter(self, tmp_path: Path) -> None:
        assert load(tmp_path, b"\xef\xbb\xbfrisk: {capital: 5}").risk.capital == 5


class TestOverrides:
    def test_a_variable_overrides_the_file_and_needs_none(self, tmp_path: Path) -> None:
        environ = {
            "APEX_RISK__CAPITAL": "0.5",
            "APEX_BROKER__IB__IB_PORT": "4002",
            "APEX_RISK__ALLOW_SYMBOLS": "[AAPL, ON]",
            "APEX_SIGNALS__INBOX": "in",
        }
        for settings in (
            load(tmp_path, "risk: {capital: 1}", **environ),
            load_settings(None, environ=environ, cwd=tmp_path),
        ):
            assert str(settings.risk.capital) == "0.5"
            assert settings.broker.ib.ib_port == 4002
            assert settings.risk.allow_symbols == ("AAPL", "ON")
            assert settings.signals.inbox == tmp_path / "in"

    def test_a_variable_gives_a_whole_map(self, tmp_path: Path) -> None:
        found = load(tmp_path, "currency: {rates: {JPY: 0.0067}}", APEX_CURRENCY__RATES="{EUR: 1.08}")
        assert {name: str(rate) for name, rate in found.currency.rates.items()} == {"EUR": "1.08"}
        for path, field in fields().items():
            if field.kind is dict:
                assert problems(tmp_path, "", **{variable_name(path): "1"}).keys() == {path}
                load(tmp_path, "", **{variable_name(path): "{}"})

    def test_other_variables_are_not_overrides(self, tmp_path: Path) -> None:
        assert load_settings(None, environ={"APEX_LIVE": "1", "APEX_DEBUG": "x", "PATH": "a__b"}, cwd=tmp_path)

    @pytest.mark.parametrize(
        ("name", "value", "what"),
        [
            ("APEX_RISK__CAPITOL", "5", "did you mean APEX_RISK__CAPITAL"),
            ("APEX_RISK_CAPITAL", "5", "it sets nothing; write APEX_RISK__CAPITAL"),
            ("APEX_BROKER_IB_IB_PORT", "5", "write APEX_BROKER__IB__IB_PORT"),
            ("APEX_RISK__CAPITAL", "much", r"\$APEX_RISK__CAPITAL: risk.capital: found 'much'"),
            ("APEX_RISK__CAPITAL", "[1", r"\$APEX_RISK__CAPITAL is not a valid value"),
            ("APEX_RISK__CAPITAL", "", r"found nothing"),
        ],
    )
    def test_an_error_names_the_variable(self, tmp_path: Path, name: str, value: str, what: str) -> None:
        with pytest.raises(ConfigError, match=what):
            load_settings(None, environ={name: value}, cwd=tmp_path)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="gives files away")
def test_a_file_that_somebody_else_left_in_the_current_folder_is_used_only_when_named(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("risk: {capital: 5000}\n")
    os.chown(path, 65534, 65534)
    with pytest.raises(ConfigError, match="belongs to another user") as caught:
        load_settings(None, environ={}, cwd=tmp_path)
    assert f"--config {path}" in caught.value.hint
    assert load_settings(path, environ={}, cwd=tmp_path).risk.capital == 5000


class TestReference:
    def test_the_example_file_is_what_the_schema_says(self) -> None:
        assert EXAMPLE.read_text() == render_reference_config()

    def test_the_example_file_holds_exactly_the_defaults(self, tmp_path: Path) -> None:
        example = load_settings(EXAMPLE, environ={}, cwd=tmp_path)
        expected = Settings().replace(
            state=msgspec.structs.replace(Settings().state, dir=EXAMPLE.parent / "state"),
            source=EXAMPLE,
        )
        assert example == expected

    def test_every_key_stands_in_the_example_with_a_comment_above(self) -> None:
        lines = EXAMPLE.read_text().splitlines()
        for path in leaves():
            key = path.rpartition(".")[2]
            places = [number for number, line in enumerate(lines) if line.strip().startswith(f"{key}:")]
            assert any(lines[number - 1].strip().startswith("# ") for number in places), path

    def test_every_key_has_a_docstring(self) -> None:
        for section in sections():
            assert set(fields_of(section)) <= set(field_docstrings(section)), section

    def test_every_number_has_a_range(self) -> None:
        for path, field in leaves().items():
            taken = field.item or field
            if taken.kind in {int, Decimal}:
                assert isinstance(taken.rule, Range), path


def test_without_a_file_no_heavy_module_is_imported(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from apex_cli.settings.load import load_settings;"
        "assert not {'yaml', 'rich', 'asyncio', 'tinydb', 'platformdirs'} & set(sys.modules);"
        "load_settings(None, environ={'APEX_LIVE': '1'}, cwd=Path());"
        "assert not {'yaml', 'rich', 'asyncio', 'tinydb'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tmp_path)


KEYS = [path.rpartition(".")[2] for path in leaves()] + list(TOP)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.decimals() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(KEYS) | st.text(), inner),
    max_leaves=12,
)


@limited(max_examples=60)
@given(document=st.dictionaries(st.sampled_from(KEYS) | st.text() | st.integers(), PLAIN))
def test_any_document_gives_settings_or_one_error(document: dict[object, object]) -> None:
    try:
        found = build_settings(document, overrides={}, source=None, base=Path("/base"))
    except ConfigError as error:
        assert error.details["problems"]  # noqa: PT017 - either way is right, and this one has a promise to check
    else:
        assert 0 < found.risk.max_risk_pct <= 1


class TestSlips:
    def test_a_risk_that_looks_like_a_percentage_is_refused_with_both_readings(self, tmp_path: Path) -> None:
        (found,) = problems(tmp_path, "risk: {max_risk_pct: 1}").values()
        assert found["message"] == (
            "found 1, which is 100 % of capital at each stop, allowed: up to 0.5. "
            "If 1 % is meant, write 0.01; else raise risk.max_risk_pct_ceiling."
        )
        assert load(tmp_path, "risk: {max_risk_pct: 1, max_risk_pct_ceiling: 1}").risk.max_risk_pct == 1

    @pytest.mark.parametrize(("value", "is_doubtful"), [("0.2", False), ("0.21", True), ("0.5", True)])
    def test_a_large_risk_is_asked_about(self, tmp_path: Path, value: str, is_doubtful: bool) -> None:
        found = list(doubts(load(tmp_path, f"risk: {{max_risk_pct: {value}}}")))
        assert [doubt.value for doubt in found] == ([value] if is_doubtful else [])

    @pytest.mark.parametrize(
        ("text", "name"),
        [
            ("risk: {max_daily_loss_pct: 1}", "risk.max_daily_loss_pct is 1: 100 % of the day's opening equity"),
            ("protections: {max_weekly_loss_pct: 0.5}", "protections.max_weekly_loss_pct is 0.5: 50 % of the week's"),
            ("protections: {max_monthly_loss_pct: 1}", "protections.max_monthly_loss_pct is 1: 100 % of the month's"),
            ("simulation: {slippage_pct: 0.5}", "simulation.slippage_pct is 0.5: 50 % of the price is lost"),
        ],
    )
    def test_other_large_fractions_are_asked_about(self, tmp_path: Path, text: str, name: str) -> None:
        (found,) = doubts(load(tmp_path, text))
        assert found.message.startswith(name)
        assert "% is meant, write 0.0" in found.message

    def test_a_key_with_dots_is_explained(self, tmp_path: Path) -> None:
        found = problems(tmp_path, "risk.capital: 5000\nbroker.ib.ib_port: 4002\n")
        assert found["risk.capital"]["message"].endswith(
            "keys nest, each below its section; write risk: {capital: ...}"
        )
        assert found["broker.ib.ib_port"]["message"].endswith("write broker: {ib: {ib_port: ...}}")


class TestProfiles:
    def test_each_has_its_own_state_and_live_its_own_port_and_client_id(self, tmp_path: Path) -> None:
        found = {name: load(tmp_path, "broker: {ib: {ib_port: 4002}}", APEX_PROFILE=name) for name in BUILT_IN}
        assert {name: one.state.dir.name for name, one in found.items()} == {
            "sim": "state-sim",
            "paper": "state-paper",
            "live": "state-live",
        }
        assert {name: one.execution.simulation_mode for name, one in found.items()} == {
            "sim": True,
            "paper": False,
            "live": False,
        }
        ib = {name: one.broker.ib for name, one in found.items()}
        assert (ib["paper"].mode, ib["paper"].ib_port, ib["paper"].ib_client_id) == ("paper", 4002, 1)
        assert (ib["live"].mode, ib["live"].ib_port, ib["live"].ib_client_id) == ("live", 4001, 11)

    def test_the_file_changes_a_profile_and_adds_others(self, tmp_path: Path) -> None:
        text = (
            "state: {dir: s}\n"
            "profiles: {live: {broker: {ib: {ib_port: 9}}, state: {dir: mine}}, swing: {risk: {capital: 5}}}"
        )
        live, swing = (load(tmp_path, text, APEX_PROFILE=name) for name in ("live", "swing"))
        assert (live.broker.ib.ib_port, live.state.dir, live.profile) == (9, tmp_path / "mine", "live")
        assert (swing.risk.capital, swing.state.dir.name, swing.execution.simulation_mode) == (5, "s-swing", True)
        assert load(tmp_path, text).risk.capital == 3000

    def test_a_variable_wins_over_the_profile_and_the_option_over_the_variable(self, tmp_path: Path) -> None:
        environ = {"APEX_PROFILE": "paper", "APEX_EXECUTION__SIMULATION_MODE": "true"}
        found = load_settings(None, environ=environ, cwd=tmp_path, profile="live")
        assert (found.profile, found.execution.simulation_mode, found.broker.ib.mode) == ("live", True, "live")

    def test_an_unknown_profile_and_a_bad_one_are_problems(self, tmp_path: Path) -> None:
        assert "known here: live, paper, sim, x" in str(problems(tmp_path, "profiles: {x: {}}", APEX_PROFILE="y"))
        assert "profiles.x.risk.capital" in problems(tmp_path, "profiles: {x: {risk: {capital: 0}}}")
        assert "profiles.x.rsk" in problems(tmp_path, "profiles: {x: {rsk: {}}}")
        assert "profiles" in problems(tmp_path, "profiles: 3")


class TestSettingsAsAValue:
    def test_two_are_the_same_when_every_section_is_whether_it_was_read_or_not(self) -> None:
        read, unread = Settings(), Settings()
        assert read.pipeline.max_bar_age_days == Settings().pipeline.max_bar_age_days
        assert read == unread
        assert read != read.replace(live=True)
        assert read != read.replace(state=msgspec.structs.replace(read.state, backups=3))

    def test_they_travel_between_processes(self) -> None:
        changed = Settings().replace(profile="paper", risk=msgspec.structs.replace(Settings().risk, max_positions=3))
        assert pickle.loads(pickle.dumps(changed)) == changed  # noqa: S301 - our own

    def test_they_cannot_be_changed(self) -> None:
        with pytest.raises(AttributeError, match="replace"):
            Settings().live = True

    def test_others_are_made_by_replace_and_by_what_python_calls_for_it(self) -> None:
        read = Settings(risk=msgspec.structs.replace(Settings().risk, max_positions=3))
        other = read.replace(live=True)
        assert (other.live, other.risk, read.live) == (True, read.risk, False)
        assert read.__replace__(live=True) == other
        if sys.version_info >= (3, 13):
            assert copy.replace(read, live=True) == other
        with pytest.raises(TypeError, match="rsik"):
            read.replace(rsik=read.risk)
        with pytest.raises(TypeError):
            msgspec.structs.replace(read, live=True)  # type: ignore[type-var]

    def test_a_name_that_is_no_section_is_refused(self) -> None:
        with pytest.raises(TypeError, match="rsik"):
            Settings(rsik=Settings().risk)
        with pytest.raises(AttributeError, match="rsik"):
            getattr(Settings(), "rsik")  # noqa: B009 - mypy knows better

    def test_their_text_shows_every_section(self) -> None:
        assert all(f"{name}=" in repr(Settings()) for name in TOP)
