"""`make soak`, short: the same clients, kills, comparison and report; and that the comparison notices a loss."""

from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from bench.soak.__main__ import Plan, Soak
from bench.soak.customer import OPERATION
from bench.soak.report import Sample, memory
from bench.soak.session import MOST_RETRIES, RETRIED_METHODS, RETRIED_STATUSES
from tests.support.databases import ENGINE, STORE
from tests.support.promises import Journal, shown_losses, stored_losses
from tests.support.service import ServiceProcess

ROOT = Path(__file__).parents[2]
SHORT = Plan(seconds=20, clients=8, seed=20240503, between_kills=(5, 7), storm=0.7)


def test_a_short_soak_with_two_kills_loses_nothing_and_reports(fresh: ServiceProcess) -> None:
    report = asyncio.run(Soak(SHORT, fresh).run())
    assert report.losses == ()
    assert report.problems == ()
    assert report.is_good
    assert len(report.kills) == len(report.restart_seconds) == 2
    assert sum(report.broken.values()) > 0
    assert report.operations > 0
    kinds = {row.kind: row for row in report.latencies}
    assert kinds.pop(OPERATION).number > 0
    assert report.requests == sum(row.number for row in kinds.values())
    assert {"read", "poll", "PUT pool"} <= kinds.keys()
    assert all(0 < row.p50 <= row.p90 <= row.p99 <= row.most for row in report.latencies)
    assert not [status for counts in report.statuses.values() for status in counts if status.startswith("5")]
    assert report.memory is not None
    assert report.memory.lives == 3
    assert report.memory.is_flat is None
    text = report.as_text()
    for part in ("8 clients for", "kills: 2, at", "PUT pool", "not judged", "lost: 0; went wrong: 0"):
        assert part in text
    assert json.loads(json.dumps(report.as_json()))["isGood"] is True


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("untouched")


@pytest.fixture(scope="module")
def kept(service: ServiceProcess, untouched: Path) -> Journal:
    """The journal of a client that has three node pools, was promised that a fourth is gone, and has lost nothing.

    A copy of the databases as they are then is in `untouched`.
    """
    client = service.client
    client.make_cluster()
    journal = Journal()
    for name in ("np1", "np2", "np3"):
        body = {"properties": {"count": 3, "tags": {"change": name}}}
        asked = journal.asks({client.pool(name): body})
        reply = client.put(client.pool(name), json=body)
        asked.accepted(reply.headers)
        client.done(reply)
    journal.asks({client.pool("np4"): None}).is_so()
    assert shown_losses(client, [journal]) == []
    assert stored_losses(service.data_dir) == []
    copy_databases(service.data_dir, untouched)
    return journal


class TestWhatIsStoredIsCompared:
    """In a copy of the databases of a service that has lost nothing."""

    @pytest.fixture
    def data_dir(self, kept: Journal, untouched: Path, tmp_path: Path) -> Path:
        copy_databases(untouched, tmp_path)
        return tmp_path

    def test_a_machine_that_is_gone_from_the_engine(self, data_dir: Path) -> None:
        tamper(data_dir / ENGINE, "DELETE FROM machines WHERE key LIKE '%/np2/%000001'")
        [lost] = stored_losses(data_dir)
        assert lost.endswith("000001 is in the store and not in the engine")

    def test_a_machine_that_is_gone_from_the_store(self, data_dir: Path) -> None:
        tamper(data_dir / STORE, "DELETE FROM pw_machines WHERE key LIKE '%/np2/%000001'")
        missing, short = stored_losses(data_dir)
        assert missing.endswith("000001 is in the engine and not in the store")
        assert short.endswith("/np2 was promised 3 machines and has 2")

    def test_a_change_that_is_not_in_the_activity_log(self, data_dir: Path, kept: Journal) -> None:
        tamper(data_dir / STORE, "DELETE FROM pw_activity WHERE resource_key LIKE '%/np2'")
        lost = stored_losses(data_dir, [kept])
        # The change itself, and the beginning and the end of its operation.
        assert len(lost) == 3
        assert all("activity log" in found for found in lost)

    def test_what_never_came_to_rest(self, data_dir: Path) -> None:
        tamper(data_dir / STORE, "UPDATE pw_operations SET status = 'InProgress' WHERE resource_key LIKE '%/np2'")
        wire = "CAST(replace(CAST(wire AS TEXT), '\"Succeeded\"', '\"Updating\"') AS BLOB)"
        tamper(data_dir / STORE, f"UPDATE pw_node_pools SET wire = {wire} WHERE key LIKE '%/np2'")
        lost = stored_losses(data_dir)
        assert [found for found in lost if found.endswith(" never ended")]
        assert [found for found in lost if found.endswith("/np2 is still Updating")]


