"""Numbers and texts as people read them: numbers with a unit and without noise, texts without hidden signs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import count

from apex_cli.core.model.instrument import HOME_CURRENCY, MarketType

_MOST_DECIMALS = Decimal("0.0001")
_UNITS = {
    MarketType.EQUITY: "share",
    MarketType.OPTIONS: "contract",
    MarketType.CRYPTO: "unit",
    MarketType.FOREX: "unit",
}


def shared_start(names: Iterable[str]) -> int:
    """Return how many letters all of *names* begin with in common.

    >>> shared_start(["01M8HT", "01M8KZ"]), shared_start([])
    (4, 0)
    """
    columns = list(zip(*names, strict=False))
    return next((place for place, letters in enumerate(columns) if len(set(letters)) > 1), len(columns))


def plain(value: Decimal) -> str:
    """Return *value* without exponent and trailing zeros.

    >>> plain(Decimal("1E+3")), plain(Decimal("0.0100"))
    ('1000', '0.01')
    """
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def decimals(value: Decimal, least: int = 2) -> str:
    """Return *value* with at least *least* and at most four decimals.

    >>> decimals(Decimal("1.4")), decimals(Decimal(1) / 3), decimals(Decimal("-0.00001"))
    ('1.40', '0.3333', '0.00')
    """
    return _padded(f"{_to_four_places(value):f}", least)


def _to_four_places(value: Decimal) -> Decimal:
    """Return *value* with four decimals; what rounds to nothing has no sign."""
    return value.quantize(_MOST_DECIMALS, ROUND_HALF_EVEN) or Decimal(0)


def _padded(text: str, least: int) -> str:
    """Return a number with as many decimals as it needs, and at least *least*."""
    whole, _, part = text.partition(".")
    part = part.rstrip("0").ljust(least, "0")
    return f"{whole}.{part}" if part else whole


def beside(value: Decimal, limit: Decimal, least: int = 2) -> str:
    """Return *value* with two decimals, or with as many as show on which side of *limit* it lies.

    >>> beside(Decimal("3.4595"), Decimal(2)), beside(Decimal("1.99996"), Decimal(2))
    ('3.46', '1.99996')
    """
    places = next(n for n in count(2) if round(value, n).compare(limit) == value.compare(limit))
    return _padded(f"{round(value, places):f}", least)


_CURRENCY: ContextVar[str] = ContextVar("account_currency", default=HOME_CURRENCY)


def account_currency() -> str:
    """Return the name of the account's currency, as texts show it."""
    return _CURRENCY.get()


def show_amounts_in(currency: str) -> None:
    """Let texts of this process name *currency* as that of the account from now on."""
    _CURRENCY.set(currency)


@contextmanager
def amounts_in(currency: str) -> Iterator[None]:
    """Let texts name *currency* as that of the account inside the block."""
    token = _CURRENCY.set(currency)
    try:
        yield
    finally:
        _CURRENCY.reset(token)


def money(value: Decimal) -> str:
    """Return an amount of account currency.

    >>> money(Decimal(150)), money(Decimal("-3000.5"))
    ('150.00 USD', '-3,000.50 USD')
    """
    return f"{_padded(f'{_to_four_places(value):,f}', 2)} {account_currency()}"


def price(value: Decimal) -> str:
    """Return a price with two decimals, or all it has.

    >>> price(Decimal("27.1")), price(Decimal("1.08345")), price(Decimal(700))
    ('27.10', '1.08345', '700.00')
    """
    whole, _, part = plain(value).partition(".")
    return f"{whole}.{part:0<2}"


def percent(fraction: Decimal) -> str:
    """Return a fraction in percent: with at most four decimals, from 100 % on with two.

    >>> percent(Decimal("0.025")), percent(Decimal("11.506457"))
    ('2.5 %', '1150.65 %')
    """
    value = fraction * 100
    return f"{decimals(value if abs(value) < 100 else value.quantize(Decimal('0.01')), least=0)} %"  # noqa: PLR2004


def percent_beside(fraction: Decimal, limit: Decimal) -> str:
    """Return a fraction in percent, with as many decimals as show on which side of *limit* it lies.

    >>> percent_beside(Decimal("0.000667"), Decimal("0.1")), percent_beside(Decimal("0.100004"), Decimal("0.1"))
    ('0.07 %', '10.0004 %')
    """
    return f"{beside(fraction * 100, limit * 100, least=0)} %"


def counted(count: int, noun: str) -> str:
    """Return *count* with its noun.

    >>> counted(1, "fill"), counted(1200, "fill"), counted(2, "entry")
    ('1 fill', '1,200 fills', '2 entries')
    """
    many = f"{noun[:-1]}ies" if noun.endswith("ry") else f"{noun}s"
    return f"{count:,} {noun if count == 1 else many}"


def units(quantity: Decimal, market_type: MarketType) -> str:
    """Return a quantity with what it counts.

    >>> units(Decimal(3), MarketType.EQUITY), units(Decimal(1), MarketType.OPTIONS)
    ('3 shares', '1 contract')
    """
    return f"{plain(quantity)} {_UNITS[market_type]}{'' if quantity == 1 else 's'}"


_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories of signs that are not seen and may act: control, format (directions, zero width), separators."""

_NO_LETTER = 0xFFFE
"""Codes that end like this, or one higher, are no characters; XML refuses them."""


def visible(text: str, keep: str = "") -> str:
    r"""Return *text* with each sign that is not seen as its JSON escape, but for those in *keep*.

    What others wrote (files, arguments, reasons, the broker) may hold signs that move the cursor, colour a terminal
    or turn the direction of reading. Inside JSON the result means the same text.

    >>> visible("AAPL\x1b[31m \u202eSELL")
    'AAPL\\u001b[31m \\u202eSELL'
    """
    seen = text
    for sign in keep:
        seen = seen.replace(sign, "")
    if seen.isprintable():
        return text
    for letter in {letter for letter in set(text) if letter not in keep and _is_hidden(letter)}:
        text = text.replace(letter, _escape(letter))
    return text


def _is_hidden(letter: str) -> bool:
    from unicodedata import category  # noqa: PLC0415 - few texts ever need it

    return category(letter) in _HIDDEN or ord(letter) & _NO_LETTER == _NO_LETTER


_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def _escape(letter: str) -> str:
    if letter in _SHORT:
        return _SHORT[letter]
    units = letter.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))
