"""Thumbnails in the store: named by what they were made from (``storage/FORMAT.md``)."""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from typing import Final

from pacs.archive import Archive
from pacs.dicom.object_keys import ObjectName
from pacs.index.records import StoredInstance
from pacs.pictures.rendering import Rendering, ShownFrame
from pacs.pixels.appearance import Appearance
from storage.errors import StoreError

THUMBNAIL: Final = Rendering(Appearance(size=(160, 160)), quality=80)
KEY_PREFIX: Final = "thumbnails/"

_FORMAT: Final = 1  # a change of how thumbnails look, or of their keys, gets a new number
_KEY: Final = re.compile(
    rf"thumbnails/{_FORMAT}/[0-9a-f]{{2}}/(?P<study>[0-9.]{{1,64}})/(?P<series>[0-9.]{{1,64}})\.[0-9a-f]{{64}}\.jpg",
    re.ASCII,
)


def find_thumbnail(archive: Archive, shown: ShownFrame) -> bytes | None:
    """Return the thumbnail that is kept of a frame; None where another picture is asked for, or none is kept.

    Where the store is away the image itself may still be there: in the spool.
    """
    if shown.rendering != THUMBNAIL or shown.frame_number != 1:
        return None
    with suppress(StoreError), archive.store.open(thumbnail_key(name_of(shown.instance))) as stream:
        return stream.read()
    return None


def parse_thumbnail_key(key: str) -> tuple[str, str] | None:
    """Read Study and Series Instance UID from a key; None where it is of another format, or no such key."""
    found = _KEY.fullmatch(key)
    if found is None or not key.startswith(thumbnail_prefix(found["study"], found["series"])):
        return None
    return found["study"], found["series"]


def thumbnail_key(name: ObjectName) -> str:
    """Build the key of the thumbnail of an object."""
    digest = hashlib.sha256(f"{name.sha256}\n{THUMBNAIL}".encode()).hexdigest()
    return f"{thumbnail_prefix(name.study_instance_uid, name.series_instance_uid)}{digest}.jpg"


def name_of(instance: StoredInstance) -> ObjectName:
    """Name the object of an instance, wherever it lies."""
    return ObjectName(
        instance.study_instance_uid,
        instance.series_instance_uid,
        instance.sop_instance_uid,
        instance.location.sha256,
    )


def thumbnail_prefix(study_instance_uid: str, series_instance_uid: str) -> str:
    """Return what the keys of a series begin with."""
    fan_out = hashlib.sha256(study_instance_uid.encode("ascii")).hexdigest()[:2]
    return f"{KEY_PREFIX}{_FORMAT}/{fan_out}/{study_instance_uid}/{series_instance_uid}."
