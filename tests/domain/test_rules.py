"""Every row of the rule tables, hit by at least one request and checked against the sentence it implements.

The rule numbers are those of the domain notes that docs/compatibility.md prints with the tables.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from string import Formatter
from typing import Any

import pytest

from poolwright import errors
from poolwright.catalog.catalog import Catalog
from poolwright.domain import image_resolution
from poolwright.domain.generation import Generation
from poolwright.domain.image_facts import ImageRequest, words_of
from poolwright.domain.image_refusals import REFUSAL_TABLE
from poolwright.domain.image_resolution import Resolution, default_os_sku, resolve
from poolwright.domain.image_tables import GENERATION_TABLE, OFFER_TABLE, OS_SKU_TABLE, RELEASE_TABLE, WARNING_TABLE
from poolwright.domain.kubernetes_version import KubernetesVersion
from poolwright.domain.node_pool_kind import Mode, PoolType
from poolwright.domain.os_sku import OsSku, OsType
from poolwright.domain.pool_requirements import (
    ADMISSION_TABLE,
    CLUSTER_TABLE,
    GENERATION_NEEDS,
    NAME_TABLE,
    admission_words,
    admit,
    refuse_cluster,
    refuse_generation,
    refuse_name,
)
from poolwright.domain.profile import Profile
from poolwright.domain.refusal import Refusal
from poolwright.domain.rules import Rule, first_match
from poolwright.domain.tags import TAG_TABLE, require_tags
from poolwright.domain.vm_size import VmSize
from poolwright.domain.wish import Wish, WishSource

V1, V2 = Generation.V1, Generation.V2
AZURE = Profile.AZURE_2026
WINDOWS = OsType.WINDOWS

V1_ONLY = "Standard_D2_v3"
BOTH = "Standard_D2s_v5"
V2_ONLY = "Standard_D4ads_v6"
ARM64 = "Standard_D2ps_v5"
ARM64_BOTH = "Standard_B2ps_v2"
COBALT = "Standard_D4ps_v6"
CVM = "Standard_DC4as_v5"
TDX = "Standard_DC4es_v5"
GPU = "Standard_NC6s_v3"

BY_HEADER = {wanted: Wish(wanted, WishSource.HEADER) for wanted in Generation}
BY_PROPERTY = {wanted: Wish(wanted, WishSource.PROPERTY) for wanted in Generation}
TRUSTED = {"vtpm": True, "secure_boot": True}
KATA = {"workload_runtime": "KataVmIsolation"}


@cache
def catalog() -> Catalog:
    return Catalog.built_in(("eastus",))


def size(name: str) -> VmSize:
    found = catalog().size(name)
    assert found is not None, name
    return found


def ask(
    os_sku: OsSku | None = OsSku.UBUNTU, vm_size: str | VmSize = BOTH, version: str = "1.33.2", **changes: Any
) -> ImageRequest:
    os_type = os_sku.os_type if os_sku else OsType.LINUX
    asked: dict[str, Any] = {
        "profile": Profile.DOCUMENTED,
        "os_type": os_type,
        "os_sku": os_sku,
        "version": KubernetesVersion.parse(version),
        "size": size(vm_size) if isinstance(vm_size, str) else vm_size,
    }
    return ImageRequest(**(asked | changes))


# Request, expected generation, expected definition, the row that decides it.
RESOLVED: list[tuple[ImageRequest, Generation, str, str]] = [
    # 1a, the page: rules 1 to 11.
    (ask(vm_size=V1_ONLY), V1, "2204containerd", "gen1-only-size"),
    (ask(OsSku.WINDOWS_2022, V1_ONLY), V1, "windows-2022-containerd", "gen1-only-size"),
    (ask(vm_size=V2_ONLY), V2, "2204gen2containerd", "gen2-only-size"),
    (ask(OsSku.WINDOWS_2022, V2_ONLY), V2, "windows-2022-containerd-gen2", "gen2-only-size"),
    (ask(), V2, "2204gen2containerd", "gen2-linux"),
    (ask(OsSku.WINDOWS_2022), V1, "windows-2022-containerd", "gen1-windows"),
    (ask(OsSku.WINDOWS_2022, wish=BY_HEADER[V2]), V2, "windows-2022-containerd-gen2", "gen2-header"),
    (ask(OsSku.WINDOWS_2022, V2_ONLY, wish=BY_HEADER[V2]), V2, "windows-2022-containerd-gen2", "gen2-header"),
    (ask(OsSku.WINDOWS_2022, wish=BY_HEADER[V1]), V1, "windows-2022-containerd", "gen1-header"),
    (ask(OsSku.WINDOWS_2022, wish=BY_PROPERTY[V2]), V2, "windows-2022-containerd-gen2", "gen2-property"),
    (ask(OsSku.WINDOWS_2022, wish=BY_PROPERTY[V1]), V1, "windows-2022-containerd", "gen1-property"),
    (ask(wish=BY_PROPERTY[V1]), V1, "2204containerd", "gen1-property"),
    (ask(wish=BY_PROPERTY[V2]), V2, "2204gen2containerd", "gen2-property"),
    # 1b, later editions: rules 12 to 22.
    (ask(OsSku.WINDOWS_2025, fips=True), V2, "windows-2025-gen2", "gen2-windows-2025"),
    (ask(OsSku.WINDOWS_2025, V1_ONLY, fips=True), V1, "windows-2025", "gen1-only-size"),
    (ask(OsSku.WINDOWS_2025, fips=True, wish=BY_HEADER[V1]), V1, "windows-2025", "gen1-header"),
    (ask(OsSku.WINDOWS_2019, version="1.32.2"), V1, "windows-2019-containerd", "gen1-windows-2019"),
    (ask(OsSku.WINDOWS_2019, V1_ONLY, "1.32.2"), V1, "windows-2019-containerd", "gen1-windows-2019"),
    (ask(OsSku.WINDOWS_ANNUAL), V1, "windows-23H2", "gen1-windows-annual"),
    (ask(OsSku.WINDOWS_ANNUAL, V2_ONLY), V2, "windows-23H2-gen2", "gen2-only-size"),
    (ask(OsSku.WINDOWS_ANNUAL, creating=False, profile=AZURE), V1, "windows-23H2", "gen1-windows-annual"),
    # 1c, Trusted Launch: rules 23 to 29.
    (ask(vtpm=True), V2, "2204gen2TLcontainerd", "gen2-trusted-launch"),
    (ask(secure_boot=True), V2, "2204gen2TLcontainerd", "gen2-trusted-launch"),
    (ask(version="1.25.5", **TRUSTED), V2, "2204gen2TLcontainerd", "gen2-trusted-launch"),
    (ask(fips=True, **TRUSTED), V2, "2204gen2fipsTLcontainerd", "gen2-trusted-launch"),
    (ask(vm_size=GPU, vtpm=True), V2, "2204gen2TLcontainerd", "gen2-trusted-launch"),
    (ask(vm_size=GPU, gpu_driver="None", **TRUSTED), V2, "2204gen2TLcontainerd", "gen2-trusted-launch"),
    (ask(OsSku.AZURE_LINUX, GPU, **TRUSTED), V2, "V3gen2TL", "gen2-trusted-launch"),
    # 1d, confidential VMs: rules 30 to 34.
    (ask(vm_size=CVM), V2, "2004gen2CVMcontainerd", "gen2-confidential"),
    (ask(vm_size=CVM, version="1.34.1"), V2, "2404gen2CVMcontainerd", "gen2-confidential"),
    (ask(OsSku.UBUNTU_2404, CVM), V2, "2404gen2CVMcontainerd", "gen2-confidential"),
    (ask(OsSku.AZURE_LINUX, CVM, "1.28.0"), V2, "V3gen2CVM", "gen2-confidential"),
    (ask(OsSku.AZURE_LINUX_3, CVM), V2, "V3gen2CVM", "gen2-confidential"),
    # 1e, Arm64, FIPS, other OS SKUs: rules 35 to 48.
    (ask(vm_size=ARM64), V2, "2204gen2arm64containerd", "gen2-arm64"),
    (ask(vm_size=ARM64_BOTH), V2, "2204gen2arm64containerd", "gen2-arm64"),
    (ask(OsSku.AZURE_LINUX, ARM64, fips=True), V2, "V3gen2arm64fips", "gen2-arm64"),
    (ask(OsSku.AZURE_CONTAINER_LINUX, COBALT, "1.34.1", **TRUSTED), V2, "aclgen2arm64TL", "gen2-trusted-launch"),
    (ask(OsSku.AZURE_CONTAINER_LINUX, BOTH, "1.34.1", **TRUSTED), V2, "aclgen2TL", "gen2-trusted-launch"),
    (ask(fips=True), V2, "2204gen2fipscontainerd", "gen2-linux"),
    (ask(vm_size=V1_ONLY, fips=True), V1, "2204fipscontainerd", "gen1-only-size"),
    (ask(fips=True, version="1.35.4"), V2, "2204gen2fipscontainerd", "gen2-linux"),
    (ask(fips=True, version="1.24.15"), V2, "2004gen2fipscontainerd", "gen2-linux"),
    (
        ask(OsSku.AZURE_LINUX_OS_GUARD, fips=True, version="1.32.0", **TRUSTED),
        V2,
        "OSGuardV3gen2fipsTL",
        "gen2-trusted-launch",
    ),
    (ask(OsSku.FLATCAR, creating=False), V2, "flatcargen2", "gen2-os-sku"),
    (ask(OsSku.AZURE_LINUX, version="1.31.14"), V2, "V2gen2", "gen2-linux"),
    (ask(OsSku.AZURE_LINUX, version="1.32.0"), V2, "V3gen2", "gen2-linux"),
    (ask(OsSku.AZURE_LINUX_3, version="1.28.0"), V2, "V3gen2", "gen2-linux"),
    (ask(OsSku.AZURE_LINUX, V1_ONLY), V1, "V3", "gen1-only-size"),
    (ask(OsSku.AZURE_LINUX, **KATA), V2, "V3katagen2", "gen2-pod-sandboxing"),
    (ask(OsSku.CBL_MARINER), V2, "V2gen2", "gen2-linux"),
    (ask(OsSku.CBL_MARINER, **KATA), V2, "V2katagen2", "gen2-pod-sandboxing"),
    # C4 and C5, the defaults that move with Kubernetes.
    (ask(version="1.24.15"), V2, "1804gen2containerd", "gen2-linux"),
    (ask(version="1.25.5"), V2, "2204gen2containerd", "gen2-linux"),
    (ask(version="1.34.1"), V2, "2204gen2containerd", "gen2-linux"),
    (ask(version="1.35.4"), V2, "2404gen2containerd", "gen2-linux"),
    (ask(OsSku.UBUNTU_2204, version="1.35.4"), V2, "2204gen2containerd", "gen2-linux"),
    (ask(OsSku.UBUNTU_2404), V2, "2404gen2containerd", "gen2-linux"),
    (ask(None), V2, "2204gen2containerd", "gen2-linux"),
    (ask(None, version="1.24.15", os_type=WINDOWS), V1, "windows-2019-containerd", "gen1-windows-2019"),
    (ask(None, version="1.25.5", os_type=WINDOWS), V1, "windows-2022-containerd", "gen1-windows"),
    (ask(None, version="1.36.2", os_type=WINDOWS, fips=True), V2, "windows-2025-gen2", "gen2-windows-2025"),
    (ask(None, version="1.36.2", os_type=WINDOWS, profile=AZURE), V1, "windows-2022-containerd", "gen1-windows"),
    (
        ask(None, version="1.37.0", os_type=WINDOWS, profile=AZURE, fips=True),
        V2,
        "windows-2025-gen2",
        "gen2-windows-2025",
    ),
    # What exists already is left alone by a row about creation only; azure-2026 warns with its own words.
    (ask(OsSku.WINDOWS_2022, profile=AZURE), V1, "windows-2022-containerd", "gen1-windows"),
    (ask(OsSku.WINDOWS_2022, profile=AZURE, wish=BY_HEADER[V2]), V2, "windows-2022-containerd-gen2", "gen2-header"),
]

# Request and the row that refuses it.
REFUSED: list[tuple[ImageRequest, str]] = [
    (ask(OsSku.WINDOWS_2022, os_type=OsType.LINUX), "os-sku-of-other-os"),
    (ask(OsSku.UBUNTU, os_type=WINDOWS), "os-sku-of-other-os"),
    (ask(OsSku.FLATCAR), "flatcar-retired"),
    (ask(OsSku.FLATCAR, profile=AZURE), "flatcar-retired"),
    (ask(OsSku.WINDOWS_ANNUAL, profile=AZURE), "windows-annual-retired"),
    (ask(OsSku.WINDOWS_2022, ARM64), "arm64-windows"),
    (ask(vm_size=TDX), "cvm-tdx"),
    *[
        (ask(os_sku, CVM, fips=os_sku is OsSku.WINDOWS_2025, creating=False), "cvm-os-sku")
        for os_sku in OsSku
        if os_sku not in (OsSku.UBUNTU, OsSku.UBUNTU_2404, OsSku.AZURE_LINUX, OsSku.AZURE_LINUX_3)
    ],
    (ask(vm_size=CVM, fips=True), "cvm-fips"),
    (ask(vm_size=CVM, vtpm=True), "cvm-trusted-launch"),
    (ask(OsSku.AZURE_LINUX, CVM, **KATA), "cvm-pod-sandboxing"),
    (ask(**KATA), "pod-sandboxing-os-sku"),
    (ask(OsSku.WINDOWS_2022, **KATA), "pod-sandboxing-os-sku"),
    (ask(OsSku.AZURE_LINUX, fips=True, **KATA), "pod-sandboxing-fips"),
    (ask(OsSku.AZURE_LINUX, ARM64, **KATA), "pod-sandboxing-arm64"),
    (ask(OsSku.AZURE_LINUX, **KATA, **TRUSTED), "pod-sandboxing-trusted-launch"),
    (ask(OsSku.WINDOWS_2019), "windows-2019-kubernetes"),
    (ask(OsSku.WINDOWS_2019, creating=False), "windows-2019-kubernetes"),
    (ask(OsSku.WINDOWS_2022, version="1.37.0"), "windows-2022-kubernetes"),
    (ask(OsSku.WINDOWS_2022, vtpm=True), "trusted-launch-windows"),
    (ask(OsSku.WINDOWS_2019, V2_ONLY, "1.32.2"), "windows-2019-gen2-size"),
    (ask(OsSku.WINDOWS_2019, V2_ONLY, "1.32.2", wish=BY_HEADER[V2]), "windows-2019-gen2-size"),
    (ask(OsSku.WINDOWS_2025), "windows-2025-fips"),
    (ask(OsSku.WINDOWS_2025, fips=False), "windows-2025-fips"),
    (ask(OsSku.WINDOWS_2019, version="1.32.2", fips=True), "windows-no-fips"),
    (ask(OsSku.WINDOWS_ANNUAL, fips=True), "windows-no-fips"),
    (ask(OsSku.AZURE_LINUX_OS_GUARD, fips=True), "os-guard-features"),
    (ask(OsSku.AZURE_LINUX_OS_GUARD, **TRUSTED), "os-guard-fips"),
    (ask(OsSku.AZURE_LINUX_OS_GUARD, version="1.31.14", fips=True, **TRUSTED), "os-guard-kubernetes"),
    (ask(OsSku.AZURE_CONTAINER_LINUX, version="1.34.1", vtpm=True), "acl-features"),
    (ask(OsSku.AZURE_CONTAINER_LINUX, version="1.34.1", secure_boot=True), "acl-features"),
    (ask(OsSku.AZURE_CONTAINER_LINUX, **TRUSTED), "acl-kubernetes"),
    (ask(OsSku.FLATCAR, creating=False, vtpm=True), "trusted-launch-flatcar"),
    (ask(version="1.24.15", vtpm=True), "trusted-launch-kubernetes"),
    (ask(version="1.25.1", secure_boot=True), "trusted-launch-kubernetes"),
    (ask(vtpm=True, pool_type=PoolType.AVAILABILITY_SET), "trusted-launch-pool-type"),
    (ask(vtpm=True, pool_type=PoolType.VIRTUAL_MACHINES), "trusted-launch-pool-type"),
    (ask(vm_size=ARM64, vtpm=True), "trusted-launch-arm64"),
    (ask(OsSku.AZURE_LINUX, COBALT, vtpm=True), "trusted-launch-arm64"),
    (ask(OsSku.AZURE_CONTAINER_LINUX, ARM64, "1.34.1", **TRUSTED), "acl-arm64"),
    (ask(vm_size=replace(size(BOTH), trusted_launch_disabled=True), vtpm=True), "trusted-launch-size"),
    (
        ask(OsSku.AZURE_CONTAINER_LINUX, replace(size(BOTH), trusted_launch_disabled=True), "1.34.1", **TRUSTED),
        "trusted-launch-size",
    ),
    (ask(vm_size=GPU, **TRUSTED), "trusted-launch-gpu"),
    (ask(vm_size=GPU, secure_boot=True, gpu_driver="Install"), "trusted-launch-gpu"),
    (ask(OsSku.UBUNTU_2404, fips=True), "fips-ubuntu2404"),
    (ask(vm_size=ARM64, fips=True), "fips-arm64"),
    (ask(OsSku.AZURE_LINUX, ARM64, "1.31.14", fips=True), "fips-arm64"),
    (ask(OsSku.AZURE_LINUX, fips=True, vtpm=True), "fips-trusted-launch"),
    (ask(OsSku.FLATCAR, creating=False, fips=True), "fips-flatcar"),
    (ask(OsSku.WINDOWS_2019, version="1.32.2", wish=BY_HEADER[V2]), "wish-gen2-windows-2019"),
    (ask(OsSku.WINDOWS_2019, V1_ONLY, "1.32.2", wish=BY_PROPERTY[V2]), "wish-gen2-windows-2019"),
    (ask(vtpm=True, wish=BY_PROPERTY[V1]), "wish-gen1-trusted-launch"),
    (ask(vm_size=CVM, wish=BY_PROPERTY[V1]), "wish-gen1-confidential"),
    (ask(vm_size=ARM64_BOTH, wish=BY_PROPERTY[V1]), "wish-gen1-arm64"),
    (ask(OsSku.AZURE_LINUX, wish=BY_PROPERTY[V1], **KATA), "wish-gen1-pod-sandboxing"),
    (ask(OsSku.FLATCAR, creating=False, wish=BY_PROPERTY[V1]), "wish-gen1-os-sku"),
    # The size does not offer what is needed.
    (ask(OsSku.WINDOWS_2022, V1_ONLY, wish=BY_HEADER[V2]), "gen2-not-offered"),
    (ask(vm_size=V1_ONLY, wish=BY_PROPERTY[V2]), "gen2-not-offered"),
    (ask(vm_size=V1_ONLY, vtpm=True), "gen2-not-offered"),
    (ask(OsSku.AZURE_LINUX, V1_ONLY, **KATA), "gen2-not-offered"),
    (ask(OsSku.AZURE_LINUX_OS_GUARD, V1_ONLY, fips=True, **TRUSTED), "gen2-not-offered"),
    (ask(OsSku.AZURE_CONTAINER_LINUX, V1_ONLY, "1.34.1", **TRUSTED), "gen2-not-offered"),
    (ask(OsSku.FLATCAR, V1_ONLY, creating=False), "gen2-not-offered"),
    (ask(OsSku.WINDOWS_2022, V2_ONLY, wish=BY_HEADER[V1]), "gen1-not-offered"),
    (ask(vm_size=V2_ONLY, wish=BY_PROPERTY[V1]), "gen1-not-offered"),
    # No image for what is left: the edges of the Kubernetes versions.
    (ask(OsSku.AZURE_LINUX, version="1.26.0"), "no-image"),
    (ask(OsSku.AZURE_LINUX_3, version="1.27.3"), "no-image"),
    (ask(OsSku.AZURE_LINUX, version="1.37.0"), "no-image"),
    (ask(OsSku.AZURE_LINUX, CVM, "1.27.3"), "no-image"),
    (ask(OsSku.AZURE_LINUX, CVM, "1.37.0"), "no-image"),
    (ask(OsSku.UBUNTU_2204, version="1.24.15"), "no-image"),
    (ask(OsSku.UBUNTU_2404, version="1.31.14"), "no-image"),
    (ask(fips=True, version="1.37.0"), "no-image"),
    (ask(OsSku.WINDOWS_2025, version="1.31.14", fips=True), "no-image"),
]

# Request and the row that refuses it although the image is clear.
INADMISSIBLE: list[tuple[ImageRequest, str]] = [
    (ask(vm_size="Standard_B2ats_v2", mode=Mode.SYSTEM), "system-pool-size"),
    (ask(vm_size="Standard_DS1_v2", mode=Mode.SYSTEM), "system-pool-size"),
    (ask(vm_size="Standard_A2", mode=Mode.SYSTEM), "system-pool-size"),
    (ask(vm_size="Standard_DS1_v2"), "user-pool-size"),
    (ask(vm_size="Standard_B2ats_v2"), "user-pool-size"),
    (ask(OsSku.WINDOWS_2022, mode=Mode.SYSTEM), "system-pool-linux"),
]

WARNED: list[tuple[ImageRequest, set[str]]] = [
    (ask(version="1.35.4"), set()),
    (ask(version="1.35.4", vm_size=V1_ONLY), {"warn-gen1-forced"}),
    (ask(version="1.35.4", vm_size=V1_ONLY, wish=BY_PROPERTY[V1]), set()),
    (ask(OsSku.WINDOWS_2022), {"warn-windows-default"}),
    (ask(OsSku.WINDOWS_2022, profile=AZURE), {"warn-windows-default-azure"}),
    (ask(OsSku.WINDOWS_2022, wish=BY_HEADER[V1]), set()),
    (ask(OsSku.WINDOWS_2022, V2_ONLY), set()),
    (ask(OsSku.WINDOWS_2019, version="1.32.2"), {"warn-windows-2019"}),
    (ask(OsSku.WINDOWS_ANNUAL), {"warn-windows-annual"}),
    (ask(OsSku.AZURE_LINUX, version="1.31.14"), {"warn-azurelinux-2"}),
    (ask(version="1.24.15"), {"warn-ubuntu-1804"}),
    (ask(vm_size=CVM), {"warn-ubuntu-2004"}),
    (ask(), {"warn-ubuntu-2204"}),
]

TABLES: dict[str, tuple[Any, ...]] = {
    "OS_SKU_TABLE": OS_SKU_TABLE,
    "RELEASE_TABLE": RELEASE_TABLE,
    "REFUSAL_TABLE": REFUSAL_TABLE,
    "ADMISSION_TABLE": ADMISSION_TABLE,
    "GENERATION_TABLE": GENERATION_TABLE,
    "OFFER_TABLE": OFFER_TABLE,
    "WARNING_TABLE": WARNING_TABLE,
}


@pytest.mark.parametrize(("asked", "generation", "definition", "rule"), RESOLVED)
def test_the_table_s_row_decides_generation_and_image(
    asked: ImageRequest, generation: Generation, definition: str, rule: str
) -> None:
    outcome = resolve(asked, catalog().images)
    assert isinstance(outcome, Resolution), outcome
    assert (outcome.generation, outcome.image.definition, outcome.rule.id) == (generation, definition, rule)
    assert outcome.late_failure is None
    assert outcome.image.generation is generation
    if definition.startswith("acl"):
        assert "gen2" not in outcome.image.version_string, "rule 48: Generation 2 without gen2 in its name"
    else:
        assert ("gen2" in outcome.image.version_string) == (generation is V2), "rule 9"


@pytest.mark.parametrize(("asked", "rule"), REFUSED)
def test_the_table_s_row_refuses(asked: ImageRequest, rule: str) -> None:
    outcome = resolve(asked, catalog().images)
    assert isinstance(outcome, Refusal), outcome
    assert outcome.rule.id == rule
    assert outcome.remedy
    assert "{" not in outcome.message + outcome.remedy
    assert outcome.target.startswith("properties.")


@pytest.mark.parametrize(("asked", "rule"), INADMISSIBLE)
def test_the_admission_row_refuses_whatever_the_image(asked: ImageRequest, rule: str) -> None:
    refusals = admit(asked, name="np1")
    assert [refusal.rule.id for refusal in refusals] == [rule]
    assert "{" not in refusals[0].message + refusals[0].remedy


def test_sizes_at_the_limits_are_admitted() -> None:
    assert admit(ask(vm_size="Standard_B2s", mode=Mode.SYSTEM), name="np1") == ()
    assert admit(ask(vm_size="Standard_A2"), name="np1") == ()
    small = replace(size(BOTH), vcpus=2, memory_gb=2)
    assert admit(ask(vm_size=small), name="np1") == ()


@pytest.mark.parametrize(("asked", "rules"), WARNED)
def test_warnings_say_what_a_caller_should_know_and_nothing_else(asked: ImageRequest, rules: set[str]) -> None:
    outcome = resolve(asked, catalog().images)
    assert isinstance(outcome, Resolution)
    rows = [row for row in WARNING_TABLE if row.rule.id in rules]
    assert [warning.code for warning in outcome.warnings] == [row.code for row in rows]
    assert all("{" not in warning.message for warning in outcome.warnings)


def test_profile_azure_2026_lets_compute_refuse_windows_2022_on_a_gen2_only_size() -> None:
    outcome = resolve(ask(OsSku.WINDOWS_2022, V2_ONLY, profile=AZURE), catalog().images, vmss="akswin1")
    assert isinstance(outcome, Resolution)
    assert (outcome.generation, outcome.rule.id) == (V1, "gen1-windows-2022-azure")
    assert outcome.late_failure is not None
    assert outcome.late_failure.rule.id == "gen1-not-offered-azure"
    assert outcome.late_failure.code == "BadRequest"
    assert outcome.late_failure.message.startswith(
        "Create or update VMSS akswin1 failed. The selected VM size 'Standard_D4ads_v6' cannot boot Hypervisor "
        "Generation '1'. If this was a Create operation please check that the Hypervisor Generation of the Image "
        "matches the Hypervisor Generation of the selected VM Size."
    )


def test_profile_azure_2026_never_advises_the_property_it_ignores() -> None:
    azure = [row for row in (*OFFER_TABLE, *WARNING_TABLE) if row.condition.allowed.get("profile") == (AZURE,)]
    assert len(azure) == 2
    for row in azure:
        assert "vmGeneration" not in row.message + getattr(row, "remedy", "")


def test_a_kept_generation_gets_its_image_without_being_decided_again() -> None:
    for kept, definition in ((V1, "2404containerd"), (V2, "2404gen2containerd")):
        outcome = resolve(ask(version="1.35.4", creating=False), catalog().images, kept=kept)
        assert isinstance(outcome, Resolution)
        assert (outcome.generation, outcome.image.definition) == (kept, definition)
    late = resolve(ask(OsSku.WINDOWS_2022, V2_ONLY, profile=AZURE), catalog().images, kept=V1)
    assert isinstance(late, Resolution)
    assert (late.generation, late.late_failure) == (V1, None)


@pytest.mark.parametrize(
    ("profile", "version", "os_sku"),
    [
        (Profile.DOCUMENTED, "1.24.15", OsSku.WINDOWS_2019),
        (Profile.DOCUMENTED, "1.25.0", OsSku.WINDOWS_2022),
        (Profile.DOCUMENTED, "1.35.7", OsSku.WINDOWS_2022),
        (Profile.DOCUMENTED, "1.36.0", OsSku.WINDOWS_2025),
        (AZURE, "1.24.15", OsSku.WINDOWS_2019),
        (AZURE, "1.36.3", OsSku.WINDOWS_2022),
        (AZURE, "1.37.0", OsSku.WINDOWS_2025),
    ],
)
def test_the_default_windows_os_sku_moves_with_kubernetes(profile: Profile, version: str, os_sku: OsSku) -> None:
    assert default_os_sku(WINDOWS, KubernetesVersion.parse(version), profile) is os_sku


def test_an_unknown_size_name_never_blocks_a_cobalt_rule() -> None:
    imported = replace(size(COBALT), name="Standard_Imported-9")
    outcome = resolve(ask(OsSku.AZURE_CONTAINER_LINUX, imported, "1.34.1", **TRUSTED), catalog().images)
    assert isinstance(outcome, Resolution)


def test_every_row_of_every_table_is_hit() -> None:
    hit: set[str] = set()
    late = ask(OsSku.WINDOWS_2022, V2_ONLY, profile=AZURE)
    for asked in [case[0] for case in (*RESOLVED, *REFUSED, *WARNED)] + [late]:
        facts = image_resolution._facts(asked)
        outcome = resolve(asked, catalog().images)
        hit |= ids([first_match(RELEASE_TABLE, facts)])
        hit.add(outcome.rule.id)
        if asked.os_sku is None:
            hit |= ids([first_match(OS_SKU_TABLE, facts)])
        if isinstance(outcome, Resolution):
            hit |= ids(row for row in WARNING_TABLE if row.condition.holds(facts))
            hit |= {outcome.late_failure.rule.id} if outcome.late_failure else set()
    hit |= {refusal.rule.id for asked, _ in INADMISSIBLE for refusal in admit(asked, name="np1")}
    unused = {name: [row.rule.id for row in rows if row.rule.id not in hit] for name, rows in TABLES.items()}
    assert {name: rows for name, rows in unused.items() if rows} == {}


def test_rule_ids_are_unique_and_every_row_cites_a_source() -> None:
    rules: list[Rule] = [row.rule for rows in TABLES.values() for row in rows]
    assert [name for name, times in Counter(rule.id for rule in rules).items() if times > 1] == []
    assert [rule.id for rule in rules if not rule.source.strip() or not rule.text.endswith((".", "true."))] == []


def test_messages_use_only_words_that_exist() -> None:
    words = set(words_of(image_resolution._facts(ask()), ask()))
    allowed = {
        "REFUSAL_TABLE": words | {"lasting_os_skus"},
        "ADMISSION_TABLE": set(admission_words(ask(), "np1")),
        "OFFER_TABLE": words | {"number", "reason", "vmss"},
        "WARNING_TABLE": words,
    }
    for table, known in allowed.items():
        for row in TABLES[table]:
            texts = row.message + getattr(row, "remedy", "")
            used = {name for _, name, _, _ in Formatter().parse(texts) if name}
            assert used <= known, (table, row.rule.id, used - known)


def test_a_row_never_stands_behind_one_that_always_holds() -> None:
    for name, rows in TABLES.items():
        if name in ("ADMISSION_TABLE", "WARNING_TABLE"):
            continue
        unconditional = [index for index, row in enumerate(rows) if str(row.condition) == "always"]
        for index in unconditional:
            behind = [
                row for row in rows[index + 1 :] if getattr(row, "wanted", None) is getattr(rows[index], "wanted", None)
            ]
            assert behind == [], (name, rows[index].rule.id)


def ids(rows: Iterable[Any]) -> set[str]:
    return {row.rule.id for row in rows if row is not None}


def test_every_row_about_names_clusters_and_generations_is_hit_and_says_its_source() -> None:
    hit = {
        refusal.rule.id
        for refusal in (
            refuse_name("BadName", OsType.LINUX),
            refuse_name("seven77", OsType.WINDOWS),
            refuse_cluster(OsType.WINDOWS, has_windows_profile=False),
            refuse_generation(V1, vpmem=True),
        )
        if refusal is not None
    }
    tables = (*NAME_TABLE, *CLUSTER_TABLE, *GENERATION_NEEDS)
    assert hit == {row.rule.id for row in tables}
    assert all(row.rule.source for row in tables)
    with pytest.raises(errors.PoolwrightError) as caught:
        require_tags({" ": "", "n" * 513: "", "a/b": "v" * 257, **{str(number): "" for number in range(50)}})
    assert [error.information["rule"]["id"] for error in (caught.value, *caught.value.details)] == [
        row.rule.id for row in TAG_TABLE
    ]
    assert all(row.rule.source for row in TAG_TABLE)
    assert refuse_name("twelve123456", OsType.LINUX) is None
    assert refuse_name("six666", OsType.WINDOWS) is None
    assert refuse_cluster(OsType.LINUX, has_windows_profile=False) is None
