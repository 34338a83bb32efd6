"""schemathesis over our own OpenAPI description: the short form of the soak."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from pacs.archive import Archive
from pacs.settings import Settings
from tests.datasets import make_dataset
from tests.empty_index import open_empty_archive
from tests.fuzzed_api import BASE_URL, fuzz, operations
from tests.unit.viewer_api.conftest import store_dataset
from viewer_api.app import create_app

REQUESTS, SOAKED_REQUESTS = 100, 20_000


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    opened = open_empty_archive(Settings(data_dir=tmp_path_factory.mktemp("archive")))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def known(archive: Archive) -> dict[str, str]:
    dataset = make_dataset()
    store_dataset(archive, dataset)
    return {
        "study_instance_uid": dataset.StudyInstanceUID,
        "series_instance_uid": dataset.SeriesInstanceUID,
        "sop_instance_uid": dataset.SOPInstanceUID,
        "frame_list": "1",
    }


def fuzz_all(archive: Archive, known: dict[str, str], number: int) -> Counter[int]:
    client = TestClient(create_app(archive), base_url=BASE_URL, follow_redirects=False)
    found = list(operations(client))
    statuses: Counter[int] = Counter()
    for operation in found:
        statuses += fuzz(client, operation, -(-number // len(found)), known)
    return statuses


def test_made_up_requests_get_what_the_description_says_and_never_a_server_error(
    archive: Archive, known: dict[str, str]
) -> None:
    statuses = fuzz_all(archive, known, REQUESTS)
    assert {200, 400, 404} <= statuses.keys()


@pytest.mark.soak
def test_twenty_thousand_made_up_requests_find_no_server_error(
    archive: Archive, known: dict[str, str]
) -> None:
    statuses = fuzz_all(archive, known, SOAKED_REQUESTS)
    print(f"\n{sum(statuses.values()):,} requests: {dict(statuses)}")
    # an operation without parameters has one request only
    assert sum(statuses.values()) > SOAKED_REQUESTS * 3 / 4
