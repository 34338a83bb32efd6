"""Packs: small objects one behind the other in a tar archive, so that many become durable with one flush.

A file of its own costs an object several syncs of the disk, and the file system's journal has one only. In a
pack the objects that come together share one flush of one file. ``FORMAT.md`` specifies the archive.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import io
import os
import re
import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from storage.errors import ObjectNotFound
from storage.os_errors import os_errors_translated
from storage.posix import FILE_MODE, make_folders, open_for_reading, sync_folder
from storage.store import Buffer, ObjectStat
from storage.tar import (
    BLOCK,
    END,
    HEADER_READ_BYTES,
    Member,
    encode_header,
    encode_member_header,
    padding,
    parse_member,
)

FOLDER = "packs"
MAX_PACK_SIZE_BYTES = 1024**3
_KEY = re.compile(
    r"packs/(?P<pack>\d{8}/[0-9a-f]{16}\.tar)/(?P<offset>\d{1,15})-(?P<size>\d{1,15})/(?P<name>.+)", re.ASCII
)
_PACK = re.compile(r"[0-9a-f]{16}\.tar", re.ASCII)
_RESYNC_READ_BYTES = 1024**2
_READ_BUFFER_BYTES = 64 * 1024
_FALLOC_KEEP_SIZE_AND_PUNCH_HOLE = 3
_MOSTLY_EMPTY = 0.5
_DELETED_SUFFIX = ".del"


@dataclass(frozen=True, slots=True)
class PackedKey:
    """The key of an object in a pack: where it lies, and the key that it would have of its own."""

    pack: str
    offset: int
    size_bytes: int
    name: str

    def __str__(self) -> str:
        return f"{FOLDER}/{self.pack}/{self.offset}-{self.size_bytes}/{self.name}"


def parse_packed_key(key: str) -> PackedKey | None:
    """Read the key of an object in a pack; None if it is another key."""
    found = _KEY.fullmatch(key)
    if found is None:
        return None
    return PackedKey(found["pack"], int(found["offset"]), int(found["size"]), found["name"])


def own_key(key: str) -> str:
    """Give the key that an object has where it is not in a pack, whichever of the two ``key`` is."""
    packed = parse_packed_key(key)
    return key if packed is None else packed.name


class Packs:
    """The packs of one store, of which this process writes one at a time. Safe for use by several threads.

    All methods raise ``OSError`` but where they say otherwise.
    """

    def __init__(self, root: Path, max_pack_size_bytes: int = MAX_PACK_SIZE_BYTES) -> None:
        self._root = root
        self._max_pack_size_bytes = max_pack_size_bytes
        self._lock = threading.Lock()
        self._current: _OpenPack | None = None

    def append(self, name: str, content: Buffer) -> ObjectStat:
        """Add an object and make it durable; the key of the answer tells where it is."""
        modified_at_s = int(time.time())
        size_bytes = len(content)
        header = encode_member_header(name, size_bytes, modified_at_s)
        with self._lock:
            pack = self._pack_with_room()
            begin = pack.append((header, content, bytes(padding(size_bytes))))
            end = pack.size_bytes
        pack.flush_to(end)
        key = PackedKey(pack.name, begin + len(header), size_bytes, name)
        return ObjectStat(str(key), size_bytes, datetime.fromtimestamp(modified_at_s, UTC))

    def _pack_with_room(self) -> _OpenPack:
        pack = self._current
        if pack is not None and (pack.failed or pack.size_bytes >= self._max_pack_size_bytes):
            self._current = None
            pack.close()
            pack = None
        if pack is None:
            pack = self._current = _OpenPack(self._root)
        return pack

    def open(self, key: PackedKey) -> BinaryIO:
        """Open an object; raises ObjectNotFound where it is not, or not any more."""
        descriptor = self._open_member(key)
        return io.BufferedReader(_Window(descriptor, key), _READ_BUFFER_BYTES)

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
            return _object_stat(key, _member_at(descriptor, key))
        finally:
            os.close(descriptor)

    def delete(self, key: PackedKey) -> None:
        """Mark an object as deleted, durably, and give its space back where the file system can."""
        with suppress(ObjectNotFound, FileNotFoundError):
            descriptor = self._open_member(key, os.O_RDWR)
            try:
                mark = _deletion_mark(descriptor, key, _member_at(descriptor, key).modified_at_s)
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
        descriptor = open_for_reading(self._root / FOLDER / key.pack, flags)
        try:
            if _member_at(descriptor, key).deleted:
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
            if found.st_blocks * BLOCK > found.st_size * _MOSTLY_EMPTY + HEADER_READ_BYTES:
                return False
            with _locked(path) as descriptor:
                if descriptor is not None and _all_deleted(descriptor):
                    path.unlink()
                    return True
        return False


class _OpenPack:
    """A pack that is being written; locked (flock) as long as its process lives."""

    def __init__(self, root: Path) -> None:
        self.name, self._descriptor = _create(root)
        path = root / FOLDER / self.name
        for folder in (path.parent, root / FOLDER, root):
            sync_folder(folder)
        self.size_bytes = 0
        self.failed = False
        self._flushed = 0
        self._flushing = threading.Lock()

    def append(self, parts: Sequence[Buffer]) -> int:
        """Write at the end, not durably yet; return where. One thread at a time."""
        begin = self.size_bytes
        try:
            self._write(parts, begin)
        except OSError:
            self._undo(begin)
            raise
        self.size_bytes = begin + sum(len(part) for part in parts)
        return begin

    def _write(self, parts: Sequence[Buffer], offset: int) -> None:
        written = os.pwritev(self._descriptor, parts, offset)
        if written < sum(len(part) for part in parts):  # no space, or interrupted
            rest = b"".join(parts)[written:]
            while rest:
                step = os.pwrite(self._descriptor, rest, offset + written)
                written, rest = written + step, rest[step:]

    def _undo(self, begin: int) -> None:
        try:
            os.ftruncate(self._descriptor, begin)
        except OSError:
            self.failed = True

    def flush_to(self, end: int) -> None:
        """Make everything up to ``end`` durable, with one flush for all who wait.

        A flush that fails is not tried again: the system may have dropped what it could not write.
        """
        with self._flushing:
            if self._flushed >= end:
                return
            if self.failed:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            reached = self.size_bytes
            try:
                os.fdatasync(self._descriptor)
            except BaseException:
                self.failed = True
                raise
            self._flushed = reached

    def close(self) -> None:
        """Finish the archive, as far as the disk lets us, and let go of it."""
        with suppress(OSError):
            self.flush_to(self.size_bytes)  # somebody may still wait for that
            os.pwrite(self._descriptor, END, self.size_bytes)
        os.close(self._descriptor)


class _Window(io.RawIOBase):
    """The bytes of one object in a pack."""

    def __init__(self, descriptor: int, key: PackedKey) -> None:
        self._descriptor = descriptor
        self._key = str(key)
        self._begin, self._size = key.offset, key.size_bytes
        self._position = 0

    def fileno(self) -> int:
        """Return the descriptor of the whole pack, for advice to the system."""
        return self._descriptor

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Buffer) -> int:  # type: ignore[override]
        with memoryview(buffer).cast("B") as view:
            wanted = max(min(len(view), self._size - self._position), 0)
            with os_errors_translated(self._key):
                count = (
                    os.preadv(self._descriptor, [view[:wanted]], self._begin + self._position)
                    if wanted
                    else 0
                )
        self._position += count
        return count

    def close(self) -> None:
        if not self.closed:
            os.close(self._descriptor)
        super().close()


def _create(root: Path) -> tuple[str, int]:
    """Make a new pack and lock it; return its name and descriptor.

    Until it is locked it looks like one that a dead process left empty, which `remove_empty` may remove: what
    were written to it then would be gone with the descriptor. So a name that is gone is given up.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    while True:
        name = f"{datetime.now(UTC):%Y%m%d}/{secrets.token_hex(8)}.tar"
        path = root / FOLDER / name
        make_folders(path.parent)
        descriptor = os.open(path, flags, FILE_MODE)
        with suppress(OSError):  # a file system without locks: then none is ever removed, either
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_nlink:
            return name, descriptor
        os.close(descriptor)


