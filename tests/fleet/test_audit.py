"""The generation of every node pool, how it is known, what ends, and what blocks a move."""

from __future__ import annotations

import csv
import io
import json
from datetime import date
from importlib.resources import files
from pathlib import Path

import pytest

from poolwright.catalog.catalog import Catalog
from poolwright.catalog.retirements import Retirement, Retirements, series_of
from poolwright.domain.evidence import EVIDENCE
from poolwright.domain.image_tables import WARNING_TABLE
from poolwright.domain.node_pool_kind import PoolType
from poolwright.domain.profile import Profile
from poolwright.fleet.audit import OBSTACLES, Audit, AuditedPool, Move, Urgency, urgency
from poolwright.fleet.audit_reports import csv_text
from poolwright.fleet.document import document_of, json_of
from tests.fleet.fleets import TODAY, audited, audited_pool, cluster, exported, fleet_of, pool

GEN1, GEN2 = "AKSUbuntu-2204containerd-202512.18.0", "AKSUbuntu-2204gen2containerd-202512.18.0"


@pytest.fixture(scope="module")
def found() -> Audit:
    return audited(exported())


def of(found: Audit, name: str) -> AuditedPool:
    (only,) = [pool for pool in found.pools if f"{pool.cluster}/{pool.pool}" == name]
    return only


@pytest.mark.parametrize(
    ("name", "generation", "confidence", "because", "move"),
    [
        ("shop-prod/system", "V2", "certain", "image-known", Move.DONE),
        ("shop-prod/batch", "V1", "certain", "image-known", Move.OTHER_SIZE),
        ("shop-prod/spot", "V1", "certain", "image-known", Move.OTHER_SIZE),
        ("shop-prod/win22", "V1", "certain", "image-known", Move.SAME_SIZE),
        ("shop-prod/win19", "V1", "certain", "image-known", Move.BLOCKED),
        ("shop-test/system", "V1", "certain", "image-known", Move.WAITS),
        ("lake/acl", "V2", "certain", "image-known", Move.DONE),
        ("lake/mixed", "V1", "certain", "image-known", Move.OTHER_SIZE),
        ("Edge1/nodepool1", "V1", "certain", "size-only", Move.OTHER_SIZE),
        ("ancient/agentpool", "V2", "likely", "gen2-linux", Move.DONE),
        # Its size offers Generation 2 and ends in 2028.
        ("old2/agentpool", "V1", "certain", "image-known", Move.OTHER_SIZE),
    ],
)
def test_pools_of_the_exports(
    found: Audit, name: str, generation: str, confidence: str, because: str, move: Move
) -> None:
    pool = of(found, name)
    assert (pool.generation, pool.confidence, pool.because.id, pool.move) == (generation, confidence, because, move)


@pytest.mark.parametrize(
    ("properties", "generation", "confidence", "because"),
    [
        ({"nodeImageVersion": GEN1}, "V1", "certain", "image-known"),
        ({"nodeImageVersion": GEN2, "vmSize": "Standard_D4s_v5"}, "V2", "certain", "image-known"),
        ({"nodeImageVersion": f"{GEN2}-2024.12.01", "vmSize": "Standard_D4s_v5"}, "V2", "certain", "image-known"),
        # A definition nobody knows yet: the mark tells.
        ({"nodeImageVersion": "AKSUbuntu-2804gen2containerd-202812.18.0"}, "V2", "certain", "image-gen2"),
        ({"poolwright": {"resolvedGeneration": "V1"}, "vmSize": "Standard_D4s_v5"}, "V1", "certain", "stated"),
        ({"vmSize": "Standard_D4_v3"}, "V1", "certain", "size-only"),
        ({"vmSize": "Standard_D4s_v6"}, "V2", "certain", "size-only"),
        (
            {"vmSize": "Standard_D4s_v5", "nodeImageVersion": "AKSUbuntu-2804containerd-202812.18.0"},
            *("V1", "likely", "image-without-gen2"),
        ),
        # A gallery whose images need not say their generation, and a size that offers both: the rules.
        ({"vmSize": "Standard_D4s_v5", "nodeImageVersion": "AKSNew-1-2.3.4"}, "V2", "likely", "gen2-linux"),
        ({"vmSize": "Standard_D4s_v5"}, "V2", "likely", "gen2-linux"),
        ({"vmSize": "Standard_D4s_v5", "osType": "Windows"}, "V1", "likely", "gen1-windows"),
        (
            {"vmSize": "Standard_D4s_v5", "osType": "Windows", "osSKU": "Windows2025"},
            "V2",
            "likely",
            "gen2-windows-2025",
        ),
        ({"vmSize": "Standard_Nobody_v9"}, None, "unknown", "nothing-tells"),
        ({"vmSize": None}, None, "unknown", "nothing-tells"),
    ],
)
def test_evidence_counts_in_its_order(
    properties: dict[str, object], generation: str | None, confidence: str, because: str
) -> None:
    found = audited_pool(**properties)
    assert (found.generation, found.confidence, found.because.id) == (generation, confidence, because)


