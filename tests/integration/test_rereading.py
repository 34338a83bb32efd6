"""Studies that older software has indexed get what it did not read, from their objects."""

from __future__ import annotations

from threading import Event, Thread
from typing import Any

import pytest
from alembic import command
from sqlalchemy import text

from pacs.archive import Archive
from pacs.index.migration import alembic_config
from pacs.ingest import Origin, open_part10, store_instance
from pacs.jobs.rereading import keep_rereading, reread_studies
from tests.datasets import encode_file, make_dataset
from tests.integration.test_index import search

BEFORE, AFTER = "0017", "0018"
_SET_VERSION = text("UPDATE alembic_version SET version_num = :version")


def store(archive: Archive, number: int, instance: int = 1, **attributes: Any) -> str:
    uid = f"1.2.826.0.1.3680043.8.498.7.{number}"
    dataset = make_dataset(
        StudyInstanceUID=uid,
        SeriesInstanceUID=f"{uid}.1",
        SOPInstanceUID=f"{uid}.1.{instance}",
        PatientID=f"BN{number}",
        **attributes,
    )
    return store_instance(archive, open_part10([encode_file(dataset)]), Origin("dimse")).sop_instance_uid


@pytest.fixture
def old_archive(archive: Archive) -> Archive:
    """An archive of three studies, as if older software had indexed them, which read no comments."""
    store(archive, 1, PatientComments="Dị ứng", NameOfPhysiciansReadingStudy=["Lê^Bình", "Đỗ^Ước"])
    store(archive, 2, PatientComments="Hen")
    store(archive, 2, 2, PatientComments="Later, and not what the study says")
    store(archive, 3, PatientComments="Gone")
    engine = archive.index._engine
    with engine.begin() as connection:
        for name in ("patient_comments", "name_of_physicians_reading_study"):
            connection.execute(text(f"UPDATE study SET {name} = NULL, {name}_folded = NULL"))
        connection.execute(text("UPDATE study SET patient_comments = 'Known' WHERE patient_id = 'BN2'"))
        connection.execute(text("DROP TABLE rereading"))
        newest = connection.scalar(text("SELECT version_num FROM alembic_version"))
        connection.execute(_SET_VERSION, {"version": BEFORE})
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, AFTER)
        connection.execute(_SET_VERSION, {"version": newest})
    return archive


def comments(archive: Archive) -> dict[str, Any]:
    return {one["PatientID"]: one["PatientComments"] for one in search(archive)}


def test_what_is_lacking_is_filled_and_what_is_known_stays(old_archive: Archive) -> None:
    (lost,) = old_archive.index.find_instances("1.2.826.0.1.3680043.8.498.7.3")
    old_archive.store.delete(lost.location.key)
    assert comments(old_archive) == {"BN1": None, "BN2": "Known", "BN3": None}
    assert reread_studies(old_archive, limit=2) == 2
    assert reread_studies(old_archive) == 1
    assert reread_studies(old_archive) == 0
    assert comments(old_archive) == {"BN1": "Dị ứng", "BN2": "Known", "BN3": None}
    (found,) = search(old_archive, NameOfPhysiciansReadingStudy="uoc do", PatientComments="di*")
    assert found["NameOfPhysiciansReadingStudy"] == ["Lê^Bình", "Đỗ^Ước"]


def test_what_arrives_after_the_update_is_not_read_again(old_archive: Archive) -> None:
    store(old_archive, 4, PatientComments="New")
    assert reread_studies(old_archive) == 3
    assert reread_studies(old_archive) == 0
    assert comments(old_archive)["BN4"] == "New"


def test_a_study_of_another_patient_than_its_object_names_is_left_alone(old_archive: Archive) -> None:
    with old_archive.index._engine.begin() as connection:
        connection.execute(text("UPDATE study SET patient_id = 'BN9' WHERE patient_id = 'BN1'"))
    assert reread_studies(old_archive) == 3
    assert comments(old_archive)["BN9"] is None


def test_the_worker_reads_all_and_then_rests(old_archive: Archive) -> None:
    stop = Event()
    worker = Thread(target=keep_rereading, args=(old_archive, stop))
    worker.start()
    try:
        for _ in range(200):
            if comments(old_archive)["BN1"]:
                break
            stop.wait(0.05)
        assert comments(old_archive) == {"BN1": "Dị ứng", "BN2": "Known", "BN3": "Gone"}
    finally:
        stop.set()
        worker.join(timeout=10)
    assert not worker.is_alive()


def test_a_new_archive_has_nothing_to_read_again(archive: Archive) -> None:
    store(archive, 1)
    assert reread_studies(archive) == 0
