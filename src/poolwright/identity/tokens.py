"""Access tokens: the key that signs them, issuing, checking, and what a refused client is told.

Invariant: `TokenVerifier.verify` returns a caller only for a token that this service's own key signed
with RS256 and that is valid at the given time; for any other text it raises `InvalidToken`, nothing
else. A client answers the claims challenge that follows by fetching a new token, so that a service
that starts with a new key keeps its logged-in users.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections import OrderedDict
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from poolwright.identity.private_files import PRIVATE, write_atomically

ALGORITHM = "RS256"
_KEY_BITS = 2048
_MAX_TOKEN_CHARACTERS = 16_384
_MAX_REMEMBERED_TOKENS = 4096

# The names of Azure Resource Manager as a resource. Clients write them without a slash at the end, with
# one, and, because az joins `/` and `/.default`, with two.
_RESOURCE_MANAGERS = frozenset({"https://management.core.windows.net", "https://management.azure.com"})
_SLASHES = ("", "/", "//")

Membership: TypeAlias = Callable[[str], bool] | AbstractSet[str]
"""A set of names, or a function that answers whether a name belongs to it."""


class InvalidToken(ValueError):
    """The token is refused; `reason` says why and never quotes the token."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Caller:
    """The service principal that a token stands for."""

    tenant_id: str
    app_id: str
    object_id: str


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The RSA key of the service; `kid` is its RFC 7638 thumbprint, so it need not be stored."""

    private_key: rsa.RSAPrivateKey = field(repr=False)
    kid: str

    @classmethod
    def create(cls) -> SigningKey:
        return cls._of(rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS))

    @classmethod
    def load_or_create(cls, path: Path) -> SigningKey:
        """Return the key stored at `path`; where there is none, a new one that is stored there.

        Raises `ValueError`, naming the file, for a file that holds no usable key.
        """
        try:
            pem = path.read_bytes()
        except FileNotFoundError:
            key = cls.create()
            write_atomically(path, key._pem())
            return key
        path.chmod(PRIVATE)
        try:
            private_key = serialization.load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise ValueError(_unusable(path)) from error
        if not isinstance(private_key, rsa.RSAPrivateKey) or private_key.key_size < _KEY_BITS:
            raise ValueError(_unusable(path))
        return cls._of(private_key)

    @classmethod
    def _of(cls, private_key: rsa.RSAPrivateKey) -> SigningKey:
        members = {"kty": "RSA", **_modulus_and_exponent(private_key.public_key())}
        canonical = json.dumps(members, sort_keys=True, separators=(",", ":")).encode()
        return cls(private_key, _base64url(hashlib.sha256(canonical).digest()))

    @property
    def public_key(self) -> rsa.RSAPublicKey:
        return self.private_key.public_key()

    def jwks(self) -> dict[str, Any]:
        """Return the public half as a JSON Web Key Set, which `jwks_uri` answers with."""
        return {
            "keys": [
                {
                    "kty": "RSA",
                    "use": "sig",
                    "alg": ALGORITHM,
                    "kid": self.kid,
                    **_modulus_and_exponent(self.public_key),
                }
            ]
        }

    def secret_of(self, name: str) -> str:
        """Return 128 hexadecimal digits for a name: always the same, and known to nobody without this key."""
        signature = self.private_key.sign(name.encode(), padding.PKCS1v15(), hashes.SHA256())
        return hashlib.sha512(signature).hexdigest()

    def _pem(self) -> bytes:
        return self.private_key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


class TokenIssuer:
    """Makes the tokens that the token endpoint hands out."""

    def __init__(self, key: SigningKey) -> None:
        self._key = key

    def issue(
        self,
        tenant_id: str,
        app_id: str,
        object_id: str,
        issuer: str,
        audience: str,
        now: float,
        lifetime_seconds: int,
    ) -> str:
        """Return a signed token with the claims of an application's token of Microsoft Entra ID.

        Azure Resource Manager takes version 1.0 tokens, whose `appid` is the `azp` of version 2.0; both
        are there. Source: https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference
        """
        issued_at = int(now)
        claims = {
            "aud": audience,
            "iss": issuer,
            "iat": issued_at,
            "nbf": issued_at,
            "exp": issued_at + lifetime_seconds,
            "tid": tenant_id,
            "oid": object_id,
            "sub": object_id,
            "appid": app_id,
            "azp": app_id,
            "idtyp": "app",
            "ver": "1.0",
        }
        return jwt.encode(claims, self._key.private_key, ALGORITHM, headers={"kid": self._key.kid})


@dataclass(frozen=True, slots=True)
class _VerifiedToken:
    """What a token with a good signature says; whether it holds depends on the time and the tenants."""

    caller: Caller
    not_before: int
    expires: int


class TokenVerifier:
    """Checks tokens, and remembers verified ones until they expire.

    What can change while a token lives, the time and the tenants, is checked at every call; the rest
    once. May be used from several threads.
    """

    def __init__(
        self,
        key: SigningKey,
        tenants: Membership,
        issuers: Membership,
        service_bases: Membership = frozenset(),
        max_remembered: int = _MAX_REMEMBERED_TOKENS,
    ) -> None:
        self._kid = key.kid
        self._public_key = key.public_key
        self._is_tenant = _as_question(tenants)
        self._is_issuer = _as_question(issuers)
        self._service_bases = service_bases
        self._max_remembered = max_remembered
        self._remembered: OrderedDict[bytes, _VerifiedToken] = OrderedDict()
        self._lock = threading.Lock()

    def verify(self, token: str, now: float) -> Caller:
        """Return who presents the token, or raise `InvalidToken`."""
        if not token.isascii() or len(token) > _MAX_TOKEN_CHARACTERS:
            raise InvalidToken("this is not a token")
        digest = hashlib.sha256(token.encode("ascii")).digest()
        remembered = self._recall(digest)
        verified = remembered or self._read(token)
        if now >= verified.expires:
            self._forget(digest)
            raise InvalidToken("the token has expired")
        if now < verified.not_before:
            raise InvalidToken("the token is not valid yet")
        if not self._is_tenant(verified.caller.tenant_id):
            raise InvalidToken("the token belongs to a tenant unknown here")
        if remembered is None:
            self._remember(digest, verified)
        return verified.caller

    def _read(self, token: str) -> _VerifiedToken:
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") != ALGORITHM:
                raise InvalidToken(f"the token is not signed with {ALGORITHM}")
            if header.get("kid") != self._kid:
                raise InvalidToken("the token is signed with a key unknown here")
            # PyJWT compares times with the wall clock; `verify` does so with the time it is given.
            claims = jwt.decode(
                token,
                self._public_key,
                algorithms=[ALGORITHM],
                options={"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False},
            )
        except (jwt.PyJWTError, RecursionError) as error:
            raise InvalidToken("the token is malformed, or its signature is wrong") from error
        if not _is_audience(_text_claim(claims, "aud"), self._service_bases):
            raise InvalidToken("the token is meant for another audience")
        if not self._is_issuer(_text_claim(claims, "iss")):
            raise InvalidToken("the token comes from an issuer unknown here")
        caller = Caller(_text_claim(claims, "tid"), _text_claim(claims, "appid"), _text_claim(claims, "oid"))
        return _VerifiedToken(caller, _time_claim(claims, "nbf"), _time_claim(claims, "exp"))

    def _recall(self, digest: bytes) -> _VerifiedToken | None:
        with self._lock:
            verified = self._remembered.get(digest)
            if verified is not None:
                self._remembered.move_to_end(digest)
            return verified

    def _remember(self, digest: bytes, verified: _VerifiedToken) -> None:
        with self._lock:
            self._remembered[digest] = verified
            while len(self._remembered) > self._max_remembered:
                self._remembered.popitem(last=False)

    def _forget(self, digest: bytes) -> None:
        with self._lock:
            self._remembered.pop(digest, None)


def audience_of_scope(scope: str, service_bases: Membership = frozenset()) -> str:
    """Return the `aud` of the token that a request with this `scope`, or `resource`, is given.

    The audience is what stands before the last slash of the scope, so a second slash stays:
    https://learn.microsoft.com/entra/identity-platform/msal-v1-app-scopes. A resource is the audience
    itself. `service_bases` are the service's own addresses, which the JavaScript SDK asks for.
    Raises `ValueError` for anything but Azure Resource Manager and the service itself.
    """
    audience = scope.removesuffix("/.default")
    if not _is_audience(audience, service_bases):
        raise ValueError(
            "The scope is none of this service: ask for https://management.core.windows.net//.default "
            "or https://management.azure.com/.default."
        )
    return audience


def claims_challenge(base_url: str, now: float, error: str = "insufficient_claims") -> str:
    """Return the `WWW-Authenticate` value that makes a client fetch a token not older than `now`."""
    claims = {"access_token": {"nbf": {"essential": True, "value": str(int(now))}}}
    encoded = base64.b64encode(json.dumps(claims, separators=(",", ":")).encode()).decode()
    # The base may be what a client wrote into its Host header: nothing in it may end the quoted string.
    authorization_uri = quote(base_url, safe=":/[]@%") + "/common/oauth2/authorize"
    return f'Bearer realm="", authorization_uri="{authorization_uri}", error="{error}", claims="{encoded}"'


def _is_audience(audience: str, service_bases: Membership) -> bool:
    resource = audience.rstrip("/")
    if audience.removeprefix(resource) not in _SLASHES:
        return False
    return resource in _RESOURCE_MANAGERS or _as_question(service_bases)(resource)


def _as_question(membership: Membership) -> Callable[[str], bool]:
    return membership if callable(membership) else membership.__contains__


def _text_claim(claims: dict[str, Any], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise InvalidToken(f"the token has no usable claim {name}")
    return value


def _time_claim(claims: dict[str, Any], name: str) -> int:
    value = claims.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidToken(f"the token has no usable claim {name}")
    return value


def _modulus_and_exponent(public_key: rsa.RSAPublicKey) -> dict[str, str]:
    numbers = public_key.public_numbers()
    return {"n": _base64url_integer(numbers.n), "e": _base64url_integer(numbers.e)}


def _base64url_integer(value: int) -> str:
    return _base64url(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _unusable(path: Path) -> str:
    return (
        f"{path} holds no RSA private key of at least {_KEY_BITS} bits without a password; "
        "remove it, and the next start makes a new one"
    )
