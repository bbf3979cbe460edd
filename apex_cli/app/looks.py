"""Looks at approvals as they are now, with a connection that is made for each look and sends nothing."""

from __future__ import annotations

from apex_cli.app.compose import looking, make_parts
from apex_cli.core.execution.answers import ApprovalDesk
from apex_cli.core.model.money import Quantity
from apex_cli.core.model.records import ApprovalRecord
from apex_cli.core.model.request import Preview
from apex_cli.settings.sections import Settings


class LookingDesk(ApprovalDesk):
    """An approval desk for who only looks: nothing is held while a person thinks."""

    def __init__(self, settings: Settings) -> None:
        """Put the parts together, without connecting."""
        self._parts = make_parts(settings, read_only=True)
        super().__init__(store=self._parts.store, executor=self._parts.executor, gatherer=self._parts.gatherer)

    async def preview(self, approval: ApprovalRecord, quantity: Quantity | None = None) -> Preview:
        """Connect, look at *approval* again with the price, account and positions of now, and let go."""
        async with looking(self._parts):
            return await super().preview(approval, quantity)

    async def preview_all(self, approvals: tuple[ApprovalRecord, ...]) -> tuple[Preview, ...]:
        """Look at all of them over one connection."""
        async with looking(self._parts):
            return tuple([await super(LookingDesk, self).preview(approval) for approval in approvals])
