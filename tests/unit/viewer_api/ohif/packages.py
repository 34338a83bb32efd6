"""A package of OHIF, made up: as small as can be, and built as the real one is."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
from collections.abc import Mapping

from viewer_api.ohif.tarball import Release

BUNDLE = "app.bundle.0123456789abcdef.js"
PAGE = (
    f'<!doctype html><script>window.PUBLIC_URL="/"</script><script defer src="/{BUNDLE}"></script>'
    '<link href="/app.bundle.css" rel="stylesheet"><script src="/init-service-worker.js"></script>'
)
FILES: Mapping[str, bytes] = {
    "package/package.json": b"{}",
    "package/LICENSE": b"MIT",
    "package/dist/index.html": PAGE.encode(),
    "package/dist/app-config.js": b"window.config = {};",
    f"package/dist/{BUNDLE}": b"// the application\n" * 200 + b'__webpack_require__.p = "/";\n',
    "package/dist/12.bundle.fedcba9876543210.js": b'image = __webpack_require__.p + "assets/images/CT.png";',
    "package/dist/app.bundle.css": b"@font-face{src:url(/0123456789abcdef.woff2)}a{background:url(//x/y)}",
    "package/dist/0123456789abcdef.woff2": bytes(range(256)),
    "package/dist/0fedcba987654321.wasm": b"\0asm" + bytes(4096),
    "package/dist/assets/favicon.ico": b"\0\0\1\0",
    "package/dist/assets/images/CT.png": b"\x89PNG",
    "package/dist/assets/apple-touch-icon.png": b"\x89PNG",
    "package/dist/app.bundle.0123456789abcdef.js.map": b"{}",
    "package/dist/ort/ort-wasm.wasm": bytes(100),
    "package/dist/dicom-microscopy-viewer/viewer.min.js": b"",
    "package/dist/init-service-worker.js": b"",
    "package/dist/sw.js": b"importScripts('https://elsewhere.example/')",
    "package/dist/_headers": b"",
}


def make_package(files: Mapping[str, bytes] = FILES, *extra: tarfile.TarInfo) -> io.BytesIO:
    """Pack files as npm does; ``extra`` are members of any kind."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        for member in extra:
            archive.addfile(member)
    packed.seek(0)
    return packed


def release_of(package: io.BytesIO) -> Release:
    """The release whose package this is."""
    digest = hashlib.sha512(package.getvalue()).digest()
    return Release("0.0.1", "sha512-" + base64.b64encode(digest).decode())
