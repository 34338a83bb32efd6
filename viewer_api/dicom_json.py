"""Answers of the index in the DICOM JSON Model (PS3.18 Annex F)."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, TypeAlias

from pacs.dicom.attributes import ATTRIBUTES, Attribute, Level
from pacs.dicom.json_model import (
    SPECIFIC_CHARACTER_SET,
    Element,
    JsonDataset,
    element,
    name_to_json,
    number_to_json,
    sequence,
)
from pacs.dicomweb_urls import DicomWebUrls
from pacs.index.records import Match, ProcedureCode, RequestAttributes

RETRIEVE_URL = "00081190"
INSTANCE_AVAILABILITY = "00080056"
_PROCEDURE_CODE_SEQUENCE = 0x00081032
_REQUEST_ATTRIBUTES_SEQUENCE = 0x00400275

_Writer: TypeAlias = Callable[[Match, DicomWebUrls], Element]
# How texts of the index are written that are no text in JSON.
_CONVERSIONS: Final[dict[str, Callable[[str], Any]]] = {"PN": name_to_json, "DS": number_to_json}
_LAYOUTS: Final = 256  # sets of attributes that are remembered; a client asks for few


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
    return {tag: write(match, urls) for tag, write in _layout(level, returned)}


@lru_cache(_LAYOUTS)
def _layout(level: Level, returned: frozenset[int]) -> tuple[tuple[str, _Writer], ...]:
    """Say how the elements are written, in the order of their tags: worked out once for many answers."""
    writers: dict[str, _Writer] = {
        SPECIFIC_CHARACTER_SET: _constant(element("CS", "ISO_IR 192")),
        INSTANCE_AVAILABILITY: _constant(element("CS", "ONLINE")),
        RETRIEVE_URL: lambda match, urls: element("UR", _retrieve_url(match, level, urls)),
    }
    for attribute in ATTRIBUTES:
        if attribute.level <= level and attribute.tag in returned:
            writers[attribute.tag_hex] = _value_writer(attribute)
    if _PROCEDURE_CODE_SEQUENCE in returned:
        writers[f"{_PROCEDURE_CODE_SEQUENCE:08X}"] = _write_codes
    if _REQUEST_ATTRIBUTES_SEQUENCE in returned and level >= Level.SERIES:
        writers[f"{_REQUEST_ATTRIBUTES_SEQUENCE:08X}"] = _write_requests
    return tuple(sorted(writers.items()))


def _constant(written: Element) -> _Writer:
    return lambda _match, _urls: written


def _value_writer(attribute: Attribute) -> _Writer:
    keyword, vr, empty = attribute.keyword, attribute.vr, element(attribute.vr)
    convert = _CONVERSIONS.get(vr)

    def write(match: Match, _urls: DicomWebUrls) -> Element:
        value = match.values.get(keyword)
        if value is None or value in ("", []):
            return empty
        values = value if isinstance(value, list) else [value]
        return {"vr": vr, "Value": values if convert is None else [convert(str(one)) for one in values]}

    return write


def _write_codes(match: Match, _urls: DicomWebUrls) -> Element:
    return sequence(map(_code_to_json, match.procedure_codes))


def _write_requests(match: Match, _urls: DicomWebUrls) -> Element:
    return sequence(map(_request_to_json, match.request_attributes))


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
