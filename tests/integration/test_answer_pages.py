"""All answers page by page are those of one search, in its order, each once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from pacs.archive import Archive
from pacs.dicom.attributes import Level, find_key
from pacs.errors import InvalidRequest
from pacs.index.answer_pages import search_pages, search_patients
from pacs.index.records import Match, Query
from tests.integration.test_find_equals_qido import corpus
from tests.integration.test_index import make_record

QUERIES = [
    {},
    {"PatientName": "nguyen*"},
    {"PatientName": "Thị"},
    {"PatientName": "*hà*"},
    {"PatientID": "BN0*"},
    {"StudyDate": "20260105-"},
    {"ModalitiesInStudy": "CT\\US"},
    {"StudyInstanceUID": "1.2.1\\1.2.2\\1.2.3"},
    {"ProcedureCodeSequence.CodeValue": "18.1"},
    {"PatientName": "nobody"},
]


@pytest.fixture(scope="module")
def filled(module_archive: Archive) -> Iterator[Archive]:
    records = list(corpus())
    for number in range(30):  # at one moment, and without one: the order among them is that of their keys
        uids = {"study": f"1.3.{number}", "series": f"1.3.{number}.1"}
        records.append(make_record(**uids, patient_id="BN050", study_date="20260105" if number % 2 else None))
    module_archive.index.write_in_order(records)
    return module_archive


def query(level: Level, keys: dict[str, str]) -> Query:
    pairs = [(key, value) for name, value in keys.items() if (key := find_key(name)) is not None]
    return Query(level, pairs, limit=10_000)


def moment(match: Match) -> str:
    date, time = match.values["StudyDate"], match.values["StudyTime"]
    return f"{date}{time or ''}" if date else ""


@pytest.mark.parametrize("level", Level)
@pytest.mark.parametrize("keys", QUERIES, ids=str)
def test_pages_are_one_search(filled: Archive, keys: dict[str, str], level: Level) -> None:
    wanted = query(level, keys)
    expected = filled.index.search(wanted).matches
    for page_size in (1, 7, 10_000) if len(expected) < 60 else (7, 64, 10_000):
        pages = list(search_pages(filled.index._engine, wanted, page_size))
        assert [match for page in pages for match in page] == expected
        assert all(0 < len(page) <= page_size for page in pages)


@pytest.mark.parametrize("keys", QUERIES, ids=str)
def test_patients_are_those_of_the_studies_that_match(filled: Archive, keys: dict[str, str]) -> None:
    wanted = query(Level.STUDY, keys)
    newest: dict[str, Match] = {}
    for match in filled.index.search(wanted).matches:
        patient_id = str(match.values["PatientID"])
        first = newest.setdefault(patient_id, match)
        if moment(match) > moment(first):
            newest[patient_id] = match
    studies = filled.index.search(query(Level.STUDY, {})).matches
    counts = Counter(match.values["PatientID"] for match in studies)
    for page_size in (7, 10_000):
        found = [
            match.values
            for page in search_patients(filled.index._engine, wanted, page_size)
            for match in page
        ]
        assert len(found) == len(newest)
        for patient in found:
            study = newest[str(patient["PatientID"])].values
            assert patient["PatientName"] == study["PatientName"]
            assert patient["NumberOfPatientRelatedStudies"] == counts[patient["PatientID"]]


def test_a_malformed_value_is_refused_when_the_first_page_is_asked_for(filled: Archive) -> None:
    for pages in (filled.index.search_pages, filled.index.search_patients):
        with pytest.raises(InvalidRequest):
            next(pages(query(Level.STUDY, {"StudyDate": "x"})))
