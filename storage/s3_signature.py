"""AWS Signature Version 4 of requests for single objects: those without a query.

References
----------
AWS: "Signature Calculations for the Authorization Header: Transferring Payload in a Single Chunk".
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache

from botocore.credentials import ReadOnlyCredentials

_ALGORITHM = "AWS4-HMAC-SHA256"


def signed_headers(
    method: str,
    target: str,
    headers: Mapping[str, str],
    sha256: str,
    *,
    credentials: ReadOnlyCredentials,
    region: str,
    at: datetime,
) -> dict[str, str]:
    """Add to the headers of a request what proves who makes it, and that nobody changed it on its way.

    Parameters
    ----------
    target
        The path as it is sent: percent-encoded, without a query.
    headers
        Names in small letters, values without outer or double spaces; ``host`` is among them.
    sha256
        Of the body, which so need not be read here.
    at
        The time, in UTC. A server refuses one that is more than 15 minutes off.
    """
    timestamp = f"{at:%Y%m%dT%H%M%SZ}"
    scope = f"{timestamp[:8]}/{region}/s3/aws4_request"
    headers = {**headers, "x-amz-content-sha256": sha256, "x-amz-date": timestamp}
    if credentials.token:
        headers["x-amz-security-token"] = credentials.token
    names = sorted(headers)
    listed = ";".join(names)
    lines = [method, target, "", *(f"{name}:{headers[name]}" for name in names), "", listed, sha256]
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    key = _signing_key(credentials.secret_key, timestamp[:8], region)
    signature = hmac.digest(key, f"{_ALGORITHM}\n{timestamp}\n{scope}\n{digest}".encode(), "sha256").hex()
    headers["authorization"] = (
        f"{_ALGORITHM} Credential={credentials.access_key}/{scope}, "
        f"SignedHeaders={listed}, Signature={signature}"
    )
    return headers


@lru_cache(maxsize=4)  # one for a day and a user
def _signing_key(secret_key: str, date: str, region: str) -> bytes:
    key = f"AWS4{secret_key}".encode()
    for part in (date, region, "s3", "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
