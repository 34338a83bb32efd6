"""The bytes of an instance on their way to a peer: as they are stored, or in what the peer can take."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from pacs.archive import Archive
from pacs.conversion import can_be_implicit, convert_instance, convertible_syntaxes
from pacs.dicom.part10 import encode_file_meta
from pacs.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN
from pacs.errors import UnreadableInstance
from pacs.index.records import StoredInstance
from pacs.pixels.transcode import TARGET_SYNTAXES, is_lossless
from pacs.retrieve import open_file, read_chunks
from storage.os_errors import os_errors_translated
from storage.store import Buffer
from storage.stored_file import StoredFile

NATIVE: Final = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)
_KEPT_IN_MEMORY_BYTES: Final = 4 * 1024 * 1024


class Outgoing(NamedTuple):
    """The encoded data set of an instance, ready to be sent, piece by piece."""

    transfer_syntax_uid: str
    dataset: Iterable[Buffer]


def open_whole(
    archive: Archive,
    instance: StoredInstance,
    accepted: Collection[str],
    preferred: Sequence[str],
    piece_size_bytes: int,
) -> Outgoing | None:
    """Open an instance in the best of what a peer can take; None where it can take nothing of it.

    Parameters are those of `choose_syntax` and `open_dataset`, and so is what is raised.
    """
    syntax = choose_syntax(archive, instance, accepted, preferred)
    if syntax is None:
        return None
    return Outgoing(syntax, open_dataset(archive, instance, syntax, piece_size_bytes))


def choose_syntax(
    archive: Archive, instance: StoredInstance, accepted: Collection[str], preferred: Sequence[str] = ()
) -> str | None:
    """Choose the transfer syntax in which a peer gets an instance; None where it can take none.

    The stored one where the peer takes it. Else what it prefers, then native, then whatever loses nothing. A
    peer loses a part of the picture only where its preferences say so.

    Parameters
    ----------
    accepted
        Transfer syntaxes that the peer accepted for the SOP class.
    preferred
        What it likes, the best first.

    Raises
    ------
    storage.errors.ObjectNotFound, storage.errors.StoreUnavailable
    """
    if instance.transfer_syntax_uid in accepted:
        return instance.transfer_syntax_uid
    lossless = [uid for uid in TARGET_SYNTAXES if is_lossless(uid)]
    wanted = [uid for uid in dict.fromkeys((*preferred, *NATIVE, *lossless)) if uid in accepted]
    if not wanted:
        return None
    convertible = convertible_syntaxes(archive, instance)
    if can_be_implicit(instance, convertible):
        convertible.append(IMPLICIT_VR_LITTLE_ENDIAN)
    return next((uid for uid in wanted if uid in convertible), None)


def open_dataset(
    archive: Archive, instance: StoredInstance, transfer_syntax_uid: str, piece_size_bytes: int
) -> Iterator[bytes]:
    """Read the encoded data set of an instance piece by piece, without its File Meta Information.

    What would fail fails before the first piece is given out, so that no message is begun in vain: a stored
    object has been opened then, and a converted one is complete, in a temporary file where it is large.

    Raises
    ------
    pacs.errors.ArchiveError, storage.errors.StoreError
    """
    if transfer_syntax_uid == instance.transfer_syntax_uid:
        pieces = _read_stored(archive, instance, piece_size_bytes)
    else:
        pieces = _convert(archive, instance, transfer_syntax_uid, piece_size_bytes)
    first = next(pieces, b"")
    return _chain(first, pieces)


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _read_stored(archive: Archive, instance: StoredInstance, piece_size_bytes: int) -> Iterator[bytes]:
    location = instance.location
    left = location.size_bytes - location.dataset_offset
    file = open_file(archive, instance)
    pieces = (
        read_chunks(archive, instance, location.dataset_offset, left)
        if file is None
        else _read_file(file, location.dataset_offset, piece_size_bytes)
    )
    for piece in pieces:
        left -= len(piece)
        yield piece
    if left:
        raise UnreadableInstance("the object in the store is shorter than it was")


def _read_file(file: StoredFile, offset: int, piece_size_bytes: int) -> Iterator[bytes]:
    """Read straight from a file: a stream would copy what it buffers."""
    with os_errors_translated("an object"):
        while piece := file.read(offset, piece_size_bytes):
            offset += len(piece)
            yield piece


def _convert(
    archive: Archive, instance: StoredInstance, transfer_syntax_uid: str, piece_size_bytes: int
) -> Iterator[bytes]:
    meta = encode_file_meta(instance.sop_class_uid, instance.sop_instance_uid, transfer_syntax_uid)
    with (
        os_errors_translated("temporary files"),
        tempfile.SpooledTemporaryFile(_KEPT_IN_MEMORY_BYTES) as converted,
    ):
        for piece in convert_instance(archive, instance, transfer_syntax_uid):
            converted.write(piece)
        converted.seek(len(meta))
        while chunk := converted.read(piece_size_bytes):
            yield chunk
