"""Differences between live trading and a replay of the same days: missed signals, fills, exits, expectancy.

The replay is the model: what the same settings would have done with the same signals at the prices of the bars. Costs
of fills are positive where live trading paid more, or got less, than the model; amounts are account currency.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal
from typing import NamedTuple

from apex_cli.core.market.calendar import session_date
from apex_cli.core.model.base import Value
from apex_cli.core.model.money import ZERO, Price, Quantity, Usd
from apex_cli.core.model.side import OrderSide
from apex_cli.core.positions.performance import ratio
from apex_cli.core.reports.measures import Interval, expectancy_interval
from apex_cli.core.reports.trade_log import ENTRY_WORKING, Entry, TradeLog
from apex_cli.core.reports.trade_report import Span

TOLERANCE = Decimal("0.001")
"""Part of the price by which a fill may differ before it counts as a divergence."""

LEAST_UNMATCHED, MOST_UNMATCHED = 3, Decimal("0.05")
"""Trades of one side alone, in number and as a part of all, from which on the two part."""

LEAST_EXITS, MOST_EXITS = 3, Decimal("0.10")
"""The same of trades that ended another way."""

PERCENT = 100


class OneSided(Value, frozen=True, kw_only=True):
    """A trade that only one side has."""

    signal_id: str
    symbol: str
    side: OrderSide
    strategy: str
    session: str
    """Of its entry, YYYY-MM-DD."""

    code: str
    """Why the other side has none: a reason's code, or ``not_received``."""

    why: str
    net_r: Decimal | None
    """What it came to on the side that has it, after costs; None while open, or without a known risk."""

    @property
    def is_difference(self) -> bool:
        """False while the entry of the other side still waits to fill, as at the end of the bars."""
        return self.code != ENTRY_WORKING


class FillDrift(Value, frozen=True, kw_only=True):
    """One fill beside the model's: what it cost more, in account currency, in its three parts."""

    signal_id: str
    symbol: str
    role: str
    """``entry``, or the reason of the exit, such as ``stop``."""

    session: str
    live_price: Price
    model_price: Price
    quantity: Quantity
    delay: Usd
    """Entries: the price at the decision against the model's at its own. Exits: 0."""

    spread: Usd | None
    """Half of ask - bid at the decision of an entry; None where it was not known."""

    execution: Usd
    """The rest: delay + spread + execution is the total."""

    fraction: Decimal
    """The total as a part of the model's price."""

    @property
    def total(self) -> Usd:
        """All of it."""
        return Usd(self.delay + (self.spread or ZERO) + self.execution)


class FillCosts(Value, frozen=True, kw_only=True):
    """The fills of one role together."""

    role: str
    fills: int
    delay: Usd
    spread: Usd | None
    """None where no fill knew it."""

    execution: Usd
    total: Usd
    mean_pct: Decimal
    """Mean of the total in percent of the model's price."""

    interval_pct: Interval | None
    """90 % interval of that mean; None of fewer than five fills."""


class ExitDrift(Value, frozen=True, kw_only=True):
    """A trade that ended another way, or in another session, than the model's."""

    signal_id: str
    symbol: str
    live_reason: str
    model_reason: str
    """Empty while it is open."""

    live_session: str
    model_session: str


class SideResult(Value, frozen=True, kw_only=True):
    """What one side came to."""

    signals: int
    trades: int
    """Entries in the span."""

    closed: int
    net_r: Decimal
    """Sum of R after costs over closed trades whose risk is known."""

    expectancy_r: Decimal | None
    """Its mean."""

    interval: Interval | None
    """90 % interval of that mean; None of fewer than five trades."""


class Divergence(Value, frozen=True, kw_only=True):
    """Where the two differ for the first time."""

    session: str
    what: str


class Drift(Value, frozen=True, kw_only=True):
    """Live trading beside a replay of the same days."""

    first: date
    last: date
    live: SideResult
    model: SideResult
    matched: int
    missed: tuple[OneSided, ...]
    """Trades of the model that live trading did not make, oldest first."""

    extra: tuple[OneSided, ...]
    """Live trades that the model did not make."""

    fills: tuple[FillDrift, ...]
    costs: tuple[FillCosts, ...]
    """Entries first, then exits by their reason."""

    exits: tuple[ExitDrift, ...]
    difference_r: Decimal | None
    """Mean of live R - model R over trades that both have closed."""

    difference_interval: Interval | None
    compared: int
    """Trades that the difference is made of."""

    first_divergence: Divergence | None
    parted: tuple[str, ...]
    """Why the two part, a sentence each; empty while they agree."""

    caveats: tuple[str, ...] = ()
    """What the comparison cannot know."""

    problems: tuple[str, ...] = ()
    """What is odd about the bars and signals of the replay."""


class Match(NamedTuple):
    """A trade of both sides."""

    live: Entry
    model: Entry


