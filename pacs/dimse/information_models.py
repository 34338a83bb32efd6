"""The information models of query/retrieve: their SOP classes, levels and keys (PS3.4 C.3, C.6)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from pacs.dicom.attributes import BY_KEYWORD, Attribute, Level
from pacs.errors import IdentifierMismatch

QUERY_RETRIEVE_LEVEL = 0x00080052


class QueryLevel(IntEnum):
    """Values of Query/Retrieve Level (0008,0052), from the highest to the lowest."""

    PATIENT = 0
    STUDY = 1
    SERIES = 2
    IMAGE = 3

    @property
    def unique_key(self) -> Attribute:
        """The attribute that names one entity of the level."""
        return BY_KEYWORD[_UNIQUE_KEYS[self]]

    @property
    def of_index(self) -> Level:
        """The level of the index that has its entities; a patient is known by studies."""
        return Level(max(self, QueryLevel.STUDY))


_UNIQUE_KEYS = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")


@dataclass(frozen=True, slots=True)
class InformationModel:
    """One information model, and the SOP classes of its three services."""

    name: str
    find_sop_class: str
    move_sop_class: str
    get_sop_class: str
    levels: tuple[QueryLevel, ...]  # from its root on

    def level_of(self, value: str) -> QueryLevel:
        """Return the level that a Query/Retrieve Level names.

        Raises
        ------
        IdentifierMismatch
            The model has no such level, or none is named.
        """
        name = value.strip().upper()
        level = next((level for level in self.levels if level.name == name), None)
        if level is None:
            names = ", ".join(level.name for level in self.levels)
            raise IdentifierMismatch(f"QueryRetrieveLevel is none of {names}")
        return level

    def levels_above(self, level: QueryLevel) -> list[QueryLevel]:
        """Return the levels between the root and a level, without it."""
        return [above for above in self.levels if above < level]


def _model(name: str, number: int, *levels: QueryLevel) -> InformationModel:
    find, move, get = (f"1.2.840.10008.5.1.4.1.2.{number}.{service}" for service in (1, 2, 3))
    return InformationModel(name, find, move, get, levels)


PATIENT_ROOT = _model("Patient Root", 1, *QueryLevel)
STUDY_ROOT = _model("Study Root", 2, QueryLevel.STUDY, QueryLevel.SERIES, QueryLevel.IMAGE)
PATIENT_STUDY_ONLY = _model("Patient/Study Only", 3, QueryLevel.PATIENT, QueryLevel.STUDY)  # retired
INFORMATION_MODELS = (PATIENT_ROOT, STUDY_ROOT, PATIENT_STUDY_ONLY)
