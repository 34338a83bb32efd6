from __future__ import annotations

from pathlib import Path

import httpx

from tests.datasets import encode_file, make_dataset
from tests.e2e.archive_process import running_up
from tests.e2e.test_command_line import filmless


def test_conflicts_are_listed_shown_and_settled_and_outlive_the_index(tmp_path: Path) -> None:
    def run(*arguments: str) -> str:
        done = filmless(*arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    dataset = make_dataset()
    (tmp_path / "first.dcm").write_bytes(encode_file(dataset))
    dataset.PatientName, dataset.PatientID = "Lê^Thị Hoa", "BN7"
    (tmp_path / "new.dcm").write_bytes(encode_file(dataset))
    run("migrate")
    run("import", "first.dcm")
    run("import", "new.dcm")
    listed = run("conflicts", "list")
    assert dataset.StudyInstanceUID in listed and "patient id" in listed
    assert "Hoa" not in listed and "BN7" not in listed
    assert "PatientName: NGUYỄN^VĂN ĐỨC -> Lê^Thị Hoa" in run("conflicts", "show", "1")
    run("conflicts", "settle", "1", "--keep", "new")
    assert "no open conflicts" in run("conflicts", "list")
    assert "new, administrator" in run("conflicts", "list", "--settled")
    before = run("conflicts", "list", "--settled")
    assert "3 entries" in run("rebuild-index", "--from-scratch", "--yes")
    assert run("conflicts", "list", "--settled") == before
    assert "1 segments, 3 entries" in run("ledger", "verify")
    assert filmless("conflicts", "settle", "--keep", "new", cwd=tmp_path).returncode != 0
    assert "no conflict 9" in filmless("conflicts", "show", "9", cwd=tmp_path).stderr
    segment = next((tmp_path / "filmless-data" / "objects" / "ledger").rglob("*.jsonl"))
    segment.chmod(0o600)
    segment.write_bytes(segment.read_bytes().replace(b"import", b"invent"))
    broken = filmless("ledger", "verify", cwd=tmp_path)
    assert broken.returncode == 1 and "segment 1: it is cut short, or was altered" in broken.stderr


def test_an_index_that_was_lost_is_made_again_from_the_store(tmp_path: Path) -> None:
    image = tmp_path / "image.dcm"
    image.write_bytes(encode_file(make_dataset()))
    filmless("migrate", cwd=tmp_path)
    filmless("import", "image.dcm", cwd=tmp_path)
    with running_up(tmp_path, {}) as archive:
        before = httpx.get(f"{archive.http_url}/dicom-web/studies").json()
    for file in (tmp_path / "filmless-data").glob("index.sqlite*"):
        file.unlink()
    filmless("migrate", cwd=tmp_path)
    assert filmless("rebuild-index", cwd=tmp_path).returncode == 0
    with running_up(tmp_path, {}) as archive:
        after = httpx.get(f"{archive.http_url}/dicom-web/studies").json()
    assert len(before) == 1
    assert [{k: v for k, v in s.items() if k != "00081190"} for s in after] == [
        {k: v for k, v in s.items() if k != "00081190"} for s in before
    ]
