from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageCms
from pydicom import dcmread
from starlette.testclient import TestClient

from pacs.archive import Archive
from pacs.ingest import Origin, open_part10, store_instance
from pacs.pixels.gsdf import Display
from tests.data import shared_data
from tests.datasets import make_dataset
from tests.unit.viewer_api.conftest import split_multipart, store_dataset

STUDY, SERIES = "1.2.826.0.1.3680043.8.498.3", "1.2.826.0.1.3680043.8.498.3.1"
# A ramp from 0 to 4080 in steps of 16, a stored value in each pixel of 16 x 16.
RAMP = (np.arange(256, dtype="<u2") * 16).reshape(16, 16)
FLAT = np.full((16, 16), 4000, "<u2")


@pytest.fixture(scope="module")
def ramp(module_archive: Archive) -> str:
    """Path of an instance of two frames, the ramp and one of a single value."""
    dataset = make_dataset(
        NumberOfFrames=2,
        PixelData=np.stack([RAMP, FLAT]).tobytes(),
        WindowCenter="2048",
        WindowWidth="4096",
    )
    return store_dataset(module_archive, dataset)


@pytest.mark.parametrize("name", ["us_mpeg2_mpml", "us_mpeg4_h264_high41", "us_hevc_main51"])
def test_a_video_is_shown_by_its_first_frame(
    client: TestClient, module_archive: Archive, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = shared_data("synthetic", f"{name}.dcm").read_bytes()
    dataset = dcmread(io.BytesIO(content), stop_before_pixels=True)
    stored = store_instance(module_archive, open_part10([content]), Origin("stow"))
    path = (
        f"/dicom-web/studies/{stored.study_instance_uid}/series/{stored.series_instance_uid}"
        f"/instances/{stored.sop_instance_uid}"
    )
    shown = picture(client, path + "/rendered")
    assert shown.shape[2] == 3 and max(shown.shape) == max(dataset.Rows, dataset.Columns)
    assert len(np.unique(shown)) > 50
    assert client.get(path + "/frames/2/rendered").status_code == 406
    monkeypatch.setattr("pacs.pixels.video.find_spec", lambda _: None)
    answer = client.get(path + "/rendered?viewport=99,99")  # none that was kept
    assert answer.status_code == 406 and "filmless[video]" in answer.json()["detail"]


def picture(client: TestClient, path: str) -> np.ndarray:
    response = client.get(path, headers={"accept": "image/png"})
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "image/png"
    return np.asarray(Image.open(io.BytesIO(response.content)))


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("image/jpeg", "image/jpeg"),
        ("image/png", "image/png"),
        ("*/*", "image/jpeg"),
        ("image/webp, image/apng, image/*;q=0.8", "image/jpeg"),
    ],
)
def test_a_picture_comes_in_the_type_that_is_accepted(
    client: TestClient, ramp: str, accept: str, expected: str
) -> None:
    for suffix in ("/rendered", "/frames/1/rendered", "/thumbnail", "/frames/2/thumbnail"):
        response = client.get(ramp + suffix, headers={"accept": accept})
        assert response.headers["content-type"] == expected
        assert Image.open(io.BytesIO(response.content)).size == (16, 16)


def test_the_query_parameter_wins_over_the_multipart_header_that_ohif_sends(
    client: TestClient, ramp: str
) -> None:
    header = {"accept": 'multipart/related; type="image/jpeg"'}
    for suffix in ("/rendered?accept=image%2Fjpeg", "/thumbnail?accept=image/jpeg"):
        assert client.get(ramp + suffix, headers=header).headers["content-type"] == "image/jpeg"
    parts = split_multipart(client.get(f"{ramp}/rendered", headers=header))
    assert [headers["content-type"] for headers, _ in parts] == ["image/jpeg"]


def test_the_window_of_the_instance_is_used_unless_told_otherwise(client: TestClient, ramp: str) -> None:
    shown = picture(client, f"{ramp}/rendered")
    assert shown[0, 0] == 0
    assert shown[15, 15] > 250
    narrow = picture(client, f"{ramp}/rendered?window=2048,16,linear")
    assert set(np.unique(narrow)) <= {0, 255} | set(range(256)) and (narrow[:7] == 0).all()
    assert (narrow[9:] == 255).all()
    assert not np.array_equal(picture(client, f"{ramp}/rendered?window=2048,2000,sigmoid"), shown)


