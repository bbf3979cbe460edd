"""The account's values as the broker reports them, as text by tag and currency, made into numbers."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

from apex_cli.core.adapters.ib.numbers import to_decimal
from apex_cli.core.adapters.ib.shapes import IbAccountValue
from apex_cli.core.errors import BrokerError
from apex_cli.core.model.account import AccountFacts, AccountSnapshot, AccountType
from apex_cli.core.model.currency import MINOR_UNITS
from apex_cli.core.model.instrument import HOME_CURRENCY
from apex_cli.core.model.money import Usd

SESSIONS_AHEAD = 4
NEEDED = ("NetLiquidation", "TotalCashValue", "BuyingPower")


class AccountValues:
    """One reading of all values of one account."""

    def __init__(self, values: Iterable[IbAccountValue], account: str, currency: str = HOME_CURRENCY) -> None:
        """Take the values of *account*, those of no model; amounts are given in *currency*."""
        self.currency = currency
        self._texts = {(v.tag, v.currency): v.value for v in values if v.account == account and not v.modelCode}
        reported = (currency for tag, currency in self._texts if tag == "NetLiquidation" and currency)
        self.base_currency = next(reported, currency)

    def text(self, tag: str) -> str | None:
        """Return the text of *tag* in any currency, None when it is not reported."""
        found = (text for (name, _), text in self._texts.items() if name == tag)
        return next(found, None)

    def amount(self, tag: str) -> Usd | None:
        """Return an amount in *currency*; one in the account's own currency goes by the broker's rate.

        Raises:
            BrokerError: the account is kept in another currency, and no rate is reported.
        """
        for currency in (self.currency, self.base_currency, "BASE", ""):
            amount = to_decimal(self._texts.get((tag, currency)))
            if amount is not None:
                return Usd(amount if currency == self.currency else amount / self.own_rate())
        return None

    def count(self, tag: str) -> int | None:
        """Return a whole number, None when it is not reported or no number."""
        number = to_decimal(self.text(tag))
        return int(number) if number is not None and number == number.to_integral_value() else None

    def own_rate(self) -> Decimal:
        """Return units of the account's own currency for one of *currency*.

        Raises:
            BrokerError: no rate is reported.
        """
        if self.base_currency == self.currency:
            return Decimal(1)
        rate = to_decimal(self._texts.get(("ExchangeRate", self.currency)))
        if rate is None or rate <= 0:
            raise BrokerError(
                "ib_no_exchange_rate",
                f"The account is kept in {self.base_currency}, and the broker reports no rate for {self.currency}.",
                hint=f"Set currency.base: {self.base_currency}, or hold some {self.currency} in the account.",
            )
        return rate

    def rates(self) -> dict[str, Decimal]:
        """Return what one unit of each currency that the broker reports a rate of is worth in *currency*."""
        found = {name: to_decimal(text) for (tag, name), text in self._texts.items() if tag == "ExchangeRate"}
        own = Decimal(1) if self.base_currency == self.currency else found.get(self.currency)
        if not own or own <= 0:
            return {}
        rates = {name: rate / own for name, rate in found.items() if rate and rate > 0 and name.isalpha()}
        whole = {self.currency: Decimal(1), **rates}
        minor = {name: whole[major] / parts for name, (major, parts) in MINOR_UNITS.items() if major in whole}
        return rates | minor

    def balances(self) -> dict[str, Decimal]:
        """Return the cash of every currency."""
        found = {name: to_decimal(text) for (tag, name), text in self._texts.items() if tag == "CashBalance"}
        return {name: amount for name, amount in found.items() if amount is not None and name not in {"", "BASE"}}

    @property
    def is_ready(self) -> bool:
        """False while the broker's server is being reset: then its numbers are not to be relied on."""
        return (self.text("AccountReady") or "true").lower() != "false"

    @property
    def missing(self) -> tuple[str, ...]:
        """What a decision needs and was not reported."""
        return tuple(tag for tag in NEEDED if self.amount(tag) is None)

    @property
    def is_complete(self) -> bool:
        """True when the broker reported all it keeps: then a missing day-trade number means that it does not count."""
        return self.is_ready and not self.missing and self.text("AccountType") is not None


def account_snapshot(
    values: AccountValues, now: datetime, *, account_type: AccountType | None, pdt_rejected: bool
) -> AccountSnapshot:
    """Return what the account is worth.

    Raises:
        BrokerError: a needed value is missing, or the server is being reset.
    """
    if not values.is_ready:
        raise BrokerError(
            "ib_account_not_ready", "The broker's account server is being reset: its numbers do not count now."
        )
    equity, cash, buying_power = map(values.amount, NEEDED)
    if equity is None or cash is None or buying_power is None:
        raise BrokerError(
            "ib_account_incomplete",
            f"The broker did not report {', '.join(values.missing)} of the account.",
            hint="Wait a moment; if it stays so, restart TWS or IB Gateway.",
        )
    remaining = values.count("DayTradesRemaining")
    return AccountSnapshot(
        equity=equity,
        cash=cash,
        buying_power=buying_power,
        taken_at=now,
        balances=values.balances(),
        rates=values.rates(),
        prior_close_equity=values.amount("PreviousDayEquityWithLoanValue"),
        broker_day_trades_remaining=remaining,
        facts=AccountFacts(
            account_type=account_type or _type_of(values),
            equity_prev_close=values.amount("PreviousDayEquityWithLoanValue"),
            equity_now=equity,
            pdt_rejected=pdt_rejected,
            broker_day_trades_remaining=remaining,
            broker_day_trades_ahead=_ahead(values),
            broker_summary_complete=values.is_complete,
            net_liquidation=equity,
            equity_with_loan=values.amount("EquityWithLoanValue"),
            maint_margin_req=values.amount("MaintMarginReq"),
            settled_cash=values.amount("SettledCash"),
            net_cash=cash,
            look_ahead_excess_liquidity=values.amount("LookAheadExcessLiquidity"),
        ),
    )


def _ahead(values: AccountValues) -> tuple[int | None, ...]:
    """Return the day trades left on each of the next sessions; empty when none is reported."""
    reported = tuple(values.count(f"DayTradesRemainingT+{number}") for number in range(1, SESSIONS_AHEAD + 1))
    return () if all(each is None for each in reported) else reported


def _type_of(values: AccountValues) -> AccountType | None:
    """Return how the account borrows where the broker says so; ``AccountType`` only says who owns it."""
    trading = (values.text("TradingType-S") or "").upper()
    if "CASH" in trading:
        return AccountType.CASH
    if "PMRGN" in trading:
        return AccountType.PORTFOLIO
    return AccountType.MARGIN if "MRGN" in trading else None
