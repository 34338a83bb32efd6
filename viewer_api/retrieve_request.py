"""What every retrieve transaction asks with (PS3.18 10.4.1): the request, and the UIDs of its path."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, TypeAlias

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from pacs.archive import Archive
from pacs.dicom.uids import parse_uid
from pacs.index.records import StoredInstance
from pacs.retrieve import find_instances
from viewer_api.negotiation import Acceptable, AcceptableTypes, Representation, parse_acceptable
from viewer_api.state import InstanceUid, SeriesUid, State, StudyUid, ViewerState, viewer_state

_UIDS_OF_A_PATH = ("study_instance_uid", "series_instance_uid", "sop_instance_uid")


@dataclass(frozen=True, slots=True)
class RetrieveRequest:
    """A retrieve transaction: of all that has the ``uids``, of a study, a series or an instance."""

    request: Request
    state: ViewerState
    acceptable: Acceptable
    uids: tuple[str, ...]

    @property
    def archive(self) -> Archive:
        """The archive that is asked."""
        return self.state.archive

    def choose(self, offered: Sequence[Representation]) -> Representation:
        """Choose what the client accepts. Raises ``viewer_api.problems.NotAcceptable``."""
        return self.acceptable.choose(offered)

    async def find_soon(self) -> list[StoredInstance]:
        """List the instances, without a thread where the index knows them. Raises pacs.errors.NotFound."""
        known = self.known_instances()
        return await run_in_threadpool(self.find_instances) if known is None else list(known)

    def known_instances(self) -> Sequence[StoredInstance] | None:
        """List the instances; None where that takes a query. Raises pacs.errors.IndexUnavailable."""
        return self.archive.index.known_instances(*self.uids)

    def find_instances(self) -> list[StoredInstance]:
        """List the instances that are asked for. Raises ``pacs.errors.NotFound``."""
        return find_instances(self.archive, *self.uids)


def read_retrieve_request(request: Request) -> RetrieveRequest:
    """Read what a request asks for from its path and header fields. Raises InvalidUid, InvalidRequest."""
    named = (request.path_params.get(name) for name in _UIDS_OF_A_PATH)
    uids = tuple(parse_uid(uid) for uid in named if uid is not None)
    return RetrieveRequest(request, viewer_state(request), parse_acceptable(request), uids)


async def _of_study(
    request: Request, state: State, acceptable: AcceptableTypes, study_instance_uid: StudyUid
) -> RetrieveRequest:
    return RetrieveRequest(request, state, acceptable, (study_instance_uid,))


async def _of_series(
    request: Request,
    state: State,
    acceptable: AcceptableTypes,
    study_instance_uid: StudyUid,
    series_instance_uid: SeriesUid,
) -> RetrieveRequest:
    uids = (study_instance_uid, series_instance_uid)
    return RetrieveRequest(request, state, acceptable, uids)


async def _of_instance(
    request: Request,
    state: State,
    acceptable: AcceptableTypes,
    study_instance_uid: StudyUid,
    series_instance_uid: SeriesUid,
    sop_instance_uid: InstanceUid,
) -> RetrieveRequest:
    uids = (study_instance_uid, series_instance_uid, sop_instance_uid)
    return RetrieveRequest(request, state, acceptable, uids)


OfStudy: TypeAlias = Annotated[RetrieveRequest, Depends(_of_study)]
OfSeries: TypeAlias = Annotated[RetrieveRequest, Depends(_of_series)]
OfInstance: TypeAlias = Annotated[RetrieveRequest, Depends(_of_instance)]
