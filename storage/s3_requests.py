"""The requests that are made for every object: PUT, HEAD and GET, each a single attempt with a deadline.

boto3 spends 2 ms of CPU on each of them, most of it on its models of 100 operations and on its HTTP session;
signed and sent by what is here they take 0.3 ms, so that one core keeps up with a server. Credentials,
proxies, certificates and errors are botocore's all the same.
"""

from __future__ import annotations

import base64
import random
import re
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final, TypeVar
from urllib.parse import quote, urlsplit, urlunsplit

from boto3.session import Session
from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError

from storage.s3_connections import Answer, Body, S3Connections
from storage.s3_errors import is_passing
from storage.s3_signature import signed_headers

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
_MOST_ERROR_BYTES = 64 * 1024
_USUAL_PORTS = {"http": ":80", "https": ":443"}  # which a request does not name
_T = TypeVar("_T")


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


class S3Requests:
    """Makes requests for single objects of a bucket. Safe for use by several threads.

    All methods raise botocore's errors.
    """

    def __init__(
        self, session: Session, endpoint_url: str, region: str, bucket: str, own_server: bool
    ) -> None:
        url = urlsplit(_bucket_url(endpoint_url, bucket, own_server))
        self._session = session
        self._region = region
        self._host = url.netloc.removesuffix(_USUAL_PORTS.get(url.scheme, ":"))
        self._path = url.path
        self._connections = S3Connections(
            url.geturl(),
            ca_bundle=session._session.get_config_variable("ca_bundle"),
            most_kept=MAX_CONNECTIONS,
            connect_timeout_s=CONNECT_TIMEOUT_S,
        )

    def head(self, name: str) -> Answer:
        """Ask for size, time and metadata of an object."""
        return self._request("HEAD", name, {})

    def get_range(self, name: str, offset: int, size_bytes: int) -> Answer:
        """Get ``size_bytes`` (not 0) bytes of an object from ``offset``.

        The answer has more than that, by one byte, from a server that ignores what is asked for.
        """
        wanted = {"range": f"bytes={offset}-{offset + size_bytes - 1}"}
        return self._request("GET", name, wanted, most_bytes=size_bytes + 1)

    def put_new(self, name: str, body: Body, size_bytes: int, sha256: str) -> None:
        """Put an object, which the server does whole or not at all, and never over another one.

        The digest is signed with the request: a server that looks refuses a body that was damaged on its way.
        """
        headers = {
            "if-none-match": "*",
            "content-length": str(size_bytes),
            "x-amz-checksum-sha256": base64.b64encode(bytes.fromhex(sha256)).decode("ascii"),
            SHA256_METADATA: sha256,
        }
        patience_s = _LARGE_READ_TIMEOUT_S if size_bytes > _LARGE_BYTES else READ_TIMEOUT_S
        self._request("PUT", name, headers, body, sha256, read_timeout_s=patience_s)

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()

    def _request(
        self,
        method: str,
        name: str,
        headers: Mapping[str, str],
        body: Body | None = None,
        sha256: str = _NOTHING_SHA256,
        *,
        read_timeout_s: float | None = None,
        most_bytes: int = 0,
    ) -> Answer:
        credentials = self._session.get_credentials()
        if credentials is None:
            raise NoCredentialsError
        target = f"{self._path}/{quote(name, safe='/~')}"
        signed = signed_headers(
            method,
            target,
            {**headers, "host": self._host},
            sha256,
            credentials=credentials.get_frozen_credentials(),
            region=self._region,
            at=datetime.now(UTC),
        )
        answer = self._connections.request(
            method,
            target,
            signed,
            body,
            read_timeout_s=read_timeout_s or READ_TIMEOUT_S,
            most_bytes=max(most_bytes, _MOST_ERROR_BYTES),
        )
        if answer.status >= HTTPStatus.MULTIPLE_CHOICES:
            raise _client_error(method, answer.status, answer.content)
        return answer


def _bucket_url(endpoint_url: str, bucket: str, own_server: bool) -> str:
    """Put the bucket into the path; at AWS into the host's name, unless TLS would not know that name."""
    parts = urlsplit(endpoint_url.rstrip("/"))
    if own_server or "." in bucket:
        return f"{urlunsplit(parts)}/{bucket}"
    return urlunsplit(parts._replace(netloc=f"{bucket}.{parts.netloc}"))


def _client_error(operation: str, status: int, content: bytes) -> ClientError:
    """Make the error that boto3 would have raised; a HEAD has no body that tells a code."""

    def element(name: bytes) -> str:
        found = re.search(rb"<%b>([^<]{0,500})</%b>" % (name, name), content)
        return found[1].decode("utf-8", "replace") if found else ""

    return ClientError(
        {
            "Error": {"Code": element(b"Code") or str(status), "Message": element(b"Message")},
            "ResponseMetadata": {"HTTPStatusCode": status},  # type: ignore[typeddict-item]
        },
        operation,
    )
