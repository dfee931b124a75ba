"""Scripts in YAML are read as the shell that is declared for them would, or told."""

from __future__ import annotations

import pytest

from poolwright.lint.step_shells import is_read
from poolwright.templates.partial import Unknown
from tests.lint.yaml_pools import read

ADD = "az aks nodepool add -g rg --cluster-name c -n w22 -s Standard_D2_v2"
LINES = "az aks nodepool add `\n        -n w22 `\n        -s Standard_D2_v2"


@pytest.mark.parametrize(
    ("content", "shell"),
    [
        (f"steps:\n- pwsh: {ADD}\n", "pwsh"),
        (f"steps:\n- powershell: |\n    {ADD}\n", "pwsh"),
        (f"steps:\n- pwsh: |\n        {LINES}\n", "pwsh"),
        (f"steps:\n- run: |\n        {LINES}\n  shell: pwsh\n", "pwsh"),
        (f"steps:\n- run: {ADD}\n  shell: powershell\n", "powershell"),
        (f"steps:\n- run: os.system('{ADD}')\n  shell: python\n", "python"),
        (f"steps:\n- run: {ADD}\n  shell: ${{{{ matrix.shell }}}}\n", "${{ matrix.shell }}"),
        (f"- task: AzureCLI@2\n  inputs:\n    scriptType: pscore\n    inlineScript: {ADD}\n", "pscore"),
        (f"- task: AzureCLI@2\n  inputs:\n    inlineScript: {ADD}\n    scriptType: ps\n", "ps"),
        (f"- task: PowerShell@2\n  inputs:\n    targetType: inline\n    script: {ADD}\n", "pwsh"),
        ("- task: AzurePowerShell@5\n  inputs:\n    Inline: New-AzAksNodePool -Name w22\n", "pwsh"),
        ("- uses: azure/powershell@v2\n  with:\n    inlineScript: Update-AzAksNodePool -Name w22\n", "pwsh"),
        (f"defaults:\n  run:\n    shell: pwsh\njobs:\n  a:\n    steps:\n    - run: {ADD}\n", "pwsh"),
        (f"jobs:\n  a:\n    defaults: {{run: {{shell: pwsh}}}}\n    steps:\n    - run: {ADD}\n", "pwsh"),
        (f"jobs:\n  a:\n    runs-on: windows-latest\n    steps:\n    - run: {ADD}\n", "pwsh"),
        (f"jobs:\n  a:\n    runs-on: [self-hosted, Windows]\n    steps:\n    - run: {ADD}\n", "pwsh"),
        (f"- hosts: all\n  tasks:\n  - ansible.windows.win_shell: {ADD}\n", "pwsh"),
        (f"- shell: {{cmd: {ADD}, executable: /usr/bin/pwsh}}\n", "/usr/bin/pwsh"),
        (f"- shell: {ADD}\n  args: {{executable: /usr/bin/pwsh}}\n", "/usr/bin/pwsh"),
        ("- pwsh: az aks $verb -n c\n", "pwsh"),
    ],
)
def test_a_script_for_another_shell_is_told_at_its_place(content: str, shell: str) -> None:
    pools, wrong = read(content)
    assert pools == []
    ((place, reason),) = wrong
    written = "\n".join(content.splitlines()[place.line - 1 : place.line + 1])
    assert "AksNodePool" in written or "az aks" in written
    assert f"what runs in '{shell}' is not read" in reason
    assert "shell: bash" in reason


@pytest.mark.parametrize(
    "content",
    [
        f"steps:\n- bash: {ADD}\n",
        f"steps:\n- run: {ADD}\n  shell: bash -leo pipefail {{0}}\n",
        f"steps:\n- run: {ADD}\n  shell: cmd\n",
        f"- task: AzureCLI@2\n  inputs:\n    scriptType: bash\n    inlineScript: {ADD}\n",
        f"- task: AzureCLI@2\n  inputs:\n    scriptType: batch\n    inlineScript: {ADD}\n",
        f"- task: AzureCLI@1\n  inputs:\n    inlineScript: {ADD}\n",
        f"defaults: {{run: {{shell: pwsh}}}}\njobs:\n  a:\n    steps:\n    - run: {ADD}\n      shell: bash\n",
        f"jobs:\n  a:\n    runs-on: windows-latest\n    steps:\n    - run: {ADD}\n      shell: bash\n",
        f"jobs:\n  w: {{runs-on: windows-latest}}\n  a:\n    runs-on: ubuntu-latest\n    steps:\n    - run: {ADD}\n",
        f"- shell: {ADD}\n  args: {{executable: /bin/bash}}\n",
    ],
)
def test_a_script_for_bash_or_cmd_is_read(content: str) -> None:
    pools, wrong = read(content)
    assert [pool.name for pool in pools] == ["w22"]
    assert wrong == []


@pytest.mark.parametrize(
    "script", ["Write-Host hello", "az aks show -n c", "az aks nodepool list --cluster-name c", "az group create -n g"]
)
def test_powershell_that_makes_no_node_pool_is_no_matter(script: str) -> None:
    assert read(f"- pwsh: {script}\n- run: {script}\n  shell: pwsh\n") == ([], [])


def test_the_shells_that_are_read() -> None:
    read_ones = ("bash", "/bin/sh", "C:\\Git\\bin\\bash.exe -c {0}", "CMD", "micromamba-bash {0}", "zsh", "batch")
    assert [shell for shell in read_ones if not is_read(shell)] == []
    assert [shell for shell in ("pwsh", "powershell.exe", "ps", "pscore", "python", "", "fish") if is_read(shell)] == []


ARGUMENTS = "aks, nodepool, add, -n, a, --cluster-name, c, -s, Standard_D2_v2"


@pytest.mark.parametrize(
    "content",
    [
        f"- command:\n    argv: [az, {ARGUMENTS}]\n",
        "- ansible.builtin.command:\n    argv:\n    - az\n    - aks\n    - nodepool\n    - add\n    - --name=a\n"
        "    - --cluster-name\n    - c\n    - --node-vm-size\n    - Standard_D2_v2\n",
        f"- command: {{}}\n  args:\n    argv: [sudo, -u, x, az, {ARGUMENTS}]\n",
        'command: ["az", "aks", "nodepool", "add", "-n", "a", "--cluster-name", "c", "-s", "Standard_D2_v2"]\n',
        f"command: [/usr/bin/az]\nargs: [{ARGUMENTS}]\n",
    ],
)
def test_a_command_by_its_words_is_read_where_its_words_stand(content: str) -> None:
    (pool,), wrong = read(f"- azure_rm_aks: {{name: other}}\n---\n{content}")
    place = pool.place_of("vmSize")
    assert (pool.address, pool.properties, wrong) == ("c/a", {"vmSize": "Standard_D2_v2"}, [])
    assert content.splitlines()[place.line - 3][place.column - 1 :].strip('"').startswith("Standard_D2_v2")


def test_what_is_filled_in_is_one_unknown_word_where_no_shell_splits_it() -> None:
    content = '- command: {argv: [az, aks, nodepool, add, -n, a, -s, "{{ size }}", --mode, "$(MODE)", "{{ more }}"]}\n'
    (pool,), _ = read(content)
    assert pool.properties == {"vmSize": Unknown("{{ size }}"), "mode": Unknown("$(MODE)")}
    assert pool.open_ended is None
