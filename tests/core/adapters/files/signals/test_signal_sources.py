from __future__ import annotations

import errno
import io
import json
import os
import socket
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from apex_cli.core.adapters.files.signals.inbox import InboxSource
from apex_cli.core.adapters.files.signals.signal_fields import FIELDS
from apex_cli.core.adapters.files.signals.signal_reader import (
    MAX_DOCUMENT,
    MAX_LINE,
    MAX_REJECTED,
    MAX_SIGNALS,
    MAX_YAML,
    read_signals,
)
from apex_cli.core.adapters.files.signals.signal_rows import parse_row
from apex_cli.core.adapters.files.signals.signal_sources import FileSource, StdinSource
from apex_cli.core.errors import ExitStatus, InputError
from apex_cli.core.model.instrument import MarketType, OptionRight
from apex_cli.core.model.reason import Reason
from apex_cli.core.model.records import RejectedRow
from apex_cli.core.model.signal import Signal, SignalType
from apex_cli.core.ports import SignalBatch

NOW = datetime(2026, 3, 2, 20, 0, tzinfo=UTC)
DAY = timedelta(days=1)
GOOD: dict[str, Any] = {
    "symbol": "AAPL",
    "signal_type": "BUY",
    "entry_price": 50,
    "stop_loss": 48,
    "target_price": 54,
    "confidence": "0.8",
}


def parse(**changes: object) -> Signal | RejectedRow:
    return parse_row({**GOOD, **changes}, now=NOW, where="a.json[0]", max_age=DAY)


def signal(**changes: object) -> Signal:
    result = parse(**changes)
    assert isinstance(result, Signal), result
    return result


def read(content: bytes | str, kind: str | None = None, name: str = "x") -> SignalBatch:
    data = content if isinstance(content, bytes) else content.encode()
    return read_signals(io.BytesIO(data), name, now=NOW, max_age=DAY, kind=kind)


def why(batch: SignalBatch) -> list[str]:
    return [f"{row.where} {row.reason.message}" for row in batch.rejected]


