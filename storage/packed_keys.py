"""The keys of objects in packs: where an object lies, and behind it the key that it would have of its own."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

FOLDER = "packs"
_REMEMBERED = 4096
_KEY = re.compile(
    r"packs/(?P<pack>\d{8}/[0-9a-f]{16}\.tar)/(?P<offset>\d{1,15})-(?P<size>\d{1,15})/(?P<name>.+)", re.ASCII
)


@dataclass(frozen=True, slots=True)
class PackedKey:
    """The key of an object in a pack: where it lies, and the key that it would have of its own."""

    pack: str
    offset: int
    size_bytes: int
    name: str

    def __str__(self) -> str:
        return f"{FOLDER}/{self.pack}/{self.offset}-{self.size_bytes}/{self.name}"


@lru_cache(_REMEMBERED)
def parse_packed_key(key: str) -> PackedKey | None:
    """Read the key of an object in a pack; None if it is another key."""
    found = _KEY.fullmatch(key)
    if found is None:
        return None
    return PackedKey(found["pack"], int(found["offset"]), int(found["size"]), found["name"])


def own_key(key: str) -> str:
    """Give the key that an object has where it is not in a pack, whichever of the two ``key`` is."""
    packed = parse_packed_key(key)
    return key if packed is None else packed.name
