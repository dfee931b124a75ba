"""A script that calls az and a function that calls the Azure SDK, tested without Azure."""

import subprocess
from pathlib import Path

from fleet import generation_1_pools

from poolwright.testing import Service

HERE = Path(__file__).parent


def test_the_script_doubles_a_node_pool(poolwright_reset: Service, poolwright_az: dict[str, str]) -> None:
    subprocess.run([HERE / "double.sh", "rg", "c1", "web"], env=poolwright_az, check=True)

    client = poolwright_reset.client
    assert client.get(client.pool("web")).json()["properties"]["count"] == 4
    (sent,) = poolwright_reset.requests(method="PUT", pool="web")
    assert sent["headers"]["commandname"] == "aks nodepool scale"
    assert sent["body"]["properties"]["count"] == 4


def test_the_function_finds_what_is_left_of_generation_1(
    poolwright_reset: Service, poolwright_environment: dict[str, str]
) -> None:
    poolwright_reset.put_pool("old", {"vmSize": "Standard_D2_v3", "count": 1})

    assert generation_1_pools("rg", "c1") == ["old"]
