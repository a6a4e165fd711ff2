"""Run the command line as ``python -m mlpiht_cli``."""

from mlpiht_cli.cli import main

if __name__ == "__main__":
    main()
