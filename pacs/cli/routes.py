"""Routes: which studies are sent where as they come, on the command line."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from pacs.cli.running import opened_archive

if TYPE_CHECKING:
    from pacs.index.known_routes import KnownRoute

# ruff: noqa: PLC0415 - as in pacs.cli.processes

app = typer.Typer(
    help="List and change routes: rules that send studies to a peer as they come. A study of which an image "
    "fulfils all conditions of a route is sent whole, when nothing has come for a while. A running archive "
    "heeds a change within two seconds.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="A name of your choice.")]
To = Annotated[str | None, typer.Option("--to", metavar="AET", help="The peer that gets the studies.")]
Modality = Annotated[str | None, typer.Option(metavar="LIST", help="Modalities, such as CT,MR.")]
Sender = Annotated[str | None, typer.Option("--from", metavar="LIST", help="AE titles of the senders.")]
Station = Annotated[str | None, typer.Option(metavar="LIST", help="Station Names, * for any text.")]
BodyPart = Annotated[str | None, typer.Option(metavar="LIST", help="Body Parts Examined, e.g. CHEST.")]
Institution = Annotated[str | None, typer.Option(metavar="LIST", help="Institution Names, * for any.")]
Hours = Annotated[str | None, typer.Option(metavar="HH:MM-HH:MM", help="Only what comes at these hours.")]
Quiet = Annotated[int, typer.Option(metavar="SECONDS", min=0, help="Send when nothing has come for so long.")]
Priority = Annotated[int, typer.Option(min=-9, max=9, help="The highest goes first.")]
Priors = Annotated[
    int,
    typer.Option(
        metavar="N",
        min=0,
        help="Another rule: when an examination is ordered, send the patient's newest N studies. "
        "--modality is that of the order then.",
    ),
]
FetchFrom = Annotated[
    str | None,
    typer.Option(metavar="AET", help="In place of --to: fetch the newest --priors N from this archive."),
]


@app.command("list")
def list_routes() -> None:
    """List the routes: name, peer and conditions."""
    with opened_archive() as archive:
        routes = archive.index.routes.list_all()
    for route in routes:
        typer.echo(_line(route))
    if not routes:
        typer.echo("there are no routes; 'filmless routes add' adds one")


@app.command()
def add(
    name: Name,
    to: To = None,
    modality: Modality = None,
    sender: Sender = None,
    station: Station = None,
    body_part: BodyPart = None,
    institution: Institution = None,
    hours: Hours = None,
    quiet: Quiet = 60,
    priority: Priority = 0,
    priors: Priors = 0,
    fetch_from: FetchFrom = None,
) -> None:
    """Add a route, for what comes from now on. Conditions left out are fulfilled by all.

    What the peer itself has sent is never sent back to it.
    """
    from pacs.index.known_routes import KnownRoute
    from pacs.routes import check_route

    peer = to or fetch_from
    if peer is None or (to and fetch_from):
        raise typer.BadParameter("give --to AET, or --fetch-from AET with --priors N")
    route = check_route(
        KnownRoute(
            name=name,
            ae_title=peer.strip(),
            modalities=_split(modality),
            calling_ae_titles=_split(sender),
            station_names=_split(station),
            body_parts=_split(body_part),
            institutions=_split(institution),
            hours=hours,
            quiet_s=quiet,
            priority=priority,
            priors=priors,
            fetches=fetch_from is not None,
        )
    )
    with opened_archive() as archive:
        archive.index.peers.find(route.ae_title)  # a route to nobody is a mistake
        archive.index.routes.add(route, datetime.now(UTC))
    typer.echo(_line(route))


@app.command()
def remove(name: Name) -> None:
    """Remove a route. Send jobs that it made go on; 'filmless jobs cancel' ends them."""
    with opened_archive() as archive:
        archive.index.routes.remove(name)
    typer.echo(f"{name} is no route any more")


def _split(text: str | None) -> tuple[str, ...]:
    """Split a list; an empty one is a variable that a script has not set, and would lead everything there."""
    if text is None:
        return ()
    if not (values := tuple(one for one in text.split(",") if one.strip())):
        raise typer.BadParameter("a condition has a value, or is left out: then all fulfil it")
    return values


def _line(route: KnownRoute) -> str:
    conditions = {
        "modality": route.modalities,
        "from": route.calling_ae_titles,
        "station": route.station_names,
        "body part": route.body_parts,
        "institution": route.institutions,
        "hours": (route.hours,) if route.hours else (),
    }
    told = [f"{name} {','.join(values)}" for name, values in conditions.items() if values] or ["everything"]
    told.append(f"when quiet for {route.quiet_s} s")
    told += [f"the newest {route.priors} of a patient when an examination is ordered"] if route.priors else []
    told += [f"priority {route.priority}"] if route.priority else []
    way = "from" if route.fetches else "to"
    return f"{route.name:16}  {way} {route.ae_title:16}  " + "; ".join(told)
