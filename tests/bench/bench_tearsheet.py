"""The page of many trades: how large it is, and how long it takes to make.

Run by hand: ``python tests/bench/bench_tearsheet.py [TRADES] [FILE]``. Open FILE in a browser to see how soon it shows.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from apex_cli.core.reports.tearsheet import make_tearsheet
from apex_cli.presenters.pages.tearsheet_page import Contents, tearsheet_page
from apex_cli.presenters.screen.blocks import Cell, Fields
from kit.trading_history import make_history

TERMS = Fields(title="Settings", rows=(("Capital", Cell("30,000 USD")),))
CONTENTS = Contents("Made up", "all", (), "Ratios a year", (), "Equity at the end of each session", ())


def main(trades: int, file: Path | None) -> None:
    """Make the page of *trades* made-up trades."""
    history = make_history(trades)
    started = time.perf_counter()
    sheet = make_tearsheet(history.trips, history.plans, history.curve, history.bars, "SYM1")
    between = time.perf_counter()
    content = tearsheet_page(CONTENTS, sheet, TERMS).encode()
    ended = time.perf_counter()
    times = f"values {between - started:.2f} s, page {ended - between:.2f} s"
    print(f"{trades:,} trades: {len(content) / 1e6:.2f} MB; {times}")
    if file is not None:
        file.write_bytes(content)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5_000, Path(sys.argv[2]) if len(sys.argv) > 2 else None)
