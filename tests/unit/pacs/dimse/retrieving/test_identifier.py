"""What the identifier of a retrieval asks for, and what it may not."""

from __future__ import annotations

import io
import struct
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from pacs.dicom.identifier import MAX_IDENTIFIER_SIZE_BYTES
from pacs.dimse.command import CommandField, decode_command_set
from pacs.dimse.information_models import (
    PATIENT_ROOT as PATIENT,
)
from pacs.dimse.information_models import (
    PATIENT_STUDY_ONLY as PATIENT_STUDY,
)
from pacs.dimse.information_models import (
    STUDY_ROOT as STUDY,
)
from pacs.dimse.information_models import InformationModel
from pacs.dimse.message import DatasetChunks, Message
from pacs.dimse.pdu import NegotiatedContext
from pacs.dimse.received_identifier import read_identifier
from pacs.dimse.retrieving.identifier import read_selection
from pacs.dimse.upper_layer import Pdv
from pacs.errors import IdentifierMismatch, InvalidRequest, UnreadableInstance
from pacs.index.selection import Selection
from tests.unit.pacs.dimse.wire import EXPLICIT, IMPLICIT


class Fragments:
    def __init__(self, data: bytes) -> None:
        self._stream = io.BytesIO(data)
        self._size = len(data)

    def receive_pdv(self, *, begins_message: bool = False) -> Pdv:
        part = self._stream.read(16384)
        return Pdv(1, False, self._stream.tell() == self._size, memoryview(part))


def message(data: bytes, syntax: str = EXPLICIT) -> Message:
    chunks = DatasetChunks(Fragments(data), 1, 2**32, present=True)
    context = NegotiatedContext(1, STUDY.move_sop_class, syntax)
    return Message(context, decode_command_set(b""), chunks, CommandField.C_MOVE_RQ)


def encode(syntax: str, **attributes: Any) -> bytes:
    dataset = Dataset()
    dataset.update({})
    for keyword, value in attributes.items():
        setattr(dataset, keyword, value)
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, syntax == IMPLICIT
    write_dataset(buffer, dataset)
    return buffer.getvalue()


def select(data: bytes, syntax: str = EXPLICIT, model: InformationModel = STUDY) -> Selection:
    return read_selection(read_identifier(message(data, syntax), "windows-1258"), model)


def read(model: InformationModel = STUDY, syntax: str = EXPLICIT, **attributes: Any) -> Selection:
    return select(encode(syntax, **attributes), syntax, model)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