class TestRows:
    def test_a_row_becomes_a_signal_with_defaults(self) -> None:
        found = signal()
        assert found.instrument.key == "AAPL"
        assert found.signal_type is SignalType.BUY
        assert found.target_prices == (Decimal(54),)
        assert found.confidence == Decimal("0.8")
        assert (found.created_at, found.expires_at) == (NOW, NOW + DAY)
        assert len(found.signal_id) == 26

    def test_every_field_is_read(self) -> None:
        found = signal(
            symbol=" spy ",
            signal_type="long_put",
            market_type="OPTIONS",
            expiry="2026-12-18",
            strike="500.00",
            right="put",
            entry_price="2.50",
            stop_loss=Decimal("1.25"),
            target_price=None,
            target_prices=[8, "5"],
            strategy="hedge",
            source="desk",
            timestamp="2026-03-02T10:00:00-05:00",
            expires_at="2026-03-02T16:00:00Z",
            signal_id="my:id-1",
            metadata={"rsi": Decimal("31.5"), "n": 2, "ok": True, "note": "a\nb", "none": None},
        )
        assert found.instrument.key == "SPY@options 2026-12-18 P500"
        assert found.instrument.right is OptionRight.PUT
        assert found.instrument.market_type is MarketType.OPTIONS
        assert str(found.entry_price) == "2.50"
        assert found.target_prices == (Decimal(5), Decimal(8))
        assert found.created_at == datetime(2026, 3, 2, 15, tzinfo=UTC)
        assert found.expires_at == datetime(2026, 3, 2, 16, tzinfo=UTC)
        assert found.signal_id == "my:id-1"
        assert found.metadata == {"rsi": 31.5, "n": 2, "ok": True, "note": "a\nb", "none": None}

    def test_a_stop_on_the_wrong_side_is_well_formed(self) -> None:
        assert signal(stop_loss=60).stop_loss == 60

    def test_targets_come_nearest_first_whatever_the_side(self) -> None:
        assert signal(target_price="", target_prices="58;54").target_prices == (54, 58)
        assert signal(signal_type="SHORT", target_price="", target_prices=[40, 45]).target_prices == (45, 40)

    @pytest.mark.parametrize("entry", ["10.3", Decimal("10.3"), 10.3])
    def test_prices_are_exactly_what_was_written(self, entry: object) -> None:
        assert str(signal(entry_price=entry).entry_price) == "10.3"

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("symbol", None),
            ("symbol", "  "),
            ("symbol", "A$B"),
            ("symbol", "ß"),
            ("symbol", "A" * 21),
            ("symbol", 700),
            ("symbol", True),
            ("symbol", "../x"),
            ("signal_type", "HOLD"),
            ("signal_type", None),
            ("signal_type", 1),
            ("entry_price", None),
            ("entry_price", "NaN"),
            ("entry_price", float("nan")),
            ("entry_price", Decimal("Infinity")),
            ("entry_price", -1),
            ("entry_price", 0),
            ("entry_price", "abc"),
            ("entry_price", "1_0"),
            ("entry_price", "١٢"),
            ("entry_price", True),
            ("entry_price", [50]),
            ("entry_price", "1e99"),
            ("entry_price", "1e-99"),
            ("entry_price", 10**30),
            ("stop_loss", "9" * 50),
            ("target_prices", list(range(1, 12))),
            ("target_prices", []),
            ("target_prices", {"a": 1}),
            ("target_prices", 58),
            ("confidence", 1.01),
            ("confidence", -0.1),
            ("confidence", True),
            ("timestamp", "2026-03-02"),
            ("timestamp", "2026-03-02T15:30:00"),
            ("timestamp", "yesterday"),
            ("timestamp", "0001-01-01T00:00:00+05:00"),
            ("expires_at", "2026-03-02T15:30"),
            ("strategy", "x" * 201),
            ("strategy", "a\x1b[31m"),
            ("source", "\ud800"),
            ("signal_id", "a b"),
            ("signal_id", "x" * 65),
            ("signal_id", "é"),
            ("metadata", [1]),
            ("metadata", {"a": {"b": 1}}),
            ("metadata", {"a": Decimal("NaN")}),
            ("metadata", {"a": 2**63}),
            ("metadata", {str(n): n for n in range(51)}),
            ("strike", 5),
            ("right", "C"),
            ("expiry", "2026-12-18"),
        ],
    )
    def test_a_bad_field_is_refused_by_name(self, field: str, value: object) -> None:
        found = parse(**{field: value})
        assert isinstance(found, RejectedRow)
        assert found.where == "a.json[0]"
        assert found.reason.code == "signal_invalid"
        assert field.removesuffix("s") in found.reason.message
        assert found.reason.limit
        assert found.reason.message.isprintable()
        assert len(msgspec.json.encode(found)) < 1500

    def test_an_unknown_field_is_refused_with_what_was_meant(self) -> None:
        found = parse(stop_los=48)
        assert isinstance(found, RejectedRow)
        assert "'stop_los': no such field; did you mean stop_loss?" in found.reason.message

    def test_an_unknown_type_is_refused_with_what_was_meant_and_all_there_is(self) -> None:
        found = parse(signal_type="LNG")
        assert isinstance(found, RejectedRow)
        assert "did you mean LONG?" in found.reason.message
        assert all(kind in (found.reason.limit or "") for kind in SignalType)

    def test_a_bare_date_is_refused_with_the_fix(self) -> None:
        found = parse(timestamp="2026-03-02")
        assert isinstance(found, RejectedRow)
        assert "2026-03-02T15:30:00-05:00" in found.reason.message

    def test_an_expiry_before_the_timestamp_is_refused(self) -> None:
        found = parse(timestamp="2026-03-02T15:30:00Z", expires_at="2026-03-02T15:30:00Z")
        assert isinstance(found, RejectedRow)
        assert "expires_at" in found.reason.message

    def test_a_right_that_contradicts_the_type_is_refused(self) -> None:
        found = parse(signal_type="LONG_CALL", market_type="options", right="P")
        assert isinstance(found, RejectedRow)
        assert "contradicts LONG_CALL" in found.reason.message

    def test_all_problems_are_reported_and_what_was_good_stays_known(self) -> None:
        found = parse(entry_price="x", stop_loss="y", signal_id="id-1", confidence=7)
        assert isinstance(found, RejectedRow)
        assert (found.symbol, found.signal_id) == ("AAPL", "id-1")
        assert all(name in found.reason.message for name in ("entry_price", "stop_loss", "confidence"))

    def test_the_same_content_has_the_same_id_however_it_is_written_and_wherever_it_is_from(self) -> None:
        ids = {
            signal().signal_id,
            signal(entry_price="50.00", stop_loss=Decimal("48.0"), source="other").signal_id,
            signal(symbol="aapl", signal_type="buy", confidence=Decimal("0.80")).signal_id,
        }
        assert len(ids) == 1
        assert signal(entry_price=51).signal_id not in ids

    def test_the_id_does_not_depend_on_when_it_is_read(self) -> None:
        later = parse_row(GOOD, now=NOW + DAY, where="b.csv:9", max_age=DAY)
        assert isinstance(later, Signal)
        assert later.signal_id == signal().signal_id


