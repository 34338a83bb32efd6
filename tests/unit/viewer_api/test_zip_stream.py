from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.fileset import FileSet
from pydicom.uid import JPEGLSLossless
from starlette.testclient import TestClient

from pacs.archive import Archive
from pacs.dicom.dicomdir import is_safe_file_id, read_referenced_files
from pacs.retrieve import find_instances
from tests.datasets import make_dataset
from tests.unit.viewer_api.conftest import make_client, store_dataset

ZIP = {"accept": "application/zip"}


@pytest.fixture(scope="module")
def study(module_archive: Archive) -> str:
    """The path of a study of two series: two images of a patient with a terrible name, and a report."""
    first = make_dataset(InstanceNumber=1, PatientName="../../etc^Trần\r\nX: y")
    uid = first.StudyInstanceUID
    second = make_dataset(StudyInstanceUID=uid, SeriesInstanceUID=first.SeriesInstanceUID, InstanceNumber=2)
    report = make_dataset(
        StudyInstanceUID=uid, SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11", Modality="SR", PixelData=None
    )
    for dataset in (first, second, report):
        store_dataset(module_archive, dataset)
    return f"/dicom-web/studies/{uid}"


def test_a_study_comes_as_a_file_set(
    client: TestClient, module_archive: Archive, study: str, tmp_path: Path
) -> None:
    response = client.get(study, headers=ZIP)
    assert response.headers["content-type"] == "application/zip"
    uid = study.rpartition("/")[2]
    assert response.headers["content-disposition"] == f'attachment; filename="{uid}.zip"'
    with zipfile.ZipFile(io.BytesIO(response.content)) as container:
        assert container.testzip() is None
        container.extractall(tmp_path)
    found = FileSet(tmp_path / "DICOMDIR")  # pydicom walks the links
    expected = find_instances(module_archive, uid)
    assert {one.SOPInstanceUID for one in found} == {one.sop_instance_uid for one in expected}
    assert sorted(one.DirectoryRecordType for one in found) == ["IMAGE", "IMAGE", "SR DOCUMENT"]
    assert len(found.find_values("SeriesInstanceUID")) == 2
    for one in found:
        dataset = one.load()
        assert dataset.SOPInstanceUID == one.SOPInstanceUID
        assert one.path.startswith(str(tmp_path / "DICOM"))


def test_d11_names_in_a_zip_are_ours_and_differ(client: TestClient, study: str) -> None:
    with zipfile.ZipFile(io.BytesIO(client.get(study, headers=ZIP).content)) as container:
        *names, directory = container.namelist()
        file_ids = read_referenced_files(container.read(directory))
    assert directory == "DICOMDIR"
    assert all(re.fullmatch(r"DICOM/SE\d{6}/IM\d{6}", name) for name in names)
    assert len(set(names)) == len(names) == 3
    assert ["/".join(file_id) for file_id in file_ids] == names
    assert all(map(is_safe_file_id, file_ids))


def test_a_zip_has_the_transfer_syntax_that_is_asked_for(client: TestClient, study: str) -> None:
    accept = {"accept": f"application/zip; transfer-syntax={JPEGLSLossless}"}
    with zipfile.ZipFile(io.BytesIO(client.get(study, headers=accept).content)) as container:
        images = [dcmread(io.BytesIO(container.read(name))) for name in container.namelist()[:-1]]
    compressed = [image for image in images if image.file_meta.TransferSyntaxUID == JPEGLSLossless]
    assert len(compressed) == 2
    for image in compressed:
        np.testing.assert_array_equal(image.pixel_array.ravel(), np.arange(256))


def test_a_zip_leaves_out_what_is_missing(archive: Archive) -> None:
    first = make_dataset()
    second = make_dataset(StudyInstanceUID=first.StudyInstanceUID)
    for dataset in (first, second):
        store_dataset(archive, dataset)
    lost, _ = find_instances(archive, first.StudyInstanceUID)
    archive.store.delete(lost.location.key)
    response = make_client(archive).get(f"/dicom-web/studies/{first.StudyInstanceUID}", headers=ZIP)
    assert response.status_code == 206
    with zipfile.ZipFile(io.BytesIO(response.content)) as container:
        assert len(container.namelist()) == 2
