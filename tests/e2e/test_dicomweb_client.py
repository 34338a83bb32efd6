"""dicomweb-client (PyPI) as another hospital's client: it searches, retrieves, stores and deletes."""

from __future__ import annotations

import io
from collections.abc import Iterator

import imagecodecs
import numpy as np
import pytest
from dicomweb_client.api import DICOMwebClient
from pydicom import dcmread
from requests import HTTPError

from tests.backends import BACKENDS
from tests.datasets import encode_file, make_dataset
from tests.e2e.archive_process import running_up
from tests.e2e.made_up_studies import NUMBER_OF_FRAMES, ct_study, loop_study


@pytest.fixture(scope="module", params=BACKENDS)
def client(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DICOMwebClient]:
    """A client of ``filmless up``, which lets it delete, on each kind of back end."""
    folder = tmp_path_factory.mktemp("archive")
    with BACKENDS[request.param](folder) as backend:
        environment = {**backend.environment, "FILMLESS_ALLOW_DELETE": "true"}
        with running_up(folder, environment) as archive:
            yield DICOMwebClient(f"{archive.http_url}/dicom-web")


def test_what_is_stored_is_found_and_comes_back(client: DICOMwebClient) -> None:
    datasets = [make_dataset(InstanceNumber=number) for number in (1, 2, 3)]
    for dataset in datasets[1:]:
        dataset.StudyInstanceUID = datasets[0].StudyInstanceUID
        dataset.SeriesInstanceUID = datasets[0].SeriesInstanceUID
    files = [dcmread(io.BytesIO(encode_file(dataset))) for dataset in datasets]
    answer = client.store_instances(files)
    assert len(answer.ReferencedSOPSequence) == 3
    study, series = datasets[0].StudyInstanceUID, datasets[0].SeriesInstanceUID
    uids = [dataset.SOPInstanceUID for dataset in datasets]

    found = client.search_for_studies(
        search_filters={"PatientName": "nguyen van duc", "StudyInstanceUID": study}
    )
    assert found[0]["00100010"]["Value"][0]["Alphabetic"] == "NGUYỄN^VĂN ĐỨC"
    assert [one["0020000E"]["Value"][0] for one in client.search_for_series(study)] == [series]
    found = client.search_for_instances(study, series, fields=["Rows"], limit=2, offset=1)
    assert [one["00080018"]["Value"][0] for one in found] == uids[1:]

    whole = client.retrieve_study(study)
    assert sorted(one.SOPInstanceUID for one in whole) == sorted(uids)
    assert len(client.retrieve_series(study, series)) == 3
    one = client.retrieve_instance(study, series, uids[0])
    assert one.PixelData == datasets[0].PixelData
    assert one.PatientName == "NGUYỄN^VĂN ĐỨC"

    metadata = client.retrieve_series_metadata(study, series)
    assert [entry["00200013"]["Value"][0] for entry in metadata] == [1, 2, 3]
    assert client.retrieve_study_metadata(study) == metadata
    assert client.retrieve_instance_metadata(study, series, uids[1]) == metadata[1]
    (frame,) = client.retrieve_instance_frames(study, series, uids[0], [1])
    assert frame == datasets[0].PixelData
    (bulk,) = client.retrieve_bulkdata(metadata[0]["7FE00010"]["BulkDataURI"])
    assert bulk == datasets[0].PixelData


def test_rendered_images_are_jpeg_or_png(client: DICOMwebClient) -> None:
    dataset = make_dataset()
    client.store_instances([dcmread(io.BytesIO(encode_file(dataset)))])
    place = dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID
    jpeg = client.retrieve_instance_rendered(*place, media_types=("image/jpeg",))
    assert jpeg.startswith(b"\xff\xd8")
    png = client.retrieve_instance_frames_rendered(*place, [1], media_types=("image/png",))
    assert png.startswith(b"\x89PNG")


