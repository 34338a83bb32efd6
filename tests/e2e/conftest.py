"""Running archives for end-to-end tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.backends import embedded
from tests.e2e.archive_process import ArchiveProcess, running_up


@pytest.fixture(scope="module")
def running_archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArchiveProcess]:
    """``filmless up`` with the embedded defaults, empty when the module begins."""
    folder = tmp_path_factory.mktemp("archive")
    with embedded(folder) as backend, running_up(folder, backend.environment) as archive:
        yield archive


@pytest.fixture(scope="module")
def operated_archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArchiveProcess]:
    """``filmless up`` in the folder and the environment of this process, so that commands are about it."""
    folder = tmp_path_factory.mktemp("operated")
    environment = {"FILMLESS_DATA_DIR": str(folder / "data"), "FILMLESS_DICOM_PROCESSES": "1"}
    with pytest.MonkeyPatch.context() as patched, running_up(folder, environment) as archive:
        for name, value in environment.items():
            patched.setenv(name, value)
        patched.chdir(folder)
        yield archive
