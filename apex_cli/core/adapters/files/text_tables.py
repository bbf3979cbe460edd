"""Any table that people have, as rows of text: compression, encoding, delimiter and lines around it are found out.

``open_table`` takes the bytes of a text file, perhaps compressed, of a workbook (extra ``xlsx``), of a Parquet or
Arrow file (extra ``parquet``) or of a JSON document. It knows nothing of prices, signals or executions; which row names
the columns is asked of the caller, who knows the names.
"""

from __future__ import annotations

import csv
import io
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from itertools import islice
from typing import Any, NamedTuple, TypeVar

from apex_cli.core.adapters.files.cells import tidy
from apex_cli.core.errors import InputError, install_command
from apex_cli.core.model.base import Value

MAX_UNPACKED = 200_000_000
"""Most bytes that a compressed file may become."""

MAX_RATIO = 200
"""Most bytes that a compressed byte may become: text shrinks to a tenth, rarely to a fiftieth."""

MAX_PROBLEMS = 100
"""Problems of one file that are kept; the others are counted."""

TOLD_PROBLEMS = 5
SHOWN = 40
DELIMITERS = ("\t", ";", ",", "|")
DELIMITER_NAMES = {"\t": "tab", ";": "semicolon", ",": "comma", "|": "bar", "": "none"}
SAMPLE = 65_536
SAMPLE_LINES = 60
WIDE = 12
"""Cells of a line beyond which more of them prove nothing more."""

MAX_CELLS = 2000
"""Most columns of a table."""

_GZIP, _ZIP, _PARQUET, _ARROW = b"\x1f\x8b", b"PK\x03\x04", b"PAR1", b"ARROW1"
_WORKBOOK = "[Content_Types].xml"
"""The file by which a workbook is known from other archives."""

_BOMS = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_SEPARATOR_LINE = re.compile(r"\s*\"?sep=(.)\"?\s*", re.IGNORECASE)
_UNITS = re.compile(r"\([^)]*\)|\[[^\]]*\]")
_NUMBERED = re.compile(r"^\d+[a-z]?[.)]\s+")


T = TypeVar("T")


class FileHints(Value, frozen=True, kw_only=True):
    """How files of one kind are to be read, where they do not say it themselves."""

    section: str = "prices"
    """Section of the configuration that the hints come from: messages name its keys."""

    columns: dict[str, str] = {}
    """Our name of a column -> its name in the file."""

    zone: str = ""
    """Time zone of times without one, such as ``America/New_York``; empty: as the kind of file says."""

    dates: str = ""
    """``mdy``, ``dmy`` or a format such as ``%d.%m.%Y``; empty: found out."""

    decimal: str = ""
    """Decimal sign, ``.`` or ``,``; empty: found out."""


class Problems:
    """Everything that is wrong with one file; kept up to a bound and counted beyond it."""

    __slots__ = ("count", "first", "found")

    def __init__(self) -> None:
        """Begin without a problem."""
        self.count = 0
        self.found: list[str] = []
        self.first: InputError | None = None

    def __bool__(self) -> bool:
        """Return True when there is a problem."""
        return self.count > 0

    def add(self, where: str, message: str) -> None:
        """Note one problem."""
        self.count += 1
        if len(self.found) < MAX_PROBLEMS:
            self.found.append(f"{where}: {message}" if where else message)

    def tried(self, read: Callable[[], T]) -> T | None:
        """Return what *read* returns; note what it raises, and return None."""
        try:
            return read()
        except InputError as error:
            self.take(error)
            return None

    def take(self, error: InputError) -> None:
        """Note a refusal, which may itself name several problems."""
        self.first = self.first or error
        several = error.details.get("problems")
        if not isinstance(several, list):
            allowed = error.hint.removesuffix(".").partition("Allowed: ")[2] if error.hint else ""
            self.add("", error.message.removesuffix(".") + (f", allowed: {allowed}" if allowed else ""))
            return
        self.found.extend(several[: MAX_PROBLEMS - len(self.found)])
        self.count += int(error.details.get("problem_count", len(several)))

    def stop_or_first(self, where: str) -> None:
        """Raise the one refusal as it is, or all of them as one.

        Raises:
            InputError: there is at least one.
        """
        if self.count == 1 and self.first is not None:
            raise self.first
        self.stop("input_invalid", hint="Correct the file and run it again.", details={"where": where})

    def summary(self) -> str:
        """Return all problems in one sentence, the first few in full."""
        reported = "; ".join(self.found[:TOLD_PROBLEMS])
        if self.count == 1:
            return reported
        more = f"; and {self.count - TOLD_PROBLEMS} more" if self.count > TOLD_PROBLEMS else ""
        return f"{self.count} problems: {reported}{more}"

    def stop(self, code: str, *, hint: str, details: Mapping[str, Any] | None = None) -> None:
        """Raise all problems as one error, if there are any.

        Raises:
            InputError: there is at least one.
        """
        if self.count:
            facts = {**(details or {}), "problems": list(self.found), "problem_count": self.count}
            raise InputError(code, f"{self.summary()}.", hint=hint, details=facts)


