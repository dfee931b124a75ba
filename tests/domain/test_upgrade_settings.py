"""Upgrade settings: what is a number of machines, how shares are rounded, and what could never replace anything."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolwright.domain.upgrade_settings import UndrainableNodeBehavior, UpgradeSettings


def test_defaults_are_those_of_aks() -> None:
    defaults = UpgradeSettings()
    assert (defaults.max_surge, defaults.max_unavailable) == ("10%", "0")
    assert (defaults.drain_timeout_minutes, defaults.node_soak_minutes) == (30, 0)
    assert defaults.undrainable is UndrainableNodeBehavior.SCHEDULE


# From upgrade-aks-node-pools-rolling.md: with 33% or 50%, "fractional nodes are rounded up".
ROUNDED = [
    ("0", 5, 0),
    ("1", 5, 1),
    ("7", 5, 7),
    ("0%", 5, 0),
    ("10%", 1, 1),
    ("10%", 10, 1),
    ("10%", 11, 2),
    ("33%", 3, 1),
    ("33%", 4, 2),
    ("33%", 100, 33),
    ("33%", 1000, 330),
    ("50%", 5, 3),
    ("100%", 7, 7),
    ("1%", 0, 0),
    ("1", 0, 1),
]


@pytest.mark.parametrize(("text", "count", "surge"), ROUNDED)
def test_a_surge_is_rounded_up_and_may_exceed_the_count(text: str, count: int, surge: int) -> None:
    assert UpgradeSettings(text, "1").surge(count) == surge


@pytest.mark.parametrize(("text", "count", "share"), ROUNDED)
def test_unavailable_is_rounded_up_and_never_more_than_there_are(text: str, count: int, share: int) -> None:
    assert UpgradeSettings("1", text).unavailable(count) == min(share, count)


@given(st.integers(1, 100), st.integers(0, 1000))
def test_a_percentage_is_the_smallest_whole_number_not_below_its_share(percent: int, count: int) -> None:
    surge = UpgradeSettings(f"{percent}%").surge(count)
    assert surge - 1 < Fraction(percent * count, 100) <= surge


@given(st.integers(0, 100), st.integers(0, 100), st.booleans(), st.booleans(), st.integers(1, 1000))
def test_settings_that_can_be_made_let_any_pool_replace_something(
    surge: int, unavailable: int, is_share: bool, is_other_share: bool, count: int
) -> None:
    texts = (f"{surge}{'%' * is_share}", f"{unavailable}{'%' * is_other_share}")
    if surge == unavailable == 0:
        with pytest.raises(ValueError, match="cannot both be 0"):
            UpgradeSettings(*texts)
    else:
        made = UpgradeSettings(*texts)
        assert made.surge(count) + made.unavailable(count) > 0


@pytest.mark.parametrize(
    "text", ["", " ", "-1", "+1", "1.5", "33.3%", "%", "1 %", "1%%", "101%", "ten", "10000", "0x1", "1\n", "10%\n"]
)
@pytest.mark.parametrize("is_surge", [True, False], ids=["maxSurge", "maxUnavailable"])
def test_another_text_is_refused_with_the_text_itself(is_surge: bool, text: str) -> None:
    with pytest.raises(ValueError, match="number such as 1, or a percentage") as refused:
        UpgradeSettings(*((text, "1") if is_surge else ("1", text)))
    assert repr(text) in str(refused.value)


@pytest.mark.parametrize("text", ["１", "٣", "５%"])
def test_digits_of_other_scripts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="number such as 1"):
        UpgradeSettings(text)
