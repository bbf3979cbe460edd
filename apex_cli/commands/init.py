"""``apex init``: a first configuration, by questions, by options or with every key; with ``--demo`` all to try it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from apex_cli.app.resources import read_settings
from apex_cli.commands.options import Call, command, flag, option
from apex_cli.core.errors import InputError
from apex_cli.core.model.health import Finding, Level
from apex_cli.core.model.wording import visible
from apex_cli.presenters.screen.blocks import Block, Line, Tone

if TYPE_CHECKING:
    from apex_cli.presenters.screen.output import Output
    from apex_cli.settings.first import FirstAnswers, Question


CAPITAL = Annotated[str | None, option("USD", "Capital that sizes are a part of. Default: 3000.")]
RISK = Annotated[str | None, option("PERCENT", "Percent of it lost when a stop is hit. Default: 1.")]
MODE = Annotated[str | None, option("simulation|paper", "Where orders go. Default: simulation.")]
PORT = Annotated[
    str | None, option("PORT", "Of TWS or IB Gateway, on paper. Default: the one that listens, else 7497.")
]
ACCOUNT = Annotated[str | None, option("ID", "Paper account that orders may leave for. Default: the only one.")]
BASE = Annotated[str | None, option("lower|equity|fixed", "On paper, what sizes count with. Default: lower.")]
PRICES = Annotated[str | None, option("DIR", "Folder of price files, in simulation. Default: none.")]
SIGNALS = Annotated[str | None, option("DIR", "Folder that signal files are dropped into. Default: signals.")]
PHONE = Annotated[str | None, option("none|telegram|apprise", "How messages reach you. Default: none.")]


@command("init", "trading --yes --capital 5000 --risk 0.5", config=False)
def init(
    call: Call,
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="Where to; made when missing.")] = Path(),
    demo: Annotated[bool, flag("With real daily bars and signals that fit them.", "--demo")] = False,
    full: Annotated[bool, flag("Write every key with its default, and ask nothing.", "--full")] = False,
    yes: Annotated[bool, flag("Ask nothing: options and defaults are the answers.", "--yes", "-y")] = False,
    capital: CAPITAL = None,
    risk: RISK = None,
    mode: MODE = None,
    port: PORT = None,
    account: ACCOUNT = None,
    base: BASE = None,
    prices: PRICES = None,
    signals: SIGNALS = None,
    phone: PHONE = None,
) -> None:
    """Write a first config.yaml. At a terminal it asks a few questions first. Nothing is ever overwritten."""
    given = {
        "capital": capital,
        "risk": risk,
        "mode": mode,
        "port": port,
        "account": account,
        "base": base,
        "prices": prices,
        "signals": signals,
        "phone": phone,
    }
    chosen = {name: text for name, text in given.items() if text is not None}
    if demo + full + bool(chosen) > 1:
        raise InputError(
            "init_what", "--demo, --full and answers such as --capital exclude each other.", hint="Give one of them."
        )
    if demo:
        _write_demo(call.out, folder)
    elif full or not (chosen or yes or call.out.can_prompt):
        _write_full(call.out, folder)
    else:
        _begin(call, folder, chosen, asks=call.out.can_prompt and not yes)


def _write_demo(out: Output, folder: Path) -> None:
    from apex_cli.demo import write_demo

    files = write_demo(folder)
    _report(out, files, f"{_into(folder)}apex run --once")


def _write_full(out: Output, folder: Path) -> None:
    from apex_cli.demo import write_config

    _report(out, [write_config(folder)], f"{_into(folder)}apex doctor")


def _report(out: Output, files: list[Path], step: str, blocks: tuple[Block, ...] = ()) -> None:
    lines = [Line(text=f"wrote {path}", is_whole=True) for path in files]
    last = Line(text=f"next: {step}", tone=Tone.BOLD, is_whole=True)
    out.result({"files": [str(path) for path in files], "next": step}, (*lines, *blocks, last))


def _into(folder: Path) -> str:
    if folder == Path():
        return ""
    import shlex

    return f"cd {shlex.quote(f'./{folder}' if str(folder).startswith('-') else str(folder))} && "


def _begin(call: Call, folder: Path, given: Mapping[str, str], *, asks: bool) -> None:
    """Write a short configuration of the answers; who was asked also sees what doctor says of it."""
    from apex_cli.demo import require_new, write_first
    from apex_cli.settings.first import FirstAnswers, questions

    require_new(folder / "config.yaml")
    asked = questions(cwd=Path.cwd(), port=_listening_port())
    if asks:
        call.out.note("A few questions. Enter takes the answer in brackets; Ctrl-C writes nothing.")
    answers = FirstAnswers(**_answers(asked, given, _ask if asks else None))
    if asks and not call.out.confirm(f"\nWrite {folder / 'config.yaml'}?", default=True):
        raise typer.Abort
    files = write_first(folder, answers)
    findings = _examined(folder) if asks else []
    is_ready = not any(finding.level is Level.ERROR for finding in findings)
    step = f"{_into(folder)}apex {'run --once --dry-run' if is_ready else 'doctor'}"
    _report(call.out, files, step, (*_found_blocks(findings), *_to_do(folder, answers)))


def _answers(
    asked: tuple[Question, ...], given: Mapping[str, str], ask: Callable[[Question], Any] | None
) -> dict[str, Any]:
    """Return each answer by its name: as given, as asked for, or the default."""
    found: dict[str, Any] = {}
    for question in asked:
        if question.name in given:
            found[question.name] = _read_option(question, given[question.name])
        elif question.venue not in {None, found.get("mode")}:
            continue
        else:
            found[question.name] = ask(question) if ask else question.read(question.default)
    return found


def _read_option(question: Question, text: str) -> Any:  # noqa: ANN401 - the value of any answer
    try:
        return question.read(text)
    except ValueError as error:
        raise InputError("usage", f"--{question.name}: {error}", hint="See: apex init --help") from None


def _ask(question: Question) -> Any:  # noqa: ANN401 - the value of any answer
    """Ask until the answer can be used; what is wrong stands above the question asked again."""
    from rich.console import Console

    console = Console(stderr=True, highlight=False)
    console.print(f"\n{question.why}", style="dim", markup=False)
    while True:
        text = typer.prompt(question.text, default=question.default, show_default=bool(question.default), err=True)
        try:
            return question.read(text)
        except ValueError as error:
            console.print(f"  {visible(str(error))}", style="red", markup=False)


def _listening_port() -> int:
    """Return the paper port that something listens on, that of TWS when nothing does."""
    import socket

    from apex_cli.settings.first import GATEWAY_PAPER, TWS_PAPER

    for port in (TWS_PAPER, GATEWAY_PAPER):
        with socket.socket() as probe:
            probe.settimeout(0.2)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return port
    return TWS_PAPER


def _examined(folder: Path) -> list[Finding]:
    """Return what doctor says of the new configuration."""
    from apex_cli.commands.doctor import examined

    return examined(read_settings(folder / "config.yaml"))


def _found_blocks(findings: list[Finding]) -> tuple[Block, ...]:
    from apex_cli.commands.state import findings_grid

    return (findings_grid(findings),) if findings else ()


def _to_do(folder: Path, answers: FirstAnswers) -> Iterator[Line]:
    """Yield what is left to the user."""
    from apex_cli.settings.first import SECRETS_FILE, Phone

    if answers.phone is not Phone.NONE:
        yield Line(text=f"to do: complete {folder / SECRETS_FILE}")
    yield Line(text=f"to do: put a signal file into {folder / answers.signals}; apex help my-signals has one")