@pytest.mark.parametrize(
    ("model", "keys", "selection"),
    [
        (PATIENT, {"QueryRetrieveLevel": "PATIENT", "PatientID": "BN 1"}, Selection("BN 1")),
        (PATIENT_STUDY, {"QueryRetrieveLevel": "PATIENT", "PatientID": "BN1"}, Selection("BN1")),
        (STUDY, {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2"}, Selection(None, ("1.2",))),
        (
            STUDY,
            {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": ["1.2", "1.3"]},
            Selection(None, ("1.2", "1.3")),
        ),
        (
            PATIENT,
            {"QueryRetrieveLevel": "STUDY", "PatientID": "BN1", "StudyInstanceUID": "1.2"},
            Selection("BN1", ("1.2",)),
        ),
        (  # not a key of this model
            STUDY,
            {"QueryRetrieveLevel": "STUDY", "PatientID": "BN1", "StudyInstanceUID": "1.2"},
            Selection(None, ("1.2",)),
        ),
        (
            STUDY,
            {"QueryRetrieveLevel": "SERIES", "StudyInstanceUID": "1.2", "SeriesInstanceUID": ["1.3", "1.4"]},
            Selection(None, ("1.2",), ("1.3", "1.4")),
        ),
        (
            STUDY,
            {
                "QueryRetrieveLevel": "IMAGE",
                "StudyInstanceUID": "1.2",
                "SeriesInstanceUID": "1.3",
                "SOPInstanceUID": ["1.4", "1.5"],
            },
            Selection(None, ("1.2",), ("1.3",), ("1.4", "1.5")),
        ),
        (  # relational: the levels above are not told
            STUDY,
            {"QueryRetrieveLevel": "IMAGE", "SOPInstanceUID": "1.4"},
            Selection(None, None, None, ("1.4",)),
        ),
        (  # a key of a level below has no meaning
            STUDY,
            {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.2", "SOPInstanceUID": "1.4"},
            Selection(None, ("1.2",)),
        ),
    ],
)
def test_unique_keys_of_each_level_are_read(
    syntax: str, model: InformationModel, keys: dict[str, Any], selection: Selection
) -> None:
    assert read(model, syntax, **keys) == selection


@pytest.mark.parametrize(
    ("model", "keys"),
    [
        (STUDY, {}),
        (STUDY, {"StudyInstanceUID": "1.2"}),
        (STUDY, {"QueryRetrieveLevel": "PATIENT", "PatientID": "BN1"}),
        (PATIENT_STUDY, {"QueryRetrieveLevel": "SERIES", "SeriesInstanceUID": "1.3"}),
        (STUDY, {"QueryRetrieveLevel": "STUDY"}),
        (STUDY, {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": ""}),
        (PATIENT, {"QueryRetrieveLevel": "PATIENT"}),
        (PATIENT, {"QueryRetrieveLevel": "PATIENT", "PatientID": "*"}),
        (PATIENT, {"QueryRetrieveLevel": "PATIENT", "PatientID": ["BN1", "BN2"]}),
        (PATIENT, {"QueryRetrieveLevel": "PATIENT", "PatientID": "BN\0001"}),
        (STUDY, {"QueryRetrieveLevel": "SERIES", "StudyInstanceUID": "1.2"}),
        (STUDY, {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.*"}),
        (STUDY, {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "*"}),
    ],
)
def test_c5_what_names_nothing_in_particular_is_refused(
    model: InformationModel, keys: dict[str, Any]
) -> None:
    with pytest.raises(IdentifierMismatch):
        read(model, **keys)


def test_c3_an_identifier_of_more_than_a_mebibyte_is_refused() -> None:
    filler = struct.pack("<HH2sHI", 0x0009, 0x1001, b"OB", 0, MAX_IDENTIFIER_SIZE_BYTES)
    huge = encode(EXPLICIT, QueryRetrieveLevel="STUDY") + filler + bytes(MAX_IDENTIFIER_SIZE_BYTES)
    with pytest.raises(InvalidRequest):
        select(huge)


def test_c3_a_deep_identifier_is_refused_without_recursion() -> None:
    deep = struct.pack("<HH2sHI", 0x0008, 0x1111, b"SQ", 0, 0xFFFFFFFF)
    deep = (deep + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)) * 10_000
    with pytest.raises(UnreadableInstance):
        select(deep)


def test_a_list_that_is_cut_is_refused_and_not_half_performed() -> None:
    uids = [f"1.2.{number:060d}" for number in range(1100)]
    keys = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": uids}
    with pytest.raises(IdentifierMismatch, match="64 KiB"):
        read(STUDY, IMPLICIT, **keys)
    keys["StudyInstanceUID"] = uids[:900]
    assert read(STUDY, EXPLICIT, **keys).study_instance_uids == tuple(uids[:900])


def test_c5_lists_of_two_levels_cannot_be_multiplied() -> None:
    many = [f"1.{number}" for number in range(101)]
    keys = {"QueryRetrieveLevel": "SERIES", "StudyInstanceUID": many, "SeriesInstanceUID": many}
    with pytest.raises(IdentifierMismatch, match="more than 100 UIDs"):
        read(STUDY, IMPLICIT, **keys)
    keys["StudyInstanceUID"] = many[:100]
    assert read(STUDY, IMPLICIT, **keys) == Selection(None, tuple(many[:100]), tuple(many))


@pytest.mark.parametrize("data", [b"", b"\1", b"\x08\0\x52\0CS\xff\xff" + b"STUDY", bytes(100)])
def test_what_is_no_identifier_is_refused(data: bytes) -> None:
    with pytest.raises((IdentifierMismatch, UnreadableInstance)):
        select(data)


def test_a_patient_id_is_read_in_the_character_set_of_the_request() -> None:
    keys = {"QueryRetrieveLevel": "PATIENT", "PatientID": "BN Ầ"}
    encoded = encode(EXPLICIT, SpecificCharacterSet="ISO_IR 192", **keys)
    assert select(encoded, model=PATIENT) == Selection("BN Ầ")