def test_a_window_of_the_instance_is_chosen_by_its_place_or_its_explanation(
    client: TestClient, module_archive: Archive
) -> None:
    path = store_dataset(
        module_archive,
        make_dataset(
            PixelData=RAMP.tobytes(),
            WindowCenter=["2048", "100"],
            WindowWidth=["4096", "50"],
            WindowCenterWidthExplanation=["ALL", "FEW"],
        ),
    )
    few = picture(client, path + "/rendered?window=100,50")
    assert np.array_equal(picture(client, path + "/rendered?voi=2"), few)
    assert np.array_equal(picture(client, path + "/rendered?voi=few"), few)
    assert not np.array_equal(picture(client, path + "/rendered?voi=1"), few)
    assert client.get(path + "/rendered?voi=3").status_code == 400


def test_p_values_are_fitted_to_a_display_that_is_described(client: TestClient, ramp: str) -> None:
    plain, fitted = (picture(client, f"{ramp}/rendered{query}") for query in ("", "?display=0.5,500"))
    assert np.array_equal(fitted, Display(0.5, 500).driving_levels()[plain])


def test_the_frame_of_the_path_is_shown(client: TestClient, ramp: str) -> None:
    assert len(np.unique(picture(client, f"{ramp}/frames/1/rendered"))) > 100
    assert len(np.unique(picture(client, f"{ramp}/frames/2/rendered"))) == 1
    assert np.array_equal(picture(client, f"{ramp}/rendered"), picture(client, f"{ramp}/frames/1/rendered"))


def test_a_picture_fits_into_the_viewport_and_is_not_enlarged(client: TestClient, ramp: str) -> None:
    assert picture(client, f"{ramp}/rendered?viewport=8,100").shape == (8, 8)
    assert picture(client, f"{ramp}/rendered?viewport=512,512").shape == (16, 16)


def test_a_region_looks_as_it_does_in_the_whole(client: TestClient, module_archive: Archive) -> None:
    path = store_dataset(module_archive, make_dataset(PixelData=RAMP.tobytes()))  # has no window of its own
    whole = picture(client, f"{path}/rendered")
    region = picture(client, f"{path}/rendered?viewport=100,100,4,2,8,6")
    np.testing.assert_array_equal(region, whole[2:8, 4:12])


@pytest.mark.parametrize(
    "query",
    [
        "viewport=16,16,10,10,10,10",  # not within the image
        "viewport=0,0",
        "viewport=99999,99999",
        "window=1",
        "window=1,2,three",
        "quality=0",
        "quality=1e2",
    ],
)
def test_bad_parameters_are_400(client: TestClient, ramp: str, query: str) -> None:
    assert client.get(f"{ramp}/rendered?{query}").status_code == 400
    assert client.get(f"{ramp}/frames/1/rendered?{query}").status_code == 400


@pytest.mark.parametrize(("frames", "status"), [("0", 400), ("x", 400), ("3", 404), ("1,2,3", 404)])
def test_one_frame_that_is_there_is_rendered(client: TestClient, ramp: str, frames: str, status: int) -> None:
    assert client.get(f"{ramp}/frames/{frames}/rendered").status_code == status


def test_quality_makes_a_smaller_jpeg(client: TestClient, module_archive: Archive) -> None:
    noise = np.random.default_rng(1).integers(0, 4096, (16, 16)).astype("<u2")
    path = store_dataset(module_archive, make_dataset(PixelData=noise.tobytes()))
    sizes = [len(client.get(f"{path}/rendered?quality={quality}").content) for quality in (10, 100)]
    assert sizes[0] < sizes[1]


def test_a_picture_that_the_client_has_is_told_before_the_object_is_read(
    client: TestClient, module_archive: Archive
) -> None:
    path = store_dataset(module_archive, make_dataset(PixelData=RAMP.tobytes()))
    first = client.get(f"{path}/rendered?quality=50")
    assert first.headers["cache-control"] == "private, max-age=86400"
    etag = {"if-none-match": first.headers["etag"]}
    assert client.get(f"{path}/rendered?quality=51", headers=etag).status_code == 200
    uids = path.split("/")[3::2]
    module_archive.store.delete(module_archive.index.find_instances(*uids)[0].location.key)
    assert client.get(f"{path}/rendered?quality=50", headers=etag).status_code == 304


