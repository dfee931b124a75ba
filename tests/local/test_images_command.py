"""`poolwright images build` and `import` as people run them: results, refusals, Ctrl-C, a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from poolwright.machines.images.build import Form
from poolwright.machines.images.store import DiskImage, ImageStore
from tests.cli.conftest import CommandLine
from tests.local import disks
from tests.local.test_inspection import (
    differencing_vhd,
    encrypted,
    overlay,
    patched,
    too_large,
    truncated,
    with_data_file,
)

LINUX = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"


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


def gen1_efi(directory: Path) -> Path:
    """An MBR whose only partition is an EFI system partition."""
    table = "label: dos\nstart=2048, size=86016, type=ef\n"
    return disks.raw(directory, table, code=b"", esp={"EFI/BOOT/BOOTX64.EFI": disks.efi_program()})


@pytest.mark.parametrize(
    ("made", "definition", "form", "options"),
    [
        (disks.gen1, "2204containerd", "vpc", "subformat=fixed,force_size=on"),
        (disks.gen2, "2204gen2containerd", "vpc", "subformat=fixed"),
        (disks.gen1, "2204containerd", "vpc", "subformat=dynamic"),
        (disks.gen2, "2204gen2containerd", "vhdx", "subformat=dynamic"),
        (disks.gen1, "windows-2022-containerd", "vhdx", "subformat=fixed"),
        (disks.windows, "windows-2022-containerd-gen2", "vhdx", "subformat=dynamic"),
        (disks.windows, "windows-2025-gen2", "vpc", "subformat=dynamic,force_size=on"),
        (disks.hybrid, "2204gen2containerd", "qcow2", "compat=0.10"),
        (gen1_efi, "2204gen2containerd", "qcow2", "cluster_size=2M"),
    ],
)
def test_every_format_is_imported_listed_shown_and_removed(
    made: Callable[[Path], Path],
    definition: str,
    form: str,
    options: str,
    data_dir: Path,
    tmp_path: Path,
    poolwright: CommandLine,
) -> None:
    file = disks.converted(made(tmp_path), form, "-o", options)

    image = poolwright.done("images", "import", "--definition", definition, str(file), "-o", "json").json

    assert poolwright.done("images", "list", "-o", "json").json == [image]
    assert poolwright.done("images", "show", definition, "-o", "json").json == image
    # Windows's own loaders are not those of cloud-init.
    assert (image["cloudInit"], image["hasAgent"]) == (not definition.startswith("windows"), False)
    disks.program("qemu-img", "compare", "-f", "qcow2", "-F", "raw", image["path"], tmp_path / "disk.raw")
    poolwright.done("images", "remove", definition, "--yes")
    assert poolwright.done("images", "list", "-o", "json").json == []
    assert left(data_dir) == {"images/lock", "images/index.json"}


@pytest.mark.parametrize(
    ("options", "cloud_init"),
    [((), True), (("--with-agent",), False), (("--no-cloud-init",), False), (("--with-agent", "--cloud-init"), True)],
    ids=["a cloud image", "with our agent", "told not to", "with our agent and told to"],
)
def test_who_imports_decides_about_cloud_init(
    options: tuple[str, ...], cloud_init: bool, data_dir: Path, tmp_path: Path, poolwright: CommandLine
) -> None:
    file = disks.gen1(tmp_path)

    poolwright.done("images", "import", "--definition", "2204containerd", *options, str(file))

    assert poolwright.done("images", "show", "2204containerd", "-o", "json").json["cloudInit"] is cloud_init
    said = " ".join(poolwright.done("images", "show", "2204containerd").out.split())
    assert f"CloudInit {'yes' if cloud_init else 'no'}" in said


@pytest.mark.parametrize(
    ("make", "definition", "reason"),
    [
        (overlay, "2204containerd", "overlay.qcow2 is an overlay on another file, which it names: write all of it"),
        (with_data_file, "2204containerd", "outside.qcow2 keeps its data in another file, which it names"),
        (encrypted, "2204containerd", "secret.qcow2 is encrypted"),
        (differencing_vhd, "2204containerd", "disk.vpc is a VHD that is a differencing disk on another file"),
        (too_large, "2204containerd", "is a disk of 5,120 GiB, and an OS disk has 4,095 at most"),
        (truncated("vpc", 0.6, "-o", "subformat=fixed"), "2204containerd", "the end is missing"),
        (truncated("vpc", 0.6, "-o", "subformat=dynamic"), "2204containerd", "disk.vpc is a VHD whose end is missing"),
        (truncated("vhdx", 0.6), "2204gen2containerd", "disk.vhdx is damaged"),
        (truncated("qcow2", 0.6), "2204gen2containerd", "disk.qcow2 is damaged"),
        (patched(8, b"x", "vpc", disks.gen2, "-o", "subformat=dynamic"), "2204gen2containerd", "disk.vpc is damaged"),
        (patched(0, b"x" * 8, "vhdx"), "2204gen2containerd", "it has no partition table"),
        (lambda directory: disks.raw(directory, disks.GPT.replace("C12A7328-F81F-11D2-BA4B-00A0C93EC93B", LINUX)),
         "2204gen2containerd", "it has no EFI system partition."),
        (gen1_efi, "2204containerd", "its MBR has no boot code. It boots in Generation 2 (UEFI)."),
        (disks.windows, "windows-2022-containerd", "without boot code in front of it. It boots in Generation 2 (UEFI)"),
        (lambda directory: disks.windows(directory, for_any_firmware=False), "windows-2022-containerd-gen2",
         "has no directory \\EFI\\BOOT, and \\EFI\\Microsoft\\Boot\\bootmgfw.efi is started only where the firmware's "
         "variables name it: copy it to \\EFI\\BOOT\\BOOTX64.EFI."),
    ],
)  # fmt: skip
def test_what_cannot_become_an_image_is_refused_with_the_reason_and_leaves_nothing(
    make: Callable[[Path], Path],
    definition: str,
    reason: str,
    data_dir: Path,
    tmp_path: Path,
    poolwright: CommandLine,
) -> None:
    file = make(tmp_path)

    ended = poolwright("images", "import", "--definition", definition, str(file))

    assert (ended.code, ended.out) == (1, "")
    assert reason in " ".join(ended.err.split())
    assert "Traceback" not in ended.err
    assert left(data_dir) <= {"images/lock"}


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
