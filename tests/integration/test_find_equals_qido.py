"""C-FIND answers what QIDO-RS answers: made-up queries by both doors, on both databases."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from io import BytesIO
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom.dsutils import decode
from starlette.testclient import TestClient

from pacs.archive import Archive
from pacs.dicom.attributes import ATTRIBUTES, SEQUENCE_KEYS, Attribute, Level, Matching
from pacs.dimse.information_models import STUDY_ROOT
from pacs.index.records import InstanceRecord, ProcedureCode, RequestAttributes
from pacs.text import fold
from tests.integration.dimse_peers import listening
from tests.integration.find_peers import Searcher, identifier
from tests.integration.test_index import make_record
from tests.integration.test_name_search import FAILURES_OF_OTHERS
from tests.vietnamese_names import vietnamese_names
from viewer_api.app import create_app

STUDIES = 150
LEVELS = {
    Level.STUDY: ("STUDY", "studies"),
    Level.SERIES: ("SERIES", "series"),
    Level.INSTANCE: ("IMAGE", "instances"),
}
# Relational queries and date-time matching; with fuzzy names, empty values and multiple values, or without.
NEGOTIATED = {False: bytes((1, 1, 0)), True: bytes((1, 1, 1, 0, 0, 1, 1))}
ONLY_HTTP = {"00080005", "00081190"}  # Specific Character Set is the same always; Retrieve URL
ONLY_DIMSE = {"00080005", "00080052", "00080054"}
# Of what differs by design: in C-FIND, Timezone Offset is no key.
KEYS = [a for a in ATTRIBUTES if a.matching is not Matching.NONE and a.keyword != "TimezoneOffsetFromUTC"]
USUAL = {
    *(
        "PatientName",
        "PatientID",
        "AccessionNumber",
        "StudyDate",
        "StudyTime",
        "ModalitiesInStudy",
        "PatientSex",
    ),
    *("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "Modality", "StudyDescription", "Columns"),
    *(
        "ReferringPhysicianName",
        "StudyID",
        "SeriesNumber",
        "InstanceNumber",
        "NumberOfFrames",
        "InstitutionName",
    ),
    *("NameOfPhysiciansReadingStudy", "OtherPatientIDs", "PatientComments", "PatientWeight"),
}
TEXTS = {
    "PatientID": ["BN04?", "BN0*", "*7", "BN033"],
    "AccessionNumber": ["A_1", "A?1*", "a%*", "a%3", "%"],
    "StudyID": ["7", "1?", "_"],
    "StudyDescription": ["Sọ não", "*ngực*", "so nao", "ct*"],
    "InstitutionName": ["Bệnh viện Đa khoa", "Bệnh*", "benh*"],
    "OtherPatientIDs": ["K7", "K?", "K1", "*7"],
    "PatientComments": ["*di ung*", "Dị ứng*", "thuoc"],
    "PatientSex": ["*a*b*c*d*e*f*g*h*i*"],
}


def corpus() -> Iterator[InstanceRecord]:
    chance = random.Random(5)
    names = [*vietnamese_names(STUDIES - len(FAILURES_OF_OTHERS)), *FAILURES_OF_OTHERS]
    for number, name in enumerate(names):
        study = f"1.2.{number}"
        shared: dict[str, Any] = {
            "patient_name": name,
            "patient_id": f"BN{number % 100:03}",
            "patient_sex": chance.choice(["M", "F", None]),
            "patient_birth_date": f"19{chance.randrange(40, 99)}0{chance.randrange(1, 9)}15",
            "study_date": chance.choice([None, f"202601{chance.randrange(1, 29):02}"]),
            "study_time": chance.choice([None, f"{chance.randrange(24):02}{chance.randrange(60):02}00"]),
            "accession_number": chance.choice([None, f"A_{number}", f"a%{number % 7}"]),
            "study_description": chance.choice(["Sọ não", "CT ngực có cản quang", None]),
            "referring_physician_name": chance.choice(["Lê^Thị Bình", "Đỗ^Ước", None]),
            "institution_name": chance.choice(["Bệnh viện Đa khoa", None]),
            "study_id": str(number),
            "name_of_physicians_reading_study": chance.choice(["Lê^Thị Bình\\Đỗ^Ước", "Đỗ^Ước", None]),
            "other_patient_ids": chance.choice([f"K{number % 9}\\K7", None]),
            "patient_weight": chance.choice(["61.5", "70", None]),
            "patient_comments": chance.choice(["Dị ứng \\ thuốc", None]),
        }
        codes = (ProcedureCode(f"18.{number % 9}", "99VN", "Chụp", "sequence"),) if number % 3 else ()
        for series in range(1, chance.randrange(2, 4)):
            modality = chance.choice(["CT", "MR", "US"])
            requests = (RequestAttributes(f"RP{number % 11}", f"SPS{series}"),) if number % 2 else ()
            for instance in range(1, chance.randrange(2, 4)):
                record = make_record(
                    instance, study=study, series=f"{study}.{series}", codes=codes, requests=requests,
                    modality=modality, series_number=series, **shared,
                )  # fmt: skip
                below = {"rows": 512, "columns": 256 * instance, "number_of_frames": instance}
                yield replace(record, instance={**record.instance, **below})


@pytest.fixture(scope="module")
def doors(module_archive: Archive) -> Iterator[tuple[TestClient, dict[bool, Searcher]]]:
    records = list(corpus())
    for first in range(0, len(records), 200):
        module_archive.index.write_in_order(records[first : first + 200])
    client = TestClient(create_app(module_archive), base_url="http://127.0.0.1:8080")
    with (
        listening(module_archive) as port,
        Searcher(port, STUDY_ROOT, NEGOTIATED[False]) as plain,
        Searcher(port, STUDY_ROOT, NEGOTIATED[True]) as extended,
    ):
        yield client, {False: plain, True: extended}


class Maker:
    """Makes queries up, of values that there are, and of some that there are not."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._names = [*vietnamese_names(STUDIES), *FAILURES_OF_OTHERS]

    def query(self, level: Level) -> dict[str, str]:
        keys: dict[str, str] = {}
        possible = [
            key
            for key in KEYS
            if key.level <= level and (key.keyword in USUAL or self._chance.random() < 0.2)
        ]
        for attribute in self._chance.sample(possible, self._chance.choice([0, 1, 1, 2, 2, 3])):
            keys[attribute.keyword] = self._value(attribute)
        if self._chance.random() < 0.2:
            key = self._chance.choice([key for key in SEQUENCE_KEYS if key.level <= level])
            keys[key.name] = self._chance.choice(["18.1", "18*", "RP3", "SPS?", "99VN", "Chụp", "", '""'])
        return keys

    def _is_chosen(self, key: Attribute) -> bool:
        return key.keyword in USUAL or self._chance.random() < 0.2

    def _value(self, attribute: Attribute) -> str:
        chance = self._chance
        if attribute.vr == "DS":
            return chance.choice(["61.5", "6.15", "70", ""])
        if chance.random() < 0.1:
            return chance.choice(["", "*", '""']) if attribute.matching is not Matching.INTEGER else ""
        match attribute.matching:
            case Matching.PERSON_NAME:
                return self._name(chance.choice([*self._names, "Lê^Thị Bình", "Đỗ^Ước"]))
            case Matching.DATE:
                return self._range(
                    f"202601{chance.randrange(1, 29):02}", f"202601{chance.randrange(1, 29):02}"
                )
            case Matching.TIME:
                return self._range(f"{chance.randrange(24):02}", f"{chance.randrange(24):02}3000")
            case Matching.INTEGER:
                return str(chance.choice([1, 2, 3, 256, 512]))
            case Matching.UID:
                return self._uids(attribute)
            case Matching.CODE_STRING:
                return chance.choice(["CT", "MR", "C*", "?R", "M", "F", "CT\\US", "M\\F"])
            case _:
                return "042Y" if attribute.vr == "AS" else self._text(attribute.keyword)

    def _name(self, name: str) -> str:
        changes = [
            str, fold, str.upper, str.lower,
            lambda text: text.replace("^", " "),
            lambda text: " ".join(reversed(text.replace("^", " ").split())),
            lambda text: text.split("^", maxsplit=1)[0] + "*",
            lambda text: "*" + text.split()[-1],
            lambda text: fold(text)[:3] + "*",
            lambda text: re.sub("[aăâ]", "?", text, count=1),
        ]  # fmt: skip
        return str(self._chance.choice(changes)(name))

    def _range(self, first: str, last: str) -> str:
        first, last = sorted((first, last))
        return self._chance.choice([first, f"{first}-{last}", f"{first}-", f"-{last}", "2026", "-"])

    def _uids(self, attribute: Attribute) -> str:
        if "SOPClass" in attribute.keyword:
            return self._chance.choice(["1.2.840.10008.5.1.4.1.1.2", "1.2.3"])
        studies = [
            f"1.2.{self._chance.randrange(STUDIES + 5)}" for _ in range(self._chance.choice([1, 1, 3, 20]))
        ]
        below = {"StudyInstanceUID": "", "SeriesInstanceUID": ".1", "SOPInstanceUID": ".1.1"}
        return "\\".join(study + below[attribute.keyword] for study in dict.fromkeys(studies))

    def _text(self, keyword: str) -> str:
        anything = [text for texts in TEXTS.values() for text in texts]
        own = TEXTS.get(keyword, anything)
        return self._chance.choice(own if self._chance.random() < 0.8 else anything)


