"""Peers: the modalities and workstations that this archive knows, on the command line."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pacs.cli.peer_values import read_address, read_certificate, read_list, read_rights, read_size
from pacs.cli.progress import told_size
from pacs.cli.running import opened_archive
from pacs.settings import load_settings

if TYPE_CHECKING:
    from pacs.index.known_peers import KnownPeer

# ruff: noqa: PLC0415 - as in pacs.cli.processes

app = typer.Typer(
    help="List and change the table of peers: the devices that may call this archive, what each may do, and "
    "where it is. A running archive heeds a change within five seconds.",
    no_args_is_help=True,
)

Title = Annotated[str, typer.Argument(metavar="AET", help="AE title of the device; case matters.")]
Address = Annotated[
    str | None,
    typer.Argument(metavar="[HOST:PORT]", help="Where it listens; leave it out if it only calls us."),
]
At = Annotated[str | None, typer.Option("--at", metavar="HOST:PORT", help="Where it listens; - for nowhere.")]
May = Annotated[
    str | None,
    typer.Option(metavar="LIST", help="What it may do: store,find,move,get,worklist,commit; all; none."),
]
OnlyFromHost = Annotated[
    bool | None,
    typer.Option("--only-from-host/--from-anywhere", help="Take its calls from its host's address only."),
]
CharacterSet = Annotated[
    str | None, typer.Option(metavar="TERM", help='Answer it in this, e.g. "ISO_IR 100"; - as it asks.')
]
Unaccented = Annotated[
    bool | None,
    typer.Option("--unaccented/--accented", help="Tell it names without diacritics; identifiers stay."),
]
Syntaxes = Annotated[
    str | None,
    typer.Option(metavar="UIDS", help="Transfer syntaxes that it likes to get, the best first; - for any."),
]

MovesTo = Annotated[
    str | None,
    typer.Option(metavar="AETS", help="It may move images to itself and to these peers only; - for any."),
]
Tls = Annotated[bool | None, typer.Option("--tls/--no-tls", help="Call it over TLS.")]
Certificate = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|SHA256",
        help="Its certificate: calls under its title are taken over TLS and with this one only; - for any.",
    ),
]
SendHours = Annotated[
    str | None,
    typer.Option(metavar="HH:MM-HH:MM", help="Send it studies at these hours only; - for at any time."),
]
SendLimit = Annotated[
    str | None,
    typer.Option(metavar="SIZE", help="Send it so much in a second at most, e.g. 500kB or 2MB; - for all."),
]
SendAtATime = Annotated[int | None, typer.Option(metavar="N", help="Send it so many studies at a time.")]
Web = Annotated[
    str | None,
    typer.Option(metavar="URL", help="Send to and fetch from its DICOMweb service there; - for by DICOM."),
]
AskCommitment = Annotated[
    bool | None,
    typer.Option("--ask-commitment/--no-commitment", help="Ask it whether what it was sent is safe there."),
]
NotifyAvailable = Annotated[
    bool | None,
    typer.Option("--notify-available/--no-notice", help="Tell it when a study is here, and when it grew."),
]
ForwardPerformed = Annotated[
    bool | None,
    typer.Option("--forward-performed/--no-performed", help="Pass on what modalities say they did (MPPS)."),
]
OwnWorklist = Annotated[
    bool | None,
    typer.Option("--own-worklist/--whole-worklist", help="Show it only the work of its own AE title."),
]


@app.command("list")
def list_peers() -> None:
    """List the devices, what each may do, and where it is."""
    with opened_archive() as archive:
        peers = archive.index.peers.list_all()
    for peer in peers:
        typer.echo(_line(peer))
    if not peers:
        typer.echo("there are no peers; 'filmless peers add' adds one")


@app.command()
def add(
    aet: Title,
    address: Address = None,
    may: May = "store",
    only_from_host: OnlyFromHost = False,
    charset: CharacterSet = None,
    unaccented: Unaccented = False,
    syntaxes: Syntaxes = None,
    tls: Tls = False,
    certificate: Certificate = None,
    send_hours: SendHours = None,
    send_limit: SendLimit = None,
    send_at_a_time: SendAtATime = None,
    web: Web = None,
    ask_commitment: AskCommitment = None,
    moves_to: MovesTo = None,
    notify_available: NotifyAvailable = None,
    forward_performed: ForwardPerformed = None,
    own_worklist: OwnWorklist = None,
) -> None:
    """Add a device. A modality: --may store. A workstation: --may find,move,get."""
    from pacs.index.known_peers import KnownPeer
    from pacs.peers import check_peer

    wishes = _changes(address, may, only_from_host, charset, unaccented, syntaxes, tls, certificate, moves_to)
    wishes |= _sending_changes(send_hours, send_limit, send_at_a_time, web, ask_commitment)
    wishes |= _given(
        wants_availability=notify_available,
        wants_performed_steps=forward_performed,
        own_worklist_only=own_worklist,
    )
    peer = check_peer(replace(KnownPeer(aet.strip()), **wishes))
    with opened_archive() as archive:
        archive.index.peers.add(peer)
    typer.echo(_line(peer))


@app.command()
def change(
    aet: Title,
    at: At = None,
    may: May = None,
    only_from_host: OnlyFromHost = None,
    charset: CharacterSet = None,
    unaccented: Unaccented = None,
    syntaxes: Syntaxes = None,
    tls: Tls = None,
    certificate: Certificate = None,
    send_hours: SendHours = None,
    send_limit: SendLimit = None,
    send_at_a_time: SendAtATime = None,
    web: Web = None,
    ask_commitment: AskCommitment = None,
    moves_to: MovesTo = None,
    notify_available: NotifyAvailable = None,
    forward_performed: ForwardPerformed = None,
    own_worklist: OwnWorklist = None,
) -> None:
    """Change what is known of a device; what is not named stays as it is."""
    from pacs.peers import check_peer

    wishes = _changes(at, may, only_from_host, charset, unaccented, syntaxes, tls, certificate, moves_to)
    wishes |= _sending_changes(send_hours, send_limit, send_at_a_time, web, ask_commitment)
    wishes |= _given(
        wants_availability=notify_available,
        wants_performed_steps=forward_performed,
        own_worklist_only=own_worklist,
    )
    with opened_archive() as archive:
        peer = check_peer(replace(archive.index.peers.find(aet.strip()), **wishes))
        archive.index.peers.put(peer)
    typer.echo(_line(peer))


@app.command()
def remove(aet: Title) -> None:
    """Forget a device."""
    with opened_archive() as archive:
        archive.index.peers.remove(aet.strip())
    typer.echo(f"{aet.strip()} is no peer any more")


@app.command("test")
def test_peer(aet: Title) -> None:
    """Ask a device whether it hears us (C-ECHO)."""
    from pacs.dimse.called_peers import peer_to_call
    from pacs.dimse.scu import verify_peer

    settings = load_settings()
    with opened_archive() as archive:
        peer = archive.index.peers.find(aet.strip())
    latency_s = verify_peer(peer_to_call(peer, settings), calling_ae_title=settings.ae_title)
    typer.echo(f"{peer.ae_title} at {_address(peer)} answered in {latency_s * 1000:.0f} ms")


def _changes(
    address: str | None,
    may: str | None,
    only_from_host: bool | None,
    charset: str | None,
    unaccented: bool | None,
    syntaxes: str | None,
    tls: bool | None,
    certificate: str | None,
    moves_to: str | None,
) -> dict[str, Any]:
    """Read what was typed; what was not is left out."""
    wishes: dict[str, Any] = {}
    if address is not None:
        wishes["host"], wishes["port"] = read_address(address)
    if may is not None:
        wishes["rights"] = read_rights(may)
    if charset is not None:
        wishes["character_set"] = None if charset == "-" else charset
    if syntaxes is not None:
        wishes["transfer_syntax_uids"] = () if syntaxes == "-" else tuple(read_list(syntaxes))
    if certificate is not None:
        wishes["certificate_sha256"] = None if certificate == "-" else read_certificate(certificate)
    if moves_to is not None:
        wishes["moves_to"] = () if moves_to == "-" else tuple(read_list(moves_to))
    return wishes | _given(only_from_host=only_from_host, unaccented=unaccented, tls=tls)


def _sending_changes(
    hours: str | None, limit: str | None, at_a_time: int | None, web: str | None, commitment: bool | None
) -> dict[str, Any]:
    wishes: dict[str, Any] = {}
    if hours is not None:
        wishes["send_hours"] = None if hours == "-" else hours
    if limit is not None:
        wishes["send_bytes_per_s"] = None if limit == "-" else read_size(limit)
    if at_a_time is not None:
        wishes["send_at_a_time"] = at_a_time
    if web is not None:
        wishes["dicomweb_url"] = None if web == "-" else web
    return wishes | _given(asks_commitment=commitment)


def _given(**wishes: bool | None) -> dict[str, Any]:
    return {name: wish for name, wish in wishes.items() if wish is not None}


def _address(peer: KnownPeer) -> str:
    if peer.host is None:
        return "-"
    host = f"[{peer.host}]" if ":" in peer.host else peer.host
    return host if peer.port is None else f"{host}:{peer.port}"


def _line(peer: KnownPeer) -> str:
    rights = ",".join(sorted(peer.rights)) or "none"
    more = ["only from its host"] if peer.only_from_host else []
    more += [peer.character_set] if peer.character_set else []
    more += ["unaccented"] if peer.unaccented else []
    more += ["over TLS"] if peer.tls else []
    more += [f"certificate {peer.certificate_sha256}"] if peer.certificate_sha256 else []
    more += peer.transfer_syntax_uids
    more += [f"moves to {','.join(peer.moves_to)}"] if peer.moves_to else []
    more += [peer.dicomweb_url] if peer.dicomweb_url else []
    more += ["asked for commitment"] if peer.asks_commitment else []
    more += ["told of studies"] if peer.wants_availability else []
    more += ["only its own work"] if peer.own_worklist_only else []
    more += ["gets performed steps"] if peer.wants_performed_steps else []
    more += [f"send {peer.send_hours}"] if peer.send_hours else []
    more += [f"send {told_size(peer.send_bytes_per_s)}/s"] if peer.send_bytes_per_s else []
    more += [f"send {peer.send_at_a_time} at a time"] if peer.send_at_a_time != 1 else []
    return f"{peer.ae_title:16}  {_address(peer):24}  {rights}" + "".join(f"  {one}" for one in more)
