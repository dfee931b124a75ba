import sys

from poolwright.serve import up
from poolwright.settings import Settings


def main() -> None:
    sys.exit(up(Settings()))


if __name__ == "__main__":
    main()
