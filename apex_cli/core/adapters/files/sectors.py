"""A file of sectors: one row each with symbol and sector, or a YAML mapping of symbols to sectors."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path

from apex_cli.core.adapters.files.named_file import read_text_file
from apex_cli.core.model.spelling import canonical_ticker
from apex_cli.core.text.documents import YamlProblem, parse_yaml
from apex_cli.core.text.problems import Problems

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
    pairs = _of_yaml(path, text, problems) if path.suffix.lower() in YAML_ENDINGS else _of_csv(path, text, problems)
    found: dict[str, str] = {}
    for where, symbol, sector in pairs:
        name = canonical_ticker(symbol)
        if not symbol or not sector:
            problems.add(where, f"{'symbol' if not symbol else 'sector'} is empty")
        elif len(sector) > LONGEST or not sector.isprintable():
            problems.add(where, f"the sector of {name} is no name of up to {LONGEST} characters")
        elif found.setdefault(name, sector) != sector:
            problems.add(where, f"{name} is in {found[name]} and in {sector}")
    if problems:
        problems.stop("sectors_invalid", hint="Correct the lines.", details={"file": str(path)})
    return found


Pairs = Iterable[tuple[str, str, str]]
"""Where it stands, symbol, sector."""


def _of_csv(path: Path, text: str, problems: Problems) -> Pairs:
    reader = csv.DictReader(text.splitlines(), restval="")
    reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
    if missing := [name for name in COLUMNS if name not in reader.fieldnames]:
        problems.add(path.name, f"it lacks the columns {', '.join(missing)}; it needs {', '.join(COLUMNS)}")
        return ()
    return [
        (f"{path.name}:{reader.line_num}", (row["symbol"] or "").strip(), (row["sector"] or "").strip())
        for row in reader
    ]


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
