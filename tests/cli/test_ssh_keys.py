"""Which public key `aks create` sends."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_ssh_private_key, load_ssh_public_key

from poolwright.cli.failure import Failure
from poolwright.cli.ssh_keys import public_key

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8t1v0 somebody@somewhere"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path / ".ssh"


def test_a_key_that_is_made_belongs_to_its_private_key_and_is_made_once(folder: Path) -> None:
    made = public_key(None, generate=True)

    assert made == public_key(None, generate=True) == public_key(None, generate=False)
    private = folder / "id_rsa"
    assert private.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700
    shown = load_ssh_private_key(private.read_bytes(), None).public_key().public_numbers()  # type: ignore[union-attr]  # RSA
    assert made is not None
    assert load_ssh_public_key(made.encode()).public_numbers() == shown  # type: ignore[union-attr]  # RSA


def test_without_a_file_there_is_no_key(folder: Path) -> None:
    assert public_key(None, generate=False) is None
    assert not folder.exists()


def test_a_file_and_the_key_itself_are_taken(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "own.pub"
    file.write_text(f"{KEY}\n")

    assert public_key(str(file), generate=True) == public_key("~/own.pub", generate=False) == KEY
    assert public_key(KEY, generate=True) == KEY
    assert not folder.exists()


def test_a_private_key_that_is_there_is_not_written_over(folder: Path) -> None:
    folder.mkdir()
    (folder / "id_rsa").write_text("precious")

    with pytest.raises(Failure, match="Name a file or the key itself by --ssh-key-value"):
        public_key(None, generate=True)

    assert (folder / "id_rsa").read_text() == "precious"
    assert not (folder / "id_rsa.pub").exists()


def test_a_private_key_is_not_sent(folder: Path) -> None:
    public_key(None, generate=True)

    with pytest.raises(Failure, match="it is a private key"):
        public_key(str(folder / "id_rsa"), generate=False)


def test_a_file_that_is_missing_is_named(folder: Path) -> None:
    with pytest.raises(Failure, match=r"nowhere\.pub"):
        public_key("/nowhere.pub", generate=False)
