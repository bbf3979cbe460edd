"""TA-Lib is imported without libraries of data frames, and still knows their frames when somebody has some."""

from __future__ import annotations

import subprocess
import sys

import pytest

IMPORTED = "import apex_cli, sys; apex_cli.is_program = True; from apex_cli.core.analysis.ta_lib import talib; "


def said(program: str) -> str:
    """Return what a new process that imports TA-Lib our way and runs *program* prints."""
    command = [sys.executable, "-W", "error", "-c", IMPORTED + program]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_no_library_of_frames_is_imported_and_nothing_stands_in_for_it_afterwards() -> None:
    assert said("print([name for name in ('pandas', 'polars') if name in sys.modules])") == "[]"


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_frames_of_who_imports_one_later_are_known_and_given_back(library: str) -> None:
    pytest.importorskip(library)
    program = (
        f"import {library} as p, numpy as n; from talib import abstract; x = n.arange(50.0); "
        "f = p.DataFrame({k: x for k in ('open', 'high', 'low', 'close', 'volume')}); "
        "made = [talib.SMA(p.Series(x), 5), abstract.SMA(f, 5), abstract.STOCH(f)]; "
        "assert isinstance(talib.SMA(x, 5), n.ndarray); print([isinstance(m, (p.Series, p.DataFrame)) for m in made])"
    )
    assert said(program) == "[True, True, True]"


def test_one_that_is_imported_already_is_used_as_it_is() -> None:
    program = "import talib, sys; from apex_cli.core.analysis import ta_lib; print(ta_lib.talib is talib)"
    command = [sys.executable, "-c", program]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "True"


@pytest.mark.parametrize(
    "before",
    [
        "pass",
        "apex_cli.is_program = True; threading.Thread(target=threading.Event().wait, daemon=True).start()",
    ],
)
def test_in_a_program_of_others_and_beside_other_threads_it_imports_what_it_always_does(before: str) -> None:
    pytest.importorskip("pandas")
    program = (
        f"import sys, threading, apex_cli; {before}; from apex_cli.core.analysis.ta_lib import talib; "
        "import pandas; print(talib._pd_Series is pandas.Series)"
    )
    command = [sys.executable, "-c", program]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip() == "True"
