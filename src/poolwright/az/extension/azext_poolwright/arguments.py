"""The option spellings of the documented commands that stock az does not know.

Why the stock arguments are loaded first: az merges what an extension registers for a command into
its own registry scope by scope, and a scope is replaced whole. An extension that registered only its
additions would turn `--labels a=b c=d` into an unrecognized argument.
"""

from azure.cli.command_modules.acs._params import load_arguments as load_stock_arguments
from azure.cli.command_modules.acs._params import node_os_skus, node_os_skus_update
from azure.cli.core.commands.parameters import get_enum_type

ADD = "aks nodepool add"
UPDATE = "aks nodepool update"
EVERY_COMMAND = ""
OS_TYPES = ("Linux", "Windows")
SPELLING = "--vm-size"


def load_arguments(loader, command):
    load_stock_arguments(loader, command)
    if command in (ADD, EVERY_COMMAND):
        _add_arguments_of_add(loader)
    if command in (UPDATE, EVERY_COMMAND):
        _add_arguments_of_update(loader)


def _add_arguments_of_add(loader):
    stock = loader.argument_registry.arguments[ADD]["node_vm_size"]
    with loader.argument_context(ADD) as context:
        # Written out in full, an option wins over argparse's abbreviation of --vm-sizes.
        context.argument("node_vm_size", arg_type=stock, options_list=[*stock.settings["options_list"], SPELLING])


def _add_arguments_of_update(loader):
    stock = loader.argument_registry.arguments[UPDATE]["os_sku"]
    every_os_sku = list(dict.fromkeys([*node_os_skus_update, *node_os_skus]))
    with loader.argument_context(UPDATE) as context:
        context.argument(
            "node_vm_size",
            options_list=["--node-vm-size", "-s", SPELLING],
            help="VM size that the machines of the node pool are changed to.",
        )
        context.argument(
            "os_type",
            arg_type=get_enum_type(OS_TYPES),
            help="OS type of the node pool. It cannot change: naming another one is refused by the service.",
        )
        context.argument("os_sku", arg_type=stock, **get_enum_type(every_os_sku).settings)
