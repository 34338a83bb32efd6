"""A real browser, as a user has it: Chromium without a window, with an empty profile."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

from tests.data import program

PATIENCE_S = 20.0

_FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    "--enable-unsafe-swiftshader",  # WebGL without a GPU
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
# Chromium itself talks to these; they are no requests of a page.
_NOT_OF_A_PAGE = {"data", "blob", "chrome", "chrome-extension", "about"}


class Browser(webdriver.Chrome):
    """Chromium that remembers what its pages complained of and where they went."""

    def complaints(self) -> list[str]:
        """What the pages wrote to the console as an error since the last call, uncaught errors included."""
        return [entry["message"] for entry in self.get_log("browser") if entry["level"] == "SEVERE"]

    def origins(self) -> set[str]:
        """Origins that pages asked for something since the last call."""
        messages = (json.loads(entry["message"])["message"] for entry in self.get_log("performance"))
        urls = (
            urlsplit(message["params"]["request"]["url"])
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        )
        return {f"{url.scheme}://{url.netloc}" for url in urls if url.scheme not in _NOT_OF_A_PAGE}

    def run(self, body: str, *arguments: Any) -> Any:
        """Run the body of an asynchronous function, ``arguments`` in ``given``; return what it returns."""
        outcome = self.execute_async_script(
            "const done = arguments[arguments.length - 1], given = arguments[0];"
            f"(async () => {{ {body} }})().then("
            "(value) => done({ value }), (error) => done({ error: String(error.stack ?? error) }));",
            arguments,
        )
        assert "error" not in outcome, outcome["error"]
        return outcome.get("value")

    def become_phone(self) -> None:
        """Take the screen and the touch of a phone; pages opened from now on see it."""
        screen = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}
        self.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
        self.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 5})

    def touch(self, *points: tuple[float, float]) -> None:
        """Put a finger down at the first point, move it along the others, and lift it."""
        for kind, (x, y) in zip(["touchStart"] + ["touchMove"] * len(points), points, strict=False):
            event = {"type": kind, "touchPoints": [{"x": x, "y": y}]}
            self.execute_cdp_cmd("Input.dispatchTouchEvent", event)
        self.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


@contextmanager
def open_browser(folder: Path, languages: str = "vi,en") -> Iterator[Browser]:
    """Open a browser whose user reads ``languages``, until the block ends; its profile lies in ``folder``."""
    options = Options()
    options.binary_location = program("chromium")
    for flag in (*_FLAGS, f"--user-data-dir={folder}", "--window-size=1440,900"):
        options.add_argument(flag)
    options.add_experimental_option("prefs", {"intl.accept_languages": languages})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = Browser(options, Service(program("chromedriver")))
    browser.set_script_timeout(PATIENCE_S)
    try:
        yield browser
    finally:
        browser.quit()
