"""The first configuration: the questions, the parsing of the answers, and the short file that is made of them.

Each ``read_...`` raises a ValueError that tells the person what is wrong with the answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

from apex_cli.core.model.base import Value
from apex_cli.core.model.money import number_of, two_readings
from apex_cli.core.model.risk_limits import CapitalBase

MOST_CAPITAL = Decimal(10**12)
MOST_RISK_PCT = Decimal(50)
TWS_PAPER, GATEWAY_PAPER = 7497, 4002
LIVE_PORTS = (7496, 4001)


class Venue(StrEnum):
    """Where orders go at first; live comes later, by hand."""

    SIMULATION = "simulation"
    PAPER = "paper"


class Phone(StrEnum):
    """How messages reach the user."""

    NONE = "none"
    TELEGRAM = "telegram"
    APPRISE = "apprise"


class FirstAnswers(Value, frozen=True, kw_only=True):
    """What a first configuration says."""

    capital: Decimal = Decimal(3000)
    risk: Decimal = Decimal(1)
    """In per cent of capital."""

    mode: Venue = Venue.SIMULATION
    port: int = TWS_PAPER
    account: str = ""
    """Empty: the only one that is logged in."""

    base: CapitalBase = CapitalBase.FIXED
    """What sizes count with."""

    prices: Path | None = None
    signals: Path = Path("signals")
    """From the configuration's folder on."""

    phone: Phone = Phone.NONE


BASES = {"lower": CapitalBase.LOWER_OF_BOTH, "equity": CapitalBase.EQUITY, "fixed": CapitalBase.FIXED}
"""What sizes count with, as one answers."""


def read_base(text: str) -> CapitalBase:
    """Return what sizes count with."""
    word = text.strip().lower()
    found = BASES.get(word) or next((base for base in CapitalBase if base == word), None)
    if found is None:
        raise ValueError(f"{text!r} is none of {', '.join(BASES)}.")
    return found


def read_capital(text: str) -> Decimal:
    """Return an amount such as ``3000``, ``3,000`` or ``$3,000.50``."""
    plain = text.strip().removeprefix("$").removesuffix("USD").strip()
    if re.fullmatch(r"\d{1,3}(,\d{3})+(\.\d+)?", plain):
        plain = plain.replace(",", "")
    amount = number_of(plain)
    if amount is None or not 0 < amount <= MOST_CAPITAL:
        raise ValueError(f"{text!r} is not an amount, such as 3000 or 3,000.50.")
    if readings := two_readings(plain):
        raise ValueError(f"{text!r} may mean {readings}: write one of them.")
    return amount


def read_risk(text: str) -> Decimal:
    """Return a percentage such as ``1`` or ``0.5 %``."""
    percentage = number_of(text.strip().removesuffix("%").strip())
    if percentage is None or percentage <= 0:
        raise ValueError(f"{text!r} is not a percentage, such as 1 or 0.5.")
    if percentage > MOST_RISK_PCT:
        raise ValueError(f"{text!r}: more than {MOST_RISK_PCT} % of the capital is not risked on one trade.")
    return percentage


def read_venue(text: str) -> Venue:
    """Return ``simulation`` or ``paper``, of which the first letters are enough."""
    if "live".startswith(text.strip().lower()) and text.strip():
        raise ValueError("A new account begins in simulation or on paper. See: apex help paper-and-live")
    return Venue(_begun(text, Venue))


def read_port(text: str | int) -> int:
    """Return the port of TWS or IB Gateway."""
    digits = str(text).strip()
    if not digits.isdecimal() or not 0 < int(digits) < 2**16:
        raise ValueError(f"{digits!r} is not a port, such as {TWS_PAPER} (TWS) or {GATEWAY_PAPER} (IB Gateway).")
    if int(digits) in LIVE_PORTS:
        raise ValueError(
            f"{digits} is the port of live accounts; paper: {TWS_PAPER} (TWS), {GATEWAY_PAPER} (IB Gateway)."
        )
    return int(digits)


def read_account(text: str) -> str:
    """Return the id of a paper account, or nothing for the only one that is logged in."""
    account = text.strip().upper()
    if account and not re.fullmatch(r"[A-Z]{1,3}\d{4,12}", account):
        raise ValueError(f"{text.strip()!r} is no account id, such as DU1234567.")
    if account and not account.startswith("D"):
        raise ValueError("That is the id of a live account; those of paper accounts begin with D.")
    return account


def read_prices(text: str, cwd: Path) -> Path | None:
    """Return the absolute folder of price files, or None for nothing."""
    if not text.strip():
        return None
    folder = cwd / Path(text.strip()).expanduser()
    if not folder.is_dir():
        raise ValueError(f"{folder} is not a folder.")
    if not any(folder.iterdir()):
        raise ValueError(f"{folder} is empty; it needs a file per symbol, such as AAPL.csv.")
    return folder


def read_signals(text: str) -> Path:
    """Return the folder that signal files are dropped into."""
    if not text.strip() or not text.isprintable():
        raise ValueError("Name a folder, such as signals.")
    return Path(text.strip()).expanduser()


def read_phone(text: str) -> Phone:
    """Return ``none``, ``telegram`` or ``apprise``, of which the first letters are enough."""
    return Phone(_begun(text, Phone))


def _begun(text: str, words: type[StrEnum]) -> str:
    """Return the one word that begins with *text*."""
    found = [word for word in words if word.startswith(text.strip().lower())] if text.strip() else []
    if len(found) != 1:
        raise ValueError(f"{text.strip()!r} is not one of {', '.join(words)}.")
    return found[0]


