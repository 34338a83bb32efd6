"""Sending an object to S3, whole or in parts, and never over another one.

Both functions raise botocore's errors; a refusal because the key is taken is among them (``is_taken``).
"""

from __future__ import annotations

import base64
import hashlib
from contextlib import suppress
from typing import IO, TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

SHA256_METADATA = "sha256"  # the digest of the whole object, where every S3 server keeps and tells it
_PART_SIZE_BYTES = 16 * 1024**2  # 10,000 parts at most: 160 GiB


def send_whole(client: S3Client, bucket: str, name: str, body: bytearray | IO[bytes], sha256: str) -> None:
    """Send an object in one request, which the server carries out whole or not at all.

    A server that knows checksums refuses a body that was damaged on its way; others ignore the header.
    """
    client.put_object(
        Bucket=bucket,
        Key=name,
        Body=body,  # type: ignore[arg-type]  # botocore takes a bytearray, its stubs do not know
        IfNoneMatch="*",
        ChecksumSHA256=_base64(bytes.fromhex(sha256)),
        Metadata={SHA256_METADATA: sha256},
    )


def send_in_parts(client: S3Client, bucket: str, name: str, content: memoryview, sha256: str) -> None:
    """Send an object in parts; it is visible when the last request, which joins them, has succeeded."""
    upload_id = client.create_multipart_upload(
        Bucket=bucket, Key=name, ChecksumAlgorithm="SHA256", Metadata={SHA256_METADATA: sha256}
    )["UploadId"]
    try:
        parts = [
            _send_part(client, bucket, name, upload_id, number, content[offset : offset + _PART_SIZE_BYTES])
            for number, offset in enumerate(range(0, len(content), _PART_SIZE_BYTES), start=1)
        ]
        client.complete_multipart_upload(
            Bucket=bucket, Key=name, UploadId=upload_id, MultipartUpload={"Parts": parts}, IfNoneMatch="*"
        )
    except BaseException:
        with suppress(ClientError, BotoCoreError):  # then it is abandoned, and removed later
            client.abort_multipart_upload(Bucket=bucket, Key=name, UploadId=upload_id)
        raise


def _send_part(
    client: S3Client, bucket: str, name: str, upload_id: str, number: int, part: memoryview
) -> CompletedPartTypeDef:
    with part:
        checksum = _base64(hashlib.sha256(part).digest())
        answer = client.upload_part(
            Bucket=bucket,
            Key=name,
            UploadId=upload_id,
            PartNumber=number,
            Body=bytes(part),
            ChecksumSHA256=checksum,
        )
    return {"PartNumber": number, "ETag": answer["ETag"], "ChecksumSHA256": checksum}


def _base64(digest: bytes) -> str:
    return base64.b64encode(digest).decode("ascii")
