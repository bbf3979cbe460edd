"""The dashboard screen: it follows the state, keeps the reader's place, and acts only after a confirmation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, ClassVar, TypeVar

from rich.console import Group
from rich.text import Text
from textual import events
from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.css.query import NoMatches
from textual.geometry import Size
from textual.notifications import SeverityLevel
from textual.screen import Screen
from textual.widgets import DataTable, Footer, Input, Static

from apex_cli.core.errors import ApexError
from apex_cli.core.model.decision import TradingMode
from apex_cli.core.model.order import OrderRole
from apex_cli.core.model.records import ApprovalRecord
from apex_cli.core.model.request import Answer, Answered, Choice, Preview
from apex_cli.core.model.wording import visible
from apex_cli.core.positions.position_views import PositionView
from apex_cli.core.reports.activity import Activity, ActivityKind
from apex_cli.core.reports.board import PositionHistory, Seen
from apex_cli.core.reports.risk_view import RiskView
from apex_cli.core.reports.trade_report import SessionValue
from apex_cli.dashboard.dialogs import Confirm, Dialog, Help
from apex_cli.dashboard.keys import PANES, bindings
from apex_cli.dashboard.layout import (
    LEFT_PART,
    LOOK_EVERY_S,
    MEDIUM_FROM,
    MOST_ALARMS,
    MOST_LOG_ROWS,
    READ_ONLY,
    SIDES,
    TABLE_EDGE,
    TALL_FROM,
    THEMES,
    WIDE_FROM,
    all_of,
    fitting,
    pane_of,
)
from apex_cli.dashboard.plot_widgets import CurvePlot, HistogramPlot
from apex_cli.dashboard.position_acts import PositionActs
from apex_cli.dashboard.position_dialog import ORDER_ACTS, POSITION_ACTS, ActDialog, position_body, quantity_of
from apex_cli.dashboard.seen import Feed, Operator
from apex_cli.dashboard.sheet_table import SheetTable
from apex_cli.dashboard.tones import DARK, LIGHT, fields_of, line_of, text_of
from apex_cli.presenters.approvals import answer_blocks, preview_blocks
from apex_cli.presenters.day import (
    MODE_MEANINGS,
    alarm_cells,
    approvals_sheet,
    brief_lines,
    day_trade_rows,
    equity_rows,
    exposure_rows,
    head_cells,
    heat_rows,
    is_shown,
    log_sheet,
    matching,
    orders_sheet,
    positions_sheet,
    risk_rows,
)
from apex_cli.presenters.orders import ORDERS
from apex_cli.presenters.risk import risk_blocks
from apex_cli.presenters.screen.blocks import Cell, Tone
from apex_cli.presenters.screen.formats import moment
from apex_cli.presenters.screen.plots import equity_curve, month_curve, r_histogram, trades_curve
from apex_cli.presenters.screen.terminal import renderable

T = TypeVar("T")
SORTS: dict[str, Callable[[PositionView], Any]] = {
    "symbol": lambda view: view.symbol,
    "P&L": lambda view: view.pnl,
    "R": lambda view: (view.r_multiple is not None, view.r_multiple or 0),
    "value": lambda view: -view.notional,
}
"""What positions are sorted by: the worst, or the largest, first."""


class DashboardApp(App[None]):
    """Shows what the feed brings; what a person confirms goes to the operator."""

    CSS_PATH = "styles.tcss"
    TITLE = "apex"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [*bindings()]

    def __init__(
        self,
        feed: Feed,
        operator: Operator,
        *,
        has_control: bool = False,
        may_take_control: bool = True,
        theme: str = "dark",
    ) -> None:
        """Show *feed*; keys act through *operator*, with control, which is taken if *may_take_control*."""
        super().__init__()
        self._feed = feed
        self._operator = operator
        self._acts = PositionActs(self, operator, self._later)
        self.has_control = has_control
        self._may_take_control = may_take_control
        self._first_theme = THEMES[theme]
        self._seen: Seen | None = None
        self._failure = ""
        self._kind: ActivityKind | None = None
        self._words: dict[str, str] = {}
        self._searched = "log"
        self._sort = "symbol"
        self._month: tuple[SessionValue, ...] | None = None
        self._shown_pane = PANES[0]
        self._drawn: dict[str, object] = {}
        self._ticks = 0
        self._room = Size(80, 24)

    # The screen

    def compose(self) -> ComposeResult:
        """Put the screen together."""
        yield Static(id="head")
        with Horizontal(id="gauges"):
            for name in ("equity", "risk", "exposure", "day-trades"):
                yield Static(id=name, classes="card")
        yield Static(id="brief")
        yield Static(id="alarms")
        yield Static(id="tabs")
        yield Input(id="filter", placeholder="words to find")
        with Horizontal(id="body"):
            with Vertical(id="left"):
                yield pane_of("positions", SheetTable(id="positions"))
                yield pane_of("orders", SheetTable(id="orders"))
                yield pane_of("log", SheetTable(id="log"))
            with Vertical(id="right"):
                yield pane_of("approvals", SheetTable(id="approvals"))
                yield pane_of(
                    "curves",
                    Static(id="heat"),
                    CurvePlot(id="equity-plot"),
                    CurvePlot(id="trades-plot"),
                    HistogramPlot(id="r"),
                )
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        """Look, and keep looking."""
        self.theme = self._first_theme
        self._room = self.size
        self._fit()
        self._look()
        self.action_pane(PANES[0])
        self.set_interval(LOOK_EVERY_S, self._tick)

    def on_resize(self, event: events.Resize) -> None:
        """Fit the screen to its new size, which the app itself learns of only after this."""
        self._room = event.size
        self._fit()

    def _fit(self) -> None:
        self._base.set_class(not self.is_wide, "-narrow")
        self._base.set_class(not self.is_wide and self._room.height >= MEDIUM_FROM, "-medium")
        self._draw()

    @property
    def _base(self) -> Screen[object]:
        """The screen under all dialogs."""
        return self.screen_stack[0]

    @property
    def is_wide(self) -> bool:
        """True when everything is on the screen at once."""
        return self._room.width >= WIDE_FROM and self._room.height >= TALL_FROM

    def _tick(self) -> None:
        """Look again when something changed, and once a second for clock and countdowns."""
        if not self.screen_stack:  # it is being taken apart
            return
        self._ticks += 1
        try:
            is_due = self._ticks * LOOK_EVERY_S % 1 == 0 or self._feed.has_changed()
        except ApexError:
            is_due = True
        if is_due:
            self._look()

    def _look(self) -> None:
        try:
            self._seen = self._feed.look()
            self._failure = ""
        except ApexError as error:
            self._failure = f"{error.message}{f' -> {error.hint}' if error.hint else ''}"
        self._draw()

    # Drawing: each part only when what it shows is another

    def _draw(self) -> None:
        with suppress(NoMatches):  # before the screen is put together, and while it is taken apart
            self._draw_all()

    def _draw_all(self) -> None:
        palette = LIGHT if self.theme == THEMES["light"] else DARK
        seen = self._seen
        if seen is None:
            self._put("head", text_of(Cell(self._failure or "looking", Tone.BAD), palette))
            return
        board = seen.board
        control = Cell("CONTROL", Tone.WARN) if self.has_control else Cell("read-only", Tone.DIM)
        self._put("head", line_of((*head_cells(board, seen.badge, seen.holder), control), palette, " · "))
        failure = (Cell(f"! {self._failure}", Tone.BAD),) if self._failure else ()
        alarms = fitting((*failure, *alarm_cells(board, seen.alarms, seen.holder)), MOST_ALARMS if self.is_wide else 2)
        self._put("alarms", Text("\n").join(text_of(cell, palette) for cell in alarms))
        self._base.query_one("#alarms").display = bool(alarms)
        self._put("brief", Text("\n").join(line_of(cells, palette) for cells in brief_lines(board)))
        for name, rows in (
            ("equity", equity_rows(board)),
            ("risk", risk_rows(board)),
            ("exposure", exposure_rows(board)[:3]),
            ("day-trades", day_trade_rows(board.day_trades, board.forecast)),
            ("heat", heat_rows(board)),
        ):
            self._put(name, fields_of(rows, palette), same_as=(rows, self.theme))
        self._draw_tables(seen)
        self._draw_plots(seen)

    def _draw_tables(self, seen: Seen) -> None:
        palette = LIGHT if self.theme == THEMES["light"] else DARK
        board, lines = seen.board, self._log_lines(seen)
        left, right = (LEFT_PART, 1 - LEFT_PART) if self.is_wide else (1, 1)
        left_room, right_room = (int(self._room.width * part) - TABLE_EDGE for part in (left, right))
        whole = {
            "positions": positions_sheet(sorted(board.positions, key=SORTS[self._sort]), left_room),
            "approvals": approvals_sheet(board.approvals, board.day.now, right_room),
            "orders": orders_sheet(board.orders, left_room),
            "log": log_sheet(lines[-MOST_LOG_ROWS:]),
        }
        sheets = {
            name: whole[name] if name == "log" else matching(whole[name], self._words.get(name, "")) for name in whole
        }
        counts = {"positions": len(board.positions), "approvals": len(board.approvals), "orders": len(board.orders)}
        for number, name in enumerate(PANES, start=1):
            pane = self._base.query_one(f"#{name}-pane")
            pane.border_title = Text(visible(self._title(number, name, counts)))
            if name in sheets:
                self._base.query_one(f"#{name}", SheetTable).show(sheets[name], palette)
                pane.border_subtitle = "" if sheets[name].rows else sheets[name].empty
        self._put("tabs", self._tabs(counts))

    def _draw_plots(self, seen: Seen) -> None:
        board = seen.board
        if self._is_news("plots", (board.curve, board.round_trips, self._month)):
            curve = equity_curve(board.curve) if self._month is None else month_curve(self._month)
            self._base.query_one("#equity-plot", CurvePlot).show(curve)
            self._base.query_one("#trades-plot", CurvePlot).show(trades_curve(board.round_trips))
            self._base.query_one("#r", HistogramPlot).show(r_histogram(board.round_trips))

    def _log_lines(self, seen: Seen) -> list[Activity]:
        return [line for line in seen.lines if is_shown(line, self._kind, self._words.get("log", ""))]

    def _title(self, number: int, name: str, counts: dict[str, int]) -> str:
        count = f" {counts[name]}" if name in counts else ""
        if name == "positions" and self._sort != "symbol":
            count += f" by {self._sort}"
        kind = self._kind or "" if name == "log" else ""
        filters = ", ".join(filter(None, (kind, self._words.get(name, ""))))
        return f"{number} {name.capitalize()}{count}{f' ({filters})' if filters else ''}"

    def _tabs(self, counts: dict[str, int]) -> Text:
        parts = [
            Text(
                f" {visible(self._title(number, name, counts))} ",
                style="reverse bold" if name == self._shown_pane else "",
            )
            for number, name in enumerate(PANES, start=1)
        ]
        return Text(" ").join(parts)

    def _put(self, name: str, content: object, *, same_as: object = None) -> None:
        if self._is_news(name, content if same_as is None else same_as):
            self._base.query_one(f"#{name}", Static).update(content)  # type: ignore[arg-type]

    def _is_news(self, name: str, shown: object) -> bool:
        if name in self._drawn and self._drawn[name] == shown:
            return False
        self._drawn[name] = shown
        return True

    def notify(  # the signature is Textual's
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = False,
    ) -> None:
        """Show a message for a while; what others wrote is text in it, never markup."""
        super().notify(visible(message, keep="\n"), title=title, severity=severity, timeout=timeout, markup=markup)

    # Keys that only look

    def action_help(self) -> None:
        """Explain keys and signs."""
        self.push_screen(Help())

    def action_pane(self, name: str) -> None:
        """Go to a pane."""
        self._shown_pane = name
        for side, names in SIDES.items():
            self._base.query_one(f"#{side}").set_class(name in names, "-shown")
            for each in names:
                self._base.query_one(f"#{each}-pane").set_class(each == name, "-shown")
        self._base.query_one("#log-pane").set_class(name == "positions", "-below")
        if name != "curves":
            self._base.query_one(f"#{name}", SheetTable).focus()
        self._draw()

    def action_theme(self) -> None:
        """Change between light and dark."""
        self.theme = THEMES["dark"] if self.theme == THEMES["light"] else THEMES["light"]
        self._draw()

    def action_month(self) -> None:
        """Show the curve of the month, or that of the day again."""
        self.action_pane("curves")
        if self._month is None:
            self._later(self._feed.month, self._show_month)
        else:
            self._month = None
            self._draw()

    def _show_month(self, month: tuple[SessionValue, ...]) -> None:
        self._month = month
        self._draw()

    def action_risk(self) -> None:
        """Show what is at risk, as ``apex risk`` does."""
        self._later(self._feed.risk, self._show_risk)

    def _show_risk(self, view: RiskView) -> None:
        self.push_screen(Dialog(f"Risk {moment(view.at)}", Group(*map(renderable, risk_blocks(view)))))

    def action_sort(self) -> None:
        """Sort the positions by the next thing."""
        names = list(SORTS)
        self._sort = names[(names.index(self._sort) + 1) % len(names)]
        self.action_pane("positions")

    def action_filter(self) -> None:
        """Let words be typed that every row of the table must have."""
        self._searched = "log" if self._shown_pane == "curves" else self._shown_pane
        self.action_pane(self._searched)
        line = self._base.query_one("#filter", Input)
        line.value = self._words.get(self._searched, "")
        line.add_class("-open")
        line.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Filter while words are typed."""
        if event.input.id == "filter":
            self._words[self._searched] = event.value
            self._draw()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Continue in the filtered table."""
        if event.input.id == "filter":
            self._base.query_one(f"#{self._searched}", SheetTable).focus()

    def action_kind(self) -> None:
        """Show the next kind of lines only; after the last one all again."""
        kinds = [None, *ActivityKind]
        self._kind = kinds[(kinds.index(self._kind) + 1) % len(kinds)]
        self.action_pane("log")

    def action_all_rows(self) -> None:
        """Show all rows of every table again."""
        self._kind = None
        line = self._base.query_one("#filter", Input)
        line.value = ""
        self._words.clear()
        if line.has_class("-open"):
            line.remove_class("-open")
            self._base.query_one(f"#{self._searched}", SheetTable).focus()
        self._draw()

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        """Report all there is to say about a row."""
        table = event.data_table
        if table.id == "approvals":
            self.action_answer(yes=True)
        elif self._seen is not None and isinstance(table, SheetTable):
            self._open(self._seen, table)

    def _open(self, seen: Seen, table: SheetTable) -> None:
        """Show all there is to say about the row under the cursor of *table*, and what may be done with it."""
        if table.id == "log":
            line = next((line for line in seen.lines if str(line.seq) == table.selected), None)
            if line is not None:
                self.push_screen(Dialog(f"{line.kind} {moment(line.at)}", all_of(line)))
        elif table.id == "positions":
            symbol = table.selected
            self._later(lambda: self._feed.history(symbol), lambda history: self._open_position(symbol, history))
        else:
            self._open_order(seen, table.selected)

    def _open_order(self, seen: Seen, name: str) -> None:
        record = next((each for each in seen.board.orders if each.order.client_order_id == name), None)
        if record is None:
            return
        key, body = record.order.instrument.key, renderable(ORDERS.fields(record))
        if record.order.role is not OrderRole.ENTRY:
            self.push_screen(Dialog(key, body))
            return

        def chosen(name: str | None) -> None:
            if name is not None:
                self._acts.confirm_cancel(key)

        self.push_screen(ActDialog(key, body, ORDER_ACTS, self._read_only), chosen)

    def _open_position(self, symbol: str, history: PositionHistory) -> None:
        seen = self._seen
        view = next((each for each in seen.board.positions if each.symbol == symbol), None) if seen else None
        if seen is None or view is None:
            return
        palette = LIGHT if self.theme == THEMES["light"] else DARK
        dialog = ActDialog(
            view.symbol, position_body(view, history, seen.lines, palette), POSITION_ACTS, self._read_only
        )
        self.push_screen(dialog, lambda name: self._acts.begin(view, name))

    @property
    def _read_only(self) -> str:
        """What is said instead of buttons while keys may not act; empty while they may."""
        return "" if self.has_control else READ_ONLY if self._may_take_control else "Read-only."

    # Keys that act

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Take keys away where nothing can be done with them."""
        del parameters
        return not (action == "control" and not self._may_take_control)

    def action_control(self) -> None:
        """Take control, or give it back."""
        if self.has_control:
            self._set_control(typed=None)
            return
        body = Text("Keys will approve, reject, halt, reduce and resume. Each still asks first.")
        self.push_screen(Confirm("Take control?", [body], doing="Take control"), self._set_control)

    def _set_control(self, typed: str | None) -> None:
        self.has_control = typed is not None
        self._draw()

    def action_answer(self, yes: bool) -> None:  # noqa: FBT001 - bound to keys by Textual
        """Look at the approval under the cursor again, and ask."""
        chosen = self._base.query_one("#approvals", SheetTable).selected
        if not chosen:
            self.notify("Nothing waits for approval.")
        elif yes or self._may_act():
            self.notify("Looking at price, size and every check again.", timeout=2)
            self._later(lambda: self._preview(chosen), lambda found: self._ask(*found, yes=yes))

    def _may_act(self) -> bool:
        if not self.has_control:
            self.notify(READ_ONLY if self._may_take_control else "Read-only.", severity="warning")
        return self.has_control

    def _preview(self, approval_id: str) -> tuple[ApprovalRecord, Preview]:
        approval = self._operator.find(approval_id)
        return approval, self._operator.preview(approval)

    def _ask(self, approval: ApprovalRecord, preview: Preview, *, yes: bool) -> None:
        signal = approval.opportunity.signal
        what = f"{signal.side} {signal.instrument.key}"
        if not self.has_control:
            failure = [renderable(block) for block in preview_blocks(approval, preview)]
            self.push_screen(Dialog(what, Group(*[*failure, Text(READ_ONLY if self._may_take_control else "")])))
            return
        body = [renderable(block) for block in answer_blocks(approval, preview)]

        def answered(typed: str | None) -> None:
            if typed is None:
                return
            wanted = quantity_of(typed) if yes and typed.strip() else None
            if yes and typed.strip() and wanted is None:
                self.notify(f"{typed!r} is no quantity.", severity="error")
                return
            choice, reason = (Choice.APPROVE, "") if yes else (Choice.REJECT, typed)
            ids = (approval.approval_id,)
            answer = Answer(ids=ids, choice=choice, reason=reason, quantity=wanted, by="dashboard")
            self._later(lambda: self._answered(answer), self.notify)

        asking = "Another quantity, if you want one (Shift+Tab)" if yes else "Reason (may be empty)"
        doing = "Approve" if yes else "Reject"
        self.push_screen(Confirm(f"{doing} {what}?", body, doing=doing, asking=asking, types_first=not yes), answered)

    def _answered(self, answer: Answer) -> str:
        done = self._operator.do(answer).the(Answered)
        why = f": {done.approval.reason}" if done.approval.reason else ""
        return f"{done.approval.opportunity.signal.instrument.key} {done.approval.status}{why}"

    def action_mode(self, name: str) -> None:
        """Halt, reduce or resume, after asking."""
        if not self._may_act():
            return
        mode = TradingMode(name)

        def confirmed(typed: str | None) -> None:
            if typed is not None:
                self._later(lambda: self._operator.set_mode(mode, typed), lambda _: self.notify(meaning))

        meaning = f"{mode}: {MODE_MEANINGS[mode]}."
        tone = "primary" if mode is TradingMode.ACTIVE else "error"
        self.push_screen(
            Confirm(f"{mode}?", [Text(meaning)], doing=f"Set {mode}", asking="Reason (may be empty)", tone=tone),
            confirmed,
        )

    def _later(
        self, work: Callable[[], T], show: Callable[[T], None], asks: Mapping[str, Callable[[], None]] | None = None
    ) -> None:
        """Do what takes a while beside the screen, and show what came of it, or its error; *asks* instead, by code."""

        def worked() -> None:
            try:
                found = work()
            except ApexError as error:
                self.call_from_thread((asks or {}).get(error.code) or partial(self._show_error, error))
            else:
                self.call_from_thread(show, found)

        self.run_worker(worked, thread=True)

    def _show_error(self, error: ApexError) -> None:
        self.notify(f"{error.message}{chr(10) + error.hint if error.hint else ''}", severity="error", timeout=12)
