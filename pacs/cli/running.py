"""What commands share: an archive of their own, its migrations, signals and the log."""

from __future__ import annotations

import contextlib
import logging
import os
import resource
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from pacs.errors import IndexUnavailable
from pacs.settings import Settings, load_settings
from pacs.supervisor import SupervisorLink
from storage.errors import StoreUnavailable

if TYPE_CHECKING:
    from pacs.archive import Archive

# ruff: noqa: PLC0415 - as in pacs.cli.processes

_RETRY_AFTER_S = 5.0
_STANDING_BACK = 10  # of niceness
_STOPPING = (signal.SIGTERM, signal.SIGINT)


@contextlib.contextmanager
def archive_process(supervisor_fd: int | None) -> Iterator[tuple[Archive, Callable[[], None]]]:
    """Open the archive for one process; give it and the function that tells when the door is open."""
    from pacs.archive import open_archive
    from pacs.own_stores import require_own_stores

    link = SupervisorLink(supervisor_fd) if supervisor_fd is not None else None
    _log_to_stdout()
    _allow_all_files()
    archive = open_archive(load_settings())
    try:
        archive.index.require_newest_schema()
        require_own_stores(archive)
        yield archive, link.ready if link else lambda: typer.echo("ready")
    finally:
        archive.close()


def _allow_all_files() -> None:
    """Let this process have as many files open as the system allows it: each connection is one of them.

    What it is allowed from the start is mostly 1024, for the sake of programs that use ``select``.
    """
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(OSError, ValueError):  # not every system means what it says
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def stand_back() -> None:
    """Let other processes of this machine go first, from now on: what we do may be done a little later.

    Linux shares its processors among sessions first and within each by niceness, so one that leads a session
    of its own tells both. What has no processor for long is not starved: it gets a tenth of one.
    """
    with contextlib.suppress(OSError):
        os.nice(_STANDING_BACK)
    if os.getsid(0) == os.getpid():
        with contextlib.suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(_STANDING_BACK))


@contextlib.contextmanager
def opened_archive() -> Iterator[Archive]:
    """Open the archive for a command of the operator, which speaks on the console and logs only warnings."""
    from pacs.archive import open_archive
    from pacs.own_stores import require_own_stores

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    _silence_libraries()
    archive = open_archive(load_settings())
    try:
        archive.index.require_newest_schema()
        require_own_stores(archive)
        yield archive
    finally:
        archive.close()


def apply_migrations(settings: Settings) -> tuple[str | None, str]:
    """Bring the database to this version's schema, and make index and stores known to each other.

    Returns
    -------
    tuple
        The versions of the schema before and after.
    """
    from pacs.archive import open_archive
    from pacs.own_stores import require_own_stores

    archive = open_archive(settings)
    try:
        versions = archive.index.migrate()
        require_own_stores(archive)
        return versions
    finally:
        archive.close()


def migrate_when_possible(settings: Settings) -> None:
    """Wait for a database or store that is not there yet, as after a power cut of the whole house.

    A disk that is not mounted yet is waited for as well: an empty folder in its place is not our store.
    """
    while True:
        try:
            apply_migrations(settings)
        except (IndexUnavailable, StoreUnavailable) as error:
            typer.echo(f"waiting, trying again in {_RETRY_AFTER_S:.0f} s: {error}")
            time.sleep(_RETRY_AFTER_S)
        else:
            return


@contextlib.contextmanager
def stopped_by_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call ``stop`` on SIGTERM and SIGINT while the block runs, from a thread of its own.

    Python's handlers run in the main thread only, when it next runs Python. The kernel may give the signal to
    another thread: then a main thread that waits would hear of it when it has waited to the end.
    """
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    listening = threading.Thread(target=_call_on_signals, args=(reader, stop), name="signals", daemon=True)
    before = [signal.signal(number, lambda *_: None) for number in _STOPPING]
    wakeup_before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    listening.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(wakeup_before)
        for number, handler in zip(_STOPPING, before, strict=True):
            signal.signal(number, handler)
        writer.close()
        listening.join()
        reader.close()


def _call_on_signals(reader: socket.socket, stop: Callable[[], None]) -> None:
    while number := reader.recv(1):
        if number[0] in _STOPPING:
            stop()


def _log_to_stdout() -> None:
    """Log one line an event."""
    logging.basicConfig(
        stream=sys.stdout,
        level=logging.INFO,
        format="%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s",
    )
    _silence_libraries()


def _silence_libraries() -> None:
    """Keep libraries quiet that may put patient data into a message."""
    for name in ("pydicom", "pynetdicom", "sqlalchemy", "alembic", "botocore", "boto3", "urllib3", "uvicorn"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    warnings.simplefilter("ignore")
