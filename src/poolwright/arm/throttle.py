"""The documented limits of AKS's resource provider, kept for the requests of this process (`domain/throttle.py`).

Invariant: at most `MOST_BUCKETS` buckets are in memory; the one unused longest goes first, which gives its
requests back.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from poolwright import errors
from poolwright.domain.fault import circumstances_of, wording
from poolwright.domain.throttle import Bucket, limit_of, taken

MOST_BUCKETS: Final = 10_000


class Throttle:
    """Token buckets in memory. `now` gives seconds that pass evenly."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def require(self, method: str, path: str) -> None:
        """Count a request; the path is in lower case. Raises `Throttled` when it comes too early."""
        found = limit_of(method, path)
        if found is None:
            return
        limit, name = found
        self._buckets[name], seconds = taken(limit, self._buckets.get(name), self._now())
        self._buckets.move_to_end(name)
        if len(self._buckets) > MOST_BUCKETS:
            self._buckets.popitem(last=False)
        if seconds:
            circumstances = {"handler": handler_of(method, path), "seconds": str(seconds)}
            raise errors.Throttled(
                wording(errors.Throttled.code, circumstances | circumstances_of(path)),
                retry_after_seconds=seconds,
                remedy=f"wait {seconds} seconds, as Retry-After says",
                information={"limit": limit.id, "burst": limit.burst, "perSecond": round(limit.per_second, 4)},
            )


def handler_of(method: str, path: str) -> str:
    """Return how AKS calls what answers a request; the path is in lower case."""
    found = limit_of(method, path)
    return found[0].handler if found is not None else f"{method.capitalize()}Handler.{method}"
