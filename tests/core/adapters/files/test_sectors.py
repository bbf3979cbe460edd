from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from apex_cli.app.protection_sources import WatchedFile, make_protection_sources
from apex_cli.core.adapters.files.sectors import read_sectors
from apex_cli.core.errors import InputError
from apex_cli.settings.load import load_settings


def written(folder: Path, text: str, name: str = "sectors.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_a_table_and_a_mapping_say_the_same(tmp_path: Path) -> None:
    table = written(tmp_path, "\ufeffSymbol, Sector\naapl,technology\nBRK-B,finance\nBTCUSD,coins\n")
    mapping = written(tmp_path, "AAPL: technology\nBRK.B: finance\nBTC-USD: coins\n", "sectors.yaml")
    found = read_sectors(table)
    assert found == read_sectors(mapping)
    assert (found["AAPL"], found["BRK.B"]) == ("technology", "finance")


def test_a_stock_in_pounds_or_in_pence_has_its_sector_and_its_events(tmp_path: Path) -> None:
    assert read_sectors(written(tmp_path, "VOD.L: telecom\n", "a.yaml")) == {"VOD@GBP": "telecom", "VOD@GBX": "telecom"}
    calendar = written(tmp_path, "symbol,date,kind\nVOD.L,2026-11-17,earnings\n", "events.csv")
    (tmp_path / "config.yaml").write_text(f"protections: {{blackout: {{files: [{calendar}]}}}}\n")
    sources = make_protection_sources(load_settings(tmp_path / "config.yaml", environ={}, cwd=tmp_path), None)
    assert sources is not None
    assert sources.events is not None
    for name in ("VOD@GBX", "VOD@GBP"):
        assert [event.kind for event in sources.events(frozenset({name, "VOD"}))] == ["earnings"]


@pytest.mark.parametrize(
    ("text", "name", "words"),
    [
        ("symbol,industry\nAAPL,x\n", "a.csv", "it lacks the columns sector"),
        ("symbol,sector\nAAPL,\n,x\n", "a.csv", "2 problems: a.csv:2: sector is empty; a.csv:3: symbol is empty"),
        ("symbol,sector\nAAPL,x\nAAPL,y\n", "a.csv", "AAPL is in x and in y"),
        ("symbol,sector\nAAPL," + "x" * 61 + "\n", "a.csv", "no name of up to 60 characters"),
        ("- AAPL\n", "a.yaml", "no mapping"),
        ("AAPL: [1\n", "a.yml", "a.yml"),
        ("AAPL: x\nAAPL: y\n", "a.yml", "a.yml"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(tmp_path: Path, text: str, name: str, words: str) -> None:
    with pytest.raises(InputError) as error:
        read_sectors(written(tmp_path, text, name))
    assert error.value.code == "sectors_invalid"
    assert words in error.value.message


def test_a_file_that_is_not_there_or_no_text_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "bytes.csv").write_bytes(b"\xff\x00\x01\x02")
    for name in ("missing.csv", "bytes.csv"):
        with pytest.raises(InputError) as error:
            read_sectors(tmp_path / name)
        assert error.value.code == "sectors_unreadable"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table_is_read_as_programs_of_offices_write_it(tmp_path: Path, encoding: str, delimiter: str) -> None:
    path = tmp_path / "sectors.csv"
    path.write_bytes(f"symbol{delimiter}sector\r\nAAPL{delimiter}Hôtels\r\n".encode(encoding))
    assert read_sectors(path) == {"AAPL": "Hôtels"}
    (tmp_path / "sectors.csv.gz").write_bytes(gzip.compress(path.read_bytes()))
    assert read_sectors(tmp_path / "sectors.csv.gz") == {"AAPL": "Hôtels"}


def test_a_comma_in_the_header_splits_the_table_whatever_else_stands_in_it(tmp_path: Path) -> None:
    path = written(tmp_path, "symbol,sector\nAAPL,phones; chips\nMSFT,programs; games\n")
    assert read_sectors(path) == {"AAPL": "phones; chips", "MSFT": "programs; games"}


def test_a_file_is_read_again_when_it_changes_and_not_otherwise(tmp_path: Path) -> None:
    read: list[Path] = []

    def reading(path: Path) -> dict[str, str]:
        read.append(path)
        return read_sectors(path)

    path = written(tmp_path, "symbol,sector\nAAPL,x\n")
    file = WatchedFile(path, reading)
    assert (file(), file(), len(read)) == ({"AAPL": "x"}, {"AAPL": "x"}, 1)
    written(tmp_path, "symbol,sector\nAAPL,energy\n")
    assert (file(), len(read)) == ({"AAPL": "energy"}, 2)
    path.unlink()
    for _ in range(2):
        with pytest.raises(InputError):
            file()
    written(tmp_path, "symbol,sector\nAAPL,y\n")
    assert file() == {"AAPL": "y"}


def test_a_line_that_is_no_row_of_a_table_is_named(tmp_path: Path) -> None:
    path = tmp_path / "sectors.csv"
    path.write_text(f"symbol,sector\nAAPL,technology\nMSFT,{'x' * 200_000}\n")
    with pytest.raises(InputError, match=r"sectors\.csv:3: it is no row of a table: field larger than") as refused:
        read_sectors(path)
    assert refused.value.code == "sectors_invalid"
