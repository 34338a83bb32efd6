"""One suite that every object store passes: in memory, in files, on a real S3 server."""

import errno
import hashlib
import io
import os
import threading
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import lru_cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.errors import InvalidKey, ObjectExists, ObjectNotFound
from storage.filesystem import FilesystemStore
from storage.memory import MemoryStore
from storage.s3 import MULTIPART_SIZE_BYTES, S3Store
from storage.spool_room import SpoolLimits, SpoolRoom
from storage.spooled import SpooledStore
from storage.staging import SPILL_SIZE_BYTES
from tests.servers import shared_seaweedfs

KEY = "ab/1.2.840.1/1.2.840.2/1.2.840.3.0123456789abcdef.dcm"


def open_memory_store(_tmp_path, _monkeypatch):
    return MemoryStore()


def open_files(tmp_path, _monkeypatch):
    return FilesystemStore(tmp_path / "objects")


def open_files_without_hard_links(tmp_path, monkeypatch):
    """As on FAT, exFAT and some network shares."""

    def link(*_arguments, **_options):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", link)
    return FilesystemStore(tmp_path / "objects")


@lru_cache
def s3_store(multipart_size_bytes):
    """One for all tests of this process, as boto3 takes longer to make a client than a test to use it."""
    server = shared_seaweedfs()
    with pytest.MonkeyPatch.context() as environment:
        for name, value in server.environment.items():
            environment.setenv(name, value)
        store = S3Store(
            "contract",
            f"sized/{multipart_size_bytes}",
            endpoint_url=server.endpoint_url,
            create_bucket=True,
            multipart_size_bytes=multipart_size_bytes,
        )
        store.ensure_bucket()
    return store


def open_s3(_tmp_path, _monkeypatch):
    return s3_store(MULTIPART_SIZE_BYTES)


def open_s3_in_parts(_tmp_path, _monkeypatch):
    return s3_store(0)


def open_spooled(tmp_path, _monkeypatch):
    spool = tmp_path / "spool"
    room = SpoolRoom(tmp_path, SpoolLimits(quota_bytes=1, min_free_bytes=0), lambda: 0)
    return SpooledStore(FilesystemStore(spool), s3_store(MULTIPART_SIZE_BYTES), room)


STORES = {
    "memory": open_memory_store,
    "files": open_files,
    "files-without-hard-links": open_files_without_hard_links,
    "s3": open_s3,
    "s3-in-parts": open_s3_in_parts,
    "spooled": open_spooled,
}


@pytest.fixture(params=STORES)
def store(request, tmp_path, monkeypatch):
    opened = STORES[request.param](tmp_path, monkeypatch)
    yield opened
    for stat in opened.list():
        opened.delete(stat.key)


def keys(store, prefix=""):
    return sorted(stat.key for stat in store.list(prefix))


def read(store, key=KEY):
    with store.open(key) as stream:
        return stream.read()


def test_what_is_put_is_read(store):
    store.put(KEY, b"content")
    assert read(store) == b"content"


def test_an_object_is_told_of_without_reading_it(store):
    before = datetime.now(UTC) - timedelta(minutes=1)
    committed = store.put(KEY, b"content")
    found = store.stat(KEY)
    (listed,) = store.list()
    for stat in (committed, found, listed):
        assert (stat.key, stat.size_bytes) == (KEY, 7)
        assert stat.modified_at.utcoffset() == timedelta(0)
        assert before < stat.modified_at < before + timedelta(minutes=2)


def test_an_empty_object_is_an_object(store):
    assert store.put(KEY, b"").size_bytes == 0
    assert read(store) == b""
    assert store.read_range(KEY, 0, 10) == b""
    assert store.stat(KEY).size_bytes == 0
    assert keys(store) == [KEY]


