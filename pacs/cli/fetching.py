"""Fetching studies from another archive, on the command line."""

from __future__ import annotations

from enum import StrEnum
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from pacs.cli.progress import Progress as Shown
from pacs.cli.progress import showing_progress
from pacs.cli.running import opened_archive, stopped_by_signals

if TYPE_CHECKING:
    from pacs.jobs.fetching.wanted import Progress

# ruff: noqa: PLC0415 - as in pacs.cli.processes

_FOUND_WRONG, _COULD_NOT_RUN = 1, 2
_TOLD_FAILURES = 20


class By(StrEnum):
    """How a study comes."""

    WEB = "web"
    GET = "get"
    MOVE = "move"


def fetch(
    peer: Annotated[str, typer.Argument(metavar="AET", help="The other archive, a peer with an address.")],
    study: Annotated[str | None, typer.Option(metavar="UID", help="Study Instance UID.")] = None,
    patient: Annotated[str | None, typer.Option(metavar="ID", help="All studies of a Patient ID.")] = None,
    accession: Annotated[str | None, typer.Option(metavar="NUMBER", help="Accession Number.")] = None,
    by: Annotated[
        By | None,
        typer.Option(
            help="get: C-GET, over our own association. move: C-MOVE, to a running archive. web: WADO-RS. "
            "Default: web where the peer has a DICOMweb URL, else get."
        ),
    ] = None,
) -> None:
    """Fetch studies from another archive: what is not here yet.

    May be stopped at any time; run again, it goes on where it was. For 'move' the other archive has to know
    this one, by its AE title, address and port.
    """
    from pacs.dicom.uids import parse_uid
    from pacs.errors import InvalidRequest
    from pacs.jobs.fetching.opening import opened_source
    from pacs.jobs.fetching.wanted import Progress, Receiver, Wanted, fetch_wanted

    values = [value for value in (study, patient, accession) if value]
    if not values or any(set("*?\\") & set(value) for value in values):
        raise InvalidRequest("give --study, --patient or --accession, a single value without wildcards")
    wanted = Wanted(study and parse_uid(study), patient, accession)
    progress, stop = Progress(), Event()
    with opened_archive() as archive:
        known = archive.index.peers.find(peer.strip())
        receiver = Receiver(archive, known.ae_title, progress, stop)
        with (
            opened_source(archive, known, by) as source,
            stopped_by_signals(stop.set),
            showing_progress(lambda: _shown(progress), "instances"),
        ):
            fetch_wanted(source, wanted, receiver)
    _tell(progress)
    if stop.is_set():
        typer.echo("filmless: stopped; run the same command again: it goes on where it was", err=True)
        raise typer.Exit(_COULD_NOT_RUN)
    if progress.failed or not progress.studies:
        raise typer.Exit(_FOUND_WRONG)


def _shown(progress: Progress) -> Shown:
    return Shown(progress.fetched + progress.here_before, progress.size_bytes, progress.listed or None)


def _tell(progress: Progress) -> None:
    if not progress.studies:
        typer.echo("the other archive has no such study, or shows none to us")
        return
    typer.echo(
        f"{progress.studies} studies: {progress.fetched} instances fetched, {progress.here_before} were here "
        f"already, {len(progress.failed)} failed"
    )
    for uid, why in list(progress.failed.items())[:_TOLD_FAILURES]:
        typer.echo(f"  {uid}  {why}")
