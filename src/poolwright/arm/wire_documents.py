"""The documents that Azure's clients send and get: what `wire.py` and its neighbours read and write.

Requests are the models that read them. Of a reply, what is always there is required; node pools and clusters show
what was sent, so their replies have the properties of the requests.

Invariant: a reply that does not fit its document here is a defect, of the reply or of the document.
"""

from __future__ import annotations

from typing import Any, Final

from poolwright.arm.documents import (
    ANYTHING,
    COUNT,
    ERROR_DETAIL,
    FLAG,
    GENERATION,
    RULE,
    TAGS,
    TEXT,
    TIME,
    WARNING,
    Document,
    Json,
    an_object,
    document,
    document_of,
    list_of,
    or_null,
    resource,
)
from poolwright.arm.tags import TagsBody
from poolwright.arm.wire import GroupBody, QuotaBody
from poolwright.arm.wire_clusters import ClusterBody, ClusterProperties
from poolwright.arm.wire_machines import MachineNames
from poolwright.arm.wire_node_pools import PoolProperties, ScaleBody
from poolwright.arm.wire_roles import AssignmentBody

POOL_PROPERTIES: Final = document_of("AgentPoolProperties", PoolProperties)
CLUSTER_PROPERTIES: Final = document_of(
    "ManagedClusterProperties",
    ClusterProperties,
    agentPoolProfiles=or_null(list_of({"allOf": [POOL_PROPERTIES, an_object({"name": TEXT})]})),
)

# What requests take.
PUT_GROUP: Final = document_of("PutResourceGroup", GroupBody)
PUT_CLUSTER: Final = document_of("PutManagedCluster", ClusterBody, properties=CLUSTER_PROPERTIES)
PUT_POOL: Final = document("PutAgentPool", {}, {"properties": POOL_PROPERTIES})
PATCH_POOL: Final = document_of("PatchAgentPool", ScaleBody)
PATCH_TAGS: Final = document_of("PatchTags", TagsBody)
MACHINE_NAMES: Final = document_of("MachineNames", MachineNames)
PUT_ASSIGNMENT: Final = document_of("PutRoleAssignment", AssignmentBody)
PUT_QUOTA: Final = document_of("PutQuota", QuotaBody)
# `templates/requested.py` reads it.
PUT_DEPLOYMENT: Final = document(
    "PutDeployment",
    {
        "properties": an_object(
            {
                "template": an_object(
                    {"$schema": TEXT, "contentVersion": TEXT, "resources": {"type": ["array", "object"]}},
                    {"parameters": ANYTHING, "variables": ANYTHING, "outputs": ANYTHING},
                )
            },
            {
                "parameters": ANYTHING,
                "mode": {"enum": ["Incremental"]},
                "validationLevel": {"enum": ["Provider", "ProviderNoRbac", "Template"]},
                "whatIfSettings": an_object({}, {"resultFormat": {"enum": ["ResourceIdOnly", "FullResourcePayloads"]}}),
            },
        )
    },
    {"location": TEXT, "tags": TAGS},
)


def _shown(properties: Document, always: Json) -> Json:
    return {"allOf": [properties, an_object(always)]}


_IMAGE: Final = an_object({"definition": TEXT, "booted": or_null(TEXT), "standIn": FLAG})
_COUNTED: Final = an_object({"V1": COUNT, "V2": COUNT, "unknown": COUNT})
_DECISION: Final[dict[str, Any]] = {
    "profile": TEXT,
    "engine": TEXT,
    "requestedGeneration": or_null(GENERATION),
    "requestedBy": or_null({"enum": ["header", "property"]}),
    "resolvedGeneration": GENERATION,
    "observedBy": or_null(TEXT),
    "rule": RULE,
    "image": _IMAGE,
    "warnings": list_of(WARNING),
}
_POOL_BLOCK: Final = document(
    "AgentPoolDecision", _DECISION | {"observedGenerations": _COUNTED, "lastGood": or_null(ANYTHING)}
)
_SHOWN_POOL: Final = {
    "count": COUNT,
    "mode": TEXT,
    "osType": TEXT,
    "osSKU": TEXT,
    "nodeImageVersion": TEXT,
    "orchestratorVersion": TEXT,
    "currentOrchestratorVersion": TEXT,
    "poolwright": _POOL_BLOCK,
}
_STATE: Final = {"provisioningState": TEXT}

