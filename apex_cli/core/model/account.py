"""The account as the broker reports it."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from apex_cli.core.model.base import Value
from apex_cli.core.model.money import ZERO, Usd


class AccountType(StrEnum):
    """How the account borrows."""

    MARGIN = "margin"
    CASH = "cash"
    PORTFOLIO = "portfolio"
    """Portfolio margin."""


class AccountKind(StrEnum):
    """Whose money is traded."""

    SIMULATED = "SIM"
    PAPER = "PAPER"
    LIVE = "LIVE"


class AccountBadge(Value, frozen=True, kw_only=True):
    """Which account one is in, for every screen and message."""

    kind: AccountKind
    name: str = ""
    """The broker's id of the account, masked or whole; empty when it is not known yet."""

    @property
    def text(self) -> str:
        """Return kind and account; of its id only the letters and the last two digits.

        >>> AccountBadge(kind=AccountKind.PAPER, name="DU1234567").text
        'PAPER DU…67'
        """
        letters = self.name.rstrip("0123456789*")
        return f"{self.kind} {letters}…{self.name[-2:]}" if self.name else str(self.kind)

    def named_by(self, account: AccountSnapshot | None) -> AccountBadge:
        """Return the badge with the name that *account* knows, where it has none."""
        if self.kind is AccountKind.SIMULATED or self.name or account is None:
            return self
        return AccountBadge(kind=self.kind, name=account.name)


class AccountFacts(Value, frozen=True, kw_only=True):
    """What the day-trading rules read of an account; None means not reported, and is never treated as zero.

    Nothing here is required, as a person may describe an account in a file. Of an account at the broker it is made by
    ``facts_of``.
    """

    account_type: AccountType | None = None
    is_simulated: bool = False
    equity_prev_close: Usd | None = None
    """Equity at 16:15 New York of the previous session."""

    equity_now: Usd | None = None
    net_deposits_since_close: Usd = Usd(ZERO)
    """Deposits less withdrawals since that close."""

    flagged_pdt: bool = False
    """The broker marked the account as a pattern day trader's."""

    pdt_rejected: bool = False
    """The broker refused an order as a potential pattern day trade: the count is enforced here."""

    broker_day_trades_remaining: int | None = None
    """The broker's own number; -1 unlimited, None not reported."""

    broker_day_trades_ahead: tuple[int | None, ...] = ()
    """The same for each of the next sessions, the next one first, if none is added; empty: not reported."""

    broker_summary_complete: bool | None = None
    """True when the broker reported all its values: then a missing day-trade number means that it does not count."""

    net_liquidation: Usd | None = None
    equity_with_loan: Usd | None = None
    maint_margin_req: Usd | None = None
    """Maintenance margin required now."""

    settled_cash: Usd | None = None
    net_cash: Usd | None = None
    """Cash, unsettled included; negative is a debit."""

    working_open_orders_maint: Usd = Usd(ZERO)
    """Maintenance margin that other working opening orders will take."""

    look_ahead_excess_liquidity: Usd | None = None
    """Excess liquidity after the next change of margin rates, usually the overnight ones."""

    frozen_until: date | None = None
    """Last day of a 90-day freeze on new debits and shorts."""


class AccountSnapshot(Value, frozen=True, kw_only=True):
    """What the account was worth at one moment: without these values nothing is decided.

    Equity, cash and day trades left stand in ``AccountFacts``, too: there as the rules of day trading read them, here
    for all others, and always. The state and the journal hold both, so their fields stay as they are.
    """

    equity: Usd
    """Net liquidation value."""

    cash: Usd
    """Cash of every currency, in that of the account."""

    buying_power: Usd
    taken_at: datetime
    prior_close_equity: Usd | None = None
    """Equity at the previous session's close; None when the broker did not say."""

    is_simulated: bool = False
    broker_day_trades_remaining: int | None = None
    """The broker's own number; -1 unlimited, None not reported."""

    name: str = ""
    """The broker's id of the account, masked; empty for a simulated one."""

    balances: dict[str, Decimal] = {}
    """Cash by currency; empty where the broker did not say."""

    rates: dict[str, Decimal] = {}
    """Account currency for one unit of each of these currencies, as the broker counts."""

    facts: AccountFacts | None = None
    """What else the broker reported: type of account, margin, settled cash; ``facts_of`` puts both together."""


class CashFlow(Value, frozen=True, kw_only=True):
    """Money that was paid in or taken out."""

    amount: Usd
    """Negative when it was taken out."""

    equity_before: Usd
    equity_after: Usd
    reason: str = ""
    """What a person said; empty where the account's own values showed it."""


class MarginPreview(Value, frozen=True, kw_only=True):
    """The broker's answer to "what if this order were filled"; None where it gave no number."""

    equity_with_loan_after: Usd | None = None
    maint_margin_after: Usd | None = None
    init_margin_after: Usd | None = None
