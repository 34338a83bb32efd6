"""What the answers of S3 servers mean."""

import pytest
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    NoCredentialsError,
    ReadTimeoutError,
)

from storage.errors import ObjectNotFound, StoreFull, StoreUnavailable
from storage.s3_errors import is_passing, is_taken, s3_errors_translated


def answer(status, code):
    response = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, "PutObject")


NO_CONNECTION = EndpointConnectionError(endpoint_url="http://127.0.0.1:1")
NO_ANSWER = ReadTimeoutError(endpoint_url="http://127.0.0.1:1")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (answer(404, "NoSuchKey"), ObjectNotFound),
        (answer(404, "NoSuchBucket"), StoreUnavailable),
        (answer(507, "XMinioStorageFull"), StoreFull),
        (answer(507, "Whatever"), StoreFull),
        (answer(403, "QuotaExceeded"), StoreFull),
        (answer(403, "AccessDenied"), StoreUnavailable),
        (answer(500, "InternalError"), StoreUnavailable),
        (answer(503, "SlowDown"), StoreUnavailable),
        (NO_CONNECTION, StoreUnavailable),
        (NO_ANSWER, StoreUnavailable),
        (NoCredentialsError(), StoreUnavailable),
        (OSError("no such CA bundle"), StoreUnavailable),
    ],
)
def test_every_error_becomes_one_of_ours(error, expected):
    with pytest.raises(expected) as raised, s3_errors_translated("subject"):
        raise error
    assert type(raised.value) is expected
    assert raised.value.__cause__ is error


def test_an_error_of_the_caller_stays_what_it_is():
    with pytest.raises(KeyError), s3_errors_translated("subject"):
        raise KeyError("subject")


@pytest.mark.parametrize(
    ("error", "taken"),
    [
        (answer(412, "PreconditionFailed"), True),
        (answer(409, "ConditionalRequestConflict"), True),
        (answer(404, "NoSuchBucket"), False),
        (answer(500, "InternalError"), False),
        (NO_ANSWER, False),
    ],
)
def test_only_a_refused_condition_says_that_the_key_is_taken(error, taken):
    assert is_taken(error) is taken


def test_what_may_pass_is_told_from_what_will_not():
    assert is_passing(NO_ANSWER)
    assert is_passing(NO_CONNECTION)
    assert is_passing(answer(500, "InternalError"))
    assert is_passing(answer(503, "SlowDown"))
    assert not is_passing(answer(403, "AccessDenied"))
    assert not is_passing(answer(412, "PreconditionFailed"))
