"""Retrieving bulk data: single values that metadata names by their URI (PS3.18 10.4.1.1.5)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from http import HTTPStatus
from typing import Final

import numpy as np
from fastapi import APIRouter, Response
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as ItemSequence
from pydicom.tag import Tag
from starlette.responses import StreamingResponse

from pacs.archive import Archive
from pacs.dicom.dataset_json import BINARY_VRS
from pacs.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, TRANSFER_SYNTAXES
from pacs.errors import InvalidRequest, NotFound
from pacs.index.records import StoredInstance
from pacs.metadata.instance import PIXEL_DATA_TAGS
from pacs.retrieve import find_instances, open_instance, read_attributes
from viewer_api import multipart
from viewer_api.caching import IMMUTABLE, cache_headers, make_etag
from viewer_api.media_types import MULTIPART_RELATED, OCTET_STREAM
from viewer_api.negotiation import Acceptable, AcceptableTypes, Representation
from viewer_api.openapi import problems, success
from viewer_api.problems import HttpProblem
from viewer_api.state import INSTANCE_PATH, InstanceUid, SeriesUid, State, StudyUid
from viewer_api.streaming import gathered, primed

_CHUNK_SIZE_BYTES: Final = 1 << 20
_PATH: Final = re.compile(r"[0-9A-F]{8}(/[1-9][0-9]{0,5}/[0-9A-F]{8}){0,16}", re.IGNORECASE | re.ASCII)
_ENCAPSULATED_DOCUMENT: Final = 0x00420011
_WORD_SIZES: Final = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}

# An encapsulated document keeps its media type only where it is one of these and begins as one does: what a
# sender calls a PDF may be a page with a script.
_MAGIC: Final = {"application/pdf": b"%PDF-"}

# Opened by itself, nothing of it runs or loads.
_DOWNLOAD_HEADERS: Final = {
    "Content-Disposition": "attachment",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}

router = APIRouter(tags=["Retrieve (WADO-RS)"], default_response_class=Response)


@router.get(
    INSTANCE_PATH + "/bulkdata/{bulkdata_path:path}",
    responses=success("The value", MULTIPART_RELATED, OCTET_STREAM)
    | problems(
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.NOT_ACCEPTABLE,
        HTTPStatus.NOT_IMPLEMENTED,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)
def retrieve_bulkdata(
    state: State,
    acceptable: AcceptableTypes,
    study_instance_uid: StudyUid,
    series_instance_uid: SeriesUid,
    sop_instance_uid: InstanceUid,
    bulkdata_path: str,
) -> Response:
    """Retrieve a binary value by its BulkDataURI: its tag, within sequences `tag/item/tag`.

    Pixel data comes whole where it is stored native; compressed pixel data comes by frames only.
    """
    if not _PATH.fullmatch(bulkdata_path):
        raise InvalidRequest("bulk data is named by its tag, within sequences by tag/item/tag")
    (instance,) = find_instances(state.archive, study_instance_uid, series_instance_uid, sop_instance_uid)
    if bulkdata_path.upper() in PIXEL_DATA_TAGS.values():
        answer = _answer_pixel_data(state.archive, acceptable, instance)
    else:
        answer = _answer_value(state.archive, acceptable, instance, bulkdata_path)
    etag = make_etag(instance.location.sha256, bulkdata_path.upper(), answer.headers["Content-Type"])
    answer.headers.update(cache_headers(etag, IMMUTABLE) | _DOWNLOAD_HEADERS)
    return answer


def _answer_value(archive: Archive, acceptable: Acceptable, instance: StoredInstance, path: str) -> Response:
    big_endian = TRANSFER_SYNTAXES[instance.transfer_syntax_uid].big_endian
    value, media_type = _find_value(read_attributes(archive, instance), path, big_endian)
    types = dict.fromkeys((media_type, OCTET_STREAM))
    offered = [Representation(one, multipart=is_part) for one in types for is_part in (True, False)]
    chosen = acceptable.choose(offered)
    if not chosen.multipart:
        return Response(value, media_type=chosen.media_type)
    boundary = instance.location.sha256[:32]
    head = multipart.part_head(boundary, chosen.media_type)
    return Response(
        b"".join((head, value, b"\r\n", multipart.closing(boundary))),
        media_type=multipart.content_type(boundary, chosen.media_type),
    )


def _answer_pixel_data(archive: Archive, acceptable: Acceptable, instance: StoredInstance) -> Response:
    location, syntax = instance.location, TRANSFER_SYNTAXES[instance.transfer_syntax_uid]
    size_bytes = location.pixel_data_size_bytes
    if syntax.encapsulated or syntax.deflated or syntax.big_endian:
        raise HttpProblem(HTTPStatus.NOT_IMPLEMENTED, "this pixel data can be retrieved by frames only")
    if location.pixel_data_offset is None or size_bytes is None:
        raise NotFound("the instance has no pixel data")
    native = Representation(OCTET_STREAM, EXPLICIT_VR_LITTLE_ENDIAN, multipart=True)
    chosen = acceptable.choose([native, Representation(OCTET_STREAM, EXPLICIT_VR_LITTLE_ENDIAN)])
    chunks = _read_extent(archive, instance, location.pixel_data_offset, size_bytes)
    if not chosen.multipart:
        return StreamingResponse(primed(chunks), media_type=str(chosen))
    boundary = location.sha256[:32]
    media_type = multipart.content_type(boundary, chosen.media_type, chosen.transfer_syntax_uid)
    return StreamingResponse(primed(gathered(_as_only_part(chunks, chosen, boundary))), media_type=media_type)


def _as_only_part(chunks: Iterator[bytes], chosen: Representation, boundary: str) -> Iterator[bytes]:
    yield multipart.part_head(boundary, chosen.media_type, chosen.transfer_syntax_uid)
    yield from chunks
    yield b"\r\n" + multipart.closing(boundary)


def _read_extent(archive: Archive, instance: StoredInstance, offset: int, size_bytes: int) -> Iterator[bytes]:
    with open_instance(archive, instance) as stream:
        stream.seek(offset)
        while size_bytes > 0 and (chunk := stream.read(min(size_bytes, _CHUNK_SIZE_BYTES))):
            size_bytes -= len(chunk)
            yield chunk


def _find_value(dataset: Dataset, path: str, big_endian: bool) -> tuple[bytes, str]:
    """Return a binary value, little endian, and its media type.

    Raises
    ------
    NotFound
        There is no such element, or it is not binary.
    """
    *steps, last = path.split("/")
    for holder, number in zip(steps[::2], steps[1::2], strict=True):
        dataset = _find_item(dataset, int(holder, 16), int(number))
    element = _get(dataset, int(last, 16))
    if element is None or element.VR not in BINARY_VRS or not isinstance(element.value, bytes):
        raise NotFound("there is no such bulk data")
    value, word_size = element.value, _WORD_SIZES.get(element.VR, 1)
    if big_endian and len(value) % word_size == 0:
        value = np.frombuffer(value, f"u{word_size}").byteswap().tobytes()
    return value, _media_type(dataset, element.tag, value)


def _get(dataset: Dataset, tag: int) -> DataElement | None:
    try:
        found: DataElement | None = dataset.get(Tag(tag))
    except Exception:  # pydicom converts when asked, and fails in its own ways
        return None
    return found


def _find_item(dataset: Dataset, tag: int, number: int) -> Dataset:
    element = _get(dataset, tag)
    items = None if element is None else element.value
    if not isinstance(items, ItemSequence) or number > len(items):
        raise NotFound("there is no such bulk data")
    item: Dataset = items[number - 1]
    return item


def _media_type(dataset: Dataset, tag: int, value: bytes) -> str:
    if tag != _ENCAPSULATED_DOCUMENT:
        return OCTET_STREAM
    claimed = str(dataset.get("MIMETypeOfEncapsulatedDocument", "")).strip().lower()
    magic = _MAGIC.get(claimed)
    return claimed if magic is not None and value.startswith(magic) else OCTET_STREAM
