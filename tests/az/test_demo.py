"""`make demo`: its transcript tells the page's story, its exit code is honest, and it cleans up behind itself."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import signal
import ssl
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import httpx
import pytest

DEMO = Path(__file__).parents[2] / "tools" / "demo.py"
POOL = "--resource-group myResourceGroup --cluster-name myAKSCluster"

pytestmark = pytest.mark.az


@pytest.fixture
def temporary(az_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory in which a demo makes its own; `az_path` is asked for so that no demo installs az."""
    directory = tmp_path / "temporary"
    directory.mkdir()
    monkeypatch.setenv("TMPDIR", str(directory))
    monkeypatch.setenv("POOLWRIGHT_AZ", str(az_path))
    return directory


@pytest.fixture
def demo(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The script as a module, to give it other steps."""
    spec = importlib.util.spec_from_file_location("demo", DEMO)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "demo", module)
    spec.loader.exec_module(module)
    return module


def test_the_transcript_tells_the_page_s_story(temporary: Path, empty_home: Path) -> None:
    outcome = subprocess.run([sys.executable, str(DEMO)], capture_output=True, text=True, check=False)

    transcript = outcome.stdout
    assert outcome.returncode == 0, transcript + outcome.stderr
    assert outcome.stderr == ""
    headings = re.findall(r"^(.+)\n=+$", transcript, re.MULTILINE)
    for title in (
        "Check available Generation 2 VM sizes",
        "Default behavior for supported vm sizes",
        "Create a node pool with a Generation 2 VM: Windows node pool",
        "Check if you're using a Generation 2 node image",
        "Update an existing node pool to use a Generation 2 VM",
    ):
        assert title in headings
    typed = re.findall(r"^\$ (az .*)$", transcript.replace(" \\\n   ", ""), re.MULTILINE)
    for command in (
        "az vm list-skus --location eastus --size Standard_D2_v3 --output table",
        f"az aks nodepool add {POOL} --name win2 --vm-size Standard_D2s_v5 --os-type Windows --os-sku Windows2022 "
        "--aks-custom-headers UseWindowsGen2VM=true",
        f"az aks nodepool show {POOL} --name win2",
        f"az aks nodepool update {POOL} --name lin1 --vm-size Standard_D2s_v5 --os-type Linux",
        f"az aks nodepool update {POOL} --name win1 --vm-size Standard_D4s_v5 --os-type Windows --os-sku Windows2022 "
        "--aks-custom-headers UseWindowsGen2VM=true",
    ):
        assert command in typed
    for line in (
        r"Standard_D2_v3     V1",
        r"Standard_D2s_v5    V1,V2",
        r"Standard_D4ads_v6  V2",
        r"AKSUbuntu-\d+containerd-\S+",
        r"AKSUbuntu-\d+gen2containerd-\S+",
        r'  "nodeImageVersion": "AKSWindows-2022-containerd-\d\S+",',
        r'  "nodeImageVersion": "AKSWindows-2022-containerd-gen2-\S+",',
        r'  "id": "gen2-header",',
        r"Name +VmSize +NodeImageVersion +Generation",
        r'      "V2": 3,?',
    ):
        assert re.search(f"^{line}$", transcript, re.MULTILINE), line
    assert transcript.count("\n$ az ") == transcript.count("\n--> ")
    assert re.search(r"\nAll \d+ steps did what they should, in \d+ s\.\n$", transcript)

    assert max(len(line) for line in transcript.splitlines()) <= 120
    for of_this_run in (
        r"127\.0\.0\.1",
        r"[0-9a-f]{8}-[0-9a-f]{4}-",
        re.escape(str(temporary)),
        "WARNING",
        "Traceback",
    ):
        assert re.search(of_this_run, transcript) is None
    assert list(temporary.iterdir()) == list(empty_home.iterdir()) == []


def test_a_step_that_goes_wrong_is_said_and_ends_with_1(
    demo: ModuleType, temporary: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = (
        demo.Step("group list --output tsv", ("a group that is not there",), "Never said."),
        demo.Step("group show --name none", ("ResourceGroupNotFound",), "Never said, as it ends with 3."),
        demo.Step("group show --name none", ("ResourceGroupNotFound",), "This is said.", exit_code=3),
    )
    monkeypatch.setattr(demo, "SECTIONS", (demo.Section("A title", "A text.", steps),))
    monkeypatch.setattr("tempfile.tempdir", str(temporary))

    with demo.running_service(keep=False) as data_dir:
        code = demo.walk(Path(os.environ["POOLWRIGHT_AZ"]), data_dir, keep=False)

    assert code == 1

    transcript = capsys.readouterr().out
    assert "--> WRONG: not printed: a group that is not there\n" in transcript
    assert "--> WRONG: az ended with 3 instead of 0\n" in transcript
    assert "--> This is said." in transcript
    assert "Never said" not in transcript
    assert "2 of 3 steps went wrong" in transcript
    assert list(temporary.iterdir()) == []


def test_a_kept_service_goes_on_and_is_reached_as_the_demo_says(temporary: Path) -> None:
    without_steps = (
        "import sys; sys.path.insert(0, sys.argv.pop(1)); import demo; demo.SECTIONS = (); sys.exit(demo.main())"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", without_steps, str(DEMO.parent), "--keep"], capture_output=True, text=True, check=False
    )

    said = outcome.stdout
    assert outcome.returncode == 0, outcome.stderr
    [data_dir] = temporary.iterdir()
    endpoint = json.loads((data_dir / "endpoint.json").read_text())
    trust = ssl.create_default_context(cafile=str(data_dir / "tls" / "ca.pem"))
    try:
        assert f"export POOLWRIGHT_DATA_DIR={data_dir}\n" in said
        assert f"kill {endpoint['pid']}; rm -r {data_dir}\n" in said
        assert endpoint["url"] in said
        assert httpx.get(f"{endpoint['url']}/healthz", verify=trust).json() == {"status": "ok"}
    finally:
        os.kill(endpoint["pid"], signal.SIGKILL)


def test_ctrl_c_ends_the_demo_and_its_service_and_leaves_nothing_behind(temporary: Path) -> None:
    demo = subprocess.Popen(
        [sys.executable, str(DEMO)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    assert demo.stdout is not None
    while not demo.stdout.readline().startswith("$ az "):
        assert demo.poll() is None
    [data_dir] = temporary.iterdir()
    service = json.loads((data_dir / "endpoint.json").read_text())["pid"]

    os.killpg(demo.pid, signal.SIGINT)

    _, said = demo.communicate(timeout=30)
    assert (demo.returncode, said) == (130, "\nInterrupted; the service and its data are gone.\n")
    with pytest.raises(ProcessLookupError):
        os.kill(service, 0)
    assert list(temporary.iterdir()) == []