def test_a_study_and_a_series_are_shown_by_their_middle_image(
    client: TestClient, module_archive: Archive
) -> None:
    for number in (1, 2, 3):
        pixels = FLAT if number == 2 else RAMP
        store_dataset(
            module_archive,
            make_dataset(
                StudyInstanceUID=STUDY,
                SeriesInstanceUID=SERIES,
                SeriesNumber=2,
                InstanceNumber=number,
                PixelData=pixels.tobytes(),
                WindowCenter="2048",
                WindowWidth="4096",
            ),
        )
    report = make_dataset(StudyInstanceUID=STUDY, SeriesNumber=1, PixelData=None, Modality="SR")
    where = store_dataset(module_archive, report)
    for path in (f"/dicom-web/studies/{STUDY}", f"/dicom-web/studies/{STUDY}/series/{SERIES}"):
        shown = picture(client, f"{path}/thumbnail")
        assert len(np.unique(shown)) == 1
        response = client.get(f"{path}/thumbnail")
        assert response.headers["cache-control"] == "private, no-cache"  # it changes when images arrive
        etag = {"if-none-match": response.headers["etag"]}
        assert client.get(f"{path}/thumbnail", headers=etag).status_code == 304
    assert client.get(f"{where.partition('/instances')[0]}/thumbnail").status_code == 406


def test_a_thumbnail_is_small_unless_told_otherwise(client: TestClient, module_archive: Archive) -> None:
    large = make_dataset(Rows=400, Columns=200, PixelData=bytes(400 * 200 * 2))
    path = store_dataset(module_archive, large)
    assert picture(client, f"{path}/thumbnail").shape == (160, 80)
    assert picture(client, f"{path}/thumbnail?viewport=50,50").shape == (50, 25)
    assert picture(client, f"{path}/rendered").shape == (400, 200)


def test_several_frames_are_rendered_in_the_order_of_the_list(client: TestClient, ramp: str) -> None:
    parts = split_multipart(client.get(f"{ramp}/frames/2,1/rendered"))
    alone = [client.get(f"{ramp}/frames/{number}/rendered").content for number in (2, 1)]
    assert [content for _, content in parts] == alone
    assert [headers["content-location"].rpartition("/frames/")[2] for headers, _ in parts] == [
        "2/rendered",
        "1/rendered",
    ]
    assert client.get(f"{ramp}/frames/2,1/rendered", headers={"accept": "image/png"}).status_code == 406


def test_all_images_of_a_study_and_a_series_are_rendered(client: TestClient, module_archive: Archive) -> None:
    first = make_dataset(InstanceNumber=1)
    place = {"StudyInstanceUID": first.StudyInstanceUID, "SeriesInstanceUID": first.SeriesInstanceUID}
    report = make_dataset(**place, Modality="SR", PixelData=None, Rows=None, Columns=None)
    damaged = make_dataset(**place, InstanceNumber=0, PixelData=b"\0\0")
    path, *_ = [store_dataset(module_archive, one) for one in (first, report, damaged)]
    series = path.partition("/instances/")[0]
    for whole in (series, series.partition("/series/")[0]):
        accept = {"accept": 'multipart/related; type="image/png"'}
        ((headers, content),) = split_multipart(client.get(f"{whole}/rendered?viewport=8,8", headers=accept))
        assert headers["content-type"] == "image/png"
        assert f"/instances/{first.SOPInstanceUID}/frames/1/rendered" in headers["content-location"]
        assert content == client.get(f"{path}/rendered?viewport=8,8&accept=image/png").content
        single = client.get(f"{series}/rendered", headers={"accept": "image/jpeg"})
        assert single.headers["content-type"] == "image/jpeg"


def test_a_study_without_images_has_no_pictures(client: TestClient, module_archive: Archive) -> None:
    path = store_dataset(module_archive, make_dataset(PixelData=None, Rows=None, Columns=None, Modality="SR"))
    response = client.get(f"{path.partition('/series')[0]}/rendered")
    assert response.status_code == 406


def test_a_region_of_negative_size_is_shown_as_its_mirror_image(client: TestClient, ramp: str) -> None:
    region = picture(client, f"{ramp}/rendered?viewport=16,16,2,4,8,6")
    np.testing.assert_array_equal(
        picture(client, f"{ramp}/rendered?viewport=16,16,2,4,-8,6"), region[:, ::-1]
    )
    np.testing.assert_array_equal(picture(client, f"{ramp}/rendered?viewport=16,16,2,4,8,-6"), region[::-1])


