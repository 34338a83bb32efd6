"""Commands that run until they are told to stop: the archive as a whole, and each of its processes."""

from __future__ import annotations

import os
import threading
from typing import Annotated

import typer

from pacs.cli.running import (
    apply_migrations,
    archive_process,
    migrate_when_possible,
    stand_back,
    stopped_by_signals,
)
from pacs.settings import load_settings
from pacs.supervisor import supervise

# Commands import what they run: a listener that is restarted must not wait for the web server's modules.
# ruff: noqa: PLC0415

SupervisorFd = Annotated[int | None, typer.Option(hidden=True)]
ListeningFd = Annotated[int | None, typer.Option(hidden=True)]


def up() -> None:
    """Run the whole archive on this machine, and keep it running: DICOM listener, web server and worker.

    A process that dies is started again. Stop it with Ctrl-C or SIGTERM: what is being received is finished.
    """
    settings = load_settings()
    migrate_when_possible(settings)
    supervisor = supervise(settings, typer.echo)
    with stopped_by_signals(supervisor.stop):
        supervisor.start()
        if supervisor.tend(until_ready=True):
            supervisor.tend()


def demo() -> None:
    """Show Filmless with made-up studies: start it, send them by real C-STORE, print the viewer's address.

    Everything is kept in the folder filmless-demo unless DATA_DIR says otherwise. Stop it with Ctrl-C.
    """
    from pacs.demo.run import run_demo

    os.environ.setdefault("FILMLESS_DATA_DIR", "filmless-demo")
    settings = load_settings()
    apply_migrations(settings)
    log = settings.data_dir / "log.txt"
    typer.echo(f"Starting Filmless in {settings.data_dir}; its log is {log}")
    supervisor = supervise(settings, typer.echo, other_ports=True, log=log)
    with stopped_by_signals(supervisor.stop):
        run_demo(supervisor, settings)


def listen(
    supervisor_fd: SupervisorFd = None,
    listening_fd: ListeningFd = None,
    tls_listening_fd: ListeningFd = None,
) -> None:
    """Run one DICOM listener: takes in what modalities send (C-STORE) and answers C-ECHO.

    Several may run at a time, also under 'up' (DICOM_PROCESSES); they share the port.
    """
    from pacs.dimse.listener import open_listener

    with archive_process(supervisor_fd) as (archive, ready):
        listener = open_listener(archive, listening_fd, tls_listening_fd)
        with stopped_by_signals(listener.stop):
            ready()
            listener.serve_forever()


def web(supervisor_fd: SupervisorFd = None) -> None:
    """Run one web server: study list, viewer and DICOMweb.

    Several may run at a time, also under 'up' (HTTP_PROCESSES); they share the port.
    """
    from viewer_api.server import serve

    # The server has handlers of its own while it runs; ours let the process end as one that was asked to.
    with archive_process(supervisor_fd) as (archive, ready), stopped_by_signals(lambda: None):
        serve(archive, ready)


def work(supervisor_fd: SupervisorFd = None) -> None:
    """Run one worker: looks after the store in the background (finds what a crash left behind)."""
    from pacs.jobs.worker import run_worker

    with archive_process(supervisor_fd) as (archive, ready):
        stop = threading.Event()
        with stopped_by_signals(stop.set):
            ready()
            stand_back()
            run_worker(archive, stop)
