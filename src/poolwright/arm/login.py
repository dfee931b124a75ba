"""The identity endpoints `az` and the SDKs log in with, in both authority families.

`/adfs` needs no instance discovery in az; `/{tenant}` is what the SDKs prefer. Guessing a secret is
slowed down. Source: protocol as tried with az 2.91 (docs/compatibility.md, "Login").

Invariant: a secret is compared and forgotten; it is in no log and no reply.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import parse_qs

import orjson
from starlette.requests import Request
from starlette.responses import Response

from poolwright.identity.service_principal import GuessLimiter, nobodys_hash, secret_matches
from poolwright.identity.tokens import SigningKey, TokenIssuer, audience_of_scope
from poolwright.store.database import Reader
from poolwright.store.identity_statements import SERVICE_PRINCIPAL, ServicePrincipal

TOKEN_LIFETIME_SECONDS: Final = 86_399
_MAX_FORM_BYTES: Final = 64 * 1024
_MAX_FORM_FIELDS: Final = 50
_DEFAULT_SCOPE: Final = "https://management.core.windows.net//.default"


class Login:
    """Serves metadata, discovery documents, keys and tokens."""

    def __init__(
        self, *, key: SigningKey, reader: Reader, now: Callable[[], float], base_of: Callable[[Request], str]
    ) -> None:
        self._key = key
        self._issuer = TokenIssuer(key)
        self._reader = reader
        self._now = now
        self._base_of = base_of
        self._limiter = GuessLimiter()
        # A check costs 16 MiB and tens of milliseconds; the bound also keeps guesses from coming in bursts.
        self._checks = asyncio.Semaphore(2)
        # Compared when the client ID is unknown, so that the time taken does not tell.
        self._nobody = nobodys_hash()

    def routes(self) -> tuple[tuple[str, str, Callable[[Request], Awaitable[Response]]], ...]:
        """Return path, method and handler of each endpoint."""
        return (
            ("/metadata/endpoints", "GET", self.metadata),
            ("/adfs/.well-known/openid-configuration", "GET", self.openid_configuration),
            # Whoever joins the login endpoint of the metadata with a tenant asks here: azure-identity in Ansible does.
            ("/adfs/{tenant}/.well-known/openid-configuration", "GET", self.openid_configuration),
            ("/adfs/{tenant}/v2.0/.well-known/openid-configuration", "GET", self.openid_configuration),
            ("/{tenant}/v2.0/.well-known/openid-configuration", "GET", self.openid_configuration),
            ("/{tenant}/.well-known/openid-configuration", "GET", self.openid_configuration),
            ("/adfs/oauth2/token", "POST", self.token),
            # The login endpoint joined with the tenant again: Terraform's azurerm asks nobody where tokens are.
            ("/adfs/{tenant}/oauth2/v2.0/token", "POST", self.token),
            ("/{tenant}/oauth2/v2.0/token", "POST", self.token),
            ("/{tenant}/oauth2/token", "POST", self.token),
            ("/keys", "GET", self.keys),
        )

    async def metadata(self, request: Request) -> Response:
        return _json(cloud_of(self._base_of(request)))

    async def openid_configuration(self, request: Request) -> Response:
        base = self._base_of(request)
        tenant = request.path_params.get("tenant", "adfs")
        issuer = _issuer(base, tenant)
        oauth = f"{base}/adfs/oauth2" if tenant == "adfs" else f"{base}/{tenant}/oauth2/v2.0"
        return _json(
            {
                "issuer": issuer,
                "authorization_endpoint": f"{oauth}/authorize",
                "token_endpoint": f"{oauth}/token",
                "device_authorization_endpoint": f"{oauth}/devicecode",
                "jwks_uri": f"{base}/keys",
                "response_types_supported": ["token"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
            }
        )

    async def keys(self, request: Request) -> Response:
        return _json(self._key.jwks())

    async def token(self, request: Request) -> Response:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MAX_FORM_BYTES:
                return _refused(413, "invalid_request", "The token request is too large.")
        try:
            form = _form(bytes(body))
        except ValueError:
            return _refused(400, "invalid_request", f"The token request has more than {_MAX_FORM_FIELDS} fields.")
        if form.get("grant_type") != "client_credentials":
            return _refused(
                400,
                "unsupported_grant_type",
                "AADSTS70003: Only the grant type client_credentials is offered: log in as a service principal.",
            )
        base = self._base_of(request)
        try:
            audience = audience_of_scope(
                form.get("scope") or form.get("resource") or _DEFAULT_SCOPE, {base, f"{base}/msgraph"}
            )
        except ValueError as error:
            return _refused(400, "invalid_scope", f"AADSTS70011: {error}")
        async with self._checks:
            return await self._checked(request, form, audience)

    async def _checked(self, request: Request, form: dict[str, str], audience: str) -> Response:
        client_id = form.get("client_id", "")
        address = request.client.host if request.client else ""
        wait = self._limiter.seconds_to_wait(client_id, address, self._now())
        if wait:
            return _refused(
                429,
                "temporarily_unavailable",
                f"AADSTS50196: Too many failed attempts; try again in {wait} s.",
                {"Retry-After": str(wait)},
            )
        principal = self._principal(client_id)
        stored = principal.secret_hash if principal else self._nobody
        matches = await asyncio.to_thread(secret_matches, form.get("client_secret", ""), stored)
        if principal is None or not matches or not self._is_tenant_of(request, principal):
            self._limiter.record_failure(client_id, address, self._now())
            return _refused(401, "invalid_client", "AADSTS7000215: Invalid client secret provided.", codes=[7000215])
        self._limiter.record_success(client_id)
        if principal.has_expired(self._now()):
            return _refused(
                401,
                "invalid_client",
                f"AADSTS7000222: The provided client secret keys for app '{principal.app_id}' are expired.",
                codes=[7000222],
            )
        tenant = request.path_params.get("tenant", "adfs")
        token = self._issuer.issue(
            principal.tenant_id,
            principal.app_id,
            principal.object_id,
            _issuer(self._base_of(request), tenant),
            audience,
            self._now(),
            TOKEN_LIFETIME_SECONDS,
        )
        return _json(
            {
                "token_type": "Bearer",
                "expires_in": TOKEN_LIFETIME_SECONDS,
                "ext_expires_in": TOKEN_LIFETIME_SECONDS,
                "access_token": token,
            },
            headers={"Cache-Control": "no-store"},
        )

    def _principal(self, client_id: str) -> ServicePrincipal | None:
        row = self._reader.row(SERVICE_PRINCIPAL, key=client_id.lower())
        return ServicePrincipal(*row) if row is not None else None

    @staticmethod
    def _is_tenant_of(request: Request, principal: ServicePrincipal) -> bool:
        tenant = request.path_params.get("tenant", "adfs").lower()
        return tenant in ("adfs", principal.tenant_id)


def cloud_of(base: str) -> dict[str, Any]:
    """Return what clients and templates are told of this cloud, which is at that address."""
    return {
        "name": "Poolwright",
        "portal": f"{base}/portal",
        "resourceManager": base,
        "graph": f"{base}/graph/",
        "graphAudience": f"{base}/graph/",
        "microsoftGraphResourceId": f"{base}/msgraph/",
        "gallery": f"{base}/gallery/",
        "batch": f"{base}/batch/",
        "authentication": {
            "loginEndpoint": f"{base}/adfs",
            "audiences": ["https://management.core.windows.net/", "https://management.azure.com/"],
            "tenant": "common",
            "identityProvider": "AAD",
        },
        "suffixes": {
            "acrLoginServer": "azurecr.poolwright.invalid",
            "keyVaultDns": "vault.poolwright.invalid",
            "storage": "core.poolwright.invalid",
            "sqlServerHostname": "database.poolwright.invalid",
        },
    }


def _form(body: bytes) -> dict[str, str]:
    fields = parse_qs(body.decode("utf-8", "replace"), max_num_fields=_MAX_FORM_FIELDS)
    return {name: values[0] for name, values in fields.items()}


def _issuer(base: str, tenant: str) -> str:
    return f"{base}/adfs" if tenant == "adfs" else f"{base}/{tenant}/v2.0"


def _json(document: dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(document), status, headers=headers, media_type="application/json; charset=utf-8")


def _refused(
    status: int,
    error: str,
    description: str,
    headers: dict[str, str] | None = None,
    codes: list[int] | None = None,
) -> Response:
    return _json({"error": error, "error_description": description, "error_codes": codes or []}, status, headers)
