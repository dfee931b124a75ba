"""What the service says about generations, added to the objects and tables az prints.

Invariant: a result without a `poolwright` block, which is every result of Azure itself, passes
through untouched.
"""

from azure.cli.command_modules.acs._format import (
    aks_agentpool_list_table_format,
    aks_agentpool_show_table_format,
    aks_machine_list_table_format,
    aks_machine_show_table_format,
)
from azure.cli.core.commands import AzCliCommandInvoker
from azure.cli.core.util import todict

BLOCK = "poolwright"
NODE_IMAGE_VERSION = "nodeImageVersion"


def with_poolwright_block(result):
    """The result of a show or list command with the key `poolwright` on each object that has one."""
    if hasattr(result, "as_dict"):
        return _printed(result)
    return [_printed(resource) for resource in result]


def _printed(resource):
    # The SDK keeps properties it does not know under their wire name, and az leaves them out.
    properties = resource.as_dict().get("properties") or {}
    if BLOCK not in properties:
        return resource
    printed = todict(resource, AzCliCommandInvoker.remove_additional_prop_layer)
    printed[BLOCK] = properties[BLOCK]
    if isinstance(printed.get("properties"), dict) and NODE_IMAGE_VERSION in properties:
        # The machine model of this SDK is older than the property.
        printed["properties"].setdefault(NODE_IMAGE_VERSION, properties[NODE_IMAGE_VERSION])
    return printed


def pool_show_table(pool):
    [row] = aks_agentpool_show_table_format(pool)
    return [_pool_row(row, pool)]


def pool_list_table(pools):
    rows = aks_agentpool_list_table_format(pools)
    return [_pool_row(row, pool) for row, pool in zip(rows, pools, strict=True)]


def machine_show_table(machine):
    return _machine_row(aks_machine_show_table_format(machine), machine)


def machine_list_table(machines):
    rows = aks_machine_list_table_format(machines)
    return [_machine_row(row, machine) for row, machine in zip(rows, machines, strict=True)]


def _pool_row(row, pool):
    block = pool.get(BLOCK)
    if block:
        row[NODE_IMAGE_VERSION] = pool.get(NODE_IMAGE_VERSION)
        row["generation"] = block.get("resolvedGeneration")
    return row


def _machine_row(row, machine):
    block = machine.get(BLOCK)
    if block:
        version = (machine.get("properties") or {}).get(NODE_IMAGE_VERSION)
        row[NODE_IMAGE_VERSION] = version or (block.get("image") or {}).get("definition")
        row["generation"] = block.get("observedGeneration") or "unknown"
    return row
