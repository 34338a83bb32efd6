"""From a matching key and its value to a condition in SQL (PS3.4 C.2.2.2). Values are always bound."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, exists, func, or_

from pacs.dicom.attributes import Attribute, Level, Matching, SequenceKey
from pacs.dicom.uids import parse_uid
from pacs.errors import InvalidRequest, InvalidUid
from pacs.index.column_conditions import any_of, are_of_one_form, between, integer, listed, within_moments
from pacs.index.condition import Condition
from pacs.index.contents import SEPARATOR, contains_value, value_pattern
from pacs.index.like import EMPTY, has_wildcard, matches
from pacs.index.models import FOLDED, FOLDED_SUFFIX, instance, series, study
from pacs.index.name_conditions import (
    any_value_of_names,
    other_name_condition,
    patient_name_conditions,
    text_conditions,
)
from pacs.index.name_patterns import split_pieces
from pacs.index.paths import Path, by_beginning, by_pattern, by_term, identifier_path
from pacs.index.ranges import date_bounds, date_moments, moment_bounds, time_bounds
from pacs.index.records import Query
from pacs.index.sequence_conditions import sequence_conditions
from pacs.index.study_terms import MAX_TERM_LENGTH, Field
from pacs.text import fold

MAX_VALUE_LENGTH: Final = 1024
MAX_MODALITIES: Final = 32  # that a study must have all of: each is a condition of its own
_MATCHED_VALUES: Final = 8  # of an attribute that has several: the first ones are compared

TABLES = {Level.STUDY: study, Level.SERIES: series, Level.INSTANCE: instance}

_FIELDS: Final = {"PatientID": Field.PATIENT_ID, "AccessionNumber": Field.ACCESSION_NUMBER}
_COMBINED: Final = (
    ("StudyDate", "StudyTime"),
    ("SeriesDate", "SeriesTime"),
    ("PerformedProcedureStepStartDate", "PerformedProcedureStepStartTime"),
)


def conditions_of(query: Query) -> list[Condition]:
    """Return the conditions of a query; a value that matches everything (universal matching) has none.

    Raises
    ------
    InvalidRequest
        A value is not of its key's form; the message names the key and does not repeat the value.
    """
    keys = {key.name: (key, value.strip()) for key, value in query.keys if value.strip() not in ("", "*")}
    for name, (key, value) in keys.items():
        if not _lists_uids(key) and (len(value) > MAX_VALUE_LENGTH or "\0" in value):
            raise InvalidRequest(f"the value of {name} is too long or has a NUL character")
    conditions = _combined_conditions(keys) if query.combined_ranges else []
    for name, (key, value) in keys.items():
        try:
            if isinstance(key, Attribute):
                conditions += _key_conditions(key, value, query)
        except (InvalidRequest, InvalidUid) as error:
            raise InvalidRequest(f"{name}: {error}") from error
    conditions += sequence_conditions(keys.values(), match_empty=query.match_empty)
    if query.study_instance_uid is not None:
        conditions.append(Condition(study.c.study_instance_uid == query.study_instance_uid, unique=True))
    if query.series_instance_uid is not None:
        conditions.append(Condition(series.c.series_instance_uid == query.series_instance_uid))
    if query.text:
        conditions += text_conditions(query.text[:MAX_VALUE_LENGTH])
    return conditions


def _lists_uids(key: Attribute | SequenceKey) -> bool:
    """Tell of a key whose values are counted and checked one by one, so that they may be many."""
    return isinstance(key, Attribute) and key.matching is Matching.UID


def _combined_conditions(keys: dict[str, tuple[Attribute | SequenceKey, str]]) -> list[Condition]:
    """Take date and time keys that are ranges of one form out of the keys, as ranges of moments.

    References
    ----------
    PS3.4 C.2.2.2.5.3 (combined datetime matching)
    """
    conditions = []
    for pair in _COMBINED:
        if not all(name in keys and "-" in keys[name][1] for name in pair):
            continue
        (date_key, dates), (time_key, times) = (keys[name] for name in pair)
        if not are_of_one_form(dates, times):
            continue  # each for itself
        try:
            conditions.append(_moments_condition(date_key, time_key, dates, times))
        except InvalidRequest as error:
            raise InvalidRequest(f"{pair[0]} and {pair[1]}: {error}") from error
        del keys[pair[0]], keys[pair[1]]
    return conditions


def _moments_condition(
    date_key: Attribute | SequenceKey, time_key: Attribute | SequenceKey, dates: str, times: str
) -> Condition:
    assert isinstance(date_key, Attribute)  # noqa: S101 - they are in _COMBINED
    assert isinstance(time_key, Attribute)  # noqa: S101
    table = TABLES[date_key.level]
    where = within_moments(table.c[date_key.column], table.c[time_key.column], dates, times)
    if date_key.keyword != "StudyDate":
        return Condition(where)
    (first_date, last_date), (first_time, last_time) = date_bounds(dates), time_bounds(times)
    return Condition(where, moments=moment_bounds(first_date, first_time, last_date, last_time))


def _key_conditions(key: Attribute, value: str, query: Query) -> Sequence[Condition]:
    if value == EMPTY and query.match_empty:
        return [Condition(_column(key).is_(None))]  # PS3.4 C.2.2.2.7
    if key.keyword == "ModalitiesInStudy":
        return _modalities_conditions(value, query.match_all_values)
    if key.keyword == "PatientName":
        return patient_name_conditions(value, fuzzy=query.fuzzy)
    if key.multiple:
        alternatives = (_condition(key, value, query, place).where for place in range(1, _MATCHED_VALUES + 1))
        return [Condition(and_(*_any_value(key, value, query), or_(*alternatives)))]
    return [_condition(key, value, query)]


def _any_value(key: Attribute, value: str, query: Query) -> Iterator[ColumnElement[bool]]:
    """Give out what is soon looked at and spares most rows the look at each of their values."""
    if key.matching is Matching.PERSON_NAME:
        column = TABLES[key.level].c[key.column + FOLDED_SUFFIX]
        yield any_value_of_names(column, value, fuzzy=query.fuzzy)


def _condition(attribute: Attribute, value: str, query: Query, place: int | None = None) -> Condition:
    """Write the condition of a key; of an attribute with several values, about the one in a place."""
    column = _column(attribute)
    if attribute.matching in FOLDED:
        column = TABLES[attribute.level].c[attribute.column + FOLDED_SUFFIX]
    if place is not None:
        column = func.split_part(column, SEPARATOR, place)
    match attribute.matching:
        case Matching.PERSON_NAME:
            return other_name_condition(column, value, fuzzy=query.fuzzy)
        case Matching.FOLDED_TEXT:
            folded = fold(value)
            return Condition(matches(column, folded), _description_path(attribute, folded))
        case Matching.UID:
            uids = [parse_uid(uid) for uid in listed(value)]
            if attribute.keyword == "SOPClassesInStudy":
                return Condition(or_(*(contains_value(column, value_pattern(uid)) for uid in uids)))
            return Condition(column.in_(uids), unique=attribute.keyword != "SOPClassUID")
        case Matching.CODE_STRING:
            return Condition(any_of(column, value), _modality_path(attribute, value))
        case Matching.DATE:
            bounds = date_bounds(value)
            moments = date_moments(*bounds) if attribute.keyword == "StudyDate" else None
            return Condition(between(column, *bounds), moments=moments)
        case Matching.TIME:
            return Condition(between(column, *time_bounds(value)))
        case Matching.INTEGER:
            return Condition(column == integer(value))
        case _:
            return Condition(matches(column, value), _identifier_path(attribute, value))


def _column(attribute: Attribute) -> ColumnElement[Any]:
    column = TABLES[attribute.level].c.get(attribute.column)
    if column is None or attribute.matching is Matching.NONE:
        raise InvalidRequest("this attribute can be returned but not matched")
    return column


def _modalities_conditions(value: str, match_all: bool) -> list[Condition]:
    """Match the modalities of a study: one of a list, or all of it (PS3.4 C.2.2.2.8)."""
    values = listed(value)
    if match_all:
        if len(values) > MAX_MODALITIES:
            raise InvalidRequest(f"more than {MAX_MODALITIES} modalities that a study must have")
        return [_any_modality([one]) for one in values]
    return [_any_modality(values)]


def _any_modality(values: Sequence[str]) -> Condition:
    if any(has_wildcard(value) for value in values):
        any_series = series.alias()  # the query itself may be about one series
        alternatives = (matches(any_series.c.modality, value) for value in values)
        return Condition(exists().where(any_series.c.study_ref == study.c.id, or_(*alternatives)))
    column = study.c.modalities_in_study
    where = or_(*(contains_value(column, value_pattern(value)) for value in values))
    if len(values) > 1:
        return Condition(where)
    return Condition(where, by_term(Field.MODALITY, values[0]), exact=len(values[0]) <= MAX_TERM_LENGTH)


def _identifier_path(attribute: Attribute, value: str) -> Path | None:
    field = _FIELDS.get(attribute.keyword)
    return None if field is None else identifier_path(field, value)


def _modality_path(attribute: Attribute, value: str) -> Path | None:
    values = listed(value)
    if attribute.keyword != "Modality" or len(values) > 1 or has_wildcard(value):
        return None
    return by_term(Field.MODALITY, values[0])


def _description_path(attribute: Attribute, folded: str) -> Path | None:
    """Lead by the longest of the words that a description must have."""
    pieces = split_pieces(folded)
    if attribute.keyword != "StudyDescription" or not pieces:
        return None
    piece = max(pieces, key=lambda one: (one.begins and "?" not in one.text, one.ends, len(one.text)))
    if "?" in piece.text or not piece.begins:
        return by_pattern(Field.DESCRIPTION, piece.like())
    if piece.ends:
        return by_term(Field.DESCRIPTION, piece.text)
    return by_beginning((Field.DESCRIPTION,), piece.text)
