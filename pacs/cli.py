"""The command line: every process that Filmless runs starts here."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from pacs import __version__
from pacs.errors import ArchiveError, IndexUnavailable
from pacs.settings import Settings, load_settings, report_settings
from pacs.supervisor import SupervisorLink, supervise
from storage.errors import StoreError, StoreUnavailable

if TYPE_CHECKING:
    from pacs.archive import Archive

# Commands import what they run: a listener that is restarted must not wait for the web server's modules.
# ruff: noqa: PLC0415

app = typer.Typer(
    name="filmless",
    help="Filmless keeps the images of a hospital and shows them in a browser, instead of on film.\n\n"
    "Settings are FILMLESS_* variables, lines of a file .env, or entries of filmless.toml; "
    "'filmless settings' lists them.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

_RETRY_AFTER_S = 5.0

SupervisorFd = Annotated[int | None, typer.Option(hidden=True)]


def main() -> None:
    """Run the command line; errors that the archive raises on purpose end it with their message."""
    try:
        app()
    except (ArchiveError, StoreError) as error:
        sys.exit(f"filmless: {error}")
    except OSError as error:
        sys.exit(f"filmless: {error.strerror or type(error).__name__}: {error.filename or 'no file'}")


@app.command()
def up() -> None:
    """Run the whole archive on this machine, and keep it running: DICOM listener, web server and worker.

    A process that dies is started again. Stop it with Ctrl-C or SIGTERM: what is being received is finished.
    """
    settings = load_settings()
    _migrate_when_possible(settings)
    supervisor = supervise(settings, typer.echo)
    with _stopped_by_signals(supervisor.stop):
        supervisor.start()
        if supervisor.tend(until_ready=True):
            supervisor.tend()


@app.command()
def demo() -> None:
    """Show Filmless with made-up studies: start it, send them by real C-STORE, print the viewer's address.

    Everything is kept in the folder filmless-demo unless DATA_DIR says otherwise. Stop it with Ctrl-C.
    """
    from pacs.demo.run import run_demo

    os.environ.setdefault("FILMLESS_DATA_DIR", "filmless-demo")
    settings = load_settings()
    _migrate(settings)
    log = settings.data_dir / "log.txt"
    typer.echo(f"Starting Filmless in {settings.data_dir}; its log is {log}")
    supervisor = supervise(settings, typer.echo, other_ports=True, log=log)
    with _stopped_by_signals(supervisor.stop):
        run_demo(supervisor, settings)


@app.command()
def listen(supervisor_fd: SupervisorFd = None) -> None:
    """Run one DICOM listener: takes in what modalities send (C-STORE) and answers C-ECHO.

    Several may run at a time, also under 'up' (DICOM_PROCESSES); they share the port.
    """
    from pacs.dimse.listener import open_listener

    with _process(supervisor_fd) as (archive, ready):
        listener = open_listener(archive)
        with _stopped_by_signals(listener.stop):
            ready()
            listener.serve_forever()


@app.command()
def web(supervisor_fd: SupervisorFd = None) -> None:
    """Run one web server: study list, viewer and DICOMweb.

    Several may run at a time, also under 'up' (HTTP_PROCESSES); they share the port.
    """
    from viewer_api.server import serve

    # The server has handlers of its own while it runs; ours let the process end as one that was asked to.
    with _process(supervisor_fd) as (archive, ready), _stopped_by_signals(lambda: None):
        serve(archive, ready)


@app.command()
def work(supervisor_fd: SupervisorFd = None) -> None:
    """Run one worker: looks after the store in the background (finds what a crash left behind)."""
    from pacs.jobs.worker import run_worker

    with _process(supervisor_fd) as (archive, ready):
        stop = threading.Event()
        with _stopped_by_signals(stop.set):
            ready()
            run_worker(archive, stop)


@app.command()
def migrate() -> None:
    """Create the database's tables, or bring them to this version. Safe to run again; 'up' does it itself."""
    before, after = _migrate(load_settings())
    typer.echo(
        f"schema {after} (was {before or 'empty'})" if before != after else f"schema {after}, unchanged"
    )


@app.command()
def echo(
    peer: Annotated[str, typer.Argument(metavar="HOST:PORT", help="Address of the device.")],
    aet: Annotated[str, typer.Argument(metavar="AET", help="AE title of the device.")],
) -> None:
    """Ask a device whether it hears us (C-ECHO), as a first test of a new connection."""
    from pacs.dimse.scu import verify

    host, _, port = peer.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise typer.BadParameter("give the address as HOST:PORT, e.g. 192.168.1.20:104")
    latency_s = verify(host.strip("[]"), int(port), aet, calling_ae_title=load_settings().ae_title)
    typer.echo(f"{aet} at {peer} answered in {latency_s * 1000:.0f} ms")


@app.command("settings")
def show_settings() -> None:
    """Print every setting with its value in force and where it comes from. Passwords are masked."""
    from rich.console import Console
    from rich.table import Table

    table = Table("Setting", "Value", "From", "What it is", show_lines=True)
    for report in report_settings(load_settings()):
        table.add_row(report.variable, report.value, report.source, report.description)
    Console(width=None if sys.stdout.isatty() else 200).print(table)


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(f"filmless {__version__}")


@contextlib.contextmanager
def _process(supervisor_fd: int | None) -> Iterator[tuple[Archive, Callable[[], None]]]:
    """Open the archive for one process; give it and the function that tells when the door is open."""
    from pacs.archive import open_archive

    link = SupervisorLink(supervisor_fd) if supervisor_fd is not None else None
    _log_to_stdout()
    archive = open_archive(load_settings())
    try:
        archive.index.require_newest_schema()
        yield archive, link.ready if link else lambda: typer.echo("ready")
    finally:
        archive.close()


def _migrate(settings: Settings) -> tuple[str | None, str]:
    from pacs.archive import open_archive

    archive = open_archive(settings)
    try:
        return archive.index.migrate()
    finally:
        archive.close()


def _migrate_when_possible(settings: Settings) -> None:
    """Wait for a database or store that is not there yet, as after a power cut of the whole house."""
    while True:
        try:
            _migrate(settings)
        except (IndexUnavailable, StoreUnavailable) as error:
            typer.echo(f"waiting, trying again in {_RETRY_AFTER_S:.0f} s: {error}")
            time.sleep(_RETRY_AFTER_S)
        else:
            return


@contextlib.contextmanager
def _stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call ``stop`` on SIGTERM and SIGINT while the block runs."""
    signals = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, lambda *_: stop()) for number in signals]
    try:
        yield
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)


def _log_to_stdout() -> None:
    """Log one line an event; libraries that may put patient data into a message are silenced."""
    logging.basicConfig(
        stream=sys.stdout,
        level=logging.INFO,
        format="%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s",
    )
    for name in ("pydicom", "pynetdicom", "sqlalchemy", "alembic", "botocore", "boto3", "urllib3", "uvicorn"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    warnings.simplefilter("ignore")


if __name__ == "__main__":
    main()
