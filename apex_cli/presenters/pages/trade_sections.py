"""The trades of a page: the list, and a section for each with its prices, its plan and why it was taken.

End tags that HTML lets a page leave out are left out: thousands of trades are one page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple

from apex_cli.core.model.market import Bar
from apex_cli.core.model.position import RoundTrip
from apex_cli.core.model.wording import account_currency
from apex_cli.core.reports.plans import TradePlan
from apex_cli.core.reports.tearsheet import PricePath, TradeSheet
from apex_cli.presenters.pages.charts import html_text
from apex_cli.presenters.screen.formats import (
    DASH,
    THEORETICAL_MARK,
    THEORETICAL_NOTE,
    moment,
    money,
    rounded,
    signed,
    units,
)
from apex_cli.presenters.screen.formats import price as price_text

WIDTH, HEIGHT = 600, 130
EDGE = 8
LABEL_ROOM = 110
MANY = 1000
"""Trades above which rows, sections and charts are shorter: 5,000 of them are to stay below three megabytes."""

POINTS, FEW_POINTS = 90, 12
STYLE = """
#trades td { white-space: nowrap; }
article { content-visibility: auto; contain-intrinsic-size: auto 16rem; } article p { color: var(--dim); }
article svg { max-width: 50rem; } article path { fill: none; stroke-width: 1.4; stroke: var(--good); }
article path:nth-of-type(-n+2) { stroke: var(--text); } article path:nth-of-type(2) { stroke: var(--bad); }
article path:nth-of-type(n+2) { stroke-dasharray: 6 3; } article path:nth-of-type(n+4) { stroke-width: 8;
  stroke-linecap: round; stroke-dasharray: none; stroke: var(--fill); } article path:nth-of-type(5) {
  stroke: var(--warn); } article path:nth-of-type(6) { fill: var(--soft); stroke: none; }
