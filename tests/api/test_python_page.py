"""The page ``python.md``: each line of Python on it is run in the demo, and prints what the page says."""

from __future__ import annotations

import doctest
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from kit.pages import blocks, clean_environment, files_of, played_demo

PAGE = Path(__file__).resolve().parents[2] / "apex_cli" / "docs" / "python.md"


def test_every_line_of_python_prints_what_the_page_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = PAGE.read_text(encoding="utf-8")
    folder = played_demo(tmp_path, clean_environment(tmp_path / "home"))
    for name in [name for name in os.environ if name.startswith("APEX_")]:
        monkeypatch.delenv(name)
    for name, content in files_of(text).items():
        (folder / name).write_text(content, encoding="utf-8")
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    names: dict[str, Any] = {}
    tried = 0
    try:
        for block in blocks(text):
            if block.kind == "python" and block.text.startswith(">>> "):
                test = doctest.DocTestParser().get_doctest(block.text, names, PAGE.name, str(PAGE), block.line)
                runner.run(test, clear_globs=False)
                names |= test.globs
                tried += len(test.examples)
    finally:
        for name in files_of(text):
            sys.modules.pop(name.removesuffix(".py"), None)
    assert (runner.summarize(verbose=False).failed, tried > 25) == (0, True), capsys.readouterr().out
