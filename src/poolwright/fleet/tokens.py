"""Access tokens for an endpoint: from Azure by whatever login there is, from a Poolwright service by its credentials.

Invariant: a secret is sent to the endpoint it belongs to and to no other, and is in no error.
"""

from __future__ import annotations

import logging
import ssl
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import httpx

from poolwright.fleet.arm import NoAnswer, Refused, Tokens

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

AZURE_SCOPE: Final = "https://management.azure.com/.default"
_LOCAL_SCOPE: Final = "https://management.core.windows.net//.default"


@dataclass(frozen=True, slots=True)
class Secret:
    """A service principal of a Poolwright service."""

    tenant_id: str
    client_id: str
    client_secret: str = field(repr=False)


def of_poolwright(url: str, verify: ssl.SSLContext, secret: Secret) -> Tokens:
    """Return what logs in to a Poolwright service, once and again when a token was refused."""
    kept: list[str] = []
    lock = threading.Lock()

    def token(renew: bool) -> str:
        with lock:
            if renew or not kept:
                kept[:] = [_log_in(url, verify, secret)]
            return kept[0]

    return token


def of_credential(credential: TokenCredential, scope: str = AZURE_SCOPE) -> Tokens:
    """Return what asks a credential of azure-identity, which keeps its tokens and renews them in time."""
    from azure.core.exceptions import ClientAuthenticationError

    # It logs a page about every way to log in, each time none of them works.
    logging.getLogger("azure.identity").setLevel(logging.ERROR)

    def token(renew: bool) -> str:
        try:
            return str(credential.get_token(scope).token)
        except ClientAuthenticationError as error:
            first = next((line for line in str(error.message).splitlines() if line.strip()), "")
            raise NoAnswer(f"no login to Azure works here, try `az login`: {first}") from error

    return token


def _log_in(url: str, verify: ssl.SSLContext, secret: Secret) -> str:
    form = {
        "grant_type": "client_credentials",
        "client_id": secret.client_id,
        "client_secret": secret.client_secret,
        "scope": _LOCAL_SCOPE,
    }
    try:
        with httpx.Client(verify=verify, timeout=30.0, trust_env=False) as client:
            reply = client.post(f"{url}/{quote(secret.tenant_id, safe='')}/oauth2/v2.0/token", data=form)
    except httpx.HTTPError as error:
        raise NoAnswer(f"{url} does not answer: {error or type(error).__name__}") from error
    if reply.status_code != 200:
        raise Refused(f"{url} refused the credentials: HTTP {reply.status_code}", status=reply.status_code)
    answer = reply.json()
    return str(answer["access_token"])
