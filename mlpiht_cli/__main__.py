"""The program: ``mlpiht``, also as ``python -m mlpiht_cli``."""

import sys

from mlpiht_cli.system import signals


def main() -> int:
    """Run the command line and return its exit code; signals are heard before the command line is loaded."""
    signals.watch(sys.argv[1:])
    from mlpiht_cli.cli import main

    return main()


if __name__ == "__main__":
    sys.exit(main())
