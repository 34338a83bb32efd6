"""What is negotiated with an association besides its contexts, and how it ends, over real sockets."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from pynetdicom import AE, build_role
from pynetdicom.pdu_items import UserIdentitySubItemRQ
from pynetdicom.pdu_primitives import (
    AsynchronousOperationsWindowNegotiation,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)

from pacs.archive import open_archive
from pacs.dimse.callers import Reception
from pacs.dimse.limits import Limits
from pacs.dimse.listener import Listener, open_listener
from pacs.dimse.pdu import ContextResult
from pacs.dimse.requestor import Peer as Target
from pacs.dimse.requestor import RequestedAssociation
from pacs.dimse.user_identity import IdentityCheck
from pacs.settings import Settings
from tests.integration.dimse_peers import HOST, Peer, Shelf, association_threads, eventually, serving
from tests.unit.pacs.dimse import wire


@pytest.fixture
def listener() -> Iterator[Listener]:
    with serving(Shelf()) as listener:
        yield listener


def test_everything_that_pynetdicom_can_negotiate_is_answered(listener: Listener) -> None:
    window = AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked, window.maximum_number_operations_performed = 5, 5
    extended, common = SOPClassExtendedNegotiation(), SOPClassCommonExtendedNegotiation()
    extended.sop_class_uid, extended.service_class_application_information = wire.CT_IMAGE_STORAGE, bytes(6)
    common.sop_class_uid, common.service_class_uid = wire.CT_IMAGE_STORAGE, "1.2.840.10008.4.2"
    role = build_role(wire.CT_IMAGE_STORAGE, scu_role=True, scp_role=True)
    ae = AE("TEST")
    ae.add_requested_context(wire.CT_IMAGE_STORAGE, wire.EXPLICIT)
    association = ae.associate(
        HOST, listener.port, ae_title="FILMLESS", ext_neg=[window, extended, common, role]
    )
    assert association.is_established
    acceptor = association.acceptor
    assert acceptor.asynchronous_operations == (1, 1)
    assert acceptor.sop_class_extended == {wire.CT_IMAGE_STORAGE: bytes((2, 0, 3, 0, 0, 0))}
    roles = acceptor.role_selection[wire.CT_IMAGE_STORAGE]
    assert (roles.scu_role, roles.scp_role) == (True, False)
    (context,) = association.accepted_contexts
    assert (context.as_scu, context.as_scp) == (True, False)
    association.release()


def test_nothing_is_answered_that_was_not_proposed(listener: Listener) -> None:
    peer = Peer(listener.port)
    peer.send(wire.associate_request())
    acceptance = peer.read_pdu()
    user = acceptance[acceptance.index(b"\x50\0", 74) + 4 :]
    kinds = []
    while user:
        (length,) = struct.unpack_from(">xxH", user)
        kinds.append(user[0])
        user = user[4 + length :]
    assert kinds == [0x51, 0x52, 0x55]
    peer.release()


def test_a_sender_of_objects_of_no_study_learns_at_once_that_they_are_not_taken(listener: Listener) -> None:
    ae = AE("TEST")
    ae.add_requested_context(wire.CT_IMAGE_STORAGE, wire.EXPLICIT)
    ae.add_requested_context("1.2.840.10008.5.1.4.38.1", wire.EXPLICIT)  # Hanging Protocol Storage
    association = ae.associate(HOST, listener.port, ae_title="FILMLESS")
    assert [one.abstract_syntax for one in association.accepted_contexts] == [wire.CT_IMAGE_STORAGE]
    (refused,) = association.rejected_contexts
    assert refused.result == ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED
    association.release()


def test_a_context_of_which_we_would_be_scu_is_rejected(listener: Listener) -> None:
    ae = AE("TEST")
    ae.add_requested_context(wire.CT_IMAGE_STORAGE, wire.EXPLICIT)
    ae.add_requested_context(wire.VERIFICATION)
    role = build_role(wire.CT_IMAGE_STORAGE, scp_role=True)
    association = ae.associate(HOST, listener.port, ae_title="FILMLESS", ext_neg=[role])
    assert [c.abstract_syntax for c in association.accepted_contexts] == [wire.VERIFICATION]
    assert [c.result for c in association.rejected_contexts] == [1]
    association.release()


@pytest.mark.parametrize("kind", [1, 2, 3, 4, 5])
def test_a10_an_identity_gets_no_positive_response_and_its_secret_is_not_logged(
    listener: Listener, caplog: pytest.LogCaptureFixture, kind: int
) -> None:
    """Without logins there are no users: PS3.7 D.3.3.7 has the association accepted without a response."""
    identity = UserIdentityNegotiation()
    identity.user_identity_type, identity.positive_response_requested = kind, True
    identity.primary_field, identity.secondary_field = b"somebody", b"passw0rd" if kind == 2 else b""
    ae = AE("CT01")
    ae.add_requested_context(wire.VERIFICATION)
    caplog.set_level("DEBUG", "pacs")
    association = ae.associate(HOST, listener.port, ae_title="FILMLESS", ext_neg=[identity])
    assert association.is_established
    assert association.acceptor.user_identity is None
    assert association.send_c_echo().Status == 0x0000
    association.release()
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("pacs")]
    assert not any("passw0rd" in line or "somebody" in line for line in ours)
    assert any("passcode or token" in line for line in ours) == (kind != 1)


class TwoUsers:
    """Logins of a name with a passcode, and of a token."""

    def find_by_passcode(self, user_name: str, passcode: bytes) -> str | None:
        return user_name if (user_name, passcode) == ("Bác sĩ Ước", b"passw0rd") else None

    def find_by_token(self, token: bytes) -> str | None:
        return "robot" if token == b"header.claims.signature" else None


PASSCODE = (2, "Bác sĩ Ước".encode(), b"passw0rd")
TOKEN = (5, b"header.claims.signature", b"")


def identity_of(user: tuple[int, bytes, bytes], *, wants_answer: bool = True) -> UserIdentityNegotiation:
    identity = UserIdentityNegotiation()
    identity.positive_response_requested = wants_answer
    identity.user_identity_type, identity.primary_field, identity.secondary_field = user
    return identity


def associate_as(port: int, identities: Sequence[UserIdentityNegotiation]) -> Any:
    ae = AE("CT01")
    ae.add_requested_context(wire.VERIFICATION)
    return ae.associate(HOST, port, ae_title="FILMLESS", ext_neg=list(identities))


def rejection_of(port: int, user: tuple[int, bytes, bytes] | None) -> bytes:
    """The A-ASSOCIATE-RJ byte by byte: pynetdicom now and then takes one, and the closing, for an abort."""
    item = UserIdentitySubItemRQ()
    if user is not None:
        item.from_primitive(identity_of(user))
    peer = Peer(port)
    peer.send(wire.associate_request(user_items=item.encode() if user else b""))
    return peer.read_all()


@pytest.mark.parametrize(
    ("user", "response"), [(PASSCODE, b""), (TOKEN, TOKEN[1])], ids=["passcode", "token"]
)
@pytest.mark.parametrize("wants_answer", [True, False])
def test_a_user_whom_the_logins_know_is_let_in_and_answered_if_it_wants(
    user: tuple[int, bytes, bytes], response: bytes, wants_answer: bool
) -> None:
    with serving(Shelf(), entity={"identity_check": IdentityCheck(TwoUsers(), required=True)}) as listener:
        association = associate_as(listener.port, [identity_of(user, wants_answer=wants_answer)])
        assert association.is_established
        answer = association.acceptor.user_identity
        assert (answer and answer.server_response) == (response if wants_answer else None)
        assert association.send_c_echo().Status == 0x0000
        association.release()


@pytest.mark.parametrize(
    "user",
    [(2, PASSCODE[1], b"passw0rd!"), (2, b"\xff", b"passw0rd"), (5, b"header.claims.forged", b"")],
    ids=["another passcode", "no name", "another token"],
)
def test_a10_a_wrong_passcode_or_token_is_rejected_and_not_logged(
    user: tuple[int, bytes, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", "pacs")
    with serving(Shelf(), entity={"identity_check": IdentityCheck(TwoUsers())}) as listener:
        assert rejection_of(listener.port, user) == wire.pdu(3, bytes((0, 1, 2, 1)))
    ours = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("pacs"))
    assert "the user is not let in" in ours
    assert not any(secret in ours for secret in ("passw0rd", "Ước", "forged", "header"))


@pytest.mark.parametrize("required", [False, True])
@pytest.mark.parametrize(
    "user",
    [None, (1, b"somebody", b""), (3, b"ticket", b""), (4, b"<saml/>", b"")],
    ids=["no identity", "a name alone", "Kerberos", "SAML"],
)
def test_who_does_not_prove_its_identity_is_nobody_in_particular_or_rejected(
    user: tuple[int, bytes, bytes] | None, required: bool
) -> None:
    with serving(Shelf(), entity={"identity_check": IdentityCheck(TwoUsers(), required)}) as listener:
        if required:
            assert rejection_of(listener.port, user) == wire.pdu(3, bytes((0, 1, 2, 1)))
            return
        association = associate_as(listener.port, [identity_of(user)] if user else [])
        assert association.is_established
        assert association.acceptor.user_identity is None
        association.release()


def test_a9_who_guesses_passcodes_is_put_off() -> None:
    entity = {"identity_check": IdentityCheck(TwoUsers()), "reception": Reception(["FILMLESS"])}
    with serving(Shelf(), entity=entity) as listener:
        for number in range(10):
            assert rejection_of(listener.port, (2, PASSCODE[1], b"%d" % number))[7:] == bytes((1, 2, 1))
        assert rejection_of(listener.port, PASSCODE)[7] == 2  # for the time being


def test_a_peer_that_invokes_two_operations_at_once_gets_two_answers(listener: Listener) -> None:
    peer = Peer(listener.port).associate()
    peer.send(wire.echo_request() * 2)
    assert (peer.status(), peer.status()) == (0x0000, 0x0000)
    peer.release()


def test_one_address_gets_no_more_associations_than_its_share() -> None:
    with serving(Shelf(), max_associations=9, max_associations_per_peer=1) as listener:
        first, second = Peer(listener.port).associate(), Peer(listener.port)
        second.send(wire.associate_request())
        assert second.read_all() == wire.pdu(3, bytes((0, 2, 3, 2)))
        with socket.create_connection((HOST, listener.port), source_address=("127.0.0.2", 0)) as other:
            other.sendall(wire.associate_request())
            assert other.recv(1) == b"\2"
        first.release()


def test_a_long_pdu_is_taken_when_it_was_announced() -> None:
    shelf = Shelf()
    with serving(shelf, Limits(max_pdu_length=2**20, close_timeout_s=0.3)) as listener:
        peer = Peer(listener.port).associate()
        data = bytes(range(256)) * 4000
        peer.send(wire.store_command() + wire.p_data(wire.pdv(3, data)))
        assert peer.status() == 0x0000
        peer.release()
    assert [received for _, _, received in shelf.kept] == [data]


def test_the_settings_are_the_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # no settings file of the developer
    settings = Settings(
        data_dir=tmp_path / "data",
        dicom_port=0,
        associate_timeout_s=0.3,
        max_associations_per_peer=1,
        max_command_size_bytes=1024,
        max_pdu_length=16384,
    )
    archive = open_archive(settings)
    listener = open_listener(archive)
    thread = threading.Thread(target=listener.serve_forever)
    thread.start()
    try:
        assert Peer(listener.port).read_all() == wire.ABORT_BY_USER
        peer = Peer(listener.port)
        peer.send(wire.associate_request())
        assert wire.item(0x51, struct.pack(">I", 16384)) in peer.read_pdu()
        second = Peer(listener.port)
        second.send(wire.associate_request())
        assert second.read_all() == wire.pdu(3, bytes((0, 2, 3, 2)))
        peer.send(wire.p_data(wire.pdv(1, bytes(1025), is_command=True)))
        assert peer.read_all() == wire.ABORT_BY_USER
    finally:
        listener.stop()
        thread.join(20)
        archive.close()


# --- how an association ends (PS3.8 9.2) ------------------------------------------------------------------


@pytest.mark.parametrize(
    "last_words", [b"", wire.echo_request(), bytes(100)], ids=["silence", "echo", "noise"]
)
def test_a_peer_that_does_not_close_after_the_release_is_closed_by_artim(
    listener: Listener, last_words: bytes
) -> None:
    peer = Peer(listener.port).associate()
    peer.send(wire.RELEASE_RQ)
    assert peer.read_pdu() == wire.RELEASE_RP
    peer.send(last_words)
    assert peer.read_all() == b""
    eventually(lambda: association_threads() == 0)


def test_a_rejected_peer_that_does_not_close_is_closed_by_artim(listener: Listener) -> None:
    peer = Peer(listener.port)
    peer.send(wire.associate_request(called="OTHER"))
    assert peer.read_pdu()[0] == 3
    peer.send(wire.associate_request())  # not heard any more
    eventually(lambda: association_threads() == 0)


@pytest.mark.parametrize(
    "before", [b"", wire.associate_request()], ids=["Sta2, no association yet", "Sta6, associated"]
)
def test_an_abort_of_the_peer_is_answered_by_closing(listener: Listener, before: bytes) -> None:
    peer = Peer(listener.port)
    peer.send(before)
    if before:
        assert peer.read_pdu()[0] == 2
    peer.send(wire.ABORT_BY_USER)
    assert peer.read_all() == b""
    eventually(lambda: association_threads() == 0)


def test_a_release_that_crosses_ours_is_answered(caplog: pytest.LogCaptureFixture) -> None:
    """PS3.8 9.2.3: as requestor we answer the A-RELEASE-RQ of the acceptor, and then wait for its reply."""
    heard: list[bytes] = []

    def accept_and_release(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            connection.recv(65536)
            context = wire.item(0x21, b"\1\0\0\0" + wire.item(0x40, wire.IMPLICIT.encode()))
            connection.sendall(wire.pdu(2, bytes(68) + context) + wire.RELEASE_RQ)
            while len(b"".join(heard)) < 20:
                heard.append(connection.recv(65536))
            connection.sendall(wire.RELEASE_RP)
            heard.append(connection.recv(1))

    with socket.create_server((HOST, 0)) as listening:
        thread = threading.Thread(target=accept_and_release, args=(listening,))
        thread.start()
        target = Target(HOST, listening.getsockname()[1], "OTHER")
        with RequestedAssociation(target, "FILMLESS", [(wire.VERIFICATION, wire.IMPLICIT)], 5.0):
            pass
        thread.join(10)
    assert b"".join(heard) == wire.RELEASE_RQ + wire.RELEASE_RP
