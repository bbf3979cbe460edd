"""Whether replays with ``fill: close`` still give the trades that an earlier version gave, to four places.

Run by hand: ``python tests/bench/same_trades.py``. The demo's bars are replayed, and four stocks from the packages
bokeh and bokeh_sampledata where they are installed, each by the breakout rule; a digest of all trades is compared with
the one that was noted. A change that is meant to change trades notes new digests.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
from decimal import Decimal, InvalidOperation
from importlib.util import find_spec
from pathlib import Path

from bench_replay import DEMO, write_stocks

FIELDS = (
    "symbol", "side", "quantity", "entry_time", "exit_time", "entry_price", "exit_price", "pnl", "commission",
    "r_multiple", "exit_reason", "strategy", "signal_id",
)  # fmt: skip
NOTED = {
    "demo": (17, "8e3adcf870cf9e5a"),
    "stocks": (246, "fa7de86f622499c0"),
}


def value_of(field: object) -> object:
    """Return *field* with a number as its value to four places, however many digits it is written with."""
    try:
        return f"{Decimal(str(field)):.4f}"
    except InvalidOperation:
        return field


def digest(bars: Path) -> tuple[int, str]:
    """Return the number of trades and a digest of them."""
    program = str(Path(sys.executable).with_name("apex"))
    command = [program, "replay", "--bars", str(bars), "--rule", "breakout", "--fill", "close", "--json"]
    with tempfile.TemporaryDirectory() as home:
        answer = subprocess.run(command, capture_output=True, check=True, cwd=home)
    trades = json.loads(answer.stdout)["data"]["trades"]
    rows = [[value_of(trade[field]) for field in FIELDS] for trade in trades]
    return len(rows), hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]


def main() -> None:
    """Compare every digest that can be made here."""
    found = {"demo": digest(DEMO)}
    if find_spec("bokeh_sampledata") is not None:
        with tempfile.TemporaryDirectory() as folder:
            found["stocks"] = digest(write_stocks(Path(folder)))
    for name, each in found.items():
        print(f"{name}: {each[0]} trades, {each[1]}: {'the same' if each == NOTED[name] else 'NOT the same'}")
    if any(each != NOTED[name] for name, each in found.items()):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
