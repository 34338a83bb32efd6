"""Values of others as the keys of B-trees, which take no more than a third of a page."""

from __future__ import annotations

import hashlib
from typing import Final

# PostgreSQL refuses rows of an index above 2,704 bytes, with an error that looks as if it were away: an
# image with such an identifier would be refused for ever. Two of these fit, with what stands beside them.
LONGEST_KEY_BYTES: Final = 1_200
_BEGINNING_LENGTH: Final = 256  # characters


def fitted_key(text: str) -> str:
    """Shorten a value that is too long to be a key; a digest keeps apart what begins alike.

    No identifier is that long by the Standard (VR LO has 64 characters), so this is about broken and hostile
    objects only, which are kept like any other.
    """
    if len(text) * 4 <= LONGEST_KEY_BYTES or len(encoded := text.encode()) <= LONGEST_KEY_BYTES:
        return text
    return text[:_BEGINNING_LENGTH] + hashlib.sha256(encoded).hexdigest()[:32]
