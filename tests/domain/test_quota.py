"""vCPUs are counted per family, and what does not fit is refused in AKS's words."""

from __future__ import annotations

import shlex

import pytest

from poolwright import errors
from poolwright.domain.generation import Generation
from poolwright.domain.quota import (
    DEFAULT_LIMIT,
    TOTAL,
    family_names,
    family_of,
    most_beyond,
    shortage,
    used_by_family,
)
from poolwright.domain.vm_size import Architecture, VmSize


def size(name: str, family: str, vcpus: int) -> VmSize:
    return VmSize(
        name=name,
        family=family,
        tier="Standard",
        vcpus=vcpus,
        memory_gb=8,
        generations=frozenset(Generation),
        architecture=Architecture.X64,
    )


D4 = size("Standard_D4s_v5", "standardDSv5Family", 4)
D8 = size("Standard_D8s_v5", "standardDSv5Family", 8)
D8_SPELLED_OTHERWISE = size("Standard_D8s_v5", "StandardDSv5Family", 8)
E4 = size("Standard_E4as_v4", "standardEASv4Family", 4)
NC4 = size("Standard_NC4as_T4_v3", "Standard NCASv3_T4 Family", 4)
WITHOUT_FAMILY = size("Standard_A2", "", 2)
SIZES = (D4, D8, E4, NC4, WITHOUT_FAMILY)
NAMES = family_names(SIZES)


def size_of(name: str) -> VmSize | None:
    return {one.name: one for one in SIZES}.get(name)


def refused(
    needed: dict[str, int], used: dict[str, int], limits: dict[str, int], location: str = "northeurope"
) -> errors.InsufficientVcpuQuota:
    refusal = shortage(needed, used, limits, location=location, names=NAMES)
    assert refusal is not None
    return refusal


def test_sizes_of_one_family_share_its_vcpus_and_the_total_comes_last() -> None:
    used = used_by_family({"Standard_D4s_v5": 3, "Standard_E4as_v4": 1, "Standard_D8s_v5": 2}, size_of)

    assert list(used.items()) == [("standarddsv5family", 28), ("standardeasv4family", 4), ("cores", 32)]


def test_a_family_is_one_however_its_sizes_spell_it() -> None:
    assert family_of(D4) == family_of(D8_SPELLED_OTHERWISE) == "standarddsv5family"


def test_a_size_without_a_family_counts_under_its_own_name() -> None:
    assert used_by_family({"Standard_A2": 3}, size_of) == {"standard_a2": 6, "cores": 6}
    assert NAMES["standard_a2"] == "Standard_A2"


def test_a_size_that_left_the_catalogue_counts_nothing() -> None:
    assert used_by_family({"Standard_Gone": 9, "Standard_D4s_v5": 1}, size_of) == {"standarddsv5family": 4, "cores": 4}


def test_vcpus_needed_at_different_moments_are_not_added_up() -> None:
    # Three machines of 4 vCPUs become three of 8, one at a time.
    small, large = "Standard_D4s_v5", "Standard_D8s_v5"
    moments = [{small: 3, large: 1}, {small: 2, large: 2}, {small: 1, large: 3}, {large: 3}]
    assert most_beyond(moments, {small: 3}, size_of) == {"standarddsv5family": 16, "cores": 16}


def test_each_family_has_its_own_busiest_moment_and_the_total_has_one_of_all() -> None:
    old, new = "Standard_E4as_v4", "Standard_D4s_v5"
    moments = [{old: 2, new: 1}, {old: 1, new: 2}, {new: 2}]
    assert list(most_beyond(moments, {old: 2}, size_of).items()) == [("standarddsv5family", 8), ("cores", 4)]


def test_what_needs_no_more_than_there_is_needs_nothing() -> None:
    assert most_beyond([{"Standard_D8s_v5": 1}], {"Standard_D8s_v5": 2}, size_of) == {}
    assert most_beyond([], {}, size_of) == {}


def test_nothing_used_is_a_total_of_zero() -> None:
    assert used_by_family({}, size_of) == {"cores": 0}


