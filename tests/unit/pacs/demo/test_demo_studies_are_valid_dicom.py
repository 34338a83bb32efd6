import subprocess

import pydicom
import pytest
from pydicom.uid import UID

from pacs.demo.bundled import bundled_files
from pacs.demo.orders import MR_BRAIN
from tests.data import program
from tests.unit.pacs.demo.made import STUDIES, first_of_each_series, make_again

PRIVATE_SCHEME = "Unrecognized defined term <99BYT>"  # a private designator cannot be in dciodvfy's list


@pytest.mark.parametrize("accession_number", STUDIES)
def test_every_kind_of_instance_pleases_dciodvfy(accession_number, tmp_path):
    dciodvfy = program("dciodvfy")
    for number, instance in first_of_each_series(accession_number).items():
        path = tmp_path / f"{number}.dcm"
        instance.save_as(path, enforce_file_format=True)
        verdict = subprocess.run([dciodvfy, path], capture_output=True, text=True, timeout=60, check=False)
        lines = (verdict.stdout + verdict.stderr).splitlines()
        assert any(line.endswith(("Image", "ForPresentation")) for line in lines), "no IOD was recognised"
        assert [line for line in lines if line.startswith("Error")] == []
        assert [line for line in lines if line.startswith("Warning") and PRIVATE_SCHEME not in line] == []


def test_both_weightings_of_the_brain_are_among_them():
    assert len(first_of_each_series(MR_BRAIN.accession_number)) == 2


@pytest.mark.parametrize("accession_number", STUDIES)
def test_the_file_meta_information_agrees_with_the_data_set(accession_number):
    for instance in first_of_each_series(accession_number).values():
        meta = instance.file_meta
        assert meta.MediaStorageSOPClassUID == instance.SOPClassUID
        assert meta.MediaStorageSOPInstanceUID == instance.SOPInstanceUID
        assert meta.TransferSyntaxUID.is_transfer_syntax


@pytest.mark.parametrize("accession_number", ["SA261120019", "CT261120001"])
def test_every_instance_has_a_valid_uid_of_its_own(accession_number):
    made = make_again(accession_number, 2)
    uids = [instance.SOPInstanceUID for instance in made]
    assert len(set(uids)) == 2
    assert all(UID(uid).is_valid for uid in uids)
    assert len({instance.SeriesInstanceUID for instance in made}) == 1
    assert len({instance.StudyInstanceUID for instance in made}) == 1


def test_studies_series_and_frames_of_reference_have_different_uids():
    instances = [one for name in STUDIES for one in first_of_each_series(name).values()]
    uids = {instance.SOPInstanceUID for instance in instances}
    uids |= {instance.SeriesInstanceUID for instance in instances}
    uids |= {instance.StudyInstanceUID for instance in instances}
    uids |= {one.FrameOfReferenceUID for one in instances if "FrameOfReferenceUID" in one}
    assert all(UID(uid).is_valid for uid in uids)
    assert len(uids) == 2 * len(instances) + len(STUDIES) + 4  # of two CT and two MR studies


def test_the_bundled_files_are_complete_instances():
    files = bundled_files()
    uids = set()
    for path in files:
        instance = pydicom.dcmread(path)
        for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
            assert UID(instance[keyword].value).is_valid, path.name
        assert instance.pixel_array.size, path.name
        uids.add(instance.SOPInstanceUID)
    assert len(uids) == len(files) > 5
