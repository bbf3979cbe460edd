"""``apex gateway`` as a process: its start line, its end, and what it refuses."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

BARS = "Date,Open,High,Low,Close,Volume\n2026-03-02,10,11,9,10.5,1000\n2026-03-03,10.5,12,10,11.5,1000\n"


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_reports_its_port_and_ends_cleanly(
    start: Callable[..., subprocess.Popen[str]], number: signal.Signals
) -> None:
    process = start("gateway", "--port", "0", "--json")
    assert process.stdout is not None
    envelope = json.loads(process.stdout.readline())
    port = envelope["data"]["port"]
    assert (envelope["command"], envelope["status"]) == ("gateway", "ok")
    with socket.create_connection(("127.0.0.1", port)) as stranger:
        stranger.sendall(b"API\0\0\0\0\x09v157..176")
        assert stranger.recv(100)[4:8] == b"176\0"
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "gateway stopped" in err


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("begun", ["", '{"do": "books"', '{"do": "books"}\n'])
def test_with_commands_it_ends_while_standard_input_is_open(
    start: Callable[..., subprocess.Popen[str]], number: signal.Signals, begun: str
) -> None:
    process = start("gateway", "--port", "0", "--json", "--control", stdin=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdout.readline()
    process.stdin.write(begun)
    process.stdin.flush()
    if begun.endswith("\n"):
        assert json.loads(process.stdout.readline())["ok"]
    process.send_signal(number)
    assert process.wait(timeout=60) == 0


def test_it_plays_bars_and_takes_commands(start: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    (tmp_path / "AAPL.csv").write_text(BARS)
    process = start(
        *("gateway", "--port", "0", "--json", "--control", "--bars", str(tmp_path), "--cash", "500", "--cash-account"),
        stdin=subprocess.PIPE,
    )
    said, _ = process.communicate(
        '{"do": "by_hand", "symbol": "AAPL", "action": "BUY", "quantity": "10"}\n{"do": "books"}\n'
    )
    _, done, shown = said.splitlines()
    assert json.loads(done) == {"ok": True}
    books = json.loads(shown)["books"]
    assert books["positions"] == {"AAPL": "10"}
    assert books["cash"] == "384.00"
    assert process.returncode == 0


def test_an_account_may_be_kept_in_another_currency(start: Callable[..., subprocess.Popen[str]]) -> None:
    process = start(
        *("gateway", "--port", "0", "--json", "--control", "--base", "eur", "--rate", "USD=0.80", "--cash", "1000"),
        stdin=subprocess.PIPE,
    )
    said, _ = process.communicate(
        '{"do": "price", "symbol": "AAPL", "price": "50"}\n'
        '{"do": "by_hand", "symbol": "AAPL", "action": "BUY", "quantity": "10"}\n{"do": "books"}\n'
    )
    books = json.loads(said.splitlines()[-1])["books"]
    assert books["positions"] == {"AAPL": "10"}
    assert Decimal(books["cash"]) == 1000 - (500 + 1) * Decimal("0.80")  # 10 at 50 USD, and 1 USD to the broker


@pytest.mark.parametrize(
    "words",
    [
        ("--base", "EURO"),
        ("--base", "XXX"),
        ("--rate", "USD"),
        ("--rate", "USD=-1"),
        ("--rate", "$=1"),
        ("--rate", "EUO=1"),
        ("--volatility", "30"),
    ],
)
def test_what_is_no_currency_no_rate_or_no_part_is_refused(
    apex_json: Callable[..., Any], words: tuple[str, str]
) -> None:
    assert apex_json("gateway", "--port", "0", *words).status == 2


def test_a_host_that_others_reach_is_refused(apex_json: Callable[..., Any]) -> None:
    answer = apex_json("gateway", "--host", "0.0.0.0")  # noqa: S104 - it is refused
    assert (answer.status, answer.error["code"]) == (2, "gateway_host")


def test_a_port_that_is_taken_is_reported(apex_json: Callable[..., Any]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        answer = apex_json("gateway", "--port", str(taken.getsockname()[1]))
    assert (answer.status, answer.error["code"]) == (5, "gateway_port")


def test_damaged_books_are_not_overwritten(apex_json: Callable[..., Any], tmp_path: Path) -> None:
    books = tmp_path / "gateway.json"
    books.write_text("{")
    answer = apex_json("gateway", "--port", "0", "--state", str(books))
    assert (answer.status, answer.error["code"]) == (9, "gateway_book_damaged")
    assert books.read_text() == "{"
