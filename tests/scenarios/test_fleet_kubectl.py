"""kubectl run for a move: a scripted one here, and where it is installed the real one against a service without a
cluster.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import ssl
import stat
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from poolwright.domain.profile import Profile
from poolwright.fleet import tokens
from poolwright.fleet.apply import Application, MoveResult, Outcome
from poolwright.fleet.arm import Arm, Interrupted
from poolwright.fleet.comparison import StepFailed
from poolwright.fleet.kubectl import Kubectl
from tests.fleet.fleets import cluster, fleet_of, pool
from tests.fleet.sites import Site, plan_of, site
from tests.support.node_verbs import node_verbs
from tests.support.service import ServiceProcess

# Writes down what it was asked and which server it was sent to, and does as its script says.
SCRIPTED = """#!/bin/sh
directory=$(dirname "$0")
config="$2"
shift 2
stat -c %a "$config" >> "$directory/modes"
grep -o 'https://[^"]*' "$config" >> "$directory/servers"
echo "$*" >> "$directory/asked"
. "$directory/script"
"""


class Scripted:
    """The program, and what it was asked."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.directory = directory
        self.program = directory / "kubectl"
        self.program.write_text(SCRIPTED)
        self.program.chmod(self.program.stat().st_mode | stat.S_IXUSR)
        self.does('[ "$1" = get ] && echo node/aks-a-1; exit 0')

    def does(self, script: str) -> None:
        (self.directory / "script").write_text(script)

    def lines(self, name: str) -> list[str]:
        file = self.directory / name
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def scripted(tmp_path: Path) -> Scripted:
    return Scripted(tmp_path / "bin")


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Site]:
    system = pool("sys", mode="System", vmSize="Standard_D4s_v5", count=1)
    with site(tmp_path / "data", fleet_of(cluster(system, pool("a", count=1))), Profile.AZURE_2026) as made:
        yield made


def moved(there: Site, program: Path | str) -> tuple[MoveResult, list[str]]:
    said: list[str] = []
    nodes = Kubectl(there.arm, said.append, str(program))
    application = Application(there.plan, there.arm, there.journal(), nodes, lambda move, entry: None)
    (result,) = application.run({each.id for each in there.plan.moves}, 1)
    return result, said


def test_nodes_are_cordoned_and_drained_in_their_own_cluster(there: Site, scripted: Scripted) -> None:
    result, said = moved(there, scripted.program)
    assert result.outcome is Outcome.MOVED
    selected = "-l kubernetes.azure.com/agentpool=a"
    seen = [
        f"get nodes {selected} -o name",
        "wait nodes -l kubernetes.azure.com/agentpool=ag2 --for=condition=Ready --timeout=10m",
    ]
    drain = f"drain {selected} --ignore-daemonsets --delete-emptydir-data --timeout=30m"
    assert scripted.lines("asked") == [*seen, f"cordon {selected}", *seen, drain]
    assert [line.removeprefix("kubectl ") for line in said] == scripted.lines("asked")
    assert set(scripted.lines("servers")) == {"https://poolwright.test/kube/c1"}
    assert set(scripted.lines("modes")) == {"600"}
    assert "run by kubectl" in {step.told for step in result.taken}


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (
            '[ "$1" = get ] && echo node/a; [ "$1" = drain ] && { echo "budget holds pod x" >&2; exit 1; }; exit 0',
            "pod x",
        ),
        ("exit 0", "kubectl sees no node of a in its cluster"),
        ('[ "$1" = get ] && { echo node/a; exit 0; }; exit 3', "ended with 3: without a word"),
    ],
)
def test_a_pool_whose_pods_do_not_leave_stays(script: str, why: str, there: Site, scripted: Scripted) -> None:
    scripted.does(script)
    result, _ = moved(there, scripted.program)
    assert result.outcome is Outcome.FAILED
    assert why in result.why
    assert there.pool(there.plan.moves[0].id) is not None


def test_without_kubectl_it_says_so(there: Site) -> None:
    result, _ = moved(there, "no-such-kubectl")
    assert result.outcome is Outcome.FAILED
    assert "there is no no-such-kubectl on this machine" in result.why


def test_kubectl_ends_when_somebody_stops(there: Site, scripted: Scripted) -> None:
    scripted.does(f'echo $$ > "{scripted.directory}/pid"; sleep 60')
    nodes = Kubectl(there.arm, lambda line: None, str(scripted.program))
    timer = threading.Timer(0.5, there.arm.stop)
    timer.start()
    with pytest.raises(Interrupted):
        nodes.done(there.plan.moves[0], ("kubectl cordon x",))
    timer.join()
    (running,) = scripted.lines("pid")
    with pytest.raises(ProcessLookupError):
        os.kill(int(running), 0)


def test_no_credential_is_in_a_message_or_left_on_the_disk(
    there: Site, scripted: Scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    scripted.does('cat "$config" > /dev/null; exit 1')
    result, said = moved(there, scripted.program)
    assert "certificate" not in json.dumps([result.why, *said])
    assert list((tmp_path / "tmp").iterdir()) == []


# --- the real one -----------------------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl on this machine")
def test_the_real_kubectl_cordons_and_drains_by_these_lines(there: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with node_verbs({"old-1": "a", "old-2": "a", "new-1": "ag2", "sys-1": "sys"}) as cluster_there:
        pods = {"web-1": "old-1", "web-2": "old-2", "other": "sys-1"}
        cluster_there.pods.update(pods)
        kubeconfig = base64.b64encode(json.dumps(cluster_there.kubeconfig).encode()).decode()
        monkeypatch.setattr(there.arm, "post", lambda path: {"kubeconfigs": [{"value": kubeconfig}]})
        result, _ = moved(there, "kubectl")
        assert result.outcome is Outcome.MOVED, result
        assert cluster_there.cordoned == {"old-1", "old-2"}
        assert cluster_there.evicted == ["web-1", "web-2"] or cluster_there.evicted == ["web-2", "web-1"]
        assert cluster_there.pods == {"other": "sys-1"}


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl on this machine")
def test_the_real_kubectl_without_a_cluster_fails_the_step(fresh: ServiceProcess) -> None:
    fresh.start().client.make_cluster()
    secret = tokens.Secret(*(fresh.credentials[name] for name in ("tenantId", "clientId", "clientSecret")))
    verify = ssl.create_default_context(cafile=str(fresh.ca))
    arm = Arm(fresh.url, tokens.of_poolwright(fresh.url, verify, secret), verify=verify, own_machine=True)
    fleet = fleet_of(fresh.client.get(fresh.client.cluster()).json())
    (found,) = fleet.clusters
    move = plan_of(fleet_of(cluster(pool("a"))), Profile.AZURE_2026).moves[0]
    move = replace(move, id=f"{found.id}/agentPools/a")
    with pytest.raises(StepFailed, match=r"kubectl get nodes .* ended with 1"):
        Kubectl(arm, lambda line: None).done(move, ("kubectl cordon x",))
    arm.close()
