"""The journal: durable, of one plan at one endpoint, and for one process at a time."""

from __future__ import annotations

import errno
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from poolwright.domain.profile import Profile
from poolwright.fleet.journal import Event, Journal, JournalProblem, digest, glanced_at, opened
from poolwright.fleet.plan import Plan
from tests.fleet.fleets import cluster, fleet_of, pool
from tests.fleet.sites import plan_of

HERE, THERE = "https://127.0.0.1:8445", "https://management.azure.com"
NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


TOLD = {"etag": "e1", "properties": {}, "image": None}


def now() -> datetime:
    return NOON


@pytest.fixture(scope="module")
def plan() -> Plan:
    return plan_of(fleet_of(cluster(pool())), Profile.AZURE_2026)


@pytest.fixture(scope="module")
def other() -> Plan:
    return plan_of(fleet_of(cluster(pool("np2"))), Profile.AZURE_2026)


@pytest.fixture
def path(tmp_path: Path, plan: Plan) -> Path:
    """A journal with three entries."""
    with opened(tmp_path / "j", plan, HERE, now) as journal:
        journal.append("p", "confirm", Event.BEGUN)
        journal.append("p", "confirm", Event.DONE, TOLD)
        journal.append("q", "confirm", Event.BEGUN)
    return tmp_path / "j"


def test_entries_are_found_again(path: Path, plan: Plan) -> None:
    with opened(path, plan, HERE, now) as journal:
        assert [(entry.pool, entry.step, entry.event, entry.told) for entry in journal.of("p")] == [
            ("p", "confirm", Event.BEGUN, {}),
            ("p", "confirm", Event.DONE, TOLD),
        ]
        assert {entry.at for entry in journal.entries} == {NOON}
        journal.append("q", "confirm", Event.DONE, TOLD)
    assert len(glanced_at(path, plan, HERE, now).entries) == 4


def test_a_line_that_a_kill_cut_off_anywhere_is_taken_away(path: Path, plan: Plan) -> None:
    content = path.read_bytes()
    begins = content[:-1].rfind(b"\n") + 1
    for length in range(begins, len(content)):
        path.write_bytes(content[:length])
        with opened(path, plan, HERE, now) as journal:
            assert len(journal.entries) == 2
            journal.append("q", "confirm", Event.BEGUN)
        assert path.read_bytes() == content


def test_a_first_line_that_a_kill_cut_off_is_written_anew(path: Path, plan: Plan) -> None:
    first = path.read_bytes().splitlines(keepends=True)[0]
    for length in range(len(first)):
        path.write_bytes(first[:length])
        with opened(path, plan, HERE, now) as journal:
            assert journal.entries == ()
        assert path.read_bytes() == first


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"something else\n", "is no journal of"),
        (b"something else", "is no journal of"),
        (b'{"format":"x","version":1,"plan":"","endpoint":""}\n', "of another version"),
    ],
)
def test_another_file_is_not_overwritten(content: bytes, why: str, tmp_path: Path, plan: Plan) -> None:
    (tmp_path / "j").write_bytes(content)
    with pytest.raises(JournalProblem, match=why), opened(tmp_path / "j", plan, HERE, now):
        pass
    assert (tmp_path / "j").read_bytes() == content


POOL = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/c1/agentPools/np1"
# The entries of a move at a point of its course, and how that point is named; None where no move is under way.
COURSES: list[tuple[list[tuple[str, Event]], str | None]] = [
    ([], None),
    ([("confirm", Event.BEGUN), ("confirm", Event.DONE)], None),
    ([("confirm", Event.DONE), ("add-pool", Event.BEGUN)], "rg/c1/np1 (add-pool)"),
    ([("confirm", Event.DONE), ("add-pool", Event.BEGUN), ("add-pool", Event.UNDONE)], None),
    ([("add-pool", Event.BEGUN), ("add-pool", Event.DONE), ("cordon", Event.BEGUN)], "rg/c1/np1 (cordon)"),
    ([("delete-pool", Event.BEGUN)], "rg/c1/np1 (delete-pool)"),
    ([("delete-pool", Event.BEGUN), ("delete-pool", Event.DONE)], None),
    ([("change", Event.BEGUN), ("change", Event.DONE)], None),
    ([("change", Event.BEGUN), ("change", Event.DONE), ("change", Event.UNDOING)], "rg/c1/np1 (change)"),
    ([("change", Event.UNDOING), ("change", Event.UNDONE), ("", Event.ROLLED_BACK)], None),
]


