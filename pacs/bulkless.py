"""Instances without their bulk data, for who wants to know of them and not to see them (PS3.4 Annex Z)."""

from __future__ import annotations

from typing import Final

from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from pacs.archive import Archive
from pacs.conversion import encode_attributes, read_behind_pixel_data
from pacs.dicom.transfer_syntaxes import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TRANSFER_SYNTAXES,
)
from pacs.index.records import StoredInstance
from pacs.retrieve import read_own_attributes

# PS3.4 Table Z.1-1; "xx" are the even numbers of a repeating group (PS3.5 7.6).
_BULK: Final = frozenset(
    {
        0x00287FE0,  # Pixel Data Provider URL
        0x00420011,  # Encapsulated Document
        0x56000020,  # Spectroscopy Data
        0x7FE00008,  # Float Pixel Data
        0x7FE00009,  # Double Float Pixel Data
        0x7FE00010,  # Pixel Data
    }
)
_REPEATING_BULK: Final = frozenset({(0x5000, 0x200C), (0x5000, 0x3000), (0x6000, 0x3000)})
_WAVEFORM_SEQUENCE, _WAVEFORM_DATA = 0x54000100, 0x54001010


def syntaxes_without_bulk(instance: StoredInstance) -> tuple[str, ...]:
    """List the transfer syntaxes in which an instance can be given without its bulk, the best first.

    Besides the native ones it is the stored one where it is one of compressed pixels: without pixels the same
    as Explicit VR Little Endian (PS3.5 A.4), and perhaps all that a receiver proposed.
    """
    native = (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN)
    stored = TRANSFER_SYNTAXES[instance.transfer_syntax_uid]
    return (*native, stored.uid) if stored.encapsulated and not stored.deflated else native


def encode_without_bulk(archive: Archive, instance: StoredInstance, transfer_syntax_uid: str) -> bytes:
    """Encode the data set of an instance without bulk data, in one of `syntaxes_without_bulk`.

    Raises
    ------
    pacs.errors.UnreadableInstance, pacs.errors.UndecodablePixels
        The object is damaged.
    storage.errors.ObjectNotFound, storage.errors.StoreUnavailable

    References
    ----------
    PS3.4 Z.1.3
    """
    implicit_vr = transfer_syntax_uid == IMPLICIT_VR_LITTLE_ENDIAN
    attributes = read_own_attributes(archive, instance)
    remove_bulk(attributes)
    behind = read_behind_pixel_data(archive, instance, implicit_vr=implicit_vr)
    return encode_attributes(attributes, implicit_vr) + behind


def remove_bulk(attributes: Dataset) -> None:
    """Remove bulk data from the top of a data set, and from its waveforms. Icons keep their pixels."""
    for tag in [tag for tag in attributes.keys() if _is_bulk(tag)]:  # noqa: SIM118 - a data set yields elements
        del attributes[tag]
    if _WAVEFORM_SEQUENCE in attributes:
        for item in attributes[_WAVEFORM_SEQUENCE].value:
            if _WAVEFORM_DATA in item:
                del item[_WAVEFORM_DATA]


def _is_bulk(tag: BaseTag) -> bool:
    in_repeating_group = not tag.group & 1 and (tag.group & 0xFF00, tag.element) in _REPEATING_BULK
    return tag in _BULK or in_repeating_group
