from __future__ import annotations

import errno
import fcntl
import os
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from storage.errors import InvalidKey, ObjectNotFound, StoreFull, StoreUnavailable
from storage.filesystem import FilesystemStore
from storage.packed_keys import own_key, parse_packed_key
from storage.staging import SPILL_SIZE_BYTES
from storage.store import ObjectStat
from storage.tar import END

KEY = "5f/1.2.840.99.1/1.2.840.99.1.2/1.2.840.99.1.2.3." + "9" * 64 + ".dcm"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "objects"


@pytest.fixture
def store(root: Path) -> Iterator[FilesystemStore]:
    opened = FilesystemStore(root)
    yield opened
    opened.close()


def put(store: FilesystemStore, key: str = KEY, content: bytes = b"content") -> ObjectStat:
    with store.stage(packed=True) as staged:
        staged.write(content)
        return staged.commit(key)


def read(store: FilesystemStore, key: str) -> bytes:
    with store.open(key) as stream:
        return stream.read()


def packs(root: Path) -> list[Path]:
    return sorted(root.glob("packs/*/*.tar"))


def test_a_small_object_is_read_by_the_key_that_the_commit_told(store: FilesystemStore, root: Path) -> None:
    stats = [put(store, f"{KEY}.{number}", os.urandom(number * 300)) for number in range(5)]
    assert len(packs(root)) == 1
    for number, stat in enumerate(stats):
        assert own_key(stat.key) == f"{KEY}.{number}"
        assert len(read(store, stat.key)) == stat.size_bytes == number * 300
        assert store.read_range(stat.key, 100, 50) == read(store, stat.key)[100:150]
        assert store.read_range(stat.key, 10**9, 50) == b""
        assert store.stat(stat.key) == stat
    assert list(store.list()) == stats
    assert list(store.list("5f/")) == []
    assert list(store.list(stats[2].key)) == [stats[2]]


def test_a_stream_of_a_packed_object_can_be_moved_in(store: FilesystemStore) -> None:
    content = os.urandom(200_000)
    put(store, "before", b"x" * 1000)
    key = put(store, KEY, content).key
    put(store, "behind", b"y" * 1000)
    with store.open(key) as stream:
        assert stream.seek(199_990) == 199_990
        assert stream.read(100) == content[-10:]
        assert stream.read(1) == b""
        assert stream.seek(-20, os.SEEK_END) == 199_980
        assert stream.read() == content[-20:]
        assert stream.seek(5) == 5
        assert stream.read(5) == content[5:10]


def test_the_system_can_be_told_not_to_keep_a_packed_object_in_memory(store: FilesystemStore) -> None:
    with store.open(put(store).key) as stream:
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        assert stream.read() == b"content"


def test_a_large_object_is_a_file_of_its_own(store: FilesystemStore, root: Path) -> None:
    stat = put(store, KEY, bytes(SPILL_SIZE_BYTES + 1))
    assert stat.key == KEY
    assert packs(root) == []


def test_a_pack_is_a_tar_archive_of_the_objects_under_their_keys(store: FilesystemStore, root: Path) -> None:
    put(store, KEY, b"one")
    put(store, "short", b"other")
    store.close()
    (pack,) = packs(root)
    with tarfile.open(pack) as archive:
        assert archive.getnames() == [KEY, "short"]
        extracted = archive.extractfile(KEY)
        assert extracted is not None
        assert extracted.read() == b"one"