class TestFormats:
    LINE = json.dumps(GOOD)
    YAML = "symbol: ON\nsignal_type: buy\nentry_price: 10.30\nstop_loss: 10.2\n"

    @pytest.mark.parametrize(
        ("content", "where"),
        [
            (LINE, ["x"]),
            (json.dumps(GOOD, indent=1), ["x"]),
            (f"[{LINE}, {LINE}]", ["x[0]", "x[1]"]),
            (f'{{"signals": [{LINE}]}}', ["x[0]"]),
            (f"{LINE}\n\n{LINE}\r\n", ["x:1", "x:3"]),
            (YAML, ["x"]),
            ("signals:\n- " + YAML.replace("\n", "\n  "), ["x[0]"]),
            ("- " + YAML.replace("\n", "\n  "), ["x[0]"]),
            ("Symbol,signal_type,entry_price,stop_loss\nAAPL,BUY,50,48\n\nON,buy,10.30,10.2,\n", ["x:2", "x:4"]),
            ("", []),
            (" \n\n", []),
            ("[]", []),
            ('{"signals": []}', []),
        ],
    )
    def test_the_format_is_found_out(self, content: str, where: list[str]) -> None:
        for data in (content.encode(), b"\xef\xbb\xbf" + content.encode()):
            batch = read(data)
            assert why(batch) == []
            assert list(batch.where) == where
            assert len(batch.signals) == len(where)

    def test_a_yaml_fraction_and_ticker_are_taken_as_written(self) -> None:
        (found,) = read(self.YAML, "yaml").signals
        assert (found.symbol, str(found.entry_price)) == ("ON", "10.30")

    def test_a_json_fraction_is_taken_as_written(self) -> None:
        (found,) = read(self.LINE.replace("50", "50.10000000000000000001"), "json").signals
        assert str(found.entry_price) == "50.10000000000000000001"

    def test_a_metadata_cell_holds_json(self) -> None:
        text = 'symbol,signal_type,entry_price,stop_loss,target_prices,metadata\nA,BUY,50,48,54 58,"{""rsi"": 30}"\n'
        (found,) = read(text, "csv").signals
        assert found.metadata == {"rsi": 30}
        assert found.target_prices == (54, 58)

    @pytest.mark.parametrize(
        ("content", "kind", "message"),
        [
            ('{"symbol": "A", "symbol": "B"}', "json", "field 'symbol' is given twice"),
            ("symbol: A\nsymbol: B\n", "yaml", "line 2, column 1: key 'symbol' is given twice"),
            ("a: &a [1]\nb: *a\n", "yaml", "aliases"),
            ("!!python/object/apply:os.system [ls]\n", "yaml", "apply:os.system' is not supported"),
            ("[" * 100_000, "json", "nested too deeply"),
            ('{"a":' * 100_000, None, "not"),
            ("[" * 100_000, "yaml", "nested more than 50 levels deep"),
            ("{", "json", "line 1 column 2"),
            ("3", "json", "found 3, a signal has named fields"),
            ('{"signals": 3}', "json", "signals: found 3, allowed: a list"),
            ("[1]", "json", "x[0] found 1"),
            ("a;b\n1;2\n", "csv", "names no field of a signal, found 'a,b'"),
            ("AAPL,BUY,50,48\n", "csv", "the first line names no field"),
            ("symbol,signal_type,entry_price\n", "csv", "missing column stop_loss"),
            (
                "symbol,signal_type,entry_price,stop_lose\n",
                "csv",
                "missing column stop_loss; 'stop_lose': did you mean stop_loss?",
            ),
            ("symbol,signal_type,entry_price,stop_loss,symbol\n", "csv", "column 'symbol' is given twice"),
            (b"\xff\xfe[", None, "is not UTF-16-LE at byte 0"),
            (b'[{"symbol": "\xff"}]', "json", "not UTF-8: line 1, byte 13 is 0xff"),
            (b"[\0]", "json", "byte 1 is NUL"),
            (b" " * (MAX_DOCUMENT + 1) + b"[]", "json", "larger than 5 MB; use JSON Lines or CSV"),
            (b"#" * (MAX_YAML + 1), "yaml", "larger than 1 MB; use JSON Lines or CSV"),
        ],
    )
    def test_a_bad_document_is_one_refused_row(self, content: bytes | str, kind: str | None, message: str) -> None:
        batch = read(content, kind)
        assert batch.signals == ()
        (reported,) = why(batch)
        assert message in reported

    def test_good_rows_go_on_after_bad_lines(self) -> None:
        lines = [self.LINE.encode(), b"{", b'{"a": "\xff"}', b"x\0y", b"x" * (MAX_LINE + 5), b"[1]", self.LINE.encode()]
        batch = read(b"\n".join(lines), "lines")
        assert batch.where == ("x:1", "x:7")
        assert [row.where for row in batch.rejected] == ["x:2", "x:3", "x:4", "x:5", "x:6"]
        assert "longer than 1000000 bytes" in batch.rejected[3].reason.message

    def test_good_csv_rows_go_on_after_bad_ones(self) -> None:
        text = 'symbol,signal_type,entry_price,stop_loss\nA,BUY,50,48,9\nA,BUY,x,48\n"A,BUY,50,48\nA,BUY\nA,BUY,50,48\n'
        batch = read(text, "csv")
        assert batch.where == ("x:6",)
        assert [row.where for row in batch.rejected] == ["x:2", "x:3", "x:4", "x:5"]
        assert "5 cells under 4 columns" in batch.rejected[0].reason.message

    def test_a_field_of_nan_spoils_its_row_only(self) -> None:
        batch = read(f'[{{"symbol": "A", "entry_price": NaN}}, {self.LINE}]', "json")
        assert batch.where == ("x[1]",)
        assert "found 'NaN'" in batch.rejected[0].reason.message


