"""What of OHIF's built files is kept, and how they are made to live at ``/ohif/``.

OHIF is built for the root of a server. Here the page is at :data:`PAGE_PATH`, and its files lie in a folder
below it that is named by their content: so each of them can be kept by browsers for ever, and a file of one
installation is never met by a file of another.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from viewer_api.ohif.tarball import UnusableTarball

PAGE_PATH: Final = "/ohif/"
PAGE: Final = "index.html"
CONFIGURATION: Final = "app-config.js"
LICENSE: Final = "LICENSE"

_BUILT: Final = "dist/"
_DROPPED: Final = re.compile(
    r"ort/"  # ONNX, of which the bundles have what they use
    r"|dicom-microscopy-viewer/"
    r"|customizations/"
    r"|.*\.map$"
    r"|(sw|init-service-worker)\.js$"  # would load from elsewhere
    r"|(google|oidc-client\.min|es6-shim\.min|polyfill\.min)\.js$|silent-refresh\.html$"
    r"|(_headers|_redirects|serve\.json|manifest\.json|index\.html|app-config\.js)$"
    r"|assets/(?!images/|favicon\.ico$)"  # icons of phones' home screens
)
_PUBLIC_PATH: Final = b'__webpack_require__.p = "/";'
_CSS_URL: Final = re.compile(rb"""url\((["']?)/(?!/)""")
_BUNDLE: Final = re.compile(rb'src="/(app\.bundle\.[0-9a-f]+\.js)"')
_STYLES: Final = re.compile(rb'href="/(app\.bundle\.css)"')
_CONTENT_NAME: Final = re.compile(r"[0-9a-f]{16}")
_PLACEHOLDER: Final = b"@@content-name@@"
_PAGE_TEMPLATE: Final = """<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1, maximum-scale=1, user-scalable=no">
    <meta name="theme-color" content="#000000">
    <meta name="robots" content="noindex">
    <title>OHIF Viewer - Filmless</title>
    <link rel="icon" href="{base}assets/favicon.ico">
    <link rel="stylesheet" href="{base}{styles}">
    <script src="{base}{configuration}"></script>
    <script defer src="{base}{bundle}"></script>
  </head>
  <body>
    <noscript>OHIF needs JavaScript.</noscript>
    <div id="react-portal"></div>
    <div id="root"></div>
  </body>
</html>
"""


def is_content_name(name: str) -> bool:
    """Tell whether a folder below :data:`PAGE_PATH` is one of files, of this installation or of another."""
    return _CONTENT_NAME.fullmatch(name) is not None


def prepare_files(package: Iterable[tuple[str, bytes]]) -> tuple[str, Mapping[str, bytes]]:
    """Choose and rewrite the files of a package.

    Returns
    -------
    tuple[str, Mapping[str, bytes]]
        The name of their folder, made of their content, and the files by their paths in it.

    Raises
    ------
    UnusableTarball
        The package is not built in the way that is known here.
    """
    built: dict[str, bytes] = {}
    original_page = b""
    for path, content in package:
        name = path.removeprefix(_BUILT)
        if path == _BUILT + PAGE:
            original_page = content
        elif path == LICENSE or (path != name and not _DROPPED.match(name)):
            built[name] = _rewrite(name, content)
    bundle, styles = _named_in(original_page, _BUNDLE, built), _named_in(original_page, _STYLES, built)
    if _PLACEHOLDER not in built[bundle]:
        raise UnusableTarball("the application does not say where its files are in the way that is known")
    base = PAGE_PATH + _PLACEHOLDER.decode() + "/"
    page = _PAGE_TEMPLATE.format(base=base, styles=styles, bundle=bundle, configuration=CONFIGURATION)
    built[PAGE] = page.encode()
    built[CONFIGURATION] = Path(__file__).with_name(CONFIGURATION).read_bytes()
    name = _content_name(built)
    return name, {path: content.replace(_PLACEHOLDER, name.encode()) for path, content in built.items()}


def _rewrite(name: str, content: bytes) -> bytes:
    base = PAGE_PATH.encode() + _PLACEHOLDER + b"/"
    if name.endswith(".js"):
        return content.replace(_PUBLIC_PATH, b'__webpack_require__.p = "' + base + b'";')
    if name.endswith(".css"):
        return _CSS_URL.sub(rb"url(\g<1>" + base, content)
    return content


def _named_in(page: bytes, pattern: re.Pattern[bytes], files: Mapping[str, bytes]) -> str:
    found = pattern.search(page)
    name = found[1].decode() if found else ""
    if name not in files:
        raise UnusableTarball(f"the package has no page that names its application ({pattern.pattern!r})")
    return name


def _content_name(files: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for path in sorted(files):
        digest.update(f"{path}\0{len(files[path])}\0".encode())
        digest.update(files[path])
    return digest.hexdigest()[:16]
