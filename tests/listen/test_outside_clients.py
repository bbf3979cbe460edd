"""What others send and read: payloads of public documentation, curl, a parser of Prometheus, the OpenAPI document."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from kit.listener import ALERT, CONTROL, READ, SECRET, Listener, Server

PAYLOADS: dict[str, tuple[dict[str, Any], tuple[str, str, str]]] = {
    "an indicator of TradingView with its placeholders filled in": (
        {
            "secret": SECRET,
            "ticker": "AAPL",
            "exchange": "NASDAQ",
            "interval": "15",
            "action": "buy",
            "close": 190.5,
            "open": 189.9,
            "high": 191.0,
            "low": 189.7,
            "volume": 120311,
            "time": "2026-11-24T15:15:00Z",
            "timenow": "2026-11-24T15:15:01Z",
            "stop": 186,
            "confidence": 0.7,
        },
        ("AAPL", "BUY", "190.5"),
    ),
    "a strategy of TradingView": (
        {
            "passphrase": SECRET,
            "time": "2026-11-24T15:15:01Z",
            "exchange": "NASDAQ",
            "ticker": "MSFT",
            "strategy": {
                "position_size": 10,
                "order_action": "sell",
                "order_contracts": 10,
                "order_price": 410.25,
                "order_id": "Short",
                "market_position": "short",
                "market_position_size": 10,
                "prev_market_position": "flat",
            },
            "stop": 420,
            "confidence": 0.7,
        },
        ("MSFT", "SELL", "410.25"),
    ),
    "TradersPost": (
        {
            "secret": SECRET,
            "ticker": "TSLA",
            "action": "buy",
            "sentiment": "bullish",
            "quantity": 1,
            "signalPrice": 250.0,
            "takeProfit": {"limitPrice": 270},
            "stopLoss": {"type": "stop", "stopPrice": 240},
            "extras": {"confidence": 0.7},
            "confidence": 0.7,
        },
        ("TSLA", "BUY", "250.0"),
    ),
}


@pytest.mark.parametrize("name", PAYLOADS)
def test_payloads_of_public_documentation_are_signals(listener: Listener, name: str) -> None:
    body, wanted = PAYLOADS[name]
    answer = listener.ask("POST", "/signals/body", content=json.dumps(body), headers={"Content-Type": "text/plain"})
    assert answer.status_code == 200, answer.text
    (row,) = listener.kept()
    assert row.signal is not None
    assert (row.signal.symbol, row.signal.signal_type, str(row.signal.entry_price)) == wanted
    assert SECRET not in str(row)


def test_curl_sends_an_alert_as_the_page_says(server: Server) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    (server.folder / "alert.json").write_text(json.dumps(ALERT))
    words = ["curl", "-s", "-H", f"Authorization: Bearer {SECRET}", "-d", "@alert.json", f"{server.url}/signals/token"]
    done = subprocess.run(words, cwd=server.folder, capture_output=True, text=True, timeout=10, check=True)
    assert json.loads(done.stdout)["data"]["signals"][0]["status"] == "accepted"


def test_prometheus_reads_the_metrics(listener: Listener) -> None:
    for _ in range(3):
        listener.post(ALERT)
    listener.post(b"{")
    listener.ask("POST", "/signals/evil%0Aname", content=b"")
    page = listener.ask("GET", "/metrics", headers={"Authorization": f"Bearer {READ}"})
    families = {family.name: family for family in text_string_to_metric_families(page.text)}
    signals = {tuple(sample.labels.values()): sample.value for sample in families["apex_listen_signals"].samples}
    assert signals == {("token", "accepted"): 1, ("token", "duplicate"): 2}
    requests = {tuple(sample.labels.values()): sample.value for sample in families["apex_listen_requests"].samples}
    assert requests == {("token", "200"): 3, ("token", "400"): 1, ("unknown", "401"): 1}
    assert families["apex_intake_waiting"].samples[0].value == 2, "the signal, and that one was refused"
    assert families["apex_state_readable"].samples[0].value == 1
    assert not any(SECRET in line for line in page.text.splitlines())


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, each in value.items():
            yield from ([each] if name == "$ref" else references(each))
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def test_the_document_describes_what_is_there(listener: Listener) -> None:
    document = listener.ask("GET", "/openapi.json", headers={"Authorization": f"Bearer {READ}"}).json()
    for reference in set(references(document)):
        assert reference.removeprefix("#/components/schemas/") in document["components"]["schemas"], reference
    for path, methods in document["paths"].items():
        concrete = path.replace("{source}", "token").replace("{secret}", "x").replace("{id}", "x")
        for method in methods:
            answer = listener.ask(method.upper(), concrete, headers={"Authorization": f"Bearer {CONTROL}"})
            assert answer.status_code not in {404, 405} or "{id}" in path
            assert str(answer.status_code) in methods[method]["responses"], (path, answer.text)


def test_looks_agree_with_the_document(listener: Listener) -> None:
    import msgspec

    from apex_cli.presenters.contract import envelope_type

    for path in ("status", "positions", "orders", "approvals", "health"):
        answer = listener.ask("GET", f"/{path}", headers={"Authorization": f"Bearer {READ}"})
        assert answer.status_code == 200, answer.text
        msgspec.convert(answer.json(), envelope_type(answer.json()["command"]))
