"""Evidence: what a machine's firmware said, signed, so that it can be checked later and elsewhere.

A statement is JSON; its signature is Ed25519 over the canonical form of all of it but the signature (RFC 8785's, for
the values that occur here: sorted names, no blanks, UTF-8). Whoever has the public key verifies it offline.

Invariant: what is signed is what was measured for the nonce in it; nothing is added afterwards.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

FORMAT: Final = "poolwright.evidence/1"
_SIGNATURE: Final = "signature"


class InvalidEvidence(ValueError):
    """The document is no evidence, or not what was signed; the message says which."""


class EvidenceKey:
    """The key that signs the evidence of one service's machines."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key
        self.public_pem = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.id = key_id(key.public_key())

    @classmethod
    def generate(cls) -> EvidenceKey:
        return cls(Ed25519PrivateKey.generate())

    @classmethod
    def load(cls, pem: bytes) -> EvidenceKey:
        """Raises `ValueError` for anything but an Ed25519 private key."""
        key = serialization.load_pem_private_key(pem, password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError("it is no Ed25519 private key")
        return cls(key)

    def private_pem(self) -> bytes:
        return self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )

    def sign(self, statement: Mapping[str, Any]) -> dict[str, Any]:
        """Return the statement with its format and signature."""
        signed = {**statement, "format": FORMAT, "keyId": self.id}
        value = base64.b64encode(self._key.sign(canonical(signed))).decode("ascii")
        return {**signed, _SIGNATURE: {"algorithm": "Ed25519", "value": value}}


def verify(document: Mapping[str, Any], public_pem: bytes) -> dict[str, Any]:
    """Return the statement that was signed with that key. Raises `InvalidEvidence`."""
    try:
        key = serialization.load_pem_public_key(public_pem)
    except ValueError as error:
        raise InvalidEvidence("the key is no PEM of a public key") from error
    if not isinstance(key, Ed25519PublicKey):
        raise InvalidEvidence("the key is no Ed25519 public key")
    if document.get("format") != FORMAT:
        raise InvalidEvidence(f"its format is {document.get('format')!r}, not {FORMAT!r}")
    if document.get("keyId") != key_id(key):
        raise InvalidEvidence(f"it was signed with key {document.get('keyId')}, and this is key {key_id(key)}")
    statement = {name: value for name, value in document.items() if name != _SIGNATURE}
    try:
        value = base64.b64decode(document[_SIGNATURE]["value"], validate=True)
        key.verify(value, canonical(statement))
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidEvidence("it has no signature") from error
    except InvalidSignature as error:
        raise InvalidEvidence("it is not what was signed: a value or the signature was changed") from error
    return statement


def canonical(document: Mapping[str, Any]) -> bytes:
    """Return the bytes that are signed."""
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)


def key_id(key: Ed25519PublicKey) -> str:
    """Return the first 16 hexadecimal digits of the SHA-256 of the key's 32 bytes."""
    raw = key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return hashlib.sha256(raw).hexdigest()[:16]


def digest_of_file(path: Path) -> str:
    """Return `sha256:` and the digest of what the file holds now; of nothing where there is none."""
    content = path.read_bytes() if path.exists() else b""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def digest_of_text(text: str) -> str:
    """Return `sha256:` and the digest of the text in UTF-8."""
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
