"""A fleet moved by the public commands: audited, planned, rehearsed and carried out at a running service."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from poolwright.domain.profile import Profile
from poolwright.fleet.document import json_of
from tests.fleet.fleets import cluster, fleet_of, pool
from tests.fleet.sites import plan_of
from tests.support.service import ServiceProcess

ROOT = Path(__file__).parents[2]
SEED: dict[str, Any] = {
    "resourceGroups": [
        {
            "name": "shop",
            "location": "eastus",
            "clusters": [
                {
                    "name": "prod",
                    "nodePools": [
                        {"name": "system", "properties": {"mode": "System", "count": 2, "vmSize": "Standard_D4_v3"}},
                        {"name": "web", "properties": {"count": 2, "vmSize": "Standard_D2_v3"}},
                        {
                            "name": "spot",
                            "properties": {
                                "count": 1,
                                "vmSize": "Standard_D4_v2",
                                "scaleSetPriority": "Spot",
                                "enableAutoScaling": True,
                                "minCount": 1,
                                "maxCount": 4,
                            },
                        },
                        {"name": "new", "properties": {"count": 1, "vmSize": "Standard_D4s_v6"}},
                    ],
                },
                {
                    "name": "office",
                    # The last release that has Windows Server 2019, which has no Generation 2 image.
                    "properties": {"kubernetesVersion": "1.32"},
                    "nodePools": [
                        {"name": "system", "properties": {"mode": "System", "count": 1, "vmSize": "Standard_D4s_v5"}},
                        {
                            "name": "win22",
                            "properties": {
                                "count": 1,
                                "vmSize": "Standard_D4s_v5",
                                "osType": "Windows",
                                "osSKU": "Windows2022",
                            },
                        },
                        {
                            "name": "win19",
                            "properties": {
                                "count": 1,
                                "vmSize": "Standard_D4s_v5",
                                "osType": "Windows",
                                "osSKU": "Windows2019",
                            },
                        },
                    ],
                },
            ],
        }
    ]
}
MOVED = {"system", "web", "spot", "win22"}


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Workplace:
    """A directory with the fleet's exports, and the service they are from."""

    service: ServiceProcess
    directory: Path

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("POOLWRIGHT_", "AZURE_"))}
        # No bar is drawn on what is no terminal, and nobody's own catalogue is asked.
        return {**kept, "POOLWRIGHT_DATA_DIR": str(self.service.data_dir), "PYTHONPATH": str(ROOT)}

    def __call__(self, *arguments: str, module: str = "poolwright.cli.main") -> Ended:
        ended = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=self.directory,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    def done(self, *arguments: str) -> Ended:
        ended = self(*arguments)
        assert ended.code == 0, ended
        return ended

    def planned(self, *arguments: str) -> None:
        """Export the fleet as it stands, and plan its move."""
        (self.directory / "clusters.json").write_text(self.done("aks", "list", "-o", "json").out)
        self.done("fleet", "plan", "clusters.json", "-o", "json", "--to", "plan.json", *arguments)

    def pools(self, cluster: str) -> dict[str, dict[str, Any]]:
        listed = self.service.client.get(f"{self.service.client.cluster(cluster, 'shop')}/agentPools").json()
        return {pool["name"]: pool["properties"] for pool in listed["value"]}

    def sent(self) -> list[tuple[str, str]]:
        """What changed something and was not refused, as method and node pool."""
        return [
            (sent["method"], sent["path"].rpartition("/")[2].lower())
            for sent in self.service.requests()
            if sent["method"] in ("PUT", "DELETE") and "/agentpools/" in sent["path"].lower() and sent["status"] < 300
        ]


def workplace(directory: Path, profile: str, **settings: object) -> Iterator[Workplace]:
    directory.mkdir(exist_ok=True)
    seed = directory / "seed.json"
    seed.write_text(json.dumps(SEED))
    service = ServiceProcess(directory / "data", profile=profile, seed=seed, **settings).start()
    yield Workplace(service, directory)
    if service.is_running:
        service.kill()


