"""Metrics for Prometheus: numbers and durations of requests, and key figures of the account."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from apex_cli.core.model.base import Value

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
ROWS = (1, 2, 5, 10, 20, 50, 100, 200, 500)
NOBODY = "unknown"
"""Stands for senders that have not proved who they are: their words never become labels."""


class Gauges(Value, frozen=True, kw_only=True):
    """Where things stand; None where it is not known."""

    waiting: int
    positions: int
    unprotected: int
    approvals: int
    open_orders: int
    unknown_orders: int
    is_active: bool
    is_running: bool
    last_event: int
    equity: Decimal | None = None
    unrealized: Decimal | None = None
    last_run_s: float | None = None
    """Seconds since 1970."""


GAUGES = {
    "waiting": ("apex_intake_waiting", "Signals, and what was sent in place of some, that wait for a run."),
    "positions": ("apex_positions", "Open positions."),
    "unprotected": ("apex_positions_unprotected", "Positions that no stop protects in full."),
    "approvals": ("apex_approvals_pending", "Trades that wait for an answer."),
    "open_orders": ("apex_orders_open", "Working orders."),
    "unknown_orders": ("apex_orders_unknown", "Orders whose outcome is unknown."),
    "is_active": ("apex_trading_active", "1 while openings are allowed, 0 when reducing or halted."),
    "is_running": ("apex_executor_held", "1 while a process trades."),
    "last_event": ("apex_journal_last_event", "Number of the newest event."),
    "equity": ("apex_equity", "Value of the account, in its currency."),
    "unrealized": ("apex_unrealized_pnl", "Gain or loss of open positions, in the currency of the account."),
    "last_run_s": ("apex_last_run_timestamp_seconds", "When a run last worked without failing."),
}


class _State(Collector):
    def __init__(self, look: Callable[[], Gauges | None]) -> None:
        self._look = look

    def collect(self) -> Iterator[Metric]:
        found = self._look()
        yield GaugeMetricFamily("apex_state_readable", "1 when the state can be read.", value=float(found is not None))
        for name, (metric, text) in GAUGES.items():
            value = getattr(found, name) if found is not None else None
            if value is not None:
                yield GaugeMetricFamily(metric, text, value=float(value))


class Metrics:
    """Counts what the server does."""

    def __init__(self, look: Callable[[], Gauges | None]) -> None:
        """Start at nothing; *look* says where the account stands, and may take its time."""
        disable_created_metrics()  # type: ignore[no-untyped-call]  # it has no annotations
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "apex_listen_requests", "Requests by source and status.", ("source", "status"), registry=self._registry
        )
        self._signals = Counter(
            "apex_listen_signals", "Signals by source and what became of them.", ("source", "status"),
            registry=self._registry,
        )  # fmt: skip
        self._seconds = Histogram(
            "apex_listen_seconds", "Time from the head of a request to its answer.", buckets=SECONDS,
            registry=self._registry,
        )  # fmt: skip
        self._rows = Histogram(
            "apex_listen_commit_rows", "Signals that one wait for the disk made safe.", buckets=ROWS,
            registry=self._registry,
        )  # fmt: skip
        self._registry.register(_State(look))

    def request(self, source: str, status: int, seconds: float) -> None:
        """Count one request for signals."""
        self._requests.labels(source, str(status)).inc()
        self._seconds.observe(seconds)

    def signal(self, source: str, status: str, count: int = 1) -> None:
        """Count signals."""
        if count:
            self._signals.labels(source, status).inc(count)

    def commit(self, rows: int) -> None:
        """Count one file of the intake."""
        self._rows.observe(rows)

    def page(self) -> bytes:
        """Return the page that Prometheus reads."""
        return generate_latest(self._registry)