@pytest.mark.parametrize(
    ("offset", "size_bytes", "expected"),
    [
        (0, 10, b"0123456789"),
        (3, 4, b"3456"),
        (8, 100, b"89"),
        (3, 10**15, b"3456789"),
        (10, 1, b""),
        (10**15, 5, b""),
        (3, 0, b""),
    ],
)
def test_a_range_is_read(store, offset, size_bytes, expected):
    store.put(KEY, b"0123456789")
    assert store.read_range(KEY, offset, size_bytes) == expected


@pytest.mark.parametrize(("offset", "size_bytes"), [(-1, 5), (0, -1), (-5, 5)])
def test_a_range_does_not_count_from_the_end(store, offset, size_bytes):
    store.put(KEY, b"0123456789")
    with pytest.raises(ValueError, match="negative"):
        store.read_range(KEY, offset, size_bytes)


def test_an_object_that_lies_in_a_file_is_there_byte_for_byte(store):
    for packed in (False, True):
        with store.stage(packed=packed) as staged:
            staged.write(b"0123456789" * (1 + packed))
            key = staged.commit(KEY + str(packed)).key
        found = store.open_file(key)
        if found is not None:
            stored = os.pread(found.fileno(), found.size_bytes, found.offset)
            assert stored == found.read(0, 100) == b"0123456789" * (1 + packed)
            assert (found.read(8, 100)[:2], found.read(50, 1)) == (b"89", b"")
    with pytest.raises(ObjectNotFound):
        if store.open_file("missing/object") is None:
            raise ObjectNotFound


def test_of_several_objects_the_missing_ones_are_told(store):
    keys = []
    for number, packed in enumerate((False, True, True, False)):
        with store.stage(packed=packed) as staged:
            staged.write(b"x" * number)
            keys.append(staged.commit(f"several/{number}").key)
    assert store.find_missing(keys) == set()
    store.delete(keys[0])
    store.delete(keys[2])
    absent = "packs/20260101/0123456789abcdef.tar/512-3/several/5"
    assert store.find_missing([*keys, "several/4", absent]) == {keys[0], keys[2], "several/4", absent}


def test_an_open_object_can_be_moved_in(store):
    content = os.urandom(1_700_000)
    store.put(KEY, content)
    with store.open(KEY) as stream:
        assert stream.seekable()
        assert stream.read(1000) == content[:1000]
        assert stream.seek(1_600_000) == 1_600_000
        assert stream.read(1000) == content[1_600_000:1_601_000]
        assert stream.seek(-5, io.SEEK_END) == len(content) - 5
        assert stream.read() == content[-5:]
        assert stream.read(1) == b""
        stream.seek(-10, io.SEEK_CUR)
        assert stream.tell() == len(content) - 10
        stream.seek(100)
        assert stream.read() == content[100:]


def test_a_large_object_spills_and_is_kept(store):
    piece = os.urandom(1024**2)
    pieces = SPILL_SIZE_BYTES // len(piece) + 2
    digest = hashlib.sha256()
    with store.stage() as staged:
        for number in range(pieces):
            written = number.to_bytes(4, "big") + piece
            staged.write(written)
            digest.update(written)
        assert staged.size_bytes == pieces * (len(piece) + 4) > SPILL_SIZE_BYTES
        assert staged.sha256() == digest.hexdigest()
        with staged.view() as view:
            assert hashlib.sha256(view).hexdigest() == digest.hexdigest()
        assert staged.commit(KEY).size_bytes == staged.size_bytes
    assert hashlib.sha256(read(store)).hexdigest() == digest.hexdigest()
    assert store.read_range(KEY, staged.size_bytes - 3, 10) == piece[-3:]


def test_the_writer_may_use_its_buffer_again(store):
    buffer = bytearray(b"first")
    with store.stage() as staged:
        staged.write(buffer)
        buffer[:] = b"other"
        staged.write(memoryview(buffer)[1:3])
        staged.commit(KEY)
    assert read(store) == b"firstth"


def test_the_same_content_twice_is_success_and_changes_nothing(store):
    store.put(KEY, b"content")
    first = store.stat(KEY)
    store.put(KEY, b"content")
    assert store.stat(KEY) == first
    assert keys(store) == [KEY]


