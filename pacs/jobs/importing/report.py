"""What became of the files of an import: counts for the end, and a line for each file if asked."""

from __future__ import annotations

import json
import os
import threading
from collections import Counter
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Final, Self

MAX_REASONS: Final = 1000  # kinds of refusal that are told apart; hostile files could make up any number
_OTHER_REASONS: Final = "other reasons"


class Outcome(Enum):
    """What became of a file; an instance's are the dispositions of :mod:`pacs.ingest`."""

    STORED = "stored"
    ALREADY_STORED = "already stored"
    CONFLICT = "conflict"
    REPLACED = "replaced"
    PATIENT_DIFFERS = "patient differs"
    REFUSED = "refused"
    NOT_DICOM = "not DICOM"
    DICOMDIR = "DICOMDIR"
    ZIP = "ZIP"
    FINISHED_BEFORE = "finished in an earlier run"


@dataclass(frozen=True, slots=True)
class FileReport:
    """What became of one file. The name may hold a patient's: for the operator's eyes, never for a log."""

    name: str
    outcome: Outcome
    reason: str | None = None
    sop_instance_uid: str | None = None
    study_instance_uid: str | None = None
    corrected: bool = False

    def line(self) -> str:
        """Return the line of the report file (JSON), without what there is nothing to say of."""
        members = {
            "file": os.fsencode(self.name).decode("utf-8", "replace"),
            "outcome": self.outcome.value,
            "reason": self.reason,
            "sop_instance_uid": self.sop_instance_uid,
            "study_instance_uid": self.study_instance_uid,
            "file_meta_corrected": self.corrected or None,
        }
        told = {name: value for name, value in members.items() if value is not None}
        return json.dumps(told, ensure_ascii=False) + "\n"


@dataclass(slots=True)
class ImportReport:
    """Counts of a whole import; the sizes are those of the source files."""

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)  # of what was refused
    corrected: int = 0
    done_files: int = 0
    done_bytes: int = 0

    def add(self, file: FileReport, size_bytes: int) -> None:
        """Count one file."""
        self.outcomes[file.outcome] += 1
        self.corrected += file.corrected
        self.done_files += 1
        self.done_bytes += size_bytes
        if file.outcome is Outcome.REFUSED and file.reason:
            known = file.reason in self.reasons or len(self.reasons) < MAX_REASONS
            self.reasons[file.reason if known else _OTHER_REASONS] += 1


class ReportFile:
    """A file of JSON lines; what an earlier run wrote stays. Safe for several threads.

    Raises
    ------
    OSError
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("a+b")
        self._lock = threading.Lock()
        if self._file.seek(0, os.SEEK_END):
            self._file.seek(-1, os.SEEK_END)
            if self._file.read(1) != b"\n":  # the earlier run was killed in the middle of a line
                self._file.write(b"\n")

    def write(self, line: str) -> None:
        """Append a line."""
        with self._lock:
            self._file.write(line.encode("utf-8", "replace"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
