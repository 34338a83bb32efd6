"""What a person with a browser meets: the study list and the viewer, over a real archive."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from pacs.dimse.scu import send_instances
from tests.e2e import made_up_studies
from tests.e2e.archive_process import ArchiveProcess
from tests.e2e.browser import PATIENCE_S, Browser, open_browser

OFFLINE = {"offline": True, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
ONLINE = {**OFFLINE, "offline": False}
# How many pixels in the middle of the canvas are not black, and a sum that differs where the picture does.
LOOK = """
  const canvas = document.getElementById('canvas');
  const { width, height } = canvas, side = Math.floor(Math.min(width, height) / 2);
  const { data } = canvas.getContext('2d')
    .getImageData(Math.floor((width - side) / 2), Math.floor((height - side) / 2), side, side);
  let lit = 0, sum = 0;
  for (let i = 0; i < data.length; i += 4) { lit += data[i] > 8; sum = (sum * 31 + data[i]) % 1000000007; }
  return [lit, sum];
"""


def store(archive: ArchiveProcess, instances: list[Any]) -> None:
    sent = send_instances("127.0.0.1", archive.dicom_port, archive.ae_title, instances)
    assert {status for _, status in sent} == {0x0000}


@pytest.fixture(scope="module")
def archive(running_archive: ArchiveProcess) -> ArchiveProcess:
    """A running archive that has received the made-up studies by C-STORE."""
    store(running_archive, list(made_up_studies.all_studies()))
    return running_archive


@pytest.fixture(scope="module")
def desk_browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with open_browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def browser(desk_browser: Browser, archive: ArchiveProcess) -> Iterator[Browser]:
    """A browser on a desk; at the end nothing may have gone wrong, and nothing been asked of strangers."""
    yield desk_browser
    remembered = {"origin": archive.http_url, "storageTypes": "local_storage"}
    desk_browser.execute_cdp_cmd("Storage.clearDataForOrigin", remembered)
    assert desk_browser.complaints() == []
    assert desk_browser.origins() == {archive.http_url}


@pytest.fixture
def phone(archive: ArchiveProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """The same on a phone."""
    with open_browser(tmp_path_factory.mktemp("profile")) as phone:
        phone.become_phone()
        yield phone
        assert phone.complaints() == []
        assert phone.origins() == {archive.http_url}


def wait_until(browser: Browser, condition: Callable[[], Any], what: str) -> Any:
    return WebDriverWait(browser, PATIENCE_S, poll_frequency=0.05).until(lambda _: condition(), what)


def rows(browser: Browser) -> list[WebElement]:
    return browser.find_elements(By.CSS_SELECTOR, ".study")


def open_list(browser: Browser, archive: ArchiveProcess, query: str = "") -> None:
    browser.get(f"{archive.http_url}/{query}")
    wait_until(browser, lambda: rows(browser), "the list has rows")


def row_of(browser: Browser, name: str) -> WebElement:
    return wait_until(
        browser, lambda: next((row for row in rows(browser) if name in row.text), None), f"{name} is listed"
    )


def state(browser: Browser) -> dict[str, str]:
    return dict(browser.execute_script("return { ...document.getElementById('stage').dataset };"))


def words(browser: Browser, corner: str) -> str:
    return str(browser.find_element(By.CSS_SELECTOR, f"[data-at='{corner}']").text)


def wait_for_slice(browser: Browser, number: int) -> tuple[int, int]:
    """Wait until a slice is drawn; return how many pixels are lit, and the sum of the picture."""
    drawn = f"#stage[data-state=ready][data-slice='{number}'][aria-busy=false]"
    wait_until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, drawn), f"slice {number} is drawn")
    lit, total = browser.execute_script(LOOK)
    return lit, total


def open_viewer(browser: Browser, archive: ArchiveProcess, name: str) -> None:
    open_list(browser, archive)
    row_of(browser, name).find_element(By.CSS_SELECTOR, "a").click()
    wait_until(browser, lambda: "/viewer/" in browser.current_url, "the viewer opens")


def press(browser: Browser, key: str) -> None:
    browser.find_element(By.TAG_NAME, "body").send_keys(key)


# The list


def test_a_row_tells_who_was_imaged_when_of_what_and_how_much(browser, archive):
    open_list(browser, archive)
    told = row_of(browser, "NGUYỄN VĂN ĐỨC").text
    age = date.today().year - 1981 - (date.today() < date(date.today().year, 4, 12))
    for fact in (
        *("BN0001", f"Nam, {age} tuổi", "12/04/1981", date.today().strftime("%d/%m/%Y"), "07:30", "CT"),
        *("Sọ não", made_up_studies.PROCEDURE_CODE, "CLVT ngực có thuốc", "12 ảnh", "1 chuỗi"),
    ):
        assert fact in told


def test_nothing_leads_to_a_viewer_that_is_not_installed(browser, archive):
    open_list(browser, archive)
    links = browser.find_elements(By.CSS_SELECTOR, ".in-ohif")
    assert links and not any(link.is_displayed() for link in links)


def test_every_image_of_the_list_has_a_thumbnail(browser, archive):
    open_list(browser, archive)
    loaded = (
        "return [...document.querySelectorAll('.thumbnail img')].every((i) => i.complete && i.naturalWidth)"
    )
    wait_until(browser, lambda: browser.execute_script(loaded), "all thumbnails are there")
    with_image = [row for row in rows(browser) if row.find_elements(By.CSS_SELECTOR, ".thumbnail img")]
    assert len(with_image) == len(rows(browser)) - 2  # the report and the document have none


def test_a_search_without_diacritics_finds_the_name_that_has_them(browser, archive):
    open_list(browser, archive)
    browser.find_element(By.ID, "search").send_keys("duc nguyen van")
    wait_until(browser, lambda: len(rows(browser)) == 1, "one study is left")
    assert "NGUYỄN VĂN ĐỨC" in rows(browser)[0].text


def test_a_search_is_kept_in_the_address_and_survives_a_reload(browser, archive):
    open_list(browser, archive, "?q=hoang%20minh&modality=US")
    wait_until(browser, lambda: len(rows(browser)) == 1, "one study is left")
    assert browser.find_element(By.ID, "search").get_attribute("value") == "hoang minh"
    assert "LÊ HOÀNG MINH" in rows(browser)[0].text


def test_a_search_that_finds_nothing_says_so_and_can_be_taken_back(browser, archive):
    open_list(browser, archive)
    count = len(rows(browser))
    browser.find_element(By.ID, "search").send_keys("không ai tên này")
    notice = wait_until(
        browser,
        lambda: next(iter(browser.find_elements(By.CSS_SELECTOR, "#notice:not([hidden])")), None),
        "the list says that nothing was found",
    )
    assert "Không tìm thấy" in notice.text
    notice.find_element(By.TAG_NAME, "button").click()
    wait_until(browser, lambda: len(rows(browser)) == count, "all studies are back")


@pytest.mark.parametrize(("choice", "modality"), [("Siêu âm", "US"), ("CT", "CT")])
def test_the_list_can_be_narrowed_to_a_modality(browser, archive, choice, modality):
    open_list(browser, archive)
    browser.find_element(By.XPATH, f"//div[@id='modalities']/button[.='{choice}']").click()
    badges = "return [...document.querySelectorAll('.badge')].map((badge) => badge.textContent)"
    wait_until(browser, lambda: set(browser.execute_script(badges)) == {modality}, f"only {modality} is left")


def test_the_list_can_be_narrowed_to_days(browser, archive):
    open_list(browser, archive)
    count = len(rows(browser))
    browser.find_element(By.XPATH, "//div[@id='dates']/button[.='Hôm qua']").click()
    wait_until(browser, lambda: not rows(browser), "nothing was imaged yesterday")
    browser.find_element(By.XPATH, "//div[@id='dates']/button[.='Hôm nay']").click()
    wait_until(browser, lambda: len(rows(browser)) == count, "everything was imaged today")


def test_a_study_that_arrives_appears_by_itself(browser, archive):
    open_list(browser, archive)
    store(archive, made_up_studies.ct_study("ĐỖ^GIA HÂN", "BN0005")[:1])
    # The page looks every 15 seconds, and at once when it is turned to again.
    browser.execute_script("document.dispatchEvent(new Event('visibilitychange'))")
    assert "1 ảnh" in row_of(browser, "ĐỖ GIA HÂN").text


def test_a_server_that_is_away_is_told_and_tried_again(browser, archive):
    open_list(browser, archive)
    browser.execute_cdp_cmd("Network.emulateNetworkConditions", OFFLINE)
    browser.find_element(By.ID, "search").send_keys("duc")
    notice = browser.find_element(By.ID, "notice")
    wait_until(browser, notice.is_displayed, "the list tells its trouble")
    assert "Không kết nối được" in notice.text
    browser.execute_cdp_cmd("Network.emulateNetworkConditions", ONLINE)
    notice.find_element(By.TAG_NAME, "button").click()
    wait_until(browser, lambda: len(rows(browser)) == 1, "the search works again")
    browser.complaints()  # that requests failed stands in the console too


def test_the_language_can_be_changed_and_is_remembered(browser, archive):
    open_list(browser, archive)
    assert browser.find_element(By.TAG_NAME, "h1").text == "Danh sách ca chụp"
    browser.find_element(By.ID, "language").click()
    assert browser.find_element(By.TAG_NAME, "h1").text == "Studies"
    open_list(browser, archive)
    assert browser.find_element(By.TAG_NAME, "h1").text == "Studies"
    assert browser.find_element(By.TAG_NAME, "html").get_attribute("lang") == "en"
    assert date.today().strftime("%d %b %Y").lower()[:6] in row_of(browser, "NGUYỄN VĂN ĐỨC").text.lower()


def test_the_list_can_be_used_without_a_mouse(browser, archive):
    open_list(browser, archive, "?q=duc%20nguyen")
    browser.find_element(By.ID, "search").send_keys(Keys.TAB * 20)
    while browser.switch_to.active_element.text != "NGUYỄN VĂN ĐỨC":
        browser.switch_to.active_element.send_keys(Keys.SHIFT + Keys.TAB)
    browser.switch_to.active_element.send_keys(Keys.ENTER)
    wait_until(browser, lambda: "/viewer/" in browser.current_url, "the viewer opens")


# The viewer


def test_a_click_opens_the_images_and_one_is_drawn(browser, archive):
    open_viewer(browser, archive, "NGUYỄN VĂN ĐỨC")
    lit, _ = wait_for_slice(browser, 1)
    assert lit > 1000
    assert "NGUYỄN VĂN ĐỨC" in words(browser, "patient")
    assert "BN0001" in words(browser, "patient")
    assert "Ảnh 1 trên 12" in words(browser, "slice")
    assert "C 40 W 400" in words(browser, "slice")
    told = {"rendered": "không dùng đo đạc", "exact": "Giá trị điểm ảnh gốc"}
    wait_until(
        browser, lambda: told[state(browser)["pixels"]] in words(browser, "notice"), "it is told what is seen"
    )
    assert [words(browser, edge) for edge in ("top", "right", "bottom", "left")] == ["A", "L", "P", "R"]
    assert words(browser, "ruler").endswith("cm")


def test_scrolling_changes_the_slice_and_the_picture(browser, archive):
    open_viewer(browser, archive, "NGUYỄN VĂN ĐỨC")
    first = wait_for_slice(browser, 1)
    stage = browser.find_element(By.ID, "stage")
    ActionChains(browser).scroll_from_origin(_origin(stage), 0, 120).perform()
    second = wait_for_slice(browser, 2)
    press(browser, Keys.END)
    last = wait_for_slice(browser, made_up_studies.NUMBER_OF_SLICES)
    assert len({first, second, last}) == 3
    assert "Ảnh 12 trên 12" in words(browser, "slice")


def test_dragging_changes_the_window_and_the_picture(browser, archive):
    open_viewer(browser, archive, "NGUYỄN VĂN ĐỨC")
    before = wait_for_slice(browser, 1)
    stage = browser.find_element(By.ID, "stage")
    ActionChains(browser).click_and_hold(stage).move_by_offset(150, -60).release().perform()
    wait_until(browser, lambda: "C -40 W 600" in words(browser, "slice"), "the window is told")
    assert wait_for_slice(browser, 1) != before


def test_the_lung_preset_shows_the_lung(browser, archive):
    open_viewer(browser, archive, "NGUYỄN VĂN ĐỨC")
    before, _ = wait_for_slice(browser, 1)
    browser.find_element(By.ID, "presets-button").click()
    browser.find_element(By.XPATH, "//div[@id='presets-list']/button[contains(., 'Phổi')]").click()
    wait_until(browser, lambda: "C -600 W 1500" in words(browser, "slice"), "the window is told")
    after, _ = wait_for_slice(browser, 1)
    assert after > before


def test_a_double_click_takes_everything_back(browser, archive):
    open_viewer(browser, archive, "NGUYỄN VĂN ĐỨC")
    wait_until(browser, lambda: state(browser)["pixels"] == "exact", "the stored values are there")
    before = wait_for_slice(browser, 1)
    for key in ("3", "i", "r", "f", "+"):
        press(browser, key)
    wait_until(browser, lambda: "C 480 W 2500" in words(browser, "slice"), "the bone preset is told")
    # Turned clockwise, then left and right exchanged.
    assert [words(browser, edge) for edge in ("top", "right", "bottom", "left")] == ["R", "P", "L", "A"]
    assert wait_for_slice(browser, 1) != before
    ActionChains(browser).double_click(browser.find_element(By.ID, "stage")).perform()
    wait_until(browser, lambda: "C 40 W 400" in words(browser, "slice"), "the window is the file's again")
    assert wait_for_slice(browser, 1) == before


def test_a_loop_plays_and_stops(browser, archive):
    open_viewer(browser, archive, "LÊ HOÀNG MINH")
    wait_for_slice(browser, 1)
    assert browser.find_element(By.ID, "rate").get_attribute("value") == "20"
    browser.find_element(By.ID, "play").click()
    seen = set()

    def has_gone_around() -> bool:
        seen.add(state(browser)["slice"])
        return len(seen) == made_up_studies.NUMBER_OF_FRAMES

    wait_until(browser, has_gone_around, "every frame was seen")
    browser.find_element(By.ID, "play").click()
    stopped = browser.find_element(By.ID, "scrubber").get_attribute("value")
    lit, _ = wait_for_slice(browser, int(stopped))
    assert lit > 0


@pytest.mark.parametrize(
    ("name", "told", "link", "media_type", "offset", "magic"),
    [
        ("VÕ THỊ HỒNG NHUNG", "Báo cáo có cấu trúc", "DICOM", "application/dicom", 128, "DICM"),
        ("ĐẶNG QUỐC BẢO", "Tài liệu PDF", "DICOM", "application/dicom", 128, "DICM"),
        ("ĐẶNG QUỐC BẢO", "Tài liệu PDF", "application/pdf", "application/pdf", 0, "%PDF"),
    ],
)
def test_an_object_without_pixels_says_what_it_is_and_can_be_downloaded(
    browser, archive, name, told, link, media_type, offset, magic
):
    open_viewer(browser, archive, name)
    wait_until(browser, lambda: browser.find_elements(By.CSS_SELECTOR, ".message-card a"), "it is described")
    card = browser.find_element(By.CSS_SELECTOR, ".message-card")
    assert told in card.text
    address = card.find_element(By.XPATH, f".//a[contains(., '{link}')]").get_attribute("href")
    download = """
      const response = await fetch(given[0], { headers: { Accept: 'text/html,*/*;q=0.8' } });
      const begin = new Uint8Array(await response.arrayBuffer()).slice(given[1], given[1] + 4);
      const [type] = response.headers.get('content-type').split(';');
      return [response.status, type, String.fromCharCode(...begin)];
    """
    assert browser.run(download, address, offset) == [200, media_type, magic]


def test_a_damaged_image_says_why_and_the_others_can_still_be_seen(browser, archive):
    open_viewer(browser, archive, "TRẦN THỊ THỬ")
    wait_for_slice(browser, 1)
    press(browser, Keys.END)
    wait_until(browser, lambda: state(browser)["state"] == "failed", "the failure is told")
    assert "bị hỏng" in browser.find_element(By.CSS_SELECTOR, ".message-card").text
    assert browser.execute_script(LOOK)[0] == 0
    press(browser, Keys.ARROW_UP)
    lit, _ = wait_for_slice(browser, 2)
    assert lit > 0
    browser.complaints()  # that the server answers 422 stands in the console too


def test_a_study_that_is_not_there_is_told_kindly(browser, archive):
    browser.get(f"{archive.http_url}/viewer/?StudyInstanceUIDs=1.2.3")
    card = wait_until(
        browser,
        lambda: next(iter(browser.find_elements(By.CSS_SELECTOR, ".message-card")), None),
        "the viewer answers",
    )
    assert card.text
    browser.complaints()  # that the server answers 404 stands in the console too


def test_markup_in_patient_data_is_shown_and_never_run(browser, archive):
    open_viewer(browser, archive, "<img src")
    wait_for_slice(browser, 1)
    assert made_up_studies.MARKUP in words(browser, "study")
    assert browser.execute_script("return window.pwned ?? null") is None
    browser.back()
    told = row_of(browser, "<img src").text
    assert made_up_studies.MARKUP in told
    assert browser.execute_script("return window.pwned ?? null") is None


def test_pages_forbid_scripts_of_others(browser, archive):
    policies = """
      const answers = await Promise.all(['/', '/viewer/'].map((path) => fetch(path)));
      return answers.map((answer) => answer.headers.get('content-security-policy'));
    """
    open_list(browser, archive)
    for policy in browser.run(policies):
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy


# On a phone


def test_a_phone_shows_cards_that_fit_with_buttons_for_fingers(phone, archive):
    open_list(phone, archive)
    assert phone.execute_script("return document.documentElement.scrollWidth") == 390
    assert small_controls(phone) == []


def test_a_phone_shows_the_image_and_a_finger_scrolls(phone, archive):
    open_viewer(phone, archive, "NGUYỄN VĂN ĐỨC")
    first = wait_for_slice(phone, 1)
    assert phone.execute_script("return document.documentElement.scrollWidth") == 390
    assert small_controls(phone) == []
    phone.touch(*((200, 200 + 10 * step) for step in range(15)))
    wait_until(phone, lambda: int(state(phone)["slice"]) > 3, "the finger scrolled")
    position = int(phone.find_element(By.ID, "scrubber").get_attribute("value"))
    assert wait_for_slice(phone, position) != first


def small_controls(browser: Browser) -> list[str]:
    """Visible buttons and links that are smaller than a fingertip (44 CSS pixels)."""
    body = """
      return [...document.querySelectorAll('button, a, select')].filter((control) => {
        const { width, height } = control.getBoundingClientRect();
        return control.checkVisibility() && !control.closest('h2') && (width < 44 || height < 44);
      }).map((control) => control.id || control.textContent);
    """
    return list(browser.execute_script(body))


def _origin(element: WebElement) -> Any:
    from selenium.webdriver.common.actions.wheel_input import ScrollOrigin

    return ScrollOrigin.from_element(element)


def test_the_window_that_the_server_made_for_an_image_without_one_is_told(browser, archive):
    slices = made_up_studies.ct_study("HỒ^THỊ KHÔNG CỬA SỔ", "BN0009")[:2]
    for one in slices:
        del one.WindowCenter, one.WindowWidth
    store(archive, slices)
    open_viewer(browser, archive, "HỒ THỊ KHÔNG CỬA SỔ")
    wait_for_slice(browser, 1)
    # From -1000 HU to 60 HU, each of which more than half a percent of its pixels have
    wait_until(browser, lambda: "C -470 W 1060" in words(browser, "slice"), "the window is told")
