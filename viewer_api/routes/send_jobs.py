"""Send jobs: studies on their way to peers. They are wished for here, and done by the worker."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from pacs.dicom.ae_titles import parse_ae_title
from pacs.dicom.uids import MAX_UID_LENGTH, parse_uid
from pacs.index.send_jobs import SendJob, SendState
from pacs.sending import MOST_PRIORITY, send_studies
from viewer_api.media_types import JSON
from viewer_api.openapi import problems, success
from viewer_api.state import State

_PATH: Final = "/send-jobs/{job_id}"
_MOST_STUDIES: Final = 1000

router = APIRouter(
    tags=["Send jobs"],
    default_response_class=Response,
    responses=problems(HTTPStatus.BAD_REQUEST, HTTPStatus.SERVICE_UNAVAILABLE),
)
JobId = Annotated[int, Path(description="Number of the job", ge=1, lt=2**62)]
Uid = Annotated[str, Field(max_length=MAX_UID_LENGTH)]


class SendBody(BaseModel):
    """Studies, and where they are to go."""

    model_config = ConfigDict(extra="forbid")

    study_instance_uids: list[Uid] = Field(min_length=1, max_length=_MOST_STUDIES)
    ae_title: str = Field(max_length=64, description="The peer")
    priority: int = Field(default=0, ge=-MOST_PRIORITY, le=MOST_PRIORITY, description="The highest first")
    again: bool = Field(default=False, description="Send also what the peer has got already")


class Wish(StrEnum):
    """What is to become of a job."""

    WAITING = "waiting"  # to go on, or to be tried again at once
    PAUSED = "paused"


class JobBody(BaseModel):
    """What is to become of a job."""

    model_config = ConfigDict(extra="forbid")

    state: Wish = Field(description="`paused`, or `waiting`: it goes on, or is tried again at once")


@router.post(
    "/send-jobs",
    status_code=HTTPStatus.ACCEPTED,
    responses={
        HTTPStatus.ACCEPTED.value: {"description": "The jobs", "content": {JSON: {}}},
        **problems(HTTPStatus.NOT_FOUND),
    },
)
def post_send_jobs(state: State, body: SendBody) -> Response:
    """Have studies sent to a peer as soon as may be.

    There is one job for each study and peer: where there is one already it goes on, with what the peer has
    not got yet.
    """
    jobs = send_studies(
        state.archive,
        body.study_instance_uids,
        body.ae_title,
        origin="REST",
        priority=body.priority,
        again=body.again,
    )
    content = orjson.dumps({"jobs": [_to_json(job) for job in jobs]})
    return Response(content, HTTPStatus.ACCEPTED, media_type=JSON)


@router.get("/send-jobs", responses=success("The jobs, the newest first", JSON))
def list_send_jobs(
    state: State,
    job_state: Annotated[list[SendState], Query(alias="state", max_length=len(SendState))] = [],  # noqa: B006
    ae_title: Annotated[str | None, Query(max_length=64)] = None,
    study: Annotated[str | None, Query(max_length=MAX_UID_LENGTH)] = None,
    before: Annotated[int | None, Query(ge=1, lt=2**62, description="Jobs of lower numbers")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """List studies on their way to peers, and those that have arrived."""
    jobs = state.archive.index.send_jobs.list_jobs(
        states=job_state,
        ae_title=None if ae_title is None else parse_ae_title(ae_title),
        study_instance_uid=None if study is None else parse_uid(study),
        before=before,
        limit=limit,
    )
    return Response(orjson.dumps({"jobs": [_to_json(job) for job in jobs]}), media_type=JSON)


@router.get(_PATH, responses=success("The job", JSON) | problems(HTTPStatus.NOT_FOUND))
def get_send_job(state: State, job_id: JobId) -> Response:
    """Tell how far a job is, and which instances its peer refused."""
    job = state.archive.index.send_jobs.find(job_id)
    refused = [
        {
            "sop_instance_uid": one.sop_instance_uid,
            "status": None if one.status is None else f"{one.status:04X}",
            "error": one.error,
        }
        for one in state.archive.index.send_jobs.list_refused(job_id)
    ]
    return Response(orjson.dumps({**_to_json(job), "refused_instances": refused}), media_type=JSON)


@router.patch(_PATH, responses=success("The job", JSON) | problems(HTTPStatus.NOT_FOUND))
def patch_send_job(state: State, job_id: JobId, body: JobBody) -> Response:
    """Let a job rest, or go on. One that failed or was cancelled is tried again."""
    jobs = state.archive.index.send_jobs
    job = jobs.pause(job_id) if body.state is Wish.PAUSED else jobs.retry(job_id, datetime.now(UTC))
    return Response(orjson.dumps(_to_json(job)), media_type=JSON)


@router.delete(_PATH, responses=success("The job", JSON) | problems(HTTPStatus.NOT_FOUND))
def delete_send_job(state: State, job_id: JobId) -> Response:
    """Cancel a job: no more of the study is sent. It stays in the list; one that is done stays done."""
    return Response(orjson.dumps(_to_json(state.archive.index.send_jobs.cancel(job_id))), media_type=JSON)


def _to_json(job: SendJob) -> dict[str, Any]:
    return {
        "id": job.job_id,
        "study_instance_uid": job.study_instance_uid,
        "ae_title": job.ae_title,
        "state": job.state.value,
        "priority": job.priority,
        "origin": job.origin,
        "created_at": job.created_at,
        "changed_at": job.changed_at,
        "next_attempt_at": job.next_attempt_at,
        "attempts": job.attempts,
        "instances": {"total": job.total, "sent": job.sent, "warned": job.warned, "refused": job.refused},
        "last_error": job.last_error,
    }
