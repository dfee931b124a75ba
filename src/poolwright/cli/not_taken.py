"""What options of az the commands of the same name here do not take, and why.

Invariant: what an option of az 2.91.0 neither stands here nor in the commands of `poolwright` does not exist; a test
with the real az compares (tests/az/test_option_names.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class NotTaken:
    """Options of a command of az; `command` "" is every one. `why` says the way round, too."""

    command: str
    options: str
    why: str

    @property
    def spellings(self) -> tuple[str, ...]:
        return tuple(self.options.split())


_CREATE: Final = "aks create"
_NO_KUBERNETES: Final = "no Kubernetes runs behind the service; `poolwright az aks create` has it stored and shown"
_NO_NETWORK: Final = "there is no network behind the service; `poolwright az aks create` has it stored and shown"
_NOT_OF_POOLS: Final = "it says nothing about node pools; `poolwright az aks create` has it stored and shown"
_OTHER_SERVICE: Final = "it needs another service of Azure, which is not here: leave it out"

NOT_TAKEN: Final = (
    NotTaken(
        command="",
        options="--query --subscription --debug --verbose --only-show-errors --acquire-policy-token --change-reference",
        why="an option of az itself: use `poolwright az`; the subscription comes with `poolwright env --subscription`",
    ),
    NotTaken(
        command="aks nodepool delete",
        options="--ignore-pdb -i",
        why="the service drains by its own rules and does not read it",
    ),
    NotTaken(command="aks nodepool stop", options="--aks-custom-headers", why="az takes it and sends nothing of it"),
    NotTaken(command="aks nodepool start", options="--aks-custom-headers", why="az takes it and sends nothing of it"),
    NotTaken(
        command="aks nodepool rollback",
        options="--aks-custom-headers --if-match --if-none-match",
        why="this command goes back with size, OS SKU and generation, by a request that knows neither; az's own is "
        "`poolwright az aks nodepool rollback`",
    ),
    NotTaken(command="aks delete", options="--if-none-match", why="a cluster that is not there cannot be deleted"),
    NotTaken(command="group create", options="--managed-by", why="managed applications are not here"),
    NotTaken(command="group list", options="--tag", why="use `poolwright az group list --tag`"),
    NotTaken(
        command="group delete",
        options="--force-deletion-types -f",
        why="everything in the group is deleted in any case",
    ),
    NotTaken(
        command=_CREATE,
        options="--service-principal --client-secret --assign-identity --assign-kubelet-identity --enable-aad "
        "--enable-azure-rbac --aad-admin-group-object-ids --aad-tenant-id --skip-subnet-role-assignment",
        why="the clusters made here have the identity that the service gives them; `poolwright az aks create` asks for "
        "another one",
    ),
    NotTaken(
        command=_CREATE,
        options="--ip-families --pod-cidrs --service-cidrs --docker-bridge-address "
        "--load-balancer-managed-outbound-ip-count --load-balancer-managed-outbound-ipv6-count "
        "--load-balancer-outbound-ips --load-balancer-outbound-ip-prefixes --load-balancer-outbound-ports "
        "--load-balancer-idle-timeout --load-balancer-backend-pool-type --nat-gateway-managed-outbound-ip-count "
        "--nat-gateway-managed-outbound-ipv6-count --nat-gw-ipv6-count --nat-gateway-idle-timeout --outbound-type-sku "
        "--nat-gateway-outbound-ips --nat-gw-ips --nat-gateway-outbound-ip-prefixes --nat-gw-prefixes "
        "--fqdn-subdomain --api-server-authorized-ip-ranges --enable-private-cluster --private-dns-zone "
        "--disable-public-fqdn --http-proxy-config --enable-acns --disable-acns-observability --disable-acns-security "
        "--acns-advanced-networkpolicies --enable-container-network-logs --acns-datapath-acceleration-mode "
        "--acns-transit-encryption-type --enable-apiserver-vnet-integration --apiserver-subnet-id "
        "--system-node-subnet-id --node-subnet-id --enable-static-egress-gateway --edge-zone",
        why=_NO_NETWORK,
    ),
    NotTaken(
        command=_CREATE,
        options="--cluster-autoscaler-profile --ca-profile --enable-addons -a --enable-sgxquotehelper "
        "--enable-secret-rotation --rotation-poll-interval --enable-app-routing --enable-app-routing-istio "
        "--enable-ari --enable-gateway-api --app-routing-default-nginx-controller --ardnc "
        "--enable-ai-toolchain-operator --enable-keda --enable-vpa --enable-image-cleaner "
        "--image-cleaner-interval-hours --disable-disk-driver --disable-file-driver --enable-blob-driver "
        "--disable-snapshot-controller --enable-azure-service-mesh --enable-asm --revision --disable-run-command "
        "--custom-ca-trust-certificates --ca-certs --enable-windows-gmsa --gmsa-dns-server --gmsa-root-domain-name "
        "--enable-upstream-kubescheduler-user-configuration --node-provisioning-mode "
        "--node-provisioning-default-pools --enable-hosted-system",
        why=_NO_KUBERNETES,
    ),
    NotTaken(
        command=_CREATE,
        options="--enable-ahub --enable-cost-analysis --nrg-lockdown-restriction-level",
        why=_NOT_OF_POOLS,
    ),
    NotTaken(
        command=_CREATE,
        options="--attach-acr --bootstrap-artifact-source --bootstrap-container-registry-resource-id "
        "--node-osdisk-diskencryptionset-id -d --enable-azure-keyvault-kms --azure-keyvault-kms-key-id "
        "--azure-keyvault-kms-key-vault-network-access --azure-keyvault-kms-key-vault-resource-id --enable-defender "
        "--defender-config --workspace-resource-id --enable-msi-auth-for-monitoring --enable-syslog "
        "--data-collection-settings --ampls-resource-id --enable-high-log-scale-mode --enable-azure-monitor-logs "
        "--syslog-port --enable-prometheus-metrics-scraping --disable-prometheus-metrics-scraping "
        "--enable-opentelemetry-metrics --disable-opentelemetry-metrics --opentelemetry-metrics-port-http "
        "--opentelemetry-metrics-port-grpc --enable-opentelemetry-logs-traces --disable-opentelemetry-logs-traces "
        "--opentelemetry-logs-traces-port-http --opentelemetry-logs-traces-port-grpc --enable-azure-monitor-metrics "
        "--azure-monitor-workspace-resource-id --ksm-metric-labels-allow-list --ksm-metric-annotations-allow-list "
        "--grafana-resource-id --enable-windows-recording-rules --enable-control-plane-metrics --enable-cp-metrics "
        "--enable-azure-monitor-app-monitoring --aci-subnet-name --appgw-name --appgw-subnet-cidr --appgw-id "
        "--appgw-subnet-id --appgw-watch-namespace --enable-azure-container-storage --container-storage-version "
        "--storage-pool-name --storage-pool-size --storage-pool-sku --storage-pool-option "
        "--ephemeral-disk-volume-type --ephemeral-disk-nvme-perf-tier",
        why=_OTHER_SERVICE,
    ),
)

# The groups of commands that az has as well.
_GROUPS: Final = ("aks", "group", "vm")
_BY_OPTION: Final = {(row.command, spelling): row.why for row in NOT_TAKEN for spelling in row.spellings}


def why_not_taken(command: str, option: str) -> str | None:
    """Return why a command does not take what az's command of that name takes; None for what az does not know."""
    if command.partition(" ")[0] not in _GROUPS:
        return None
    why = _BY_OPTION.get((command, option)) or _BY_OPTION.get(("", option))
    return None if why is None else f"az takes it, and `poolwright {command}` does not: {why}"