class TestWhatClientsSeeIsCompared:
    """Each loss is made behind the back of a service that has done everything it promised."""

    def test_a_node_pool_that_is_gone(self, service: ServiceProcess, kept: Journal) -> None:
        tamper(service.data_dir / STORE, "DELETE FROM pw_machines WHERE pool_key LIKE '%/np1'")
        tamper(service.data_dir / STORE, "DELETE FROM pw_node_pools WHERE key LIKE '%/np1'")
        lost = shown_losses(service.client, [only(kept, "np1")])
        assert len(lost) == 1
        assert lost[0].startswith(service.client.pool("np1"))
        assert lost[0].endswith("is not there")

    def test_a_change_that_is_undone(self, service: ServiceProcess, kept: Journal) -> None:
        journal = only(kept, "np2")
        journal.asks({service.client.pool("np2"): {"properties": {"count": 4}}}).is_so()
        [lost] = shown_losses(service.client, [journal])
        assert '"count": 4' in lost
        assert '"count": 3' in lost

    def test_what_was_deleted_and_is_there_again(self, service: ServiceProcess, kept: Journal) -> None:
        service.put_pool("np4", {"count": 1})
        [lost] = shown_losses(service.client, [only(kept, "np4")])
        assert lost.startswith(f"{service.client.pool('np4')} may be [null] and is ")

    def test_an_operation_that_is_gone(self, service: ServiceProcess, kept: Journal) -> None:
        journal = Journal()
        operation = list(kept.operations)[-1]
        journal.operations[operation] = kept.operations[operation]
        tamper(service.data_dir / STORE, f"DELETE FROM pw_operations WHERE id = '{operation.rpartition('/')[2]}'")
        assert shown_losses(service.client, [journal]) == [f"{operation} is answered with 404 and was to end Succeeded"]


def test_a_request_without_an_answer_leaves_both_possibilities_until_one_is_seen() -> None:
    journal = Journal()
    journal.asks({"p": {"count": 1}}).is_so()
    journal.asks({"p": {"count": 2}})
    journal.asks({"p": None})
    assert journal.possible["p"] == [{"count": 1}, {"count": 2}, None]
    assert journal.sees("p", {"count": 2, "other": 5}) is None
    assert journal.possible["p"] == [{"count": 2}]
    assert journal.sees("p", {"count": 1}) is not None
    asked = journal.asks({"p": {"count": 3}})
    asked.refused()
    assert journal.possible["p"] == [{"count": 2}]


def test_memory_is_judged_by_the_last_life_without_its_warm_up() -> None:
    def life(number: int, began: int, mb: list[float]) -> list[Sample]:
        return [Sample(began + second, number, each) for second, each in enumerate(mb)]

    warm = [100.0 + second for second in range(50)]
    flat = memory(life(1, 0, [150.0 + second for second in range(100)]) + life(2, 100, warm + [150.0] * 150))
    assert flat is not None
    assert (flat.is_flat, flat.lives, flat.most_mb) == (True, 2, 249.0)
    growing = memory(life(1, 0, [100.0 + second / 10 for second in range(200)]))
    assert growing is not None
    assert growing.is_flat is False
    assert growing.slope_mb_per_minute == pytest.approx(6)
    short = memory(life(1, 0, [100.0] * 70))
    assert short is not None
    assert short.is_flat is None
    assert memory([]) is None


def test_it_retries_what_the_azure_sdks_retry() -> None:
    from azure.core.pipeline.policies import RetryPolicy

    policy = RetryPolicy()
    assert policy.connect_retries == policy.read_retries == policy.status_retries == MOST_RETRIES
    assert policy._RETRY_CODES == RETRIED_STATUSES
    assert policy._method_whitelist == RETRIED_METHODS


def test_ctrl_c_ends_it_with_a_report_of_what_there_is() -> None:
    command = [
        sys.executable,
        "-m",
        "bench.soak",
        "--minutes",
        "1",
        "--clients",
        "2",
        "--seed",
        "5",
        "--output",
        "json",
    ]
    running = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert running.stderr is not None
    assert running.stderr.readline() == "seed 5\n"
    # The load has begun when the progress says so.
    assert running.stderr.readline().startswith("00:10 ")
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    assert running.returncode == 130, err
    report = json.loads(out)
    assert report["losses"] is None
    assert report["isGood"] is False
    assert report["requests"] > 0


def only(journal: Journal, pool: str) -> Journal:
    """What the journal has on one node pool."""
    [path] = [path for path in journal.possible if path.endswith(f"/{pool}")]
    one = Journal()
    one.possible[path] = journal.possible[path]
    return one


def copy_databases(source: Path, target: Path) -> None:
    (target / ENGINE).parent.mkdir()
    for name in (STORE, ENGINE):
        with closing(sqlite3.connect(source / name)) as there, closing(sqlite3.connect(target / name)) as here:
            there.backup(here)


def tamper(database: Path, statement: str) -> None:
    with closing(sqlite3.connect(database, timeout=30)) as connection, connection:
        assert connection.execute(statement).rowcount > 0
