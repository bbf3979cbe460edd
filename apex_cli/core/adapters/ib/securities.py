"""Instruments as contracts and back: stocks, options, currency pairs, crypto."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from apex_cli.core.adapters.ib.numbers import to_decimal
from apex_cli.core.adapters.ib.shapes import IbContract
from apex_cli.core.errors import SecurityError
from apex_cli.core.model.currency import MINOR_UNITS
from apex_cli.core.model.instrument import Instrument, MarketType, OptionRight, make_instrument
from apex_cli.core.model.money import Price
from apex_cli.core.model.spelling import identifying_class, identifying_exchange

SMART, FOREX_EXCHANGE, CRYPTO_EXCHANGE = "SMART", "IDEALPRO", "PAXOS"
_EXPIRY_DIGITS = 8


def contract_fields(instrument: Instrument) -> dict[str, Any]:
    """Return the fields of the contract that names *instrument*.

    >>> contract_fields(make_instrument("BRK.B"))["symbol"]
    'BRK B'

    Raises:
        SecurityError: an option without expiry, strike or right: nothing can be ordered by that name.
    """
    match instrument.market_type:
        case MarketType.EQUITY:
            symbol = instrument.symbol.replace(".", " ")
            fields = {"secType": "STK", "symbol": symbol, "exchange": SMART, "currency": whole_currency(instrument)}
            is_place = instrument.exchange and not instrument.exchange.startswith("ID")
            return {**fields, "primaryExchange": instrument.exchange} if is_place else fields
        case MarketType.OPTIONS:
            return _option_fields(instrument)
        case MarketType.FOREX:
            base, quote = _pair(instrument)
            return {"secType": "CASH", "symbol": base, "exchange": FOREX_EXCHANGE, "currency": quote}
        case MarketType.CRYPTO:
            base, quote = _pair(instrument)
            return {"secType": "CRYPTO", "symbol": base, "exchange": CRYPTO_EXCHANGE, "currency": quote}


def whole_currency(instrument: Instrument) -> str:
    """Return the currency that the broker's contract names: GBP for a stock in pence."""
    return MINOR_UNITS.get(instrument.currency, (instrument.currency,))[0]


def parts_of_unit(instrument: Instrument) -> Decimal:
    """Return how many units of the prices of *instrument* make one of its contract's currency: 100 for pence, else 1.

    The broker calls it the price magnifier: quotes, orders and executions are in the smaller unit, mean costs and
    price steps in the currency. It differs from one listing in London to the next.

    Source:
        IB, TWS API, ContractDetails.priceMagnifier; github.com/bankroll-py/bankroll/issues/31 (quotes in pence, costs
        in pounds), github.com/ib-api-reloaded/ib_async/issues/55 (steps).
    """
    return MINOR_UNITS[instrument.currency][1] if instrument.currency in MINOR_UNITS else Decimal(1)


def require_units(instrument: Instrument, magnifier: int) -> None:
    """Refuse prices in another unit than that of the broker's own prices, which *magnifier* says.

    Raises:
        SecurityError: the broker quotes the security in pounds, and *instrument* is in pence, or the other way round.
    """
    found = Decimal(magnifier or 1)
    if found == parts_of_unit(instrument):
        return
    whole = whole_currency(instrument)
    small = next((code for code, (name, parts) in MINOR_UNITS.items() if name == whole and parts == found), "")
    unit = whole if found == 1 else small or f"1/{found:f} of {whole}"
    way = f"Give its prices as the broker shows them, in {unit}, and currency: {unit}." if found == 1 or small else ""
    raise SecurityError(
        "ib_price_unit",
        f"The broker quotes {instrument.symbol} in {unit}, and {instrument.key} has its prices in "
        f"{instrument.currency}; nothing was sent.",
        hint=way or "Trade it in the broker's own program.",
    )


def _option_fields(instrument: Instrument) -> dict[str, Any]:
    if instrument.expiry is None or instrument.strike is None or instrument.right is None:
        raise SecurityError(
            "ib_option_incomplete",
            f"{instrument.key} names no single option: expiry, strike and right are needed.",
            hint="Give the signal the fields expiry (YYYY-MM-DD), strike and right (CALL or PUT).",
        )
    return {
        "secType": "OPT",
        "symbol": instrument.symbol.replace(".", " "),
        "lastTradeDateOrContractMonth": instrument.expiry.replace("-", ""),
        "strike": float(instrument.strike),
        "right": str(instrument.right),
        "multiplier": f"{instrument.multiplier:f}",
        "exchange": SMART,
        "currency": whole_currency(instrument),
        **({"tradingClass": instrument.trading_class} if instrument.trading_class else {}),
    }


def _pair(instrument: Instrument) -> tuple[str, str]:
    """Return base and quote currency of ``EUR.USD``, ``BTC-USD``, ``EUR/USD`` or ``EURUSD``."""
    symbol = instrument.symbol
    for mark in ".-/":
        base, found, quote = symbol.partition(mark)
        if found:
            return base, quote
    if len(symbol) == 6:  # noqa: PLR2004 - two currency codes of three letters
        return symbol[:3], symbol[3:]
    return symbol, instrument.currency


def instrument_of(contract: IbContract) -> Instrument:
    """Return what *contract* names; kinds apex does not trade get a name that no signal can have: ``ESZ6.FUT``."""
    symbol = contract.symbol.replace(" ", ".")
    match contract.secType:
        case "STK":
            made = make_instrument(symbol)
        case "OPT":
            made = _option_of(contract, symbol)
        case "CASH":
            made = make_instrument(f"{symbol}.{contract.currency}", MarketType.FOREX)
        case "CRYPTO":
            made = make_instrument(f"{symbol}-{contract.currency}", MarketType.CRYPTO)
        case other:
            name = (contract.localSymbol or contract.symbol).replace(" ", "")
            made = make_instrument(f"{name}.{other}")
    currency = contract.currency or made.currency
    if made.market_type is MarketType.OPTIONS:
        made = replace(made, currency=currency, trading_class=identifying_class(contract.tradingClass, made.symbol))
    elif contract.secType == "STK":
        made = replace(made, currency=currency, exchange=identifying_exchange(contract.primaryExchange, currency))
    return replace(made, con_id=contract.conId)


def _option_of(contract: IbContract, symbol: str) -> Instrument:
    day = contract.lastTradeDateOrContractMonth[:_EXPIRY_DIGITS]
    right = {"C": OptionRight.CALL, "CALL": OptionRight.CALL, "P": OptionRight.PUT, "PUT": OptionRight.PUT}
    strike = to_decimal(contract.strike)
    made = make_instrument(
        symbol,
        MarketType.OPTIONS,
        expiry=f"{day[:4]}-{day[4:6]}-{day[6:]}" if len(day) == _EXPIRY_DIGITS else day or None,
        strike=None if strike is None else Price(strike),
        right=right.get(contract.right.upper()),
    )
    multiplier = to_decimal(contract.multiplier) or Decimal(100)
    if multiplier == made.multiplier:
        return made
    return replace(made, multiplier=multiplier)
