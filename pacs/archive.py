"""The one handle that every door gets."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import partial

from pacs.codes.tagging import StudyTagger, load_tagger
from pacs.errors import IndexUnavailable, SettingsError
from pacs.index.index import Index, open_index
from pacs.index.known_stores import StorePlace
from pacs.pixels.decoding_child import DecodingLimits
from pacs.pixels.decoding_processes import DecodingProcesses
from pacs.settings import Settings
from storage.filesystem import FilesystemStore
from storage.open import open_store
from storage.posix import make_durable_folders
from storage.spool_room import SpoolLimits, SpoolRoom
from storage.spooled import SpooledStore
from storage.store import ObjectStore


@dataclass(frozen=True, slots=True)
class Archive:
    """Index, object store and policy of one archive. Opened once in each process; nothing crosses a fork."""

    index: Index
    store: ObjectStore
    tagger: StudyTagger
    settings: Settings
    spools: bool = field(init=False)  # whether what is stored goes to the spool first
    decoding: DecodingProcesses = field(init=False)  # where codecs run; they start when there is need

    def __post_init__(self) -> None:
        limits = DecodingLimits(self.settings.decode_timeout_s, self.settings.decode_memory_bytes)
        number = self.settings.decode_processes or os.cpu_count() or 1
        object.__setattr__(self, "decoding", DecodingProcesses(number, limits))
        # Once: whether something is an implementation of a protocol takes Python long to say.
        object.__setattr__(self, "spools", self.spool is not None and not self.spool.direct)

    @property
    def spool(self) -> SpooledStore | None:
        """The store as one with a spool, if it has one."""
        return self.store if isinstance(self.store, SpooledStore) else None

    def close(self) -> None:
        """Release connections and end the processes of codecs."""
        self.decoding.close()
        self.index.close()
        self.store.close()


def open_archive(settings: Settings, *, make_stores: bool = False) -> Archive:
    """Open the archive that ``settings`` describe.

    A folder that the index knows as a store is never made anew: where its disk is not mounted it would be
    another one. With ``make_stores=True`` it is (``filmless claim-store``).

    Raises
    ------
    pacs.errors.SettingsError
        The data folder, a URL or a site rule cannot be used.
    pacs.errors.IndexUnavailable
        The database does not answer, or its schema is not this version's (``filmless migrate`` applies it).
    storage.errors.StoreUnavailable
        The object store cannot be opened.
    """
    try:
        make_durable_folders(settings.data_dir)
    except OSError as error:
        raise SettingsError(f"DATA_DIR={settings.data_dir} cannot be used: {error.strerror}") from error
    index = open_index(settings.resolved_database_url)
    return Archive(
        index=index,
        store=_open_store(settings, index, make_stores),
        tagger=load_tagger(settings.code_rules),
        settings=settings,
    )


def _open_store(settings: Settings, index: Index, make_stores: bool) -> ObjectStore:
    """Open the store; in front of an S3 server that may lose what it has acknowledged, with a spool.

    A spool that is there although the store is said to be durable is emptied and read as well.
    """
    spool_dir, durable = settings.resolved_spool_dir, settings.store_durable
    is_remote = settings.resolved_store_url.startswith("s3:")
    reaches = durable or not is_remote  # what has no spool before it has to be there

    def is_made(place: StorePlace) -> bool:
        return make_stores or index.stores.identity(place) is None

    objects = open_store(settings.resolved_store_url, make=reaches and is_made(StorePlace.OBJECTS))
    if not is_remote or (durable and not spool_dir.exists()):
        return objects
    spool = FilesystemStore(spool_dir, make=is_made(StorePlace.SPOOL))
    limits = SpoolLimits(settings.spool_quota_bytes, settings.spool_min_free_bytes)
    return SpooledStore(
        spool, objects, SpoolRoom(spool_dir, limits, partial(_spooled_bytes, index)), direct=durable
    )


def _spooled_bytes(index: Index) -> int | None:
    try:
        return index.spooled.size_bytes()
    except IndexUnavailable:
        return None
