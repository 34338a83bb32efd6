"""Thumbnails in the store: there before anybody asks, and never of what is not there any more."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import timedelta
from threading import Event
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pacs.archive import Archive
from pacs.conflict_policy import ConflictPolicy
from pacs.delete import delete_instances
from pacs.ingest import Origin, open_part10, store_instance
from pacs.jobs.removal import remove_deleted
from pacs.jobs.series_keeping import drop_orphaned, keep_settled
from pacs.pictures.media_types import PNG
from pacs.pictures.pictures import Pictures
from pacs.pictures.rendering import Rendering, ShownFrame
from pacs.pictures.thumbnail_keeping import FIRST_LOOK
from pacs.pictures.thumbnails import KEY_PREFIX, THUMBNAIL, find_thumbnail, parse_thumbnail_key
from pacs.pixels.appearance import Appearance
from pacs.pixels.window import Window
from tests.datasets import encode_file, make_dataset

STUDY, SERIES = "1.2.826.0.1.3680043.8.498.8", "1.2.826.0.1.3680043.8.498.8.1"


@pytest.fixture
def archive(archive: Archive) -> Archive:
    """An archive in which every series counts as quiet."""
    settings = archive.settings.model_copy(
        update={
            "metadata_after_s": 0,
            "picture_cache_bytes": 0,
            "allow_delete": True,
            "on_conflict": ConflictPolicy.REPLACE,
        }
    )
    return replace(archive, settings=settings)


def store(archive: Archive, number: int, **attributes: Any) -> None:
    uids = {"StudyInstanceUID": STUDY, "SeriesInstanceUID": SERIES, "SOPInstanceUID": f"{SERIES}.{number}"}
    dataset = make_dataset(**{**uids, "InstanceNumber": number, **attributes})
    store_instance(archive, open_part10([encode_file(dataset)]), Origin("dimse"))


def kept_keys(archive: Archive) -> list[str]:
    return sorted(stat.key for stat in archive.store.list(KEY_PREFIX))


def shown(archive: Archive, number: int) -> ShownFrame:
    (instance,) = archive.index.find_instances(STUDY, SERIES, f"{SERIES}.{number}")
    return ShownFrame(instance, 1, THUMBNAIL)


def test_each_image_of_a_small_series_has_its_thumbnail_ready(archive: Archive) -> None:
    for number in (1, 2, 3):
        store(archive, number, PixelData=np.full(256, 500 * number, "<u2").tobytes())
    assert find_thumbnail(archive, shown(archive, 1)) is None
    keep_settled(archive, 0, Event())
    assert len(kept_keys(archive)) == 3
    assert {parse_thumbnail_key(key) for key in kept_keys(archive)} == {(STUDY, SERIES)}
    for number in (1, 2, 3):
        kept = find_thumbnail(archive, shown(archive, number))
        assert kept is not None
        assert Image.open(io.BytesIO(kept)).size == (16, 16)
        assert kept == Pictures(archive).make(shown(archive, number))


def test_what_is_kept_is_taken_and_nothing_else_for_it(archive: Archive) -> None:
    store(archive, 1)
    keep_settled(archive, 0, Event())
    one = shown(archive, 1)
    (key,) = kept_keys(archive)
    archive.store.delete(key)
    archive.store.put(key, b"what the worker made")
    pictures = Pictures(archive)
    assert pictures.draw(one) == b"what the worker made"
    other = replace(THUMBNAIL, media_type=PNG)
    for wish in (replace(one, rendering=other), replace(one, frame_number=2)):
        assert find_thumbnail(archive, wish) is None


def test_a_large_series_has_that_of_the_image_which_stands_for_it(archive: Archive) -> None:
    for number in range(1, 18):
        store(archive, number)
    keep_settled(archive, 0, Event())
    assert len(kept_keys(archive)) == 1
    assert find_thumbnail(archive, shown(archive, 9)) is not None


def test_what_cannot_be_shown_and_what_was_lost_has_none(archive: Archive) -> None:
    store(archive, 1, PixelData=b"\0\0")
    store(archive, 2, PixelData=None, Rows=None, Columns=None)
    store(archive, 3)
    archive.store.delete(shown(archive, 3).instance.location.key)
    store(archive, 4)
    keep_settled(archive, 0, Event())
    assert len(kept_keys(archive)) == 1
    assert find_thumbnail(archive, shown(archive, 4)) is not None


def test_a_replaced_image_gets_another_thumbnail_and_loses_the_old_one(archive: Archive) -> None:
    store(archive, 1)
    keep_settled(archive, 0, Event())
    before = kept_keys(archive)
    store(archive, 1, PixelData=bytes(512))
    assert find_thumbnail(archive, shown(archive, 1)) is None
    store(archive, 2)
    keep_settled(archive, 0, Event())
    assert len(kept_keys(archive)) == 2
    assert not set(before) & set(kept_keys(archive))


def test_thumbnails_of_what_was_deleted_go_with_it(archive: Archive) -> None:
    for number in (1, 2):
        store(archive, number)
    keep_settled(archive, 0, Event())
    one, other = shown(archive, 1), shown(archive, 2)
    delete_instances(archive, STUDY, SERIES, f"{SERIES}.1")
    remove_deleted(archive, Event(), timedelta(0))
    assert find_thumbnail(archive, one) is None
    assert find_thumbnail(archive, other) is not None


def test_thumbnails_of_series_that_are_gone_and_of_other_formats_are_removed(archive: Archive) -> None:
    store(archive, 1)
    keep_settled(archive, 0, Event())
    (kept,) = kept_keys(archive)
    archive.store.put(kept.replace("thumbnails/1/", "thumbnails/0/"), b"")
    archive.store.put(kept.replace(SERIES, SERIES + "9"), b"")
    assert drop_orphaned(archive, Event()) == 2
    assert kept_keys(archive) == [kept]


def test_a_large_image_is_averaged_for_its_first_look(archive: Archive) -> None:
    settings = archive.settings.model_copy(update={"picture_cache_bytes": 1 << 28})
    archive = replace(archive, settings=settings)
    values = (np.add.outer(np.arange(2100), np.arange(2200)) % 4096).astype("<u2")
    store(archive, 1, Rows=2100, Columns=2200, PixelData=values.tobytes())
    window = Appearance(Window(700, 900), size=FIRST_LOOK)
    look = replace(shown(archive, 1), rendering=Rendering(window, PNG))
    without_disk = replace(archive, settings=settings.model_copy(update={"picture_cache_bytes": 0}))
    expected = Pictures(without_disk).make(look)
    keep_settled(archive, 0, Event())
    archive.store.delete(look.instance.location.key)
    assert Pictures(archive).make(look) == expected
