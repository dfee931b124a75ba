"""Every error a client can get, one ARM code per leaf.

    PoolwrightError
    ├── InvalidRequest                  the request itself is wrong
    ├── Unauthenticated                 no usable token
    ├── Forbidden                       the caller may not do that
    ├── NotFound                        what was named does not exist
    ├── MethodNotOffered                the path exists, the method does not
    ├── Conflict                        it exists in a state that forbids the request
    ├── FailedPrecondition              If-Match / If-None-Match did not hold
    ├── TooLarge                        the body is larger than ARM takes
    ├── TooSlow                         the request did not come in time
    ├── TooManyRequests                 the caller has to wait
    ├── OperationFailure                accepted, then the operation failed
    ├── Unavailable                     something outside is needed and not there
    └── Internal                        a bug of ours

Invariant: a leaf has one `code`; the families imply the HTTP status (`arm/errors.py` says which).
`wording` tells whose words the message is in: `azure` (published by Microsoft or seen from the
service; sources in the domain notes of docs/compatibility.md) or `ours`. What is `only_on_demand` is an
error of Azure's that this service says only when a fault (`domain/fault.py`) asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar


class PoolwrightError(Exception):
    """Base of all errors that reach a client.

    `target` is the path of the offending property; `remedy` the next move, in words; `details` further
    errors found in the same request; `information` machine-readable facts (rule, alternatives).
    """

    code: ClassVar[str]
    wording: ClassVar[str] = "ours"
    only_on_demand: ClassVar[bool] = False
    cause: ClassVar[str]
    advice: ClassVar[str]

    def __init__(
        self,
        message: str,
        *,
        target: str | None = None,
        remedy: str | None = None,
        details: Sequence[PoolwrightError] = (),
        information: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.target = target
        self.remedy = remedy
        self.details = tuple(details)
        self.information = dict(information or {})


class InvalidRequest(PoolwrightError):
    """The request itself is wrong."""


class Unauthenticated(PoolwrightError):
    """No usable token came with the request."""


class Forbidden(PoolwrightError):
    """The caller is known and may not do that."""


class NotFound(PoolwrightError):
    """What the request names does not exist."""


class MethodNotOffered(PoolwrightError):
    """The path exists, but not with that method."""


class Conflict(PoolwrightError):
    """The resource is in a state that forbids the request."""


class FailedPrecondition(PoolwrightError):
    """If-Match or If-None-Match did not hold."""


class TooLarge(PoolwrightError):
    """The body is larger than Azure Resource Manager takes."""


class TooSlow(PoolwrightError):
    """The request did not come in time."""


class TooManyRequests(PoolwrightError):
    """The caller has to wait before it asks again."""


class OperationFailure(PoolwrightError):
    """The request was accepted and the operation failed."""


class Unavailable(PoolwrightError):
    """Something outside the service is needed and not there."""


class Internal(PoolwrightError):
    """A bug of ours."""


class MissingApiVersionParameter(InvalidRequest):
    code = "MissingApiVersionParameter"
    wording = "azure"
    cause = "the query has no api-version"
    advice = "add ?api-version=YYYY-MM-DD"


class InvalidApiVersionParameter(InvalidRequest):
    code = "InvalidApiVersionParameter"
    wording = "azure"
    cause = "the api-version is not of the form YYYY-MM-DD or YYYY-MM-DD-preview"
    advice = "send any well-formed api-version"


class InvalidSubscriptionId(InvalidRequest):
    code = "InvalidSubscriptionId"
    wording = "azure"
    cause = "the subscription in the path is not a GUID"
    advice = "use the subscription `poolwright env` prints"


class InvalidRequestContent(InvalidRequest):
    code = "InvalidRequestContent"
    cause = "the body is not a JSON object of the expected shape"
    advice = "the message names the place; correct it and send the request again"


class InvalidParameter(InvalidRequest):
    code = "InvalidParameter"
    cause = "a value is outside what AKS takes, or two values exclude each other"
    advice = "the message names the value, what is possible and the next move"


class InvalidOSSKU(InvalidRequest):
    code = "InvalidOSSKU"
    cause = "the OS SKU is unknown, belongs to the other OS type or can no longer be created"
    advice = "choose one of the OS SKUs in the message"


class InvalidImageRef(InvalidRequest):
    code = "InvalidImageRef"
    cause = "no node image exists for this OS SKU, Kubernetes version, generation, architecture and features"
    advice = "the message lists the Kubernetes versions the OS SKU has images for"


class InvalidTagName(InvalidRequest):
    code = "InvalidTagName"
    wording = "azure"
    cause = "the name of a tag is blank or too long"
    advice = "choose a name of 1 to 512 characters"


class InvalidTagNameCharacters(InvalidRequest):
    code = "InvalidTagNameCharacters"
    wording = "azure"
    cause = "the name of a tag has characters that Azure reserves"
    advice = "choose a name without <, >, %, &, \\, ?, / and control characters"


class InvalidTagValueLength(InvalidRequest):
    code = "InvalidTagValueLength"
    wording = "azure"
    cause = "the value of a tag is too long"
    advice = "choose a value of at most 256 characters"


class UnsupportedGen2VMSize(InvalidRequest):
    code = "UnsupportedGen2VMSize"
    cause = "Generation 2 is needed or was asked for, and the size boots only Generation 1"
    advice = "choose one of the alternatives, or do not ask for Generation 2"


class BadRequest(InvalidRequest):
    code = "BadRequest"
    wording = "azure"
    cause = "the size cannot boot the generation the pool would get, or a node label is malformed"
    advice = "ask for Generation 2 or choose a size that offers the generation; correct the label the message names"


class PropertyChangeNotAllowed(InvalidRequest):
    code = "PropertyChangeNotAllowed"
    wording = "azure"
    cause = "the property of an existing node pool cannot be changed"
    advice = "add a new pool with the wanted value, move the workload, delete the old pool"


class VMSizeNotSupported(InvalidRequest):
    code = "VMSizeNotSupported"
    wording = "azure"
    cause = "the size is unknown, not offered in the location, or restricted there for the subscription"
    advice = "`az vm list-skus --location L --size S` lists what is offered"


class InsufficientVcpuQuota(InvalidRequest):
    code = "ErrCode_InsufficientVCPUQuota"
    wording = "azure"
    cause = "the machines, surge included, need more vCPUs of a family than the quota of the location has left"
    advice = "`poolwright quota set` raises the limit; or choose a smaller count, size or maxSurge"


class VMSizeRestrictedByAKS(InvalidRequest):
    code = "VMSizeRestrictedByAKS"
    cause = "the size has fewer than 2 vCPUs or less than 2 GB of memory"
    advice = "choose a size with at least 2 vCPUs and 2 GB"


class SystemPoolSkuTooLow(InvalidRequest):
    code = "SystemPoolSkuTooLow"
    wording = "azure"
    cause = "a system node pool needs a size with at least 2 vCPUs and 4 GB"
    advice = "choose a larger size, or make the pool a User pool"


class SystemPoolMustBeLinux(InvalidRequest):
    code = "SystemPoolMustBeLinux"
    cause = "a Windows node pool was asked for in mode System"
    advice = "use mode User for Windows node pools"


class SystemPoolMustBeRegular(InvalidRequest):
    code = "SystemPoolMustBeRegular"
    cause = "a Spot node pool was asked for in mode System"
    advice = "use mode User for Spot node pools"


class AvailabilityZoneNotSupported(InvalidRequest):
    code = "AvailabilityZoneNotSupported"
    wording = "azure"
    cause = "a zone is not offered for the size in the location, or the size is restricted in it"
    advice = "choose from the zones in the message, or leave availabilityZones out"


class AgentPoolK8sVersionNotSupported(InvalidRequest):
    code = "AgentPoolK8sVersionNotSupported"
    wording = "azure"
    cause = "the Kubernetes version is not offered in the location"
    advice = "`az aks get-versions --location L` lists what is offered"


class NodePoolMcVersionIncompatible(InvalidRequest):
    code = "NodePoolMcVersionIncompatible"
    wording = "azure"
    cause = "the node pool would be newer than the control plane, or more than three minor versions older"
    advice = "upgrade the control plane first, or choose a version within the skew"


class AgentPoolUpgradeVersionNotAllowed(InvalidRequest):
    code = "AgentPoolUpgradeVersionNotAllowed"
    cause = "the request would move a cluster or node pool to an older Kubernetes version, or skip a minor version"
    advice = "choose a version from `az aks get-upgrades`"


class InvalidAgentPoolOrchestratorVersion(InvalidRequest):
    code = "InvalidAgentPoolOrchestratorVersion"
    only_on_demand = True
    cause = "the Kubernetes version of a node pool is not one its cluster takes"
    advice = "`az aks nodepool get-upgrades` and `az aks get-upgrades` show what is possible"


class LocationNotAvailableForResourceType(InvalidRequest):
    code = "LocationNotAvailableForResourceType"
    wording = "azure"
    cause = "the location is not one the service offers"
    advice = "use an offered location, or start the service with --locations"


class VMSizeDoesNotSupportEphemeralOS(InvalidRequest):
    code = "VMSizeDoesNotSupportEphemeralOS"
    wording = "azure"
    cause = "the size cannot hold the OS disk on its cache or temporary disk"
    advice = "use osDiskType Managed, or a size with room for an ephemeral OS disk"


class VMSizeDoesNotSupportEncryptionAtHost(InvalidRequest):
    code = "VMSizeDoesNotSupportEncryptionAtHost"
    only_on_demand = True
    cause = "the size cannot encrypt its disks at the host"
    advice = "leave enableEncryptionAtHost out, or choose a size that offers it"


class VMCacheSizeTooSmall(InvalidRequest):
    code = "VMCacheSizeTooSmall"
    only_on_demand = True
    cause = "the ephemeral OS disk is larger than the cache of the size"
    advice = "use a smaller osDiskSizeGB, osDiskType Managed, or a larger size"


class CannotChangeOSDiskType(InvalidRequest):
    code = "CannotChangeOSDiskType"
    only_on_demand = True
    cause = "the OS disk type of an existing node pool cannot be changed"
    advice = "add a new pool with the wanted type, move the workload, delete the old pool"


class ManagedClusterCountExceedsQuotaLimit(InvalidRequest):
    code = "ManagedClusterCountExceedsQuotaLimit"
    wording = "azure"
    only_on_demand = True
    cause = "the subscription has as many managed clusters in the location as it may"
    advice = "delete a cluster, use another location, or ask for more quota"


class InvalidTemplate(InvalidRequest):
    code = "InvalidTemplate"
    wording = "azure"
    cause = "the template of a deployment or the values of its parameters are wrong"
    advice = "the message names the place; docs/compatibility.md lists the functions this service knows"


class InvalidTemplateDeployment(InvalidRequest):
    code = "InvalidTemplateDeployment"
    wording = "azure"
    cause = "a resource of the template would be refused"
    advice = "the details name the resources and say why; nothing was deployed"


class NoRegisteredProviderFound(InvalidRequest):
    code = "NoRegisteredProviderFound"
    cause = "the template has a resource of a type this service does not offer"
    advice = "take the resource out, give it a condition, or refer to it as an existing one"


class PrincipalNotFound(InvalidRequest):
    code = "PrincipalNotFound"
    wording = "azure"
    cause = "no service principal of the tenant has the object ID that a role is to be assigned to"
    advice = "`poolwright sp list` shows the object IDs"


class OperationNotOffered(InvalidRequest):
    code = "OperationNotOffered"
    cause = "AKS has the operation and Poolwright does not offer it; the message says why"
    advice = "docs/compatibility.md lists every operation of AKS, offered or not"


class AuthenticationFailed(Unauthenticated):
    code = "AuthenticationFailed"
    wording = "azure"
    cause = "no Authorization header with a bearer token"
    advice = "log in: `poolwright az` does so by itself; `poolwright env` has what the SDKs need"


class InvalidAuthenticationToken(Unauthenticated):
    code = "InvalidAuthenticationToken"
    cause = "the token is malformed, expired, foreign, or for another audience"
    advice = "get a new token; az and the SDKs do so by themselves on the challenge"


class AuthorizationFailed(Forbidden):
    code = "AuthorizationFailed"
    wording = "azure"
    cause = "no role of the caller grants the action at the scope or above it, or only the local operator may do it"
    advice = "an Owner assigns a role (az role assignment create); faults are for owners of the service, on its machine"


class LinkedAuthorizationFailed(Forbidden):
    code = "LinkedAuthorizationFailed"
    wording = "azure"
    cause = "the caller may make the change and may not read what it is made from"
    advice = "an Owner assigns a role that reads it (az role assignment create)"


class RequestDisallowedByPolicy(Forbidden):
    code = "RequestDisallowedByPolicy"
    wording = "azure"
    only_on_demand = True
    cause = "an Azure Policy that is assigned at the scope denies the change"
    advice = "the message names the policies; change the request, or have the policy's owner exempt it"


class SubscriptionNotFound(NotFound):
    code = "SubscriptionNotFound"
    wording = "azure"
    cause = "the subscription is not one of this service, or not one the caller may see"
    advice = "use the subscription `poolwright env` prints"


class ResourceGroupNotFound(NotFound):
    code = "ResourceGroupNotFound"
    wording = "azure"
    cause = "the resource group does not exist"
    advice = "create it: az group create --name G --location L"


class ResourceNotFound(NotFound):
    code = "ResourceNotFound"
    wording = "azure"
    cause = "the resource does not exist"
    advice = "check the name; `az aks list` shows what exists"


class ParentResourceNotFound(NotFound):
    code = "ParentResourceNotFound"
    wording = "azure"
    cause = "the cluster of the node pool does not exist"
    advice = "create the cluster first"


class AgentPoolNotFound(NotFound):
    code = "AgentPoolNotFound"
    cause = "the node pool does not exist in the cluster"
    advice = "`az aks nodepool list` shows what exists"


class MachineNotFound(NotFound):
    code = "MachineNotFound"
    cause = "the machine does not exist in the node pool"
    advice = "`az aks machine list` shows what exists"


class EvidenceNotFound(NotFound):
    code = "EvidenceNotFound"
    cause = "the machine has no firmware that could show anything, or has not shown it yet"
    advice = "run real machines, and wait until the machine is ready: `az aks machine list` shows what each has shown"


class DeploymentNotFound(NotFound):
    code = "DeploymentNotFound"
    wording = "azure"
    cause = "the deployment does not exist"
    advice = "`az deployment group list` shows what exists"


class OperationNotFound(NotFound):
    code = "OperationNotFound"
    cause = "no operation has that ID"
    advice = "use the URL of the Azure-AsyncOperation header"


class InvalidResourceType(NotFound):
    code = "InvalidResourceType"
    cause = "the path is not one this service offers"
    advice = "docs/compatibility.md lists what is offered"


class RoleDefinitionDoesNotExist(NotFound):
    code = "RoleDefinitionDoesNotExist"
    wording = "azure"
    cause = "the role definition is not one of the roles this service has"
    advice = "`az role definition list` shows the roles"


class RoleAssignmentNotFound(NotFound):
    code = "RoleAssignmentNotFound"
    wording = "azure"
    cause = "there is no role assignment of that name at the scope"
    advice = "`az role assignment list --all` shows what exists"


class DirectoryObjectNotFound(NotFound):
    code = "Request_ResourceNotFound"
    wording = "azure"
    cause = "no service principal of the tenant has that object ID"
    advice = "`poolwright sp list` shows the object IDs"


class HttpMethodNotAllowed(MethodNotOffered):
    code = "HttpMethodNotAllowed"
    cause = "the path does not take that method"
    advice = "docs/compatibility.md lists what is offered"


class OperationNotAllowed(Conflict):
    code = "OperationNotAllowed"
    wording = "azure"
    cause = "another operation runs on the node pool or its cluster, or the change would leave no system node pool"
    advice = "wait for the running operation, whose ID the message names; keep one system node pool"


class DeploymentActive(Conflict):
    code = "DeploymentActive"
    wording = "azure"
    cause = "a deployment of that name is under way"
    advice = "wait for it or cancel it; or give the deployment another name"


class DeploymentCannotBeCancelled(Conflict):
    code = "DeploymentCannotBeCancelled"
    cause = "the deployment has ended"
    advice = "`az deployment group show` tells how it ended"


class RollbackNotPossible(Conflict):
    code = "RollbackNotPossible"
    cause = "the node pool has no former state, or going back by node image version would change generation or OS SKU"
    advice = "poolwright aks nodepool rollback goes back with size, OS SKU, generation and image"


class InvalidResourceLocation(Conflict):
    code = "InvalidResourceLocation"
    wording = "azure"
    cause = "the resource exists in another location"
    advice = "choose another name, or delete the resource first"


class RoleAssignmentExists(Conflict):
    code = "RoleAssignmentExists"
    wording = "azure"
    cause = "the principal has the role at the scope already, by an assignment of another name"
    advice = "nothing to do; az takes it for success"


class RoleAssignmentUpdateNotPermitted(Conflict):
    code = "RoleAssignmentUpdateNotPermitted"
    wording = "azure"
    cause = "an assignment of that name exists for another principal, role or scope"
    advice = "use another name (a new GUID), or delete the assignment first"


class LastOwner(Conflict):
    code = "LastRbacAdminAssignment"
    cause = "it is the last assignment of Owner at the subscription, and without it nobody could assign roles any more"
    advice = "assign Owner to somebody else first"


class SkuNotAvailable(Conflict):
    code = "SkuNotAvailable"
    wording = "azure"
    cause = "a node pool needs further machines of a size that is restricted in its location or in one of its zones"
    advice = "keep the count or lower it, or add a node pool of another size or in other zones"


class PreconditionFailed(FailedPrecondition):
    code = "PreconditionFailed"
    cause = "the ETag given does not match, or the resource exists although If-None-Match: * was sent"
    advice = "read the resource again and repeat the change with its ETag"


class RequestEntityTooLarge(TooLarge):
    code = "RequestEntityTooLarge"
    cause = "the body is larger than 1 MiB, or 4 MiB for a deployment"
    advice = "send a smaller body"


class RequestTimeout(TooSlow):
    code = "RequestTimeout"
    cause = "the head or the body of the request came too slowly, or did not come to its end"
    advice = "send the request again; az and the SDKs do so by themselves"


class Throttled(TooManyRequests):
    code = "Throttled"
    wording = "azure"
    cause = "more requests than the limits AKS documents (`poolwright up --throttle`), too many connections, or a fault"
    advice = "wait as long as Retry-After says; az and the SDKs do so by themselves"

    def __init__(self, message: str, *, retry_after_seconds: int, **more: Any) -> None:
        super().__init__(message, **more)
        self.retry_after_seconds = retry_after_seconds


class ReconcileVMSSAgentPoolFailed(OperationFailure):
    code = "ReconcileVMSSAgentPoolFailed"
    cause = "machines of the node pool could not be created, did not become ready, or vanished"
    advice = "the message names the machines and the cause; send the PUT again to repair the pool"


class UpgradeFailed(OperationFailure):
    code = "UpgradeFailed"
    wording = "azure"
    cause = "pods did not leave a node within the drain timeout"
    advice = "relax the Pod Disruption Budget or raise drainTimeoutInMinutes, then send the request again"


class AllocationFailed(OperationFailure):
    code = "AllocationFailed"
    wording = "azure"
    cause = "there is no capacity for another machine of that size"
    advice = "try another size or zone, or a smaller maxSurge, then send the request again"


class ZonalAllocationFailed(OperationFailure):
    code = "ZonalAllocationFailed"
    wording = "azure"
    only_on_demand = True
    cause = "there is no capacity for another machine of that size in the zone"
    advice = "try another size or zone, then send the request again"


class CreateVMSSAgentPoolFailed(OperationFailure):
    code = "CreateVMSSAgentPoolFailed"
    only_on_demand = True
    cause = "the scale set behind the node pool could not be created"
    advice = "the message has the cause; send the PUT again to repair the pool"


class OperationPreempted(OperationFailure):
    code = "OperationPreempted"
    only_on_demand = True
    cause = "another operation took the place of this one"
    advice = "read the resource, and send the request again if it is still wanted"


class DeploymentFailed(OperationFailure):
    code = "DeploymentFailed"
    wording = "azure"
    cause = "at least one resource of the deployment could not be deployed; those that were stay"
    advice = "`az deployment operation group list` names them; correct the cause and deploy again"


class DeploymentOutputEvaluationFailed(OperationFailure):
    code = "DeploymentOutputEvaluationFailed"
    wording = "azure"
    cause = "the resources were deployed, and an output of the template could not be evaluated"
    advice = "the details name the outputs; correct them and deploy again"


class ResourceDeploymentFailure(OperationFailure):
    code = "ResourceDeploymentFailure"
    wording = "azure"
    cause = "the operation on a resource of a deployment was accepted and failed"
    advice = "the details have the operation's own error"


class OperationCanceled(OperationFailure):
    code = "OperationCanceled"
    cause = "somebody aborted the operation"
    advice = "send the request again to go on, or go back: poolwright aks nodepool rollback"


class NoClusterAttached(Unavailable):
    code = "NoClusterAttached"
    cause = "kubectl was used, and no Kubernetes cluster stands behind the node pools"
    advice = "Poolwright manages machines, not a Kubernetes API server; nothing is pretended"


class StorageUnavailable(Unavailable):
    code = "StorageUnavailable"
    cause = "the disk of the data directory is full, read-only or broken, or the database is locked or damaged"
    advice = "mend what the message names and send the request again; what was accepted before goes on by itself"
    retry_after_seconds: ClassVar[int] = 5


class InternalServerError(Internal):
    code = "InternalServerError"
    cause = "a bug in Poolwright"
    advice = "report it with the correlation ID; the log has the details"


class GetLatestNodeImageVersionError(Internal):
    code = "GetLatestNodeImageVersionError"
    only_on_demand = True
    cause = "the newest node image version could not be found out"
    advice = "send the request again"


def joined(problems: Sequence[PoolwrightError]) -> PoolwrightError:
    """Return one error for several: the first one, with all others and their details as its details."""
    first, *others = [part for problem in problems for part in (problem, *problem.details)]
    for other in others:
        other.details = ()
    first.details = tuple(others)
    return first


def leaves(root: type[PoolwrightError] = PoolwrightError) -> Iterator[type[PoolwrightError]]:
    """Yield every error class that has a code of its own, in the order they are written here."""
    for child in root.__subclasses__():
        if "code" in child.__dict__:
            yield child
        yield from leaves(child)


def with_code(code: str) -> type[PoolwrightError]:
    """Return the error class of that ARM code. Raises `LookupError`."""
    try:
        return next(leaf for leaf in leaves() if leaf.code == code)
    except StopIteration:
        raise LookupError(f"no error has the code {code}") from None
