"""Deleting studies, series and instances, where the settings allow it."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Response

from pacs.delete import delete_instances
from viewer_api.openapi import problems
from viewer_api.state import (
    INSTANCE_PATH,
    SERIES_PATH,
    STUDY_PATH,
    InstanceUid,
    SeriesUid,
    State,
    StudyUid,
    ViewerState,
)

router = APIRouter(
    tags=["Delete"],
    default_response_class=Response,
    responses=problems(
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.SERVICE_UNAVAILABLE,
    ),
)


@router.delete(STUDY_PATH, status_code=HTTPStatus.NO_CONTENT)
def delete_study(state: State, study_instance_uid: StudyUid) -> Response:
    """Delete a study with all that was ever sent of it.

    Needs the setting ALLOW_DELETE. Nothing of it is found any more when this returns, and the deletion is
    written into the ledger; files leave the store after DELETE_KEEP_HOURS.
    """
    return _delete(state, study_instance_uid)


@router.delete(SERIES_PATH, status_code=HTTPStatus.NO_CONTENT)
def delete_series(state: State, study_instance_uid: StudyUid, series_instance_uid: SeriesUid) -> Response:
    """Delete a series. Needs the setting ALLOW_DELETE."""
    return _delete(state, study_instance_uid, series_instance_uid)


@router.delete(INSTANCE_PATH, status_code=HTTPStatus.NO_CONTENT)
def delete_instance(
    state: State,
    study_instance_uid: StudyUid,
    series_instance_uid: SeriesUid,
    sop_instance_uid: InstanceUid,
) -> Response:
    """Delete an instance. Needs the setting ALLOW_DELETE."""
    return _delete(state, study_instance_uid, series_instance_uid, sop_instance_uid)


def _delete(state: ViewerState, *uids: str) -> Response:
    delete_instances(state.archive, *uids)
    return Response(status_code=HTTPStatus.NO_CONTENT)
