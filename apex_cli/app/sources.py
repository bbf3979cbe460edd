"""Sources of signals: files, standard input, the inbox, and signals that programs left."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from apex_cli.core.errors import InputError
from apex_cli.core.model.money import CENT
from apex_cli.core.model.option_rule import OptionRule
from apex_cli.core.model.side import OrderSide
from apex_cli.settings.input_files import DefaultStop, OptionDefault, SignalSettings
from apex_cli.settings.sections import Settings

if TYPE_CHECKING:
    from apex_cli.core.adapters.files.signals.alerts import SignalForm
    from apex_cli.core.model.reason import Reason
    from apex_cli.core.ports import BarSource, SignalSource

ATR_BARS = 14


def signal_form(
    signals: SignalSettings, bars: BarSource | None, notice: Callable[[Reason], None] | None = None
) -> SignalForm:
    """Return how the configuration wants signals to be read; each thing is said to *notice* once."""
    import msgspec

    from apex_cli.core.adapters.files.signals.alerts import SignalForm
    from apex_cli.core.model.reason import Reason

    said: set[str] = set()

    def warn(text: str) -> None:
        if notice is not None and text not in said:
            said.add(text)
            notice(Reason(code="signal_field", message=text))

    return SignalForm(
        strict=signals.strict.value,
        zone=signals.zone or "",
        dates=signals.dates or "",
        decimal=signals.decimal or "",
        columns={ours: theirs for ours, theirs in msgspec.structs.asdict(signals.columns).items() if theirs},
        default_stop=_default_stop(signals.default_stop, bars),
        warn=warn,
        option=_option_rule(signals.option),
    )


def _option_rule(default: OptionDefault) -> OptionRule | None:
    """Return the rule of signals that bring none; None where none is set."""
    return None if default.dte is None else OptionRule(dte=default.dte, delta=default.delta)


def _default_stop(
    rule: DefaultStop, bars: BarSource | None
) -> Callable[[str, OrderSide, Decimal, datetime], tuple[Decimal, str] | None] | None:
    """Return what makes a stop for a signal without one; None where no rule is set."""
    if rule.atr is None and rule.pct is None:
        return None

    def stop(symbol: str, side: OrderSide, entry: Decimal, now: datetime) -> tuple[Decimal, str] | None:
        from apex_cli.core.signals.replay_sources import average_true_range

        if rule.pct is not None:
            return _on_step(entry * (1 - side.sign * rule.pct), symbol, entry), f"{rule.pct * 100:f} % from the entry"
        known = bars.bars(symbol, until=now)[-ATR_BARS - 1 :] if bars is not None else ()
        if len(known) <= ATR_BARS or rule.atr is None:
            return None
        distance = rule.atr * average_true_range(known)
        stop = _on_step(entry - side.sign * distance, symbol, entry)
        return stop, f"{rule.atr:f} average true ranges from the entry"

    return stop


def _on_step(stop: Decimal, symbol: str, entry: Decimal) -> Decimal:
    """Return *stop* with the decimals of a price of *symbol*, cents for a stock, and no fewer than *entry* has."""
    from apex_cli.core.model.spelling import of_key

    try:
        step = of_key(symbol).tick_at(stop)
    except ValueError:  # the reader of signals says what is wrong with the symbol
        step = CENT
    return stop.quantize(min(step, entry.normalize(), key=lambda number: number.as_tuple().exponent))


def make_sources(
    settings: Settings,
    named: Sequence[str],
    *,
    is_once: bool,
    notice: Callable[[Reason], None],
    bars: BarSource | None = None,
) -> tuple[SignalSource, ...]:
    """Return where signals come from: *named* files or ``-``, else the intake and what the configuration says.

    *notice* hears of fields that are not known, of files in the inbox that are not read, or cannot be moved away.
    *bars* give the ranges that a default stop is made of.
    """
    if named:
        return _named_sources(settings.signals, named, notice=notice, bars=bars)
    from apex_cli.core.adapters.state.intake_files import IntakeSource

    intake = IntakeSource(settings.state.dir, notice=notice)
    return (intake, *_configured_sources(settings.signals, is_once=is_once, notice=notice, bars=bars))


def _named_sources(
    chosen: SignalSettings, named: Sequence[str], *, notice: Callable[[Reason], None], bars: BarSource | None
) -> tuple[SignalSource, ...]:
    import sys

    from apex_cli.core.adapters.files.signals.signal_sources import FileSource, StdinSource

    max_age, form = timedelta(minutes=chosen.max_age_minutes), signal_form(chosen, bars, notice)
    files = [Path(name) for name in named if name != "-"]
    sources: list[SignalSource] = [FileSource(files, max_age=max_age, form=form)] if files else []
    if "-" in named:
        if sys.stdin is None:
            raise InputError("stdin_closed", "--signals - reads standard input, which is closed.", hint="Name a file.")
        sources.append(StdinSource(sys.stdin.buffer, max_age=max_age, form=form))
    return tuple(sources)


def _configured_sources(
    chosen: SignalSettings, *, is_once: bool, notice: Callable[[Reason], None], bars: BarSource | None
) -> Iterator[SignalSource]:
    """Yield the files and the inbox of the configuration: what reads them is imported where one is named."""
    if not chosen.files and chosen.inbox is None:
        return
    max_age, form = timedelta(minutes=chosen.max_age_minutes), signal_form(chosen, bars, notice)
    if chosen.files:
        from apex_cli.core.adapters.files.signals.signal_sources import FileSource

        yield FileSource(chosen.files, max_age=max_age, form=form)
    if chosen.inbox is not None:
        from apex_cli.core.adapters.files.signals.inbox import InboxSource

        yield InboxSource(
            chosen.inbox,
            max_age=max_age,
            processed_dir=chosen.processed_dir,
            rejected_dir=chosen.rejected_dir,
            is_once=is_once,
            notice=notice,
            form=form,
        )


def waker(sources: Sequence[SignalSource]) -> Callable[[], bool] | None:
    """Return what says that one of *sources* has a signal that need not wait for the next cycle; None: none can."""
    from apex_cli.core.adapters.state.intake_files import IntakeSource

    looks = [source.has_news for source in sources if isinstance(source, IntakeSource)]
    return looks[0] if looks else None
