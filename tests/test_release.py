"""The commands of the security page: a wheel that is the same each time, and the list of what it needs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

from packaging.utils import canonicalize_name

from kit.packages import reached

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "apex_cli" / "docs" / "security.md").read_text(encoding="utf-8")
COMMANDS = dict(re.findall(r"<!-- command: (\w+) -->\n```sh\n(.*?)\n```", PAGE, flags=re.DOTALL))
PARTS = ("pyproject.toml", "README.md", "LICENSE", "apex_cli")


def run(command: str, folder: Path) -> None:
    """Run *command* with the Python of the tests as ``python``."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environ = {**os.environ, "PATH": path}
    done = subprocess.run(command, shell=True, cwd=folder, env=environ, capture_output=True, text=True, check=False)  # noqa: S602 - as the page has it
    assert done.returncode == 0, done.stdout + done.stderr


def wheel(folder: Path, *, umask: int) -> Path:
    """Build the wheel in a copy of the tree, with other times and rights of its files each time."""
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(
                source, folder / part, ignore=shutil.ignore_patterns("__pycache__"), copy_function=shutil.copy
            )
        else:
            folder.mkdir(exist_ok=True)
            shutil.copy(source, folder / part)
    command = COMMANDS["wheel"].partition("'.[release]' && ")[2].replace("$(git log -1 --format=%ct)", "1790000000")
    run(f"umask {umask:03o}; {command}", folder)
    (made,) = (folder / "dist").glob("*.whl")
    return made


def test_the_wheel_is_the_same_bytes_each_time_and_whole(tmp_path: Path) -> None:
    first, second = wheel(tmp_path / "one", umask=0o022), wheel(tmp_path / "two", umask=0o027)
    assert first.read_bytes() == second.read_bytes()
    names = set(zipfile.ZipFile(first).namelist())
    wanted = {str(path.relative_to(ROOT)) for path in (ROOT / "apex_cli").rglob("*.py")}
    assert wanted | {"apex_cli/py.typed", "apex_cli/docs/security.md"} <= names
    assert not any(name.startswith("tests") for name in names)


def test_the_bill_of_materials_names_apex_and_what_it_needs(tmp_path: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    run(COMMANDS["sbom"], tmp_path)
    document = json.loads((tmp_path / "sbom.json").read_text(encoding="utf-8"))
    assert document["bomFormat"] == "CycloneDX"
    assert document["metadata"]["component"]["name"] == "apex-trade"
    named = {canonicalize_name(component["name"]) for component in document["components"]}
    assert set(reached("apex-trade")) - {"apex-trade"} <= named
    assert all(component["version"] for component in document["components"])
