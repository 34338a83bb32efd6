"""The table of peers: the devices that may call this archive by DICOM, what each may do, and where it is."""

from __future__ import annotations

from dataclasses import asdict
from http import HTTPStatus
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Path, Response
from pydantic import BaseModel, ConfigDict, Field

from pacs.errors import PeerChangesNotAllowed
from pacs.index.known_peers import KnownPeer, PeerRight
from pacs.peers import LEAST_BYTES_PER_S, MOST_AT_A_TIME, check_peer
from viewer_api.media_types import JSON
from viewer_api.openapi import problems, success
from viewer_api.state import State, ViewerState

_MAX_TEXT: Final = 255
_PATH: Final = "/peers/{ae_title:path}"  # a title may have slashes

router = APIRouter(
    tags=["Peers"],
    default_response_class=Response,
    responses=problems(HTTPStatus.BAD_REQUEST, HTTPStatus.SERVICE_UNAVAILABLE),
)
AeTitle = Annotated[str, Path(description="AE title (PS3.5 6.2); case matters", pattern="^[ -~]{1,16}$")]


class PeerBody(BaseModel):
    """A device, as it is put into the table."""

    model_config = ConfigDict(extra="forbid")

    host: str | None = Field(default=None, max_length=_MAX_TEXT, description="Where it listens")
    port: int | None = Field(default=None, ge=1, le=65535)
    rights: frozenset[PeerRight] = Field(default=frozenset({PeerRight.STORE}), max_length=len(PeerRight))
    only_from_host: bool = Field(default=False, description="Its calls are taken from its host only")
    character_set: str | None = Field(
        default=None, max_length=_MAX_TEXT, description="It is answered in this; null: as it asks"
    )
    unaccented: bool = Field(default=False, description="Names are told to it without diacritics")
    transfer_syntax_uids: tuple[str, ...] = Field(
        default=(), max_length=32, description="What it likes to get, the best first"
    )
    tls: bool = Field(default=False, description="It is called over TLS")
    certificate_sha256: str | None = Field(
        default=None, max_length=64, description="What it has to show, in hexadecimal; null: any"
    )
    send_hours: str | None = Field(
        default=None, max_length=_MAX_TEXT, description="Like 22:00-05:00: studies are sent to it then only"
    )
    send_bytes_per_s: int | None = Field(default=None, ge=LEAST_BYTES_PER_S, lt=2**62)
    send_at_a_time: int = Field(default=1, ge=1, le=MOST_AT_A_TIME, description="Studies")
    dicomweb_url: str | None = Field(
        default=None,
        max_length=512,
        description="Studies go there by STOW-RS, and come from there by WADO-RS",
    )
    asks_commitment: bool = Field(default=False, description="Whether what it was sent is safe there")
    moves_to: tuple[str, ...] = Field(
        default=(),
        max_length=64,
        description="AE titles that it may move images to besides itself; none: any",
    )
    wants_availability: bool = Field(default=False, description="It is told when a study is here")
    wants_performed_steps: bool = Field(default=False, description="What modalities say goes on to it (MPPS)")
    own_worklist_only: bool = Field(
        default=False, description="Of the worklist it sees what is for its title, or for no station"
    )


@router.get("/peers", responses=success("The devices, by their AE titles", JSON))
def list_peers(state: State) -> Response:
    """List the devices that may call, and be called."""
    peers = [_to_json(peer) for peer in state.archive.index.peers.list_all()]
    return Response(orjson.dumps({"peers": peers}), media_type=JSON)


@router.get(_PATH, responses=success("The device", JSON) | problems(HTTPStatus.NOT_FOUND))
def get_peer(state: State, ae_title: AeTitle) -> Response:
    """Tell what is known of a device."""
    return Response(orjson.dumps(_to_json(state.archive.index.peers.find(ae_title))), media_type=JSON)


@router.put(
    _PATH,
    responses={
        **success("The device was changed", JSON),
        HTTPStatus.CREATED.value: {"description": "The device was added", "content": {JSON: {}}},
        **problems(HTTPStatus.FORBIDDEN),
    },
)
def put_peer(state: State, ae_title: AeTitle, body: PeerBody) -> Response:
    """Add a device, or put what is sent in place of what was known of it.

    Needs the setting ALLOW_PEER_CHANGES. The DICOM door heeds it within five seconds.
    """
    _require_changes_allowed(state)
    peer = check_peer(KnownPeer(ae_title, **body.model_dump()))
    is_new = state.archive.index.peers.put(peer)
    status = HTTPStatus.CREATED if is_new else HTTPStatus.OK
    return Response(orjson.dumps(_to_json(peer)), status, media_type=JSON)


@router.delete(
    _PATH,
    status_code=HTTPStatus.NO_CONTENT,
    responses=problems(HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND),
)
def delete_peer(state: State, ae_title: AeTitle) -> Response:
    """Forget a device. Needs the setting ALLOW_PEER_CHANGES."""
    _require_changes_allowed(state)
    state.archive.index.peers.remove(ae_title)
    return Response(status_code=HTTPStatus.NO_CONTENT)


def _require_changes_allowed(state: ViewerState) -> None:
    if not state.archive.settings.allow_peer_changes:
        raise PeerChangesNotAllowed(
            "peers are changed by 'filmless peers' only; ALLOW_PEER_CHANGES of the settings is off"
        )


def _to_json(peer: KnownPeer) -> dict[str, Any]:
    return asdict(peer) | {"rights": sorted(peer.rights)}