class Row(NamedTuple):
    """One row of a table."""

    line: int
    cells: list[str]


class Table(NamedTuple):
    """Rows of text with named columns."""

    names: tuple[str, ...]
    """Names of the columns as the file writes them; empty for a table without a header."""

    rows: Sequence[Row]
    """Rows below the header, blank ones left out."""

    delimiter: str = ""
    encoding: str = ""
    kind: str = "text"
    """``text``, ``workbook``, ``parquet``, ``arrow`` or ``json``."""

    above: Sequence[Row] = ()
    """Rows above the header."""

    notes: tuple[str, ...] = ()
    """What was found out about the file, a phrase each."""

    @property
    def keys(self) -> tuple[str, ...]:
        """Return the names of the columns as ``plain_name`` makes them."""
        return tuple(plain_name(name) for name in self.names)


def shown(value: object) -> str:
    """Return *value* short and printable."""
    text = value if isinstance(value, str) else str(value)
    return repr(text if len(text) <= SHOWN else text[:SHOWN] + "...")


def plain_name(name: str) -> str:
    """Return the name of a column without capitals, blanks, signs, units and numbering.

    >>> [plain_name(name) for name in ("Adj Close", "1. open", "<DTYYYYMMDD>", "Price ($)", "Entry_Price", "% Change")]
    ['adjclose', 'open', 'dtyyyymmdd', 'price', 'entryprice', '%change']
    """
    text = tidy(name[:200]).lower()
    text = _NUMBERED.sub("", text)
    bare = _UNITS.sub("", text) or text
    return "".join(sign for sign in bare if sign.isalnum() or sign == "%")


def unusable(name: str, what: str, hint: str = "", *, code: str = "file_unreadable") -> InputError:
    """Return the error for a file that is no table at all."""
    return InputError(code, f"{name} {what}.", hint=hint or f"Correct {name}.", details={"file": name})


# ---- bytes to text ----------------------------------------------------------------------------------------------


def unpacked(content: bytes, name: str) -> bytes:
    """Return *content* without its compression: gzip, or a zip archive of one file. A workbook stays as it is.

    Raises:
        InputError: it is damaged, becomes far too large, or holds several files.
    """
    if content.startswith(_ZIP):
        return _from_archive(content, name)
    if not content.startswith(_GZIP):
        return content
    limit = min(MAX_UNPACKED, max(1_000_000, len(content) * MAX_RATIO))
    engine = zlib.decompressobj(wbits=31)
    try:
        result = engine.decompress(content, limit + 1)
    except zlib.error as error:
        raise unusable(name, f"is no sound gzip file: {error}") from None
    if len(result) > limit:
        raise unusable(name, f"becomes more than {limit // 1_000_000} MB when it is unpacked", "Unpack and split it.")
    if not engine.eof:
        raise unusable(name, "is a gzip file whose end is missing", "Copy the file again.")
    return result