def make_drift(live: TradeLog, model: TradeLog, span: Span, *, seed: int = 1, tolerance: Decimal = TOLERANCE) -> Drift:
    """Return how *live* differs from *model* over the entries of *span*.

    Trades are the same where their signal has the same id; of the rest, where security, side, strategy and the session
    of the signal are the same.

    Args:
        live: what the journal says.
        model: what the replay says.
        span: sessions of entries that count; both ends are known.
        seed: of the intervals.
        tolerance: part of the price by which a fill may differ before it counts as a divergence.
    """
    ours, theirs = ([entry for entry in log.entries() if span.has(entry.entered_at)] for log in (live, model))
    matches = _matches(ours, theirs)
    known = {each.signal.signal_id for match in matches for each in match}
    missed = tuple(_one_sided(e, live) for e in theirs if e.signal.signal_id not in known)
    extra = tuple(_one_sided(e, model) for e in ours if e.signal.signal_id not in known)
    alone = _decided(missed), _decided(extra)
    fills = tuple(fill for match in matches for fill in _fills(match))
    exits = tuple(found for match in matches if (found := _exit(match)) is not None)
    differences = _differences(matches)
    interval = expectancy_interval(differences, seed)
    return Drift(
        first=span.first or session_date(ours[0].entered_at),
        last=span.last or session_date(ours[-1].entered_at),
        live=_side(live, ours, span, seed),
        model=_side(model, theirs, span, seed),
        matched=len(matches),
        missed=missed,
        extra=extra,
        fills=fills,
        costs=_costs(fills, seed),
        exits=exits,
        difference_r=ratio(sum(differences, ZERO), len(differences)),
        difference_interval=interval,
        compared=len(differences),
        first_divergence=_first(*alone, fills, exits, tolerance),
        parted=tuple(_parted(*alone, exits, len(matches), interval)),
    )


def _differences(matches: Iterable[Match]) -> list[Decimal]:
    """Return R after costs, live less model, of every trade that both have closed and know the risk of."""
    both = (
        (live.trip.net_r_multiple, model.trip.net_r_multiple) for live, model in matches if live.trip and model.trip
    )
    return [ours - theirs for ours, theirs in both if ours is not None and theirs is not None]


def _decided(found: Iterable[OneSided]) -> tuple[OneSided, ...]:
    return tuple(each for each in found if each.is_difference)


def _matches(ours: Sequence[Entry], theirs: Sequence[Entry]) -> list[Match]:
    by_id = {entry.signal.signal_id: entry for entry in theirs}
    matches = [Match(entry, by_id[name]) for entry in ours if (name := entry.signal.signal_id) in by_id]
    known = {each.signal.signal_id for match in matches for each in match}
    alike: dict[tuple[str, ...], list[Entry]] = {}
    for entry in theirs:
        if entry.signal.signal_id not in known:
            alike.setdefault(_likeness(entry), []).append(entry)
    alone = (entry for entry in ours if entry.signal.signal_id not in known)
    matches += [Match(entry, rest.pop(0)) for entry in alone if (rest := alike.get(_likeness(entry)))]
    return sorted(matches, key=lambda match: (match.live.entered_at, match.live.signal.signal_id))


def _likeness(entry: Entry) -> tuple[str, ...]:
    signal = entry.signal
    return (entry.key, str(signal.side), signal.strategy, session_date(signal.created_at).isoformat())


def _one_sided(entry: Entry, other: TradeLog) -> OneSided:
    reason = other.reason(entry.signal.signal_id)
    return OneSided(
        signal_id=entry.signal.signal_id,
        symbol=entry.key,
        side=entry.signal.side,
        strategy=entry.signal.strategy,
        session=entry.session,
        code="not_received" if reason is None else reason.code,
        why="The signal was never received." if reason is None else reason.message,
        net_r=entry.trip.net_r_multiple if entry.trip else None,
    )


def _fills(match: Match) -> list[FillDrift]:
    """Return the entry beside the model's, and the exit where both ended the same way."""
    live, model = match
    sign = live.signal.side.sign
    delay = (live.expected - model.expected) * sign if live.expected and model.expected else ZERO
    total = (live.price - model.price) * sign
    half = live.half_spread
    entry = _fill(live, "entry", live.session, (live.price, model.price), (delay, half, total - delay - (half or ZERO)))
    if live.trip is None or model.trip is None or live.trip.exit_reason != model.trip.exit_reason:
        return [entry]
    prices = live.trip.exit_price, model.trip.exit_price
    lost = (prices[1] - prices[0]) * sign
    session = session_date(live.trip.exit_time).isoformat()
    return [entry, _fill(live, live.trip.exit_reason or "exit", session, prices, (ZERO, None, lost))]


def _fill(
    live: Entry,
    role: str,
    session: str,
    prices: tuple[Price, Price],
    parts: tuple[Decimal, Decimal | None, Decimal],
) -> FillDrift:
    delay, spread, execution = parts
    total = delay + (spread or ZERO) + execution
    return FillDrift(
        signal_id=live.signal.signal_id,
        symbol=live.key,
        role=role,
        session=session,
        live_price=prices[0],
        model_price=prices[1],
        quantity=live.quantity,
        delay=live.money(delay),
        spread=None if spread is None else live.money(spread),
        execution=live.money(execution),
        fraction=total / prices[1] if prices[1] else ZERO,
    )


