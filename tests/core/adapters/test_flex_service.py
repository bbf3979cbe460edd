"""The Flex web service, played by a server of this machine."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from apex_cli.core.adapters.flex_service import fetch_report
from apex_cli.core.errors import BrokerError, ConfigError, InputError

TOKEN = "123456789012"  # noqa: S105 - made up
STARTED = b"<FlexStatementResponse><Status>Success</Status><ReferenceCode>77</ReferenceCode></FlexStatementResponse>"
REPORT = b'<FlexQueryResponse queryName="q" type="AF"><FlexStatements count="0"></FlexStatements></FlexQueryResponse>'


def failed(code: int, message: str) -> bytes:
    text = f"<ErrorCode>{code}</ErrorCode><ErrorMessage>{message}</ErrorMessage>"
    return f"<FlexStatementResponse><Status>Warn</Status>{text}</FlexStatementResponse>".encode()


class Service(HTTPServer):
    """Gives prepared answers in their order and keeps what was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[bytes] = []
        self.asked: list[tuple[str, dict[str, list[str]]]] = []
        self.agents: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/FlexWebService"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        service = self.server
        assert isinstance(service, Service)
        parts = urlsplit(self.path)
        service.asked.append((parts.path.rpartition("/")[2], parse_qs(parts.query)))
        service.agents.append(self.headers["User-Agent"])
        body = service.answers.pop(0)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def service() -> Iterator[Service]:
    server = Service()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def fetch(service: Service, patience_s: float = 60) -> tuple[bytes, list[float]]:
    pauses: list[float] = []
    return fetch_report(service.url, TOKEN, "42", patience_s=patience_s, sleep=pauses.append), pauses


def test_a_report_is_asked_for_and_fetched_by_its_reference(service: Service) -> None:
    service.answers = [STARTED, REPORT]
    assert fetch(service) == (REPORT, [])
    assert service.asked == [
        ("SendRequest", {"t": [TOKEN], "q": ["42"], "v": ["3"]}),
        ("GetStatement", {"t": [TOKEN], "q": ["77"], "v": ["3"]}),
    ]
    assert all(service.agents)


def test_a_report_that_is_being_made_is_waited_for_with_growing_pauses(service: Service) -> None:
    busy = failed(1019, "Statement generation in progress. Please try again shortly.")
    service.answers = [failed(1018, "Too many requests"), STARTED, busy, busy, REPORT]
    assert fetch(service) == (REPORT, [2.0, 3.0, 4.5])


@pytest.mark.parametrize("code", [1001, 1004, 1005, 1006, 1007, 1008, 1009, 1018, 1019, 1021])
@pytest.mark.parametrize("step", [[], [STARTED]])
def test_what_may_succeed_later_is_asked_again(service: Service, code: int, step: list[bytes]) -> None:
    rest = [REPORT] if step else [STARTED, REPORT]
    service.answers = [*step, failed(code, "Please try again shortly."), *rest]
    assert fetch(service) == (REPORT, [2.0])


def test_patience_ends_and_says_what_the_service_said(service: Service) -> None:
    busy = failed(1019, "Statement generation in progress.")
    service.answers = [STARTED, *[busy] * 9]
    with pytest.raises(
        BrokerError, match=r"has not made the report in time: Statement generation in progress \(code 1019\)"
    ):
        fetch(service, patience_s=4)


@pytest.mark.parametrize(
    ("code", "hint"),
    [
        (1003, "period of the Flex query"),
        (1010, "Activity Flex query"),
        (1011, "Switch the Flex web service on"),
        (1012, "new token"),
        (1013, "address of this computer"),
        (1014, "id of the Flex query"),
        (1015, "new token"),
        (1016, "accounts of the Flex query"),
        (1017, "Run the command again"),
        (1020, "token and at the id"),
        (1025, "too many failed requests"),
        (1099, "Look the code up"),
    ],
)
@pytest.mark.parametrize("step", [[], [STARTED]])
def test_a_refusal_is_reported_at_once_with_what_to_do(
    service: Service, code: int, hint: str, step: list[bytes]
) -> None:
    service.answers = [*step, failed(code, "No.")]
    with pytest.raises(InputError, match=rf"refuses: No \(code {code}\)") as caught:
        fetch(service)
    assert hint in caught.value.hint


def test_a_page_instead_of_an_answer_is_no_report(service: Service) -> None:
    service.answers = [b"<html>maintenance</html>"]
    with pytest.raises(BrokerError, match="neither an answer nor a report"):
        fetch(service)


def test_a_service_that_is_not_there_is_named_without_the_token() -> None:
    with pytest.raises(BrokerError, match="cannot be used") as caught:
        fetch_report("http://127.0.0.1:9/x", TOKEN, "42", patience_s=0)
    assert TOKEN not in str(caught.value.__dict__)
    with pytest.raises(ConfigError, match="is no address"):
        fetch_report("file:///etc/passwd", TOKEN, "42", patience_s=0)
