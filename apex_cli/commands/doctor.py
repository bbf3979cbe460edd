"""``apex doctor``: is everything in order, and if not, what to do."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

from apex_cli.app.marketplace import broker_row
from apex_cli.app.resources import badge_of, executor_holder, looked_at, open_store
from apex_cli.commands.options import Call, command
from apex_cli.commands.state import findings_grid
from apex_cli.core.errors import ApexError, ExitStatus
from apex_cli.core.model.health import Finding, Level
from apex_cli.core.model.instrument import MarketType
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.wording import counted
from apex_cli.presenters.screen.formats import moment, money
from apex_cli.presenters.screen.output import Output
from apex_cli.settings.brokers import SimulationClock
from apex_cli.settings.doubts import doubts
from apex_cli.settings.sections import Settings


@command("doctor")
def doctor(call: Call) -> None:
    """Check configuration, state, journal, executor, calendar, clock, broker, prices and notifications."""
    out, settings = call.out, call.any_settings
    out.badge = badge_of(settings)
    findings = examined(settings)
    errors = [finding for finding in findings if finding.level == "error"]
    rows = [{"code": f.code, "level": f.level, "message": f.message, "hint": f.hint} for f in findings]
    reasons = [Reason(code=finding.code, message=finding.message) for finding in errors]
    out.result({"findings": rows}, (findings_grid(findings),), status=_status(errors, settings), reasons=reasons)


def examined(settings: Settings) -> list[Finding]:
    """Return everything that is found, each once."""
    found = (finding for look in LOOKS for finding in _looked(look, settings))
    return list({(each.code, each.message): each for each in found}.values())


def _status(errors: list[Finding], settings: Settings) -> ExitStatus:
    if not errors:
        return ExitStatus.OK
    if all(finding.code in broker_row(settings).unreachable for finding in errors):
        return ExitStatus.UNAVAILABLE
    damaged = any(finding.code.startswith(("state", "journal", "simulated_broker")) for finding in errors)
    return ExitStatus.STATE_DAMAGED if damaged else ExitStatus.CONFIG


def _looked(look: Callable[[Settings], Iterator[Finding]], settings: Settings) -> Iterator[Finding]:
    """Yield what *look* finds; its error becomes a finding."""
    try:
        yield from look(settings)
    except ApexError as error:
        yield Finding(code=error.code, level=Level.ERROR, message=error.message, hint=error.hint)


def _look_at_configuration(settings: Settings) -> Iterator[Finding]:
    source = settings.source
    if source:
        yield _ok("configuration", str(source))
    else:
        message = f"No configuration found: the defaults hold. {looked_at()}"
        yield Finding(code="configuration", level=Level.WARNING, message=message, hint="apex init writes one")
    mode = f"{badge_of(settings).text}: {broker_row(settings).title}"
    auto = "executes by itself" if settings.execution.auto_execute else "asks for every trade"
    yield _ok("mode", f"{mode}; {auto}; capital {money(settings.risk.capital)}")
    for doubt in doubts(settings):
        yield _warning(doubt.code, doubt.message, "correct it, or leave it if it is meant")


def _look_at_state(settings: Settings) -> Iterator[Finding]:
    from apex_cli.core.adapters.state.check import check

    yield from check(open_store(settings))


def _look_at_locks(settings: Settings) -> Iterator[Finding]:
    locks = open_store(settings).view().locks.values()
    if locks:
        names = ", ".join("everything" if lock.key == "*" else lock.key for lock in locks)
        yield _warning("locked", f"Nothing is opened in {names}: our books and the broker's differ.", "apex reconcile")


def _look_at_protections(settings: Settings) -> Iterator[Finding]:
    """Say what of the protections cannot be used: it refuses every opening."""
    from apex_cli.app.protection_sources import examined_sources

    locks = _trade_locks(settings)
    if locks:
        yield _warning("trade_locks", f"Locked after closed trades: {', '.join(locks)}.", "apex locks")
    for code, trouble in examined_sources(settings):
        if trouble:
            yield _error(code, f"{trouble} Nothing is opened until it can be used.", "apex help protections")
        else:
            yield _ok(code, "can be used")


def _trade_locks(settings: Settings) -> list[str]:
    from apex_cli.app.operator import Operator
    from apex_cli.core.positions.trade_locks import locks_in_force

    operator = Operator(settings, Output("doctor"), wait_s=0)
    return [lock.subject for lock in locks_in_force(operator.view(), operator.now())]


def _look_at_executor(settings: Settings) -> Iterator[Finding]:
    holder = executor_holder(settings)
    yield _ok("executor", f"held by {holder}" if holder else "free")


def _look_at_intake(settings: Settings) -> Iterator[Finding]:
    from apex_cli.core.adapters.state.intake_files import Intake

    waiting = Intake(settings.state.dir, str).count()
    waits = f"waiting from apex listen: {counted(waiting, 'signal')}"
    if waiting and not executor_holder(settings):
        yield _warning("intake", f"{waits}, and nothing runs that decides on them", "apex run")
    elif waiting or settings.listen.sources:
        yield _ok("intake", waits)


def _look_at_calendar(settings: Settings) -> Iterator[Finding]:
    from apex_cli.app.compose import make_parts
    from apex_cli.core.market.calendar import end_warning, market_status, session_date

    now = make_parts(settings, read_only=True).clock.now()
    status = market_status(MarketType.EQUITY, now)
    warning = "" if settings.simulation.clock is SimulationClock.BARS else end_warning(session_date(now))
    if warning:
        yield _warning("calendar", warning, "update apex; check the computer's clock")
        if not status.is_certain:
            return
    state = "open" if status.is_open else f"closed ({status.why})"
    yield _ok("calendar", f"session {status.session_date}; NYSE is {state} at {moment(now)}")


def _look_at_broker(settings: Settings) -> Iterator[Finding]:
    yield from broker_row(settings).load().findings(settings)


def _look_at_orders(settings: Settings) -> Iterator[Finding]:
    state = open_store(settings).view()
    unknown = [r for r in state.orders.values() if r.status == "UNKNOWN"]
    if unknown:
        yield _warning(
            "orders", f"{counted(len(unknown), 'order')} of unknown outcome", "apex run --once asks the broker again"
        )
    if state.trading.mode != "ACTIVE":
        yield _warning(
            "trading_state", f"{state.trading.mode}: {state.trading.reason or 'no reason given'}", "apex resume"
        )


def _look_at_pipeline(settings: Settings) -> Iterator[Finding]:
    from apex_cli.app.pipeline import ML, TA, install_hint, make_model_manager, missing, model_clock

    stages, watched = settings.pipeline.stages, settings.scanners.watch_list
    looks = f"scanners look at {', '.join(watched)}" if watched else "scanners are off"
    yield _ok("pipeline", f"{' -> '.join(stages) or 'no step'} before the score; {looks}")
    needs = ML if "predictor" in stages else TA if "technical" in stages or watched else ()
    if absent := missing(needs):
        yield _warning("extra_missing", f"{', '.join(absent)} is not installed", install_hint(needs))
    if "predictor" in stages:
        due = make_model_manager(settings, read_only=True).due(model_clock(settings).now())
        yield _warning(due.code, due.message, "apex model train") if due else _ok("model", "trained, and young enough")


def _look_at_strategies(settings: Settings) -> Iterator[Finding]:
    from apex_cli.app.strategies import load_strategy

    named = settings.scanners.strategies
    for name in named:
        try:
            found, _ = load_strategy(settings, name)
        except ApexError as error:
            yield _error("strategy", error.message, error.hint)
        else:
            yield _ok("strategy", f"{name}, as {found}")
    if named and not settings.scanners.watch_list:
        yield _warning("strategy", "strategies look at nothing: the watch list is empty", "set scanners.watch_list")


def _look_at_watch_list(settings: Settings) -> Iterator[Finding]:
    from apex_cli.app.pipeline import pipeline_bars
    from apex_cli.core.analysis.quality import look_at

    if not settings.scanners.watch_list:
        return
    bars = pipeline_bars(settings)
    for symbol in settings.scanners.watch_list:
        found = bars.bars(symbol) if bars is not None else ()
        if not found:
            yield _warning("bars_missing", f"{symbol}: on the watch list, but there are no bars", "")
        elif settings.pipeline.bars != "csv":
            yield from (_warning("bars", f"{symbol}: {issue.message}", "") for issue in look_at(found))


def _look_at_signals(settings: Settings) -> Iterator[Finding]:
    from apex_cli.core.adapters.files.signals.inbox import Folder, NotOursError

    files, inbox = settings.signals.files, settings.signals.inbox
    if not files and inbox is None:
        yield _warning(
            "signals", "no inbox and no files are configured", "set signals.inbox, or use run --signals FILE"
        )
    change = "change signals in the configuration"
    for place in (*files, *([inbox] if inbox else [])):
        try:
            if place == inbox:
                with Folder.held(place) as folder:
                    folder.names()
            elif place.stat() and (place.is_dir() or not os.access(place, os.R_OK)):
                yield _error("signals", f"{place} is no file that can be read", change)
                continue
        except FileNotFoundError:
            yield _warning("signals", f"{place} does not exist", f"create it, or {change}")
        except NotOursError as error:
            yield _error("signals", f"{error.strerror}", change)
        except OSError as error:
            yield _error("signals", f"{place} cannot be read: {error.strerror}", change)
        else:
            yield _ok("signals", str(place))


def _look_at_notifications(settings: Settings) -> Iterator[Finding]:
    from apex_cli.notify import is_wanted

    if not is_wanted(settings):
        yield _ok("notify", "no channel is set up")
        return
    from apex_cli.notify.channel_status import findings

    yield from findings(settings)


LOOKS = (
    _look_at_configuration,
    _look_at_state,
    _look_at_locks,
    _look_at_protections,
    _look_at_executor,
    _look_at_intake,
    _look_at_calendar,
    _look_at_broker,
    _look_at_orders,
    _look_at_pipeline,
    _look_at_strategies,
    _look_at_watch_list,
    _look_at_signals,
    _look_at_notifications,
)


def _ok(code: str, message: str) -> Finding:
    return Finding(code=code, level=Level.OK, message=message)


def _warning(code: str, message: str, hint: str) -> Finding:
    return Finding(code=code, level=Level.WARNING, message=message, hint=hint)


def _error(code: str, message: str, hint: str) -> Finding:
    return Finding(code=code, level=Level.ERROR, message=message, hint=hint)
