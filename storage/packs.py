"""Packs: small objects one behind the other in a tar archive, so that many become durable with one flush.

A file of its own costs an object several syncs of the disk, and the file system's journal has one only. In a
pack the objects that come together share one flush of one file. ``FORMAT.md`` specifies the archive.
"""

from __future__ import annotations

import ctypes
import fcntl
import io
import os
import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from storage.errors import ObjectNotFound
from storage.open_pack import MAX_AHEAD_BYTES, OpenPack
from storage.pack_reading import PackedObject, is_all_deleted, member_at, scan
from storage.packed_keys import FOLDER, PackedKey
from storage.posix import open_for_reading
from storage.store import Buffer, ObjectStat
from storage.stored_file import StoredFile
from storage.tar import (
    BLOCK,
    HEADER_READ_BYTES,
    Member,
    encode_header,
    encode_member_header,
    padding,
    parse_member,
)

MAX_PACK_SIZE_BYTES = 1024**3
_PACK = re.compile(r"[0-9a-f]{16}\.tar", re.ASCII)
_READ_BUFFER_BYTES = 64 * 1024
_FALLOC_KEEP_SIZE_AND_PUNCH_HOLE = 3
_MOSTLY_EMPTY = 0.5
_DELETED_SUFFIX = ".del"


@dataclass(frozen=True, slots=True)
class Appended:
    """An object at the end of a pack; not durable before `flush` has returned."""

    stat: ObjectStat
    _pack: OpenPack
    _end: int

    def flush(self) -> None:
        """Make it durable, and all that was appended before it. Raises ``OSError``."""
        self._pack.flush_to(self._end)


class Packs:
    """The packs of one store, of which this process writes one at a time. Safe for use by several threads.

    All methods raise ``OSError`` but where they say otherwise.
    """

    def __init__(self, root: Path, max_pack_size_bytes: int = MAX_PACK_SIZE_BYTES) -> None:
        self._root = root
        self._folder = str(root / FOLDER)  # paths are put together by the thousand, and pathlib takes long
        self._max_pack_size_bytes = max_pack_size_bytes
        self._lock = threading.Lock()
        self._current: OpenPack | None = None

    def append(self, name: str, content: Buffer) -> Appended:
        """Add an object, not durably yet; its key tells where it is."""
        modified_at_s = int(time.time())
        size_bytes = len(content)
        header = encode_member_header(name, size_bytes, modified_at_s)
        with self._lock:
            pack = self._pack_with_room()
            begin = pack.append(header, content, bytes(padding(size_bytes)))
            end = pack.size_bytes
        key = PackedKey(pack.name, begin + len(header), size_bytes, name)
        stat = ObjectStat(str(key), size_bytes, datetime.fromtimestamp(modified_at_s, UTC))
        return Appended(stat, pack, end)

    def _pack_with_room(self) -> OpenPack:
        pack = self._current
        if pack is not None and (pack.failed or pack.size_bytes >= self._max_pack_size_bytes):
            self._current = None
            pack.close()
            pack = None
        if pack is None:
            pack = self._current = OpenPack(self._root)
        return pack

    def open(self, key: PackedKey) -> BinaryIO:
        """Open an object; raises ObjectNotFound where it is not, or not any more."""
        descriptor = self._open_member(key)
        return io.BufferedReader(PackedObject(descriptor, key), _READ_BUFFER_BYTES)

    def open_file(self, key: PackedKey) -> StoredFile:
        """Open the pack of an object; raises ObjectNotFound where it is not, or not any more."""
        return StoredFile(self._open_member(key), key.offset, key.size_bytes)

    def read_range(self, key: PackedKey, offset: int, size_bytes: int) -> bytes:
        """Read a part of an object; raises ObjectNotFound where it is not, or not any more."""
        descriptor = self._open_member(key)
        try:
            size_bytes = min(size_bytes, key.size_bytes - offset)
            return os.pread(descriptor, size_bytes, key.offset + offset) if size_bytes > 0 else b""
        finally:
            os.close(descriptor)

    def stat(self, key: PackedKey) -> ObjectStat:
        """Tell size and time of an object; raises ObjectNotFound where it is not, or not any more."""
        descriptor = self._open_member(key)
        try:
            return _object_stat(key, member_at(descriptor, key))
        finally:
            os.close(descriptor)

    def find_missing(self, keys: Mapping[str, PackedKey]) -> set[str]:
        """Tell which objects are not there, or not any more."""
        by_pack: dict[str, list[str]] = {}
        for name, key in keys.items():
            by_pack.setdefault(key.pack, []).append(name)
        missing: set[str] = set()
        for pack, names in by_pack.items():
            try:
                descriptor = open_for_reading(f"{self._folder}/{pack}")
            except FileNotFoundError:
                missing.update(names)
                continue
            try:
                missing.update(name for name in names if not _has_member(descriptor, keys[name]))
            finally:
                os.close(descriptor)
        return missing

    def delete(self, key: PackedKey) -> None:
        """Mark an object as deleted, durably, and give its space back where the file system can.

        Where the pack is missing, FileNotFoundError: whether the disk is there, others must know.
        """
        with suppress(ObjectNotFound):
            descriptor = self._open_member(key, os.O_RDWR)
            try:
                mark = _deletion_mark(descriptor, key, member_at(descriptor, key).modified_at_s)
                os.pwrite(descriptor, mark, key.offset - len(mark))
                os.fdatasync(descriptor)
                _punch_hole(descriptor, key.offset, key.size_bytes)
            finally:
                os.close(descriptor)

    def list(self, prefix: str = "") -> Iterator[ObjectStat]:
        """Iterate over the objects of all packs whose keys start with ``prefix``."""
        for pack in self._names():
            if not _may_hold(f"{FOLDER}/{pack}/", prefix):
                continue
            with suppress(FileNotFoundError):
                for member in self._members(pack):
                    key = PackedKey(pack, member.offset, member.size_bytes, member.path)
                    if not member.deleted and str(key).startswith(prefix):
                        yield _object_stat(key, member)

    def remove_empty(self) -> int:
        """Remove packs of which nobody writes any more and every object is deleted; return how many."""
        return sum(self._remove_if_empty(pack) for pack in list(self._names()))

    def close(self) -> None:
        """Finish the pack of this process."""
        with self._lock:
            pack, self._current = self._current, None
            if pack is not None:
                pack.close()

    def _open_member(self, key: PackedKey, flags: int = os.O_RDONLY) -> int:
        descriptor = open_for_reading(f"{self._folder}/{key.pack}", flags)
        try:
            if member_at(descriptor, key).deleted:
                raise ObjectNotFound(str(key))
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def _names(self) -> Iterator[str]:
        for day in _entries(self._root / FOLDER):
            for name in _entries(self._root / FOLDER / day):
                if _PACK.fullmatch(name):
                    yield f"{day}/{name}"

    def _members(self, pack: str) -> Iterator[Member]:
        descriptor = open_for_reading(self._root / FOLDER / pack)
        try:
            yield from scan(descriptor)
        finally:
            os.close(descriptor)

    def _remove_if_empty(self, pack: str) -> bool:
        path = self._root / FOLDER / pack
        with suppress(FileNotFoundError):
            found = path.stat()
            allowance = HEADER_READ_BYTES + MAX_AHEAD_BYTES  # a dead writer left zeros
            if found.st_blocks * BLOCK > found.st_size * _MOSTLY_EMPTY + allowance:
                return False
            with _locked(path) as descriptor:
                if descriptor is not None and is_all_deleted(descriptor):
                    path.unlink()
                    return True
        return False


