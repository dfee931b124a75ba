"""Run inside az's Python: print, as JSON, the words given as arguments after az has read the files that they name."""

import json
import sys

from azure.cli.core.commands import _expand_file_prefixed_files

if __name__ == "__main__":
    json.dump(_expand_file_prefixed_files(sys.argv[1:]), sys.stdout)
