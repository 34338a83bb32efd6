"""Commands of an administrator that answer at once."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from pacs import __version__
from pacs.cli.running import apply_migrations
from pacs.settings import load_settings, report_settings
from storage.errors import StoreError
from storage.store import ObjectStore

# ruff: noqa: PLC0415 - as in pacs.cli.processes


def migrate() -> None:
    """Create the database's tables, or bring them to this version. Safe to run again; 'up' does it itself."""
    before, after = apply_migrations(load_settings())
    typer.echo(
        f"schema {after} (was {before or 'empty'})" if before != after else f"schema {after}, unchanged"
    )


def claim_store(
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Say that the store of the settings belongs to this archive, after you have replaced it by a copy.

    Filmless refuses to start on a store that it does not know: it may be the empty folder of a disk that is
    not mounted. Nothing in the store is changed but its identity, which it gets if it has none or a damaged
    one.
    """
    from pacs.archive import open_archive
    from pacs.own_stores import own_stores

    archive = open_archive(load_settings(), make_stores=True)
    try:
        archive.index.require_newest_schema()
        for own in own_stores(archive):
            expected, there = own.look_for_objects()
            typer.echo(f"{own.name}: {there} of {expected} objects that were looked for are in it")
        if not yes:
            typer.confirm("Do they belong to this archive?", abort=True)
        for own in own_stores(archive):
            own.claim()
    finally:
        archive.close()
    typer.echo("claimed; 'filmless sweep' tells what may be missing")


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


def spool() -> None:
    """Show what is in the spool, what waits there to be uploaded to S3, and whether the S3 server answers."""
    from datetime import UTC, datetime

    from pacs.archive import open_archive

    archive = open_archive(load_settings())
    try:
        if archive.spool is None:
            typer.echo("this archive has no spool: it commits to its store at once")
            return
        report = archive.index.spooled.report()
        room = archive.spool.room
        folder = archive.settings.resolved_spool_dir
        typer.echo(
            f"spool    {report.objects} objects, {report.size_bytes / 1e9:.1f} GB of "
            f"{room.limits.quota_bytes / 1e9:.1f} GB, {room.free_bytes() / 1e9:.1f} GB free; {folder}"
        )
        waiting = f"{report.waiting_objects} objects, {report.waiting_size_bytes / 1e9:.1f} GB"
        if report.oldest_waiting is not None:
            age_s = (datetime.now(UTC) - report.oldest_waiting).total_seconds()
            waiting += f", the oldest for {age_s:.0f} s; {report.failed_objects} were tried in vain"
        typer.echo(f"waiting  {waiting}")
        typer.echo(f"S3       {_state_of(archive.spool.remote)}")
    finally:
        archive.close()


def _state_of(store: ObjectStore) -> str:
    try:
        store.check()
    except StoreError as error:
        return f"is away: {error}"
    return "answers"


def show_settings() -> None:
    """Print every setting with its value in force and where it comes from. Passwords are masked."""
    from rich.console import Console
    from rich.table import Table

    table = Table("Setting", "Value", "From", "What it is", show_lines=True)
    for report in report_settings(load_settings()):
        table.add_row(report.variable, report.value, report.source, report.description)
    Console(width=None if sys.stdout.isatty() else 200).print(table)


def version() -> None:
    """Print the version."""
    typer.echo(f"filmless {__version__}")
