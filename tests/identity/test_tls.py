"""The certificates that the service makes for itself, and how they survive time and crashes."""

from __future__ import annotations

import fcntl
import ipaddress
import os
import ssl
import stat
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from cryptography.x509.verification import PolicyBuilder, Store

from poolwright.identity.tls import TlsFiles, ensure_certificates

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)
ALL_FILES = ["ca-key.pem", "ca.pem", "server-key.pem", "server.pem"]


def certificate(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def contents(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


def assert_usable(files: TlsFiles, at: datetime, *names: str) -> None:
    """An independent verifier accepts the server certificate, and the key belongs to it."""
    leaf = certificate(files.certificate)
    builder = PolicyBuilder().store(Store([certificate(files.ca)])).time(at)
    for name in ("localhost", *names):
        builder.build_server_verifier(x509.DNSName(name)).verify(leaf, [])
    for address in ("127.0.0.1", "::1"):
        builder.build_server_verifier(x509.IPAddress(ipaddress.ip_address(address))).verify(leaf, [])
    key = serialization.load_pem_private_key(files.key.read_bytes(), password=None)
    assert key.public_key() == leaf.public_key()


def handshake(files: TlsFiles, server_name: str) -> None:
    """A whole TLS handshake in memory, with the strict verification that Python 3.13 turned on."""
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(files.certificate, files.key)
    client_context = ssl.create_default_context(cafile=str(files.ca))
    client_context.verify_flags |= ssl.VERIFY_X509_STRICT
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server, server_hostname=server_name)
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    waiting = [client, server]
    for _ in range(10):
        for side in list(waiting):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            waiting.remove(side)
    assert not waiting


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1", "lab.example.org", "192.0.2.7"])
def test_strict_openssl_accepts_every_name(tmp_path: Path, name: str) -> None:
    handshake(ensure_certificates(tmp_path, ["lab.example.org", "192.0.2.7"], datetime.now(UTC)), name)


def test_openssl_refuses_a_name_that_was_not_given(tmp_path: Path) -> None:
    files = ensure_certificates(tmp_path, [], datetime.now(UTC))
    with pytest.raises(ssl.SSLCertVerificationError, match=r"lab\.example\.org"):
        handshake(files, "lab.example.org")


def test_the_first_call_makes_four_files_that_an_independent_verifier_accepts(tmp_path: Path) -> None:
    directory = tmp_path / "data" / "tls"
    files = ensure_certificates(directory, ["lab.example.org"], NOW)
    assert files == TlsFiles(directory / "ca.pem", directory / "server.pem", directory / "server-key.pem")
    assert sorted(contents(directory)) == ALL_FILES
    assert_usable(files, NOW, "lab.example.org")


def test_keys_are_private_and_so_is_the_directory(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    files = ensure_certificates(tmp_path, [], NOW)
    files.key.chmod(0o644)
    (tmp_path / "ca-key.pem").chmod(0o644)
    tmp_path.chmod(0o755)
    before = contents(tmp_path)
    ensure_certificates(tmp_path, [], NOW)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (files.key, tmp_path / "ca-key.pem", tmp_path)]
    assert modes == [0o600, 0o600, 0o700]
    assert contents(tmp_path) == before


def test_the_extensions_are_those_of_a_strict_authority_and_server(tmp_path: Path) -> None:
    files = ensure_certificates(tmp_path, [], NOW)
    ca, leaf = certificate(files.ca), certificate(files.certificate)

    ca_constraints = ca.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (ca_constraints.critical, ca_constraints.value.ca) == (True, True)
    ca_usage = ca.extensions.get_extension_for_class(x509.KeyUsage)
    assert (ca_usage.critical, ca_usage.value.key_cert_sign) == (True, True)
    ca_identifier = ca.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest

    leaf_constraints = leaf.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (leaf_constraints.critical, leaf_constraints.value.ca) == (True, False)
    leaf_usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    assert (leaf_usage.digital_signature, leaf_usage.key_cert_sign) == (True, False)
    extended = leaf.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(extended) == [ExtendedKeyUsageOID.SERVER_AUTH]
    leaf.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    issuer = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert issuer.key_identifier == ca_identifier

    for one in (ca, leaf):
        key = one.public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert isinstance(key.curve, ec.SECP256R1)


def test_the_authority_lives_ten_years_and_the_server_certificate_two(tmp_path: Path) -> None:
    files = ensure_certificates(tmp_path, [], NOW)
    ca, leaf = certificate(files.ca), certificate(files.certificate)
    assert ca.not_valid_after_utc.year == 2036
    assert leaf.not_valid_after_utc == NOW + timedelta(days=730)
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc <= timedelta(days=825)


def test_names_are_recognised_as_addresses_or_hosts_and_written_once(tmp_path: Path) -> None:
    names = ["LAB.example.org.", "lab.example.org", "[2001:db8::1]", "127.0.0.1", "*.example.org", "node_1"]
    extensions = certificate(ensure_certificates(tmp_path, names, NOW).certificate).extensions
    assert list(extensions.get_extension_for_class(x509.SubjectAlternativeName).value) == [
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        x509.IPAddress(ipaddress.ip_address("::1")),
        x509.DNSName("localhost"),
        x509.DNSName("lab.example.org"),
        x509.IPAddress(ipaddress.ip_address("2001:db8::1")),
        x509.DNSName("*.example.org"),
        x509.DNSName("node_1"),
    ]


UNUSABLE_NAMES = ["", "two words", "https://a.example", "a..example", "b\u00fccher.example", "a" * 64, "-a"]


@pytest.mark.parametrize("name", UNUSABLE_NAMES)
def test_an_unusable_name_is_refused_before_anything_is_written(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="neither an IP address nor a DNS name"):
        ensure_certificates(tmp_path / "tls", [name], NOW)
    assert not (tmp_path / "tls").exists()


def test_a_time_without_zone_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="time zone"):
        ensure_certificates(tmp_path, [], NOW.replace(tzinfo=None))


