"""The certificate authority and the server certificate that clients of a local service trust.

`az` and the Azure SDKs speak TLS only, so the service makes its own certificates at its first start.

Invariant: after `ensure_certificates` the directory holds one matching set that is valid for at least
30 more days. A good certificate authority is never replaced, because clients were told to trust it.
"""

from __future__ import annotations

import fcntl
import ipaddress
import os
import re
import secrets
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from poolwright.identity.private_files import PRIVATE, remove_unfinished, write_atomically

AUTHORITY_LIFETIME = timedelta(days=3652)
# Apple's clients refuse server certificates of more than 825 days: https://support.apple.com/103769
CERTIFICATE_LIFETIME = timedelta(days=730)
RENEWAL_MARGIN = timedelta(days=30)
# A client whose clock is a little behind accepts a certificate made this moment.
_BACKDATING = timedelta(hours=1)

_LOOPBACK_NAMES = ("127.0.0.1", "::1", "localhost")
_PUBLIC = 0o644
_DNS_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_DNS_NAME = re.compile(rf"(\*\.)?({_DNS_LABEL}\.)*{_DNS_LABEL}")


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Where the authority to trust, the server certificate and its key are."""

    ca: Path
    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class _Pair:
    """A certificate and the private key that belongs to it."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def ensure_certificates(directory: Path, names: Sequence[str], now: datetime) -> TlsFiles:
    """Return the files of a usable set for the loopback names and `names`; only what is not usable is made.

    Unusable is what is missing, damaged, mismatched, not valid now or for less than 30 days more, or, of
    the server certificate, what lacks a name. A call that was killed is repaired by the next one.
    """
    if now.tzinfo is None:
        raise ValueError("the time for certificates must carry its time zone")
    moment = now.astimezone(UTC).replace(microsecond=0)
    alternative_names = _alternative_names((*_LOOPBACK_NAMES, *names))
    files = TlsFiles(directory / "ca.pem", directory / "server.pem", directory / "server-key.pem")
    authority_key = directory / "ca-key.pem"

    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    directory.chmod(0o700)
    with _only_writer(directory):
        remove_unfinished(directory)
        authority = _read_pair(files.ca, authority_key)
        if authority is None or not _is_good_authority(authority.certificate, moment):
            authority = _make_authority(moment)
            _write_pair(authority, files.ca, authority_key)
        server = _read_pair(files.certificate, files.key)
        if server is None or not _is_good_server(server.certificate, authority, alternative_names, moment):
            _write_pair(_make_server(authority, alternative_names, moment), files.certificate, files.key)
        for key in (authority_key, files.key):
            key.chmod(PRIVATE)
    return files


def renew(context: ssl.SSLContext, directory: Path, names: Sequence[str], now: datetime) -> bool:
    """Have a context that serves the set of `ensure_certificates` serve a good one; return whether it was made anew.

    Handshakes that follow see it. Call it from the thread that does them.
    """
    before = (directory / "server.pem").read_bytes()
    files = ensure_certificates(directory, names, now)
    if files.certificate.read_bytes() == before:
        return False
    context.load_cert_chain(files.certificate, files.key)
    return True


@contextmanager
def _only_writer(directory: Path) -> Iterator[None]:
    # The kernel gives the lock back when its holder dies, however it dies.
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _alternative_names(names: Sequence[str]) -> list[x509.GeneralName]:
    return list(dict.fromkeys(_general_name(name) for name in names))


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name.strip().removeprefix("[").removesuffix("]")))
    except ValueError:
        host = name.strip().lower().removesuffix(".")
    if len(host) > 253 or not _DNS_NAME.fullmatch(host):
        raise ValueError(
            f"{name!r} is neither an IP address nor a DNS name; write names with other letters in punycode"
        )
    return x509.DNSName(host)


def _read_pair(certificate_path: Path, key_path: Path) -> _Pair | None:
    try:
        certificate = x509.load_pem_x509_certificate(certificate_path.read_bytes())
        key = serialization.load_pem_private_key(key_path.read_bytes(), password=None)
        matches = certificate.public_key() == key.public_key()
    except (FileNotFoundError, ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return _Pair(certificate, key) if matches and isinstance(key, ec.EllipticCurvePrivateKey) else None


def _is_good_authority(certificate: x509.Certificate, moment: datetime) -> bool:
    try:
        extensions = certificate.extensions
        certificate.verify_directly_issued_by(certificate)
        extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
        return (
            _is_valid_long_enough(certificate, moment)
            and extensions.get_extension_for_class(x509.BasicConstraints).value.ca
            and extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
        )
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound, x509.DuplicateExtension):
        return False


def _is_good_server(
    certificate: x509.Certificate,
    authority: _Pair,
    alternative_names: Sequence[x509.GeneralName],
    moment: datetime,
) -> bool:
    try:
        extensions = certificate.extensions
        certificate.verify_directly_issued_by(authority.certificate)
        extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
        usage = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        certified = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return (
            _is_valid_long_enough(certificate, moment)
            and ExtendedKeyUsageOID.SERVER_AUTH in usage
            and set(alternative_names) <= set(certified)
        )
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound, x509.DuplicateExtension):
        return False


def _is_valid_long_enough(certificate: x509.Certificate, moment: datetime) -> bool:
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return begins <= moment and moment + RENEWAL_MARGIN < ends


def _make_authority(moment: datetime) -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    # A name of its own: a client that trusts an older authority as well never mixes the two up.
    name = _common_name(f"Poolwright authority {secrets.token_hex(4)}")
    identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key())
    certificate = (
        _builder(name, name, key.public_key(), moment, moment + AUTHORITY_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )
    return _Pair(certificate, key)


def _make_server(authority: _Pair, names: Sequence[x509.GeneralName], moment: datetime) -> _Pair:
    key = ec.generate_private_key(ec.SECP256R1())
    subject, issuer = _common_name("Poolwright service"), authority.certificate.subject
    ends = min(moment + CERTIFICATE_LIFETIME, authority.certificate.not_valid_after_utc)
    issuer_key = authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    identifier = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer_key)
    certificate = (
        _builder(subject, issuer, key.public_key(), moment, ends)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(identifier, critical=False)
        .sign(authority.key, hashes.SHA256())
    )
    return _Pair(certificate, key)


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    moment: datetime,
    ends: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(moment - _BACKDATING)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _key_usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        encipher_only=False,
        decipher_only=False,
    )


def _write_pair(pair: _Pair, certificate_path: Path, key_path: Path) -> None:
    # Between the two writes key and certificate do not match: the next call sees it and makes both again.
    key = pair.key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_atomically(key_path, key)
    write_atomically(certificate_path, pair.certificate.public_bytes(serialization.Encoding.PEM), _PUBLIC)
