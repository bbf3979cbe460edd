"""The README and the pages in ``apex_cli/docs``: each command is typed, and what they name exists."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from kit.pages import (
    GENERATED,
    agrees,
    clean_environment,
    lines_of_apex,
    played_demo,
    problem_of,
    shell_for,
    steps,
)
from kit.pictures import pictures

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "apex_cli" / "docs"
PAGES = sorted(DOCS.glob("*.md"))
PLACES = (ROOT, ROOT / "apex_cli", ROOT / "apex_cli" / "core")
NAMED = re.compile(r"`([a-z_]+(?:/[a-z_]+)+(?:\.py|\.md)?|[a-z_]+\.py)(?:\.[a-z_]+)?`")
LINK = re.compile(r"\]\(([^)#]+)\)")
MOST_BYTES = 9_000


@pytest.mark.parametrize("page", ["developing.md"])
def test_every_module_that_a_page_names_is_there(page: str) -> None:
    named = set(NAMED.findall((DOCS / page).read_text(encoding="utf-8")))
    assert len(named) > 20
    missing = [name for name in sorted(named) if not any(_exists(place / name) for place in PLACES)]
    assert missing == []


def _exists(path: Path) -> bool:
    return path.exists() or path.with_suffix(".py").exists()


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.name)
def test_every_file_that_a_page_links_to_is_in_the_repository(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link]
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_readme_is_short_and_leads_to_every_page() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.encode()) < MOST_BYTES
    assert [page.name for page in PAGES if f"apex_cli/docs/{page.name}" not in text] == []


REFRESH = "Look at what changed, then: PYTHONPATH=tests python tests/write_pages.py"


@pytest.fixture(scope="module")
def environ(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return clean_environment(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, environ: dict[str, str]) -> Path:
    """The demo after its first run."""
    return played_demo(tmp_path_factory.mktemp("template"), environ)


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.name)
def test_every_command_of_a_page_prints_what_the_page_says(
    page: Path, template: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    text = page.read_text(encoding="utf-8")
    if "jq " in text and shutil.which("jq") is None:
        pytest.skip("jq is not installed")
    shell = shell_for(text, template, tmp_path, environ)
    try:
        for step in steps(text):
            printed = shell.type(step.command)
            assert agrees(step.expected, printed), f"{page.name}: {step.typed}\n{printed}\n{REFRESH}"
    finally:
        shell.close()


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda page: page.name)
def test_every_command_and_option_that_a_page_names_exists(page: Path) -> None:
    named = sorted(set(lines_of_apex(page.read_text(encoding="utf-8"))))
    assert [problem for line in named if (problem := problem_of(line))] == []


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals")
def test_the_pictures_show_what_is_drawn_now(template: Path, environ: dict[str, str]) -> None:
    for name, svg in pictures(template, environ):
        assert (DOCS / "pictures" / name).read_text(encoding="utf-8") == svg, f"{name}: {REFRESH}"


@pytest.mark.parametrize("name", GENERATED)
def test_pages_made_from_the_program_are_up_to_date(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == GENERATED[name](), REFRESH


def test_what_a_page_says_is_compared_and_only_dots_stand_for_anything() -> None:
    assert agrees("a  b\n...\nd ... f", "a  b\nc\nc\nd e f\n")
    assert not agrees("a  b", "a b")
    assert not agrees("a\nb", "a\nb\nc")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("apex positions --watch", ""),
        ("apex state check --json", ""),
        ("apex bogus", "apex bogus: no command bogus"),
        ("apex state bogus", "apex state bogus: no command bogus"),
        ("apex run --oncee", "apex run --oncee: no option --oncee"),
        ("apex init [DIR] [--demo]", ""),
    ],
)
def test_an_unknown_command_or_option_is_found(line: str, problem: str) -> None:
    assert problem_of(line) == problem
