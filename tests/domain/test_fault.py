"""What a fault is meant for, when it fires, and what its error says: pure functions over every row and any text."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolwright import errors
from poolwright.domain.fault import (
    CAPACITY_CODES,
    EFFECTS,
    NAMEABLE,
    WORDINGS,
    Effect,
    EffectKind,
    Fault,
    Match,
    Point,
    Situation,
    Tally,
    Target,
    circumstances_of,
    is_spent,
    parents_of,
    picked,
    point_of,
    problems_of,
    refusal,
    tallied,
    touched,
    wording,
    words_of,
)
from poolwright.domain.operation import OperationKind

STEPS = ("add_machines", "await_ready", "drain")
CLUSTER = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/c1"
NP1 = Target(f"{CLUSTER}/agentPools/np1", ("Standard_D2s_v5",), ("1", "2"), f"{CLUSTER}/agentPools/np1/machines/m0")
NP2 = Target(f"{CLUSTER}/agentPools/np2", ("Standard_D4s_v5",), (), secure_boot=True, vcpus=4)
SITUATION = Situation(
    operation=OperationKind.UPDATE_NODE_POOL,
    cluster=CLUSTER,
    location="eastus",
    step="wave_2.drain",
    method="PUT",
    path=f"{CLUSTER}/agentPools/np1",
    targets=(NP1, NP2),
)
ARGUMENTS = {
    EffectKind.DELAY: {"seconds": 1.0},
    EffectKind.REFUSE: {"code": "InvalidParameter"},
    EffectKind.THROTTLE: {"seconds": 3.0},
    EffectKind.FAIL_AT_STEP: {"message": "why"},
    EffectKind.NO_CAPACITY: {"code": "AllocationFailed"},
    EffectKind.FAIL_DRAIN: {"message": "why"},
}


def fault(kind: EffectKind = EffectKind.DELAY, *, count: int | None = None, **match: object) -> Fault:
    effect = Effect(kind=kind, **ARGUMENTS.get(kind, {}))  # type: ignore[arg-type]
    return Fault(name="f", match=Match(**match), effect=effect, count=count)  # type: ignore[arg-type]


def test_every_effect_has_one_row_and_a_point_its_match_can_lead_to() -> None:
    assert [row.kind for row in EFFECTS] == list(EffectKind)
    named = {"method": "PUT", "path": "*", "step": "drain", "size": "*"}
    for row in EFFECTS:
        for place in row.places:
            needs = {need: named[need] for need in place.needs[:1]}
            assert point_of(fault(row.kind, **needs)) is place.point
            assert not [one for one in problems_of(fault(row.kind, **needs), STEPS) if one[0] != "effect.refuse"]
    assert {place.point for row in EFFECTS for place in row.places} == set(Point) == set(NAMEABLE)


@pytest.mark.parametrize(
    "match",
    [
        {"operation": OperationKind.UPDATE_NODE_POOL},
        {"pool": "np1"},
        {"pool": "NP?"},
        {"pool": f"{CLUSTER.upper()}/agentPools/np1"},
        {"cluster": "c*"},
        {"cluster": "*/rg/*/c1"},
        {"size": "standard_d2s*"},
        {"location": "EastUS"},
        {"zone": "2"},
        {"step": "drain"},
        {"step": "wave_2.drain"},
        {"method": "put"},
        {"path": "*/agentpools/np1"},
        {},
    ],
    ids=str,
)
def test_a_match_means_what_it_names(match: dict[str, object]) -> None:
    assert touched(fault(**match), SITUATION) is not None


@pytest.mark.parametrize(
    "match",
    [
        {"operation": OperationKind.CREATE_NODE_POOL},
        {"pool": "np"},
        {"pool": "c1/agentPools/np1"},
        {"cluster": "c2"},
        {"size": "Standard_D8s_v5"},
        {"location": "westus2"},
        {"zone": "3"},
        {"step": "soak"},
        {"step": "wave_1.drain"},
        {"method": "GET"},
        {"path": "/agentPools/np1"},
        # Together in one node pool, not each in some.
        {"pool": "np2", "zone": "1"},
        {"size": "Standard_D4s_v5", "zone": "2"},
    ],
    ids=str,
)
def test_a_match_does_not_mean_what_it_does_not_name(match: dict[str, object]) -> None:
    assert touched(fault(**match), SITUATION) is None


def test_only_the_targets_that_match_are_hit() -> None:
    assert touched(fault(pool="np2"), SITUATION) == (NP2,)
    assert touched(fault(EffectKind.UNSIGNED_DRIVER), SITUATION) == (NP2,)
    assert touched(fault(EffectKind.QUOTA_SHORT), SITUATION) == (NP2,)
    assert touched(fault(EffectKind.LOSE_MACHINE, step="drain"), SITUATION) == (NP1, NP2)
    assert touched(fault(EffectKind.LOSE_MACHINE, step="drain"), replace(SITUATION, targets=())) is None
    deleting = replace(SITUATION, operation=OperationKind.DELETE_NODE_POOL)
    assert touched(fault(EffectKind.RETIRED_SIZE, size="*"), deleting) is None


TEXT = st.text(st.characters(exclude_characters="/*?[]", exclude_categories=["Cs"]), min_size=1, max_size=12)
NAMES = st.sampled_from(["np1", "np2", "c1", "eastus", "1"])


@given(pool=NAMES, zone=NAMES, size=NAMES, more=NAMES)
def test_a_match_that_names_more_means_no_more(pool: str, zone: str, size: str, more: str) -> None:
    target = Target(f"/x/agentPools/{pool}", (size,), (zone,))
    situation = Situation(targets=(target,))
    narrow = touched(fault(pool=pool, zone=more), situation)
    assert narrow in (None, touched(fault(pool=pool), situation))
    assert touched(fault(pool="*", zone=zone, size=size.upper()), situation) == (target,)


@given(TEXT)
def test_any_name_is_named_by_itself_by_a_star_and_by_its_id_and_by_no_longer_name(name: str) -> None:
    situation = Situation(targets=(Target(f"/x/{name}"),))
    for pattern in (name, "*", f"/x/{name}", f"/X/{name}"):
        assert touched(fault(pool=pattern), situation) is not None
    assert touched(fault(pool=f"{name}x"), situation) is None


@given(
    st.lists(st.booleans(), max_size=30),
    st.none() | st.integers(1, 8),
    st.none() | st.integers(1, 8),
)
def test_a_fault_fires_at_most_count_times_and_only_the_nth_time(
    looks: list[bool], count: int | None, nth: int | None
) -> None:
    subject, tally, fired_at = fault(count=count, nth=nth), Tally(), []
    for number, _ in enumerate(looks, 1):
        was_spent = is_spent(subject, tally)
        tally, fires = tallied(subject, tally)
        assert not (was_spent and fires)
        fired_at += [number] if fires else []
    assert tally == Tally(len(looks), len(fired_at))
    wanted = [number for number in range(1, len(looks) + 1) if nth in (None, number)]
    assert fired_at == wanted[: count if count is not None else len(wanted)]


@given(st.integers(1, 5), st.integers(0, 5))
def test_the_newest_machines_are_lost(number: int, there: int) -> None:
    subject = fault(EffectKind.LOSE_MACHINE, step="drain")
    subject = replace(subject, effect=replace(subject.effect, machines=number))
    machines = [Target("p", machine=str(ordinal)) for ordinal in range(there)]
    assert [target.machine for target in picked(subject, machines)] == [
        str(ordinal) for ordinal in range(max(0, there - number), there)
    ]


@pytest.mark.parametrize(
    ("subject", "places"),
    [
        (fault(), ["effect.delaySeconds"]),
        (fault(EffectKind.FAIL_AT_STEP), ["effect.failAtStep"]),
        (fault(EffectKind.LOSE_MACHINE, zone="1"), ["effect.loseMachine"]),
        (fault(EffectKind.RETIRED_SIZE), ["effect.retiredSize"]),
        (fault(step="nonsense"), ["match.step"]),
        (fault(step="wave_0.drain"), ["match.step"]),
        (fault(path="*", zone="1", size="x", step="drain"), ["match.size", "match.zone", "match.step"]),
        (fault(EffectKind.THROTTLE, operation=OperationKind.CREATE_CLUSTER), ["match.operation"]),
        (fault(EffectKind.NO_CAPACITY, method="GET"), ["match.method"]),
        (replace(fault(step="drain"), name="Not-A-Name"), ["name"]),
    ],
)
def test_every_wrong_place_of_a_fault_is_named(subject: Fault, places: list[str]) -> None:
    assert [place for place, _ in problems_of(subject, STEPS)] == places


@pytest.mark.parametrize("leaf", list(errors.leaves()), ids=lambda leaf: leaf.code)
def test_every_error_can_be_asked_for_somewhere(leaf: type[errors.PoolwrightError]) -> None:
    refusing = Effect(kind=EffectKind.REFUSE, code=leaf.code)
    at_request = Fault(name="f", match=Match(path="*"), effect=refusing)
    at_step = Fault(name="f", match=Match(step="drain"), effect=refusing)
    only_operations = issubclass(leaf, errors.OperationFailure)
    assert bool(problems_of(at_request, STEPS)) == only_operations
    assert problems_of(at_step, STEPS) == []
    error = refusal(at_request, {"pool": "np1"})
    assert (type(error), error.information, error.details) == (leaf, {"fault": "f"}, ())
    assert re.fullmatch(r".*[.'\w)]", error.message, re.DOTALL)
    assert "{" not in error.message


def test_azures_wordings_are_used_wherever_an_error_has_them() -> None:
    azures = {leaf.code for leaf in errors.leaves() if leaf.wording == "azure"}
    assert set(WORDINGS) == azures
    assert set(CAPACITY_CODES) <= azures
    assert wording("SystemPoolMustBeLinux", {}) == "A Windows node pool was asked for in mode System."
    assert wording("SystemPoolSkuTooLow", {"pool": "np1"}).endswith("Nodepool name: np1.")
    assert "in location '(location)'" in wording("VMSizeNotSupported", {"size": "x"})


def test_a_message_of_ones_own_replaces_the_usual_one() -> None:
    effect = Effect(kind=EffectKind.REFUSE, code="Throttled", message="not {now}")
    error = refusal(Fault(name="f", match=Match(path="*"), effect=effect), {})
    assert isinstance(error, errors.Throttled)
    assert (error.message, error.retry_after_seconds) == ("not {now}", 1)


def test_names_are_read_from_ids_whatever_the_names_are() -> None:
    odd = "/subscriptions/s/resourceGroups/agentPools/providers/N/managedClusters/managedClusters/agentPools/locations"
    assert circumstances_of(odd) == {
        "subscription": "s",
        "group": "agentPools",
        "cluster": "managedClusters",
        "pool": "locations",
    }
    assert parents_of(odd) == (odd.rpartition("/agentPools/")[0], odd)
    assert parents_of(f"{CLUSTER}/agentPools/np1/machines/m0") == (CLUSTER, f"{CLUSTER}/agentPools/np1")
    assert parents_of("/subscriptions/s/resourceGroups/rg") == ("", "")


def test_what_a_fault_fired_on_is_said_in_words() -> None:
    assert words_of(SITUATION, (NP1, NP2)) == "update node pool m0, np2, wave_2.drain"
    assert words_of(replace(SITUATION, step=""), ()) == "update node pool c1"
    assert words_of(Situation(method="GET", path="/x"), ()) == "GET /x"
    many = [Target(f"/{number}") for number in range(7)]
    assert words_of(SITUATION, many) == "update node pool 0, 1, 2, 3, 4 and 2 more, wave_2.drain"
