"""azure.azcollection, driven by real playbooks; what its modules must return is asserted there (`ansible/`)."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from environments import HERE

from tests.support.service import ServiceProcess

TIMEOUT_SECONDS = 600


def run_playbook(ansible: Path, place: Path, name: str, service: ServiceProcess) -> None:
    """Run a playbook to its end, as a user does who exported what docs/clients.md says."""
    known = service.credentials
    variables = {
        "AZURE_CLOUD_ENVIRONMENT": service.url,
        "AZURE_TENANT": known["tenantId"],
        "AZURE_SECRET": known["clientSecret"],
        "ANSIBLE_PYTHON_INTERPRETER": str(ansible / "bin" / "python"),
        "ANSIBLE_HOME": str(place),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
        "HOME": str(place),
        "LC_ALL": "C.UTF-8",
    }
    ended = subprocess.run(
        [ansible / "bin" / "ansible-playbook", Path(__file__).parent / "ansible" / name],
        env=os.environ | service.environment | variables,
        cwd=place,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=TIMEOUT_SECONDS,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout


def test_a_cluster_from_its_group_to_the_end(ansible: Path, tmp_path: Path, service: ServiceProcess) -> None:
    run_playbook(ansible, tmp_path, "clusters.yml", service)

    assert service.client.get(service.client.group()).status_code == 404
    puts = service.requests(method="PUT")
    assert [entry["path"].rsplit("/", 1)[-1] for entry in puts] == ["rg", "c1", "c1"]
    assert all("Ansible/" in entry["headers"]["user-agent"] for entry in puts)


def test_node_pools_and_the_generation_of_clients_without_headers(
    ansible: Path, tmp_path: Path, service: ServiceProcess
) -> None:
    client = service.client
    client.make_cluster(kubernetesVersion="1.35.7")

    run_playbook(ansible, tmp_path, "node_pools.yml", service)

    pool = client.get(client.pool("win1")).json()["properties"]
    assert (pool["count"], pool["vmGeneration"]) == (2, "V2")
    assert pool["poolwright"]["observedGenerations"] == {"V1": 0, "V2": 2, "unknown": 0}
    last = service.requests(method="PUT", pool="win1")[-1]
    assert "vmGeneration" not in last["body"]["properties"]


def test_the_collection_is_the_one_the_documents_name_with_what_it_asks_for_and_one_function_more(
    ansible: Path,
) -> None:
    (collection,) = ansible.glob("lib/python3*/site-packages/ansible_collections/azure/azcollection")
    version = json.loads((collection / "MANIFEST.json").read_text())["collection_info"]["version"]
    assert f"| {version} | `tests/clients/ansible`" in (HERE.parents[1] / "docs" / "clients.md").read_text()
    asked = {line for line in (HERE / "ansible" / "requirements.in").read_text().splitlines() if line[0] != "#"}
    shipped = set((collection / "requirements.txt").read_text().split())
    assert {line.partition("=")[0] for line in shipped ^ asked} == {"ansible", "azure-iot-hub", "pandas>"}
    # When azure-cli-core has the function itself, nothing is to be added any more.
    cloud = collection.parents[2] / "azure" / "cli" / "core" / "cloud.py"
    assert cloud.read_text().count("get_cloud_from_metadata_endpoint") == 1
