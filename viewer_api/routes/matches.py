"""Which studies are of which orders, and the questions about it that wait for a person."""

from __future__ import annotations

from dataclasses import asdict
from http import HTTPStatus
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict

from pacs.errors import MatchDecisionsNotAllowed
from pacs.index.order_matches import Decision, MatchState, OrderMatch
from pacs.order_matching import compare, decide_match
from viewer_api.media_types import JSON
from viewer_api.openapi import problems, success
from viewer_api.state import State

_MOST: Final = 1000
_LONGEST: Final = 64
_PATH: Final = "/matches/{match_id}"

router = APIRouter(
    tags=["Matches"],
    default_response_class=Response,
    responses=problems(HTTPStatus.BAD_REQUEST, HTTPStatus.SERVICE_UNAVAILABLE),
)
MatchId = Annotated[int, Path(ge=1, le=2**53 - 1, description="Number of the match")]


class DecisionBody(BaseModel):
    """What a person says of a match."""

    model_config = ConfigDict(extra="forbid")

    decision: Decision


@router.get("/matches", responses=success("The matches, oldest first", JSON))
def list_matches(
    state: State,
    status: Annotated[
        MatchState | None, Query(alias="state", description="Only these; `open`: a person has to decide")
    ] = None,
    study_instance_uid: Annotated[str | None, Query(max_length=_LONGEST)] = None,
    accession_number: Annotated[str | None, Query(max_length=_LONGEST)] = None,
    limit: Annotated[int, Query(ge=1, le=_MOST)] = 100,
) -> Response:
    """List which studies are, or may be, of which orders; no patient is named."""
    found = state.archive.index.matches.list_matches(
        status, study_instance_uid=study_instance_uid, accession_number=accession_number, limit=limit
    )
    return _answer({"matches": [_to_json(match) for match in found]})


@router.get(_PATH, responses=success("The match", JSON) | problems(HTTPStatus.NOT_FOUND))
def get_match(state: State, match_id: MatchId) -> Response:
    """Tell a match with what study and order say, side by side. The patient is named here."""
    match = state.archive.index.matches.find(match_id)
    return _answer(_to_json(match) | {"compared": [asdict(one) for one in compare(state.archive, match)]})


@router.put(
    _PATH,
    responses=success("The match as it is now", JSON) | problems(HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND),
)
def put_decision(state: State, match_id: MatchId, body: DecisionBody) -> Response:
    """Accept or reject a match; what is decided may be decided otherwise later.

    Once a study is accepted for an order, its other open matches are rejected. Needs the setting
    ALLOW_MATCH_DECISIONS.
    """
    if not state.archive.settings.allow_match_decisions:
        raise MatchDecisionsNotAllowed(
            "matches are decided by 'filmless matches' only; ALLOW_MATCH_DECISIONS of the settings is off"
        )
    return _answer(_to_json(decide_match(state.archive, match_id, body.decision)))


def _to_json(match: OrderMatch) -> dict[str, Any]:
    return {
        "match_id": match.match_id,
        "study_instance_uid": match.study_instance_uid,
        "accession_number": match.accession_number,
        "state": match.state,
        "certainty": match.certainty,
        "reasons": match.reasons,
        "decision": match.decision,
        "decided_by": match.decided_by,
        "decided_at": match.decided_at,
        "found_at": match.found_at,
    }


def _answer(content: dict[str, Any]) -> Response:
    return Response(orjson.dumps(content, option=orjson.OPT_UTC_Z), media_type=JSON)
