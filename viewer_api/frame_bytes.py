"""The bytes of frames: as they are stored, or decoded to native samples."""

from __future__ import annotations

import numpy as np

from pacs.archive import Archive
from pacs.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, TRANSFER_SYNTAXES
from pacs.index.records import StoredInstance
from pacs.pixels.decode import decode_frame
from pacs.pixels.description import describe_pixels
from pacs.retrieve import read_attributes, read_frame
from viewer_api.media_types import OCTET_STREAM
from viewer_api.negotiation import Representation


def frame_representations(transfer_syntax_uid: str) -> list[Representation]:
    """List the forms in which frames of an instance can be sent, the stored one first.

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
        return [native]
    raw = Representation(OCTET_STREAM, transfer_syntax_uid, multipart=True, implied=False)
    if syntax.media_type == OCTET_STREAM:
        return [raw, native]
    return [Representation(syntax.media_type, transfer_syntax_uid, multipart=True), raw, native]


def needs_decoding(transfer_syntax_uid: str, chosen: Representation) -> bool:
    """Tell whether the chosen form is another than the stored one."""
    syntax = TRANSFER_SYNTAXES[transfer_syntax_uid]
    return syntax.big_endian or (syntax.encapsulated and chosen.transfer_syntax_uid != transfer_syntax_uid)


def stored_frame(archive: Archive, instance: StoredInstance, frame_number: int) -> bytes:
    """Read a frame (1-based) as it is stored. Raises what ``pacs.retrieve.read_frame`` raises."""
    return read_frame(archive, instance, frame_number).data


def native_frame(archive: Archive, instance: StoredInstance, frame_number: int) -> bytes:
    """Read a frame (1-based), decoded and laid out as the Image Pixel module describes it.

    Raises
    ------
    pacs.errors.NotFound, pacs.errors.PixelsUnavailable, pacs.errors.UndecodablePixels
    """
    frame = read_frame(archive, instance, frame_number)
    description = describe_pixels(read_attributes(archive, instance), instance.transfer_syntax_uid)
    values = decode_frame(frame.data, description)
    if description.bits_allocated == 1:
        return np.packbits(values.reshape(-1), bitorder="little").tobytes()
    if description.samples_per_pixel > 1 and description.planar_configuration == 1:
        values = np.moveaxis(values, -1, 0)
    return values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()
