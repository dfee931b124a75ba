"""Which machines a node pool keeps and takes, whatever it had and wants."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from poolwright.domain.machine import assign_sizes

sizes = st.sampled_from(["Standard_D2s_v5", "Standard_D4s_v5", "Standard_D2_v3"])
machines = st.dictionaries(st.integers(min_value=0, max_value=40), sizes, max_size=30)
scales = st.lists(st.tuples(sizes, st.integers(min_value=0, max_value=12)), max_size=5)


@settings(deadline=None)
@given(present=machines, wanted=scales)
def test_every_size_has_as_many_machines_as_wanted(present: dict[int, str], wanted: list[tuple[str, int]]) -> None:
    counts = Counter[str]()
    for size, count in wanted:
        counts[size] += count
    assert Counter(assign_sizes(present, wanted).values()) == +counts


@settings(deadline=None)
@given(present=machines, wanted=scales)
def test_the_lowest_machines_of_a_wanted_size_are_kept(present: dict[int, str], wanted: list[tuple[str, int]]) -> None:
    assigned = assign_sizes(present, wanted)
    for size in set(present.values()):
        there = sorted(ordinal for ordinal in present if present[ordinal] == size)
        count = sum(count for wanted_size, count in wanted if wanted_size == size)
        assert [ordinal for ordinal in there if ordinal in assigned] == there[:count]


@settings(deadline=None)
@given(present=machines, wanted=scales)
def test_a_machine_that_is_there_never_becomes_another_size(
    present: dict[int, str], wanted: list[tuple[str, int]]
) -> None:
    assigned = assign_sizes(present, wanted)
    assert all(present[ordinal] == assigned[ordinal] for ordinal in present.keys() & assigned.keys())


@settings(deadline=None)
@given(present=machines, wanted=scales)
def test_new_machines_take_the_lowest_free_ordinals(present: dict[int, str], wanted: list[tuple[str, int]]) -> None:
    new = sorted(assign_sizes(present, wanted).keys() - present.keys())
    free = [ordinal for ordinal in range(len(present) + len(new) + 41) if ordinal not in present]
    assert new == free[: len(new)]


@settings(deadline=None)
@given(present=machines, wanted=scales)
def test_assigning_again_changes_nothing(present: dict[int, str], wanted: list[tuple[str, int]]) -> None:
    assigned = assign_sizes(present, wanted)
    assert assign_sizes(assigned, wanted) == assigned
    # While surplus machines are still there as well.
    assert assign_sizes(present | assigned, wanted) == assigned
