"""A remote store behind a durable folder of this machine, the spool. ``FORMAT.md`` tells what it promises.

An object is committed to the spool, sent to the remote store later, and removed from the spool when it has
been there for long enough. Who does that, and when, is decided elsewhere (``pacs/jobs/upload.py``); here are
the steps.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import BinaryIO

from storage.errors import DamagedObject, ObjectNotFound, StoreUnavailable
from storage.filesystem import FilesystemStore
from storage.packed_keys import own_key
from storage.spool_room import SpoolRoom
from storage.store import ObjectStat, ObjectStore, StagedObject

_READ_BYTES = 8 * 1024**2
_UNBOUNDED = nullcontext()


class SpooledStore(ObjectStore):
    """An :class:`~storage.store.ObjectStore` of two: what is new lies in ``spool``, the rest in ``remote``.

    The remote store may be away: what is new is taken in and read all the same.

    Parameters
    ----------
    spool
        A folder that all processes of this machine share.
    remote
        Where objects are sent.
    room
        Says when the spool is full.
    direct
        Commit to the remote store at once; the spool is only emptied. For a remote store that keeps its
        promises in a power cut.
    """

    def __init__(
        self, spool: FilesystemStore, remote: ObjectStore, room: SpoolRoom, *, direct: bool = False
    ) -> None:
        self.spool = spool
        self.remote = remote
        self.room = room
        self.direct = direct

    def stage(self, *, packed: bool = False) -> StagedObject:
        """Begin a new object, in the spool if there is room."""
        if self.direct:
            return self.remote.stage()
        self.room.require()
        return self.spool.stage(packed=packed)

    def open(self, key: str) -> BinaryIO:
        """Open an object for reading, wherever it is."""
        try:
            return self.spool.open(key)
        except ObjectNotFound:
            return self.remote.open(own_key(key))

    def read_range(self, key: str, offset: int, size_bytes: int) -> bytes:
        """Read a part of an object, wherever it is."""
        try:
            return self.spool.read_range(key, offset, size_bytes)
        except ObjectNotFound:
            return self.remote.read_range(own_key(key), offset, size_bytes)

    def stat(self, key: str) -> ObjectStat:
        """Tell size and time of an object, wherever it is."""
        try:
            return self.spool.stat(key)
        except ObjectNotFound:
            return self.remote.stat(own_key(key))

    def list(self, prefix: str = "") -> Iterator[ObjectStat]:
        """Iterate over the objects of the spool, then over those that are only in the remote store.

        In this order, so that an object that is on its way meanwhile is never left out; one that leaves the
        spool meanwhile may be told of twice, as is one that lies in a pack there, where it has another key.
        """
        spooled = self.spool.list(prefix)
        return self._unite(spooled, prefix)

    def delete(self, key: str) -> None:
        """Remove an object from both; from the spool first, so that nobody begins to send it."""
        self.spool.delete(key)
        self.remote.delete(own_key(key))

    def drop_copy(self, key: str) -> None:
        """Remove a copy from the spool; in the remote store a content has one key, and so one copy."""
        if own_key(key) != key:
            self.spool.delete(key)

    def remove_abandoned(self, older_than_s: float) -> int:
        """Remove what dead processes left in both; what is in the remote store waits while it is away."""
        removed = self.spool.remove_abandoned(older_than_s)
        with suppress(StoreUnavailable):
            removed += self.remote.remove_abandoned(older_than_s)
        return removed

    def check(self) -> None:
        """Prove that objects can be taken in: the spool decides, whether or not the remote store is there."""
        if self.direct:
            self.remote.check()
        else:
            self.room.require()
            self.spool.check()

    def close(self) -> None:
        """Release connections."""
        self.spool.close()
        self.remote.close()

    def send(
        self,
        key: str,
        expected_sha256: str | None = None,
        *,
        mend: bool = False,
        sending: AbstractContextManager[object] = _UNBOUNDED,
    ) -> None:
        """Copy an object from the spool to the remote store, and read it back there.

        Parameters
        ----------
        expected_sha256
            The digest that the object must have, where one is known from elsewhere.
        mend
            The remote store may have this object and not give it back, as a power cut leaves it: remove
            what lies there first. Done only where the digest is expected, so that ours is known to be right.
        sending
            Held while the object is sent, and not while it is read back: a bound on how many are.

        Raises
        ------
        ObjectNotFound
            It is not in the spool.
        DamagedObject
            The spool's bytes are not the expected ones; or the remote store's, although it said success.
        ObjectExists
            The remote store has another content under this key.
        StoreFull, StoreUnavailable
        """
        with self.spool.open(key) as source:
            content, size_bytes, sha256 = _read_whole(source)
            if expected_sha256 not in (None, sha256):
                raise DamagedObject(f"{key}: the copy in the spool is damaged")
            if mend and expected_sha256:
                self.remote.delete(own_key(key))  # no loss: we have just read our own copy
            with sending:
                self.remote.put_file(own_key(key), content, size_bytes, sha256)
        if not self._remote_has(key, size_bytes, sha256):
            raise DamagedObject(f"{key}: the remote store reads back something else than was sent")

    def release(self, key: str, expected_sha256: str | None = None) -> bool:
        """Remove an object from the spool if the remote store still has it; tell whether it had.

        The remote store is read, not asked: what a power cut took from it may still be in its list.

        Raises
        ------
        ObjectNotFound
            It is not in the spool.
        StoreUnavailable
        """
        if expected_sha256 is None:
            with self.spool.open(key) as source:
                _, size_bytes, expected_sha256 = _read_whole(source)
        else:
            size_bytes = self.spool.stat(key).size_bytes
        if not self._remote_has(key, size_bytes, expected_sha256):
            return False
        self.spool.delete(key)
        return True

    def _remote_has(self, key: str, size_bytes: int, sha256: str) -> bool:
        """Read an object of the remote store, and compare."""
        digest, offset = hashlib.sha256(), 0
        try:
            while offset <= size_bytes:  # once more at the end: there must be nothing behind it
                piece = self.remote.read_range(own_key(key), offset, _READ_BYTES)
                digest.update(piece)
                offset += len(piece)
                if len(piece) < _READ_BYTES:
                    break
        except ObjectNotFound:
            return False
        return offset == size_bytes and digest.hexdigest() == sha256

    def is_spooled(self, key: str) -> bool:
        """Tell whether an object is in the spool. Raises StoreUnavailable."""
        try:
            self.spool.stat(key)
        except ObjectNotFound:
            return False
        return True

    def _unite(self, spooled: Iterator[ObjectStat], prefix: str) -> Iterator[ObjectStat]:
        yield from spooled
        for stat in self.remote.list(prefix):
            if not self.is_spooled(stat.key):
                yield stat


def _read_whole(source: BinaryIO) -> tuple[BinaryIO, int, str]:
    """Read a file; return it, from memory if it is small, with its size and SHA-256."""
    whole_bytes = source.seek(0, io.SEEK_END)
    source.seek(0)
    first = source.read(min(whole_bytes, _READ_BYTES))  # a read takes the memory that it is asked for
    digest, size_bytes = hashlib.sha256(first), len(first)
    if size_bytes < _READ_BYTES:
        return io.BytesIO(first), size_bytes, digest.hexdigest()
    while piece := source.read(_READ_BYTES):
        digest.update(piece)
        size_bytes += len(piece)
    return source, size_bytes, digest.hexdigest()
