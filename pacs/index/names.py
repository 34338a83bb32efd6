"""Person names as the index compares them."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from pacs.text import fold

_REMEMBERED_LENGTH: Final = 256
# The five tone marks of Vietnamese. Unlike the circumflex, the breve and the horn, which make other letters,
# they belong to the syllable, and there are two schools of where in it they are put: hoà and hòa, thuỷ, thủy.
_TONES: Final = frozenset("\u0300\u0301\u0303\u0309\u0323")
_LOOK_ALIKE: Final = str.maketrans({"ð": "đ", "ɖ": "đ"})


def fold_name(text: str) -> str:
    """Fold a person name, or a pattern for one: blind to case and diacritics, a caret as good as a space.

    The component groups stay apart (PS3.5 6.2.1): ``Hong^Gildong=洪^吉洞`` becomes ``hong gildong=洪 吉洞``.
    Names are remembered unless they are oddly long: every instance of a study brings the same ones.
    """
    return _fold_remembered(text) if len(text) <= _REMEMBERED_LENGTH else _fold(text)


def split_words(name: str) -> list[str]:
    """Split a name, folded or as written, into the words of all its component groups."""
    return name.replace("^", " ").replace("=", " ").split()


def sort_words(group: str) -> str:
    """Write a folded component group with its words sorted: the same for every order that they come in."""
    return " ".join(sorted(group.split()))


def marked_words(name: str) -> Iterator[str]:
    """Yield the words of a name that have diacritics, in one spelling for each: Hoà and Hòa are one word.

    The spelling is for comparing only: lower case, the tone mark behind the word that it belongs to.
    """
    for word in split_words(name):
        marked = _spell(word)
        if marked != fold(word):
            yield marked


def _spell(word: str) -> str:
    """Spell a word for comparing; character by character, so that no pile of marks is ever sorted as one."""
    letters: list[str] = []
    tones: set[str] = set()
    for character in word:
        parts = unicodedata.normalize("NFD", unicodedata.normalize("NFD", character).casefold())
        tones |= _TONES & set(parts)
        bare = "".join(part for part in parts if part not in _TONES and unicodedata.category(part) != "Cf")
        if letters and bare and unicodedata.combining(bare[0]):  # a mark that was typed on its own
            bare = letters.pop() + bare
        if bare:
            letters.append(unicodedata.normalize("NFC", bare))
    return "".join(letters).translate(_LOOK_ALIKE) + "".join(sorted(tones))


def _fold(text: str) -> str:
    return "=".join(fold(group.replace("^", " ")) for group in text.split("=")).rstrip("=")


_fold_remembered = lru_cache(2048)(_fold)
