"""Bytes to signals: JSON, JSON Lines, YAML or CSV, in bounded memory, whatever the bytes are.

JSON Lines and CSV are streamed a row at a time. A JSON or YAML document is read whole, up to
``MAX_DOCUMENT`` or ``MAX_YAML`` bytes. What cannot be used becomes a ``RejectedRow``; the good rows are used.
"""

from __future__ import annotations

import io
import re
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import BinaryIO, NamedTuple

import msgspec

from apex_cli.core.adapters.files.signals.alerts import (
    BY_SPELLING,
    DEFAULT_FORM,
    SignalForm,
    header_score,
    is_known,
    learned,
)
from apex_cli.core.adapters.files.signals.signal_fields import FIELDS, PARSERS
from apex_cli.core.adapters.files.signals.signal_rows import parse_row, rejected
from apex_cli.core.errors import InputError
from apex_cli.core.model.records import RejectedRow
from apex_cli.core.model.signal import Signal
from apex_cli.core.ports import SignalBatch
from apex_cli.core.text.cells import (
    DateOrder,
    find_decimals,
    find_order,
    number_readings,
    order_proof,
    two_readings,
)
from apex_cli.core.text.content import NO_TEXT, decoded, unpacked
from apex_cli.core.text.json_text import Pairs, given_twice, parse_json
from apex_cli.core.text.problems import shown, suggest
from apex_cli.core.text.table_reader import find_delimiter
from apex_cli.core.text.text_table import plain_name
from apex_cli.core.text.workbooks import workbook_rows
from apex_cli.core.text.yaml_text import YamlProblem, parse_yaml

MAX_LINE = 1_000_000
"""Longest line of JSON Lines or CSV, in bytes."""

MAX_DOCUMENT = 5_000_000
"""Largest JSON document, in bytes."""

MAX_YAML = 1_000_000
"""Largest YAML document, in bytes: reading it takes seconds a megabyte."""

MAX_SIGNALS = 10_000
"""Signals of one file; those beyond are refused, not forgotten."""

MAX_REJECTED = 1000
"""Refused rows of one file that are kept; the others are counted."""

FORMATS = {".json": "json", ".jsonl": "lines", ".ndjson": "lines", ".yaml": "yaml", ".yml": "yaml", ".csv": "csv"}
"""File name ending -> format; anything else is looked into."""

_FORMULA = r'^="(.*)"$'
"""What keeps a spreadsheet from changing a text: ``="MSFT"``."""

_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
_PACKED, _ZIPPED = b"\x1f\x8b", b"PK\x03\x04"
LEAST_NAMES = 2
"""Fields that a line must name to be the header of a table."""

LISTS = ("signals", "alerts", "data")
TEXTS = ("message", "text", "content", "body", "alertmessage")
"""Names under which other programs pass an alert on as text."""

MOST_ABOVE = 30
"""Lines above a header."""

MOST_LINES = 20
"""Lines that one row of a table may go over."""

OPEN_QUOTE = "unexpected end of data"
"""What the library says of a row whose last cell has no closing quote."""


def read_signals(
    stream: BinaryIO,
    name: str,
    *,
    now: datetime,
    max_age: timedelta,
    kind: str | None = None,
    token: str = "",
    form: SignalForm = DEFAULT_FORM,
) -> SignalBatch:
    """Return everything in *stream*: signals, and rows that are none with the reason.

    Args:
        stream: Bytes to read to the end.
        name: What rows are said to come from.
        now: Time of reading, aware UTC.
        max_age: How long a signal without ``expires_at`` is good for.
        kind: ``json``, ``lines``, ``yaml`` or ``csv``; None looks at the content.
        token: Put into the batch.
        form: How the configuration wants signals to be read.

    Raises:
        OSError: *stream* cannot be read.
    """
    sink = _Sink(name=name, now=now, max_age=max_age, form=form)
    head = stream.read(MAX_DOCUMENT + 1)
    try:
        if head.startswith((_PACKED, *NO_TEXT)):
            head = unpacked(head + stream.read(MAX_DOCUMENT), name)
        if head.startswith(_UTF16_BOMS):
            head = decoded(head + stream.read(MAX_DOCUMENT), name)[0].encode()
    except InputError as error:
        hint = "" if error.hint.startswith("Correct") else f": {error.hint.removesuffix('.').lower()}"
        sink.reject(name, f"{error.message.removeprefix(f'{name} ').removesuffix('.')}{hint}")
        return sink.batch(token)
    if head.startswith(_ZIPPED):
        _read_workbook(head + stream.read(MAX_DOCUMENT), sink)
    else:
        _read(head.removeprefix(_BOM), stream, kind, sink)
    return sink.batch(token)


