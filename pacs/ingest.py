"""The only way in: C-STORE, STOW-RS and import all join at :func:`store_instance`."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

from pacs.archive import Archive
from pacs.codes.tagging import DatasetCode
from pacs.conflict_policy import ConflictPolicy
from pacs.dicom.instance import InstanceAttributes, read_instance
from pacs.dicom.object_keys import ObjectName
from pacs.dicom.part10 import encode_file_meta, split_part10
from pacs.dicom.sop_classes import is_storage_sop_class
from pacs.dicom.transfer_syntaxes import TRANSFER_SYNTAXES, TransferSyntax
from pacs.dicom.uids import parse_uid
from pacs.errors import (
    DeletedInstance,
    DuplicateInstance,
    ObjectTooLarge,
    SopClassMismatch,
    UnreadableInstance,
    UnsupportedSopClass,
    UnsupportedTransferSyntax,
)
from pacs.index.records import (
    InstanceRecord,
    ObjectLocation,
    ProcedureCode,
    RequestAttributes,
    WriteOutcome,
)
from pacs.index.tombstones import Removal
from pacs.ledger.entries import Door
from pacs.second_copies import settle_second_copy
from storage.errors import ObjectExists, ObjectNotFound, StoreUnavailable
from storage.packed_keys import own_key
from storage.store import Buffer, ObjectStat, StagedObject

_log = logging.getLogger(__name__)

_COPY_SIZE_BYTES = 1 << 20


class Disposition(Enum):
    """What became of an instance that was accepted."""

    STORED = "stored"
    ALREADY_STORED = "already stored"  # the same bytes again: nothing changed
    CONFLICT = "conflict"  # other bytes under a known SOP Instance UID: kept beside the first
    REPLACED = "replaced"  # the same, and by the settings they are what readers get now
    PATIENT_DIFFERS = "patient differs"  # from that of its study: stored, and recorded as a conflict


_DISPOSITIONS = {
    WriteOutcome.ADDED: Disposition.STORED,
    WriteOutcome.ALREADY_THERE: Disposition.ALREADY_STORED,
    WriteOutcome.CONFLICT: Disposition.CONFLICT,
    WriteOutcome.KNOWN_CONFLICT: Disposition.CONFLICT,
    WriteOutcome.REPLACED: Disposition.REPLACED,
    WriteOutcome.PATIENT_DIFFERS: Disposition.PATIENT_DIFFERS,
}
_NEW = (WriteOutcome.ADDED, WriteOutcome.PATIENT_DIFFERS)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an instance came from."""

    door: Door | None  # None: it is only read, and gets no receipt
    calling_ae_title: str | None = None


@dataclass(frozen=True, slots=True)
class IncomingInstance:
    """An instance on its way in.

    ``chunks`` are the bytes of the encoded data set, without preamble and file meta information, exactly as
    they arrive; a chunk may be a view of a buffer that the sender's side uses again. The two UIDs are what
    the carrying message claims (C-STORE command, File Meta Information); they are checked against the data,
    as is the study where the request is for one (PS3.18 10.5.1.1).
    """

    transfer_syntax_uid: str
    sop_class_uid: str
    sop_instance_uid: str
    chunks: Iterable[Buffer]
    study_instance_uid: str | None = None


@dataclass(frozen=True, slots=True)
class StoreOutcome:
    """An instance that is durable and indexed."""

    disposition: Disposition
    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str


def open_part10(chunks: Iterable[Buffer]) -> IncomingInstance:
    """Take a DICOM file, piece by piece, as an instance on its way in.

    Raises
    ------
    pacs.errors.UnreadableInstance
        It has no usable File Meta Information.
    """
    meta, dataset = split_part10(chunks)
    if not meta.sop_class_uid or not meta.sop_instance_uid:
        raise UnreadableInstance("the File Meta Information names no SOP Class UID or no SOP Instance UID")
    return IncomingInstance(meta.transfer_syntax_uid, meta.sop_class_uid, meta.sop_instance_uid, dataset)


