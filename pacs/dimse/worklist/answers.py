"""Scheduled steps as identifiers of C-FIND responses (PS3.4 K.4.1.1.3.2)."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from operator import attrgetter
from typing import Final

from pacs.dicom.character_sets import TextEncoder
from pacs.dicom.encoding import ElementEncoder
from pacs.dicom.orders import Code
from pacs.dicom.worklist_attributes import (
    BY_TAG,
    CODE_BY_TAG,
    CODE_SEQUENCES,
    SCHEDULED_PROCEDURE_STEP_SEQUENCE,
    Part,
    WorklistAttribute,
)
from pacs.dimse.answer_writer import AnswerWriter, Writer, constant, sequence_writer, value_writer
from pacs.dimse.worklist.request import EMPTY_SEQUENCES, WorklistRequest
from pacs.index.records import WorklistItem

_CODE_VALUE: Final = 0x00080100
_LONG_CODE_VALUE: Final = 0x00080119
_LONGEST_CODE_VALUE: Final = 16  # VR SH


def worklist_writer(
    request: WorklistRequest, elements: ElementEncoder, encoders: Iterable[TextEncoder], station: str
) -> AnswerWriter[WorklistItem]:
    """Make the writer of what a query of the worklist is answered with.

    Parameters
    ----------
    request
        What the answers hold.
    elements, encoders
        See `AnswerWriter`.
    station
        The AE title that a step which any station may perform is said to be scheduled for, as the Standard
        wants one: that of who asks.
    """
    of_step = _writers(Part.STEP, request, elements, station)
    writers = _writers(Part.ORDER, request, elements, station)
    if SCHEDULED_PROCEDURE_STEP_SEQUENCE in request.returned[Part.ORDER]:
        tag = SCHEDULED_PROCEDURE_STEP_SEQUENCE
        writers[tag] = sequence_writer(elements, tag, lambda item: (item,), of_step)
    return AnswerWriter(writers, elements, encoders)


def _writers(
    part: Part, request: WorklistRequest, elements: ElementEncoder, station: str
) -> dict[int, Writer[WorklistItem]]:
    writers: dict[int, Writer[WorklistItem]] = {}
    sequence, field = CODE_SEQUENCES[part]
    for tag in request.returned[part]:
        if tag in EMPTY_SEQUENCES:
            writers[tag] = constant(elements.sequence(tag, ()))
        elif tag == sequence:
            codes = _code_writers(request.returned_of_codes.get(part), elements)
            writers[tag] = sequence_writer(elements, tag, attrgetter(f"{part.value}.{field}"), codes)
        elif attribute := BY_TAG[part].get(tag):
            writers[tag] = _value_writer(attribute, elements, station)
    return writers


def _value_writer(
    attribute: WorklistAttribute, elements: ElementEncoder, station: str
) -> Writer[WorklistItem]:
    tag, vr = attribute.tag, attribute.vr
    if attribute.field == "station_ae_titles":
        return value_writer(elements, tag, vr, lambda item: item.step.station_ae_titles or station)
    return value_writer(elements, tag, vr, attrgetter(f"{attribute.part.value}.{attribute.field}"))


def _code_writers(wanted: Collection[int] | None, elements: ElementEncoder) -> dict[int, Writer[Code]]:
    writers: dict[int, Writer[Code]] = {
        tag: value_writer(elements, tag, key.vr, attrgetter(key.field))
        for tag, key in CODE_BY_TAG.items()
        if wanted is None or tag in wanted
    }
    if short := writers.get(_CODE_VALUE):
        long: Writer[Code] = value_writer(elements, _LONG_CODE_VALUE, "UC", attrgetter("value"))
        writers[_CODE_VALUE] = _where(short, is_long=False)
        writers[_LONG_CODE_VALUE] = _where(long, is_long=True)
    return writers


def _where(write: Writer[Code], *, is_long: bool) -> Writer[Code]:
    """Write the value of a code where it is long, or where it is short (PS3.3 8.1)."""

    def write_some(code: Code, encoder: TextEncoder) -> bytes:
        return write(code, encoder) if (len(code.value) > _LONGEST_CODE_VALUE) == is_long else b""

    return write_some
