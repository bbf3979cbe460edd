"""The day-trading gate: one verdict on one order, from the regime, the account and the order itself.

Closing is never blocked. Opening is blocked at no day trade left, on an intraday margin deficit, without settled cash
in a cash account, and wherever a number it needs is missing. An order through zero is split: its closing part is
offered when its opening part is blocked.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from enum import StrEnum

from apex_cli.core.day_trades import cash_account
from apex_cli.core.day_trades import margin as intraday_margin
from apex_cli.core.day_trades.flow import COUNTED_TYPES
from apex_cli.core.day_trades.margin import MINIMUM_EQUITY, Level
from apex_cli.core.day_trades.regimes import worth
from apex_cli.core.model.account import AccountFacts, MarginPreview
from apex_cli.core.model.base import Value
from apex_cli.core.model.decision import DayTradeStatus, Regime
from apex_cli.core.model.execution import SecType
from apex_cli.core.model.money import ZERO, Usd
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.side import OrderSide
from apex_cli.core.model.wording import money, plain


class GateDecision(StrEnum):
    """The three answers."""

    ALLOW = "allow"
    WARN = "warn"
    BLOCK = "block"


class GateOrder(Value, frozen=True, kw_only=True):
    """An order as far as the rules look at it."""

    security: str
    """Spelled as ``Instrument.key``."""

    sec_type: SecType = SecType.STK
    side: OrderSide
    quantity: Decimal
    price: Decimal | None = None
    """Price it may fill at; None is not known."""

    multiplier: Decimal = Decimal(1)
    """Account currency for one unit of price and quantity."""


class Ground(Value, frozen=True, kw_only=True):
    """What an order is judged on."""

    status: DayTradeStatus
    facts: AccountFacts
    held: Decimal = ZERO
    """Signed quantity of the order's security held now."""

    preview: MarginPreview | None = None
    stock_value: Usd | None = None
    """Gross value of the stocks held and of working entries, USD; None where it is not reported."""

    proceeds_settle_on: date | None = None
    """In a cash account: from when on it may be sold; see ``cash_account.proceeds_settle_on``."""