def test_every_known_node_image_is_found_by_its_version_string() -> None:
    sizes = {"V1": "Standard_D4_v3", "V2": "Standard_D4s_v5"}
    images = Catalog.built_in(["eastus"]).images
    pools = [
        pool(f"p{number:03}", nodeImageVersion=image.version_string, vmSize=sizes[image.generation.value])
        for number, image in enumerate(images)
    ]
    found = audited(fleet_of(cluster(*pools))).pools
    assert len(found) == len(images) > 80
    for each, image in zip(found, images, strict=True):
        assert (each.generation, each.because.id) == (image.generation.value, "image-known"), image


@pytest.mark.parametrize(
    ("properties", "members", "finding", "move"),
    [
        ({"type": "AvailabilitySet"}, {}, "availability-set", Move.BLOCKED),
        ({"osType": "Windows", "osSKU": "Windows2019"}, {}, "windows-2019", Move.BLOCKED),
        ({"vmSize": None}, {}, "size-not-told", Move.BLOCKED),
        ({"count": None}, {}, "count-not-told", Move.BLOCKED),
        ({"vmSize": "Standard_Nobody_v9"}, {}, "size-unknown", Move.BLOCKED),
        ({"availabilityZones": ["7"]}, {}, "no-target", Move.BLOCKED),
        ({"osSKU": "CBLMariner"}, {}, "os-sku-refused", Move.BLOCKED),
        ({}, {"powerState": {"code": "Stopped"}}, "cluster-stopped", Move.WAITS),
        ({"powerState": {"code": "Stopped"}}, {}, "pool-stopped", Move.WAITS),
        ({"provisioningState": "Failed"}, {}, "not-settled", Move.WAITS),
        ({}, {"provisioningState": "Updating"}, "not-settled", Move.WAITS),
        ({"nodeImageVersion": GEN2}, {}, "image-contradicts-size", Move.DONE),
        ({}, {"location": None}, "no-location", Move.OTHER_SIZE),
        ({"mode": None}, {}, "no-mode", Move.OTHER_SIZE),
    ],
)
def test_what_stands_between_a_pool_and_generation_2(
    properties: dict[str, object], members: dict[str, object], finding: str, move: Move
) -> None:
    (found,) = audited(fleet_of(cluster(pool(**properties), **members))).pools
    assert finding in [each.id for each in found.findings]
    assert found.move is move
    assert all(each.message and each.remedy and each.source for each in found.findings)
    assert "{" not in "".join(each.message + each.remedy for each in found.findings)


def test_a_remedy_whose_command_cannot_be_typed_has_all_of_its_words() -> None:
    (found,) = audited(fleet_of(cluster(pool("@np1", vmSize="Standard_NC12", provisioningState="Failed")))).pools
    assert found.findings[0].remedy.startswith("add a node pool of Standard_NC")
    assert "{" not in found.findings[0].remedy
    assert "(not with az: " in found.findings[0].remedy


WIN1 = {"osType": "Windows", "osSKU": "Windows2022", "nodeImageVersion": "AKSWindows-2022-containerd-20348.4529.251212"}


@pytest.mark.parametrize(
    ("properties", "profile", "finding", "move", "remedy"),
    [
        (
            {"vmSize": "Standard_D4ads_v6", **WIN1},
            Profile.AZURE_2026,
            *("cannot-start", Move.BLOCKED),
            "where no machine of it runs, delete it and add it again with --aks-custom-headers UseWindowsGen2VM=true: "
            "az aks nodepool delete -g rg --cluster-name c1 -n np1",
        ),
        (
            {"vmSize": "Standard_D4ads_v6", **WIN1},
            Profile.DOCUMENTED,
            *("cannot-start-yet", Move.WAITS),
            "repair it in Generation 2: az aks nodepool update -g rg --cluster-name c1 -n np1 "
            "--aks-custom-headers UseWindowsGen2VM=true",
        ),
        (
            {"vmSize": "Standard_NC12"},
            Profile.AZURE_2026,
            *("size-gone", Move.BLOCKED),
            "add a node pool of Standard_NC32ads_A10_v4 or another size for its workload, and delete this one: "
            "az aks nodepool delete -g rg --cluster-name c1 -n np1",
        ),
        # Its size boots what it has: it failed by something else, and a repair makes what is missing.
        (
            {"vmSize": "Standard_D4s_v5", **WIN1},
            Profile.AZURE_2026,
            *("not-settled", Move.WAITS),
            "wait for Succeeded, or repair it: az aks nodepool update -g rg --cluster-name c1 -n np1",
        ),
    ],
)
def test_a_failed_pool_is_only_told_to_be_repaired_where_that_can_succeed(
    properties: dict[str, object], profile: Profile, finding: str, move: Move, remedy: str
) -> None:
    found = audited_pool(profile, provisioningState="Failed", **properties)
    assert [each.id for each in found.findings] == [finding]
    assert (found.move, found.findings[0].remedy) == (move, remedy)


