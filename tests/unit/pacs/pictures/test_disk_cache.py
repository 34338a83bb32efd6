from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from pacs.pictures.disk_cache import DiskCache

SUBJECT = "ab" * 32


def files_of(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]


def test_what_is_kept_is_found_by_every_process(tmp_path: Path) -> None:
    DiskCache(tmp_path, 1 << 20).put(SUBJECT, "key", b"picture")
    other = DiskCache(tmp_path, 1 << 20)
    assert other.get(SUBJECT, "key") == b"picture"
    assert other.get(SUBJECT, "another") is None
    assert other.get("cd" * 32, "key") is None


@pytest.mark.parametrize("damage", [b"", b"abc", b"\0\0\0\0", b"\0\0\0\0torn by a power cut"])
def test_a_torn_file_is_not_believed_and_goes(tmp_path: Path, damage: bytes) -> None:
    cache = DiskCache(tmp_path, 1 << 20)
    cache.put(SUBJECT, "key", b"picture")
    (file,) = files_of(tmp_path)
    file.write_bytes(damage)
    if damage == b"\0\0\0\0":  # the checksum of nothing at all: a file of nothing is what it says it is
        assert cache.get(SUBJECT, "key") == b""
    else:
        assert cache.get(SUBJECT, "key") is None
        assert not file.exists()


def test_the_bound_holds_and_what_was_used_last_stays(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, 16_000)
    for number in range(60):
        cache.put(SUBJECT, f"key{number}", bytes(900))
        used = tmp_path / SUBJECT[:2] / f"{SUBJECT}.key{number}"
        os.utime(used, (number, number))
        cache.get(SUBJECT, "key0")  # which is as good as new then
    cache.trim()
    assert sum(path.stat().st_size for path in files_of(tmp_path)) <= 16_000
    assert cache.get(SUBJECT, "key0") is not None
    assert cache.get(SUBJECT, "key1") is None
    assert cache.get(SUBJECT, "key59") is not None


def test_several_writers_of_one_bounded_folder_never_read_another_content(tmp_path: Path) -> None:
    def work(writer: int) -> None:
        cache = DiskCache(tmp_path, 64_000)
        for turn in range(150):
            key = f"key{(turn * 7 + writer) % 40}"
            cache.put(SUBJECT, key, key.encode() * 300)
            found = cache.get(SUBJECT, key)
            assert found is None or found == key.encode() * 300

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    DiskCache(tmp_path, 64_000).trim()
    assert sum(path.stat().st_size for path in files_of(tmp_path)) <= 64_000


def test_what_is_too_large_and_what_has_no_room_is_not_kept(tmp_path: Path) -> None:
    for bound in (0, 1600):
        cache = DiskCache(tmp_path, bound)
        cache.put(SUBJECT, "key", bytes(101))
        assert cache.get(SUBJECT, "key") is None
    assert files_of(tmp_path) == []


def test_a_folder_that_cannot_be_written_to_costs_nothing_but_the_cache(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    cache = DiskCache(tmp_path / "file" / "below", 1 << 20)
    cache.put(SUBJECT, "key", b"picture")
    assert cache.get(SUBJECT, "key") is None


def test_a_subject_is_dropped_whole_and_alone(tmp_path: Path) -> None:
    cache, other = DiskCache(tmp_path, 1 << 20), "ab" * 31 + "cd"
    for subject, key in ((SUBJECT, "one"), (SUBJECT, "two"), (other, "one")):
        cache.put(subject, key, b"picture")
    cache.drop(SUBJECT)
    assert [cache.get(SUBJECT, key) for key in ("one", "two")] == [None, None]
    assert cache.get(other, "one") == b"picture"


def test_what_a_dead_process_left_is_removed_when_it_is_old(tmp_path: Path) -> None:
    cache = DiskCache(tmp_path, 1 << 20)
    cache.put(SUBJECT, "key", b"picture")
    old, new = (tmp_path / SUBJECT[:2] / f".tmp-{name}" for name in ("old", "new"))
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    cache.trim()
    assert not old.exists()
    assert new.exists()
    assert cache.get(SUBJECT, "key") == b"picture"
