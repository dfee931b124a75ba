"""Run inside az's Python: print, as JSON, all that az knows about the commands named as arguments."""

import json
import sys
from enum import Enum

from azure.cli.core import get_default_cli


def describe(names):
    cli = get_default_cli()
    cli.invocation = cli.invocation_cls(
        cli_ctx=cli,
        parser_cls=cli.parser_cls,
        commands_loader_cls=cli.commands_loader_cls,
        help_cls=cli.help_cls,
    )
    loader = cli.invocation.commands_loader
    # az's index of commands knows which modules have those of one group; None loads all of them.
    loader.load_command_table(["aks"] if {name.split()[0] for name in names} == {"aks"} else None)
    for name in names:
        cli.invocation.data["command_string"] = name
        loader.load_arguments(name)
    return {name: describe_command(loader.command_table[name]) for name in names}


def describe_command(command):
    return {
        "arguments": {name: settings_of(argument) for name, argument in command.arguments.items()},
        "settings": {
            name: plain(command.command_kwargs.get(name))
            for name in ("supports_no_wait", "client_factory", "exception_handler", "confirmation")
        },
        "description": plain(command.description() if callable(command.description) else command.description),
        "operation": command.command_kwargs["operations_tmpl"],
        "operation_kind": type(command.command_kwargs["command_operation"]).__name__,
    }


def settings_of(argument):
    return {name: plain(value) for name, value in argument.type.settings.items()}


def plain(value):
    if isinstance(value, (str, int, float, bool, type(None))) and not isinstance(value, Enum):
        return value
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    # A function, class or object of az: its name without the address in memory.
    return getattr(value, "__qualname__", type(value).__qualname__)


if __name__ == "__main__":
    json.dump(describe(sys.argv[1:]), sys.stdout)
