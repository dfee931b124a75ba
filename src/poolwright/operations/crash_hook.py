"""Lets a test kill the process at an exact place in a plan.

`POOLWRIGHT_TEST_CRASH=create_node_pool:ensure_machines:after` makes the process send itself SIGKILL
after that step has had its effect and before the step is checkpointed; `before` kills it before the
effect. A step of a wave has two names: `drain` in whichever wave it comes first, `wave_2.drain` in that
one. Nothing happens when the variable is not set.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

VARIABLE = "POOLWRIGHT_TEST_CRASH"

CrashHook = Callable[[str, str, str], None]


def crash_hook(setting: str | None) -> CrashHook:
    """Return the function the runner calls with (operation, step, `before` or `after`).

    Raises `ValueError` when the setting is not of the form operation:step:before|after.
    """
    if not setting:
        return lambda operation, step, moment: None
    operation_wanted, step_wanted, moment_wanted = _parse(setting)

    def kill_here(operation: str, step: str, moment: str) -> None:
        in_wave = step.rpartition(".")[2]
        if (operation, moment) == (operation_wanted, moment_wanted) and step_wanted in (step, in_wave):
            os.kill(os.getpid(), signal.SIGKILL)

    return kill_here


def _parse(setting: str) -> tuple[str, str, str]:
    parts = setting.split(":")
    if len(parts) != 3 or parts[2] not in ("before", "after"):
        raise ValueError(f"{VARIABLE} must be operation:step:before|after, got {setting!r}")
    return parts[0], parts[1], parts[2]
