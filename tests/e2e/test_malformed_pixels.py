"""Files that are broken on purpose, against a running server: it answers each, and no process is lost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.data import read_manifest, shared_data
from tests.e2e.archive_process import ArchiveProcess, running_up

SOUND = "nist_cr_4_syntaxes"
ASKED = {
    "rendered": "image/jpeg",
    "thumbnail": "image/jpeg",
    "frames/1": "application/octet-stream",
    "frames/1/rendered": "image/png",
    "": 'application/dicom; transfer-syntax="1.2.840.10008.1.2.1"',
    "metadata": "application/dicom+json",
}
ANSWERS = {200, 206, 400, 404, 406, 422}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ArchiveProcess]:
    with running_up(tmp_path_factory.mktemp("malformed"), {"FILMLESS_DECODE_TIMEOUT_S": "60"}) as running:
        yield running


def store(client: httpx.Client, path: Path) -> str | None:
    """Store a file; return the path of its instance, None where it is refused."""
    answer = client.post(
        "/dicom-web/studies",
        content=path.read_bytes(),
        headers={"content-type": "application/dicom", "accept": "application/dicom+json"},
    )
    assert answer.status_code in {200, 202, 400, 409}, (path.name, answer.text)
    stored = answer.json().get("00081199", {}).get("Value", []) if answer.status_code in (200, 202) else []
    return httpx.URL(stored[0]["00081190"]["Value"][0]).path if stored else None


def test_b5_b6_broken_files_are_answered_and_no_process_is_lost(archive: ArchiveProcess) -> None:
    shared_data("malformed")
    processes = {command: archive.children(command) for command in ("web", "listen", "work")}
    assert processes["web"]
    names = [row["file"] for row in read_manifest() if row["file"].startswith("malformed")]
    outcomes: Counter[tuple[str, int]] = Counter()
    with httpx.Client(base_url=archive.http_url, timeout=120) as client:
        for name in names:
            where = store(client, shared_data(*Path(name).parts))
            for what, accept in ASKED.items() if where else ():
                answer = client.get(f"{where}/{what}".rstrip("/"), headers={"accept": accept})
                assert answer.status_code in ANSWERS, (name, what, answer.text)
                outcomes[what, answer.status_code] += 1
        sound = store(client, min(shared_data(SOUND).iterdir()))
        assert client.get(f"{sound}/rendered").status_code == 200
    assert outcomes["rendered", 200] > 20, outcomes
    assert outcomes["rendered", 406] + outcomes["rendered", 422] > 2, outcomes
    assert {command: archive.children(command) for command in processes} == processes
    assert "Traceback" not in archive.printed()
