from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from pydicom.dataset import Dataset

from pacs.archive import Archive
from pacs.dicom.attributes import Level
from pacs.dicom.part10 import encode_file_meta
from pacs.errors import IndexUnavailable
from pacs.index.records import Query
from pacs.jobs.importing import run
from pacs.jobs.importing.journal import Journal
from pacs.jobs.importing.report import ImportReport, Outcome, ReportFile
from pacs.jobs.importing.run import FileImport, ImportStopped
from pacs.retrieve import find_instances, read_chunks
from storage.errors import StoreFull, StoreUnavailable
from tests.backends import fresh_archive
from tests.data import read_manifest, shared_data
from tests.datasets import CT_IMAGE_STORAGE, encode, encode_file, make_dataset

EXPLICIT = "1.2.840.10008.1.2.1"


class Importer:
    """Imports into an archive, each time with the same journal and report."""

    def __init__(self, archive: Archive, folder: Path) -> None:
        self.archive = archive
        self.journal = folder / "import.journal"
        self.report_path = folder / "report.jsonl"

    def __call__(self, *paths: Path, workers: int = 4, **options: Any) -> ImportReport:
        with (
            Journal(self.journal, self.archive.settings) as journal,
            ReportFile(self.report_path) as report_file,
        ):
            return FileImport(self.archive, paths, journal, report_file, **options).run(workers)

    def lines(self) -> dict[str, dict[str, Any]]:
        """Lines of the report, by the name of the file without its folder."""
        found = map(json.loads, self.report_path.read_text().splitlines())
        return {line["file"].rpartition("/")[2]: line for line in found}


@pytest.fixture
def run_import(archive: Archive, tmp_path: Path) -> Importer:
    return Importer(archive, tmp_path)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


def stored_uids(archive: Archive) -> set[Any]:
    matches = archive.index.search(Query(Level.INSTANCE, limit=1000)).matches
    return {match.values["SOPInstanceUID"] for match in matches}


def write(path: Path, dataset: Dataset | None = None) -> Dataset:
    dataset = make_dataset() if dataset is None else dataset
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_file(dataset))
    return dataset


def test_every_file_of_a_folder_is_stored_byte_for_byte(
    archive: Archive, run_import: Importer, source: Path
) -> None:
    datasets = [write(source / f"{number % 3}" / f"{number}") for number in range(30)]
    report = run_import(source)
    assert report.outcomes == {Outcome.STORED: 30}
    for dataset in datasets:
        (found,) = find_instances(archive, dataset.StudyInstanceUID)
        assert b"".join(read_chunks(archive, found))[found.location.dataset_offset :] == encode(dataset)
    assert run_import.lines()["7"]["sop_instance_uid"] == datasets[7].SOPInstanceUID


def test_a_second_run_reads_only_what_is_new_or_was_changed(
    archive: Archive, run_import: Importer, source: Path
) -> None:
    for number in range(5):
        write(source / str(number))
    run_import(source)
    write(source / "new")
    changed = write(source / "3")
    report = run_import(source)
    assert report.outcomes == {Outcome.FINISHED_BEFORE: 4, Outcome.STORED: 2}
    assert changed.SOPInstanceUID in stored_uids(archive)
    assert run_import(source, again=True).outcomes == {Outcome.ALREADY_STORED: 6}


def test_what_was_refused_is_told_again_by_the_next_run(run_import: Importer, source: Path) -> None:
    (source / "cut.dcm").write_bytes(encode_file(make_dataset())[:-100])
    (source / "autorun.inf").write_bytes(b"[autorun]")
    (source / "disc.ISO").write_bytes(bytes(10_000))
    (source / "images.tar.gz").write_bytes(b"\x1f\x8b and so on")
    for _ in range(2):
        report = run_import(source)
        assert report.outcomes == {Outcome.REFUSED: 3, Outcome.NOT_DICOM: 1}
        assert report.reasons == {
            "the pixel data is cut short": 1,
            "an image of a disc: mount it and name its folder": 1,
            "an archive that is not opened: unpack it first": 1,
        }
    assert run_import.lines()["cut.dcm"]["reason"] == "the pixel data is cut short"


def test_a_conflict_is_kept_and_told(run_import: Importer, source: Path) -> None:
    dataset = write(source / "1")
    run_import(source)
    dataset.PatientName = "Someone^Else"
    write(source / "2", dataset)
    assert run_import(source).outcomes == {Outcome.FINISHED_BEFORE: 1, Outcome.CONFLICT: 1}


def test_the_data_set_wins_over_a_file_meta_information_that_names_another(
    archive: Archive, run_import: Importer, source: Path
) -> None:
    dataset = make_dataset()
    (source / "edited").write_bytes(encode_file_meta(CT_IMAGE_STORAGE, "1.2.3", EXPLICIT) + encode(dataset))
    report = run_import(source)
    assert (report.outcomes, report.corrected) == ({Outcome.STORED: 1}, 1)
    assert stored_uids(archive) == {dataset.SOPInstanceUID}
    assert run_import.lines()["edited"]["file_meta_corrected"] is True


