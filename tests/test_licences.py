"""Every package that apex needs has a licence on the list; copyleft stays in the extras that say so."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import Distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from kit.packages import reached

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
FOR_USERS = sorted(set(EXTRAS) - {"test", "bench"})

ALLOWED = {"0BSD", "APACHE", "BSD", "CC0", "ISC", "MIT", "MPL", "PSF", "UNLICENSE", "ZLIB"}
"""Families of licences that may be in any extra. MPL covers files that apex never changes."""

COPYLEFT_EXTRAS = {"telegram": {"LGPL"}, "bench": {"AGPL"}}
"""Extras that may need more, and what; ``docs/security.md`` says so to the user."""

UNDECLARED = {
    "ibapi-stable": "Interactive Brokers' own licence; for tests only",
    "resvg-py": "MIT",
    "skops": "MIT",
    "ta-lib": "BSD",
}
"""Packages whose metadata name no licence, and what their licence file says."""

_WORDS = (
    ("AGPL", r"AGPL|Affero"),
    ("LGPL", r"LGPL|Lesser General Public"),
    ("GPL", r"\bGPL|(?<!Lesser )(?<!Affero )General Public License"),
    ("APACHE", r"Apache"),
    ("MPL", r"MPL|Mozilla"),
    ("PSF", r"PSF|Python Software Foundation"),
    ("0BSD", r"0BSD"),
    ("BSD", r"\bBSD"),
    ("MIT", r"\bMIT\b"),
    ("ISC", r"\bISC\b"),
    ("ZLIB", r"\bZlib\b"),
    ("CC0", r"\bCC0"),
    ("UNLICENSE", r"\bUnlicense"),
)


def families(package: Distribution) -> set[str]:
    """Return the families of licences that *package* declares: its expression, else its field, else its classifiers."""
    name = canonicalize_name(package.metadata["Name"])
    if name in UNDECLARED:
        return families_in(UNDECLARED[name]) or {UNDECLARED[name]}
    classifiers = " ".join(c for c in package.metadata.get_all("Classifier") or [] if c.startswith("License"))
    texts = (package.metadata.get("License-Expression"), (package.metadata.get("License") or "")[:100], classifiers)
    return next((found for found in map(families_in, texts) if found), {"nothing declared"})


def families_in(text: str | None) -> set[str]:
    """Return the families that *text* names."""
    return {family for family, pattern in _WORDS if re.search(pattern, text or "")}


def licences(*extras: str) -> dict[str, set[str]]:
    """Return what is not on the list among the packages of apex with *extras*, by name."""
    packages = reached("apex-trade", extras)
    return {name: extra for name, each in packages.items() if (extra := families(each) - ALLOWED)}


def test_apex_itself_needs_nothing_but_permissive_packages() -> None:
    assert "msgspec" in reached("apex-trade")
    assert licences() == {}


@pytest.mark.parametrize("extra", FOR_USERS)
def test_an_extra_needs_what_is_on_the_list_or_says_so(extra: str) -> None:
    names = {canonicalize_name(Requirement(text).name) for text in EXTRAS[extra]}
    assert names <= set(reached("apex-trade", {extra}))
    found = licences(extra)
    assert set().union(*found.values()) == COPYLEFT_EXTRAS.get(extra, set())


def test_the_tests_add_one_package_with_a_licence_of_its_own() -> None:
    assert {name for name in licences("test") if name not in licences(*FOR_USERS)} == {"ibapi-stable"}


def test_backtesting_is_for_benches_alone() -> None:
    needing = {extra for extra, needs in EXTRAS.items() if any("backtesting" in need for need in needs)}
    assert needing == {"bench"}
    assert not any("bench" in need for needs in EXTRAS.values() for need in needs)
    assert not any("backtesting" in need for need in PROJECT["dependencies"])
    imports = re.compile(rb"^\s*(import|from) backtesting", re.MULTILINE)
    files = [path for folder in ("apex_cli", "tests") for path in (ROOT / folder).rglob("*.py")]
    users = {path.relative_to(ROOT).parts[:2] for path in files if imports.search(path.read_bytes())}
    assert users <= {("tests", "bench")}


@pytest.mark.parametrize("extra", COPYLEFT_EXTRAS)
def test_the_user_is_informed_of_copyleft(extra: str) -> None:
    page = (ROOT / "apex_cli" / "docs" / "security.md").read_text(encoding="utf-8")
    assert re.search(rf"`{extra}`.*{COPYLEFT_EXTRAS[extra].copy().pop()}", page)


@pytest.mark.parametrize(
    ("text", "family"),
    [
        ("GNU Lesser General Public License v3 (LGPLv3)", {"LGPL"}),
        ("GNU Affero General Public License v3", {"AGPL"}),
        ("AGPL-3.0-or-later", {"AGPL"}),
        ("GPL-3.0-only", {"GPL"}),
        ("GNU General Public License v2", {"GPL"}),
        ("BSD-3-Clause AND 0BSD AND MIT AND Zlib AND CC0-1.0", {"BSD", "0BSD", "MIT", "ZLIB", "CC0"}),
    ],
)
def test_a_licence_is_known_by_its_words(text: str, family: set[str]) -> None:
    assert families_in(text) == family
