"""Where the files of an import lie, found one after the other: a million names are never held at once."""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Final, Protocol

from pacs.jobs.importing.content import HEAD_SIZE_BYTES
from storage.store import Buffer

MAX_DEPTH: Final = 256  # of folders in folders: each open one holds a file descriptor
_DICOM_SUFFIXES: Final = frozenset({".dcm", ".dicom", ".dic", ".ima"})


@dataclass(frozen=True, slots=True)
class Refusal:
    """Something that was met and is not taken in, and why."""

    name: str
    reason: str


class Source(Protocol):
    """A file that may hold an instance. Its name may hold a patient's: for the operator's eyes only."""

    @property
    def name(self) -> str:
        """Path of the file, as the operator knows it."""

    @property
    def size_bytes(self) -> int:
        """How much of the import's total the file is."""

    @property
    def version(self) -> str:
        """What changes when the file is written again: size and time."""

    @property
    def expected(self) -> bool:
        """Whether an instance is to be expected by its name or by a DICOMDIR."""

    @property
    def folder(self) -> Path | None:
        """The folder that the file lies in; None where it lies in a ZIP."""

    def read(self, buffer: memoryview) -> Generator[Buffer, None, None]:
        """Read the file: first its head, then pieces that are views of ``buffer``; raises ``OSError``."""

    def close(self) -> None:
        """Let go of what the file lies in."""


@dataclass(frozen=True, slots=True)
class FileSource:
    """A file of a file system."""

    path: Path
    size_bytes: int
    modified_ns: int
    expected: bool

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    @property
    def version(self) -> str:
        """Size and time of the last change."""
        return f"{self.size_bytes} {self.modified_ns}"

    @property
    def folder(self) -> Path:
        """The folder of the file."""
        return self.path.parent

    def read(self, buffer: memoryview) -> Generator[Buffer, None, None]:
        """Read the file; whatever has taken its place since and is no regular file is not waited for."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "not a regular file", str(self.path))
            yield os.read(descriptor, HEAD_SIZE_BYTES)
            while size := os.readv(descriptor, [buffer]):
                yield buffer[:size]
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Do nothing: the file is open only while it is read."""


def file_source(path: Path, *, expected: bool = False) -> FileSource:
    """Take a file as a source; raises ``OSError`` where there is none, or something else than a file."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return FileSource(path, found.st_size, found.st_mtime_ns, expected or is_dicom_name(path.name))


def is_dicom_name(name: str) -> bool:
    """Tell whether a file's name promises DICOM."""
    return PurePath(name).suffix.lower() in _DICOM_SUFFIXES


@dataclass(slots=True)
class Frontier:
    """What is still to be looked at: a stack of iterators, deepest first. Safe for several threads.

    Folders are read entry by entry, so memory grows with their depth only. Symbolic links to files are
    followed, those to folders are not: they are how a walk never ends.
    """

    _stack: list[Iterator[Source | Refusal | Path]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def push(self, sources: Iterable[Source | Refusal | Path]) -> None:
        """Look at these next; a path is a file or folder that is still to be examined."""
        with self._lock:
            self._stack.append(iter(sources))

    def take(self) -> Source | Refusal | None:
        """Give the next one, None where there is no more just now."""
        with self._lock:
            while self._stack:
                found = next(self._stack[-1], None)
                if found is None:
                    self._stack.pop()
                elif not isinstance(found, Path):
                    return found
                elif (examined := self._examine(found)) is not None:
                    return examined
            return None

    def close(self) -> None:
        """Close the folders that are open."""
        with self._lock:
            self._stack.clear()

    def _examine(self, path: Path) -> Source | Refusal | None:
        try:
            if not path.is_dir():
                return file_source(path)
        except OSError as error:
            return Refusal(str(path), told(error))
        if len(self._stack) >= MAX_DEPTH:
            return Refusal(str(path), f"more than {MAX_DEPTH} folders deep")
        self._stack.append(_entries(path))
        return None


def _entries(folder: Path) -> Iterator[Source | Refusal | Path]:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                yield _entry(entry)
    except OSError as error:
        yield Refusal(str(folder), f"folder: {told(error)}")


def _entry(entry: os.DirEntry[str]) -> Source | Refusal | Path:
    path = Path(entry.path)
    try:
        if entry.is_dir(follow_symlinks=False):
            return path
        if entry.is_dir():
            return Refusal(entry.path, "symbolic link to a folder: not followed; name the folder itself")
        found = entry.stat()
    except OSError as error:
        return Refusal(entry.path, told(error))
    if not stat.S_ISREG(found.st_mode):
        return Refusal(entry.path, "not a regular file")
    return FileSource(path, found.st_size, found.st_mtime_ns, is_dicom_name(entry.name))


def told(error: OSError) -> str:
    """Say what the system says, without the path."""
    return f"cannot be read: {error.strerror or type(error).__name__}"


@dataclass(slots=True)
class Count:
    """How much there is to import, as far as it has been counted."""

    files: int = 0
    size_bytes: int = 0
    complete: bool = False


def count_files(paths: Iterable[Path], count: Count, stop: threading.Event) -> None:
    """Count files and bytes by a walk of its own, which runs ahead of the import."""
    frontier = Frontier()
    frontier.push(paths)
    with suppress(OSError):
        while not stop.is_set() and (found := frontier.take()) is not None:
            if not isinstance(found, Refusal):
                count.files += 1
                count.size_bytes += found.size_bytes
    frontier.close()
    count.complete = not stop.is_set()