def by_http(client: TestClient, level: Level, keys: dict[str, str], extended: bool) -> list[Any] | None:
    truth = {
        name: "true" for name in ("fuzzymatching", "emptyvaluematching", "multiplevaluematching") if extended
    }
    listed = {name: value.replace("\\", ",") for name, value in keys.items()}
    response = client.get(f"/dicom-web/{LEVELS[level][1]}", params=listed | truth | {"includefield": "all"})
    if response.status_code == 400:
        return None
    return [{tag: e for tag, e in found.items() if tag not in ONLY_HTTP} for found in response.json()]


def by_dimse(searcher: Searcher, level: Level, keys: dict[str, str]) -> list[Any] | None:
    dataset = identifier(LEVELS[level][0])
    for attribute in ATTRIBUTES:
        if attribute.level <= level:
            value = keys.get(attribute.keyword, "")
            setattr(dataset, attribute.keyword, typed(attribute, value))
    for sequence in {key.sequence_keyword for key in SEQUENCE_KEYS if key.level <= level}:
        item = Dataset()
        for name, value in keys.items():
            if name.startswith(sequence + "."):
                for key in SEQUENCE_KEYS:  # all of them are to be answered
                    if key.sequence_keyword == sequence:
                        setattr(item, key.keyword, value if key.name == name else "")
        setattr(dataset, sequence, [item] if len(item) else [])
    answers = searcher.find_by(dataset)
    if answers.final == 0xC000:
        return None
    assert answers.final == 0x0000 and set(answers.statuses[:-1]) <= {0xFF00}
    return [as_json(answer) for answer in answers.encoded]


