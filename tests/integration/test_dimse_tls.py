"""DICOM over TLS: who shows a certificate that counts comes in, and nobody else (PS3.15 B.12, B.13)."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from pacs.dimse.c_echo import VERIFICATION_SOP_CLASS
from pacs.dimse.command import CommandField, Element
from pacs.dimse.limits import Limits
from pacs.dimse.listener import open_port
from pacs.dimse.requestor import Peer, PeerUnreachable, RequestedAssociation
from pacs.dimse.scu import verify, verify_peer
from pacs.dimse.secure_transport import Credentials, acceptor_context, requestor_context
from pacs.errors import SettingsError
from tests.backends import fresh_archive
from tests.certificates import Authority
from tests.data import program
from tests.datasets import encode, encode_file, make_dataset
from tests.integration.dimse_peers import HOST, Shelf, listening, serving

LIMITS = Limits(tls_handshake_timeout_s=1.0, close_timeout_s=0.3)
OFFER = (VERIFICATION_SOP_CLASS, str(ExplicitVRLittleEndian))


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.create(tmp_path / "hospital")


@contextlib.contextmanager
def serving_tls(shelf: Shelf, credentials: Credentials) -> Iterator[tuple[int, int]]:
    """A listener with both ports; gives the plain one and the one that speaks TLS."""
    door = open_port(HOST, 0)
    port = int(door.getsockname()[1])
    with serving(shelf, LIMITS, secure=(door, acceptor_context(credentials))) as listener:
        yield listener.port, port


def echo(port: int, tls: ssl.SSLContext) -> int:
    with RequestedAssociation(Peer(HOST, port, "FILMLESS", tls), "CT", [OFFER], 5) as association:
        context = association.find_context(*OFFER)
        assert context is not None
        return association.perform(context, CommandField.C_ECHO_RQ, ()).command.required_number(
            Element.STATUS
        )


def dcmtk(command: str, port: int, device: Credentials | None, *more: str | Path) -> int:
    shown: list[str | Path] = []
    if device is not None:
        shown = ["+tls", device.key, device.certificate, "+cf", device.authorities]
    done = subprocess.run(
        [program(command), "-aec", "FILMLESS", *shown, HOST, str(port), *more],
        capture_output=True,
        timeout=20,
        check=False,
    )
    return done.returncode


def test_a_device_with_a_certificate_of_the_hospital_stores_over_tls(
    authority: Authority, tmp_path: Path
) -> None:
    shelf, dataset = Shelf(), make_dataset(Rows=512, Columns=512, PixelData=bytes(512 * 512 * 2))
    file = tmp_path / "ct.dcm"
    file.write_bytes(encode_file(dataset))
    with serving_tls(shelf, authority.issue("pacs")) as (_, port):
        assert dcmtk("echoscu", port, authority.issue("ct")) == 0
        assert dcmtk("storescu", port, authority.issue("mr"), file) == 0
    assert shelf.kept_uids == [dataset.SOPInstanceUID]
    assert shelf.kept[0][2] == encode(dataset)


def test_what_we_send_over_tls_arrives_byte_for_byte(authority: Authority) -> None:
    shelf, dataset = Shelf(), make_dataset(Rows=1024, Columns=1024, PixelData=bytes(range(256)) * 8192)
    offer = (str(CTImageStorage), str(ExplicitVRLittleEndian))
    with serving_tls(shelf, authority.issue("pacs")) as (_, port):
        tls = requestor_context(authority.issue("other"))
        with RequestedAssociation(Peer(HOST, port, "FILMLESS", tls), "CT", [offer], 5) as association:
            context = association.find_context(*offer)
            assert context is not None
            elements: list[tuple[Element, int | str]] = [
                (Element.PRIORITY, 0),
                (Element.AFFECTED_SOP_INSTANCE_UID, dataset.SOPInstanceUID),
            ]
            encoded = encode(dataset)
            answer = association.perform(context, CommandField.C_STORE_RQ, elements, [encoded])
            assert answer.command.required_number(Element.STATUS) == 0
    assert shelf.kept[0][2] == encoded


def test_the_port_without_tls_goes_on_beside_it(authority: Authority) -> None:
    with serving_tls(Shelf(), authority.issue("pacs")) as (plain, _):
        assert verify(HOST, plain, "FILMLESS") >= 0
        assert dcmtk("echoscu", plain, None) == 0


def expired(ours: Authority, _: Authority) -> Credentials:
    return ours.issue("expired", expired=True)


def of_another_authority(ours: Authority, others: Authority) -> Credentials:
    return others.issue("stranger", trusts=ours.file)


@pytest.mark.parametrize("device", [expired, of_another_authority])
def test_a11_a_certificate_that_does_not_count_is_refused(
    device: Callable[[Authority, Authority], Credentials],
    authority: Authority,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    credentials = device(authority, Authority.create(tmp_path / "others"))
    with caplog.at_level(logging.WARNING), serving_tls(Shelf(), authority.issue("pacs")) as (_, port):
        assert dcmtk("echoscu", port, credentials) != 0
        with pytest.raises(PeerUnreachable):
            echo(port, requestor_context(credentials))
        assert echo(port, requestor_context(authority.issue("ct"))) == 0
    assert "TLS with 127.0.0.1 did not come about" in caplog.text


def test_a11_a_revoked_certificate_is_refused(authority: Authority) -> None:
    lost, kept = authority.issue("lost"), authority.issue("kept")
    ours = authority.issue("pacs")
    authority.revoke([lost])
    with serving_tls(Shelf(), ours) as (_, port):
        assert echo(port, requestor_context(kept)) == 0
        with pytest.raises(PeerUnreachable):
            echo(port, requestor_context(lost))


def test_a11_who_shows_no_certificate_is_refused(authority: Authority) -> None:
    nobody = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    nobody.check_hostname = False
    nobody.load_verify_locations(authority.file)
    with serving_tls(Shelf(), authority.issue("pacs")) as (_, port), pytest.raises(PeerUnreachable):
        echo(port, nobody)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_a11_old_versions_of_tls_are_refused(
    version: ssl.TLSVersion, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    """For their version: that they have none of our cipher suites either would be another fence."""
    old = requestor_context(authority.issue("old"))
    with pytest.warns(DeprecationWarning):
        old.minimum_version = old.maximum_version = version
    old.set_ciphers("ALL:@SECLEVEL=0")
    with serving_tls(Shelf(), authority.issue("pacs")) as (_, port), pytest.raises(PeerUnreachable):
        echo(port, old)
    assert "unsupported protocol" in caplog.text


@pytest.mark.parametrize("ciphers", ["AES256-SHA", "ECDHE-RSA-AES128-SHA", "ECDHE-ECDSA-AES128-SHA256"])
def test_a11_weak_cipher_suites_are_refused(ciphers: str, authority: Authority) -> None:
    weak = requestor_context(authority.issue("weak"))
    weak.maximum_version = ssl.TLSVersion.TLSv1_2
    weak.set_ciphers(ciphers)
    with serving_tls(Shelf(), authority.issue("pacs")) as (_, port), pytest.raises(PeerUnreachable):
        echo(port, weak)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_versions_of_tls_are_spoken(version: ssl.TLSVersion, authority: Authority) -> None:
    context = requestor_context(authority.issue("ct"))
    context.minimum_version = context.maximum_version = version
    with serving_tls(Shelf(), authority.issue("pacs")) as (_, port):
        assert echo(port, context) == 0


def test_nothing_is_sent_to_an_archive_whose_certificate_does_not_count(
    authority: Authority, tmp_path: Path
) -> None:
    false_pacs = Authority.create(tmp_path / "others").issue("pacs", trusts=authority.file)
    with serving_tls(Shelf(), false_pacs) as (_, port), pytest.raises(PeerUnreachable):
        echo(port, requestor_context(authority.issue("ct")))


def test_plain_dicom_on_the_port_of_tls_is_no_way_in(authority: Authority) -> None:
    with serving_tls(Shelf(), authority.issue("pacs")) as (_, port), pytest.raises(PeerUnreachable):
        verify(HOST, port, "FILMLESS")


def test_a5_who_never_shakes_hands_is_dropped_in_time_and_holds_up_nobody(authority: Authority) -> None:
    with serving_tls(Shelf(), authority.issue("pacs")) as (_, port), contextlib.ExitStack() as silent:
        tls, begin = requestor_context(authority.issue("ct")), time.monotonic()
        crowd = [silent.enter_context(socket.create_connection((HOST, port))) for _ in range(50)]
        assert echo(port, tls) == 0
        assert time.monotonic() - begin < LIMITS.tls_handshake_timeout_s
        for one in crowd:
            one.settimeout(10)
            with contextlib.suppress(ConnectionError):
                assert one.recv(1) == b""
        assert time.monotonic() - begin < 10


def test_a5_a_handshake_that_drips_has_a_deadline(authority: Authority) -> None:
    with (
        serving_tls(Shelf(), authority.issue("pacs")) as (_, port),
        socket.create_connection((HOST, port)) as dripping,
    ):
        begin = time.monotonic()
        with contextlib.suppress(ConnectionError):  # by which it ends
            for byte in b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500):
                dripping.sendall(bytes([byte]))
                time.sleep(0.05)
        assert time.monotonic() - begin < 5 * LIMITS.tls_handshake_timeout_s


def test_a_silent_association_over_tls_ends_in_time(authority: Authority) -> None:
    impatient = Limits(network_timeout_s=0.5, close_timeout_s=0.3)
    door = open_port(HOST, 0)
    port = int(door.getsockname()[1])
    secure = (door, acceptor_context(authority.issue("pacs")))
    tls = requestor_context(authority.issue("ct"))
    with serving(Shelf(), impatient, secure=secure):
        association = RequestedAssociation(Peer(HOST, port, "FILMLESS", tls), "CT", [OFFER], 5)
        time.sleep(1.0)
        context = association.find_context(*OFFER)
        assert context is not None
        with pytest.raises(PeerUnreachable):
            association.perform(context, CommandField.C_ECHO_RQ, ())


def fingerprint(credentials: Credentials) -> str:
    pem = credentials.certificate.read_text().split("-----END")[0] + "-----END CERTIFICATE-----"
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()


def test_nothing_is_said_to_a_peer_that_shows_another_certificate_than_its_own(authority: Authority) -> None:
    ours, other = authority.issue("pacs"), authority.issue("ws")
    tls = requestor_context(authority.issue("ct"))
    with serving_tls(Shelf(), ours) as (_, port):
        assert verify_peer(Peer(HOST, port, "FILMLESS", tls, fingerprint(ours))) > 0
        with pytest.raises(PeerUnreachable, match="certificate"):
            verify_peer(Peer(HOST, port, "FILMLESS", tls, fingerprint(other)))


def test_an_archive_starts_with_an_expired_certificate_and_says_so(
    authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ours = authority.issue("pacs", expired=True)
    names = ("CERTIFICATE", "KEY", "AUTHORITIES")
    files = {f"FILMLESS_DICOM_TLS_{name}": str(file) for name, file in zip(names, ours, strict=True)}
    settings = {**files, "FILMLESS_DICOM_TLS_PORT": "0"}
    with fresh_archive("sqlite-folder", tmp_path, settings) as archive, listening(archive) as port:
        assert verify("127.0.0.1", port, "FILMLESS") > 0
    (message,) = (one for one in caplog.messages if "DICOM_TLS_CERTIFICATE" in one)
    assert message.endswith("pacs.pem: certificate has expired; devices will refuse it")


@pytest.mark.parametrize("missing", ["certificate", "key", "authorities"])
def test_files_that_cannot_be_used_are_named(missing: str, authority: Authority) -> None:
    credentials = authority.issue("pacs")
    broken = credentials._replace(**{missing: Path("/nowhere.pem")})
    with pytest.raises(SettingsError, match=r"DICOM_TLS_.*nowhere\.pem.*No such file"):
        acceptor_context(broken)
    getattr(credentials, missing).write_text("nothing of the kind")
    with pytest.raises(SettingsError, match=f"DICOM_TLS_{missing.upper()}="):
        acceptor_context(credentials)
