"""Numbers and times as text: each kind is formatted in this one place."""

from __future__ import annotations

from datetime import datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any

from apex_cli.core.model.currency import Rate
from apex_cli.presenters.screen.blocks import Cell, Tone, bar

DASH = "–"


def number(quantity: Decimal) -> int | float:
    """Return a quantity as JSON number: whole where it is whole.

    >>> number(Decimal("3.0")), number(Decimal("0.25"))
    (3, 0.25)
    """
    return int(quantity) if quantity == quantity.to_integral_value() else float(quantity)


def rounded(value: Decimal, form: str) -> str:
    """Return *value* in *form*, without the minus sign where it rounds to nothing.

    ``z`` in a form does that, too, but from Python 3.13 on it imports the decimals that are written in Python.

    >>> rounded(Decimal("-0.001"), ",.2f"), rounded(Decimal("-0.001"), "+.2f"), rounded(Decimal("-1234.5"), ",.2f")
    ('0.00', '+0.00', '-1,234.50')
    """
    text = format(value, form)
    if text[0] == "-" and not text.strip("-0."):
        return ("+" if form[0] == "+" else "") + text[1:]
    return text


MOST_DECIMALS = 8
"""Prices of coins have so many; more of them come from a division."""


def exact(value: Decimal) -> str:
    """Return a decimal for scripts: as it is, with two decimals at least; what a division made is rounded.

    >>> exact(Decimal("26.5")), exact(Decimal("1.08345")), exact(Decimal(20)), exact(Decimal("-0.0"))
    ('26.50', '1.08345', '20.00', '0.00')
    >>> exact(Decimal(5) / 3), exact(Decimal(1) / 3000), exact(Decimal("0.0000012345"))
    ('1.666667', '0.000333333', '0.0000012345')
    """
    exponent = value.as_tuple().exponent
    places = -exponent if isinstance(exponent, int) else 0
    if places > MOST_DECIMALS:
        places = 6 if abs(value) >= SMALL else 5 - value.adjusted()
    whole, _, decimals = rounded(value, f".{max(2, places)}f").partition(".")
    return f"{whole}.{decimals.rstrip('0'):0<2}"


SMALL = Decimal("0.01")
"""Below it six digits are kept, however many decimals that takes."""


def units(quantity: Decimal) -> str:
    """Return a quantity for people.

    >>> units(Decimal("1000")), units(Decimal("0.2500"))
    ('1,000', '0.25')
    """
    text = f"{quantity:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def money(amount: Decimal) -> str:
    """Return an amount with cents.

    >>> money(Decimal("-1234.5"))
    '-1,234.50'
    """
    return rounded(amount, ",.2f")


def rate_text(rate: Rate) -> str:
    """Return a rate with its source and its age: ``1 EUR = 1.0800 USD (EUR.USD bars, 2026-11-18 15:59 ET)``."""
    if rate.is_own:
        amount = f"1 {rate.base} = {float(1 / rate.value):.6g} {rate.currency}"
    else:
        amount = f"1 {rate.currency} = {float(rate.value):.6g} {rate.base}"
    return f"{amount} ({rate.source}{f', {moment(rate.at)}' if rate.at else ''})"


def rate_data(rate: Rate | None) -> dict[str, Any] | None:
    """Return the stable names that scripts read; None where no rate is needed."""
    if rate is None:
        return None
    return {"value": rate.value, "currency": rate.currency, "base": rate.base, "source": rate.source, "at": rate.at}


def in_both(currency: str, quote_pnl: Decimal | None, rate: Rate | None) -> tuple[str, ...]:
    """Return a P&L in the currency of its prices with the rate; nothing where that is the account's own."""
    return () if quote_pnl is None or rate is None else (f"{signed(quote_pnl)} {currency} at {rate_text(rate)}",)


def signed(amount: Decimal) -> str:
    """Return an amount with its sign and cents; what rounds to nothing is never negative.

    >>> signed(Decimal("1234.5")), signed(Decimal("-0.001"))
    ('+1,234.50', '+0.00')
    """
    return rounded(amount, "+,.2f")


THEORETICAL_MARK = "*"
THEORETICAL_NOTE = "* theoretical, by a model"
"""What a marked price means."""


