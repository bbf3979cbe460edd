"""``apex files`` and ``apex export``: how files are read, and tables for other programs."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apex_cli.core.adapters.table_file import TableFormat, table_bytes

SAMPLES = Path(__file__).parents[1] / "core" / "adapters" / "files" / "executions" / "samples"


class TestFiles:
    def test_a_price_file_shows_its_columns_and_first_rows(self, apex_json: Callable[..., Any], here: Path) -> None:
        (here / "AAPL.csv").write_text("Date,Close/Last,Volume,Open,High,Low\n07/13/2026,$2,5,$1,$3,$1\n")
        data = apex_json("files", "AAPL.csv").data
        assert (data["kind"], data["usable"], data["count"]) == ("prices", True, 1)
        assert data["columns"]["close"] == "Close/Last"
        assert data["rows"][0]["start"] == "2026-07-13 13:30"

    def test_a_trade_list_and_an_alert_are_known_by_what_is_in_them(
        self, apex_json: Callable[..., Any], here: Path
    ) -> None:
        found = apex_json("files", str(SAMPLES / "thinkorswim.csv")).data
        assert (found["kind"], found["taken_as"], found["count"]) == (
            "executions",
            ["thinkorswim account statement"],
            4,
        )
        (here / "a.json").write_text('{"ticker": "X", "action": "buy", "price": 10, "sl": 9}')
        found = apex_json("files", "a.json").data
        assert (found["kind"], found["columns"]["stop_loss"]) == ("signals", "sl")

    def test_a_file_that_lacks_columns_shows_the_mapping_to_write(
        self, apex_json: Callable[..., Any], apex: Callable[..., Any], here: Path
    ) -> None:
        (here / "ABC.csv").write_text("Tag,Anfang,High,Low,Close\n2026-07-13,1,3,1,2\n")
        found = apex_json("files", "ABC.csv", "--as", "prices")
        assert (found.status, found.data["missing"]) == (2, ["time", "open"])
        assert "    open: NAME OF THE COLUMN" in found.data["mapping"]
        assert "Tag, Anfang" in found.data["mapping"][-1]
        (here / "config.yaml").write_text("prices: {columns: {time: Tag, open: Anfang}}\n")
        assert apex_json("files", "ABC.csv").data["usable"] is True
        assert "Read as" in apex("files", "ABC.csv").out

    @pytest.mark.parametrize(
        ("name", "content", "words"),
        [
            ("empty.json", b"", "empty.json holds no signal."),
            ("half.json", b"{", "half.json: not valid JSON"),
            ("half.yaml", b"a: [1", "half.yaml: not valid YAML"),
            ("words.txt", b"hello world", "words.txt: found 'hello world', a signal has named fields"),
            ("noise.csv", b"\x81\x00\xff\n\x81\x00\xff\n", "noise.csv:1: not UTF-8"),
        ],
    )
    def test_a_file_that_holds_no_column_at_all_is_near_to_no_kind(
        self, apex: Callable[..., Any], here: Path, name: str, content: bytes, words: str
    ) -> None:
        (here / name).write_bytes(content)
        shown = apex("files", name)
        assert shown.status == 2
        assert words in shown.out
        assert "--as prices, executions or signals" in shown.out
        assert not [word for word in ("nearest", "Missing", "columns:") if word in shown.out]

    def test_another_kind_than_there_is_is_named(self, apex_json: Callable[..., Any], here: Path) -> None:
        (here / "x.csv").write_text("a\n")
        assert "no kind of file" in apex_json("files", "x.csv", "--as", "poems").error["message"]


@pytest.mark.usefixtures("traded")
class TestExport:
    @pytest.mark.parametrize("what", ["fills", "orders"])
    def test_csv_and_json_hold_the_same_rows(
        self, apex: Callable[..., Any], apex_json: Callable[..., Any], what: str
    ) -> None:
        rows = list(csv.DictReader(io.StringIO(apex("export", what).out)))
        made = json.loads(apex("export", what, "--format", "json").out)
        assert len(rows) == len(made) == apex_json("export", what).data["count"] > 0
        assert [row["security"] for row in rows] == [row["security"] for row in made]

    def test_a_file_is_written_where_it_is_named(self, apex_json: Callable[..., Any]) -> None:
        pytest.importorskip("openpyxl")
        data = apex_json("export", "fills", "--format", "xlsx", "--out", "fills.xlsx").data
        assert (data["file"], Path("fills.xlsx").stat().st_size > 0) == ("fills.xlsx", True)

    def test_wrong_words_are_named(self, apex_json: Callable[..., Any], apex: Callable[..., Any]) -> None:
        assert "no export" in apex_json("export", "dreams").error["message"]
        assert "no format" in apex_json("export", "fills", "--format", "doc").error["message"]
        assert apex("export", "fills", "--format", "xlsx").status == 2


@given(
    st.lists(
        st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r"), max_size=9), min_size=1, max_size=3
    )
)
def test_no_text_of_a_table_can_act_as_a_formula(texts: list[str]) -> None:
    made = table_bytes(["a"], [[text] for text in texts], TableFormat.CSV).decode()
    cells = [row[0] if row else "" for row in csv.reader(io.StringIO(made, newline=""))][1:]
    assert not any(
        part.lstrip().startswith(("=", "+", "-", "@")) for cell in cells for part in re.split(r"[;\t\n]", cell)
    )
    assert [cell.replace("'", "") for cell in cells] == [text.replace("'", "") for text in texts]
