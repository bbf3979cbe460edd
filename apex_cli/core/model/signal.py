"""Signals: what a strategy proposes, and the opportunity it becomes once scored."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache

from apex_cli.core.model.agent import Proposal
from apex_cli.core.model.base import Value
from apex_cli.core.model.instrument import Instrument, MarketType, OptionRight
from apex_cli.core.model.money import Price
from apex_cli.core.model.option_rule import OptionRule
from apex_cli.core.model.side import OrderSide


class SignalType(StrEnum):
    """Every signal type we act on; any other value is refused."""

    BUY = "BUY"
    LONG = "LONG"
    LONG_CALL = "LONG_CALL"
    LONG_PUT = "LONG_PUT"
    SELL = "SELL"
    SHORT = "SHORT"
    SHORT_CALL = "SHORT_CALL"
    SHORT_PUT = "SHORT_PUT"


ENTRY_SIDES = {
    SignalType.BUY: OrderSide.BUY,
    SignalType.LONG: OrderSide.BUY,
    SignalType.LONG_CALL: OrderSide.BUY,
    SignalType.LONG_PUT: OrderSide.BUY,
    SignalType.SELL: OrderSide.SELL,
    SignalType.SHORT: OrderSide.SELL,
    SignalType.SHORT_CALL: OrderSide.SELL,
    SignalType.SHORT_PUT: OrderSide.SELL,
}
"""The side table. A bought put is a purchase of the put: prices are those of the option."""


OPTION_RIGHTS = {
    SignalType.LONG_CALL: OptionRight.CALL,
    SignalType.SHORT_CALL: OptionRight.CALL,
    SignalType.LONG_PUT: OptionRight.PUT,
    SignalType.SHORT_PUT: OptionRight.PUT,
}
"""The words that name an option, with the right that each one means."""


def word_problem(signal_type: SignalType, instrument: Instrument) -> str:
    """Say why *signal_type* does not fit *instrument*: a word for options trades nothing but an option of that right.

    >>> word_problem(SignalType.LONG_PUT, Instrument(symbol="AAPL"))
    'LONG_PUT names an option, and AAPL is none'
    """
    right = OPTION_RIGHTS.get(signal_type)
    if right is None:
        return ""
    if instrument.market_type is not MarketType.OPTIONS:
        return f"{signal_type} names an option, and {instrument.key} is none"
    if instrument.right not in {None, right}:
        return f"the right of {instrument.key} contradicts {signal_type}"
    return ""


class SignalFamily(StrEnum):
    """Kinds of signals that confirm others for days."""

    NONE = ""
    INSIDER = "insider"
    """Directors and officers bought or sold."""

    OPTIONS_FLOW = "options_flow"
    """Unusual trades in the options of a security."""


NO_FAMILY = SignalFamily.NONE
FAMILY_WORDS = {
    SignalFamily.INSIDER: ("insider",),
    SignalFamily.OPTIONS_FLOW: ("options flow", "option flow", "unusual options"),
}
"""What a strategy or source of each family is called, in small letters and with spaces."""


class Signal(Value, frozen=True, kw_only=True):
    """What a strategy proposes: well-formed, not yet judged."""

    signal_id: str
    instrument: Instrument
    signal_type: SignalType
    entry_price: Price
    stop_loss: Price
    target_prices: tuple[Price, ...] = ()
    """Nearest first; the quantity is split evenly over them, unless ``target_fractions`` say otherwise."""

    target_fractions: tuple[Decimal, ...] = ()
    """Part of the quantity for each target, nearest first; what is left has a stop and no target."""

    confidence: Decimal | None = None
    """0..1 as given by the source; None where it gave none."""

    strategy: str = ""
    source: str = ""
    created_at: datetime
    """When the strategy saw it, aware UTC."""

    expires_at: datetime
    """From then on it is never acted on, aware UTC."""

    metadata: dict[str, str | int | float | bool | None] = {}
    option: OptionRule | None = None
    """How to choose the contract of an option that names none; then the levels are those of its underlying."""

    proposal: Proposal | None = None
    """Set where an agent proposed it: by the session that it came from, never by what it says of itself."""

    @property
    def side(self) -> OrderSide:
        """Side of the entry order."""
        return ENTRY_SIDES[self.signal_type]

    @property
    def symbol(self) -> str:
        """Ticker, pair or underlying."""
        return self.instrument.symbol

    @property
    def family(self) -> SignalFamily:
        """What kind of news it is, by the words in its strategy and source; what an agent says is no news."""
        if self.proposal is not None:
            return NO_FAMILY
        return _family_of(self.strategy, self.source)


@lru_cache(maxsize=256)
def _family_of(strategy: str, source: str) -> SignalFamily:
    words = f"{strategy} {source}".lower().replace("_", " ").replace("-", " ")
    return next((family for family, marks in FAMILY_WORDS.items() if any(m in words for m in marks)), NO_FAMILY)


def market_view(signal: Signal) -> int:
    """Return 1 when *signal* gains from a rising underlying, -1 when from a falling one.

    A put turns the side round: a bought put is a purchase that wants lower prices. The contract's right counts
    before the right that the signal's type names.
    """
    right = signal.instrument.right or OPTION_RIGHTS.get(signal.signal_type)
    return -signal.side.sign if right is OptionRight.PUT else signal.side.sign


def market_side(signal: Signal) -> OrderSide:
    """Return the side of the underlying that *signal* is a bet on: ``SELL`` for a bought put."""
    return OrderSide.BUY if market_view(signal) > 0 else OrderSide.SELL


class ScoreComponent(Value, frozen=True, kw_only=True):
    """One part of an opportunity's score."""

    name: str
    weight: Decimal
    value: Decimal
    """0..1; the score is the sum of weight times value over all components."""


