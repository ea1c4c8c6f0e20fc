"""The command line: ``python -m airflow_provider_bm``, and ``airflow bm`` from Airflow 3.2 on.

Airflow imports this module for each of its own commands, so the commands themselves load lazily.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, NoReturn

if TYPE_CHECKING:
    from airflow.cli.cli_config import CLICommand

    from airflow_provider_bm.cli.output import Result

#: Exit codes.
OK, ERROR, WOULD_SEND = 0, 1, 2


@dataclass(frozen=True)
class Argument:
    """An argument of a command.

    :ivar flags: its name, or its options
    :ivar options: further parameters of ``ArgumentParser.add_argument``
    """

    flags: tuple[str, ...]
    options: dict[str, Any]


def _argument(*flags: str, **options: Any) -> Argument:
    return Argument(flags, options)


@dataclass(frozen=True)
class Command:
    """A command.

    :ivar run: ``module:function`` in this package; it takes the parsed arguments, and returns
        exit code and output
    """

    name: str
    help: str
    run: str
    arguments: tuple[Argument, ...]

    def __call__(self, arguments: argparse.Namespace) -> int:
        """Run the command, and return its exit code."""
        module, _, function = self.run.partition(":")
        run: Callable[[argparse.Namespace], Result] = getattr(import_module(f"{__name__}.{module}"), function)
        from airflow_provider_bm.cli.output import execute

        return execute(partial(run, arguments))


_CONNECTION: Final = (
    _argument("--conn-id", default="bm_default", help="Airflow connection (default: bm_default)"),
    _argument("--service-uuid", help="BM account (default: the connection's)"),
)
_OUTPUT: Final = _argument(
    "--output", "-o", choices=("table", "json"), default="table", help="output format (default: table)"
)

COMMANDS: Final = (
    Command(
        "check",
        "Diagnose a connection: name resolution, TLS, token, service and clock",
        "check:run",
        (
            *_CONNECTION,
            _argument(
                "--contract",
                action="store_true",
                help="also compare what the API returns with what this provider assumes; only reads",
            ),
            _OUTPUT,
        ),
    ),
    Command(
        "list",
        "List campaigns, newest first",
        "campaigns:list_campaigns",
        (
            *_CONNECTION,
            _argument(
                "--status",
                action="append",
                choices=("active", "stopped", "finished", "draft"),
                help="only campaigns with this status; may be repeated",
            ),
            _argument("--limit", type=int, default=50, help="maximum number of campaigns (default: 50)"),
            _OUTPUT,
        ),
    ),
    Command(
        "stop",
        "Stop campaigns",
        "campaigns:stop",
        (
            *_CONNECTION,
            _argument("uuids", nargs="*", metavar="UUID", help="campaigns to stop"),
            _argument("--all", action="store_true", help="stop all active campaigns of the service"),
            _argument("--yes", "-y", action="store_true", help="do not ask for confirmation"),
            _OUTPUT,
        ),
    ),
    Command(
        "preview",
        "Show what a DAG would send, without sending it",
        "preview:run",
        (
            _argument("dag_id", metavar="DAG_ID", help="the DAG"),
            _argument("--logical-date", help="of the run, such as 2026-01-31T08:00Z (default: now)"),
            _argument("--conn-id", help="Airflow connection to use instead of that of each task"),
            _argument("--subdir", "-S", help="file or folder with the DAG (default: the DAGs folder)"),
            _OUTPUT,
        ),
    ),
)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """End with 1: argparse's own 2 is what ``preview`` returns if something would be sent."""
        self.print_usage(sys.stderr)
        self.exit(ERROR, f"{self.prog}: error: {message}\n")


def parser() -> argparse.ArgumentParser:
    """Return the parser of ``python -m airflow_provider_bm``."""
    root = _Parser(prog="python -m airflow_provider_bm", description="Operate Business Messenger campaigns.")
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for command in COMMANDS:
        sub = commands.add_parser(command.name, help=command.help, description=command.help)
        sub.set_defaults(run=command)
        for argument in command.arguments:
            sub.add_argument(*argument.flags, **argument.options)
    return root


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command, and return its exit code.

    :param arguments: of the command line; None: ``sys.argv``
    """
    parsed = parser().parse_args(arguments)
    command: Command = parsed.run
    return command(parsed)


def get_commands() -> list[CLICommand]:
    """Return the commands for ``airflow bm``; named in the provider's metadata (Airflow 3.2+)."""
    from airflow.cli.cli_config import ActionCommand, Arg, GroupCommand

    def action(command: Command) -> ActionCommand:
        def run(arguments: argparse.Namespace) -> None:
            sys.exit(command(arguments))

        return ActionCommand(
            name=command.name,
            help=command.help,
            func=run,
            args=[Arg(flags=argument.flags, **argument.options) for argument in command.arguments],
        )

    return [
        GroupCommand(
            name="bm",
            help="Operate Business Messenger campaigns",
            subcommands=[action(command) for command in COMMANDS],
        )
    ]
