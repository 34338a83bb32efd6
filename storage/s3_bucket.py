"""The requests that a store makes of its bucket, by key, with the errors translated."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.loaders import Loader

from storage.errors import StoreUnavailable
from storage.keys import check_key, is_key
from storage.s3_connections import Answer
from storage.s3_errors import http_status, is_taken, s3_errors_translated
from storage.s3_requests import (
    CONNECT_TIMEOUT_S,
    MAX_CONNECTIONS,
    READ_TIMEOUT_S,
    SHA256_METADATA,
    Deadline,
    S3Requests,
    repeated,
)
from storage.store import ObjectStat

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.literals import BucketLocationConstraintType

DEFAULT_REGION = "us-east-1"
_HASH_BYTES = 4 * 1024**2
_CONTENT_RANGE = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18})", re.ASCII)


@dataclass(frozen=True, slots=True)
class S3Head:
    """What the server tells of an object."""

    stat: ObjectStat
    sha256: str | None  # None where another program put the object there


class S3Bucket:
    """A bucket and a folder in it. Safe for use by several threads, as its client is."""

    def __init__(self, bucket: str, prefix: str, endpoint_url: str | None, region: str | None) -> None:
        self.bucket = bucket
        self.prefix = f"{prefix}/" if prefix else ""
        with s3_errors_translated(self._subject):
            session = _new_session()
            region = region or session.region_name or DEFAULT_REGION
            self.client = _connect(session, endpoint_url, region)
            self.requests = S3Requests(
                session, self.client.meta.endpoint_url, region, bucket, own_server=endpoint_url is not None
            )

    def name(self, key: str) -> str:
        """Return the name in the bucket of the object ``key``."""
        check_key(key)
        return self.prefix + key

    def ensure_exists(self, *, create: bool) -> None:
        """Prove that the bucket is there; make it only if ``create`` says so.

        Raises
        ------
        StoreUnavailable
        """
        if self._exists():
            return
        if not create:
            raise StoreUnavailable(
                f"{self._subject} does not exist; make it, or add create_bucket=true to the URL of the store"
            )
        with s3_errors_translated(self._subject):
            _create_bucket(self.client, self.bucket)

    def head(self, key: str, deadline: Deadline | None = None) -> S3Head | None:
        """Ask for an object's size, time and digest; None where there is no object.

        Raises
        ------
        StoreUnavailable
        """
        name = self.name(key)
        with s3_errors_translated(key):
            try:
                answer = repeated(lambda: self.requests.head(name), deadline or Deadline())
            except ClientError as error:
                if http_status(error) != HTTPStatus.NOT_FOUND:
                    raise
                self.ensure_exists(create=False)  # HEAD does not tell which of the two is missing
                return None
            return _read_head(key, answer)

    def get_range(self, key: str, offset: int, size_bytes: int) -> tuple[bytes, int]:
        """Get ``size_bytes`` (not 0) bytes from ``offset``, and the size of the whole object.

        Where the object ends before ``offset``, both are empty and 0.

        Raises
        ------
        ObjectNotFound, StoreUnavailable
        """
        name = self.name(key)
        with s3_errors_translated(key):
            try:
                answer = repeated(lambda: self.requests.get_range(name, offset, size_bytes), Deadline())
            except ClientError as error:
                if http_status(error) == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                    return b"", 0
                raise
            if "Content-Range" in answer.headers:
                return answer.content, _require_range(answer.headers["Content-Range"], offset, answer.content)
            if offset == 0 and len(answer.content) <= size_bytes:
                return answer.content, len(answer.content)
        raise StoreUnavailable("this S3 server sends whole objects: it ignores Range")

    def sha256(self, key: str) -> str:
        """Compute the digest of an object by reading it.

        Raises
        ------
        ObjectNotFound, StoreUnavailable
        """
        digest, offset, size_bytes = hashlib.sha256(), 0, 1
        while offset < size_bytes:
            data, size_bytes = self.get_range(key, offset, _HASH_BYTES)
            digest.update(data)
            offset += len(data)
        return digest.hexdigest()

    def list(self, prefix: str) -> Iterator[ObjectStat]:
        """Iterate over the objects whose keys start with ``prefix``, a thousand with each request.

        Raises
        ------
        StoreUnavailable
        """
        with s3_errors_translated(self._subject):
            pages = self.client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.bucket, Prefix=self.prefix + prefix):
                for found in page.get("Contents", ()):
                    key = found["Key"].removeprefix(self.prefix)
                    if is_key(key):  # markers of folders, and whatever else is none of ours
                        yield ObjectStat(key, found["Size"], found["LastModified"].astimezone(UTC))

    def delete(self, key: str) -> None:
        """Remove an object, or find it absent.

        Raises
        ------
        StoreUnavailable
        """
        with s3_errors_translated(key):
            self.client.delete_object(Bucket=self.bucket, Key=self.name(key))

    def abort_uploads(self, begun_before: datetime) -> int:
        """Abort the uploads in parts that began before a time; return how many.

        Raises
        ------
        StoreUnavailable
        """
        aborted = 0
        with s3_errors_translated(self._subject):
            pages = self.client.get_paginator("list_multipart_uploads")
            for page in pages.paginate(Bucket=self.bucket, Prefix=self.prefix):
                for upload in page.get("Uploads", ()):
                    if upload["Initiated"] <= begun_before:
                        with suppress(self.client.exceptions.NoSuchUpload):  # joined or aborted since
                            self.client.abort_multipart_upload(
                                Bucket=self.bucket, Key=upload["Key"], UploadId=upload["UploadId"]
                            )
                            aborted += 1
        return aborted

    def check_conditional_writes(self) -> None:
        """Prove that an object can be written, and that the server refuses to overwrite it.

        Raises
        ------
        StoreFull, StoreUnavailable
        """
        name = f"{self.prefix}.check/{secrets.token_hex(16)}"  # no key: a segment starts with a dot
        content = b"check"
        sha256 = hashlib.sha256(content).hexdigest()

        def put() -> None:
            self.requests.put_new(name, content, len(content), sha256)

        with s3_errors_translated(self._subject):
            repeated(put, Deadline())
            try:
                repeated(put, Deadline())
            except ClientError as error:
                if not is_taken(error):
                    raise
            else:
                raise StoreUnavailable("this S3 server overwrites objects: it ignores If-None-Match")
            finally:
                self.client.delete_object(Bucket=self.bucket, Key=name)

    def close(self) -> None:
        """Close the connections."""
        self.client.close()
        self.requests.close()

    @property
    def _subject(self) -> str:
        return f"bucket {self.bucket}"

    def _exists(self) -> bool:
        with s3_errors_translated(self._subject):
            try:
                self.client.head_bucket(Bucket=self.bucket)
            except ClientError as error:
                if http_status(error) != HTTPStatus.NOT_FOUND:
                    raise
                return False
        return True


def _read_head(key: str, answer: Answer) -> S3Head:
    headers = answer.headers
    modified_at = parsedate_to_datetime(headers["Last-Modified"]).astimezone(UTC)
    stat = ObjectStat(key, int(headers["Content-Length"]), modified_at)
    return S3Head(stat, headers.get(SHA256_METADATA))


def _new_session() -> boto3.session.Session:
    """Make a session of our own: the default one is not for several threads."""
    session = botocore.session.get_session()
    session.register_component("data_loader", _api_descriptions())
    return boto3.session.Session(botocore_session=session)


@cache
def _api_descriptions() -> Loader:
    """Return what botocore knows of all servers of all regions: a quarter of a second to read."""
    loader: Loader = botocore.session.get_session().get_component("data_loader")
    return loader


def _connect(session: boto3.session.Session, endpoint_url: str | None, region: str) -> S3Client:
    """Make the client for what is not done for every object."""
    return session.client(
        "s3",
        endpoint_url=endpoint_url,
        region_name=region,
        config=Config(
            signature_version="s3v4",
            # Most servers have no DNS name for each bucket.
            s3={"addressing_style": "path" if endpoint_url else "auto"},
            # We send our own digest, and other servers than AWS do not know the checksums that boto3 adds.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            connect_timeout=CONNECT_TIMEOUT_S,
            read_timeout=READ_TIMEOUT_S,
            retries={"mode": "standard", "total_max_attempts": 2},
            max_pool_connections=MAX_CONNECTIONS,
            tcp_keepalive=True,
        ),
    )


def _create_bucket(client: S3Client, bucket: str) -> None:
    region = cast("BucketLocationConstraintType", client.meta.region_name)
    try:
        if client.meta.region_name == DEFAULT_REGION:  # which AWS refuses to see named here
            client.create_bucket(Bucket=bucket)
        else:
            client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": region})
    except client.exceptions.BucketAlreadyOwnedByYou:  # another process was quicker
        return


def _require_range(content_range: str, offset: int, content: bytes) -> int:
    """Return the size of the whole object; raises StoreUnavailable where other bytes came than asked for.

    References
    ----------
    RFC 9110 14.4
    """
    found = _CONTENT_RANGE.fullmatch(content_range)
    if found is None or int(found[1]) != offset or int(found[2]) - offset + 1 != len(content):
        raise StoreUnavailable("the S3 server sent another range than was asked for")
    return int(found[3])
