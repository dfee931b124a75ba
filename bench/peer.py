"""The peer: moto's EKS over HTTP. Run with the benchmark's own environment: `python -m bench.peer`.

Makes a cluster and a node group, prints `ready URL` of describe_nodegroup, and serves until killed.
"""

from __future__ import annotations

import threading

import boto3  # type: ignore[import-not-found,import-untyped,unused-ignore]
from moto.server import ThreadedMotoServer  # type: ignore[import-not-found,import-untyped,unused-ignore]


def main() -> None:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    base = f"http://{host}:{port}"
    eks = boto3.client(
        "eks", endpoint_url=base, region_name="us-east-1", aws_access_key_id="bench", aws_secret_access_key="bench"
    )
    role = "arn:aws:iam::123456789012:role/bench"
    eks.create_cluster(name="c1", roleArn=role, resourcesVpcConfig={"subnetIds": ["subnet-1"]})
    eks.create_nodegroup(clusterName="c1", nodegroupName="np1", subnets=["subnet-1"], nodeRole=role)
    print(f"ready {base}/clusters/c1/node-groups/np1", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
