"""What a C-GET or C-MOVE asks for: the information models, and the unique keys of an identifier."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pacs.dicom.header import MAX_VALUE_SIZE_BYTES, scan_header
from pacs.dicom.transfer_syntaxes import TRANSFER_SYNTAXES
from pacs.dicom.uids import parse_uid
from pacs.dimse.message import Message
from pacs.errors import IdentifierMismatch, InvalidUid
from pacs.index.selection import Selection

MAX_IDENTIFIER_SIZE_BYTES: Final = 1024 * 1024
RELATIONAL_RETRIEVAL: Final = b"\1"  # PS3.4 C.5.2.1: keys of the levels above are not needed

_LEVEL: Final = 0x00080052
_PATIENT_ID: Final = 0x00100020
_UID_TAGS: Final = {"STUDY": 0x0020000D, "SERIES": 0x0020000E, "IMAGE": 0x00080018}
_WANTED: Final = frozenset({_LEVEL, _PATIENT_ID, *_UID_TAGS.values()})
_MAX_ELEMENTS: Final = 10_000


@dataclass(frozen=True, slots=True)
class InformationModel:
    """A model of PS3.4 C.6, by the SOP classes of its retrieval and its levels."""

    move_sop_class_uid: str
    get_sop_class_uid: str
    levels: tuple[str, ...]


INFORMATION_MODELS: Final = (
    InformationModel(
        "1.2.840.10008.5.1.4.1.2.1.2", "1.2.840.10008.5.1.4.1.2.1.3", ("PATIENT", "STUDY", "SERIES", "IMAGE")
    ),
    InformationModel(
        "1.2.840.10008.5.1.4.1.2.2.2", "1.2.840.10008.5.1.4.1.2.2.3", ("STUDY", "SERIES", "IMAGE")
    ),
    InformationModel(  # Patient/Study Only, retired
        "1.2.840.10008.5.1.4.1.2.3.2", "1.2.840.10008.5.1.4.1.2.3.3", ("PATIENT", "STUDY")
    ),
)
MOVE_MODELS: Final[Mapping[str, InformationModel]] = {m.move_sop_class_uid: m for m in INFORMATION_MODELS}
GET_MODELS: Final[Mapping[str, InformationModel]] = {m.get_sop_class_uid: m for m in INFORMATION_MODELS}


def read_selection(message: Message, model: InformationModel) -> Selection:
    """Read the identifier of a request.

    The unique key of the level that is asked for must be there; those of the levels above may be, and narrow
    it. So hierarchical and relational retrieval are one (PS3.4 C.4.2.2.1, C.4.2.3). Keys of levels below, and
    those that are none, have no meaning in a retrieval and are passed over.

    Raises
    ------
    IdentifierMismatch
        No level of this model, its unique key is missing, or a value is not of its form.
    pacs.errors.UnreadableInstance
        It is no data set.

    References
    ----------
    PS3.4 C.4.2.1.4, C.4.2.2.1.1
    """
    encoded = message.dataset.read(MAX_IDENTIFIER_SIZE_BYTES)
    if encoded is None:
        raise IdentifierMismatch("the identifier is larger than 1 MiB")
    syntax = TRANSFER_SYNTAXES[message.context.transfer_syntax_uid]
    values = scan_header(encoded, syntax, _WANTED, max_elements=_MAX_ELEMENTS).elements.values
    level = values.get(_LEVEL, b"").strip(b" \0").decode("ascii", "replace")
    if level not in model.levels:
        raise IdentifierMismatch("the Query/Retrieve Level (0008,0052) is none of this model")
    asked = model.levels[: model.levels.index(level) + 1]
    uids = {name: _uids(values.get(tag, b"")) for name, tag in _UID_TAGS.items() if name in asked}
    patient_id = _patient_id(values.get(_PATIENT_ID, b"")) if "PATIENT" in asked else None
    if (patient_id if level == "PATIENT" else uids[level]) is None:
        raise IdentifierMismatch(f"the unique key of the level {level} is missing")
    return Selection(patient_id, uids.get("STUDY"), uids.get("SERIES"), uids.get("IMAGE"))


def _uids(value: bytes) -> tuple[str, ...] | None:
    """Read a UID or a list of them; None where there is none."""
    if len(value) >= MAX_VALUE_SIZE_BYTES:  # the scan has cut it
        raise IdentifierMismatch("a list of UIDs is longer than 64 KiB")
    text = value.decode("ascii", "replace").strip(" \0")
    if not text:
        return None
    try:
        return tuple(parse_uid(uid.strip(" ")) for uid in text.split("\\"))
    except InvalidUid as error:
        raise IdentifierMismatch(str(error)) from error


def _patient_id(value: bytes) -> str | None:
    """Read a Patient ID: a single value, without wildcards, for a retrieval wants to be told exactly."""
    try:
        text = value.decode("utf-8").strip(" \0")
    except UnicodeDecodeError as error:
        raise IdentifierMismatch("the Patient ID is not readable as UTF-8") from error
    if "\\" in text or "*" in text:
        raise IdentifierMismatch("the Patient ID (0010,0020) is a single value without wildcards")
    return text or None
