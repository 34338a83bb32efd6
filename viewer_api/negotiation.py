"""Which representation a client gets (PS3.18 8.7.5 to 8.7.8, RFC 9110 12.5.1)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated

from fastapi import Depends, Request

from pacs.errors import InvalidRequest
from viewer_api.media_types import (
    DICOM_JSON,
    DICOM_XML,
    JSON,
    MULTIPART_RELATED,
    MediaType,
    parse_media_type,
    split_unquoted,
)
from viewer_api.problems import NotAcceptable

MAX_RANGES = 64
_REMEMBERED = 256
_ANY = "*/*"
# Of editions of PS3.18 up to 2017.
_OLD_NAMES = {"image/x-jls": "image/jls", "image/x-dicom-rle": "image/dicom-rle"}


@dataclass(frozen=True, slots=True)
class Representation:
    """Something that can be sent: a media type, alone or as the parts of ``multipart/related``.

    ``implied`` is False for one that only a range with a ``transfer-syntax`` parameter may choose.
    ``source_quality`` is below 1 for one that is sent only where the client likes the others much less, as
    browsers name WebP first for pictures of whatever kind (RFC 2295 5.3).
    """

    media_type: str
    transfer_syntax_uid: str | None = None
    multipart: bool = False
    implied: bool = True
    source_quality: float = 1.0

    def __str__(self) -> str:
        syntax = f"; transfer-syntax={self.transfer_syntax_uid}" if self.transfer_syntax_uid else ""
        if self.multipart:
            return f'{MULTIPART_RELATED}; type="{self.media_type}"{syntax}'
        return self.media_type + syntax


DICOM_JSON_REPRESENTATIONS = (Representation(DICOM_JSON), Representation(JSON))
# Several data sets: an array, or parts of which each is a Native DICOM Model (PS3.18 8.7.3.2).
DATASETS_REPRESENTATIONS = (*DICOM_JSON_REPRESENTATIONS, Representation(DICOM_XML, multipart=True))


@dataclass(frozen=True, slots=True)
class MediaRange:
    """A media range with its quality, 0 to 1."""

    media_type: MediaType
    quality: float

    def closeness(self, offered: Representation) -> int | None:
        """Tell how closely the range names what is offered; None where it does not.

        Closer ranges overrule wider ones (RFC 9110 12.5.1).
        """
        name, parameters = self.media_type.name, self.media_type.parameters
        if parameters.get("bits", "8") != "8":  # of a PNG; a form of its own
            name += f"; bits={parameters['bits']}"
        fits = [_fit(name, offered.media_type)]
        if offered.multipart:
            fits = [_fit(name, MULTIPART_RELATED), _fit(parameters.get("type", _ANY), offered.media_type)]
        total = 0
        for fit in fits:
            if fit is None:
                return None
            total += fit
        syntax = parameters.get("transfer-syntax")
        if syntax is None:
            return total if offered.implied else None
        return total + 1 if syntax in ("*", offered.transfer_syntax_uid) else None


@dataclass(frozen=True, slots=True, eq=False)
class Acceptable:
    """What a request accepts: by its ``accept`` query parameter, and by its Accept header field.

    The same words make the same one, so that what was chosen by it is found again.
    """

    by_parameter: tuple[MediaRange, ...]
    by_header: tuple[MediaRange, ...]

    def choose(self, offered: Sequence[Representation]) -> Representation:
        """Choose among ``offered``, which is in the server's order of preference.

        The query parameter is asked first; the header field only where nothing of the former is offered.

        Raises
        ------
        NotAcceptable
            The client accepts none of them.

        References
        ----------
        PS3.18 8.7.8.1
        """
        chosen = _choose(self.by_parameter, self.by_header, tuple(offered))
        if chosen is None:
            raise NotAcceptable([str(one) for one in offered])
        return chosen


@lru_cache(_REMEMBERED)
def _choose(
    by_parameter: tuple[MediaRange, ...],
    by_header: tuple[MediaRange, ...],
    offered: tuple[Representation, ...],
) -> Representation | None:
    """Choose, and remember it: a viewer asks for thousands of frames with the same words."""
    for ranges in (by_parameter, by_header):
        best = max(offered, key=lambda one: _quality(one, ranges))
        if _quality(best, ranges) > 0:
            return best
    return None


@lru_cache(_REMEMBERED)
def parse_accept(text: str) -> tuple[MediaRange, ...]:
    """Parse the value of an Accept header field; ranges that are not of its form are left out.

    Raises
    ------
    InvalidRequest
        There are more than 64 ranges, or the text is longer than 8 KiB.
    """
    pieces = split_unquoted(text, ",")
    if len(pieces) > MAX_RANGES:
        raise InvalidRequest(f"more than {MAX_RANGES} media ranges")
    ranges = []
    for piece in pieces:
        media_type = parse_media_type(piece)
        quality = None if media_type is None else _parse_quality(media_type.parameters.get("q", "1"))
        if media_type is not None and quality is not None:
            ranges.append(MediaRange(media_type, quality))
    return tuple(ranges)


def parse_acceptable(request: Request) -> Acceptable:
    """Read what a request accepts. Without an Accept header field that is everything (RFC 9110 12.5.1).

    A plus sign in a query is a space; ``accept=application/dicom+json`` is understood all the same.
    """
    is_asked = bool(request.scope["query_string"])
    parameter = ",".join(request.query_params.getlist("accept")) if is_asked else ""
    return _acceptable(parameter, ",".join(request.headers.getlist("accept")))


def acceptable_of(accept: str) -> Acceptable:
    """Read the value of an Accept header field as :func:`parse_acceptable` does. Raises InvalidRequest."""
    return _acceptable("", accept)


@lru_cache(_REMEMBERED)
def _acceptable(parameter: str, header: str) -> Acceptable:
    by_parameter = parse_accept(parameter.strip().replace("dicom json", "dicom+json"))
    return Acceptable(by_parameter, parse_accept(header) or parse_accept(_ANY))


async def _acceptable_types(request: Request) -> Acceptable:
    return parse_acceptable(request)


AcceptableTypes = Annotated[Acceptable, Depends(_acceptable_types)]


def _fit(wanted: str, offered: str) -> int | None:
    wanted = _OLD_NAMES.get(wanted.lower(), wanted.lower())
    if wanted == _ANY:
        return 0
    if wanted.endswith("/*"):
        return 1 if offered.lower().startswith(wanted[:-1]) else None
    return 2 if wanted == offered.lower() else None


def _quality(offered: Representation, ranges: Sequence[MediaRange]) -> float:
    """Return the quality that the closest range gives to ``offered``; 0 where none names it."""
    found = [(closeness, one.quality) for one in ranges if (closeness := one.closeness(offered)) is not None]
    return max(found)[1] * offered.source_quality if found else 0


def _parse_quality(text: str) -> float | None:
    try:
        quality = float(text)
    except ValueError:
        return None
    return quality if math.isfinite(quality) and 0 <= quality <= 1 else None