def _read(head: bytes, rest: BinaryIO, kind: str | None, sink: _Sink) -> None:
    is_whole = len(head) <= MAX_DOCUMENT
    if is_whole and b"\n" not in head:  # lines of old Macs, and of Excel's "CSV (Macintosh)"
        head = head.replace(b"\r", b"\n")
    found = _sniffed(head, kind, is_whole=is_whole)
    if found in {"lines", "csv"}:
        if found == "lines":
            return _read_json_lines(_lines(_Chain(head, rest), sink), sink)
        if is_whole:
            head = _as_utf8(head)
        delimiter = find_delimiter(head[:MAX_LINE].decode("utf-8", "replace")) or ","
        if unclear := _form_of(head, delimiter, sink):
            return sink.reject(sink.name, unclear)
        return _read_csv(_lines(_Chain(head, rest), sink), sink, delimiter)
    most = MAX_YAML if found == "yaml" else MAX_DOCUMENT
    if len(head) > most:
        limit = f"{most // 1_000_000} MB"
        return sink.reject(sink.name, f"the document is larger than {limit}; use JSON Lines or CSV", limit=limit)
    text = _decoded(head, sink)
    if text is None:
        return None
    return _read_json(text, sink) if found == "json" else _read_yaml(text, sink)


def _as_utf8(content: bytes) -> bytes:
    """Return *content* in UTF-8 where it is text as Windows writes it; other bytes stay as they are."""
    try:
        content.decode()
    except UnicodeDecodeError:
        try:
            text = content.decode("cp1252")
        except UnicodeDecodeError:
            return content
        return text.encode() if all(sign.isprintable() or sign.isspace() for sign in text) else content
    return content


def _sniffed(head: bytes, kind: str | None, *, is_whole: bool) -> str:
    """Return the format: as *kind* says, else as the first characters look."""
    body = head.lstrip()
    if kind in {"lines", "csv", "yaml"}:
        return kind
    if body[:1] == b"{":
        return "lines" if not is_whole or _is_json_lines(body) else "json"
    if kind == "json" or body[:1] == b"[" or not body:
        return "json"
    first = body.partition(b"\n")[0][:MAX_LINE].decode("utf-8", "replace")
    cells = [cell.strip().strip('"') for cell in re.split(r"[,;\t|]", first)]
    is_table = (len(cells) > 1 and ":" not in first) or header_score(cells) >= LEAST_NAMES or set(cells) & set(FIELDS)
    return "csv" if is_table else "yaml"


def _is_json_lines(body: bytes) -> bool:
    """Return whether the first line is a whole JSON object and more follows."""
    first, _, more = body.partition(b"\n")
    if not more.strip():
        return False
    try:
        return isinstance(parse_json(first.decode(), dict), dict)
    except ValueError:
        return False


def _decoded(content: bytes, sink: _Sink, where: str | None = None) -> str | None:
    """Return the text, or None after refusing bytes that are no UTF-8 or hold a NUL."""
    where = where or sink.name
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        line = f"line {number}, " if where == sink.name else ""
        sink.reject(where, f"not UTF-8: {line}byte {error.start} is 0x{content[error.start]:02x}; save it as UTF-8")
        return None
    if "\0" in text:
        sink.reject(where, f"byte {text.encode().index(0)} is NUL: this is no text")
        return None
    return text