def _from_archive(content: bytes, name: str) -> bytes:
    import zipfile

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            inside = [item for item in archive.infolist() if not item.is_dir()]
            if any(item.filename == _WORKBOOK for item in inside):
                return content
            if len(inside) != 1:
                raise unusable(name, f"is an archive of {len(inside)} files", "Unpack it.")
            _refuse_large(inside[0].file_size, len(content), name)
            return archive.read(inside[0])
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise unusable(name, f"is no sound zip archive: {type(error).__name__}", "Unpack it.") from None


def decoded(content: bytes, name: str) -> tuple[str, str]:
    """Return the text of *content* and its encoding.

    Raises:
        InputError: it is no text.
    """
    for mark, encoding in _BOMS:
        if content.startswith(mark):
            return _as_text(content[len(mark) :], encoding, name), encoding
    for encoding in _guesses(content):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        return _checked(text, name), encoding
    raise unusable(name, "is neither UTF-8, UTF-16 nor Windows-1252 text", "Save it as UTF-8.")


def _guesses(content: bytes) -> tuple[str, ...]:
    """Return the encodings to try, the likeliest first: UTF-16 has a zero in every second byte."""
    head = content[:400]
    if len(head) >= 4 and head[1::2].count(0) > len(head) // 4 and head[::2].count(0) == 0:  # noqa: PLR2004 - two letters
        return ("utf-16-le",)
    if len(head) >= 4 and head[::2].count(0) > len(head) // 4 and head[1::2].count(0) == 0:  # noqa: PLR2004 - same
        return ("utf-16-be",)
    return ("utf-8", "cp1252")


def _as_text(content: bytes, encoding: str, name: str) -> str:
    try:
        return _checked(content.decode(encoding), name)
    except UnicodeDecodeError as error:
        raise unusable(name, f"is not {encoding.upper()} at byte {error.start}", "Save it as UTF-8.") from None


def _checked(text: str, name: str) -> str:
    if found := _CONTROLS.search(text):
        line = text.count("\n", 0, found.start()) + 1
        raise unusable(name, f"holds the control character {ord(found[0])} in line {line}: this is no text")
    return text


# ---- text to rows -----------------------------------------------------------------------------------------------


def find_delimiter(text: str) -> str:
    """Return the sign that splits most lines of *text* into the same number of cells; empty when none does."""
    sample = text[:SAMPLE]
    first = sample.partition("\n")[0]
    if found := _SEPARATOR_LINE.fullmatch(first):
        return found[1]
    lines = [line for line in sample.splitlines()[:SAMPLE_LINES] if line.strip()]
    if len(text) > len(sample) and len(lines) > 1:
        lines.pop()
    scores = [(_evenness(lines, sign), -number, sign) for number, sign in enumerate(DELIMITERS)]
    best, _, sign = max(scores)
    return sign if best else ""


def _evenness(lines: Sequence[str], delimiter: str) -> int:
    """Return how much of *lines* falls into the most common number of cells, if that is more than one."""
    rows = csv.reader(lines, delimiter=delimiter, strict=True, skipinitialspace=True)
    widths: Counter[int] = Counter()
    try:
        widths.update(len(cells) for cells in rows if len(cells) > 1)
    except csv.Error:  # the sample may end inside quotes
        if not widths:
            return 0
    return max((count * min(width, WIDE) for width, count in widths.items()), default=0)


def split_rows(text: str, delimiter: str, name: str) -> Iterator[Row]:
    """Yield the rows of *text* that hold anything.

    Raises:
        InputError: a row is no row, such as one with a quote that never ends.
    """
    if _SEPARATOR_LINE.fullmatch(text[:20].partition("\n")[0]):
        text = "\n" + text.partition("\n")[2]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter or ",", skipinitialspace=True, strict=True)
    try:
        for cells in reader:
            if len(cells) > MAX_CELLS:
                raise unusable(f"{name}:{reader.line_num}", f"has {len(cells)} cells, at most {MAX_CELLS} are read")
            if any(cells) and any(map(str.strip, cells)):
                yield Row(reader.line_num, cells)
    except csv.Error as error:
        raise unusable(f"{name}:{reader.line_num}", f"is no row of a table: {error}") from None


