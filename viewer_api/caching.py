"""What a client may keep: entity tags."""

from __future__ import annotations

import hashlib
from http import HTTPStatus
from typing import Final

from fastapi import Request, Response

from viewer_api.header_fields import header_field

# What lies under a SOP Instance UID never changes, so a frame and what is made of it do not either. Private:
# for this user's browser only, not for a cache on the way (RFC 9111 5.2.2.7).
IMMUTABLE: Final = "private, max-age=31536000, immutable"
# How a frame is rendered changes with the software; then the tag does too, which names its version.
RENDERED: Final = "private, max-age=86400"
# A picture that stands for a study or a series changes while instances arrive.
REVALIDATED: Final = "private, no-cache"

# What names patients is kept by no browser; a program that keeps it itself may ask whether it still holds.
NOT_STORED: Final = "private, no-store"


def make_etag(*facts: object) -> str:
    """Make an entity tag of all that an answer depends on, which is told before anything is read."""
    return etag_of(hashlib.sha256("\n".join(map(str, facts)).encode()).hexdigest())


def etag_of(digest: str) -> str:
    """Make an entity tag of the digest of all that an answer depends on."""
    return f'"{digest[:32]}"'


def not_modified(request: Request, etag: str, cache_control: str) -> Response | None:
    """Answer 304 where the client has what it asks for already (RFC 9110 13.1.2)."""
    asked = header_field(request.scope, b"if-none-match") or ""
    known = [tag.strip().removeprefix("W/") for tag in asked.split(",")]
    if etag not in known and known != ["*"]:
        return None
    return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=cache_headers(etag, cache_control))


def cache_headers(etag: str, cache_control: str) -> dict[str, str]:
    """Return the headers of an answer that may be kept; it depends on what the client accepts."""
    return {"ETag": etag, "Cache-Control": cache_control, "Vary": "Accept"}
