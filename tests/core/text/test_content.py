"""Files of kinds that are not read: each says what it is, and what to do."""

from __future__ import annotations

import bz2
import io
import lzma
from datetime import UTC, datetime, timedelta

import pytest

from apex_cli.core.adapters.files.executions.execution_files import read_executions
from apex_cli.core.adapters.files.prices.price_files import read_prices
from apex_cli.core.adapters.files.signals.signal_reader import read_signals
from apex_cli.core.errors import InputError

KINDS = {
    "Office before 2007": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\x00" * 600,
    "PDF": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n",
    "RTF": b"{\\rtf1\\ansi Symbol}",
    "xz": lzma.compress(b"Symbol,Side\nAAPL,Buy\n"),
    "bzip2": bz2.compress(b"Symbol,Side\nAAPL,Buy\n"),
    "7z": b"7z\xbc\xaf\x27\x1c\x00\x04",
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_another_kind_says_what_it_is_and_what_to_do(kind: str) -> None:
    for read in (read_executions, read_prices):
        with pytest.raises(InputError, match=kind) as caught:
            read(KINDS[kind], "list.csv")
        assert caught.value.hint.startswith(("Save it", "Export", "Unpack"))
    now = datetime(2026, 3, 2, 20, 0, tzinfo=UTC)
    batch = read_signals(io.BytesIO(KINDS[kind]), "list.csv", now=now, max_age=timedelta(days=1), kind="csv")
    (row,) = batch.rejected
    assert kind in row.reason.message
    assert any(word in row.reason.message for word in (": save it", ": export", ": unpack"))
