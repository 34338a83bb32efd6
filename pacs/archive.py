"""The one handle that every door gets."""

from __future__ import annotations

from dataclasses import dataclass

from pacs.codes.tagging import StudyTagger, load_tagger
from pacs.errors import SettingsError
from pacs.index.index import Index, open_index
from pacs.settings import Settings
from storage.open import open_store
from storage.store import ObjectStore


@dataclass(frozen=True, slots=True)
class Archive:
    """Index, object store and policy of one archive. Opened once in each process; nothing crosses a fork."""

    index: Index
    store: ObjectStore
    tagger: StudyTagger
    settings: Settings

    def close(self) -> None:
        """Release connections."""
        self.index.close()
        self.store.close()


def open_archive(settings: Settings) -> Archive:
    """Open the archive that ``settings`` describe.

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
        settings.data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"DATA_DIR={settings.data_dir} cannot be used: {error.strerror}") from error
    return Archive(
        index=open_index(settings.resolved_database_url),
        store=open_store(settings.resolved_store_url),
        tagger=load_tagger(settings.code_rules),
        settings=settings,
    )