class ScoreFactor(Value, frozen=True, kw_only=True):
    """Something that the sum of the components is multiplied by."""

    name: str
    value: Decimal
    """1 changes nothing."""

    why: str = ""
    """What was found, for people."""


class Expectation(Value, frozen=True, kw_only=True):
    """What was learned says of one signal: expected R after costs, which results can be held against."""

    mean: Decimal
    low: Decimal
    """Ends of the 90 % interval of the mean; a single trade lies much further out."""

    high: Decimal
    default: Decimal
    """What the default weights alone promise."""

    orders: bool = True
    """Whether it decides what goes first; False where learning only reports."""

    trades: int = 0
    followed: int = 0
    loses: Decimal | None = None
    """Probability that an average signal of the strategy loses; None where the strategy is not known."""

    next_look: datetime | None = None
    """When *loses* is not believed any more unless it was found again."""


class Opportunity(Value, frozen=True, kw_only=True):
    """A signal with its score: what the decision looks at."""

    signal: Signal
    opportunity_score: Decimal
    """0..1, higher is better."""

    breakdown: tuple[ScoreComponent, ...] = ()
    """How the score came about: the components, then everything in *factors*."""

    factors: tuple[ScoreFactor, ...] = ()
    plain_score: Decimal | None = None
    """The score with nothing learned; None: the same. What goes without asking is measured by the smaller."""

    weights_version: int = 0
    """Version of the learned weights it was made with; 0 are the defaults."""

    notes: tuple[str, ...] = ()
    """What was missing, and what was done about it."""

    expected: Expectation | None = None
    """None: nothing was learned yet, or this is an opportunity of an older version."""

    @property
    def rank(self) -> tuple[Decimal, Decimal]:
        """What opportunities are ordered by, highest first: expected R where it is known, then the score."""
        expected = self.expected
        first = self.opportunity_score if expected is None or not expected.orders else expected.mean
        return first, self.opportunity_score

    @property
    def cautious_score(self) -> Decimal:
        """The smaller of the two scores: learning may make a trade ask, never keep it from asking."""
        return self.opportunity_score if self.plain_score is None else min(self.opportunity_score, self.plain_score)
