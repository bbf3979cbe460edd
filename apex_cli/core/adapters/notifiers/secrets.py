"""Secrets of channels, and of those who come in over HTTP: from the environment, or from one file nobody else can read.

Neither their values nor parts of them stand in any error.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from pathlib import Path

from msgspec.structs import replace

from apex_cli.core.errors import ConfigError
from apex_cli.core.model.base import Value
from apex_cli.core.redaction import keep_secret

TOKEN = "APEX_TELEGRAM_TOKEN"  # noqa: S105 - the name of a variable
CHAT_ID = "APEX_TELEGRAM_CHAT_ID"
USER_IDS = "APEX_TELEGRAM_USER_IDS"
URLS = "APEX_NOTIFY_URLS"
FLEX_TOKEN = "APEX_FLEX_TOKEN"  # noqa: S105 - the name of a variable
WEBHOOK_URLS = "APEX_WEBHOOK_URLS"
WEBHOOK_SECRET = "APEX_WEBHOOK_SECRET"  # noqa: S105 - the name of a variable
NAMES = (TOKEN, CHAT_ID, USER_IDS, URLS, FLEX_TOKEN, WEBHOOK_URLS, WEBHOOK_SECRET)
SOURCE_SECRET = "APEX_LISTEN_SECRET_"  # noqa: S105 - the beginning of a variable's name
"""Followed by the name of a source in capitals, ``-`` as ``_``."""

AGENT_TOKEN = "APEX_AGENT_TOKEN_"  # noqa: S105 - the beginning of a variable's name
"""Followed by the name of an agent in capitals, ``-`` as ``_``."""

READ_TOKEN = "APEX_LISTEN_READ_TOKEN"  # noqa: S105 - the name of a variable
CONTROL_TOKEN = "APEX_LISTEN_CONTROL_TOKEN"  # noqa: S105 - the name of a variable
SHORTEST_SECRET = 16
"""Characters of a secret of ours; shorter ones can be guessed."""

MOST_BYTES = 100_000

_TOKEN_FORM = re.compile(r"\d{3,20}:[A-Za-z0-9_-]{20,100}")
_FLEX_TOKEN_FORM = re.compile(r"\d{6,60}")
_NUMBER = re.compile(r"-?\d{1,20}")


class Role(StrEnum):
    """What a person may do in the chat; each includes those before it."""

    LOOK = "look"
    ANSWER = "answer"
    """Answer approvals, close positions and tighten their stops."""

    HALT = "halt"
    """Halt, reduce and resume, too."""

    def includes(self, other: Role) -> bool:
        """Return whether who has this role may do what *other* may."""
        return list(Role).index(self) >= list(Role).index(other)


class ListenSecrets(Value, frozen=True, kw_only=True):
    """What those must know who come in over HTTP; several of each may be valid while one is changed."""

    sources: dict[str, tuple[str, ...]] = {}
    """By name of the source."""

    read: tuple[str, ...] = ()
    control: tuple[str, ...] = ()
    agents: dict[str, tuple[str, ...]] = {}
    """By name of the agent."""


class Secrets(Value, frozen=True, kw_only=True):
    """What the channels need to know and nobody else may."""

    token: str = ""
    chat_id: int | None = None
    chats: dict[int, Role] = {}
    """Every chat of the bot, *chat_id* first, and the most that anybody may do in it."""

    users: dict[int, str] = {}
    """Who may press and command: user id -> name that decisions are recorded under."""

    roles: dict[int, Role] = {}
    """What those may do who may not do everything."""

    urls: tuple[str, ...] = ()
    flex_token: str = ""
    """For the Flex web service of Interactive Brokers."""

    webhook_urls: tuple[str, ...] = ()
    webhook_secrets: tuple[str, ...] = ()
    """What notices to *webhook_urls* are signed with; with several each makes a signature."""

    def in_chat(self, chat_id: int) -> Secrets:
        """Return what holds in one of the chats: nobody may do more there than the chat's own role allows."""
        most = self.chats.get(chat_id, Role.LOOK)
        roles = {user: self.roles.get(user, Role.HALT) for user in self.users}
        capped = {user: role if most.includes(role) else most for user, role in roles.items()}
        return replace(self, chat_id=chat_id, roles=capped)


