"""`poolwright images`: what is listed, named, refused and removed, without building anything."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from poolwright.cli import images as command
from poolwright.domain.generation import Generation
from poolwright.machines import host_packages
from poolwright.machines.images.build import Form
from poolwright.machines.images.store import DiskImage, ImageStore, Origin
from tests.cli.conftest import CommandLine

V1, V2 = Generation.V1, Generation.V2


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("POOLWRIGHT_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


def put(
    data_dir: Path,
    content: bytes,
    generations: frozenset[Generation],
    *,
    form: str | None = None,
    definition: str | None = None,
    secure_boot: bool | None = None,
) -> DiskImage:
    store = ImageStore(data_dir / "images")
    with store.work_directory() as work:
        (work / "disk").write_bytes(content)
        return store.add(
            work / "disk",
            virtual_bytes=64 * 1024**2,
            generations=generations,
            secure_boot=secure_boot,
            origin=Origin.IMPORTED if definition else Origin.STAND_IN,
            definition=definition,
            form=form,
            has_agent=form is not None,
            source=("shim-signed 1", "recipe x") if form else ("disk.vhdx",),
        )


@pytest.fixture
def stand_in(data_dir: Path) -> DiskImage:
    return put(data_dir, b"gen2", frozenset({V2}), form="gen2", secure_boot=True)


@pytest.fixture
def imported(data_dir: Path) -> DiskImage:
    return put(data_dir, b"windows", frozenset({V1}), definition="windows-2022-containerd")


def test_the_forms_of_the_command_are_those_of_the_build() -> None:
    assert [form.value for form in command.Form] == [form.value for form in Form]


def test_nothing_is_listed_and_made_where_nothing_is(alone: CommandLine, data_dir: Path) -> None:
    assert alone.done("images", "list").out == ""
    assert alone.done("images", "list", "-o", "json").json == []
    assert not data_dir.exists()


def test_the_list_says_what_is_a_stand_in(
    alone: CommandLine, data_dir: Path, stand_in: DiskImage, imported: DiskImage
) -> None:
    put(data_dir, b"unsigned", frozenset({V2}), form="unsigned", secure_boot=False)

    lines = [" ".join(line.split()) for line in alone.done("images", "list").out.splitlines()[2:]]

    assert lines == [
        f"{stand_in.digest[:12]} stand-in gen2: stands in for Linux definitions V2 yes yes no 64 0.0",
        f"{imported.digest[:12]} imported windows-2022-containerd V1 no no 64 0.0",
        f"{ImageStore(data_dir / 'images').show('unsigned').digest[:12]} stand-in "
        "unsigned: tests of Secure Boot V2 refused yes no 64 0.0",
    ]


def test_an_image_is_shown_with_what_it_was_made_from(alone: CommandLine, stand_in: DiskImage) -> None:
    shown = alone.done("images", "show", stand_in.digest[:8]).out
    assert "shim-signed 1\n" in shown
    assert str(stand_in.path) in shown

    assert alone.done("images", "show", "gen2", "-o", "json").json == {
        "digest": f"sha256:{stand_in.digest}",
        "origin": "stand-in",
        "definition": None,
        "form": "gen2",
        "generations": ["V2"],
        "secureBoot": True,
        "hasAgent": True,
        "cloudInit": False,
        "virtualBytes": 64 * 1024**2,
        "fileBytes": 4,
        "path": str(stand_in.path),
        "source": ["shim-signed 1", "recipe x"],
    }


@pytest.mark.parametrize("verb", ["show", "remove"])
def test_an_image_that_is_not_there_ends_with_3(verb: str, alone: CommandLine, stand_in: DiskImage) -> None:
    ended = alone("images", verb, "2204containerd")

    assert (ended.code, ended.out) == (3, "")
    assert ended.err == "error: there is no image '2204containerd': `poolwright images list` shows them\n"


def test_an_image_is_removed(alone: CommandLine, stand_in: DiskImage, imported: DiskImage) -> None:
    alone.done("images", "remove", "windows-2022-containerd", "--yes")

    assert not imported.path.exists()
    assert [image["form"] for image in alone.done("images", "list", "-o", "json").json] == ["gen2"]


def test_an_image_under_the_disk_of_a_machine_is_not_removed(
    alone: CommandLine, data_dir: Path, stand_in: DiskImage
) -> None:
    name = str(stand_in.path).encode()
    disk = data_dir / "machines" / "m1" / "disk.qcow2"
    disk.parent.mkdir(parents=True)
    disk.write_bytes(struct.pack(">4sIQI", b"QFI\xfb", 3, 512, len(name)).ljust(512, b"\0") + name)
    (disk.parent / "other.qcow2").write_bytes(b"no disk")

    ended = alone("images", "remove", "gen2", "--yes")

    assert ended.code == 1
    assert "is in use: delete the machines that boot from it first" in ended.err
    assert stand_in.path.exists()
    disk.unlink()
    alone.done("images", "remove", "gen2", "--yes")
    assert not stand_in.path.exists()


def test_a_damaged_index_is_said_in_a_line(alone: CommandLine, data_dir: Path, stand_in: DiskImage) -> None:
    (data_dir / "images" / "index.json").write_text("{")

    ended = alone("images", "list")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith(f"error: {data_dir}/images/index.json is damaged")


@pytest.mark.parametrize(
    ("definition", "code", "said"),
    [
        ("2204gen2containrd", 3, "there is no node image definition '2204gen2containrd' in the catalogue: 2204gen2con"),
        ("none-of-them", 3, "there is no node image definition 'none-of-them' in the catalogue\n"),
        ("2204gen2arm64containerd", 1, "2204gen2arm64containerd is of arm64"),
    ],
)
def test_an_import_for_what_this_host_cannot_run_is_refused(
    definition: str, code: int, said: str, alone: CommandLine, data_dir: Path, tmp_path: Path
) -> None:
    ended = alone("images", "import", "--definition", definition, str(tmp_path / "disk.qcow2"))

    assert (ended.code, ended.out) == (code, "")
    assert said in ended.err


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        (["build"], "qemu-utils mtools dosfstools fdisk grub-common kmod cpio zstd"),
        (["import", "--definition", "2204containerd", "disk.qcow2"], "qemu-utils mtools"),
    ],
)
def test_missing_packages_are_named_with_the_line_that_installs_them(
    arguments: list[str], needed: str, alone: CommandLine, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host_packages, "command", lambda name: None)
    monkeypatch.setattr(Path, "exists", lambda path, real=Path.exists: "grub" in str(path) or real(path))

    ended = alone("images", *arguments)

    assert (ended.code, ended.out) == (1, "")
    assert f"apt-get install -y --no-install-recommends {needed}\n" in ended.err


def test_an_unknown_form_ends_with_2(alone: CommandLine) -> None:
    assert alone("images", "build", "--form", "gen3").code == 2
