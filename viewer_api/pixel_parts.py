"""Pixel data as bulk data: whole and native, by stored frames, or as a video (PS3.18 8.7.3.3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from pacs.archive import Archive
from pacs.conversion import read_native_pixel_data
from pacs.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, TRANSFER_SYNTAXES
from pacs.index.records import StoredInstance
from pacs.metadata.instance import PIXEL_DATA_TAGS
from pacs.pixels.fragments import EncapsulatedPixelData, Extent
from pacs.retrieve import open_pixel_data, read_chunks
from viewer_api.byte_ranges import Piece
from viewer_api.frame_bytes import stored_frame
from viewer_api.media_types import OCTET_STREAM
from viewer_api.negotiation import Representation
from viewer_api.stored_chunks import stored_piece


@dataclass(frozen=True, slots=True)
class BulkPart:
    """One part of an answer of bulk data; ``name`` follows the URL of the instance."""

    name: str
    form: Representation
    chunks: Iterator[bytes]


def pieces_of_value(archive: Archive, instance: StoredInstance) -> list[Piece] | None:
    """Return the value of the pixel data in pieces of known size; None where it has to be made.

    That is native pixel data as it is stored, and a video, whose fragments are joined.

    Raises
    ------
    pacs.errors.PixelsUnavailable, pacs.errors.UndecodablePixels
    """
    syntax, location = TRANSFER_SYNTAXES[instance.transfer_syntax_uid], instance.location
    if syntax.video:
        return [stored_piece(archive, instance, fragment) for fragment in _list_fragments(archive, instance)]
    is_plain = not (syntax.encapsulated or syntax.deflated or syntax.big_endian)
    if is_plain and location.pixel_data_offset is not None and location.pixel_data_size_bytes is not None:
        return [
            stored_piece(
                archive, instance, Extent(location.pixel_data_offset, location.pixel_data_size_bytes)
            )
        ]
    return None


def list_pixel_parts(archive: Archive, instance: StoredInstance, form: Representation) -> Iterator[BulkPart]:
    """List the parts of the pixel data in a form of :func:`viewer_api.frame_bytes.frame_representations`.

    Native pixel data and videos are one part; compressed frames are a part each. A form without a transfer
    syntax means as stored, where it is asked for by ``transfer-syntax=*``, and native otherwise.

    Raises
    ------
    pacs.errors.PixelsUnavailable, pacs.errors.UndecodablePixels
        Also while the parts are read.
    """
    name = f"bulkdata/{PIXEL_DATA_TAGS['PixelData']}"
    uid = instance.transfer_syntax_uid
    syntax = TRANSFER_SYNTAXES[uid]
    stored = uid == form.transfer_syntax_uid or (form.transfer_syntax_uid is None and not form.implied)
    if syntax.video:
        fragments = _list_fragments(archive, instance)
        media_type = syntax.media_type if form.media_type != OCTET_STREAM else OCTET_STREAM
        chunks = (read_chunks(archive, instance, one.offset, one.size_bytes) for one in fragments)
        yield BulkPart(name, Representation(media_type, uid), chain.from_iterable(chunks))
    elif syntax.encapsulated and stored:
        media_type = OCTET_STREAM if form.media_type == OCTET_STREAM else syntax.media_type
        for number in range(1, instance.number_of_frames + 1):
            data = stored_frame(archive, instance, number)
            yield BulkPart(f"frames/{number}", Representation(media_type, uid), iter((data,)))
    else:
        native = Representation(OCTET_STREAM, EXPLICIT_VR_LITTLE_ENDIAN)
        yield BulkPart(name, native, read_native_pixel_data(archive, instance))


def _list_fragments(archive: Archive, instance: StoredInstance) -> Sequence[Extent]:
    stream, offset, size_bytes = open_pixel_data(archive, instance)
    with stream:
        return EncapsulatedPixelData(stream, offset, size_bytes).list_fragments()
