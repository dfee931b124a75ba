"""`poolwright catalog`: lists go to the service as they are, and what it made of them is told."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.arm.test_catalog_import import ENTRY, VERSIONS, changed, listed
from tests.cli.conftest import CommandLine

SIZE = str(ENTRY["name"])
ONE_SIZE = [
    "Location    Sizes    Restricted    LeftOut    Why",
    "----------  -------  ------------  ---------  ----------------------",
    "eastus      1        1             1          resource type disks: 1",
]


@pytest.fixture(autouse=True)
def built_in_again(poolwright: CommandLine) -> Iterator[None]:
    yield
    poolwright.done("catalog", "reset")


def file(tmp_path: Path, name: str, content: Any) -> str:
    path = tmp_path / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def cells(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()[2:]]


def test_a_file_is_imported_and_what_was_left_out_is_told(poolwright: CommandLine, tmp_path: Path) -> None:
    skus = file(tmp_path, "skus.json", [ENTRY, changed(resourceType="disks")])
    assert poolwright.done("catalog", "import", skus).out.splitlines() == ONE_SIZE
    assert cells(poolwright.done("vm", "list-skus", "-l", "eastus", "--all").out)[0][:3] == [
        "virtualMachines",
        "eastus",
        SIZE,
    ]
    shown = poolwright.done("catalog", "show").out.splitlines()
    assert shown[2].startswith("eastus      1        imported 20")
    assert shown[3].split()[:3] == ["westus2", "1254", "built-in"]


def test_stdin_and_several_files_are_one_import(
    poolwright: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(json.dumps(VERSIONS).encode())))
    images = {"value": [listed("AKSUbuntu", "2204gen2containerd", "202611.05.0"), listed("AKSUbuntu", "9904", "1")]}
    paths = [file(tmp_path, "skus.json", [ENTRY]), file(tmp_path, "images.json", images)]
    ended = poolwright.done("catalog", "import", *paths, "-", "--location", "East US")
    assert cells(ended.out) == [["eastus", "1", "1", "2", "0", "-"]]
    assert ended.err.splitlines() == [
        "Node images: 1 named by the list, 82 kept as they are.",
        "1 of the list are of no definition known here: AKSUbuntu-9904-1",
    ]
    [eastus] = poolwright.done("catalog", "show", "-l", "eastus", "-o", "json").json["locations"]
    assert (eastus["sizes"]["count"], eastus["kubernetesVersions"]["count"]) == (1, 2)


def test_json_is_the_document_of_the_wire(poolwright: CommandLine, tmp_path: Path) -> None:
    elsewhere = changed(locations=["mars"], locationInfo=[{"location": "mars"}])
    ended = poolwright.done("catalog", "import", file(tmp_path, "skus.json", [ENTRY, elsewhere]), "-o", "json")
    assert [(one["location"], one["isOffered"]) for one in ended.json["locations"]] == [
        ("eastus", True),
        ("mars", False),
    ]
    assert ended.err == ""
    shown = poolwright.done("catalog", "show")
    assert "Stored for locations this service does not offer: mars." in shown.err
    assert poolwright.done("catalog", "reset", "-o", "json").json["kept"] == []


def test_nothing_taken_is_said(poolwright: CommandLine, tmp_path: Path) -> None:
    ended = poolwright.done("catalog", "import", file(tmp_path, "disks.json", [changed(resourceType="disks")]))
    assert ended.err == "Nothing was taken of eastus, which stay as they were.\n"


def test_a_mistake_is_named_with_file_line_and_column_and_nothing_is_changed(
    poolwright: CommandLine, tmp_path: Path
) -> None:
    before = poolwright.done("catalog", "show", "-o", "json").json
    good, bad = file(tmp_path, "good.json", [ENTRY]), file(tmp_path, "bad.json", '[\n  {"name": 1 2}\n]')
    ended = poolwright("catalog", "import", good, bad)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err == f"error: {bad}:2:14: Expecting ',' delimiter. Nothing was changed.\n"
    as_json = poolwright("catalog", "import", good, bad, "-o", "json")
    assert (as_json.code, as_json.json["error"]["code"], as_json.err) == (1, "InvalidRequestContent", "")
    assert poolwright.done("catalog", "show", "-o", "json").json == before


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["/nowhere.json"], 1, "error: /nowhere.json cannot be read: No such file or directory"),
        (["/"], 1, "error: / cannot be read: Is a directory"),
        (["-", "-"], 2, "error: - is stdin, which can be read once"),
    ],
)
def test_a_file_that_cannot_be_read_is_told(
    poolwright: CommandLine, arguments: list[str], code: int, told: str
) -> None:
    ended = poolwright("catalog", "import", *arguments)
    assert (ended.code, ended.err.strip()) == (code, told)


def test_versions_without_their_location_are_refused(poolwright: CommandLine, tmp_path: Path) -> None:
    ended = poolwright("catalog", "import", file(tmp_path, "versions.json", VERSIONS))
    assert ended.code == 1
    assert "poolwright catalog import FILE --location eastus" in ended.err


def test_a_location_that_is_not_offered_cannot_be_shown(poolwright: CommandLine) -> None:
    ended = poolwright("catalog", "show", "-l", "mars")
    assert (ended.code, ended.err) == (1, "error: the service does not offer location mars\n")


def restrictions(poolwright: CommandLine, *arguments: str) -> str:
    """What the size's restrictions are after a command."""
    ended = poolwright.done("catalog", "restrict", "standard_d4s_V5", "-l", "East US", *arguments)
    [row] = ended.out.splitlines()[2:]
    assert row.startswith("eastus      Standard_D4s_v5  ")
    return row.removeprefix("eastus      Standard_D4s_v5").strip()


