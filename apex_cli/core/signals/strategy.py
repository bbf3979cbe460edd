"""A strategy as its author writes it: a function that is shown the bars so far, and what it proposes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, cast

from apex_cli.core.errors import ConfigError, InputError, missing_extra
from apex_cli.core.model.base import Value
from apex_cli.core.model.market import Bar
from apex_cli.core.model.row_table import Records
from apex_cli.core.positions.position_views import PositionView

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from apex_cli.core.analysis.indicators import Indicators

    Floats: TypeAlias = NDArray[np.float64]

Number: TypeAlias = Decimal | float | int | str
"""A number; a float, and what was divided, is rounded to eight places."""

FLOAT_PLACES = 8


class Signal(Value, frozen=True, kw_only=True):
    """What a strategy proposes. The fields are those of a signal file, and are judged as such a row is."""

    symbol: str
    """Ticker, pair or option contract, in any spelling that ``apex help signals`` names."""

    signal_type: str = "BUY"
    """BUY, LONG, LONG_CALL, LONG_PUT buy; SELL, SHORT, SHORT_CALL, SHORT_PUT sell."""

    entry_price: Number
    stop_loss: Number | None = None
    """None: the rule of ``signals.default_stop`` makes one, or the signal is refused."""

    target_prices: Sequence[Number] = ()
    """One or several; the quantity is split over them."""

    market_type: str = ""
    """equity, options, crypto, forex; empty: as the symbol says."""

    confidence: Number | None = None
    """0 to 1."""

    strategy: str = ""
    """Empty: the name of the strategy that returns it."""

    source: str = ""
    timestamp: datetime | None = None
    """When it was seen, aware; None: the end of the bar, or now."""

    expires_at: datetime | None = None
    """None: after three bars, after a daily bar at the close of the next session."""

    signal_id: str = ""
    """Never acted on twice. Empty: made of strategy, symbol, bar and type, or of the content."""

    metadata: Mapping[str, Any] = {}
    """Facts of your own; kept and shown."""

    option: Mapping[str, Any] | None = None
    """A rule that chooses the contract, such as ``{"dte": "30-45", "delta": 0.4}``."""

    expiry: str = ""
    """Of an option, YYYY-MM-DD, as *strike* and *right*, where the symbol does not name the contract."""

    strike: Number | None = None
    right: str = ""
    multiplier: Number | None = None
    trading_class: str = ""
    currency: str = ""
    """Where a ticker names several stocks, as *exchange* and *primary_exchange*."""

    exchange: str = ""
    primary_exchange: str = ""
    con_id: int | None = None
    """Interactive Brokers' number of the contract; it decides alone."""

    def row(self) -> dict[str, Any]:
        """Return what a signal file would hold: what is not given is left out."""
        given = {name: getattr(self, name) for name in self.__struct_fields__}
        return {name: plain_value(value) for name, value in given.items() if not _is_absent(value)}


def _is_absent(value: object) -> bool:
    return value is None or (isinstance(value, str | list | tuple | Mapping) and not value)


def plain_value(value: Any) -> Any:  # noqa: ANN401 - anybody's value
    """Return *value* without types of numpy or pandas; rounded, so that noise of arithmetic is no price."""
    value = value.tolist() if hasattr(value, "tolist") and not isinstance(value, float) else value
    if isinstance(value, float):
        number = float(value)
        return Decimal(repr(round(number, FLOAT_PLACES))) if number == number else number  # noqa: PLR0124 - NaN
    if isinstance(value, Decimal) and value.is_finite():
        return round(value, FLOAT_PLACES) if -int(value.as_tuple().exponent) > FLOAT_PLACES else value
    if isinstance(value, Mapping):
        return {str(key): plain_value(item) for key, item in value.items()}
    return [plain_value(item) for item in value] if isinstance(value, list | tuple) else value


