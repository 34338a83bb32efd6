"""Documents that instances carry whole (PS3.3 C.24)."""

from __future__ import annotations

from typing import Final

from pacs.archive import Archive
from pacs.dicom.header import Header, scan_header
from pacs.dicom.transfer_syntaxes import TRANSFER_SYNTAXES, TransferSyntax
from pacs.errors import PixelsUnavailable, UnreadableInstance
from pacs.index.records import StoredInstance
from pacs.pixels.elements import read_integer, read_value
from pacs.pixels.fragments import Extent
from pacs.retrieve import read_attributes

ENCAPSULATED_PDF: Final = "1.2.840.10008.5.1.4.1.1.104.1"
MAX_READ_SIZE_BYTES: Final = 64 << 20  # of an instance whose PDF is wanted in memory

_DOCUMENT: Final = 0x00420011
_DOCUMENT_LENGTH: Final = 0x00420015
_SEARCHED_SIZE_BYTES: Final = 256 * 1024  # before a document, and behind it
_PDF_MARK: Final = b"%PDF-"
_LOOKED_AT_BYTES: Final = 1024  # readers tolerate something before the mark


def read_pdf(archive: Archive, instance: StoredInstance) -> bytes:
    """Return the PDF of an instance, without its padding.

    Raises
    ------
    PixelsUnavailable
        There is none, it is something else, whatever its media type says, or larger than 64 MiB.
    UnreadableInstance, storage.errors.StoreError
    """
    if instance.location.size_bytes > MAX_READ_SIZE_BYTES:
        raise PixelsUnavailable(f"a PDF of more than {MAX_READ_SIZE_BYTES} bytes is not read whole")
    attributes = read_attributes(archive, instance)
    document = read_value(attributes, "EncapsulatedDocument")
    if not isinstance(document, bytes):
        raise PixelsUnavailable("the instance has no PDF in it")
    _require_pdf(document)
    return document[: read_integer(attributes, "EncapsulatedDocumentLength") or None]


def locate_pdf(archive: Archive, instance: StoredInstance) -> Extent | None:
    """Tell where in the object its PDF lies, without its padding; None where :func:`read_pdf` has to find it.

    Raises
    ------
    PixelsUnavailable
        It is something else, whatever its media type says.
    storage.errors.StoreError
    """
    location, syntax = instance.location, TRANSFER_SYNTAXES[instance.transfer_syntax_uid]
    found = None if syntax.deflated else _scan(archive, instance, location.dataset_offset, syntax)
    document = found.pixel_data if found else None
    if document is None or document.tag != _DOCUMENT or document.size_bytes is None:
        return None
    offset, size_bytes = location.dataset_offset + document.offset, document.size_bytes
    _require_pdf(archive.store.read_range(location.key, offset, min(size_bytes, _LOOKED_AT_BYTES)))
    behind = _scan(archive, instance, offset + size_bytes, syntax)
    length = behind.elements.values.get(_DOCUMENT_LENGTH, b"") if behind else b""
    length_bytes = int.from_bytes(length, "big" if syntax.big_endian else "little")
    return Extent(offset, min(length_bytes or size_bytes, size_bytes))


def _scan(archive: Archive, instance: StoredInstance, offset: int, syntax: TransferSyntax) -> Header | None:
    """Scan elements of an object up to its document; None where they cannot be read in one piece."""
    view = archive.store.read_range(instance.location.key, offset, _SEARCHED_SIZE_BYTES)
    try:
        return scan_header(view, syntax, {_DOCUMENT_LENGTH}, whole=False, ends_at=_DOCUMENT)
    except UnreadableInstance:
        return None


def _require_pdf(beginning: bytes) -> None:
    if _PDF_MARK not in beginning[:_LOOKED_AT_BYTES]:
        raise PixelsUnavailable("the instance has no PDF in it")
