"""What is printed to be typed is taken by a shell and by az as it is meant, or begins with # and says why not."""

from __future__ import annotations

import argparse
import csv
import json
import shlex
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from poolwright.domain.resource_id import ClusterId, GroupId, NodePoolId
from poolwright.fleet.commands import OPTIONS, Unsayable, az, az_add, az_change, az_usage, option
from poolwright.fleet.plan import Plan
from poolwright.fleet.plan_report import outline
from poolwright.fleet.planning import plan
from poolwright.fleet.reading import read
from poolwright.reports.blocks import markdown
from tests.fleet.fleets import audited, cluster, fleet_of, pool, targets_for

POOL = NodePoolId(ClusterId(GroupId("s", "rg"), "c1"), "np1")
VALUES = st.text(st.sampled_from("@-= a'\"$\n\x1b"), max_size=5) | st.text(max_size=5)


def expanded(words: list[str]) -> list[str]:
    """The words as az has them after it has read files, each of which here holds the word FILE.

    As `_expand_file_prefixed_files` of azure-cli 2.91.0 does it; tests/az compares them.
    """
    found = []
    for word in words:
        name, equals, value = word.partition("=")
        if not equals:
            name, value = "", word
        found.append(f"{name}{equals}{'FILE' if value.startswith('@') and len(value) > 1 else value}")
    return found


@given(st.lists(VALUES, min_size=1, max_size=3))
@example(["--"])
def test_az_gets_the_values_that_are_meant_or_no_line(values: list[str]) -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False, exit_on_error=False)
    parser.add_argument("--tags", nargs="*")
    parser.add_argument("-o")
    if any(not value.isprintable() for value in values):
        with pytest.raises(Unsayable, match=r"--tags .* do not print") as why:
            option("--tags", *values)
        assert str(why.value).isprintable()
        return
    try:
        line = option("--tags", *values)
    except Unsayable:
        assert any("@" in value or value.startswith("-") for value in values)
        return
    assert parser.parse_args(expanded(shlex.split(line))).tags == values


@pytest.mark.parametrize(
    ("values", "line"),
    [
        (("a",), "-n a"),
        (("-o",), "-n=-o"),
        (("a=@b",), "-n=a=@b"),
        (("a@b", "@", "x=@", "@a=b"), "-n a@b @ x=@ @a=b"),
    ],
)
def test_a_value_that_az_would_take_for_something_else_stands_behind_the_equals_sign(
    values: tuple[str, ...], line: str
) -> None:
    assert option("-n", *values) == line


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (("@b",), "az takes -n '@b' for the name of a file to read"),
        (("a=@b", "c"), "az takes -n 'a=@b' for the name of a file to read"),
        (("-a", "b"), "az takes -n '-a' for an option"),
        (("a\x1b",), r"-n 'a\\x1b' has characters that do not print"),
        (("a\u202e", "b"), r"-n 'a\\u202e' has characters that do not print"),
    ],
)
def test_a_value_that_az_takes_in_no_form_is_refused_by_name(values: tuple[str, ...], why: str) -> None:
    with pytest.raises(Unsayable, match=why):
        option("-n", *values)


def test_a_line_that_cannot_be_typed_is_a_comment_that_says_why() -> None:
    odd = NodePoolId(ClusterId(GroupId("s", "rg"), "@c"), "np1")
    tags: dict[str, Any] = {"vmSize": "S", "tags": {"a": "b", "owner": "@alice"}}
    for line, about in (
        (az("aks nodepool delete", odd), "--cluster-name '@c'"),
        (az_add(POOL, tags, {}).lines[0], "--tags 'owner=@alice'"),
        (az_change(POOL, {"vmSize": "@x", "vmGeneration": "V2"}, {}), "--set 'properties.vmSize=@x'"),
        (az_change(POOL, {"vmSize": "@x"}, {}), "--node-vm-size '@x'"),
    ):
        assert line.startswith("# az ")
        assert f"cannot be typed: az takes {about} for the name of a file" in line
    (tainted,) = az_add(POOL, {"nodeTaints": ["a=b:NoSchedule", "z:NoExecute"]}, {}).lines
    assert tainted.startswith("# az aks nodepool add cannot be typed: az refuses --node-taints 'a=b:NoSchedule,z:NoExe")
    assert az_usage("s", "eastus", "a' || 'b").startswith("# az vm list-usage cannot be typed")
    assert az_usage("s", "eastus", "standardDSv3Family").startswith("az vm list-usage -l eastus ")