def _all_deleted(descriptor: int) -> bool:
    """Tell whether a pack has nothing but deleted objects: where it is damaged, nobody knows."""
    end = os.fstat(descriptor).st_size
    offset = 0
    while offset < end:
        member = parse_member(os.pread(descriptor, HEADER_READ_BYTES, offset), offset)
        if member is None:
            return end - offset <= len(END) and not any(os.pread(descriptor, len(END), offset))
        if not member.deleted or member.end > end:
            return False
        offset = member.end
    return True


def scan(descriptor: int) -> Iterator[Member]:
    """Iterate over the members of an archive that are there in full.

    What a crash or a bad disk left between them is passed over: the next header is looked for.
    """
    end = os.fstat(descriptor).st_size
    offset = 0
    while offset + BLOCK <= end:
        member = parse_member(os.pread(descriptor, HEADER_READ_BYTES, offset), offset)
        if member is None or member.offset + member.size_bytes > end:
            offset = _next_header(descriptor, offset + BLOCK, end)
            continue
        yield member
        offset = member.end


def _next_header(descriptor: int, offset: int, end: int) -> int:
    while offset < end:
        data = os.pread(descriptor, _RESYNC_READ_BYTES, offset)
        at = data.find(b"ustar\0")
        while at >= 0:
            if at % BLOCK == 257:
                return offset + at - 257
            at = data.find(b"ustar\0", at + 1)
        offset += _RESYNC_READ_BYTES
    return end


def _member_at(descriptor: int, key: PackedKey) -> Member:
    """Read the header before an object's bytes; it must be that of this object."""
    begin = key.offset - BLOCK
    member = parse_member(os.pread(descriptor, BLOCK, begin), begin) if begin >= 0 else None
    if member is None or member.size_bytes != key.size_bytes or not key.name.endswith(member.path):
        raise ObjectNotFound(str(key))
    return member


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