REMOVED = "The node images of {} are removed from Azure since 2026-03-31; scaling fails."
IN_THE_OVERRIDES = "name another OS SKU in the overrides of the plan: osSku "


@pytest.mark.parametrize(
    ("properties", "message", "remedy"),
    [
        (
            {"osSKU": "CBLMariner", "nodeImageVersion": "AKSCBLMariner-V2-202505.27.0"},
            REMOVED.format("CBL-Mariner 2.0"),
            "AzureLinux, AzureLinux3, Ubuntu, Ubuntu2204 or Ubuntu2404",
        ),
        (
            {"osSKU": "AzureLinux", "orchestratorVersion": "1.31.7"},
            REMOVED.format("Azure Linux 2.0"),
            "AzureLinux3, Ubuntu or Ubuntu2204",
        ),
        # Its image is newer than what a new node pool of its OS SKU and version would get.
        (
            {
                "osSKU": "AzureLinux",
                "orchestratorVersion": "1.31.8",
                "nodeImageVersion": "AKSAzureLinux-V3-202512.18.0",
            },
            REMOVED.format("Azure Linux 2.0"),
            "AzureLinux3, Ubuntu or Ubuntu2204",
        ),
        (
            {"osSKU": "WindowsAnnual", "osType": "Windows", "vmSize": "Standard_D4s_v5"},
            "Creating node pools with OS SKU 'WindowsAnnual' is no longer possible since 15 May 2026.",
            "Windows2022 or Windows2025",
        ),
        (
            {"osSKU": "Windows2025", "osType": "Windows", "vmSize": "Standard_D4s_v5", "enableFIPS": False}
            | {"nodeImageVersion": "AKSWindows-2025-26100.7462.251212"},
            "OS SKU 'Windows2025' requires enableFIPS to be true; it cannot be turned off.",
            "Windows2022",
        ),
        (
            {"osSKU": "Ubuntu2404", "enableFIPS": True, "nodeImageVersion": GEN1},
            "FIPS is not supported with OS SKU 'Ubuntu2404'.",
            "Ubuntu, Ubuntu2204, AzureLinux or AzureLinux3",
        ),
    ],
)
def test_where_the_os_sku_is_in_the_way_that_is_told_with_those_that_help(
    properties: dict[str, object], message: str, remedy: str
) -> None:
    (finding,) = audited_pool(**properties).findings
    assert (finding.id, finding.message, finding.remedy) == ("os-sku-refused", message, IN_THE_OVERRIDES + remedy)


@pytest.mark.parametrize(
    ("properties", "count"),
    [
        ({"count": 3, "vmSize": None}, 3),
        ({"count": None}, None),
        ({"count": 0}, 0),
        ({"count": 7, "vmSize": None, "virtualMachinesProfile": {"scale": {"manual": [{"size": "A", "count": 2}]}}}, 2),
    ],
)
def test_as_many_machines_are_told_as_the_export_tells_and_no_number_where_it_tells_none(
    properties: dict[str, object], count: int | None
) -> None:
    fleet = fleet_of(cluster(pool(**properties)))
    found = audited(fleet)
    (each,) = found.pools
    assert each.count == count
    assert json.loads(json_of(found))["pools"][0]["count"] == count
    (row,) = csv.DictReader(io.StringIO(csv_text(found)))
    assert row["count"] == ("" if count is None else str(count))


def test_every_row_has_a_test_here() -> None:
    text = Path(__file__).read_text()
    for row in (*EVIDENCE, *OBSTACLES):
        assert f'"{row.rule.id}"' in text or row.rule.id == "rules", row.rule.id