@pytest.mark.parametrize("other", [b"CONTENT", b"content and more", b""])
def test_another_content_under_the_same_key_is_refused_and_the_first_stays(store, other):
    store.put(KEY, b"content")
    with pytest.raises(ObjectExists):
        store.put(KEY, other)
    assert read(store) == b"content"


def test_what_was_refused_can_be_committed_under_another_key(store):
    store.put(KEY, b"content")
    with store.stage() as staged:
        staged.write(b"other")
        with pytest.raises(ObjectExists):
            staged.commit(KEY)
        with pytest.raises(InvalidKey):
            staged.commit("../escape")
        staged.commit("other/key")
    assert read(store, "other/key") == b"other"


def commit_at_once(store, contents):
    """Commit each content to the same key by a thread of its own; return what became of each."""
    barrier = threading.Barrier(len(contents))
    outcomes = [None] * len(contents)

    def commit(number):
        with store.stage() as staged:
            staged.write(contents[number])
            barrier.wait()
            try:
                staged.commit(KEY)
                outcomes[number] = "stored"
            except ObjectExists:
                outcomes[number] = "refused"

    threads = [threading.Thread(target=commit, args=(number,)) for number in range(len(contents))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


# Not in parts: SeaweedFS looks whether a key is free, and joins the parts, in two steps. FORMAT.md tells.
@pytest.mark.parametrize("store", [name for name in STORES if name != "s3-in-parts"], indirect=True)
def test_of_different_contents_at_once_one_is_stored_and_the_others_are_refused(store):
    contents = [str(number).encode() * 50_000 for number in range(6)]
    outcomes = commit_at_once(store, contents)
    assert Counter(outcomes) == {"stored": 1, "refused": 5}
    assert read(store) == contents[outcomes.index("stored")]


def test_of_the_same_content_at_once_all_are_stored(store):
    contents = [b"content" * 10_000] * 6
    assert commit_at_once(store, contents) == ["stored"] * 6
    assert read(store) == contents[0]


def test_what_is_half_written_is_not_visible(store):
    with store.stage() as staged:
        staged.write(b"x" * (SPILL_SIZE_BYTES + 1))
        assert keys(store) == []
        with pytest.raises(ObjectNotFound):
            store.open(KEY)
        staged.commit(KEY)
    assert keys(store) == [KEY]


@pytest.mark.parametrize("size_bytes", [0, 10, SPILL_SIZE_BYTES + 1])
def test_what_is_discarded_leaves_nothing(store, tmp_path, size_bytes):
    with store.stage() as staged:
        staged.write(b"x" * size_bytes)
        staged.discard()
        staged.discard()
    with suppress(ZeroDivisionError), store.stage() as staged:
        staged.write(b"x" * size_bytes)
        raise ZeroDivisionError
    assert keys(store) == []
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_what_is_over_cannot_be_written_to(store):
    with store.stage() as staged:
        staged.commit(KEY)
        for call in (lambda: staged.write(b"x"), staged.sha256, staged.view, lambda: staged.commit(KEY)):
            with pytest.raises(ValueError, match="committed or discarded"):
                call()
    assert read(store) == b""


def test_a_view_is_read_only(store):
    with store.stage() as staged:
        staged.write(b"content")
        with staged.view() as view:
            assert bytes(view) == b"content"
            with pytest.raises(TypeError):
                view[0] = 0


def test_objects_are_listed_by_the_start_of_their_keys(store):
    for key in ("ab/1.2/3.dcm", "ab/1.2/4.dcm", "ab/1.20/5.dcm", "abc/6.dcm", "7"):
        store.put(key, b"x")
    assert keys(store) == ["7", "ab/1.2/3.dcm", "ab/1.2/4.dcm", "ab/1.20/5.dcm", "abc/6.dcm"]
    assert keys(store, "ab") == ["ab/1.2/3.dcm", "ab/1.2/4.dcm", "ab/1.20/5.dcm", "abc/6.dcm"]
    assert keys(store, "ab/") == ["ab/1.2/3.dcm", "ab/1.2/4.dcm", "ab/1.20/5.dcm"]
    assert keys(store, "ab/1.2") == ["ab/1.2/3.dcm", "ab/1.2/4.dcm", "ab/1.20/5.dcm"]
    assert keys(store, "ab/1.2/") == ["ab/1.2/3.dcm", "ab/1.2/4.dcm"]
    assert keys(store, "ab/1.2/4.d") == ["ab/1.2/4.dcm"]
    assert keys(store, "ab/1.2/4.dcm") == ["ab/1.2/4.dcm"]
    assert keys(store, "b") == keys(store, "ab/1.2/3.dcm/") == keys(store, "zz/9/8") == []


def test_what_is_deleted_is_gone_and_deleting_it_again_is_success(store):
    store.put(KEY, b"content")
    store.put("ab/other", b"other")
    store.delete(KEY)
    store.delete(KEY)
    store.delete("never/was")
    assert keys(store) == ["ab/other"]
    with pytest.raises(ObjectNotFound):
        store.stat(KEY)
    store.put(KEY, b"new content")
    assert read(store) == b"new content"


@pytest.mark.parametrize("key", [KEY, "ab", f"{KEY}/below"])
def test_an_object_that_is_not_there_is_not_found(store, key):
    store.put("ab/1.2.840.1/other", b"other")  # so that a folder has the name of the second key
    for call in (
        lambda: store.open(key),
        lambda: store.stat(key),
        lambda: store.read_range(key, 0, 5),
        lambda: store.read_range(key, 0, 0),
    ):
        with pytest.raises(ObjectNotFound):
            call()


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.one_of(
        st.text(max_size=40).filter(lambda text: not text.isascii() or not text),
        st.sampled_from(
            ["..", "../x", "a/../../x", "/etc/passwd", "a//b", "a/", "a/.b", ".tmp/x", "a\0", "a\n"]
        ),
        st.sampled_from(
            ["a b", "a\\b", "C:x", "a" * 256, "/".join(["a" * 200] * 5), "%2e%2e/x", "./a", ".lock"]
        ),
    )
)
def test_what_is_no_key_is_refused_by_every_method(store, tmp_path, key):
    for call in (store.open, store.stat, store.delete, lambda bad: store.read_range(bad, 0, 1)):
        with pytest.raises(InvalidKey):
            call(key)
    with pytest.raises(InvalidKey):
        store.put(key, b"x")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("prefix", ["..", "../", "/", "a//", ".tmp", "a/.", "a b", "é", "a" * 256])