FindHeader = Callable[[Sequence[Row]], int | None]
"""Returns the position of the row that names the columns among the first rows; None where no row does."""


def open_table(content: bytes, name: str, find_header: FindHeader, *, sheet: str = "") -> Table:
    """Return the table in *content*.

    Raises:
        InputError: it is no table, or needs an extra that is not installed.
    """
    content = unpacked(content, name)
    if content.startswith(_ZIP):
        return _headed(workbook_rows(content, name, sheet), find_header, kind="workbook")
    if content.startswith((_PARQUET, _ARROW)):
        return arrow_table(content, name)
    text, encoding = decoded(content, name)
    if text.lstrip()[:1] in {"{", "["}:
        return json_table(text, name)
    delimiter = find_delimiter(text)
    table = _headed(list(split_rows(text, delimiter, name)), find_header, kind="text")
    notes = tuple(
        note
        for note in (
            f"split by {DELIMITER_NAMES.get(delimiter, repr(delimiter))}" if delimiter not in {",", ""} else "",
            f"read as {encoding.upper()}" if encoding != "utf-8" else "",
        )
        if note
    )
    return table._replace(delimiter=delimiter, encoding=encoding, notes=(*notes, *table.notes))


def _headed(rows: list[Row], find_header: FindHeader, *, kind: str) -> Table:
    """Return the table whose header *find_header* finds among the first rows."""
    at = find_header(rows[:SAMPLE_LINES])
    if at is None:
        return Table((), rows, kind=kind, notes=("no header row",) if rows else ())
    notes = (f"{at} lines above the header",) if at else ()
    return Table(tuple(rows[at].cells), rows[at + 1 :], kind=kind, above=rows[:at], notes=notes)


# ---- workbooks, Parquet, JSON -----------------------------------------------------------------------------------


def workbook_rows(content: bytes, name: str, sheet: str = "") -> list[Row]:
    """Return the rows of one sheet of an Excel workbook: the named one, else the first that holds anything.

    Raises:
        InputError: it is no workbook, or the extra is not installed.
    """
    import zipfile

    try:
        from openpyxl import load_workbook
    except ImportError:
        raise unusable(name, "is an Excel workbook", f"{install_command('xlsx')}, or save it as CSV.") from None
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = sum(item.file_size for item in archive.infolist())
        _refuse_large(size, len(content), name)
        book = load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        sheets = [book[sheet]] if sheet in book.sheetnames else book.worksheets
        for one in sheets:
            rows = [
                Row(line, [_cell_text(cell) for cell in cells[:MAX_CELLS]])
                for line, cells in enumerate(one.iter_rows(values_only=True), start=1)
                if any(cell is not None and cell != "" for cell in cells)
            ]
            if rows:
                return rows
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001 - the library raises whatever its parsers raise
        raise unusable(name, f"is no sound Excel workbook: {type(error).__name__}", "Save it as CSV.") from None
    return []


