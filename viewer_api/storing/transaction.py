"""One store transaction: the body is read once, and what it holds goes through the one door of ingest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from threading import Lock
from typing import Final

from pacs.archive import Archive
from pacs.errors import ArchiveError, InvalidRequest, ObjectTooLarge, UnreadableInstance
from pacs.ingest import IncomingInstance, Origin, open_part10, store_instance
from storage.errors import StoreError
from viewer_api.media_types import DICOM, DICOM_JSON, DICOM_XML, MediaType, parse_media_type
from viewer_api.multipart import MalformedMultipart, Part, read_parts
from viewer_api.store_report import Failure, StoreReport
from viewer_api.storing.json_reader import read_json
from viewer_api.storing.metadata_instances import assemble
from viewer_api.storing.received_dataset import SOP_CLASS_UID, SOP_INSTANCE_UID, ReceivedDataset
from viewer_api.storing.spooled_parts import SpooledPart, SpooledParts
from viewer_api.storing.xml_reader import read_xml

PAYLOADS: Final = (DICOM, DICOM_JSON, DICOM_XML)
MAX_METADATA_SIZE_BYTES: Final = 16 * 1024**2  # of a request

_ORIGIN: Final = Origin("stow")
_UNENCODED: Final = ("", "binary", "8bit", "7bit", "identity")
# What is read of metadata takes many times its size: one request at a time, however many there are.
_reading_metadata = Lock()


@dataclass(frozen=True, slots=True)
class Payload:
    """What a body is: its media type, or that of its root parts; no boundary where it is a single part."""

    media_type: str
    content_type: MediaType
    boundary: str | None


def store_payload(
    archive: Archive, payload: Payload, chunks: Iterator[bytes], study_instance_uid: str | None
) -> StoreReport:
    """Store what a body holds; a refused instance does not keep the others out.

    Raises
    ------
    InvalidRequest
        The body cannot be read, and nothing of it was stored.
    """
    if payload.boundary is None:
        parts = iter((Part({"content-type": payload.media_type}, chunks),))
    else:
        parts = read_parts(chunks, payload.boundary)
    report = StoreReport()
    if payload.media_type == DICOM:
        _store_files(archive, parts, study_instance_uid, report)
    else:
        _store_metadata(archive, payload.media_type, parts, study_instance_uid, report)
    if not report.stored and not report.failures:
        raise InvalidRequest("the body has no instances")
    return report


def _store_files(
    archive: Archive, parts: Iterator[Part], study_instance_uid: str | None, report: StoreReport
) -> None:
    """Store part after part while they arrive."""
    try:
        for part in parts:
            _store_file(archive, part, study_instance_uid, report)
            if report.too_large:
                break  # there may be no end to it
    except MalformedMultipart as error:
        if not report.stored:
            raise  # 400: nothing is kept of what cannot be read
        report.failures.append(Failure(error))


def _store_file(archive: Archive, part: Part, study_instance_uid: str | None, report: StoreReport) -> None:
    incoming: IncomingInstance | None = None
    try:
        _require_unencoded(part)
        media_type = parse_media_type(part.headers.get("content-type", DICOM))
        if media_type is None or media_type.name != DICOM:
            raise UnreadableInstance(f"a part is not {DICOM}")
        incoming = replace(open_part10(part.chunks), study_instance_uid=study_instance_uid)
        report.stored.append(store_instance(archive, incoming, _ORIGIN))
    except MalformedMultipart:
        raise
    except (ArchiveError, StoreError) as error:
        uids = (incoming.sop_class_uid, incoming.sop_instance_uid) if incoming else ()
        report.failures.append(Failure(error, *uids))


def _store_metadata(
    archive: Archive,
    media_type: str,
    parts: Iterator[Part],
    study_instance_uid: str | None,
    report: StoreReport,
) -> None:
    """Keep all parts on disk, then put the instances together: bulk data may come in any order."""
    settings = archive.settings
    with SpooledParts(settings.data_dir, settings.max_object_size_bytes) as spooled:
        documents = _spool(parts, media_type, spooled)
        with _reading_metadata:
            for document in documents:
                for dataset in _read_document(media_type, b"".join(spooled.read(document))):
                    _store_dataset(archive, dataset, spooled, study_instance_uid, report)


def _spool(parts: Iterator[Part], media_type: str, spooled: SpooledParts) -> list[SpooledPart]:
    """Take all parts; return those of metadata."""
    documents = []
    left = MAX_METADATA_SIZE_BYTES
    for part in parts:
        _require_unencoded(part)
        taken = spooled.add(part)
        if taken.media_type.name == media_type:
            documents.append(taken)
            left -= taken.size_bytes
        if left < 0:
            raise ObjectTooLarge(f"the metadata is larger than {MAX_METADATA_SIZE_BYTES} bytes")
    return documents


def _read_document(media_type: str, document: bytes) -> Iterator[ReceivedDataset | ArchiveError]:
    if media_type == DICOM_JSON:
        yield from read_json(document)
        return
    try:
        dataset: ReceivedDataset | ArchiveError = read_xml(document)
    except UnreadableInstance as error:
        dataset = error
    yield dataset


def _store_dataset(
    archive: Archive,
    dataset: ReceivedDataset | ArchiveError,
    spooled: SpooledParts,
    study_instance_uid: str | None,
    report: StoreReport,
) -> None:
    if isinstance(dataset, ArchiveError):
        report.failures.append(Failure(dataset))
        return
    try:
        incoming = assemble(dataset, spooled, study_instance_uid)
        report.stored.append(store_instance(archive, incoming, _ORIGIN))
    except (ArchiveError, StoreError) as error:
        uids = (dataset.text(SOP_CLASS_UID) or None, dataset.text(SOP_INSTANCE_UID) or None)
        report.failures.append(Failure(error, *uids))


def _require_unencoded(part: Part) -> None:
    encodings = (part.headers.get(name, "") for name in ("content-transfer-encoding", "content-encoding"))
    if any(encoding.lower() not in _UNENCODED for encoding in encodings):
        raise UnreadableInstance("a part is encoded")
