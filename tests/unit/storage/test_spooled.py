"""A spool in front of a remote store: both are folders here, as only the steps between them matter."""

import hashlib
import os

import pytest

from storage.errors import DamagedObject, ObjectExists, ObjectNotFound, StoreFull, StoreUnavailable
from storage.filesystem import FilesystemStore
from storage.memory import MemoryStore
from storage.spool_room import SpoolLimits, SpoolRoom
from storage.spooled import SpooledStore

KEY = "ab/1.2.840.3.dcm"
CONTENT = os.urandom(100_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
ROOMY = SpoolLimits(quota_bytes=10**12, min_free_bytes=0)


@pytest.fixture
def store(tmp_path):
    return make_store(tmp_path)


def make_store(folder, *, limits=ROOMY, used_bytes=0, direct=False):
    spool = FilesystemStore(folder / "spool")
    room = SpoolRoom(folder, limits, lambda: used_bytes)
    return SpooledStore(spool, FilesystemStore(folder / "remote"), room, direct=direct)


def damage(store, key=KEY):
    """Change a byte of an object, as a failing disk does."""
    path = store._root / key
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def is_kept(store, key=KEY):
    try:
        return store.read_range(key, 0, 10**9) == CONTENT
    except ObjectNotFound:
        return False


def test_what_is_committed_rests_in_the_spool(store):
    store.put(KEY, CONTENT)
    assert is_kept(store.spool)
    assert not is_kept(store.remote)


def test_what_is_sent_is_in_both_until_it_is_released(store):
    store.put(KEY, CONTENT)
    store.send(KEY, SHA256)
    assert is_kept(store.spool)
    assert is_kept(store.remote)
    assert store.release(KEY, SHA256)
    assert not is_kept(store.spool)
    assert is_kept(store)


@pytest.mark.parametrize("released", [False, True])
def test_an_object_is_read_wherever_it_is(store, released):
    store.put(KEY, CONTENT)
    store.send(KEY)
    if released:
        store.release(KEY)
    with store.open(KEY) as stream:
        assert stream.read() == CONTENT
    assert store.read_range(KEY, 10, 20) == CONTENT[10:30]
    assert store.stat(KEY).size_bytes == len(CONTENT)
    assert [stat.key for stat in store.list("ab/")] == [KEY]
    store.delete(KEY)
    assert not is_kept(store.spool)
    assert not is_kept(store.remote)


def test_sending_again_is_success(store):
    store.put(KEY, CONTENT)
    store.send(KEY)
    store.send(KEY)
    store.send(KEY, SHA256, mend=True)
    assert is_kept(store.remote)


def test_what_the_spool_has_damaged_is_not_sent(store):
    store.put(KEY, CONTENT)
    damage(store.spool)
    with pytest.raises(DamagedObject):
        store.send(KEY, SHA256)
    assert list(store.remote.list()) == []


def test_what_the_remote_store_has_damaged_or_lost_is_not_released(store):
    store.put(KEY, CONTENT)
    store.send(KEY)
    damage(store.remote)
    assert not store.release(KEY)
    store.remote.delete(KEY)
    assert not store.release(KEY, SHA256)
    assert is_kept(store.spool)


def test_an_object_that_is_longer_in_the_remote_store_is_not_the_same(store):
    store.put(KEY, CONTENT)
    store.remote.put(KEY, CONTENT + b"x")
    assert not store.release(KEY, SHA256)


def test_what_the_remote_store_has_damaged_is_replaced_where_the_digest_is_known(store):
    store.put(KEY, CONTENT)
    store.send(KEY, SHA256)
    damage(store.remote)
    with pytest.raises(ObjectExists):
        store.send(KEY, SHA256)
    with pytest.raises(ObjectExists):
        store.send(KEY, mend=True)
    store.send(KEY, SHA256, mend=True)
    assert is_kept(store.remote)


def test_what_the_spool_has_damaged_is_released_where_the_remote_store_has_it_whole(store):
    store.put(KEY, CONTENT)
    store.send(KEY, SHA256)
    damage(store.spool)
    assert store.release(KEY, SHA256)
    assert is_kept(store)


def test_what_is_not_in_the_spool_can_neither_be_sent_nor_released(store):
    for step in (store.send, store.release):
        with pytest.raises(ObjectNotFound):
            step(KEY)


def test_a_file_that_changes_while_it_is_sent_is_refused(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    with path.open("rb") as source, pytest.raises(StoreUnavailable):
        MemoryStore().put_file(KEY, source, len(CONTENT), hashlib.sha256(b"other").hexdigest())


def test_a_full_spool_takes_nothing_more_in(tmp_path):
    store = make_store(tmp_path, limits=SpoolLimits(quota_bytes=1000, min_free_bytes=0), used_bytes=1000)
    with pytest.raises(StoreFull):
        store.stage()
    with pytest.raises(StoreFull):
        store.check()


def test_a_disk_without_room_takes_nothing_more_in(tmp_path):
    store = make_store(tmp_path, limits=SpoolLimits(quota_bytes=10**12, min_free_bytes=2**60))
    with pytest.raises(StoreFull):
        store.stage()


def test_the_spool_alone_decides_whether_objects_can_be_taken_in(store, tmp_path):
    (tmp_path / "remote" / ".tmp").rmdir()  # as if it were not mounted
    with pytest.raises(StoreUnavailable):
        store.remote.check()
    store.check()
    store.put(KEY, CONTENT)
    assert is_kept(store)
    assert store.remove_abandoned(0) == 0


def test_of_what_is_not_in_the_spool_nothing_is_known_while_the_remote_store_is_away(store, tmp_path):
    (tmp_path / "remote" / ".tmp").rmdir()
    with pytest.raises(StoreUnavailable):
        store.stat(KEY)
    with pytest.raises(StoreUnavailable):
        list(store.list())


def test_a_store_that_has_become_direct_still_reads_and_empties_its_spool(store, tmp_path):
    store.put(KEY, CONTENT)
    direct = make_store(tmp_path, direct=True)
    direct.put("ab/new", b"new")
    assert direct.remote.read_range("ab/new", 0, 3) == b"new"
    assert is_kept(direct)
    direct.send(KEY)
    assert direct.release(KEY)
    assert is_kept(direct)
    direct.check()
