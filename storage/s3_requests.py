"""The requests that are made for every object: PUT, HEAD and GET, each a single attempt with a deadline.

boto3 spends 2 to 3 ms of CPU on each of them, most of it on its models of 100 operations; signed by botocore
and sent by its HTTP session they take half of that, so that one core keeps up with a server. Credentials,
proxies, certificates and errors are botocore's all the same.
"""

from __future__ import annotations

import base64
import random
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import IO, Final, TypeVar
from urllib.parse import urlsplit, urlunsplit

from boto3.session import Session
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSPreparedRequest, AWSRequest
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import BotoCoreError, ClientError, ConnectionClosedError, NoCredentialsError
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

from storage.s3_errors import is_passing
from storage.store import Buffer

CONNECT_TIMEOUT_S: Final = 5.0
READ_TIMEOUT_S: Final = 10.0
DEADLINE_S: Final = 30.0  # of all attempts of one call
MAX_CONNECTIONS: Final = 64
SHA256_METADATA: Final = "x-amz-meta-sha256"  # the digest of the whole object, where every S3 server keeps it

_ATTEMPTS = 4
_PAUSE_S = 0.1
_LARGE_BYTES = 8 * 1024**2
_LARGE_READ_TIMEOUT_S = 60.0  # a server may hash, copy and flush for long before it answers
_NOTHING_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
_T = TypeVar("_T")
Body = Buffer | IO[bytes]


class Deadline:
    """How long a call may go on trying: no attempt begins that could end after it."""

    def __init__(self) -> None:
        self._last_begin = time.monotonic() + DEADLINE_S - CONNECT_TIMEOUT_S - READ_TIMEOUT_S
        self._attempts = 0

    def wait_for_next(self) -> bool:
        """Pause before another attempt, a random while (full jitter); False if there must be none."""
        self._attempts += 1
        time.sleep(random.uniform(0, _PAUSE_S * 2**self._attempts))
        return self._attempts < _ATTEMPTS and time.monotonic() < self._last_begin


def repeated(attempt: Callable[[], _T], deadline: Deadline) -> _T:
    """Call ``attempt`` again where it fails for a reason that may pass, until the deadline."""
    while True:
        try:
            return attempt()
        except (ClientError, BotoCoreError) as error:
            if not is_passing(error) or not deadline.wait_for_next():
                raise


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is no error, with its whole body."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class S3Requests:
    """Makes requests for single objects of a bucket. Safe for use by several threads.

    All methods raise botocore's errors.
    """

    def __init__(
        self, session: Session, endpoint_url: str, region: str, bucket: str, own_server: bool
    ) -> None:
        self._session = session
        self._region = region
        self._base_url = _bucket_url(endpoint_url, bucket, own_server)
        self._quick = self._connections(READ_TIMEOUT_S)
        self._patient = self._connections(_LARGE_READ_TIMEOUT_S)

    def head(self, name: str) -> Answer:
        """Ask for size, time and metadata of an object."""
        return self._request("HEAD", name, {})

    def get_range(self, name: str, offset: int, size_bytes: int) -> Answer:
        """Get ``size_bytes`` (not 0) bytes of an object from ``offset``."""
        return self._request("GET", name, {"Range": f"bytes={offset}-{offset + size_bytes - 1}"})

    def put_new(self, name: str, body: Body, size_bytes: int, sha256: str) -> None:
        """Put an object, which the server does whole or not at all, and never over another one.

        The digest is signed with the request: a server that looks refuses a body that was damaged on its way.
        """
        headers = {
            "If-None-Match": "*",
            "Content-Length": str(size_bytes),
            "x-amz-checksum-sha256": base64.b64encode(bytes.fromhex(sha256)).decode("ascii"),
            SHA256_METADATA: sha256,
        }
        self._request("PUT", name, headers, body, sha256, large=size_bytes > _LARGE_BYTES)

    def close(self) -> None:
        """Close the connections."""
        self._quick.close()
        self._patient.close()

    def _request(
        self,
        method: str,
        name: str,
        headers: Mapping[str, str],
        body: Body | None = None,
        sha256: str = _NOTHING_SHA256,
        large: bool = False,
    ) -> Answer:
        url = f"{self._base_url}/{name}"
        request = AWSRequest(method, url, dict(headers))
        credentials = self._session.get_credentials()
        if credentials is None:
            raise NoCredentialsError
        _Signature(sha256, credentials.get_frozen_credentials(), self._region).add_auth(request)
        prepared = AWSPreparedRequest(
            method,
            url,
            dict(request.headers.items()),  # type: ignore[arg-type]  # urllib3 wants a dict
            body,  # type: ignore[arg-type]  # a memoryview is taken too, the stubs do not know
            stream_output=False,
        )
        answer = (self._patient if large else self._quick).send(prepared)
        content: bytes = answer.content
        if answer.status_code >= HTTPStatus.MULTIPLE_CHOICES:
            raise _client_error(method, answer.status_code, content)
        if method == "GET" and len(content) != int(answer.headers.get("Content-Length", len(content))):
            raise ConnectionClosedError(endpoint_url=self._base_url)
        return Answer(answer.status_code, answer.headers, content)

    def _connections(self, read_timeout_s: float) -> URLLib3Session:
        return URLLib3Session(
            verify=self._session._session.get_config_variable("ca_bundle") or True,
            proxies=get_environ_proxies(self._base_url),
            timeout=(CONNECT_TIMEOUT_S, read_timeout_s),  # type: ignore[arg-type]
            max_pool_connections=MAX_CONNECTIONS,
        )


class _Signature(S3SigV4Auth):
    """AWS Signature Version 4 over a digest that is known, so that no body is read to be signed."""

    def __init__(self, sha256: str, credentials: ReadOnlyCredentials, region: str) -> None:
        super().__init__(credentials, "s3", region)
        self._sha256 = sha256

    def payload(self, request: AWSRequest) -> str:
        return self._sha256


def _bucket_url(endpoint_url: str, bucket: str, own_server: bool) -> str:
    """Put the bucket into the path; at AWS into the host's name, unless TLS would not know that name."""
    parts = urlsplit(endpoint_url.rstrip("/"))
    if own_server or "." in bucket:
        return f"{urlunsplit(parts)}/{bucket}"
    return urlunsplit(parts._replace(netloc=f"{bucket}.{parts.netloc}"))


def _client_error(operation: str, status: int, content: bytes) -> ClientError:
    """Make the error that boto3 would have raised; a HEAD has no body that tells a code."""

    def element(name: bytes) -> str:
        found = re.search(rb"<%b>([^<]{0,500})</%b>" % (name, name), content[:10_000])
        return found[1].decode("utf-8", "replace") if found else ""

    return ClientError(
        {
            "Error": {"Code": element(b"Code") or str(status), "Message": element(b"Message")},
            "ResponseMetadata": {"HTTPStatusCode": status},  # type: ignore[typeddict-item]
        },
        operation,
    )
