"""Parts of one's own: found beside the configuration, and only where nobody else could have written them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from apex_cli.core.adapters.plugins import load_class
from apex_cli.core.errors import ConfigError

NAME = "some_parts_of_mine"
CODE = "class Stage:\n    def __init__(self, context):\n        self.context = context\n"

pytestmark = pytest.mark.skipif(os.name != "posix", reason="owners and modes")


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / f"{NAME}.py").write_text(CODE)
    (tmp_path / f"{NAME}.py").chmod(0o644)
    yield tmp_path
    for name in [name for name in sys.modules if name.split(".")[0] == NAME]:
        del sys.modules[name]


def load(base: Path, name: str = f"{NAME}:Stage") -> type:
    found: type = load_class(name, "stages", key="pipeline.stages", base=base)
    return found


def refusal(base: Path, name: str = f"{NAME}:Stage") -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(base, name)
    assert NAME not in sys.modules
    return caught.value


def test_a_module_of_ones_own_is_loaded(base: Path) -> None:
    assert load(base).__module__ == NAME


def test_a_package_of_ones_own_is_loaded(base: Path) -> None:
    (base / f"{NAME}.py").unlink()
    (base / NAME / "inner").mkdir(parents=True)
    (base / NAME / "__init__.py").touch()
    (base / NAME / "inner" / "__init__.py").write_text(CODE)
    assert load(base, f"{NAME}.inner:Stage").__module__ == f"{NAME}.inner"


@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_everybody_may_write_is_refused(base: Path, what: str) -> None:
    path = base / f"{NAME}.py" if what == "file" else base
    path.chmod(0o777)
    error = refusal(base)
    assert (error.code, error.status) == ("plugin_not_trusted", 3)
    assert f"{path} may be written by everybody (mode 0777)" in error.message
    assert f"chmod go-w {path}" in error.hint


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="gives files away")
@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_belongs_to_somebody_else_is_refused(base: Path, what: str) -> None:
    os.chown(base / f"{NAME}.py" if what == "file" else base, 65534, 65534)
    assert "belongs to another user (uid 65534)" in refusal(base).message


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="gives files away")
def test_what_another_group_may_write_is_refused(base: Path) -> None:
    path = base / f"{NAME}.py"
    os.chown(path, 0, 65534)
    path.chmod(0o664)
    assert "may be written by its group" in refusal(base).message


def test_one_file_of_a_package_that_everybody_may_write_is_enough(base: Path) -> None:
    (base / f"{NAME}.py").unlink()
    (base / NAME).mkdir()
    (base / NAME / "__init__.py").touch()
    (base / NAME / "deep.py").write_text(CODE)
    (base / NAME / "deep.py").chmod(0o666)
    assert "deep.py may be written by everybody" in refusal(base, f"{NAME}.deep:Stage").message


def test_the_current_folder_is_no_place_to_load_from(
    base: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.chdir(base)
    for entry in ("", "."):
        sys.path.insert(0, entry)
        assert "cannot be loaded" in refusal(elsewhere).message


def test_a_module_that_ends_apex_while_it_is_loaded_is_an_error_of_the_configuration(base: Path) -> None:
    (base / f"{NAME}.py").write_text("raise SystemExit(0)\n")
    assert "SystemExit" in refusal(base).message