def test_instances_and_frames_come_in_every_transfer_syntax_that_the_client_can_ask_for(
    client: DICOMwebClient,
) -> None:
    pixels = np.arange(0, 4096, 16, dtype="<u2").reshape(16, 16)
    dataset = make_dataset(PixelData=pixels.tobytes())
    client.store_instances([dcmread(io.BytesIO(encode_file(dataset)))])
    place = dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID
    for syntax in (
        "1.2.840.10008.1.2.1",
        "1.2.840.10008.1.2.4.70",
        "1.2.840.10008.1.2.4.80",
        "1.2.840.10008.1.2.4.90",
        "1.2.840.10008.1.2.4.91",
        "*",
    ):
        wanted = (("application/dicom", syntax),)
        for one in (
            client.retrieve_instance(*place, media_types=wanted),
            *client.retrieve_series(*place[:2], media_types=wanted),
            *client.retrieve_study(place[0], media_types=wanted),
        ):
            assert one.file_meta.TransferSyntaxUID == (syntax if syntax != "*" else "1.2.840.10008.1.2.1")
            np.testing.assert_array_equal(one.pixel_array, pixels)
    for media_type, syntax in (
        ("image/jpeg", "1.2.840.10008.1.2.4.70"),
        ("image/x-jls", "1.2.840.10008.1.2.4.80"),
        ("image/jls", "1.2.840.10008.1.2.4.80"),
        ("image/jp2", "1.2.840.10008.1.2.4.90"),
    ):
        (frame,) = client.retrieve_instance_frames(*place, [1], media_types=((media_type, syntax),))
        decode = {"image/jp2": imagecodecs.jpeg2k_decode, "image/jpeg": imagecodecs.jpeg8_decode}
        np.testing.assert_array_equal(decode.get(media_type, imagecodecs.jpegls_decode)(frame), pixels)


def test_a_series_is_rendered_and_a_value_comes_in_parts(client: DICOMwebClient) -> None:
    dataset = make_dataset()
    client.store_instances([dcmread(io.BytesIO(encode_file(dataset)))])
    place = dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID
    assert client.retrieve_series_rendered(*place[:2], media_types=("image/png",)).startswith(b"\x89PNG")
    (metadata,) = client.retrieve_series_metadata(*place[:2])
    uri = metadata["7FE00010"]["BulkDataURI"]
    (part,) = client.retrieve_bulkdata(uri, byte_range=(0, 99))
    assert part == dataset.PixelData[:100]


def test_a_study_that_is_not_there_is_not_found(client: DICOMwebClient) -> None:
    assert client.search_for_studies(search_filters={"StudyInstanceUID": "1.2.3"}) == []
    with pytest.raises(HTTPError) as refusal:
        client.retrieve_study("1.2.3")
    assert refusal.value.response.status_code == 404
    assert refusal.value.response.headers["content-type"] == "application/problem+json"


def test_the_rest_of_what_the_client_offers_is_answered(client: DICOMwebClient) -> None:
    slices, (loop,) = ct_study("ĐINH^THỊ PYPI", "PYPI-1"), loop_study()
    study, series = slices[0].StudyInstanceUID, slices[0].SeriesInstanceUID
    files = [dcmread(io.BytesIO(encode_file(dataset))) for dataset in (*slices, loop)]
    client.store_instances(files[:-1], study_instance_uid=study)
    client.store_instances(files[-1:])
    loop_place = loop.StudyInstanceUID, loop.SeriesInstanceUID, loop.SOPInstanceUID

    pages = client.search_for_instances(study, limit=5, get_remaining=True)
    assert len({one["00080018"]["Value"][0] for one in pages}) == len(slices)
    assert len(list(client.iter_study(study))) == len(list(client.iter_series(study, series))) == len(slices)

    frames = client.retrieve_instance_frames(*loop_place, [3, 1])
    assert frames == list(client.iter_instance_frames(*loop_place, [3, 1]))
    size_bytes = len(loop.PixelData) // NUMBER_OF_FRAMES
    assert frames == [loop.PixelData[2 * size_bytes : 3 * size_bytes], loop.PixelData[:size_bytes]]
    address = client.retrieve_instance_metadata(*loop_place)["7FE00010"]["BulkDataURI"]
    assert list(client.iter_bulkdata(address)) == client.retrieve_bulkdata(address) == [loop.PixelData]
    assert client.retrieve_series_rendered(study, series, media_types=("image/jpeg",)).startswith(b"\xff\xd8")

    client.delete_instance(study, series, slices[0].SOPInstanceUID)
    assert len(client.search_for_instances(study)) == len(slices) - 1
    client.delete_series(study, series)
    client.delete_study(loop.StudyInstanceUID)
    assert client.search_for_series(study) == client.search_for_series(loop.StudyInstanceUID) == []
