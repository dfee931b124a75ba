"""The line to the agent, over a real socket: what lay in the port before is never believed."""

from __future__ import annotations

import itertools
import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poolwright.domain.generation import Generation
from poolwright.machines.local.agent import (
    ASK_AGAIN_SECONDS,
    MAX_LINE_BYTES,
    MOST_ASK_AGAIN_SECONDS,
    AgentLink,
    Began,
    Heartbeat,
    Report,
    parse,
)

REPORT: dict[str, Any] = {
    "type": "report",
    "nonce": None,
    "firmware": "uefi",
    "secureBoot": True,
    "setupMode": False,
    "tpm": "2",
    "disk": {"name": "sda", "bytes": 67108864, "bus": "virtio2", "partitionTable": "gpt"},
    "memory": {"totalKiB": 480000, "availableKiB": 440000},
    "cpus": 1,
    "pmem": [{"device": "pmem0", "bytes": 134217728}],
    "sgx": False,
    "uuid": "0a1b2c3d-0000-4000-8000-000000000001",
    "machine": "m0",
    "ip": "10.0.2.15",
    "uptime": 7.5,
}


class Port:
    """The machine's end: QEMU listens, one client at a time."""

    def __init__(self, path: Path) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(1)
        self._listener.settimeout(5)
        self.peer: socket.socket | None = None

    def accept(self) -> None:
        if self.peer is not None:
            self.peer.close()
        self.peer, _ = self._listener.accept()
        self.peer.settimeout(5)

    def say(self, *lines: object) -> None:
        assert self.peer is not None
        self.peer.sendall(b"".join(json.dumps(line).encode() + b"\n" for line in lines))

    def heard(self) -> list[str]:
        assert self.peer is not None
        return self.peer.recv(65536).decode().splitlines()

    def close(self) -> None:
        if self.peer is not None:
            self.peer.close()
        self._listener.close()


@pytest.fixture
def port(tmp_path: Path) -> Iterator[Port]:
    opened = Port(tmp_path / "agent")
    yield opened
    opened.close()


@pytest.fixture
def link(tmp_path: Path) -> Iterator[AgentLink]:
    numbers = itertools.count(1)
    made = AgentLink(tmp_path / "agent", lambda: f"nonce-{next(numbers)}")
    yield made
    made.close()


def test_a_port_that_is_not_there_yet_says_nothing(link: AgentLink) -> None:
    assert list(link.listen(0.0)) == []


def test_it_asks_with_a_nonce_and_hears_only_what_follows_the_answer(port: Port, link: AgentLink) -> None:
    assert list(link.listen(0.0)) == []
    port.accept()
    assert port.heard() == ["report nonce-1"]
    heartbeat = {"type": "heartbeat", "uptime": 3.42}
    port.say(heartbeat, REPORT, {**REPORT, "nonce": "nonce-0"}, {**REPORT, "nonce": "nonce-1"}, heartbeat)
    heard = list(link.listen(0.0))
    assert [type(message) for message in heard] == [Report, Heartbeat]
    assert isinstance(heard[0], Report)
    assert heard[0].nonce == "nonce-1"
    assert heard[0].generation is Generation.V2


def test_a_new_connection_has_a_new_nonce(port: Port, link: AgentLink) -> None:
    list(link.listen(0.0))
    port.accept()
    port.say({**REPORT, "nonce": "nonce-1"})
    assert len(list(link.listen(0.0))) == 1
    link.close()
    list(link.listen(1.0))
    port.accept()
    assert port.heard() == ["report nonce-2"]
    port.say({**REPORT, "nonce": "nonce-1"})
    assert list(link.listen(1.0)) == []


def test_it_asks_again_while_nothing_is_answered(port: Port, link: AgentLink) -> None:
    list(link.listen(0.0))
    port.accept()
    assert port.heard() == ["report nonce-1"]
    list(link.listen(ASK_AGAIN_SECONDS / 2))
    list(link.listen(ASK_AGAIN_SECONDS))
    assert port.heard() == ["report nonce-1"]


