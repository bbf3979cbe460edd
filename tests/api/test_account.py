"""An account for programs: the doors of the commands, their rules, and errors with the codes of the exit statuses."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from apex_cli import api

D = Decimal
CONFIG = """
execution: {auto_execute: true}
risk: {enforce_market_hours: false}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a folder of its own, without variables of ours."""
    for name in [name for name in os.environ if name.startswith("APEX_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def apex(here: Path) -> api.Apex:
    (here / "config.yaml").write_text(CONFIG)
    return api.Apex()


def buy(symbol: str = "AAPL", **more: Any) -> api.Signal:
    levels = {"entry_price": 50, "stop_loss": 48, "target_prices": (56,), "confidence": 0.9}
    return api.Signal(**({"symbol": symbol, "strategy": "hand"} | levels | more))


# Submitting


def test_a_signal_is_decided_and_its_position_protected(apex: api.Apex) -> None:
    report = apex.submit(buy())
    assert (report.outcome, report.symbol, report.quantity) == ("executed", "AAPL", 3)
    (held,) = apex.positions()
    assert (held.symbol, held.quantity, held.entry_price, held.stop_price) == ("AAPL", 3, 50, 48)
    assert held.protected_overnight
    for frame in (apex.positions().to_pandas(), apex.positions().to_polars()):
        assert (list(frame["symbol"]), list(frame["side"]), list(frame["quantity"])) == (["AAPL"], ["long"], [3.0])
    assert apex.orders().to_polars().height == 2
    assert apex.approvals().to_pandas().columns[0] == "approval_id", "without rows the columns are there"
    assert {(o.role, o.quantity) for o in apex.orders()} == {("STOP", 3), ("TARGET", 3)}
    account = apex.account()
    assert (account.name, account.equity + 1) == ("SIM", 3000), "one dollar of commission"
    assert apex.name == "SIM"


def test_the_same_signal_never_enters_twice(apex: api.Apex) -> None:
    first = apex.submit(buy(signal_id="one"))
    again = apex.submit(buy(signal_id="one"))
    assert (first.outcome, again.outcome) == ("executed", "duplicate")
    assert apex.positions()[0].quantity == 3


def test_a_refusal_is_a_value_with_every_reason(apex: api.Apex) -> None:
    report = apex.submit(buy(stop_loss=49.5, target_prices=(50.1,), confidence=0.1))
    assert report.outcome is api.SignalOutcome.REFUSED
    assert {"reward_risk_min", "confidence_min"} <= {reason.code for reason in report.reasons}
    assert len(apex.positions()) == 0


def test_several_are_ranked_and_what_is_none_stops_no_other(apex: api.Apex) -> None:
    reports = apex.submit_all([buy("IBM"), buy("MSFT", stop_loss="x"), buy("AAPL")])
    assert [(r.symbol, r.outcome.value) for r in reports] == [
        ("MSFT", "invalid"),
        ("IBM", "executed"),
        ("AAPL", "executed"),
    ]
    assert apex.submit_all([]) == []


def test_what_is_no_signal_is_an_error_that_names_the_field(apex: api.Apex) -> None:
    for act in (apex.submit, apex.decide):
        with pytest.raises(api.InputError, match="stop_loss") as wrong:
            act(buy(stop_loss="x"))
        assert (wrong.value.code, wrong.value.status) == ("signal_invalid", api.ExitStatus.USAGE)


def test_deciding_changes_nothing(apex: api.Apex, here: Path) -> None:
    report = apex.decide(buy())
    assert (report.outcome, report.quantity) == ("executed", 3)
    assert (len(apex.positions()), not (here / "state").exists()) == (0, True)


def test_a_decision_without_an_account_is_that_of_one_that_holds_nothing(apex: api.Apex, here: Path) -> None:
    apex.submit(buy())
    chosen = {"execution.auto_execute": True, "risk.enforce_market_hours": False, "risk.capital": 6000}
    fresh = api.decide(buy(signal_id="other"), chosen)
    assert (fresh.outcome, fresh.quantity) == ("executed", 6)
    held = api.decide(buy(signal_id="other"), here / "config.yaml")
    assert (held.outcome, {reason.code for reason in held.reasons}) == ("refused", {"duplicate_symbol"})
    assert api.decide(buy(signal_id="other")).outcome in {"queued", "refused"}, (
        "the defaults ask, or the market is closed"
    )
    with pytest.raises(api.InputError, match="entry_price"):
        api.decide(buy(entry_price=-1))


# Answering and closing


@pytest.fixture
def asking(here: Path) -> api.Apex:
    """Return an account that asks for every trade; AAPL and IBM wait."""
    (here / "config.yaml").write_text(CONFIG.replace("true", "false"))
    apex = api.Apex()
    for symbol in ("AAPL", "IBM"):
        assert apex.submit(buy(symbol)).approval_id
    return apex


def test_what_waits_is_approved_by_symbol_or_id_with_another_size(asking: api.Apex) -> None:
    waiting = asking.approvals()
    assert {(a.symbol, a.quantity, a.status.value, a.entry_price) for a in waiting} == {
        ("AAPL", 3, "pending", 50),
        ("IBM", 3, "pending", 50),
    }
    answered = asking.approve("AAPL", quantity=2)
    assert (answered.status, answered.quantity, answered.filled, len(answered.orders)) == ("executed", 2, 2, 3)
    rejected = asking.reject(next(a.approval_id for a in waiting if a.symbol == "IBM"), "too late")
    assert (rejected.status, rejected.reason, rejected.filled) == ("rejected", "too late", 0)
    assert (len(asking.approvals()), asking.positions()[0].quantity) == (0, 2)


def test_an_answer_to_nothing_and_one_that_a_check_refuses_are_errors(asking: api.Apex) -> None:
    with pytest.raises(api.InputError):
        asking.approve("TSLA")
    with pytest.raises(api.RefusedError) as refused:
        asking.approve("AAPL", quantity=50_000)
    assert refused.value.status is api.ExitStatus.REFUSED
    asking.approve("AAPL")
    with pytest.raises(api.ApexError):
        asking.reject("AAPL")


def test_positions_are_closed_in_part_and_as_a_whole(apex: api.Apex) -> None:
    apex.submit_all([buy("AAPL"), buy("IBM")])
    part = apex.close("AAPL", quantity=1, reason="less")
    assert (part.status, part.quantity, part.remaining) == ("reduced", 1, 2)
    rest = apex.close_all(reason="enough")
    assert {(c.symbol, c.status.value, c.quantity) for c in rest} == {("AAPL", "closed", 2), ("IBM", "closed", 3)}
    assert len(apex.positions()) == len(apex.orders()) == 0
    assert {(t.symbol, t.quantity, t.exit_reason) for t in apex.trades()} == {
        ("AAPL", 3, "enough"),
        ("IBM", 3, "enough"),
    }
    with pytest.raises(api.NothingToDo) as nothing:
        apex.close("AAPL")
    assert nothing.value.status is api.ExitStatus.NOTHING_DONE
    with pytest.raises(api.NothingToDo):
        apex.close_all()
    with pytest.raises(api.InputError, match="exclude each other"):
        apex.close("AAPL", fraction=1, quantity=1)


# The account


def test_without_a_configuration_no_account_is_begun(here: Path) -> None:
    with pytest.raises(api.ConfigError) as missing:
        api.Apex()
    assert missing.value.code == "config_not_found"
    with pytest.raises(api.ConfigError, match=r"other\.yaml"):
        api.Apex("other.yaml")
    assert not list(here.iterdir())


def test_settings_profiles_and_changes_are_those_of_the_commands(here: Path) -> None:
    (here / "config.yaml").write_text(CONFIG)
    changed = api.Apex(changes={"risk.capital": 6000}, profile="sim")
    assert (changed.settings.risk.capital, changed.settings.state.dir.name) == (6000, "state-sim")
    assert api.Apex(changed.settings).submit(buy()).quantity == 6
    with pytest.raises(api.ConfigError, match=r"risk\.capitol|CAPITOL"):
        api.Apex(changes={"risk.capitol": 1})


def test_warnings_go_to_the_log(apex: api.Apex, caplog: pytest.LogCaptureFixture) -> None:
    apex.submit(buy())
    assert [record.name for record in caplog.records] in ([], ["apex_cli.api"])
    (apex.settings.state.dir / "state.json").write_text("{}")
    with pytest.raises(api.StateError) as damaged:
        apex.positions()
    assert damaged.value.status is api.ExitStatus.STATE_DAMAGED


def test_events_come_once_in_order_and_resume_by_their_number(apex: api.Apex) -> None:
    apex.submit(buy())
    seen = list(apex.events(0, follow=False))
    assert [event.seq for event in seen] == list(range(1, len(seen) + 1))
    assert {"decided", "order_updated"} <= {event.kind for event in seen}
    apex.close("AAPL")
    fresh = list(apex.events(seen[-1].seq, follow=False))
    assert fresh[0].seq == seen[-1].seq + 1
    assert "round_trip_closed" in {event.kind for event in fresh}
    with pytest.raises(api.InputError):
        apex.events(fresh[-1].seq + 1)


def test_time_is_played_only_where_the_market_follows_bars(apex: api.Apex) -> None:
    with pytest.raises(api.InputError, match=r"simulation\.clock") as refused:
        apex.advance()
    assert refused.value.code == "bars_until_needs_bars_clock"


# Event loops


def test_it_works_inside_a_running_event_loop(apex: api.Apex) -> None:
    async def main() -> str:
        return apex.submit(buy()).outcome

    assert asyncio.run(main()) == "executed"


def test_the_account_for_event_loops_does_the_same_and_the_loop_goes_on(apex: api.Apex) -> None:
    async def main() -> None:
        account = api.AsyncApex(apex.settings)
        reports = await asyncio.gather(*(account.submit(buy(symbol)) for symbol in ("AAPL", "IBM", "MSFT")))
        assert [report.outcome.value for report in reports] == ["executed"] * 3
        assert {held.symbol for held in await account.positions()} == {"AAPL", "IBM", "MSFT"}
        assert (await account.close("IBM")).status == "closed"
        with pytest.raises(api.NothingToDo):
            await account.close("IBM")
        kinds = [event.kind async for event in account.events(0, follow=False)]
        assert kinds.count("round_trip_closed") == 1
        following = account.events()
        first = asyncio.ensure_future(anext(following))
        await asyncio.sleep(0.05)
        await account.close_all()
        assert (await asyncio.wait_for(first, 10)).seq == len(kinds) + 1

    asyncio.run(main())


# Beside a run


@pytest.fixture
def running(apex: api.Apex) -> Iterator[subprocess.Popen[bytes]]:
    """A run of its own that holds the executor."""
    words = [sys.executable, "-m", "apex_cli", "run", "--quiet"]
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 30
        while not (apex.settings.state.dir / "executor.holder").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        yield process
        process.kill()


def test_a_run_decides_what_a_program_submits_and_closes_what_it_closes(
    apex: api.Apex, running: subprocess.Popen[bytes]
) -> None:
    reports = apex.submit_all(
        [buy("AAPL"), buy("IBM", stop_loss=49.9, target_prices=(50.05,)), buy("MSFT", signal_id="m")]
    )
    assert [(r.symbol, r.outcome.value) for r in reports] == [
        ("AAPL", "executed"),
        ("IBM", "refused"),
        ("MSFT", "executed"),
    ]
    assert reports[1].reasons
    assert len(reports[0].orders) == 3
    assert apex.submit(buy("MSFT", signal_id="m")).outcome == "duplicate"
    assert apex.close("AAPL").status == "closed"
    impatient = api.Apex(apex.settings, wait_s=0)
    for act in (lambda: impatient.submit(buy("TSLA")), lambda: impatient.close("MSFT")):
        with pytest.raises(api.BusyError) as busy:
            act()
        assert busy.value.status is api.ExitStatus.BUSY
    assert running.poll() is None


def test_what_a_run_was_given_is_decided_once_where_that_run_is_killed(
    apex: api.Apex, running: subprocess.Popen[bytes]
) -> None:
    running.send_signal(signal.SIGSTOP)
    received = api.Apex(apex.settings, wait_s=0.2).submit(buy("AAPL", signal_id="kept"))
    assert (received.outcome, received.reasons[0].code) == ("received", "not_decided_yet")
    running.kill()
    running.wait()
    assert apex.submit(buy("IBM")).outcome == "executed"
    outcome = apex.submit(buy("AAPL", signal_id="kept")).outcome
    subprocess.run([sys.executable, "-m", "apex_cli", "run", "--once", "--quiet"], cwd=Path.cwd(), check=False)
    entries = [e for e in apex.events(0, follow=False) if e.kind == "decided" and e.subject == "kept"]
    assert (outcome, len(entries)) == ("executed", 1)
    assert apex.positions()[0].quantity == 3
