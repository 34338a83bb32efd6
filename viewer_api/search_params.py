"""Query parameters of searches, checked before anything is done with them (PS3.18 8.3.4)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from pydicom.datadict import tag_for_keyword

from pacs.dicom.attributes import (
    ATTRIBUTES,
    BY_TAG,
    SEQUENCE_TAGS,
    Attribute,
    Level,
    SequenceKey,
    find_key,
    find_sequence,
)
from pacs.dicom.levels import level_of
from pacs.errors import InvalidRequest
from pacs.index.records import Query
from viewer_api.included_fields import MAX_READ
from viewer_api.params import MAX_PARAMETERS, parse_unsigned

MAX_RESULTS: Final = 1000
MAX_OFFSET: Final = 1_000_000
MAX_READ_FIELDS: Final = 64

_ALL = "all"
# Not matching keys (PS3.18 8.3.3, 8.3.4).
_OPTIONS = frozenset(
    {
        *("accept", "charset", "includefield", "limit", "offset"),
        *("fuzzymatching", "emptyvaluematching", "multiplevaluematching"),
    }
)
TAG: Final = re.compile(r"[0-9a-fA-F]{8}", re.ASCII)
_FIRST_GROUP: Final = 0x0008  # below are commands, file meta information and directory records
_PIXEL_DATA_GROUP: Final = 0x7FE00000
_NEVER_READ: Final = frozenset({0x00080005, 0x00080056, 0x00081190, 0x52009230})
_UIDS = frozenset({0x0020000D, 0x0020000E, 0x00080018})
_TRUTHS: Final = {"true": True, "false": False, "": False}


@dataclass(frozen=True, slots=True)
class Search:
    """A search as a client asked for it: the query, and the tags that answers hold.

    ``read`` are those among them that the index does not keep, in ascending order.
    """

    query: Query
    returned: frozenset[int]
    read: tuple[int, ...] = ()


def parse_search(
    parameters: Sequence[tuple[str, str]],
    level: Level,
    study_instance_uid: str | None = None,
    series_instance_uid: str | None = None,
) -> Search:
    """Understand the query parameters of a search transaction.

    Parameters
    ----------
    parameters
        Names and values, decoded, in the order of the request.
    level
        What is searched for.
    study_instance_uid, series_instance_uid
        From the path, where the search is within a study or a series.

    Raises
    ------
    InvalidRequest
        A value is not of its parameter's form, or a matching key is unknown, given twice, not held by the
        index, or of a level below the one that is searched.

    References
    ----------
    PS3.18 8.3.4, 10.6.1.2
    """
    if len(parameters) > MAX_PARAMETERS:
        raise InvalidRequest(f"more than {MAX_PARAMETERS} query parameters")
    keys = _matching_keys(parameters, level)
    included = _included(parameters)
    read = tuple(sorted({tag for field in included if (tag := _tag_to_read(field, level)) is not None}))
    if len(read) > MAX_READ_FIELDS:
        raise InvalidRequest(f"more than {MAX_READ_FIELDS} fields to include that the index does not keep")
    most = MAX_READ if read else MAX_RESULTS
    query = Query(
        level,
        keys,
        study_instance_uid,
        series_instance_uid,
        fuzzy=_truth(parameters, "fuzzymatching"),
        match_empty=_truth(parameters, "emptyvaluematching"),
        match_all_values=_truth(parameters, "multiplevaluematching"),
        limit=min(parse_unsigned(parameters, "limit", most), most),
        offset=parse_unsigned(parameters, "offset", 0),
    )
    if query.offset > MAX_OFFSET:
        raise InvalidRequest(f"offset is larger than {MAX_OFFSET}; narrow the search instead")
    return Search(query, frozenset(_returned_tags(query, included)), read)


def parse_study_list(parameters: Sequence[tuple[str, str]]) -> Search:
    """Understand the parameters of the study list: those of a search, and ``q``, the search box's text."""
    text = next((value for name, value in parameters if name == "q"), None)
    search = parse_search([(name, value) for name, value in parameters if name != "q"], Level.STUDY)
    return replace(search, query=replace(search.query, text=text))


