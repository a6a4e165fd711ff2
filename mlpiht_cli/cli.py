"""The command line: a lazy Click group, which turns errors into messages and exit codes."""

from __future__ import annotations

import importlib
import json
import logging
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from typing import Any

import click

from mlpiht_cli import __version__
from mlpiht_cli.errors import InputError, did_you_mean, on_one_line
from mlpiht_cli.system import signals
from mlpiht_cli.system.lazy import import_lazily

# Text of each command in `mlpiht --help`. A call imports the module mlpiht_cli.commands.<name>.
COMMANDS = {
    "generate": "Make a data set with its planted weights.",
    "fit": "Fit one network and print its result row.",
    "path": "Show a table's score against the budget, by cross-validation.",
    "diagnose": "Measure what the recovery guarantee assumes, and say whether it applies.",
    "predict": "Predict a table's rows with a saved model.",
    "show": "Print a saved network as a formula, neuron by neuron.",
    "export": "Write a saved network for PyTorch or ONNX.",
    "sweep": "Run all cells of a spec; run again to resume.",
    "submit": "Write the script of an array job that runs a sweep.",
    "plot": "Draw the figure of a spec or table.",
    "check": "Judge the claims of a spec, or compare a table with a reference.",
    "report": "Write specs with claims, figures and tables into one HTML file.",
    "rerun": "Run the cells of a table's rows again, and compare.",
    "pictures": "Draw the weights or images of fitted networks.",
    "status": "Count done and remaining cells of a spec.",
    "clean": "Remove failed or stale records, and temporary files of killed processes.",
    "validate": "Check specs without running them.",
    "specs": "List, show or copy the specs that come with mlpiht.",
    "data": "List, fetch or verify data sets.",
    "doctor": "Check this installation and machine.",
    "schema": "Print the JSON Schema of specs.",
}

WITHOUT_TORCH = {"plot", "report"}
"""Commands that never import torch. Matplotlib asks a torch that is there for its tensors, so a lazy one would load."""


class LazyGroup(click.Group):
    """A group that imports only the subcommand that is called, so that --help is fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Commands, in the order in which a new user needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command, with torch set to load at its first use."""
        if cmd_name not in COMMANDS:
            return None
        if cmd_name not in WITHOUT_TORCH:
            import_lazily("torch")
        module = importlib.import_module(f"mlpiht_cli.commands.{cmd_name}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command, or suggest one with a similar name."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(f"no command '{args[0]}'{did_you_mean(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-q", "--quiet", is_flag=True, help="Print only errors on stderr.")
@click.option("-v", "--verbose", is_flag=True, help="Print more on stderr.")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
@click.option("--color", type=click.Choice(["auto", "always", "never"]), default="auto", help="Coloured output.")
@click.version_option(__version__, prog_name="mlpiht")
@click.pass_context
def group(ctx: click.Context, quiet: bool, verbose: bool, debug: bool, color: str) -> None:
    """Recover sparse ReLU networks by iterative hard thresholding.

    Start with `mlpiht sweep smoke`, or fit your own table with `mlpiht fit --method iht --data my.csv --target y
    --m 50 --s 100`.
    """
    ctx.color = _colour(color)
    level = logging.DEBUG if debug else logging.ERROR if quiet else logging.INFO if verbose else logging.WARNING
    logger = logging.getLogger("mlpiht")
    logger.handlers = [_Stderr()]
    logger.setLevel(level)
    ctx.obj = {"quiet": quiet}


class _Stderr(logging.Handler):
    """Log lines on stderr, in the style of the other messages; a line that was said is not said again."""

    def __init__(self) -> None:
        super().__init__()
        self._said: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        message = on_one_line(record.getMessage())
        if message in self._said:
            return
        self._said.add(message)
        word = record.levelname.lower()
        colour = {"warning": "yellow", "error": "red"}.get(word)
        click.echo(f"{click.style(word, fg=colour)}: {message}", err=True)


def main(args: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code.

    It is 0 done, 1 cells failed, 2 nothing ran, 75 a sweep stopped, 130 Ctrl-C, 143 SIGTERM and 129 SIGHUP. Without
    ``args`` the process is the command's: signals that would end it are heard from here to the end.
    """
    if args is not None:
        return _run(list(args))
    signals.watch(sys.argv[1:])
    try:
        return _run(sys.argv[1:])
    finally:
        signals.settle()


def _run(words: list[str]) -> int:
    """Run the command line, with errors as messages and exit codes."""
    try:
        result: Any = group.main(words, prog_name="mlpiht", standalone_mode=False)
        return result if isinstance(result, int) else 0
    except InputError as error:
        return _fail(str(error), 2, words)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return 2
    except click.ClickException as error:
        usage = f"\n{error.ctx.get_usage()}" if isinstance(error, click.UsageError) and error.ctx else ""
        return _fail(f"{error.format_message()}{usage}", 2, words)
    except (KeyboardInterrupt, click.Abort):
        return _ended(signal.SIGINT, words)
    except signals.Ended as end:
        return _ended(end.number, words)
    except BrokenPipeError:  # the reader of the output ended, as in `mlpiht ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if "--debug" in words:
            traceback.print_exc()
        place = f"{error.filename}: " if error.filename else ""
        return _fail(f"{place}{error.strerror or error}", 1, words)
    except Exception as error:
        if "--debug" in words:
            traceback.print_exc()
        return _fail(f"internal error, {type(error).__name__}: {error} (mlpiht --debug shows where)", 1, words)


def _ended(number: int, words: Sequence[str]) -> int:
    """Answer a signal that ended the command: one message, and its exit code."""
    signals.settle()
    text, code = signals.message(number, words)
    if not signals.is_sweep(words):
        return _fail(text, code, words)
    click.echo(text, err=True)  # a sweep that is stopped is no error: it goes on when it is asked to
    _echo_json(text, code, words)
    return code


def _colour(choice: str) -> bool | None:
    """Whether to colour: the option decides, then NO_COLOR; None leaves it to Click, which colours on a terminal."""
    return {"auto": False if os.environ.get("NO_COLOR") else None, "always": True, "never": False}[choice]


def _fail(message: str, code: int, words: Sequence[str]) -> int:
    """Print one message on stderr and, with --json, one JSON document on stdout; return the exit code."""
    given = [choice for choice in ("always", "never") if f"--color {choice}" in " ".join(words).replace("=", " ")]
    message = on_one_line(message)
    click.echo(f"{click.style('error', fg='red')}: {message}", err=True, color=_colour((given or ["auto"])[0]))
    _echo_json(message, code, words)
    return code


def _echo_json(message: str, code: int, words: Sequence[str]) -> None:
    if "--json" in words:
        click.echo(json.dumps({"error": message, "exit_code": code}))
