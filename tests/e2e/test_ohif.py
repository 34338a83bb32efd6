"""OHIF as a radiologist meets it: the real package, installed beside a running archive, in a browser.

Screenshots are left in the folders that pytest keeps, for a person to look at.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from pacs.dimse.scu import send_instances
from tests.data import shared_data
from tests.e2e.archive_process import ArchiveProcess, clean_environment
from tests.e2e.browser import Browser, open_browser
from tests.e2e.made_up_studies import NUMBER_OF_SLICES, ct_study
from tests.e2e.npm_packages import fetch_package
from viewer_api.ohif.tarball import RELEASE

PATIENCE_S = 90.0  # it decodes and draws without a GPU here
# What OHIF shows a newcomer once, and what lies over the images until it is clicked away.
OLD_HAND = """if (location.protocol.startsWith("http")) {
  localStorage.setItem('shownTours', JSON.stringify(['basicViewerTour']));
  sessionStorage.setItem('investigationalUseDialog', 'hidden');
}
"""
# How many pixels of the first viewport are not black.
LIT = """
  const canvas = document.querySelector('.cornerstone-canvas');
  if (canvas === null || canvas.width === 0) return 0;
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let lit = 0;
  for (let i = 0; i < data.length; i += 4) lit += data[i] > 8;
  return lit;
"""
REAL_STUDIES = {
    "CR with JPEG Extended": ("cr/RG2_JPLY_fixed.dcm", 100_000),
    "CR with JPEG 2000": ("cr/RG3_J2KR.dcm", 50_000),
    "MR": ("mr_ge_fmri_20", 50_000),
    "CT": ("ct_series_philips_phantom_54", 1_000),
    "US of 120 frames": ("us/color3d_jpeg_baseline.dcm", 10_000),
    "US with HTJ2K": ("synthetic/us_htj2k_lossless_rpcl.dcm", 10_000),
    "CR with JPEG-LS": ("nist_cr_4_syntaxes/CR_2_4_80.dcm", 1_000),
}


@pytest.fixture(scope="module")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real package: the one that ``OHIF_TARBALL`` names, or npm's."""
    if given := os.environ.get("OHIF_TARBALL"):
        return Path(given)
    return fetch_package("@ohif/app", RELEASE.version, tmp_path_factory.mktemp("npm"))


