from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from msgspec.structs import replace

from apex_cli.app.market_parts import Books
from apex_cli.app.marketplace import BROKERS, broker_row, make_market, require_live_word
from apex_cli.app.resources import badge_of
from apex_cli.core.errors import BrokerError, RefusedError
from apex_cli.core.model.account import AccountKind
from apex_cli.core.text.fields import Field, fields_of, is_section
from apex_cli.settings.brokers import BrokerName, BrokerSettings
from apex_cli.settings.reference import field_docstrings
from apex_cli.settings.sections import Settings, StateSettings
from apex_cli.settings.validation import TOP, build_settings


def settings_in(folder: Path, *, is_simulated: bool, name: BrokerName = BrokerName.IB) -> Settings:
    plain = Settings(state=StateSettings(dir=folder), broker=BrokerSettings(name=name))
    return plain.replace(execution=replace(plain.execution, simulation_mode=is_simulated))


@pytest.mark.parametrize("name", BrokerName)
def test_every_broker_has_a_row_and_a_section_of_the_settings(name: BrokerName) -> None:
    row = BROKERS[name]
    fields: Mapping[str, Field] = TOP
    for part in row.section.split("."):
        assert is_section(fields[part].kind)
        fields = fields_of(fields[part].kind)


def test_the_reference_configuration_names_every_broker() -> None:
    words = set(re.findall(r"[a-z]+", field_docstrings(BrokerSettings)["name"]))
    assert {name.value for name in BrokerName} <= words


def test_the_configuration_chooses_the_broker(tmp_path: Path) -> None:
    assert broker_row(settings_in(tmp_path, is_simulated=True)).title == "simulated"
    assert broker_row(settings_in(tmp_path, is_simulated=False)).title == "Interactive Brokers"
    assert broker_row(settings_in(tmp_path, is_simulated=False, name=BrokerName.SIMULATED)).title == "simulated"


@pytest.mark.parametrize("name", [name for name in BrokerName if name is not BrokerName.SIMULATED])
def test_a_broker_with_accounts_goes_by_its_own_section(tmp_path: Path, name: BrokerName) -> None:
    assert BROKERS[name].section == f"broker.{name.value}"
    document = {"broker": {"name": name.value, name.value: {"account": "U7654321"}}}
    paper, live = (
        build_settings(document, overrides={}, source=None, base=tmp_path, profile=profile)
        for profile in ("paper", "live")
    )
    badges = [badge_of(settings) for settings in (paper, live)]
    assert [(badge.kind, badge.name) for badge in badges] == [
        (AccountKind.PAPER, "U7654321"),
        (AccountKind.LIVE, "U7654321"),
    ]
    require_live_word(paper)
    with pytest.raises(RefusedError, match=rf"broker\.{name.value}\.mode is live"):
        require_live_word(live)
    require_live_word(live.replace(live=True))
    with pytest.raises(BrokerError, match="only looks"):
        asyncio.run(make_market(live, read_only=False, books=Books()).broker.require_ready())


@pytest.mark.parametrize("is_simulated", [True, False])
def test_every_row_makes_a_market_without_connecting(tmp_path: Path, is_simulated: bool) -> None:
    market = make_market(settings_in(tmp_path, is_simulated=is_simulated), read_only=True, books=Books())
    assert (market.simulated is market.broker) == is_simulated
    assert market.max_price_age is None or not is_simulated
