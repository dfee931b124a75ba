"""`make fuzz`: tens of thousands of requests against a service of its own. Exit code 1 when anything was found."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.fuzzing.run import run
from tests.fuzzing.world import World
from tests.support.service import ServiceProcess


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=1800.0, help="stop after so long in any case")
    parser.add_argument("--seed", type=int, default=1, help="another one sends other requests")
    parser.add_argument("--only", default="", help="only operations with this in their name")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="poolwright-fuzz-") as scratch:
        service = ServiceProcess(Path(scratch) / "data")
        try:
            world = World(service.start())
            report = run(
                world,
                given.requests,
                given.seconds,
                seed_value=given.seed,
                only=given.only,
                say=lambda line: print(line, flush=True),
            )
            world.close()
        finally:
            if service.is_running:
                service.kill()
    print("\n".join(report.lines()))
    return 1 if report.findings else 0


if __name__ == "__main__":
    sys.exit(main())
