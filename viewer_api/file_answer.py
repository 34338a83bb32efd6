"""Answers of which all but a few bytes lie in a file: what goes around them, made once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from fastapi import Response
from starlette.types import Message

from pacs.pixels.fragments import Extent
from storage.stored_file import StoredFile
from viewer_api.byte_ranges import ACCEPTED_RANGES
from viewer_api.middleware import add_security_fields
from viewer_api.zero_copy import FILE_ANSWER


@dataclass(frozen=True, slots=True)
class FileAnswer:
    """An answer with a part of an object: its header fields, and what comes before and behind that part."""

    fields: bytes
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
        return cls(b"".join(b"%b: %b\r\n" % field for field in fields), before, extent, after)

    def message(self, file: StoredFile) -> Message:
        """Make the message that sends it from the file in which the object lies: see :mod:`zero_copy`."""
        return {
            "type": FILE_ANSWER,
            "fields": self.fields,
            "before": self.before,
            "file": file,
            "offset": file.offset + self.extent.offset,
            "count": self.extent.size_bytes,
            "after": self.after,
        }