def test_the_zone_of_the_time_does_not_matter(tmp_path: Path) -> None:
    elsewhere = NOW.astimezone(timezone(timedelta(hours=14)))
    files = ensure_certificates(tmp_path, [], elsewhere)
    assert certificate(files.certificate).not_valid_after_utc == NOW + timedelta(days=730)


def test_a_usable_set_is_left_alone(tmp_path: Path) -> None:
    ensure_certificates(tmp_path, ["lab.example.org"], NOW)
    before = contents(tmp_path)
    ensure_certificates(tmp_path, ["lab.example.org"], NOW + timedelta(days=699))
    ensure_certificates(tmp_path, [], NOW)
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("days", "names"),
    [(700, []), (731, []), (3000, []), (0, ["lab.example.org"]), (0, ["192.0.2.7"])],
    ids=["ends in 30 days", "has ended", "ended long ago", "lacks a host", "lacks an address"],
)
def test_the_server_certificate_alone_is_made_again_while_the_authority_is_good(
    tmp_path: Path, days: int, names: list[str]
) -> None:
    ensure_certificates(tmp_path, [], NOW)
    before = contents(tmp_path)
    later = NOW + timedelta(days=days)
    files = ensure_certificates(tmp_path, names, later)
    after = contents(tmp_path)
    assert {name for name in ALL_FILES if after[name] != before[name]} == {"server.pem", "server-key.pem"}
    assert_usable(files, later + timedelta(days=30))


@pytest.mark.parametrize("days", [-1, 3622, 3652, 5000])
def test_everything_is_made_again_when_the_authority_is_not_valid(tmp_path: Path, days: int) -> None:
    ensure_certificates(tmp_path, [], NOW)
    before = contents(tmp_path)
    later = NOW + timedelta(days=days)
    files = ensure_certificates(tmp_path, [], later)
    after = contents(tmp_path)
    assert all(after[name] != before[name] for name in ALL_FILES)
    assert_usable(files, later)


