"""Reading in a child: its answer, and what is told where there is none."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from poolwright.lint import guard
from poolwright.lint.guard import within_limits
from poolwright.lint.shell import Script
from poolwright.lint.texts import Broken, Place, Text

LONG = Text("f", "x" * 5_000)
# A script beyond what is read without a child, in a process with limits of its own.
_WITHIN = """
import resource
from poolwright.lint.az_commands import read_script
from poolwright.lint.arm_templates import Given
from poolwright.lint.guard import within_limits
from poolwright.lint.texts import Broken, Text
resource.setrlimit(resource.RLIMIT_AS, ({memory}, {memory}))
resource.setrlimit(resource.RLIMIT_CPU, ({seconds}, {seconds}))
text = Text("f", "az aks nodepool add -n p\\n" + "# x\\n" * 2_000)
try:
    print(within_limits(text, lambda: {read}))
except Broken as broken:
    print(broken.reason)
"""


def test_nonsense_that_takes_the_grammar_forever_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(guard._LIMITS, resource.RLIMIT_CPU, 2)
    text = Text("f", ")" * 200_000)
    with pytest.raises(Broken, match="takes more than 2 seconds") as broken:
        within_limits(text, lambda: Script(text).first_error())
    assert broken.value.place == Place("f", 1, 1)


def test_what_goes_wrong_in_the_child_is_told_as_it_is() -> None:
    text = Text("f", "x" * 5_000)

    def fails() -> None:
        raise Broken(text.place(3), "because")

    def breaks() -> None:
        raise KeyError("a bug")

    with pytest.raises(Broken, match="because"):
        within_limits(text, fails)
    with pytest.raises(KeyError, match="a bug"):
        within_limits(text, breaks)
    assert within_limits(text, lambda: [1]) == [1]


def within(read: str, memory: int = 1 << 30, seconds: int = 60) -> str:
    """What a process says of reading a text under hard limits of its own, of bytes and of seconds."""
    code = _WITHIN.format(read=read, memory=memory, seconds=seconds)
    ended = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, check=True, timeout=60)
    return ended.stdout.strip()


def test_limits_that_are_lower_already_stay_and_hinder_nothing() -> None:
    assert within("[pool.name for pool in read_script(text, Given())[0].pools]") == "['p']"
    assert within("resource.getrlimit(resource.RLIMIT_AS)") == str((1 << 30, 1 << 30))
    assert within("resource.getrlimit(resource.RLIMIT_CPU)", seconds=7) == "(7, 7)"
    assert within("resource.getrlimit(resource.RLIMIT_CPU)") == "(10, 60)"


def test_a_lack_of_memory_is_told_with_the_limit_that_there_was() -> None:
    assert within("'x' * (1 << 31)") == "reading it takes more than 1,024 MiB of memory; split it"


@pytest.mark.parametrize(
    ("end", "told"),
    [
        (lambda: os.kill(os.getpid(), signal.SIGKILL), r"was ended by signal 9 \(Killed\)"),
        (lambda: os._exit(7), "ended with 7"),
    ],
)
def test_a_child_that_dies_is_not_told_as_a_limit(end: Callable[[], None], told: str) -> None:
    with pytest.raises(Broken, match=told) as broken:
        within_limits(LONG, end)
    assert "takes more than" not in broken.value.reason