def problem(path: Path, plan: Plan, endpoint: str = HERE) -> str:
    """What is told of a journal that cannot be used, by looking and by going on alike; the file stays as it is."""
    content = path.read_bytes()
    with pytest.raises(JournalProblem) as told, opened(path, plan, endpoint, now):
        pass
    with pytest.raises(JournalProblem) as seen:
        glanced_at(path, plan, endpoint, now)
    assert str(seen.value) == str(told.value)
    assert path.read_bytes() == content
    return str(told.value)


@pytest.mark.parametrize(("course", "under_way"), COURSES)
def test_a_journal_that_cannot_be_used_says_what_is_under_way_and_what_is_safe(
    course: list[tuple[str, Event]], under_way: str | None, tmp_path: Path, plan: Plan, other: Plan
) -> None:
    path = tmp_path / "j"
    with opened(path, plan, HERE, now) as journal:
        for step, event in course:
            journal.append(POOL, step, event, TOLD if (step, event) == ("confirm", Event.DONE) else {})

    told = problem(path, other)
    assert f"{path} is the journal of another plan" in told
    if under_way is not None:
        assert f"By that plan these are under way: {under_way}. End them with that plan, or take them back" in told
        assert "another file" not in told
    else:
        assert "No move is under way by it: keep it as a record, and name another file with --journal" in told

    told = problem(path, plan, THERE)
    assert f"tells of {HERE}, and this is {THERE}" in told
    if under_way is not None:
        assert f"Under way there: {under_way}. If this is the same service at another address" in told
    assert ("No move is under way there: keep it as a record" in told) == (under_way is None)


@pytest.mark.parametrize("damaged", [1, 3, 4])
def test_damage_is_named_with_its_line_and_leads_nobody_to_begin_anew(damaged: int, path: Path, plan: Plan) -> None:
    with opened(path, plan, HERE, now) as journal:
        journal.append(POOL, "add-pool", Event.BEGUN)
        journal.append("r", "confirm", Event.BEGUN)
    lines = path.read_bytes().splitlines(keepends=True)
    lines[damaged - 1] = b"{oops\n"
    path.write_bytes(b"".join(lines))
    told = problem(path, plan)
    assert told.startswith(f"{path}:{damaged} is damaged: ")
    assert "Bring the file back from where it was whole, and begin nothing without it: by what can be read" in told
    assert "these are under way: rg/c1/np1 (add-pool)" in told
    assert "another file" not in told


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        (b'Z","pool"', b'","pool"'),
        (b'"etag":"e1",', b""),
        (b'"e1"', b"1"),
        (b'"properties":{}', b'"properties":[]'),
        (b'"image":null', b'"image":null,"run":7'),
        (b'"image":null', b'"image":null,"run":[7]'),
    ],
)
def test_an_entry_that_does_not_have_what_is_relied_on_is_damage(
    was: bytes, becomes: bytes, path: Path, plan: Plan
) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    assert was in lines[2]
    path.write_bytes(b"".join([*lines[:2], lines[2].replace(was, becomes), *lines[3:]]))
    assert problem(path, plan).startswith(f"{path}:3 is damaged: ")


def test_a_line_without_the_one_it_relies_on_is_damage(path: Path, plan: Plan) -> None:
    with opened(path, plan, HERE, now) as journal:
        journal.append("p", "add-pool", Event.BEGUN)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], *lines[3:]]))
    told = problem(path, plan)
    assert told.startswith(f"{path}:4 is damaged: the line before it that says what its node pool was is missing. ")
    assert "these are under way: p (add-pool)" in told


