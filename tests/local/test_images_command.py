"""`poolwright images build` and `import` as people run them: results, refusals, Ctrl-C, a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from poolwright.machines.images.build import Form
from poolwright.machines.images.store import DiskImage, ImageStore
from tests.cli.conftest import CommandLine
from tests.local import disks


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("POOLWRIGHT_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def poolwright() -> CommandLine:
    """The command line, in this process."""
    return CommandLine()


@contextmanager
def building(step: str) -> Iterator[subprocess.Popen[str]]:
    """Yield `poolwright images build`, once it says that it has come to a step."""
    with subprocess.Popen(
        [sys.executable, "-m", "poolwright.cli.main", "images", "build"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    ) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                if step in line:
                    break
            yield process
        finally:
            if process.poll() is None:
                process.kill()


def left(data_dir: Path) -> set[str]:
    return {str(path.relative_to(data_dir)) for path in data_dir.rglob("*") if path.is_file()}


def test_ctrl_c_ends_a_build_with_130_and_nothing_half_done(data_dir: Path, node_images: dict[Form, DiskImage]) -> None:
    with building("unpacking packages") as process:
        os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=60)

    assert (process.returncode, out) == (130, "")
    assert "Traceback" not in err
    assert left(data_dir) == {"images/lock", "images/build.lock"}


def test_after_a_kill_the_next_build_cleans_up_and_is_the_same(
    data_dir: Path, node_images: dict[Form, DiskImage], poolwright: CommandLine
) -> None:
    with building("packing the initial RAM disk") as process:
        process.kill()
        process.wait(30)
    assert any(name.startswith("images/work/") for name in left(data_dir))

    built = poolwright.done("images", "build", "-o", "json").json

    expected = [node_images[form].digest for form in (Form.GEN1, Form.GEN2)]
    assert [image["digest"].removeprefix("sha256:") for image in built] == expected
    files = {f"images/sha256-{digest}.qcow2" for digest in expected}
    assert left(data_dir) == files | {"images/lock", "images/build.lock", "images/index.json"}
    assert data_dir.stat().st_mode & 0o777 == 0o700


def test_a_disk_is_imported_and_found_for_its_definition(
    data_dir: Path, tmp_path: Path, poolwright: CommandLine
) -> None:
    file = disks.converted(disks.gen2(tmp_path), "vhdx")

    ended = poolwright.done("images", "import", "--definition", "windows-2022-containerd-gen2", str(file), "-o", "json")

    assert (ended.json["definition"], ended.json["generations"]) == ("windows-2022-containerd-gen2", ["V2"])
    assert (ended.json["hasAgent"], ended.json["source"]) == (False, ["disk.vhdx"])
    assert ended.err == ""
    store = ImageStore(data_dir / "images")
    assert store.show("windows-2022-containerd-gen2").path.exists()


def test_a_disk_of_the_wrong_generation_is_refused_with_1(
    data_dir: Path, tmp_path: Path, poolwright: CommandLine
) -> None:
    file = disks.gen1(tmp_path)

    ended = poolwright("images", "import", "--definition", "2204gen2containerd", str(file))

    assert (ended.code, ended.out) == (1, "")
    assert "importing disk.raw: 0%  looking at the disk\n" in ended.err
    assert ended.err.endswith(
        "error: disk.raw does not boot in Generation 2 (UEFI), which 2204gen2containerd needs: "
        "it has no EFI system partition. It boots in Generation 1 (BIOS).\n"
    )
    assert left(data_dir) == {"images/lock"}