# What replies have.
GROUP: Final = resource("ResourceGroup", an_object(_STATE), {"location": TEXT, "tags": TAGS})
POOL: Final = resource("AgentPool", _shown(POOL_PROPERTIES, _SHOWN_POOL | _STATE | {"eTag": TEXT}))
CLUSTER: Final = resource(
    "ManagedCluster",
    _shown(
        CLUSTER_PROPERTIES,
        _STATE
        | {
            "kubernetesVersion": TEXT,
            "currentKubernetesVersion": TEXT,
            "fqdn": TEXT,
            "powerState": an_object({"code": {"enum": ["Running", "Stopped"]}}),
            "agentPoolProfiles": list_of({"allOf": [POOL_PROPERTIES, an_object(_SHOWN_POOL | _STATE)]}),
        },
    ),
    {"location": TEXT, "tags": TAGS, "sku": ANYTHING, "identity": ANYTHING, "eTag": TEXT},
)
MACHINE: Final = resource(
    "Machine",
    an_object(
        {
            "nodeImageVersion": TEXT,
            "resourceId": TEXT,
            "poolwright": document(
                "MachineDecision",
                _DECISION
                | {
                    "observedGeneration": or_null(GENERATION),
                    "firmware": or_null(TEXT),
                    "secureBoot": or_null(FLAG),
                    "vtpm": or_null(FLAG),
                    "vpmemMiB": or_null(COUNT),
                    "partitionTable": or_null(TEXT),
                    "lastSeen": or_null(TIME),
                    "cause": or_null(TEXT),
                },
            ),
        }
    ),
    {"zones": list_of(TEXT)},
)
WHAT_IF: Final = document(
    "AgentPoolWhatIf",
    {
        "id": TEXT,
        "name": TEXT,
        "properties": an_object(
            {
                "exists": FLAG,
                "generation": GENERATION,
                "nodeImageVersion": TEXT,
                "rule": RULE,
                "warnings": list_of(WARNING),
                "after": _shown(POOL_PROPERTIES, _SHOWN_POOL),
            },
            {
                "before": an_object({"generation": GENERATION, "nodeImageVersion": TEXT, "rule": RULE}),
                "changes": list_of(an_object({"property": TEXT, "effect": TEXT, "source": TEXT})),
                "rollsMachines": FLAG,
                "rollout": an_object(
                    {"waves": COUNT, "machinesReplaced": COUNT, "surgeMachines": COUNT, "surgeVcpus": COUNT}
                ),
                "operationWouldFail": ERROR_DETAIL,
            },
        ),
    },
)
OPERATION: Final = document(
    "Operation",
    {
        "id": TEXT,
        "name": TEXT,
        "status": {"enum": ["InProgress", "Succeeded", "Failed", "Canceled"]},
        "startTime": TIME,
        "percentComplete": {"type": "number", "minimum": 0, "maximum": 100},
        "resourceId": TEXT,
        "properties": an_object(
            {
                "poolwright": an_object(
                    {
                        "operation": TEXT,
                        "step": or_null(TEXT),
                        "wave": or_null(COUNT),
                        "waves": or_null(COUNT),
                        "replaced": COUNT,
                        "toReplace": COUNT,
                        "generations": _COUNTED,
                        "kubernetes": or_null(an_object({"attached": FLAG, "message": TEXT})),
                    }
                )
            }
        ),
    },
    {"endTime": TIME, "error": ERROR_DETAIL},
)
# The node pool or the cluster that an operation was about.
OPERATION_RESULT: Final = Document("OperationResult", lambda: {"anyOf": [POOL, CLUSTER]})
CLUSTER_UPGRADES: Final = resource(
    "ManagedClusterUpgradeProfile",
    an_object({"controlPlaneProfile": ANYTHING, "agentPoolProfiles": list_of(ANYTHING)}),
)
POOL_UPGRADES: Final = resource(
    "AgentPoolUpgradeProfile",
    an_object(
        {"kubernetesVersion": TEXT, "osType": TEXT, "upgrades": list_of(ANYTHING), "latestNodeImageVersion": TEXT}
    ),
)
POOL_VERSIONS: Final = resource(
    "AgentPoolAvailableVersions",
    an_object({"agentPoolVersions": list_of(an_object({"kubernetesVersion": TEXT, "default": FLAG}))}),
)
KUBERNETES_VERSIONS: Final = document(
    "KubernetesVersions",
    {"values": list_of(an_object({"version": TEXT, "capabilities": ANYTHING, "patchVersions": ANYTHING}))},
)
ORCHESTRATORS: Final = resource(
    "Orchestrators",
    an_object({"orchestrators": list_of(an_object({"orchestratorVersion": TEXT, "upgrades": list_of(ANYTHING)}))}),
)
CREDENTIALS: Final = document("Credentials", {"kubeconfigs": list_of(an_object({"name": TEXT, "value": TEXT}))})
NODE_IMAGE: Final = document("NodeImageVersion", {"fullName": TEXT, "os": TEXT, "sku": TEXT, "version": TEXT})