def test_a_shortage_is_told_in_the_words_of_aks() -> None:
    refusal = refused({"standardeasv4family": 24, "cores": 24}, {"standardeasv4family": 4}, {"standardeasv4family": 10})

    # A reply of AKS, quoted in public, character for character.
    assert refusal.message == (
        "Insufficient vcpu quota requested 24, remaining 6 for family standardEASv4Family for region northeurope. "
        "If you want to increase the quota, please follow this instruction: "
        "https://learn.microsoft.com/en-us/azure/quotas/view-quotas. Surge nodes would also consume vcpu quota, "
        "please consider use smaller maxSurge or use maxUnavailable to proceed upgrade without surge nodes, "
        "details: aka.ms/aks/maxUnavailable."
    )
    assert (refusal.code, refusal.wording) == ("ErrCode_InsufficientVCPUQuota", "azure")
    assert isinstance(refusal, errors.InvalidRequest)
    assert refusal.information == {"family": "standardEASv4Family", "requested": 24, "remaining": 6}


def test_the_remedy_is_a_command_whose_limit_is_just_enough() -> None:
    needed, used = {"standardeasv4family": 24}, {"standardeasv4family": 4}
    remedy = refused(needed, used, {"standardeasv4family": 10}).remedy

    assert remedy is not None
    assert "poolwright quota set standardEASv4Family 28 --location northeurope;" in remedy
    assert shortage(needed, used, {"standardeasv4family": 28}, location="northeurope", names=NAMES) is None
    assert shortage(needed, used, {"standardeasv4family": 27}, location="northeurope", names=NAMES) is not None


def test_a_family_with_blanks_is_one_word_of_the_command_in_the_remedy() -> None:
    remedy = refused({"standard ncasv3_t4 family": 8}, {}, {"standard ncasv3_t4 family": 4}).remedy

    assert remedy is not None
    command = remedy.removeprefix("raise it: ").partition(";")[0]
    assert shlex.split(command)[2:5] == ["set", "Standard NCASv3_T4 Family", "8"]


@pytest.mark.parametrize(("vcpus", "fits"), [(5, True), (6, True), (7, False)])
def test_exactly_what_is_left_still_fits(vcpus: int, fits: bool) -> None:
    refusal = shortage(
        {"standarddsv5family": vcpus},
        {"standarddsv5family": 4},
        {"standarddsv5family": 10},
        location="eastus",
        names=NAMES,
    )

    assert (refusal is None) is fits


@pytest.mark.parametrize("family", ["standarddsv5family", TOTAL])
def test_what_nobody_limited_has_the_generous_limit(family: str) -> None:
    assert shortage({family: DEFAULT_LIMIT}, {}, {}, location="eastus", names=NAMES) is None
    assert (
        f"requested {DEFAULT_LIMIT + 1}, remaining {DEFAULT_LIMIT} "
        in refused({family: DEFAULT_LIMIT + 1}, {}, {}).message
    )


def test_the_first_family_that_is_short_is_named() -> None:
    limits = {"standarddsv5family": 8, "standardeasv4family": 0, "standard_a2": 0}
    needed = {"standarddsv5family": 8, "standardeasv4family": 4, "standard_a2": 2}

    assert refused(needed, {}, limits).information["family"] == "standardEASv4Family"


def test_the_regional_total_can_be_what_is_short() -> None:
    needed = used_by_family({"Standard_D4s_v5": 2}, size_of)

    assert (
        " remaining 3 for family cores for region eastus." in refused(needed, {TOTAL: 7}, {TOTAL: 10}, "eastus").message
    )


def test_a_limit_lowered_below_what_is_used_leaves_nothing_and_refuses_only_what_is_added() -> None:
    used, limits = {"standarddsv5family": 16}, {"standarddsv5family": 10}

    assert "requested 4, remaining 0 " in refused({"standarddsv5family": 4}, used, limits).message
    assert shortage({"standarddsv5family": 0}, used, limits, location="eastus", names=NAMES) is None
