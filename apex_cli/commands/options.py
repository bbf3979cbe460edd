"""What commands share: the options that every command takes, declared once, and the readers of numbers."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from apex_cli.app.resources import allow_live, read_settings, require_account
from apex_cli.core.model.money import number_of, two_readings
from apex_cli.core.model.wording import show_amounts_in
from apex_cli.presenters.screen.output import Output

if TYPE_CHECKING:
    from apex_cli.settings.sections import Settings

LEAST, MOST = Decimal("1e-12"), Decimal("1e12")
MOST_DIGITS = 24
LONGEST_WAIT_S = 86_400


def positive_decimal(text: str, example: str = "48.50") -> Decimal:
    """Return *text* as a decimal between 1e-12 and 1e12: beyond that there are no prices or amounts."""
    value = number_of(text)
    if value is None or value <= 0:
        point = " Decimals stand behind a point, thousands without a comma." if "," in text else ""
        raise typer.BadParameter(f"{text!r} is not a positive number, such as {example}.{point}")
    if not LEAST <= value <= MOST or len(value.as_tuple().digits) > MOST_DIGITS:
        raise typer.BadParameter(f"{text[:40]!r} is too large, too small or has too many digits.")
    return value


def cash_amount(text: str | Decimal) -> Decimal:
    """Return *text*, or a default, as an amount of money; ``5.000``, which many write for thousands, is refused."""
    value = positive_decimal(str(text), "5000")
    if readings := two_readings(str(text)):
        raise typer.BadParameter(f"{text!r} may mean {readings}: write one of them.")
    return value


def day(text: str) -> datetime:
    """Return *text*, such as ``2026-11-24``, as the beginning of a day without a zone."""
    from apex_cli.core.market.calendar import FIRST_YEAR, LAST_YEAR

    try:
        found = datetime.strptime(text, "%Y-%m-%d")  # noqa: DTZ007 - the exchange's own days
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no date, such as 2026-11-24.") from None
    if not FIRST_YEAR <= found.year <= LAST_YEAR:
        raise typer.BadParameter(f"{text} lies outside the years {FIRST_YEAR} to {LAST_YEAR}.")
    return found


def fraction(text: str) -> Decimal:
    """Return *text* as a fraction in (0, 1]."""
    if "%" in str(text):
        raise typer.BadParameter(f"{text[:40]!r} has a percent sign. 1 % is 0.01.")
    value = positive_decimal(text, "0.5")
    if value > 1:
        raise typer.BadParameter(f"{text!r} is more than 1. 1 % is 0.01.")
    return value


def whole(low: int, high: int | None = None) -> Callable[[str | int], int]:
    """Return what reads a whole number from *low* to *high*."""
    words = f"a whole number from {low} {'on' if high is None else f'to {high}'}"

    def read(text: str | int) -> int:
        try:
            value = int(text)
        except ValueError:
            value = low - 1
        if value < low or (high is not None and value > high):
            raise typer.BadParameter(f"{str(text)[:40]!r} is not {words}.")
        return value

    return read


def seconds(text: str | float) -> float:
    """Return *text* as a time to wait, between nothing and a day."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= LONGEST_WAIT_S:
        raise typer.BadParameter(f"{text!r} is not a number of seconds between 0 and {LONGEST_WAIT_S}.")
    return value


def option(metavar: str, about: str, *names: str) -> Any:  # noqa: ANN401 - what Typer returns
    """Return an option with a value that the help calls *metavar*; without *names* it has that of its parameter."""
    return typer.Option(*names, metavar=metavar, help=about)


def flag(about: str, *names: str) -> Any:  # noqa: ANN401 - what Typer returns
    """Return an option without a value."""
    return typer.Option(*names, help=about)


def positive(metavar: str, about: str, *names: str) -> Any:  # noqa: ANN401 - what Typer returns
    """Return an option for a price or units."""
    return typer.Option(*names, parser=positive_decimal, metavar=metavar, help=about)


def money_option(metavar: str, about: str) -> Any:  # noqa: ANN401 - what Typer returns
    """Return an option for an amount of money."""
    return typer.Option(parser=cash_amount, metavar=metavar, help=about)


def part(about: str, *names: str) -> Any:  # noqa: ANN401 - what Typer returns
    """Return an option for a fraction."""
    return typer.Option(*names, parser=fraction, metavar="FRACTION", help=about)


def count(about: str, *names: str, low: int, high: int | None = None) -> Any:  # noqa: ANN401 - what Typer returns
    """Return an option for a whole number from *low* to *high*."""
    return typer.Option(*names, parser=whole(low, high), metavar="NUMBER", help=about)


def session(about: str, *names: str) -> Any:  # noqa: ANN401 - what Typer returns
    """Return an option for a day."""
    return typer.Option(*names, parser=day, help=about)


WaitOption = Annotated[
    float,
    typer.Option("--wait", parser=seconds, metavar="SECONDS", help="How long to wait while another process runs."),
]
HandOverOption = Annotated[
    float,
    typer.Option(
        "--wait",
        parser=seconds,
        metavar="SECONDS",
        help="How long a running apex may take to do it; 0: end with status 7 when one runs.",
    ),
]

