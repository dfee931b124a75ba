"""The commands that this extension replaces, and what each gets beyond the stock one.

Invariant: only `update` has a function of its own. All others run az's, with an option spelling, an
output transform or table columns added around it.
"""

from azure.cli.command_modules.acs._client_factory import cf_agent_pools, cf_machines
from azure.cli.core.commands import CliCommandType
from azure.cli.core.profiles import ResourceType

from azext_poolwright.output import (
    machine_list_table,
    machine_show_table,
    pool_list_table,
    pool_show_table,
    with_poolwright_block,
)

OWN_FUNCTIONS = CliCommandType(operations_tmpl="azext_poolwright.update#{}")


def load_command_table(loader):
    agent_pools = CliCommandType(
        operations_tmpl="azure.mgmt.containerservice.operations._operations#AgentPoolsOperations.{}",
        operation_group="agent_pools",
        resource_type=ResourceType.MGMT_CONTAINERSERVICE,
        client_factory=cf_agent_pools,
    )
    with loader.command_group("aks nodepool", agent_pools, client_factory=cf_agent_pools) as group:
        group.custom_command("add", "aks_agentpool_add", supports_no_wait=True)
        group.custom_command(
            "update",
            "aks_agentpool_update",
            custom_command_type=OWN_FUNCTIONS,
            supports_no_wait=True,
        )
        group.custom_show_command(
            "show",
            "aks_agentpool_show",
            transform=with_poolwright_block,
            table_transformer=pool_show_table,
        )
        group.custom_command(
            "list",
            "aks_agentpool_list",
            transform=with_poolwright_block,
            table_transformer=pool_list_table,
        )

    machines = CliCommandType(
        operations_tmpl="azure.mgmt.containerservice.operations._operations#MachinesOperations.{}",
        operation_group="machines",
        resource_type=ResourceType.MGMT_CONTAINERSERVICE,
        client_factory=cf_machines,
    )
    with loader.command_group("aks machine", machines, client_factory=cf_machines) as group:
        group.custom_command(
            "list",
            "aks_machine_list",
            transform=with_poolwright_block,
            table_transformer=machine_list_table,
        )
        group.custom_show_command(
            "show",
            "aks_machine_show",
            transform=with_poolwright_block,
            table_transformer=machine_show_table,
        )
