"""Rows that an earlier version wrote are read as what they meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from apex_cli.core.adapters.state.store import TinyDbStore
from apex_cli.core.model.request import Answer, Choice, CloseRequest
from kit import FixedClock

NOW = "2026-03-02T15:00:00Z"


def written(folder: Path, work: dict[str, Any]) -> object:
    """Return what is read of a request whose *work* an earlier version wrote."""
    store = TinyDbStore(folder / "state", clock=FixedClock())
    with store.transaction() as tx:
        tx.counters = msgspec.structs.replace(tx.counters, entries_today=1)
    loaded = store.storage.load()
    assert loaded is not None
    row = {"request_id": "r1", "work": work, "asked_by": "apex approve", "created_at": NOW, "valid_until": NOW}
    raw = msgspec.Raw(msgspec.json.encode({"r1": row}))
    store.storage.commit(msgspec.structs.replace(loaded.meta, schema_version=1), {**loaded.tables, "requests": raw})
    return TinyDbStore(folder / "state", clock=FixedClock()).view().requests["r1"].work


@pytest.mark.parametrize(
    ("fields", "choice"),
    [
        ({"yes": True, "reject": False, "everything": False}, Choice.APPROVE),
        ({"yes": False, "reject": True, "everything": False, "reason": "earnings"}, Choice.REJECT),
        ({"reject": True, "everything": True, "ids": []}, Choice.REJECT),
        ({"choice": "reject"}, Choice.REJECT),
    ],
)
def test_an_answer_of_three_booleans_is_read_as_one_choice(
    tmp_path: Path, fields: dict[str, Any], choice: Choice
) -> None:
    answer = written(tmp_path, {"type": "Answer", "ids": ["01J"], "by": "phone", **fields})
    assert isinstance(answer, Answer)
    assert (answer.choice, answer.by) == (choice, "phone")
    assert answer.ids == tuple(fields.get("ids", ["01J"]))
    assert answer.reason == fields.get("reason", "")


def test_other_requests_are_read_as_they_are(tmp_path: Path) -> None:
    close = written(tmp_path, {"type": "CloseRequest", "symbol": "AAPL", "reason": 'the "Answer" came'})
    assert close == CloseRequest(symbol="AAPL", reason='the "Answer" came')
