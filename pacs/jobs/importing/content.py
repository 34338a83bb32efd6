"""What the bytes of a file are: a DICOM file, a bare data set, a DICOMDIR, a ZIP, or nothing of ours."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from itertools import chain
from typing import Final

from pacs.dicom.beginning import read_sop_uids, recognise_bare_dataset, require_native_pixels
from pacs.dicom.dicomdir import MEDIA_STORAGE_DIRECTORY_STORAGE
from pacs.dicom.part10 import PREAMBLE_SIZE_BYTES, FileMeta, split_part10
from pacs.dicom.transfer_syntaxes import TRANSFER_SYNTAXES, TransferSyntax
from pacs.errors import UnreadableInstance
from pacs.ingest import IncomingInstance
from storage.store import Buffer

HEAD_SIZE_BYTES: Final = 8 * 1024  # the first piece of a file: it tells what the file is

_PREFIX = b"DICM"
_META_WITHOUT_PREAMBLE = re.compile(rb"\x02\x00[\x00-\x18]\x00(?:UL|OB|UI)")
_ZIP_MARKS = (b"PK\x03\x04", b"PK\x05\x06")
# gzip, bzip2, xz, 7z, RAR, Zstandard: they may hold images, so they are not passed over in silence.
_OTHER_ARCHIVE_MARKS = (
    b"\x1f\x8b",
    b"BZh",
    b"\xfd7zXZ\0",
    b"7z\xbc\xaf'\x1c",
    b"Rar!\x1a\x07",
    b"\x28\xb5\x2f\xfd",
)
_TAR_MARK, _TAR_MARK_OFFSET = b"ustar", 257
_ENOUGH_FOR_UIDS_BYTES = 1024
_BARE_HEADER_SIZE_BYTES = 16 * 1024 * 1024


class Kind(Enum):
    """What else than an instance a file is."""

    ZIP = "a ZIP"
    OTHER_ARCHIVE = "an archive of another kind"
    DICOMDIR = "a DICOMDIR"
    NOT_DICOM = "no DICOM file"


@dataclass(frozen=True, slots=True)
class FileInstance:
    """An instance in a file; ``corrected`` where the File Meta Information named another one."""

    incoming: IncomingInstance
    corrected: bool


def open_content(chunks: Iterable[Buffer]) -> FileInstance | Kind:
    """Tell what a file is, and take an instance as one on its way in.

    The network refuses a message that names another instance than its data set (A900). Of a file, the data
    set wins: tools that edit files leave the old UIDs in the File Meta Information, or none.

    Parameters
    ----------
    chunks
        The file, piece by piece, the first with ``HEAD_SIZE_BYTES`` or all of it; read no further than
        needed. Any piece but the first may be a view of a buffer that is used again.

    Raises
    ------
    pacs.errors.UnreadableInstance
        It is a DICOM file, and nothing can be made of it.
    """
    source = iter(chunks)
    head = bytes(next(source, b""))
    if head[PREAMBLE_SIZE_BYTES : PREAMBLE_SIZE_BYTES + len(_PREFIX)] == _PREFIX:
        return _open_part10(chain((head,), source))
    if head.startswith(_ZIP_MARKS):
        return Kind.ZIP
    if head.startswith(_OTHER_ARCHIVE_MARKS) or head.startswith(_TAR_MARK, _TAR_MARK_OFFSET):
        return Kind.OTHER_ARCHIVE
    if _META_WITHOUT_PREAMBLE.match(head):
        return _open_part10(chain((bytes(PREAMBLE_SIZE_BYTES) + _PREFIX + head,), source))
    syntax = recognise_bare_dataset(head)
    return Kind.NOT_DICOM if syntax is None else _open_bare(head, source, syntax)


def _open_part10(chunks: Iterable[Buffer]) -> FileInstance | Kind:
    meta, dataset = split_part10(chunks)
    if meta.sop_class_uid == MEDIA_STORAGE_DIRECTORY_STORAGE:
        return Kind.DICOMDIR
    syntax = TRANSFER_SYNTAXES.get(meta.transfer_syntax_uid)
    beginning, dataset = _peek(dataset, _ENOUGH_FOR_UIDS_BYTES)
    uids = None if syntax is None else read_sop_uids(beginning, syntax)
    if uids is None:
        if not meta.sop_class_uid or not meta.sop_instance_uid:
            raise UnreadableInstance("neither File Meta Information nor data set begins with the SOP UIDs")
        return FileInstance(_incoming(meta, meta.sop_class_uid, meta.sop_instance_uid, dataset), False)
    claimed = (meta.sop_class_uid, meta.sop_instance_uid)
    return FileInstance(
        _incoming(meta, uids.sop_class_uid, uids.sop_instance_uid, dataset),
        corrected=claimed != (uids.sop_class_uid, uids.sop_instance_uid),
    )


def _open_bare(head: bytes, source: Iterator[Buffer], syntax: TransferSyntax) -> FileInstance:
    beginning, dataset = _peek(chain((head,), source), _BARE_HEADER_SIZE_BYTES)
    require_native_pixels(beginning, syntax)
    uids = read_sop_uids(head, syntax)
    if uids is None:
        raise UnreadableInstance("the data set names no SOP Class or SOP Instance")
    meta = FileMeta(syntax.uid, uids.sop_class_uid, uids.sop_instance_uid)
    return FileInstance(_incoming(meta, uids.sop_class_uid, uids.sop_instance_uid, dataset), False)


def _incoming(
    meta: FileMeta, sop_class_uid: str, sop_instance_uid: str, dataset: Iterable[Buffer]
) -> IncomingInstance:
    return IncomingInstance(meta.transfer_syntax_uid, sop_class_uid, sop_instance_uid, dataset)


def _peek(chunks: Iterator[Buffer], size_bytes: int) -> tuple[bytes, Iterator[Buffer]]:
    """Read ahead until there are ``size_bytes`` bytes; give them, and all chunks with them again in front."""
    ahead = bytearray()
    for chunk in chunks:
        ahead += chunk
        if len(ahead) >= size_bytes:
            break
    beginning = bytes(ahead)
    return beginning, chain((beginning,), chunks)