def test_what_is_configured_of_nodes_is_said_by_options_and_files() -> None:
    configured: dict[str, Any] = {
        "vmSize": "S",
        "artifactStreamingProfile": {"enabled": True},
        "creationData": {"sourceResourceId": "/subscriptions/s/snapshots/x"},
        "kubeletConfig": {"cpuManagerPolicy": "static"},
        "linuxOSConfig": {"sysctls": {"vmMaxMapCount": 262144}},
        "localDNSProfile": {"mode": "Required"},
        "messageOfTheDay": "SGVsbG8=",
        "networkProfile": {
            "allowedHostPorts": [
                {"portStart": 80, "portEnd": 80, "protocol": "TCP"},
                {"portStart": 4000, "portEnd": 5000, "protocol": "UDP"},
            ],
            "applicationSecurityGroups": ["/a", "/b"],
            "nodePublicIPTags": [{"ipTagType": "RoutingPreference", "tag": "Internet"}],
        },
        "securityProfile": {"sshAccess": "Disabled"},
    }
    added = az_add(POOL, configured, {})
    assert added.unsaid == ("securityProfile.sshAccess",)
    *files, line = added.lines
    assert files == [
        '# write into np1-kubeletConfig.json, which az reads in this directory: {"cpuManagerPolicy": "static"}',
        '# write into np1-linuxOSConfig.json, which az reads in this directory: {"sysctls": {"vmMaxMapCount": 262144}}',
        '# write into np1-localDNSProfile.json, which az reads in this directory: {"mode": "Required"}',
        "# write into np1-messageOfTheDay.txt, which az reads in this directory: "
        "the text that base64 --decode makes of SGVsbG8=",
    ]
    assert (
        "--enable-artifact-streaming --allowed-host-ports 80/tcp 4000-5000/udp --asg-ids /a /b "
        "--node-public-ip-tags RoutingPreference=Internet --snapshot-id /subscriptions/s/snapshots/x "
        "--kubelet-config np1-kubeletConfig.json --linux-os-config np1-linuxOSConfig.json "
        "--localdns-config np1-localDNSProfile.json --message-of-the-day np1-messageOfTheDay.txt"
    ) in line


@pytest.mark.parametrize(
    ("properties", "unsaid"),
    [
        ({"messageOfTheDay": "w6k="}, "messageOfTheDay"),
        ({"messageOfTheDay": "no base64!"}, "messageOfTheDay"),
        ({"networkProfile": {"allowedHostPorts": [{"portStart": 80}]}}, "networkProfile.allowedHostPorts"),
        ({"networkProfile": {"applicationSecurityGroups": ["/a"]}}, "networkProfile.applicationSecurityGroups"),
        ({"networkProfile": {"allowedHostPorts": [80]}}, "networkProfile.allowedHostPorts"),
        (
            {"networkProfile": {"nodePublicIPTags": [{"ipTagType": "a", "tag": "b"}] * 2}},
            "networkProfile.nodePublicIPTags",
        ),
    ],
)
def test_a_value_that_no_option_takes_as_it_is_is_told(properties: dict[str, Any], unsaid: str) -> None:
    added = az_add(POOL, properties, {})
    assert added.unsaid == (unsaid,)
    assert len(added.lines) == 1