def marked(value: Decimal | None, *, is_theoretical: bool) -> str:
    """Return a price, with a mark where a model made it.

    >>> marked(Decimal("27.4"), is_theoretical=True)
    '27.40*'
    """
    return price(value) + (THEORETICAL_MARK if is_theoretical else "")


def price(value: Decimal | None) -> str:
    """Return a price with two decimals or up to six, below a cent with up to six digits; or a dash.

    >>> price(Decimal("27.4")), price(Decimal("1.08345")), price(Decimal("0.0000012345"))
    ('27.40', '1.08345', '0.0000012345')
    """
    if value is None:
        return DASH
    exponent = value.normalize().as_tuple().exponent
    most = 6 if abs(value) >= SMALL else 5 - value.adjusted()
    places = max(2, min(-exponent, most)) if isinstance(exponent, int) else 2
    return rounded(value, f",.{places}f")


def percent(fraction_in_percent: Decimal) -> str:
    """Return a percentage with its sign.

    >>> percent(Decimal("4.166"))
    '+4.17 %'
    """
    return f"{rounded(fraction_in_percent, '+.2f')} %"


def share(fraction: Decimal | float, places: int = 0) -> str:
    """Return a part of a whole, 0..1, in percent.

    >>> share(Decimal("0.5")), share(0.0568, 1)
    ('50 %', '5.7 %')
    """
    return f"{float(fraction) * 100:z.{places}f} %"


def ratio(value: Decimal | None) -> str:
    """Return a ratio such as reward:risk with two decimals, or a dash."""
    return DASH if value is None else rounded(value, ".2f")


def score_text(score: Decimal | None) -> str:
    """Return a score, 0..1, as a small bar and a number, or a dash.

    >>> score_text(Decimal("0.61"))
    '███░░ 0.61'
    """
    return DASH if score is None else f"{bar(float(score), 5)} {score:.2f}"


def r_multiple(value: Decimal | None) -> str:
    """Return an R-multiple with its sign, or a dash.

    >>> r_multiple(Decimal("1.5"))
    '+1.50 R'
    """
    return DASH if value is None else f"{rounded(value, '+.2f')} R"


def gain(amount: Decimal, text: str = "") -> Cell:
    """Return an amount with its sign, toned by it."""
    shown = text or signed(amount)
    return Cell(shown, Tone.GOOD if amount > 0 else Tone.BAD if amount < 0 else Tone.PLAIN)


def results_text(wins: int, losses: int, breakeven: int) -> str:
    """Return how closed trades ended.

    >>> results_text(2, 1, 0), results_text(0, 1, 1)
    ('2 won, 1 lost', '0 won, 1 lost, 1 breakeven')
    """
    return f"{wins} won, {losses} lost" + (f", {breakeven} breakeven" if breakeven else "")


def lasted(span: timedelta) -> str:
    """Return a time span in its largest unit.

    >>> lasted(timedelta(days=8, hours=3)), lasted(timedelta(hours=5)), lasted(timedelta(seconds=90))
    ('8 d', '5 h', '1 min')
    """
    minutes = int(span.total_seconds()) // 60
    return f"{span.days} d" if span.days else f"{minutes // 60} h" if minutes >= 60 else f"{minutes} min"  # noqa: PLR2004 - an hour


def _new_york() -> tzinfo:
    from apex_cli.core.market.calendar import NEW_YORK  # zones cost 4 ms of start-up, and only times need them

    return NEW_YORK


def moment(at: datetime | None) -> str:
    """Return a time in New York, where the sessions are, or a dash."""
    return DASH if at is None else at.astimezone(_new_york()).strftime("%Y-%m-%d %H:%M ET")


def day_text(at: datetime) -> str:
    """Return the date of a time in New York."""
    return f"{at.astimezone(_new_york()):%Y-%m-%d}"


def short_time(at: datetime, newest: datetime | None) -> str:
    """Return the time in New York to the second, or for another day than that of *newest* its date to the minute."""
    here = at.astimezone(_new_york())
    is_today = newest is None or here.date() == newest.astimezone(_new_york()).date()
    return f"{here:%H:%M:%S}" if is_today else f"{here:%m-%d %H:%M}"


def clock_time(at: datetime | None) -> str:
    """Return hour, minute and second in New York, or a dash."""
    return DASH if at is None else at.astimezone(_new_york()).strftime("%H:%M:%S ET")
