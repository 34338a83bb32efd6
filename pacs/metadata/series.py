"""Metadata of whole series: read where it is kept ready in the store, made where it is not.

What is kept is named by what it was made from (``storage/FORMAT.md``). So it needs no row and no
invalidation: an instance that comes, goes or is replaced leads to another name, which nothing has yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Final

from pacs.archive import Archive
from pacs.dicom.json_model import JsonDataset, encode_dataset
from pacs.dicomweb_urls import DICOM_WEB_PATH, DicomWebUrls
from pacs.index.records import StoredInstance
from pacs.index.series_contents import SeriesContents
from pacs.metadata.instance import instance_metadata, known_metadata
from pacs.metadata.json_lines import compress, write_array
from pacs.metadata.keys import metadata_key, metadata_prefix
from pacs.retrieve import find_instances
from pacs.settings import Settings
from storage.errors import ObjectNotFound, StoreError
from storage.store import StagedObject

# Series whose headers are smaller are made anew each time, in a few milliseconds: most have one image.
MIN_HEADERS_SIZE_BYTES: Final = 32 * 1024
_PIECE_SIZE_BYTES: Final = 1 << 20


def read_series_metadata(archive: Archive, contents: SeriesContents) -> Iterator[bytes]:
    """Give the metadata of all instances of a series, in their order.

    It is kept for the next time where it was not, if the series is worth it and quiet. An instance whose
    object is missing from the store is written with what the index knows; then nothing is kept.

    Returns
    -------
    iterator of bytes
        An array as :mod:`pacs.metadata.json_lines` has it, compressed by gzip, with the addresses of
        :func:`public_urls`. What fails may fail while it is read.

    Raises
    ------
    pacs.errors.NotFound, pacs.errors.IndexUnavailable, storage.errors.StoreUnavailable
    """
    if contents.headers_size_bytes >= MIN_HEADERS_SIZE_BYTES:
        with suppress(StoreError):  # where it cannot be had, the objects may still be: in the spool
            return _read_kept(archive, _key(archive.settings, contents))
    return _make(archive, contents.study_instance_uid, contents.series_instance_uid)


def keep_series_metadata(archive: Archive, contents: SeriesContents) -> bool:
    """Make the metadata of a quiet series and keep it; tell whether there was something to do.

    Raises
    ------
    pacs.errors.NotFound, pacs.errors.IndexUnavailable, storage.errors.StoreUnavailable
    """
    if contents.headers_size_bytes < MIN_HEADERS_SIZE_BYTES:
        return False
    with suppress(ObjectNotFound):
        archive.store.stat(_key(archive.settings, contents))
        return False
    for _ in _make(archive, contents.study_instance_uid, contents.series_instance_uid):
        pass
    return True


def drop_series_metadata(
    archive: Archive, study_instance_uid: str, series_instance_uid: str | None = None, *, but: str = ""
) -> None:
    """Remove what is kept of a series, or of all series of a study; not the key ``but``.

    Raises
    ------
    storage.errors.StoreUnavailable
    """
    for stat in archive.store.list(metadata_prefix(study_instance_uid, series_instance_uid)):
        if stat.key != but:
            archive.store.delete(stat.key)


def public_urls(settings: Settings) -> DicomWebUrls:
    """Return the addresses that are written into what is kept."""
    return DicomWebUrls(settings.resolved_public_url + DICOM_WEB_PATH)


def with_addresses(encoded: Iterable[bytes], kept: DicomWebUrls, wanted: DicomWebUrls) -> Iterator[bytes]:
    """Put the addresses that a client is to be given into encoded data sets, in place of those kept."""
    begin = b'"BulkDataURI":"'  # no text of a data set looks like it: a quotation mark would be escaped
    old, new = begin + kept.base.encode(), begin + wanted.base.encode()
    return (dataset.replace(old, new) for dataset in encoded)


def _key(settings: Settings, contents: SeriesContents) -> str:
    made_from = public_urls(settings).base, settings.undeclared_character_set, *contents.sha256s
    return metadata_key(contents.study_instance_uid, contents.series_instance_uid, made_from)


def _read_kept(archive: Archive, key: str) -> Iterator[bytes]:
    """Open what is kept and read its first piece at once; the others when they are asked for."""
    stream = archive.store.open(key)
    first = stream.read(_PIECE_SIZE_BYTES)
    if len(first) < _PIECE_SIZE_BYTES:
        stream.close()
        return iter((first,))

    def rest() -> Iterator[bytes]:
        with stream:
            while piece := stream.read(_PIECE_SIZE_BYTES):
                yield piece

    return chain((first,), rest())


def _make(archive: Archive, study_instance_uid: str, series_instance_uid: str) -> Iterator[bytes]:
    instances = find_instances(archive, study_instance_uid, series_instance_uid)
    datasets = _Datasets(archive, instances)
    compressed = compress(write_array(map(encode_dataset, datasets)))
    # What is kept comes under the key of what it was made from: the series may have grown meanwhile.
    contents = SeriesContents(study_instance_uid, series_instance_uid)
    for instance in instances:
        contents.add(instance.location.sha256, instance.location.header_size_bytes)
    quiet_since = datetime.now(UTC) - timedelta(seconds=archive.settings.metadata_after_s)
    quiet = max(instance.received_at for instance in instances) <= quiet_since
    if not quiet or contents.headers_size_bytes < MIN_HEADERS_SIZE_BYTES:
        return compressed
    return _kept_meanwhile(archive, contents, compressed, datasets)


class _Datasets:
    """The metadata of instances, one after the other; ``complete`` tells whether all objects were there."""

    def __init__(self, archive: Archive, instances: Sequence[StoredInstance]) -> None:
        self._archive = archive
        self._instances = instances
        self._urls = public_urls(archive.settings)
        self.complete = True

    def __iter__(self) -> Iterator[JsonDataset]:
        for instance in self._instances:
            try:
                dataset = instance_metadata(self._archive, instance, self._urls)
            except ObjectNotFound:
                self.complete = False
                dataset = known_metadata(self._archive, instance)
            yield dataset


def _kept_meanwhile(
    archive: Archive, contents: SeriesContents, pieces: Iterator[bytes], datasets: _Datasets
) -> Iterator[bytes]:
    """Pass pieces on, and commit them at their end; a store that is full keeps nobody from reading."""
    staged: StagedObject | None = None
    with suppress(StoreError):
        staged = archive.store.stage()
    try:
        for piece in pieces:
            if staged is not None:
                staged = _write(staged, piece)
            yield piece
        if staged is not None and datasets.complete:
            _commit(archive, contents, staged)
    finally:
        if staged is not None:
            staged.discard()


def _write(staged: StagedObject, piece: bytes) -> StagedObject | None:
    try:
        staged.write(piece)
    except StoreError:
        return None
    return staged


def _commit(archive: Archive, contents: SeriesContents, staged: StagedObject) -> None:
    """Keep what was made, and drop what was made of the series when it consisted of something else."""
    key = _key(archive.settings, contents)
    with suppress(StoreError):
        staged.commit(key)
        drop_series_metadata(archive, contents.study_instance_uid, contents.series_instance_uid, but=key)
