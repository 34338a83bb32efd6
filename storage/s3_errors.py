"""The one map from what botocore raises to ours."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, NoCredentialsError
from botocore.exceptions import ConnectionError as NoConnectionError

from storage.errors import ObjectNotFound, StoreError, StoreFull, StoreUnavailable

# Quotas and full disks of AWS-compatible servers (Ceph; MinIO, twice).
_FULL = frozenset({"QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded"})
# 412 where the key is taken; 409 where somebody else is writing the key at this moment.
_TAKEN = frozenset({HTTPStatus.PRECONDITION_FAILED, HTTPStatus.CONFLICT})
_PASSING = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
_HINT = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or use another of the usual AWS ways"


def http_status(error: Exception) -> int:
    """Return the HTTP status of the server's answer, 0 where there was none."""
    return error.response["ResponseMetadata"]["HTTPStatusCode"] if isinstance(error, ClientError) else 0


def error_code(error: Exception) -> str:
    """Return the code of the server's answer (``NoSuchKey``), an empty text where there was none."""
    return error.response["Error"].get("Code", "") if isinstance(error, ClientError) else ""


def is_taken(error: Exception) -> bool:
    """Tell whether the server refused a conditional write because of another object."""
    return http_status(error) in _TAKEN


def is_passing(error: Exception) -> bool:
    """Tell whether the same request may succeed in a moment, or has already: its answer may be lost."""
    return isinstance(error, HTTPClientError | NoConnectionError) or http_status(error) in _PASSING


def store_error(error: Exception, subject: str) -> StoreError:
    """Translate ``error``, met while working on ``subject``."""
    if error_code(error) == "NoSuchKey":
        return ObjectNotFound(subject)
    if isinstance(error, NoCredentialsError):
        return StoreUnavailable(f"{subject}: {error}; {_HINT}")
    if http_status(error) == HTTPStatus.INSUFFICIENT_STORAGE or error_code(error) in _FULL:
        return StoreFull(f"{subject}: {error}")
    return StoreUnavailable(f"{subject}: {error}")


@contextmanager
def s3_errors_translated(subject: str) -> Iterator[None]:
    """Raise one of our errors for one of botocore's, or of the system's, in the block."""
    try:
        yield
    except (ClientError, BotoCoreError, OSError) as error:
        raise store_error(error, subject) from error
