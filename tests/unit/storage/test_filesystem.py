"""Files: what is flushed and when, full and failing disks, crashes, and what others leave in the folder."""

import errno
import fcntl
import os
import signal
import stat
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from storage.errors import ObjectExists, ObjectNotFound, StoreFull, StoreUnavailable
from storage.filesystem import FilesystemStore
from tests.data import PROJECT

KEY = "ab/1.2.840.1/1.2.840.2/1.2.840.3.dcm"
CONTENT = b"content" * 1000


@pytest.fixture
def root(tmp_path):
    return tmp_path / "objects"


@pytest.fixture
def store(root):
    return FilesystemStore(root)


def files_in(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


class Recorder:
    """Remembers, in order, what was flushed (by inode, which also a name that is gone had) and linked."""

    def __init__(self, monkeypatch):
        self.events = []
        fsync, link = os.fsync, os.link

        def recording_fsync(descriptor):
            self.events.append(("flush", os.fstat(descriptor).st_ino))
            fsync(descriptor)

        def recording_link(source, target, **options):
            link(source, target, **options)
            self.events.append(("link", Path(target).stat().st_ino))

        monkeypatch.setattr(os, "fsync", recording_fsync)
        monkeypatch.setattr(os, "link", recording_link)

    def take(self):
        events, self.events = self.events, []
        return events


def flush(path):
    return ("flush", path.stat().st_ino)


def test_the_object_is_flushed_before_it_is_linked_and_all_its_folders_after(store, root, monkeypatch):
    recorder = Recorder(monkeypatch)
    store.put(KEY, CONTENT)
    path = root / KEY
    first, second, *rest = recorder.take()
    assert first == flush(path)
    assert second == ("link", path.stat().st_ino)
    folders = [path.parent, path.parent.parent, path.parent.parent.parent, root]
    assert sorted(rest) == sorted(flush(folder) for folder in folders)


def test_a_second_object_in_a_folder_costs_two_flushes(store, root, monkeypatch):
    store.put(KEY, CONTENT)
    recorder = Recorder(monkeypatch)
    store.put(f"{KEY}.2", CONTENT)
    path = root / f"{KEY}.2"
    assert recorder.take() == [flush(path), ("link", path.stat().st_ino), flush(path.parent)]


def test_folders_that_another_process_made_are_flushed_too(store, root, monkeypatch):
    store.put(KEY, CONTENT)
    other_process = FilesystemStore(root)
    recorder = Recorder(monkeypatch)
    other_process.put(f"{KEY}.2", CONTENT)
    assert flush((root / KEY).parent.parent) in recorder.take()


def test_the_folder_is_flushed_before_a_second_success_for_the_same_object(store, root, monkeypatch):
    store.put(KEY, CONTENT)
    recorder = Recorder(monkeypatch)
    store.put(KEY, CONTENT)
    assert flush((root / KEY).parent) in recorder.take()


def test_a_delete_is_flushed(store, root, monkeypatch):
    store.put(KEY, CONTENT)
    recorder = Recorder(monkeypatch)
    store.delete(KEY)
    assert recorder.take() == [flush((root / KEY).parent)]


def test_the_folders_of_a_new_store_are_flushed_into_those_above(tmp_path, monkeypatch):
    recorder = Recorder(monkeypatch)
    FilesystemStore(tmp_path / "a" / "b")
    flushed = recorder.take()
    for folder in (tmp_path, tmp_path / "a", tmp_path / "a" / "b"):
        assert flush(folder) in flushed


@contextmanager
def failing(monkeypatch, name, number):
    """Let a system call fail, as seen from Python."""

    def fail(*_arguments, **_options):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as broken:
        broken.setattr(os, name, fail)
        yield


@pytest.mark.parametrize("call", ["open", "write", "fsync", "mkdir", "link"])
@pytest.mark.parametrize(
    ("number", "expected"),
    [(errno.ENOSPC, StoreFull), (errno.EDQUOT, StoreFull), (errno.EIO, StoreUnavailable)],
)
@pytest.mark.parametrize("spill_size_bytes", [0, 10**6])
def test_a_disk_that_fails_keeps_nothing_and_later_works_again(
    root, monkeypatch, call, number, expected, spill_size_bytes
):
    store = FilesystemStore(root, spill_size_bytes)
    with failing(monkeypatch, call, number), pytest.raises(expected):
        store.put(KEY, CONTENT)
    assert files_in(root) == []
    store.put(KEY, CONTENT)
    assert files_in(root) == [KEY]


def test_a_commit_that_fails_gives_its_space_back_at_once(store, root, monkeypatch):
    with store.stage() as staged:
        staged.write(CONTENT)
        with failing(monkeypatch, "fsync", errno.ENOSPC), pytest.raises(StoreFull):
            staged.commit(KEY)
        assert files_in(root) == []
        with pytest.raises(ValueError, match="discarded"):
            staged.commit(KEY)


def test_a_disk_that_fills_up_in_the_middle_keeps_nothing(store, root, monkeypatch):
    write, room = os.write, [3000]

    def write_while_there_is_room(descriptor, data):
        if not room[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = write(descriptor, data[: room[0]])
        room[0] -= written
        return written

    monkeypatch.setattr(os, "write", write_while_there_is_room)
    with pytest.raises(StoreFull):
        store.put(KEY, CONTENT)
    assert files_in(root) == []


@pytest.fixture
def small_disk(tmp_path):
    """A real file system of 1 MiB, where we may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("only root may mount a file system")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_refuses_what_does_not_fit_and_keeps_what_it_has(small_disk):
    store = FilesystemStore(small_disk / "objects", spill_size_bytes=64 * 1024)
    store.put("a", bytes(700_000))
    for size_bytes in (700_000, 400_000):
        with pytest.raises(StoreFull):
            store.put("b", bytes(size_bytes))
    store.put("c", bytes(200_000))
    assert files_in(small_disk / "objects") == ["a", "c"]
    store.delete("a")
    store.put("b", bytes(700_000))


def test_a_folder_that_cannot_be_flushed_gives_no_success(store, root, monkeypatch):
    fsync = os.fsync

    def fail_for_folders(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        fsync(descriptor)

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", fail_for_folders)
        with pytest.raises(StoreUnavailable):
            store.put(KEY, CONTENT)
    assert files_in(root) in ([], [KEY])  # nobody was promised it
    store.put(KEY, CONTENT)
    assert (root / KEY).read_bytes() == CONTENT


CRASHING_WRITER = """
import os, signal, sys
from storage.filesystem import FilesystemStore

root, call, count, spill_size_bytes = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
store = FilesystemStore(root, spill_size_bytes)
real = getattr(os, call)

def crash(*arguments, **options):
    global count
    if count == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    count -= 1
    return real(*arguments, **options)

setattr(os, call, crash)
store.put("ab/1.2/3.dcm", b"content" * 1000)
"""


@pytest.mark.parametrize(
    ("call", "count", "visible"),
    [
        ("write", 0, False),
        ("fsync", 0, False),
        ("mkdir", 0, False),
        ("link", 0, False),
        ("unlink", 0, True),
        ("fsync", 1, True),
        ("fsync", 2, True),
    ],
)
@pytest.mark.parametrize("spill_size_bytes", [0, 10**6])
def test_a_crash_leaves_a_whole_object_or_none_and_what_else_it_leaves_is_removed(
    root, call, count, visible, spill_size_bytes
):
    arguments = [str(root), call, str(count), str(spill_size_bytes)]
    writer = subprocess.run([sys.executable, "-c", CRASHING_WRITER, *arguments], cwd=PROJECT, check=False)
    assert writer.returncode == -signal.SIGKILL
    store = FilesystemStore(root)
    assert [found.key for found in store.list()] == (["ab/1.2/3.dcm"] if visible else [])
    store.put("ab/1.2/3.dcm", CONTENT)
    store.remove_abandoned(older_than_s=0)
    assert files_in(root) == ["ab/1.2/3.dcm"]
    assert (root / "ab/1.2/3.dcm").read_bytes() == CONTENT


def make_old(path):
    an_hour_ago = time.time() - 3600
    os.utime(path, (an_hour_ago, an_hour_ago))


def test_the_temporary_of_a_live_writer_is_not_abandoned_however_old_it_is(root):
    store = FilesystemStore(root, spill_size_bytes=0)
    with store.stage() as staged:
        staged.write(CONTENT)
        (temporary,) = (root / ".tmp").iterdir()
        make_old(temporary)
        assert FilesystemStore(root).remove_abandoned(older_than_s=60) == 0
        staged.commit(KEY)
    assert (root / KEY).read_bytes() == CONTENT


def test_what_a_dead_writer_left_is_removed_when_it_is_old(store, root):
    temporary = root / ".tmp" / "0123456789abcdef"
    temporary.write_bytes(CONTENT)
    assert store.remove_abandoned(older_than_s=60) == 0
    make_old(temporary)
    assert store.remove_abandoned(older_than_s=60) == 1
    assert files_in(root) == []


def test_where_there_are_no_locks_objects_are_kept_and_nothing_is_removed(store, root, monkeypatch):
    def flock(*_arguments):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", flock)
    temporary = root / ".tmp" / "0123456789abcdef"
    temporary.write_bytes(CONTENT)
    store.put(KEY, CONTENT)
    assert store.remove_abandoned(older_than_s=0) == 0
    assert temporary.exists()


def test_an_object_that_vanishes_while_it_is_compared_is_written_again(store, root, monkeypatch):
    link, answers = os.link, [FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))]

    def link_after_a_refusal(*arguments, **options):
        if answers:
            raise answers.pop()
        link(*arguments, **options)

    monkeypatch.setattr(os, "link", link_after_a_refusal)
    store.put(KEY, CONTENT)
    assert (root / KEY).read_bytes() == CONTENT


@pytest.mark.parametrize("key", ["ab", "ab/1.2.840.1", f"{KEY}/below", f"{KEY}/far/below"])
def test_no_key_is_a_folder_of_another(store, root, key):
    store.put(KEY, CONTENT)
    with pytest.raises(ObjectExists):
        store.put(key, CONTENT)
    assert files_in(root) == [KEY]


def test_a_symbolic_link_is_no_object(store, root, tmp_path):
    store.put("ab/real", CONTENT)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    (root / "ab" / "link").symlink_to(outside / "secret")
    (root / "cd").symlink_to(outside)
    assert [found.key for found in store.list()] == ["ab/real"]
    for call in (store.open, store.stat, lambda key: store.read_range(key, 0, 6)):
        with pytest.raises(ObjectNotFound):
            call("ab/link")
    with pytest.raises(ObjectExists):
        store.put("ab/link", b"secret")
    assert (outside / "secret").read_bytes() == b"secret"


def test_what_is_none_of_ours_is_not_listed(store, root):
    store.put(KEY, CONTENT)
    (root / "lost+found").mkdir()
    (root / "lost+found" / "12345").write_bytes(b"")
    (root / "ab" / ".hidden").write_bytes(b"")
    (root / "ab" / "white space").write_bytes(b"")
    os.mkfifo(root / "ab" / "fifo")
    with store.stage() as staged:
        staged.write(b"x")
        assert [found.key for found in store.list()] == [KEY]


def test_of_a_store_that_is_gone_nothing_is_said_to_be_absent(store, root, tmp_path):
    store.put(KEY, CONTENT)
    root.rename(tmp_path / "not mounted")
    root.mkdir()
    for call in (
        lambda: store.stat(KEY),
        lambda: store.open(KEY),
        lambda: store.read_range(KEY, 0, 1),
        lambda: store.put(KEY, CONTENT),
        lambda: store.delete(KEY),
        lambda: list(store.list()),
        lambda: store.remove_abandoned(0),
        store.check,
    ):
        with pytest.raises(StoreUnavailable):
            call()
    assert files_in(root) == []


def test_others_may_not_read(root):
    umask = os.umask(0)
    try:
        FilesystemStore(root).put(KEY, CONTENT)
    finally:
        os.umask(umask)
    assert {path.stat().st_mode & 0o007 for path in [root, *root.rglob("*")]} == {0}


def lowest_free_descriptor():
    descriptor = os.open(os.devnull, os.O_RDONLY)
    os.close(descriptor)
    return descriptor


def test_no_descriptor_stays_open(store):
    before = lowest_free_descriptor()
    store.put(KEY, CONTENT)
    store.put(KEY, CONTENT)
    with pytest.raises(ObjectExists):
        store.put(KEY, b"other")
    with pytest.raises(ObjectNotFound):
        store.open("ab")
    store.read_range(KEY, 0, 10)
    store.check()
    store.remove_abandoned(0)
    assert lowest_free_descriptor() == before


@pytest.mark.parametrize("packed", [False, True])
def test_a_stream_that_cannot_be_read_raises_the_error_of_the_store(tmp_path: Path, packed: bool) -> None:
    store = FilesystemStore(tmp_path / "objects")
    with store.stage(packed=packed) as staged:
        staged.write(b"x" * 1000)
        key = staged.commit("5f/object.dcm").key
    stream = store.open(key)
    raw: Any = stream.raw  # type: ignore[attr-defined]
    folder = os.open(tmp_path, os.O_RDONLY)
    os.dup2(folder, raw._descriptor if packed else raw.fileno())  # which can be opened, and not be read
    os.close(folder)
    with stream, pytest.raises(StoreUnavailable):
        stream.read(10)
    store.close()
