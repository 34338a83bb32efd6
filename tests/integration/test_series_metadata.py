"""Metadata of series that is kept ready: always what the series is now, whatever happened to it."""

from __future__ import annotations

import time
from dataclasses import replace
from threading import Event, Thread
from typing import Any

import orjson
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from pacs.archive import Archive
from pacs.conflict_policy import ConflictPolicy
from pacs.delete import delete_instances
from pacs.dicomweb_urls import DicomWebUrls
from pacs.ingest import Origin, open_part10, store_instance
from pacs.jobs.series_keeping import drop_orphaned, keep_series_ready, keep_settled
from pacs.metadata.instance import instance_metadata
from pacs.metadata.json_lines import decompress, read_array
from pacs.metadata.keys import KEY_PREFIX, metadata_key
from pacs.metadata.series import (
    drop_series_metadata,
    public_urls,
    read_series_metadata,
    with_addresses,
)
from pacs.retrieve import find_instances
from storage.errors import StoreFull
from tests.datasets import encode_file, make_dataset

STUDY, SERIES = "1.2.826.0.1.3680043.8.498.7", "1.2.826.0.1.3680043.8.498.7.1"
LONG_TEXT = "x" * 9000  # four of these are worth keeping


@pytest.fixture
def archive(archive: Archive) -> Archive:
    """An archive in which every series counts as quiet."""
    return with_settings(archive, metadata_after_s=0)


def with_settings(archive: Archive, **settings: Any) -> Archive:
    return replace(archive, settings=archive.settings.model_copy(update=settings))


def store(archive: Archive, number: int, **attributes: Any) -> Dataset:
    attributes = {"SeriesInstanceUID": SERIES, "ImageComments": LONG_TEXT, **attributes}
    uids = {"StudyInstanceUID": STUDY, "SOPInstanceUID": f"{SERIES}.{number}"}
    dataset = make_dataset(**{**uids, "InstanceNumber": number, **attributes})
    store_instance(archive, open_part10([encode_file(dataset)]), Origin("dimse"))
    return dataset


def store_series(archive: Archive) -> None:
    for number in (4, 2, 3, 1):
        store(archive, number)


def read(archive: Archive) -> list[Any]:
    found = archive.index.list_series_contents(STUDY, SERIES)
    return [
        orjson.loads(dataset)
        for contents in found
        for dataset in read_array(decompress(read_series_metadata(archive, contents)))
    ]


def made_now(archive: Archive) -> list[Any]:
    urls = public_urls(archive.settings)
    return [instance_metadata(archive, one, urls) for one in find_instances(archive, STUDY, SERIES)]


def kept_keys(archive: Archive) -> list[str]:
    return [stat.key for stat in archive.store.list(KEY_PREFIX)]


def keep(archive: Archive, cursor: int = 0) -> int:
    return keep_settled(archive, cursor, Event())


def test_the_first_answer_is_right_and_kept_for_the_next(archive: Archive) -> None:
    store_series(archive)
    expected = made_now(archive)
    assert [one["00200013"]["Value"] for one in expected] == [[1], [2], [3], [4]]
    assert kept_keys(archive) == []
    assert read(archive) == expected
    (key,) = kept_keys(archive)
    for instance in find_instances(archive, STUDY):
        archive.store.delete(instance.location.key)  # so that it can come from there only
    assert read(archive) == expected
    assert kept_keys(archive) == [key]


def test_the_worker_keeps_a_series_ready_once(archive: Archive) -> None:
    store_series(archive)
    cursor = keep(archive)
    (key,) = kept_keys(archive)
    archive.store.delete(key)
    assert keep(archive, cursor) == cursor
    assert kept_keys(archive) == []
    assert keep(archive, 0) == cursor
    assert kept_keys(archive) == [key]
    assert read(archive) == made_now(archive)


def test_a_running_worker_finds_what_came_before_it(archive: Archive) -> None:
    store_series(archive)
    stop = Event()
    worker = Thread(target=keep_series_ready, args=(archive, stop))
    worker.start()
    deadline = time.monotonic() + 60
    while not kept_keys(archive) and time.monotonic() < deadline:
        time.sleep(0.02)
    stop.set()
    worker.join()
    assert len(kept_keys(archive)) == 1
    assert read(archive) == made_now(archive)


def test_nothing_is_kept_of_a_series_that_still_grows(archive: Archive) -> None:
    store_series(archive)
    growing = with_settings(archive, metadata_after_s=60)
    assert keep(growing) == 0
    assert read(growing) == made_now(growing)
    assert kept_keys(archive) == []


