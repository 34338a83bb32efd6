"""Objects in a bucket of an S3-compatible server. ``FORMAT.md`` tells what such a server does not promise."""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import BinaryIO

from storage.errors import ObjectNotFound
from storage.keys import check_prefix
from storage.s3_bucket import S3Bucket
from storage.s3_reader import S3Reader
from storage.s3_upload import FileContent, StagedContent, keep_object
from storage.staging import SPILL_SIZE_BYTES, SpillingStage, Temporary
from storage.store import ObjectStat, ObjectStore, StagedObject, check_range

# One conditional PUT can never overwrite, so parts are for what is very large. S3 takes 5 GiB in one at most.
MULTIPART_SIZE_BYTES = 1024**3
_FIRST_READ_BYTES = 1024**2  # all of a CT or MR slice
_READ_BUFFER_BYTES = 256 * 1024


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
    create_bucket
        Make the bucket if it is not there.
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
        create_bucket: bool = False,
        spill_size_bytes: int = SPILL_SIZE_BYTES,
        multipart_size_bytes: int = MULTIPART_SIZE_BYTES,
    ) -> None:
        self._bucket = S3Bucket(bucket, prefix, endpoint_url, region)
        self._create_bucket = create_bucket
        self._spill_size_bytes = spill_size_bytes
        self._multipart_size_bytes = multipart_size_bytes

    def ensure_bucket(self) -> None:
        """Prove that the bucket is there, or make it if this store may.

        Raises
        ------
        StoreUnavailable
        """
        self._bucket.ensure_exists(create=self._create_bucket)

    def stage(self, *, packed: bool = False) -> StagedObject:
        """Begin a new object: here, on this machine; the server hears of it at the commit."""
        return _S3Stage(self._bucket, self._spill_size_bytes, self._multipart_size_bytes)

    def put_file(self, key: str, source: BinaryIO, size_bytes: int, sha256: str) -> ObjectStat:
        """Send a file as it is, without a copy of its own."""
        content = FileContent(source, size_bytes, sha256)
        return keep_object(self._bucket, key, content, in_parts=size_bytes > self._multipart_size_bytes)

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
        self.ensure_bucket()
        self._bucket.check_conditional_writes()

    def close(self) -> None:
        """Close the connections."""
        self._bucket.close()


class _S3Stage(SpillingStage[Temporary]):
    """Waits on this machine until it is whole, and is then sent."""

    def __init__(self, bucket: S3Bucket, spill_size_bytes: int, multipart_size_bytes: int) -> None:
        super().__init__(Temporary, spill_size_bytes)
        self._bucket = bucket
        self._multipart_size_bytes = multipart_size_bytes

    def _keep(self, key: str) -> ObjectStat:
        in_parts = self._size_bytes > self._multipart_size_bytes
        return keep_object(self._bucket, key, StagedContent(self), in_parts=in_parts)
