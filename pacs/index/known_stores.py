"""Which stores belong to this index, by the identities that they carry (``storage/identity.py``)."""

from __future__ import annotations

from enum import StrEnum

from sqlalchemy import Engine, delete, inspect, select

from pacs.index.engine import reading, writing
from pacs.index.inserts import insert_if_new
from pacs.index.models import known_store


class StorePlace(StrEnum):
    """What a store is to the archive."""

    OBJECTS = "objects"  # STORE_URL
    SPOOL = "spool"


class KnownStores:
    """The identities of the stores. All methods raise :class:`~pacs.errors.IndexUnavailable`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def identity(self, place: StorePlace) -> str | None:
        """Return the identity of the store in a place; None if none is known yet, or the index is empty."""
        with reading(self._engine) as connection:
            if not inspect(connection).has_table(known_store.name):
                return None
            identity: str | None = connection.scalar(
                select(known_store.c.identity).where(known_store.c.place == place.value)
            )
        return identity

    def remember(self, place: StorePlace, identity: str) -> None:
        """Note the identity of a store, unless one is known for its place."""
        with writing(self._engine) as connection:
            insert_if_new(connection, known_store, {"place": place.value, "identity": identity})

    def replace(self, place: StorePlace, identity: str) -> None:
        """Note the identity of a store in place of another's."""
        with writing(self._engine) as connection:
            connection.execute(delete(known_store).where(known_store.c.place == place.value))
            insert_if_new(connection, known_store, {"place": place.value, "identity": identity})