def test_previews_of_all_frames_of_a_series_come_in_its_order(
    client: TestClient, module_archive: Archive
) -> None:
    first = make_dataset(InstanceNumber=3)
    place = {"StudyInstanceUID": first.StudyInstanceUID, "SeriesInstanceUID": first.SeriesInstanceUID}
    cine = make_dataset(
        **place, InstanceNumber=1, NumberOfFrames=12, PixelData=np.stack([RAMP] * 11 + [FLAT]).tobytes()
    )
    damaged = make_dataset(**place, InstanceNumber=2, PixelData=b"\0\0")
    path, *_ = [store_dataset(module_archive, one) for one in (first, cine, damaged)]
    address = f"{path.partition('/instances/')[0]}/previews"
    parts = split_multipart(client.get(f"{address}?viewport=8,8"))
    where = [headers["content-location"].partition("/instances/")[2] for headers, _ in parts]
    assert where == [
        *(f"{cine.SOPInstanceUID}/frames/{number}/rendered" for number in range(1, 13)),
        f"{first.SOPInstanceUID}/frames/1/rendered",
    ]
    assert {Image.open(io.BytesIO(content)).size for _, content in parts} == {(8, 8)}
    alone = client.get(f"{path}/rendered?viewport=8,8&quality=80&accept=image/jpeg").content
    assert parts[-1][1] == alone
    answer = client.get(address)
    again = client.get(address, headers={"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304 and not again.content


def test_previews_are_of_a_series_that_is_there_and_has_images(
    client: TestClient, module_archive: Archive
) -> None:
    assert client.get("/dicom-web/studies/1.2/series/1.3/previews").status_code == 404
    path = store_dataset(module_archive, make_dataset(PixelData=None, Rows=None, Columns=None, Modality="SR"))
    assert client.get(f"{path.partition('/instances')[0]}/previews").status_code == 406


@pytest.mark.parametrize(
    ("accept", "format_name"), [("image/gif", "GIF"), ("image/webp", "WEBP"), ("image/jp2", "JPEG2000")]
)
def test_other_media_types_show_the_same_picture(
    client: TestClient, ramp: str, accept: str, format_name: str
) -> None:
    response = client.get(f"{ramp}/frames/1/rendered?quality=100", headers={"accept": accept})
    assert response.headers["content-type"] == accept
    with Image.open(io.BytesIO(response.content)) as image:
        assert image.format == format_name
        shown = np.asarray(image.convert("L")).astype(int)
    assert np.abs(shown - picture(client, f"{ramp}/frames/1/rendered")).max() <= 3


def test_a_png_of_16_bits_has_the_p_values(client: TestClient, ramp: str) -> None:
    accept = {"accept": "image/png; bits=16"}
    response = client.get(f"{ramp}/rendered", headers=accept)
    assert response.headers["content-type"] == "image/png; bits=16"
    p_values = np.asarray(Image.open(io.BytesIO(response.content))).astype(np.float64)
    # LINEAR of center 2048 and width 4096 (PS3.3 C.11.2.1.2.1).
    expected = np.clip((RAMP - 2047.5) / 4095 + 0.5, 0, 1) * 65535
    np.testing.assert_allclose(p_values, expected, atol=0.5)
    assert client.get(f"{ramp}/rendered?viewport=8,8", headers=accept).status_code == 400
    assert client.get(f"{ramp}/rendered", headers={"accept": "image/png; bits=12"}).status_code == 406


def test_the_color_profile_is_said_where_it_is_asked_for(client: TestClient, module_archive: Archive) -> None:
    color = make_dataset(
        SamplesPerPixel=3,
        PhotometricInterpretation="RGB",
        PlanarConfiguration=0,
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        PixelData=bytes(range(256)) * 3,
    )
    path = store_dataset(module_archive, color)
    for accept in ("image/jpeg", "image/png"):
        pictures = [
            Image.open(io.BytesIO(client.get(f"{path}/rendered?{query}", headers={"accept": accept}).content))
            for query in ("", "iccprofile=no", "iccprofile=yes", "iccprofile=srgb")
        ]
        assert ["icc_profile" in one.info for one in pictures] == [False, False, True, True]
        profile = ImageCms.ImageCmsProfile(io.BytesIO(pictures[3].info["icc_profile"]))
        assert "sRGB" in ImageCms.getProfileDescription(profile)
        np.testing.assert_array_equal(np.asarray(pictures[0]), np.asarray(pictures[3]))
    webp = client.get(f"{path}/rendered?iccprofile=yes", headers={"accept": "image/webp"})
    assert webp.status_code == 406
    assert client.get(f"{path}/rendered?iccprofile=adobergb").status_code == 406


def test_annotations_are_burnt_into_opposite_corners(client: TestClient, module_archive: Archive) -> None:
    dark = make_dataset(Rows=512, Columns=512, PixelData=bytes(512 * 512 * 2), KVP="120")
    path = store_dataset(module_archive, dark)
    assert picture(client, f"{path}/rendered").max() == 0
    patient = picture(client, f"{path}/rendered?annotation=patient")
    technique = picture(client, f"{path}/rendered?annotation=technique")
    assert patient[:200, :256].max() == 255 and patient[:, 256:].max() == 0 and patient[256:].max() == 0
    assert technique[-200:, 256:].max() == 255 and technique[:, :256].max() == 0
    both = picture(client, f"{path}/rendered?annotation=patient,technique")
    np.testing.assert_array_equal(both, np.maximum(patient, technique))
    assert client.get(f"{path}/rendered?annotation=secrets").status_code == 400


@pytest.fixture(scope="module")
def cine(module_archive: Archive) -> str:
    """Path of an instance of six frames, each of its own gray, four a second."""
    frames = np.arange(6, dtype="<u2").repeat(30 * 20) * 800
    dataset = make_dataset(
        NumberOfFrames=6,
        Rows=30,
        Columns=20,
        PixelData=frames.tobytes(),
        WindowCenter="2048",
        WindowWidth="4096",
        CineRate="4",
    )
    return store_dataset(module_archive, dataset)


def test_all_frames_come_as_an_animated_gif(client: TestClient, cine: str) -> None:
    accept = {"accept": "image/gif"}
    with Image.open(io.BytesIO(client.get(f"{cine}/rendered", headers=accept).content)) as image:
        assert (image.n_frames, image.info["duration"]) == (6, 250)
        grays = []
        for number in range(6):
            image.seek(number)
            grays.append(int(np.asarray(image.convert("L"))[0, 0]))
    shown = [int(picture(client, f"{cine}/frames/{number}/rendered")[0, 0]) for number in range(1, 7)]
    assert np.abs(np.subtract(grays, shown)).max() <= 1
    one = client.get(f"{cine}/frames/2/rendered", headers=accept)
    assert Image.open(io.BytesIO(one.content)).n_frames == 1


def test_all_frames_come_as_a_video_where_pyav_is_installed(client: TestClient, cine: str) -> None:
    response = client.get(f"{cine}/rendered", headers={"accept": "video/mp4"})
    av = pytest.importorskip("av")
    assert response.headers["content-type"] == "video/mp4"
    with av.open(io.BytesIO(response.content)) as container:
        shown = [frame.to_ndarray(format="gray") for frame in container.decode(video=0)]
        assert container.streams.video[0].average_rate == 4
    assert [one.shape for one in shown] == [(30, 20)] * 6
    assert [int(one.mean()) for one in shown] == sorted(int(one.mean()) for one in shown)
    still = {"accept": "image/jpeg"}
    assert client.get(f"{cine}/rendered", headers=still).headers["content-type"] == "image/jpeg"


def test_frames_that_are_too_many_or_too_large_for_one_file_are_refused(
    client: TestClient, module_archive: Archive
) -> None:
    many = make_dataset(NumberOfFrames=2001, Rows=2, Columns=2, PixelData=bytes(2001 * 8))
    accept = {"accept": "image/gif"}
    assert client.get(f"{store_dataset(module_archive, many)}/rendered", headers=accept).status_code == 400
    large = make_dataset(NumberOfFrames=2000, Rows=264, Columns=260, PixelData=bytes(264 * 260 * 2))
    path = store_dataset(module_archive, large)
    assert client.get(f"{path}/rendered", headers=accept).status_code == 400
    short = client.get(f"{path}/rendered?viewport=8,8", headers=accept)
    assert short.status_code == 422  # the frames that it says it has are not there
    long = make_dataset(NumberOfFrames=2000, Rows=2048, Columns=2048, PixelData=bytes(2))
    path = store_dataset(module_archive, long)
    refused = client.get(f"{path}/rendered?viewport=8,8", headers=accept)
    assert refused.status_code == 400 and "4294967296" in refused.json()["detail"]


@pytest.mark.parametrize("accept", ["image/gif", "video/mp4"])
def test_frames_that_take_too_long_for_one_file_are_given_up(
    client: TestClient, cine: str, accept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("pacs.pictures.cine.TIMEOUT_S", 0.0)
        refused = client.get(f"{cine}/rendered?viewport=7,7", headers={"accept": accept})
        assert refused.status_code == 422 and "longer than 0 s" in refused.json()["detail"]
    assert client.get(f"{cine}/rendered?viewport=7,7", headers={"accept": accept}).status_code == 200
