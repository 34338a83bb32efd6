"""The bytes of frames: as they are stored, decoded to native samples, or in another transfer syntax."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final

from pacs.archive import Archive
from pacs.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, TRANSFER_SYNTAXES
from pacs.index.records import StoredInstance
from pacs.pixels.transcode import (
    HTJ2K_LOSSLESS,
    JPEG_2000_LOSSLESS,
    JPEG_LOSSLESS,
    JPEG_LS_LOSSLESS,
    TARGET_SYNTAXES,
    encode_frame,
    encode_native,
    transcodable_syntaxes,
)
from pacs.retrieve import read_frame, read_pixel_description
from viewer_api.media_types import OCTET_STREAM
from viewer_api.negotiation import Representation

# What a media type means without a transfer syntax (PS3.18 Table 8.7.3-5).
_DEFAULTS: Final = frozenset({JPEG_LOSSLESS, JPEG_LS_LOSSLESS, JPEG_2000_LOSSLESS, HTJ2K_LOSSLESS})


@cache
def frame_representations(transfer_syntax_uid: str) -> Sequence[Representation]:
    """List the forms in which frames of an instance can be sent without being encoded, the stored one first.

    Native frames are the same bytes in each little endian syntax, and named by Explicit VR Little Endian; the
    implicit one is not for web services. Compressed frames can also be had as ``application/octet-stream``
    by a client that asks for their transfer syntax, or any, and decoded by one that does not.

    References
    ----------
    PS3.18 8.7.3.3, Tables 8.7.3-4 and 8.7.3-5
    """
    syntax = TRANSFER_SYNTAXES[transfer_syntax_uid]
    native = Representation(OCTET_STREAM, EXPLICIT_VR_LITTLE_ENDIAN, multipart=True)
    if not syntax.encapsulated:
        return (native,)
    raw = Representation(OCTET_STREAM, transfer_syntax_uid, multipart=True, implied=False)
    if syntax.media_type == OCTET_STREAM:
        return raw, native
    return Representation(syntax.media_type, transfer_syntax_uid, multipart=True), raw, native


def encoded_representations(transfer_syntax_uid: str) -> list[Representation]:
    """List the forms that frames would have to be encoded into; whether they can be is told by the pixels."""
    stored = TRANSFER_SYNTAXES[transfer_syntax_uid]
    found = []
    for uid in TARGET_SYNTAXES:
        media_type = TRANSFER_SYNTAXES[uid].media_type
        if uid != transfer_syntax_uid:
            implied = uid in _DEFAULTS and media_type != stored.media_type
            found.append(Representation(media_type, uid, multipart=True, implied=implied))
    return found


def transcodable(archive: Archive, instance: StoredInstance) -> list[str]:
    """List the transfer syntaxes that the frames of an instance can be brought into.

    Raises
    ------
    pacs.errors.PixelsUnavailable, pacs.errors.UnreadableInstance
    """
    description = read_pixel_description(archive, instance)
    return transcodable_syntaxes(description)


def needs_decoding(transfer_syntax_uid: str, chosen: Representation) -> bool:
    """Tell whether the chosen form is another than the stored one."""
    syntax = TRANSFER_SYNTAXES[transfer_syntax_uid]
    if not syntax.encapsulated and chosen.transfer_syntax_uid == EXPLICIT_VR_LITTLE_ENDIAN:
        return syntax.big_endian
    return chosen.transfer_syntax_uid != transfer_syntax_uid


def stored_frame(archive: Archive, instance: StoredInstance, frame_number: int) -> bytes:
    """Read a frame (1-based) as it is stored. Raises what ``pacs.retrieve.read_frame`` raises."""
    return read_frame(archive, instance, frame_number).data


def converted_frame(
    archive: Archive, instance: StoredInstance, frame_number: int, transfer_syntax_uid: str
) -> bytes:
    """Read a frame (1-based), decoded, and encoded in another transfer syntax.

    Native, it is laid out as the Image Pixel module describes it.

    Raises
    ------
    pacs.errors.NotFound, pacs.errors.PixelsUnavailable, pacs.errors.UndecodablePixels
    """
    frame = read_frame(archive, instance, frame_number)
    description = read_pixel_description(archive, instance)
    values = archive.decoding.decode(frame.data, description)
    if transfer_syntax_uid == EXPLICIT_VR_LITTLE_ENDIAN:
        return encode_native(values, description)
    return encode_frame(values, description, transfer_syntax_uid)
