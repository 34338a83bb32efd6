"""Foreign programs search the archive by C-FIND: dcmtk's findscu and pynetdicom's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian

from pacs.dimse.scu import send_instances
from tests.data import program
from tests.datasets import encode_file, make_dataset
from tests.e2e.archive_process import ArchiveProcess

STUDIES = 250  # more than one page, and more than one write
NAMES = ("NGUYỄN^VĂN ĐỨC", "Trần^Thị Hoà", "Müller^Anna", "Smith^John")


@pytest.fixture(scope="module")
def filled(running_archive: ArchiveProcess, tmp_path_factory: pytest.TempPathFactory) -> ArchiveProcess:
    """Studies of four patients, sent by C-STORE."""
    folder = tmp_path_factory.mktemp("sent")
    for number in range(STUDIES):
        dataset = make_dataset(
            PatientName=NAMES[number % 4], PatientID=f"P{number % 4}", AccessionNumber=f"A{number:03}",
            StudyInstanceUID=f"1.2.826.{number}", SeriesInstanceUID=f"1.2.826.{number}.1",
            SOPInstanceUID=f"1.2.826.{number}.1.1",
        )  # fmt: skip
        (folder / f"{number}.dcm").write_bytes(encode_file(dataset, ExplicitVRLittleEndian))
    sent = send_instances("127.0.0.1", running_archive.dicom_port, "FILMLESS", sorted(folder.iterdir()))
    assert {status for _, status in sent} == {0x0000}
    return running_archive


class Program:
    """A program called findscu."""

    def __init__(
        self, archive: ArchiveProcess, folder: Path, command: Sequence[str], write: Sequence[str]
    ) -> None:
        self._command = [*command, "-v", "-aec", "FILMLESS", *write]
        self._address = ["127.0.0.1", str(archive.dicom_port)]
        self._folder = folder

    def run(self, *options: str, **keys: str) -> tuple[list[Dataset], str]:
        """The answers, and what was printed."""
        pairs = [
            part
            for keyword, value in keys.items()
            for part in ("-k", f"{keyword}={value}" if value else keyword)
        ]
        for old in self._folder.glob("rsp*"):
            old.unlink()
        done = subprocess.run(
            [*self._command, *options, *self._address, *pairs],
            cwd=self._folder, capture_output=True, check=False, timeout=60,
        )  # fmt: skip
        answers = [dcmread(path, force=True) for path in sorted(self._folder.glob("rsp*.dcm"))]
        return answers, (done.stdout + done.stderr).decode("utf-8", "replace")


@pytest.fixture
def dcmtk(filled: ArchiveProcess, tmp_path: Path) -> Program:
    return Program(filled, tmp_path, [program("findscu")], ["-X"])


@pytest.fixture
def pynetdicom(filled: ArchiveProcess, tmp_path: Path) -> Program:
    return Program(filled, tmp_path, [sys.executable, "-m", "pynetdicom", "findscu"], ["-w"])


def test_dcmtk_finds_studies_with_their_names(dcmtk: Program) -> None:
    answers, printed = dcmtk.run("-S", QueryRetrieveLevel="STUDY", PatientName="tran*", StudyInstanceUID="")
    assert "Received Final Find Response (Success)" in printed
    assert len(answers) == STUDIES // 4 + (STUDIES % 4 > 1)
    assert {str(answer.PatientName) for answer in answers} == {"Trần^Thị Hoà"}


def test_dcmtk_finds_every_study_once(dcmtk: Program) -> None:
    answers, _ = dcmtk.run("-S", QueryRetrieveLevel="STUDY", StudyInstanceUID="", AccessionNumber="")
    assert len(answers) == len({answer.StudyInstanceUID for answer in answers}) == STUDIES


def test_dcmtk_finds_patients_series_and_images(dcmtk: Program) -> None:
    patients, _ = dcmtk.run(
        "-P", QueryRetrieveLevel="PATIENT", PatientID="", PatientName="", NumberOfPatientRelatedStudies=""
    )
    assert {str(patient.PatientName) for patient in patients} == set(NAMES)
    assert sum(int(patient.NumberOfPatientRelatedStudies) for patient in patients) == STUDIES
    above = {"PatientID": "P3", "StudyInstanceUID": "1.2.826.3"}
    series, _ = dcmtk.run("-P", QueryRetrieveLevel="SERIES", SeriesInstanceUID="", Modality="", **above)
    assert [one.SeriesInstanceUID for one in series] == ["1.2.826.3.1"]
    below = {"SeriesInstanceUID": "1.2.826.3.1", "SOPInstanceUID": "", "Rows": ""}
    images, _ = dcmtk.run("-P", QueryRetrieveLevel="IMAGE", **above, **below)
    assert [(image.SOPInstanceUID, image.Rows) for image in images] == [("1.2.826.3.1.1", 16)]


def test_dcmtk_gets_its_character_set_where_the_names_are_in_it(dcmtk: Program) -> None:
    keys = {"QueryRetrieveLevel": "STUDY", "SpecificCharacterSet": "ISO_IR 100", "PatientName": ""}
    answers, _ = dcmtk.run("-S", **keys)
    sets = {str(answer.PatientName): answer.get("SpecificCharacterSet") for answer in answers}
    assert sets["Müller^Anna"] == sets["Smith^John"] == "ISO_IR 100"
    assert sets["NGUYỄN^VĂN ĐỨC"] == sets["Trần^Thị Hoà"] == "ISO_IR 192"


def test_dcmtk_is_told_why_its_query_is_refused(dcmtk: Program) -> None:
    answers, printed = dcmtk.run("-S", QueryRetrieveLevel="SERIES", SeriesInstanceUID="")
    assert answers == []
    assert "(Error: DataSetDoesNotMatchSOPClass)" in printed


def test_c3_dcmtk_cancels_and_gets_no_more(dcmtk: Program) -> None:
    _, printed = dcmtk.run("-S", "--cancel", "1", QueryRetrieveLevel="STUDY", StudyInstanceUID="")
    assert "Cancel" in printed
    assert "Final Find Response" in printed


def test_pynetdicom_finds_studies_and_patients(pynetdicom: Program) -> None:
    """Tried again where it is some short: its reactor now and then takes an answer away (3.0.4)."""
    for options, keys, count in (
        (("-S",), {"QueryRetrieveLevel": "STUDY", "PatientName": "nguyen*", "StudyInstanceUID": ""}, 63),
        (("-P",), {"QueryRetrieveLevel": "PATIENT", "PatientID": "", "PatientName": ""}, 4),
        (("-O",), {"QueryRetrieveLevel": "PATIENT", "PatientID": "P2", "PatientName": ""}, 1),
    ):
        counts = []
        for _ in range(3):
            answers, printed = pynetdicom.run(*options, **keys)
            assert "Success" in printed
            counts.append(len(answers))
            if counts[-1] == count:
                break
        assert counts[-1] == count, counts
