"""``multipart/related`` (RFC 2387, RFC 2046 5.1): a bounded incremental parser, and the pieces to write."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from pacs.errors import InvalidRequest
from storage.store import Buffer

MAX_PART_HEADERS_SIZE_BYTES: Final = 8 * 1024
MAX_PARTS: Final = 10_000
MAX_PADDING_SIZE_BYTES: Final = 64 * 1024  # before the first part, behind the last, behind a boundary

# RFC 2046 5.1.1 allows 70 characters; Orthanc sends 73.
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,199}[0-9A-Za-z'()+_,./:=?-]", re.ASCII)
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)


class MalformedMultipart(InvalidRequest):
    """The body breaks the rules of multipart, ends too early, or passes a bound."""


@dataclass(frozen=True, slots=True)
class Part:
    """One part: its header fields by name in lower case, and its content, which can be read once.

    What is left unread of ``chunks`` is skipped when the next part is asked for.
    """

    headers: Mapping[str, str]
    chunks: Iterator[Buffer]


def read_parts(chunks: Iterable[bytes], boundary: str) -> Iterator[Part]:
    """Read the parts of a body, one after the other, without holding more than a chunk of it.

    Parameters
    ----------
    chunks
        The body, split anywhere.
    boundary
        As the Content-Type header field has it.

    Raises
    ------
    MalformedMultipart
        Also while the content of a part is read.

    References
    ----------
    RFC 2046 5.1.1
    """
    if not _BOUNDARY.fullmatch(boundary):
        raise MalformedMultipart("the boundary is missing or has characters that it must not have")
    body = _Body(iter(chunks), b"\r\n--" + boundary.encode("ascii"))
    body.skip_preamble()
    number_of_parts = 0
    while body.begin_part():
        number_of_parts += 1
        if number_of_parts > MAX_PARTS:
            raise MalformedMultipart(f"the body has more than {MAX_PARTS} parts")
        headers = body.read_headers()
        content = body.content()
        yield Part(headers, content)
        for _ in content:
            pass
    body.skip_epilogue()


def content_type(boundary: str, media_type: str, transfer_syntax_uid: str | None = None) -> str:
    """Return the Content-Type of an answer of several parts of one media type."""
    syntax = f"; transfer-syntax={transfer_syntax_uid}" if transfer_syntax_uid else ""
    return f'multipart/related; type="{media_type}"{syntax}; boundary={boundary}'


def part_head(
    boundary: str, media_type: str, transfer_syntax_uid: str | None = None, location: str | None = None
) -> bytes:
    """Return what goes before the content of a part; CRLF goes behind it."""
    syntax = f"; transfer-syntax={transfer_syntax_uid}" if transfer_syntax_uid else ""
    content_location = f"Content-Location: {location}\r\n" if location else ""
    return f"--{boundary}\r\nContent-Type: {media_type}{syntax}\r\n{content_location}\r\n".encode("ascii")


def closing(boundary: str) -> bytes:
    """Return what goes behind the last part."""
    return f"--{boundary}--\r\n".encode("ascii")


class _Body:
    """The body under the parser's reading head.

    ``_buffer`` holds what has been received and not consumed. It starts with a line break that is not in
    the body, so that a delimiter in its first line is one like the others.
    """

    def __init__(self, chunks: Iterator[bytes], delimiter: bytes) -> None:
        self._chunks = chunks
        self._delimiter = delimiter
        self._buffer = b"\r\n"

    def skip_preamble(self) -> None:
        """Skip to behind the first delimiter."""
        self._take_until(self._delimiter, MAX_PADDING_SIZE_BYTES, "the body does not begin with its boundary")

    def begin_part(self) -> bool:
        """Finish the line of a delimiter; False where it is the last one."""
        self._fill(2)
        if self._buffer.startswith(b"--"):
            self._buffer = self._buffer[2:]
            return False
        rest = self._take_until(b"\r\n", MAX_PADDING_SIZE_BYTES, "a boundary's line does not end")
        if rest.strip(b" \t"):
            raise MalformedMultipart("there is something else in a boundary's line")
        return True

    def read_headers(self) -> dict[str, str]:
        """Read the header fields of a part and the empty line behind them."""
        self._buffer = b"\r\n" + self._buffer  # so that no field at all ends like the others do
        block = self._take_until(
            b"\r\n\r\n",
            MAX_PART_HEADERS_SIZE_BYTES,
            "the header fields of a part are too large, or cut",
        )
        headers: dict[str, str] = {}
        for line in block.decode("latin-1").split("\r\n")[1:]:
            name, colon, value = line.partition(":")
            if not colon or not _HEADER_NAME.fullmatch(name) or name.lower() in headers:
                raise MalformedMultipart("a header field of a part is malformed or there twice")
            headers[name.lower()] = value.strip()
        self._buffer = b"\r\n" + self._buffer  # the empty line, see content()
        return headers

    def content(self) -> Iterator[Buffer]:
        """Yield the content of a part, up to the next delimiter, which is consumed.

        The line break of the empty line before it belongs to the delimiter where the content is empty.
        """
        self._fill(len(self._delimiter))
        if not self._buffer.startswith(self._delimiter):
            self._buffer = self._buffer[2:]
        while (end := self._buffer.find(self._delimiter)) < 0:
            safe = max(len(self._buffer) - len(self._delimiter) + 1, 0)
            if safe:
                yield memoryview(self._buffer)[:safe]
                self._buffer = self._buffer[safe:]
            self._receive("the body ends inside a part")
        content, self._buffer = memoryview(self._buffer)[:end], self._buffer[end + len(self._delimiter) :]
        if content:
            yield content

    def skip_epilogue(self) -> None:
        """Read to the end of the body, so that the connection can be used again."""
        size_bytes = len(self._buffer)
        for chunk in self._chunks:
            size_bytes += len(chunk)
            if size_bytes > MAX_PADDING_SIZE_BYTES:
                raise MalformedMultipart("there is too much behind the last boundary")

    def _take_until(self, mark: bytes, max_size_bytes: int, complaint: str) -> bytes:
        """Consume up to and with ``mark``; return what was before it."""
        searched = 0
        while (end := self._buffer.find(mark, searched)) < 0:
            if len(self._buffer) > max_size_bytes:
                raise MalformedMultipart(complaint)
            searched = max(len(self._buffer) - len(mark) + 1, 0)
            self._receive(complaint)
        if end > max_size_bytes:
            raise MalformedMultipart(complaint)
        taken, self._buffer = self._buffer[:end], self._buffer[end + len(mark) :]
        return taken

    def _fill(self, size_bytes: int) -> None:
        while len(self._buffer) < size_bytes:
            self._receive("the body ends before its last boundary")

    def _receive(self, complaint: str) -> None:
        chunk = next(self._chunks, None)
        if chunk is None:
            raise MalformedMultipart(complaint)
        self._buffer += chunk
