"""Previous studies come from another archive when an examination is ordered, of this patient and no other."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from pydicom.uid import generate_uid

from pacs.archive import Archive
from pacs.dicom.orders import Order
from pacs.errors import IndexUnavailable, NotFound
from pacs.index.known_peers import KnownPeer
from pacs.index.known_routes import KnownRoute
from pacs.index.prior_fetches import FetchProgress, FetchState, PriorFetch
from pacs.jobs.fetching import dimse_source
from pacs.jobs.fetching.dimse_source import DimseSource
from pacs.jobs.prefetching import LEASE, fetch_due
from pacs.jobs.routing import follow_routes
from pacs.orders import place_order
from tests.http_server import serving
from tests.integration.retrieval_peers import HOST, filled_archive, store
from tests.made_orders import ORDER, STEP

ROUTE = KnownRoute("old", "REMOTE", modalities=("CT",), quiet_s=0, priors=2, fetches=True)
TODAY = f"{datetime.now():%Y%m%d}"
CT = replace(
    ORDER,
    patient_id="BN1",
    issuer_of_patient_id="OURS",
    patient_name="NGUYỄN^VĂN ĐỨC",
    patient_birth_date="19700101",
    patient_sex="M",
    pregnancy_status=None,
    accession_number="A1",
    steps=(replace(STEP, modality="CT", start_date=TODAY),),
)
CHANGED = replace(CT, reason="Đau bụng")
OF_PATIENT = {
    "PatientID": "BN1",
    "PatientName": "Nguyen Van Duc",
    "PatientBirthDate": "19700101",
    "PatientSex": "M",
}


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[tuple[Archive, int]]:
    """Another archive behind its door, with a study of somebody else."""
    folder = tmp_path / "remote"
    folder.mkdir()
    with filled_archive(folder, 1, {"FILMLESS_AE_TITLE": "REMOTE"}) as (there, port, _):
        yield there, port


def put(there: Archive, date: str, count: int = 1, **attributes: Any) -> str:
    """Put a study into the other archive; give its UID."""
    study, series = generate_uid(), generate_uid()
    of_study = {"StudyInstanceUID": study, "SeriesInstanceUID": series, "StudyDate": date}
    for number in range(count):
        store(there, number, **(OF_PATIENT | of_study | attributes))
    return study


def begin(archive: Archive, port: int) -> None:
    archive.index.peers.put(KnownPeer("REMOTE", HOST, port))
    archive.index.routes.put(ROUTE, datetime.now(UTC))


@contextmanager
def reached(archive: Archive, there: Archive, port: int, *, over_web: bool) -> Iterator[None]:
    """Have the other archive asked by C-FIND and C-GET, or by QIDO-RS and WADO-RS."""
    begin(archive, port)
    if not over_web:
        yield
        return
    with serving(there) as web_port:
        url = f"http://{HOST}:{web_port}/dicom-web"
        archive.index.peers.put(KnownPeer("REMOTE", dicomweb_url=url))
        yield


def order(archive: Archive, placed: Order = CT) -> None:
    place_order(archive, placed)
    while follow_routes(archive):
        pass


def perform(archive: Archive) -> None:
    for _ in range(10):
        if not fetch_due(archive, Event()):
            return
    raise AssertionError("there is no end to it")


def jobs(archive: Archive) -> list[PriorFetch]:
    return archive.index.prior_fetches.list_jobs()


def here(archive: Archive, *studies: str) -> list[int]:
    """How many instances of each study are here."""
    return [len(archive.index.find_instances(study)) for study in studies]


@pytest.mark.parametrize("over_web", [False, True])
def test_the_newest_previous_studies_are_fetched_when_an_examination_is_ordered(
    archive: Archive, remote: tuple[Archive, int], over_web: bool
) -> None:
    there, port = remote
    oldest, middle, newest = (put(there, f"202601{day:02}", 2) for day in (1, 2, 3))
    own = put(there, "20260104")
    with reached(archive, there, port, over_web=over_web):
        other = replace(CT, accession_number="A0", requested_procedure_id="")
        order(archive, replace(other, steps=(replace(STEP, modality="US"),)))
        assert jobs(archive) == []
        order(archive, replace(CT, study_instance_uid=own))
        perform(archive)
    assert here(archive, oldest, middle, newest, own) == [0, 2, 2, 0]
    (job,) = jobs(archive)
    assert (job.state, job.wish.origin) == (FetchState.DONE, "route old")
    assert job.progress == FetchProgress(2, 4, 0)


OTHERS = [
    {"PatientName": "TRAN^VAN DUC"},
    {"PatientBirthDate": "19710101"},
    {"PatientSex": "F"},
    {"IssuerOfPatientID": "THEIRS"},
]


@pytest.mark.parametrize("over_web", [False, True])
def test_a_study_of_this_id_that_is_of_another_person_is_not_fetched_and_is_told(
    archive: Archive, remote: tuple[Archive, int], over_web: bool, caplog: pytest.LogCaptureFixture
) -> None:
    there, port = remote
    ours = put(there, "20260101", IssuerOfPatientID="OURS")
    theirs = [put(there, "20260102", **other) for other in OTHERS]
    with reached(archive, there, port, over_web=over_web):
        order(archive)
        perform(archive)
    assert here(archive, ours, *theirs) == [1, 0, 0, 0, 0]
    assert jobs(archive)[0].progress == FetchProgress(1, 1, 4)
    assert [study for study in theirs if study not in caplog.text] == []
    assert [word for word in ("BN1", "DUC", "Duc", "19700101") if word in caplog.text] == []


def test_an_id_with_wildcards_leads_to_nobody_else(archive: Archive, remote: tuple[Archive, int]) -> None:
    there, port = remote
    other, ours = put(there, "20260101", PatientID="BN12"), put(there, "20260101", PatientID="BN*")
    begin(archive, port)
    order(archive, replace(CT, patient_id="BN*"))
    perform(archive)
    assert here(archive, other, ours) == [0, 1]
    assert jobs(archive)[0].progress == FetchProgress(1, 1, 0)


def test_what_is_here_is_not_fetched_again_though_the_order_is_changed(
    archive: Archive, remote: tuple[Archive, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    there, port = remote
    study = put(there, "20260101", 2, PatientName="TRAN^VAN DUC")
    begin(archive, port)
    order(archive)
    perform(archive)
    assert here(archive, study) == [0]
    asked: list[int] = []
    fetch = DimseSource.fetch

    def count(source: DimseSource, listed: Any, receiver: Any) -> None:
        asked.append(len(listed))
        fetch(source, listed, receiver)

    monkeypatch.setattr(DimseSource, "fetch", count)
    for changed in (CT, CHANGED):
        order(archive, replace(changed, patient_name="TRẦN^VĂN ĐỨC"))  # it was the order that was wrong
        perform(archive)
        assert here(archive, study) == [2]
    assert asked == [2]
    (job,) = jobs(archive)
    assert (job.wishes, job.progress) == (2, FetchProgress(1, 2, 0))


def test_an_order_of_another_patient_now_is_another_fetch(
    archive: Archive, remote: tuple[Archive, int]
) -> None:
    there, port = remote
    wrong, right = put(there, "20260101"), put(there, "20260101", PatientID="BN2")
    begin(archive, port)
    order(archive)
    order(archive, replace(CT, patient_id="BN2"))
    perform(archive)
    assert here(archive, wrong, right) == [0, 1]
    assert [job.state for job in jobs(archive)] == [FetchState.DONE, FetchState.CANCELLED]


def test_an_archive_that_is_away_is_tried_again_until_a_day_after_the_examination(
    archive: Archive, remote: tuple[Archive, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pacs.jobs.prefetching._FIRST_PAUSE_S", 0.0)
    monkeypatch.setattr("pacs.jobs.prefetching._BEHIND_THE_OTHERS", timedelta())
    there, port = remote
    study = put(there, "20260101")
    begin(archive, 1)
    order(archive)
    assert fetch_due(archive, Event())
    assert fetch_due(archive, Event())
    (job,) = jobs(archive)
    assert (job.state, job.attempts, bool(job.last_error)) == (FetchState.WAITING, 2, True)
    assert job.wish.until > datetime.now(UTC) + timedelta(hours=23)
    begin(archive, port)
    perform(archive)
    assert here(archive, study) == [1]
    assert (jobs(archive)[0].state, jobs(archive)[0].last_error) == (FetchState.DONE, None)

    begin(archive, 1)
    monkeypatch.setattr("pacs.jobs.routing._NEEDED_FOR", timedelta(days=-400))
    order(archive, CHANGED)
    assert fetch_due(archive, Event())
    assert jobs(archive)[0].state is FetchState.FAILED
    assert not fetch_due(archive, Event())
    archive.index.prior_fetches.forget(datetime.now(UTC))
    assert jobs(archive) == []


def test_an_archive_that_is_away_is_left_alone_for_a_while(archive: Archive) -> None:
    begin(archive, 1)
    order(archive)
    order(archive, replace(CT, accession_number="A2", requested_procedure_id="", study_instance_uid=""))
    before = datetime.now(UTC)
    assert fetch_due(archive, Event())
    assert not fetch_due(archive, Event())  # nor for the other order
    fetches = archive.index.prior_fetches
    assert fetches.claim(before + timedelta(seconds=2), LEASE) is None
    assert fetches.claim(before + timedelta(seconds=30), LEASE) is not None


def test_what_a_worker_leaves_that_dies_another_goes_on_with(
    archive: Archive, remote: tuple[Archive, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pacs.jobs.prefetching.LEASE", timedelta(seconds=1))
    monkeypatch.setattr(dimse_source, "_AT_A_TIME", 2)
    there, port = remote
    study = put(there, "20260101", 5)
    begin(archive, port)
    order(archive)
    get, calls = dimse_source._get, []

    def get_once(*arguments: Any) -> None:
        calls.append(arguments)
        if len(calls) > 1:
            raise IndexUnavailable("gone")
        get(*arguments)

    with monkeypatch.context() as dying:
        dying.setattr(dimse_source, "_get", get_once)
        with pytest.raises(IndexUnavailable):
            fetch_due(archive, Event())
    assert here(archive, study) == [2]
    assert not fetch_due(archive, Event())
    Event().wait(1.1)
    assert fetch_due(archive, Event())
    assert here(archive, study) == [5]
    assert jobs(archive)[0].state is FetchState.DONE


def test_a_fetch_ends_when_it_is_cancelled_and_stays_so(
    archive: Archive, remote: tuple[Archive, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pacs.jobs.prefetching._EXTEND_EVERY_S", 0.0)
    monkeypatch.setattr(dimse_source, "_AT_A_TIME", 1)
    there, port = remote
    study = put(there, "20260101", 3)
    begin(archive, port)
    order(archive)
    get = dimse_source._get

    def get_and_cancel(association: Any, listed: Any, receiver: Any) -> None:
        get(association, listed, receiver)
        archive.index.prior_fetches.cancel(jobs(archive)[0].job_id)
        assert receiver.stop.wait(10)

    monkeypatch.setattr(dimse_source, "_get", get_and_cancel)
    assert fetch_due(archive, Event())
    assert here(archive, study) == [1]
    order(archive, CHANGED)
    assert not fetch_due(archive, Event())
    assert jobs(archive)[0].state is FetchState.CANCELLED
    with pytest.raises(NotFound):
        archive.index.prior_fetches.cancel(10_000)


def test_nothing_is_fetched_for_an_order_that_was_canceled(
    archive: Archive, remote: tuple[Archive, int]
) -> None:
    there, port = remote
    study = put(there, "20260101")
    begin(archive, port)
    order(archive)
    archive.index.orders.cancel("A1", datetime.now(UTC))
    assert fetch_due(archive, Event())
    assert here(archive, study) == [0]
    assert jobs(archive)[0].state is FetchState.CANCELLED


def test_what_a_worker_leaves_that_ends_is_due_at_once(
    archive: Archive, remote: tuple[Archive, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dimse_source, "_AT_A_TIME", 1)
    there, port = remote
    study = put(there, "20260101", 3)
    begin(archive, port)
    order(archive)
    get, stop = dimse_source._get, Event()

    def get_and_stop(association: Any, listed: Any, receiver: Any) -> None:
        get(association, listed, receiver)
        stop.set()
        assert receiver.stop.wait(10)

    with monkeypatch.context() as ending:
        ending.setattr(dimse_source, "_get", get_and_stop)
        assert fetch_due(archive, stop)
    assert here(archive, study) == [1]
    perform(archive)
    assert here(archive, study) == [3]
    assert jobs(archive)[0].state is FetchState.DONE
