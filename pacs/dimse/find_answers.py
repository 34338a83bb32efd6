"""Answers of the index as identifiers of C-FIND responses of query/retrieve (PS3.4 C.4.1.1.3.2)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from operator import attrgetter
from typing import Any, Final

from pacs.dicom.attributes import BY_TAG, PATIENT_ATTRIBUTES, SEQUENCE_KEYS
from pacs.dicom.character_sets import TextEncoder
from pacs.dicom.encoding import ElementEncoder
from pacs.dimse.answer_writer import AnswerWriter, Writer, constant, sequence_writer, value_writer
from pacs.dimse.find_request import FindRequest
from pacs.dimse.information_models import QUERY_RETRIEVE_LEVEL
from pacs.index.records import Match

_RETRIEVE_AE_TITLE: Final = 0x00080054
_INSTANCE_AVAILABILITY: Final = 0x00080056
_ATTRIBUTES: Final = BY_TAG | {attribute.tag: attribute for attribute in PATIENT_ATTRIBUTES}
_VRS_IN_ITEMS: Final = {key.tag: key.vr for key in SEQUENCE_KEYS}
# Of each sequence: where a match has its items, and what its items have, by tag.
_SEQUENCES: Final[Mapping[int, tuple[Callable[[Match], Iterable[Any]], Mapping[int, str]]]] = {
    0x00081032: (
        attrgetter("procedure_codes"),
        {0x00080100: "value", 0x00080102: "scheme", 0x00080104: "meaning"},
    ),
    0x00400275: (
        attrgetter("request_attributes"),
        {0x00400009: "scheduled_procedure_step_id", 0x00401001: "requested_procedure_id"},
    ),
}


def match_writer(
    request: FindRequest, elements: ElementEncoder, encoders: Iterable[TextEncoder], retrieve_ae_title: str
) -> AnswerWriter[Match]:
    """Make the writer of what a request is answered with.

    Parameters
    ----------
    request
        What the answers hold.
    elements, encoders
        See `AnswerWriter`.
    retrieve_ae_title
        Whom to ask for the objects.
    """
    fixed = {
        QUERY_RETRIEVE_LEVEL: elements.text(QUERY_RETRIEVE_LEVEL, "CS", request.level.name.encode()),
        _RETRIEVE_AE_TITLE: elements.text(_RETRIEVE_AE_TITLE, "AE", retrieve_ae_title.encode()),
        _INSTANCE_AVAILABILITY: elements.text(_INSTANCE_AVAILABILITY, "CS", b"ONLINE"),
    }
    writers = {tag: constant(encoded) for tag, encoded in fixed.items()}
    for tag in request.returned:
        if tag in _SEQUENCES:
            writers[tag] = _sequence(elements, tag, request.returned_in_items.get(tag))
        else:
            writers[tag] = _value(elements, tag)
    return AnswerWriter(writers, elements, encoders)


def _value(elements: ElementEncoder, tag: int) -> Writer[Match]:
    keyword, vr = _ATTRIBUTES[tag].keyword, _ATTRIBUTES[tag].vr
    return value_writer(elements, tag, vr, lambda match: match.values.get(keyword))


def _sequence(elements: ElementEncoder, tag: int, wanted: Collection[int] | None) -> Writer[Match]:
    items_of, fields = _SEQUENCES[tag]
    writers: dict[int, Writer[Any]] = {
        inner: value_writer(elements, inner, _VRS_IN_ITEMS[inner], attrgetter(field))
        for inner, field in fields.items()
        if wanted is None or inner in wanted
    }
    return sequence_writer(elements, tag, items_of, writers)
