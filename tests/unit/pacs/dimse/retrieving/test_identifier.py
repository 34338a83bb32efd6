"""What the identifier of a retrieval asks for, and what it may not."""

from __future__ import annotations

import io
import struct
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from pacs.dimse.command import CommandField, decode_command_set
from pacs.dimse.message import DatasetChunks, Message
from pacs.dimse.pdu import NegotiatedContext
from pacs.dimse.retrieving.identifier import (
    GET_MODELS,
    MAX_IDENTIFIER_SIZE_BYTES,
    MOVE_MODELS,
    read_selection,
)
from pacs.dimse.upper_layer import Pdv
from pacs.errors import IdentifierMismatch, UnreadableInstance
from pacs.index.selection import Selection
from tests.unit.pacs.dimse.wire import EXPLICIT, IMPLICIT

PATIENT, STUDY, PATIENT_STUDY = MOVE_MODELS


class Fragments:
    def __init__(self, data: bytes) -> None:
        self._stream = io.BytesIO(data)
        self._size = len(data)

    def receive_pdv(self, *, begins_message: bool = False) -> Pdv:
        part = self._stream.read(16384)
        return Pdv(1, False, self._stream.tell() == self._size, memoryview(part))


def message(data: bytes, syntax: str = EXPLICIT, model: str = STUDY) -> Message:
    chunks = DatasetChunks(Fragments(data), 1, 2**32, present=True)
    context = NegotiatedContext(1, model, syntax)
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


def read(model: str = STUDY, syntax: str = EXPLICIT, **attributes: Any) -> Selection:
    return read_selection(message(encode(syntax, **attributes), syntax, model), MOVE_MODELS[model])


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
    syntax: str, model: str, keys: dict[str, Any], selection: Selection
) -> None:
    assert read(model, syntax, **keys) == selection


@pytest.mark.parametrize(
    ("model", "keys"),
    [
        (STUDY, {}),
        (STUDY, {"StudyInstanceUID": "1.2"}),
        (STUDY, {"QueryRetrieveLevel": "PATIENT", "PatientID": "BN1"}),
        (PATIENT_STUDY, {"QueryRetrieveLevel": "SERIES", "SeriesInstanceUID": "1.3"}),
        (STUDY, {"QueryRetrieveLevel": "study", "StudyInstanceUID": "1.2"}),
        (STUDY, {"QueryRetrieveLevel": "STUDY"}),
        (STUDY, {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": ""}),
        (PATIENT, {"QueryRetrieveLevel": "PATIENT"}),
        (PATIENT, {"QueryRetrieveLevel": "PATIENT", "PatientID": "*"}),
        (PATIENT, {"QueryRetrieveLevel": "PATIENT", "PatientID": ["BN1", "BN2"]}),
        (STUDY, {"QueryRetrieveLevel": "SERIES", "StudyInstanceUID": "1.2"}),
        (STUDY, {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "1.*"}),
        (STUDY, {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "*"}),
    ],
)
def test_c5_what_names_nothing_in_particular_is_refused(model: str, keys: dict[str, Any]) -> None:
    with pytest.raises(IdentifierMismatch):
        read(model, **keys)


def test_c3_an_identifier_of_more_than_a_mebibyte_is_refused() -> None:
    filler = struct.pack("<HH2sHI", 0x0009, 0x1001, b"OB", 0, MAX_IDENTIFIER_SIZE_BYTES)
    huge = encode(EXPLICIT, QueryRetrieveLevel="STUDY") + filler + bytes(MAX_IDENTIFIER_SIZE_BYTES)
    with pytest.raises(IdentifierMismatch):
        read_selection(message(huge), MOVE_MODELS[STUDY])


def test_c3_a_deep_identifier_is_refused_without_recursion() -> None:
    deep = struct.pack("<HH2sHI", 0x0008, 0x1111, b"SQ", 0, 0xFFFFFFFF)
    deep = (deep + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)) * 10_000
    with pytest.raises(UnreadableInstance):
        read_selection(message(deep), MOVE_MODELS[STUDY])


def test_a_list_that_is_cut_is_refused_and_not_half_performed() -> None:
    uids = [f"1.2.{number:060d}" for number in range(1100)]
    keys = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": uids}
    with pytest.raises(IdentifierMismatch, match="64 KiB"):
        read(STUDY, IMPLICIT, **keys)
    keys["StudyInstanceUID"] = uids[:900]
    assert read(STUDY, EXPLICIT, **keys).study_instance_uids == tuple(uids[:900])


@pytest.mark.parametrize("data", [b"", b"\1", b"\x08\0\x52\0CS\xff\xff" + b"STUDY", bytes(100)])
def test_what_is_no_identifier_is_refused(data: bytes) -> None:
    with pytest.raises((IdentifierMismatch, UnreadableInstance)):
        read_selection(message(data), MOVE_MODELS[STUDY])


def test_there_are_three_models_each_with_get_and_move() -> None:
    assert [(m.move_sop_class_uid, m.levels) for m in GET_MODELS.values()] == [
        (m.move_sop_class_uid, m.levels) for m in MOVE_MODELS.values()
    ]
    assert len(GET_MODELS) == 3
