from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from pacs.archive import Archive
from pacs.conflict_policy import ConflictPolicy
from pacs.conflicts import compare_contents, find_conflict, settle
from pacs.dicom.attributes import Level
from pacs.dicom.object_keys import parse_key
from pacs.errors import DuplicateInstance, NotFound, UnreadableInstance
from pacs.index.objects import ObjectCursor
from pacs.index.records import Conflict, ConflictKind, Query
from pacs.ingest import Disposition, IncomingInstance, Origin, store_instance
from pacs.retrieve import find_instances, read_attributes
from tests.damage import damage
from tests.datasets import encode, make_dataset

EXPLICIT = "1.2.840.10008.1.2.1"


def send(archive: Archive, dataset: Dataset, policy: ConflictPolicy = ConflictPolicy.KEEP) -> Disposition:
    incoming = IncomingInstance(EXPLICIT, dataset.SOPClassUID, dataset.SOPInstanceUID, [encode(dataset)])
    with_policy = replace(archive, settings=archive.settings.model_copy(update={"on_conflict": policy}))
    return store_instance(with_policy, incoming, Origin("dimse", "CT1")).disposition


def another(dataset: Dataset, **attributes: Any) -> Dataset:
    """Make another instance of the same series."""
    changed = make_dataset(**{element.keyword: element.value for element in dataset})
    for keyword, value in {"SOPInstanceUID": generate_uid(), **attributes}.items():
        setattr(changed, keyword, value)
    return changed


def study_of(archive: Archive, dataset: Dataset) -> dict[str, Any]:
    query = Query(Level.STUDY, study_instance_uid=dataset.StudyInstanceUID)
    (match,) = archive.index.search(query).matches
    return dict(match.values)


def rows_shown(archive: Archive, dataset: Dataset) -> int:
    """Rows of the content that readers get."""
    (found,) = find_instances(archive, dataset.StudyInstanceUID)
    return int(read_attributes(archive, found).Rows)


def only_conflict(archive: Archive) -> Conflict:
    (found,) = archive.index.list_conflicts(open_only=False)
    return found


@pytest.fixture
def dataset(archive: Archive) -> Iterator[Dataset]:
    """An instance of 16 rows that is stored."""
    stored = make_dataset()
    assert send(archive, stored) is Disposition.STORED
    yield stored


def test_keep_leaves_the_first_to_readers_and_the_question_to_a_person(
    archive: Archive, dataset: Dataset
) -> None:
    other = another(dataset, SOPInstanceUID=dataset.SOPInstanceUID, Rows=8)
    for _ in range(2):
        assert send(archive, other) is Disposition.CONFLICT
    conflict = only_conflict(archive)
    assert (conflict.kind, conflict.kept, conflict.differs) == (ConflictKind.CONTENT, None, "rows")
    assert conflict.first is not None
    assert {conflict.first.object_key, conflict.new.object_key} == {s.key for s in archive.store.list()}
    assert rows_shown(archive, dataset) == 16


def test_replace_gives_the_new_one_to_readers_and_keeps_both(archive: Archive, dataset: Dataset) -> None:
    other = another(dataset, SOPInstanceUID=dataset.SOPInstanceUID, Rows=8, StudyDescription="CT bụng")
    assert send(archive, other, ConflictPolicy.REPLACE) is Disposition.REPLACED
    assert send(archive, other, ConflictPolicy.REPLACE) is Disposition.ALREADY_STORED
    conflict = only_conflict(archive)
    assert (conflict.kept, conflict.settled_by) == ("new", "policy")
    assert rows_shown(archive, dataset) == 8
    assert study_of(archive, dataset)["StudyDescription"] == "CT bụng"  # it is all that the study has
    assert len(list(archive.store.list())) == 2
    assert send(archive, dataset, ConflictPolicy.REPLACE) is Disposition.REPLACED
    assert rows_shown(archive, dataset) == 16
    assert only_conflict(archive).kept == "first"


@pytest.mark.parametrize("attributes", [{"PatientID": "BN9"}, {"StudyInstanceUID": "1.2.3"}])
def test_replace_never_moves_an_instance_to_another_patient_or_study(
    archive: Archive, dataset: Dataset, attributes: dict[str, str]
) -> None:
    other = another(dataset, SOPInstanceUID=dataset.SOPInstanceUID, Rows=8, **attributes)
    assert send(archive, other, ConflictPolicy.REPLACE) is Disposition.CONFLICT
    assert only_conflict(archive).kept is None
    assert rows_shown(archive, dataset) == 16
    assert len(archive.index.search(Query(Level.STUDY)).matches) == 1


