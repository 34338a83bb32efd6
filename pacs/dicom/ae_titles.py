"""Titles of application entities (PS3.5 6.2, VR AE)."""

from __future__ import annotations

from pacs.errors import InvalidRequest

MAX_AE_TITLE_LENGTH = 16


def parse_ae_title(text: str) -> str:
    """Return ``text`` as an AE title, without the spaces around it, which mean nothing.

    Upper and lower case are different titles.

    Raises
    ------
    InvalidRequest
        Empty, longer than 16 characters, or with others than plain printable ones.

    References
    ----------
    PS3.5 6.2: 16 characters of the default repertoire, no backslash, no control characters
    """
    title = text.strip(" ")
    plain = title.isascii() and title.isprintable() and "\\" not in title
    if not 1 <= len(title) <= MAX_AE_TITLE_LENGTH or not plain:
        raise InvalidRequest("an AE title has 1 to 16 plain characters and no backslash (PS3.5 6.2)")
    return title
