from __future__ import annotations

import hashlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from time import sleep
from typing import Any

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import event, text

from pacs.archive import Archive
from pacs.dicom.attributes import Level, find_key
from pacs.errors import IndexUnavailable, InvalidRequest
from pacs.index.engine import create_index_engine, reading
from pacs.index.index import open_index
from pacs.index.migration import alembic_config
from pacs.index.records import (
    InstanceRecord,
    ObjectLocation,
    ProcedureCode,
    Query,
    RequestAttributes,
    WriteOutcome,
)
from pacs.index.schema import current_version, newest_version


def make_record(
    number: int = 1,
    *,
    study: str = "1.2.1",
    series: str = "1.2.1.1",
    sha256: str = "",
    codes: tuple[ProcedureCode, ...] = (),
    requests: tuple[RequestAttributes, ...] = (),
    **values: Any,
) -> InstanceRecord:
    """Make a record; keyword arguments go to the level that has such a column."""
    uid = f"{series}.{number}"
    sha256 = sha256 or hashlib.sha256(uid.encode()).hexdigest()
    series_values = {
        k: values.pop(k) for k in ("modality", "series_number", "series_description") if k in values
    }
    return InstanceRecord(
        study={"study_instance_uid": study, "patient_id": "BN0001", **values},
        series={"series_instance_uid": series, **series_values},
        instance={
            "sop_class_uid": "1.2.840.10008.5.1.4.1.1.2",
            "sop_instance_uid": uid,
            "instance_number": number,
        },
        transfer_syntax_uid="1.2.840.10008.1.2.1",
        location=ObjectLocation(f"ab/{study}/{series}/{uid}.{sha256}.dcm", 1000, sha256, 300, 500, 500),
        received_at=datetime.now(UTC),
        procedure_codes=codes,
        request_attributes=requests,
        calling_ae_title="CT1",
    )


def make_anew_at(archive: Archive, revision: str) -> None:
    """Make the database anew, empty, with the schema of an older version."""
    engine = archive.index._engine
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
        else:
            names = connection.execute(text("SELECT name FROM sqlite_master WHERE type = 'table'")).scalars()
            connection.execute(text("PRAGMA defer_foreign_keys = ON"))
            for name in reversed([name for name in names if not name.startswith("sqlite_")]):
                connection.execute(text(f'DROP TABLE "{name}"'))
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def insert_old(archive: Archive, table: str, **values: Any) -> None:
    columns, marks = ", ".join(values), ", ".join(f":{name}" for name in values)
    with archive.index._engine.begin() as connection:
        connection.execute(text(f"INSERT INTO {table} ({columns}) VALUES ({marks})"), values)


def insert_old_study(archive: Archive, **values: Any) -> None:
    """Insert a study as the first versions did."""
    at = datetime(2026, 11, 18, tzinfo=UTC)
    insert_old(archive, "patient", id=-1, patient_key="k")  # below what the database itself counts
    of_study = {
        "patient_id": "BN9", "patient_name": "NGUYỄN^VĂN ĐỨC", "patient_name_folded": "nguyen van duc",
        "accession_number": "ACC9", "study_date": "20261118", "study_time": "080000",
        "study_description": "Ngực", "number_of_instances": 2, "received_at": at,
    }  # fmt: skip
    insert_old(archive, "study", id=-1, patient_ref=-1, study_instance_uid="1.2.1", **(of_study | values))
    code = {"value": "18.0119.0028", "scheme": "99BYT", "meaning": "", "origin": "rule"}
    insert_old(archive, "procedure_code", study_ref=-1, **code)
    for number, modality in ((1, "SR"), (2, "CT")):
        insert_old(
            archive, "series", id=-number, study_ref=-1, series_instance_uid=f"1.2.1.{number}",
            modality=modality, number_of_instances=1,
        )  # fmt: skip
        insert_old(
            archive, "instance", series_ref=-number, sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
            sop_instance_uid=f"1.2.1.{number}.1", transfer_syntax_uid="1.2.840.10008.1.2.1",
            object_key="first", size_bytes=9, sha256="a" * 64, dataset_offset=1, received_at=at,
        )  # fmt: skip


def search(archive: Archive, level: Level = Level.STUDY, **keys: str) -> list[dict[str, Any]]:
    pairs = []
    for name, value in keys.items():
        key = find_key(name.replace("__", "."))
        assert key is not None
        pairs.append((key, value))
    return [dict(match.values) for match in archive.index.search(Query(level, pairs)).matches]