@pytest.fixture(scope="module")
def archive(running_archive: ArchiveProcess, tarball: Path) -> ArchiveProcess:
    """A running archive with a CT study of a Vietnamese name, into which OHIF was installed as it ran."""
    send(running_archive, ct_study())
    run = subprocess.run(
        [sys.executable, "-m", "pacs.cli", "ohif", "install", "--tarball", str(tarball)],
        check=False,
        env=clean_environment({"FILMLESS_DATA_DIR": str(running_archive.data_dir)}),
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stderr
    assert f"OHIF {RELEASE.version} is at" in run.stdout
    return running_archive


@pytest.fixture(scope="module")
def kept_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with open_browser(tmp_path_factory.mktemp("profile")) as browser:
        browser.set_script_timeout(PATIENCE_S)
        browser.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": OLD_HAND})
        yield browser


@pytest.fixture
def browser(kept_browser: Browser, archive: ArchiveProcess, tmp_path: Path) -> Iterator[Browser]:
    """A browser of which nothing may be asked that its page's policy forbids, and nobody but the archive."""
    yield kept_browser
    kept_browser.save_screenshot(str(tmp_path / "at-the-end.png"))
    assert kept_browser.complaints() == []
    assert kept_browser.origins() == {archive.http_url}


def send(archive: ArchiveProcess, instances: list[Dataset]) -> str:
    sent = send_instances("127.0.0.1", archive.dicom_port, archive.ae_title, instances)
    assert {status for _, status in sent} == {0x0000}
    return str(instances[0].StudyInstanceUID)


def send_shared(archive: ArchiveProcess, *parts: str) -> str:
    path = shared_data(*parts)
    return send(
        archive, [dcmread(file) for file in (sorted(path.glob("*.dcm")) if path.is_dir() else [path])]
    )


def wait_until(browser: Browser, condition: Callable[[], Any], what: str) -> Any:
    return WebDriverWait(browser, PATIENCE_S, poll_frequency=0.2).until(lambda _: condition(), what)


def shown(browser: Browser) -> str:
    return str(browser.execute_script("return document.body.innerText"))


def open_study(browser: Browser, archive: ArchiveProcess, study_instance_uid: str) -> None:
    browser.get(f"{archive.http_url}/ohif/viewer?StudyInstanceUIDs={study_instance_uid}")


def wait_for_picture(browser: Browser, lit: int) -> None:
    wait_until(browser, lambda: browser.execute_script(LIT) > lit, f"{lit} pixels are lit")


def click(browser: Browser, words: str) -> None:
    """Click the button with these words, when it is there."""
    found = wait_until(
        browser, lambda: browser.find_elements(By.XPATH, f"//button[normalize-space()='{words}']"), words
    )
    found[-1].click()


def part(browser: Browser, name: str) -> Any:
    """The part of OHIF's page that its own tests call so."""
    return wait_until(
        browser, lambda: next(iter(browser.find_elements(By.CSS_SELECTOR, f"[data-cy='{name}']")), None), name
    )


def requested(browser: Browser, pattern: str) -> set[str]:
    """What pages asked for since they were opened, of addresses like this."""
    asked = browser.execute_script("return performance.getEntriesByType('resource').map((one) => one.name)")
    return {address for address in asked if re.search(pattern, address)}


def test_the_list_names_patients_as_they_are_written(browser, archive):
    browser.get(f"{archive.http_url}/ohif/")
    wait_until(browser, lambda: "NGUYỄN" in shown(browser), "the study is listed")
    for fact in ("NGUYỄN, VĂN ĐỨC", "CT", "Sọ não", "A-0001", str(NUMBER_OF_SLICES)):
        assert fact in shown(browser)
    assert requested(browser, r"/dicom-web/studies\?limit=101&offset=0")


def test_a_ct_series_is_opened_and_drawn(browser, archive):
    browser.get(f"{archive.http_url}/ohif/")
    study = wait_until(
        browser, lambda: browser.find_elements(By.XPATH, "//td[contains(., 'NGUYỄN')]"), "the study is listed"
    )[0]
    ActionChains(browser).double_click(study).perform()
    wait_until(browser, lambda: "/ohif/viewer" in browser.current_url, "the viewer opens")
    wait_for_picture(browser, 1000)
    assert f"/{NUMBER_OF_SLICES})" in shown(browser)
    # Every slice is fetched, each once, as it lies in the archive.
    wait_until(browser, lambda: len(requested(browser, r"/frames/1$")) == NUMBER_OF_SLICES, "all are fetched")
    assert requested(browser, r"/thumbnail\?viewport=256%2C256$")


def test_our_own_list_leads_to_it(browser, archive, tmp_path):
    browser.get(f"{archive.http_url}/")
    link = wait_until(
        browser,
        lambda: next((one for one in browser.find_elements(By.CSS_SELECTOR, ".in-ohif") if one.text), None),
        "the list offers OHIF",
    )
    assert link.text == "Mở bằng OHIF"
    browser.save_screenshot(str(tmp_path / "list.png"))
    link.click()
    wait_until(browser, lambda: "/ohif/viewer" in browser.current_url, "OHIF opens")
    wait_for_picture(browser, 1000)


@pytest.mark.soak
@pytest.mark.parametrize(("path", "lit"), REAL_STUDIES.values(), ids=REAL_STUDIES)
def test_studies_of_real_machines_are_drawn(browser, archive, path, lit):
    open_study(browser, archive, send_shared(archive, path))
    wait_for_picture(browser, lit)


@pytest.mark.soak
def test_a_pdf_is_shown(browser, archive):
    open_study(browser, archive, send_shared(archive, "encapsulated_pdf", "pdf.dcm"))
    document = wait_until(
        browser, lambda: browser.find_elements(By.CSS_SELECTOR, "object[type='application/pdf']"), "a PDF"
    )[0]
    begin = browser.run(
        "return [...new Uint8Array(await (await fetch(given[0])).arrayBuffer()).slice(0, 5)];",
        document.get_attribute("data"),
    )
    assert bytes(begin) == b"%PDF-"
    time.sleep(3)  # nothing tells when the browser's own viewer has drawn it for the screenshot


@pytest.mark.soak
def test_a_measurement_is_saved_as_a_report_and_offered_again(browser, archive):
    study = send(archive, ct_study("PHẠM^THỊ LAN", "BN0042"))
    open_study(browser, archive, study)
    wait_for_picture(browser, 1000)
    part(browser, "Length-btn").click()
    canvas = browser.find_element(By.CSS_SELECTOR, ".cornerstone-canvas")
    drawing = ActionChains(browser).move_to_element_with_offset(canvas, -60, 20).click_and_hold()
    drawing.move_by_offset(80, 0).move_by_offset(40, 20).release().perform()
    part(browser, "prompt-begin-tracking-yes-btn").click()
    part(browser, "trackedMeasurements-btn").click()
    click(browser, "Create SR")
    part(browser, "dialog-input").send_keys("Đo khối u")
    click(browser, "Save")
    wait_until(browser, lambda: len(reports(browser, study)) == 1, "the archive has the report")
    (report,) = reports(browser, study)
    assert report["00100010"]["Value"][0]["Alphabetic"] == "PHẠM^THỊ LAN"
    assert report["0008103E"]["Value"] == ["Đo khối u"]
    assert "1500" in str(report["0040A504"])  # TID 1500
    open_study(browser, archive, study)
    wait_until(browser, lambda: "Đo khối u" in shown(browser), "the report is offered")


def reports(browser: Browser, study_instance_uid: str) -> list[dict[str, Any]]:
    """The metadata of the structured reports of a study."""
    found = browser.run(
        """
        const study = `/dicom-web/studies/${given[0]}`, headers = { Accept: 'application/dicom+json' };
        const fetched = async (path) => (await fetch(study + path, { headers })).json();
        const series = await fetched('/series?Modality=SR');
        const uids = series.map((one) => one['0020000E'].Value[0]);
        return (await Promise.all(uids.map((uid) => fetched(`/series/${uid}/metadata`)))).flat();
        """,
        study_instance_uid,
    )
    return list(found)
