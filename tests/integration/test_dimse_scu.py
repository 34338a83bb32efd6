"""Our requests over real sockets, against pynetdicom, dcmtk and our own listener."""

from __future__ import annotations

import contextlib
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import AE, evt, sop_class
from pynetdicom.dsutils import split_dataset

from pacs.dicom.part10 import encode_file_meta
from pacs.dimse import scu
from pacs.dimse.command import CommandField, Element
from pacs.dimse.requestor import Peer, PeerRejected, PeerUnreachable, RequestedAssociation
from pacs.errors import InvalidUid, UnreadableInstance
from tests.data import program, shared_data
from tests.unit.pacs.dimse import wire

HOST = "127.0.0.1"
MR_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.4"


@dataclass
class Scp:
    """What pynetdicom has heard."""

    port: int = 0
    requests: list[evt.Event] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)
    aborted: threading.Event = field(default_factory=threading.Event)


@contextlib.contextmanager
def pynetdicom_scp(contexts: dict[str, list[str]], *, status: int = 0x0000) -> Iterator[Scp]:
    """An SCP of pynetdicom called OTHER."""
    scp = Scp()

    def store(event: evt.Event) -> int:
        scp.requests.append(event)
        return status

    ae = AE("OTHER")
    ae.require_called_aet = True
    for abstract_syntax, transfer_syntaxes in contexts.items():
        ae.add_supported_context(abstract_syntax, transfer_syntaxes)
    handlers = [
        (evt.EVT_C_STORE, store),
        (evt.EVT_C_ECHO, lambda _: status),
        (evt.EVT_RELEASED, lambda _: scp.released.set()),
        (evt.EVT_ABORTED, lambda _: scp.aborted.set()),
    ]
    server = ae.start_server((HOST, 0), block=False, evt_handlers=handlers)
    scp.port = server.socket.getsockname()[1]
    try:
        yield scp
    finally:
        server.shutdown()


def small_file(
    folder: Path,
    sop_instance_uid: str = "1.2.3",
    sop_class: str = wire.CT_IMAGE_STORAGE,
    transfer_syntax: str = wire.EXPLICIT,
) -> Path:
    path = folder / f"{sop_instance_uid}.dcm"
    path.write_bytes(encode_file_meta(sop_class, sop_instance_uid, transfer_syntax) + bytes(300_000))
    return path


def test_pynetdicom_answers_our_echo() -> None:
    with pynetdicom_scp({wire.VERIFICATION: [wire.IMPLICIT]}) as scp:
        assert scu.verify(HOST, scp.port, "OTHER") > 0


def test_a_peer_that_does_not_know_our_name_for_it_has_rejected_us() -> None:
    with (
        pynetdicom_scp({wire.VERIFICATION: [wire.IMPLICIT]}) as scp,
        pytest.raises(PeerRejected, match="called AE title not recognised"),
    ):
        scu.verify(HOST, scp.port, "WRONG")


def test_a_peer_without_verification_has_rejected_us() -> None:
    with (
        pynetdicom_scp({wire.CT_IMAGE_STORAGE: [wire.EXPLICIT]}) as scp,
        pytest.raises(PeerRejected, match="does not support Verification"),
    ):
        scu.verify(HOST, scp.port, "OTHER")


def test_an_echo_that_is_refused_is_no_success() -> None:
    with (
        pynetdicom_scp({wire.VERIFICATION: [wire.IMPLICIT]}, status=0x0122) as scp,
        pytest.raises(PeerRejected, match="0122"),
    ):
        scu.verify(HOST, scp.port, "OTHER")


