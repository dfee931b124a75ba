"""Tests that use the programs of this host: they make disks, build node images, and boot machines."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from poolwright.machines import host_packages
from poolwright.machines.host_packages import Use
from poolwright.machines.images import packages
from poolwright.machines.images.build import Form, build
from poolwright.machines.images.store import DiskImage, ImageStore
from tests.local.bare_qemu import SHORT_DIRECTORY

NEEDED = ("qemu-system-x86", "ovmf", "seabios", "ipxe-qemu", "swtpm")


@pytest.fixture(autouse=True, scope="session")
def everything_is_installed() -> None:
    """Skip, and say what is missing; but never where everything has to be tested."""
    missing = {package.name for use in Use for package in host_packages.missing(use)}
    built = {package.name for package in host_packages.HOST_PACKAGES if Use.BUILD in package.uses}
    if lacking := sorted(missing & {*built, *NEEDED}):
        reason = f"not installed here: {host_packages.install_line(lacking)}"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)


@pytest.fixture(scope="session")
def node_images(everything_is_installed: None, tmp_path_factory: pytest.TempPathFactory) -> dict[Form, DiskImage]:
    """The node image in every form, built from current packages; workers share one store."""
    base = tmp_path_factory.getbasetemp()
    directory = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    store = ImageStore(directory / "images")
    built = build(list(Form), store, packages.default_cache(), lambda step, share: None)
    return dict(zip(Form, built, strict=True))


@pytest.fixture
def short_directory() -> Iterator[Path]:
    """A directory for sockets."""
    with tempfile.TemporaryDirectory(prefix="pw-", dir=SHORT_DIRECTORY) as directory:
        yield Path(directory)
