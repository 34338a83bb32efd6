"""What the archive reads of an instance at ingest: its UIDs and the values of the index.

Most values of an instance are those of its whole series; so short ones are remembered with what they mean.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Final, Literal, TypeAlias

from pacs.dicom.attributes import ATTRIBUTES, Level
from pacs.dicom.deflated import scan_deflated_header
from pacs.dicom.element_heads import Buffer
from pacs.dicom.header import Elements, PixelData, scan_header
from pacs.dicom.text import TextDecoder, read_text, text_decoder
from pacs.dicom.transfer_syntaxes import TransferSyntax
from pacs.dicom.uids import parse_uid
from pacs.errors import InvalidUid, UnreadableInstance

_SPECIFIC_CHARACTER_SET = 0x00080005
_SOP_CLASS_UID, _SOP_INSTANCE_UID = 0x00080016, 0x00080018
_STUDY_INSTANCE_UID, _SERIES_INSTANCE_UID = 0x0020000D, 0x0020000E
_CODE_VALUE, _CODING_SCHEME_DESIGNATOR, _CODE_MEANING = 0x00080100, 0x00080102, 0x00080104
_LONG_CODE_VALUE = 0x00080119
_PROCEDURE_CODE_SEQUENCE = 0x00081032
_REQUESTED_PROCEDURE_CODE_SEQUENCE = 0x00321064
_REQUEST_ATTRIBUTES_SEQUENCE = 0x00400275
_SCHEDULED_PROTOCOL_CODE_SEQUENCE = 0x00400008
_SCHEDULED_PROCEDURE_STEP_ID = 0x00400009
_REQUESTED_PROCEDURE_ID = 0x00401001

_IDENTITY = frozenset({_SOP_CLASS_UID, _SOP_INSTANCE_UID, _STUDY_INSTANCE_UID, _SERIES_INSTANCE_UID})
_CODE_SEQUENCES = (
    _PROCEDURE_CODE_SEQUENCE,
    _REQUESTED_PROCEDURE_CODE_SEQUENCE,
    _SCHEDULED_PROTOCOL_CODE_SEQUENCE,
)
_WANTED_SEQUENCES = frozenset({*_CODE_SEQUENCES, _REQUEST_ATTRIBUTES_SEQUENCE})
_READ = tuple(attribute for attribute in ATTRIBUTES if not attribute.derived)
_MULTIPLE = frozenset(attribute.tag for attribute in _READ if attribute.multiple)
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

_MAX_ASCII_SIZE_BYTES: Final = 1024  # of a value other than text; what is behind is not looked at
_REMEMBERED_VALUES: Final = 1024  # of a kind, so that they take some 2 MB at the worst

Value: TypeAlias = str | int | None
Values: TypeAlias = Mapping[str, Value]


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
    dataset: Buffer, syntax: TransferSyntax, undeclared_character_set: str, *, whole: bool = True
) -> InstanceAttributes:
    """Read what the index keeps of an encoded data set.

    Missing and empty values are normal and left out, as are dates and numbers that are none. Where the data
    set is not ``whole`` but a beginning (never of a deflated one), its pixel data may end behind it.

    Raises
    ------
    UnreadableInstance
        The data set is damaged, or lacks one of the four UIDs that place an instance; ``InvalidUid`` where
        one of these is malformed.

    References
    ----------
    PS3.3 C.7.1.1, C.7.2.1, C.7.3.1, C.12.1
    """
    scan = scan_deflated_header if syntax.deflated else partial(scan_header, whole=whole)
    header = scan(dataset, syntax, _WANTED, _WANTED_SEQUENCES)
    elements = header.elements
    decode = text_decoder(elements.values.get(_SPECIFIC_CHARACTER_SET, b""), undeclared_character_set)
    study, series, instance = _values_by_level(elements, decode, header.big_endian)
    attributes = InstanceAttributes(
        sop_class_uid=_identity(elements, _SOP_CLASS_UID, "SOP Class UID (0008,0016)"),
        sop_instance_uid=_identity(elements, _SOP_INSTANCE_UID, "SOP Instance UID (0008,0018)"),
        study_instance_uid=_identity(elements, _STUDY_INSTANCE_UID, "Study Instance UID (0020,000D)"),
        series_instance_uid=_identity(elements, _SERIES_INSTANCE_UID, "Series Instance UID (0020,000E)"),
        study=study,
        series=series,
        instance=instance,
        procedure_codes=_coded_entries(elements, decode),
        request_items=_request_items(elements, decode),
        pixel_data=None if syntax.deflated else header.pixel_data,
    )
    study["study_instance_uid"] = attributes.study_instance_uid
    series["series_instance_uid"] = attributes.series_instance_uid
    instance["sop_class_uid"] = attributes.sop_class_uid
    instance["sop_instance_uid"] = attributes.sop_instance_uid
    return attributes


def _identity(elements: Elements, tag: int, name: str) -> str:
    try:
        uid = _uid(elements.values.get(tag, b"")[:_MAX_ASCII_SIZE_BYTES])
    except InvalidUid as error:
        raise InvalidUid(f"{name}: {error}") from error
    if not uid:
        raise UnreadableInstance(f"the data set has no {name}")
    return uid


def _values_by_level(
    elements: Elements, decode: TextDecoder, big_endian: bool
) -> tuple[dict[str, Value], dict[str, Value], dict[str, Value]]:
    """Read the values of study, series and instance, but for their UIDs."""
    levels: tuple[dict[str, Value], dict[str, Value], dict[str, Value]] = ({}, {}, {})
    columns = _COLUMNS[big_endian]
    for tag, raw in elements.values.items():
        if raw and tag in columns:
            level, column, read = columns[tag]
            value = read(raw[:_MAX_ASCII_SIZE_BYTES]) if read else read_text(raw, decode)
            if tag in _MULTIPLE and isinstance(value, str):
                value = "\\".join(one.strip() for one in value.split("\\"))
            if value is not None and value != "":
                levels[level][column] = value
    return levels


def _ascii(raw: bytes) -> str:
    return raw.decode("ascii", "replace").replace("\0", "").strip()


@lru_cache(_REMEMBERED_VALUES)
def _uid(raw: bytes) -> str:
    text = raw.decode("ascii", "replace").rstrip("\0 ")  # a NUL inside is refused
    return parse_uid(text) if text else ""


@lru_cache(_REMEMBERED_VALUES)
def _code_string(raw: bytes) -> str:
    return _ascii(raw)


@lru_cache(_REMEMBERED_VALUES)
def _date(raw: bytes) -> str | None:
    found = _DATE.fullmatch(_ascii(raw))
    return "".join(found.groups()) if found else None


@lru_cache(_REMEMBERED_VALUES)
def _time(raw: bytes) -> str | None:
    """Normalise a time to at least HHMMSS, so that times compare as text."""
    found = _TIME.fullmatch(_ascii(raw))
    if not found:
        return None
    hours, minutes, seconds, fraction = found.groups()
    return f"{hours}{minutes or '00'}{seconds or '00'}{fraction or ''}"


@lru_cache(_REMEMBERED_VALUES)
def _integer(raw: bytes) -> int | None:
    text = _ascii(raw)
    number = int(text) if _INTEGER.fullmatch(text) else None
    return number if number is not None and number in _INTEGER_RANGE else None


def _unsigned(byte_order: Literal["big", "little"], raw: bytes) -> int | None:
    return int.from_bytes(raw, byte_order) if len(raw) in (2, 4) else None


Reader: TypeAlias = Callable[[bytes], Value]


def _columns(byte_order: Literal["big", "little"]) -> dict[int, tuple[int, str, Reader | None]]:
    """Say by tag where a value belongs and how it is read; text, without a reader, by its character set."""
    readers: dict[str, Reader | None] = {
        "DA": _date,
        "TM": _time,
        "IS": _integer,
        "US": partial(_unsigned, byte_order),
        "CS": _code_string,
        "AS": _code_string,
        "DS": _code_string,
        **dict.fromkeys(("LO", "LT", "SH", "PN")),
    }
    return {a.tag: (a.level - Level.STUDY, a.column, readers[a.vr]) for a in _READ if a.tag not in _IDENTITY}


_COLUMNS: Final = {False: _columns("little"), True: _columns("big")}


def _coded_entries(elements: Elements, decode: TextDecoder) -> tuple[CodedEntry, ...]:
    """Collect procedure codes of the data set itself, then of the requests it answers."""
    if not elements.sequences:
        return ()
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
    return tuple(dict.fromkeys(entry for entry in entries if entry.value))


def _request_items(elements: Elements, decode: TextDecoder) -> tuple[RequestItem, ...]:
    items = (
        RequestItem(
            requested_procedure_id=_text(item, _REQUESTED_PROCEDURE_ID, decode),
            scheduled_procedure_step_id=_text(item, _SCHEDULED_PROCEDURE_STEP_ID, decode),
        )
        for item in elements.sequences.get(_REQUEST_ATTRIBUTES_SEQUENCE, [])
    )
    return tuple(item for item in dict.fromkeys(items) if item != RequestItem(None, None))


def _text(item: Elements, tag: int, decode: TextDecoder) -> str | None:
    raw = item.values.get(tag)
    return read_text(raw, decode) or None if raw else None
