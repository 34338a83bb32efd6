"""Retrieving whole instances: WADO-RS (PS3.18 10.4)."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Final

from fastapi import APIRouter, Request, Response
from starlette.responses import StreamingResponse

from pacs.archive import Archive
from pacs.index.records import StoredInstance
from pacs.retrieve import find_instances, read_chunks
from viewer_api import multipart
from viewer_api.caching import IMMUTABLE, cache_headers, make_etag, not_modified
from viewer_api.media_types import DICOM, MULTIPART_RELATED
from viewer_api.negotiation import Acceptable, AcceptableTypes, Representation
from viewer_api.openapi import problems, success
from viewer_api.state import (
    INSTANCE_PATH,
    SERIES_PATH,
    STUDY_PATH,
    InstanceUid,
    SeriesUid,
    State,
    StudyUid,
    ViewerState,
)
from viewer_api.streaming import gathered, primed

_PROBLEMS: Final = problems(
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.NOT_FOUND,
    HTTPStatus.NOT_ACCEPTABLE,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
_INSTANCES: Final = success("The instances, as they are stored", MULTIPART_RELATED)

router = APIRouter(tags=["Retrieve (WADO-RS)"], default_response_class=Response, responses=_PROBLEMS)


@router.get(STUDY_PATH, responses=_INSTANCES)
def retrieve_study(state: State, acceptable: AcceptableTypes, study_instance_uid: StudyUid) -> Response:
    """Retrieve all instances of a study, byte for byte as they are stored.

    Without a `transfer-syntax` parameter the transfer syntax is the stored one too, which most clients expect
    and none loses by; PS3.18 8.7.3 would have Explicit VR Little Endian. Any other that is asked for is 406.
    """
    return _answer_instances(state, acceptable, find_instances(state.archive, study_instance_uid))


@router.get(SERIES_PATH, responses=_INSTANCES)
def retrieve_series(
    state: State, acceptable: AcceptableTypes, study_instance_uid: StudyUid, series_instance_uid: SeriesUid
) -> Response:
    """Retrieve all instances of a series, byte for byte as they are stored."""
    instances = find_instances(state.archive, study_instance_uid, series_instance_uid)
    return _answer_instances(state, acceptable, instances)


@router.get(
    INSTANCE_PATH,
    responses=success("The instance, as it is stored", MULTIPART_RELATED, DICOM)
    | problems(HTTPStatus.NOT_MODIFIED),
)
def retrieve_instance(
    request: Request,
    state: State,
    acceptable: AcceptableTypes,
    study_instance_uid: StudyUid,
    series_instance_uid: SeriesUid,
    sop_instance_uid: InstanceUid,
) -> Response:
    """Retrieve an instance, byte for byte as it is stored.

    It comes as the only part of `multipart/related`, or, where the client prefers `application/dicom`, alone.
    """
    (instance,) = find_instances(state.archive, study_instance_uid, series_instance_uid, sop_instance_uid)
    parts = Representation(DICOM, instance.transfer_syntax_uid, multipart=True)
    chosen = acceptable.choose([parts, Representation(DICOM, instance.transfer_syntax_uid)])
    etag = make_etag(instance.location.sha256, chosen)
    if (answer := not_modified(request, etag, IMMUTABLE)) is not None:
        return answer
    if chosen.multipart:
        answer = _stream_parts(state.archive, [instance], chosen, boundary=etag.strip('"'))
    else:
        answer = StreamingResponse(
            primed(read_chunks(state.archive, instance)),
            headers={
                "Content-Length": str(instance.location.size_bytes),
                "Content-Disposition": f'attachment; filename="{instance.sop_instance_uid}.dcm"',
            },
            media_type=str(chosen),
        )
    answer.headers.update(cache_headers(etag, IMMUTABLE))
    return answer


def _answer_instances(
    state: ViewerState, acceptable: Acceptable, instances: Sequence[StoredInstance]
) -> Response:
    syntaxes = {instance.transfer_syntax_uid for instance in instances}
    common = syntaxes.pop() if len(syntaxes) == 1 else None
    chosen = acceptable.choose([Representation(DICOM, common, multipart=True)])
    return _stream_parts(state.archive, instances, chosen, boundary=secrets.token_hex(16))


def _stream_parts(
    archive: Archive, instances: Sequence[StoredInstance], chosen: Representation, boundary: str
) -> Response:
    """Answer with instances as parts; the length is told, so that a client sees an answer that was cut."""
    size_bytes = len(multipart.closing(boundary)) + sum(
        len(_part_head(instance, boundary)) + instance.location.size_bytes + len(b"\r\n")
        for instance in instances
    )
    return StreamingResponse(
        primed(gathered(_parts(archive, instances, boundary))),
        headers={"Content-Length": str(size_bytes)},
        media_type=multipart.content_type(boundary, chosen.media_type, chosen.transfer_syntax_uid),
    )


def _parts(archive: Archive, instances: Sequence[StoredInstance], boundary: str) -> Iterator[bytes]:
    for instance in instances:
        yield _part_head(instance, boundary)
        yield from read_chunks(archive, instance)
        yield b"\r\n"
    yield multipart.closing(boundary)


def _part_head(instance: StoredInstance, boundary: str) -> bytes:
    return multipart.part_head(boundary, DICOM, instance.transfer_syntax_uid)
