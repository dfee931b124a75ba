"""Debian packages as raw material of node images: found, downloaded, unpacked, never installed.

apt decides which version is current and checks what it downloads against the signed archive. Downloads are kept
in a cache under the names apt gives them, which have the version.

Invariant: a file of the cache is used only when it has the digest that apt states for it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

from poolwright.machines.images import programs
from poolwright.machines.images.programs import ProgramFailed

# The metapackage that names the newest kernel for virtual machines: small, signed, virtio as modules.
KERNEL_METAPACKAGE = "linux-image-cloud-amd64"
_ARCHITECTURE = "amd64"
_DOWNLOAD_TIMEOUT_SECONDS = 900.0
_UNFINISHED = ".download-"


class PackagesNotAvailable(Exception):
    """apt knows no such package, or cannot download it."""


@dataclass(frozen=True, slots=True)
class Package:
    """A package as the archive has it now; `digest` is `algorithm:hex`."""

    name: str
    version: str
    file_name: str
    digest: str

    def __str__(self) -> str:
        return f"{self.name} {self.version}"


def default_cache() -> Path:
    """Return where downloads are kept: in the user's cache directory."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "poolwright" / "packages"


def kernel_package(cache: Path) -> str:
    """Return the name of the newest kernel package. Raises `PackagesNotAvailable`."""
    try:
        shown = _apt("apt-cache", cache, "depends", KERNEL_METAPACKAGE)
    except ProgramFailed as error:
        raise PackagesNotAvailable(_unknown_to_apt(KERNEL_METAPACKAGE, error)) from error
    named = re.search(r"Depends: (linux-image-\S+)", shown)
    if named is None:
        raise PackagesNotAvailable(_unknown_to_apt(KERNEL_METAPACKAGE, None))
    return named[1].removesuffix(f":{_ARCHITECTURE}")


def current(names: Sequence[str], cache: Path) -> list[Package]:
    """Return the packages of those names as the archive has them now. Raises `PackagesNotAvailable`."""
    wanted = [f"{name}:{_ARCHITECTURE}" for name in names]
    try:
        printed = _apt("apt-get", cache, "download", "--print-uris", *wanted)
    except ProgramFailed as error:
        raise PackagesNotAvailable(_unknown_to_apt(", ".join(names), error)) from error
    found = {package.name: package for line in printed.splitlines() if (package := _package(line)) is not None}
    if lacking := [name for name in names if name not in found]:
        raise PackagesNotAvailable(_unknown_to_apt(", ".join(lacking), None))
    return [found[name] for name in names]


def fetch(packages: Sequence[Package], cache: Path, told: Callable[[Sequence[Package]], None]) -> list[Path]:
    """Return the file of each package in the cache; what is not there is downloaded, after `told` has heard of it.

    Raises `PackagesNotAvailable`.
    """
    if _lacking(packages, cache):
        with _only_downloader(cache):
            # Somebody else may have downloaded it meanwhile.
            if lacking := _lacking(packages, cache):
                told(lacking)
                _download(lacking, cache)
    return [cache / package.file_name for package in packages]


def unpack(files: Sequence[Path], root: Path) -> None:
    """Unpack package files into one directory; none of their scripts run."""
    for file in files:
        programs.run("dpkg-deb", "-x", file, root)


def _download(packages: Sequence[Package], cache: Path) -> None:
    # In one call, because each one costs apt seconds before it begins.
    wanted = [f"{package.name}:{_ARCHITECTURE}={package.version}" for package in packages]
    with tempfile.TemporaryDirectory(prefix=_UNFINISHED, dir=cache) as scratch:
        try:
            _apt(
                "apt-get", cache, "-q", "download", *wanted,
                directory=Path(scratch), timeout_seconds=_DOWNLOAD_TIMEOUT_SECONDS,
            )  # fmt: skip
        except ProgramFailed as error:
            names = ", ".join(map(str, packages))
            raise PackagesNotAvailable(f"apt cannot download {names}: {error}") from error
        for package in packages:
            file = Path(scratch) / package.file_name
            if not _is_sound(file, package):
                raise PackagesNotAvailable(f"what was downloaded for {package} is not what apt announced")
            os.replace(file, cache / package.file_name)


def _apt(
    program: str,
    cache: Path,
    *arguments: str,
    directory: Path | None = None,
    timeout_seconds: float = programs.TIMEOUT_SECONDS,
) -> str:
    cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    options = {
        # As root, apt would download as a user of its own, which may not write here.
        "APT::Sandbox::User": "root",
        # An ordinary user cannot keep apt's digest of its lists where root does, and containers keep none at all.
        "Dir::Cache::pkgcache": str(cache / "apt-packages.bin"),
        "Dir::Cache::srcpkgcache": "",
    }
    given = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
    return programs.run(
        program, *given, *arguments, directory=directory, timeout_seconds=timeout_seconds
    ).decode()  # fmt: skip


@contextlib.contextmanager
def _only_downloader(cache: Path) -> Iterator[None]:
    """Wait until nobody else downloads into the cache; what killed downloads left is removed."""
    with (cache / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        for leftover in cache.glob(f"{_UNFINISHED}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        yield


def _lacking(packages: Sequence[Package], cache: Path) -> list[Package]:
    return [package for package in packages if not _is_sound(cache / package.file_name, package)]


def _is_sound(file: Path, package: Package) -> bool:
    algorithm, _, wanted = package.digest.partition(":")
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, algorithm.lower()).hexdigest() == wanted
    except FileNotFoundError:
        return False


def _package(line: str) -> Package | None:
    """A line of `--print-uris`: 'URI' FILE SIZE ALGORITHM:HEX."""
    parts = re.fullmatch(r"'[^']+' (\S+\.deb) \d+ (SHA\d+:[0-9a-f]+)", line.strip())
    if parts is None:
        return None
    name, version, _ = parts[1].split("_")
    # The file name leaves out nothing of the version but writes its colon as %3a.
    return Package(name, unquote(version), parts[1], parts[2])


def _unknown_to_apt(names: str, error: ProgramFailed | None) -> str:
    said = f" ({error})" if error else ""
    return (
        f"apt knows no {names}{said}. Node images are built from the packages of Debian for amd64: "
        "run `apt-get update` as root; other distributions do not have them"
    )
