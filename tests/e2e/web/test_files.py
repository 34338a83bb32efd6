"""What the pages are made of: files of our own, all named in advance, nothing inline."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from urllib.parse import urljoin

import pytest

from tests.e2e.web.modules import WEB

PAGES = {"index.html": "study-list.js", "viewer.html": "viewer.js"}
PLACES = {"index.html": "/", "viewer.html": "/viewer/", "ohif-missing.html": "/ohif/"}
ALL_PAGES = sorted(path.name for path in WEB.glob("*.html"))


class _Tags(HTMLParser):
    """Collects the start tags of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed((WEB / page).read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def addresses(self) -> list[str]:
        """Everything that the page names by ``href`` or ``src``."""
        return [value for _, attrs in self.tags for name in ("href", "src") if (value := attrs.get(name))]

    def paths(self, place: str) -> list[str]:
        """Where these lead from the place of the page."""
        return [urljoin(place, address).split("#")[0] for address in self.addresses()]


def modules_below(entry: str) -> set[str]:
    """Modules that ``entry`` imports, directly or not."""
    found: set[str] = set()
    waiting = [entry]
    while waiting:
        imported = re.findall(r'from "\./([\w-]+\.js)"', (WEB / waiting.pop()).read_text("utf-8"))
        waiting += [name for name in imported if name not in found]
        found |= set(imported)
    return found


@pytest.mark.parametrize(("page", "entry"), PAGES.items())
def test_a_page_names_all_its_modules_so_that_no_import_waits_for_another(page, entry):
    preloaded = [
        urljoin(PLACES[page], attrs["href"])
        for tag, attrs in _Tags(page).tags
        if attrs.get("rel") == "modulepreload"
    ]
    assert sorted(preloaded) == sorted(f"/static/{name}" for name in modules_below(entry))


@pytest.mark.parametrize("page", ALL_PAGES)
def test_a_page_names_only_files_that_are_there(page):
    paths = set(_Tags(page).paths(PLACES[page]))
    files = {path for path in paths if path.startswith("/static/")}
    assert [name for name in files if not (WEB / name.removeprefix("/static/")).is_file()] == []
    assert paths - files <= {"/"}


def test_no_address_of_ours_begins_at_the_root_which_may_be_anothers_behind_a_proxy():
    assert [one for page in ALL_PAGES for one in _Tags(page).addresses() if one.startswith("/")] == []
    scripts = {path.name: path.read_text("utf-8") for path in WEB.glob("*.js")}
    assert [name for name, text in scripts.items() if re.search(r"[\"'`]/[a-z]", text)] == []


@pytest.mark.parametrize("page", ALL_PAGES)
def test_a_page_has_nothing_inline_that_its_security_policy_forbids(page):
    tags = _Tags(page).tags
    assert [tag for tag, attrs in tags if tag == "style" or (tag == "script" and not attrs.get("src"))] == []
    assert [name for _, attrs in tags for name in attrs if name == "style" or name.startswith("on")] == []


def test_every_module_belongs_to_a_page():
    used = set(PAGES.values()).union(*(modules_below(entry) for entry in PAGES.values()))
    assert {path.name for path in WEB.glob("*.js")} == used


def test_no_script_parses_html_or_text_as_code():
    forbidden = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function")
    assert [path.name for path in WEB.glob("*.js") if forbidden.search(path.read_text("utf-8"))] == []


def test_no_file_names_another_site():
    allowed = {"http://www.w3.org"}  # the name of SVG
    named = {
        (path.name, site)
        for path in WEB.iterdir()
        for site in re.findall(r"\bhttps?://[^/\"'\s]+", path.read_text("utf-8"))
    }
    assert {(name, site) for name, site in named if site not in allowed} == set()
