"""``python -m airflow_provider_bm.sandbox``: serve a sandbox until Ctrl-C."""

from __future__ import annotations

import argparse
import logging
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from airflow_provider_bm._loopback import is_loopback
from airflow_provider_bm.sandbox.contact_files import read_contacts
from airflow_provider_bm.sandbox.endpoint import CLIENT_ID, CLIENT_SECRET, export_command
from airflow_provider_bm.sandbox.sandbox import Sandbox


def parser() -> argparse.ArgumentParser:
    """Build the command line parser."""
    root = argparse.ArgumentParser(
        prog="python -m airflow_provider_bm.sandbox",
        description="Serve a local BM with the whole Campaign API. No message leaves this machine.",
    )
    root.add_argument("--port", type=int, default=8765, help="TCP port, 0 for any free one (default: 8765)")
    root.add_argument("--host", default="127.0.0.1", help="address to listen at (default: 127.0.0.1)")
    root.add_argument("--speed", type=float, default=1.0, help="sandbox seconds per real second (default: 1)")
    root.add_argument("--client-id", default=CLIENT_ID, help=f"client id (default: {CLIENT_ID})")
    root.add_argument("--client-secret", default=CLIENT_SECRET, help="client secret (needed beyond loopback)")
    root.add_argument(
        "--execution-seconds", type=float, default=2.0, help="how long an execution takes (default: 2)"
    )
    root.add_argument(
        "--recipient-list",
        metavar="NAME=FILE",
        action="append",
        default=[],
        help="a recipient list of your contacts, from CSV or JSON; may be repeated",
    )
    root.add_argument(
        "--load",
        metavar="FILE",
        help="start with the services, clients, contacts, lists and campaigns of this JSON file",
    )
    root.add_argument(
        "--name-policy", metavar="POLICY", help="how campaign names are changed, e.g. trim or cut:40"
    )
    root.add_argument("--verbose", action="store_true", help="log every request")
    return root


def banner(sandbox: Sandbox) -> str:
    """Return where the sandbox is and how to connect to it."""
    lists = "\n".join(f"    {uuid}  {name}" for name, uuid in sandbox.recipient_lists.items())
    return f"""\
BM sandbox: {sandbox.url}

  Airflow connection:
    {export_command(sandbox)}

  Service:
    {sandbox.service_uuid}

  Recipient lists:
{lists}

  In your browser: {sandbox.url}/
  Messages:        {sandbox.url}/_sandbox/messages
  Requests:        {sandbox.url}/_sandbox/requests

Ctrl-C ends it."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command."""
    options = parser().parse_args(argv)
    logging.basicConfig(
        level=logging.INFO if options.verbose else logging.WARNING, format="%(asctime)s %(message)s"
    )
    try:
        sandbox = Sandbox(
            port=options.port,
            host=options.host,
            client_id=options.client_id,
            client_secret=options.client_secret,
            speed=options.speed,
            execution_seconds=options.execution_seconds,
            load=options.load,
            name_policy=options.name_policy,
        )
        for option in options.recipient_list:
            name, equals, path = option.partition("=")
            if not equals:
                raise ValueError(f"--recipient-list must be NAME=FILE, not {option!r}")
            sandbox.add_recipient_list(name, read_contacts(Path(path)))
    except (ValueError, OSError) as error:
        print(f"bm sandbox: {error}", file=sys.stderr)
        return 2
    try:
        sandbox.start()
    except OverflowError as error:
        print(f"bm sandbox: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        where = f"{options.host}:{options.port}"
        print(f"bm sandbox: cannot listen at {where}: {error.strerror}.", file=sys.stderr)
        print("Is another sandbox running there? --port takes another port, 0 any free one.", file=sys.stderr)
        return 2
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    print(banner(sandbox), flush=True)
    if not is_loopback(options.host):
        print("It can be reached from other machines, with client id and secret.", flush=True)
    ended.wait()
    sandbox.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
