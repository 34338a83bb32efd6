from __future__ import annotations

import json
from typing import Any

import httpx
import imagecodecs
import numpy as np
import pytest
from pydicom.dataset import Dataset
from starlette.testclient import TestClient

from pacs.archive import Archive
from pacs.pixels.window import Window
from tests.datasets import make_dataset
from tests.unit.pacs.pixels.test_planes import decode_planes
from tests.unit.viewer_api.conftest import store_dataset

PLANES, HTJ2K = "application/vnd.filmless.exact-frame", "application/vnd.filmless.exact-frame+jphc"
VALUES = np.random.default_rng(1).integers(-1000, 3000, (2, 16, 16)).astype("<i2")


@pytest.fixture(scope="module")
def path(module_archive: Archive) -> str:
    """An instance of two frames of Hounsfield units, with a window."""
    dataset = make_dataset(
        NumberOfFrames=2,
        PixelRepresentation=1,
        BitsStored=16,
        HighBit=15,
        PixelData=VALUES.tobytes(),
        WindowCenter="40",
        WindowWidth="400",
        RescaleSlope="1",
        RescaleIntercept="-24",
    )
    return store_dataset(module_archive, dataset)


def take_apart(response: httpx.Response) -> tuple[dict[str, Any], bytes]:
    assert response.status_code == 200, response.text
    length = int.from_bytes(response.content[:4], "little")
    return json.loads(response.content[4 : 4 + length]), response.content[4 + length :]


@pytest.mark.parametrize("coding", ["gzip", "identity"])
@pytest.mark.parametrize("frame", [1, 2])
def test_stored_values_come_exactly_as_planes(client: TestClient, path: str, coding: str, frame: int) -> None:
    response = client.get(f"{path}/frames/{frame}/exact", headers={"accept-encoding": coding})
    assert response.headers["content-type"] == PLANES
    assert response.headers.get("content-encoding", "identity") == coding
    description, planes = take_apart(response)
    assert (description["rows"], description["columns"], description["type"]) == (16, 16, "int16")
    assert decode_planes(planes, "int16", 256) == VALUES[frame - 1].reshape(-1).tolist()


def test_stored_values_come_exactly_as_htj2k(client: TestClient, path: str) -> None:
    response = client.get(f"{path}/frames/2/exact", headers={"accept": HTJ2K})
    assert response.headers["content-type"] == HTJ2K
    description, codestream = take_apart(response)
    assert description["encoding"] == "htj2k"
    np.testing.assert_array_equal(imagecodecs.jpeg2k_decode(codestream), VALUES[1])


def test_the_description_leads_to_the_picture_that_the_server_renders(client: TestClient, path: str) -> None:
    description, planes = take_apart(client.get(f"{path}/frames/1/exact"))
    presentation = description["presentation"]
    lut, voi = presentation["modality_lut"], presentation["default_voi"]
    stored = np.array(decode_planes(planes, "int16", 256), np.float64)
    fractions = Window(voi["center"], voi["width"], voi["function"]).apply(
        stored * lut["slope"] + lut["intercept"]
    )
    shown = np.floor(fractions * 255 + 1e-7).astype(np.uint8).reshape(16, 16)
    png = client.get(f"{path}/frames/1/rendered", headers={"accept": "image/png"}).content
    np.testing.assert_array_equal(imagecodecs.png_decode(png), shown)


def test_colour_and_what_is_no_image(client: TestClient, module_archive: Archive) -> None:
    color = make_dataset(
        SamplesPerPixel=3,
        PhotometricInterpretation="RGB",
        PlanarConfiguration=0,
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        PixelData=bytes(range(256)) * 3,
    )
    where = store_dataset(module_archive, color)
    description, planes = take_apart(client.get(f"{where}/frames/1/exact"))
    assert description["samples_per_pixel"] == 3 and description["presentation"] is None
    assert decode_planes(planes, "uint8", 3)[:2] == [0, 3]
    report = make_dataset(PixelData=None, Rows=None, Columns=None, Modality="SR")
    assert client.get(f"{store_dataset(module_archive, report)}/frames/1/exact").status_code == 406


