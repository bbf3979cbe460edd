from __future__ import annotations

from pathlib import Path

import pytest

from apex_cli.core.adapters.notifiers.secrets import CHAT_ID, TOKEN, URLS, USER_IDS, Role, read_secrets
from apex_cli.core.errors import ConfigError
from kit.telegram import TOKEN as VALUE


def written(tmp_path: Path, text: str, mode: int = 0o600) -> Path:
    path = tmp_path / "secrets"
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_private_file_holds_names_and_values(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        f'# mine\n{TOKEN}="{VALUE}"\n{CHAT_ID}=-1001234\n{USER_IDS}=11=anna, 22\n{URLS}=ntfy://a\n{URLS}=json://b?x=1\n',
    )
    secrets = read_secrets(path, {})
    assert (secrets.token, secrets.chat_id) == (VALUE, -1001234)
    assert secrets.users == {11: "anna", 22: "user 2"}
    assert secrets.urls == ("ntfy://a", "json://b?x=1")


def test_a_person_may_be_given_a_role() -> None:
    secrets = read_secrets(None, {CHAT_ID: "-1", USER_IDS: "11=anna:look 22:answer 33=ben"})
    assert secrets.users == {11: "anna", 22: "user 2", 33: "ben"}
    assert secrets.roles == {11: Role.LOOK, 22: Role.ANSWER}
    assert [role.includes(Role.ANSWER) for role in Role] == [False, True, True]


def test_the_environment_wins(tmp_path: Path) -> None:
    path = written(tmp_path, f"{CHAT_ID}=1\n{USER_IDS}=5=ben\n")
    assert read_secrets(path, {CHAT_ID: "2"}).chat_id == 2
    assert read_secrets(path, {CHAT_ID: "2"}).users == {5: "ben"}


def test_in_a_private_chat_its_own_user_may_press_and_in_a_group_nobody_unless_named() -> None:
    assert read_secrets(None, {CHAT_ID: "77"}).users == {77: "you"}
    assert read_secrets(None, {CHAT_ID: "-77"}).users == {}


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(ConfigError) as caught:
        read_secrets(written(tmp_path, f"{TOKEN}={VALUE}\n", mode), {})
    assert caught.value.code == "secrets_exposed"
    assert f"{mode:04o}" in caught.value.message
    assert "chmod 600" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (TOKEN, "tokenthatisnotone"),
        (CHAT_ID, "@somebody-77"),
        (USER_IDS, "anna=somebody-77"),
        (USER_IDS, "1=a<b>"),
        (USER_IDS, "1=anna:boss"),
    ],
)
def test_a_malformed_value_is_named_and_never_repeated(name: str, value: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_secrets(None, {name: value})
    assert name in caught.value.message
    assert value not in f"{caught.value.message}{caught.value.hint}{caught.value.details}"


@pytest.mark.parametrize("text", [f"tokn={VALUE}\n", VALUE, f"{TOKEN}"])
def test_an_unknown_line_is_reported_by_its_number_only(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="line 1") as caught:
        read_secrets(written(tmp_path, text), {})
    assert VALUE not in caught.value.message


def test_a_missing_file_or_a_folder_is_reported(tmp_path: Path) -> None:
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(ConfigError, match=r"notify\.secrets_file"):
            read_secrets(path, {})
