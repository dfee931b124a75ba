"""Help and completion: complete, and quick because nothing slow is imported for them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from poolwright.cli.main import app
from tests.cli.conftest import CommandLine

SLOW = {"httpx", "pydantic_settings", "rich", "sqlalchemy", "uvicorn", "poolwright.serve", "poolwright.catalog.catalog"}


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for name, child in getattr(command, "commands", {}).items():
        yield (*path, name), child
        yield from commands(child, (*path, name))


TREE = dict(commands(typer.main.get_command(app)))
OWN = [path for path in TREE if path != ("az",)]


@pytest.mark.parametrize("path", OWN, ids=" ".join)
def test_every_command_has_help_with_an_example_on_one_line(path: tuple[str, ...], alone: CommandLine) -> None:
    shown = alone.done(*path, "--help").out
    assert shown.startswith(f"Usage: poolwright {' '.join(path)}")
    examples = shown.partition("Examples:\n")[2].splitlines()
    assert any(f"poolwright {' '.join(path)}" in line for line in examples) or hasattr(TREE[path], "commands")


def test_the_tree_has_the_commands_people_know_from_az() -> None:
    known = {
        "group create/show/list/delete",
        "aks create/show/list/delete/stop/start/get-versions",
        "aks nodepool add/show/list/update/upgrade/get-upgrades/scale/stop/start/delete/delete-machines",
        "aks nodepool what-if/rollback/operation-abort",
        "aks machine list/show",
        "vm list-skus",
        "catalog import/show/reset/restrict",
        "operations show/watch",
        "quota list/set/reset",
        "faults add/list/show/clear/schema",
        "images build/import/list/show/remove",
        "sp reset",
        "state export/import",
        "seed schema",
        "reset",
        "requests",
    }
    for line in known:
        *branch, leaves = line.split()
        for leaf in leaves.split("/"):
            assert (*branch, leaf) in TREE


def test_help_imports_nothing_slow() -> None:
    program = (
        "import contextlib, json, sys\n"
        "from poolwright.cli.main import main\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(sys.stderr):\n"
        "    main(['aks', 'nodepool', 'add', '--help'])\n"
        "print(json.dumps(sorted(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert "Usage: poolwright aks nodepool add" in ended.stderr
    assert not SLOW & set(json.loads(ended.stdout))


@pytest.mark.parametrize("arguments", [["version"], ["--version"]])
def test_the_version_is_printed(arguments: list[str], alone: CommandLine) -> None:
    assert alone.done(*arguments).out == "poolwright 0.1.0\n"


def test_completion_can_be_shown(alone: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")

    assert "_POOLWRIGHT_COMPLETE" in alone.done("--show-completion", "bash").out


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["aks", "nodepool", "add", "-g", "rg"],
        ["aks", "nodepool", "add", "-g", "rg", "--cluster-name", "c1", "-n", "np1", "--os-type", "BeOS"],
        ["aks", "nodepool", "add", "-g", "rg", "--cluster-name", "c1", "-n", "np1", "--labels", "no-equals-sign"],
        ["aks", "nodepool", "add", "-g", "rg", "--cluster-name", "c1", "-n", "np1", "--aks-custom-headers", "a b=c"],
        ["aks", "delete", "-g", "rg", "-n", "c1"],
        ["group", "delete", "-n", "rg"],
        ["explain", "--vm-size", "Standard_D2s_v5", "--os-sku", "BeOS"],
        [
            "explain",
            "--vm-size",
            "Standard_D2s_v5",
            "--header",
            "true",
            "--aks-custom-headers",
            "UseWindowsGen2VM=false",
        ],
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_ends_with_2(arguments: list[str], alone: CommandLine) -> None:
    ended = alone(*arguments)

    assert (ended.code, ended.out) == (2, "")
    assert ended.err


OF_AZ = [path for path in TREE if path[0] in ("aks", "group", "vm") and not hasattr(TREE[path], "commands")]


@pytest.mark.parametrize("path", OF_AZ, ids=" ".join)
def test_a_command_of_az_s_name_says_which_options_it_does_not_take(path: tuple[str, ...], alone: CommandLine) -> None:
    ended = alone(*path, "--query=name")

    assert (ended.code, ended.out) == (2, "")
    assert f"az takes it, and `poolwright {' '.join(path)}` does not: an option of az itself: use" in ended.err


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (
            ("faults", "add", "x", "--no-capacity", "x"),
            "'AllocationFailed', 'ZonalAllocationFailed', 'SkuNotAvailable'",
        ),
        (("explain", "--vm-size", "Standard_D2s_v5", "--os-type", "x"), "'Linux', 'Windows'"),
        (("catalog", "restrict", "x", "-l", "eastus", "--reason", "x"), "'NotAvailableForSubscription', 'QuotaId'"),
        (("requests", "--method", "x"), "'GET', 'HEAD', 'PUT', 'POST', 'PATCH', 'DELETE'"),
    ],
)
def test_choices_are_shown_as_documented(arguments: tuple[str, ...], shown: str, alone: CommandLine) -> None:
    ended = alone(*arguments)

    assert ended.code == 2
    assert f"'x' is not one of {shown}." in ended.err
    assert "Value error" not in ended.err


def test_choices_are_taken_in_any_case(alone: CommandLine) -> None:
    given = alone.done(
        "explain", "--vm-size", "Standard_D2s_v5", "--os-type", "WINDOWS", "--header", "TRUE", "-o", "Json"
    )

    assert given.json["properties"]["generation"] == "V2"
