"""A scripted Kubernetes cluster. It outlives the processes that work with it, as a real one does.

Its state is a SQLite file: a test scripts the cluster and looks at it while a service works with it in this process or
in another one, and after that one was killed. Without a file it lasts as long as the object.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from poolwright.kubernetes.endpoint import KubernetesAnswer, NoCluster
from poolwright.machines.engine import PermanentError, TemporaryError

WEB = "default/web"
PROTECTED = "pod default/web is protected by a Pod Disruption Budget"
# `evictions`: how often the pod has to be asked before it leaves, NULL where it never does.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS script (attached INTEGER NOT NULL, evictions INTEGER);
INSERT INTO script SELECT 0, 1 WHERE NOT EXISTS (SELECT * FROM script);
CREATE TABLE IF NOT EXISTS nodes (name TEXT PRIMARY KEY, cordoned INTEGER NOT NULL, vanished INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS pods (
    node TEXT NOT NULL, name TEXT NOT NULL, evictions INTEGER, why TEXT NOT NULL, PRIMARY KEY (node, name)
);
CREATE TABLE IF NOT EXISTS errors (
    number INTEGER PRIMARY KEY, verb TEXT NOT NULL, message TEXT NOT NULL, retry_after REAL
);
CREATE TABLE IF NOT EXISTS calls (
    number INTEGER PRIMARY KEY, verb TEXT NOT NULL, nodes TEXT NOT NULL, drained TEXT NOT NULL
);
"""
_AMONG = "IN (SELECT value FROM json_each(?))"


@dataclass(frozen=True)
class ClusterCall:
    """`cordon`, `uncordon` or `drain` of nodes, `add` when their machines were made, `remove` when they were deleted.

    `drained` are the nodes that nothing held any more after a drain.
    """

    verb: str
    nodes: frozenset[str]
    drained: frozenset[str] = frozenset()