def test_a_size_that_has_ended_is_left() -> None:
    found = audited_pool(vmSize="Standard_NC6s_v3", nodeImageVersion=GEN1)
    assert (found.gen2_size, found.move, found.urgency) == ("yes", Move.OTHER_SIZE, Urgency.OVERDUE)


def test_the_document_has_every_rule_of_an_audit() -> None:
    document = (Path(__file__).parents[2] / "docs" / "fleet.md").read_text()
    for evidence in EVIDENCE:
        rule = evidence.rule
        assert f"| `{rule.id}` | {evidence.confidence.value} | {rule.text} | {rule.source} |" in document
    for row in OBSTACLES:
        assert f"| `{row.rule.id}` | {row.effect.value} | {row.rule.text} | {row.rule.source} |" in document


def test_a_pool_that_is_there_has_no_obstacle() -> None:
    found = audited_pool(vmSize="Standard_D4s_v5", nodeImageVersion=GEN2, provisioningState="Failed")
    assert (found.findings, found.move) == ((), Move.DONE)


def test_the_profile_decides_where_the_sources_disagree() -> None:
    windows = {"osType": "Windows", "vmSize": "Standard_D4s_v5", "orchestratorVersion": "1.36.1"}
    assert audited_pool(Profile.DOCUMENTED, **windows).because.id == "gen2-windows-2025"
    assert audited_pool(Profile.AZURE_2026, **windows).because.id == "gen1-windows"


def test_sizes_given_with_the_fleet_replace_the_catalogue(found: Audit) -> None:
    end = of(found, "Edge1/nodepool1").ends[-1]
    assert (end.subject, end.source) == ("Standard_F4", "RetirementDateUtc of the list of sizes")
    assert found.catalogue == "sizes of westus2 as given, else built-in"


@pytest.mark.parametrize(
    ("size", "series"),
    [
        ("Standard_D2_v2", "d_v2"),
        ("Standard_DS2_v2", "d_v2"),
        ("Standard_NC6s_v3", "nc_v3"),
        ("Standard_NC4as_T4_v3", "nc_t4_v3"),
        ("Standard_DC4as_cc_v5", "dc_cc_v5"),
        ("Standard_B2ms", "b_v1"),
        ("Standard_HC44-16rs", "hc_v1"),
        ("nonsense", ""),
    ],
)
def test_a_series_is_told_by_the_name(size: str, series: str) -> None:
    assert series_of(size) == series


@pytest.mark.parametrize(
    ("size", "day"),
    [
        ("Standard_HB60rs", date(2024, 8, 31)),
        ("Standard_HB60-15rs", date(2024, 8, 31)),
        ("Standard_HB120rs_v2", date(2027, 5, 31)),
        ("Standard_NP20s", date(2027, 5, 31)),
    ],
)
def test_sizes_of_announced_series_end(size: str, day: date) -> None:
    (end,) = Retirements.built_in().of_size(size)
    assert (end.subject, end.day) == (size, day)


@pytest.mark.parametrize(
    ("release", "days"),
    [
        ("Windows Server 2022", [date(2028, 6, 30), date(2029, 6, 30)]),
        ("Windows Server Annual 23H2", [date(2026, 5, 15), date(2027, 5, 15)]),
    ],
)
def test_windows_releases_lose_their_support_and_then_their_images(release: str, days: list[date]) -> None:
    ends = Retirements.built_in().of_release(release)
    assert ([end.day for end in ends], [end.removes_images for end in ends]) == (days, [False, True])


