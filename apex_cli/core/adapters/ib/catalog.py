"""What the broker knows of securities: the exact contract, and the price steps that hold at each price."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from apex_cli.core.adapters.ib.link import Link
from apex_cli.core.adapters.ib.numbers import to_decimal
from apex_cli.core.adapters.ib.securities import SMART, contract_fields, instrument_of, parts_of_unit, require_units
from apex_cli.core.adapters.ib.security_register import SecurityRegister
from apex_cli.core.errors import BrokerError, SecurityError
from apex_cli.core.market.ticks import to_tick
from apex_cli.core.model.base import Value
from apex_cli.core.model.currency import MINOR_UNITS
from apex_cli.core.model.instrument import CONTRACT_SIZE, STOCK_STEPS, Instrument, MarketType, PriceStep
from apex_cli.core.model.money import Price, ceil_to_step
from apex_cli.core.model.option_rule import OptionChain
from apex_cli.core.model.order import Order
from apex_cli.core.model.spelling import identifying_class

Band = PriceStep


class Listing(Value, frozen=True, kw_only=True):
    """One security as the broker lists it."""

    bands: tuple[Band, ...]
    """By rising *low*; the first begins at 0."""

    def step_at(self, price: Decimal) -> Decimal:
        """Return the price step of an order at *price*: the order's own price decides, not the market's."""
        fitting = [band.step for band in self.bands if band.low <= price]
        return fitting[-1] if fitting else self.bands[0].step


def rounded(order: Order, listing: Listing) -> Order:
    """Return *order* with its prices on the steps that hold at each of them.

    A purchase rounds down and a sale up, as ``to_tick`` says; the distance of a trailing stop grows to a whole step.
    """

    def fit(price: Price | None) -> Price | None:
        return None if price is None else to_tick(price, listing.step_at(price), order.side)

    trail = order.trail_amount
    if trail is not None:
        trail = Price(ceil_to_step(trail, listing.step_at(order.stop_price or order.reference_price or trail)))
    return replace(order, limit_price=fit(order.limit_price), stop_price=fit(order.stop_price), trail_amount=trail)


CONTRACT_TERMS = ("symbol", "currency", "lastTradeDateOrContractMonth", "strike", "right", "multiplier")
DECIDING = {
    "currency": "currency",
    "primary_exchange": "primaryExchange",
    "trading_class": "tradingClass",
    "multiplier": "multiplier",
}
"""Fields of a signal that distinguish candidates, with the broker's names."""

MOST_CANDIDATES = 5


