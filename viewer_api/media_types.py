"""The syntax of media types, as header fields and query parameters carry them (RFC 9110 8.3.1, 5.6.6)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pacs.errors import InvalidRequest

DICOM = "application/dicom"
DICOM_JSON = "application/dicom+json"
DICOM_XML = "application/dicom+xml"
JSON = "application/json"
OCTET_STREAM = "application/octet-stream"
MULTIPART_RELATED = "multipart/related"
ZIP = "application/zip"

MAX_HEADER_LENGTH = 8 * 1024
_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 (RFC 9110 calls it a token)
_TYPE = re.compile(rf"{_TOKEN}/{_TOKEN}", re.ASCII)


@dataclass(frozen=True, slots=True)
class MediaType:
    """A media type or range: the type in lower case, parameters by name in lower case."""

    name: str
    parameters: Mapping[str, str]

    def __hash__(self) -> int:
        return hash((self.name, *self.parameters.items()))


def parse_media_type(text: str) -> MediaType | None:
    """Parse one media type or range with its parameters; None where it is not of that form.

    Values are taken quoted or not: clients write ``type=application/octet-stream`` without the quotes that
    its slash needs.
    """
    head, *rest = split_unquoted(text, ";")
    name = head.strip().lower()
    if name == "*":  # java.net.HttpURLConnection
        name = "*/*"
    if not _TYPE.fullmatch(name):
        return None
    parameters: dict[str, str] = {}
    for parameter in rest:
        key, _, value = parameter.partition("=")
        parameters.setdefault(key.strip().lower(), _unquote(value.strip()))
    return MediaType(name, parameters)


def split_unquoted(text: str, separator: str) -> list[str]:
    """Split at a separator that does not stand inside a quoted string.

    Raises
    ------
    InvalidRequest
        The text is longer than 8 KiB.
    """
    if len(text) > MAX_HEADER_LENGTH:
        raise InvalidRequest(f"a header field is longer than {MAX_HEADER_LENGTH} characters")
    pieces, start, quoted, escaped = [], 0, False, False
    for position, character in enumerate(text):
        if escaped:
            escaped = False
        elif quoted and character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
        elif character == separator and not quoted:
            pieces.append(text[start:position])
            start = position + 1
    return [*pieces, text[start:]]


def _unquote(value: str) -> str:
    if len(value) >= 2 and value.startswith('"') and value.endswith('"'):
        return re.sub(r"\\(.)", r"\1", value[1:-1])
    return value
