"""Tasks of Ansible are read in every form in which Ansible takes them."""

from __future__ import annotations

import pytest

from poolwright.templates.partial import Unknown
from tests.lint.yaml_pools import read

MODULE = "azure_rm_aksagentpool"
WORDS = "name=n3 resource_group=g cluster_name=c vm_size=Standard_D2_v2"
ADD = "az aks nodepool add -n n3 --cluster-name c -s Standard_D2_v2"


@pytest.mark.parametrize(
    "task",
    [
        f"- {MODULE}: {WORDS}\n",
        f"- azure.azcollection.{MODULE}: {WORDS}\n",
        f"- {MODULE}: >\n    name=n3 resource_group=g\n    cluster_name='c' vm_size=Standard_D2_v2\n",
        f"- {MODULE}: |\n    name=n3\n    cluster_name=c\n    vm_size=\"Standard_D2_v2\"\n",
        f"- {MODULE}:\n  args:\n    name: n3\n    cluster_name: c\n    vm_size: Standard_D2_v2\n",
        f"- {MODULE}: name=n3 vm_size=Standard_D2_v2\n  args: {{name: other, cluster_name: c}}\n",
        f"- action: {MODULE} {WORDS}\n",
        f"- action: module={MODULE} {WORDS}\n",
        f'- action: "{MODULE} {WORDS}"\n',
        f"- local_action: {MODULE} {WORDS}\n",
        f"- action: {{module: {MODULE}, name: n3, cluster_name: c, vm_size: Standard_D2_v2}}\n",
        f"- action:\n    module: {MODULE}\n    args: {{name: n3, cluster_name: c}}\n    vm_size: Standard_D2_v2\n",
        f"- action: {{module: '{MODULE} {WORDS}'}}\n",
        f"- local_action: shell {ADD}\n",
        f"- local_action: ansible.builtin.command {ADD}\n",
        "- action: >-\n    shell az aks nodepool add\n    -n n3 --cluster-name c -s Standard_D2_v2\n",
        f"- local_action: {{module: shell, cmd: {ADD}}}\n",
        f"- action: {{module: shell {ADD}}}\n",
        f"- raw: {ADD}\n",
        f"- ansible.builtin.raw: {ADD}\n",
        f"- ansible.windows.win_command: {ADD}\n",
    ],
)  # fmt: skip
def test_a_task_is_read_in_every_form(task: str) -> None:
    (pool,), wrong = read(task)
    assert (pool.address, pool.properties, pool.open_ended) == ("c/n3", {"vmSize": "Standard_D2_v2"}, None)
    assert wrong == []
    place = pool.place_of("vmSize")
    assert task.splitlines()[place.line - 1][place.column - 1 :].strip("\"'").startswith("Standard_D2_v2")


@pytest.mark.parametrize(
    ("task", "addresses"),
    [
        (f'- {MODULE}: "{{{{ pool }}}}"\n', ["?/?"]),
        (f'- {MODULE}:\n  args: "{{{{ pool }}}}"\n', ["?/?"]),
        (f'- action: {MODULE} "{{{{ pool }}}}"\n', ["?/?"]),
        (f"- {MODULE}: cluster_name=c name=n {{{{ pool }}}}\n", ["c/n"]),
        (f'- {MODULE}: "{{{{ pool }}}}"\n  args: {{name: n, cluster_name: c, vm_size: a}}\n', ["?/?"]),
        (f"- {MODULE}: [a]\n", ["?/?"]),
        ('- azure_rm_aks: "{{ cluster }}"\n', ["?/?"]),
        ('- azure_rm_aks: name=c agent_pool_profiles="{{ pools }}"\n', ["c/?"]),
        ('- azure_rm_aks: {name: c, agent_pool_profiles: ["{{ first }}", "{{ second }}"]}\n', ["c/?", "c/?"]),
    ],
)
def test_a_task_of_which_something_is_filled_in_is_an_unknown_node_pool(task: str, addresses: list[str]) -> None:
    pools, _ = read(task)
    assert [pool.address for pool in pools] == addresses
    assert all(pool.open_ended is not None and pool.properties == {} for pool in pools)


def test_a_value_that_is_filled_in_is_one_value_with_its_blanks() -> None:
    (pool,), _ = read(f"- {MODULE}: name=n cluster_name=c vm_size={{{{ size | default('a b') }}}} mode=User\n")
    assert pool.properties == {"vmSize": Unknown("{{ size | default('a b') }}"), "mode": "User"}
    assert pool.open_ended is None


def test_a_task_that_removes_or_only_looks_is_no_node_pool() -> None:
    content = f"- {MODULE}: {WORDS} state=absent\n- {MODULE}:\n- {MODULE}_info: {WORDS}\n"
    assert read(content) == ([], [])


def test_an_action_that_is_none_of_a_task_is_left_alone() -> None:
    assert read(f"- action: create {ADD}\n- action: {{name: x}}\n- action: [shell]\n- action: ''\n") == ([], [])


@pytest.mark.parametrize(
    "task", [f"- action: win_shell {ADD}\n", f"- action: shell {ADD}\n  args: {{executable: pwsh}}\n"]
)
def test_an_action_for_another_shell_is_told(task: str) -> None:
    pools, ((place, reason),) = read(task)
    assert pools == []
    assert (place.line, "what runs in 'pwsh' is not read" in reason) == (1, True)


@pytest.mark.parametrize(
    ("defaults", "task", "properties"),
    [
        (f"{MODULE}: {{vm_size: a}}", "{name: n}", {"vmSize": "a"}),
        (f"azure.azcollection.{MODULE}: {{vm_size: a}}", "{name: n, vm_size: b}", {"vmSize": "b"}),
        ("group/azure: {vm_size: a, os_type: Linux}", "{name: n, vm_size: b}", {"vmSize": "b", "osType": "Linux"}),
        (f"{MODULE}: {{vm_size: b}}, group/azure: {{vm_size: a}}", "{name: n}", {"vmSize": "b"}),
        ("azure_rm_aks: {vm_size: a}", "{name: n}", {}),
    ],
)
def test_defaults_of_modules_are_no_tasks_and_count_where_a_task_says_nothing(
    defaults: str, task: str, properties: dict[str, str]
) -> None:
    play = f"- hosts: all\n  module_defaults: {{{defaults}}}\n  tasks:\n  - {MODULE}: {task}\n"
    (pool,), _ = read(f"{play}- hosts: all\n")
    assert (pool.name, pool.properties) == ("n", properties)


def test_the_innermost_defaults_of_a_module_count_alone() -> None:
    block = f"  - module_defaults: {{{MODULE}: {{mode: User}}}}\n    block:\n    - {MODULE}: {{name: n}}\n"
    content = f"- module_defaults: {{{MODULE}: {{vm_size: a}}}}\n  tasks:\n{block}  - {MODULE}: {{name: o}}\n"
    pools, _ = read(content)
    assert {str(pool.name): pool.properties for pool in pools} == {"n": {"mode": "User"}, "o": {"vmSize": "a"}}


def test_defaults_that_are_filled_in_leave_the_rest_open() -> None:
    (pool,), _ = read(f'- module_defaults: {{{MODULE}: "{{{{ d }}}}"}}\n  tasks:\n  - {MODULE}: {{name: n}}\n')
    assert (pool.properties, pool.open_ended) == ({}, Unknown("{{ d }}"))
