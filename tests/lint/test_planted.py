"""Faults planted in every kind of file are found on their lines.

`planted/main.json` is written by hand in bicep's form; the templates of `tests/templates/bicep` were built by bicep.
"""

from __future__ import annotations

import copy
import json
import time
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from poolwright.domain.profile import Profile
from poolwright.lint.arm_templates import Given, Sent
from poolwright.lint.catalogs import Catalogs
from poolwright.lint.findings import LintReport
from poolwright.lint.linting import Settings, lint

PLANTED = Path(__file__).parent / "planted"
BICEP = Path(__file__).parents[1] / "templates" / "bicep"
TODAY = date(2026, 11, 26)


def linted(name: str | Path, profile: Profile = Profile.DOCUMENTED, **parameters: Any) -> LintReport:
    """The report of one planted file."""
    settings = Settings(
        profile=profile, given=Given({key.lower(): Sent(key, value) for key, value in parameters.items()})
    )
    return lint([PLANTED / name], settings, Catalogs(), TODAY)


def told(report: LintReport) -> set[tuple[str, str, int, str]]:
    """Which finding, how bad, on which line, of which node pool; what is only retiring later is left out."""
    return {
        (finding.kind.id, finding.level.value, finding.place.line, finding.pool.address if finding.pool else "")
        for finding in report.findings
        if not finding.kind.id.startswith(("OsRelease", "size-retiring"))
    }


def generations(report: LintReport) -> dict[str, str | None]:
    """The generation of each node pool, by address."""
    return {
        linted.pool.address: linted.outcome.generation.value if linted.outcome.generation else None
        for linted in report.pools
    }


def line_of(name: str, text: str, number: int = 1) -> int:
    """The line of the file that has the text, for the so-manieth time."""
    lines = (PLANTED / name).read_text().splitlines()
    return [index for index, line in enumerate(lines, 1) if text in line][number - 1]


def test_a_template_as_bicep_builds_it() -> None:
    report = linted("main.json")
    assert told(report) == {
        ("profiles-differ", "warning", line_of("main.json", "Standard_D4ads_v6"), "aks-planted/win"),
        ("gen2-not-offered", "error", line_of("main.json", "Standard_D4_v3"), "aks-planted/trusted"),
        ("unknown", "note", line_of("main.json", "[parameters('batchSize')]"), "aks-planted/batch"),
        ("parameter-without-value", "note", line_of("main.json", '"batchSize": {'), ""),
        ("size-retired", "error", line_of("main.json", "[parameters('size')]"), "aks-planted/gpu"),
    }
    assert generations(report) == {
        "aks-planted/sys": "V2",
        "aks-planted/win": "V2",
        "aks-planted/trusted": None,
        "aks-planted/batch": None,
        "aks-planted/gpu": "V2",
    }
    assert not report.broken


def test_a_template_by_the_profile_of_the_real_service() -> None:
    report = linted("main.json", Profile.AZURE_2026)
    (found,) = (finding for finding in report.findings if finding.kind.id == "operation-fails")
    assert found.place.line == line_of("main.json", "Standard_D4ads_v6")
    assert "cannot boot Hypervisor Generation '1'" in found.message
    assert "cannot send headers" in found.remedy


def test_a_parameter_that_is_given_decides() -> None:
    report = linted("main.json", batchSize="Standard_D2_v2")
    assert generations(report)["aks-planted/batch"] == "V1"
    assert ("gen1", "note", line_of("main.json", "[parameters('batchSize')]"), "aks-planted/batch") in told(report)


def test_a_template_that_bicep_built_with_node_pools_from_a_parameter() -> None:
    pools = [{"name": "old", "size": "Standard_D2_v2", "count": 1}, {"name": "new", "count": 1}]
    report = linted(BICEP / "node-pools.json", pools=pools)
    cluster = "[parameters('clusterName')]"
    # The cluster's name hangs on the resource group, and the node pool of the cluster has no size.
    assert generations(report) == {f"{cluster}/sys": None, f"{cluster}/old": "V1", f"{cluster}/new": "V2"}
    (old,) = (finding for finding in report.findings if finding.kind.id == "gen1")
    assert '"vmSize": "[coalesce(' in (BICEP / "node-pools.json").read_text().splitlines()[old.place.line - 1]


def test_faults_planted_in_a_template_that_bicep_built() -> None:
    pools = [
        {"name": "twogens", "size": "Standard_D2_v2", "generation": "V2", "count": 1},
        {"name": "nosuch", "size": "Standard_D2s_v55", "count": 1},
        {"name": "fine", "size": "Standard_D2s_v5", "generation": "V2", "count": 1},
    ]
    report = linted(BICEP / "node-pools.json", pools=pools)
    line = next(
        number
        for number, text in enumerate((BICEP / "node-pools.json").read_text().splitlines(), 1)
        if '"vmSize": "[coalesce(' in text
    )
    cluster = "[parameters('clusterName')]"
    assert {each for each in told(report) if each[1] == "error"} == {
        ("gen2-not-offered", "error", line, f"{cluster}/twogens"),
        ("VMSizeNotSupported", "error", line, f"{cluster}/nosuch"),
    }
    assert generations(report)[f"{cluster}/fine"] == "V2"