def test_a_server_certificate_never_outlives_its_authority(tmp_path: Path) -> None:
    ensure_certificates(tmp_path, [], NOW)
    ca = (tmp_path / "ca.pem").read_bytes()
    later = NOW + timedelta(days=3652 - 31)
    files = ensure_certificates(tmp_path, [], later)
    assert files.ca.read_bytes() == ca
    assert certificate(files.certificate).not_valid_after_utc == certificate(files.ca).not_valid_after_utc
    before = contents(tmp_path)
    ensure_certificates(tmp_path, [], later)
    assert contents(tmp_path) == before


def encrypted(pem: bytes) -> bytes:
    key = serialization.load_pem_private_key(pem, password=None)
    encryption = serialization.BestAvailableEncryption(b"password")
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


def a_foreign_key(_: bytes) -> bytes:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def an_rsa_key(_: bytes) -> bytes:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


DAMAGE: dict[str, Callable[[bytes], bytes | None]] = {
    "missing": lambda _: None,
    "empty": lambda _: b"",
    "cut": lambda content: content[: len(content) // 2],
    "binary": lambda _: bytes(range(256)),
}
KEY_DAMAGE: dict[str, Callable[[bytes], bytes | None]] = {
    "foreign": a_foreign_key,
    "RSA": an_rsa_key,
    "encrypted": encrypted,
}
CASES = [
    pytest.param(name, damage, id=f"{name} {how}")
    for name in ALL_FILES
    for how, damage in (DAMAGE | KEY_DAMAGE if "key" in name else DAMAGE).items()
]


@pytest.mark.parametrize(("name", "damage"), CASES)
def test_what_is_missing_damaged_or_mismatched_is_made_again(
    tmp_path: Path, name: str, damage: Callable[[bytes], bytes | None]
) -> None:
    ensure_certificates(tmp_path, [], NOW)
    before = contents(tmp_path)
    content = damage(before[name])
    if content is None:
        (tmp_path / name).unlink()
    else:
        (tmp_path / name).write_bytes(content)
    files = ensure_certificates(tmp_path, [], NOW)
    assert sorted(contents(tmp_path)) == ALL_FILES
    assert_usable(files, NOW)
    if name.startswith("server"):
        assert files.ca.read_bytes() == before["ca.pem"]


def test_a_server_certificate_of_another_authority_is_made_again(tmp_path: Path) -> None:
    ours, other = tmp_path / "ours", tmp_path / "other"
    files = ensure_certificates(ours, [], NOW)
    ca = files.ca.read_bytes()
    ensure_certificates(other, [], NOW)
    for name in ("server.pem", "server-key.pem"):
        (ours / name).write_bytes((other / name).read_bytes())
    ensure_certificates(ours, [], NOW)
    assert files.ca.read_bytes() == ca
    assert_usable(files, NOW)


def test_a_server_certificate_cannot_take_the_place_of_the_authority(tmp_path: Path) -> None:
    files = ensure_certificates(tmp_path, [], NOW)
    files.ca.write_bytes(files.certificate.read_bytes())
    (tmp_path / "ca-key.pem").write_bytes(files.key.read_bytes())
    ensure_certificates(tmp_path, [], NOW)
    assert_usable(files, NOW)


Change = tuple[type[x509.ExtensionType], x509.ExtensionType | None]

AUTHORITY_CHANGES: dict[str, Change] = {
    "is no authority": (x509.BasicConstraints, x509.BasicConstraints(ca=False, path_length=None)),
    "has no constraints": (x509.BasicConstraints, None),
    "has no key usage": (x509.KeyUsage, None),
    "has no key identifier": (x509.SubjectKeyIdentifier, None),
}
SERVER_CHANGES: dict[str, Change] = {
    "is for clients": (x509.ExtendedKeyUsage, x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH])),
    "has no purpose": (x509.ExtendedKeyUsage, None),
    "has no names": (x509.SubjectAlternativeName, None),
    "does not identify its authority": (x509.AuthorityKeyIdentifier, None),
}
CHANGES = [
    pytest.param(name, *change, id=f"{name} {what}")
    for name, changes in (("ca.pem", AUTHORITY_CHANGES), ("server.pem", SERVER_CHANGES))
    for what, change in changes.items()
]


