"""As much of the Kubernetes API as kubectl needs for nodes: get, wait, cordon, drain. For tests with the real kubectl.

A node is ready from the start, and a pod leaves at once when it is evicted: this shows that kubectl takes the lines,
and nothing about how a cluster drains.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Json = dict[str, Any]
VERBS = ["create", "delete", "get", "list", "patch", "update", "watch"]
RESOURCES = [
    {"name": "nodes", "singularName": "node", "namespaced": False, "kind": "Node", "verbs": VERBS},
    {"name": "pods", "singularName": "pod", "namespaced": True, "kind": "Pod", "verbs": VERBS},
    {
        "name": "pods/eviction",
        "singularName": "",
        "namespaced": True,
        "group": "policy",
        "version": "v1",
        "kind": "Eviction",
        "verbs": ["create"],
    },
]


@dataclass
class NodeVerbs:
    """`nodes` has the node pool of each, `pods` the node of each."""

    nodes: Mapping[str, str]
    url: str = ""
    pods: dict[str, str] = field(default_factory=dict)
    cordoned: set[str] = field(default_factory=set)
    evicted: list[str] = field(default_factory=list)

    @property
    def kubeconfig(self) -> Json:
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": self.url}}],
            "users": [{"name": "u", "user": {}}],
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "current-context": "c",
        }

    def answer(self, method: str, path: str, query: Mapping[str, list[str]], body: Json) -> tuple[int, Json]:
        match method, path.strip("/").split("/"):
            case "GET", ["version"]:
                return 200, {"major": "1", "minor": "32", "gitVersion": "v1.32.4"}
            case "GET", ["api"]:
                return 200, {"kind": "APIVersions", "versions": ["v1"]}
            case "GET", ["apis"]:
                return 200, {"kind": "APIGroupList", "apiVersion": "v1", "groups": []}
            case "GET", ["api", "v1"]:
                return 200, {"kind": "APIResourceList", "groupVersion": "v1", "resources": RESOURCES}
            case "GET", ["api", "v1", "nodes"]:
                return 200, _listed("Node", [node for name in self.nodes if _meets(node := self._node(name), query)])
            case "GET", ["api", "v1", "nodes", name] if name in self.nodes:
                return 200, self._node(name)
            case "PATCH", ["api", "v1", "nodes", name] if body["spec"]["unschedulable"]:
                self.cordoned.add(name)
                return 200, self._node(name)
            case "GET", ["api", "v1", "pods"]:
                return 200, _listed("Pod", [pod for name in self.pods if _meets(pod := self._pod(name), query)])
            case "POST", ["api", "v1", "namespaces", _, "pods", name, "eviction"]:
                del self.pods[name]
                self.evicted.append(name)
                return 201, {"kind": "Status", "apiVersion": "v1", "status": "Success"}
            case _:
                return 404, {
                    "kind": "Status",
                    "apiVersion": "v1",
                    "status": "Failure",
                    "reason": "NotFound",
                    "code": 404,
                }

    def _node(self, name: str) -> Json:
        metadata = {
            "name": name,
            "labels": {"kubernetes.azure.com/agentpool": self.nodes[name]},
            "resourceVersion": "1",
        }
        ready = [{"type": "Ready", "status": "True"}]
        spec = {"unschedulable": True} if name in self.cordoned else {}
        return {"kind": "Node", "apiVersion": "v1", "metadata": metadata, "spec": spec, "status": {"conditions": ready}}

    def _pod(self, name: str) -> Json:
        owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "1", "controller": True}
        metadata = {"name": name, "namespace": "default", "uid": name, "ownerReferences": [owner]}
        spec = {"nodeName": self.pods[name]}
        return {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": spec, "status": {"phase": "Running"}}


@contextmanager
def node_verbs(nodes: Mapping[str, str]) -> Iterator[NodeVerbs]:
    """Yield such a cluster with these nodes, each of its node pool."""
    there = NodeVerbs(nodes)

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            content = self.rfile.read(length)
            parts = urlsplit(self.path)
            status, document = there.answer(
                self.command, parts.path, parse_qs(parts.query), json.loads(content) if content else {}
            )
            encoded = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(encoded)))
            self.end_headers()
            self.wfile.write(encoded)

        do_GET = do_POST = do_PATCH = _answer

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    there.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield there
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _meets(resource: Json, query: Mapping[str, list[str]]) -> bool:
    """Whether it has the label, and the name or node, that the query asks for."""
    labels = resource["metadata"].get("labels", {})
    wanted = dict(part.split("=", 1) for part in ",".join(query.get("labelSelector", [])).split(",") if part)
    if any(labels.get(name) != value for name, value in wanted.items()):
        return False
    known = {"metadata.name": resource["metadata"]["name"], "spec.nodeName": resource["spec"].get("nodeName")}
    fields = dict(part.split("=", 1) for part in ",".join(query.get("fieldSelector", [])).split(",") if part)
    return all(known.get(name) == value for name, value in fields.items())


def _listed(kind: str, items: list[Json]) -> Json:
    return {"kind": f"{kind}List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": items}