class ScriptedCluster:
    """Implements `ClusterEndpoint`. It is attached once told so; a node has one pod, which leaves when asked.

    `meanwhile` is called by each drain.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.meanwhile: Callable[[], None] = lambda: None
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(
            path or ":memory:", check_same_thread=False, isolation_level=None, timeout=30
        )
        # A killed process loses nothing it wrote, and no power is cut here.
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=OFF")
        self._connection.executescript(_SCHEMA)

    # The script.

    def attach(self, *, evictions: int | None = 1) -> None:
        """From now on it is attached; the pods of all nodes leave when asked that often, or never."""
        with self._transaction() as connection:
            connection.execute("UPDATE script SET attached = 1, evictions = ?", (evictions,))
            connection.execute("UPDATE pods SET evictions = ?", (evictions,))

    def place(self, node: str, pod: str = WEB, *, evictions: int | None, why: str = PROTECTED) -> None:
        """From now on there is this pod on the node; it leaves when asked that often, or never and says why."""
        with self._transaction() as connection:
            _know(connection, [node])
            connection.execute("INSERT OR REPLACE INTO pods VALUES (?, ?, ?, ?)", (node, pod, evictions, why))

    def let_go(self) -> None:
        """From now on all pods leave when asked once."""
        self.attach(evictions=1)

    def lose(self, node: str) -> None:
        """From now on the cluster does not know the node."""
        with self._transaction() as connection:
            _know(connection, [node])
            connection.execute("UPDATE nodes SET vanished = 1 WHERE name = ?", (node,))

    def fail(self, verb: str, error: TemporaryError | PermanentError, *, times: int = 1) -> None:
        """The next so many calls of the verb raise that error and have no effect."""
        retry_after = error.retry_after_seconds if isinstance(error, TemporaryError) else None
        with self._transaction() as connection:
            connection.executemany(
                "INSERT INTO errors (verb, message, retry_after) VALUES (?, ?, ?)",
                [(verb, str(error), retry_after)] * times,
            )

    def heal(self) -> None:
        """No call raises an error any more."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM errors")

    def added(self, keys: Iterable[str]) -> None:
        """The machines with these keys were made. A node that the cluster still knows is the same as before."""
        nodes = [key.rpartition("/")[2] for key in keys]
        if nodes and self.is_attached(""):
            with self._transaction() as connection:
                _write_down(connection, "add", nodes)
                connection.execute(f"DELETE FROM nodes WHERE vanished AND name {_AMONG}", (json.dumps(nodes),))
                _know(connection, nodes)

    def removed(self, keys: Iterable[str]) -> None:
        """The machines with these keys were deleted: the cluster knows their nodes no more."""
        nodes = [key.rpartition("/")[2] for key in keys]
        if nodes and self.is_attached(""):
            with self._transaction() as connection:
                _write_down(connection, "remove", nodes)
                connection.execute(f"DELETE FROM pods WHERE node {_AMONG}", (json.dumps(nodes),))
                connection.executemany("INSERT OR REPLACE INTO nodes VALUES (?, 0, 1)", [(node,) for node in nodes])

    # What came of it.

    @property
    def cordoned(self) -> set[str]:
        """The nodes there are that take no new pods."""
        return {name for (name,) in self._rows("SELECT name FROM nodes WHERE cordoned AND NOT vanished")}

    @property
    def pods(self) -> dict[str, list[str]]:
        """The pods of each node that has any."""
        found: dict[str, list[str]] = {}
        for node, pod in self._rows("SELECT node, name FROM pods ORDER BY node, name"):
            found.setdefault(node, []).append(pod)
        return found

    @property
    def calls(self) -> list[ClusterCall]:
        """Everything that was done to nodes, in this order; without calls that raised."""
        return [
            ClusterCall(verb, frozenset(json.loads(nodes)), frozenset(json.loads(drained)))
            for verb, nodes, drained in self._rows("SELECT verb, nodes, drained FROM calls ORDER BY number")
        ]

    @property
    def verbs(self) -> list[str]:
        """What was asked of the cluster, in this order."""
        return [call.verb for call in self.calls if call.verb not in ("add", "remove")]

    def require_order(self, old: Collection[str], *, since: int = 0) -> None:
        """No node was drained before it was cordoned, or removed twice.

        None of the old ones was removed before it was drained, in the calls since that one.
        """
        cordoned: set[str] = set()
        drained: set[str] = set()
        removed: set[str] = set()
        for number, call in enumerate(self.calls):
            match call.verb:
                case "cordon":
                    cordoned |= call.nodes
                case "uncordon":
                    cordoned -= call.nodes
                    drained -= call.nodes
                case "drain":
                    assert call.nodes <= cordoned, f"drained before cordoned: {call}"
                    drained |= call.drained
                case "add":
                    removed -= call.nodes
                    cordoned -= call.nodes
                    drained -= call.nodes
                case "remove":
                    assert number < since or call.nodes & set(old) <= drained, f"removed before drained: {call}"
                    assert not call.nodes & removed, f"removed twice: {call}"
                    removed |= call.nodes

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    # The port.

    def answer(self, cluster: str) -> KubernetesAnswer:
        return NoCluster().answer(cluster)

    def is_attached(self, cluster: str) -> bool:
        return bool(self._rows("SELECT attached FROM script")[0][0])

    def cordon(self, cluster: str, nodes: Sequence[str]) -> None:
        with self._call("cordon", nodes) as connection:
            connection.execute(f"UPDATE nodes SET cordoned = 1 WHERE name {_AMONG}", (json.dumps(list(nodes)),))

    def uncordon(self, cluster: str, nodes: Sequence[str]) -> None:
        with self._call("uncordon", nodes) as connection:
            connection.execute(f"UPDATE nodes SET cordoned = 0 WHERE name {_AMONG}", (json.dumps(list(nodes)),))
            _schedule(connection, nodes)

    def drain(self, cluster: str, nodes: Sequence[str]) -> Mapping[str, str]:
        self.meanwhile()
        asked = (json.dumps(list(nodes)),)
        with self._call("drain", nodes) as connection:
            connection.execute(f"UPDATE pods SET evictions = evictions - 1 WHERE node {_AMONG}", asked)
            connection.execute("DELETE FROM pods WHERE evictions = 0")
            held: dict[str, str] = dict(
                connection.execute(
                    "SELECT node, why FROM pods JOIN nodes ON nodes.name = node "
                    f"WHERE NOT vanished AND node {_AMONG} ORDER BY node, pods.name DESC",
                    asked,
                ).fetchall()
            )
            connection.execute(
                "UPDATE calls SET drained = ? WHERE number = (SELECT max(number) FROM calls)",
                (json.dumps([node for node in nodes if node not in held]),),
            )
        return held

    @contextmanager
    def _call(self, verb: str, nodes: Sequence[str]) -> Iterator[sqlite3.Connection]:
        """A transaction in which the call is written down, or what the script has it raise."""
        with self._transaction() as connection:
            told = connection.execute(
                "DELETE FROM errors WHERE number = (SELECT min(number) FROM errors WHERE verb = ?) "
                "RETURNING message, retry_after",
                (verb,),
            ).fetchall()
            if not told:
                _know(connection, nodes)
                _write_down(connection, verb, nodes)
                yield connection
        for message, retry_after in told:
            if retry_after is None:
                raise PermanentError(message)
            raise TemporaryError(message, retry_after_seconds=retry_after)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            yield self._connection

    def _rows(self, query: str) -> list[tuple[str, ...]]:
        with self._lock:
            return self._connection.execute(query).fetchall()


def _know(connection: sqlite3.Connection, nodes: Sequence[str]) -> None:
    """A node that is heard of for the first time has its pod."""
    for node in nodes:
        if connection.execute("INSERT OR IGNORE INTO nodes VALUES (?, 0, 0)", (node,)).rowcount:
            _schedule(connection, [node])


def _schedule(connection: sqlite3.Connection, nodes: Sequence[str]) -> None:
    connection.executemany(
        "INSERT OR IGNORE INTO pods SELECT ?, ?, evictions, ? FROM script", [(node, WEB, PROTECTED) for node in nodes]
    )


def _write_down(connection: sqlite3.Connection, verb: str, nodes: Sequence[str]) -> None:
    connection.execute("INSERT INTO calls (verb, nodes, drained) VALUES (?, ?, '[]')", (verb, json.dumps(list(nodes))))