class Catalog:
    """Asks once for each security and remembers."""

    def __init__(self, link: Link, register: SecurityRegister | None) -> None:
        """Ask over *link*; *register* says which security of ours a contract is."""
        self._link = link
        self._register = register or SecurityRegister()
        self._details: dict[str, Any] = {}
        self._rules: dict[int, tuple[Band, ...]] = {}

    async def contract(self, instrument: Instrument) -> Any:  # noqa: ANN401 - either library's contract
        """Return the contract with the broker's own number.

        Raises:
            SecurityError: unknown, or several securities go by that name.
            BrokerError: the broker does not answer.
        """
        listed = (await self._detail(instrument)).contract
        fields = contract_fields(instrument)
        return self._link.library.Contract.create(
            **{name: getattr(listed, name) for name in CONTRACT_TERMS if name in fields}
            | {
                "secType": fields["secType"],
                "exchange": fields["exchange"],
            },
            conId=listed.conId,
            localSymbol=listed.localSymbol,
            tradingClass=listed.tradingClass,
            primaryExchange=listed.primaryExchange,
        )

    async def identify(self, instrument: Instrument) -> Instrument:
        """Return *instrument* as the broker lists it: under its number, with its class and its price steps.

        Raises:
            SecurityError: unknown, several of that name, or the number is another security's; or a coin that the
                broker holds no stop for.
            BrokerError: the broker does not answer.
        """
        bands = (await self.listing(instrument)).bands
        _require_stops(instrument, await self._detail(instrument))
        listed = instrument_of((await self._detail(instrument)).contract)
        reported = replace(
            listed,
            currency=instrument.currency if instrument.currency in MINOR_UNITS else listed.currency,
            price_steps=() if bands == STOCK_STEPS and instrument.market_type is MarketType.EQUITY else bands,
        )
        found = self._register.ours(reported)
        if found.currency != reported.currency:
            self._register.bind_to_unit(reported)
            found = self._register.ours(reported)
        if instrument.symbol not in {reported.symbol, found.symbol}:
            raise SecurityError(
                "ib_number_of_another",
                f"con_id {reported.con_id} is {reported.key}, not {instrument.key}; nothing was sent.",
                hint="Correct con_id or symbol.",
            )
        if found.currency != reported.currency:
            raise SecurityError(
                "ib_price_unit",
                f"The broker quotes {instrument.symbol} in {reported.currency}, and {found.key} is held or on order; "
                "nothing was sent.",
                hint=f"Close {found.key!r} first: it is one security with {reported.key}.",
            )
        return found

    async def chain(self, underlying: Instrument) -> OptionChain:
        """Return the options on *underlying*, those of its own class before others.

        Raises:
            SecurityError: unknown, or there are no options on it.
            BrokerError: the broker does not answer.
        """
        listed = (await self._detail(underlying)).contract
        link = self._link
        found = await link.ask(
            f"the options on {underlying.key}",
            lambda: link.ib.reqSecDefOptParamsAsync(listed.symbol, "", listed.secType, listed.conId),
        )
        if not found:
            raise SecurityError(
                "ib_no_options",
                f"The broker lists no options on {underlying.key}; nothing was sent.",
                hint="Trade the underlying, or name a contract.",
            )
        best = min(
            found, key=lambda each: (each.exchange != SMART, each.tradingClass != listed.symbol, each.tradingClass)
        )
        strikes = (to_decimal(strike) for strike in best.strikes)
        return OptionChain(
            underlying=underlying,
            expiries=tuple(sorted(f"{day[:4]}-{day[4:6]}-{day[6:8]}" for day in best.expirations)),
            strikes=tuple(sorted(Price(strike) for strike in strikes if strike)),
            trading_class=identifying_class(best.tradingClass, underlying.symbol),
            multiplier=to_decimal(best.multiplier) or CONTRACT_SIZE,
        )

    async def listing(self, instrument: Instrument) -> Listing:
        """Return the price steps of *instrument* on the exchange its orders go to.

        Raises:
            SecurityError: unknown, or the broker's prices are in another unit.
            BrokerError: the broker does not answer.
        """
        detail = await self._detail(instrument)
        require_units(instrument, detail.priceMagnifier)
        parts = parts_of_unit(instrument)
        smallest = to_decimal(detail.minTick) or instrument.tick_size / parts
        rule = _rule_of(detail, contract_fields(instrument)["exchange"])
        bands = (await self._bands(rule) if rule is not None else ()) or (Band(low=Decimal(0), step=smallest),)
        if parts == 1:
            return Listing(bands=bands)
        return Listing(bands=tuple(Band(low=band.low * parts, step=band.step * parts) for band in bands))

    async def quoted(self, instrument: Instrument) -> Any:  # noqa: ANN401 - either library's contract
        """Return the contract of a security whose prices are wanted.

        Raises:
            SecurityError: unknown, or the broker's prices are in another unit.
            BrokerError: the broker does not answer.
        """
        require_units(instrument, (await self._detail(instrument)).priceMagnifier)
        return await self.contract(instrument)

    async def _detail(self, instrument: Instrument) -> Any:  # noqa: ANN401 - either library's details
        name = f"{instrument.key} {instrument.con_id}"
        known = self._details.get(name)
        if known is not None:
            return known
        found: Sequence[Any] = ()
        for fields in self._questions(instrument):
            found = await self._ask(instrument, fields)
            if found:
                break
        self._details[name] = the_one(instrument, found)
        return self._details[name]

    def _questions(self, instrument: Instrument) -> Iterator[dict[str, Any]]:
        """Yield what to ask for, the surest first: the number, the usual name, and a class with its point."""
        fields = contract_fields(instrument)
        number = self._register.number_of(instrument)
        if number:
            yield {"secType": fields["secType"], "conId": number, "exchange": fields["exchange"]}
        if not instrument.con_id:
            yield fields
            if instrument.symbol != fields["symbol"] and instrument.market_type is MarketType.EQUITY:
                yield {**fields, "symbol": instrument.symbol}

    async def _ask(self, instrument: Instrument, fields: dict[str, Any]) -> Sequence[Any]:
        link = self._link
        wanted = link.library.Contract(**fields)
        try:
            return await link.ask(f"the contract of {instrument.key}", lambda: link.ib.reqContractDetailsAsync(wanted))
        except BrokerError as error:
            if error.details.get("ib_code") != 200:  # noqa: PLR2004 - the number of an unknown security
                raise
            return ()

    async def _bands(self, rule: int) -> tuple[Band, ...]:
        """Return the steps of one market rule; empty when it is not reported in time."""
        if rule not in self._rules:
            link = self._link
            try:
                steps = await link.ask("a market rule", lambda: link.ib.reqMarketRuleAsync(rule))
            except BrokerError:
                return ()
            if not steps:
                return ()
            self._rules[rule] = bands_of([(step.lowEdge, step.increment) for step in steps])
        return self._rules[rule]