def _refuse_large(size: int, packed: int, name: str) -> None:
    if size > max(10_000_000, packed * MAX_RATIO // 4):
        raise unusable(name, "becomes far too large when it is unpacked", "Save it as CSV.")


def _cell_text(value: object) -> str:
    """Return a typed cell as text that is read back to the same value."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)  # noqa: PLR2004 - exact
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


def arrow_table(content: bytes, name: str) -> Table:
    """Return the table of a Parquet or Arrow file; its pandas index becomes a column.

    Raises:
        InputError: it is damaged, or the extra is not installed.
    """
    kind = "parquet" if content.startswith(_PARQUET) else "arrow"
    try:
        import pyarrow as pa
        from pyarrow import feather, parquet
    except ImportError:
        raise unusable(name, f"is a {kind.title()} file", f"{install_command('parquet')}, or save it as CSV.") from None
    try:
        source = pa.BufferReader(content)
        table = parquet.read_table(source) if kind == "parquet" else feather.read_table(source, memory_map=False)
        columns = [[_cell_text(value) for value in column.to_pylist()] for column in table.columns]
        names = tuple(str(column) for column in table.column_names)
    except Exception as error:  # noqa: BLE001 - the library raises whatever its parsers raise
        raise unusable(name, f"is no sound {kind.title()} file: {type(error).__name__}") from None
    names = tuple("" if re.fullmatch(r"__index_level_\d+__", column) else column for column in names)
    rows = [Row(number, list(cells)) for number, cells in enumerate(zip(*columns, strict=True), start=1)]
    return Table(names, rows, kind=kind, notes=(f"{kind} file",))


def parse_json(text: str, name: str) -> object:
    """Return a JSON document as plain values, numbers as they are written.

    Raises:
        InputError: it is no JSON.
    """
    import json

    try:
        return json.loads(text, parse_float=Decimal, parse_constant=str, parse_int=_whole)
    except (ValueError, ArithmeticError) as error:
        raise unusable(name, f"is not valid JSON: {error}") from None
    except (RecursionError, MemoryError):
        raise unusable(name, "is JSON nested too deeply") from None


def _whole(text: str) -> int | str:
    return int(text) if len(text) <= SHOWN * 10 else text


def json_table(text: str, name: str) -> Table:
    """Return the records in a JSON document, wherever they stand in it.

    Raises:
        InputError: it is no JSON, or holds no list of records.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) > 1 and all(line.lstrip().startswith("{") and line.rstrip().endswith("}") for line in lines[:3]):
        return records_table([parse_json(line, f"{name}:{at}") for at, line in enumerate(lines, start=1)], name)
    return records_table(find_records(parse_json(text, name)), name)


def find_records(document: object, *, depth: int = 4) -> list[Any]:
    """Return the longest list of records in a document: mappings, or lists of one length.

    Facts beside the list, such as the symbol it is of, are put into every record that does not have them.
    """
    if isinstance(document, list):
        kinds = {type(item) for item in document}
        return document if (document and kinds <= {dict}) or kinds == {list} else []
    if not isinstance(document, dict) or not depth:
        return []
    if record := _by_key(document):
        return record
    if columns := _by_column(document):
        return columns
    found: list[Any] = []
    for key, value in document.items():
        if isinstance(value, dict | list):
            inner = find_records(value, depth=depth - 1)
            if inner and isinstance(value, list) and _is_group(document) and isinstance(inner[0], dict):
                found.extend({"symbol": key, **item} for item in inner)
            elif len(inner) > len(found):
                found = inner
    facts = _facts(document)
    return [{**facts, **item} if isinstance(item, dict) else item for item in found] if facts else found


def _is_group(document: Mapping[str, object]) -> bool:
    """Return True for a mapping of symbols to lists of records."""
    return all(
        isinstance(value, list) and re.fullmatch(r"[A-Z][A-Z0-9./-]{0,14}", key) for key, value in document.items()
    )


def _by_key(document: Mapping[str, object]) -> list[Any]:
    """Return records that stand under their dates."""
    values = list(document.values())
    if not values or not all(isinstance(value, dict) for value in values):
        return []
    if not all(re.match(r"\d{4}-\d{2}-\d{2}", key) for key in document):
        return []
    return [{"date": key, **value} for key, value in document.items() if isinstance(value, dict)]


def _by_column(document: Mapping[str, object]) -> list[Any]:
    """Return records from columns of one length, as charts are sent: also those in lists inside."""
    columns: dict[str, list[object]] = {}
    for name, value in _flat_lists(document):
        if value and not any(isinstance(item, dict | list) for item in value):
            columns.setdefault(name, value)
    lengths = {len(value) for value in columns.values()}
    least = 4
    if len(columns) < least or len(lengths) != 1:
        return []
    return [dict(zip(columns, items, strict=True)) for items in zip(*columns.values(), strict=True)]


