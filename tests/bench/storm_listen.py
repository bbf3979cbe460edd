"""A storm of alerts: 50 senders, duplicates, broken ones, and kill -9 of the listener and of the run in the middle.

``python tests/bench/storm_listen.py [ALERTS] [SENDERS] [PACE]``: PACE is in alerts a second, 0 for as fast as it goes.
Every alert is sent until it is answered, as a sender with retries does. Afterwards the journal must hold one decision
for each alert that was acknowledged, and none for the others.
"""

# ruff: noqa: ASYNC110 - what is waited for happens in other processes

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

SECRET = "0123456789abcdef" * 2
DUPLICATES, BROKEN = 0.05, 0.02
CONFIG = """\
execution: {auto_execute: true}
risk: {enforce_market_hours: false, capital: 1000000, max_positions: 20, min_confidence: 0}
listen: {max_waiting: 1000000, sources: {storm: {auth: token, per_minute: 1000000}}}
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class House:
    """The listener and the run, as processes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        (folder / "config.yaml").write_text(CONFIG)
        kept = {name: value for name, value in os.environ.items() if not name.startswith("APEX_")}
        self.environ = {**kept, "HOME": str(folder), "APEX_LISTEN_SECRET_STORM": SECRET}
        self.listener = self.start("listen", "--port", str(self.port))
        self.runner = self.start("run", "-q")

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        log = (self.folder / f"{arguments[0]}.log").open("ab")
        words = [sys.executable, "-m", "apex_cli", *arguments]
        return subprocess.Popen(words, cwd=self.folder, env=self.environ, stdout=log, stderr=log)

    def kill_listener(self) -> None:
        self.listener.send_signal(signal.SIGKILL)
        self.listener.wait()
        self.listener = self.start("listen", "--port", str(self.port))

    def kill_run(self) -> None:
        self.runner.send_signal(signal.SIGKILL)
        self.runner.wait()
        self.runner = self.start("run", "-q")

    def waiting(self) -> int:
        folder = self.folder / "state" / "intake"
        return len(list(folder.glob("[!.]*.jsonl"))) if folder.exists() else 0

    def end(self) -> None:
        for process in (self.listener, self.runner):
            process.send_signal(signal.SIGTERM)
            process.wait()


def bodies(count: int, seed: int = 7) -> list[tuple[str, bytes]]:
    """Return kind and body of each alert, in the order of sending."""
    dice = random.Random(seed)
    made: list[tuple[str, bytes]] = []
    good: list[bytes] = []
    for number in range(count):
        roll = dice.random()
        if roll < BROKEN:
            made.append(("broken", dice.choice([b"{", b"[]", b'{"ticker": "AAPL"}', b"buy AAPL", b'{"a": NaN}'])))
        elif roll < BROKEN + DUPLICATES and good:
            made.append(("duplicate", dice.choice(good[-200:])))
        else:
            price = dice.randrange(1000, 50000) / 100
            alert = {
                "ticker": f"{dice.choice('ABCDEFGH')}{dice.choice('KLMNOP')}{dice.choice('RSTUVW')}",
                "action": "buy",
                "price": price,
                "stop": round(price * 0.97, 2),
                "tp": round(price * 1.1, 2),
                "confidence": 0.8,
                "strategy": "storm",
                "alert_id": f"storm-{number}",
            }
            body = json.dumps(alert).encode()
            good.append(body)
            made.append(("good", body))
    return made


class Sender:
    """One connection that sends alert after alert, each until it is answered."""

    def __init__(
        self, port: int, times: list[float], answers: list[tuple[str, int, str]], retries: Counter[str]
    ) -> None:
        self.port, self.times, self.answers, self.retries = port, times, answers, retries
        self.pipe: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def work(self, queue: asyncio.Queue[tuple[str, bytes]]) -> None:
        while not queue.empty():
            kind, body = queue.get_nowait()
            while not await self.sent(kind, body):
                await asyncio.sleep(0.2)
        if self.pipe:
            self.pipe[1].close()

    async def sent(self, kind: str, body: bytes) -> bool:
        try:
            if self.pipe is None:
                self.pipe = await asyncio.open_connection("127.0.0.1", self.port)
            reader, writer = self.pipe
            since = time.perf_counter()
            writer.write(
                b"POST /signals/storm HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAuthorization: Bearer %s\r\n"
                b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s"
                % (self.port, SECRET.encode(), len(body), body)
            )
            head = await reader.readuntil(b"\r\n\r\n")
            fields = head.lower().split(b"\r\n")
            length = next(int(line.split(b":")[1]) for line in fields if line.startswith(b"content-length"))
            content = await reader.readexactly(length)
            self.times.append(time.perf_counter() - since)
            if b"connection: close" in fields:
                writer.close()
                self.pipe = None
        except (OSError, asyncio.IncompleteReadError):
            self.retries[kind] += 1
            self.pipe = None
            return False
        status = int(head[9:12])
        if status in {429, 503}:
            self.retries[str(status)] += 1
            return False
        data = json.loads(content)["data"]
        self.answers.append((kind, status, data["signals"][0]["signal_id"] if status == 200 else ""))
        return True


