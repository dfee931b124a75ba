"""The public key that `aks create` sends, chosen as az 2.91 chooses it.

Invariant: a file that exists is never written.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from poolwright.cli.failure import Failure
from poolwright.cli.output import note

DEFAULT_FILE: Final = "~/.ssh/id_rsa.pub"
_BITS: Final = 3072


def public_key(value: str | None, *, generate: bool) -> str | None:
    """Return the key itself, a file's, or the one in `DEFAULT_FILE`; None where nothing is named and that is missing.

    `generate` makes a missing file, with its private key beside it. Raises `Failure` where a file cannot be used.
    """
    file = Path(value or DEFAULT_FILE).expanduser()
    try:
        if value is not None and len(value.split()) > 1 and not file.is_file():
            return value.strip()
        if not file.exists() and generate:
            _make(file)
        if value is None and not file.exists():
            return None
        text = file.read_text().strip()
        if "PRIVATE KEY" in text:
            raise ValueError("it is a private key, which belongs to nobody else")
        return text
    except (OSError, ValueError) as error:
        raise Failure(
            f"error: there is no public key to be had of '{file}': {error}. Name a file or the key itself by "
            "--ssh-key-value, have one made by --generate-ssh-keys, or do without: --no-ssh-key"
        ) from error


def _make(public: Path) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa

    private = public.with_suffix("") if public.suffix.lower() == ".pub" else public.with_name(f"{public.name}.private")
    key = rsa.generate_private_key(public_exponent=65537, key_size=_BITS)
    public.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    with os.fdopen(os.open(private, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(secret)
    shown = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    with public.open("xb") as file:
        file.write(shown + b"\n")
    note(f"made the SSH keys {private} and {public}")
