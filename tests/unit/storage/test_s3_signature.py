"""Signing requests, beside botocore's own signer."""

from datetime import UTC, datetime
from urllib.parse import quote

import pytest
from botocore import auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.s3_signature import signed_headers

AT = datetime(2026, 11, 23, 4, 5, 6, tzinfo=UTC)
DIGEST = "ab" * 32
_WORD = st.text("abcXYZ019-_.~/=+", min_size=1, max_size=20)


def sign_with_botocore(method, target, headers, credentials, region):
    class Signer(auth.S3SigV4Auth):
        def payload(self, request):
            return DIGEST

    request = AWSRequest(method, f"http://{headers['host']}{target}", dict(headers))
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(auth, "get_current_datetime", lambda: AT)
        Signer(credentials, "s3", region).add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


@settings(max_examples=50, deadline=None)
@given(
    method=st.sampled_from(["GET", "HEAD", "PUT"]),
    name=st.text(max_size=30),
    own=st.dictionaries(st.sampled_from(["if-none-match", "range", "x-amz-meta-sha256"]), _WORD),
    token=st.none() | _WORD,
    region=st.sampled_from(["us-east-1", "ap-southeast-1"]),
)
def test_a_request_is_signed_as_botocore_signs_it(method, name, own, token, region):
    target = f"/bucket/{quote(name, safe='/~')}"
    headers = {**own, "host": "127.0.0.1:8333"}
    credentials = ReadOnlyCredentials("AKIAEXAMPLE", "not/a+secret", token)
    signed = signed_headers(method, target, headers, DIGEST, credentials=credentials, region=region, at=AT)
    assert signed == sign_with_botocore(method, target, headers, credentials, region)


def test_another_day_has_another_signature():
    credentials = ReadOnlyCredentials("AKIAEXAMPLE", "not/a+secret", None)
    signatures = {
        signed_headers("GET", "/b/k", {"host": "h"}, DIGEST, credentials=credentials, region="r", at=at)[
            "authorization"
        ]
        for at in (AT, AT.replace(day=24), AT.replace(second=7))
    }
    assert len(signatures) == 3
