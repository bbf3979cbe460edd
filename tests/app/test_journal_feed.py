"""Following the journal: every event once and in order, from any number on, across months and processes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from apex_cli.app.journal_feed import JournalFeed, feed_after, follow
from apex_cli.app.resources import open_store
from apex_cli.core.errors import InputError
from apex_cli.core.state.events.operation_events import Alarm, AlarmRaised
from apex_cli.settings.sections import Settings, StateSettings

FIRST = datetime(2026, 1, 20, tzinfo=UTC)


@pytest.fixture
def account(tmp_path: Path) -> Settings:
    return Settings().replace(state=replace(StateSettings(), dir=tmp_path / "state"))


def happen(account: Settings, *days: int) -> None:
    """Commit an event for each of so many days after the first."""
    store = open_store(account)
    for day in days:
        with store.transaction() as tx:
            alarm = Alarm(code=f"day_{day}", message="Something happened.")
            tx.emit(AlarmRaised(at=FIRST + timedelta(days=day), subject=str(day), data=alarm))


def test_each_event_comes_once_and_a_reader_resumes_at_its_last_number(account: Settings) -> None:
    happen(account, 0, 1, 2)
    feed = JournalFeed(account, after=0)
    assert [row.subject for row in feed.read()] == ["0", "1", "2"]
    assert (feed.read(), feed.last_seq) == ([], 3)
    happen(account, 3)
    assert [row.seq for row in JournalFeed(account, after=feed.last_seq).read()] == [4]
    assert [row.seq for row in feed.read()] == [4]


def test_without_a_number_only_what_is_new_comes(account: Settings) -> None:
    happen(account, 0)
    feed = JournalFeed(account)
    happen(account, 1)
    assert [row.subject for row in feed.read()] == ["1"]


def test_it_begins_in_the_month_of_its_number_and_goes_on_into_the_next(account: Settings) -> None:
    happen(account, 0, 5, 20, 40, 41)
    assert len(list((account.state.dir / "journal").iterdir())) == 3
    for after in range(6):
        feed = JournalFeed(account, after=after)
        seen: list[int] = []
        while rows := feed.read():
            seen += [row.seq for row in rows]
        assert seen == list(range(after + 1, 6))


@pytest.mark.parametrize("after", [-1, 3, 2**60])
def test_a_number_that_no_event_has_is_refused(account: Settings, after: int) -> None:
    happen(account, 0, 1)
    with pytest.raises(InputError, match="There is no event number") as refused:
        feed_after(account, after=after)
    assert refused.value.code == "event_unknown"


def test_an_account_without_events_has_none(account: Settings) -> None:
    assert JournalFeed(account, after=0).read() == []
    assert JournalFeed(account).read() == []


def test_following_ends_with_everything_that_was_there_at_the_end(account: Settings) -> None:
    happen(account, 0)
    seen: list[str] = []
    for row in follow(JournalFeed(account, after=0), is_over=lambda: len(seen) >= 2):
        seen.append(row.subject)
        if len(seen) == 1:
            happen(account, 1, 2)
    assert seen == ["0", "1", "2"]
