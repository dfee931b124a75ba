"""What "nothing lost" means: what clients were promised by answers, and what of it does not hold afterwards.

A promise is a part of an ARM document, or None where there is to be nothing. An answer makes one; a request that got
no answer leaves two possibilities, until somebody sees which of them came about.

Invariant: a journal knows only what its client sent and what it was answered; it never asks the service.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from tests.support.activity_log import unlogged
from tests.support.databases import ENGINE, STORE, rows
from tests.support.service import ArmClient

Document = Mapping[str, Any]
Promise = Document | None

SETTLE_SECONDS: Final = 60.0
TERMINAL: Final = frozenset({"Succeeded", "Failed", "Canceled"})
WELL: Final = frozenset({"Succeeded"})


class Journal:
    """What one client may count on: how each resource may be, by path, and how each operation may end, by path.

    No other client may change these resources. `changes` are those accepted, by their correlation IDs.
    """

    def __init__(self) -> None:
        self.possible: dict[str, list[Promise]] = {}
        self.changes: set[str] = set()
        self.operations: dict[str, frozenset[str]] = {}

    def asks(self, wanted: Mapping[str, Promise]) -> Asked:
        """Note a change that is about to be asked for: each path may be as it was, or as wanted."""
        before = {path: self.possible.get(path, [None]) for path in wanted}
        for path, promise in wanted.items():
            self.possible[path] = [*before[path], promise]
        return Asked(self, before, wanted)

    def sees(self, path: str, shown: Promise) -> str | None:
        """Take what is shown of a resource at rest as true from now on; say so where it is none of what it may be."""
        possible = self.possible.get(path, [None])
        holding = [promise for promise in possible if keeps(shown, promise)]
        if not holding:
            return f"{path} may be {json.dumps(possible)} and is {_in_short(shown)}"
        # Of several that hold, the last one was asked for last.
        self.possible[path] = holding[-1:]
        return None


class Asked:
    """A change that was asked for, until it is answered. Without an answer it stays in doubt."""

    def __init__(self, journal: Journal, before: Mapping[str, list[Promise]], wanted: Mapping[str, Promise]) -> None:
        self._journal = journal
        self._before = before
        self._wanted = wanted

    def accepted(self, headers: Mapping[str, str], ends: frozenset[str] = WELL) -> str | None:
        """The service has promised it, and that the operation, if there is one, will end like one of `ends`.

        `headers` are those of the reply. Returns the path of the operation.
        """
        for path, promise in self._wanted.items():
            self._journal.possible[path] = [promise]
        self._journal.changes.add(headers["x-ms-correlation-request-id"])
        url = headers.get("Azure-AsyncOperation")
        if url is None:
            return None
        operation = urlsplit(url).path
        self._journal.operations[operation] = ends
        return operation

    def is_so(self) -> None:
        """The service says that there was nothing to do."""
        for path, promise in self._wanted.items():
            self._journal.possible[path] = [promise]

    def refused(self) -> None:
        """The service has said no, so nothing has changed."""
        self._journal.possible.update(self._before)


def keeps(shown: Any, promise: Any) -> bool:
    """Whether everything in the promise stands in what is shown, which may hold more."""
    if isinstance(promise, Mapping) and isinstance(shown, Mapping):
        return all(name in shown and keeps(shown[name], part) for name, part in promise.items())
    return bool(shown == promise)


def shown_losses(client: ArmClient, journals: Sequence[Journal]) -> list[str]:
    """Wait until everything the journals know is at rest; say what clients see that is not as promised."""
    lost: list[str] = []
    for journal in journals:
        for operation, ends in journal.operations.items():
            status = _ended(client, operation)
            if status not in ends:
                lost.append(f"{operation} is {status} and was to end {' or '.join(sorted(ends))}")
        for path in journal.possible:
            shown = _at_rest(client, path)
            lost += filter(None, (journal.sees(path, shown),))
            if shown is not None:
                lost += _wrong(client, path, shown)
    return [*lost, *_twice(client)]


def stored_losses(data_dir: Path, journals: Sequence[Journal] = ()) -> list[str]:
    """Say what the databases of a service that has nothing left to do hold and should not, or lack."""
    store, engine = data_dir / STORE, data_dir / ENGINE
    lost = [f"operation {key} never ended" for (key,) in rows(store, _NEVER_ENDED)]
    lost += [f"the waves of operation {key} are still there" for (key,) in rows(store, _LEFT_WAVES)]
    machines = dict(rows(store, "SELECT key, pool_key FROM pw_machines"))
    real = {key for (key,) in rows(engine, "SELECT key FROM machines")}
    lost += [f"machine {key} is in the engine and not in the store" for key in sorted(real - machines.keys())]
    lost += [f"machine {key} is in the store and not in the engine" for key in sorted(machines.keys() - real)]
    counts = Counter(machines.values())
    for key, wire in rows(store, "SELECT key, wire FROM pw_node_pools"):
        properties = json.loads(wire)["properties"]
        if properties["provisioningState"] not in TERMINAL:
            lost.append(f"{key} is still {properties['provisioningState']}")
        if counts[key] != properties["count"]:
            lost.append(f"{key} was promised {properties['count']} machines and has {counts[key]}")
    logged = {change for (change,) in rows(store, "SELECT correlation_id FROM pw_activity")}
    for journal in journals:
        lost += [f"change {change} is not in the activity log" for change in sorted(journal.changes - logged)]
    lost += unlogged(data_dir)
    for database in (store, engine):
        lost += [f"{database.name}: {found}" for found in rows(database, "PRAGMA integrity_check") if found != ("ok",)]
        lost += [f"{database.name}: {found}" for found in rows(database, "PRAGMA foreign_key_check")]
    return lost


_NEVER_ENDED: Final = "SELECT id FROM pw_operations WHERE status = 'InProgress'"
_LEFT_WAVES: Final = "SELECT operation_id FROM pw_rollouts"


def _ended(client: ArmClient, operation: str) -> str:
    """The status of the operation once it has ended, or what is there instead after the time is up."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        reply = client.get(operation)
        if reply.status_code != 200:
            return f"answered with {reply.status_code}"
        status = str(reply.json()["status"])
        if status in TERMINAL or time.monotonic() > deadline:
            return status
        time.sleep(0.05)


