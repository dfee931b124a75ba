"""What is known of a node pool is right whatever the unknown turns out to be."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poolwright.catalog.retirements import Retirements
from poolwright.domain.admission import _HEADER_IGNORED
from poolwright.domain.generation import Generation
from poolwright.domain.image_tables import WARNING_TABLE
from poolwright.domain.os_sku import OsSku
from poolwright.domain.profile import Profile
from poolwright.lint.cases import MAX_CASES_OF_FILE
from poolwright.lint.catalogs import Catalogs
from poolwright.lint.decision import Decider
from poolwright.lint.kinds import OF_WARNINGS
from poolwright.lint.pools import ANSIBLE, ARM, AZ, AZAPI, AZURERM, TOOLS, Action, FoundCluster, FoundPool
from poolwright.lint.texts import Place
from poolwright.reports.sarif import Level
from poolwright.templates.partial import Unknown

CATALOGS = Catalogs()
TODAY = date(2026, 11, 26)
DECIDERS = {profile: Decider(CATALOGS, profile, TODAY) for profile in Profile}
WINDOWS = {"osType": "Windows", "osSKU": "Windows2022"}


def pool(header: Any = None, version: Any = "1.33", location: Any = "westeurope", **properties: Any) -> FoundPool:
    """A node pool of a template."""
    return FoundPool(
        name="np1",
        address="aks/np1",
        tool=ARM,
        action=Action.CREATE,
        place=Place("f", 1, 1),
        properties=properties,
        cluster=FoundCluster(location=location, version=version),
        header=header,
    )


def ids(found: FoundPool, profile: Profile = Profile.DOCUMENTED) -> dict[str, str]:
    """The findings of a node pool: how bad each is."""
    return {finding.kind.id: finding.level.value for finding in DECIDERS[profile].linted(found).findings}


def test_a_size_that_nobody_offers_is_told_without_a_location_where_none_is_known() -> None:
    found = pool(location=Unknown("location"), vmSize="Standard_Nothing")
    (told,) = DECIDERS[Profile.DOCUMENTED].linted(found).findings
    assert "is not supported in any location." in told.message
    assert "`az vm list-skus` lists" in told.remedy


SIZES = ("Standard_D2_v2", "Standard_D4s_v5", "Standard_D4ads_v6", "Standard_D4ps_v5", "Standard_DC4as_v5")
CHOICES = {
    "vmSize": st.sampled_from(SIZES),
    "osType": st.sampled_from(["Linux", "Windows"]),
    "osSKU": st.sampled_from([None, "Ubuntu", "AzureLinux", "Windows2019", "Windows2022", "Windows2025"]),
    "enableFIPS": st.sampled_from([None, True, False]),
    "workloadRuntime": st.sampled_from([None, "OCIContainer", "KataMshvVmIsolation"]),
    "mode": st.sampled_from(["System", "User"]),
}


@settings(max_examples=60, deadline=None)
@given(
    st.fixed_dictionaries(CHOICES),
    st.booleans(),
    st.sampled_from([None, True, False]),
    st.sampled_from(["1.31", "1.33", "1.36"]),
    st.sets(st.sampled_from([*CHOICES, "securityProfile", "header", "version"]), min_size=1, max_size=3),
    st.sampled_from(list(Profile)),
)
def test_what_is_known_is_what_comes_out(
    properties: dict[str, Any], vtpm: bool, header: bool | None, version: str, hidden: set[str], profile: Profile
) -> None:
    """Hide values of a node pool whose outcome is known: the outcome stays, or becomes unknown. It never changes."""
    whole = pool(header, version, **{name: value for name, value in properties.items() if value is not None})
    whole.properties["securityProfile"] = {"enableVTPM": vtpm}
    known = DECIDERS[profile].linted(whole).outcome
    partly = replace(
        whole,
        properties={name: Unknown(name) if name in hidden else part for name, part in whole.properties.items()}
        | {name: Unknown(name) for name in hidden if name in CHOICES},
        header=Unknown("header") if "header" in hidden else header,
        cluster=replace(whole.cluster, version=Unknown("version")) if "version" in hidden else whole.cluster,
    )
    told = DECIDERS[profile].linted(partly).outcome
    if not known.is_refused:
        assert not told.is_refused
        if told.generation is not None:
            assert told.generation is known.generation
            assert set(known.images) <= set(told.images)


def test_windows_2022_on_a_gen2_only_size_without_the_header() -> None:
    found = pool(vmSize="Standard_D4ads_v6", **WINDOWS)
    assert ids(found) == {"profiles-differ": "warning"}
    assert ids(found, Profile.AZURE_2026) == {"operation-fails": "error", "profiles-differ": "warning"}
    assert ids(replace(found, header=True), Profile.AZURE_2026) == {}


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_the_remedy_is_one_that_the_tool_can_follow(tool: Any) -> None:
    found = replace(pool(vmSize="Standard_D4s_v5", **WINDOWS), tool=tool)
    findings = DECIDERS[Profile.DOCUMENTED].linted(found).findings
    (remedy,) = {finding.remedy for finding in findings if finding.kind.id in ("gen1", "WindowsDefaultsToGeneration1")}
    can_send = {AZ: "--aks-custom-headers", AZAPI: "create_headers", ARM: "", AZURERM: "", ANSIBLE: ""}[tool]
    assert can_send in remedy
    assert ("cannot send headers" in remedy) == (not can_send)


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (pool(vmSize="Standard_D4_v3", securityProfile={"enableVTPM": True}), {"gen2-not-offered": "error"}),
        (pool(vmSize="Standard_D4s_v99"), {"VMSizeNotSupported": "error"}),
        (pool(vmSize="Standard_D4s_v5", osSKU="Ubuntu1804"), {"InvalidOSSKU": "error"}),
        (pool(vmSize="Standard_D4s_v5", location="mars"), {"unknown-location": "error"}),
        (pool("maybe", vmSize="Standard_D4ads_v6", **WINDOWS), {"header-value": "error", "profiles-differ": "warning"}),
        (pool(vmSize="Standard_NC6s_v3"), {"size-retired": "error"}),
        (pool(vmSize="Standard_D4s_v5", vmGeneration="V2"), {"vm-generation-property": "warning"}),
        (pool(), {"unknown": "note"}),
        (pool(vmSize=Unknown("x")), {"unknown": "note"}),
        (pool(vmSize="Standard_D4s_v5", creationData={"sourceResourceId": "x"}), {"unknown": "note"}),
    ],
)
def test_what_is_wrong_is_found(found: FoundPool, expected: dict[str, str]) -> None:
    assert {name: level for name, level in ids(found).items() if not name.startswith("OsRelease")} == expected


def test_a_generation_is_known_though_the_version_is_not() -> None:
    linted = DECIDERS[Profile.DOCUMENTED].linted(pool(version=Unknown("v"), vmSize="Standard_D4s_v5"))
    assert linted.outcome.generation is Generation.V2
    assert len(linted.outcome.images) > 1


@pytest.mark.parametrize(
    ("values", "properties", "generation", "found"),
    [
        (("Standard_D2_v3", "Standard_D4_v3"), {}, Generation.V1, {"gen1": "note"}),
        (("Standard_D2s_v5", "Standard_D4ads_v6"), {}, Generation.V2, {}),
        (("Standard_D2_v3", "Standard_D4ads_v6"), {}, None, {"unknown": "note"}),
        # What the service refuses is none of those it can turn out to be.
        (("Standard_A1_v2", "Standard_D4_v3"), {"mode": "System"}, Generation.V1, {"gen1": "note"}),
        (("Standard_A1_v2", "Standard_B1s"), {"mode": "System"}, None, {"system-pool-size": "error"}),
    ],
)
def test_every_size_that_an_unknown_one_can_be_is_tried(
    values: tuple[str, ...], properties: dict[str, Any], generation: Generation | None, found: dict[str, str]
) -> None:
    size = Unknown("[parameters('size')]", values)
    linted = DECIDERS[Profile.DOCUMENTED].linted(pool(vmSize=size, **properties))
    assert linted.outcome.generation is generation
    told = {finding.kind.id: finding for finding in linted.findings if not finding.kind.id.startswith("Os")}
    assert {name: finding.level.value for name, finding in told.items()} == found
    if "unknown" in told:
        assert linted.outcome.because_unknown == "it depends on vmSize, which is [parameters('size')]"
    if "gen1" in told:
        assert "for example Standard_" in told["gen1"].remedy


def test_other_properties_and_the_version_can_be_one_of_some_values() -> None:
    os_sku = Unknown("[parameters('sku')]", ("Windows2022", "Windows2025"))
    of_sku = DECIDERS[Profile.DOCUMENTED].linted(
        pool(vmSize="Standard_D4s_v5", osType="Windows", osSKU=os_sku, enableFIPS=True)
    )
    assert of_sku.outcome.generation is None
    assert len(of_sku.outcome.images) == 2
    version = Unknown("[parameters('version')]", ("1.35", "1.36"))
    of_version = DECIDERS[Profile.DOCUMENTED].linted(pool(vmSize="Standard_D4s_v5", version=version))
    assert [image.partition("gen2")[0] for image in of_version.outcome.images] == ["AKSUbuntu-2404"]


def test_what_the_generation_hangs_on_is_named() -> None:
    linted = DECIDERS[Profile.DOCUMENTED].linted(pool(vmSize="Standard_D4s_v5", osType=Unknown("[parameters('os')]")))
    assert linted.outcome.generation is None
    assert linted.outcome.because_unknown == "it depends on osType, which is [parameters('os')]"


def test_a_node_pool_that_exists_is_not_refused() -> None:
    found = replace(pool(vmSize="Standard_D4s_v5", osSKU="Flatcar"), action=Action.KEEP)
    assert ids(found)["flatcar-retired"] == "warning"
    assert ids(replace(found, action=Action.CREATE))["flatcar-retired"] == "error"


@pytest.mark.parametrize("profile", list(Profile))
@pytest.mark.parametrize(
    ("properties", "generation", "rules", "found"),
    [
        ({"vmSize": "Standard_D4ads_v6", **WINDOWS}, Generation.V2, ["size-only"], {}),
        ({"vmSize": "Standard_D4s_v5", **WINDOWS}, None, ["gen1-windows", "gen2-header"], {"unknown": "note"}),
        ({"vmSize": "Standard_D4_v3", **WINDOWS}, Generation.V1, ["size-only"], {"gen1": "note"}),
        ({"vmSize": "Standard_D4s_v5"}, Generation.V2, ["gen2-linux"], {}),
        ({"vmSize": "Standard_D4_v3", "creationData": {"x": "y"}}, Generation.V1, ["size-only"], {"gen1": "note"}),
        # What the rules refuse today says nothing of how it came about.
        (
            {"vmSize": "Standard_D4s_v5", "osSKU": "Flatcar"},
            None,
            [],
            {"flatcar-retired": "warning", "unknown": "note"},
        ),
        (
            {"vmSize": "Standard_D4ads_v6", "osSKU": "Flatcar"},
            Generation.V2,
            ["size-only"],
            {"flatcar-retired": "warning"},
        ),
    ],
)
def test_a_node_pool_that_exists_is_what_its_size_tells_and_the_header_it_was_made_with_is_not_known(
    profile: Profile,
    properties: dict[str, Any],
    generation: Generation | None,
    rules: list[str],
    found: dict[str, str],
) -> None:
    exists = replace(pool(**properties), action=Action.KEEP)
    outcome = DECIDERS[profile].linted(exists).outcome
    assert (outcome.generation, [rule.id for rule in outcome.rules][:2]) == (generation, rules)
    assert (outcome.is_refused, outcome.fails_later) == (False, False)
    assert outcome.is_likely is (rules == ["gen2-linux"])
    told = {name: level for name, level in ids(exists, profile).items() if not name.startswith("OsRelease")}
    assert told == found


@pytest.mark.parametrize("profile", list(Profile))
@pytest.mark.parametrize(
    ("image", "generation", "rule", "is_likely"),
    [
        ("AKSWindows-2022-containerd-gen2-20348.4529.251212", Generation.V2, "image-known", False),
        ("AKSWindows-2022-containerd-20348.4529.251212", Generation.V1, "image-known", False),
        ("AKSWindows-2031-containerd-gen2-1.2.3", Generation.V2, "image-gen2", False),
        ("AKSWindows-2031-containerd-1.2.3", Generation.V1, "image-without-gen2", True),
    ],
)
def test_the_node_image_of_what_exists_tells_more_than_the_rules(
    profile: Profile, image: str, generation: Generation, rule: str, is_likely: bool
) -> None:
    exists = replace(pool(vmSize="Standard_D4s_v5", **WINDOWS, nodeImageVersion=image), action=Action.KEEP)
    outcome = DECIDERS[profile].linted(exists).outcome
    assert (outcome.generation, [each.id for each in outcome.rules]) == (generation, [rule])
    assert (outcome.images, outcome.is_likely, outcome.because_unknown) == ((image,), is_likely, None)
    assert ("gen1" in ids(exists, profile)) is (generation is Generation.V1)
    # What is made anew has another one.
    made = replace(exists, action=Action.CREATE)
    assert (
        DECIDERS[profile].linted(made).outcome
        == DECIDERS[profile].linted(pool(vmSize="Standard_D4s_v5", **WINDOWS)).outcome
    )


def test_what_exists_did_not_fail_whatever_its_plan_says_of_the_header() -> None:
    exists = replace(pool(False, vmSize="Standard_D4ads_v6", **WINDOWS), tool=AZAPI, action=Action.KEEP)
    linted = DECIDERS[Profile.AZURE_2026].linted(exists)
    assert (linted.outcome.generation, linted.outcome.fails_later) == (Generation.V2, False)
    assert not any("Windows-2022-containerd-20348" in image for image in linted.outcome.images)
    assert "operation-fails" not in {finding.kind.id for finding in linted.findings}


@pytest.mark.parametrize(
    ("size", "kinds"),
    [
        ("Standard_NC12", ["gen1", "size-retired"]),
        ("Standard_NV12", ["gen1", "size-retired"]),
        ("Standard_A1", ["size-retired", "user-pool-size"]),
        ("Standard_NC12s_v33", ["VMSizeNotSupported"]),
    ],
)
def test_no_remedy_names_a_size_that_has_ended(size: str, kinds: list[str]) -> None:
    findings = DECIDERS[Profile.DOCUMENTED].linted(pool(vmSize=size)).findings
    remedies = {finding.kind.id: finding.remedy for finding in findings if not finding.kind.id.startswith("Os")}
    assert sorted(remedies) == kinds
    for remedy in remedies.values():
        named = re.findall(r"(?:Standard|Basic)_\w+", remedy)
        assert named
        sizes = {name: CATALOGS.at("westeurope").size(name) for name in named}
        retirements = Retirements.built_in()
        assert not [name for name in named for end in retirements.of_size(name, sizes[name]) if end.day <= TODAY]


@pytest.mark.parametrize("profile", list(Profile))
@pytest.mark.parametrize(
    ("os_sku", "os_type"), [("Ubuntu2004", "Linux"), ("Windows2022", "Linux"), ("Ubuntu", "Windows")]
)
def test_an_os_sku_that_a_remedy_names_can_be_had(profile: Profile, os_sku: str, os_type: str) -> None:
    findings = DECIDERS[profile].linted(pool(vmSize="Standard_D4s_v5", osSKU=os_sku, osType=os_type)).findings
    (remedy,) = (finding.remedy for finding in findings)
    named = remedy.removeprefix("choose one of: ").split(", ")
    assert named
    for sku in named:
        found = ids(pool(vmSize="Standard_D4s_v5", osSKU=sku, osType=OsSku.parse(sku).os_type.value), profile)
        assert not {"flatcar-retired", "windows-annual-retired", "OsSkuRetired", "OsReleaseRetired"} & found.keys()


def test_an_update_of_something_else_keeps_the_generation() -> None:
    found = replace(pool(count=3), action=Action.UPDATE)
    linted = DECIDERS[Profile.DOCUMENTED].linted(found)
    assert [rule.id for rule in linted.outcome.rules] == ["update-keeps"]
    assert not linted.findings


def test_values_that_are_wrong_only_together_are_not_judged_in_part() -> None:
    found = pool(vmSize="Standard_D4s_v5", enableAutoScaling=True, minCount=Unknown("x"), maxCount=1, count=5)
    assert "autoscaler-bounds" not in ids(found)
    assert "autoscaler-bounds" in ids(pool(vmSize="Standard_D4s_v5", enableAutoScaling=True, maxCount=1))


def test_what_is_wrong_beside_the_image_is_found_whatever_else_is_unknown() -> None:
    labelled = {"vmSize": "Standard_D4s_v5", "nodeLabels": {"-bad": "x"}}
    assert ids(pool(version=Unknown("v"), **labelled)) == {"node-labels": "error"}
    zoned = {"vmSize": "Standard_D4s_v5", "availabilityZones": ["1"]}
    assert "virtual-machines-zones" in ids(pool(type="VirtualMachines", **zoned))
    assert "virtual-machines-zones" not in ids(pool(type=Unknown("t"), **zoned))


@pytest.mark.parametrize(
    ("action", "today", "found", "remedy"),
    [
        (Action.CREATE, TODAY, ("pool-type-retired", "error"), "use type VirtualMachineScaleSets"),
        (Action.KEEP, TODAY, ("pool-type-retired", "warning"), "--migrate-vmas-to-vms"),
        (Action.CREATE, date(2025, 9, 29), ("pool-type-retiring", "warning"), "use type VirtualMachineScaleSets"),
    ],
)
def test_an_availability_set_has_ended(action: Action, today: date, found: tuple[str, str], remedy: str) -> None:
    of_type = replace(pool(vmSize="Standard_D4s_v5", type="availabilitySet"), action=action)
    findings = Decider(CATALOGS, Profile.AZURE_2026, today).linted(of_type).findings
    (told,) = (finding for finding in findings if finding.kind.id.startswith("pool-type"))
    assert (told.kind.id, told.level.value) == found
    assert "node pools of type AvailabilitySet: unsupported " in told.message
    assert remedy in told.remedy
    others = ("VirtualMachineScaleSets", "VirtualMachines", Unknown("t"))
    assert not any("pool-type" in name for each in others for name in ids(pool(vmSize="Standard_D4s_v5", type=each)))


def test_an_ephemeral_os_disk_on_a_size_that_has_no_room_for_one_is_found_where_a_list_says_so() -> None:
    found = ids(pool(vmSize="Standard_D2_v3", osDiskType="Ephemeral"))
    assert found == {"ephemeral-os-disk": "error"}
    assert "ephemeral-os-disk" not in ids(pool(vmSize="Standard_D2_v4", osDiskType="Ephemeral"))
    assert "ephemeral-os-disk" not in ids(pool(vmSize="Standard_D2_v3", osDiskType=Unknown("disk")))
    some = Unknown("size", ("Standard_D2_v3", "Standard_D2_v2"))
    assert ids(pool(vmSize=some, osDiskType="Ephemeral")) == {"ephemeral-os-disk": "error"}


@pytest.mark.parametrize("name", ["spot1", Unknown("$NAME")])
@pytest.mark.parametrize(
    ("properties", "said"),
    [
        ({"scaleSetPriority": "Spot", "mode": "System"}, "'{name}' asks for Spot"),
        ({"osType": "Windows", "mode": "System"}, "'{name}' asks for osType Windows"),
        ({"osType": "Windows", "osSKU": "Windows2022"}, "update VMSS aks{name} failed"),
        ({"mode": "System", "vmSize": "Standard_A1_v2"}, "Nodepool name: {name}."),
    ],
)
def test_a_message_names_the_node_pool_as_the_file_does(name: Any, properties: dict[str, Any], said: str) -> None:
    found = replace(pool(**{"vmSize": "Standard_D4ads_v6", **properties}), name=name)
    first = replace(found, name="other")
    decider = Decider(CATALOGS, Profile.AZURE_2026, TODAY)
    for each in (first, found):
        messages = [finding.message for finding in decider.linted(each).findings]
        assert any(said.format(name=each.name) in message for message in messages), messages


def test_every_warning_of_the_service_has_a_sentence() -> None:
    codes = {row.code for row in WARNING_TABLE} - {"GenerationForcedBySize"}  # said as `gen1`
    assert codes | {_HEADER_IGNORED} == OF_WARNINGS.keys()
    assert all(" " in kind.text and kind.text.endswith(".") for kind in OF_WARNINGS.values())


OPEN = {name: Unknown(name) for name in ("osType", "osSKU", "enableFIPS", "mode", "type", "workloadRuntime")}


def test_what_is_tried_of_a_file_has_an_end_and_the_other_files_are_decided() -> None:
    """Every node pool here has some hundred cases of its own; without an end that is minutes."""
    decider = Decider(CATALOGS, Profile.DOCUMENTED, TODAY)
    sizes = [size.name for size in CATALOGS.at("westeurope").sizes][:60]
    whys = [decider.linted(pool(vmSize=size, **OPEN)).outcome.because_unknown for size in sizes]
    first = next(number for number, why in enumerate(whys) if why is not None and "in its file" in why)
    assert MAX_CASES_OF_FILE / 3000 < first < len(sizes) - 1
    assert all(why is not None and "in its file" in why for why in whys[first + 1 :])
    # What was decided before, what has nothing unknown, and another file.
    assert decider.linted(pool(vmSize=sizes[0], **OPEN)).outcome.because_unknown == whys[0]
    assert decider.linted(pool(vmSize="Standard_D4s_v5")).outcome.generation is Generation.V2
    other = replace(pool(vmSize=sizes[-1], **OPEN), place=Place("g", 1, 1))
    assert "in its file" not in str(decider.linted(other).outcome.because_unknown)


def test_a_refusal_names_other_sizes_though_its_cases_were_tried_without() -> None:
    found = pool(vmSize="Standard_D4_v3", securityProfile={"enableVTPM": True}, version=Unknown("v"))
    (finding,) = (each for each in DECIDERS[Profile.DOCUMENTED].linted(found).findings if each.level is Level.ERROR)
    assert finding.kind.id == "gen2-not-offered"
    assert "for example Standard_" in finding.remedy
    (finding,) = DECIDERS[Profile.DOCUMENTED].linted(pool(vmSize="Standard_D4s_v55")).findings
    assert "nearest: Standard_D" in finding.remedy
