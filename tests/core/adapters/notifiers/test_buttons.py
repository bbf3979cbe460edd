from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path

from apex_cli.core.adapters.notifiers.buttons import MOST_BUTTONS, Action, Button, ButtonFile, Press
from kit import START


def button(action: Action = Action.APPROVE, **fields: object) -> Button:
    return Button(token="", action=action, **fields)  # type: ignore[arg-type]


def test_a_button_is_spent_by_one_press_and_knows_that_press_again(tmp_path: Path) -> None:
    file = ButtonFile(tmp_path / "state" / "notify")
    (made,) = file.issue([button(approval_id="A", version=1)])
    assert len(made.token) <= 64
    assert file.press(made.token, "p1", "anna", START)[0] is Press.FRESH
    assert ButtonFile(file.path.parent).press(made.token, "p1", "anna", START)[0] is Press.REPEATED
    assert file.press(made.token, "p2", "ben", START)[0] is Press.SPENT
    assert file.press("invented", "p3", "ben", START) == (Press.UNKNOWN, None)


def test_details_may_be_pressed_again(tmp_path: Path) -> None:
    file = ButtonFile(tmp_path / "notify")
    (made,) = file.issue([button(Action.DETAILS, approval_id="A")])
    assert [file.press(made.token, name, "anna", START)[0] for name in "ab"] == [Press.FRESH, Press.FRESH]


def test_a_question_is_for_one_person_and_a_while(tmp_path: Path) -> None:
    file = ButtonFile(tmp_path / "notify")
    (made,) = file.issue([button(Action.CLOSE, symbol="A", for_whom="anna", valid_until=START)])
    assert file.press(made.token, "p", "ben", START - timedelta(1))[0] is Press.UNKNOWN
    assert file.press(made.token, "p", "anna", START)[0] is Press.STALE
    assert file.press(made.token, "p", "anna", START - timedelta(1))[0] is Press.FRESH


def test_new_buttons_withdraw_the_old_ones_of_the_same_approval_only(tmp_path: Path) -> None:
    file = ButtonFile(tmp_path / "notify")
    (old,) = file.issue([button(approval_id="A")])
    (other,) = file.issue([button(approval_id="B")])
    file.issue([button(approval_id="A")])
    assert file.press(old.token, "p", "anna", START)[0] is Press.UNKNOWN
    assert file.press(other.token, "p", "anna", START)[0] is Press.FRESH


def test_of_many_presses_at_once_one_is_fresh(tmp_path: Path) -> None:
    folder = tmp_path / "notify"
    (made,) = ButtonFile(folder).issue([button(approval_id="A")])
    worth: list[Press] = []

    def press(number: int) -> None:
        worth.append(ButtonFile(folder).press(made.token, f"p{number}", "anna", START)[0])

    threads = [threading.Thread(target=press, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(worth) == sorted([Press.FRESH] + [Press.SPENT] * 7)


def test_the_file_is_private_bounded_and_no_reason_to_stop(tmp_path: Path) -> None:
    file = ButtonFile(tmp_path / "notify")
    file.issue([button(approval_id=f"A{number}") for number in range(MOST_BUTTONS + 5)])
    file.put_under("A", 7)
    assert file.message_of("A") == 7
    file.settle("A")
    assert file.message_of("A") is None
    assert file.path.stat().st_mode & 0o777 == 0o600
    assert file.path.stat().st_size < 200 * MOST_BUTTONS
    file.path.write_text("{")
    assert file.message_of("A") is None
