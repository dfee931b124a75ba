"""`poolwright fleet`: exports in, answers and exit codes out."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import CommandLine
from tests.fleet.fleets import EXPORTS, cluster, export, pool

AUDIT = ("fleet", "audit", str(EXPORTS), "--as-of", "2026-11-26")


def test_an_audit_shows_every_pool_and_what_it_comes_to(alone: CommandLine) -> None:
    ended = alone.done(*AUDIT)
    lines = ended.out.splitlines()
    assert len(lines) == 2 + 13
    batch = next(line for line in lines if " batch " in line)
    assert batch.split() == [
        *("shop", "shop-prod", "batch", "User", "Ubuntu", "Standard_D4_v3", "5", "V1", "image-known", "other-size"),
        *("2027-06-30", "Ubuntu", "22.04", "-"),
    ]
    assert "13 node pools in 6 clusters: 10 of Generation 1, 3 of Generation 2, 0 unknown." in ended.err
    assert "8 of Generation 1 can be moved. Profile azure-2026, as of 2026-11-26" in ended.err


def test_a_terminal_gets_a_table_of_its_width(alone: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("poolwright.cli.fleet._is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", "150")
    lines = alone.done(*AUDIT).out.splitlines()
    assert max(map(len, lines)) <= 150
    batch = next(line for line in lines if " batch " in line)
    assert batch.split()[:2] == ["shop", "shop-prod"]
    assert {"Standard_D4_v3", "V1"} <= set(batch.split())


def test_an_audit_as_json_is_on_stdout_alone(alone: CommandLine) -> None:
    document = alone.done(*AUDIT, "-o", "json").json
    assert len(document["pools"]) == 13
    assert document["asOf"] == "2026-11-26"


def test_an_answer_can_go_into_a_file(alone: CommandLine, tmp_path: Path) -> None:
    assert alone.done(*AUDIT, "-o", "json", "--to", str(tmp_path / "audit.json")).out == ""
    assert len(json.loads((tmp_path / "audit.json").read_text())["pools"]) == 13
    ended = alone(*AUDIT, "--to", str(tmp_path / "nowhere" / "x"))
    assert (ended.code, "cannot be written" in ended.err) == (1, True)


def test_an_answer_takes_the_place_of_nothing_that_is_read(alone: CommandLine, tmp_path: Path) -> None:
    exports, other = tmp_path / "exports", tmp_path / "other.json"
    exports.mkdir()
    for file in (exports / "fleet.json", other):
        file.write_text(json.dumps([cluster(pool())]))
    (tmp_path / "link").symlink_to(other)
    decisions = tmp_path / "decisions.yaml"
    decisions.write_text("overrides: []\n")
    before = other.read_text()
    read = (str(exports), str(other))
    for command in ("audit", "plan"):
        for to in (exports / "fleet.json", other, tmp_path / "link"):
            ended = alone("fleet", command, *read, "-o", "json", "--to", str(to))
            assert (ended.code, "is among what is read; name another file" in ended.err) == (2, True), ended
    ended = alone("fleet", "plan", *read, "--overrides", str(decisions), "--to", str(decisions))
    assert (ended.code, decisions.read_text()) == (2, "overrides: []\n")
    assert {other.read_text(), (exports / "fleet.json").read_text()} == {before}
    alone.done("fleet", "audit", *read, "--to", str(exports / "audit.txt"))


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "arguments", [("version",), ("fleet", "--help"), (*AUDIT, "-o", "json"), ("lint", "-o", "json", str(EXPORTS))]
)
def test_a_full_stdout_is_told_in_a_line(arguments: tuple[str, ...], unbuffered: str, tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "poolwright.cli.entry", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            check=False,
        )
    assert (ended.returncode, "Traceback" in ended.stderr) == (1, False), ended.stderr
    assert ended.stderr.splitlines()[-1] == "error: stdout cannot be written: No space left on device"


def test_standard_input_is_an_export_too(alone: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(export("az-aks-show.json").encode())))
    assert "3 node pools in 1 cluster" in alone.done("fleet", "audit", "-").err


@pytest.mark.parametrize(
    ("properties", "gate", "code"),
    [
        ({"vmSize": "Standard_D4_v3"}, "gen1", 4),
        ({"vmSize": "Standard_D4s_v6"}, "gen1", 0),
        ({"vmSize": "Standard_Nobody_v9"}, "gen1", 0),
        ({"vmSize": "Standard_Nobody_v9"}, "unknown", 4),
        ({"vmSize": "Standard_Nobody_v9"}, "blocked", 4),
        ({"vmSize": "Standard_NC6"}, "overdue", 4),
        ({"vmSize": "Standard_D4_v3"}, "overdue", 0),
    ],
)
def test_a_gate_ends_with_4_when_it_finds_something(
    properties: dict[str, str], gate: str, code: int, alone: CommandLine, tmp_path: Path
) -> None:
    (tmp_path / "c.json").write_text(json.dumps(cluster(pool(**properties))))
    ended = alone("fleet", "audit", str(tmp_path), "--fail-on", gate, "--as-of", "2026-11-26")
    assert ended.code == code
    assert ended.out


@pytest.mark.parametrize(
    ("gates", "found"),
    [
        (["gen1,overdue"], "found: gen1\n"),
        (["overdue", "GEN1"], "found: gen1\n"),
        (["gen1, blocked", "unknown,gen1"], "found: gen1\n"),
        (["blocked,unknown"], ""),
    ],
)
def test_gates_are_named_by_commas_and_any_number_of_times(
    gates: list[str], found: str, alone: CommandLine, tmp_path: Path
) -> None:
    (tmp_path / "c.json").write_text(json.dumps(cluster(pool(vmSize="Standard_D4_v3"))))
    options = [word for gate in gates for word in ("--fail-on", gate)]
    ended = alone("fleet", "audit", str(tmp_path), *options, "--as-of", "2026-11-26")
    assert ended.code == (4 if found else 0)
    assert found in ended.err


def test_a_gate_there_is_not_ends_with_2_and_says_which_there_are(alone: CommandLine) -> None:
    ended = alone(*AUDIT, "--fail-on", "gen1,gen3")
    assert (ended.code, ended.out) == (2, "")
    assert "'gen3' is not one of gen1, unknown, blocked, overdue" in " ".join(ended.err.split())


def test_input_that_cannot_be_read_ends_with_1_and_the_rest_is_answered(alone: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps([cluster(pool())]))
    (tmp_path / "b.json").write_text('[\n {"oops"')
    ended = alone("fleet", "audit", str(tmp_path))
    assert ended.code == 1
    assert " np1 " in ended.out
    assert f"broken: {tmp_path / 'b.json'}:2: column 9: this is no JSON" in ended.err
    assert alone("fleet", "audit", str(tmp_path), "--fail-on", "gen1").code == 4


@pytest.mark.parametrize("is_terminal", [False, True])
@pytest.mark.parametrize("command", [("audit",), ("plan",), ("audit", "-o", "json"), ("plan", "-o", "json")])
def test_nothing_of_an_export_steers_the_terminal(
    command: tuple[str, ...],
    is_terminal: bool,
    alone: CommandLine,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("poolwright.cli.fleet._is_terminal", lambda: is_terminal)
    monkeypatch.setenv("COLUMNS", "300")
    steering = "\x1b[2J\u202e\n\x9b\x7f"
    pools = pool("np1", tags={steering: 7}, eTag=steering), pool("np2", vmSize=steering), pool("np3", mode=steering)
    (tmp_path / "x.json").write_text(json.dumps([cluster(*pools), {"type": f"{steering}/x"}]))
    ended = alone("fleet", *command, str(tmp_path / "x.json"))
    assert ended.code == 1
    assert "np1" in ended.out
    assert (ended.out + ended.err).replace("\n", "").isprintable()
    # No value begins a line of its own.
    said = [line.partition(":")[0].split()[0] for line in ended.err.splitlines()]
    assert set(said) <= {"3", "1", "2", "by", "stays", "misshapen", "unknown"}, ended.err


def test_a_path_that_is_not_there_ends_with_3(alone: CommandLine) -> None:
    ended = alone("fleet", "audit", "nowhere.json")
    assert (ended.code, ended.out, ended.err) == (3, "", "error: no file or folder 'nowhere.json'\n")


PLAN = ("fleet", "plan", str(EXPORTS), "--as-of", "2026-11-26")


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("HPC team replaces it in January", "HPC team replaces it in January. take the override away"),
        ("replaced in January. ", "replaced in January. take the override away"),
        ("why move?", "why move? take the override away"),
    ],
)
def test_a_reason_of_ones_own_ends_before_what_can_be_done(
    alone: CommandLine, tmp_path: Path, reason: str, told: str
) -> None:
    decisions = tmp_path / "decisions.json"
    decisions.write_text(json.dumps({"overrides": [{"pools": "shop/shop-prod/batch", "leave": reason}]}))
    ended = alone.done(*PLAN, "--overrides", str(decisions))
    assert f"stays: shop/shop-prod/batch: {told}\n" in ended.err


def test_a_plan_shows_moves_and_quota_and_why_the_others_stay(alone: CommandLine) -> None:
    ended = alone.done(*PLAN)
    batch = next(line for line in ended.out.splitlines() if " batch " in line)
    assert batch.split()[5:] == ["new-pool", "Standard_D4_v3", "Standard_D4s_v3", "batchg2", "5"]
    assert "standardDSv3Family" in ended.out
    assert "8 node pools to move (8 new-pool) in 4 clusters; 5 stay (1 blocked, 3 done, 1 waits)." in ended.err
    assert "stays: shop/shop-prod/win19: Windows Server 2019 has no Generation 2 image." in ended.err


def test_the_profile_of_the_endpoint_decides_the_way(alone: CommandLine) -> None:
    assert "(7 in-place, 1 new-pool)" in alone.done(*PLAN, "--profile", "documented").err


def test_a_plan_is_the_same_every_time(alone: CommandLine) -> None:
    first = alone.done(*PLAN, "-o", "json").out
    assert alone.done(*PLAN, "-o", "json").out == first
    assert len(json.loads(first)["clusters"]) == 4


def test_decisions_are_taken_from_a_file(alone: CommandLine, tmp_path: Path) -> None:
    decisions = tmp_path / "decisions.yaml"
    decisions.write_text("overrides:\n  - pools: shop/shop-prod/win19\n    osSku: Windows2022\n")
    assert " win19 " in alone.done(*PLAN, "--overrides", str(decisions)).out
    decisions.write_text("overrides:\n  - pools: shop/shop-prod/gone\n    osSku: Windows2022\n")
    ended = alone(*PLAN, "--overrides", str(decisions))
    assert (ended.code, "--allow-unmatched" in ended.err) == (2, True)
    ended = alone(*PLAN, "--overrides", str(decisions), "--allow-unmatched")
    assert (ended.code, " batch " in ended.out) == (0, True)
    assert "decisions.yaml:2:12: overrides[0].pools: no node pool of the fleet is shop/shop-prod/gone" in ended.err
    assert alone(*PLAN, "--allow-unmatched").code == 2
    decisions.write_text("overrides:\n  - pools: shop/shop-prod/batch\n    size: Standard_D4ps_v5\n")
    told = alone.done(*PLAN, "--overrides", str(decisions)).err
    assert "shop/shop-prod/batch: warning: Standard_D4ps_v5 is Arm64 and Standard_D4_v3 is x64: every container" in told
    decisions.write_text("overrides:\n  - pools: shop/shop-prod/win19\n    osSkew: Windows2022\n")
    ended = alone(*PLAN, "--overrides", str(decisions))
    assert (ended.code, ended.out) == (2, "")
    assert "decisions.yaml:3:13: overrides[0].osSkew" in ended.err
    assert alone(*PLAN, "--overrides", str(tmp_path / "nowhere.yaml")).code == 3
    assert alone(*PLAN, "--overrides", str(tmp_path)).code == 2
