"""What modalities say of their work (MPPS), for a HIS or a page that shows how examinations go on."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Path, Query, Response

from pacs.dicom import performed_procedure_step as mpps
from pacs.dicom.performed_procedure_step import StepStatus
from pacs.errors import UnknownProcedureStep
from pacs.index.performed_steps import PerformedStep, StepFilter
from viewer_api.media_types import JSON
from viewer_api.openapi import problems, success
from viewer_api.state import State

_MOST: Final = 1000
_LONGEST: Final = 64  # of a UID, and of the values of VR LO

router = APIRouter(
    tags=["Performed procedure steps"],
    default_response_class=Response,
    responses=problems(HTTPStatus.BAD_REQUEST, HTTPStatus.SERVICE_UNAVAILABLE),
)
Text = Annotated[str | None, Query(max_length=_LONGEST)]
SopInstanceUid = Annotated[str, Path(description="SOP Instance UID of the step", max_length=_LONGEST)]


@router.get("/performed-steps", responses=success("The steps, newest first", JSON))
def list_performed_steps(
    state: State,
    status: Annotated[StepStatus | None, Query(description="Only those of this status")] = None,
    study_instance_uid: Text = None,
    accession_number: Text = None,
    patient_id: Text = None,
    limit: Annotated[int, Query(ge=1, le=_MOST)] = 100,
) -> Response:
    """List what modalities do and have done, by what they say of it."""
    wanted = StepFilter(status, study_instance_uid, accession_number, patient_id)
    found = state.archive.index.performed_steps.list_steps(wanted, limit)
    return Response(orjson.dumps({"performed_steps": [_to_json(step) for step in found]}), media_type=JSON)


@router.get(
    "/performed-steps/{sop_instance_uid}",
    responses=success("The step", JSON) | problems(HTTPStatus.NOT_FOUND),
)
def get_performed_step(state: State, sop_instance_uid: SopInstanceUid) -> Response:
    """Tell all that is known of a step: its data set (DICOM JSON), and who said something of it when."""
    steps = state.archive.index.performed_steps
    step = steps.find(sop_instance_uid)
    if step is None:
        raise UnknownProcedureStep("no procedure step has this SOP Instance UID")
    messages = [
        {"at": message.at, "calling_ae_title": message.calling_ae_title}
        for message in steps.messages(sop_instance_uid)
    ]
    told = _to_json(step) | {"messages": messages, "dataset": step.dataset}
    return Response(orjson.dumps(told, option=orjson.OPT_UTC_Z), media_type=JSON)


def _to_json(step: PerformedStep) -> dict[str, Any]:
    told = {name: mpps.text(step.dataset, tag) or None for name, tag in _TOLD.items()}
    series = mpps.items(step.dataset, mpps.PERFORMED_SERIES_SEQUENCE)
    return {
        "sop_instance_uid": step.sop_instance_uid,
        "status": step.status,
        **told,
        "created_at": step.created_at,
        "changed_at": step.changed_at,
        "series_instance_uids": [mpps.text(one, mpps.SERIES_INSTANCE_UID) for one in series],
        "scheduled": [
            {
                "study_instance_uid": one.study_instance_uid,
                "accession_number": one.accession_number or None,
                "requested_procedure_id": one.requested_procedure_id or None,
                "scheduled_procedure_step_id": one.scheduled_procedure_step_id or None,
            }
            for one in mpps.scheduled_steps(step.dataset)
        ],
    }


_TOLD: Final = {
    "performed_procedure_step_id": mpps.PERFORMED_PROCEDURE_STEP_ID,
    "modality": mpps.MODALITY,
    "station_ae_title": mpps.PERFORMED_STATION_AE_TITLE,
    "station_name": mpps.PERFORMED_STATION_NAME,
    "patient_id": mpps.PATIENT_ID,
    "patient_name": mpps.PATIENT_NAME,
    "patient_birth_date": mpps.PATIENT_BIRTH_DATE,
    "start_date": mpps.START_DATE,
    "start_time": mpps.START_TIME,
    "end_date": mpps.END_DATE,
    "end_time": mpps.END_TIME,
}
