"""Answers of which all but a few bytes lie in a file: what goes around them, made once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Self

from fastapi import Response
from starlette.types import Message, Send

from pacs.pixels.fragments import Extent
from storage.stored_file import StoredFile
from viewer_api.byte_ranges import ACCEPTED_RANGES
from viewer_api.zero_copy import ZERO_COPY_SEND


@dataclass(frozen=True, slots=True)
class FileAnswer:
    """An answer with a part of an object: its header fields, and what comes before and behind that part."""

    headers: tuple[tuple[bytes, bytes], ...]
    before: bytes
    extent: Extent
    after: bytes

    @classmethod
    def make(
        cls,
        extent: Extent,
        headers: Mapping[str, str],
        media_type: str,
        before: bytes = b"",
        after: bytes = b"",
    ) -> Self:
        """Make the answer 200 of a body whose size is told by its pieces."""
        size_bytes = len(before) + extent.size_bytes + len(after)
        told = {**headers, **ACCEPTED_RANGES, "Content-Length": str(size_bytes)}
        raw_headers = Response(headers=told, media_type=media_type).raw_headers
        return cls(tuple(raw_headers), before, extent, after)

    async def send(self, file: StoredFile, send: Send) -> None:
        """Send it from the file in which the object lies, as :mod:`viewer_api.zero_copy` has it."""
        headers = list(self.headers)
        await send({"type": "http.response.start", "status": HTTPStatus.OK.value, "headers": headers})
        if self.before:
            await send({"type": "http.response.body", "body": self.before, "more_body": True})
        part: Message = {"type": ZERO_COPY_SEND, "file": file, "count": self.extent.size_bytes}
        await send({**part, "offset": file.offset + self.extent.offset, "more_body": bool(self.after)})
        if self.after:
            await send({"type": "http.response.body", "body": self.after})
