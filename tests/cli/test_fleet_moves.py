"""Which node pools of a plan a name on the command line stands for, and where a report can go."""

from __future__ import annotations

import errno
import io
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer

from poolwright.cli import fleet_moves
from poolwright.cli.failure import Failure
from poolwright.domain.profile import Profile
from poolwright.fleet.apply import MoveResult, Outcome
from poolwright.fleet.document import document_of
from poolwright.fleet.journal import Event, in_memory
from poolwright.fleet.plan import Plan
from tests.fleet.fleets import SUBSCRIPTION, cluster, fleet_of, pool
from tests.fleet.sites import plan_of

OTHER = "99999999-1111-2222-3333-444444444444"


@pytest.fixture(scope="module")
def plan() -> Plan:
    """shop/prod/web in two subscriptions, shop/only/web and lab/test/web in one."""
    twin = cluster(pool("web"), name="prod", group="shop")
    twin["id"] = twin["id"].replace(SUBSCRIPTION, OTHER)
    clusters = [cluster(pool("web"), name=name, group=group) for group, name in (("shop", "prod"), ("lab", "test"))]
    return plan_of(fleet_of(*clusters, twin, cluster(pool("web"), name="only", group="shop")), Profile.AZURE_2026)


def named(plan: Plan, *patterns: str) -> list[str]:
    return sorted(fleet_moves._called(move.id, True) for move in fleet_moves._chosen(plan, patterns, "--only"))


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        (f"{OTHER}/shop/prod/web", [f"{OTHER}/shop/prod/web"]),
        (f"{SUBSCRIPTION}/SHOP/*/*", [f"{SUBSCRIPTION}/shop/only/web", f"{SUBSCRIPTION}/shop/prod/web"]),
        ("shop/only/web", [f"{SUBSCRIPTION}/shop/only/web"]),
        ("lab/test", [f"{SUBSCRIPTION}/lab/test/web"]),
        ("*/test", [f"{SUBSCRIPTION}/lab/test/web"]),
        ("*/*/prod/web", [f"{SUBSCRIPTION}/shop/prod/web", f"{OTHER}/shop/prod/web"]),
    ],
)
def test_a_name_with_or_without_subscription_names_its_node_pools(plan: Plan, pattern: str, found: list[str]) -> None:
    assert named(plan, pattern) == found


@pytest.mark.parametrize("pattern", ["shop/prod/web", "shop/prod", "shop/*", "*/prod/*", "*"])
def test_a_name_that_is_of_two_subscriptions_is_refused_with_both(plan: Plan, pattern: str) -> None:
    with pytest.raises(typer.BadParameter) as told:
        named(plan, pattern)
    assert told.value.exit_code == 2
    for subscription in (SUBSCRIPTION, OTHER):
        assert f"{subscription}/shop/prod/web" in str(told.value)


def test_without_a_name_all_are_meant(plan: Plan) -> None:
    assert len(fleet_moves._chosen(plan, None, "--only")) == 4
    assert fleet_moves._has_several_subscriptions(plan)


def test_progress_begins_with_what_earlier_runs_did_and_ends_with_what_is_done(plan: Plan) -> None:
    (first, second) = fleet_moves._chosen(plan, ["lab/test/web", "shop/only/web"], "--only")
    kept = in_memory(lambda: datetime(2026, 11, 26, tzinfo=UTC))
    steps = [step.name for step in first.steps]
    assert len(steps) == len(second.steps) == 5

    def entered(course: fleet_moves.Course, step: str, event: Event) -> float:
        course.take(kept.append(first.id, step, event))
        return course.share

    course = fleet_moves.Course([first, second], kept)
    shares = [entered(course, step, event) for step in steps[:2] for event in (Event.BEGUN, Event.DONE)]
    assert shares == [0, 0.1, 0.1, 0.2]
    assert fleet_moves.Course(plan.moves, kept).share == 0.1
    course = fleet_moves.Course([first], kept)
    assert course.share == 0.4
    assert entered(course, steps[2], Event.BEGUN) == 0.4

    # A roll-back counts what it takes back, also over a kill.
    course = fleet_moves.Course([first], kept, back=True)
    assert (course.share, entered(course, steps[2], Event.UNDOING)) == (0, 0)
    assert entered(course, steps[2], Event.UNDONE) == pytest.approx(1 / 3)
    course = fleet_moves.Course([first], kept, back=True)
    assert course.share == pytest.approx(1 / 3)
    for step in reversed(steps[:2]):
        entered(course, step, Event.UNDOING)
        entered(course, step, Event.UNDONE)
    assert course.share == 1
    assert fleet_moves.Course([second], kept, back=True).share == 0


def asked(*options: str, takes_back: bool = False) -> fleet_moves._Asked:
    return fleet_moves._Asked(Path("plan.json"), Path("plan.json.journal"), True, takes_back, True, options, ())


