"""Labels and taints of nodes: what Kubernetes takes, at the edges of its syntax."""

from __future__ import annotations

import pytest

from poolwright.domain.node_labels import malformed_label, malformed_taint, repeated_taint

LONGEST = "a" * 63
KEYS = ["a", "A9", "a-b_c.d", LONGEST, f"example.com/{LONGEST}", "1.2/3", f"{'.'.join(['a' * 61] * 4)}.aaaaa/x"]
NO_KEYS = ["", "-a", "a-", "a b", "ä", "a\n", LONGEST + "a", "/a", "a/", "a/b/c", "Example.com/a", "a..b/c", "-b/c"]
NO_KEYS += [f"{'.'.join(['a' * 61] * 4)}.aaaaaa/x", "a_b/c", "a=b"]
VALUES = ["", "x", "1.2", LONGEST]
NO_VALUES = ["-x", "x.", "x/y", " ", LONGEST + "a"]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("value", VALUES)
def test_what_kubernetes_takes_is_well_formed(key: str, value: str) -> None:
    assert malformed_label({key: value}) is None
    assert malformed_taint([f"{key}={value}:NoExecute", f"{key}:PreferNoSchedule"]) is None


@pytest.mark.parametrize("key", NO_KEYS)
def test_other_keys_are_not(key: str) -> None:
    assert malformed_label({"good": "x", key: "v"}) == f"{key}: v"
    assert key == "a=b" or malformed_taint(["good:NoSchedule", f"{key}:NoSchedule"]) == f"{key}:NoSchedule"


@pytest.mark.parametrize("value", NO_VALUES)
def test_other_values_are_not(value: str) -> None:
    assert malformed_label({"k": value}) == f"k: {value}"
    assert malformed_taint([f"k={value}:NoSchedule"]) == f"k={value}:NoSchedule"


@pytest.mark.parametrize(
    "taint", ["", "k", "k=v", "k=v:", "k=v:Bad", "k=v:noschedule", ":NoSchedule", "k=v=w:NoExecute"]
)
def test_a_taint_has_a_key_and_a_known_effect(taint: str) -> None:
    assert malformed_taint([taint]) == taint


def test_taints_differ_in_key_or_effect() -> None:
    assert repeated_taint(["a=1:NoSchedule", "a=1:NoExecute", "b=1:NoSchedule"]) is None
    assert repeated_taint(["a=1:NoSchedule", "b:NoSchedule", "a=2:NoSchedule"]) == "a:NoSchedule"
