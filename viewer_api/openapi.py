"""The parts of the API's description that several routes share."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

from viewer_api.problems import PROBLEM_JSON

NOT_OFFERED: Final = "Not offered"  # the tag of what the Standard knows and this server does not have

_DESCRIPTIONS: Final[Mapping[int, str]] = {
    HTTPStatus.NOT_MODIFIED: "The client has it already",
    HTTPStatus.BAD_REQUEST: "A UID, a parameter or the body is not of the right form",
    HTTPStatus.FORBIDDEN: "The settings do not allow it",
    HTTPStatus.GONE: "The index knows an object that the store does not have",
    HTTPStatus.NOT_FOUND: "There is no such study, series, instance or frame",
    HTTPStatus.GONE: "The index knows it, and the store does not have it any more",
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE: "The range begins behind the end",
    HTTPStatus.REQUEST_TIMEOUT: "The body did not come, or came too slowly",
    HTTPStatus.NOT_ACCEPTABLE: "Nothing acceptable can be sent; `available` lists what can",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "An instance is larger than what is taken in",
    HTTPStatus.CONFLICT: "Nothing was done, as what there is does not allow it",
    HTTPStatus.PRECONDITION_FAILED: "It has another version than the one that was named",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body is of another media type, or compressed",
    HTTPStatus.UNPROCESSABLE_ENTITY: "The pixel data is damaged or contradicts its description",
    HTTPStatus.NOT_IMPLEMENTED: "This server does not have this service",
    HTTPStatus.SERVICE_UNAVAILABLE: "The index or the store does not answer, or too much is waiting",
    HTTPStatus.INSUFFICIENT_STORAGE: "There is no space left",
}
_PROBLEM_SCHEMA: Final = {
    "type": "object",
    "required": ["title", "status"],
    "properties": {
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "available": {"type": "array", "items": {"type": "string"}},
    },
}
_BINARY: Final = {"type": "string", "format": "binary"}


def _query_parameters(*described: tuple[str, str, str]) -> dict[str, Any]:
    """Describe query parameters, each by its name, type and meaning."""
    return {
        "parameters": [
            {"name": name, "in": "query", "required": False, "description": text, "schema": {"type": kind}}
            for name, kind, text in described
        ]
    }


_SEARCH: Final = (
    ("limit", "integer", "Results at most; 1000 unless told, and never more"),
    ("offset", "integer", "Results to skip"),
    ("includefield", "string", "Attributes to return besides: keywords or tags, or `all`"),
    ("fuzzymatching", "boolean", "Words of a name match words that begin so, whatever else the name has"),
    ("emptyvaluematching", "boolean", 'The value `""` matches what has no value'),
    ("multiplevaluematching", "boolean", "A list of `ModalitiesInStudy` matches studies that have them all"),
    ("{attributeID}", "string", "A matching key: keyword or tag, nested ones as `Sequence.Keyword`"),
)
SEARCH_PARAMETERS: Final = _query_parameters(*_SEARCH)
STUDY_LIST_PARAMETERS: Final = _query_parameters(
    ("q", "string", "What was typed into the search box"), *_SEARCH
)
RENDERING_PARAMETERS: Final = _query_parameters(
    ("window", "string", "`center,width,function`; functions are linear, linear-exact and sigmoid"),
    ("voi", "string", "A window or VOI LUT of the image, by its place from 1 on or by its explanation"),
    ("display", "string", "`darkest,brightest,gamma` of a display that is not calibrated, in cd/m2"),
    ("viewport", "string", "`vw,vh` or `vw,vh,sx,sy,sw,sh`: what the image is to fit into, and its part"),
    ("quality", "integer", "Of a JPEG or WebP: 1 to 100"),
    ("annotation", "string", "What is burnt in: `patient`, `technique`, or both with a comma"),
    ("iccprofile", "string", "Colours are those of sRGB; `yes` or `srgb`: a JPEG or PNG says so, `no`: not"),
    ("accept", "string", "Comes before the Accept header field"),
)
WADO_PARAMETERS: Final = _query_parameters(
    ("requestType", "string", "`WADO`; required"),
    ("studyUID", "string", "Study Instance UID; required"),
    ("seriesUID", "string", "Series Instance UID; required"),
    ("objectUID", "string", "SOP Instance UID; required"),
    ("contentType", "string", "Media types: `application/dicom`, `image/jpeg`, `image/png`"),
    ("transferSyntax", "string", "Of `application/dicom`; `*` for the stored one"),
    ("frameNumber", "integer", "The frame that a picture shows, from 1 on"),
    ("rows", "integer", "Height that a picture fits into"),
    ("columns", "integer", "Width that a picture fits into"),
    ("region", "string", "`left,top,right,bottom` of the part that is shown, from 0 to 1"),
    ("windowCenter", "number", "With windowWidth"),
    ("windowWidth", "number", "With windowCenter"),
    ("imageQuality", "integer", "Of a JPEG: 1 to 100"),
)


def success(description: str, *media_types: str, **headers: str) -> dict[int | str, dict[str, Any]]:
    """Describe the answer 200 of a route: its media types, and header fields by name with underscores."""
    answer: dict[str, Any] = {"description": description}
    answer["content"] = {
        media_type: {} if media_type.endswith("json") else {"schema": _BINARY} for media_type in media_types
    }
    if headers:
        answer["headers"] = {
            name.replace("_", "-"): {"description": text, "schema": {"type": "string"}}
            for name, text in headers.items()
        }
    return {HTTPStatus.OK.value: answer}


def partial_content(description: str, *media_types: str) -> dict[int | str, dict[str, Any]]:
    """Describe the answer 206 of a route."""
    return {HTTPStatus.PARTIAL_CONTENT.value: success(description, *media_types)[HTTPStatus.OK.value]}


def problems(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """Describe the answers of a route that are not successes."""
    return {
        status.value: {
            "description": _DESCRIPTIONS[status],
            "content": {}
            if status == HTTPStatus.NOT_MODIFIED
            else {PROBLEM_JSON: {"schema": _PROBLEM_SCHEMA}},
        }
        for status in statuses
    }