@pytest.mark.parametrize(("frames", "status"), [("0", 400), ("1,2", 400), ("x", 400), ("3", 404)])
def test_one_frame_that_is_there_is_asked_for(
    client: TestClient, path: str, frames: str, status: int
) -> None:
    assert client.get(f"{path}/frames/{frames}/exact").status_code == status


def test_what_the_client_has_is_not_sent_again(client: TestClient, path: str) -> None:
    first = client.get(f"{path}/frames/1/exact")
    etag = {"if-none-match": first.headers["etag"]}
    assert client.get(f"{path}/frames/1/exact", headers=etag).status_code == 304
    assert client.get(f"{path}/frames/2/exact", headers=etag).status_code == 200
    assert client.get(f"{path}/frames/1/exact", headers={**etag, "accept": HTJ2K}).status_code == 200


def test_how_a_frame_is_shown_comes_without_its_values(client: TestClient, path: str) -> None:
    answer = client.get(f"{path}/frames/2/presentation")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == take_apart(client.get(f"{path}/frames/2/exact"))[0]["presentation"]
    again = client.get(f"{path}/frames/2/presentation", headers={"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304
    assert client.get(f"{path}/frames/1,2/presentation").status_code == 400
    assert client.get(f"{path}/frames/3/presentation").status_code == 404


def test_the_default_window_of_the_description_is_the_one_that_is_rendered(
    client: TestClient, module_archive: Archive
) -> None:
    where = store_dataset(module_archive, make_dataset(PixelData=VALUES[0].astype("<u2").tobytes()))
    window = client.get(f"{where}/frames/1/presentation").json()["default_voi"]
    asked = f"{window['center']},{window['width']},linear-exact"
    unasked, wanted = (
        client.get(f"{where}/rendered", params=query, headers={"accept": "image/png"}).content
        for query in ({}, {"window": asked})
    )
    assert window["function"] == "LINEAR_EXACT" and unasked == wanted


def test_colours_have_no_presentation(client: TestClient, module_archive: Archive) -> None:
    colors = make_dataset(
        SamplesPerPixel=3,
        PhotometricInterpretation="RGB",
        PlanarConfiguration=0,
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        PixelData=bytes(16 * 16 * 3),
    )
    assert client.get(f"{store_dataset(module_archive, colors)}/frames/1/presentation").status_code == 406


def test_an_angiogram_that_recommends_it_is_shown_less_its_mask(
    client: TestClient, module_archive: Archive
) -> None:
    item = Dataset()
    item.MaskOperation, item.MaskFrameNumbers = "AVG_SUB", [1]
    chance = np.random.default_rng(3)
    mask = chance.integers(500, 3000, (16, 16))
    vessel = np.zeros((16, 16), int)
    vessel[:, 7:9] = -200 - chance.integers(0, 50, (16, 2))
    dataset = make_dataset(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.12.1",
        NumberOfFrames=2,
        PixelData=np.stack([mask, mask + vessel]).astype("<u2").tobytes(),
        WindowCenter="2000",
        WindowWidth="4000",
        RecommendedViewingMode="SUB",
        MaskSubtractionSequence=[item],
    )
    where = store_dataset(module_archive, dataset)
    png = {"accept": "image/png"}
    second = imagecodecs.png_decode(client.get(f"{where}/frames/2/rendered", headers=png).content)
    assert (np.delete(second, [7, 8], 1) == 255).all()  # what does not change is all the same
    assert (second[:, 7:9] < 60).all()
    window = client.get(f"{where}/frames/2/presentation").json()["default_voi"]
    assert (window["center"] + window["width"] / 2, window["function"]) == (0, "LINEAR_EXACT")
    asked = client.get(f"{where}/frames/2/rendered?window=-100,200,linear-exact", headers=png).content
    expected = np.floor(np.clip((vessel + 100) / 200 + 0.5, 0, 1) * 255 + 1e-7)
    np.testing.assert_array_equal(imagecodecs.png_decode(asked), expected)
    first = client.get(f"{where}/frames/1/presentation").json()
    assert first["default_voi"]["center"] == 2000
    values = decode_planes(take_apart(client.get(f"{where}/frames/2/exact"))[1], "uint16", 256)
    assert values == (mask + vessel).reshape(-1).tolist()
