"""One store transaction: the body is read once, and what it holds goes through the one door of ingest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, nullcontext
from dataclasses import dataclass
from threading import Lock
from typing import Final

from pacs.archive import Archive
from pacs.errors import ArchiveError, InvalidRequest, ObjectTooLarge, UnreadableInstance
from pacs.ingest import store_instance
from storage.errors import StoreError
from viewer_api.media_types import DICOM, DICOM_JSON, DICOM_XML, MediaType
from viewer_api.multipart import MalformedMultipart, Part, read_parts
from viewer_api.store_report import Failure, StoreReport
from viewer_api.storing.file_parts import STOW, require_unencoded, store_file_parts
from viewer_api.storing.json_reader import read_json
from viewer_api.storing.metadata_instances import assemble
from viewer_api.storing.received_dataset import SOP_CLASS_UID, SOP_INSTANCE_UID, ReceivedDataset
from viewer_api.storing.spooled_parts import SpooledPart, SpooledParts
from viewer_api.storing.xml_reader import read_xml

PAYLOADS: Final = (DICOM, DICOM_JSON, DICOM_XML)
MAX_METADATA_SIZE_BYTES: Final = 16 * 1024**2  # of a request

# What is read of metadata takes many times its size, until its data sets are stored: large documents take
# turns, however many requests there are. Small ones take little all together, and wait for nobody.
_reading_metadata = Lock()
_SMALL_METADATA_SIZE_BYTES: Final = 256 * 1024


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
    with closing(store_file_parts(archive, parts, study_instance_uid)) as results:
        try:
            for result in results:
                report.add(result)
                if report.too_large:
                    break  # there may be no end to it
        except MalformedMultipart as error:
            if not report.stored:
                raise  # 400: nothing is kept of what cannot be read
            report.add(Failure(error))


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
        for document in documents:
            with _reading_metadata if document.size_bytes > _SMALL_METADATA_SIZE_BYTES else nullcontext():
                for dataset in _read_document(media_type, spooled.read_document(document)):
                    _store_dataset(archive, dataset, spooled, study_instance_uid, report)


def _spool(parts: Iterator[Part], media_type: str, spooled: SpooledParts) -> list[SpooledPart]:
    """Take all parts; return those of metadata."""
    documents = []
    left = MAX_METADATA_SIZE_BYTES
    for part in parts:
        require_unencoded(part)
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
        report.add(Failure(dataset))
        return
    try:
        incoming = assemble(dataset, spooled, study_instance_uid)
        report.add(store_instance(archive, incoming, STOW))
    except (ArchiveError, StoreError) as error:
        uids = (dataset.text(SOP_CLASS_UID) or None, dataset.text(SOP_INSTANCE_UID) or None)
        report.add(Failure(error, *uids))
