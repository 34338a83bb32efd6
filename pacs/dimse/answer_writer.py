"""Answers as identifiers of C-FIND responses (PS3.4 C.4.1.1.3.2, K.4.1.1.3.2), whatever they are of."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from operator import attrgetter
from typing import Any, Final, Generic, TypeAlias, TypeVar

from pacs.dicom.character_sets import TextEncoder
from pacs.dicom.encoding import ElementEncoder

T = TypeVar("T")
U = TypeVar("U")
Writer: TypeAlias = Callable[[T, TextEncoder], bytes]

_SPECIFIC_CHARACTER_SET: Final = 0x00080005
_TEXT_VRS: Final = frozenset({"LO", "LT", "PN", "SH", "UC"})  # those of our attributes with a character set
# What a device gives back, or compares: it finds nothing again under another spelling.
_IDENTIFIERS: Final = frozenset(
    {
        0x00080050,  # Accession Number
        0x00080100,  # Code Value
        0x00080102,  # Coding Scheme Designator
        0x00080119,  # Long Code Value
        0x00100020,  # Patient ID
        0x00100021,  # Issuer of Patient ID
        0x00101000,  # Other Patient IDs
        0x00200010,  # Study ID
        0x00380010,  # Admission ID
        0x00400009,  # Scheduled Procedure Step ID
        0x00401001,  # Requested Procedure ID
        0x00402016,  # Placer Order Number / Imaging Service Request
        0x00402017,  # Filler Order Number / Imaging Service Request
    }
)


class AnswerWriter(Generic[T]):
    """Writes the answers of one C-FIND, each in the first character set that has all of its characters.

    Parameters
    ----------
    writers
        Of the elements of an answer, by tag.
    elements
        How elements are written in the transfer syntax of the presentation context.
    encoders
        Tried one after the other; the last one has every character.
    """

    def __init__(
        self, writers: Mapping[int, Writer[T]], elements: ElementEncoder, encoders: Iterable[TextEncoder]
    ) -> None:
        self._elements = elements
        self._writers = in_order(writers)
        self._encoders = [(self._declare(one), one) for one in encoders]

    def write(self, answer: T) -> bytes:
        """Write one answer, its elements in ascending order of their tags."""
        *others, (last_declared, last) = self._encoders
        for declared, encoder in others:
            try:
                return declared + _write(self._writers, answer, encoder)
            except UnicodeError:
                continue
        return last_declared + _write(self._writers, answer, last)

    def _declare(self, encoder: TextEncoder) -> bytes:
        if not encoder.specific_character_set:
            return b""
        return self._elements.text(_SPECIFIC_CHARACTER_SET, "CS", encoder.specific_character_set)


def in_order(writers: Mapping[int, Writer[T]]) -> list[Writer[T]]:
    """Return writers in ascending order of their tags."""
    return [write for _, write in sorted(writers.items())]


def constant(encoded: bytes) -> Writer[Any]:
    """Write the same in every answer."""
    return lambda _answer, _encoder: encoded


def value_writer(elements: ElementEncoder, tag: int, vr: str, value_of: Callable[[T], object]) -> Writer[T]:
    """Write a value, or a list or tuple of several, as an element; an empty one where there is none."""
    empty, has_character_set = elements.text(tag, vr, b""), vr in _TEXT_VRS
    encode_of = attrgetter("encode_identifier" if tag in _IDENTIFIERS else "encode")

    def write(answer: T, encoder: TextEncoder) -> bytes:
        value = value_of(answer)
        if not value and value != 0:
            return empty
        if elements.is_number(vr):
            return elements.numbers(tag, vr, [int(str(value))])
        text = "\\".join(value) if isinstance(value, list | tuple) else str(value)
        encoded = encode_of(encoder)(text) if has_character_set else text.encode("ascii", "replace")
        return elements.text(tag, vr, encoded)

    return write


def sequence_writer(
    elements: ElementEncoder,
    tag: int,
    items_of: Callable[[T], Iterable[U]],
    writers: Mapping[int, Writer[U]],
) -> Writer[T]:
    """Write items as a sequence; ``writers`` are those of the elements of an item."""
    ordered = in_order(writers)

    def write(answer: T, encoder: TextEncoder) -> bytes:
        return elements.sequence(tag, [_write(ordered, item, encoder) for item in items_of(answer)])

    return write


def _write(writers: Iterable[Writer[T]], answer: T, encoder: TextEncoder) -> bytes:
    return b"".join([write(answer, encoder) for write in writers])