def _exit(match: Match) -> ExitDrift | None:
    """Return how the two ended differently; None where they did not, or where both are open."""
    (ours, our_session), (theirs, their_session) = map(_end_of, match)
    if (ours, our_session) == (theirs, their_session):
        return None
    return ExitDrift(
        signal_id=match.live.signal.signal_id,
        symbol=match.live.key,
        live_reason=ours,
        model_reason=theirs,
        live_session=our_session,
        model_session=their_session,
    )


def _end_of(entry: Entry) -> tuple[str, str]:
    trip = entry.trip
    return ("", "") if trip is None else (trip.exit_reason or "exit", session_date(trip.exit_time).isoformat())


def _costs(fills: Sequence[FillDrift], seed: int) -> tuple[FillCosts, ...]:
    roles = sorted({fill.role for fill in fills}, key=lambda role: (role != "entry", role))
    return tuple(_costs_of(role, [fill for fill in fills if fill.role == role], seed) for role in roles)


def _costs_of(role: str, fills: Sequence[FillDrift], seed: int) -> FillCosts:
    spreads = [fill.spread for fill in fills if fill.spread is not None]
    parts = [fill.fraction * PERCENT for fill in fills]
    return FillCosts(
        role=role,
        fills=len(fills),
        delay=_sum(fill.delay for fill in fills),
        spread=_sum(spreads) if spreads else None,
        execution=_sum(fill.execution for fill in fills),
        total=_sum(fill.total for fill in fills),
        mean_pct=sum(parts, ZERO) / len(parts),
        interval_pct=expectancy_interval(parts, seed),
    )


def _sum(amounts: Iterable[Decimal]) -> Usd:
    return Usd(sum(amounts, ZERO))


def _side(log: TradeLog, entries: Sequence[Entry], span: Span, seed: int) -> SideResult:
    closed = [entry.trip for entry in entries if entry.trip is not None]
    results = [result for trip in closed if (result := trip.net_r_multiple) is not None]
    return SideResult(
        signals=sum(1 for signal in log.signals.values() if span.has(signal.created_at)),
        trades=len(entries),
        closed=len(closed),
        net_r=sum(results, ZERO),
        expectancy_r=ratio(sum(results, ZERO), len(results)),
        interval=expectancy_interval(results, seed),
    )


def _first(
    missed: Iterable[OneSided],
    extra: Iterable[OneSided],
    fills: Iterable[FillDrift],
    exits: Iterable[ExitDrift],
    tolerance: Decimal,
) -> Divergence | None:
    """Return the earliest session in which the two differ, and how."""
    found = [
        *((each.session, f"{each.symbol} was not traded ({each.code})") for each in missed),
        *((each.session, f"{each.symbol} was traded, not in the replay ({each.code})") for each in extra),
        *(
            (each.session, f"{each.symbol} {each.role} filled {_percent(each.fraction)} {_than(each.fraction)}")
            for each in fills
            if abs(each.fraction) > tolerance
        ),
        *((_first_end(each), f"{each.symbol} ended otherwise: {_ways(each)}") for each in exits),
    ]
    first = min(found, default=None)
    return None if first is None else Divergence(session=first[0], what=first[1])


def _than(fraction: Decimal) -> str:
    return "worse than in the replay" if fraction > 0 else "better than in the replay"


def _percent(fraction: Decimal) -> str:
    return f"{abs(fraction) * PERCENT:.2f} %"


def _first_end(each: ExitDrift) -> str:
    return min(filter(None, (each.live_session, each.model_session)))


def _ways(each: ExitDrift) -> str:
    ours = f"{each.live_reason} on {each.live_session}" if each.live_reason else "open"
    theirs = f"{each.model_reason} on {each.model_session}" if each.model_reason else "open"
    return f"{ours}, in the replay {theirs}"


def _parted(
    missed: Sequence[OneSided],
    extra: Sequence[OneSided],
    exits: Sequence[ExitDrift],
    matched: int,
    difference: Interval | None,
) -> Iterable[str]:
    """Yield why the two part."""
    every = matched + len(missed) + len(extra)
    for found, words in ((missed, "of the replay were not made"), (extra, "were made that the replay has not")):
        if len(found) >= LEAST_UNMATCHED and len(found) > MOST_UNMATCHED * every:
            yield f"{len(found)} of {every} trades {words}."
    if len(exits) >= LEAST_EXITS and len(exits) > MOST_EXITS * matched:
        yield f"{len(exits)} of {matched} trades ended another way, or in another session, than in the replay."
    if difference is not None and (difference.high < 0 or difference.low > 0):
        worse = "worse" if difference.high < 0 else "better"
        yield f"Trades came out {worse} than in the replay, by {_range(difference)} R each."


def _range(interval: Interval) -> str:
    low, high = sorted((abs(interval.low), abs(interval.high)))
    return f"{low:.2f} to {high:.2f}"
