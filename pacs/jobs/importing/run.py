"""Running an import: several threads that take files in by the one door, until there are none left."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pacs.archive import Archive
from pacs.errors import ArchiveError, IndexUnavailable
from pacs.ingest import Disposition, Origin, StoreOutcome, store_instance
from pacs.jobs.importing.content import FileInstance, Kind, open_content
from pacs.jobs.importing.journal import Journal
from pacs.jobs.importing.media import named_files
from pacs.jobs.importing.report import FileReport, ImportReport, Outcome, ReportFile
from pacs.jobs.importing.sources import Count, FileSource, Frontier, Refusal, Source, count_files, told
from pacs.jobs.importing.zips import OpenZip
from pacs.ledger.entries import Door
from storage.errors import StoreError, StoreFull, StoreUnavailable

_log = logging.getLogger(__name__)

RETRY_AFTER_S: Final = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0)  # what is away for longer ends the import
SPOOL_PATIENCE_S: Final = 900.0
_SPOOL_PAUSE_S: Final = 2.0
_ORIGIN: Final = Origin(Door.IMPORT)
_BUFFER_SIZE_BYTES: Final = 1024**2
_IDLE_S: Final = 0.05


class ImportStopped(ArchiveError):
    """The import cannot go on; what it has finished stays finished."""


@dataclass(slots=True, eq=False)
class FileImport:
    """One run of an import.

    Parameters
    ----------
    paths
        Files and folders.
    journal
        What earlier runs have finished; None: every file is read.
    report_file
        Gets a line for each file that was looked at.
    stop
        Ends the run after the files that are being read.
    again
        Read also what earlier runs have finished.
    spool_patience_s
        How long a full spool is waited for from which nothing leaves.
    """

    archive: Archive
    paths: Sequence[Path]
    journal: Journal
    report_file: ReportFile | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    again: bool = False
    retry_after_s: Sequence[float] = RETRY_AFTER_S
    spool_patience_s: float = SPOOL_PATIENCE_S
    report: ImportReport = field(default_factory=ImportReport)
    total: Count = field(default_factory=Count)
    _frontier: Frontier = field(default_factory=Frontier)
    _taking: threading.Lock = field(default_factory=threading.Lock)
    _counting: threading.Lock = field(default_factory=threading.Lock)
    _busy: int = 0  # threads that may yet push something onto the frontier
    _fatal: ImportStopped | None = None
    _stored_at_s: float = 0.0
    _roots: dict[Path, tuple[int, int]] = field(default_factory=dict)

    def run(self, workers: int) -> ImportReport:
        """Import everything; raises ImportStopped when the archive or the source goes away.

        Raises
        ------
        ImportStopped
            The store is full, store or index are away for longer than a minute, or a source is gone.
        """
        self._roots = {path: _identity(path) for path in self.paths}
        self._stored_at_s = time.monotonic()
        self._frontier.push(self.paths)
        with ThreadPoolExecutor(workers + 1, "import") as pool:
            counting = pool.submit(count_files, self.paths, self.total, self.stop)
            working = [pool.submit(self._work) for _ in range(workers)]
            for each in working:
                each.result()
            if self._fatal is not None:
                self.stop.set()
            counting.result()
        self._frontier.close()
        if self._fatal is not None:
            raise self._fatal
        self._require_sources()  # a folder that goes away may look as if it came to its end
        return self.report

    def _work(self) -> None:
        buffer = memoryview(bytearray(_BUFFER_SIZE_BYTES))
        while not self.stop.is_set() and self._fatal is None:
            with self._taking:
                found = self._frontier.take()
                over = found is None and self._busy == 0
                self._busy += found is not None
            if found is not None:
                self._look_at_safely(found, buffer)
            elif over:
                return
            else:
                self.stop.wait(_IDLE_S)  # somebody may just be opening a ZIP

    def _look_at_safely(self, found: Source | Refusal, buffer: memoryview) -> None:
        try:
            self._look_at(found, buffer)
        except ImportStopped as error:
            self._fatal = error
        except OSError as error:
            self._fatal = ImportStopped(f"journal or report cannot be written: {error.strerror}")
        finally:
            with self._taking:
                self._busy -= 1

    def _look_at(self, found: Source | Refusal, buffer: memoryview) -> None:
        if isinstance(found, Refusal):
            self._require_sources()
            self._told(FileReport(found.name, Outcome.REFUSED, found.reason))
            return
        with closing(found):
            if not self.again and self.journal.has(found):
                self._count(FileReport(found.name, Outcome.FINISHED_BEFORE), found.size_bytes)
                return
            report = self._import(found, buffer)
            if report.outcome in _TAKEN_IN:
                self.journal.add(found)
            self._told(report, 0 if report.outcome is Outcome.ZIP else found.size_bytes)

    def _import(self, source: Source, buffer: memoryview) -> FileReport:
        """Import one file; whatever is wrong with it is its own affair, and not the import's."""
        try:
            return self._try_again_while_away(source, buffer)
        except OSError as error:
            self._require_sources()
            return FileReport(source.name, Outcome.REFUSED, told(error))
        except ImportStopped:
            raise
        except (ArchiveError, StoreError) as error:
            return FileReport(source.name, Outcome.REFUSED, str(error))
        except Exception as error:  # a defect of ours: the rest can still be imported
            _log.exception("unexpected %s in an import", type(error).__name__, exc_info=False)
            return FileReport(source.name, Outcome.REFUSED, f"unexpected error: {type(error).__name__}")

    def _try_again_while_away(self, source: Source, buffer: memoryview) -> FileReport:
        pauses_s = iter(self.retry_after_s)
        while True:
            try:
                return self._read(source, buffer)
            except StoreFull as error:
                if not self._spool_may_empty():
                    raise ImportStopped("the store is full: free some space") from error
            except (StoreUnavailable, IndexUnavailable) as error:
                pause_s = next(pauses_s, None)
                if pause_s is None or self._fatal is not None or self.stop.wait(pause_s):
                    raise ImportStopped(str(error)) from error

    def _spool_may_empty(self) -> bool:
        """Wait for the uploader, which an import easily outruns; False when it has not moved for long."""
        if not self.archive.spools or time.monotonic() - self._stored_at_s > self.spool_patience_s:
            return False
        return self._fatal is None and not self.stop.wait(_SPOOL_PAUSE_S)

    def _read(self, source: Source, buffer: memoryview) -> FileReport:
        with closing(source.read(buffer)) as chunks:
            content = open_content(chunks)
            if isinstance(content, FileInstance):
                outcome = store_instance(self.archive, content.incoming, _ORIGIN)
                self._stored_at_s = time.monotonic()
                return _stored(source.name, outcome, content.corrected)
        match content:
            case Kind.ZIP:
                return self._open_zip(source)
            case Kind.DICOMDIR:
                return self._open_dicomdir(source, buffer)
            case Kind.OTHER_ARCHIVE:
                return FileReport(
                    source.name, Outcome.REFUSED, "an archive that is not opened: unpack it first"
                )
            case Kind.NOT_DICOM:
                return _not_dicom(source)

    def _open_zip(self, source: Source) -> FileReport:
        if not isinstance(source, FileSource):
            return FileReport(source.name, Outcome.REFUSED, "a ZIP in a ZIP is not opened: unpack it first")
        self._frontier.push(OpenZip(source).members())
        return FileReport(source.name, Outcome.ZIP)

    def _open_dicomdir(self, source: Source, buffer: memoryview) -> FileReport:
        """Look at what a DICOMDIR names; its files are taken only if it was named itself, not by a walk."""
        with closing(source.read(buffer)) as chunks:
            files = named_files(source, chunks)
        if isinstance(source, FileSource) and source.path in self._roots:
            self._frontier.push(files)
        else:
            self._frontier.push(found for found in files if isinstance(found, Refusal))
        return FileReport(source.name, Outcome.DICOMDIR)

    def _told(self, report: FileReport, size_bytes: int = 0) -> None:
        self._count(report, size_bytes)
        if self.report_file is not None:
            self.report_file.write(report.line())

    def _count(self, report: FileReport, size_bytes: int) -> None:
        with self._counting:
            self.report.add(report, size_bytes)

    def _require_sources(self) -> None:
        """Stop where a disk was pulled out or unmounted: its files are not damaged, they are away."""
        for path, identity in self._roots.items():
            if _identity(path) != identity:
                raise ImportStopped(f"the source is gone: {path}")


def default_workers() -> int:
    """Return how many threads suit this machine: a file waits for the disk as long as for the processor."""
    return 2 * (os.cpu_count() or 1)


def _identity(path: Path) -> tuple[int, int]:
    """Tell which file or folder it is: a mount point without its disk is another folder."""
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_dev, found.st_ino


_TAKEN_IN = frozenset(Outcome(disposition.value) for disposition in Disposition)


def _stored(name: str, outcome: StoreOutcome, corrected: bool) -> FileReport:
    return FileReport(
        name,
        Outcome(outcome.disposition.value),
        sop_instance_uid=outcome.sop_instance_uid,
        study_instance_uid=outcome.study_instance_uid,
        corrected=corrected,
    )


def _not_dicom(source: Source) -> FileReport:
    if source.name.lower().endswith(".iso"):
        return FileReport(source.name, Outcome.REFUSED, "an image of a disc: mount it and name its folder")
    if source.expected:
        return FileReport(source.name, Outcome.REFUSED, "not a DICOM file, as its name or a DICOMDIR says")
    return FileReport(source.name, Outcome.NOT_DICOM)