def uids(archive: Archive, **keys: str) -> list[str]:
    return [values["StudyInstanceUID"] for values in search(archive, **keys)]


def test_the_same_instance_again_changes_nothing(archive: Archive) -> None:
    record = make_record()
    assert archive.index.write(record) is WriteOutcome.ADDED
    assert archive.index.write(record) is WriteOutcome.ALREADY_THERE
    (study,) = search(archive)
    assert (study["NumberOfStudyRelatedSeries"], study["NumberOfStudyRelatedInstances"]) == (1, 1)


def test_another_content_under_a_known_uid_is_recorded_beside_the_first(archive: Archive) -> None:
    first = make_record(sha256="a" * 64)
    other = make_record(sha256="b" * 64)
    archive.index.write(first)
    assert archive.index.write(other) is WriteOutcome.CONFLICT
    assert archive.index.write(other) is WriteOutcome.KNOWN_CONFLICT
    (found,) = archive.index.find_instances("1.2.1")
    assert found.location.sha256 == "a" * 64
    known = archive.index.known_object_keys(["1.2.1.1.1"])
    assert known == {first.location.key, other.location.key}


def test_counts_and_modalities_follow_what_is_stored(archive: Archive) -> None:
    for number in range(3):
        archive.index.write(make_record(number, modality="CT"))
    archive.index.write(make_record(9, series="1.2.1.2", modality="SR"))
    (study,) = search(archive)
    assert study["ModalitiesInStudy"] == ["CT", "SR"]
    assert (study["NumberOfStudyRelatedSeries"], study["NumberOfStudyRelatedInstances"]) == (2, 4)
    series = search(archive, Level.SERIES, SeriesInstanceUID="1.2.1.1")
    assert series[0]["NumberOfSeriesRelatedInstances"] == 3


def test_concurrent_writers_of_one_study_count_every_instance_once(archive: Archive) -> None:
    records = [make_record(number % 20, series=f"1.2.1.{number % 2}") for number in range(80)]
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(archive.index.write, records))
    assert outcomes.count(WriteOutcome.ADDED) == 20
    (study,) = search(archive)
    assert study["NumberOfStudyRelatedInstances"] == 20
    assert study["NumberOfStudyRelatedSeries"] == 2


def test_two_patients_under_one_id_keep_their_own_names(archive: Archive) -> None:
    archive.index.write(make_record(patient_name="Trần^A"))
    archive.index.write(make_record(study="1.2.2", series="1.2.2.1", patient_name="Lê^B"))
    names = {values["StudyInstanceUID"]: values["PatientName"] for values in search(archive)}
    assert names == {"1.2.1": "Trần^A", "1.2.2": "Lê^B"}


def test_what_the_first_instance_lacks_a_later_one_fills_in_and_never_overwrites(archive: Archive) -> None:
    archive.index.write(make_record(1, study_description="first"))
    archive.index.write(make_record(2, study_description="second", accession_number="A7"))
    (study,) = search(archive)
    assert (study["StudyDescription"], study["AccessionNumber"]) == ("first", "A7")


def test_a_study_without_a_patient_id_is_welcome(archive: Archive) -> None:
    record = make_record()
    archive.index.write(replace(record, study={"study_instance_uid": "1.2.1"}))
    assert search(archive)[0]["PatientID"] is None