def test_refuse_tells_the_sender_and_shows_readers_nothing(archive: Archive, dataset: Dataset) -> None:
    other = another(dataset, SOPInstanceUID=dataset.SOPInstanceUID, Rows=8)
    for _ in range(2):
        with pytest.raises(DuplicateInstance):
            send(archive, other, ConflictPolicy.REFUSE)
    conflict = only_conflict(archive)
    assert (conflict.kept, conflict.settled_by) == ("first", "policy")
    assert rows_shown(archive, dataset) == 16
    assert send(archive, dataset, ConflictPolicy.REFUSE) is Disposition.ALREADY_STORED
    settle(archive, conflict, "new")  # an administrator may still take it
    assert rows_shown(archive, dataset) == 8


def test_a_conflict_is_settled_and_settled_otherwise(archive: Archive, dataset: Dataset) -> None:
    send(archive, another(dataset, SOPInstanceUID=dataset.SOPInstanceUID, Rows=8))
    (before,) = find_instances(archive, dataset.StudyInstanceUID)
    conflict = only_conflict(archive)
    settle(archive, conflict, "new")
    (now,) = find_instances(archive, dataset.StudyInstanceUID)
    assert now.location.key == conflict.new.object_key
    assert now.received_at == conflict.new.received_at
    assert rows_shown(archive, dataset) == 8
    assert archive.index.list_conflicts() == []
    settle(archive, only_conflict(archive), "first")
    (back,) = find_instances(archive, dataset.StudyInstanceUID)
    assert back == before
    assert len(list(archive.store.list())) == 2


def test_of_three_contents_the_one_that_was_chosen_stays(archive: Archive, dataset: Dataset) -> None:
    for rows in (8, 4):
        send(archive, another(dataset, SOPInstanceUID=dataset.SOPInstanceUID, Rows=rows))
    of_8, of_4 = archive.index.list_conflicts()
    settle(archive, of_4, "new")
    settle(archive, of_8, "first")  # the content of 8 rows is not wanted; that is all that this says
    assert rows_shown(archive, dataset) == 4
    settle(archive, of_8, "new")
    assert rows_shown(archive, dataset) == 8
    kept = [conflict.kept for conflict in archive.index.list_conflicts(open_only=False)]
    assert kept == ["new", "first"]


def test_a_corrected_patient_is_that_of_the_study_once_all_its_instances_are(
    archive: Archive, dataset: Dataset
) -> None:
    second = another(dataset)
    send(archive, second)
    for one in (dataset, second):
        corrected = another(one, SOPInstanceUID=one.SOPInstanceUID, PatientID="BN2", PatientName="Lê^B")
        assert send(archive, corrected) is Disposition.CONFLICT
    first, other = archive.index.list_conflicts()
    settle(archive, first, "new")
    assert study_of(archive, dataset)["PatientID"] == "BN0001"
    assert [c.kind for c in archive.index.list_conflicts()] == [ConflictKind.CONTENT, ConflictKind.PATIENT]
    settle(archive, other, "new")
    study = study_of(archive, dataset)
    assert (study["PatientID"], study["PatientName"]) == ("BN2", "Lê^B")
    assert archive.index.list_conflicts() == []


def test_an_instance_that_settling_moves_leaves_no_empty_study(archive: Archive, dataset: Dataset) -> None:
    moved = another(dataset, SOPInstanceUID=dataset.SOPInstanceUID, StudyInstanceUID=generate_uid())
    send(archive, moved)
    settle(archive, only_conflict(archive), "new")
    (study,) = archive.index.search(Query(Level.STUDY)).matches
    assert study.values["StudyInstanceUID"] == moved.StudyInstanceUID
    assert study.values["NumberOfStudyRelatedInstances"] == 1
    assert study.values["NumberOfStudyRelatedSeries"] == 1
    settle(archive, only_conflict(archive), "first")
    assert study_of(archive, dataset)["NumberOfStudyRelatedInstances"] == 1
    assert send(archive, another(dataset)) is Disposition.STORED


def test_a_damaged_content_never_becomes_current(archive: Archive, dataset: Dataset) -> None:
    send(archive, another(dataset, SOPInstanceUID=dataset.SOPInstanceUID, Rows=8))
    conflict = only_conflict(archive)
    damage(archive, conflict.new.object_key, b"what a failing disk left")
    with pytest.raises(UnreadableInstance):
        settle(archive, conflict, "new")
    assert only_conflict(archive).kept is None
    assert rows_shown(archive, dataset) == 16


