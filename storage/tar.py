"""Headers of tar archives (POSIX pax interchange format), as far as packs need them."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache

BLOCK = 512
END = bytes(2 * BLOCK)
HEADER_READ_BYTES = 4 * BLOCK  # a pax header, its path, and the member's own header

_HEADER = struct.Struct("100s8s8s8s12s12s8s1s100s6s2s32s32s8s8s155s12x")
_MAGIC, _VERSION = b"ustar\0", b"00"
_CHECKSUM = slice(148, 156)
_NAME_BYTES = 100
_FILE, _PAX = b"0", b"x"
_DELETED = b"deleted"  # as the link name, which means nothing for a regular file
_REMEMBERED = 4096  # headers: who asks for an object asks again, and each time it could have been deleted


@dataclass(frozen=True, slots=True)
class Member:
    """One file of an archive; ``offset`` is where its bytes begin."""

    path: str
    offset: int
    size_bytes: int
    modified_at_s: int
    deleted: bool

    @property
    def end(self) -> int:
        """Where the next member begins."""
        return self.offset + self.size_bytes + padding(self.size_bytes)


def padding(size_bytes: int) -> int:
    """How many zeros follow ``size_bytes`` bytes, up to a whole block."""
    return -size_bytes % BLOCK


def encode_member_header(path: str, size_bytes: int, modified_at_s: int) -> bytes:
    """Encode all that stands before a member's bytes; the last block is its own header.

    Parameters
    ----------
    path
        ASCII. One longer than 100 characters gets a pax header of its own.
    """
    name = path.encode("ascii")
    header = encode_header(name, size_bytes, modified_at_s)
    if len(name) <= _NAME_BYTES:
        return header
    record = _pax_record(b"path", name)
    pax_header = _encode(b"pax", len(record), modified_at_s, _PAX, b"")
    return pax_header + record + bytes(padding(len(record))) + header


def encode_header(name: bytes, size_bytes: int, modified_at_s: int, *, deleted: bool = False) -> bytes:
    """Encode the one block that stands right before a member's bytes."""
    return _encode(name[-_NAME_BYTES:], size_bytes, modified_at_s, _FILE, _DELETED if deleted else b"")


def parse_member(data: bytes, offset: int) -> Member | None:
    """Read the headers of the member that begins at ``offset`` of an archive; None if none begins there.

    Parameters
    ----------
    data
        The `HEADER_READ_BYTES` from ``offset`` on, or fewer at the end.
    """
    begin = 0
    path = None
    header = _parse(data[:BLOCK])
    if header is not None and header.kind == _PAX and 0 < header.size_bytes <= 2 * BLOCK:
        path = _pax_path(data[BLOCK : BLOCK + header.size_bytes])
        begin = BLOCK + header.size_bytes + padding(header.size_bytes)
        header = _parse(data[begin : begin + BLOCK])
    if header is None or header.kind != _FILE:
        return None
    name = header.name if path is None else path
    return Member(
        name.decode("ascii", "replace"),
        offset + begin + BLOCK,
        header.size_bytes,
        header.modified_at_s,
        header.deleted,
    )


@dataclass(frozen=True, slots=True)
class _Header:
    kind: bytes
    name: bytes
    size_bytes: int
    modified_at_s: int
    deleted: bool


def _encode(name: bytes, size_bytes: int, modified_at_s: int, kind: bytes, link_name: bytes) -> bytes:
    size, modified_at = b"%011o\0" % size_bytes, b"%011o\0" % modified_at_s
    # Only what varies is added up: this is done for every object that comes in.
    checksum = _sum_without(kind, link_name) + sum(name) + sum(size) + sum(modified_at)
    return _pack(name, size, modified_at, b"%06o\0 " % checksum, kind, link_name)


@lru_cache
def _sum_without(kind: bytes, link_name: bytes) -> int:
    """Add up a header without name, size and time; the checksum itself counts as blanks."""
    return sum(_pack(b"", b"", b"", b" " * 8, kind, link_name))


def _pack(
    name: bytes, size: bytes, modified_at: bytes, checksum: bytes, kind: bytes, link_name: bytes
) -> bytes:
    return _HEADER.pack(
        name, b"0000640\0", b"0000000\0", b"0000000\0", size, modified_at, checksum,
        kind, link_name, _MAGIC, _VERSION, b"", b"", b"0000000\0", b"0000000\0", b"",
    )  # fmt: skip


@lru_cache(_REMEMBERED)
def _parse(block: bytes) -> _Header | None:
    if len(block) < BLOCK or block[257:263] != _MAGIC:
        return None
    blank = bytearray(block)
    blank[_CHECKSUM] = b" " * 8
    if _octal(block[_CHECKSUM]) != sum(blank):
        return None
    fields = _HEADER.unpack(block)
    size_bytes, modified_at_s = _octal(fields[4]), _octal(fields[5])
    if size_bytes is None or modified_at_s is None:
        return None
    link_name = fields[8].rstrip(b"\0")
    return _Header(fields[7], fields[0].rstrip(b"\0"), size_bytes, modified_at_s, link_name == _DELETED)


def _octal(field: bytes) -> int | None:
    digits = field.strip(b"\0 ")
    return int(digits, 8) if digits and not digits.strip(b"01234567") else None


def _pax_record(keyword: bytes, value: bytes) -> bytes:
    """Encode one record, whose decimal length counts itself."""
    rest = len(keyword) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, keyword, value)


def _pax_path(records: bytes) -> bytes | None:
    """Find the path; only the record that we write is understood."""
    _, _, record = records.partition(b" ")
    return record[5:-1] if record.startswith(b"path=") and record.endswith(b"\n") else None
