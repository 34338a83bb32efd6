"""The identity of a store: an object of its own, by which an archive knows its store from another.

A folder that was made where a disk should have been mounted has none. ``FORMAT.md`` specifies it.
"""

from __future__ import annotations

import json
import re
import uuid
from typing import Final

from storage.errors import DamagedIdentity, ObjectExists, ObjectNotFound, WrongStore
from storage.store import ObjectStore

IDENTITY_KEY: Final = "store.json"
FORMAT: Final = 1
_MAX_SIZE_BYTES: Final = 4096
_IDENTITY = re.compile(r"[0-9a-f]{32}", re.ASCII)


def new_identity() -> str:
    """Make an identity: 32 hexadecimal digits that no other store has."""
    return uuid.uuid4().hex


def read_identity(store: ObjectStore) -> str | None:
    """Read the identity of a store; None if it has none.

    Raises
    ------
    storage.errors.DamagedIdentity
        There is something else in its place.
    storage.errors.WrongStore
        It is a store of a newer format.
    storage.errors.StoreUnavailable
    """
    try:
        content = store.read_range(IDENTITY_KEY, 0, _MAX_SIZE_BYTES)
    except ObjectNotFound:
        return None
    try:
        told = json.loads(content)
        layout, identity = told["format"], told["identity"]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise DamagedIdentity(f"{IDENTITY_KEY} of the store cannot be understood") from error
    if layout != FORMAT:
        raise WrongStore("the store has a format that this version does not know")
    if not isinstance(identity, str) or _IDENTITY.fullmatch(identity) is None:
        raise DamagedIdentity(f"{IDENTITY_KEY} of the store cannot be understood")
    return identity


def drop_identity(store: ObjectStore) -> None:
    """Take from a store what should tell which one it is. Raises StoreUnavailable."""
    store.delete(IDENTITY_KEY)


def give_identity(store: ObjectStore, identity: str) -> str:
    """Give an identity to a store that has none, durably; return the one that it has now.

    It is another one where another process was quicker.

    Raises
    ------
    storage.errors.StoreFull, storage.errors.StoreUnavailable
    """
    content = json.dumps({"format": FORMAT, "identity": identity}, separators=(",", ":")) + "\n"
    try:
        store.put(IDENTITY_KEY, content.encode("ascii"))
    except ObjectExists:
        return read_identity(store) or identity
    return identity