def test_both_contents_of_a_conflict_are_known_to_sweep_and_verification(
    archive: Archive, dataset: Dataset
) -> None:
    send(archive, another(dataset, SOPInstanceUID=dataset.SOPInstanceUID, Rows=8), ConflictPolicy.REPLACE)
    keys = {stat.key for stat in archive.store.list()}
    assert archive.index.known_object_keys([dataset.SOPInstanceUID]) == keys
    listed, cursor = [], ObjectCursor()
    while page := archive.index.list_objects(cursor, 1):
        listed += [(one.key, one.size_bytes, one.sha256) for one in page]
        cursor = page[-1].cursor
    stored = {(stat.key, stat.size_bytes, parse_key(stat.key).sha256) for stat in archive.store.list()}
    assert len(listed) == archive.index.count_objects().objects == 2
    assert set(listed) == stored


def test_an_instance_of_another_patient_is_stored_and_told_and_changes_nothing(
    archive: Archive, dataset: Dataset
) -> None:
    for number in range(3):
        stranger = another(dataset, PatientID="BN9", PatientName="Lê^B", StudyID="other")
        stranger.InstanceNumber = number
        assert send(archive, stranger) is Disposition.PATIENT_DIFFERS
        assert send(archive, stranger) is Disposition.ALREADY_STORED
    study = study_of(archive, dataset)
    assert (study["PatientID"], study["PatientName"]) == ("BN0001", "NGUYỄN^VĂN ĐỨC")
    assert study["NumberOfStudyRelatedInstances"] == 4
    conflict = only_conflict(archive)  # one question, however many instances ask it
    assert (conflict.kind, conflict.differs, conflict.first) == (ConflictKind.PATIENT, "patient id", None)
    assert "BN9" not in conflict.subject


def test_a_study_without_what_an_instance_of_another_patient_says_stays_so(archive: Archive) -> None:
    dataset = make_dataset(AccessionNumber=None, PatientSex=None)
    send(archive, dataset)
    stranger = another(dataset, PatientID="BN9", AccessionNumber="ACC9", PatientSex="F")
    assert send(archive, stranger) is Disposition.PATIENT_DIFFERS
    study = study_of(archive, dataset)
    assert (study["AccessionNumber"], study["PatientSex"]) == (None, None)


def test_a_person_may_say_that_the_other_patient_is_right(archive: Archive, dataset: Dataset) -> None:
    stranger = another(dataset, PatientID="BN9", PatientName="Lê^B", PatientBirthDate="")
    send(archive, stranger)
    settle(archive, only_conflict(archive), "new")
    study = study_of(archive, dataset)
    assert (study["PatientID"], study["PatientName"]) == ("BN9", "Lê^B")
    assert study["PatientBirthDate"] is None
    settle(archive, only_conflict(archive), "first")
    study = study_of(archive, dataset)
    assert (study["PatientID"], study["PatientBirthDate"]) == ("BN0001", "19700102")


def test_concurrent_senders_of_different_contents_leave_one_current_and_a_conflict_for_each_other(
    archive: Archive,
) -> None:
    dataset = make_dataset()
    others = [another(dataset, SOPInstanceUID=dataset.SOPInstanceUID, Rows=rows) for rows in range(1, 7)]
    with ThreadPoolExecutor(6) as pool:
        dispositions = list(pool.map(lambda one: send(archive, one), others * 2))
    assert dispositions.count(Disposition.STORED) == 1
    assert dispositions.count(Disposition.ALREADY_STORED) == 1
    assert dispositions.count(Disposition.CONFLICT) == 10
    assert len(archive.index.list_conflicts()) == 5


def test_concurrent_replacements_leave_exactly_one_content_chosen(archive: Archive, dataset: Dataset) -> None:
    others = [another(dataset, SOPInstanceUID=dataset.SOPInstanceUID, Rows=rows) for rows in range(1, 7)]
    with ThreadPoolExecutor(6) as pool:
        dispositions = list(pool.map(lambda one: send(archive, one, ConflictPolicy.REPLACE), others))
    assert set(dispositions) == {Disposition.REPLACED}
    (found,) = find_instances(archive, dataset.StudyInstanceUID)
    chosen = [c.new.object_key for c in archive.index.list_conflicts(open_only=False) if c.kept == "new"]
    assert chosen == [found.location.key]


def test_what_differs_is_shown_attribute_by_attribute(archive: Archive, dataset: Dataset) -> None:
    other = another(dataset, SOPInstanceUID=dataset.SOPInstanceUID, PatientName="Lê^B", KVP="120")
    send(archive, other)
    conflict = find_conflict(archive, only_conflict(archive).conflict_id)
    shown = {one.keyword: (one.first, one.new) for one in compare_contents(archive, conflict)}
    assert shown == {"PatientName": ("NGUYỄN^VĂN ĐỨC", "Lê^B"), "KVP": ("", "120")}


def test_a_conflict_that_there_is_not_is_not_found(archive: Archive) -> None:
    with pytest.raises(NotFound):
        find_conflict(archive, 7)
