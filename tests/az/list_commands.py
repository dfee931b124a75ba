"""Run inside az's Python: print, as JSON, the name of every command of the groups named as arguments."""

import json
import sys

from azure.cli.core import get_default_cli


def names(groups):
    cli = get_default_cli()
    cli.invocation = cli.invocation_cls(
        cli_ctx=cli,
        parser_cls=cli.parser_cls,
        commands_loader_cls=cli.commands_loader_cls,
        help_cls=cli.help_cls,
    )
    loader = cli.invocation.commands_loader
    loader.load_command_table(["aks"])
    return sorted(name for name in loader.command_table if name.split()[0] in groups)


if __name__ == "__main__":
    json.dump(names(sys.argv[1:]), sys.stdout)
