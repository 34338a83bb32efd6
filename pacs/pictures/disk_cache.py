"""Results in a folder that the processes of one machine share: it may be emptied at any time."""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import tempfile
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_log = logging.getLogger(__name__)

_CHECKSUM_SIZE_BYTES: Final = 4
_MIN_FREE_BYTES: Final = 1 << 30  # of the disk, which objects may need more than pictures do
_TRIMMED_AFTER: Final = 16  # parts of the bound that one process writes before it looks at the whole
_KEPT_PARTS: Final = (3, 4)  # of the bound are left when it is trimmed
_ABANDONED_AFTER_S: Final = 3600.0
_TEMPORARY: Final = ".tmp-"


class DiskCache:
    """Results by subject and key, each a file; those not used for the longest time go first.

    Safe for use by several threads and processes. Nothing is synced: a file that a power cut tore has another
    checksum, and is not believed. The bound may be passed by a sixteenth for each process that writes.

    Parameters
    ----------
    folder
        Made when it is needed.
    max_size_bytes
        Of all files; 0 keeps nothing.
    """

    def __init__(self, folder: Path, max_size_bytes: int) -> None:
        self._folder = folder
        self._max_size_bytes = max_size_bytes
        self._untrimmed_bytes = max_size_bytes  # so that the first thing written finds out what there is

    def get(self, subject: str, key: str) -> bytes | None:
        """Return an entry, or None; it counts as used."""
        path = self._path(subject, key)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        checksum, content = data[:_CHECKSUM_SIZE_BYTES], data[_CHECKSUM_SIZE_BYTES:]
        with suppress(OSError):
            if checksum == _checksum(content):
                os.utime(path)
                return content
            path.unlink()
        return None

    def put(self, subject: str, key: str, content: bytes) -> None:
        """Keep an entry; silently not, where the disk is full or there is no room for it."""
        if len(content) > self._max_size_bytes // _TRIMMED_AFTER:
            return
        try:
            self._write(self._path(subject, key), content)
        except OSError as error:
            _log.warning("a picture could not be kept: %s", error.strerror)
            return
        self._untrimmed_bytes += len(content)
        if self._untrimmed_bytes > self._max_size_bytes // _TRIMMED_AFTER:
            self._untrimmed_bytes = 0
            self.trim()

    def drop(self, subject: str) -> None:
        """Remove all entries of a subject."""
        for path in list(self._fan_out(subject).glob(f"{subject}.*")):
            path.unlink(missing_ok=True)

    def trim(self) -> None:
        """Remove what was not used for the longest time, if there is too much; one process at a time."""
        with suppress(OSError), (self._folder / ".lock").open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            files = sorted(self._files())
            excess = sum(size for _, size, _ in files) - self._max_size_bytes
            if excess > 0:
                excess += self._max_size_bytes - self._max_size_bytes * _KEPT_PARTS[0] // _KEPT_PARTS[1]
            for _, size_bytes, path in files:
                if excess <= 0:
                    break
                path.unlink(missing_ok=True)
                excess -= size_bytes

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        """List when each file was used last, its size and its path; remove what a dead process left."""
        for folder in self._folder.iterdir():
            for path in folder.iterdir() if folder.is_dir() else ():
                with suppress(FileNotFoundError):
                    status = path.stat()
                    if not path.name.startswith(_TEMPORARY):
                        yield status.st_mtime, status.st_size, path
                    elif time.time() - status.st_mtime > _ABANDONED_AFTER_S:
                        path.unlink()

    def _write(self, path: Path, content: bytes) -> None:
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        if shutil.disk_usage(path.parent).free < _MIN_FREE_BYTES:
            return
        descriptor, temporary = tempfile.mkstemp(prefix=_TEMPORARY, dir=path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(_checksum(content))
                file.write(content)
            Path(temporary).replace(path)
        except OSError:
            Path(temporary).unlink(missing_ok=True)
            raise

    def _path(self, subject: str, key: str) -> Path:
        return Path(
            f"{self._folder}/{subject[:2]}/{subject}.{key}"
        )  # taken apart once: it is for each picture

    def _fan_out(self, subject: str) -> Path:
        return self._folder / subject[:2]


def _checksum(content: bytes) -> bytes:
    return zlib.crc32(content).to_bytes(_CHECKSUM_SIZE_BYTES, "big")