def test_a_zip_is_imported_and_one_inside_it_is_not_opened(
    archive: Archive, run_import: Importer, source: Path, tmp_path: Path
) -> None:
    datasets = [make_dataset() for _ in range(20)]
    with zipfile.ZipFile(tmp_path / "inner.zip", "w") as inner:
        inner.writestr("x.dcm", encode_file(make_dataset()))
    with zipfile.ZipFile(source / "cd.zip", "w", zipfile.ZIP_DEFLATED) as written:
        for number, dataset in enumerate(datasets):
            written.writestr(f"../../dicom/{number}", encode_file(dataset))
        written.write(tmp_path / "inner.zip", "inner.zip")
    report = run_import(source)
    assert report.outcomes == {Outcome.STORED: 20, Outcome.ZIP: 1, Outcome.REFUSED: 1}
    assert list(report.reasons) == ["a ZIP in a ZIP is not opened: unpack it first"]
    assert stored_uids(archive) == {dataset.SOPInstanceUID for dataset in datasets}
    assert run_import(source).outcomes[Outcome.FINISHED_BEFORE] == 20


def test_a_damaged_zip_spoils_nothing_else(run_import: Importer, source: Path) -> None:
    with zipfile.ZipFile(source / "cd.zip", "w") as written:
        for number in range(3):
            written.writestr(str(number), encode_file(make_dataset()))
    content = bytearray((source / "cd.zip").read_bytes())
    content[content.index(b"CT ng")] ^= 0xFF  # in the first member: its checksum is wrong
    (source / "cd.zip").write_bytes(content)
    (source / "cut.zip").write_bytes(content[:-50])
    write(source / "file")
    report = run_import(source)
    assert report.outcomes == {Outcome.STORED: 3, Outcome.ZIP: 1, Outcome.REFUSED: 2}
    assert list(report.reasons) == ["cannot be read: the ZIP is damaged: BadZipFile"]


def test_a_real_medium_is_imported_by_its_dicomdir_or_its_folder(
    archive: Archive, run_import: Importer, source: Path
) -> None:
    shutil.copytree(shared_data("dicomdir", "77654033"), source / "77654033")
    shutil.copy(shared_data("dicomdir", "DICOMDIR"), source / "DICOMDIR")
    (source / "77654033").chmod(0o755)
    by_dicomdir = run_import(source / "DICOMDIR")
    files = sum(path.is_file() for path in (source / "77654033").rglob("*"))
    assert by_dicomdir.outcomes[Outcome.STORED] == files
    assert list(by_dicomdir.reasons) == ["named by the DICOMDIR, and not there"]
    by_folder = run_import(source)
    assert by_folder.outcomes[Outcome.FINISHED_BEFORE] == files
    assert by_folder.reasons == by_dicomdir.reasons


@pytest.mark.parametrize("packed", [False, True])
def test_b2_a_dicomdir_that_leads_out_of_its_medium_is_not_followed(
    archive: Archive, run_import: Importer, source: Path, tmp_path: Path, packed: bool
) -> None:
    outside = write(tmp_path / "outside.dcm")
    inside = write(source / "IMG" / "1")
    (source / "LINK").symlink_to(tmp_path)
    dicomdir = make_dicomdir(["..", "outside.dcm"], ["IMG", "1"], ["LINK", "OUTSIDE.DCM"], ["/etc", "passwd"])
    (source / "DICOMDIR").write_bytes(dicomdir)
    if packed:
        (source / "LINK").unlink()
        with zipfile.ZipFile(tmp_path / "cd.zip", "w") as written:
            for path in ("DICOMDIR", "IMG/1"):
                written.write(source / path, path)
    report = run_import(tmp_path / "cd.zip" if packed else source / "DICOMDIR")
    assert stored_uids(archive) == {inside.SOPInstanceUID}
    assert outside.SOPInstanceUID not in stored_uids(archive)
    assert report.reasons["its DICOMDIR entry leads out of the medium"] == (2 if packed else 3)


def make_dicomdir(*file_ids: list[str]) -> bytes:
    items = b""
    for file_id in file_ids:
        value = "\\".join(file_id).encode()
        value += b" " * (len(value) % 2)
        element = b"\x04\x00\x00\x15CS" + len(value).to_bytes(2, "little") + value
        items += b"\xfe\xff\x00\xe0" + len(element).to_bytes(4, "little") + element
    sequence = b"\x04\x00\x20\x12SQ\0\0" + len(items).to_bytes(4, "little") + items
    return encode_file_meta("1.2.840.10008.1.3.10", "1.2.3", EXPLICIT) + sequence


