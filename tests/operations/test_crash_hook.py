"""The hook that lets a test kill the process at an exact place."""

from __future__ import annotations

import os
import signal

import pytest

from poolwright.operations.crash_hook import crash_hook


@pytest.fixture
def killed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    calls: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda pid, number: calls.append((pid, number)))
    return calls


def test_it_kills_this_process_exactly_where_it_was_told(killed: list[tuple[int, int]]) -> None:
    hook = crash_hook("create_node_pool:ensure_machines:after")
    hook("create_node_pool", "ensure_machines", "before")
    hook("create_node_pool", "await_ready", "after")
    hook("update_node_pool", "ensure_machines", "after")
    assert killed == []
    hook("create_node_pool", "ensure_machines", "after")
    assert killed == [(os.getpid(), signal.SIGKILL)]


@pytest.mark.parametrize("setting", [None, ""])
def test_without_a_setting_it_does_nothing(killed: list[tuple[int, int]], setting: str | None) -> None:
    crash_hook(setting)("create_node_pool", "ensure_machines", "after")
    assert killed == []


@pytest.mark.parametrize(
    "setting", ["create_node_pool", "create_node_pool:ensure_machines", "a:b:during", "a:b:c:after", ":"]
)
def test_a_malformed_setting_is_refused(setting: str) -> None:
    with pytest.raises(ValueError, match="POOLWRIGHT_TEST_CRASH must be operation:step:before"):
        crash_hook(setting)