class _Endless(io.RawIOBase):
    """*count* copies of *block*, made as they are read."""

    def __init__(self, block: bytes, count: int) -> None:
        self._blocks: Iterator[bytes] = (block for _ in range(count))
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._left or next(self._blocks, b"")
        taken = data[: len(buffer)]
        self._left = data[len(taken) :]
        buffer[: len(taken)] = taken
        return len(taken)


class TestBounds:
    def test_a_line_of_100_megabytes_does_not_fill_the_memory(self) -> None:
        stream = io.BufferedReader(_Endless(b"x" * 1_000_000, 100))
        tracemalloc.start()
        try:
            batch = read_signals(stream, "x", now=NOW, max_age=DAY, kind="lines")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert [row.where for row in batch.rejected] == ["x:1"]
        assert peak < 25_000_000

    def test_many_junk_rows_are_counted_and_not_kept(self) -> None:
        stream = io.BufferedReader(_Endless(b"{}\n" * 1000, 20))
        batch = read_signals(stream, "x", now=NOW, max_age=DAY, kind="lines")
        assert len(batch.rejected) == MAX_REJECTED + 1
        assert batch.rejected[-1].reason.message == "19000 more rows were refused"

    def test_signals_beyond_the_bound_are_refused_not_forgotten(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("apex_cli.core.adapters.files.signals.signal_reader.MAX_SIGNALS", 3)
        batch = read("\n".join([json.dumps(GOOD)] * 5), "lines")
        assert len(batch.signals) == 3
        assert why(batch) == ["x more than 3 signals in one file; split it"] * 2
        assert MAX_SIGNALS >= 1000


class TestFileSource:
    def test_a_file_comes_again_until_it_is_settled_and_stays_where_it_is(self, tmp_path: Path) -> None:
        path = tmp_path / "a.json"
        path.write_text(json.dumps(GOOD))
        source = FileSource([path])
        (first,), (second,) = source.poll(NOW), source.poll(NOW + DAY)
        assert first is second
        assert first.name == "a.json"
        source.settle(first, ())
        assert list(source.poll(NOW)) == []
        assert path.exists()

    @pytest.mark.parametrize("name", ["gone.json", "."])
    def test_a_missing_file_or_a_folder_is_an_input_error(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(InputError, match="cannot be read") as caught:
            list(FileSource([tmp_path / name]).poll(NOW))
        assert caught.value.status is ExitStatus.USAGE

    def test_an_empty_file_is_reported(self, tmp_path: Path) -> None:
        (tmp_path / "a.csv").touch()
        (batch,) = FileSource([tmp_path / "a.csv"]).poll(NOW)
        assert why(batch) == ["a.csv the file is empty"]

    @pytest.mark.skipif(not Path("/dev/fd").exists(), reason="no /dev/fd")
    def test_a_pipe_is_as_good_as_a_file(self) -> None:
        reading, writing = os.pipe()
        os.write(writing, json.dumps(GOOD).encode())
        os.close(writing)
        (batch,) = FileSource([Path(f"/dev/fd/{reading}")]).poll(NOW)
        os.close(reading)
        assert len(batch.signals) == 1

    def test_the_ending_decides_the_format(self, tmp_path: Path) -> None:
        (tmp_path / "a.yml").write_text("symbol: [")
        (batch,) = FileSource([tmp_path / "a.yml"]).poll(NOW)
        assert "not valid YAML" in batch.rejected[0].reason.message


class TestFileVersion:
    """What a file is known by when another process reads it."""

    def versions(self, folder: Path) -> tuple[str, str]:
        """Return what the file is called when it is named, and when it is in an inbox."""
        (named,) = FileSource([folder / "a.json"]).poll(NOW)
        (found,) = InboxSource(folder, is_once=True).poll(NOW)
        return named.file_version, found.file_version

    @pytest.mark.parametrize("content", [b"{}", b"", b"[", b"\xff"])
    def test_it_is_the_same_while_nobody_writes(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "a.json").write_bytes(content)
        named, found = self.versions(tmp_path)
        assert named == found
        assert named.endswith("/a.json")
        assert self.versions(tmp_path) == (named, found)

    def test_it_differs_after_the_same_was_written_again(self, tmp_path: Path) -> None:
        path = tmp_path / "a.json"
        path.write_bytes(b"{}")
        before = self.versions(tmp_path)
        os.utime(path, ns=(1, path.stat().st_mtime_ns + 1))
        assert self.versions(tmp_path) != before
        (tmp_path / "a.tmp").write_bytes(b"{}")
        os.utime(tmp_path / "a.tmp", ns=(1, path.stat().st_mtime_ns))
        rewritten = self.versions(tmp_path)
        (tmp_path / "a.tmp").replace(path)
        assert self.versions(tmp_path) != rewritten

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="nothing is closed to root")
    def test_a_file_that_cannot_be_opened_has_one_too(self, tmp_path: Path) -> None:
        (tmp_path / "a.json").write_bytes(b"{}")
        (tmp_path / "a.json").chmod(0)
        first, second = (next(iter(InboxSource(tmp_path, is_once=True).poll(NOW))) for _ in range(2))
        assert first.file_version == second.file_version != ""

    def test_what_cannot_be_read_twice_has_none(self) -> None:
        (batch,) = StdinSource(io.BytesIO(b"{}")).poll(NOW)
        assert batch.file_version == ""


class TestStdinSource:
    def test_it_is_read_once_and_kept_until_settled(self) -> None:
        source = StdinSource(io.BytesIO(json.dumps(GOOD).encode()))
        (first,), (second,) = source.poll(NOW), source.poll(NOW)
        assert first is second
        assert (first.name, len(first.signals)) == ("-", 1)
        source.settle(first, ())
        assert list(source.poll(NOW)) == []

    def test_nothing_is_an_empty_batch(self) -> None:
        (batch,) = StdinSource(io.BytesIO(b"")).poll(NOW)
        assert (batch.signals, batch.rejected) == ((), ())

    def test_a_closed_stream_is_an_input_error(self) -> None:
        stream = io.BytesIO()
        stream.close()
        with pytest.raises(InputError, match="Standard input"):
            list(StdinSource(stream).poll(NOW))


class TestInbox:
    def put(self, folder: Path, name: str, *rows: object) -> Path:
        path = folder / name
        path.write_text("\n".join(json.dumps(row) for row in rows))
        return path

    def test_files_are_taken_by_name_and_hidden_or_temporary_ones_are_left(self, tmp_path: Path) -> None:
        for name in ("b.json", "a.json", ".c.json", "d.json.tmp", "~e.json", "f.part"):
            self.put(tmp_path, name, GOOD)
        (tmp_path / "folder.json").mkdir()
        names = [batch.name for batch in InboxSource(tmp_path, is_once=True).poll(NOW)]
        assert names == ["a.json", "b.json"]

    def test_a_file_is_taken_only_when_it_stands_still_over_two_polls(self, tmp_path: Path) -> None:
        source = InboxSource(tmp_path)
        path = self.put(tmp_path, "a.json", GOOD)
        assert list(source.poll(NOW)) == []
        path.write_text(path.read_text() + "\n" + json.dumps(GOOD))
        assert list(source.poll(NOW)) == []
        (batch,) = source.poll(NOW)
        assert len(batch.signals) == 2

    def test_a_settled_file_moves_to_processed_with_the_reasons_of_bad_rows(self, tmp_path: Path) -> None:
        source = InboxSource(tmp_path, is_once=True)
        path = self.put(tmp_path, "a.json", GOOD, {"symbol": "B"})
        (batch,) = source.poll(NOW)
        assert path.exists()
        source.settle(batch, ())
        assert not path.exists()
        assert (tmp_path / "processed" / "a.json").exists()
        reported = json.loads((tmp_path / "processed" / "a.json.reason.json").read_text())
        assert reported["file"] == "a.json"
        assert reported["rejected"][0]["where"] == "a.json:2"
        assert list(source.poll(NOW)) == []

    def test_a_file_without_a_good_row_moves_to_rejected(self, tmp_path: Path) -> None:
        source = InboxSource(tmp_path, is_once=True)
        for name in ("a.json", "b.csv", "c.bin"):
            (tmp_path / name).write_bytes({"a.json": b"{}", "b.csv": b"", "c.bin": b"\xff\x00"}[name])
        for batch in source.poll(NOW):
            source.settle(batch, ())
        names = sorted(path.name for path in (tmp_path / "rejected").iterdir())
        assert names == [f"{name}{end}" for name in ("a.json", "b.csv", "c.bin") for end in ("", ".reason.json")]

    def test_a_list_of_no_signals_is_processed(self, tmp_path: Path) -> None:
        (tmp_path / "a.json").write_text("[]")
        source = InboxSource(tmp_path, is_once=True)
        (batch,) = source.poll(NOW)
        source.settle(batch, ())
        assert (tmp_path / "processed" / "a.json").exists()

    def test_the_same_name_again_gets_a_number(self, tmp_path: Path) -> None:
        source = InboxSource(tmp_path, is_once=True)
        for _ in range(3):
            self.put(tmp_path, "a.json", GOOD)
            (batch,) = source.poll(NOW)
            source.settle(batch, ())
        names = sorted(path.name for path in (tmp_path / "processed").iterdir())
        assert names == ["a.1.json", "a.2.json", "a.json"]

    @pytest.mark.parametrize("name", ["n" * 250 + ".json", "a." + "x" * 250, "é" * 125 + ".csv"])
    def test_a_name_that_has_no_room_for_its_reasons_is_shortened(self, tmp_path: Path, name: str) -> None:
        source = InboxSource(tmp_path, is_once=True)
        for _ in range(2):
            (tmp_path / name).write_text("{")
            (batch,) = source.poll(NOW)
            source.settle(batch, ())
        moved = sorted(path.name for path in (tmp_path / "rejected").iterdir())
        assert len(moved) == 4
        assert not (tmp_path / name).exists()
        assert sum(end.endswith(".reason.json") for end in moved) == 2
        assert all(end.startswith(name[:50]) for end in moved)

    def test_a_file_that_changed_after_reading_is_not_moved_but_read_again(self, tmp_path: Path) -> None:
        source = InboxSource(tmp_path, is_once=True)
        path = self.put(tmp_path, "a.json", GOOD)
        (batch,) = source.poll(NOW)
        self.put(tmp_path, "a.json", GOOD, {**GOOD, "symbol": "MSFT"})
        source.settle(batch, ())
        assert path.exists()
        (again,) = source.poll(NOW)
        assert [found.symbol for found in again.signals] == ["AAPL", "MSFT"]

    def test_settling_twice_does_nothing_more(self, tmp_path: Path) -> None:
        source = InboxSource(tmp_path, is_once=True)
        self.put(tmp_path, "a.json", GOOD)
        (batch,) = source.poll(NOW)
        source.settle(batch, ())
        source.settle(batch, ())
        assert [path.name for path in (tmp_path / "processed").iterdir()] == ["a.json"]

    def test_folders_can_be_chosen(self, tmp_path: Path) -> None:
        inbox = tmp_path / "in"
        inbox.mkdir()
        self.put(inbox, "a.json", GOOD)
        source = InboxSource(inbox, processed_dir=tmp_path / "done" / "deep", is_once=True)
        (batch,) = source.poll(NOW)
        source.settle(batch, ())
        assert (tmp_path / "done" / "deep" / "a.json").exists()

    def test_a_file_that_cannot_be_moved_is_reported_once_and_the_others_go_on(self, tmp_path: Path) -> None:
        (tmp_path / "processed").write_text("a file where the folder should be")
        for name in ("a.json", "b.json"):
            self.put(tmp_path, name, GOOD)
        reported: list[Reason] = []
        source = InboxSource(tmp_path, is_once=True, notice=reported.append)
        for _ in range(2):
            for batch in source.poll(NOW):
                if batch.name != "processed":
                    source.settle(batch, ())
        assert [reason.code for reason in reported] == ["inbox_stuck"] * 2
        assert str(tmp_path / "a.json") in reported[0].message
        assert "processed is a file, not a folder" in reported[0].message
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "b.json", "processed"]

    def test_a_missing_inbox_is_an_input_error(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"inbox .* cannot be read"):
            list(InboxSource(tmp_path / "gone").poll(NOW))

    def test_an_undecodable_file_name_is_shown_escaped(self, tmp_path: Path) -> None:
        name = os.fsdecode(b"a\xff.json")
        try:
            (tmp_path / name).write_text("{}")
        except OSError:
            pytest.skip("this file system takes no such name")
        (batch,) = InboxSource(tmp_path, is_once=True).poll(NOW)
        msgspec.json.encode(batch)
        assert batch.name == "a\\udcff.json"


