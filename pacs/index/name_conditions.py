"""Conditions on names, and those of the search box."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, and_, exists, func, literal, or_, select

from pacs.index.condition import Condition
from pacs.index.like import LIKE_ESCAPE, like_pattern, matches
from pacs.index.models import study, study_term
from pacs.index.name_patterns import (
    ANY_GROUP,
    MAX_NAME_WORDS,
    Piece,
    parse_name_pattern,
    split_pieces,
    whole_term,
)
from pacs.index.names import marked_words
from pacs.index.paths import Path, by_beginning, by_pattern, by_term
from pacs.index.study_terms import Field
from pacs.text import fold

_OWN_TERMS: Final = study_term.alias()  # of a study; the search itself may begin with other terms
MAX_WORDS: Final = 8  # of the search box
_SEARCHED_BY_WORD: Final = (
    Field.NAME, Field.DESCRIPTION, Field.PATIENT_ID, Field.ACCESSION_NUMBER, Field.PROCEDURE_CODE
)  # fmt: skip


def patient_name_conditions(value: str, *, fuzzy: bool) -> list[Condition]:
    """Return the conditions of the key Patient's Name."""
    pattern = parse_name_pattern(value, fuzzy=fuzzy)
    like_pattern(value)  # refuses too many wildcards
    paths = [by_term(Field.WHOLE_NAME, whole_term(*group)) for group in pattern.whole]
    conditions = [Condition(has_term(path), path, exact=True) for path in paths]
    padded = _padded(study.c.patient_name_folded)
    conditions += [Condition(_has_piece(padded, one), _piece_path(one)) for one in pattern.pieces]
    conditions += [Condition(one) for one in _groups(study.c.patient_name_folded, pattern.groups)]
    return conditions or [Condition(study.c.patient_name_folded.is_not(None))]


def other_name_condition(column: ColumnElement[Any], value: str, *, fuzzy: bool) -> Condition:
    """Return the condition of a name that has no terms of its own, such as that of a physician."""
    pattern = parse_name_pattern(value, fuzzy=fuzzy)
    like_pattern(value)
    whole = [or_(*_whole_group(column, place, group)) for place, group in pattern.whole]
    pieces = _all_pieces(column, pattern.pieces)
    return Condition(and_(column.is_not(None), *whole, *pieces, *_groups(column, pattern.groups)))


def any_value_of_names(column: ColumnElement[Any], value: str, *, fuzzy: bool) -> ColumnElement[bool]:
    """Return what must hold of several names in one text for any of them to match: it has all the words.

    Each of the names is taken apart for the match itself, which takes long; few texts come that far.
    """
    pattern = parse_name_pattern(value, fuzzy=fuzzy)
    pieces = [*pattern.pieces, *(piece for _, group in pattern.whole for piece in split_pieces(group))]
    return and_(
        column.is_not(None),
        *(column.like(Piece(one.text, False, False).like(), escape=LIKE_ESCAPE) for one in pieces),
    )


def text_conditions(text: str) -> list[Condition]:
    """Return the conditions of the worklist's search box, one for each word; all must hold.

    A word matches the beginning of a word of the patient's name or the study description, of the patient ID,
    the accession number or a procedure code; blind to case and diacritics.
    """
    words = fold(text.replace("^", " ").replace("=", " ").replace("\0", " ")).split()
    paths = [by_beginning(_SEARCHED_BY_WORD, word) for word in words[:MAX_WORDS]]
    return [Condition(has_term(path), path, exact=True) for path in paths]


def preferences(names: Iterable[str]) -> list[Condition]:
    """Return the conditions of names that are written with the diacritics that were typed, which come first.

    A typed word without diacritics asks for none. A star is taken for the end of a word. Of more words than a
    name can have, some ask for nothing.
    """
    words = {word for name in names for word in marked_words(name.replace("*", " ")) if "?" not in word}
    paths = [by_term(Field.MARKED_NAME, word) for word in sorted(words)[:MAX_NAME_WORDS]]
    return [Condition(has_term(path), path, exact=True) for path in paths]


def has_term(path: Path) -> ColumnElement[bool]:
    """Tell of a study whether a way leads to it.

    The offset keeps PostgreSQL from making a join of it, and the expressions from looking for the study among
    all those of a term: its own terms are few.
    """
    own = _OWN_TERMS
    of_study = select(own.c.study_ref).where(
        own.c.study_ref == study.c.id, path.condition(own.c.field + 0, own.c.term + "")
    )
    return exists(of_study.correlate(study).limit(1).offset(0))


def _piece_path(piece: Piece) -> Path:
    if "?" in piece.text or not piece.begins:
        return by_pattern(Field.NAME, piece.like())
    return by_term(Field.NAME, piece.text) if piece.ends else by_beginning((Field.NAME,), piece.text)


def _padded(column: ColumnElement[Any]) -> ColumnElement[str]:
    """Write the words of a name with a space before and behind each."""
    padded: ColumnElement[str] = literal(" ") + func.replace(column, "=", " ") + literal(" ")
    return padded


def _has_piece(padded: ColumnElement[str], piece: Piece) -> ColumnElement[bool]:
    return padded.like(piece.like(around=" "), escape=LIKE_ESCAPE)


def _all_pieces(column: ColumnElement[Any], pieces: Sequence[Piece]) -> list[ColumnElement[bool]]:
    padded = _padded(column)
    return [_has_piece(padded, piece) for piece in pieces]


def _whole_group(column: ColumnElement[Any], place: int, group: str) -> Iterator[ColumnElement[bool]]:
    """Match the words of a component group in any order: all, and no more characters than they have."""
    for number in _places(place):
        own = func.split_part(column, "=", number)
        yield and_(func.length(own) == len(group), *_all_pieces(own, split_pieces(group)))


def _groups(column: ColumnElement[Any], groups: Sequence[tuple[int, str]]) -> list[ColumnElement[bool]]:
    """Match component groups (PS3.5 6.2.1) as they are written, by their place or in any."""
    return [
        or_(*(matches(func.split_part(column, "=", place), group) for place in _places(wanted)))
        for wanted, group in groups
    ]


def _places(place: int) -> Sequence[int]:
    return (1, 2, 3) if place == ANY_GROUP else (place,)
