"""The bytes of a file as text: unpacked, decoded, without signs that no text has."""

from __future__ import annotations

import io
import re
import zlib

from apex_cli.core.text.problems import unusable

MAX_UNPACKED = 200_000_000
"""Most bytes that a compressed file may become."""

MAX_RATIO = 200
"""Most bytes that a compressed byte may become: text shrinks to a tenth, rarely to a fiftieth."""

GZIP, ZIP, PARQUET, ARROW = b"\x1f\x8b", b"PK\x03\x04", b"PAR1", b"ARROW1"

NO_TEXT = {
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": (
        "is a workbook or document of Office before 2007",
        "Save it as .xlsx or CSV.",
    ),
    b"%PDF-": ("is a PDF document", "Export the list as CSV."),
    b"{\\rtf": ("is an RTF document", "Save it as plain text."),
    b"\xfd7zXZ\x00": ("is compressed with xz", "Unpack it, or compress it with gzip."),
    b"BZh": ("is compressed with bzip2", "Unpack it, or compress it with gzip."),
    b"\x28\xb5\x2f\xfd": ("is compressed with Zstandard", "Unpack it, or compress it with gzip."),
    b"7z\xbc\xaf\x27\x1c": ("is a 7z archive", "Unpack it."),
    b"Rar!\x1a\x07": ("is a RAR archive", "Unpack it."),
}
"""How files begin that people have and that are not read -> what they are, and what to do.

Source: https://www.iana.org/assignments/media-types, and the formats' own specifications.
"""

_WORKBOOK = "[Content_Types].xml"
"""The file by which a workbook is known from other archives."""

_BOMS = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)

_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


def unpacked(content: bytes, name: str) -> bytes:
    """Return *content* without its compression: gzip, or a zip archive of one file. A workbook stays as it is.

    Raises:
        InputError: it is damaged, becomes far too large, holds several files, or is of a kind that is not read.
    """
    for begin, (what, hint) in NO_TEXT.items():
        if content.startswith(begin):
            raise unusable(name, what, hint)
    if content.startswith(ZIP):
        return _from_archive(content, name)
    if not content.startswith(GZIP):
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
            refuse_large(inside[0].file_size, len(content), name)
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


def refuse_large(size: int, packed: int, name: str) -> None:
    """Raise InputError where *packed* bytes would become *size* bytes, far more than a table has."""
    if size > max(10_000_000, packed * MAX_RATIO // 4):
        raise unusable(name, "becomes far too large when it is unpacked", "Save it as CSV.")
