"""Code that may be anybody's: what crashes, hangs or eats memory is named, and the others still work."""

from __future__ import annotations

import asyncio
import os
import signal as signals
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal, getcontext
from pathlib import Path
from typing import Any

import pytest

from apex_cli.core.market.calendar import LAST_SECOND
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.signal import Signal
from apex_cli.core.ports import SignalBatch
from apex_cli.core.signals.context import Once, PipelineContext
from apex_cli.core.signals.guarded import GuardedSource, GuardedStage
from apex_cli.core.signals.plugin_limits import Limits
from kit import START, FixedClock
from kit.rig import make_signal

MOST_S = 0.2
"""For steps that never answer."""

LONG_S = 30.0
"""For steps that answer, however busy the machine is."""


async def sleeps() -> None:
    await asyncio.sleep(60)


async def sleeps_and_catches_everything() -> None:
    while True:
        with suppress(BaseException):
            await asyncio.sleep(60)


async def blocks() -> None:
    time.sleep(60)  # noqa: ASYNC251 - a step that never awaits


async def loops() -> None:
    while True:
        pass


async def loops_after_waiting() -> None:
    await asyncio.sleep(0)
    while True:
        pass


async def eats_memory() -> None:
    _ = bytearray(8 << 30)


async def ends_apex() -> None:
    raise SystemExit(0)


async def exits() -> None:
    await asyncio.sleep(0)
    sys.exit(3)


async def leaves() -> None:
    os._exit(3)


async def leaves_after_waiting() -> None:
    await asyncio.sleep(0)
    os._exit(3)


async def says_it_is_over() -> None:
    raise GeneratorExit


async def says_it_is_over_after_waiting() -> None:
    await asyncio.sleep(0)
    raise GeneratorExit


async def falls() -> None:
    await falls()


async def falls_without_end() -> None:
    sys.setrecursionlimit(10**9)

    def fall() -> None:
        fall()

    fall()


async def crashes() -> None:
    raise ValueError("no such luck")


async def is_cancelled() -> None:
    raise asyncio.CancelledError


async def waits_for_what_was_cancelled() -> None:
    task = asyncio.ensure_future(asyncio.sleep(60))
    await asyncio.sleep(0)
    task.cancel()
    await task


async def raises_what_is_no_exception() -> None:
    class Over(BaseException):
        pass

    raise Over


async def raises_what_cannot_be_told() -> None:
    class Mute(Exception):  # noqa: N818 - no error of ours
        def __str__(self) -> str:
            raise ValueError("no words")

    raise Mute


SILENT = [sleeps, sleeps_and_catches_everything, blocks, loops, loops_after_waiting]
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="alarms")


