"""Checks of the account behind the port: paper unless everything says live, and never another than configured."""

from __future__ import annotations

from collections.abc import Sequence

from apex_cli.core.adapters.ib.ib_config import IbConfig
from apex_cli.core.errors import BrokerError, ConfigError, RefusedError
from apex_cli.core.redaction import MASK, Redactor

PAPER_PREFIX = "D"
"""Paper accounts begin with it: DU1234567 for one person, DF1234567 for an adviser."""


def masked(account: str) -> str:
    """Return *account* as it may be shown.

    >>> masked("DU1234567")
    'DU*****67'
    """
    shown = Redactor().text(account)
    return shown if shown != account else MASK


def is_paper(account: str) -> bool:
    """Return whether *account* is one for paper trading."""
    return account.startswith(PAPER_PREFIX)


def require_account(config: IbConfig) -> None:
    """Refuse a live connection whose account nobody named.

    Raises:
        ConfigError: ``broker.ib.account`` is missing.
    """
    if config.is_live and not config.account:
        raise ConfigError(
            "live_account_missing",
            "broker.ib.mode is live, but broker.ib.account names no account.",
            hint="Set APEX_BROKER__IB__ACCOUNT to the id of the account that may be traded.",
        )


def choose_account(config: IbConfig, managed: Sequence[str]) -> str:
    """Return the account to work with.

    Raises:
        ConfigError: it is not the configured one, or several and none is configured.
        RefusedError: a live account behind mode paper, or the other way round.
        BrokerError: the broker reported no account.
    """
    if not managed:
        raise BrokerError(
            "ib_no_account", f"{config.place} reported no account.", hint="Log in to TWS or IB Gateway again."
        )
    account = _configured(config, managed) if config.account else _only(config, managed)
    if is_paper(account) is config.is_live:
        found, wanted = ("paper", "live") if config.is_live else ("live", "paper")
        raise RefusedError(
            "ib_account_kind",
            f"broker.ib.mode is {wanted}, but {config.place} is logged in to {masked(account)}, a {found} account. "
            "Nothing was sent.",
            hint=f"Log in to the {wanted} account, or correct ib_port: 7497 and 4002 are usual for paper, 7496 and "
            "4001 for live.",
        )
    return account


def _configured(config: IbConfig, managed: Sequence[str]) -> str:
    if config.account is not None and config.account in managed:
        return config.account
    names = ", ".join(map(masked, managed))
    raise ConfigError(
        "ib_wrong_account",
        f"broker.ib.account is {masked(config.account or '')}, but {config.place} is logged in to {names}.",
        hint="Log in to the configured account, or correct broker.ib.account.",
    )


def _only(config: IbConfig, managed: Sequence[str]) -> str:
    if len(managed) == 1:
        return managed[0]
    names = ", ".join(map(masked, managed))
    raise ConfigError(
        "ib_several_accounts",
        f"{config.place} manages several accounts ({names}), and broker.ib.account names none.",
        hint="Set APEX_BROKER__IB__ACCOUNT to one of them.",
    )