def test_objects_that_come_together_share_a_flush(
    store: FilesystemStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(store)
    flushes, waiting, go_on = [], threading.Event(), threading.Event()
    fdatasync = os.fdatasync

    def slow(descriptor: int) -> None:
        flushes.append(descriptor)
        waiting.set()
        go_on.wait(10)
        fdatasync(descriptor)

    monkeypatch.setattr(os, "fdatasync", slow)
    threads = [threading.Thread(target=put, args=(store, f"{KEY}.{number}")) for number in range(9)]
    threads[0].start()
    assert waiting.wait(10)
    for thread in threads[1:]:
        thread.start()
    pack = store._packs._current
    assert pack is not None
    deadline = time.monotonic() + 10
    while pack.size_bytes < 10 * 4 * 512 and time.monotonic() < deadline:
        time.sleep(0.01)
    go_on.set()
    for thread in threads:
        thread.join()
    assert len(flushes) == 2
    assert len(list(store.list())) == 10


def test_what_is_to_be_flushed_later_shares_the_flush_of_another(
    store: FilesystemStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushes: list[int] = []
    monkeypatch.setattr(os, "fdatasync", flushes.append)
    staged = [store.stage(packed=True) for _ in range(3)]
    for number, one in enumerate(staged):
        one.write(b"content")
        one.commit(f"{KEY}.{number}", flush=False)
    assert flushes == []
    for one in reversed(staged):
        one.flush()
    assert len(flushes) == 1


def test_a_flush_that_failed_is_told_to_all_who_waited_for_it(
    store: FilesystemStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, "a bad disk")

    one, other = store.stage(packed=True), store.stage(packed=True)
    for number, staged in enumerate((one, other)):
        staged.write(b"content")
        staged.commit(f"{KEY}.{number}", flush=False)
    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", fail)
        with pytest.raises(StoreUnavailable):
            one.flush()
    assert list(store.list()) == []  # or a sweep would take for an object what is in memory only
    stat = put(store)  # into another pack, and the first one is closed
    with pytest.raises(StoreUnavailable):
        other.flush()
    assert list(store.list()) == [stat]


def test_what_was_flushed_before_a_flush_failed_stays(
    store: FilesystemStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: int) -> None:
        raise OSError(errno.EIO, "a bad disk")

    kept = put(store)
    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", fail)
        with pytest.raises(StoreUnavailable):
            put(store, f"{KEY}.1")
    assert list(store.list()) == [kept]
    assert read(store, kept.key) == b"content"


def test_a_packed_object_on_a_disk_that_is_not_mounted_is_not_said_to_be_deleted(
    store: FilesystemStore, root: Path
) -> None:
    stat = put(store)
    root.rename(root.with_name("unmounted"))
    with pytest.raises(StoreUnavailable):
        store.delete(stat.key)
    root.with_name("unmounted").rename(root)
    store.delete(stat.key)
    store.delete(stat.key)


def test_the_zeros_behind_the_last_object_are_no_objects_and_go_with_the_writer(
    store: FilesystemStore, root: Path
) -> None:
    stats = [put(store, f"{KEY}.{number}") for number in range(40)]
    (pack,) = packs(root)
    end = int(stats[-1].key.split("/")[3].partition("-")[0])
    assert pack.stat().st_size > end + 4 * 512
    assert list(FilesystemStore(root).list()) == stats
    store.close()
    assert pack.stat().st_size == end + 512 + len(END)
    assert list(FilesystemStore(root).list()) == stats


def test_a_pack_of_deleted_objects_goes_though_its_writer_died_and_left_zeros(
    store: FilesystemStore, root: Path
) -> None:
    store.delete(put(store, content=b"x" * 50_000).key)
    os.close(store._packs._current._descriptor)  # type: ignore[union-attr]
    store._packs._current = None
    assert FilesystemStore(root).remove_abandoned(0) == 1
    assert packs(root) == []


def test_an_object_whose_writer_is_killed_midway_is_not_there(
    store: FilesystemStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    first = put(store)
    write = os.pwritev

    def write_half(descriptor: int, parts: Sequence[bytes], offset: int) -> int:
        write(descriptor, [bytes(parts[0])[:1000]], offset)
        raise Killed

    monkeypatch.setattr(os, "pwritev", write_half)
    with pytest.raises(Killed):
        put(store, content=b"x" * 5000)
    assert list(FilesystemStore(root).list()) == [first]


def test_the_flush_comes_before_the_answer_and_the_folders_before_the_first(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FilesystemStore(root)
    flushed: list[str] = []
    for name in ("fsync", "fdatasync"):
        flush = getattr(os, name)

        def watched(descriptor: int, flush: object = flush) -> None:
            path = Path(f"/proc/self/fd/{descriptor}").readlink()
            flushed.append(str(path).removeprefix(str(root)))
            flush(descriptor)  # type: ignore[operator]

        monkeypatch.setattr(os, name, watched)
    put(store)
    (pack,) = packs(root)
    day = f"/packs/{pack.parent.name}"
    assert flushed == [day, "/packs", "", f"{day}/{pack.name}"]


@pytest.mark.parametrize(("number", "expected"), [(errno.ENOSPC, StoreFull), (errno.EIO, StoreUnavailable)])
def test_what_cannot_be_written_leaves_the_pack_as_it_was(
    store: FilesystemStore,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    expected: type[Exception],
) -> None:
    before = put(store)

    def half(descriptor: int, parts: object, offset: int) -> int:
        os.pwrite(descriptor, b"half of it", offset)
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as broken:
        broken.setattr(os, "pwritev", half)
        with pytest.raises(expected):
            put(store, "other", b"x" * 1000)
    after = put(store, "third")
    assert list(store.list()) == [before, after]
    assert len(packs(root)) == 1


def test_a_pack_that_cannot_be_flushed_is_left_for_a_new_one(
    store: FilesystemStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = put(store)

    def broken_flush(_descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as broken:
        broken.setattr(os, "fdatasync", broken_flush)
        with pytest.raises(StoreUnavailable):
            put(store, "other")
    after = put(store, "third")
    assert len(packs(root)) == 2
    assert read(store, before.key) == read(store, after.key) == b"content"


def test_a_pack_whose_folders_cannot_be_flushed_keeps_no_descriptor(
    store: FilesystemStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken_flush(_descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    before = len(list(Path("/proc/self/fd").iterdir()))
    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", broken_flush)
        for _ in range(5):
            with pytest.raises(StoreUnavailable):
                put(store)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert read(store, put(store).key) == b"content"


def test_a_full_pack_is_followed_by_another(root: Path) -> None:
    store = FilesystemStore(root)
    store._packs._max_pack_size_bytes = 5000
    keys = [put(store, f"{KEY}.{number}", bytes([number]) * 1000).key for number in range(6)]
    assert len(packs(root)) == 3
    assert [read(store, key)[0] for key in keys] == list(range(6))


def test_what_is_deleted_is_gone_durably_and_gives_its_space_back(store: FilesystemStore, root: Path) -> None:
    first, second = put(store, "first", bytes(500_000)), put(store, "second", b"x" * 500_000)
    (pack,) = packs(root)
    before = pack.stat().st_blocks
    store.delete(first.key)
    store.delete(first.key)
    for call in (store.open, store.stat, lambda key: store.read_range(key, 0, 1)):
        with pytest.raises(ObjectNotFound):
            call(first.key)
    assert list(store.list()) == [second]
    assert read(store, second.key) == b"x" * 500_000
    if sys.platform == "linux":
        assert pack.stat().st_blocks < before * 0.6


def test_a_pack_is_removed_when_all_of_it_is_deleted_and_nobody_writes_it(
    store: FilesystemStore, root: Path
) -> None:
    stats = [put(store, f"{KEY}.{number}", b"x" * 100_000) for number in range(3)]
    for stat in stats:
        store.delete(stat.key)
    assert store.remove_abandoned(0) == 0
    store.close()
    assert store.remove_abandoned(0) == 1
    assert packs(root) == []
    with pytest.raises(ObjectNotFound):
        store.open(stats[0].key)


def test_a_pack_that_is_taken_for_abandoned_before_its_writer_has_locked_it_gets_no_object(
    store: FilesystemStore, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = FilesystemStore(root)
    lock = fcntl.flock
    removed: list[int] = []

    def remove_before_the_first_lock(descriptor: int, operation: int) -> None:
        if not removed:
            removed.append(0)
            removed.append(other.remove_abandoned(0))
        lock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", remove_before_the_first_lock)
    stat = put(store)
    assert removed == [0, 1]
    assert read(other, stat.key) == b"content"
    assert list(other.list()) == [stat]


@pytest.mark.parametrize("key", [KEY, "5f/short.dcm"])
def test_tar_never_lays_a_deleted_copy_over_the_one_that_is_kept(
    root: Path, tmp_path: Path, key: str
) -> None:
    kept, dropped = FilesystemStore(root), FilesystemStore(root)
    stat, copy = put(kept, key, b"x" * 5000), put(dropped, key, b"x" * 5000)
    dropped.delete(copy.key)
    kept.close()
    dropped.close()
    for pack in (*packs(root), *reversed(packs(root))):
        subprocess.run(["tar", "xf", str(pack)], cwd=tmp_path, check=True)
    assert (tmp_path / key).read_bytes() == b"x" * 5000
    assert list(kept.list()) == [stat]


def test_a_pack_is_kept_in_which_a_damaged_header_may_hide_an_object(
    store: FilesystemStore, root: Path
) -> None:
    deleted = [put(store, f"{KEY}.{number}", b"x" * 100_000) for number in range(3)]
    put(store, KEY, b"y" * 100)
    store.close()
    for stat in deleted:
        store.delete(stat.key)
    (pack,) = packs(root)
    whole = pack.read_bytes()
    at = whole.rindex(b"y" * 100)
    with pack.open("r+b") as file:
        file.seek(at - 512)
        file.write(b"?")
        file.seek(whole.rindex(b"path=") - 600)
        file.write(b"?")
    assert store.remove_abandoned(0) == 0
    assert pack.read_bytes()[at : at + 100] == b"y" * 100


@pytest.mark.parametrize("lost", [1, 600, 1000, 2000])
def test_an_object_whose_end_a_power_cut_took_is_not_there(
    store: FilesystemStore, root: Path, lost: int
) -> None:
    first, second = put(store, "first", b"x" * 1000), put(store, KEY, b"y" * 1024)
    store._packs._current = None  # as if the process were gone
    (pack,) = packs(root)
    packed = parse_packed_key(second.key)
    assert packed is not None
    os.truncate(pack, packed.offset + packed.size_bytes - lost)
    assert list(store.list()) == [first]
    assert read(store, first.key) == b"x" * 1000
    assert second.key not in [stat.key for stat in store.list()]


def test_what_lies_behind_damage_is_found(store: FilesystemStore, root: Path) -> None:
    stats = [put(store, f"{KEY}.{number}", os.urandom(5000)) for number in range(4)]
    (pack,) = packs(root)
    damaged = parse_packed_key(stats[1].key)
    assert damaged is not None
    with pack.open("r+b") as file:
        file.seek(damaged.offset - 1000)
        file.write(b"\xff" * 1000)
    assert list(store.list()) == [stats[0], *stats[2:]]
    with pytest.raises(ObjectNotFound):
        store.open(stats[1].key)


@pytest.mark.parametrize(
    "key",
    [
        "packs/20260101/0123456789abcdef.tar/512-7/name",
        "packs/20260101/0123456789abcdef.tar/0-7/name",
        "packs/20260101/0123456789abcdef.tar",
    ],
)
def test_a_key_of_nothing_finds_nothing(store: FilesystemStore, key: str) -> None:
    with pytest.raises(ObjectNotFound):
        store.stat(key)


def test_a_key_never_leads_out_of_the_folder(store: FilesystemStore) -> None:
    with pytest.raises(InvalidKey):
        store.stat("packs/../../0123456789abcdef.tar/512-7/name")


def test_a_wrong_place_in_a_pack_is_no_object(store: FilesystemStore) -> None:
    stat = put(store, KEY, b"x" * 5000)
    packed = parse_packed_key(stat.key)
    assert packed is not None
    for offset, size_bytes, name in (
        (512, 5000, KEY),
        (packed.offset, 4000, KEY),
        (packed.offset, 5000, "other"),
    ):
        with pytest.raises(ObjectNotFound):
            store.open(f"packs/{packed.pack}/{offset}-{size_bytes}/{name}")


_WRITER = """
import os, signal, sys, threading
from storage.filesystem import FilesystemStore
store = FilesystemStore(sys.argv[1])
def write(thread):
    for number in range(100_000):
        with store.stage(packed=True) as staged:
            staged.write(b"%d-%d" % (thread, number) * 2000)
            os.write(1, f"{staged.commit(f'{thread}/{number}').key}\\n".encode())
for thread in range(4):
    threading.Thread(target=write, args=(thread,), daemon=True).start()
threading.Event().wait()
"""


def test_a_killed_writer_leaves_every_object_that_it_acknowledged(root: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", _WRITER, str(root)], stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        for _ in range(300):
            writer.stdout.readline()
        writer.kill()
        lines = writer.stdout.read().decode().splitlines(keepends=True)
    store = FilesystemStore(root)
    there = {stat.key for stat in store.list()}
    for key in (line.strip() for line in lines if line.endswith("\n")):
        thread, number = own_key(key).split("/")
        assert read(store, key) == f"{thread}-{number}".encode() * 2000
    assert len(there) >= 300
    (pack,) = packs(root)
    with pack.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
