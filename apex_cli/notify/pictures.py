"""Pictures for notices: a chart of the latest bars of the security."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from apex_cli.app.market_parts import open_bars
from apex_cli.app.resources import decision_time, open_store
from apex_cli.core.errors import ApexError
from apex_cli.core.model.instrument import Instrument, MarketType
from apex_cli.core.model.notice import Notice, NoticeKind
from apex_cli.presenters.pages.raster import png_of, require_png
from apex_cli.settings.sections import Settings

if TYPE_CHECKING:
    from apex_cli.core.model.market import Bar
    from apex_cli.core.state.tables import State

MOST_BARS = 60
REACH = timedelta(days=120)
LEVELS = {"target": "target_price", "entry": "entry_price", "stop": "stop_loss"}
"""Names in a notice's payload by the words of the chart."""

FIRST_SYMBOL = "\u2190"
"""From here on there are signs that the font of the chart does not have, such as emoji."""


class Pictures:
    """Draws for one process; a picture that cannot be made is left out."""

    def __init__(self, settings: Settings) -> None:
        """Read nothing yet."""
        self._settings = settings

    def of(self, notice: Notice) -> bytes | None:
        """Return the PNG that belongs to *notice*; None where there is none, no bars, or no library that draws."""
        is_wanted = notice.kind is NoticeKind.ENTRY or (notice.kind is NoticeKind.OPPORTUNITY and notice.is_question)
        if not is_wanted or not self._settings.notify.pictures:
            return None
        with suppress(ApexError, OSError, ValueError, ArithmeticError):  # the words matter, and go without it
            return self._drawn(notice)
        return None

    def _drawn(self, notice: Notice) -> bytes | None:
        from apex_cli.presenters.messages.chart import Mark, message_chart

        require_png()
        state = open_store(self._settings).view()
        instrument = _instrument_of(state, notice)
        now = decision_time(self._settings, state, notice.at)
        bars = self._bars(instrument, now) if instrument is not None else ()
        if not bars:
            return None
        found = ((word, notice.payload.get(name)) for word, name in LEVELS.items())
        marks = [Mark(word, Decimal(str(level))) for word, level in found if level is not None]
        title = " ".join("".join(sign for sign in notice.title if sign < FIRST_SYMBOL).split())
        return png_of(message_chart(title, bars, marks))

    def _bars(self, instrument: Instrument, now: datetime) -> tuple[Bar, ...]:
        bars = open_bars(self._settings)
        if bars is None:
            return ()
        name = instrument.key if instrument.market_type is MarketType.OPTIONS else instrument.bars_name
        return tuple(bars.bars(name, after=now - REACH, until=now + timedelta(seconds=1))[-MOST_BARS:])


def _instrument_of(state: State, notice: Notice) -> Instrument | None:
    approval = state.approvals.get(notice.approval_id) if notice.approval_id else None
    if approval is not None:
        asked: Instrument = approval.opportunity.signal.instrument
        return asked
    row = state.positions.get(str(notice.payload.get("symbol", "")))
    if row is None:
        return None
    held: Instrument = row.position.instrument
    return held
