"""``apex gateway``: a paper venue on loopback that speaks the language of TWS."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from apex_cli.commands.options import (
    Call,
    command,
    count,
    flag,
    money_option,
    option,
    positive_decimal,
    seconds,
)
from apex_cli.core.model.wording import counted
from apex_cli.presenters.screen.blocks import Line

if TYPE_CHECKING:
    from apex_cli.gateway.serve import Started


MOST_VOLATILITY = 10
"""A part: 1000 % a year."""


def _currency(text: str) -> str:
    from apex_cli.core.model.currency import CURRENCIES

    code = text.strip().upper()
    if code not in CURRENCIES:
        raise typer.BadParameter(f"{text[:40]!r} is no currency, such as EUR.")
    return code


def _volatility(text: str) -> Decimal:
    value = positive_decimal(text, "0.3")
    if value > MOST_VOLATILITY:
        raise typer.BadParameter(f"{text[:40]!r} is more than {MOST_VOLATILITY}. 30 % a year is 0.3.")
    return value


def _rate(text: str) -> tuple[str, Decimal]:
    code, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"{text[:40]!r} is no rate, such as USD=0.92.", param_hint="--rate")
    return _currency(code), positive_decimal(value)


@command("gateway", "--bars bars --pace 5 --state gateway.json", config=False)
def gateway(
    call: Call,
    port: Annotated[int, count("Port; 0 takes a free one and reports it.", low=0, high=65535)] = 4002,
    host: Annotated[str, typer.Option(help="Loopback address to listen on.")] = "127.0.0.1",
    bars: Annotated[Path | None, option("DIR", "SYMBOL.csv files: prices and history.")] = None,
    pace: Annotated[
        float, typer.Option(parser=seconds, metavar="SECONDS", help="Time for each bar; 0 stands at the last close.")
    ] = 0,
    account: Annotated[str, typer.Option(help="Account id as reported to clients.")] = "DU1234567",
    cash: Annotated[Decimal, money_option("AMOUNT", "Cash of a new account.")] = Decimal(100_000),
    base: Annotated[str, typer.Option(parser=_currency, metavar="CURRENCY", help="Currency of a new account.")] = "USD",
    rate: Annotated[
        list[str] | None,
        option("CURRENCY=VALUE", "Worth of another currency in it, until a pair has a price; repeatable."),
    ] = None,
    cash_account: Annotated[bool, flag("No margin and no short sales.", "--cash-account")] = False,
    state: Annotated[Path | None, option("FILE", "Keep the books there; without it they end with the process.")] = None,
    volatility: Annotated[
        Decimal | None,
        typer.Option(
            parser=_volatility,
            metavar="PART",
            help="A year's volatility that prices options, such as 0.3; without it that of their bars.",
        ),
    ] = None,
    control: Annotated[bool, flag("For tests: take commands as JSON lines on standard input.", "--control")] = False,
) -> None:
    """Serve a paper account that ib_insync, ib_async and other TWS clients trade on; Ctrl-C ends it.

    A client: from ib_insync import IB; ib = IB(); ib.connect("127.0.0.1", 4002, clientId=1); print(ib.positions())
    """
    from apex_cli.gateway.policy import Policy
    from apex_cli.gateway.serve import ServeOptions, serve

    out = call.out
    options = ServeOptions(
        host=host,
        port=port,
        account=account,
        cash=cash,
        is_margin=not cash_account,
        bars=bars,
        pace_s=pace,
        state=state,
        takes_commands=control,
        policy=Policy(volatility=volatility),
        base=base,
        rates=dict(map(_rate, rate or ())),
    )

    def started(where: Started) -> None:
        data = {name: getattr(where, name) for name in where.__struct_fields__}
        line = Line(text=f"gateway on {where.host}:{where.port}, account {where.account}, Ctrl-C ends it")
        out.result(data, (line,), compact=True)
        out.note(
            f"{counted(len(where.symbols), 'symbol')}, server version {where.server_version}, no real orders are sent"
        )

    serve(options, started=started, log=out.note)
    out.note("gateway stopped")