@pytest.fixture(scope="module")
def filled(module_archive: Archive) -> Archive:
    rows: list[dict[str, Any]] = [
        {
            "patient_name": "NGUYỄN^VĂN ĐỨC",
            "study_date": "20261118",
            "study_time": "080000",
            "modality": "CT",
        },
        {
            "patient_name": "Hoà^Trần=和^陳",
            "study_date": "20261120",
            "study_time": "093000",
            "modality": "MR",
        },
        {"patient_name": "50%_off^x\\", "study_date": "20261119", "study_time": "235959.5", "modality": "CT"},
        {"patient_id": "XX", "accession_number": "ACC_7", "study_description": "CT ngực có cản quang"},
    ]
    for number, row in enumerate(rows, start=1):
        module_archive.index.write(make_record(1, study=f"1.2.{number}", series=f"1.2.{number}.1", **row))
    return module_archive


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({}, ["1.2.2", "1.2.3", "1.2.1", "1.2.4"]),
        ({"PatientName": "nguyen van duc"}, ["1.2.1"]),
        ({"PatientName": "Nguyễn^Văn Đức"}, ["1.2.1"]),
        ({"PatientName": "NGUYEN*"}, ["1.2.1"]),
        ({"PatientName": "*duc"}, ["1.2.1"]),
        ({"PatientName": "nguyen ?an duc"}, ["1.2.1"]),
        ({"PatientName": "Hòa^Tran"}, ["1.2.2"]),
        ({"PatientName": "和^陳"}, ["1.2.2"]),
        ({"PatientName": "nguyen"}, []),
        ({"PatientName": "50%*"}, ["1.2.3"]),
        ({"PatientName": "%"}, []),
        ({"PatientName": "5_%_off*"}, []),
        ({"PatientName": "*"}, ["1.2.2", "1.2.3", "1.2.1", "1.2.4"]),
        ({"PatientID": "BN0001"}, ["1.2.2", "1.2.3", "1.2.1"]),
        ({"PatientID": "X?"}, ["1.2.4"]),
        ({"AccessionNumber": "ACC_7"}, ["1.2.4"]),
        ({"AccessionNumber": "ACC?7"}, ["1.2.4"]),
        ({"AccessionNumber": "ACC_*"}, ["1.2.4"]),
        ({"AccessionNumber": "acc_7"}, []),
        ({"StudyDescription": "*nguc*"}, ["1.2.4"]),
        ({"StudyDate": "20261119"}, ["1.2.3"]),
        ({"StudyDate": "20261119-20261120"}, ["1.2.2", "1.2.3"]),
        ({"StudyDate": "-20261118"}, ["1.2.1"]),
        ({"StudyDate": "20261120-"}, ["1.2.2"]),
        ({"StudyTime": "09"}, ["1.2.2"]),
        ({"StudyTime": "0800-0930"}, ["1.2.2", "1.2.1"]),
        ({"StudyTime": "2359-"}, ["1.2.3"]),
        ({"ModalitiesInStudy": "MR"}, ["1.2.2"]),
        ({"ModalitiesInStudy": "MR,CT"}, ["1.2.2", "1.2.3", "1.2.1"]),
        ({"ModalitiesInStudy": "M*"}, ["1.2.2"]),
        ({"StudyInstanceUID": "1.2.1,1.2.4"}, ["1.2.1", "1.2.4"]),
        ({"StudyInstanceUID": "1.2.9"}, []),
        ({"PatientID": "' OR 1=1 --"}, []),
        ({"PatientName": "nguyen*", "StudyDate": "20261118"}, ["1.2.1"]),
    ],
)
def test_matching_is_that_of_the_standard(filled: Archive, keys: dict[str, str], expected: list[str]) -> None:
    assert uids(filled, **keys) == expected


@pytest.mark.parametrize("level", [Level.SERIES, Level.INSTANCE])
def test_modalities_of_a_study_can_be_asked_below_its_level(filled: Archive, level: Level) -> None:
    assert [values["StudyInstanceUID"] for values in search(filled, level, ModalitiesInStudy="MR")] == [
        "1.2.2"
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nguyen duc", ["1.2.1"]),
        ("DUC NGUYEN", ["1.2.1"]),
        ("đức", ["1.2.1"]),
        ("guyen", []),
        ("bn00", ["1.2.2", "1.2.3", "1.2.1"]),
        ("acc_7", ["1.2.4"]),
        ("can quang", ["1.2.4"]),
        ("duc bn0001", ["1.2.1"]),
        ("陳", ["1.2.2"]),
        ("100% _", []),
    ],
)
def test_the_search_box_finds_words_wherever_they_stand(
    filled: Archive, text: str, expected: list[str]
) -> None:
    found = filled.index.search(Query(Level.STUDY, text=text)).matches
    assert [match.values["StudyInstanceUID"] for match in found] == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("StudyDate", "yesterday"),
        ("StudyDate", "-"),
        ("StudyDate", "2026-11-20"),
        ("StudyTime", "25h"),
        ("StudyInstanceUID", "1.2/../3"),
        ("PatientName", "*a*b*c*d*e*f*g*h*i*"),
        ("PatientName", "x" * 2000),
        ("PatientName", "a\0b"),
        ("PatientName", "á " * 33),
        ("ReferringPhysicianName", "a " * 33),
        ("NumberOfStudyRelatedSeries", "1"),
    ],
)
def test_a_malformed_value_is_refused_by_name_and_not_repeated(
    filled: Archive, name: str, value: str
) -> None:
    with pytest.raises(InvalidRequest, match=name) as refusal:
        search(filled, **{name: value})
    assert len(value) < 3 or value not in str(refusal.value)


