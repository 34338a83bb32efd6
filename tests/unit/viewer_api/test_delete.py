from __future__ import annotations

from pathlib import Path

import pytest
from pydicom.uid import generate_uid

from tests.datasets import make_dataset
from tests.unit.viewer_api.conftest import empty_archive, make_client, store_dataset


@pytest.mark.parametrize("level", ["study", "series", "instance"])
def test_what_is_deleted_is_not_found_any_more(tmp_path: Path, level: str) -> None:
    with empty_archive(tmp_path, allow_delete=True) as archive:
        instance = store_dataset(archive, make_dataset())
        other = store_dataset(archive, make_dataset())
        series = instance.rpartition("/instances")[0]
        study = series.rpartition("/series")[0]
        client = make_client(archive)
        path = {"study": study, "series": series, "instance": instance}[level]
        answer = client.delete(path)
        assert (answer.status_code, answer.content) == (204, b"")
        assert [client.get(one).status_code for one in (instance, series, study)] == [404] * 3
        assert client.get(other).status_code == 200
        assert len(client.get("/dicom-web/studies").json()) == 1
        again = client.delete(path)
        assert again.status_code == 404
        assert again.headers["content-type"] == "application/problem+json"


def test_nothing_is_deleted_unless_the_settings_allow_it(tmp_path: Path) -> None:
    with empty_archive(tmp_path) as archive:
        instance = store_dataset(archive, make_dataset())
        client = make_client(archive)
        answer = client.delete(instance)
        assert answer.status_code == 403
        assert "ALLOW_DELETE" in answer.json()["detail"]
        assert client.get(instance).status_code == 200


def test_a_malformed_uid_is_400(tmp_path: Path) -> None:
    with empty_archive(tmp_path, allow_delete=True) as archive:
        client = make_client(archive)
        assert client.delete("/dicom-web/studies/1.2/series/..%2f..").status_code in (400, 404)
        assert client.delete("/dicom-web/studies/1.2'--").status_code == 400
        assert client.delete(f"/dicom-web/studies/{generate_uid()}").status_code == 404