def test_an_agent_that_begins_anew_is_asked_with_a_new_nonce_and_not_heard_before(port: Port, link: AgentLink) -> None:
    list(link.listen(0.0))
    port.accept()
    assert port.heard() == ["report nonce-1"]
    heartbeat = {"type": "heartbeat", "uptime": 3.42}
    port.say({**REPORT, "nonce": "nonce-1"})
    assert [type(message) for message in link.listen(1.0)] == [Report]
    # The machine reboots: what its agent says unasked is no answer, nor is the old one again.
    port.say(heartbeat, REPORT, heartbeat, {**REPORT, "nonce": "nonce-1"}, heartbeat)
    assert [type(message) for message in link.listen(2.0)] == [Heartbeat, Began]
    assert list(link.listen(3.0)) == []
    assert port.heard() == ["report nonce-2"]
    port.say({**REPORT, "nonce": "nonce-2"})
    assert [type(message) for message in link.listen(3.0)] == [Report]


def test_an_answer_counts_once(port: Port, link: AgentLink) -> None:
    list(link.listen(0.0))
    port.accept()
    port.say({**REPORT, "nonce": "nonce-1"}, {**REPORT, "nonce": "nonce-1", "tpm": None}, {**REPORT, "nonce": ""})
    assert [message.tpm for message in link.listen(0.0) if isinstance(message, Report)] == ["2"]


def test_a_machine_without_an_address_is_asked_for_it_less_and_less_often(port: Port, link: AgentLink) -> None:
    without = {**REPORT, "ip": None}
    list(link.listen(0.0))
    port.accept()
    assert port.heard() == ["report nonce-1"]
    port.say({**without, "nonce": "nonce-1"})
    assert len(list(link.listen(0.0))) == 1
    now, pause = 0.0, ASK_AGAIN_SECONDS
    for number in range(2, 8):
        assert list(link.listen(now + pause - 0.1)) == []
        now += pause
        list(link.listen(now))
        assert port.heard() == [f"report nonce-{number}"]
        port.say({**without, "nonce": f"nonce-{number}"}, {"type": "heartbeat", "uptime": 1})
        assert [type(message) for message in link.listen(now)] == [Report, Heartbeat]
        pause = min(2 * pause, MOST_ASK_AGAIN_SECONDS)
    now += pause
    list(link.listen(now))
    assert port.heard() == ["report nonce-8"]
    port.say({**REPORT, "nonce": "nonce-8"})
    assert len(list(link.listen(now))) == 1
    assert list(link.listen(now + 1e6)) == []
    assert port.peer is not None
    port.peer.setblocking(False)
    with pytest.raises(BlockingIOError):
        port.heard()


def test_a_guest_that_sends_without_end_fills_no_memory(port: Port, link: AgentLink) -> None:
    list(link.listen(0.0))
    port.accept()
    assert port.peer is not None
    port.peer.setblocking(False)
    for _ in range(20):
        with suppress(BlockingIOError):
            port.peer.send(b"x" * MAX_LINE_BYTES)
        assert list(link.listen(0.0)) == []
    assert len(link._buffer) <= MAX_LINE_BYTES


def test_a_guest_that_goes_away_is_connected_to_anew(port: Port, link: AgentLink) -> None:
    list(link.listen(0.0))
    port.accept()
    assert port.peer is not None
    port.peer.close()
    assert list(link.listen(0.0)) == []
    list(link.listen(0.0))
    port.accept()
    assert port.heard() == ["report nonce-2"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"firmware": "coreboot"},
        {"uuid": None},
        {"cpus": -1},
        {"cpus": 2**60},
        {"uptime": "NaN"},
        {"disk": {"name": "x" * 300, "bytes": 1, "bus": "b", "partitionTable": "mbr"}},
        {"secureBoot": "perhaps"},
    ],
)
def test_a_report_that_cannot_be_is_none(wrong: dict[str, Any]) -> None:
    assert parse(json.dumps(REPORT).encode()) is not None
    assert parse(json.dumps({**REPORT, **wrong}).encode()) is None


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(json.dumps).map(str.encode)
)
def test_no_line_of_a_guest_breaks_anything(line: bytes) -> None:
    parse(line)


@given(st.dictionaries(st.sampled_from(sorted(REPORT)), st.none() | st.text() | st.integers() | st.lists(st.text())))
def test_no_report_of_a_guest_breaks_anything(changes: dict[str, Any]) -> None:
    parse(json.dumps({**REPORT, **changes}).encode())
