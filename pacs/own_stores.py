"""Knowing the archive's own stores from others, before anything is stored into one or read from it.

An archive whose disk is not mounted would otherwise take an empty folder for its store, and fill the disk
below. So each store has an identity (``storage/identity.py``), and the index knows those of its own. A store
without one gets it where nothing speaks against that; where the index misses objects there it is refused.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from pacs.archive import Archive
from pacs.index.known_stores import StorePlace
from pacs.index.objects import ObjectCursor
from storage.errors import DamagedIdentity, ObjectNotFound, StoreFull, StoreUnavailable, WrongStore
from storage.identity import drop_identity, give_identity, new_identity, read_identity
from storage.packed_keys import own_key
from storage.store import ObjectStore

_log = logging.getLogger(__name__)

_LOOKED_FOR: Final = 100  # objects of the index
_NAMES: Final = {
    StorePlace.OBJECTS: "the store (STORE_URL)",
    StorePlace.SPOOL: "the spool (SPOOL_DIR)",
}
_WHAT_TO_DO: Final = (
    "Is its disk mounted, are the settings right? If it is a restored copy, or you replaced it, "
    "run 'filmless claim-store'"
)


@dataclass(frozen=True, slots=True)
class OwnStore:
    """One of the stores of an archive."""

    archive: Archive
    place: StorePlace
    store: ObjectStore
    may_be_away: bool = False  # behind a spool, which takes in what comes meanwhile

    @property
    def name(self) -> str:
        """What the settings call it."""
        return _NAMES[self.place]

    def require(self) -> None:
        """Prove that this is the store which the index knows, and make them known to each other at first.

        A store that has lost its identity gets it again if it has objects that the index knows.

        Raises
        ------
        storage.errors.WrongStore, storage.errors.StoreFull, storage.errors.StoreUnavailable
        pacs.errors.IndexUnavailable
        """
        known = self.archive.index.stores.identity(self.place)
        found = read_identity(self.store)
        if known is not None and found == known:
            return
        if known is not None and found is not None:
            raise WrongStore(f"{self.name} belongs to another archive. {_WHAT_TO_DO}")
        expected, there = self.look_for_objects()
        if expected and not there:
            raise WrongStore(f"{self.name} has none of {expected} objects of the index. {_WHAT_TO_DO}")
        if known is not None and not expected and not self.may_be_away:
            raise WrongStore(f"{self.name} is not the one that this archive had before. {_WHAT_TO_DO}")
        self._remember(found or give_identity(self.store, known or new_identity()))

    def claim(self) -> None:
        """Make this store the one that the index knows, whatever it was before.

        A damaged identity is replaced; a store of a newer format is left alone.

        Raises
        ------
        storage.errors.WrongStore, storage.errors.StoreFull, storage.errors.StoreUnavailable
        pacs.errors.IndexUnavailable
        """
        stores = self.archive.index.stores
        try:
            identity = read_identity(self.store)
        except DamagedIdentity:
            drop_identity(self.store)
            identity = None
        if identity is None:
            identity = give_identity(self.store, stores.identity(self.place) or new_identity())
        stores.replace(self.place, identity)

    def look_for_objects(self) -> tuple[int, int]:
        """Look for some objects that should be here by the index; return how many, and how many are."""
        keys = self._expected_keys()
        return len(keys), sum(self._has(key) for key in keys)

    def _remember(self, identity: str) -> None:
        stores = self.archive.index.stores
        stores.remember(self.place, identity)
        if stores.identity(self.place) != identity:  # another process was quicker, with another store
            raise WrongStore(f"{self.name} belongs to another archive. {_WHAT_TO_DO}")
        _log.info("%s is known by its identity now", self.name)

    def _expected_keys(self) -> list[str]:
        index = self.archive.index
        if self.place is StorePlace.SPOOL:
            return index.spooled.some(_LOOKED_FOR)
        keys = [one.key for one in index.list_objects(ObjectCursor(), _LOOKED_FOR)]
        if self.archive.spool is None:
            return keys
        return sorted(own_key(key) for key in set(keys) - index.spooled.known(keys))

    def _has(self, key: str) -> bool:
        try:
            self.store.stat(key)
        except ObjectNotFound:
            return False
        return True


def own_stores(archive: Archive) -> Iterator[OwnStore]:
    """List the stores of an archive."""
    if archive.spool is None:
        yield OwnStore(archive, StorePlace.OBJECTS, archive.store)
        return
    yield OwnStore(archive, StorePlace.SPOOL, archive.spool.spool)
    yield OwnStore(archive, StorePlace.OBJECTS, archive.spool.remote, may_be_away=not archive.spool.direct)


def require_own_stores(archive: Archive) -> None:
    """Prove that the stores of the settings are those of the index, as `OwnStore.require` does for one.

    A store behind a spool that is away now is looked at when it is back (`pacs.jobs.upload`).

    Raises
    ------
    storage.errors.WrongStore, storage.errors.StoreFull, storage.errors.StoreUnavailable
    pacs.errors.IndexUnavailable
    """
    for own in own_stores(archive):
        if not own.may_be_away:
            own.require()
    require_own_remote(archive)


def require_own_remote(archive: Archive) -> None:
    """Prove the same of the store behind a spool, if there is one and it can be read now.

    An S3 server that has lost contents in a power cut may have lost the identity with them. That must not
    keep the spool's copies from being uploaded again.

    Raises
    ------
    storage.errors.WrongStore
    pacs.errors.IndexUnavailable
    """
    for own in own_stores(archive):
        if own.may_be_away:
            try:
                own.require()
            except WrongStore:
                raise
            except (StoreFull, StoreUnavailable) as error:
                _log.warning("%s cannot be asked for its identity: %s", own.name, error)
