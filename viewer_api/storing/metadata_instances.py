"""Instances that come as metadata and bulk data (PS3.18 10.5.1.4): put together again as data sets."""

from __future__ import annotations

from typing import Final

from pacs.dicom.transfer_syntaxes import EXPLICIT_VR_LITTLE_ENDIAN, TRANSFER_SYNTAXES
from pacs.dicom.uids import parse_uid
from pacs.errors import UndecodablePixels, UnreadableInstance, UnsupportedTransferSyntax
from pacs.ingest import IncomingInstance
from pacs.pixels.codestream_syntax import find_transfer_syntax, has_component_transform, is_reversible
from pacs.pixels.codestreams import CodestreamHeader, read_jpeg_2000_header, read_jpeg_header
from viewer_api.media_types import OCTET_STREAM
from viewer_api.storing.received_dataset import (
    PIXEL_DATA,
    SOP_CLASS_UID,
    SOP_INSTANCE_UID,
    BulkReference,
    Pieces,
    ReceivedDataset,
    encode_dataset,
)
from viewer_api.storing.spooled_parts import SpooledPart, SpooledParts

_HEADERS_SIZE_BYTES: Final = 64 * 1024
_ROWS = 0x00280010
_NUMBER_OF_FRAMES = 0x00280008
_JPEG_TYPES = frozenset({"image/jpeg", "image/jls", "image/x-jls"})
_JPEG_2000_TYPES = frozenset({"image/jp2", "image/jphc"})


def assemble(
    dataset: ReceivedDataset, parts: SpooledParts, study_instance_uid: str | None
) -> IncomingInstance:
    """Put an instance together: in Explicit VR Little Endian, or with its pixel data as it is compressed.

    Parameters
    ----------
    study_instance_uid
        The study that the request is for, None where it is for any.

    Raises
    ------
    UnreadableInstance
        A bulk value is not among the parts, or cannot be one. (Also while the chunks are read.)
    UnsupportedTransferSyntax
        Compressed pixel data of a syntax that is not told, or that is none of the Standard.
    """
    frames = _compressed_frames(dataset, parts)
    syntax_uid = EXPLICIT_VR_LITTLE_ENDIAN
    fragments: list[Pieces] | None = None
    if frames:
        syntax_uid = _transfer_syntax(dataset, parts, frames)
        _describe_pixels(dataset, parts, frames)
        fragments = [(frame.size_bytes, parts.read(frame)) for frame in frames]
    return IncomingInstance(
        transfer_syntax_uid=syntax_uid,
        sop_class_uid=dataset.text(SOP_CLASS_UID),
        sop_instance_uid=dataset.text(SOP_INSTANCE_UID),
        chunks=encode_dataset(dataset, parts.read_bulk, fragments),
        study_instance_uid=study_instance_uid,
    )


def _compressed_frames(dataset: ReceivedDataset, parts: SpooledParts) -> list[SpooledPart]:
    """Find the frames of compressed pixel data; none where it is native, or where there is none."""
    element = dataset.elements.get(PIXEL_DATA)
    if element is None or not isinstance(element.value, BulkReference):
        return []
    found = parts.find(element.value)
    if len({part.media_type.name for part in found}) > 1:
        raise UnreadableInstance("the frames are of different media types")
    media_type = found[0].media_type
    if media_type.name != OCTET_STREAM:
        return found
    syntax = TRANSFER_SYNTAXES.get(media_type.parameters.get("transfer-syntax", EXPLICIT_VR_LITTLE_ENDIAN))
    return found if syntax is None or syntax.encapsulated else []


def _transfer_syntax(dataset: ReceivedDataset, parts: SpooledParts, frames: list[SpooledPart]) -> str:
    """Take the syntax that the part names, or the metadata, or what the codestream shows to be the case."""
    media_type = frames[0].media_type
    named = media_type.parameters.get("transfer-syntax") or dataset.transfer_syntax_uid
    if not named or named == EXPLICIT_VR_LITTLE_ENDIAN:
        return find_transfer_syntax(media_type.name, parts.beginning(frames[0], _HEADERS_SIZE_BYTES))
    syntax = TRANSFER_SYNTAXES.get(parse_uid(named))
    if syntax is None or not syntax.encapsulated:
        raise UnsupportedTransferSyntax("the transfer syntax is none of the Standard for compressed frames")
    return syntax.uid


def _describe_pixels(dataset: ReceivedDataset, parts: SpooledParts, frames: list[SpooledPart]) -> None:
    """Add what was left out of the Image Pixel Description Macro, from the codestream (PS3.18 10.5.1.4)."""
    if len(frames) > 1 and _NUMBER_OF_FRAMES not in dataset.elements:
        dataset.set_values(_NUMBER_OF_FRAMES, "IS", len(frames))
    if _ROWS in dataset.elements:
        return
    media_type, beginning = frames[0].media_type.name, parts.beginning(frames[0], _HEADERS_SIZE_BYTES)
    try:
        header, photometric_interpretation = _read_codestream(media_type, beginning)
    except UndecodablePixels as error:
        raise UnreadableInstance("the pixel data does not tell what the metadata leaves out") from error
    described: list[tuple[int, str, int | str]] = [
        (0x00280002, "US", header.samples_per_pixel),
        (0x00280004, "CS", photometric_interpretation),
        (_ROWS, "US", header.rows),
        (0x00280011, "US", header.columns),
        (0x00280100, "US", 8 if header.precision <= 8 else 16),
        (0x00280101, "US", header.precision),
        (0x00280102, "US", header.precision - 1),
        (0x00280103, "US", int(header.signed)),
    ]
    if header.samples_per_pixel > 1:
        described.append((0x00280006, "US", 0))
    for tag, vr, value in described:
        if tag not in dataset.elements:  # what the sender says stays: MONOCHROME1, or a sign
            dataset.set_values(tag, vr, value)


def _read_codestream(media_type: str, beginning: bytes) -> tuple[CodestreamHeader, str]:
    """Read the shape of the image, and its photometric interpretation (PS3.5 8.2.1, 8.2.4)."""
    if media_type in _JPEG_TYPES:
        header = read_jpeg_header(beginning)
        is_rgb = header.color_space == "RGB" or media_type != "image/jpeg"
        color = "RGB" if is_rgb else "YBR_FULL_422"
    elif media_type in _JPEG_2000_TYPES:
        header = read_jpeg_2000_header(beginning)
        color = "RGB"
        if has_component_transform(beginning):
            color = "YBR_RCT" if is_reversible(beginning) else "YBR_ICT"
    else:
        raise UndecodablePixels("not a codestream that tells its shape")
    return header, color if header.samples_per_pixel > 1 else "MONOCHROME2"
