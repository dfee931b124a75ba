"""A node pool that YAML makes only under a condition is told with it."""

from __future__ import annotations

import pytest

from poolwright.lint.arm_templates import Given
from poolwright.lint.step_conditions import together
from poolwright.lint.texts import Text
from poolwright.lint.yaml_files import read_yaml

ADD = "az aks nodepool add -g rg --cluster-name c -n w22 -s Standard_D2_v2"
TASK = "azure_rm_aksagentpool: {name: w22, vm_size: Standard_D2_v2}"


def conditions(content: str) -> list[str | None]:
    """The conditions of the node pools in the YAML."""
    return [pool.condition for pool in read_yaml(Text("f", content), Given())[0].pools]


@pytest.mark.parametrize(
    ("content", "condition"),
    [
        # GitHub
        (f"steps:\n- if: github.ref == 'a'\n  run: {ADD}\n", "if: github.ref == 'a'"),
        (f"steps:\n- run: {ADD}\n  if: false\n", "if: false"),
        (f"jobs:\n  a:\n    if: one\n    steps:\n    - if: two\n      run: {ADD}\n", "if: one, and if: two"),
        (f"- if: one\n  uses: azure/cli@v2\n  with:\n    inlineScript: {ADD}\n", "if: one"),
        (f"- if: one\n  run: |\n    if x; then\n      {ADD}\n    fi\n", "if: one, and if x; then"),
        (f"- if: |\n    one &&\n    two\n  run: {ADD}\n", "if: one && two"),
        # Azure Pipelines
        (f"- bash: {ADD}\n  condition: succeeded()\n", "condition: succeeded()"),
        (f"- ${{{{ if eq(a, true) }}}}:\n  - bash: {ADD}\n", "${{ if eq(a, true) }}"),
        (f"- ${{{{ else }}}}:\n  - task: AzureCLI@2\n    inputs: {{inlineScript: {ADD}}}\n", "${{ else }}"),
        (
            f"stages:\n- stage: a\n  condition: x\n  jobs:\n  - ${{{{ each s in sizes }}}}:\n    - script: {ADD}\n",
            "condition: x, and ${{ each s in sizes }}",
        ),
        # GitLab
        (f"a:\n  rules: [{{if: $A}}]\n  script:\n  - {ADD}\n", "its rules"),
        (f"a:\n  only: [main, tags]\n  script: {ADD}\n", "only: main and tags"),
        (f"a:\n  when: manual\n  script: {ADD}\n", "when: manual"),
        # Ansible
        (f"- {TASK}\n  when: a is defined\n", "when: a is defined"),
        (f"- {TASK}\n  when: [a, b]\n", "when: a and b"),
        (f"- {TASK}\n  loop: [a]\n  when: b\n", "when: b, and a loop"),
        (f"- {TASK}\n  with_items: [a]\n", "a loop"),
        (f"- when: a\n  block:\n  - shell: {ADD}\n    when: b\n", "when: a, and when: b"),
        (f"- block: []\n  rescue:\n  - {TASK}\n", "a task of its block fails"),
        (f"- handlers:\n  - {TASK}\n", "a task notifies it"),
        (f"- local_action: shell {ADD}\n  when: a\n", "when: a"),
        ("- azure_rm_aksagentpool: {name: w22, state: '{{ s }}'}\n", "{{ s }} is present"),
    ],
)
def test_a_condition_is_handed_down(content: str, condition: str) -> None:
    assert conditions(content) == [condition]


@pytest.mark.parametrize(
    "content",
    [
        f"- run: {ADD}\n- if: one\n  run: echo\n",
        f"a:\n  when: on_success\n  script: {ADD}\n",
        f"on: push\njobs:\n  b: {{if: x}}\n  a:\n    runs-on: ubuntu-latest\n    steps:\n    - run: {ADD}\n",
        f"- when: {{}}\n- shell: {ADD}\n",
    ],
)
def test_what_is_under_no_condition_is_told_with_none(content: str) -> None:
    assert conditions(content) == [None]


def test_conditions_together() -> None:
    assert together(None, None) is None
    assert together("a", None, "b", "a") == "a, and b"


JOB = "jobs:\n  a:\n    runs-on: {}\n    steps:\n    - run: {}\n{}"


@pytest.mark.parametrize("runner", ["${{ matrix.os }}", "[self-hosted, gpu]", "{group: a}"])
def test_on_an_unknown_runner_that_its_shell_is_bash_is_a_condition(runner: str) -> None:
    (condition,) = conditions(JOB.format(runner, ADD, ""))
    assert condition is not None
    assert condition.startswith("the default shell of ")
    assert conditions(JOB.format(runner, ADD, "      shell: bash\n")) == [None]
    assert conditions(f"defaults: {{run: {{shell: bash}}}}\n{JOB.format(runner, ADD, '')}") == [None]
    uses = f"uses: azure/cli@v2\n      with: {{inlineScript: {ADD}}}\n"
    assert conditions(JOB.format(runner, "echo", f"    - {uses}")) == [None]


@pytest.mark.parametrize("runner", ["ubuntu-24.04", "[self-hosted, Linux]", "macos-latest"])
def test_on_a_runner_of_unix_the_shell_is_bash(runner: str) -> None:
    assert conditions(JOB.format(runner, ADD, "")) == [None]
