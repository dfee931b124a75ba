"""Run inside az's Python: run each command of a JSON list and print what each wrote and returned."""

import io
import json
import sys

from azure.cli.core import get_default_cli


def run(arguments):
    printed = io.StringIO()
    try:
        code = get_default_cli().invoke(arguments, out_file=printed)
    except SystemExit as end:  # of its parser
        code = end.code
    return {"code": code, "printed": printed.getvalue()}


if __name__ == "__main__":
    json.dump([run(arguments) for arguments in json.loads(sys.argv[1])], sys.stdout)
