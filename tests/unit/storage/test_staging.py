"""The buffer that spills."""

import array
import errno
import hashlib
import os
import tempfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.errors import StoreFull, StoreUnavailable
from storage.memory import MemoryStore

SPILL_SIZE_BYTES = 100
STEPS = st.lists(st.binary(max_size=70) | st.sampled_from(["digest", "view"]), max_size=12)


@pytest.fixture
def store():
    return MemoryStore(SPILL_SIZE_BYTES)


@settings(deadline=None)
@given(STEPS)
def test_digest_and_view_are_those_of_what_was_written_however_it_came(steps):
    content = b""
    with MemoryStore(SPILL_SIZE_BYTES).stage() as staged:
        for step in [*steps, "view", "digest", "digest"]:
            if step == "digest":
                assert staged.sha256() == hashlib.sha256(content).hexdigest()
            elif step == "view":
                with staged.view() as view:
                    assert view == content
            else:
                staged.write(step)
                content += step
        assert staged.size_bytes == len(content)


def test_only_what_is_larger_than_the_limit_needs_a_file(store, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    store.put("small", b"x" * SPILL_SIZE_BYTES)
    with pytest.raises(StoreUnavailable):
        store.put("large", b"x" * (SPILL_SIZE_BYTES + 1))


def test_the_file_has_no_name_that_a_crash_could_leave_behind(store, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with store.stage() as staged:
        staged.write(b"x" * (SPILL_SIZE_BYTES + 1))
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("number", "expected"), [(errno.ENOSPC, StoreFull), (errno.EIO, StoreUnavailable)])
def test_a_file_that_cannot_grow_ends_the_object(store, monkeypatch, number, expected):
    def write(*_arguments):
        raise OSError(number, os.strerror(number))

    with store.stage() as staged:
        staged.write(b"x" * SPILL_SIZE_BYTES)
        with monkeypatch.context() as broken:
            broken.setattr(os, "write", write)
            with pytest.raises(expected):
                staged.write(b"y")
        with pytest.raises(ValueError, match="discarded"):
            staged.commit("key")
    assert list(store.list()) == []


def test_what_the_system_writes_in_pieces_is_whole(store, monkeypatch):
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:7]))
    content = os.urandom(3 * SPILL_SIZE_BYTES)
    store.put("key", content)
    with store.open("key") as stream:
        assert stream.read() == content


@pytest.mark.parametrize("size_bytes", [10, SPILL_SIZE_BYTES + 10])
def test_a_view_outlives_the_object(store, size_bytes):
    with store.stage() as staged:
        staged.write(b"x" * size_bytes)
        view = staged.view()
        staged.commit("key")
    assert view == b"x" * size_bytes
    view.release()


@pytest.mark.parametrize("more", [10, SPILL_SIZE_BYTES])
def test_a_view_stays_as_it_was_while_more_is_written(store, more):
    with store.stage() as staged:
        staged.write(b"content")
        with staged.view() as view:
            staged.write(b"m" * more)
            assert view == b"content"
        staged.commit("key")
    assert store.stat("key").size_bytes == len(b"content") + more


def test_a_buffer_is_used_again_but_not_while_a_view_of_it_is_held(store):
    with store.stage() as staged:
        staged.write(b"first")
        view = staged.view()
    with store.stage() as staged:
        staged.write(b"other")
        assert view == b"first"


def test_a_view_of_wide_items_is_written_byte_by_byte(store):
    wide = array.array("H", range(90))
    with store.stage() as staged:
        staged.write(memoryview(wide)[:40])
        staged.write(memoryview(wide)[40:])
        assert staged.size_bytes == 180
        staged.commit("key")
    with store.open("key") as stream:
        assert stream.read() == wide.tobytes()