@pytest.fixture
def azure(tmp_path: Path) -> Iterator[Workplace]:
    """A service that does what Azure does: a node pool moves by a new one beside it."""
    yield from workplace(tmp_path / "work", "azure-2026")


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Workplace]:
    """A service that changes node pools in place."""
    yield from workplace(tmp_path / "work", "documented")


def apply_until_moved(here: Workplace, *arguments: str) -> Ended:
    """Apply, do as if kubectl's lines were run whenever they are asked for, and return how it ended at last."""
    for _ in range(10):
        ended = here("fleet", "apply", "plan.json", "--yes", "--kubectl-done", "shop/*", *arguments)
        if ended.code != 4:
            return ended
    raise AssertionError("it waits for ever")


def test_a_fleet_is_audited_planned_rehearsed_and_moved(azure: Workplace) -> None:
    clusters = azure.done("aks", "list", "-o", "json").out
    (azure.directory / "clusters.json").write_text(clusters)
    assert azure("fleet", "audit", "clusters.json", "--fail-on", "gen1").code == 4
    azure.planned()
    plan = json.loads((azure.directory / "plan.json").read_text())
    assert {move["pool"] for cluster in plan["clusters"] for move in cluster["moves"]} == MOVED
    before, office = azure.pools("prod"), azure.pools("office")

    rehearsed = azure.done("fleet", "rehearse", "plan.json", "-o", "json")
    rehearsal = json.loads(rehearsed.out)
    assert {result["outcome"] for result in rehearsal["results"]} == {"moved"}
    assert rehearsal["notLoaded"] == []
    assert rehearsal["peakMachines"] > 0
    assert rehearsal["clusters"][0]["cluster"] == "shop/prod"
    assert (azure.pools("prod"), azure.pools("office")) == (before, office), "only rehearsed"

    looked = azure.done("fleet", "apply", "plan.json")
    assert "Nothing was changed: this only looked. --yes carries it out." in looked.err
    assert azure.sent() == []
    assert not (azure.directory / "plan.json.journal").exists()

    first = azure("fleet", "apply", "plan.json", "--yes", "--parallel", "2", "--to", "report.md", "-o", "markdown")
    assert first.code == 4
    assert "kubectl cordon -l kubernetes.azure.com/agentpool=" in first.err
    assert "--kubectl-done shop/prod/" in first.err
    assert "What the plan leaves, and why" in (azure.directory / "report.md").read_text()
    ended = apply_until_moved(azure, "--to", "report.md", "-o", "markdown")
    assert ended.code == 0, ended
    assert "Node pools: 4 moved." in ended.err

    after, office_after = azure.pools("prod"), azure.pools("office")
    assert after.keys() == {"systemg2", "webg2", "spotg2", "new"}
    assert office_after.keys() == {"system", "win2g2", "win19"}
    assert after["new"] == before["new"]
    assert {name: office_after[name] for name in ("system", "win19")} == {
        name: office[name] for name in ("system", "win19")
    }
    for name in ("systemg2", "webg2", "spotg2"):
        assert after[name]["poolwright"]["observedGenerations"]["V1"] == 0
        assert after[name]["count"] == before[name.removesuffix("g2")]["count"]
    assert (after["spotg2"]["enableAutoScaling"], after["systemg2"]["mode"]) == (True, "System")

    azure.planned()
    left = json.loads((azure.directory / "plan.json").read_text())
    assert left["clusters"] == [], "no node pool of Generation 1 is left that could be moved"
    report = (azure.directory / "report.md").read_text()
    assert re.search(r"\| shop \| office \| win19 \| V1 \| Windows Server 2019 has no", report), (
        "and the report says why the others stay"
    )