class Context:
    """What a strategy is shown at the end of one bar of one symbol; nothing in it is later than that.

    Bars come as records (exact prices) and as arrays of floats; arrays are made when they are first asked for.
    """

    __slots__ = ("_bars", "_columns", "_indicators", "parameters", "position", "symbol")

    def __init__(
        self,
        symbol: str,
        bars: Sequence[Bar],
        *,
        position: PositionView | None = None,
        parameters: Mapping[str, int | float] | None = None,
    ) -> None:
        """Show *bars* of *symbol*, oldest first, at least one; the last one has just ended."""
        self.symbol = symbol
        self.position = position
        self.parameters: Mapping[str, int | float] = parameters or {}
        self._bars = bars
        self._columns: Any = None
        self._indicators: Indicators | None = None

    @property
    def now(self) -> datetime:
        """The end of the bar, aware UTC."""
        return self._bars[-1].end

    @property
    def bar(self) -> Bar:
        """The bar that has just ended."""
        return self._bars[-1]

    @property
    def bars(self) -> Records[Bar]:
        """The bars so far, oldest first, ``pipeline.history_bars`` at the most."""
        return Records(Bar, self._bars)

    @property
    def open(self) -> Floats:
        """Opens of the bars so far."""
        return self._column(0)

    @property
    def high(self) -> Floats:
        """Highs of the bars so far."""
        return self._column(1)

    @property
    def low(self) -> Floats:
        """Lows of the bars so far."""
        return self._column(2)

    @property
    def close(self) -> Floats:
        """Closes of the bars so far."""
        return self._column(3)

    @property
    def volume(self) -> Floats:
        """Volumes of the bars so far."""
        return self._column(4)

    @property
    def ends(self) -> NDArray[np.datetime64]:
        """Ends of the bars so far, UTC."""
        return self._floats()[0].astype("datetime64[s]")

    @property
    def indicators(self) -> Indicators:
        """The indicators that the scanners of apex read, an array each, each computed when it is first asked for.

        Raises:
            ConfigError: TA-Lib is not installed.
        """
        if self._indicators is None:
            try:
                from apex_cli.core.analysis.frame import Frame  # noqa: PLC0415 - an extra
                from apex_cli.core.analysis.indicators import LazyIndicators  # noqa: PLC0415 - an extra
            except ImportError as error:
                raise _missing(error) from None
            ends, (opens, highs, lows, closes, volumes) = self._floats()
            frame = Frame(symbol=self.symbol, ends=ends, open=opens, high=highs, low=lows, close=closes, volume=volumes)
            self._indicators = cast("Indicators", LazyIndicators(frame))
        return self._indicators

    def _column(self, number: int) -> Floats:
        column: Floats = self._floats()[1][number]
        return column

    def _floats(self) -> tuple[NDArray[np.int64], Floats]:
        if self._columns is None:
            try:
                from apex_cli.core.analysis.frame import columns_of  # noqa: PLC0415 - an extra
            except ImportError as error:
                raise _missing(error) from None
            self._columns = columns_of(self._bars)
        columns: tuple[NDArray[np.int64], Floats] = self._columns
        return columns


def has_arrays(ctx: Context) -> bool:
    """Return whether the arrays of *ctx* were asked for, or given."""
    return ctx._columns is not None  # noqa: SLF001 - of this module


def give_arrays(ctx: Context, columns: tuple[NDArray[np.int64], Floats] | None) -> None:
    """Let *ctx* have its arrays from the beginning: ends in seconds since 1970, and a row each of the five numbers."""
    ctx._columns = columns  # noqa: SLF001 - of this module


def _missing(error: ImportError) -> ConfigError:
    return missing_extra("ta", f"Arrays and indicators need {error.name}.")


OnBar: TypeAlias = Callable[[Context], Signal | None]


class HasOnBar(Protocol):
    """A strategy with memory of its own."""

    def on_bar(self, ctx: Context) -> Signal | None:
        """Return what to propose at the end of the bar of *ctx*, None for nothing."""


Strategy: TypeAlias = OnBar | HasOnBar | type[HasOnBar]
"""A function of a ``Context``; or an object, or a class without arguments, with such a method ``on_bar``."""


def strategy_parts(strategy: Strategy) -> tuple[str, OnBar]:
    """Return the name of *strategy* and the function to call; a class is made.

    Its ``name`` counts where it has one; else the name of the class, of the function, or, where that is ``on_bar``, of
    its module.

    Raises:
        InputError: it is none.
    """
    made = strategy() if isinstance(strategy, type) else strategy
    on_bar = getattr(made, "on_bar", made)
    if not callable(on_bar):
        raise InputError(
            "strategy_invalid",
            f"{type(made).__name__} is no strategy.",
            hint="Write def on_bar(ctx), or a class with such a method.",
        )
    return _name_of(made), on_bar


def _name_of(made: object) -> str:
    named = getattr(made, "name", None)
    if isinstance(named, str) and named:
        return named
    name: str = getattr(made, "__name__", "") or type(made).__name__
    return _module_name(getattr(made, "__module__", "")) or name if name == "on_bar" else name


def _module_name(module: str) -> str:
    """Return the last part of a module's name; of the program that runs, that of its file."""
    if module != "__main__":
        return module.rpartition(".")[2]
    return Path(getattr(sys.modules.get(module), "__file__", None) or "").stem
