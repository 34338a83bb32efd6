"""Which keys are safe. Every store checks a key before anything else, whoever made it."""

from __future__ import annotations

import re

from storage.errors import InvalidKey

MAX_SEGMENT_LENGTH = 255  # NAME_MAX of every file system in use
MAX_KEY_LENGTH = 900  # S3 allows 1024; the rest is for the prefix of a bucket

# No segment starts with a dot: this excludes `.`, `..`, and the names that a store keeps for itself.
_SEGMENT = rf"[A-Za-z0-9_-][A-Za-z0-9._-]{{0,{MAX_SEGMENT_LENGTH - 1}}}"
_KEY = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT})*", re.ASCII)
_PREFIX = re.compile(rf"(?:{_SEGMENT}/)*(?:{_SEGMENT})?", re.ASCII)


def is_key(text: str) -> bool:
    """Tell whether ``text`` is a key."""
    return len(text) <= MAX_KEY_LENGTH and _KEY.fullmatch(text) is not None


def check_key(key: str) -> None:
    """Refuse what is no key.

    Raises
    ------
    InvalidKey
    """
    if not is_key(key):
        raise InvalidKey(f"not a safe key: {key[:100]!r}")


def check_prefix(prefix: str) -> None:
    """Refuse what no key can start with; the empty prefix is the start of all.

    Raises
    ------
    InvalidKey
    """
    if len(prefix) > MAX_KEY_LENGTH or _PREFIX.fullmatch(prefix) is None:
        raise InvalidKey(f"not the start of a safe key: {prefix[:100]!r}")