def _matching_keys(
    parameters: Sequence[tuple[str, str]], level: Level
) -> list[tuple[Attribute | SequenceKey, str]]:
    keys = []
    for name, value in parameters:
        if name in _OPTIONS or (not value.strip() and _is_sequence(name, level)):
            continue  # matches everything (PS3.4 C.2.2.2.6), and is answered anyway
        keys.append((_matching_key(name, level), value))
    if len({key for key, _ in keys}) < len(keys):
        raise InvalidRequest("a matching key is given more than once")
    return keys


def _is_sequence(name: str, level: Level) -> bool:
    found = find_sequence(name)
    return found is not None and found[1] <= level


def _matching_key(name: str, level: Level) -> Attribute | SequenceKey:
    key = find_key(name)
    if key is None:
        raise InvalidRequest(f"{name} is not an attribute that this archive can search by")
    if key.level > level:
        raise InvalidRequest(
            f"{name} is of the {key.level.name.lower()} level, this search of the {level.name.lower()} level"
        )
    return key


def _truth(parameters: Sequence[tuple[str, str]], name: str) -> bool:
    values = {_TRUTHS.get(value.strip().lower()) for key, value in parameters if key == name}
    if None in values or len(values) > 1:
        raise InvalidRequest(f"{name} is true or false")
    return True in values


def _included(parameters: Sequence[tuple[str, str]]) -> list[str]:
    """List the fields to include: the parameter may come repeatedly, and each time with a list."""
    lists = [value.split(",", MAX_PARAMETERS) for name, value in parameters if name == "includefield"]
    return [field.strip() for fields in lists for field in fields]


def _returned_tags(query: Query, included: Sequence[str]) -> Iterable[int]:
    """Yield the tags of an answer: the level's own, those asked for, and the keys that matched.

    Attributes of the levels above are answered where the path leaves them open, their UIDs always.
    """
    everything = _ALL in included
    lowest_open = Level.STUDY
    if query.study_instance_uid is not None:
        lowest_open = Level.SERIES if query.series_instance_uid is None else Level.INSTANCE
    for attribute in ATTRIBUTES:
        if attribute.level > query.level:
            continue
        is_open = attribute.level >= min(lowest_open, query.level)
        if everything or attribute.tag in _UIDS or (attribute.default and is_open):
            yield attribute.tag
    yield from (tag for tag, level in SEQUENCE_TAGS.items() if level == query.level or everything)
    for field in included:
        yield from _included_tags(field, query.level)
    for key, _ in query.keys:
        yield key.tag if isinstance(key, Attribute) else key.sequence_tag


def _tag_to_read(field: str, level: Level) -> int | None:
    """Find the attribute of the level, or of one above, that a field stands for and the index lacks.

    Of a field within a sequence it is the sequence as a whole. What nobody knows, and what belongs to the
    level below, is left out (PS3.18 8.3.4.3), as are pixels and the functional groups of single frames.
    """
    head = field.partition(".")[0]
    if not head or head == _ALL or find_sequence(head) is not None:
        return None
    tag = int(head, 16) if TAG.fullmatch(head) else tag_for_keyword(head)
    if (
        tag is None
        or tag in BY_TAG
        or tag in _NEVER_READ
        or tag >= _PIXEL_DATA_GROUP
        or tag >> 16 < _FIRST_GROUP
    ):
        return None
    return tag if level_of(tag) <= level else None


def _included_tags(field: str, level: Level) -> Iterable[int]:
    """Find what a field to include stands for in the index."""
    if (found := find_sequence(field)) is not None:
        if found[1] <= level:
            yield found[0]
        return
    try:
        key = find_key(field)
    except InvalidRequest:
        return
    if key is not None and key.level <= level:
        yield key.tag if isinstance(key, Attribute) else key.sequence_tag
