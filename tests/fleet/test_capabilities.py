"""What differs between two sizes, as far as it is known."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import pytest

from poolwright.catalog.catalog import Catalog
from poolwright.domain.offer import Offer, ZoneDetail
from poolwright.domain.size_name import SizeName
from poolwright.domain.vm_size import VmSize
from poolwright.fleet.capabilities import ACCELERATORS, CAPABILITIES, accelerator, compared

# Where nothing was surveyed every size counts as offered.
HERE = Catalog.built_in(["nowhere"]).at("nowhere")


def offered(name: str) -> Offer:
    """The size as a location could offer it."""
    size = HERE.size(name)
    assert size is not None
    return Offer(size, ("1", "2", "3"))


def differences(before: Offer, after: Offer) -> dict[str, tuple[str, str]]:
    return {each.capability: (each.before, each.after) for each in compared(before, before.size, after)[0]}


@pytest.mark.parametrize(
    ("before", "after", "models"),
    [
        ("Standard_NC6", "Standard_NC8as_T4_v3", ("K80", "T4")),
        ("Standard_NC6s_v3", "Standard_NC24ads_A100_v4", ("V100", "A100")),
        ("Standard_NV12s_v3", "Standard_NV16as_v4", ("M60", "MI25")),
        ("Standard_NV24", "Standard_NV24s_v3", None),
        ("Standard_NC6s_v3", "Standard_D8s_v5", ("V100", "none")),
    ],
)
def test_the_model_of_the_gpus_is_compared(before: str, after: str, models: tuple[str, str] | None) -> None:
    assert differences(offered(before), offered(after)).get("accelerator") == models


def test_every_size_with_gpus_has_a_model_or_is_said_to_be_unknown() -> None:
    nameless = {size.name for size in HERE.sizes if SizeName.parse(size.name).family == "N" and not accelerator(size)}
    assert nameless == {"Standard_ND40s_v3"}
    series = {(name.series, name.version) for size in HERE.sizes if (name := SizeName.parse(size.name)).family == "N"}
    assert set(ACCELERATORS) - series <= {("NC", 2), ("ND", 1), ("NV", 2)}, "of these no generation is known"


def test_gpus_that_nobody_counted_are_unknown_and_not_none() -> None:
    before, after = offered("Standard_NV12s_v3"), offered("Standard_NV12ads_V710_v5")
    assert after.size.gpus == 0
    assert "GPUs" not in differences(before, after)
    assert "GPUs" in compared(before, before.size, after)[1]


def test_every_fact_of_a_size_is_compared() -> None:
    """A size that differs in one fact from another differs in a capability."""
    other: dict[str, Any] = {
        **{"family": "otherFamily", "tier": "Basic", "vcpus": 8, "memory_gb": 1.0, "gpus": 2, "max_data_disks": 1},
        **{"accelerated_networking": False, "premium_io": False, "encryption_at_host": False},
        **{"ephemeral_os_disk": False, "os_vhd_size_mb": 1, "cached_disk_bytes": 1, "vcpus_available": 2},
        **{"disk_controllers": frozenset({"NVMe"}), "further": (("ACUs", "1"),), "trusted_launch_disabled": True},
        **{"generations": offered("Standard_D4_v3").size.generations},
        **{"architecture": offered("Standard_D4ps_v5").size.architecture},
        **{"confidential": offered("Standard_DC4as_v5").size.confidential},
    }
    known: dict[str, Any] = {
        **{"max_data_disks": 8, "accelerated_networking": True, "premium_io": True, "encryption_at_host": True},
        **{"ephemeral_os_disk": True, "os_vhd_size_mb": 2, "cached_disk_bytes": 2, "further": (("ACUs", "2"),)},
        **{"disk_controllers": frozenset({"SCSI"}), "name": "Standard_D4s_v5"},
    }
    assert other.keys() | {"name"} == {part.name for part in fields(VmSize)}
    first = replace(offered("Standard_D4s_v5"), size=replace(offered("Standard_D4s_v5").size, **known))
    for name, value in other.items():
        # The same size by a name in other letters would be no other size; this name says the same.
        second = replace(first, size=replace(first.size, name="Standard_D4s_v4", **{name: value}))
        assert compared(first, first.size, second)[0], name


def test_what_only_a_list_says_is_compared_and_unknown_where_one_has_it() -> None:
    first, second = offered("Standard_D4s_v4"), offered("Standard_D4s_v5")
    said = {"RdmaEnabled": "True", "RetirementDateUtc": "x", "UncachedDiskIOPS": "6400", "ACUs": "195"}
    before = replace(first, size=replace(first.size, further=tuple(said.items())))
    after = replace(second, size=replace(second.size, further=(("RdmaEnabled", "False"), ("UncachedDiskIOPS", "1"))))
    found, unknown = compared(before, before.size, after)
    told = {each.capability: (each.before, each.after) for each in found}
    assert told["RDMA"] == ("yes", "no")
    assert told["UncachedDiskIOPS"] == ("6400", "1")
    assert "ACUs" in unknown
    assert {"RdmaEnabled", "RetirementDateUtc"}.isdisjoint({*told, *unknown})


def test_what_a_size_can_do_in_some_zones_only_is_compared() -> None:
    first, second = offered("Standard_D4s_v4"), offered("Standard_D4s_v5")
    ultra = (("UltraSSDAvailable", "True"),)
    before = replace(first, zone_details=(ZoneDetail(("3", "1"), ultra),))
    assert differences(before, second)["UltraSSDAvailable True in zones"] == ("1,3", "none")
    after = replace(second, zone_details=(ZoneDetail(("1",), ultra), ZoneDetail(("3",), ultra)))
    assert "UltraSSDAvailable True in zones" not in differences(before, after)


def test_a_size_differs_from_itself_in_nothing() -> None:
    offer = offered("Standard_D4s_v5")
    assert compared(offer, offer.size, offer) == ((), ())


def test_capabilities_have_names_of_their_own() -> None:
    names = [row.name for row in CAPABILITIES]
    assert len(set(names)) == len(names)