def test_what_no_key_starts_with_is_refused(store, prefix):
    with pytest.raises(InvalidKey):
        store.list(prefix)


def test_a_healthy_store_passes_its_check_and_shows_no_trace_of_it(store):
    store.check()
    assert keys(store) == []


def test_what_is_finished_is_not_abandoned(store):
    store.put(KEY, b"x" * 1000)
    assert store.remove_abandoned(older_than_s=0) == 0
    assert keys(store) == [KEY]


@pytest.mark.parametrize("size_bytes", [0, 10, SPILL_SIZE_BYTES + 5])
def test_a_file_is_kept_as_it_is_and_a_second_time_is_success(store, tmp_path, size_bytes):
    content = os.urandom(size_bytes)
    sha256 = hashlib.sha256(content).hexdigest()
    (tmp_path / "file").write_bytes(content)
    for _ in range(2):
        with (tmp_path / "file").open("rb") as source:
            source.seek(size_bytes // 2)
            assert store.put_file(KEY, source, size_bytes, sha256).size_bytes == size_bytes
    assert read(store) == content


def test_a_file_is_not_kept_over_another_content(store, tmp_path):
    store.put(KEY, b"first")
    (tmp_path / "file").write_bytes(b"other")
    with (tmp_path / "file").open("rb") as source, pytest.raises(ObjectExists):
        store.put_file(KEY, source, 5, hashlib.sha256(b"other").hexdigest())
    assert read(store) == b"first"