def read_secrets(path: Path | None, environ: Mapping[str, str]) -> Secrets:
    """Return the secrets of *environ*, and for those it does not have, of the file at *path*.

    Raises:
        ConfigError: the file is missing, readable by others, or a value is malformed.
    """
    reported = read_file(path) if path is not None else {}
    reported |= {name: environ[name] for name in NAMES if environ.get(name)}
    urls = tuple(reported.get(URLS, "").split())
    token = reported.get(TOKEN, "").strip()
    if token and not _TOKEN_FORM.fullmatch(token):
        raise _wrong(TOKEN, "is no token of a bot, which looks like 123456:ABC-DEF...", "Copy it from @BotFather.")
    chats = _chats(reported.get(CHAT_ID, ""))
    people = tuple(_people(reported.get(USER_IDS, "")))
    flex_token = reported.get(FLEX_TOKEN, "").strip()
    if flex_token and not _FLEX_TOKEN_FORM.fullmatch(flex_token):
        raise _wrong(FLEX_TOKEN, "is no token of the Flex web service, which is a long number", "Copy it again.")
    webhook_urls, webhook_secrets = (tuple(reported.get(name, "").split()) for name in (WEBHOOK_URLS, WEBHOOK_SECRET))
    _require_long(WEBHOOK_SECRET, webhook_secrets)
    hidden = [part for url in (*urls, *webhook_urls) for part in (url, *_parts(url))]
    keep_secret(token, flex_token, *hidden, *webhook_secrets)
    return Secrets(
        token=token,
        chat_id=next(iter(chats), None),
        chats=chats,
        users={user: name for user, name, _ in people} or _private(chats),
        roles={user: role for user, _, role in people if role is not None},
        urls=urls,
        flex_token=flex_token,
        webhook_urls=webhook_urls,
        webhook_secrets=webhook_secrets,
    )


def _require_long(name: str, secrets: Iterable[str]) -> None:
    """Refuse a secret of ours that can be guessed."""
    if short := next((len(secret) for secret in secrets if len(secret) < SHORTEST_SECRET), 0):
        what = f"has {short} characters; {SHORTEST_SECRET} are the least"
        raise _wrong(name, what, f"export {name}=$(openssl rand -hex 24)")


def read_listen_secrets(
    path: Path | None, environ: Mapping[str, str], sources: Iterable[str], agents: Iterable[str] = ()
) -> ListenSecrets:
    """Return what *sources*, *agents*, readers and those who act must know; of *environ*, else of the file at *path*.

    Raises:
        ConfigError: the file is missing, readable by others, a secret is too short, or two agents share one.
    """
    given = read_file(path) if path is not None else {}
    given |= {name: value for name, value in environ.items() if is_listen_name(name) and value.strip()}
    found = {name: tuple(value.split()) for name, value in given.items() if is_listen_name(name)}
    for name, secrets in found.items():
        _require_long(name, secrets)
        keep_secret(*secrets)
    by_agent = {agent: found[name] for agent in agents if (name := agent_variable(agent)) in found}
    _require_distinct(by_agent)
    by_source = {source: found[name] for source in sources if (name := secret_variable(source)) in found}
    return ListenSecrets(
        sources=by_source, read=found.get(READ_TOKEN, ()), control=found.get(CONTROL_TOKEN, ()), agents=by_agent
    )


def _require_distinct(by_agent: Mapping[str, tuple[str, ...]]) -> None:
    """Refuse a token that would not say which agent it is."""
    owners: dict[str, str] = {}
    for agent, tokens in by_agent.items():
        for token in tokens:
            if owners.setdefault(token, agent) != agent:
                what = f"is also the token of {owners[token]}, or its name"
                raise _wrong(agent_variable(agent), what, "Give each agent a name and a token of its own.")


def secret_variable(source: str) -> str:
    """Return the variable that holds the secret of a source.

    >>> secret_variable("trend-spider")
    'APEX_LISTEN_SECRET_TREND_SPIDER'
    """
    return SOURCE_SECRET + source.upper().replace("-", "_")


