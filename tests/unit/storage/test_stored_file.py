from __future__ import annotations

import os
from pathlib import Path

import pytest

from storage.stored_file import READ_AHEAD_BYTES, StoredFile, lies_in_memory

CONTENT = os.urandom(3 * READ_AHEAD_BYTES)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "pack"
    path.write_bytes(CONTENT)
    return path


def test_a_part_of_what_was_just_written_is_read_at_once(path: Path) -> None:
    file = StoredFile(os.open(path, os.O_RDONLY), 100, len(CONTENT) - 200)
    assert file.read_at_once(50, 1000) == CONTENT[150:1150]
    assert file.read_at_once(0, file.size_bytes) == CONTENT[100:-100]


def test_what_an_object_does_not_have_is_not_read(path: Path) -> None:
    file = StoredFile(os.open(path, os.O_RDONLY), 100, 1000)
    assert file.read_at_once(900, 101) is None  # the file has it: of another object


def test_what_the_system_dropped_from_memory_is_told(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
        assert lies_in_memory(descriptor, 0, len(CONTENT))
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        if lies_in_memory(descriptor, 0, len(CONTENT)):
            pytest.skip("this file system keeps all of its files in memory")
        assert StoredFile(os.dup(descriptor), 0, len(CONTENT)).read_at_once(0, len(CONTENT)) is None
        os.pread(descriptor, len(CONTENT), 0)
        assert lies_in_memory(descriptor, 0, len(CONTENT))
    finally:
        os.close(descriptor)
