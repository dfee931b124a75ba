"""Prometheus metrics of the service.

Invariant: labels are bounded: methods, status codes and kinds, never names or paths.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from poolwright.store.database import Reader
from poolwright.store.statements import OPERATIONS_BY_STATUS, RESOURCE_COUNTS

_METHODS = frozenset({"GET", "HEAD", "PUT", "POST", "PATCH", "DELETE"})


class Metrics:
    """The registry and its instruments."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "poolwright_requests", "HTTP requests answered", ["method", "status"], registry=self.registry
        )
        self._seconds = Histogram(
            "poolwright_request_seconds", "Time to answer a request", ["method"], registry=self.registry
        )
        self._children: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        self._operations = Gauge("poolwright_operations", "Operations by status", ["status"], registry=self.registry)
        self._resources = Gauge("poolwright_resources", "Resources stored", ["kind"], registry=self.registry)

    def observe(self, method: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        known = method if method in _METHODS else "other"
        children = self._children.get((known, status))
        if children is None:
            children = self._requests.labels(known, str(status)), self._seconds.labels(known)
            self._children[known, status] = children
        children[0].inc()
        children[1].observe(seconds)

    def count_resources(self, reader: Reader) -> None:
        """Bring the gauges up to date with the store."""
        counts = reader.row(RESOURCE_COUNTS)
        if counts is not None:
            for kind, number in zip(("clusters", "node_pools", "machines"), counts, strict=True):
                self._resources.labels(kind).set(number)
        for status, number in reader.rows(OPERATIONS_BY_STATUS):
            self._operations.labels(status).set(number)
