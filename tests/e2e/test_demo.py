from __future__ import annotations

import time
from pathlib import Path

import httpx

from tests.e2e.archive_process import running_up

FILLED_WITHIN_S = 180.0


def test_the_demo_fills_the_archive_by_c_store_and_prints_the_viewers_address(tmp_path: Path) -> None:
    with running_up(tmp_path, {}, command="demo") as archive:
        deadline = time.monotonic() + FILLED_WITHIN_S
        while "Open the viewer" not in archive.printed():
            assert time.monotonic() < deadline and archive.process.poll() is None, archive.printed()
            time.sleep(0.1)
        assert f"Open the viewer: {archive.http_url}/" in archive.printed()
        assert "not accepted" not in archive.printed()
        assert "6 orders of today" in archive.printed()
        assert len(httpx.get(f"{archive.http_url}/orders").json()["orders"]) == 6
        assert (tmp_path / "filmless-demo" / "objects").is_dir()
        url = f"{archive.http_url}/dicom-web"
        studies = httpx.get(f"{url}/studies").json()
        assert {"CT", "MR", "DX", "US"} <= {study["00080061"]["Value"][0] for study in studies}
        (found,) = httpx.get(
            f"{url}/studies", params={"PatientName": "nguyen van duc", "ModalitiesInStudy": "CT"}
        ).json()[:1]
        uid = found["0020000D"]["Value"][0]
        thumbnail = httpx.get(f"{url}/studies/{uid}/thumbnail")
        assert thumbnail.headers["content-type"] == "image/jpeg"
        log = (tmp_path / "filmless-demo" / "log.txt").read_text()
        assert "C-STORE done" in log
        assert "NGUY" not in log + archive.printed()
