"""Every integration test runs on both kinds of back end: embedded, and real servers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pacs.archive import Archive, open_archive
from pacs.settings import Settings
from tests.backends import Backend, embedded, servers


@pytest.fixture(params=["sqlite-folder", "postgresql-s3"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    """An empty index and an empty object store."""
    with embedded(tmp_path) if request.param == "sqlite-folder" else servers() as fresh:
        yield fresh


@pytest.fixture
def settings(backend: Backend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of an archive on the back end."""
    monkeypatch.chdir(tmp_path)
    for name, value in backend.environment.items():
        monkeypatch.setenv(name, value)
    return Settings(data_dir=tmp_path / "data")


@pytest.fixture
def archive(settings: Settings) -> Iterator[Archive]:
    """An open archive with a fresh index."""
    opened = open_archive(settings)
    opened.index.migrate()
    yield opened
    opened.close()
