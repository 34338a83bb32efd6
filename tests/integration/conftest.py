"""Every integration test runs on both kinds of back end: embedded, and real servers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pacs.archive import Archive
from tests.backends import BACKENDS, fresh_archive


@pytest.fixture(params=BACKENDS)
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Archive]:
    """An open archive with an empty index and an empty store."""
    with fresh_archive(request.param, tmp_path) as opened:
        yield opened


@pytest.fixture(scope="module", params=BACKENDS)
def module_archive(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Archive]:
    """One archive for all tests of a module, empty when the first begins."""
    with fresh_archive(request.param, tmp_path_factory.mktemp("archive")) as opened:
        yield opened
