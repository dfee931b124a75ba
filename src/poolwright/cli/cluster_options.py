"""The options of az's `aks create` that say something about the cluster, and where in its document.

Those about its first node pool stand in `pool_options`; what az has beside them in `not_taken`.
"""

from __future__ import annotations

from typing import Final

from poolwright.cli.option_rows import TAGS, TEXT, Beside, Form, OptionRow, choice, switch


def _row(words: str, path: str, form: Form, text: str, *, only_with: Beside | None = None) -> OptionRow:
    return OptionRow(words=words, path=path, form=form, help=text, only_with=only_with)


_NETWORK: Final = "properties.networkProfile"
ADMINISTRATOR: Final = "properties.linuxProfile.adminUsername"
PUBLIC_KEYS: Final = "properties.linuxProfile.ssh.publicKeys"

CLUSTER_OPTIONS: Final = (
    _row("--location -l", "location", TEXT, "Location; else that of its resource group."),
    _row("--tags", "tags", TAGS, "Tags of the cluster: a=b c=d."),
    _row("--kubernetes-version -k", "properties.kubernetesVersion", TEXT, "1.33 or 1.33.2."),
    _row("--dns-name-prefix -p", "properties.dnsPrefix", TEXT, "Prefix of its host name."),
    _row("--node-resource-group", "properties.nodeResourceGroup", TEXT, "Name of the resource group of the nodes."),
    _row(
        "--k8s-support-plan",
        "properties.supportPlan",
        choice("KubernetesOfficial", "AKSLongTermSupport"),
        "Support plan.",
    ),
    _row("--sku", "sku.name", choice("Base", "Automatic"), "What AKS manages."),
    _row("--tier", "sku.tier", choice("Free", "Standard", "Premium"), "Price tier."),
    _row("--disable-rbac", "properties.enableRBAC", switch(False), "No role-based access control in Kubernetes."),
    _row("--disable-local-accounts", "properties.disableLocalAccounts", switch(True), "No local accounts."),
    _row("--network-plugin", f"{_NETWORK}.networkPlugin", choice("azure", "kubenet", "none"), "azure is the default."),
    _row("--network-plugin-mode", f"{_NETWORK}.networkPluginMode", choice("overlay"), "Mode of the plugin azure."),
    _row(
        "--network-policy",
        f"{_NETWORK}.networkPolicy",
        choice("none", "calico", "azure", "cilium"),
        "What carries out network policies.",
    ),
    _row("--network-dataplane", f"{_NETWORK}.networkDataplane", choice("azure", "cilium"), "What moves packets."),
    _row(
        "--load-balancer-sku", f"{_NETWORK}.loadBalancerSku", choice("standard", "basic"), "SKU of the load balancer."
    ),
    _row(
        "--outbound-type",
        f"{_NETWORK}.outboundType",
        choice(
            "loadBalancer", "userDefinedRouting", "managedNATGateway", "userAssignedNATGateway", "none", shown="NAME"
        ),
        "loadBalancer, userDefinedRouting, managedNATGateway, userAssignedNATGateway or none.",
    ),
    _row("--pod-cidr", f"{_NETWORK}.podCidr", TEXT, "Addresses of pods."),
    _row("--service-cidr", f"{_NETWORK}.serviceCidr", TEXT, "Addresses of services."),
    _row("--dns-service-ip", f"{_NETWORK}.dnsServiceIP", TEXT, "Address of the DNS service."),
    _row(
        "--auto-upgrade-channel",
        "properties.autoUpgradeProfile.upgradeChannel",
        choice("rapid", "stable", "patch", "node-image", "none"),
        "Stored and shown; nothing is upgraded by it.",
    ),
    _row(
        "--node-os-upgrade-channel",
        "properties.autoUpgradeProfile.nodeOSUpgradeChannel",
        choice("NodeImage", "None", "Unmanaged", "SecurityPatch"),
        "Stored and shown; nothing is upgraded by it.",
    ),
    _row("--enable-oidc-issuer", "properties.oidcIssuerProfile.enabled", switch(True), "OIDC issuer."),
    _row(
        "--enable-workload-identity",
        "properties.securityProfile.workloadIdentity.enabled",
        switch(True),
        "Workload identity.",
    ),
    _row("--windows-admin-username", "properties.windowsProfile.adminUsername", TEXT, "Account of Windows nodes."),
    _row(
        "--windows-admin-password",
        "properties.windowsProfile.adminPassword",
        TEXT,
        "Its password, which is not kept.",
        only_with=Beside("properties.windowsProfile.adminUsername"),
    ),
    _row(
        "--admin-username -u", ADMINISTRATOR, TEXT, "Account of Linux nodes, to which the SSH key belongs: azureuser."
    ),
)
