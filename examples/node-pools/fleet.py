"""Which node pools still run Generation 1 images? A function of your own, on the Azure SDK."""

from __future__ import annotations

import os

from azure.identity import EnvironmentCredential
from azure.mgmt.containerservice import ContainerServiceClient


def client() -> ContainerServiceClient:
    """Azure, or whatever POOLWRIGHT_ENDPOINT names."""
    endpoint = os.environ.get("POOLWRIGHT_ENDPOINT")
    return ContainerServiceClient(
        EnvironmentCredential(disable_instance_discovery=endpoint is not None),
        os.environ["AZURE_SUBSCRIPTION_ID"],
        **({"base_url": endpoint, "polling_interval": 1} if endpoint else {}),
    )


def generation_1_pools(group: str, cluster: str) -> list[str]:
    return [pool.name for pool in client().agent_pools.list(group, cluster) if "gen2" not in pool.node_image_version]
