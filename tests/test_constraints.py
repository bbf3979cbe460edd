"""``tests/constraints.txt`` pins what the README's test command installs, within the bounds of ``pyproject.toml``."""

from __future__ import annotations

import re
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from kit.packages import reached

ROOT = Path(__file__).parents[1]
LINES = (ROOT / "tests" / "constraints.txt").read_text(encoding="utf-8").splitlines()
PINS = {name: Version(version) for name, _, version in (line.partition("==") for line in LINES)}


def test_the_file_holds_names_and_versions_only() -> None:
    assert [line for line in LINES if not re.fullmatch(r"[a-z0-9-]+==[0-9][0-9a-z.]*", line)] == []
    assert list(PINS) == sorted(PINS)
    assert len(PINS) == len(LINES)


def test_every_package_that_the_test_command_installs_is_pinned() -> None:
    needed = {canonicalize_name(name) for name in reached("apex-trade", {"test"})} - {"apex-trade"}
    assert needed - set(PINS) == set()


def test_the_pins_lie_within_the_bounds() -> None:
    direct = [Requirement(text) for text in reached("apex-trade", {"test"})["apex-trade"].requires or []]
    pinned = [each for each in direct if canonicalize_name(each.name) in PINS]
    assert len(pinned) >= 30
    assert [str(each) for each in pinned if PINS[canonicalize_name(each.name)] not in each.specifier] == []


def test_the_test_command_of_the_readme_uses_them_and_the_main_command_does_not() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = dict(re.findall(r"<!-- command: (\w+) -->\n```sh\n(.*?)\n```", readme, flags=re.DOTALL))
    assert "pip install -c tests/constraints.txt '.[test]'" in commands["test"]
    assert "pip install ." in commands["main"]
    assert "constraints" not in commands["main"]
