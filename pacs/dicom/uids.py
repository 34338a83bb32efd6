"""Unique identifiers as the Standard and real devices write them."""

from __future__ import annotations

import re

from pacs.errors import InvalidUid

_UID = re.compile(r"[0-9]+(?:\.[0-9]+)*", re.ASCII)
MAX_UID_LENGTH = 64


def parse_uid(text: str) -> str:
    """Return ``text`` as a UID, without the trailing padding that devices add.

    Leading zeros of a component are tolerated, as they are common and harmless; nothing else is. A UID that
    passes is safe as one segment of a path.

    Raises
    ------
    InvalidUid
        Longer than 64 characters, empty, or with other characters than digits joined by single dots. The
        message does not repeat the text.

    References
    ----------
    PS3.5 9.1
    """
    uid = text.rstrip("\0 ")
    if not uid:
        raise InvalidUid("a UID is empty")
    if len(uid) > MAX_UID_LENGTH:
        raise InvalidUid(f"a UID has {len(uid)} characters, more than {MAX_UID_LENGTH}")
    if not _UID.fullmatch(uid):
        raise InvalidUid("a UID has other characters than digits and single dots")
    return uid