def store_instance(archive: Archive, incoming: IncomingInstance, origin: Origin) -> StoreOutcome:
    """Keep an instance: object durable first, index committed second, and only then return.

    Raises
    ------
    pacs.errors.UnreadableInstance
        The data set cannot be understood; nothing was kept. (InvalidUid where a UID is the reason.)
    pacs.errors.SopClassMismatch
        The data set names another SOP Class, Instance or study than the message.
    pacs.errors.UnsupportedSopClass, pacs.errors.UnsupportedTransferSyntax, pacs.errors.ObjectTooLarge
        Not accepted here.
    pacs.errors.DuplicateInstance
        Another content has its SOP Instance UID, and ON_CONFLICT is ``refuse``. Readers see nothing of it;
        the object is kept, so that an administrator may still take it.
    pacs.errors.DeletedInstance
        It was deleted here, and ACCEPT_DELETED_AGAIN is off.
    pacs.errors.IndexUnavailable, storage.errors.StoreFull, storage.errors.StoreUnavailable
        Not acknowledged, and not visible; the same request may succeed later. (An object that became durable
        before the index failed is found by the sweep.)
    """
    syntax = known_syntax(incoming.transfer_syntax_uid)
    claimed = parse_uid(incoming.sop_class_uid), parse_uid(incoming.sop_instance_uid)
    if not is_storage_sop_class(claimed[0], accept_unknown=archive.settings.accept_unknown_sop_classes):
        raise UnsupportedSopClass("the SOP Class is not one that is stored here")
    if not archive.settings.accept_deleted_again and archive.index.is_deleted(claimed[1]):
        raise DeletedInstance("the instance was deleted here")
    with archive.store.stage(packed=True) as staged:
        staged.write(encode_file_meta(*claimed, syntax.uid))
        dataset_offset = staged.size_bytes
        _receive(incoming.chunks, staged, archive.settings.max_object_size_bytes)
        attributes = read_staged(archive, staged, dataset_offset, syntax)
        _require_same(claimed, attributes)
        if incoming.study_instance_uid not in (None, attributes.study_instance_uid):
            raise SopClassMismatch("the data set is of another study than the request")
        sha256 = staged.sha256()
        kept = _commit(archive, staged, object_name(attributes, sha256).key(), sha256)
    location = locate(kept.key, kept.size_bytes, sha256, dataset_offset, attributes)
    record = make_record(archive, attributes, syntax, location, origin, arrives=True)
    outcome = archive.index.write(record, make_durable=staged.flush)
    if outcome is not WriteOutcome.ALREADY_THERE:
        _require_not_removed(archive, record, outcome)
    if outcome not in _NEW:
        settle_second_copy(archive, attributes.sop_instance_uid, sha256, location.key)
    return _outcome(record, outcome)


def _require_not_removed(archive: Archive, record: InstanceRecord, outcome: WriteOutcome) -> None:
    """Acknowledge nothing that was deleted, was in the store yet, and is removed while it comes again.

    Such an object has the key that it had, so what is being removed is all that there is. What lies in a pack
    has a key of its own each time that it comes.
    """
    key = record.location.key
    removal = Removal.NOT_BEGUN if own_key(key) != key else archive.index.find_removal(key)
    if removal is Removal.NOT_BEGUN or (removal is Removal.DONE and _is_there(archive, key)):
        return
    if outcome in _NEW:
        uids = [str(record.study["study_instance_uid"]), str(record.series["series_instance_uid"])]
        uids.append(str(record.instance["sop_instance_uid"]))
        archive.index.delete_instances(uids, datetime.now(UTC), _read_nothing, limit=1)
    raise StoreUnavailable("the object was removed while it came again; try again")


def _is_there(archive: Archive, key: str) -> bool:
    try:
        archive.store.stat(key)
    except ObjectNotFound:
        return False
    return True


def _read_nothing(key: str) -> InstanceRecord:
    raise UnreadableInstance(f"{key}: what it says is known")


def _commit(archive: Archive, staged: StagedObject, key: str, sha256: str) -> ObjectStat:
    """Commit an object, yet to be flushed; one that a failing disk damaged makes room for it."""
    try:
        return staged.commit(key, flush=False)
    except ObjectExists:  # other bytes, and yet the key has their digest
        _set_aside_damaged(archive, key, sha256)
        return staged.commit(key, flush=False)


def _set_aside_damaged(archive: Archive, key: str, sha256: str) -> None:
    """Keep the bytes of a damaged object under another key, then free its own."""
    with archive.store.stage() as copy:
        copy_object(archive, key, copy)
        if copy.sha256() == sha256:
            return  # another sender has just mended it
        copy.commit(f"damaged/{copy.sha256()}/{key}")
    archive.store.delete(key)
    _log.error("an object was damaged in the store, was set aside and is replaced as it was sent: %s", key)


def copy_object(archive: Archive, key: str, copy: StagedObject) -> None:
    """Read an object whole, from the store to where it can be looked at."""
    with archive.store.open(key) as stored:
        while piece := stored.read(_COPY_SIZE_BYTES):
            copy.write(piece)