class Question(NamedTuple):
    """One question of the conversation."""

    name: str
    """The answer's name in ``FirstAnswers``, and the option that gives it."""

    text: str
    why: str
    read: Callable[[str], Any]
    default: str
    venue: Venue | None = None
    """Where it matters; None for both."""


def questions(*, cwd: Path, port: int) -> tuple[Question, ...]:
    """Return what is asked, in order; relative folders count from *cwd*, and *port* is where something listens."""
    return (
        Question(
            "capital",
            "Capital in USD",
            "How much you trade with: sizes and limits count with it.",
            read_capital,
            "3000",
        ),
        Question(
            "risk",
            "Risk of one trade in %",
            "The part of the capital that one trade loses at its stop.",
            read_risk,
            "1",
        ),
        Question(
            "mode",
            "simulation or paper",
            "Simulation needs nothing else; for paper, TWS or IB Gateway has to run.",
            read_venue,
            "simulation",
        ),
        Question(
            "port",
            "Port of TWS or IB Gateway",
            "On paper TWS listens on 7497, IB Gateway on 4002.",
            read_port,
            str(port),
            Venue.PAPER,
        ),
        Question(
            "account",
            "Paper account",
            "Orders go to no other account. Leave it empty if you have only one.",
            read_account,
            "",
            Venue.PAPER,
        ),
        Question(
            "base",
            "Sizes count with: lower, equity or fixed",
            "Equity is what the account is worth, fixed is the capital above; lower takes the lower of both.",
            read_base,
            "lower",
            Venue.PAPER,
        ),
        Question(
            "prices",
            "Folder of price files",
            "Orders fill at the prices in files such as AAPL.csv. Empty: at the price of the signal.",
            lambda text: read_prices(text, cwd),
            "",
            Venue.SIMULATION,
        ),
        Question(
            "signals",
            "Folder of signal files",
            "apex decides on each signal file that you put there.",
            read_signals,
            "signals",
        ),
        Question(
            "phone",
            "Messages: none, telegram or apprise",
            "How apex writes to you; Apprise means mail, ntfy, SMS and more.",
            read_phone,
            "none",
        ),
    )


def first_config(answers: FirstAnswers, folder: Path) -> str:
    """Return the text of ``config.yaml`` in the absolute *folder*: what was answered, and a line about each key."""
    is_simulated = answers.mode is Venue.SIMULATION
    parts = [
        HEAD,
        _section(
            "execution",
            ("simulation_mode", "true" if is_simulated else "false", "true: the simulated broker inside apex"),
            ("auto_execute", "false", "false: ask for every trade; true: execute what passes every check"),
        ),
        _section(
            "risk",
            ("capital", f"{answers.capital:f}", "USD; the size of every trade is a part of it"),
            *_base_row(answers),
            ("max_risk_pct", _plain(answers.risk / 100), f"{_plain(answers.risk)} % is lost when a stop is hit"),
        ),
        _section("signals", ("inbox", _path(answers.signals, folder), "read, then moved to processed or rejected")),
    ]
    if answers.prices is not None:
        parts.append(_section("prices", ("bars_dir", _path(answers.prices, folder), "a file per symbol")))
    if not is_simulated:
        parts.append(_broker(answers))
    if answers.phone is not Phone.NONE:
        parts.append(_notify(answers.phone))
    return "\n".join(parts)


HEAD = """\
# apex configuration. What does not stand here has its default; apex help keys lists every key.
# Change it here, or with: apex config set KEY VALUE
"""

SECRETS_FILE = "secrets.env"


def secrets_text(phone: Phone) -> str:
    """Return the file that the user completes: names without values."""
    if phone is Phone.TELEGRAM:
        return "# From @BotFather.\nAPEX_TELEGRAM_TOKEN=\n# Your chat, from @userinfobot.\nAPEX_TELEGRAM_CHAT_ID=\n"
    return "# Addresses as Apprise has them, separated by blanks: mailto://... ntfy://...\nAPEX_NOTIFY_URLS=\n"


def _base_row(answers: FirstAnswers) -> tuple[tuple[str, str, str], ...]:
    if answers.mode is Venue.SIMULATION:
        return ()
    return (("capital_base", str(answers.base), "fixed: capital; equity: what the account is worth"),)


def _broker(answers: FirstAnswers) -> str:
    lines = f"  ib:\n    ib_port: {answers.port}        # TWS paper: 7497, IB Gateway paper: 4002\n"
    if answers.account:
        lines += f"    account: {answers.account}   # orders leave for no other account\n"
    return f"broker:\n{lines}"


def _notify(phone: Phone) -> str:
    return f"notify:\n  secrets_file: {SECRETS_FILE}   # complete it\n  {phone}: {{enabled: true}}\n"


def _section(name: str, *rows: tuple[str, str, str]) -> str:
    width = max(len(f"{key}: {value}") for key, value, _ in rows)
    return f"{name}:\n" + "".join(f"  {f'{key}: {value}':<{width}}   # {comment}\n" for key, value, comment in rows)


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"


def _path(path: Path, folder: Path) -> str:
    """Return *path* as YAML text, relative where it lies in *folder*."""
    inside = path.relative_to(folder) if path.is_absolute() and path.is_relative_to(folder) else path
    return "'" + str(inside).replace("'", "''") + "'" if re.search(r"[^\w./~-]", str(inside)) else str(inside)