def _require_stops(instrument: Instrument, detail: Any) -> None:  # noqa: ANN401 - either library's details
    """Refuse a coin whose venue takes no stop orders: what is bought there would have no protection.

    Interactive Brokers takes coins by market orders that are filled at once or cancelled, purchases of an amount of
    cash, and by limit orders of minutes; neither stops nor brackets rest there.

    Source:
        github.com/erdewit/ib_insync/issues/407, errors 10289 and 201 of the broker.
    """
    takes = [word for word in detail.orderTypes.split(",") if word]
    if instrument.market_type is not MarketType.CRYPTO or "STP" in takes:
        return
    raise SecurityError(
        "ib_no_stop",
        f"The broker takes no stop order for {instrument.key} (it lists {', '.join(takes) or 'no order type'}): what "
        "is bought there would have no protection. Market orders that end at once, amounts of cash and limits of "
        "minutes are not supported here. Nothing was sent.",
        hint="Trade coins in simulation, or rehearse them on apex gateway.",
    )


def bands_of(steps: Sequence[tuple[float, float]]) -> tuple[Band, ...]:
    """Return bands of (low edge, increment) pairs; pairs without a positive increment are left out."""
    bands = [
        Band(low=low, step=step)
        for edge, increment in steps
        if (low := to_decimal(edge)) is not None and (step := to_decimal(increment)) is not None and step > 0
    ]
    return tuple(sorted(bands, key=lambda band: band.low))


def _rule_of(detail: Any, exchange: str) -> int | None:  # noqa: ANN401 - either library's details
    """Return the market rule at the position that *exchange* has among the valid exchanges."""
    exchanges, rules = detail.validExchanges.split(","), detail.marketRuleIds.split(",")
    by_exchange = dict(zip(exchanges, rules, strict=False))
    text = by_exchange.get(exchange) or (rules[0] if len(set(rules)) == 1 else "")
    return int(text) if text.isdigit() else None


def the_one(instrument: Instrument, found: Sequence[Any]) -> Any:  # noqa: ANN401 - either library's details
    """Return the one security among *found*.

    Raises:
        SecurityError: there is none, or several: the message lists them, the hint names the fields that decide.
    """
    distinct = {detail.contract.conId: detail for detail in found}
    if len(distinct) == 1:
        return next(iter(distinct.values()))
    if not distinct:
        raise SecurityError(
            "ib_unknown_security",
            f"The broker knows no {instrument.key} ({instrument.market_type}); nothing was sent.",
            hint="Correct the symbol; the broker's own spelling is shown by TWS.",
        )
    contracts = [detail.contract for detail in distinct.values()]
    deciding = [name for name, answer in DECIDING.items() if len({getattr(c, answer) for c in contracts}) > 1] or [
        "con_id"
    ]
    candidates = "; ".join(
        ", ".join(
            [
                f"con_id {c.conId}",
                *(f"{name} {said}" for name, answer in DECIDING.items() if (said := getattr(c, answer))),
            ]
        )
        for c in contracts[:MOST_CANDIDATES]
    )
    raise SecurityError(
        "ib_ambiguous_security",
        f"The broker lists {len(distinct)} securities as {instrument.key}: {candidates}. Nothing was sent.",
        hint=f"Give the signal {' or '.join(dict.fromkeys((*deciding, 'con_id')))}.",
    )