@pytest.fixture(autouse=True)
def _nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hear of no exception that nobody can catch: a step is ended also while something is cleared up or reported."""
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)


class Step:
    name = "mine"

    def __init__(self, body: Callable[[], Any]) -> None:
        self.body = body
        self.asked = 0

    async def process(self, signal: Signal) -> Signal:
        self.asked += 1
        await self.body()
        return signal


def a_context(reported: list[Reason], *, required: bool = False, most_s: float = MOST_S) -> PipelineContext:
    return PipelineContext(
        clock=FixedClock(),
        bars=None,
        state_dir=Path(),
        notice=Once(reported.append),
        is_required=required,
        limits=Limits(most_s, 512),
    )


def asked(
    step: Step, *, times: int = 2, required: bool = False, most_s: float = MOST_S
) -> tuple[list[Signal | Reason], list[Reason]]:
    reported: list[Reason] = []
    guarded = GuardedStage(step, a_context(reported, required=required, most_s=most_s))

    async def run() -> list[Signal | Reason]:
        return [await guarded.process(make_signal(f"S{number}", now=START)) for number in range(times)]

    return asyncio.run(asyncio.wait_for(run(), 50)), reported


@pytest.mark.parametrize("body", SILENT)
def test_a_step_that_does_not_answer_is_reported_and_left_out(body: Callable[[], Any]) -> None:
    step = Step(body)
    started = time.monotonic()
    answers, (reason,) = asked(step)
    assert time.monotonic() - started < 30  # half of what it would take
    assert all(isinstance(answer, Signal) for answer in answers)
    assert "did not answer within 0.2 s, and is left out" in reason.message
    assert step.asked == 1


def test_a_step_that_catches_the_end_of_its_time_is_ended_at_its_next_step() -> None:
    class Twice:
        name = "stubborn"

        async def process(self, signal: Signal) -> Signal:
            for _ in range(2):
                with suppress(BaseException):
                    time.sleep(60)  # noqa: ASYNC251 - a step that never awaits
            return signal

    reported: list[Reason] = []
    guarded = GuardedStage(Twice(), a_context(reported))
    started = time.monotonic()
    asyncio.run(guarded.process(make_signal("AAPL", now=START)))
    assert time.monotonic() - started < 30  # half of what it would take


@pytest.mark.skipif(sys.platform != "linux", reason="a bound on memory")
def test_a_step_that_eats_memory_is_reported_and_left_out() -> None:
    answers, (reason,) = asked(Step(eats_memory), most_s=LONG_S)
    assert all(isinstance(answer, Signal) for answer in answers)
    assert "more memory than a step may" in reason.message


ENDING = [
    ends_apex,
    exits,
    leaves,
    leaves_after_waiting,
    says_it_is_over,
    says_it_is_over_after_waiting,
    falls,
    falls_without_end,
    crashes,
    is_cancelled,
    waits_for_what_was_cancelled,
    raises_what_is_no_exception,
    raises_what_cannot_be_told,
]


@pytest.mark.parametrize("body", ENDING)
def test_a_step_that_crashes_or_ends_apex_is_asked_again(body: Callable[[], Any]) -> None:
    step = Step(body)
    answers, reported = asked(step, most_s=LONG_S)
    assert all(isinstance(answer, Signal) for answer in answers)
    assert step.asked == 2
    assert reported
    assert "mine failed" in reported[0].message


def test_the_text_of_an_error_is_shown_as_far_as_it_can_be_read() -> None:
    async def shouts() -> None:
        raise ValueError("no" * 10_000)

    _, reported = asked(Step(shouts), times=1, most_s=LONG_S)
    assert reported[0].message == f"The step mine failed on S0: ValueError: {'no' * 250}…."


def test_after_a_step_everything_is_as_it_was() -> None:
    def stage() -> tuple[object, ...]:
        return sys.stdout, sys.stderr, os._exit, sys.setrecursionlimit, sys.getrecursionlimit(), signals.getitimer(0)

    before = stage(), signals.getsignal(signals.SIGALRM)
    for body in (*SILENT, *ENDING):
        asked(Step(body), most_s=MOST_S if body in SILENT else LONG_S)
        assert (stage(), signals.getsignal(signals.SIGALRM)) == before, body.__name__


def test_a_child_of_a_step_may_end_as_it_likes() -> None:
    ended: list[int] = []

    async def forks() -> None:
        child = os.fork()
        if not child:
            os._exit(7)
        ended.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))  # noqa: ASYNC222 - a step that never awaits

    _, reported = asked(Step(forks), most_s=LONG_S)
    assert (ended, reported) == ([7, 7], [])


def test_a_thread_of_ours_can_end_the_process_while_a_step_hangs() -> None:
    code = "\n".join(
        (
            "import asyncio, os, sys, threading",
            f"sys.path[:0] = {sys.path!r}",
            "from core.signals import test_guarded as steps",
            "threading.Timer(0.3, lambda: os._exit(9)).start()",
            "steps.asked(steps.Step(steps.blocks), most_s=60)",
        )
    )
    here = Path(__file__).parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=here, check=False, timeout=50).returncode == 9


def test_what_programs_of_a_step_print_goes_to_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    async def prints() -> None:
        subprocess.run(["echo", "to you"], check=True)  # noqa: ASYNC221 - a step that never awaits
        os.write(1, b"and to you")

    asked(Step(prints), times=1, most_s=LONG_S)
    os.write(1, b"ours")
    assert capfd.readouterr() == ("ours", "to you\nand to you")


def test_how_a_step_rounds_decimals_changes_nobody_elses_money() -> None:
    async def rounds() -> None:
        getcontext().prec = 2
        await asyncio.sleep(0)
        getcontext().prec = 1

    asked(Step(rounds), most_s=LONG_S)
    assert Decimal(1) / 3 == Decimal("0.3333333333333333333333333333")


def test_what_a_step_prints_goes_to_standard_error_and_not_without_end(capsys: pytest.CaptureFixture[str]) -> None:
    async def prints() -> None:
        print("\x1b[31mto you\u202e")
        for _ in range(3000):
            print("and to you", file=sys.stderr)

    asked(Step(prints), most_s=LONG_S)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("\\u001b[31mto you\\u202e\nand to you\n")
    assert err.endswith("What steps print beyond 20,000 characters is left out.\n")
    assert len(err) < 21_000


@pytest.mark.parametrize("body", [sleeps, blocks, ends_apex])
def test_where_analysis_is_required_the_signal_is_refused(body: Callable[[], Any]) -> None:
    answers, _ = asked(Step(body), required=True)
    assert [answer.code for answer in answers if isinstance(answer, Reason)] == ["stage_failed"] * 2


def test_a_step_in_time_is_left_alone() -> None:
    async def quick() -> None:
        async with asyncio.timeout(LONG_S):
            await asyncio.sleep(0.01)

    answers, reported = asked(Step(quick), times=5, most_s=LONG_S)
    assert reported == []
    assert [answer.symbol for answer in answers if isinstance(answer, Signal)] == ["S0", "S1", "S2", "S3", "S4"]


def test_ctrl_c_inside_a_step_ends_the_run_and_not_the_step() -> None:
    async def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        asked(Step(interrupted))


class Finds:
    """A scanner whose poll is *body*."""

    def __init__(self, body: Callable[[], Iterator[SignalBatch]]) -> None:
        self.body = body
        self.polls = 0

    def poll(self, now: object) -> Iterator[SignalBatch]:
        del now
        self.polls += 1
        return self.body()

    def settle(self, *_: object) -> None:
        time.sleep(60)


def finds_and_blocks() -> Iterator[SignalBatch]:
    yield SignalBatch(name="first")
    time.sleep(60)
    yield SignalBatch(name="never")


def finds_and_exits() -> Iterator[SignalBatch]:
    yield SignalBatch(name="first")
    raise SystemExit


def test_a_scanner_that_does_not_answer_keeps_what_it_found_and_is_left_out() -> None:
    reported: list[Reason] = []
    source = Finds(finds_and_blocks)
    guarded = GuardedSource("mine", source, Once(reported.append), Limits(MOST_S))
    assert [[batch.name for batch in guarded.poll(START)] for _ in range(2)] == [["first"], []]
    assert source.polls == 1
    assert "did not answer within 0.2 s" in reported[0].message


def test_a_scanner_that_ends_apex_is_looked_at_again() -> None:
    reported: list[Reason] = []
    source = Finds(finds_and_exits)
    guarded = GuardedSource("mine", source, Once(reported.append), Limits(MOST_S))
    assert [[batch.name for batch in guarded.poll(START)] for _ in range(2)] == [["first"]] * 2
    assert "it tried to end apex" in reported[0].message
    guarded.settle(SignalBatch(name="first"), ())
    assert "did not answer" in reported[-1].message


class FindsAtFirst(Finds):
    def wakes(self, ends: Sequence[datetime]) -> Iterator[datetime]:
        yield ends[0]


def test_a_scanner_is_polled_at_no_end_at_which_it_said_there_is_nothing() -> None:
    source = FindsAtFirst(lambda: iter([SignalBatch(name="found")]))
    guarded = GuardedSource("mine", source, Once([].append), Limits(MOST_S))
    ends = [START, START + timedelta(days=1)]
    assert [len(list(guarded.poll(end - LAST_SECOND))) for end in ends] == [1, 1]
    assert set(guarded.wakes(ends) or ()) == {START}
    assert [len(list(guarded.poll(end - LAST_SECOND))) for end in ends] == [1, 0]
    assert source.polls == 3
