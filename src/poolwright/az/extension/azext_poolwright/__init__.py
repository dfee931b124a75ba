"""The az extension that makes the documented node pool commands run as they are printed.

az merges an extension's command table over its own, so the six commands registered here replace
the stock ones of the same name; `commands.py` lists them and says what each adds.

Invariant: nothing is taken away. Every stock argument stays, and against a service that sends no
`poolwright` block the output is stock az's, to the byte. The files of this directory run inside
az's Python, so they import az and the standard library, never poolwright.
"""

from azure.cli.core import AzCommandsLoader

STOCK_FUNCTIONS = "azure.cli.command_modules.acs.custom#{}"


class PoolwrightCommandsLoader(AzCommandsLoader):
    """Set up as the loader of az's own acs module is, so that stock definitions mean the same here."""

    def __init__(self, cli_ctx=None):
        from azure.cli.core.commands import CliCommandType
        from azure.cli.core.profiles import ResourceType

        super().__init__(
            cli_ctx=cli_ctx,
            custom_command_type=CliCommandType(operations_tmpl=STOCK_FUNCTIONS),
            resource_type=ResourceType.MGMT_CONTAINERSERVICE,
        )

    def load_command_table(self, _args):
        from azext_poolwright.commands import load_command_table

        load_command_table(self)
        return self.command_table

    def load_arguments(self, command):
        from azext_poolwright.arguments import load_arguments

        load_arguments(self, command)


COMMAND_LOADER_CLS = PoolwrightCommandsLoader