@pytest.mark.parametrize(("name", "kind", "value"), CHANGES)
def test_a_certificate_that_strict_clients_would_refuse_is_made_again(
    tmp_path: Path, name: str, kind: type[x509.ExtensionType], value: x509.ExtensionType | None
) -> None:
    files = ensure_certificates(tmp_path, [], NOW)
    old = certificate(tmp_path / name)
    builder = (
        x509.CertificateBuilder()
        .subject_name(old.subject)
        .issuer_name(old.issuer)
        .public_key(old.public_key())
        .serial_number(old.serial_number)
        .not_valid_before(old.not_valid_before_utc)
        .not_valid_after(old.not_valid_after_utc)
    )
    for extension in old.extensions:
        if not isinstance(extension.value, kind):
            builder = builder.add_extension(extension.value, extension.critical)
        elif value is not None:
            builder = builder.add_extension(value, extension.critical)
    authority_key = serialization.load_pem_private_key((tmp_path / "ca-key.pem").read_bytes(), password=None)
    assert isinstance(authority_key, ec.EllipticCurvePrivateKey)
    changed = builder.sign(authority_key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    (tmp_path / name).write_bytes(changed)
    ensure_certificates(tmp_path, [], NOW)
    assert (tmp_path / name).read_bytes() != changed
    assert_usable(files, NOW)


def test_two_processes_never_write_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = os.open(tmp_path, os.O_RDONLY)
    written: list[str] = []
    real_replace = os.replace

    def replace(source: Path, target: Path) -> None:
        with pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        real_replace(source, target)
        written.append(target.name)

    monkeypatch.setattr(os, "replace", replace)
    try:
        ensure_certificates(tmp_path, [], NOW)
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        os.close(other)
    assert sorted(written) == ALL_FILES


class Killed(BaseException):
    """Stands for SIGKILL: nothing of the process does anything any more."""


def run_until_killed(monkeypatch: pytest.MonkeyPatch, deadly_call: int, directory: Path) -> bool:
    """Ensure certificates, dying at the given call into the operating system; return whether it died."""
    calls = count(1)
    dead = False

    def dying(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **keywords: Any) -> Any:
            nonlocal dead
            dead = dead or next(calls) == deadly_call
            if dead:
                raise Killed
            return real(*arguments, **keywords)

        return call

    with monkeypatch.context() as patch:
        for name in ("mkdir", "chmod", "fchmod", "fsync", "replace", "unlink"):
            patch.setattr(os, name, dying(getattr(os, name)))
        try:
            ensure_certificates(directory, [], NOW)
        except Killed:
            return True
    return False


AGES_DAYS = {"nothing": None, "complete": 0, "old server": 710, "old authority": 3640}


@pytest.mark.parametrize("age_days", AGES_DAYS.values(), ids=AGES_DAYS)
def test_killed_at_any_moment_the_next_call_has_a_usable_set_and_keeps_a_good_authority(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, age_days: int | None
) -> None:
    for deadly_call in count(1):
        directory = tmp_path / str(deadly_call)
        if age_days is not None:
            ensure_certificates(directory, [], NOW - timedelta(days=age_days))
        good_authority = (directory / "ca.pem").read_bytes() if age_days in (0, 710) else None

        died = run_until_killed(monkeypatch, deadly_call, directory)

        for path in directory.glob("*.pem"):
            assert path.read_bytes().endswith(b"-----\n")
        files = ensure_certificates(directory, [], NOW)
        assert sorted(contents(directory)) == ALL_FILES
        assert_usable(files, NOW)
        if good_authority is not None:
            assert files.ca.read_bytes() == good_authority
        if not died:
            break
    assert deadly_call > 3
