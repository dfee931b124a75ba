"""`poolwright lint` as a process: forms, gates, exit codes, and files that cannot be read."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest

ROOT = Path(__file__).parents[2]
PLANTED = ROOT / "tests" / "lint" / "planted"
SARIF = json.loads((ROOT / "tests" / "spec" / "sarif-2.1.0.json").read_text())
POOL = "Microsoft.ContainerService/managedClusters/agentPools"


def run(*arguments: str | Path, cwd: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, without a service and a home."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(cwd), "LANG": "C.UTF-8", **variables}
    command = [sys.executable, "-m", "poolwright.cli.entry", "lint", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd, env=environment, timeout=120)


def template(path: Path, size: str) -> Path:
    """A template with one node pool of that size."""
    pool = {"type": POOL, "name": "c/p", "properties": {"vmSize": size}}
    path.write_text(json.dumps({"$schema": "deploymentTemplate.json#", "contentVersion": "1", "resources": [pool]}))
    return path


def test_a_folder_as_text() -> None:
    ended = run("tests/lint/planted", "--profile", "documented")
    assert ended.returncode == 4
    assert ended.stderr.splitlines() == [
        "left out: 2 files ending in .bicep: give what `bicep build` (az bicep build) prints of it",
        "left out: 1 file without a word about node pools",
        "by profile documented: what AKS's pages say; --profile azure-2026 decides by what Azure was seen to do",
    ]
    assert "tests/lint/planted/deploy.sh:20:20: error gen2-not-offered: UnsupportedGen2VMSize" in ended.stdout
    assert "rule gen2-header: To specify that you want to use Generation 2" in ended.stdout
    assert ended.stdout.splitlines()[-1].startswith("22 node pools in 5 files")


def test_the_same_as_json() -> None:
    ended = run("tests/lint/planted", "-o", "json", "--fail-on", "never", "--profile", "documented")
    assert ended.returncode == 0
    document: dict[str, Any] = json.loads(ended.stdout)
    assert document["version"] == 1
    assert document["summary"]["pools"] == len(document["pools"]) == 22
    assert document["broken"] == []
    assert [each["files"] for each in document["leftOut"]] == [2, 1]
    assert ended.stderr.startswith("by profile documented")
    (win,) = (pool for pool in document["pools"] if pool["address"] == "aks1/win")
    assert (win["tool"], win["generation"], win["rules"][0]["id"]) == ("Ansible", "V2", "gen2-only-size")
    assert {"file": "tests/lint/planted/main.json", "line": 56, "column": 19}.items() <= next(
        finding for finding in document["findings"] if finding["pool"] == "aks-planted/trusted"
    ).items()


def test_the_same_as_sarif_that_the_schema_takes(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text('{"Microsoft.ContainerService/managedClusters": ')
    ended = run(PLANTED, tmp_path, "-o", "sarif", "--fail-on", "never")
    log = json.loads(ended.stdout)
    jsonschema.Draft7Validator(SARIF, format_checker=jsonschema.FormatChecker()).validate(log)
    (sarif,) = log["runs"]
    levels = {result["ruleId"]: result["level"] for result in sarif["results"]}
    assert levels["gen2-not-offered"] == levels["size-retired"] == "error"
    assert levels["profiles-differ"] == "warning"
    assert levels["unknown"] == "note"
    for rule in sarif["tool"]["driver"]["rules"]:
        assert rule["shortDescription"]["text"] != rule["id"]
        assert rule["shortDescription"]["text"].endswith(".")
        assert rule["help"]["text"].startswith(rule["shortDescription"]["text"])
    assert "OsReleaseRetiring" in levels
    (note,) = sarif["invocations"][0]["toolExecutionNotifications"]
    assert note["locations"][0]["physicalLocation"]["region"] == {"startLine": 1, "startColumn": 48}
    assert ended.returncode == 1


@pytest.mark.parametrize("form", ["text", "json", "sarif"])
def test_nothing_of_a_file_steers_the_terminal(tmp_path: Path, form: str) -> None:
    steering = "\x1b[2J\u202e\x9b\x7f"
    ended = run(template(tmp_path / "a.json", f"Standard_{steering}"), "-o", form)
    assert "2J" in ended.stdout
    assert (ended.stdout + ended.stderr).replace("\n", "").isprintable()


def test_the_gates(tmp_path: Path) -> None:
    old, new = template(tmp_path / "old.json", "Standard_D2_v3"), template(tmp_path / "new.json", "Standard_D4s_v5")
    unknown = template(tmp_path / "unknown.json", "[reference('x').size]")
    found = {
        (name, gate): run(path, "--fail-on", gate).returncode
        for name, path in (("old", old), ("new", new), ("unknown", unknown))
        for gate in ("error", "gen1", "unknown", "Gen1, unknown", "never")
    }
    assert {key for key, code in found.items() if code == 4} == {
        ("old", "gen1"),
        ("old", "Gen1, unknown"),
        ("unknown", "unknown"),
        ("unknown", "Gen1, unknown"),
    }
    assert set(found.values()) == {0, 4}


def test_the_profile_is_azure_s_unless_told_otherwise_by_option_or_environment(tmp_path: Path) -> None:
    pool = {"type": POOL, "name": "c/p", "properties": {"vmSize": "Standard_D4ads_v6", "osType": "Windows"}}
    document = {"$schema": "deploymentTemplate.json#", "contentVersion": "1", "resources": [pool]}
    (tmp_path / "win.json").write_text(json.dumps(document))
    mine, documents = run("win.json", cwd=tmp_path), run("win.json", "--profile", "documented", cwd=tmp_path)
    assert (mine.returncode, documents.returncode) == (4, 0)
    assert "error operation-fails" in mine.stdout
    assert mine.stderr.strip() == OF_AZURE
    assert "(profile documented)" in documents.stdout
    assert run("win.json", cwd=tmp_path, POOLWRIGHT_PROFILE="documented").returncode == 0


def test_a_parameter_and_a_file_of_them() -> None:
    for given in ("batchSize=Standard_D2_v2", PLANTED / "main.parameters.json", f"@{PLANTED / 'main.parameters.json'}"):
        ended = run(PLANTED / "main.json", "-p", given, "--fail-on", "gen1")
        assert ended.returncode == 4
        assert "aks-planted/batch (ARM template): Generation 1" in ended.stdout


def test_what_cannot_be_read_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    template(tmp_path / "good.json", "Standard_D4s_v5")
    (tmp_path / "bad.yml").write_text("run: az aks create\n  a: [\n")
    (tmp_path / "bad.sh").write_text("az aks create -s Standard_D4s_v5 -n c\nif true; then\n")
    (tmp_path / "helm.yaml").write_text("{{ if }}\n")
    (tmp_path / "latin.json").write_bytes(b'{"a": "\xe9 az aks create"}')
    ended = run(".", cwd=tmp_path)
    assert ended.returncode == 1
    assert "bad.yml:2:4: cannot be read: this is not YAML: mapping values are not allowed" in ended.stdout
    assert "bad.sh:2:" in ended.stdout
    assert "latin.json:1:1: cannot be read: the text is neither UTF-8 nor UTF-16" in ended.stdout
    assert "c/p (ARM template): Generation 2" in ended.stdout
    assert "c/nodepool1 (az): Generation 2" in ended.stdout
    assert "helm.yaml" not in ended.stdout


def test_a_named_file_without_node_pools_is_read_unless_told_otherwise(tmp_path: Path) -> None:
    (tmp_path / "helm.yaml").write_text("{{ if }}: [\n")
    assert run("helm.yaml", cwd=tmp_path).returncode == 1
    assert run("helm.yaml", "--skip-unrelated", cwd=tmp_path).returncode == 0


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("main.bicep", "bicep build"),
        ("main.tf", "terraform show -json"),
        ("x.ps1", "PowerShell"),
        ("x.txt", "cannot be told"),
    ],
)
def test_other_kinds_of_files_say_what_to_give_instead(tmp_path: Path, name: str, advice: str) -> None:
    (tmp_path / name).write_text("hello\n")
    ended = run(name, cwd=tmp_path)
    assert ended.returncode == 1
    assert f"{name}:1:1: cannot be read: " in ended.stdout
    assert advice in ended.stdout


OF_AZURE = "by profile azure-2026: what Azure was seen to do; --profile documented decides by what AKS's pages say"
PARAMETERS_FILE = json.dumps({"$schema": "x/deploymentParameters.json#", "parameters": {"sizee": {"value": "x"}}})


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("x.json", "{}", "this JSON is neither an ARM template"),
        ("x.yaml", "kind: Service\n", "nothing in this YAML tells of node pools"),
        ("x.json", PARAMETERS_FILE, "this is a file of parameters: give its template, and this with --parameters"),
        ("", "", "nothing in this folder tells of node pools"),
        ("", "{}", "nothing in this folder tells of node pools"),
    ],
)
def test_nothing_recognised_does_not_look_like_success(tmp_path: Path, name: str, content: str, reason: str) -> None:
    if content:
        (tmp_path / (name or "y.json")).write_text(content)
    ended = run(name or ".", cwd=tmp_path)
    assert ended.returncode == 1
    assert f"{name or '.'}:1:1: cannot be read: {reason}" in ended.stdout
    assert run(name or ".", "--skip-unrelated", cwd=tmp_path).returncode == 0


def test_a_script_without_a_command_of_az_aks_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "a.sh").write_text("echo hello\n")
    (tmp_path / "b.sh").write_text("az aks show -g g -n c\n")
    alone, both = run("a.sh", cwd=tmp_path), run("a.sh", "b.sh", cwd=tmp_path)
    assert (alone.returncode, both.returncode) == (0, 0)
    assert alone.stdout.startswith("0 node pools in 0 files")
    for ended in (alone, both):
        assert ended.stderr.startswith("left out: 1 file without a command of az aks\n")


def test_powershell_in_a_pipeline_ends_with_1_also_in_a_folder(tmp_path: Path) -> None:
    (tmp_path / "p.yml").write_text("steps:\n- pwsh: New-AzAksNodePool -Name w22\n")
    for path in ("p.yml", "."):
        ended = run(path, cwd=tmp_path)
        assert ended.returncode == 1
        assert "p.yml:2:9: cannot be read: what runs in 'pwsh' is not read" in ended.stdout


def test_files_left_out_of_folders_are_counted_by_reason(tmp_path: Path) -> None:
    template(tmp_path / "pool.json", "Standard_D4s_v5")
    for name in ("a.tf", "b.tf", "README.md", "service.yaml"):
        (tmp_path / name).write_text("a: 1\n")
    ended = run(".", cwd=tmp_path)
    assert ended.returncode == 0
    assert "1 node pool in 1 file" in ended.stdout
    assert "4 files left out" in ended.stdout
    assert ended.stderr.splitlines() == [
        "left out: 2 files ending in .tf: give what `terraform show -json PLAN` prints",
        "left out: 1 file of kinds other than JSON, YAML and shell scripts",
        "left out: 1 file without a word about node pools",
        OF_AZURE,
    ]
    told = json.loads(run(".", "-o", "json", cwd=tmp_path).stdout)["leftOut"]
    assert [each["files"] for each in told] == [2, 1, 1]


def test_a_parameter_that_no_template_has_is_an_error_at_its_place(tmp_path: Path) -> None:
    template(tmp_path / "one.json", "Standard_D4s_v5")
    (tmp_path / "p.json").write_text(PARAMETERS_FILE.replace('{"sizee"', '\n{"sizee"'))
    ended = run("one.json", "-p", "p.json", cwd=tmp_path)
    assert ended.returncode == 4
    assert "p.json:2:11: error template-parameters: InvalidTemplate: " in ended.stdout
    assert "The template parameters 'sizee' in the parameters file are not valid" in ended.stdout
    document = json.loads((tmp_path / "one.json").read_text()) | {"parameters": {"Sizee": {"type": "string"}}}
    (tmp_path / "two.json").write_text(json.dumps(document))
    assert run("one.json", "-p", "Other=1", cwd=tmp_path).stdout.startswith("one.json:1:1: error template-parameters")
    # Whose it is among several, nobody says.
    assert run("one.json", "two.json", "-p", "p.json", cwd=tmp_path).returncode == 0
    # Several values behind one option, as for az.
    ended = run("two.json", "-p", "Sizee=1", "other=2", cwd=tmp_path)
    assert (ended.returncode, "The template parameters 'other' in the parameters file" in ended.stdout) == (4, True)
    assert run("two.json", "other=2", cwd=tmp_path).returncode == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((".", "--fail-on", "bad"), "'bad' is not one of error, warning, gen1, unknown, never"),
        ((".", "--parameters", "."), ".:1:1: the file cannot be read"),
        ((".", "--parameters", "main.bicepparam"), "give the file that `bicep build-params main.bicepparam --outfile"),
        ((".", "--catalog", "."), ".: the file cannot be read"),
        ((), "Missing argument"),
    ],
)
def test_a_wrong_command_line_ends_with_2(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    ended = run(*arguments, cwd=tmp_path)
    assert ended.returncode == 2
    assert message in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere.json",), "there is no file or folder nowhere.json"),
        ((".", "--parameters", "nowhere.json"), "nowhere.json:1:1: the file cannot be read"),
        ((".", "--catalog", "nowhere.json"), "nowhere.json: the file cannot be read"),
    ],
)
def test_a_file_that_is_not_there_ends_with_3(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    ended = run(*arguments, cwd=tmp_path)
    assert (ended.returncode, ended.stdout) == (3, "")
    assert message in ended.stderr


def test_a_list_of_sizes_takes_the_place_of_the_built_in_ones(tmp_path: Path) -> None:
    capabilities = [("vCPUs", "4"), ("MemoryGB", "16"), ("HyperVGenerations", "V1"), ("CpuArchitectureType", "x64")]
    sku = {
        "resourceType": "virtualMachines",
        "name": "Standard_D4s_v5",
        "locations": ["westeurope"],
        "locationInfo": [{"location": "westeurope", "zones": ["1"]}],
        "capabilities": [{"name": name, "value": value} for name, value in capabilities],
        "restrictions": [],
    }
    (tmp_path / "skus.json").write_text(json.dumps([sku]))
    pool = template(tmp_path / "pool.json", "Standard_D4s_v5")
    assert run(pool, "--fail-on", "gen1", "-l", "westeurope").returncode == 0
    assert run(pool, "--fail-on", "gen1", "-l", "westeurope", "--catalog", tmp_path / "skus.json").returncode == 4
    (tmp_path / "skus.json").write_text("[{]")
    ended = run(pool, "--catalog", tmp_path / "skus.json")
    assert ended.returncode == 2
    assert "skus.json: The import cannot be used" in ended.stderr
    assert "line 1, column 3" in ended.stderr


def test_a_link_that_leads_nowhere_and_one_in_a_circle_do_not_stop_it(tmp_path: Path) -> None:
    template(tmp_path / "good.json", "Standard_D4s_v5")
    (tmp_path / "circle").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "lost.json").symlink_to(tmp_path / "nothing")
    ended = run(".", cwd=tmp_path)
    assert ended.returncode == 1
    assert "lost.json:1:1: cannot be read: the file cannot be read" in ended.stdout
    assert ended.stdout.count("c/p (ARM template)") == 1


def test_a_pipe_in_a_folder_is_named_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.json")
    template(tmp_path / "b.json", "Standard_D2_v2")
    ended = run(".", "-o", "json", "--fail-on", "never", cwd=tmp_path)
    document: dict[str, Any] = json.loads(ended.stdout)
    assert document["summary"]["pools"] == 1
    (broken,) = document["broken"]
    assert "a.json" in str(broken)
    assert "it is no regular file and was not read" in str(broken)