async def storm(house: House, count: int, senders: int, pace: float) -> None:
    times: list[float] = []
    answers: list[tuple[str, int, str]] = []
    retries: Counter[str] = Counter()
    queue: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
    alerts = bodies(count)

    async def fed() -> None:
        since = time.perf_counter()
        for number, each in enumerate(alerts):
            if pace and (ahead := number / pace - (time.perf_counter() - since)) > 0:
                await asyncio.sleep(ahead)
            queue.put_nowait(each)

    async def kills() -> None:
        for share, kill in (
            (0.25, house.kill_run),
            (0.4, house.kill_listener),
            (0.6, house.kill_run),
            (0.75, house.kill_listener),
        ):
            while len(answers) < share * count:
                await asyncio.sleep(0.005)
            kill()

    async def work(sender: Sender) -> None:
        while len(answers) < count:
            await sender.work(queue)
            await asyncio.sleep(0.001)

    since = time.perf_counter()
    workers = [work(Sender(house.port, times, answers, retries)) for _ in range(senders)]
    await asyncio.gather(fed(), kills(), *workers)
    took = time.perf_counter() - since
    print(f"{count} alerts by {senders} senders in {took:.1f} s: {count / took:.0f} a second; retries {dict(retries)}")
    ranked = sorted(times)
    shown = {
        name: f"{ranked[int(len(ranked) * part)] * 1000:.1f} ms"
        for name, part in (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999))
    }
    print(f"answers: {shown}, slowest {ranked[-1] * 1000:.0f} ms")
    while house.waiting():
        await asyncio.sleep(0.2)
    await asyncio.sleep(1.5)
    print(f"all decided {time.perf_counter() - since - took:.1f} s later")
    judge(house, alerts, answers)


def judge(house: House, alerts: list[tuple[str, bytes]], answers: list[tuple[str, int, str]]) -> None:
    kinds = Counter((kind, status) for kind, status, _ in answers)
    print("answers by kind and status:", dict(kinds))
    acknowledged = {signal_id for _, status, signal_id in answers if status == 200}
    wanted = {json.loads(body)["alert_id"] for kind, body in alerts if kind == "good"}
    decided: Counter[str] = Counter()
    entered: defaultdict[str, set[str]] = defaultdict(set)
    for path in sorted((house.folder / "state" / "journal").glob("*.jsonl")):
        for line in path.read_text().splitlines():
            event = json.loads(line)
            if event["kind"] in {"decided", "signal_ended"}:
                decided[event["subject"]] += 1
            elif event["kind"] == "alarm" and event["data"]["code"] == "never_sent":
                decided[event["subject"]] -= 1  # a kill between decision and sending: the broker proved that none left
            elif event["kind"] == "entry_filled":
                entered[event["data"]["bracket"]["signal_id"]].add(event["data"]["bracket"]["bracket_id"])
    print(f"acknowledged {len(acknowledged)}, decided {len(decided)}", end="; ")
    print(f"twice {sum(1 for number in decided.values() if number > 1)}", end="; ")
    print(f"acknowledged and not decided {len(acknowledged - set(decided))}", end="; ")
    print(f"decided and not acknowledged {len(set(decided) - acknowledged)}", end="; ")
    print(f"sent and never acknowledged {len(wanted - acknowledged)}")
    for subject, number in decided.items():
        if number > 1:
            show(house, subject)
    assert acknowledged == wanted == set(decided)
    assert set(decided.values()) == {1}
    assert all(len(brackets) == 1 for brackets in entered.values())
    assert all((status == 200) == (kind != "broken") for kind, status in kinds)


def show(house: House, subject: str) -> None:
    """Print every event about one signal."""
    for path in sorted((house.folder / "state" / "journal").glob("*.jsonl")):
        for line in path.read_text().splitlines():
            event = json.loads(line)
            if event["subject"] == subject:
                print(event["seq"], event["at"], event["kind"], str(event["data"])[:300])


if __name__ == "__main__":
    given = [int(text) for text in sys.argv[1:]]
    number, many, speed = [*given, *(10_000, 50, 0)[len(given) :]]
    with tempfile.TemporaryDirectory() as place:
        made = House(Path(place))
        time.sleep(3)
        try:
            asyncio.run(storm(made, number, many, speed))
        finally:
            made.end()
        for log in ("listen.log", "run.log"):
            text = (Path(place) / log).read_text()
            print(f"{log}: {len(text.splitlines())} lines; last: {text.splitlines()[-1:]}")
