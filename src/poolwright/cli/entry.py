"""Where the program begins: before anything that is slow to import.

Invariant: Ctrl-C ends with the same exit code while modules are still being imported.
"""

from __future__ import annotations

import sys

from poolwright.cli.failure import INTERRUPTED


def main() -> None:
    """Run one command; ends with SystemExit."""
    try:
        from poolwright.cli.main import main as run
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    run()


if __name__ == "__main__":
    main()