def agent_variable(agent: str) -> str:
    """Return the variable that holds the token of an agent.

    >>> agent_variable("claude-2")
    'APEX_AGENT_TOKEN_CLAUDE_2'
    """
    return AGENT_TOKEN + agent.upper().replace("-", "_")


def is_listen_name(name: str) -> bool:
    """Return whether *name* is that of a secret of ``apex listen``."""
    return name in {READ_TOKEN, CONTROL_TOKEN} or name.startswith((SOURCE_SECRET, AGENT_TOKEN))


def _chats(text: str) -> dict[int, Role]:
    """Return chat id -> role, in the order in which they are named: 5550001111, -1001234:look."""
    chats: dict[int, Role] = {}
    for part in text.replace(",", " ").split():
        chat, _, role = part.partition(":")
        if role and role not in list(Role):
            raise _wrong(CHAT_ID, f"gives a chat a role that is none of {', '.join(Role)}", "Write -1001234:look.")
        chats[_number(CHAT_ID, chat)] = Role(role or Role.HALT)
    return chats


def _people(text: str) -> Iterator[tuple[int, str, Role | None]]:
    """Yield id, name and role of everybody who is named: 123456=anna:look. A role may be left out."""
    for number, part in enumerate(text.replace(",", " ").split(), 1):
        person, _, role = part.partition(":")
        user, _, name = person.partition("=")
        if name and not re.fullmatch(r"[A-Za-z][\w.-]{0,30}", name):
            raise _wrong(USER_IDS, "names somebody with other signs than letters and digits", "Write 123456=anna.")
        if role and role not in list(Role):
            known = ", ".join(Role)
            raise _wrong(USER_IDS, f"gives somebody a role that is none of {known}", "Write 123456=anna:look.")
        yield _number(USER_IDS, user), name or f"user {number}", Role(role) if role else None


def _private(chats: Mapping[int, Role]) -> dict[int, str]:
    """Return user id -> name of those whose private chats these are."""
    private = [chat for chat in chats if chat > 0]
    return {chat: f"you {number}" if number > 1 else "you" for number, chat in enumerate(private, 1)}


def _number(name: str, text: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise _wrong(name, "is no number", "Ask @userinfobot for yours.")
    return int(text)


def _parts(url: str) -> list[str]:
    """Return what stands between ``://`` and the query, piece by piece: logins, keys, addresses."""
    return re.split(r"[/@:?&]", url.partition("://")[2])


def _wrong(name: str, what: str, hint: str) -> ConfigError:
    return ConfigError("secret_malformed", f"{name} {what}.", hint=hint, details={"variable": name})


def read_file(path: Path) -> dict[str, str]:
    """Return ``NAME=value`` lines; several lines of one name add up, ``#`` begins a comment line.

    Raises:
        ConfigError: it is missing, readable by others, or holds something else.
    """
    _require_private(path)
    try:
        text = path.read_bytes()[:MOST_BYTES].decode("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise _unreadable(path, "cannot be read as UTF-8 text") from None
    reported: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        name, separator, value = (part.strip() for part in line.partition("="))
        if not name or name.startswith("#"):
            continue
        if not (name in NAMES or is_listen_name(name)) or not separator:
            known = ", ".join((*NAMES, READ_TOKEN, CONTROL_TOKEN, f"{SOURCE_SECRET}NAME"))
            raise _unreadable(path, f"line {number} is none of {known}, each with its = and value")
        reported[name] = f"{reported.get(name, '')} {_unquoted(value)}".strip()
    return reported


def _unquoted(value: str) -> str:
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if quoted else value


def _require_private(path: Path) -> None:
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise _unreadable(path, f"cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(mode):
        raise _unreadable(path, "is no file")
    if os.name != "nt" and stat.S_IMODE(mode) & 0o077:
        raise ConfigError(
            "secrets_exposed",
            f"{path} holds secrets, and others than you may read it: its mode is {stat.S_IMODE(mode):04o}.",
            hint=f"chmod 600 {path}",
            details={"file": str(path)},
        )


def _unreadable(path: Path, what: str) -> ConfigError:
    return ConfigError(
        "secrets_unreadable",
        f"notify.secrets_file: {path} {what}.",
        hint="Correct it, or use the environment.",
        details={"file": str(path)},
    )
