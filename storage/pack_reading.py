"""Reading packs: the headers of their members, and the bytes of one. ``FORMAT.md`` specifies them."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterator

from storage.errors import ObjectNotFound
from storage.os_errors import os_errors_translated
from storage.packed_keys import PackedKey
from storage.store import Buffer
from storage.tar import BLOCK, HEADER_READ_BYTES, Member, parse_member

_READ_BYTES = 1024**2


class PackedObject(io.RawIOBase):
    """The bytes of one object in a pack; closing it closes the pack's descriptor."""

    def __init__(self, descriptor: int, key: PackedKey) -> None:
        self._descriptor = descriptor
        self._key = str(key)
        self._begin, self._size = key.offset, key.size_bytes
        self._position = 0

    def fileno(self) -> int:
        """Return the descriptor of the whole pack, for advice to the system."""
        return self._descriptor

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def seekable(self) -> bool:
        """Tell that one can move in it."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a place in the object; return it. Raises OSError for one before its beginning."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        self._position = base + offset
        return self._position

    def readinto(self, buffer: Buffer) -> int:  # type: ignore[override]
        """Read what follows into ``buffer``; return how much, 0 at the end. Raises StoreUnavailable."""
        with memoryview(buffer).cast("B") as view:
            wanted = view[: max(self._size - self._position, 0)]
            with os_errors_translated(self._key):
                count = os.preadv(self._descriptor, [wanted], self._begin + self._position) if wanted else 0
        self._position += count
        return count

    def close(self) -> None:
        """Close the descriptor."""
        if not self.closed:
            os.close(self._descriptor)
        super().close()


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
        data = os.pread(descriptor, _READ_BYTES, offset)
        at = data.find(b"ustar\0")
        while at >= 0:
            if at % BLOCK == 257:
                return offset + at - 257
            at = data.find(b"ustar\0", at + 1)
        offset += _READ_BYTES
    return end


def is_all_deleted(descriptor: int) -> bool:
    """Tell whether a pack has nothing but deleted objects: where it is damaged, nobody knows."""
    end = os.fstat(descriptor).st_size
    offset = 0
    while offset < end:
        member = parse_member(os.pread(descriptor, HEADER_READ_BYTES, offset), offset)
        if member is None:
            return _is_zero(descriptor, offset, end)
        if not member.deleted or member.end > end:
            return False
        offset = member.end
    return True


def _is_zero(descriptor: int, offset: int, end: int) -> bool:
    """Tell whether nothing but zeros is there, as behind the last object."""
    while offset < end:
        data = os.pread(descriptor, _READ_BYTES, offset)
        if not data or data.count(0) < len(data):
            return False
        offset += len(data)
    return True


def member_at(descriptor: int, key: PackedKey) -> Member:
    """Read the header before an object's bytes; it must be that of this object."""
    begin = key.offset - BLOCK
    member = parse_member(os.pread(descriptor, BLOCK, begin), begin) if begin >= 0 else None
    if member is None or member.size_bytes != key.size_bytes or not key.name.endswith(member.path):
        raise ObjectNotFound(str(key))
    return member
