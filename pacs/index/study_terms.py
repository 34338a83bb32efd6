"""What a study is found by: words of its name, its identifiers, what it holds; kept beside its row.

A search begins with the rows of one term, which stand in the order of the answers, and looks at the other
keys in the rows of the studies. So what it takes depends on what is found, not on how large the archive is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from enum import IntEnum
from typing import Any, Final, TypeAlias

from sqlalchemy import Connection, bindparam, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from pacs.index.models import procedure_code, search_word, study, study_term
from pacs.index.names import fold_name, marked_words, sort_words, split_words
from pacs.text import fold

MAX_TERM_LENGTH: Final = 64  # what is longer is found by its beginning, and compared in the study's row
_DATE_UNIT: Final = 1_000_000


class Field(IntEnum):
    """What a term is of. The numbers stand in the database."""

    NAME = 1  # a folded word of the patient's name
    MARKED_NAME = 2  # a word with diacritics (`pacs.index.names.marked_words`)
    WHOLE_NAME = 3  # a component group, its folded words sorted; see `whole_name_terms`
    DESCRIPTION = 4  # a folded word of the study description
    PATIENT_ID = 5  # folded, as are the next two
    ACCESSION_NUMBER = 6
    PROCEDURE_CODE = 7
    MODALITY = 8


WORD_FIELDS: Final = frozenset({Field.NAME, Field.DESCRIPTION})
TERM_COLUMNS: Final = frozenset(
    {"patient_name", "study_description", "patient_id", "accession_number", "study_date", "study_time"}
)
Term: TypeAlias = tuple[int, str]


def moment_of(study_date: str | None, study_time: str | None) -> int:
    """Write a date and a time, as the index has them, as one number: YYYYMMDDHHMMSS; 0 without a date."""
    if not study_date:
        return 0
    return int(study_date) * _DATE_UNIT + int((study_time or "")[:6].ljust(6, "0"))


def fit_term(term: str) -> str:
    """Shorten a term that is looked up as a whole; a digest keeps long ones apart."""
    if len(term) <= MAX_TERM_LENGTH:
        return term
    return term[: MAX_TERM_LENGTH // 2] + hashlib.sha256(term.encode()).hexdigest()[: MAX_TERM_LENGTH // 2]


def whole_name_terms(folded_name: str) -> Iterator[str]:
    """Yield the terms of the component groups of a name: each, and where there are several with its place.

    ``hong gildong=洪 吉洞`` gives ``gildong hong``, ``1=gildong hong``, ``吉洞 洪`` and ``2=吉洞 洪``.
    """
    groups = folded_name.split("=")
    for place, group in enumerate(groups, start=1):
        if group:
            yield fit_term(sort_words(group))
            if len(groups) > 1:
                yield fit_term(f"{place}={sort_words(group)}")


def terms_of(row: Mapping[str, Any], codes: Iterable[str]) -> set[Term]:
    """Work out the terms of a study from the values of its row and its procedure codes."""
    name, description = row.get("patient_name") or "", row.get("study_description") or ""
    folded_name = fold_name(name)
    terms: set[Term] = {(Field.WHOLE_NAME, term) for term in whole_name_terms(folded_name)}
    terms |= _cut(Field.NAME, split_words(folded_name))
    terms |= _cut(Field.MARKED_NAME, marked_words(name))
    terms |= _cut(Field.DESCRIPTION, fold(description).split())
    terms |= _cut(Field.PATIENT_ID, [fold(row.get("patient_id") or "")])
    terms |= _cut(Field.ACCESSION_NUMBER, [fold(row.get("accession_number") or "")])
    terms |= _cut(Field.PROCEDURE_CODE, [fold(code) for code in codes])
    terms |= _cut(Field.MODALITY, (row.get("modalities_in_study") or "").split("\\"))
    return terms


def tell_terms(connection: Connection, study_ref: int) -> None:
    """Make the terms of a study, and its moment, those of its row; called when that has changed.

    The row is locked until the transaction ends: of two who change it the second sees what the first did.
    """
    row = connection.execute(_ROW, {"ref": study_ref}).one()._mapping
    codes = connection.scalars(_CODES, {"ref": study_ref}).all()
    moment = moment_of(row["study_date"], row["study_time"])
    wanted = {(field, term, moment) for field, term in terms_of(dict(row), codes)}
    known = {tuple(one) for one in connection.execute(_KNOWN, {"ref": study_ref})}
    if moment != row["moment"]:
        connection.execute(_SET_MOMENT, {"ref": study_ref, "moment": moment})
    if gone := known - wanted:
        connection.execute(_FORGET, [_parameters(one, study_ref) for one in sorted(gone)])
    if new := sorted(wanted - known):
        connection.execute(study_term.insert(), [_values(one, study_ref) for one in new])
        add_words(connection, new)


def add_words(connection: Connection, terms: Iterable[tuple[Any, ...]]) -> None:
    """Put the words among terms, which come sorted, into the list of words."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    if words := [{"field": int(one[0]), "word": one[1]} for one in terms if one[0] in WORD_FIELDS]:
        connection.execute(dialect.insert(search_word).on_conflict_do_nothing(), words)


def _cut(field: Field, values: Iterable[str]) -> set[Term]:
    return {(field, value[:MAX_TERM_LENGTH]) for value in values if value}


def _values(term: tuple[Any, ...], study_ref: int) -> dict[str, Any]:
    return {"field": int(term[0]), "term": term[1], "moment": term[2], "study_ref": study_ref}


def _parameters(term: tuple[Any, ...], study_ref: int) -> dict[str, Any]:
    return {f"of_{name}": value for name, value in _values(term, study_ref).items()}


# Built once: building a statement costs more than running it.
_ROW = (
    select(
        *(study.c[name] for name in sorted(TERM_COLUMNS)),
        study.c.modalities_in_study,
        study.c.moment,
    )
    .where(study.c.id == bindparam("ref"))
    .with_for_update()
)
_CODES = select(procedure_code.c.value).where(procedure_code.c.study_ref == bindparam("ref"))
_KNOWN = select(study_term.c.field, study_term.c.term, study_term.c.moment).where(
    study_term.c.study_ref == bindparam("ref")
)
_SET_MOMENT = update(study).where(study.c.id == bindparam("ref")).values(moment=bindparam("moment"))
_FORGET = delete(study_term).where(
    *(study_term.c[name] == bindparam(f"of_{name}") for name in ("field", "term", "moment", "study_ref"))
)