ASSIGNMENT: Final = resource(
    "RoleAssignment",
    an_object({"roleDefinitionId": TEXT, "principalId": TEXT, "principalType": TEXT, "scope": TEXT}),
)
ROLE: Final = resource("RoleDefinition", an_object({"roleName": TEXT, "type": TEXT, "permissions": list_of(ANYTHING)}))
EVENT: Final = document("ActivityEvent", {}, {"eventTimestamp": TIME, "operationName": ANYTHING, "status": ANYTHING})
USAGE: Final = document(
    "Usage",
    {"unit": TEXT, "currentValue": COUNT, "limit": COUNT, "name": an_object({"value": TEXT, "localizedValue": TEXT})},
)
_PAIRS: Final = list_of(an_object({"name": TEXT, "value": TEXT}))
RESTRICTION: Final = document(
    "Restriction",
    {"type": {"enum": ["Location", "Zone"]}, "reasonCode": TEXT},
    {"values": list_of(TEXT), "restrictionInfo": an_object({}, {"locations": list_of(TEXT), "zones": list_of(TEXT)})},
)
SKU: Final = document(
    "ResourceSku",
    {
        "resourceType": TEXT,
        "name": TEXT,
        "locations": list_of(TEXT),
        "locationInfo": list_of(ANYTHING),
        "capabilities": _PAIRS,
        "restrictions": list_of(RESTRICTION),
    },
    {"family": TEXT, "tier": TEXT, "size": TEXT},
)
SIZE: Final = document(
    "VirtualMachineSize",
    {"name": TEXT},
    {"numberOfCores": COUNT, "memoryInMB": COUNT, "maxDataDiskCount": COUNT, "osDiskSizeInMB": COUNT},
)
SUBSCRIPTION: Final = document(
    "Subscription", {"id": TEXT, "subscriptionId": TEXT, "tenantId": TEXT, "displayName": TEXT, "state": TEXT}
)
LOCATION: Final = document("Location", {"id": TEXT, "name": TEXT, "type": TEXT, "displayName": TEXT})
PROVIDER: Final = document(
    "Provider", {"id": TEXT, "namespace": TEXT, "registrationState": TEXT, "resourceTypes": list_of(ANYTHING)}
)
FEATURE: Final = resource("Feature", an_object({"state": TEXT}))
LISTED_RESOURCE: Final = document("GenericResource", {"id": TEXT, "name": TEXT, "type": TEXT, "location": TEXT})

DEPLOYMENT: Final = resource(
    "Deployment",
    an_object(
        _STATE | {"mode": TEXT, "timestamp": TIME, "duration": TEXT, "correlationId": TEXT, "templateHash": TEXT},
        {"outputs": ANYTHING, "error": ERROR_DETAIL},
    ),
    {"location": or_null(TEXT), "tags": TAGS},
)
DEPLOYMENT_WHAT_IF: Final = document(
    "DeploymentWhatIf",
    {"status": {"enum": ["Succeeded", "Failed"]}},
    {"properties": an_object({"changes": list_of(ANYTHING)}), "error": ERROR_DETAIL},
)
DEPLOYMENT_STATUS: Final = document("DeploymentStatus", {"status": TEXT}, {"error": ERROR_DETAIL})
DEPLOYMENT_OPERATION: Final = document(
    "DeploymentOperation", {"id": TEXT, "operationId": TEXT, "properties": an_object(_STATE | {"timestamp": TIME})}
)
TEMPLATE: Final = document("ExportedTemplate", {"template": ANYTHING})
