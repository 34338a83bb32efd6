"""Answers of which all but a few bytes lie in a file: what goes around them, made once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from fastapi import Response

from pacs.pixels.fragments import Extent
from storage.stored_file import StoredFile
from viewer_api.byte_ranges import ACCEPTED_RANGES
from viewer_api.middleware import add_security_fields
from viewer_api.outgoing_answer import OutgoingAnswer


@dataclass(frozen=True, slots=True)
class FileAnswer:
    """An answer with a part of an object: header fields and what comes before it, and what comes behind."""

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
        """Make it of a body whose size is told by its pieces."""
        size_bytes = len(before) + extent.size_bytes + len(after)
        told = {**headers, **ACCEPTED_RANGES, "Content-Length": str(size_bytes)}
        fields = add_security_fields(Response(headers=told, media_type=media_type).raw_headers)
        return cls(b"".join(b"%b: %b\r\n" % field for field in fields) + b"\r\n" + before, extent, after)

    def outgoing(self, file: StoredFile) -> OutgoingAnswer:
        """Make the answer that goes out from the file in which the object lies, without its status line."""
        offset = file.offset + self.extent.offset
        return OutgoingAnswer(self.before, file, offset, self.extent.size_bytes, self.after)
