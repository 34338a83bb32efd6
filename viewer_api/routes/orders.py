"""Orders: what is to be examined, from which stations get their worklist."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Final
from urllib.parse import quote

import orjson
from fastapi import APIRouter, Header, Path, Query, Response

from pacs.dicom.order_values import to_plain
from pacs.dicom.orders import Order, StepState
from pacs.dicom.worklist_attributes import BY_FIELD, Part
from pacs.index.orders import Placed
from pacs.index.records import WorklistQuery
from pacs.orders import place_order
from viewer_api.media_types import JSON
from viewer_api.openapi import problems, success
from viewer_api.order_bodies import NewOrderBody, OrderBody, StateBody
from viewer_api.problems import HttpProblem
from viewer_api.state import State

_PATH: Final = "/orders/{accession_number:path}"
_MAX_LISTED: Final = 1000
_MAX_OFFSET: Final = 10_000_000
_PLACED: Final[dict[int | str, dict[str, Any]]] = {
    **success("The order that was there is this now", JSON, ETag="Its version"),
    HTTPStatus.CREATED.value: {"description": "The order was placed", "content": {JSON: {}}},
    **problems(HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED),
}
_CHANGED: Final = success("The order as it is now", JSON, ETag="Its version") | problems(
    HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.PRECONDITION_FAILED
)

router = APIRouter(
    tags=["Orders"],
    default_response_class=Response,
    responses=problems(HTTPStatus.BAD_REQUEST, HTTPStatus.SERVICE_UNAVAILABLE),
)
AccessionNumber = Annotated[
    str,
    Path(description="Its accession number", min_length=1, max_length=16, pattern=r"^[^\\\x00-\x1f\x7f]+$"),
]
IfMatch = Annotated[
    str | None, Header(description="The ETag that the order must have", max_length=64, alias="If-Match")
]
Filter = Annotated[str | None, Query(max_length=1024)]


@router.get("/orders", responses=success("The orders, the first to start first", JSON))
def list_orders(
    state: State,
    patient_name: Annotated[
        str | None, Query(max_length=1024, description="Beginnings of words, in any order and spelling")
    ] = None,
    patient_id: Filter = None,
    modality: Filter = None,
    station: Annotated[
        str | None, Query(max_length=64, description="AE title: its steps and those of no station")
    ] = None,
    start_date: Annotated[
        str | None, Query(max_length=32, description="YYYYMMDD, or a range YYYYMMDD-YYYYMMDD")
    ] = None,
    study_instance_uid: Filter = None,
    placer_order_number: Filter = None,
    step_state: Annotated[
        list[StepState] | None, Query(description="Orders that have a step in one of these states")
    ] = None,
    ended: Annotated[bool, Query(description="Also orders of which no step is to be done any more")] = False,
    limit: Annotated[int, Query(ge=1, le=_MAX_LISTED)] = 100,
    offset: Annotated[int, Query(ge=0, le=_MAX_OFFSET)] = 0,
) -> Response:
    """List orders that have a step which matches: those that are still to be done, unless told otherwise.

    Values may have the wildcards `*` and `?`.
    """
    of_order = {
        "patient_name": patient_name,
        "patient_id": patient_id,
        "study_instance_uid": study_instance_uid,
        "placer_order_number": placer_order_number,
    }
    of_step = {
        "modality": modality,
        "station_ae_titles": station,
        "start_date": start_date,
        "state": "\\".join(step_state or ()),
    }
    keys = [(BY_FIELD[Part.ORDER][name], value) for name, value in of_order.items() if value]
    keys += [(BY_FIELD[Part.STEP][name], value) for name, value in of_step.items() if value]
    query = WorklistQuery(keys, open_only=not (ended or step_state), fuzzy=True)
    page = state.archive.index.orders.list_matching(query, limit, offset)
    content = {"orders": [_to_json(order) for order in page.orders], "truncated": page.truncated}
    return Response(orjson.dumps(content), media_type=JSON)


@router.post("/orders", responses=_PLACED)
def place(state: State, body: NewOrderBody) -> Response:
    """Place an order, or put it in the place of the one that has its number.

    The same order may be sent again and again: it is known by its accession number, or where it has none by
    its placer's number, and the same again changes nothing. Steps keep their states.
    """
    return _answer_placed(place_order(state.archive, body.to_order(body.accession_number)))


@router.get(
    _PATH,
    responses=success("The order", JSON, ETag="Its version") | problems(HTTPStatus.NOT_FOUND),
)
def get_order(state: State, accession_number: AccessionNumber) -> Response:
    """Tell what an order says, and the states of its steps."""
    return _answer(state.archive.index.orders.find(accession_number))


@router.put(_PATH, responses=_PLACED)
def put_order(
    state: State, accession_number: AccessionNumber, body: OrderBody, if_match: IfMatch = None
) -> Response:
    """Place an order under an accession number, or replace the one that has it; steps keep their states."""
    order = body.to_order(accession_number)
    return _answer_placed(place_order(state.archive, order, expected_version=_version(if_match)))


@router.post("/orders/{accession_number:path}/state", responses=_CHANGED)
def set_state(
    state: State, accession_number: AccessionNumber, body: StateBody, if_match: IfMatch = None
) -> Response:
    """Move a step of an order to a state, or all that have not ended."""
    order = state.archive.index.orders.set_state(
        accession_number,
        body.state,
        datetime.now(UTC),
        step_id=body.step_id,
        expected_version=_version(if_match),
    )
    return _answer(order)


@router.delete(_PATH, responses=_CHANGED)
def cancel(state: State, accession_number: AccessionNumber, if_match: IfMatch = None) -> Response:
    """Cancel what of an order has not ended; the order itself is kept."""
    now, version = datetime.now(UTC), _version(if_match)
    return _answer(state.archive.index.orders.cancel(accession_number, now, expected_version=version))


def _version(if_match: str | None) -> int | None:
    if if_match is None or if_match.strip() == "*":
        return None
    digits = if_match.strip().strip('"')
    if not (digits.isascii() and digits.isdecimal() and len(digits) < 10):
        raise HttpProblem(HTTPStatus.PRECONDITION_FAILED, "If-Match is no version of an order")
    return int(digits)


def _answer_placed(placed: Placed) -> Response:
    return _answer(placed.order, HTTPStatus.CREATED if placed.is_new else HTTPStatus.OK)


def _answer(order: Order, status: HTTPStatus = HTTPStatus.OK) -> Response:
    headers = {"ETag": f'"{order.version}"'}
    if status is HTTPStatus.CREATED:
        headers["Location"] = f"/orders/{quote(order.accession_number)}"
    return Response(orjson.dumps(_to_json(order)), status, headers, JSON)


def _to_json(order: Order) -> dict[str, Any]:
    return {**to_plain(order), "version": order.version}
