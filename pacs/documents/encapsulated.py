"""Documents that instances carry whole (PS3.3 C.24)."""

from __future__ import annotations

from typing import Final

from pacs.archive import Archive
from pacs.errors import PixelsUnavailable
from pacs.index.records import StoredInstance
from pacs.pixels.elements import read_integer, read_value
from pacs.retrieve import read_attributes

ENCAPSULATED_PDF: Final = "1.2.840.10008.5.1.4.1.1.104.1"
_PDF_MARK: Final = b"%PDF-"
_LOOKED_AT_BYTES: Final = 1024  # readers tolerate something before the mark


def read_pdf(archive: Archive, instance: StoredInstance) -> bytes:
    """Return the PDF of an instance, without its padding.

    Raises
    ------
    PixelsUnavailable
        There is none, or it is something else, whatever its media type says.
    UnreadableInstance, storage.errors.StoreError
    """
    attributes = read_attributes(archive, instance)
    document = read_value(attributes, "EncapsulatedDocument")
    if not isinstance(document, bytes) or _PDF_MARK not in document[:_LOOKED_AT_BYTES]:
        raise PixelsUnavailable("the instance has no PDF in it")
    length = read_integer(attributes, "EncapsulatedDocumentLength")
    return document[:length] if length and length < len(document) else document