def test_what_holds_nothing_is_not_said() -> None:
    nothing = {"allowedHostPorts": [], "applicationSecurityGroups": [], "nodePublicIPTags": []}
    empty = {"networkProfile": nothing, "kubeletConfig": {}, "linuxOSConfig": {}, "localDNSProfile": {}}
    assert az_add(POOL, {"vmSize": "S", **empty}, {}) == az_add(POOL, {"vmSize": "S"}, {})


def test_every_option_that_adds_a_node_pool_is_one_of_az_without_extensions() -> None:
    with files("poolwright.az").joinpath("options.csv").open(encoding="utf-8") as table:
        rows = [row for row in csv.DictReader(table) if row["command"] == "aks nodepool add"]
    known = {name for row in rows if row["taken_by"] == "az" for name in row["options"].split()}
    assert {row.option for row in OPTIONS} - {""} <= known


def test_a_way_back_says_what_it_leaves_out() -> None:
    snapshot = {"creationData": {"sourceResourceId": "/subscriptions/s/snapshots/x"}}
    (move,) = planned(cluster(pool(securityProfile={"sshAccess": "Disabled"}, **snapshot))).moves
    told = "az aks nodepool add has no option for securityProfile.sshAccess as it is"
    assert f"{told}; the call of the SDK sends it" in move.remarks
    *_, lost, again = move.way_back
    assert lost == f"# {told}; the node pool is made without it"
    assert "--snapshot-id /subscriptions/s/snapshots/x" in again
    assert "--snapshot-id" not in move.steps[1].az[0], "the image of the snapshot is the old one"


def planned(*clusters: dict[str, Any]) -> Plan:
    fleet = read([("x.json", json.dumps(clusters))])
    targets = targets_for(fleet)
    return plan(fleet, audited(fleet), targets)


def test_no_line_of_a_plan_hands_az_a_file_or_an_option_of_an_export() -> None:
    tags, taints = {"a": "@/etc/passwd", "-b": "c"}, ["@x=y:NoSchedule"]
    made = planned(
        cluster(pool(tags=tags), name="@evil", group="-o"),
        cluster(pool(tags=tags, nodeTaints=taints), name="c2"),
        cluster(pool(tags={"a": "@b"}, nodeTaints=["a=b:NoSchedule"]), name="c3", location=None),
    )
    assert len(made.moves) == 3
    lines = [line for move in made.moves for step in move.steps for line in (*step.az, *step.undo)]
    lines += [check.run for move in made.moves for step in move.steps for check in step.checks]
    lines += [line for move in made.moves for line in move.way_back if line.startswith("az ")]
    lines += [row.check for row in made.quota]
    for line in lines:
        if line.startswith("az "):
            words = shlex.split(line)
            assert expanded(words) == words
            assert "unknown" not in words
            assert "-g=-o" in words or "-g" not in words or words[words.index("-g") + 1] == "rg"
            assert "-b=c" not in words
    (third,) = [move for each in made.clusters if each.cluster == "c3" for move in each.moves]
    (add,) = third.steps[1].az
    assert "--tags=a=@b" in add
    assert "--node-taints a=b:NoSchedule" in add
    assert "-l unknown" not in markdown(outline(made))


def test_a_remedy_says_what_to_fill_in_and_what_cannot_be_typed() -> None:
    unknown, stopped = pool(vmSize="Standard_Nobody_v9"), {"powerState": {"code": "Stopped"}}
    found = audited(
        fleet_of(
            cluster(unknown, location=None),
            cluster(pool(), name="@c", group="-g", **stopped),
            cluster(pool(), name="-c", **stopped),
        )
    )
    remedies: dict[str, list[str]] = {}
    for each in found.pools:
        for finding in each.findings:
            remedies.setdefault(finding.id, []).append(finding.remedy)
    assert remedies["size-unknown"][0].endswith(
        "az vm list-skus -l LOCATION --all -o json > skus.json, with its location in the place of LOCATION"
    )
    assert sorted(remedies["cluster-stopped"]) == [
        "start it (not with az: az takes -n '@c' for the name of a file to read)",
        "start it: az aks start -g rg -n=-c",
    ]
