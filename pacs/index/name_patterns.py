"""What a name or a text that is searched for asks of its words (PS3.4 C.2.2.2.1, C.2.2.2.4).

The Standard leaves the matching of names to the implementation. Ours sees no case, no diacritics, no order of
the words, and takes a space for a caret. Without a wildcard all words of a component group are named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from pacs.errors import InvalidRequest
from pacs.index.like import LIKE_ANY, escape_like, has_wildcard
from pacs.index.names import fold_name, sort_words, split_words

ANY_GROUP = 0
MAX_NAME_WORDS: Final = 32  # each is a condition of its own


class Piece(NamedTuple):
    """What some word must have, folded: at its beginning, at its end, both (a whole word), or anywhere."""

    text: str  # a question mark stands for any character
    begins: bool
    ends: bool

    def like(self, around: str = "") -> str:
        """Write it as a pattern of a word, or with a space ``around`` of a text between two spaces."""
        wild = LIKE_ANY
        before = around if self.begins else wild
        behind = around if self.ends else wild
        text = before + escape_like(self.text).replace("?", "_") + behind
        return f"{wild}{text}{wild}" if around else text


@dataclass(frozen=True, slots=True)
class NamePattern:
    """A name that is searched for: everything here must hold.

    ``whole`` are component groups by place, all of their words, in any order; ``pieces`` are what words must
    have; ``groups`` are patterns of component groups by place, in the order of their words.
    """

    whole: tuple[tuple[int, str], ...] = ()
    pieces: tuple[Piece, ...] = ()
    groups: tuple[tuple[int, str], ...] = ()


def parse_name_pattern(value: str, *, fuzzy: bool = False) -> NamePattern:
    """Understand a name as a client wrote it; ``fuzzy``: its words are beginnings of words of the name.

    Raises
    ------
    InvalidRequest
        It has more than 32 words.
    """
    folded = fold_name(value)
    if len(split_words(folded.replace("*", " "))) > MAX_NAME_WORDS:
        raise InvalidRequest(f"a name of more than {MAX_NAME_WORDS} words")
    if fuzzy:
        words = folded.replace("=", " ").replace("*", " ").split()
        return NamePattern(pieces=tuple(Piece(word, True, False) for word in words))
    groups = [(place, group) for place, group in enumerate(folded.split("="), start=1) if group]
    if "=" not in folded:
        groups = [(ANY_GROUP, folded)]
    if not has_wildcard(folded):
        return NamePattern(whole=tuple(groups))
    pieces = split_pieces(folded.replace("=", " "))
    if "=" not in folded and "?" not in folded:
        groups = []  # a star leaves room for any other word, wherever it stands
    return NamePattern(pieces=pieces, groups=tuple(groups))


def whole_term(place: int, group: str) -> str:
    """Write a whole component group as the term that it is found by."""
    return sort_words(group) if place == ANY_GROUP else f"{place}={sort_words(group)}"


def split_pieces(folded: str) -> tuple[Piece, ...]:
    """Take a folded text with wildcards apart; a star may stand for spaces, so what it parts may be words."""
    pieces = []
    for word in folded.split():
        parts = word.split("*")
        for number, part in enumerate(parts):
            if part:
                pieces.append(Piece(part, number == 0, number == len(parts) - 1))
    return tuple(dict.fromkeys(pieces))
