"""Versions that nobody offers, those of which that is not known, and where they are told."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from poolwright.catalog.in_force import ImportedVersions, Replacements
from poolwright.catalog.kubernetes_versions import KubernetesVersions
from poolwright.domain.profile import Profile
from poolwright.lint.catalogs import Catalogs
from poolwright.lint.findings import Finding, LintReport
from poolwright.lint.linting import Settings, lint
from poolwright.reports.sarif import Level

LISTED = Catalogs(Replacements(versions={"westeurope": ImportedVersions(KubernetesVersions.built_in(), 0)}))
CREATE = "az aks create -g g -n c -l westeurope -s Standard_D4s_v5 -k {version}\n"
ADD = "az aks nodepool add -g g --cluster-name c -n p{number} -s Standard_D4s_v5\n"


def linted(path: Path, content: str, catalogs: Catalogs, profile: Profile = Profile.DOCUMENTED) -> LintReport:
    """The report of a file with that content."""
    path.write_text(content)
    return lint([path], Settings(profile=profile), catalogs, date(2026, 11, 26))


def of_versions(report: LintReport) -> list[Finding]:
    return [finding for finding in report.findings if finding.kind.id == "kubernetes-version"]


@pytest.mark.parametrize(
    ("version", "level", "listed"),
    [
        ("1.33", None, None),
        ("1.33.2", None, None),
        ("1.33.99", Level.WARNING, Level.ERROR),
        ("1.24.99", Level.WARNING, Level.ERROR),
        ("1.23", Level.ERROR, Level.ERROR),
        ("1.23.4", Level.ERROR, Level.ERROR),
        ("1.99", Level.ERROR, Level.ERROR),
        ("x", Level.ERROR, Level.ERROR),
    ],
)
def test_a_version_outside_of_the_list(tmp_path: Path, version: str, level: Any, listed: Any) -> None:
    for catalogs, expected in ((Catalogs(), level), (LISTED, listed)):
        found = of_versions(linted(tmp_path / "a.sh", CREATE.format(version=version), catalogs))
        assert [finding.level for finding in found] == ([expected] if expected else [])
        for finding in found:
            assert version in finding.message
            assert ("in this region" in finding.message) is (catalogs is LISTED)
            assert "--catalog" in finding.remedy


@pytest.mark.parametrize(
    ("profile", "version", "level", "is_refused"),
    [
        (Profile.DOCUMENTED, "1.24.9", Level.WARNING, False),
        (Profile.AZURE_2026, "1.24.9", Level.ERROR, True),
        (Profile.AZURE_2026, "1.26", Level.ERROR, True),
        (Profile.AZURE_2026, "1.27", None, False),
        (Profile.DOCUMENTED, "1.50", Level.ERROR, True),
        (Profile.AZURE_2026, "1.33.99", Level.WARNING, False),
    ],
)
def test_a_node_pool_of_a_version_that_nobody_can_get_is_none(
    tmp_path: Path, profile: Profile, version: str, level: Level | None, is_refused: bool
) -> None:
    script = CREATE.format(version=version) + ADD.format(number=1)
    report = linted(tmp_path / "a.sh", script, Catalogs(), profile)
    assert [finding.level for finding in of_versions(report)] == ([level] if level else [])
    for linted_pool in report.pools:
        outcome = linted_pool.outcome
        assert (outcome.is_refused, outcome.generation is None, not outcome.images) == (is_refused,) * 3
        if is_refused:
            assert not linted_pool.findings
    listed = linted(tmp_path / "a.sh", CREATE.format(version="1.24.9"), LISTED, profile)
    assert not of_versions(listed)


def test_a_version_that_is_not_known_is_none_that_has_ended(tmp_path: Path) -> None:
    for profile in Profile:
        (pool,) = linted(tmp_path / "a.sh", ADD.format(number=1), Catalogs(), profile).pools
        assert {image.split("gen2")[0] for image in pool.outcome.images} == {"AKSUbuntu-2204", "AKSUbuntu-2404"}
        exists = CREATE.format(version="$V").replace("aks create", "aks nodepool update --cluster-name c")
        assert "1804" not in str(linted(tmp_path / "a.sh", exists, Catalogs(), profile).pools[0].outcome.images)


def test_a_version_is_told_once_at_its_place_and_its_node_pools_are_judged_all_the_same(tmp_path: Path) -> None:
    script = CREATE.format(version="1.33.99") + "".join(ADD.format(number=number) for number in range(30))
    report = linted(tmp_path / "a.sh", script, Catalogs())
    (finding,) = of_versions(report)
    assert (finding.place.line, finding.place.column) == (1, script.index("-k") + 1)
    assert {pool.outcome.images for pool in report.pools} == {("AKSUbuntu-2204gen2containerd-202512.18.0",)}
    assert len(report.pools) == 31


def test_a_version_of_a_list_of_another_location_is_of_no_list(tmp_path: Path) -> None:
    (finding,) = of_versions(
        linted(tmp_path / "a.sh", CREATE.format(version="1.33.99").replace("westeurope", "eastus"), LISTED)
    )
    assert finding.level is Level.WARNING
    assert "-l eastus" in finding.remedy


CLUSTER = {"name": "c", "location": "westeurope", "kubernetes_version": "1.33.99"}
PROFILES = [{"name": name, "vm_size": "Standard_D4s_v5"} for name in ("a", "b")]


@pytest.mark.parametrize(
    ("name", "document"),
    [
        (
            "template.json",
            {
                "$schema": "deploymentTemplate.json#",
                "contentVersion": "1",
                "resources": [
                    {
                        "type": "Microsoft.ContainerService/managedClusters",
                        "name": "c",
                        "location": "westeurope",
                        "properties": {
                            "kubernetesVersion": "1.33.99",
                            "agentPoolProfiles": [{"name": name, "vmSize": "Standard_D4s_v5"} for name in ("a", "b")],
                        },
                    }
                ],
            },
        ),
        (
            "plan.json",
            {
                "format_version": "1.2",
                "terraform_version": "1",
                "resource_changes": [
                    {
                        "address": "azurerm_kubernetes_cluster.c",
                        "type": "azurerm_kubernetes_cluster",
                        "change": {"actions": ["create"], "after": {**CLUSTER, "default_node_pool": PROFILES}},
                    }
                ],
            },
        ),
        ("playbook.yml", [{"azure_rm_aks": {**CLUSTER, "agent_pool_profiles": PROFILES}}]),
    ],
)
def test_every_reader_knows_where_the_version_of_a_cluster_stands(tmp_path: Path, name: str, document: Any) -> None:
    content = json.dumps(document, indent=1)
    report = linted(tmp_path / name, content, Catalogs())
    assert len(report.pools) == 2
    (finding,) = of_versions(report)
    assert "1.33.99" in content.splitlines()[finding.place.line - 1]


def test_what_exists_is_warned_of(tmp_path: Path) -> None:
    values = {**CLUSTER, "kubernetes_version": "1.23", "default_node_pool": PROFILES[:1]}
    cluster = {"address": "azurerm_kubernetes_cluster.c", "type": "azurerm_kubernetes_cluster", "values": values}
    state = {"format_version": "1.0", "terraform_version": "1", "values": {"root_module": {"resources": [cluster]}}}
    (finding,) = of_versions(linted(tmp_path / "state.json", json.dumps(state), Catalogs()))
    assert finding.level is Level.WARNING
