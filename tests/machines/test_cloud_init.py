"""What machines are told by cloud-init. People read the golden files; `POOLWRIGHT_WRITE_GOLDEN=1` writes them."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from email import message_from_bytes
from pathlib import Path
from typing import Any

import pytest
import yaml

from poolwright.domain.machine import Login
from poolwright.machines.local import cloud_init
from poolwright.machines.local.cloud_init import LARGEST_USER_DATA_BYTES, Kind, UserDataRefused, user_data

GOLDEN = Path(__file__).parent / "golden"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEvdRMwBJaZLg0rmX2DVO4F2Zpo6V+Jg0E2mqVqzQqJC me@laptop"
LOGIN = Login("azureuser", (KEY,))
CONFIG = b"#cloud-config\npackages: [ferret]\nusers:\n- name: mole\n"
SCRIPT = b"#!/bin/sh\necho 'From here' >/run/mine\n"


def seed(login: Login | None = LOGIN, own: bytes | None = None, **more: str) -> Mapping[str, bytes]:
    machine = {
        "instance_id": "0a1b2c3d-0000-4000-8000-000000000001",
        "hostname": "aks-np1-12345678-vmss000000",
        "mac": "52:54:00:0a:1b:2c",
    } | more
    return cloud_init.seed(**machine, login=login, user=user_data(own) if own is not None else None)


@pytest.mark.parametrize(
    ("name", "files"),
    [("seed", seed()), ("seed-with-user-data", seed(own=CONFIG)), ("seed-without-login", seed(login=None))],
)
def test_a_seed_is_as_its_golden_files_show(name: str, files: Mapping[str, bytes]) -> None:
    directory = GOLDEN / name
    if os.environ.get("POOLWRIGHT_WRITE_GOLDEN"):
        directory.mkdir(exist_ok=True)
        for place, content in files.items():
            (directory / place).write_bytes(content)
    assert files == {path.name: path.read_bytes() for path in directory.iterdir()}


def config_of(files: Mapping[str, bytes]) -> dict[str, Any]:
    content = files["user-data"]
    assert content.startswith(b"#cloud-config\n")
    found = yaml.safe_load(content)
    assert isinstance(found, dict)
    return found


def test_the_cluster_s_keys_open_the_cluster_s_account_and_no_password_does() -> None:
    config = config_of(seed())
    (user,) = config["users"]
    assert (user["name"], user["ssh_authorized_keys"], user["lock_passwd"]) == ("azureuser", [KEY], True)
    assert config["ssh_pwauth"] is False


def test_without_keys_there_is_no_account_not_even_the_image_s_own() -> None:
    assert config_of(seed(login=None))["users"] == []


def test_a_machine_made_again_is_another_instance_and_the_card_is_named_by_its_address() -> None:
    first, second = (yaml.safe_load(seed(instance_id=name)["meta-data"]) for name in ("one", "two"))
    assert (first, second) == (
        {"instance-id": "one", "local-hostname": "aks-np1-12345678-vmss000000"},
        {"instance-id": "two", "local-hostname": "aks-np1-12345678-vmss000000"},
    )
    network = yaml.safe_load(seed()["network-config"])
    assert network["ethernets"]["eth0"]["match"] == {"macaddress": "52:54:00:0a:1b:2c"}


def test_an_address_of_digits_alone_is_no_number() -> None:
    """YAML 1.1 reads 52:54:00:12:34:56 as a number to the base of 60."""
    network = yaml.safe_load(seed(mac="52:54:00:12:34:56")["network-config"])
    assert network["ethernets"]["eth0"]["match"] == {"macaddress": "52:54:00:12:34:56"}


@pytest.mark.parametrize(
    ("own", "kind"), [(CONFIG, "text/cloud-config"), (SCRIPT, "text/x-shellscript")], ids=["a cloud-config", "a script"]
)
def test_user_data_of_the_operator_s_own_come_after_ours_and_unchanged(own: bytes, kind: str) -> None:
    parts = message_from_bytes(seed(own=own)["user-data"]).get_payload()
    assert isinstance(parts, list)
    ours, theirs = parts
    assert (ours.get_content_type(), ours.get_payload(decode=True)) == ("text/cloud-config", seed()["user-data"])
    assert (theirs.get_content_type(), theirs.get_payload(decode=True)) == (kind, own)
    # Else cloud-init would keep our list of users and drop theirs.
    merged = "list(append)+dict(recurse_list)+str()" if own is CONFIG else None
    assert theirs["Merge-Type"] == merged


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"#cloud-config\n", Kind.CLOUD_CONFIG),
        (b"#cloud-config  \r\npackages: []\r\n", Kind.CLOUD_CONFIG),
        ("#cloud-config\nmotd: Grüße\n".encode(), Kind.CLOUD_CONFIG),
        (b"#!/usr/bin/python3\n", Kind.SCRIPT),
        (b"#!/bin/sh\n" + b"#" * (LARGEST_USER_DATA_BYTES - 10), Kind.SCRIPT),
    ],
)
def test_a_cloud_config_and_a_script_are_user_data(content: bytes, kind: Kind) -> None:
    found = user_data(content)
    assert found.kind is kind
    assert "\r" not in found.text


SECRET = "hunter2-hunter2"
NO_VALUES = (
    *("!!int ''", "!!int x", "!!float ''", "!!bool x", "!!timestamp x", "2026-06-31", "1" * 5000),
    f"1{':1' * 400}.0",
)
MERGE_BOMB = "#cloud-config\na0: &a0 {x: 1}\n" + "".join(
    f"a{level}: &a{level} {{<<: [{', '.join([f'*a{level - 1}'] * 9)}]}}\n" for level in range(1, 9)
)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "its first line must be '#cloud-config', or begin with '#!'"),
        (f"password: {SECRET}\n".encode(), "its first line must be"),
        (b"## template: jinja\n#cloud-config\n", "templates, includes and MIME archives are not taken"),
        (b"#include\nhttps://example.org\n", "its first line must be"),
        (b"#cloud-config-archive\n- {}\n", "its first line must be"),
        (f"#cloud-config\n- {SECRET}\n".encode(), "its YAML is no mapping"),
        (f"#cloud-config\na: *{SECRET}\n".encode(), "it is no YAML from line 2 on"),
        (f"#cloud-config\na: [{SECRET}\n".encode(), "it is no YAML from line 3 on"),
        (b"#cloud-config\na: " + b"[" * 20_000, "nested deeper than 64 levels"),
        (b"#cloud-config\na: \x00", "it is no YAML"),
        (b"#cloud-config\na: " + b"[" * 100 + b"]" * 100, "nested deeper than 64 levels (line 2)"),
        (MERGE_BOMB.encode(), "more than 50000 values with its aliases written out"),
        (b"#cloud-config\na: &a [*a]\n", "the aliases of the YAML make it endless"),
        (b"#cloud-config\na: 1\n--- \nb: 1\n", "its YAML has a second document from line 4 on"),
        (f"#cloud-config\na: !{SECRET} 1\n".encode(), "its YAML has a tag or a name on line 2"),
        (b"#cloud-config\n? [a]\n: 1\n", "its YAML has a tag or a name on line 2"),
        *((f"#cloud-config\na: {value}\n".encode(), "a value that is not of its type") for value in NO_VALUES),
        (b"#!/bin/sh\n\xff", "it is not UTF-8: byte 10"),
        (b"#!/bin/sh\n" + b"#" * LARGEST_USER_DATA_BYTES, "it has 65,546 bytes, and user data have 65,536 at most"),
    ],
)
def test_anything_else_is_refused_and_not_repeated(content: bytes, words: str) -> None:
    with pytest.raises(UserDataRefused) as refused:
        user_data(content)
    assert words in str(refused.value)
    assert SECRET not in str(refused.value)
    assert refused.value.__cause__ is None


def test_user_data_that_stand_for_millions_of_values_are_refused_at_once() -> None:
    begun = time.process_time()
    with pytest.raises(UserDataRefused, match="written out"):
        user_data(MERGE_BOMB.encode())
    assert time.process_time() - begun < 1


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "null\n", "a: &a {x: 1}\nb: {<<: *a, y: 2}\nc: [*a, 2026-06-30]\n"]
)
def test_aliases_merges_and_nothing_at_all_are_taken(text: str) -> None:
    assert user_data(f"#cloud-config\n{text}".encode()).kind is Kind.CLOUD_CONFIG


def test_user_data_are_not_shown_where_they_are_logged() -> None:
    assert SECRET not in repr(user_data(f"#!/bin/sh\n# {SECRET}\n".encode()))
