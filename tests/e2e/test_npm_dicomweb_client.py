"""dicomweb-client (npm), the library under OHIF, in a browser as it is made for: every method it offers."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from tests.datasets import encode_file
from tests.e2e.archive_process import ArchiveProcess
from tests.e2e.browser import Browser, open_browser
from tests.e2e.made_up_studies import NUMBER_OF_FRAMES, SIDE, ct_study, loop_study
from tests.e2e.npm_packages import fetch_package, read_packaged

VERSION = "0.11.3"
# The client, with a note of each method that is called.
CLIENT = """
  const made = new window.DICOMwebClient.api.DICOMwebClient({ url: location.origin + '/dicom-web' });
  const client = new Proxy(made, { get: (target, name) => {
    if (typeof target[name] !== 'function' || name.startsWith('_')) return target[name];
    return (...args) => { (window.called ??= new Set()).add(name); return target[name](...args); };
  } });
  const bytes = (base64) => Uint8Array.from(atob(base64), (char) => char.charCodeAt(0)).buffer;
  const part = (buffer, begin, size) => [...new Uint8Array(buffer.slice(begin, begin + size))];
  const digest = async (buffer) => part(await crypto.subtle.digest('SHA-256', buffer), 0, 32).join();
"""
OFFERED = """
  const own = Object.getOwnPropertyNames(window.DICOMwebClient.api.DICOMwebClient.prototype);
  return own.filter((name) => /^(searchFor|retrieve|store|delete)/.test(name)).sort();
"""


@pytest.fixture(scope="module")
def browser(running_archive: ArchiveProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A page of the archive that has loaded the client."""
    package = fetch_package("dicomweb-client", VERSION, tmp_path_factory.mktemp("npm"))
    with open_browser(tmp_path_factory.mktemp("profile")) as browser:
        browser.get(f"{running_archive.http_url}/static/favicon.svg")
        browser.execute_script(read_packaged(package, "build/dicomweb-client.js"))
        yield browser


def call(browser: Browser, body: str, *arguments: Any) -> Any:
    return browser.run(CLIENT + body, *arguments)


def encoded(*datasets: Any) -> list[str]:
    return [base64.b64encode(encode_file(dataset)).decode() for dataset in datasets]


def place_of(dataset: Any) -> dict[str, str]:
    return {
        "studyInstanceUID": dataset.StudyInstanceUID,
        "seriesInstanceUID": dataset.SeriesInstanceUID,
        "sopInstanceUID": dataset.SOPInstanceUID,
    }


def test_every_method_of_the_client_is_answered(browser):
    slices, (loop,) = ct_study("ĐINH^THỊ NPM", "NPM-1"), loop_study()
    store_and_search(browser, slices, loop)
    retrieve_whole(browser, slices)
    retrieve_parts(browser, slices[0], loop)
    retrieve_pictures(browser, loop)
    assert call(browser, "return [...window.called].sort();") == browser.run(OFFERED)


def store_and_search(browser, slices, loop):
    answer = call(
        browser,
        """
        const [many, one] = [given[0], given[1]].map((all) => all.map(bytes)), studyInstanceUID = given[2];
        const first = await client.storeInstances({ datasets: many });
        const second = await client.storeInstances({ datasets: one, studyInstanceUID });
        return [first, second].map((one) => JSON.parse(one)['00081199'].Value.length);
        """,
        *(encoded(*slices), encoded(loop), loop.StudyInstanceUID),
    )
    assert answer == [len(slices), 1]
    found = call(
        browser,
        """
        const { studyInstanceUID, seriesInstanceUID } = given[0];
        const queryParams = { PatientName: 'dinh thi npm', includefield: '00081030,00080060', limit: 5 };
        const studies = await client.searchForStudies({ queryParams });
        const series = await client.searchForSeries({ studyInstanceUID });
        const instances = await client.searchForInstances({ studyInstanceUID, seriesInstanceUID });
        return [studies.map((one) => one['00100010'].Value[0].Alphabetic), series.length, instances.length];
        """,
        place_of(slices[0]),
    )
    assert found == [["ĐINH^THỊ NPM"], 1, len(slices)]


def retrieve_whole(browser, slices):
    counts, marks, size_bytes = call(
        browser,
        """
        const place = given[0];
        const study = await client.retrieveStudy(place);
        const series = await client.retrieveSeries(place);
        const one = await client.retrieveInstance(place);
        const marks = [...study, ...series, one].map((each) => String.fromCharCode(...part(each, 128, 4)));
        return [[study.length, series.length], marks, one.byteLength];
        """,
        place_of(slices[0]),
    )
    assert counts == [len(slices)] * 2
    assert set(marks) == {"DICM"}
    assert size_bytes > len(slices[0].PixelData)
    lengths, numbers = call(
        browser,
        """
        const place = given[0];
        const all = [await client.retrieveStudyMetadata(place), await client.retrieveSeriesMetadata(place),
          await client.retrieveInstanceMetadata(place)];
        return [all.map((one) => one.length), all.map(([first]) => first['00200013'].Value[0])];
        """,
        place_of(slices[0]),
    )
    assert lengths == [len(slices), len(slices), 1]
    assert numbers == [1, 1, 1]


def retrieve_parts(browser, one_slice, loop):
    contents, sizes, start_of_image = call(
        browser,
        """
        const [slice, loop, pixels] = given;
        const [frame] = await client.retrieveInstanceFrames({ ...slice, frameNumbers: [1] });
        const frames = await client.retrieveInstanceFrames({ ...loop, frameNumbers: [3, 1, 8] });
        const [{ '7FE00010': { BulkDataURI } }] = await client.retrieveInstanceMetadata(slice);
        const [bulk] = await client.retrieveBulkData({ BulkDataURI });
        const jls = [{ mediaType: 'image/jls', transferSyntaxUID: '1.2.840.10008.1.2.4.80' }];
        const [coded] = await client.retrieveInstanceFrames({ ...slice, frameNumbers: [1], mediaTypes: jls });
        const digests = await Promise.all([bytes(pixels), frame, bulk].map(digest));
        return [new Set(digests).size, frames.map((one) => one.byteLength), part(coded, 0, 2)];
        """,
        *(place_of(one_slice), place_of(loop), base64.b64encode(one_slice.PixelData).decode()),
    )
    assert contents == 1  # frame and bulk data are the pixels that were stored
    assert sizes == [3 * SIDE * SIDE] * 3
    assert start_of_image == [0xFF, 0xD8]


def retrieve_pictures(browser, loop):
    begins = call(
        browser,
        """
        const place = given[0], frameNumbers = [given[1]], queryParams = { viewport: '64,64' };
        const jpeg = [{ mediaType: 'image/jpeg' }], png = [{ mediaType: 'image/png' }];
        return [
          await client.retrieveInstanceRendered(place),
          await client.retrieveInstanceRendered({ ...place, mediaTypes: jpeg, queryParams }),
          await client.retrieveInstanceFramesRendered({ ...place, frameNumbers, mediaTypes: png }),
          await client.retrieveInstanceThumbnail({ ...place, mediaTypes: jpeg }),
          await client.retrieveInstanceFramesThumbnail({ ...place, frameNumbers, mediaTypes: jpeg }),
        ].flat().map((one) => part(one, 0, 2)); // the client gives a list of one
        """,
        *(place_of(loop), NUMBER_OF_FRAMES),
    )
    jpeg, png = [0xFF, 0xD8], [0x89, 0x50]
    assert begins == [jpeg, jpeg, png, jpeg, jpeg]
