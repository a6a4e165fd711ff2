"""Run the command line as ``python -m mlpiht_cli``."""

import sys

from mlpiht_cli.cli import main

if __name__ == "__main__":
    sys.exit(main())
