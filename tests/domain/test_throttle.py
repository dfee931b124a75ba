"""The documented limits, and token buckets whatever comes when."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolwright.domain.throttle import LIMITS, Bucket, Limit, limit_of, taken

SUBSCRIPTION = "/subscriptions/s"
PROVIDER = "/providers/microsoft.containerservice"
CLUSTERS = f"{SUBSCRIPTION}/resourcegroups/rg{PROVIDER}/managedclusters"


@pytest.mark.parametrize(
    ("method", "path", "limit", "scope"),
    [
        ("PUT", f"{CLUSTERS}/c1/agentpools/np1", "put-agent-pool", f"{CLUSTERS}/c1/agentpools/np1"),
        ("GET", f"{CLUSTERS}/c1/agentpools/np1", "all-other", SUBSCRIPTION),
        ("POST", f"{CLUSTERS}/c1/agentpools/np1/abort", "all-other", SUBSCRIPTION),
        ("PUT", f"{CLUSTERS}/c1", "put-managed-cluster", f"{CLUSTERS}/c1"),
        ("GET", f"{CLUSTERS}/c1", "get-managed-cluster", f"{CLUSTERS}/c1"),
        ("DELETE", f"{CLUSTERS}/c1", "all-other", SUBSCRIPTION),
        ("GET", CLUSTERS, "list-managed-clusters-of-group", CLUSTERS),
        ("GET", f"{SUBSCRIPTION}{PROVIDER}/managedclusters", "list-managed-clusters", SUBSCRIPTION),
        ("GET", f"{SUBSCRIPTION}{PROVIDER}/locations/l/operations/o", "get-operation-status", SUBSCRIPTION),
        ("GET", f"{SUBSCRIPTION}{PROVIDER}/locations/l/operationresults/o", "get-operation-status", SUBSCRIPTION),
        ("GET", f"{SUBSCRIPTION}{PROVIDER}/locations/l/kubernetesversions", "all-other", SUBSCRIPTION),
    ],
)
def test_each_request_counts_against_its_own_limit(method: str, path: str, limit: str, scope: str) -> None:
    found = limit_of(method, path)
    assert found is not None
    assert (found[0].id, found[1]) == (limit, f"{limit} {scope}")


@pytest.mark.parametrize(
    "path", [f"{SUBSCRIPTION}/resourcegroups/rg", f"{SUBSCRIPTION}/providers/microsoft.compute/skus"]
)
def test_what_is_not_akss_has_no_limit_here(path: str) -> None:
    assert limit_of("GET", f"{SUBSCRIPTION}{path}") is None


ANY_LIMIT = st.sampled_from(LIMITS)
PAUSES = st.lists(st.floats(-5, 200, allow_nan=False), max_size=60)


@given(ANY_LIMIT, PAUSES)
def test_never_more_come_through_than_burst_and_refill_allow(limit: Limit, pauses: list[float]) -> None:
    bucket: Bucket | None = None
    now = latest = 1000.0
    let_through = 0
    for pause in pauses:
        now += pause
        latest = max(latest, now)
        bucket, wait = taken(limit, bucket, now)
        let_through += wait == 0
    # A clock that is set back and forth again may fill twice; never beyond what all of its ways forward give.
    forward = sum(pause for pause in pauses if pause > 0)
    assert let_through <= limit.burst + forward * limit.per_second + 1e-6


@given(ANY_LIMIT, st.floats(0, 1e9, allow_nan=False))
def test_a_burst_comes_through_at_once_and_the_next_request_after_the_told_time(limit: Limit, start: float) -> None:
    bucket: Bucket | None = None
    for _ in range(limit.burst):
        bucket, wait = taken(limit, bucket, start)
        assert wait == 0
    bucket, wait = taken(limit, bucket, start)
    assert wait == pytest.approx(1 / limit.per_second, abs=1)
    assert wait >= 1
    early, again = taken(limit, bucket, start + wait - 1 / limit.per_second / 2 - 0.5)
    assert (again > 0) or limit.per_second > 1
    assert taken(limit, early if again else bucket, start + wait)[1] == 0


@given(ANY_LIMIT, st.floats(0, 0.9, allow_nan=False))
def test_a_request_that_has_to_wait_takes_nothing(limit: Limit, tokens: float) -> None:
    first = taken(limit, Bucket(tokens, 0.0), 0.0)
    assert first[1] >= 1
    assert taken(limit, first[0], 0.0) == first