def test_where_the_damaged_line_may_have_been_of_a_move_that_is_said(path: Path, plan: Plan) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:2], b"{oops\n", *lines[3:]]))
    assert "no move is under way, but the damaged line may have been of one" in problem(path, plan)


def test_of_many_moves_under_way_the_first_are_named(tmp_path: Path, plan: Plan, other: Plan) -> None:
    with opened(tmp_path / "j", plan, HERE, now) as journal:
        for number in range(12):
            journal.append(f"{POOL}x{number}", "add-pool", Event.BEGUN)
    told = problem(tmp_path / "j", other)
    assert "rg/c1/np1x9 (add-pool) and 2 more. End them" in told


def test_one_process_at_a_time_has_it(path: Path, plan: Plan) -> None:
    with (
        opened(path, plan, HERE, now),
        pytest.raises(JournalProblem, match="is in use"),
        opened(path, plan, HERE, now),
    ):
        pass


def test_who_only_looks_makes_no_file(tmp_path: Path, plan: Plan) -> None:
    assert glanced_at(tmp_path / "j", plan, HERE, now).entries == ()
    assert not (tmp_path / "j").exists()


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path, plan: Plan) -> None:
    with pytest.raises(JournalProblem, match="cannot be written"), opened(tmp_path / "no" / "j", plan, HERE, now):
        pass


def test_a_full_disk_ends_it_and_leaves_a_journal_that_can_be_gone_on_with(path: Path, plan: Plan) -> None:
    full: list[bytes] = []

    def write(line: bytes) -> None:
        full.append(line)
        raise OSError(errno.ENOSPC, "No space left on device")

    journal = Journal([], write, now)
    for _ in range(2):
        with pytest.raises(JournalProblem, match="cannot be written: No space left"):
            journal.append("p", "confirm", Event.BEGUN)
    assert (len(full), journal.entries) == (1, ())


def test_a_plan_is_known_by_what_it_says(plan: Plan, other: Plan) -> None:
    assert digest(plan) == digest(plan)
    assert digest(plan) != digest(other)


def test_an_entry_that_is_written_in_parts_is_whole(path: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    with opened(path, plan, HERE, now) as journal, monkeypatch.context() as patched:
        patched.setattr(os, "write", lambda file, content: write(file, content[:7]))
        journal.append("q", "confirm", Event.DONE, {**TOLD, "etag": "e" * 100})
    assert glanced_at(path, plan, HERE, now).entries[-1].told == {**TOLD, "etag": "e" * 100}


@pytest.mark.parametrize("then", ["nothing", "full"])
def test_an_entry_that_is_written_in_part_is_refused_and_nothing_follows(
    path: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    write, calls = os.write, 0

    def short(file: int, content: bytes) -> int:
        nonlocal calls
        calls += 1
        if calls == 1:
            return write(file, content[:7])
        if then == "full":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return 0

    with opened(path, plan, HERE, now) as journal:
        with monkeypatch.context() as patched:
            patched.setattr(os, "write", short)
            with pytest.raises(JournalProblem, match="nothing further was begun"):
                journal.append("q", "confirm", Event.DONE, TOLD)
        with pytest.raises(JournalProblem):
            journal.append("q", "confirm", Event.DONE, TOLD)
    with opened(path, plan, HERE, now) as journal:
        assert len(journal.entries) == 3
        journal.append("q", "confirm", Event.DONE, TOLD)
    assert len(glanced_at(path, plan, HERE, now).entries) == 4


def test_a_journal_that_cannot_be_begun_is_told(tmp_path: Path, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "write", lambda file, content: 0)
    with (
        pytest.raises(JournalProblem, match="cannot be written: Input/output error"),
        opened(tmp_path / "j", plan, HERE, now),
    ):
        pass