def test_nobody_at_the_port_is_unreachable() -> None:
    with socket.create_server((HOST, 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(PeerUnreachable):
        scu.verify(HOST, port, "OTHER", timeout_s=5)


@contextlib.contextmanager
def scripted(*answers: bytes) -> Iterator[int]:
    """A peer that gives these answers, one for each thing that it hears, and then says nothing more."""
    with socket.create_server((HOST, 0)) as server:

        def run() -> None:
            connection, _ = server.accept()
            with connection, contextlib.suppress(OSError):
                for answer in answers:
                    connection.recv(65536)
                    connection.sendall(answer)
                while connection.recv(65536):
                    pass

        thread = threading.Thread(target=run)
        thread.start()
        yield server.getsockname()[1]
        thread.join(20)


ACCEPTANCE = wire.pdu(
    2,
    wire.associate_request()[6:74]
    + wire.item(0x21, b"\1\0\0\0" + wire.item(0x40, wire.IMPLICIT.encode()))
    + wire.item(0x50, wire.item(0x51, struct.pack(">I", 16384))),
)


def response(field: int, message_id: int) -> bytes:
    elements = wire.number(0x0100, field) + wire.number(0x0120, message_id)
    elements += wire.number(0x0800, 0x0101) + wire.number(0x0900, 0)
    return wire.p_data(wire.pdv(1, elements, is_command=True))


@pytest.mark.parametrize(
    "answers",
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n",),
        (wire.pdu(4, bytes(6)),),
        (struct.pack(">BxI", 2, 0xFFFFFFFF),),
        (wire.ABORT_BY_USER,),
        (ACCEPTANCE, wire.ABORT_BY_USER),
        (ACCEPTANCE, wire.RELEASE_RQ),
        (ACCEPTANCE, struct.pack(">BxI", 4, 0xFFFFFFFF)),
        (ACCEPTANCE, response(0x8001, 1)),
        (ACCEPTANCE, response(0x8030, 9)),
        (ACCEPTANCE, wire.p_data(wire.pdv(1, wire.number(0x0800, 0x0101), is_command=True))),
        (),
        (ACCEPTANCE,),
    ],
    ids=[
        "HTTP", "data before the acceptance", "length bomb", "abort", "abort after the request",
        "release instead of a response", "length bomb in the association", "another operation",
        "another message", "no status", "silence", "silence after the request",
    ],
)  # fmt: skip
def test_a_peer_that_talks_nonsense_or_nothing_is_unreachable(answers: tuple[bytes, ...]) -> None:
    with scripted(*answers) as port, pytest.raises(PeerUnreachable):
        scu.verify(HOST, port, "OTHER", timeout_s=0.5)


def test_a_response_to_our_request_is_understood() -> None:
    with scripted(ACCEPTANCE, response(0x8030, 1), wire.RELEASE_RP) as port:
        assert scu.verify(HOST, port, "OTHER", timeout_s=5) > 0


def test_pynetdicom_gets_files_as_they_are() -> None:
    paths = sorted(shared_data("ts_ct_ge_18").glob("*.dcm"))[:6]
    contexts: dict[str, list[str]] = {}
    for path in paths:
        meta = dcmread(path, stop_before_pixels=True).file_meta
        contexts.setdefault(meta.MediaStorageSOPClassUID, []).append(meta.TransferSyntaxUID)
    with pynetdicom_scp(contexts) as scp:
        sent = list(scu.send_instances(HOST, scp.port, "OTHER", paths, calling_ae_title="FILMLESS"))
    assert {status for _, status in sent} == {0x0000}
    assert len({event.assoc for event in scp.requests}) == 1
    for path, event in zip(paths, scp.requests, strict=True):
        _, offset = split_dataset(path)
        assert event.request.DataSet.getvalue() == path.read_bytes()[offset:]
        assert event.request.Priority == 0
        assert event.assoc.requestor.ae_title == "FILMLESS"


def test_dcmtk_gets_a_series(tmp_path: Path) -> None:
    paths = sorted(shared_data("mr_ge_fmri_20").glob("*.dcm"))
    with socket.create_server((HOST, 0)) as free:
        port = free.getsockname()[1]
    command = [program("storescp"), "-aet", "OTHER", "-pdu", "4096", "-od", str(tmp_path), "+xa", str(port)]
    with subprocess.Popen(command) as storescp:
        try:
            _wait_for(port)
            sent = list(scu.send_instances(HOST, port, "OTHER", paths))
        finally:
            storescp.terminate()
    assert [status for _, status in sent] == [0x0000] * len(paths)
    assert len(list(tmp_path.iterdir())) == len(paths) > 0


def _wait_for(port: int) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError):
            socket.create_connection((HOST, port), 1).close()
            return
        time.sleep(0.02)