def test_pages_are_stable_and_tell_whether_more_follow(archive: Archive) -> None:
    for number in range(7):
        archive.index.write(make_record(study=f"1.2.{number}", series=f"1.2.{number}.1"))
    pages = [archive.index.search(Query(Level.STUDY, limit=3, offset=offset)) for offset in (0, 3, 6)]
    assert [page.truncated for page in pages] == [True, True, False]
    found = [match.values["StudyInstanceUID"] for page in pages for match in page.matches]
    assert len(set(found)) == 7


def test_codes_and_requests_are_kept_once_shown_and_searchable(archive: Archive) -> None:
    code = ProcedureCode("18.0119.0028", "99BYT", "Chụp X-quang ngực thẳng", "sequence")
    request = RequestAttributes("RP7", None)
    for number in (1, 2):
        archive.index.write(make_record(number, codes=(code,), requests=(request,)))
    archive.index.write(make_record(study="1.2.2", series="1.2.2.1"))
    assert uids(archive, ProcedureCodeSequence__CodeValue="18.0119.*") == ["1.2.1"]
    assert archive.index.search(Query(Level.STUDY, text="18.0119")).matches[0].procedure_codes == [code]
    series = archive.index.search(Query(Level.SERIES, [(find_key("00400275.00401001"), "RP7")])).matches  # type: ignore[list-item]
    assert [match.request_attributes for match in series] == [[request]]


def test_instances_come_in_series_and_instance_order(archive: Archive) -> None:
    for series, number in (("1.2.1.2", 1), ("1.2.1.1", 10), ("1.2.1.1", 9)):
        archive.index.write(make_record(number, series=series, series_number=int(series[-1])))
    found = archive.index.find_instances("1.2.1")
    assert [instance.sop_instance_uid for instance in found] == ["1.2.1.1.9", "1.2.1.1.10", "1.2.1.2.1"]
    assert archive.index.find_instances("1.2.1", "1.2.1.2", "1.2.1.1.9") == []
    assert found[0].received_at.tzinfo is not None


def test_migrating_again_changes_nothing(archive: Archive) -> None:
    before, after = archive.index.migrate()
    assert before == after
    archive.index.require_newest_schema()


def test_conflicts_of_the_first_schema_are_kept_and_can_be_settled(archive: Archive) -> None:
    make_anew_at(archive, "0002")
    insert_old_study(archive)
    insert_old(
        archive,
        "conflict",
        sop_instance_uid="1.2.1.1.1",
        object_key="new",
        size_bytes=10,
        sha256="b" * 64,
        received_at=datetime(2026, 11, 20, tzinfo=UTC),
    )
    archive.index.migrate()
    (after,) = archive.index.list_conflicts()
    assert after.first is not None
    assert (after.first.object_key, after.new.object_key) == ("first", "new")
    assert (after.study_instance_uid, after.new.sha256) == ("1.2.1", "b" * 64)


def test_studies_of_an_older_schema_are_found_as_new_ones_are(archive: Archive) -> None:
    make_anew_at(archive, "0003")
    insert_old_study(archive)
    archive.index.migrate()
    archive.index.write(make_record(study="1.2.2", series="1.2.2.1", modality="MR"))
    for keys in (
        {"PatientName": "duc nguyen van"},
        {"PatientName": "*guye*"},
        {"PatientName": "Đức*"},
        {"PatientID": "BN9"},
        {"AccessionNumber": "ACC9"},
        {"StudyDate": "20261118"},
        {"ModalitiesInStudy": "CT"},
        {"SOPClassesInStudy": "1.2.840.10008.5.1.4.1.1.2", "PatientID": "BN9"},
        {"ProcedureCodeSequence__CodeValue": "18.0119.*"},
    ):
        assert uids(archive, **keys) == ["1.2.1"], keys
    for typed in ("ngu duc", "nguc", "bn9", "acc9", "18.0119"):
        found = archive.index.search(Query(Level.STUDY, text=typed)).matches
        assert [match.values["StudyInstanceUID"] for match in found] == ["1.2.1"], typed
    (study, _) = search(archive)
    assert study["ModalitiesInStudy"] == ["CT", "SR"]