def test_restrictions_are_set_changed_and_lifted(poolwright: CommandLine) -> None:
    here = "NotAvailableForSubscription, type: Location"
    assert restrictions(poolwright) == here
    assert restrictions(poolwright, "--reason", "quotaid") == "QuotaId, type: Location"
    assert restrictions(poolwright, "--zone", "2", "--zone", "1") == (
        "QuotaId, type: Location; NotAvailableForSubscription, type: Zone, zones: 1,2"
    )
    assert restrictions(poolwright, "--zone", "1", "--reason", "QuotaId") == (
        "QuotaId, type: Location; NotAvailableForSubscription, type: Zone, zones: 2; QuotaId, type: Zone, zones: 1"
    )
    assert (
        restrictions(poolwright, "--zone", "2", "--clear") == "QuotaId, type: Location; QuotaId, type: Zone, zones: 1"
    )
    assert restrictions(poolwright, "--clear") == "None"


def test_a_restricted_size_is_hidden_without_all_and_shown_with_it(poolwright: CommandLine) -> None:
    restrictions(poolwright)
    listing = ["vm", "list-skus", "-l", "eastus", "--size", "Standard_D4s_v5"]
    assert poolwright.done(*listing).out == ""
    [row] = poolwright.done(*listing, "--all").out.splitlines()[2:]
    assert "NotAvailableForSubscription, type: Location, locations: eastus" in row


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["Standard_Nothing"], "VM size 'Standard_Nothing' is not offered in location 'eastus'"),
        (["Standard_D4s_v5", "--zone", "9"], "has no zone(s) 9"),
    ],
)
def test_a_restriction_of_what_is_not_there_is_refused(
    poolwright: CommandLine, arguments: list[str], told: str
) -> None:
    ended = poolwright("catalog", "restrict", *arguments, "-l", "eastus")
    assert (ended.code, ended.out) == (1, "")
    assert told in ended.err


def test_explain_answers_by_the_catalogue_in_force_and_says_so(
    poolwright: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = ("explain", "-s", "Standard_D4s_v5")
    assert "Catalogue         built-in" in poolwright.done(*other).out.splitlines()
    poolwright.done("catalog", "import", file(tmp_path, "skus.json", [changed(restrictions=[])]))

    directory = os.environ["POOLWRIGHT_DATA_DIR"]
    called = f"sizes of {directory}, else built-in"
    assert poolwright.done("explain", "-s", SIZE, "-o", "json").json["properties"]["catalogue"] == called
    refused = poolwright(*other)
    assert (refused.code, f"  catalogue: {called}" in refused.err.splitlines()) == (1, True), refused.err
    assert "VMSizeNotSupported" in refused.err
    # By the built-in one where it is asked for, in a location without imports, and where another service is named.
    assert poolwright.done(*other, "--built-in").out == poolwright.done(*other, "-l", "westus2").out
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("POOLWRIGHT_ENDPOINT", "https://127.0.0.1:1")
        assert "Catalogue         built-in" in poolwright.done(*other).out.splitlines()
        assert poolwright(*other, "--data-dir", directory).code == 1


def test_explain_says_when_the_catalogue_in_force_cannot_be_read(alone: CommandLine, tmp_path: Path) -> None:
    known = {"tenantId": "t", "clientId": "c", "clientSecret": "s", "subscriptionId": "u"}
    (tmp_path / "credentials.json").write_text(json.dumps(known))
    (tmp_path / "endpoint.json").write_text(json.dumps({"url": "https://127.0.0.1:1"}))
    for content in (None, b"no database"):
        if content is not None:
            (tmp_path / "poolwright.sqlite").write_bytes(content)
        told = alone.done("explain", "-s", SIZE, "--data-dir", str(tmp_path)).out
        assert f"Catalogue         built-in; the one of {tmp_path} cannot be read: " in told
    assert (tmp_path / "poolwright.sqlite").read_bytes() == b"no database", "it is only read"
