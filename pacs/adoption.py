"""Objects that are in the store already: read again, and indexed where the index lacks them."""

from __future__ import annotations

from typing import Final

from pacs.archive import Archive
from pacs.dicom.instance import InstanceAttributes, read_instance
from pacs.dicom.object_keys import ObjectName, parse_key
from pacs.dicom.part10 import split_part10
from pacs.dicom.transfer_syntaxes import TransferSyntax
from pacs.errors import UnreadableInstance
from pacs.index.records import InstanceRecord
from pacs.ingest import (
    Origin,
    StoreOutcome,
    copy_object,
    index_record,
    known_syntax,
    locate,
    make_record,
    object_name,
    read_staged,
)
from pacs.ledger.entries import Door

_HEAD_SIZE_BYTES: Final = 1 << 17  # more than any File Meta Information that is taken
_HEAD_SIZES_BYTES: Final = (1 << 15, 1 << 18, 1 << 21)  # most headers are in the first


def adopt_object(archive: Archive, key: str) -> StoreOutcome:
    """Index an object that is in the store and not in the index, as a crash between the two leaves it.

    The object is read whole: one whose digest is not that of its key is never indexed. Another content of a
    known instance is kept beside the first, whatever the settings say: nobody has just sent it.

    Raises
    ------
    pacs.errors.UnreadableInstance
        The object is damaged, or its key is not the one that its content has.
    pacs.errors.IndexUnavailable, storage.errors.StoreError
    """
    return index_record(archive, read_object(archive, key, Origin(Door.SWEEP)))


def read_object(archive: Archive, key: str, origin: Origin) -> InstanceRecord:
    """Read an object whole, compare it with its key, and make the record of it.

    Raises
    ------
    pacs.errors.UnreadableInstance
        The object is damaged, or its key is not the one that its content has.
    storage.errors.StoreError
    """
    with archive.store.stage() as copy:
        copy_object(archive, key, copy)
        sha256 = copy.sha256()
        size_bytes = copy.size_bytes
        with copy.view() as view, view[:_HEAD_SIZE_BYTES] as head:
            syntax, dataset_offset = _split(head)
        attributes = read_staged(archive, copy, dataset_offset, syntax)
    _require_name(key, object_name(attributes, sha256))
    location = locate(key, size_bytes, sha256, dataset_offset, attributes)
    return make_record(archive, attributes, syntax, location, origin)


def scan_object(archive: Archive, key: str, size_bytes: int, origin: Origin) -> InstanceRecord:
    """Read the header of an object of known size, and make the record of it; its digest is the key's word.

    Raises
    ------
    pacs.errors.UnreadableInstance
        The object is damaged, or its key is not the one that its content has.
    storage.errors.StoreError
    """
    name = parse_key(key)
    if name is None:
        raise UnreadableInstance("the key is not that of an instance")
    for head_size_bytes in _HEAD_SIZES_BYTES:
        found = _scan_head(archive, key, size_bytes, head_size_bytes)
        if found is not None:
            attributes, syntax, dataset_offset = found
            _require_name(key, object_name(attributes, name.sha256))
            location = locate(key, size_bytes, name.sha256, dataset_offset, attributes)
            return make_record(archive, attributes, syntax, location, origin)
    return read_object(archive, key, origin)


def _scan_head(
    archive: Archive, key: str, size_bytes: int, head_size_bytes: int
) -> tuple[InstanceAttributes, TransferSyntax, int] | None:
    """Read what is needed from the beginning of an object; None where more of it is needed."""
    head = archive.store.read_range(key, 0, head_size_bytes)
    whole = len(head) >= size_bytes
    syntax, dataset_offset = _split(head)
    if syntax.deflated and not whole:
        return None
    dataset = memoryview(head)[dataset_offset:]
    try:
        attributes = read_instance(dataset, syntax, archive.settings.undeclared_character_set, whole=whole)
    except UnreadableInstance:
        if whole:
            raise
        return None
    return (attributes, syntax, dataset_offset) if whole or attributes.pixel_data else None


def _split(head: memoryview | bytes) -> tuple[TransferSyntax, int]:
    """Find the transfer syntax of an object, and where its data set begins."""
    meta, behind = split_part10([head])
    dataset_offset = len(head) - sum(len(piece) for piece in behind)
    return known_syntax(meta.transfer_syntax_uid), dataset_offset


def _require_name(key: str, name: ObjectName) -> None:
    if name != parse_key(key):
        raise UnreadableInstance("the object is damaged: its content does not belong to its key")
