"""Files with keys and secrets are private from their first byte and never half written."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from poolwright.identity.private_files import remove_unfinished, write_atomically


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_file_has_its_content_and_is_private_under_any_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        write_atomically(tmp_path / "new" / "key.pem", b"secret")
    finally:
        os.umask(before)
    assert (tmp_path / "new" / "key.pem").read_bytes() == b"secret"
    assert mode_of(tmp_path / "new" / "key.pem") == 0o600
    assert mode_of(tmp_path / "new") == 0o700


def test_a_public_mode_is_given_even_under_a_strict_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write_atomically(tmp_path / "ca.pem", b"public", 0o644)
    finally:
        os.umask(before)
    assert mode_of(tmp_path / "ca.pem") == 0o644


def test_a_file_is_private_before_its_first_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, int]] = []
    real_fchmod = os.fchmod

    def fchmod(descriptor: int, mode: int) -> None:
        status = os.fstat(descriptor)
        seen.append((stat.S_IMODE(status.st_mode), status.st_size))
        real_fchmod(descriptor, mode)

    monkeypatch.setattr(os, "fchmod", fchmod)
    write_atomically(tmp_path / "key.pem", b"secret")
    assert seen == [(0o600, 0)]


def test_the_content_is_on_disk_before_the_name_and_the_name_before_the_return(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    real_fsync, real_replace = os.fsync, os.replace

    def fsync(descriptor: int) -> None:
        calls.append("sync directory" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "sync file")
        real_fsync(descriptor)

    def replace(source: Path, target: Path) -> None:
        calls.append("replace")
        real_replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    write_atomically(tmp_path / "key.pem", b"secret")
    assert calls == ["sync file", "replace", "sync directory"]


def test_a_failed_write_keeps_the_old_file_and_leaves_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "key.pem"
    write_atomically(path, b"old")

    def no_space(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", no_space)
        with pytest.raises(OSError, match="No space"):
            write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_replaced_and_what_it_points_to_is_not_touched(tmp_path: Path) -> None:
    elsewhere, path = tmp_path / "elsewhere", tmp_path / "key.pem"
    elsewhere.write_bytes(b"not ours")
    path.symlink_to(elsewhere)
    write_atomically(path, b"secret")
    assert elsewhere.read_bytes() == b"not ours"
    assert not path.is_symlink()


def test_only_unfinished_files_are_removed(tmp_path: Path) -> None:
    kept = [tmp_path / "server.pem", tmp_path / ".hidden"]
    for path in [*kept, tmp_path / ".server.pem.0123456789abcdef.unfinished"]:
        path.touch()
    remove_unfinished(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted(kept)