def result_of(plan: Plan, cluster: str, outcome: Outcome, why: str, run: tuple[str, ...] = ()) -> MoveResult:
    (move,) = fleet_moves._chosen(plan, [f"{cluster}/web"], "--only")
    group, name = cluster.split("/")
    return MoveResult(
        id=move.id,
        resource_group=group,
        cluster=name,
        pool="web",
        replacement="webg2",
        outcome=outcome,
        why=why,
        next=None,
        run=run,
        taken=(),
        seconds=0.0,
        first=None,
    )


def test_what_a_failure_elsewhere_stopped_is_named_with_what_helps(
    plan: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = result_of(plan, "lab/test", Outcome.FAILED, "add-pool: no room")
    with pytest.raises(Failure, match="1 node pool did not move"):
        fleet_moves._end([failed, result_of(plan, "shop/only", Outcome.STOPPED, "another move failed")], asked())
    told = capsys.readouterr().err
    assert f"failed: {SUBSCRIPTION}/lab/test/web: add-pool: no room\n" in told
    assert f"stopped: {SUBSCRIPTION}/shop/only/web: another move failed, and nothing begins after that. " in told
    assert "--only" in told


def test_a_roll_back_that_comes_too_late_prints_the_lines_that_are_left(
    plan: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    why = "web is deleted, so nothing is taken back"
    result = result_of(plan, "lab/test", Outcome.MOVED, why, ("az one", "az two"))
    with pytest.raises(Failure) as failed:
        fleet_moves._end([result], asked(takes_back=True))
    assert failed.value.code == 1
    assert capsys.readouterr().err.splitlines() == [
        f"{SUBSCRIPTION}/lab/test/web: web is deleted, so nothing is taken back. What makes it again:",
        "az one",
        "az two",
    ]


def test_a_report_takes_the_place_of_nothing_that_is_needed(tmp_path: Path) -> None:
    plan_file, journal = tmp_path / "plan.json", tmp_path / "plan.json.journal"
    plan_file.write_text("{}")
    (tmp_path / "link").symlink_to(plan_file)
    (tmp_path / "later").symlink_to(tmp_path / "not yet")
    (tmp_path / "hard").hardlink_to(plan_file)
    for to in (plan_file, journal, tmp_path / "x" / ".." / "plan.json", tmp_path / "link", tmp_path / "hard"):
        with pytest.raises(typer.BadParameter, match="is the plan or its journal"):
            fleet_moves._require_writable(to, plan_file, journal)
    for to in (tmp_path, tmp_path / "nowhere" / "report.md"):
        with pytest.raises(Failure, match="cannot be written"):
            fleet_moves._require_writable(to, plan_file, journal)
    kept = tmp_path / "report.md"
    fleet_moves._require_writable(kept, plan_file, journal)
    assert not kept.exists()
    kept.write_text("before")
    fleet_moves._require_writable(kept, plan_file, journal)
    fleet_moves._require_writable(None, plan_file, journal)
    fleet_moves._require_writable(tmp_path / "later", plan_file, journal)
    assert ((tmp_path / "later").is_symlink(), (tmp_path / "not yet").exists()) == (True, False)
    assert (kept.read_text(), plan_file.read_text()) == ("before", "{}")


def test_a_report_that_cannot_be_written_after_all_goes_to_stdout(
    plan: Plan, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = []
    with (
        pytest.raises(Failure, match="cannot be written"),
        fleet_moves._report_written(fleet_moves.ReportOutput.JSON, tmp_path, plan, (), lambda: iter(())),
    ):
        told.append("how it went")
    assert told == ["how it went"]
    written = capsys.readouterr()
    assert '"clusters"' in written.out
    assert "cannot be written" in written.err


class Full(io.StringIO):
    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_how_it_went_is_told_also_where_stdout_takes_no_report(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = []
    monkeypatch.setattr("sys.stdout", Full())
    with (
        pytest.raises(Failure, match="stdout cannot be written: No space left on device; --to FILE writes the report"),
        fleet_moves._report_written(fleet_moves.ReportOutput.JSON, None, plan, (), lambda: iter(())),
    ):
        told.append("how it went")
    assert told == ["how it went"]
    assert "stdout cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize("to", [None, "report.json"])
def test_a_report_as_json_steers_no_terminal(
    plan: Plan, to: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    steering = replace(plan, catalogue="of \u202e\x1b[2J\x9b")
    file = tmp_path / to if to is not None else None
    with fleet_moves._report_written(fleet_moves.ReportOutput.JSON, file, steering, (), lambda: iter(())):
        pass
    text = file.read_text() if file is not None else capsys.readouterr().out
    assert '"of \\u202e\\u001b[2J\\u009b"' in text
    assert document_of(Plan, text) == steering
