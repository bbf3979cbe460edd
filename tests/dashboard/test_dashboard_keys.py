"""Keys, changes by other processes, and what may go wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from decimal import ROUND_DOWN, Decimal

import pytest
from busy_day import Looked, RigFeed, RigOperator, busy_rig
from textual.pilot import Pilot

from apex_cli.core.coordinator.trading_mode import change_trading_mode
from apex_cli.core.errors import RefusedError, StateError
from apex_cli.core.model.decision import TradingMode
from apex_cli.core.model.records import ApprovalRecord, ApprovalStatus
from apex_cli.core.model.request import Preview
from apex_cli.core.state.events.operation_events import Alarm, AlarmRaised
from apex_cli.dashboard.app import DashboardApp
from apex_cli.dashboard.keys import KEYS, bindings, help_text
from apex_cli.dashboard.sheet_table import SheetTable
from kit.rig import Rig

WORDS = ("earnings", "news", "low")
Story = Callable[[Pilot[None], DashboardApp], Awaitable[None]]


@pytest.fixture
def rig() -> Rig:
    return busy_rig()


def play(rig: Rig, story: Story, *, size: tuple[int, int] = (80, 24), **options: bool) -> DashboardApp:
    """Play *story* on a screen over *rig*."""
    app = DashboardApp(RigFeed(rig), RigOperator(rig), **options)

    async def played() -> None:
        async with app.run_test(size=size, notifications=True) as pilot:
            await settled(pilot)
            await story(pilot, app)

    asyncio.run(played())
    return app


async def settled(pilot: Pilot[None]) -> None:
    await pilot.pause()
    await pilot.app.workers.wait_for_complete()
    await pilot.pause()


async def until(pilot: Pilot[None], holds: Callable[[], bool]) -> None:
    """Wait for something that comes by itself."""
    for _ in range(400):
        if holds():
            return
        await pilot.pause(0.05)
    raise AssertionError("it did not come")


async def press(pilot: Pilot[None], *keys: str) -> None:
    """Press *keys*; after each, what it began in a thread is waited for. A word in one piece is typed at once."""
    for key in keys:
        await pilot.press(*(key if key in WORDS else (key,)))
        await settled(pilot)


def reported(app: DashboardApp) -> str:
    return " | ".join(str(note.message) for note in app._notifications)


def shown(app: DashboardApp) -> str:
    strips = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in strips)


def statuses(rig: Rig) -> dict[str, ApprovalStatus]:
    return {a.opportunity.signal.symbol: a.status for a in rig.state.approvals.values()}


def test_a_change_by_another_process_is_followed_and_the_place_is_kept(rig: Rig) -> None:
    async def story(pilot: Pilot[None], app: DashboardApp) -> None:
        await press(pilot, "1", "down", "down", "down", "down", "down")
        table = app._base.query_one("#positions", SheetTable)
        here = table.selected
        with rig.store.transaction() as tx:
            del tx.positions["AAPL"]
        await until(pilot, lambda: table.row_count == 9)
        assert table.selected == here
        assert "1 Positions 9" in shown(app)

    play(rig, story)


def test_the_cursor_of_a_row_that_is_gone_stays_near(rig: Rig) -> None:
    async def story(pilot: Pilot[None], app: DashboardApp) -> None:
        await press(pilot, "1", "end")
        table = app._base.query_one("#positions", SheetTable)
        assert table.selected == "TSLA"
        with rig.store.transaction() as tx:
            del tx.positions["TSLA"]
        await until(pilot, lambda: table.row_count == 9)
        assert table.selected == "SPY"

    play(rig, story)


def test_the_newest_line_of_the_log_stays_in_sight_unless_one_reads_older_ones(rig: Rig) -> None:
    async def story(pilot: Pilot[None], app: DashboardApp) -> None:
        table = app._base.query_one("#log", SheetTable)
        await press(pilot, "4")
        _raise(rig, "a fresh one")
        await until(pilot, lambda: "a fresh one" in shown(app))
        assert table.cursor_row == 0
        await press(pilot, *["down"] * 5)
        here = table.selected
        _raise(rig, "another")
        await until(pilot, lambda: table.cursor_row == 6)
        assert table.selected == here

    play(rig, story)


def _raise(rig: Rig, message: str) -> None:
    with rig.store.transaction() as tx:
        tx.emit(AlarmRaised(at=rig.clock.now(), data=Alarm(code="unprotected", message=message)))


def test_without_control_nothing_is_done_but_all_is_shown(rig: Rig) -> None:
    async def story(pilot: Pilot[None], app: DashboardApp) -> None:
        await press(pilot, "2", "a")
        assert "limited by" in shown(app)
        await press(pilot, "enter", "escape", "r", "H", "U", "G")
        assert "Read-only" in reported(app)

    before = statuses(rig)
    app = play(rig, story)
    assert statuses(rig) == before
    assert rig.state.trading.mode is TradingMode.ACTIVE
    assert not app._operator.answers  # type: ignore[attr-defined]


def test_control_is_taken_with_a_key_and_given_back(rig: Rig) -> None:
    async def story(pilot: Pilot[None], app: DashboardApp) -> None:
        await press(pilot, "c", "escape")
        assert not app.has_control
        await press(pilot, "c", "enter")
        assert app.has_control
        assert "CONTROL" in shown(app)
        await press(pilot, "c")
        assert not app.has_control

    play(rig, story)


def test_a_visitor_of_a_read_only_page_cannot_take_control(rig: Rig) -> None:
    async def story(pilot: Pilot[None], app: DashboardApp) -> None:
        await press(pilot, "c", "enter")
        assert not app.has_control

    play(rig, story, may_take_control=False)


def test_a_key_approves_after_another_look(rig: Rig) -> None:
    async def story(pilot: Pilot[None], app: DashboardApp) -> None:
        await press(pilot, "2", "a")
        assert "R:R" in shown(app)
        assert "BAC" in shown(app)
        await press(pilot, "enter")
        await until(pilot, lambda: "executed" in reported(app))
        await until(pilot, lambda: "2 Approvals 4" in shown(app))

    play(rig, story, has_control=True)
    assert statuses(rig)["BAC"] is ApprovalStatus.EXECUTED
    assert "BAC" in rig.state.positions


def test_a_key_rejects_with_a_reason(rig: Rig) -> None:
    async def story(pilot: Pilot[None], app: DashboardApp) -> None:
        await press(pilot, "2", "down", "r", "earnings", "enter")
        await until(pilot, lambda: "rejected" in reported(app))

    play(rig, story, has_control=True, size=(80, 24))
    assert statuses(rig)["CAT"] is ApprovalStatus.REJECTED
    (rejected,) = [a for a in rig.state.approvals.values() if a.status is ApprovalStatus.REJECTED]
    assert (rejected.reason, rejected.decided_by) == ("earnings", "dashboard")


def test_leaving_the_question_does_nothing(rig: Rig) -> None:
    async def story(pilot: Pilot[None], _: DashboardApp) -> None:
        await press(pilot, "2", "a", "escape", "r", "escape", "H", "escape", "a", "tab", "enter")

    play(rig, story, has_control=True)
    assert set(statuses(rig).values()) == {ApprovalStatus.PENDING}
    assert rig.state.trading.mode is TradingMode.ACTIVE


def test_an_answer_that_somebody_gave_first_is_reported(rig: Rig) -> None:
    async def story(pilot: Pilot[None], app: DashboardApp) -> None:
        await press(pilot, "2", "a")
        first = rig.desk.pending()[0]
        rig.desk.reject(first, by="telegram")
        await press(pilot, "enter")
        await until(pilot, lambda: "rejected by telegram" in reported(app))

    play(rig, story, has_control=True)


def test_what_cannot_be_looked_at_is_reported(rig: Rig) -> None:
    class Blind(RigOperator):
        def preview(self, approval: ApprovalRecord) -> Preview:
            raise RefusedError("no_look", f"{approval.approval_id} cannot be looked at.", hint="Try again.")

    app = DashboardApp(RigFeed(rig), Blind(rig))

    async def played() -> None:
        async with app.run_test(notifications=True) as pilot:
            await press(pilot, "2", "a")
            await until(pilot, lambda: "cannot be looked at" in reported(app))

    asyncio.run(played())


@pytest.mark.parametrize(("key", "mode"), [("H", TradingMode.HALTED), ("U", TradingMode.REDUCING)])
def test_halt_and_reduce_ask_first_and_go_on_ends_them(rig: Rig, key: str, mode: TradingMode) -> None:
    async def story(pilot: Pilot[None], app: DashboardApp) -> None:
        await press(pilot, key, "news", "enter")
        await until(pilot, lambda: rig.state.trading.mode is mode)
        await until(pilot, lambda: f"{mode} (news)" in shown(app))
        await press(pilot, "G", "enter")
        await until(pilot, lambda: rig.state.trading.mode is TradingMode.ACTIVE)

    play(rig, story, has_control=True)


def test_a_mode_that_could_not_be_set_is_reported(rig: Rig) -> None:
    async def story(pilot: Pilot[None], app: DashboardApp) -> None:
        await press(pilot, "H", "l", "a", "t", "e", "enter")
        await until(pilot, lambda: "Somebody was faster" in reported(app))

    play(rig, story, has_control=True)


def test_the_log_is_filtered_by_words_and_by_kind(rig: Rig) -> None:
    async def story(pilot: Pilot[None], app: DashboardApp) -> None:
        table = app._base.query_one("#log", SheetTable)
        everything = table.row_count
        await press(pilot, "4", "slash", "low", "enter")
        assert 0 < table.row_count < everything
        assert "4 Log (low)" in shown(app)
        await press(pilot, "escape")
        assert table.row_count == everything
        await press(pilot, "f")
        assert "4 Log (decision)" in shown(app)
        await press(pilot, *["f"] * 6)
        assert table.row_count == everything

    play(rig, story, size=(120, 40))


def test_each_table_is_filtered_by_words_of_its_own(rig: Rig) -> None:
    async def story(pilot: Pilot[None], app: DashboardApp) -> None:
        positions, approvals = (app._base.query_one(f"#{name}", SheetTable) for name in ("positions", "approvals"))
        held, waiting = positions.row_count, approvals.row_count
        column = [head.name for head in positions._columns].index("Symbol")
        symbol = next(iter(positions._shown.values()))[column].text.lower()
        await press(pilot, "slash", *symbol, "enter")
        assert 0 < positions.row_count < held
        assert approvals.row_count == waiting
        assert f"({symbol})" in shown(app)
        assert app.focused is positions
        await press(pilot, "slash", "z", "z", "z", "enter")
        assert positions.row_count == 0
        assert "Nothing here has" in shown(app)
        await press(pilot, "escape")
        assert positions.row_count == held

    play(rig, story, size=(120, 40))


def test_enter_reports_all_of_a_line(rig: Rig) -> None:
    async def story(pilot: Pilot[None], app: DashboardApp) -> None:
        await press(pilot, "4", "slash", "low", "enter", "enter")
        assert "apex explain sig-LOW" in shown(app)
        await press(pilot, "escape")
        assert len(app.screen_stack) == 1

    play(rig, story, size=(80, 24))


def test_nothing_waiting_is_said(rig: Rig) -> None:
    for approval in rig.desk.pending():
        rig.desk.reject(approval)

    async def story(pilot: Pilot[None], app: DashboardApp) -> None:
        await press(pilot, "a")
        assert "Nothing waits" in reported(app)

    play(rig, story, has_control=True)


def test_a_damaged_state_is_reported_and_the_last_look_stays(rig: Rig) -> None:
    class Breaking(RigFeed):
        broken = False

        def look(self) -> Looked:
            if self.broken:
                raise StateError("state_damaged", "state.json is damaged", hint="run: apex state check")
            return super().look()

        def has_changed(self) -> bool:
            return self.broken or super().has_changed()

    eyes = Breaking(rig)
    app = DashboardApp(eyes, RigOperator(rig))

    async def played() -> None:
        async with app.run_test(size=(120, 40)) as pilot:
            await settled(pilot)
            eyes.broken = True
            await until(pilot, lambda: "state.json is damaged" in shown(app))
            assert "AAPL" in shown(app)
            eyes.broken = False
            await until(pilot, lambda: "is damaged" not in shown(app))

    asyncio.run(played())


def test_a_screen_that_shrinks_and_grows_keeps_everything(rig: Rig) -> None:
    async def story(pilot: Pilot[None], app: DashboardApp) -> None:
        for size in ((80, 24), (120, 40), (40, 10), (200, 60)):
            await pilot.resize_terminal(*size)
            await settled(pilot)
        for text in ("1 Positions 10", "2 Approvals 5", "4 Log", "5 Curves", "TSLA", "WMT"):
            assert text in shown(app)

    play(rig, story, size=(80, 24))


def test_a_halt_by_another_process_is_a_warning(rig: Rig) -> None:
    async def story(pilot: Pilot[None], app: DashboardApp) -> None:
        change_trading_mode(rig.store, TradingMode.HALTED, "limit", rig.clock.now())
        await until(pilot, lambda: "! HALTED: nothing but cancels" in shown(app))

    play(rig, story)


def test_prices_are_drawn_in_place(rig: Rig) -> None:
    async def story(pilot: Pilot[None], app: DashboardApp) -> None:
        prices = rig.prices
        prices.set("TSLA", "356.5", rig.clock.advance(seconds=5))  # type: ignore[union-attr]
        await asyncio.to_thread(rig.cycle)
        await until(pilot, lambda: "356.50" in shown(app))

    play(rig, story)
    assert rig.state.positions["TSLA"].current_price == Decimal("356.5")


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (("2", "a"), (" BAC @ ", "stop", "R:R", "Approve (Enter)", "Back (Esc)")),
        (("2", "r"), ("Reason (may be empty)", "Reject (Enter)", "Back (Esc)")),
        (("H",), ("HALTED", "Reason (may be empty)", "Set HALTED (Enter)", "Back (Esc)")),
        (("c",), ("Take control?", "Take control (Enter)", "Back (Esc)")),
    ],
)
def test_every_dialog_fits_a_small_screen_with_its_buttons(
    rig: Rig, keys: tuple[str, ...], words: tuple[str, ...]
) -> None:
    async def story(pilot: Pilot[None], app: DashboardApp) -> None:
        await press(pilot, *keys)
        assert [word for word in words if word not in shown(app)] == []

    play(rig, story, has_control=keys != ("c",))


@pytest.mark.parametrize(("pane", "words"), [("1", ("Protected", "Targets")), ("3", ("TIF", "Status"))])
def test_enter_reports_all_of_a_position_and_of_an_order(rig: Rig, pane: str, words: tuple[str, ...]) -> None:
    async def story(pilot: Pilot[None], app: DashboardApp) -> None:
        await press(pilot, pane, "enter")
        assert [word for word in words if word not in shown(app)] == []

    play(rig, story)


def test_help_names_every_key_that_does_something() -> None:
    page = help_text()
    for key in KEYS:
        assert key.shown in page
        assert key.action.startswith("pane") or key.meaning in page
    assert {each.key for each in KEYS} | {"ctrl+c"} == {binding.key for binding in bindings()}


def test_a_gain_keeps_its_colour_under_the_cursor(rig: Rig) -> None:
    async def story(pilot: Pilot[None], app: DashboardApp) -> None:
        table = app._base.query_one("#positions", SheetTable)
        styles = {
            str(segment.style.color)
            for y in range(table.size.height)
            for segment in table.render_line(y)
            if segment.style and "-22.20" in segment.text
        }
        await press(pilot, "down", "down")
        moved = {
            str(segment.style.color)
            for y in range(table.size.height)
            for segment in table.render_line(y)
            if segment.style and "-22.20" in segment.text
        }
        assert styles == moved

    play(rig, story)


def held(rig: Rig, symbol: str = "AMD") -> Decimal:
    row = rig.state.positions.get(symbol)
    return row.position.quantity if row is not None else Decimal(0)


def stop_of(rig: Rig, symbol: str = "AMD") -> Decimal | None:
    stops = (r.order.stop_price for r in rig.orders(symbol) if r.order.role == "STOP" and r.is_open)
    return next(stops, None)


def test_a_position_is_opened_with_its_chart_its_ladder_and_its_story(rig: Rig) -> None:
    async def story(pilot: Pilot[None], app: DashboardApp) -> None:
        await press(pilot, "down", "enter")
        seen = shown(app)
        assert "57.00 entry" in seen
        assert "55.00 stop -1.00 R" in seen
        assert "62.00 target +2.50 R" in seen
        assert "-1R 55.00" in seen
        for label in ("x Close", "h Half", "p Part", "b Break-even", "s Move stop", "Esc Back"):
            assert label in seen
        await press(pilot, "escape")
        assert len(app.screen_stack) == 1

    play(rig, story, has_control=True)


def test_half_and_a_part_are_closed_after_asking(rig: Rig) -> None:
    before = held(rig)

    async def story(pilot: Pilot[None], app: DashboardApp) -> None:
        await press(pilot, "down", "enter", "h", "escape")
        assert held(rig) == before
        await press(pilot, "enter", "h", "enter")
        await until(pilot, lambda: "AMD reduced" in reported(app))
        assert held(rig) == before - (before / 2).to_integral_value(ROUND_DOWN)
        left = held(rig)
        await press(pilot, "enter", "p", *"25%", "enter")
        await until(pilot, lambda: held(rig) < left)
        await press(pilot, "enter", "p", *"7", "enter")
        assert "is no part" in reported(app)
        await press(pilot, "enter", "x", "enter")
        await until(pilot, lambda: not held(rig))

    play(rig, story, has_control=True)


def test_a_stop_is_moved_and_more_is_risked_only_after_asking_twice(rig: Rig) -> None:
    async def story(pilot: Pilot[None], app: DashboardApp) -> None:
        await press(pilot, "down", "enter", "s", *"55.5", "enter")
        await until(pilot, lambda: stop_of(rig) == Decimal("55.5"))
        assert "AMD: stop at 55.50, was 55.00" in reported(app)
        await press(pilot, "enter", "s", *"54", "enter")
        await until(pilot, lambda: "Risk more on AMD?" in shown(app))
        await press(pilot, "escape")
        assert stop_of(rig) == Decimal("55.5")
        await press(pilot, "enter", "s", *"54", "enter")
        await until(pilot, lambda: "Risk more on AMD?" in shown(app))
        await press(pilot, "enter")
        await until(pilot, lambda: stop_of(rig) == Decimal(54))
        await press(pilot, "enter", "b", "enter")  # it loses: a stop at the entry would close it at once
        await until(pilot, lambda: "would close it at once" in reported(app))
        await press(pilot, "enter", "s", *"x", "enter")
        assert "is no price" in reported(app)

    play(rig, story, has_control=True)


def test_the_mouse_does_what_the_keys_do(rig: Rig) -> None:
    before = held(rig)

    async def story(pilot: Pilot[None], app: DashboardApp) -> None:
        await press(pilot, "down", "enter")
        await pilot.click("#half")
        await settled(pilot)
        await pilot.click("#yes")
        await until(pilot, lambda: held(rig) < before)
        app.clear_notifications()  # one may lie over the button
        await press(pilot, "enter")
        await until(pilot, lambda: bool(app.screen.query("#back")))
        await pilot.click("#back")
        await settled(pilot)
        assert len(app.screen_stack) == 1

    play(rig, story, has_control=True)


def test_without_control_a_position_is_only_looked_at(rig: Rig) -> None:
    before = held(rig), stop_of(rig)

    async def story(pilot: Pilot[None], app: DashboardApp) -> None:
        await press(pilot, "down", "enter")
        assert "Press c to take control" in shown(app)
        assert "x Close" not in shown(app)
        await press(pilot, "x", "enter", "s", "escape")
        assert (held(rig), stop_of(rig)) == before

    play(rig, story)


def test_positions_are_sorted_by_what_a_reader_asks_for(rig: Rig) -> None:
    async def story(pilot: Pilot[None], app: DashboardApp) -> None:
        table = app.query_one("#positions", SheetTable)
        await press(pilot, "o")
        assert "by P&L" in shown(app)
        results = [rig.state.positions[key] for key in table._shown]
        gains = [
            (r.current_price - r.position.entry_price) * r.position.side.sign * r.position.quantity for r in results
        ]
        assert gains == sorted(gains)
        await press(pilot, "o", "o", "o")
        assert list(table._shown) == sorted(table._shown)

    play(rig, story)


def test_an_approval_takes_another_quantity(rig: Rig) -> None:
    async def story(pilot: Pilot[None], app: DashboardApp) -> None:
        await press(pilot, "2", "a", "shift+tab", *"7", "enter")
        await until(pilot, lambda: "executed" in reported(app))
        assert held(rig, "BAC") == 7

    play(rig, story, has_control=True)


def test_the_curve_of_the_month_takes_the_place_of_the_days_and_back(rig: Rig) -> None:
    async def story(pilot: Pilot[None], app: DashboardApp) -> None:
        await press(pilot, "m")
        await until(pilot, lambda: "Equity of the last month" in shown(app))
        assert "02-26" in shown(app)
        await press(pilot, "m")
        assert "Equity today" in shown(app)

    play(rig, story)


def test_what_is_at_risk_is_shown_as_the_command_shows_it(rig: Rig) -> None:
    async def story(pilot: Pilot[None], app: DashboardApp) -> None:
        await press(pilot, "k")
        await until(pilot, lambda: "Risk 2026-" in shown(app))
        await press(pilot, "tab", "end")
        await until(pilot, lambda: "Prices as of" in shown(app) and "Entries of the day" in shown(app))
        await press(pilot, "escape")
        await until(pilot, lambda: "Entries of the day" not in shown(app))

    play(rig, story)
