"""A Bot API on loopback: as much of Telegram's server as a bot in one chat meets, with its faults.

``BotApi`` speaks HTTP, so that an unmodified client library runs against it. Anyone may import it.

Source: https://core.telegram.org/bots/api (methods, fields, error codes).
"""

from __future__ import annotations

import email
import json
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum, auto
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, Self
from urllib.parse import parse_qs

TOKEN = "123456789:AAFakeTokenOfABotThatIsNoBot-0123456789"  # noqa: S105 - nobody's
CHAT = 5550001111
ANNA, BEN, STRANGER = 5550001111, 5550002222, 6660003333


class Fault(Enum):
    """What may go wrong with one call, besides an error answer."""

    LOST_ANSWER = auto()
    """It is done, and the connection ends before the answer."""

    NO_ANSWER = auto()
    """It is not done, and the connection ends."""


class ErrorAnswer(NamedTuple):
    """An error as the Bot API reports it."""

    code: int
    description: str
    parameters: dict[str, Any] = {}


TOO_MANY = ErrorAnswer(429, "Too Many Requests: retry after 1", {"retry_after": 1})
SERVER_ERROR = ErrorAnswer(500, "Internal Server Error")
CONFLICT = ErrorAnswer(409, "Conflict: terminated by other getUpdates request; make sure that only one is running")
UNAUTHORIZED = ErrorAnswer(401, "Unauthorized")
BLOCKED = ErrorAnswer(403, "Forbidden: bot was blocked by the user")


class _Server(ThreadingHTTPServer):
    """Takes as many connections at once as a bot opens."""

    daemon_threads = True
    request_queue_size = 128

    def thread(self) -> threading.Thread:
        """Return a thread that serves."""
        return threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)


