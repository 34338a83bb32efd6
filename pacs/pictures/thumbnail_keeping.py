"""Keeping thumbnails ready in the store, so that lists of studies show at once what is in them.

Of a series of few images, as radiographs are, each one has a thumbnail; of others the one that stands for the
series.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pacs.archive import Archive
from pacs.errors import ArchiveError, IndexUnavailable
from pacs.index.records import StoredInstance
from pacs.pictures.pictures import Pictures
from pacs.pictures.rendering import ShownFrame, has_pixels, representative
from pacs.pictures.thumbnails import THUMBNAIL, name_of, thumbnail_key, thumbnail_prefix
from storage.errors import ObjectNotFound

FIRST_LOOK: Final = (1024, 1024)  # what a radiograph is shown at on a common screen
_FEW_IMAGES: Final = 16


def keep_series_thumbnails(
    archive: Archive, pictures: Pictures, study_instance_uid: str, series_instance_uid: str
) -> None:
    """Make the thumbnails of a series and keep them; drop those of images that it has no more.

    Large images are averaged for their first look as well, on this machine. An image that cannot be shown, or
    has no object, has none.

    Raises
    ------
    pacs.errors.IndexUnavailable, storage.errors.StoreUnavailable
    """
    instances = archive.index.find_instances(study_instance_uid, series_instance_uid)
    wanted = {thumbnail_key(name_of(instance)): instance for instance in _choose(instances)}
    prefix = thumbnail_prefix(study_instance_uid, series_instance_uid)
    kept = {stat.key for stat in archive.store.list(prefix)}
    for key in wanted.keys() - kept:
        try:
            picture = pictures.make(ShownFrame(wanted[key], 1, THUMBNAIL))
            pictures.keep_averages(wanted[key], FIRST_LOOK)
        except IndexUnavailable:
            raise
        except (ArchiveError, ObjectNotFound):
            continue
        archive.store.put(key, picture)
    for key in kept - wanted.keys():
        archive.store.delete(key)


def _choose(instances: Sequence[StoredInstance]) -> list[StoredInstance]:
    images = [instance for instance in instances if has_pixels(instance)]
    return images if len(images) <= _FEW_IMAGES else [representative(images)]
