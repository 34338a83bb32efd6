"""The viewer windows stored values by itself, as the server does: both compared, pixel by pixel."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom import dcmread
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from pacs.dimse.scu import send_instances
from tests.data import shared_data
from tests.e2e import made_up_studies
from tests.e2e.archive_process import ArchiveProcess
from tests.e2e.browser import PATIENCE_S, Browser, open_browser

FILES = {
    "CT of signed values": "misc_ct_mr_lut_overlay/explicit_VR-UN.dcm",
    "CT with padding": "misc_ct_mr_lut_overlay/CT_small.dcm",
    "CT with padding and a window": "rt/ct_1.dcm",
    "CR, MONOCHROME1, JPEG 2000": "cr/RG1_J2KI.dcm",
    "DX, MONOCHROME1, 8 bits": "dx/dx_image.dcm",
    "MR": "misc_ct_mr_lut_overlay/MR_small.dcm",
    "MR of an enhanced object": "enhanced_mr/6_1.dcm",
    "PT": "nist_study_Neck_HeadNeckPETCT_956049/PT_04020956049.10.dcm",
    "XA": "nist_study_Cardiac_Catheterization_955043/XA_604020955044.1.dcm",
    "a VOI LUT": "misc_ct_mr_lut_overlay/vlut_04.dcm",
    "a Modality LUT": "misc_ct_mr_lut_overlay/mlut_18.dcm",
    "32 bits": "rt/rtdose.dcm",
    "floating point": "parametric_map/parametric_map_float.dcm",
    "double precision": "parametric_map/parametric_map_double_float.dcm",
}
# How many pixels differ between what the client's modules and the server draw, by window.
COMPARE = """
  const [instance] = given;
  const { readExactFrame } = await import('/static/exact-frame.js');
  const { drawLevels } = await import('/static/grayscale.js');
  const { windowParameter, windowOfServer } = await import('/static/windows.js');
  const get = (path, accept) => fetch(`${instance}/frames/1/${path}`, { headers: { Accept: accept } });
  const file = await get('exact', 'application/vnd.filmless.exact-frame');
  const frame = readExactFrame(await file.arrayBuffer());
  const short = (number) => Number(number.toPrecision(9)); // as a window is written (VR DS)
  const start = windowOfServer(frame.presentation.default_voi) ?? { center: 1000, width: 2000 };
  const center = short(start.center), width = short(start.width);
  const windows = [
    null,
    { center, width, shape: 'linear' },
    { center: short(center * 0.8 + 1), width: short(width / 3), shape: 'linear-exact' },
    { center: short(center + width / 5), width: short(width * 1.7), shape: 'linear' },
    { center: short(center - width / 7), width: short(width / 2), shape: 'sigmoid' },
    { center, width: 1, shape: 'linear' },
  ];
  const differing = {};
  for (const window of windows) {
    const asked = window === null ? '' : windowParameter(window);
    const answer = await get(`rendered${asked && `?window=${asked}`}`, 'image/png');
    const image = await createImageBitmap(await answer.blob(), { colorSpaceConversion: 'none' });
    const canvas = new OffscreenCanvas(image.width, image.height);
    const context = canvas.getContext('2d', { alpha: false });
    context.drawImage(image, 0, 0);
    const theirs = new Uint32Array(context.getImageData(0, 0, image.width, image.height).data.buffer);
    const ours = new Uint32Array(frame.width * frame.height);
    drawLevels(frame, window, ours);
    const isSameSize = theirs.length === ours.length;
    differing[asked] = isSameSize ? ours.filter((pixel, i) => pixel !== theirs[i]).length : -1;
  }
  return [differing, frame.highest > frame.lowest];
"""
# What the stage shows, pixel by pixel where one of the image's is one of the screen's.
CANVAS_MEAN = """
  const canvas = document.getElementById('canvas');
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let sum = 0;
  for (let i = 0; i < data.length; i += 4) sum += data[i];
  return sum / (data.length / 4);
