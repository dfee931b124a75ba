"""`az aks nodepool update` with the two arguments that stock az lacks.

az's own update function stays in charge of the request: it reads the pool, applies its arguments and
sends the PUT. Only the SDK client it is given is wrapped, so the two values enter the body at the
last moment and every header and waiting rule remains az's.
"""

import inspect

from azure.cli.command_modules.acs.custom import aks_agentpool_update as stock_update

ADDED_PARAMETERS = tuple(
    inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None)
    for name in ("node_vm_size", "os_type")
)


def aks_agentpool_update(cmd, client, *, node_vm_size=None, os_type=None, **stock_arguments):
    asked = {"vm_size": node_vm_size, "os_type": os_type}
    changes = {name: value for name, value in asked.items() if value is not None}
    return stock_update(cmd, ClientThatSets(client, changes), **stock_arguments)


# az derives a command's arguments and help from the signature and docstring of its function.
aks_agentpool_update.__doc__ = stock_update.__doc__
aks_agentpool_update.__signature__ = inspect.signature(stock_update).replace(
    parameters=[*inspect.signature(stock_update).parameters.values(), *ADDED_PARAMETERS]
)


class ClientThatSets:
    """An agent pools client that sets some attributes of each pool just before it is sent."""

    def __init__(self, client, changes):
        self._client = client
        self._changes = changes

    def __getattr__(self, name):
        return getattr(self._client, name)

    def begin_create_or_update(self, resource_group_name, cluster_name, pool_name, pool, **options):
        for name, value in self._changes.items():
            setattr(pool, name, value)
        return self._client.begin_create_or_update(resource_group_name, cluster_name, pool_name, pool, **options)