def _has_member(descriptor: int, key: PackedKey) -> bool:
    try:
        return not member_at(descriptor, key).deleted
    except ObjectNotFound:
        return False


def _deletion_mark(descriptor: int, key: PackedKey, modified_at_s: int) -> bytes:
    """Encode what takes the place of the headers of a deleted object.

    It has another name then: ``tar`` must not lay the hole over another copy of the object.
    """
    name = key.name[: -len(_DELETED_SUFFIX)] + _DELETED_SUFFIX
    headers = encode_member_header(name, key.size_bytes, modified_at_s)
    begin = key.offset - len(headers)
    found = parse_member(os.pread(descriptor, len(headers), begin), begin) if begin >= 0 else None
    last = encode_header(name.encode("ascii"), key.size_bytes, modified_at_s, deleted=True)
    if found is None or (found.path, found.offset) != (key.name, key.offset):
        return last
    return headers[:-BLOCK] + last


def _object_stat(key: PackedKey, member: Member) -> ObjectStat:
    return ObjectStat(str(key), member.size_bytes, datetime.fromtimestamp(member.modified_at_s, UTC))


def _may_hold(folder: str, prefix: str) -> bool:
    return folder.startswith(prefix) or prefix.startswith(folder)


def _entries(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208 - names are wanted, and in one call
    except (FileNotFoundError, NotADirectoryError):
        return []


@contextmanager
def _locked(path: Path) -> Iterator[int | None]:
    """Take the lock that a living writer holds; give the open file, or None where it was not to be had."""
    descriptor = open_for_reading(path)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield None
        else:
            yield descriptor
    finally:
        os.close(descriptor)


def _punch_hole(descriptor: int, offset: int, size_bytes: int) -> None:
    """Give space back; where it cannot be done, the space is freed with the pack."""
    with suppress(AttributeError, OSError):
        libc = ctypes.CDLL(None)
        libc.fallocate(
            descriptor,
            _FALLOC_KEEP_SIZE_AND_PUNCH_HOLE,
            ctypes.c_int64(offset),
            ctypes.c_int64(size_bytes),
        )
