"""Sending an object to S3, whole or in parts, and never over another one."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, BinaryIO, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from storage.errors import ObjectExists, StoreUnavailable
from storage.s3_bucket import S3Bucket
from storage.s3_connections import Body
from storage.s3_errors import is_passing, is_taken, store_error
from storage.s3_requests import SHA256_METADATA, Deadline
from storage.store import ObjectStat, StagedObject

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

_PART_SIZE_BYTES = 16 * 1024**2  # 10,000 parts at most: 160 GiB
_WHOLE_IN_MEMORY_BYTES = 16 * 1024**2


class Content(Protocol):
    """What is to be sent: it can be read several times."""

    @property
    def size_bytes(self) -> int:
        """How many bytes there are."""

    @property
    def sha256(self) -> str:
        """The hexadecimal digest of all of them."""

    def body(self) -> AbstractContextManager[Body]:
        """Give all of it, from the start."""

    def part(self, offset: int, size_bytes: int) -> bytes:
        """Read a part."""


@dataclass(frozen=True, slots=True)
class StagedContent(Content):
    """The content of a staged object."""

    staged: StagedObject

    @property
    def size_bytes(self) -> int:
        """How many bytes have been staged."""
        return self.staged.size_bytes

    @property
    def sha256(self) -> str:
        """The digest of what has been staged."""
        return self.staged.sha256()

    def body(self) -> AbstractContextManager[Body]:
        """Give it without a copy."""
        return self.staged.view()

    def part(self, offset: int, size_bytes: int) -> bytes:
        """Copy a part."""
        with self.staged.view() as view:
            return bytes(view[offset : offset + size_bytes])


@dataclass(frozen=True, slots=True)
class FileContent(Content):
    """The content of an open file, of which the digest is known."""

    source: BinaryIO
    size_bytes: int
    sha256: str

    @contextmanager
    def body(self) -> Iterator[Body]:
        """Give a small file's bytes, which the system sends in one step, and a large one as itself."""
        self.source.seek(0)
        yield self.source.read() if self.size_bytes <= _WHOLE_IN_MEMORY_BYTES else self.source

    def part(self, offset: int, size_bytes: int) -> bytes:
        """Read a part."""
        self.source.seek(offset)
        return self.source.read(size_bytes)


def keep_object(bucket: S3Bucket, key: str, content: Content, *, in_parts: bool) -> ObjectStat:
    """Send an object, or find that the bucket has it; what is doubtful is settled by its size and digest.

    Raises
    ------
    ObjectExists
        Another content has this key.
    StoreFull, StoreUnavailable
    """
    if in_parts and (kept := _kept_before(bucket, key, content)):  # spares gigabytes of what is sent again
        return kept
    deadline = Deadline()
    while True:
        doubt = _send(bucket, key, content, in_parts)
        if doubt is None and not in_parts:
            return ObjectStat(key, content.size_bytes, datetime.now(UTC))
        # Taken, or the answer was lost, or joined from parts: not every server looks and joins in one step
        # (SeaweedFS 4.48 does not), so that of two writers at once the last one wins.
        if kept := _kept_before(bucket, key, content, deadline):
            return kept
        if not deadline.wait_for_next():
            raise StoreUnavailable(f"{key}: {doubt or 'the server took it, and has it not'}") from doubt


def _send(bucket: S3Bucket, key: str, content: Content, in_parts: bool) -> Exception | None:
    """Send the content; return the error after which it may be there, or another object, all the same."""
    name = bucket.name(key)
    try:
        if in_parts:
            _send_in_parts(bucket, name, content)
        else:
            with content.body() as body:
                bucket.requests.put_new(name, body, content.size_bytes, content.sha256)
    except (ClientError, BotoCoreError, OSError) as error:
        if is_taken(error) or is_passing(error):
            return error
        raise store_error(error, key) from error
    return None


def _kept_before(
    bucket: S3Bucket, key: str, content: Content, deadline: Deadline | None = None
) -> ObjectStat | None:
    """Return the object that has this key and this content; None where there is none."""
    head = bucket.head(key, deadline)
    if head is None:
        return None
    if head.stat.size_bytes != content.size_bytes or (head.sha256 or bucket.sha256(key)) != content.sha256:
        raise ObjectExists(key)
    return head.stat


def _send_in_parts(bucket: S3Bucket, name: str, content: Content) -> None:
    """Send an object in parts; it is visible when the last request, which joins them, has succeeded."""
    client, metadata = bucket.client, {SHA256_METADATA.removeprefix("x-amz-meta-"): content.sha256}
    upload_id = client.create_multipart_upload(
        Bucket=bucket.bucket, Key=name, ChecksumAlgorithm="SHA256", Metadata=metadata
    )["UploadId"]
    try:
        parts = [
            _send_part(bucket, name, upload_id, number, content.part(offset, _PART_SIZE_BYTES))
            for number, offset in enumerate(range(0, content.size_bytes, _PART_SIZE_BYTES), start=1)
        ]
        client.complete_multipart_upload(
            Bucket=bucket.bucket,
            Key=name,
            UploadId=upload_id,
            MultipartUpload={"Parts": parts},
            IfNoneMatch="*",
        )
    except BaseException:
        with suppress(ClientError, BotoCoreError):  # then it is abandoned, and removed later
            client.abort_multipart_upload(Bucket=bucket.bucket, Key=name, UploadId=upload_id)
        raise


def _send_part(bucket: S3Bucket, name: str, upload_id: str, number: int, part: bytes) -> CompletedPartTypeDef:
    checksum = base64.b64encode(hashlib.sha256(part).digest()).decode("ascii")
    answer = bucket.client.upload_part(
        Bucket=bucket.bucket,
        Key=name,
        UploadId=upload_id,
        PartNumber=number,
        Body=part,
        ChecksumSHA256=checksum,
    )
    return {"PartNumber": number, "ETag": answer["ETag"], "ChecksumSHA256": checksum}
