"""@azure/arm-containerservice from npm, driven by Node's own test runner; what is tested stands in `javascript/`."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from tests.support.service import ServiceProcess

TIMEOUT_SECONDS = 120


def run_tests(javascript: Path, place: Path, script: str, service: ServiceProcess, **variables: str) -> None:
    """Run a test script beside the installed packages, where Node.js looks for them."""
    shutil.copy(Path(__file__).parent / "javascript" / script, place)
    (place / "package.json").write_text('{"type": "module"}')
    (place / "node_modules").symlink_to(javascript / "node_modules")
    ended = subprocess.run(
        ["node", "--test", "--test-reporter=tap", script],
        cwd=place,
        env=os.environ | service.environment | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    assert "# fail 0" in ended.stdout
    assert "# pass 0" not in ended.stdout


def test_clusters_node_pools_and_what_belongs_to_them(
    javascript: Path, tmp_path: Path, service: ServiceProcess
) -> None:
    client = service.client
    client.expect(201, client.put(client.group(), json={"location": "eastus"}))
    slow = {
        "match": {"operation": "update_node_pool", "pool": "slow", "step": "wave_1.await_ready"},
        "effect": {"delaySeconds": 60},
    }
    client.expect(201, client.put("/_poolwright/faults/slow", json=slow))

    run_tests(javascript, tmp_path, "aks.test.js", service)

    (sent,) = service.requests(method="PUT", pool="win2")[:1]
    assert "arm-containerservice/25.3.0" in sent["headers"]["user-agent"]


def test_lists_of_several_pages(javascript: Path, tmp_path: Path, service: ServiceProcess) -> None:
    client = service.client
    client.make_cluster()
    state = client.get("/_poolwright/state").json()
    (cluster,) = state["clusters"]
    state["clusters"] += [{**cluster, "id": {**cluster["id"], "cluster": f"more{n}"}} for n in range(220)]
    client.expect(204, client.put("/_poolwright/state", json=state, params={"replace": "true"}))

    run_tests(javascript, tmp_path, "pages.test.js", service, CLUSTERS="221")
