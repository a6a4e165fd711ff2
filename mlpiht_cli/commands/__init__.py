"""The subcommands; each has its options, calls the package and returns an exit code."""