def test_a_terraform_plan() -> None:
    report = linted("plan.json")
    win = 'module.pools.azurerm_kubernetes_cluster_node_pool.win["a"]'
    assert told(report) == {
        ("profiles-differ", "warning", line_of("plan.json", "Standard_D4ads_v6"), win),
        (
            "unknown",
            "note",
            line_of("plan.json", '"after": {', 3),
            "azurerm_kubernetes_cluster_node_pool.later",
        ),
        ("gen2-not-offered", "error", line_of("plan.json", "Standard_D4_v3"), "azapi_resource.trusted"),
    }
    assert generations(report) == {
        "azurerm_kubernetes_cluster.main.default_node_pool": "V2",
        win: "V2",
        "azurerm_kubernetes_cluster_node_pool.later": None,
        "azapi_resource.trusted": None,
        "azapi_resource.win": "V2",
    }
    remedies = [finding.remedy for finding in report.findings if finding.kind.id == "profiles-differ"]
    assert all("azapi_resource and create_headers" in remedy for remedy in remedies)


def test_a_shell_script() -> None:
    report = linted("deploy.sh")
    assert told(report) == {
        ("profiles-differ", "warning", line_of("deploy.sh", '--node-vm-size "$WIN_SIZE" \\'), "aks-planted/win"),
        ("gen2-not-offered", "error", line_of("deploy.sh", "Standard_D4_v3"), "aks-planted/tl"),
        ("unknown", "note", line_of("deploy.sh", "-n later"), "aks-planted/later"),
    }
    assert generations(report) == {
        "aks-planted/sys": None,  # the last one of that name: an upgrade, which keeps what there is
        "aks-planted/win": "V2",
        "aks-planted/tl": None,
        "aks-planted/later": None,
        "aks-planted/wing2": "V2",
    }
    conditions = {linted.pool.address: linted.pool.condition for linted in report.pools}
    assert conditions["aks-planted/tl"] == 'if [ -n "${TRUSTED:-}" ]; then'
    assert conditions["aks-planted/win"] is None


def test_a_workflow_with_scripts() -> None:
    report = linted("workflow.yml")
    assert told(report) == {
        ("profiles-differ", "warning", line_of("workflow.yml", "Standard_D4ads_v6"), "aks1/win1"),
        ("unknown", "note", line_of("workflow.yml", "inputs.size"), "aks1/dyn"),
        ("gen2-not-offered", "error", line_of("workflow.yml", "Standard_D4_v3"), "aks1/tl"),
    }
    (unknown,) = (finding for finding in report.findings if finding.kind.id == "unknown")
    assert "${{ inputs.size }}" in unknown.message


def test_a_playbook() -> None:
    report = linted("playbook.yml")
    assert told(report) == {
        ("gen1", "note", line_of("playbook.yml", "Standard_D2_v3"), "aks1/old"),
        ("profiles-differ", "warning", line_of("playbook.yml", "Standard_D4ads_v6"), "aks1/win"),
        ("unknown", "note", line_of("playbook.yml", "{{ size }}"), "aks1/dyn"),
    }


@pytest.mark.parametrize("name", ["main.json", "plan.json", "deploy.sh", "workflow.yml", "playbook.yml"])
def test_columns_point_at_the_value(name: str) -> None:
    lines = (PLANTED / name).read_text().splitlines()
    for finding in linted(name).findings:
        rest = lines[finding.place.line - 1][finding.place.column - 1 :]
        assert rest[0] not in " ,:\n", (finding, rest)
        if finding.kind.id in ("gen2-not-offered", "profiles-differ"):
            assert rest.lstrip("\"'").startswith(("Standard_", "$WIN_SIZE")), (finding, rest)


def test_a_large_plan_takes_seconds(tmp_path: Path) -> None:
    """Node pools that differ in names, counts and tags are decided once: 2 000 of them in less than 10 s of CPU."""
    plan = json.loads((PLANTED / "plan.json").read_text())
    (change,) = (each for each in plan["resource_changes"] if "win[" in each["address"])
    sizes = ("Standard_D2_v2", "Standard_D4s_v5", "Standard_D4ads_v6", "Standard_NC6s_v3")
    plan["resource_changes"] = []
    for number in range(2_000):
        each = copy.deepcopy(change)
        after = {"name": f"w{number}", "node_count": number % 50, "vm_size": sizes[number % 4]}
        each["change"]["after"] |= after | {"node_labels": {"a": str(number)}}
        plan["resource_changes"].append(each)
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    begun = time.process_time()
    report = linted(tmp_path / "plan.json")
    assert time.process_time() - begun < 10
    assert len(report.pools) == 2_000
    numbers = [linted.outcome.generation.value for linted in report.pools if linted.outcome.generation]
    assert (numbers.count("V1"), numbers.count("V2")) == (1_500, 500)
