"""Text as people search for it: blind to case, to diacritics and to how the marks were typed."""

from __future__ import annotations

import unicodedata

# Latin letters whose stroke is part of the letter: NFD leaves them whole. The capitals of the first three
# look alike and stand for one another in Vietnamese data: U+0111, U+00F0 (of Latin-1 fonts), U+0256.
_STROKED_LETTERS = str.maketrans({"đ": "d", "ð": "d", "ɖ": "d", "ø": "o", "ł": "l", "ı": "i"})

_STROKED_CAPITALS = str.maketrans({"Đ": "D", "Ð": "D", "Ɖ": "D", "Ø": "O", "Ł": "L"})

# Characters below this (Latin, Vietnamese, Greek, Cyrillic, marks) are worth remembering. A table of all that
# a hostile sender can think of is not.
_REMEMBERED_BELOW = 0x2000


class _Folding(dict[int, str]):
    """Translation table for ``str.translate`` that works out a code point when it is first seen."""

    def __missing__(self, code_point: int) -> str:
        folded = _fold_character(chr(code_point))
        if code_point < _REMEMBERED_BELOW:
            self[code_point] = folded
        return folded


def _fold_character(character: str) -> str:
    """Fold one character; a combining mark or an invisible format character folds to nothing."""
    folded = unicodedata.normalize("NFD", unicodedata.normalize("NFD", character).casefold())
    bare = "".join(
        part for part in folded if not unicodedata.combining(part) and unicodedata.category(part) != "Cf"
    )
    return bare.translate(_STROKED_LETTERS)


_FOLDING = _Folding()


def unaccent(text: str) -> str:
    """Write text in ASCII for devices that show nothing else: ``Nguyễn Văn Đức`` becomes ``Nguyen Van Duc``.

    A character that is no Latin letter becomes a question mark.
    """
    decomposed = unicodedata.normalize("NFD", text)
    bare = "".join(character for character in decomposed if not unicodedata.combining(character))
    latin = bare.translate(_STROKED_LETTERS).translate(_STROKED_CAPITALS)
    return latin.encode("ascii", "replace").decode("ascii")


def fold(text: str) -> str:
    """Fold text for a search that does not see case, diacritics or the width of white space.

    ``NGUYỄN VĂN ĐỨC``, typed in NFC or NFD, becomes ``nguyen van duc``; ``Hoà`` and ``Hòa`` become ``hoa``.
    Runs of white space become one space; there is none at either end. Folding what is folded changes nothing.

    The work is linear in the length of ``text``: characters are folded one by one, so that a long run of
    combining marks never meets the sorting step of Unicode normalization, which is quadratic.

    Parameters
    ----------
    text : str
        Any text, also what a hostile sender made up.

    Returns
    -------
    str
        Lower case without marks. ASCII stays ASCII; scripts without case or marks stay as they are, in NFC.
    """
    folded = text.lower() if text.isascii() else unicodedata.normalize("NFC", text.translate(_FOLDING))
    return " ".join(folded.split())