def _at_rest(client: ArmClient, path: str) -> Document | None:
    """The resource once nothing happens to it any more; None when there is none."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while True:
        reply = client.get(path)
        if reply.status_code == 404:
            return None
        document: Document = client.expect(200, reply).json()
        if document["properties"]["provisioningState"] in TERMINAL or time.monotonic() > deadline:
            return document
        time.sleep(0.05)


def _wrong(client: ArmClient, path: str, shown: Document) -> Iterable[str]:
    """What is not as it should be at a resource at rest that no fault and nobody's abort has touched last."""
    properties = shown["properties"]
    if properties["provisioningState"] != "Succeeded":
        yield f"{path} is {properties['provisioningState']}"
    if "/agentPools/" not in path:
        return
    observed = properties["poolwright"]["observedGenerations"]
    if observed.get(properties["poolwright"]["resolvedGeneration"], 0) != properties["count"]:
        yield f"{path} has {properties['count']} machines to show one generation, and they showed {observed}"
    machines = client.expect(200, client.get(f"{path}/machines")).json()["value"]
    if len({machine["name"].lower() for machine in machines}) != properties["count"]:
        yield f"{path} has count {properties['count']} and lists {sorted(machine['name'] for machine in machines)}"


def _twice(client: ArmClient) -> Iterable[str]:
    """Names that a list has twice."""
    everywhere = f"{client.subscription}/providers/Microsoft.ContainerService/managedClusters"
    clusters = _listed(client, everywhere)
    lists = [clusters, *(_listed(client, f"{cluster['id']}/agentPools") for cluster in clusters)]
    for listed in lists:
        for key, times in Counter(resource["id"].lower() for resource in listed).items():
            if times > 1:
                yield f"{key} is listed {times} times"


def _listed(client: ArmClient, url: str) -> list[Document]:
    found: list[Document] = []
    while url:
        # Where a URL has a query, httpx would put the client's parameters in its place.
        page = client.expect(200, client.get(url, params=httpx.URL(url).params)).json()
        found += page["value"]
        url = page.get("nextLink", "")
    return found


def _in_short(shown: Promise) -> str:
    """What is shown, without what nobody was promised."""
    if shown is None:
        return "not there"
    properties = shown.get("properties", {})
    told = {name: properties[name] for name in ("provisioningState", "count", "vmSize") if name in properties}
    return json.dumps(told | {name: shown[name] for name in ("tags",) if name in shown} | _tags(properties))


def _tags(properties: Document) -> dict[str, Any]:
    return {"tags": properties["tags"]} if "tags" in properties else {}