def test_a_service_that_is_killed_is_waited_for(azure: Workplace) -> None:
    azure.planned()
    azure.service.stop()
    azure.service.start(simulated_boot_seconds=2)
    command = [sys.executable, "-m", "poolwright.cli.main", "fleet", "apply", "plan.json", "--yes", "--only"]
    with subprocess.Popen(
        [*command, "shop/prod/web"],
        cwd=azure.directory,
        env=azure.environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as applying:
        assert applying.stderr is not None
        while "add-pool begun" not in applying.stderr.readline():
            pass
        while ("PUT", "webg2") not in azure.sent():
            time.sleep(0.05)
        azure.service.kill()
        azure.service.start(simulated_boot_seconds=2)
        applying.stderr.read()
        assert applying.wait(timeout=60) == 4
    assert azure.pools("prod")["webg2"]["provisioningState"] == "Succeeded"


def test_ctrl_c_says_what_comes_next_and_the_same_command_goes_on(azure: Workplace) -> None:
    azure.planned()
    azure.service.stop()
    azure.service.start(simulated_boot_seconds=3)
    leader, follower = pty.openpty()
    command = ["fleet", "apply", "plan.json", "--yes", "--only", "shop/prod/web"]
    with subprocess.Popen(
        [sys.executable, "-m", "poolwright.cli.main", *command],
        cwd=azure.directory,
        env={**azure.environment, "TERM": "xterm", "COLUMNS": "200"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=follower,
        text=True,
    ) as applying:
        os.close(follower)
        seen = ""
        while "add-pool begun" not in seen:
            seen += os.read(leader, 4096).decode(errors="replace")
        applying.send_signal(signal.SIGINT)
        assert applying.wait(timeout=30) == 130
    while True:
        try:
            seen += os.read(leader, 4096).decode(errors="replace")
        except OSError:  # how Linux says that the other side is closed
            break
    os.close(leader)
    assert "The same command goes on" in seen
    assert "Traceback" not in seen
    assert azure(*command).code == 4
    assert azure.sent() == [("PUT", "webg2")]


def running_at(place: Path) -> list[int]:
    """The processes of which an argument or a variable names the place."""
    found = []
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if process.name.isdecimal() and any(
                bytes(place) in (process / part).read_bytes() for part in ("cmdline", "environ")
            ):
                found.append(int(process.name))
    return found


def ended_by(number: int, seen: str, *arguments: str, directory: Path, environment: dict[str, str]) -> Ended:
    """Run a command, and send it the signal once it says so."""
    with subprocess.Popen(
        [sys.executable, "-m", "poolwright.cli.main", *arguments],
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # As a terminal and a service manager start it, whatever these tests are started by.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL) if number != signal.SIGINT else None,
    ) as process:
        assert process.stderr is not None
        told = ""
        while seen not in told:
            line = process.stderr.readline()
            assert line, told
            told += line
        process.send_signal(number)
        out, rest = process.communicate(timeout=60)
    return Ended(process.returncode, out, told + rest)


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=lambda value: str(value),
)
def test_a_rehearsal_that_a_signal_ends_leaves_nothing_behind(tmp_path: Path, number: int, code: int) -> None:
    system = pool("sys", mode="System", vmSize="Standard_D4s_v5", count=1)
    plan = plan_of(fleet_of(cluster(system, pool("web", count=1))), Profile.AZURE_2026)
    (tmp_path / "plan.json").write_bytes(json_of(plan))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    command = ("fleet", "rehearse", "plan.json", "--boot-seconds", "600")
    environment = {**os.environ, "TMPDIR": str(scratch)}
    ended = ended_by(number, "add-pool begun", *command, directory=tmp_path, environment=environment)
    assert (ended.code, "The rehearsal is gone; nothing else was touched." in ended.err) == (code, True), ended
    assert "Traceback" not in ended.err
    assert list(scratch.iterdir()) == []
    assert running_at(scratch) == []


def test_sigterm_takes_kubectl_and_its_credentials_away_and_the_same_command_goes_on(azure: Workplace) -> None:
    azure.planned()
    for name in ("scratch", "bin"):
        (azure.directory / name).mkdir()
    kubectl = azure.directory / "bin" / "kubectl"
    kubectl.write_text('#!/bin/sh\ncase "$*" in *drain*) sleep 600;; *) echo node/one;; esac\n')
    kubectl.chmod(0o755)
    command = ("fleet", "apply", "plan.json", "--yes", "--only", "shop/prod/web", "--kubectl")
    around = {
        **azure.environment,
        "TMPDIR": str(azure.directory / "scratch"),
        "PATH": f"{kubectl.parent}{os.pathsep}{os.environ['PATH']}",
    }
    ended = ended_by(signal.SIGTERM, "kubectl drain", *command, directory=azure.directory, environment=around)
    assert (ended.code, "The same command goes on" in ended.err) == (143, True), ended
    assert list((azure.directory / "scratch").iterdir()) == []
    assert running_at(azure.directory / "scratch") == []
    assert azure("fleet", "apply", "plan.json", "--yes", "--only", "shop/prod/web").code == 4
    assert azure.sent() == [("PUT", "webg2")]


def test_a_public_endpoint_wants_the_subscription_s_name(azure: Workplace) -> None:
    azure.planned()
    # The same service by a name that is not loopback's, which its certificate has.
    hosts = azure.directory / "sitecustomize.py"
    hosts.write_text(
        "import socket\n"
        "known = socket.getaddrinfo\n"
        "own = {'machine.test': '127.0.0.1'}\n"
        "socket.getaddrinfo = lambda host, *rest, **more: known(own.get(host, host), *rest, **more)\n"
    )
    azure.service.stop()
    azure.service.start(names="machine.test")
    endpoint = json.loads((azure.service.data_dir / "endpoint.json").read_text())
    endpoint["url"] = endpoint["url"].replace("127.0.0.1", "machine.test")
    (azure.service.data_dir / "endpoint.json").write_text(json.dumps(endpoint))
    public = Public(azure.service, azure.directory)
    command = ("fleet", "apply", "plan.json", "--yes", "--only", "shop/prod/web")

    assert public("fleet", "apply", "plan.json").code == 0, "looking asks nobody"
    refused = public(*command)
    assert (refused.code, "--confirm-subscription NAME" in refused.err) == (2, True), refused
    wrong = public(*command, "--confirm-subscription", "Another")
    assert wrong.code == 2
    assert azure.sent() == []
    assert not (azure.directory / "plan.json.journal").exists()
    assert public(*command, "--confirm-subscription", "Poolwright").code == 4
    assert azure.sent() == [("PUT", "webg2")]


class Public(Workplace):
    """The same place, where machine.test is this machine."""

    @property
    def environment(self) -> dict[str, str]:
        return {**super().environment, "PYTHONPATH": f"{self.directory}{os.pathsep}{ROOT}"}


def test_a_rehearsal_with_a_bad_day_says_what_would_fail(azure: Workplace) -> None:
    azure.planned()
    seed = {
        "quotas": [{"location": "eastus", "family": "standardDSv3Family", "limit": 9}],
        "faults": [
            {
                "name": "full",
                "match": {"operation": "create_node_pool", "pool": "spotg2", "step": "await_ready"},
                "effect": {"failAtStep": "no machine becomes ready"},
            }
        ],
    }
    (azure.directory / "bad-day.yaml").write_text(json.dumps(seed))
    ended = azure("fleet", "rehearse", "plan.json", "--seed", "bad-day.yaml")
    assert ended.code == 1
    assert "failed: shop/prod/spot: add-pool: " in ended.err
    assert "no machine becomes ready" in ended.err
    assert re.search(r"failed: shop/prod/\w+: add-pool: \w*Quota\w*: ", ended.err), ended.err
    assert "Nothing was cordoned or drained" in ended.err

    (azure.directory / "bad-day.yaml").write_text("quotas: [{location: eastus, familie: x}]")
    wrong = azure("fleet", "rehearse", "plan.json", "--seed", "bad-day.yaml")
    assert (wrong.code, "bad-day.yaml:1:" in wrong.err) == (2, True)


def test_what_cannot_be_used_is_refused_before_anything(azure: Workplace) -> None:
    azure.planned()
    assert azure("fleet", "apply", "nowhere.json").code == 3
    assert azure("fleet", "rehearse", "nowhere.json").code == 3
    (azure.directory / "not.json").write_text('{"schemaVersion": 1}')
    ended = azure("fleet", "apply", "not.json")
    assert (ended.code, "not.json is no plan" in ended.err) == (2, True)
    later = json.loads((azure.directory / "plan.json").read_text()) | {"schemaVersion": 99}
    (azure.directory / "later.json").write_text(json.dumps(later))
    ended = azure("fleet", "apply", "later.json")
    assert (ended.code, "a plan of version 99: plan anew" in ended.err) == (2, True)
    for option in ("--only", "--kubectl-done", "--roll-back"):
        ended = azure("fleet", "apply", "plan.json", option, "shop/prod/nobody")
        assert (ended.code, "moves no node pool shop/prod/nobody" in ended.err.replace("\n", " ")) == (2, True), ended
    ended = azure("fleet", "apply", "plan.json", "--endpoint", "https://elsewhere.test")
    assert ended.code == 2
    shutil.copy(azure.directory / "plan.json", azure.directory / "other.json")
    azure("fleet", "apply", "plan.json", "--yes", "--only", "shop/prod/web")
    (azure.directory / "other.json").write_text(
        (azure.directory / "plan.json").read_text().replace('"profile": "azure-2026"', '"profile": "documented"')
    )
    ended = azure("fleet", "apply", "other.json", "--yes", "--journal", "plan.json.journal")
    assert (ended.code, "the journal of another plan" in ended.err) == (1, True)


def test_a_service_that_does_not_run_is_told_once_and_at_once(azure: Workplace) -> None:
    azure.planned()
    azure.service.stop()
    ended = azure("fleet", "apply", "plan.json", "--yes")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.count(f"error: {azure.service.url} does not answer") == 1
    assert not (azure.directory / "plan.json.journal").exists()


def test_one_node_pool_is_taken_back(azure: Workplace) -> None:
    azure.planned()
    before = azure.pools("prod")
    command = ("fleet", "apply", "plan.json", "--yes")
    assert azure(*command, "--only", "shop/prod/web").code == 4
    assert "webg2" in azure.pools("prod")
    looked = azure.done("fleet", "apply", "plan.json", "--roll-back", "shop/prod/web")
    assert "takes back cordon (by kubectl uncordon" in looked.err
    assert "add-pool (deletes webg2)" in looked.err
    assert "webg2" in azure.pools("prod")
    back = (*command, "--roll-back", "shop/prod/web")
    ended = azure(*back)
    assert (ended.code, "kubectl uncordon -l kubernetes.azure.com/agentpool=web" in ended.err) == (4, True)
    assert "webg2" in azure.pools("prod")
    end_it = "poolwright fleet apply plan.json --yes --roll-back shop/prod/web"
    ended = azure(*command, "--only", "shop/prod/web")
    assert ended.code == 1
    assert f"shop/prod/web waits: its roll-back was begun and has not ended. End it:\n  {end_it}\n" in ended.err
    ended = azure(*command, "--only", "shop/prod/spot")
    assert (ended.code, f"Its roll-back was begun: end it:\n  {end_it}\n" in ended.err) == (1, True), ended
    ended = azure.done(*back, "--kubectl-done", "shop/prod/web")
    assert "Node pools: 1 rolled back." in ended.err
    assert azure.pools("prod") == before


def test_a_move_that_is_under_way_is_named_with_the_command_that_goes_on(azure: Workplace) -> None:
    azure.planned()
    (azure.directory / "plan.json").rename(azure.directory / "the plan.json")
    command = ("fleet", "apply", "the plan.json", "--yes", "--journal", "moves")
    assert azure(*command, "--only", "shop/prod/web").code == 4
    before = azure.pools("prod")
    for word, yes in (("later", ()), ("stopped", ("--yes",))):
        ended = azure("fleet", "apply", "the plan.json", *yes, "--journal", "moves", "--only", "shop/prod/spot")
        assert (ended.code, azure.pools("prod")) == (1, before)
        assert f"{word}: shop/prod/spot: shop/prod/web of the same cluster is under way" in ended.err
        lines = [line.strip() for line in ended.err.splitlines() if line.startswith("  poolwright")]
        assert lines == [
            "poolwright fleet apply 'the plan.json' --yes --only shop/prod/web --journal moves",
            "poolwright fleet apply 'the plan.json' --yes --roll-back shop/prod/web --journal moves",
        ]
    assert "1 node pool not begun: another one of the cluster is under way" in ended.err
    ended = azure(*shlex.split(lines[0])[1:], "--kubectl-done", "shop/prod/web")
    assert ended.code == 0, ended
    ended = azure(*command, "--only", "shop/prod/system")
    assert (ended.code, "comes before its turn: the plan has spot first" in ended.err) == (4, True), ended
