"""The wish, sentence by sentence (docs/compatibility.md, "The wish"), over every case there is."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import pytest

from poolwright.domain.generation import Generation
from poolwright.domain.os_sku import OsType
from poolwright.domain.profile import Profile
from poolwright.domain.wish import ABSENT, Absent, SettledWish, Wish, WishConflict, WishSource, settle_wish

V1, V2 = Generation.V1, Generation.V2
HEADER, PROPERTY = WishSource.HEADER, WishSource.PROPERTY
STORED = (None, Wish(V1, HEADER), Wish(V1, PROPERTY), Wish(V2, HEADER), Wish(V2, PROPERTY))
HEADERS = (None, True, False)
PROPERTIES: tuple[Generation | Absent | None, ...] = (ABSENT, None, V1, V2)


class Case(NamedTuple):
    stored: Wish | None
    header: bool | None
    vm_generation: Generation | Absent | None

    @property
    def echoed(self) -> Generation | None:
        """What the service shows as vmGeneration, and az sends back."""
        return self.stored.generation if self.stored else None

    @property
    def property_is_new(self) -> bool:
        return self.vm_generation is not ABSENT and self.vm_generation is not self.echoed

    @property
    def by_header(self) -> Generation | None:
        return {None: None, True: V2, False: V1}[self.header]


CASES = [Case(*values) for values in itertools.product(STORED, HEADERS, PROPERTIES)]


def settle(case: Case, os_type: OsType = OsType.WINDOWS, profile: Profile = Profile.DOCUMENTED) -> SettledWish:
    return settle_wish(
        case.stored, header=case.header, vm_generation=case.vm_generation, os_type=os_type, profile=profile
    )


@pytest.mark.parametrize("case", [case for case in CASES if case.header is None and not case.property_is_new])
def test_without_a_header_and_with_the_property_absent_or_as_stored_the_wish_stays(case: Case) -> None:
    assert settle(case) == SettledWish(case.stored)


@pytest.mark.parametrize("case", [case for case in CASES if case.header is not None and not case.property_is_new])
def test_a_header_replaces_the_wish_also_where_az_echoes_the_stored_one(case: Case) -> None:
    assert case.by_header is not None
    assert settle(case) == SettledWish(Wish(case.by_header, HEADER))


@pytest.mark.parametrize(
    "case", [case for case in CASES if case.header is None and case.property_is_new and case.vm_generation is not None]
)
def test_a_property_that_differs_from_the_stored_one_replaces_the_wish(case: Case) -> None:
    assert isinstance(case.vm_generation, Generation)
    assert settle(case) == SettledWish(Wish(case.vm_generation, PROPERTY))


@pytest.mark.parametrize("case", [case for case in CASES if case.header is None and case.vm_generation is None])
def test_null_clears_the_wish(case: Case) -> None:
    assert settle(case) == SettledWish(None)


@pytest.mark.parametrize("case", [case for case in CASES if case.header is not None and case.property_is_new])
def test_header_and_property_conflict_only_when_both_are_new_and_different(case: Case) -> None:
    if case.vm_generation is case.by_header:
        assert settle(case) == SettledWish(Wish(case.by_header, HEADER))
    else:
        with pytest.raises(WishConflict) as conflict:
            settle(case)
        assert "UseWindowsGen2VM" in str(conflict.value)
        assert "vmGeneration" in str(conflict.value)


@pytest.mark.parametrize("case", CASES)
def test_on_a_linux_pool_the_header_does_nothing_and_is_said_to_be_ignored(case: Case) -> None:
    without = settle(case._replace(header=None), OsType.LINUX)
    assert settle(case, OsType.LINUX) == SettledWish(without.wish, header_ignored=case.header is not None)


@pytest.mark.parametrize("case", CASES)
def test_profile_azure_2026_knows_only_the_header(case: Case) -> None:
    expected = case.stored if case.by_header is None else Wish(case.by_header, HEADER)
    assert settle(case, profile=Profile.AZURE_2026) == SettledWish(expected)


def test_the_sentences_above_cover_every_case() -> None:
    assert len(CASES) == 60
    stays = [case for case in CASES if case.header is None and not case.property_is_new]
    by_header = [case for case in CASES if case.header is not None]
    by_property = [case for case in CASES if case.header is None and case.property_is_new]
    assert len(stays) + len(by_header) + len(by_property) == len(CASES)