def failing(error: Exception, times: int, write_one: Callable[..., Any]) -> Callable[..., Any]:
    left = [times]

    def write_or_fail(*arguments: Any, **options: Any) -> Any:
        left[0] -= 1
        if left[0] >= 0:
            raise error
        return write_one(*arguments, **options)

    return write_or_fail


def test_an_index_that_is_away_for_a_moment_is_waited_for(
    archive: Archive, run_import: Importer, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(6):
        write(source / str(number))
    away = failing(IndexUnavailable("away"), 5, archive.index.write)
    monkeypatch.setattr(archive.index, "write", away)
    report = run_import(source, retry_after_s=[0.01] * 5)
    assert report.outcomes.total() == 6
    assert set(report.outcomes) <= {Outcome.STORED, Outcome.ALREADY_STORED}


@pytest.mark.parametrize(
    ("error", "told"),
    [(StoreFull("no space"), "full"), (StoreUnavailable("gone"), "gone"), (IndexUnavailable("away"), "away")],
)
def test_what_stays_away_stops_the_import_and_the_next_run_goes_on(
    archive: Archive,
    run_import: Importer,
    source: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    told: str,
) -> None:
    datasets = [write(source / str(number)) for number in range(20)]
    with monkeypatch.context() as broken:
        working = [archive.index.write] * 7

        def write_seven(*arguments: Any, **named: Any) -> Any:
            if not working:
                raise error
            return working.pop()(*arguments, **named)

        broken.setattr(archive.index, "write", write_seven)
        with pytest.raises(ImportStopped, match=told):
            run_import(source, retry_after_s=[0.01])
    report = run_import(source)
    assert report.outcomes[Outcome.FINISHED_BEFORE] == 7
    assert not report.reasons
    assert stored_uids(archive) == {dataset.SOPInstanceUID for dataset in datasets}


@pytest.mark.parametrize(
    "files", [pytest.param(150, id="short"), pytest.param(20_000, id="long", marks=pytest.mark.soak)]
)
def test_damaged_files_of_every_kind_are_stored_or_refused_and_spoil_nothing(
    tmp_path: Path, source: Path, files: int
) -> None:
    shared_data()  # skips where there is none
    random = Random(files)
    originals = [
        path for row in read_manifest() if (path := shared_data(row["file"])).stat().st_size < 200_000
    ]
    for number in range(files):
        content = bytearray(random.choice(originals).read_bytes())
        for _ in range(random.choice((1, 3, 30))):
            content[random.randrange(min(len(content), random.choice((600, 10**6))))] = random.randrange(256)
        (source / f"{number}.dcm").write_bytes(
            content[: random.choice((len(content), len(content) * 2 // 3))]
        )
    good = write(source / "good.dcm")
    with fresh_archive("sqlite-folder", tmp_path) as archive:
        report = Importer(archive, tmp_path)(source)
        told = [one for one in report.outcomes if one not in (Outcome.DICOMDIR, Outcome.ZIP)]
        assert sum(report.outcomes[one] for one in told) >= files + 1 - report.outcomes[Outcome.DICOMDIR]
        assert [reason for reason in report.reasons if "unexpected" in reason] == []
        assert find_instances(archive, good.StudyInstanceUID)


@pytest.mark.parametrize("patience_s", [60.0, 0.0])
def test_a_full_spool_is_waited_for_as_long_as_it_empties(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch, patience_s: float
) -> None:
    monkeypatch.setattr(run, "_SPOOL_PAUSE_S", 0.01)
    for number in range(4):
        write(source / str(number))
    with fresh_archive("sqlite-spool", tmp_path) as archive:
        run_import = Importer(archive, tmp_path)
        monkeypatch.setattr(archive.store, "stage", failing(StoreFull("quota"), 10, archive.store.stage))
        if patience_s:
            assert run_import(source, spool_patience_s=patience_s).outcomes == {Outcome.STORED: 4}
        else:
            with pytest.raises(ImportStopped, match="full"):
                run_import(source, spool_patience_s=patience_s)


def test_a_source_that_is_pulled_out_stops_the_import(
    archive: Archive, run_import: Importer, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(50):
        write(source / str(number))
    write_one = archive.index.write

    def write_and_pull_out(*arguments: Any, **named: Any) -> Any:
        if source.exists():
            source.rename(source.with_name("pulled out"))
        return write_one(*arguments, **named)

    with monkeypatch.context() as pulled_out, pytest.raises(ImportStopped, match="source is gone"):
        pulled_out.setattr(archive.index, "write", write_and_pull_out)
        run_import(source)
    source.with_name("pulled out").rename(source)
    report = run_import(source)
    assert not report.reasons
    assert len(stored_uids(archive)) == 50
