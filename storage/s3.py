"""Objects in a bucket of an S3-compatible server. ``FORMAT.md`` tells what such a server does not promise."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import IO, BinaryIO

from botocore.exceptions import BotoCoreError, ClientError

from storage.errors import ObjectExists, ObjectNotFound, StoreUnavailable
from storage.keys import check_prefix
from storage.s3_bucket import S3Bucket
from storage.s3_errors import is_doubtful, is_taken, store_error
from storage.s3_reader import S3Reader
from storage.s3_upload import send_in_parts, send_whole
from storage.staging import SPILL_SIZE_BYTES, SpillingStage, Temporary
from storage.store import ObjectStat, ObjectStore, StagedObject, check_range

# One conditional PUT can never overwrite, so parts are for what is very large. S3 takes 5 GiB in one at most.
MULTIPART_SIZE_BYTES = 1024**3
_FIRST_READ_BYTES = 1024**2  # all of a CT or MR slice
_READ_BUFFER_BYTES = 256 * 1024
_WRITE_ATTEMPTS = 2


class S3Store(ObjectStore):
    """An :class:`~storage.store.ObjectStore` in a bucket. Makes no request until a method is called.

    Credentials are looked for where AWS tools do: ``AWS_ACCESS_KEY_ID`` and ``AWS_SECRET_ACCESS_KEY``,
    ``AWS_PROFILE``, the role of the machine.

    Parameters
    ----------
    bucket, prefix
        Objects lie in ``bucket`` below the folder ``prefix``.
    endpoint_url
        Address of a server other than AWS; the bucket is then part of the path, not of the host's name.
    region
        Default: the one of the AWS settings, else ``us-east-1``.
    spill_size_bytes
        Contents larger than this wait in a temporary file instead of in memory.
    multipart_size_bytes
        Contents larger than this are sent in parts.

    Raises
    ------
    storage.errors.StoreUnavailable
        The AWS settings of this machine are unusable.
    """

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        *,
        endpoint_url: str | None = None,
        region: str | None = None,
        spill_size_bytes: int = SPILL_SIZE_BYTES,
        multipart_size_bytes: int = MULTIPART_SIZE_BYTES,
    ) -> None:
        self._bucket = S3Bucket(bucket, prefix, endpoint_url, region)
        self._spill_size_bytes = spill_size_bytes
        self._multipart_size_bytes = multipart_size_bytes

    def ensure_bucket(self, *, create: bool = False) -> None:
        """Prove that the bucket is there; make it only if ``create`` says so.

        Raises
        ------
        StoreUnavailable
        """
        self._bucket.ensure_exists(create=create)

    def stage(self) -> StagedObject:
        """Begin a new object: here, on this machine; the server hears of it at the commit."""
        return _S3Stage(self._bucket, self._spill_size_bytes, self._multipart_size_bytes)

    def open(self, key: str) -> BinaryIO:
        """Open an object for reading. The first request brings its size and, often, all that will be read."""
        start, size_bytes = self._bucket.get_range(key, 0, _FIRST_READ_BYTES)

        def read_range(offset: int, size: int) -> bytes:
            return self._bucket.get_range(key, offset, size)[0]

        return io.BufferedReader(S3Reader(read_range, size_bytes, start), _READ_BUFFER_BYTES)

    def read_range(self, key: str, offset: int, size_bytes: int) -> bytes:
        """Read a part of an object."""
        check_range(offset, size_bytes)
        if not size_bytes:
            self.stat(key)
            return b""
        return self._bucket.get_range(key, offset, size_bytes)[0]

    def stat(self, key: str) -> ObjectStat:
        """Tell size and time of an object."""
        head = self._bucket.head(key)
        if head is None:
            raise ObjectNotFound(key)
        return head.stat

    def list(self, prefix: str = "") -> Iterator[ObjectStat]:
        """Iterate over the objects, a thousand with each request."""
        check_prefix(prefix)
        return self._bucket.list(prefix)

    def delete(self, key: str) -> None:
        """Remove an object."""
        self._bucket.delete(key)

    def remove_abandoned(self, older_than_s: float) -> int:
        """Abort the uploads in parts that began ``older_than_s`` ago.

        The server does not know whether the sender is alive. If it is, its commit fails and is tried again.
        """
        return self._bucket.abort_uploads(datetime.now(UTC) - timedelta(seconds=older_than_s))

    def check(self) -> None:
        """Prove that an object can be written, and that the server refuses to overwrite it."""
        self._bucket.check_conditional_writes()

    def close(self) -> None:
        """Close the connections."""
        self._bucket.client.close()


class _S3Stage(SpillingStage[Temporary]):
    """Waits on this machine until it is whole, and is then sent."""

    def __init__(self, bucket: S3Bucket, spill_size_bytes: int, multipart_size_bytes: int) -> None:
        super().__init__(Temporary, spill_size_bytes)
        self._bucket = bucket
        self._multipart_size_bytes = multipart_size_bytes

    def _keep(self, key: str) -> ObjectStat:
        in_parts = self._size_bytes > self._multipart_size_bytes
        if in_parts and (kept := self._kept_before(key)):  # spares gigabytes, where the sender sends again
            return kept
        doubt: Exception | None = None
        for _ in range(_WRITE_ATTEMPTS):
            doubt = self._send(key, in_parts)
            if doubt is None and not in_parts:
                return ObjectStat(key, self._size_bytes, datetime.now(UTC))
            # Taken, or the answer was lost, or joined from parts: not every server looks and joins in one
            # step (SeaweedFS 4.48 does not), so that of two writers at once the last one wins.
            if kept := self._kept_before(key):
                return kept
        raise StoreUnavailable(f"{key}: {doubt or 'the server took it, and has it not'}") from doubt

    def _send(self, key: str, in_parts: bool) -> Exception | None:
        """Send the content; return the error after which it may be there, or another object, all the same."""
        bucket, name = self._bucket, self._bucket.name(key)
        try:
            if in_parts:
                with self.view() as content:
                    send_in_parts(bucket.client, bucket.bucket, name, content, self.sha256())
            else:
                with self._body() as body:
                    send_whole(bucket.client, bucket.bucket, name, body, self.sha256())
        except (ClientError, BotoCoreError, OSError) as error:
            if is_taken(error) or is_doubtful(error):
                return error
            raise store_error(error, key) from error
        return None

    @contextmanager
    def _body(self) -> Iterator[bytearray | IO[bytes]]:
        """Give the client what it takes without a copy: the buffer itself, or the file."""
        if self._temporary is None:
            yield self._memory
        else:
            with open(self._temporary.descriptor, "rb", closefd=False) as body:
                body.seek(0)
                yield body

    def _kept_before(self, key: str) -> ObjectStat | None:
        """Return the object that has this key and this content; None where there is none."""
        head = self._bucket.head(key)
        if head is None:
            return None
        if (
            head.stat.size_bytes != self._size_bytes
            or (head.sha256 or self._bucket.sha256(key)) != self.sha256()
        ):
            raise ObjectExists(key)
        return head.stat
