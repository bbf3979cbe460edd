"""A file of sectors: one row each with symbol and sector, or a YAML mapping of symbols to sectors."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from apex_cli.core.adapters.files.named_file import read_text_file
from apex_cli.core.model.spelling import canonical_tickers
from apex_cli.core.text.problems import Problems
from apex_cli.core.text.table_reader import named_rows
from apex_cli.core.text.yaml_text import YamlProblem, parse_yaml

COLUMNS = ("symbol", "sector")
YAML_ENDINGS = frozenset({".yaml", ".yml"})
LONGEST = 60
"""Characters of a sector's name."""


def read_sectors(path: Path) -> dict[str, str]:
    """Return the sector of each symbol in the file at *path*, symbols in their canonical spelling.

    Raises:
        InputError: it cannot be read, or rows are wrong; all of them are named.
    """
    text = read_text_file(path, "sectors")
    problems = Problems()
    pairs_in = _of_yaml if path.suffix.lower() in YAML_ENDINGS else _of_csv
    found: dict[str, str] = {}
    for where, symbol, sector in pairs_in(path, text, problems):
        names = canonical_tickers(symbol)
        name = names[0]
        if not symbol or not sector:
            problems.add(where, f"{'symbol' if not symbol else 'sector'} is empty")
        elif len(sector) > LONGEST or not sector.isprintable():
            problems.add(where, f"the sector of {name} is no name of up to {LONGEST} characters")
        elif found.setdefault(name, sector) != sector:
            problems.add(where, f"{name} is in {found[name]} and in {sector}")
        else:
            found.update(dict.fromkeys(names, sector))
    problems.stop("sectors_invalid", hint="Correct the lines.", details={"file": str(path)})
    return found


def _of_csv(path: Path, text: str, problems: Problems) -> Iterator[tuple[str, str, str]]:
    """Yield where a row stands, its symbol and its sector."""
    for where, row in named_rows(text, path.name, COLUMNS, problems):
        yield where, row["symbol"], row["sector"]


def _of_yaml(path: Path, text: str, problems: Problems) -> Iterator[tuple[str, str, str]]:
    try:
        document = parse_yaml(text)
    except YamlProblem as error:
        problems.add(path.name, str(error))
        return
    if not isinstance(document, dict):
        problems.add(path.name, "it is no mapping of symbols to sectors, such as AAPL: technology")
        return
    for symbol, sector in document.items():
        yield path.name, str(symbol).strip(), str(sector or "").strip()
