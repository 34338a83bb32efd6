"""What a C-FIND asks for: from its identifier to a query of the index, by the same keys as QIDO-RS."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from pacs.dicom.attributes import (
    BY_TAG,
    PATIENT_ATTRIBUTES,
    SEQUENCE_KEYS,
    SEQUENCE_TAGS,
    Attribute,
    Matching,
    SequenceKey,
)
from pacs.dicom.identifier import Identifier, Item
from pacs.dimse.information_models import QUERY_RETRIEVE_LEVEL, InformationModel, QueryLevel
from pacs.errors import IdentifierMismatch, InvalidRequest
from pacs.index.like import EMPTY, has_wildcard
from pacs.index.records import Query

Key: TypeAlias = Attribute | SequenceKey

# Specific Character Set, Query/Retrieve Level and View, Retrieve AE Title, Instance Availability: what says
# how is asked, and what is always answered.
_NO_KEYS: Final = frozenset({0x00080005, QUERY_RETRIEVE_LEVEL, 0x00080053, 0x00080054, 0x00080056})
_TIMEZONE_OFFSET_FROM_UTC: Final = 0x00080201  # says how times are meant, and is no key (C.4.1.1.3.1)
_PATIENT_BY_TAG: Final = {attribute.tag: attribute for attribute in PATIENT_ATTRIBUTES}


@dataclass(frozen=True, slots=True)
class Negotiated:
    """How queries of a SOP class are meant: each is off where it was not negotiated (PS3.4 C.5.1.1.1)."""

    relational: bool = False
    combined_datetime: bool = False
    fuzzy: bool = False
    empty_values: bool = False
    all_values: bool = False

    @classmethod
    def of(cls, application_information: bytes) -> Negotiated:
        """Read the application information that a requestor proposed; all but the time zone is done here."""
        relational, datetime, fuzzy, _, _, empty, multiple = (
            byte == 1 for byte in application_information[:7].ljust(7, b"\0")
        )
        return cls(relational, datetime, fuzzy, empty, multiple)


_SUPPORTED: Final = bytes((1, 1, 1, 0, 0, 1, 1))


def answer_extended_negotiation(proposed: bytes) -> bytes:
    """Answer what is proposed for a FIND SOP class, with as many bytes as were proposed.

    References
    ----------
    PS3.4 Table C.5-2: time zone adjustment and the conversion to enhanced multi-frame images are not done.
    """
    return bytes(ours & (theirs == 1) for ours, theirs in zip(_SUPPORTED, proposed, strict=False))


@dataclass(frozen=True, slots=True)
class FindRequest:
    """A C-FIND-RQ that was understood: the query, and what its answers hold.

    ``has_unsupported_keys``: some key of the identifier does not exist here, or does not match.
    """

    level: QueryLevel
    query: Query
    returned: frozenset[int]  # tags
    returned_in_items: Mapping[int, frozenset[int]]  # by sequence; one that is not here is returned whole
    has_unsupported_keys: bool


def parse_find_request(
    identifier: Identifier, model: InformationModel, negotiated: Negotiated
) -> FindRequest:
    """Understand the identifier of a C-FIND-RQ.

    Without relational queries, the unique keys of all levels above must be single values. Other keys of
    these levels are matched as well, though a peer need not send them.

    Raises
    ------
    IdentifierMismatch
        It does not fit the information model.
    InvalidRequest
        A sequence has more than one item.

    References
    ----------
    PS3.4 C.4.1.1.3.1, C.4.1.2.2, C.4.1.3.2
    """
    level = model.level_of(identifier.values.get(QUERY_RETRIEVE_LEVEL, ""))
    if not negotiated.relational:
        _require_hierarchy(identifier, model, level)
    keys = _Keys(level, negotiated)
    for tag, value in identifier.values.items():
        if tag not in _NO_KEYS:
            keys.add(tag, value)
    for tag, items in identifier.sequences.items():
        keys.add_sequence(tag, items)
    query = Query(
        level.of_index,
        keys.matching,
        fuzzy=negotiated.fuzzy,
        match_empty=negotiated.empty_values,
        match_all_values=negotiated.all_values,
        combined_ranges=negotiated.combined_datetime,
    )
    returned = keys.returned | {one.unique_key.tag for one in (*model.levels_above(level), level)}
    return FindRequest(level, query, frozenset(returned), keys.returned_in_items, keys.has_unsupported)


def _require_hierarchy(identifier: Identifier, model: InformationModel, level: QueryLevel) -> None:
    for above in model.levels_above(level):
        key = above.unique_key
        value = identifier.values.get(key.tag, "")
        if not value or has_wildcard(value) or "\\" in value or value == EMPTY:
            raise IdentifierMismatch(f"{key.keyword} is no single value, as this level needs")


class _Keys:
    """The keys of an identifier, one after the other: what is matched, returned, or not supported."""

    def __init__(self, level: QueryLevel, negotiated: Negotiated) -> None:
        self._level = level
        self._empty_values = negotiated.empty_values
        self.matching: list[tuple[Key, str]] = []
        self.returned: set[int] = set()
        self.returned_in_items: dict[int, frozenset[int]] = {}
        self.has_unsupported = False

    def add(self, tag: int, value: str) -> None:
        """Take a key with its value."""
        attribute = self._attribute(tag)
        if attribute is None:
            self._add_empty_sequence(tag, value)
            return
        self.returned.add(tag)
        if not value or tag == _TIMEZONE_OFFSET_FROM_UTC:
            return
        if attribute.matching is Matching.NONE:
            self.has_unsupported = True
        else:
            self.matching.append((attribute, value))

    def _attribute(self, tag: int) -> Attribute | None:
        if self._level is QueryLevel.PATIENT:
            return _PATIENT_BY_TAG.get(tag)
        attribute = BY_TAG.get(tag)
        return attribute if attribute is not None and attribute.level <= self._level.of_index else None

    def _add_empty_sequence(self, tag: int, value: str) -> None:
        """Take a sequence that came as an empty value; all else that has no attribute is not supported."""
        if not value and self._has_sequence(tag):
            self.returned.add(tag)
        else:
            self.has_unsupported = True

    def _has_sequence(self, tag: int) -> bool:
        level = SEQUENCE_TAGS.get(tag)
        return level is not None and level <= self._level.of_index and self._level is not QueryLevel.PATIENT

    def add_sequence(self, tag: int, items: Sequence[Item]) -> None:
        """Take a sequence: its item holds the keys that one item of an answer must match (C.2.2.2.6)."""
        if not self._has_sequence(tag):
            self.has_unsupported = True
            return
        if len(items) > 1:
            raise InvalidRequest("a sequence of an identifier has more than one item")
        self.returned.add(tag)
        wanted = dict(_item_keys(tag))
        for item in items:
            values = item.values
            if values or item.sequences:
                self.returned_in_items[tag] = frozenset(wanted.keys() & values.keys())
            self.has_unsupported |= bool(values.keys() - wanted.keys() or item.sequences)
            for inner in sorted(wanted.keys() & values.keys()):
                if values[inner]:
                    self.matching.append((wanted[inner], values[inner]))


def _item_keys(sequence_tag: int) -> Iterator[tuple[int, SequenceKey]]:
    return ((key.tag, key) for key in SEQUENCE_KEYS if key.sequence_tag == sequence_tag)
