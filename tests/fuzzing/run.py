"""The run: so many requests, what must hold of every reply, and what was measured.

Must hold: no 5xx; no reply slower than 10 s; every reply as the description has it; what is refused, and what only
looks, changes nothing; the service's memory stays within a bound after it is warm.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import Case, Response
from schemathesis.checks import CheckFunction, not_a_server_error
from schemathesis.core import NotSet
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.fuzzing.requests import Requests
from tests.fuzzing.world import World

Json = dict[str, Any]

LONGEST_SECONDS: Final = 10.0
MOST_FINDINGS: Final = 25
# Of the memory when a fifth of the wanted requests was answered. Measured over 10,920 requests: 186 MB to 192 MB.
MOST_GROWTH: Final = 0.25
_CHECKS: Final[list[CheckFunction]] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
# POSTs that look and change nothing.
_LOOKS: Final = ("_WhatIf", "_Validate", "_ListCluster", "_ExportTemplate")
# What may leave too little behind for the requests that follow, even where it is no DELETE.
_UPHEAVALS: Final = ("State_Reset", "State_Import", "ManagedClusters_Stop", "Catalog_Import")
_EXAMPLES_AT_ONCE: Final = 15


@dataclass(slots=True)
class Report:
    """What a run came to."""

    requests: int = 0
    seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    sent: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    state_checks: int = 0
    restored: int = 0
    slowest: tuple[float, str] = (0.0, "")
    rss_cold: int = 0
    rss_warm: int = 0
    rss_end: int = 0
    findings: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def growth(self) -> float:
        """How much more memory the process has at the end than when it was warm, as a part of the latter."""
        return self.rss_end / self.rss_warm - 1

    def lines(self) -> list[str]:
        """The report as text."""
        never = sorted(name for name in self.sent if not self.accepted[name])
        return [
            f"requests        {self.requests:,} in {self.seconds:.0f} s",
            "statuses        " + ", ".join(f"{status}: {count:,}" for status, count in sorted(self.statuses.items())),
            f"slowest         {self.slowest[0]:.2f} s, {self.slowest[1]}",
            f"state compared  {self.state_checks:,} times; brought back {self.restored:,} times",
            f"memory          {_mb(self.rss_cold)} at first, {_mb(self.rss_warm)} warm, {_mb(self.rss_end)} at the end",
            f"never accepted  {', '.join(never) or 'none'}",
            f"findings        {len(self.findings)}",
            *(f"\n{operation}, {check}\n{text}" for (operation, check), text in self.findings.items()),
        ]


def run(
    world: World,
    count: int,
    most_seconds: float,
    *,
    seed_value: int = 1,
    only: str = "",
    say: Callable[[str], None] = lambda line: None,
    description: Json | None = None,
) -> Report:
    """Send `count` requests, or as many as fit into the time, spread over all operations; returns the report.

    `only` operations with that in their name. `description` is the service's own where none is given.
    """
    fuzzing = _Run(world, count, most_seconds, say, description)
    operations = [each for each in fuzzing.operations if only in each.name]
    # Several rounds, so that every operation had its turn long before the time is over. The first example that
    # hypothesis makes is the simplest one, so there are at least three.
    at_once = max(3, min(_EXAMPLES_AT_ONCE, count // (5 * len(operations))))
    turn, order = 0, random.Random(seed_value)
    while not fuzzing.is_over:
        # In another order each time: when the time is over, no area is left out.
        for operation in order.sample(operations, len(operations)):
            fuzzing.send(operation, at_once, seed_value + turn)
            turn += 1
            if fuzzing.is_over:
                break
    return fuzzing.ended()


class _Run:
    def __init__(
        self,
        world: World,
        count: int,
        most_seconds: float,
        say: Callable[[str], None],
        description: Json | None,
    ) -> None:
        self._world, self._count, self._say = world, count, say
        self._began = time.monotonic()
        self._until = self._began + most_seconds
        self._session = requests.Session()
        self._session.trust_env = False
        self._token = {"Authorization": world.client.headers["Authorization"]}
        schema = schemathesis.openapi.from_dict(description or world.client.get("/_poolwright/openapi.json").json())
        schema.validate()
        self.operations = [Requests(each.ok()) for each in schema.get_all_operations()]
        self._report = Report(rss_cold=world.rss_bytes())
        self._paths: Sequence[dict[str, str]] = world.paths()
        # Whether something was thrown away that the requests of other operations need.
        self._is_disturbed = False

    @property
    def is_over(self) -> bool:
        report = self._report
        return (
            report.requests >= self._count or time.monotonic() >= self._until or len(report.findings) >= MOST_FINDINGS
        )

    def ended(self) -> Report:
        report = self._report
        report.seconds = time.monotonic() - self._began
        report.rss_end = self._world.rss_bytes()
        report.rss_warm = report.rss_warm or report.rss_end
        if report.growth > MOST_GROWTH:
            report.findings["the service", "memory"] = f"it grew by {report.growth:.0%}"
        self._session.close()
        return report

    def send(self, operation: Requests, examples: int, seed_value: int) -> None:
        """Send up to so many requests of one operation."""
        if self._is_disturbed or not self._world.is_whole():
            self._make_whole()
        self._paths = self._world.paths()

        @seed(seed_value)
        @settings(
            max_examples=examples,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=[*HealthCheck],
        )
        @given(st.data())
        def requests_of(data: st.DataObject) -> None:
            for case, with_token in operation.cases(data, self._world, self._paths):
                if not self.is_over:
                    self._one(operation, case, self._token if with_token else {})

        requests_of()

    def _one(self, operation: Requests, case: Case, headers: dict[str, str]) -> None:
        world, report = self._world, self._report
        if not world.wait_quiet():
            self._make_whole()
        before = world.state.digest
        try:
            response = case.call(
                base_url=world.service.url,
                session=self._session,
                headers=headers,
                verify=str(world.service.ca),
                timeout=3 * LONGEST_SECONDS,
            )
        except (requests.exceptions.InvalidHeader, requests.exceptions.InvalidURL, UnicodeError):
            return  # the client itself would not send it
        except requests.exceptions.RequestException as error:
            report.findings.setdefault(
                (operation.name, "no reply"), f"{case.method} {case.formatted_path}\n{_body_of(case)}\n{error}"
            )
            return
        self._count_in(operation, case, response)
        if response.status_code >= 400 or _only_looks(operation.name, case.method):
            report.state_checks += 1
            if world.state.digest != before:
                self._found(operation, "the state changed", case, response)
        try:
            case.validate_response(response, checks=_CHECKS)
        except FailureGroup as group:
            for failure in group.exceptions:
                self._found(operation, type(failure).__name__, case, response, str(failure))
        if response.status_code < 400 and str(response.status_code) not in operation.described:
            # `default` describes refusals only.
            self._found(operation, "a success that is not described", case, response)
        if response.elapsed > LONGEST_SECONDS:
            self._found(operation, "slow", case, response, f"{response.elapsed:.1f} s")
        if response.status_code < 300:
            self._clean_up(operation, case)

    def _count_in(self, operation: Requests, case: Case, response: Response) -> None:
        report = self._report
        report.requests += 1
        report.statuses[response.status_code] += 1
        report.sent[operation.name] += 1
        report.accepted[operation.name] += response.status_code < 400
        report.slowest = max(report.slowest, (response.elapsed, operation.name))
        if report.requests == self._count // 5:
            report.rss_warm = self._world.rss_bytes()
        if report.requests % 1000 == 0:
            seconds = time.monotonic() - self._began
            memory, found = _mb(self._world.rss_bytes()), len(report.findings)
            self._say(f"{report.requests:>7,} requests  {seconds:>5.0f} s  {memory}  {found} findings")

    def _clean_up(self, operation: Requests, case: Case) -> None:
        """Undo what would spoil the requests that follow: a bad day that was asked for, and what was thrown away."""
        if operation.name == "Faults_Put":
            self._world.client.delete("/_poolwright/faults")
            self._is_disturbed = True
        is_upheaval = case.method == "DELETE" or operation.name.startswith(_UPHEAVALS)
        self._is_disturbed = self._is_disturbed or is_upheaval
        if is_upheaval and not (self._world.wait_quiet() and self._world.is_whole()):
            self._make_whole()

    def _make_whole(self) -> None:
        self._report.restored += 1
        self._is_disturbed = False
        self._world.make_whole()

    def _found(self, operation: Requests, check: str, case: Case, response: Response, why: str = "") -> None:
        sent = f"{case.method} {response.request.url}\n{_body_of(case)}"
        got = f"{response.status_code}: {response.text[:600]}"
        self._report.findings.setdefault((operation.name, check), f"{sent}\n{got}\n{why[:900]}")


def _body_of(case: Case) -> str:
    return "" if isinstance(case.body, NotSet) else repr(case.body)[:600]


def _only_looks(name: str, method: str) -> bool:
    return method in ("GET", "HEAD") or any(part in name for part in _LOOKS)


def _mb(count: int) -> str:
    return f"{count / 1e6:.0f} MB"
