"""Person names as the index compares them."""

from __future__ import annotations

from pacs.text import fold


def fold_name(text: str) -> str:
    """Fold a person name, or a pattern for one: blind to case and diacritics, a caret as good as a space.

    The component groups stay apart (PS3.5 6.2.1): ``Hong^Gildong=洪^吉洞`` becomes ``hong gildong=洪 吉洞``.
    """
    return "=".join(fold(group.replace("^", " ")) for group in text.split("=")).rstrip("=")