class _Sink(msgspec.Struct):
    """Collects the rows of one file, with an upper bound on what it keeps."""

    name: str
    now: datetime
    max_age: timedelta
    form: SignalForm = DEFAULT_FORM
    signals: list[Signal] = msgspec.field(default_factory=list)
    origins: list[str] = msgspec.field(default_factory=list)
    rejected: list[RejectedRow] = msgspec.field(default_factory=list)
    rejected_count: int = 0

    def add(self, row: object, where: str) -> None:
        """Judge one row."""
        if not isinstance(row, Mapping):
            self.reject(where, f"found {shown(row) if row is not None else 'nothing'}, a signal has named fields")
        elif isinstance(row, _Twice):
            self.reject(where, f"field {shown(row.name)} is given twice")
        else:
            self._keep(parse_row(row, now=self.now, where=where, max_age=self.max_age, form=self.form), where)

    def _keep(self, result: Signal | RejectedRow, where: str) -> None:
        if isinstance(result, RejectedRow):
            self._refuse(result)
        elif len(self.signals) >= MAX_SIGNALS:
            self.reject(self.name, f"more than {MAX_SIGNALS} signals in one file; split it", limit=str(MAX_SIGNALS))
        else:
            self.signals.append(result)
            self.origins.append(where)

    def reject(self, where: str, message: str, *, limit: str | None = None) -> None:
        """Refuse what is not even a row."""
        self._refuse(rejected(where, message, limit=limit))

    def _refuse(self, row: RejectedRow) -> None:
        self.rejected_count += 1
        if len(self.rejected) < MAX_REJECTED:
            self.rejected.append(row)

    def batch(self, token: str) -> SignalBatch:
        """Return what came together; a last row counts those that are not kept."""
        if more := self.rejected_count - len(self.rejected):
            self.rejected.append(rejected(self.name, f"{more} more rows were refused", value=self.rejected_count))
        return SignalBatch(
            name=self.name,
            signals=tuple(self.signals),
            where=tuple(self.origins),
            rejected=tuple(self.rejected),
            token=token,
        )


class _Chain:
    """Lines of bytes that were read ahead, then of the stream they came from."""

    __slots__ = ("_head", "_rest")

    def __init__(self, head: bytes, rest: BinaryIO) -> None:
        self._head = io.BytesIO(head)
        self._rest = rest

    def readline(self, limit: int) -> bytes:
        """Return up to *limit* bytes, to the end of a line at most; nothing at the end."""
        line = self._head.readline(limit)
        if len(line) < limit and not line.endswith(b"\n"):
            line += self._rest.readline(limit - len(line))
        return line


def _lines(stream: _Chain, sink: _Sink) -> Iterator[tuple[int, str]]:
    """Yield (number, text) of every line that is text; refuse the others. Blank lines are skipped."""
    number = 0
    while line := stream.readline(MAX_LINE + 1):
        number += 1
        where = f"{sink.name}:{number}"
        if len(line) > MAX_LINE and not line.endswith(b"\n"):
            while line and not line.endswith(b"\n"):
                line = stream.readline(MAX_LINE)
            sink.reject(where, f"the line is longer than {MAX_LINE} bytes", limit=f"{MAX_LINE} bytes")
        elif line.strip() and (text := _decoded(line, sink, where)) is not None:
            yield number, text


def _read_json_lines(lines: Iterator[tuple[int, str]], sink: _Sink) -> None:
    for number, text in lines:
        where = f"{sink.name}:{number}"
        try:
            row = _parse_json(text)
        except ValueError as error:
            sink.reject(where, f"not valid JSON: {error}")
        else:
            sink.add(row, where)


