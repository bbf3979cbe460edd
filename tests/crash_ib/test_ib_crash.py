"""Every law holds against Interactive Brokers, too: a short form of ``ib_harness.py``, which plays longer by hand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
RUNS = os.environ.get("CRASH_IB_RUNS", "6")

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="kills and forks as POSIX has them")


def test_every_law_holds_whatever_is_killed_cut_or_withheld() -> None:
    done = subprocess.run(
        [sys.executable, str(HERE / "ib_harness.py"), "--runs", RUNS, "--seed", "7", "--a-world", "3"],
        capture_output=True,
        text=True,
        check=False,
        timeout=3000,
    )
    assert done.returncode == 0, f"{done.stdout[-8000:]}\n{done.stderr[-2000:]}"
    assert "violations: 0" in done.stdout


def test_the_laws_notice_what_is_broken() -> None:
    sys.path.insert(0, str(HERE))
    from ib_laws import Laws, working_exits

    from kit.gateway import running_gateway

    with running_gateway(prices={"AAPL": "50"}) as gateway:
        for action, quantity in (("BUY", 10), ("SELL", 4)):
            gateway.trade_by_hand("AAPL", action, quantity)
        books = gateway.books()
    assert working_exits(books) == {}
    assert list(Laws(HERE)._protected(books)) == ["AAPL: 6 held, 0 covered by stops, and nobody was reported"]
