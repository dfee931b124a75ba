"""Kubeconfigs, and the answer behind the address they name.

Invariant: nothing here invents a Kubernetes API.
"""

from __future__ import annotations

import base64
from collections.abc import Callable

import orjson
from starlette.responses import Response

from poolwright.domain.cluster import Cluster
from poolwright.kubernetes.endpoint import KubernetesAnswer


def credential_results(
    base_url: str, cluster: Cluster, *, admin: bool, ca_pem: bytes, secret_of: Callable[[str], str]
) -> bytes:
    """Return the body of listClusterUserCredential or listClusterAdminCredential.

    The kubeconfig's server is BASE/kube/{cluster}. It is written as JSON, which is YAML. The token is the user's as
    long as the cluster lives, as AKS's is; nothing takes it, because there is nothing to log in to. Without one
    Terraform's azurerm leaves the whole kubeconfig out.
    """
    name = cluster.id.cluster
    user = f"cluster{'Admin' if admin else 'User'}_{cluster.id.group_id.group}_{name}"
    context = f"{name}-admin" if admin else name
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": name,
                "cluster": {
                    "server": f"{base_url}/kube/{name}",
                    "certificate-authority-data": base64.b64encode(ca_pem).decode(),
                },
            }
        ],
        "users": [{"name": user, "user": {"token": secret_of(f"{cluster.principal_id} {user}")}}],
        "contexts": [{"name": context, "context": {"cluster": name, "user": user}}],
        "current-context": context,
        "preferences": {},
    }
    encoded = base64.b64encode(orjson.dumps(kubeconfig, option=orjson.OPT_INDENT_2)).decode()
    return orjson.dumps({"kubeconfigs": [{"name": "clusterAdmin" if admin else "clusterUser", "value": encoded}]})


def kubernetes_status(answer: KubernetesAnswer) -> Response:
    """Return the answer as a Kubernetes `Status` object."""
    body = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": answer.message,
        "reason": answer.reason,
        "code": answer.http_status,
    }
    return Response(orjson.dumps(body), answer.http_status, media_type="application/json")
