"""An archive of SQLite and files behind the application, without a socket."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from email import policy
from email.parser import BytesParser
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from starlette.testclient import TestClient

from pacs.archive import Archive
from pacs.ingest import Origin, open_part10, store_instance
from pacs.settings import Settings
from tests.datasets import encode_file
from tests.empty_index import open_empty_archive
from viewer_api.app import create_app

BASE_URL = "http://127.0.0.1:8080"


@contextmanager
def empty_archive(directory: Path, **settings: Any) -> Iterator[Archive]:
    archive = open_empty_archive(
        Settings(data_dir=directory, public_url="https://pacs.example.vn/xa", **settings)
    )
    try:
        yield archive
    finally:
        archive.close()


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    """An empty archive, for tests that break it or count what is in it."""
    with empty_archive(tmp_path) as opened:
        yield opened


@pytest.fixture(scope="module")
def module_archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    """One archive for all tests of a module."""
    with empty_archive(tmp_path_factory.mktemp("archive")) as opened:
        yield opened


@pytest.fixture(scope="module")
def client(module_archive: Archive) -> TestClient:
    """A client of the module's archive."""
    return make_client(module_archive)


def make_client(archive: Archive) -> TestClient:
    return TestClient(create_app(archive), base_url=BASE_URL)


def store_dataset(
    archive: Archive, dataset: Dataset, transfer_syntax_uid: str = ExplicitVRLittleEndian
) -> str:
    """Store a data set and return the path of its instance."""
    outcome = store_instance(
        archive, open_part10([encode_file(dataset, transfer_syntax_uid)]), Origin("stow")
    )
    return (
        f"/dicom-web/studies/{outcome.study_instance_uid}/series/{outcome.series_instance_uid}"
        f"/instances/{outcome.sop_instance_uid}"
    )


def split_multipart(response: httpx.Response) -> list[tuple[dict[str, str], bytes]]:
    """Take an answer apart with the parser of the standard library, not ours."""
    head = f"Content-Type: {response.headers['content-type']}\r\n\r\n".encode()
    message = BytesParser(policy=policy.compat32).parsebytes(head + response.content)
    assert message.is_multipart(), "not multipart"
    return [
        ({name.lower(): value for name, value in part.items()}, part.get_payload(decode=True))
        for part in message.get_payload()
    ]
