"""What a query of the worklist asks for: from its identifier to the keys of the index."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pacs.dicom.attributes import Matching
from pacs.dicom.identifier import Identifier, Item
from pacs.dicom.worklist_attributes import (
    BY_TAG,
    CODE_BY_TAG,
    CODE_SEQUENCES,
    SCHEDULED_PROCEDURE_STEP_SEQUENCE,
    CodeAttribute,
    Part,
    WorklistAttribute,
)
from pacs.errors import InvalidRequest
from pacs.index.records import WorklistQuery

# Sequences that Table K.6-1 has and of which nothing is known here: they are answered without items.
EMPTY_SEQUENCES: Final = frozenset({0x00081110, 0x00081120})  # Referenced Study, Referenced Patient
_STATUS: Final = 0x00400020
# Specific Character Set, Timezone Offset From UTC: what says how is asked
_NO_KEYS: Final = frozenset({0x00080005, 0x00080201})


@dataclass(frozen=True, slots=True)
class WorklistRequest:
    """A query of the worklist that was understood, and what its answers hold.

    ``has_unsupported_keys``: some key of the identifier does not exist here, or does not match.
    """

    query: WorklistQuery
    returned: Mapping[Part, frozenset[int]]  # tags; of a step none where its sequence was not asked for
    returned_of_codes: Mapping[Part, frozenset[int]]
    has_unsupported_keys: bool


def parse_worklist_request(identifier: Identifier, station: str | None = None) -> WorklistRequest:
    """Understand the identifier of a C-FIND-RQ of the worklist.

    Steps that have ended are no work any more: they are found only by who asks for a status.

    Parameters
    ----------
    station
        The AE title whose steps, and those of no station, are all that there is to find; None: all are.

    Raises
    ------
    InvalidRequest
        A sequence has more than one item.

    References
    ----------
    PS3.4 K.4.1.1.3.1, Table K.6-1
    """
    keys = _Keys()
    keys.add(Part.ORDER, identifier)
    asked = {key.tag for key, value in keys.matching if value.strip() not in ("", "*")}
    query = WorklistQuery(keys.matching, keys.codes, open_only=_STATUS not in asked, station=station)
    returned = {part: frozenset(tags) for part, tags in keys.returned.items()}
    return WorklistRequest(query, returned, keys.returned_of_codes, keys.has_unsupported)


class _Keys:
    """The keys of an identifier, one after the other: what is matched, returned, or not supported."""

    def __init__(self) -> None:
        self.matching: list[tuple[WorklistAttribute, str]] = []
        self.codes: list[tuple[Part, CodeAttribute, str]] = []
        self.returned: dict[Part, set[int]] = {part: set() for part in Part}
        self.returned_of_codes: dict[Part, frozenset[int]] = {}
        self.has_unsupported = False

    def add(self, part: Part, item: Item) -> None:
        """Take the keys of a part of an order."""
        for tag, value in item.values.items():
            if tag not in _NO_KEYS:
                self._add_key(part, tag, value)
        for tag, items in item.sequences.items():
            self._add_sequence(part, tag, items)

    def _add_key(self, part: Part, tag: int, value: str) -> None:
        attribute = BY_TAG[part].get(tag)
        if attribute is None:
            self._add_empty_sequence(part, tag, value)
            return
        self.returned[part].add(tag)
        if value and attribute.matching is Matching.NONE:
            self.has_unsupported |= value != "*"
        elif value:
            self.matching.append((attribute, value))

    def _add_empty_sequence(self, part: Part, tag: int, value: str) -> None:
        """Take a sequence that came as an empty value; all else that has no attribute is not supported."""
        if value or not _has_sequence(part, tag):
            self.has_unsupported = True
        else:
            self._add_sequence(part, tag, ())

    def _add_sequence(self, part: Part, tag: int, items: Sequence[Item]) -> None:
        if not _has_sequence(part, tag):
            self.has_unsupported = True
            return
        if len(items) > 1:
            raise InvalidRequest("a sequence of an identifier has more than one item")
        self.returned[part].add(tag)
        item = items[0] if items else Item({})
        if tag == SCHEDULED_PROCEDURE_STEP_SEQUENCE:
            self.add(Part.STEP, item)
            if not (item.values or item.sequences):  # all of it is wanted
                self.returned[Part.STEP] |= BY_TAG[Part.STEP].keys() | {CODE_SEQUENCES[Part.STEP][0]}
        elif tag not in EMPTY_SEQUENCES:
            self._add_codes(part, item)

    def _add_codes(self, part: Part, item: Item) -> None:
        """Take a code sequence: its item holds the keys that one item of an answer must match (C.2.2.2.6)."""
        self.has_unsupported |= bool(item.values.keys() - CODE_BY_TAG.keys() or item.sequences)
        if item.values:
            self.returned_of_codes[part] = frozenset(item.values.keys() & CODE_BY_TAG.keys())
        for tag in sorted(item.values.keys() & CODE_BY_TAG.keys()):
            if item.values[tag]:
                self.codes.append((part, CODE_BY_TAG[tag], item.values[tag]))


def _has_sequence(part: Part, tag: int) -> bool:
    return tag in _SEQUENCES[part]


_SEQUENCES: Final[Mapping[Part, Collection[int]]] = {
    Part.ORDER: {SCHEDULED_PROCEDURE_STEP_SEQUENCE, CODE_SEQUENCES[Part.ORDER][0], *EMPTY_SEQUENCES},
    Part.STEP: {CODE_SEQUENCES[Part.STEP][0]},
}
