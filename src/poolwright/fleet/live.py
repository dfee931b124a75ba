"""A fleet read from an ARM endpoint, Azure's or Poolwright's, by Azure's own SDK.

Needs the extra `azure`. What the SDK returns is read as an export is, so that there is one reader for both.

Invariant: nothing is ever changed there; a request that is no GET does not leave this process.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

from poolwright.fleet.formats import location_of
from poolwright.fleet.reading import Reading
from poolwright.fleet.values import Origin, ProblemKind

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

AZURE: Final = "https://management.azure.com"


class NotInstalled(ImportError):
    """The packages of the extra `azure` are not there."""


def default_credential() -> TokenCredential:
    """Return what azure-identity finds: variables of the environment, a managed identity, or the login of az.

    Raises `NotInstalled`.
    """
    try:
        from azure.identity import DefaultAzureCredential
    except ImportError as error:
        raise NotInstalled(str(error)) from error
    credential: TokenCredential = DefaultAzureCredential()
    return credential


def secret_credential(authority: str, tenant: str, client: str, secret: str, ca: str) -> TokenCredential:
    """Return the credential of a service principal of a service that is not Azure. Raises `NotInstalled`."""
    try:
        from azure.identity import ClientSecretCredential
    except ImportError as error:
        raise NotInstalled(str(error)) from error
    # Without the last, azure-identity asks Microsoft about an authority that is not Microsoft's.
    credential: TokenCredential = ClientSecretCredential(
        tenant, client, secret, authority=authority, connection_verify=ca, disable_instance_discovery=True
    )
    return credential


def take_live(
    reading: Reading,
    endpoint: str,
    subscriptions: Iterable[str],
    credential: TokenCredential,
    *,
    ca: str | None = None,
) -> None:
    """Take the clusters of these subscriptions, and the sizes of every location that has one.

    A subscription or a list of sizes that cannot be read is a problem of the fleet. `ca` is the certificate authority
    to trust in the place of the usual ones. Raises `NotInstalled`.
    """
    try:
        from azure.core.exceptions import AzureError
        from azure.mgmt.compute import ComputeManagementClient
        from azure.mgmt.containerservice import ContainerServiceClient
    except ImportError as error:
        raise NotInstalled(str(error)) from error

    options: dict[str, Any] = {"base_url": endpoint, "per_call_policies": [_only_reading()]}
    if ca is not None:
        options["connection_verify"] = ca

    def taken(what: str, entries: Iterable[Any]) -> set[str]:
        """Take what a list of the endpoint has; returns the locations met."""
        places = set[str]()
        try:
            for number, entry in enumerate(entries):
                document = entry.as_dict()
                places.add(location_of(document.get("location")) or "")
                reading.take_entry(document, Origin(f"<{endpoint}{what}>", 0, f"[{number}]"))
        except AzureError as error:
            reading.complain(ProblemKind.UNREADABLE, Origin(f"<{endpoint}{what}>"), _in_one_line(error))
        return places - {""}

    with ExitStack() as stack:
        for subscription in subscriptions:
            containers = stack.enter_context(ContainerServiceClient(credential, subscription, **options))
            compute = stack.enter_context(ComputeManagementClient(credential, subscription, **options))
            places = taken(f"/subscriptions/{subscription}/managedClusters", containers.managed_clusters.list())
            for place in sorted(places):
                query = f"location eq '{place}'"
                taken(f"/subscriptions/{subscription}/skus?$filter={query}", compute.resource_skus.list(filter=query))


def _only_reading() -> Any:
    from azure.core.pipeline import PipelineRequest
    from azure.core.pipeline.policies import SansIOHTTPPolicy

    class OnlyReading(SansIOHTTPPolicy[Any, Any]):
        def on_request(self, request: PipelineRequest[Any]) -> None:
            if request.http_request.method != "GET":
                raise AssertionError(f"a fleet is only read, and this is a {request.http_request.method}")

    return OnlyReading()


def _in_one_line(error: Exception) -> str:
    """What an error of the SDK says first; the rest are details of every credential that was tried."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
