"""Ways into the studies by their terms: which of the keys of a search is the one to begin with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, and_, func, literal, or_, select, union_all

from pacs.index.like import LIKE_ESCAPE, has_wildcard, like_pattern
from pacs.index.models import search_word, study, study_term
from pacs.index.study_terms import MAX_TERM_LENGTH, WORD_FIELDS, Field, fit_term
from pacs.text import fold

MAX_GATHERED: Final = 10_000  # studies that are sorted; of more, the newest are walked
_MAX_WORDS: Final = 1000  # that a pattern may stand for
_BEHIND_ALL: Final = "\U0010ffff"
_END: Final = 99_991_231_235_959


class Kind(Enum):
    """What a way leads by."""

    TERM = "term"  # in one field: its studies are in the order of the answers
    BEGINNING = "beginning of a term"
    PATTERN = "pattern of a word"
    WORDS = "any of some words"  # what a pattern has become
    INFIX = "pattern of an identifier"  # all of which are looked through


@dataclass(frozen=True, slots=True)
class Path:
    """A way to the studies that have a term in one of some fields."""

    kind: Kind
    fields: tuple[Field, ...]
    texts: tuple[str, ...]

    @property
    def in_order(self) -> bool:
        """Tell whether it gives studies in the order of the answers, each once."""
        return self.kind in (Kind.TERM, Kind.WORDS) and len(self.fields) == len(self.texts) == 1

    @property
    def pairs(self) -> Sequence[tuple[int, str]]:
        """The terms that it leads by, each with its field; none where these are not known one by one."""
        if self.kind not in (Kind.TERM, Kind.WORDS):
            return ()
        return [(int(field), text) for field in self.fields for text in self.texts]

    @property
    def is_stream(self) -> bool:
        """Tell whether its terms are so few that their studies can be laid one into the other in order."""
        return 0 < len(self.pairs) <= _MAX_MERGED

    @property
    def can_be_probed(self) -> bool:
        """Tell whether its terms are so few that each study can be asked for them by their keys."""
        return 0 < len(self.pairs) <= _MAX_PROBED

    @property
    def leads_nowhere(self) -> bool:
        """Tell whether no study can be found by it."""
        return self.kind is Kind.WORDS and not self.pairs

    def condition(
        self,
        field: ColumnElement[int] = study_term.c.field,
        term: ColumnElement[str] = study_term.c.term,
    ) -> ColumnElement[bool]:
        """Write it as a condition on the terms, or on other columns with what they hold."""
        fields = [int(one) for one in self.fields]
        of_field = field == fields[0] if len(fields) == 1 else field.in_(fields)
        if self.kind is Kind.BEGINNING:
            first = self.texts[0][:MAX_TERM_LENGTH]
            return and_(of_field, term >= first, term < first + _BEHIND_ALL)
        if self.kind is Kind.INFIX:
            may_be_cut = func.length(term) == MAX_TERM_LENGTH
            return and_(of_field, or_(term.like(self.texts[0], escape=LIKE_ESCAPE), may_be_cut))
        if len(self.texts) == 1:
            return and_(of_field, term == self.texts[0])
        return and_(of_field, term.in_(self.texts))


class Moments(NamedTuple):
    """The first and the last moment of studies that are searched for (`pacs.index.study_terms.moment_of`)."""

    first: int
    last: int

    def hold(self, column: ColumnElement[int]) -> ColumnElement[bool]:
        """Write them as a condition on a column."""
        return column.between(self.first, self.last)


def narrow(several: Iterable[Moments | None]) -> Moments | None:
    """Return the moments that all of several have; None where nothing is said of them."""
    found = [one for one in several if one is not None]
    if not found:
        return None
    return Moments(max(one.first for one in found), min(one.last for one in found))


def by_term(field: Field, text: str) -> Path:
    """Lead by a term; of whole names it is made to fit, of others its beginning is compared."""
    return Path(
        Kind.TERM, (field,), (fit_term(text) if field is Field.WHOLE_NAME else text[:MAX_TERM_LENGTH],)
    )


def by_beginning(fields: tuple[Field, ...], text: str) -> Path:
    """Lead by the beginning of a term."""
    return Path(Kind.BEGINNING, fields, (text,))


def by_pattern(field: Field, like: str) -> Path:
    """Lead by the words that are like a pattern of SQL."""
    return Path(Kind.PATTERN, (field,), (like,))


def identifier_path(field: Field, value: str) -> Path | None:
    """Lead by an identifier, or by what stands before its first wildcard, or by what stands within.

    None where nothing does, or where a question mark would have to stand for a character as it was written.
    """
    if not has_wildcard(value):
        return by_term(field, fold(value))
    beginning = fold(re.split(r"[*?]", value, maxsplit=1)[0])
    if beginning:
        return by_beginning((field,), beginning)
    has_text = bool(value.strip("*")) and "?" not in value
    return Path(Kind.INFIX, (field,), (like_pattern(fold(value)),)) if has_text else None


def choose_path(
    connection: Connection, paths: Sequence[Path], moments: Moments | None, *, merge: bool = False
) -> Path | None:
    """Choose the way with the fewest studies; None: walk all studies from the newest on.

    A term of a single field that all others are worse than is taken unasked. Else each is counted, as far as
    it matters. Where all have many studies, one in order is good, as the newest of it come first, and the
    best is the one that is rare among the newest; without one, walking meets soon enough what so many have.

    Parameters
    ----------
    merge
        Take several terms for a way in order: their studies will be laid one into the other.
    """
    known = [path for path in paths if path.in_order]
    selective = [path for path in known if path.fields[0] in _SELECTIVE]
    if selective or (known and len(paths) == 1):
        return (selective or known)[0]
    open_paths = [path for path in paths if path.kind is not Kind.PATTERN]
    for most in (_FEW, MAX_GATHERED) if open_paths else ():
        counts = _count(connection, open_paths, moments, most)
        fewest, path = min(zip(counts, open_paths, strict=True), key=lambda one: one[0])
        if fewest < most:
            return path
    streams = [path for path in open_paths if path.in_order or (merge and path.is_stream)]
    return _rarest(connection, streams, moments) if len(streams) > 1 else next(iter(streams), None)


_SELECTIVE: Final = (Field.ACCESSION_NUMBER, Field.PATIENT_ID, Field.WHOLE_NAME)
_FEW: Final = 500  # that need no second look: counting to a bound takes time too
_NEWEST: Final = 20_000  # studies that ways are compared by
_MAX_MERGED: Final = 8
_MAX_PROBED: Final = 32


def _rarest(connection: Connection, paths: Sequence[Path], moments: Moments | None) -> Path:
    """Choose the way that the fewest of the newest studies have."""
    newest = select(study.c.moment).order_by(study.c.moment.desc(), study.c.id.desc())
    if moments is not None:
        newest = newest.where(moments.hold(study.c.moment))
    since = connection.scalar(newest.offset(_NEWEST).limit(1)) or 0
    window = narrow((moments, Moments(since, _END)))
    counts = _count(connection, paths, window, _NEWEST)
    return min(zip(counts, paths, strict=True), key=lambda one: one[0])[1]


def look_up(connection: Connection, path: Path) -> Path:
    """Look up what words a beginning or a pattern stands for; what is not known, or too much, stays as it is.

    A beginning that identifiers have too stays one: these are as many as there are patients.
    """
    wanted: ColumnElement[bool]
    if path.kind is Kind.PATTERN:
        wanted = search_word.c.word.like(path.texts[0], escape=LIKE_ESCAPE)
    elif path.kind is Kind.BEGINNING and not _begins_identifiers(connection, path):
        first = path.texts[0][:MAX_TERM_LENGTH]
        wanted = and_(search_word.c.word >= first, search_word.c.word < first + _BEHIND_ALL)
    else:
        return path
    statement = select(search_word.c.field, search_word.c.word).where(search_word.c.field.in_(path.fields))
    words = connection.execute(statement.where(wanted).limit(_MAX_WORDS + 1)).all()
    if len(words) > _MAX_WORDS:
        return path
    fields = tuple(field for field in path.fields if any(found == field for found, _ in words))
    return Path(Kind.WORDS, fields, tuple(dict.fromkeys(word for _, word in words)))


def _begins_identifiers(connection: Connection, path: Path) -> bool:
    fields = tuple(field for field in path.fields if field not in WORD_FIELDS)
    if not fields:
        return False
    one = select(study_term.c.study_ref).where(replace(path, fields=fields).condition()).limit(1)
    return connection.scalar(one) is not None


def _count(
    connection: Connection, paths: Sequence[Path], moments: Moments | None, most: int
) -> Sequence[int]:
    """Count the studies of each way, up to a bound."""
    counts = [
        select(literal(number).label("number"), func.count().label("found")).select_from(
            _limited(path, moments, most).subquery()
        )
        for number, path in enumerate(paths)
    ]
    found = {row.number: row.found for row in connection.execute(union_all(*counts))}
    return [found[number] for number in range(len(paths))]


def _limited(path: Path, moments: Moments | None, most: int) -> Select[tuple[int]]:
    statement = select(study_term.c.study_ref).where(path.condition()).limit(most)
    return statement if moments is None else statement.where(moments.hold(study_term.c.moment))
