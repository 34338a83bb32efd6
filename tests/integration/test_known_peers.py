"""The table of peers on every kind of database, and what it means at the DICOM door."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind

from pacs.archive import Archive
from pacs.dimse.requestor import Peer, PeerRejected, RequestedAssociation
from pacs.dimse.scu import send_instances, verify
from pacs.errors import InvalidRequest, NotFound
from pacs.index.known_peers import KnownPeer, PeerRight
from pacs.ingest import Origin, open_part10, store_instance
from tests.backends import fresh_archive
from tests.datasets import encode_file, make_dataset
from tests.integration.dimse_peers import listening
from tests.integration.find_peers import Searcher

WORKSTATION = KnownPeer(
    "WS1", "10.0.0.5", 104, frozenset({PeerRight.GET}), True, "ISO_IR 100", True, ("1.2.840.10008.1.2",),
    send_hours="22:00-05:00", send_bytes_per_s=10**6, send_at_a_time=3, dicomweb_url="https://ws1.example.vn/dicom-web",
    asks_commitment=True, wants_availability=True, wants_performed_steps=True,
    moves_to=("READING1", "OR/2"),
    own_worklist_only=True,
)  # fmt: skip


def test_peers_are_kept_as_they_were_given(archive: Archive) -> None:
    peers = archive.index.peers
    assert peers.list_all() == []
    peers.add(WORKSTATION)
    peers.add(KnownPeer("CT1"))
    assert peers.list_all() == [KnownPeer("CT1"), WORKSTATION]
    assert peers.find("WS1") == WORKSTATION
    with pytest.raises(InvalidRequest, match="WS1"):
        peers.add(replace(WORKSTATION, port=105))
    assert not peers.put(replace(WORKSTATION, port=105))
    assert peers.find("WS1").port == 105
    assert peers.put(KnownPeer("WS2"))
    peers.remove("WS2")
    for lost in (peers.remove, peers.find):
        with pytest.raises(NotFound, match="WS2"):
            lost("WS2")


def test_peers_outlive_the_index_that_is_made_anew(archive: Archive) -> None:
    archive.index.peers.add(WORKSTATION)
    archive.index.clear()
    assert archive.index.peers.list_all() == [WORKSTATION]


def test_a8_only_peers_are_let_in_where_the_lan_is_not_open(tmp_path: Path) -> None:
    settings = {
        "FILMLESS_LAN_OPEN": "false",
        "FILMLESS_DICOM_PORT": "0",
        "FILMLESS_OTHER_AE_TITLES": '["OLD"]',
    }
    file = tmp_path / "one.dcm"
    file.write_bytes(encode_file(make_dataset()))
    with fresh_archive("sqlite-folder", tmp_path, settings) as archive:
        archive.index.peers.add(KnownPeer("CT1"))
        archive.index.peers.add(KnownPeer("WS1", rights=frozenset({PeerRight.FIND})))
        archive.index.peers.add(KnownPeer("FAR", "192.0.2.1", 104, only_from_host=True))
        with listening(archive) as port:
            for stranger in ("STRANGER", "ct1", "FAR"):
                with pytest.raises(PeerRejected, match="calling AE title not recognised"):
                    verify("127.0.0.1", port, "FILMLESS", calling_ae_title=stranger)
            verify("127.0.0.1", port, "OLD", calling_ae_title="CT1")
            verify("127.0.0.1", port, "FILMLESS", calling_ae_title="FILMLESS")  # a health check
            sent = {
                title: [
                    status
                    for _, status in send_instances(
                        "127.0.0.1", port, "FILMLESS", [file], calling_ae_title=title
                    )
                ]
                for title in ("WS1", "FILMLESS", "CT1")
            }
    assert sent == {"WS1": [0x0124], "FILMLESS": [0x0124], "CT1": [0x0000]}


def test_a8_a_right_that_is_taken_away_is_gone_amid_an_association_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pacs.peers.KEPT_FOR_S", -1.0)
    settings = {"FILMLESS_LAN_OPEN": "false", "FILMLESS_DICOM_PORT": "0"}
    finds = KnownPeer("WS01", rights=frozenset({PeerRight.FIND}))
    with fresh_archive("sqlite-folder", tmp_path, settings) as archive:
        archive.index.peers.add(finds)
        with listening(archive) as port, Searcher(port) as searcher:
            assert searcher.find("STUDY").final == 0x0000
            archive.index.peers.put(replace(finds, rights=frozenset({PeerRight.STORE})))
            assert searcher.find("STUDY").final == 0x0124
            archive.index.peers.put(finds)
            assert searcher.find("STUDY").final == 0x0000
            archive.index.peers.remove("WS01")
            assert searcher.find("STUDY").final == 0x0124


def test_strangers_are_let_in_on_loopback_unless_told_otherwise(tmp_path: Path) -> None:
    with (
        fresh_archive("sqlite-folder", tmp_path, {"FILMLESS_DICOM_PORT": "0"}) as archive,
        listening(archive) as port,
    ):
        verify("127.0.0.1", port, "FILMLESS", calling_ae_title="STRANGER")
        with pytest.raises(PeerRejected, match="called AE title not recognised"):
            verify("127.0.0.1", port, "OLD", calling_ae_title="STRANGER")


def test_a9_who_guesses_too_often_is_put_off(tmp_path: Path) -> None:
    settings = {"FILMLESS_LAN_OPEN": "false", "FILMLESS_DICOM_PORT": "0"}
    with fresh_archive("sqlite-folder", tmp_path, settings) as archive:
        archive.index.peers.add(KnownPeer("CT1"))
        with listening(archive) as port:
            for number in range(10):
                with pytest.raises(PeerRejected, match="calling AE title not recognised"):
                    verify("127.0.0.1", port, "FILMLESS", calling_ae_title=f"GUESS{number}")
            offer = [("1.2.840.10008.1.1", "1.2.840.10008.1.2")]
            with pytest.raises(PeerRejected, match="temporary congestion"):
                RequestedAssociation(Peer("127.0.0.1", port, "FILMLESS"), "CT1", offer, 10)


def test_who_may_not_find_is_refused_and_who_may_is_answered_as_it_can_read(tmp_path: Path) -> None:
    settings = {"FILMLESS_LAN_OPEN": "false", "FILMLESS_DICOM_PORT": "0"}
    find = frozenset({PeerRight.FIND})
    with fresh_archive("sqlite-folder", tmp_path, settings) as archive:
        dataset = make_dataset(PatientName="NGUYỄN^VĂN ĐỨC", SpecificCharacterSet="ISO_IR 192")
        store_instance(archive, open_part10([encode_file(dataset)]), Origin("stow"))
        archive.index.peers.add(KnownPeer("CT1"))
        archive.index.peers.add(KnownPeer("WS1", rights=find))
        archive.index.peers.add(KnownPeer("OLD", rights=find, unaccented=True))
        query = Dataset()
        query.QueryRetrieveLevel, query.PatientName, query.SpecificCharacterSet = "STUDY", "", "ISO_IR 192"
        found = {}
        with listening(archive) as port:
            for title in ("CT1", "WS1", "OLD"):
                entity = AE(title)
                entity.add_requested_context(StudyRootQueryRetrieveInformationModelFind)
                association = entity.associate("127.0.0.1", port, ae_title="FILMLESS")
                answers = list(association.send_c_find(query, StudyRootQueryRetrieveInformationModelFind))
                association.release()
                found[title] = [
                    (status.Status, identifier and str(identifier.PatientName))
                    for status, identifier in answers
                ]
    assert found == {
        "CT1": [(0x0124, None)],
        "WS1": [(0xFF00, "NGUYỄN^VĂN ĐỨC"), (0x0000, None)],
        "OLD": [(0xFF00, "NGUYEN^VAN DUC"), (0x0000, None)],
    }
