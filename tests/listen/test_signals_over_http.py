"""Alerts over HTTP: kept before they are answered, once each, and decided by the next run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from apex_cli.core.adapters.signatures import key_of, signature_of
from apex_cli.listen.signal_desk import RECORDS_PER_MINUTE
from kit.listener import ALERT, SECRET, Listener, Server, error_of

URL = "/signals/token"


def ids_of(answer: Any) -> list[tuple[str, str]]:
    assert answer.status_code == 200, answer.text
    return [(row["signal_id"], row["status"]) for row in answer.json()["data"]["signals"]]


class TestKeeping:
    def test_an_alert_is_kept_before_it_is_answered_and_decided_by_the_next_run(self, server: Server) -> None:
        answer = server.post(ALERT)
        server.process.kill()
        ((signal_id, status),) = ids_of(answer)
        assert status == "accepted"
        (decided,) = server.run_once()
        assert (decided["signal_id"], decided["where"]) == (signal_id, "listen:token")
        assert decided["outcome"] != "invalid"
        assert server.run_once() == []

    def test_a_run_that_loops_decides_what_comes(self, server: Server) -> None:
        run = server.apex("run", "--json", "--max-cycles", "200")
        ids = {ids_of(server.post({**ALERT, "alert_id": f"n-{number}"}))[0][0] for number in range(3)}
        until = time.monotonic() + 30
        while time.monotonic() < until and not ids <= decided_in(server):
            time.sleep(0.05)
        run.terminate()
        run.communicate(timeout=30)
        assert ids <= decided_in(server)

    def test_the_same_alert_is_one_signal_however_often_and_from_wherever_it_comes(self, listener: Listener) -> None:
        ((first, status),) = ids_of(listener.post(ALERT))
        again = listener.post(ALERT)
        body = listener.ask("POST", "/signals/body", json={**ALERT, "secret": SECRET})
        assert status == "accepted"
        assert ids_of(again) == ids_of(body) == [(first, "duplicate")]
        assert [row.signal.signal_id for row in listener.kept() if row.signal] == [first]

    def test_twenty_at_once_are_one_signal(self, listener: Listener) -> None:
        headers = {"Authorization": f"Bearer {SECRET}"}
        answers = listener.ask_all([("POST", URL, {"json": ALERT, "headers": headers})] * 20)
        found = [ids_of(answer)[0] for answer in answers]
        assert len({signal_id for signal_id, _ in found}) == 1
        assert sorted(status for _, status in found).count("accepted") == 1
        assert len(listener.kept()) == 1

    def test_many_at_once_wait_for_the_disk_together(self, listener: Listener) -> None:
        headers = {"Authorization": f"Bearer {SECRET}"}
        alerts = [{**ALERT, "alert_id": f"a-{number}"} for number in range(50)]
        answers = listener.ask_all([("POST", URL, {"json": alert, "headers": headers}) for alert in alerts])
        assert {answer.status_code for answer in answers} == {200}
        assert len(listener.kept()) == 50
        assert len(listener.files()) < 25

    def test_what_was_kept_is_known_after_a_restart(self, listener: Listener) -> None:
        ((first, _),) = ids_of(listener.post(ALERT))
        listener.restarted()
        assert ids_of(listener.post(ALERT)) == [(first, "duplicate")]

    def test_a_key_names_the_signal_whatever_the_retry_says(self, listener: Listener) -> None:
        key = {"Idempotency-Key": "order-7"}
        ((first, _),) = ids_of(listener.post(ALERT, headers=key))
        assert ids_of(listener.post({**ALERT, "price": 191}, headers=key)) == [(first, "duplicate")]
        assert ids_of(listener.post(ALERT, headers={"Idempotency-Key": "order-8"}))[0][1] == "accepted"
        assert ids_of(listener.post({**ALERT, "alert_id": "own"}, headers=key)) == [("own", "accepted")]

    def test_the_good_ones_of_several_go_on(self, listener: Listener) -> None:
        answer = listener.post([ALERT, {"ticker": "MSFT"}, {**ALERT, "ticker": "MSFT"}])
        assert [status for _, status in ids_of(answer)] == ["accepted", "accepted"]
        envelope = answer.json()
        assert envelope["data"]["refused"] == 1
        assert envelope["warnings"][0]["message"].startswith("listen:token[1]: ")

    def test_a_thousand_in_one_request_are_kept_in_files_that_a_run_takes_whole(
        self, make_listener_in: Callable[..., Listener]
    ) -> None:
        listener = make_listener_in("listen: {sources: {token: {max_bytes: 1000000}}}")
        answer = listener.post([{**ALERT, "alert_id": f"a-{number}"} for number in range(1200)])
        assert len(ids_of(answer)) == len(listener.kept()) == 1200
        assert sorted(name.rpartition("-")[2] for name in listener.files()) == ["200.jsonl", "500.jsonl", "500.jsonl"]

    def test_a_stop_by_rule_is_made_when_the_alert_comes(self, make_listener_in: Callable[..., Listener]) -> None:
        listener = make_listener_in("signals: {default_stop: {pct: 0.05}}\nlisten: {sources: {token: {}}}")
        ids_of(listener.post({name: value for name, value in ALERT.items() if name != "stop"}))
        (row,) = listener.kept()
        assert row.signal is not None
        assert row.signal.stop_loss < row.signal.entry_price

    def test_the_signal_carries_its_source_and_never_a_secret(self, listener: Listener) -> None:
        ids_of(listener.ask("POST", "/signals/body", json={**ALERT, "secret": SECRET, "source": "somebody else"}))
        ids_of(listener.ask("POST", f"/signals/path/{SECRET}", json={**ALERT, "ticker": "MSFT"}))
        assert [row.signal.source for row in listener.kept() if row.signal] == ["body", "path"]
        text = "".join(path.read_text() for path in (listener.folder / "state" / "intake").iterdir())
        assert SECRET not in text + "".join(listener.said)

    def test_nothing_is_acknowledged_that_cannot_be_kept(self, listener: Listener) -> None:
        state = listener.folder / "state"
        state.mkdir()
        (state / "intake").write_text("a file where a folder should be")
        answer = listener.post(ALERT)
        assert (answer.status_code, error_of(answer)["code"]) == (503, "not_kept")
        assert str(listener.folder) not in answer.text
        assert any(str(listener.folder) in line for line in listener.said)
        (state / "intake").unlink()
        assert ids_of(listener.post(ALERT))[0][1] == "accepted"

    def test_no_more_is_taken_than_may_wait_for_a_run(self, make_listener_in: Callable[..., Listener]) -> None:
        listener = make_listener_in("listen: {max_waiting: 2, sources: {token: {auth: token}}}")
        alerts = [{**ALERT, "alert_id": f"a-{number}"} for number in range(3)]
        assert [listener.post(alert).status_code for alert in alerts] == [200, 200, 503]
        assert len(listener.kept()) == 2


def decided_in(server: Server) -> set[str]:
    return {line["subject"] for line in server.journal() if line["kind"] == "decided"}


class TestWhoMaySend:
    def test_a_signature_is_good_for_its_message_and_its_time(self, listener: Listener) -> None:
        body = json.dumps(ALERT).encode()
        signed = sign(body, "msg-1")
        ((first, _),) = ids_of(listener.ask("POST", "/signals/signed", content=body, headers=signed))
        again = listener.ask("POST", "/signals/signed", content=body, headers=signed)
        assert ids_of(again) == [(first, "duplicate")]
        wrong = (
            {**signed, "webhook-id": "msg-2"},
            {**signed, "webhook-timestamp": str(int(signed["webhook-timestamp"]) - 1)},
            {**signed, "webhook-signature": "v1,AAAA"},
            {**signed, "webhook-id": "msg.1"},
            {},
            sign(body, "msg-3", at=time.time() - 330),
            sign(body, "msg-3", at=time.time() + 330),
        )
        for headers in wrong:
            assert listener.ask("POST", "/signals/signed", content=body, headers=headers).status_code == 401
        changed = body.replace(b"190.5", b"290.5")
        assert listener.ask("POST", "/signals/signed", content=changed, headers=signed).status_code == 401

    def test_a_key_beside_a_signature_makes_no_second_signal_of_a_replay(self, listener: Listener) -> None:
        body = json.dumps(ALERT).encode()
        signed = sign(body, "msg-1")
        ((first, _),) = ids_of(listener.ask("POST", "/signals/signed", content=body, headers=signed))
        replayed = {**signed, "Idempotency-Key": "new"}
        assert ids_of(listener.ask("POST", "/signals/signed", content=body, headers=replayed)) == [(first, "duplicate")]

    def test_the_signature_is_that_of_the_specification(self) -> None:
        made = signature_of(
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            message_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
            timestamp="1614265330",
            body=b'{"test": 2432232314}',
        )
        assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
        assert key_of("whsec_not base64") == b"whsec_not base64"

    @pytest.mark.parametrize(
        ("path", "options"),
        [
            ("/signals/token", {}),
            ("/signals/token", {"headers": {"Authorization": "Bearer wrong"}}),
            ("/signals/token", {"headers": {"Authorization": f"Basic {SECRET}"}}),
            (f"/signals/token/{SECRET}", {}),
            ("/signals/path", {"headers": {"Authorization": f"Bearer {SECRET}"}}),
            (f"/signals/path/{SECRET[:-1]}", {}),
            ("/signals/body", {"json": ALERT}),
            ("/signals/body", {"json": {**ALERT, "secret": SECRET[:-1]}}),
            ("/signals/body", {"json": {**ALERT, "metadata": {"secret": SECRET}}}),
            ("/signals/nobody", {"headers": {"Authorization": f"Bearer {SECRET}"}}),
            (f"/signals/nobody/{SECRET}", {}),
        ],
    )
    def test_whoever_is_not_known_gets_the_same_answer(
        self, listener: Listener, path: str, options: dict[str, Any]
    ) -> None:
        answer = listener.ask("POST", path, **{"json": ALERT, **options})
        assert answer.status_code == 401
        assert error_of(answer)["code"] == "unauthorized"
        assert answer.text == listener.ask("POST", "/signals/token", content=b"").text
        assert listener.kept() == []
        assert SECRET not in "".join(listener.said)

    def test_one_secret_in_the_body_speaks_for_several_alerts(self, listener: Listener) -> None:
        alerts = [{**ALERT, "ticker": name} for name in ("AAPL", "MSFT")]
        first = {**alerts[0], "secret": SECRET}
        lines = "\n".join(json.dumps(alert) for alert in (first, alerts[1]))
        answers = [
            listener.ask("POST", "/signals/body", content=content)
            for content in (json.dumps([first, alerts[1]]), lines, json.dumps({"secret": SECRET, "signals": alerts}))
        ]
        assert [len(ids_of(answer)) for answer in answers] == [2, 2, 2]
        assert len(listener.kept()) == 2

    def test_two_secrets_are_good_while_one_is_changed(self, listener: Listener) -> None:
        from apex_cli.core.adapters.notifiers.secrets import read_listen_secrets

        environ = {"APEX_LISTEN_SECRET_TREND_SPIDER": f"{SECRET} {SECRET[::-1]}", "APEX_LISTEN_READ_TOKEN": "r" * 16}
        secrets = read_listen_secrets(None, environ, ["trend-spider", "other"])
        assert secrets.sources == {"trend-spider": (SECRET, SECRET[::-1])}
        assert secrets.read == ("r" * 16,)
        assert listener.folder.exists()

    def test_a_source_may_send_no_more_than_it_is_allowed(self, make_listener_in: Callable[..., Listener]) -> None:
        listener = make_listener_in(
            "listen: {sources: {token: {symbols: [BRK.B, EUR.USD], strategies: [pullback], per_minute: 5,"
            " max_bytes: 300}}}"
        )
        asked = {**ALERT, "ticker": "NYSE:BRK.B"}
        assert ids_of(listener.post({name: value for name, value in asked.items() if name != "strategy"}))
        (row,) = listener.kept()
        assert row.signal is not None
        assert row.signal.strategy == "pullback"
        codes = [
            error_of(listener.post({**asked, **other}))["code"] for other in ({"ticker": "AAPL"}, {"strategy": "x"})
        ]
        assert codes == ["symbol_not_allowed", "strategy_not_allowed"]
        large = listener.post({**asked, "comment": "x" * 300})
        assert (large.status_code, error_of(large)["code"]) == (413, "too_large")
        assert [listener.post(asked).status_code for _ in range(3)] == [200, 200, 429]
        assert int(listener.post(asked).headers["retry-after"]) <= 13

    def test_an_address_that_is_not_on_the_list_is_nobody(self, make_listener_in: Callable[..., Listener]) -> None:
        listener = make_listener_in("listen: {sources: {token: {addresses: [203.0.113.0/24]}}}")
        assert listener.post(ALERT).status_code == 401
        assert "its address is not in the list" in listener.said[-1]
        listener = make_listener_in("listen: {sources: {token: {addresses: [127.0.0.1]}}}")
        assert listener.post(ALERT).status_code == 200


def sign(body: bytes, message_id: str, at: float | None = None) -> dict[str, str]:
    timestamp = str(int(time.time() if at is None else at))
    signature = signature_of(SECRET, message_id=message_id, timestamp=timestamp, body=body)
    return {"webhook-id": message_id, "webhook-timestamp": timestamp, "webhook-signature": f"v1a,x {signature}"}


@pytest.mark.parametrize(
    ("body", "http", "code"),
    [
        (b"", 400, "not_json"),
        (b"buy AAPL now", 400, "not_json"),
        (b"symbol,signal_type\nAAPL,BUY", 400, "not_json"),
        (b"\x1f\x8b\x08\x00", 400, "not_json"),
        (b"PK\x03\x04", 400, "not_json"),
        (b'{"ticker": "AAPL"', 400, "not_json"),
        (b'{"ticker": "\xff"}', 400, "not_json"),
        (b"[" * 60_000, 400, "not_json"),
        (b'{"a":' * 10_000, 400, "not_json"),
        (b"{}", 422, "signal_invalid"),
        (b"[]", 422, "no_signal"),
        (b"[1, null]", 422, "signal_invalid"),
        (json.dumps({**ALERT, "price": "NaN"}).encode(), 422, "signal_invalid"),
        (json.dumps({**ALERT, "price": float("inf")}).encode(), 422, "signal_invalid"),
        (b'{"ticker": "AAPL", "ticker": "MSFT", "action": "buy", "price": 5, "stop": 4}', 422, "signal_invalid"),
        (json.dumps({**ALERT, "price": 10**400}).encode(), 422, "signal_invalid"),
        (json.dumps({**ALERT, "ticker": "A\u0000B"}).encode(), 422, "signal_invalid"),
        (json.dumps({**ALERT, "action": "exit"}).encode(), 422, "signal_invalid"),
    ],
)
def test_what_is_no_signal_is_refused_by_name(listener: Listener, body: bytes, http: int, code: str) -> None:
    answer = listener.post(body)
    assert (answer.status_code, error_of(answer)["code"]) == (http, code)
    assert listener.kept() == []


def test_what_a_known_sender_sent_wrong_is_written_down_by_the_run_but_not_without_end(server: Server) -> None:
    began = time.monotonic()
    for number in range(30):
        assert server.post({"ticker": f"A{number}", "secret": SECRET}).status_code == 422
    most = RECORDS_PER_MINUTE + (time.monotonic() - began) * RECORDS_PER_MINUTE / 60
    httpx.post(f"{server.url}/signals/token", json={"ticker": "NOBODY"}, timeout=5)
    rows = server.run_once()
    assert [(row["outcome"], row["symbol"], row["where"]) for row in rows][:1] == [("invalid", "A0", "listen:token")]
    assert RECORDS_PER_MINUTE <= len(rows) <= most
    assert SECRET not in json.dumps(server.journal())
    assert {event["kind"] for event in server.journal() if "A0" in json.dumps(event)} == {"signal_invalid"}


def test_markup_and_control_signs_stay_text(listener: Listener) -> None:
    strategy = "[red]<b>\u202ex[/red]"
    answer = listener.post({**ALERT, "strategy": strategy, "comment": "\x1b[31m"})
    assert answer.status_code in {200, 422}
    assert "\x1b" not in answer.text + "".join(listener.said)


def test_the_intake_is_read_by_nobody_else(listener: Listener) -> None:
    ids_of(listener.post(ALERT))
    for path in (listener.folder / "state", listener.folder / "state" / "intake"):
        assert path.stat().st_mode & 0o777 == 0o700
    (file,) = (listener.folder / "state" / "intake").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_flood_of_strangers_does_not_flood_the_log(listener: Listener) -> None:
    listener.ask_all([("POST", URL, {"content": b"{}"})] * 300)
    assert 100 < len(listener.said) < 150
    assert listener.post(ALERT).status_code == 200


def test_what_a_killed_writer_left_is_swept_away_later(listener: Listener) -> None:
    ids_of(listener.post(ALERT))
    intake = listener.folder / "state" / "intake"
    for name, age in ((".old.jsonl.1-1.tmp", 7200), (".new.jsonl.1-1.tmp", 10)):
        (intake / name).write_text("{")
        os.utime(intake / name, (time.time() - age, time.time() - age))
    listener.restarted()
    assert sorted(path.name[:4] for path in intake.glob(".*")) == [".new"]
    assert len(listener.kept()) == 1


def test_doctor_says_that_signals_wait_and_nothing_runs(server: Server) -> None:
    ids_of(server.post(ALERT))
    out, _ = server.apex("doctor", "--json").communicate(timeout=30)
    (found,) = [finding for finding in json.loads(out)["data"]["findings"] if finding["code"] == "intake"]
    assert (found["level"], found["hint"]) == ("warning", "apex run")


def test_a_damaged_file_of_the_intake_is_reported_and_kept(server: Server) -> None:
    ids_of(server.post(ALERT))
    intake = server.folder / "state" / "intake"
    (intake / "00000000000000000000000000-1.jsonl").write_text("{")
    rows = server.run_once()
    assert [row["outcome"] == "invalid" for row in rows] == [True, False]
    assert [path.name for path in (intake / "damaged").iterdir()] == ["00000000000000000000000000-1.jsonl"]
    assert [path.name for path in intake.glob("*.jsonl")] == []


def test_a_missing_secret_and_a_short_one_are_named(tmp_path: Path, server: Server) -> None:
    for secret, code in (("", "listen_incomplete"), ("short", "secret_malformed")):
        server.environ["APEX_LISTEN_SECRET_TOKEN"] = secret
        out, _ = server.apex("listen", "--json").communicate(timeout=20)
        (error,) = json.loads(out)["errors"]
        assert error["code"] == code
        assert "APEX_LISTEN_SECRET_TOKEN" in error["message"]
    assert tmp_path.exists()


def test_a_small_storm_with_kills_loses_and_doubles_nothing() -> None:
    script = Path(__file__).parents[1] / "bench" / "storm_listen.py"
    done = subprocess.run(
        [sys.executable, str(script), "300", "20"], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "twice 0; acknowledged and not decided 0; decided and not acknowledged 0" in done.stdout
