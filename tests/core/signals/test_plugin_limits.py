"""Several calls of somebody's code in one bound: each has the whole time, and none can end the process."""

from __future__ import annotations

import time

from apex_cli.core.signals.plugin_limits import LeftOutError, Limits


def test_each_has_the_whole_time_and_gives_its_result_or_its_error() -> None:
    def leave() -> int:
        raise SystemExit(3)

    def slow() -> int:
        time.sleep(0.4)
        return 7

    found = Limits(1).call_each([slow, leave, slow, lambda: 1 // 0, slow])
    assert [each for each in found if isinstance(each, int)] == [7, 7, 7]
    assert str(found[1]) == "it tried to end apex (SystemExit: 3)"
    assert isinstance(found[3], ZeroDivisionError)


def test_after_one_that_does_not_answer_no_other_is_begun() -> None:
    begun: list[int] = []

    def endless() -> None:
        begun.append(1)
        while True:
            pass

    found = Limits(0.1).call_each([lambda: 1, endless, lambda: begun.append(2)])
    assert found[0] == 1
    assert isinstance(found[1], LeftOutError)
    assert (len(found), begun) == (2, [1])
