"""An archive knows its own stores, and stores nothing where its disk should be and is not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from threading import Event

import pytest

from pacs.archive import Archive, open_archive
from pacs.index.known_stores import StorePlace
from pacs.ingest import Origin, open_part10, store_instance
from pacs.jobs.spool import note_spooled
from pacs.own_stores import own_stores, require_own_stores
from storage.errors import DamagedIdentity, StoreUnavailable, WrongStore
from storage.identity import IDENTITY_KEY, give_identity, new_identity, read_identity
from tests.backends import fresh_archive
from tests.datasets import encode_file, make_dataset


def store(archive: Archive) -> None:
    store_instance(archive, open_part10([encode_file(make_dataset())]), Origin("dimse"))


def replace_identity(archive: Archive, identity: str) -> None:
    archive.store.delete(IDENTITY_KEY)
    give_identity(archive.store, identity)


def test_index_and_store_get_to_know_each_other_once(archive: Archive) -> None:
    require_own_stores(archive)
    identity = read_identity(archive.store)
    assert identity is not None
    assert archive.index.stores.identity(StorePlace.OBJECTS) == identity
    store(archive)
    require_own_stores(archive)
    assert read_identity(archive.store) == identity


def test_an_archive_that_is_older_than_identities_gets_one(archive: Archive) -> None:
    store(archive)
    require_own_stores(archive)
    assert read_identity(archive.store) is not None


def test_a_store_without_the_objects_of_the_index_gets_no_identity(archive: Archive) -> None:
    store(archive)
    for stat in list(archive.store.list()):
        archive.store.delete(stat.key)
    with pytest.raises(WrongStore, match="none of 1 objects"):
        require_own_stores(archive)
    assert read_identity(archive.store) is None
    assert archive.index.stores.identity(StorePlace.OBJECTS) is None


def test_a_store_of_another_archive_is_refused(archive: Archive) -> None:
    require_own_stores(archive)
    store(archive)
    replace_identity(archive, new_identity())
    with pytest.raises(WrongStore, match="belongs to another archive"):
        require_own_stores(archive)


def test_an_empty_store_that_has_lost_its_identity_is_refused_until_it_is_claimed(archive: Archive) -> None:
    require_own_stores(archive)
    before = archive.index.stores.identity(StorePlace.OBJECTS)
    archive.store.delete(IDENTITY_KEY)
    with pytest.raises(WrongStore, match="not the one that this archive had"):
        require_own_stores(archive)
    for own in own_stores(archive):
        own.claim()
    require_own_stores(archive)
    assert read_identity(archive.store) == before


def test_a_copy_that_lacks_the_identity_and_has_the_objects_gets_it_again(archive: Archive) -> None:
    require_own_stores(archive)
    before = read_identity(archive.store)
    store(archive)
    archive.store.delete(IDENTITY_KEY)
    require_own_stores(archive)
    assert read_identity(archive.store) == before


def test_another_store_is_the_archives_own_once_it_is_claimed(archive: Archive) -> None:
    require_own_stores(archive)
    theirs = new_identity()
    replace_identity(archive, theirs)
    for own in own_stores(archive):
        own.claim()
    require_own_stores(archive)
    assert read_identity(archive.store) == archive.index.stores.identity(StorePlace.OBJECTS) == theirs


def test_a_new_index_takes_the_store_that_it_finds(archive: Archive) -> None:
    give_identity(archive.store, theirs := new_identity())
    require_own_stores(archive)
    assert archive.index.stores.identity(StorePlace.OBJECTS) == theirs


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"format":1}', b'{"format":1,"identity":"x"}', b"\xff"]
)
def test_what_is_no_identity_is_refused(archive: Archive, content: bytes) -> None:
    archive.store.put(IDENTITY_KEY, content)
    with pytest.raises(WrongStore, match="cannot be understood"):
        require_own_stores(archive)


def test_a_store_of_a_newer_format_is_refused(archive: Archive) -> None:
    archive.store.put(IDENTITY_KEY, b'{"format":2,"identity":"%s"}' % new_identity().encode())
    with pytest.raises(WrongStore, match="format"):
        require_own_stores(archive)


# --- a disk that is not mounted -----------------------------------------------------------------------------


@pytest.fixture
def folder_archive(tmp_path: Path) -> Iterator[Archive]:
    with fresh_archive("sqlite-folder", tmp_path) as archive:
        require_own_stores(archive)
        store(archive)
        yield archive


def root_of(archive: Archive) -> Path:
    return archive.settings.data_dir / "objects"


def test_a_store_whose_disk_is_not_mounted_is_not_made_anew_and_is_known_when_it_is_back(
    folder_archive: Archive, tmp_path: Path
) -> None:
    root, elsewhere = root_of(folder_archive), tmp_path / "elsewhere"
    root.rename(elsewhere)
    root.mkdir()  # the mount point
    again = open_archive(folder_archive.settings)
    with pytest.raises(StoreUnavailable, match="is its disk mounted"):
        require_own_stores(again)
    with pytest.raises(StoreUnavailable):
        store(again)
    assert list(root.iterdir()) == []
    root.rmdir()
    elsewhere.rename(root)
    require_own_stores(again)
    store(again)
    again.close()


def test_a_disk_that_goes_away_while_the_archive_runs_gets_no_new_pack_in_its_place(
    folder_archive: Archive,
) -> None:
    root = root_of(folder_archive)
    folder_archive.store.close()  # the next object would begin a pack
    shutil.rmtree(root)
    root.mkdir()
    with pytest.raises(StoreUnavailable, match="is its disk mounted"):
        store(folder_archive)
    assert list(root.iterdir()) == []


def test_a_copy_of_all_files_is_the_same_store_though_hidden_ones_were_left_out(
    folder_archive: Archive, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(root_of(folder_archive), copy, ignore=shutil.ignore_patterns(".*"))
    settings = folder_archive.settings.model_copy(update={"store_url": copy.as_uri()})
    again = open_archive(settings)
    require_own_stores(again)
    store(again)
    again.close()


def test_a_copy_without_its_identity_can_be_claimed(folder_archive: Archive, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(root_of(folder_archive), copy, ignore=shutil.ignore_patterns(".*", IDENTITY_KEY))
    settings = folder_archive.settings.model_copy(update={"store_url": copy.as_uri()})
    again = open_archive(settings)
    with pytest.raises(StoreUnavailable, match="is its disk mounted"):
        require_own_stores(again)
    again.close()
    claiming = open_archive(settings, make_stores=True)
    for own in own_stores(claiming):
        assert own.look_for_objects() == (1, 1)
        own.claim()
    require_own_stores(claiming)
    claiming.close()


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 60, b'{"format": 1}', b'{"format": 1, "identity": "../.."}']
)
def test_a_damaged_identity_opens_no_door_until_the_store_is_claimed(
    folder_archive: Archive, content: bytes
) -> None:
    (root_of(folder_archive) / IDENTITY_KEY).write_bytes(content)
    with pytest.raises(DamagedIdentity):
        require_own_stores(folder_archive)
    for own in own_stores(folder_archive):
        own.claim()
    require_own_stores(folder_archive)


def test_a_store_of_a_newer_format_is_left_alone(folder_archive: Archive) -> None:
    newer = json.dumps({"format": 2, "identity": "0" * 32}).encode()
    (root_of(folder_archive) / IDENTITY_KEY).write_bytes(newer)
    for own in own_stores(folder_archive):
        with pytest.raises(WrongStore, match="format"):
            own.claim()
    assert (root_of(folder_archive) / IDENTITY_KEY).read_bytes() == newer


# --- a spool ------------------------------------------------------------------------------------------


@pytest.fixture
def spool_archive(tmp_path: Path) -> Iterator[Archive]:
    with fresh_archive("sqlite-spool", tmp_path) as archive:
        yield archive


def test_spool_and_remote_store_are_known_each_by_its_own(spool_archive: Archive) -> None:
    require_own_stores(spool_archive)
    identities = {own.place: read_identity(own.store) for own in own_stores(spool_archive)}
    assert len(set(identities.values())) == 2
    assert all(spool_archive.index.stores.identity(place) == each for place, each in identities.items())


def test_the_identity_of_the_spool_is_not_uploaded(spool_archive: Archive) -> None:
    require_own_stores(spool_archive)
    assert spool_archive.spool is not None
    note_spooled(spool_archive, spool_archive.spool, Event(), timedelta(0))
    assert spool_archive.index.spooled.report().objects == 0


def test_a_spool_whose_disk_is_not_mounted_is_refused(spool_archive: Archive) -> None:
    require_own_stores(spool_archive)
    spool = spool_archive.settings.resolved_spool_dir
    spool.rename(spool.with_name("elsewhere"))
    spool.mkdir()
    again = open_archive(spool_archive.settings)
    with pytest.raises(StoreUnavailable, match="is its disk mounted"):
        require_own_stores(again)
    assert list(spool.iterdir()) == []
    again.close()


def test_a_remote_store_that_is_away_keeps_nobody_from_starting(spool_archive: Archive) -> None:
    away = spool_archive.settings.model_copy(
        update={"store_url": "s3://nowhere?endpoint_url=http://127.0.0.1:9", "data_dir": Path("other")}
    )
    archive = open_archive(away)
    archive.index.migrate()
    require_own_stores(archive)
    assert archive.index.stores.identity(StorePlace.SPOOL) is not None
    assert archive.index.stores.identity(StorePlace.OBJECTS) is None
    archive.close()


def test_a_remote_store_of_another_archive_is_refused(spool_archive: Archive) -> None:
    require_own_stores(spool_archive)
    assert spool_archive.spool is not None
    spool_archive.spool.remote.delete(IDENTITY_KEY)
    give_identity(spool_archive.spool.remote, new_identity())
    with pytest.raises(WrongStore, match=r"the store \(STORE_URL\) belongs to another archive"):
        require_own_stores(spool_archive)
