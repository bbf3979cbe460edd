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
    if instrument.currency in MINOR_UNITS:
        whole, _ = MINOR_UNITS[instrument.currency]
        raise SecurityError(
            "ib_minor_currency",
            f"{instrument.key} has prices in hundredths of {whole}; Interactive Brokers quotes it in {whole}.",
            hint=f"Give the prices in {whole}, and currency: {whole}.",
        )
    match instrument.market_type:
        case MarketType.EQUITY:
            symbol = instrument.symbol.replace(".", " ")
            fields = {"secType": "STK", "symbol": symbol, "exchange": SMART, "currency": instrument.currency}
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
        "currency": instrument.currency,
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