@pytest.mark.parametrize(
    ("image", "properties", "told"),
    [
        ("AKSUbuntu-1804containerd-202303.06.0", {}, ("18.04", "V1", "certain", ["2025-06-17"])),
        ("AKSUbuntu-1804gen2containerd-2022.11.06", {}, ("18.04", "V2", "certain", ["2025-06-17"])),
        ("AKSUbuntu-1604-2021.11.06", {}, ("16.04", "V1", "likely", ["2021-07-15"])),
        ("AKSUbuntuEdgeZone-1804containerd-202306.01.0", {}, ("18.04", "V1", "likely", ["2025-06-17"])),
        ("AKSUbuntuEdgeZone-1804gen2containerd-202306.01.0", {}, ("18.04", "V2", "certain", ["2025-06-17"])),
        ("AKSAzureLinux-V2new-202306.01.0", {}, ("Azure Linux 2.0", "V1", "likely", ["2026-03-31"])),
        ("AKSCBLMariner-V2new-202306.01.0", {}, ("CBL-Mariner 2.0", "V1", "likely", ["2026-03-31"])),
        (
            "AKSWindows-2019-17763.2366.211215",
            {"osType": "Windows", "osSKU": "Windows2019"},
            ("Windows Server 2019 (docker)", "V1", "certain", ["2023-05-01"]),
        ),
        (
            "AKSWindows-2022-new-20348.1.1",
            {"osType": "Windows", "osSKU": "Windows2022"},
            ("Windows Server 2022", "V1", "likely", ["2028-06-30", "2029-06-30"]),
        ),
        (
            "AKSWindows-23H2-new-25398.1.1",
            {"osType": "Windows", "osSKU": "WindowsAnnual"},
            ("Windows Server Annual 23H2", "V1", "likely", ["2026-05-15", "2027-05-15"]),
        ),
        # What its name does not tell is not known, whatever a new node pool would get.
        ("Other-2204-202306.01.0", {}, (None, "V2", "likely", [])),
    ],
)
def test_the_os_release_is_that_of_the_image_by_its_name(
    image: str, properties: dict[str, object], told: tuple[str | None, str, str, list[str]]
) -> None:
    found = audited_pool(nodeImageVersion=image, vmSize="Standard_D4s_v5", **properties)
    ends = [end.day.isoformat() for end in found.ends]
    assert (found.os_release, found.generation, found.confidence, ends) == told


def test_every_row_of_ends_is_met_by_something_known() -> None:
    catalog, retirements = Catalog.built_in(["eastus"]), Retirements.built_in()
    sizes = {size.name.lower() for size in catalog.sizes} | {left.name.lower() for left in catalog.left_out}
    series, releases = {series_of(name) for name in sizes}, {image.release.lower() for image in catalog.images}
    # Which the catalogue has no image of; names of node images tell it.
    releases.add("16.04")
    types = {each.value.lower() for each in PoolType}
    known = {"size": sizes, "series": series, "os-release": releases, "pool-type": types}
    text = files("poolwright.catalog").joinpath("retirements.csv").read_text()
    for row in csv.DictReader(text.splitlines()):
        assert row["name"].lower() in known[row["kind"]], row
        assert row["source"]
    assert retirements.of_size("Standard_D4s_v5") == ()


# The rules give none of these, or warn of them without a day.
NOT_WARNED = ("16.04", "Windows Server 2019 (docker)", "Windows Server 2022")


def test_ends_of_releases_are_the_days_that_the_rules_warn_of() -> None:
    warned = " ".join(row.message for row in WARNING_TABLE)
    text = files("poolwright.catalog").joinpath("retirements.csv").read_text()
    for row in csv.DictReader(text.splitlines()):
        if row["kind"] == "os-release" and row["name"] not in NOT_WARNED:
            assert row["date"] in warned, row


@pytest.mark.parametrize(
    ("pool_type", "as_of", "wanted"),
    [
        ("AvailabilitySet", date(2025, 6, 1), Urgency.SOON),
        ("AvailabilitySet", TODAY, Urgency.OVERDUE),
        ("VirtualMachineScaleSets", TODAY, Urgency.NONE),
        (None, TODAY, Urgency.NONE),
    ],
)
def test_availability_sets_have_ended_in_aks(pool_type: str | None, as_of: date, wanted: Urgency) -> None:
    # A size and a release without a known end.
    found = audited_pool(
        type=pool_type, vmSize="Standard_D4s_v5", nodeImageVersion="AKSUbuntu-2404gen2containerd-202512.18.0"
    )
    assert (
        urgency(tuple(Retirement(end.subject, end.day, end.effect, end.source) for end in found.ends), as_of) is wanted
    )
    assert [end.day for end in found.ends] == (
        [date(2025, 9, 30), date(2026, 9, 30)] if pool_type == "AvailabilitySet" else []
    )


def test_urgency_follows_the_earliest_end() -> None:
    ends = Retirements.built_in().of_release("22.04")
    assert urgency((), TODAY) is Urgency.NONE
    assert urgency(ends, date(2026, 1, 1)) is Urgency.LATER
    assert urgency(ends, TODAY) is Urgency.SOON
    assert urgency(ends, date(2027, 6, 30)) is Urgency.OVERDUE


def test_the_audit_is_a_document_that_can_be_read_back(found: Audit) -> None:
    assert document_of(Audit, json_of(found)) == found


def test_a_remedy_that_is_a_command_can_be_typed() -> None:
    (only,) = audited(fleet_of(cluster(pool(), name="a;b", powerState={"code": "Stopped"}))).pools
    (remedy,) = [finding.remedy for finding in only.findings if finding.id == "cluster-stopped"]
    assert remedy == "start it: az aks start -g rg -n 'a;b'"
