"""Subcommands: options, one call, an exit code."""
