from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from apex_cli.core.decision.checks import PRE_TRADE_CHECKS
from apex_cli.core.decision.plan import decide, explain_checks
from apex_cli.core.model.decision import DecisionKind
from apex_cli.core.model.limits import Limits
from apex_cli.core.model.protections import (
    NO_PROTECTIONS,
    CooldownLimits,
    LockRule,
    LockScope,
    Protections,
    TradeLock,
)

UNTIL = datetime(2026, 3, 4, 14, 30, tzinfo=UTC)
COOLDOWN = Limits(protections=Protections(cooldown=CooldownLimits(after_stop="2 sessions")))


def a_lock(subject: str = "AAPL", **changes: Any) -> TradeLock:
    values: dict[str, Any] = {
        "lock_id": "0a1b2c3d4e",
        "rule": LockRule.COOLDOWN,
        "scope": LockScope.SYMBOL,
        "subject": subject,
        "since": datetime(2026, 3, 2, 15, 0, tzinfo=UTC),
        "until": UNTIL,
        "trades": ("t1",),
        "limit": "no stop within 2 sessions",
        "value": "a stop at -1.00 R",
    }
    return TradeLock(**{**values, **changes})


def test_without_protections_and_locks_the_checks_are_those_of_before(build: Any) -> None:
    checks = decide(build.opportunity(), build.snapshot(), Limits()).checks
    assert [check.code for check in checks] == [check.__name__ for check in PRE_TRADE_CHECKS]
    assert Limits().protections is NO_PROTECTIONS


def test_a_lock_refuses_with_limit_found_and_when_it_lifts(build: Any) -> None:
    decision = decide(build.opportunity(), build.snapshot(trade_locks=(a_lock(),)), COOLDOWN)
    assert decision.kind is DecisionKind.REFUSE
    (reason,) = decision.reasons
    assert (reason.code, reason.limit, reason.value) == ("cooldown", "no stop within 2 sessions", "a stop at -1.00 R")
    assert reason.lifts_at == UNTIL
    assert "AAPL is locked" in reason.message
    assert "2026-03-04 09:30 ET" in reason.message


def test_a_lock_holds_although_its_protection_is_off(build: Any) -> None:
    decision = decide(build.opportunity(), build.snapshot(trade_locks=(a_lock(),)), Limits())
    assert [reason.code for reason in decision.reasons] == ["cooldown"]


@pytest.mark.parametrize("lock", [a_lock("MSFT"), a_lock("pullback", scope=LockScope.STRATEGY)])
def test_a_lock_of_something_else_refuses_nothing(build: Any, lock: TradeLock) -> None:
    snapshot = build.snapshot(trade_locks=(lock,))
    assert decide(build.opportunity(), snapshot, COOLDOWN).kind is not DecisionKind.REFUSE


def test_of_several_locks_the_one_that_ends_last_is_reported(build: Any) -> None:
    later = a_lock(lock_id="ffffffffff", until=UNTIL.replace(day=6))
    decision = decide(build.opportunity(), build.snapshot(trade_locks=(later, a_lock())), COOLDOWN)
    assert [reason.lifts_at for reason in decision.reasons] == [later.until]


def test_a_configured_protection_that_passes_shows_its_limit_when_described(build: Any) -> None:
    *_, cooldown = explain_checks(build.opportunity(), build.snapshot(), COOLDOWN)
    assert (cooldown.code, cooldown.passed, cooldown.limit) == ("cooldown", True, "no stop within 2 sessions")