def known_syntax(transfer_syntax_uid: str) -> TransferSyntax:
    """Find a transfer syntax of the Standard. Raises UnsupportedTransferSyntax."""
    syntax = TRANSFER_SYNTAXES.get(transfer_syntax_uid)
    if syntax is None:
        raise UnsupportedTransferSyntax("the transfer syntax is not one of the Standard")
    return syntax


def object_name(attributes: InstanceAttributes, sha256: str) -> ObjectName:
    """Name the object that has these attributes and this digest."""
    return ObjectName(
        attributes.study_instance_uid, attributes.series_instance_uid, attributes.sop_instance_uid, sha256
    )


def _receive(chunks: Iterable[Buffer], staged: StagedObject, max_size_bytes: int) -> None:
    for chunk in chunks:
        staged.write(chunk)
        if staged.size_bytes > max_size_bytes:
            raise ObjectTooLarge(f"the object is larger than {max_size_bytes} bytes")


def read_staged(
    archive: Archive, staged: StagedObject, dataset_offset: int, syntax: TransferSyntax
) -> InstanceAttributes:
    """Read the attributes of a staged object. Raises UnreadableInstance."""
    with staged.view() as view, view[dataset_offset:] as dataset:
        return read_instance(dataset, syntax, archive.settings.undeclared_character_set)


def _require_same(claimed: tuple[str, str], attributes: InstanceAttributes) -> None:
    """Refuse a data set that is not what its message claims (PS3.4 B.2.3, status A900)."""
    found = (attributes.sop_class_uid, attributes.sop_instance_uid)
    for name, one, other in zip(("SOP Class", "SOP Instance"), claimed, found, strict=True):
        if one != other:
            raise SopClassMismatch(f"the data set has another {name} UID than the message")


def locate(
    key: str, size_bytes: int, sha256: str, dataset_offset: int, attributes: InstanceAttributes
) -> ObjectLocation:
    """Say where an object and its pixel data lie."""
    pixel_data = attributes.pixel_data
    return ObjectLocation(
        key=key,
        size_bytes=size_bytes,
        sha256=sha256,
        dataset_offset=dataset_offset,
        pixel_data_offset=None if pixel_data is None else dataset_offset + pixel_data.offset,
        pixel_data_size_bytes=None if pixel_data is None else pixel_data.size_bytes,
    )


def make_record(
    archive: Archive,
    attributes: InstanceAttributes,
    syntax: TransferSyntax,
    location: ObjectLocation,
    origin: Origin,
    *,
    arrives: bool = False,
) -> InstanceRecord:
    """Make the record of an instance, which now ``arrives`` or has been in the store for a while."""
    return InstanceRecord(
        study=attributes.study,
        series=attributes.series,
        instance=attributes.instance,
        transfer_syntax_uid=syntax.uid,
        location=location,
        received_at=datetime.now(UTC),
        procedure_codes=_national_codes(archive, attributes),
        request_attributes=[
            RequestAttributes(item.requested_procedure_id, item.scheduled_procedure_step_id)
            for item in attributes.request_items
        ],
        calling_ae_title=origin.calling_ae_title,
        spooled=arrives and archive.spools,
        door=origin.door,
        on_conflict=archive.settings.on_conflict if arrives else ConflictPolicy.KEEP,
    )


def index_record(archive: Archive, record: InstanceRecord) -> StoreOutcome:
    """Index an instance whose object is in the store. Raises IndexUnavailable, DuplicateInstance."""
    return _outcome(record, archive.index.write(record))


def _outcome(record: InstanceRecord, outcome: WriteOutcome) -> StoreOutcome:
    if outcome in (WriteOutcome.REFUSED, WriteOutcome.REFUSED_AGAIN):
        raise DuplicateInstance("another content has this SOP Instance UID")
    return StoreOutcome(
        _DISPOSITIONS[outcome],
        str(record.instance["sop_class_uid"]),
        str(record.instance["sop_instance_uid"]),
        str(record.study["study_instance_uid"]),
        str(record.series["series_instance_uid"]),
    )


def _national_codes(archive: Archive, attributes: InstanceAttributes) -> list[ProcedureCode]:
    def text(value: str | int | None) -> str | None:
        return None if value is None else str(value)

    tagged = archive.tagger.tag(
        [DatasetCode(code.value, code.scheme, code.meaning) for code in attributes.procedure_codes],
        modality=text(attributes.series.get("modality")),
        station_name=text(attributes.series.get("station_name")),
        study_description=text(attributes.study.get("study_description")),
        series_description=text(attributes.series.get("series_description")),
    )
    return [ProcedureCode(code.value, code.scheme, code.meaning, code.origin) for code in tagged]
