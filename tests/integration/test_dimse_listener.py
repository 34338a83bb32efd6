"""The DICOM door over real sockets: with pynetdicom, with dcmtk, and with peers that mean no good.

Cases A1 to A7 are those before any identity is known: length bombs, item bombs, silence, drip feed, a peer
that expects TLS, other protocols, and messages that never end.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.dsutils import encode, split_dataset

from pacs.dicom.part10 import encode_file_meta
from pacs.dicom.transfer_syntaxes import TRANSFER_SYNTAXES
from pacs.dimse import scu
from pacs.dimse.application_entity import ApplicationEntity
from pacs.dimse.c_echo import C_ECHO
from pacs.dimse.limits import Limits
from pacs.dimse.listener import Listener, open_port
from pacs.errors import SettingsError, SopClassMismatch, UnreadableInstance
from pacs.ingest import Disposition, IncomingInstance, Origin
from pacs.settings import Settings
from storage.errors import StoreFull
from tests.data import has_shared_data, program, read_manifest, shared_data
from tests.empty_index import open_empty_archive
from tests.integration.dimse_peers import (
    HOST,
    IMPATIENT,
    Peer,
    Shelf,
    association_threads,
    eventually,
    listening,
    serving,
)
from tests.unit.pacs.dimse import wire


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def listener(shelf: Shelf) -> Iterator[Listener]:
    with serving(shelf) as listener:
        yield listener


@pytest.fixture
def peer(listener: Listener) -> Iterator[Peer]:
    peer = Peer(listener.port)
    yield peer
    peer.socket.close()


@pytest.fixture
def impatient_peer(shelf: Shelf) -> Iterator[Peer]:
    """A requestor that has little time."""
    with serving(shelf, IMPATIENT) as listener:
        peer = Peer(listener.port)
        yield peer
        peer.socket.close()


# --- verification -----------------------------------------------------------------------------------------


def test_pynetdicom_is_answered(listener: Listener) -> None:
    ae = AE("TEST")
    ae.add_requested_context(wire.VERIFICATION)
    association = ae.associate(HOST, listener.port, ae_title="FILMLESS")
    assert association.send_c_echo().Status == 0x0000
    association.release()


def test_dcmtk_is_answered(listener: Listener) -> None:
    subprocess.run([program("echoscu"), "-aec", "FILMLESS", HOST, str(listener.port)], check=True, timeout=20)


def test_an_echo_response_repeats_the_request(peer: Peer) -> None:
    peer.associate().send(wire.echo_request())
    response = wire.decode_response(peer.read_pdu())
    assert response[0x0002] == wire.VERIFICATION.encode() + b"\0"
    assert response[0x0100] == b"\x30\x80"
    assert response[0x0120] == b"\x07\x00"
    assert response[0x0800] == b"\x01\x01"
    assert response[0x0900] == b"\x00\x00"
    peer.release()


def test_a_peer_with_tiny_pdus_gets_its_response_in_pieces(peer: Peer) -> None:
    peer.associate(maximum_length=40).send(wire.echo_request())
    command, last = b"", False
    while not last:
        pdu = peer.read_pdu()
        assert len(pdu) <= 46
        command, last = command + pdu[12:], bool(pdu[11] & 2)
    assert wire.number(0x0900, 0x0000) in command


# --- negotiation ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_options", "result_source_reason"),
    [
        ({"called": "OTHER"}, (1, 1, 7)),
        ({"called": "filmless"}, (1, 1, 7)),
        ({"called": "*"}, (1, 1, 7)),
        ({"application_context": "1.2.3"}, (1, 1, 2)),
        ({"protocol_version": 2}, (1, 2, 2)),
    ],
)
def test_an_association_that_is_not_ours_is_rejected(
    peer: Peer, request_options: dict[str, object], result_source_reason: tuple[int, int, int]
) -> None:
    peer.send(wire.associate_request(**request_options))  # type: ignore[arg-type]
    assert peer.read_all() == wire.pdu(3, bytes((0, *result_source_reason)))


def test_a_rejection_says_which_ae_title_was_asked_for(
    listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(scu.PeerRejected, match=r"called AE title not recognised"):
        scu.verify(HOST, listener.port, "WRONG", calling_ae_title="CT01")
    assert "WRONG" in caplog.text and "CT01" in caplog.text


def test_more_associations_than_allowed_are_rejected_for_the_time_being(shelf: Shelf) -> None:
    with serving(shelf, max_associations=2) as listener:
        first, second, third = (Peer(listener.port) for _ in range(3))
        first.associate()
        second.associate()
        third.send(wire.associate_request())
        assert third.read_all() == wire.pdu(3, bytes((0, 2, 3, 2)))
        first.release()
        eventually(lambda: association_threads() == 1)
        Peer(listener.port).associate().release()
        second.release()


def test_every_context_gets_its_answer(listener: Listener) -> None:
    ae = AE("TEST")
    ae.add_requested_context(wire.CT_IMAGE_STORAGE, [wire.IMPLICIT, wire.EXPLICIT])
    ae.add_requested_context(wire.STUDY_ROOT_FIND, [wire.EXPLICIT])
    ae.add_requested_context(wire.VERIFICATION, [wire.JPEG_LOSSLESS])
    association = ae.associate(HOST, listener.port, ae_title="FILMLESS")
    assert [c.transfer_syntax for c in association.accepted_contexts] == [[wire.EXPLICIT]]
    assert [(c.abstract_syntax, c.result) for c in association.rejected_contexts] == [
        (wire.STUDY_ROOT_FIND, 3),
        (wire.VERIFICATION, 4),
    ]
    association.release()


def test_an_operation_that_is_not_performed_is_not_recognised_and_the_association_lives(peer: Peer) -> None:
    find = wire.command(0x0020, dataset=True)
    peer.associate().send(wire.p_data(wire.pdv(3, find, is_command=True), wire.pdv(3, b"identifier")))
    assert peer.status() == 0x0211
    peer.send(wire.echo_request())
    assert peer.status() == 0x0000
    peer.release()


def test_a_cancel_that_comes_too_late_is_ignored(peer: Peer) -> None:
    cancel = wire.command(0x0FFF, message_id=None)
    peer.associate().send(wire.p_data(wire.pdv(3, cancel, is_command=True)) + wire.echo_request())
    assert peer.status() == 0x0000
    peer.release()


# --- storage ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transfer_syntax_uid", TRANSFER_SYNTAXES)
def test_bytes_arrive_as_they_were_sent_in_every_transfer_syntax(
    shelf: Shelf, listener: Listener, tmp_path: Path, transfer_syntax_uid: str
) -> None:
    """Neither side decodes: what is in the file needs only to have an even length."""
    dataset = bytes(range(256)) * 700
    path = tmp_path / "one.dcm"
    path.write_bytes(encode_file_meta(wire.CT_IMAGE_STORAGE, "1.2.3", transfer_syntax_uid) + dataset)
    sent = list(scu.send_instances(HOST, listener.port, "FILMLESS", [path], calling_ae_title="CT01"))
    assert sent == [("1.2.3", 0x0000)]
    ((incoming, origin, received),) = shelf.kept
    assert received == dataset
    assert incoming.transfer_syntax_uid == transfer_syntax_uid
    assert incoming.sop_class_uid == wire.CT_IMAGE_STORAGE
    assert origin == Origin("dimse", "CT01")


@pytest.mark.skipif(not has_shared_data(), reason="shared data is not here")
def test_real_files_of_every_kind_arrive_as_they_are(shelf: Shelf, listener: Listener) -> None:
    by_kind = {(row["sopclass"], row["ts"]): row["file"] for row in _readable_rows()}
    paths = [shared_data(name) for name in by_kind.values()]
    sent = list(scu.send_instances(HOST, listener.port, "FILMLESS", paths))
    assert {status for _, status in sent} == {0x0000}
    assert len(sent) == len(paths) > 60
    for path, (_, _, received) in zip(paths, shelf.kept, strict=True):
        _, offset = split_dataset(path)
        assert received == path.read_bytes()[offset:]


def _readable_rows() -> Iterator[dict[str, str]]:
    for row in read_manifest():
        folder = row["file"].split("/")[0]
        if 0 < len(row["sop"]) <= 64 and row["ts"] in TRANSFER_SYNTAXES and folder not in _WITHOUT_META:
            yield row


_WITHOUT_META = {"malformed", "malformed_fuzz_pwnlab", "dicomdir"}


def test_dcmtk_sends_a_series(shelf: Shelf, listener: Listener) -> None:
    paths = sorted(shared_data("mr_ge_fmri_20").glob("*.dcm"))
    command = [program("storescu"), "-aec", "FILMLESS", HOST, str(listener.port), *map(str, paths)]
    subprocess.run(command, check=True, timeout=60)
    assert len(shelf.kept) == len(paths) > 0


def test_pynetdicom_stores(shelf: Shelf, listener: Listener) -> None:
    path = shared_data("ct_series_philips_phantom_54", "IM0001.dcm")
    ae = AE("TEST")
    ae.add_requested_context(wire.CT_IMAGE_STORAGE, wire.EXPLICIT)
    association = ae.associate(HOST, listener.port, ae_title="FILMLESS")
    assert association.send_c_store(path).Status == 0x0000
    association.release()
    assert len(shelf.kept) == 1


@pytest.mark.parametrize(
    ("disposition", "status"),
    [
        (Disposition.STORED, 0x0000),
        (Disposition.ALREADY_STORED, 0x0000),
        (Disposition.REPLACED, 0x0000),
        (Disposition.CONFLICT, 0xB000),
        (Disposition.PATIENT_DIFFERS, 0xB000),
    ],
)
def test_what_became_of_an_instance_is_its_status(disposition: Disposition, status: int) -> None:
    with serving(Shelf(disposition=disposition)) as listener:
        peer = Peer(listener.port).associate()
        peer.send(wire.store_request(b"data"))
        response = wire.decode_response(peer.read_pdu())
        assert int.from_bytes(response[0x0900], "little") == status
        assert response[0x1000] == b"1.2.3.4\0"
        assert response[0x0002] == wire.CT_IMAGE_STORAGE.encode() + b"\0"
        assert (0x0902 in response) == (status != 0x0000)
        peer.release()


def _refuse(error: Exception) -> Callable[[IncomingInstance], None]:
    def refuse(_: IncomingInstance) -> None:
        raise error

    return refuse


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize(
    ("error", "status"),
    [
        (StoreFull("no space"), 0xA700),
        (SopClassMismatch("another SOP Class"), 0xA900),
        (UnreadableInstance("StudyInstanceUID is missing"), 0xC000),
        (ZeroDivisionError("Nguyen Van A"), 0x0110),
    ],
)
def test_an_association_lives_on_after_a_refused_instance(
    caplog: pytest.LogCaptureFixture, moment: str, error: Exception, status: int
) -> None:
    shelf = Shelf(**{moment: _refuse(error)})  # type: ignore[arg-type]
    with serving(shelf) as listener:
        peer = Peer(listener.port).associate()
        peer.send(wire.store_request(bytes(300_000), "1.2.1"))
        response = wire.decode_response(peer.read_pdu())
        assert int.from_bytes(response[0x0900], "little") == status
        assert 0 < len(response[0x0902]) <= 64
        shelf.before = shelf.after = lambda _: None
        peer.send(wire.store_request(bytes(300_000), "1.2.2"))
        assert peer.status() == 0x0000
        peer.release()
    assert shelf.kept_uids == ["1.2.2"]
    assert "Nguyen" not in caplog.text


def test_an_instance_of_a_service_that_is_no_storage_is_refused(peer: Peer, shelf: Shelf) -> None:
    peer.associate().send(wire.store_request(b"data", sop_class=wire.STUDY_ROOT_FIND))
    assert peer.status() == 0x0122
    assert shelf.kept == []
    peer.release()


def test_an_instance_is_kept_though_its_context_was_made_for_another_class(peer: Peer, shelf: Shelf) -> None:
    secondary_capture = "1.2.840.10008.5.1.4.1.1.7"
    peer.associate().send(wire.store_request(b"data", sop_class=secondary_capture))
    assert peer.status() == 0x0000
    assert shelf.kept[0][0].sop_class_uid == secondary_capture
    peer.release()


def test_one_line_tells_what_an_association_did(
    peer: Peer, listener: Listener, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    peer.associate().send(wire.store_request(b"data", "1.2.1") + wire.store_request(b"data", "1.2.2"))
    assert (peer.status(), peer.status()) == (0x0000, 0x0000)
    peer.release()
    eventually(lambda: "released" in caplog.text)
    (line,) = [record.getMessage() for record in caplog.records if "released" in record.getMessage()]
    assert line.startswith("association with CT01 released; 2 C-STORE done, ")


# --- what peers should not do -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [1, 4, 5, 7, 0xFF])
def test_a1_a_length_bomb_before_the_association_is_aborted_unread(peer: Peer, kind: int) -> None:
    peer.send(struct.pack(">BxI", kind, 0xFFFFFFFF))
    assert peer.read_all() == wire.ABORT_BY_USER


def test_a1_a_length_bomb_inside_the_association_is_aborted_unread(peer: Peer) -> None:
    peer.associate().send(struct.pack(">BxI", 4, 0xFFFFFFFF))
    assert peer.read_all() == wire.abort_by_provider(6)


def test_a2_an_item_bomb_is_aborted(peer: Peer) -> None:
    bomb = wire.item(0x20, b"\1\0\0\0" + wire.item(0x40, b"") * 16_000)
    peer.send(wire.associate_request([bomb, wire.proposal(3, wire.VERIFICATION, wire.IMPLICIT)]))
    assert peer.read_all() == wire.ABORT_BY_USER


def test_a3_silent_sockets_do_not_keep_a_modality_out(shelf: Shelf) -> None:
    with serving(shelf, IMPATIENT, max_unassociated=8, max_associations=2) as listener:
        silent = [Peer(listener.port) for _ in range(30)]
        assert scu.verify(HOST, listener.port, "FILMLESS", timeout_s=5) > 0
        eventually(lambda: association_threads() == 0)  # each was evicted, or its time was up
        assert {one.read_all() for one in silent} == {wire.ABORT_BY_USER}


def test_a4_a_pdu_that_drips_is_aborted_at_its_deadline(impatient_peer: Peer) -> None:
    impatient_peer.associate()
    with contextlib.suppress(ConnectionError):
        for byte in wire.echo_request():
            impatient_peer.send(bytes((byte,)))
            time.sleep(0.02)
    assert impatient_peer.read_all() == wire.abort_by_provider(0)


def test_a4_a_request_that_drips_is_aborted_at_its_deadline(impatient_peer: Peer) -> None:
    with contextlib.suppress(ConnectionError):
        for byte in wire.associate_request():
            impatient_peer.send(bytes((byte,)))
            time.sleep(0.02)
    assert impatient_peer.read_all() == wire.ABORT_BY_USER


def test_a4_a_message_of_small_pdus_is_aborted_below_the_least_rate(
    impatient_peer: Peer, shelf: Shelf
) -> None:
    impatient_peer.associate().send(wire.store_command())
    with contextlib.suppress(ConnectionError):
        for _ in range(100):
            impatient_peer.send(wire.p_data(wire.pdv(3, b"ab", is_last=False)))
            time.sleep(0.03)
    assert impatient_peer.read_all() == wire.abort_by_provider(0)
    assert shelf.kept == []


def test_a5_a_peer_that_expects_tls_is_aborted_and_others_are_served(listener: Listener) -> None:
    """No TLS is spoken yet: a ClientHello is no PDU, and a peer that says nothing holds up nobody."""
    silent, hello = Peer(listener.port), Peer(listener.port)
    hello.send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(32))
    assert hello.read_all() == wire.ABORT_BY_USER
    assert scu.verify(HOST, listener.port, "FILMLESS", timeout_s=5) > 0
    silent.socket.close()


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\nHost: pacs\r\n\r\n",
        b"\x0bMSH|^~\\&|HIS\r\x1c\r",
        wire.pdu(9, b""),
        wire.pdu(4, b""),
        wire.echo_request(),
        wire.RELEASE_RQ,
        bytes(64),
    ],
    ids=["HTTP", "HL7", "unknown PDU", "empty P-DATA", "P-DATA", "release", "zeros"],
)
def test_a6_whatever_is_no_request_is_aborted_before_the_association(peer: Peer, data: bytes) -> None:
    peer.send(data)
    assert peer.read_all() == wire.ABORT_BY_USER
    eventually(lambda: association_threads() == 0)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (wire.pdu(9, b""), 1),
        (b"GET / HTTP/1.1\r\n\r\n", 1),
        (wire.associate_request(), 2),
        (wire.pdu(2, bytes(68)), 2),
        (wire.RELEASE_RP, 2),
        (wire.pdu(4, b""), 6),
    ],
    ids=["unknown PDU", "HTTP", "second request", "acceptance", "release reply", "empty P-DATA"],
)
def test_a6_a_pdu_in_the_wrong_state_is_aborted_with_its_reason(peer: Peer, data: bytes, reason: int) -> None:
    peer.associate().send(data)
    assert peer.read_all() == wire.abort_by_provider(reason)
    eventually(lambda: association_threads() == 0)


@pytest.mark.parametrize("fragment", [bytes(16_000), b""], ids=["full", "empty"])
def test_a7_a_data_set_without_end_is_aborted(shelf: Shelf, fragment: bytes) -> None:
    endless = wire.p_data(*[wire.pdv(3, fragment, is_last=False)] * 5)
    with serving(shelf, max_dataset_bytes=100_000) as listener:
        peer = Peer(listener.port).associate()
        peer.send(wire.store_command())
        with contextlib.suppress(ConnectionError):
            while True:
                peer.send(endless)
        with contextlib.suppress(ConnectionError):  # a reset may overtake what is left to read
            assert peer.read_all() == wire.ABORT_BY_USER
        eventually(lambda: association_threads() == 0)
    assert shelf.kept == []


FRAGMENT = wire.pdv(3, b"data", is_last=False)
WRONG_FRAGMENTS = {
    "length zero": (struct.pack(">IBB", 0, 3, 0), wire.abort_by_provider(6)),
    "length one": (struct.pack(">IBB", 1, 3, 0), wire.abort_by_provider(6)),
    "longer than its PDU": (struct.pack(">IBB", 900, 3, 0) + bytes(8), wire.abort_by_provider(6)),
    "even context": (wire.pdv(2, b"", is_command=True), wire.abort_by_provider(6)),
    "context that was not proposed": (wire.pdv(5, b"", is_command=True), wire.abort_by_provider(6)),
    "data before a command": (wire.pdv(3, b"data"), wire.ABORT_BY_USER),
    "huge command": (wire.pdv(3, bytes(70_000), is_command=True), wire.ABORT_BY_USER),
}


@pytest.mark.parametrize(("fragment", "abort"), WRONG_FRAGMENTS.values(), ids=WRONG_FRAGMENTS.keys())
def test_a7_a_wrong_fragment_is_aborted(peer: Peer, fragment: bytes, abort: bytes) -> None:
    peer.associate().send(wire.p_data(fragment))
    assert peer.read_all() == abort


@pytest.mark.parametrize(
    "fragment",
    [wire.pdv(3, wire.command(wire.C_ECHO_RQ), is_command=True), wire.pdv(1, b"data")],
    ids=["command", "other context"],
)
def test_a7_a_data_set_that_something_else_interrupts_is_aborted(
    peer: Peer, shelf: Shelf, fragment: bytes
) -> None:
    peer.associate().send(wire.store_command() + wire.p_data(FRAGMENT, fragment))
    assert peer.read_all() == wire.ABORT_BY_USER
    assert shelf.kept == []


@pytest.mark.parametrize(
    "last_words", [b"", wire.ABORT_BY_USER, wire.RELEASE_RQ], ids=["close", "abort", "release"]
)
def test_an_association_that_ends_inside_a_data_set_leaves_nothing(
    peer: Peer, shelf: Shelf, last_words: bytes
) -> None:
    peer.associate().send(wire.store_request(bytes(100_000))[:-5_000] + last_words)
    peer.socket.close()
    eventually(lambda: association_threads() == 0)
    assert shelf.kept == []


def test_an_idle_association_is_aborted_after_a_while(shelf: Shelf) -> None:
    with serving(shelf, Limits(network_timeout_s=0.3, close_timeout_s=0.3)) as listener:
        assert Peer(listener.port).associate().read_all() == wire.abort_by_provider(0)


# --- stopping ---------------------------------------------------------------------------------------------


def _refuses_connections(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=1).close()
    except ConnectionError:
        return True
    return False


def test_stop_lets_a_message_in_flight_be_answered(shelf: Shelf) -> None:
    begun, finish = threading.Event(), threading.Event()

    def wait(_: IncomingInstance) -> None:
        begun.set()
        assert finish.wait(10)

    shelf.after = wait
    with serving(shelf, grace_s=10.0) as listener:
        port = listener.port
        peer = Peer(port).associate()
        peer.send(wire.store_request(b"data"))
        assert begun.wait(10)
        listener.stop()
        eventually(lambda: _refuses_connections(port))
        finish.set()
        assert peer.status() == 0x0000
        peer.release()
    assert shelf.kept_uids == ["1.2.3.4"]


def test_stop_aborts_what_is_idle_and_what_does_not_finish_in_time(shelf: Shelf) -> None:
    with serving(shelf, grace_s=0.3) as listener:
        idle, slow, silent = (
            Peer(listener.port).associate(),
            Peer(listener.port).associate(),
            Peer(listener.port),
        )
        slow.send(wire.store_command())
        eventually(lambda: association_threads() == 3)
        listener.stop()
        assert idle.read_all() == wire.ABORT_BY_USER
        assert slow.read_all() == wire.ABORT_BY_USER
        assert silent.read_all() == wire.ABORT_BY_USER
    assert shelf.kept == []
    assert association_threads() == 0


def test_stop_before_the_start_ends_at_once(shelf: Shelf) -> None:
    listener = Listener(ApplicationEntity("FILMLESS", (C_ECHO,)), open_port(HOST, 0))
    listener.stop()
    listener.serve_forever()


# --- the port ---------------------------------------------------------------------------------------------


def test_a_port_in_use_is_an_error_that_names_the_setting(listener: Listener) -> None:
    with pytest.raises(SettingsError, match=f"DICOM_PORT={listener.port}"):
        open_port(HOST, listener.port)


def test_listeners_can_share_a_port(shelf: Shelf) -> None:
    with serving(shelf, listening=open_port(HOST, 0, share_port=True)) as one:
        entity = ApplicationEntity("FILMLESS", (C_ECHO,))
        other = Listener(entity, open_port(HOST, one.port, share_port=True))
        assert other.port == one.port
        other.stop()
        other.serve_forever()
        assert scu.verify(HOST, one.port, "FILMLESS") > 0


# --- the door of a real archive -----------------------------------------------------------------------------


@pytest.fixture
def archive_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.chdir(tmp_path)  # no settings file of the developer
    settings = Settings(data_dir=tmp_path / "data", dicom_port=0, max_object_size_bytes=1024**2)
    archive = open_empty_archive(settings)
    with listening(archive) as port:
        yield port
    archive.close()


def ct_slice(**changes: str) -> bytes:
    """An encoded data set that names itself, in explicit VR little endian."""
    values = {
        "SOPClassUID": wire.CT_IMAGE_STORAGE,
        "SOPInstanceUID": "1.2.3.4",
        "StudyInstanceUID": "1.2.3.1",
        "SeriesInstanceUID": "1.2.3.2",
        "PatientName": "Nguyễn^Văn A",
        "SpecificCharacterSet": "ISO_IR 192",
        **changes,
    }
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return bytes(encode(dataset, False, True) or b"")


def test_the_archive_answers_with_what_became_of_each_instance(archive_port: int) -> None:
    peer = Peer(archive_port).associate()
    for dataset, sop_instance_uid, status in (
        (ct_slice(), "1.2.3.4", 0x0000),
        (ct_slice(), "1.2.3.4", 0x0000),  # again: the answer was lost
        (ct_slice(StudyDescription="other content"), "1.2.3.4", 0xB000),
        (ct_slice(SOPClassUID="1.2.840.10008.5.1.4.1.1.4"), "1.2.3.4", 0xA900),
        (ct_slice(), "1.2.3.5", 0xA900),
        (ct_slice(), "1.2.3.." + "4" * 20, 0x0117),
        (b"no data set at all, but an even number of bytes!", "1.2.3.6", 0xC000),
        (b"", "1.2.3.7", 0xC000),
        (bytes(3 * 1024**2 // 2), "1.2.3.8", 0xC213),  # larger than the archive takes
        (ct_slice(SOPInstanceUID="1.2.3.9"), "1.2.3.9", 0x0000),
    ):
        peer.send(wire.store_request(dataset, sop_instance_uid))
        assert peer.status() == status, sop_instance_uid
    peer.release()
