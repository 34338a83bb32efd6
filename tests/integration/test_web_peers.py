"""Peers over HTTP: they are sent to by STOW-RS, and fetched from by QIDO-RS and WADO-RS."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from pacs.archive import Archive
from pacs.dicomweb.connection import WebConnection
from pacs.dimse.requestor import PeerRejected, PeerUnreachable
from pacs.index.known_peers import KnownPeer
from pacs.index.send_jobs import SendJob, SendState
from pacs.jobs.fetching.wanted import Progress, Receiver, Wanted, fetch_wanted
from pacs.jobs.fetching.web_source import WebSource
from pacs.jobs.sending.sender import Sender
from pacs.sending import send_studies
from tests.backends import fresh_archive
from tests.certificates import Authority
from tests.http_server import serving
from tests.integration.dimse_peers import eventually
from tests.integration.retrieval_peers import HOST, STUDY_UID, filled_archive, store
from tests.integration.test_dimse_tls import fingerprint
from tests.integration.test_fetching import counts, datasets

RLE = "1.2.840.10008.1.2.5"


@pytest.fixture
def remote(tmp_path: Path) -> Iterator[tuple[Archive, str]]:
    """Another archive with a study of five instances, and the URL of its DICOMweb service."""
    folder = tmp_path / "remote"
    folder.mkdir()
    with filled_archive(folder, 5) as (there, _, _), serving(there) as port:
        yield there, f"http://{HOST}:{port}/dicom-web"


@pytest.fixture
def sender(archive: Archive) -> Iterator[Sender]:
    one = Sender(archive)
    yield one
    one.end()


def peer(url: str, **more: Any) -> KnownPeer:
    return KnownPeer("WEB", dicomweb_url=url, **more)


def source(archive: Archive, url: str) -> WebSource:
    return WebSource(WebConnection(peer(url), archive.settings))


def fetch(archive: Archive, url: str, wanted: Wanted) -> Progress:
    progress = Progress()
    fetch_wanted(source(archive, url), wanted, Receiver(archive, "WEB", progress, Event()))
    return progress


def wish(archive: Archive) -> SendJob:
    return send_studies(archive, [STUDY_UID], "WEB", origin="test")[0]


def perform(sender: Sender) -> None:
    sender.begin_due()
    sender.wait()


def now(archive: Archive, job: SendJob) -> SendJob:
    return archive.index.send_jobs.find(job.job_id)


@pytest.mark.parametrize("wanted", [Wanted(STUDY_UID), Wanted(patient_id="BN0001")])
def test_a_study_is_fetched_over_http_as_it_is_stored_and_only_what_is_missing(
    archive: Archive, remote: tuple[Archive, str], wanted: Wanted
) -> None:
    there, url = remote
    assert counts(fetch(archive, url, wanted)) == (1, 5, 0, 0)
    assert datasets(archive) == datasets(there)
    store(there, 6)
    assert counts(fetch(archive, url, wanted)) == (1, 1, 5, 0)
    assert counts(fetch(archive, url, Wanted("1.2.3"))) == (0, 0, 0, 0)


def test_a_study_is_sent_over_http_as_it_is_stored(
    archive: Archive, remote: tuple[Archive, str], sender: Sender
) -> None:
    there, url = remote
    uids = [store(archive, number) for number in range(11, 14)]
    archive.index.peers.put(peer(url))
    job = wish(archive)
    perform(sender)
    assert (now(archive, job).state, now(archive, job).sent) == (SendState.DONE, 3)
    ours, theirs = datasets(archive), datasets(there)
    assert {uid: theirs[uid] for uid in uids} == ours


@dataclass
class Answers:
    """An HTTP server that answers as it is told, and counts."""

    status: int = 200
    body: bytes = b"{}"
    content_type: str = "application/dicom+json"
    got: list[bytes] = field(default_factory=list)
    close: bool = False

    @contextlib.contextmanager
    def running(self, tls: ssl.SSLContext | None = None) -> Iterator[str]:
        answers = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                answers.got.append(self.rfile.read(int(self.headers["Content-Length"])))
                self.do_GET()

            def do_GET(self) -> None:
                self.send_response(answers.status)
                self.send_header("Content-Type", answers.content_type)
                self.send_header("Content-Length", str(len(answers.body)))
                self.end_headers()
                self.wfile.write(answers.body)
                self.close_connection = answers.close

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer((HOST, 0), Handler)
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"{'https' if tls else 'http'}://{HOST}:{server.server_port}"
        finally:
            server.shutdown()
            server.server_close()


def failed(reason: int) -> bytes:
    item = {"00081197": {"vr": "US", "Value": [reason]}}
    return json.dumps({"00081198": {"vr": "SQ", "Value": [item]}}).encode()


def warned(reason: int) -> bytes:
    item = {"00081196": {"vr": "US", "Value": [reason]}}
    return json.dumps({"00081199": {"vr": "SQ", "Value": [item]}}).encode()


@pytest.mark.parametrize(
    ("status", "body", "state", "told"),
    [
        (200, b"{}", SendState.DONE, (1, 0, 0)),
        (202, warned(0xB000), SendState.DONE, (1, 1, 0)),
        (409, failed(0xA900), SendState.FAILED, (0, 0, 1)),
        (409, failed(0xA700), SendState.WAITING, (0, 0, 0)),
        (202, failed(0xC122), SendState.FAILED, (0, 0, 1)),
        (202, failed(0xC213), SendState.FAILED, (0, 0, 1)),
        (200, b'{"00081198": {"vr": "SQ", "Value": [{}]}}', SendState.FAILED, (0, 0, 1)),
        (400, b"no json", SendState.FAILED, (0, 0, 1)),
        (413, b"", SendState.FAILED, (0, 0, 1)),
        (503, b"later", SendState.WAITING, (0, 0, 0)),
        (401, b"", SendState.WAITING, (0, 0, 0)),
        (302, b"", SendState.WAITING, (0, 0, 0)),
        (404, b"", SendState.WAITING, (0, 0, 0)),
    ],
)
def test_answers_of_a_web_peer_are_heeded(
    archive: Archive, sender: Sender, status: int, body: bytes, state: SendState, told: tuple[int, int, int]
) -> None:
    store(archive, 1)
    with Answers(status, body).running() as url:
        archive.index.peers.put(peer(url))
        job = wish(archive)
        perform(sender)
        after = now(archive, job)
        assert (after.state, (after.sent, after.warned, after.refused)) == (state, told)


def test_a_connection_that_was_closed_meanwhile_is_made_anew(archive: Archive, sender: Sender) -> None:
    for number in range(3):
        store(archive, number + 1)
    answers = Answers(close=True)
    with answers.running() as url:
        archive.index.peers.put(peer(url))
        job = wish(archive)
        perform(sender)
        assert now(archive, job).state is SendState.DONE
        assert len(answers.got) == 3


def test_a_web_peer_that_is_away_gets_all_of_it_when_it_is_back(
    archive: Archive, sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pacs.jobs.sending.run._FIRST_PAUSE_S", 0.1)
    monkeypatch.setattr("pacs.jobs.sending.sender._FIRST_REST_S", 0.1)
    store(archive, 1)
    archive.index.peers.put(peer(f"http://{HOST}:1"))
    job = wish(archive)
    perform(sender)
    assert now(archive, job).state is SendState.WAITING
    assert "does not answer over HTTP" in (now(archive, job).last_error or "")
    answers = Answers()
    with answers.running() as url:
        archive.index.peers.put(peer(url))
        eventually(lambda: perform(sender) is None and now(archive, job).state is SendState.DONE)
        assert len(answers.got) == 1


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (500, b"", "500"),
        (200, b'{"a": 1}', "200"),
        (200, b'[{"0020000D": {"Value": ["../x"]}}]', "UID"),
        (200, b"[{}]", "UID"),
        (200, b"[" * 100_000, "200"),
    ],
)
def test_odd_answers_to_a_search_are_refused(archive: Archive, status: int, body: bytes, told: str) -> None:
    with Answers(status, body).running() as url, pytest.raises(PeerRejected, match=told):
        fetch(archive, url, Wanted(STUDY_UID))


def test_a_search_that_knows_no_pages_ends(archive: Archive) -> None:
    (listed,) = [{"0020000D": {"Value": [STUDY_UID]}}]
    with Answers(body=json.dumps([listed]).encode()).running() as url:
        found = source(archive, url).find_studies(Wanted(STUDY_UID))
        assert [study.study_instance_uid for study in found] == [STUDY_UID]


def test_what_is_no_instance_is_told_and_the_archive_that_is_away_too(archive: Archive) -> None:
    study = {"0020000D": {"Value": ["1.2"]}, "0020000E": {"Value": ["1.3"]}, "00080018": {"Value": ["1.4"]}}
    with Answers(body=json.dumps([study]).encode()).running() as url:
        progress = fetch(archive, url, Wanted("1.2"))
        assert list(progress.failed) == ["1.4"]
        assert archive.index.is_empty()
    with pytest.raises(PeerUnreachable):
        fetch(archive, f"http://{HOST}:1", Wanted("1.2"))


def test_a_web_peer_is_believed_by_its_certificate_only(tmp_path: Path) -> None:
    hospital, stranger = (Authority.create(tmp_path / name) for name in ("hospital", "stranger"))
    theirs, other = hospital.issue(HOST), stranger.issue(HOST)
    settings = {"FILMLESS_DICOM_TLS_AUTHORITIES": str(hospital.file)}
    answers = Answers()
    with fresh_archive("sqlite-folder", tmp_path, settings) as archive:
        sender = Sender(archive)
        store(archive, 1)
        for credentials, pinned, state in (
            (other, None, SendState.WAITING),  # of an authority that nobody knows
            (theirs, "ab" * 32, SendState.WAITING),
            (theirs, fingerprint(theirs), SendState.DONE),
        ):
            tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            tls.load_cert_chain(credentials.certificate, credentials.key)
            with answers.running(tls) as url:
                archive.index.peers.put(peer(url, certificate_sha256=pinned))
                job = wish(archive)
                sender._rests.clear()
                perform(sender)
                assert now(archive, job).state is state
        assert len(answers.got) == 1
        sender.end()
