"""`poolwright`'s commands take the words of az's: names, short forms and values, and the same becomes of them.

What they do not take stands in `poolwright.cli.not_taken`, and nothing else is missing.
"""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from arm_recorder import ArmRecorder
from lab import Lab
from registered_az import Az, service_of

from poolwright.az import configuration
from poolwright.az.options import AZ
from poolwright.az.options import options_of as options_of_table
from poolwright.cli.cluster_options import CLUSTER_OPTIONS
from poolwright.cli.main import app, main
from poolwright.cli.not_taken import NOT_TAKEN
from poolwright.cli.pool_options import POOL_OPTIONS, Taker, taken_by
from poolwright.identity.tls import TlsFiles
from tests.support.pool_words import ALIKE, FIRST_POOL, OF_CLUSTER, SAID, found_at
from tests.support.service import ServiceProcess

# Ours alone; `rollback`, `abort` and the others that both have are compared.
OWN = {"aks nodepool what-if", "aks machine reimage"}
# What az's parser has for every command: `az ... --help`.
EVERYWHERE = {
    *("--acquire-policy-token", "--change-reference", "--debug", "--help", "-h", "--only-show-errors", "--output"),
    *("-o", "--query", "--subscription", "--verbose"),
}


def leaves(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    children = getattr(command, "commands", None)
    if children is None:
        yield " ".join(path), command
    for name, child in (children or {}).items():
        yield from leaves(child, (*path, name))


COMMANDS = {
    name: command
    for name, command in leaves(typer.main.get_command(app))
    if name.split()[0] in ("aks", "group", "vm") and name not in OWN
}


def spellings(command: Any) -> dict[str, Any]:
    return {
        **{name: option for option in command.params for name in (*option.opts, *option.secondary_opts)},
        **dict.fromkeys(("--help", "-h")),
    }


@pytest.fixture(scope="module")
def of_az(az_path: Path, tls: TlsFiles, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What stock az knows of the commands: its arguments."""
    with ArmRecorder(tls) as recorder:
        stock = configuration.environment(tmp_path_factory.mktemp("az"), service_of(recorder, tls))
        az = Az(az_path, {**stock, "AZURE_CONFIG_DIR": str(tmp_path_factory.mktemp("stock"))})
        return {name: about["arguments"] for name, about in az.inside("describe_commands.py", *COMMANDS).items()}


def options_of(arguments: dict[str, Any]) -> dict[str, Any]:
    return {
        option: argument
        for name, argument in arguments.items()
        if name != "cmd"
        for option in argument["options_list"]
        if isinstance(option, str) and option.startswith("-")
    }


@pytest.mark.az
@pytest.mark.parametrize("name", COMMANDS)
def test_an_option_of_az_is_taken_or_said_not_to_be(name: str, of_az: dict[str, dict[str, Any]]) -> None:
    theirs = options_of(of_az[name])
    ours = spellings(COMMANDS[name])
    refused = {option for row in NOT_TAKEN if row.command in (name, "") for option in row.spellings}

    assert (EVERYWHERE | theirs.keys()) - ours.keys() == refused
    assert not refused & ours.keys()


@pytest.mark.az
@pytest.mark.parametrize("name", ["aks create", "aks nodepool add", "aks nodepool update", "aks nodepool upgrade"])
def test_the_table_of_options_is_that_of_az(name: str, of_az: dict[str, dict[str, Any]]) -> None:
    table = {option: each for option, each in options_of_table(name).items() if each.taken_by == AZ}

    assert table.keys() == EVERYWHERE | options_of(of_az[name]).keys()
    for option, argument in options_of(of_az[name]).items():
        flag = "0" if argument.get("action") == "store_true" else None
        assert table[option].values == (flag or argument.get("nargs") or "1"), option


@pytest.mark.az
@pytest.mark.parametrize("name", COMMANDS)
def test_an_option_takes_as_many_values_and_the_same_ones(name: str, of_az: dict[str, dict[str, Any]]) -> None:
    ours = spellings(COMMANDS[name])
    rows = (*CLUSTER_OPTIONS, *taken_by(Taker.CREATE), *POOL_OPTIONS)
    parsers = {word: row.form.settings.get("parser") for row in rows for word in row.words.split()}
    for option, argument in options_of(of_az[name]).items():
        mine = ours.get(option)
        if mine is None or argument.get("nargs") == "?":
            continue  # az's true-or-false: docs/compatibility.md says so
        assert mine.multiple == (argument.get("nargs") in ("*", "+")), option
        assert mine.is_flag == (argument.get("action") == "store_true"), option
        for value in argument.get("choices") or ():
            assert parsers[option](value).lower() == value.lower(), option


@pytest.mark.az
@pytest.mark.parametrize("name", SAID)
def test_az_makes_the_same_node_pool_of_the_same_words(
    name: str, lab: Lab, service: ServiceProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if service.client.get(service.client.cluster()).status_code == 404:
        service.client.make_cluster()
    words = SAID[name].arguments(tmp_path)
    of_pool = ["--resource-group", "rg", "--cluster-name", "c1", "--name"]

    lab.ok("aks nodepool add", *of_pool, f"{name[:5]}1", *words)
    monkeypatch.setenv("POOLWRIGHT_DATA_DIR", str(service.data_dir))
    made = printed("aks", "nodepool", "add", *of_pool, f"{name[:5]}2", *words)["properties"]

    for path in SAID[name].properties:
        assert found_at(made, path) == found_at(lab.pool(f"{name[:5]}1"), path), path


@pytest.mark.az
def test_the_same_words_are_taken_refused_and_sent_as_by_az(
    lab: Lab, service: ServiceProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POOLWRIGHT_DATA_DIR", str(service.data_dir))
    for cluster in ("theirs", "ours"):
        service.client.make_cluster(cluster)
        for at, row in enumerate(ALIKE):
            if row.command != "add":
                service.client.make_pool(f"p{at}", {"count": 0} | (row.before or {}), cluster=cluster)

    theirs = lab.az.run_each([[*of_pool(row.command, "theirs", at), *row.arguments()] for at, row in enumerate(ALIKE)])

    differing = {}
    for at, row in enumerate(ALIKE):
        _, code = ended(*of_pool(row.command, "ours", at), *row.arguments())
        by_az = left(service, "theirs", at, is_accepted=theirs[at]["code"] == 0)
        by_us = left(service, "ours", at, is_accepted=code == 0)
        if by_az != by_us:
            differing[f"{row.command} {row.words} of {row.before}"] = (by_az, by_us)
    assert differing == {}
    assert {row["code"] == 0 for row in theirs} == {True, False}


def of_pool(command: str, cluster: str, at: int) -> list[str]:
    return ["aks", "nodepool", command, "--resource-group", "rg", "--cluster-name", cluster, "--name", f"p{at}"]


def left(service: ServiceProcess, cluster: str, at: int, *, is_accepted: bool) -> tuple[int | None, dict[str, Any]]:
    """How many requests there were to change the node pool, None where the words were refused, and what it is then."""
    kept = json.loads(ended("requests", "--pool", f"p{at}", "--output", "json")[0])["value"]
    path = service.client.pool(f"p{at}", cluster).lower()
    changes = [row for row in kept if row["path"].lower().startswith(path) and row["method"] in ("PUT", "POST")]
    has = service.client.get(path).json().get("properties", {})
    return len(changes) if is_accepted else None, {
        name: value for name, value in has.items() if name not in ("eTag", "poolwright")
    }


@pytest.mark.az
def test_az_makes_the_same_cluster_of_the_same_words(
    lab: Lab, service: ServiceProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = service.client
    if client.get(client.group()).status_code == 404:
        client.put(client.group(), json={"location": "eastus"})
    words = " ".join((*OF_CLUSTER, FIRST_POOL.words, "--generate-ssh-keys")).split()

    # Both take the key in the home directory, which the first one makes.
    lab.ok("aks create", "--resource-group", "rg", "--name", "one", *words)
    monkeypatch.setenv("HOME", lab.az.environment["HOME"])
    monkeypatch.setenv("POOLWRIGHT_DATA_DIR", str(service.data_dir))
    ours = printed("aks", "create", "--resource-group", "rg", "--name", "two", *words)
    theirs = client.get(client.cluster("one")).json()
    shutil.rmtree(Path.home() / ".ssh")

    for path in (*(path for path, _ in OF_CLUSTER.values()), "properties.linuxProfile", "identity.type"):
        assert found_at(ours, path) == found_at(theirs, path), path
    [our_pool], [their_pool] = (made["properties"]["agentPoolProfiles"] for made in (ours, theirs))
    for path in FIRST_POOL.properties:
        assert found_at(our_pool, path) == found_at(their_pool, path), path


def printed(*arguments: str) -> dict[str, Any]:
    """The JSON that `poolwright` prints; it must succeed."""
    out, code = ended(*arguments, "--output", "json")
    assert code == 0
    document: dict[str, Any] = json.loads(out)
    return document


def ended(*arguments: str) -> tuple[str, int]:
    """What `poolwright` prints, and its exit code."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), pytest.raises(SystemExit) as end:
        main(arguments)
    return out.getvalue(), int(end.value.code or 0)
