"""One client of the soak: reads, and changes of node pools and of a cluster that are its own alone.

It begins a change only when the one before has ended, reads while operations run, and compares every resource at rest
with its journal. Invariant: what it does follows from its seed, and from how the service answers.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final

import httpx

from bench.soak.session import GaveUp, Session
from poolwright.testing.client import Client
from tests.support.promises import TERMINAL, WELL, Asked, Document, Journal, Promise

POOLS: Final = 4
# One size that offers Generation 1 alone, and three that offer both: changes of size go between generations as well.
SIZES: Final = ("Standard_D2_v3", "Standard_D2s_v3", "Standard_D2s_v5", "Standard_D4s_v5")
COUNTS: Final = (1, 2, 3, 5)
# Between two requests of a client; the service and all clients share one machine.
PAUSE_SECONDS: Final = (0.05, 0.35)
AGAIN_SECONDS: Final = 1.0
SHARE_OF_CHANGES: Final = 0.25
SHARE_OF_CLUSTERS: Final = 0.08
READ, LIST, POLL = "read", "list", "poll"
# No request: from the acceptance of an operation to its end, by its own times.
OPERATION: Final = "(operation)"


class Customer:
    """A client with node pools in a cluster that others use too, and with a cluster of its own."""

    def __init__(self, number: int, seed: int, names: Client, shared: str, session: Session) -> None:
        self.journal = Journal()
        self._session = session
        self._random = random.Random(f"{seed}/{number}")
        self._shared = names.cluster(shared, "soak")
        self._pools = [f"{self._shared}/agentPools/c{number}p{index}" for index in range(POOLS)]
        self._group = names.group(f"own{number}")
        self._own = names.cluster("own", f"own{number}")
        self._group_clusters = f"{names.group('soak')}/providers/Microsoft.ContainerService/managedClusters"
        # The size a node pool had before its last change of size, as far as that is certain.
        self._former: dict[str, str] = {}

    async def work(self, stop: asyncio.Event) -> None:
        """Go on until told to stop; a change that was begun is seen to its end."""
        while not stop.is_set():
            await self._pause()
            chance = self._random.random()
            if chance > SHARE_OF_CHANGES:
                await self._read()
            elif chance < SHARE_OF_CHANGES * SHARE_OF_CLUSTERS:
                await self._change_own_cluster()
            else:
                await self._change_pool(self._random.choice(self._pools))

    async def _pause(self) -> None:
        await asyncio.sleep(self._random.uniform(*PAUSE_SECONDS))

    async def _read(self) -> None:
        pool = self._random.choice(self._pools)
        size = self._random.choice(SIZES)
        kind, method, path, body = self._random.choice(
            (
                (READ, "GET", pool, None),
                (READ, "GET", pool, None),
                (READ, "GET", self._shared, None),
                (LIST, "GET", f"{self._shared}/agentPools", None),
                (LIST, "GET", f"{pool}/machines", None),
                (LIST, "GET", f"{pool}/operations", None),
                (LIST, "GET", self._group_clusters, None),
                (READ, "GET", f"{pool}/upgradeProfiles/default", None),
                ("what-if", "POST", f"{pool}/whatIf", _pool(2, size, "what-if")),
            )
        )
        try:
            reply = await self._session.send(kind, method, path, body)
        except GaveUp:
            return
        may_be_absent = pool in path and None in self.journal.possible.get(pool, [None])
        is_expected = reply.status_code == 200 or (reply.status_code == 404 and may_be_absent)
        # What would be refused while an operation runs is refused beforehand as well.
        if not is_expected and not (reply.status_code == 409 and kind == "what-if"):
            self._problem(reply)

    async def _change_pool(self, pool: str) -> None:
        now = self.journal.possible.get(pool, [None])[-1]
        if now is None:
            await self._put_pool(pool, self._random.choice(COUNTS), self._random.choice(SIZES))
            return
        count, size = now["properties"]["count"], now["properties"]["vmSize"]
        other_size = self._random.choice([other for other in SIZES if other != size])
        acts: list[tuple[int, Callable[[], Awaitable[object]]]] = [
            (5, lambda: self._put_pool(pool, self._random.choice(COUNTS), size)),
            (4, lambda: self._put_pool(pool, count, other_size)),
            (2, lambda: self._patch_pool(pool, now, self._random.choice(COUNTS))),
            (2, lambda: self._aborted_change(pool, count, other_size)),
            (1, lambda: self._post(pool, "upgradeNodeImageVersion", None, now)),
            (3, lambda: self._delete(pool)),
        ]
        if count > 1:
            acts.append((2, lambda: self._delete_machine(pool, now)))
        if pool in self._former:
            acts.append((2, lambda: self._roll_back(pool, now)))
        weights, chosen = zip(*acts, strict=True)
        [act] = self._random.choices(chosen, weights)
        await act()

    async def _put_pool(self, pool: str, count: int, size: str) -> None:
        former = self._size(pool)
        body = _pool(count, size, self._mark())
        ended = await self._change("PUT pool", "PUT", pool, body, {pool: _promise(body)})
        self._former.pop(pool, None)
        if ended == "Succeeded" and former not in (None, size):
            self._former[pool] = str(former)

    async def _patch_pool(self, pool: str, now: Document, count: int) -> None:
        body = {"properties": {"count": count}}
        await self._change("PATCH pool", "PATCH", pool, body, {pool: _with(now, count=count)})

    async def _delete(self, pool: str) -> None:
        self._former.pop(pool, None)
        await self._change("DELETE pool", "DELETE", pool, None, {pool: None})

    async def _post(self, pool: str, action: str, body: dict[str, Any] | None, wanted: Document) -> str | None:
        return await self._change("POST action", "POST", f"{pool}/{action}", body, {pool: wanted})

    async def _delete_machine(self, pool: str, now: Document) -> None:
        try:
            reply = await self._session.send(LIST, "GET", f"{pool}/machines")
        except GaveUp:
            return
        name = self._random.choice(reply.json()["value"])["name"].rpartition("/")[2]
        wanted = _with(now, count=now["properties"]["count"] - 1)
        await self._post(pool, "deleteMachines", {"machineNames": [name]}, wanted)

    async def _roll_back(self, pool: str, now: Document) -> None:
        former = self._former.pop(pool)
        await self._post(pool, "rollback", None, _with(now, vmSize=former))

    async def _aborted_change(self, pool: str, count: int, size: str) -> None:
        """Begin a change of size, abort it, and where that came in time, ask for the change again."""
        self._former.pop(pool, None)
        body = _pool(count, size, self._mark())
        asked = self.journal.asks({pool: _promise(body)})
        operation = await self._asked("PUT pool", "PUT", pool, body, asked, ends=WELL | {"Canceled"})
        if operation is not None:
            await self._abort(pool)
            await self._ended(operation)
        shown = await self._rested(pool)
        if shown is not None and shown["properties"]["provisioningState"] == "Canceled":
            await self._put_pool(pool, count, size)

    async def _abort(self, pool: str) -> None:
        try:
            reply = await self._session.send("POST action", "POST", f"{pool}/abort")
        except GaveUp:
            return
        if reply.status_code == 202:
            # Failed: the operation had ended before it could be aborted.
            self.journal.asks({}).accepted(reply.headers, ends=WELL | {"Failed"})
        elif reply.status_code != 409:
            # 409: it has ended.
            self._problem(reply)

    async def _change_own_cluster(self) -> None:
        now = self.journal.possible.get(self._own, [None])[-1]
        pools = {name: f"{self._own}/agentPools/{name}" for name in ("sys", "work")}
        if now is None:
            await self._create_own_cluster(pools)
            return
        is_running = now["properties"]["powerState"]["code"] == "Running"
        other = "Stopped" if is_running else "Running"
        turned = {**now, "properties": {"powerState": {"code": other}}}
        tagged = {**now, "tags": {"change": self._mark()}}
        gone: dict[str, Promise] = dict.fromkeys((self._own, *pools.values()))
        act = self._random.choice(("tag" if is_running else "turn", "turn", "delete", "delete group"))
        if act == "tag":
            await self._change("PATCH cluster", "PATCH", self._own, {"tags": tagged["tags"]}, {self._own: tagged})
        elif act == "turn":
            action = "stop" if is_running else "start"
            await self._change("POST action", "POST", f"{self._own}/{action}", None, {self._own: turned})
        elif act == "delete":
            await self._change("DELETE cluster", "DELETE", self._own, None, gone)
        else:
            await self._change("DELETE group", "DELETE", self._group, None, {self._group: None, **gone})

    async def _create_own_cluster(self, pools: dict[str, str]) -> None:
        group = {"location": "eastus", "tags": {"change": self._mark()}}
        await self._change("PUT group", "PUT", self._group, group, {self._group: group})
        if self.journal.possible[self._group][-1] is None:
            return
        bodies = {name: _pool(self._random.choice(COUNTS), self._random.choice(SIZES), self._mark()) for name in pools}
        bodies["sys"]["properties"] |= {"mode": "System", "vmSize": "Standard_D4s_v5"}
        tags = {"change": self._mark()}
        cluster = {
            "location": "eastus",
            "tags": tags,
            "identity": {"type": "SystemAssigned"},
            "properties": {
                "agentPoolProfiles": [{"name": name, **body["properties"]} for name, body in bodies.items()]
            },
        }
        promised: dict[str, Promise] = {pools[name]: _promise(body) for name, body in bodies.items()}
        promised[self._own] = {"tags": tags, "properties": {"powerState": {"code": "Running"}}}
        await self._change("PUT cluster", "PUT", self._own, cluster, promised)

    async def _change(
        self, kind: str, method: str, path: str, body: dict[str, Any] | None, wanted: dict[str, Promise]
    ) -> str | None:
        """Make one change, see it to its end, and compare; returns how it ended, None where that is not known."""
        asked = self.journal.asks(wanted)
        operation = await self._asked(kind, method, path, body, asked)
        status = await self._ended(operation) if operation is not None else None
        for resource in wanted:
            await self._rested(resource)
        return status

    async def _asked(
        self,
        kind: str,
        method: str,
        path: str,
        body: dict[str, Any] | None,
        asked: Asked,
        ends: frozenset[str] = WELL,
    ) -> str | None:
        """Send the change and note the answer; returns the operation's path, None where there is none to follow."""
        try:
            reply = await self._session.send(kind, method, path, body)
        except GaveUp:
            return None
        if reply.status_code in (200, 201, 202):
            return asked.accepted(reply.headers, ends)
        if reply.status_code == 204:
            asked.is_so()
        elif reply.status_code != 409 or self._session.failures == 0:
            # Sent for the second time, it may meet what it began the first time; otherwise nothing is in its way.
            asked.refused()
            self._problem(reply)
        return None

    async def _ended(self, operation: str) -> str | None:
        """Poll as often as the service asks for, and read meanwhile; returns how the operation ended."""
        while True:
            try:
                reply = await self._session.send(POLL, "GET", operation)
            except GaveUp:
                await asyncio.sleep(AGAIN_SECONDS)
                continue
            if reply.status_code != 200:
                self._problem(reply)
                return None
            shown = reply.json()
            status = str(shown["status"])
            if status in TERMINAL:
                began, ended = (datetime.fromisoformat(shown[name]) for name in ("startTime", "endTime"))
                self._session.traffic.seconds[OPERATION].append((ended - began).total_seconds())
                if status not in self.journal.operations[operation]:
                    self._session.traffic.problems.append(f"{operation} ended {status}: {reply.text[:500]}")
                return status
            again = asyncio.get_running_loop().time() + float(reply.headers["Retry-After"])
            while asyncio.get_running_loop().time() < again:
                await self._pause()
                await self._read()

    async def _rested(self, path: str) -> Document | None:
        """The resource once nothing happens to it, compared with the journal."""
        while True:
            try:
                reply = await self._session.send(READ, "GET", path)
            except GaveUp:
                await asyncio.sleep(AGAIN_SECONDS)
                continue
            if reply.status_code not in (200, 404):
                self._problem(reply)
                return None
            shown: Document | None = reply.json() if reply.status_code == 200 else None
            if shown is None or shown["properties"]["provisioningState"] in TERMINAL:
                self._session.traffic.problems += filter(None, (self.journal.sees(path, shown),))
                return shown
            await asyncio.sleep(AGAIN_SECONDS)

    def _size(self, pool: str) -> str | None:
        now = self.journal.possible.get(pool, [None])[-1]
        return None if now is None else str(now["properties"]["vmSize"])

    def _mark(self) -> str:
        """A word no other change has: whether it is there tells whether this change is."""
        return f"{self._random.getrandbits(64):016x}"

    def _problem(self, reply: httpx.Response) -> None:
        request = reply.request
        self._session.traffic.problems.append(
            f"{request.method} {request.url.path} answered {reply.status_code}: {reply.text[:500]}"
        )


def _pool(count: int, size: str, mark: str) -> dict[str, Any]:
    return {
        "properties": {
            "mode": "User",
            "count": count,
            "vmSize": size,
            "tags": {"change": mark},
            "upgradeSettings": {"maxSurge": "50%"},
        }
    }


def _promise(body: dict[str, Any]) -> Document:
    return {"properties": {name: body["properties"][name] for name in ("count", "vmSize", "tags")}}


def _with(promise: Document, **properties: object) -> Document:
    return {**promise, "properties": {**promise["properties"], **properties}}