def test_signs_that_structure_names_are_plain_signs_in_descriptions(archive: Archive) -> None:
    archive.index.write(make_record(study_description="Ngực ^ T1=T2", series_description="AX^T1="))
    assert uids(archive, StudyDescription="ngực ^ t1=t2") == ["1.2.1"]
    assert uids(archive, StudyDescription="*^*=*") == ["1.2.1"]
    assert uids(archive, StudyDescription="nguc t1=t2") == []
    (series,) = search(archive, Level.SERIES, SeriesDescription="ax^t1=")
    assert series["SeriesDescription"] == "AX^T1="


def test_descriptions_that_were_folded_as_names_are_found_again(archive: Archive) -> None:
    make_anew_at(archive, "0003")
    insert_old_study(archive, study_description="Ngực^T1=", study_description_folded="nguc t1")
    archive.index.migrate()
    assert uids(archive, StudyDescription="ngực^t1=") == uids(archive, StudyDescription="*^*=") == ["1.2.1"]


def test_the_models_are_what_the_migrations_make(archive: Archive) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from pacs.index.models import metadata

    with archive.index._engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    assert differences == []


def test_the_newest_schema_is_the_head_of_the_migrations(archive: Archive) -> None:
    head = ScriptDirectory.from_config(alembic_config()).get_current_head()
    assert newest_version() == current_version(archive.index._engine) == head


def test_who_opens_an_index_does_not_load_what_only_migrations_need() -> None:
    program = "import sys, pacs.dimse.listener; sys.exit('alembic' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_an_index_without_tables_says_what_to_run(tmp_path: Path) -> None:
    index = open_index(f"sqlite:///{tmp_path}/empty.sqlite")
    with pytest.raises(IndexUnavailable, match="filmless migrate"):
        index.require_newest_schema()


def test_a_database_that_is_away_is_unavailable() -> None:
    index = open_index("postgresql://nobody:nothing@127.0.0.1:1/none")
    with pytest.raises(IndexUnavailable):
        index.write(make_record())
    with pytest.raises(IndexUnavailable):
        index.check()


def test_a_code_that_an_object_carries_wins_over_one_of_a_site_rule(archive: Archive) -> None:
    carried = ProcedureCode("18.0119.0028", "99BYT", "Chụp X-quang ngực thẳng", "sequence")
    guessed = ProcedureCode("18.0192.0041", "99BYT", "CLVT ngực", "rule")
    for number, code in enumerate((guessed, carried, guessed), start=1):
        archive.index.write(make_record(number, codes=(code,)))
    assert archive.index.search(Query(Level.STUDY)).matches[0].procedure_codes == [carried]


def test_an_instance_never_goes_to_a_study_that_has_come_in_the_place_of_its_own(archive: Archive) -> None:
    other = open_index(archive.settings.resolved_database_url)
    try:
        archive.index.write(make_record(1, study="1.2.1", patient_id="ANNA"))
        other.clear()
        other.write(make_record(1, study="1.2.2", series="1.2.2.1", patient_id="BERTA"))
        archive.index.write(make_record(2, study="1.2.1", patient_id="ANNA"))
    finally:
        other.close()
    found = {row["StudyInstanceUID"]: row["NumberOfStudyRelatedInstances"] for row in search(archive)}
    assert found == {"1.2.1": 1, "1.2.2": 1}


def test_a_hundred_readers_at_a_time_are_all_answered_over_few_connections(archive: Archive) -> None:
    """Four processes and an operator share the 97 that PostgreSQL lets in unless told otherwise."""
    engine = create_index_engine(archive.settings.resolved_database_url)
    opened: list[object] = []
    event.listen(engine, "connect", lambda connection, _record: opened.append(connection))

    def read(_: int) -> int:
        with reading(engine) as connection:
            sleep(0.05)  # as if the answer were a long one
            return int(connection.scalar(text("SELECT 1")) or 0)

    with ThreadPoolExecutor(100) as readers:
        assert list(readers.map(read, range(100))) == [1] * 100
    engine.dispose()
    if engine.dialect.name == "postgresql":
        assert len(opened) <= 97 // 4
