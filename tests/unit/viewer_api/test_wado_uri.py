from __future__ import annotations

import io
from urllib.parse import urlencode

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, JPEGLSLossless
from starlette.testclient import TestClient

from pacs.archive import Archive
from pacs.errors import ArchiveError
from tests.datasets import make_dataset
from tests.unit.viewer_api.conftest import store_dataset
from viewer_api.problems import HttpProblem
from viewer_api.wado_parameters import parse_wado

UIDS = ("1.2.826.0.1.3680043.8.498.7", "1.2.826.0.1.3680043.8.498.7.1", "1.2.826.0.1.3680043.8.498.7.1.1")
NAMED = dict(zip(("studyUID", "seriesUID", "objectUID"), UIDS, strict=True))
RAMP = np.arange(0, 4096, 16, dtype="<u2").reshape(16, 16)


@pytest.fixture(scope="module")
def stored(module_archive: Archive) -> str:
    """The path of an image that is stored with implicit VRs."""
    dataset = make_dataset(PixelData=RAMP.tobytes(), SOPInstanceUID=UIDS[2])
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = UIDS[:2]
    return store_dataset(module_archive, dataset, ImplicitVRLittleEndian)


def wado(**more: str) -> str:
    return "/wado?" + urlencode({"requestType": "WADO", **NAMED, **more})


def test_an_image_comes_as_jpeg_unless_dicom_is_asked_for(client: TestClient, stored: str) -> None:
    picture = client.get(wado())
    assert picture.headers["content-type"] == "image/jpeg"
    assert picture.content == client.get(f"{stored}/rendered").content
    png = client.get(wado(contentType="image/png"))
    assert png.headers["content-type"] == "image/png"
    response = client.get(wado(contentType="application/dicom"))
    assert response.headers["content-type"] == f"application/dicom; transfer-syntax={ExplicitVRLittleEndian}"
    assert dcmread(io.BytesIO(response.content)).PixelData == RAMP.tobytes()


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        (str(JPEGLSLossless), JPEGLSLossless),
        ("*", ImplicitVRLittleEndian),
        ("1.2.840.10008.1.2.4.50", ExplicitVRLittleEndian),  # 16 bits: cannot be
        ("1.2.840.10008.1.2.2", ExplicitVRLittleEndian),
        ("1.2.3", ExplicitVRLittleEndian),
    ],
)
def test_a_transfer_syntax_is_answered_if_it_can_be_had(
    client: TestClient, stored: str, asked: str, answered: str
) -> None:
    response = client.get(wado(contentType="application/dicom", transferSyntax=asked))
    dataset = dcmread(io.BytesIO(response.content))
    assert dataset.file_meta.TransferSyntaxUID == answered
    np.testing.assert_array_equal(dataset.pixel_array, RAMP)


def test_what_is_no_single_image_comes_as_dicom(client: TestClient, module_archive: Archive) -> None:
    for dataset in (
        make_dataset(NumberOfFrames=2, PixelData=RAMP.tobytes() * 2),
        make_dataset(PixelData=None, Rows=None, Columns=None, Modality="SR"),
    ):
        store_dataset(module_archive, dataset)
        uids = dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID
        asked = dict(zip(NAMED, uids, strict=True))
        assert client.get(wado(**asked)).headers["content-type"].startswith("application/dicom")
        response = client.get(wado(**asked, contentType="image/jpeg", frameNumber="2"))
        assert response.status_code == (200 if dataset.Modality == "CT" else 404)


def test_the_picture_is_what_the_parameters_say(client: TestClient, stored: str) -> None:
    def picture(**more: str) -> np.ndarray:
        response = client.get(wado(contentType="image/png", **more))
        assert response.status_code == 200
        return np.asarray(Image.open(io.BytesIO(response.content)))

    whole = picture(windowCenter="2048", windowWidth="4096")
    assert picture(rows="8").shape == picture(columns="8").shape == (8, 8)
    part = picture(region="0.25,0.5,0.75,1", windowCenter="2048", windowWidth="4096")
    np.testing.assert_array_equal(part, whole[8:16, 4:12])
    assert not np.array_equal(picture(windowCenter="100", windowWidth="10"), whole)


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ({"requestType": "MADO"}, 400),
        ({"studyUID": ""}, 400),
        ({"objectUID": "../../etc/passwd"}, 400),
        ({"objectUID": "1.2.3"}, 404),
        ({"frameNumber": "0"}, 400),
        ({"frameNumber": "2"}, 404),
        ({"frameNumber": "1,1,1"}, 400),
        ({"rows": "99999"}, 400),
        ({"imageQuality": "101"}, 400),
        ({"windowCenter": "1"}, 400),
        ({"windowWidth": "nan", "windowCenter": "1"}, 400),
        ({"region": "0,0,2,2"}, 400),
        ({"region": "0.5,0,0.5,1"}, 400),
        ({"transferSyntax": "x"}, 400),
        ({"contentType": "video/mp4"}, 406),
        ({"anonymize": "yes"}, 501),
        ({"presentationUID": "1.2.3"}, 501),
        ({"contentType": "application/dicom,image/jpeg;q=0.1"}, 200),
    ],
)
def test_c7_bad_parameters_are_refused(
    client: TestClient, stored: str, more: dict[str, str], status: int
) -> None:
    response = client.get(wado(**more))
    assert response.status_code == status
    assert "passwd" not in response.text


def test_a_parameter_that_is_there_twice_is_refused(client: TestClient, stored: str) -> None:
    assert client.get(wado() + "&objectUID=1.2.3").status_code == 400


@settings(max_examples=150)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([*NAMED, "region", "rows", "frameNumber", "contentType", "windowWidth"]),
            st.text(),
        ),
        max_size=6,
        unique_by=lambda pair: pair[0],
    )
)
def test_any_text_is_understood_or_refused(pairs: list[tuple[str, str]]) -> None:
    given_parameters = {"requestType": "WADO", **NAMED, **dict(pairs)}
    try:
        asked = parse_wado(list(given_parameters.items()))
    except (ArchiveError, HttpProblem):
        return
    assert asked.frame_number >= 1
