"""The secret of a service principal: making one, keeping only its hash, and slowing down guessing.

Invariant: no string that comes from a client or from the store makes a check fail with an exception,
and no number of failed attempts makes anybody wait longer than `MAX_WAIT_SECONDS` at a time.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import math
import re
import secrets
import string
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TypeVar

# About 50 ms and 16 MiB for one check on a slow core, half of that time on a current one. The secrets
# are random, so the price of a check matters only should somebody store one of their own.
_SCRYPT_N = 2**14
_SCRYPT_R = 8
_SCRYPT_P = 1
_SCRYPT_MAX_BYTES = 64 * 2**20
_SALT_BYTES = 16
_HASH_BYTES = 32
_STORED = re.compile(
    r"scrypt\$n=(?P<n>[0-9]{1,7}),r=(?P<r>[0-9]{1,2}),p=(?P<p>[0-9]{1,2})"
    r"\$(?P<salt>[A-Za-z0-9_-]{1,128})\$(?P<hash>[A-Za-z0-9_-]{1,128})"
)

FREE_FAILURES = 5
FAILURE_WINDOW_SECONDS = 60
MAX_WAIT_SECONDS = 60
_WAITS_SECONDS = (5, 10, 20, 40, MAX_WAIT_SECONDS)
_FORGIVEN_AFTER_SECONDS = 900
_MAX_ENTRIES = 4096


def new_secret() -> str:
    """Return a new secret of 44 URL-safe characters.

    The first is a letter, so that `az login -p SECRET` never takes the secret for an option.
    """
    return secrets.choice(string.ascii_letters) + secrets.token_urlsafe(32)


def hash_secret(secret: str) -> str:
    """Return what the store keeps: the parameters of scrypt, a new salt, and the hash."""
    salt = secrets.token_bytes(_SALT_BYTES)
    return _stored(salt, _scrypt(secret, salt, _SCRYPT_N, _SCRYPT_R, _SCRYPT_P, _HASH_BYTES))


def nobodys_hash() -> str:
    """Return what a hash looks like that no secret is known for; comparing with it takes as long as with any other."""
    return _stored(secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_HASH_BYTES))


def _stored(salt: bytes, digest: bytes) -> str:
    return f"scrypt$n={_SCRYPT_N},r={_SCRYPT_R},p={_SCRYPT_P}${_encode(salt)}${_encode(digest)}"


def secret_matches(secret: str, stored: str) -> bool:
    """Return whether `stored` was made from `secret`; False for a stored string that no hash could be.

    Takes tens of milliseconds of one core: keep it off the event loop.
    """
    parts = _STORED.fullmatch(stored)
    if parts is None:
        return False
    try:
        salt, expected = _decode(parts["salt"]), _decode(parts["hash"])
        actual = _scrypt(secret, salt, int(parts["n"]), int(parts["r"]), int(parts["p"]), len(expected))
    except (ValueError, MemoryError):
        return False
    return len(expected) >= _HASH_BYTES and hmac.compare_digest(actual, expected)


@dataclass(slots=True)
class _Suspicion:
    """The recent failures of one client ID or one address, and the refusal that follows from them."""

    failures: list[float] = field(default_factory=list)
    refusals: int = 0
    refused_since: float = 0.0
    refused_seconds: int = 0

    def seconds_to_wait(self, now: float) -> float:
        # A clock that was set back must not prolong a refusal.
        if now < self.refused_since:
            return 0.0
        return max(0.0, self.refused_seconds - (now - self.refused_since))

    def add_failure(self, now: float) -> None:
        if self.failures and not 0 <= now - self.failures[-1] < _FORGIVEN_AFTER_SECONDS:
            self.refusals = 0
        recent = [at for at in self.failures if 0 <= now - at < FAILURE_WINDOW_SECONDS]
        self.failures = [*recent, now][-FREE_FAILURES:]
        if len(self.failures) == FREE_FAILURES:
            self.refused_since = now
            self.refused_seconds = _WAITS_SECONDS[min(self.refusals, len(_WAITS_SECONDS) - 1)]
            self.refusals += 1


class GuessLimiter:
    """Slows down guessing at the token endpoint, per client ID and per remote address.

    After `FREE_FAILURES` failures within `FAILURE_WINDOW_SECONDS` further attempts are refused for 5, 10,
    20, 40 and then 60 seconds, each time longer; a refused attempt never prolongs that. Somebody who was
    refused and comes back when told to is let through once, even where failures of others have begun
    another refusal meanwhile: so a stream of failures cannot keep the owner of the secret out for
    longer than `MAX_WAIT_SECONDS`, while a guesser has one attempt per wait and address.

    For use from one thread, the event loop. Memory is bounded: the entries changed longest ago go first.
    """

    def __init__(self, max_entries: int = _MAX_ENTRIES) -> None:
        self._clients = _BoundedDict[_Suspicion](max_entries)
        self._networks = _BoundedDict[_Suspicion](max_entries)
        self._promises = _BoundedDict[float](max_entries)

    def seconds_to_wait(self, client_id: str, remote_address: str, now: float) -> int:
        """Return 0 when an attempt may be made now, otherwise the whole seconds after which it may."""
        client, network, pair = _keys(client_id, remote_address)
        suspicions = (self._clients.get(client), self._networks.get(network))
        wait = max((suspicion.seconds_to_wait(now) for suspicion in suspicions if suspicion), default=0.0)
        if wait == 0:
            self._promises.pop(pair, None)
            return 0
        promised = self._promises.get(pair)
        if promised is None or not -MAX_WAIT_SECONDS <= promised - now <= MAX_WAIT_SECONDS:
            promised = now + math.ceil(wait)
            self._promises.put(pair, promised)
        elif promised <= now:
            del self._promises[pair]
            return 0
        return math.ceil(min(wait, promised - now))

    def record_failure(self, client_id: str, remote_address: str, now: float) -> None:
        """Note that an attempt which was let through brought a wrong secret or an unknown client ID."""
        client, network, _ = _keys(client_id, remote_address)
        for suspicions, key in ((self._clients, client), (self._networks, network)):
            suspicion = suspicions.get(key) or _Suspicion()
            suspicion.add_failure(now)
            suspicions.put(key, suspicion)

    def record_success(self, client_id: str) -> None:
        """Forget the failures of this client ID.

        Those of its address stay, or somebody with one valid secret could go on guessing others.
        """
        self._clients.pop(_digest(client_id), None)


_Entry = TypeVar("_Entry")


class _BoundedDict(OrderedDict[bytes, _Entry]):
    """A dict that drops the entries put longest ago once it is full."""

    def __init__(self, max_entries: int) -> None:
        super().__init__()
        self._max_entries = max_entries

    def put(self, key: bytes, entry: _Entry) -> None:
        self[key] = entry
        self.move_to_end(key)
        while len(self) > self._max_entries:
            self.popitem(last=False)


def _keys(client_id: str, remote_address: str) -> tuple[bytes, bytes, bytes]:
    client, network = _digest(client_id), _digest(_network(remote_address))
    return client, network, client + network


def _digest(text: str) -> bytes:
    # Of one length, whatever a client sends.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _network(remote_address: str) -> str:
    """Return what one guesser cannot change at will: an IPv4 address, the first 64 bits of an IPv6 one."""
    try:
        address = ipaddress.ip_address(remote_address)
    except ValueError:
        return remote_address
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address), 64), strict=False))


def _scrypt(secret: str, salt: bytes, n: int, r: int, p: int, length: int) -> bytes:
    password = secret.encode("utf-8", "surrogatepass")
    return hashlib.scrypt(password, salt=salt, n=n, r=r, p=p, maxmem=_SCRYPT_MAX_BYTES, dklen=length)


def _encode(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
