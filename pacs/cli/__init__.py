"""The command line: every process that Filmless runs starts here."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import typer

from pacs.cli import (
    administration,
    conflicts,
    fetching,
    ledger,
    matches,
    notices,
    ohif,
    orders,
    peers,
    performed,
    prefetches,
    processes,
    routes,
    sending,
    upkeep,
)
from pacs.errors import ArchiveError
from storage.errors import StoreError

# In the order in which 'filmless --help' lists them.
_COMMANDS: dict[str, Callable[..., Any]] = {
    "up": processes.up,
    "demo": processes.demo,
    "listen": processes.listen,
    "web": processes.web,
    "work": processes.work,
    "import": upkeep.import_files,
    "sweep": upkeep.sweep_now,
    "verify": upkeep.verify,
    "send": sending.send,
    "fetch": fetching.fetch,
    "rebuild-index": ledger.rebuild_index,
    "migrate": administration.migrate,
    "claim-store": administration.claim_store,
    "echo": administration.echo,
    "spool": administration.spool,
    "settings": administration.show_settings,
    "version": administration.version,
}

_COULD_NOT_RUN = 2  # 1 is for commands that ran and found something wrong

app = typer.Typer(
    name="filmless",
    help="Filmless keeps the images of a hospital and shows them in a browser, instead of on film.\n\n"
    "Settings are FILMLESS_* variables, lines of a file .env, or entries of filmless.toml; "
    "'filmless settings' lists them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for _name, _command in _COMMANDS.items():
    app.command(_name)(_command)
app.add_typer(conflicts.app, name="conflicts")
app.add_typer(sending.app, name="jobs")
app.add_typer(routes.app, name="routes")
app.add_typer(ledger.app, name="ledger")
app.add_typer(matches.app, name="matches")
app.add_typer(notices.app, name="notices")
app.add_typer(ohif.app, name="ohif")
app.add_typer(orders.app, name="order")
app.add_typer(peers.app, name="peers")
app.add_typer(performed.app, name="performed")
app.add_typer(prefetches.app, name="prefetches")


def main() -> None:
    """Run the command line; errors that the archive raises on purpose end it with their message, and 2."""
    try:
        app()
    except (ArchiveError, StoreError) as error:
        told = str(error)
    except OSError as error:
        told = f"{error.strerror or type(error).__name__}: {error.filename or 'no file'}"
    else:
        return
    typer.echo(f"filmless: {told}", err=True)
    sys.exit(_COULD_NOT_RUN)
