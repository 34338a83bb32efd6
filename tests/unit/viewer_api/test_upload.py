from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from pacs.archive import Archive
from tests.datasets import encode_file, make_dataset
from tests.unit.viewer_api.conftest import empty_archive
from viewer_api.app import create_app

HEADERS = [
    (b"host", b"127.0.0.1"),
    (b"content-type", b'multipart/related; type="application/dicom"; boundary=stow'),
]
PART = b"--stow\r\nContent-Type: application/dicom\r\n\r\n"


@pytest.fixture
def impatient(tmp_path: Path) -> Iterator[Archive]:
    """An archive that waits a twentieth of a second for a sender."""
    with empty_archive(tmp_path, network_timeout_s=0.05) as archive:
        yield archive


def post(archive: Archive, receive: Callable[[], Awaitable[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Call the application as a server does, with a sender that may stall or vanish."""
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/dicom-web/studies",
        "raw_path": b"/dicom-web/studies",
        "query_string": b"",
        "root_path": "",
        "headers": HEADERS,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    anyio.run(create_app(archive), scope, receive, send)
    return sent


def sender(
    *chunks: bytes, then: Callable[[], Awaitable[dict[str, Any]]]
) -> Callable[[], Awaitable[dict[str, Any]]]:
    async def messages() -> AsyncIterator[dict[str, Any]]:
        for chunk in chunks:
            yield {"type": "http.request", "body": chunk, "more_body": True}
        while True:
            yield await then()

    stream = messages()

    async def receive() -> dict[str, Any]:
        return await anext(stream)

    return receive


async def stall() -> dict[str, Any]:
    await anyio.sleep(3600)
    return {"type": "http.disconnect"}


async def vanish() -> dict[str, Any]:
    return {"type": "http.disconnect"}


async def drip() -> dict[str, Any]:
    await anyio.sleep(0.02)
    return {"type": "http.request", "body": b"x", "more_body": True}


@pytest.mark.parametrize("then", [stall, drip])
def test_a_body_that_stalls_or_drips_is_408_and_nothing_is_kept(impatient: Archive, then: Any) -> None:
    begun = PART + encode_file(make_dataset())[:700]
    start, *_ = post(impatient, sender(begun, then=then))
    assert start["status"] == 408
    assert list(impatient.store.list()) == []


def test_a_sender_that_vanishes_leaves_nothing_and_no_error(
    impatient: Archive, caplog: pytest.LogCaptureFixture
) -> None:
    begun = PART + encode_file(make_dataset())[:700]
    with caplog.at_level(logging.WARNING):
        post(impatient, sender(begun, then=vanish))
    assert list(impatient.store.list()) == []
    assert caplog.text == ""


def test_what_is_left_of_a_refused_body_is_taken_within_bounds(archive: Archive) -> None:
    taken = 0

    async def endless() -> dict[str, Any]:
        nonlocal taken
        taken += 1 << 20
        return {"type": "http.request", "body": bytes(1 << 20), "more_body": True}

    start, *_ = post(archive, sender(b"this is not multipart", then=endless))
    assert start["status"] == 400
    assert 1 << 20 <= taken <= 32 << 20
