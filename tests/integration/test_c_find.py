"""C-FIND over real associations: every level and model, on both databases."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from pynetdicom import AE

from pacs.archive import Archive
from pacs.dimse import answering
from pacs.dimse.answer_writer import AnswerWriter
from pacs.dimse.information_models import (
    INFORMATION_MODELS,
    PATIENT_ROOT,
    PATIENT_STUDY_ONLY,
    STUDY_ROOT,
    InformationModel,
)
from pacs.errors import IndexUnavailable
from pacs.index.index import Index
from pacs.index.known_peers import KnownPeer, PeerRight
from pacs.index.records import Match, ProcedureCode, Query, RequestAttributes
from tests.integration.dimse_peers import Peer, listening
from tests.integration.find_peers import (
    C_FIND_RQ,
    EVERYTHING_NEGOTIATED,
    RELATIONAL,
    Searcher,
    identifier,
)
from tests.integration.test_dimse_answers import cancel, read_answers
from tests.integration.test_index import make_record
from tests.unit.pacs.dimse import wire

BIG_ENDIAN = "1.2.840.10008.1.2.2"
AN, BINH = "Nguyễn^Văn An", "Müller^Bình"


@pytest.fixture(scope="module")
def port(module_archive: Archive) -> Iterator[int]:
    """Three studies of two patients, CT and MR, two series with two instances each."""
    for study, name, patient, date in (
        ("1.2.1", AN, "P1", "20260101"),
        ("1.2.2", AN, "P1", "20260202"),
        ("1.2.3", BINH, "P2", "20260303"),
    ):
        for series, modality in (("1", "CT"), ("2", "MR")):
            for number in (1, 2):
                record = make_record(
                    number, study=study, series=f"{study}.{series}", patient_name=name, patient_id=patient,
                    patient_sex="M", study_date=date, study_time="101500", modality=modality,
                    series_number=int(series), study_description="Sọ não",
                    codes=(ProcedureCode(f"C{patient}", "99VN", "Chụp", "sequence"),),
                    requests=(RequestAttributes("RP1", f"SPS{series}"),),
                )  # fmt: skip
                module_archive.index.write(record)
    with listening(module_archive) as port:
        yield port


@pytest.fixture
def study_root(port: int) -> Iterator[Searcher]:
    with Searcher(port) as searcher:
        yield searcher


def test_studies_are_found_with_what_was_asked_for_and_what_always_comes(study_root: Searcher) -> None:
    answers = study_root.find(
        "STUDY", PatientName="nguyen*", StudyInstanceUID="", ModalitiesInStudy="", StudyID="",
        NumberOfStudyRelatedSeries="", NumberOfStudyRelatedInstances="",
    )  # fmt: skip
    assert answers.statuses == [0xFF00, 0xFF00, 0x0000]
    newest = answers.datasets[0]
    assert [element.keyword for element in newest] == [
        "SpecificCharacterSet", "QueryRetrieveLevel", "RetrieveAETitle", "InstanceAvailability",
        "ModalitiesInStudy", "PatientName", "StudyInstanceUID", "StudyID", "NumberOfStudyRelatedSeries",
        "NumberOfStudyRelatedInstances",
    ]  # fmt: skip
    assert (newest.QueryRetrieveLevel, newest.RetrieveAETitle) == ("STUDY", "FILMLESS")
    assert (newest.InstanceAvailability, newest.SpecificCharacterSet) == ("ONLINE", "ISO_IR 192")
    assert (newest.StudyInstanceUID, newest.PatientName) == ("1.2.2", AN)
    assert list(newest.ModalitiesInStudy) == ["CT", "MR"]
    assert (newest.NumberOfStudyRelatedSeries, newest.NumberOfStudyRelatedInstances) == (2, 4)
    assert newest.StudyID in ("", None)


@pytest.mark.parametrize(
    ("keys", "studies"),
    [
        ({}, ["1.2.3", "1.2.2", "1.2.1"]),
        ({"PatientName": "*"}, ["1.2.3", "1.2.2", "1.2.1"]),
        ({"PatientName": "an van nguyen"}, ["1.2.2", "1.2.1"]),
        ({"PatientID": "P?"}, ["1.2.3", "1.2.2", "1.2.1"]),
        ({"PatientID": "P2"}, ["1.2.3"]),
        ({"StudyDate": "20260102-"}, ["1.2.3", "1.2.2"]),
        ({"StudyDate": "20260101-20260202"}, ["1.2.2", "1.2.1"]),
        ({"StudyTime": "1015"}, ["1.2.3", "1.2.2", "1.2.1"]),
        ({"StudyInstanceUID": ["1.2.1", "1.2.3", "1.2.9"]}, ["1.2.3", "1.2.1"]),
        ({"ModalitiesInStudy": "MR"}, ["1.2.3", "1.2.2", "1.2.1"]),
        ({"ModalitiesInStudy": "US"}, []),
        ({"StudyDescription": "*nao"}, ["1.2.3", "1.2.2", "1.2.1"]),
        ({"ProcedureCodeSequence": {"CodeValue": "CP2"}}, ["1.2.3"]),
        ({"ProcedureCodeSequence": {"CodeValue": "CP2", "CodingSchemeDesignator": "X"}}, []),
    ],
)
def test_keys_match_as_in_qido(study_root: Searcher, keys: dict[str, Any], studies: list[str]) -> None:
    answers = study_root.find("STUDY", **({"StudyInstanceUID": ""} | keys))
    assert answers.values("StudyInstanceUID") == studies
    assert set(answers.statuses[:-1]) <= {0xFF00}
    assert answers.final == 0x0000


def test_series_and_images_are_found_below_their_parents(study_root: Searcher) -> None:
    series = study_root.find("SERIES", StudyInstanceUID="1.2.1", SeriesInstanceUID="", Modality="")
    assert series.values("SeriesInstanceUID") == ["1.2.1.1", "1.2.1.2"]
    assert series.values("Modality") == ["CT", "MR"]
    step = {"ScheduledProcedureStepID": "SPS2"}
    requested = study_root.find("SERIES", StudyInstanceUID="1.2.1", RequestAttributesSequence=step)
    assert requested.values("SeriesInstanceUID") == ["1.2.1.2"]
    (item,) = requested.datasets[0].RequestAttributesSequence
    assert [element.keyword for element in item] == ["ScheduledProcedureStepID"]
    images = study_root.find(
        "IMAGE", StudyInstanceUID="1.2.1", SeriesInstanceUID="1.2.1.2", InstanceNumber="2", SOPClassUID=""
    )
    assert images.values("SOPInstanceUID") == ["1.2.1.2.2"]
    assert images.values("SOPClassUID") == [wire.CT_IMAGE_STORAGE]


@pytest.mark.parametrize("model", [PATIENT_ROOT, PATIENT_STUDY_ONLY])
def test_patients_are_found_once_with_the_counts_of_all_that_is_theirs(
    port: int, model: InformationModel
) -> None:
    counts = [f"NumberOfPatientRelated{what}" for what in ("Studies", "Series", "Instances")]
    with Searcher(port, model) as searcher:
        answers = searcher.find(
            "PATIENT", PatientID="", PatientName="", PatientSex="", **dict.fromkeys(counts)
        )
        assert [(d.PatientID, d.PatientName) for d in answers.datasets] == [("P2", BINH), ("P1", AN)]
        assert [[int(d[count].value) for count in counts] for d in answers.datasets] == [[1, 2, 4], [2, 4, 8]]
        assert answers.statuses == [0xFF00, 0xFF00, 0x0000]
        assert searcher.find("PATIENT", PatientName="muller*").values("PatientID") == ["P2"]
        assert searcher.find("PATIENT", PatientName="nobody").statuses == [0x0000]
        studies = searcher.find("STUDY", PatientID="P1", StudyInstanceUID="")
        assert studies.values("StudyInstanceUID") == ["1.2.2", "1.2.1"]


def test_two_people_under_one_id_are_one_patient_who_bears_the_name_that_matches(archive: Archive) -> None:
    for number, name in enumerate(("Lê^Hoa", "Trần^Nam")):
        archive.index.write(
            make_record(study=f"1.2.{number}", series=f"1.2.{number}.1", patient_id="7", patient_name=name,
                        study_date=f"2026010{number + 1}")
        )  # fmt: skip
    for number in (2, 3):  # of whom nothing is known: each a patient of its own
        archive.index.write(make_record(study=f"1.2.{number}", series=f"1.2.{number}.1", patient_id=None))
    with listening(archive) as port, Searcher(port, PATIENT_ROOT) as searcher:
        assert searcher.find("PATIENT", PatientName="").values("PatientName")[:1] == ["Trần^Nam"]
        found = searcher.find("PATIENT", PatientName="le hoa", NumberOfPatientRelatedStudies="")
        assert found.values("PatientName") == ["Lê^Hoa"]
        assert found.values("NumberOfPatientRelatedStudies") == ["2"]
        assert len(searcher.find("PATIENT", PatientID="").datasets) == 3


@pytest.mark.parametrize(
    ("model", "level", "keys"),
    [
        (STUDY_ROOT, None, {"StudyInstanceUID": ""}),
        (STUDY_ROOT, "PATIENT", {"PatientID": ""}),
        (STUDY_ROOT, "FRAME", {}),
        (PATIENT_STUDY_ONLY, "SERIES", {"PatientID": "P1", "StudyInstanceUID": "1.2.1"}),
        (PATIENT_ROOT, "STUDY", {}),
        (PATIENT_ROOT, "STUDY", {"PatientID": "P*"}),
        (PATIENT_ROOT, "SERIES", {"StudyInstanceUID": "1.2.1"}),
        (STUDY_ROOT, "SERIES", {"StudyInstanceUID": ""}),
        (STUDY_ROOT, "SERIES", {"StudyInstanceUID": ["1.2.1", "1.2.2"]}),
        (STUDY_ROOT, "IMAGE", {"StudyInstanceUID": "1.2.1"}),
        (STUDY_ROOT, "IMAGE", {"SeriesInstanceUID": "1.2.1.1"}),
    ],
)
def test_an_identifier_that_does_not_fit_its_model_is_a900(
    port: int, model: InformationModel, level: str | None, keys: dict[str, Any]
) -> None:
    with Searcher(port, model) as searcher:
        answers = searcher.find(level, **keys)
        assert answers.statuses == [0xA900]
        assert answers.comment


def test_relational_queries_need_no_keys_above_where_they_are_negotiated(port: int) -> None:
    with Searcher(port, STUDY_ROOT, RELATIONAL) as searcher:
        assert searcher.negotiated == {STUDY_ROOT.find_sop_class: RELATIONAL}
        images = searcher.find("IMAGE", PatientName="nguyen van an", Modality="MR", InstanceNumber="1")
        assert images.values("SOPInstanceUID") == ["1.2.2.2.1", "1.2.1.2.1"]
        assert images.values("StudyInstanceUID") == ["1.2.2", "1.2.1"]


@pytest.mark.parametrize(
    ("proposed", "answered"),
    [
        (EVERYTHING_NEGOTIATED, bytes((1, 1, 1, 0, 0, 1, 1))),
        (bytes(3), bytes(3)),
        (bytes((0, 1, 0)), bytes((0, 1, 0))),
        (bytes((1, 1, 1, 1, 1, 1, 1, 1, 1)), bytes((1, 1, 1, 0, 0, 1, 1))),
    ],
)
@pytest.mark.parametrize("model", INFORMATION_MODELS)
def test_extended_negotiation_is_answered_with_what_is_done(
    port: int, model: InformationModel, proposed: bytes, answered: bytes
) -> None:
    with Searcher(port, model, proposed) as searcher:
        assert searcher.negotiated == {model.find_sop_class: answered}


def test_dates_and_times_are_one_range_only_where_that_is_negotiated(port: int, study_root: Searcher) -> None:
    ranges = {"StudyDate": "20260101-20260202", "StudyTime": "1100-1200"}
    assert study_root.find("STUDY", **ranges).datasets == []
    with Searcher(port, STUDY_ROOT, bytes((0, 1, 0))) as searcher:
        assert searcher.find("STUDY", **ranges).values("StudyInstanceUID") == ["1.2.2"]


def test_fuzzy_names_and_empty_values_match_only_where_that_is_negotiated(
    port: int, study_root: Searcher
) -> None:
    fuzzy, empty = {"PatientName": "ngu a"}, {"AccessionNumber": '""'}
    assert study_root.find("STUDY", **fuzzy).datasets == study_root.find("STUDY", **empty).datasets == []
    with Searcher(port, STUDY_ROOT, EVERYTHING_NEGOTIATED) as searcher:
        assert len(searcher.find("STUDY", **fuzzy).datasets) == 2
        assert len(searcher.find("STUDY", **empty).datasets) == 3


@pytest.mark.parametrize(
    "keys",
    [
        {"Allergies": ""},
        {"Allergies": "x"},
        {"Modality": "CT"},  # of a lower level
        {"NumberOfStudyRelatedSeries": "2"},  # is answered, and does not match
        {"ReferencedStudySequence": {"ReferencedSOPClassUID": ""}},
        {"ProcedureCodeSequence": {"CodeValue": "", "CodingSchemeVersion": ""}},
    ],
)
def test_a_key_that_is_not_supported_is_warned_of_and_matches_everything(
    study_root: Searcher, keys: dict[str, Any]
) -> None:
    answers = study_root.find("STUDY", StudyInstanceUID="", **keys)
    assert answers.statuses == [0xFF01] * 3 + [0x0000]
    assert all("PatientComments" not in dataset and "Modality" not in dataset for dataset in answers.datasets)


def test_the_time_zone_of_a_request_is_no_key(study_root: Searcher) -> None:
    assert study_root.find("STUDY", TimezoneOffsetFromUTC="+0700").statuses == [0xFF00] * 3 + [0x0000]


def implicit(tag: int, value: bytes) -> bytes:
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value)) + value


def test_a_long_list_of_uids_is_matched(study_root: Searcher) -> None:
    others = [f"1.2.840.113619.2.55.3.604688119.971.1234567890.{number}" for number in range(900)]
    answers = study_root.find("STUDY", StudyInstanceUID=[*others, "1.2.3"])
    assert answers.values("StudyInstanceUID") == ["1.2.3"]
    each_is_padded = implicit(0x00080052, b"STUDY ") + implicit(0x0020000D, b"1.2.1\0\\1.2.3\0 ")
    assert len(study_root.find_bytes(each_is_padded).datasets) == 2


def test_what_is_no_number_is_c000(study_root: Searcher) -> None:
    keys = implicit(0x00080052, b"IMAGE ") + implicit(0x0020000D, b"1.2.1\0")
    keys += implicit(0x0020000E, b"1.2.1.1\0") + implicit(0x00280010, b"\xff" * 4000)
    assert study_root.find_bytes(keys).statuses == [0xC000]


@pytest.mark.parametrize("keys", [{"StudyDate": "yesterday"}, {"PatientID": "*a*b*c*d*e*f*g*h*i*"}])
def test_a_value_that_is_not_of_its_form_is_c000_and_not_repeated(
    study_root: Searcher, keys: dict[str, str]
) -> None:
    answers = study_root.find("STUDY", **keys)
    assert answers.statuses == [0xC000]
    assert answers.comment.startswith(next(iter(keys)))
    assert next(iter(keys.values())) not in answers.comment


def test_a_sequence_of_two_items_is_c000(study_root: Searcher) -> None:
    dataset = identifier("STUDY", ProcedureCodeSequence={"CodeValue": "1"})
    dataset.ProcedureCodeSequence.append(dataset.ProcedureCodeSequence[0])
    assert study_root.find_by(dataset).statuses == [0xC000]


def test_an_index_that_is_away_is_a700(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    def unavailable(*_: object) -> None:
        raise IndexUnavailable("no connection to db.example.org")

    with listening(archive) as port, Searcher(port) as searcher:
        monkeypatch.setattr(type(archive.index), "search_pages", unavailable)
        answers = searcher.find("STUDY")
        assert answers.statuses == [0xA700]
        assert "example" not in answers.comment


def test_an_index_that_goes_away_amid_the_answers_is_a700_too(
    study_root: Searcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = Index.search_pages

    def break_off(index: Index, query: Query) -> Iterator[Sequence[Match]]:
        yield from search(index, query)
        raise IndexUnavailable("gone")

    with monkeypatch.context() as broken:
        broken.setattr(Index, "search_pages", break_off)
        assert study_root.find("STUDY").statuses == [0xFF00] * 3 + [0xA700]
    assert study_root.find("STUDY").final == 0x0000


@pytest.mark.parametrize("syntax", [wire.IMPLICIT, wire.EXPLICIT, BIG_ENDIAN])
def test_every_native_encoding_is_read_and_written(port: int, syntax: str) -> None:
    with Searcher(port, STUDY_ROOT, RELATIONAL, syntax) as searcher:
        answers = searcher.find(
            "SERIES", PatientName="Müller^Bình", SeriesNumber="2", ProcedureCodeSequence={"CodeValue": ""}
        )
        assert answers.values("SeriesInstanceUID") == ["1.2.3.2"]
        assert answers.datasets[0].PatientName == BINH
        assert answers.datasets[0].ProcedureCodeSequence[0].CodeValue == "CP2"


@pytest.mark.parametrize(
    ("declared", "typed", "answered"),
    [
        ("ISO_IR 192", "*", {AN: "ISO_IR 192", BINH: "ISO_IR 192"}),
        ("ISO_IR 100", "Müll*", {BINH: "ISO_IR 100"}),
        ("ISO_IR 100", "*", {AN: "ISO_IR 192", BINH: "ISO_IR 100"}),
        (None, "*", {AN: "ISO_IR 192", BINH: "ISO_IR 192"}),
        (["", "ISO 2022 IR 100"], "*", {AN: "ISO_IR 192", BINH: ["", "ISO 2022 IR 100"]}),
        ("GB18030", "Nguyễn Văn An", {AN: "GB18030"}),
    ],
)
def test_answers_are_in_the_character_set_of_the_request_where_they_fit(
    study_root: Searcher, declared: Any, typed: str, answered: dict[str, Any]
) -> None:
    dataset = identifier("STUDY", PatientName=typed)
    if declared is None:
        del dataset.SpecificCharacterSet
    else:
        dataset.SpecificCharacterSet = declared
    found = study_root.find_by(dataset).datasets
    assert {str(d.PatientName): d.SpecificCharacterSet for d in found} == answered


def test_a_peer_may_have_a_character_set_of_its_own_or_none(module_archive: Archive, port: int) -> None:
    may_find = frozenset({PeerRight.FIND})
    module_archive.index.peers.add(KnownPeer("OLD", rights=may_find, unaccented=True))
    module_archive.index.peers.add(KnownPeer("LATIN", rights=may_find, character_set="ISO_IR 100"))
    with listening(module_archive) as port:
        with Searcher(port, calling="OLD") as searcher:
            found = searcher.find("STUDY", PatientName="", StudyDescription="").datasets
        assert [str(d.PatientName) for d in found] == ["Muller^Binh", "Nguyen^Van An", "Nguyen^Van An"]
        assert {str(d.StudyDescription) for d in found} == {"So nao"}
        assert not any("SpecificCharacterSet" in d for d in found)
        with Searcher(port, calling="LATIN") as searcher:
            (found,) = searcher.find("STUDY", PatientName="Müller*").datasets
        assert (found.PatientName, found.SpecificCharacterSet) == (BINH, "ISO_IR 100")


def test_a8_who_may_not_find_is_told_nothing(module_archive: Archive, port: int) -> None:
    module_archive.index.peers.add(KnownPeer("CT1", rights=frozenset({PeerRight.STORE, PeerRight.MOVE})))
    with listening(module_archive) as port:
        for model in INFORMATION_MODELS:
            with Searcher(port, model, calling="CT1") as searcher:
                assert searcher.find("STUDY", StudyInstanceUID="").statuses == [0x0124]


def test_c3_hostile_identifiers_are_refused_and_the_next_query_is_answered(study_root: Searcher) -> None:
    deep = identifier("STUDY", PatientName="x")
    innermost = deep
    for _ in range(9):
        innermost.ReferencedStudySequence = [identifier(None)]
        innermost = innermost.ReferencedStudySequence[0]
    assert study_root.find_by(deep).statuses == [0xC000]
    large = identifier("STUDY", StudyInstanceUID=[f"1.2.{n}" for n in range(300_000)])
    assert study_root.find_by(large).statuses == [0xC000]
    many = identifier("STUDY", StudyInstanceUID=[f"1.2.{n}" for n in range(2000)])
    assert study_root.find_by(many).statuses == [0xC000]
    assert len(study_root.find("STUDY").datasets) == 3


def test_c6_what_is_found_does_not_depend_on_what_a_peer_calls_us(port: int) -> None:
    """There is one archive behind one title: another one, or one that looks like a path, is rejected."""
    for called in ("../OTHER", "FILMLESS/..", "filmless", "*"):
        ae = AE("WS01")
        ae.add_requested_context(STUDY_ROOT.find_sop_class)
        assert ae.associate("127.0.0.1", port, ae_title=called).is_rejected


def test_c3_thousands_of_answers_come_and_a_cancel_ends_them_within_a_second(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [
        make_record(study=f"1.2.{n}", series=f"1.2.{n}.1", patient_name=f"Lê^{n}", study_date="20260101")
        for n in range(1500)
    ]
    for first in range(0, len(records), 500):
        archive.index.write_in_order(records[first : first + 500])
    command = wire.command(C_FIND_RQ, sop_class=wire.STUDY_ROOT_FIND, dataset=True)
    query = bytes.fromhex("0800520006000000") + b"STUDY " + bytes.fromhex("10001000000000002000 0d0000000000")
    request = wire.p_data(wire.pdv(3, command, is_command=True)) + wire.p_data(wire.pdv(3, query))
    proposals = (wire.proposal(3, wire.STUDY_ROOT_FIND, wire.IMPLICIT),)
    with listening(archive) as port:
        peer = Peer(port).associate(proposals=proposals)
        peer.send(request)
        identifiers, status = read_answers(peer)
        assert (len(identifiers), len(set(identifiers)), status) == (1500, 1500, 0x0000)
        monkeypatch.setattr(answering, "ANSWERS_IN_ONE_GO", 1)
        slow = threading.Event()
        monkeypatch.setattr(AnswerWriter, "write", lambda *_: (slow.wait(0.01), b"")[1])
        peer.send(request)
        assert peer.status() == 0xFF00
        peer.read_pdu()
        begin = time.monotonic()
        peer.send(cancel())
        identifiers, status = read_answers(peer)
        assert status == 0xFE00
        assert time.monotonic() - begin < 1
        assert len(identifiers) < 1000
        peer.release()


def test_no_query_is_logged(study_root: Searcher, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "pacs")
    study_root.find("STUDY", PatientName="Canary^Nguyen")
    study_root.find("STUDY", PatientName="Canary^Nguyen", StudyDate="canary")
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("pacs")]
    assert ours
    assert not any("anary" in line or "Nguy" in line for line in ours)
