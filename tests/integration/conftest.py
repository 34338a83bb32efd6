"""Every integration test runs on both kinds of back end: embedded, and real servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from pacs.archive import Archive
from pacs.index.index import open_index
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


@pytest.fixture
def bare(archive: Archive, tmp_path: Path) -> Iterator[Callable[[], Archive]]:
    """Give the archive another index, empty, on the same store."""
    opened = []

    def make() -> Archive:
        empty = open_index(f"sqlite:///{tmp_path}/bare-{len(opened)}.sqlite")
        empty.migrate()
        opened.append(empty)
        return replace(archive, index=empty)

    yield make
    for index in opened:
        index.close()
