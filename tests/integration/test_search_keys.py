"""Keys of searches beyond single values, and what a search is told after rows have changed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from pacs.archive import Archive
from pacs.dicom.attributes import Level, find_key
from pacs.index import paths
from pacs.index.records import InstanceRecord, ProcedureCode, Query, RequestAttributes
from tests.integration.test_index import make_record, uids


def found(archive: Archive, keys: dict[str, str], level: Level = Level.STUDY, **options: Any) -> list[Any]:
    pairs = [(key, value) for name, value in keys.items() if (key := find_key(name)) is not None]
    assert len(pairs) == len(keys)
    unique = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")[level - 1]
    matches = archive.index.search(Query(level, pairs, **options)).matches
    return [match.values[unique] for match in matches]


def test_ranges_of_date_and_time_are_one_range_of_moments(archive: Archive) -> None:
    moments = ("20261118 093000", "20261118 110000", "20261119 030000", "20261120 093000", "20261120 110000")
    for number, (date, time) in enumerate(moment.split() for moment in moments):
        record = make_record(
            study=f"1.2.{number}", series=f"1.2.{number}.1", study_date=date, study_time=time
        )
        archive.index.write(record)
    archive.index.write(make_record(study="1.2.9", series="1.2.9.1", study_date="20261119"))
    ranges = {"StudyDate": "20261118-20261120", "StudyTime": "1000-1030"}
    assert found(archive, ranges) == ["1.2.3", "1.2.2", "1.2.1"]
    assert found(archive, {"StudyDate": "20261119-", "StudyTime": "0300-"}) == ["1.2.4", "1.2.3", "1.2.2"]
    assert found(archive, {"StudyDate": "-20261118", "StudyTime": "-093000"}) == ["1.2.0"]
    assert found(archive, {"StudyDate": "20261118", "StudyTime": "10-12"}) == ["1.2.1"]
    assert found(archive, {"StudyDate": "20261118-20261120", "StudyTime": "-0400"}) == ["1.2.2"]


@pytest.mark.parametrize("stored", ["235959.5", "235959.50", "235959.500000"])
def test_a_time_matches_however_many_digits_its_fraction_has(archive: Archive, stored: str) -> None:
    archive.index.write(make_record(study_date="20261118", study_time=stored))
    for asked in ("235959", "235959.5", "235959.500", "235959.500000-", "-235959.5", "235959.000-235959.50"):
        assert found(archive, {"StudyTime": asked}) == ["1.2.1"], asked
    for asked in ("235959.4", "235959.500001-", "235958.9-235959.4"):
        assert found(archive, {"StudyTime": asked}) == [], asked


def test_all_of_several_modalities_can_be_asked_for(archive: Archive) -> None:
    for study, modalities in (("1.2.1", ("CT", "PT")), ("1.2.2", ("CT",)), ("1.2.3", ("PT", "SR", "CT"))):
        for number, modality in enumerate(modalities):
            record = make_record(study=study, series=f"{study}.{number}", modality=modality)
            archive.index.write(record)
    assert found(archive, {"ModalitiesInStudy": "CT,PT"}) == ["1.2.3", "1.2.2", "1.2.1"]
    assert found(archive, {"ModalitiesInStudy": "CT\\PT"}, match_all_values=True) == ["1.2.3", "1.2.1"]
    assert found(archive, {"ModalitiesInStudy": "C"}) == []
    assert found(archive, {"Modality": "SR"}, Level.SERIES) == ["1.2.3.1"]


def test_keys_of_a_sequence_match_one_item(archive: Archive) -> None:
    codes = (ProcedureCode("1", "A", "x", "sequence"), ProcedureCode("2", "B", "y", "sequence"))
    requests = (RequestAttributes("RP1", "SPS1"), RequestAttributes("RP2", "SPS2"))
    archive.index.write(make_record(codes=codes, requests=requests))
    code, step = "ProcedureCodeSequence.", "RequestAttributesSequence."
    names = ("CodeValue", "CodingSchemeDesignator")
    assert found(archive, {code + names[0]: "1", code + names[1]: "A"}) == ["1.2.1"]
    assert found(archive, {code + names[0]: "1", code + names[1]: "B"}) == []
    ids = (step + "RequestedProcedureID", step + "ScheduledProcedureStepID")
    assert found(archive, {ids[0]: "RP1", ids[1]: "SPS1"}, Level.SERIES) == ["1.2.1.1"]
    assert found(archive, {ids[0]: "RP1", ids[1]: "SPS2"}, Level.SERIES) == []
    assert found(archive, {ids[0]: '""'}, Level.SERIES, match_empty=True) == []


def test_what_has_no_value_can_be_asked_for(archive: Archive) -> None:
    archive.index.write(make_record(accession_number="A1", patient_name="Lê^A", modality="CT"))
    archive.index.write(make_record(study="1.2.2", series="1.2.2.1"))
    for name in ("AccessionNumber", "PatientName", "ModalitiesInStudy", "ProcedureCodeSequence.CodeValue"):
        assert "1.2.2" in found(archive, {name: '""'}, match_empty=True), name
        assert found(archive, {name: '""'}) == [], name
    assert found(archive, {"PatientName": '""'}, match_empty=True) == ["1.2.2"]


def test_names_of_others_than_the_patient_match_in_the_same_way(archive: Archive) -> None:
    archive.index.write(make_record(referring_physician_name="Lê^Thị Bình=李氏平"))
    for value in ("binh le thi", "*binh*", "李氏平", "le*"):
        assert found(archive, {"ReferringPhysicianName": value}) == ["1.2.1"], value
    assert found(archive, {"ReferringPhysicianName": "binh th"}, fuzzy=True) == ["1.2.1"]
    assert found(archive, {"ReferringPhysicianName": "le thi"}) == []


@pytest.mark.parametrize("most", [1, 10_000])
def test_every_way_into_the_studies_finds_the_same(
    archive: Archive, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """Few studies are gathered and sorted, many are walked: here on both sides of the bound between."""
    monkeypatch.setattr(paths, "MAX_GATHERED", most)
    monkeypatch.setattr(paths, "_FEW", min(most, 2))
    for n, name in enumerate(("Ngô^An", "Ngô^Anh", "Hồ^An", "Ho^Hoang An", "Lê^Ánh")):
        uid = f"1.2.{n}"
        archive.index.write(
            make_record(
                study=uid, series=f"{uid}.1", patient_name=name, patient_id=f"P{n}", modality="CT",
                study_date=f"2026111{n}", study_description="Ngực" if n % 2 else "Bụng an",
            )
        )  # fmt: skip
    for value, expected in {"an*": "43210", "ho*": "32", "*o*": "3210", "an ho*": "32", "h*": "32"}.items():
        assert found(archive, {"PatientName": value}) == [f"1.2.{n}" for n in expected], value
    dated = {"PatientName": "an*", "StudyDate": "20261111-20261113", "ModalitiesInStudy": "CT"}
    assert found(archive, dated) == ["1.2.3", "1.2.2", "1.2.1"]
    assert found(archive, {"PatientID": "P*", "StudyDescription": "*ng*"}) == [f"1.2.{n}" for n in "43210"]
    assert found(archive, {"StudyDescription": "bung*"}) == ["1.2.4", "1.2.2", "1.2.0"]
    for text, expected in {"an": "43210", "ho an": "32", "nguc": "31", "p3": "3", "bung ngo": "0"}.items():
        box = archive.index.search(Query(Level.STUDY, text=text)).matches
        assert [match.values["StudyInstanceUID"] for match in box] == [f"1.2.{n}" for n in expected], text
    pages = [found(archive, {"PatientName": "an*"}, offset=n, limit=2) for n in (0, 2, 4)]
    assert [uid for page in pages for uid in page] == [f"1.2.{n}" for n in "43210"]


def test_an_identifier_is_found_by_what_stands_within_it(archive: Archive) -> None:
    for n, number in enumerate(("AB_100%7", "ab-100-7", "X" * 70 + "end", "B?7")):
        archive.index.write(make_record(study=f"1.2.{n}", series=f"1.2.{n}.1", accession_number=number))
    expected = {
        "*100*": "10", "*_100%*": "0", "*B_*": "0", "*b-*7": "1", "*end": "2", "*X*nd*": "2", "*?7": "310",
        "*?*": "3210", "*nothing*": "",
    }  # fmt: skip
    for value, numbers in expected.items():
        assert found(archive, {"AccessionNumber": value}) == [f"1.2.{n}" for n in numbers], value


def test_a_study_is_found_by_what_a_later_instance_tells(archive: Archive) -> None:
    archive.index.write(make_record(1))
    later = make_record(
        2, accession_number="A7", study_date="20261118", study_description="Gan", modality="MR"
    )
    archive.index.write(later)
    for keys in ({"AccessionNumber": "A7"}, {"StudyDate": "20261118"}, {"StudyDescription": "gan*"}):
        assert uids(archive, **keys) == ["1.2.1"], keys
    archive.index.write(make_record(1, series="1.2.1.2", modality="SR"))
    assert uids(archive, ModalitiesInStudy="SR", StudyDate="20261118") == ["1.2.1"]


def test_a_study_is_no_more_found_by_what_was_taken_out_of_it(archive: Archive) -> None:
    first = make_record(1, modality="CT", patient_name="Lê^A")
    other = make_record(1, series="1.2.1.2", modality="SR", patient_name="Lê^A")
    records = {record.location.key: record for record in (first, other)}
    for record in records.values():
        archive.index.write(record)
    bury(archive, other, records)
    assert uids(archive, ModalitiesInStudy="SR") == []
    assert uids(archive, ModalitiesInStudy="CT", PatientName="a le") == ["1.2.1"]
    bury(archive, first, records)
    assert uids(archive, PatientName="le a") == []
    with archive.index._engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM study_term").scalar() == 0


def bury(archive: Archive, record: InstanceRecord, records: dict[str, InstanceRecord]) -> None:
    uid = str(record.instance["sop_instance_uid"])
    archive.index.bury(record.location.key, uid, datetime.now(UTC), records.__getitem__)
