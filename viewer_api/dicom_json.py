"""Answers of the index in the DICOM JSON Model (PS3.18 Annex F)."""

from __future__ import annotations

from collections.abc import Sequence

from pacs.dicom.attributes import ATTRIBUTES, Attribute, Level
from pacs.dicom.json_model import SPECIFIC_CHARACTER_SET, Element, JsonDataset, element, sequence
from pacs.dicomweb_urls import DicomWebUrls
from pacs.index.records import Match, ProcedureCode, RequestAttributes

RETRIEVE_URL = "00081190"
INSTANCE_AVAILABILITY = "00080056"
_PROCEDURE_CODE_SEQUENCE = 0x00081032
_REQUEST_ATTRIBUTES_SEQUENCE = 0x00400275

# Sequences of the index, with the level that they belong to.
SEQUENCE_TAGS = {_PROCEDURE_CODE_SEQUENCE: Level.STUDY, _REQUEST_ATTRIBUTES_SEQUENCE: Level.SERIES}


def match_to_json(match: Match, level: Level, returned: frozenset[int], urls: DicomWebUrls) -> JsonDataset:
    """Write one answer of a search as a data set, its elements in ascending order of their tags.

    Parameters
    ----------
    match
        The values, of ``level`` and of the levels above.
    returned
        Tags of the elements to write; one without a value is written empty (PS3.18 F.2.5).

    References
    ----------
    PS3.18 10.6.3.3, Tables 10.6.3-3 to 10.6.3-5
    """
    elements = {
        SPECIFIC_CHARACTER_SET: element("CS", "ISO_IR 192"),
        INSTANCE_AVAILABILITY: element("CS", "ONLINE"),
        RETRIEVE_URL: element("UR", _retrieve_url(match, level, urls)),
    }
    for attribute in ATTRIBUTES:
        if attribute.level <= level and attribute.tag in returned:
            elements[attribute.tag_hex] = _attribute_to_json(attribute, match.values.get(attribute.keyword))
    if _PROCEDURE_CODE_SEQUENCE in returned:
        elements[f"{_PROCEDURE_CODE_SEQUENCE:08X}"] = sequence(map(_code_to_json, match.procedure_codes))
    if _REQUEST_ATTRIBUTES_SEQUENCE in returned and level >= Level.SERIES:
        elements[f"{_REQUEST_ATTRIBUTES_SEQUENCE:08X}"] = sequence(
            map(_request_to_json, match.request_attributes)
        )
    return dict(sorted(elements.items()))


def _attribute_to_json(attribute: Attribute, value: str | int | Sequence[str] | None) -> Element:
    if isinstance(value, str | int) or value is None:
        return element(attribute.vr, value)
    return element(attribute.vr, *value)


def _retrieve_url(match: Match, level: Level, urls: DicomWebUrls) -> str:
    uids = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")[:level]
    study, *rest = [str(match.values[keyword]) for keyword in uids]
    if not rest:
        return urls.study(study)
    return urls.series(study, rest[0]) if len(rest) == 1 else urls.instance(study, rest[0], rest[1])


def _code_to_json(code: ProcedureCode) -> JsonDataset:
    return {
        "00080100": element("SH", code.value),
        "00080102": element("SH", code.scheme),
        "00080104": element("LO", code.meaning),
    }


def _request_to_json(request: RequestAttributes) -> JsonDataset:
    return {
        "00400009": element("SH", request.scheduled_procedure_step_id),
        "00401001": element("SH", request.requested_procedure_id),
    }
