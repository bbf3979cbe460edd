"""A run that rests between two cycles is woken by what a server kept, and by nothing that it saw before."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from apex_cli.core.adapters.state.intake_files import Intake, IntakeSource, Taken, names_in
from kit import SequentialIds
from kit.rig import Rig, auto, make_signal


def test_a_signal_that_is_kept_while_a_run_rests_is_decided_at_once(tmp_path: Path) -> None:
    rig = Rig(limits=auto())
    source = IntakeSource(tmp_path)
    coordinator = rig.make_coordinator(sources=[source], is_woken=source.has_news)
    intake = Intake(tmp_path, SequentialIds().new)

    async def story() -> float:
        stop = asyncio.Event()
        running = asyncio.create_task(coordinator.run(stop=stop, interval_s=60))
        await asyncio.sleep(0.1)  # the first cycle is over
        since = time.monotonic()
        intake.keep([Taken(where="listen:robot", signal=make_signal("AAPL", now=rig.clock.now()))])
        while not coordinator.reports:  # noqa: ASYNC110 - the coordinator has no event for it
            await asyncio.sleep(0.005)
        took = time.monotonic() - since
        stop.set()
        await running
        return took

    assert rig.run(asyncio.wait_for(story(), 30)) < 20
    assert [report.where for report in coordinator.reports] == ["listen:robot"]
    assert names_in(tmp_path / "intake") == []


def test_what_cannot_be_removed_wakes_nobody_twice_and_is_reported_once(tmp_path: Path) -> None:
    said: list[str] = []
    source = IntakeSource(tmp_path, notice=lambda reason: said.append(reason.code))
    rig = Rig(limits=auto())
    intake = Intake(tmp_path, SequentialIds().new)
    intake.keep([Taken(where="listen:robot", signal=make_signal("AAPL", now=rig.clock.now()))])
    assert source.has_news()
    (batch,) = source.poll(rig.clock.now())
    (tmp_path / "intake" / batch.token).unlink()
    (tmp_path / "intake" / batch.token).mkdir()
    source.settle(batch, ())
    assert not source.has_news()
    assert list(source.poll(rig.clock.now())) == []
    assert said == ["intake_stuck"]
