"""Kubeconfigs, and the answer behind the address they name.

Invariant: nothing here invents a Kubernetes API.
"""

from __future__ import annotations

import base64

import orjson
from starlette.responses import Response

from poolwright.kubernetes.endpoint import KubernetesAnswer


def credential_results(base_url: str, cluster: str, group: str, *, admin: bool, ca_pem: bytes) -> bytes:
    """Return the body of listClusterUserCredential or listClusterAdminCredential.

    The kubeconfig's server is BASE/kube/{cluster}. It is written as JSON, which is YAML. The user has no
    credential, because there is nothing to log in to.
    """
    user = f"clusterAdmin_{group}_{cluster}" if admin else f"clusterUser_{group}_{cluster}"
    context = f"{cluster}-admin" if admin else cluster
    kubeconfig = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {
                "name": cluster,
                "cluster": {
                    "server": f"{base_url}/kube/{cluster}",
                    "certificate-authority-data": base64.b64encode(ca_pem).decode(),
                },
            }
        ],
        "users": [{"name": user, "user": {}}],
        "contexts": [{"name": context, "context": {"cluster": cluster, "user": user}}],
        "current-context": context,
        "preferences": {},
    }
    encoded = base64.b64encode(orjson.dumps(kubeconfig, option=orjson.OPT_INDENT_2)).decode()
    name = "clusterAdmin" if admin else "clusterUser"
    return orjson.dumps({"kubeconfigs": [{"name": name, "value": encoded}]})


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
