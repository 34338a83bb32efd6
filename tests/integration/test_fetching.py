"""Studies are fetched from another archive: what is missing, whole, and nothing that was not asked for."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, MRImageStorage, generate_uid
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    StudyRootQueryRetrieveInformationModelFind as StudyRootFind,
)
from pynetdicom.sop_class import (
    StudyRootQueryRetrieveInformationModelGet as StudyRootGet,
)

from pacs.archive import Archive
from pacs.dimse.requestor import Peer, PeerRejected, PeerUnreachable
from pacs.index.known_peers import KnownPeer, PeerRight
from pacs.jobs.fetching.dimse_source import DimseSource
from pacs.jobs.fetching.wanted import Progress, Receiver, Wanted, fetch_wanted
from pacs.retrieve import find_instances, read_chunks
from tests.datasets import make_dataset
from tests.integration.dimse_peers import listening
from tests.integration.retrieval_peers import HOST, STUDY_UID, filled_archive, store
from tests.unit.pacs.dimse.wire import EXPLICIT

JPEG_LS = "1.2.840.10008.1.2.4.80"


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[tuple[Archive, int, list[str]]]:
    """Another archive with a study, behind its door."""
    folder = tmp_path / "remote"
    folder.mkdir()
    with filled_archive(folder, 5) as filled:
        yield filled


def source(port: int, *, by_move: bool = False) -> DimseSource:
    return DimseSource(Peer(HOST, port, "FILMLESS"), "FILMLESS", 10, by_move=by_move)


def fetch(archive: Archive, one: DimseSource, wanted: Wanted) -> Progress:
    progress = Progress()
    fetch_wanted(one, wanted, Receiver(archive, "REMOTE", progress, Event()))
    return progress


def datasets(archive: Archive, study: str = STUDY_UID) -> dict[str, bytes]:
    return {
        one.sop_instance_uid: b"".join(read_chunks(archive, one, one.location.dataset_offset))
        for one in find_instances(archive, study)
    }


def counts(progress: Progress) -> tuple[int, int, int, int]:
    return progress.studies, progress.fetched, progress.here_before, len(progress.failed)


@pytest.mark.parametrize(
    "wanted", [Wanted(STUDY_UID), Wanted(patient_id="BN0001"), Wanted(None, None, "ACC1")]
)
def test_a_study_is_fetched_as_it_is_stored_there(
    archive: Archive, remote: tuple[Archive, int, list[str]], wanted: Wanted
) -> None:
    there, port, uids = remote
    progress = fetch(archive, source(port), wanted)
    assert counts(progress) == (1, 5, 0, 0)
    assert progress.size_bytes > 5 * 512
    assert datasets(archive) == datasets(there)
    assert set(datasets(archive)) == set(uids)


def test_only_what_is_missing_is_fetched_and_what_is_not_there_is_said(
    archive: Archive, remote: tuple[Archive, int, list[str]]
) -> None:
    there, port, uids = remote
    fetch(archive, source(port), Wanted(STUDY_UID))
    later = store(there, 6)
    assert counts(fetch(archive, source(port), Wanted(STUDY_UID))) == (1, 1, 5, 0)
    assert set(datasets(archive)) == {*uids, later}
    assert counts(fetch(archive, source(port), Wanted("1.2.3"))) == (0, 0, 0, 0)


def test_several_series_of_several_classes_come(
    archive: Archive, remote: tuple[Archive, int, list[str]]
) -> None:
    there, port, _ = remote
    store(there, 1, SOPClassUID=MRImageStorage, SeriesInstanceUID=generate_uid())
    store(there, 2, SOPClassUID=MRImageStorage, SeriesInstanceUID=generate_uid())
    assert counts(fetch(archive, source(port), Wanted(STUDY_UID))) == (1, 7, 0, 0)
    assert datasets(archive) == datasets(there)


def test_a_study_is_moved_to_our_own_door(
    archive: Archive, remote: tuple[Archive, int, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pacs.peers.KEPT_FOR_S", -1.0)
    there, port, _ = remote
    with listening(archive) as our_port:
        with pytest.raises(PeerRejected, match="A801"):  # it does not know us
            fetch(archive, source(port, by_move=True), Wanted(STUDY_UID))
        there.index.peers.put(KnownPeer("FILMLESS", HOST, our_port, frozenset(PeerRight)))
        assert counts(fetch(archive, source(port, by_move=True), Wanted(STUDY_UID))) == (1, 5, 0, 0)
    assert datasets(archive) == datasets(there)


def test_a_fetch_that_is_stopped_goes_on_where_it_was(
    archive: Archive, remote: tuple[Archive, int, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pacs.jobs.fetching.dimse_source._AT_A_TIME", 2)
    there, port, _ = remote
    stop, progress = Event(), Progress()
    receiver = Receiver(archive, "REMOTE", progress, stop)
    take = receiver.take

    def take_and_stop(incoming: Any) -> Any:
        outcome = take(incoming)
        stop.set()
        return outcome

    monkeypatch.setattr(receiver, "take", take_and_stop)
    fetch_wanted(source(port), Wanted(STUDY_UID), receiver)
    assert counts(progress) == (1, 2, 0, 0)
    assert counts(fetch(archive, source(port), Wanted(STUDY_UID))) == (1, 3, 2, 0)
    assert datasets(archive) == datasets(there)


def test_what_comes_leaves_its_trace_and_is_a_peers(
    archive: Archive, remote: tuple[Archive, int, list[str]]
) -> None:
    fetch(archive, source(remote[1]), Wanted(STUDY_UID))
    archive.index.ledger.number()
    lines = "".join(archive.index.ledger.waiting_from(1, 100)[1])
    assert lines.count('"door":"fetch","calling_ae_title":"REMOTE"') == 5


class Stranger:
    """A peer that answers queries and C-GETs as it likes."""

    def __init__(self, instances: list[Dataset], sent: list[Dataset], get_status: int = 0x0000) -> None:
        self.instances = instances
        self.sent = sent
        self.get_status = get_status
        self.statuses: list[int] = []

    def find(self, event: evt.Event) -> Iterator[tuple[int, Dataset | None]]:
        level = event.identifier.QueryRetrieveLevel
        for one in self.instances if level == "IMAGE" else self.instances[:1]:
            answer = Dataset()
            answer.QueryRetrieveLevel = level
            answer.StudyInstanceUID, answer.SeriesInstanceUID = one.StudyInstanceUID, one.SeriesInstanceUID
            answer.SOPInstanceUID = one.SOPInstanceUID
            answer.PatientID, answer.AccessionNumber = one.PatientID, one.AccessionNumber
            yield 0xFF00, answer

    def get(self, event: evt.Event) -> Iterator[Any]:
        yield max(len(self.sent), 1)
        for one in self.sent:
            yield 0xFF00, one
        if self.get_status:
            yield self.get_status, None


@pytest.fixture
def serve() -> Iterator[Any]:
    servers = []

    def start(stranger: Stranger) -> int:
        entity = AE("ODD")
        entity.add_supported_context(StudyRootFind)
        entity.add_supported_context(StudyRootGet)
        entity.add_supported_context(CTImageStorage, EXPLICIT, scu_role=True, scp_role=True)
        handlers: Any = [(evt.EVT_C_FIND, stranger.find), (evt.EVT_C_GET, stranger.get)]
        server: Any = entity.start_server((HOST, 0), block=False, evt_handlers=handlers)
        servers.append(server)
        return int(server.socket.getsockname()[1])

    yield start
    for server in servers:
        server.shutdown()


def instances(count: int) -> list[Dataset]:
    study, series = generate_uid(), generate_uid()
    made = [make_dataset(StudyInstanceUID=study, SeriesInstanceUID=series) for _ in range(count)]
    for one in made:
        one.ensure_file_meta()
        one.file_meta.TransferSyntaxUID = EXPLICIT
    return made


def test_what_was_not_asked_for_is_not_taken_in(archive: Archive, serve: Any) -> None:
    wanted, other = instances(2)
    port = serve(Stranger([wanted], [other, wanted]))
    progress = fetch(archive, source(port), Wanted(str(wanted.StudyInstanceUID)))
    assert counts(progress) == (1, 1, 0, 0)
    assert set(datasets(archive, wanted.StudyInstanceUID)) == {wanted.SOPInstanceUID}


@pytest.mark.parametrize(
    ("others", "of_it"),
    [
        (Wanted("1.2.3"), Wanted(None)),
        (Wanted(patient_id="BN0002"), Wanted(patient_id="BN0001 ")),
        (Wanted(accession_number="ACC2"), Wanted(accession_number="ACC1")),
    ],
)
def test_a_peer_that_passes_over_the_key_does_not_have_other_peoples_studies_fetched(
    archive: Archive, serve: Any, others: Wanted, of_it: Wanted
) -> None:
    (one,) = instances(1)
    port = serve(Stranger([one], [one]))
    assert counts(fetch(archive, source(port), others)) == (0, 0, 0, 0)
    assert counts(fetch(archive, source(port), of_it)) == (1, 1, 0, 0)


def test_what_the_peer_does_not_send_is_told(archive: Archive, serve: Any) -> None:
    first, second = instances(2)
    port = serve(Stranger([first, second], [first]))
    progress = fetch(archive, source(port), Wanted(str(first.StudyInstanceUID)))
    assert progress.failed == {second.SOPInstanceUID: "the peer did not send it"}


def test_what_cannot_be_kept_is_told_and_the_others_come(archive: Archive, serve: Any) -> None:
    first, second = instances(2)
    broken, whole = first, second
    listed = [copy.deepcopy(one) for one in (broken, whole)]
    broken.StudyInstanceUID = ""
    port = serve(Stranger(listed, [broken, whole]))
    progress = fetch(archive, source(port), Wanted(str(whole.StudyInstanceUID)))
    assert list(progress.failed) == [broken.SOPInstanceUID]
    assert progress.fetched == 1


def test_a_peer_that_is_away_or_refuses_is_said(archive: Archive, serve: Any) -> None:
    with pytest.raises(PeerUnreachable):
        fetch(archive, source(1), Wanted(STUDY_UID))
    (one,) = instances(1)
    port = serve(Stranger([one], [], get_status=0xC001))
    with pytest.raises(PeerRejected, match="C001"):
        fetch(archive, source(port), Wanted(str(one.StudyInstanceUID)))
