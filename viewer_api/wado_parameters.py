"""The query parameters of WADO-URI (PS3.18 9.1.2), checked before anything is done with them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from pacs.dicom.uids import parse_uid
from pacs.errors import InvalidRequest
from pacs.pictures.rendering import Rendering
from viewer_api.negotiation import MediaRange, parse_accept
from viewer_api.params import MAX_PARAMETERS, MAX_VIEWPORT, parse_rendering
from viewer_api.problems import HttpProblem

_FRACTION: Final = re.compile(r"(0(\.\d{0,12})?|\.\d{1,12}|1(\.0{0,12})?)", re.ASCII)
_NUMBER: Final = re.compile(r"[1-9]\d{0,9}", re.ASCII)
_ANY_TRANSFER_SYNTAX: Final = "*"


@dataclass(frozen=True, slots=True)
class WadoRequest:
    """What WADO-URI asks for. ``region`` is left, top, right and bottom as fractions of the image."""

    uids: tuple[str, str, str]
    content_types: tuple[MediaRange, ...]
    frame_number: int
    rendering: Rendering
    region: tuple[float, float, float, float] | None
    transfer_syntax_uid: str | None


def parse_wado(parameters: Sequence[tuple[str, str]]) -> WadoRequest:
    """Understand the query parameters; unknown ones, and ``charset`` and ``annotation``, are left alone.

    Raises
    ------
    InvalidRequest
        A parameter is wanting, malformed, or there twice.
    HttpProblem
        501: anonymized images and presentation states are not offered. What is not anonymized is not sent to
        who asks for that.
    """
    if len(parameters) > MAX_PARAMETERS:
        raise InvalidRequest(f"more than {MAX_PARAMETERS} query parameters")
    found = dict(parameters)
    if len(found) < len(parameters):
        raise InvalidRequest("a parameter is given more than once")
    if found.get("requestType") != "WADO":
        raise InvalidRequest("requestType is WADO")
    for name in ("anonymize", "presentationUID", "presentationSeriesUID"):
        if found.get(name):
            raise HttpProblem(HTTPStatus.NOT_IMPLEMENTED, f"{name} is not offered")
    return WadoRequest(
        uids=(_uid(found, "studyUID"), _uid(found, "seriesUID"), _uid(found, "objectUID")),
        content_types=parse_accept(found.get("contentType", "").replace("dicom json", "dicom+json")),
        frame_number=_number(found, "frameNumber", 1),
        rendering=_rendering(found),
        region=_region(found.get("region")),
        transfer_syntax_uid=_transfer_syntax(found.get("transferSyntax")),
    )


def _uid(found: dict[str, str], name: str) -> str:
    if not found.get(name):
        raise InvalidRequest(f"{name} is wanting")
    return parse_uid(found[name])


def _number(found: dict[str, str], name: str, default: int) -> int:
    text = found.get(name, "")
    if text and not _NUMBER.fullmatch(text):
        raise InvalidRequest(f"{name} is a whole number from 1 on")
    return int(text) if text else default


def _rendering(found: dict[str, str]) -> Rendering:
    """Say in the parameters of WADO-RS what the image is to look like (PS3.18 8.3.5.1)."""
    said: list[tuple[str, str]] = []
    if any(found.get(name) for name in ("rows", "columns")):
        width, height = _number(found, "columns", MAX_VIEWPORT), _number(found, "rows", MAX_VIEWPORT)
        said.append(("viewport", f"{width},{height}"))
    center, width_text = found.get("windowCenter", ""), found.get("windowWidth", "")
    if center or width_text:  # one without the other is refused as a malformed window
        said.append(("window", f"{center},{width_text}"))
    if found.get("imageQuality"):
        said.append(("quality", found["imageQuality"]))
    return parse_rendering(said)


def _region(text: str | None) -> tuple[float, float, float, float] | None:
    if not text:
        return None
    pieces = text.split(",", 4)
    if len(pieces) != 4 or not all(_FRACTION.fullmatch(piece) for piece in pieces):
        raise InvalidRequest("region is left,top,right,bottom, each from 0 to 1")
    left, top, right, bottom = map(float, pieces)
    if left >= right or top >= bottom:
        raise InvalidRequest("the region is empty")
    return left, top, right, bottom


def _transfer_syntax(text: str | None) -> str | None:
    return text if not text or text == _ANY_TRANSFER_SYNTAX else parse_uid(text)
