"""Person names as the index compares them."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from pacs.text import fold

_REMEMBERED_LENGTH: Final = 256


def fold_name(text: str) -> str:
    """Fold a person name, or a pattern for one: blind to case and diacritics, a caret as good as a space.

    The component groups stay apart (PS3.5 6.2.1): ``Hong^Gildong=洪^吉洞`` becomes ``hong gildong=洪 吉洞``.
    Names are remembered unless they are oddly long: every instance of a study brings the same ones.
    """
    return _fold_remembered(text) if len(text) <= _REMEMBERED_LENGTH else _fold(text)


def _fold(text: str) -> str:
    return "=".join(fold(group.replace("^", " ")) for group in text.split("=")).rstrip("=")


_fold_remembered = lru_cache(2048)(_fold)