"""


@pytest.fixture(scope="module")
def archive(running_archive: ArchiveProcess) -> ArchiveProcess:
    """A running archive with files of real devices, and a CT study made up."""
    send(running_archive, made_up_studies.ct_study())
    send(running_archive, [dcmread(shared_data(path)) for path in FILES.values()])
    return running_archive


@pytest.fixture(scope="module")
def kept_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with open_browser(tmp_path_factory.mktemp("profile")) as opened:
        yield opened


@pytest.fixture
def browser(kept_browser: Browser, archive: ArchiveProcess, tmp_path: Path) -> Iterator[Browser]:
    kept_browser.get(archive.http_url)
    yield kept_browser
    kept_browser.save_screenshot(str(tmp_path / "at-the-end.png"))
    assert kept_browser.complaints() == []


@pytest.fixture
def phone(
    archive: ArchiveProcess, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> Iterator[Browser]:
    with open_browser(tmp_path_factory.mktemp("profile")) as opened:
        opened.become_phone()
        yield opened
        opened.save_screenshot(str(tmp_path / "at-the-end.png"))
        assert opened.complaints() == []


def send(archive: ArchiveProcess, instances: list[Any]) -> None:
    sent = send_instances("127.0.0.1", archive.dicom_port, archive.ae_title, instances)
    assert {status for _, status in sent} == {0x0000}


def wait_until(browser: Browser, condition: Any, what: str) -> Any:
    return WebDriverWait(browser, PATIENCE_S, poll_frequency=0.05).until(lambda _: condition(), what)


def state(browser: Browser) -> dict[str, str]:
    return dict(browser.execute_script("return { ...document.getElementById('stage').dataset };"))


def wait_for_exact(browser: Browser, number: int) -> None:
    wanted = {"state": "ready", "slice": str(number), "pixels": "exact"}
    wait_until(browser, lambda: wanted.items() <= state(browser).items(), f"slice {number} is exact")


def requests(browser: Browser, part: str) -> list[str]:
    body = "return performance.getEntriesByType('resource').map((one) => one.name)"
    return [name for name in browser.execute_script(body) if part in name]


def open_made_up_study(browser: Browser, archive: ArchiveProcess) -> None:
    browser.get(f"{archive.http_url}/?q=nguyen")
    found = wait_until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, ".study h2 a"), "it is listed")
    found[0].click()
    wait_until(browser, lambda: "/viewer/" in browser.current_url, "the viewer opens")


@pytest.mark.parametrize("path", FILES.values(), ids=FILES)
def test_client_and_server_draw_the_same_levels(browser, path):
    dataset = dcmread(shared_data(path), stop_before_pixels=True)
    uids = dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID
    differing, is_image = browser.run(COMPARE, "/dicom-web/studies/{}/series/{}/instances/{}".format(*uids))
    assert is_image
    assert len(differing) > 3
    assert set(differing.values()) == {0}, differing


def test_a_window_is_dragged_without_a_request(browser, archive):
    open_made_up_study(browser, archive)
    wait_for_exact(browser, 1)
    assert "Giá trị điểm ảnh gốc" in browser.find_element(By.CSS_SELECTOR, "[data-at='notice']").text
    before = browser.execute_script(CANVAS_MEAN)
    stage = browser.find_element(By.ID, "stage")
    drag = ActionChains(browser).move_to_element(stage).click_and_hold()
    for _ in range(10):
        drag = drag.move_by_offset(12, -8)
    drag.perform()
    assert state(browser)["pixels"] == "exact"
    assert browser.execute_script(CANVAS_MEAN) != before
    assert requests(browser, "window=") == []
    ActionChains(browser).release().perform()
    wait_for_exact(browser, 1)


def test_the_slices_beside_it_come_with_their_values_too(browser, archive):
    open_made_up_study(browser, archive)
    wait_for_exact(browser, 1)
    wait_until(
        browser, lambda: len(requests(browser, "/frames/1/exact")) == 7, "the neighbours' values are there"
    )
    for number in (2, 3):
        browser.find_element(By.TAG_NAME, "body").send_keys("\ue015")
        wait_for_exact(browser, number)


def test_on_a_poor_link_the_stack_can_be_looked_through_before_its_images_are_there(phone, archive):
    poor = {"offline": False, "latency": 150, "downloadThroughput": 25_000, "uploadThroughput": 25_000}
    open_made_up_study(phone, archive)
    wait_until(phone, lambda: state(phone).get("state") == "ready", "the first image is there")
    wait_until(phone, lambda: requests(phone, "/previews?"), "the small pictures are asked for")
    phone.execute_cdp_cmd("Network.emulateNetworkConditions", poor)
    phone.execute_script(
        "const scrubber = document.getElementById('scrubber'); scrubber.value = scrubber.max;"
        "scrubber.dispatchEvent(new Event('input', { bubbles: true }));"
    )
    shown = wait_until(
        phone,
        lambda: (now := state(phone))["slice"] == str(made_up_studies.NUMBER_OF_SLICES) and now,
        "the last slice is seen",
    )
    assert shown["pixels"] == "rendered"
    wait_until(phone, lambda: state(phone)["state"] == "ready", "and then its image comes")


def test_planes_and_rounding_of_values_of_every_type(browser):
    body = """
      const { decodePlanes } = await import('/static/exact-frame.js');
      return given.map(([planes, type, count]) => [...decodePlanes(Uint8Array.from(planes), type, count)]);
    """
    from pacs.pixels.planes import encode_planes

    chance = np.random.default_rng(4)
    made = []
    for name in ("uint8", "int8", "uint16", "int16", "uint32", "int32"):
        limits = np.iinfo(name)
        values = chance.integers(limits.min, limits.max, 40, dtype=name, endpoint=True)
        made.append(np.concatenate([values, np.array([limits.min, limits.max, 0], name)]))
    made += [chance.normal(0, 1e5, 43).astype(name) for name in ("float32", "float64")]
    given = [(list(encode_planes(one[None])), one.dtype.name, one.size) for one in made]
    assert browser.run(body, *given) == [one.tolist() for one in made]
