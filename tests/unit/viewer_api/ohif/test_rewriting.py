from __future__ import annotations

import json
import re
import subprocess

import pytest

from tests.data import program
from tests.unit.viewer_api.ohif.packages import BUNDLE, FILES, make_package
from viewer_api.ohif.rewriting import CONFIGURATION, is_content_name, prepare_files
from viewer_api.ohif.tarball import UnusableTarball, read_files


def prepared(changes=None):
    files = {name: content for name, content in {**FILES, **(changes or {})}.items() if content is not None}
    return prepare_files(read_files(make_package(files)))


def test_what_nobody_needs_is_left_out():
    _, files = prepared()
    assert set(files) == {
        *("LICENSE", "index.html", CONFIGURATION, BUNDLE, "12.bundle.fedcba9876543210.js"),
        *("app.bundle.css", "0123456789abcdef.woff2", "0fedcba987654321.wasm"),
        *("assets/favicon.ico", "assets/images/CT.png"),
    }


def test_the_application_finds_its_files_below_their_folder():
    name, files = prepared()
    assert f'__webpack_require__.p = "/ohif/{name}/";'.encode() in files[BUNDLE]
    assert f"url(/ohif/{name}/0123456789abcdef.woff2)".encode() in files["app.bundle.css"]
    assert b"url(//x/y)" in files["app.bundle.css"]
    assert files["12.bundle.fedcba9876543210.js"] == FILES["package/dist/12.bundle.fedcba9876543210.js"]


def test_the_page_loads_our_configuration_and_then_the_application_and_has_nothing_inline():
    name, files = prepared()
    page = files["index.html"].decode()
    scripts = re.findall(r"<script[^>]*>", page)
    assert [re.search(r'src="([^"]+)"', script)[1] for script in scripts] == [
        f"/ohif/{name}/{CONFIGURATION}",
        f"/ohif/{name}/{BUNDLE}",
    ]
    assert "</script><script" not in page.replace("></script>", "")
    assert "window." not in page
    for address in re.findall(r'(?:src|href)="([^"]+)"', page):
        assert address.removeprefix(f"/ohif/{name}/") in files


def test_the_folder_is_named_by_the_content():
    name, _ = prepared()
    assert is_content_name(name)
    assert prepared()[0] == name
    assert prepared({"package/dist/assets/images/CT.png": b"another"})[0] != name
    assert prepared({"package/dist/sw.js": b"another, and left out"})[0] == name


@pytest.mark.parametrize(
    "changes",
    [
        {"package/dist/index.html": None},
        {"package/dist/index.html": b"<html></html>"},
        {"package/dist/app.bundle.css": None},
        {f"package/dist/{BUNDLE}": b'__webpack_require__.p = "https://elsewhere.example/";'},
    ],
)
def test_a_package_that_is_built_otherwise_is_refused(changes):
    with pytest.raises(UnusableTarball):
        prepared(changes)


def test_the_configuration_takes_every_address_from_the_browser(tmp_path):
    node = program("node")
    _, files = prepared()
    (tmp_path / "config.js").write_bytes(files[CONFIGURATION])
    script = """
      globalThis.window = globalThis; globalThis.location = { origin: "https://pacs.example.vn" };
      require("./config.js");
      const [{ configuration }] = window.config.dataSources;
      const { transform, startsWith, prefixWith } = configuration.bulkDataURI;
      const uris = ["http://10.0.0.9:8080/dicom-web/studies/1.2/bulkdata/7", "/dicom-web/studies/1.2/x", "7"];
      console.log(JSON.stringify([window.PUBLIC_URL, window.config.routerBasename, configuration.wadoRoot,
        configuration.qidoRoot, startsWith, prefixWith, uris.map(transform)]));
    """
    run = subprocess.run([node, "-e", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    root = "https://pacs.example.vn/dicom-web"
    assert json.loads(run.stdout) == [
        *("/ohif/", "/ohif", root, root, root, root),
        [f"{root}/studies/1.2/bulkdata/7", f"{root}/studies/1.2/x", "7"],
    ]
