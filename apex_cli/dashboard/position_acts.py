"""Actions on a position from the screen: each asks first, and reports its result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

from rich.text import Text
from textual.app import App

from apex_cli.core.model.money import Price
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.request import CloseRequest, EntriesCancelled, EntryCancel, StopRequest, StopsMoved
from apex_cli.core.positions.position_views import PositionView
from apex_cli.dashboard.dialogs import Confirm
from apex_cli.dashboard.position_dialog import part_of, price_of
from apex_cli.dashboard.seen import Operator
from apex_cli.presenters.messages.phone import cancelled_text, moved_text, outcome_text
from apex_cli.presenters.screen.formats import marked, price, signed, units

PARTS = {"close": "all", "half": "half", "part": "a part"}
FRACTIONS = {"close": Decimal(1), "half": Decimal("0.5")}


class PositionActs:
    """Closes, moves stops and cancels entries for whoever sits at the screen."""

    def __init__(self, app: App[None], operator: Operator, later: Callable[..., None]) -> None:
        """Ask on *app*, act through *operator*, *later* where that takes a while."""
        self._app = app
        self._operator = operator
        self._later = later

    def begin(self, view: PositionView, name: str | None) -> None:
        """Ask about the act that was chosen; None: none was."""
        if name in PARTS:
            self._later(
                lambda: self._operator.closing_warnings((view.symbol,)),
                lambda warnings: self._confirm_close(view, name, warnings),
            )
        elif name is not None:
            self._confirm_stop(view, asks_price=name == "stop")

    def confirm_cancel(self, key: str) -> None:
        """Ask whether what is left of an entry is to be cancelled."""

        def confirmed(typed: str | None) -> None:
            if typed is not None:
                self._act(lambda: cancelled_text(self._operator.do(EntryCancel(symbol=key)).the(EntriesCancelled)))

        body = [Text("What has filled stays, with its stop. What has not is cancelled.")]
        question = Confirm(f"Cancel the entry in {key}?", body, doing="Cancel entry", tone="error")
        self._app.push_screen(question, confirmed)

    def _confirm_close(self, view: PositionView, name: str, warnings: Sequence[Reason]) -> None:
        at = marked(view.current_price, is_theoretical=view.is_theoretical)
        held = f"{view.side} {units(view.quantity)} {view.symbol} at {at}, {signed(view.pnl)}"
        body = [Text(held), *(Text(f"! {warning.message}") for warning in warnings)]

        def confirmed(typed: str | None) -> None:
            if typed is None:
                return
            fraction = FRACTIONS.get(name) or part_of(typed)
            if fraction is None:
                self._app.notify(f"{typed!r} is no part: type one such as 25 % or 0.25.", severity="error")
            else:
                request = CloseRequest(symbol=view.symbol, fraction=fraction)
                self._act(lambda: outcome_text(self._operator.do(request)))

        title, asking = f"Close {PARTS[name]} of {view.symbol}?", "Part, such as 25 %" if name == "part" else ""
        question = Confirm(title, body, doing=f"Close {PARTS[name]}", asking=asking, tone="error")
        self._app.push_screen(question, confirmed)

    def _confirm_stop(self, view: PositionView, *, asks_price: bool) -> None:
        at = marked(view.current_price, is_theoretical=view.is_theoretical)
        stands = f"{view.symbol} is at {at}; its stop stands at {price(view.stop_price)}."
        to = "" if asks_price else f" It goes to the entry, {price(view.entry_price)}."

        def confirmed(typed: str | None) -> None:
            if typed is None:
                return
            wanted = price_of(typed) if asks_price else None
            if asks_price and wanted is None:
                self._app.notify(f"{typed!r} is no price.", severity="error")
            else:
                self._move_stop(view, wanted)

        title, asking = f"Move the stop of {view.symbol}?", "New stop" if asks_price else ""
        self._app.push_screen(Confirm(title, [Text(stands + to)], doing="Move stop", asking=asking), confirmed)

    def _move_stop(self, view: PositionView, to: Price | None) -> None:
        """Move it; ask once more where that risks more than before."""
        request = StopRequest(symbol=view.symbol, stop_price=to)
        wider = {"stop_widens": lambda: self._confirm_wider(view, to)}
        self._later(lambda: moved_text(self._operator.do(request).the(StopsMoved)), self._app.notify, wider)

    def _confirm_wider(self, view: PositionView, to: Price | None) -> None:
        def confirmed(typed: str | None) -> None:
            if typed is not None:
                request = StopRequest(symbol=view.symbol, stop_price=to, widens=True)
                self._act(lambda: moved_text(self._operator.do(request).the(StopsMoved)))

        body = [Text(f"A stop at {price(to)} risks more than the one at {price(view.stop_price)}.")]
        question = Confirm(f"Risk more on {view.symbol}?", body, doing="Risk more", tone="error")
        self._app.push_screen(question, confirmed)

    def _act(self, act: Callable[[], str]) -> None:
        """Do something that takes a while, and say what came of it."""
        self._later(act, self._app.notify)
