"""C-GET and C-MOVE over real sockets: what comes, how it is counted, and what no peer can do."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pynetdicom import evt
from pynetdicom.sop_class import (
    CTImageStorage,
    MRImageStorage,
    PatientRootQueryRetrieveInformationModelGet,
    PatientRootQueryRetrieveInformationModelMove,
    PatientStudyOnlyQueryRetrieveInformationModelGet,
)
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelGet as StudyRootGet
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelMove as StudyRootMove

from pacs.archive import Archive
from pacs.dimse.secure_transport import acceptor_context
from pacs.index.known_peers import KnownPeer, PeerRight
from pacs.index.records import StoredInstance
from pacs.index.selection import Selection
from pacs.retrieve import find_instances, open_file, read_chunks
from storage.stored_file import StoredFile
from tests.certificates import Authority
from tests.integration.dimse_peers import association_threads, eventually
from tests.integration.retrieval_peers import (
    SERIES_UID,
    STUDY_UID,
    Destination,
    Getter,
    failed_uids,
    filled_archive,
    keys,
    move,
    numbers,
    requestor,
    store,
)
from tests.integration.test_dimse_tls import fingerprint
from tests.unit.pacs.dimse.wire import EXPLICIT, IMPLICIT

JPEG_LOSSLESS_SV1 = "1.2.840.10008.1.2.4.70"


@pytest.fixture(autouse=True)
def peers_are_read_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pacs.peers.KEPT_FOR_S", -1.0)


def delivery_threads() -> int:
    return sum(thread.name == "delivery" for thread in threading.enumerate())


def stored_datasets(archive: Archive) -> dict[str, bytes]:
    return {
        one.sop_instance_uid: b"".join(read_chunks(archive, one, one.location.dataset_offset))
        for one in find_instances(archive, STUDY_UID)
    }


def test_instances_are_selected_by_unique_keys_of_each_level(archive: Archive) -> None:
    uids = [store(archive, number) for number in (2, 1)]
    other = store(archive, 1, StudyInstanceUID="1.2.9", SeriesInstanceUID="1.2.9.1", PatientID="BN*")

    def selected(selection: Selection, limit: int = 10) -> list[str]:
        return [one.sop_instance_uid for one in archive.index.select_instances(selection, limit)]

    assert selected(Selection("BN0001")) == uids[::-1]
    assert selected(Selection("BN*")) == [other]  # as it is, no wildcard
    assert selected(Selection("bn0001")) == []
    assert selected(Selection(None, (STUDY_UID,))) == uids[::-1]
    assert set(selected(Selection(None, (STUDY_UID, "1.2.9", STUDY_UID)))) == {*uids, other}
    assert selected(Selection("BN*", (STUDY_UID,))) == []
    assert selected(Selection(None, (STUDY_UID,), (SERIES_UID, "1.2.9.1"))) == uids[::-1]
    assert selected(Selection(None, None, None, (other,))) == [other]
    assert selected(Selection(None, ("1.2.9",), None, tuple(uids))) == []
    many = tuple(f"1.3.{number}" for number in range(1200))
    assert set(selected(Selection(None, None, None, (*many, *uids, other)))) == {*uids, other}
    assert len(selected(Selection(None, (STUDY_UID,)), 1)) == 1
    assert selected(Selection()) == []


@pytest.mark.parametrize(
    ("model", "identifier", "count"),
    [
        (StudyRootGet, keys(), 6),
        (StudyRootGet, keys("SERIES", SeriesInstanceUID=SERIES_UID), 6),
        (PatientRootQueryRetrieveInformationModelGet, keys("PATIENT", PatientID="BN0001"), 6),
        (PatientStudyOnlyQueryRetrieveInformationModelGet, keys("STUDY", PatientID="BN0001"), 6),
        (StudyRootGet, keys("STUDY", StudyInstanceUID="1.2.3"), 0),
    ],
)
def test_get_brings_what_is_asked_for_as_it_is_stored(
    tmp_path: Path, model: str, identifier: Dataset, count: int
) -> None:
    with filled_archive(tmp_path) as (archive, port, _):
        getter = Getter()
        *pending, (last, no_identifier) = getter.get(port, identifier, model)
        assert [status.Status for status, _ in pending] == [0xFF00] * max(count - 1, 0)
        assert [numbers(status) for status, _ in pending] == [(count - n, n, 0, 0) for n in range(1, count)]
        assert (last.Status, numbers(last)) == (0x0000, (None, count, 0, 0))
        assert not no_identifier
        assert getter.files == (stored_datasets(archive) if count else {})


def test_get_and_move_bring_a_list_of_instances(tmp_path: Path) -> None:
    with filled_archive(tmp_path) as (archive, port, uids):
        identifier = keys("IMAGE", SeriesInstanceUID=SERIES_UID, SOPInstanceUID=[uids[4], uids[1], "1.2.3"])
        getter, destination = Getter(), Destination()
        assert getter.get(port, identifier)[-1][0].Status == 0x0000
        assert list(getter.files) == [uids[1], uids[4]]
        with destination.running(archive):
            assert move(port, identifier)[-1][0].Status == 0x0000
        assert destination.got == [uids[1], uids[4]]


def test_get_opens_the_next_instance_while_the_requestor_is_busy_with_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def open_and_note(archive: Archive, instance: StoredInstance) -> StoredFile | None:
        opened.append(instance.sop_instance_uid)
        return open_file(archive, instance)

    monkeypatch.setattr("pacs.dimse.retrieving.outgoing.open_file", open_and_note)
    with filled_archive(tmp_path, 3) as (_, port, uids):
        ahead: list[list[str]] = []

        def receive(_: evt.Event) -> None:
            eventually(lambda: len(opened) > min(len(ahead) + 1, 2))
            ahead.append(list(opened))

        assert Getter(on_store=receive).get(port, keys())[-1][0].Status == 0x0000
        assert ahead == [uids[:2], uids, uids]


def test_get_converts_what_the_requestor_cannot_take(tmp_path: Path) -> None:
    with filled_archive(tmp_path, 2) as (archive, port, uids):
        one_context = Getter([(CTImageStorage, (IMPLICIT,))])
        assert one_context.get(port, keys())[-1][0].Status == 0x0000
        assert set(one_context.written_in.values()) == {IMPLICIT}
        several = Getter([(CTImageStorage, (IMPLICIT,)), (CTImageStorage, (EXPLICIT,))])
        assert several.get(port, keys())[-1][0].Status == 0x0000
        assert several.files == stored_datasets(archive)  # in the context of the stored one
        assert uids


@pytest.mark.parametrize("getter", [Getter([(MRImageStorage, (EXPLICIT,))]), Getter(roles=False)])
def test_get_tells_what_there_is_no_context_for(tmp_path: Path, getter: Getter) -> None:
    with filled_archive(tmp_path, 3) as (_, port, uids):
        last, identifier = getter.get(port, keys())[-1]
        assert (last.Status, numbers(last)) == (0xA702, (None, 0, 3, 0))
        assert failed_uids(identifier) == uids


def test_get_tells_of_the_failures_of_the_requestor(tmp_path: Path) -> None:
    with filled_archive(tmp_path, 3) as (_, port, uids):
        assert numbers(Getter(status=0xB000).get(port, keys())[-1][0]) == (None, 0, 0, 3)
        last, identifier = Getter(status=0xA700).get(port, keys())[-1]
        assert (last.Status, failed_uids(identifier)) == (0xA702, uids)


def test_an_object_that_the_store_has_lost_does_not_keep_the_rest_back(tmp_path: Path) -> None:
    with filled_archive(tmp_path, 3) as (archive, port, uids):
        lost = find_instances(archive, STUDY_UID)[1]
        archive.store.delete(lost.location.key)
        getter, destination = Getter(), Destination()
        with destination.running(archive):
            ends = [getter.get(port, keys())[-1], move(port, keys())[-1]]
        for last, identifier in ends:
            assert (last.Status, numbers(last)) == (0xB000, (None, 2, 1, 0))
            assert failed_uids(identifier) == [lost.sop_instance_uid]
        assert list(getter.files) == destination.got == [uids[0], uids[2]]


def test_an_instance_that_cannot_be_converted_does_not_keep_the_rest_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "no-such-folder"))  # as if its disk were full
    large = {"Rows": 1536, "Columns": 1536, "PixelData": bytes(1536 * 1536 * 2)}
    with filled_archive(tmp_path, 2) as (archive, port, uids):
        large_uid = store(archive, 3, **large)
        getter, destination = Getter([(CTImageStorage, (IMPLICIT,))]), Destination(syntaxes=(IMPLICIT,))
        with destination.running(archive):
            ends = [getter.get(port, keys())[-1], move(port, keys())[-1]]
        for last, identifier in ends:
            assert (last.Status, numbers(last)) == (0xB000, (None, 2, 1, 0))
            assert failed_uids(identifier) == [large_uid]
        assert list(getter.files) == destination.got == uids


def test_move_brings_what_is_asked_for_on_behalf_of_who_asks(tmp_path: Path) -> None:
    with filled_archive(tmp_path) as (archive, port, uids):
        with Destination().running(archive) as destination:
            *pending, (last, no_identifier) = move(port, keys())
        told = [numbers(status) for status, _ in pending]
        assert all(status.Status == 0xFF00 for status, _ in pending)
        assert all(sum(one) == 6 for one in told)
        assert told == sorted(told, reverse=True)
        assert (last.Status, numbers(last)) == (0x0000, (None, 6, 0, 0))
        assert not no_identifier
        assert destination.got == uids
        assert (destination.associations, destination.released) == (1, 1)
        assert destination.files == stored_datasets(archive)
        for command in destination.commands:
            assert (command.MoveOriginatorApplicationEntityTitle, command.MoveOriginatorMessageID) == (
                "WS1",
                1,
            )


def test_move_by_patient(tmp_path: Path) -> None:
    with filled_archive(tmp_path) as (archive, port, uids), Destination().running(archive) as destination:
        identifier = keys("PATIENT", PatientID="BN0001", StudyInstanceUID=None)
        answers = move(port, identifier, model=PatientRootQueryRetrieveInformationModelMove)
        assert answers[-1][0].Status == 0x0000
        assert destination.got == uids


def test_move_counts_warnings_and_failures_apart(tmp_path: Path) -> None:
    statuses = iter([0x0000, 0xB007, 0xA700, 0x0000, 0x0110, 0xB000])
    with filled_archive(tmp_path) as (archive, port, uids):
        with Destination(lambda _: next(statuses)).running(archive):
            last, identifier = move(port, keys())[-1]
        assert (last.Status, numbers(last)) == (0xB000, (None, 2, 2, 2))
        assert failed_uids(identifier) == [uids[2], uids[4]]


@pytest.mark.parametrize("destination", ["NOBODY", "127.0.0.1", "dest", "CALLSUS", "DEST*", "localhost"])
def test_c4_instances_go_to_peers_of_the_table_and_nowhere_else(tmp_path: Path, destination: str) -> None:
    with filled_archive(tmp_path, 1) as (archive, port, _):
        archive.index.peers.put(KnownPeer("CALLSUS"))  # has no address
        with Destination().running(archive) as there:
            ((last, _),) = move(port, keys(), destination)
        assert last.Status == 0xA801
        assert there.got == []


def test_c4_who_may_not_move_or_get_is_refused(tmp_path: Path) -> None:
    with filled_archive(tmp_path, 1) as (archive, port, _):
        archive.index.peers.put(KnownPeer("WS1", rights=frozenset({PeerRight.FIND})))
        with Destination().running(archive) as there:
            assert [status.Status for status, _ in move(port, keys())] == [0x0124]
        assert [status.Status for status, _ in Getter().get(port, keys())] == [0x0124]
        assert there.got == []


def test_c4_a_peer_moves_to_the_destinations_only_that_the_table_gives_it(tmp_path: Path) -> None:
    with filled_archive(tmp_path, 1) as (archive, port, _):
        requestor = KnownPeer("WS1", rights=frozenset({PeerRight.MOVE}), moves_to=("READING1",))
        archive.index.peers.put(requestor)
        with Destination().running(archive) as there:
            assert move(port, keys())[-1][0].Status == 0xA801
            assert there.got == []
            archive.index.peers.put(replace(requestor, moves_to=("READING1", "DEST")))
            eventually(lambda: move(port, keys())[-1][0].Status == 0x0000)
            assert len(there.got) == 1


@pytest.mark.parametrize(
    "settings", [{"FILMLESS_MAX_RETRIEVED_INSTANCES": "5"}, {"FILMLESS_MAX_RETRIEVED_BYTES": "8000"}]
)
def test_c5_more_than_the_settings_allow_is_refused(tmp_path: Path, settings: dict[str, str]) -> None:
    with filled_archive(tmp_path, settings=settings) as (archive, port, uids):
        with Destination().running(archive) as there:
            assert [status.Status for status, _ in move(port, keys())] == [0xA702]
        assert [status.Status for status, _ in Getter().get(port, keys())] == [0xA702]
        assert there.got == []
        assert Getter().get(port, keys("IMAGE", SOPInstanceUID=uids[:5]))[-1][0].Status == 0x0000


def test_c5_one_title_gets_no_more_at_a_time_than_its_share(tmp_path: Path) -> None:
    settings = {"FILMLESS_MAX_RETRIEVALS_PER_PEER": "1"}
    holding, go_on = threading.Event(), threading.Event()

    def hold(_: evt.Event) -> None:
        holding.set()
        go_on.wait(20)

    with filled_archive(tmp_path, 1, settings) as (_, port, _uids):
        first = threading.Thread(target=Getter(on_store=hold).get, args=(port, keys()))
        first.start()
        assert holding.wait(10)
        assert [status.Status for status, _ in Getter().get(port, keys())] == [0xA702]
        go_on.set()
        first.join(10)
        assert Getter().get(port, keys())[-1][0].Status == 0x0000


def test_c5_what_names_nothing_in_particular_is_refused(tmp_path: Path) -> None:
    with filled_archive(tmp_path, 1) as (archive, port, _), Destination().running(archive):
        for identifier in (keys(StudyInstanceUID=None), keys("PATIENT", PatientID="BN0001"), keys("SERIES")):
            assert [status.Status for status, _ in move(port, identifier)] == [0xA900]
            assert [status.Status for status, _ in Getter().get(port, identifier)] == [0xA900]


def test_move_is_cancelled_within_a_second_also_when_the_destination_stalls(tmp_path: Path) -> None:
    stalled, go_on = threading.Event(), threading.Event()

    def stall(event: evt.Event) -> int:
        if len(destination.got) == 2:
            stalled.set()
            go_on.wait(20)
        return 0x0000

    destination = Destination(stall)
    with (
        filled_archive(tmp_path) as (archive, port, _),
        destination.running(archive),
        requestor(port) as association,
    ):
        answers = association.send_c_move(keys(), "DEST", StudyRootMove, msg_id=7)
        next(answers)
        assert stalled.wait(10)
        begin = time.monotonic()
        association.send_c_cancel(7, query_model=StudyRootMove)
        *_, (last, _identifier) = list(answers)
        assert time.monotonic() - begin < 1.5
        assert last.Status == 0xFE00
        assert numbers(last) == (4, 2, 0, 0)
        eventually(lambda: delivery_threads() == 0)
        go_on.set()


def test_nothing_is_sent_any_more_over_an_association_that_comes_after_the_cancel(tmp_path: Path) -> None:
    requested, go_on = threading.Event(), threading.Event()

    def stall(_: evt.Event) -> None:
        requested.set()
        go_on.wait(20)

    destination = Destination(requested=stall)
    with (
        filled_archive(tmp_path, 2) as (archive, port, _),
        destination.running(archive),
        requestor(port) as association,
    ):
        answers = association.send_c_move(keys(), "DEST", StudyRootMove, msg_id=7)
        cancel = threading.Timer(0.5, association.send_c_cancel, (7,), {"query_model": StudyRootMove})
        cancel.start()
        *_, (last, _identifier) = list(answers)
        assert requested.is_set()
        assert (last.Status, numbers(last)) == (0xFE00, (2, 0, 0, 0))
        go_on.set()
        eventually(lambda: delivery_threads() == 0)
        assert destination.got == []


def test_get_is_cancelled_between_two_instances(tmp_path: Path) -> None:
    got = []

    def cancel(event: evt.Event) -> None:
        got.append(event)
        if len(got) == 2:
            event.assoc.send_c_cancel(7, query_model=StudyRootGet)

    with (
        filled_archive(tmp_path) as (_, port, _uids),
        Getter(on_store=cancel).associated(port, StudyRootGet) as association,
    ):
        *_, (last, _identifier) = list(association.send_c_get(keys(), StudyRootGet, msg_id=7))
        assert last.Status == 0xFE00
        assert numbers(last) == (4, 2, 0, 0)


def test_an_association_that_breaks_is_made_anew(tmp_path: Path) -> None:
    broken = []

    def break_once(event: evt.Event) -> int:
        if len(destination.got) == 2 and not broken:
            broken.append(event)
            event.assoc.abort()
        return 0x0000

    destination = Destination(break_once)
    with filled_archive(tmp_path) as (archive, port, uids), destination.running(archive):
        last, _ = move(port, keys())[-1]
        assert (last.Status, numbers(last)) == (0x0000, (None, 6, 0, 0))
        assert set(destination.got) == set(uids)
        assert destination.associations == 2


def test_a_destination_that_dies_is_given_up_and_what_it_lacks_is_told(tmp_path: Path) -> None:
    def die(event: evt.Event) -> int:
        if len(destination.got) >= 2:
            event.assoc.abort()
        return 0x0000

    destination = Destination(die)
    with filled_archive(tmp_path) as (archive, port, uids), destination.running(archive):
        last, identifier = move(port, keys())[-1]
        assert (last.Status, numbers(last)) == (0xB000, (None, 2, 4, 0))
        assert failed_uids(identifier) == uids[2:]
        eventually(lambda: delivery_threads() == 0)


def test_a_destination_that_is_not_there_or_refuses_fails_all(tmp_path: Path) -> None:
    with filled_archive(tmp_path, 3) as (archive, port, uids):
        with socket.create_server(("127.0.0.1", 0)) as closed:
            archive.index.peers.put(KnownPeer("NOT_THERE", "127.0.0.1", closed.getsockname()[1]))
        archive.index.peers.put(KnownPeer("OURSELVES", "127.0.0.1", port))  # does not answer to this title
        for title in ("NOT_THERE", "OURSELVES"):
            last, identifier = move(port, keys(), title)[-1]
            assert (last.Status, numbers(last)) == (0xA702, (None, 0, 3, 0))
            assert failed_uids(identifier) == uids


def test_a_destination_that_stalls_is_given_up_in_time(tmp_path: Path) -> None:
    stalled = threading.Event()

    def stall(_: evt.Event) -> int:
        stalled.wait(15)
        return 0x0000

    settings = {"FILMLESS_NETWORK_TIMEOUT_S": "1"}
    with (
        filled_archive(tmp_path, 3, settings) as (archive, port, _),
        Destination(stall).running(archive),
    ):
        begin = time.monotonic()
        last, _identifier = move(port, keys())[-1]
        assert (last.Status, numbers(last)) == (0xA702, (None, 0, 3, 0))
        assert time.monotonic() - begin < 12
        eventually(lambda: delivery_threads() == 0)
        stalled.set()


def test_a_requestor_that_vanishes_ends_its_move(tmp_path: Path) -> None:
    stalled, go_on = threading.Event(), threading.Event()

    def stall(_: evt.Event) -> int:
        stalled.set()
        go_on.wait(20)
        return 0x0000

    destination = Destination(stall)
    with filled_archive(tmp_path) as (archive, port, _), destination.running(archive):
        with requestor(port) as association:
            threading.Thread(
                target=lambda: list(association.send_c_move(keys(), "DEST", StudyRootMove)),
                daemon=True,  # it goes on waiting for an answer
            ).start()
            assert stalled.wait(10)
            association.abort()
        eventually(lambda: delivery_threads() == 0 and association_threads() == 0)
        go_on.set()
        assert len(destination.got) <= 1


def test_a_requestor_of_get_that_vanishes_frees_its_thread(tmp_path: Path) -> None:
    def vanish(event: evt.Event) -> None:
        event.assoc.ae.dimse_timeout = 1  # else the requestor itself waits for an answer for half a minute
        event.assoc.abort()

    with filled_archive(tmp_path) as (_, port, _uids):
        Getter(on_store=vanish).get(port, keys())
        eventually(lambda: association_threads() == 0)


def test_several_associations_bring_each_instance_once(tmp_path: Path) -> None:
    settings = {"FILMLESS_MOVE_ASSOCIATIONS": "3"}
    with filled_archive(tmp_path, 12, settings) as (archive, port, uids):
        with Destination(lambda _: time.sleep(0.05) or 0).running(archive) as destination:
            last, _ = move(port, keys())[-1]
        assert numbers(last) == (None, 12, 0, 0)
        assert sorted(destination.got) == sorted(uids)
        assert destination.associations == 3


def test_a_peer_gets_what_it_likes_if_it_cannot_take_what_is_stored(tmp_path: Path) -> None:
    with filled_archive(tmp_path, 1) as (archive, port, _):
        for syntaxes, preferred, expected in (
            ((IMPLICIT,), (), IMPLICIT),
            ((JPEG_LOSSLESS_SV1, IMPLICIT), (), IMPLICIT),
            ((JPEG_LOSSLESS_SV1, IMPLICIT), (JPEG_LOSSLESS_SV1,), JPEG_LOSSLESS_SV1),
            ((JPEG_LOSSLESS_SV1, EXPLICIT), (JPEG_LOSSLESS_SV1,), EXPLICIT),  # as it is stored
        ):
            title = f"DEST{syntaxes.index(expected)}{len(preferred)}{len(expected)}"
            there = Destination(syntaxes=syntaxes)
            with there.running(archive, title, transfer_syntax_uids=preferred):
                assert move(port, keys(), title)[-1][0].Status == 0x0000
            assert list(there.written_in.values()) == [expected]


def test_a_peer_of_tls_gets_instances_over_tls_and_with_its_own_certificate_only(tmp_path: Path) -> None:
    authority = Authority.create(tmp_path / "hospital")
    ours, theirs, others = (authority.issue(name) for name in ("pacs", "ws", "other"))
    settings = {
        "FILMLESS_DICOM_TLS_CERTIFICATE": str(ours.certificate),
        "FILMLESS_DICOM_TLS_KEY": str(ours.key),
        "FILMLESS_DICOM_TLS_AUTHORITIES": str(ours.authorities),
    }
    with filled_archive(tmp_path, 2, settings) as (archive, port, uids):
        with Destination().running(archive, tls=acceptor_context(theirs), use_tls=True) as there:
            assert numbers(move(port, keys())[-1][0]) == (None, 2, 0, 0)
        assert there.got == uids
        shown = {"certificate_sha256": fingerprint(theirs)}
        with Destination().running(archive, tls=acceptor_context(theirs), use_tls=True, **shown) as there:
            assert move(port, keys())[-1][0].Status == 0x0000
        with Destination().running(archive, tls=acceptor_context(others), use_tls=True, **shown) as there:
            assert move(port, keys())[-1][0].Status == 0xA702
        assert there.got == []


def test_a_peer_of_tls_is_not_called_without_certificates_of_ours(tmp_path: Path) -> None:
    with filled_archive(tmp_path, 1) as (archive, port, _):
        with Destination().running(archive, use_tls=True) as there:
            assert move(port, keys())[-1][0].Status == 0xA801
        assert there.got == []
