"""What reading a text takes, measured in a process of its own."""

from __future__ import annotations

import subprocess
import sys

_MEASURED = """
import resource, sys
from poolwright.lint import az_commands, yaml_files
from poolwright.lint.arm_templates import Given
from poolwright.lint.texts import Broken, Text
text = Text("f", sys.stdin.read())
READ(Text("f", "az aks create -n a"), Given())
before = resource.getrusage(resource.RUSAGE_SELF)
try:
    READ(text, Given())
except Broken:
    pass
after = resource.getrusage(resource.RUSAGE_SELF)
print(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, after.ru_maxrss - before.ru_maxrss)
"""


def taken(content: str, reader: str) -> tuple[float, float]:
    """The seconds of CPU time and the megabytes that `az_commands.read_script` or `yaml_files.read_yaml` takes."""
    command = [sys.executable, "-c", _MEASURED.replace("READ", reader)]
    ended = subprocess.run(command, input=content, text=True, capture_output=True, check=True, timeout=60)
    seconds, kilobytes = map(float, ended.stdout.split())
    return seconds, kilobytes / 1024