YesOption = Annotated[bool, flag("Do not ask.", "--yes", "-y")]
BenchmarkOption = Annotated[
    str | None, option("SYMBOL", "Compare on the page with this one. Default: SPY, if it has bars.")
]
AccountOption = Annotated[str | None, option("ID", "The account that counts, where a file holds several.")]

LIVE = Annotated[
    bool, flag("Allow orders to a live account, where the mode of the broker is live. Also: APEX_LIVE=1.", "--live")
]
CONFIG = Annotated[
    Path | None,
    typer.Option("--config", "-c", help="Default: $APEX_CONFIG, ./config.yaml, your config folder."),
]
PROFILE = Annotated[str, option("NAME", "sim, paper, live or one of yours. Also: $APEX_PROFILE.", "--profile")]
JSON = Annotated[bool, flag("Print one JSON object on standard output.", "--json")]
QUIET = Annotated[bool, flag("Say nothing but the result, warnings and errors.", "--quiet", "-q")]
VERBOSE = Annotated[bool, flag("Say more on the way.", "--verbose", "-v")]


class Call:
    """One run of a command: where it speaks, and what is configured."""

    def __init__(self, out: Output, config: Path | None, *, profile: str, is_live: bool) -> None:
        """Read nothing yet: a command that needs no configuration does not open it."""
        self.out = out
        self.config = config
        self.profile = profile
        self._is_live = is_live

    @cached_property
    def settings(self) -> Settings:
        """The settings of a command that reads or changes the account; its badge stands above the result.

        Raises:
            ConfigError: there is no configuration, or the file or a variable is wrong.
        """
        require_account(self.out, self.any_settings)
        return self.any_settings

    @cached_property
    def any_settings(self) -> Settings:
        """The settings of a command that needs no account: without a configuration the defaults hold.

        Raises:
            ConfigError: the file or a variable is wrong.
        """
        return self.settings_with({})

    @classmethod
    def of(cls, out: Output, settings: Settings) -> Call:
        """Return a run of a command with *settings* that are read already."""
        call = cls(out, settings.source, profile=settings.profile, is_live=settings.live)
        call.__dict__["any_settings"] = settings
        return call

    def warn_of_doubts(self) -> None:
        """Say what the configuration allows and probably does not mean."""
        from apex_cli.settings.doubts import doubts

        self.out.warn(*doubts(self.any_settings))

    def settings_with(self, overrides: Mapping[str, str]) -> Settings:
        """Return the settings; *overrides* count like further environment variables.

        Raises:
            ConfigError: the file or a variable is wrong.
        """
        settings = allow_live(read_settings(self.config, overrides, profile=self.profile), self._is_live)
        show_amounts_in(settings.currency.base)
        return settings


def do(command: str, out: Output, settings: Settings, **given: Any) -> None:  # noqa: ANN401 - any command's options
    """Do what the function *command* of its module does, with settings that are read already.

    Options that are not *given* are as by default.
    """
    body = getattr(import_module(f"apex_cli.commands.{command}"), command).body
    body(Call.of(out, settings), **given)


def common(name: str, *, live: bool, config: bool = True) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command its first argument, the ``Call``, and the options that all commands share.

    *live* and *config* say whether it takes --live, and --config with --profile.
    """
    shared: dict[str, tuple[Any, object]] = {"live": (LIVE, False)} if live else {}
    shared |= {"config": (CONFIG, None), "profile": (PROFILE, "")} if config else {}
    shared |= {"as_json": (JSON, False), "quiet": (QUIET, False), "verbose": (VERBOSE, False)}

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        def run(**given: Any) -> None:  # noqa: ANN401 - the values of any command's options
            chosen = {option: given.pop(option) for option in shared}
            speaks = {option: chosen[option] for option in ("as_json", "quiet", "verbose")}
            with Output(name, **speaks) as out:
                call = Call(
                    out, chosen.get("config"), profile=chosen.get("profile", ""), is_live=chosen.get("live", False)
                )
                command(call, **given)

        _, *own = inspect.signature(command, eval_str=True).parameters.values()
        added = [
            inspect.Parameter(option, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
            for option, (kind, default) in shared.items()
        ]
        parameters = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own] + added
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what Typer reads
        run.__annotations__ = {one.name: one.annotation for one in parameters}
        run.body = command  # type: ignore[attr-defined]  # for those who have a Call already
        run.__name__, run.__module__ = command.__name__, command.__module__
        run.__doc__ = (command.__doc__ or "").replace("``", "")  # marks for readers of the source
        return run

    return decorate


APPS: dict[str, typer.Typer] = {}
"""By the first word of each command whose module is imported."""


def command(
    name: str, example: str = "", *, app: typer.Typer | None = None, live: bool = False, config: bool = True
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Make the command *name*, such as ``state check``, as ``common`` does, and register it in its group *app*, if any.

    Its help shows *example* to be typed behind the name.
    """
    made = APPS[name.partition(" ")[0]] = typer.Typer(add_completion=False) if app is None else app
    register = made.command(name.rpartition(" ")[2], epilog=f"Example: apex {name} {example}".rstrip())
    return lambda body: register(common(name, live=live, config=config)(body))
