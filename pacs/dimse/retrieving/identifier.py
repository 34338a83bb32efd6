"""What a C-GET or C-MOVE asks for: the unique keys of an identifier."""

from __future__ import annotations

from typing import Final

from pacs.dicom.header import MAX_VALUE_SIZE_BYTES
from pacs.dicom.identifier import Identifier
from pacs.dicom.uids import parse_uid
from pacs.dimse.information_models import QUERY_RETRIEVE_LEVEL, InformationModel, QueryLevel
from pacs.errors import IdentifierMismatch, InvalidUid
from pacs.index.selection import Selection

RELATIONAL_RETRIEVAL: Final = b"\1"  # PS3.4 C.5.2.1: keys of the levels above are not needed
_MOST_ABOVE: Final = 100  # UIDs of a level above the one that is asked for; the Standard allows one


def read_selection(identifier: Identifier, model: InformationModel) -> Selection:
    """Read the unique keys of an identifier.

    That of the level that is asked for must be there; those of the levels above may be, and narrow it. So
    hierarchical and relational retrieval are one (PS3.4 C.4.2.2.1, C.4.2.3). Keys of levels below, and those
    that are none, have no meaning in a retrieval and are passed over.

    Raises
    ------
    IdentifierMismatch
        No level of this model, its unique key is missing, or a value is not of its form.

    References
    ----------
    PS3.4 C.4.2.1.4, C.4.2.2.1.1
    """
    level = model.level_of(identifier.values.get(QUERY_RETRIEVE_LEVEL, ""))
    values = {
        one: identifier.values.get(one.unique_key.tag, "") for one in (*model.levels_above(level), level)
    }
    if not values[level]:
        raise IdentifierMismatch(f"the unique key of the level {level.name} is missing")
    uids = {one: _uids(value) for one, value in values.items() if one is not QueryLevel.PATIENT}
    if any(len(listed or ()) > _MOST_ABOVE for one, listed in uids.items() if one is not level):
        raise IdentifierMismatch(f"more than {_MOST_ABOVE} UIDs of a level above {level.name}")
    return Selection(
        _patient_id(values.get(QueryLevel.PATIENT, "")),
        uids.get(QueryLevel.STUDY),
        uids.get(QueryLevel.SERIES),
        uids.get(QueryLevel.IMAGE),
    )


def _uids(value: str) -> tuple[str, ...] | None:
    """Read a UID or a list of them; None where there is none."""
    if len(value) >= MAX_VALUE_SIZE_BYTES - 1:  # the scan has cut it
        raise IdentifierMismatch("a list of UIDs is longer than 64 KiB")
    if not value:
        return None
    try:
        return tuple(parse_uid(uid.strip(" ")) for uid in value.split("\\"))
    except InvalidUid as error:
        raise IdentifierMismatch(str(error)) from error


def _patient_id(value: str) -> str | None:
    """Read a Patient ID: a single value, without wildcards, for a retrieval wants to be told exactly."""
    if any(character in value for character in "\\*\0"):
        raise IdentifierMismatch("the Patient ID (0010,0020) is a single value without wildcards")
    return value or None
