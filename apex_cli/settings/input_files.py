"""Settings of input files: the form and place of signals, prices and executions."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from apex_cli.core.model.base import Minutes, Range, Value
from apex_cli.core.model.option_rule import Days, Delta, OptionModel
from apex_cli.settings.spellings import Column, DateForm, DecimalSign, Zone


class StrictNames(StrEnum):
    """Which names of fields that no signal has are refused."""

    ON = "on"
    TYPOS = "typos"
    OFF = "off"


class SignalColumns(Value, frozen=True, kw_only=True):
    """Section ``signals.columns``: names of fields and columns in signal files; null: found out."""

    symbol: Column | None = None
    """Symbol."""

    signal_type: Column | None = None
    """Buy, long, sell or short."""

    entry_price: Column | None = None
    """Price of the entry."""

    stop_loss: Column | None = None
    """Price of the stop."""

    target_price: Column | None = None
    """Price of the target."""

    confidence: Column | None = None
    """Confidence, 0 to 1 or in percent."""

    strategy: Column | None = None
    """Strategy."""

    timestamp: Column | None = None
    """When the signal was made."""

    expires_at: Column | None = None
    """When it is over."""

    signal_id: Column | None = None
    """Id of the signal."""


class DefaultStop(Value, frozen=True, kw_only=True):
    """Section ``signals.default_stop``: a stop for signals that come without one; null: they are refused."""

    atr: Annotated[Decimal, Range(0, 100, above=True)] | None = None
    """Distance of the stop in average true ranges of the last 14 bars; needs prices.bars_dir."""

    pct: Annotated[Decimal, Range(0, 1, above=True)] | None = None
    """Distance of the stop as a part of the entry price: 0.05 is 5 %."""


class OptionDefault(Value, frozen=True, kw_only=True):
    """Section ``signals.option``: which contract a word such as LONG_CALL means that names none."""

    dte: Days | None = None
    """Calendar days to expiry, such as 30-45; null: what names no contract is refused."""

    delta: Delta | None = None
    """Delta, without its sign, that the strike should have: 0.40; null: the strike nearest to the price."""


class SignalSettings(Value, frozen=True, kw_only=True):
    """Section ``signals``: where signals come from."""

    inbox: Path | None = None
    """Folder whose files are read, then moved to processed or rejected."""

    files: tuple[Path, ...] = ()
    """Signal files read once a run and left where they are."""

    max_age_minutes: Minutes = 1440
    """How old a signal may be; one without expires_at expires this long after its timestamp."""

    processed_dir: Path | None = None
    """Where read inbox files go; null: processed inside the inbox."""

    rejected_dir: Path | None = None
    """Where inbox files without one good row go; null: rejected inside the inbox."""

    strict: StrictNames = StrictNames.TYPOS
    """Unknown fields that refuse a signal: on all, typos those near a known name, off none; others become metadata."""

    zone: Zone | None = None
    """Time zone of times that name none; null: such times are refused."""

    dates: DateForm | None = None
    """What 07/08/2026 means: mdy, dmy, or a form such as %d.%m.%Y; null: found out, or refused."""

    decimal: DecimalSign | None = None
    """Decimal sign in tables, "." or ","; null: found out, or refused."""

    columns: SignalColumns = SignalColumns()
    """Names of fields that are not known."""

    default_stop: DefaultStop = DefaultStop()
    """A stop by rule for signals that come without one; off while both are null."""

    option: OptionDefault = OptionDefault()
    """A rule that chooses the contract of LONG_CALL and the like that name none; off while dte is null."""


class PriceColumns(Value, frozen=True, kw_only=True):
    """Section ``prices.columns``: names of columns in price files; null: found out."""

    time: Column | None = None
    """Date, or date and time."""

    clock: Column | None = None
    """Time of day, where it has a column of its own."""

    open: Column | None = None
    """Price at the beginning of a bar."""

    high: Column | None = None
    """Highest price."""

    low: Column | None = None
    """Lowest price."""

    close: Column | None = None
    """Price at the end of a bar."""

    volume: Column | None = None
    """Units traded."""

    symbol: Column | None = None
    """Symbol, where one file holds several."""


class PriceSettings(Value, frozen=True, kw_only=True):
    """Section ``prices``: where simulated prices come from."""

    bars_dir: Path | None = None
    """Folder with one file per symbol, such as AAPL.csv; null: the signal's own entry price."""

    max_age_minutes: Minutes | None = None
    """A price older than this is no price; null: any age."""

    zone: Zone | None = None
    """Time zone of times in price files that name none; null: New York for stocks, UTC for coins, else refused."""

    dates: DateForm | None = None
    """What 07/08/2026 means in price files: mdy, dmy, or a form such as %d.%m.%Y; null: found out, or refused."""

    decimal: DecimalSign | None = None
    """Decimal sign in price files, "." or ","; null: found out, or refused."""

    columns: PriceColumns = PriceColumns()
    """Names of columns that are not known; a number in quotes counts columns from one."""

    options: OptionModel = OptionModel()
    """How options without bars of their own are priced: by Black and Scholes, as theoretical."""


class ExecutionColumns(Value, frozen=True, kw_only=True):
    """Section ``executions.columns``: names of columns in lists of trades; null: found out."""

    time: Column | None = None
    """When it was filled: date, or date and time."""

    clock: Column | None = None
    """Time of day, where it has a column of its own."""

    symbol: Column | None = None
    """Symbol."""

    side: Column | None = None
    """Bought or sold; the column of quantities again where their sign tells it."""

    quantity: Column | None = None
    """Units filled."""

    sec_type: Column | None = None
    """Kind of security."""

    exec_id: Column | None = None
    """Id of the execution."""

    order_id: Column | None = None
    """Id of the order."""

    account: Column | None = None
    """Account."""


class ExecutionFileSettings(Value, frozen=True, kw_only=True):
    """Section ``executions``: lists of trades that import-fills and pdt-status read."""

    zone: Zone | None = None
    """Time zone of times that name none; null: New York in lists of known brokers, refused in others."""

    dates: DateForm | None = None
    """What 07/08/2026 means: mdy, dmy, or a form such as %d.%m.%Y; null: found out, or refused."""

    decimal: DecimalSign | None = None
    """Decimal sign, "." or ","; null: found out, or refused."""

    columns: ExecutionColumns = ExecutionColumns()
    """Names of columns that are not known; a number in quotes counts columns from one."""

    flex_url: str = "https://ndcdyn.interactivebrokers.com/AccountManagement/FlexWebService"
    """Address of Interactive Brokers' Flex web service."""

    flex_patience_s: Annotated[int, Range(0, 3600)] = 120
    """How long to wait for a report that is still being made, in seconds."""
