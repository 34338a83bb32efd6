"""The web pages' modules in a browser, beside no server but that of the files."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.e2e.browser import open_browser
from tests.e2e.web.modules import WEB, Evaluate


class _QuietFiles(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Keep the test's output readable."""


@pytest.fixture(scope="package")
def evaluate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Evaluate]:
    """Run an asynchronous function's body in a page beside the modules; its arguments are in ``given``."""
    handler = functools.partial(_QuietFiles, directory=str(WEB))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        with open_browser(tmp_path_factory.mktemp("profile")) as browser:
            browser.get(f"http://127.0.0.1:{server.server_port}/favicon.svg")
            yield browser.run
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)