@lru_cache(maxsize=4096)
def as_json(encoded: bytes) -> dict[str, Any]:
    """Write an answer as QIDO-RS does. The same ones come again and again, and pydicom takes its time."""
    answer = decode(BytesIO(encoded), is_implicit_vr=True, is_little_endian=True)
    found = without_empty_items(answer.to_json_dict())
    return {tag: e for tag, e in found.items() if tag not in ONLY_DIMSE}


def typed(attribute: Attribute, value: str) -> Any:
    if attribute.vr == "US" and value:
        return int(value)
    return value.split("\\") if "\\" in value else value or None


def without_empty_items(answer: dict[str, Any]) -> dict[str, Any]:
    """Write empty sequences as QIDO-RS does."""
    return {tag: {"vr": e["vr"]} if not e.get("Value", True) else e for tag, e in answer.items()}


@pytest.mark.parametrize(
    ("seed", "count"),
    [pytest.param(1, 60, id="short"), pytest.param(2, 2000, id="long", marks=pytest.mark.soak)],
)
def test_both_doors_answer_the_same(
    doors: tuple[TestClient, dict[bool, Searcher]], seed: int, count: int
) -> None:
    client, searchers = doors
    maker, answered, refused = Maker(seed), 0, 0
    for number in range(count):
        level, extended = list(LEVELS)[number % 3], number % 4 == 0
        keys = maker.query(level)
        expected = by_http(client, level, keys, extended)
        assert by_dimse(searchers[extended], level, keys) == expected, (level, keys, extended)
        answered += bool(expected)
        refused += expected is None
    assert answered > count / 5
    assert refused > 0


def test_vietnamese_names_are_found_however_they_are_typed(
    doors: tuple[TestClient, dict[bool, Searcher]],
) -> None:
    plain = doors[1][False]
    for name in [*vietnamese_names(40), *FAILURES_OF_OTHERS]:
        for typed in (name, fold(name), name.upper(), " ".join(reversed(name.replace("^", " ").split()))):
            assert name in plain.find("STUDY", PatientName=typed).values("PatientName"), typed