def _flat_lists(document: Mapping[str, object], depth: int = 3) -> Iterator[tuple[str, list[object]]]:
    for name, value in document.items():
        if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict) and depth:
            yield from _flat_lists(value[0], depth - 1)
        elif isinstance(value, list):
            yield name, value
        elif isinstance(value, dict) and depth:
            yield from _flat_lists(value, depth - 1)


def _facts(document: Mapping[str, object]) -> dict[str, object]:
    """Return the symbol that a document names beside its records."""
    for name, value in document.items():
        if plain_name(name) in {"symbol", "ticker"} and isinstance(value, str) and value:
            return {"symbol": value}
        if isinstance(value, list) and len(value) == 1 and isinstance(value[0], dict) and (inner := _facts(value[0])):
            return inner
        if isinstance(value, dict) and plain_name(name) in {"metadata", "meta", "chart"} and (inner := _facts(value)):
            return inner
    return {}


def records_table(records: Sequence[object], name: str) -> Table:
    """Return a table of *records*: mappings with names of their own, or lists without.

    Raises:
        InputError: there is none.
    """
    if records and all(isinstance(record, list) for record in records):
        rows = [
            Row(at, [_json_text(cell) for cell in record])
            for at, record in enumerate(records, start=1)
            if isinstance(record, list)
        ]
        return Table((), rows, kind="json", encoding="utf-8", notes=("JSON without names of columns",))
    names: dict[str, None] = {}
    for record in records:
        if not isinstance(record, dict):
            raise unusable(name, f"holds {shown(record)} where a record was expected")
        names.update(dict.fromkeys(islice(map(str, record), MAX_CELLS)))
        if len(names) > MAX_CELLS:
            raise unusable(name, f"has records with more than {MAX_CELLS} names")
    if not names:
        raise unusable(name, "is JSON without a list of records")
    rows = [
        Row(at, [_json_text(record.get(column)) for column in names])
        for at, record in enumerate(records, start=1)
        if isinstance(record, dict)
    ]
    return Table(tuple(names), rows, kind="json", encoding="utf-8", notes=("JSON",))


def _json_text(value: object) -> str:
    if value is None or isinstance(value, dict | list):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


# ---- columns ----------------------------------------------------------------------------------------------------


def match_columns(names: Sequence[str], known: Mapping[str, Sequence[str]], hints: FileHints) -> dict[str, int]:
    """Return our name -> position for the columns that are known by one of their names, hints first.

    Args:
        names: the header.
        known: our name -> ``plain_name`` of its spellings, the likeliest first.
        hints: its ``columns`` say which column is which.
    """
    positions: dict[str, int] = {}
    for number, name in enumerate(names):
        positions.setdefault(plain_name(name), number)
    exact = {tidy(name): number for number, name in reversed(list(enumerate(names)))}
    found: dict[str, int] = {}
    for ours, spellings in known.items():
        if (theirs := hints.columns.get(ours)) is not None:
            at = exact.get(theirs.strip(), positions.get(plain_name(theirs), _position(theirs)))
            if at is not None:
                found[ours] = at
            continue
        for spelling in spellings:
            if spelling in positions:
                found[ours] = positions[spelling]
                break
    return found


def _position(text: str) -> int | None:
    """Return the position that a number counts from one; a column without a name has no other name."""
    return int(text) - 1 if re.fullmatch(r"[1-9][0-9]{0,3}", text) else None


def unmatched_hints(names: Sequence[str], hints: FileHints) -> list[str]:
    """Return a sentence for every column that a setting names and the file does not have."""
    have = {plain_name(name) for name in names}
    return [
        f"{hints.section}.columns.{ours} names {shown(theirs)}, which is no column of the file"
        for ours, theirs in hints.columns.items()
        if plain_name(theirs) not in have and _position(theirs) is None
    ]


def column_texts(rows: Iterable[Row], at: int) -> Iterator[str]:
    """Yield the cells of one column; a row that is too short has an empty one."""
    return (row.cells[at] if at < len(row.cells) else "" for row in rows)
