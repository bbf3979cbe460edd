"""Changes by learning, and results of signals that were not taken."""

from __future__ import annotations

from typing import TypeAlias

from apex_cli.core.model.base import Value
from apex_cli.core.model.learning import LearningState, Weights, WeightsVersion
from apex_cli.core.model.lesson import FollowedEnd
from apex_cli.core.model.notice import News, NoticeKind
from apex_cli.core.state.events.base_event import BaseEvent


class LearningChange(Value, frozen=True, kw_only=True):
    """What changed: the new version where there is one, and where the learners stand afterwards."""

    message: str = ""
    """One sentence for people."""

    version: WeightsVersion | None = None
    before: Weights | None = None
    """What was in force until then."""

    proposal: WeightsVersion | None = None
    """What would have been put in force in the mode that only reports."""

    learning: LearningState


class LearningEvent(BaseEvent, frozen=True, kw_only=True):
    """The learners stand elsewhere."""

    data: LearningChange


class WeightsAdapted(LearningEvent, frozen=True, kw_only=True, tag="weight_adaptation"):
    """Other weights are in force."""

    news = News(kind=NoticeKind.ADAPTATION, priority=3, emoji="🎛️", words="Weights adapted")


class WeightsProposed(LearningEvent, frozen=True, kw_only=True, tag="weight_proposal"):
    """Other weights would be in force if learning did more than report."""


class LearningFrozen(LearningEvent, frozen=True, kw_only=True, tag="learning_frozen"):
    """Nothing is adapted any more."""


class LearningUnfrozen(LearningEvent, frozen=True, kw_only=True, tag="learning_unfrozen"):
    """Weights are adapted again."""


class LearningSuspended(LearningEvent, frozen=True, kw_only=True, tag="learning_suspended"):
    """Learning made results worse, and only reports from now on."""

    news = News(kind=NoticeKind.TRADING_STATE, priority=1, emoji="🎛️", words="Learning only reports now")


class FollowingEnded(BaseEvent, frozen=True, kw_only=True, tag="following_ended"):
    """It is known what a signal that was not taken would have brought, or that nothing says it."""

    data: FollowedEnd


Event: TypeAlias = (
    WeightsAdapted | WeightsProposed | LearningFrozen | LearningUnfrozen | LearningSuspended | FollowingEnded
)
"""Any event of this module."""
