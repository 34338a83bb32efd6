"""Answers of the index as identifiers of C-FIND responses (PS3.4 C.4.1.1.3.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, TypeAlias

from pacs.dicom.attributes import BY_TAG, PATIENT_ATTRIBUTES, SEQUENCE_KEYS, Attribute
from pacs.dicom.character_sets import Encode, TextEncoder
from pacs.dicom.encoding import ElementEncoder
from pacs.dimse.find_request import FindRequest
from pacs.dimse.information_models import QUERY_RETRIEVE_LEVEL
from pacs.index.records import Match, ProcedureCode, RequestAttributes

_SPECIFIC_CHARACTER_SET: Final = 0x00080005
_RETRIEVE_AE_TITLE: Final = 0x00080054
_INSTANCE_AVAILABILITY: Final = 0x00080056
_PROCEDURE_CODE_SEQUENCE: Final = 0x00081032
_REQUEST_ATTRIBUTES_SEQUENCE: Final = 0x00400275
_ATTRIBUTES: Final = BY_TAG | {attribute.tag: attribute for attribute in PATIENT_ATTRIBUTES}
_VRS_IN_ITEMS: Final = {key.tag: key.vr for key in SEQUENCE_KEYS}
_TEXT_VRS: Final = frozenset({"LO", "LT", "PN", "SH"})  # those of our attributes that have a character set

_Writer: TypeAlias = Callable[[Match, Encode], bytes]


class AnswerWriter:
    """Writes the answers of one C-FIND, each in the first character set that has all of its characters.

    Parameters
    ----------
    request
        What the answers hold.
    elements
        How elements are written in the transfer syntax of the presentation context.
    encoders
        Tried one after the other; the last one has every character.
    retrieve_ae_title
        Whom to ask for the objects.
    """

    def __init__(
        self,
        request: FindRequest,
        elements: ElementEncoder,
        encoders: Iterable[TextEncoder],
        retrieve_ae_title: str,
    ) -> None:
        self._elements = elements
        self._returned_in_items = request.returned_in_items
        fixed = {
            QUERY_RETRIEVE_LEVEL: elements.text(QUERY_RETRIEVE_LEVEL, "CS", request.level.name.encode()),
            _RETRIEVE_AE_TITLE: elements.text(_RETRIEVE_AE_TITLE, "AE", retrieve_ae_title.encode()),
            _INSTANCE_AVAILABILITY: elements.text(_INSTANCE_AVAILABILITY, "CS", b"ONLINE"),
        }
        writers = {tag: _constant(encoded) for tag, encoded in fixed.items()}
        writers |= {tag: self._writer(tag) for tag in request.returned}
        self._writers = [write for _, write in sorted(writers.items())]
        self._encoders = [(self._declare(one), one.encode) for one in encoders]

    def write(self, match: Match) -> bytes:
        """Write one answer, its elements in ascending order of their tags."""
        *others, (last_declared, encode_any) = self._encoders
        for declared, encode in others:
            try:
                return declared + self._write(match, encode)
            except UnicodeError:
                continue
        return last_declared + self._write(match, encode_any)

    def _write(self, match: Match, encode: Encode) -> bytes:
        return b"".join([write(match, encode) for write in self._writers])

    def _declare(self, encoder: TextEncoder) -> bytes:
        if not encoder.specific_character_set:
            return b""
        return self._elements.text(_SPECIFIC_CHARACTER_SET, "CS", encoder.specific_character_set)

    def _writer(self, tag: int) -> _Writer:
        if tag == _PROCEDURE_CODE_SEQUENCE:
            return lambda match, encode: self._sequence(tag, map(_code_values, match.procedure_codes), encode)
        if tag == _REQUEST_ATTRIBUTES_SEQUENCE:
            return lambda match, encode: self._sequence(
                tag, map(_request_values, match.request_attributes), encode
            )
        return self._value_writer(_ATTRIBUTES[tag])

    def _value_writer(self, attribute: Attribute) -> _Writer:
        keyword, tag, vr, elements = attribute.keyword, attribute.tag, attribute.vr, self._elements
        empty, has_character_set = elements.text(tag, vr, b""), vr in _TEXT_VRS

        def write(match: Match, encode: Encode) -> bytes:
            value = match.values.get(keyword)
            if value is None or value in ("", []):
                return empty
            if elements.is_number(vr):
                return elements.numbers(tag, vr, [int(str(value))])
            text = "\\".join(value) if isinstance(value, list) else str(value)
            encoded = encode(text) if has_character_set else text.encode("ascii", "replace")
            return elements.text(tag, vr, encoded)

        return write

    def _sequence(self, tag: int, items: Iterable[Mapping[int, str | None]], encode: Encode) -> bytes:
        wanted = self._returned_in_items.get(tag)
        return self._elements.sequence(
            tag,
            [
                b"".join(
                    self._elements.text(inner, _VRS_IN_ITEMS[inner], encode(value or ""))
                    for inner, value in item.items()
                    if wanted is None or inner in wanted
                )
                for item in items
            ],
        )


def _constant(encoded: bytes) -> _Writer:
    return lambda _match, _encode: encoded


def _code_values(code: ProcedureCode) -> Mapping[int, str | None]:
    return {0x00080100: code.value, 0x00080102: code.scheme, 0x00080104: code.meaning}


def _request_values(request: RequestAttributes) -> Mapping[int, str | None]:
    return {0x00400009: request.scheduled_procedure_step_id, 0x00401001: request.requested_procedure_id}
