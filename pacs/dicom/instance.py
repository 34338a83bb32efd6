"""What the archive reads of an instance at ingest: its UIDs and the values of the index."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pacs.dicom.attributes import ATTRIBUTES, Attribute, Level
from pacs.dicom.deflated import scan_deflated_header
from pacs.dicom.header import Buffer, Elements, Header, PixelData, scan_header
from pacs.dicom.text import TextDecoder, normalize, text_decoder
from pacs.dicom.transfer_syntaxes import TransferSyntax
from pacs.dicom.uids import parse_uid
from pacs.errors import InvalidUid, UnreadableInstance

_SPECIFIC_CHARACTER_SET = 0x00080005
_CODE_VALUE, _CODING_SCHEME_DESIGNATOR, _CODE_MEANING = 0x00080100, 0x00080102, 0x00080104
_LONG_CODE_VALUE = 0x00080119
_PROCEDURE_CODE_SEQUENCE = 0x00081032
_REQUESTED_PROCEDURE_CODE_SEQUENCE = 0x00321064
_REQUEST_ATTRIBUTES_SEQUENCE = 0x00400275
_SCHEDULED_PROTOCOL_CODE_SEQUENCE = 0x00400008
_SCHEDULED_PROCEDURE_STEP_ID = 0x00400009
_REQUESTED_PROCEDURE_ID = 0x00401001

_CODE_SEQUENCES = (
    _PROCEDURE_CODE_SEQUENCE,
    _REQUESTED_PROCEDURE_CODE_SEQUENCE,
    _SCHEDULED_PROTOCOL_CODE_SEQUENCE,
)
_WANTED_SEQUENCES = frozenset({*_CODE_SEQUENCES, _REQUEST_ATTRIBUTES_SEQUENCE})
_READ = tuple(attribute for attribute in ATTRIBUTES if not attribute.derived)
_WANTED = frozenset(
    {
        *(attribute.tag for attribute in _READ),
        _SPECIFIC_CHARACTER_SET,
        *(_CODE_VALUE, _CODING_SCHEME_DESIGNATOR, _CODE_MEANING, _LONG_CODE_VALUE),
        *(_SCHEDULED_PROCEDURE_STEP_ID, _REQUESTED_PROCEDURE_ID),
    }
)

_DATE = re.compile(r"(\d{4})[.]?(\d{2})[.]?(\d{2})", re.ASCII)  # with dots: ACR-NEMA, PS3.5 Table 6.2-1
_TIME = re.compile(r"(\d{2}):?(\d{2})?:?(\d{2})?(\.\d{1,6})?", re.ASCII)
_INTEGER = re.compile(r"[+-]?\d{1,12}", re.ASCII)
_INTEGER_RANGE = range(-(2**31), 2**31)

Values = Mapping[str, str | int | None]


@dataclass(frozen=True, slots=True)
class CodedEntry:
    """An item of a code sequence (PS3.3 8.8)."""

    value: str
    scheme: str
    meaning: str


@dataclass(frozen=True, slots=True)
class RequestItem:
    """An item of the Request Attributes Sequence."""

    requested_procedure_id: str | None
    scheduled_procedure_step_id: str | None


@dataclass(frozen=True, slots=True)
class InstanceAttributes:
    """An instance as the index wants it; the mappings are by column of :mod:`pacs.dicom.attributes`."""

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    study: Values
    series: Values
    instance: Values
    procedure_codes: tuple[CodedEntry, ...]
    request_items: tuple[RequestItem, ...]
    pixel_data: PixelData | None  # None also where the data set is deflated: no offset helps there


def read_instance(
    dataset: Buffer, syntax: TransferSyntax, undeclared_character_set: str
) -> InstanceAttributes:
    """Read what the index keeps of an encoded data set.

    Missing and empty values are normal and left out, as are dates and numbers that are none.

    Raises
    ------
    UnreadableInstance
        The data set is damaged, or lacks one of the four UIDs that place an instance; ``InvalidUid`` where
        one of these is malformed.

    References
    ----------
    PS3.3 C.7.1.1, C.7.2.1, C.7.3.1, C.12.1
    """
    scan = scan_deflated_header if syntax.deflated else scan_header
    header = scan(dataset, syntax, _WANTED, _WANTED_SEQUENCES)
    elements = header.elements
    decode = text_decoder(elements.values.get(_SPECIFIC_CHARACTER_SET, b""), undeclared_character_set)
    by_level: dict[Level, dict[str, str | int | None]] = {level: {} for level in Level}
    for attribute in _READ:
        raw = elements.values.get(attribute.tag)
        if raw:
            value = _value(attribute, raw, decode, header)
            if value not in (None, ""):
                by_level[attribute.level][attribute.column] = value
    study, series, instance = by_level[Level.STUDY], by_level[Level.SERIES], by_level[Level.INSTANCE]
    return InstanceAttributes(
        sop_class_uid=_identity(instance, "sop_class_uid", "SOP Class UID (0008,0016)"),
        sop_instance_uid=_identity(instance, "sop_instance_uid", "SOP Instance UID (0008,0018)"),
        study_instance_uid=_identity(study, "study_instance_uid", "Study Instance UID (0020,000D)"),
        series_instance_uid=_identity(series, "series_instance_uid", "Series Instance UID (0020,000E)"),
        study=study,
        series=series,
        instance=instance,
        procedure_codes=tuple(_coded_entries(elements, decode)),
        request_items=tuple(_request_items(elements, decode)),
        pixel_data=None if syntax.deflated else header.pixel_data,
    )


def _identity(values: dict[str, str | int | None], column: str, name: str) -> str:
    text = values.get(column)
    if text is None:
        raise UnreadableInstance(f"the data set has no {name}")
    try:
        values[column] = uid = parse_uid(str(text))
    except InvalidUid as error:
        raise InvalidUid(f"{name}: {error}") from error
    return uid


def _value(attribute: Attribute, raw: bytes, decode: TextDecoder, header: Header) -> str | int | None:
    match attribute.vr:
        case "DA":
            return _date(_plain(raw))
        case "TM":
            return _time(_plain(raw))
        case "IS":
            return _integer(_plain(raw))
        case "US":
            if len(raw) not in (2, 4):
                return None
            return int.from_bytes(raw, "big" if header.big_endian else "little")
        case "UI":
            return raw[:1024].decode("ascii", "replace").rstrip("\0 ")  # a NUL inside is refused
        case "CS":
            return _plain(raw)
        case _:
            return normalize(decode(raw))


def _plain(raw: bytes) -> str:
    return raw[:1024].decode("ascii", "replace").replace("\0", "").strip()


def _date(text: str) -> str | None:
    found = _DATE.fullmatch(text)
    return "".join(found.groups()) if found else None


def _time(text: str) -> str | None:
    """Normalise a time to at least HHMMSS, so that times compare as text."""
    found = _TIME.fullmatch(text)
    if not found:
        return None
    hours, minutes, seconds, fraction = found.groups()
    return f"{hours}{minutes or '00'}{seconds or '00'}{fraction or ''}"


def _integer(text: str) -> int | None:
    number = int(text) if _INTEGER.fullmatch(text) else None
    return number if number is not None and number in _INTEGER_RANGE else None


def _coded_entries(elements: Elements, decode: TextDecoder) -> list[CodedEntry]:
    """Collect procedure codes of the data set itself, then of the requests it answers."""
    holders = [elements, *elements.sequences.get(_REQUEST_ATTRIBUTES_SEQUENCE, [])]
    items = [item for holder in holders for tag in _CODE_SEQUENCES for item in holder.sequences.get(tag, [])]
    entries = (
        CodedEntry(
            value=_text(item, _CODE_VALUE, decode) or _text(item, _LONG_CODE_VALUE, decode) or "",
            scheme=_text(item, _CODING_SCHEME_DESIGNATOR, decode) or "",
            meaning=_text(item, _CODE_MEANING, decode) or "",
        )
        for item in items
    )
    return list(dict.fromkeys(entry for entry in entries if entry.value))


def _request_items(elements: Elements, decode: TextDecoder) -> list[RequestItem]:
    items = (
        RequestItem(
            requested_procedure_id=_text(item, _REQUESTED_PROCEDURE_ID, decode),
            scheduled_procedure_step_id=_text(item, _SCHEDULED_PROCEDURE_STEP_ID, decode),
        )
        for item in elements.sequences.get(_REQUEST_ATTRIBUTES_SEQUENCE, [])
    )
    return [item for item in dict.fromkeys(items) if item != RequestItem(None, None)]


def _text(item: Elements, tag: int, decode: TextDecoder) -> str | None:
    raw = item.values.get(tag)
    return normalize(decode(raw)) or None if raw else None
