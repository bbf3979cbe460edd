"""Sends one notice on the channels at once, without the journal: for tests, and when the journal cannot be used."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from apex_cli.core.adapters import event_loop
from apex_cli.core.errors import ApexError
from apex_cli.core.model.notice import Notice
from apex_cli.core.ports import DeliveryError
from apex_cli.notify.post import Postman
from apex_cli.settings.sections import Settings

PATIENCE_S = 20.0


def send_to_all(
    settings: Settings, notice: Notice, *, say: Callable[[str], None], only: str | None = None
) -> dict[str, str]:
    """Send *notice* on every channel, or on those whose name begins with *only*; return name -> failure or empty."""
    postman = Postman(settings, listens=False, say=say)
    problems = postman.make()
    outcomes = {error.code: f"{error.message} {error.hint}".strip() for error in problems} if only is None else {}
    return event_loop.run(_deliver(postman, notice, only, outcomes))


async def _deliver(postman: Postman, notice: Notice, only: str | None, outcomes: dict[str, str]) -> dict[str, str]:
    for channel in postman.channels:
        if only is not None and not channel.name.startswith(only):
            continue
        notifier = channel.make()
        try:
            await asyncio.wait_for(notifier.notify(notice), PATIENCE_S)
            outcomes[channel.name] = ""
        except DeliveryError as error:
            outcomes[channel.name] = error.reason
        except ApexError as error:
            outcomes[channel.name] = error.message
        except TimeoutError:
            outcomes[channel.name] = f"no answer within {PATIENCE_S:g} s"
        finally:
            await notifier.close()
    return outcomes