def test_a_series_that_grew_is_kept_in_its_last_state_only(archive: Archive) -> None:
    store_series(archive)
    first = keep(archive)
    before = kept_keys(archive)
    store(archive, 5)
    assert [one["00200013"]["Value"] for one in read(archive)] == [[1], [2], [3], [4], [5]]
    (after,) = kept_keys(archive)
    assert after not in before
    assert keep(archive, first) > first
    assert kept_keys(archive) == [after]


def test_another_content_of_an_instance_is_shown_at_once(archive: Archive) -> None:
    store_series(archive)
    keep(archive)
    replacing = with_settings(archive, on_conflict=ConflictPolicy.REPLACE)
    store(replacing, 2, SeriesDescription="anew")
    assert read(archive)[1]["0008103E"]["Value"] == ["anew"]
    assert read(archive) == made_now(archive)
    assert len(kept_keys(archive)) == 1


def test_an_instance_that_was_deleted_is_shown_no_more(archive: Archive) -> None:
    store_series(archive)
    keep(archive)
    gone = find_instances(archive, STUDY, SERIES, f"{SERIES}.3")[0]
    delete_instances(with_settings(archive, allow_delete=True), STUDY, SERIES, gone.sop_instance_uid)
    assert [one["00200013"]["Value"] for one in read(archive)] == [[1], [2], [4]]


def test_a_missing_object_costs_its_series_nothing_but_its_own_details(archive: Archive) -> None:
    for number in (1, 2, 3, 4):  # contents that nothing of this process remembers from another test
        store(archive, number, FrameOfReferenceUID=generate_uid())
    lost = find_instances(archive, STUDY, SERIES, f"{SERIES}.2")[0]
    content = archive.store.read_range(lost.location.key, 0, 1 << 20)
    archive.store.delete(lost.location.key)
    found = read(archive)
    assert kept_keys(archive) == []  # it may come back
    store_instance(archive, open_part10([content]), Origin("dimse"))
    expected = made_now(archive)
    assert [found[0], *found[2:]] == [expected[0], *expected[2:]]
    assert {tag: expected[1].get(tag) for tag in found[1]} == found[1]
    assert {"00080018", "00100010", "0020000E", "00200013", "00280010"} <= found[1].keys()
    assert "7FE00010" not in found[1]
    assert read(archive) == expected
    assert len(kept_keys(archive)) == 1


def test_small_series_are_made_anew_each_time(archive: Archive) -> None:
    store(archive, 1)
    assert len(read(archive)) == 1
    keep(archive)
    assert kept_keys(archive) == []


def test_a_store_that_takes_nothing_in_keeps_nobody_from_reading(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise StoreFull("no space")

    store_series(archive)
    monkeypatch.setattr(type(archive.store), "stage", refuse)
    assert read(archive) == made_now(archive)


def test_an_answer_that_nobody_reads_to_its_end_is_not_kept(archive: Archive) -> None:
    store_series(archive)
    (contents,) = archive.index.list_series_contents(STUDY, SERIES)
    pieces = read_series_metadata(archive, contents)
    next(pieces)
    pieces.close()  # type: ignore[attr-defined]
    assert kept_keys(archive) == []


def test_what_is_kept_is_of_the_settings_it_was_made_with(archive: Archive) -> None:
    store_series(archive)
    keep(archive)
    moved = with_settings(archive, public_url="https://other.example.vn")
    assert read(moved) == made_now(moved)
    assert read(moved)[0]["7FE00010"]["BulkDataURI"].startswith("https://other.example.vn/dicom-web/studies/")


def test_the_addresses_can_be_those_of_another_way_in(archive: Archive) -> None:
    store(archive, 1, ImageComments='"BulkDataURI":"http://127.0.0.1:8080/dicom-web/studies')
    (contents,) = archive.index.list_series_contents(STUDY, SERIES)
    encoded = read_array(decompress(read_series_metadata(archive, contents)))
    kept, wanted = public_urls(archive.settings), DicomWebUrls("https://a.vn/x/dicom-web")
    (dataset,) = map(orjson.loads, with_addresses(encoded, kept, wanted))
    (instance,) = find_instances(archive, STUDY)
    assert dataset == instance_metadata(archive, instance, wanted)


def test_what_is_kept_of_series_that_are_gone_is_removed(archive: Archive) -> None:
    store_series(archive)
    keep(archive)
    kept = kept_keys(archive)
    orphaned = metadata_key(generate_uid(), SERIES, [])
    of_another_format = kept[0].replace("metadata/1/", "metadata/0/")
    archive.store.put(orphaned, b"")
    archive.store.put(of_another_format, b"")
    assert drop_orphaned(archive, Event()) == 2
    assert kept_keys(archive) == kept
    drop_series_metadata(archive, STUDY, SERIES + "0")
    assert kept_keys(archive) == kept
    drop_series_metadata(archive, STUDY)
    assert kept_keys(archive) == []
