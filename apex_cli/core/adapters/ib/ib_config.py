"""What the adapter needs to know, independent of where it is configured."""

from __future__ import annotations

from apex_cli.core.market.quiet_hours import QuietHours
from apex_cli.core.model.account import AccountType
from apex_cli.core.model.base import Value
from apex_cli.core.model.instrument import HOME_CURRENCY

CLIENT_IDS_TO_TRY = 8
"""Read-only connections take the first free id of so many."""


class IbConfig(Value, frozen=True, kw_only=True):
    """One connection to Trader Workstation or IB Gateway."""

    library: str = "ib_insync"
    host: str = "127.0.0.1"
    port: int = 7497
    client_id: int = 1
    read_only_offset: int = 100
    """Read-only connections use *client_id* plus this, and the next ones."""

    account: str | None = None
    is_live: bool = False
    """The configuration says that this is a live account."""

    account_type: AccountType | None = None
    connect_timeout_s: float = 15
    request_timeout_s: float = 15
    ack_timeout_s: float = 10
    heartbeat_s: float = 20
    reconnect_max_s: float = 60
    """Longest pause between two attempts to connect again."""

    quote_timeout_s: float = 4
    market_data_type: int = 4
    """1 live, 2 frozen, 3 delayed, 4 delayed and frozen: what to fall back to where there is no better."""

    outside_rth: bool = False
    trigger_method: int = 0
    """Which prices trigger a stop, by the protocol's number; 0 leaves it to the broker."""

    currency: str = HOME_CURRENCY
    """What amounts are counted in; the account may be kept in another."""

    quiet_hours: tuple[QuietHours, ...] = ()

    @property
    def place(self) -> str:
        """Where it listens, for people."""
        return f"{self.host}:{self.port}"
