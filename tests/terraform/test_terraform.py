"""Terraform with the azurerm provider, both unmodified, against a service: `make terraform`.

It is no part of `make test`: the provider comes from HashiCorp's registry, or from what TF_CLI_CONFIG_FILE names.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.service import ServiceProcess

TIMEOUT_SECONDS = 600
# What `terraform plan -detailed-exitcode` ends with.
NO_CHANGES, CHANGES = 0, 2


@dataclass(frozen=True)
class Terraform:
    """The configuration `main.tf` in a directory, and what a user exports for it (docs/clients.md)."""

    directory: Path
    environment: dict[str, str]

    def __call__(self, *arguments: str, codes: tuple[int, ...] = (0,)) -> str:
        ended = subprocess.run(
            ["terraform", *arguments],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_SECONDS,
            check=False,
        )
        assert ended.returncode in codes, f"{arguments}: {ended.returncode}\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout

    def planned(self, *settings: str) -> Path:
        """Plan changes, and return the file with what `terraform show -json` prints of them."""
        variables = [f"-var={setting}" for setting in settings]
        self("plan", "-no-color", "-detailed-exitcode", "-out=plan", *variables, codes=(CHANGES,))
        return self.shown("plan")

    def shown(self, *plan: str) -> Path:
        """Return the file with what `terraform show -json` prints of a plan, or of what there is."""
        file = self.directory / f"{plan[0] if plan else 'state'}.json"
        file.write_text(self("show", "-json", *plan))
        return file

    def applied(self) -> None:
        self("apply", "-no-color", "plan")

    def require_no_changes(self, *settings: str) -> None:
        variables = [f"-var={setting}" for setting in settings]
        self("plan", "-no-color", "-detailed-exitcode", *variables, codes=(NO_CHANGES,))


@pytest.fixture
def terraform(service: ServiceProcess, tmp_path: Path) -> Terraform:
    if shutil.which("terraform") is None:
        pytest.fail("terraform is not on the PATH: https://developer.hashicorp.com/terraform/install")
    shutil.copy(Path(__file__).parent / "main.tf", tmp_path)
    known = service.credentials
    made = Terraform(
        tmp_path,
        os.environ
        | service.environment
        | {
            "ARM_METADATA_HOSTNAME": service.url.removeprefix("https://"),
            "ARM_TENANT_ID": known["tenantId"],
            "ARM_SUBSCRIPTION_ID": known["subscriptionId"],
            "ARM_CLIENT_ID": known["clientId"],
            "ARM_CLIENT_SECRET": known["clientSecret"],
            "CHECKPOINT_DISABLE": "1",
        },
    )
    made("init", "-no-color", "-input=false")
    return made


@pytest.fixture
def foretold(service: ServiceProcess) -> Callable[[Path], dict[str, list[str]]]:
    """The node images that `poolwright lint` finds in a file, by node pool."""

    def images(file: Path) -> dict[str, list[str]]:
        lint = [sys.executable, "-m", "poolwright.cli.main", "lint", "--output", "json", "--profile", "documented"]
        ended = subprocess.run(
            [*lint, file], env=os.environ | service.environment, capture_output=True, text=True, check=True
        )
        return {pool["name"]: pool["images"] for pool in json.loads(ended.stdout)["pools"]}

    return images


def images_of(service: ServiceProcess) -> dict[str, list[str]]:
    listed = service.client.get(f"{service.client.cluster()}/agentPools").json()["value"]
    return {pool["name"]: [pool["properties"]["nodeImageVersion"]] for pool in listed}


def test_node_pools_are_made_seen_again_changed_imported_and_deleted(
    service: ServiceProcess, terraform: Terraform, foretold: Callable[[Path], dict[str, list[str]]]
) -> None:
    plan = foretold(terraform.planned())
    terraform.applied()

    assert plan == images_of(service)
    assert {"AKSUbuntu-2404gen2containerd", "AKSWindows-2022-containerd"} <= {
        image.rsplit("-", 1)[0].removesuffix("-20348.4529") for (image,) in plan.values()
    }
    assert "terraform-provider-azurerm/" in service.requests(method="PUT", pool="win")[0]["headers"]["user-agent"]
    # As at Azure nothing appears that was not asked for.
    terraform.require_no_changes()
    outputs: dict[str, Any] = json.loads(terraform("output", "-json"))
    assert outputs["kubernetes"]["value"] == f"{service.url}/kube/c1"
    assert outputs["newest_version"]["value"].startswith("1.")

    # The provider changes a size by another node pool meanwhile, which is how a pool gets to another generation by it.
    changes = (
        *("system_size=Standard_D4s_v5", "linux_size=Standard_D2_v3", "linux_count=2"),
        *("windows_surge=1", 'windows_taints=["os=windows:NoSchedule"]'),
    )
    plan = foretold(terraform.planned(*changes))
    terraform.applied()
    terraform.require_no_changes(*changes)

    there = images_of(service)
    assert there.keys() == {"system", "linux", "win", "spot"}
    assert plan["linux"] == there["linux"]
    assert "gen2" not in there["linux"][0]
    assert foretold(terraform.shown()) == there

    address, pool = "azurerm_kubernetes_cluster_node_pool.spot", service.client.pool("spot")
    terraform("state", "rm", address)
    terraform("import", "-no-color", *(f"-var={change}" for change in changes), address, pool)
    terraform.require_no_changes(*changes)

    terraform("destroy", "-no-color", "-auto-approve")
    assert service.client.get(service.client.group()).status_code == 404