class GateVerdict(Value, frozen=True, kw_only=True):
    """What the gate says of one order."""

    blocks: tuple[Reason, ...] = ()
    warnings: tuple[Reason, ...] = ()
    notes: tuple[Reason, ...] = ()
    """What is worth knowing and speaks against nothing."""

    closing: Decimal = ZERO
    """Part of the order that closes what is held; always allowed."""

    opening: Decimal = ZERO
    level: Level = Level()

    @property
    def decision(self) -> GateDecision:
        """The answer: blocked, allowed with a warning, or allowed."""
        if self.blocks:
            return GateDecision.BLOCK
        return GateDecision.WARN if self.warnings else GateDecision.ALLOW

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Everything there is to say, what weighs most first."""
        return (*self.blocks, *self.warnings, *self.notes)

    @property
    def offer(self) -> Decimal:
        """Quantity that is allowed instead of a blocked order; 0 where nothing is allowed."""
        return self.closing if self.blocks else ZERO


class _Findings:
    """Collects reasons by weight."""

    __slots__ = ("blocks", "notes", "warnings")

    def __init__(self) -> None:
        self.blocks: list[Reason] = []
        self.warnings: list[Reason] = []
        self.notes: list[Reason] = []

    def block(self, code: str, message: str, *, limit: str | None = None, value: str | None = None) -> None:
        self.blocks.append(Reason(code=code, message=message, limit=limit, value=value))

    def warn(self, code: str, message: str, *, limit: str | None = None, value: str | None = None) -> None:
        self.warnings.append(Reason(code=code, message=message, limit=limit, value=value))

    def note(self, code: str, message: str) -> None:
        self.notes.append(Reason(code=code, message=message))


def split_order(order: GateOrder, held: Decimal) -> tuple[Decimal, Decimal]:
    """Return how much of *order* closes the *held* signed quantity, and how much opens."""
    if held * order.side.sign >= ZERO:
        return ZERO, order.quantity
    closing = min(order.quantity, abs(held))
    return closing, order.quantity - closing


def judge_order(order: GateOrder, ground: Ground) -> GateVerdict:
    """Return the verdict on *order*.

    Source:
        FINRA Rule 4210(f)(8)(B) before 2026-06-04 where the count is kept: at none left Interactive Brokers accepts
        closing orders only. Rule 4210(d)(2) for intraday margin, Regulation T (12 CFR 220.8) for cash accounts.
    """
    closing, opening = split_order(order, ground.held)
    found = _Findings()
    if order.sec_type not in COUNTED_TYPES:
        return GateVerdict(closing=closing, opening=opening)
    if closing:
        _judge_closing(order, ground, found)
    level = Level()
    if opening:
        _judge_opening(order, ground, found, flips=bool(closing))
        level = _judge_money(order, ground, found, opening)
        if closing and found.blocks:
            _offer_closing(order, closing, opening, found)
    elif Regime.CASH_SETTLEMENT not in ground.status.regimes:
        level = intraday_margin.margin_level(ground.facts, ground.preview, None, opens=False)
    return GateVerdict(
        blocks=tuple(found.blocks),
        warnings=tuple(found.warnings),
        notes=tuple(found.notes),
        closing=closing,
        opening=opening,
        level=level,
    )


def _is_day_trade(order: GateOrder, status: DayTradeStatus) -> bool:
    return order.security in status.opened_today


def _number_of_next(status: DayTradeStatus) -> int:
    """Return which day trade of the window the next one is, by the number that counts."""
    return max(status.limit - (status.remaining or 0), status.used if not status.remaining else 0) + 1


def _is_limited(status: DayTradeStatus) -> bool:
    return status.remaining is not None and status.remaining >= 0


def _judge_closing(order: GateOrder, ground: Ground, found: _Findings) -> None:
    """Warn of the day trade that closing makes; nothing here ever blocks."""
    status = ground.status
    if _is_limited(status) and _is_day_trade(order, status):
        number = _number_of_next(status)
        if status.remaining == 0:
            found.warn(
                "fourth_day_trade",
                f"Closing {order.security} today is day trade {number}, and {status.limit} are allowed: "
                "the account may be limited to closing orders for 90 days. Kept overnight it is none.",
                limit=f"{status.limit} in {len(status.window)} sessions",
                value=f"day trade {number}",
            )
        else:
            found.note("day_trade", f"Closing {order.security} today is day trade {number} of {status.limit}.")
    if Regime.CASH_SETTLEMENT in status.regimes and ground.held > ZERO:
        found.warnings.extend(cash_account.review_sale(ground.facts, ground.proceeds_settle_on))


def _judge_opening(order: GateOrder, ground: Ground, found: _Findings, *, flips: bool) -> None:
    """Hold an opening against regime and count."""
    status = ground.status
    if not status.is_regime_known:
        found.block("regime_unknown", f"Nobody can tell which day-trading rule holds: {status.regime_source}.")
    if not _is_limited(status):
        return
    left = (status.remaining or 0) - (flips and _is_day_trade(order, status))
    if left <= 0:
        why = status.why if not status.remaining else "closing what is held uses the last one."
        found.block(
            "no_day_trade_left",
            f"No day trade is left: {why}" if why else "No day trade is left.",
            limit=f"{status.limit} in {len(status.window)} sessions",
            value=f"{status.used} used",
        )
        return
    open_now = set(status.opened_today) | {order.security}
    if len(open_now) > left:
        found.warn(
            "opened_today",
            f"{len(open_now)} positions opened today with this one: only {left} of these may be closed today.",
            limit=f"{left} day trades left",
            value=f"{len(open_now)} opened today",
        )
    if status.is_partial and status.broker_remaining is None and not ground.facts.is_simulated:
        message = "The stored history does not cover the whole window: there may be more day trades."
        found.warn("history_partial", message)
    found.note("forecast", f"{forecast_sentence(status)}.")


def forecast_sentence(status: DayTradeStatus) -> str:
    """Return what a new position means for the count if it is closed today."""
    return f"If its stop is hit today this is day trade {_number_of_next(status)} of {status.limit}"


def _offer_closing(order: GateOrder, closing: Decimal, opening: Decimal, found: _Findings) -> None:
    what = "a short" if order.side is OrderSide.SELL else "a long"
    found.block(
        "closing_only",
        f"{order.side} {plain(closing)} is allowed: that closes what is held. The other {plain(opening)} would open "
        f"{what} position.",
        limit=f"at most {plain(closing)}",
        value=plain(order.quantity),
    )


def _judge_money(order: GateOrder, ground: Ground, found: _Findings, opening: Decimal) -> Level:
    """Hold an opening against what must pay for it."""
    status, facts = ground.status, ground.facts
    notional = None if order.price is None else opening * order.price * order.multiplier
    if Regime.CASH_SETTLEMENT in status.regimes:
        _judge_cash(order, ground, notional, found)
        return Level()
    estimate = None
    if order.price is not None:
        estimate = intraday_margin.maintenance_of(
            order.sec_type, order.side, opening, order.price, multiplier=order.multiplier
        )
    level = intraday_margin.margin_level(facts, ground.preview, estimate, opens=True)
    is_required = Regime.INTRADAY_MARGIN in status.regimes
    if Regime.OFF in status.regimes or not (is_required or _is_margin_reported(ground)):
        return level
    if is_required and level.is_estimate and (level.after is None or not facts.is_simulated):
        message = "There is no margin preview from the broker: an estimate never lets an order pass."
        found.block("no_margin_preview", message)
    _judge_borrowing(order, ground, notional, found)
    _judge_level(level, ground, found)
    _judge_overnight(order, ground, notional, found)
    return level


def _is_margin_reported(ground: Ground) -> bool:
    """Return whether the broker reported margin: a deficit stops an order under any rule, but in a simulation."""
    facts = ground.facts
    if facts.is_simulated:
        return False
    return ground.preview is not None or facts.maint_margin_req is not None or facts.frozen_until is not None


def _judge_cash(order: GateOrder, ground: Ground, notional: Decimal | None, found: _Findings) -> None:
    facts, session = ground.facts, date.fromisoformat(ground.status.session_date)
    if order.side is OrderSide.SELL:
        if order.sec_type is SecType.OPT:
            found.warn("needs_cover", "A cash account writes options only against shares or cash set aside.")
        else:
            found.block("no_short_in_cash_account", "A cash account cannot sell short.")
        return
    reason, blocks = cash_account.review_purchase(facts, notional, session)
    if reason is None:
        return
    if blocks or intraday_margin.is_frozen(facts, session):
        found.blocks.append(reason)
    else:
        found.warnings.append(reason)


def _judge_borrowing(order: GateOrder, ground: Ground, notional: Decimal | None, found: _Findings) -> None:
    """Refuse new debits and shorts below the minimum equity and during a freeze; a paid purchase passes."""
    facts = ground.facts
    borrows = intraday_margin.creates_debit(facts, order.side, notional)
    value = worth(facts)
    if borrows and (value is None or value < MINIMUM_EQUITY):
        stated = "is not known" if value is None else f"is {money(value)}"
        found.block(
            "below_minimum_equity",
            f"The account's value {stated}: below {money(MINIMUM_EQUITY)} nothing is bought on credit or sold short.",
            limit=f"at least {money(MINIMUM_EQUITY)}",
            value=None if value is None else money(value),
        )
    if intraday_margin.is_frozen(facts, date.fromisoformat(ground.status.session_date)):
        message = f"The account is frozen until {facts.frozen_until}: no new debit and no new short"
        if borrows:
            found.block("account_frozen", f"{message}.", limit=f"after {facts.frozen_until}")
        else:
            found.warn("account_frozen", f"{message}; this purchase is paid in cash.")


def _judge_level(level: Level, ground: Ground, found: _Findings) -> None:
    """Hold the margin level after the order against zero, the cushion and the initial margin."""
    facts, preview = ground.facts, ground.preview
    if level.deficit:
        found.block(
            "intraday_deficit",
            f"The intraday margin level falls to {money(level.after or ZERO)}: a deficit of {money(level.deficit)}"
            f"{_consequences(level, ground.status)}.",
            limit=f"at least {money(ZERO)}",
            value=money(level.after or ZERO),
        )
    elif level.after is not None and level.after < intraday_margin.cushion(facts):
        found.warn(
            "margin_cushion",
            f"The intraday margin level falls to {money(level.after)}, below the cushion of 1 % of the account.",
            limit=f"at least {money(intraday_margin.cushion(facts))}",
            value=money(level.after),
        )
    if not level.is_estimate and preview is not None and _exceeds(preview):
        found.block("initial_margin", "The initial margin exceeds the equity after the order: the broker rejects it.")
    if facts.look_ahead_excess_liquidity is not None and facts.look_ahead_excess_liquidity < ZERO:
        found.warn("look_ahead", "At the next margin rates, usually overnight, the account is short of margin.")


def _judge_overnight(order: GateOrder, ground: Ground, notional: Decimal | None, found: _Findings) -> None:
    """Warn when the stocks, this order's included, need more than the account is worth once the session is over."""
    equity = ground.facts.equity_with_loan
    if equity is None or ground.stock_value is None or notional is None or order.sec_type is not SecType.STK:
        return
    need = intraday_margin.overnight_margin(ground.stock_value + notional)
    if need > equity:
        found.warn(
            "overnight_reg_t",
            f"Held overnight, the stocks need {money(need)}, half of their value: the account has {money(equity)}.",
            limit=f"at most {money(equity)}",
            value=money(need),
        )


def _exceeds(preview: MarginPreview) -> bool:
    equity, initial = preview.equity_with_loan_after, preview.init_margin_after
    return equity is not None and initial is not None and initial > equity


def _consequences(level: Level, status: DayTradeStatus) -> str:
    """Say by when a deficit would have to be met, and whether it is a small one."""
    due = intraday_margin.deadlines(date.fromisoformat(status.session_date))
    text = f", to be met by {due.ideally}, a freeze from {due.before_freeze}, lapsing on {due.lapses}"
    return f"{text}; de minimis, yet a deficit" if level.is_de_minimis else text


def entry_effect(status: DayTradeStatus, security: str) -> str:
    """Return what opening *security* now means for the count, in a few words, for the approval panel."""
    left = status.remaining
    if left is None:
        return "not counted here"
    if left < 0:
        return "not limited"
    if not left:
        return f"none left: {status.used} of {status.limit} used, openings are refused"
    open_now = len(set(status.opened_today) | {security})
    text = f"closed today it is day trade {_number_of_next(status)} of {status.limit}"
    return f"{text}; {open_now} opened today, only {left} may be closed" if open_now > left else text