def _records(lines: Iterator[tuple[int, str]], sink: _Sink, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield (number of its first line, cells) of every row; refuse lines that are none.

    A cell in quotes may go on in the lines below. Where its end is not found in some of them, the first line is
    refused and the others are read for themselves: a stray quote costs its own row.
    """
    import csv

    waiting: deque[tuple[int, str]] = deque()
    while first := waiting.popleft() if waiting else next(lines, None):
        taken: list[tuple[int, str]] = []
        while True:
            text = first[1] + "".join(more for _, more in taken)
            rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
            try:
                yield first[0], next(rows, [])
                break
            except csv.Error as error:
                below = waiting.popleft() if waiting else next(lines, None)
                taken += [below] if below else []
                if below is None or len(taken) >= MOST_LINES or str(error) != OPEN_QUOTE:
                    sink.reject(f"{sink.name}:{first[0]}", f"not valid CSV: {error}")
                    waiting.extendleft(reversed(taken))
                    break


def _read_csv(lines: Iterator[tuple[int, str]], sink: _Sink, delimiter: str) -> None:
    """Read rows under a header."""
    header: _Header | None = None
    above: list[tuple[int, list[str]]] = []
    for number, cells in _records(lines, sink, delimiter):
        where = f"{sink.name}:{number}"
        if header is not None:
            _add_cells(cells, header, sink, where)
        elif header_score(cells) >= LEAST_NAMES or len(above) >= MOST_ABOVE:
            header = _Header.of(cells, sink.form)
            if problem := header.problem(sink.form):
                return sink.reject(where, problem, limit=", ".join(FIELDS))
        else:
            above.append((number, cells))
    if header is None and above:
        number, cells = above[0]
        sink.reject(f"{sink.name}:{number}", _Header.of(cells, sink.form).problem(sink.form), limit=", ".join(FIELDS))
    return None


def _add_cells(cells: list[str], header: _Header, sink: _Sink, where: str) -> None:
    """Judge one row of a table; a row of empty cells is none."""
    if not any(map(str.strip, cells)):
        return
    if not header.names[0]:
        header, cells = _without_index(header, cells)
    more = [cell for at, cell in enumerate(cells) if cell.strip() and (at >= len(header.names) or not header.names[at])]
    if more:
        named = len([name for name in header.names if name])
        sink.reject(where, f"{len([cell for cell in cells if cell.strip()])} cells under {named} columns")
        return
    pairs = zip(header.names, (re.sub(_FORMULA, r"\1", cell.strip()) for cell in cells), strict=False)
    sink.add({name: cell for name, cell in pairs if name}, where)


def _without_index(header: _Header, cells: list[str]) -> tuple[_Header, list[str]]:
    """Return header and cells without what pandas writes first, under no name: the number or the time of a row."""
    first, names = cells[0].strip(), header.names
    if first.isascii() and first.isdecimal():
        return header._replace(names=names[1:]), cells[1:]
    if "timestamp" not in header.ours and re.match(r"\d{4}-\d\d-\d\d", first):
        return header._replace(names=("timestamp", *names[1:])), cells
    return header, cells


class _Header(NamedTuple):
    """The names of the columns of one table."""

    names: tuple[str, ...]
    """As the file writes them; empty for a column without a name."""

    ours: tuple[str, ...]
    """Our fields among them."""

    @classmethod
    def of(cls, cells: Sequence[str], form: SignalForm) -> _Header:
        """Return the header that *cells* are."""
        mapped = {theirs.strip(): ours for ours, theirs in form.columns.items()}
        names = tuple(cell.strip() for cell in cells)
        ours = (mapped.get(name) or BY_SPELLING.get(plain_name(name), "") for name in names)
        return cls(names, tuple(field for field in ours if field))

    def problem(self, form: SignalForm) -> str:
        """Say what is wrong with the columns, or nothing."""
        if not self.ours:
            found = shown(",".join(self.names))
            return f"the first line names no field of a signal, found {found}"
        plain = [plain_name(name) for name in self.names if name]
        if len(set(plain)) < len(plain):
            twice = Counter(plain).most_common(1)[0][0]
            name = next(name for name in self.names if plain_name(name) == twice)
            return f"column {shown(name)} is given twice"
        least = [name for name, (_, required) in PARSERS.items() if required]
        if form.default_stop is not None:
            least.remove("stop_loss")
        if missing := [name for name in least if name not in self.ours]:
            strange = [name for name in self.names if name and not BY_SPELLING.get(plain_name(name))]
            near = [f"{slip!r}: did you mean {name}?" for name in missing if (slip := suggest(name, strange))]
            return f"missing column {', '.join(missing)}" + (f"; {' '.join(near)}" if near else "")
        return ""


def _form_of(head: bytes, delimiter: str, sink: _Sink) -> str:
    """Let the sink know the decimal sign and the order of dates in the head of a table; return what is unclear."""
    import csv

    sample = list(csv.reader(head[:MAX_LINE].decode("utf-8", "replace").splitlines()[:2000], delimiter=delimiter))
    at = next((number for number, cells in enumerate(sample) if header_score(cells) >= LEAST_NAMES), None)
    if at is None:
        return ""
    return _settle_form(sample[at], sample[at + 1 :], sink, comma_is_likely=delimiter == ";")


def _settle_form(header: Sequence[str], rows: Sequence[Sequence[str]], sink: _Sink, *, comma_is_likely: bool) -> str:
    """Find out the decimal sign and the order of dates; return what is unclear in words."""
    ours = [BY_SPELLING.get(plain_name(cell), "") for cell in header]

    def texts(*fields: str) -> Iterator[str]:
        return (row[at] for row in rows for at, name in enumerate(ours) if name in fields and at < len(row))

    prices = texts("entry_price", "stop_loss", "target_price", "confidence")
    decimals = find_decimals(prices, set_to=sink.form.decimal, comma_is_likely=comma_is_likely)
    if decimals.unclear:
        readings = " or ".join(map(str, number_readings(decimals.unclear)))
        return f"{shown(decimals.unclear)} is {readings}, and nothing in the file decides: set signals.decimal"
    times = [text for text in texts("timestamp", "expires_at") if order_proof(text)]
    order = find_order(times, set_to=sink.form.dates) if times else DateOrder(sink.form.dates)
    if order.unclear:
        readings = two_readings(order.unclear.split(" ")[0])
        return f"{shown(order.unclear)} is {readings}, and nothing in the file decides: set signals.dates"
    # where rows contradict each other none decides for the others: each has to be clear by itself
    decimal, dates = "" if decimals.mixed else decimals.sign, "" if order.mixed else order.order
    named = (dict(zip(header, row, strict=False)) for row in rows)
    sink.form = learned(sink.form._replace(decimal=decimal, dates=dates), named, sink.now)
    return ""


def _read_workbook(content: bytes, sink: _Sink) -> None:
    """Read the first sheet of a workbook that holds anything."""
    try:
        rows = workbook_rows(content, sink.name)
    except InputError as error:
        return sink.reject(sink.name, f"{error.message} {error.hint}")
    at = next((number for number, row in enumerate(rows) if header_score(row.cells) >= LEAST_NAMES), 0)
    if not rows:
        return sink.reject(sink.name, "the workbook is empty")
    header = _Header.of(rows[at].cells, sink.form)
    below = rows[at + 1 :]
    problem = header.problem(sink.form) or _settle_form(
        rows[at].cells, [row.cells for row in below], sink, comma_is_likely=False
    )
    if problem:
        return sink.reject(f"{sink.name}:{rows[at].line}", problem)
    for row in below:
        _add_cells(row.cells, header, sink, f"{sink.name}:{row.line}")
    return None


def _read_json(text: str, sink: _Sink) -> None:
    if not text.strip():
        return
    try:
        document = _parse_json(text)
    except ValueError as error:
        sink.reject(sink.name, f"not valid JSON: {error}")
    else:
        _add_document(document, sink)


def _read_yaml(text: str, sink: _Sink) -> None:
    try:
        document = parse_yaml(text)
    except YamlProblem as problem:
        sink.reject(sink.name, f"not valid YAML: {problem}")
    else:
        if document is not None:
            _add_document(document, sink)


def _add_document(document: object, sink: _Sink) -> None:
    """Take one signal, a list of them, or a mapping with the list under ``signals``, ``alerts`` or ``data``.

    A mapping without a field of a signal may hold one list of them under another name, or one as text.
    """
    document = _inside(document)
    if isinstance(document, Mapping):
        name = next((key for key in document if isinstance(key, str) and key.lower() in LISTS), None)
        if name is not None and (isinstance(document[name], list) or name == "signals"):
            document = document[name] or []
        if not isinstance(document, list | Mapping):
            return sink.reject(sink.name, f"signals: found {shown(document)}, allowed: a list")
    if not isinstance(document, list):
        return sink.add(document, sink.name)
    sink.form = learned(sink.form, (row for row in document if isinstance(row, Mapping)), sink.now)
    for number, row in enumerate(document):
        sink.add(row, f"{sink.name}[{number}]")
    return None


def _inside(document: object) -> object:
    """Return what a mapping without any field of a signal is only the wrapping of."""
    if not isinstance(document, Mapping) or isinstance(document, _Twice) or any(map(is_known, map(str, document))):
        return document
    for name, value in document.items():
        if isinstance(value, list) and value and all(isinstance(item, Mapping) for item in value):
            return value
        if isinstance(value, Mapping) and isinstance(inner := _inside(value), list):
            return inner
        if plain_name(str(name)) in TEXTS and isinstance(value, str) and value.lstrip().startswith(("{", "[")):
            try:
                return _parse_json(value)
            except ValueError:
                return document
    return document


class _Twice(dict[str, object]):
    """A JSON object with one of its names given twice."""

    name = ""


def _parse_json(text: str) -> object:
    return parse_json(text, _object)


def _object(pairs: Pairs) -> dict[str, object]:
    result = dict(pairs)
    if len(result) == len(pairs):
        return result
    twice = _Twice(result)
    twice.name = given_twice(pairs)
    return twice
