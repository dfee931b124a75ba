"""What YAML holds under keys that are no scripts is never read as one, and never passed over."""

from __future__ import annotations

import json

import pytest

from poolwright.templates.partial import Unknown
from tests.lint.yaml_pools import read

ADD = "az aks nodepool add -g rg --cluster-name c -n w22 -s Standard_D2_v2"


@pytest.mark.parametrize(
    "content",
    [
        f"- hosts: all\n  vars: {{cmd: {ADD}}}\n",
        f"- set_fact: {{cmd: {ADD}}}\n",
        f"- ansible.builtin.set_fact:\n    script: |\n      {ADD}\n",
        f"- hosts: all\n  vars: {{of: {{these: {{cmd: [echo, {ADD}]}}}}}}\n",
        f"cmd: {ADD}\n",
        f"args: {ADD}\n",
        f"env: {{RUN: {ADD}}}\njobs: {{}}\n",
        f"variables: {{run: {ADD}}}\n",
        f"variables:\n- name: run\n  value: {ADD}\n",
        f"- environment: {{SHELL: {ADD}}}\n  shell: $SHELL\n",
    ],
)
def test_a_variable_is_no_command_but_may_be_run(content: str) -> None:
    (pool,), wrong = read(content)
    assert (pool.name, wrong) == (pool.open_ended, [])
    assert isinstance(pool.properties["vmSize"], Unknown)
    assert pool.condition is not None
    assert pool.condition.endswith(" is run")


@pytest.mark.parametrize(
    "content",
    [
        f"- vars: {{description: {ADD}}}\n",
        "- vars: {cmd: az aks nodepool list, more: [az aks show, 1]}\n",
        f"- debug: {{msg: {ADD}}}\n",
    ],
)
def test_a_variable_that_makes_no_node_pool_is_no_matter(content: str) -> None:
    assert read(content) == ([], [])


@pytest.mark.parametrize(
    "content",
    [
        f"- shell: {{cmd: {ADD}}}\n",
        f"- vars: {{a: b}}\n  shell: {ADD}\n",
        f"command: [{ADD.replace(' ', ', ')}]\n",
        f"jobs:\n  env:\n    steps:\n    - run: {ADD}\n",
    ],
)
def test_a_command_beside_variables_is_read(content: str) -> None:
    (pool,), wrong = read(content)
    assert (pool.name, pool.properties, wrong) == ("w22", {"vmSize": "Standard_D2_v2"}, [])


def test_a_command_that_a_variable_shares_with_a_task_is_read_there() -> None:
    pools, _ = read(f"- vars: {{cmd: &cmd {ADD}}}\n  shell: *cmd\n")
    assert [(pool.address, pool.condition) for pool in pools] == [("c/w22", None), ("?/?", "'cmd' is run")]


def test_each_command_of_a_taskfile_is_for_a_shell_of_its_own() -> None:
    cmds = [
        ADD,
        {"cmd": ADD.replace("w22", "w23")},
        "SIZE=A",
        ADD.replace("w22", "w24").replace("Standard_D2_v2", "$SIZE"),
    ]
    pools, wrong = read(json.dumps({"version": "3", "tasks": {"pool": {"desc": ADD, "cmds": cmds}}}))
    assert wrong == []
    assert {pool.name: pool.properties["vmSize"] for pool in pools} == {
        "w22": "Standard_D2_v2",
        "w23": "Standard_D2_v2",
        "w24": Unknown("$SIZE"),
    }


@pytest.mark.parametrize(
    ("content", "key", "line"),
    [
        (f"tasks:\n  a:\n    cmds:\n    - defer: {ADD}\n", "defer", 4),
        (f"kind: ConfigMap\ndata:\n  deploy.sh: |\n    #!/bin/sh\n    {ADD}\n", "deploy.sh", 3),
        (f"entrypoint:\n- sh\n- -c\n- {ADD}\n", "entrypoint", 4),
        (f"entrypoint: [{ADD.replace(' ', ', ')}]\n", "entrypoint", 1),
        (f"commands:\n- [echo, {ADD}]\n", "commands", 2),
        (f"- [{ADD}]\n", "", 1),
        ("steps:\n- powershellScript: New-AzAksNodePool -Name a\n", "powershellScript", 2),
        ("deploy: |\n  az aks nodepool \\\n    add -n a\n", "deploy", 1),
    ],
)
def test_a_command_under_a_key_that_is_no_script_is_told_at_its_place(content: str, key: str, line: int) -> None:
    pools, ((place, reason),) = read(content)
    assert (pools, place.line) == ([], line)
    assert f"stands here in '{key}', which is not known as a script" in reason


@pytest.mark.parametrize(
    "content",
    [
        f"# {ADD}\na: b\n",
        f"name: {ADD}\ndescription: {ADD}\n",
        f"- task: A\n  displayName: {ADD}\n",
        f"metadata:\n  annotations: {{kubernetes.io/description: {ADD}}}\n",
        f"data:\n  README.md: |\n    {ADD}\n",
        "a: az aks nodepool list\nb: az aks show\n",
        f"- action: debug msg='{ADD}'\n",
        f"{ADD.replace(' ', '-')}: a\n",
        f"description: {{long: [{ADD}]}}\n",
    ],
)
def test_words_for_people_are_no_commands(content: str) -> None:
    assert read(content) == ([], [])
