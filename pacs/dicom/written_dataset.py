"""Writing a small data set of the DICOM JSON Model in a native encoding."""

from __future__ import annotations

import warnings
from typing import Final

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset as encode_dataset

from pacs.dicom.json_model import SPECIFIC_CHARACTER_SET, Element, JsonDataset, element
from pacs.dicom.transfer_syntaxes import TransferSyntax

_UTF_8: Final = "ISO_IR 192"


def write_dataset(dataset: JsonDataset, syntax: TransferSyntax) -> bytes:
    """Encode a data set, its text in UTF-8.

    An element that has no place in DICOM, since a device gave it a value that its VR does not have, is empty.
    """
    written = {**dataset, SPECIFIC_CHARACTER_SET: element("CS", _UTF_8)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return _encode(written, syntax)
        except Exception:  # each VR fails in its own way
            return _encode({tag: _encodable(tag, one, syntax) for tag, one in written.items()}, syntax)


def _encodable(tag: str, written: Element, syntax: TransferSyntax) -> Element:
    try:
        _encode({tag: written}, syntax)
    except Exception:
        return {"vr": written["vr"]}
    return written


def _encode(dataset: JsonDataset, syntax: TransferSyntax) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_little_endian = not syntax.big_endian
    buffer.is_implicit_VR = syntax.implicit_vr
    encode_dataset(buffer, Dataset.from_json(dataset))
    return buffer.getvalue()
