"""The node image is built from Debian's packages, the same from the same, and an unfinished one is never seen."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from poolwright.domain.generation import Generation
from poolwright.machines import host_packages
from poolwright.machines.host_packages import MissingPackages
from poolwright.machines.images import initial_ramdisk, packages
from poolwright.machines.images.build import FORMS, Form, build
from poolwright.machines.images.initial_ramdisk import GUEST, GUEST_FILES, ModuleMissing, modules_in_order
from poolwright.machines.images.inspection import inspect
from poolwright.machines.images.packages import PackagesNotAvailable
from poolwright.machines.images.programs import ProgramFailed
from poolwright.machines.images.store import DiskImage, ImageStore, Origin

CACHE = packages.default_cache()


def quietly(step: str, share: float) -> None:
    """Progress nobody looks at."""


@pytest.fixture
def another_umask() -> Iterator[None]:
    former = os.umask(0o077)
    yield
    os.umask(former)


def test_the_same_packages_give_the_same_bytes_somewhere_else_for_somebody_else(
    node_images: dict[Form, DiskImage], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, another_umask: None
) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1")
    heard: list[tuple[str, float]] = []

    again = build(list(Form), ImageStore(tmp_path / "a"), CACHE, lambda *progress: heard.append(progress))

    assert [image.digest for image in again] == [node_images[form].digest for form in Form]
    assert len({image.digest for image in again}) == len(Form)
    shares = [share for _, share in heard]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0


def test_what_is_built_already_is_found_and_not_built(
    node_images: dict[Form, DiskImage], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = ImageStore(node_images[Form.GEN1].path.parent)
    monkeypatch.setattr(initial_ramdisk, "build", lambda *arguments: pytest.fail("built again"))

    assert build([Form.GEN2, Form.GEN1], store, CACHE, quietly) == [node_images[Form.GEN2], node_images[Form.GEN1]]
    assert store.find("2404gen2containerd", Generation.V2) == node_images[Form.GEN2]
    assert store.find("2404containerd", Generation.V1) == node_images[Form.GEN1]


@pytest.mark.parametrize("form", Form)
def test_each_form_says_what_inspection_finds(form: Form, node_images: dict[Form, DiskImage], tmp_path: Path) -> None:
    image = node_images[form]
    found = inspect(image.path, tmp_path)

    assert found.generations == image.generations == FORMS[form].generations
    assert found.virtual_bytes == image.virtual_bytes
    assert (found.secure_boot is False) == (image.secure_boot is False) == (form is Form.UNSIGNED)
    assert (image.origin, image.definition, image.form, image.has_agent) == (Origin.STAND_IN, None, form, True)


def test_an_image_says_what_it_was_made_from(node_images: dict[Form, DiskImage]) -> None:
    names = [part.partition(" ")[0] for part in node_images[Form.GEN2].source]

    assert names[0].startswith("linux-image-")
    assert names[1:] == [
        *("busybox-static", "shim-signed", "shim-unsigned", "grub-efi-amd64-signed", "grub-pc-bin", "recipe")
    ]
    assert "grub-efi-amd64-bin" in " ".join(node_images[Form.UNSIGNED].source)


@pytest.mark.parametrize("step", ["unpacking packages", "making the disk, form gen2"])
def test_an_interrupted_build_leaves_nothing_half_done(step: str, tmp_path: Path) -> None:
    store = ImageStore(tmp_path / "images")

    def interrupt(now: str, share: float) -> None:
        if now == step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build([Form.GEN1, Form.GEN2], store, CACHE, interrupt)

    # What was finished before is kept.
    assert [image.form for image in store.list()] == (["gen1"] if step.endswith("gen2") else [])
    assert list((tmp_path / "images" / "work").iterdir()) == []


def test_a_damaged_download_is_noticed_and_replaced(tmp_path: Path) -> None:
    (package,) = packages.current(["shim-unsigned"], tmp_path)
    heard: list[str] = []

    def fetch() -> bytes:
        (file,) = packages.fetch([package], tmp_path, lambda lacking: heard.extend(map(str, lacking)))
        return file.read_bytes()

    (tmp_path / ".download-killed").mkdir()
    sound = fetch()
    (tmp_path / package.file_name).write_bytes(sound[:-1] + b"x")
    assert fetch() == sound
    assert fetch() == sound
    assert heard == [str(package)] * 2
    assert not list(tmp_path.glob(".download-*"))


def test_a_package_that_apt_does_not_know_is_named(tmp_path: Path) -> None:
    with pytest.raises(PackagesNotAvailable, match=r"apt knows no busybox-of-poolwright .*apt-get update"):
        packages.current(["busybox-of-poolwright"], tmp_path)


def test_a_host_without_programs_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = host_packages.command
    monkeypatch.setattr(host_packages, "command", lambda name: None if name in ("mcopy", "cpio") else real(name))

    with pytest.raises(MissingPackages) as missing:
        build([Form.GEN1], ImageStore(tmp_path / "images"), CACHE, quietly)
    assert missing.value.names == ("mtools", "cpio")
    assert "apt-get install -y --no-install-recommends mtools cpio" in str(missing.value)
    assert not (tmp_path / "images").exists()


def test_a_kernel_without_a_needed_module_is_refused_but_what_is_built_in_needs_no_file(tmp_path: Path) -> None:
    kernel = tmp_path / "6.1"
    kernel.mkdir()
    (kernel / "modules.builtin").write_text("kernel/drivers/virtio/virtio-pci.ko\n")

    assert modules_in_order(kernel, ["virtio_pci"]) == []
    with pytest.raises(ModuleMissing, match=r"kernel 6\.1 has no module virtio_blk"):
        modules_in_order(kernel, ["virtio_pci", "virtio_blk"])


def test_a_program_that_fails_is_an_error_with_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(ProgramFailed, match=r"dpkg-deb ended with 2: .*nothing\.deb"):
        packages.unpack([tmp_path / "nothing.deb"], tmp_path)


@pytest.mark.parametrize("name", GUEST_FILES)
def test_the_scripts_of_the_guest_are_scripts(name: str) -> None:
    subprocess.run(["sh", "-n", str(GUEST / name)], check=True, timeout=30)
    assert (GUEST / name).read_text().startswith("#!/bin/busybox sh\n# ")