def test_datasets_of_an_iterator_are_sent_as_they_come() -> None:
    def datasets() -> Iterator[Dataset]:
        for number, transfer_syntax in enumerate([wire.EXPLICIT, wire.IMPLICIT] * 2):
            dataset = Dataset()
            dataset.SOPClassUID, dataset.SOPInstanceUID = wire.CT_IMAGE_STORAGE, f"1.2.{number}"
            dataset.PatientName = "Trần^Thị B"
            dataset.SpecificCharacterSet = "ISO_IR 192"
            dataset.ensure_file_meta()
            dataset.file_meta.TransferSyntaxUID = transfer_syntax
            yield dataset

    with pynetdicom_scp({wire.CT_IMAGE_STORAGE: [wire.EXPLICIT, wire.IMPLICIT]}) as scp:
        sent = list(scu.send_instances(HOST, scp.port, "OTHER", datasets()))
    assert sent == [(f"1.2.{number}", 0x0000) for number in range(4)]
    assert [event.context.transfer_syntax for event in scp.requests] == [wire.EXPLICIT, wire.IMPLICIT] * 2
    assert {str(event.dataset.PatientName) for event in scp.requests} == {"Trần^Thị B"}


def test_a_status_of_the_peer_is_passed_on(tmp_path: Path) -> None:
    path = small_file(tmp_path)
    with pynetdicom_scp({wire.CT_IMAGE_STORAGE: [wire.EXPLICIT]}, status=0xA700) as scp:
        assert list(scu.send_instances(HOST, scp.port, "OTHER", [path])) == [("1.2.3", 0xA700)]


def test_what_the_peer_does_not_take_is_reported_and_the_rest_is_sent(tmp_path: Path) -> None:
    paths = [small_file(tmp_path, "1.2.1", MR_IMAGE_STORAGE), small_file(tmp_path, "1.2.2")]
    with pynetdicom_scp({wire.CT_IMAGE_STORAGE: [wire.EXPLICIT]}) as scp:
        sent = list(scu.send_instances(HOST, scp.port, "OTHER", paths))
    assert sent == [("1.2.1", 0x0122), ("1.2.2", 0x0000)]


def test_more_kinds_than_an_association_has_contexts_are_sent_over_several(tmp_path: Path) -> None:
    kinds = list(
        product(list(sop_class._STORAGE_CLASSES.values())[:50], [wire.EXPLICIT, wire.IMPLICIT, "1.2.3"])
    )
    paths = [small_file(tmp_path, f"1.2.{number}", *kind) for number, kind in enumerate(kinds)]
    with pynetdicom_scp({kinds[0][0]: [wire.EXPLICIT], kinds[-1][0]: [wire.IMPLICIT]}) as scp:
        sent = list(scu.send_instances(HOST, scp.port, "OTHER", paths))
    assert [uid for uid, status in sent if status == 0x0000] == ["1.2.0", "1.2.148"]
    assert len({event.assoc for event in scp.requests}) == 2


def test_files_that_do_not_say_what_they_are_are_refused(tmp_path: Path) -> None:
    no_dicom, long_uid = tmp_path / "no.dcm", small_file(tmp_path, "1." + "2" * 63)
    no_dicom.write_bytes(bytes(500))
    with pytest.raises(UnreadableInstance):
        list(scu.send_instances(HOST, 1, "OTHER", [no_dicom]))
    with pytest.raises(InvalidUid):
        list(scu.send_instances(HOST, 1, "OTHER", [long_uid]))


def test_a_caller_that_stops_early_releases_the_association(tmp_path: Path) -> None:
    paths = [small_file(tmp_path, "1.2.1"), small_file(tmp_path, "1.2.2")]
    with pynetdicom_scp({wire.CT_IMAGE_STORAGE: [wire.EXPLICIT]}) as scp:
        sending = scu.send_instances(HOST, scp.port, "OTHER", iter(paths))
        next(sending)
        sending.close()
        assert scp.released.wait(10)
    assert len(scp.requests) == 1


def test_an_error_inside_a_message_aborts_the_association() -> None:
    offer = (wire.CT_IMAGE_STORAGE, wire.EXPLICIT)

    def dataset() -> Iterator[bytes]:
        yield bytes(200_000)
        raise OSError("the disk is gone")

    with pynetdicom_scp({offer[0]: [offer[1]]}) as scp:
        with (
            pytest.raises(OSError, match="the disk is gone"),
            RequestedAssociation(Peer(HOST, scp.port, "OTHER"), "FILMLESS", [offer], 5) as association,
        ):
            context = association.find_context(*offer)
            assert context is not None
            association.perform(
                context, CommandField.C_STORE_RQ, [(Element.AFFECTED_SOP_INSTANCE_UID, "1.2")], dataset()
            )
        assert scp.aborted.wait(10)
    assert scp.requests == []