@pytest.mark.skipif(os.name != "posix", reason="links and pipes")
class TestStrangers:
    """What somebody else may do to an inbox."""

    def inbox(self, tmp_path: Path) -> Path:
        folder = tmp_path / "inbox"
        folder.mkdir()
        folder.chmod(0o777)
        return folder

    def settle_all(self, folder: Path, **options: Any) -> tuple[list[SignalBatch], list[Reason]]:
        reported: list[Reason] = []
        source = InboxSource(folder, is_once=True, notice=reported.append, **options)
        batches = list(source.poll(NOW))
        for batch in batches:
            source.settle(batch, ())
        return batches, reported

    @pytest.mark.parametrize("target", ["..", "elsewhere", "nowhere", "."])
    @pytest.mark.parametrize("name", ["processed", "rejected"])
    def test_a_link_in_place_of_a_folder_leads_nowhere(self, tmp_path: Path, name: str, target: str) -> None:
        inbox, elsewhere = self.inbox(tmp_path), tmp_path / "elsewhere"
        elsewhere.mkdir()
        (inbox / name).symlink_to(elsewhere if target == "elsewhere" else target)
        (inbox / "a.json").write_text(json.dumps(GOOD) if name == "processed" else "{")
        (batch,), (reason,) = self.settle_all(inbox)
        assert batch.name == "a.json"
        assert "is a link, not a folder" in reason.message
        assert sorted(path.name for path in inbox.iterdir()) == sorted(["a.json", name])
        assert [*elsewhere.iterdir()] == []
        assert {path.name for path in tmp_path.iterdir()} == {"inbox", "elsewhere"}

    def test_an_inbox_that_is_a_link_is_refused(self, tmp_path: Path) -> None:
        real = self.inbox(tmp_path)
        (tmp_path / "link").symlink_to(real)
        with pytest.raises(InputError, match="is a link") as caught:
            list(InboxSource(tmp_path / "link").poll(NOW))
        assert caught.value.code == "inbox_not_ours"

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="gives folders away")
    @pytest.mark.parametrize("name", ["processed", "rejected", ""])
    def test_a_folder_of_another_user_is_not_used(self, tmp_path: Path, name: str) -> None:
        inbox = self.inbox(tmp_path)
        (inbox / "a.json").write_text(json.dumps(GOOD) if name == "processed" else "{")
        (inbox / name).mkdir(exist_ok=True)
        os.chown(inbox / name, 65534, 65534)
        if not name:
            with pytest.raises(InputError, match="another user"):
                self.settle_all(inbox)
            return
        _, (reason,) = self.settle_all(inbox)
        assert "belongs to another user (uid 65534)" in reason.message
        assert list((inbox / name).iterdir()) == []

    def test_links_pipes_sockets_and_devices_are_named_once_and_never_read(self, tmp_path: Path) -> None:
        inbox = self.inbox(tmp_path)
        secret = tmp_path / "secret"
        secret.write_text(json.dumps(GOOD))
        (inbox / "a.json").symlink_to(secret)
        (inbox / "b.json").symlink_to("/dev/zero")
        (inbox / "c.json").symlink_to("nowhere")
        os.mkfifo(inbox / "d.json")
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(inbox / "e.json"))
        (inbox / "f.json").write_text(json.dumps(GOOD))
        reported: list[Reason] = []
        source = InboxSource(inbox, is_once=True, notice=reported.append)
        assert [[batch.name for batch in source.poll(NOW)] for _ in range(2)] == [["f.json"]] * 2
        words = ["a link", "a link", "a link", "a pipe", "a socket"]
        assert [reason.message.partition(" is ")[2].partition(" and ")[0] for reason in reported] == words
        assert [reason.code for reason in reported] == ["inbox_not_a_file"] * 5

    def test_what_stands_in_a_file_with_another_name_is_not_repeated(self, tmp_path: Path) -> None:
        inbox = self.inbox(tmp_path)
        private = tmp_path / "private.env"
        private.write_text("TOKEN=abcdef\nOTHER=1\n")
        os.link(private, inbox / "a.txt")
        (batch,), _ = self.settle_all(inbox)
        assert batch.rejected
        assert b"abcdef" not in msgspec.json.encode(batch)
        assert "abcdef" not in (inbox / "rejected" / "a.txt.reason.json").read_text()

    def test_reasons_and_folders_are_for_this_user_alone(self, tmp_path: Path) -> None:
        inbox = self.inbox(tmp_path)
        (inbox / "a.json").write_text("{")
        before = os.umask(0)
        try:
            self.settle_all(inbox)
        finally:
            os.umask(before)
        assert (inbox / "rejected").stat().st_mode & 0o777 == 0o700
        assert (inbox / "rejected" / "a.json.reason.json").stat().st_mode & 0o777 == 0o600

    def test_a_reason_does_not_stay_for_a_file_that_stays(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        inbox = self.inbox(tmp_path)
        (inbox / "a.json").write_text("{")

        def no_rename(*_: Any, **__: Any) -> None:
            raise OSError(errno.EACCES, "Permission denied")

        monkeypatch.setattr(os, "rename", no_rename)
        _, (reason,) = self.settle_all(inbox)
        assert "Permission denied" in reason.message
        assert list((inbox / "rejected").iterdir()) == []

    def test_a_file_moves_to_another_disk_by_its_content(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        inbox = self.inbox(tmp_path)
        (inbox / "a.json").write_text(json.dumps(GOOD))

        def other_disk(*_: Any, **__: Any) -> None:
            raise OSError(errno.EXDEV, "Invalid cross-device link")

        monkeypatch.setattr(os, "rename", other_disk)
        _, reported = self.settle_all(inbox, processed_dir=tmp_path / "done")
        assert reported == []
        assert json.loads((tmp_path / "done" / "a.json").read_text()) == GOOD
        assert not (inbox / "a.json").exists()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.decimals() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=6,
)
ROWS = st.dictionaries(st.sampled_from(FIELDS) | st.text() | st.integers(), JSON, max_size=8)


@given(row=ROWS, base=st.sampled_from([{}, GOOD]))
def test_any_row_gives_a_signal_or_a_reason_that_can_be_stored(row: dict[Any, object], base: dict[str, Any]) -> None:
    found = parse_row({**base, **row}, now=NOW, where="x", max_age=DAY)
    assert isinstance(found, Signal | RejectedRow)
    assert msgspec.json.decode(msgspec.json.encode(found), type=type(found)) == found


@given(
    content=st.binary() | st.text().map(str.encode) | ROWS.map(lambda row: repr(row).encode()),
    kind=st.sampled_from([None, "json", "lines", "yaml", "csv"]),
)
def test_any_bytes_give_a_batch_that_can_be_stored(content: bytes, kind: str | None) -> None:
    batch = read(content, kind)
    assert len(batch.signals) == len(batch.where)
    assert msgspec.json.encode(batch)


@given(price=st.decimals(min_value="0.0001", max_value="100000", places=4))
def test_a_price_survives_every_format(price: Decimal) -> None:
    text = f"{price:f}"
    rows = (
        read(f'{{"symbol":"A","signal_type":"BUY","entry_price":{text},"stop_loss":1}}', "json"),
        read(f"symbol,signal_type,entry_price,stop_loss\nA,BUY,{text},1", "csv"),
        read(f"symbol: A\nsignal_type: BUY\nentry_price: {text}\nstop_loss: 1", "yaml"),
    )
    assert [str(batch.signals[0].entry_price) for batch in rows] == [text] * 3
    assert len({batch.signals[0].signal_id for batch in rows}) == 1


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
def test_nothing_is_imported_while_a_file_of_signals_is_open(tmp_path: Path, name: str) -> None:
    """An import opens files: with few descriptors left it would fail, and the file would be called unreadable."""
    (tmp_path / name).write_text('{"symbol": "AAPL", "signal_type": "BUY", "entry_price": 10, "stop_loss": 9}\n')
    program = (
        "import sys\n"
        "from datetime import UTC, datetime\n"
        "from pathlib import Path\n"
        "from apex_cli.core.adapters.files.signals.signal_sources import FileSource\n"
        "before = set(sys.modules)\n"
        "(batch,) = FileSource([Path(sys.argv[1])]).poll(datetime(2026, 3, 2, tzinfo=UTC))\n"
        "print(len(batch.signals), sorted(set(sys.modules) - before))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / name)], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "1 []\n"