class BotApi:
    """The server: messages in one chat, updates until they are acknowledged, and every call that was made."""

    def __init__(self, token: str = TOKEN) -> None:
        """Listen on a free port of 127.0.0.1 from ``__enter__`` on."""
        self.token = token
        self.changed = threading.Condition()
        self.messages: dict[int, dict[str, Any]] = {}
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.answers: dict[str, str] = {}
        """Press -> what it was answered."""

        self.chats = {str(CHAT)}
        """Chats that the bot may write to."""

        self.photos: list[dict[str, Any]] = []
        """Pictures that were sent, each with its bytes."""

        self.faults: dict[str, deque[Fault | ErrorAnswer]] = defaultdict(deque)
        self.on_call: Callable[[str, dict[str, Any]], None] = lambda _method, _fields: None
        """Called before a method is carried out, on the server's thread."""

        self._updates: list[dict[str, Any]] = []
        self._next_update = 1
        self._polls = 0
        self._is_closed = False
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._thread = self._server.thread()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        """Start."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop, and let every open poll end."""
        with self.changed:
            self._is_closed = True
            self.changed.notify_all()
        self._close()

    def _close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @contextmanager
    def unreachable(self) -> Iterator[None]:
        """Take no connection; those that are open stay."""
        self._close()
        try:
            yield
        finally:
            self._server = _Server(self._server.server_address, self._handler())
            self._thread = self._server.thread()
            self._thread.start()

    # What people do

    def press(self, user: int, token: str, *, chat: int = CHAT, message_id: int = 1, times: int = 1) -> str:
        """Let *user* press a button, delivered *times* times; return the press's id."""
        press_id = f"press-{self._next_update}"
        query = {
            "id": press_id,
            "from": _user(user),
            "message": {"message_id": message_id, "date": 1, "chat": _chat(chat), "text": "?"},
            "chat_instance": "1",
            "data": token,
        }
        for _ in range(times):
            self.deliver({"callback_query": query})
        return press_id

    def say(self, user: int, text: str, *, chat: int = CHAT) -> None:
        """Let *user* write a message."""
        self.deliver(
            {"message": {"message_id": 9000, "date": 1, "chat": _chat(chat), "from": _user(user), "text": text}}
        )

    def deliver(self, content: dict[str, Any], *, update_id: int | None = None) -> None:
        """Queue an update."""
        with self.changed:
            self._updates.append({"update_id": update_id or self._next_update, **content})
            self._next_update += 1
            self.changed.notify_all()

    def shuffle(self) -> None:
        """Turn the order of the waiting updates around."""
        with self.changed:
            self._updates.reverse()

    # What a test looks at

    def wait_for(self, holds: Callable[[], object], timeout_s: float = 30) -> None:
        """Wait until *holds* says something true.

        Raises:
            AssertionError: it never did.
        """
        with self.changed:
            if not self.changed.wait_for(holds, timeout_s):
                raise AssertionError(f"waited in vain; calls: {[name for name, _ in self.calls]}")

    def buttons(self, message_id: int) -> dict[str, str]:
        """Return label -> token of the buttons under a message."""
        markup = self.messages[message_id].get("reply_markup") or {}
        return {key["text"]: key["callback_data"] for row in markup.get("inline_keyboard", []) for key in row}

    def texts(self) -> list[str]:
        """Return every message as it reads now."""
        return [message["text"] for message in self.messages.values()]

    def made(self, method: str) -> list[dict[str, Any]]:
        """Return the fields of every call of *method*."""
        return [fields for name, fields in self.calls if name == method]

    # The methods

    def call(self, method: str, fields: dict[str, Any]) -> Any:
        """Carry out one method and return its result, or an ``ErrorAnswer``."""
        carry_out = getattr(self, f"_do_{method.lower()}", None)
        return ErrorAnswer(404, "Not Found") if carry_out is None else carry_out(fields)

    def _do_getme(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"id": 123456789, "is_bot": True, "first_name": "apex", "username": "apex_test_bot"}

    def _do_deletewebhook(self, _: dict[str, Any]) -> bool:
        return True

    def _do_setmycommands(self, _: dict[str, Any]) -> bool:
        return True

    def _do_sendmessage(self, fields: dict[str, Any]) -> dict[str, Any] | ErrorAnswer:
        if str(fields["chat_id"]) not in self.chats:
            return ErrorAnswer(400, "Bad Request: chat not found")
        message_id = len(self.messages) + 1
        self.messages[message_id] = {**fields, "message_id": message_id}
        return self._message(message_id)

    def _do_sendphoto(self, fields: dict[str, Any]) -> dict[str, Any] | ErrorAnswer:
        if str(fields["chat_id"]) not in self.chats or not fields["photo"].startswith(b"\x89PNG"):
            return ErrorAnswer(400, "Bad Request: wrong file")
        self.photos.append(fields)
        photo = {"file_id": "1", "file_unique_id": "1", "width": 640, "height": 320}
        return {"message_id": 5000 + len(self.photos), "date": 1, "chat": _chat(CHAT), "photo": [photo]}

    def _do_editmessagetext(self, fields: dict[str, Any]) -> dict[str, Any] | ErrorAnswer:
        message_id = int(fields["message_id"])
        old = self.messages.get(message_id)
        if old is None:
            return ErrorAnswer(400, "Bad Request: message to edit not found")
        fresh = {**old, "text": fields["text"], "reply_markup": fields.get("reply_markup")}
        if fresh == {**old, "reply_markup": old.get("reply_markup")}:
            return ErrorAnswer(400, "Bad Request: message is not modified: specified new message content is the same")
        self.messages[message_id] = fresh
        return self._message(message_id)

    def _do_answercallbackquery(self, fields: dict[str, Any]) -> bool:
        self.answers[fields["callback_query_id"]] = fields.get("text", "")
        return True

    def _do_getupdates(self, fields: dict[str, Any]) -> list[dict[str, Any]] | ErrorAnswer:
        """Wait for updates; a second poll ends the first with a conflict."""
        offset = int(fields.get("offset") or 0)
        self._polls += 1
        mine = self._polls
        self.changed.notify_all()
        self._updates = [update for update in self._updates if update["update_id"] >= offset]
        self.changed.wait_for(
            lambda: self._updates or self._is_closed or self._polls != mine, float(fields.get("timeout") or 0)
        )
        return CONFLICT if self._polls != mine and not self._is_closed else list(self._updates)

    def _message(self, message_id: int) -> dict[str, Any]:
        text = self.messages[message_id]["text"]
        return {"message_id": message_id, "date": 1, "chat": _chat(CHAT), "text": text}

    # HTTP

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                """Say nothing."""

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                found = api.respond(self.path, _fields(body, self.headers.get("Content-Type", "")))
                if found is None:
                    self.close_connection = True
                    return
                code, data = found
                self.send_response(code)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                with suppress(OSError):  # the bot went away
                    self.wfile.write(data)

        return Handler

    def respond(self, path: str, fields: dict[str, Any]) -> tuple[int, bytes] | None:
        """Return status and body of one request; None: the connection ends without an answer."""
        _, bot, method = path.split("/", 2)
        if bot != f"bot{self.token}":
            return _encoded(UNAUTHORIZED)
        self.on_call(method, fields)
        with self.changed:
            fault = self.faults[method].popleft() if self.faults[method] else None
            if isinstance(fault, ErrorAnswer):
                answer: Any = fault
            else:
                answer = None if fault is Fault.NO_ANSWER else self.call(method, fields)
            self.calls.append((method, fields))
            self.changed.notify_all()
        return None if isinstance(fault, Fault) else _encoded(answer)


def _encoded(answer: Any) -> tuple[int, bytes]:
    if isinstance(answer, ErrorAnswer):
        reported = {"ok": False, "error_code": answer.code, "description": answer.description}
        return answer.code, json.dumps(
            reported | ({"parameters": answer.parameters} if answer.parameters else {})
        ).encode()
    return 200, json.dumps({"ok": True, "result": answer}).encode()


def _fields(body: bytes, kind: str) -> dict[str, Any]:
    if kind.startswith("multipart/"):
        message = email.message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
        parts = [(part.get_param("name", header="Content-Disposition"), part) for part in message.walk()]
        payloads = {str(name): part.get_payload(decode=True) for name, part in parts if name}
        files = {str(name) for name, part in parts if name and part.get_filename()}
        fields: dict[str, Any] = {n: v if n in files else bytes(v or b"").decode() for n, v in payloads.items()}
    else:
        fields = {name: values[0] for name, values in parse_qs(body.decode()).items()}
    for name in ("reply_markup", "reply_parameters", "link_preview_options"):
        if name in fields:
            fields[name] = json.loads(fields[name])
    return fields


def _user(user: int) -> dict[str, Any]:
    return {"id": user, "is_bot": False, "first_name": f"user{user}"}


def _chat(chat: int) -> dict[str, Any]:
    return {"id": chat, "type": "private" if chat > 0 else "group"}