.key span { padding-right: 1.2em; white-space: nowrap; }
@media print { article { content-visibility: visible; break-inside: avoid; } }
@media (max-width: 640px) { #trades .less { display: none; } article svg text { font-size: 20px; } }
"""
"""Paths of a chart have no class: the first is the price, then stop, targets, entry, exit and the time held."""

PART = 200
"""Trades of a long page that are put into it together."""

LATE = f"""<noscript><p>The trades after the first {PART} need the page's own script.</noscript>
<script>
{{
  const late = [...document.querySelectorAll('script[type="text/late"]')]
  const put = s => {{ if (s.isConnected) s.parentNode.innerHTML = s.textContent }}
  const sections = late.filter(s => s.parentNode.tagName === "DIV")
  const jump = () => {{
    const number = /^#t\\d+$/.test(location.hash) ? +location.hash.slice(2) : 0
    if (number > {PART} && sections[Math.ceil(number / {PART}) - 2]) {{
      put(sections[Math.ceil(number / {PART}) - 2])
      document.getElementById("t" + number)?.scrollIntoView()
    }}
  }}
  const idle = window.requestIdleCallback ?? (work => setTimeout(work, 30))
  const next = () => {{ const s = late.shift(); if (s) {{ put(s); idle(next) }} }}
  addEventListener("hashchange", jump)
  addEventListener("beforeprint", () => late.splice(0).forEach(put))
  addEventListener("load", () => {{ jump(); setTimeout(() => idle(next), 200) }})
}}
</script>
"""
"""Puts the trades of a long page into it after it has opened, before it is printed, and when a link leads to them."""

KEY = (
    '<p class="key"><span class="dim">bars: price</span><span style="color:var(--fill)">● entry</span>'
    '<span class="bad">- - stop</span><span class="good">- - target</span><span class="warn">● exit</span></p>'
)


def trade_list(trades: Sequence[TradeSheet]) -> str:
    """Return one row for each trade, its number a link to its section."""
    if not trades:
        return '<p class="dim">No closed trades yet.</p>'
    columns = [column for column in COLUMNS if column.is_short or len(trades) <= MANY]
    kinds = [f' class="{kind}"' if (kind := column.kind) else "" for column in columns]
    head = "".join(f"<th{kind}>{column.name}" for column, kind in zip(columns, kinds, strict=True))
    if len(trades) > MANY:
        kinds = [""] * len(columns)
        columns = [column._replace(text=_plain_net) if column.name == "Net" else column for column in columns]
    rows = [f"<tr>{_cells(number, trade, columns, kinds)}\n" for number, trade in enumerate(trades, 1)]
    body = _in_parts(rows, "tbody", is_many=len(trades) > MANY)
    return f'<div class="wide"><table id="trades"><thead><tr><th>{head}</thead>{body}</table></div>'


def trade_sections(trades: Sequence[TradeSheet]) -> str:
    """Return the section of each trade."""
    is_many = len(trades) > MANY
    sections = [_section(number, trade, is_many=is_many) for number, trade in enumerate(trades, 1)]
    return KEY + _in_parts(sections, "div", is_many=is_many) + (LATE if is_many else "")


def _in_parts(pieces: Sequence[str], element: str, *, is_many: bool) -> str:
    """Return *pieces* in elements of so many each; where there are many, those after the first are text at first."""
    if not is_many:
        return f"<{element}>{''.join(pieces)}</{element}>"
    parts = ["".join(pieces[start : start + PART]) for start in range(0, len(pieces), PART)]
    late = "".join(f"<{element}><script type=text/late>{part}</script></{element}>" for part in parts[1:])
    return f"<{element}>{parts[0]}</{element}>{late}"


class _Column(NamedTuple):
    name: str
    text: Callable[[TradeSheet], str]
    kind: str = "right"
    is_short: bool = True
    """True where the column stands in a list of many trades, too."""


COLUMNS = (
    _Column("Closed", lambda trade: _time(trade.trip.exit_time), ""),
    _Column("Symbol", lambda trade: html_text(trade.trip.instrument.key), ""),
    _Column("Side", lambda trade: str(trade.trip.side), "less"),
    _Column("Qty", lambda trade: units(trade.trip.quantity), "right less", is_short=False),
    _Column("Entry", lambda trade: _price(trade.trip, trade.trip.entry_price), "right less", is_short=False),
    _Column("Exit", lambda trade: _price(trade.trip, trade.trip.exit_price), "right less", is_short=False),
    _Column("Costs", lambda trade: money(trade.trip.commission), "right less", is_short=False),
    _Column("Worst R", lambda trade: _r(trade.worst), "right less", is_short=False),
    _Column("Best R", lambda trade: _r(trade.best), "right less", is_short=False),
    _Column("Net", lambda trade: _toned(trade.trip.net_pnl, signed(trade.trip.net_pnl))),
    _Column("Net R", lambda trade: _r(trade.trip.net_r_multiple)),
    _Column("Why", lambda trade: html_text(trade.trip.exit_reason), ""),
)


def _price(trip: RoundTrip, value: Decimal) -> str:
    """Return a price of *trip*, with a mark where a model made it."""
    return price_text(value) + (THEORETICAL_MARK if trip.is_theoretical else "")


def _plain_net(trade: TradeSheet) -> str:
    return signed(trade.trip.net_pnl)


def _cells(number: int, trade: TradeSheet, columns: Sequence[_Column], kinds: Sequence[str]) -> str:
    cells = (f"<td{kind}>{column.text(trade)}" for column, kind in zip(columns, kinds, strict=True))
    return f"<td><a href=#t{number}>{number}</a>{''.join(cells)}"


def _section(number: int, trade: TradeSheet, *, is_many: bool) -> str:
    trip = trade.trip
    name = f"{trip.instrument.key} {trip.side} {units(trip.quantity)}"
    result = _toned(trip.net_pnl, f"{signed(trip.net_pnl)} {account_currency()}, {_r(trip.net_r_multiple)} R")
    return (
        f"<article id=t{number}><h3>{number} {html_text(name)}</h3>"
        f"<p>{_time(trip.entry_time)} at {_price(trip, trip.entry_price)} to {_time(trip.exit_time)} at "
        f"{_price(trip, trip.exit_price)}, {html_text(trip.exit_reason)}: {result}"
        f"{f' ({THEORETICAL_NOTE})' if trip.is_theoretical else ''}"
        f"<p>{html_text(_why(trade, is_many=is_many))}{price_chart(trade, is_many=is_many)}</article>\n"
    )


def _why(trade: TradeSheet, *, is_many: bool) -> str:
    """Return the plan and why it was taken, and how far the price went against it and with it."""
    plan, way = trade.plan, ""
    if trade.worst is not None and trade.best is not None:
        way = f" On the way {_r(trade.worst)} R to {_r(trade.best)} R."
    if plan is None:
        return f"Its plan is not known: it was not opened here.{way}"
    bracket = plan.bracket
    stops = ", then ".join(
        price_text(stop) for stop in (bracket.stop_price, *(place.price for place in plan.stops[-3:]))
    )
    targets = ", ".join(map(price_text, bracket.target_prices))
    planned = f"Stop {stops}" + (f"; target {targets}" if targets else "")
    return f"{bracket.strategy or 'No strategy'}: {_reasons(plan, is_many=is_many)}. {planned}.{way}"


def _reasons(plan: TradePlan, *, is_many: bool) -> str:
    """Return what spoke for the trade when it was decided."""
    opportunity = plan.opportunity
    if opportunity is None:
        return "taken over"
    signal = opportunity.signal
    parts = [f"score {opportunity.opportunity_score:.2f}"]
    if signal.confidence is not None and not is_many:
        parts.append(f"confidence {signal.confidence:.2f}")
    if plan.bracket.reward_risk is not None and not is_many:
        parts.append(f"reward to risk {plan.bracket.reward_risk:.1f}")
    strongest = max(opportunity.breakdown, key=lambda part: part.weight * part.value, default=None)
    if strongest is not None:
        parts.append(f"most for {strongest.name.replace('_', ' ')}")
    return ", ".join(parts)


class _Frame:
    """Where a bar and a price stand in a chart."""

    def __init__(self, bars: int, prices: Iterable[Decimal], scale: float) -> None:
        """Make room for *bars* and *prices*; *scale* is the size of the chart."""
        self.width, self.height = round(WIDTH * scale), round(HEIGHT * scale)
        values = list(map(float, prices))
        self._low, self._span = min(values), (max(values) - min(values)) or 1.0
        self._step = (self.width - 2 * EDGE) / max(1, bars - 1)

    def across(self, number: int) -> int:
        """Return the place of bar *number*."""
        return round(EDGE + self._step * number)

    def down(self, value: Decimal) -> int:
        """Return the place of a price."""
        return round(EDGE + (self.height - 2 * EDGE) * (1 - (float(value) - self._low) / self._span))


def price_chart(trade: TradeSheet, *, is_many: bool = False) -> str:
    """Return the bars around a trade with its entry, its stop's way, its targets and its exit; empty without bars."""
    trip, plan, path = trade.trip, trade.plan, trade.path
    if path is None:
        return ""
    stops = () if plan is None else (plan.bracket.stop_price, *(place.price for place in plan.stops))
    targets = () if plan is None else plan.bracket.target_prices
    prices = (price for bar in path.bars for price in (bar.low, bar.high))
    frame = _Frame(
        len(path.bars), (*prices, trip.entry_price, trip.exit_price, *stops, *targets), 0.5 if is_many else 1
    )
    entered = frame.across(path.entry)
    left = max(frame.across(path.exit), entered + 3)
    ways = [
        _closes(path, frame) if is_many else _sticks(path, frame),
        f"{_stop_way(plan, path, frame)}H{left}" if plan is not None else "M0,0",
        "".join(f"M{entered},{frame.down(target)}H{left}" for target in targets) or "M0,0",
        f"M{entered},{frame.down(trip.entry_price)}h0",
        f"M{left},{frame.down(trip.exit_price)}h0",
    ]
    labels = ""
    if not is_many:
        ways.append(f"M{entered},0H{left}V{frame.height}H{entered}z")
        named = (*(("stop", value) for value in stops[-1:]), *(("target", value) for value in targets))
        labels = "".join(_label(left, frame.down(value), f"{name} {price_text(value)}") for name, value in named)
    drawn = "".join(f"<path d={way} />" for way in ways)
    return f"<svg viewBox=0,0,{frame.width},{frame.height}>{drawn}{labels}</svg>"


def _label(x: int, y: int, text: str) -> str:
    end = x > WIDTH - LABEL_ROOM
    return f"<text x={x - 8 if end else x + 8} y={y + 4}{' text-anchor=end' if end else ''}>{text}</text>"


def _sticks(path: PricePath, frame: _Frame) -> str:
    """Return each bar as a line from its low to its high, with a mark at its close; of many bars every n-th."""
    return "".join(
        f"M{frame.across(number)},{frame.down(bar.high)}V{frame.down(bar.low)}"
        f"M{frame.across(number)},{frame.down(bar.close)}h3"
        for number, bar in _some(path, POINTS)
    )


def _closes(path: PricePath, frame: _Frame) -> str:
    """Return the closes as a line: a few points, each as a step from the one before."""
    places = [(frame.across(number), frame.down(bar.close)) for number, bar in _some(path, FEW_POINTS)]
    (x, y), *_ = places
    steps = (f"{b[0] - a[0]},{b[1] - a[1]}" for a, b in pairwise(places))
    return f"M{x},{y}l{' '.join(steps)}".replace(" ", ",").replace(",-", "-")


def _some(path: PricePath, most: int) -> Iterator[tuple[int, Bar]]:
    """Yield at most *most* bars with their numbers, the first, the last, the entry's and the exit's among them."""
    count = len(path.bars)
    numbers = range(count) if count <= most else [round(n * (count - 1) / (most - 1)) for n in range(most)]
    return ((number, path.bars[number]) for number in sorted({*numbers, path.entry, path.exit}))


def _stop_way(plan: TradePlan, path: PricePath, frame: _Frame) -> str:
    """Return where the stop stood from the entry on."""
    way = f"M{frame.across(path.entry)},{frame.down(plan.bracket.stop_price)}"
    for place in plan.stops:
        number = min(max(sum(bar.end <= place.at for bar in path.bars), path.entry), path.exit)
        way += f"H{frame.across(number)}V{frame.down(place.price)}"
    return way


def _r(value: Decimal | None) -> str:
    return DASH if value is None else rounded(value, "+.2f")


def _toned(amount: Decimal, text: str) -> str:
    return f"<b class={'good' if amount > 0 else 'bad'}>{text}</b>" if amount else text


def _time(at: datetime) -> str:
    return moment(at).removesuffix(" ET")
