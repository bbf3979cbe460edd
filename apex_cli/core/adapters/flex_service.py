"""The Flex web service of Interactive Brokers: ask for a report, wait until it is made, fetch it.

Two requests, each a GET that answers in XML: ``SendRequest`` gives a reference code, ``GetStatement`` gives the report
or says that it is still being made. Source: Interactive Brokers, Flex Web Service version 3.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit
from xml.etree import ElementTree as ET

from apex_cli.core.errors import BrokerError, ConfigError, InputError

STILL_MAKING = frozenset({"1001", "1004", "1005", "1006", "1007", "1008", "1009", "1019", "1021"})
"""Codes after which the same request may succeed: the report is being made, or the service is busy."""

TOO_MANY = "1018"
"""More than one request a second, or ten a minute, with one token."""

_PLACE = "the Client Portal (Performance & Reports, Flex Queries)"
_TOKEN = f"Make a new token in {_PLACE} and put it into APEX_FLEX_TOKEN."
WHAT_TO_DO = {
    "1003": f"Look at the period of the Flex query in {_PLACE}: there is no report for it, or not yet.",
    "1010": f"Make an Activity Flex query in {_PLACE} and use its id: queries of the older kind are no longer served.",
    "1011": f"Switch the Flex web service on in {_PLACE}.",
    "1012": _TOKEN,
    "1013": f"Allow the address of this computer for the token in {_PLACE}.",
    "1014": f"Copy the id of the Flex query from {_PLACE}: none of the token's account has this one.",
    "1015": _TOKEN,
    "1016": f"Look at the accounts of the Flex query in {_PLACE}.",
    "1017": "Run the command again: the report was asked for too long ago.",
    "1020": f"Look at the token and at the id of the Flex query in {_PLACE}.",
    "1025": f"Wait ten minutes, then look at the token in {_PLACE}: there were too many failed requests.",
}
"""Code -> what the user can do about it, for the codes after which asking again is of no use."""

VERSION = "3"
TIMEOUT_S = 30
FIRST_PAUSE_S, MOST_PAUSE_S = 2.0, 20.0
MOST_BYTES = 50_000_000
AGENT = "Python-urllib apex"


class _Answer(NamedTuple):
    """What the service says when it sends no report."""

    is_success: bool
    reference: str
    code: str
    message: str


def fetch_report(
    url: str, token: str, query: str, *, patience_s: float, sleep: Callable[[float], None] = time.sleep
) -> bytes:
    """Return the report of a Flex query.

    Args:
        url: address of the service, without the name of a request.
        token: as the Client Portal gives it.
        query: id of the Flex query.
        patience_s: how long to wait in all while the report is being made.
        sleep: waits; another one in tests.

    Raises:
        ConfigError: the address is none.
        BrokerError: the service cannot be reached, or has not made the report in time.
        InputError: it refuses the token or the query.
    """
    if urlsplit(url).scheme not in {"https", "http"} or not urlsplit(url).netloc:
        raise ConfigError("config_invalid", f"executions.flex_url is no address: {url!r}.", hint="Leave it out.")
    waiter = _Waiter(patience_s, sleep)
    while not (started := _parsed(_ask(f"{url}/SendRequest", token, query))) or not started.is_success:
        waiter.wait_or_stop(started)
    while (reported := _parsed(content := _ask(f"{url}/GetStatement", token, started.reference))) is not None:
        waiter.wait_or_stop(reported)
    return content


class _Waiter:
    """Waits between attempts, longer each time, until patience is over."""

    def __init__(self, patience_s: float, sleep: Callable[[float], None]) -> None:
        self._left = patience_s
        self._sleep = sleep
        self._pause = FIRST_PAUSE_S

    def wait_or_stop(self, answer: _Answer | None) -> None:
        """Wait, or raise what the service said."""
        if answer is None:
            raise BrokerError("flex_unclear", "The Flex web service sent neither an answer nor a report.")
        if answer.code and answer.code not in STILL_MAKING | {TOO_MANY}:
            raise _refusal(answer)
        if self._left <= 0:
            raise BrokerError(
                "flex_not_ready",
                f"The Flex web service has not made the report in time: {_said(answer)}.",
                hint="Run the command again in a few minutes, or raise executions.flex_patience_s.",
            )
        pause = min(self._pause, self._left)
        self._left -= pause
        self._pause = min(self._pause * 1.5, MOST_PAUSE_S)
        self._sleep(pause)


def _refusal(answer: _Answer) -> InputError:
    hint = WHAT_TO_DO.get(answer.code, "Look the code up in the documentation of the Flex web service.")
    return InputError(
        "flex_refused",
        f"The Flex web service refuses: {_said(answer)}.",
        hint=hint,
        details={"code": answer.code, "message": answer.message},
    )


def _said(answer: _Answer) -> str:
    text = answer.message.rstrip(".") or "no reason"
    return f"{text} (code {answer.code})" if answer.code else text


def _ask(url: str, token: str, query: str) -> bytes:
    """Return the body of one GET about *query*; the token stands in no error."""
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError
    from urllib.request import Request, urlopen

    request = Request(f"{url}?{urlencode({'t': token, 'q': query, 'v': VERSION})}", headers={"User-Agent": AGENT})  # noqa: S310 - http or https
    try:
        with urlopen(request, timeout=TIMEOUT_S) as response:  # noqa: S310 - same
            content = response.read(MOST_BYTES + 1)
    except HTTPError as error:
        raise _unreachable(f"it answers {error.code}") from None
    except (URLError, HTTPException, OSError) as error:
        reason = getattr(error, "reason", error)
        raise _unreachable(str(getattr(reason, "strerror", None) or type(reason).__name__)) from None
    if len(content) > MOST_BYTES:
        raise _unreachable(f"the report is larger than {MOST_BYTES // 1_000_000} MB")
    return bytes(content)


def _unreachable(why: str) -> BrokerError:
    return BrokerError(
        "flex_unreachable", f"The Flex web service cannot be used: {why}.", hint="Look at the network and try again."
    )


def _parsed(content: bytes) -> _Answer | None:
    """Return the answer of the service, None for a report or what is no XML."""
    if b"<FlexStatementResponse" not in content[:2000] or b"<!DOCTYPE" in content:
        return None
    try:
        root = ET.fromstring(content)  # noqa: S314 - a document type was refused before
    except ET.ParseError:
        return None
    values = {child.tag: (child.text or "").strip()[:500] for child in root}
    return _Answer(
        is_success=values.get("Status") == "Success" and bool(values.get("ReferenceCode")),
        reference=values.get("ReferenceCode", ""),
        code=values.get("ErrorCode", ""),
        message=values.get("ErrorMessage", ""),
    )
